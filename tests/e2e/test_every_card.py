"""Every test card of Stripe's documentation, by number and by token: what it does when the customer
is there, when nobody is, when it is attached, and when it is set up.

Cards whose payments are disputed pay like any other: what comes then is in test_disputes.py.
"""

import dataclasses
import pathlib
import re

import pytest
import stripe

from kit.browser import Browser, action_url
from kit.client import card, pay
from kit.server import wait_until

OK = "ok"
GENERIC = "card_declined/generic_decline"
FUNDS = "card_declined/insufficient_funds"
NOBODY = "authentication_required/authentication_required"
FRAUD = "card_declined/fraudulent"
ERROR = "card_declined/processing_error"


@dataclasses.dataclass(frozen=True)
class Row:
    """Outcomes: "ok", "code/decline_code", or "action" and what comes after it."""

    number: str
    tokens: tuple
    on_session: str = OK
    off_session: str = OK
    attach: str = OK
    setup: str = OK


def good(number, *tokens):
    return Row(number, tokens)


def bad(number, outcome, *tokens):
    """Declined always: by an issuer that does not want to know the card."""
    return Row(number, tokens, outcome, outcome, outcome, outcome)


TABLE = [
    good("4242424242424242", "visa"),
    good("4000056655665556", "visa_debit"),
    good("5555555555554444", "mastercard"),
    good("2223003122003222"),
    good("5200828282828210", "mastercard_debit"),
    good("5105105105105100", "mastercard_prepaid"),
    good("378282246310005", "amex"),
    good("371449635398431"),
    good("6011111111111117", "discover"),
    good("6011000990139424"),
    good("6011981111111113"),
    good("3056930009020004", "diners"),
    good("36227206271667"),
    good("3566002020360505", "jcb"),
    good("6200000000000005", "unionpay"),
    bad("4000000000000002", GENERIC, "visa_chargeDeclined", "chargeDeclined"),
    bad("4000000000009995", FUNDS, "visa_chargeDeclinedInsufficientFunds",
        "chargeDeclinedInsufficientFunds"),
    bad("4000000000009987", "card_declined/lost_card", "visa_chargeDeclinedLostCard",
        "chargeDeclinedLostCard"),
    bad("4000000000009979", "card_declined/stolen_card", "visa_chargeDeclinedStolenCard",
        "chargeDeclinedStolenCard"),
    bad("4000000000000069", "expired_card/expired_card", "chargeDeclinedExpiredCard",
        "visa_chargeDeclinedExpiredCard"),
    bad("4000000000000127", "incorrect_cvc/incorrect_cvc", "chargeDeclinedIncorrectCvc",
        "visa_chargeDeclinedIncorrectCvc"),
    bad("4000000000000119", "processing_error/processing_error", "chargeDeclinedProcessingError",
        "visa_chargeDeclinedProcessingError"),
    bad("4000000000006975", "card_declined/card_velocity_exceeded",
        "visa_chargeDeclinedVelocityLimitExceeded", "chargeDeclinedVelocityLimitExceeded"),
    Row("4000000000000341", ("chargeCustomerFail",), GENERIC, GENERIC),
    bad("4100000000000019", FRAUD, "radarBlock"),
    bad("4000000000004954", FRAUD, "riskLevelHighest"),
    good("4000000000009235", "riskLevelElevated"),
    good("4000000000000101", "cvcCheckFail"),
    good("4000000000000036", "avsZipFail"),
    good("4000000000000028", "avsLine1Fail"),
    good("4000000000000010", "avsFail"),
    good("4000000000000044", "avsUnchecked"),
    good("4000000000000259", "createDispute"),
    good("4000000000002685", "createDisputeProductNotReceived"),
    good("4000000000001976", "createDisputeInquiry"),
    good("4000000000005423", "createIssuerFraudRecord"),
    good("4000000404000079", "createMultipleDisputes"),
    good("4000000000007726", "pendingRefund"),
    good("4000000000005126", "refundFail"),
    good("4000000000000077", "bypassPending"),
    good("4000003720000278", "bypassPendingInternational"),
    Row("4000002760003184", ("authenticationRequired",), "action ok", NOBODY, OK, "action ok"),
    Row("4000002500003155", ("authenticationRequiredOnSetup",), "action ok", NOBODY, OK,
        "action ok"),
    Row("4000003800000446", ("authenticationRequiredSetupForOffSession",), "action ok", OK, OK,
        "action ok"),
    Row("4000008260003178", ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        f"action {FUNDS}", FUNDS, OK, "action ok"),
    Row("4000000000003220", ("threeDSecure2Required",), "action ok", NOBODY, OK, "action ok"),
    Row("4000000000003063", ("threeDSecureRequired",), "action ok", NOBODY, OK, "action ok"),
    Row("4000008400001629", ("threeDSecureRequiredChargeDeclined",), f"action {GENERIC}", NOBODY,
        OK, "action ok"),
    Row("4000008400001280", ("threeDSecureRequiredProcessingError",), ERROR, ERROR, OK, ERROR),
    good("4000000000003055", "threeDSecureOptional"),
    good("4000000000003097", "threeDSecureOptionalProcessingError"),
]

BY_TOKEN = [(row, "pm_card_" + token) for row in TABLE for token in row.tokens]
BY_LEGACY_TOKEN = [(row, "tok_" + token) for row in TABLE for token in row.tokens]
BY_NUMBER = [(row, row.number) for row in TABLE]
EVERY = BY_TOKEN + BY_NUMBER


def name(value):
    return value if isinstance(value, str) else value.number


@pytest.fixture(scope="module")
def browser():
    return Browser()


def method_of(client, how):
    """A fresh payment method of a number or a token."""
    code = "1234" if how.startswith(("34", "37")) else "123"
    given = {"token": how} if how.startswith("tok_") else card(how, cvc=code)
    return client.v1.payment_methods.create({"type": "card", "card": given}).id


def as_method(client, how):
    return how if how.startswith("pm_") else method_of(client, how)


def word(call):
    """The outcome of a call in the table's words, and what it answered."""
    try:
        return OK, call()
    except stripe.CardError as error:
        assert error.http_status == 402
        return f"{error.code}/{error.error.decline_code}", error


def of_intent(client, browser, service, call):
    """The outcome of confirming an intent or a setup, the customer's answer included."""
    outcome, made = word(call)
    if outcome != OK or made.status in ("succeeded", "requires_capture"):
        return outcome
    assert made.status == "requires_action"
    browser.press(action_url(made), "complete")
    made = service.retrieve(made.id)
    if made.status == "succeeded":
        return "action ok"
    assert made.status == "requires_payment_method"
    error = getattr(made, "last_payment_error", None) or made.last_setup_error
    return f"action {error.code}/{error.decline_code}"


@pytest.mark.parametrize("row, how", EVERY + BY_LEGACY_TOKEN, ids=name)
def test_paying_on_session(client, browser, row, how):
    method = as_method(client, how)
    outcome = of_intent(client, browser, client.v1.payment_intents,
                        lambda: pay(client, 1234, token=method))
    assert outcome == row.on_session


@pytest.mark.parametrize("row, how", EVERY, ids=name)
def test_paying_off_session(client, browser, row, how):
    method = as_method(client, how)
    outcome = of_intent(client, browser, client.v1.payment_intents,
                        lambda: pay(client, 1234, token=method, off_session=True))
    assert outcome == row.off_session


@pytest.mark.parametrize("row, how", EVERY, ids=name)
def test_attaching(client, row, how):
    customer = client.v1.customers.create({}).id
    method = as_method(client, how)
    outcome, made = word(lambda: client.v1.payment_methods.attach(method, {"customer": customer}))
    assert outcome == row.attach
    saved = client.v1.customers.payment_methods.list(customer).data
    assert [one.id for one in saved] == ([made.id] if outcome == OK else [])


@pytest.mark.parametrize("row, how", EVERY, ids=name)
def test_setting_up(client, browser, row, how):
    customer = client.v1.customers.create({}).id
    method = as_method(client, how)
    outcome = of_intent(
        client, browser, client.v1.setup_intents, lambda: client.v1.setup_intents.create(
            {"customer": customer, "payment_method": method, "confirm": True}))
    assert outcome == row.setup
    saved = client.v1.customers.payment_methods.list(customer).data
    assert len(saved) == (1 if outcome.endswith(OK) else 0)


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_what_is_shown_of_it(client, row):
    method = client.v1.payment_methods.retrieve(method_of(client, row.number))
    assert method.card.last4 == row.number[-4:]
    brands = {"34": "amex", "37": "amex", "35": "jcb", "30": "diners", "36": "diners",
              "60": "discover", "62": "unionpay", "22": "mastercard"}
    first = {"4": "visa", "5": "mastercard"}
    assert method.card.brand == (brands.get(row.number[:2]) or first[row.number[0]])
    assert method.card.funding in ("credit", "debit", "prepaid")


BILLING = {"address": {"line1": "1 Main Street", "postal_code": "12345"}}


@pytest.mark.parametrize("number, cvc, postal_code, line1", [
    ("4242424242424242", "pass", "pass", "pass"),
    ("4000000000000101", "fail", "pass", "pass"),
    ("4000000000000036", "pass", "fail", "pass"),
    ("4000000000000028", "pass", "pass", "fail"),
    ("4000000000000010", "pass", "fail", "fail"),
    ("4000000000000044", "unavailable", "unavailable", "unavailable"),
])
@pytest.mark.parametrize("how", ["pay", "attach", "setup"])
def test_checks(client, number, cvc, postal_code, line1, how):
    method = client.v1.payment_methods.create(
        {"type": "card", "card": card(number), "billing_details": BILLING}).id
    if how == "pay":
        pay(client, token=method)
    elif how == "attach":
        customer = client.v1.customers.create({}).id
        client.v1.payment_methods.attach(method, {"customer": customer})
    else:
        client.v1.setup_intents.create({"payment_method": method, "confirm": True})
    checks = client.v1.payment_methods.retrieve(method).card.checks
    assert (checks.cvc_check, checks.address_postal_code_check, checks.address_line1_check) == (
        cvc, postal_code, line1)


@pytest.mark.parametrize("number, first, last, event", [
    ("4000000000007726", "pending", "succeeded", "refund.updated"),
    ("4000000000005126", "succeeded", "failed", "refund.failed"),
])
def test_refunds(client, number, first, last, event):
    intent = pay(client, 900, token=method_of(client, number))
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == first
    wait_until(lambda: client.v1.refunds.retrieve(refund.id).status == last, 15, last)
    types = [one.type for one in client.v1.events.list({"limit": 100}).data
             if one.data.object.id == refund.id]
    assert event in types


@pytest.mark.parametrize("number", ["4000000000000077", "4000003720000278"])
def test_straight_to_available(client, number):
    intent = pay(client, 900, token=method_of(client, number), expand=["latest_charge"])
    transaction = intent.latest_charge.balance_transaction
    wait_until(lambda: client.v1.balance_transactions.retrieve(transaction).status == "available",
               10, "the money")


@pytest.mark.parametrize("given, code, param", [
    (card("4242424242424241"), "incorrect_number", "number"),
    (card(month=13), "invalid_expiry_month", "exp_month"),
    (card(year=1970), "invalid_expiry_year", "exp_year"),
    (card(cvc="99"), "invalid_cvc", "cvc"),
])
@pytest.mark.parametrize("where", ["payment", "method", "setup"])
def test_bad_input(client, given, code, param, where):
    data = {"type": "card", "card": given}
    with pytest.raises(stripe.CardError) as error:
        if where == "method":
            client.v1.payment_methods.create(data)
        elif where == "payment":
            client.v1.payment_intents.create({"amount": 500, "currency": "usd", "confirm": True,
                                              "payment_method_data": data})
        else:
            client.v1.setup_intents.create({"confirm": True, "payment_method_data": data})
    assert error.value.http_status == 402
    assert error.value.code == code
    assert param in error.value.param


def test_no_row_was_forgotten():
    """Each card that the vault or the simulated issuers know by number is in the table."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent / "src" / "service"
    known = set()
    for path in (root / "vault" / "card.c", root / "issuer" / "test_cards.c"):
        known |= set(re.findall(r'"(\d{14,16})"', path.read_text()))
    ours = {"4000000000000515",  # declines increments: test_increments.py
            "4000000000000523"}  # declines voids: test_payments_end.py
    assert known - ours == {row.number for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_a_customer_made_with_it(client, row):
    outcome, made = word(lambda: client.v1.customers.create(
        {"payment_method": method_of(client, row.number)}))
    assert outcome == row.attach
    if outcome == OK:
        assert len(client.v1.customers.payment_methods.list(made.id).data) == 1


def test_a_card_has_one_owner(client):
    customer = client.v1.customers.create({"payment_method": "pm_card_visa"})
    (saved,) = client.v1.customers.payment_methods.list(customer.id).data
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.customers.create({"payment_method": saved.id})
    assert error.value.param == "payment_method"
    assert client.v1.payment_methods.retrieve(saved.id).customer == customer.id
