"""The ledger on PostgreSQL: whatever dies, stops or falls silent, what was acknowledged is there
exactly once, what was not can be asked for by id, and of two servers one writes."""

import itertools
import os
import random
import signal
import threading
import time
import uuid

import pytest
import requests

from kit import postgres
from kit.client import Http
from kit.cut import Cut
from kit.needs import needs_postgres
from kit.server import LONG, Server, run_tael, wait_until

pytestmark = needs_postgres

LEDGER = 7000
ACCOUNTS = 20
LEASE = 1.5  # seconds
CREATED, EXISTS = "created", "exists"


@pytest.fixture
def database():
    with postgres.Postgres() as made:
        yield made


@pytest.fixture
def ledger(database, tmp_path):
    """Makes servers on one ledger."""
    name = f"ledger_{uuid.uuid4().hex[:8]}"
    made = Servers(database, name, tmp_path)
    yield made
    made.close()


class Servers:
    def __init__(self, database, name, folder):
        self.database, self.name, self.folder = database, name, folder
        self.place = database.create(name)
        self.url = self.leased(LEASE)
        self.made = []

    def leased(self, seconds):
        return f"{self.place}&lease_ms={int(seconds * 1000)}"

    def start(self, *flags, url=None):
        server = Server(self.folder / f"server-{len(self.made)}", *flags, on_postgres=False,
                        cluster=False)
        server.ledger_url = url or self.url
        self.made.append(server)
        return server.start()

    def close(self):
        for server in self.made:
            if server.process is not None:
                server.process.send_signal(signal.SIGCONT)
                server.process.kill()
                server.process.wait()
                server.process = None

    def sql(self, text):
        return self.database.sql(f"SET search_path = tael_ledger; {text}", self.name)

    def check(self):
        result = run_tael("ledger", "check", self.url)
        assert result.returncode == 0, result.stdout + result.stderr


def ready(server):
    """/readyz, and why not."""
    try:
        answer = requests.get(server.url + "/readyz", timeout=5)
    except requests.RequestException:
        return False, "no answer"
    return answer.status_code == 200, answer.text


def wait_ready(server, seconds=30):
    wait_until(lambda: ready(server)[0], seconds, f"readiness ({ready(server)[1]})")


class Load:
    """Clients that move money with ids of their own, and note what they were told."""

    def __init__(self, server, clients=8, batch=5, first=10**9):
        self.servers = [server]
        self.batch = batch
        self.told = {}     # id: status, of what was answered
        self.unknown = {}  # id: event, of what was sent and not answered
        self.wrong = []
        self.lock = threading.Lock()
        self.ends = threading.Event()
        self.ids = itertools.count(first)
        self.threads = [threading.Thread(target=self._client, args=(seed,), daemon=True)
                        for seed in range(clients)]

    def accounts(self):
        events = [{"id": str(i + 1), "ledger": LEDGER, "code": 1} for i in range(ACCOUNTS)]
        answer = ask(self.servers[0], "accounts", events)
        assert {result["status"] for result in answer} <= {CREATED, EXISTS}
        return self

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def _client(self, seed):
        choose = random.Random(seed)
        while not self.ends.is_set():
            with self.lock:
                events = [self._event(choose) for _ in range(self.batch)]
            self._send(events, choose.choice(self.servers))

    def _event(self, choose):
        debit, credit = choose.sample(range(1, ACCOUNTS + 1), 2)
        return {"id": str(next(self.ids)), "debit_account_id": str(debit),
                "credit_account_id": str(credit), "amount": str(choose.randint(1, 1000)),
                "ledger": LEDGER, "code": 1}

    def _send(self, events, server):
        try:
            results = ask(server, "transfers", events)
        except Unanswered:
            with self.lock:
                self.unknown.update((event["id"], event) for event in events)
            time.sleep(0.02)
            return
        with self.lock:
            for event, result in zip(events, results, strict=True):
                self.told[event["id"]] = result["status"]
                if result["status"] != CREATED:
                    self.wrong.append((event, result))

    def goes_on(self, seconds=30):
        """Waits until something more is acknowledged."""
        before = len(self.told)
        wait_until(lambda: len(self.told) > before + 20, seconds, "more transfers")

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(60)
        return self

    def settle(self, server):
        """Asks again for what was not answered: done before or now, never twice."""
        for event in self.unknown.values():
            status = ask(server, "transfers", [event])[0]["status"]
            assert status in (CREATED, EXISTS), status
            self.told[event["id"]] = CREATED

    def check(self, ledger):
        """Every acknowledged transfer is in the tables once, and nothing else is."""
        assert not self.wrong, self.wrong[:3]
        assert self.told
        rows = ledger.sql("SELECT id_number(id) FROM transfer").split()
        assert len(rows) == len(set(rows))
        assert set(rows) == set(self.told)
        ledger.check()


class Unanswered(Exception):
    """Nothing is known of it, or nothing was done: 5xx, or no answer."""


def ask(server, what, events):
    try:
        answer = Http(server, validate=False).post(
            f"/v1/ledger/{what}", json={"events": events}, timeout=20)
    except (requests.RequestException, OSError) as problem:
        raise Unanswered from problem
    if answer.status_code >= 500:
        raise Unanswered(answer.text)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


# ---- the server dies ------------------------------------------------------------------------------


def test_kill_of_the_server_under_load(ledger):
    server = ledger.start()
    load = Load(server).accounts().start()
    for _ in range(20 if LONG else 2):
        load.goes_on()
        server.kill()
        server.start()
        wait_ready(server)
    load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    load.check(ledger)


def test_stop_gives_the_ledger_back_at_once(ledger):
    """Who starts next does not wait for the lease, which is far longer than a start."""
    server = ledger.start(url=ledger.url.replace(f"={int(LEASE * 1000)}", "=600000"))
    Load(server).accounts()
    server.stop()
    server.start()
    wait_ready(server)
    assert ledger.sql("SELECT term FROM writer") == "2"
    server.stop()
    ledger.check()


def test_who_makes_tables_waits_for_others_that_do(ledger):
    """Longer than for any lock of a server that works: shards that start together make theirs in turn."""
    others = threading.Thread(target=ledger.database.sql, args=(
        "SELECT pg_advisory_xact_lock(7377863216), pg_sleep(5)", ledger.name))
    others.start()
    wait_until(lambda: ledger.database.sql(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", ledger.name) == "1", 10, "the others")
    server = ledger.start()
    others.join()
    wait_ready(server)


# As an older program made it: before slots could move to such a ledger.
FIRST_LAYOUT = """
DROP VIEW transfers; DROP VIEW event; DROP TABLE adopted; DROP TABLE note;
ALTER TABLE failed_id DROP COLUMN number;
CREATE VIEW transfers AS SELECT t.id FROM transfer t JOIN account d ON d.slot = t.debit_account;
UPDATE writer SET layout = 1
"""


def test_tables_of_an_older_program_are_brought_up(ledger):
    server = ledger.start()
    load = Load(server).accounts().start()
    load.goes_on()
    load.stop()
    server.stop()
    ledger.sql("INSERT INTO failed_id (id) VALUES (gen_random_uuid()), (gen_random_uuid())")
    ledger.sql(FIRST_LAYOUT)
    result = run_tael("ledger", "check", ledger.url)
    assert result.returncode == 1
    assert "layout 1" in result.stderr, result.stderr
    server.start()
    wait_ready(server)
    assert ledger.sql("SELECT layout FROM writer") == "2"
    assert ledger.sql("SELECT count(number), max(number) FROM failed_id") == "2|2"
    again = Load(server, first=2 * 10**9).start()
    again.goes_on()
    again.stop()
    server.stop()
    load.told.update(again.told)
    load.check(ledger)
    assert int(ledger.sql("SELECT count(*) FROM transfers WHERE NOT adopted")) == len(load.told)


# ---- the database dies ----------------------------------------------------------------------------


def test_kill_of_the_database_under_load(ledger, database):
    server = ledger.start()
    load = Load(server).accounts().start()
    for pause in (0, LEASE / 3, 2 * LEASE):  # shorter and longer than the lease
        load.goes_on()
        database.kill()
        time.sleep(pause)
        database.start()
        wait_ready(server)
        load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    load.check(ledger)


def test_a_database_that_is_gone_makes_the_server_not_ready(ledger, database):
    server = ledger.start()
    Load(server).accounts()
    database.kill()
    wait_until(lambda: "cannot be reached" in ready(server)[1], 20, "the reason")
    with pytest.raises(Unanswered):
        ask(server, "transfers", [])
    database.start()
    wait_ready(server)
    server.stop()
    ledger.check()


def test_an_error_of_the_database_is_not_acknowledged(ledger):
    """As of a full disk: the database refuses to write, for a while."""
    server = ledger.start()
    load = Load(server).accounts().start()
    load.goes_on()
    ledger.sql("CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE "
               "'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$; "
               "CREATE TRIGGER no_space BEFORE INSERT ON transfer EXECUTE FUNCTION no_space()")
    wait_until(lambda: load.unknown, 20, "a refusal")
    count = ledger.sql("SELECT count(*) FROM transfer")
    time.sleep(0.5)
    assert ledger.sql("SELECT count(*) FROM transfer") == count
    ledger.sql("DROP TRIGGER no_space ON transfer")
    load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    load.check(ledger)


# ---- the connection dies --------------------------------------------------------------------------


def test_the_answer_to_a_commit_is_lost(ledger, database):
    """It was committed, and nobody said so: the server looks, and answers right."""
    cut = Cut(database.folder)
    server = ledger.start(url=cut.url(ledger.leased(20)))
    load = Load(server).accounts().start()
    for number in range(1, 6):
        load.goes_on()
        cut.deaf.set()
        wait_until(lambda number=number: cut.cuts == number, 20, "a cut")
    load.goes_on()
    load.stop()
    assert not load.unknown, "every one could be found out within the lease"
    server.stop()
    cut.close()
    load.check(ledger)


def test_connections_break_anywhere(ledger, database):
    cut = Cut(database.folder)
    server = ledger.start(url=cut.url(ledger.url))
    load = Load(server).accounts().start()
    choose = random.Random(7)
    for _ in range(25):
        time.sleep(choose.uniform(0, 0.15))
        cut.cut_all()
    load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    cut.close()
    load.check(ledger)


def test_the_answer_to_a_commit_never_comes(ledger, database):
    """The lease runs out before the database is back: unknown, and settled by asking again."""
    cut = Cut(database.folder)
    server = ledger.start(url=cut.url(ledger.url))
    load = Load(server).accounts().start()
    load.goes_on()
    cut.refuses.set()
    cut.deaf.set()
    wait_until(lambda: cut.cuts == 1, 20, "a cut")
    cut.cut_all()
    wait_until(lambda: load.unknown and not ready(server)[0], 20, "that it is not known")
    cut.refuses.clear()
    wait_ready(server)
    load.goes_on()
    load.stop()
    load.settle(server)
    server.stop()
    cut.close()
    load.check(ledger)


# ---- two servers ----------------------------------------------------------------------------------


def test_a_database_that_takes_no_writes_is_called_so(ledger, tmp_path):
    """As a standby is that nobody promoted, or a primary that is one by now."""
    def writes(may):
        ledger.database.sql(f"ALTER DATABASE {ledger.name} SET default_transaction_read_only = {may}")
        ledger.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            f"WHERE datname = '{ledger.name}'")

    server = ledger.start()
    Load(server).accounts()
    writes("on")
    event = {"id": "5", "debit_account_id": "1", "credit_account_id": "2", "amount": "1",
             "ledger": LEDGER, "code": 1}

    def refused():
        answer = Http(server, validate=False).post("/v1/ledger/transfers", json={"events": [event]})
        return answer.status_code == 503 and answer.json()["error"]["message"]

    said = wait_until(refused, 20, "503")
    assert "did nothing" in said and "room" not in said, said
    why = wait_until(lambda: not ready(server)[0] and ready(server)[1], 20, "503 of /readyz")
    assert "the ledger's database cannot be reached or used; the log says why" in why
    wait_until(lambda: "read-only" in server.log(), 20, "the reason in the log")
    started = run_tael("server", f"--data={tmp_path}/other", f"--ledger={ledger.url}", "--listen=127.0.0.1:0")
    assert started.returncode == 1 and "read-only" in started.stderr, started.stderr
    writes("off")
    wait_ready(server)
    assert ask(server, "transfers", [event])[0]["status"] == CREATED


def test_a_standby_takes_over_and_the_old_writer_cannot_commit(ledger):
    first = ledger.start()
    load = Load(first).accounts().start()
    load.goes_on()
    second = ledger.start()
    good, why = ready(second)
    assert not good and "another server holds the ledger" in why
    os.kill(first.process.pid, signal.SIGSTOP)
    wait_ready(second)
    load.servers.append(second)
    load.goes_on(60)
    os.kill(first.process.pid, signal.SIGCONT)
    # It finds out by itself, and says so; whatever it had under way was not done.
    wait_until(lambda: "another server holds the ledger" in ready(first)[1], 20, "the old writer")
    load.servers.remove(first)
    load.goes_on()
    load.stop()
    load.settle(second)
    assert "taken over" in first.log() or "lease" in first.log()
    # And back again.
    second.stop()
    wait_ready(first)
    assert ask(first, "transfers", [next(iter(load.unknown.values()))])[0]["status"] == EXISTS
    first.stop()
    load.check(ledger)


def test_a_writer_that_stops_within_a_transaction(ledger, database):
    """Its session holds the writer's row: the standby ends it."""
    cut = Cut(database.folder)
    first = ledger.start(url=cut.url(ledger.url))
    load = Load(first, batch=400).accounts().start()
    load.goes_on()
    second = ledger.start()
    for _ in range(200):  # until it is caught between BEGIN and COMMIT
        os.kill(first.process.pid, signal.SIGSTOP)
        time.sleep(0.02)
        if ledger.sql("SELECT count(*) FROM writer w JOIN pg_stat_activity a ON a.pid = w.pid "
                      "WHERE a.state LIKE 'idle in transaction%' OR (a.state = 'active' "
                      "AND a.wait_event = 'ClientRead')") == "1":
            break
        os.kill(first.process.pid, signal.SIGCONT)
        time.sleep(0.01)
    wait_ready(second, 30)
    os.kill(first.process.pid, signal.SIGCONT)
    wait_until(lambda: "another server holds the ledger" in ready(first)[1], 20, "the old writer")
    load.stop()
    load.settle(second)
    first.stop()
    second.stop()
    cut.close()
    load.check(ledger)


def test_a_deposed_writer_reads_nothing_old(ledger):
    """What it still has in memory may be of the past: it answers no look-up."""
    first = ledger.start()
    Load(first).accounts()
    second = ledger.start()
    os.kill(first.process.pid, signal.SIGSTOP)
    wait_ready(second)
    event = {"id": "77", "debit_account_id": "1", "credit_account_id": "2", "amount": "5",
             "ledger": LEDGER, "code": 1}
    assert ask(second, "transfers", [event])[0]["status"] == CREATED
    os.kill(first.process.pid, signal.SIGCONT)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        answer = Http(first, validate=False).post("/v1/ledger/lookup", json={"accounts": ["1"]})
        assert answer.status_code == 503, answer.text
        time.sleep(0.01)
    first.stop()
    second.stop()
    ledger.check()


# ---- the check ------------------------------------------------------------------------------------


SPOILED = [
    ("UPDATE account SET debits_posted = debits_posted + 1 WHERE slot = 3", "debits are not credits"),
    ("UPDATE account SET debits_posted = debits_posted + 1, credits_posted = credits_posted + 1 "
     "WHERE slot = 3", "not what the transfers add up to"),
    ("UPDATE transfer SET amount = amount + 1 WHERE timestamp = (SELECT min(timestamp) FROM "
     "transfer)", "not what the transfers add up to"),
    ("UPDATE transfer SET debit_before = 1 WHERE timestamp = (SELECT max(timestamp) FROM transfer)",
     "chain of transfers is broken"),
    ("UPDATE account SET last_transfer = last_transfer + 1 WHERE slot = 5", "newest transfer"),
    ("UPDATE transfer SET debit_debits_posted = debit_debits_posted + 1 WHERE timestamp = (SELECT "
     "max(timestamp) FROM transfer)", "recorded balances"),
    ("DELETE FROM transfer WHERE timestamp = (SELECT min(timestamp) FROM transfer)", "add up to"),
    ("INSERT INTO failed_id SELECT id FROM transfer LIMIT 1", "failed id"),
    ("INSERT INTO pending SELECT id, 2, 1 FROM transfer LIMIT 1", "pending"),
    ("UPDATE writer SET clock = 5", "clock"),
]


def test_check_finds_what_was_spoiled(ledger, database):
    server = ledger.start()
    load = Load(server).accounts().start()
    wait_until(lambda: len(load.told) > 200, 30, "transfers")
    load.stop()
    ledger.check()  # while the server has it
    server.stop()
    load.check(ledger)
    for number, (spoil, says) in enumerate(SPOILED):
        name = f"{ledger.name}_{number}"
        database.sql(f'CREATE DATABASE "{name}" TEMPLATE "{ledger.name}" STRATEGY wal_log')
        database.sql(f"SET search_path = tael_ledger; {spoil}", name)
        result = run_tael("ledger", "check", database.url(name))
        assert result.returncode == 1, spoil
        assert says in result.stderr, result.stderr
    result = run_tael("ledger", "check", ledger.url + "&schema=nothing")
    assert result.returncode == 1
    assert "no ledger" in result.stderr


def test_sums_beyond_128_bits_are_no_damage(ledger):
    """Balances fit 128 bits; those of all accounts of a ledger together need not."""
    server = ledger.start()
    accounts = [{"id": str(n), "ledger": LEDGER, "code": 1} for n in range(1, 7)]
    assert {result["status"] for result in ask(server, "accounts", accounts)} == {"created"}
    transfers = [{"id": str(n), "debit_account_id": str(n), "credit_account_id": str(n + 1),
                  "amount": str(2**128 - 1), "ledger": LEDGER, "code": 1} for n in (1, 3, 5)]
    transfers[2]["flags"] = ["pending"]
    assert {result["status"] for result in ask(server, "transfers", transfers)} == {"created"}
    server.stop()
    ledger.check()
