"""Codes that stand at a till: what a wallet reads in them, and what their addresses show."""

import pytest
import requests

from kit.wallets import Refused, Wallets

PICTURES = {"image_url_png": ("image/png", b"\x89PNG"), "image_url_svg": ("image/svg+xml", b"<svg")}


@pytest.fixture(scope="module")
def wallets(server):
    return Wallets(server)


@pytest.fixture
def till(wallets):
    return wallets.post("/v1/qr_codes", currency="usd", description="Till")


def show(server, url):
    """What anybody sees who has the address: no key is sent."""
    return requests.get(server.url + url[url.index("/qr/"):], timeout=60)


def refusal(wallets, path, **params):
    with pytest.raises(Refused) as caught:
        wallets.post(path, **params)
    return caught.value


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
    for error in (refusal(wallets, "/v1/qr_codes/decode", data=till["data"]),
                  refusal(wallets, "/v1/qr_payments", **scanned)):
        assert (error.status, error.code, error.param) == (400, "qr_code_inactive", "data")
    assert wallets.balance(wallet)["available"] == 600
    for name in ("hosted_instructions_url", *PICTURES):
        assert show(server, till[name]).status_code == 410

    wallets.post(f"/v1/qr_codes/{till['id']}", active="true")
    assert wallets.post("/v1/qr_codes/decode", data=till["data"])["amount"] is None
    assert show(server, till["image_url_svg"]).status_code == 200
