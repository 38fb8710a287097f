"""A crash between any two steps of a payment from a wallet, by itself, by QR code or by a payer's
code: it is finished behind the restart, once, and wallet and merchant agree."""

import uuid

import pytest
import requests

from kit.client import Http
from kit.server import skip_without_fault_points, wait_until

AMOUNT = 1200
FUNDS = 5000
POINTS = ["authorize-before-rail", "authorize-before-post", "authorize-before-finish"]
WAYS = ["wallet", "hold", "merchant code", "till code", "payer code", "asked payer"]


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


def funded_wallet(http):
    customer = http.post("/v1/customers", {"name": "Ann"}).json()["id"]
    wallet = http.post("/v1/wallets", {"customer": customer, "currency": "usd"}).json()["id"]
    answer = http.post(f"/v1/test_helpers/wallets/{wallet}/fund_balance",
                       {"amount": FUNDS, "currency": "usd"})
    assert answer.status_code == 200, answer.text
    return wallet


def intent_of(**params):
    return {"amount": AMOUNT, "currency": "usd", "confirm": "true", **params}


def by_wallet(wallet):
    return {"payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": wallet}


def by_code(http, wallet):
    code = http.post(f"/v1/wallets/{wallet}/payer_codes").json()["code"]
    return {"payment_method_data[type]": "payer_code",
            "payment_method_data[payer_code][code]": code}


def prepared(http, way, wallet):
    """The request that pays: path and body."""
    if way == "wallet":
        return "/v1/payment_intents", intent_of(**by_wallet(wallet))
    if way == "hold":
        return "/v1/payment_intents", intent_of(capture_method="manual", **by_wallet(wallet))
    if way == "merchant code":
        shown = http.post("/v1/payment_intents", intent_of(**{
            "payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"}))
        data = shown.json()["next_action"]["mobile_qr_display_qr_code"]["data"]
        return "/v1/qr_payments", {"wallet": wallet, "data": data}
    if way == "till code":
        data = http.post("/v1/qr_codes", {"currency": "usd", "amount": AMOUNT}).json()["data"]
        return "/v1/qr_payments", {"wallet": wallet, "data": data}
    if way == "payer code":
        return "/v1/payment_intents", intent_of(**by_code(http, wallet))
    waits = http.post("/v1/payment_intents", intent_of(**by_code(http, wallet))).json()
    assert waits["status"] == "requires_action", waits
    return f"/v1/payment_intents/{waits['id']}/approve", {"wallet": wallet}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("way", WAYS)
def test_crash_of_a_payment_from_a_wallet(make_server, way, point):
    flags = ["--payer-confirm-above=0"] if way == "asked payer" else []
    server = make_server(*flags, start=False)
    server.start(fault=f"{point}:crash")
    http, key = Http(server), {"Idempotency-Key": str(uuid.uuid4())}
    wallet = funded_wallet(http)
    path, body = prepared(http, way, wallet)
    with pytest.raises(requests.exceptions.ConnectionError):
        http.post(path, body, headers=key)
    server.wait_for_crash()
    server.start()
    http = Http(server)
    wanted = "requires_capture" if way == "hold" else "succeeded"
    wait_until(lambda: [intent["status"] for intent in listed(http)] == [wanted], 5)
    balance = http.get(f"/v1/wallets/{wallet}").json()["balance"]
    assert balance["available"] == FUNDS - AMOUNT
    assert balance["held"] == (AMOUNT if way == "hold" else 0)
    replayed = http.post(path, body, headers=key)
    assert (replayed.status_code, replayed.json()["status"]) == (200, wanted)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert len(http.get("/v1/charges").json()["data"]) == 1
    fee = AMOUNT * 290 // 10000 + 30 + 1  # 34.8 is rounded
    available = http.get("/v1/balance").json()["available"]
    earned = sum(part["amount"] for part in available)
    assert earned == (0 if way == "hold" else AMOUNT - fee)


def test_crash_when_only_the_code_knows(make_server):
    """MOBILE-2: it is used up, and nothing else is written. It is good for the same request, and for no other one."""
    server = make_server(start=False)
    server.start(fault="payer-code-used:crash")
    http, key = Http(server), {"Idempotency-Key": str(uuid.uuid4())}
    wallet = funded_wallet(http)
    body = intent_of(**by_code(http, wallet))
    with pytest.raises(requests.exceptions.ConnectionError):
        http.post("/v1/payment_intents", body, headers=key)
    server.wait_for_crash()
    server.start()
    http = Http(server)
    other = http.post("/v1/payment_intents", body)
    assert (other.status_code, other.json()["error"]["code"]) == (400, "payer_code_used")
    paid = http.post("/v1/payment_intents", body, headers=key)
    assert (paid.status_code, paid.json()["status"]) == (200, "succeeded"), paid.text
    assert http.get(f"/v1/wallets/{wallet}").json()["balance"]["available"] == FUNDS - AMOUNT
    again = http.post("/v1/payment_intents", body, headers=key)
    assert again.json() == paid.json() and len(listed(http)) == 1


def listed(http):
    return http.get("/v1/payment_intents").json()["data"]
