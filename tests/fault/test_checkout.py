"""Checkout sessions while the server dies, and while time passes: a session is paid once or not at all, it
ends together with its intent, and is over when its time is."""

import collections
import pathlib
import random
import struct
import subprocess
import threading
import time

import pytest
import requests
import stripe

from kit import postgres
from kit.answers import events_about
from kit.books import settled
from kit.checkout import assert_paid_once, entered, make_large, session_of
from kit.client import Http, sdk
from kit.needs import skip_without_postgres
from kit.nodes import Nodes
from kit.server import Server, skip_without_fault_points, wait_until
from kit.together import at_once

LOOKS_INTO_PROCESS = True
POINTS = ["authorize-before-rail", "authorize-before-post", "authorize-before-finish"]
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "kit" / "moved_clock.c"
HALF_HOUR = 1800


def submit(server, session, number="4242424242424242"):
    """From the page at the address that the server has now."""
    path = session.url.split("/", 3)[3]
    return requests.post(f"{server.url}/{path}", entered(number), allow_redirects=False, timeout=60)


def look(server, session):
    return requests.get(f"{server.url}/{session.url.split('/', 3)[3]}", allow_redirects=False, timeout=60)


@pytest.mark.parametrize("point", POINTS)
def test_crash_of_a_payment_from_the_page(make_server, point):
    skip_without_fault_points()
    server = make_server(start=False)
    server.start(fault=f"{point}:crash")
    session = session_of(sdk(server))
    with pytest.raises(requests.exceptions.ConnectionError):
        submit(server, session)
    server.wait_for_crash()
    server.start()
    # The payer, who saw no answer, looks again, and sends the form once more.
    wait_until(lambda: "is being processed" not in look(server, session).text, 10)
    if point == "authorize-before-rail":
        assert "Nothing was charged" in look(server, session).text
    else:
        assert look(server, session).headers["Location"] == "https://shop.example/paid"
    assert submit(server, session).headers["Location"] == "https://shop.example/paid"
    assert_paid_once(sdk(server), session)


def test_crash_of_a_declined_payment(make_server):
    skip_without_fault_points()
    server = make_server(start=False)
    server.start(fault="authorize-before-decline:crash")
    session = session_of(sdk(server))
    with pytest.raises(requests.exceptions.ConnectionError):
        submit(server, session, "4000000000000002")
    server.wait_for_crash()
    server.start()
    wait_until(lambda: "declined the card" in look(server, session).text, 10)
    assert submit(server, session).status_code == 303
    assert_paid_once(sdk(server), session)


def test_killed_amid_payers(make_server):
    """kill -9 at any moment: whoever is answered nothing sends the form again, as payers do."""
    server = make_server()
    client = sdk(server)
    sessions = [session_of(client) for _ in range(40)]
    chance = random.Random(7)
    stopped = threading.Event()

    def payer(mine):
        for session in mine:
            while not stopped.is_set():
                try:
                    if submit(server, session).headers.get("Location") == "https://shop.example/paid":
                        break
                except requests.exceptions.RequestException:
                    time.sleep(0.05)

    threads = [threading.Thread(target=payer, args=(sessions[first::4],)) for first in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        time.sleep(chance.uniform(0.02, 0.3))
        server.kill()
        server.start()
    for thread in threads:
        thread.join(60)
    stopped.set()
    client = sdk(server)
    for session in sessions:
        assert_paid_once(client, session)
    assert len([charge for charge in settled(server).charges if charge.paid]) == len(sessions)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("clock") / "moved_clock.so"
    try:
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no C compiler here")
    return path


class Timed:
    """A server by itself, whose wall clock the test sets."""

    def __init__(self, folder, library):
        self.file = folder.parent / f"{folder.name}-clock"
        self.library = library
        self.server = Server(folder, "--sweep-interval=100ms", "--issuer-latency=1s", cluster=False)
        self.jump(0)
        self.start()

    def start(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(self.library))
            patch.setenv("MOVED_CLOCK", str(self.file))
            self.server.start()
        self.client = sdk(self.server)

    def jump(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "w+b") as file:
            file.write(struct.pack("q", seconds))

    def status(self, session):
        return self.client.v1.checkout.sessions.retrieve(session.id).status


@pytest.fixture
def timed(tmp_path, library):
    made = Timed(tmp_path / "data", library)
    yield made
    made.server.stop()


def expiring(timed):
    return session_of(timed.client, expires_at=int(time.time()) + HALF_HOUR + 30)


@pytest.mark.parametrize("restarts", [False, True])
def test_its_time_is_over(timed, restarts):
    """Untouched, declined, and while the bank waits for an answer; also if nobody ran when it was due."""
    untouched, declined, asked = (expiring(timed) for _ in range(3))
    submit(timed.server, declined, "4000000000000002")
    challenge = submit(timed.server, asked, "4000000000003220").headers["Location"]
    if restarts:
        timed.server.stop()
    timed.jump(HALF_HOUR + 60)
    if restarts:
        timed.start()
    for session in (untouched, declined, asked):
        wait_until(lambda session=session: timed.status(session) == "expired", 10, "its end")
        assert events_about(timed.client, session.id) == ["checkout.session.expired"]
        assert look(timed.server, session).status_code == submit(timed.server, session).status_code == 410
    intents = timed.client.v1.payment_intents.list().data
    assert [intent.status for intent in intents] == ["canceled", "canceled"]
    requests.post(f"{timed.server.url}/{challenge.split('/', 3)[3]}", {"answer": "complete"},
                  allow_redirects=False, timeout=60)
    assert timed.status(asked) == "expired"
    assert [charge.paid for charge in timed.client.v1.charges.list().data] == [False]


def test_many_large_ones_are_over_at_once(timed):
    """More than fits into what one sweep may use, which is for all merchants."""
    for _ in range(60):
        make_large(Http(timed.server), f"&expires_at={int(time.time()) + HALF_HOUR + 60}")
    small = expiring(timed)
    timed.jump(HALF_HOUR + 120)
    wait_until(lambda: timed.status(small) == "expired", 20, "its end")
    assert not timed.client.v1.checkout.sessions.list({"status": "open"}).data


def test_a_payment_under_way_is_waited_for(timed):
    session = expiring(timed)
    payer = threading.Thread(target=submit, args=(timed.server, session))
    payer.start()
    wait_until(lambda: timed.client.v1.payment_intents.list({"limit": 1}).data, 5, "the attempt")
    timed.jump(HALF_HOUR + 60)
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
        timed.client.v1.checkout.sessions.expire(session.id)
    payer.join(30)
    assert_paid_once(timed.client, session)


# ---- several api processes ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    skip_without_postgres()
    with postgres.Postgres() as database:
        made = Nodes(tmp_path_factory.mktemp("nodes") / "n", database.create("checkout"),
                     "--lock-timeout=30s", gateways=1).start()
        yield made
        made.close()


def test_tabs_at_several_processes_pay_once(nodes):
    client = sdk(nodes)
    for _ in range(5):
        session = session_of(client)
        answers = at_once([lambda node=node: submit(node, session) for node in nodes.nodes * 4])
        assert {answer.status_code for answer in answers} == {303}
        assert look(nodes, session).headers["Location"] == "https://shop.example/paid"
        assert_paid_once(client, session)


def test_paid_at_one_process_and_expired_at_the_other(nodes):
    """CHECKOUT-3: one of them wins, and the intent agrees with its session."""
    client = sdk(nodes)
    one, other = nodes.nodes
    ends = collections.Counter()
    for _ in range(10):
        session = session_of(client)
        paid, expired = at_once([
            lambda session=session: submit(one, session),
            lambda session=session: Http(other, validate=False).post(
                f"/v1/checkout/sessions/{session.id}/expire")])
        session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
        ends[session.status] += 1
        if session.status == "complete":
            assert (paid.status_code, expired.status_code) == (303, 400)
            assert session.payment_intent.status == "succeeded"
        else:
            assert (paid.status_code, expired.status_code) == (410, 200)
            assert session.payment_intent is None
    assert sum(ends.values()) == 10 and not ends["open"]
