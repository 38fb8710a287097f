"""Codes that a payer shows: a merchant charges one in a single call, once."""

import concurrent.futures
import threading
import time

import pytest

from kit.answers import events_about
from kit.client import Http, sdk
from kit.server import wait_until
from kit.wallets import Wallets

CODE = "payment_method_data[payer_code][code]"


def show(wallets, wallet):
    """The digits that the payer's app shows."""
    made = wallets.post(f"/v1/wallets/{wallet}/payer_codes")
    assert len(made["code"]) == 18 and made["code"].isdigit()
    return made["code"]


def charge(http, code, amount=500, currency="usd", headers=None, **params):
    return http.post("/v1/payment_intents", {
        "amount": amount, "currency": currency, "confirm": "true",
        "payment_method_data[type]": "payer_code", CODE: code, **params}, headers=headers)


def error_of(answer, status=400):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return error.get("code"), error.get("param")


def asked(http, wallets, wallet, amount=20000, **params):
    """An intent whose payer is asked first."""
    answer = charge(http, show(wallets, wallet), amount, **params)
    assert answer.status_code == 200, answer.text
    intent = answer.json()
    assert intent["status"] == "requires_action", intent
    assert intent["next_action"]["type"] == "payer_confirmation"
    return intent


def test_one_call(client, wallets):
    """By Stripe's own SDK, as it is."""
    wallet = wallets.wallet(5000)
    intent = client.v1.payment_intents.create({
        "amount": 700, "currency": "usd", "confirm": True,
        "payment_method_data": {"type": "payer_code",
                                "payer_code": {"code": show(wallets, wallet)}}})
    assert intent.status == "succeeded" and intent.amount_received == 700
    assert wallets.available(wallet) == 4300
    assert events_about(client, intent.id, type="payment_intent.*") == [
        "payment_intent.succeeded", "payment_intent.created"]
    assert client.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"
    assert wallets.available(wallet) == 5000


def test_confirmed_afterwards(client, http, wallets):
    wallet = wallets.wallet(5000)
    intent = client.v1.payment_intents.create({"amount": 700, "currency": "usd"})
    answer = http.post(f"/v1/payment_intents/{intent.id}/confirm", {
        "payment_method_data[type]": "payer_code", CODE: show(wallets, wallet)})
    assert answer.json()["status"] == "succeeded"


def test_a_code_is_good_once(http, wallets):
    wallet = wallets.wallet(5000)
    code = show(wallets, wallet)
    assert charge(http, code).status_code == 200
    assert error_of(charge(http, code)) == ("payer_code_used", CODE)
    assert wallets.available(wallet) == 4500


def test_a_code_is_dead_even_if_the_payment_failed(http, wallets):
    wallet = wallets.wallet(100)
    code = show(wallets, wallet)
    declined = charge(http, code)
    assert declined.status_code == 402
    assert declined.json()["error"]["decline_code"] == "insufficient_funds"
    wallets.fund(wallet, 5000)
    assert error_of(charge(http, code)) == ("payer_code_used", CODE)
    assert wallets.available(wallet) == 5100


def test_the_same_request_again(http, wallets):
    wallet = wallets.wallet(5000)
    code, key = show(wallets, wallet), {"Idempotency-Key": f"payer-{wallet}"}
    first = charge(http, code, headers=key)
    again = charge(http, code, headers=key)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert wallets.available(wallet) == 4500


@pytest.mark.parametrize("wrong", [
    "1", "800000000000000003", "800000000000000004", "8" * 17, "8" * 19, "80000000000000000x"])
def test_codes_that_never_were(http, wrong):
    assert error_of(charge(http, wrong)) == ("payer_code_invalid", CODE)


def test_a_code_is_asked_for(http):
    assert error_of(charge(http, "")) == ("parameter_missing", CODE)


def test_nothing_is_used_up_by_a_request_that_cannot_pay(client, http, wallets):
    """What is wrong without the code is said without it."""
    wallet = wallets.wallet(50000)
    code = show(wallets, wallet)
    assert error_of(http.post("/v1/payment_intents", {
        "amount": 500, "currency": "usd", "payment_method_data[type]": "payer_code",
        CODE: code})) == ("parameter_missing", "confirm")
    assert error_of(charge(http, code, **{"payment_method_types[]": "card"}))[0] == (
        "payment_intent_incompatible_payment_method")
    assert error_of(charge(http, code, 20000, error_on_requires_action="true")) == (
        "payment_intent_action_required", "error_on_requires_action")
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    assert error_of(http.post(f"/v1/payment_intents/{intent.id}", {
        "payment_method_data[type]": "payer_code", CODE: code})) == (
            "parameter_missing", "confirm")
    assert error_of(charge(http, code, 1)) == ("amount_too_small", "amount")
    assert charge(http, code).status_code == 200


def test_a_publishable_key_charges_no_code(server, client, wallets):
    wallet = wallets.wallet(5000)
    code = show(wallets, wallet)
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    shop = Http(server, key=server.publishable_key)
    answer = shop.post(f"/v1/payment_intents/{intent.id}/confirm", {
        "client_secret": intent.client_secret, "payment_method_data[type]": "payer_code",
        CODE: code})
    assert error_of(answer)[1] == CODE
    assert wallets.available(wallet) == 5000


def test_a_wallet_of_another_currency(http, wallets):
    code = show(wallets, wallets.wallet(5000, "eur"))
    declined = charge(http, code)
    assert declined.status_code == 402
    assert declined.json()["error"]["decline_code"] == "wallet_currency_mismatch"


def test_an_expired_code(make_server):
    server = make_server("--payer-code-lifetime=1s")
    wallets, http = Wallets(server), Http(server)
    wallet = wallets.wallet(5000)
    code = show(wallets, wallet)
    time.sleep(2.1)
    assert error_of(charge(http, code)) == ("payer_code_expired", CODE)
    assert wallets.available(wallet) == 5000


def test_too_many_wrong_codes(make_server):
    server = make_server("--payer-code-wrong-max=5", gateways=0)  # each process counts for itself
    wallets, http = Wallets(server), Http(server)
    code = show(wallets, wallets.wallet(5000))
    answers = [charge(http, "800000000000000003").status_code for _ in range(10)]
    assert answers[:5] == [400] * 5 and answers[-1] == 429
    limited = charge(http, code)  # a right one tells nothing either
    assert error_of(limited, 429) == ("rate_limit", CODE)


def test_sixteen_tills_at_the_same_instant(server, wallets):
    wallet = wallets.wallet(50000)
    for _ in range(4):
        code, start = show(wallets, wallet), threading.Barrier(16)

        def till(_, code=code, start=start):
            http = Http(server)
            http.get("/v1/balance")
            start.wait()
            return charge(http, code)

        before = wallets.available(wallet)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(till, range(16)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15
        assert {error_of(answer)[0] for answer in answers if answer.status_code == 400} == {
            "payer_code_used"}
        assert wallets.available(wallet) == before - 500


# ---- the payer is asked --------------------------------------------------------------------


def test_approved(client, http, wallets):
    wallet = wallets.wallet(50000)
    began = int(time.time())
    intent = asked(http, wallets, wallet)
    action = intent["next_action"]["payer_confirmation"]
    assert action["wallet"] == wallet and began + 45 <= action["expires_at"] <= time.time() + 45
    assert client.v1.payment_intents.retrieve(intent["id"]).next_action.to_dict() == (
        intent["next_action"])
    assert wallets.available(wallet) == 50000
    paid = wallets.post(f"/v1/payment_intents/{intent['id']}/approve", wallet=wallet)
    assert paid["status"] == "succeeded" and paid["next_action"] is None
    assert wallets.available(wallet) == 30000
    assert events_about(client, intent["id"], type="payment_intent.*") == [
        "payment_intent.succeeded", "payment_intent.requires_action", "payment_intent.created"]
    again = http.post(f"/v1/payment_intents/{intent['id']}/approve", {"wallet": wallet})
    assert error_of(again)[0] == "payment_intent_unexpected_state"


def test_exactly_the_limit_is_not_asked(http, wallets):
    wallet = wallets.wallet(50000)
    assert charge(http, show(wallets, wallet), 5000).json()["status"] == "succeeded"
    asked(http, wallets, wallet, 5001)


def test_rejected(client, http, wallets):
    wallet = wallets.wallet(50000)
    intent = asked(http, wallets, wallet)
    rejected = wallets.post(f"/v1/payment_intents/{intent['id']}/reject", wallet=wallet)
    assert rejected["status"] == "requires_payment_method"
    assert rejected["last_payment_error"]["code"] == "payment_intent_payment_attempt_failed"
    told = events_about(client, intent["id"], type="payment_intent.*")
    assert told[0] == "payment_intent.payment_failed"
    assert wallets.available(wallet) == 50000


def test_another_wallet_has_no_say(http, wallets):
    wallet, other = wallets.wallet(50000), wallets.wallet(50000)
    intent = asked(http, wallets, wallet)
    for verb in ("approve", "reject"):
        answer = http.post(f"/v1/payment_intents/{intent['id']}/{verb}", {"wallet": other})
        assert error_of(answer)[1] == "wallet"
    assert wallets.available(other) == wallets.available(wallet) == 50000


def test_canceled_in_between(client, http, wallets):
    wallet = wallets.wallet(50000)
    intent = asked(http, wallets, wallet)
    assert client.v1.payment_intents.cancel(intent["id"]).status == "canceled"
    answer = http.post(f"/v1/payment_intents/{intent['id']}/approve", {"wallet": wallet})
    assert error_of(answer)[0] == "payment_intent_unexpected_state"
    assert wallets.available(wallet) == 50000


@pytest.mark.parametrize("sweeps", [True, False])
def test_no_answer(make_server, sweeps):
    server = make_server("--payer-wait=1s", *([] if sweeps else ["--sweep-interval=1h"]))
    wallets, http, client = Wallets(server), Http(server), sdk(server)
    wallet = wallets.wallet(50000)
    intent = asked(http, wallets, wallet)

    def now():
        return client.v1.payment_intents.retrieve(intent["id"])

    if sweeps:
        wait_until(lambda: now().status == "requires_payment_method", 5, "the end of waiting")
        assert now().last_payment_error.code == "payment_intent_payment_attempt_expired"
    else:
        time.sleep(2.1)
    answer = http.post(f"/v1/payment_intents/{intent['id']}/approve", {"wallet": wallet})
    assert error_of(answer)[0] == "payment_intent_unexpected_state"
    assert wallets.available(wallet) == 50000


@pytest.mark.parametrize("way", ["confirm", "confirm by id", "update", "another intent"])
def test_a_merchant_cannot_go_around_the_payer(client, http, wallets, way):
    """PAYMENTS-9. The payment method that came from a code pays for nothing that the payer did not see."""
    wallet = wallets.wallet(50000)
    intent = asked(http, wallets, wallet)
    method, path = intent["payment_method"], f"/v1/payment_intents/{intent['id']}"
    if way == "update":
        client.v1.payment_intents.update(intent["id"], {"amount": 30000})
    if way == "another intent":
        answer = http.post("/v1/payment_intents", {
            "amount": 500, "currency": "usd", "confirm": "true", "payment_method": method})
    else:
        answer = http.post(f"{path}/confirm",
                           {"payment_method": method} if way == "confirm by id" else {})
    assert error_of(answer) == ("payment_method_not_reusable", "payment_method")
    customer = client.v1.customers.create({}).id
    kept = http.post(f"/v1/payment_methods/{method}/attach", {"customer": customer})
    assert error_of(kept) == ("payment_method_not_reusable", "payment_method")
    assert wallets.available(wallet) == 50000


def test_too_little_money_when_it_is_approved(http, wallets):
    wallet = wallets.wallet(1000)
    intent = asked(http, wallets, wallet)
    answer = http.post(f"/v1/payment_intents/{intent['id']}/approve", {"wallet": wallet})
    assert answer.status_code == 402
    assert answer.json()["error"]["decline_code"] == "insufficient_funds"
    assert wallets.available(wallet) == 1000


# ---- secrecy -------------------------------------------------------------------------------


def test_digits_are_nowhere(make_server):
    """Not in the database, not in the ledger's files, not in the log."""
    server = make_server("--log-level=debug")
    wallets, http = Wallets(server), Http(server)
    wallet = wallets.wallet(50000)
    codes = [show(wallets, wallet) for _ in range(3)]
    charge(http, codes[2], headers={"Idempotency-Key": "one"})
    charge(http, codes[2], headers={"Idempotency-Key": "two"})
    charge(http, codes[1], 20000)
    http.post("/v1/payment_intents", {"amount": "x", "currency": "usd", CODE: codes[0]})
    server.stop()
    log = server.all_logs()
    contents = {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()}
    if server.on_postgres:
        contents["database"] = server.dump()
    assert any(wallet.encode() in content for content in contents.values())
    for code in codes:
        assert code not in log
        for path, content in contents.items():
            assert code.encode() not in content, path
    assert server.on_postgres or any(
        content.startswith(b"SQLite format 3") for content in contents.values())
    assert "database" not in contents or b"wallet" in contents["database"]
