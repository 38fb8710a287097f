"""The schema hook itself: it must be able to fail."""

import copy

import pytest
import requests

from kit.client import hold_against_schema, pay
from kit.schema import SchemaError, stripe_schema


@pytest.fixture(scope="module")
def intent(http):
    body = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
            "expand[]": "latest_charge"}
    return http.post("/v1/payment_intents", body).json()


def broken(intent, change):
    value = copy.deepcopy(intent)
    change(value)
    return value


def rename(value, old, new):
    value[new] = value.pop(old)


BREAKS = {
    "a required member is missing": lambda value: value.pop("created"),
    "a wrong type": lambda value: value.update(amount="1000"),
    "a status that does not exist": lambda value: value.update(status="paid"),
    "null where it is not allowed": lambda value: value.update(livemode=None),
    "a member that Stripe does not have": lambda value: value.update(colour="red"),
    "a broken expanded object": lambda value: value["latest_charge"].pop("paid"),
    "a wrong type far inside": lambda value: value["latest_charge"]["payment_method_details"][
        "card"].update(exp_year="2034"),
    "a misspelt member": lambda value: rename(value, "metadata", "metaData"),
    "another object": lambda value: value.update(object="charge"),
}


def test_good_object_is_accepted(intent):
    stripe_schema().check_answer("GET", f"/v1/payment_intents/{intent['id']}", 200, intent)
    stripe_schema().check_object(intent)


@pytest.mark.parametrize("name", BREAKS)
def test_broken_object_is_refused(intent, name):
    with pytest.raises(SchemaError):
        stripe_schema().check_answer(
            "POST", "/v1/payment_intents", 200, broken(intent, BREAKS[name])
        )


def test_broken_list_is_refused(client):
    pay(client)
    listed = {"object": "list", "data": [], "has_more": False, "url": "/v1/charges"}
    stripe_schema().check_answer("GET", "/v1/charges", 200, listed)
    for member in listed:
        with pytest.raises(SchemaError):
            without = {name: value for name, value in listed.items() if name != member}
            stripe_schema().check_answer("GET", "/v1/charges?limit=3", 200, without)


def test_broken_error_is_refused():
    schema = stripe_schema()
    schema.check_answer("GET", "/v1/charges/ch_1", 404, {"error": {"type": "invalid_request_error"}})
    for body in ({"error": {}}, {}, {"error": {"type": "sad"}}, {"error": "no"}):
        with pytest.raises(SchemaError):
            schema.check_answer("GET", "/v1/charges/ch_1", 404, body)


def test_broken_object_of_an_event_is_refused(http, client):
    pay(client)
    events = http.get("/v1/events?limit=1").json()
    events["data"][0]["data"]["object"].pop("id")
    with pytest.raises(SchemaError):
        stripe_schema().check_answer("GET", "/v1/events", 200, events)


def test_hook_sees_what_the_sdk_gets(server, client):
    before = stripe_schema().checked
    client.v1.balance.retrieve()
    assert stripe_schema().checked == before + 1
    response = requests.Response()
    response.status_code = 200
    response.headers["Content-Type"] = "application/json"
    response.headers["Request-Id"] = "req_1"
    response.request = requests.Request("GET", f"{server.url}/v1/balance").prepare()
    response._content = b'{"object":"balance"}'
    with pytest.raises(SchemaError):
        hold_against_schema(response)
