"""Mobile payments: codes that a merchant shows and a wallet scans, codes that a payer shows."""

import concurrent.futures
import pathlib
import time

import pytest
import requests

from kit.client import Http, sdk
from kit.codecs import codecs

PIX = ("00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000"
       "5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D")


@pytest.fixture(scope="module")
def api(server):
    return Http(server)


def wallet(api, amount=0, currency="usd"):
    customer = api.post("/v1/customers", {"name": "Ann"}).json()["id"]
    purse = api.post("/v1/wallets", {"customer": customer, "currency": currency}).json()["id"]
    if amount:
        answer = api.post("/v1/payment_intents", {
            "amount": amount, "currency": currency, "payment_method": "pm_card_visa",
            "confirm": "true", "transfer_data[destination]": purse})
        assert answer.json()["status"] == "succeeded", answer.text
    return purse


def available(api, purse):
    return api.get(f"/v1/wallets/{purse}").json()["balance"]["available"]


def show(client, amount=1234, currency="usd", **params):
    return client.v1.payment_intents.create({
        "amount": amount, "currency": currency, "confirm": True,
        "payment_method_types": ["mobile_qr"], "payment_method_data": {"type": "mobile_qr"},
        **params})


def shown(intent):
    return intent.next_action["mobile_qr_display_qr_code"]


def scan(api, purse, data, **params):
    return api.post("/v1/qr_payments", {"wallet": purse, "data": data, **params})


def refused(answer, code, param="data", status=400):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error.get("param")) == (code, param)


def crc(text):
    """CRC-16/CCITT-FALSE."""
    value = 0xFFFF
    for byte in text.encode():
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return f"{value:04X}"


def forged(data, old, new):
    body = data[:-4].replace(old, new)
    assert body != data[:-4]
    return body + crc(body)


# ---- codes that a merchant shows ------------------------------------------------------------


def test_an_intent_shows_its_code(client):
    intent = show(client)
    assert intent.status == "requires_action"
    assert intent.next_action.type == "mobile_qr_display_qr_code"
    code = shown(intent)
    assert code["data"].startswith("000201010212")
    assert f"0125{intent.id}" in code["data"] and "540512.34" in code["data"]
    assert crc(code["data"][:-4]) == code["data"][-4:]
    assert code["expires_at"] > time.time() + 800


def test_pictures_and_page_need_no_key_but_the_secret(client):
    code = shown(show(client))
    png = requests.get(code["image_url_png"], timeout=10)
    assert png.headers["Content-Type"] == "image/png" and png.content.startswith(b"\x89PNG")
    svg = requests.get(code["image_url_svg"], timeout=10)
    assert svg.headers["Content-Type"] == "image/svg+xml" and b"<svg" in svg.content
    page = requests.get(code["hosted_instructions_url"], timeout=10)
    assert page.headers["Content-Type"].startswith("text/html") and "12.34 USD" in page.text
    assert "script" not in page.text and "default-src 'none'" in page.headers[
        "Content-Security-Policy"]
    for url in (code["image_url_png"], code["hosted_instructions_url"]):
        wrong = url.replace("_", "_x", 2)
        assert requests.get(wrong, timeout=10).status_code == 404
    # The page of card holders is another one.
    other = code["hosted_instructions_url"].replace("/qr/", "/authenticate/")
    assert requests.get(other, timeout=10).status_code == 404


def test_a_wallet_scans_and_pays(client, api):
    purse = wallet(api, 5000)
    intent = show(client)
    decoded = api.post("/v1/qr_codes/decode", {"data": shown(intent)["data"]}).json()
    assert (decoded["amount"], decoded["currency"], decoded["payment_intent"]) == (
        1234, "usd", intent.id)
    paid = scan(api, purse, shown(intent)["data"], **{"metadata[table]": "7"}).json()
    assert (paid["id"], paid["status"], paid["metadata"]) == (
        intent.id, "succeeded", {"table": "7"})
    assert available(api, purse) == 5000 - 1234
    refused(scan(api, purse, shown(intent)["data"]), "qr_code_paid")
    assert requests.get(shown(intent)["image_url_png"], timeout=10).status_code == 410
    charge = client.v1.charges.retrieve(paid["latest_charge"])
    assert charge.payment_method_details.type == "wallet"


def test_a_canceled_code(client, api):
    intent = show(client)
    client.v1.payment_intents.cancel(intent.id)
    refused(scan(api, wallet(api, 5000), shown(intent)["data"]), "qr_code_canceled")


def test_an_expired_code(make_server):
    server = make_server("--qr-lifetime=1s", "--sweep-interval=50ms")
    client, api = sdk(server), Http(server)
    purse = wallet(api, 5000)
    intent = show(client)
    time.sleep(2.2)
    refused(scan(api, purse, shown(intent)["data"]), "qr_code_expired")
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.code == "payment_intent_payment_attempt_expired"
    assert available(api, purse) == 5000


def test_a_confirmed_again_shows_a_new_code(client, api):
    intent = show(client)
    again = client.v1.payment_intents.update(intent.id, {"amount": 2000})
    assert again.status == "requires_confirmation"
    again = client.v1.payment_intents.confirm(intent.id)
    assert shown(again)["data"] != shown(intent)["data"]
    refused(scan(api, wallet(api, 5000), shown(intent)["data"]), "qr_code_forged")
    assert scan(api, wallet(api, 5000), shown(again)["data"]).json()["status"] == "succeeded"


def test_a_wallet_without_the_money_declines(client, api):
    answer = scan(api, wallet(api, 1000), shown(show(client))["data"])
    assert answer.status_code == 402
    assert answer.json()["error"]["decline_code"] == "insufficient_funds"


@pytest.mark.parametrize("old,new", [
    ("540512.34", "540501.34"), ("5303840", "5303978"), ("540512.34", "")])
def test_forged_money_with_a_right_checksum(client, api, old, new):
    data = forged(shown(show(client))["data"], old, new)
    refused(api.post("/v1/qr_codes/decode", {"data": data}), "qr_code_forged")
    refused(scan(api, wallet(api, 5000), data), "qr_code_forged")


def test_an_unknown_reference(client, api):
    intent = show(client)
    data = forged(shown(intent)["data"], intent.id, "pi_" + "0" * 22)
    refused(scan(api, wallet(api, 5000), data), "qr_code_unknown")
    refused(api.post("/v1/qr_codes/decode", {"data": data}), "qr_code_unknown")


def test_other_schemes_are_named(api):
    answer = api.post("/v1/qr_codes/decode", {"data": PIX})
    refused(answer, "qr_code_not_payable")
    assert "pix" in answer.json()["error"]["message"]


def test_wallets_of_other_currencies_and_none(client, api):
    data = shown(show(client))["data"]
    refused(scan(api, wallet(api, 5000, "eur"), data), "qr_code_currency", "wallet")
    refused(scan(api, "wal_nope", data), "resource_missing", "wallet")
    refused(scan(api, wallet(api, 5000), data, amount=1), "parameter_unknown", "amount")


def test_every_changed_character_is_refused(client, api):
    data = shown(show(client))["data"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        changed = [data[:i] + other + data[i + 1:] for i in range(len(data))
                   for other in "09AaZz" if other != data[i]]
        answers = list(pool.map(lambda d: api.post("/v1/qr_codes/decode", {"data": d}), changed))
    assert {answer.json()["error"]["code"] for answer in answers} == {"qr_code_invalid"}


def test_one_code_two_wallets_at_once(client, api):
    purses = [wallet(api, 5000) for _ in range(8)]
    data = shown(show(client))["data"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda purse: scan(api, purse, data), purses))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert sum(available(api, purse) for purse in purses) == 8 * 5000 - 1234


def test_an_idempotent_scan_pays_once(client, api):
    purse = wallet(api, 5000)
    data = shown(show(client))["data"]
    answers = [scan_with_key(api, purse, data, "scan-1") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert available(api, purse) == 5000 - 1234


def scan_with_key(api, purse, data, key):
    return api.post("/v1/qr_payments", {"wallet": purse, "data": data},
                    headers={"Idempotency-Key": key})


def test_independent_readers_agree(client):
    intent = show(client, 98700)
    code = shown(intent)["data"]
    qrcps, promptparse = codecs(
        {"operation": "emv-qrcps parse", "code": code},
        {"operation": "promptparse parse", "code": code})
    objects = qrcps["objects"]
    assert (objects["54"], objects["53"], objects["26-01"]) == ("987.00", "840", intent.id)
    tags = dict(map(tuple, promptparse))
    assert (tags["54"], tags["53"]) == ("987.00", "840")
    assert intent.id in tags["26"]


def test_a_code_that_another_library_wrote_is_paid(client, api):
    """The same objects, written by promptparse: what counts is what the code says."""
    ours = shown(show(client))["data"]
    tags = codecs({"operation": "promptparse parse", "code": ours})[0]
    tags = [tag for tag in tags if tag[0] != "63"]
    theirs = codecs({"operation": "promptparse build", "tags": tags})[0]
    purse = wallet(api, 5000)
    assert scan(api, purse, theirs).json()["status"] == "succeeded"


# ---- static codes ---------------------------------------------------------------------------


def test_a_static_code_leaves_the_amount_to_the_payer(client, api):
    purse = wallet(api, 5000)
    code = api.post("/v1/qr_codes", {"currency": "usd", "description": "Till 3"}).json()
    assert code["data"].startswith("000201010211") and code["amount"] is None
    refused(scan(api, purse, code["data"]), "parameter_missing", "amount")
    paid = [scan(api, purse, code["data"], amount=amount).json() for amount in (700, 800)]
    assert paid[0]["id"] != paid[1]["id"]
    assert {intent["qr_code"] for intent in paid} == {code["id"]}
    assert paid[0]["description"] == "Till 3"
    assert available(api, purse) == 5000 - 1500
    assert requests.get(code["image_url_svg"], timeout=10).status_code == 200


def test_a_static_code_with_an_amount(api):
    purse = wallet(api, 5000)
    code = api.post("/v1/qr_codes", {"currency": "usd", "amount": 450}).json()
    refused(scan(api, purse, code["data"], amount=1), "parameter_unknown", "amount")
    assert scan(api, purse, code["data"]).json()["amount"] == 450
    assert scan(api, purse, code["data"]).json()["status"] == "succeeded"
    assert available(api, purse) == 5000 - 900


def test_a_static_code_that_was_withdrawn(api):
    code = api.post("/v1/qr_codes", {"currency": "usd"}).json()
    api.post(f"/v1/qr_codes/{code['id']}", {"active": "false"})
    refused(scan(api, wallet(api, 5000), code["data"], amount=100), "qr_code_inactive")
    assert requests.get(code["image_url_png"], timeout=10).status_code == 410
    listed = api.get("/v1/qr_codes?limit=1").json()["data"][0]
    assert (listed["id"], listed["active"]) == (code["id"], False)


def test_amounts_of_static_codes_are_checked(api):
    refused(api.post("/v1/qr_codes", {"currency": "usd", "amount": 1}), "amount_too_small",
            "amount")
    refused(api.post("/v1/qr_codes", {}), "parameter_missing", "currency")
    code = api.post("/v1/qr_codes", {"currency": "usd"}).json()
    refused(scan(api, wallet(api, 5000), code["data"], amount=1), "amount_too_small", "amount")


# ---- codes that a payer shows ---------------------------------------------------------------

CODE = "payment_method_data[payer_code][code]"


def payer_code(api, purse):
    return api.post(f"/v1/wallets/{purse}/payer_codes").json()


def charge_code(api, code, amount=900, **params):
    return api.post("/v1/payment_intents", {
        "amount": amount, "currency": "usd", "confirm": "true",
        "payment_method_data[type]": "payer_code", CODE: code, **params})


def test_a_merchant_charges_a_payers_code_once(api):
    purse = wallet(api, 5000)
    code = payer_code(api, purse)
    assert len(code["code"]) == 18 and code["code"].isdigit() and code["status"] == "active"
    assert purse[4:] not in code["code"]
    paid = charge_code(api, code["code"]).json()
    assert paid["status"] == "succeeded"
    assert available(api, purse) == 4100
    used = api.get(f"/v1/payer_codes/{code['id']}").json()
    assert (used["status"], used["payment_intent"], "code" in used) == ("used", paid["id"], False)
    refused(charge_code(api, code["code"]), "payer_code_used", CODE)
    assert available(api, purse) == 4100


def test_a_code_is_dead_though_the_payment_failed(api):
    code = payer_code(api, wallet(api, 100))["code"]
    assert charge_code(api, code).json()["error"]["decline_code"] == "insufficient_funds"
    refused(charge_code(api, code, 60), "payer_code_used", CODE)


@pytest.mark.parametrize("code", ["800000000000000003", "123456789012345678", "80", "x" * 18])
def test_forged_codes(api, code):
    refused(charge_code(api, code), "payer_code_invalid", CODE)


def test_a_code_without_confirmation(api):
    code = payer_code(api, wallet(api, 5000))["code"]
    refused(charge_code(api, code, confirm="false"), "parameter_missing", "confirm")
    assert charge_code(api, code).json()["status"] == "succeeded"


def test_expired_codes(make_server):
    server = make_server("--payer-code-lifetime=1s")
    api = Http(server)
    code = payer_code(api, wallet(api, 5000))
    time.sleep(2.1)
    refused(charge_code(api, code["code"]), "payer_code_expired", CODE)
    assert api.get(f"/v1/payer_codes/{code['id']}").json()["status"] == "expired"


def test_a_fourth_code_ends_the_oldest(api):
    purse = wallet(api, 5000)
    codes = [payer_code(api, purse)["code"] for _ in range(4)]
    refused(charge_code(api, codes[0]), "payer_code_expired", CODE)
    assert charge_code(api, codes[1]).json()["status"] == "succeeded"


def test_guesses_are_limited(make_server):
    server = make_server("--payer-code-wrong-max=5")
    api = Http(server)
    code = payer_code(api, wallet(api, 5000))["code"]
    outcomes = [charge_code(api, "800000000000000003").status_code for _ in range(10)]
    assert outcomes[:5] == [400] * 5 and outcomes[-1] == 429
    answer = charge_code(api, code)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit")


def test_sixteen_tills_one_code(api):
    purse = wallet(api, 50000)
    code = payer_code(api, purse)["code"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: charge_code(api, code), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 400} == {
        "payer_code_used"}
    assert available(api, purse) == 50000 - 900


def asked(api, purse, amount=9000):
    code = payer_code(api, purse)["code"]
    intent = charge_code(api, code, amount).json()
    assert intent["status"] == "requires_action", intent
    assert intent["next_action"]["type"] == "payer_confirmation"
    assert intent["next_action"]["payer_confirmation"]["wallet"] == purse
    return intent["id"]


def test_above_the_limit_the_payer_agrees(api):
    purse = wallet(api, 50000)
    intent = asked(api, purse)
    assert available(api, purse) == 50000
    events = api.get("/v1/events?type=payment_intent.requires_action&limit=1").json()["data"]
    assert events[0]["data"]["object"]["id"] == intent
    refused(api.post(f"/v1/payment_intents/{intent}/approve", {"wallet": wallet(api)}),
            "payment_intent_invalid_parameter", "wallet")
    paid = api.post(f"/v1/payment_intents/{intent}/approve", {"wallet": purse}).json()
    assert paid["status"] == "succeeded"
    assert available(api, purse) == 41000
    refused(api.post(f"/v1/payment_intents/{intent}/approve", {"wallet": purse}),
            "payment_intent_unexpected_state", None)


def test_the_payer_rejects(api):
    purse = wallet(api, 50000)
    intent = asked(api, purse)
    answer = api.post(f"/v1/payment_intents/{intent}/reject", {"wallet": purse}).json()
    assert answer["status"] == "requires_payment_method"
    assert answer["last_payment_error"]["code"] == "payment_intent_payment_attempt_failed"
    assert available(api, purse) == 50000


def test_the_merchant_cancels_while_the_payer_is_asked(api, client):
    purse = wallet(api, 50000)
    intent = asked(api, purse)
    assert client.v1.payment_intents.cancel(intent).status == "canceled"
    refused(api.post(f"/v1/payment_intents/{intent}/approve", {"wallet": purse}),
            "payment_intent_unexpected_state", None)


def test_a_payer_who_does_not_answer(make_server):
    server = make_server("--payer-wait=1s", "--sweep-interval=50ms")
    api = Http(server)
    purse = wallet(api, 50000)
    intent = asked(api, purse)
    time.sleep(2.2)
    answer = api.get(f"/v1/payment_intents/{intent}").json()
    assert answer["status"] == "requires_payment_method"
    assert answer["last_payment_error"]["code"] == "payment_intent_payment_attempt_expired"
    assert available(api, purse) == 50000


def test_digits_are_kept_nowhere(make_server):
    server = make_server()
    api = Http(server)
    purse = wallet(api, 5000)
    codes = [payer_code(api, purse)["code"] for _ in range(2)]
    charge_code(api, codes[0])
    charge_code(api, codes[0])
    server.stop()
    folder = pathlib.Path(server.data)
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(code.encode() in content for code in codes), path
