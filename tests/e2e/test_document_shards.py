"""Documents in shards, each a database: merchants of all of them pay, and move."""

import contextlib
import json
import secrets
import shutil
import time

import pytest
import requests

from kit import postgres
from kit.client import Http
from kit.merchants import create, operators_url
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.receiver import Receiver
from kit.server import Server, run_tael, wait_until, write_document_map
from kit.together import at_once

pytestmark = needs_postgres

SHARDS = 3
MERCHANTS = 8
# A shard is given up after 1.3 s of silence; with something for a busy machine. It was 15 s.
HANGS_SECONDS = 5
PAYMENT = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
           "confirm": "true"}


class World:
    """Databases, their map, and servers of Tael on them, each with a ledger of its own."""

    def __init__(self, folder, *servers):
        """As many databases as shards, spread over these PostgreSQL servers."""
        self.folder = folder
        self.map = folder / "documents"
        self.databases = [(servers[i % len(servers)], f"d{i}_{secrets.token_hex(4)}")
                          for i in range(SHARDS)]
        self.urls = [server.create(name) for server, name in self.databases]
        write_document_map(self.map, self.urls)
        self.nodes = []

    def node(self, *flags):
        """One more server. The first makes the keys, which the others get."""
        node = Server(self.folder / f"node-{len(self.nodes)}", "--admin-listen=127.0.0.1:0", *flags,
                      on_postgres=False, cluster=False)
        node.documents = (f"--documents=shards:{self.map}",)
        if self.nodes:
            (node.data / "webhooks").mkdir(parents=True)
            for shared in ("webhooks/master.key", "test_secret_key"):
                shutil.copyfile(self.nodes[0].data / shared, node.data / shared)
        self.nodes.append(node)
        return node.start()

    def close(self):
        for node in self.nodes:
            node.close()
        for server, name in self.databases:
            with contextlib.suppress(AssertionError):
                server.drop(name)

    def sql(self, shard, text):
        server, name = self.databases[shard]
        return server.sql(text, name)

    def platform(self):
        return next(i for i in range(SHARDS) if self.sql(i, "SELECT count(*) FROM merchant") != "0")

    def add_merchants(self, url=None):
        """By an operator of the first server; answers their secret keys by their numbers."""
        url = url or operators_url(self.nodes[0])
        made = [create(url, f"Merchant {i}") for i in range(MERCHANTS)]
        return {one["number"]: one["key"] for one in made}

    def shard_of(self, number):
        found = [i for i in range(SHARDS)
                 if self.sql(i, f"SELECT count(*) FROM customer WHERE scope / 2 = {number}") != "0"]
        assert len(found) == 1
        return found[0]

    def tael(self, *words):
        return run_tael("documents", words[0], f"--map={self.map}", *words[1:])


@pytest.fixture(scope="module")
def database_server():
    with postgres.Postgres() as made:
        yield made


@pytest.fixture
def world(database_server, tmp_path):
    made = World(tmp_path, database_server)
    yield made
    made.close()


def operators_told(node, path):
    """With status 200."""
    answer = requests.get(operators_url(node) + path, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.text


def pay(http):
    answer = http.post("/v1/payment_intents", PAYMENT)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    return answer.json()["id"]


def everything(http, path):
    return [one["id"] for one in http.get(path, params={"limit": "100"}).json()["data"]]


def known(https):
    """What each merchant has, as it sees it."""
    return {number: {path: everything(http, path)
                     for path in ("/v1/payment_intents", "/v1/customers", "/v1/events")}
            for number, http in https.items()}


def test_merchants_of_all_shards_pay_through_two_servers(world):
    """On one ledger."""
    cluster = Nodes(world.folder / "cluster", f"shards:{world.map}", api=2)
    try:
        cluster.start()
        two_servers(world, cluster)
    finally:
        cluster.close()


def two_servers(world, cluster):
    https = {number: [Http(node, key=key, validate=False) for node in cluster.nodes]
             for number, key in world.add_merchants(cluster.metrics_urls()[1]).items()}
    for both in https.values():
        both[0].post("/v1/customers", {"name": "n"})
    paid = {number: at_once([lambda i=i, both=both: pay(both[i % 2]) for i in range(4)])
            for number, both in https.items()}
    for number, both in https.items():
        for http in both:
            assert sorted(everything(http, "/v1/payment_intents")) == sorted(paid[number])
            # Types of events are platform rows, known to every merchant.
            found = http.get("/v1/events", params={"type": "payment_intent.succeeded"}).json()["data"]
            assert {event["data"]["object"]["id"] for event in found} == set(paid[number])
    assert len({world.shard_of(number) for number in https}) > 1
    assert world.tael("verify").returncode == 0
    shown = json.loads(world.tael("list", "--json").stdout)["shards"]
    assert [shard["name"] for shard in shown] == ["d0", "d1", "d2"]
    assert {shard["epoch"] for shard in shown} == {1}
    assert sum(shard["slots"] for shard in shown) == 16384
    assert all(shard["rows"] > 0 and shard["scopes_of_other_shards"] == 0 for shard in shown)


def test_one_key_of_idempotency_of_many_merchants(world):
    nodes = [world.node(), world.node()]
    https = {number: [Http(node, key=key, validate=False) for node in nodes]
             for number, key in world.add_merchants().items()}
    key = {"Idempotency-Key": "the same for all"}
    for both in https.values():
        answers = at_once([
            lambda i=i, both=both: both[i % 2].post("/v1/customers", {"name": "x"}, headers=key)
            for i in range(16)])
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1
        assert len(everything(both[0], "/v1/customers")) == 1


def test_numbers_of_webhook_endpoints_are_given_once(world):
    """Each is unique over all shards, and two servers draw them."""
    nodes = [world.node(), world.node()]
    https = [[Http(node, key=key, validate=False) for node in nodes]
             for key in world.add_merchants().values()]
    answers = at_once([
        lambda i=i, both=both: both[i % 2].post("/v1/webhook_endpoints", {
            "url": "https://example.com/hook", "enabled_events[0]": "customer.created"})
        for both in https for i in range(2)])
    assert {answer.status_code for answer in answers} == {200}, [one.text for one in answers]
    numbers = [number for i in range(SHARDS)
               for number in world.sql(i, "SELECT number FROM webhook_endpoint").split()]
    assert len(numbers) == len(set(numbers)) == 2 * MERCHANTS


def test_merchants_move_while_nobody_works(world):
    node = world.node()
    https = {number: Http(node, key=key, validate=False)
             for number, key in world.add_merchants().items()}
    for http in https.values():
        http.post("/v1/customers", {"name": "n"})
        pay(http)
    before = known(https)
    next_map = world.folder / "next"
    write_document_map(next_map, world.urls, epoch=2)
    text = next_map.read_text()
    for line in text.splitlines():
        if line.startswith("slots ") and line.endswith(" d0"):
            text = text.replace(line, line.replace(" d0", " d1"))
    next_map.write_text(text)
    refused = world.tael("move", f"--next={next_map}")
    assert refused.returncode == 1 and "a process has it open" in refused.stderr
    node.stop()
    old_map = world.map.read_text()
    moved = world.tael("move", f"--next={next_map}", "--json")
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["scopes"] > 0
    assert "\nepoch 2\n" in world.map.read_text() and "slots 0-10921 d1" in world.map.read_text()
    assert world.sql(0, "SELECT count(*) FROM payment_intent") == "0"
    assert world.tael("verify").returncode == 0
    # By the old map nobody starts.
    new_map = world.map.read_text()
    world.map.write_text(old_map)
    started = run_tael("server", f"--data={node.root}", "--listen=127.0.0.1:0", *node.documents)
    assert started.returncode == 1 and "of epoch 2, the map of epoch 1" in started.stderr
    world.map.write_text(new_map)
    node.start()
    assert known(https) == before
    for http in https.values():
        pay(http)


def test_a_shard_that_is_gone_stops_its_own_merchants(database_server, tmp_path):
    """Two PostgreSQL servers. The merchants of the others pay on meanwhile, and nothing is lost."""
    with postgres.Postgres() as other, contextlib.closing(
            World(tmp_path, database_server, other, database_server)) as world:
        gone_stops_its_own(world, other)


def gone_stops_its_own(world, other):
    node = world.node("--lock-timeout=2s")
    https = {number: Http(node, key=key, validate=False)
             for number, key in world.add_merchants().items()}
    for http in https.values():
        http.post("/v1/customers", {"name": "n"})
    gone_at = next(i for i, (server, _) in enumerate(world.databases) if server is other)
    assert gone_at != world.platform()
    gone = [number for number in https if world.shard_of(number) == gone_at]
    alive = [number for number in https if number not in gone]
    assert gone and alive
    with Receiver() as receiver:
        for number in (alive[0], gone[0]):
            answer = https[number].post("/v1/webhook_endpoints", {
                "url": receiver.url(), "enabled_events[0]": "customer.created"})
            assert answer.status_code == 200, answer.text
        while_it_is_gone(node, https, gone, alive, other, receiver)


def while_it_is_gone(node, https, gone, alive, other, receiver):
    def told():
        return {one.event["data"]["object"]["id"] for one in receiver.events()}

    other.kill()
    for number in alive:
        pay(https[number])
    # What looks through all shards goes on with those that are there.
    made = https[alive[0]].post("/v1/customers", {"name": "y"}).json()["id"]
    wait_until(lambda: made in told(), 20, "the webhook of a merchant that is there")
    for number in gone:
        assert https[number].post("/v1/customers", {"name": "x"}).status_code >= 500
    ready = operators_told(node, "/readyz")
    shard = ready.split()[3]
    assert shard in ("d0", "d1", "d2")
    assert ready == f"ready, without shard {shard} of the documents\n"
    assert f'tael_document_shards_ready{{shard="{shard}"}} 0\n' in operators_told(node, "/metrics")
    other.start()

    def works(number):
        answer = https[number].post("/v1/payment_intents", PAYMENT)
        return answer.status_code == 200 and answer.json()["status"] == "succeeded"

    for number in gone:
        wait_until(lambda number=number: works(number), 20, "the shard again")
    assert operators_told(node, "/readyz") == "ready\n"
    made = https[gone[0]].post("/v1/customers", {"name": "z"}).json()["id"]
    wait_until(lambda: made in told(), 20, "the webhook of a merchant that is back")
    for number in alive:
        assert len(everything(https[number], "/v1/payment_intents")) == 1


def test_a_shard_that_hangs_is_nobody_elses_matter(database_server, tmp_path):
    """SIGSTOP of a PostgreSQL: the merchants of the others wait for it once, and not for long."""
    with postgres.Postgres() as other, contextlib.closing(
            World(tmp_path, database_server, other, database_server)) as world:
        hangs(world, other)


def timed(action):
    began = time.monotonic()
    answer = action()
    return time.monotonic() - began, answer


def hangs(world, other):
    node = world.node("--lock-timeout=2s")
    https = {number: Http(node, key=key, validate=False)
             for number, key in world.add_merchants().items()}
    for http in https.values():
        http.post("/v1/customers", {"name": "n"})
    hangs_at = next(i for i, (server, _) in enumerate(world.databases) if server is other)
    gone = [number for number in https if world.shard_of(number) == hangs_at]
    alive = [number for number in https if number not in gone]
    assert gone and alive and hangs_at != world.platform()
    other.pause()
    try:
        # All at the same moment, which meet it first; then one after the other.
        first = at_once([lambda number=number: timed(lambda: https[number].post(
            "/v1/customers", {"name": "x"})) for number in https])
        assert [answer.status_code for _, answer in first].count(200) == len(alive)
        times = [took for took, _ in first]
        times += [timed(lambda number=number: pay(https[number]))[0]
                 for _ in range(5) for number in alive]
        took, answer = timed(lambda: https[gone[0]].post("/v1/customers", {"name": "x"}))
        assert answer.status_code >= 500 and took < HANGS_SECONDS
        assert max(times) < HANGS_SECONDS, times
        assert requests.get(node.url + "/readyz", timeout=10).status_code == 200
    finally:
        other.resume()
    for number in gone:
        wait_until(lambda number=number: https[number].post(
            "/v1/payment_intents", PAYMENT).status_code == 200, 20, "the shard again")
    assert world.tael("verify").returncode == 0


TEXTS = {"description": "Tea, \"for two\" {hot}", "metadata[table]": "7",
         "receipt_email": "guest@example.com"}


def to_columns(world):
    """The last database gets the cold parts of payments and charges, and no merchants."""
    write_document_map(world.map, world.urls[:-1], cold=world.urls[-1])


def pay_with_texts(http):
    answer = http.post("/v1/payment_intents", {**PAYMENT, **TEXTS})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def has_texts(payment):
    return (payment["description"] == TEXTS["description"] and payment["metadata"] == {"table": "7"}
            and payment["receipt_email"] == TEXTS["receipt_email"])


def test_cold_texts_of_payments_are_in_a_database_of_their_own(world):
    to_columns(world)
    node = world.node()
    https = {number: Http(node, key=key, validate=False)
             for number, key in world.add_merchants().items()}
    paid = {number: pay_with_texts(http) for number, http in https.items()}
    for number, http in https.items():
        payment = http.get(f"/v1/payment_intents/{paid[number]}").json()
        assert payment["status"] == "succeeded" and has_texts(payment)
        charge = http.get(f"/v1/charges/{payment['latest_charge']}").json()
        assert charge["description"] == TEXTS["description"]
        assert [one["description"] for one in http.get("/v1/charges").json()["data"]] == [
            TEXTS["description"]]
        found = http.get("/v1/payment_intents/search", params={"query": "metadata['table']:'7'"})
        assert [one["id"] for one in found.json()["data"]] == [paid[number]]
    # Nowhere else.
    for shard in range(SHARDS - 1):
        for kind in ("payment_intent", "charge"):
            assert world.sql(shard, f"SELECT count(*) FROM {kind} WHERE body LIKE '%Tea%'") == "0"
    assert world.sql(SHARDS - 1, "SELECT count(*) FROM payment_intent_cold") == str(MERCHANTS)
    replaced(world, https, paid)


def replaced(world, https, paid):
    """Other texts are other parts; what no row names any more is told, and is nothing wrong."""
    number = next(iter(paid))
    path = f"/v1/payment_intents/{paid[number]}"
    assert https[number].post(path, {"description": "Coffee"}).status_code == 200
    payment = https[number].get(path).json()
    assert payment["description"] == "Coffee" and payment["metadata"] == {"table": "7"}
    verified = world.tael("verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["cold_parts"] >= 2 * MERCHANTS
    cold = [one for one in json.loads(world.tael("list", "--json").stdout)["shards"] if one["cold"]]
    assert [one["name"] for one in cold] == ["cold"]
    assert cold[0]["cold_parts_unnamed"] >= 1 and cold[0]["scopes_of_other_shards"] == 0
    # A part that is gone is found, and no payment is shown without its texts.
    world.sql(SHARDS - 1, f"DELETE FROM payment_intent_cold WHERE id LIKE '{paid[number]}@%'")
    assert https[number].get(path).status_code >= 500
    verified = world.tael("verify")
    assert verified.returncode == 1 and "the cold parts of 1 rows are not where" in verified.stderr


def test_without_the_database_of_texts_payments_without_texts_go_on(database_server, tmp_path):
    with postgres.Postgres() as other, contextlib.closing(
            World(tmp_path, database_server, database_server, other)) as world:
        to_columns(world)
        texts_are_gone(world, other)


def texts_are_gone(world, other):
    node = world.node("--lock-timeout=2s")
    http = Http(node, key=next(iter(world.add_merchants().values())), validate=False)
    with_texts, without = pay_with_texts(http), pay(http)
    other.kill()
    assert http.get(f"/v1/payment_intents/{with_texts}").status_code >= 500
    assert http.post("/v1/payment_intents", {**PAYMENT, **TEXTS}).status_code >= 500
    assert http.get(f"/v1/payment_intents/{without}").json()["status"] == "succeeded"
    assert operators_told(node, "/readyz") == "ready, without shard cold of the documents\n"
    pay(http)
    other.start()

    def is_back():
        answer = http.get(f"/v1/payment_intents/{with_texts}")
        return answer.status_code == 200 and has_texts(answer.json())

    wait_until(is_back, 20, "the texts again")
    assert world.tael("verify").returncode == 0


def test_servers_delete_texts_that_no_payment_names(world):
    """By themselves, a minute after they were replaced: whoever still reads has ended then."""
    to_columns(world)
    nodes = [world.node("--documents-sweep=24s"), world.node("--documents-sweep=24s")]
    key = next(iter(world.add_merchants().values()))
    http = Http(nodes[0], key=key, validate=False)
    path = f"/v1/payment_intents/{pay_with_texts(http)}"
    assert http.post(path, {"description": "Coffee"}).status_code == 200

    def parts():
        return int(world.sql(SHARDS - 1, "SELECT count(*) FROM payment_intent_cold"))

    assert parts() == 2
    wait_until(lambda: parts() == 1, 120, "the replaced text's end")
    assert http.get(path).json()["description"] == "Coffee"
    verified = world.tael("verify")
    assert verified.returncode == 0, verified.stderr
