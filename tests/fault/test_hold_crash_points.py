"""A hold between two shards, and a crash at each step of its making, its posting and its voiding: of the
API's process, which coordinates, and of either shard. Whoever asks again by the same id is told that it is
done, once, on both sides; and if nobody asks, the posting ends by itself, with both halves or none.

The short form has one crash for each that may die; with TEST_LONG all."""

import itertools
import threading

import pytest

from kit.doors import Doors
from kit.server import LONG, skip_without_fault_points, wait_until
from kit.shards import shard_of
from test_crash_points import points_in_sources

LEDGER = 7000
HELD, POSTED = 9, 7
COORDINATOR, PAYER, PAYEE = "api", "ledger-a", "ledger-b"
# A resolver's sweep, deadline and sweep, on a machine that is busy with other tests.
END_SECONDS = 30
_ids = itertools.count(10**12)

# What is asked; who dies; where, @ the so many-th time; and has a posting been decided by then?
CRASHES = [
    ("post", COORDINATOR, "cross-before-post", True),
    ("post", PAYER, "ledger-before-answer@1", True),
    ("post", PAYEE, "ledger-before-answer@1", False),
    ("void", PAYER, "ledger-before-answer@1", None),
    ("hold", COORDINATOR, "cross-before-hold", None),
    ("hold", COORDINATOR, "cross-before-answer", None),
    ("hold", PAYER, "ledger-before-commit@1", None),
    ("hold", PAYER, "ledger-before-answer@1", None),
    ("post", COORDINATOR, "cross-before-prepare", False),
    ("post", COORDINATOR, "cross-before-decide", False),
    ("post", COORDINATOR, "cross-before-answer", True),
    ("post", PAYER, "ledger-before-commit@1", False),
    ("post", PAYEE, "ledger-before-commit@1", False),
    ("post", PAYEE, "ledger-before-commit@2", True),
    ("post", PAYEE, "ledger-before-answer@2", True),
    ("void", COORDINATOR, "cross-before-end", None),
    ("void", COORDINATOR, "cross-before-answer", None),
    ("void", PAYER, "ledger-before-commit@1", None),
]
SHORT = 4
SOME = CRASHES if LONG else CRASHES[:SHORT]
# Where the coordinator dies, and its client with it.
ALONE = [(point, decided) for what, who, point, decided in CRASHES
         if what == "post" and who == COORDINATOR][:None if LONG else 1]


def test_every_point_is_visited():
    ours = {one for one in points_in_sources() if one.startswith(("cross-", "ledger-"))}
    assert ours == {point.split("@")[0] for _, _, point, _ in CRASHES}


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    skip_without_fault_points()
    made = Doors(tmp_path_factory.mktemp("holds") / "cluster", shards=2).start()
    yield made
    made.close()


class Pair:
    """A payer on the first shard and a payee on the second, and what they have been told."""

    def __init__(self, doors):
        self.doors = doors
        self.dying, self.other = doors.doors()
        self.payer, self.payee = (
            str(next(n for n in _ids if shard_of(n, 2) == shard)) for shard in range(2))
        events = [{"id": one, "ledger": LEDGER, "code": 1} for one in (self.payer, self.payee)]
        results = self.other.ask("accounts", events=events)["results"]
        assert [one["status"] for one in results] == ["created"] * 2
        # So that both coordinators know that the protocol's accounts are there.
        for door in (self.dying, self.other):
            hold = self.event("hold", None, 1)
            assert self.outcome(hold, door) in ("created", "exists")
            assert self.outcome(self.event("post", hold, 1), door) in ("created", "exists")
        self.wait(2, 0)

    def event(self, what, hold, amount):
        event = {"id": str(next(_ids)), "debit_account_id": self.payer, "credit_account_id": self.payee,
                 "amount": str(amount), "ledger": LEDGER, "code": 1, "flags": [
                     {"hold": "pending", "post": "post_pending_transfer",
                      "void": "void_pending_transfer"}[what]]}
        return {**event, "pending_id": hold["id"]} if hold else event

    @staticmethod
    def outcome(event, door):
        """What its client is told, who asks by the same id for as long as nobody knows."""
        answer = None
        while answer is None:
            answer = door.ask("transfers", events=[event])
        return answer["results"][0]["status"]

    def sums(self):
        """What the payer has paid and holds, and what the payee has got and is about to get."""
        found = self.other.ask("lookup", accounts=[self.payer, self.payee])
        if found is None:
            return None
        payer, payee = found["accounts"]
        return tuple(int(one) for one in (
            payer["debits_posted"], payee["credits_posted"], payer["debits_pending"],
            payee["credits_pending"]))

    def wait(self, paid, held):
        wait_until(lambda: self.sums() == (paid, paid, held, 0), END_SECONDS,
                   f"{paid} paid and {held} held; last {self.sums()}")

    def crash(self, who, point, event):
        """Asks, and somebody dies of it, and is started again."""
        member = self.doors.processes[who]
        member.kill()
        member.start(fault=f"{point}:crash")
        # Nobody is on a connection any more that ended with the process before.
        wait_until(lambda: self.dying.ask("lookup", accounts=[self.payer, self.payee]), END_SECONDS,
                   f"the way to {who}")
        asking = threading.Thread(target=lambda: self.dying.ask("transfers", events=[event]))
        asking.start()
        member.wait_for_crash()
        member.start()
        asking.join()


@pytest.mark.parametrize("what,who,point", [crash[:3] for crash in SOME])
def test_asked_again(doors, what, who, point):
    pair = Pair(doors)
    hold = pair.event("hold", None, HELD)
    event = hold
    if what != "hold":
        assert pair.outcome(hold, pair.other) == "created"
        event = pair.event(what, hold, POSTED if what == "post" else 0)
    pair.crash(who, point, event)
    assert pair.outcome(event, pair.other) in ("created", "exists")
    pair.wait(2 + (POSTED if what == "post" else 0), HELD if what == "hold" else 0)
    # It has ended in one way, if it has.
    again = pair.outcome(pair.event("void", hold, 0), pair.other)
    assert again == {"hold": "created", "post": "pending_transfer_already_posted",
                     "void": "pending_transfer_already_voided"}[what]
    pair.wait(2 + (POSTED if what == "post" else 0), 0)


@pytest.mark.parametrize("point,decided", ALONE)
def test_nobody_asks_again(doors, point, decided):
    pair = Pair(doors)
    hold = pair.event("hold", None, HELD)
    assert pair.outcome(hold, pair.other) == "created"
    pair.crash(COORDINATOR, point, pair.event("post", hold, POSTED))
    pair.wait(2 + (POSTED if decided else 0), 0 if decided else HELD)
    wait_until(lambda: pair.other.metric("tael_txn_in_doubt") == 0, END_SECONDS, "nothing in doubt")
    again = pair.outcome(pair.event("void", hold, 0), pair.other)
    assert again == ("pending_transfer_already_posted" if decided else "created")
    pair.wait(2 + (POSTED if decided else 0), 0)
