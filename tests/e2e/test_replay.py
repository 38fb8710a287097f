"""`tael ledger replay`: scripts whose every output line was worked out by hand from docs/ledger.md.

The clock of a replay starts at 0. Before each commit it goes on by 1, plus the number of events of a
create batch; event i of n (from 0) gets clock - n + i + 1.
"""

import json

import pytest

from kit import postgres
from kit.needs import needs_postgres
from kit.server import run_tael

MAX64 = 2**63 - 1
MAX128 = 2**128 - 1


def replay(lines, *flags):
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    return run_tael("ledger", "replay", *flags, "-", stdin=text)


def run(lines, *flags):
    result = replay(lines, *flags)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def accounts(*events, **common):
    return {"op": "create_accounts", "events": [
        {"ledger": 1, "code": 1, **common, **event} for event in events]}


def transfers(*events):
    return {"op": "create_transfers", "events": [
        {"debit_account_id": "1", "credit_account_id": "2", "ledger": 1, "code": 1, **event}
        for event in events]}


def statuses(answer):
    return [(result["status"], int(result["timestamp"])) for result in answer["results"]]


TWO = accounts({"id": "1"}, {"id": "2"})  # clock 3; timestamps 2 and 3


def test_clock_of_every_kind_of_line():
    out = run([
        TWO,                                                   # 0 + 1 + 2 = 3: 2, 3
        transfers({"id": "1", "amount": "10"}),                # 3 + 1 + 1 = 5: 5
        {"op": "lookup_accounts", "ids": ["1"]},               # 6
        {"op": "create_transfers", "events": []},              # 7
        {"op": "query_accounts", "filter": {"limit": 0}},      # 8
        transfers({"id": "2", "amount": "1"}, {"id": "3", "amount": "1"}),  # 11: 10, 11
        {"op": "tick", "ns": "100"},                           # 111
        transfers({"id": "4", "amount": "1"}),                 # 113
    ])
    assert statuses(out[0]) == [("created", 2), ("created", 3)]
    assert statuses(out[1]) == [("created", 5)]
    assert out[3] == {"results": []}
    assert out[4] == {"accounts": []}
    assert statuses(out[5]) == [("created", 10), ("created", 11)]
    assert out[6] == {"clock": "111"}
    assert statuses(out[7]) == [("created", 113)]


def test_lookup_prints_every_field():
    out = run([
        accounts({"id": "1", "user_data_128": str(MAX128), "user_data_64": str(2**64 - 1),
                  "user_data_32": 2**32 - 1, "flags": ["history"], "code": 65535,
                  "ledger": 2**32 - 1}),
        {"op": "lookup_accounts", "ids": ["9", "1", "1"]},
    ])
    shown, again = out[1]["accounts"]
    assert shown == again
    shown.pop("reserved", None)
    assert shown == {
        "id": "1", "debits_pending": "0", "debits_posted": "0", "credits_pending": "0",
        "credits_posted": "0", "user_data_128": str(MAX128), "user_data_64": str(2**64 - 1),
        "user_data_32": str(2**32 - 1), "ledger": str(2**32 - 1), "code": "65535",
        "flags": ["history"], "timestamp": "2"}


# name -> (events of one create_accounts batch, statuses)
ACCOUNT_RULES = {
    "id zero": ([{"id": "0"}], ["id_must_not_be_zero"]),
    "id max": ([{"id": str(MAX128)}], ["id_must_not_be_int_max"]),
    "reserved field before flag": ([{"id": "0", "reserved": 1, "flags": 1 << 15}],
                                   ["reserved_field"]),
    "reserved flag before id": ([{"id": "0", "flags": 1 << 15}], ["reserved_flag"]),
    "both limits": ([{"id": "5", "flags": ["debits_must_not_exceed_credits",
                                           "credits_must_not_exceed_debits"]}],
                    ["flags_are_mutually_exclusive"]),
    "balances": ([{"id": "5", "debits_pending": 1}, {"id": "6", "debits_posted": 1},
                  {"id": "7", "credits_pending": 1}, {"id": "8", "credits_posted": 1}],
                 ["debits_pending_must_be_zero", "debits_posted_must_be_zero",
                  "credits_pending_must_be_zero", "credits_posted_must_be_zero"]),
    "ledger before code": ([{"id": "5", "ledger": 0, "code": 0}, {"id": "5", "code": 0}],
                           ["ledger_must_not_be_zero", "code_must_not_be_zero"]),
    "timestamp": ([{"id": "5", "timestamp": 1}], ["timestamp_must_be_zero"]),
    "exists": ([{"id": "5", "user_data_64": 1}, {"id": "5", "user_data_64": 1},
                {"id": "5", "user_data_64": 2}, {"id": "5", "user_data_64": 2, "flags": ["history"]},
                {"id": "5", "user_data_64": 1, "ledger": 2, "code": 2},
                {"id": "5", "user_data_64": 1, "code": 2}],
               ["created", "exists", "exists_with_different_user_data_64",
                "exists_with_different_flags", "exists_with_different_ledger",
                "exists_with_different_code"]),
    "open chain": ([{"id": "5", "flags": ["linked"]}], ["linked_event_chain_open"]),
    "failed chain": ([{"id": "5", "flags": ["linked"]}, {"id": "0", "flags": ["linked"]},
                      {"id": "6"}, {"id": "7"}],
                     ["linked_event_failed", "id_must_not_be_zero", "linked_event_failed",
                      "created"]),
    "mixed imports": ([{"id": "5"}, {"id": "6", "flags": ["imported"], "timestamp": 1}],
                      ["created", "imported_event_not_expected"]),
    "import expected": ([{"id": "5", "flags": ["imported"], "timestamp": 1}, {"id": "6"}],
                        ["created", "imported_event_expected"]),
    "import range": ([{"id": "5", "flags": ["imported"], "timestamp": 0},
                      {"id": "6", "flags": ["imported"], "timestamp": str(MAX64 + 1)},
                      {"id": "7", "flags": ["imported"], "timestamp": str(MAX64)},
                      {"id": "8", "flags": ["imported"], "timestamp": 2},
                      {"id": "9", "flags": ["imported"], "timestamp": 2},
                      {"id": "10", "flags": ["imported"], "timestamp": 1}],
                     ["imported_event_timestamp_out_of_range",
                      "imported_event_timestamp_out_of_range",
                      "imported_event_timestamp_must_not_advance", "created",
                      "imported_event_timestamp_must_not_regress",
                      "imported_event_timestamp_must_not_regress"]),
}


@pytest.mark.parametrize("name", ACCOUNT_RULES)
def test_account_rules(name):
    events, wanted = ACCOUNT_RULES[name]
    (out,) = run([accounts(*events)])
    assert [status for status, _ in statuses(out)] == wanted


# name -> (events of one create_transfers batch on accounts 1 and 2, statuses)
TRANSFER_RULES = {
    "ids": ([{"id": "0"}, {"id": str(MAX128)}, {"id": "5", "flags": 1 << 15}],
            ["id_must_not_be_zero", "id_must_not_be_int_max", "reserved_flag"]),
    "accounts": ([{"id": "5", "debit_account_id": "0", "credit_account_id": "0"},
                  {"id": "5", "debit_account_id": str(MAX128)},
                  {"id": "5", "credit_account_id": "0"},
                  {"id": "5", "credit_account_id": str(MAX128)},
                  {"id": "5", "credit_account_id": "1"}],
                 ["debit_account_id_must_not_be_zero", "debit_account_id_must_not_be_int_max",
                  "credit_account_id_must_not_be_zero", "credit_account_id_must_not_be_int_max",
                  "accounts_must_be_different"]),
    "plain with pending_id": ([{"id": "5", "pending_id": "1"}], ["pending_id_must_be_zero"]),
    "timeout": ([{"id": "5", "timeout": 1}], ["timeout_reserved_for_pending_transfer"]),
    "closing": ([{"id": "5", "flags": ["closing_debit"]}], ["closing_transfer_must_be_pending"]),
    "ledger and code": ([{"id": "5", "ledger": 0, "code": 0}, {"id": "5", "code": 0}],
                        ["ledger_must_not_be_zero", "code_must_not_be_zero"]),
    "other ledger": ([{"id": "5", "ledger": 2}],
                     ["transfer_must_have_the_same_ledger_as_accounts"]),
    "not found is remembered": ([{"id": "5", "debit_account_id": "7"}, {"id": "5"},
                                 {"id": "6", "credit_account_id": "7"}],
                                ["debit_account_not_found", "id_already_failed",
                                 "credit_account_not_found"]),
    "zero amount": ([{"id": "5", "amount": 0}], ["created"]),
    "exists": ([{"id": "5", "amount": 10}, {"id": "5", "amount": 10}, {"id": "5", "amount": 11},
                {"id": "5", "amount": 11, "user_data_32": 1}, {"id": "5", "flags": ["pending"]},
                {"id": "5", "amount": 10, "user_data_32": 1, "code": 2},
                {"id": "5", "amount": 10, "code": 2}],
               ["created", "exists", "exists_with_different_amount",
                "exists_with_different_amount", "exists_with_different_flags",
                "exists_with_different_user_data_32", "exists_with_different_code"]),
    "post and void": ([{"id": "5", "flags": ["post_pending_transfer", "void_pending_transfer"],
                        "pending_id": "1"},
                       {"id": "5", "flags": ["post_pending_transfer", "pending"],
                        "pending_id": "1"}],
                      ["flags_are_mutually_exclusive", "flags_are_mutually_exclusive"]),
    "post ids": ([{"id": "5", "flags": ["post_pending_transfer"]},
                  {"id": "5", "flags": ["post_pending_transfer"], "pending_id": str(MAX128)},
                  {"id": "5", "flags": ["post_pending_transfer"], "pending_id": "5"},
                  {"id": "5", "flags": ["post_pending_transfer"], "pending_id": "6",
                   "timeout": 1},
                  {"id": "5", "flags": ["post_pending_transfer"], "pending_id": "6"}],
                 ["pending_id_must_not_be_zero", "pending_id_must_not_be_int_max",
                  "pending_id_must_be_different", "timeout_reserved_for_pending_transfer",
                  "pending_transfer_not_found"]),
    "post of a plain one": ([{"id": "5", "amount": 1},
                             {"id": "6", "flags": ["post_pending_transfer"], "pending_id": "5"}],
                            ["created", "pending_transfer_not_pending"]),
    "post too much": ([{"id": "5", "amount": 10, "flags": ["pending"]},
                       {"id": "6", "amount": 11, "flags": ["post_pending_transfer"],
                        "pending_id": "5"},
                       {"id": "7", "amount": 9, "flags": ["void_pending_transfer"],
                        "pending_id": "5"},
                       {"id": "8", "amount": 10, "code": 2, "flags": ["post_pending_transfer"],
                        "pending_id": "5"},
                       {"id": "9", "amount": str(MAX128), "flags": ["post_pending_transfer"],
                        "pending_id": "5"},
                       {"id": "10", "flags": ["void_pending_transfer"], "pending_id": "5"}],
                      ["created", "exceeds_pending_transfer_amount",
                       "pending_transfer_has_different_amount",
                       "pending_transfer_has_different_code", "created",
                       "pending_transfer_already_posted"]),
    "overflow": ([{"id": "5", "amount": str(MAX128), "flags": ["pending"]},
                  {"id": "6", "amount": "1", "flags": ["pending"]}, {"id": "7", "amount": "1"},
                  {"id": "8", "amount": "0", "timeout": 2**32 - 1, "flags": ["pending"]}],
                 ["created", "overflows_debits_pending", "overflows_debits", "created"]),
    "chain undone": ([{"id": "5", "amount": 1, "flags": ["linked"]}, {"id": "0", "amount": 1},
                      {"id": "5", "amount": 2}],
                     ["linked_event_failed", "id_must_not_be_zero", "created"]),
    "open chain": ([{"id": "5", "amount": 1}, {"id": "6", "flags": ["linked"]}],
                   ["created", "linked_event_chain_open"]),
    "imported": ([{"id": "5", "flags": ["imported"], "timestamp": 3},
                  {"id": "6", "flags": ["imported"], "timestamp": 4},
                  {"id": "7", "flags": ["imported"], "timestamp": 4}],
                 # 3 is account 2's own; then 4 is past both accounts, and then taken.
                 ["imported_event_timestamp_must_not_regress", "created",
                  "imported_event_timestamp_must_not_regress"]),
}


@pytest.mark.parametrize("name", TRANSFER_RULES)
def test_transfer_rules(name):
    events, wanted = TRANSFER_RULES[name]
    out = run([TWO, {"op": "tick", "ns": "10"}, transfers(*events)])
    assert [status for status, _ in statuses(out[2])] == wanted


def balances(answer):
    return [tuple(int(account[name]) for name in
                  ("debits_pending", "debits_posted", "credits_pending", "credits_posted"))
            for account in answer["accounts"]]


LOOK = {"op": "lookup_accounts", "ids": ["1", "2"]}


def test_two_phase_amounts():
    out = run([
        TWO,
        transfers({"id": "1", "amount": "100", "flags": ["pending"]}), LOOK,
        transfers({"id": "2", "amount": "30", "pending_id": "1",
                   "flags": ["post_pending_transfer"]}), LOOK,
        transfers({"id": "3", "amount": "50", "flags": ["pending"]},
                  {"id": "4", "pending_id": "3", "flags": ["void_pending_transfer"],
                   "debit_account_id": "0", "credit_account_id": "0", "ledger": 0, "code": 0}),
        LOOK, {"op": "lookup_transfers", "ids": ["2", "4"]},
    ])
    assert balances(out[2]) == [(100, 0, 0, 0), (0, 0, 100, 0)]
    assert balances(out[4]) == [(0, 30, 0, 0), (0, 0, 0, 30)]
    assert balances(out[6]) == [(0, 30, 0, 0), (0, 0, 0, 30)]
    post, void = out[7]["transfers"]
    assert (post["amount"], post["pending_id"], post["debit_account_id"]) == ("30", "1", "1")
    assert (void["amount"], void["ledger"], void["code"], void["credit_account_id"]) == (
        "50", "1", "1", "2")


def test_limits_and_failed_ids():
    out = run([
        accounts({"id": "1", "flags": ["debits_must_not_exceed_credits"]}, {"id": "2"}),
        transfers({"id": "1", "amount": "1"}),
        transfers({"id": "2", "amount": "5", "debit_account_id": "2", "credit_account_id": "1"},
                  {"id": "1", "amount": "1"}, {"id": "3", "amount": "5"},
                  {"id": "4", "amount": "1"}),
        LOOK,
    ])
    assert [status for status, _ in statuses(out[1])] == ["exceeds_credits"]
    assert [status for status, _ in statuses(out[2])] == [
        "created", "id_already_failed", "created", "exceeds_credits"]
    assert balances(out[3])[0] == (0, 5, 0, 5)


def test_balancing():
    out = run([
        TWO,
        transfers({"id": "1", "amount": "7", "debit_account_id": "2", "credit_account_id": "1"},
                  {"id": "2", "amount": "100", "flags": ["balancing_debit"]},
                  {"id": "3", "amount": "100", "flags": ["balancing_debit"]},
                  {"id": "2", "amount": "100", "flags": ["balancing_debit"]},
                  {"id": "2", "amount": "6", "flags": ["balancing_debit"]}),
        {"op": "lookup_transfers", "ids": ["2", "3"]},
    ])
    assert [status for status, _ in statuses(out[1])] == [
        "created", "created", "created", "exists", "exists_with_different_amount"]
    assert [transfer["amount"] for transfer in out[2]["transfers"]] == ["7", "0"]


def test_closing_and_reopening():
    close = {"flags": ["pending", "closing_debit"], "amount": "0"}
    out = run([
        TWO,
        transfers({"id": "1", **close}, {"id": "2", "amount": "1"}),
        {"op": "lookup_accounts", "ids": ["1"]},
        transfers({"id": "3", "pending_id": "1", "flags": ["void_pending_transfer"]},
                  {"id": "4", "amount": "1"}, {"id": "2", "amount": "1"}),
    ])
    assert [status for status, _ in statuses(out[1])] == ["created", "debit_account_already_closed"]
    assert out[2]["accounts"][0]["flags"] == ["closed"]
    assert [status for status, _ in statuses(out[3])] == ["created", "created",
                                                          "id_already_failed"]


def test_expiry():
    """Pending at 5 with one second: due at 1,000,000,005."""
    out = run([
        TWO,                                                                          # clock 3
        transfers({"id": "1", "amount": "9", "timeout": 1, "flags": ["pending"]}),      # 5
        {"op": "tick", "ns": "999999999"},                                            # 1000000004
        LOOK,                                                                         # 1000000005
        {"op": "tick", "ns": "0"},
        LOOK,
        transfers({"id": "2", "pending_id": "1", "flags": ["post_pending_transfer"],
                   "amount": str(MAX128)}),
        {"op": "get_change_events", "filter": {"limit": 10}},
    ])
    assert statuses(out[1]) == [("created", 5)]
    assert out[2] == {"clock": "1000000004"}
    assert balances(out[5]) == [(0, 0, 0, 0), (0, 0, 0, 0)]
    assert statuses(out[6])[0][0] == "pending_transfer_expired"
    events = out[7]["events"]
    assert [event["type"] for event in events] == ["two_phase_pending", "two_phase_expired"]
    assert events[1]["transfer"]["id"] == "1"
    assert events[1]["debit_account"]["debits_pending"] == "0"


def test_post_meets_a_transfer_already_due():
    out = run([
        TWO,
        transfers({"id": "1", "amount": "9", "timeout": 1, "flags": ["pending"]}),  # 5
        {"op": "tick", "ns": "999999998"},                                        # 1000000003
        # The pulse is decided at 1000000003: not due. The event's own time is 1000000005: due.
        transfers({"id": "2", "pending_id": "1", "flags": ["post_pending_transfer"],
                   "amount": "9"}),
    ])
    assert statuses(out[3]) == [("pending_transfer_expired", 1000000005)]


def test_end_of_time():
    out = run([
        TWO, {"op": "tick", "ns": "-1000"},
        transfers({"id": "1", "amount": "1", "timeout": 1, "flags": ["pending"]}),
    ])
    assert out[1] == {"clock": str(3 + MAX64 - 1000)}
    assert statuses(out[2])[0][0] == "overflows_timeout"


def test_history():
    out = run([
        accounts({"id": "1", "flags": ["history"]}, {"id": "2"}),
        transfers({"id": "1", "amount": "1"}, {"id": "2", "amount": "2", "code": 2}),  # 5, 6
        {"op": "get_account_balances",
         "filter": {"account_id": "1", "flags": ["debits"], "limit": 10}},
        {"op": "get_account_balances",
         "filter": {"account_id": "2", "flags": ["credits"], "limit": 10}},
        {"op": "get_account_transfers",
         "filter": {"account_id": "2", "flags": ["credits", "reversed"], "limit": 1}},
        {"op": "get_account_transfers",
         "filter": {"account_id": "1", "flags": ["debits"], "limit": 5, "timestamp_min": "6"}},
        {"op": "get_account_transfers",
         "filter": {"account_id": "1", "flags": ["credits"], "limit": 5}},
        {"op": "query_transfers", "filter": {"code": 2, "limit": 5}},
    ])
    assert [(entry["timestamp"], entry["debits_posted"]) for entry in out[2]["balances"]] == [
        ("5", "1"), ("6", "3")]
    assert out[3] == {"balances": []}
    assert [one["id"] for one in out[4]["transfers"]] == ["2"]
    assert [one["id"] for one in out[5]["transfers"]] == ["2"]
    assert out[6] == {"transfers": []}
    assert [one["id"] for one in out[7]["transfers"]] == ["2"]


@pytest.mark.parametrize("line", [
    "x", "{}", '{"op":"nothing"}', '{"op":"create_accounts"}',
    '{"op":"create_accounts","events":[{"id":"x"}]}',
    '{"op":"create_accounts","events":[{"colour":1}]}', '{"op":"tick"}',
])
def test_lines_that_are_not_understood(line):
    result = replay([TWO, line])
    assert result.returncode != 0
    assert "2" in result.stderr, "the line's number"


def long_script():
    lines = [TWO]
    for number in range(40):
        lines += [transfers({"id": str(number + 1), "amount": str(number), "timeout": number % 3,
                             "flags": ["pending"]}),
                  {"op": "tick", "ns": "500000000"}, LOOK]
    return [*lines, {"op": "query_transfers", "filter": {"limit": 100}},
            {"op": "get_change_events", "filter": {"limit": 200}}]


def test_journal_store_gives_the_same(tmp_path):
    lines = long_script()
    assert run(lines) == run(lines, f"--store=journal:{tmp_path / 'books'}")


@needs_postgres
def test_postgres_store_gives_the_same():
    lines = long_script()
    with postgres.Postgres() as database:
        url = database.create("replay")
        assert run(lines) == run(lines, f"--store={url}")
        assert run_tael("ledger", "check", url).returncode == 0


def test_script_from_a_file(tmp_path):
    script = tmp_path / "script.jsonl"
    script.write_text(json.dumps(TWO) + "\n")
    result = run_tael("ledger", "replay", script)
    assert result.returncode == 0 and json.loads(result.stdout)["results"]
    assert run_tael("ledger", "replay", tmp_path / "missing").returncode != 0
