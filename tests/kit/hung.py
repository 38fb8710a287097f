"""A thread of a process that stands still while the others go on, as ptrace(2) can make it."""

import contextlib
import ctypes
import os
import pathlib

from kit.server import wait_until

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WAIT_FOR_THREADS = 0x40000000  # __WALL of waitpid(2)


@contextlib.contextmanager
def hung_thread(process, name):
    """Until the block ends. It is the thread of the block that holds it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    threads = pathlib.Path(f"/proc/{process.pid}/task")
    thread = wait_until(  # it gives itself its name
        lambda: next((int(path.name) for path in threads.iterdir()
                      if (path / "comm").read_text() == name + "\n"), None), 10, f"thread {name}")
    for request in (SEIZE, INTERRUPT):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(thread, WAIT_FOR_THREADS)
    try:
        yield
    finally:
        libc.ptrace(DETACH, thread, None, None)
