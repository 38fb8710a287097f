"""`tael backup` and `tael restore` from outside."""

import hashlib
import pathlib
import shutil
import subprocess

from kit.server import PROGRAM, without_tael_settings


def backup(server, to, *arguments, check=True, data=None, **keywords):
    result = subprocess.run(
        [str(server.program), "backup", f"--data={data or server.data}", f"--to={to}", *arguments],
        capture_output=True, timeout=120, env=without_tael_settings(), check=False, **keywords)
    if check:
        assert result.returncode == 0, result.stderr.decode()
    return result


def restore(source, to, *arguments, stdin=None):
    result = subprocess.run(
        [str(PROGRAM), "restore", f"--from={source}", f"--to={to}", *arguments],
        capture_output=True, timeout=120, env=without_tael_settings(), input=stdin, check=False)
    result.stderr, result.stdout = result.stderr.decode(), result.stdout.decode()
    return result


def points(folder):
    return sorted((pathlib.Path(folder) / "points").iterdir())


def with_ledger_of(point, other):
    """Gives a backup the ledger (of one segment) of another one, so that every digest is right."""
    segment = other / "ledger" / "00000001.log"
    shutil.copy(segment, point / "ledger" / "00000001.log")
    lines = (point / "MANIFEST").read_text().splitlines(keepends=True)
    head = next(line for line in (other / "MANIFEST").read_text().splitlines(keepends=True)
                if line.startswith("# head"))
    digest = hashlib.sha256(segment.read_bytes()).hexdigest()
    (point / "MANIFEST").write_text("".join(
        head if line.startswith("# head")
        else f"{digest}  ledger/00000001.log\n" if line.endswith("  ledger/00000001.log\n")
        else line for line in lines))
