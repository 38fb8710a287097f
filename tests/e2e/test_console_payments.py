"""Taking, holding and giving back money in the merchant console."""

import pytest
import requests

from kit.client import pay
from kit.console import (  # noqa: F401
    PLANTED, events_of, go, nothing_complains, page, refunds_of, sees_a_code, settle, shown_id, signed_in, timeline)

# The first POST is carried out, and its answer is lost on the way.
LOSES_AN_ANSWER = """
const real = window.fetch;
window.fetch = async (url, request) => {
  const answer = await real(url, request);
  if (request.method === 'POST' && !window.lost) {
    window.lost = true;
    INSTEAD;
  }
  return answer;
};
"""


def test_a_code_at_the_till_is_paid(page, client, wallets):
    purse = wallets.wallet(5000)
    go(page, "new")
    page.fill("Amount", "12.50", within="#by-qr")
    page.fill("Description", "Lunch 17", within="#by-qr")
    page.press("Show the code")
    page.heading("$12.50")
    sees_a_code(page)
    page.sees("Waiting for the payer")
    intent = client.v1.payment_intents.retrieve(shown_id(page))
    assert (intent.amount, intent.description, intent.status) == (1250, "Lunch 17", "requires_action")
    wallets.post("/v1/qr_payments", wallet=purse,
                 data=intent.next_action["mobile_qr_display_qr_code"]["data"])
    page.sees("Paid", seconds=30)
    assert not page.js("document.querySelector('img.qr')")
    asked = len(page.requests)
    page.press("The payment")
    page.heading("Payment of $12.50")
    settle(page)
    page.sees("payment_intent.succeeded")
    assert [url for _, url in page.requests[asked:] if "/till" in url] == []


def test_a_code_is_printed_and_withdrawn(page, wallets):
    go(page, "codes")
    page.press("New code")
    page.fill("Currency", "jpy")
    page.fill("Amount", "450")
    page.fill("Description", "Till 3")
    page.press("Create")
    page.heading("Till 3")
    sees_a_code(page)
    code = shown_id(page)
    assert wallets.get(f"/v1/qr_codes/{code}")["amount"] == 450
    settle(page)
    page.press("Withdraw")
    page.press("Withdraw", within="dialog")
    page.wait("pressable('Make valid') !== null")
    assert wallets.get(f"/v1/qr_codes/{code}")["active"] is False
    settle(page)


def test_a_checkout_session_is_made_shown_and_expired(page, client):
    go(page, "checkout")
    page.press("New session")
    page.fill("Currency", "jpy")
    page.fill("Then the payer goes to", "shop.example")
    page.press("Create", within="dialog")
    page.sees("Item 1: it needs a name.")
    page.fill("Item", PLANTED)
    page.fill("Price of one", "12.50")
    page.press("Create", within="dialog")
    page.sees("Item 1: a price in JPY is like 1250.")
    page.fill("Price of one", "600")
    page.press("Add an item")
    second = ".item:nth-of-type(2)"
    page.fill("Item", "Poster", within=second)
    page.fill("Price of one", "900", within=second)
    page.fill("Quantity", "0", within=second)
    page.press("Create", within="dialog")
    page.sees("Item 2: a quantity is a whole number from 1.")
    page.fill("Quantity", "2", within=second)
    assert page.nameless() == []
    page.press("Create", within="dialog")
    page.wait("fieldOf('Then the payer goes to').getAttribute('aria-invalid') === 'true'")
    page.fill("Then the payer goes to", "https://shop.example/paid?{CHECKOUT_SESSION_ID}")
    page.fill("Paid by", "card")
    page.fill("Your reference", "order-6735")
    page.press("Create", within="dialog")
    page.heading("Checkout of \u00a52,400")
    settle(page)
    made = client.v1.checkout.sessions.retrieve(shown_id(page), {"expand": ["line_items"]})
    assert (made.amount_total, made.currency, made.client_reference_id) == (2400, "jpy", "order-6735")
    assert made.payment_method_types == ["card"] and made.success_url.endswith(f"?{made.id}")
    assert [(item.description, item.quantity, item.amount_total) for item in made.line_items.data] == [
        (PLANTED, 1, 600), ("Poster", 2, 1800)]
    page.sees(PLANTED)
    # The link, as a text and as a picture; what the picture says is tests/e2e/test_checkout.py's.
    assert page.js("document.querySelector('.copy input').value") == made.url
    sees_a_code(page)
    page.press("Copy")
    page.sees("Copied.")
    page.press("Expire")
    page.press("Expire", within="dialog")
    page.wait("pressable('Expire') === null")
    settle(page)
    assert client.v1.checkout.sessions.retrieve(made.id).status == "expired"
    assert not page.js("document.querySelector('img.qr')")
    go(page, "checkout?status=expired")
    page.sees("order-6735")
    go(page, f"object/id/{made.id}")
    page.heading("Checkout of \u00a52,400")
    settle(page)


def test_what_only_holds_the_money_is_to_capture(page, client):
    go(page, "checkout")
    page.press("New session")
    page.fill("Item", "Room")
    page.fill("Price of one", "88.00")
    page.fill("Then the payer goes to", "https://shop.example/")
    page.fill("Only hold it, to capture later", True)
    page.press("Create", within="dialog")
    page.heading("Checkout of $88.00")
    settle(page)
    made = client.v1.checkout.sessions.retrieve(shown_id(page))
    answer = requests.post(made.url, {
        "card[number]": "4242424242424242", "card[expiry]": "12/34", "card[cvc]": "123", "name": "Jenny Rosen",
        "email": "jenny@example.com", "by": "card"}, allow_redirects=False, timeout=60)
    assert answer.headers["location"] == "https://shop.example/"
    go(page, "checkout?status=complete")
    page.wait("[...document.querySelectorAll('tr')].some((row) => row.textContent.includes('jenny@example.com')"
              " && row.textContent.includes('to capture'))")
    paid = client.v1.checkout.sessions.retrieve(made.id)
    page.press(paid.payment_intent)
    page.heading("Payment of $88.00")
    settle(page)


def test_a_test_card_pays_and_is_declined(page, client):
    go(page, "new")
    page.fill("Amount", "8", within="#by-card")
    page.fill("Currency", "jpy", within="#by-card")
    page.fill("Test card", "pm_card_visa_chargeDeclined", within="#by-card")
    page.fill("Amount", "", within="#by-card")
    page.press("Pay")
    page.sees("This is needed.")
    page.fill("Amount", "8", within="#by-card")
    page.press("Pay")
    page.sees("at least")  # the least that yen may be paid, beside the amount
    page.fill("Amount", "12.5", within="#by-card")
    page.press("Pay")
    page.sees("at most 0 decimals")
    page.fill("Amount", "900", within="#by-card")
    page.press("Pay")
    page.sees("Your card was declined.")
    page.sees("generic_decline")
    page.fill("Test card", "pm_card_visa", within="#by-card")
    page.press("Pay")
    page.heading("Payment of \u00a5900")
    intent = client.v1.payment_intents.retrieve(shown_id(page))
    assert (intent.amount, intent.currency, intent.status) == (900, "jpy", "succeeded")


def test_money_is_held_raised_and_captured_in_part(page, client):
    go(page, "new")
    page.fill("Amount", "20.00", within="#by-card")
    page.fill("Only hold it, to capture later", True, within="#by-card")
    page.press("Pay")
    page.heading("Payment of $20.00")
    settle(page)
    intent = shown_id(page)
    page.press("Hold more")
    page.fill("Amount (USD)", "25.00")
    page.press("Hold more", within="dialog")
    page.heading("Payment of $25.00")
    settle(page)
    page.press("Capture")
    page.fill("Amount (USD)", "26.00")
    page.press("Capture", within="dialog")
    page.press("Confirm", within="dialog")
    page.sees("amount_to_capture")
    page.wait("fieldOf('Amount (USD)').getAttribute('aria-invalid') === 'true'")
    page.fill("Amount (USD)", "15.50")
    page.press("Capture", within="dialog")
    page.sees("Capture $15.50, and release $9.50?")
    page.press("Confirm", within="dialog")
    page.sees("Captured.")
    settle(page)
    page.sees("$15.50")
    done = client.v1.payment_intents.retrieve(intent)
    assert (done.status, done.amount, done.amount_received) == ("succeeded", 2500, 1550)


def test_a_payment_is_canceled(page, client):
    intent = pay(client, 3000, capture_method="manual")
    go(page, f"payments/{intent.id}")
    page.press("Cancel payment")
    page.fill("Reason", "duplicate")
    page.press("Cancel payment", within="dialog")
    page.sees("Canceled.")
    settle(page)
    done = client.v1.payment_intents.retrieve(intent.id)
    assert (done.status, done.cancellation_reason) == ("canceled", "duplicate")
    assert page.js("pressable('Capture') === null")


def test_a_part_is_refunded(page, client):
    intent = pay(client, 2000)
    go(page, f"payments/{intent.id}")
    page.press("Refund")
    page.fill("Amount (USD)", "20.01")
    page.press("Refund", within="dialog")
    page.press("Confirm", within="dialog")
    page.wait("fieldOf('Amount (USD)').getAttribute('aria-invalid') === 'true'")
    page.sees("Request")  # its id, for whoever is asked about it
    page.fill("Amount (USD)", "five")
    page.press("Refund", within="dialog")
    page.sees("An amount such as 12.50")
    page.fill("Amount (USD)", "5,25")
    page.fill("Reason", "requested_by_customer")
    page.press("Refund", within="dialog")
    page.press("Confirm", within="dialog")
    page.sees("Refunded: $5.25.")
    settle(page)
    page.sees("charge.refunded")
    assert refunds_of(client, intent) == [525]
    (refund,) = client.v1.refunds.list({"payment_intent": intent.id}).data
    assert timeline(page) == events_of(client, intent.id, intent.latest_charge, refund.id)
    page.press("$5.25")
    page.heading("Refund of $5.25")
    settle(page)
    assert timeline(page) == events_of(client, refund.id)


def test_pressed_twice_it_is_agreed_to_by_none_and_refunded_once(page, client):
    """CONSOLE-4."""
    intent = pay(client, 2000)
    go(page, f"payments/{intent.id}")
    page.press("Refund")
    page.fill("Amount (USD)", "3.00")
    page.press("Refund", within="dialog", times=2)
    page.sees("Give $3.00 back to Visa 4242?")
    assert page.js("document.activeElement.className") == "review"
    assert refunds_of(client, intent) == []
    page.press("Change")
    page.fill("Amount (USD)", "3.50")
    page.press("Refund", within="dialog")
    page.sees("Give $3.50 back to Visa 4242?")
    page.press("Confirm", times=2)
    page.sees("Refunded: $3.50.")
    settle(page)
    assert refunds_of(client, intent) == [350]


@pytest.mark.parametrize("instead, said", [
    ("throw new TypeError('Failed to fetch')", "It is not known whether the request was carried out."),
    ("return new Response('<p>Bad gateway', {status: 502})", "The server answered 502, and not in JSON."),
], ids=["lost", "502"])
def test_an_answer_that_was_lost_is_asked_for_again(chromium, server, client, instead, said):
    """CONSOLE-4."""
    page = signed_in(chromium, server, before_scripts=LOSES_AN_ANSWER.replace("INSTEAD", instead))
    intent = pay(client, 2000)
    go(page, f"payments/{intent.id}")
    page.press("Refund")
    page.fill("Amount (USD)", "4.00")
    page.press("Refund", within="dialog")
    page.press("Confirm", within="dialog")
    page.sees(said)
    assert refunds_of(client, intent) == [400]
    # What is asked again is the same: nothing can be changed in between.
    assert page.js("fieldOf('Amount (USD)').matches(':disabled')")
    page.press("Ask again")
    page.sees("Refunded: $4.00.")
    settle(page)
    assert refunds_of(client, intent) == [400]
    page.no_complaints()
