"""A wallet pays a part of a payment, a card the rest: both or neither, to the unit."""

import pytest
import stripe

from kit.answers import events_about
from kit.books import reconciled
from kit.browser import Browser, action_url
from kit.client import Http, sdk
from kit.server import Server, wait_until
from kit.together import at_once
from kit.wallets import Wallets, check_statement

CHALLENGED = "pm_card_threeDSecure2Required"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server whose challenges are over soon."""
    made = Server(tmp_path_factory.mktemp("split"), "--authentication-timeout=10s").start()
    yield made
    reconciled(made)
    made.close()


@pytest.fixture
def client(own):
    return sdk(own)


@pytest.fixture
def wallets(own):
    return Wallets(own)


@pytest.fixture
def purse(wallets):
    made = wallets.wallet(1000)
    yield made
    check_statement(wallets, made)


def split(client, purse, amount=2000, part=700, token="pm_card_visa", **params):
    return client.v1.payment_intents.create(
        {"amount": amount, "currency": "usd", "payment_method": token, "confirm": True,
         "split": {"wallet": purse, "amount": part}, **params})


def charge_of(client, intent):
    return client.v1.charges.retrieve(client.v1.payment_intents.retrieve(intent.id).latest_charge)


def parts(charge, member="amount_captured"):
    """What the card and the wallet have of it."""
    return charge["split"]["card"][member], charge["split"]["wallet"][member]


def money(wallets, purse):
    shown = wallets.balance(purse)
    return shown["posted"], shown["held"]


def entries(client, source):
    return sorted((one.type, one.amount, one.fee, one.status)
                  for one in client.v1.balance_transactions.list({"source": source}).data)


def declined(call, *arguments, **params):
    with pytest.raises(stripe.CardError) as caught:
        call(*arguments, **params)
    return caught.value


# ---- paying --------------------------------------------------------------------------------


def test_both_parts_are_paid(client, wallets, purse):
    intent = split(client, purse)
    assert (intent.status, intent.amount, intent.amount_received) == ("succeeded", 2000, 2000)
    assert intent["split"].to_dict() == {"amount": 700, "wallet": purse}
    assert money(wallets, purse) == (300, 0)
    charge = charge_of(client, intent)
    assert (charge.amount, charge.amount_captured, charge.status) == (2000, 2000, "succeeded")
    assert parts(charge, "amount") == parts(charge) == (1300, 700)
    assert charge.payment_method_details.card.amount_authorized == 1300
    # The fee on the whole is in the card's entry; the wallet's money is available at once.
    assert entries(client, charge.id) == [
        ("charge", 700, 0, "available"), ("charge", 1300, 88, "pending")]
    assert charge.balance_transaction != charge["split"]["wallet"]["balance_transaction"]
    assert events_about(client, intent.id) == [
        "payment_intent.succeeded", "payment_intent.created"]
    assert events_about(client, charge.id) == ["charge.succeeded"]
    (line, *_) = wallets.get(f"/v1/wallets/{purse}/statement")["data"]
    assert (line["kind"], line["amount"], line["source"]) == ("payment", -700, charge.id)


def test_named_before_it_is_confirmed_by_the_payers_device(own, client, wallets, purse):
    intent = client.v1.payment_intents.create(
        {"amount": 2000, "currency": "usd", "split": {"wallet": purse, "amount": 700}})
    assert money(wallets, purse) == (1000, 0)
    public = Http(own, key=own.key.replace("sk_", "pk_"))
    if public.get(f"/v1/payment_intents/{intent.id}").status_code != 401:
        answer = public.post(f"/v1/payment_intents/{intent.id}/confirm", {
            "client_secret": intent.client_secret, "payment_method": "pm_card_visa",
            "split[wallet]": purse, "split[amount]": "900"})
        assert answer.json()["error"]["code"] == "secret_key_required"
    client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert parts(charge_of(client, intent)) == (1300, 700)


def test_changed_and_unset(client, wallets, purse):
    intent = client.v1.payment_intents.create(
        {"amount": 2000, "currency": "usd", "split": {"wallet": purse, "amount": 700}})
    changed = client.v1.payment_intents.update(
        intent.id, {"split": {"wallet": purse, "amount": 100}})
    assert changed["split"]["amount"] == 100
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.update(intent.id, {"amount": 149})
    assert error.value.param == "amount"  # which was given, not what it does not fit
    assert "split" not in client.v1.payment_intents.update(intent.id, {"split": ""}).to_dict()
    assert client.v1.payment_intents.confirm(
        intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    assert money(wallets, purse) == (1000, 0)


def test_a_repeated_request_pays_once(client, wallets, purse):
    params = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa",
              "confirm": True, "split": {"wallet": purse, "amount": 700}}
    first, second = (client.v1.payment_intents.create(params, {"idempotency_key": purse})
                     for _ in range(2))
    assert first.id == second.id
    assert money(wallets, purse) == (300, 0)


@pytest.mark.parametrize("given, param, code", [
    ({"wallet": "wal_0000000000000000000000", "amount": 1}, "split[wallet]", "resource_missing"),
    ({"wallet": "acct_1", "amount": 1}, "split[wallet]", "resource_missing"),
    ({"amount": 1}, "split[wallet]", "parameter_missing"),
    ({"wallet": None}, "split[amount]", "parameter_missing"),
    ({"wallet": None, "amount": 0}, "split[amount]", "parameter_invalid_integer"),
    ({"wallet": None, "amount": 1951}, "split[amount]", "parameter_invalid_integer"),
    ({"wallet": None, "amount": 2000}, "split[amount]", "parameter_invalid_integer"),
    ({"wallet": None, "amount": "x"}, "split[amount]", "parameter_invalid_integer"),
])
def test_what_cannot_be_split(client, wallets, purse, given, param, code):
    given = {name: purse if value is None else value for name, value in given.items()}
    with pytest.raises(stripe.InvalidRequestError) as error:
        split(client, purse, split=given)
    assert (error.value.param, error.value.code) == (param, code)
    assert money(wallets, purse) == (1000, 0)


def test_the_card_has_at_least_its_minimum(client, wallets, purse):
    assert split(client, purse, 1050, 1000).status == "succeeded"
    assert money(wallets, purse) == (0, 0)


def test_other_conflicts_name_their_field(client, wallets, purse):
    with pytest.raises(stripe.InvalidRequestError) as error:
        split(client, wallets.wallet(currency="eur"))
    assert error.value.param == "split[wallet]"
    with pytest.raises(stripe.InvalidRequestError) as error:
        split(client, purse, transfer_data={"destination": wallets.wallet()})
    assert error.value.param == "split"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.create(
            {"amount": 2000, "currency": "usd", "confirm": True,
             "payment_method_data": {"type": "wallet", "wallet": {"id": purse}},
             "split": {"wallet": purse, "amount": 700}})
    assert error.value.param == "payment_method"


# ---- not paying ----------------------------------------------------------------------------


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_currency_stays_that_of_the_wallet(client, wallets, purse, goes_on):
    wallet = {"transfer_data": {"destination": purse}} if goes_on else {
        "split": {"wallet": purse, "amount": 700}}
    intents = client.v1.payment_intents
    intent = intents.create({"amount": 2000, "currency": "usd", **wallet})
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.update(intent.id, {"currency": "eur", "description": "Tea"})
    assert error.value.param == "currency" and purse in str(error.value)
    assert intents.retrieve(intent.id).to_dict() == intent.to_dict()
    assert intents.update(intent.id, {"currency": "usd", "amount": 1900}).amount == 1900
    if not goes_on:
        euros = wallets.wallet(1000, "eur")
        changed = intents.update(intent.id, {
            "currency": "eur", "split": {"wallet": euros, "amount": 100}})
        assert changed.currency == "eur" and changed["split"]["wallet"] == euros
        assert intents.update(intent.id, {"currency": "usd", "split": ""}).currency == "usd"


def test_a_refused_currency_leaves_what_is_held(client, wallets):
    purse = wallets.wallet(1000)
    intent = split(client, purse, token="pm_card_threeDSecure2Required")
    assert intent.status == "requires_action" and wallets.balance(purse)["held"] == 700
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.update(intent.id, {"currency": "eur"})
    assert error.value.param == "currency"
    assert wallets.balance(purse)["held"] == 700
    assert client.v1.payment_intents.retrieve(intent.id).to_dict() == intent.to_dict()


def test_a_declined_card_leaves_the_wallet_alone(client, wallets, purse):
    before = wallets.get(f"/v1/wallets/{purse}")["limits"]
    error = declined(split, client, purse, token="pm_card_chargeDeclinedInsufficientFunds")
    assert error.code == "card_declined"
    assert error.error.decline_code == "insufficient_funds"
    assert error.user_message == "Your card has insufficient funds."
    assert error.error.payment_method["type"] == "card"
    assert error.error.payment_intent["status"] == "requires_payment_method"
    assert money(wallets, purse) == (1000, 0)
    wait_until(lambda: wallets.get(f"/v1/wallets/{purse}")["limits"] == before, 5, "limits")
    # Another card pays.
    paid = client.v1.payment_intents.confirm(
        error.error.payment_intent["id"], {"payment_method": "pm_card_visa"})
    assert parts(charge_of(client, paid)) == (1300, 700)
    assert money(wallets, purse) == (300, 0)


def network_log(own):
    return (own.network_data / "issuer" / "issuer.log").stat().st_size


def test_an_empty_wallet_keeps_the_payment_from_the_card(own, client, wallets, purse):
    split(client, purse, 2000, 700)
    before = network_log(own)
    error = declined(split, client, purse, 2000, 301)
    assert error.code == "payment_method_provider_decline"
    assert error.error.decline_code == "insufficient_funds"
    assert error.user_message == "The wallet has insufficient funds."
    assert network_log(own) == before
    assert money(wallets, purse) == (300, 0)


def test_a_frozen_wallet_keeps_it_from_the_card_too(own, client, wallets, purse):
    wallets.post(f"/v1/wallets/{purse}/freeze")
    before = network_log(own)
    assert declined(split, client, purse).error.decline_code == "wallet_frozen"
    assert network_log(own) == before
    wallets.post(f"/v1/wallets/{purse}/unfreeze")


# ---- authorized now, captured later --------------------------------------------------------


@pytest.mark.parametrize("amount, wanted, left", [
    (2000, (1300, 700), 300), (1999, (1300, 699), 301), (1301, (1300, 1), 999),
    (1300, (1300, 0), 1000), (1, (1, 0), 1000),
])
def test_the_card_pays_a_capture_first(client, wallets, purse, amount, wanted, left):
    intent = split(client, purse, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 2000)
    assert money(wallets, purse) == (1000, 700)
    captured = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": amount})
    assert (captured.status, captured.amount_received) == ("succeeded", amount)
    assert money(wallets, purse) == (left, 0)
    charge = charge_of(client, intent)
    assert parts(charge) == wanted
    assert sum(amount for _, amount, *_ in entries(client, charge.id)) == amount


def test_canceled(client, wallets, purse):
    before = wallets.get(f"/v1/wallets/{purse}")["limits"]
    intent = split(client, purse, capture_method="manual")
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    assert money(wallets, purse) == (1000, 0)
    wait_until(lambda: wallets.get(f"/v1/wallets/{purse}")["limits"] == before, 5, "limits")


def test_its_authorization_does_not_grow(client, purse):
    intent = split(
        client, purse, capture_method="manual",
        payment_method_options={"card": {"request_incremental_authorization": "if_available"}})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.increment_authorization(intent.id, {"amount": 2500})
    client.v1.payment_intents.cancel(intent.id)


# ---- refunds -------------------------------------------------------------------------------


def test_the_wallet_is_refunded_first(client, wallets, purse):
    intent = split(client, purse)
    seen = []
    for amount in (500, 500, 1000):
        refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": amount})
        assert refund.status == "succeeded"
        seen.append(parts(refund, "amount"))
        assert sum(one[1] for one in entries(client, refund.id)) == -amount
        assert refund.balance_transaction is not None
    assert seen == [(0, 500), (300, 200), (1000, 0)]
    charge = charge_of(client, intent)
    assert charge.refunded and charge.amount_refunded == 2000
    assert parts(charge, "amount_refunded") == (1300, 700)
    assert money(wallets, purse) == (1000, 0)
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert error.value.code == "charge_already_refunded"
    lines = wallets.get(f"/v1/wallets/{purse}/statement")["data"]
    assert [line["amount"] for line in lines if line["kind"] == "refund"] == [200, 500]


def test_a_refund_that_the_card_fails_later_leaves_the_wallet_its_part(client, wallets, purse):
    intent = split(client, purse, token="pm_card_refundFail")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    wait_until(lambda: client.v1.refunds.retrieve(refund.id).status == "failed", 10, "the failure")
    assert money(wallets, purse) == (1000, 0)
    assert [one[1] for one in entries(client, refund.id)] == [-1300, -700, 1300]
    charge = charge_of(client, intent)
    assert (charge.amount_refunded, charge.refunded) == (700, False)
    assert parts(charge, "amount_refunded") == (0, 700)


def test_a_closed_wallet_gets_its_refund_in_suspense(own, client, wallets):
    purse, heir = wallets.wallet(1000), wallets.wallet()
    intent = split(client, purse)
    wallets.send(purse, heir, 300)
    wallets.post(f"/v1/wallets/{purse}/close")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    item = refund["split"]["wallet"]["suspense_item"]
    (shown,) = [one for one in wallets.get("/v1/tael/suspense_items", status="open")["data"]
                if one["id"] == item]
    assert (shown["amount"], shown["reason"], shown["refund"], shown["wallet"]) == (
        700, "refund_refused", refund.id, purse)
    answer = wallets.http.post(f"/v1/tael/suspense_items/{item}/resolve", {"resolution": "wallet"})
    assert answer.json()["error"]["code"] == "suspense_item_refused"
    before = sum(one.amount for one in client.v1.balance.retrieve().available)
    done = wallets.post(f"/v1/tael/suspense_items/{item}/resolve", resolution="merchant",
                        note="paid out in cash")
    assert (done["status"], done["note"]) == ("resolved", "paid out in cash")
    assert sum(one.amount for one in client.v1.balance.retrieve().available) == before + 700
    answer = wallets.http.post(f"/v1/tael/suspense_items/{item}/resolve", {"resolution": "wallet"})
    assert answer.json()["error"]["code"] == "suspense_item_resolved"


# ---- 3-D Secure ----------------------------------------------------------------------------


def test_held_while_the_card_is_challenged(client, wallets, purse):
    """SPLIT-4."""
    intent = split(client, purse, token=CHALLENGED, return_url="https://shop.example")
    assert intent.status == "requires_action"
    assert money(wallets, purse) == (1000, 700)
    declined(split, client, purse, 2000, 301)
    Browser().press(action_url(intent), "complete")
    assert parts(charge_of(client, intent)) == (1300, 700)
    assert money(wallets, purse) == (300, 0)


@pytest.mark.parametrize("act", ["fail", "cancel", "confirm", "update", "nobody"])
def test_let_go_when_the_challenge_is_over(client, wallets, purse, act):
    intent = split(client, purse, token=CHALLENGED, return_url="https://shop.example")
    if act == "fail":
        Browser().press(action_url(intent), "fail")
    elif act == "cancel":
        client.v1.payment_intents.cancel(intent.id)
    elif act == "confirm":
        paid = client.v1.payment_intents.confirm(
            intent.id, {"payment_method": "pm_card_visa", "split": {"wallet": purse, "amount": 5}})
        assert paid.status == "succeeded"
    elif act == "update":
        client.v1.payment_intents.update(intent.id, {"amount": 2100})
    else:
        wait_until(lambda: client.v1.payment_intents.retrieve(intent.id).status ==
                   "requires_payment_method", 10, "the end of the challenge")
    assert money(wallets, purse) == (995 if act == "confirm" else 1000, 0)


# ---- many at once --------------------------------------------------------------------------


def test_64_clients_on_one_wallet(own, client, wallets, purse):
    http = Http(own, validate=False)
    body = {"amount": "400", "currency": "usd", "payment_method": "pm_card_visa",
            "confirm": "true", "split[wallet]": purse, "split[amount]": "70"}
    answers = at_once([lambda: http.post("/v1/payment_intents", body)] * 64)
    assert sum(answer.status_code == 200 for answer in answers) == 14
    assert {answer.json()["error"]["decline_code"] for answer in answers
            if answer.status_code != 200} == {"insufficient_funds"}
    assert money(wallets, purse) == (20, 0)
