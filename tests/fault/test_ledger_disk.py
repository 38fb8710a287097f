"""The ledger's journal on a real file system that fails: the power is cut, a sync does not succeed, the
disk is full. What was acknowledged is there, and nothing else is half there.

Mounting and injecting take root. POWER_ROUNDS cuts (2; 100 with TEST_LONG), drawn from POWER_SEED."""

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import threading
import time

import pytest
import requests

from kit.books import metrics
from kit.client import Http
from kit.server import LONG, Server, run_tael, wait_until
from kit.tracer import injected

ROUNDS = int(os.environ.get("POWER_ROUNDS", 100 if LONG else 2))
SEED = int(os.environ.get("POWER_SEED", random.SystemRandom().randrange(1, 10**9) if LONG else 1))
LEDGER = 4100
CLIENTS = 4
BATCH = 20
ACCOUNTS = 8
# _IOR('X', 125, __u32), and: nothing that waits is written, not even the file system's own log.
FS_IOC_SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting and tracing take root")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@contextlib.contextmanager
def mounted(folder, *arguments):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mount(*arguments, folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot mount here: {error.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def of_folder(tmp_path, folder):
    """A server, not started, whose ledger is there; its books are the test's to check."""
    server = Server(tmp_path / "server", f"--ledger=journal:{folder}/ledger",
                    "--ledger-segment-size=4m", "--ledger-snapshot-interval=65536")
    try:
        yield server
    finally:
        if server.process is not None:
            server.kill()


def check(folder):
    checked = run_tael("ledger", "check", folder / "ledger")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def ask(server, what, **body):
    answer = Http(server, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def open_accounts(server):
    events = [{"id": str(n), "ledger": LEDGER, "code": 1} for n in range(1, ACCOUNTS + 1)]
    assert all(result["status"] in ("created", "exists")
               for result in ask(server, "accounts", events=events)["results"])


class Writer(threading.Thread):
    """Sends batches until the first that is not acknowledged."""

    def __init__(self, server, first, seed):
        super().__init__()
        self.http = Http(server, validate=False)
        self.random = random.Random(seed)
        self.next = first
        self.told = []     # what was acknowledged
        self.open = None   # the batch that was not
        self.answer = None
        self.ended = threading.Event()

    def batch(self):
        events = []
        for _ in range(BATCH):
            self.next += 1
            debit, credit = self.random.sample(range(1, ACCOUNTS + 1), 2)
            events.append({"id": str(self.next), "debit_account_id": str(debit), "code": 1,
                           "credit_account_id": str(credit), "amount": "1", "ledger": LEDGER})
        try:
            self.answer = self.http.post("/v1/ledger/transfers", json={"events": events}, timeout=30)
        except requests.exceptions.RequestException:
            self.answer = None
        if self.answer is None or self.answer.status_code != 200:
            self.open = events
            return
        assert all(result["status"] == "created" for result in self.answer.json()["results"])
        self.told += events

    def run(self):
        while self.open is None and not self.ended.is_set():
            self.batch()


def write_along(server, number, count=CLIENTS):
    writers = [Writer(server, (number * 10 + i + 1) * 10**9, SEED + number * 10 + i)
               for i in range(count)]
    for writer in writers:
        writer.start()
    return writers


def stop(writers):
    for writer in writers:
        writer.ended.set()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()


def must_have(server, events):
    for start in range(0, len(events), 1000):
        some = events[start:start + 1000]
        found = {t["id"]: t for t in ask(server, "lookup",
                                         transfers=[e["id"] for e in some])["transfers"]}
        for event in some:
            for name in ("debit_account_id", "credit_account_id", "amount"):
                assert found[event["id"]][name] == event[name], event


def must_agree(server, writers, before):
    """What was acknowledged is there; what was not is whole or not there. Answers all that is."""
    there = before + [event for writer in writers for event in writer.told]
    for writer in writers:
        if writer.open:
            found = ask(server, "lookup", transfers=[e["id"] for e in writer.open])["transfers"]
            assert len(found) in (0, BATCH), "half a batch"
            there += writer.open if found else []
    must_have(server, there)
    listed = ask(server, "lookup", accounts=[str(n) for n in range(1, ACCOUNTS + 1)])["accounts"]
    for side in ("debit", "credit"):
        assert sum(int(account[f"{side}s_posted"]) for account in listed) == len(there)
    return there


def cut_the_power(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, FS_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG))
    except OSError as error:
        pytest.skip(f"this kernel cannot cut a file system's power: {error}")
    finally:
        os.close(handle)


@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is not here")
def test_power_cut(make_server, tmp_path):
    print(f"POWER_SEED={SEED}")
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    folder, chance, there = tmp_path / "disk", random.Random(SEED), []
    with of_folder(tmp_path, folder) as server:
        for number in range(ROUNDS):
            with mounted(folder, "-o", "loop", image):
                server.start()
                open_accounts(server)
                there = must_agree(server, [], there)
                writers = write_along(server, number)
                wanted = chance.randrange(2, 40) * BATCH
                wait_until(lambda: sum(len(writer.told) for writer in writers) >= wanted, 60, "writes")
                time.sleep(chance.random() * 0.02)
                cut_the_power(folder)
                wait_until(lambda: all(writer.open for writer in writers), 60, "the end of writes")
                stop(writers)
                server.kill()
            with mounted(folder, "-o", "loop", image):
                server.start()
                there = must_agree(server, writers, there)
                server.kill()
                check(folder)
    print(f"{ROUNDS} cuts, {len(there)} transfers")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("nth", range(1, 13) if LONG else [1, 4])
def test_failed_sync_stops_the_writer(make_server, nth):
    """The batch that waited is unknown, never done. Nothing is built on what the disk may have: the
    ledger loads again from it, and what is there then stays."""
    server = make_server("--ledger-segment-size=4m")
    open_accounts(server)
    before = metrics(server)["tael_ledger_reloads_total"]
    with injected(server.process.pid, f"fdatasync,fsync:error=EIO:when={nth}"):
        writer = Writer(server, 10**9, nth)
        for _ in range(200):
            writer.batch()
            if writer.open:
                break
    assert writer.open, "no sync failed"
    assert writer.answer is not None and writer.answer.status_code in (500, 503), writer.answer
    # strace counts for each thread, so a sync of the load may fail, too: then it stays stopped.
    wait_until(lambda: metrics(server)["tael_ledger_healthy"] == 1
               or "cannot be loaded again" in server.log(), 30, "the ledger")
    if metrics(server)["tael_ledger_healthy"] == 0:
        stopped = Writer(server, 4 * 10**9, nth)
        stopped.batch()
        assert stopped.answer.status_code == 503, stopped.answer.text
        server.kill()
        server.start()
        before = -1
    reloads = metrics(server)["tael_ledger_reloads_total"]
    there = must_agree(server, [writer], [])
    # Of the documents' sync the ledger knows nothing; of its own each is a load.
    assert reloads in (before, before + 1)
    again = Writer(server, 5 * 10**9, nth)
    again.batch()
    assert again.open is None, again.answer.text
    server.kill()
    server.start()
    must_agree(server, [again], there)
    server.kill()
    server.check_ledger()
    if reloads == before:
        pytest.skip("the sync was not the journal's")


def pay(server):
    return Http(server, validate=False).post("/v1/payment_intents", {
        "amount": "700", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "return_url": "https://shop.example/"}, timeout=60)


def pays_until_refused(server):
    """The first finds out that there is no room, and is processing; it is finished when there is."""
    for _ in range(100):
        answer = pay(server)
        if answer.status_code != 200:
            return answer
    raise AssertionError("payments went on")


def test_full_disk_refuses_writes_and_serves_reads(make_server, tmp_path):
    folder = tmp_path / "disk"
    with (mounted(folder, "-t", "tmpfs", "-o", "size=14m", "none"),
          of_folder(tmp_path, folder) as server):
        server.start()
        open_accounts(server)
        writers = write_along(server, 0)
        wait_until(lambda: all(writer.open for writer in writers), 120, "a full disk")
        stop(writers)
        for writer in writers:
            assert writer.answer.status_code == 503, writer.answer.text
            assert "no room" in writer.answer.json()["error"]["message"]
        there = must_agree(server, writers, [])
        assert len(there) == sum(len(writer.told) for writer in writers), "refused, and done"
        # It stays so, says so, and reads go on.
        for _ in range(20):
            again = Writer(server, 10**11, 1)
            again.batch()
            assert again.answer.status_code == 503
            must_have(server, there[-100:])
        listed = ask(server, "query", op="get_account_transfers", filter={
            "account_id": "1", "flags": ["debits", "credits"], "limit": 10})
        assert len(listed["transfers"]) == 10, listed
        seen = metrics(server)
        assert seen["tael_ledger_full_total"] > 0 and seen["tael_ledger_healthy"] == 1
        assert seen["tael_ledger_reloads_total"] == 0
        refused = pays_until_refused(server)
        assert refused.status_code == 503 and "disk of the ledger" in refused.json()["error"]["message"], refused.text
        ready = Http(server).get("/readyz")
        assert ready.status_code == 503 and "the disk of the ledger is full" in ready.text, ready.text
        mount("-o", "remount,size=200m", folder)

        def goes_on():
            again = Writer(server, 10**11, 1)
            again.batch()
            return again if again.open is None else None

        there = must_agree(server, [wait_until(goes_on, 30, "room to be found")], there)
        wait_until(lambda: Http(server).get("/readyz").status_code == 200, 30, "readiness")
        wait_until(lambda: pay(server).status_code == 200, 30, "payments")
        server.kill()
        check(folder)
        server.start()
        must_agree(server, [], there)
