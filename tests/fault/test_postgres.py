"""Documents on PostgreSQL: several servers on one database, and a database that dies."""

import json
import shutil
import string
import threading
import time
import uuid

import pytest
import requests

from kit import postgres
from kit.books import settled
from kit.client import Http
from kit.needs import needs_postgres
from kit.receiver import Receiver
from kit.server import Server, wait_until
from kit.slow_wire import SlowWire
from kit.together import at_once

pytestmark = needs_postgres

FLAGS = ("--lock-timeout=30s",)
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
AUTOMATIC = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
             "confirm": "true"}


@pytest.fixture(scope="module")
def database_server():
    with postgres.Postgres() as made:
        yield made


def add_node(made, folder, url, *flags):
    """One more server on a database. The first makes the keys, which the others get."""
    node = Server(folder / f"node-{len(made)}", *FLAGS, *flags)
    node.documents = (f"--documents={url}",)
    if made:
        (node.data / "webhooks").mkdir(parents=True)
        for shared in ("webhooks/master.key", "test_secret_key"):
            shutil.copyfile(made[0].data / shared, node.data / shared)
    made.append(node)
    return node.start()


@pytest.fixture
def nodes(database_server, tmp_path):
    """Makes servers on one database."""
    made = []
    name = f"nodes_{uuid.uuid4().hex[:8]}"
    url = database_server.create(name)

    yield lambda *flags: add_node(made, tmp_path, url, *flags)
    for node in made:
        node.close()
    database_server.drop(name)


def everything(http, path):
    found, after = [], {}
    while True:
        page = http.get(path, params={"limit": "100", **after}).json()
        found += page["data"]
        if not page["has_more"]:
            return found
        after = {"starting_after": found[-1]["id"]}


# ---- two nodes ----------------------------------------------------------------------------------


def test_one_key_of_64_clients_over_two_nodes(nodes):
    both = [Http(nodes(), validate=False), Http(nodes(), validate=False)]
    for round_number in range(3):
        key = {"Idempotency-Key": f"same-{round_number}"}
        body = {"email": f"r{round_number}@example.com"}
        answers = at_once([
            lambda http=both[i % 2]: http.post("/v1/customers", body, headers=key)
            for i in range(64)
        ])
        assert {answer.status_code for answer in answers} <= {200, 409}
        ids = {answer.json()["id"] for answer in answers if answer.status_code == 200}
        assert len(ids) == 1
        for http in both:
            again = http.post("/v1/customers", body, headers=key)
            assert again.headers["Idempotent-Replayed"] == "true"
            assert {again.json()["id"]} == ids
            assert http.post("/v1/customers", {"email": "other"}, headers=key).status_code == 400
    for http in both:
        assert len(everything(http, "/v1/customers")) == 3


def test_no_update_is_lost(nodes):
    """Each takes the object's lock, which both nodes share: none overwrites another's member."""
    both = [Http(nodes(), validate=False), Http(nodes(), validate=False)]
    customer = both[0].post("/v1/customers", {}).json()["id"]
    answers = at_once([
        lambda i=i: both[i % 2].post(f"/v1/customers/{customer}", {f"metadata[m{i}]": "x"})
        for i in range(40)
    ])
    assert {answer.status_code for answer in answers} == {200}
    for http in both:
        assert len(http.get(f"/v1/customers/{customer}").json()["metadata"]) == 40


def test_an_alias_is_given_once(nodes):
    both = [Http(nodes(), validate=False), Http(nodes(), validate=False)]
    owners = [both[0].post("/v1/customers", {}).json()["id"] for _ in range(16)]
    answers = at_once([
        lambda i=i: both[i % 2].post("/v1/wallets", {
            "customer": owners[i], "currency": "usd", "phone": "+14155550100"})
        for i in range(16)
    ])
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {answer.json()["error"].get("code") for answer in answers
            if answer.status_code == 400} <= {"wallet_alias_taken"}
    assert {answer.status_code for answer in answers} <= {200, 400, 409}


def test_keys_are_the_same_everywhere(nodes):
    here, there = Http(nodes(), validate=False), Http(nodes(), validate=False)
    made = here.post("/v1/tael/api_keys", {"type": "secret"}).json()
    other = Http(there.server, key=made["key"], validate=False)
    assert other.get("/v1/customers").status_code == 200
    assert here.delete(f"/v1/tael/api_keys/{made['id']}").status_code == 200
    wait_until(lambda: other.get("/v1/customers").status_code == 401, 5, "the end of the key there")


def test_types_of_events_are_known_everywhere(nodes):
    here, there = Http(nodes(), validate=False), Http(nodes(), validate=False)
    here.post("/v1/customers", {"name": "n"})
    found = there.get("/v1/events", params={"type": "customer.*"}).json()["data"]
    assert [event["type"] for event in found] == ["customer.created"]


def test_webhooks_of_both_nodes_once_and_by_the_other_when_one_dies(nodes):
    first, second = nodes(), nodes()
    both = [Http(first, validate=False), Http(second, validate=False)]
    with Receiver() as receiver:
        made = both[0].post("/v1/webhook_endpoints", {
            "url": receiver.url(), "enabled_events[0]": "customer.created"})
        assert made.status_code == 200, made.text
        ids = [both[i % 2].post("/v1/customers", {}).json()["id"] for i in range(40)]

        def delivered():
            return [one.event["data"]["object"]["id"] for one in receiver.events()]

        wait_until(lambda: len(delivered()) >= 40, 30, "all webhooks")
        assert sorted(delivered()) == sorted(ids)
        first.kill()
        ids += [both[1].post("/v1/customers", {}).json()["id"] for _ in range(10)]
        wait_until(lambda: set(ids) <= set(delivered()), 30, "the webhooks behind the death")
        both[1].delete(f"/v1/webhook_endpoints/{made.json()['id']}")


def test_another_node_ends_what_a_dead_one_began(nodes):
    """After the lease, by the database's clock, and not before."""
    flags = ("--attempt-lease=3s", "--issuer-latency=60s", "--rail-timeout=90s")
    dies, lives = nodes(*flags), nodes("--attempt-lease=3s")
    intent = Http(dies, validate=False).post(
        "/v1/payment_intents", {"amount": "2000", "currency": "usd"}).json()["id"]
    key = {"Idempotency-Key": "of-the-dead"}
    path, body = f"/v1/payment_intents/{intent}/confirm", {"payment_method": "pm_card_visa"}

    def confirm():
        try:
            Http(dies, validate=False).post(path, body, headers=key)
        except requests.ConnectionError:
            pass

    client = threading.Thread(target=confirm)
    client.start()
    http = Http(lives, validate=False)

    def status():
        return http.get(f"/v1/payment_intents/{intent}").json()["status"]

    wait_until(lambda: status() == "processing", 20, "the attempt")
    began = time.monotonic()
    # While its worker lives, the object is the worker's: nobody else takes it.
    assert http.post(path, body, headers=key).status_code == 409
    time.sleep(1)
    assert status() == "processing"
    dies.kill()
    client.join(30)
    wait_until(lambda: status() != "processing", 30, "the end of the attempt")
    assert time.monotonic() - began > 1.9  # seconds are whole
    wait_until(lambda: http.post(path, body, headers=key).status_code != 409, 10,
               "the end of the key")


# ---- a database that dies -----------------------------------------------------------------------


class Load:
    """Clients that make customers, each with a key, and repeat until they know."""

    def __init__(self, servers, clients=8):
        self.servers, self.stopping = servers, False
        self.done, self.odd = [], []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, index):
        http = Http(self.servers[index % len(self.servers)], validate=False)
        number = 0
        while not self.stopping:
            number += 1
            name = f"c{index}-{number}"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                answer = http.post("/v1/customers", {"name": name},
                                   headers={"Idempotency-Key": name})
                if answer.status_code == 200:
                    self.done.append((name, answer.json()["id"]))
                    break
                if answer.status_code not in (409, 500):
                    self.odd.append(answer.text)
                time.sleep(0.02)
            else:
                self.odd.append(f"{name} never got through")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(90)


def ready(server):
    return requests.get(server.url + "/readyz", timeout=30).status_code == 200


@pytest.fixture
def own_database():
    """One that a test may kill; it keeps what it was told to."""
    with postgres.Postgres(durable=True) as made:
        yield made


def test_nothing_is_lost_or_doubled_when_the_database_is_killed(own_database, tmp_path):
    servers = []
    url = own_database.create("killed")
    try:
        for _ in range(2):
            add_node(servers, tmp_path, url)
        load = Load(servers)
        for _ in range(3):
            before = len(load.done)
            wait_until(lambda: len(load.done) > before + 50, 60, "progress")
            own_database.kill()
            time.sleep(0.3)
            wait_until(lambda: not any(ready(node) for node in servers), 30, "not ready")
            own_database.start()
            wait_until(lambda: all(ready(node) for node in servers), 60, "ready again")
        load.stop()
        assert load.odd == []
        there = everything(Http(servers[1], validate=False), "/v1/customers")
        assert sorted((one["name"], one["id"]) for one in there) == sorted(load.done)
    finally:
        for node in servers:
            node.close()


def test_payments_survive_the_death_of_the_database(own_database, tmp_path):
    node = Server(tmp_path / "node", "--attempt-lease=2s")
    node.documents = (f"--documents={own_database.create('payments')}",)
    node.start()
    try:
        http = Http(node, validate=False)
        paid, stopping = {}, threading.Event()

        def pay(index):
            number = 0
            while not stopping.is_set():
                number += 1
                key = f"{index}-{number}"
                while not stopping.is_set() or number == 0:
                    answer = http.post("/v1/payment_intents", AUTOMATIC,
                                       headers={"Idempotency-Key": key})
                    if answer.status_code == 200:
                        paid[key] = answer.json()["id"]
                        break
                    time.sleep(0.02)

        threads = [threading.Thread(target=pay, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            before = len(paid)
            wait_until(lambda: len(paid) > before + 20, 60, "payments")
            own_database.kill()
            time.sleep(0.3)
            own_database.start()
        before = len(paid)
        wait_until(lambda: len(paid) > before + 20, 60, "payments behind it")
        stopping.set()
        for thread in threads:
            thread.join(60)
        books = settled(node)
        there = {intent.id: intent.status for intent in books.intents}
        assert set(paid.values()) <= set(there)
        assert len(set(paid.values())) == len(paid)
        assert {there[one] for one in paid.values()} == {"succeeded"}
    finally:
        node.close()


def unix_ms(name):
    """When an id was made, as it says itself."""
    number = 0
    for digit in name.rsplit("_", 1)[1]:
        number = number * 62 + DIGITS.index(digit)
    return number >> 80


def test_the_time_is_the_databases_however_far_it_is(database_server, tmp_path):
    """Processes on one database put their ids into one order, so what they take for its clock may not
    depend on the way there. Here it is this machine's clock."""
    url = database_server.create("far")
    away = 0.04
    with SlowWire(database_server.folder, away) as wire:
        node = Server(tmp_path / "node", *FLAGS)
        node.documents = (f"--documents={url.replace(str(database_server.folder), wire.folder)}",)
        node.start()
        wire.seconds = 0
        try:
            http = Http(node)
            http.post("/v1/customers", {})  # behind what was on its way
            before = time.time() * 1000
            made = http.post("/v1/customers", {}).json()["id"]
            after = time.time() * 1000
            assert before - away * 500 < unix_ms(made) < after + away * 500
        finally:
            node.close()


def test_a_database_that_hangs_makes_nobody_wait_for_ever(own_database, tmp_path):
    node = Server(tmp_path / "node")
    node.documents = (f"--documents={own_database.create('hangs')}",)
    node.start()
    try:
        http = Http(node, validate=False)
        assert http.post("/v1/customers", {}).status_code == 200
        own_database.pause()
        began = time.monotonic()
        try:
            answer = http.post("/v1/customers", {}, headers={"Idempotency-Key": "k"})
        finally:
            took = time.monotonic() - began
            own_database.resume()
        assert answer.status_code == 500 and took < 40
        assert json.loads(answer.text)["error"]["type"] == "api_error"
        wait_until(lambda: ready(node), 30, "ready again")
        wait_until(lambda: http.post("/v1/customers", {}, headers={"Idempotency-Key": "k"})
                   .status_code == 200, 30, "an answer")
    finally:
        node.close()
