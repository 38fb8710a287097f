"""A ledger at two addresses, one of which stands by (--ledger-at=A,B, both on one PostgreSQL): payments go on
when the first is killed, and when it comes back and the second is killed; each is booked once. While one works,
the other costs nobody a request."""

import itertools
import re
import signal
import time

import pytest
import requests

from kit import postgres
from kit.client import Http
from kit.cluster import Cluster
from kit.needs import needs_postgres
from kit.server import wait_until
from kit.shards import Shards, shard_of

pytestmark = needs_postgres

LEASE_MS = 5000  # a busy machine lets a process stand still for seconds
BACK_SECONDS = 60
LEDGER = 7000


class Pair(Cluster):
    """From outside as one server."""

    def __init__(self, folder, database):
        super().__init__(folder, names=("ledger", "ledger-2", "vault", "cards", "api"))
        self.url_of_ledger = f"{database.url()}&lease_ms={LEASE_MS}"

    def place(self, name):
        if name != "ledger":
            return super().place(name)
        return ",".join(self.processes[one].where() for one in ("ledger", "ledger-2"))

    def listens(self, member):
        more = {"ledger": [f"--ledger={self.url_of_ledger}"],
                "api": ["--admin-listen=127.0.0.1:0"]}
        return [*super().listens(member), *more.get(member.kind, ())]

    def begin(self):
        super().start(order=("api", "cards", "vault", "ledger"))
        self.processes["ledger-2"].launch()
        return self

    def end(self):
        for member in self.processes.values():
            if member.process is not None:
                member.kill()


def ask(pair, what, **body):
    return Http(pair, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=20)


def transfer(pair, number):
    """Again by the same id, until somebody knows."""
    event = {"id": str(number), "debit_account_id": "1", "credit_account_id": "2", "amount": "1",
             "ledger": LEDGER, "code": 1}
    began = time.monotonic()
    while True:
        answer = ask(pair, "transfers", events=[event])
        if answer.status_code == 200:
            assert answer.json()["results"][0]["status"] in ("created", "exists")
            return time.monotonic() - began
        assert answer.status_code in (500, 503), answer.text
        assert time.monotonic() - began < BACK_SECONDS
        time.sleep(0.1)


def test_the_standby_is_used_and_left_again(tmp_path):
    with postgres.Postgres(flags=("-c", "max_connections=40")) as database:
        pair = Pair(tmp_path / "cluster", database)
        try:
            pair.begin()
            events = [{"id": str(n), "ledger": LEDGER, "code": 1} for n in (1, 2)]
            assert ask(pair, "accounts", events=events).status_code == 200
            numbers = iter(range(100, 1000))
            done = 0
            for holder, other in (("ledger", "ledger-2"), ("ledger-2", "ledger")):
                for _ in range(5):
                    transfer(pair, next(numbers))
                    done += 1
                wait_until(lambda other=other: "another server holds" in pair.processes[other].log(),
                           10, f"{other} to stand by")
                pair.processes[holder].kill()
                took = transfer(pair, next(numbers))
                done += 1
                print(f"{holder} killed: booked by {other} after {took:.1f} s")
                pair.processes[other].wait()
                pair.processes[holder].launch()
            found = ask(pair, "lookup", accounts=["1", "2"]).json()["accounts"]
            assert [int(one["debits_posted"]) for one in found] == [done, 0]
            assert [int(one["credits_posted"]) for one in found] == [0, done]
        finally:
            pair.end()


def ready(member):
    return requests.get(f"{member.operators}/readyz", timeout=60).text


def on_both(shards, numbers):
    ids = [next(n for n in numbers if shard_of(n, 2) == i % 2) for i in range(8)]
    events = [{"id": str(number), "ledger": LEDGER, "code": 1} for number in ids]
    made = ask(shards, "accounts", events=events)
    assert made.status_code == 200, made.text


def test_ready_is_that_a_write_is_taken(tmp_path):
    """Where one of two shards has a standby, which does not listen: from the first request on, all of a batch is
    done."""
    with postgres.Postgres(flags=("-c", "max_connections=60")) as database:
        shards = Shards(tmp_path / "cluster", shards=2, database=database, standbys="a",
                        lease_ms=LEASE_MS)
        numbers = itertools.count(10**12)
        try:
            for _ in range(3):
                shards.start()
                assert ready(shards.processes["api"]) == "ready\n"
                for _ in range(20):
                    on_both(shards, numbers)
                shards.kill()
        finally:
            shards.kill()


@pytest.mark.parametrize("shards", (0, 2))
def test_who_lost_its_ledger_costs_no_request(tmp_path, shards):
    """It stood still for longer than its lease; now it stands by, and listens: it is asked, and who asks goes on
    to the holder. Nor is anybody told that the ledger is not ready."""
    with postgres.Postgres(flags=("-c", "max_connections=60")) as database:
        ledger = (Shards(tmp_path / "cluster", shards=2, database=database, standbys="a",
                         lease_ms=LEASE_MS) if shards else Pair(tmp_path / "cluster", database))
        first, second = (("ledger-a", "ledger-a-2") if shards else ("ledger", "ledger-2"))
        numbers = itertools.count(10**12)
        try:
            ledger.start() if shards else ledger.begin()
            wait_until(lambda: "another server holds" in ledger.processes[second].log(), 10,
                       f"{second} to stand by")
            lost = ledger.processes[first]
            lost.process.send_signal(signal.SIGSTOP)
            ledger.processes[second].wait()
            wait_until(lambda: ready(ledger.processes[second]) == "ready\n", 30, "the new holder")
            lost.process.send_signal(signal.SIGCONT)
            wait_until(lambda: ready(lost) == "not ready: another server holds the ledger\n", 30,
                       f"{first} to stand by")
            stand = [re.search(r"^tael_standby (\d)$", requests.get(f"{one.operators}/metrics", timeout=10).text,
                               re.MULTILINE).group(1) for one in (lost, ledger.processes[second])]
            assert stand == ["1", "0"]  # which no alert is for
            wait_until(lambda: ready(ledger.processes["api"]) == "ready\n", 30, "all that asks")
            ends = time.monotonic() + 6
            while time.monotonic() < ends:
                on_both(ledger, numbers)
                assert ready(ledger.processes["api"]) == "ready\n"
        finally:
            ledger.kill()
