"""The books once more, by hand: what docs/accounting.md says that each account must have, computed from
the documents that the API shows, in every currency; and nothing of how the program computes it."""

import collections
import csv
import decimal
import io

from kit.books import metrics
from kit.client import Http
from kit.server import HANG_SECONDS, wait_until
from kit.wallets import Wallets

# Number in ISO 4217, its decimals, those of the API's amounts.
CURRENCIES = {"usd": (840, 2, 2), "eur": (978, 2, 2), "jpy": (392, 0, 0), "bhd": (48, 3, 3),
              "isk": (352, 0, 2), "mga": (969, 2, 0), "huf": (348, 2, 2), "ugx": (800, 0, 2)}
# The smallest payment, in the API's amounts.
SMALLEST = {"usd": 50, "eur": 50, "jpy": 50, "bhd": 100, "isk": 100, "mga": 1, "huf": 17500, "ugx": 100}
UNDER_WAY = ("processing", "pending", "in_transit", "requires_capture", "active", "needs_response", "under_review",
             "warning_needs_response", "warning_under_review")
INQUIRY = "warning_"  # what the status of a dispute that moved no money begins with
CARDS, FEES, SUSPENSE, BANK, PENDING, AVAILABLE, WALLET = 101, 102, 103, 104, 201, 202, 301


def ledger_units(amount, currency):
    _, decimals, shown = CURRENCIES[currency]
    scaled = amount * 10 ** decimals
    assert scaled % 10 ** shown == 0, (amount, currency)
    return scaled // 10 ** shown


def fee_on(amount, currency, basis_points=290, fixed=30):
    """2.9 %, half a unit up, and 0.30; in coins that there are, and never more than the payment."""
    fee = (amount * basis_points + 5000) // 10000 + fixed
    _, decimals, shown = CURRENCIES[currency]
    if shown > decimals:
        fee -= fee % 10 ** (shown - decimals)
    return min(fee, amount)


def dispute_fee(currency, cents=1500):
    """15.00 US dollars, or as many smallest payments of another currency; in coins that there are."""
    fee = cents * SMALLEST[currency] // SMALLEST["usd"]
    _, decimals, shown = CURRENCIES[currency]
    return fee - fee % 10 ** (shown - decimals) if shown > decimals else fee


def parts(one, member):
    """The card's and the wallet's, of a charge or a refund."""
    if "split" in one:
        return one["split"]["card"][member], one["split"]["wallet"][member]
    by_wallet = one.get("payment_method_details", {}).get("type") == "wallet"
    return (0, one[member]) if by_wallet else (one[member], 0)


def returned_to_suspense(withdrawal):
    """It came back, and its wallet was closed."""
    return withdrawal["status"] == "returned" and withdrawal["returned_to"] != withdrawal["wallet"]


class Audit:
    """All documents and accounts of a server at rest."""

    def __init__(self, server):
        self.wallets = Wallets(server)
        self.http = Http(server, validate=False)
        everything = self.wallets.everything
        self.charges = {one["id"]: one for one in everything("/v1/charges")}
        self.intents = everything("/v1/payment_intents")
        self.refunds = everything("/v1/refunds")
        self.disputes = everything("/v1/disputes")
        self.transactions = everything("/v1/balance_transactions")
        self.purses = everything("/v1/wallets")
        self.transfers = everything("/v1/wallet_transfers")
        self.holds = everything("/v1/wallet_holds")
        self.withdrawals = everything("/v1/wallet_withdrawals")
        self.items = everything("/v1/tael/suspense_items")
        self.payouts = everything("/v1/payouts")
        self.books = self.read_books()
        self.found = {**vars(self), "books": dict(self.books), "wallets": None, "http": None}

    def read_books(self):
        """By currency and code: posted credits less debits, pending debits, pending credits."""
        numbers = {1000 + number: name for name, (number, _, _) in CURRENCIES.items()}
        found = collections.defaultdict(lambda: [0, 0, 0])
        for ledger, currency in numbers.items():
            accounts = self.http.post("/v1/ledger/query", json={
                "op": "query_accounts", "filter": {"ledger": ledger, "limit": 8000}}).json()
            for account in accounts["accounts"]:
                sums = found[currency, int(account["code"])]
                sums[0] += int(account["credits_posted"]) - int(account["debits_posted"])
                sums[1] += int(account["debits_pending"])
                sums[2] += int(account["credits_pending"])
        return found

    # ---- what must be there ------------------------------------------------------------------

    def expected(self):
        """By currency and code as `books`, and by wallet."""
        self.accounts = collections.Counter()
        self.purse = collections.Counter()
        self.held = collections.Counter()
        for charge in self.charges.values():
            self.add_charge(charge)
        for refund in self.refunds:
            self.add_refund(refund)
        for dispute in self.disputes:
            self.add_dispute(dispute)
        for transfer in self.transfers:
            self.add_transfer(transfer)
        for hold in self.holds:
            if hold["status"] == "captured":
                self.move(hold["currency"], hold["from"], hold["to"], hold["amount_captured"])
            elif hold["status"] == "active":
                self.held[hold["currency"], WALLET] += hold["amount"]
        for withdrawal in self.withdrawals:
            self.add_withdrawal(withdrawal)
        for payout in self.payouts:
            self.add_payout(payout)
        for item in self.items:
            self.add_item(item)

    def enter(self, currency, code, amount, wallet=None):
        self.accounts[currency, code] += ledger_units(amount, currency)
        if wallet is not None:
            self.purse[wallet] += amount

    def move(self, currency, source, target, amount):
        self.enter(currency, WALLET, -amount, source)
        self.enter(currency, WALLET, amount, target)

    def add_charge(self, charge):
        currency, amount = charge["currency"], charge["amount_captured"]
        if not charge["captured"]:
            return
        card, wallet = parts(charge, "amount_captured")
        fee = fee_on(amount, currency)
        self.enter(currency, CARDS, -card)
        self.enter(currency, FEES, fee)
        self.enter(currency, "merchant", amount - fee)
        payer = self.payer(charge)
        if wallet:
            self.enter(currency, WALLET, -wallet, payer)
        if charge.get("transfer_data"):
            self.enter(currency, "merchant", -amount)
            self.enter(currency, WALLET, amount, charge["transfer_data"]["destination"])

    @staticmethod
    def payer(charge):
        if "split" in charge:
            return charge["split"]["wallet"]["id"]
        details = charge["payment_method_details"]
        return details["wallet"]["id"] if details["type"] == "wallet" else None

    def add_refund(self, refund):
        if refund["balance_transaction"] is None:
            assert refund["status"] == "failed"
            return
        charge, currency = self.charges[refund["charge"]], refund["currency"]
        if "split" in refund:
            card, wallet = parts(refund, "amount")
        else:
            by_wallet = charge["payment_method_details"]["type"] == "wallet"
            card, wallet = (0, refund["amount"]) if by_wallet else (refund["amount"], 0)
        self.enter(currency, "merchant", -wallet)
        if wallet:
            self.enter(currency, WALLET, wallet, self.payer(charge))
        if refund["status"] != "failed":
            self.enter(currency, "merchant", -card)
            self.enter(currency, CARDS, card)

    def add_dispute(self, dispute):
        """The network has it, unless it is won; the fee stays either way."""
        currency, amount = dispute["currency"], dispute["amount"]
        if dispute["status"].startswith(INQUIRY):
            return
        fee = dispute_fee(currency)
        self.enter(currency, "merchant", -fee)
        self.enter(currency, FEES, fee)
        if dispute["status"] != "won":
            self.enter(currency, "merchant", -amount)
            self.enter(currency, CARDS, amount)

    def add_transfer(self, transfer):
        if transfer["status"] != "succeeded":
            return
        currency, amount = transfer["currency"], transfer["amount"]
        if transfer["from"] is None:
            self.enter(currency, BANK, -amount)
        else:
            self.enter(currency, WALLET, -amount, transfer["from"])
        self.enter(currency, WALLET, amount, transfer["to"])

    def add_withdrawal(self, withdrawal):
        currency, amount = withdrawal["currency"], withdrawal["amount"]
        if withdrawal["status"] == "pending":
            self.held[currency, WALLET] += amount
        elif withdrawal["status"] == "paid":
            self.enter(currency, BANK, amount)
            self.enter(currency, WALLET, -amount, withdrawal["wallet"])
        elif returned_to_suspense(withdrawal):
            self.enter(currency, WALLET, -amount, withdrawal["wallet"])
            if withdrawal["returned_to"] is None:
                self.enter(currency, SUSPENSE, amount)
            else:
                self.enter(currency, WALLET, amount, withdrawal["returned_to"])

    def add_payout(self, payout):
        """Of one that is on its way the money is held, and still the merchant's in the books."""
        currency, amount = payout["currency"], payout["amount"]
        if payout["status"] in ("pending", "in_transit"):
            self.held[currency, AVAILABLE] += amount
        elif payout["status"] == "paid":
            self.enter(currency, BANK, amount)
            self.enter(currency, "merchant", -amount)

    def add_item(self, item):
        """A wallet that was to get or to pay something: suspense stands for it, and then the merchant may."""
        if item["reason"] == "void_refused":
            return
        sign = -1 if item["reason"] == "refund_refused" else 1
        if item["resolution"] == "wallet":
            return
        self.enter(item["currency"], WALLET, sign * item["amount"], item["wallet"])
        other = "merchant" if item["status"] == "resolved" else SUSPENSE
        self.enter(item["currency"], other, -sign * item["amount"])

    # ---- comparisons -------------------------------------------------------------------------

    def check(self):
        self.expected()
        self.check_accounts()
        self.check_transactions()
        self.check_balance()
        self.check_holds()
        self.check_wallets()
        self.check_ends()

    def check_accounts(self):
        for currency in CURRENCIES:
            have = {code: self.books[currency, code][0]
                    for code in (CARDS, FEES, SUSPENSE, BANK, WALLET)}
            have["merchant"] = (self.books[currency, PENDING][0]
                                + self.books[currency, AVAILABLE][0])
            want = {code: self.accounts[currency, code] for code in have}
            assert have == want, currency
            assert sum(have.values()) == 0

    def check_transactions(self):
        """Each movement of the merchant's balance has one line, and the lines are the balance."""
        nets = collections.Counter()
        for entry in self.transactions:
            assert entry["net"] == entry["amount"] - entry["fee"]
            assert sum(fee["amount"] for fee in entry["fee_details"]) == entry["fee"]
            side = PENDING if entry["status"] == "pending" else AVAILABLE
            nets[entry["currency"], side] += ledger_units(entry["net"], entry["currency"])
        resolved = collections.Counter()  # by an operator: no line of the merchant's
        for item in self.items:
            if item["resolution"] == "merchant" and item["status"] == "resolved":
                sign = 1 if item["reason"] == "refund_refused" else -1
                resolved[item["currency"]] += sign * ledger_units(item["amount"], item["currency"])
        for currency in CURRENCIES:
            assert nets[currency, PENDING] == self.books[currency, PENDING][0], currency
            assert (nets[currency, AVAILABLE] + resolved[currency]
                    == self.available(currency)), currency
        lines = collections.defaultdict(list)
        for entry in self.transactions:
            lines[entry["source"]].append((entry["type"], entry["amount"], entry["fee"]))
        for charge in self.charges.values():
            assert sorted(lines.pop(charge["id"], [])) == sorted(self.lines_of(charge)), charge
        for refund in self.refunds:
            assert sorted(lines.pop(refund["id"], [])) == sorted(self.lines_of_refund(refund)), refund
        for payout in self.payouts:
            assert sorted(lines.pop(payout["id"], [])) == sorted(self.lines_of_payout(payout)), payout
        for dispute in self.disputes:
            assert sorted(lines.pop(dispute["id"], [])) == sorted(self.lines_of_dispute(dispute)), dispute
        assert not lines, lines
        self.check_disputes()

    def check_disputes(self):
        """No charge has more refunded and taken back than was captured by its card."""
        taken = collections.Counter()
        for dispute in self.disputes:
            if dispute["status"] != "won" and not dispute["status"].startswith(INQUIRY):
                taken[dispute["charge"]] += dispute["amount"]
            assert self.charges[dispute["charge"]]["disputed"] is True
        for charge, amount in taken.items():
            card, _ = parts(self.charges[charge], "amount_captured")
            back, _ = parts(self.charges[charge], "amount_refunded")
            assert back + amount <= card, charge

    @staticmethod
    def lines_of_dispute(dispute):
        if dispute["status"].startswith(INQUIRY):
            return []
        amount = dispute["amount"]
        taken = [("adjustment", -amount, dispute_fee(dispute["currency"]))]
        return taken + ([("adjustment", amount, 0)] if dispute["status"] == "won" else [])

    @staticmethod
    def lines_of(charge):
        if not charge["captured"]:
            return []
        amount, fee = charge["amount_captured"], fee_on(charge["amount_captured"], charge["currency"])
        if "split" in charge:
            card, wallet = parts(charge, "amount_captured")
            return [("charge", card, fee)] + ([("charge", wallet, 0)] if wallet else [])
        gone_on = [("transfer", -amount, 0)] if charge.get("transfer_data") else []
        return [("charge", amount, fee)] + gone_on

    @staticmethod
    def lines_of_refund(refund):
        if refund["balance_transaction"] is None:
            return []
        card, wallet = parts(refund, "amount") if "split" in refund else (refund["amount"], 0)
        lines = [("refund", -part, 0) for part in (card, wallet) if part]
        return lines + ([("refund_failure", card, 0)] if refund["status"] == "failed" else [])

    @staticmethod
    def lines_of_payout(payout):
        if payout["balance_transaction"] is None:
            assert (payout["status"], payout["failure_code"]) == ("failed", "insufficient_funds")
            return []
        undone = {"canceled": "payout_cancel", "failed": "payout_failure"}.get(payout["status"])
        back = [(undone, payout["amount"], 0)] if undone else []
        return [("payout", -payout["amount"], 0)] + back

    def available(self, currency):
        """Less what payouts hold."""
        posted, held, _ = self.books[currency, AVAILABLE]
        return posted - held

    def check_balance(self):
        balance = self.wallets.get("/v1/balance")
        for side, code in (("pending", PENDING), ("available", AVAILABLE)):
            shown = {entry["currency"]: ledger_units(entry["amount"], entry["currency"])
                     for entry in balance[side]}
            for currency in CURRENCIES:
                have = self.available(currency) if code == AVAILABLE else self.books[currency, code][0]
                assert shown.get(currency, 0) == have, (currency, side)

    def check_holds(self):
        """On cards: of what can be captured, and of what the network would not let go of."""
        cards = collections.Counter()
        for intent in self.intents:
            amount, currency = intent["amount_capturable"], intent["currency"]
            if not amount:
                continue
            charge = self.charges[intent["latest_charge"]]
            if "split" in charge:
                wallet = charge["split"]["wallet"]["amount"]
            else:
                wallet = amount if charge["payment_method_details"]["type"] == "wallet" else 0
            self.held[currency, WALLET] += wallet
            cards[currency] += ledger_units(amount - wallet, currency)
        for item in self.items:
            if item["reason"] == "void_refused" and item["status"] == "open":
                cards[item["currency"]] += ledger_units(item["amount"], item["currency"])
        for currency in CURRENCIES:
            assert self.books[currency, CARDS][1] == cards[currency], currency
            assert self.books[currency, PENDING][2] == cards[currency], currency
            for code in (WALLET, AVAILABLE):
                assert self.books[currency, code][1] == ledger_units(
                    self.held[currency, code], currency), (currency, code)

    def check_wallets(self):
        for purse in self.purses:
            shown = self.wallets.balance(purse["id"])
            assert shown["posted"] == self.purse[purse["id"]], purse["id"]
            assert shown["available"] >= 0 and shown["held"] >= 0
            lines = self.wallets.statement(purse["id"])
            balance = 0
            for line in lines:
                balance += line["amount"]
                assert line["balance"] == balance, (purse["id"], line)
            assert balance == shown["posted"]
            self.check_file(purse, lines)

    def check_file(self, purse, lines):
        text = self.http.get(f"/v1/wallets/{purse['id']}/statement?format=csv").text
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["id"] for row in rows] == [line["id"] for line in lines]
        _, _, shown = CURRENCIES[purse["currency"]]
        for row, line in zip(rows, lines):
            for column in ("amount", "balance"):
                assert decimal.Decimal(row[column]) * 10 ** shown == line[column], (row, line)

    def check_ends(self):
        for intent in self.intents:
            assert intent["status"] != "processing", intent
            assert intent["amount_received"] == (
                self.charges[intent["latest_charge"]]["amount_captured"]
                if intent["status"] == "succeeded" else 0)
        assert all(refund["status"] != "pending" for refund in self.refunds)
        assert all(transfer["status"] != "pending" for transfer in self.transfers)


def audited(server, never=()):
    """Waits until nothing is under way, nor can end by its time, and then reckons everything up. What the bank
    has of the accounts `never` stays there."""
    wallets = Wallets(server)
    never = set(never)

    def ends(one):
        return one["status"] != "in_transit" or one["destination"] not in never

    def at_rest():
        found = metrics(server)
        return (found["tael_attempts_open"] == 0 and found["tael_wallet_attempts_open"] == 0
                and not any(one["status"] in UNDER_WAY and ends(one)
                            for path in ("/v1/payment_intents", "/v1/refunds", "/v1/disputes", "/v1/wallet_transfers",
                                         "/v1/wallet_holds", "/v1/wallet_withdrawals",
                                         "/v1/payouts")
                            for one in wallets.everything(path))
                and not any(one["status"] == "pending"
                            for one in wallets.everything("/v1/balance_transactions")))

    wait_until(at_rest, HANG_SECONDS, "the end of everything")
    return wait_until(lambda: reckoned(server), HANG_SECONDS, "an audit amid which nothing moves")


def reckoned(server):
    """The audit, if it is right; None, if something has moved while it was made: a bank sends back what was paid
    out when it likes."""
    audit = Audit(server)
    try:
        audit.check()
    except AssertionError:
        if Audit(server).found == audit.found:
            raise
        return None
    return audit
