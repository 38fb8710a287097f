"""Stopped at any moment, whatever is under way inside."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from kit.books import reconciled
from kit.server import LONG
from kit.wallets import Wallets

ROUNDS = 50 if LONG else 5
WALLETS = 3
TRANSFERS = 40


@pytest.fixture
def busy_processor():
    """The number of a processor that somebody else always wants."""
    number = min(os.sched_getaffinity(0))
    burning = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{number}])\nwhile True: pass"])
    yield number
    burning.kill()
    burning.wait()


def hold_up(server, thread, processor):
    """Lets a thread run only now and then, so that whoever asks it waits."""
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == thread:
            os.sched_setaffinity(int(task.name), [processor])
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
            return
    raise AssertionError(f"no thread {thread}")


def test_stop_while_the_ledger_works(make_server, busy_processor, monkeypatch):
    """Reconcilers always have something under way at the ledger. Memory that was given back is filled, so
    that a ledger which goes on with it ends badly."""
    monkeypatch.setenv("MALLOC_PERTURB_", "165")
    server = make_server("--reconcile-interval=1ms")
    wallets = Wallets(server)
    made = [wallets.wallet(funds=10_000) for _ in range(WALLETS)]
    for number in range(TRANSFERS):
        wallets.send(made[number % WALLETS], made[(number + 1) % WALLETS], 10)
    for _ in range(ROUNDS):
        hold_up(server, "ledger", busy_processor)
        time.sleep(0.05)
        server.stop()
        server.start()
    reconciled(server, 30)
