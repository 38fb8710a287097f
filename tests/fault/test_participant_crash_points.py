"""A crash between any two steps of a payment that others take part in: all of it, or nothing.

As test_split_crash_points.py: the process dies at one point, the participant too, and both are
started again on what they had written. The intent, the books, the card network and the shelf of the
warehouse must agree, and no transaction may stay open.
"""

import uuid

import pytest
import requests

from kit.books import metrics, reconciled, settled
from kit.browser import Browser
from kit.client import Http, sdk
from kit.participant import Warehouse, ended, transaction_of
from kit.server import LONG, skip_without_fault_points, wait_until, within
from kit.wallets import Wallets
from test_crash_points import RESTART_SECONDS, points_in_sources

FLAGS = ("--participant-timeout=1s", "--participant-retry-max=1s")
TOLD_SECONDS = RESTART_SECONDS + 10  # a claim of a dead process has to run out first
PAYMENT = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
           "confirm": "true"}
HOLD = {**PAYMENT, "capture_method": "manual"}
DECLINED = {**PAYMENT, "payment_method": "pm_card_chargeDeclined"}
CHALLENGED = {**PAYMENT, "payment_method": "pm_card_threeDSecure2Required",
              "return_url": "https://shop.example"}
WALLET = {**PAYMENT, "payment_method_data[type]": "wallet"}
WALLET.pop("payment_method")
# How the intent ends, the transaction, and the shelf: on sale, reserved, gone.
NOTHING = ("requires_payment_method", "aborted", (1, 0, 0))
PAID = ("succeeded", "committed", (0, 0, 1))
HELD = ("requires_capture", "prepared", (0, 1, 0))
WAITS = ("requires_action", "aborted", (1, 0, 0))

CONFIRM = [
    (PAYMENT, "transaction-before-prepare", NOTHING),  # it hears of it by the abort alone
    (PAYMENT, "transaction-before-vote", NOTHING),     # it has agreed, and nobody wrote it down
    (PAYMENT, "authorize-before-rail", NOTHING),       # all have agreed; the network was not asked
    (PAYMENT, "authorize-before-post", PAID),
    (PAYMENT, "authorize-before-finish", PAID),
    (HOLD, "transaction-before-vote", NOTHING),
    (HOLD, "authorize-before-post", HELD),
    (HOLD, "authorize-before-finish", HELD),
    (DECLINED, "authorize-before-decline", NOTHING),
    (CHALLENGED, "authorize-before-challenge", WAITS),
    (WALLET, "transaction-before-prepare", NOTHING),
    (WALLET, "transaction-before-vote", NOTHING),
    (WALLET, "authorize-before-rail", PAID),  # all have agreed, and there is no network to ask
    (WALLET, "authorize-before-post", PAID),
    (WALLET, "authorize-before-finish", PAID),
]
# The client has its answer, and the process dies while it tells the decision.
TELL = [
    (PAYMENT, "transaction-before-tell", PAID),
    (PAYMENT, "transaction-before-told", PAID),
    (DECLINED, "transaction-before-tell", NOTHING),
    (DECLINED, "transaction-before-told", NOTHING),
]
LATER = [
    ("capture", "capture-before-rail", PAID),
    ("capture", "capture-before-post", PAID),
    ("capture", "capture-before-finish", PAID),
    ("cancel", "void-before-rail", ("canceled", "aborted", (1, 0, 0))),
    ("cancel", "void-before-post", ("canceled", "aborted", (1, 0, 0))),
    ("cancel", "void-before-finish", ("canceled", "aborted", (1, 0, 0))),
]


def some(cases, *short):
    """All of them in a long run, those numbers otherwise."""
    return cases if LONG else [cases[number] for number in short]


def test_every_point_is_visited():
    visited = {point for _, point, _ in CONFIRM + TELL}
    ours = {point for point in points_in_sources() if point.startswith("transaction-")}
    assert ours == {point for point in visited if point.startswith("transaction-")}


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


@pytest.fixture
def make_story(make_server, tmp_path):
    made = []

    def make(*arguments):
        made.append(Story(make_server, tmp_path, *arguments))
        return made[0]
    yield make
    for story in made:
        story.warehouse.kill()


class Story:
    """A lamp, and a request whose process dies."""

    def __init__(self, make_server, folder, fault, body, act=None):
        self.server = server = make_server(*FLAGS, start=False)
        server.start()
        self.warehouse = Warehouse(server, folder, lamp=1)
        self.path = "/v1/payment_intents"
        self.body = {**body, f"participants[{self.warehouse.id}]": "lamp"}
        self.purse = None if "payment_method" in body else Wallets(server).wallet(5000)
        if self.purse is not None:
            self.body["payment_method_data[wallet][id]"] = self.purse
        self.key = str(uuid.uuid4())
        if act is not None:
            made = Http(server).post(self.path, self.body).json()["id"]
            self.path, self.body = f"{self.path}/{made}/{act}", {}
        server.stop()
        server.start(fault=fault)

    def ask(self):
        return Http(self.server).post(self.path, self.body, headers={"Idempotency-Key": self.key})

    def crash(self):
        with pytest.raises(requests.exceptions.ConnectionError):
            self.ask()
        self.begin_again()

    def begin_again(self):
        self.server.wait_for_crash()
        self.warehouse.kill()
        self.warehouse.start()
        self.server.start()

    def intent(self):
        """When it has an end, and the books are right."""
        if self.purse is None:
            (intent,) = settled(self.server, RESTART_SECONDS).intents
            return intent

        def over():
            (intent,) = sdk(self.server).v1.payment_intents.list().data
            return intent if intent.status != "processing" else None
        intent = within(over, RESTART_SECONDS, "the end of the payment")
        left = 5000 - (2000 if intent.status == "succeeded" else 0)
        assert Wallets(self.server).balance(self.purse)["posted"] == left
        return intent

    def check(self, wanted):
        status, transaction, shelf = wanted
        intent = self.intent()
        assert intent.status == status
        ended(self.server, intent.id, transaction, TOLD_SECONDS)
        assert self.warehouse.shelf("lamp") == shelf
        if transaction != "prepared":
            wait_until(lambda: metrics(self.server)["tael_participant_transactions_open"] == 0, 5)
        answer = self.ask()
        assert answer.headers.get("Idempotent-Replayed") == "true"
        assert answer.status_code == (402 if wanted == NOTHING else 200), answer.text
        reconciled(self.server)


@pytest.mark.parametrize("body, point, wanted", some(CONFIRM, 0, 1, 2, 4, 6, 11, 12))
def test_crash_while_confirming(make_story, body, point, wanted):
    story = make_story(f"{point}:crash", body)
    story.crash()
    story.check(wanted)


@pytest.mark.parametrize("body, point, wanted", some(TELL, 0, 1, 3))
def test_crash_while_telling(make_story, body, point, wanted):
    story = make_story(f"{point}:crash", body)
    try:
        assert story.ask().status_code in (200, 402)
    except requests.exceptions.ConnectionError:
        pass  # it died while the answer was on its way
    story.begin_again()
    story.check(wanted)


@pytest.mark.parametrize("act, point, wanted", some(LATER, 1, 2, 5))
def test_crash_afterwards(make_story, act, point, wanted):
    story = make_story(f"{point}:crash", HOLD, act)
    story.crash()
    story.check(wanted)


def test_crash_behind_an_authentication(make_story):
    """The customer's answer begins a second transaction, which dies before it is prepared."""
    story = make_story("transaction-before-vote@2:crash", CHALLENGED)
    shown = story.ask().json()
    page = story.server.url + "/" + shown["next_action"]["redirect_to_url"]["url"].split("/", 3)[3]
    with pytest.raises(requests.exceptions.ConnectionError):
        Browser().press(page, "complete")
    story.begin_again()
    books = settled(story.server, RESTART_SECONDS)
    assert [one.status for one in books.intents] == ["succeeded"]
    ended(story.server, shown["id"], "committed", TOLD_SECONDS)
    assert story.warehouse.shelf("lamp") == (0, 0, 1)
    ended(story.server, shown["id"], "aborted", TOLD_SECONDS, older=1)


def test_the_participant_is_dead(make_story):
    """The payment is declined, and when the participant is back it hears of that."""
    story = make_story(None, PAYMENT)
    story.warehouse.kill()
    answer = story.ask()
    assert answer.status_code == 402
    assert transaction_of(story.server, answer.json()["error"]["payment_intent"]["id"])[
        "status"] == "aborting"
    story.warehouse.start()
    story.check(NOTHING)
