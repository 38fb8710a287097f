"""Participants of transactions: one that does what it is told, and the sample as a process."""

import json
import os
import subprocess
import sys

import requests
import stripe

from kit.client import Http
from kit.receiver import Receiver
from kit.server import ROOT, wait_until

SAMPLE = ROOT / "examples" / "participant" / "participant.py"
AGREES = {"prepare": "prepared", "commit": "committed", "abort": "aborted"}


class Scripted:
    """Answers as `plan` says, by action: a state, or whatever a Receiver may answer, or a function
    of the request that gives one of these. Keeps what it was asked."""

    def __init__(self, server, name="The shop", key=None, **plan):
        self.plan = {**AGREES, **plan}
        self.receiver = Receiver(self.answer)
        made = Http(server, key=key).post("/v1/participants", {
            "name": name, "url": self.receiver.url("/takes-part")}).json()
        self.id, self.secret = made["id"], made["secret"]

    def answer(self, received):
        planned = self.plan.get(received.event["action"], 400)
        if callable(planned):
            planned = planned(received.event)
        if isinstance(planned, str):
            return 200, json.dumps({"state": planned}).encode()
        return planned

    def asked(self, transaction=None):
        """The actions so far, of all transactions or one."""
        return [one.event["action"] for one in self.receiver.events()
                if transaction in (None, one.event["id"])]

    def verified(self):
        """Everything that came, by Stripe's function."""
        for one in self.receiver.events():
            stripe.WebhookSignature.verify_header(
                one.body.decode(), one.headers["Stripe-Signature"], self.secret, 300)
        return self.receiver.events()

    def close(self):
        self.receiver.close()


class Warehouse:
    """The sample of examples/, which may be killed and started again on its store."""

    def __init__(self, server, folder, **stock):
        self.store = folder / "warehouse.db"
        self.stock = [f"--stock={article}={count}" for article, count in stock.items()]
        self.server, self.process, self.port, self.secret = server, None, 0, "whsec_none"
        self.id = None
        self.start()
        made = Http(server).post("/v1/participants", {
            "name": "The warehouse", "url": f"http://127.0.0.1:{self.port}/"}).json()
        self.id, self.secret = made["id"], made["secret"]
        self.kill()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(SAMPLE), f"--listen=127.0.0.1:{self.port}",
             f"--store={self.store}", *self.stock],
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TAEL_PARTICIPANT_SECRET": self.secret})
        line = self.process.stdout.readline()
        assert line.startswith("listening on"), line
        self.port = int(line.rpartition(":")[2])

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def shelf(self, article):
        """How many are on sale, reserved, and gone."""
        session = requests.Session()
        session.trust_env = False
        told = session.get(f"http://127.0.0.1:{self.port}/stock/{article}", timeout=60).json()
        return told["on_sale"], told["reserved"], told["gone"]


def transaction_of(server, intent, older=0):
    """The newest of the intent, or the one that is so many older."""
    found = Http(server).get(f"/v1/transactions?owner={intent}").json()["data"]
    return found[older] if len(found) > older else None


def ended(server, intent, status, seconds=10, older=0):
    """Waits until the newest transaction of the intent is so, or one that is so many older."""
    def is_so():
        found = transaction_of(server, intent, older)
        return found if found is not None and found["status"] == status else None
    return wait_until(is_so, seconds, f"{intent}: {status}")
