"""Stopped at any moment, whatever is under way inside."""

import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from kit import postgres
from kit.books import reconciled
from kit.brokers import KINDS
from kit.nodes import Nodes
from kit.server import (
    LONG,
    PATIENT_FLAGS,
    STOP_SECONDS,
    Server,
    operators_in,
    wait_until,
    write_document_map,
)
from kit.shards import Shards
from kit.traffic import FLAGS as TRAFFIC_FLAGS, Traffic
from kit.wallets import Wallets

ROUNDS = 50 if LONG else 5
STOPS = 25 if LONG else 1
WALLETS = 3
TRANSFERS = 40
SEED = 20240501

# Much is under way at any moment, inside too; requests get a moment or a while to end.
FLAGS = ("--reconcile-interval=1ms", "--sweep-interval=10ms", "--rate-limit=1000000",
         "--participant-retry-first=1s", *PATIENT_FLAGS, *TRAFFIC_FLAGS)
CARDS = ("--issuer-latency=10ms", "--issuer-jitter=30ms")
DRAINS = ("0s", "50ms", "2s")


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


# ---- everything that a server can be, under every kind of request ----------------------------


def one_server(folder, *flags):
    return Server(folder, "--admin-listen=127.0.0.1:0", *FLAGS, *CARDS, *flags, ordinary=False,
                  on_postgres=False, cluster=False)


def alone(folder, _stack, _database):
    return one_server(folder / "server")


def with_broker(kind):
    def make(folder, stack, _database):
        broker = KINDS[kind](folder / kind)
        stack.callback(broker.close)
        return one_server(folder / "server", f"--broker={broker.start().url}")

    return make


def document_shards(folder, _stack, database):
    write_document_map(folder / "documents", [database().create(f"part_{n}") for n in range(2)],
                       cold=database().create("cold"))
    return one_server(folder / "server", f"--documents=shards:{folder / 'documents'}",
                      "--documents-sweep=1h")


def shards_of_journals(folder, _stack, _database):
    return Shards(folder / "cluster", *FLAGS, *CARDS, shards=2, ordinary=False)


def shards_with_standby(folder, _stack, database):
    return Shards(folder / "cluster", *FLAGS, *CARDS, shards=2, database=database(), standbys="a",
                  lease_ms=5000, ordinary=False)


def nodes_behind_gateway(folder, _stack, database):
    return Nodes(folder / "cluster", database().create("documents"), *FLAGS, *CARDS, gateways=1,
                 ordinary=False)


WORLDS = {
    "alone": alone,
    "rabbitmq": with_broker("rabbitmq"),
    "kafka": with_broker("kafka"),
    "document shards": document_shards,
    "shards of journals": shards_of_journals,
    "shards with a standby": shards_with_standby,
    "nodes behind a gateway": nodes_behind_gateway,
}
ONLY_LONG = ("kafka",)  # it starts slowly
ON_POSTGRES = ("document shards", "shards with a standby", "nodes behind a gateway")


@pytest.fixture(scope="module")
def database():
    """A PostgreSQL for who asks for it."""
    with contextlib.ExitStack() as stack:
        made = []

        def get():
            if not made:
                made.append(stack.enter_context(
                    postgres.Postgres(flags=("-c", "max_connections=400"))))
            return made[0]

        yield get


def members(server):
    """What has a process of its own, in no order."""
    found = list(server.processes.values()) if isinstance(server, Shards | Nodes) else [server]
    return [*found, *getattr(server, "gateways", [])]


def operators(server):
    """The addresses of those that say where operators ask."""
    for member in members(server):
        with contextlib.suppress(OSError):
            if url := operators_in(member.output_path):
                yield url


def start(server, dice):
    """With any drain, the same for all: half a request (kit.traffic) is under way until that is over."""
    drain = dice.choice(DRAINS)
    for gateway in getattr(server, "gateways", []):
        gateway.config["drain_timeout"] = drain
    server.start(f"--drain-timeout={drain}")


def stop_all(server, dice):
    """SIGTERM for every process, one after the other in any order; each ends well."""
    running = [member for member in members(server) if member.process is not None]
    dice.shuffle(running)
    for member in running:
        member.process.send_signal(signal.SIGTERM)
        time.sleep(dice.choice((0, 0, 0.02, 0.2)))
    for member in running:
        process, member.process = member.process, None
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "none: it did not end"
        assert code == 0, f"exit code {code}: {member.log()}"
    server.process = None


def waits_for_signals(process):
    """Before that, SIGTERM ends it as it ends any program."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    blocked = re.search(r"SigBlk:\s+(\w+)", status)
    return blocked is not None and int(blocked.group(1), 16) >> (signal.SIGTERM - 1) & 1


def stop_while_it_starts(server, dice):
    starting = [member for member in members(server) if hasattr(member, "launch")]
    for member in starting:
        member.launch(f"--drain-timeout={dice.choice(DRAINS)}")
    for member in starting:
        wait_until(lambda member=member: waits_for_signals(member.process), 10, "signals")
    time.sleep(dice.uniform(0, 0.3))
    stop_all(server, dice)


@pytest.mark.parametrize("world", WORLDS)
def test_stop_under_traffic(tmp_path, monkeypatch, database, world):
    """Memory that was given back is filled; built with a sanitizer, its findings end the server badly."""
    if world in ONLY_LONG and not LONG:
        pytest.skip("TEST_LONG=1")
    if world in ON_POSTGRES and not postgres.available():
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql-15")
    monkeypatch.setenv("MALLOC_PERTURB_", "165")
    dice = random.Random(SEED)
    with contextlib.ExitStack() as stack:
        server = WORLDS[world](tmp_path, stack, database)
        stack.callback(server.close)
        start(server, dice)
        traffic = Traffic(server, SEED, operators=lambda: operators(server))
        stack.callback(traffic.close)
        for _ in range(STOPS):
            traffic.begin()
            traffic.flows()
            time.sleep(dice.uniform(0, 0.2))
            stop_all(server, dice)
            traffic.end()
            stop_while_it_starts(server, dice)
            start(server, dice)
        reconciled(server, 30)
