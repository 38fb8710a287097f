"""Money set aside in a wallet, and money on its way to a bank account."""

import time

import pytest

from kit.books import metrics
from kit.server import Server, wait_until
from kit.wallets import Wallets, check_statement, refused

pytestmark = pytest.mark.usefixtures("one_day")

# It comes back long enough behind its payment for a busy test to see it paid.
FAST_BANK = ("--bank-settle=300ms", "--bank-return=5s")


def hold(wallets, source, target, amount, **params):
    return wallets.post(f"/v1/wallets/{source}/holds", to=target, amount=amount, **params)


# ---- holds ---------------------------------------------------------------------------------


def test_hold_and_capture_part(wallets):
    source, target = wallets.wallet(1000), wallets.wallet(handle="held_for")
    made = hold(wallets, source, "@held_for", 600, description="Deposit", metadata={"a": "1"})
    assert made["object"] == "wallet_hold" and made["id"].startswith("whd_")
    assert made["status"] == "active" and made["to"] == target
    assert made["amount"] == made["amount_capturable"] == 600 and made["amount_captured"] == 0
    week = 7 * 24 * 3600
    assert made["created"] + week <= made["expires_at"] <= made["created"] + week + 10
    assert wallets.balance(source) == {
        "available": 400, "held": 600, "incoming": 0, "posted": 1000}
    assert wallets.balance(target) == {"available": 0, "held": 0, "incoming": 600, "posted": 0}
    # What is held cannot be spent.
    assert refused(wallets.send, source, target, 401).code == "wallet_insufficient_funds"
    assert "4.00 USD" in refused(hold, wallets, source, target, 401).message
    error = refused(wallets.post, f"/v1/wallet_holds/{made['id']}/capture", amount=601)
    assert (error.code, error.param) == ("amount_too_large", "amount")
    captured = wallets.post(f"/v1/wallet_holds/{made['id']}/capture", amount=250)
    assert captured["status"] == "captured" and captured["amount_captured"] == 250
    assert captured["amount_capturable"] == 0
    assert wallets.available(source) == 750 and wallets.available(target) == 250
    for verb in ("capture", "release"):
        error = refused(wallets.post, f"/v1/wallet_holds/{made['id']}/{verb}")
        assert (error.status, error.code) == (400, "wallet_hold_unexpected_state")
    assert wallets.event_types(made["id"]) == ["wallet_hold.created", "wallet_hold.captured"]
    # The rest of the limit is free again.
    remaining = wallets.get(f"/v1/wallets/{source}")["limits"]["out"]["day"]
    assert remaining["limit"] - remaining["remaining"] == 250
    check_statement(wallets, source)


def test_release(wallets):
    source, target = wallets.wallet(1000), wallets.wallet()
    made = hold(wallets, source, target, 1000)
    assert wallets.available(source) == 0
    released = wallets.post(f"/v1/wallet_holds/{made['id']}/release")
    assert released["status"] == "released" and released["amount_captured"] == 0
    assert wallets.balance(source)["held"] == 0 and wallets.balance(target)["incoming"] == 0
    assert wallets.event_types(made["id"])[-1] == "wallet_hold.released"
    limits = wallets.get(f"/v1/wallets/{target}")["limits"]["in"]["day"]
    assert limits["limit"] == limits["remaining"]


def test_expiry(wallets):
    source, target = wallets.wallet(1000), wallets.wallet()
    made = hold(wallets, source, target, 1000, expires_in=1)
    wait_until(lambda: wallets.available(source) == 1000, 10, "the ledger's own expiry")
    assert time.time() >= made["expires_at"] - 1
    gone = wallets.wait_for(f"/v1/wallet_holds/{made['id']}", "expired")
    assert gone["amount_captured"] == 0
    error = refused(wallets.post, f"/v1/wallet_holds/{made['id']}/capture")
    assert error.code == "wallet_hold_expired"
    assert wallets.event_types(made["id"]) == ["wallet_hold.created", "wallet_hold.expired"]
    limits = wallets.get(f"/v1/wallets/{source}")["limits"]["out"]["day"]
    assert limits["limit"] == limits["remaining"]


def test_capture_that_comes_too_late(make_server):
    """The ledger lets go before the sweeper has noticed: the capture is told so."""
    mine = Wallets(make_server("--sweep-interval=1h"))
    source, target = mine.wallet(1000), mine.wallet()
    made = hold(mine, source, target, 1000, expires_in=1)
    wait_until(lambda: mine.available(source) == 1000, 10, "the ledger's own expiry")
    headers = {"Idempotency-Key": "late"}
    error = refused(mine.post, f"/v1/wallet_holds/{made['id']}/capture", headers=headers)
    assert error.code == "wallet_hold_expired"
    assert mine.get(f"/v1/wallet_holds/{made['id']}")["status"] == "expired"
    again = refused(mine.post, f"/v1/wallet_holds/{made['id']}/capture", headers=headers)
    assert again.message == error.message
    assert mine.available(target) == 0


def test_hold_lists(wallets):
    one, two = wallets.wallet(1000), wallets.wallet(1000)
    made = [hold(wallets, one, two, 1), hold(wallets, two, one, 2), hold(wallets, one, two, 3)]
    wallets.post(f"/v1/wallet_holds/{made[2]['id']}/release")
    mine = wallets.everything("/v1/wallet_holds", wallet=one)
    assert [found["id"] for found in mine] == [each["id"] for each in made[::-1]]
    active = wallets.everything("/v1/wallet_holds", wallet=one, status="active")
    assert [found["id"] for found in active] == [made[1]["id"], made[0]["id"]]
    out = wallets.everything(f"/v1/wallets/{one}/holds")
    assert [found["id"] for found in out] == [made[2]["id"], made[0]["id"]]
    assert refused(wallets.get, "/v1/wallets/wal_1/holds").status == 404
    assert refused(wallets.get, "/v1/wallet_holds/whd_1").status == 404
    shown = wallets.get(f"/v1/wallet_holds/{made[0]['id']}", expand=["to.customer"])
    assert shown["to"]["customer"]["object"] == "customer"
    changed = wallets.post(f"/v1/wallet_holds/{made[0]['id']}", metadata={"x": "y"})
    assert changed["metadata"] == {"x": "y"} and changed["status"] == "active"


@pytest.mark.parametrize("change, code, param", [
    ({"amount": 0}, "parameter_invalid_integer", "amount"),
    ({"to": "nobody@example.com"}, "resource_missing", "to"),
    ({"expires_in": 0}, "parameter_invalid_integer", "expires_in"),
    ({"expires_in": 90 * 24 * 3600 + 1}, "parameter_invalid_integer", "expires_in"),
    ({"destination": "x"}, "parameter_unknown", "destination"),
])
def test_bad_holds(wallets, change, code, param):
    source = wallets.wallet(100)
    params = {"to": wallets.wallet(), "amount": 5, **change}
    error = refused(wallets.post, f"/v1/wallets/{source}/holds", **params)
    assert (error.status, error.code, error.param) == (400, code, param), error
    error = refused(hold, wallets, source, source, 5)
    assert (error.code, error.param) == ("wallet_transfer_to_itself", "to")
    euro = wallets.wallet(currency="eur")
    assert refused(hold, wallets, source, euro, 5).code == "wallet_currency_mismatch"


# ---- withdrawals ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A server whose bank is quick."""
    made = Server(tmp_path_factory.mktemp("bank"), *FAST_BANK).start()
    yield Wallets(made)
    made.close()


def withdraw(wallets, wallet, amount, number="000123456789", **params):
    account = {"account_number": number, "routing_number": "110000000", "country": "US",
               "account_holder_name": "Jenny Rosen"}
    return wallets.post(f"/v1/wallets/{wallet}/withdrawals", amount=amount,
                        bank_account=account, **params)


def test_withdrawal_is_paid(bank):
    wallet = bank.wallet(1000)
    made = withdraw(bank, wallet, 400, description="Rent", statement_descriptor="TAEL",
                    metadata={"r": "1"})
    assert made["object"] == "wallet_withdrawal" and made["id"].startswith("wwd_")
    assert made["status"] == "pending" and made["wallet"] == wallet and made["paid_at"] is None
    assert made["bank_account"] == {
        "account_holder_name": "Jenny Rosen", "country": "US", "last4": "6789",
        "routing_number": "110000000"}
    assert bank.balance(wallet) == {"available": 600, "held": 400, "incoming": 0, "posted": 1000}
    paid = bank.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "paid")
    assert paid["paid_at"] >= made["created"] and paid["failure_code"] is None
    assert bank.balance(wallet) == {"available": 600, "held": 0, "incoming": 0, "posted": 600}
    assert bank.event_types(made["id"]) == ["wallet_withdrawal.created", "wallet_withdrawal.paid"]
    line = check_statement(bank, wallet)[-1]
    assert (line["kind"], line["amount"], line["source"], line["description"]) == (
        "withdrawal", -400, made["id"], "Rent")


@pytest.mark.parametrize("number, code", [
    ("000111111116", "no_account"), ("000111111113", "account_closed"),
    ("000444444440", "invalid_currency"), ("000222222227", "could_not_process"),
])
def test_withdrawal_fails(bank, number, code):
    wallet = bank.wallet(1000)
    made = withdraw(bank, wallet, 400, number)
    failed = bank.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "failed")
    assert failed["failure_code"] == code and failed["failure_message"]
    assert bank.available(wallet) == 1000
    assert [line["amount"] for line in check_statement(bank, wallet)] == [1000]
    assert bank.event_types(made["id"])[-1] == "wallet_withdrawal.failed"
    limits = bank.get(f"/v1/wallets/{wallet}")["limits"]["out"]["day"]
    assert limits["limit"] == limits["remaining"]


def test_withdrawal_comes_back(bank):
    wallet = bank.wallet(1000)
    made = withdraw(bank, wallet, 400, "000333333335")
    back = bank.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "returned")
    assert back["failure_code"] == "account_frozen" and back["paid_at"] is not None
    assert back["returned_to"] == wallet
    assert bank.available(wallet) == 1000
    assert [line["kind"] for line in check_statement(bank, wallet)] == [
        "deposit", "withdrawal", "withdrawal_return"]
    assert bank.event_types(made["id"]) == [
        "wallet_withdrawal.created", "wallet_withdrawal.paid", "wallet_withdrawal.returned"]


def test_withdrawal_comes_back_to_a_closed_wallet(bank):
    wallet = bank.wallet(400)
    made = withdraw(bank, wallet, 400, "000333333335")
    bank.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "paid")
    assert bank.post(f"/v1/wallets/{wallet}/close")["status"] == "closed"
    back = bank.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "returned")
    assert "suspense" in back["failure_message"]
    check_statement(bank, wallet)
    accounts = bank.http.request("POST", "/v1/ledger/query", json={
        "op": "query_accounts", "filter": {"ledger": 1840, "code": 103, "limit": 5}}).json()
    assert int(accounts["accounts"][0]["credits_posted"]) >= 400


def in_suspense(bank):
    """What all that is in it comes to."""
    accounts = bank.http.request("POST", "/v1/ledger/query", json={
        "op": "query_accounts", "filter": {"ledger": 1840, "code": 103, "limit": 100}}).json()
    return sum(int(account["credits_posted"]) - int(account["debits_posted"])
               for account in accounts["accounts"])


def alarm_is_right(bank):
    """Whether the metric has counted what waits for a person; it is as of the last sweep."""
    returned = bank.everything("/v1/wallet_withdrawals", status="returned")
    waiting = sum(one["returned_to"] is None for one in returned)
    return metrics(bank.http.server)["tael_wallet_suspense_open"] == waiting


def test_what_came_back_to_a_closed_wallet_is_given_to_another(bank):
    wallet, other = bank.wallet(400), bank.wallet(handle="another")
    closed, yen = bank.wallet(), bank.wallet(currency="jpy")
    before = in_suspense(bank)
    made = withdraw(bank, wallet, 400, "000333333335")
    path = f"/v1/wallet_withdrawals/{made['id']}"
    bank.wait_for(path, "paid")
    assert refused(bank.post, f"{path}/give", wallet=other).code == (
        "wallet_withdrawal_unexpected_state")
    bank.post(f"/v1/wallets/{wallet}/close")
    assert bank.wait_for(path, "returned")["returned_to"] is None
    assert in_suspense(bank) == before + 400
    wait_until(lambda: alarm_is_right(bank), 10, "the operators' alarm")
    assert metrics(bank.http.server)["tael_wallet_suspense_open"] > 0
    bank.post(f"/v1/wallets/{closed}/close")
    for wrong, code in ((closed, "wallet_closed"), (wallet, "wallet_closed"),
                        (yen, "wallet_currency_mismatch"), ("wal_none", "resource_missing")):
        assert refused(bank.post, f"{path}/give", wallet=wrong).code == code
    assert bank.get(path)["returned_to"] is None
    assert bank.post(f"{path}/give", wallet="@another")["returned_to"] == other
    assert refused(bank.post, f"{path}/give", wallet=other).code == (
        "wallet_withdrawal_unexpected_state")
    assert in_suspense(bank) == before and bank.available(other) == 400
    (line,) = check_statement(bank, other)
    assert (line["kind"], line["source"]) == ("withdrawal_return", made["id"])
    wait_until(lambda: alarm_is_right(bank), 10, "the end of the alarm")
    runs = metrics(bank.http.server)["tael_wallet_reconcile_runs_total"]
    wait_until(lambda: metrics(bank.http.server)["tael_wallet_reconcile_runs_total"] >= runs + 2, 10,
               "a comparison")
    assert metrics(bank.http.server)["tael_wallet_differences"] == 0


def test_withdrawal_stays_pending(bank):
    wallet = bank.wallet(1000)
    made = withdraw(bank, wallet, 400, "000777777771")
    time.sleep(1.5)
    assert bank.get(f"/v1/wallet_withdrawals/{made['id']}")["status"] == "pending"
    assert bank.balance(wallet)["held"] == 400
    assert refused(bank.post, f"/v1/wallets/{wallet}/close").code == "wallet_not_empty"
    server = bank.http.server  # it is the bank's, and told of apart
    wait_until(lambda: metrics(server)["tael_wallet_withdrawal_oldest_seconds"] >= 2, 10, "its age")
    wait_until(lambda: metrics(server)["tael_wallet_attempts_open"] == 0, 10, "no attempt of ours")


def test_withdrawal_whose_answer_was_lost(bank):
    wallet = bank.wallet(1000)
    made = withdraw(bank, wallet, 400, "000666666660")
    bank.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "paid")
    assert bank.available(wallet) == 600


def test_withdrawal_lists(bank):
    wallet = bank.wallet(1000)
    made = [withdraw(bank, wallet, 1), withdraw(bank, wallet, 2, "000777777771")]
    bank.wait_for(f"/v1/wallet_withdrawals/{made[0]['id']}", "paid")
    for path, params, wanted in [
        (f"/v1/wallets/{wallet}/withdrawals", {}, made[::-1]),
        ("/v1/wallet_withdrawals", {"wallet": wallet}, made[::-1]),
        ("/v1/wallet_withdrawals", {"wallet": wallet, "status": "paid"}, made[:1]),
    ]:
        found = bank.everything(path, **params)
        assert [one["id"] for one in found] == [one["id"] for one in wanted]
    changed = bank.post(f"/v1/wallet_withdrawals/{made[0]['id']}", metadata={"q": "1"})
    assert changed["metadata"] == {"q": "1"} and changed["status"] == "paid"
    assert refused(bank.get, "/v1/wallet_withdrawals/wwd_1").status == 404
    assert refused(bank.get, "/v1/wallets/wal_1/withdrawals").status == 404


def test_bad_withdrawals(bank):
    wallet = bank.wallet(1000)
    path = f"/v1/wallets/{wallet}/withdrawals"
    good = {"amount": 10, "bank_account[account_number]": "000123456789"}
    for change, code, param in [
        ({"bank_account[account_number]": "12"}, "account_number_invalid",
         "bank_account[account_number]"),
        ({"bank_account[account_number]": "12-34-56"}, "account_number_invalid",
         "bank_account[account_number]"),
        ({"bank_account[routing_number]": "1"}, "routing_number_invalid",
         "bank_account[routing_number]"),
        ({"amount": 1001}, "wallet_insufficient_funds", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"statement_descriptor": "x" * 23}, None, "statement_descriptor"),
    ]:
        error = refused(bank.post, path, **{**good, **change})
        assert (error.status, error.param) == (400, param), (change, error)
        assert code is None or error.code == code
    assert refused(bank.post, path, amount=10).code == "parameter_missing"
    failed = bank.everything(path)
    assert [one["status"] for one in failed] == ["failed"]
    assert bank.available(wallet) == 1000


def test_money_survives_a_restart(make_server):
    server = make_server(*FAST_BANK)
    mine = Wallets(server)
    source, target = mine.wallet(1000), mine.wallet()
    made = hold(mine, source, target, 300)
    out = withdraw(mine, source, 200)
    server.kill()
    server.start()
    mine = Wallets(server)
    bank_state = mine.wait_for(f"/v1/wallet_withdrawals/{out['id']}", "paid")
    assert bank_state["amount"] == 200
    assert mine.balance(source) == {"available": 500, "held": 300, "incoming": 0, "posted": 800}
    assert mine.post(f"/v1/wallet_holds/{made['id']}/capture")["status"] == "captured"
    check_statement(mine, source)
