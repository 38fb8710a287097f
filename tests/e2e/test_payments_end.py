"""Whatever becomes of a card in the vault, of a wallet, or of what the card network remembers: each
payment, setup and refund comes to an end, and the books with it."""

import shutil
import time
import urllib.parse

import pytest

from kit.answers import events_about, refused
from kit.books import settled
from kit.browser import Browser, action_url
from kit.client import pay, sdk
from kit.cluster import Cluster
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


def forget(server):
    """The card network loses its memory."""
    server.stop()
    shutil.rmtree(server.root / "issuer")
    server.start()
    return sdk(server)


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


def test_a_vault_that_is_away_is_waited_for(tmp_path):
    """For longer than four tries take: that nobody answers is no answer."""
    cluster = Cluster(tmp_path / "cluster").start()
    try:
        client = sdk(cluster)
        method = saved_card(client)
        vault = cluster.processes["vault"]
        vault.stop()
        setup = client.v1.setup_intents.create({"payment_method": method, "confirm": True})
        time.sleep(12)
        assert client.v1.setup_intents.retrieve(setup.id).status == "processing"
        vault.start()
        assert ended(client.v1.setup_intents, setup.id).status == "succeeded"
    finally:
        cluster.close()


# ---- a network that has forgotten ------------------------------------------------------------


def test_a_capture_that_the_network_knows_nothing_of(server):
    intent = pay(sdk(server), capture_method="manual")
    client = forget(server)
    refusal = refused(lambda: client.v1.payment_intents.capture(intent.id),
                      "charge_expired_for_capture", 402)
    assert refusal.error.payment_intent.status == "requires_capture"
    canceled = client.v1.payment_intents.cancel(intent.id)
    assert canceled.status == "canceled" and canceled.amount_capturable == 0
    settled(server)


def test_an_increment_that_the_network_knows_nothing_of(server):
    intent = pay(sdk(server), capture_method="manual", payment_method_options={
        "card": {"request_incremental_authorization": "if_available"}})
    client = forget(server)
    refused(lambda: client.v1.payment_intents.increment_authorization(intent.id, {"amount": 3000}),
            "card_declined", 402)
    now = client.v1.payment_intents.retrieve(intent.id)
    assert (now.status, now.amount, now.amount_capturable) == ("requires_capture", 2000, 2000)
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    settled(server)


def test_a_refund_that_the_network_knows_nothing_of(server):
    intent = pay(sdk(server))
    client = forget(server)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert (refund.status, refund.failure_reason) == ("failed", "declined")
    assert refund.balance_transaction is None
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 0
    assert "refund.failed" in events_about(client, refund.id)


def test_a_refund_that_the_network_has_lost(server):
    """It had been accepted, and booked; four reports later the books take it back."""
    client = sdk(server)
    intent = pay(client)
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    client = forget(server)

    def failed():
        now = client.v1.refunds.retrieve(refund.id)
        return now if now.status == "failed" else None

    now = wait_until(failed, 30, "the end of the refund")
    assert now.failure_reason == "unknown" and now.failure_balance_transaction is not None
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 0
    entries = client.v1.balance_transactions.list({"source": refund.id}).data
    assert sorted(entry.amount for entry in entries) == [-2000, 2000]


# ---- wallets that are closed -----------------------------------------------------------------


def test_a_capture_from_one_wallet_for_a_closed_one(server):
    """Others of closed wallets: test_wallet_payments. Where wallets are apart this one is not begun."""
    wallets, client = Wallets(server), sdk(server)
    payer, purse = wallets.wallet(1000), wallets.wallet()
    intent = client.v1.payment_intents.create({
        "amount": 1000, "currency": "usd", "confirm": True, "capture_method": "manual",
        "payment_method_data": {"type": "wallet", "wallet": {"id": payer}},
        "transfer_data": {"destination": purse}})
    wallets.post(f"/v1/wallets/{purse}/close")
    done = client.v1.payment_intents.capture(intent.id, {"expand": ["latest_charge"]})
    assert done.status == "succeeded" and done.transfer_data is None
    assert done.latest_charge.transfer_data is None
    assert wallets.balance(payer)["posted"] == 0
    assert client.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"
    assert wallets.balance(payer)["posted"] == 1000
