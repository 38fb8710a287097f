"""The log of requests: what a merchant's keys have sent is found again, and nothing secret is in it."""

import pytest
import stripe

from kit.client import Http, card, pay, sdk
from kit.server import wait_until

NUMBER, CVC = "4242424242424242", "737"


def logged(http, request_id):
    """A process on the same database may have it half a second later."""
    def found():
        answer = http.get(f"/v1/request_logs/{request_id}")
        return answer.json() if answer.status_code == 200 else None

    return wait_until(found, 10, "the entry")


def listed(http, **params):
    answer = http.get("/v1/request_logs", params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_a_payment_is_found_by_its_request(client, http):
    intent = client.v1.payment_intents.create(
        {"amount": 1700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
         "description": "Order 17", "metadata": {"order": "17"}},
        {"idempotency_key": "order-17"})
    entry = logged(http, intent.last_response.request_id)
    assert entry["object"] == "request_log" and entry["livemode"] is False
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/payment_intents", 200)
    assert entry["idempotency_key"] == "order-17"
    assert entry["error"] is None and entry["original_request"] is None
    assert entry["objects"] == [intent.id]
    assert entry["parameters"] == {
        "amount": "1700", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "description": None, "metadata": None}
    assert entry["user_agent"].startswith("Stripe/v1 PythonBindings/")
    assert entry["ip_address"] == "127.0.0.1"
    assert entry["api_key"].startswith("key_") and entry["duration_ms"] >= 0
    assert abs(entry["created"] - intent.created) <= 2


def test_what_happened_to_a_payment(client, http):
    """A decline names the payment that it made; refunds name theirs; the same key names the first request."""
    with pytest.raises(stripe.CardError) as declined:
        pay(client, 1800, token="pm_card_visa_chargeDeclined")
    intent = declined.value.error.payment_intent
    client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    refunds = [client.v1.refunds.create({"payment_intent": intent.id, "amount": 300}, {"idempotency_key": "again-18"})
               for _ in range(2)]
    newest = refunds[1].last_response.request_id
    logged(http, newest)
    found = wait_until(lambda: (lambda all_: all_ if len(all_) == 4 else None)(
        listed(http, object=intent.id)), 10, "all four")
    by_path = {}
    for entry in found:
        by_path.setdefault(entry["path"], []).append(entry)
    (create,) = by_path["/v1/payment_intents"]
    assert create["status"] == 402 and create["id"] == declined.value.request_id
    assert (create["error"]["type"], create["error"]["code"]) == ("card_error", "card_declined")
    assert create["error"]["decline_code"] == "generic_decline"
    assert f"/v1/payment_intents/{intent.id}/confirm" in by_path
    replayed = logged(http, newest)
    assert replayed["original_request"] == refunds[0].last_response.request_id
    assert [one["id"] for one in listed(http, object=intent.id, status="failed")] == [create["id"]]
    assert {one["id"] for one in listed(http, idempotency_key="again-18")} == {
        one.last_response.request_id for one in refunds}
    assert all(one["path"].startswith("/v1/refunds") for one in listed(http, path="/v1/refunds", method="POST"))


def test_nothing_secret_is_in_it(client, http, server):
    made = http.post("/v1/payment_intents", {
        "amount": 1900, "currency": "usd", "confirm": "true", "payment_method_data[type]": "card",
        **{f"payment_method_data[card][{name}]": value for name, value in card(NUMBER, cvc=CVC).items()},
        "payment_method_data[billing_details][name]": "Ada Lovelace"})
    assert made.status_code == 200, made.text
    secret = made.json()["client_secret"]
    # By mistake: in a text, as a name, as a key, in the path.
    odd = [
        made,
        http.post("/v1/payment_intents", {"amount": NUMBER, "currency": "usd", "description": NUMBER}),
        http.post("/v1/payment_intents", {NUMBER: "1", f"metadata[{NUMBER}]": NUMBER}),
        http.post("/v1/customers", {"name": NUMBER}, headers={
            "Idempotency-Key": f"card {NUMBER}", "User-Agent": f"shop {server.key}"}),
        http.get(f"/v1/customers/{NUMBER}"), http.get(f"/v1/payment_intents/{secret}"),
    ]
    entries = [logged(http, answer.headers["Request-Id"]) for answer in odd]
    text = str(entries)
    for never in (NUMBER, f"'{CVC}'", secret, secret.split("_secret_")[1], server.key, "Lovelace"):
        assert never not in text, never
    assert entries[0]["parameters"]["payment_method_data[card]"] is None
    assert entries[2]["error"]["param"] is None
    assert entries[4]["path"] == entries[4]["path"].replace(NUMBER, "") == "/v1/customers/:id"


def test_pages_of_the_log(client, http):
    made = [client.v1.customers.create({"name": "Page"}) for _ in range(5)]
    logged(http, made[-1].last_response.request_id)
    asked = {"path": "/v1/customers", "method": "POST", "created[gte]": made[0].created - 1}  # the server has others
    whole = [one["id"] for one in listed(http, **asked)]
    assert whole[:5] == [one.last_response.request_id for one in reversed(made)]
    pages, after = [], {}
    while True:
        answer = http.get("/v1/request_logs", params={"limit": 2, **asked, **after}).json()
        pages += [one["id"] for one in answer["data"]]
        if not answer["has_more"]:
            break
        after = {"starting_after": pages[-1]}
    assert pages == whole
    before = http.get("/v1/request_logs", params={"limit": 100, **asked, "ending_before": whole[3]}).json()
    assert [one["id"] for one in before["data"]] == whole[:3]
    for wrong, param in (({"status": "many"}, "status"), ({"method": "PUT"}, "method"),
                         ({"starting_after": "req_x"}, "starting_after"), ({"limit": 0}, "limit")):
        answer = http.get("/v1/request_logs", params=wrong)
        assert answer.status_code == 400 and answer.json()["error"]["param"] == param
    assert http.get("/v1/request_logs/req_x").status_code == 404


def test_who_may_read_it(client, http, server):
    intent = client.v1.payment_intents.create({"amount": 2000, "currency": "usd"})
    logged(http, intent.last_response.request_id)
    path = f"/v1/request_logs/{intent.last_response.request_id}"
    for permissions, status in (("payment_intents:write", 403), ("request_logs:read", 200)):
        key = http.post("/v1/tael/api_keys", {
            "type": "restricted", "name": "reader", "permissions": permissions}).json()["key"]
        refused = Http(server, key=key).get(path)
        assert refused.status_code == status
    # Who may not is in the log; who is nobody is not, and neither is reading it.
    strange = Http(server, key="sk_test_" + "x" * 32).get("/v1/customers")
    assert strange.status_code == 401
    assert http.get(f"/v1/request_logs/{strange.headers['Request-Id']}").status_code == 404
    assert not [one for one in listed(http, status="200") if "request_logs" in one["path"]]


def test_it_outlives_a_stop_and_can_be_switched_off(make_server):
    server = make_server()
    intent = pay(sdk(server), 2100)
    server.stop()
    server.start()
    http = Http(server)
    assert logged(http, intent.last_response.request_id)["objects"] == [intent.id]
    server.stop()
    server.start("--request-log=off")
    other = pay(sdk(server), 2200)
    assert http.get(f"/v1/request_logs/{other.last_response.request_id}").status_code == 404
    assert http.get(f"/v1/request_logs/{intent.last_response.request_id}").status_code == 200
