"""The books of a merchant and of wallets move to another shard and back while they are paid by card, refunded
and send money: no request fails, nothing is done twice, and what was held before is captured behind the move.
With the wallets beside their merchant, and with each in a slot of its own, where transfers cross."""

import pytest

from kit.books import reconciled, settled
from kit.client import Http
from kit.load import FUNDS, LIMITS, Client, check_payments, check_wallets
from kit.needs import needs_postgres
from kit.server import LONG, run_tael, wait_until
from kit.shards import shard_of_owner
from kit.together import finish
from kit.wallets import Wallets, check_statement, refused
from test_shards_move import Two, database  # noqa: F401

CLIENTS = 6
WALLETS = 6
ROUNDS = 8 if LONG else 1
PAUSE = 0.02  # of a client between requests: the machine that runs the tests has other work


class Paid(Two):
    """Its operators' page is not where the merchants ask."""

    def metrics_urls(self):
        return [self.processes["api"].operators]


def placed(*engines):
    return [pytest.param(placement, engine, id=f"{placement}-{engine or 'journal'}",
                         marks=[needs_postgres] if engine else [])
            for placement in ("merchant", "wallet") for engine in engines]


@pytest.fixture
def two(tmp_path, request, placement, engine):
    base = request.getfixturevalue("database") if engine else None
    if base is not None:
        base.sql("DROP SCHEMA IF EXISTS ledger_a CASCADE; DROP SCHEMA IF EXISTS ledger_b CASCADE")
    made = Paid(tmp_path / "cluster", LIMITS, f"--wallet-placement={placement}", "--bank-settle=100ms",
                database=base, on_postgres=engine)
    yield made.start()
    made.close()


def balanced(server):
    """What all shards have in the currency, also on its way, is zero."""
    shown = run_tael("ledger", "accounts", "--currency=usd", "--consistent", f"--url={server.url}",
                     f"--data={server.data}")
    assert shown.returncode == 0, shown.stderr
    assert "USD test: debits and credits are equal" in shown.stdout


def moved(two, *words):
    done = two.run_shards("move", *words)
    assert done.returncode == 0, done.stderr


def start(two, everyone):
    clients = [Client(two, everyone, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.pause = PAUSE
        client.start()
    return clients


def go_on(clients):
    """Each of them is told something that it asked by the new map."""
    told = [len(client.told) for client in clients]
    wait_until(lambda: any(client.failure for client in clients) or all(
        len(client.told) > before + 1 for client, before in zip(clients, told, strict=True)), 10,
        "payments by the new map")


def on_both_shards(wallets):
    """A wallet with money in the lower half of the slots, and one in the upper."""
    found = {}
    while len(found) < 2:
        made = wallets.wallet()
        found.setdefault(shard_of_owner(made, 2), made)
    wallets.fund(found[0], 1000)
    return found[0], found[1]


@pytest.mark.parametrize(("placement", "engine"), placed("", "b"))
def test_payments_go_on(two, placement, engine):
    wallets, http = Wallets(two), Http(two, validate=False)
    everyone = [wallets.wallet(FUNDS) for _ in range(WALLETS)]
    held = http.post("/v1/payment_intents", {
        "amount": "5000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "capture_method": "manual", "metadata[key]": "held"}).json()
    assert held["status"] == "requires_capture"
    clients = start(two, everyone)
    two.add()
    moved(two, "--even")
    payer, payee = on_both_shards(wallets)
    aside = wallets.post(f"/v1/wallets/{payer}/holds", to=payee, amount=600)
    for _ in range(ROUNDS):
        for leaves in ("ledger-a", "ledger-b"):
            moved(two, "--even", f"--without={leaves}")
            go_on(clients)
        moved(two, "--even")
        go_on(clients)
    moved(two, "--even", "--without=ledger-a")
    finish(clients)
    assert [trouble.why for client in clients for trouble in client.troubles] == []
    captured = http.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": "3000"})
    assert captured.json()["status"] == "succeeded", captured.text
    done = wallets.post(f"/v1/wallet_holds/{aside['id']}/capture", amount=250)
    assert done["status"] == "captured"
    assert wallets.available(payer) == 750
    wait_until(lambda: wallets.available(payee) == 250, 5, "the capture")
    books = settled(two)
    check_payments(books, clients)
    check_wallets(two, wallets, [*everyone, payer, payee], clients, FUNDS * WALLETS + 1000)
    reconciled(two)
    balanced(two)
    assert two.verify()["good"]


@pytest.mark.parametrize(("placement", "engine"), [("wallet", "")])
def test_a_hold_between_two_slots_of_one_shard_moves(two, placement, engine):
    """Both wallets are on one shard; one of them moves while money is held for it, cut off in between and done
    again, then the other one. What is held is captured or released once."""
    wallets = Wallets(two)
    payer, payee = on_both_shards(wallets)
    holds = [wallets.post(f"/v1/wallets/{payer}/holds", to=payee, amount=amount)["id"] for amount in (600, 50)]
    assert (wallets.available(payer), wallets.balance(payee)["incoming"]) == (350, 0)
    two.add()
    for step in ("copy", "verify", "clean-up"):
        cut = two.run_shards("move", "--even", f"--stop-before={step}")
        assert cut.returncode == 1 and "stopped before" in cut.stderr, cut.stderr
    moved(two, "--even")
    wallets.post(f"/v1/wallet_holds/{holds[0]}/capture", amount=250)
    moved(two, "--even", "--without=ledger-a")
    wallets.post(f"/v1/wallet_holds/{holds[1]}/release")
    for done in holds:
        error = refused(wallets.post, f"/v1/wallet_holds/{done}/capture")
        assert error.code == "wallet_hold_unexpected_state"
    assert wallets.available(payer) == 750
    wait_until(lambda: wallets.available(payee) == 250, 5, "the capture")
    balanced(two)
    assert two.verify()["good"]
