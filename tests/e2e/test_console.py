"""The merchant console in a real browser: signing in, lists, what the others leave, and the whole; test_console_files.py
is about its files."""

import csv
import datetime
import io
import json
import re

import pytest
import requests
import stripe

from kit.client import Http, pay, restricted_key, sdk
from kit.console import (  # noqa: F401
    PLANTED, events_of, go, mark, nothing_complains, page, refunds_of, sees_a_code, settle, signed_in, timeline)
from kit.gateway import Gateway, before
from kit.server import wait_until

# ---- signing in ----------------------------------------------------------------------------


def test_signs_in_and_out(chromium, server):
    """CONSOLE-1."""
    page = chromium.page()
    page.open(f"{server.url}/console/")
    page.heading("Tael console")
    for wrong, said in (("hello", "A key begins with sk_ or rk_."),
                        ("pk_test_123", "A publishable key is for payers"),
                        ("sk_test_" + "x" * 32, "Invalid API Key provided")):
        page.fill("API key", wrong)
        page.press("Sign in")
        page.sees(said)
        assert page.js("fieldOf('API key').getAttribute('aria-invalid')") == "true"
        assert page.js("sessionStorage.length") == 0
    page.fill("API key", server.key)
    page.js("fieldOf('API key').focus()")
    page.type_key("Enter", 13, "\r")
    page.heading("Overview")
    settle(page)
    page.sees("Test mode")
    # It is in this tab and nowhere else; half of it is not even on the screen.
    assert page.js("sessionStorage.getItem('tael.key')") == server.key
    assert page.js("localStorage.length + document.cookie.length") == 0
    assert server.key not in page.js("document.documentElement.outerHTML")
    page.press("Sign out")
    page.sees("You have signed out.")
    assert page.js("sessionStorage.length") == 0
    page.open(f"{server.url}/console/#/payments")
    page.heading("Tael console")
    assert all(server.key not in url for _, url in page.requests)
    page.no_complaints()


def test_a_server_that_is_away_is_tried_again(chromium, server):
    page = chromium.page(before_scripts="""
        const real = window.fetch;
        const answers = [() => { throw new TypeError('Failed to fetch'); },
                         () => new Response('<p>Busy', {status: 503})];
        window.fetch = async (url, request) => (answers.shift() || (() => real(url, request)))();""")
    page.open(f"{server.url}/console/")
    page.fill("API key", server.key)
    for said in ("No answer came.", "The server answered 503"):
        page.press("Sign in")
        page.sees(said)
        assert not page.js("fieldOf('API key').matches(':disabled')")
    page.press("Sign in")
    page.heading("Overview")
    page.no_complaints()


def test_who_is_idle_is_signed_out(chromium, server):
    page = signed_in(chromium, server)
    settle(page)
    page.js("sessionStorage.setItem('tael.touched', String(Date.now() - 29 * 60000))")
    page.js("document.dispatchEvent(new Event('visibilitychange'))")
    page.sees("Nobody seems to be here")
    page.press("Payments")
    page.heading("Payments")  # and the clock begins anew
    settle(page)
    assert "Nobody seems to be here" not in page.text()
    page.js("sessionStorage.setItem('tael.touched', String(Date.now() - 31 * 60000))")
    page.sees("Nothing was done for 30 minutes", seconds=60)
    assert page.js("sessionStorage.length") == 0
    # A tab that slept is not woken by the hand that finds it.
    page.js(f"sessionStorage.setItem('tael.key', {json.dumps(server.key)});"
            "sessionStorage.setItem('tael.touched', String(Date.now() - 31 * 60000));")
    page.open(f"{server.url}/console/?again#/payments")
    page.sees("Nothing was done for 30 minutes")
    # Nor does a hand keep a key in a browser for ever.
    page.fill("API key", server.key)
    page.press("Sign in")
    page.heading("Payments")
    settle(page)
    page.js("sessionStorage.setItem('tael.since', String(Date.now() - 13 * 3600000))")
    page.press("Customers")
    page.sees("12 hours have passed")
    assert page.js("sessionStorage.length") == 0
    page.no_complaints()


def test_a_revoked_key_is_signed_out(chromium, server, http):
    made = http.post("/v1/tael/api_keys", {
        "type": "restricted", "name": "gone", "permissions": "payment_intents:read"}).json()
    page = signed_in(chromium, server, made["key"])
    settle(page)
    http.delete(f"/v1/tael/api_keys/{made['id']}")
    wait_until(lambda: Http(server, key=made["key"], validate=False).get(
        "/v1/payment_intents").status_code == 401, 10, "the refusal")
    page.press("Payments")
    page.sees("not accepted any more")
    assert page.js("sessionStorage.length") == 0


def test_a_restricted_key_sees_what_it_may(chromium, server, client, tmp_path):
    """CONSOLE-7."""
    intent = pay(client, 4321)
    page = signed_in(chromium, server, restricted_key(server, "payment_intents:read,charges:read"))
    settle(page)
    page.sees("This key may not see: disputes, suspense items, webhook endpoints.")
    page.sees("This key may not: it needs balance:read.")
    assert "tael" not in page.js("document.querySelector('h1').textContent")
    go(page, "payments")
    page.sees("$43.21")
    page.downloads(tmp_path)
    page.press("Export CSV")  # without the customers' names
    wait_until((tmp_path / "payments.csv").exists, 20, "the file")
    go(page, "balance")
    page.sees("balance:read")
    page.sees("req_")
    go(page, f"payments/{intent.id}")
    page.press("Refund")
    page.press("Refund", within="dialog")
    page.press("Confirm", within="dialog")
    page.sees("refunds:write")
    assert refunds_of(client, intent) == []
    page.no_complaints()


def test_what_is_expanded_goes_by_the_key(chromium, server, client):
    ada = client.v1.customers.create({"name": "Ada Expanded"})
    intent = pay(client, 3210, customer=ada.id)
    page = signed_in(chromium, server, restricted_key(server, "payment_intents:read,customers:read"))
    for address in ("payments", f"payments/{intent.id}"):
        go(page, address)
        page.sees("Ada Expanded")
        assert "Visa" not in page.text()
    page.no_complaints()


def test_payments_are_found(page, client):
    ada = client.v1.customers.create({"email": "ada.found@example.com"})
    wanted = pay(client, 7777, customer=ada.id, metadata={"order": "A \"7\" \\ b"})
    other = pay(client, 7777, token="pm_card_mastercard")
    declined = client.v1.payment_intents.create({"amount": 7777, "currency": "usd"})
    go(page, "payments")

    def found(count, **filters):
        go(page, "payments")
        for label, value in filters.items():
            page.fill(label.replace("_", " "), value)
        mark(page)
        page.press("Filter")
        settle(page)
        page.wait(f"document.querySelectorAll('tbody tr').length === {count}", str(filters))
        return page.js("[...document.querySelectorAll('tbody tr a')].map((one) => one.hash)")

    assert found(3, Amount="77.77", Currency="usd") == [f"#/payments/{one.id}" for one in (declined, other)] + [
        f"#/payments/{wanted.id}", f"#/customers/{ada.id}"]
    page.sees("ada.found@example.com")
    assert found(1, Customer="ada.found@example.com")[0] == f"#/payments/{wanted.id}"
    assert found(1, Metadata_key="order", Metadata_value='A "7" \\ b')[0] == f"#/payments/{wanted.id}"
    assert found(1, Amount="77.77", Currency="usd", Card_ends_in="4444")[0] == f"#/payments/{other.id}"
    found(0, Amount="77.77", Currency="usd", To="2020-01-31")
    found(3, Amount="77.77", Currency="usd", From="2020-01-31")
    page.press("Not paid")
    page.wait("document.querySelectorAll('tbody tr').length === 1", "the tab")
    page.js("history.back()")
    page.wait("document.querySelectorAll('tbody tr').length === 3", "the address says it all")
    settle(page)


def test_lists_go_page_by_page(page, client):
    customer = client.v1.customers.create({"name": "Many"})
    made = [client.v1.payment_intents.create(
        {"amount": 1000 + i, "currency": "usd", "customer": customer.id}).id for i in range(23)]
    go(page, f"payments?customer={customer.id}")
    ids = "[...document.querySelectorAll('tbody tr td:first-child a')].map((one) => one.hash.split('/')[2])"
    first = page.js(ids)
    page.press("Older")
    page.wait("document.querySelectorAll('tbody tr').length === 3")
    assert first + page.js(ids) == made[::-1]
    # Whoever goes to a payment and back is where they were.
    mark(page)
    page.press("$10.01")
    page.heading("Payment of $10.01")
    settle(page)
    mark(page)
    page.js("history.back()")
    settle(page)
    assert page.js(ids) == made[2::-1]
    page.press("Newer")
    page.wait("document.querySelectorAll('tbody tr').length === 20")
    assert page.js(ids) == first


def test_what_is_filtered_is_exported(chromium, server, client, tmp_path):
    """CONSOLE-5."""
    page = signed_in(chromium, server)
    customer = client.v1.customers.create({"name": "Export"})
    texts = ["=HYPERLINK(\"http://evil.example\")", "+1", "-2+3", "@SUM(A1)", "\t=1", "plain, \"quoted\"",
             "\uff1dcmd", " =1", "lunch;=1+1", "two\n-lines"]
    for text in texts:
        pay(client, 1234, customer=customer.id, description=text)
    page.downloads(tmp_path)
    go(page, f"payments?customer={customer.id}")
    page.press("Export CSV")
    path = tmp_path / "payments.csv"
    wait_until(lambda: path.exists() and path.stat().st_size > 0, 20, "the file")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Description"] for row in rows[::-1]] == [
        "'=HYPERLINK(\"http://evil.example\")", "'+1", "'-2+3", "'@SUM(A1)", "'\t=1", texts[5], "'\uff1dcmd", "' =1",
        "lunch;'=1+1", "two\n'-lines"]
    assert {(row["amount"], row["currency"], row["status"], row["Method"]) for row in rows} == {
        ("12.34", "usd", "succeeded", "Visa 4242")}
    assert all(row["id"].startswith("pi_") and row["created"].endswith("Z") for row in rows)
    page.no_complaints()


# Pages of a long list: the second one waits for ever, and the fourth is refused for a while.
LONG_LIST = """
const real = window.fetch;
let asked = 0;
window.fetch = async (url, request) => {
  if (!/v1.customers.*limit=100/.test(url)) return real(url, request);
  asked += 1;
  if (asked === 2) {
    await new Promise((go, stop) => request.signal.addEventListener('abort', () => stop(request.signal.reason)));
  }
  return asked === 4 ? new Response('{}', {status: 429}) : Response.json({object: 'list', has_more: true,
    data: Array.from({length: 100}, (none, i) => ({id: `cus_${asked}x${i}`, name: 'Ada', created: 1}))});
};
"""


def test_a_long_export_tells_how_far_it_is_and_stops(chromium, server, client, tmp_path):
    """CONSOLE-6."""
    client.v1.customers.create({"name": "Ada"})
    page = signed_in(chromium, server, before_scripts=LONG_LIST)
    page.downloads(tmp_path)
    go(page, "customers")
    page.press("Export CSV", times=2)
    page.sees("100 rows, of 10,000 at most")
    page.press("Stop")
    page.sees("Stopped: there is no file.")
    assert not (tmp_path / "customers.csv").exists()
    page.press("Export CSV")
    page.sees("The file has the newest 10,000 only: filter for the others.", seconds=30)
    wait_until((tmp_path / "customers.csv").exists, 20, "the file")
    assert len((tmp_path / "customers.csv").read_text("utf-8-sig").splitlines()) == 10001
    page.no_complaints()


def test_requests_are_looked_through(page, client):
    """From a payment to what was sent for it, and from an error to the request that was refused."""
    with pytest.raises(stripe.CardError) as declined:
        pay(client, 2468, token="pm_card_visa_chargeDeclined", description=PLANTED)
    intent = declined.value.error.payment_intent
    go(page, f"payments/{intent.id}")
    page.sees("POST /v1/payment_intents")
    page.press("POST /v1/payment_intents")
    page.heading("POST /v1/payment_intents")
    settle(page)
    for said in ("generic_decline", "pm_card_visa_chargeDeclined", "2468", "not kept", intent.id):
        page.sees(said)
    assert PLANTED not in page.js("document.querySelector('main').textContent")
    go(page, f"logs?object={intent.id}&status=failed")
    page.wait("document.querySelectorAll('tbody tr').length === 1")
    page.sees("402")
    go(page, "logs?status=many")
    page.sees("A status is like")
    go(page, "payments/pi_0000000000000000000000")
    page.js("document.querySelector('.error a').click()")
    page.heading("GET /v1/payment_intents/pi_0000000000000000000000")
    settle(page)


def test_methods_are_set_up(page, client):
    customer = client.v1.customers.create({"name": "Setup Person"})
    done = client.v1.setup_intents.create(
        {"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True})
    waits = client.v1.setup_intents.create({"customer": customer.id})
    go(page, f"setups?customer={customer.id}")
    page.wait("document.querySelectorAll('tbody tr').length === 2")
    page.sees("Setup Person")
    page.press(done.id)
    page.heading("Setup intent")
    settle(page)
    page.sees("Visa 4242")
    go(page, f"object/id/{waits.id}")
    page.press("Cancel setup")
    page.press("Cancel setup", within="dialog")
    page.sees("canceled")
    assert client.v1.setup_intents.retrieve(waits.id).status == "canceled"


# ---- texts of other people -----------------------------------------------------------------


def test_hostile_texts_stay_texts(page, client, wallets):
    """CONSOLE-3."""
    customer = client.v1.customers.create({
        "name": PLANTED, "description": PLANTED, "metadata": {"<b>key": PLANTED}})
    purse = wallets.wallet(2000, customer=customer.id)
    intent = pay(client, 1500, customer=customer.id, description=PLANTED, metadata={"<b>key": PLANTED})
    refund = client.v1.refunds.create({"payment_intent": intent.id, "metadata": {"note": PLANTED}})
    endpoint = client.v1.webhook_endpoints.create({
        "url": "http://127.0.0.1:9/hook", "enabled_events": ["charge.refund.updated"],
        "description": PLANTED})
    (event,) = [one for one in client.v1.events.list({"type": "payment_intent.succeeded"}).data
                if one.data.object["id"] == intent.id]
    for address in ("payments", f"payments/{intent.id}", f"refunds/{refund.id}", "customers",
                    f"customers/{customer.id}", f"webhooks/{endpoint.id}", f"events/{event.id}",
                    f"payments?customer={customer.id}&amount=%3Cimg src=x%3E"):
        go(page, address)
        assert page.js("document.querySelectorAll('main img, main script, main b, main iframe').length") == 0
        assert page.js("window.pwned") is None
        if address != f"payments?customer={customer.id}&amount=%3Cimg src=x%3E":
            text = page.js("document.querySelector('main').textContent")
            assert PLANTED in text or json.dumps(PLANTED)[1:-1] in text, address
    go(page, f"wallets/{purse}")
    client.v1.webhook_endpoints.delete(endpoint.id)


def test_an_address_leads_nowhere_else(page):
    asked = len(page.requests)
    for address in ("customers/..%2f..%2fv1", "payments/javascript:alert(1)", "object/../x",
                    "object/webhook_endpoints/we_1", "webhooks/we_1/%2e%2e"):
        go(page, address)
        page.wait("/did not work|no such page|is no id/i.test(document.body.innerText)", address)
    assert [url for _, url in page.requests[asked:] if not url.endswith("icon.svg")] == []
    page.js("document.querySelector('#open').value = 'javascript:alert(1)'")
    page.js("document.querySelector('#top form').requestSubmit()")
    page.sees("An id is like pi_")


def test_fraud_is_refused_by_lists_and_rules(page, client, http):
    email = "mallory@console.example"
    customer = client.v1.customers.create({"email": email}).id
    go(page, "lists")
    mark(page)
    page.press("Email block list")
    settle(page)
    page.press("Add a value")
    page.fill("E-mail address", "mallory")
    page.press("Add a value", within="dialog")
    page.sees("an e-mail address")
    page.fill("E-mail address", email)
    page.press("Add a value", within="dialog")
    page.sees("Added.")
    settle(page)
    page.sees(email)
    with pytest.raises(stripe.CardError) as error:
        pay(client, customer=customer)
    go(page, f"payments/{error.value.error.payment_intent.id}")
    page.sees("A rule of yours blocked this payment.")
    page.sees("the list @email_blocklist")
    go(page, f"lists/{client.v1.radar.value_lists.list({'alias': 'email_blocklist'}).data[0].id}")
    page.press("Take out")
    page.press("Take out", within="dialog")
    page.sees("Taken out.")
    settle(page)
    assert pay(client, customer=customer).status == "succeeded"
    go(page, "rules")
    page.press("New rule")
    page.fill("Rule", "Block if :amount = 1")
    page.press("Create")
    page.sees("at character 10")
    page.fill("Rule", f"Block if :customer: = '{customer}'")
    mark(page)
    page.press("Create")
    settle(page)
    with pytest.raises(stripe.CardError) as error:
        pay(client, customer=customer)
    go(page, f"payments/{error.value.error.payment_intent.id}")
    mark(page)
    page.press(client.v1.charges.retrieve(error.value.error.charge).outcome.rule)
    settle(page)
    page.press("Delete")
    page.press("Delete", within="dialog")
    page.sees("Deleted.")
    settle(page)
    assert http.get("/v1/radar/rules").json()["data"] == []


def test_payouts_go_to_the_bank(chromium, make_server):
    server = make_server("--payout-delay=1h")
    own = sdk(server)
    pay(own, 10000, token="pm_card_bypassPending")
    tab = signed_in(chromium, server)
    go(tab, "payouts")
    tab.press("Add a bank account")
    tab.fill("Account number", "000123456789")
    tab.fill("Routing number", "110000000")
    tab.fill("Country", "US")
    tab.press("Add")
    tab.sees("...6789")
    settle(tab)
    tab.press("New payout")
    tab.fill("Amount", "500")
    tab.press("Pay out")
    tab.press("Confirm")
    tab.sees("balance_insufficient")
    tab.fill("Amount", "25.50")
    tab.fill("Description", PLANTED)
    tab.press("Pay out")
    tab.press("Confirm")
    tab.heading("Payout of $25.50")
    settle(tab)
    (made,) = own.v1.payouts.list().data
    # The day is the bank's wherever the browser is; Chromium's zone is New York here.
    day = datetime.datetime.fromtimestamp(made.arrival_date, datetime.timezone.utc)
    tab.sees(f"{day:%b} {day.day}, {day.year}")
    assert tab.js("[...document.querySelectorAll('dt')].find((one) => one.textContent === 'Arrives')"
                  ".nextSibling.textContent") == f"{day:%b} {day.day}, {day.year}"
    assert (made.amount, made.status, made.description) == (2550, "pending", PLANTED)
    tab.press("Cancel payout")
    tab.press("Cancel payout", within="dialog")
    tab.sees("Canceled.")
    settle(tab)
    assert own.v1.payouts.retrieve(made.id).status == "canceled"
    assert timeline(tab) == events_of(own, made.id) != []
    go(tab, "payouts?status=canceled")
    assert tab.js("document.querySelectorAll('.list tbody tr').length") == 1
    tab.sees("Nothing is paid out by itself.")
    tab.press("Change the schedule")
    tab.fill("Interval", "weekly")
    tab.press("Save")
    tab.sees("needs days")
    tab.fill("Day of the week", "thursday")
    tab.press("Save")
    tab.sees("paid out weekly: thursday.")
    settle(tab)
    assert own.v1.accounts.retrieve_current().settings.payouts.schedule.weekly_anchor == "thursday"
    tab.no_complaints()


def test_disputes_are_answered(page, client):
    intent = pay(client, 4500, token="pm_card_createDispute", description=PLANTED)
    other = pay(client, 4600, token="pm_card_createDispute")
    def taken(one):
        found = client.v1.disputes.list({"payment_intent": one.id}).data
        return found and found[0].balance_transactions and found

    found = [wait_until(lambda one=one: taken(one), 30, "the dispute")[0] for one in (intent, other)]
    go(page, "")
    page.sees("Disputes to answer")
    go(page, f"payments/{intent.id}")
    page.sees("needs response")
    page.press("$45.00")
    page.heading("Dispute of $45.00")
    settle(page)
    page.press("Answer")
    page.fill("What was sold", PLANTED)
    page.press("Answer", within="dialog")
    page.sees("Kept.")
    settle(page)
    assert client.v1.disputes.retrieve(found[0].id).evidence.product_description == PLANTED
    assert page.js("document.querySelectorAll('main img').length") == 0
    page.press("Answer")
    page.fill("Anything else", "winning_evidence")
    page.fill("What to do with it", "true")
    page.press("Answer", within="dialog")
    page.sees("Handed in.")
    settle(page)
    done = client.v1.disputes.retrieve(found[0].id)
    assert done.evidence.uncategorized_text == "winning_evidence"
    assert done.evidence_details.submission_count == 1
    assert timeline(page) == events_of(client, found[0].id) != []
    go(page, f"disputes/{found[1].id}")
    page.press("Accept")
    page.press("Accept", within="dialog")
    page.sees("Accepted.")
    settle(page)
    assert client.v1.disputes.retrieve(found[1].id).status == "lost"
    go(page, "disputes")


def test_any_object_is_opened_by_its_id(page, client, wallets):
    intent = pay(client, 2345, customer=client.v1.customers.create().id)
    purse = wallets.wallet()
    transaction = client.v1.charges.retrieve(intent.latest_charge).balance_transaction
    event = client.v1.events.list({"limit": 1}).data[0]
    for given, heading in ((intent.id, "Payment of $23.45"), (intent.latest_charge, "Payment of $23.45"),
                           (purse, "Wallet with $0.00"), (intent.customer, "Customer"),
                           (transaction, "balance transaction"), (event.id, event.type),
                           (intent.last_response.request_id, "POST /v1/payment_intents"),
                           (intent.payment_method, "payment method")):
        go(page, "")
        page.js(f"document.querySelector('#open').value = {json.dumps(given)}")
        page.js("document.querySelector('#top form').requestSubmit()")
        page.heading(heading)
        settle(page)
        page.press("As JSON")
        page.wait("document.querySelector('details[open] pre').textContent.startsWith('{')")


def test_what_is_known_of_a_payment_finds_it(page, client):
    zoe = client.v1.customers.create({"name": "Zo\u00eb Found-By-Name", "email": "zoe.found@example.com"})
    intent = pay(client, 43219, token="pm_card_amex", currency="eur", customer=zoe.id)
    for given, leads_to in (("zoe.found@example.com", zoe.id), ("Zo\u00eb Found", zoe.id),
                            ("432.19 EUR", intent.id), ("0005", intent.id)):
        go(page, "")
        mark(page)
        page.js(f"document.querySelector('#open').value = {json.dumps(given)}")
        page.js("document.querySelector('#top form').requestSubmit()")
        settle(page)
        assert leads_to in page.wait("document.querySelector('tbody tr a') && document.querySelector('tbody tr a').hash", given)


def test_events_are_filtered(page, client):
    client.v1.customers.create({"name": "for an event"})
    go(page, "events?type=customer.*")
    assert page.js("[...document.querySelectorAll('tbody td:first-child')]"
                   ".every((one) => one.textContent.startsWith('customer.'))")
    page.js("document.querySelector('tbody td:first-child a').click()")
    page.heading("customer.created")
    settle(page)


def test_a_newcomer_is_told_that_there_is_nothing_yet(chromium, make_server):
    page = signed_in(chromium, make_server())
    settle(page)
    page.sees("No money yet.")
    page.sees("None yet: the button at the top takes the first one.")
    go(page, "payments")
    page.sees("There are none yet.")
    go(page, "payments?status=canceled")
    page.sees("No payments are like that.")
    go(page, "refunds")
    page.sees("Money is given back from a payment's page.")
    page.no_complaints()


def test_the_overview_adds_up(chromium, make_server):
    server = make_server("--authorization-hold=1d")
    own = sdk(server)
    pay(own, 2000)
    pay(own, 1050, token="pm_card_mastercard")
    pay(own, 500, currency="jpy")
    pay(own, 3000, capture_method="manual")
    with pytest.raises(stripe.CardError):
        pay(own, 9900, token="pm_card_visa_chargeDeclined")
    page = signed_in(chromium, server)
    settle(page)
    page.sees("Payments to capture: 1, of which 1 expire within 2 days")
    figures = page.js("[...document.querySelectorAll('.cards .facts')]"
                      ".map((one) => one.innerText.split('\\n'))")
    assert figures == [["JPY", "\u00a5500", "USD", "$30.50", "Successful", "4", "Failed", "1",
                        "Success rate", "80%"]] * 2
    balances = own.v1.balance.retrieve()
    pending = {one.currency: one.amount for one in balances.pending}
    rows = page.js("[...document.querySelectorAll('main section')].find((one) => one.textContent"
                   ".startsWith('Balance')).innerText")
    assert f"${pending['usd'] / 100:.2f}" in rows and f"\u00a5{pending['jpy']}" in rows
    page.no_complaints()


def test_one_thing_leads_to_another(page, client, server):
    """From a page to the payment, and from there to whatever belongs to it."""
    session = client.v1.checkout.sessions.create({
        "mode": "payment", "success_url": "https://shop.example/", "customer": client.v1.customers.create(
            {"name": "Leads On"}).id, "line_items": [{"quantity": 1, "price_data": {
                "currency": "usd", "unit_amount": 5678, "product_data": {"name": "Bread"}}}]})
    requests.post(session.url, {
        "card[number]": "4242424242424242", "card[expiry]": "12/34", "card[cvc]": "123", "name": "Jenny Rosen",
        "email": "jenny@example.com", "by": "card"}, allow_redirects=False, timeout=60)
    intent = client.v1.payment_intents.retrieve(
        client.v1.checkout.sessions.retrieve(session.id).payment_intent, {"expand": ["latest_charge"]})
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 78})
    go(page, f"refunds/{refund.id}")
    page.sees("POST /v1/refunds")
    for pressed, heading in ((intent.latest_charge.id, "charge"),
                             (intent.latest_charge.balance_transaction, "balance transaction"),
                             (intent.latest_charge.id, "Payment of $56.78"),
                             (session.id, "Checkout of $56.78"), ("Leads On", "Leads On"),
                             ("$56.78", "Payment of $56.78"), ("$0.78", "Refund of $0.78"),
                             ("All requests that name it", "Requests")):
        mark(page)
        page.press(pressed)
        page.heading(heading)
        settle(page)
    page.sees("POST /v1/refunds")


def test_an_id_is_copied(chromium, server, client):
    customer = client.v1.customers.create({"name": "Copied"})
    page = signed_in(chromium, server, before_scripts="navigator.clipboard.writeText = async (text) => {"
                     "window.copied = text; };")
    go(page, f"customers/{customer.id}")
    page.press("Copy id")
    page.sees("Copied.")
    assert page.js("window.copied") == customer.id
    assert page.js("document.querySelector('main input') === null")
    page.no_complaints()


# ---- the whole -----------------------------------------------------------------------------


def test_the_keyboard_skips_to_the_page(page):
    go(page, "payments")
    page.js("document.querySelector('.skip').focus()")
    page.type_key("Enter", 13, "\r")
    page.wait("document.activeElement.id === 'main'", "the page has the focus")
    assert page.js("location.hash") == "#/payments"
    page.heading("Payments")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(chromium, server, client, scheme):
    """WCAG 2.2, 1.4.3, and 4.1.2 for who hears it, of every page of the menu, a payment's and forms."""
    intent = pay(client, 2000, token="pm_card_createDispute")
    client.v1.refunds.create({"payment_intent": pay(client, 700).id, "amount": 100})
    page = signed_in(chromium, server, scheme=scheme)
    settle(page)
    menu = page.js("[...document.querySelectorAll('nav a')].map((one) => one.getAttribute('href').slice(2))")
    for address in [*menu, f"payments/{intent.id}", "payments/pi_none", "nothing"]:
        go(page, address)
        assert page.faint() + page.nameless() == [], address
    go(page, "new")
    page.press("Pay")
    page.sees("This is needed.")
    assert page.faint() + page.nameless() == []
    page.press("Sign out")
    assert page.faint() + page.nameless() == []
    page.open(f"{server.url}/console/none")
    assert page.faint() + page.nameless() == []


def test_every_page_of_the_menu_works_on_a_phone(chromium, server):
    page = signed_in(chromium, server, width=380, height=800)
    page.press("Menu")
    addresses = page.js("[...document.querySelectorAll('nav a')].map((one) => one.hash)")
    assert len(addresses) >= 13
    for address in addresses:
        go(page, address.removeprefix("#/"))
        assert not re.search("did not work|no such page|failed. Load", page.text()), address
        assert page.js("document.scrollingElement.scrollWidth <= innerWidth"), address
        assert page.js("[...document.querySelectorAll('.scroll')].every((one) => "
                       "one.scrollWidth <= one.clientWidth)"), address
        # Whatever is typed into has a name that is read out.
        assert page.js("[...document.querySelectorAll('input, select, textarea')].every((one) => "
                       "one.labels.length > 0 || one.getAttribute('aria-label'))"), address
        assert page.js("document.querySelectorAll('h1').length") == 1, address
    page.no_complaints()


def test_amounts_are_exact(page):
    """What is shown, typed and exported, by the module itself."""
    shown = page.js("""import('./format.js').then((m) => [
        m.money(123456789012, 'usd'), m.money(1234, 'jpy'), m.money(1234, 'kwd'), m.money(150000, 'isk'),
        m.money(7, 'mga'), m.money(-5, 'eur'), m.decimal(-5, 'eur'), m.decimal(5, 'jpy'),
        m.parseAmount('0.07', 'usd'), m.parseAmount('1.1', 'usd'), m.parseAmount('1,10', 'eur'),
        m.parseAmount('12345678.91', 'usd'), m.parseAmount('1.234', 'kwd'), m.parseAmount(' 5 ', 'jpy'),
        m.parseAmount('1.234', 'usd'), m.parseAmount('1.0', 'jpy'), m.parseAmount('-1', 'usd'),
        m.parseAmount('1e3', 'usd'), m.parseAmount('', 'usd'), m.parseAmount('1,000.00', 'usd'),
        m.parseAmount('.5', 'usd'),
    ].map((one) => (typeof one === 'string' ? one.replace(/\\s/g, ' ') : one)))""")
    assert shown == [
        "$1,234,567,890.12", "\u00a51,234", "KWD 1.234", "ISK 1,500", "MGA 7", "-\u20ac0.05", "-0.05", "5",
        7, 110, 110, 1234567891, 1234, 5, None, None, None, None, None, None, None]


def test_through_a_gateway(chromium, server, tmp_path, client):
    gateway = Gateway(tmp_path / "gateway", before(int(server.direct_url.rsplit(":", 1)[1]))).start()
    try:
        gateway.key = server.key
        page = signed_in(chromium, gateway)
        intent = pay(client, 6543)
        go(page, f"payments/{intent.id}")
        page.press("Refund")
        page.fill("Amount (USD)", "1.00")
        page.press("Refund", within="dialog")
        page.press("Confirm", within="dialog")
        page.sees("Refunded: $1.00.")
        settle(page)
        go(page, "new")
        page.fill("Amount", "3.00", within="#by-qr")
        page.press("Show the code")
        sees_a_code(page)
        page.no_complaints()
        answer = requests.get(f"{gateway.url}/console/", timeout=60)
        assert "trusted-types" in answer.headers["Content-Security-Policy"]
        assert requests.get(f"{gateway.url}/console/", headers={"If-None-Match": answer.headers["ETag"]},
                            timeout=60).status_code == 304
        led = requests.get(f"{gateway.url}/console", timeout=60)
        assert (led.status_code, led.url) == (200, f"{gateway.url}/console/")
        # Without its route it is behind the key, like everything else.
        config = dict(gateway.config)
        config["routes"] = [one for one in config["routes"] if one["name"] != "console"]
        gateway.reload(config)
        assert requests.get(f"{gateway.url}/console/", timeout=60).status_code == 401
    finally:
        gateway.stop()
