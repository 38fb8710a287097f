"""One process after the other of a split deployment is killed under load and started again: nothing
is lost, nothing is done twice, the books agree, no wallet goes below zero.

The clients pay by card, refund, and send wallet money. Each request has a key, which it also writes
into what it makes, and is asked again until it is answered.
"""

import collections
import random
import threading
import time
import uuid

import pytest
import requests

from kit.books import everything, metrics, reconciled, settled
from kit.client import Http, sdk
from kit.cluster import ROLES, Cluster
from kit.server import LONG, wait_until
from kit.wallets import Wallets, check_statement

ROUNDS = 12 if LONG else 1
CLIENTS = 12
WALLETS = 4
FUNDS = 20000
BETWEEN = 1.0
DOWN = 0.3


class Client(threading.Thread):
    def __init__(self, server, wallets, seed):
        super().__init__()
        self.http = Http(server, validate=False)
        self.random = random.Random(seed)
        self.wallets = wallets
        self.ended = threading.Event()
        self.told = []  # (key, path, status, answer)
        self.paid = []
        self.failure = None

    def ask(self, path, body):
        """Until it is answered, over any number of restarts."""
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        body = {**body, "metadata[key]": key}
        while True:
            try:
                answer = self.http.post(path, body, headers={"Idempotency-Key": key}, timeout=60)
            except requests.exceptions.RequestException:
                time.sleep(0.02)
                continue
            replayed = answer.headers.get("Idempotent-Replayed") == "true"
            if answer.status_code in (409, 429) or answer.status_code >= 500 and not replayed:
                time.sleep(0.02)
                continue
            self.told.append((key, path, answer.status_code, answer.json()))
            return answer.json() if answer.status_code == 200 else None

    def step(self):
        choice = self.random.random()
        if choice < 0.3:
            source, target = self.random.sample(self.wallets, 2)
            self.ask("/v1/wallet_transfers", {
                "from": source, "to": target, "amount": str(self.random.randrange(1, 9000)),
                "currency": "usd"})
        elif choice < 0.4 and self.paid:
            self.ask("/v1/refunds", {"payment_intent": self.paid.pop(), "amount": "500"})
        else:
            made = self.ask("/v1/payment_intents", {
                "amount": "2000", "currency": "usd", "confirm": "true",
                "payment_method": self.random.choice(
                    ["pm_card_visa"] * 5 + ["pm_card_chargeDeclined"])})
            if made and made["status"] == "succeeded":
                self.paid.append(made["id"])

    def run(self):
        try:
            while not self.ended.is_set():
                self.step()
        except Exception as error:  # a thread's exception would go unnoticed
            self.failure = error


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path / "cluster", "--ledger-segment-size=4m",
                   "--wallet-limits=business.out=100000/9000000/90000000 "
                   "business.in=100000/9000000/90000000").start()
    yield made
    made.close()


def check_payments(books, clients):
    """Each key stands for one object at most, and for one if it was told so."""
    made = collections.Counter(one.metadata["key"] for one in [*books.intents, *books.refunds])
    assert all(count == 1 for count in made.values())
    intents = {one.metadata["key"]: one for one in books.intents}
    refunds = {one.metadata["key"]: one for one in books.refunds}
    for key, path, status, answer in (entry for client in clients for entry in client.told):
        if path == "/v1/payment_intents" and status == 200:
            assert intents[key].id == answer["id"]
            if answer["status"] == "succeeded":
                assert intents[key].status == "succeeded"
        elif path == "/v1/payment_intents" and status == 402:
            assert intents[key].status == "requires_payment_method"
        elif path == "/v1/refunds" and status == 200 and answer["status"] == "succeeded":
            assert refunds[key].status == "succeeded"


def check_wallets(server, wallets, everyone, clients):
    wait_until(lambda: metrics(server)["tael_wallet_attempts_open"] == 0 and not any(
        one["status"] == "pending" for one in wallets.everything("/v1/wallet_transfers")),
        40, "the end of every transfer")
    assert sum(wallets.balance(wallet)["posted"] for wallet in everyone) == FUNDS * len(everyone)
    for wallet in everyone:
        assert wallets.balance(wallet)["available"] >= 0
        assert all(line["balance"] >= 0 for line in check_statement(wallets, wallet))
    made = {one["metadata"]["key"]: one for one in wallets.everything("/v1/wallet_transfers")
            if one["from"]}
    for key, path, status, answer in (entry for client in clients for entry in client.told):
        if path == "/v1/wallet_transfers" and status == 200:
            assert made[key]["id"] == answer["id"]
            assert answer["status"] != "succeeded" or made[key]["status"] == "succeeded"


def test_each_process_is_killed_under_load(cluster):
    wallets = Wallets(cluster)
    everyone = [wallets.wallet(FUNDS) for _ in range(WALLETS)]
    clients = [Client(cluster, everyone, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    chance = random.Random(1)
    for _ in range(ROUNDS):
        for name in ROLES:
            before = sum(len(client.told) for client in clients)
            wait_until(lambda: sum(len(client.told) for client in clients) > before + 20
                       or any(client.failure for client in clients), 60, "some answers")
            time.sleep(BETWEEN * chance.random())
            cluster.processes[name].kill()
            time.sleep(DOWN)
            cluster.processes[name].start()
            cluster.process = cluster.processes["api"].process
    time.sleep(BETWEEN)
    for client in clients:
        client.ended.set()
    for client in clients:
        client.join(120)
        assert not client.is_alive()
        if client.failure:
            raise client.failure
    books = settled(cluster, 60)
    check_payments(books, clients)
    check_wallets(cluster, wallets, everyone, clients)
    reconciled(cluster, 60)
    told = [entry for client in clients for entry in client.told]
    good = sum(status == 200 for _, _, status, _ in told)
    print(f"{ROUNDS * len(ROLES)} kills, {len(told)} answers, {good} of them good, "
          f"{len(books.intents)} payments, {len(books.refunds)} refunds")
    assert good > 50


def test_the_ledger_away_for_a_while(cluster):
    """What was asked meanwhile is neither lost nor done twice when it is back."""
    client = sdk(cluster, validate=False)
    client.v1.payment_intents.create({
        "amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True})
    cluster.processes["ledger"].kill()
    http = Http(cluster, validate=False)
    for index in range(5):
        answer = http.post("/v1/payment_intents", {
            "amount": "3000", "currency": "usd", "payment_method": "pm_card_visa",
            "confirm": "true"}, headers={"Idempotency-Key": f"away-{index}"})
        # The card network said yes; that it is in the books is not known, so it is not told.
        assert answer.status_code != 402
        assert answer.status_code != 200 or answer.json()["status"] == "processing"
    cluster.processes["ledger"].start()
    books = settled(cluster, 60)
    assert [one.status for one in books.intents] == ["succeeded"] * 6
    assert len(everything(client, client.v1.charges)) == 6
    reconciled(cluster, 30)
