"""kill -9 under load, again and again: what was acknowledged is there once, nothing is half there."""

import collections
import json
import random
import subprocess
import threading
import time
import uuid

import requests

from kit.books import Books, reconciled, settled
from kit.client import Http, sdk
from kit.server import LONG, PROGRAM, cpu_seconds, run_tael, wait_until, without_tael_settings

ROUNDS = 50 if LONG else 5
CLIENTS = 16
RESTART_SECONDS = 2.0  # of a processor


class Worker(threading.Thread):
    """One client: pays, holds, captures, cancels and refunds; remembers each request's fate."""

    def __init__(self, server, seed):
        super().__init__()
        self.http = Http(server, validate=False)
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.acknowledged = []  # (key, path, body, status, answer)
        self.unanswered = []  # (key, path, body)
        self.paid = []
        self.held = []
        self.parts = collections.Counter()
        self.failure = None

    def send(self, path, body):
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        try:
            answer = self.http.post(path, body, headers={"Idempotency-Key": key}, timeout=30)
        except requests.exceptions.RequestException:
            self.unanswered.append((key, path, body))
            return None
        assert answer.status_code in (200, 402), answer.text
        self.acknowledged.append((key, path, body, answer.status_code, answer.content))
        return answer.json() if answer.status_code == 200 else None

    def step(self):
        choice = self.random.random()
        if choice < 0.15 and self.paid:
            intent = self.random.choice(self.paid)
            part = self.random.randrange(1, 5)
            # Never more than was paid: four parts of 500 at most.
            if self.parts[intent] + part <= 4:
                self.parts[intent] += part
                self.send("/v1/refunds", {"payment_intent": intent, "amount": str(500 * part)})
        elif choice < 0.3 and self.held:
            intent = self.held.pop()
            act = self.random.choice(["capture", "cancel"])
            self.send(f"/v1/payment_intents/{intent}/{act}", {})
        else:
            token = self.random.choice(["pm_card_visa"] * 9 + ["pm_card_chargeDeclined"])
            method = self.random.choice(["automatic", "automatic", "manual"])
            made = self.send("/v1/payment_intents", {
                "amount": "2000", "currency": "usd", "confirm": "true", "payment_method": token,
                "capture_method": method})
            if made:
                (self.paid if method == "automatic" else self.held).append(made["id"])

    def run(self):
        try:
            while not self.ended.is_set() and not self.unanswered:
                self.step()
        except Exception as error:  # a thread's exception would go unnoticed
            self.failure = error


def one_round(server, number):
    workers = [Worker(server, number * 1000 + index) for index in range(CLIENTS)]
    chance = random.Random(number)
    for worker in workers:
        worker.start()
    wanted = chance.randrange(50, 250)
    wait_until(lambda: sum(len(worker.acknowledged) for worker in workers) >= wanted
               or any(worker.failure for worker in workers), 60, "enough payments")
    time.sleep(chance.random() * 0.01)  # so that the blow falls anywhere, not after an answer
    server.kill()
    for worker in workers:
        worker.ended.set()
        worker.join(60)
        assert not worker.is_alive()
        if worker.failure:
            raise worker.failure
    return workers


def check_acknowledged(books, workers):
    """Each acknowledged request is there as it was told. That it is there once is in the count."""
    intents = {intent.id: intent for intent in books.intents}
    refunds = {refund.id: refund for refund in books.refunds}
    for worker in workers:
        for _, path, _, status, content in worker.acknowledged:
            told = json.loads(content)
            if status == 402:
                intent = intents[told["error"]["payment_intent"]["id"]]
                assert intent.status == "requires_payment_method"
            elif path == "/v1/refunds":
                refund = refunds[told["id"]]
                assert refund.status == "succeeded" and refund.amount == told["amount"]
            elif told["status"] in ("succeeded", "canceled"):
                assert intents[told["id"]].status == told["status"]
            else:
                # A hold may have been captured or canceled by a later request.
                assert intents[told["id"]].status in ("requires_capture", "succeeded", "canceled")


def ask(http, key, path, body):
    """The answer under a key, once the request that runs under it has ended."""
    return wait_until(
        lambda: (answer := http.post(path, body, headers={"Idempotency-Key": key}))
        .status_code != 409 and [answer], 10, "the end of a retry")[0]


def retry_unanswered(server, workers):
    """Who got no answer asks again with the key: answers what came of it, as (path, status)."""
    http, outcomes = Http(server, validate=False), []
    for worker in workers:
        for key, path, body in worker.unanswered:
            first = ask(http, key, path, body)
            assert first.status_code in (200, 402), first.text
            again = http.post(path, body, headers={"Idempotency-Key": key})
            assert again.headers["Idempotent-Replayed"] == "true"
            assert again.content == first.content
            outcomes.append((path, first.status_code))
    return outcomes


def repeat_acknowledged(server, workers, chance):
    """Who asks again although there was an answer gets the same one, and nothing happens."""
    http = Http(server, validate=False)
    acknowledged = [entry for worker in workers for entry in worker.acknowledged]
    for key, path, body, status, content in chance.sample(acknowledged, 20):
        again = http.post(path, body, headers={"Idempotency-Key": key})
        assert (again.status_code, again.content) == (status, content)
        assert again.headers["Idempotent-Replayed"] == "true"


class Count:
    """How many intents and refunds there must be, by what was acknowledged."""

    def __init__(self, outcomes):
        outcomes = list(outcomes)
        self.intents = sum(path == "/v1/payment_intents" for path, _ in outcomes)
        self.refunds = sum(path == "/v1/refunds" and status == 200 for path, status in outcomes)


def restart(server):
    """The next start answers a request in time: the processor's from its launch on, of which a busy machine
    does not give it less."""
    server.start()
    sdk(server).v1.balance.retrieve()
    took = cpu_seconds(server.process.pid)
    assert took < RESTART_SECONDS, f"the restart took {took} s"
    return took


def test_kill_under_load(make_server):
    server = make_server("--ledger-segment-size=4m")
    everyone, slowest, intents, refunds = [], 0, 0, 0
    for number in range(ROUNDS):
        workers = one_round(server, number)
        everyone += workers
        slowest = max(slowest, restart(server))
        books = settled(server)
        check_acknowledged(books, workers)
        known = Count((entry[1], entry[3]) for worker in workers for entry in worker.acknowledged)
        open_intents = sum(entry[1] == "/v1/payment_intents"
                           for worker in workers for entry in worker.unanswered)
        open_refunds = sum(entry[1] == "/v1/refunds"
                           for worker in workers for entry in worker.unanswered)
        assert known.intents <= len(books.intents) - intents <= known.intents + open_intents
        assert known.refunds <= len(books.refunds) - refunds <= known.refunds + open_refunds
        repeat_acknowledged(server, workers, random.Random(number))
        retried = Count(retry_unanswered(server, workers))
        after = settled(server)
        # With every request answered, there is one object for each that asked for one.
        intents += known.intents + retried.intents
        refunds += known.refunds + retried.refunds
        assert len(after.intents) == intents and len(after.refunds) == refunds
        # What a kill leaves behind is proved offline as well, not only at the end.
        server.kill()
        server.check_ledger()
        server.start()
    reconciled(server, 30)
    check_acknowledged(Books(server), everyone)
    print(f"{ROUNDS} kills, {intents} payments, {refunds} refunds, slowest restart {slowest:.2f} s")


def test_kill_while_starting(make_server):
    """A start may itself be killed at any moment."""
    server = make_server()
    client = sdk(server)
    ids = [client.v1.payment_intents.create({
        "amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
    }).id for _ in range(20)]
    server.kill()
    chance = random.Random(7)
    for _ in range(40 if LONG else 8):
        process = subprocess.Popen(
            [str(PROGRAM), "server", f"--data={server.data}", "--listen=127.0.0.1:0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=without_tael_settings())
        time.sleep(chance.random() * 0.03)
        process.kill()
        process.wait()
    server.start()
    books = settled(server)
    assert sorted(intent.id for intent in books.intents) == sorted(ids)


def test_second_server_on_the_same_folder_is_refused(make_server):
    server = make_server()
    result = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0", timeout=30)
    assert result.returncode != 0
    assert str(server.data) in result.stderr
    sdk(server).v1.balance.retrieve()
