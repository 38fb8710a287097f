"""Incremental authorization: the hold grows, and everything behind it follows."""

import pytest
import stripe

from kit.answers import events_about, refused
from kit.books import settled
from kit.client import pay, sdk
from kit.server import wait_until

WANTED = {"card": {"request_incremental_authorization": "if_available"}}
DECLINES_MORE = "pm_card_incrementDeclined"


def hold(client, amount=1000, token="pm_card_visa", **params):
    intent = pay(client, amount, token=token, capture_method="manual",
                 payment_method_options=WANTED, **params)
    assert intent.status == "requires_capture"
    return intent


def increment(client, intent, amount, **params):
    return client.v1.payment_intents.increment_authorization(
        intent.id, {"amount": amount, **params})


def test_the_hold_grows(client):
    intent = hold(client)
    card = client.v1.charges.retrieve(intent.latest_charge).payment_method_details.card
    assert card.incremental_authorization.status == "available"
    assert card.amount_authorized == 1000
    more = increment(client, intent, 1500, description="one more night",
                     metadata={"nights": "2"}, expand=["latest_charge"])
    assert more.status == "requires_capture"
    assert (more.amount, more.amount_capturable, more.amount_received) == (1500, 1500, 0)
    assert more.description == "one more night" and more.metadata.to_dict() == {"nights": "2"}
    charge = more.latest_charge
    assert charge.id == intent.latest_charge and charge.amount == 1500
    assert charge.payment_method_details.card.amount_authorized == 1500
    assert not charge.captured and charge.balance_transaction is None
    assert events_about(client, intent.id)[0] == "payment_intent.amount_capturable_updated"
    assert events_about(client, charge.id)[0] == "charge.updated"


@pytest.mark.parametrize("captured", [1, 800, 1000, 1200, 1900, None])
@pytest.mark.parametrize("steps", [(1500, 1900), (1900,)])
def test_capture_over_all_of_it(make_server, steps, captured):
    server = make_server()
    client = sdk(server)
    intent = hold(client)
    for amount in steps:
        increment(client, intent, amount)
    done = client.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": captured} if captured else {})
    taken = captured or 1900
    assert done.status == "succeeded" and done.amount_received == taken
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.amount == taken
    books = settled(server)
    assert books.charges[0].amount_captured == books.charges[0].amount_refunded == taken


def test_more_than_the_new_total_is_not_captured(client):
    intent = hold(client)
    increment(client, intent, 1500)
    refused(lambda: client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1501}),
            "amount_too_large", param="amount_to_capture")


def test_cancel_releases_all_of_it(make_server):
    server = make_server()
    client = sdk(server)
    intent = hold(client)
    increment(client, intent, 1500)
    increment(client, intent, 1700)
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    settled(server)


def test_expiry_releases_all_of_it(make_server):
    server = make_server("--authorization-hold=2s")
    client = sdk(server)
    intent = hold(client)
    increment(client, intent, 1500)
    wait_until(lambda: client.v1.payment_intents.retrieve(intent.id).status == "canceled", 10)
    settled(server)


def test_a_decline_leaves_everything(make_server):
    server = make_server()
    client = sdk(server)
    intent = hold(client, token=DECLINES_MORE, metadata={"a": "1"})
    error = refused(
        lambda: increment(client, intent, 1500, metadata={"b": "2"}, description="no"),
        "card_declined", status=402)
    assert error.error.decline_code == "insufficient_funds"
    assert error.error.charge == intent.latest_charge
    now = client.v1.payment_intents.retrieve(intent.id)
    assert now.to_dict() == intent.to_dict()
    assert client.v1.charges.retrieve(intent.latest_charge).amount == 1000
    assert client.v1.payment_intents.capture(intent.id).amount_received == 1000
    settled(server)


@pytest.mark.parametrize("token, why", [
    ("pm_card_jcb", "network"), ("pm_card_unionpay", "network"), ("pm_card_visa", "not asked"),
    ("pm_card_visa", "never"),
])
def test_unavailable(client, token, why):
    options = {"not asked": {}, "never": {
        "card": {"request_incremental_authorization": "never"}}}.get(why, WANTED)
    intent = pay(client, token=token, capture_method="manual", expand=["latest_charge"],
                 **({"payment_method_options": options} if options else {}))
    card = intent.latest_charge.payment_method_details.card
    assert card.incremental_authorization.status == "unavailable"
    refused(lambda: increment(client, intent, 5000), "payment_intent_incompatible_payment_method")


def test_states_and_amounts(client):
    intents = client.v1.payment_intents
    made = intents.create({"amount": 1000, "currency": "usd"})
    refused(lambda: increment(client, made, 1500), "payment_intent_unexpected_state")
    refused(lambda: increment(client, pay(client), 5000), "payment_intent_unexpected_state")
    intent = hold(client)
    for amount in (1000, 999, 0):
        refused(lambda amount=amount: increment(client, intent, amount), "amount_too_small",
                param="amount")
    refused(lambda: increment(client, intent, 100000000), "amount_too_large", param="amount")
    refused(lambda: increment(client, intent, "much"), "parameter_invalid_integer",
            param="amount")
    refused(lambda: intents.increment_authorization(intent.id, {}), "parameter_missing",
            param="amount")
    refused(lambda: intents.increment_authorization("pi_x", {"amount": 1}), "resource_missing",
            status=404)
    assert intents.retrieve(intent.id).to_dict() == intent.to_dict()


def test_coins_of_a_currency(client):
    intent = hold(client, 100000, currency="isk")
    refused(lambda: increment(client, intent, 100050), "parameter_invalid_integer",
            param="amount")
    assert increment(client, intent, 100100).amount_capturable == 100100


@pytest.mark.parametrize("token", ["pm_card_visa", DECLINES_MORE])
def test_ten_times_at_most(client, token):
    intent = hold(client, token=token)
    for number in range(10):
        try:
            increment(client, intent, 1100 + number)
        except stripe.CardError:
            assert token == DECLINES_MORE
    refused(lambda: increment(client, intent, 9000), "payment_intent_unexpected_state")


def test_a_replay_does_not_add_twice(http, client):
    intent = hold(client)
    path = f"/v1/payment_intents/{intent.id}/increment_authorization"
    key = {"Idempotency-Key": "increment-replay"}
    first = http.post(path, {"amount": 1500}, headers=key)
    again = http.post(path, {"amount": 1500}, headers=key)
    assert first.status_code == 200 and again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert client.v1.payment_intents.retrieve(intent.id).amount == 1500
