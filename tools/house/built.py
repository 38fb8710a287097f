"""Checks that read what the compiler made: headers, symbols, layers, the program."""

import fnmatch
import json
import pathlib
import re
import tempfile

from house import tree as sources

# What each layer may use, besides itself: the map of ARCHITECTURE.md. A module's name is its folder
# under src/. Meson refuses upward edges anyway; this refuses the sideways ones too.
MAY_USE = {
    "base": [],
    "os": ["base"],
    "core/commit": ["base", "core/ledger"],  # its records are the ledger's transfers
    "core/*": ["base"],
    "wire/record": ["base", "core/ledger", "wire/json"],  # the types that it writes are the ledger's
    "wire/*": ["base", "wire/*"],
    "postgres": ["base", "os"],
    "store": ["base", "os", "core/*", "wire/record", "postgres"],
    "document": ["base", "os", "core/shard", "postgres"],
    "trace": ["base", "os", "wire/*"],
    "image": ["base"],
    "callback": ["base", "os"],
    "net": ["base", "os", "wire/*", "trace"],
    "upstream": ["base", "os", "core/balance", "wire/*", "net", "trace"],
    "redis": ["base", "os", "core/cache", "wire/tracecontext", "net", "trace", "port"],
    "port": ["base", "os", "core/*", "wire/tracecontext"],
    "engine": ["base", "os", "core/*", "wire/*", "store", "net", "trace", "port"],
    "shards": ["base", "os", "core/ledger", "core/shard", "core/commit", "wire/tracecontext", "port"],
    "resource": ["base", "os", "core/cache", "wire/*", "document", "port", "trace"],
    "books": [
        "base", "os", "core/ledger", "core/shard", "wire/form", "wire/tracecontext", "document",
        "port", "resource",
    ],
    "recipient": [
        "base", "os", "callback", "wire/form", "wire/json", "wire/tracecontext", "document", "port", "resource",
    ],
    "coordinator": [
        "base", "os", "callback", "core/cache", "wire/form", "wire/json", "wire/tracecontext", "document", "port",
        "recipient", "resource", "trace",
    ],
    "remote": ["base", "os", "core/*", "wire/*", "net", "upstream", "trace", "port"],
    "service/*": [
        "base", "os", "core/*", "wire/*", "store", "document", "net", "upstream", "trace", "port",
        "engine", "resource", "books", "coordinator", "callback", "recipient", "image",
    ],
    "api": ["base", "os", "wire/*", "document", "net", "trace", "port", "resource", "core/*"],
    "gateway": ["base", "os", "core/balance", "wire/*", "net", "upstream", "trace", "port", "redis"],
}

# Undefined symbols that a pure module may have. Memory is the caller's, time an argument.
PURE_MODULES = ["core/*", "wire/*"]
PURE_SYMBOLS = [
    "mem*", "__mem*_chk", "explicit_bzero", "__explicit_bzero_chk", "strlen", "strnlen", "strcmp",
    "strncmp", "strchr", "bcmp", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_", "__popcountdi2",
    "__udivti3", "__umodti3", "__udivmodti4", "__divti3", "__modti3",
]

# Global names begin with the module's name. base has no name that its users would want to read, so
# its objects have theirs.
PREFIXES = {
    "base": [
        "assert_", "err_", "span_", "buf_", "arena_", "map_", "hash_", "u128_", "id_", "machine_",
        "base64_", "ip_", "money_", "currency_", "settings_", "list_",
    ],
    "store": ["store_", "journal_", "snapshot_"],
    "engine": ["engine_", "ledger_engine_"],
}


class Module:
    """A folder under src/: its declared dependencies and, once built, its archives."""

    def __init__(self, name, include=None, archives=(), uses=()):
        self.name = name
        self.include = include
        self.archives = list(archives)
        self.uses = set(uses)
        self.allowed = []

    def sources(self):
        """What its archive is made of."""
        found = self.include.parent.rglob("*.c") if self.include else []
        return [path for path in found if not path.stem.endswith(("_test", "_fuzz", "_bench"))]

    def prefixes(self):
        return PREFIXES.get(self.name, [self.name.split("/")[-1] + "_"])

    def pure(self):
        return matches(self.name, PURE_MODULES)


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def read_modules(tree, build):
    """The modules as Meson configured them: a dependency is the include folder that it gave."""
    output, complaint, code = sources.run("meson", "introspect", "--targets", build)
    if code != 0:
        raise OSError(f"meson introspect: {complaint.strip()}")
    modules = {}
    for folder in tree.modules():
        include = folder / "include"
        modules[tree.module_name(folder)] = Module(tree.module_name(folder), include)
    by_include = {str(module.include): module.name for module in modules.values()}
    for target in json.loads(output):
        folder = pathlib.Path(target["defined_in"]).parent
        if target["type"] != "static library" or tree.root / "src" not in folder.parents:
            continue
        module = modules[tree.module_name(folder)]
        module.archives += target["filename"]
        for part in target["target_sources"]:
            for parameter in part["parameters"]:
                used = by_include.get(parameter.removeprefix("-I"))
                if used is not None and used != module.name:
                    module.uses.add(used)
    for module in modules.values():
        module.allowed = read_allowed(module.include.parent / "allowed_symbols.txt")
    for module in modules.values():
        if not module.archives:  # only headers: what they include is what they use
            module.uses = used_by_headers(module, modules)
    return modules


def read_allowed(path):
    """Lines "symbol" or "symbol object.c": what a pure module may use besides, and where."""
    allowed = []
    if path.exists():
        for line in path.read_text().splitlines():
            words = line.split("#")[0].split()
            if words:
                allowed.append((words[0], words[1] if len(words) > 1 else "*"))
    return allowed


def used_by_headers(module, modules):
    used = set()
    for header in module.include.rglob("*.h"):
        for found in re.findall(r'^#include "([^"]+)"', header.read_text(), re.MULTILINE):
            for other in modules.values():
                if other is not module and (other.include / found).exists():
                    used.add(other.name)
    return used


def modules_are_built(modules):
    """A module with sources has an archive: the root meson.build names its folder."""
    return [
        f"{module.name}: has sources, but nothing is built of them"
        for module in modules.values()
        if module.sources() and not module.archives
    ]


# ---- headers -------------------------------------------------------------------------------

HEADER_FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def reachable(module, modules):
    """What a module uses, and what that uses in turn."""
    found, waiting = set(), [module.name]
    while waiting:
        for name in modules[waiting.pop()].uses - found:
            found.add(name)
            waiting.append(name)
    return found


def headers_compile_alone(modules):
    """Every public header compiles by itself, with the declared dependencies and nothing else."""
    found = []
    for module in modules.values():
        uses = module.uses if module.archives else reachable(module, modules)
        include = [f"-I{module.include}"]
        include += [f"-I{modules[name].include}" for name in sorted(uses)]
        for header in sorted(module.include.rglob("*.h")):
            name = header.relative_to(module.include)
            with tempfile.NamedTemporaryFile("w", suffix=".c") as unit:
                # Twice: a guard that does not work shows.
                unit.write(f'#include "{name}"\n#include "{name}"\nextern int unit_is_not_empty;\n')
                unit.flush()
                _, complaint, code = sources.run("gcc", *HEADER_FLAGS, *include, unit.name)
            if code != 0:
                lines = complaint.splitlines()
                first = next((line for line in lines if "error" in line), lines[0] if lines else "?")
                found.append(f"{module.name}: {name}: {first}")
    return found


# ---- symbols -------------------------------------------------------------------------------


class Symbol:
    def __init__(self, name, kind, unit):
        self.name = name
        self.kind = kind
        self.unit = unit  # arena.c

    def undefined(self):
        return self.kind in "Uw"

    def exported(self):
        return self.kind.isupper() and self.kind != "U"


def read_symbols(module):
    found = []
    for archive in module.archives:
        output, complaint, code = sources.run("nm", "-A", "-P", archive)
        if code != 0:
            raise OSError(f"nm {archive}: {complaint.strip()}")
        for line in output.splitlines():
            where, rest = line.split("]: ", 1)
            unit = where.rsplit("[", 1)[1].rsplit("/", 1)[-1].removesuffix(".o")
            words = rest.split()
            found.append(Symbol(words[0], words[1], unit))
    return found


def symbol_table(modules):
    return {module.name: read_symbols(module) for module in modules.values()}


def exported_names(table):
    """Which module defines a global name."""
    owner = {}
    for name, symbols in table.items():
        for symbol in symbols:
            if symbol.exported():
                owner.setdefault(symbol.name, name)
    return owner


def pure_modules_stay_pure(modules):
    """The archives of core/ and wire/ call nothing but memory helpers and their dependencies: no
    clock, no allocator, no input or output."""
    table = symbol_table(modules)
    owner = exported_names(table)
    found = []
    for module in modules.values():
        if not module.pure():
            continue
        for symbol in table[module.name]:
            if not symbol.undefined() or matches(symbol.name, PURE_SYMBOLS):
                continue
            used = owner.get(symbol.name)
            if used == module.name or used in module.uses:
                continue
            if any(
                fnmatch.fnmatchcase(symbol.name, name) and fnmatch.fnmatchcase(symbol.unit, unit)
                for name, unit in module.allowed
            ):
                continue
            found.append(f"{module.name}: {symbol.unit} uses {symbol.name}")
    return found


def symbols_come_from_dependencies(modules):
    """What a module calls of another is of one that its meson.build declares."""
    table = symbol_table(modules)
    owner = exported_names(table)
    found = []
    for module in modules.values():
        for symbol in table[module.name]:
            used = owner.get(symbol.name)
            if symbol.undefined() and used not in (None, module.name) and used not in module.uses:
                found.append(f"{module.name}: {symbol.unit} uses {symbol.name} of {used}, "
                             "which its meson.build does not declare")
    return found


def global_names_carry_their_module(modules):
    """A global name begins with its module's name."""
    found = []
    for module in modules.values():
        for symbol in read_symbols(module):
            if symbol.exported() and not symbol.name.startswith(tuple(module.prefixes())):
                found.append(f"{module.name}: {symbol.unit} exports {symbol.name}")
    return found


def layers_point_down(modules):
    """A module uses only what its layer may use."""
    found = []
    for module in modules.values():
        allowed = next(
            (uses for pattern, uses in MAY_USE.items() if fnmatch.fnmatchcase(module.name, pattern)),
            None,
        )
        if allowed is None:
            found.append(f"{module.name}: a folder that tools/house/built.py has no layer for")
            continue
        for used in sorted(module.uses):
            if not matches(used, allowed):
                found.append(f"{module.name}: may not use {used}")
    return found


# ---- the vault -----------------------------------------------------------------------------

# The only object of the program that opens the vault (M6).
VAULT_ROLE = "role_vault.c"
# What writes where somebody could read it.
TELLING = ["trace_log_*", "trace_line_*", "printf", "fprintf", "vprintf", "puts", "fputs", "putchar",
           "fwrite", "perror", "syslog", "__printf_chk", "__fprintf_chk", "__vfprintf_chk", "dprintf"]


def vault_has_one_door(modules, objects):
    """No module uses the vault's library, and of the program's objects only its role's file does."""
    table = symbol_table(modules)
    owner = exported_names(table)
    found = [f"{name}: {symbol.unit} uses {symbol.name} of the vault"
             for name, symbols in table.items() for symbol in symbols
             if symbol.undefined() and name != "service/vault"
             and owner.get(symbol.name) == "service/vault"]
    for path in objects:
        unit = path.name.removesuffix(".o")
        output, complaint, code = sources.run("nm", "-P", path)
        if code != 0:
            raise OSError(f"nm {path}: {complaint.strip()}")
        for words in map(str.split, output.splitlines()):
            if words[1] in "Uw" and owner.get(words[0]) == "service/vault" and unit != VAULT_ROLE:
                found.append(f"program: {unit} uses {words[0]} of the vault")
    return found


def remote_tells_nobody(modules):
    """What carries card numbers between processes neither logs nor prints (REMOTE-7)."""
    return [f"{module.name}: {symbol.unit} uses {symbol.name}"
            for module in modules.values() if module.name == "remote"
            for symbol in read_symbols(module)
            if symbol.undefined() and matches(symbol.name, TELLING)]


# ---- the program ---------------------------------------------------------------------------


def program_is_hardened(program):
    """The executable is position independent, fully relocated read-only, with a stack that cannot
    be executed and with stack protectors."""
    output, complaint, code = sources.run("readelf", "-W", "-h", "-l", "-d", "--dyn-syms", program)
    if code != 0:
        raise OSError(f"readelf {program}: {complaint.strip()}")
    name = pathlib.Path(program).name
    found = []
    if not re.search(r"Type:\s+DYN\b", output) or not re.search(r"FLAGS_1\).*\bPIE\b", output):
        found.append(f"{name}: not a position independent executable")
    if not re.search(r"BIND_NOW|FLAGS_1\).*\bNOW\b", output):
        found.append(f"{name}: not bound at start (BIND_NOW)")
    if "GNU_RELRO" not in output:
        found.append(f"{name}: no GNU_RELRO")
    stack = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}(\S+)", output)
    if not stack or "E" in stack.group(1):
        found.append(f"{name}: the stack is executable")
    if "__stack_chk_fail" not in output:
        found.append(f"{name}: no stack protector")
    return found


MODULE_CHECKS = [
    modules_are_built,
    headers_compile_alone,
    pure_modules_stay_pure,
    symbols_come_from_dependencies,
    global_names_carry_their_module,
    layers_point_down,
    remote_tells_nobody,
]
