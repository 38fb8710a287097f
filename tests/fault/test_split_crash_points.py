"""A crash between any two steps of a split payment: both parts are paid, or neither.

As test_crash_points.py: the process dies at one point, is started again on the same folder, and
documents, ledger and card network must agree, with the wallet's money held, taken or untouched.
"""

import uuid

import pytest
import requests

from kit.books import metrics, reconciled, settled
from kit.browser import Browser
from kit.client import Http
from kit.server import LONG, skip_without_fault_points, wait_until, within
from kit.wallets import Wallets, check_statement
from test_crash_points import RESTART_SECONDS, points_in_sources

PAYMENT = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
           "confirm": "true", "split[amount]": "700"}
HOLD = {**PAYMENT, "capture_method": "manual"}
DECLINED = {**PAYMENT, "payment_method": "pm_card_chargeDeclined"}
CHALLENGED = {**PAYMENT, "payment_method": "pm_card_threeDSecure2Required",
              "return_url": "https://shop.example"}
NEITHER = ("requires_payment_method", (0, 0), (1000, 0))
PAID = ("succeeded", (1300, 700), (300, 0))
HELD = ("requires_capture", (0, 0), (1000, 700))

# What is asked; where it dies; how the intent ends, what card and wallet have paid, what the wallet
# has posted and held.
CONFIRM = [
    (PAYMENT, "split-before-hold", NEITHER),
    (PAYMENT, "authorize-before-rail", NEITHER),  # held, and the network never heard of it
    (PAYMENT, "authorize-before-post", PAID),
    (PAYMENT, "authorize-before-finish", PAID),
    (HOLD, "split-before-hold", NEITHER),
    (HOLD, "authorize-before-rail", NEITHER),
    (HOLD, "authorize-before-post", HELD),
    (HOLD, "authorize-before-finish", HELD),
    (DECLINED, "split-before-abort", NEITHER),
    (DECLINED, "authorize-before-decline", NEITHER),
    (CHALLENGED, "split-before-keep", ("requires_action", None, (1000, 700))),
    (CHALLENGED, "authorize-before-challenge", ("requires_action", None, (1000, 700))),
]
LATER = [
    ("capture", {"amount_to_capture": "1500"}, ("succeeded", (1300, 200), (800, 0)),
     ["capture-before-rail", "capture-before-post", "capture-before-finish"]),
    ("capture", {"amount_to_capture": "1300"}, ("succeeded", (1300, 0), (1000, 0)),
     ["capture-before-finish"]),
    ("cancel", {}, ("canceled", (0, 0), (1000, 0)),
     ["void-before-rail", "void-before-post", "void-before-finish"]),
    ("refund", {"amount": "900"}, ("succeeded", (1300, 700), (1000, 0)),
     ["refund-before-rail", "refund-before-post", "refund-before-finish"]),
    ("refund", {"amount": "600"}, ("succeeded", (1300, 700), (900, 0)),
     ["refund-before-rail", "refund-before-finish"]),
]
SUSPENSE = ["split-suspense-before-finish"]


def some(cases, *short):
    """All of them in a long run, those numbers otherwise."""
    return cases if LONG else [cases[number] for number in short]


def test_every_point_is_visited():
    visited = {point for _, point, _ in CONFIRM} | set(SUSPENSE)
    ours = {point for point in points_in_sources() if point.startswith("split-")}
    assert ours == {point for point in visited if point.startswith("split-")}


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


class Story:
    """A wallet of 1000, and a request whose process dies."""

    def __init__(self, make_server, fault, body, act=None, later=None):
        self.server = server = make_server(start=False)
        server.start()
        self.purse = Wallets(server).wallet(1000)
        self.path, self.body = "/v1/payment_intents", {**body, "split[wallet]": self.purse}
        self.key = str(uuid.uuid4())
        if act is not None:
            made = Http(server).post(self.path, self.body).json()["id"]
            self.path = "/v1/refunds" if act == "refund" else f"{self.path}/{made}/{act}"
            self.body = {**later, "payment_intent": made} if act == "refund" else later
        server.stop()
        server.start(fault=fault)

    def ask(self):
        return Http(self.server).post(self.path, self.body, headers={"Idempotency-Key": self.key})

    def crash(self, repaired_until=None):
        with pytest.raises(requests.exceptions.ConnectionError):
            self.ask()
        self.server.wait_for_crash()
        if repaired_until is not None:
            self.server.start(fault=f"{repaired_until}:crash", dies=True)
        self.server.start()

    def check(self, wanted):
        status, paid, purse = wanted
        books = settled(self.server, RESTART_SECONDS)
        (intent,) = books.intents
        assert intent.status == status
        if paid is None:
            assert books.charges == []
        else:
            (charge,) = books.charges
            assert (charge["split"]["card"]["amount_captured"],
                    charge["split"]["wallet"]["amount_captured"]) == paid
        wallets = Wallets(self.server)
        shown = wallets.balance(self.purse)
        assert (shown["posted"], shown["held"]) == purse
        check_statement(wallets, self.purse)
        answer = self.ask()
        assert answer.headers.get("Idempotent-Replayed") == "true"
        assert answer.status_code == (402 if status == NEITHER[0] else 200), answer.text
        reconciled(self.server)
        return intent


@pytest.mark.parametrize("body, point, wanted", some(CONFIRM, 1, 2, 8, 10))
def test_crash_while_confirming(make_server, body, point, wanted):
    story = Story(make_server, f"{point}:crash", body)
    story.crash()
    story.check(wanted)


@pytest.mark.parametrize("act, later, point, wanted", some([
    (act, later, point, wanted) for act, later, wanted, points in LATER for point in points], 1, 5, 8))
def test_crash_afterwards(make_server, act, later, point, wanted):
    story = Story(make_server, f"{point}:crash", PAYMENT if act == "refund" else HOLD, act, later)
    story.crash()
    story.check(wanted)


@pytest.mark.parametrize("body, first, second, wanted", some([
    (PAYMENT, "split-before-hold", "split-before-abort", NEITHER),
    (PAYMENT, "authorize-before-rail", "authorize-before-reverse", NEITHER),
    (PAYMENT, "authorize-before-post", "authorize-before-finish", PAID),
    (DECLINED, "split-before-abort", "authorize-before-decline", NEITHER),
], 0))
def test_crash_while_repairing(make_server, body, first, second, wanted):
    story = Story(make_server, f"{first}:crash", body)
    story.crash(repaired_until=second)
    story.check(wanted)


@pytest.mark.parametrize("point, wanted", some([
    ("split-before-hold", PAID), ("authorize-before-rail", PAID), ("authorize-before-post", PAID)],
    0))
def test_crash_behind_an_authentication(make_server, point, wanted):
    """The customer's answer was given, so it is carried out, with what was held all the time."""
    story = Story(make_server, f"{point}{'' if 'post' in point else '@2'}:crash", CHALLENGED)
    shown = story.ask().json()
    page = story.server.url + "/" + shown["next_action"]["redirect_to_url"]["url"].split("/", 3)[3]
    with pytest.raises(requests.exceptions.ConnectionError):
        Browser().press(page, "complete")
    story.server.wait_for_crash()
    story.server.start()
    books = settled(story.server, RESTART_SECONDS)
    assert [one.status for one in books.intents] == [wanted[0]]
    shown = Wallets(story.server).balance(story.purse)
    assert (shown["posted"], shown["held"]) == wanted[2]
    reconciled(story.server)


def test_books_that_refuse_take_the_cards_word_back(make_server):
    story = Story(make_server, "books-refuse@1:error", PAYMENT)
    assert story.ask().json()["error"]["code"] == "processing_error"
    story.check(NEITHER)


@pytest.mark.parametrize("resolution, purse, crash", some([
    (resolution, purse, crash)
    for resolution, purse in (("wallet", (300, 0)), ("merchant", (1000, 0)))
    for crash in (None, "capture-before-finish@2", "split-suspense-before-finish")], 2))
def test_a_capture_that_the_wallet_cannot_pay_goes_to_suspense(
        make_server, resolution, purse, crash):
    story = Story(make_server, "split-capture-refused:error" + (f",{crash}:crash" if crash else ""),
                  HOLD, "capture", {})
    server = story.server
    if crash == "capture-before-finish@2":
        with pytest.raises(requests.exceptions.ConnectionError):
            story.ask()
        server.wait_for_crash()
        server.start(fault="split-capture-refused:error")
        within(lambda: story.ask().status_code == 200, RESTART_SECONDS, "the capture's end")
    captured = story.ask().json()
    assert (captured["status"], captured["amount_received"]) == ("succeeded", 2000)
    wallets = Wallets(server)
    (item,) = wallets.get("/v1/tael/suspense_items", status="open")["data"]
    assert (item["amount"], item["reason"], item["wallet"]) == (
        700, "capture_refused", story.purse)
    wait_until(lambda: metrics(server)["tael_suspense_open"] == 1, 5, "the operators' alarm")
    path, body = f"/v1/tael/suspense_items/{item['id']}/resolve", {"resolution": resolution}
    if crash == "split-suspense-before-finish":
        with pytest.raises(requests.exceptions.ConnectionError):
            Http(server).post(path, body)
        server.wait_for_crash()
        server.start()
        other = "merchant" if resolution == "wallet" else "wallet"
        assert Http(server).post(path, {"resolution": other}).json()["error"]["code"] == (
            "suspense_item_under_way")
    assert Http(server).post(path, body).json()["status"] == "resolved"
    assert Http(server).post(path, body).json()["error"]["code"] == "suspense_item_resolved"
    wait_until(lambda: metrics(server)["tael_suspense_open"] == 0, 5, "the end of the alarm")
    shown = Wallets(server).balance(story.purse)
    assert (shown["posted"], shown["held"]) == purse
    check_statement(Wallets(server), story.purse)
    reconciled(server)
