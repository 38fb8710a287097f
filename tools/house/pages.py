"""Pages of docs/api as Markdown, from the API's description and from what a server answered."""

import json
import urllib.parse

from house.notation import unsigned

NOTE = "<!-- Made by tools/api-pages from src/api/description and a running server. -->\n"
WIDTH = 88
ERRORS = "Refusals"
UNSIGNED = {str(unsigned(bits)["anyOf"]): bits for bits in (16, 32, 64, 128)}


def form_pairs(value, name=None):
    """A value as a form has it: a[b]=1, a[]=1, a[0][b]=1."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from form_pairs(inner, key if name is None else f"{name}[{key}]")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from form_pairs(inner, f"{name}[{index if isinstance(inner, dict) else ''}]")
    elif isinstance(value, bool):
        yield name, str(value).lower()
    else:
        yield name, str(value)


# ---- schemas -------------------------------------------------------------------------------


class Types:
    """Names of types, with links to the pages that tell of them."""

    def __init__(self, page_of, page):
        self.page_of = page_of
        self.page = page

    def link(self, name):
        page = self.page_of.get(name)
        anchor = "#" + name.replace(".", "")
        if page is None:
            return f"`{name}`"
        return f"[{name}]({'' if page == self.page else page + '.md'}{anchor})"

    def name(self, schema):
        if "$ref" in schema:
            return self.link(schema["$ref"].rsplit("/", 1)[1])
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        if "enum" in schema:
            return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
        if str(schema.get("anyOf")) in UNSIGNED:
            return f"integer below 2^{UNSIGNED[str(schema['anyOf'])]}, or its digits"
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self.name(inner) for inner in schema["anyOf"]))
        kind = schema.get("type", "anything")
        if isinstance(kind, list):
            return " or ".join(self.name({**schema, "type": one}) for one in kind)
        if kind == "array":
            return f"list of {self.name(schema.get('items', {}))}"
        if kind == "integer" and schema.get("format") == "unix-time":
            return "timestamp"
        return {"object": "hash"}.get(kind, kind) + self.limits(schema, kind)

    @staticmethod
    def limits(schema, kind):
        if kind == "string" and "maxLength" in schema:
            return f", at most {schema['maxLength']} characters"
        if kind == "integer" and "minimum" in schema and "maximum" in schema:
            return f", {schema['minimum']} to {schema['maximum']}"
        return ""


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def members(schema, prefix=""):
    """(full name, schema) of every member, nested ones behind their hash."""
    for name, inner in schema.get("properties", {}).items():
        full = f"{prefix}[{name}]" if prefix else name
        yield full, inner, name in schema.get("required", ())
        yield from members(inner, full)


def member_table(schema, types):
    lines = ["| member | type | |", "|---|---|---|"]
    for name, inner, required in members(schema):
        text = inner.get("description", "")
        text += "" if required else " Optional."
        lines.append(f"| `{name}` | {cell(types.name(inner))} | {cell(text)} |")
    return "\n".join(lines) + "\n"


# ---- operations ----------------------------------------------------------------------------


def parameters(operation):
    """(full name, schema, required, text) of what a request may say, headers apart."""
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") != "query":
            continue
        name, text = parameter["name"], parameter.get("description", "")
        yield name, parameter["schema"], parameter["required"], text
        for inner, schema, required in members(parameter["schema"], name):
            yield inner, schema, required, schema.get("description", "")
    form = operation.get("requestBody", {}).get("content", {}).get(
        "application/x-www-form-urlencoded", {})
    for name, schema, required in members(form.get("schema", {})):
        yield name, schema, required, schema.get("description", "")


def parameter_table(operation, types):
    rows = [
        f"| `{name}` | {cell(types.name(schema))} | {'Required. ' if required else ''}{cell(text)} |"
        for name, schema, required, text in parameters(operation)
    ]
    if not rows:
        return ""
    return "\n".join(["| parameter | type | |", "|---|---|---|", *rows]) + "\n\n"


def body_line(operation, types):
    """What a route reads that reads its body itself."""
    parts = []
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        if kind == "application/json":
            parts.append(f"JSON: {types.name(media['schema'])}")
        elif kind != "application/x-www-form-urlencoded":
            parts.append(f"`{kind}`")
    return f"Reads {'; or '.join(parts)}.\n\n" if parts else ""


def answers_line(operation, types):
    """What it answers, and with which statuses it refuses."""
    parts, refusals = [], []
    for status, answer in operation["responses"].items():
        if status >= "400":
            refusals.append(status)
            continue
        for kind, media in answer.get("content", {}).items():
            if kind != "application/json":
                parts.append(f"`{kind}`")
                continue
            schema = media.get("schema", {})
            item = schema.get("properties", {}).get("data", {}).get("items")
            parts.append(f"a list of {types.name(item)}" if item else types.name(schema))
    return f"Answers {' or '.join(parts)}. {ERRORS}: {', '.join(refusals)}.\n\n"


# ---- examples ------------------------------------------------------------------------------


def quote(text):
    """A word of a shell's command, quoted only if it must be."""
    return text if not set(text) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@-,") else f"'{text}'"


def curl(example):
    """The command that sends the request."""
    words = ["curl", f'"$TAEL{example["path"]}"']
    words += [] if example["public"] else ["-u", '"$KEY:"']
    lines, line = [], " ".join(words)
    if example["method"] == "DELETE":
        line += " -X DELETE"
    for name, value in example.get("headers", {}).items():
        lines.append(line)
        line = f"-H '{name}: {value}'"
    if "json" in example:
        lines += [line, "-H 'Content-Type: application/json'"]
        body = json.dumps(example["json"])
        if len(body) > WIDTH:
            body = json.dumps(example["json"], indent=2).replace("\n", "\n    ")
        line = f"-d '{body}'"
    pairs = list(form_pairs(example.get("form", {})))
    if example["method"] == "GET" and pairs:
        lines.append(line)
        line = "-G"
    for name, value in pairs:
        word = "-d " + quote(f"{name}={value}")
        if len(line) + len(word) > WIDTH:
            lines.append(line)
            line = word
        else:
            line += " " + word
    lines.append(line)
    if not pairs and example["method"] == "POST" and "json" not in example:
        lines[0] = lines[0].replace("curl ", "curl -X POST ", 1)
    return " \\\n    ".join(lines)


def example_text(example):
    text = f"{example['does']}:\n\n" if example.get("does") else ""
    text += f"```sh\n{curl(example)}\n```\n\n"
    kind = example["kind"]
    if kind == "application/json":
        shown = json.dumps(example["answer"], indent=2, ensure_ascii=False)
        status = "" if example["status"] == 200 else f"Status {example['status']}:\n\n"
        return text + f"{status}```json\n{shown}\n```\n\n"
    if kind.startswith("text/") and not kind.startswith("text/html"):
        return text + f"`{kind}`:\n\n```\n{example['answer'].replace(chr(13), '').rstrip()}\n```\n\n"
    return text + f"Status {example['status']}, `{kind}`.\n\n"


# ---- pages ---------------------------------------------------------------------------------


def anchor(title):
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return urllib.parse.quote(kept.replace(" ", "-"))


def route_of(method, template):
    return f"{method} {template}"


def page_text(page, operations, schemas, examples, types):
    """`operations`: [(route, operation)]; `examples`: {route: [example]}."""
    text = f"{NOTE}\n# {page['title']}\n\n"
    if page.get("text"):
        text += page["text"] + "\n\n"
    text += "| | |\n|---|---|\n" if operations else ""
    for route, operation in operations:
        text += f"| [`{route}`](#{anchor(operation['summary'])}) | {operation['summary']} |\n"
    for route, operation in operations:
        text += f"\n## {operation['summary']}\n\n`{route}`"
        right = operation.get("x-permission")
        text += f", with a restricted key: `{right}`" if right else ""
        text += "; also with a publishable key" if operation.get("x-publishable-key") else ""
        text += "\n\n"
        if operation.get("description"):
            text += operation["description"] + "\n\n"
        text += parameter_table(operation, types) + body_line(operation, types)
        text += answers_line(operation, types)
        text += "".join(example_text(example) for example in examples.get(route, ()))
        text = text.rstrip("\n") + "\n"
    for name, schema in schemas:
        text += f"\n## {name}\n\n"
        if schema.get("description"):
            text += schema["description"] + "\n\n"
        text += member_table(schema, types) if "properties" in schema else types.name(schema) + "\n"
    return text
