"""kill -9 while snapshots are written nearly all the time: every transfer that was acknowledged is
found again, with the balances and the fate that it had; a start reads little of the journal."""

import random
import re
import threading
import time

import pytest
import requests

from kit.books import metrics
from kit.client import Http
from kit.server import LONG, wait_until

ROUNDS = 200 if LONG else 4
CLIENTS = 4
ACCOUNTS = 40
BATCH = 25
LEDGER = 3000
INTERVAL = 64 * 1024


def ask(server, what, **body):
    answer = Http(server, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


class Writer(threading.Thread):
    """Batches of plain, pending, posting and voiding transfers; remembers what was acknowledged."""

    def __init__(self, server, number, first):
        super().__init__()
        self.http = Http(server, validate=False)
        self.random = random.Random(number)
        self.next = first
        self.ended = threading.Event()
        self.acknowledged = {}  # id -> event
        self.unknown = None  # the batch without an answer
        self.pending = []
        self.failure = None

    def event(self):
        self.next += 1
        debit, credit = self.random.sample(range(1, ACCOUNTS + 1), 2)
        event = {"id": str(self.next), "debit_account_id": str(debit),
                 "credit_account_id": str(credit), "amount": str(self.random.randrange(1, 9)),
                 "ledger": LEDGER, "code": 1}
        choice = self.random.random()
        if choice < 0.3:
            event |= {"flags": ["pending"], "timeout": self.random.choice([0, 1, 3600])}
        elif choice < 0.5 and self.pending:
            held = self.pending.pop(self.random.randrange(len(self.pending)))
            kind = self.random.choice(["post_pending_transfer", "void_pending_transfer"])
            event |= {name: held[name] for name in
                      ("debit_account_id", "credit_account_id", "amount")}
            event |= {"flags": [kind], "pending_id": held["id"]}
        return event

    def batch(self):
        events = [self.event() for _ in range(BATCH)]
        try:
            answer = self.http.post("/v1/ledger/transfers", json={"events": events}, timeout=20)
        except requests.exceptions.RequestException:
            self.unknown = events
            return
        assert answer.status_code == 200, answer.text
        for event, result in zip(events, answer.json()["results"]):
            if result["status"] == "created":
                self.acknowledged[event["id"]] = event
                if event.get("flags") == ["pending"] and event["timeout"] != 1:
                    self.pending.append(event)
            else:
                assert result["status"] == "pending_transfer_expired", result

    def run(self):
        try:
            while not self.ended.is_set() and self.unknown is None:
                self.batch()
        except Exception as error:  # a thread's exception would go unnoticed
            self.failure = error


def found(server, ids):
    answers = {}
    for start in range(0, len(ids), 1000):
        for transfer in ask(server, "lookup", transfers=ids[start:start + 1000])["transfers"]:
            answers[transfer["id"]] = transfer
    return answers


def must_be_there(server, acknowledged):
    there = found(server, list(acknowledged))
    for identity, event in acknowledged.items():
        transfer = there[identity]
        for name in ("debit_account_id", "credit_account_id", "amount"):
            assert transfer[name] == event[name], (event, transfer)


def balances(server):
    listed = ask(server, "lookup", accounts=[str(n) for n in range(1, ACCOUNTS + 1)])["accounts"]
    names = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
    return [sum(int(account[name]) for account in listed) for name in names]


def one_round(server, number, first):
    writers = [Writer(server, number * 100 + index, first + index * 10**6)
               for index in range(CLIENTS)]
    for writer in writers:
        writer.start()
    chance = random.Random(number)
    wanted = chance.randrange(5, 40) * BATCH
    wait_until(lambda: sum(len(writer.acknowledged) for writer in writers) >= wanted
               or any(writer.failure for writer in writers), 60, "enough transfers")
    time.sleep(chance.random() * 0.01)
    server.kill()
    for writer in writers:
        writer.ended.set()
        writer.join(60)
        if writer.failure:
            raise writer.failure
    return writers


def test_kill_while_snapshots_are_written(make_server):
    server = make_server("--ledger-segment-size=4m", f"--ledger-snapshot-interval={INTERVAL}")
    accounts = [{"id": str(n), "ledger": LEDGER, "code": 1} for n in range(1, ACCOUNTS + 1)]
    assert all(result["status"] == "created"
               for result in ask(server, "accounts", events=accounts)["results"])
    everything, loaded = {}, 0
    for number in range(ROUNDS):
        writers = one_round(server, number, (number + 1) * 10**9)
        server.start()
        told = {}
        for writer in writers:
            told |= writer.acknowledged
            # Done before or now, all of the batch or nothing.
            if writer.unknown:
                before = found(server, [event["id"] for event in writer.unknown])
                results = ask(server, "transfers", events=writer.unknown)["results"]
                for event, result in zip(writer.unknown, results):
                    if event["id"] in before:
                        assert result["status"] == "exists", result
        must_be_there(server, told)
        everything |= told
        debits, credits, debits_pending, credits_pending = balances(server)
        assert debits == credits and debits_pending == credits_pending
        seen = metrics(server)
        if seen["tael_ledger_snapshot_timestamp_seconds"] > 0:
            loaded += 1
            # The interval, what was copied meanwhile, and what the size of a snapshot asks for.
            assert seen["tael_ledger_load_bytes"] < 40 * INTERVAL
        assert seen["tael_ledger_snapshot_failures_total"] == 0
    assert loaded >= ROUNDS / 2
    must_be_there(server, everything)
    server.kill()
    assert len(list((server.data / "ledger" / "snapshot").glob("*.snap"))) <= 3
    server.check_ledger()


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("count", [1, 2])
def test_damaged_snapshots_are_passed_over(make_server, count):
    server = make_server("--ledger-segment-size=4m", f"--ledger-snapshot-interval={INTERVAL}")
    accounts = [{"id": str(n), "ledger": LEDGER, "code": 1} for n in range(1, ACCOUNTS + 1)]
    ask(server, "accounts", events=accounts)
    writer = Writer(server, 1, 10**9)
    folder = server.data / "ledger" / "snapshot"
    for _ in range(1000):
        writer.batch()
        if len(list(folder.glob("*.snap"))) >= 2:
            break
    server.kill()
    newest = sorted(folder.glob("*.snap"))[-count:]
    assert len(newest) == count
    for path in newest:
        damage(path)
    server.start()
    must_be_there(server, writer.acknowledged)
    log = server.log()
    for path in newest:
        assert re.search(rf"a snapshot is passed over: \S*{path.name}: offset \d+: ", log), log
