"""The ports that tests choose, kit/ports.py: no two processes are given the same one."""

import contextlib
import pathlib
import secrets
import signal
import subprocess
import sys

from kit.ports import FIRST, SIZE

TESTS = pathlib.Path(__file__).resolve().parent.parent
TAKE = """
import sys
sys.path.insert(0, sys.argv[1])
from kit.ports import Ports
ports = Ports(*sys.argv[3:4], *map(int, sys.argv[4:]))
print(*(ports.free(1)[0] for _ in range(int(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def taking(count, *among):
    """A process that takes so many, and lives on with them."""
    command = [sys.executable, "-c", TAKE, str(TESTS), str(count), *map(str, among)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        yield process


def taken_by(process):
    return [int(port) for port in process.stdout.readline().split()]


def test_processes_at_once():
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(taking(500)) for _ in range(4)]
        taken = [port for process in processes for port in taken_by(process)]
    assert len(taken) == len(set(taken)) == 2000


def test_a_killed_process_leaves_its_ports():
    among = f"test-{secrets.token_hex(8)}", FIRST, FIRST + SIZE  # one block
    with taking(1, *among) as first:
        assert taken_by(first)
        with taking(1, *among) as second:
            assert second.wait(30) != 0
            assert "other processes have all ports" in second.stderr.read()
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        with taking(1, *among) as third:
            assert taken_by(third)


def test_a_process_that_has_all_gives_them_again():
    among = f"test-{secrets.token_hex(8)}", FIRST, FIRST + 2 * SIZE
    with taking(3 * SIZE, *among) as process:
        taken = taken_by(process)
    assert len(taken) == 3 * SIZE
    assert set(taken) <= set(range(FIRST, FIRST + 2 * SIZE))
