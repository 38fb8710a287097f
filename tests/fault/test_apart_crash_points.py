"""A wallet that pays a merchant on another shard, all of it or a part beside a card, and a crash behind each step
of it: the payment is made once, with its fee, or it is not made at all."""

import contextlib
import json
import uuid

import pytest
import requests

from kit.books import merchant_of, metrics, reconciled
from kit.client import Http, pay, sdk
from kit.server import Server, run_tael, wait_until, within
from kit.shards import shard_of_owner
from kit.wallets import Wallets, check_statement
from test_crash_points import points_in_sources

SHARDS = 4
FUNDS, AMOUNT, PART = 10_000, 2500, 700
POINTS = ["authorize-before-post", "apart-before-fee", "authorize-before-finish"]
SPLIT_POINTS = ["authorize-before-post", "apart-before-card", "authorize-before-finish"]
RESTART_SECONDS = 25  # the lease of the dead worker, 30 s, is not waited for


def test_every_point_is_visited():
    assert {point for point in points_in_sources() if point.startswith("apart-")} <= {
        *POINTS, *SPLIT_POINTS}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("apart") / "cluster", "--wallet-placement=wallet",
                  cluster=True, shards=SHARDS).start()
    pay(sdk(made, validate=False))
    yield made
    made.close()


def far_wallet(server):
    """One with money that is not on the merchant's shard."""
    wallets = Wallets(server)
    home = shard_of_owner(merchant_of(server), SHARDS)
    made = wallets.wallet()
    while shard_of_owner(made, SHARDS) == home:
        made = wallets.wallet()
    wallets.fund(made, FUNDS)
    return made


def revenue(server):
    """All that the platform earned, on every shard."""
    shown = run_tael("ledger", "accounts", "--account=fee-revenue", "--currency=usd", "--json",
                     f"--url={server.url}", f"--data={server.data}", check=True)
    accounts = json.loads(shown.stdout)["accounts"]
    return sum(int(one["credits_posted"]) - int(one["debits_posted"]) for one in accounts)


def ask(server, wallet, key, part):
    body = {"amount": AMOUNT, "currency": "usd", "confirm": "true"}
    if part == AMOUNT:
        body |= {"payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": wallet}
    else:
        body |= {"payment_method": "pm_card_visa", "split[wallet]": wallet, "split[amount]": part}
    return Http(server, validate=False).post("/v1/payment_intents", body,
                                             headers={"Idempotency-Key": key})


def crashed(server):
    """The process of the API is dead, and with it the cluster ends."""
    wait_until(lambda: server.process.poll() is not None, 60, "the end of the cluster")
    assert "ended by itself (signal 9)" in server.log()
    server.process = None


def killed_while_paying(server, point, part=AMOUNT):
    wallet, key, earned = far_wallet(server), str(uuid.uuid4()), revenue(server)
    server.stop()
    server.start(fault=f"{point}:crash")
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(server, wallet, key, part)
    crashed(server)
    return wallet, key, earned, part


def check_made_once(server, wallet, key, earned, part):
    answer = within(lambda: (one := ask(server, wallet, key, part)).status_code != 409 and [one],
                    RESTART_SECONDS, "the outcome")[0]
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    within(lambda: metrics(server)["tael_attempts_open"] == 0, RESTART_SECONDS, "the end")
    wallets = Wallets(server)
    assert wallets.available(wallet) == FUNDS - part
    assert [line["amount"] for line in check_statement(wallets, wallet)] == [FUNDS, -part]
    client = sdk(server, validate=False)
    charge = client.v1.charges.retrieve(answer.json()["latest_charge"])
    fee = client.v1.balance_transactions.retrieve(charge.balance_transaction).fee
    assert fee > 0 and revenue(server) == earned + fee
    reconciled(server, 30)


@pytest.mark.parametrize("point", POINTS)
def test_crash(cluster, point):
    story = killed_while_paying(cluster, point)
    cluster.start()
    check_made_once(cluster, *story)


@pytest.mark.parametrize("point", SPLIT_POINTS)
def test_crash_of_a_split(cluster, point):
    story = killed_while_paying(cluster, point, PART)
    cluster.start()
    check_made_once(cluster, *story)


def test_crash_while_repairing(cluster):
    """The sweeper dies where the first process did."""
    story = killed_while_paying(cluster, "apart-before-fee")
    with contextlib.suppress(AssertionError):  # it may be over before everybody has started
        cluster.start(fault="apart-before-fee:crash")
    crashed(cluster)
    cluster.start()
    check_made_once(cluster, *story)
