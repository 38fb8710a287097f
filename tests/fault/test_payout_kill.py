"""Clients pay out, cancel, refund and are paid, and the process is killed in between: each payout is
made once or not at all, the available balance never falls by one that is not covered, and the auditor
finds the books as they should be.

A minute with TEST_LONG, else ten seconds.
"""

import collections
import random

from kit.audit import audited
from kit.books import reconciled
from kit.client import Http, sdk
from kit.payouts import bank_account, fund
from kit.keyed import KILLS, Keyed, amid_kills

CLIENTS = 16
BANKS = ["000123456789", "000123456789", "000111111116", "000222222227", "000333333335", "000666666660"]


class Client(Keyed):
    def __init__(self, server, accounts, seed):
        super().__init__(Http(server), seed)
        self.accounts = accounts
        self.payouts, self.intents = [], []

    def step(self):
        choice = self.random.random()
        if choice < 0.6:
            made = self.ask("/v1/payouts", {
                "amount": self.random.choice([self.random.randrange(1, 300), 20000]),
                "currency": "usd", "destination": self.random.choice(self.accounts)})
            if made:
                self.payouts.append(made["id"])
        elif choice < 0.75 and self.payouts:
            one = self.payouts.pop(self.random.randrange(len(self.payouts)))
            self.ask(f"/v1/payouts/{one}/cancel", {})
        elif choice < 0.85 and self.intents:
            one = self.intents.pop()
            self.ask("/v1/refunds", {"payment_intent": one, "amount": 400})
        else:
            made = self.ask("/v1/payment_intents", {
                "amount": 1000, "currency": "usd", "confirm": "true",
                "payment_method": "pm_card_bypassPending"})
            if made:  # a kill amid it may have declined it
                self.intents.append(made["id"])


def check(server, clients):
    audit = audited(server)
    answers = [entry for client in clients for entry in client.done]
    made = [entry for entry in answers if entry[1] == "/v1/payouts" and entry[3] == 200]
    assert len(audit.payouts) == len(made)
    statuses = collections.Counter(payout["status"] for payout in audit.payouts)
    assert set(statuses) == {"paid", "failed", "canceled"}
    refused = [entry for entry in answers if entry[1] == "/v1/payouts" and entry[3] != 200]
    assert refused and all(b"balance_insufficient" in entry[4] for entry in refused)
    http = Http(server)
    for key, path, body, status, content in random.Random(1).sample(answers, 50):
        again = http.post(path, body, headers={"Idempotency-Key": key})
        assert again.status_code == status, (path, body, content, again.text)
        # What was refused without trying is not kept, and may be refused for another reason now.
        if status == 200 or path == "/v1/payouts":
            assert again.content == content
    reconciled(server)
    return statuses


def test_kill_while_clients_pay_out(make_server):
    server = make_server("--payout-delay=1s", "--payout-watch=4s", "--bank-settle=200ms",
                         "--bank-return=1s")
    merchant = sdk(server)
    fund(merchant, 20000)
    accounts = [bank_account(merchant, number).id for number in BANKS]
    clients = [Client(server, accounts, seed) for seed in range(CLIENTS)]
    amid_kills(server, clients)
    statuses = check(server, clients)
    print(f"{KILLS} kills, {sum(len(client.done) for client in clients)} answers, {dict(statuses)}")
