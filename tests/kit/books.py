"""Whether documents, ledger and card network tell the same story, to the cent."""

import collections
import re
import struct

import requests

from kit.client import Http, sdk
from kit.server import HANG_SECONDS, wait_until, within

AUTHORIZE, CAPTURE, VOID, REFUND, REPORT, INCREMENT = range(6)
APPROVED, DECLINED, PENDING, FAILED = range(4)
CAPTURES = 1
RECORD = struct.Struct("<16s16sqqIBBBBII")
LEDGER_USD_TEST = 1840
CLEARING, FEES, MERCHANT_PENDING, MERCHANT_AVAILABLE = 101, 102, 201, 202


def metrics(server):
    """Sums over the processes that have the documents."""
    found = collections.Counter()
    for url in server.metrics_urls():
        text = requests.get(url + "/metrics", timeout=60).text
        for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", text, re.MULTILINE):
            found[name] += float(value)
    return found


def merchant_of(server):
    """The id of the only one, from where the documents are."""
    files = [path for path in server.data.rglob("*") if path.is_file()]
    text = server.dump() if server.on_postgres else b"".join(path.read_bytes() for path in files)
    return re.search(rb"acct_[0-9A-Za-z]{22}", text).group().decode()


def everything(client, service, **params):
    return list(service.list({"limit": 100, **params}).auto_paging_iter())


class Issuer:
    """What the simulated card network remembers, from its own file."""

    def __init__(self, data):
        self.captured = collections.Counter()
        self.refunded = collections.Counter()
        self.held = {}
        self.ids = []
        content = (data / "issuer" / "issuer.log").read_bytes()
        whole = len(content) // RECORD.size * RECORD.size
        for fields in RECORD.iter_unpack(content[:whole]):
            self._add(*fields[:3], *fields[5:7], fields[8])
        assert len(self.ids) == len(set(self.ids)), "the network did one operation twice"

    def _add(self, own, original, amount, operation, outcome, flags):
        self.ids.append(own)
        if outcome not in (APPROVED, PENDING):
            return
        if operation == AUTHORIZE and flags & CAPTURES:
            self.captured[own] += amount
        elif operation == AUTHORIZE:
            self.held[own] = amount
        elif operation == INCREMENT:
            self.held[original] += amount
        elif operation == CAPTURE:
            self.captured[original] += amount
            self.held.pop(original, None)
        elif operation == VOID:
            self.held.pop(original, None)
            self.captured.pop(original, None)
        elif operation == REFUND:
            self.refunded[original] += amount


def card_part(shown, member="amount"):
    """What of a charge or a refund is the card's: all of it, unless it is split."""
    return shown["split"]["card"][member] if "split" in shown else shown[member]


def failure_line(refund):
    """The balance transaction that took it back; None, if it did not fail after it was booked."""
    return refund["failure_balance_transaction"] if "failure_balance_transaction" in refund else None


class Books:
    """Everything that a server has to say about its money, in US dollars."""

    def __init__(self, server, validate=False):
        client = sdk(server, validate=validate)
        self.intents = everything(client, client.v1.payment_intents)
        self.charges = everything(client, client.v1.charges)
        self.refunds = everything(client, client.v1.refunds)
        self.disputes = everything(client, client.v1.disputes)
        self.transactions = everything(client, client.v1.balance_transactions)
        self.balance = client.v1.balance.retrieve()
        answer = Http(server, validate=False).post("/v1/ledger/query", json={
            "op": "query_accounts", "filter": {"ledger": LEDGER_USD_TEST, "limit": 100}}).json()
        self.accounts = {}  # by code: there is one of each, but for wallets
        for account in answer["accounts"]:
            sides = self.accounts.setdefault(int(account["code"]), collections.Counter())
            for side in ("debits_pending", "debits_posted", "credits_pending", "credits_posted"):
                sides[side] += int(account[side])
        self.issuer = Issuer(server.network_data)

    def read(self):
        """All that was read, to compare with what is read later."""
        lists = (self.intents, self.charges, self.refunds, self.disputes, self.transactions, [self.balance])
        return [[one.to_dict() for one in objects] for objects in lists], self.accounts, vars(self.issuer)

    def check(self):
        """Every comparison that can be made."""
        self.check_documents()
        self.check_ledger()
        self.check_issuer()

    def check_documents(self):
        charges = collections.defaultdict(list)
        for charge in self.charges:
            charges[charge.payment_intent].append(charge)
        refunded = collections.Counter()
        for refund in self.refunds:
            if refund.status in ("succeeded", "pending"):
                refunded[refund.charge] += refund.amount
            elif failure_line(refund) is not None:  # a wallet keeps its part
                refunded[refund.charge] += refund.amount - card_part(refund)
        transactions = {transaction.id: transaction for transaction in self.transactions}
        self.check_explained(transactions)
        for intent in self.intents:
            good = [charge for charge in charges[intent.id] if charge.status == "succeeded"]
            assert len(good) <= 1, f"{intent.id} was charged twice"
            if intent.status == "succeeded":
                charge = good[0]
                assert charge.id == intent.latest_charge and charge.captured
                assert intent.amount_received == charge.amount_captured
                transaction = transactions[charge.balance_transaction]
                assert transaction.amount == card_part(charge, "amount_captured")
                assert transaction.source == charge.id
            else:
                assert intent.amount_received == 0
                for charge in charges[intent.id]:
                    assert not charge.captured and charge.amount_captured == 0
                    assert charge.balance_transaction is None
            if intent.status == "requires_capture":
                assert intent.amount_capturable == intent.amount == good[0].amount
            else:
                assert intent.amount_capturable == 0
        for charge in self.charges:
            assert charge.amount_refunded == refunded[charge.id]
            assert charge.amount_refunded <= charge.amount_captured
            assert charge.refunded == (
                charge.amount_captured > 0 and charge.amount_refunded == charge.amount_captured)
        for refund in self.refunds:
            if refund.balance_transaction is None:
                assert refund.status in ("pending", "failed")
                continue
            assert transactions[refund.balance_transaction].amount == -(
                card_part(refund) or refund.amount)
            assert (failure_line(refund) is not None) == (refund.status == "failed")
            if refund.status == "failed":
                back = transactions[failure_line(refund)]
                assert (back.type, back.amount, back.fee) == ("refund_failure", card_part(refund), 0)

    def check_explained(self, transactions):
        """Each transaction is named by its source, and by nothing else; of a payment that went on to a
        wallet there is one more."""
        named = collections.defaultdict(set)
        for one in self.charges + self.refunds:
            parts = [one.balance_transaction]
            if "split" in one and one["split"]["wallet"]["amount"]:
                parts.append(one["split"]["wallet"]["balance_transaction"])
            if one.object == "refund":
                parts.append(failure_line(one))
            named[one.id] |= {part for part in parts if part is not None}
        for one in self.disputes:
            named[one.id] |= {line.id for line in one.balance_transactions}
        gone_on = {charge.id for charge in self.charges
                   if charge.amount_captured and charge.transfer_data is not None}
        found = collections.defaultdict(set)
        for transaction in transactions.values():
            if transaction.type == "transfer":
                assert transaction.source in gone_on, transaction
                gone_on.remove(transaction.source)
            else:
                found[transaction.source].add(transaction.id)
        assert not gone_on, gone_on
        assert found == {source: ids for source, ids in named.items() if ids}

    def check_ledger(self):
        net = sum(transaction.net for transaction in self.transactions)
        held = self.held_on_cards()
        captured = sum(card_part(charge, "amount_captured") for charge in self.charges)
        refunds = sum(card_part(refund) for refund in self.refunds)
        failures = sum(entry.amount for entry in self.transactions
                       if entry.type == "refund_failure")
        fees = sum(transaction.fee for transaction in self.transactions)
        lines = [line for dispute in self.disputes for line in dispute.balance_transactions]
        taken_back = -sum(line.amount for line in lines if line.amount < 0)
        reinstated = sum(line.amount for line in lines if line.amount > 0)
        if not self.accounts:
            assert (net, held, captured) == (0, 0, 0)
            return

        def credit(code):
            account = self.accounts.get(code)
            return account["credits_posted"] - account["debits_posted"] if account else 0

        clearing = self.accounts[CLEARING]
        assert clearing["debits_posted"] == captured + failures + reinstated
        assert clearing["credits_posted"] <= refunds + taken_back
        assert -credit(CLEARING) == captured - taken_back + reinstated - sum(
            card_part(charge, "amount_refunded") for charge in self.charges)
        assert credit(FEES) == fees
        assert credit(MERCHANT_PENDING) + credit(MERCHANT_AVAILABLE) == net
        assert clearing["debits_pending"] == held
        assert self.accounts[MERCHANT_PENDING]["credits_pending"] == held
        assert sum(credit(code) for code in self.accounts) == 0

        def shown(entries):
            return sum(entry.amount for entry in entries if entry.currency == "usd")

        assert shown(self.balance.pending) == credit(MERCHANT_PENDING)
        assert shown(self.balance.available) == credit(MERCHANT_AVAILABLE)

    def held_on_cards(self):
        """Of what can be captured; the wallets' parts are held in the books."""
        return sum(intent.amount_capturable - (intent["split"]["amount"] if "split" in intent and
                                               intent.amount_capturable else 0)
                   for intent in self.intents)

    def check_issuer(self):
        assert sum(self.issuer.captured.values()) == sum(
            card_part(charge, "amount_captured") for charge in self.charges)
        # What it has accepted and what fails later counts there as well.
        assert sum(self.issuer.refunded.values()) == sum(
            card_part(refund) for refund in self.refunds if refund.balance_transaction is not None)
        assert sum(self.issuer.held.values()) == self.held_on_cards()
        for own, amount in self.issuer.refunded.items():
            assert amount <= self.issuer.captured[own]


def settled(server, seconds=None):
    """Waits until nothing is left half done, then compares everything. `seconds`: within which that is
    promised."""
    client = sdk(server, validate=False)

    def quiet():
        # The metric counts attempts that are due; those that wait to ask again show in documents.
        return not any(
            intent.status == "processing"
            for service in (client.v1.payment_intents, client.v1.setup_intents)
            for intent in everything(client, service)
        ) and not any(
            refund.status == "pending" and refund.balance_transaction is None
            for refund in everything(client, client.v1.refunds)
        ) and metrics(server)["tael_attempts_open"] == 0

    within(quiet, seconds or HANG_SECONDS, "the end of every attempt")
    return wait_until(lambda: compared(server), HANG_SECONDS, "a comparison amid which nothing moves")


def compared(server):
    """The books, if they are right; None, if something has moved while they were read, one after the other: what is
    settled, and what a hold's time ends, is so when it likes."""
    books = Books(server)
    try:
        books.check()
    except AssertionError:
        if Books(server).read() == books.read():
            raise
        return None
    return books


def reconciled(server, seconds=10):
    """Waits for a whole run of the server's own comparison that begins now; it finds nothing."""
    began = metrics(server)["tael_reconcile_runs_total"]
    # The run under way may have begun before: the second that ends began after.
    wait_until(lambda: metrics(server)["tael_reconcile_runs_total"] >= began + 2, seconds,
               "a comparison of documents, ledger and rail")
    assert metrics(server)["tael_differences"] == 0, server.log()
