"""Lists and rules that refuse payments by card before the card network is asked."""

import itertools
import secrets

import pytest
import requests
import stripe

from kit.answers import events_about, refused
from kit.books import metrics
from kit.client import Http, pay, restricted_key, sdk
from kit.server import wait_until
from kit.together import at_once

DEFAULTS = {f"{what}_{does}" for does in ("allowlist", "blocklist") for what in (
    "card_bin", "card_country", "card_fingerprint", "client_ip_address", "customer", "email")}
_numbers = itertools.count(1)


def unique(prefix="risk"):
    return f"{prefix}_{secrets.token_hex(6)}_{next(_numbers)}"


@pytest.fixture
def rules(http):
    """Makes rules, which are gone when the test ends: other tests pay with the same merchant."""
    made = []

    def make(predicate, **params):
        answer = http.post("/v1/radar/rules", {"predicate": predicate, **params})
        assert answer.status_code == 200, answer.text
        made.append(answer.json()["id"])
        return answer.json()

    yield make
    for one in made:
        assert http.delete(f"/v1/radar/rules/{one}").status_code in (200, 404)


@pytest.fixture
def listed(client):
    """Puts values into lists, and takes them out when the test ends."""
    made = []

    def put(value_list, value):
        made.append(client.v1.radar.value_list_items.create(
            {"value_list": value_list, "value": value}).id)
        return made[-1]

    yield put
    for one in made:
        client.v1.radar.value_list_items.delete(one)


@pytest.fixture
def customer(client):
    return client.v1.customers.create({"email": f"{unique()}@example.com"})


def blocked(call, rule):
    """The call is refused as fraud; answers the error."""
    with pytest.raises(stripe.CardError) as error:
        call()
    assert (error.value.http_status, error.value.code) == (402, "card_declined")
    assert error.value.error.decline_code == "fraudulent"
    assert rule is not None
    return error.value


def outcome_of(client, error):
    return client.v1.charges.retrieve(error.error.charge).outcome


def refused_rule(http, predicate, **params):
    answer = http.post("/v1/radar/rules", {"predicate": predicate, **params})
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


# ---- lists ---------------------------------------------------------------------------------


def test_default_lists(client):
    lists = {one.alias: one for one in client.v1.radar.value_lists.list({"limit": 100}).data}
    assert set(lists) >= DEFAULTS
    assert all(lists[alias].created_by == "tael" for alias in DEFAULTS)
    one = lists["email_blocklist"]
    assert (one.item_type, one.name) == ("email", "Email block list")
    refused(lambda: client.v1.radar.value_lists.delete(one.id), None, param="value_list")
    refused(lambda: client.v1.radar.value_lists.update(one.id, {"name": "x"}), None,
            param="value_list")


def test_a_list_and_what_is_in_it(client):
    alias = unique("list")
    made = client.v1.radar.value_lists.create(
        {"alias": alias, "name": "Friends", "item_type": "email", "metadata": {"a": "b"}})
    assert made.list_items.data == [] and made.item_type == "email" and made.metadata.to_dict() == {"a": "b"}
    refused(lambda: client.v1.radar.value_lists.create({"alias": alias, "name": "x"}),
            "resource_already_exists", param="alias")
    refused(lambda: client.v1.radar.value_lists.create({"alias": "a b", "name": "x"}), None,
            param="alias")
    items = [client.v1.radar.value_list_items.create(
        {"value_list": named, "value": f"Jenny{number}@Example.com"}).id
        for number, named in enumerate([made.id, alias, *[alias] * 10])]
    again = refused(lambda: client.v1.radar.value_list_items.create(
        {"value_list": alias, "value": "jenny0@example.com"}), "resource_already_exists")
    assert items[0] in again.user_message
    shown = client.v1.radar.value_lists.retrieve(made.id).list_items
    assert [one.id for one in shown.data] == items[:1:-1] and shown.has_more
    found = client.v1.radar.value_list_items.list({"value_list": alias, "value": "JENNY3@example.com"})
    assert [one.id for one in found.data] == [items[3]]
    assert found.data[0].value == "Jenny3@Example.com"
    every = client.v1.radar.value_list_items.list({"value_list": made.id, "limit": 100}).data
    assert [one.id for one in every] == items[::-1]
    assert client.v1.radar.value_list_items.delete(items[3]).deleted
    refused(lambda: client.v1.radar.value_list_items.retrieve(items[3]), "resource_missing", 404)
    renamed = client.v1.radar.value_lists.update(made.id, {"alias": alias + "_2", "name": "Fans"})
    assert (renamed.alias, renamed.name) == (alias + "_2", "Fans")
    assert client.v1.radar.value_lists.list({"alias": alias + "_2"}).data[0].id == made.id
    assert client.v1.radar.value_lists.delete(made.id).deleted
    refused(lambda: client.v1.radar.value_list_items.retrieve(items[0]), "resource_missing", 404)
    assert events_about(client, made.id) == [
        "radar.value_list.deleted", "radar.value_list.updated", "radar.value_list.created"]
    assert events_about(client, items[3], type="radar.*") == [
        "radar.value_list_item.deleted", "radar.value_list_item.created"]


@pytest.mark.parametrize("alias, value", [
    ("card_bin_blocklist", "42424"), ("card_country_blocklist", "USA"),
    ("client_ip_address_blocklist", "1.2.3.256"), ("customer_blocklist", "pm_1"),
    ("email_blocklist", "jenny"), ("card_fingerprint_blocklist", "a b"),
])
def test_values_that_are_none(client, alias, value):
    refused(lambda: client.v1.radar.value_list_items.create({"value_list": alias, "value": value}),
            None, param="value")


# ---- what a block is -----------------------------------------------------------------------


def test_a_blocked_payment(client, server, customer, listed):
    before = metrics(server)["tael_payments_blocked_by_list_total"]
    listed("customer_blocklist", customer.id)
    key = unique("key")

    def attempt():
        client.v1.payment_intents.create(
            {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
             "customer": customer.id}, {"idempotency_key": key})

    error = blocked(attempt, "list")
    intent = client.v1.payment_intents.retrieve(error.error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.decline_code == "fraudulent"
    charge = client.v1.charges.retrieve(error.error.charge)
    assert (charge.paid, charge.status, charge.amount_captured) == (False, "failed", 0)
    outcome = charge.outcome
    assert (outcome.type, outcome.network_status, outcome.reason) == (
        "blocked", "not_sent_to_network", "rule")
    assert (outcome.rule, outcome.risk_level) == ("block_if_in_customer_blocklist", "not_assessed")
    assert "risk_score" not in outcome
    assert charge.payment_method_details.card.network_transaction_id is None
    assert events_about(client, charge.id) == ["charge.failed"]
    assert events_about(client, intent.id) == [
        "payment_intent.payment_failed", "payment_intent.created"]
    # The same request is the same answer, though the list has changed.
    again = blocked(attempt, "list")
    assert again.error.charge == charge.id
    assert len(client.v1.charges.list({"payment_intent": intent.id}).data) == 1
    assert metrics(server)["tael_payments_blocked_by_list_total"] >= before
    # It can be paid by somebody else.
    assert pay(client).status == "succeeded"


def test_each_default_list_blocks(client, customer, listed):
    """By whatever is known of the payment; a value that was taken out counts no more."""
    token = "pm_card_jcb"
    card = client.v1.charges.retrieve(
        pay(client, token=token).latest_charge).payment_method_details.card
    method = client.v1.payment_methods.create({
        "type": "card", "card": {"token": "tok_jcb"},
        "billing_details": {"email": f"{unique()}@Example.com"}})
    values = [
        ("card_country_blocklist", "jp", {"token": token}),
        ("card_fingerprint_blocklist", card.fingerprint, {"token": token}),
        ("card_bin_blocklist", "356600", {"token": token}),
        ("email_blocklist", method.billing_details.email.lower(), {"token": method.id}),
        ("email_blocklist", customer.email, {"token": token, "customer": customer.id}),
        ("client_ip_address_blocklist", "2001:db8::0001",
         {"token": token, "radar_options": {"ip_address": "2001:DB8:0::1"}}),
    ]
    for alias, value, params in values:
        item = client.v1.radar.value_list_items.create({"value_list": alias, "value": value}).id
        try:
            error = blocked(lambda: pay(client, **params), alias)
            assert outcome_of(client, error).rule == f"block_if_in_{alias}"
        finally:
            client.v1.radar.value_list_items.delete(item)
        assert pay(client, **params).status == "succeeded"


def test_allowed_goes_before_blocked(client, customer, listed, rules):
    rules(f"Block if :customer: = '{customer.id}'")
    listed("customer_blocklist", customer.id)
    blocked(lambda: pay(client, customer=customer.id), "list")
    listed("email_allowlist", customer.email)
    assert pay(client, customer=customer.id).status == "succeeded"


def test_where_it_comes_from_is_said_by_secret_keys(client, http, server):
    refused(lambda: pay(client, radar_options={"ip_address": "here"}), None,
            param="radar_options[ip_address]")
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    publishable = http.post("/v1/tael/api_keys", {"type": "publishable", "name": "p"}).json()["key"]
    answer = Http(server, key=publishable).post(f"/v1/payment_intents/{intent.id}/confirm", {
        "client_secret": intent.client_secret, "payment_method_data[type]": "card",
        "payment_method_data[card][token]": "tok_visa", "radar_options[ip_address]": "1.2.3.4"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "radar_options[ip_address]")


# ---- rules ---------------------------------------------------------------------------------


def test_a_rule(client, http, rules):
    made = rules("Block if :amount: > 77777 and :currency: = 'sek'", name="Large", **{"metadata[a]": "b"})
    assert (made["object"], made["action"], made["enabled"]) == ("radar.rule", "block", True)
    assert made["created_by"].startswith("key_") or made["created_by"] != ""
    path = f"/v1/radar/rules/{made['id']}"
    assert http.get(path).json() == made
    assert made in http.get("/v1/radar/rules?limit=100").json()["data"]
    error = blocked(lambda: pay(client, amount=77778, currency="sek"), made["id"])
    assert outcome_of(client, error).rule == made["id"]
    assert pay(client, amount=77777, currency="sek").status == "succeeded"
    assert pay(client, amount=77778, currency="usd").status == "succeeded"
    assert http.post(path, {"enabled": "false"}).json()["enabled"] is False
    assert pay(client, amount=77778, currency="sek").status == "succeeded"
    changed = http.post(path, {"enabled": "true", "name": "", "predicate": "Block if :amount: = 88888"})
    assert (changed.json()["name"], changed.json()["predicate"]) == (None, "Block if :amount: = 88888")
    blocked(lambda: pay(client, amount=88888), made["id"])
    assert http.delete(path).json() == {"id": made["id"], "object": "radar.rule", "deleted": True}
    assert pay(client, amount=88888).status == "succeeded"
    assert http.get(path).status_code == 404
    assert events_about(client, made["id"], type="radar.rule.*") == [
        "radar.rule.deleted", "radar.rule.updated", "radar.rule.updated", "radar.rule.created"]


def test_rules_that_cannot_be_read(http, rules):
    error = refused_rule(http, "Block if :card_color: = 'red'")
    assert error["param"] == "predicate" and "character 10: there is no such" in error["message"]
    error = refused_rule(http, "Block if :email: in @nobody_knows")
    assert (error["param"], error["code"]) == ("predicate", "resource_missing")
    assert refused_rule(http, "")["param"] == "predicate"
    made = rules("Block if :amount: = 99998")
    path = f"/v1/radar/rules/{made['id']}"
    assert http.post(path, {"predicate": "Block if"}).status_code == 400
    assert http.get(path).json()["predicate"] == made["predicate"]


def test_a_list_of_a_rule(client, http, customer, rules):
    alias = unique("vip")
    made = client.v1.radar.value_lists.create({"alias": alias, "name": "VIP", "item_type": "customer_id"})
    rule = rules(f"Block if :customer: = '{customer.id}' and not :customer: in @{alias}")
    refused(lambda: client.v1.radar.value_lists.delete(made.id), None, param="value_list")
    refused(lambda: client.v1.radar.value_lists.update(made.id, {"alias": unique()}), None)
    blocked(lambda: pay(client, customer=customer.id), rule["id"])
    item = client.v1.radar.value_list_items.create({"value_list": alias, "value": customer.id}).id
    assert pay(client, customer=customer.id).status == "succeeded"
    client.v1.radar.value_list_items.delete(item)
    blocked(lambda: pay(client, customer=customer.id), rule["id"])
    http.delete(f"/v1/radar/rules/{rule['id']}")
    assert client.v1.radar.value_lists.delete(made.id).deleted


def test_rules_in_their_order(client, customer, rules):
    mine = f":customer: = '{customer.id}'"
    token = "pm_card_threeDSecureOptional"
    rules(f"Request 3D Secure if {mine} and :amount: > 1000")
    assert pay(client, token=token, customer=customer.id, amount=1000).status == "succeeded"
    assert pay(client, token=token, customer=customer.id, amount=1001).status == "requires_action"
    assert pay(client, token=token, customer=customer.id, amount=1001,
               off_session=True).status == "succeeded"
    blocks = rules(f"Block if {mine} and :amount: > 2000 and not :is_off_session:")
    assert pay(client, token=token, customer=customer.id, amount=1001).status == "requires_action"
    blocked(lambda: pay(client, token=token, customer=customer.id, amount=2001), blocks["id"])
    assert pay(client, token=token, customer=customer.id, amount=2001,
               off_session=True).status == "succeeded"
    rules(f"Allow if {mine} and :amount: > 3000")
    assert pay(client, token=token, customer=customer.id, amount=3001).status == "succeeded"


# ---- counts --------------------------------------------------------------------------------


def test_attempts_are_counted_exactly(client, customer, rules):
    """However many at once, and in whatever process."""
    rule = rules(f"Block if :customer: = '{customer.id}' and :customer_attempts_hourly: >= 4")

    def attempt():
        try:
            return pay(client, customer=customer.id).status
        except stripe.CardError as error:
            assert error.error.decline_code == "fraudulent"
            return "blocked"

    results = at_once([attempt] * 10)
    assert sorted(results) == ["blocked"] * 6 + ["succeeded"] * 4
    error = blocked(lambda: pay(client, customer=customer.id), rule["id"])
    assert outcome_of(client, error).rule == rule["id"]


def test_declines_and_amounts_are_counted(client, customer, rules):
    mine = f":customer: = '{customer.id}'"
    declines = rules(f"Block if {mine} and :email_declines_daily: >= 1")
    amounts = rules(f"Block if {mine} and :customer_amount_weekly: >= 3000")

    def rule_that_blocks(**params):
        try:
            pay(client, customer=customer.id, amount=100, currency="jpy", **params)
        except stripe.CardError as error:
            return outcome_of(client, error).rule
        return None

    assert pay(client, customer=customer.id, amount=2950).status == "succeeded"
    assert pay(client, customer=customer.id, amount=500, currency="eur").status == "succeeded"
    assert pay(client, customer=customer.id, amount=50).status == "succeeded"

    def dollars():
        try:
            pay(client, customer=customer.id, amount=50)
        except stripe.CardError as error:
            return outcome_of(client, error).rule == amounts["id"]
        return False

    wait_until(dollars, 10, "3,000 to be counted")
    # Of euros there were fewer, and what was blocked is no decline.
    assert pay(client, customer=customer.id, amount=500, currency="eur").status == "succeeded"
    with pytest.raises(stripe.CardError):
        pay(client, customer=customer.id, amount=500, currency="eur", token="pm_card_chargeDeclined")
    wait_until(lambda: rule_that_blocks() == declines["id"], 10, "the decline to be counted")


def test_rules_and_counts_survive(make_server):
    server = make_server()
    client, http = sdk(server), Http(server)
    customer = client.v1.customers.create({}).id
    assert http.post("/v1/radar/rules", {
        "predicate": "Block if :customer_attempts_daily: >= 2"}).status_code == 200
    assert pay(client, customer=customer).status == "succeeded"
    server.stop()
    server.start()
    client = sdk(server)
    assert pay(client, customer=customer).status == "succeeded"
    blocked(lambda: pay(client, customer=customer), "rule")
    assert pay(client).status == "succeeded"
    assert metrics(server)["tael_payments_blocked_by_rule_total"] == 1


# ---- where it acts -------------------------------------------------------------------------


def test_setups_know_the_lists(client, customer, listed, rules):
    rules(f"Block if :customer: = '{customer.id}'")
    params = {"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True,
              "payment_method_types": ["card"]}
    assert client.v1.setup_intents.create(params).status == "succeeded"
    listed("customer_blocklist", customer.id)
    error = blocked(lambda: client.v1.setup_intents.create(params), "list")
    setup = client.v1.setup_intents.retrieve(error.error.setup_intent.id)
    assert (setup.status, setup.last_setup_error.decline_code) == (
        "requires_payment_method", "fraudulent")


def test_a_saved_card_off_session(client, customer, listed):
    pay(client, customer=customer.id, setup_future_usage="off_session")
    method = client.v1.customers.payment_methods.list(customer.id).data[0]
    listed("customer_blocklist", customer.id)
    blocked(lambda: pay(client, token=method.id, customer=customer.id, off_session=True), "list")


def test_the_page_of_a_checkout_session(client, listed):
    email = f"{unique()}@example.com"
    listed("email_blocklist", email)
    session = client.v1.checkout.sessions.create({
        "mode": "payment", "success_url": "https://shop.example/paid", "line_items": [{
            "quantity": 1, "price_data": {"currency": "usd", "unit_amount": 1500,
                                          "product_data": {"name": "T-shirt"}}}]})
    form = {"card[number]": "4242 4242 4242 4242", "card[expiry]": "12/34", "card[cvc]": "123",
            "name": "Jenny Rosen", "email": email, "by": "card"}
    answer = requests.post(session.url, form, allow_redirects=False, timeout=60)
    assert "declined the card" in answer.text or answer.status_code == 303
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    answer = requests.post(session.url, {**form, "email": f"{unique()}@example.com"},
                           allow_redirects=False, timeout=60)
    assert answer.headers["Location"] == "https://shop.example/paid"


@pytest.mark.parametrize("how", ["connection", "forwarded"])
def test_where_a_browser_is(make_server, how):
    server = make_server(f"--client-address={how}")
    client = sdk(server)
    told = how == "forwarded" and not (server.gateway or server.has_gateway)
    client.v1.radar.value_list_items.create({
        "value_list": "client_ip_address_blocklist", "value": "198.51.100.7" if told else "127.0.0.1"})
    session = client.v1.checkout.sessions.create({
        "mode": "payment", "success_url": "https://shop.example/paid", "line_items": [{
            "quantity": 1, "price_data": {"currency": "usd", "unit_amount": 1500,
                                          "product_data": {"name": "T-shirt"}}}]})
    requests.post(session.url, {
        "card[number]": "4242 4242 4242 4242", "card[expiry]": "12/34", "card[cvc]": "123",
        "name": "Jenny Rosen", "email": "jenny@example.com", "by": "card"},
        headers={"X-Forwarded-For": "198.51.100.7, 10.0.0.1"}, allow_redirects=False, timeout=60)
    (charge,) = client.v1.charges.list().data
    assert charge.outcome.rule == "block_if_in_client_ip_address_blocklist"
    # A merchant's server is not where its customers are.
    assert pay(client).status == "succeeded"


def test_money_for_a_wallet(client, wallets, customer, listed):
    wallet = wallets.wallet(customer=customer.id)
    listed("customer_blocklist", customer.id)
    blocked(lambda: pay(client, customer=customer.id, transfer_data={"destination": wallet}), "list")
    shown = wallets.get(f"/v1/wallets/{wallet}")
    assert shown["balance"]["posted"] == 0
    assert shown["limits"]["in"]["day"]["remaining"] == shown["limits"]["in"]["day"]["limit"]


def test_rights_of_restricted_keys(client, server):
    def with_rights(rights):
        return Http(server, restricted_key(server, rights))

    reads, writes, others = (with_rights(one) for one in (
        "radar:read", "radar:write", "payment_intents:write"))
    assert reads.get("/v1/radar/rules").status_code == 200
    assert reads.get("/v1/radar/value_lists").status_code == 200
    for one in (reads, others):
        assert one.post("/v1/radar/rules", {"predicate": "Block if :amount: = 1"}).status_code == 403
    assert others.get("/v1/radar/value_lists").status_code == 403
    made = writes.post("/v1/radar/rules", {"predicate": "Block if :amount: = 99997"}).json()
    assert writes.delete(f"/v1/radar/rules/{made['id']}").status_code == 200
