"""`tael listen`: events on the screen, and forwarded as signed webhooks."""

import json
import subprocess
import threading
import time

import pytest
import stripe

from kit import postgres
from kit.client import pay, sdk
from kit.needs import needs_postgres
from kit.ports import free_port
from kit.receiver import Receiver
from kit.server import PROGRAM, run_tael, wait_until, without_tael_settings
from test_brokers_shared import SLOW, Nodes, load, stored


class Listen:
    """One run of the command, its lines as they come."""

    def __init__(self, server, *flags):
        self.process = subprocess.Popen(
            [str(PROGRAM), "listen", f"--url={server.url}", f"--key={server.key}", "--poll=50ms",
             *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=without_tael_settings())
        self.lines, self.complaints = [], []
        for stream, into in ((self.process.stdout, self.lines),
                             (self.process.stderr, self.complaints)):
            threading.Thread(target=self._read, args=(stream, into), daemon=True).start()
        wait_until(lambda: self.lines or self.process.poll() is not None, 10, "the first line")

    def _read(self, stream, into):
        for line in stream:
            into.append(line.rstrip("\n"))

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def listen():
    made = []

    def make(*arguments):
        made.append(Listen(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_forwards_what_verifies(make_server, listen):
    server = make_server()
    client = sdk(server)
    client.v1.customers.create({"name": "before"})
    with Receiver() as receiver:
        running = listen(server, f"--forward-to={receiver.url('/hook?x=1')}")
        assert running.lines[0].startswith("Ready! The webhook signing secret is whsec_")
        secret = running.lines[0].split(" is ")[1].split(" ")[0]
        pay(client)
        wait_until(lambda: len(receiver.events()) == 3, 10, "three events")
        types = [one.verify(secret).type for one in receiver.events()]
        assert types == [event.type for event in client.v1.events.list({"limit": 3}).data][::-1]
        assert {one.path for one in receiver.events()} == {"/hook?x=1"}
        for one in receiver.events():
            assert json.loads(one.body) == client.v1.events.retrieve(one.event["id"]).to_dict()
        wait_until(lambda: len(running.lines) == 7, 10, "seven lines")
        assert "--> payment_intent.created [evt_" in running.lines[1]
        assert f"<-- [200] POST {receiver.url('/hook?x=1')} [evt_" in running.lines[2]


def test_json_filter_and_secret(make_server, listen):
    server = make_server()
    client = sdk(server)
    secret = "whsec_" + "a1" * 16
    answers = {"customer.created": 200, "charge.succeeded": 503}
    with Receiver(lambda one: answers[one.event["type"]], keep_alive=False) as receiver:
        running = listen(
            server, "--json", "--events=customer.*, charge.succeeded", f"--secret={secret}",
            f"--forward-to=127.0.0.1:{receiver.port}")
        assert json.loads(running.lines[0]) == {"signing_secret": secret}
        client.v1.customers.create()
        pay(client)
        client.v1.customers.create()
        wait_until(lambda: len(running.lines) == 4, 10, "three events")
        told = [json.loads(line) for line in running.lines[1:]]
        assert [(one["type"], one["status"]) for one in told] == [
            ("customer.created", 200), ("charge.succeeded", 503), ("customer.created", 200)]
        assert [one["event"] for one in told] == receiver.ids()
        for one in receiver.events():
            one.verify(secret)
            assert one.path == "/"
        receiver.close()
        client.v1.customers.create()
        wait_until(lambda: len(running.lines) == 5, 10, "the failure")
        assert "status" not in json.loads(running.lines[4])
        assert json.loads(running.lines[4])["error"]


def test_shows_without_forwarding_and_survives_a_restart(make_server, listen):
    server = make_server(f"--listen=127.0.0.1:{free_port()}")
    running = listen(server, "--json")
    for _ in range(3):
        sdk(server).v1.customers.create()
    wait_until(lambda: len(running.lines) == 4, 10, "three events")
    port = server.port
    server.stop()
    time.sleep(0.3)
    server.start(f"--listen=127.0.0.1:{port}")
    sdk(server).v1.customers.create()
    # It asks ever less often while nobody answers.
    def events():  # between them, what a gateway said while nobody was behind it
        return [json.loads(line)["event"] for line in running.lines if '"event"' in line]

    wait_until(lambda: len(events()) == 4, 60, "the one after the restart")
    assert len(set(events())) == 4
    assert running.complaints, "the trouble was told"


def test_a_burst(make_server, listen):
    server = make_server()
    client = sdk(server)
    running = listen(server, "--json", "--poll=1s")
    ids = [client.v1.customers.create().id for _ in range(250)]
    wait_until(lambda: len(running.lines) == 251, 20, "every event")
    events = [json.loads(line)["event"] for line in running.lines[1:]]
    assert events == sorted(set(events)) and len(ids) == len(events)


@needs_postgres
def test_what_another_server_commits_late(tmp_path, listen):
    """Of two servers on one database: an event whose id is before some that were seen is shown as well, and
    none is shown twice."""
    with postgres.Postgres() as database:
        nodes = Nodes(tmp_path, database, "listen")
        for _ in range(2):
            nodes.make()
        running = listen(nodes.all[0], "--json", "--poll=20ms")
        nodes.sql(SLOW)

        def shown():
            return [json.loads(line)["event"] for line in running.lines[1:]]

        for _ in range(10):
            threads, failures = load(nodes, 6, 12)
            for thread in threads:
                thread.join()
            assert not failures, failures
            events = stored(nodes)
            wait_until(lambda: set(shown()) == events, 20, "every event")
            if shown() != sorted(shown()):  # what it is about
                break
        else:
            pytest.fail("none came late")
        assert len(shown()) == len(events)
        nodes.close()


def test_what_is_not_understood(make_server):
    server = make_server()
    where = (f"--url={server.url}", f"--key={server.key}")
    for flags in (["--forward-to=ftp://x/"], ["--events=,"], ["--secret=whsec_short"],
                  ["--forward-to=http://u@x/"]):
        result = run_tael("listen", *where, *flags, timeout=20)
        assert result.returncode == 2 and result.stderr, flags
    result = run_tael("listen", f"--url={server.url}", "--key=sk_test_nobody", timeout=20)
    assert result.returncode == 1 and "sk_test_nobody" not in result.stderr
    result = run_tael("listen", "--url=http://127.0.0.1:1", "--key=sk_test_x", timeout=20)
    assert result.returncode == 1 and not result.stdout


def test_signature_of_a_wrong_secret(make_server, listen):
    server = make_server()
    with Receiver() as receiver:
        running = listen(server, "--json", f"--forward-to={receiver.url()}")
        sdk(server).v1.customers.create()
        wait_until(lambda: receiver.events(), 10, "an event")
        with pytest.raises(stripe.SignatureVerificationError):
            receiver.events()[0].verify("whsec_" + "0" * 32)
        receiver.events()[0].verify(json.loads(running.lines[0])["signing_secret"])
