"""Secret, restricted and publishable keys."""

import secrets

import pytest
import stripe

from kit import merchants, postgres
from kit.client import Http, card, pay, sdk
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.server import run_tael, wait_until
from kit.together import at_once


def make_key(http, kind, permissions=""):
    answer = http.post("/v1/tael/api_keys", {
        "type": kind, "name": f"a {kind} key", "permissions": permissions})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_key_is_shown_once(http):
    made = make_key(http, "secret")
    assert made["key"].startswith("sk_test_")
    listed = http.get("/v1/tael/api_keys").json()["data"]
    shown = next(one for one in listed if one["id"] == made["id"])
    assert "key" not in shown and not shown["revoked"]
    assert made["key"] not in http.get("/v1/tael/api_keys").text


def test_second_secret_key_sees_the_same(server, http, client):
    other = sdk(server, key=make_key(http, "secret")["key"])
    intent = pay(client)
    assert other.v1.payment_intents.retrieve(intent.id).id == intent.id


def test_restricted_key(server, http, client):
    made = make_key(http, "restricted", "payment_intents:write,balance:read")
    assert made["key"].startswith("rk_test_")
    restricted = sdk(server, key=made["key"])
    intent = pay(restricted)
    assert restricted.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    restricted.v1.balance.retrieve()
    for act in (
        lambda: restricted.v1.customers.create(),
        lambda: restricted.v1.refunds.create({"payment_intent": intent.id}),
        lambda: restricted.v1.charges.list(),
        lambda: restricted.v1.events.list(),
    ):
        with pytest.raises(stripe.PermissionError) as error:
            act()
        assert error.value.http_status == 403
    assert client.v1.refunds.list({"payment_intent": intent.id}).data == []


def test_read_is_not_write(server, http):
    restricted = sdk(server, key=make_key(http, "restricted", "customers:read")["key"])
    restricted.v1.customers.list()
    with pytest.raises(stripe.PermissionError):
        restricted.v1.customers.create()


@pytest.mark.parametrize("path", ["/v1/tael/api_keys"])
def test_restricted_key_makes_no_keys(server, http, path):
    restricted = Http(server, key=make_key(http, "restricted", "payment_intents:write")["key"])
    assert restricted.get(path).status_code == 403
    assert restricted.post(path, {"type": "secret"}).status_code == 403


def test_publishable_key(server, client):
    assert server.publishable_key.startswith("pk_test_")
    public = sdk(server, key=server.publishable_key)
    method = public.v1.payment_methods.create({"type": "card", "card": card()})
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    shown = public.v1.payment_intents.retrieve(intent.id, {"client_secret": intent.client_secret})
    assert shown.status == "requires_payment_method"
    done = public.v1.payment_intents.confirm(
        intent.id, {"client_secret": intent.client_secret, "payment_method": method.id})
    assert done.status == "succeeded"


def test_publishable_key_without_the_secret(server, client):
    public = sdk(server, key=server.publishable_key)
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"})
    for params in ({}, {"client_secret": "pi_x_secret_y"}):
        for act in (public.v1.payment_intents.retrieve, public.v1.payment_intents.confirm):
            with pytest.raises(stripe.StripeError) as error:
                act(intent.id, params)
            assert error.value.http_status in (400, 401, 403)
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_confirmation"


# What the merchant keeps for itself of an intent, however it is paid.
KEPT_BACK = {"customer", "latest_charge", "metadata", "transfer_data", "transfer_group",
             "latest_attempt", "participants", "transaction", "split", "fingerprint"}


def members(value):
    """Names of members at any depth, of objects that are Stripe's."""
    if isinstance(value, dict):
        return set(value) | set().union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()


def test_a_publishable_key_is_shown_what_a_payer_needs(server, http):
    """Everybody who opens the shop's page has it."""
    public = Http(server, key=server.publishable_key)
    customer = http.post("/v1/customers", {"name": "Ada", "email": "a@b.example"}).json()
    method = public.post("/v1/payment_methods", {
        "type": "card", "card[number]": "4242424242424242", "card[exp_month]": "12",
        "card[exp_year]": "2034", "card[cvc]": "123"}).json()
    assert method["card"]["last4"] == "4242" and not set(method) & KEPT_BACK
    intent = http.post("/v1/payment_intents", {
        "amount": "1000", "currency": "usd", "customer": customer["id"], "metadata[note]": "ours",
        "transfer_group": "ours"}).json()
    path, secret = f"/v1/payment_intents/{intent['id']}", intent["client_secret"]
    shown = public.get(path, params={"client_secret": secret}).json()
    assert shown["status"] == "requires_payment_method" and not members(shown) & KEPT_BACK
    done = public.post(f"{path}/confirm", {
        "client_secret": secret, "payment_method": method["id"],
        "expand[]": "payment_method"}).json()
    assert done["status"] == "succeeded" and done["payment_method"]["card"]["last4"] == "4242"
    assert not members(done) & KEPT_BACK
    refused = public.post(f"{path}/confirm", {"client_secret": secret}).json()["error"]
    assert refused["payment_intent"]["id"] == intent["id"]
    assert not members(refused) & KEPT_BACK
    # The events of it are the merchant's.
    told = [event["data"]["object"] for event in http.get("/v1/events").json()["data"]
            if event["type"] == "payment_intent.succeeded"]
    assert told[0]["metadata"] == {"note": "ours"} and told[0]["customer"] == customer["id"]


@pytest.mark.parametrize("extra", [
    {}, {"capture_method": "manual"}], ids=["automatic", "manual"])
def test_a_publishable_key_that_pays_is_shown_no_more(server, http, extra):
    """The answer is what an event shows, if nothing is expanded; an event shows everything."""
    public = Http(server, key=server.publishable_key)
    customer = http.post("/v1/customers", {"name": "Ada"}).json()
    intent = http.post("/v1/payment_intents", {
        "amount": "1000", "currency": "usd", "customer": customer["id"], "metadata[note]": "ours",
        "transfer_group": "ours", **extra}).json()
    done = public.post(f"/v1/payment_intents/{intent['id']}/confirm", {
        "client_secret": intent["client_secret"], "payment_method": "pm_card_visa"}).json()
    assert done["status"] == ("requires_capture" if extra else "succeeded")
    assert not members(done) & KEPT_BACK


def test_a_publishable_key_is_shown_no_more_of_a_setup(server, http):
    public = Http(server, key=server.publishable_key)
    customer = http.post("/v1/customers", {"name": "Ada"}).json()
    setup = http.post("/v1/setup_intents", {
        "customer": customer["id"], "metadata[note]": "ours"}).json()
    path, secret = f"/v1/setup_intents/{setup['id']}", setup["client_secret"]
    shown = public.get(path, params={"client_secret": secret}).json()
    assert shown["id"] == setup["id"] and not members(shown) & KEPT_BACK
    done = public.post(f"{path}/confirm", {
        "client_secret": secret, "payment_method": "pm_card_visa"}).json()
    assert done["status"] == "succeeded" and not members(done) & KEPT_BACK


def test_a_publishable_key_is_shown_no_more_of_what_failed(server, http):
    """The error on an intent holds the whole payment method, as it was when it failed."""
    public = Http(server, key=server.publishable_key)
    customer = http.post("/v1/customers", {"name": "Ada"}).json()
    for kind, amount in (("payment", {"amount": "1000", "currency": "usd"}), ("setup", {})):
        method = http.post("/v1/payment_methods", {
            "type": "card", "card[token]": "tok_visa_chargeDeclined",
            "metadata[note]": "ours"}).json()
        intent = http.post(f"/v1/{kind}_intents", {**amount, "customer": customer["id"]}).json()
        path, name = f"/v1/{kind}_intents/{intent['id']}", f"last_{kind}_error"
        secret = {"client_secret": intent["client_secret"]}
        refused = public.post(f"{path}/confirm", {**secret, "payment_method": method["id"]})
        assert refused.status_code == 402, refused.text
        shown = public.get(path, params=secret).json()
        told = refused.json()["error"]
        for error in (shown[name], told, told[f"{kind}_intent"][name]):
            assert error["code"] == "card_declined" and error["message"], error
            assert error["payment_method"]["card"]["last4"] == method["card"]["last4"]
            assert not members(error) & KEPT_BACK, members(error) & KEPT_BACK
        whole = http.get(path).json()[name]["payment_method"]
        assert whole["metadata"] == {"note": "ours"} and "customer" in whole


def keyed(http, key, path, data):
    return http.post(path, data, headers={"Idempotency-Key": key})


CARD = {"type": "card", **{f"card[{name}]": str(value) for name, value in card().items()}}


def test_a_publishable_key_takes_no_idempotency_key_of_the_merchants(server, http):
    """They are often the numbers of orders, which everybody can count on."""
    page = Http(server, key=make_key(http, "publishable")["key"])
    key = f"order-{secrets.token_hex(8)}"
    taken = keyed(page, key, "/v1/payment_methods", CARD)
    assert taken.status_code == 200
    order = {"amount": "2000", "currency": "usd"}
    made = keyed(http, key, "/v1/payment_intents", order)
    assert made.status_code == 200, made.text
    for one, path, data, first in ((page, "/v1/payment_methods", CARD, taken),
                                   (http, "/v1/payment_intents", order, made)):
        again = keyed(one, key, path, data)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.content == first.content


def test_a_publishable_key_is_not_told_what_a_secret_one_was(server, http):
    """Not the answer, and not whether there was one."""
    page = Http(server, key=make_key(http, "publishable")["key"])
    key = secrets.token_hex(8)
    customer = http.post("/v1/customers", {"name": "Ada"}).json()["id"]
    intent = http.post("/v1/payment_intents", {
        "amount": "2000", "currency": "usd", "customer": customer}).json()
    path = f"/v1/payment_intents/{intent['id']}/confirm"
    data = {"payment_method": "pm_card_visa", "client_secret": intent["client_secret"]}
    assert keyed(http, key, path, data).json()["customer"] == customer
    told = keyed(page, key, path, data)
    assert customer not in told.text and "Idempotent-Replayed" not in told.headers
    assert keyed(page, key, "/v1/payment_methods", CARD).status_code == 200


def test_an_event_names_the_publishable_keys_idempotency_key_as_it_was_given(server, http):
    page = Http(server, key=make_key(http, "publishable")["key"])
    key = secrets.token_hex(8)
    intent = http.post("/v1/payment_intents", {"amount": "2000", "currency": "usd"}).json()
    data = {"payment_method": "pm_card_visa", "client_secret": intent["client_secret"]}
    path = f"/v1/payment_intents/{intent['id']}/confirm"
    assert keyed(page, key, path, data).json()["status"] == "succeeded"
    events = http.get("/v1/events", params={"type": "payment_intent.succeeded"}).json()["data"]
    told = next(one for one in events if one["data"]["object"]["id"] == intent["id"])
    assert told["request"]["idempotency_key"] == key


@pytest.mark.parametrize("expand", [
    "customer", "latest_charge", "latest_charge.balance_transaction", "payment_method.customer"])
def test_a_publishable_key_expands_nothing_else(server, http, expand):
    customer = http.post("/v1/customers", {"name": "Ada"}).json()
    intent = http.post("/v1/payment_intents", {
        "amount": "1000", "currency": "usd", "customer": customer["id"],
        "payment_method": "pm_card_visa"}).json()
    public = Http(server, key=server.publishable_key)
    path = f"/v1/payment_intents/{intent['id']}"
    asked = {"client_secret": intent["client_secret"], "expand[]": expand}
    for answer in (public.get(path, params=asked), public.post(f"{path}/confirm", asked)):
        assert answer.status_code in (400, 403) and expand in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == "expand" and "Ada" not in answer.text
    assert http.get(path).json()["status"] == "requires_confirmation"


@pytest.mark.parametrize("name, value", [
    ("off_session", "true"), ("capture_method", "manual"), ("payment_method_types[]", "wallet"),
    ("payment_method_options[card][request_three_d_secure]", "automatic"),
    ("payment_method_options[card][capture_method]", "manual")])
def test_a_payer_does_not_choose_for_the_merchant(server, http, name, value):
    """off_session would pass by the customer's authentication."""
    public = Http(server, key=server.publishable_key)
    intent = http.post("/v1/payment_intents", {
        "amount": "1000", "currency": "usd",
        "payment_method": "pm_card_authenticationRequired"}).json()
    path, secret = f"/v1/payment_intents/{intent['id']}", {"client_secret": intent["client_secret"]}
    refused = public.post(f"{path}/confirm", {**secret, name: value})
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["param"] == name.split("[")[0]
    assert http.get(path).json()["status"] == "requires_confirmation"
    asked = public.post(f"{path}/confirm", {**secret, "return_url": "https://shop.example"}).json()
    assert asked["status"] == "requires_action"


def test_a_restricted_key_expands_what_it_may_read(server, http):
    customer = http.post("/v1/customers", {"name": "Ada"}).json()
    paid = http.post("/v1/payment_intents", {
        "amount": "1000", "currency": "usd", "customer": customer["id"], "confirm": "true",
        "payment_method": "pm_card_visa", "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never"}).json()
    narrow = Http(server, key=make_key(http, "restricted", "payment_intents:read")["key"])
    wide = Http(server, key=make_key(
        http, "restricted", "payment_intents:read,charges:read,customers:write")["key"])
    one, many = f"/v1/payment_intents/{paid['id']}", "/v1/payment_intents"
    for path, expand in ((one, "customer"), (many, "data.customer"), (one, "latest_charge.customer")):
        refused = narrow.get(path, params={"expand[]": expand})
        assert refused.status_code == 403 and "Ada" not in refused.text
        right = "charges:read" if "charge" in expand else "customers:read"
        assert f"'{right}'" in refused.json()["error"]["message"]
        assert "Ada" in wide.get(path, params={"expand[]": expand}).text
    assert narrow.get(one).json()["customer"] == customer["id"]
    refused = wide.get(one, params={"expand[]": "latest_charge.balance_transaction"})
    assert refused.status_code == 403 and "'balance:read'" in refused.json()["error"]["message"]


def test_a_restricted_key_is_told_of_a_repeated_request_what_it_may_read(server, http):
    customer = http.post("/v1/customers", {"name": "Ada"}).json()
    wish = {"amount": "1000", "currency": "usd", "customer": customer["id"], "expand[]": "customer"}
    repeated = {"Idempotency-Key": secrets.token_hex(16)}
    first = http.post("/v1/payment_intents", wish, headers=repeated)
    assert first.json()["customer"]["name"] == "Ada"
    for permissions, status in (("payment_intents:write", 403), ("customers:write", 403),
                                ("payment_intents:write,customers:read", 200)):
        restricted = Http(server, key=make_key(http, "restricted", permissions)["key"])
        answer = restricted.post("/v1/payment_intents", wish, headers=repeated)
        assert answer.status_code == status, answer.text
        assert ("Ada" in answer.text) == (status == 200)
    assert answer.json() == first.json() and answer.headers["Idempotent-Replayed"] == "true"
    # A request that goes over to another of the merchant's keys half-way does not pay twice.
    plain = {"amount": "1000", "currency": "usd", "customer": customer["id"]}
    made = http.post("/v1/payment_intents", plain, headers={"Idempotency-Key": "a" + repeated["Idempotency-Key"]})
    narrow = Http(server, key=make_key(http, "restricted", "payment_intents:write")["key"])
    again = narrow.post("/v1/payment_intents", plain, headers={"Idempotency-Key": "a" + repeated["Idempotency-Key"]})
    assert again.json() == made.json()


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/balance"), ("POST", "/v1/refunds"), ("GET", "/v1/customers"),
    ("POST", "/v1/payment_intents"), ("GET", "/v1/events"), ("GET", "/v1/payment_intents"),
    ("POST", "/v1/ledger/query"), ("GET", "/v1/tael/api_keys"),
])
def test_publishable_key_elsewhere(server, method, path):
    answer = Http(server, key=server.publishable_key).request(method, path)
    assert answer.status_code in (401, 403), answer.text


def test_who_changes_keys_often_is_not_locked_out(make_server):
    """A merchant has a thousand keys; what was revoked makes room, also for what operators make."""
    server = make_server("--admin-listen=127.0.0.1:0")
    merchant = merchants.create(merchants.operators_url(server), "Corner shop")
    http = Http(server, key=merchant["key"])

    def listed():
        return http.get("/v1/tael/api_keys").json()["data"]

    made = [make_key(http, "secret") for _ in range(999)]
    refused = http.post("/v1/tael/api_keys", {"type": "secret"})
    assert refused.status_code == 400 and "too many" in refused.text
    for old in made[:2]:
        assert http.delete(f"/v1/tael/api_keys/{old['id']}").json()["revoked"]
    newest = make_key(http, "secret")
    keys = {key["id"]: key["revoked"] for key in listed()}
    assert len(keys) == 1000 and not keys[newest["id"]]
    assert made[0]["id"] not in keys and keys[made[1]["id"]]
    for old in made[:2]:
        assert Http(server, key=old["key"]).get("/v1/balance").status_code == 401
    assert run_tael("merchants", "new-key", merchant["id"],
                    f"--url={merchants.operators_url(server)}").returncode == 0
    beyond = listed()[0]
    assert beyond["id"] > newest["id"]
    assert http.delete(f"/v1/tael/api_keys/{beyond['id']}").json()["revoked"]
    assert http.delete(f"/v1/tael/api_keys/{made[0]['id']}").status_code == 404


def test_a_key_of_another_merchant_is_not_there(make_server):
    server = make_server("--admin-listen=127.0.0.1:0")
    other = merchants.create(merchants.operators_url(server), "Corner shop")
    theirs = Http(server, key=other["key"]).get("/v1/tael/api_keys").json()["data"]
    own = Http(server)
    assert len(theirs) == 1
    assert theirs[0]["id"] not in own.get("/v1/tael/api_keys").text
    assert own.delete(f"/v1/tael/api_keys/{theirs[0]['id']}").status_code == 404
    assert Http(server, key=other["key"]).get("/v1/balance").status_code == 200


def test_keys_survive_a_restart_and_are_not_on_disk(make_server):
    server = make_server()
    made = make_key(Http(server), "secret")
    server.stop()
    secret = made["key"].encode()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
    server.start()
    sdk(server, key=made["key"]).v1.balance.retrieve()


def test_new_test_key(make_server):
    """For whoever lost the first one."""
    server = make_server()
    before = server.key
    pay(sdk(server))
    server.stop()
    server.start("--new-test-key")
    assert server.key != before
    assert len(sdk(server).v1.payment_intents.list().data) == 1
    assert len(sdk(server, key=before).v1.payment_intents.list().data) == 1


@needs_postgres
def test_processes_that_make_keys_at_once_tell_of_their_own(tmp_path):
    """Each answer has one key's text with that key's id."""
    with postgres.Postgres() as database:
        nodes = Nodes(tmp_path / "nodes", database.create(f"keys_{secrets.token_hex(4)}"), api=2)
        try:
            nodes.start()
            https = [Http(node) for node in nodes.nodes]
            made = at_once([lambda i=i: make_key(https[i % 2], "secret") for i in range(48)])
            assert len({one["id"] for one in made}) == len(made)
            for one in made:
                assert one["hint"] == f"{one['key'][:8]}...{one['key'][-4:]}"
        finally:
            nodes.close()


def test_a_revoked_key_is_refused_by_all_processes(tmp_path):
    """By the one that was asked at once, by the others within a second, though they use it all the time."""
    with postgres.Postgres() as database:
        nodes = Nodes(tmp_path / "nodes", database.create(f"keys_{secrets.token_hex(4)}"), api=2)
        try:
            nodes.start()
            here, there = (Http(node) for node in nodes.nodes)
            made = make_key(here, "secret")
            uses = [Http(node, key=made["key"]) for node in nodes.nodes]
            assert [use.get("/v1/balance").status_code for use in uses] == [200, 200]
            assert here.delete(f"/v1/tael/api_keys/{made['id']}").json()["revoked"]
            assert uses[0].get("/v1/balance").status_code == 401
            refused = wait_until(
                lambda: uses[1].get("/v1/balance").json().get("error"), 1, "the refusal")
            assert refused["code"] == "api_key_expired"
            assert there.get("/v1/balance").status_code == 200
        finally:
            nodes.close()
