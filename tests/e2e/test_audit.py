"""A merchant's day, at random: payments of every kind in several currencies, what comes after them,
wallets, and a server that is killed in between. Then the auditor comes (kit/audit.py). How long settlement,
the network and the bank take is the seed's: what meets at one seed comes far apart at another."""

import os
import random
import threading
import time
import uuid

import requests

from kit.audit import CURRENCIES, audited, returned_to_suspense
from kit.books import metrics, reconciled
from kit.client import sdk
from kit.payouts import bank_account
from kit.server import LONG
from kit.wallets import Wallets

SEED = int(os.environ.get("TEST_SEED", "1"))
CLIENTS = 6
STEPS = 250 if LONG else 60  # of each client
KILLS = 4 if LONG else 1
SPEEDS = random.Random(SEED)
FLAGS = (f"--settlement-delay={SPEEDS.choice([4, 2, 1, 0])}s", "--authorization-hold=6s", "--issuer-refund-settle=1s",
         f"--bank-settle={SPEEDS.choice([500, 50, 1500])}ms",
         "--bank-return=1s", "--withdrawal-watch=3s", "--attempt-lease=1s",
         f"--payout-delay={SPEEDS.choice([1, 0])}s", "--payout-watch=3s",
         f"--issuer-dispute-delay={SPEEDS.choice([300, 50, 1000, 2000])}ms", "--issuer-dispute-due=5s",
         "--wallet-limits=business.out=900000000/9000000000/9000000000 "
         "business.in=900000000/9000000000/9000000000")
CARDS = ["pm_card_visa"] * 6 + [
    "pm_card_refundFail", "pm_card_pendingRefund", "pm_card_bypassPending", "pm_card_voidDeclined",
    "pm_card_createDispute", "pm_card_createDispute", "pm_card_createDisputeInquiry",
    "pm_card_createMultipleDisputes", "pm_card_chargeDeclined", "pm_card_mastercard", "pm_card_incrementDeclined"]
BANKS = ["000123456789", "000111111116", "000222222227", "000333333335", "000666666660"]
SLOWEST = "000777777771"  # never says what becomes of it
LARGEST = 99_999_999
COARSE = {"isk": 100, "ugx": 100}  # the smallest coin in the API's amounts
AT_BANKS = {**COARSE, "huf": 100}
LEAST = {"huf": 17_500}
# Of cards that are typed in: paid, challenged, declined, disputed, taken at once.
NUMBERS = ["4242424242424242"] * 3 + ["4000000000000002", "4000000000000259", "4000000000000259",
                                      "4000000000000077"]


class Client(threading.Thread):
    """Does one thing after the other, each under a key until it has an answer."""

    def __init__(self, server, purses, accounts, seed):
        super().__init__()
        self.server, self.purses, self.accounts = server, purses, accounts
        self.random = random.Random(seed)
        self.wallets = Wallets(server)
        self.intents, self.holds = [], []
        self.failure = None

    def ask(self, path, **body):
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        while True:
            try:
                answer = self.wallets.http.post(path, body, headers={"Idempotency-Key": key})
            except requests.exceptions.RequestException:
                time.sleep(0.05)
                continue
            if answer.status_code in (409, 429) or answer.status_code >= 500:
                time.sleep(0.05)
                continue
            return answer.json() if answer.status_code == 200 else None

    def amount(self, currency, least=None):
        """Often one whose share is half a unit, or the smallest or the largest."""
        chance = self.random.random()
        if chance < 0.1:
            amount = LARGEST
        elif chance < 0.3:
            amount = self.random.choice([50, 500, 1050, 1150, 5000, 5500, 10050])
        else:
            amount = self.random.randrange(50, 100_000)
        amount = max(amount, least or 0)
        if currency in LEAST and least is not None:
            amount = max(amount, LEAST[currency])
        coin = COARSE.get(currency, 1)
        return amount - amount % coin or coin

    def part(self, whole, currency):
        amount = self.random.choice([whole, self.random.randrange(1, whole + 1)])
        coin = COARSE.get(currency, 1)
        return max(amount - amount % coin, coin)

    def pay(self):
        currency = self.random.choice(list(CURRENCIES))
        body = {"amount": self.amount(currency, 1000), "currency": currency, "confirm": "true"}
        if self.random.random() < 0.4:
            body["capture_method"] = "manual"
        purse = self.random.choice(self.purses[currency])
        kind = self.random.random()
        if kind < 0.2:
            body |= {"payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": purse}
        else:
            body["payment_method"] = self.random.choice(CARDS)
            if kind < 0.4:
                body |= {"split[wallet]": purse, "split[amount]": self.part(
                    max(body["amount"] // 2, 1), currency)}
            elif kind < 0.6:
                body["transfer_data[destination]"] = purse
            else:
                body["payment_method_options[card][request_incremental_authorization]"] = (
                    "if_available")
        made = self.ask("/v1/payment_intents", **body)
        if made:
            self.intents.append(made)

    def go_on(self):
        if not self.intents:
            return
        intent = self.random.choice(self.intents)
        path, currency = f"/v1/payment_intents/{intent['id']}", intent["currency"]
        kind = self.random.random()
        if kind < 0.3:
            self.ask(f"{path}/capture", amount_to_capture=self.part(intent["amount"], currency))
        elif kind < 0.45:
            self.ask(f"{path}/cancel")
        elif kind < 0.6:
            self.ask(f"{path}/increment_authorization", amount=self.amount(currency, 1000))
        else:
            self.ask("/v1/refunds", payment_intent=intent["id"],
                     amount=self.part(intent["amount"], currency))

    def move(self):
        currency = self.random.choice(list(CURRENCIES))
        source, target = self.random.sample(self.purses[currency], 2)
        amount, kind = self.amount(currency), self.random.random()
        if kind < 0.15:
            self.ask(f"/v1/test_helpers/wallets/{source}/fund_balance", amount=amount,
                     currency=currency)
        elif kind < 0.5:
            self.ask("/v1/wallet_transfers", **{"from": source}, to=target, amount=amount,
                     currency=currency)
        elif kind < 0.65:
            made = self.ask(f"/v1/wallets/{source}/holds", to=target, amount=amount,
                            expires_in=self.random.choice([2, 5]))
            if made:
                self.holds.append(made)
        elif kind < 0.8 and self.holds:
            hold = self.holds.pop(self.random.randrange(len(self.holds)))
            if self.random.random() < 0.3:
                self.ask(f"/v1/wallet_holds/{hold['id']}/release")
            else:
                self.ask(f"/v1/wallet_holds/{hold['id']}/capture",
                         amount=self.part(hold["amount"], currency))
        else:
            self.ask(f"/v1/wallets/{source}/withdrawals", amount=amount,
                     **{"bank_account[account_number]": self.random.choice(BANKS)})

    def check_out(self):
        """At a page, by a payer who sends the form until it is answered, with another card if they have to."""
        currency = self.random.choice(list(CURRENCIES))
        price = "line_items[0][price_data]"
        session = self.ask("/v1/checkout/sessions", mode="payment", success_url="https://shop.example/paid", **{
            "line_items[0][quantity]": 1, f"{price}[currency]": currency,
            f"{price}[unit_amount]": self.amount(currency, 1000), f"{price}[product_data][name]": "T-shirt"})
        if not session:
            return
        page = session["url"].split("/", 3)[3]
        for number in self.random.sample(NUMBERS, len(NUMBERS)):
            form = {"card[number]": number, "card[expiry]": "12/34", "card[cvc]": "123",
                    "name": "Jenny Rosen", "email": "jenny@example.com"}
            try:
                answer = requests.post(f"{self.server.url}/{page}", form, allow_redirects=False, timeout=60)
            except requests.exceptions.RequestException:
                time.sleep(0.05)
                continue
            if answer.headers.get("Location") == "https://shop.example/paid":
                break
        shown = self.look(f"/v1/checkout/sessions/{session['id']}?expand[]=payment_intent")
        if shown["payment_intent"]:
            self.intents.append(shown["payment_intent"])

    def scan(self):
        """A code at the till, and a wallet that scans it."""
        currency = self.random.choice(list(CURRENCIES))
        made = self.ask("/v1/payment_intents", amount=self.amount(currency, 1000), currency=currency, confirm="true",
                        **{"payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"})
        if not made:
            return
        self.ask("/v1/qr_payments", wallet=self.random.choice(self.purses[currency]),
                 data=made["next_action"]["mobile_qr_display_qr_code"]["data"])
        self.intents.append(made)

    def look(self, path):
        while True:
            try:
                answer = self.wallets.http.get(path)
            except requests.exceptions.RequestException:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code == 429 or answer.status_code >= 500, answer.text
            time.sleep(0.05)

    def pay_out(self):
        """All there is, or often more: the merchant's debts, and other clients' payouts, are in the way."""
        currency = self.random.choice(list(CURRENCIES))
        amount, coin = self.amount(currency), AT_BANKS.get(currency, 1)
        if self.random.random() < 0.5:
            available = self.look("/v1/balance")["available"]
            amount = max([one["amount"] for one in available if one["currency"] == currency], default=0)
        made = self.ask("/v1/payouts", amount=max(amount - amount % coin, coin), currency=currency,
                        destination=self.random.choice(self.accounts[currency]))
        if made and self.random.random() < 0.3:
            self.ask(f"/v1/payouts/{made['id']}/cancel")

    def dispute(self):
        """What waits for an answer gets one, or none."""
        found = self.look("/v1/disputes?limit=20")["data"]
        waiting = [one for one in found if one["status"].endswith("needs_response")]
        if not waiting:
            return
        path = f"/v1/disputes/{self.random.choice(waiting)['id']}"
        text = self.random.choice(["winning_evidence", "losing_evidence", "escalate_inquiry_evidence"])
        if self.random.random() < 0.2:
            self.ask(f"{path}/close")
        else:
            self.ask(path, **{"evidence[uncategorized_text]": text})

    def short_life(self):
        """A wallet that is closed while refunds, a top-up and a withdrawal are still to come to it."""
        currency = self.random.choice(["usd", "jpy", "bhd"])
        customer = self.ask("/v1/customers", name="Ann")
        made = customer and self.ask("/v1/wallets", customer=customer["id"], currency=currency,
                                     tier="business")
        if not made:
            return
        purse = made["id"]
        self.ask(f"/v1/test_helpers/wallets/{purse}/fund_balance", amount=9000, currency=currency)
        usual = {"currency": currency, "confirm": "true"}
        split = self.ask("/v1/payment_intents", amount=5000, payment_method="pm_card_visa",
                         **{"split[wallet]": purse, "split[amount]": 3000}, **usual)
        alone = self.ask("/v1/payment_intents", amount=2000, **usual, **{
            "payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": purse})
        top_up = self.ask("/v1/payment_intents", amount=1500, payment_method="pm_card_visa",
                          capture_method="manual", **{"transfer_data[destination]": purse}, **usual)
        self.ask(f"/v1/wallets/{purse}/withdrawals", amount=4000,
                 **{"bank_account[account_number]": "000333333335"})
        for _ in range(100):  # until the bank has paid, unless the money is back before that
            closed = self.ask(f"/v1/wallets/{purse}/close")
            if closed:
                break
            time.sleep(0.05)
        if top_up:
            self.ask(f"/v1/payment_intents/{top_up['id']}/capture")
        for paid in filter(None, (split, alone)):
            self.ask("/v1/refunds", payment_intent=paid["id"],
                     amount=self.part(paid["amount"], currency))

    def refund_to_nobody(self):
        """A split payment whose wallet is gone when its part comes back."""
        customer = self.ask("/v1/customers", name="Ann")
        purse = self.ask("/v1/wallets", customer=customer["id"], currency="usd", tier="business")["id"]
        self.ask(f"/v1/test_helpers/wallets/{purse}/fund_balance", amount=3000, currency="usd")
        paid = self.ask("/v1/payment_intents", amount=5000, currency="usd", confirm="true",
                        payment_method="pm_card_visa", **{"split[wallet]": purse, "split[amount]": 3000})
        assert self.ask(f"/v1/wallets/{purse}/close")
        assert self.ask("/v1/refunds", payment_intent=paid["id"])

    def run(self):
        try:
            for step in range(STEPS):
                if step % 20 == 10:
                    self.short_life()
                if step % 6 == 5:
                    self.pay_out()
                self.random.choice([self.pay, self.pay, self.go_on, self.go_on, self.move, self.dispute,
                                    self.check_out, self.scan])()
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure


def test_a_merchants_day_adds_up(make_server):
    server = make_server(*FLAGS)
    wallets = Wallets(server)
    purses = {currency: [wallets.wallet(funds=500_000_000, currency=currency) for _ in range(3)]
              for currency in CURRENCIES}
    merchant = sdk(server)
    accounts = {currency: [bank_account(merchant, number, currency).id for number in BANKS]
                for currency in CURRENCIES}
    never = {currency: bank_account(merchant, SLOWEST, currency).id for currency in CURRENCIES}
    for currency, account in never.items():
        accounts[currency].append(account)
    clients = [Client(server, purses, accounts, SEED * 1000 + number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(KILLS):
        time.sleep(STEPS / 40)
        server.kill()
        server.start()
    for client in clients:
        client.join()
    for client in clients:
        if client.failure is not None:
            raise client.failure
    kept = clients[0].ask("/v1/payment_intents", amount=1000, currency="usd", confirm="true", capture_method="manual",
                          payment_method="pm_card_voidDeclined")
    clients[0].ask(f"/v1/payment_intents/{kept['id']}/cancel")
    clients[0].refund_to_nobody()
    audit = audited(server, never.values())
    assert len(audit.charges) > STEPS
    assert {"won", "lost"} <= {dispute["status"] for dispute in audit.disputes}
    assert {item["reason"] for item in audit.items} == {"void_refused", "refund_refused"}
    assert {payout["status"] for payout in audit.payouts} >= {"paid", "failed", "canceled"}
    assert any(withdrawal["status"] == "returned" and returned_to_suspense(withdrawal)
               for withdrawal in audit.withdrawals)
    for number, item in enumerate(audit.items):
        if number % 3:
            wallets.post(f"/v1/tael/suspense_items/{item['id']}/resolve", resolution=(
                "released" if item["reason"] == "void_refused" else "merchant"))
    for withdrawal in filter(returned_to_suspense, audit.withdrawals):
        wallets.post(f"/v1/wallet_withdrawals/{withdrawal['id']}/give",
                     wallet=purses[withdrawal["currency"]][0])
    audited(server, never.values())
    reconciled(server)
    assert metrics(server)["tael_wallet_differences"] == 0
