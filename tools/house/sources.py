"""Checks that read the sources. Each takes a Tree and answers a list of "file:line: problem"."""

import re

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 1000
FILE_LINES_WISHED = 600
PUBLIC_HEADER_LINES_WISHED = 250

# Functions that are wrong here, and what to use.
BANNED = {
    "strcpy": "buf_* or memcpy with a checked length",
    "strcat": "buf_*",
    "strncpy": "memcpy with a checked length",
    "strncat": "buf_*",
    "stpcpy": "buf_*",
    "sprintf": "snprintf or buf_*",
    "vsprintf": "vsnprintf or buf_*",
    "strtok": "span_*",
    "gets": "fgets",
    "scanf": "span_*",
    "sscanf": "span_*",
    "atoi": "span_*, which checks",
    "atol": "span_*, which checks",
    "atoll": "span_*, which checks",
    "atof": "integers",
    "rand": "os/entropy",
    "srand": "os/entropy",
    "random": "os/entropy",
    "drand48": "os/entropy",
    "system": "posix_spawn",
    "popen": "posix_spawn",
    "alloca": "an arena",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "localtime": "os/clock, in UTC",
    "gmtime": "gmtime_r",
    "ctime": "os/clock",
    "asctime": "os/clock",
    "strerror": "strerror_r or err_text",
    "getpwnam": "getpwnam_r",
    "getpwuid": "getpwuid_r",
    "inet_ntoa": "inet_ntop",
    "gethostbyname": "getaddrinfo",
    "ttyname": "ttyname_r",
    "longjmp": "err_t",
}


def each_match(tree, paths, pattern, problem, text=None):
    """Problems at every match of a pattern in the code (or in what `text` gives for a path)."""
    found = []
    for path in paths:
        content = (text or tree.code)(path)
        for match in re.finditer(pattern, content, re.MULTILINE):
            line = content.count("\n", 0, match.start()) + 1
            found.append(f"{tree.name(path)}:{line}: {problem(match)}")
    return found


def raw(path):
    return path.read_text(errors="replace")


def c_files(tree, *tops):
    tops = tops or ("src", "cmd", "tests", "tools")
    return [path for path in tree.files(".c", ".h") if tree.name(path).split("/")[0] in tops]


def include_stays_inside(tree):
    """No `..` in an include: the include path of the declared dependencies is the only door."""
    return each_match(
        tree,
        c_files(tree),
        r'^[ \t]*#[ \t]*include[ \t]*[<"][^>"\n]*\.\.[/>"]',
        lambda match: "include leaves its folder by '..'",
        text=raw,
    )


def no_float_near_money(tree):
    """No floating point in core/ and in base/money."""
    paths = [
        path
        for path in c_files(tree, "src")
        if tree.name(path).startswith("src/core/") or path.name.startswith("money")
    ]
    pattern = r"\b(float|double|_Float\w+|_Complex)\b|(?<![\w.])\d+\.\d+|(?<![\w.])\d+[eE]-?\d+\b"
    return each_match(tree, paths, pattern, lambda match: f"floating point: {match.group(0)}")


def no_banned_function(tree):
    """No function that overflows, hides failures, keeps hidden state or runs a shell."""
    pattern = r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\("
    return each_match(
        tree,
        c_files(tree),
        pattern,
        lambda match: f"{match.group(1)}() is not used here: take {BANNED[match.group(1)]}",
    )


def no_deferred_work(tree):
    """What is unfinished is an issue, not a mark in the sources."""
    pattern = r"\b(TO" + r"DO|FIX" + r"ME)\b"
    paths = tree.files(".c", ".h", ".py", ".sh", ".js", ".mjs", ".build", ".md")
    return each_match(
        tree, paths, pattern, lambda match: f"{match.group(1)}: file an issue instead", text=raw
    )


def no_prototype_in_c_file(tree):
    """A function that another file calls is declared in a header that both include."""
    paths = [path for path in c_files(tree, "src", "cmd") if path.suffix == ".c"]
    found = each_match(tree, paths, r"^extern\b.*", lambda match: "extern in a .c file")
    prototype = (
        r"^(?!static\b|typedef\b|extern\b|return\b|else\b)"
        r"[A-Za-z_][\w \t*]*?[ \t\n*]+(?!LLVMFuzzer)(\w+)\([^;{}]*\)\s*;"
    )
    return found + each_match(
        tree, paths, prototype, lambda match: f"prototype of {match.group(1)} in a .c file"
    )


def functions_fit_a_screen(tree):
    """A function body is at most FUNCTION_LINES_MAX lines."""
    found = []
    for path in c_files(tree):
        opened = None
        for number, line in enumerate(tree.code(path).split("\n"), 1):
            if line.rstrip() == "{":
                opened = number
            elif line.rstrip() == "}" and opened is not None:
                lines = number - opened
                if lines > FUNCTION_LINES_MAX:
                    found.append(
                        f"{tree.name(path)}:{opened}: a function of {lines} lines, "
                        f"the maximum is {FUNCTION_LINES_MAX}"
                    )
                opened = None
    return found


def files_over(tree, limit_of):
    found = []
    for path in c_files(tree):
        limit, lines = limit_of(path), raw(path).count("\n")
        if lines > limit:
            found.append(f"{tree.name(path)}:{lines}: {lines} lines, more than {limit}")
    return found


def files_stay_small(tree):
    """A file is at most FILE_LINES_MAX lines."""
    return files_over(tree, lambda path: FILE_LINES_MAX)


def long_files(tree):
    """Not a failure: files above the length that is wished for."""
    public = set(tree.public_headers())
    return files_over(
        tree,
        lambda path: PUBLIC_HEADER_LINES_WISHED if path in public else FILE_LINES_WISHED,
    )


def header_guards_are_unique(tree):
    """Each header has a guard and no two share one: the second would be empty without a word."""
    found, owners = [], {}
    for path in tree.files(".h"):
        match = re.search(r"^#ifndef (\w+)\n#define (\w+)", tree.code(path), re.MULTILINE)
        if not match or match.group(1) != match.group(2):
            found.append(f"{tree.name(path)}:1: no include guard")
            continue
        other = owners.setdefault(match.group(1), path)
        if other != path:
            found.append(f"{tree.name(path)}:1: guard {match.group(1)} is {tree.name(other)}'s")
    return found


def magics_are_unique(tree):
    """No two structs or files on disk carry the same magic number."""
    found, owners = [], {}
    pattern = re.compile(r"^#\s*define\s+(\w*MAGIC\w*)\s+\(?(0[xX][0-9a-fA-F]+)", re.MULTILINE)
    for path in c_files(tree):
        for match in pattern.finditer(tree.code(path)):
            name, value = match.group(1), int(match.group(2), 16)
            other = owners.setdefault(value, (name, path))
            if other != (name, path):
                found.append(f"{tree.name(path)}:1: {name} has the value of {other[0]}")
    return found


def id_prefixes_are_unique(tree):
    """An id tells by its prefix what it names: a file's types may share one (an object and what is
    left of it when it was deleted), two files' may not."""
    found, owners = [], {}
    pattern = re.compile(r"\.prefix = (?:(\w+)|\"(\w+)\")")
    for path in c_files(tree, "src"):
        if path.stem.endswith(("_test", "_fuzz")) or path.stem.startswith("testing"):
            continue
        for match in pattern.finditer(raw(path)):
            prefix = match.group(2)
            if prefix is None:
                define = re.search(rf'#define {match.group(1)}\s+"(\w+)"', raw(path))
                prefix = define.group(1) if define else None
            other = owners.setdefault(prefix, path)
            if prefix and other != path:
                found.append(f"{tree.name(path)}:1: the prefix {prefix} is {tree.name(other)}'s")
    return found


def modules_have_their_shape(tree):
    """A module is README.md, meson.build and include/<module>/."""
    found = []
    for folder in tree.modules():
        name = tree.name(folder)
        if not (folder / "README.md").is_file():
            found.append(f"{name}:1: no README.md")
        if not (folder / "include" / folder.name).is_dir():
            found.append(f"{name}:1: no include/{folder.name}/")
        for header in folder.glob("include/*/*.h"):
            if header.parent.name != folder.name:
                found.append(f"{tree.name(header)}:1: a public header of another module's name")
    return found


def prose_of(path):
    """A document with blanks in the place of its blocks of code."""
    return re.sub(r"^```.*?^```", lambda match: re.sub(r"[^\n]", " ", match.group(0)),
                  raw(path), flags=re.MULTILINE | re.DOTALL)


def headings(prose):
    """What a link may have behind '#', as GitHub makes it of a document's headings."""
    seen, names = {}, set()
    for match in re.finditer(r"^#{1,6} +(.+)$", prose, re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1)).strip().lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
    return names


def document_links_lead_somewhere(tree):
    """A relative link in a document names a file that is there, and behind '#' one of its headings."""
    found = []
    proses = {path.resolve(): prose_of(path) for path in tree.files(".md")}
    for path in tree.files(".md"):
        prose = proses[path.resolve()]
        for match in re.finditer(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", prose):
            target, heading = match.groups()
            if not match.group(0)[2:-1] or "://" in target or target.startswith("mailto:"):
                continue
            line = prose.count("\n", 0, match.start()) + 1
            there = (path.parent / target if target else path).resolve()
            if not there.exists():
                found.append(f"{tree.name(path)}:{line}: link to {target}, which is not there")
            elif heading and there in proses and heading not in headings(proses[there]):
                found.append(f"{tree.name(path)}:{line}: link to {target}#{heading}, a heading that "
                             f"is not there")
    return found


def packages_are_explained(tree):
    """Each Debian package of scripts/packages.txt is in docs/dependencies.md, with its reason."""
    listed, explained = tree.root / "scripts/packages.txt", tree.root / "docs/dependencies.md"
    if not listed.exists():
        return []
    text = raw(explained) if explained.exists() else ""
    found = []
    for number, line in enumerate(raw(listed).splitlines(), 1):
        package = line.split("#")[0].split()[:1]
        if package and not re.search(rf"(?<![\w-]){re.escape(package[0])}(?![\w-])", text):
            found.append(f"scripts/packages.txt:{number}: {package[0]} is not in docs/dependencies.md")
    return found


CHECKS = [
    include_stays_inside,
    no_float_near_money,
    no_banned_function,
    no_deferred_work,
    no_prototype_in_c_file,
    functions_fit_a_screen,
    files_stay_small,
    header_guards_are_unique,
    magics_are_unique,
    id_prefixes_are_unique,
    modules_have_their_shape,
    document_links_lead_somewhere,
    packages_are_explained,
]
