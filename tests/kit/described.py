"""Tael's own description (`tael openapi`), and a check that holds every answer against it.

What Stripe's document says about an object of Stripe's is looked at by kit/schema.py. This one says
more: which statuses and headers each route has, and what the objects look like that are our own.
"""

import functools
import json
import re

import jsonschema
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from kit.server import run_tael

URI = "tael:openapi"
HINT = "docs/api/README.md tells how a route and an object get their description"


class DescriptionError(AssertionError):
    """An answer that our own description does not have."""


def load():
    """The document of the program under test."""
    result = run_tael("openapi")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def pointer(*parts):
    """A JSON pointer into the document, as a reference."""
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in parts)
    return f"{URI}#/" + "/".join(escaped)


class Description:
    def __init__(self, document=None):
        self.document = document or load()
        resource = Resource(contents=self.document, specification=DRAFT202012)
        self.registry = Registry().with_resource(URI, resource)
        self.validators = {}
        self.routes = []
        for template, operations in self.document["paths"].items():
            pattern = re.compile(re.sub(r"\\\{[^}]+\}", "[^/]+", re.escape(template)) + "$")
            for method, operation in operations.items():
                self.routes.append((template.count("{"), method.upper(), pattern, template,
                                    operation))
        self.routes.sort(key=lambda route: route[0])
        self.by_object = {}
        for name, schema in self.document["components"]["schemas"].items():
            value = schema.get("properties", {}).get("object", {}).get("const")
            if value is not None:
                self.by_object.setdefault(value, []).append(name)
        self.checked = 0

    @functools.lru_cache(maxsize=None)
    def route(self, method, path):
        """(template, operation) or None."""
        for _, wanted, pattern, template, operation in self.routes:
            if wanted == method and pattern.match(path):
                return template, operation
        return None

    def resolve(self, value):
        """What a reference stands for, or the value itself."""
        while "$ref" in value:
            at = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                at = at[part.replace("~1", "/").replace("~0", "~")]
            value = at
        return value

    # ---- one value -------------------------------------------------------------------------

    def validator(self, reference):
        if reference not in self.validators:
            self.validators[reference] = jsonschema.Draft202012Validator(
                {"$ref": reference}, registry=self.registry
            )
        return self.validators[reference]

    def check(self, value, reference, what):
        """Raises DescriptionError with the most telling of the differences."""
        self.checked += 1
        validator = self.validator(reference)
        try:
            if validator.is_valid(value):
                return
        except Unresolvable as error:
            raise DescriptionError(
                f"{what}: src/api/description has no schema {error.ref!r}. {HINT}.") from error
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        place = "/".join(str(part) for part in error.absolute_path)
        raise DescriptionError(
            f"{what}: at {place or 'the top'}: {error.message[:500]}. "
            f"If the answer is right, {reference.removeprefix(URI)} is not: {HINT}."
        )

    def check_object(self, value, what):
        """An object by its own `object` member."""
        names = self.by_object.get(value["object"])
        if names is None:
            raise DescriptionError(
                f"{what}: there is no schema of a {value['object']!r} in src/api/description. {HINT}."
            )
        references = [pointer("components", "schemas", name) for name in names]
        for reference in references[:-1]:
            if self.validator(reference).is_valid(value):
                return
        self.check(value, references[-1], what)

    # ---- one answer ------------------------------------------------------------------------

    def check_response(self, response):
        """An answer as `requests` has it."""
        path = response.request.path_url.split("?")[0]
        kind = response.headers.get("Content-Type", "").split(";")[0]
        body = response.json() if kind == "application/json" else None
        self.check_answer(
            response.request.method, path, response.status_code, kind, body, response.headers
        )

    def check_answer(self, method, path, status, kind, body, headers):
        found = self.route(method, path)
        what = f"{method} {path} {status}"
        if found is None:
            # Nobody routes it, or HTTP itself was refused.
            if status < 400:
                raise DescriptionError(f"{what}: this route is not described. {HINT}.")
            self.check(body, pointer("components", "schemas", "error"), what)
            return
        template, operation = found
        operation_path = ("paths", template, method.lower(), "responses", str(status))
        if str(status) not in operation["responses"]:
            raise DescriptionError(
                f"{what}: {method} {template} is not described with this status; "
                f"a refusal goes to `errors`, a success to `answers`. {HINT}."
            )
        answer = operation["responses"][str(status)]
        if "$ref" in answer:
            operation_path = tuple(answer["$ref"].removeprefix("#/").split("/"))
            answer = self.resolve(answer)
        self.check_headers(answer, headers, what)
        content = answer.get("content", {})
        if kind not in content:
            raise DescriptionError(f"{what}: it is {kind!r}, described is {list(content)}. {HINT}.")
        if kind == "application/json":
            if "schema" not in content[kind]:
                raise DescriptionError(f"{what}: it is not described what it answers. {HINT}.")
            self.check(body, pointer(*operation_path, "content", kind, "schema"), what)
            self.check_events(body, what)

    def check_headers(self, answer, headers, what):
        for name, header in answer.get("headers", {}).items():
            header = self.resolve(header)
            if name in headers:
                validator = jsonschema.Draft202012Validator(header["schema"])
                if not validator.is_valid(headers[name]):
                    raise DescriptionError(f"{what}: header {name}: {headers[name]!r}. {HINT}.")
            elif header.get("required"):
                raise DescriptionError(f"{what}: the header {name} is missing. {HINT}.")

    def check_events(self, body, what):
        """What an event tells of: its own schema says no more than that it is an object."""
        if not isinstance(body, dict):
            return
        events = body.get("data") if isinstance(body.get("data"), list) else [body]
        for event in events:
            if isinstance(event, dict) and event.get("object") == "event":
                self.check_object(event["data"]["object"], f"{what}: {event['type']}")


@functools.lru_cache(maxsize=None)
def description():
    return Description()
