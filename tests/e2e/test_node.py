"""The essentials with Stripe's SDK for Node, whose answers are held against the schema too."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from kit.schema import stripe_schema
from kit.server import Server, without_tael_settings

FOLDER = pathlib.Path(__file__).resolve().parent / "node"
FILES = sorted(FOLDER.glob("*.test.mjs"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of all the Node tests against a server of their own."""
    folder = tmp_path_factory.mktemp("node")
    server = Server(folder / "server").start()
    record = folder / "answers"
    try:
        result = subprocess.run(
            ["node", "--test", "--test-reporter=tap", *(path.name for path in FILES)],
            cwd=FOLDER, capture_output=True, text=True, timeout=300,
            env={**without_tael_settings(), "TEST_HOST": "127.0.0.1", "TEST_PORT": str(server.port),
                 "TEST_KEY": server.key, "TEST_PUBLISHABLE_KEY": server.publishable_key,
                 "TEST_RECORD": str(record), "NO_COLOR": "1",
                 "PATH": os.environ["PATH"]},
        )
        yield result, [json.loads(line) for line in record.read_text().splitlines()]
    finally:
        server.close()


def test_all_pass(run):
    result, _ = run
    names = re.findall(r"^ *ok \d+ - (.*)$", result.stdout, re.MULTILINE)
    failed = re.findall(r"^ *not ok \d+ - (.*)$", result.stdout, re.MULTILINE)
    assert result.returncode == 0 and not failed, result.stdout[-5000:] + result.stderr[-2000:]
    written = sum(len(re.findall(r"^\s*test\(", path.read_text(), re.MULTILINE)) for path in FILES)
    assert len(names) >= written, names


def test_answers_fit_the_schema(run):
    _, answers = run
    assert len(answers) > 100
    for answer in answers:
        stripe_schema().check_answer(
            answer["method"], answer["path"], answer["status"], answer["body"])
        assert answer["request_id"].startswith("req_")
