"""Codes that stand at a till: what a wallet reads in them, and what their addresses show."""

import string

import pytest
import requests

from kit.browser import Page
from kit.client import Http
from kit.codecs import codecs, with_whole_crc
from kit.server import ROOT, wait_until
from kit.wallets import Wallets, refused

CORPUS = ROOT / "tests" / "corpora" / "emvqr"
FORMS = ("hosted_instructions_url", "image_url_png", "image_url_svg")
PICTURES = {"image_url_png": ("image/png", b"\x89PNG"), "image_url_svg": ("image/svg+xml", b"<svg")}


@pytest.fixture
def till(wallets):
    return wallets.post("/v1/qr_codes", currency="usd", description="Till")


def show(server, url):
    """What anybody sees who has the address: no key is sent."""
    return requests.get(server.url + url[url.index("/qr/"):], timeout=60)


def test_a_code_is_shown(server, till):
    for name, (kind, begin) in PICTURES.items():
        picture = show(server, till[name])
        assert picture.status_code == 200 and picture.headers["Content-Type"] == kind
        assert begin in picture.content[:200]
    page = show(server, till["hosted_instructions_url"])
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert till["image_url_svg"].rsplit("/", 1)[1] in page.text


@pytest.mark.parametrize("name", ["hosted_instructions_url", *PICTURES])
def test_a_wrong_address_shows_nothing(server, till, name):
    url = till[name].replace(till["id"], till["id"][:-1] + ("0" if till["id"][-1] != "0" else "1"))
    assert show(server, url).status_code == 404
    at = till[name].rindex("_") + 1
    url = till[name][:at] + ("0" if till[name][at] != "0" else "1") + till[name][at + 1:]
    assert show(server, url).status_code == 404


def test_a_withdrawn_code_is_neither_read_nor_paid_nor_shown(server, wallets, till):
    wallet = wallets.wallet(1000)
    scanned = {"data": till["data"], "wallet": wallet, "amount": 400}
    assert wallets.post("/v1/qr_codes/decode", data=till["data"])["qr_code"] == till["id"]
    assert wallets.post("/v1/qr_payments", **scanned)["status"] == "succeeded"

    assert wallets.post(f"/v1/qr_codes/{till['id']}", active="false")["active"] is False
    for error in (refused(wallets.post, "/v1/qr_codes/decode", data=till["data"]),
                  refused(wallets.post, "/v1/qr_payments", **scanned)):
        assert (error.status, error.code, error.param) == (400, "qr_code_inactive", "data")
    assert wallets.balance(wallet)["available"] == 600
    for name in ("hosted_instructions_url", *PICTURES):
        assert show(server, till[name]).status_code == 410

    wallets.post(f"/v1/qr_codes/{till['id']}", active="true")
    assert wallets.post("/v1/qr_codes/decode", data=till["data"])["amount"] is None
    assert show(server, till["image_url_svg"]).status_code == 200


# ---- what is told of them ------------------------------------------------------------------


def test_events(wallets, till):
    wallets.post(f"/v1/qr_codes/{till['id']}", active="false")
    told = [event for event in wallets.everything("/v1/events")
            if event["data"]["object"].get("id") == till["id"]]
    assert [event["type"] for event in told] == ["qr_code.updated", "qr_code.created"]
    assert told[1]["data"]["object"] == till
    assert told[0]["data"]["object"] == {**till, "active": False}


def test_an_event_has_the_code_that_waits(wallets):
    intent = waiting(wallets)
    (told,) = [event["data"]["object"] for event in wallets.everything(
        "/v1/events", type="payment_intent.requires_action")
               if event["data"]["object"]["id"] == intent["id"]]
    assert told["next_action"] == intent["next_action"]


# ---- codes of an intent --------------------------------------------------------------------


def waiting(wallets, amount=1250, currency="usd"):
    return wallets.post("/v1/payment_intents", amount=amount, currency=currency, confirm="true",
                        payment_method_types=["mobile_qr"],
                        payment_method_data={"type": "mobile_qr"})


def display(intent):
    return intent["next_action"]["mobile_qr_display_qr_code"]


def heading(answer):
    return Page(answer.text).heading()


def test_who_has_paid_is_not_sent_to_pay_again(server, wallets):
    """The page stays open on the payer's screen, and is loaded again."""
    intent = waiting(wallets)
    url = display(intent)["hosted_instructions_url"]
    assert heading(show(server, url)) == "Pay with your wallet"
    wallets.post("/v1/qr_payments", data=display(intent)["data"], wallet=wallets.wallet(2000))
    page = show(server, url)
    assert page.status_code == 410 and heading(page) == "This is paid"
    assert "new one" not in page.text
    # Nobody learns that from the id alone.
    assert heading(show(server, url[:-1] + ("0" if url[-1] != "0" else "1"))) == (
        "There is no code here")


def test_a_canceled_intent_shows_no_code(server, wallets):
    intent = waiting(wallets)
    assert show(server, display(intent)["image_url_svg"]).status_code == 200
    wallets.post(f"/v1/payment_intents/{intent['id']}/cancel")
    for name in FORMS:
        assert show(server, display(intent)[name]).status_code == 410
    assert refused(wallets.post, "/v1/qr_codes/decode", data=display(intent)["data"]).code == (
        "qr_code_canceled")


@pytest.mark.parametrize("sweep", ["100ms", "1h"])
def test_an_expired_code_is_not_shown(make_server, sweep):
    """From its last second on, whether the sweeper was there or not."""
    server = make_server("--qr-lifetime=1s", f"--sweep-interval={sweep}")
    wallets = Wallets(server)
    intent = waiting(wallets)
    url = display(intent)["hosted_instructions_url"]
    wait_until(lambda: show(server, url).status_code != 200, 5, "the end of the code")
    for name in FORMS:
        assert show(server, display(intent)[name]).status_code == 410
    assert refused(wallets.post, "/v1/qr_codes/decode", data=display(intent)["data"]).code == (
        "qr_code_expired")


def test_a_secret_is_good_for_its_own_code(server, wallets, till):
    """Neither another code's, nor in the other mode, nor of a merchant that is not there."""
    other = wallets.post("/v1/qr_codes", currency="usd")
    url, secret = till["image_url_svg"].rsplit("_", 1)
    assert show(server, other["image_url_svg"].rsplit("_", 1)[0] + "_" + secret).status_code == 404
    scope, name = url[url.index("/qr/"):].split("/")[2:]
    for wrong in (int(scope) + 1, int(scope) + 2, 0, 2**64 - 1, 2**64, "x"):
        assert show(server, f"/qr/{wrong}/{name}_{secret}").status_code in (400, 404)
    intent = waiting(wallets)
    at = display(intent)["image_url_svg"].replace(intent["id"], till["id"])
    assert show(server, at).status_code == 404


def test_codes_need_rights(server, till):
    """What a publishable key, which is in every shop's page, may not."""
    shop = Http(server, key=server.publishable_key)
    for path, body in (("/v1/qr_codes", {"currency": "usd"}),
                       (f"/v1/qr_codes/{till['id']}", {"active": "false"}),
                       ("/v1/qr_codes/decode", {"data": till["data"]}),
                       ("/v1/qr_payments", {"data": till["data"], "wallet": "wal_x"})):
        answer = shop.post(path, body)
        assert answer.status_code == 403, answer.text
        assert Http(server, key="sk_test_nobody").post(path, body).status_code == 401


# ---- other codecs, other codes -------------------------------------------------------------


@pytest.mark.parametrize("amount, currency, number, text", [
    (None, "usd", "840", None), (250, "usd", "840", "2.50"), (150000, "isk", "352", "1500"),
    (1500, "jpy", "392", "1500"), (12340, "kwd", "414", "12.340"), (None, "thb", "764", None)])
def test_independent_codecs_read_a_static_code(wallets, amount, currency, number, text):
    params = {} if amount is None else {"amount": amount}
    made = wallets.post("/v1/qr_codes", currency=currency, **params)
    parsed, tags = codecs({"operation": "emv-qrcps parse", "code": made["data"]},
                          {"operation": "promptparse parse", "code": made["data"]})
    objects = parsed["objects"]
    assert (objects["53"], objects.get("54")) == (number, text)
    assert objects["26-00"] == "org.tael" and objects["26-01"] == made["id"]
    assert objects["01"] == ("11" if amount is None else "12")
    tags = dict(tags)
    assert (tags["53"], tags.get("54")) == (number, text) and made["id"] in tags["26"]
    decoded = wallets.post("/v1/qr_codes/decode", data=with_whole_crc(parsed["again"]))
    assert (decoded["amount"], decoded["currency"]) == (amount, currency)
    assert (decoded["qr_code"], decoded["payment_intent"]) == (made["id"], None)


@pytest.mark.parametrize("name, scheme", [
    ("pix", "pix"), ("promptpay", "promptpay"), ("promptpay_amount", "promptpay"),
    ("vietqr", "vietqr"), ("emvco", "")])
def test_codes_of_other_schemes(wallets, name, scheme):
    data = (CORPUS / name).read_text().strip()
    purse = wallets.wallet(1000)
    for error in (refused(wallets.post, "/v1/qr_codes/decode", data=data),
                  refused(wallets.post, "/v1/qr_payments", data=data, wallet=purse)):
        assert (error.status, error.code, error.param) == (400, "qr_code_not_payable", "data")
        assert scheme in error.message
    assert wallets.available(purse) == 1000


def test_any_other_character_in_any_place_is_refused(wallets, till):
    """A damaged code never reads as another one."""
    intent = waiting(wallets)
    for data, others in ((display(intent)["data"], "09AZaz. -"), (till["data"], "17BQkx/_")):
        for place, character in enumerate(data):
            for other in others.replace(character, ""):
                changed = data[:place] + other + data[place + 1:]
                error = refused(wallets.post, "/v1/qr_codes/decode", data=changed)
                assert (error.code, error.param) == ("qr_code_invalid", "data"), changed
        for place in range(len(data) - 1):
            swapped = data[:place] + data[place + 1] + data[place] + data[place + 2:]
            if swapped != data:
                assert refused(wallets.post, "/v1/qr_codes/decode", data=swapped).code == (
                    "qr_code_invalid"), swapped
        wallets.post("/v1/qr_codes/decode", data=data)


@pytest.mark.parametrize("data, code", [
    ("", "parameter_invalid_empty"), ("x" * 4096, "parameter_invalid_string_too_long"),
    ("\u20ac" * 50, "qr_code_invalid"), (string.printable, "qr_code_invalid"),
    ("000201" * 60, "qr_code_invalid")], ids=["empty", "long", "euros", "printable", "again"])
def test_what_is_no_code(wallets, data, code):
    error = refused(wallets.post, "/v1/qr_codes/decode", data=data)
    assert (error.status, error.code, error.param) == (400, code, "data")
