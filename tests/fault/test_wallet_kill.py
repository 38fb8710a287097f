"""64 clients spend, hold, capture, release and send from 8 wallets at random, and the process is
killed in between: nobody overdraws, no movement is lost or doubled, and every statement adds up to
the ledger's balance.

A minute with TEST_LONG, else ten seconds.
"""

import collections
import random
import time

from kit.books import metrics
from kit.keyed import KILLS, Keyed, amid_kills
from kit.server import wait_until
from kit.wallets import Wallets, check_statement

CLIENTS = 64
WALLETS = 8
FUNDS = 20000


class Client(Keyed):
    def __init__(self, server, wallets, seed):
        super().__init__(Wallets(server).http, seed)
        self.wallets = wallets
        self.holds = []

    def step(self):
        source, target = self.random.sample(self.wallets, 2)
        amount = self.random.choice([self.random.randrange(1, 200), self.random.randrange(1, 9000)])
        choice = self.random.random()
        if choice < 0.45:
            self.ask("/v1/wallet_transfers", {
                "from": source, "to": target, "amount": amount, "currency": "usd"})
        elif choice < 0.65:
            made = self.ask(f"/v1/wallets/{source}/holds", {
                "to": target, "amount": amount, "expires_in": self.random.choice([2, 3600])})
            if made:
                self.holds.append(made)
        elif choice < 0.8 and self.holds:
            hold = self.holds.pop(self.random.randrange(len(self.holds)))
            part = self.random.randrange(1, hold["amount"] + 1)
            self.ask(f"/v1/wallet_holds/{hold['id']}/capture", {"amount": part})
        elif choice < 0.9 and self.holds:
            hold = self.holds.pop()
            self.ask(f"/v1/wallet_holds/{hold['id']}/release", {})
        else:
            number = self.random.choice(["000123456789", "000111111116", "000333333335"])
            self.ask(f"/v1/wallets/{source}/withdrawals", {
                "amount": 1 + amount // 50, "bank_account[account_number]": number})


def settled(server, wallets):
    """Nothing is under way, and no hold is about to end: the ledger lets an expired one go at
    once, its document follows with the next sweep."""
    def quiet():
        return metrics(server)["tael_wallet_attempts_open"] == 0 and not any(
            one["status"] == "pending" for kind in ("transfers", "holds", "withdrawals")
            for one in wallets.everything(f"/v1/wallet_{kind}")) and not any(
            one["status"] == "active" and one["expires_at"] < time.time() + 60
            for one in wallets.everything("/v1/wallet_holds"))

    wait_until(quiet, 40, "the end of every attempt")


class Told:
    """What the documents say in the end, added up for each wallet."""

    def __init__(self, wallets):
        self.posted = collections.Counter()
        self.held = collections.Counter()
        self.moves = collections.Counter()  # movements by source
        for one in wallets.everything("/v1/wallet_transfers"):
            if one["status"] == "succeeded":
                self.move(one["id"], one["from"], one["to"], one["amount"])
        for one in wallets.everything("/v1/wallet_holds"):
            if one["status"] == "captured":
                self.move(one["id"], one["from"], one["to"], one["amount_captured"])
            elif one["status"] == "active":
                self.held[one["from"]] += one["amount"]
        for one in wallets.everything("/v1/wallet_withdrawals"):
            if one["status"] in ("paid", "returned"):
                self.move(one["id"], one["wallet"], None, one["amount"])
            if one["status"] == "returned":
                self.move(one["id"], None, one["wallet"], one["amount"])

    def move(self, source, debit, credit, amount):
        if debit:
            self.posted[debit] -= amount
            self.moves[(debit, source, -amount)] += 1
        if credit:
            self.posted[credit] += amount
            self.moves[(credit, source, amount)] += 1


def check(server, wallets, everyone, clients):
    told = Told(wallets)
    stated = collections.Counter()
    for wallet in everyone:
        balance = wallets.balance(wallet)
        assert balance["available"] >= 0
        assert balance["posted"] == told.posted[wallet]
        assert balance["held"] == told.held[wallet]
        for line in check_statement(wallets, wallet):
            stated[(wallet, line["source"], line["amount"])] += 1
            assert line["balance"] >= 0
    assert stated == told.moves
    # Nothing came or went but through the bank.
    accounts = wallets.http.request("POST", "/v1/ledger/query", json={
        "op": "query_accounts", "filter": {"ledger": 1840, "limit": 100}}).json()["accounts"]
    net = sum(int(account["debits_posted"]) - int(account["credits_posted"])
              for account in accounts if account["code"] in (104, "104"))
    assert net == sum(told.posted.values())
    # Each answer is still what it was, and stands for one object.
    answers = [entry for client in clients for entry in client.done]
    made = [entry for entry in answers if entry[3] == 200 and entry[1].endswith("transfers")]
    listed = [one for one in wallets.everything("/v1/wallet_transfers") if one["from"]]
    assert sum(one["status"] == "succeeded" for one in listed) == len(made)
    for key, path, body, status, content in random.Random(1).sample(answers, 50):
        again = wallets.http.post(path, body, headers={"Idempotency-Key": key})
        assert again.status_code == status, (path, body, content, again.text)
        assert status != 200 or again.content == content
    began = metrics(server)["tael_wallet_reconcile_runs_total"]
    wait_until(lambda: metrics(server)["tael_wallet_reconcile_runs_total"] >= began + 2, 60,
               "a comparison of documents and ledger")
    assert metrics(server)["tael_wallet_differences"] == 0, server.log()


def test_kill_while_64_clients_move_money(make_server):
    server = make_server("--bank-settle=200ms", "--bank-return=300ms", "--ledger-segment-size=4m",
                         "--wallet-limits=business.out=100000/9000000/90000000 "
                         "business.in=100000/9000000/90000000")
    wallets = Wallets(server)
    everyone = [wallets.wallet(FUNDS) for _ in range(WALLETS)]
    clients = [Client(server, everyone, seed) for seed in range(CLIENTS)]
    amid_kills(server, clients)
    settled(server, wallets)
    check(server, wallets, everyone, clients)
    count = sum(len(client.done) for client in clients)
    good = sum(entry[3] == 200 for client in clients for entry in client.done)
    print(f"{KILLS} kills, {count} answers, {good} of them good")
    assert good > CLIENTS
