"""Objects as large as the API takes them: a merchant who has many finds each, and holds up nobody's payments.
So many do not fit into what one request, one comparison or one look at a queue may use."""

import pytest

from kit.books import metrics, reconciled
from kit.checkout import make_large
from kit.client import Http, pay, sdk
from kit.receiver import Receiver
from kit.server import Server, wait_until

SESSIONS, DISPUTES = 60, 40
LINE = "\n"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DISPUTED = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_createDispute", "confirm": "true"}
# Seven texts of the twenty thousand bytes that each may have; a line feed is two characters in JSON.
EVIDENCE = "submit=false" + "".join(f"&evidence[{name}]={20000 * LINE}" for name in (
    "access_activity_log", "cancellation_policy_disclosure", "cancellation_rebuttal", "duplicate_charge_explanation",
    "product_description", "refund_policy_disclosure", "refund_refusal_explanation"))


@pytest.fixture(scope="module", name="desk")
def fixture_desk(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("large"), "--issuer-dispute-delay=50ms").start()
    yield made
    made.close()


@pytest.fixture(scope="module", name="receiver")
def fixture_receiver():
    """It answers nothing well until `open` is set, so that deliveries wait."""
    with Receiver() as made:
        made.is_open = False
        made.answer = lambda received: 200 if made.is_open else 500
        yield made


@pytest.fixture(scope="module", name="disputes")
def fixture_disputes(desk, receiver):
    """Many, each with much evidence."""
    http = Http(desk, validate=False)
    assert http.post("/v1/webhook_endpoints", {
        "url": receiver.url(), "enabled_events[]": "charge.dispute.updated"}).status_code == 200
    for _ in range(DISPUTES):
        assert http.post("/v1/payment_intents", DISPUTED).status_code == 200
    found = wait_until(
        lambda: len(data := http.get("/v1/disputes?limit=100").json()["data"]) == DISPUTES and all(
            one["balance_transactions"] for one in data) and data, 30, "the disputes")
    for one in found:
        answer = http.post(f"/v1/disputes/{one['id']}", EVIDENCE, headers=FORM)
        assert answer.status_code == 200, answer.text
    return [one["id"] for one in found]


def pages(http, path, cursor, **params):
    """The ids of each page, followed as SDKs do it."""
    query, found = {"limit": 100, **params}, []
    while True:
        answer = http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        ids = [one["id"] for one in answer.json()["data"]]
        found.append(ids)
        if not answer.json()["has_more"]:
            return found
        query[cursor] = ids[-1] if cursor == "starting_after" else ids[0]


@pytest.mark.parametrize("expand", [{}, {"expand[]": "data.line_items"}])
def test_a_list_of_large_sessions(make_server, expand):
    """A page has fewer of them than were asked for, and says that there are more."""
    http = Http(make_server(), validate=False)
    ids = [make_large(http) for _ in range(SESSIONS)]
    newest_first = pages(http, "/v1/checkout/sessions", "starting_after", **expand)
    assert len(newest_first) > 1
    assert sum(newest_first, []) == ids[::-1]
    back = pages(http, "/v1/checkout/sessions", "ending_before", ending_before=ids[0], **expand)
    assert len(back) > 1
    assert sum(back[::-1], []) == ids[:0:-1]


def test_a_list_of_large_disputes(desk, disputes):
    found = pages(Http(desk, validate=False), "/v1/disputes", "starting_after")
    assert len(found) > 1 and sum(found, []) == disputes


@pytest.mark.parametrize("params", [
    {}, {"type": "charge.dispute.updated"}, {"delivery_success": "true"}, {"delivery_success": "false"}])
def test_events_with_large_disputes(desk, disputes, params):
    found = sum(pages(Http(desk, validate=False), "/v1/events", "starting_after", **params), [])
    assert len(found) == len(set(found)) >= (len(disputes) if params.get("delivery_success") != "true" else 0)


def test_large_disputes_are_compared(desk, disputes):
    assert pay(sdk(desk), 700).status == "succeeded" and disputes
    reconciled(desk, 60)
    assert metrics(desk)["tael_differences"] == 0


def test_large_events_reach_an_endpoint(desk, disputes, receiver):
    """All that wait at once do not fit into one look at the queue."""
    receiver.is_open = True
    http = Http(desk, validate=False)
    for one in disputes:
        assert http.post(f"/v1/disputes/{one}", {"metadata[a]": "b"}).status_code == 200
    wait_until(lambda: set(disputes) == {
        one.event["data"]["object"]["id"] for one in receiver.received
        if one.event["data"]["object"]["metadata"]}, 30, "every event")
