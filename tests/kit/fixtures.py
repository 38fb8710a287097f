"""Fixtures of both folders of tests."""

import itertools
import time

import pytest

from kit.chromium import Chromium
from kit.client import Http, sdk
from kit.server import CLUSTER, Server
from kit.wallets import Wallets

_numbers = itertools.count()

DAY = 24 * 3600
# Longer than any test that counts within a day.
DAY_LEFT = 120


@pytest.fixture
def make_server(tmp_path, request):
    """Servers of a test's own: started, and at the end stopped and their books checked.

    A module that looks into a process itself (LOOKS_INTO_PROCESS) has one, and no cluster."""
    made = []
    looks_into_process = getattr(request.module, "LOOKS_INTO_PROCESS", False)

    def make(*flags, **keywords):
        start_flags = keywords.pop("start", True)
        if looks_into_process:
            keywords.setdefault("cluster", False)
            keywords.setdefault("on_postgres", None if not CLUSTER else False)
        server = Server(tmp_path / f"server-{next(_numbers)}", *flags, **keywords)
        made.append(server)
        return server.start() if start_flags else server

    yield make
    failure = None
    for server in made:
        try:
            server.close()
        except AssertionError as error:
            failure = failure or error
    if failure is not None:
        raise failure


@pytest.fixture
def one_day():
    """What a wallet may still move today is looked at: midnight (UTC) does not fall into the test."""
    left = DAY - time.time() % DAY
    if left < DAY_LEFT:
        time.sleep(left + 1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server that ordinary tests share: each minds only objects of its own."""
    made = Server(tmp_path_factory.mktemp("shared")).start()
    yield made
    made.close()


@pytest.fixture(scope="session")
def client(server):
    return sdk(server)


@pytest.fixture(scope="session")
def http(server):
    return Http(server)


@pytest.fixture(scope="session")
def wallets(server):
    return Wallets(server)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
