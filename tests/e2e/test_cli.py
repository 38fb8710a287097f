"""The commands of `tael` besides the server, as a person types them."""

import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from kit.books import merchant_of
from kit.client import sdk
from kit.payouts import bank_account, fund, payout
from kit.server import PROGRAM, run_tael, without_tael_settings
from kit.wallets import Wallets

SCRIPT = """{"op":"create_accounts","events":[{"id":"1","ledger":1,"code":1},{"id":"2","ledger":1,"code":1}]}
{"op":"create_transfers","events":[{"id":"1","debit_account_id":"1","credit_account_id":"2","amount":"10","ledger":1,"code":1}]}
"""


@pytest.fixture
def tael(make_server):
    """Runs commands against a server of the test's own."""
    server = make_server()

    def run(*words, **keywords):
        return run_tael(*words, f"--url={server.url}", f"--data={server.data}", **keywords)

    run.server = server
    return run


def pay(tael, *words):
    result = tael("pay", "--json", *words)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_usage_is_2_and_says_why():
    for words in (
        [],
        ["nonsense"],
        ["ledger"],
        ["ledger", "nonsense"],
        ["payments", "show"],
        ["payments", "show", "pi/../x", "--key=k"],
        ["wallets"],
        ["wallets", "show", "--key=k"],
        ["wallets", "statement", "wal/../x", "--key=k"],
        ["pay", "--key=k"],
        ["pay", "--amount=20.0", "--key=k"],
        ["pay", "--amount=20.00", "--currency=zzz", "--key=k"],
        ["pay", "--amount=20.00"],
        ["pay", "--amount=20.00", "--key=k", "--url=localhost"],
        ["pay", "--amount=20.00", "--key=k", "--nonsense=1"],
        ["ledger", "accounts", "--key=k", "--since=yesterday"],
        ["ledger", "accounts", "--key=k", "--account=card-clearing"],
        ["ledger", "accounts", "--key=k", "--account=merchant-pending", "--currency=usd"],
        ["ledger", "accounts", "--key=k", "--currency=usd", "--ledger=840"],
    ):
        result = run_tael(*words)
        assert result.returncode == 2, (words, result)
        assert result.stderr and not result.stdout, words


def commands_of(*words):
    """What a command's help lists, each with the words that lead to it."""
    help_of = run_tael(*words, "--help")
    assert help_of.returncode == 0, words
    names = re.findall(r"^    ([a-z0-9-]+) {1,13}[A-Z]", help_of.stdout, re.MULTILINE)
    return [(*words, name) for name in names]


def test_each_command_knows_its_name():
    """In its help, and when it refuses: what it says to try must be there."""
    deepest = [words for one in commands_of() for words in (commands_of(*one) or [one])]
    assert len(deepest) > 50 and ("shards", "move") in deepest and ("version",) in deepest
    # `bench` alone hands its options to each of those below it.
    deepest += [("bench", name) for name in ("ledger", "payments", "webhooks")]
    deepest.remove(("bench",))
    for words in deepest:
        name = " ".join(("tael", *words))
        text = run_tael(*words, "--help").stdout
        usage = text.splitlines()[0]
        assert all(line.startswith("  ") for line in
                   text.partition("\nOptions:\n")[2].splitlines()), words
        assert usage.startswith(f"usage: {name}") and usage == usage.rstrip(), words
        assert run_tael("help", *words).stdout == run_tael(*words, "--help").stdout, words
        refused = run_tael(*words, "--no-such-flag")
        assert refused.returncode == 2
        assert refused.stderr == (
            f"{name}: unknown flag '--no-such-flag'\nTry '{name} --help'.\n"), words


@pytest.mark.parametrize("words, reason", [
    (["--data=DIR", "server"], "the command comes first, then '--data=DIR'"),
    (["--nonsense"], "the command comes first, then '--nonsense'"),
    (["help", "nonsense"], "there is no command 'nonsense'"),
])
def test_a_command_that_is_not_found(words, reason):
    result = run_tael(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"tael: {reason}\nTry 'tael --help'.\n"


@pytest.mark.parametrize("words, reason", [
    (["payments", "--data=DIR", "list"], "the command comes first, then '--data=DIR'"),
    (["help", "payments", "nonsense"], "there is no command 'nonsense'"),
])
def test_a_command_below_another_that_is_not_found(words, reason):
    result = run_tael(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"tael payments: {reason}\nTry 'tael payments --help'.\n"


def test_help_is_0():
    for words in (
        ["pay"], ["payments"], ["payments", "list"], ["payments", "show"], ["payments", "capture"],
        ["payments", "cancel"], ["payments", "refund"], ["payouts"], ["payouts", "list"],
        ["payouts", "show"], ["keys"], ["keys", "create"], ["wallets"],
        ["wallets", "list"], ["wallets", "show"], ["wallets", "statement"],
        ["keys", "list"], ["keys", "revoke"], ["qr"], ["qr", "parse"], ["qr", "build"],
        ["qr", "image"], ["ledger"], ["ledger", "accounts"],
        ["ledger", "transfers"], ["ledger", "replay"], ["ledger", "check"],
    ):
        result = run_tael(*words, "--help")
        assert result.returncode == 0 and result.stdout.startswith("usage: tael"), words


def test_pay_and_show(tael):
    result = tael("pay", "--amount=20.00", "--description=two books")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^status +succeeded$", result.stdout, re.MULTILINE)
    assert re.search(r"^received +20\.00 USD$", result.stdout, re.MULTILINE)
    assert re.search(r"^fee +0\.88 USD$", result.stdout, re.MULTILINE)
    payment = re.search(r"pi_\w+", result.stdout).group()
    shown = tael("payments", "show", payment)
    assert "two books" in shown.stdout and payment in shown.stdout
    assert json.loads(tael("payments", "show", payment, "--json").stdout)["id"] == payment
    assert payment in tael("payments", "list").stdout


def test_a_payment_that_waits_for_its_customer(tael):
    result = tael("pay", "--amount=20.00", "--card=pm_card_threeDSecure2Required")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^status +requires_action$", result.stdout, re.MULTILINE)
    assert re.search(r"^customer's page +http://\S+/authenticate/\S+$", result.stdout, re.MULTILINE)


def test_pay_by_number_and_from_standard_input(tael):
    number = "5555555555554444"
    assert pay(tael, "--amount=500", "--currency=jpy", f"--card={number}")["amount"] == 500
    read = tael("pay", "--amount=5.00", "--card=-", stdin=number + "\n")
    assert read.returncode == 0 and "mastercard 4444" in read.stdout
    assert tael("pay", "--amount=5.00", "--card=-", stdin="").returncode == 1


def test_decline_is_one_line_and_1(tael):
    result = tael("pay", "--amount=20.00", "--card=4000000000009995")
    assert result.returncode == 1 and result.stdout == ""
    line = result.stderr.strip()
    assert "\n" not in line
    for part in ("insufficient funds", "card_declined", "insufficient_funds", "pi_", "req_"):
        assert part in line
    as_json = tael("pay", "--amount=20.00", "--card=4000000000009995", "--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["error"]["decline_code"] == "insufficient_funds"


def test_same_idempotency_key_pays_once(tael):
    first = pay(tael, "--amount=7.00", "--idempotency-key=order-7")
    assert pay(tael, "--amount=7.00", "--idempotency-key=order-7")["id"] == first["id"]
    assert pay(tael, "--amount=7.00")["id"] != first["id"]


def test_capture_refund_cancel(tael):
    held = pay(tael, "--amount=50.00", "--capture=manual")
    assert held["status"] == "requires_capture"
    captured = tael("payments", "capture", held["id"], "--amount=15.00", "--json")
    assert json.loads(captured.stdout)["amount_received"] == 1500
    refund = tael("payments", "refund", held["id"], "--amount=5.00", "--json")
    assert json.loads(refund.stdout)["amount"] == 500
    assert "10.00 USD" in tael("payments", "refund", held["id"]).stdout
    again = tael("payments", "refund", held["id"], "--amount=0.01")
    assert again.returncode == 1 and "charge_already_refunded" in again.stderr
    refused = tael("payments", "cancel", held["id"])
    assert refused.returncode == 1 and "payment_intent_unexpected_state" in refused.stderr
    other = pay(tael, "--amount=50.00", "--capture=manual")
    canceled = tael("payments", "cancel", other["id"], "--reason=abandoned", "--json")
    assert json.loads(canceled.stdout)["status"] == "canceled"


def test_list_goes_on(tael):
    ids = [pay(tael, "--amount=1.00")["id"] for _ in range(3)]
    page = tael("payments", "list", "--limit=2")
    assert ids[2] in page.stdout and ids[1] in page.stdout and ids[0] not in page.stdout
    assert f"--after={ids[1]}" in page.stdout
    rest = tael("payments", "list", f"--after={ids[1]}")
    assert ids[0] in rest.stdout and "--after" not in rest.stdout


def test_keys(tael):
    made = tael("keys", "create", "--type=restricted", "--name=till", "--permissions=charges:read")
    assert made.returncode == 0
    key = made.stdout.strip()
    assert key.startswith("rk_test_") and key not in made.stderr
    listed = tael("keys", "list")
    assert "till" in listed.stdout and key not in listed.stdout
    denied = run_tael(
        "pay", "--amount=1.00", f"--url={tael.server.url}", environment={"TAEL_KEY": key})
    assert denied.returncode == 1 and key not in denied.stderr
    key_id = re.search(r"^(key_\w+) +restricted", listed.stdout, re.MULTILINE).group(1)
    assert tael("keys", "revoke", key_id).returncode == 0
    assert re.search(rf"^{key_id} .*revoked$", tael("keys", "list").stdout, re.MULTILINE)


def test_books(tael):
    assert "There are no accounts" in tael("ledger", "accounts").stdout
    assert "There are no transfers" in tael("ledger", "transfers").stdout
    pay(tael, "--amount=20.00")
    pay(tael, "--amount=3.00", "--currency=eur", "--capture=manual")
    accounts = tael("ledger", "accounts").stdout
    assert re.search(r"USD test +101 +card clearing .* 20\.00 +debit", accounts)
    assert re.search(r"USD test +201 +merchant pending .* 19\.12 +credit", accounts)
    assert "USD test: debits and credits are equal" in accounts
    assert "EUR test: debits and credits are equal" in accounts
    only = tael("ledger", "accounts", "--currency=eur").stdout
    assert "EUR test" in only and "USD test" not in only
    transfers = tael("ledger", "transfers", "--reversed").stdout.splitlines()
    assert re.search(r"hold \(pending\) +card clearing +merchant pending +3\.00", transfers[1])
    assert re.search(r"fee +merchant pending +fee revenue +0\.88", transfers[2])
    as_json = tael("ledger", "transfers", "--code=2", "--json").stdout
    assert [one["amount"] for one in json.loads(as_json)["transfers"]] == ["88"]


def test_books_of_one_account(tael):
    pay(tael, "--amount=20.00")
    revenue = ["--account=fee-revenue", "--currency=usd"]
    assert tael("ledger", "transfers", *revenue).stdout.count("fee revenue") == 1
    wide = tael("ledger", "accounts", *revenue, "--wide").stdout
    found = wide.splitlines()[1].split()[-1]
    by_id = tael("ledger", "accounts", f"--account={found}").stdout
    assert "fee revenue" in by_id and "0.88" in by_id
    assert "no transfers" in tael("ledger", "transfers", *revenue, "--since=2100-01-01").stdout
    merchant = merchant_of(tael.server)
    pending = ["--account=merchant-pending", "--currency=usd", f"--merchant={merchant}"]
    assert "19.12" in tael("ledger", "accounts", *pending).stdout
    assert tael("ledger", "transfers", *pending).stdout.count("merchant pending") == 2
    assert tael("ledger", "transfers", *revenue, f"--merchant={merchant}").stdout.count(
        "fee revenue") == 1
    assert "0.88" in tael("ledger", "transfers", *revenue, "--since=1h").stdout


def test_books_of_a_wallet(tael):
    wallets = Wallets(tael.server)
    wallet = wallets.wallet(12345)
    wallets.wallet(777)
    its = ["--account=wallet", "--currency=usd", f"--merchant={wallet}"]
    assert re.search(r" 301 +wallet .* 123\.45 +credit", tael("ledger", "accounts", *its).stdout)
    assert tael("ledger", "accounts", *its).stdout.count("wallet") == 1
    assert tael("ledger", "transfers", *its).stdout.count("123.45") == 1
    wrong = tael("ledger", "accounts", *its[:2], "--merchant=acct_1")
    assert wrong.returncode == 2 and "wal_" in wrong.stderr


def test_check(tael):
    pay(tael, "--amount=20.00")
    server = tael.server
    places = server.ledger_places()
    is_journal = server.ledger_url is None
    working = run_tael("ledger", "check", *places)
    if is_journal:
        assert working.returncode == 1 and working.stderr.count("stop the server") == len(places)
    else:
        assert working.returncode == 0
    server.stop()
    forms = [place for one in places for place in (
        [one, one / "ledger", f"journal:{one}/ledger"] if is_journal else [one])]
    good = run_tael("ledger", "check", *forms)
    assert good.returncode == 0 and good.stdout.count("The books balance") == len(forms)
    lines = run_tael("ledger", "check", *places, "--json").stdout.splitlines()
    reports = [json.loads(line) for line in lines]
    assert len(reports) == len(places) and all(report["ok"] for report in reports)
    assert sum(report["transfers"] for report in reports) == 2
    for books in [books for report in reports for books in report["ledgers"]]:
        assert books["debits_posted"] == books["credits_posted"]
    assert run_tael("ledger", "check", server.folder).returncode == 1
    one_ledgers = run_tael("ledger", "check", "--head=1", *places, *places)
    assert one_ledgers.returncode == 2 and "one ledger" in one_ledgers.stderr


def place_of_transfers(server):
    """Where payments of the merchant's went."""
    for place in server.ledger_places():
        if json.loads(run_tael("ledger", "check", place, "--json").stdout)["transfers"] > 0:
            return place
    raise AssertionError("no payment was booked")


def test_check_names_the_damaged_row(tael):
    server = tael.server
    if server.ledger_url is None:
        pytest.skip("the ledger is a journal")
    pay(tael, "--amount=20.00")
    server.stop()
    place = place_of_transfers(server)
    schema = re.findall(r"schema=(\w+)", place)[-1]

    def add(amount):
        subprocess.run(
            ["psql", os.environ["TEST_POSTGRES"], "-qc",
             f'UPDATE "{schema}".account SET debits_posted = debits_posted + {amount} '
             f'WHERE slot = (SELECT max(slot) FROM "{schema}".account)'], check=True, timeout=60)

    add(1)
    result = run_tael("ledger", "check", *server.ledger_places())
    assert result.returncode == 1 and "debits are not credits" in result.stderr
    # The other shards were checked all the same.
    assert result.stdout.count("The books balance") == len(server.ledger_places()) - 1
    add(-1)


def test_check_names_the_damage(tael):
    server = tael.server
    if server.ledger_url is not None:
        pytest.skip("the ledger is in PostgreSQL")
    pay(tael, "--amount=20.00")
    server.stop()
    place = place_of_transfers(server)
    path = place / "ledger" / "00000001.log"
    whole = path.read_bytes()
    with open(path, "r+b") as file:
        file.seek(4096 + 100)
        byte = file.read(1)[0]
        file.seek(4096 + 100)
        file.write(bytes([byte ^ 4]))
    result = run_tael("ledger", "check", place)
    assert result.returncode == 1 and result.stdout == ""
    assert "00000001.log" in result.stderr and "offset 4096" in result.stderr
    assert not json.loads(run_tael("ledger", "check", place, "--json").stdout)["ok"]
    assert server.ledger_check().returncode == 1
    path.write_bytes(whole)


def test_replay(tmp_path):
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    result = run_tael("ledger", "replay", script)
    assert result.returncode == 0 and result.stderr == ""
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["status"] for one in lines[0]["results"]] == ["created", "created"]
    assert lines[1]["results"][0]["status"] == "created"
    assert run_tael("ledger", "replay", "-", stdin=SCRIPT).stdout == result.stdout
    bad = run_tael("ledger", "replay", "-", stdin=SCRIPT + '{"op":"nonsense"}\n' + SCRIPT)
    assert bad.returncode == 1 and len(bad.stdout.splitlines()) == 5
    assert run_tael("ledger", "replay", tmp_path / "missing").returncode == 1


def test_replay_into_a_store(tmp_path):
    store = f"--store=journal:{tmp_path}/ledger"
    assert run_tael("ledger", "replay", store, "-", stdin=SCRIPT).returncode == 0
    again = json.loads(run_tael("ledger", "replay", store, "-", stdin=SCRIPT).stdout.splitlines()[1])
    assert again["results"][0]["status"] == "exists"
    assert run_tael("ledger", "check", tmp_path / "ledger").returncode == 0


def test_nobody_there():
    result = run_tael("payments", "list", "--url=http://127.0.0.1:1", "--key=sk_test_x")
    assert result.returncode == 1 and "cannot connect" in result.stderr
    assert "sk_test_x" not in result.stderr


@pytest.mark.parametrize("words", [
    ("merchants", "list"), ("vault", "status"), ("webhooks", "status"), ("txn", "list")])
def test_what_operators_ask_is_not_asked_of_the_api(tael, words):
    url = tael.server.url
    result = run_tael(*words, f"--url={url}")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"tael {' '.join(words)}: {url} is the API, which does not answer operators: --url is "
        "their address, which tael server has with --admin-listen\n")


def test_wrong_key(tael):
    result = run_tael("payments", "list", f"--url={tael.server.url}", "--key=sk_test_wrong")
    assert result.returncode == 1 and "sk_test_wrong" not in result.stderr
    assert run_tael("payments", "list", "--key=a\nX: y").returncode == 2


def on_terminal(words, environment):
    """What a command prints when its output is a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [str(PROGRAM), *words], stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
        env={**without_tael_settings(), "TERM": "xterm", **environment})
    os.close(follower)
    output = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([leader], [], [], 0.1)
        try:
            piece = os.read(leader, 65536) if ready else b""
        except OSError:  # Linux: the other end is closed
            break
        output += piece
        if not piece and process.poll() is not None:
            break
    os.close(leader)
    assert process.wait(30) == 0
    return output.decode()


def test_colours_are_for_terminals(tael):
    payment = pay(tael, "--amount=20.00", "--description=\033[2Jx")
    words = ["payments", "list", f"--url={tael.server.url}", f"--data={tael.server.data}"]
    assert "\033[32msucceeded\033[0m" in on_terminal(words, {})
    plain = on_terminal(words, {"NO_COLOR": "1"})
    assert "\033" not in plain and payment["id"] in plain and "?[2Jx" in plain
    assert "\033" not in tael("payments", "list").stdout


def test_payouts(tael):
    client = sdk(tael.server)
    assert "no payouts" in tael("payouts", "list").stdout
    fund(client)
    account = bank_account(client, "000222222227")
    made = payout(client, 1234, statement_descriptor="Sales")
    held = re.compile(rf"^{made.id} +[-0-9]+ [:0-9]+ +12\.34 USD +pending *$", re.MULTILINE)
    assert held.search(tael("payouts", "list").stdout)
    shown = tael("payouts", "show", made.id).stdout
    assert all(text in shown for text in (made.id, account.id, "12.34 USD", "Sales", "pending"))
    second = payout(client, 99)
    client.v1.payouts.cancel(second.id)
    assert "canceled" in tael("payouts", "list", "--limit=1").stdout
    behind = json.loads(tael("payouts", "list", f"--after={second.id}", "--json").stdout)
    assert [one["id"] for one in behind["data"]] == [made.id]
    missing = tael("payouts", "show", "po_none")
    assert missing.returncode == 1 and "No such payout" in missing.stderr


def test_wallets(tael):
    wallets = Wallets(tael.server)
    assert "no wallets" in tael("wallets", "list").stdout
    wallet = wallets.wallet(12345, email="cli@example.com", tier="basic")
    other = wallets.wallet(email="other@example.com")
    assert "Nothing has moved." in tael("wallets", "statement", other).stdout
    sent = wallets.send(wallet, other, 45, description="for \x1b[31mtea")
    wallets.post(f"/v1/wallets/{wallet}/holds", to=other, amount=300)
    listed = tael("wallets", "list").stdout
    assert re.search(rf"^{wallet} +cus_\w+ +cli@example.com +120\.00 USD +3\.00 USD +active$",
                     listed, re.MULTILINE), listed
    shown = tael("wallets", "show", wallet).stdout
    assert re.search(r"^available +120\.00 USD$", shown, re.MULTILINE)
    assert re.search(r"^out, day +996\.55 USD left of 1000\.00 USD$", shown, re.MULTILINE), shown
    lines = tael("wallets", "statement", wallet).stdout
    assert re.search(rf"transfer +-0\.45 USD +123\.00 USD +{sent['id']} +for .\[31mtea", lines)
    assert "\x1b" not in lines
    page = tael("wallets", "statement", wallet, "--limit=1").stdout
    after = re.search(r"--after=(wln_\w+)", page).group(1)
    rest = tael("wallets", "statement", wallet, f"--after={after}", "--json")
    assert [line["kind"] for line in json.loads(rest.stdout)["data"]] == ["deposit"]
    assert json.loads(tael("wallets", "show", wallet, "--json").stdout)["id"] == wallet
    assert len(json.loads(tael("wallets", "list", "--json").stdout)["data"]) == 2
    gone = tael("wallets", "show", "wal_0000000000000000000000")
    assert gone.returncode == 1 and "No such wallet" in gone.stderr


def test_version():
    plain = run_tael("version", check=True).stdout
    told = json.loads(run_tael("version", "--json", check=True).stdout)
    assert plain == f"tael {told['version']}\n"
    assert set(told) == {"version", "fault_points"}
