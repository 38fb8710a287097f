"""The page on which a payer pays, in a payer's browser."""

import http.server
import shutil
import threading

import pytest

from kit import checkout
from kit.chromium import Chromium
from kit.client import sdk
from kit.wallets import Wallets

PHONE = {"width": 360, "height": 740}


class Shop(http.server.BaseHTTPRequestHandler):
    """Where the payer comes back to."""

    def do_GET(self):
        body = f"<!DOCTYPE html><title>Shop</title><h1>The shop</h1><p>{self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture(name="chromium", scope="module")
def fixture_chromium(tmp_path_factory):
    if shutil.which("chromium") is None:
        pytest.skip("there is no Chromium here")
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(name="shop", scope="module")
def fixture_shop():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def session_of(client, shop, name="T-shirt", **params):
    return checkout.session_of(
        client, success_url=shop + "/paid?session={CHECKOUT_SESSION_ID}", cancel_url=shop + "/cart",
        line_items=[checkout.item(name, quantity=2)], **params)


def fill_in(page, number="4242424242424242", expiry="12/34", cvc="123"):
    page.fill("E-mail", "jenny@example.com")
    page.fill("Card number", number)
    page.fill("Expires (MM/YY)", expiry)
    page.fill("Security code", cvc)
    page.fill("Name on the card", "Jenny Rosen")


def paid(client, session):
    session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status) == ("complete", "paid")
    charges = client.v1.charges.list({"payment_intent": session.payment_intent.id}).data
    assert len([charge for charge in charges if charge.paid]) == 1


def opened(chromium, session, **size):
    page = chromium.page(**(size or PHONE))
    page.open(session.url)
    return page


def test_by_card_on_a_phone(server, chromium, shop):
    client = sdk(server)
    session = session_of(client, shop, "<b>T-shirt</b><script>document.title='x'</script>" + "x" * 60)
    page = opened(chromium, session)
    page.sees("30.00 USD")
    assert "<b>T-shirt</b>" in page.text() and page.js("document.querySelectorAll('script').length") == 0
    assert page.js("document.documentElement.scrollWidth <= window.innerWidth")
    page.no_complaints()
    fill_in(page)
    page.press("Pay 30.00 USD", times=2)
    page.heading("The shop")
    page.sees(f"/paid?session={session.id}")
    paid(client, session)
    page.js("setTimeout(() => history.back(), 0), true")
    page.sees(f"/paid?session={session.id}")
    page.open(session.url)
    page.heading("The shop")
    paid(client, session)


def test_three_d_secure(server, chromium, shop):
    client = sdk(server)
    session = session_of(client, shop)
    page = opened(chromium, session)
    fill_in(page, "4000000000003220")
    page.press("Pay 30.00 USD")
    page.heading("Confirm your payment")
    page.no_complaints()
    page.press("Complete authentication")
    page.heading("The shop")
    paid(client, session)


def test_declined_then_another_card(server, chromium, shop):
    client = sdk(server)
    session = session_of(client, shop)
    page = opened(chromium, session)
    fill_in(page, "4000000000000002")
    page.press("Pay 30.00 USD")
    page.sees("your bank declined the card")
    page.wait("document.getElementById('number').value === ''")
    page.wait("document.getElementById('name').value === 'Jenny Rosen'")
    fill_in(page)
    page.press("Pay 30.00 USD")
    page.heading("The shop")
    paid(client, session)


def test_a_wrong_number_is_shown_at_its_field(server, chromium, shop):
    session = session_of(sdk(server), shop)
    page = opened(chromium, session)
    fill_in(page, "4242424242424241")
    page.press("Pay 30.00 USD")
    page.sees("This number is not right")
    page.wait("document.getElementById(document.getElementById('number').getAttribute('aria-describedby'))"
              ".textContent.startsWith('This number')")
    page.no_complaints()


def test_by_code(server, chromium, shop):
    client = sdk(server)
    session = session_of(client, shop)
    page = opened(chromium, session)
    # A payer who wants the code need not fill in the card.
    page.press("Show the code to scan")
    page.wait("document.querySelector('img.code') && document.querySelector('img.code').naturalWidth > 0")
    page.no_complaints()
    intent = client.v1.payment_intents.retrieve(
        client.v1.checkout.sessions.retrieve(session.id).payment_intent)
    action = intent.next_action.to_dict()
    wallets = Wallets(server)
    wallets.post("/v1/qr_payments", wallet=wallets.wallet(5000), data=action[action["type"]]["data"])
    page.heading("The shop")
    paid(client, session)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(server, chromium, shop, scheme):
    """WCAG 2.2, 1.4.3, and 4.1.2 for who hears it."""
    client = sdk(server)
    session = session_of(client, shop)
    page = opened(chromium, session, scheme=scheme)
    fill_in(page, "4242424242424241")
    page.press("Pay 30.00 USD")
    page.sees("This number is not right")
    assert page.faint() + page.nameless() == []
    fill_in(page, "4000000000003220")
    page.press("Pay 30.00 USD")
    page.heading("Confirm your payment")
    page.sees("Visa ending in 3220")
    assert page.faint() + page.nameless() == []
    page.press("Fail authentication")
    page.heading("Pay Test merchant")
    assert page.faint() + page.nameless() == []
    page.press("Show the code to scan")
    page.wait("document.querySelector('img.code') !== null")
    assert page.faint() + page.nameless() == []
    client.v1.checkout.sessions.expire(session.id)
    page.heading("This page has expired")
    assert page.faint() + page.nameless() == []


def test_back_to_the_shop(server, chromium, shop):
    client = sdk(server)
    session = session_of(client, shop)
    page = opened(chromium, session, width=1280, height=900)
    page.press("Back to the shop without paying")
    page.sees("/cart")
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_a_tab_that_was_open_when_the_session_expired(server, chromium, shop):
    client = sdk(server)
    session = session_of(client, shop)
    page = opened(chromium, session)
    fill_in(page)
    client.v1.checkout.sessions.expire(session.id)
    page.press("Pay 30.00 USD")
    page.heading("This page has expired")
    page.no_complaints()
    page.press("Back to the shop without paying")
    page.sees("/cart")
