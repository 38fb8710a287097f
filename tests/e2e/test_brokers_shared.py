"""Every event in a broker, at least once and in order, from several servers on one PostgreSQL: one of them
publishes at a time, commits overtake one another, and whoever publishes is killed."""

import json
import shutil
import subprocess
import threading
import uuid

import pytest
import requests

from kit import postgres
from kit.books import metrics
from kit.brokers import KINDS
from kit.client import Http
from kit.merchants import create, operators_url
from kit.needs import needs_postgres
from kit.ports import free_port
from kit.server import LONG, Server, run_tael, wait_until, write_document_map

pytestmark = needs_postgres

# Whoever inserts such an event has its number already, and commits later than others that come after.
SLOW = """
CREATE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.body LIKE '%"slow":"yes"%' THEN PERFORM pg_sleep(0.3); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER slow_down AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION slow_down();
"""


@pytest.fixture(scope="module")
def database_server():
    with postgres.Postgres() as made:
        yield made


@pytest.fixture(scope="module", params=sorted(KINDS))
def running(request, tmp_path_factory):
    if request.param == "kafka" and not LONG:
        pytest.skip("TEST_LONG=1")
    made = KINDS[request.param](tmp_path_factory.mktemp("broker"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def broker(running):
    return running.new_name()


class Nodes:
    """Servers on one database; the first of them makes the keys, which the others get."""

    def __init__(self, folder, database_server, name):
        self.folder = folder
        self.database_server = database_server
        self.name = name
        self.url = database_server.create(name)
        self.all = []

    def make(self, *flags):
        node = Server(self.folder / f"node-{len(self.all)}", *flags, cluster=False)
        node.documents = self.flags()
        if self.all:
            (node.data / "webhooks").mkdir(parents=True)
            for shared in ("webhooks/master.key", "test_secret_key"):
                shutil.copyfile(self.all[0].data / shared, node.data / shared)
        self.all.append(node)
        return node.start()

    def flags(self):
        return (f"--documents={self.url}",)

    def sql(self, text):
        return self.database_server.sql(text, self.name)

    def counts(self):
        """Events that each has published since it started; 0 of one that is away."""
        return [int(metrics(node)["tael_broker_events_total"]) if node.alive() else 0
                for node in self.all]

    def close(self):
        for node in self.all:
            if node.process is None:
                node.start()
            node.close()
        self.database_server.drop(self.name)


@pytest.fixture
def nodes(database_server, tmp_path):
    made = Nodes(tmp_path, database_server, f"brokers_{uuid.uuid4().hex[:8]}")
    yield made
    made.close()


class Sharded(Nodes):
    """The same on several databases, and what moves merchants between them."""

    def __init__(self, folder, database_server, name, shards=3):
        super().__init__(folder, database_server, name)
        self.names = [f"{name}_{i}" for i in range(shards)]
        self.urls = [database_server.create(each) for each in self.names]
        self.map = folder / "documents"
        write_document_map(self.map, self.urls)

    def flags(self):
        return (f"--documents=shards:{self.map}",)

    def sql(self, text):
        return "\n".join(self.database_server.sql(text, each) for each in self.names)

    def move(self):
        """What the first database has goes to the last."""
        following = self.folder / "next"
        text = self.map.read_text().replace("epoch 1\n", "epoch 2\n")
        first = next(line for line in text.splitlines()
                     if line.startswith("slots ") and line.endswith(" d0"))
        following.write_text(text.replace(first, first.replace(" d0", " d2")))
        return run_tael("documents", "move", "--online", f"--map={self.map}", f"--next={following}",
                        "--json")

    def close(self):
        super().close()
        for each in self.names:
            self.database_server.drop(each)


@pytest.fixture
def sharded(database_server, tmp_path):
    made = Sharded(tmp_path, database_server, f"brokers_{uuid.uuid4().hex[:8]}")
    yield made
    made.close()


def change(nodes, number, changes, ended=None, secret=None):
    """A customer of its own, changed again and again at one server after the other, now and then in a
    transaction that takes its time. Servers may be away. `secret`: the merchant's key."""
    def post(turn, path, params, key):
        for again in range(1000):
            node = nodes.all[(turn + again) % len(nodes.all)]
            try:
                answer = Http(node, key=secret, validate=False).post(
                    path, params, headers={"Idempotency-Key": key})
            except requests.RequestException:
                threading.Event().wait(0.05)
                continue
            # Another server works on it, or one died while it did: with the same key it is safe.
            if answer.status_code in (409, 429, 500, 503):
                threading.Event().wait(0.05)
                continue
            assert answer.status_code == 200, answer.text
            return answer.json()
        raise AssertionError("no server answers")

    key = str(uuid.uuid4())  # no round is a replay of one before
    customer = post(number, "/v1/customers", {"metadata[step]": "0"}, f"{key}-0")
    for step in range(1, changes):
        if ended is not None and ended.is_set():
            break
        slow = {"metadata[slow]": "yes" if (number + step) % 5 == 0 else "no"}
        post(number + step, f"/v1/customers/{customer['id']}",
             {"metadata[step]": str(step), **slow}, f"{key}-{step}")
    return customer


def load(nodes, threads, changes, ended=None, secrets=(None,)):
    failures = []

    def one(number):
        try:
            change(nodes, number, changes, ended, secrets[number % len(secrets)])
        except Exception as error:  # whatever it is, the test tells
            failures.append(repr(error))

    running = [threading.Thread(target=one, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    return running, failures


def stored(nodes):
    return set(nodes.sql("SELECT id FROM event").split())


def check(nodes, broker):
    """All there is, and each customer's steps in their order where each event comes first."""
    wanted = stored(nodes)
    messages = broker.read(lambda read: wanted <= {message.id for message in read}, 180)
    assert {message.id for message in messages} == wanted
    seen, steps = set(), {}
    for message in messages:
        if message.id in seen:
            continue
        seen.add(message.id)
        assert message.account.startswith("acct_") and message.event["id"] == message.id
        if message.type.startswith("customer."):
            steps.setdefault(message.key, []).append(
                int(message.event["data"]["object"]["metadata"]["step"]))
    assert steps and all(order == list(range(len(order))) for order in steps.values()), steps
    return messages


def test_several_servers_and_one_publishes(nodes, broker):
    for _ in range(3):
        nodes.make(f"--broker={broker.url}")
    nodes.sql(SLOW)
    for _ in range(10):
        running, failures = load(nodes, 6, 12)
        for thread in running:
            thread.join()
        assert not failures, failures
        # What it is about: ids and numbers are in different orders.
        if int(nodes.sql("SELECT count(*) FROM event a JOIN event b"
                         " ON a.id < b.id AND a.commit_number > b.commit_number")) > 0:
            break
    else:
        pytest.fail("no commit was overtaken")
    wanted = stored(nodes)
    wait_until(lambda: sum(nodes.counts()) >= len(wanted), 120, "every event confirmed")
    messages = check(nodes, broker)
    # Nobody died: once each, all by the same one, whose body is what the API shows.
    assert len(messages) == len(wanted)
    assert sorted(nodes.counts()) == [0, 0, len(wanted)]
    for message in messages[:: max(1, len(messages) // 10)]:
        shown = Http(nodes.all[0]).get(f"/v1/events/{message.id}")
        assert shown.json() == message.event


def test_a_slow_early_transaction_is_waited_for(nodes, broker):
    """What others commit meanwhile is late, and the lag shows it; then all comes, in order."""
    node = nodes.make(f"--broker={broker.url}")
    nodes.sql("CREATE TABLE other (at int)")
    url = nodes.url
    slow = subprocess.Popen(
        ["psql", url, "-qAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)
    try:
        slow.stdin.write("BEGIN; INSERT INTO other VALUES (1); SELECT 'begun';\n")
        slow.stdin.flush()
        assert slow.stdout.readline().strip() == "begun"
        before = nodes.counts()
        change(nodes, 0, 4)
        wait_until(lambda: metrics(node)["tael_broker_lag_seconds"] >= 2, 60, "the lag")
        assert nodes.counts() == before
        slow.stdin.write("COMMIT;\n")
        slow.stdin.flush()
        wait_until(lambda: nodes.counts()[0] == len(stored(nodes)), 60, "the others")
        wait_until(lambda: metrics(node)["tael_broker_lag_seconds"] == 0, 60, "no lag")
    finally:
        slow.stdin.close()
        slow.wait(30)
    check(nodes, broker)


def who_publishes(nodes):
    """A server whose count grows, while there is load."""
    before = nodes.counts()
    return wait_until(
        lambda: [at for at, (old, new) in enumerate(zip(before, nodes.counts())) if new > old],
        60, "somebody publishes")[0]


def test_whoever_publishes_dies(nodes, broker):
    """kill -9 of the relay, again and again, while slow and quick transactions of all are under way."""
    for _ in range(3):
        nodes.make(f"--broker={broker.url}", f"--port={free_port()}")
    nodes.sql(SLOW)
    ports = [node.port for node in nodes.all]
    ended = threading.Event()
    running, failures = load(nodes, 6, 100000, ended)
    try:
        for _ in range(6 if LONG else 3):
            first = who_publishes(nodes)
            nodes.all[first].kill()
            assert who_publishes(nodes) != first  # another one took over
            nodes.all[first].start(f"--port={ports[first]}")
    finally:
        ended.set()
        for thread in running:
            thread.join()
    assert not failures, failures
    check(nodes, broker)


def test_the_database_is_away(database_server, nodes, broker):
    """Its connections end, which gives the relay to anybody: nothing is lost."""
    for _ in range(2):
        nodes.make(f"--broker={broker.url}")
    running, failures = load(nodes, 4, 12)
    for _ in range(4):
        threading.Event().wait(0.5)
        nodes.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                  "WHERE datname = current_database() AND pid <> pg_backend_pid()")
    for thread in running:
        thread.join()
    assert not failures, failures
    check(nodes, broker)


def test_a_database_from_elsewhere(database_server, nodes, broker):
    """A dump restored in a cluster whose transactions have lower numbers: old events are not behind
    new ones, and new ones are not passed."""
    node = nodes.make(f"--broker={broker.url}")
    change(nodes, 0, 3)
    wait_until(lambda: nodes.sql(
        "SELECT (SELECT max(number) FROM relay_cursor) = (SELECT max(commit_number) FROM event)") == "t",
        60, "every event confirmed, and that written down")
    node.stop()
    nodes.sql("UPDATE event SET commit_number = commit_number + 5000000000")
    nodes.sql("UPDATE relay_cursor SET number = number + 5000000000, "
              "body = replace(body, '\"number\":' || number, '\"number\":' || number + 5000000000)")
    node.start()
    change(nodes, 1, 3)
    wait_until(lambda: nodes.counts()[0] == 3, 60, "the new ones confirmed")
    assert len(check(nodes, broker)) == len(stored(nodes))


def test_documents_in_shards_that_move(sharded, broker):
    """Each database has an order of its own, and a merchant's events are in one of them. While they move
    they may come twice."""
    for _ in range(2):
        sharded.make(f"--broker={broker.url}", "--admin-listen=127.0.0.1:0")
    for name in sharded.names:
        sharded.database_server.sql(SLOW, name)
    operators = operators_url(sharded.all[0])
    secrets = [create(operators, f"Merchant {i}")["key"] for i in range(6)]
    running, failures = load(sharded, 6, 40, secrets=secrets)
    wait_until(lambda: len(stored(sharded)) > 20, 60, "some events")
    moved = sharded.move()
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["scopes"] > 0
    for thread in running:
        thread.join(180)
    assert failures == []
    assert sharded.database_server.sql("SELECT count(*) FROM event", sharded.names[0]) == "0"
    check(sharded, broker)


def test_a_shard_that_is_gone_holds_no_other_events_up(tmp_path, database_server, broker):
    """The others' are published, and its own when it is back."""
    with postgres.Postgres() as other:
        made = Sharded(tmp_path, database_server, f"brokers_{uuid.uuid4().hex[:8]}", shards=2)
        name = f"gone_{uuid.uuid4().hex[:8]}"
        write_document_map(made.map, [*made.urls, other.create(name)])
        try:
            gone_holds_nothing_up(made, other, name, broker)
        finally:
            made.close()


def gone_holds_nothing_up(made, other, name, broker):
    node = made.make(f"--broker={broker.url}", "--admin-listen=127.0.0.1:0")
    secrets = [create(operators_url(node), f"Merchant {i}")["key"] for i in range(8)]
    https = [Http(node, key=secret, validate=False) for secret in secrets]
    for http in https:
        assert http.post("/v1/customers", {"name": "x"}).status_code == 200
    assert other.sql("SELECT count(*) FROM event", name) != "0"
    other.kill()
    told = [http.post("/v1/customers", {"name": "y"}) for http in https]
    wanted = {answer.json()["id"] for answer in told if answer.status_code == 200}
    assert 0 < len(wanted) < len(https)
    came = broker.read(lambda read: wanted <= {message.key for message in read}, 60)
    assert wanted <= {message.key for message in came}
    other.start()
    ids = set(other.sql("SELECT id FROM event", name).split()) | stored(made)
    ids -= {message.id for message in came}
    assert ids <= {message.id for message in
                   broker.read(lambda read: ids <= {message.id for message in read}, 60)}
