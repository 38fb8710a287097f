"""Programs in Go that tests use, built once into build/go."""

import os
import pathlib
import subprocess

from kit.server import ROOT

FOLDER = ROOT / "build" / "go"
MINUTES = 15


def go_tool(source):
    """`source` is MODULE/PATH@VERSION, or a folder with a module of ours. Answers the program."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if isinstance(source, pathlib.Path):
        out = FOLDER / source.name
        inputs = [source / name for name in ("main.go", "go.mod", "go.sum")]
        if not out.exists() or any(path.stat().st_mtime > out.stat().st_mtime for path in inputs):
            run(["go", "build", "-mod=readonly", "-o", str(out), "."], source)
        return out
    name, version = source.rsplit("@", 1)
    folder = FOLDER / version
    out = folder / name.rsplit("/", 1)[-1]
    if not out.exists():
        run(["go", "install", source], "/", GOBIN=str(folder))
    return out


def run(argv, folder, **environment):
    subprocess.run(argv, cwd=folder, check=True, timeout=MINUTES * 60,
                   env={**os.environ, "GOFLAGS": "-p=1", **environment})
