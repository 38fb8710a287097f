"""Setup intents, saved cards, and payments with them when nobody is there."""

import pytest
import stripe

from kit.answers import events_about, refused
from kit.browser import Browser, Page, action_url, query_of
from kit.client import card, pay, sdk

RETURN = "https://shop.example/saved"
ON_SETUP = "pm_card_authenticationRequiredOnSetup"
ALWAYS = "pm_card_authenticationRequired"
SET_UP_BEFORE = "pm_card_authenticationRequiredSetupForOffSession"
NO_FUNDS = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"


@pytest.fixture(scope="module")
def browser():
    return Browser()


@pytest.fixture
def customer(client):
    return client.v1.customers.create({"name": "Ada"}).id


def setup(client, token, **params):
    return client.v1.setup_intents.create(
        {"payment_method": token, "confirm": True, "return_url": RETURN, **params})


def save_card(client, browser, customer, token, **params):
    """The id of a card that the customer has saved, with authentication if that is asked."""
    intent = setup(client, token, customer=customer, **params)
    if intent.status == "requires_action":
        assert browser.follow(action_url(intent))["redirect_status"] == "succeeded"
        intent = client.v1.setup_intents.retrieve(intent.id)
    assert intent.status == "succeeded"
    return intent.payment_method


# ---- their life ------------------------------------------------------------------------------


def test_create_then_confirm(client, customer):
    intents = client.v1.setup_intents
    intent = intents.create({"customer": customer, "description": "for later",
                             "metadata": {"plan": "gold"}})
    assert intent.id.startswith("seti_") and intent.object == "setup_intent"
    assert intent.status == "requires_payment_method" and intent.usage == "off_session"
    assert intent.client_secret.startswith(intent.id + "_secret_")
    assert intent.payment_method_types == ["card"] and intent.livemode is False
    assert intent.latest_attempt is None and intent.next_action is None
    done = intents.confirm(intent.id, {"payment_method": "pm_card_visa",
                                       "expand": ["payment_method", "latest_attempt"]})
    assert done.status == "succeeded"
    assert done.payment_method.customer == customer
    assert done.latest_attempt.status == "succeeded"
    assert done.latest_attempt.setup_intent == intent.id
    assert done.latest_attempt.payment_method_details.card.last4 == "4242"
    assert done.latest_attempt.payment_method_details.card.checks.cvc_check == "pass"
    shown = intents.retrieve(intent.id)
    assert shown.description == "for later" and shown.metadata.to_dict() == {"plan": "gold"}
    assert events_about(client, intent.id) == ["setup_intent.succeeded", "setup_intent.created"]
    assert "payment_method.attached" in events_about(client, done.payment_method.id)
    assert [method.id for method in client.v1.customers.payment_methods.list(customer).data] == [
        done.payment_method.id]


def test_raw_card_in_payment_method_data(client, customer):
    intent = client.v1.setup_intents.create({
        "customer": customer, "confirm": True, "usage": "on_session",
        "payment_method_data": {"type": "card", "card": card("5555555555554444"),
                                "billing_details": {"name": "Ada"}}})
    assert intent.status == "succeeded" and intent.usage == "on_session"
    method = client.v1.payment_methods.retrieve(intent.payment_method)
    assert method.customer == customer and method.billing_details.name == "Ada"


def test_without_a_customer(client):
    intent = setup(client, "pm_card_visa")
    assert intent.status == "succeeded" and intent.customer is None
    assert client.v1.payment_methods.retrieve(intent.payment_method).customer is None


def test_update(client, customer):
    intents = client.v1.setup_intents
    intent = intents.create({"payment_method": "pm_card_visa"})
    assert intent.status == "requires_confirmation"
    intent = intents.update(intent.id, {
        "customer": customer, "description": "x", "metadata": {"a": "1"},
        "payment_method": "pm_card_mastercard"})
    assert (intent.customer, intent.description) == (customer, "x")
    assert intents.confirm(intent.id).status == "succeeded"
    assert intents.update(intent.id, {"metadata": {"b": "2"}}).metadata.to_dict() == {
        "a": "1", "b": "2"}
    error = refused(lambda: intents.update(intent.id, {"payment_method": "pm_card_visa"}),
        "setup_intent_unexpected_state")
    assert error.error.setup_intent["id"] == intent.id


def test_list(client, customer):
    intents = client.v1.setup_intents
    made = [intents.create({"customer": customer}).id for _ in range(3)]
    assert [one.id for one in intents.list({"customer": customer}).data] == made[::-1]
    one = setup(client, "pm_card_visa", customer=customer)
    found = intents.list({"payment_method": one.payment_method}).data
    assert [intent.id for intent in found] == [one.id]


@pytest.mark.parametrize("state", [
    "requires_payment_method", "requires_confirmation", "requires_action"])
def test_cancel(client, state):
    intents = client.v1.setup_intents
    if state == "requires_action":
        intent = setup(client, ALWAYS)
    else:
        intent = intents.create(
            {"payment_method": "pm_card_visa"} if state == "requires_confirmation" else {})
    assert intent.status == state
    canceled = intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert canceled.status == "canceled" and canceled.cancellation_reason == "abandoned"
    assert canceled.next_action is None
    assert events_about(client, intent.id)[0] == "setup_intent.canceled"
    for act in (lambda: intents.cancel(intent.id),
                lambda: intents.confirm(intent.id, {"payment_method": "pm_card_visa"})):
        refused(act, "setup_intent_unexpected_state")
    if state == "requires_action":
        (attempt,) = client.v1.setup_attempts.list({"setup_intent": intent.id}).data
        assert attempt.status == "abandoned"


def test_what_is_finished_stays(client):
    intent = setup(client, "pm_card_visa")
    refused(lambda: client.v1.setup_intents.cancel(intent.id),
            "setup_intent_unexpected_state")
    refused(lambda: client.v1.setup_intents.confirm(intent.id),
            "setup_intent_unexpected_state")
    customer = client.v1.customers.create({}).id
    refused(lambda: client.v1.setup_intents.update(intent.id, {"customer": customer}),
            "setup_intent_unexpected_state")
    for change in ({"payment_method": "pm_card_amex"}, {"payment_method": ""},
                   {"payment_method_options": {"card": {"request_three_d_secure": "any"}}},
                   {"payment_method_types": ["card"]}, {"customer": customer}):
        refused(lambda change=change: client.v1.setup_intents.update(intent.id, change),
                "setup_intent_unexpected_state", param=next(iter(change)))
    assert client.v1.setup_intents.retrieve(intent.id).to_dict() == intent.to_dict()
    assert client.v1.setup_intents.update(intent.id, {"description": "x"}).description == "x"


def test_bad_requests(client, customer):
    intents = client.v1.setup_intents
    refused(lambda: intents.create({"customer": "cus_x"}), "resource_missing",
            param="customer")
    refused(lambda: intents.create({"usage": "sometimes"}), None, param="usage")
    refused(lambda: intents.create({"amount": 1}), "parameter_unknown", param="amount")
    refused(lambda: intents.retrieve("seti_x"), "resource_missing", status=404)
    refused(lambda: intents.confirm(intents.create({}).id),
            "setup_intent_unexpected_state", param="payment_method")
    refused(lambda: setup(client, "pm_card_visa", return_url="nowhere"), "url_invalid",
            param="return_url")
    refused(lambda: intents.create(
        {"payment_method_options": {"card": {"request_three_d_secure": "x"}}}), None,
        param="payment_method_options[card][request_three_d_secure]")
    refused(lambda: client.v1.setup_attempts.list({}), "parameter_missing",
            param="setup_intent")
    other = client.v1.customers.create({}).id
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": other}).id
    refused(lambda: setup(client, method, customer=customer), None,
            param="payment_method")


def test_publishable_key(server, client):
    intent = client.v1.setup_intents.create({})
    public = sdk(server, server.publishable_key)
    secret = {"client_secret": intent.client_secret}
    refused(lambda: public.v1.setup_intents.retrieve(intent.id), "parameter_missing",
            param="client_secret")
    refused(lambda: public.v1.setup_intents.confirm(
        intent.id, {"client_secret": "seti_x_secret_y"}), "setup_intent_invalid_parameter")
    with pytest.raises(stripe.StripeError):
        public.v1.setup_intents.create({})
    done = public.v1.setup_intents.confirm(intent.id, {
        **secret, "payment_method_data": {"type": "card", "card": card()}})
    assert done.status == "succeeded"
    assert public.v1.setup_intents.retrieve(intent.id, secret).status == "succeeded"


def test_a_payer_does_not_take_the_proof_back(server, client):
    wanted = {"card": {"request_three_d_secure": "any"}}
    intent = client.v1.setup_intents.create({"payment_method_options": wanted})
    public = sdk(server, server.publishable_key)
    given = {"client_secret": intent.client_secret,
             "payment_method_data": {"type": "card", "card": card("4000000000003055")}}
    refused(lambda: public.v1.setup_intents.confirm(intent.id, {
        **given, "payment_method_options": {"card": {"request_three_d_secure": "automatic"}}}),
            "secret_key_required", param="payment_method_options")
    assert public.v1.setup_intents.confirm(intent.id, given).status == "requires_action"


@pytest.mark.parametrize("token", ["pm_card_visa", ON_SETUP])
def test_a_payment_method_that_is_unset(client, token):
    intents = client.v1.setup_intents
    intent = intents.create({"payment_method": token})
    if token == ON_SETUP:
        assert intents.confirm(intent.id).status == "requires_action"
    intent = intents.update(intent.id, {"payment_method": ""})
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.next_action is None
    refused(lambda: intents.confirm(intent.id), "setup_intent_unexpected_state",
            param="payment_method")
    assert intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    refused(lambda: intents.update(intent.id, {"payment_method": ""}),
            "setup_intent_unexpected_state")


@pytest.mark.parametrize("token, code, decline", [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ("pm_card_threeDSecureRequiredProcessingError", "card_declined", "processing_error"),
])
def test_declined(client, customer, token, code, decline):
    error = refused(lambda: setup(client, token, customer=customer), code, status=402)
    assert error.error.decline_code == decline
    intent = client.v1.setup_intents.retrieve(error.error.setup_intent["id"])
    assert intent.status == "requires_payment_method" and intent.payment_method is None
    assert intent.last_setup_error.code == code
    assert intent.last_setup_error.decline_code == decline
    (attempt,) = client.v1.setup_attempts.list({"setup_intent": intent.id}).data
    assert attempt.status == "failed" and attempt.setup_error.code == code
    assert client.v1.customers.payment_methods.list(customer).data == []
    assert events_about(client, intent.id)[0] == "setup_intent.setup_failed"
    assert client.v1.setup_intents.confirm(
        intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"


# ---- authentication --------------------------------------------------------------------------


def test_authentication(client, browser, customer):
    intent = setup(client, ALWAYS, customer=customer)
    assert intent.next_action.redirect_to_url.return_url == RETURN
    assert events_about(client, intent.id)[0] == "setup_intent.requires_action"
    page = browser.open(action_url(intent))
    assert page.heading() == "Confirm that your card may be saved" and "3184" in page.text()
    query = browser.follow(action_url(intent))
    assert query == {"setup_intent": intent.id, "redirect_status": "succeeded",
                     "setup_intent_client_secret": intent.client_secret}
    intent = client.v1.setup_intents.retrieve(intent.id, {"expand": ["latest_attempt"]})
    assert intent.status == "succeeded"
    secure = intent.latest_attempt.payment_method_details.card.three_d_secure
    assert secure.result == "authenticated"
    assert client.v1.payment_methods.retrieve(intent.payment_method).customer == customer


def test_authentication_fails(client, browser, customer):
    intent = setup(client, ALWAYS, customer=customer)
    assert browser.follow(action_url(intent), "fail")["redirect_status"] == "failed"
    again = browser.post(action_url(intent), "complete")
    assert query_of(again.headers["Location"])["redirect_status"] == "failed"
    intent = client.v1.setup_intents.retrieve(intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_setup_error.code == "setup_intent_authentication_failure"
    assert client.v1.customers.payment_methods.list(customer).data == []
    (attempt,) = client.v1.setup_attempts.list({"setup_intent": intent.id}).data
    assert attempt.status == "failed"


def test_without_return_url(client, browser):
    intent = setup(client, ALWAYS, return_url="")
    answer = browser.press(action_url(intent), "complete")
    assert answer.status_code == 200 and Page(answer.text).heading() == "Your card is saved"


def test_confirming_again(client, browser):
    intent = setup(client, ALWAYS)
    old = action_url(intent)
    intent = client.v1.setup_intents.confirm(intent.id, {"payment_method": ALWAYS})
    assert browser.get(old).status_code == 404
    browser.press(action_url(intent), "complete")
    attempts = client.v1.setup_attempts.list({"setup_intent": intent.id}).data
    assert [attempt.status for attempt in attempts] == ["succeeded", "abandoned"]


def test_asked_for_by_the_merchant(client):
    options = {"card": {"request_three_d_secure": "any"}}
    intent = setup(client, "pm_card_threeDSecureOptional", payment_method_options=options)
    assert intent.status == "requires_action"
    assert setup(client, "pm_card_threeDSecureOptional").status == "succeeded"


# ---- saved cards -----------------------------------------------------------------------------


def charge_saved(client, customer, method, **params):
    return pay(client, 1500, token=method, customer=customer, off_session=True, **params)


def authentication_required(client, customer, method):
    error = refused(lambda: charge_saved(client, customer, method),
                    "authentication_required", status=402)
    assert error.error.type == "card_error"
    assert error.error.decline_code == "authentication_required"
    assert error.error.payment_method["id"] == method
    intent = client.v1.payment_intents.retrieve(error.error.payment_intent["id"])
    assert intent.status == "requires_payment_method" and intent.next_action is None
    assert intent.last_payment_error.code == "authentication_required"
    assert intent.last_payment_error.payment_method.id == method
    return intent


def test_an_ordinary_saved_card(client, browser, customer):
    method = save_card(client, browser, customer, "pm_card_visa")
    intent = charge_saved(client, customer, method)
    assert intent.status == "succeeded" and intent.customer == customer


def test_a_card_that_is_set_up_pays_off_session(client, browser, customer):
    method = save_card(client, browser, customer, ON_SETUP)
    assert charge_saved(client, customer, method).status == "succeeded"
    assert charge_saved(client, customer, method, capture_method="manual").status == (
        "requires_capture")
    # With the customer there it asks for them, as always.
    assert pay(client, token=method, customer=customer).status == "requires_action"


def test_a_card_that_is_only_attached_does_not(client, customer):
    method = client.v1.payment_methods.attach(ON_SETUP, {"customer": customer}).id
    authentication_required(client, customer, method)


def test_a_card_that_is_set_up_for_the_session_does_not(client, browser, customer):
    method = save_card(client, browser, customer, ON_SETUP, usage="on_session")
    authentication_required(client, customer, method)


def test_the_set_up_of_one_card_is_not_another_s(client, browser, customer):
    save_card(client, browser, customer, ON_SETUP)
    other = client.v1.customers.create({}).id
    method = client.v1.payment_methods.attach(ON_SETUP, {"customer": other}).id
    authentication_required(client, other, method)


def test_a_card_that_always_authenticates(client, browser, customer):
    method = save_card(client, browser, customer, ALWAYS)
    intent = authentication_required(client, customer, method)
    # The customer comes back: the same intent, now on session.
    again = client.v1.payment_intents.confirm(
        intent.id, {"payment_method": method, "return_url": RETURN})
    assert browser.follow(action_url(again))["redirect_status"] == "succeeded"


def test_a_card_that_was_set_up_elsewhere(client, customer):
    method = client.v1.payment_methods.attach(SET_UP_BEFORE, {"customer": customer}).id
    assert charge_saved(client, customer, method).status == "succeeded"
    assert pay(client, token=method, customer=customer).status == "requires_action"


def test_a_card_without_funds(client, browser, customer):
    method = save_card(client, browser, customer, NO_FUNDS)
    error = refused(lambda: charge_saved(client, customer, method), "card_declined",
                    status=402)
    assert error.error.decline_code == "insufficient_funds"
    intent = pay(client, token=method, customer=customer, return_url=RETURN)
    assert browser.follow(action_url(intent))["redirect_status"] == "failed"
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert intent.last_payment_error.decline_code == "insufficient_funds"


@pytest.mark.parametrize("value", ["one_off", "recurring"])
def test_words_for_off_session(client, customer, value):
    method = client.v1.payment_methods.attach(ALWAYS, {"customer": customer}).id
    refused(lambda: pay(client, token=method, customer=customer, off_session=value),
            "authentication_required", status=402)


def test_off_session_needs_confirm(client):
    refused(lambda: client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "off_session": True}), "parameter_missing",
        param="confirm")


@pytest.mark.parametrize("usage", ["off_session", "on_session"])
@pytest.mark.parametrize("where", ["intent", "option"])
def test_a_payment_saves_its_card(client, browser, customer, usage, where):
    agreed = {"setup_future_usage": usage}
    if where == "option":
        agreed = {"payment_method_options": {"card": agreed}}
    intent = pay(client, token=ON_SETUP, customer=customer, return_url=RETURN, **agreed)
    assert client.v1.customers.payment_methods.list(customer).data == []
    browser.follow(action_url(intent))
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert intent.status == "succeeded"
    (saved,) = client.v1.customers.payment_methods.list(customer).data
    assert saved.id == intent.payment_method
    assert events_about(client, saved.id) == ["payment_method.attached"]
    if usage == "off_session":
        assert charge_saved(client, customer, saved.id).status == "succeeded"
    else:
        authentication_required(client, customer, saved.id)


def test_the_option_goes_before(client, customer):
    pay(client, customer=customer, setup_future_usage="off_session",
        payment_method_options={"card": {"setup_future_usage": "none"}})
    assert client.v1.customers.payment_methods.list(customer).data == []


@pytest.mark.parametrize("token", ["pm_card_chargeDeclined", "pm_card_radarBlock"])
def test_a_declined_payment_saves_nothing(client, customer, token):
    with pytest.raises(stripe.CardError):
        pay(client, token=token, customer=customer, setup_future_usage="off_session")
    assert client.v1.customers.payment_methods.list(customer).data == []


def test_without_the_wish_nothing_is_saved(client, customer):
    pay(client, customer=customer)
    assert client.v1.customers.payment_methods.list(customer).data == []


def test_a_card_of_somebody_else(client, browser, customer):
    method = save_card(client, browser, customer, "pm_card_visa")
    other = client.v1.customers.create({}).id
    refused(lambda: charge_saved(client, other, method), None, param="payment_method")


def test_only_cards_are_set_up(client, http, customer):
    wallet = http.post("/v1/wallets", {"customer": customer, "currency": "usd"}).json()["id"]
    method = http.post("/v1/payment_methods", {"type": "wallet", "wallet[id]": wallet}).json()["id"]
    answer = http.post("/v1/setup_intents", {"confirm": "true", "payment_method": method})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "payment_method"
    answer = http.post("/v1/setup_intents", {
        "confirm": "true", "payment_method_data[type]": "wallet",
        "payment_method_data[wallet][id]": wallet})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "payment_method_data[type]"
