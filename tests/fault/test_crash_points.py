"""A crash between any two steps of a payment: somebody finishes it, and there is one outcome (PAYMENTS-1,
PAYMENTS-2, PAYMENTS-4).

The points are compiled into a build of their own. Each test makes the process die at one of them,
starts it again on the same folder, and waits: for the documents, the ledger and the card network to
agree, and for the key of the request that never got its answer to have its final answer.
"""

import re
import shutil
import uuid

import pytest
import requests

from kit.books import CLEARING, Books, reconciled, settled
from kit.browser import Browser, action_url, query_of
from kit.client import Http, sdk
from kit.server import LONG, ROOT, skip_without_fault_points, within
from kit.wallets import Wallets

HOLD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
        "capture_method": "manual"}
PAYMENT = {**HOLD, "capture_method": "automatic"}
KEEPS = "pm_card_voidDeclined"  # what it holds
CARD_HOLD = {**PAYMENT, "payment_method_options[card][capture_method]": "manual"}
DECLINED = {**PAYMENT, "payment_method": "pm_card_chargeDeclined"}
CHALLENGED = {**PAYMENT, "payment_method": "pm_card_threeDSecure2Required",
              "return_url": "https://shop.example/done"}
GROWING = {**HOLD,
           "payment_method_options[card][request_incremental_authorization]": "if_available"}
# Seconds after a restart within which everything has its end: fewer than the 30 of the lease that the dead
# worker had on its attempt, which nobody may wait for.
RESTART_SECONDS = 20


def points_in_sources():
    found = {}
    for path in [*(ROOT / "src").rglob("*.c"), *(ROOT / "cmd").rglob("*.c")]:
        for name in re.findall(r'FAULT_POINT\("([^"]+)"\)', path.read_text()):
            found[name] = path.relative_to(ROOT)
    return found


# What is asked while the point is armed; before it, and what must be there afterwards:
# (status of the answer, status of the intent, captured, refunded).
AUTHORIZE = [
    # The network never heard of it, and the code on the card's back died with the process.
    ("authorize-before-rail", PAYMENT, (402, "requires_payment_method", 0, 0)),
    ("authorize-before-post", PAYMENT, (200, "succeeded", 2000, 0)),
    ("authorize-before-finish", PAYMENT, (200, "succeeded", 2000, 0)),
    ("authorize-before-rail", HOLD, (402, "requires_payment_method", 0, 0)),
    ("authorize-before-post", HOLD, (200, "requires_capture", 0, 0)),
    ("authorize-before-finish", HOLD, (200, "requires_capture", 0, 0)),
    ("authorize-before-post", CARD_HOLD, (200, "requires_capture", 0, 0)),
    ("authorize-before-finish", CARD_HOLD, (200, "requires_capture", 0, 0)),
    ("authorize-before-rail", DECLINED, (402, "requires_payment_method", 0, 0)),
    ("authorize-before-decline", DECLINED, (402, "requires_payment_method", 0, 0)),
    ("authorize-before-rail", CHALLENGED, (402, "requires_payment_method", 0, 0)),
    ("authorize-before-challenge", CHALLENGED, (200, "requires_action", 0, 0)),
]
# While the customer's answer is carried out. It was given, so it is carried out to its end.
PROVEN = [
    ("authorize-before-rail@2", "automatic", "succeeded"),
    ("authorize-before-post", "automatic", "succeeded"),
    ("authorize-before-finish", "automatic", "succeeded"),
    ("authorize-before-rail@2", "manual", "requires_capture"),
    ("authorize-before-post", "manual", "requires_capture"),
    ("authorize-before-finish", "manual", "requires_capture"),
]
SETUP = ["setup-before-rail", "setup-before-finish"]
LATER = [
    ("capture-before-rail", "capture", {"amount_to_capture": "1500"},
     (200, "succeeded", 1500, 0)),
    ("capture-before-post", "capture", {"amount_to_capture": "1500"},
     (200, "succeeded", 1500, 0)),
    ("capture-before-finish", "capture", {"amount_to_capture": "1500"},
     (200, "succeeded", 1500, 0)),
    ("capture-before-rail", "capture", {}, (200, "succeeded", 2000, 0)),
    ("increment-before-rail", "increment_authorization", {"amount": "2500"},
     (200, "requires_capture", 0, 0)),
    ("increment-before-post", "increment_authorization", {"amount": "2500"},
     (200, "requires_capture", 0, 0)),
    ("increment-before-finish", "increment_authorization",
     {"amount": "2500", "metadata[a]": "b"}, (200, "requires_capture", 0, 0)),
    ("void-before-rail", "cancel", {}, (200, "canceled", 0, 0)),
    ("void-before-post", "cancel", {}, (200, "canceled", 0, 0)),
    ("void-before-finish", "cancel", {}, (200, "canceled", 0, 0)),
    ("refund-before-rail", "refund", {"amount": "700"}, (200, "succeeded", 2000, 700)),
    ("refund-before-post", "refund", {"amount": "700"}, (200, "succeeded", 2000, 700)),
    ("refund-before-finish", "refund", {"amount": "700"}, (200, "succeeded", 2000, 700)),
]
REVERSE = [
    ("authorize-before-reverse", PAYMENT), ("authorize-before-reverse", HOLD),
    ("authorize-before-decline", PAYMENT),
]

VOID_DECLINED = ["void-before-let-go", "void-before-finish"]
COMMIT = ["resource-before-commit", "resource-before-sync", "resource-after-commit"]


def test_every_point_is_visited():
    """A point that somebody adds must get its crash. Those of wallets, of payers' codes, of splits, of disputes and of
    ledgers between shards: in test_wallet_crash_points, test_mobile_crash_points, test_split_crash_points,
    test_dispute_crash_points and test_hold_crash_points."""
    visited = {point for point, *_ in AUTHORIZE} | {point for point, *_ in LATER}
    visited |= {point for point, *_ in REVERSE} | set(COMMIT) | set(SETUP) | set(VOID_DECLINED)
    others = ("wallet-", "payer-", "payout-", "dispute-", "settle-", "split-", "apart-", "transaction-", "documents-move-", "vault-",
              "webhooks-", "cross-", "ledger-")
    ours = {point for point in points_in_sources() if not point.startswith(others)}
    assert ours == visited


def request(http, key, path, body):
    return http.post(path, body, headers={"Idempotency-Key": key})


def crash(server, http, key, path, body):
    """Sends what makes the armed process die; there is no answer."""
    with pytest.raises(requests.exceptions.ConnectionError):
        request(http, key, path, body)
    server.wait_for_crash()


def after_restart(server, http, key, path, body, wanted):
    """The end of the story, as everybody sees it."""
    status, intent_status, captured, refunded = wanted
    began_again = server.start()
    books = settled(server, RESTART_SECONDS)
    assert began_again.started_in < RESTART_SECONDS
    (intent,) = books.intents
    assert intent.status == intent_status
    assert sum(charge.amount_captured for charge in books.charges) == captured
    assert sum(charge.amount_refunded for charge in books.charges) == refunded
    replayed = request(http, key, path, body)
    assert replayed.status_code == status, replayed.text
    assert replayed.headers.get("Idempotent-Replayed") == "true"
    again = request(http, key, path, body)
    assert again.content == replayed.content
    shown = replayed.json()
    if status == 200:
        assert shown["id"] in (intent.id, *[refund.id for refund in books.refunds])
        if shown["object"] == "payment_intent":
            assert shown["status"] == intent_status
    else:
        assert shown["error"]["code"] in ("card_declined", "processing_error")
        assert shown["error"]["payment_intent"]["id"] == intent.id
    # Asking again did nothing.
    assert len(sdk(server).v1.charges.list().data) == len(books.charges)
    assert len(sdk(server).v1.refunds.list().data) == len(books.refunds)
    reconciled(server)


@pytest.fixture(autouse=True)
def needs_fault_points():
    skip_without_fault_points()


@pytest.mark.parametrize("point, body, wanted", AUTHORIZE)
def test_crash_while_authorizing(make_server, point, body, wanted):
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    http, key = Http(server), str(uuid.uuid4())
    crash(server, http, key, "/v1/payment_intents", body)
    after_restart(server, http, key, "/v1/payment_intents", body, wanted)


@pytest.mark.parametrize("point, act, body, wanted", LATER)
def test_crash_afterwards(make_server, point, act, body, wanted):
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    http, key = Http(server), str(uuid.uuid4())
    first = http.post("/v1/payment_intents", PAYMENT if act == "refund" else GROWING).json()
    if act == "refund":
        path, body = "/v1/refunds", {**body, "payment_intent": first["id"]}
    else:
        path = f"/v1/payment_intents/{first['id']}/{act}"
    crash(server, http, key, path, body)
    after_restart(server, http, key, path, body, wanted)
    if act == "increment_authorization":
        (intent,) = sdk(server).v1.payment_intents.list().data
        assert intent.amount == intent.amount_capturable == 2500
        assert intent.metadata.to_dict() == ({"a": "b"} if "metadata[a]" in body else {})
        (charge,) = sdk(server).v1.charges.list().data
        assert charge.payment_method_details.card.amount_authorized == 2500
        assert sdk(server).v1.payment_intents.capture(intent.id).amount_received == 2500
        settled(server)


@pytest.mark.parametrize("act, body", [
    ("capture", {"amount_to_capture": "1500"}), ("increment_authorization", {"amount": "2500"}),
    ("refund", {"amount": "700"})])
def test_what_was_booked_stands_though_the_network_has_lost_it(make_server, act, body):
    """It answers then that it knows nothing of it, as of what never came about."""
    server = make_server(start=False, cluster=False)
    point = f"{act.removesuffix('_authorization')}-before-finish"
    server.start(fault=f"{point}:crash")
    http = Http(server)
    first = http.post("/v1/payment_intents", PAYMENT if act == "refund" else GROWING).json()
    path = f"/v1/payment_intents/{first['id']}/{act}"
    if act == "refund":
        path, body = "/v1/refunds", {**body, "payment_intent": first["id"]}
    crash(server, http, str(uuid.uuid4()), path, body)
    shutil.rmtree(server.network_data / "issuer")
    server.start()
    client = sdk(server)

    def at_rest():
        intent = client.v1.payment_intents.retrieve(first["id"])
        refunds = client.v1.refunds.list().data
        ended = intent.status != "processing" and all(one.status == "failed" for one in refunds)
        return intent if ended and len(refunds) == (act == "refund") else None

    intent = within(at_rest, RESTART_SECONDS, "the end")
    assert (intent.status, intent.amount_received, intent.amount_capturable) == {
        "capture": ("succeeded", 1500, 0),
        "increment_authorization": ("requires_capture", 0, 2500),
        "refund": ("succeeded", 2000, 0)}[act]
    books = Books(server)
    books.check_ledger()
    if act != "refund":  # whose failure has an entry too
        books.check_documents()


def page_of(server, shown):
    """Where the page is after a restart, on another port."""
    return server.url + "/" + action_url(shown).split("/", 3)[3]


@pytest.mark.parametrize("point, capture, wanted", PROVEN)
def test_crash_behind_an_authentication(make_server, point, capture, wanted):
    """PAYMENTS-8."""
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    client, browser = sdk(server), Browser()
    intent = client.v1.payment_intents.create(
        {**CHALLENGED, "capture_method": capture})
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.press(page_of(server, intent), "complete")
    server.wait_for_crash()
    server.start()
    books = settled(server, RESTART_SECONDS)
    assert [one.status for one in books.intents] == [wanted]
    assert len(books.charges) == 1
    secure = books.charges[0].payment_method_details.card.three_d_secure
    assert secure.result == "authenticated"
    # The customer reloads the page.
    led = browser.post(page_of(server, intent), "complete")
    assert query_of(led.headers["Location"])["redirect_status"] == "succeeded"
    assert len(sdk(server).v1.charges.list().data) == 1
    reconciled(server)


@pytest.mark.parametrize("hit", range(1, 4))
@pytest.mark.parametrize("answer", ["complete", "fail"])
@pytest.mark.parametrize("point", COMMIT)
def test_crash_around_the_commits_of_an_answer(make_server, point, answer, hit):
    """Either the answer was never given, or it has its one outcome; the customer may ask again."""
    server = make_server(start=False)
    server.start()
    browser = Browser()
    intent = sdk(server).v1.payment_intents.create(CHALLENGED)
    server.stop()
    server.start(fault=f"{point}@{hit}:crash")
    try:
        browser.post(page_of(server, intent), answer)
        while server.alive():
            Http(server).post("/v1/customers", {"name": "one more"})
    except requests.exceptions.ConnectionError:
        server.wait_for_crash()
    server.start()
    settled(server, RESTART_SECONDS)
    led = browser.post(page_of(server, intent), answer)
    passed = answer == "complete"
    assert query_of(led.headers["Location"])["redirect_status"] == (
        "succeeded" if passed else "failed")
    books = settled(server, RESTART_SECONDS)
    assert [one.status for one in books.intents] == [
        "succeeded" if passed else "requires_payment_method"]
    assert [one.amount_captured for one in books.charges] == ([2000] if passed else [])
    reconciled(server)


@pytest.mark.parametrize("point", SETUP)
@pytest.mark.parametrize("token, status, wanted", [
    ("pm_card_visa", 200, "succeeded"),
    ("pm_card_authenticationRequired", 200, "requires_action"),
    ("pm_card_chargeDeclined", 402, "requires_payment_method"),
])
def test_crash_while_setting_up(make_server, point, token, status, wanted):
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    http, key = Http(server), str(uuid.uuid4())
    customer = sdk(server).v1.customers.create({}).id
    body = {"confirm": "true", "payment_method": token, "customer": customer}
    crash(server, http, key, "/v1/setup_intents", body)
    server.start()
    settled(server, RESTART_SECONDS)
    (setup,) = sdk(server).v1.setup_intents.list().data
    assert setup.status == wanted
    replayed = request(http, key, "/v1/setup_intents", body)
    assert replayed.headers.get("Idempotent-Replayed") == "true"
    assert replayed.status_code == status
    saved = sdk(server).v1.customers.payment_methods.list(customer).data
    assert len(saved) == (1 if wanted == "succeeded" else 0)
    assert len(sdk(server).v1.setup_attempts.list({"setup_intent": setup.id}).data) == 1


@pytest.mark.parametrize("point", ["setup-before-rail@2", "setup-before-finish@2"])
def test_crash_while_an_authenticated_setup_ends(make_server, point):
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    client, browser = sdk(server), Browser()
    setup = client.v1.setup_intents.create(
        {"confirm": True, "payment_method": "pm_card_authenticationRequired",
         "return_url": "https://shop.example/saved"})
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.press(page_of(server, setup), "complete")
    server.wait_for_crash()
    server.start()
    settled(server, RESTART_SECONDS)
    assert sdk(server).v1.setup_intents.retrieve(setup.id).status == "succeeded"
    led = browser.post(page_of(server, setup), "complete")
    assert query_of(led.headers["Location"])["redirect_status"] == "succeeded"


@pytest.mark.parametrize("body, status", [(PAYMENT, "succeeded"), (HOLD, "requires_capture")])
@pytest.mark.parametrize("split", [False, True])
def test_what_is_booked_stands_though_the_network_has_lost_it(make_server, body, status, split):
    """PAYMENTS-15: the books would have what no document explains, if it were declined."""
    server = make_server(start=False)
    server.start(fault="authorize-before-finish:crash")
    http, key = Http(server), str(uuid.uuid4())
    purse = Wallets(server).wallet(1000)
    if split:
        body = {**body, "split[wallet]": purse, "split[amount]": "700"}
    crash(server, http, key, "/v1/payment_intents", body)
    shutil.rmtree(server.network_data / "issuer")
    server.start()
    intent = within(lambda: next((one for one in sdk(server).v1.payment_intents.list().data
                                  if one.status != "processing"), None),
                    RESTART_SECONDS, "the payment's end")
    assert intent.status == status
    books = Books(server)
    books.check_documents()
    books.check_ledger()


@pytest.mark.parametrize("point, body", REVERSE)
def test_crash_while_reversing(make_server, point, body):
    """PAYMENTS-3. The network approved, the books refused: the network's word is taken back."""
    server = make_server(start=False)
    server.start(fault=f"books-refuse:error,{point}:crash")
    http, key = Http(server), str(uuid.uuid4())
    crash(server, http, key, "/v1/payment_intents", body)
    after_restart(server, http, key, "/v1/payment_intents", body,
                  (402, "requires_payment_method", 0, 0))


@pytest.mark.parametrize("body", [PAYMENT, HOLD])
def test_a_reversal_that_the_network_declines(make_server, body):
    """It has approved what the books refused, and keeps it: that is for a person, and no payment."""
    server = make_server(start=False)
    server.start(fault="books-refuse@1:error")
    http, wallets = Http(server), Wallets(server)
    answer = http.post("/v1/payment_intents", {**body, "payment_method": KEEPS})
    assert answer.status_code == 402
    error = answer.json()["error"]
    assert (error["code"], error["payment_intent"]["status"]) == (
        "processing_error", "requires_payment_method")
    (item,) = wallets.get("/v1/tael/suspense_items", status="open")["data"]
    assert (item["reason"], item["amount"], item["charge"]) == (
        "void_refused", 2000, error["charge"])
    # Another card pays it; the item is of the first charge still.
    intent = error["payment_intent"]["id"]
    done = http.post(f"/v1/payment_intents/{intent}/confirm", {"payment_method": "pm_card_visa"})
    assert done.json()["status"] in ("succeeded", "requires_capture")
    before = Books(server).accounts[CLEARING]["debits_pending"]
    done = wallets.post(f"/v1/tael/suspense_items/{item['id']}/resolve", resolution="released")
    assert done["status"] == "resolved"
    assert Books(server).accounts[CLEARING]["debits_pending"] == before
    reconciled(server)


@pytest.mark.parametrize("point", VOID_DECLINED)
def test_crash_while_a_void_is_declined(make_server, point):
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    http, key = Http(server), str(uuid.uuid4())
    purse = Wallets(server).wallet(1000)
    made = http.post("/v1/payment_intents", {
        **HOLD, "payment_method": KEEPS, "split[wallet]": purse, "split[amount]": "700"}).json()
    path = f"/v1/payment_intents/{made['id']}/cancel"
    crash(server, http, key, path, {})
    server.start()
    within(lambda: request(http, key, path, {}).json().get("status") == "canceled",
           RESTART_SECONDS, "the cancellation")
    wallets = Wallets(server)
    (item,) = wallets.get("/v1/tael/suspense_items", status="open")["data"]
    assert (item["reason"], item["amount"]) == ("void_refused", 1300)
    assert wallets.balance(purse)["held"] == 0
    assert Books(server).accounts[CLEARING]["debits_pending"] == 1300


@pytest.mark.parametrize("body", [PAYMENT, HOLD])
def test_reversal_without_a_crash(make_server, body):
    server = make_server(start=False)
    server.start(fault="books-refuse@1:error")
    http = Http(server)
    answer = http.post("/v1/payment_intents", body)
    assert answer.status_code == 402
    assert answer.json()["error"]["code"] == "processing_error"
    assert settled(server).transactions == []
    assert http.post("/v1/payment_intents", body).status_code == 200
    settled(server)
    reconciled(server)


@pytest.mark.parametrize("first, second", [
    ("before-post", "before-post"), ("before-post", "before-finish"),
    ("before-finish", "before-finish"),
])
@pytest.mark.parametrize("act", ["authorize", "capture", "void", "refund", "increment"])
def test_crash_while_repairing(make_server, act, first, second):
    """The process that finishes the work dies as well, at a later point or the same."""
    server = make_server(start=False)
    server.start(fault=f"{act}-{first}:crash")
    http, key = Http(server), str(uuid.uuid4())
    path, body = "/v1/payment_intents", PAYMENT
    wanted = (200, "succeeded", 2000, 0)
    if act != "authorize":
        made = http.post(path, PAYMENT if act == "refund" else GROWING).json()
    if act == "refund":
        path, body = "/v1/refunds", {"payment_intent": made["id"]}
        wanted = (200, "succeeded", 2000, 2000)
    elif act == "increment":
        path, body = f"{path}/{made['id']}/increment_authorization", {"amount": "2500"}
        wanted = (200, "requires_capture", 0, 0)
    elif act != "authorize":
        path, body = f"{path}/{made['id']}/{'cancel' if act == 'void' else act}", {}
        wanted = (200, "canceled", 0, 0) if act == "void" else wanted
    crash(server, http, key, path, body)
    server.start(fault=f"{act}-{second}:crash", dies=True)
    after_restart(server, http, key, path, body, wanted)


def test_crash_while_confirming_and_retry_at_once(make_server):
    """A client that retries without waiting is told that the key is in use, or the outcome."""
    server = make_server(start=False)
    server.start(fault="authorize-before-post:crash")
    http, key = Http(server), str(uuid.uuid4())
    crash(server, http, key, "/v1/payment_intents", PAYMENT)
    server.start()
    answers = []

    def final():
        answers.append(request(http, key, "/v1/payment_intents", PAYMENT))
        return answers[-1].status_code == 200

    within(final, RESTART_SECONDS, "the outcome")
    assert {answer.status_code for answer in answers} <= {200, 409}
    books = settled(server)
    assert len(books.intents) == len(books.charges) == 1


@pytest.mark.parametrize("act", ["pay", "capture", "cancel", "refund"])
@pytest.mark.parametrize("hit", range(1, 9 if LONG else 5))
@pytest.mark.parametrize("point", COMMIT)
def test_crash_around_commits(make_server, point, hit, act):
    """Whichever commit it is, of the request or of a worker: a retry ends in one outcome."""
    server = make_server(start=False)
    server.start()
    http, key = Http(server), str(uuid.uuid4())
    path, body, captured, refunded = "/v1/payment_intents", PAYMENT, 2000, 0
    if act != "pay":
        made = http.post(path, PAYMENT if act == "refund" else HOLD).json()
    if act == "refund":
        path, body, refunded = "/v1/refunds", {"payment_intent": made["id"]}, 2000
    elif act != "pay":
        path, body = f"{path}/{made['id']}/{act}", {}
        captured = 2000 if act == "capture" else 0
    server.stop()
    server.start(fault=f"{point}@{hit}:crash")
    answers = []
    try:
        answers.append(request(http, key, path, body))
        # Acknowledged before the point was reached: one more commit, and then as if killed.
        while server.alive():
            http.post("/v1/customers", {"name": "one more"})
    except requests.exceptions.ConnectionError:
        server.wait_for_crash()
    if not answers:
        server.start()
        settled(server, RESTART_SECONDS)
        answers.append(request(http, key, path, body))
    else:
        server.start()
    if answers[0].status_code == 402:  # the network had not heard of it: see AUTHORIZE
        assert act == "pay" and answers[0].json()["error"]["code"] == "processing_error"
        captured = 0
    else:
        assert answers[0].status_code == 200, answers[0].text
    again = request(http, key, path, body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.content) == (answers[0].status_code, answers[0].content)
    books = settled(server, RESTART_SECONDS)
    assert len(books.intents) == 1
    assert sum(charge.amount_captured for charge in books.charges) == captured
    assert sum(charge.amount_refunded for charge in books.charges) == refunded
