"""PostgreSQL itself fails over: a primary, and a replica that its commits wait for. What was
acknowledged is on the replica; what was not can be asked for again; a primary of before commits
nothing any more."""

import time

import pytest
from test_ledger_postgres import Load, Servers, wait_ready

from kit import postgres
from kit.books import settled
from kit.client import Http
from kit.needs import needs_postgres
from kit.server import LONG, Server, wait_until

pytestmark = needs_postgres

ROUNDS = range(20 if LONG else 1)
CARD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}


class Pair:
    """Two PostgreSQL servers: commits on the first wait for the second."""

    def __init__(self):
        self.primary = postgres.Postgres().start()
        self.replica = postgres.Postgres(replica_of=self.primary).start()
        self.hosts = f"{self.primary.folder},{self.replica.folder}"
        self._set("SET synchronous_standby_names = '*'")
        wait_until(lambda: self.primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync",
                   30, "a synchronous replica")

    def _set(self, what):
        self.primary.sql(f"ALTER SYSTEM {what}")
        self.primary.sql("SELECT pg_reload_conf()")

    def create(self, database):
        """The URL names both servers."""
        return self.primary.create(database).replace(str(self.primary.folder), self.hosts)

    def fail_over(self):
        """The replica is the primary now, alone: there is nobody whom its commits could wait for."""
        self.replica.promote()
        self.primary, self.replica = self.replica, self.primary
        self._set("RESET synchronous_standby_names")

    def close(self):
        for server in (self.primary, self.replica):
            if server.process is not None:
                server.resume()
            server.close()


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.close()


@pytest.fixture
def ledger(pair, tmp_path):
    made = Servers(pair, "ledger", tmp_path)
    yield made
    made.close()


def check(load, ledger, pair):
    """Against the tables of the server that has the ledger now."""
    ledger.database = pair.primary
    load.check(ledger)


@pytest.mark.parametrize("_", ROUNDS)
def test_the_primary_dies_under_load(ledger, pair, _):
    server = ledger.start()
    load = Load(server).accounts().start()
    load.goes_on()
    pair.primary.kill()
    pair.fail_over()
    wait_ready(server)
    load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    check(load, ledger, pair)


def test_a_primary_of_before_commits_nothing(ledger, pair):
    """It hangs while the replica takes over, and wakes up with the old writer's sessions."""
    server = ledger.start()
    load = Load(server).accounts().start()
    load.goes_on()
    pair.primary.pause()
    pair.fail_over()
    load.goes_on(60)
    count = "SELECT count(*) FROM tael_ledger.transfer"
    before = int(pair.primary.sql(count, "ledger"))
    pair.replica.resume()
    time.sleep(1)
    assert int(pair.replica.sql(count, "ledger")) < before
    load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    check(load, ledger, pair)


@pytest.mark.parametrize("gone", ["kill", "pause"] if LONG else ["kill"])
def test_payments_go_on(pair, tmp_path, gone):
    """Documents and ledger are both there."""
    server = Server(tmp_path / "server", on_postgres=False, cluster=False)
    server.documents = (f"--documents={pair.create('documents')}",)
    server.ledger_url = pair.create("ledger") + "&lease_ms=1500"
    http = Http(server.start())
    before = [http.post("/v1/payment_intents", CARD).json() for _ in range(5)]
    getattr(pair.primary, gone)()
    pair.fail_over()
    paid = wait_until(lambda: pay(http), 60, "a payment")
    for intent in [*before, paid]:
        assert http.get(f"/v1/payment_intents/{intent['id']}").json()["status"] == "succeeded"
    settled(server)
    server.stop()


def pay(http):
    """The same payment until it is made: its key is the same."""
    try:
        answer = http.post("/v1/payment_intents", CARD, headers={"Idempotency-Key": "again"})
    except OSError:
        return None
    return answer.json() if answer.status_code == 200 else None
