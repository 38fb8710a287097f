"""The card network answers late, twice, or never: one outcome, and the money agrees."""

import time
import uuid

import pytest

from kit.books import metrics, reconciled, settled
from kit.client import Http, sdk
from kit.server import LONG, wait_until

PAYMENT = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
           "confirm": "true"}
HOLD = {**PAYMENT, "capture_method": "manual"}
# For the network at its worst only: where it works, a busy machine takes its time.
IMPATIENT = "--rail-timeout=300ms"
FAULTS = ["lost", "dropped", "late", "twice"]


def worst(fault):
    """Flags for a network that does that with every message."""
    return [f"--issuer-{fault}-per-mille=1000", *([] if fault == "twice" else [IMPATIENT])]


def keyed(http, path, body, key):
    return http.post(path, body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("body", [PAYMENT, HOLD], ids=["payment", "hold"])
@pytest.mark.parametrize("fault", FAULTS)
def test_authorization(make_server, fault, body):
    """Every message goes wrong until the server is started again with a network that works."""
    server = make_server("--attempt-lease=1s")
    server.stop()
    server.start(*worst(fault))
    http, key = Http(server), str(uuid.uuid4())
    first = keyed(http, "/v1/payment_intents", body, key)
    assert first.status_code in (200, 402), first.text
    (intent,) = sdk(server).v1.payment_intents.list().data
    if fault == "twice":
        assert intent.status in ("succeeded", "requires_capture")
    elif first.status_code == 200:
        assert intent.status in ("processing", "succeeded", "requires_capture")
    server.stop()
    server.start()
    books = settled(server)
    (intent,) = books.intents
    assert intent.status in ("succeeded", "requires_capture", "requires_payment_method")
    if fault in ("lost", "twice"):
        # It was done: asking by id finds that out.
        assert intent.status == (
            "requires_capture" if body is HOLD else "succeeded")
    if fault == "dropped":
        assert intent.status == "requires_payment_method"
    # The key stands for this intent for ever: what was told is told again, and nothing is done.
    again = keyed(http, "/v1/payment_intents", body, key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(settled(server).intents) == 1
    reconciled(server)


@pytest.mark.parametrize("act", ["capture", "cancel", "refund"])
@pytest.mark.parametrize("fault", FAULTS)
def test_afterwards(make_server, fault, act):
    server = make_server("--attempt-lease=1s")
    http, key = Http(server), str(uuid.uuid4())
    made = http.post("/v1/payment_intents", PAYMENT if act == "refund" else HOLD).json()
    server.stop()
    server.start(*worst(fault))
    if act == "refund":
        path, body = "/v1/refunds", {"payment_intent": made["id"], "amount": "700"}
    else:
        path, body = f"/v1/payment_intents/{made['id']}/{act}", {}
    first = keyed(http, path, body, key)
    assert first.status_code == 200, first.text
    server.stop()
    server.start()
    books = settled(server)
    wait_until(lambda: all(refund.status == "succeeded" for refund in
                           sdk(server).v1.refunds.list().data), 15, "the refund")
    (intent,) = books.intents
    assert intent.status == {"capture": "succeeded", "cancel": "canceled",
                             "refund": "succeeded"}[act]
    books = settled(server)
    assert sum(charge.amount_refunded for charge in books.charges) == (
        700 if act == "refund" else 0)
    reconciled(server)


@pytest.mark.parametrize("flags", [
    ("--issuer-lost-per-mille=200", "--issuer-dropped-per-mille=200"),
    ("--issuer-late-per-mille=200", "--issuer-twice-per-mille=200"),
    ("--issuer-lost-per-mille=100", "--issuer-dropped-per-mille=100",
     "--issuer-late-per-mille=100", "--issuer-twice-per-mille=100",
     "--issuer-latency=5ms", "--issuer-jitter=20ms"),
])
def test_bad_day(make_server, flags):
    """A network of which nothing can be relied on, until it works again."""
    from concurrent.futures import ThreadPoolExecutor

    server = make_server("--attempt-lease=1s")
    server.stop()
    server.start("--rail-timeout=100ms", *flags)
    http = Http(server, validate=False)

    def life(number):
        made = http.post("/v1/payment_intents", HOLD if number % 2 else PAYMENT)
        assert made.status_code in (200, 402), made.text
        if made.status_code != 200:
            return
        intent = made.json()["id"]
        path = f"/v1/payment_intents/{intent}"
        if number % 2:
            http.post(f"{path}/{'capture' if number % 4 == 1 else 'cancel'}")
        if number % 4 != 3:
            http.post("/v1/refunds", {"payment_intent": intent, "amount": "300"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(life, range(400 if LONG else 80)))
    # Retries come at growing intervals; a start takes up everything at once.
    server.stop()
    server.start()
    books = settled(server)
    assert len(books.intents) == (400 if LONG else 80)
    assert {intent.status for intent in books.intents} <= {
        "succeeded", "canceled", "requires_payment_method", "requires_capture"}
    assert {"succeeded", "canceled"} <= {intent.status for intent in books.intents}
    wait_until(lambda: all(refund.status == "succeeded" for refund in
                           sdk(server).v1.refunds.list({"limit": 100}).data), 20, "the refunds")
    settled(server)
    assert metrics(server)["tael_attempts_open"] == 0
    reconciled(server, 30)


def test_network_that_answers_again(make_server):
    """Nobody restarts anything: the sweeper asks again until it knows."""
    server = make_server("--rail-timeout=500ms", "--attempt-lease=1s",
                         "--issuer-lost-per-mille=500")
    http = Http(server)
    for _ in range(6):
        assert http.post("/v1/payment_intents", PAYMENT).status_code == 200
    # Half of all inquiries are lost too; a few tries are a matter of seconds.
    wait_until(lambda: any_succeeded(server), 30, "the first outcome")
    server.stop()
    server.start("--issuer-lost-per-mille=0", "--rail-timeout=20s")
    assert {intent.status for intent in settled(server).intents} == {"succeeded"}


def any_succeeded(server):
    listed = sdk(server).v1.payment_intents.list().data
    return any(intent.status == "succeeded" for intent in listed)


def test_unknown_shows_as_processing(make_server):
    """PAYMENTS-7."""
    server = make_server("--rail-timeout=200ms", "--issuer-lost-per-mille=1000",
                         "--sweep-interval=30s")
    http, key = Http(server), str(uuid.uuid4())
    answer = keyed(http, "/v1/payment_intents", PAYMENT, key)
    assert answer.status_code == 200
    assert answer.json()["status"] == "processing"
    intent = answer.json()["id"]
    for act in ("cancel", "capture", "confirm"):
        refused = http.post(f"/v1/payment_intents/{intent}/{act}")
        assert refused.status_code == 400, refused.text
        assert refused.json()["error"]["code"] == "payment_intent_unexpected_state"
    server.stop()
    server.start("--issuer-lost-per-mille=0", "--sweep-interval=100ms", "--rail-timeout=20s")
    assert settled(server).intents[0].status == "succeeded"
    # A retry of the same key tells the end, or what was told before; never a second payment.
    assert keyed(http, "/v1/payment_intents", PAYMENT, key).json()["id"] == intent
    assert len(settled(server).charges) == 1


def test_what_has_no_end_is_told_between_two_tries_too(make_server):
    """The alarm waits for minutes, and tries come at growing intervals: between two nothing is due."""
    server = make_server("--attempt-lease=1s")
    server.stop()
    server.start(*worst("dropped"))
    sdk(server)
    made = Http(server).post("/v1/payment_intents", PAYMENT).json()
    assert made["status"] == "processing"
    wait_until(lambda: metrics(server)["tael_attempt_oldest_seconds"] >= 1, 15, "the age of a payment without an end")
    last = 0
    end = time.monotonic() + 12
    while time.monotonic() < end:
        found = metrics(server)
        assert found["tael_attempts_open"] == 1
        assert found["tael_attempt_oldest_seconds"] >= last
        last = found["tael_attempt_oldest_seconds"]
        time.sleep(0.2)
    server.stop()
    server.start()
    settled(server)
    wait_until(lambda: metrics(server)["tael_attempts_open"] == 0, 15, "the end")
    assert metrics(server)["tael_attempt_oldest_seconds"] == 0
