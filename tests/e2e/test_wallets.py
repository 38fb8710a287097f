"""Wallets: making and changing them, and money between them."""

import csv
import io

import pytest

from kit.books import metrics
from kit.client import pay
from kit.server import run_tael, wait_until
from kit.together import at_once
from kit.wallets import Refused, Wallets, check_statement, refused

pytestmark = pytest.mark.usefixtures("one_day")

# ---- the wallet ----------------------------------------------------------------------------


def test_create_and_retrieve(wallets):
    customer = wallets.customer()
    made = wallets.post("/v1/wallets", customer=customer, currency="usd", email="A.B@Example.com",
                        phone="+1 (415) 555-0101", handle="$Create_1", metadata={"a": "b"})
    assert made["object"] == "wallet" and made["id"].startswith("wal_")
    assert made["customer"] == customer and made["currency"] == "usd"
    assert made["status"] == "active" and made["tier"] == "basic"
    assert made["email"] == "a.b@example.com" and made["phone"] == "+14155550101"
    assert made["handle"] == "create_1" and made["metadata"] == {"a": "b"}
    assert made["balance"] == {"available": 0, "held": 0, "incoming": 0, "posted": 0}
    assert made["limits"]["out"]["day"] == {"limit": 100000, "remaining": 100000}
    assert made["livemode"] is False
    assert wallets.get(f"/v1/wallets/{made['id']}") == made
    shown = wallets.get(f"/v1/wallets/{made['id']}", expand=["customer"])
    assert shown["customer"]["object"] == "customer"
    assert wallets.event_types(made["id"]) == ["wallet.created"]


def test_one_per_customer_and_currency(wallets):
    customer = wallets.customer()
    first = wallets.wallet(customer=customer)
    error = refused(wallets.wallet, customer=customer)
    assert (error.status, error.code, error.param) == (400, "resource_already_exists", "customer")
    assert first in error.message
    other = wallets.wallet(customer=customer, currency="eur")
    listed = wallets.get("/v1/wallets", customer=customer)["data"]
    assert [one["id"] for one in listed] == [other, first]


@pytest.mark.parametrize("params, code, param", [
    ({"currency": "usd"}, "parameter_missing", "customer"),
    ({"customer": "cus_0000000000000000000000"}, "parameter_missing", "currency"),
    ({"customer": "cus_0000000000000000000000", "currency": "usd"}, "resource_missing",
     "customer"),
    ({"currency": "xxq"}, None, "currency"),
    ({"currency": "usd", "tier": "gold"}, "wallet_tier_unknown", "tier"),
    ({"currency": "usd", "email": "nobody"}, "wallet_alias_invalid", "email"),
    ({"currency": "usd", "phone": "0815"}, "wallet_alias_invalid", "phone"),
    ({"currency": "usd", "handle": "x"}, "wallet_alias_invalid", "handle"),
    ({"currency": "usd", "balance": "100"}, "parameter_unknown", "balance"),
])
def test_bad_creations(wallets, params, code, param):
    if "customer" not in params and code != "parameter_missing":
        params = {"customer": wallets.customer(), **params}
    error = refused(wallets.post, "/v1/wallets", **params)
    assert (error.status, error.code, error.param) == (400, code, param), error


def test_update(wallets):
    wallet = wallets.wallet(email="up@example.com", handle="updated")
    changed = wallets.post(f"/v1/wallets/{wallet}", email="", phone="+4915112345678",
                           tier="verified", metadata={"x": "1"})
    assert changed["email"] is None and changed["handle"] == "updated"
    assert changed["phone"] == "+4915112345678" and changed["tier"] == "verified"
    assert changed["limits"]["out"]["transaction"]["limit"] == 500000
    assert wallets.event_types(wallet) == ["wallet.created", "wallet.updated"]
    other = wallets.wallet()
    error = refused(wallets.post, f"/v1/wallets/{other}", handle="@Updated")
    assert (error.code, error.param) == ("wallet_alias_taken", "handle")
    euro = wallets.wallet(currency="eur", handle="updated")  # another currency, its own names
    assert euro != wallet
    error = refused(wallets.post, "/v1/wallets/wal_0000000000000000000000", handle="abc")
    assert (error.status, error.code) == (404, "resource_missing")


def test_list_in_pages(make_server):
    mine = Wallets(make_server())
    made = [mine.wallet(funds=100 * (i + 1)) for i in range(5)]
    first = mine.get("/v1/wallets", limit=2)
    assert [one["id"] for one in first["data"]] == made[:2:-1] and first["has_more"]
    assert [one["balance"]["posted"] for one in first["data"]] == [500, 400]
    rest = mine.get("/v1/wallets", starting_after=made[3], expand=["data.customer"])
    assert [one["id"] for one in rest["data"]] == made[2::-1] and not rest["has_more"]
    assert rest["data"][0]["customer"]["object"] == "customer"
    error = refused(mine.get, "/v1/wallets", starting_after="wal_1")
    assert error.code == "resource_missing"


def test_permissions(server, wallets):
    wallet = wallets.wallet()
    made = wallets.post("/v1/tael/api_keys", type="restricted", name="reader",
                        permissions="wallets:read")
    reader = Wallets(server, key=made["key"])
    assert reader.get(f"/v1/wallets/{wallet}")["id"] == wallet
    assert refused(reader.post, f"/v1/wallets/{wallet}/freeze").status == 403
    outsider = Wallets(server, key=server.publishable_key)
    assert refused(outsider.get, "/v1/wallets").status in (401, 403)


# ---- transfers -----------------------------------------------------------------------------


def test_send_by_every_name(wallets):
    source = wallets.wallet(10000, handle="sender", email="sender@example.com")
    target = wallets.wallet(email="By.Mail@example.com", phone="+14155550177", handle="by_handle")
    for name in (target, "by.mail@EXAMPLE.com", "+1 415 555 0177", "$by_handle", "@By_Handle",
                 "by_handle"):
        sent = wallets.send(source, name, 100, description="To you", metadata={"n": name})
        assert sent["object"] == "wallet_transfer" and sent["id"].startswith("wtr_")
        assert (sent["from"], sent["to"]) == (source, target)
        assert sent["status"] == "succeeded" and sent["amount"] == 100
        assert sent["failure_code"] is None and sent["description"] == "To you"
    assert wallets.available(source) == 9400 and wallets.available(target) == 600
    shown = wallets.get(f"/v1/wallet_transfers/{sent['id']}", expand=["from.customer", "to"])
    assert shown["from"]["customer"]["object"] == "customer"
    assert shown["to"]["balance"] is None
    assert wallets.event_types(sent["id"]) == ["wallet_transfer.succeeded"]


def test_refused_transfers(wallets):
    source = wallets.wallet(1000)
    target = wallets.wallet()
    euro = wallets.wallet(currency="eur", handle="euro_only")
    frozen = wallets.wallet()
    wallets.post(f"/v1/wallets/{frozen}/freeze")
    nobody = "wal_0000000000000000000000"
    for arguments, status, code, param in [
        ((source, target, 1001), 400, "wallet_insufficient_funds", "amount"),
        ((source, source, 10), 400, "wallet_transfer_to_itself", "to"),
        ((source, nobody, 10), 400, "resource_missing", "to"),
        ((nobody, target, 10), 400, "resource_missing", "from"),
        ((source, "nobody@example.com", 10), 400, "resource_missing", "to"),
        ((source, "+19995550100", 10), 400, "resource_missing", "to"),
        ((source, "not a name!", 10), 400, "resource_missing", "to"),
        ((source, euro, 10), 400, "wallet_currency_mismatch", "to"),
        ((source, "@euro_only", 10), 400, "wallet_currency_mismatch", "to"),
        ((source, target, 10, "eur"), 400, "wallet_currency_mismatch", "from"),
        ((source, frozen, 10), 400, "wallet_frozen", "amount"),
        ((frozen, source, 10), 400, "wallet_frozen", "amount"),
        ((source, target, 0), 400, "parameter_invalid_integer", "amount"),
        ((source, target, -5), 400, "parameter_invalid_integer", "amount"),
        ((source, target, "x"), 400, "parameter_invalid_integer", "amount"),
    ]:
        error = refused(wallets.send, *arguments)
        assert (error.status, error.code, error.param) == (status, code, param), (arguments, error)
    assert wallets.available(source) == 1000 and wallets.available(target) == 0
    # Only what the ledger refused has left a trace: it was tried.
    tried = wallets.everything("/v1/wallet_transfers", wallet=target)
    assert [one["status"] for one in tried] == ["failed"]
    assert tried[0]["failure_code"] == "wallet_insufficient_funds"
    assert "10.00 USD" in tried[0]["failure_message"]
    assert wallets.event_types(tried[0]["id"]) == ["wallet_transfer.failed"]


def test_transfer_is_idempotent(wallets):
    source, target = wallets.wallet(1000), wallets.wallet()
    headers = {"Idempotency-Key": f"send-{source}"}
    first = wallets.send(source, target, 300, headers=headers)
    assert wallets.send(source, target, 300, headers=headers) == first
    assert refused(wallets.send, source, target, 301, headers=headers).status == 400
    assert wallets.available(target) == 300
    # A refusal by the ledger is the key's last word, though there would be money later.
    headers = {"Idempotency-Key": f"short-{source}"}
    error = refused(wallets.send, source, target, 701, headers=headers)
    wallets.fund(source, 5000)
    again = refused(wallets.send, source, target, 701, headers=headers)
    assert again.message == error.message and again.code == "wallet_insufficient_funds"


def test_transfer_list_and_update(wallets):
    one, two, three = wallets.wallet(1000), wallets.wallet(1000), wallets.wallet(1000)
    sent = [wallets.send(one, two, 1), wallets.send(two, one, 2), wallets.send(two, three, 3),
            wallets.send(three, one, 4), wallets.send(one, two, 5)]
    mine = [transfer["id"] for transfer in sent if one in (transfer["from"], transfer["to"])]
    listed = [found["id"] for found in wallets.everything("/v1/wallet_transfers", wallet=one)]
    assert listed[:-1] == mine[::-1]  # and what it was funded with
    page = wallets.get("/v1/wallet_transfers", wallet=one, limit=2, starting_after=listed[1])
    assert [found["id"] for found in page["data"]] == listed[2:4] and page["has_more"]
    page = wallets.get("/v1/wallet_transfers", wallet=one, limit=2, ending_before=listed[3])
    assert [found["id"] for found in page["data"]] == listed[1:3] and page["has_more"]
    changed = wallets.post(f"/v1/wallet_transfers/{sent[0]['id']}", description="New",
                           metadata={"k": "v"})
    assert changed["description"] == "New" and changed["metadata"] == {"k": "v"}
    assert refused(wallets.get, "/v1/wallet_transfers/wtr_1").status == 404


def test_currencies_without_cents_and_with_too_many(wallets):
    yen = [wallets.wallet(5000, currency="jpy"), wallets.wallet(currency="jpy")]
    wallets.send(*yen, 3000, "jpy")
    assert wallets.available(yen[0]) == 2000
    krona = [wallets.wallet(50000, currency="isk"), wallets.wallet(currency="isk")]
    assert refused(wallets.send, *krona, 150, "isk").param == "amount"
    wallets.send(*krona, 300, "isk")
    assert wallets.available(krona[1]) == 300
    assert check_statement(wallets, krona[0])[-1]["amount"] == -300


# ---- limits --------------------------------------------------------------------------------


def test_limits_are_named(make_server):
    mine = Wallets(make_server(
        "--wallet-limits=small.out=10/15/100 small.in=50/60/1000 wide.out=9000/9000/9000 "
        "wide.in=9000/9000/9000 wide.eur.in=1/2/3"))
    small = mine.wallet(tier="small", funds=4000)
    wide = mine.wallet(tier="wide")
    error = refused(mine.send, small, wide, 1001)
    assert (error.code, error.param) == ("wallet_limit_transaction", "amount")
    assert "10.00 USD" in error.message and small in error.message
    mine.send(small, wide, 1000)
    error = refused(mine.send, small, wide, 501)
    assert error.code == "wallet_limit_day" and "5.00 USD" in error.message
    shown = mine.get(f"/v1/wallets/{small}")["limits"]
    assert shown["out"]["day"] == {"limit": 1500, "remaining": 500}
    assert shown["out"]["month"] == {"limit": 10000, "remaining": 9000}
    assert shown["in"]["day"] == {"limit": 6000, "remaining": 2000}
    # In and out apart, and the payee's count too.
    mine.fund(wide, 100000)
    error = refused(mine.send, wide, small, 2001)
    assert error.code == "wallet_limit_day" and small in error.message and " in " in error.message
    mine.send(wide, small, 2000)
    # What failed was given back.
    assert mine.get(f"/v1/wallets/{wide}")["limits"]["out"]["day"]["remaining"] == 898000
    euro = mine.wallet(tier="wide", currency="eur")
    assert refused(mine.fund, euro, 101, "eur").code == "wallet_limit_transaction"


def test_wrong_limits_do_not_start(make_server):
    server = make_server("--wallet-limits=basic.out=1/2", start=False, cluster=False)
    server.folder.mkdir(parents=True)
    result = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0", *server.flags)
    assert result.returncode != 0 and "basic.out=1/2" in result.stderr
    server.flags = ()
    server.start()


# ---- freezing and closing ------------------------------------------------------------------


def test_freeze(wallets):
    wallet, other = wallets.wallet(1000), wallets.wallet(1000)
    hold = wallets.post(f"/v1/wallets/{wallet}/holds", to=other, amount=200)
    frozen = wallets.post(f"/v1/wallets/{wallet}/freeze")
    assert frozen["status"] == "frozen" and frozen["balance"]["posted"] == 1000
    assert wallets.post(f"/v1/wallets/{wallet}/freeze")["status"] == "frozen"
    for call, arguments in [
        (wallets.send, (wallet, other, 1)), (wallets.send, (other, wallet, 1)),
        (wallets.fund, (wallet, 1)),
    ]:
        assert refused(call, *arguments).code == "wallet_frozen"
    assert refused(wallets.post, f"/v1/wallets/{wallet}/holds", to=other,
                   amount=1).code == "wallet_frozen"
    # What was held before is kept.
    assert wallets.post(f"/v1/wallet_holds/{hold['id']}/capture")["status"] == "captured"
    assert wallets.post(f"/v1/wallets/{wallet}/unfreeze")["status"] == "active"
    wallets.send(wallet, other, 1)
    assert wallets.event_types(wallet) == ["wallet.created", "wallet.frozen", "wallet.unfrozen"]


def test_close(wallets):
    customer = wallets.customer()
    wallet = wallets.wallet(500, customer=customer, handle="closing")
    other = wallets.wallet()
    assert refused(wallets.post, f"/v1/wallets/{wallet}/close").code == "wallet_not_empty"
    assert wallets.get(f"/v1/wallets/{wallet}")["status"] == "active"
    hold = wallets.post(f"/v1/wallets/{wallet}/holds", to=other, amount=500)
    assert refused(wallets.post, f"/v1/wallets/{other}/close").code == "wallet_not_empty"
    wallets.post(f"/v1/wallet_holds/{hold['id']}/capture")
    headers = {"Idempotency-Key": f"close-{wallet}"}
    closed = wallets.post(f"/v1/wallets/{wallet}/close", headers=headers)
    assert closed["status"] == "closed" and closed["handle"] is None
    assert wallets.post(f"/v1/wallets/{wallet}/close", headers=headers) == closed
    for path in ("close", "freeze", "unfreeze"):
        assert refused(wallets.post, f"/v1/wallets/{wallet}/{path}").code == "wallet_closed"
    assert refused(wallets.post, f"/v1/wallets/{wallet}", handle="again").code == "wallet_closed"
    assert refused(wallets.send, other, wallet, 1).code == "wallet_closed"
    assert refused(wallets.send, other, "@closing", 1).code == "resource_missing"
    assert len(check_statement(wallets, wallet)) == 2
    assert wallets.event_types(wallet) == ["wallet.created", "wallet.closed"]
    # Its place and its names are free.
    again = wallets.wallet(customer=customer, handle="closing")
    assert wallets.send(other, "@closing", 5)["to"] == again


# ---- requests ------------------------------------------------------------------------------


def request_of(wallets, payer, payee, amount, **params):
    return wallets.post("/v1/wallet_requests", **{"from": payer}, to=payee, amount=amount,
                        currency="usd", **params)


def test_request_is_paid(wallets):
    payer, payee = wallets.wallet(1000, email="payer@example.com"), wallets.wallet()
    asked = request_of(wallets, "payer@example.com", payee, 400, description="Lunch",
                       metadata={"m": "1"})
    assert asked["object"] == "wallet_request" and asked["id"].startswith("wrq_")
    assert asked["status"] == "open" and asked["from"] == payer and asked["transfer"] is None
    assert asked["expires_at"] == asked["created"] + 7 * 24 * 3600
    paid = wallets.post(f"/v1/wallet_requests/{asked['id']}/pay", expand=["transfer"])
    assert paid["status"] == "paid" and paid["transfer"]["amount"] == 400
    assert paid["transfer"]["request"] == asked["id"]
    assert paid["transfer"]["description"] == "Lunch"
    assert wallets.available(payer) == 600 and wallets.available(payee) == 400
    for verb in ("pay", "decline", "cancel"):
        error = refused(wallets.post, f"/v1/wallet_requests/{asked['id']}/{verb}")
        assert (error.status, error.code) == (400, "wallet_request_unexpected_state")
    assert wallets.event_types(asked["id"]) == ["wallet_request.created", "wallet_request.paid"]


def test_request_that_cannot_be_paid_stays_open(wallets):
    payer, payee = wallets.wallet(100), wallets.wallet()
    asked = request_of(wallets, payer, payee, 400)
    error = refused(wallets.post, f"/v1/wallet_requests/{asked['id']}/pay")
    assert error.code == "wallet_insufficient_funds"
    assert wallets.get(f"/v1/wallet_requests/{asked['id']}")["status"] == "open"
    wallets.fund(payer, 300)
    assert wallets.post(f"/v1/wallet_requests/{asked['id']}/pay")["status"] == "paid"


def test_request_is_declined_canceled_expired(wallets):
    payer, payee = wallets.wallet(100), wallets.wallet()
    declined = request_of(wallets, payer, payee, 1)
    assert wallets.post(
        f"/v1/wallet_requests/{declined['id']}/decline")["status"] == "declined"
    canceled = request_of(wallets, payer, payee, 2)
    assert wallets.post(
        f"/v1/wallet_requests/{canceled['id']}/cancel")["status"] == "canceled"
    late = request_of(wallets, payer, payee, 3, expires_at=canceled["created"] + 2)
    gone = wallets.wait_for(f"/v1/wallet_requests/{late['id']}", "expired")
    error = refused(wallets.post, f"/v1/wallet_requests/{gone['id']}/pay")
    assert error.code == "wallet_request_expired"
    for one, word in ((declined, "declined"), (canceled, "canceled"), (late, "expired")):
        assert wallets.event_types(one["id"])[-1] == f"wallet_request.{word}"
    found = wallets.everything("/v1/wallet_requests", wallet=payer, status="canceled")
    assert [one["id"] for one in found] == [canceled["id"]]
    assert len(wallets.everything("/v1/wallet_requests", wallet=payee)) == 3
    changed = wallets.post(f"/v1/wallet_requests/{late['id']}", description="was late")
    assert changed["description"] == "was late"


@pytest.mark.parametrize("change, code, param", [
    ({"expires_at": 1000}, "parameter_invalid_integer", "expires_at"),
    ({"expires_at": 99999999999}, "parameter_invalid_integer", "expires_at"),
    ({"to": "nobody@example.com"}, "resource_missing", "to"),
    ({"from": "nobody@example.com"}, "resource_missing", "from"),
    ({"amount": 0}, "parameter_invalid_integer", "amount"),
    ({"currency": "eur"}, "wallet_currency_mismatch", "to"),
])
def test_bad_requests(wallets, change, code, param):
    params = {"from": wallets.wallet(), "to": wallets.wallet(), "amount": 5, "currency": "usd",
              **change}
    error = refused(wallets.post, "/v1/wallet_requests", **params)
    assert (error.status, error.code, error.param) == (400, code, param), error
    own = wallets.wallet()
    error = refused(request_of, wallets, own, own, 5)
    assert (error.code, error.param) == ("wallet_transfer_to_itself", "from")


# ---- statements ----------------------------------------------------------------------------


def test_statement(wallets):
    wallet, other = wallets.wallet(1000, handle="stated"), wallets.wallet(1000)
    sent = wallets.send(wallet, other, 250, description="=HYPERLINK(\"x\")")
    got = wallets.send(other, wallet, 30, description="thanks, \"you\"")
    hold = wallets.post(f"/v1/wallets/{wallet}/holds", to=other, amount=100)
    gone = wallets.post(f"/v1/wallets/{wallet}/holds", to=other, amount=100)
    wallets.post(f"/v1/wallet_holds/{hold['id']}/capture", amount=70)
    wallets.post(f"/v1/wallet_holds/{gone['id']}/release")
    lines = check_statement(wallets, wallet)
    assert [(line["kind"], line["amount"], line["source"]) for line in lines[1:]] == [
        ("transfer", -250, sent["id"]), ("transfer", 30, got["id"]), ("hold", -70, hold["id"])]
    assert lines[0]["kind"] == "deposit" and lines[0]["object"] == "wallet_statement_line"
    assert lines[1]["description"] == "=HYPERLINK(\"x\")"
    path = f"/v1/wallets/{wallet}/statement"
    page = wallets.get(path, limit=2)
    assert page["data"] == lines[:1:-1] and page["has_more"] and page["url"] == path
    page = wallets.get(path, limit=3, starting_after=page["data"][-1]["id"])
    assert page["data"] == lines[1::-1] and not page["has_more"]
    page = wallets.get(path, limit=2, ending_before=lines[0]["id"])
    assert page["data"] == lines[2:0:-1] and page["has_more"]
    created = lines[0]["created"]
    assert wallets.get(path, created={"lt": created})["data"] == []
    assert len(wallets.statement(wallet, created={"gte": created})) == 4
    assert wallets.statement(wallet, created={"gt": created + 100}) == []
    for params, param in [({"starting_after": "wln_1"}, "starting_after"),
                          ({"limit": 0}, "limit"), ({"limit": 101}, "limit"),
                          ({"format": "xml"}, "format"),
                          ({"format": "csv", "limit": 5}, "limit"),
                          ({"starting_after": lines[0]["id"], "ending_before": lines[1]["id"]},
                           "starting_after")]:
        assert refused(wallets.get, path, **params).param == param
    assert refused(wallets.get, "/v1/wallets/wal_1/statement").status == 404


def test_statement_as_csv(wallets):
    wallet, other = wallets.wallet(123456), wallets.wallet(0)
    evil = ["=1+1", "+1", "-1", "@x", "\t=1", "plain, \"quoted\"\nlines"]
    for text in evil:
        wallets.send(wallet, other, 101, description=text)
    answer = wallets.http.get(f"/v1/wallets/{wallet}/statement?format=csv")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    lines = check_statement(wallets, wallet)
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    assert [round(float(row["amount"]) * 100) for row in rows] == [
        line["amount"] for line in lines]
    assert rows[-1]["balance"] == "1228.50" and rows[-1]["currency"] == "USD"
    assert [row["description"] for row in rows[1:]] == [
        text if text.startswith("plain") else "'" + text for text in evil]
    assert {row["kind"] for row in rows} == {"deposit", "transfer"}


def test_statement_names_payments(wallets, client):
    wallet = wallets.wallet()
    funded = pay(client, 5000, transfer_data={"destination": wallet})
    spent = pay(client, 1200, token=None, payment_method_data={
        "type": "wallet", "wallet": {"id": wallet}})
    back = client.v1.refunds.create({"payment_intent": spent.id, "amount": 200})
    lines = check_statement(wallets, wallet)
    assert [(line["kind"], line["amount"], line["source"]) for line in lines] == [
        ("top_up", 5000, funded.latest_charge), ("payment", -1200, spent.latest_charge),
        ("refund", 200, back.id)]


def test_statement_names_what_was_captured_later(wallets, client):
    wallet = wallets.wallet()

    def held_and_captured(amount, **params):
        intent = pay(client, 5000, capture_method="manual", **params)
        done = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": amount})
        return done.latest_charge

    funded = held_and_captured(4000, transfer_data={"destination": wallet})
    wallets.fund(wallet, 2000)
    spent = held_and_captured(1200, token=None, payment_method_data={
        "type": "wallet", "wallet": {"id": wallet}})
    lines = [line for line in check_statement(wallets, wallet) if line["kind"] != "deposit"]
    assert [(line["kind"], line["amount"], line["source"]) for line in lines] == [
        ("top_up", 4000, funded), ("payment", -1200, spent)]


# ---- all at once ---------------------------------------------------------------------------


def outcome(call, *arguments):
    try:
        return call(*arguments)["status"]
    except Refused as error:
        return error.code


def test_many_clients_cannot_overdraw(wallets):
    source, target = wallets.wallet(1000), wallets.wallet()

    def spend():
        mine = Wallets(wallets.http.server)
        return [outcome(mine.send, source, target, 37) for _ in range(10)]

    outcomes = sum(at_once([spend] * 8), [])
    assert outcomes.count("succeeded") == 1000 // 37
    assert outcomes.count("wallet_insufficient_funds") == 80 - 1000 // 37
    assert wallets.available(source) == 1000 % 37
    check_statement(wallets, source)
    check_statement(wallets, target)


def test_a_request_is_paid_once(wallets):
    payer, payee = wallets.wallet(1000), wallets.wallet()
    asked = request_of(wallets, payer, payee, 100)

    def pay():
        mine = Wallets(wallets.http.server)
        return outcome(mine.post, f"/v1/wallet_requests/{asked['id']}/pay")

    outcomes = at_once([pay] * 16)
    assert outcomes.count("paid") == 1
    assert set(outcomes) == {"paid", "wallet_request_unexpected_state"}
    assert wallets.available(payee) == 100


def test_the_server_finds_no_difference(make_server):
    server = make_server()
    mine = Wallets(server)
    one, two = mine.wallet(1000), mine.wallet(1000)
    mine.send(one, two, 10)
    mine.post(f"/v1/wallets/{one}/holds", to=two, amount=10)
    began = metrics(server)["tael_wallet_reconcile_runs_total"]
    wait_until(lambda: metrics(server)["tael_wallet_reconcile_runs_total"] >= began + 2, 20,
               "a comparison")
    assert metrics(server)["tael_wallet_differences"] == 0
