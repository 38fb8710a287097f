"""Keys and webhooks in the merchant console."""

from kit.client import Http
from kit.console import go, nothing_complains, page, settle, shown_id, signed_in  # noqa: F401
from kit.receiver import Receiver
from kit.server import wait_until


def test_keys_are_made_and_revoked(chromium, server, page):
    go(page, "keys")
    page.press("New restricted key")
    page.fill("Name", "Till 4")
    page.press("Create")
    page.sees("A key that may do nothing is of no use.")
    page.press("Cashier", within="dialog")
    page.press("Create")
    page.sees("It is shown once.")
    key = page.wait("document.querySelector('input.secret').value")
    page.press("I have it")
    settle(page)
    page.sees("Till 4")
    assert key not in page.js("document.documentElement.outerHTML")
    till = signed_in(chromium, server, key)
    go(till, "new")
    till.fill("Amount", "2.00", within="#by-qr")
    till.press("Show the code")
    till.sees("Waiting for the payer")
    go(till, "keys")
    till.sees("secret key")
    till.no_complaints()
    page.js("[...document.querySelectorAll('tr')].find((one) => one.textContent.includes('Till 4'))"
            ".querySelector('button').click()")
    page.press("Revoke", within="dialog")
    page.sees("Revoked.")
    settle(page)
    wait_until(lambda: Http(server, key=key, validate=False).get(
        "/v1/payment_intents").status_code == 401, 10, "the refusal")


def test_webhooks_are_watched(page, client, wallets):
    status = 500
    with Receiver(lambda received: status) as receiver:
        go(page, "webhooks")
        page.press("New endpoint")
        page.fill("Address", receiver.url())
        page.fill("Events", "customer.created\ncustomer.deleted")
        page.press("Create")
        page.sees("Deliveries are signed with it.")
        secret = page.wait("document.querySelector('input.secret').value")
        page.press("I have it")
        page.heading("Webhook endpoint")
        endpoint = shown_id(page)
        customer = client.v1.customers.create({"name": "told"})
        wait_until(lambda: receiver.received, 20, "the delivery")
        assert receiver.received[0].verify(secret).type == "customer.created"
        path = f"/v1/webhook_endpoints/{endpoint}/deliveries"
        wait_until(lambda: wallets.get(path)["data"][0]["attempt_count"] >= 1, 10, "the attempt")
        go(page, f"webhooks/{endpoint}?status=pending")
        page.press("customer.created")
        page.heading("Delivery of customer.created")
        settle(page)
        page.sees("500")
        status = 200
        page.press("Send again")
        page.press("Send again", within="dialog")
        page.sees("It is on its way.")
        wait_until(lambda: wallets.get(path)["data"][0]["status"] == "succeeded", 20, "another delivery")
        settle(page)
        go(page, f"webhooks/{endpoint}")
        page.press("Disable")
        page.press("Disable", within="dialog")
        page.wait("pressable('Enable') !== null")
        settle(page)
        assert client.v1.webhook_endpoints.retrieve(endpoint).status == "disabled"
        go(page, "")
        page.sees("Webhook endpoints that are disabled")
        client.v1.webhook_endpoints.delete(endpoint)
        client.v1.customers.delete(customer.id)
