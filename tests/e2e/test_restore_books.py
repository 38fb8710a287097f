"""What `tael restore` compares: whatever moved, a backup whose documents and books are of two
moments is told, and one of a single moment is restored."""

import re
import shutil

import pytest
import requests

from kit.backups import backup, points, restore, with_ledger_of
from kit.client import pay, sdk
from kit.payouts import bank_account, ended, fund, payout
from kit.server import Server, wait_until
from kit.wallets import Wallets


class Acts:
    """Each moves money once, and is done when it returns."""

    def __init__(self, server):
        self.client = sdk(server, validate=False)
        self.wallets = Wallets(server)
        self.purse = self.wallets.wallet(9000)
        self.other = self.wallets.wallet()
        self.paid = pay(self.client, 2000)
        self.refundable = pay(self.client, 3000)
        self.hold = self._hold()
        fund(self.client, 1000)
        bank_account(self.client)
        self.disputed = self._dispute("pm_card_createDispute")
        self.asked = self._dispute("pm_card_createDisputeInquiry")

    def _hold(self):
        return self.wallets.post(
            f"/v1/wallets/{self.purse}/holds", to=self.other, amount=300)["id"]

    def _dispute(self, token):
        intent = pay(self.client, 1000, token=token)

        def there():
            found = self.client.v1.disputes.list({"payment_intent": intent.id}).data
            return found and (found[0].status.startswith("warning_") or found[0].balance_transactions) and found[0].id

        return wait_until(there, 30, "the dispute")

    def _answer(self, dispute, text, status, lines):
        self.client.v1.disputes.update(dispute, {"evidence": {"uncategorized_text": text}})

        def decided():
            found = self.client.v1.disputes.retrieve(dispute)
            return (found.status, len(found.balance_transactions)) == (status, lines)

        wait_until(decided, 30, status)

    def win(self):
        self._answer(self.disputed, "winning_evidence", "won", 2)

    def grow(self):
        self._answer(self.asked, "escalate_inquiry_evidence", "needs_response", 1)

    def lose(self):
        """What a network takes back, of a payment that was there before."""
        self._dispute("pm_card_createDispute")

    def card(self):
        pay(self.client, 2100)

    def split(self):
        self.client.v1.payment_intents.create(
            {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
             "split": {"wallet": self.purse, "amount": 700}})

    def refund(self):
        self.client.v1.refunds.create({"payment_intent": self.refundable.id, "amount": 1000})

    def send(self):
        self.wallets.send(self.purse, self.other, 250)

    def hold_money(self):
        self._hold()

    def capture(self):
        self.wallets.post(f"/v1/wallet_holds/{self.hold}/capture", amount=200)

    def fund(self):
        self.wallets.fund(self.other, 125)

    def withdraw(self):
        account = {"account_number": "000123456789", "routing_number": "110000000", "country": "US",
                   "account_holder_name": "Jenny Rosen"}
        made = self.wallets.post(f"/v1/wallets/{self.purse}/withdrawals", amount=400,
                                 bank_account=account)
        self.wallets.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "paid")


    def pay_out(self):
        ended(self.client, payout(self.client, 500), "paid")

    def check_out(self):
        """At a page: its charge is as any other."""
        session = self.client.v1.checkout.sessions.create({
            "mode": "payment", "success_url": "https://shop.example/paid", "line_items": [{"quantity": 1, "price_data": {
                "currency": "usd", "unit_amount": 1500, "product_data": {"name": "T-shirt"}}}]})
        paid = requests.post(session.url, {
            "card[number]": "4242424242424242", "card[expiry]": "12/34", "card[cvc]": "123", "name": "Jenny Rosen",
            "email": "jenny@example.com"}, allow_redirects=False, timeout=60)
        assert paid.headers["Location"] == "https://shop.example/paid"


ACTS = ["card", "split", "refund", "win", "grow", "send", "hold_money", "capture", "fund", "withdraw", "pay_out",
        "lose", "check_out"]
# What is only in the books belongs to no document that could say so: movements of wallets, payouts and disputes
# are found from the books too, payments only from their documents.
FROM_BOOKS = ["send", "capture", "fund", "withdraw", "pay_out", "win", "grow", "lose"]


@pytest.fixture(scope="module")
def moments(tmp_path_factory):
    """A backup before each act, and one behind the last."""
    folder = tmp_path_factory.mktemp("moments") / "backups"
    server = Server(folder.parent / "server", "--bank-settle=300ms", "--payout-delay=0s",
                    "--issuer-dispute-delay=100ms", cluster=False,
                    on_postgres=False).start()
    try:
        acts = Acts(server)
        backup(server, folder)
        for name in ACTS:
            getattr(acts, name)()
            backup(server, folder)
        yield points(folder)
    finally:
        server.close()


def alone(point, folder):
    """One backup in a folder of its own."""
    shutil.copytree(point, folder / "points" / point.name)
    return folder / "points" / point.name


def test_of_one_moment(moments, tmp_path):
    alone(moments[-1], tmp_path / "backups")
    result = restore(tmp_path / "backups", tmp_path / "made")
    assert result.returncode == 0, result.stderr
    found = re.search(r"(\d+) charges, (\d+) refunds, (\d+) payouts, (\d+) disputes and (\d+) movements of wallets",
                      result.stdout)
    assert tuple(map(int, found.groups())) == (9, 1, 1, 3, 6), result.stdout


@pytest.mark.parametrize("act", ACTS)
def test_documents_that_know_more_than_the_books(moments, tmp_path, act):
    number = ACTS.index(act)
    newer = alone(moments[number + 1], tmp_path / "backups")
    with_ledger_of(newer, moments[number])
    result = restore(tmp_path / "backups", tmp_path / "made")
    places = {"split": 2, "grow": 2, "pay_out": 2, "lose": 3}.get(act, 1)  # a dispute has a fee
    assert result.returncode == 1 and not list(tmp_path.glob("made*"))
    assert f"differ in {places} places" in result.stderr, result.stderr
    assert "not in the books" in result.stderr, result.stderr


@pytest.mark.parametrize("act", FROM_BOOKS)
def test_books_that_know_more_than_the_documents(moments, tmp_path, act):
    number = ACTS.index(act)
    older = alone(moments[number], tmp_path / "backups")
    with_ledger_of(older, moments[number + 1])
    result = restore(tmp_path / "backups", tmp_path / "made")
    said = "in the books all the same" if act in ("capture", "win", "grow") else "has no document"
    assert result.returncode == 1 and said in result.stderr, result.stderr
    assert not list(tmp_path.glob("made*"))
