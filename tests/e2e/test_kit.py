"""What tests stand on: a wire that ends when it is told, and a browser that starts from any process."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from kit import books
from kit.server import wait_until
from kit.wire import Wire

TESTS = pathlib.Path(__file__).resolve().parent.parent
BROWSE = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from kit.chromium import Chromium
browser = Chromium(pathlib.Path(sys.argv[2]))
print(browser.page().js("6 * 7"), flush=True)
browser.close()
"""


@pytest.fixture(name="far")
def fixture_far():
    """Somebody who listens, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def connected(one):
    return socket.create_connection(("127.0.0.1", one.port), timeout=20)


def refuses(one):
    with contextlib.suppress(ConnectionRefusedError), connected(one):
        return False
    return True


def test_nobody_listens_at_a_closed_wire(far):
    closed = Wire(far.getsockname()[1])
    closed.close()
    assert refuses(closed)


def test_a_cut_amid_a_connect(far, monkeypatch):
    """What was on its way is cut as well."""
    cut = Wire(far.getsockname()[1])
    connect = socket.create_connection

    def connect_and_cut(*arguments, **keywords):
        made = connect(*arguments, **keywords)
        cut.cut()
        return made

    client = connected(cut)
    wait_until(lambda: cut.pairs, 20, "the first")
    monkeypatch.setattr(socket, "create_connection", connect_and_cut)
    with socket.socket() as late:
        late.settimeout(20)
        late.connect(("127.0.0.1", cut.port))
        assert late.recv(1) == client.recv(1) == b""
    assert cut.pairs == set()
    client.close()
    cut.close()


class Held(Wire):
    """One direction goes on after its end, for as long as the test wants."""

    def __init__(self, target):
        self.goes = threading.Event()
        super().__init__(target)

    def _carry(self, source, sink, pair):
        super()._carry(source, sink, pair)
        if source is pair[0]:
            self.goes.wait(20)


def test_sockets_are_closed_when_nobody_uses_them(far):
    """Or their numbers would be those of other connections, with which a carrier would go on."""
    held = Held(far.getsockname()[1])
    with connected(held):
        (pair,) = wait_until(lambda: list(held.pairs), 20, "the connection")
        held.end_all()
        wait_until(lambda: held.carriers[pair] == 1, 20, "the end of one direction")
        assert all(one.fileno() >= 0 for one in pair)
        held.goes.set()
        wait_until(lambda: pair not in held.carriers, 20, "the end of the other")
        assert all(one.fileno() < 0 for one in pair)
    held.close()


def test_a_browser_of_a_bare_process(tmp_path):
    """Whose pipes would have just the numbers that Chromium looks for."""
    if shutil.which("chromium") is None:
        pytest.skip("there is no Chromium here")
    result = subprocess.run([sys.executable, "-c", BROWSE, str(TESTS), str(tmp_path)], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stdout) == (0, "42\n"), result.stderr


class ReadAs:
    """Books that are read as these, one after the other, and are right with 0."""

    def __init__(self, *found):
        self.found = list(found)

    def __call__(self, server):
        made = ReadAs()
        made.last = self.found.pop(0)
        return made

    def read(self):
        return self.last

    def check(self):
        assert self.last == 0


def test_books_amid_which_something_moves_are_read_again(monkeypatch):
    monkeypatch.setattr(books, "Books", ReadAs(1, 0))
    assert books.compared(None) is None
    monkeypatch.setattr(books, "Books", ReadAs(0))
    assert books.compared(None).last == 0


def test_books_that_are_wrong_at_rest_are_wrong(monkeypatch):
    monkeypatch.setattr(books, "Books", ReadAs(1, 1))
    with pytest.raises(AssertionError):
        books.compared(None)
