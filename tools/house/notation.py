"""The short notation of src/api/description/*.json, as JSON Schema. docs/api/README.md explains it."""

import re



def unsigned(bits):
    """An integer of so many bits, as a number or, because not every program has such numbers, as
    text. For the same reason the larger ones have no maximum, which would be such a number."""
    number = {"type": "integer", "minimum": 0}
    if bits <= 32:
        number["maximum"] = 2**bits - 1
    digits = len(str(2**bits - 1))
    return {"anyOf": [number, {"type": "string", "pattern": f"^[0-9]{{1,{digits}}}$"}]}


ATOMS = {
    "any": {},
    "boolean": {"type": "boolean"},
    "currency": {"$ref": "#/components/schemas/currency"},
    "decimal": {"type": "string", "pattern": "^[0-9]{1,39}$"},
    "integer": {"type": "integer", "format": "int64"},
    "metadata": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 500}},
    "null": {"type": "null"},
    "object": {"type": "object", "additionalProperties": True},
    "string": {"type": "string"},
    "timestamp": {"type": "integer", "format": "unix-time"},
    "true": {"const": True},
    "false": {"const": False},
    **{f"u{bits}": unsigned(bits) for bits in (16, 32, 64, 128)},
}
TERM = re.compile(r"""
    (?P<list>list\((?P<item>[a-z0-9_.]+)\)) | '(?P<literal>[^']*)' | (?P<name>[a-z][a-z0-9_.]*)
""", re.VERBOSE)
DEFINITION_KEYS = {"text", "members", "null", "open"}


class NotationError(ValueError):
    """The notation is not understood; the message says where."""


def text_of(value):
    """A text is a string, or a list of strings that are lines of one."""
    return " ".join(value) if isinstance(value, list) else value


def list_of(item):
    """The envelope of every list."""
    return {
        "type": "object",
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": item},
            "has_more": {"type": "boolean"},
            "url": {"type": "string"},
        },
        "required": ["object", "data", "has_more", "url"],
        "additionalProperties": False,
    }


def term_schema(match):
    if match["list"]:
        return list_of(atom_schema(match["item"]))
    return atom_schema(match["name"])


def atom_schema(name):
    return dict(ATOMS[name]) if name in ATOMS else {"$ref": f"#/components/schemas/{name}"}


def union(literals, schemas):
    """One schema for all of them; null joins what has a type or is an enumeration."""
    if literals:
        schemas = [{"const": literals[0]} if len(literals) == 1 else {"enum": literals}, *schemas]
    others = [schema for schema in schemas if schema != ATOMS["null"]]
    if len(others) == 1 and len(others) < len(schemas):
        only = others[0]
        if "enum" in only or "const" in only:
            return {"enum": [*only.get("enum", [only.get("const")]), None]}
        if isinstance(only.get("type"), str):
            return {**only, "type": [only["type"], "null"]}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def expression_schema(expression, where):
    """'string|customer|null', "'card'|'wallet'", 'fee[]', 'list(charge)'."""
    literals, schemas, at = [], [], 0
    while True:
        match = TERM.match(expression, at)
        if not match:
            raise NotationError(f"{where}: {expression!r} is no type")
        at = match.end()
        if match["literal"] is not None:
            literals.append(match["literal"])
            schema = {"const": match["literal"]}
        else:
            schema = term_schema(match)
        if expression.startswith("[]", at):
            at += 2
            if match["literal"] is not None:
                literals.pop()
            schema = {"type": "array", "items": schema}
            schemas.append(schema)
        elif match["literal"] is None:
            schemas.append(schema)
        if at == len(expression):
            return union(literals, schemas)
        if expression[at] != "|":
            raise NotationError(f"{where}: {expression!r} is no type")
        at += 1


def member_schema(value, where):
    """A member: 'TYPE', 'TYPE: text', {"members": ...}, or JSON Schema as it is."""
    if isinstance(value, dict):
        return definition_schema(value, where) if "members" in value else value
    if isinstance(value, list):
        value = text_of(value)
    expression, _, text = value.partition(": ")
    schema = expression_schema(expression, where)
    return {**schema, "description": text} if text else schema


def definition_schema(definition, where):
    """An object that names its members: closed, and every member is there unless its name ends
    with a question mark. `open` allows more, `null` allows null instead."""
    if "members" not in definition:
        return definition
    unknown = set(definition) - DEFINITION_KEYS
    if unknown:
        raise NotationError(f"{where}: {sorted(unknown)[0]!r} is not known here")
    members = definition["members"]
    schema = {
        "type": ["object", "null"] if definition.get("null") else "object",
        "properties": {
            name.rstrip("?"): member_schema(value, f"{where}.{name}")
            for name, value in members.items()
        },
        "required": [name for name in members if not name.endswith("?")],
        "additionalProperties": bool(definition.get("open")),
    }
    if "text" in definition:
        schema = {"description": text_of(definition["text"]), **schema}
    return schema
