"""A crash between any two steps of a payout: somebody finishes it, and there is one outcome.

As test_crash_points.py: each test makes the process die at one point, starts it again on the same
folder, and waits for documents and ledger to agree, and for the key to have its final answer.
"""

import contextlib
import time
import uuid

import pytest
import requests
import stripe

from kit.audit import audited
from kit.books import reconciled
from kit.client import Http, pay, sdk
from kit.payouts import GOOD, available, bank_account, fund, own_account, payout
from kit.server import skip_without_fault_points, wait_until, within
from test_crash_points import points_in_sources

# Refused and paid when it is asked for the second time, back some looks later.
FAST = ("--bank-settle=100ms", "--bank-return=5s", "--attempt-lease=1s")
RESTART_SECONDS = 20  # as in test_crash_points

# What is asked; the points on its way; its answer afterwards; what of 1000 has left the balance.
STORIES = [
    ("create", ["payout-before-hold", "payout-before-created"], "pending", 1000),
    ("overdraw", ["payout-before-hold", "payout-before-created"], "balance_insufficient", 0),
    ("cancel", ["payout-before-void", "payout-before-canceled"], "canceled", 0),
]
# Points that the sweeper passes, by the bank account: behind the answer.
LATER = [
    (GOOD, ["payout-before-pay", "payout-before-end", "payout-before-paid"], "paid", 1000),
    ("000111111116", ["payout-before-pay", "payout-before-end", "payout-before-failed"], "failed", 0),
    ("000222222227", ["payout-before-pay", "payout-before-end", "payout-before-failed"], "failed", 0),
    ("000333333335", ["payout-before-paid", "payout-before-return", "payout-before-returned"],
     "failed", 0),
    ("000666666660", ["payout-before-pay", "payout-before-end", "payout-before-paid"], "paid", 1000),
]


# Points of a day of a schedule, which is a second here.
ON_SCHEDULE = ["payout-before-most", "payout-before-automatic", "payout-before-day-over"]
DAYS = (*FAST, "--payout-day=1s", "--payout-delay=1h")


def test_every_point_is_visited():
    visited = {point for _, points, *_ in STORIES + LATER for point in points} | set(ON_SCHEDULE)
    assert visited == {point for point in points_in_sources() if point.startswith("payout-")}


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


class Story:
    """A merchant with money and a bank account, and a request whose process dies."""

    def __init__(self, server, act, number=GOOD):
        client = sdk(server)
        self.have = fund(client)
        bank_account(client, number)
        self.key = str(uuid.uuid4())
        self.path = "/v1/payouts"
        self.body = {"amount": 1000 if act != "overdraw" else self.have + 1, "currency": "usd"}
        if act == "cancel":
            self.path, self.body = f"/v1/payouts/{payout(client, 1000).id}/cancel", {}

    def ask(self, server):
        return Http(server).post(self.path, self.body, headers={"Idempotency-Key": self.key})

    def final(self, server):
        """The answer, once whoever took the work up has ended it: until then the key is in use."""
        return within(lambda: (answer := self.ask(server)).status_code != 409 and [answer],
                      RESTART_SECONDS, "the outcome")[0]


def started_story(make_server, act, point, delay, number=GOOD):
    """The server runs until the story's request; then it has the fault."""
    server = make_server(*FAST, f"--payout-delay={delay}")
    story = Story(server, act, number)
    server.stop()
    server.start(fault=f"{point}:crash")
    return server, story


def check_end(server, story, status, gone):
    client = sdk(server)
    made = client.v1.payouts.list({"limit": 100}).data
    assert [one.status for one in made] == ([status] if status else [])
    wait_until(lambda: available(client) == story.have - gone, 10, "the balance")
    reconciled(server)


@pytest.mark.parametrize("act, point, wanted, gone", [
    (act, point, *rest) for act, points, *rest in STORIES for point in points])
def test_crash(make_server, act, point, wanted, gone):
    server, story = started_story(make_server, act, point, "1h")
    with pytest.raises(requests.exceptions.ConnectionError):
        story.ask(server)
    server.wait_for_crash()
    server.start()
    answer = story.final(server)
    assert answer.headers.get("Idempotent-Replayed") == "true"
    assert story.ask(server).content == answer.content
    shown = answer.json()
    assert wanted == (shown["status"] if answer.status_code == 200 else shown["error"]["code"])
    check_end(server, story, wanted if answer.status_code == 200 else None, gone)


@pytest.mark.parametrize("number, point, status, gone", [
    (number, point, *rest) for number, points, *rest in LATER for point in points])
def test_crash_of_the_sweeper(make_server, number, point, status, gone):
    server, story = started_story(make_server, "create", point, "1s", number)
    with contextlib.suppress(requests.exceptions.ConnectionError):  # that second may be over before the answer
        assert story.ask(server).json()["status"] == "pending"
    server.wait_for_crash()
    server.start()
    client = sdk(server)
    (made,) = client.v1.payouts.list().data
    wait_until(lambda: client.v1.payouts.retrieve(made.id).status == status, RESTART_SECONDS, status)
    check_end(server, story, status, gone)
    audited(server)


@pytest.mark.parametrize("act, first, second", [
    ("create", "payout-before-hold", "payout-before-created"),
    ("create", "payout-before-created", "payout-before-created"),
    ("overdraw", "payout-before-created", "payout-before-created"),
    ("cancel", "payout-before-canceled", "payout-before-canceled"),
])
def test_crash_while_repairing(make_server, act, first, second):
    server, story = started_story(make_server, act, first, "1h")
    with pytest.raises(requests.exceptions.ConnectionError):
        story.ask(server)
    server.wait_for_crash()
    server.start(fault=f"{second}:crash", dies=True)
    server.start()
    _, _, wanted, gone = next(one for one in STORIES if one[0] == act)
    answer = story.final(server)
    shown = answer.json()
    assert wanted == (shown["status"] if answer.status_code == 200 else shown["error"]["code"])
    check_end(server, story, wanted if answer.status_code == 200 else None, gone)


def scheduled(make_server, point):
    """A merchant with money, whose server dies at that point of the first day; and how much it is."""
    server = make_server(*DAYS)
    client = sdk(server)
    have = fund(client)
    bank_account(client)
    server.stop()
    server.start(fault=f"{point}:crash")
    crash_of_a_day(server)
    return server, have


def crash_of_a_day(server):
    """The first one may begin before there is an answer."""
    with contextlib.suppress(stripe.APIConnectionError):
        set_interval(sdk(server), "daily")
    server.wait_for_crash()


def set_interval(client, interval):
    client.v1.accounts.update(own_account(client), {
        "settings": {"payouts": {"schedule": {"interval": interval}}}})


def check_automatic(server, *amounts):
    """So many payouts, oldest first, also when some days have passed."""
    client = sdk(server)
    wait_until(lambda: len(client.v1.payouts.list().data) >= len(amounts), RESTART_SECONDS, "payouts")
    time.sleep(3)
    made = list(reversed(client.v1.payouts.list().data))
    assert [(one.amount, one.automatic, one.status) for one in made] == [
        (amount, True, "pending") for amount in amounts]
    assert available(client) == 0
    told = [event.data.object.id for event in client.v1.events.list({"type": "payout.created"}).data]
    assert sorted(told) == sorted(one.id for one in made)
    reconciled(server)
    return made


@pytest.mark.parametrize("point", ON_SCHEDULE)
def test_crash_of_an_automatic_payout(make_server, point):
    server, have = scheduled(make_server, point)
    server.start()
    (made,) = check_automatic(server, have)
    client = sdk(server)
    set_interval(client, "manual")
    assert client.v1.payouts.cancel(made.id).status == "canceled"
    audited(server)


@pytest.mark.parametrize("first, second", [
    ("payout-before-most", "payout-before-automatic"),
    ("payout-before-automatic", "payout-before-automatic"),
    ("payout-before-automatic", "payout-before-day-over"),
])
def test_crash_while_repairing_an_automatic_payout(make_server, first, second):
    server, have = scheduled(make_server, first)
    server.start(fault=f"{second}:crash", dies=True)
    server.start()
    check_automatic(server, have)


def test_what_comes_while_it_is_held_is_the_next_days(make_server):
    """The books say how much was held, however much there is when somebody looks."""
    server = make_server(*DAYS, "--settlement-delay=5s")
    client = sdk(server)
    have = fund(client)
    bank_account(client)
    server.stop()
    server.start(fault="payout-before-automatic:crash")
    late = pay(sdk(server), 5000, expand=["latest_charge.balance_transaction"])
    crash_of_a_day(server)
    time.sleep(6)
    # What is due settles with the first sweep, while the payout waits.
    server.start(fault="payout-before-most:delay=1000")
    check_automatic(server, have, late.latest_charge.balance_transaction.net)


def test_what_was_refused_stays_so_though_money_comes(make_server):
    """PAYOUT-3: the books remember the refusal that nobody was told of."""
    server = make_server(*FAST, "--settlement-delay=5s", "--payout-delay=1h", start=False)
    server.start(fault="payout-before-created:crash")
    story = Story(server, "overdraw")
    pay(sdk(server), 5000)
    with pytest.raises(requests.exceptions.ConnectionError):
        story.ask(server)
    server.wait_for_crash()
    time.sleep(6)
    # What is due settles with the first sweep, while the payout waits.
    server.start(fault="payout-before-hold:delay=1000")
    assert story.final(server).json()["error"]["code"] == "balance_insufficient"
    wait_until(lambda: available(sdk(server)) > story.have, 10, "the settlement")
    check_end(server, story, None, story.have - available(sdk(server)))
