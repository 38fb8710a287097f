"""One process after the other of a split deployment is killed under load and started again: nothing
is lost, nothing is done twice, the books agree, no wallet goes below zero."""

import random
import time

import pytest

from kit.books import everything, reconciled, settled
from kit.client import Http, sdk
from kit.cluster import ROLES, Cluster
from kit.load import FUNDS, LIMITS, Client, check_payments, check_wallets
from kit.server import LONG, wait_until
from kit.together import finish
from kit.wallets import Wallets

ROUNDS = 12 if LONG else 1
CLIENTS = 12
WALLETS = 4
BETWEEN = 1.0
DOWN = 0.3


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path / "cluster", "--ledger-segment-size=4m", LIMITS).start()
    yield made
    made.close()


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
    finish(clients)
    books = settled(cluster)
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
    books = settled(cluster)
    assert [one.status for one in books.intents] == ["succeeded"] * 6
    assert len(everything(client, client.v1.charges)) == 6
    reconciled(cluster, 30)
