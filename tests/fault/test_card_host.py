"""The card network over ISO 8583 amid kills, cuts and lost answers: one outcome, and the money agrees."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from kit.audit import audited
from kit.books import metrics, reconciled, settled
from kit.card_host import CardHost
from kit.client import Http, sdk
from kit.iso8583 import Between
from kit.server import LONG, wait_until

LOOKS_INTO_PROCESS = True
PAYMENTS = 400 if LONG else 60
FLAGS = ("--attempt-lease=1s", "--rail-timeout=1s", "--card-network-echo=1s",
         "--settlement-delay=2s", "--authorization-hold=6s")  # for the audit, which waits for all that ends by time


@pytest.fixture
def host(tmp_path):
    made = CardHost(tmp_path / "host", "--late-by=1200ms").start()
    yield made
    made.stop()


def on(make_server, host, wire=None):
    """A server whose network is that host; `wire`: with this between them."""
    server = make_server(*FLAGS, *((wire.flag,) if wire else host.server_flags), start=False)
    server.network_data = host.folder
    return server.start()


class Traffic:
    """Payments, captures, cancellations and refunds, until all were tried or the block ends."""

    def __init__(self, server):
        self.server = server
        self.told = {}  # intent: what its client heard last
        self.stopped = threading.Event()

    def life(self, number):
        if self.stopped.is_set():
            return
        http = Http(self.server, validate=False)
        hold = number % 2 == 0
        body = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
                **({"capture_method": "manual"} if hold else {})}
        key = {"Idempotency-Key": f"payment-{number}"}
        try:
            made = http.post("/v1/payment_intents", body, headers=key)
            if made.status_code != 200:
                return
            intent = made.json()["id"]
            self.told[intent] = made.json()["status"]
            if hold:
                act = "capture" if number % 4 == 0 else "cancel"
                answer = http.post(f"/v1/payment_intents/{intent}/{act}")
                if answer.status_code == 200:
                    self.told[intent] = answer.json()["status"]
            elif number % 3 == 0:
                http.post("/v1/refunds", {"payment_intent": intent, "amount": "700"})
        except requests.RequestException:
            pass  # the server was killed: nobody was told anything

    def run(self, number_of=PAYMENTS, workers=6):
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(self.life, range(number_of)))


def all_is_well(server, told):
    """At rest: the books, the network's memory and what clients heard are one."""
    books = settled(server)
    found = {intent.id: intent.status for intent in books.intents}
    for intent, status in told.items():
        if status in ("succeeded", "canceled"):
            assert found[intent] == status, (intent, status, found[intent])
    wait_until(lambda: all(refund.status == "succeeded" for refund in
                           sdk(server).v1.refunds.list({"limit": 100}).data), 20, "the refunds")
    settled(server)
    assert metrics(server)["tael_attempts_open"] == 0
    assert metrics(server)["tael_network_reversals_waiting"] == 0
    reconciled(server, 30)
    audited(server)
    return found


def restart(server):
    """Retries come at growing intervals; a start takes up everything at once."""
    server.stop()
    server.start()


def test_host_killed(make_server, host):
    """kill -9 of the host, several times amid payments: its server goes on, and forgets nothing."""
    server = on(make_server, host)
    traffic = Traffic(server)
    worker = threading.Thread(target=traffic.run)
    worker.start()
    for _ in range(10 if LONG else 3):
        time.sleep(random.uniform(0.1, 0.5))
        host.kill()
        time.sleep(random.uniform(0.0, 0.4))
        host.start()
    worker.join()
    restart(server)
    found = all_is_well(server, traffic.told)
    assert "succeeded" in found.values()


def test_server_killed(make_server, host):
    """NETWORK-2, NETWORK-4: what the host had done is found by id, and repeated with no second effect."""
    server = on(make_server, host)
    for round_number in range(6 if LONG else 2):
        traffic = Traffic(server)
        traffic.life = lambda number, of=traffic, r=round_number: Traffic.life(of, r * 10_000 + number)
        worker = threading.Thread(target=traffic.run)
        worker.start()
        time.sleep(random.uniform(0.3, 0.8))
        server.kill()
        traffic.stopped.set()
        worker.join()
        server.start()
        all_is_well(server, traffic.told)


def test_connections_cut(make_server, host):
    wire = Between(host.port)
    server = on(make_server, host, wire)
    traffic = Traffic(server)
    worker = threading.Thread(target=traffic.run)
    worker.start()
    while worker.is_alive():
        time.sleep(random.uniform(0.02, 0.2))
        wire.end_all()
    restart(server)
    all_is_well(server, traffic.told)
    server.stop()
    wire.close()


@pytest.mark.parametrize("kinds", [
    ("0110", "0210"), ("0230", "0430"), ("0100", "0200", "0101", "0201"),
], ids=["answers", "answers to advices", "requests"])
def test_messages_lost(make_server, host, kinds):
    """Every third message of these kinds is lost on the wire."""
    wire = Between(host.port)
    count = iter(range(10**9))
    wire.drop = lambda message: message["type"] in kinds and next(count) % 3 == 0
    server = on(make_server, host, wire)
    traffic = Traffic(server)
    traffic.run()
    wire.drop = lambda message: False
    restart(server)
    all_is_well(server, traffic.told)
    assert next(count) > 3
    server.stop()
    wire.close()


@pytest.mark.parametrize("fault", ["lost", "late", "twice", "dropped"])
def test_faults(make_server, host, fault):
    """Those that the host has settings for."""
    server = on(make_server, host)
    host.stop()
    host.start(f"--issuer-{fault}-per-mille=300")
    traffic = Traffic(server)
    traffic.run(PAYMENTS // 2)
    time.sleep(1.5)  # what is late arrives
    if fault in ("late", "twice"):
        wait_until(lambda: metrics(server)["tael_network_unmatched_total"] > 0, 10, "an answer to nothing")
    host.stop()
    host.start()
    restart(server)
    all_is_well(server, traffic.told)


def test_garbage_from_the_host(make_server, host):
    """What is no message ends the connection, not the server; the payment is found out about."""
    wire = Between(host.port)
    server = on(make_server, host, wire)
    client = sdk(server)
    wait_until(lambda: metrics(server)["tael_network_signed_on"] > 0, 30, "signed on")
    client.v1.payment_intents.create({"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa",
                                      "confirm": True})
    for client_side, _ in list(wire.pairs):
        client_side.sendall(b"\x00\x0401x0")
    wait_until(lambda: metrics(server)["tael_network_malformed_total"] >= 1, 10, "what was refused")
    client.v1.payment_intents.create({"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa",
                                      "confirm": True})
    all_is_well(server, {})
    server.stop()
    wire.close()
