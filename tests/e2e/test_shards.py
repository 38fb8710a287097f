"""A ledger of four shards: its interface, what crosses, and payments by card and wallet."""

import itertools

import pytest

from kit.client import Http, pay, sdk
from kit.shards import Shards, shard_of
from kit.wallets import Wallets

LEDGER = 7000
_ids = itertools.count(10**12)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    made = Shards(tmp_path_factory.mktemp("shards") / "cluster").start()
    yield made
    made.close()


@pytest.fixture
def ledger(shards):
    return Ledger(shards)


class Ledger:
    def __init__(self, shards):
        self.http = Http(shards)

    def ask(self, what, status=200, **body):
        answer = self.http.post(f"/v1/ledger/{what}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def on(self, shard):
        """A new id of an account there."""
        return str(next(number for number in _ids if shard_of(number) == shard))

    def create(self, ids):
        events = [{"id": number, "ledger": LEDGER, "code": 1} for number in ids]
        return [result["status"] for result in self.ask("accounts", events=events)["results"]]

    def transfer(self, debit, credit, **members):
        return {"id": str(next(_ids)), "debit_account_id": debit, "credit_account_id": credit,
                "amount": "10", "ledger": LEDGER, "code": 1, **members}


def test_a_batch_for_all_shards(ledger):
    accounts = [(ledger.on(i % 4), ledger.on(i % 4)) for i in range(8)]
    ids = [number for pair in accounts for number in pair]
    assert ledger.create(ids) == ["created"] * 16
    assert ledger.create(ids[5:7]) == ["exists"] * 2
    events = [ledger.transfer(*pair) for pair in accounts]
    events.insert(3, ledger.transfer(accounts[0][0], accounts[0][0]))
    statuses = [result["status"] for result in ledger.ask("transfers", events=events)["results"]]
    assert statuses == ["created"] * 3 + ["accounts_must_be_different"] + ["created"] * 5
    found = ledger.ask("lookup", accounts=[*ids, "5"])["accounts"]
    assert [account["id"] for account in found] == ids
    assert {account["debits_posted"] for account in found[::2]} == {"10"}
    wanted = [event["id"] for event in events]
    found = ledger.ask("lookup", transfers=wanted)["transfers"]
    assert [transfer["id"] for transfer in found] == [i for i in wanted if i != wanted[3]]


def test_a_pending_is_found_by_its_id_alone(ledger):
    debit, credit = ledger.on(2), ledger.on(2)
    assert ledger.create([debit, credit]) == ["created"] * 2
    hold = ledger.transfer(debit, credit, flags=["pending"])
    assert ledger.ask("transfers", events=[hold])["results"][0]["status"] == "created"
    post = {"id": str(next(_ids)), "pending_id": hold["id"], "flags": ["post_pending_transfer"],
            "amount": "10"}
    assert ledger.ask("transfers", events=[post])["results"][0]["status"] == "created"
    found = ledger.ask("lookup", accounts=[credit])["accounts"][0]
    assert (found["credits_posted"], found["credits_pending"]) == ("10", "0")


def test_what_crosses_is_refused_whole(ledger):
    a, b, c = ledger.on(0), ledger.on(0), ledger.on(3)
    assert ledger.create([a, b, c]) == ["created"] * 3
    good, crossing = ledger.transfer(a, b), ledger.transfer(a, c)
    error = ledger.ask("transfers", status=400, events=[good, crossing])["error"]
    assert "two shards" in error["message"]
    assert ledger.ask("lookup", transfers=[good["id"]])["transfers"] == []


def test_payments(shards):
    client = sdk(shards, validate=False)
    intent = pay(client)
    assert intent.status == "succeeded"
    held = pay(client, amount=5000, capture_method="manual")
    assert client.v1.payment_intents.capture(held.id).status == "succeeded"
    held = pay(client, amount=700, capture_method="manual")
    assert client.v1.payment_intents.cancel(held.id).status == "canceled"
    assert client.v1.refunds.create({"payment_intent": intent.id}).status in (
        "succeeded", "pending")
    wallets = Wallets(shards)
    wallet = wallets.wallet(10000)
    assert wallet
