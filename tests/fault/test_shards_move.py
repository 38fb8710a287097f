"""Half of a ledger's slots move to a new shard under load, and whoever takes part is killed with
kill -9 at a step: nothing fails, nothing is done twice, nobody waits for long, the books balance.
From and to a journal or a schema of PostgreSQL, in all four ways."""

import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from kit import postgres
from kit.client import Http
from kit.needs import needs_postgres
from kit.server import LONG, PROGRAM, run_tael, wait_until
from kit.shards import SLOTS, Shards, map_text, slot

LEDGER = 7000
PAUSE = 0.5      # of the best of some moves, beside what payments take: the machine may be busy
FOLLOWS = 3.0    # nobody waits longer for a map
STEPS = ("arrive", "copy", "catch-up", "fence", "verify", "flip", "clean-up")
# Which of the two shards, a and b, are on PostgreSQL.
ENGINES = {"journal-journal": "", "journal-postgres": "b", "postgres-journal": "a",
           "postgres-postgres": "ab"}
_numbers = itertools.count(1)


def placed(wanted):
    """A new id in that slot."""
    base = next(_numbers) << 16
    return next(str(base | low) for low in range(1 << 16) if slot(base | low) == wanted)


class Two(Shards):
    """One shard at first; a second process that the map does not name yet."""

    def __init__(self, folder, *flags, **keywords):
        super().__init__(folder, *flags, shards=2, **keywords)

    def write_map(self, epoch=1):
        self.map.write_text(map_text({"ledger-a": self.place_of("ledger-a")}, epoch))

    def start(self, *flags, order=None):
        return super().start(*flags, order=("api", "cards", "vault", "ledger-a"))

    def stop(self, order=None):
        super().stop(("api", "cards", "vault", "ledger-a", "ledger-b"))

    def options(self):
        return [f"--ledger-shards={self.map}", f"--internal-key-file={self.folder}/internal.key",
                "--json"]

    def run_shards(self, *words):
        return run_tael("shards", *words, *self.options())

    def add(self):
        added = run_tael("shards", "add", "ledger-b", f"--at={self.processes['ledger-b'].where()}",
                         f"--ledger-shards={self.map}")
        assert added.returncode == 0, added.stderr
        self.processes["ledger-b"].start()

    def verify(self):
        result = self.run_shards("verify")
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(result.stdout)

    def again(self, name):
        self.processes[name].kill()
        self.processes[name].start()


@pytest.fixture(scope="module")
def database():
    with postgres.Postgres() as made:
        yield made


@pytest.fixture
def two(tmp_path, request):
    engines = ENGINES[request.param]
    base = request.getfixturevalue("database") if engines else None
    if base is not None:
        base.sql("DROP SCHEMA IF EXISTS ledger_a CASCADE; DROP SCHEMA IF EXISTS ledger_b CASCADE")
    made = Two(tmp_path / "cluster", database=base, on_postgres=engines)
    yield made.start()
    made.close()


def on(*names):
    return [pytest.param(name, marks=[needs_postgres] if ENGINES[name] else []) for name in names]


class Payer(threading.Thread):
    """Moves 1 between two accounts of one slot, again and again; by the same id until told. Every
    tenth time it holds the money first, and posts the hold without naming accounts."""

    def __init__(self, server, its_slot):
        super().__init__()
        self.http = Http(server, validate=False)
        self.slot = its_slot
        self.debit, self.credit = placed(its_slot), placed(its_slot)
        self.told = []
        self.refused = []
        self.failure = None
        self.over = threading.Event()

    def ask(self, what, **body):
        return self.http.post(f"/v1/ledger/{what}", json=body)

    def open(self):
        events = [{"id": i, "ledger": LEDGER, "code": 1, "flags": ["history"]}
                  for i in (self.debit, self.credit)]
        wait_until(lambda: self.ask("accounts", events=events).status_code == 200, 10, "accounts")

    def fresh(self):
        return str(10**30 + next(_numbers))

    def do(self, event):
        while not self.over.is_set():
            answer = self.ask("transfers", events=[event])
            if answer.status_code in (500, 503):
                self.refused.append((time.monotonic(), answer.text))
                time.sleep(0.02)
                continue
            status = answer.json()["results"][0]["status"] if answer.status_code == 200 else ""
            if status not in ("created", "exists"):
                self.failure = answer.text
            return self.failure is None
        return False

    def run(self):
        for number in itertools.count():
            event = {"id": self.fresh(), "debit_account_id": self.debit, "code": 1,
                     "credit_account_id": self.credit, "amount": "1", "ledger": LEDGER}
            if number % 10 == 9:
                hold = {**event, "id": self.fresh(), "flags": ["pending"]}
                event = {"id": event["id"], "pending_id": hold["id"], "amount": "1",
                         "flags": ["post_pending_transfer"]}
                if not self.do(hold):
                    return
            if not self.do(event):
                return
            self.told.append(time.monotonic())

    def check(self, before):
        """What it was told is there, once; `before`: the history began then."""
        found = self.ask("lookup", accounts=[self.debit, self.credit]).json()["accounts"]
        assert int(found[0]["debits_posted"]) in (len(self.told), len(self.told) + 1)
        assert found[0]["debits_posted"] == found[1]["credits_posted"]

    def pause(self, begin, end):
        """The longest wait between two answers that lies in this time, by part at least."""
        told = [*self.told, time.monotonic()]
        return max((b - a for a, b in zip(told, told[1:]) if b >= begin and a <= end), default=0)


def payers_of(server, count):
    payers = [Payer(server, SLOTS * (2 * i + 1) // (2 * count)) for i in range(count)]
    for payer in payers:
        payer.open()
        payer.start()
    return payers


def end(payers):
    for payer in payers:
        payer.over.set()
    for payer in payers:
        payer.join()
        assert payer.failure is None, payer.failure
        payer.check(0)


FIRST = "WHERE place = (SELECT max(place) FROM adopted WHERE kind = 3)"
# What is done to the tables of a shard that has adopted slots, what the check says then, and how it is undone.
SPOILED = [
    (f"UPDATE adopted SET amount = amount + 1 {FIRST}", "is not what the transfers add up to",
     f"UPDATE adopted SET amount = amount - 1 {FIRST}"),
    (f"UPDATE adopted SET debit_before = debit_before + 1 {FIRST}", "chain of transfers is broken",
     f"UPDATE adopted SET debit_before = debit_before - 1 {FIRST}"),
    (f"UPDATE adopted SET credit_credits_posted = credit_credits_posted + 1 {FIRST}",
     "recorded balances are not those", f"UPDATE adopted SET credit_credits_posted = "
     f"credit_credits_posted - 1 {FIRST}"),
    (f"UPDATE adopted SET credit_credits_pending = credit_credits_pending + 1 {FIRST}",
     "recorded holds are not those", f"UPDATE adopted SET credit_credits_pending = "
     f"credit_credits_pending - 1 {FIRST}"),
    ("UPDATE adopted SET outcome = 3 WHERE outcome = 2", "did not end as is said of it",
     "UPDATE adopted SET outcome = 2 WHERE outcome = 3"),
]


def check_of_what_was_adopted(database, name, url):
    for spoil, says, mend in SPOILED:
        database.sql(f"SET search_path = {name}; {spoil}")
        result = run_tael("ledger", "check", url)
        assert result.returncode == 1, spoil
        assert says in result.stderr, result.stderr
        database.sql(f"SET search_path = {name}; {mend}")
    assert run_tael("ledger", "check", url).returncode == 0
    shown = database.sql(f"SET search_path = {name}; SELECT count(*), count(*) FILTER (WHERE adopted), "
                         "count(*) FILTER (WHERE kind = 'pending' AND outcome = 'posted') FROM transfers")
    assert all(int(count) > 0 for count in shown.split("|")), shown


@pytest.mark.parametrize("two", on(*ENGINES), indirect=True)
def test_half_of_the_slots_move_under_load(two, request):
    payers = payers_of(two, 8)
    wait_until(lambda: all(payer.told or payer.failure for payer in payers), 10, "payments")
    began = time.monotonic()
    two.add()
    time.sleep(1)
    usual = max(payer.pause(began, time.monotonic()) for payer in payers)
    pauses, shown = [], []
    for words in (("split", "ledger-a", "--to=ledger-b"),
                  ("move", "--slots=8192-12000", "--from=ledger-b", "--to=ledger-a"),
                  ("move", "--slots=8192-12000", "--from=ledger-a", "--to=ledger-b"),
                  ("move", "--slots=9000-10000", "--from=ledger-b", "--to=ledger-a")):
        began = time.monotonic()
        moved = two.run_shards(*words)
        assert moved.returncode == 0, moved.stderr
        ended = time.monotonic()
        time.sleep(0.5)
        pauses.append(max(payer.pause(began, ended) for payer in payers))
        shown.append(moved.stdout)
    refused = [text for payer in payers for _, text in payer.refused]
    end(payers)
    assert refused == []
    print("moved", shown, "usual", usual, "pauses", pauses,
          "transfers", sum(len(payer.told) for payer in payers))
    assert min(pauses) < PAUSE + usual and max(pauses) < FOLLOWS + usual
    assert two.verify()["good"]
    two.stop()
    two.check_ledger()
    if "ledger-b" in two.urls:
        database = request.getfixturevalue("database")
        check_of_what_was_adopted(database, "ledger_b", two.urls["ledger-b"])


CUTS = [(step, victim) for step in STEPS for victim in ("ledger-a", "ledger-b", "mover")]


@pytest.mark.parametrize(("step", "victim"), CUTS if LONG else [("verify", "ledger-a")])
@pytest.mark.parametrize("two", on(*ENGINES) if LONG else on("journal-journal", "postgres-journal"),
                         indirect=True)
def test_killed_at_a_step(two, step, victim):
    payers = payers_of(two, 4)
    two.add()
    time.sleep(0.3)
    words = ("split", "ledger-a", "--to=ledger-b")
    if victim == "mover":
        with subprocess.Popen([PROGRAM, "shards", *words, *two.options()],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as mover:
            time.sleep(random.random() * 0.1)
            mover.send_signal(signal.SIGKILL)
    else:
        cut = two.run_shards("move", "--slots=8192-16383", "--from=ledger-a", "--to=ledger-b",
                         f"--stop-before={step}")
        assert cut.returncode == 1, cut.stdout
        assert "stopped before" in cut.stderr
        two.again(victim)
    moved = two.run_shards("move", "--slots=8192-16383", "--from=ledger-a", "--to=ledger-b")
    assert moved.returncode == 0, moved.stderr
    time.sleep(0.5)
    end(payers)
    assert two.verify()["good"]
    two.stop()
    two.check_ledger()


@pytest.mark.parametrize("two", on("journal-journal"), indirect=True)
def test_a_shard_that_is_not_there_is_told_before_anything_is_begun(two):
    two.add()
    words = ("move", "--slots=8192-16383", "--from=ledger-a", "--to=ledger-b")

    def in_vain(name):
        before = two.map.read_text()
        began = time.monotonic()
        result = two.run_shards(*words)
        assert result.returncode == 1, result.stdout
        assert time.monotonic() - began < 10
        place = two.processes[name].where()
        assert f"nothing was begun: shard {name} at {place}: " in result.stderr, result.stderr
        assert two.map.read_text() == before
        return result.stderr

    for name in ("ledger-a", "ledger-b"):
        shard = two.processes[name]
        shard.process.send_signal(signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, shard.process.pid, os.WSTOPPED)  # or it still answers the first question
            assert "no answer in time" in in_vain(name)
        finally:
            shard.process.send_signal(signal.SIGCONT)
    two.processes["ledger-b"].kill()
    assert "nobody answers" in in_vain("ledger-b")
    two.processes["ledger-b"].start()
    moved = two.run_shards(*words)
    assert moved.returncode == 0, moved.stderr
    assert two.verify()["good"]


@needs_postgres
def test_the_fence_holds_at_whoever_takes_over(tmp_path, database):
    """The source's process is killed behind the fence, and another one takes its ledger over, which has
    never heard of the move: the fence is kept with the ledger. So the rest of the move finds what it copied."""
    database.sql("DROP SCHEMA IF EXISTS ledger_a CASCADE; DROP SCHEMA IF EXISTS ledger_b CASCADE")
    two = Two(tmp_path / "cluster", database=database, on_postgres="a", standbys="a")
    try:
        two.start()
        moving, staying = Payer(two, 12000), Payer(two, 100)
        for payer in (moving, staying):
            payer.open()
        two.add()
        words = ("move", "--slots=8192-16383", "--from=ledger-a", "--to=ledger-b")
        cut = two.run_shards(*words, "--stop-before=verify")
        assert "stopped before verify" in cut.stderr
        two.processes["ledger-a"].kill()

        def pay(payer):
            event = {"id": payer.fresh(), "debit_account_id": payer.debit, "code": 1, "amount": "1",
                     "credit_account_id": payer.credit, "ledger": LEDGER}
            return payer.ask("transfers", events=[event])

        wait_until(lambda: pay(staying).status_code == 200, 20, "the other process to take over")
        answer = pay(moving)
        assert answer.status_code == 503, answer.text
        done = two.run_shards(*words)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: pay(moving).status_code == 200, 20, "the new map to be known")
        assert pay(moving).json()["results"][0]["status"] == "created"
        wait_until(lambda: two.run_shards("verify").returncode == 0, 20, "the one that took over to be found")
        assert two.verify()["good"]
        two.processes["ledger-a-2"].kill()
        two.processes["ledger-b"].kill()
        two.check_ledger()
    finally:
        two.close()
