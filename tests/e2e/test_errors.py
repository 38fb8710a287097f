"""Errors as programs see them: the SDK's exceptions, codes, params and statuses."""

import time

import pytest
import stripe

from kit.client import Http, card, pay, sdk
from kit.server import wait_until


def intents(client, **params):
    return client.v1.payment_intents.create({"amount": 1000, "currency": "usd", **params})


def error_of(act, kind=stripe.InvalidRequestError):
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind, caught.value
    return caught.value


@pytest.mark.parametrize("params, code, param", [
    ({"currency": "usd"}, "parameter_missing", "amount"),
    ({"amount": 1000}, "parameter_missing", "currency"),
    ({"amount": "", "currency": "usd"}, None, "amount"),
    ({"amount": "ten", "currency": "usd"}, "parameter_invalid_integer", "amount"),
    ({"amount": "10.50", "currency": "usd"}, "parameter_invalid_integer", "amount"),
    ({"amount": -1000, "currency": "usd"}, None, "amount"),
    ({"amount": 49, "currency": "usd"}, "amount_too_small", "amount"),
    ({"amount": 0, "currency": "usd"}, "amount_too_small", "amount"),
    ({"amount": 100000000, "currency": "usd"}, "amount_too_large", "amount"),
    ({"amount": 9223372036854775808, "currency": "usd"}, None, "amount"),
    ({"amount": 1000, "currency": "xxx"}, None, "currency"),
    ({"amount": 1000, "currency": "dollars"}, None, "currency"),
    ({"amount": 1000, "currency": "usd", "colour": "red"}, "parameter_unknown", "colour"),
    ({"amount": 1000, "currency": "usd", "payment_method_data": {"type": "card", "x": "y"}},
     "parameter_unknown", "payment_method_data[x]"),
    ({"amount": 1000, "currency": "usd", "capture_method": "never"}, None, "capture_method"),
    ({"amount": 1000, "currency": "usd", "confirm": "perhaps"}, None, "confirm"),
    ({"amount": 1000, "currency": "usd", "customer": "cus_missing"}, "resource_missing",
     "customer"),
    ({"amount": 1000, "currency": "usd", "payment_method": "pm_missing"}, "resource_missing",
     "payment_method"),
    ({"amount": 1000, "currency": "usd", "statement_descriptor_suffix": "x" * 23}, None,
     "statement_descriptor_suffix"),
    ({"amount": 1000, "currency": "usd", "description": "x" * 1001}, None, "description"),
    ({"amount": {"a": 1}, "currency": "usd"}, None, "amount"),
])
def test_invalid_parameters(client, params, code, param):
    error = error_of(lambda: client.v1.payment_intents.create(params))
    assert error.http_status == 400
    assert error.param == param
    assert error.user_message
    if code is not None:
        assert error.code == code
        assert error.error.doc_url.endswith(code.replace("_", "-"))
    assert error.request_id.startswith("req_")


@pytest.mark.parametrize("path, params, code", [
    ("/v1/qr_codes/decode", {"data": "000201"}, "qr_code_invalid"),
    ("/v1/payment_intents", {
        "amount": 1000, "currency": "usd", "confirm": "true",
        "payment_method_data[type]": "payer_code",
        "payment_method_data[payer_code][code]": "1" * 18}, "payer_code_invalid"),
])
def test_a_code_that_stripe_does_not_have_names_no_page_of_stripe(server, path, params, code):
    error = Http(server).post(path, params).json()["error"]
    assert error["code"] == code and "doc_url" not in error


@pytest.mark.parametrize("currency, amount, good", [
    ("jpy", 50, True), ("jpy", 49, False), ("krw", 1000, True),
    ("gbp", 30, True), ("gbp", 29, False), ("eur", 50, True),
    # Without decimals at ISO, but with two in this API: whole units only.
    ("isk", 20000, True), ("isk", 20050, False), ("ugx", 300000, True), ("ugx", 300001, False),
    # Three decimals.
    ("kwd", 5000, True), ("bhd", 1230, True), ("tnd", 99990, True), ("jod", 99, False),
    ("USD", 1000, True), ("clp", 1000, True),
])
def test_currencies(client, currency, amount, good):
    def act():
        return pay(client, amount, currency, expand=["latest_charge.balance_transaction"])

    if not good:
        assert error_of(act).param == "amount"
        return
    intent = act()
    assert intent.status == "succeeded"
    assert intent.amount == intent.amount_received == amount
    assert intent.currency == currency.lower()
    transaction = intent.latest_charge.balance_transaction
    assert transaction.amount == amount and transaction.currency == currency.lower()
    assert transaction.net == amount - transaction.fee
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.amount == amount


def test_parts_of_amounts_without_decimals(client):
    """A part of a payment must be whole units as well, and changes nothing if it is not."""
    intent = pay(client, 20000, "isk", capture_method="manual")
    error = error_of(lambda: client.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 150}))
    assert error.param == "amount_to_capture"
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 15000})
    error = error_of(lambda: client.v1.refunds.create(
        {"payment_intent": intent.id, "amount": 150}))
    assert error.param == "amount"
    assert client.v1.refunds.create({"payment_intent": intent.id, "amount": 100}).amount == 100
    error = error_of(lambda: client.v1.payment_intents.update(
        client.v1.payment_intents.create({"amount": 20000, "currency": "isk"}).id,
        {"amount": 20050}))
    assert error.param == "amount"


def test_card_error(client):
    error = error_of(lambda: pay(client, token="pm_card_chargeDeclinedInsufficientFunds"),
                     stripe.CardError)
    assert (error.http_status, error.code) == (402, "card_declined")
    assert error.error.decline_code == "insufficient_funds"
    assert error.error.payment_method["card"]["last4"] == "9995"
    assert error.json_body["error"]["type"] == "card_error"
    assert error.request_id == error.headers["Request-Id"]


@pytest.mark.parametrize("key", ["sk_test_nothing", "sk_test_", "nonsense", "pk_test_x", "é"])
def test_authentication_error(server, key):
    if key == "é":
        status = Http(server, key="x").request(
            "GET", "/v1/balance", headers={"Authorization": "Basic !!!"}).status_code
        assert status == 401
        return
    error = error_of(lambda: sdk(server, key=key).v1.balance.retrieve(),
                     stripe.AuthenticationError)
    assert error.http_status == 401
    # Whoever reads the message elsewhere must not find a key in it.
    assert "nothing" not in str(error)


@pytest.mark.parametrize("header", [None, "", "Basic", "Bearer", "Basic Og==", "Digest x=y"])
def test_no_key(server, header):
    answer = Http(server).request("GET", "/v1/balance", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_bearer(server):
    answer = Http(server).request(
        "GET", "/v1/balance", headers={"Authorization": f"Bearer {server.key}"})
    assert answer.status_code == 200


def test_live_keys_are_refused(server):
    live = server.key.replace("_test_", "_live_")
    error = error_of(lambda: sdk(server, key=live).v1.balance.retrieve(),
                     stripe.AuthenticationError)
    assert error.http_status == 401


def test_rate_limit_error(make_server):
    server = make_server("--rate-limit=20", ordinary=False)
    client = sdk(server)
    with pytest.raises(stripe.RateLimitError) as caught:
        for _ in range(2000):
            client.v1.balance.retrieve()
    error = caught.value
    assert error.http_status == 429 and error.error.code == "rate_limit"
    assert error.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    wait_until(lambda: works(client), 10, "the limit's end")


def works(client):
    try:
        client.v1.balance.retrieve()
        return True
    except stripe.RateLimitError:
        return False


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/nothing"), ("GET", "/"), ("POST", "/v1/payment_intents/x/y/z"),
    ("DELETE", "/v1/payment_intents"), ("GET", "/v1/payment_intents/../keys"),
    ("GET", "/v1//balance"), ("GET", "/v2/balance"),
])
def test_unknown_urls(http, method, path):
    answer = http.request(method, path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "Unrecognized request URL" in error["message"]


def test_headers_of_every_answer(http):
    for path, version in [("/v1/balance", "2019-01-01"), ("/v1/charges/ch_x", "2026-10-28.endive"),
                          ("/v1/balance", None)]:
        answer = http.get(path, headers={"Stripe-Version": version})
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Content-Type"].startswith("application/json")
        if version:
            assert answer.headers["Stripe-Version"] == version
    ids = {http.get("/v1/balance").headers["Request-Id"] for _ in range(20)}
    assert len(ids) == 20


# ---- metadata ------------------------------------------------------------------------------


def test_metadata_limits(client):
    full = {f"key{number}": "v" for number in range(50)}
    customer = client.v1.customers.create({"metadata": full})
    assert customer.metadata.to_dict() == full
    error = error_of(lambda: client.v1.customers.update(
        customer.id, {"metadata": {"one too many": "v"}}))
    assert error.param.startswith("metadata")
    assert client.v1.customers.retrieve(customer.id).metadata.to_dict() == full
    customer = client.v1.customers.update(
        customer.id, {"metadata": {"key0": "", "instead": "v"}})
    assert len(customer.metadata.to_dict()) == 50
    customer = client.v1.customers.update(customer.id, {"metadata": ""})
    assert customer.metadata.to_dict() == {}


@pytest.mark.parametrize("metadata, good", [
    ({"k" * 40: "v"}, True), ({"k" * 41: "v"}, False),
    ({"k": "v" * 500}, True), ({"k": "v" * 501}, False),
    ({"k": "ü" * 500}, True), ({"ключ": "значение"}, True),
    ({"k": "line\nbreak \"quoted\" \\ \t \u2028 😀"}, True),
    ({"k": 5}, True), ("text", False),
])
def test_metadata_rules(client, metadata, good):
    if good:
        made = client.v1.customers.create({"metadata": metadata})
        wanted = {key: str(value) for key, value in metadata.items()}
        assert made.metadata.to_dict() == wanted
        assert client.v1.customers.retrieve(made.id).metadata.to_dict() == wanted
    else:
        error = error_of(lambda: client.v1.customers.create({"metadata": metadata}))
        assert error.param.startswith("metadata")


def test_nothing_happens_on_error(client):
    customer = client.v1.customers.create({"name": "before"})
    error_of(lambda: client.v1.customers.update(
        customer.id, {"name": "after", "email": "x" * 600}))
    assert client.v1.customers.retrieve(customer.id).name == "before"


def test_error_of_bad_card_in_an_intent(client):
    error = error_of(lambda: intents(client, confirm=True, payment_method_data={
        "type": "card", "card": card("4242424242424241")}), stripe.CardError)
    assert error.code == "incorrect_number"
    assert error.http_status == 402


def test_responses_are_quick_enough_to_be_synchronous(client):
    began = time.monotonic()
    pay(client)
    assert time.monotonic() - began < 20
