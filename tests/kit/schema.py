"""Stripe's OpenAPI document as JSON Schema, and a hook that holds every answer against it.

The document is OpenAPI 3.0, whose schemas are not quite JSON Schema: `nullable` becomes a choice
with null, references move, and an object that names its members is closed, so that a member which
Stripe does not have is found as well as one that is missing.
"""

import functools
import json
import os
import pathlib
import re

import jsonschema

from kit.described import description
from kit.server import ROOT

PATH = pathlib.Path(
    os.environ.get("TEST_STRIPE_SCHEMA", ROOT / "build" / "stripe-openapi" / "spec3.json")
)
KEPT = {
    "$ref", "additionalProperties", "anyOf", "enum", "items", "maxLength", "minLength", "pattern",
    "properties", "required", "type", "minimum", "maximum", "oneOf", "allOf",
}
# What the SDKs of October declare and the document of August has not (or no more).
ALSO_DECLARED = {"payment_intent": {"source": {}}}
# What Tael's own ways to pay add to Stripe's objects; kit/described.py says what it looks like.
OWN_MEMBERS = {
    "charge": ["split"],
    "payment_intent": ["participants", "qr_code", "split", "transaction"],
    "payment_intent_next_action": ["mobile_qr_display_qr_code", "payer_confirmation"],
    "payment_method": ["mobile_qr", "wallet"],
    "payment_method_details": ["wallet"],
    "refund": ["split"],
    "refund_destination_details": ["wallet"],
}
OWN_METHOD_TYPES = ["mobile_qr", "wallet"]


class SchemaError(AssertionError):
    """An answer that Stripe's own description does not allow."""


def convert(schema):
    """One OpenAPI schema as JSON Schema."""
    if not isinstance(schema, dict):
        return schema
    result = {}
    for name, value in schema.items():
        if name not in KEPT:
            continue
        if name == "$ref":
            value = value.replace("#/components/schemas/", "#/$defs/")
        elif name == "properties":
            value = {member: convert(inner) for member, inner in value.items()}
        elif name in ("anyOf", "oneOf", "allOf"):
            value = [convert(inner) for inner in value]
        elif name in ("items", "additionalProperties"):
            value = convert(value)
        result[name] = value
    if result.get("properties") and "additionalProperties" not in result:
        result["additionalProperties"] = False
    if schema.get("nullable"):
        result = {"anyOf": [{"type": "null"}, result]}
    return result


class StripeSchema:
    def __init__(self, path=PATH):
        document = json.loads(path.read_text())
        self.definitions = {
            name: convert(schema) for name, schema in document["components"]["schemas"].items()
        }
        for name, members in ALSO_DECLARED.items():
            self.definitions[name]["properties"].update(members)
        for name, members in OWN_MEMBERS.items():
            self.definitions[name]["properties"].update({member: {} for member in members})
        self.definitions["payment_method"]["properties"]["type"]["enum"] += OWN_METHOD_TYPES
        self.root = {"$id": "tael:stripe", "$defs": self.definitions}
        registry = jsonschema.validators.Draft202012Validator(self.root)
        self.base = registry
        self.routes = []
        for template, operations in document["paths"].items():
            pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template) + "$")
            for method, operation in operations.items():
                answers = operation.get("responses", {})
                schemas = {
                    status: convert(answer["content"]["application/json"]["schema"])
                    for status, answer in answers.items()
                    if "application/json" in answer.get("content", {})
                }
                self.routes.append((template.count("{"), method.upper(), pattern, schemas))
        self.routes.sort(key=lambda route: route[0])
        self.by_object = {}
        for name, schema in self.definitions.items():
            for value in schema.get("properties", {}).get("object", {}).get("enum", []):
                if not name.startswith("deleted_"):
                    self.by_object.setdefault(value, name)
        self.checked = 0

    @functools.lru_cache(maxsize=None)
    def route(self, method, path):
        for _, wanted, pattern, schemas in self.routes:
            if wanted == method and pattern.match(path):
                return schemas
        return None

    def check(self, value, schema, what):
        """Raises SchemaError with the most telling of the differences."""
        validator = self.base.evolve(schema={**schema, "$defs": self.definitions})
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        if error is not None:
            place = "/".join(str(part) for part in error.absolute_path)
            raise SchemaError(f"{what}: at {place or 'the top'}: {error.message[:500]}")
        self.checked += 1

    def check_object(self, value):
        """An object by its own `object` member."""
        name = self.by_object[value["object"]]
        self.check(value, {"$ref": f"#/$defs/{name}"}, value["object"])

    def check_answer(self, method, path, status, body):
        """An answer of the server. Paths of Tael's own have no schema at Stripe: their successes are
        held against our own description only (kit/described.py)."""
        path = path.split("?")[0]
        schemas = self.route(method, path)
        if schemas is None and status < 400:
            return
        if schemas is None or status >= 400:
            self.check(body, {"$ref": "#/$defs/error"}, f"{method} {path} {status}")
        else:
            self.check(body, schemas[str(status)], f"{method} {path} {status}")
        self.check_events(body)

    def check_events(self, body):
        """What an event tells of: its own schema says no more than that it is an object."""
        events = body.get("data") if isinstance(body.get("data"), list) else [body]
        for event in events:
            if not isinstance(event, dict) or event.get("object") != "event":
                continue
            if event["data"]["object"]["object"] in self.by_object:
                self.check_object(event["data"]["object"])


@functools.lru_cache(maxsize=None)
def stripe_schema():
    return StripeSchema()


def hold_against_schema(response, *_args, **_keywords):
    """The hook on each `requests` session of the tests, the SDK's own included."""
    path = response.request.path_url
    if response.headers.get("Content-Type", "").startswith("application/json"):
        stripe_schema().check_answer(
            response.request.method, path, response.status_code, response.json()
        )
        assert response.headers["Request-Id"].startswith("req_"), path
    if path.startswith("/v1/"):
        description().check_response(response)
    return response
