"""A document that cannot be read is told of, and stops nothing else: what others wait for goes on."""

import json

import pytest
import stripe

from kit.books import metrics
from kit.client import pay, sdk
from kit.payouts import available, bank_account, ended, fund, own_account, payout
from kit.server import Server, wait_until
from kit.wallets import Wallets
from test_reconciler import Stored, ruined

LOOKS_INTO_PROCESS = True
FLAGS = ("--settlement-delay=2s", "--payout-delay=2s", "--payout-watch=0s", "--bank-settle=100ms", "--attempt-lease=1s",
         "--issuer-dispute-delay=100ms", "--issuer-dispute-due=1h", "--issuer-refund-settle=3s",
         "--withdrawal-watch=0s")
SLOWEST = "000777777771"


class Shop:
    """A merchant of whom everything is under way at once."""

    def __init__(self, server):
        self.server = server
        self.connect()
        self.purse = self.wallets.wallet(5000)
        fund(self.client)
        self.slow, self.good = (bank_account(self.client, number).id for number in (SLOWEST, "000123456789"))

    def connect(self):
        self.client, self.wallets = sdk(self.server, validate=False), Wallets(self.server)

    def line(self):
        intent = pay(self.client, 2000)
        return self.client.v1.charges.retrieve(intent.latest_charge).balance_transaction

    def withdrawal(self, number):
        return self.wallets.post(f"/v1/wallets/{self.purse}/withdrawals", amount=100, bank_account={
            "account_number": number})["id"]

    def dispute(self):
        intent = pay(self.client, 2600, token="pm_card_createDispute")
        found = wait_until(lambda: [one for one in self.client.v1.disputes.list({"payment_intent": intent.id}).data
                                    if one.balance_transactions], 20, "a dispute")
        return found[0].id

    def refund(self):
        intent = pay(self.client, 2100, token="pm_card_pendingRefund")
        return self.client.v1.refunds.create({"payment_intent": intent.id, "amount": 100}).id

    def hold(self):
        return self.wallets.post(f"/v1/wallets/{self.purse}/holds", to=self.wallets.wallet(), amount=10,
                                 expires_in=3)["id"]

    def held_intent(self):
        return pay(self.client, 2200, capture_method="manual").id

    def session(self):
        return self.client.v1.checkout.sessions.create({
            "mode": "payment", "success_url": "https://shop.example/paid", "line_items": [{"quantity": 1, "price_data": {
                "currency": "usd", "unit_amount": 2000, "product_data": {"name": "T-shirt"}}}]}).id

    def works(self):
        """Each sweeper does what it is there for."""
        refund, line, hold = self.refund(), self.line(), self.hold()
        paid = payout(self.client, 300, destination=self.good)
        withdrawal = self.withdrawal("000123456789")
        self.dispute()
        ended(self.client, paid, "paid")
        self.wallets.wait_for(f"/v1/wallet_withdrawals/{withdrawal}", "paid")
        self.wallets.wait_for(f"/v1/wallet_holds/{hold}", "expired")
        wait_until(lambda: self.client.v1.refunds.retrieve(refund).status == "succeeded", 20, "the refund")
        wait_until(lambda: self.client.v1.balance_transactions.retrieve(line).status == "available", 20, "the settlement")
        wait_until(lambda: metrics(self.server)["tael_disputes_due_soon"] >= 1, 20, "the alarm")


KINDS = {
    "balance_transaction": Shop.line,
    "payout": lambda shop: payout(shop.client, 200, destination=shop.slow).id,
    "wallet_withdrawal": lambda shop: shop.withdrawal(SLOWEST),
    "dispute": Shop.dispute,
    "refund": Shop.refund,
    "wallet_hold": Shop.hold,
    "payment_intent": Shop.held_intent,
    "checkout_session": Shop.session,
}


@pytest.fixture(name="server")
def fixture_server(tmp_path):
    made = Server(tmp_path / "server", *FLAGS, cluster=False, on_postgres=False).start()
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_stops_nothing_else(server, kind):
    shop = Shop(server)
    document = KINDS[kind](shop)
    server.stop()
    with Stored(server) as stored:
        if kind in ("payment_intent", "checkout_session"):  # days ahead else
            stored.database.execute(f"UPDATE {kind} SET due = 1 WHERE id = ?", (document,))
        ruined(stored, kind, document)
    server.start()
    shop.connect()
    shop.works()


def test_a_bank_account_that_cannot_be_read_holds_up_no_other_currency(tmp_path):
    """It is asked for again and again, each time later, and its own money waits."""
    server = Server(tmp_path / "server", *FLAGS, "--payout-day=2s", cluster=False, on_postgres=False).start()
    try:
        client = sdk(server, validate=False)
        lost = bank_account(client, currency="eur").id
        bank_account(client)
        client.v1.accounts.update(own_account(client), {"settings": {"payouts": {"schedule": {"interval": "daily"}}}})
        server.stop()
        with Stored(server) as stored:
            body = stored.body("bank_account", lost)
            ruined(stored, "bank_account", lost)
        server.start()
        client = sdk(server, validate=False)
        euros = fund(client, 10000, "eur")
        dollars = fund(client)
        wait_until(lambda: [one.amount for one in client.v1.payouts.list().data] == [dollars], 20, "the dollars")
        again = wait_until(lambda: len(found := put_off(server)) >= 4 and found, 60, "four tries")
        assert all(later - earlier >= 2 ** at for at, (earlier, later) in enumerate(zip(again, again[1:])))
        wait_until(lambda: metrics(server)["tael_attempt_oldest_seconds"] >= 3, 10, "its age")
        assert metrics(server)["tael_attempts_open"] == 1
        assert available(client, "eur") == euros
        server.stop()
        with Stored(server) as stored:
            stored.database.execute("UPDATE bank_account SET body = ? WHERE id = ?",
                                    (json.dumps(body, separators=(",", ":")), lost))
        server.start()
        client = sdk(server, validate=False)
        wait_until(lambda: [one.amount for one in client.v1.payouts.list().data] == [euros, dollars], 60, "the euros")
        wait_until(lambda: metrics(server)["tael_attempts_open"] == 0, 10, "the end of it")
    finally:
        server.close()


def test_a_default_bank_account_that_cannot_be_read_is_named(tmp_path):
    """Payouts go on to another one, and lists of accounts show what there is."""
    server = Server(tmp_path / "server", *FLAGS, cluster=False, on_postgres=False).start()
    try:
        client = sdk(server, validate=False)
        lost, other = bank_account(client).id, bank_account(client, "000222222227").id
        fund(client)
        server.stop()
        with Stored(server) as stored:
            ruined(stored, "bank_account", lost)
        server.start()
        client = sdk(server, validate=False)
        own = own_account(client)
        with pytest.raises(stripe.InvalidRequestError) as refused:
            payout(client, 100)
        assert refused.value.param == "destination" and lost in str(refused.value)
        assert [one.id for one in client.v1.accounts.external_accounts.list(own).data] == [other]
        assert [one.id for one in client.v1.accounts.retrieve(own).external_accounts.data] == [other]
        assert payout(client, 100, destination=other).destination == other
        added = bank_account(client, "000333333335")
        assert not added.default_for_currency
        client.v1.accounts.external_accounts.update(own, other, {"default_for_currency": True})
        assert payout(client, 100).destination == other
        assert metrics(server)["tael_document_damaged_total"] > 0
    finally:
        server.close()


def put_off(server):
    """For when the tries of the run that is under way were put off, in their order."""
    lines = [json.loads(line) for line in server.log().splitlines() if "payouts of a schedule are put off" in line]
    first = max((at for at, line in enumerate(lines) if line["tries"] == 1), default=0)
    return [line["again"] for line in lines[first:]]
