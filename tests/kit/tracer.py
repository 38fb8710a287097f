"""A process under strace, which changes what its calls answer."""

import contextlib
import pathlib
import re
import subprocess

import pytest

from kit.server import has_ended, wait_until


@contextlib.contextmanager
def injected(pid, *injections):
    """From when strace has every thread; the trace is the test's own process."""
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid),
               *(f"--inject={injection}" for injection in injections)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as trace:
        try:
            wait_until(lambda: has_ended(trace.pid) or all_traced(pid), 10, "strace to attach")
            if has_ended(trace.pid):
                pytest.skip(f"cannot trace here: {trace.stderr.read().decode().strip()}")
            yield
        finally:
            trace.terminate()


def all_traced(pid):
    """Threads that begin later are traced from their beginning."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if re.search(r"TracerPid:\s*0\n", (task / "status").read_text()):
                return False
    return True
