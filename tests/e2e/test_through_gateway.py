"""Tests that know nothing of a gateway, with one before each of their servers."""

import os
import subprocess
import sys

import pytest

from kit.server import LONG, ROOT

FILES = {"payments": (["tests/e2e/test_payment_intents.py", "tests/e2e/test_wire.py"], None)}
LONG_FILES = {
    "errors": (["tests/e2e/test_errors.py", "tests/e2e/test_idempotency.py"], None),
    "pages and keys": (["tests/e2e/test_three_d_secure.py", "tests/e2e/test_keys.py",
                        "tests/e2e/test_search.py"], None),
    "hostile input": (["tests/fault/test_hostile.py"],
                      "refused or bad_request_lines or limits_that or beyond or slow or never_reads"),
}


if LONG:
    FILES |= LONG_FILES


@pytest.mark.skipif(os.environ.get("TEST_GATEWAY") == "1", reason="that is what is run")
@pytest.mark.parametrize("name", FILES)
def test_as_without(name):
    files, chosen = FILES[name]
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    argv += ["-k", chosen] if chosen else []
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=900,
                            env={**os.environ, "TEST_GATEWAY": "1"})
    assert result.returncode == 0, result.stdout[-8000:]
    assert " passed" in result.stdout
