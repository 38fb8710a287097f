"""Many clients on one object at once: one outcome, never more back than was taken."""

import collections
import random
import uuid

import pytest

from kit.books import reconciled, settled
from kit.client import Http
from kit.server import LONG
from kit.together import at_once

HOLD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "capture_method": "manual"}
FLAGS = ("--lock-timeout=30s",)


@pytest.mark.parametrize("seed", range(20 if LONG else 4))
def test_capture_cancel_refund(make_server, seed):
    """PAYMENTS-6."""
    server = make_server(*FLAGS)
    http = Http(server, validate=False)
    intent = http.post("/v1/payment_intents", HOLD).json()["id"]
    chance = random.Random(seed)

    def act():
        what = chance.choice(["capture", "capture", "cancel", "refund", "refund"])
        key = {"Idempotency-Key": str(uuid.UUID(int=chance.getrandbits(128)))}
        if what == "refund":
            body = {"payment_intent": intent, "amount": str(chance.choice([300, 700, 2000]))}
            return lambda: (what, http.post("/v1/refunds", body, headers=key))
        body = {"amount_to_capture": str(chance.choice([1500, 2000]))} if what == "capture" else {}
        return lambda: (what, http.post(f"/v1/payment_intents/{intent}/{what}", body, headers=key))

    answers = at_once([act() for _ in range(64)])
    assert {answer.status_code for _, answer in answers} <= {200, 400}
    good = collections.Counter(what for what, answer in answers if answer.status_code == 200)
    assert good["capture"] + good["cancel"] == 1
    books = settled(server)
    (charge,) = books.charges
    assert charge.amount_refunded <= charge.amount_captured
    assert books.intents[0].status == ("succeeded" if good["capture"] else "canceled")
    if good["cancel"]:
        assert good["refund"] == 0 and charge.amount_captured == 0
    assert len(books.refunds) == good["refund"]
    reconciled(server)


def test_64_refunds_of_one_payment(make_server):
    """PAYMENTS-5."""
    server = make_server(*FLAGS)
    http = Http(server, validate=False)
    paid = http.post("/v1/payment_intents", {**HOLD, "capture_method": "automatic"}).json()["id"]
    answers = at_once([
        lambda: http.post("/v1/refunds", {"payment_intent": paid, "amount": "100"})
    ] * 64)
    assert sum(answer.status_code == 200 for answer in answers) == 20
    assert {answer.json()["error"]["code"] for answer in answers
            if answer.status_code != 200} == {"charge_already_refunded"}
    books = settled(server)
    assert books.charges[0].amount_refunded == 2000 and books.charges[0].refunded


def test_64_confirmations_of_one_intent(make_server):
    server = make_server(*FLAGS)
    http = Http(server, validate=False)
    intent = http.post("/v1/payment_intents", {"amount": "2000", "currency": "usd"}).json()["id"]
    answers = at_once([
        lambda: http.post(f"/v1/payment_intents/{intent}/confirm",
                          {"payment_method": "pm_card_visa"})
    ] * 64)
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {answer.status_code for answer in answers} == {200, 400}
    assert len(settled(server).charges) == 1


def test_one_key_per_client_pair(make_server):
    """32 keys, each from two clients at once: 32 payments."""
    server = make_server(*FLAGS)
    http = Http(server, validate=False)
    keys = [str(uuid.uuid4()) for _ in range(32)] * 2
    body = {**HOLD, "capture_method": "automatic"}

    def pay(key):
        return lambda: http.post("/v1/payment_intents", body, headers={"Idempotency-Key": key})

    answers = at_once([pay(key) for key in keys])
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 32
    assert len(settled(server).intents) == 32


def test_updates_and_reads_while_it_moves(make_server):
    """Metadata from many clients merges, whatever happens to the money meanwhile."""
    server = make_server(*FLAGS)
    http = Http(server, validate=False)
    intent = http.post("/v1/payment_intents", HOLD).json()["id"]
    path = f"/v1/payment_intents/{intent}"
    acts = [(lambda number: lambda: http.post(path, {f"metadata[k{number}]": "v"}))(number)
            for number in range(40)]
    acts += [lambda: http.post(f"{path}/capture")] + [lambda: http.get(path)] * 10
    answers = at_once(acts)
    assert {answer.status_code for answer in answers} == {200}
    assert len(http.get(path).json()["metadata"]) == 40
    settled(server)
