"""Payment intents: every way through the state machine."""

import time

import pytest
import stripe

from kit.client import card, pay


def refused(error, code, param=None, status=400):
    """The parts of an SDK exception that programs look at."""
    assert error.value.code == code, error.value
    assert error.value.http_status == status
    if param is not None:
        assert error.value.param == param
    return error.value


def test_create_then_confirm(client):
    intents = client.v1.payment_intents
    intent = intents.create({"amount": 1999, "currency": "eur"})
    assert intent.id.startswith("pi_")
    assert intent.status == "requires_payment_method"
    assert intent.amount == 1999 and intent.currency == "eur"
    assert intent.amount_received == 0 and intent.amount_capturable == 0
    assert intent.client_secret.startswith(intent.id + "_secret_")
    assert intent.livemode is False
    assert abs(intent.created - time.time()) < 60
    assert intent.latest_charge is None
    intent = intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "succeeded"
    assert intent.amount_received == 1999
    assert intent.latest_charge.startswith("ch_")
    assert intents.retrieve(intent.id).to_dict() == intent.to_dict()


def test_payment_method_given_at_creation(client):
    intents = client.v1.payment_intents
    intent = intents.create(
        {"amount": 500, "currency": "usd", "payment_method": "pm_card_mastercard"}
    )
    assert intent.status == "requires_confirmation"
    assert intent.payment_method.startswith("pm_")
    assert intents.confirm(intent.id).status == "succeeded"


def test_create_and_confirm_in_one_call(client):
    intent = pay(client, 2000, description="Two coffees", receipt_email="a@example.com",
                 statement_descriptor_suffix="COFFEE")
    assert intent.status == "succeeded"
    assert intent.amount_received == 2000
    assert intent.description == "Two coffees"
    assert intent.receipt_email == "a@example.com"
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.paid and charge.captured and charge.status == "succeeded"
    assert charge.amount == charge.amount_captured == 2000
    assert charge.payment_intent == intent.id
    assert charge.description == "Two coffees"
    assert charge.statement_descriptor_suffix == "COFFEE"
    assert charge.calculated_statement_descriptor == "COFFEE"
    assert charge.payment_method_details.card.last4 == "4242"


def test_raw_card_in_payment_method_data(client):
    intent = client.v1.payment_intents.create({
        "amount": 700, "currency": "usd", "confirm": True,
        "payment_method_data": {
            "type": "card",
            "card": card("5555555555554444"),
            "billing_details": {
                "name": "Ada Lovelace",
                "address": {"line1": "1 Main Street", "postal_code": "12345", "country": "GB"},
            },
        },
        "expand": ["latest_charge"],
    })
    assert intent.status == "succeeded"
    details = intent.latest_charge.payment_method_details.card
    assert (details.brand, details.last4, details.exp_month) == ("mastercard", "4444", 12)
    assert intent.latest_charge.billing_details.name == "Ada Lovelace"
    assert intent.latest_charge.billing_details.address.postal_code == "12345"


def test_update_before_confirmation(client):
    intents = client.v1.payment_intents
    intent = intents.create({"amount": 1000, "currency": "usd", "metadata": {"order": "1"}})
    intent = intents.update(intent.id, {
        "amount": 1500, "currency": "gbp", "description": "changed",
        "metadata": {"order": "2", "colour": "red"},
    })
    assert (intent.amount, intent.currency, intent.description) == (1500, "gbp", "changed")
    assert intent.metadata.to_dict() == {"order": "2", "colour": "red"}
    intent = intents.update(intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "requires_confirmation"
    intent = intents.confirm(intent.id)
    assert intent.amount_received == 1500


def test_what_may_change_after_success(client):
    intent = pay(client)
    updated = client.v1.payment_intents.update(
        intent.id, {"metadata": {"shipped": "yes"}, "description": "later"}
    )
    assert updated.metadata.to_dict() == {"shipped": "yes"}
    assert updated.description == "later"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.update(intent.id, {"amount": 1})
    assert error.value.http_status == 400
    assert client.v1.payment_intents.retrieve(intent.id).amount == intent.amount


@pytest.mark.parametrize("change", [
    {"amount": 1}, {"currency": "eur"}, {"payment_method": "pm_card_amex"}, {"payment_method": ""},
    {"capture_method": "manual"}, {"setup_future_usage": "off_session"}, {"setup_future_usage": ""},
    {"payment_method_options": {"card": {"request_three_d_secure": "any"}}},
    {"payment_method_types": ["wallet"]}, {"statement_descriptor": "LATE"},
    {"statement_descriptor_suffix": "LATE"}])
@pytest.mark.parametrize("state", ["succeeded", "requires_capture", "canceled"])
def test_what_would_have_no_effect_is_refused(client, state, change):
    intents = client.v1.payment_intents
    intent = pay(client, capture_method="automatic" if state == "succeeded" else "manual")
    if state == "canceled":
        intent = intents.cancel(intent.id)
    name = next(iter(change))
    if state == "requires_capture" and name.startswith("statement_descriptor"):
        assert intents.update(intent.id, change)[name] == "LATE"
        return
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.update(intent.id, change)
    refused(error, "payment_intent_unexpected_state", name)
    assert intents.retrieve(intent.id).to_dict() == intent.to_dict()


def test_the_types_stay_those_of_the_payment_method(client):
    intents = client.v1.payment_intents
    shown = intents.create({
        "amount": 1000, "currency": "usd", "confirm": True,
        "payment_method_data": {"type": "mobile_qr"}, "payment_method_types": ["mobile_qr"]})
    assert shown.status == "requires_action"
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.update(shown.id, {"payment_method_types": ["card"], "description": "Tea"})
    refused(error, "payment_intent_incompatible_payment_method", "payment_method_types")
    assert intents.retrieve(shown.id).to_dict() == shown.to_dict()
    assert intents.update(shown.id, {
        "payment_method_types": ["card", "mobile_qr"]}).status == "requires_action"
    changed = intents.update(shown.id, {
        "payment_method_types": ["card"], "payment_method": "pm_card_visa"})
    assert (changed.status, changed.payment_method_types) == ("requires_confirmation", ["card"])


def test_a_capture_is_the_last_one(client):
    intents = client.v1.payment_intents
    intent = pay(client, capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.capture(intent.id, {"amount_to_capture": 500, "final_capture": False})
    refused(error, "payment_intent_invalid_parameter", "final_capture")
    done = intents.capture(intent.id, {"amount_to_capture": 500, "final_capture": True})
    assert (done.status, done.amount_received) == ("succeeded", 500)


def test_a_capture_names_the_statement(client):
    intent = pay(client, capture_method="manual", statement_descriptor="SHOP")
    intent = client.v1.payment_intents.capture(
        intent.id, {"statement_descriptor": "SHOP LATER", "expand": ["latest_charge"]})
    assert intent.statement_descriptor == "SHOP LATER"
    assert intent.latest_charge.statement_descriptor == "SHOP LATER"


@pytest.mark.parametrize("part", [None, 1, 1500, 2000])
def test_manual_capture(client, part):
    intent = pay(client, 2000, capture_method="manual")
    assert intent.status == "requires_capture"
    assert intent.amount_capturable == 2000 and intent.amount_received == 0
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.paid and not charge.captured and charge.amount_captured == 0
    assert charge.balance_transaction is None
    taken = part or 2000
    intent = client.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": part} if part else None
    )
    assert intent.status == "succeeded"
    assert intent.amount_received == taken and intent.amount_capturable == 0
    charge = client.v1.charges.retrieve(intent.latest_charge, {"expand": ["balance_transaction"]})
    assert charge.captured and charge.amount_captured == taken
    assert charge.balance_transaction.amount == taken
    assert charge.balance_transaction.type == "charge"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.capture(intent.id)
    refused(error, "payment_intent_unexpected_state")


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_whose_payment_it_was_does_not_change(client, capture):
    intents = client.v1.payment_intents
    payer, other = (client.v1.customers.create().id for _ in range(2))
    intent = pay(client, customer=payer, capture_method=capture)
    assert intents.update(intent.id, {"customer": payer, "metadata": {"a": "b"}}).customer == payer
    for customer in (other, ""):
        with pytest.raises(stripe.InvalidRequestError) as error:
            intents.update(intent.id, {"customer": customer})
        refused(error, "payment_intent_unexpected_state")
    assert intents.retrieve(intent.id).customer == payer


def test_another_customer_is_not_who_was_asked(client):
    payer, other = (client.v1.customers.create().id for _ in range(2))
    asked = {"token": "pm_card_authenticationRequired"}
    update = client.v1.payment_intents.update
    intent = pay(client, customer=payer, **asked)
    assert update(intent.id, {"customer": other}).status == "requires_confirmation"
    guest = pay(client, **asked)
    assert update(guest.id, {"customer": payer}).status == "requires_action"


@pytest.mark.parametrize("token", ["pm_card_visa", "pm_card_authenticationRequired"])
def test_a_payment_method_that_is_unset_does_not_pay(client, token):
    intents = client.v1.payment_intents
    intent = intents.create({"amount": 2000, "currency": "usd", "payment_method": token})
    if token != "pm_card_visa":
        assert intents.confirm(intent.id).status == "requires_action"
    intent = intents.update(intent.id, {"payment_method": ""})
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.next_action is None
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.confirm(intent.id)
    refused(error, "payment_intent_unexpected_state", "payment_method")
    assert intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.update(intent.id, {"payment_method": ""})
    refused(error, "payment_intent_unexpected_state")


def test_types_that_are_named_when_it_is_confirmed(client):
    intents = client.v1.payment_intents
    intent = intents.create(
        {"amount": 2000, "currency": "usd", "payment_method_types": ["wallet"]})
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.confirm(intent.id, {"payment_method": "pm_card_visa",
                                    "payment_method_types": ["mobile_qr"]})
    refused(error, "payment_intent_incompatible_payment_method", "payment_method")
    with pytest.raises(stripe.InvalidRequestError) as error:
        intents.confirm(intent.id, {"payment_method": "pm_card_visa",
                                    "payment_method_types": ["cheque"]})
    refused(error, "payment_intent_invalid_parameter", "payment_method_types")
    assert intents.retrieve(intent.id).payment_method_types == ["wallet"]
    intent = intents.confirm(intent.id, {"payment_method": "pm_card_visa",
                                         "payment_method_types": ["card"]})
    assert (intent.status, intent.payment_method_types) == ("succeeded", ["card"])


def test_what_a_capture_says_on_the_statement(client):
    intent = pay(client, capture_method="manual", statement_descriptor="HOTEL")
    intent = client.v1.payment_intents.capture(intent.id, {"statement_descriptor_suffix": "ROOM 7"})
    assert intent.statement_descriptor == "HOTEL"
    assert intent.statement_descriptor_suffix == "ROOM 7"
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.calculated_statement_descriptor == "HOTEL* ROOM 7"
    assert charge.statement_descriptor_suffix == "ROOM 7"


CARD_IS_CAPTURED_LATER = {"payment_method_options": {"card": {"capture_method": "manual"}}}


@pytest.mark.parametrize("when", ["create", "update", "confirm"])
def test_a_card_s_own_capture_method(client, when):
    intents = client.v1.payment_intents
    given = {name: CARD_IS_CAPTURED_LATER if name == when else {}
             for name in ("create", "update", "confirm")}
    intent = intents.create({"amount": 2000, "currency": "usd", **given["create"]})
    intents.update(intent.id, {"description": "two nights", **given["update"]})
    intent = intents.confirm(
        intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge"],
                    **given["confirm"]})
    assert intent.status == "requires_capture" and intent.capture_method == "automatic"
    assert (intent.amount_capturable, intent.amount_received) == (2000, 0)
    assert not intent.latest_charge.captured
    intent = intents.capture(intent.id, {"amount_to_capture": 1500})
    assert (intent.status, intent.amount_received) == ("succeeded", 1500)


def test_a_wallet_has_no_part_in_a_card_s_capture_method(client, wallets):
    payer = wallets.wallet(funds=5000)
    intent = client.v1.payment_intents.create({
        "amount": 2000, "currency": "usd", "confirm": True, **CARD_IS_CAPTURED_LATER,
        "payment_method_types": ["card", "wallet"],
        "payment_method_data": {"type": "wallet", "wallet": {"id": payer}}})
    assert (intent.status, intent.amount_received) == ("succeeded", 2000)


def test_capture_of_more_than_was_authorized(client):
    intent = pay(client, 2000, capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 2001})
    assert error.value.http_status == 400
    assert error.value.param == "amount_to_capture"
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_capture_without_authorization(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.capture(intent.id)
    refused(error, "payment_intent_unexpected_state")


def in_state(client, state):
    intents = client.v1.payment_intents
    if state == "requires_payment_method":
        return intents.create({"amount": 1000, "currency": "usd"})
    if state == "requires_confirmation":
        return intents.create(
            {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"}
        )
    if state == "requires_capture":
        return pay(client, 1000, capture_method="manual")
    if state == "succeeded":
        return pay(client, 1000)
    return intents.cancel(in_state(client, "requires_payment_method").id)


@pytest.mark.parametrize(
    "state", ["requires_payment_method", "requires_confirmation", "requires_capture"]
)
def test_cancel(client, state):
    intent = in_state(client, state)
    assert intent.status == state
    intent = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "duplicate"})
    assert intent.status == "canceled"
    assert intent.cancellation_reason == "duplicate"
    assert abs(intent.canceled_at - time.time()) < 60
    assert intent.amount_capturable == 0 and intent.amount_received == 0
    for act in (
        lambda: client.v1.payment_intents.cancel(intent.id),
        lambda: client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
        lambda: client.v1.payment_intents.capture(intent.id),
    ):
        with pytest.raises(stripe.InvalidRequestError) as error:
            act()
        refused(error, "payment_intent_unexpected_state")
        assert error.value.error.payment_intent["id"] == intent.id


def test_cancel_is_refused_after_success(client):
    intent = in_state(client, "succeeded")
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.cancel(intent.id)
    refused(error, "payment_intent_unexpected_state")


def test_cancellation_reason_is_checked(client):
    intent = in_state(client, "requires_payment_method")
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "because"})
    assert error.value.param == "cancellation_reason"
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"


@pytest.mark.parametrize("state", ["requires_capture", "succeeded", "canceled"])
def test_confirm_is_refused(client, state):
    intent = in_state(client, state)
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    refused(error, "payment_intent_unexpected_state")


def test_confirm_without_payment_method(client):
    intent = in_state(client, "requires_payment_method")
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.confirm(intent.id)
    assert error.value.http_status == 400


def test_declined_then_paid_with_another_card(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    with pytest.raises(stripe.CardError) as error:
        client.v1.payment_intents.confirm(
            intent.id, {"payment_method": "pm_card_visa_chargeDeclined"}
        )
    shown = error.value.error.payment_intent
    assert shown["id"] == intent.id and shown["status"] == "requires_payment_method"
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.code == "card_declined"
    assert intent.last_payment_error.decline_code == "generic_decline"
    failed = client.v1.charges.retrieve(intent.latest_charge)
    assert failed.status == "failed" and not failed.paid
    assert failed.failure_code == "card_declined"
    intent = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "succeeded" and intent.last_payment_error is None
    assert intent.latest_charge != failed.id
    charges = client.v1.charges.list({"payment_intent": intent.id})
    assert sorted(charge.status for charge in charges.data) == ["failed", "succeeded"]


def test_customer_of_an_intent(client):
    customer = client.v1.customers.create({"email": "payer@example.com"})
    intent = pay(client, customer=customer.id, expand=["customer"])
    assert intent.customer.id == customer.id
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.customer == customer.id
    listed = client.v1.payment_intents.list({"customer": customer.id})
    assert [one.id for one in listed.data] == [intent.id]


def test_automatic_payment_methods(client):
    intent = pay(client, automatic_payment_methods={"enabled": True, "allow_redirects": "never"})
    assert intent.status == "succeeded"
    assert intent.automatic_payment_methods.to_dict() == {
        "enabled": True, "allow_redirects": "never"}
    assert intent.payment_method_types == ["card"]


def test_shipping(client):
    shipping = {"name": "Ada", "phone": "+1 555", "address": {
        "line1": "1 Main Street", "city": "London", "country": "GB", "postal_code": "N1"}}
    intent = pay(client, shipping=shipping)
    assert intent.shipping.name == "Ada"
    assert intent.shipping.address.city == "London"
    assert intent.shipping.carrier is None and intent.shipping.address.state is None


@pytest.mark.parametrize("expand", [
    ["latest_charge"], ["customer"], ["payment_method"],
    ["latest_charge.balance_transaction"], ["latest_charge.balance_transaction.source"],
    ["latest_charge", "customer", "payment_method", "latest_charge.customer"],
])
def test_expand(client, expand):
    customer = client.v1.customers.create({"name": "Expanded"})
    intent = pay(client, customer=customer.id, expand=expand)
    again = client.v1.payment_intents.retrieve(intent.id, {"expand": expand})
    for shown in (intent, again):
        for path in expand:
            value = shown
            for name in path.split("."):
                value = getattr(value, name)
            assert value.id and value.object, path
    if expand == ["latest_charge.balance_transaction"]:
        transaction = again.latest_charge.balance_transaction
        assert transaction.source == again.latest_charge.id
        assert transaction.net == transaction.amount - transaction.fee


def test_expand_in_lists(client):
    customer = client.v1.customers.create()
    for _ in range(2):
        pay(client, customer=customer.id)
    listed = client.v1.payment_intents.list({
        "customer": customer.id,
        "expand": ["data.latest_charge.balance_transaction", "data.customer"],
    })
    assert len(listed.data) == 2
    for intent in listed.data:
        assert intent.latest_charge.balance_transaction.object == "balance_transaction"
        assert intent.customer.id == customer.id


@pytest.mark.parametrize("expand", ["colour", "latest_charge.colour", "amount", "data.customer"])
def test_expand_of_what_cannot_be(client, expand):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.retrieve(intent.id, {"expand": [expand]})
    assert error.value.http_status == 400


def test_expand_too_deep(client):
    intent = pay(client)
    path = "latest_charge.balance_transaction.source.payment_intent.latest_charge"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.retrieve(intent.id, {"expand": [path]})


# ---- lists ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(client):
    """A customer with 25 intents, oldest first."""
    customer = client.v1.customers.create({"name": "Many"})
    return customer, [
        client.v1.payment_intents.create(
            {"amount": 1000 + number, "currency": "usd", "customer": customer.id}
        ).id
        for number in range(25)
    ]


def test_list_newest_first(client, many):
    customer, ids = many
    listed = client.v1.payment_intents.list({"customer": customer.id})
    assert listed.has_more is True
    assert listed.url == "/v1/payment_intents"
    assert [intent.id for intent in listed.data] == ids[::-1][:10]


def test_auto_paging(client, many):
    customer, ids = many
    listed = client.v1.payment_intents.list({"customer": customer.id, "limit": 7})
    assert [intent.id for intent in listed.auto_paging_iter()] == ids[::-1]


def test_cursors(client, many):
    customer, ids = many
    newest = ids[::-1]

    def page(**params):
        listed = client.v1.payment_intents.list({"customer": customer.id, **params})
        return [intent.id for intent in listed.data], listed.has_more

    assert page(limit=3, starting_after=newest[2]) == (newest[3:6], True)
    assert page(limit=100, starting_after=newest[2]) == (newest[3:], False)
    assert page(limit=3, ending_before=newest[10]) == (newest[7:10], True)
    assert page(limit=10, ending_before=newest[5]) == (newest[:5], False)
    assert page(limit=100) == (newest, False)
    assert page(limit=25) == (newest, False)
    assert page(limit=24) == (newest[:24], True)
    assert page(starting_after=newest[-1]) == ([], False)


def test_auto_paging_backwards(client, many):
    customer, ids = many
    listed = client.v1.payment_intents.list(
        {"customer": customer.id, "limit": 4, "ending_before": ids[0]}
    )
    assert [intent.id for intent in listed.auto_paging_iter()] == ids[1:]


def test_created_filters(client):
    customer = client.v1.customers.create()
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "customer": customer.id}
    )
    then = intent.created
    cases = [
        (then, 1), (then - 1, 0), ({"gte": then}, 1), ({"gt": then}, 0), ({"gt": then - 1}, 1),
        ({"lte": then}, 1), ({"lt": then}, 0), ({"lt": then + 1}, 1),
        ({"gte": then, "lte": then}, 1), ({"gt": then, "lt": then + 10}, 0),
    ]
    for created, count in cases:
        listed = client.v1.payment_intents.list({"customer": customer.id, "created": created})
        assert len(listed.data) == count, created


@pytest.mark.parametrize("params", [
    {"limit": 0}, {"limit": 101}, {"limit": "many"}, {"starting_after": "pi_nothing"},
    {"created": "yesterday"}, {"created": {"after": 1}},
])
def test_bad_list_params(client, params):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.list(params)
    assert error.value.param.startswith(next(iter(params)))


def test_both_cursors(client, many):
    _, ids = many
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.list({"starting_after": ids[3], "ending_before": ids[5]})


def test_client_secret_of_another(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    shown = client.v1.payment_intents.retrieve(intent.id, {"client_secret": intent.client_secret})
    assert shown.id == intent.id
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.retrieve(intent.id, {"client_secret": intent.client_secret + "x"})


def test_automatic_cancellation_of_what_nobody_captures(make_server):
    from kit.client import sdk
    from kit.server import wait_until

    client = sdk(make_server("--authorization-hold=1s"))
    intent = pay(client, 1000, capture_method="manual")
    intent = wait_until(
        lambda: (found := client.v1.payment_intents.retrieve(intent.id)).status == "canceled"
        and found, 15, "cancellation")
    assert intent.cancellation_reason == "automatic"
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert not charge.captured and charge.amount_captured == 0
    types = {event.type for event in client.v1.events.list({"limit": 100}).data}
    assert "charge.expired" in types and "payment_intent.canceled" in types
