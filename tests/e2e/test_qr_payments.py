"""Payments by codes that a merchant shows: dynamic ones, static ones, and every refusal."""

import io
import re
import time
import xml.etree.ElementTree

import pytest
import zxingcpp
from PIL import Image

from kit.answers import events_about
from kit.browser import Browser, Page
from kit.client import Http, sdk
from kit.codecs import codecs, with_whole_crc
from kit.server import ROOT, run_tael, wait_until
from kit.wallets import Wallets

PROMPTPAY = (ROOT / "tests" / "corpora" / "emvqr" / "promptpay_amount").read_text().strip()


def crc(text):
    """CRC-16/CCITT-FALSE, written down once more: the server's own is what is tested."""
    value = 0xFFFF
    for byte in text.encode():
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return f"{value:04X}"


def signed(text):
    """The code with a right checksum in the place of its present one."""
    return text[:-4] + crc(text[:-4])


def shown(client, amount=1250, currency="usd", **params):
    """An intent that waits to be scanned."""
    intent = client.v1.payment_intents.create({
        "amount": amount, "currency": currency, "payment_method_types": ["mobile_qr"],
        "payment_method_data": {"type": "mobile_qr"}, "confirm": True, **params})
    assert intent.status == "requires_action"
    return intent


def funded(http, amount, currency="usd"):
    return Wallets(http.server).wallet(amount, currency)


def new_wallet(http, currency):
    return Wallets(http.server).wallet(0, currency)


def balance(http, wallet):
    return Wallets(http.server).available(wallet)


def error_of(answer):
    """(code, param) of a refusal."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    return error.get("code"), error.get("param")


def code_of(intent):
    assert intent.next_action.type == "mobile_qr_display_qr_code"
    return intent.next_action.mobile_qr_display_qr_code


def scan(http, wallet, data, **params):
    return http.post("/v1/qr_payments", {"wallet": wallet, "data": data, **params})


# ---- dynamic codes -------------------------------------------------------------------------


def test_a_wallet_scans_and_pays(client, http):
    wallet = funded(http, 5000)
    began = int(time.time())
    intent = shown(client)
    display = code_of(intent)
    assert began + 900 <= display.expires_at <= time.time() + 900
    answer = scan(http, wallet, display.data)
    assert answer.status_code == 200, answer.text
    paid = answer.json()
    assert paid["id"] == intent.id and paid["status"] == "succeeded"
    assert paid["amount_received"] == 1250 and paid["next_action"] is None
    assert balance(http, wallet) == 5000 - 1250
    (charge,) = client.v1.charges.list({"payment_intent": intent.id}).data
    details = charge.payment_method_details.to_dict()
    assert details == {"type": "wallet", "wallet": {"id": wallet}}
    assert events_about(client, intent.id, type="payment_intent.*") == [
        "payment_intent.succeeded", "payment_intent.requires_action", "payment_intent.created"]
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 250})
    assert refund.status == "succeeded"
    assert balance(http, wallet) == 4000


def test_a_kept_method_is_confirmed(client, http):
    method = client.v1.payment_methods.create({"type": "mobile_qr"})
    first = client.v1.payment_intents.create({
        "amount": 500, "currency": "usd", "payment_method_types": ["mobile_qr"],
        "payment_method": method.id})
    assert first.status == "requires_confirmation"
    first = client.v1.payment_intents.confirm(first.id)
    second = shown(client, 600)
    second = client.v1.payment_intents.confirm(second.id, {"payment_method": method.id})
    wallet = funded(http, 2000)
    for intent in (first, second):
        assert scan(http, wallet, code_of(intent).data).json()["status"] == "succeeded"
    assert balance(http, wallet) == 900


def test_manual_capture_holds(client, http):
    wallet = funded(http, 2000)
    intent = shown(client, 1000, capture_method="manual")
    assert scan(http, wallet, code_of(intent).data).json()["status"] == "requires_capture"
    assert client.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 700}).amount_received == 700
    assert balance(http, wallet) == 1300


@pytest.mark.parametrize("currency, amount, text", [
    ("usd", 1, None), ("usd", 99999999, "999999.99"), ("jpy", 1500, "1500"), ("isk", 150000, "1500"),
    ("eur", 1250, "12.50")])
def test_what_is_in_the_code(client, http, currency, amount, text):
    if text is None:
        assert error_of(http.post("/v1/payment_intents", {
            "amount": amount, "currency": currency, "confirm": "true",
            "payment_method_data[type]": "mobile_qr"})) == ("amount_too_small", "amount")
        return
    intent = shown(client, amount, currency)
    data = code_of(intent).data
    decoded = http.post("/v1/qr_codes/decode", {"data": data}).json()
    assert (decoded["amount"], decoded["currency"]) == (amount, currency)
    assert (decoded["payment_intent"], decoded["qr_code"]) == (intent.id, None)
    # Both independent codecs read the same, and one writes the same.
    parsed, tags = codecs({"operation": "emv-qrcps parse", "code": data},
                          {"operation": "promptparse parse", "code": data})
    assert parsed["objects"]["54"] == text and parsed["objects"]["26-00"] == "org.tael"
    assert parsed["objects"]["26-01"] == intent.id and parsed["objects"]["01"] == "12"
    assert dict(tags)["54"] == text and dict(tags)["63"] == data[-4:] == crc(data[:-4])


def test_what_other_codecs_write_is_paid(client, http):
    """The same objects, in another library's order and with its checksum."""
    wallet = funded(http, 5000)
    one, other = shown(client, 700), shown(client, 800)
    parsed, tags = codecs({"operation": "emv-qrcps parse", "code": code_of(one).data},
                          {"operation": "promptparse parse", "code": code_of(other).data})
    objects = {path: value for path, value in parsed["objects"].items() if path != "63"}
    built, encoded = codecs(
        {"operation": "emv-qrcps build", "objects": objects},
        {"operation": "promptparse build", "tags": [tag for tag in tags if tag[0] != "63"]})
    assert scan(http, wallet, with_whole_crc(built)).json()["id"] == one.id
    assert scan(http, wallet, encoded).json()["id"] == other.id
    assert balance(http, wallet) == 3500


# ---- pictures and the page -----------------------------------------------------------------


def test_pictures(client):
    display = code_of(shown(client))
    browser = Browser()
    png = browser.get(display.image_url_png)
    assert png.status_code == 200 and png.headers["Content-Type"] == "image/png"
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png.content)))
    assert read.text == display.data
    svg = browser.get(display.image_url_svg)
    assert svg.headers["Content-Type"] == "image/svg+xml"
    assert xml.etree.ElementTree.fromstring(svg.text).tag.endswith("svg")
    assert "no-store" in svg.headers["Cache-Control"]


def test_the_page(client, http):
    wallet = funded(http, 5000)
    intent = shown(client)
    display = code_of(intent)
    browser = Browser()
    answer = browser.get(display.hosted_instructions_url)
    assert answer.status_code == 200
    assert "script" not in answer.headers["Content-Security-Policy"]
    page = Page(answer.text)
    assert page.language == "en" and page.words["title"] == [page.heading()]
    assert page.scripts == [] and page.forms == []
    assert "12.50 USD" in page.text()
    (picture,) = re.findall(r"<img [^>]+>", answer.text)
    assert re.search(r'alt="[^"]+"', picture) and re.search(r'src="[^"]+\.svg"', picture)
    assert intent.client_secret not in answer.text
    assert scan(http, wallet, display.data).status_code == 200
    for url in (display.hosted_instructions_url, display.image_url_png, display.image_url_svg):
        gone = browser.get(url)
        assert gone.status_code == 410 and "<img" not in gone.text


def test_a_wrong_address_shows_nothing(client):
    display = code_of(shown(client))
    browser = Browser()
    url = display.hosted_instructions_url
    for wrong in (url[:-1] + ("a" if url[-1] != "a" else "b"), url[:-3], url + ".gif",
                  url.replace("pi_", "pi_0"), url.rsplit("_", 1)[0] + "_",
                  url.replace("/qr/", "/authenticate/")):
        answer = browser.get(wrong)
        assert answer.status_code == 404 and display.data not in answer.text, wrong


# ---- static codes --------------------------------------------------------------------------


def test_a_static_code(client, http):
    wallet = funded(http, 5000)
    code = http.post("/v1/qr_codes", {
        "currency": "usd", "description": "Till 1", "metadata[till]": "1"}).json()
    assert code["object"] == "qr_code" and code["id"].startswith("qrc_")
    assert code["active"] is True and code["amount"] is None
    for amount in (300, 400):
        answer = scan(http, wallet, code["data"], amount=amount, **{"metadata[table]": "7"})
        assert answer.status_code == 200, answer.text
        intent = answer.json()
        assert intent["qr_code"] == code["id"] and intent["amount_received"] == amount
        assert intent["description"] == "Till 1"
        assert intent["metadata"] == {"till": "1", "table": "7"}
    assert balance(http, wallet) == 4300
    png = Browser().get(code["image_url_png"])
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png.content)))
    assert read.text == code["data"]


def test_static_codes_are_kept(http):
    code = http.post("/v1/qr_codes", {"currency": "eur", "amount": 500}).json()
    assert http.get(f"/v1/qr_codes/{code['id']}").json() == code
    changed = http.post(f"/v1/qr_codes/{code['id']}", {
        "active": "false", "description": "gone", "metadata[a]": "b"}).json()
    assert changed == {**code, "active": False, "description": "gone", "metadata": {"a": "b"}}
    assert changed in http.get("/v1/qr_codes").json()["data"]
    assert error_of(http.post(f"/v1/qr_codes/{code['id']}", {"amount": 600})) == (
        "parameter_unknown", "amount")
    assert http.get("/v1/qr_codes/qrc_none").status_code == 404
    assert error_of(http.post("/v1/qr_codes", {"currency": "usd", "amount": 1})) == (
        "amount_too_small", "amount")


def test_a_static_code_with_an_amount(http):
    wallet = funded(http, 1000)
    code = http.post("/v1/qr_codes", {"currency": "usd", "amount": 250}).json()
    assert error_of(scan(http, wallet, code["data"], amount=250)) == (
        "parameter_unknown", "amount")
    assert scan(http, wallet, code["data"]).json()["amount_received"] == 250
    assert scan(http, wallet, code["data"]).json()["amount_received"] == 250
    assert balance(http, wallet) == 500


# ---- refusals ------------------------------------------------------------------------------


def test_every_changed_character_is_refused(client, http):
    """Each position with another character of its kind: nothing is paid by any of them."""
    wallet = funded(http, 5000)
    intent = shown(client)
    data = code_of(intent).data
    for at, character in enumerate(data):
        other = "1" if character == "0" else "0" if character.isdigit() else (
            "B" if character == "A" else "A")
        answer = scan(http, wallet, data[:at] + other + data[at + 1:])
        code, param = error_of(answer)
        assert (code, param) == ("qr_code_invalid", "data"), (at, answer.text)
    assert scan(http, wallet, data[:-1]).status_code == 400
    assert scan(http, wallet, data + "0").status_code == 400
    assert balance(http, wallet) == 5000
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_action"


def test_the_problem_is_named(http):
    wallet = funded(http, 1000)
    for data, problem in ((PROMPTPAY[:-1] + "0", "checksum is wrong"),
                          ("hello", "does not begin as a payment code"),
                          (PROMPTPAY[:-8], "checksum is missing")):
        for answer in (scan(http, wallet, data), http.post("/v1/qr_codes/decode", {"data": data})):
            assert error_of(answer) == ("qr_code_invalid", "data")
            assert problem in answer.json()["error"]["message"], answer.text


def test_a_code_of_another_scheme(http):
    wallet = funded(http, 1000)
    answer = scan(http, wallet, PROMPTPAY)
    assert error_of(answer) == ("qr_code_not_payable", "data")
    assert "promptpay" in answer.json()["error"]["message"]


def test_a_code_of_nobody(client, http):
    wallet = funded(http, 1000)
    intent = shown(client)
    for prefix in ("pi_", "qr"):
        data = code_of(intent).data
        wrong = intent.id[:-1] + ("a" if intent.id[-1] != "a" else "b")
        if prefix == "qr":
            wrong = "ch_" + intent.id[3:]
        answer = scan(http, wallet, signed(data.replace(intent.id, wrong)))
        assert error_of(answer) == ("qr_code_unknown", "data")


def test_a_forged_amount_or_currency(client, http):
    wallet = funded(http, 5000)
    intent = shown(client)
    data = code_of(intent).data
    static = http.post("/v1/qr_codes", {"currency": "usd"}).json()["data"]
    for forged in (data.replace("540512.50", "540511.50"), data.replace("5303840", "5303978"),
                   data.replace("540512.50", ""), static.replace("5303840", "5303840540512.50")):
        assert forged not in (data, static)
        answer = scan(http, wallet, signed(forged))
        assert error_of(answer) == ("qr_code_forged", "data"), forged
        assert error_of(http.post("/v1/qr_codes/decode", {"data": signed(forged)})) == (
            "qr_code_forged", "data")
    assert balance(http, wallet) == 5000


def test_a_code_is_paid_once(client, http):
    wallet = funded(http, 5000)
    intent = shown(client)
    data = code_of(intent).data
    assert scan(http, wallet, data).status_code == 200
    assert error_of(scan(http, wallet, data)) == ("qr_code_paid", "data")
    assert error_of(http.post("/v1/qr_codes/decode", {"data": data})) == ("qr_code_paid", "data")
    assert balance(http, wallet) == 3750


def test_a_canceled_code(client, http):
    wallet = funded(http, 5000)
    intent = shown(client)
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    assert error_of(scan(http, wallet, code_of(intent).data)) == ("qr_code_canceled", "data")


def test_an_amount_that_changed_afterwards(client, http):
    wallet = funded(http, 5000)
    intent = shown(client)
    changed = client.v1.payment_intents.update(intent.id, {"amount": 2000})
    assert changed.status == "requires_confirmation"
    assert error_of(scan(http, wallet, code_of(intent).data)) == ("qr_code_forged", "data")
    again = client.v1.payment_intents.confirm(intent.id)
    assert scan(http, wallet, code_of(again).data).json()["amount_received"] == 2000


def test_an_intent_that_is_paid_otherwise(client, http):
    wallet = funded(http, 5000)
    intent = shown(client, payment_method_types=["mobile_qr", "card"])
    data = code_of(intent).data
    declined = http.post(f"/v1/payment_intents/{intent.id}/confirm", {
        "payment_method": "pm_card_chargeDeclined"})
    assert declined.status_code == 402
    assert error_of(scan(http, wallet, data)) == ("qr_code_expired", "data")


def test_amounts_that_do_not_belong(client, http):
    wallet = funded(http, 5000)
    data = code_of(shown(client)).data
    assert error_of(scan(http, wallet, data, amount=1250)) == (
        "parameter_unknown", "amount")
    static = http.post("/v1/qr_codes", {"currency": "usd"}).json()["data"]
    assert error_of(scan(http, wallet, static)) == ("parameter_missing", "amount")
    assert error_of(scan(http, wallet, static, amount=1)) == ("amount_too_small", "amount")


def test_a_wallet_of_another_currency(client, http):
    wallet = new_wallet(http, "eur")
    data = code_of(shown(client)).data
    assert error_of(scan(http, wallet, data)) == ("qr_code_currency", "wallet")
    static = http.post("/v1/qr_codes", {"currency": "usd"}).json()["data"]
    assert error_of(scan(http, wallet, static, amount=500)) == (
        "qr_code_currency", "wallet")
    assert error_of(scan(http, "wal_none", data)) == ("resource_missing", "wallet")


def test_an_inactive_code(http):
    wallet = funded(http, 1000)
    code = http.post("/v1/qr_codes", {"currency": "usd"}).json()
    http.post(f"/v1/qr_codes/{code['id']}", {"active": "false"})
    assert error_of(scan(http, wallet, code["data"], amount=500)) == ("qr_code_inactive", "data")
    http.post(f"/v1/qr_codes/{code['id']}", {"active": "true"})
    assert scan(http, wallet, code["data"], amount=500).status_code == 200


def test_an_expired_code(make_server):
    server = make_server("--qr-lifetime=1s")
    client, http = sdk(server), Http(server)
    wallet = funded(http, 5000)
    intent = shown(client)

    def now():
        return client.v1.payment_intents.retrieve(intent.id)

    wait_until(lambda: now().status == "requires_payment_method", 5, "expiry")
    assert now().last_payment_error.code == "payment_intent_payment_attempt_expired"
    assert events_about(client, intent.id, type="payment_intent.*")[0] == "payment_intent.payment_failed"
    assert error_of(scan(http, wallet, code_of(intent).data)) == ("qr_code_expired", "data")
    server.stop()
    server.start("--qr-lifetime=5m")  # a second may be over before the next one is scanned
    client, http = sdk(server), Http(server)
    again = client.v1.payment_intents.confirm(
        intent.id, {"payment_method_data": {"type": "mobile_qr"}})
    assert scan(http, wallet, code_of(again).data).json()["status"] == "succeeded"


def test_an_expired_code_before_the_sweep(make_server):
    server = make_server("--qr-lifetime=1s", "--sweep-interval=1h")
    client, http = sdk(server), Http(server)
    wallet = funded(http, 5000)
    data = code_of(shown(client)).data
    time.sleep(2.1)
    assert error_of(scan(http, wallet, data)) == ("qr_code_expired", "data")


def test_too_little_money_is_a_decline(client, http):
    wallet = funded(http, 1000)
    intent = shown(client)
    answer = scan(http, wallet, code_of(intent).data)
    assert answer.status_code == 402
    assert answer.json()["error"]["decline_code"] == "insufficient_funds"
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"
    assert balance(http, wallet) == 1000


def test_what_came_from_a_code_pays_once(client, http):
    """PAYMENTS-9."""
    wallet = funded(http, 5000)
    intent = shown(client)
    method = scan(http, wallet, code_of(intent).data).json()["payment_method"]
    assert error_of(http.post("/v1/payment_intents", {
        "amount": 500, "currency": "usd", "payment_method": method, "confirm": "true",
        "payment_method_types[]": "mobile_qr"})) == ("payment_method_not_reusable", "payment_method")
    customer = client.v1.customers.create({}).id
    assert error_of(http.post(f"/v1/payment_methods/{method}/attach", {
        "customer": customer})) == ("payment_method_not_reusable", "payment_method")


def test_types_that_may_pay(client, http):
    assert error_of(http.post("/v1/payment_intents", {
        "amount": 500, "currency": "usd", "confirm": "true", "payment_method_types[]": "card",
        "payment_method_data[type]": "mobile_qr"}))[0] == (
            "payment_intent_incompatible_payment_method")
    assert error_of(http.post("/v1/payment_intents", {
        "amount": 500, "currency": "usd", "confirm": "true", "error_on_requires_action": "true",
        "payment_method_data[type]": "mobile_qr"})) == (
            "payment_intent_action_required", "error_on_requires_action")
    assert error_of(http.post("/v1/setup_intents", {
        "payment_method": client.v1.payment_methods.create({"type": "mobile_qr"}).id,
        "confirm": "true"}))[0] == "setup_intent_invalid_parameter"


@pytest.mark.parametrize("name, value", [
    ("merchant-name", "x" * 26), ("merchant-city", "x" * 16), ("merchant-country", "usa"),
    ("merchant-category", "12")])
def test_settings_that_fit_no_code(tmp_path, name, value):
    result = run_tael("server", f"--data={tmp_path / 'data'}", "--listen=127.0.0.1:0",
                      f"--{name}={value}")
    assert result.returncode != 0 and "merchant-" in result.stderr
