"""The programs of examples/ run against a server, and those of one folder print the same."""

import os
import subprocess
import sys

import pytest

from kit.server import ROOT, without_tael_settings

EXAMPLES = ROOT / "examples"
RUNNERS = {".sh": ["sh"], ".py": [sys.executable], ".mjs": ["node"]}
# Those in three languages; consumer/ is test_brokers.py's.
FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/*.sh"))


def programs(folder):
    return sorted(path for path in (EXAMPLES / folder).iterdir() if path.suffix in RUNNERS)


def run(server, path):
    environment = {**without_tael_settings(), "TAEL_URL": server.url, "TAEL_KEY": server.key}
    result = subprocess.run(
        [*RUNNERS[path.suffix], str(path)],
        capture_output=True, text=True, timeout=60, check=False, cwd=os.sep, env=environment)
    assert result.returncode == 0, f"{path.name}: {result.stdout}{result.stderr}"
    assert result.stderr == "", f"{path.name}: {result.stderr}"
    return [line.strip() for line in result.stdout.splitlines()]


@pytest.mark.parametrize("folder", FOLDERS)
def test_examples_print_the_same_in_every_language(make_server, folder):
    """Each on a server of its own, as for whoever tries one of them."""
    paths = programs(folder)
    assert [path.suffix for path in paths] == sorted(RUNNERS), "shell, Python and JavaScript"
    printed = {path.suffix: run(make_server(), path) for path in paths}
    assert printed[".py"] and printed[".sh"] == printed[".py"] == printed[".mjs"]


SAYS = {
    "ledger": [
        "accounts: created created", "transfers: created exceeds_credits", "hold: created",
        "take: created", "again: exists", "the customer has 350, held are 0"],
    "wallets": [
        "top-up: succeeded", "transfer: succeeded", "too much: wallet_insufficient_funds",
        "payment: succeeded", "the wallet has 3000"],
    "qr": [
        "intent: requires_action", "it asks for: 1250", "paid: succeeded", "again: qr_code_paid",
        "at the till: succeeded", "from the payer's code: succeeded", "the wallet has 3000"],
}


@pytest.mark.parametrize("folder", SAYS)
def test_what_an_example_says(make_server, folder):
    assert run(make_server(), EXAMPLES / folder / f"{folder}.py") == SAYS[folder]


@pytest.mark.parametrize("folder", FOLDERS)
def test_examples_can_run_twice_on_one_server(make_server, folder):
    server = make_server()
    for path in programs(folder):
        assert run(server, path) == run(server, path)


@pytest.mark.parametrize("folder", FOLDERS)
def test_examples_fail_with_a_wrong_key(make_server, folder):
    """A failed request is no success that prints nothing."""
    server = make_server()
    environment = {**without_tael_settings(), "TAEL_URL": server.url, "TAEL_KEY": "sk_test_no"}
    for path in programs(folder):
        result = subprocess.run([*RUNNERS[path.suffix], str(path)], capture_output=True, text=True,
                                timeout=60, check=False, env=environment)
        assert result.returncode != 0, path
