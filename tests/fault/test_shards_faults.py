"""A ledger of four shards while the machine and the network let it down: whatever is killed, stopped,
cut off, slow or full, every acknowledged transfer is there exactly once, what was not answered is
settled by its id, and the books balance.

Each fault hits one shard, chosen at random, under load; the load goes on afterwards, on every shard.
FAULT_ROUNDS rounds for each engine (with TEST_LONG 60, each fault among them; else 2), drawn from
FAULT_SEED (with TEST_LONG another one for each run, which is printed; else 1)."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from kit import postgres
from kit.bank import Bank
from kit.needs import needs_postgres
from kit.server import LONG, wait_until
from kit.shards import Shards
from kit.tracer import injected

SEED = int(os.environ.get("FAULT_SEED", "0")) or (
    random.SystemRandom().randrange(1, 10**9) if LONG else 1)
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "60" if LONG else "2"))
# Shorter than the faults are long.
TIMEOUT = 0.5
LEASE = 1.0
FAULT = 1.6
AGAIN_SECONDS = 30


class Place:
    """One shard of a cluster, and what can be done to it."""

    def __init__(self, shards, number):
        self.shards, self.number = shards, number
        self.name = shards.ledgers[number]
        self.member = shards.processes[self.name]

    def pid(self):
        return self.member.process.pid

    # ---- faults: each a context, in which it lasts -------------------------------------------------

    @contextlib.contextmanager
    def killed(self):
        self.member.kill()
        yield
        self.member.start()

    @contextlib.contextmanager
    def stopped(self):
        """Longer than others wait for it, and than the lease; then it goes on where it was."""
        os.kill(self.pid(), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid(), signal.SIGCONT)

    @contextlib.contextmanager
    def silent(self):
        """The network between it and the API drops everything."""
        wire = self.shards.wires[self.name]
        wire.silence()
        yield
        wire.heal()

    @contextlib.contextmanager
    def cut(self):
        wire = self.shards.wires[self.name]
        wire.cut()
        yield
        wire.heal()

    def traced(self, inject):
        """Its calls to sync do something else."""
        return injected(self.pid(), f"fdatasync,fsync:{inject}")

    @contextlib.contextmanager
    def failed_sync(self):
        """What failed to sync may be lost, whatever a second try says: it is not ready until it has
        read everything again, which it may leave to its next start."""
        with self.traced("error=EIO:when=1"):
            wait_until(lambda: "the store failed" in self.member.log(), 10, "a failed sync")
            yield
        with self.killed():
            pass

    @contextlib.contextmanager
    def slow_sync(self):
        with self.traced(f"delay_exit={int(0.3e6)}"):
            yield

    @contextlib.contextmanager
    def lost_sync(self):
        """It says that it has synced, and has not; then the process dies, and the machine does not."""
        with self.traced("retval=0"):
            yield
        with self.killed():
            pass


@contextlib.contextmanager
def database_killed(database):
    database.kill()
    yield
    database.start()


@contextlib.contextmanager
def database_stopped(database):
    database.pause()
    try:
        yield
    finally:
        database.resume()


EITHER = ("killed", "stopped", "silent", "cut")
SYNCS = ("failed_sync", "slow_sync", "lost_sync")
DATABASE = {"database_killed": database_killed, "database_stopped": database_stopped}

def rounds(names, choose):
    """In a random order, each before one comes twice."""
    chosen = []
    while len(chosen) < ROUNDS:
        chosen += choose.sample(names, min(len(names), ROUNDS - len(chosen)))
    return chosen


def fault_of(shards, name, number, database):
    if name in DATABASE:
        return DATABASE[name](database)
    return getattr(Place(shards, number), name)()


def endure(shards, names, database=None):
    print(f"FAULT_SEED={SEED}")
    choose = random.Random(SEED)
    bank = Bank(shards, seed=SEED).begin()
    for name in rounds(names, choose):
        number = choose.randrange(len(shards.ledgers))
        bank.goes_on()
        with fault_of(shards, name, number, database):
            time.sleep(FAULT)
            if name not in DATABASE and name not in SYNCS:  # the others go on meanwhile
                for other in set(range(len(shards.ledgers))) - {number}:
                    bank.goes_on(other, AGAIN_SECONDS)
        print(f"{name} of {shards.ledgers[number]}: over")
        bank.goes_on(seconds=AGAIN_SECONDS)
    bank.stop()
    assert bank.unknown or ROUNDS < len(names), "faults that nobody felt are none"
    bank.settle()
    bank.check()


@contextlib.contextmanager
def running(shards):
    """To its end in order, with books that balance; after a failure, anyhow."""
    try:
        yield shards.start()
        shards.close()
    finally:
        for member in shards.processes.values():
            if member.process is not None:
                member.kill()


def make(folder, **keywords):
    return Shards(folder / "cluster", f"--internal-timeout={int(TIMEOUT * 1000)}ms", wires=True,
                  **keywords)


def test_journals(tmp_path):
    with running(make(tmp_path)) as shards:
        endure(shards, EITHER + (SYNCS if shutil.which("strace") else ()))


@needs_postgres
def test_schemas_of_postgresql(tmp_path):
    with postgres.Postgres(flags=("-c", "max_connections=60")) as database, running(
            make(tmp_path, database=database, lease_ms=int(LEASE * 1000))) as shards:
        endure(shards, EITHER + tuple(DATABASE), database)


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(not LONG or os.geteuid() != 0, reason="with TEST_LONG; a disk of a given size takes root to mount")
def test_a_full_disk(tmp_path):
    """Of one shard's journal: it refuses what it cannot keep, and goes on when there is room."""
    shards = Shards(tmp_path / "cluster", "--ledger-segment-size=4m")
    folder = shards.processes[shards.ledgers[2]].data
    with small_disk(folder, "14m"), running(shards):
        bank = Bank(shards, batch=400, seed=SEED).begin()
        wait_until(lambda: bank.unknown, 60, "a full disk")
        for other in (0, 1, 3):
            bank.goes_on(other)
        subprocess.run(["mount", "-o", "remount,size=200m", folder], check=True)
        bank.goes_on()
        bank.stop()
        bank.settle()
        bank.check()
