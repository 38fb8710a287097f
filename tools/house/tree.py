"""The source tree as the checks see it: files, modules, and C text without comments."""

import pathlib
import re
import subprocess

SKIPPED = {".git", "node_modules", "__pycache__", ".cache"}


class Tree:
    """A folder with the shape of this repository. Self-tests make small ones."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self._code = {}

    def files(self, *suffixes):
        """Paths of the files that people wrote, sorted; what was built is not among them."""
        return sorted(self._walk(self.root, suffixes))

    def _walk(self, folder, suffixes):
        for path in folder.iterdir():
            if path.is_symlink():
                continue
            if path.is_dir():
                built = path.parent == self.root and re.fullmatch(r"build(-\w+)?", path.name)
                if path.name not in SKIPPED and not built:
                    yield from self._walk(path, suffixes)
            elif path.suffix in suffixes:
                yield path

    def name(self, path):
        return str(pathlib.Path(path).relative_to(self.root))

    def code(self, path):
        """A C file with comments and the insides of literals blanked; lines stay where they are."""
        if path not in self._code:
            self._code[path] = without_comments(path.read_text(errors="replace"))
        return self._code[path]

    def modules(self):
        """Folders under src/ that are modules: those whose meson.build declares a dependency."""
        found = []
        for path in self.files(".build"):
            if path.name != "meson.build" or self.root / "src" not in path.parents:
                continue
            if "declare_dependency(" in path.read_text():
                found.append(path.parent)
        return found

    def module_name(self, folder):
        """src/core/ledger is core/ledger."""
        return str(pathlib.Path(folder).relative_to(self.root / "src"))

    def public_headers(self):
        return [path for path in self.files(".h") if "include" in self.name(path).split("/")]


LITERAL_OR_COMMENT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)


def without_comments(text):
    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return re.sub(r"[^\n]", " ", found)

    return LITERAL_OR_COMMENT.sub(blank, text)


def run(*argv, cwd=None):
    """Standard output, standard error and exit code of a tool of the compiler's family."""
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr, done.returncode
