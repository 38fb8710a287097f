"""The machine's wall clock jumps while a server works: an hour back, a day on. Nothing is done twice, ids and
events stay in order, and what waits goes on waiting or goes on at once.

With documents on PostgreSQL its clock counts, so a jump of one machine is not noticed at all."""

import contextlib
import itertools
import json
import os
import pathlib
import secrets
import select
import sqlite3
import struct
import subprocess
import time
import uuid

import pytest

from kit import postgres
from kit.books import metrics, reconciled, settled
from kit.client import Http, pay, sdk
from kit.needs import skip_without_postgres
from kit.ports import free_port
from kit.receiver import Receiver
from kit.server import PROGRAM, Server, skip_without_fault_points, wait_until, without_tael_settings
from kit.wallets import Wallets

LOOKS_INTO_PROCESS = True
HOUR, DAY = 3600, 86400
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "kit" / "moved_clock.c"
AUTOMATIC = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
             "confirm": "true"}
LEDGER = 4300


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("clock") / "moved_clock.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True,
                       timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no C compiler here")
    return path


class Moved:
    """A server whose wall clock the test sets."""

    def __init__(self, folder, library, url=None, fault=None, keys_of=None, flags=()):
        self.file = folder.parent / f"{folder.name}-clock"
        self.jump(0)
        self.server = Server(folder, "--lock-timeout=30s", *flags, on_postgres=url is not None,
                             cluster=False)
        if url is not None:
            self.server.documents = (f"--documents={url}",)
        self.library = library
        if keys_of is not None:
            (self.server.data / "webhooks").mkdir(parents=True)
            for name in ("webhooks/master.key", "test_secret_key"):
                (self.server.data / name).write_bytes((keys_of.server.data / name).read_bytes())
        self.start(fault)

    def start(self, fault=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(self.library))
            patch.setenv("MOVED_CLOCK", str(self.file))
            self.server.start(fault=fault)
        self.http = Http(self.server, validate=False)

    def jump(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "w+b") as file:
            file.write(struct.pack("q", seconds))


@pytest.fixture(params=["sqlite", "postgres"])
def moved(request, tmp_path, library):
    with contextlib.ExitStack() as stack:
        url = None
        if request.param == "postgres":
            skip_without_postgres()
            url = stack.enter_context(postgres.Postgres()).create("clock")
        made = Moved(tmp_path / "server", library, url)
        made.shared = url is not None
        yield made
        made.server.close()


def made_now(moved):
    answer = moved.http.post("/v1/customers", {"name": "n"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(moved, path):
    return [one["id"] for one in moved.http.get(path, params={"limit": 100}).json()["data"]]


@pytest.mark.parametrize("seconds", [-HOUR, DAY])
def test_order_and_keys(moved, seconds):
    """What was made later has the larger id and is listed first; a key that was used is used; each
    event is delivered."""
    receiver = Receiver()
    endpoint = moved.http.post("/v1/webhook_endpoints", {
        "url": receiver.url(), "enabled_events[]": "customer.created"})
    assert endpoint.status_code == 200, endpoint.text
    key = {"Idempotency-Key": str(uuid.uuid4())}
    before = [made_now(moved) for _ in range(3)]
    paid = moved.http.post("/v1/payment_intents", AUTOMATIC, headers=key).json()
    assert paid["status"] == "succeeded"
    moved.jump(seconds)
    after = [made_now(moved) for _ in range(3)]
    ids = [one["id"] for one in before + after]
    assert ids == sorted(ids)
    assert listed(moved, "/v1/customers") == ids[::-1]
    events = moved.http.get("/v1/events", params={"type": "customer.created"}).json()["data"]
    assert [event["data"]["object"]["id"] for event in events] == ids[::-1]
    shift = after[0]["created"] - before[-1]["created"]
    assert abs(shift - (seconds if seconds > 0 and not moved.shared else 0)) < 60
    if seconds < 0 or moved.shared:  # a day on, keys have had their day
        again = moved.http.post("/v1/payment_intents", AUTOMATIC, headers=key)
        assert again.headers.get("Idempotent-Replayed") == "true"
        assert again.json()["id"] == paid["id"]
    moved.server.kill()
    moved.start()
    later = made_now(moved)["id"]
    assert later > ids[-1], "after a restart, too"
    assert listed(moved, "/v1/customers")[0] == later
    wanted = {*ids, later}
    wait_until(lambda: wanted == {
        one.event["data"]["object"]["id"] for one in receiver.events()}, 30, "every event")
    receiver.close()
    settled(moved.server)
    reconciled(moved.server)


@pytest.mark.parametrize("seconds", [-HOUR, DAY])
def test_work_goes_on(moved, seconds):
    """Payments, wallets' transfers and refunds from before, across and behind the jump."""
    wallets = Wallets(moved.server)
    one, two = wallets.wallet(1000), wallets.wallet(1000)
    paid = moved.http.post("/v1/payment_intents", AUTOMATIC).json()
    moved.jump(seconds)
    refund = moved.http.post("/v1/refunds", {"payment_intent": paid["id"], "amount": 500}).json()
    assert refund["status"] == "succeeded", refund
    assert wallets.send(one, two, 300)["status"] == "succeeded"
    assert moved.http.post("/v1/payment_intents", AUTOMATIC).json()["status"] == "succeeded"
    moved.jump(0)
    assert wallets.send(two, one, 300)["status"] == "succeeded"
    assert [wallets.balance(wallet)["posted"] for wallet in (one, two)] == [1000, 1000]
    settled(moved.server)
    reconciled(moved.server)


def test_the_ledgers_holds_do_not_run_out(moved):
    """A pending transfer of an hour is there after a jump of a day: the ledger's clock follows slowly."""
    def ask(what, **body):
        answer = moved.http.post(f"/v1/ledger/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    ask("accounts", events=[{"id": str(n), "ledger": LEDGER, "code": 1} for n in (1, 2)])
    held = {"id": "7", "debit_account_id": "1", "credit_account_id": "2", "amount": "5", "code": 1,
            "ledger": LEDGER, "flags": ["pending"], "timeout": HOUR}
    assert ask("transfers", events=[held])["results"][0]["status"] == "created"
    for seconds in (DAY, -HOUR):
        moved.jump(seconds)
        time.sleep(2)  # a pulse
        (account,) = ask("lookup", accounts=["1"])["accounts"]
        assert account["debits_pending"] == "5"
    wait_until(lambda: metrics(moved.server)["tael_ledger_clock_alarms_total"] >= 1, 10, "the alarm")
    post = {"id": "8", "pending_id": "7", "flags": ["post_pending_transfer"], "code": 1,
            "ledger": LEDGER, "amount": "5"}
    assert ask("transfers", events=[post])["results"][0]["status"] == "created"


def test_no_lease_is_taken_over(tmp_path, library):
    """An attempt that one process works on is left alone by another whose clock is a day ahead."""
    skip_without_fault_points()
    skip_without_postgres()
    with postgres.Postgres() as database:
        url = database.create("lease")
        slow = Moved(tmp_path / "slow", library, url, fault="authorize-before-rail:delay=3000")
        other = Moved(tmp_path / "other", library, url, keys_of=slow)
        assert other.http.get("/v1/balance").status_code == 200
        other.jump(DAY)
        answer = slow.http.post("/v1/payment_intents", AUTOMATIC)
        assert (answer.status_code, answer.json().get("status")) == (200, "succeeded"), answer.text
        assert len(listed(other, "/v1/charges")) == 1
        slow.server.stop()
        other.server.stop()


def test_the_preload_works(moved):
    moved.jump(DAY)
    assert os.environ.get("MOVED_CLOCK") is None
    if not moved.shared:
        assert made_now(moved)["created"] > time.time() + DAY - 60


def test_a_start_that_waits_is_not_held_up_by_a_clock_that_goes_back(tmp_path, library):
    """As when a machine boots an hour ahead and its time service sets it right: what waits for another service
    looks for it again after a moment of its own, not when that hour is over."""
    place = f"127.0.0.1:{free_port()}"
    key, moved = tmp_path / "key", tmp_path / "clock"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    moved.write_bytes(struct.pack("=q", HOUR))

    def launch(name, *flags, **environment):
        return subprocess.Popen(
            [str(PROGRAM), "server", f"--data={tmp_path / name}", f"--roles={name}",
             f"--internal-key-file={key}", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**without_tael_settings(), **environment})

    cards = launch("cards", f"--vault-at={place}", "--internal-listen=127.0.0.1:0",
                   LD_PRELOAD=str(library), MOVED_CLOCK=str(moved))
    vault = None
    try:
        time.sleep(1)
        vault = launch("vault", f"--internal-listen={place}")
        assert select.select([cards.stdout], [], [], 20)[0], "it still waits"
        assert cards.stdout.readline().startswith("internal: ")
    finally:
        for process in filter(None, (cards, vault)):
            process.kill()
            process.communicate()


def test_a_dispute_of_a_payment_that_is_gone(tmp_path, library):
    """It waits at the head of the network's feed, because its payment might be written yet; after ten minutes
    it is passed over, counted and told, and what is behind it comes."""
    moved = Moved(tmp_path / "server", library)
    server = moved.server
    server.stop()
    server.flags += ("--issuer-dispute-delay=2s",)
    moved.start()
    body = {**AUTOMATIC, "payment_method": "pm_card_createDispute"}
    gone = moved.http.post("/v1/payment_intents", body).json()
    server.stop()
    with contextlib.closing(sqlite3.connect(server.data / "tael.db")) as database:
        assert database.execute("DELETE FROM charge WHERE id = ?", (gone["latest_charge"],)).rowcount == 1
        database.commit()
    moved.start()
    other = moved.http.post("/v1/payment_intents", body).json()
    path = f"/v1/disputes?payment_intent={other['id']}"
    time.sleep(4)
    assert moved.http.get("/v1/disputes").json()["data"] == []
    assert metrics(server)["tael_disputes_unplaced"] == 0
    moved.jump(660)
    wait_until(lambda: moved.http.get(path).json()["data"], 20, "the dispute behind it")
    wait_until(lambda: metrics(server)["tael_disputes_unplaced"] == 1, 20, "the alarm")
    assert "a dispute of a payment that nobody knows" in server.log()
    assert len(moved.http.get("/v1/disputes").json()["data"]) == 1
    server.stop()
    moved.start()
    wait_until(lambda: metrics(server)["tael_disputes_unplaced"] == 1, 20, "the alarm after a restart")
    server.close()


def test_a_dispute_whose_notice_never_comes_is_a_difference(tmp_path, library):
    """The network's feed has no place for it: only the money says so, and only when an hour has passed."""
    moved = Moved(tmp_path / "server", library, flags=("--issuer-dispute-delay=100ms", "--reconcile-interval=20ms"))
    try:
        pay(sdk(moved.server, validate=False), 2000, token="pm_card_createDispute")
        wait_until(lambda: moved.http.get("/v1/disputes").json()["data"], 20, "the dispute")
        moved.server.stop()
        with sqlite3.connect(moved.server.data / "tael.db") as database:
            (body,) = database.execute("SELECT body FROM dispute_cursor").fetchone()
            cursor = {**json.loads(body), "position": 1000}
            database.execute("UPDATE dispute_cursor SET body = ?", (json.dumps(cursor, separators=(",", ":")),))
        moved.start()
        unheard = pay(sdk(moved.server, validate=False), 2100, token="pm_card_createDispute")
        runs = metrics(moved.server)["tael_reconcile_runs_total"]
        wait_until(lambda: metrics(moved.server)["tael_reconcile_runs_total"] >= runs + 3, 60, "three runs")
        assert metrics(moved.server)["tael_differences"] == 0
        hours = itertools.count(2, 2)

        def later():
            moved.jump(next(hours) * HOUR)
            return metrics(moved.server)["tael_differences"]

        assert wait_until(later, 60, "the difference") == 1
        log = moved.server.log()
        assert "taken back by the rail, and no notice came" in log and unheard.latest_charge in log
        assert len(moved.http.get("/v1/disputes").json()["data"]) == 1
    finally:
        moved.server.close()
