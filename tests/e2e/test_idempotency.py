"""Idempotency keys: one effect, one answer, whatever the network does."""

import concurrent.futures
import threading
import uuid

import pytest
import stripe

from kit.client import Http, card, pay, sdk
from kit.server import wait_until

PAYMENT = {"amount": "1700", "currency": "usd", "payment_method": "pm_card_visa",
           "confirm": "true"}


def keyed(http, key, body=None, path="/v1/payment_intents", **keywords):
    body = PAYMENT if body is None else body
    return http.post(path, body, headers={"Idempotency-Key": key}, **keywords)


def fresh():
    return str(uuid.uuid4())


def test_replay(http, client):
    key = fresh()
    first, second = keyed(http, key), keyed(http, key)
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == key
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert second.headers["Request-Id"] != first.headers["Request-Id"]


def test_order_of_parameters_does_not_matter(http):
    key = fresh()
    first = keyed(http, key)
    again = keyed(http, key, dict(reversed(PAYMENT.items())))
    assert again.status_code == 200 and again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("change", [
    {"amount": "1701"}, {"currency": "eur"}, {"metadata[a]": "b"}, {"description": "x"},
])
def test_other_parameters(http, change):
    key = fresh()
    first = keyed(http, key)
    second = keyed(http, key, {**PAYMENT, **change})
    assert second.status_code == 400
    error = second.json()["error"]
    assert error["type"] == "idempotency_error"
    assert key in error["message"]
    assert keyed(http, key).json()["id"] == first.json()["id"]


def test_other_endpoint(http):
    key = fresh()
    keyed(http, key)
    second = keyed(http, key, {"name": "A"}, path="/v1/customers")
    assert second.status_code == 400
    assert second.json()["error"]["type"] == "idempotency_error"


def test_other_object_in_the_path(http, client):
    key = fresh()
    one, two = (client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"}) for _ in range(2))
    first = keyed(http, key, {"return_url": "https://x"}, f"/v1/payment_intents/{one.id}/confirm")
    assert first.status_code == 200
    second = keyed(http, key, {"return_url": "https://x"}, f"/v1/payment_intents/{two.id}/confirm")
    assert second.status_code == 400
    assert client.v1.payment_intents.retrieve(two.id).status == "requires_confirmation"


def test_sdk_exceptions(client):
    key = fresh()
    options = {"idempotency_key": key}
    client.v1.customers.create({"name": "A"}, options)
    with pytest.raises(stripe.IdempotencyError) as error:
        client.v1.customers.create({"name": "B"}, options)
    assert error.value.http_status == 400
    assert client.v1.customers.create({"name": "A"}, options).name == "A"


def test_decline_is_replayed(http):
    key = fresh()
    body = {**PAYMENT, "payment_method": "pm_card_chargeDeclined"}
    first, second = keyed(http, key, body), keyed(http, key, body)
    assert first.status_code == second.status_code == 402
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"


def test_validation_failure_is_not_kept(http):
    key = fresh()
    assert keyed(http, key, {**PAYMENT, "amount": "1"}).status_code == 400
    second = keyed(http, key)
    assert second.status_code == 200 and "Idempotent-Replayed" not in second.headers


def test_key_with_raw_card(http):
    """The kept hash is taken after the number went to the vault, and still tells cards apart."""
    body = {"type": "card", "card[number]": "4242424242424242", "card[exp_month]": "12",
            "card[exp_year]": "2034", "card[cvc]": "123"}
    key = fresh()
    first = keyed(http, key, body, "/v1/payment_methods")
    second = keyed(http, key, body, "/v1/payment_methods")
    assert second.json()["id"] == first.json()["id"]
    other = keyed(http, key, {**body, "card[number]": "5555555555554444"}, "/v1/payment_methods")
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"


@pytest.mark.parametrize("size, status", [(1, 200), (255, 200), (256, 400), (0, 400)])
def test_length_of_keys(http, size, status):
    assert keyed(http, "k" * size, {"name": "A"}, "/v1/customers").status_code == status


def test_keys_of_gets_are_ignored(http):
    key = fresh()
    for path in ("/v1/balance", "/v1/customers"):
        answer = http.get(path, headers={"Idempotency-Key": key})
        assert answer.status_code == 200 and "Idempotent-Replayed" not in answer.headers


def test_every_post_replays(http, client):
    def twice(path, body):
        key = fresh()
        first, second = keyed(http, key, body, path), keyed(http, key, body, path)
        assert first.status_code == 200, first.text
        assert (second.status_code, second.content) == (200, first.content)
        assert second.headers["Idempotent-Replayed"] == "true"
        return first.json()

    customer = twice("/v1/customers", {"name": "A"})
    twice(f"/v1/customers/{customer['id']}", {"name": "B"})
    method = twice("/v1/payment_methods", {"type": "card", "card[token]": "tok_visa"})
    twice(f"/v1/payment_methods/{method['id']}/attach", {"customer": customer["id"]})
    twice(f"/v1/payment_methods/{method['id']}", {"metadata[a]": "b"})
    twice(f"/v1/payment_methods/{method['id']}/detach", {})
    manual = twice("/v1/payment_intents", {**PAYMENT, "capture_method": "manual"})
    twice(f"/v1/payment_intents/{manual['id']}", {"description": "d"})
    twice(f"/v1/payment_intents/{manual['id']}/capture", {"amount_to_capture": "900"})
    twice(f"/v1/charges/{manual['latest_charge']}", {"description": "d"})
    refund = twice("/v1/refunds", {"payment_intent": manual["id"], "amount": "100"})
    twice(f"/v1/refunds/{refund['id']}", {"metadata[a]": "b"})
    other = twice("/v1/payment_intents", {"amount": "1000", "currency": "usd"})
    twice(f"/v1/payment_intents/{other['id']}/confirm", {"payment_method": "pm_card_visa"})
    third = twice("/v1/payment_intents", {"amount": "1000", "currency": "usd"})
    twice(f"/v1/payment_intents/{third['id']}/cancel", {})
    assert client.v1.charges.retrieve(manual["latest_charge"]).amount_refunded == 100


def test_running_key_conflicts(make_server):
    server = make_server("--issuer-latency=5s", "--rail-timeout=60s")
    http = Http(server)
    key = fresh()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(keyed, http, key)
        client = sdk(server)
        wait_until(lambda: client.v1.payment_intents.list().data, 10, "the first request")
        conflict = wait_until(
            lambda: not first.done() and (answer := keyed(http, key)).status_code == 409
            and answer.json(), 10, "a conflict")
        error = conflict["error"]
        assert error["code"] == "idempotency_key_in_use"
        answer = first.result()
    assert answer.status_code == 200
    replayed = keyed(http, key)
    assert replayed.content == answer.content
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert len(sdk(server).v1.payment_intents.list().data) == 1


def test_sdk_retries_through_a_conflict(make_server):
    server = make_server("--issuer-latency=700ms")
    client = sdk(server, retries=10)
    options = {"idempotency_key": fresh()}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = [pool.submit(
            client.v1.payment_intents.create,
            {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True},
            options) for _ in range(3)]
        ids = {future.result().id for future in futures}
    assert len(ids) == 1
    assert len(client.v1.charges.list().data) == 1


def test_64_clients_on_one_key(make_server):
    server = make_server()
    http = Http(server)
    key = fresh()
    start = threading.Barrier(64)
    answers = []

    def ask():
        start.wait(30)
        answers.append(keyed(http, key))

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 64
    assert {answer.status_code for answer in answers} <= {200, 409}
    bodies = {answer.content for answer in answers if answer.status_code == 200}
    assert len(bodies) == 1
    assert sum("Idempotent-Replayed" not in answer.headers
               for answer in answers if answer.status_code == 200) == 1
    client = sdk(server)
    assert len(client.v1.payment_intents.list({"limit": 100}).data) == 1
    charges = client.v1.charges.list({"limit": 100}).data
    assert [charge.amount for charge in charges] == [1700]
    assert len(client.v1.balance_transactions.list().data) == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_replay_after_restart(make_server, how):
    server = make_server()
    http = Http(server)
    declined = {**PAYMENT, "payment_method": "pm_card_chargeDeclined"}
    keys = fresh(), fresh()
    first = [keyed(http, keys[0]), keyed(http, keys[1], declined)]
    getattr(server, how)()
    server.start()
    again = [keyed(http, keys[0]), keyed(http, keys[1], declined)]
    for before, after in zip(first, again):
        assert (after.status_code, after.content) == (before.status_code, before.content)
        assert after.headers["Idempotent-Replayed"] == "true"
        assert after.headers["Original-Request"] == before.headers["Request-Id"]
    assert keyed(http, keys[0], {**PAYMENT, "amount": "9999"}).status_code == 400


def test_keys_are_per_account_key_scope(http, server):
    """Another key of the same account and mode meets the same idempotency keys."""
    made = http.post("/v1/tael/api_keys", {"type": "secret", "name": "second"})
    assert made.status_code == 200, made.text
    other = Http(server, key=made.json()["key"])
    key = fresh()
    assert keyed(http, key).json()["id"] == keyed(other, key).json()["id"]


def test_one_payment_for_sdk_retry_with_raw_card(client):
    options = {"idempotency_key": fresh()}
    params = {"amount": 1000, "currency": "usd", "confirm": True,
              "payment_method_data": {"type": "card", "card": card()}}
    first = client.v1.payment_intents.create(params, options)
    assert client.v1.payment_intents.create(params, options).id == first.id
    assert pay(client).id != first.id
