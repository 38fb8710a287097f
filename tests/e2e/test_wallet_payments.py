"""Wallets and payments together: a card tops a wallet up, a wallet pays, refunds come back to it."""

import concurrent.futures

import pytest
import stripe

from kit.answers import events_about
from kit.client import Http, pay
from kit.server import wait_until

pytestmark = pytest.mark.usefixtures("one_day")


@pytest.fixture(scope="module")
def api(server):
    return Http(server)


def wallet(api, currency="usd", **params):
    customer = api.post("/v1/customers", {"name": "Ann"}).json()["id"]
    answer = api.post("/v1/wallets", {"customer": customer, "currency": currency, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def balance(api, wallet_id):
    return api.get(f"/v1/wallets/{wallet_id}").json()["balance"]


def left(api, wallet_id, direction, span="day"):
    return api.get(f"/v1/wallets/{wallet_id}").json()["limits"][direction][span]["remaining"]


def top_up(client, wallet_id, amount=10000, currency="usd", token="pm_card_visa", **params):
    return pay(client, amount, currency, token, transfer_data={"destination": wallet_id}, **params)


def by_wallet(client, wallet_id, amount=2500, currency="usd", **params):
    return client.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": currency,
            "confirm": True,
            "payment_method_data": {"type": "wallet", "wallet": {"id": wallet_id}},
            **params,
        }
    )


def merchant_available(client, currency="usd"):
    return sum(part.amount for part in client.v1.balance.retrieve().available
               if part.currency == currency)


# ---- topping up ----------------------------------------------------------------------------


def test_a_card_payment_tops_a_wallet_up(client, api):
    purse = wallet(api)
    intent = top_up(client, purse, 10000)
    assert intent.status == "succeeded"
    assert intent.transfer_data.destination == purse
    assert balance(api, purse)["available"] == 10000
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.transfer_data.destination == purse
    entries = client.v1.balance_transactions.list({"source": charge.id}).data
    assert sorted((entry.type, entry.amount) for entry in entries) == [
        ("charge", 10000), ("transfer", -10000)]


def test_a_top_up_that_was_declined_changes_nothing(client, api):
    purse = wallet(api)
    before = left(api, purse, "in")
    with pytest.raises(stripe.CardError):
        top_up(client, purse, token="pm_card_visa_chargeDeclined")
    assert balance(api, purse)["available"] == 0
    wait_for(lambda: left(api, purse, "in") == before)


def test_a_top_up_can_be_captured_later_and_in_part(client, api):
    purse = wallet(api)
    intent = top_up(client, purse, 10000, capture_method="manual")
    assert balance(api, purse)["posted"] == 0
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 6000})
    assert balance(api, purse)["available"] == 6000


@pytest.mark.parametrize("destination", ["wal_0000000000000000000000", "wal_", "acct_1", "x" * 64])
def test_a_destination_must_be_a_wallet(client, destination):
    with pytest.raises(stripe.InvalidRequestError) as error:
        top_up(client, destination)
    assert error.value.param == "transfer_data[destination]"
    assert error.value.code == "resource_missing"


def test_a_destination_has_the_payments_currency(client, api):
    with pytest.raises(stripe.InvalidRequestError) as error:
        top_up(client, wallet(api, "eur"))
    assert error.value.param == "transfer_data[destination]"


def test_the_limit_of_what_may_come_in_declines_by_name(client, api):
    purse = wallet(api)
    with pytest.raises(stripe.CardError) as error:
        top_up(client, purse, 100001)
    assert error.value.error.decline_code == "wallet_limit_transaction"
    assert balance(api, purse)["posted"] == 0


# ---- paying --------------------------------------------------------------------------------


def test_a_wallet_pays_and_the_money_is_available_at_once(client, api):
    purse = wallet(api)
    top_up(client, purse, 10000)
    before = merchant_available(client)
    intent = by_wallet(client, purse, 2500)
    assert intent.status == "succeeded"
    assert intent.amount_received == 2500
    assert balance(api, purse)["available"] == 7500
    charge = client.v1.charges.retrieve(intent.latest_charge, {"expand": ["balance_transaction"]})
    assert charge.payment_method_details.type == "wallet"
    assert charge.payment_method_details["wallet"]["id"] == purse
    entry = charge.balance_transaction
    assert entry.status == "available"
    assert merchant_available(client) - before == entry.net


def test_a_saved_wallet_pays_off_session(client, api):
    purse = wallet(api)
    top_up(client, purse, 5000)
    customer = client.v1.customers.create({"name": "Bob"})
    method = client.v1.payment_methods.create({"type": "wallet", "wallet": {"id": purse}})
    assert method.type == "wallet"
    client.v1.payment_methods.attach(method.id, {"customer": customer.id})
    intent = client.v1.payment_intents.create(
        {"amount": 700, "currency": "usd", "customer": customer.id, "payment_method": method.id,
         "off_session": True, "confirm": True})
    assert intent.status == "succeeded"
    assert balance(api, purse)["available"] == 4300


def test_insufficient_funds_decline(client, api):
    purse = wallet(api)
    top_up(client, purse, 1000)
    before = left(api, purse, "out")
    with pytest.raises(stripe.CardError) as error:
        by_wallet(client, purse, 1001)
    assert error.value.code == "payment_method_provider_decline"
    assert error.value.error.decline_code == "insufficient_funds"
    assert error.value.error.payment_intent["status"] == "requires_payment_method"
    assert balance(api, purse)["available"] == 1000
    wait_for(lambda: left(api, purse, "out") == before)


def test_a_frozen_wallet_declines(client, api):
    purse = wallet(api)
    top_up(client, purse, 1000)
    api.post(f"/v1/wallets/{purse}/freeze")
    with pytest.raises(stripe.CardError) as error:
        by_wallet(client, purse, 500)
    assert error.value.error.decline_code == "wallet_frozen"
    api.post(f"/v1/wallets/{purse}/unfreeze")
    assert by_wallet(client, purse, 500).status == "succeeded"


def test_limits_decline_by_name(client, api):
    purse = wallet(api)
    top_up(client, purse, 90000)
    with pytest.raises(stripe.CardError) as error:
        by_wallet(client, purse, 50001)
    assert error.value.error.decline_code == "wallet_limit_transaction"
    by_wallet(client, purse, 50000)
    top_up(client, purse, 90000)
    by_wallet(client, purse, 50000)
    with pytest.raises(stripe.CardError) as error:
        by_wallet(client, purse, 100)
    assert error.value.error.decline_code == "wallet_limit_day"


def test_another_currency_declines(client, api):
    purse = wallet(api, "eur")
    with pytest.raises(stripe.CardError) as error:
        by_wallet(client, purse, 500, "usd")
    assert error.value.error.decline_code == "wallet_currency_mismatch"


def test_authorized_now_captured_later(client, api):
    purse = wallet(api)
    top_up(client, purse, 10000)
    intent = by_wallet(client, purse, 6000, capture_method="manual")
    assert intent.status == "requires_capture"
    assert balance(api, purse)["held"] == 6000
    assert balance(api, purse)["available"] == 4000
    with pytest.raises(stripe.CardError):
        by_wallet(client, purse, 4001)
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 2500})
    assert balance(api, purse) == {"available": 7500, "held": 0, "incoming": 0, "posted": 7500}


def test_a_hold_that_is_canceled_comes_back(client, api):
    purse = wallet(api)
    top_up(client, purse, 3000)
    intent = by_wallet(client, purse, 3000, capture_method="manual")
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    assert balance(api, purse)["available"] == 3000


def test_refunds_come_back_to_the_wallet(client, api):
    purse = wallet(api)
    top_up(client, purse, 3000)
    intent = by_wallet(client, purse, 2000)
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
    assert refund.status == "succeeded"
    assert balance(api, purse)["available"] == 1500
    client.v1.refunds.create({"payment_intent": intent.id})
    assert balance(api, purse)["available"] == 3000
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id})


def test_a_wallet_pays_another_wallet_through_the_merchant(client, api):
    payer, payee = wallet(api), wallet(api)
    top_up(client, payer, 3000)
    intent = by_wallet(client, payer, 2000, transfer_data={"destination": payee})
    assert intent.status == "succeeded"
    assert balance(api, payer)["available"] == 1000
    assert balance(api, payee)["available"] == 2000


def test_types_that_the_intent_takes(client, api):
    purse = wallet(api)
    with pytest.raises(stripe.InvalidRequestError) as error:
        by_wallet(client, purse, 500, payment_method_types=["card"])
    assert error.value.code == "payment_intent_incompatible_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as error:
        pay(client, 500, payment_method_types=["wallet"])
    assert error.value.code == "payment_intent_incompatible_payment_method"


@pytest.mark.parametrize("data,param", [
    ({"type": "wallet"}, "payment_method_data[wallet][id]"),
    ({"type": "wallet", "wallet": {"id": "wal_x"}}, "payment_method_data[wallet][id]"),
    ({"type": "wallet", "wallet": {"id": "pm_x"}}, "payment_method_data[wallet][id]"),
    ({"type": "walrus"}, "payment_method_data[type]"),
])
def test_wrong_wallets(client, data, param):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "confirm": True, "payment_method_data": data})
    assert error.value.param == param


def test_no_publishable_key_pays_from_a_wallet(server, client, api):
    """PAYMENTS-10."""
    purse = wallet(api)
    top_up(client, purse, 1000)
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    browser = Http(server, key=server.publishable_key)
    answer = browser.post(f"/v1/payment_intents/{intent.id}/confirm", {
        "client_secret": intent.client_secret, "payment_method_data[type]": "wallet",
        "payment_method_data[wallet][id]": purse})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "secret_key_required"
    assert balance(api, purse)["available"] == 1000


def test_a_wallet_is_not_set_up(client, api):
    method = client.v1.payment_methods.create({"type": "wallet", "wallet": {"id": wallet(api)}})
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.setup_intents.create({"payment_method": method.id, "confirm": True})
    assert error.value.param == "payment_method"


def test_many_at_once_never_overdraw(client, api):
    purse = wallet(api)
    top_up(client, purse, 1000)

    def attempt(_):
        try:
            return by_wallet(client, purse, 100).status
        except stripe.CardError as error:
            return error.error.decline_code

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(attempt, range(32)))
    assert outcomes.count("succeeded") == 10
    assert outcomes.count("insufficient_funds") == 22
    assert balance(api, purse) == {"available": 0, "held": 0, "incoming": 0, "posted": 0}


def wait_for(holds):
    """Limits are given back behind the answer that tells of the decline."""
    wait_until(holds, 5, "the limits")


# ---- closed wallets ------------------------------------------------------------------------


def close(api, wallet_id):
    answer = api.post(f"/v1/wallets/{wallet_id}/close", {})
    assert answer.status_code == 200, answer.text


def test_a_refund_to_a_closed_wallet(client, api):
    """No money has moved then: it stays with the merchant."""
    purse = wallet(api, tier="business")
    assert top_up(client, purse, 1000).status == "succeeded"
    intent = by_wallet(client, purse, 1000)
    assert intent.status == "succeeded"
    close(api, purse)
    before = merchant_available(client)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert (refund.status, refund.failure_reason) == ("failed", "declined")
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 0
    assert merchant_available(client) == before
    assert events_about(client, refund.id) == ["refund.failed", "refund.created"]


def test_a_capture_for_a_closed_wallet(client, api):
    """The card has paid: the money stays with the merchant, who can give it back."""
    purse = wallet(api)
    intent = top_up(client, purse, 2000, capture_method="manual")
    close(api, purse)
    done = client.v1.payment_intents.capture(intent.id, {"expand": ["latest_charge"]})
    assert (done.status, done.amount_received) == ("succeeded", 2000)
    charge = done.latest_charge
    assert charge.captured and charge.transfer_data is None and done.transfer_data is None
    told = client.v1.events.list({"type": "payment_intent.succeeded", "limit": 1}).data[0]
    assert told.data.object.id == intent.id and told.data.object.transfer_data is None
    entries = client.v1.balance_transactions.list({"source": charge.id}).data
    assert [(entry.type, entry.amount) for entry in entries] == [("charge", 2000)]
    assert client.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"
