"""Charges and refunds."""

import pytest
import stripe

from kit.answers import refused
from kit.books import metrics, reconciled, settled
from kit.client import pay, sdk
from kit.server import wait_until
from kit.wallets import Wallets


def test_charge_retrieve_update_list(client):
    customer = client.v1.customers.create()
    intent = pay(client, 1000, customer=customer.id, metadata={"order": "7"})
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.id.startswith("ch_")
    assert charge.metadata.to_dict() == {"order": "7"}
    updated = client.v1.charges.update(charge.id, {
        "description": "seen", "receipt_email": "r@example.com",
        "metadata": {"order": "8"}})
    assert updated.description == "seen" and updated.metadata.order == "8"
    other = pay(client, 1100, customer=customer.id)
    listed = client.v1.charges.list({"customer": customer.id})
    assert [one.id for one in listed.data] == [other.latest_charge, charge.id]
    listed = client.v1.charges.list({"payment_intent": intent.id})
    assert [one.id for one in listed.data] == [charge.id]
    listed = client.v1.charges.list({"customer": customer.id, "limit": 1})
    assert [one.id for one in listed.auto_paging_iter()] == [other.latest_charge, charge.id]


def test_no_such_charge(client):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.charges.retrieve("ch_missing")
    assert error.value.http_status == 404 and error.value.code == "resource_missing"
    assert str(error.value.user_message or error.value).find("No such charge") >= 0


def test_full_refund(client):
    intent = pay(client, 2000)
    refund = client.v1.refunds.create({
        "payment_intent": intent.id, "reason": "requested_by_customer",
        "metadata": {"ticket": "9"},
        "expand": ["charge", "payment_intent", "balance_transaction"]})
    assert refund.id.startswith("re_")
    assert refund.status == "succeeded" and refund.amount == 2000
    assert refund.reason == "requested_by_customer"
    assert refund.charge.id == intent.latest_charge
    assert refund.payment_intent.id == intent.id
    assert refund.charge.refunded is True and refund.charge.amount_refunded == 2000
    transaction = refund.balance_transaction
    assert transaction.amount == -2000 and transaction.fee == 0 and transaction.net == -2000
    assert transaction.type == "refund" and transaction.source == refund.id
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_refund_by_charge(client):
    intent = pay(client, 2000)
    refund = client.v1.refunds.create({"charge": intent.latest_charge, "amount": 500})
    assert refund.charge == intent.latest_charge and refund.payment_intent == intent.id
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.amount_refunded == 500 and charge.refunded is False


def test_several_refunds_never_more_than_captured(client):
    intent = pay(client, 1000)
    ids = [client.v1.refunds.create({"payment_intent": intent.id, "amount": amount}).id
           for amount in (300, 200)]
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 501})
    assert error.value.http_status == 400 and error.value.param == "amount"
    rest = client.v1.refunds.create({"payment_intent": intent.id})
    assert rest.amount == 500
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 1})
    assert error.value.code == "charge_already_refunded"
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.refunded and charge.amount_refunded == 1000
    listed = client.v1.refunds.list({"payment_intent": intent.id})
    assert [refund.id for refund in listed.data] == [rest.id, *ids[::-1]]
    by_charge = client.v1.refunds.list({"charge": intent.latest_charge, "limit": 1})
    assert [refund.id for refund in by_charge.auto_paging_iter()] == [rest.id, *ids[::-1]]


def test_refund_after_partial_capture(client):
    intent = pay(client, 2000, capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id})
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1200})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 1201})
    assert client.v1.refunds.create({"payment_intent": intent.id}).amount == 1200


def test_refund_of_what_was_never_paid(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id})
    charge = client.v1.payment_intents.retrieve(intent.id).latest_charge
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"charge": charge})


def test_a_charge_of_another_intent_is_not_refunded(client):
    one, other = pay(client, 2000), pay(client, 3000)
    refused(lambda: client.v1.refunds.create(
        {"payment_intent": one.id, "charge": other.latest_charge}), None, param="payment_intent")
    for intent in (one, other):
        assert client.v1.charges.retrieve(intent.latest_charge).amount_refunded == 0
    both = {"payment_intent": one.id, "charge": one.latest_charge}
    assert client.v1.refunds.create({**both, "amount": 500}).charge == one.latest_charge
    assert client.v1.refunds.create({**both, "charge": ""}).amount == 1500


@pytest.mark.parametrize("name", ["payment_intent", "charge"])
def test_a_refund_names_what_is_wrong(client, name):
    refused(lambda: client.v1.refunds.create({name: "x_missing"}), "resource_missing", param=name)
    held = pay(client, capture_method="manual")
    wanted = {"payment_intent": held.id, "charge": held.latest_charge}[name]
    refused(lambda: client.v1.refunds.create({name: wanted}), None, param=name)


def test_refund_retrieve_and_update(client):
    intent = pay(client)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    refund = client.v1.refunds.update(refund.id, {"metadata": {"a": "1"}})
    assert refund.metadata.to_dict() == {"a": "1"}
    assert client.v1.refunds.retrieve(refund.id).to_dict() == refund.to_dict()


@pytest.mark.parametrize("params", [
    {}, {"payment_intent": "pi_missing"}, {"charge": "ch_missing"},
    {"amount": 0}, {"amount": -1}, {"amount": "ten"}, {"reason": "because"},
])
def test_bad_refunds(client, params):
    if "amount" in params or "reason" in params:
        params = {"payment_intent": pay(client).id, **params}
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.refunds.create(params)
    assert error.value.http_status in (400, 404)


def test_the_books_of_a_refund_that_fails_later(make_server):
    """Of a card alone, and of a card that pays the rest."""
    server = make_server("--issuer-refund-settle=100ms")
    client, purse = sdk(server), Wallets(server).wallet(700)
    whole = pay(client, token="pm_card_refundFail")
    shared = pay(client, token="pm_card_refundFail", split={"wallet": purse, "amount": 700})
    made = [client.v1.refunds.create({"payment_intent": intent.id, "amount": 900})
            for intent in (whole, shared)]
    for refund in made:
        wait_until(lambda: client.v1.refunds.retrieve(refund.id).status == "failed", 30, "the failure")
    books = settled(server)
    assert sorted(entry.amount for entry in books.transactions
                  if entry.type == "refund_failure") == [200, 900]
    assert Wallets(server).balance(purse)["posted"] == 700
    reconciled(server)


def test_a_refund_that_the_network_does_not_decide_has_an_age(make_server):
    server = make_server("--issuer-refund-settle=1h")
    client = sdk(server)
    refund = client.v1.refunds.create({"payment_intent": pay(client, token="pm_card_pendingRefund").id})
    assert refund.status == "pending"
    wait_until(lambda: metrics(server)["tael_refund_oldest_seconds"] >= 3, 30, "its age")
    assert metrics(server)["tael_attempts_open"] == 0
