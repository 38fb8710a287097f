"""One shard of a ledger is killed under load and started again, then another: what is on the others
goes on, nothing that was told is lost, and nothing is done twice."""

import itertools
import threading
import time

import pytest

from kit.client import Http
from kit.server import wait_until
from kit.shards import Shards, shard_of

LEDGER = 7000
DOWN = 1.5
_ids = itertools.count(10**12)


@pytest.fixture
def shards(tmp_path):
    made = Shards(tmp_path / "cluster").start()
    yield made
    made.close()


class Payer(threading.Thread):
    """Moves 1 between two accounts of one shard, again and again; by the same id until told."""

    def __init__(self, server, shard):
        super().__init__()
        self.http = Http(server, validate=False)
        numbers = [number for number in itertools.islice(_ids, 200) if shard_of(number) == shard]
        self.debit, self.credit = (str(number) for number in numbers[:2])
        self.told = []  # when it was told
        self.refused = 0
        self.failure = None
        self.over = threading.Event()

    def ask(self, what, **body):
        return self.http.post(f"/v1/ledger/{what}", json=body)

    def open(self):
        events = [{"id": i, "ledger": LEDGER, "code": 1} for i in (self.debit, self.credit)]
        assert self.ask("accounts", events=events).status_code == 200

    def run(self):
        event = None
        while not self.over.is_set():
            event = event or {
                "id": f"{self.debit}{len(self.told):06}", "debit_account_id": self.debit,
                "credit_account_id": self.credit, "amount": "1", "ledger": LEDGER, "code": 1}
            answer = self.ask("transfers", events=[event])
            if answer.status_code in (500, 503):
                self.refused += 1
                time.sleep(0.02)
                continue
            if answer.status_code != 200 or answer.json()["results"][0]["status"] not in (
                    "created", "exists"):
                self.failure = answer.text
                return
            self.told.append(time.monotonic())
            event = None

    def posted(self):
        found = self.ask("lookup", accounts=[self.credit]).json()["accounts"][0]
        return int(found["credits_posted"])


def test_a_shard_is_killed_under_load(shards):
    payers = [Payer(shards, shard) for shard in range(4)]
    for payer in payers:
        payer.open()
    for payer in payers:
        payer.start()
    for victim in (1, 3):
        time.sleep(0.5)
        shards.processes[shards.ledgers[victim]].kill()
        killed = time.monotonic()
        time.sleep(DOWN)

        def told_since(payer):  # what was answered by then may arrive a moment later
            return sum(moment > killed + 0.2 for moment in payer.told)

        for payer in payers[:victim] + payers[victim + 1:]:
            wait_until(lambda payer=payer: told_since(payer) > 0, 10, "what is on the others")
        assert told_since(payers[victim]) == 0
        shards.processes[shards.ledgers[victim]].start()
        before = len(payers[victim].told)
        wait_until(lambda payer=payers[victim], n=before: len(payer.told) > n, 20, "its return")
    for payer in payers:
        payer.over.set()
    for payer in payers:
        payer.join()
        assert payer.failure is None
        assert len(payer.told) > 10
        # The one that was under way at the end was told too, so the books have what was told.
        assert payer.posted() == len(payer.told)
    assert payers[1].refused > 0


def test_a_newer_map_is_learnt_of_from_shards_and_by_them(shards):
    payer = Payer(shards, 0)
    payer.open()
    shards.write_map(epoch=2)
    name = shards.ledgers[0]
    shards.processes[name].stop()
    shards.processes[name].start()
    # The API reads the map again when it is told that it moved.
    payer.open()
    # And the others, when a request comes by it.
    for shard in range(1, 4):
        other = Payer(shards, shard)
        other.open()
