"""Payment codes in many hands at the same instant, and every call of theirs sent again."""

import concurrent.futures
import threading
import uuid

import pytest

from kit.client import Http

CODE = "payment_method_data[payer_code][code]"
AMOUNT = 1250
ROUNDS = 6


def shown(http, amount=AMOUNT):
    """An intent that waits to be scanned, and what its code says."""
    intent = http.post("/v1/payment_intents", {
        "amount": amount, "currency": "usd", "confirm": "true",
        "payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"}).json()
    assert intent["status"] == "requires_action", intent
    return intent, intent["next_action"]["mobile_qr_display_qr_code"]["data"]


def digits(wallets, wallet):
    return wallets.post(f"/v1/wallets/{wallet}/payer_codes")["code"]


def charge_body(wallets, wallet, amount=AMOUNT):
    return {"amount": amount, "currency": "usd", "confirm": "true",
            "payment_method_data[type]": "payer_code", CODE: digits(wallets, wallet)}


def asked(http, wallets, wallet, amount=20000):
    """An intent that waits for the payer's word."""
    intent = http.post("/v1/payment_intents", charge_body(wallets, wallet, amount)).json()
    assert intent["status"] == "requires_action", intent
    return intent


def at_once(server, *calls):
    """Sends requests (path, body) from threads that wait for one another; answers in their order."""
    start = threading.Barrier(len(calls))

    def send(call):
        http = Http(server)
        http.get("/v1/balance")  # connects
        start.wait()
        return http.post(*call)

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(send, calls))


def codes(answers):
    return {answer.json()["error"]["code"] for answer in answers if answer.status_code != 200}


def charges_of(http, intent):
    listed = http.get("/v1/charges", params={"payment_intent": intent}).json()["data"]
    return [charge for charge in listed if charge["status"] == "succeeded"]


# ---- at the same instant -------------------------------------------------------------------


def test_two_wallets_one_code(server, http, wallets):
    for _ in range(ROUNDS):
        purses = [wallets.wallet(5000), wallets.wallet(5000)]
        intent, data = shown(http)
        answers = at_once(server, *(
            ("/v1/qr_payments", {"wallet": purse, "data": data}) for purse in purses))
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        assert codes(answers) <= {"qr_code_paid", "qr_code_busy"}
        for purse, answer in zip(purses, answers):
            paid = AMOUNT if answer.status_code == 200 else 0
            assert wallets.balance(purse) == {
                "available": 5000 - paid, "held": 0, "incoming": 0, "posted": 5000 - paid}
        (charge,) = charges_of(http, intent["id"])
        winner = purses[[answer.status_code for answer in answers].index(200)]
        assert charge["payment_method_details"]["wallet"]["id"] == winner


def test_one_wallet_scans_sixteen_times(server, http, wallets):
    purse = wallets.wallet(50000)
    intent, data = shown(http)
    answers = at_once(server, *[("/v1/qr_payments", {"wallet": purse, "data": data})] * 16)
    assert [answer.status_code for answer in answers].count(200) == 1
    assert codes(answers) <= {"qr_code_paid", "qr_code_busy"}
    assert wallets.available(purse) == 50000 - AMOUNT
    assert len(charges_of(http, intent["id"])) == 1


def test_a_poor_and_a_rich_wallet(server, http, wallets):
    """Whoever comes first ends the code's wait; the poor one is never charged."""
    for _ in range(ROUNDS):
        poor, rich = wallets.wallet(100), wallets.wallet(5000)
        intent, data = shown(http)
        declined, answer = at_once(server, *(
            ("/v1/qr_payments", {"wallet": purse, "data": data}) for purse in (poor, rich)))
        assert declined.status_code in (400, 402)
        assert (answer.status_code == 200) == (len(charges_of(http, intent["id"])) == 1)
        if declined.status_code == 400:
            assert answer.status_code == 200
            assert codes([declined]) <= {"qr_code_paid", "qr_code_busy"}
        assert wallets.available(poor) == 100
        assert wallets.available(rich) == 5000 - (AMOUNT if answer.status_code == 200 else 0)


def test_a_static_code_takes_everybody(server, http, wallets):
    purses = [wallets.wallet(1000) for _ in range(8)]
    code = http.post("/v1/qr_codes", {"currency": "usd", "amount": 300}).json()
    answers = at_once(server, *(
        ("/v1/qr_payments", {"wallet": purse, "data": code["data"]}) for purse in purses))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["id"] for answer in answers}) == 8
    assert [wallets.available(purse) for purse in purses] == [700] * 8


def test_scanned_while_it_is_canceled(server, http, wallets):
    for _ in range(ROUNDS):
        purse = wallets.wallet(5000)
        intent, data = shown(http)
        path = f"/v1/payment_intents/{intent['id']}"
        paid, canceled = at_once(server, ("/v1/qr_payments", {"wallet": purse, "data": data}),
                                 (f"{path}/cancel", {}))
        assert sorted((paid.status_code, canceled.status_code)) == [200, 400]
        status = http.get(path).json()["status"]
        assert status == ("succeeded" if paid.status_code == 200 else "canceled")
        assert codes([paid, canceled]) <= {
            "qr_code_canceled", "qr_code_busy", "payment_intent_unexpected_state"}
        assert wallets.available(purse) == 5000 - (AMOUNT if status == "succeeded" else 0)


def test_approved_rejected_and_canceled(server, http, wallets):
    purse = wallets.wallet(900000)
    left = 900000
    for _ in range(ROUNDS):
        path = f"/v1/payment_intents/{asked(http, wallets, purse)['id']}"
        answers = at_once(server, (f"{path}/approve", {"wallet": purse}),
                          (f"{path}/reject", {"wallet": purse}),
                          (f"{path}/approve", {"wallet": purse}))
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
        assert codes(answers) == {"payment_intent_unexpected_state"}
        status = http.get(path).json()["status"]
        assert status == ("requires_payment_method" if answers[1].status_code == 200
                          else "succeeded")
        left -= 20000 if status == "succeeded" else 0
        assert wallets.available(purse) == left


# ---- again, under its key ------------------------------------------------------------------


def retried(http, path, body, status=200):
    """One call, and the same once more: the first answer comes back. Another body is refused."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post(path, body, headers=headers)
    assert first.status_code == status, first.text
    assert "Idempotent-Replayed" not in first.headers
    again = http.post(path, body, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = http.post(path, {**body, "metadata[other]": "body"}, headers=headers)
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"
    return first.json()


def test_a_static_code_again(http, wallets):
    made = retried(http, "/v1/qr_codes", {"currency": "usd"})
    assert [code["id"] for code in wallets.everything("/v1/qr_codes")].count(made["id"]) == 1
    assert retried(http, f"/v1/qr_codes/{made['id']}", {"active": "false"})["active"] is False
    purse = wallets.wallet(1000)
    retried(http, f"/v1/qr_codes/{made['id']}", {"active": "true"})
    paid = retried(http, "/v1/qr_payments", {"wallet": purse, "data": made["data"], "amount": 400})
    assert wallets.available(purse) == 600
    assert len(charges_of(http, paid["id"])) == 1


def test_a_scan_again(http, wallets):
    purse = wallets.wallet(5000)
    intent, data = shown(http)
    assert retried(http, "/v1/qr_payments", {"wallet": purse, "data": data})["id"] == intent["id"]
    assert wallets.available(purse) == 5000 - AMOUNT


def test_a_decline_again(http, wallets):
    """The answer is kept: money that came since is for another try."""
    purse = wallets.wallet(100)
    intent, data = shown(http)
    body = {"wallet": purse, "data": data}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post("/v1/qr_payments", body, headers=key)
    assert first.status_code == 402
    wallets.fund(purse, 5000)
    again = http.post("/v1/qr_payments", body, headers=key)
    assert (again.status_code, again.content) == (402, first.content)
    assert wallets.available(purse) == 5100 and charges_of(http, intent["id"]) == []


def test_a_charge_of_a_payers_code_again(http, wallets):
    purse = wallets.wallet(5000)
    retried(http, "/v1/payment_intents", charge_body(wallets, purse))
    assert wallets.available(purse) == 5000 - AMOUNT


@pytest.mark.parametrize("verb, left", [("approve", 30000), ("reject", 50000)])
def test_the_payers_word_again(http, wallets, verb, left):
    purse = wallets.wallet(50000)
    path = f"/v1/payment_intents/{asked(http, wallets, purse)['id']}/{verb}"
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post(path, {"wallet": purse}, headers=key)
    again = http.post(path, {"wallet": purse}, headers=key)
    assert first.status_code == again.status_code == 200
    assert again.content == first.content and again.headers["Idempotent-Replayed"] == "true"
    assert wallets.available(purse) == left


def test_digits_are_never_kept_for_a_retry(http, wallets):
    """An Idempotency-Key is ignored: the second answer is another code, and both are good."""
    purse = wallets.wallet(5000)
    path, key = f"/v1/wallets/{purse}/payer_codes", {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (http.post(path, headers=key) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert "Idempotent-Replayed" not in second.headers
    assert first.json()["code"] != second.json()["code"]
    for made in (first, second):
        body = {**charge_body(wallets, purse, 100), CODE: made.json()["code"]}
        assert http.post("/v1/payment_intents", body).json()["status"] == "succeeded"
        kept = http.get(f"/v1/payer_codes/{made.json()['id']}").json()
        assert kept["status"] == "used" and "code" not in kept
    assert wallets.available(purse) == 4800
