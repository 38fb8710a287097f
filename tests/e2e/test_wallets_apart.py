"""Wallets in slots of their own (--wallet-placement=wallet): what they pay crosses shards, and is booked
on both or on neither. On the engine that the tests are given."""

import concurrent.futures
import re

import pytest
import stripe

from kit.books import merchant_of, metrics, reconciled
from kit.browser import Browser, action_url
from kit.client import pay, sdk
from kit.server import LONG, Server, run_tael, wait_until
from kit.shards import shard_of_owner
from kit.wallets import Wallets, check_statement, refused

SHARDS = 4
FUNDS = 10_000
FAST_BANK = ("--bank-settle=100ms",)


@pytest.fixture(scope="module", params=["2pc", "3pc"] if LONG else ["2pc"])
def apart(tmp_path_factory, request):
    made = Server(tmp_path_factory.mktemp("apart") / "cluster", "--wallet-placement=wallet",
                  f"--ledger-commit={request.param}", *FAST_BANK, cluster=True, shards=SHARDS).start()
    yield made
    balanced(made)
    made.close()


def balanced(server):
    """When nothing is left half done, documents and books tell the same, and what all shards have in the
    currency, also on its way, is zero."""
    wait_until(lambda: metrics(server)["tael_attempts_open"] == 0, 10, "the end of every attempt")
    reconciled(server)
    shown = look(server)
    assert shown.returncode == 0, shown.stderr
    assert "USD test: debits and credits are equal" in shown.stdout


def look(server):
    """All accounts in dollars, and what is on its way between them, at one moment."""
    return run_tael("ledger", "accounts", "--currency=usd", "--consistent", f"--url={server.url}",
                    f"--data={server.data}")


@pytest.fixture(scope="module")
def wallets(apart):
    return Wallets(apart)


@pytest.fixture(scope="module")
def client(apart):
    return sdk(apart, validate=False)


@pytest.fixture(scope="module")
def home(apart):
    """The shard of the merchant."""
    pay(sdk(apart, validate=False))
    return shard_of_owner(merchant_of(apart), SHARDS)


@pytest.fixture(scope="module")
def far(wallets, home):
    """Wallets with money, one on each shard but the merchant's."""
    found = {}
    while len(found) < SHARDS - 1:
        made = wallets.wallet()
        shard = shard_of_owner(made, SHARDS)
        if shard != home and shard not in found:
            wallets.fund(made, FUNDS)
            found[shard] = made
    return list(found.values())


def committed(server):
    return metrics(server)["tael_txn_committed_total"]


def available(client):
    return sum(part.amount for part in client.v1.balance.retrieve().available
               if part.currency == "usd")


def by_wallet(client, wallet, amount, **params):
    return client.v1.payment_intents.create({
        "amount": amount, "currency": "usd", "confirm": True,
        "payment_method_data": {"type": "wallet", "wallet": {"id": wallet}}, **params})


def arrives(look, amount):
    """What was decided is posted to whom it is for soon after the payer was told."""
    wait_until(lambda: look() == amount, 5, f"{amount}")


def test_payments_cross(apart, client, wallets, far):
    before, at_merchant = committed(apart), available(client)
    left = [wallets.available(wallet) for wallet in far]
    fees = 0
    for wallet in far:
        intent = by_wallet(client, wallet, 2500)
        assert intent.status == "succeeded"
        charge = client.v1.charges.retrieve(intent.latest_charge)
        fees += client.v1.balance_transactions.retrieve(charge.balance_transaction).fee
    assert fees > 0
    assert committed(apart) - before == len(far), "each of them is a transaction of two shards"
    assert [wallets.available(wallet) for wallet in far] == [one - 2500 for one in left]
    arrives(lambda: available(client), at_merchant + 2500 * len(far) - fees)
    for wallet in far:
        assert check_statement(wallets, wallet)[-1]["kind"] == "payment"
        its = run_tael("ledger", "transfers", "--account=wallet", "--currency=usd",
                       f"--merchant={wallet}", f"--url={apart.url}", f"--data={apart.data}")
        assert re.search(r"payment( \(posted\))? +wallet .* 25\.00", its.stdout), its


def test_a_payment_beside_the_merchant_is_as_any(apart, client, wallets, home):
    near = wallets.wallet()
    while shard_of_owner(near, SHARDS) != home:
        near = wallets.wallet()
    wallets.fund(near, FUNDS)
    before = committed(apart)
    assert by_wallet(client, near, 2500).status == "succeeded"
    assert committed(apart) == before
    assert wallets.available(near) == FUNDS - 2500


def test_too_much_is_declined_and_nothing_moves(client, wallets, far):
    left = wallets.available(far[0])
    with pytest.raises(stripe.CardError) as caught:
        by_wallet(client, far[0], left + 1)
    assert caught.value.error.decline_code == "insufficient_funds"
    assert wallets.available(far[0]) == left


def test_refunds_go_back(client, wallets, far):
    left = wallets.available(far[1])
    intent = by_wallet(client, far[1], 1000)
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 400})
    assert refund.status == "succeeded"
    arrives(lambda: wallets.available(far[1]), left - 600)
    arrives(lambda: check_statement(wallets, far[1])[-1]["kind"], "refund")


def test_transfers_between_wallets(apart, wallets, far):
    a, b = far[0], far[2]
    before = committed(apart)
    of_a, of_b = wallets.available(a), wallets.available(b)
    assert wallets.send(a, b, 300)["status"] == "succeeded"
    assert wallets.available(a) == of_a - 300
    arrives(lambda: wallets.available(b), of_b + 300)
    assert committed(apart) == before + 1
    assert refused(wallets.send, a, b, 10**6).code == "wallet_insufficient_funds"
    assert wallets.available(a) == of_a - 300
    assert [line["kind"] for line in check_statement(wallets, b)][-1] == "transfer"


def test_deposits_withdrawals_and_closing_stay_with_the_wallet(apart, wallets):
    before = committed(apart)
    wallet = wallets.wallet(5000)
    made = wallets.post(f"/v1/wallets/{wallet}/withdrawals", amount=5000, bank_account={
        "routing_number": "110000000", "account_number": "000123456789", "country": "US",
        "account_holder_name": "Ann"})
    wallets.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "paid")
    assert wallets.post(f"/v1/wallets/{wallet}/close")["status"] == "closed"
    assert committed(apart) == before


def hold(wallets, source, target, amount, **params):
    return wallets.post(f"/v1/wallets/{source}/holds", to=target, amount=amount, **params)


def test_a_hold_is_captured_in_part(apart, wallets, far):
    a, b = far[0], far[1]
    before = committed(apart)
    of_a, of_b = wallets.available(a), wallets.available(b)
    made = hold(wallets, a, b, 600)
    assert made["status"] == "active"
    assert wallets.available(a) == of_a - 600 and wallets.balance(a)["held"] == 600
    assert wallets.balance(b)["incoming"] == 0, "only the payer's shard knows of it"
    assert committed(apart) == before, "a hold is one shard's"
    assert refused(wallets.send, a, b, of_a - 599).code == "wallet_insufficient_funds"
    captured = wallets.post(f"/v1/wallet_holds/{made['id']}/capture", amount=250)
    assert (captured["status"], captured["amount_captured"]) == ("captured", 250)
    assert committed(apart) == before + 1
    assert wallets.available(a) == of_a - 250 and wallets.balance(a)["held"] == 0
    arrives(lambda: wallets.available(b), of_b + 250)
    for verb in ("capture", "release"):
        error = refused(wallets.post, f"/v1/wallet_holds/{made['id']}/{verb}")
        assert error.code == "wallet_hold_unexpected_state"
    check_statement(wallets, a)
    check_statement(wallets, b)


def test_a_hold_is_released_or_expires(apart, wallets, far):
    a, b = far[1], far[2]
    before = committed(apart)
    of_a, of_b = wallets.available(a), wallets.available(b)
    made = hold(wallets, a, b, of_a)
    assert wallets.available(a) == 0
    released = wallets.post(f"/v1/wallet_holds/{made['id']}/release")
    assert released["status"] == "released" and wallets.available(a) == of_a
    made = hold(wallets, a, b, 100, expires_in=1)
    arrives(lambda: wallets.available(a), of_a)
    wallets.wait_for(f"/v1/wallet_holds/{made['id']}", "expired")
    error = refused(wallets.post, f"/v1/wallet_holds/{made['id']}/capture")
    assert error.code == "wallet_hold_expired"
    assert wallets.available(b) == of_b and committed(apart) == before


def test_a_payment_is_held_and_captured(apart, client, wallets, far):
    left, at_merchant = wallets.available(far[0]), available(client)
    before = committed(apart)
    intent = by_wallet(client, far[0], 500, capture_method="manual")
    assert intent.status == "requires_capture"
    assert wallets.available(far[0]) == left - 500 and available(client) == at_merchant
    done = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 300})
    assert done.status == "succeeded" and committed(apart) == before + 1
    charge = client.v1.charges.retrieve(done.latest_charge)
    fee = client.v1.balance_transactions.retrieve(charge.balance_transaction).fee
    assert fee > 0 and wallets.available(far[0]) == left - 300
    arrives(lambda: available(client), at_merchant + 300 - fee)
    again = by_wallet(client, far[0], 400, capture_method="manual")
    assert client.v1.payment_intents.cancel(again.id).status == "canceled"
    assert wallets.available(far[0]) == left - 300
    check_statement(wallets, far[0])


def test_a_closed_wallet_is_not_paid_by_a_hold(wallets, far):
    target = wallets.wallet()
    while shard_of_owner(target, SHARDS) == shard_of_owner(far[0], SHARDS):
        target = wallets.wallet()
    left = wallets.available(far[0])
    made = hold(wallets, far[0], target, 100)
    wallets.post(f"/v1/wallets/{target}/close")
    error = refused(wallets.post, f"/v1/wallet_holds/{made['id']}/capture")
    assert error.code == "processing_error"
    assert wallets.get(f"/v1/wallet_holds/{made['id']}")["status"] == "active"
    wallets.post(f"/v1/wallet_holds/{made['id']}/release")
    assert wallets.available(far[0]) == left


def test_a_card_tops_a_wallet_up(apart, client, wallets, far):
    """Payment, fee and what goes on to the wallet are one chain, and one transaction of two shards."""
    left, before = wallets.available(far[0]), committed(apart)
    intent = pay(client, 500, transfer_data={"destination": far[0]})
    assert intent.status == "succeeded" and committed(apart) == before + 1
    arrives(lambda: wallets.available(far[0]), left + 500)
    held = pay(client, 600, transfer_data={"destination": far[0]}, capture_method="manual")
    assert held.status == "requires_capture" and wallets.available(far[0]) == left + 500
    done = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 450})
    assert done.status == "succeeded" and committed(apart) == before + 2
    arrives(lambda: wallets.available(far[0]), left + 950)
    check_statement(wallets, far[0])


def test_a_wallet_pays_into_a_wallet(apart, client, wallets, far):
    """A chain whose payers are in two slots."""
    of_a, of_b, before = wallets.available(far[1]), wallets.available(far[2]), committed(apart)
    intent = by_wallet(client, far[1], 300, transfer_data={"destination": far[2]})
    assert intent.status == "succeeded" and committed(apart) == before + 1
    assert wallets.available(far[1]) == of_a - 300
    arrives(lambda: wallets.available(far[2]), of_b + 300)
    with pytest.raises(stripe.CardError) as caught:
        by_wallet(client, far[1], of_a, transfer_data={"destination": far[2]})
    assert caught.value.error.decline_code == "insufficient_funds"
    assert wallets.available(far[1]) == of_a - 300
    assert wallets.available(far[2]) == of_b + 300


def split(client, wallet, amount, part, **params):
    return pay(client, amount, split={"wallet": wallet, "amount": part}, **params)


def parts(client, intent, member):
    charge = client.v1.charges.retrieve(client.v1.payment_intents.retrieve(intent.id).latest_charge)
    return charge["split"]["card"][member], charge["split"]["wallet"][member]


def test_a_split_is_paid_and_refunded(client, wallets, far):
    left = wallets.available(far[0])
    intent = split(client, far[0], 2000, 700)
    assert intent.status == "succeeded" and parts(client, intent, "amount_captured") == (1300, 700)
    assert wallets.available(far[0]) == left - 700 and wallets.balance(far[0])["held"] == 0
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 1000})
    assert parts(client, intent, "amount_refunded") == (300, 700)
    arrives(lambda: wallets.available(far[0]), left)
    client.v1.refunds.create({"payment_intent": intent.id})
    assert parts(client, intent, "amount_refunded") == (1300, 700)
    check_statement(wallets, far[0])


def test_a_split_is_declined_by_either(client, wallets, far):
    left = wallets.available(far[1])
    with pytest.raises(stripe.CardError) as caught:
        split(client, far[1], left + 2000, left + 1)
    assert caught.value.error.decline_code == "insufficient_funds"
    with pytest.raises(stripe.CardError) as caught:
        split(client, far[1], 2000, 700, payment_method="pm_card_chargeDeclined")
    assert caught.value.error.decline_code == "generic_decline"
    assert wallets.balance(far[1])["held"] == 0 and wallets.available(far[1]) == left


@pytest.mark.parametrize("captured, card, wallet", [(2000, 1300, 700), (1500, 1300, 200),
                                                    (900, 900, 0)])
def test_a_split_is_captured_later(client, wallets, far, captured, card, wallet):
    left = wallets.available(far[0])
    intent = split(client, far[0], 2000, 700, capture_method="manual")
    assert wallets.balance(far[0])["held"] == 700
    done = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": captured})
    assert done.status == "succeeded"
    assert parts(client, intent, "amount_captured") == (card, wallet)
    assert wallets.available(far[0]) == left - wallet and wallets.balance(far[0])["held"] == 0
    again = split(client, far[0], 2000, 700, capture_method="manual")
    assert client.v1.payment_intents.cancel(again.id).status == "canceled"
    assert wallets.available(far[0]) == left - wallet and wallets.balance(far[0])["held"] == 0
    check_statement(wallets, far[0])


def test_a_split_is_challenged(apart, client, wallets, far):
    left = wallets.available(far[1])
    intent = split(client, far[1], 2000, 700, payment_method="pm_card_threeDSecure2Required",
                   return_url="https://shop.example/done")
    assert intent.status == "requires_action" and wallets.balance(far[1])["held"] == 700
    Browser().press(action_url(intent), "complete")
    arrives(lambda: client.v1.payment_intents.retrieve(intent.id).status, "succeeded")
    assert wallets.available(far[1]) == left - 700 and wallets.balance(far[1])["held"] == 0
    assert parts(client, intent, "amount_captured") == (1300, 700)


def test_what_cannot_be_a_chain_is_refused(apart, client, wallets, far):
    before = committed(apart)
    left = [wallets.available(wallet) for wallet in far]
    with pytest.raises(stripe.CardError) as caught:
        by_wallet(client, far[0], 500, transfer_data={"destination": far[1]},
                  capture_method="manual")
    assert caught.value.error.decline_code == "wallet_apart"
    assert "wallet-placement" in caught.value.user_message
    assert [wallets.available(wallet) for wallet in far] == left
    assert committed(apart) == before


def test_many_at_once(apart, client, wallets, far):
    """To and fro and to the merchant: nothing is lost or made."""
    start = sum(wallets.available(wallet) for wallet in far)
    paid = 0

    def work(number):
        source, destination = far[number % 3], far[(number + 1) % 3]
        if number % 4 == 0:
            return by_wallet(client, source, 50).amount_received
        if number % 4 == 1:
            made = hold(wallets, source, destination, 20 + number)
            verb = "release" if number % 8 == 1 else "capture"
            wallets.post(f"/v1/wallet_holds/{made['id']}/{verb}")
            return 0
        wallets.send(source, destination, 7 + number)
        return 0

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        looks = pool.submit(lambda: [look(apart) for _ in range(6)])
        paid = sum(pool.map(work, range(48)))
    assert paid == 12 * 50
    assert look(apart).returncode == 0
    for shown in looks.result():
        if shown.returncode != 0:
            assert "503" in shown.stderr or "moving" in shown.stderr, shown.stderr
        else:
            assert "USD test: debits and credits are equal" in shown.stdout
            assert "in transit" in shown.stdout
    arrives(lambda: sum(wallets.available(wallet) for wallet in far), start - paid)
    for wallet in far:
        check_statement(wallets, wallet)


def test_it_survives_a_kill(apart, client, wallets, far):
    before = [wallets.available(wallet) for wallet in far]
    intent = by_wallet(client, far[0], 700)
    apart.kill()
    apart.start()
    assert sdk(apart, validate=False).v1.payment_intents.retrieve(intent.id).status == "succeeded"
    again = Wallets(apart)
    arrives(lambda: again.available(far[0]), before[0] - 700)
    balanced(apart)


def test_the_setting_is_for_shards(tmp_path):
    for flag, says in (("wallet", "ledger-shards"), ("there", "merchant or wallet")):
        result = run_tael("server", f"--data={tmp_path}/d", f"--wallet-placement={flag}")
        assert result.returncode != 0
        assert says in result.stderr


def test_documents_keep_the_setting_that_they_began_with(tmp_path):
    """Wallets of one are not found by the other, so a process with the other does not start."""
    server = Server(tmp_path / "cluster", *FAST_BANK, cluster=True, shards=2).start()
    wallets = Wallets(server)
    wallet = wallets.wallet(FUNDS)
    server.stop()
    with pytest.raises(AssertionError) as caught:
        server.start("--wallet-placement=wallet")
    assert "these documents began with 'merchant', not 'wallet'" in str(caught.value)
    server.process = None
    server.start()
    assert Wallets(server).available(wallet) == FUNDS
    server.close()
