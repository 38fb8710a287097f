"""The API's own description: it is whole, it is true, and the check of answers can fail."""

import copy
import json
import re
import subprocess
import sys

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from kit.client import pay
from kit.described import HINT, Description, DescriptionError, description
from kit.server import ROOT

sys.path.append(str(ROOT / "tools"))

from house.notation import definition_schema, expression_schema  # noqa: E402

FILES = ROOT / "src" / "api" / "description"


def operations():
    """(METHOD, template, operation) of the whole document."""
    return [
        (method.upper(), template, operation)
        for template, path in description().document["paths"].items()
        for method, operation in path.items()
    ]


def shape(path):
    """A path with every capture alike: the tables write ":id", the document "{id}"."""
    return re.sub(r":\w+|\{\w+\}", "{}", path)


def routed(server):
    """The routes of the running server, by the metrics that it has for each."""
    metrics = requests.get(server.metrics_urls()[0] + "/metrics", timeout=60).text
    names = {f"{method} {route}" for route, method in re.findall(
        r'tael_http_requests_total\{route="([^"]+)",method="([^"]+)"', metrics)} - {"any none"}
    assert len(names) > 30
    return names


# ---- the document --------------------------------------------------------------------------


def test_every_reference_leads_somewhere():
    document = description().document
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    missing = sorted(wanted - set(document["components"]["schemas"]))
    assert not missing, (
        f"a file of src/api/description needs, under \"schemas\": {', '.join(missing)}\n{HINT}")


def test_document_is_openapi():
    OpenAPIV31SpecValidator(description().document).validate()


def test_server_answers_the_same_document_without_a_key(server):
    answer = requests.get(server.url + "/v1/openapi.json", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == description().document


def test_every_route_is_described_and_nothing_else(server):
    described = {f"{method} {shape(template)}" for method, template, _ in operations()}
    assert described - {"GET /v1/openapi.json"} == {shape(name) for name in routed(server)}


def test_every_operation_has_its_text(server):
    """Not a route without a name, a summary, and the shape of its answers and of its body."""
    routes = {shape(name): name for name in routed(server)}
    missing = []
    for method, template, operation in operations():
        route = routes.get(f"{method} {shape(template)}")
        if route is None:
            continue
        if not operation.get("summary"):
            missing.append(f'"{route}" has no "id" and "does"')
        for status, answer in operation["responses"].items():
            kinds = answer.get("content", {})
            if status < "300" and "application/json" in kinds and not kinds["application/json"]:
                missing.append(f'"{route}" has no "answer"')
        if not operation.get("requestBody", {"content": True})["content"]:
            missing.append(f'"{route}" has no "body"')
    assert not missing, (
        "a file of src/api/description needs, under \"operations\":\n  "
        + "\n  ".join(missing) + f"\n{HINT}"
    )


def described_parameters(operation):
    """(name, description) of the parameters at the top, of the query and of a form."""
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "query":
            yield parameter["name"], parameter.get("description")
    form = operation.get("requestBody", {}).get("content", {}).get(
        "application/x-www-form-urlencoded", {})
    for name, schema in form.get("schema", {}).get("properties", {}).items():
        yield name, schema.get("description")


def test_every_parameter_has_its_text():
    missing = [
        f"{method} {template}: {name}"
        for method, template, operation in operations()
        for name, text in described_parameters(operation)
        if not text
    ]
    assert not missing, (
        "a file of src/api/description needs, under \"params\", a text for:\n  "
        + "\n  ".join(missing) + f"\n{HINT}"
    )


def test_nothing_is_described_that_is_not_routed(server):
    routes = routed(server)
    stale = [
        f"{path.name}: {name}"
        for path in sorted(FILES.glob("*.json"))
        for name in json.loads(path.read_text()).get("operations", {})
        if name not in routes
    ]
    assert not stale, f"these are no routes (any more): {stale}"


def test_names_are_unique():
    names = [operation.get("operationId", template) for _, template, operation in operations()]
    assert sorted(set(names)) == sorted(names)


def test_every_schema_is_used():
    document = description().document
    text = json.dumps(document)
    kinds = {value for schema in document["components"]["schemas"].values()
             for value in [schema.get("properties", {}).get("object", {}).get("const")] if value}
    unused = [
        name for name, schema in document["components"]["schemas"].items()
        if f'"#/components/schemas/{name}"' not in text
        and schema.get("properties", {}).get("object", {}).get("const") not in kinds
    ]
    assert not unused


def test_parameters_are_those_of_the_tables():
    """A sample by hand: kinds, limits, nesting."""
    document = description().document
    create = document["paths"]["/v1/payment_intents"]["post"]["requestBody"]
    form = create["content"]["application/x-www-form-urlencoded"]
    schema = form["schema"]
    assert create["required"] and schema["required"] == ["amount", "currency"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties["amount"]["type"] == "integer" and properties["amount"]["minimum"] == 0
    assert properties["statement_descriptor"]["maxLength"] == 22
    assert properties["confirm"]["type"] == "boolean"
    assert set(properties["capture_method"]["enum"]) == {"automatic", "automatic_async", "manual"}
    assert properties["currency"]["$ref"] == "#/components/schemas/currency"
    assert properties["metadata"]["maxProperties"] == 50
    assert properties["expand[]"]["items"]["type"] == "string"
    assert form["encoding"]["expand[]"] == {"style": "form", "explode": True}
    assert form["encoding"]["metadata"] == {"style": "deepObject", "explode": True}
    data = properties["payment_method_data"]
    assert data["properties"]["billing_details"]["properties"]["address"]["properties"]["city"][
        "maxLength"] == 200
    assert data["additionalProperties"] is False
    listed = document["paths"]["/v1/charges"]["get"]["parameters"]
    limit = next(one for one in listed if one.get("name") == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 100)
    nested = document["paths"]["/v1/customers/{customer_id}/payment_methods/{payment_method_id}"]
    assert [one["name"] for one in nested["get"]["parameters"][:2]] == [
        "customer_id", "payment_method_id"]


def test_statuses_follow_the_route():
    paths = description().document["paths"]
    assert "402" in paths["/v1/payment_intents"]["post"]["responses"]
    assert "402" not in paths["/v1/payment_intents"]["get"]["responses"]
    assert "404" not in paths["/v1/payment_intents"]["post"]["responses"]
    assert "404" in paths["/v1/payment_intents/{id}"]["get"]["responses"]
    assert "409" not in paths["/v1/ledger/accounts"]["post"]["responses"]


# ---- the files -----------------------------------------------------------------------------

THING = {
    "title": "Things",
    "operations": {"POST /v1/things": {"id": "things.create", "does": "Make a thing"}},
    "schemas": {"thing": {"members": {"id": "string"}}},
}


def embed(folder, value):
    """What tools/embed-description says of one more file."""
    path = folder / "things.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "embed-description"), str(folder / "out.c"),
         *(str(file) for file in sorted(FILES.glob("*.json"))), str(path)],
        capture_output=True, text=True, timeout=60, check=False)


def changed(**members):
    return {**copy.deepcopy(THING), **members}


def test_a_good_file_is_taken(tmp_path):
    result = embed(tmp_path, THING)
    assert result.returncode == 0, result.stderr
    assert "things.create" in (tmp_path / "out.c").read_text()


MISTAKES = {
    "no JSON": ("{", "things.json"),
    "no title": (changed(title=""), "'title'"),
    "a member that there is not": (changed(titel="x"), "'titel'"),
    "an operation without a title": (
        changed(operations={"POST /v1/things": {"id": "x"}}), "POST /v1/things: 'does'"),
    "an operation that is none": (
        changed(operations={"POST things": {"id": "x", "does": "y"}}), "POST things"),
    "an operation that is there already": (
        changed(operations={"GET /v1/charges": {"id": "x", "does": "y"}}), "GET /v1/charges"),
    "a schema that is there already": (
        changed(schemas={"charge": {"members": {}}}), "'charge'"),
    "a type that there is not": (
        changed(schemas={"thing": {"members": {"id": "strin"}}}), "thing.id|strin"),
    "a type that cannot be read": (
        changed(schemas={"thing": {"members": {"id": "string||null"}}}), "thing.id"),
    "a status that is none": (
        changed(operations={"POST /v1/things": {
            "id": "x", "does": "y", "answers": {"abc": {}}}}), "'abc'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_stops_the_build(tmp_path, name):
    value, said = MISTAKES[name]
    result = embed(tmp_path, value)
    assert result.returncode == 1
    assert re.search(said, result.stderr), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("expression, schema", [
    ("string", {"type": "string"}),
    ("string|null", {"type": ["string", "null"]}),
    ("'a'", {"const": "a"}),
    ("'a'|'b'", {"enum": ["a", "b"]}),
    ("'a'|'b'|null", {"enum": ["a", "b", None]}),
    ("fee[]", {"type": "array", "items": {"$ref": "#/components/schemas/fee"}}),
    ("string|fee", {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/fee"}]}),
    ("fee|null", {"anyOf": [{"$ref": "#/components/schemas/fee"}, {"type": "null"}]}),
    ("true", {"const": True}),
    ("object", {"type": "object", "additionalProperties": True}),
])
def test_types(expression, schema):
    assert expression_schema(expression, "here") == schema


def test_objects_are_closed_unless_they_say_so():
    members = {"a": "string", "b?": "integer: A number.", "c": {"null": True, "members": {}}}
    assert definition_schema({"text": ["One", "line."], "members": members}, "here") == {
        "description": "One line.",
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "integer", "format": "int64", "description": "A number."},
            "c": {"type": ["object", "null"], "properties": {}, "required": [],
                  "additionalProperties": False},
        },
        "required": ["a", "c"],
        "additionalProperties": False,
    }
    assert definition_schema({"open": True, "members": {}}, "here")["additionalProperties"] is True


# ---- the check can fail --------------------------------------------------------------------


@pytest.fixture(scope="module")
def intent(http):
    body = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
            "expand[]": "latest_charge"}
    return http.post("/v1/payment_intents", body)


def answer(response, change=None, status=None, kind="application/json", **headers):
    body = copy.deepcopy(response.json())
    if change:
        change(body)
    description().check_answer(
        "POST", "/v1/payment_intents", status or response.status_code, kind, body,
        {**response.headers, **headers})


BREAKS = {
    "a required member is missing": lambda value: value.pop("amount_received"),
    "a wrong type": lambda value: value.update(amount="1000"),
    "a status that does not exist": lambda value: value.update(status="paid"),
    "a member that is not described": lambda value: value.update(colour="red"),
    "one in a nested object": lambda value: value["latest_charge"]["outcome"].update(colour="red"),
    "a broken expanded object": lambda value: value["latest_charge"].pop("paid"),
    "another object": lambda value: value.update(object="charge"),
    "a currency that there is not": lambda value: value.update(currency="xxx"),
}


def test_good_answer_is_accepted(intent):
    answer(intent)


@pytest.mark.parametrize("name", BREAKS)
def test_broken_answer_is_refused(intent, name):
    with pytest.raises(DescriptionError, match="docs/api/README.md"):
        answer(intent, BREAKS[name])


def test_undescribed_status_is_refused(intent):
    with pytest.raises(DescriptionError, match="status"):
        answer(intent, status=418)


def test_undescribed_kind_of_answer_is_refused(intent):
    with pytest.raises(DescriptionError, match="text/csv"):
        answer(intent, kind="text/csv")


def test_missing_and_wrong_headers_are_refused(intent):
    with pytest.raises(DescriptionError, match="Request-Id"):
        answer(intent, **{"Request-Id": "?"})
    headers = {name: value for name, value in intent.headers.items() if name != "Request-Id"}
    with pytest.raises(DescriptionError, match="Request-Id"):
        description().check_answer("POST", "/v1/payment_intents", 200, "application/json",
                                   intent.json(), headers)


def test_undescribed_route_is_refused(intent):
    with pytest.raises(DescriptionError, match="not described"):
        description().check_answer("POST", "/v1/things", 200, "application/json", {}, {})
    document = copy.deepcopy(description().document)
    del document["paths"]["/v1/payment_intents"]["post"]
    with pytest.raises(DescriptionError, match="not described"):
        Description(document).check_response(intent)


def test_object_of_an_event_is_looked_at(http, client):
    pay(client)
    events = http.get("/v1/events?limit=1").json()
    check = description()
    check.check_events(events, "events")
    events["data"][0]["data"]["object"]["colour"] = "red"
    with pytest.raises(DescriptionError, match="colour"):
        check.check_events(events, "events")
    events["data"][0]["data"]["object"] = {"object": "thing"}
    with pytest.raises(DescriptionError, match="thing"):
        check.check_events(events, "events")


def test_hook_sees_every_answer(client, http):
    before = description().checked
    client.v1.balance.retrieve()
    http.post("/v1/ledger/lookup", json={"accounts": []})
    assert description().checked == before + 2
