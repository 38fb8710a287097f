"""Whatever becomes of a card in the vault: each payment and each setup with it comes to an end, and
the books with it."""

import time
import urllib.parse

import pytest

from kit.answers import events_about
from kit.books import settled
from kit.browser import Browser, action_url
from kit.client import pay, sdk
from kit.server import wait_until
from kit.vault import damage
from kit.wallets import Wallets

LOOKS_INTO_PROCESS = True
CHALLENGED = "pm_card_threeDSecure2Required"
RETURN = "https://shop.example/done"


@pytest.fixture
def server(make_server):
    return make_server()


def damage_all(server):
    """Each card that the vault has."""
    server.stop()
    damage(server.root)
    server.start()


def ended(service, object_id):
    def at_rest():
        now = service.retrieve(object_id)
        return now if now.status not in ("processing", "pending") else None

    return wait_until(at_rest, 30, f"the end of {object_id}")


def saved_card(client, token="pm_card_visa"):
    return client.v1.payment_methods.create({"type": "card", "card": {"token": token}}).id


# ---- cards that cannot be read ---------------------------------------------------------------


def test_a_setup_with_a_damaged_card(server):
    client = sdk(server)
    method = saved_card(client)
    damage_all(server)
    client = sdk(server)
    setup = client.v1.setup_intents.create(
        {"payment_method": method, "confirm": True, "expand": ["latest_attempt"]})
    assert setup.status == setup.latest_attempt.status == "processing"
    now = ended(client.v1.setup_intents, setup.id)
    assert now.status == "requires_payment_method" and now.payment_method is None
    error = now.last_setup_error
    assert (error.type, error.code) == ("card_error", "processing_error")
    assert error.payment_method.id == method
    attempt = client.v1.setup_attempts.list({"setup_intent": setup.id}).data[0]
    assert attempt.status == "failed" and attempt.setup_error.code == "processing_error"
    assert events_about(client, setup.id) == ["setup_intent.setup_failed", "setup_intent.created"]
    # Another card is taken.
    done = client.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_mastercard"})
    assert done.status == "succeeded" and done.last_setup_error is None
    settled(server)


def test_the_tries_are_counted_through_restarts(server):
    client = sdk(server)
    method = saved_card(client)
    damage_all(server)
    setup = sdk(server).v1.setup_intents.create({"payment_method": method, "confirm": True})
    for _ in range(6):  # each process asks at its start, and does not live to ask four times
        assert setup.status in ("processing", "requires_payment_method")
        server.kill()
        server.start()
        time.sleep(0.3)
        setup = sdk(server).v1.setup_intents.retrieve(setup.id)
    assert setup.status == "requires_payment_method"


def authenticate(server, intent):
    """On the page of an intent or a setup, which is at another port since a restart."""
    url = urllib.parse.urlsplit(action_url(intent))
    Browser().press(f"{server.url}{url.path}", "complete")


def proven(server, **params):
    """A payment whose customer has proven themselves; its card was damaged before that."""
    intent = pay(sdk(server), token=CHALLENGED, return_url=RETURN, **params)
    damage_all(server)
    client = sdk(server)
    authenticate(server, intent)
    assert client.v1.payment_intents.retrieve(intent.id).status == "processing"
    return client, intent.id


def check_failed(client, intent_id):
    now = ended(client.v1.payment_intents, intent_id)
    assert now.status == "requires_payment_method" and now.payment_method is None
    assert (now.amount_received, now.amount_capturable) == (0, 0)
    error = now.last_payment_error
    assert (error.type, error.code, error.decline_code) == (
        "card_error", "processing_error", "processing_error")
    charge = client.v1.charges.retrieve(now.latest_charge)
    assert (charge.status, charge.paid, charge.captured) == ("failed", False, False)
    assert events_about(client, intent_id)[0] == "payment_intent.payment_failed"


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_a_proven_payment_with_a_damaged_card(server, capture):
    client, intent = proven(server, capture_method=capture)
    check_failed(client, intent)
    settled(server)
    assert client.v1.payment_intents.confirm(
        intent, {"payment_method": "pm_card_visa"}).status in ("succeeded", "requires_capture")


def test_a_proven_setup_with_a_damaged_card(server):
    client = sdk(server)
    setup = client.v1.setup_intents.create(
        {"payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True,
         "return_url": RETURN})
    damage_all(server)
    client = sdk(server)
    authenticate(server, setup)
    now = ended(client.v1.setup_intents, setup.id)
    assert (now.status, now.last_setup_error.code) == ("requires_payment_method", "processing_error")


def test_a_split_payment_lets_its_wallet_go(server):
    """The wallet's part is held while the card is asked for; nothing stays of it."""
    wallets = Wallets(server)
    purse = wallets.wallet(1000)
    client, intent = proven(server, split={"wallet": purse, "amount": 700})
    wallets = Wallets(server)
    assert wallets.balance(purse)["held"] == 700
    check_failed(client, intent)
    shown = wallets.balance(purse)
    assert (shown["posted"], shown["held"]) == (1000, 0)
    settled(server)
