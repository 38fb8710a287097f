"""Schemathesis over the whole description: whatever is sent, no server error, and no status, header
or body that is not described. One half of what is sent follows the description, the other breaks it.

The short form sends the same requests every time; TEST_LONG=1 sends many, others each time, and
Hypothesis prints how to repeat what failed. Ids are now and then those of objects that are there:
whatever has a list gives ids to paths below it ("/v1/charges/{id}") and to parameters with its name
("charge"). A new resource needs no more than an object in `seed`, which returns what has no list.
"""

import json
import re
import urllib.parse

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance, negative_data_rejection, response_headers_conformance,
    response_schema_conformance, status_code_conformance,
)

from kit.client import Http, card, pay, sdk, session
from kit.described import description
from kit.server import LONG, Server

EXAMPLES = 300 if LONG else 20
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance, negative_data_rejection,
]


def without_security(document):
    """Keys are the tests' to present, not for Schemathesis to make up."""
    return {
        **{name: value for name, value in document.items() if name != "security"},
        "paths": {
            template: {
                method: {name: value for name, value in operation.items() if name != "security"}
                for method, operation in path.items()
            }
            for template, path in document["paths"].items()
        },
    }


def without_formats(value):
    """A format is for people: what breaks only the format of a text may be a right request."""
    if isinstance(value, dict):
        return {name: without_formats(inner) for name, inner in value.items()
                if name != "format" or not isinstance(inner, str)}
    return [without_formats(inner) for inner in value] if isinstance(value, list) else value


SCHEMA = schemathesis.openapi.from_dict(
    without_formats(without_security(description().document)))
SCHEMA.config.checks.negative_data_rejection.expected_statuses = [
    "400", "401", "402", "403", "404", "409", "413", "414"]
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}
PUBLIC = {
    f"{method.upper()} {template}"
    for template, path in description().document["paths"].items()
    for method, operation in path.items() if operation.get("security") == []
}
REVOKES = "DELETE /v1/tael/api_keys/{id}"  # its ids are of keys that nobody uses


# ---- forms ---------------------------------------------------------------------------------


def form_pairs(value, name=None):
    """A value as a form has it: a[b]=1, a[]=1. What is empty is there all the same."""
    if name is not None and value in ({}, []):
        yield name, ""
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from form_pairs(inner, str(key) if name is None else f"{name}[{key}]")
    elif isinstance(value, list):
        for inner in value:
            yield from form_pairs(inner, name if name.endswith("[]") else f"{name}[]")
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, "" if value is None else str(value)


def serialize_form(_context, value):
    """Schemathesis's own would write a hash as Python does."""
    if isinstance(value, dict):
        return urllib.parse.urlencode(list(form_pairs(value)), errors="replace").encode()
    return value if isinstance(value, bytes) else json.dumps(value).encode()


schemathesis.serializer("application/x-www-form-urlencoded")(serialize_form)

# ---- a server with something in it ---------------------------------------------------------


def seed(client, http):
    """One object at least of whatever can be named by an id, in several states."""
    customer = client.v1.customers.create({"email": "a@example.com", "name": "A"})
    method = client.v1.payment_methods.create({"type": "card", "card": card()})
    client.v1.payment_methods.attach(method.id, {"customer": customer.id})
    client.v1.payment_methods.create({"type": "card", "card": card()})
    for _ in range(3):
        intent = pay(client, customer=customer.id, token=method.id)
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
        pay(client, capture_method="manual")
        client.v1.payment_intents.create({"amount": 1000, "currency": "eur"})
    client.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa",
                                    "confirm": True, "return_url": "https://shop.example"})
    client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9", "enabled_events": ["*"]})
    wallets = [
        http.post("/v1/wallets", {"customer": customer.id, "currency": currency}).json()["id"]
        for currency in ("usd", "eur")
    ]
    other = client.v1.customers.create({"email": "b@example.com"})
    http.post("/v1/wallets", {"customer": other.id, "currency": "usd", "handle": "other"})
    pay(client, 9000, token="pm_card_bypassPending", transfer_data={"destination": wallets[0]})
    http.post("/v1/wallet_transfers",
              {"amount": 100, "currency": "usd", "from": wallets[0], "to": "other"})
    http.post(f"/v1/test_helpers/wallets/{wallets[0]}/fund_balance",
              {"amount": 100, "currency": "usd"})
    for _ in range(3):
        http.post(f"/v1/wallets/{wallets[0]}/holds", {"amount": 10, "to": "other"})
        http.post("/v1/wallet_requests",
                  {"amount": 10, "currency": "usd", "from": wallets[0], "to": "other"})
        http.post(f"/v1/wallets/{wallets[0]}/withdrawals",
                  {"amount": 10, "bank_account[account_number]": "000123456789"})
        http.post("/v1/qr_codes", {"currency": "usd"})
        http.post("/v1/payment_intents", {
            "amount": 100, "currency": "usd", "confirm": "true",
            "payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"})
    paid = http.post("/v1/payment_intents", {
        "amount": 200, "currency": "usd", "confirm": "true", "payment_method_data[type]": "wallet",
        "payment_method_data[wallet][id]": wallets[0], "payment_method_types[]": "wallet"})
    assert paid.status_code == 200, paid.text
    client.v1.refunds.create({"payment_intent": paid.json()["id"], "amount": 100})
    http.post("/v1/tael/api_keys", {"type": "restricted", "permissions": "charges:read"})
    asked = http.post(f"/v1/wallets/{wallets[0]}/payer_codes")
    return {"payer_codes": [asked.json()["id"]], **codes(http)}


def codes(http):
    """What a wallet would scan, and the addresses of pages for people."""
    made = [http.post("/v1/qr_codes", {"currency": "usd", **amount}).json()
            for amount in ({}, {"amount": 60})]
    made.append(http.post("/v1/payment_intents", {
        "amount": 100, "currency": "usd", "confirm": "true", "payment_method_types[]": "mobile_qr",
        "payment_method_data[type]": "mobile_qr"}).json()
        ["next_action"]["mobile_qr_display_qr_code"])
    http.post(f"/v1/qr_codes/{made[1]['id']}", {"active": "false"})
    asked = http.post("/v1/payment_intents", {
        "amount": 100, "currency": "usd", "confirm": "true", "return_url": "https://shop.example",
        "payment_method": "pm_card_authenticationRequired"}).json()
    addresses = [asked["next_action"]["redirect_to_url"]["url"].rsplit("/", 2)[1:]]
    addresses += [one[name].rsplit("/", 2)[1:] for one in made
                 for name in ("hosted_instructions_url", "image_url_png", "image_url_svg")]
    return {"data": [one["data"] for one in made], "scope": [addresses[0][0]],
            "secret": [secret for _, secret in addresses]}


class Seeded:
    def __init__(self, server, unlisted):
        self.server = server
        self.unlisted = unlisted
        self.http = Http(server, validate=False)
        self.session = session()

    def ids(self):
        """{"charges": [id, ...], ...} of everything that has a list, and of what has none."""
        found = dict(self.unlisted)
        for template, path in description().document["paths"].items():
            if "{" in template or "data" not in json.dumps(path.get("get", {})):
                continue
            answer = self.http.get(template + "?limit=20" * ("tael" not in template))
            if answer.status_code == 200 and answer.json().get("object") == "list":
                ids = [one["id"] for one in answer.json()["data"]]
                found[template.rsplit("/", 1)[1]] = ids
        return found


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("schemathesis")).start()
    yield Seeded(server, seed(sdk(server), Http(server)))
    assert server.alive(), server.log()
    server.close()


# ---- ids that are there --------------------------------------------------------------------


def capture_words(template):
    """{"id": "charges"} of "/v1/charges/{id}"."""
    return {name: word for word, name in re.findall(r"/(\w+)/\{(\w+)\}", template)}


def use_known(case, ids, draw, in_path_only):
    """Puts ids of objects that are there into the path and into parameters of their name."""
    words = capture_words(case.operation.path)
    for name in case.path_parameters or ():
        known = ids.get(words.get(name)) or ids.get(name)
        if known:
            case.path_parameters[name] = draw(strategies.sampled_from(known))
    if in_path_only:
        return
    for values in (case.query, case.body):
        if isinstance(values, dict):
            for word, known in ids.items():
                if known and word.removesuffix("s") in values:
                    values[word.removesuffix("s")] = draw(strategies.sampled_from(known))


def is_not_for_everybody(response):
    """A gateway gives nothing but 401 to whoever has no key, unless a path is surely a public one: one that
    some server could read in another way is not."""
    return response.status_code == 401 and re.search(
        r"%[01]|%7F|%2F|%5C|//|/\.{1,2}(/|;|%3B|$)", response.request.path_url, re.IGNORECASE)


def run(seeded, label, mode):
    operation = OPERATIONS[label]
    ids = seeded.ids()
    if label == REVOKES:
        ids = {}
    headers = {} if label in PUBLIC else {"Authorization": f"Bearer {seeded.server.key}"}

    @settings(max_examples=EXAMPLES, derandomize=not LONG, deadline=None, database=None,
              phases=[Phase.explicit, Phase.generate], print_blob=True,
              suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), data=strategies.data())
    def test(case, data):
        if data.draw(strategies.booleans()):
            # In a parameter a good id could take the place of what was broken on purpose.
            use_known(case, ids, data.draw, in_path_only=mode is GenerationMode.NEGATIVE)
        response = case.call(base_url=seeded.server.url, session=seeded.session, headers=headers)
        if seeded.server.is_behind_gateway() and is_not_for_everybody(response):
            return
        case.validate_response(response, checks=CHECKS, headers=headers)

    test()


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_described_is_answered_as_described(seeded, label):
    run(seeded, label, GenerationMode.POSITIVE)


def can_be_broken(operation):
    """Whether anything is asked of a request, beyond a path and what may be any text."""
    raw = operation.definition.raw
    return "requestBody" in raw or any(
        parameter.get("in") == "query" or parameter.get("$ref", "").endswith("Idempotency-Key")
        for parameter in raw.get("parameters", ())
    )


@pytest.mark.parametrize(
    "label", [label for label, operation in OPERATIONS.items() if can_be_broken(operation)])
def test_what_is_not_described_is_refused_as_described(seeded, label):
    run(seeded, label, GenerationMode.NEGATIVE)


@pytest.mark.parametrize("label", [
    label for label in OPERATIONS if label not in PUBLIC])
def test_without_a_key(seeded, label):
    """Nothing but a public route answers anybody who has no key, or a wrong one."""
    operation = OPERATIONS[label]
    path = re.sub(r"\{\w+\}", "x", operation.path)
    for authorization in (None, "Bearer sk_test_wrong", "Basic Og==", "Digest x"):
        answer = seeded.session.request(
            operation.method.upper(), seeded.server.url + path, timeout=60,
            headers={"Authorization": authorization} if authorization else {})
        assert answer.status_code == 401, (authorization, answer.text)


def test_forms_are_written_as_the_server_reads_them(seeded):
    """The words above are worth nothing if what is sent is refused as a whole."""
    body = {"amount": 1000, "currency": "usd", "metadata": {"a": "b"}, "expand[]": ["customer"],
            "shipping": {"address": {"city": "Aachen"}, "name": "N"}, "confirm": False}
    sent = serialize_form(None, body)
    answer = Http(seeded.server).post("/v1/payment_intents", sent, headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"] == {"a": "b"}
    assert answer.json()["shipping"]["address"]["city"] == "Aachen"
