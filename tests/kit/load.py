"""Clients that pay by card, refund and send wallet money, and what must be true of it afterwards.

Each request has a key, which it also writes into what it makes, and is asked again until it is
answered, of one server after the other if there are several.
"""

import collections
import random
import threading
import time
import uuid

import requests

from kit.books import metrics
from kit.client import Http
from kit.server import wait_until
from kit.wallets import check_statement

FUNDS = 20000  # of each wallet at the start
# What a load needs that ordinary limits would end.
LIMITS = ("--wallet-limits=business.out=100000/9000000/90000000 "
          "business.in=100000/9000000/90000000")


class Trouble:
    """One request that was not answered at once."""

    def __init__(self, began, ended, why):
        self.began = began  # when it was asked first
        self.ended = ended  # when this attempt had failed
        self.why = why


class Place:
    """Where a client sends its requests."""

    def __init__(self, server, url):
        self.server, self.url = server, url

    @property
    def key(self):
        return self.server.key


class Client(threading.Thread):
    def __init__(self, server, wallets, seed, urls=()):
        super().__init__()
        places = [Place(server, url) for url in urls] or [server]
        first = seed % len(places)
        self.places = [Http(place, validate=False) for place in places[first:] + places[:first]]
        self.random = random.Random(seed)
        self.wallets = wallets
        self.ended = threading.Event()
        self.told = []  # (key, path, status, answer)
        self.paid = []
        self.failure = None
        self.troubles = []
        self.pause = 0  # between requests

    def ask(self, path, body):
        """Until it is answered, over any number of restarts."""
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        body = {**body, "metadata[key]": key}
        began = time.monotonic()

        def trouble(why):
            self.troubles.append(Trouble(began, time.monotonic(), why))
            self.places.append(self.places.pop(0))
            time.sleep(0.02)

        while True:
            try:
                answer = self.places[0].post(
                    path, body, headers={"Idempotency-Key": key}, timeout=60)
            except requests.exceptions.RequestException as error:
                trouble(str(error))
                continue
            replayed = answer.headers.get("Idempotent-Replayed") == "true"
            if answer.status_code in (409, 429) or answer.status_code >= 500 and not replayed:
                trouble(f"{path} {answer.status_code} {answer.text}")
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
                time.sleep(self.pause)
        except Exception as error:  # a thread's exception would go unnoticed
            self.failure = error


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


def check_wallets(server, wallets, everyone, clients, funds=None):
    """`funds`: of all of them; FUNDS each."""
    wait_until(lambda: metrics(server)["tael_wallet_attempts_open"] == 0 and not any(
        one["status"] == "pending" for one in wallets.everything("/v1/wallet_transfers")),
        40, "the end of every transfer")
    assert sum(wallets.balance(wallet)["posted"] for wallet in everyone) == (
        FUNDS * len(everyone) if funds is None else funds)
    for wallet in everyone:
        assert wallets.balance(wallet)["available"] >= 0
        assert all(line["balance"] >= 0 for line in check_statement(wallets, wallet))
    made = {one["metadata"]["key"]: one for one in wallets.everything("/v1/wallet_transfers")
            if one["from"]}
    for key, path, status, answer in (entry for client in clients for entry in client.told):
        if path == "/v1/wallet_transfers" and status == 200:
            assert made[key]["id"] == answer["id"]
            assert answer["status"] != "succeeded" or made[key]["status"] == "succeeded"
