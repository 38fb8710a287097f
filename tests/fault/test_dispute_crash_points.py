"""A crash between any two steps of a dispute: what the network takes back, and gives again, is in the books
once, and the merchant's answer is handed in once.

As test_crash_points.py: the process dies at one point and is started again on the same folder. And a
network whose answers are lost, late or double, while the server is killed.
"""

import time
import uuid

import pytest
import requests

from kit.audit import audited
from kit.books import metrics, reconciled, settled
from kit.client import Http, pay, sdk
from kit.server import LONG, skip_without_fault_points, wait_until, within
from test_crash_points import RESTART_SECONDS, points_in_sources

FLAGS = ("--issuer-dispute-delay=100ms",)
FRAUD, INQUIRY = "pm_card_createDispute", "pm_card_createDisputeInquiry"
WINNING = {"evidence[uncategorized_text]": "winning_evidence"}
LOSING = {"evidence[uncategorized_text]": "losing_evidence"}
GROWING = {"evidence[uncategorized_text]": "escalate_inquiry_evidence"}
CREATED, WITHDRAWN, UPDATED, REINSTATED, CLOSED = (f"charge.dispute.{word}" for word in (
    "created", "funds_withdrawn", "updated", "funds_reinstated", "closed"))

# Where it dies while a dispute comes.
COMES = [
    ("dispute-before-place", FRAUD),
    ("dispute-before-withdrawal", FRAUD),
    ("dispute-before-withdrawn", FRAUD),
    ("dispute-before-advance", FRAUD),
    ("dispute-before-place", INQUIRY),
    ("dispute-before-advance", INQUIRY),
]
# Where it dies while the merchant answers, and what comes of the answer: (point, card, path, body, status,
# lines of the balance).
ANSWERED = [
    ("dispute-before-network", FRAUD, "", WINNING, "won", 2),
    ("dispute-before-taken", FRAUD, "", WINNING, "won", 2),
    ("dispute-before-network", FRAUD, "/close", {}, "lost", 1),
    ("dispute-before-taken", FRAUD, "/close", {}, "lost", 1),
    ("dispute-before-taken", INQUIRY, "", LOSING, "warning_closed", 0),
]
# Where it dies while the network's decision is carried out.
DECIDED = [
    ("dispute-before-place", FRAUD, WINNING, "won", 2),
    ("dispute-before-reversal", FRAUD, WINNING, "won", 2),
    ("dispute-before-reinstated", FRAUD, WINNING, "won", 2),
    ("dispute-before-advance", FRAUD, WINNING, "won", 2),
    ("dispute-before-advance", FRAUD, LOSING, "lost", 1),
    ("dispute-before-withdrawal", INQUIRY, GROWING, "needs_response", 1),
    ("dispute-before-withdrawn", INQUIRY, GROWING, "needs_response", 1),
]


def test_every_point_is_visited():
    visited = {case[0] for case in COMES} | {case[0] for case in ANSWERED} | {case[0] for case in DECIDED}
    assert {point for point in points_in_sources() if point.startswith("dispute-")} == visited


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


def only_dispute(client, wanted):
    """The one there is, once it has one of these statuses and so many lines."""
    def there():
        found = client.v1.disputes.list().data
        assert len(found) <= 1
        lines = found and len(found[0].balance_transactions)
        return found[0] if found and (found[0].status, lines) in wanted else None
    return within(there, RESTART_SECONDS, str(wanted))


OPEN = {("needs_response", 1), ("warning_needs_response", 0)}


def events_of(client, dispute):
    return [event.type for event in client.v1.events.list({"limit": 100}).auto_paging_iter()
            if event.data.object.id == dispute.id][::-1]


def end(server, dispute):
    """All has its end, the books agree, and each event was told once, but for updates."""
    client = sdk(server)
    books = settled(server, RESTART_SECONDS)
    assert len(books.disputes) == 1
    told = [event for event in events_of(client, dispute) if event != UPDATED]
    assert len(told) == len(set(told)), told
    assert (WITHDRAWN in told) == (len(books.disputes[0].balance_transactions) > 0)
    assert (REINSTATED in told) == (dispute.status == "won")
    assert (CLOSED in told) == (dispute.status in ("won", "lost", "warning_closed"))
    reconciled(server)
    assert metrics(server)["tael_disputes_unplaced"] == 0


@pytest.mark.parametrize("point, token", COMES)
def test_while_a_dispute_comes(make_server, point, token):
    server = make_server(*FLAGS, start=False)
    server.start(fault=f"{point}:crash")
    try:
        pay(sdk(server, validate=False), 2000, token=token)
    except Exception:  # pylint: disable=broad-except
        pass  # it died before it had answered
    server.wait_for_crash()
    server.start()
    end(server, only_dispute(sdk(server), OPEN))


@pytest.mark.parametrize("point, token, path, body, status, lines", ANSWERED)
def test_while_the_merchant_answers(make_server, point, token, path, body, status, lines):
    server = make_server(*FLAGS)
    pay(sdk(server), 2000, token=token)
    dispute = only_dispute(sdk(server), OPEN)
    server.stop()
    server.start(fault=f"{point}:crash")
    path, key = f"/v1/disputes/{dispute.id}{path}", str(uuid.uuid4())
    with pytest.raises(requests.exceptions.ConnectionError):
        Http(server).post(path, body, headers={"Idempotency-Key": key})
    server.wait_for_crash()
    server.start()
    end(server, only_dispute(sdk(server), {(status, lines)}))
    again = Http(server).post(path, body, headers={"Idempotency-Key": key})
    assert again.status_code == 200 and again.headers["Idempotent-Replayed"] == "true", again.text
    assert again.json()["id"] == dispute.id


@pytest.mark.parametrize("point, token, body, status, lines", DECIDED)
def test_while_a_decision_is_carried_out(make_server, point, token, body, status, lines):
    server = make_server(*FLAGS)
    pay(sdk(server), 2000, token=token)
    dispute = only_dispute(sdk(server), OPEN)
    server.stop()
    server.start(fault=f"{point}:crash")
    try:
        Http(server).post(f"/v1/disputes/{dispute.id}", body)
    except requests.exceptions.ConnectionError:
        pass
    server.wait_for_crash()
    server.start()
    end(server, only_dispute(sdk(server), {(status, lines)}))


def test_a_network_that_loses_answers_and_kills(make_server):
    """DISPUTE-1, DISPUTE-2: nothing is lost and nothing is there twice, however often it is asked."""
    server = make_server(
        "--issuer-lost-per-mille=150", "--issuer-dropped-per-mille=100", "--issuer-twice-per-mille=200",
        "--issuer-late-per-mille=50", "--rail-timeout=300ms", "--attempt-lease=1s",
        "--issuer-dispute-delay=200ms", "--issuer-dispute-due=8s", "--settlement-delay=2s")
    http = Http(server, validate=False)
    tokens = [FRAUD, FRAUD, INQUIRY, "pm_card_createMultipleDisputes"]
    answers = [WINNING, LOSING, GROWING]
    rounds = 24 if LONG else 8
    paid = 0
    for number in range(rounds):
        for token in tokens:
            key = str(uuid.uuid4())
            answer = http.post("/v1/payment_intents", {
                "amount": 2000 + number, "currency": "usd", "payment_method": token, "confirm": "true"},
                headers={"Idempotency-Key": key})
            paid += answer.status_code == 200
        waiting = [one for one in http.get("/v1/disputes?limit=100").json()["data"]
                   if one["status"].endswith("needs_response")]
        for dispute in waiting[: 1 + number % 3]:
            http.post(f"/v1/disputes/{dispute['id']}", answers[number % 3])
        if number % 4 == 3:
            server.kill()
            server.start()

    def all_came():
        charges = http.get("/v1/charges?limit=100").json()["data"]
        return all(charge["disputed"] for charge in charges if charge["paid"])
    wait_until(all_came, 60, "every dispute")
    time.sleep(1)
    audit = audited(server)
    assert paid > rounds and len(audit.disputes) >= paid
    reconciled(server)
