"""Every event in a message broker, at least once and in order, with a real RabbitMQ and a real
Kafka: while all is well, while the broker is away, and over the death of either process."""

import collections
import json
import sqlite3
import subprocess
import sys
import threading

import pytest

from kit.books import metrics
from kit.brokers import KINDS
from kit.client import Http, pay, sdk
from kit.ports import free_port
from kit.server import LONG, ROOT, run_tael, wait_until

PAYMENTS = 40


@pytest.fixture(scope="module", params=sorted(KINDS))
def running(request, tmp_path_factory):
    made = KINDS[request.param](tmp_path_factory.mktemp("broker"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def broker(running, request):
    """With nothing in it. Kafka takes its time: its trouble is for the long form."""
    ordinary = request.function is test_every_event_once_and_in_order
    if running.scheme == "kafka" and not LONG and not ordinary:
        pytest.skip("TEST_LONG=1")
    return running.new_name()


def stored(server):
    """Every event there is, oldest first, as the API shows it."""
    return list(sdk(server).v1.events.list({"limit": 100}).auto_paging_iter())[::-1]


def has_all(events):
    wanted = {event["id"] for event in events}
    return lambda messages: wanted <= {message.id for message in messages}


def confirmed(server, count):
    return metrics(server)["tael_broker_events_total"] >= count


def first_times(messages):
    """Without repetitions: what a consumer that remembers ids sees."""
    seen = {}
    for message in messages:
        seen.setdefault(message.id, message)
    return list(seen.values())


def check(server, messages, events):
    """What is in the broker is what the API shows, and objects keep their order."""
    unique = first_times(messages)
    assert {message.id for message in unique} == {event["id"] for event in events}
    order = {event["id"]: number for number, event in enumerate(events)}
    last = {}
    assert len({message.account for message in unique}) == 1
    assert unique[0].account.startswith("acct_")
    for message in unique:
        assert message.livemode is False
        assert message.event["id"] == message.id and message.event["type"] == message.type
        assert message.event["data"]["object"]["id"] == message.key
        assert order[message.id] > last.get(message.key, -1), message.id
        last[message.key] = order[message.id]
    places = collections.defaultdict(set)
    for message in unique:
        places[message.key].add(message.place)
    assert all(len(found) == 1 for found in places.values())
    http = Http(server)
    for message in unique[:: max(1, len(unique) // 10)]:
        shown = http.get(f"/v1/events/{message.id}").json()
        assert json.loads(message.body) == shown


def test_every_event_once_and_in_order(make_server, broker):
    server = make_server(f"--broker={broker.url}")
    client = sdk(server)
    for _ in range(PAYMENTS // 2):
        intent = pay(client)
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    events = stored(server)
    wait_until(lambda: confirmed(server, len(events)), 120, "every event confirmed")
    messages = broker.read(has_all(events))
    check(server, messages, events)
    assert len(messages) == len(events)  # nothing failed, so nothing came twice
    shown = metrics(server)
    assert shown["tael_broker_up"] == 1 and shown["tael_broker_failures_total"] == 0
    assert shown["tael_broker_lag_seconds"] == 0


def test_the_broker_is_away(make_server, broker):
    """Payments do not notice; the events come when it is back."""
    server = make_server(f"--broker={broker.url}", "--broker-timeout=10s")
    client = sdk(server)
    for _ in range(5):
        pay(client)
    wait_until(lambda: confirmed(server, 5), 120, "some events confirmed")
    broker.stop()
    for _ in range(PAYMENTS):
        assert pay(client).status == "succeeded"
    wait_until(lambda: metrics(server)["tael_broker_failures_total"] >= 1, 60, "a failure")
    assert metrics(server)["tael_broker_up"] == 0
    assert "events wait: the broker does not take them" in server.log()
    broker.start()
    events = stored(server)
    wait_until(lambda: confirmed(server, len(events)), 240, "every event confirmed")
    check(server, broker.read(has_all(events)), events)
    assert "the broker takes events again" in server.log()


def test_another_one_in_its_place(make_server, broker):
    """It goes on where the former was: both together have everything, and nothing is in both."""
    server = make_server(f"--broker={broker.url}")
    pay(sdk(server))
    before = stored(server)
    wait_until(lambda: confirmed(server, len(before)), 120, "every event confirmed")
    check(server, broker.read(has_all(before)), before)
    server.stop()
    server.start(f"--broker={broker.new_name().url}")
    pay(sdk(server))
    since = stored(server)[len(before):]
    wait_until(lambda: confirmed(server, len(since)), 120, "every event confirmed")
    check(server, broker.read(has_all(since)), since)


def test_the_server_dies(make_server, broker):
    """kill -9 while events are on their way: the next start publishes what is not known to be there."""
    server = make_server(f"--broker={broker.url}", f"--port={free_port()}")
    port = server.port
    ended = threading.Event()

    def load():
        client = sdk(server, retries=0)
        while not ended.is_set():
            try:
                pay(client)
            except Exception:  # the server is away now and then
                ended.wait(0.05)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        ended.wait(1.5)
        server.kill()
        server.start(f"--port={port}")
    ended.wait(1)
    ended.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: metrics(server)["tael_attempts_open"] == 0, 60, "the end of every attempt")
    events = stored(server)
    messages = broker.read(has_all(events))
    check(server, messages, events)


def test_a_consumer_with_an_exactly_once_effect(make_server, broker, tmp_path):
    """The consumer of examples/ is killed again and again, so that it gets events twice."""
    server = make_server(f"--broker={broker.url}")
    client = sdk(server)
    for amount in range(100, 100 + PAYMENTS):
        pay(client, amount=amount)
    events = stored(server)
    wait_until(lambda: confirmed(server, len(events)), 120, "every event confirmed")
    database = tmp_path / "shop.db"

    def seen():
        try:
            with sqlite3.connect(database) as shop:
                return shop.execute("SELECT count(*) FROM seen").fetchone()[0]
        except sqlite3.OperationalError:  # not there yet, or written to just now
            return 0

    for least in (1, PAYMENTS, 2 * PAYMENTS, len(events)):
        with open(tmp_path / "consumer", "ab") as output:
            consumer = subprocess.Popen(
                [sys.executable, ROOT / "examples" / "consumer" / "exactly_once.py", broker.url,
                 database], stdout=output, stderr=output)
        try:
            wait_until(lambda: seen() >= least, 120, f"{least} events in the consumer")
        finally:
            consumer.kill()
            consumer.wait()
    with sqlite3.connect(database) as shop:
        takings = shop.execute("SELECT currency, amount FROM takings").fetchall()
    assert takings == [("usd", sum(range(100, 100 + PAYMENTS)))]
    assert seen() == len(events)


def test_a_queue_that_is_lost(make_server, broker):
    """RabbitMQ describes it, and nothing of it runs: that is said, and what to do. Payments go on; when the
    queue was deleted it is made anew, and everything since comes."""
    if broker.scheme != "amqp":
        pytest.skip("RabbitMQ's")
    server = make_server(f"--broker={broker.url}", "--broker-timeout=3s")
    client = sdk(server)
    pay(client)
    first = stored(server)
    wait_until(lambda: confirmed(server, len(first)), 120, "some events confirmed")
    broker.lose_queue()
    for _ in range(3):
        assert pay(client).status == "succeeded"
    wait_until(lambda: "nothing of it runs in RabbitMQ" in server.log(), 60, "the reason")
    assert metrics(server)["tael_broker_up"] == 0
    assert server.log().count("nothing of it runs in RabbitMQ") == 1
    broker.delete_queue()
    events = stored(server)
    wait_until(lambda: confirmed(server, len(events)), 120, "every event confirmed")
    since = events[len(first):]
    check(server, broker.read(has_all(since)), since)
    assert "the broker takes events again" in server.log()


def test_nothing_happens_for_a_while(make_server, broker):
    """RabbitMQ ends connections that it hears nothing of. Tael's stays, and what comes next is no failure."""
    if broker.scheme != "amqp":
        pytest.skip("RabbitMQ's")
    broker.set_heartbeat(1)
    try:
        server = make_server(f"--broker={broker.url}")
        client = sdk(server)
        pay(client)
        events = stored(server)
        wait_until(lambda: confirmed(server, len(events)), 120, "every event confirmed")
        threading.Event().wait(5)
        pay(client)
        events = stored(server)
        wait_until(lambda: confirmed(server, len(events)), 120, "every event confirmed")
        assert metrics(server)["tael_broker_failures_total"] == 0
        assert "events wait" not in server.log()
    finally:
        broker.set_heartbeat(60)


def test_a_queue_that_is_full(make_server, broker):
    """An application's queue takes so many, refuses the rest, and is emptied slowly: it gets everything
    nevertheless, and the other queues are not flooded with the same events again and again."""
    if broker.scheme != "amqp":
        pytest.skip("RabbitMQ's")
    server = make_server()
    client = sdk(server)
    for _ in range(PAYMENTS):
        pay(client)
    events = stored(server)
    connection = broker.connect()
    channel = connection.channel()
    channel.exchange_declare(broker.name, "topic", durable=True)
    channel.queue_declare("shop", durable=True, arguments={
        "x-max-length": 20, "x-overflow": "reject-publish"})
    channel.queue_bind("shop", broker.name, "#")
    server.stop()
    server.start(f"--broker={broker.url}")
    wait_until(lambda: metrics(server)["tael_broker_failures_total"] >= 2, 60, "refusals")
    got = []

    def take_one():
        method, properties, _ = channel.basic_get("shop", auto_ack=True)
        if method is not None:
            got.append(properties.message_id)
        return set(got) == {event["id"] for event in events}

    wait_until(take_one, 60, f"all {len(events)} events")
    connection.close()
    wait_until(lambda: confirmed(server, len(events)), 60, "every event confirmed")
    messages = broker.read(has_all(events))
    assert len(got) <= 2 * len(events) and len(messages) <= 3 * len(events)
    assert "refused a message" in server.log()


@pytest.mark.parametrize("flags, said", [
    (["--broker=http://x/y"], "the URL begins with none of kafka://, kafkas://, amqp:// and amqps://"),
    (["--broker=kafka://host/topic"], "the URL has a host that is not HOST:PORT"),
    (["--broker=amqp://host"], "the URL has no exchange"),
    (["--broker=amqp://u:secret@h/e", "--broker-config=x"], "a config file is for Kafka only"),
    (["--broker=kafka://h:1/t", "--broker-config=/nowhere"], "the broker's config file cannot be read"),
])
def test_settings_that_cannot_be(tmp_path, flags, said):
    result = run_tael("server", f"--data={tmp_path / 'data'}", "--listen=127.0.0.1:0", *flags)
    # A file may come later: it is worth another start.
    assert result.returncode == (1 if said.endswith("cannot be read") else 2)
    assert said in result.stderr and "secret" not in result.stderr


@pytest.mark.parametrize("text, said", [
    ("linger.ms\n", "line 1 of the broker's config file is not NAME=VALUE"),
    ("# a\n\nsasl.password.of = hush\n", "librdkafka does not take sasl.password.of"),
    ("x=" + "y" * 2000 + "\n", "line 1 of the broker's config file is too long"),
], ids=["no_value", "no_setting", "too_long"])
def test_a_config_file_that_cannot_be(tmp_path, text, said):
    (tmp_path / "config").write_text(text)
    result = run_tael(
        "server", f"--data={tmp_path / 'data'}", "--listen=127.0.0.1:0",
        "--broker=kafka://127.0.0.1:1/t", f"--broker-config={tmp_path / 'config'}")
    assert result.returncode == 2
    assert said in result.stderr and "hush" not in result.stderr
