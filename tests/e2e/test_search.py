"""Search of intents, charges and customers in Stripe's query language: consistent at once."""

import concurrent.futures
import itertools
import time

import pytest
import stripe

from kit.client import Http, card, pay, sdk

_numbers = itertools.count()


def tag():
    """A metadata value of a test's own: the server is shared."""
    return f"search-{next(_numbers)}"


def tagged(value):
    return f'metadata["tag"]:"{value}"'


def ids(result):
    return [one.id for one in result.data]


def refused(call, param, *pieces):
    with pytest.raises(stripe.InvalidRequestError) as error:
        call()
    assert error.value.http_status == 400
    assert error.value.param == param
    for piece in pieces:
        assert piece in error.value.user_message, error.value.user_message


# ---- consistency ---------------------------------------------------------------------------


def test_what_was_answered_is_found(client):
    mine = tag()
    for number in range(20):
        intent = pay(client, amount=1000 + number, metadata={"tag": mine})
        found = client.v1.payment_intents.search(
            {"query": f"{tagged(mine)} AND amount:{1000 + number}"})
        assert ids(found) == [intent.id]
        charge = client.v1.charges.search({"query": f'{tagged(mine)} amount={1000 + number}'})
        assert ids(charge) == [intent.latest_charge]


def test_a_change_is_found_and_the_former_state_is_not(client):
    mine = tag()
    held = pay(client, capture_method="manual", metadata={"tag": mine})
    waiting = {"query": f'{tagged(mine)} status:"requires_capture"'}
    done = {"query": f'{tagged(mine)} status:"succeeded"'}
    assert ids(client.v1.payment_intents.search(waiting)) == [held.id]
    client.v1.payment_intents.capture(held.id)
    assert ids(client.v1.payment_intents.search(waiting)) == []
    assert ids(client.v1.payment_intents.search(done)) == [held.id]
    client.v1.payment_intents.update(held.id, {"metadata": {"tag": ""}})
    assert ids(client.v1.payment_intents.search(done)) == []
    customer = client.v1.customers.create({"name": "Leaving", "metadata": {"tag": mine}})
    assert ids(client.v1.customers.search({"query": tagged(mine)})) == [customer.id]
    client.v1.customers.delete(customer.id)
    assert ids(client.v1.customers.search({"query": tagged(mine)})) == []


# ---- fields ----------------------------------------------------------------------------------


def test_fields_of_intents(client):
    mine = tag()
    customer = client.v1.customers.create()
    first = client.v1.payment_intents.create(
        {"amount": 1500, "currency": "eur", "customer": customer.id, "metadata": {"tag": mine}})
    second = pay(client, amount=2500, metadata={"tag": mine})

    def found(query):
        return ids(client.v1.payment_intents.search({"query": f"{tagged(mine)} {query}"}))

    both = [second.id, first.id]
    assert found("amount>1500") == [second.id]
    assert found("amount>=1500 amount<2500") == [first.id]
    assert found("-amount:1500") == [second.id]
    assert found('currency:"EUR"') == [first.id]
    assert found('-currency:"eur"') == [second.id]
    assert found(f'customer:"{customer.id}"') == [first.id]
    assert found("customer:null") == [second.id]
    assert found("-customer:null") == [first.id]
    assert found('status:"succeeded"') == [second.id]
    assert found('status~"REQUIRES_"') == [first.id]
    assert found(f"created>={first.created}") == both
    assert found(f"created<{first.created}") == []
    assert found('metadata["other"]:null') == both


def test_fields_of_charges(client):
    mine = tag()
    customer = client.v1.customers.create()
    intent = client.v1.payment_intents.create({
        "amount": 3100, "currency": "usd", "confirm": True, "customer": customer.id,
        "metadata": {"tag": mine}, "expand": ["latest_charge"],
        "payment_method_data": {
            "type": "card", "card": card("5555555555554444", month=7, year=2031),
            "billing_details": {"address": {"postal_code": "EC1A 1BB"}}},
    })
    charge = intent.latest_charge
    details = charge.payment_method_details.card
    other = pay(client, amount=3200, metadata={"tag": mine}).latest_charge

    def found(query):
        return ids(client.v1.charges.search({"query": f"{tagged(mine)} {query}"}))

    for query in (
        "amount<3200", 'billing_details.address.postal_code:"ec1a 1bb"',
        'billing_details.address.postal_code~"1a 1"', "-billing_details.address.postal_code:null",
        f'customer:"{customer.id}"', 'payment_method_details.card.brand:"mastercard"',
        "payment_method_details.card.last4:4444", "payment_method_details.card.last4:'4444'",
        "payment_method_details.card.exp_month:7", 'payment_method_details.card.exp_year:"2031"',
        "payment_method_details.card.exp_year<2034",
        f'payment_method_details.card.fingerprint:"{details.fingerprint}"',
    ):
        assert found(query) == [charge.id], query
    for query in ("disputed:false", 'refunded:"false"', 'status:"succeeded"', 'currency:"usd"',
                  f"created>={charge.created}"):
        assert found(query) == [other, charge.id], query
    assert found("disputed:true") == []
    client.v1.refunds.create({"charge": other})
    assert found("refunded:true") == [other]


def test_fields_of_customers(client):
    mine = tag()
    amy = client.v1.customers.create({
        "name": "Amy Éclair", "email": f"Amy.{mine}@RocketRides.io", "phone": "+15555550100",
        "metadata": {"tag": mine, 'a "quoted" key': "it's \\ here"}})
    bob = client.v1.customers.create({"email": f"bob.{mine}@example.com", "metadata": {"tag": mine}})

    def found(query):
        return ids(client.v1.customers.search({"query": query}))

    assert found(f'email:"amy.{mine}@rocketrides.io"') == [amy.id]
    assert found(f'email~".{mine}@"') == [bob.id, amy.id]
    assert found(f'{tagged(mine)} name:"amy éCLAIR"') == [amy.id]
    assert found(f'{tagged(mine)} name~"ÉCL"') == [amy.id]
    assert found(f"{tagged(mine)} name:null") == [bob.id]
    assert found(f'{tagged(mine)} phone~"5555"') == [amy.id]
    assert found(f"{tagged(mine)} created>={amy.created}") == [bob.id, amy.id]
    assert found(f"{tagged(mine)} metadata['a \\\"quoted\\\" key']:'it\\'s \\\\ here'") == [amy.id]
    assert found(f'name:"nobody {mine}" OR email:"bob.{mine}@example.com"') == [bob.id]
    # The list's filter minds the case, as ever.
    assert client.v1.customers.list({"email": f"amy.{mine}@rocketrides.io"}).data == []
    assert ids(client.v1.customers.list({"email": f"Amy.{mine}@RocketRides.io"})) == [amy.id]


# ---- pages -----------------------------------------------------------------------------------


def test_the_envelope(http):
    mine = tag()
    for _ in range(2):
        http.post("/v1/customers", {"metadata[tag]": mine})
    query = {"query": tagged(mine), "limit": 1}
    first = http.get("/v1/customers/search", params=query).json()
    assert (first["object"], first["url"]) == ("search_result", "/v1/customers/search")
    assert first["has_more"] is True and isinstance(first["next_page"], str)
    assert "total_count" not in first
    last = http.get("/v1/customers/search",
                    params={**query, "page": first["next_page"]}).json()
    assert last["has_more"] is False and last["next_page"] is None
    assert first["data"][0]["id"] > last["data"][0]["id"]


def test_auto_pagination(client):
    mine = tag()
    made = [client.v1.payment_intents.create(
        {"amount": 1000 + number, "currency": "usd", "metadata": {"tag": mine}}).id
        for number in range(23)]
    result = client.v1.payment_intents.search({"query": tagged(mine), "limit": 5})
    assert [intent.id for intent in result.auto_paging_iter()] == made[::-1]
    assert len(client.v1.payment_intents.search({"query": tagged(mine)}).data) == 10


def test_auto_pagination_of_the_resource_classes(server, monkeypatch):
    monkeypatch.setattr(stripe, "api_key", server.key)
    monkeypatch.setattr(stripe, "api_base", server.url)
    mine = tag()
    made = [stripe.Customer.create(metadata={"tag": mine}).id for _ in range(7)]
    found = stripe.Customer.search_auto_paging_iter(query=tagged(mine), limit=3)
    assert [customer.id for customer in found] == made[::-1]


def test_pages_while_rows_are_added(client):
    mine = tag()

    def make(number):
        return client.v1.customers.create({"name": f"{number}", "metadata": {"tag": mine}}).id

    made = [make(number) for number in range(30)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        late = pool.submit(lambda: [make(number) for number in range(30, 60)])
        seen = []
        result = client.v1.customers.search({"query": tagged(mine), "limit": 4})
        for customer in result.auto_paging_iter():
            seen.append(customer.id)
            time.sleep(0.002)
        late = late.result()
    # Each once, newest first; all that were there before; of the late ones, those before the start.
    assert seen == sorted(set(seen), reverse=True)
    assert seen[-30:] == made[::-1]
    assert set(seen) <= set(made) | set(late)
    again = client.v1.customers.search({"query": tagged(mine), "limit": 100})
    assert ids(again) == (made + late)[::-1]


def test_total_count_and_expansion(client):
    mine = tag()
    customer = client.v1.customers.create({"name": "Ada"})
    for _ in range(3):
        pay(client, customer=customer.id, metadata={"tag": mine})
    found = client.v1.payment_intents.search({
        "query": tagged(mine), "limit": 2,
        "expand": ["total_count", "data.customer", "data.latest_charge.balance_transaction"]})
    assert found.total_count == 3 and len(found.data) == 2 and found.has_more
    assert found.data[0].customer.name == "Ada"
    assert found.data[1].latest_charge.balance_transaction.amount == 2000
    for path in ("customer", "data.nothing", "total_count.data", "next_page"):
        refused(lambda path=path: client.v1.payment_intents.search(
            {"query": tagged(mine), "expand": [path]}), "expand", path)


# ---- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("query, pieces", [
    ("asdf", ["unable to parse your search query", "character 5", "operator"]),
    ("name:'x", ["character 6", "never closed"]),
    ("name:amy", ["character 6", "quotation marks"]),
    ("name:'x' AND email:'y' OR phone:'z'", ["character 24", "AND and OR do not mix"]),
    ("(name:'x')", ["character 1", "parentheses"]),
    ("name~'ab'", ["character 6", "three characters"]),
    ("name:'x' AND", ["character 13", "a clause is missing"]),
    (" ".join(f"created>{number}" for number in range(11)), ["ten clauses"]),
    ("nickname:'x'", ["Field `nickname` at character 1", "unsupported search field",
                      "resource `customers`", "created, email, metadata, name, phone"]),
    ("amount>1", ["Field `amount`", "resource `customers`"]),
    ("name>'x'", ["Field `name`", "is a text"]),
    ("created:'today'", ["Field `created`", "whole numbers"]),
    ("metadata:'x'", ["Field `metadata`", "needs a key"]),
    ("email['x']:'y'", ["Field `email`", "no keys"]),
])
def test_wrong_queries(client, query, pieces):
    refused(lambda: client.v1.customers.search({"query": query}), "query", *pieces)


def test_wrong_parameters(client):
    mine = tag()
    for _ in range(2):
        client.v1.customers.create({"metadata": {"tag": mine}})
    page = client.v1.customers.search({"query": tagged(mine), "limit": 1}).next_page
    refused(lambda: client.v1.customers.search({"query": "name:'x'", "page": page}), "page")
    refused(lambda: client.v1.charges.search({"query": tagged(mine), "page": page}), "page")
    refused(lambda: client.v1.customers.search({"query": tagged(mine), "page": "x"}), "page")
    refused(lambda: client.v1.customers.search({"query": tagged(mine), "limit": 101}), "limit")
    refused(lambda: client.v1.customers.search({"query": tagged(mine), "limit": 0}), "limit")
    refused(lambda: client.v1.customers.search({}), "query", "Missing required param: query")
    refused(lambda: client.v1.customers.search(
        {"query": tagged(mine), "starting_after": "cus_x"}), "starting_after")
    refused(lambda: client.v1.customers.search({"query": f"name:'{'x' * 5000}'"}), "query",
            "too long")


def test_rights(server, http):
    def key(kind, permissions=""):
        return http.post("/v1/tael/api_keys", {
            "type": kind, "name": "search", "permissions": permissions}).json()["key"]

    reads = sdk(server, key=key("restricted", "charges:read"))
    reads.v1.charges.search({"query": "amount>0", "limit": 1})
    with pytest.raises(stripe.PermissionError):
        reads.v1.customers.search({"query": "name:'x'"})
    publishable = Http(server, key=server.publishable_key)
    assert publishable.get("/v1/charges/search", params={"query": "amount>0"}).status_code == 403
    nobody = Http(server, key="sk_test_wrong")
    assert nobody.get("/v1/charges/search", params={"query": "amount>0"}).status_code == 401
    # What only the live mode may see is not asked for with a key of the test mode, nor shown.
    for charge in reads.v1.charges.search({"query": "amount>0", "limit": 100}).data:
        assert charge.livemode is False


# ---- side by side ----------------------------------------------------------------------------


def test_searches_and_payments_at_once(client):
    """Nobody is turned away, every payment is found by who made it, and pages stay whole."""
    mine = tag()

    def work(number):
        intent = pay(client, amount=5000 + number, metadata={"tag": mine, "n": str(number)})
        found = client.v1.payment_intents.search(
            {"query": f'{tagged(mine)} AND metadata["n"]:"{number}"'})
        assert ids(found) == [intent.id]
        everything = client.v1.charges.search(
            {"query": f'-status:"failed" {tagged(mine)}', "limit": 100})
        assert intent.latest_charge in ids(everything)
        return intent.id

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(work, range(96)))
    found = client.v1.payment_intents.search({"query": tagged(mine), "limit": 100})
    assert sorted(ids(found)) == sorted(made)


def test_there_is_an_end_to_looking(make_server):
    client = sdk(make_server("--search-max=10"))
    made = []
    for number in range(25):
        made.append(client.v1.customers.create({"name": f"N{number}"}))
    # Where pages have something in them, the SDK goes through all of it ...
    result = client.v1.customers.search({"query": "-name:'N3'", "limit": 4})
    assert [one.id for one in result.auto_paging_iter()] == [
        one.id for one in reversed(made) if one.name != "N3"]
    # ... and where none would have, it is told, and how to go on; not left to believe in an end.
    refused(lambda: client.v1.customers.search({"query": "name:'N3'"}), "query",
            "The 10 newest of the customers", f"created<={made[15].created}")
    refused(lambda: client.v1.customers.search(
        {"query": "-name:'N3'", "expand": ["total_count"]}), "query", "more to count")


def test_a_page_outlives_a_restart(make_server):
    server = make_server()
    client = sdk(server)
    made = [client.v1.customers.create({"name": "Same"}).id for _ in range(5)]
    first = client.v1.customers.search({"query": "name:'same'", "limit": 2})
    server.kill()
    server.start()
    client = sdk(server)
    second = client.v1.customers.search(
        {"query": "name:'same'", "limit": 3, "page": first.next_page})
    assert ids(first) + ids(second) == made[::-1]
    assert second.has_more is False
