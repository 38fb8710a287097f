"""The ledger's own HTTP interface: JSON, packed records, balances, limits, errors.

Over shards the accounts of a test are on one: there everything is as in a ledger that is one. What is not,
tests/e2e/test_shards.py has."""

import itertools
import re
import struct

import pytest

from kit.client import Http
from kit.server import SHARDS, Server, run_tael, wait_until
from kit.shards import number_in_first_slot

U128_MAX = 2**128 - 1
LEDGER = 7000
_ids = itertools.count(10**12)


def new_id():
    return str(next(_ids))


def new_account():
    """The id of one that is in the same slot as all others, if there are several shards."""
    count = next(_ids)
    return str(number_in_first_slot(count) if SHARDS > 0 else count)


@pytest.fixture
def ledger(http):
    return Ledger(http)


class Ledger:
    def __init__(self, http):
        self.http = http

    def ask(self, what, status=200, **body):
        answer = self.http.post(f"/v1/ledger/{what}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def accounts(self, *events):
        events = [{"id": new_account(), "ledger": LEDGER, "code": 1, **event} for event in events]
        results = self.ask("accounts", events=events)["results"]
        return [event["id"] for event in events], [result["status"] for result in results]

    def two(self, **members):
        ids, statuses = self.accounts(members, members)
        assert statuses == ["created", "created"]
        return ids

    def transfer(self, debit, credit, amount, **members):
        event = {"id": new_id(), "debit_account_id": debit, "credit_account_id": credit,
                 "amount": str(amount), "ledger": LEDGER, "code": 1, **members}
        result = self.ask("transfers", events=[event])["results"][0]
        return event["id"], result["status"]

    def balances(self, account):
        found = self.ask("lookup", accounts=[account])["accounts"][0]
        return tuple(int(found[name]) for name in (
            "debits_pending", "debits_posted", "credits_pending", "credits_posted"))


def test_accounts_and_transfers(ledger):
    a, b = ledger.two()
    transfer, status = ledger.transfer(a, b, 100, user_data_128="7", user_data_64=8,
                                       user_data_32=9)
    assert status == "created"
    assert ledger.balances(a) == (0, 100, 0, 0)
    assert ledger.balances(b) == (0, 0, 0, 100)
    found = ledger.ask("lookup", transfers=[transfer, "999", transfer])["transfers"]
    assert len(found) == 2 and found[0] == found[1]
    assert found[0]["amount"] == "100"
    assert (found[0]["user_data_128"], found[0]["user_data_64"], found[0]["user_data_32"]) == (
        "7", "8", "9")
    assert found[0]["flags"] == []
    assert all(isinstance(found[0][name], str) for name in ("id", "timestamp", "amount"))


def test_repeats(ledger):
    a, b = ledger.two()
    event = {"id": new_id(), "debit_account_id": a, "credit_account_id": b, "amount": "5",
             "ledger": LEDGER, "code": 1}
    first = ledger.ask("transfers", events=[event])["results"][0]
    again = ledger.ask("transfers", events=[event])["results"][0]
    assert first["status"] == "created"
    assert again == {"status": "exists", "timestamp": first["timestamp"]}
    for change, status in [
        ({"amount": "6"}, "exists_with_different_amount"),
        ({"code": 2}, "exists_with_different_code"),
        ({"flags": ["pending"]}, "exists_with_different_flags"),
        ({"debit_account_id": b, "credit_account_id": a},
         "exists_with_different_debit_account_id"),
        ({"user_data_64": 1}, "exists_with_different_user_data_64"),
    ]:
        result = ledger.ask("transfers", events=[{**event, **change}])["results"][0]
        assert result["status"] == status
    assert ledger.balances(a) == (0, 5, 0, 0)


def test_two_phase(ledger):
    a, b = ledger.two()
    hold, status = ledger.transfer(a, b, 100, flags=["pending"])
    assert status == "created" and ledger.balances(a) == (100, 0, 0, 0)
    _, status = ledger.transfer("0", "0", 40, pending_id=hold, ledger=0, code=0,
                                flags=["post_pending_transfer"])
    assert status == "created" and ledger.balances(a) == (0, 40, 0, 0)
    _, status = ledger.transfer("0", "0", 0, pending_id=hold, ledger=0, code=0,
                                flags=["void_pending_transfer"])
    assert status == "pending_transfer_already_posted"
    hold, _ = ledger.transfer(a, b, 7, flags=["pending"])
    _, status = ledger.transfer("0", "0", 0, pending_id=hold, ledger=0, code=0,
                                flags=["void_pending_transfer"])
    assert status == "created" and ledger.balances(b) == (0, 0, 0, 40)


def test_pending_expires_by_itself(ledger):
    a, b = ledger.two()
    event = {"id": new_id(), "debit_account_id": a, "credit_account_id": b, "amount": "100",
             "ledger": LEDGER, "code": 1, "flags": ["pending"], "timeout": 1}
    booked = ledger.ask("transfers", events=[event], balances=True)["results"][0]
    assert booked["debit_account"]["debits_pending"] == "100"
    wait_until(lambda: ledger.balances(a)[0] == 0, 10, "expiry")


def test_limits_and_chains(ledger):
    (a, b, c), statuses = ledger.accounts(
        {"flags": ["debits_must_not_exceed_credits"]}, {}, {})
    assert statuses == ["created"] * 3
    _, status = ledger.transfer(a, b, 1)
    assert status == "exceeds_credits"
    events = [
        {"id": new_id(), "debit_account_id": b, "credit_account_id": a, "amount": "10",
         "ledger": LEDGER, "code": 1, "flags": ["linked"]},
        {"id": new_id(), "debit_account_id": a, "credit_account_id": c, "amount": "11",
         "ledger": LEDGER, "code": 1},
    ]
    results = ledger.ask("transfers", events=events)["results"]
    assert [result["status"] for result in results] == ["linked_event_failed", "exceeds_credits"]
    assert ledger.balances(a) == (0, 0, 0, 0)
    events = [{**event, "id": new_id(), "amount": "10"} for event in events]
    results = ledger.ask("transfers", events=events)["results"]
    assert [result["status"] for result in results] == ["created", "created"]
    assert ledger.balances(a) == (0, 10, 0, 10)


def test_balances_on_request(ledger):
    a, b = ledger.two()
    events = [{"id": new_id(), "debit_account_id": a, "credit_account_id": b, "amount": str(n),
               "ledger": LEDGER, "code": 1} for n in (1, 2, 3)]
    results = ledger.ask("transfers", events=events, balances=True)["results"]
    assert [(result["debit_account"]["debits_posted"], result["credit_account"]["credits_posted"])
            for result in results] == [("1", "1"), ("3", "3"), ("6", "6")]
    assert results[0]["debit_account"]["id"] == a
    plain = ledger.ask("transfers", events=[{**events[0], "id": new_id()}])["results"][0]
    assert set(plain) == {"status", "timestamp"}


def test_queries(ledger):
    a, b = ledger.two(flags=["history"], code=77)
    ids = [ledger.transfer(a, b, n, code=n, user_data_64=5)[0] for n in (1, 2, 3)]
    ids.append(ledger.transfer(b, a, 4)[0])

    def transfers(op="get_account_transfers", **members):
        found = ledger.ask("query", op=op, filter={"limit": 10, **members})["transfers"]
        return [transfer["id"] for transfer in found]

    both = ["debits", "credits"]
    assert transfers(account_id=a, flags=both) == ids
    assert transfers(account_id=a, flags=[*both, "reversed"], limit=2) == ids[::-1][:2]
    assert transfers(account_id=a, flags=["debits"]) == ids[:3]
    assert transfers(account_id=a, flags=["credits"]) == ids[3:]
    assert transfers(account_id=a, flags=both, code=2) == ids[1:2]
    assert transfers(account_id=a, flags=both, user_data_64=5) == ids[:3]
    assert transfers(account_id=a, flags=[]) == []
    assert transfers(account_id="0", flags=both) == []
    assert transfers(account_id=a, flags=both, limit=0) == []
    assert transfers(op="query_transfers", ledger=LEDGER, code=3, user_data_64=5)[-1:] == ids[2:3]
    balances = ledger.ask("query", op="get_account_balances",
                          filter={"account_id": a, "flags": both, "limit": 10})["balances"]
    assert [(entry["debits_posted"], entry["credits_posted"]) for entry in balances] == [
        ("1", "0"), ("3", "0"), ("6", "0"), ("6", "4")]
    accounts = ledger.ask("query", op="query_accounts",
                          filter={"ledger": LEDGER, "code": 77, "limit": 10})["accounts"]
    assert [account["id"] for account in accounts] == [a, b]
    first = ledger.ask("lookup", transfers=ids[:1])["transfers"][0]
    events = ledger.ask("query", op="get_change_events", filter={
        "timestamp_min": first["timestamp"], "timestamp_max": "0", "limit": 4})["events"]
    assert [event["transfer"]["id"] for event in events] == ids
    assert events[0]["type"] == "single_phase"
    assert events[0]["debit_account"]["debits_posted"] == "1"


# ---- packed records ------------------------------------------------------------------------

PACKED_ACCOUNT = struct.Struct("<16s16s16s16s16s16sQIIIHHQ")
PACKED_TRANSFER = struct.Struct("<16s16s16s16s16s16sQIIIHHQ")
RESULT = struct.Struct("<QII")
ZERO = bytes(16)


def wide(value):
    return int(value).to_bytes(16, "little")


def packed_account(account, ledger=LEDGER, code=1, flags=0):
    return PACKED_ACCOUNT.pack(wide(account), ZERO, ZERO, ZERO, ZERO, ZERO, 0, 0, 0, ledger, code,
                               flags, 0)


def packed_transfer(transfer, debit, credit, amount, flags=0, timeout=0, pending=ZERO):
    return PACKED_TRANSFER.pack(wide(transfer), wide(debit), wide(credit), wide(amount), pending,
                                ZERO, 0, 0, timeout, LEDGER, 1, flags, 0)


def packed(http, what, records, status=200):
    answer = http.post(f"/v1/ledger/{what}", b"".join(records),
                       headers={"Content-Type": f"application/vnd.tael.{what}"})
    assert answer.status_code == status, answer.text
    if status != 200:
        return answer.json()["error"]
    assert answer.headers["Content-Type"] == "application/vnd.tael.results"
    results = list(RESULT.iter_unpack(answer.content))
    assert all(zero == 0 for _, _, zero in results)
    return [(timestamp, number) for timestamp, number, _ in results]


CREATED = 4294967295


def test_packed(http, ledger):
    a, b = new_account(), new_account()
    assert PACKED_ACCOUNT.size == PACKED_TRANSFER.size == 128
    results = packed(http, "accounts", [packed_account(a), packed_account(b), packed_account(a)])
    assert [number for _, number in results] == [CREATED, CREATED, 21]
    assert results[0][0] == results[2][0] < results[1][0]
    big = 2**100
    results = packed(http, "transfers", [
        packed_transfer(new_id(), a, b, big), packed_transfer(0, a, b, 1),
        packed_transfer(new_id(), a, a, 1), packed_transfer(new_id(), a, "999", 1)])
    assert [number for _, number in results] == [CREATED, 5, 12, 22]
    assert ledger.balances(b) == (0, 0, 0, big)


def test_largest_batch(http, ledger):
    a, b = ledger.two()
    records = [packed_transfer(new_id(), a, b, 1) for _ in range(8190)]
    results = packed(http, "transfers", records)
    assert [number for _, number in results] == [CREATED] * 8190
    timestamps = [timestamp for timestamp, _ in results]
    assert timestamps == list(range(timestamps[0], timestamps[0] + 8190))
    assert ledger.balances(a) == (0, 8190, 0, 0)
    error = packed(http, "transfers", records + records[:1], status=413)
    assert "8190" in error["message"]
    events = [{"id": new_id(), "debit_account_id": a, "credit_account_id": b, "amount": 1,
               "ledger": LEDGER, "code": 1} for _ in range(8191)]
    ledger.ask("transfers", status=413, events=events)
    assert ledger.balances(a) == (0, 8190, 0, 0)
    results = ledger.ask("transfers", events=events[:8190])["results"]
    assert {result["status"] for result in results} == {"created"}
    assert len(ledger.ask("lookup", transfers=[event["id"] for event in events[:8190]])[
        "transfers"]) == 8190


def test_smallest_segments_take_the_largest_batches(make_server):
    """Also while as many pending transfers are live as one pulse ends, which goes into the same frame
    where it fits; and they end."""
    server = make_server("--ledger-segment-size=4m")
    http = Http(server)
    ledger = Ledger(http)
    a, b = ledger.two()
    for _ in range(3):
        results = packed(http, "transfers", [
            packed_transfer(new_id(), a, b, 2**80, flags=2, timeout=1) for _ in range(8190)])
        assert {number for _, number in results} == {CREATED}
    wait_until(lambda: ledger.balances(a) == (0, 0, 0, 0), what="the end of what is pending")


def test_a_full_ledger_knows_what_it_did(make_server):
    """Whoever lost an answer sends the events again: "nothing was done" would be believed."""
    server = make_server("--ledger-accounts-max=1000", "--ledger-pendings-max=1000")
    http = Http(server)
    a, b = Ledger(http).two()
    accounts = [packed_account(new_account()) for _ in range(700)]
    pendings = [packed_transfer(new_id(), a, b, 1, flags=2) for _ in range(700)]
    for what, records, exists in (("accounts", accounts, 21), ("transfers", pendings, 46)):
        assert {number for _, number in packed(http, what, records)} == {CREATED}
        assert {number for _, number in packed(http, what, records)} == {exists}
    more = [packed_transfer(new_id(), a, b, 1, flags=2) for _ in range(301)]
    packed(http, "transfers", pendings + more, status=503)
    results = packed(http, "transfers", pendings + more[:300])
    assert [number for _, number in results] == [46] * 700 + [CREATED] * 300
    # What ended takes no room, and is no less known; others have the room by now.
    voids = [packed_transfer(new_id(), 0, 0, 0, flags=8, pending=hold[:16]) for hold in pendings[:20]]
    assert {number for _, number in packed(http, "transfers", voids)} == {CREATED}
    results = packed(http, "transfers", pendings[:20] + more[300:] + [
        packed_transfer(new_id(), a, b, 1, flags=2) for _ in range(19)])
    assert [number for _, number in results] == [46] * 20 + [CREATED] * 20
    assert {number for _, number in packed(http, "transfers", pendings)} == {46}
    packed(http, "transfers", pendings[:20] + [packed_transfer(new_id(), a, b, 1, flags=2)], status=503)
    packed(http, "accounts", [packed_account(new_account()) for _ in range(301)], status=503)


@pytest.mark.parametrize("snapshots", [False, True])
def test_limits_below_what_is_there_are_named(tmp_path, snapshots):
    """A ledger that outgrew its limits is no damaged one: the start says which of them to raise."""
    server = Server(tmp_path, f"--ledger-snapshot-interval={'1m' if snapshots else '0'}", cluster=False).start()
    http = Http(server)
    a, b = Ledger(http).two()
    packed(http, "accounts", [packed_account(new_id()) for _ in range(8190)])
    packed(http, "transfers", [packed_transfer(new_id(), a, b, 1, flags=2) for _ in range(2000)])

    def has_snapshot():  # it goes on with what is written
        packed(http, "transfers", [packed_transfer(new_id(), a, b, 1) for _ in range(1000)])
        return list((server.data / "ledger/snapshot").glob("*.snap"))

    if snapshots:
        wait_until(has_snapshot, what="a snapshot")
    server.stop()
    for setting in ("ledger-accounts-max", "ledger-pendings-max"):
        ended = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0", f"--{setting}=1000")
        assert ended.returncode == 1 and setting in ended.stderr, ended.stderr
    server.start()
    server.stop()


def test_empty_batches(http, ledger):
    assert ledger.ask("transfers", events=[]) == {"results": []}
    assert ledger.ask("lookup", accounts=[]) == {"accounts": []}
    assert packed(http, "transfers", []) == []


@pytest.mark.parametrize("size", [1, 127, 129, 128 * 3 - 1])
def test_packed_of_the_wrong_size(http, size):
    assert packed(http, "transfers", [b"x" * size], status=400)["message"]


def good():
    return {"id": new_id(), "debit_account_id": "1", "credit_account_id": "2", "amount": "1",
            "ledger": LEDGER, "code": 1}


@pytest.mark.parametrize("change, param", [
    ({"amount": "-1"}, "amount"), ({"amount": "1.5"}, "amount"), ({"amount": 1.5}, "amount"),
    ({"amount": str(2**128)}, "amount"), ({"amount": "0x10"}, "amount"), ({"amount": ""}, "amount"),
    ({"amount": None}, "amount"), ({"amount": [1]}, "amount"), ({"amount": True}, "amount"),
    ({"amount": " 1"}, "amount"), ({"amount": "١"}, "amount"),
    ({"id": "abc"}, "id"), ({"ledger": 2**32}, "ledger"), ({"code": 65536}, "code"),
    ({"timeout": -1}, "timeout"), ({"user_data_64": str(2**64)}, "user_data_64"),
    ({"flags": ["sticky"]}, "flags"), ({"flags": "pending"}, "flags"), ({"flags": 65536}, "flags"),
    ({"flags": [1]}, "flags"), ({"colour": "red"}, "colour"),
])
def test_unreadable_events_name_their_place(ledger, change, param):
    a, b = ledger.two()
    fine = {**good(), "debit_account_id": a, "credit_account_id": b}
    error = ledger.ask("transfers", status=400, events=[fine, fine, {**good(), **change}])["error"]
    assert error["type"] == "invalid_request_error"
    assert re.match(rf"events\[2\]\.{param}(\[0\])?$", error["param"]), error
    assert ledger.balances(a) == (0, 0, 0, 0), "nothing may be done"


@pytest.mark.parametrize("body", ids=lambda body: body[:30], argvalues=[
    "", "{", "[]", "null", '"x"', '{"events":{}}', '{"events":[1]}', '{"events":[[]]}', "{}",
    '{"events":[],"events":[]}', '{"events":[]}x', '{"events":[],"colour":1}', "\xff",
    '{"events":[' + "[" * 5000 + "]" * 5000 + "]}", '{"events":[],"balances":"yes"}',
])
def test_unreadable_bodies(http, body):
    answer = http.post("/v1/ledger/transfers", body.encode("latin-1"),
                       headers={"Content-Type": "application/json"})
    # Nested without end is not malformed: it is too much.
    assert answer.status_code == (413 if body.count("[") > 100 else 400), answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [
    {"op": "nothing", "filter": {}}, {"filter": {}}, {"op": "query_accounts"},
    {"op": "query_accounts", "filter": {"limit": "x"}},
    {"op": "query_accounts", "filter": {"colour": 1}},
])
def test_bad_queries(http, body):
    answer = http.post("/v1/ledger/query", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]


def test_flags_as_numbers(ledger):
    a, b = ledger.two()
    transfer, status = ledger.transfer(a, b, 1, flags=2)
    assert status == "created"
    assert ledger.ask("lookup", transfers=[transfer])["transfers"][0]["flags"] == ["pending"]
    _, status = ledger.transfer(a, b, 1, flags=1 << 15)
    assert status == "reserved_flag"


def test_platform_ledgers_are_not_for_the_api(ledger, http):
    """Money of payments moves by payments alone."""
    from kit.client import pay, sdk

    pay(sdk(http.server))

    def account_of(code):
        found = ledger.ask("query", op="query_accounts",
                           filter={"ledger": 1840, "code": code, "limit": 1})["accounts"]
        return found[0]["id"]

    event = {"id": new_id(), "debit_account_id": account_of(102),
             "credit_account_id": account_of(201), "amount": "1", "ledger": 1840, "code": 1}
    answer = http.post("/v1/ledger/transfers", json={"events": [event]})
    assert answer.status_code in (400, 403), answer.text


def test_everything_survives_a_kill(make_server):
    server = make_server()
    ledger = Ledger(Http(server))
    a, b = ledger.two()
    transfers = [ledger.transfer(a, b, n)[0] for n in range(1, 20)]
    before = ledger.ask("lookup", transfers=transfers)
    server.kill()
    server.start()
    assert ledger.ask("lookup", transfers=transfers) == before
    assert ledger.balances(a) == (0, sum(range(1, 20)), 0, 0)


def test_command_line_shows_the_same(make_server):
    import json

    server = make_server()
    ledger = Ledger(Http(server))
    a, b = ledger.two()
    transfer, _ = ledger.transfer(a, b, 12345)
    result = run_tael("ledger", "transfers", f"--url={server.url}", f"--data={server.data}",
                      f"--ledger={LEDGER}", "--json")
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)["transfers"]
    assert [(one["id"], one["amount"]) for one in shown] == [(transfer, "12345")]
