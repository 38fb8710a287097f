"""Every test card and token: by number, by token, and what the charge then shows."""

import pytest
import stripe

from kit.answers import events_about, refused
from kit.client import card, pay
from kit.server import wait_until

GOOD_TOKENS = [
    ("pm_card_visa", "visa", "4242"),
    ("pm_card_visa_debit", "visa", "5556"),
    ("pm_card_mastercard", "mastercard", "4444"),
    ("pm_card_mastercard_debit", "mastercard", "8210"),
    ("pm_card_mastercard_prepaid", "mastercard", "5100"),
    ("pm_card_amex", "amex", None),
    ("pm_card_discover", "discover", "1117"),
    ("pm_card_diners", "diners", "0004"),
    ("pm_card_jcb", "jcb", "0505"),
    ("pm_card_unionpay", "unionpay", "0005"),
]

# number, token, code, decline code
DECLINES = [
    ("4000000000000002", "pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("4000000000000002", "pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds",
     "card_declined", "insufficient_funds"),
    ("4000000000009995", "pm_card_chargeDeclinedInsufficientFunds",
     "card_declined", "insufficient_funds"),
    ("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard",
     "card_declined", "stolen_card"),
    ("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
    ("4000000000000119", "pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ("4000000000006975", "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
     "card_declined", "card_velocity_exceeded"),
    ("4000000000000341", "pm_card_chargeCustomerFail", "card_declined", None),
    ("4100000000000019", "pm_card_radarBlock", "card_declined", "fraudulent"),
    ("4000000000004954", "pm_card_riskLevelHighest", "card_declined", "fraudulent"),
]


@pytest.mark.parametrize("token, brand, last4", GOOD_TOKENS)
def test_good_tokens(client, token, brand, last4):
    intent = pay(client, token=token, expand=["payment_method", "latest_charge"])
    assert intent.status == "succeeded"
    assert intent.payment_method.card.brand == brand
    if last4 is not None:
        assert intent.payment_method.card.last4 == last4
    shown = intent.latest_charge
    assert shown.payment_method_details.card.brand == brand
    assert shown.payment_method_details.card.authorization_code
    assert shown.outcome.network_status == "approved_by_network"
    assert shown.outcome.type == "authorized"


@pytest.mark.parametrize("legacy", ["tok_visa", "tok_mastercard", "tok_amex"])
def test_legacy_tokens(client, legacy):
    method = client.v1.payment_methods.create({"type": "card", "card": {"token": legacy}})
    assert method.card.brand == legacy.removeprefix("tok_")
    assert pay(client, token=method.id).status == "succeeded"


def expect_decline(client, code, decline, **params):
    with pytest.raises(stripe.CardError) as error:
        client.v1.payment_intents.create(
            {"amount": 3000, "currency": "usd", "confirm": True, **params}
        )
    shown = error.value
    assert shown.http_status == 402
    assert shown.code == code
    assert shown.error.type == "card_error"
    assert shown.user_message
    if decline is not None:
        assert shown.error.decline_code == decline
    assert shown.error.doc_url.endswith(code.replace("_", "-"))
    intent = client.v1.payment_intents.retrieve(
        shown.error.payment_intent["id"], {"expand": ["latest_charge"]}
    )
    assert intent.status == "requires_payment_method"
    assert intent.amount_received == 0
    assert intent.last_payment_error.code == code
    charge = intent.latest_charge
    assert charge.id == shown.error.charge
    assert charge.status == "failed" and not charge.paid and not charge.captured
    assert charge.failure_code == code
    assert charge.balance_transaction is None
    return charge


@pytest.mark.parametrize("number, token, code, decline", DECLINES)
def test_declines_by_token(client, number, token, code, decline):
    charge = expect_decline(client, code, decline, payment_method=token)
    assert charge.payment_method_details.card.last4 == number[-4:]


@pytest.mark.parametrize(
    "number, code, decline",
    sorted({(number, code, decline or "") for number, _, code, decline in DECLINES}),
)
def test_declines_by_number(client, number, code, decline):
    expect_decline(
        client, code, decline or None,
        payment_method_data={"type": "card", "card": card(number)},
    )


@pytest.mark.parametrize("token", ["pm_card_radarBlock", "pm_card_riskLevelHighest"])
def test_risk_blocks_are_told_apart(client, token):
    charge = expect_decline(client, "card_declined", "fraudulent", payment_method=token)
    assert charge.outcome.type == "blocked"
    assert charge.outcome.risk_level == "highest"
    assert charge.outcome.reason == "highest_risk_level"
    assert charge.outcome.network_status == "not_sent_to_network"


def test_elevated_risk_succeeds(client):
    intent = pay(client, token="pm_card_riskLevelElevated", expand=["latest_charge"])
    assert intent.status == "succeeded"
    assert intent.latest_charge.outcome.risk_level == "elevated"


ADDRESS = {"address": {"line1": "1 Main Street", "postal_code": "12345"}}


@pytest.mark.parametrize("number, checks", [
    ("4000000000000101", {"cvc_check": "fail"}),
    ("4000000000000036", {"address_postal_code_check": "fail", "address_line1_check": "pass"}),
    ("4000000000000028", {"address_line1_check": "fail", "address_postal_code_check": "pass"}),
    ("4000000000000010", {"address_line1_check": "fail", "address_postal_code_check": "fail"}),
    ("4000000000000044",
     {"address_line1_check": "unavailable", "address_postal_code_check": "unavailable"}),
    ("4242424242424242", {"cvc_check": "pass", "address_line1_check": "pass",
                          "address_postal_code_check": "pass"}),
])
def test_checks(client, number, checks):
    intent = client.v1.payment_intents.create({
        "amount": 1000, "currency": "usd", "confirm": True, "expand": ["latest_charge"],
        "payment_method_data": {"type": "card", "card": card(number), "billing_details": ADDRESS},
    })
    assert intent.status == "succeeded"
    shown = intent.latest_charge.payment_method_details.card.checks.to_dict()
    assert {name: shown[name] for name in checks} == checks


@pytest.mark.parametrize("token", [
    "pm_card_cvcCheckFail", "pm_card_avsZipFail", "pm_card_avsLine1Fail", "pm_card_avsFail",
    "pm_card_avsUnchecked",
])
def test_check_tokens_succeed(client, token):
    assert pay(client, token=token).status == "succeeded"


def test_no_address_no_address_check(client):
    intent = pay(client, expand=["latest_charge"])
    assert intent.latest_charge.payment_method_details.card.checks.address_line1_check is None


@pytest.mark.parametrize("how", ["token", "number"])
def test_refund_that_takes_its_time(client, how):
    params = {"token": "pm_card_pendingRefund"} if how == "token" else {
        "token": client.v1.payment_methods.create(
            {"type": "card", "card": card("4000000000007726")}).id}
    intent = pay(client, 1200, **params)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "pending"
    refund = wait_until(
        lambda: (now := client.v1.refunds.retrieve(refund.id)).status != "pending" and now,
        15, "the refund's end")
    assert refund.status == "succeeded"
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.refunded and charge.amount_refunded == 1200
    types = events_about(client, refund.id)
    assert "refund.updated" in types and "refund.created" in types


@pytest.mark.parametrize("how", ["token", "number"])
def test_refund_that_fails_afterwards(client, how):
    params = {"token": "pm_card_refundFail"} if how == "token" else {
        "token": client.v1.payment_methods.create(
            {"type": "card", "card": card("4000000000005126")}).id}
    intent = pay(client, 1300, **params)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    refund = wait_until(
        lambda: (now := client.v1.refunds.retrieve(refund.id)).status == "failed" and now,
        15, "the refund's failure")
    assert refund.failure_reason
    assert refund.failure_balance_transaction
    back = client.v1.balance_transactions.retrieve(refund.failure_balance_transaction)
    assert back.amount == 1300 and back.type == "refund_failure"
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.amount_refunded == 0 and not charge.refunded
    assert "refund.failed" in events_about(client, refund.id)
    # What did not get back may be tried again.
    assert client.v1.refunds.create({"payment_intent": intent.id}).amount == 1300


def test_bypass_pending(client):
    intent = pay(client, 5000, token="pm_card_bypassPending", expand=["latest_charge"])
    transaction = wait_until(
        lambda: (now := client.v1.balance_transactions.retrieve(
            intent.latest_charge.balance_transaction)).status == "available" and now,
        5, "the money")
    assert transaction.available_on <= transaction.created + 1


@pytest.mark.parametrize("token", ["pm_card_nothing", "pm_missing", "card_1", "x"])
def test_unknown_tokens(client, token):
    with pytest.raises(stripe.InvalidRequestError) as error:
        pay(client, token=token)
    assert error.value.code == "resource_missing"
    assert error.value.param == "payment_method"
    assert token in str(error.value)


def test_an_unknown_token_is_told_by_its_parameter(client):
    given = {"type": "card", "card": {"token": "tok_nothing"}}
    refused(lambda: client.v1.payment_methods.create(given), "resource_missing",
            param="card[token]")
    refused(lambda: pay(client, token=None, payment_method_data=given), "resource_missing",
            param="payment_method_data[card][token]")


def test_two_cards_for_one_payment(client):
    """Which of them was meant nobody knows."""
    other = {"type": "card", "card": card("5555555555554444")}
    refused(lambda: pay(client, payment_method_data=other), "parameters_exclusive",
            param="payment_method_data")
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    for act in (client.v1.payment_intents.update, client.v1.payment_intents.confirm):
        refused(lambda act=act: act(
            intent.id, {"payment_method": "pm_card_visa", "payment_method_data": other}),
            "parameters_exclusive", param="payment_method_data")
    refused(lambda: client.v1.setup_intents.create(
        {"payment_method": "pm_card_visa", "payment_method_data": other}),
        "parameters_exclusive", param="payment_method_data")
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"
