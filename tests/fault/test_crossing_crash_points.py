"""A crash while everything happens to the same money at once: a payment settles, a part of it is given back, the
network takes the rest back, and all that is available is paid out again and again. Whatever the point is, the
auditor finds the books as the documents say, and the merchant may be in debt, but has paid nothing out twice.
"""

import time
import uuid

import pytest
import requests

from kit.audit import audited
from kit.books import metrics, reconciled
from kit.client import sdk
from kit.payouts import GOOD, bank_account
from kit.server import HANG_SECONDS, LONG, skip_without_fault_points, wait_until
from kit.wallets import Wallets
from test_crash_points import points_in_sources

FLAGS = ("--settlement-delay=1s", "--issuer-dispute-delay=1s", "--payout-delay=0s", "--payout-watch=3s",
         "--bank-settle=50ms", "--bank-return=1s", "--attempt-lease=1s", "--issuer-refund-settle=100ms")
BANKS = [GOOD, "000333333335", "000111111116"]
CROSSING = ("dispute-", "payout-", "refund-", "settle-")
# Those of a cancellation need payouts that wait.
WAITING = ("payout-before-void", "payout-before-canceled")
# Those of a schedule need days of it (test_payout_crash_points).
ON_SCHEDULE = ("payout-before-most", "payout-before-automatic", "payout-before-day-over")
POINTS = sorted(point for point in points_in_sources() if point.startswith(CROSSING) and point not in ON_SCHEDULE)


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


class Merchant:
    """Asks until there is an answer, and starts a server that has died again."""

    def __init__(self, server):
        self.server = server
        self.http = Wallets(server).http
        self.deaths = 0

    def until_answered(self, ask):
        end = time.monotonic() + HANG_SECONDS
        while time.monotonic() < end:
            try:
                answer = ask()
                if answer.status_code not in (409, 429) and answer.status_code < 500:
                    return answer.json()
            except requests.exceptions.RequestException:
                self.start_again()
            time.sleep(0.05)
        raise AssertionError("no answer")

    def start_again(self):
        self.server.wait_for_crash()
        self.server.start()
        self.deaths += 1

    def post(self, path, **body):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self.until_answered(lambda: self.http.post(path, body, headers=key))

    def get(self, path):
        return self.until_answered(lambda: self.http.get(path))

    def available(self):
        return sum(one["amount"] for one in self.get("/v1/balance")["available"])

    def pay_out_all(self, account):
        amount = self.available()
        return self.post("/v1/payouts", amount=amount, currency="usd", destination=account) if amount > 0 else {}

    def dispute(self):
        found = self.get("/v1/disputes")["data"]
        return found[0] if found else None


def pays(merchant, token, amount):
    while True:
        made = merchant.post("/v1/payment_intents", amount=amount, currency="usd", confirm="true", payment_method=token)
        if "id" in made:
            return made["id"]
        # The process died before it had asked the network, and with it what the card's back says.
        assert made["error"]["code"] in ("card_declined", "processing_error"), made


def until(merchant, wanted, accounts):
    """Pays out what there is, over and over, until that is so of the dispute."""
    end = time.monotonic() + HANG_SECONDS
    for turn in range(10_000):
        dispute = merchant.dispute()
        if dispute and wanted(dispute):
            return dispute
        assert time.monotonic() < end, dispute
        merchant.pay_out_all(accounts[turn % len(accounts)])
        time.sleep(0.1)
    raise AssertionError("no end")


def refunds(merchant, intent, amount):
    """Answers how many were made: none, if its dispute was there before."""
    made = merchant.post("/v1/refunds", payment_intent=intent, amount=amount)
    assert "id" in made or made["error"]["code"] == "charge_disputed", made
    return int("id" in made)


def cancels(merchant, account):
    """A payout that waits, unless that took longer than it does."""
    made = merchant.post("/v1/payouts", amount=400, currency="usd", destination=account)
    merchant.post(f"/v1/payouts/{made['id']}/cancel")


@pytest.mark.parametrize("nth", [1, 2, 3] if LONG else [1])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_amid_all(make_server, point, nth):
    server = make_server(*FLAGS, *(["--payout-delay=2s"] if point in WAITING else []))
    accounts = [bank_account(sdk(server), number).id for number in BANKS]
    server.stop()
    server.start(fault=f"{point}@{nth}:crash")
    merchant = Merchant(server)
    pays(merchant, "pm_card_bypassPending", 2000)
    wait_until(lambda: merchant.available() > 0, 10, "available money")
    for account in accounts:  # the last is refused, the others stay or come back
        if point in WAITING:
            cancels(merchant, account)
        else:
            merchant.post("/v1/payouts", amount=400, currency="usd", destination=account)
    disputed = pays(merchant, "pm_card_createDispute", 5000)
    refunded = refunds(merchant, disputed, 700)
    dispute = until(merchant, lambda one: one["balance_transactions"], accounts)
    merchant.post(f"/v1/disputes/{dispute['id']}", **{"evidence[uncategorized_text]": "winning_evidence"})
    won = until(merchant, lambda one: one["status"] == "won", accounts)
    # What came before the refund reached the network takes all of it, and the refund is refused there or at once.
    assert [line["net"] for line in won["balance_transactions"]] in ([-4300 - 1500, 4300], [-5000 - 1500, 5000])

    def died():
        nonlocal refunded
        if merchant.deaths == 0 and not server.alive():
            merchant.start_again()
        elif merchant.deaths == 0 and (point.startswith("refund-") or point in WAITING):  # it was too late for it
            late = pays(merchant, "pm_card_bypassPending", 1000)
            if point in WAITING:
                wait_until(lambda: merchant.available() >= 400, 10, "available money")
                cancels(merchant, accounts[0])
            else:
                refunded += refunds(merchant, late, 100)
        return merchant.deaths == 1

    wait_until(died, 20, f"a crash at {point}, time {nth}")
    audit = audited(server)
    assert len(audit.disputes) == 1 and len(audit.refunds) == refunded and len(audit.payouts) >= 3
    reconciled(server)
    assert metrics(server)["tael_disputes_unplaced"] == 0
