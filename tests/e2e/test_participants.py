"""Other services take part in a payment: all or nothing, whatever they answer and whenever."""

import itertools
import json
import threading
import time

import pytest
import stripe

from kit.books import metrics, reconciled
from kit.browser import Browser, action_url
from kit.client import Http, restricted_key, sdk
from kit.participant import Scripted, Warehouse, ended, transaction_of
from kit.server import Server, run_tael, wait_until
from kit.wallets import Wallets

RETRIES = ("--participant-retry-first=1s", "--participant-retry-max=1s", "--participant-prepare-for=1m")
# Who answers when the machine gets round to it is not slow.
PATIENT = (*RETRIES, "--participant-timeout=20s", "--participant-retry-for=1m")
HURRIED = (*RETRIES, "--participant-timeout=1s", "--participant-retry-for=6s")
CHALLENGED = "pm_card_threeDSecure2Required"


def serving(folder, flags):
    made = Server(folder, *flags).start()
    yield made
    reconciled(made)
    made.close()


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    yield from serving(tmp_path_factory.mktemp("participants"), PATIENT)


@pytest.fixture(scope="module")
def hurried(tmp_path_factory):
    """A server that does not wait long for participants."""
    yield from serving(tmp_path_factory.mktemp("participants"), HURRIED)


@pytest.fixture
def own(request):
    return request.getfixturevalue(getattr(request, "param", "patient"))


does_not_wait = pytest.mark.parametrize("own", ["hurried"], indirect=True)


@pytest.fixture
def client(own):
    return sdk(own)


@pytest.fixture
def shop(own):
    made = Scripted(own)
    yield made
    made.close()


@pytest.fixture
def warehouse(own, tmp_path):
    made = Warehouse(own, tmp_path, lamp=2)
    yield made
    made.kill()


def pay(client, *members, data="lamp", token="pm_card_visa", **params):
    return client.v1.payment_intents.create({
        "amount": 2000, "currency": "usd", "payment_method": token, "confirm": True,
        "participants": {member.id: data for member in members}, **params})


def declined(client, *members, **params):
    with pytest.raises(stripe.CardError) as caught:
        pay(client, *members, **params)
    error = caught.value
    return error, error.json_body["error"]["payment_intent"]["id"]


def captured(client):
    return sum(charge.amount_captured for charge in client.v1.charges.list({"limit": 100}).data)


# ---- agreeing ------------------------------------------------------------------------------


def test_a_payment_and_its_participants_commit_together(own, client, shop, warehouse):
    intent = pay(client, shop, warehouse)
    assert intent.status == "succeeded"
    assert intent["participants"].to_dict() == {shop.id: "lamp", warehouse.id: "lamp"}
    done = ended(own, intent.id, "committed")
    assert done["id"] == intent["transaction"]
    assert [member["state"] for member in done["members"]] == ["committed", "committed"]
    assert shop.asked() == ["prepare", "commit"]
    assert warehouse.shelf("lamp") == (1, 0, 1)


def test_what_a_participant_is_told(client, shop):
    intent = pay(client, shop, data='{"points": 50, "who": "Zoë"}')
    wait_until(lambda: len(shop.asked()) == 2, what="the commit")
    prepare, commit = shop.verified()
    assert {key: prepare.event[key] for key in (
        "object", "action", "amount", "currency", "data", "livemode", "owner", "participant")} == {
            "object": "transaction_request", "action": "prepare", "amount": 2000,
            "currency": "usd", "data": '{"points": 50, "who": "Zoë"}', "livemode": False,
            "owner": intent.id, "participant": shop.id}
    assert commit.event == {**prepare.event, "action": "commit"}
    number = intent["transaction"]
    assert prepare.headers["Idempotency-Key"] == f"{number}/prepare"
    assert commit.headers["Idempotency-Key"] == f"{number}/commit"


def test_a_participant_is_asked_before_the_card(own, client, shop):
    """PAYMENTS-11. A declined card: it had agreed, and is told to abort."""
    _, intent = declined(client, shop, token="pm_card_chargeDeclined")
    ended(own, intent, "aborted")
    assert shop.asked() == ["prepare", "abort"]


def test_manual_capture_commits_what_is_captured(own, client, shop, warehouse):
    intent = pay(client, shop, warehouse, capture_method="manual")
    assert transaction_of(own, intent.id)["status"] == "prepared"
    assert warehouse.shelf("lamp") == (1, 1, 0)
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    assert ended(own, intent.id, "committed")["amount"] == 1500
    assert shop.verified()[-1].event["amount"] == 1500
    assert warehouse.shelf("lamp") == (1, 0, 1)


def test_no_more_is_committed_than_was_agreed_to(own, client, shop):
    intent = pay(client, shop, capture_method="manual", expand=["latest_charge"],
                 payment_method_options={
                     "card": {"request_incremental_authorization": "if_available"}})
    card = intent.latest_charge.payment_method_details.card
    assert card.incremental_authorization.status == "unavailable"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.increment_authorization(intent.id, {"amount": 3000})
    client.v1.payment_intents.capture(intent.id)
    ended(own, intent.id, "committed")
    assert [one.event["amount"] for one in shop.verified()] == [2000, 2000]


def test_cancelling_aborts(own, client, warehouse):
    intent = pay(client, warehouse, capture_method="manual")
    assert warehouse.shelf("lamp") == (1, 1, 0)
    client.v1.payment_intents.cancel(intent.id)
    ended(own, intent.id, "aborted")
    assert warehouse.shelf("lamp") == (2, 0, 0)


def test_a_challenge_lets_go_and_begins_anew(own, client, shop, warehouse):
    intent = pay(client, shop, warehouse, token=CHALLENGED, return_url="https://shop.example")
    assert intent.status == "requires_action"
    first = ended(own, intent.id, "aborted")
    assert warehouse.shelf("lamp") == (2, 0, 0)
    Browser().follow(action_url(intent))
    wait_until(lambda: client.v1.payment_intents.retrieve(intent.id).status == "succeeded")
    second = ended(own, intent.id, "committed")
    assert first["id"] != second["id"]
    assert shop.asked(second["id"]) == ["prepare", "commit"]
    assert warehouse.shelf("lamp") == (1, 0, 1)


def test_cancelling_what_was_aborted_already(own, client, shop):
    challenged = pay(client, shop, token=CHALLENGED, return_url="https://shop.example").id
    _, refused = declined(client, shop, token="pm_card_chargeDeclined")
    for intent in (challenged, refused):
        done = ended(own, intent, "aborted")
        assert client.v1.payment_intents.cancel(intent).status == "canceled"
        assert transaction_of(own, intent) == done
        assert shop.asked(done["id"]) == ["prepare", "abort"]


def test_a_wallet_pays(own, client, shop):
    purse = Wallets(own).wallet(2500)
    wallet = {"payment_method": None, "payment_method_data": {
        "type": "wallet", "wallet": {"id": purse}}}
    wallet.pop("payment_method")
    for status, seen in (("committed", ["prepare", "commit"]), ("aborted", ["prepare", "abort"])):
        body = {"amount": 2000, "currency": "usd", "confirm": True,
                "participants": {shop.id: "x"}, **wallet}
        try:
            intent = client.v1.payment_intents.create(body).id
        except stripe.CardError as error:  # the second time it has too little
            intent = error.json_body["error"]["payment_intent"]["id"]
        done = ended(own, intent, status)
        assert shop.asked(done["id"]) == seen
    assert Wallets(own).balance(purse)["posted"] == 500


def test_a_split_payment_with_a_participant_that_refuses(own, client, shop):
    shop.plan["prepare"] = "refused"
    purse = Wallets(own).wallet(1000)
    declined(client, shop, split={"wallet": purse, "amount": 700})
    shown = Wallets(own).balance(purse)
    assert (shown["posted"], shown["held"]) == (1000, 0)


# ---- refusing, and not answering -----------------------------------------------------------


def test_a_participant_that_says_no(own, client, shop, warehouse):
    before = captured(client)
    pay(client, warehouse), pay(client, warehouse)
    error, intent = declined(client, shop, warehouse)
    assert error.code == "payment_method_provider_decline"
    assert error.json_body["error"]["decline_code"] == "participant_declined"
    assert error.user_message == "The warehouse refused: There is no lamp left."
    done = ended(own, intent, "aborted")
    assert [member["state"] for member in done["members"]] == ["aborted", "refused"]
    assert shop.asked() == ["prepare", "abort"]
    wait_until(lambda: warehouse.shelf("lamp") == (0, 0, 2))
    assert captured(client) == before + 4000


@pytest.mark.parametrize("answer", [
    409, (409, b'{"reason": "sold"}'), (200, b'{"state": "aborted"}')])
def test_every_way_to_say_no(client, shop, answer):
    shop.plan["prepare"] = answer
    error, _ = declined(client, shop)
    assert error.json_body["error"]["decline_code"] == "participant_declined"


@pytest.mark.parametrize("answer", [
    500, 404, (200, b""), (200, b"{"), (200, b'{"state": 1}'), (200, b'{"state": "maybe"}'),
    (200, b'{"state": "unknown"}'), (200, b'{"state": "committed"}'), (302, b"", {"Location": "/"}),
    (200, b'{"state": "prepared", "pad": "' + b"x" * 20000 + b'"}')])
def test_an_answer_that_makes_no_sense_is_no_yes(own, client, shop, answer):
    shop.plan["prepare"] = answer
    error, intent = declined(client, shop)
    assert error.json_body["error"]["decline_code"] == "participant_unavailable"
    assert ended(own, intent, "aborted")["members"][0]["state"] == "aborted"
    asked = shop.asked(transaction_of(own, intent)["id"])
    assert set(asked[:-1]) == {"prepare"} and len(asked) <= 4 and asked[-1] == "abort"


def in_turn(asked):
    """Each action once, in the order in which they came first."""
    return [action for action, _ in itertools.groupby(asked)]


@does_not_wait
def test_a_slow_participant_is_asked_again(own, client, shop):
    slow = [1.5]
    shop.plan["prepare"] = lambda _: (slow and time.sleep(slow.pop())) or "prepared"
    intent = pay(client, shop)
    ended(own, intent.id, "committed")
    assert in_turn(shop.asked()) == ["prepare", "commit"] and shop.asked().count("prepare") >= 2


@does_not_wait
def test_one_that_is_too_slow_is_not_waited_for(own, client, shop):
    over = threading.Event()
    shop.plan["prepare"] = lambda _: over.wait(60) and "prepared"
    _, intent = declined(client, shop)
    assert not over.is_set()
    over.set()
    assert ended(own, intent, "aborted")
    assert shop.asked()[-1] == "abort"


def test_nobody_listens(own, client, shop):
    shop.close()
    error, intent = declined(client, shop)
    assert error.user_message == "The shop could not be asked."
    assert transaction_of(own, intent)["status"] == "aborting"
    shop.receiver.open()
    ended(own, intent, "aborted")
    assert shop.asked() == ["abort"]  # the barrier: of a transaction that it never heard of


def test_a_participant_that_dies_after_prepare(own, client, warehouse):
    intent = pay(client, warehouse, capture_method="manual")
    warehouse.kill()
    client.v1.payment_intents.capture(intent.id)
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert transaction_of(own, intent.id)["status"] == "committing"
    warehouse.start()
    ended(own, intent.id, "committed")
    assert warehouse.shelf("lamp") == (1, 0, 1)


@does_not_wait
def test_a_commit_that_is_answered_late_is_told_again(own, client, shop):
    slow = [1.5]
    shop.plan["commit"] = lambda _: (slow and time.sleep(slow.pop())) or "committed"
    intent = pay(client, shop)
    ended(own, intent.id, "committed")
    assert in_turn(shop.asked()) == ["prepare", "commit"] and shop.asked().count("commit") >= 2


def test_late_and_repeated_requests_change_nothing(warehouse):
    """The sample, by hand: an abort of something unknown, then its prepare; everything twice."""
    sent = signed_by(warehouse)
    assert [sent("abort", "dtx_late"), sent("prepare", "dtx_late"), sent("commit", "dtx_late")] == [
        "aborted", "aborted", "aborted"]
    assert [sent(action, "dtx_twice") for action in (
        "status", "prepare", "prepare", "status", "commit", "commit", "abort", "prepare")] == [
            "unknown", "prepared", "prepared", "prepared", "committed", "committed", "committed",
            "committed"]
    assert warehouse.shelf("lamp") == (1, 0, 1)


def signed_by(warehouse):
    import hashlib
    import hmac

    import requests
    session = requests.Session()
    session.trust_env = False

    def send(action, number):
        body = json.dumps({"id": number, "action": action, "data": "lamp"})
        stamp = int(time.time())
        mac = hmac.new(warehouse.secret.encode(), f"{stamp}.{body}".encode(), hashlib.sha256)
        return session.post(
            f"http://127.0.0.1:{warehouse.port}/", data=body, timeout=60,
            headers={"Stripe-Signature": f"t={stamp},v1={mac.hexdigest()}"}).json()["state"]
    return send


# ---- a decision that is not confirmed ------------------------------------------------------


def test_a_commit_that_is_refused_waits_for_a_person(own, client, shop):
    shop.plan["commit"] = shop.plan["status"] = (
        200, b'{"state": "aborted", "reason": "The shelf fell over."}')
    intent = pay(client, shop)
    assert intent.status == "succeeded"
    stuck = ended(own, intent.id, "commit_stuck")
    assert stuck["members"][0]["state"] == "stuck"
    assert stuck["members"][0]["reason"] == "The shelf fell over."
    assert shop.asked() == ["prepare", "commit", "status"]
    wait_until(lambda: metrics(own)["tael_participant_transactions_stuck"] == 1)
    http = Http(own)
    shop.plan["commit"] = "committed"
    path = f"/v1/transactions/{stuck['id']}/resolve"
    told = http.post(path, {"resolution": "retry", "note": "It stands again."}).json()
    assert (told["status"], told["note"]) == ("committing", "It stands again.")
    ended(own, intent.id, "committed")
    wait_until(lambda: metrics(own)["tael_participant_transactions_stuck"] == 0)
    again = http.post(path, {"resolution": "retry"})
    assert (again.status_code, again.json()["error"]["code"]) == (400, "transaction_not_stuck")
    kinds = [event.type for event in client.v1.events.list({"limit": 100}).data
             if event.type.startswith("tael.transaction.")]
    assert "tael.transaction.stuck" in kinds and "tael.transaction.resolved" in kinds


def test_a_person_concludes(own, client, shop):
    shop.plan["commit"] = shop.plan["status"] = 409
    intent = pay(client, shop)
    stuck = ended(own, intent.id, "commit_stuck")
    told = Http(own).post(f"/v1/transactions/{stuck['id']}/resolve", {
        "resolution": "conclude", "note": "Sent by hand."}).json()
    assert (told["status"], told["members"][0]["state"]) == ("committed", "stuck")


@does_not_wait
def test_no_confirmation_in_time(own, client, shop):
    """Neither a commit nor, at last, the question for its state is answered."""
    shop.plan["commit"] = shop.plan["status"] = 503
    intent = pay(client, shop)
    ended(own, intent.id, "commit_stuck", 20)
    asked = shop.asked()
    assert asked[0] == "prepare" and asked[-1] == "status" and asked.count("commit") >= 2


def test_a_contradiction_that_was_a_mistake(own, client, shop):
    """It says no to the commit, but has committed: its state counts."""
    shop.plan["commit"], shop.plan["status"] = 409, "committed"
    intent = pay(client, shop)
    ended(own, intent.id, "committed")
    assert shop.asked() == ["prepare", "commit", "status"]


def test_one_still_prepared_is_told_again(own, client, shop):
    answers = [409, "committed"]
    shop.plan["commit"], shop.plan["status"] = (lambda _: answers.pop(0)), "prepared"
    intent = pay(client, shop)
    ended(own, intent.id, "committed")
    assert shop.asked() == ["prepare", "commit", "status", "commit"]


def test_a_participant_that_committed_what_was_aborted(own, client, shop):
    shop.plan["abort"] = shop.plan["status"] = "committed"
    _, intent = declined(client, shop, token="pm_card_chargeDeclined")
    ended(own, intent, "abort_stuck")


def test_a_slow_one_does_not_hold_up_the_other(own, client, shop):
    other = Scripted(own, "The other", commit=503)
    pay(client, shop, other)
    wait_until(lambda: shop.asked() == ["prepare", "commit"])
    other.plan["commit"] = "committed"
    wait_until(lambda: other.asked()[-1] == "commit")
    other.close()


def test_the_command_line(own, client, shop):
    def txn(*arguments):
        done = run_tael("txn", *arguments, f"--url={own.url}", f"--key={own.key}")
        return done.returncode, done.stdout, done.stderr

    shop.plan["commit"] = shop.plan["status"] = (409, b'{"reason": "It is \\u001b[31mclosed."}')
    intent = pay(client, shop)
    number = ended(own, intent.id, "commit_stuck")["id"]
    code, shown, _ = txn("list", "--participants")
    assert code == 0 and number in shown and "commit_stuck" in shown and intent.id in shown
    code, shown, _ = txn("show", number)
    assert code == 0 and "The shop" in shown and "stuck, 2 requests" in shown
    assert "closed." in shown and "\x1b" not in shown
    shop.plan["commit"] = "committed"
    code, shown, _ = txn("resolve", number, "--note=mended")
    assert code == 0 and "mended" in shown
    ended(own, intent.id, "committed")
    assert txn("resolve", number)[0] == 1
    assert txn("resolve", "dtx_nothing")[0] == 1
    code, shown, _ = txn("show", number, "--json")
    assert code == 0 and json.loads(shown)["status"] == "committed"


# ---- the resource --------------------------------------------------------------------------


def test_participants_are_kept(own, shop):
    http = Http(own)
    shown = http.get(f"/v1/participants/{shop.id}").json()
    assert shown["name"] == "The shop" and "secret" not in shown
    changed = http.post(f"/v1/participants/{shop.id}", {"name": "New", "metadata[a]": "b"}).json()
    assert (changed["name"], changed["metadata"]) == ("New", {"a": "b"})
    assert shop.id in [one["id"] for one in http.get("/v1/participants?limit=100").json()["data"]]
    assert http.get("/v1/participants/part_none").status_code == 404


def test_a_participant_asks_how_it_stands(own, client, shop):
    http = Http(own, restricted_key(own, "transactions:read"))
    number = pay(client, shop, capture_method="manual")["transaction"]
    assert http.get(f"/v1/transactions/{number}").json()["status"] == "prepared"
    assert http.post(f"/v1/transactions/{number}/resolve", {"resolution": "retry"}).status_code == 403
    unknown = http.get("/v1/transactions/dtx_unknown")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "resource_missing")


def test_two_secrets_sign_for_a_while(own, client, shop):
    old = shop.secret
    shop.secret = Http(own).post(f"/v1/participants/{shop.id}/roll_secret").json()["secret"]
    assert shop.secret != old
    pay(client, shop)
    assert shop.verified()
    shop.secret = old
    assert shop.verified()
    again = Http(own).post(f"/v1/participants/{shop.id}/roll_secret")
    assert again.json()["error"]["param"] == "expires_in"


WRONG = [
    ({"participants[part_none]": "x"}, "participants[part_none]", "resource_missing"),
    ({"participants[{id}][a]": "x"}, "participants[{id}]", None),
    ({"participants[{id}]": "x" * 2001}, "participants[{id}]",
     "parameter_invalid_string_too_long"),
    ({f"participants[part_{n}]": "x" for n in range(5)}, "participants", None),
    ({"participants": "x"}, "participants", None),
]


@pytest.mark.parametrize("params, param, code", WRONG)
def test_wrong_participants(own, shop, params, param, code):
    params = {name.replace("{id}", shop.id): value for name, value in params.items()}
    answer = Http(own).post("/v1/payment_intents", {"amount": 2000, "currency": "usd", **params})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["param"], error.get("code")) == (param.replace("{id}", shop.id), code)


def test_a_disabled_participant(own, client, shop):
    intent = pay(client, shop, confirm=False)
    Http(own).post(f"/v1/participants/{shop.id}", {"disabled": "true"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        pay(client, shop)
    assert caught.value.code == "participant_disabled"
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.confirm(intent.id)
    assert caught.value.json_body["error"]["decline_code"] == "participant_unavailable"
    client.v1.payment_intents.update(intent.id, {"participants": ""})
    assert client.v1.payment_intents.confirm(
        intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    wait_until(lambda: shop.asked() == ["abort"], what="the abort")


@pytest.mark.parametrize("params, param", [
    ({"url": "http://x"}, "name"), ({"name": "x"}, "url"),
    ({"name": "x", "url": "ftp://x"}, "url"), ({"name": "", "url": "http://x"}, "name")])
def test_wrong_endpoints(own, params, param):
    answer = Http(own).post("/v1/participants", params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_publishable_keys_name_no_participants(own, shop):
    answer = Http(own, key=own.publishable_key).post(
        "/v1/payment_intents",
        {"amount": 2000, "currency": "usd", f"participants[{shop.id}]": "x"})
    assert answer.status_code in (401, 403)
