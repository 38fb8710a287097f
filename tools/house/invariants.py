"""Invariants with numbers: who defines them, and which test says that it shows one.

A README.md defines one by a line of a list, a file of C by a line of the comment at its top:

    - JOURNAL-1 Every byte ...          * PAGES-1  A page in use ...

A test shows it if it has the name, with the number, in a comment. Tests of a module lie in its
folder, or in tests/.
"""

import re

DEFINITION = re.compile(r"^(?:- | \* |// )([A-Z][A-Z0-9]*-\d+)(?=[ :]|$)", re.MULTILINE)
NAME = re.compile(r"\b([A-Z][A-Z0-9]*)-(\d+)\b")
TEST = re.compile(r"(_test|_fuzz|_testing|_world)\.|^testing|^differential_")
SUFFIXES = (".c", ".h", ".py", ".js", ".pml")

# Modules of which every invariant is shown. There is no way out of this list.
SHOWN = [
    "src/books",
    "src/core/balance",
    "src/core/cache",
    "src/core/commit",
    "src/core/ledger",
]


def text_of(path):
    return path.read_text(errors="replace")


def is_test(tree, path):
    return tree.name(path).startswith("tests/") or TEST.search(path.name) is not None


def home_of(tree, path):
    """The folder of the nearest README.md at or above a file: the module."""
    folder = path.parent
    while folder != tree.root and not (folder / "README.md").is_file():
        folder = folder.parent
    return "." if folder == tree.root else tree.name(folder)


def defined(tree):
    """{module: [invariant]}, in their order."""
    found = {}
    for path in [*tree.files(".md"), *tree.files(".h", ".c")]:
        if tree.name(path).split("/")[0] not in ("src", "cmd") or is_test(tree, path):
            continue
        if path.suffix == ".md" and path.name != "README.md":
            continue
        names = found.setdefault(home_of(tree, path), [])
        names += [name for name in DEFINITION.findall(text_of(path)) if name not in names]
    return found


def shown(tree):
    """{invariant: [module of a test that has its name, or "tests"]}."""
    found = {}
    for path in tree.files(*SUFFIXES):
        if is_test(tree, path):
            inside = tree.name(path).startswith("tests/")
            where = "tests" if inside else home_of(tree, path)
            for match in NAME.finditer(text_of(path)):
                found.setdefault(match.group(0), set()).add(where)
    return found


def missing(tree):
    """{module: [invariant that no test has]}; one whose name two modules have is shown beside its own."""
    shows, modules = shown(tree), defined(tree)
    owners = {}
    for names in modules.values():
        for name in names:
            owners[name] = owners.get(name, 0) + 1
    result = {}
    for module, names in modules.items():
        for name in names:
            where = shows.get(name, set())
            if not where or (owners[name] > 1 and not where & {module, "tests"}):
                result.setdefault(module, []).append(name)
    return result


def invariants_stay_shown(tree):
    """Where every invariant was shown by a test once, it stays so."""
    lacks = missing(tree)
    return [
        f"{module}/README.md:1: no test names {name}"
        for module in SHOWN
        for name in lacks.get(module, [])
    ]


def invariants_exist(tree):
    """What the sources name is defined somewhere: a number that went is named nowhere."""
    known = {name for names in defined(tree).values() for name in names}
    prefixes = {name.rsplit("-", 1)[0] for name in known}
    found = []
    for path in tree.files(".c", ".h", ".py", ".md", ".pml"):
        text = text_of(path)
        for match in NAME.finditer(text):
            if match.group(1) in prefixes and match.group(0) not in known:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{tree.name(path)}:{line}: {match.group(0)}, which nothing defines")
    return found


def notes(tree):
    """Not a failure: modules with invariants that no test names."""
    return [
        f"{module}: no test names {' '.join(names)}" for module, names in sorted(missing(tree).items())
    ]


CHECKS = [invariants_stay_shown, invariants_exist]
