"""A ledger of four shards: its interface, what crosses, and payments by card and wallet."""

import itertools
import json
import re
import subprocess
import time

import pytest
import requests

from kit.certificates import make_internal_certificates
from kit.client import Http, pay, sdk
from kit.server import PROGRAM, run_tael, wait_until
from kit.shards import Shards, shard_of, slot
from kit.wallets import Wallets

LEDGER = 7000
_ids = itertools.count(10**12)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    made = Shards(tmp_path_factory.mktemp("shards") / "cluster").start()
    yield made
    made.close()


@pytest.fixture
def ledger(shards):
    return Ledger(shards)


class Ledger:
    def __init__(self, shards):
        self.http = Http(shards)

    def ask(self, what, status=200, **body):
        answer = self.http.post(f"/v1/ledger/{what}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def on(self, shard):
        """A new id of an account there."""
        return str(next(number for number in _ids if shard_of(number) == shard))

    def near(self, other):
        """The same, in the other one's slot."""
        return str(next(number for number in _ids if slot(number) == slot(other)))

    def create(self, ids):
        events = [{"id": number, "ledger": LEDGER, "code": 1} for number in ids]
        return [result["status"] for result in self.ask("accounts", events=events)["results"]]

    def post(self, events):
        results = self.ask("transfers", events=events)["results"]
        return [result["status"] for result in results]

    def settled(self, ids):
        """The accounts, when what was decided is posted: soon after it was told."""
        found = {}

        def posted():
            accounts = self.ask("lookup", accounts=ids)["accounts"]
            found.update((account["id"], account) for account in accounts)
            return all(account["credits_pending"] == account["debits_pending"] == "0"
                       for account in accounts)

        wait_until(posted, 5, "the posts")
        return found

    def transfer(self, debit, credit, **members):
        return {"id": str(next(_ids)), "debit_account_id": debit, "credit_account_id": credit,
                "amount": "10", "ledger": LEDGER, "code": 1, **members}


def test_a_batch_for_all_shards(ledger):
    accounts = [(ledger.on(i % 4), ledger.on(i % 4)) for i in range(8)]
    ids = [number for pair in accounts for number in pair]
    assert ledger.create(ids) == ["created"] * 16
    assert ledger.create(ids[5:7]) == ["exists"] * 2
    events = [ledger.transfer(*pair) for pair in accounts]
    events.insert(3, ledger.transfer(accounts[0][0], accounts[0][0]))
    statuses = [result["status"] for result in ledger.ask("transfers", events=events)["results"]]
    assert statuses == ["created"] * 3 + ["accounts_must_be_different"] + ["created"] * 5
    found = ledger.ask("lookup", accounts=[*ids, "5"])["accounts"]
    assert [account["id"] for account in found] == ids
    assert {account["debits_posted"] for account in found[::2]} == {"10"}
    wanted = [event["id"] for event in events]
    found = ledger.ask("lookup", transfers=wanted)["transfers"]
    assert [transfer["id"] for transfer in found] == [i for i in wanted if i != wanted[3]]


def test_a_pending_is_found_by_its_id_alone(ledger):
    debit, credit = ledger.on(2), ledger.on(2)
    assert ledger.create([debit, credit]) == ["created"] * 2
    hold = ledger.transfer(debit, credit, flags=["pending"])
    assert ledger.ask("transfers", events=[hold])["results"][0]["status"] == "created"
    post = {"id": str(next(_ids)), "pending_id": hold["id"], "flags": ["post_pending_transfer"],
            "amount": "10"}
    assert ledger.ask("transfers", events=[post])["results"][0]["status"] == "created"
    found = ledger.ask("lookup", accounts=[credit])["accounts"][0]
    assert (found["credits_posted"], found["credits_pending"]) == ("10", "0")


def test_a_hold_crosses_and_is_found_by_its_id_alone(ledger):
    debit, credit, other = ledger.on(0), ledger.on(2), ledger.on(1)
    assert ledger.create([debit, credit, other]) == ["created"] * 3
    hold = ledger.transfer(debit, credit, flags=["pending"])
    assert ledger.post([hold]) == ["created"]
    assert ledger.post([hold]) == ["exists"]
    elsewhere = {**hold, "credit_account_id": other}
    assert ledger.post([elsewhere]) == ["exists_with_different_credit_account_id"]
    post = {"id": str(next(_ids)), "pending_id": hold["id"], "flags": ["post_pending_transfer"],
            "amount": "4"}
    assert ledger.post([post]) == ["created"] and ledger.post([post]) == ["exists"]
    void = {"id": str(next(_ids)), "pending_id": hold["id"], "flags": ["void_pending_transfer"],
            "amount": "0"}
    assert ledger.post([void]) == ["pending_transfer_already_posted"]


def test_transfers_cross(ledger):
    a, b, c = ledger.on(0), ledger.on(0), ledger.on(3)
    assert ledger.create([a, b, c]) == ["created"] * 3
    local, crossing, back = ledger.transfer(a, b), ledger.transfer(a, c), ledger.transfer(c, b)
    assert ledger.post([local, crossing, back]) == ["created"] * 3
    assert ledger.post([crossing]) == ["exists"]
    assert ledger.post([{**crossing, "amount": "11"}]) == ["exists_with_different_amount"]
    elsewhere = {**crossing, "credit_account_id": ledger.on(2)}
    assert ledger.post([elsewhere]) == ["exists_with_different_credit_account_id"]
    found = ledger.settled([a, b, c])
    assert [found[i]["debits_posted"] for i in (a, b, c)] == ["20", "0", "10"]
    assert [found[i]["credits_posted"] for i in (a, b, c)] == ["0", "20", "10"]


def test_chains_cross(ledger):
    """All or none, on three shards; every event has its own id, and what one ledger would tell."""
    a, b, c, d = ledger.on(0), ledger.on(1), ledger.on(1), ledger.on(3)
    assert ledger.create([a, b, c, d]) == ["created"] * 4

    def chain():
        return [ledger.transfer(a, d, flags=["linked"]), ledger.transfer(b, c, flags=["linked"]),
                ledger.transfer(c, a)]

    good, bad = chain(), chain()
    assert ledger.post(good) == ["created"] * 3
    failed = "linked_event_failed"
    assert ledger.post(good) == ["exists", failed, failed]
    changed = [good[0], {**good[1], "amount": "11"}, good[2]]
    assert ledger.post(changed) == ["exists", failed, failed]
    assert ledger.post([ledger.transfer(a, b, flags=["linked"]), good[1]
                        | {"flags": []}]) == [failed, "exists_with_different_flags"]
    assert ledger.post([good[2]]) == ["exists"]
    assert ledger.post([good[2] | {"credit_account_id": b}]) == [
        "exists_with_different_credit_account_id"]
    bad[2]["credit_account_id"] = ledger.on(3)
    assert ledger.post(bad) == [failed, failed, "credit_account_not_found"]
    assert ledger.post(bad) == [failed, failed, "id_already_failed"]
    found = ledger.ask("lookup", transfers=[event["id"] for event in good + bad])["transfers"]
    booked = {one["id"]: one for one in found}
    assert set(booked) == {event["id"] for event in good}
    assert [booked[event["id"]]["debit_account_id"] for event in good] == [a, b, c]
    accounts = ledger.settled([a, b, c, d])
    assert [accounts[i]["debits_posted"] for i in (a, b, c, d)] == ["10", "10", "10", "0"]
    assert [accounts[i]["credits_posted"] for i in (a, b, c, d)] == ["10", "0", "10", "10"]


def test_a_chain_ends_holds_where_it_is_decided(ledger):
    a, c = ledger.on(0), ledger.on(2)
    b = ledger.near(a)
    assert ledger.create([a, b, c]) == ["created"] * 3
    hold = ledger.transfer(a, b, flags=["pending"])
    assert ledger.post([hold]) == ["created"]
    post = {"id": str(next(_ids)), "pending_id": hold["id"], "amount": "4",
            "flags": ["post_pending_transfer", "linked"]}
    chain = [post, ledger.transfer(b, c)]
    assert ledger.post(chain) == ["created"] * 2
    assert ledger.post(chain) == ["exists", "linked_event_failed"]
    again = [{**post, "id": str(next(_ids))}, ledger.transfer(b, c)]
    assert ledger.post(again) == ["pending_transfer_already_posted", "linked_event_failed"]
    found = ledger.settled([a, b, c])
    assert [found[i]["debits_posted"] for i in (a, b, c)] == ["4", "10", "0"]
    assert [found[i]["credits_posted"] for i in (a, b, c)] == ["0", "4", "10"]


def test_a_refusal_is_as_precise_as_on_one_ledger(ledger):
    poor, rich, other = ledger.on(1), ledger.on(1), ledger.on(2)
    limited = {"id": poor, "ledger": LEDGER, "code": 1, "flags": ["debits_must_not_exceed_credits"]}
    assert ledger.ask("accounts", events=[limited])["results"][0]["status"] == "created"
    assert ledger.create([rich, other]) == ["created"] * 2
    short = ledger.transfer(poor, other)
    assert ledger.post([short]) == ["exceeds_credits"]
    assert ledger.post([ledger.transfer(rich, poor)]) == ["created"]
    assert ledger.post([short]) == ["id_already_failed"]
    nobody = ledger.transfer(rich, ledger.on(2))
    assert ledger.post([nobody]) == ["credit_account_not_found"]
    assert ledger.create([nobody["credit_account_id"]]) == ["created"]
    assert ledger.post([nobody]) == ["id_already_failed"]
    both = ledger.transfer(ledger.on(0), ledger.on(2))
    assert ledger.post([both]) == ["debit_account_not_found"]
    assert ledger.post([{**ledger.transfer(rich, other), "code": 0}]) == ["code_must_not_be_zero"]
    wrong = {**ledger.transfer(rich, other), "ledger": LEDGER + 1}
    assert ledger.post([wrong]) == ["transfer_must_have_the_same_ledger_as_accounts"]


def test_what_cannot_cross_is_refused_whole(ledger):
    a, b, c = ledger.on(0), ledger.on(0), ledger.on(3)
    assert ledger.create([a, b, c]) == ["created"] * 3
    good = ledger.transfer(a, b)
    for flags in (["linked", "pending"], ["balancing_debit"]):
        crossing = ledger.transfer(a, c, flags=flags)
        error = ledger.ask("transfers", status=400, events=[good, crossing, good])["error"]
        assert error["param"] == "events[1]", error
        assert "two shards" in error["message"]
    long = [ledger.transfer(a, c, flags=["linked"]) for _ in range(15)]
    error = ledger.ask("transfers", status=400, events=[*long, ledger.transfer(a, c)])["error"]
    assert error["param"] == "events[15]", error
    sent = [event["id"] for event in (good, *long)]
    assert ledger.ask("lookup", transfers=sent)["transfers"] == []


def test_the_protocols_ids_are_its_own(ledger):
    own = str(0x54AE1C << 104 | 5)
    a, c = ledger.on(0), ledger.on(3)
    for member in ("id", "debit_account_id", "credit_account_id", "pending_id"):
        event = {**ledger.transfer(a, c), member: own}
        error = ledger.ask("transfers", status=400, events=[event])["error"]
        assert error["param"] == f"events[0].{member}", error
    account = {"id": own, "ledger": LEDGER, "code": 1}
    assert ledger.ask("accounts", status=400, events=[account])["error"]["param"] == "events[0].id"


def test_a_consistent_read_shows_both_sides(ledger):
    accounts = [ledger.on(i % 4) for i in range(8)]
    assert ledger.create(accounts) == ["created"] * 8
    for _ in range(10):
        events = [ledger.transfer(accounts[i], accounts[i + 1 - 4 * (i == 3)]) for i in range(4)]
        assert ledger.post(events) == ["created"] * 4
        answer = ledger.ask("lookup", accounts=accounts, consistent=True)
        assert [account["id"] for account in answer["accounts"]] == accounts
        both = answer["accounts"] + answer["in_transit"]
        assert sum(int(a["credits_posted"]) - int(a["debits_posted"]) for a in both) == 0
    assert answer["in_transit"]


def test_nothing_is_in_doubt(shards):
    admin = shards.processes["api"].operators
    assert "Nothing is in doubt" in run_tael("txn", "list", f"--url={admin}", check=True).stdout
    gone = run_tael("txn", "resolve", "7", f"--url={admin}")
    assert gone.returncode == 1
    assert "no such transaction" in gone.stderr
    text = requests.get(f"{admin}/metrics", timeout=60).text
    assert "\ntael_txn_in_doubt 0\n" in text
    assert float(re.search(r"\ntael_txn_committed_total (\d+)", text).group(1)) > 0


def test_payments(shards):
    client = sdk(shards, validate=False)
    intent = pay(client)
    assert intent.status == "succeeded"
    held = pay(client, amount=5000, capture_method="manual")
    assert client.v1.payment_intents.capture(held.id).status == "succeeded"
    held = pay(client, amount=700, capture_method="manual")
    assert client.v1.payment_intents.cancel(held.id).status == "canceled"
    assert client.v1.refunds.create({"payment_intent": intent.id}).status in (
        "succeeded", "pending")
    wallets = Wallets(shards)
    wallet = wallets.wallet(10000)
    assert wallet


def test_what_a_lost_shard_takes_along(tmp_path):
    """The API stays ready for the merchants of the others, and says whose are not served."""
    cluster = Shards(tmp_path / "cluster", shards=2)
    try:
        cluster.start()
        admin = cluster.processes["api"].operators

        def says(path):
            answer = requests.get(admin + path, timeout=10)
            return answer.status_code, answer.text

        assert says("/readyz") == (200, "ready\n")
        cluster.processes["ledger-b"].kill()
        wait_until(lambda: "ledger-b" in says("/readyz")[1], 20, "the shard's name")
        status, text = says("/readyz")
        assert status == 200 and text.startswith("ready, without shard ledger-b of the ledger ("), text
        assert 'tael_shards_ready{shard="ledger-b"} 0\n' in says("/metrics")[1]
        assert run_tael("health", f"{admin}/readyz", check=True).stdout == text
        cluster.processes["ledger-a"].kill()
        wait_until(lambda: says("/readyz")[0] == 503, 20, "503")
        for name in ("ledger-a", "ledger-b"):
            cluster.processes[name].start()
        wait_until(lambda: says("/readyz") == (200, "ready\n"), 20, "ready again")
    finally:
        cluster.close()


def asks_in_vain(shards, role, why):
    """Of a role that shards do not answer: the commands that look, and the other one that moves."""
    proof = (f"--ledger-shards={shards.map}", *shards.proof(role))
    for words in (("list",), ("list", "--json"), ("verify",),
                  ("split", "ledger-a", "--to=ledger-b")):
        began = time.monotonic()
        refused = run_tael("shards", *words, *proof)
        assert refused.returncode == 1, (words, refused.stdout)
        assert "shard ledger-" in refused.stderr and why in refused.stderr, refused.stderr
        assert "busy" not in refused.stdout + refused.stderr
        assert time.monotonic() - began < 10
        if words == ("list",):
            assert refused.stdout.count(why) == 2, refused.stdout
        if "--json" in words:
            errors = [shard["error"] for shard in json.loads(refused.stdout)["shards"]]
            assert len(errors) == 2 and all(why in error for error in errors)
    planned = run_tael("shards", "plan", *proof)  # of the map alone
    assert planned.returncode == 0, planned.stderr


def moves_in_vain(shards, *words):
    """Begins a move that needs ledger-a, which is not there; the function that is given back waits for its end."""
    move = subprocess.Popen(
        [PROGRAM, "shards", "move", *words, f"--ledger-shards={shards.map}", *shards.proof("api")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended():
        _, errors = move.communicate(timeout=30)
        place = shards.processes["ledger-a"].where()
        assert move.returncode == 1, errors
        assert f"shard ledger-a at {place}: nobody answers" in errors, errors
        assert "busy" not in errors

    return ended


def test_with_certificates(tmp_path):
    """Shards, whoever asks them, and who moves slots prove to be ours."""
    names = ("ledger-a", "ledger-b", "vault", "cards", "api")
    certificates = make_internal_certificates(tmp_path / "certificates", names)
    shards = Shards(tmp_path / "cluster", shards=2, certificates=certificates).start()
    try:
        client = sdk(shards, validate=False)
        assert pay(client).status == "succeeded"
        ledger = Ledger(shards)
        a, b = (str(next(number for number in _ids if shard_of(number, 2) == i)) for i in range(2))
        assert ledger.create([a, b]) == ["created"] * 2
        assert ledger.post([ledger.transfer(a, b)]) == ["created"]

        words = ("move", "--even", "--without=ledger-a", f"--ledger-shards={shards.map}")
        refused = run_tael("shards", *words)
        assert refused.returncode != 0
        assert "--internal-key-file, or --internal-tls-" in refused.stderr, refused.stderr
        # Roles that may ask others and not the ledger, and that may ask nobody: told, and at once.
        for role, why in (("cards", "not to the role of our certificate"),
                          ("ledger-a", "it does not know us")):
            began = time.monotonic()
            refused = run_tael("shards", *words, *shards.proof(role))
            assert refused.returncode == 1 and "shard ledger-" in refused.stderr
            assert why in refused.stderr, refused.stderr
            assert time.monotonic() - began < 10  # thirty seconds are what a busy shard is given
            asks_in_vain(shards, role, why)
        moved = run_tael("shards", *words, *shards.proof("api"))
        assert moved.returncode == 0, moved.stderr
        assert ledger.post([ledger.transfer(b, a)]) == ["created"]
        assert pay(client).status == "succeeded"
        # One that is not there is told of beside the other, and is no refusal.
        shards.processes["ledger-a"].stop()
        ended = moves_in_vain(shards, "--slots=0-9", "--from=ledger-b", "--to=ledger-a")
        listed = run_tael("shards", "list", "--json", f"--ledger-shards={shards.map}",
                          *shards.proof("api"))
        assert listed.returncode == 0, listed.stderr
        gone, there = json.loads(listed.stdout)["shards"]
        assert gone["error"] == "nobody answers" and "error" not in there
        verified = run_tael("shards", "verify", f"--ledger-shards={shards.map}",
                            *shards.proof("api"))
        assert verified.returncode == 1 and "nobody answers" in verified.stderr, verified.stderr
        ended()
        shards.processes["ledger-a"].start()
    finally:
        shards.close()
