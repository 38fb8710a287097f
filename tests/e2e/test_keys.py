"""Secret, restricted and publishable keys."""

import pytest
import stripe

from kit.client import Http, card, pay, sdk


def make_key(http, kind, permissions=""):
    answer = http.post("/v1/tael/api_keys", {
        "type": kind, "name": f"a {kind} key", "permissions": permissions})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_key_is_shown_once(http):
    made = make_key(http, "secret")
    assert made["key"].startswith("sk_test_")
    listed = http.get("/v1/tael/api_keys").json()["data"]
    shown = next(one for one in listed if one["id"] == made["id"])
    assert "key" not in shown and not shown["revoked"]
    assert made["key"] not in http.get("/v1/tael/api_keys").text


def test_second_secret_key_sees_the_same(server, http, client):
    other = sdk(server, key=make_key(http, "secret")["key"])
    intent = pay(client)
    assert other.v1.payment_intents.retrieve(intent.id).id == intent.id


def test_restricted_key(server, http, client):
    made = make_key(http, "restricted", "payment_intents:write,balance:read")
    assert made["key"].startswith("rk_test_")
    restricted = sdk(server, key=made["key"])
    intent = pay(restricted)
    assert restricted.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    restricted.v1.balance.retrieve()
    for act in (
        lambda: restricted.v1.customers.create(),
        lambda: restricted.v1.refunds.create({"payment_intent": intent.id}),
        lambda: restricted.v1.charges.list(),
        lambda: restricted.v1.events.list(),
    ):
        with pytest.raises(stripe.PermissionError) as error:
            act()
        assert error.value.http_status == 403
    assert client.v1.refunds.list({"payment_intent": intent.id}).data == []


def test_read_is_not_write(server, http):
    restricted = sdk(server, key=make_key(http, "restricted", "customers:read")["key"])
    restricted.v1.customers.list()
    with pytest.raises(stripe.PermissionError):
        restricted.v1.customers.create()


@pytest.mark.parametrize("path", ["/v1/tael/api_keys"])
def test_restricted_key_makes_no_keys(server, http, path):
    restricted = Http(server, key=make_key(http, "restricted", "payment_intents:write")["key"])
    assert restricted.get(path).status_code == 403
    assert restricted.post(path, {"type": "secret"}).status_code == 403


def test_publishable_key(server, client):
    assert server.publishable_key.startswith("pk_test_")
    public = sdk(server, key=server.publishable_key)
    method = public.v1.payment_methods.create({"type": "card", "card": card()})
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    shown = public.v1.payment_intents.retrieve(intent.id, {"client_secret": intent.client_secret})
    assert shown.status == "requires_payment_method"
    done = public.v1.payment_intents.confirm(
        intent.id, {"client_secret": intent.client_secret, "payment_method": method.id})
    assert done.status == "succeeded"


def test_publishable_key_without_the_secret(server, client):
    public = sdk(server, key=server.publishable_key)
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"})
    for params in ({}, {"client_secret": "pi_x_secret_y"}):
        for act in (public.v1.payment_intents.retrieve, public.v1.payment_intents.confirm):
            with pytest.raises(stripe.StripeError) as error:
                act(intent.id, params)
            assert error.value.http_status in (400, 401, 403)
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_confirmation"


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/balance"), ("POST", "/v1/refunds"), ("GET", "/v1/customers"),
    ("POST", "/v1/payment_intents"), ("GET", "/v1/events"), ("GET", "/v1/payment_intents"),
    ("POST", "/v1/ledger/query"), ("GET", "/v1/tael/api_keys"),
])
def test_publishable_key_elsewhere(server, method, path):
    answer = Http(server, key=server.publishable_key).request(method, path)
    assert answer.status_code in (401, 403), answer.text


def test_keys_survive_a_restart_and_are_not_on_disk(make_server):
    server = make_server()
    made = make_key(Http(server), "secret")
    server.stop()
    secret = made["key"].encode()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
    server.start()
    sdk(server, key=made["key"]).v1.balance.retrieve()


def test_new_test_key(make_server):
    """For whoever lost the first one."""
    server = make_server()
    before = server.key
    pay(sdk(server))
    server.stop()
    server.start("--new-test-key")
    assert server.key != before
    assert len(sdk(server).v1.payment_intents.list().data) == 1
    assert len(sdk(server, key=before).v1.payment_intents.list().data) == 1
