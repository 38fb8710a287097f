"""Shows that every check can fail: each gets a small tree that breaks its rule, and one that does
not. A check that says nothing about the first, or something about the second, is itself broken."""

import pathlib
import tempfile

from house import built, invariants, sources
from house.tree import Tree, run

LONG_FUNCTION = "void\nf(void)\n{\n" + "    g();\n" * (sources.FUNCTION_LINES_MAX) + "}\n"
FITTING_FUNCTION = "void\nf(void)\n{\n" + "    g();\n" * (sources.FUNCTION_LINES_MAX - 1) + "}\n"
MODULE = "x_dep = declare_dependency(include_directories: inc)\n"

# check: (files that break the rule, files that keep it)
FIXTURES = {
    sources.include_stays_inside: (
        {"src/a/a.c": '#include "../b/b_priv.h"\n'},
        {"src/a/a.c": '#include "b/b.h" /* not ../b.h */\n'},
    ),
    sources.no_float_near_money: (
        {"src/core/a/a.c": "int a = (int)(2 * 0.5);\n"},
        {"src/core/a/a.c": "/* a double 0.5 */ int a = 2;\n", "src/os/b.c": "double b;\n"},
    ),
    sources.no_banned_function: (
        {"src/a/a.c": "void f(void) { strcpy (a, b); }\n"},
        {"src/a/a.c": 'void f(void) { my_strcpy(a); puts("strcpy(a)"); x->random(1); }\n'},
    ),
    sources.no_deferred_work: (
        {"src/a/a.c": "/* TO" + "DO: later */\n"},
        {"src/a/a.c": "/* nothing to do: all done */\n"},
    ),
    sources.no_prototype_in_c_file: (
        {"src/a/a.c": "int\nother_call(int a,\n    int b);\n"},
        {"src/a/a.c": "static int\nown(int a);\nTABLE(a, b);\nTABLE(c, d);\n\nint\nmain(void)\n{\n    own(1);\n}\n"},
    ),
    sources.functions_fit_a_screen: ({"src/a/a.c": LONG_FUNCTION}, {"src/a/a.c": FITTING_FUNCTION}),
    sources.files_stay_small: (
        {"src/a/a.h": "\n" * (sources.FILE_LINES_MAX + 1)},
        {"src/a/a.h": "\n" * sources.FILE_LINES_MAX},
    ),
    sources.header_guards_are_unique: (
        {"src/a.h": "#ifndef A_H\n#define A_H\n#endif\n", "src/b.h": "#ifndef A_H\n#define A_H\n#endif\n"},
        {"src/a.h": "#ifndef A_H\n#define A_H\n#endif\n"},
    ),
    sources.magics_are_unique: (
        {"src/a.c": "#define A_MAGIC 0x10\n", "src/b.c": "#define B_MAGIC (0x010)\n"},
        {"src/a.c": "#define A_MAGIC 0x10\n", "src/b.c": "#define B_MAGIC 0x11\n"},
    ),
    sources.id_prefixes_are_unique: (
        {"src/a.c": '#define A_PREFIX "a_"\nx = {.prefix = A_PREFIX};\n',
         "src/b.c": 'x = {.prefix = "a_"};\n'},
        {"src/a.c": 'x = {.prefix = "a_"}; y = {.prefix = "a_"};\n',
         "src/b.c": 'x = {.prefix = "b_"};\n', "src/b_test.c": 'x = {.prefix = "a_"};\n'},
    ),
    sources.modules_have_their_shape: (
        {"src/a/meson.build": MODULE, "src/a/include/a/a.h": ""},
        {"src/a/meson.build": MODULE, "src/a/README.md": "a", "src/a/include/a/a.h": ""},
    ),
    sources.document_links_lead_somewhere: (
        {"README.md": "[a](docs/a.md#a-thing) [b](#its-name-1)\n# Its name\n", "docs/a.md": "# A\n"},
        {"README.md": "[a](docs/a.md#its-name-1) [b](https://example.com#x) [c](#a)\n# `A`\n",
         "docs/a.md": "# Its name\n## Its *name*\n"},
    ),
    sources.packages_are_explained: (
        {"scripts/packages.txt": "# a\ngcc build\n", "docs/dependencies.md": "gcc-12\n"},
        {"scripts/packages.txt": "# a\ngcc build\n", "docs/dependencies.md": "| gcc, make |\n"},
    ),
    invariants.invariants_stay_shown: (
        {f"{invariants.SHOWN[0]}/README.md": "- A-1 Holds.\n", "src/a/a.c": "/* A-1 */\n",
         "src/a/a_test.c": "/* A-10 */\n"},
        {f"{invariants.SHOWN[0]}/README.md": "- A-1 Holds.\n- A-2 Too.\n",
         "src/a/a_test.c": "/* A-1: shown. */\n", "tests/e2e/test_a.py": "# A-2\n"},
    ),
    invariants.invariants_exist: (
        {"src/a/README.md": "- A-1 Holds.\n", "src/a/a.c": "/* A-2 */\n"},
        {"src/a/README.md": "- A-1 Holds.\n", "src/a/a.h": "/*\n * A-2  Too.\n */\n",
         "src/a/a.c": "/* A-1, A-2, UTF-8 */\n"},
    ),
}


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def verdict(on_bad, on_good):
    problems = []
    if not on_bad:
        problems.append("it does not notice what it is for")
    problems += [f"it complains about what is right: {problem}" for problem in on_good]
    return problems


def source_check(check, bad, good):
    answers = []
    for files in (bad, good):
        with tempfile.TemporaryDirectory() as folder:
            write(pathlib.Path(folder), files)
            answers.append(check(Tree(folder)))
    return verdict(*answers)


def module(folder, name, code, uses=()):
    """Compiles one file into an archive, as Meson would."""
    home = folder / name
    (home / "include").mkdir(parents=True, exist_ok=True)
    unit = home / "unit.c"
    unit.write_text(code)
    run("gcc", "-c", "-o", home / "unit.c.o", unit)
    archive = home / "lib.a"
    run("ar", "csrT", archive, home / "unit.c.o")
    return built.Module(name, home / "include", [archive], uses)


def module_pair(check, bad, good):
    return verdict(check({m.name: m for m in bad}), check({m.name: m for m in good}))


def built_modules(folder):
    for name in ("bad", "good"):
        write(folder / name, {"unit.c": "", "include/unit.h": ""})
    write(folder / "good", {"lib.a": ""})
    return module_pair(
        built.modules_are_built,
        [built.Module("bad", folder / "bad/include")],
        [built.Module("good", folder / "good/include", [folder / "good/lib.a"])],
    )


def headers(folder):
    modules = []
    for name, text in (("bad", "struct bad { size_t size; };\n"), ("good", "struct good;\n")):
        include = folder / name / "include"
        write(include, {f"{name}/{name}.h": text})
        modules.append(built.Module(name, include))
    return module_pair(built.headers_compile_alone, modules[:1], modules[1:])


def purity(folder):
    bad = module(folder, "core/bad", "#include <time.h>\nlong bad_f(void) { return time(0); }\n")
    good = module(folder, "core/good", "#include <string.h>\n"
                  "void good_f(char *a, int n) { memset(a, 0, n); }\n")
    return module_pair(built.pure_modules_stay_pure, [bad], [good])


def dependencies(folder):
    base = module(folder, "base", "void err_f(void) {}\n")
    code = "void err_f(void);\nvoid os_f(void) { err_f(); }\n"
    return module_pair(
        built.symbols_come_from_dependencies,
        [base, module(folder, "os", code)],
        [base, module(folder, "os", code, ["base"])],
    )


def names(folder):
    bad = module(folder, "store", "int counter;\n")
    good = module(folder, "os", "int os_counter;\nstatic int counter;\nint *os_f(void) "
                  "{ return &counter; }\n")
    return module_pair(built.global_names_carry_their_module, [bad], [good])


def layers(folder):
    return module_pair(
        built.layers_point_down,
        [built.Module("core/ledger", uses=["os"])],
        [built.Module("core/ledger", uses=["base"])],
    )


def telling(folder):
    bad = module(folder, "remote", "#include <stdio.h>\nint x;\n"
                 "void remote_f(void) { fprintf(stderr, \"%d\", x); }\n")
    good = built.Module("net", archives=bad.archives)
    return module_pair(built.remote_tells_nobody, [bad], [good])


def one_door(folder):
    vault = module(folder, "service/vault", "void vault_open(void) {}\n")
    thief = module(folder, "api", "void vault_open(void);\nvoid api_f(void) { vault_open(); }\n")
    objects = []
    for name in ("role_vault.c", "role_cards.c"):
        unit = folder / name
        unit.write_text("void vault_open(void);\nvoid f(void) { vault_open(); }\n")
        objects.append(folder / f"{name}.o")
        run("gcc", "-c", "-o", objects[-1], unit)
    modules = {"service/vault": vault}
    bad = built.vault_has_one_door({**modules, "api": thief}, []) and built.vault_has_one_door(
        modules, objects)
    return verdict(bad, built.vault_has_one_door(modules, objects[:1]))


def program(folder):
    unit = folder / "main.c"
    unit.write_text("#include <stdio.h>\nint main(void) { char a[9]; return !fgets(a, 9, stdin); }\n")
    soft, hard = folder / "soft", folder / "hard"
    run("gcc", "-no-pie", "-fno-stack-protector", "-z", "execstack", "-z", "lazy", "-z", "norelro",
        "-o", soft, unit)
    run("gcc", "-fPIE", "-pie", "-fstack-protector-strong", "-z", "now", "-z", "relro",
        "-z", "noexecstack", "-o", hard, unit)
    bad, good = built.program_is_hardened(soft), built.program_is_hardened(hard)
    return verdict(len(bad) == 5, good)


BUILT = {
    built.modules_are_built: built_modules,
    built.headers_compile_alone: headers,
    built.pure_modules_stay_pure: purity,
    built.symbols_come_from_dependencies: dependencies,
    built.global_names_carry_their_module: names,
    built.layers_point_down: layers,
    built.remote_tells_nobody: telling,
    built.vault_has_one_door: one_door,
    built.program_is_hardened: program,
}


def run_all():
    """Name and problems of each self-test; a check without one is a problem too."""
    for check in sources.CHECKS + invariants.CHECKS:
        if check in FIXTURES:
            yield check.__name__, source_check(check, *FIXTURES[check])
        else:
            yield check.__name__, ["it has no self-test"]
    for check in built.MODULE_CHECKS + [built.vault_has_one_door, built.program_is_hardened]:
        with tempfile.TemporaryDirectory() as folder:
            yield check.__name__, BUILT[check](pathlib.Path(folder))
