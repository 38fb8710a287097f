"""A crash between any two steps of a wallet's flow: somebody finishes it, and there is one outcome.

As test_crash_points.py: each test makes the process die at one point, starts it again on the same
folder, and waits for documents and ledger to agree, and for the key to have its final answer.
"""

import contextlib
import uuid

import pytest
import requests

from kit.books import metrics
from kit.server import skip_without_fault_points, wait_until, within
from kit.wallets import Refused, Wallets, check_statement
from test_crash_points import points_in_sources

# Paid when it is asked for the second time, back some looks later.
# A second look, a second or two behind the first, has to find it paid and not yet sent back.
FAST = ("--bank-settle=100ms", "--bank-return=5s")
RESTART_SECONDS = 20  # as in test_crash_points


class Story:
    """Two wallets of 1000, and a request whose process dies."""

    def __init__(self, server):
        self.wallets = Wallets(server)
        self.source = self.wallets.wallet(1000)
        self.target = self.wallets.wallet(1000)
        self.key = str(uuid.uuid4())
        self.body = {}

    def prepare(self, act):
        wallets, source, target = self.wallets, self.source, self.target
        if act == "send":
            self.path = "/v1/wallet_transfers"
            self.body = {"from": source, "to": target, "amount": 300, "currency": "usd"}
        elif act == "overdraw":
            self.prepare("send")
            self.body["amount"] = 1001
        elif act == "pay":
            asked = wallets.post("/v1/wallet_requests", **{"from": source}, to=target,
                                 amount=300, currency="usd")
            self.path = f"/v1/wallet_requests/{asked['id']}/pay"
        elif act in ("hold", "hold too much"):
            self.path = f"/v1/wallets/{source}/holds"
            self.body = {"to": target, "amount": 300 if act == "hold" else 1001}
        elif act in ("capture", "release"):
            made = wallets.post(f"/v1/wallets/{source}/holds", to=target, amount=500)
            self.path = f"/v1/wallet_holds/{made['id']}/{act}"
            self.body = {"amount": 300} if act == "capture" else {}
        elif act in ("close", "close full"):
            if act == "close":
                wallets.send(source, target, 1000)
            self.path = f"/v1/wallets/{source}/close"
        else:
            self.path = f"/v1/wallets/{source}/withdrawals"
            self.body = {"amount": 300, "bank_account[account_number]": {
                "withdraw": "000123456789", "withdraw in vain": "000111111116",
                "withdraw and back": "000333333335"}[act]}

    def ask(self):
        return self.wallets.http.post(self.path, self.body,
                                      headers={"Idempotency-Key": self.key})

    def final(self):
        """The answer, once whoever took the work up has ended it: until then the key is in use."""
        return within(lambda: (answer := self.ask()).status_code != 409 and [answer],
                      RESTART_SECONDS, "the outcome")[0]


# What is asked; the points on its way; the answer under its key afterwards; what both wallets have
# posted and held in the end.
STORIES = [
    ("send", ["wallet-transfer-before-post", "wallet-transfer-before-finish"],
     "succeeded", (700, 0), (1300, 0)),
    ("overdraw", ["wallet-transfer-before-post", "wallet-transfer-before-finish"],
     "wallet_insufficient_funds", (1000, 0), (1000, 0)),
    ("pay", ["wallet-transfer-before-post", "wallet-transfer-before-finish"],
     "paid", (700, 0), (1300, 0)),
    ("hold", ["wallet-hold-before-post", "wallet-hold-before-finish"],
     "active", (1000, 300), (1000, 0)),
    ("hold too much", ["wallet-hold-before-post", "wallet-hold-before-finish"],
     "wallet_insufficient_funds", (1000, 0), (1000, 0)),
    ("capture", ["wallet-hold-before-release", "wallet-hold-before-end"],
     "captured", (700, 0), (1300, 0)),
    ("release", ["wallet-hold-before-release", "wallet-hold-before-end"],
     "released", (1000, 0), (1000, 0)),
    ("close", ["wallet-close-before-post", "wallet-close-before-finish"],
     "closed", (0, 0), (2000, 0)),
    ("close full", ["wallet-close-before-post", "wallet-close-before-finish",
                    "wallet-close-before-reopen"],
     "wallet_not_empty", (1000, 0), (1000, 0)),
    ("withdraw", ["wallet-withdrawal-before-post", "wallet-withdrawal-before-finish"],
     "pending", (700, 0), (1000, 0)),
]
# Points that the sweeper passes, after the answer.
LATER = [
    ("withdraw", ["wallet-withdrawal-before-pay", "wallet-withdrawal-before-end",
                  "wallet-withdrawal-before-paid"], "paid", 700),
    ("withdraw in vain", ["wallet-withdrawal-before-pay", "wallet-withdrawal-before-end",
                          "wallet-withdrawal-before-failed"], "failed", 1000),
    ("withdraw and back", ["wallet-withdrawal-before-paid", "wallet-withdrawal-before-return",
                           "wallet-withdrawal-before-returned"], "returned", 1000),
]


GIVEN = "wallet-withdrawal-before-given"


def test_every_point_is_visited():
    visited = {point for _, points, *_ in STORIES + LATER for point in points} | {GIVEN}
    ours = {point for point in points_in_sources() if point.startswith("wallet-")}
    assert ours == visited


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


def reconciled(server):
    began = metrics(server)["tael_wallet_reconcile_runs_total"]
    wait_until(lambda: metrics(server)["tael_wallet_reconcile_runs_total"] >= began + 2, 15,
               "a comparison of documents and ledger")
    assert metrics(server)["tael_wallet_differences"] == 0, server.log()


def settled(server):
    def quiet():
        wallets = Wallets(server)
        return metrics(server)["tael_wallet_attempts_open"] == 0 and all(
            one["status"] != "pending" for kind in ("transfers", "holds")
            for one in wallets.everything(f"/v1/wallet_{kind}"))

    within(quiet, RESTART_SECONDS, "the end of every attempt")


def started_story(make_server, act, point):
    """The server runs until the story's request; then it has the fault."""
    server = make_server(*FAST)
    story = Story(server)
    story.prepare(act)
    server.stop()
    server.start(fault=f"{point}:crash")
    story.wallets = Wallets(server)
    return server, story


def check_end(server, story, source, target):
    wallets = Wallets(server)
    for wallet, (posted, held) in ((story.source, source), (story.target, target)):
        wait_until(lambda w=wallet, h=held: wallets.balance(w)["held"] == h, 10, "what is held")
        assert wallets.balance(wallet)["posted"] == posted
        check_statement(wallets, wallet)
    reconciled(server)


@pytest.mark.parametrize("act, point, wanted, source, target", [
    (act, point, *rest) for act, points, *rest in STORIES for point in points])
def test_crash(make_server, act, point, wanted, source, target):
    server, story = started_story(make_server, act, point)
    with pytest.raises(requests.exceptions.ConnectionError):
        story.ask()
    server.wait_for_crash()
    server.start()
    settled(server)
    story.wallets = Wallets(server)
    answer = story.final()
    assert answer.headers.get("Idempotent-Replayed") == "true"
    assert story.ask().content == answer.content
    shown = answer.json()
    assert wanted == (shown["status"] if answer.status_code == 200 else shown["error"]["code"])
    check_end(server, story, source, target)


@pytest.mark.parametrize("act, point, status, posted", [
    (act, point, *rest) for act, points, *rest in LATER for point in points])
def test_crash_of_the_sweeper(make_server, act, point, status, posted):
    server, story = started_story(make_server, act, point)
    with contextlib.suppress(requests.exceptions.ConnectionError):
        assert story.ask().json()["status"] == "pending"  # unless the sweeper was quicker
    server.wait_for_crash()
    server.start()
    (made,) = Wallets(server).everything("/v1/wallet_withdrawals")
    Wallets(server).wait_for(f"/v1/wallet_withdrawals/{made['id']}", status)
    check_end(server, story, (posted, 0), (1000, 0))


@pytest.mark.parametrize("act, first, second", [
    ("send", "wallet-transfer-before-post", "wallet-transfer-before-finish"),
    ("send", "wallet-transfer-before-finish", "wallet-transfer-before-finish"),
    ("overdraw", "wallet-transfer-before-finish", "wallet-transfer-before-finish"),
    ("capture", "wallet-hold-before-end", "wallet-hold-before-end"),
    ("close full", "wallet-close-before-reopen", "wallet-close-before-finish"),
])
def test_crash_while_repairing(make_server, act, first, second):
    server, story = started_story(make_server, act, first)
    with pytest.raises(requests.exceptions.ConnectionError):
        story.ask()
    server.wait_for_crash()
    server.start(fault=f"{second}:crash", dies=True)
    server.start()
    settled(server)
    story.wallets = Wallets(server)
    _, _, wanted, source, target = next(one for one in STORIES if one[0] == act)
    answer = story.final()
    shown = answer.json()
    assert wanted == (shown["status"] if answer.status_code == 200 else shown["error"]["code"])
    check_end(server, story, source, target)


def test_limits_are_given_back_after_a_crash(make_server):
    """What was counted for a transfer that the ledger refused is free again, once."""
    server, story = started_story(make_server, "overdraw", "wallet-transfer-before-finish")
    before = story.wallets.get(f"/v1/wallets/{story.source}")["limits"]
    with pytest.raises(requests.exceptions.ConnectionError):
        story.ask()
    server.wait_for_crash()
    server.start()
    settled(server)
    wallets = Wallets(server)
    assert wallets.get(f"/v1/wallets/{story.source}")["limits"] == before
    with pytest.raises(Refused):
        wallets.send(story.source, story.target, 1001)
    assert wallets.get(f"/v1/wallets/{story.source}")["limits"] == before


def test_crash_while_a_returned_withdrawal_is_given(make_server):
    """It is not known then, and only the same again ends it; it moves once."""
    server = make_server("--bank-settle=100ms", "--bank-return=3s", start=False)
    server.start(fault=f"{GIVEN}:crash")
    wallets = Wallets(server)
    purse, other, third = wallets.wallet(400), wallets.wallet(), wallets.wallet()
    made = wallets.post(f"/v1/wallets/{purse}/withdrawals", amount=400,
                        bank_account={"account_number": "000333333335"})
    path = f"/v1/wallet_withdrawals/{made['id']}"
    wallets.wait_for(path, "paid")
    wallets.post(f"/v1/wallets/{purse}/close")
    wallets.wait_for(path, "returned")
    with pytest.raises(requests.exceptions.ConnectionError):
        wallets.post(f"{path}/give", wallet=other)
    server.wait_for_crash()
    server.start()
    refusal = wallets.http.post(f"{path}/give", {"wallet": third}).json()["error"]
    assert refusal["code"] == "wallet_withdrawal_unexpected_state"
    assert wallets.post(f"{path}/give", wallet=other)["returned_to"] == other
    assert (wallets.available(other), wallets.available(third)) == (400, 0)
    reconciled(server)
