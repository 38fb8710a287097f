"""Whatever becomes of a card in the vault, of a wallet, or of what the card network remembers: each
payment, setup and refund comes to an end, and the books with it (PAYMENTS-14)."""

import shutil
import time
import urllib.parse

import pytest

from kit.answers import events_about, refused
from kit.books import CLEARING, MERCHANT_PENDING, Books, metrics, settled
from kit.browser import Browser, action_url
from kit.client import pay, sdk
from kit.cluster import Cluster
from kit.server import wait_until
from kit.vault import damage
from kit.wallets import Wallets
from kit.wallets import refused as wallets_refused

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


def test_money_that_comes_back_while_the_ledger_is_away(tmp_path):
    """For longer than it is watched: it is in the wallet all the same, when the ledger is back."""
    cluster = Cluster(tmp_path / "cluster")
    watch = 6  # seconds, from when it is paid
    cluster.start("--bank-settle=100ms", "--bank-return=4s", f"--withdrawal-watch={watch}s")
    try:
        wallets = Wallets(cluster)
        purse = wallets.wallet(1000)
        made = wallets.post(f"/v1/wallets/{purse}/withdrawals", amount=400, bank_account={
            "account_number": "000333333335"})
        path = f"/v1/wallet_withdrawals/{made['id']}"
        paid = wallets.wait_for(path, "paid")
        ledger = cluster.processes["ledger"]
        ledger.stop()
        time.sleep(max(0, paid["paid_at"] + watch + 1 - time.time()))
        ledger.start()
        wallets.wait_for(path, "returned")
        assert wallets.balance(purse)["posted"] == 1000
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


# ---- voids that the network declines ---------------------------------------------------------

KEEPS = "pm_card_voidDeclined"


def only_item(wallets, **members):
    (item,) = wallets.get("/v1/tael/suspense_items", status="open")["data"]
    assert {name: item[name] for name in members} == members
    return item


def release(wallets, item):
    done = wallets.post(f"/v1/tael/suspense_items/{item['id']}/resolve", resolution="released",
                        note="The network's letter of today.")
    assert (done["status"], done["resolution"]) == ("resolved", "released")


def pending_in_books(server):
    """What is held: of card clearing, and of the merchant's pending balance."""
    accounts = Books(server).accounts
    return accounts[CLEARING]["debits_pending"], accounts[MERCHANT_PENDING]["credits_pending"]


def test_a_cancellation_that_the_network_declines(server):
    """The payment is over; what the network holds is for a person, and the books show it until then."""
    client, wallets = sdk(server), Wallets(server)
    intent = pay(client, token=KEEPS, capture_method="manual")
    canceled = client.v1.payment_intents.cancel(intent.id)
    assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
    assert events_about(client, intent.id)[0] == "payment_intent.canceled"
    item = only_item(wallets, reason="void_refused", amount=2000, currency="usd", wallet=None,
                     refund=None, payment_intent=intent.id, charge=intent.latest_charge)
    assert metrics(server)["tael_attempts_open"] == 0
    wait_until(lambda: metrics(server)["tael_suspense_open"] == 1, 5, "the operators' alarm")
    assert pending_in_books(server) == (2000, 2000)
    refusal = wallets_refused(wallets.post, f"/v1/tael/suspense_items/{item['id']}/resolve",
                              resolution="merchant")
    assert (refusal.status, refusal.param) == (400, "resolution")
    release(wallets, item)
    assert pending_in_books(server) == (0, 0)
    wait_until(lambda: metrics(server)["tael_suspense_open"] == 0, 5, "the end of the alarm")
    refusal = wallets_refused(wallets.post, f"/v1/tael/suspense_items/{item['id']}/resolve",
                              resolution="released")
    assert refusal.code == "suspense_item_resolved"


def test_an_expiry_that_the_network_declines(make_server):
    server = make_server("--authorization-hold=1s", "--sweep-interval=100ms")
    client, wallets = sdk(server), Wallets(server)
    intent = pay(client, token=KEEPS, capture_method="manual")
    assert ended(client.v1.payment_intents, intent.id).status == "requires_capture"
    wait_until(lambda: client.v1.payment_intents.retrieve(intent.id).status == "canceled", 30,
               "the expiry")
    release(wallets, only_item(wallets, reason="void_refused", amount=2000))
    assert pending_in_books(server) == (0, 0)


def test_a_split_whose_void_the_network_declines(server):
    """The wallet's part is in our own books, and is let go at once."""
    client, wallets = sdk(server), Wallets(server)
    purse = wallets.wallet(1000)
    intent = pay(client, token=KEEPS, capture_method="manual",
                 split={"wallet": purse, "amount": 700})
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    shown = wallets.balance(purse)
    assert (shown["posted"], shown["held"]) == (1000, 0)
    assert pending_in_books(server) == (1300, 1300)
    release(wallets, only_item(wallets, reason="void_refused", amount=1300))
    assert pending_in_books(server) == (0, 0)


def test_an_item_of_an_earlier_charge(server):
    """What is released is its own hold, and not that of the intent's next payment."""
    client, wallets = sdk(server), Wallets(server)
    first = pay(client, token=KEEPS, capture_method="manual")
    second = pay(client, capture_method="manual", amount=500)
    client.v1.payment_intents.cancel(first.id)
    assert pending_in_books(server) == (2500, 2500)
    release(wallets, only_item(wallets, amount=2000))
    assert pending_in_books(server) == (500, 500)
    assert client.v1.payment_intents.capture(second.id).status == "succeeded"


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
