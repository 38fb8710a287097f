"""A deployment behind gateways while it changes under load: api processes are added and drained,
and api processes and gateways are killed."""

import re
import time

import pytest
import requests

from kit import postgres
from kit.books import metrics, reconciled, settled
from kit.client import Http
from kit.load import FUNDS, LIMITS, Client, Place, check_payments, check_wallets
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.server import LONG, Server, run_tael, wait_until
from kit.together import finish
from kit.wallets import Wallets

pytestmark = needs_postgres

CLIENTS = 64
WALLETS = 16
ROUNDS = 8 if LONG else 1
PAUSE = 0.05  # of a client between requests: the machine that runs the tests has other work
SHARE_SECONDS = 5
QUIET_SECONDS = 2  # then nothing fails any more
FLAGS = ("--lock-timeout=30s", "--attempt-lease=5s", LIMITS)


@pytest.fixture(scope="module")
def database():
    with postgres.Postgres() as made:
        yield made


def requests_of(operators):
    text = requests.get(f"http://{operators}/metrics", timeout=30).text
    return sum(float(value) for value in
               re.findall(r"^tael_http_requests_total\{[^}]*\} (\S+)$", text, re.MULTILINE))


class Load:
    def __init__(self, server, urls):
        self.server = server
        self.wallets = Wallets(server)
        self.everyone = [self.wallets.wallet(FUNDS) for _ in range(WALLETS)]
        self.clients = [Client(server, self.everyone, seed, urls) for seed in range(CLIENTS)]
        for client in self.clients:
            client.pause = PAUSE
            client.start()

    def told(self):
        return sum(len(client.told) for client in self.clients)

    def troubles(self):
        return [trouble for client in self.clients for trouble in client.troubles]

    def asked_again(self):
        """Requests, however often."""
        return {(client, trouble.began) for client in self.clients for trouble in client.troubles}

    def progress(self, count=CLIENTS):
        before = self.told()
        wait_until(lambda: self.told() >= before + count or
                   any(client.failure for client in self.clients), 60, "answers")

    def end(self):
        """Documents, ledger, card network and wallets tell what the clients were told."""
        finish(self.clients)
        books = settled(self.server)
        check_payments(books, self.clients)
        check_wallets(self.server, self.wallets, self.everyone, self.clients)
        reconciled(self.server, 60)
        return books


def test_an_api_process_comes_and_another_goes(database, tmp_path):
    server = Server(tmp_path / "c", *FLAGS, api=2, gateways=2)
    server.documents = (f"--documents={database.create('elastic')}",)
    server.start()
    try:
        urls = re.findall(r"^listening on (\S+)$", server.output_path.read_text(), re.MULTILINE)
        assert len(urls) == 2
        load = Load(server, urls)
        load.progress()
        leaves = "api"  # the one that made the keys is no more than the others
        for _ in range(ROUNDS):
            added = run_tael("local-cluster", "add", f"--data={server.root}", check=True)
            name = re.match(r"([\w-]+): pid \d+, listens http://\S+\n", added.stdout).group(1)
            began = time.monotonic()
            nodes = {node["name"]: node["operators"] for node in server.nodes()}

            def share():
                before = {one: requests_of(where) for one, where in nodes.items()}
                time.sleep(0.5)
                now = {one: requests_of(where) - before[one] for one, where in nodes.items()}
                return now[name] / max(1, sum(now.values()))

            wait_until(lambda: share() > 0.7 / len(nodes), SHARE_SECONDS, "its share")
            took = time.monotonic() - began
            drained = run_tael("local-cluster", "drain", leaves, f"--data={server.root}")
            assert drained.returncode == 0, drained.stderr
            assert drained.stdout == f"{leaves}: drained\n"
            load.progress()
            print(f"{name} had its share after {took:.1f} s, {leaves} left")
            leaves = name
        load.end()
        assert [trouble.why for trouble in load.troubles()] == []
        print(f"{load.told()} answers, none failed")
    finally:
        server.close()


def test_what_cannot_be_drained(database, tmp_path):
    server = Server(tmp_path / "c", api=1, gateways=1)
    server.documents = (f"--documents={database.create('last')}",)

    def ask(*words):
        result = run_tael("local-cluster", *words, f"--data={server.root}")
        return result.returncode, result.stderr

    assert ask("add") == (1, f"tael local-cluster: no cluster runs on {server.root}\n")
    server.start()
    try:
        for words, why in {("drain", "api-7"): "there is no api process of that name",
                           ("drain", "ledger"): "there is no api process of that name",
                           ("drain", "api"): "it is the last one"}.items():
            status, text = ask(*words)
            assert status == 1 and why in text
        for words in (("drain",), ("add", "api-2"), ("grow",)):
            status, text = ask(*words)
            assert status == 2 and "add, and drain NAME" in text
        second = run_tael("local-cluster", f"--data={server.root}", "--postgres=no")
        assert second.returncode == 1 and "in use" in second.stderr, second.stderr
    finally:
        server.close()


def after_quiet(load, at):
    """Troubles of requests that began when all was over."""
    return [trouble.why for trouble in load.troubles() if trouble.began > at + QUIET_SECONDS]


@pytest.fixture
def nodes(database, tmp_path):
    name = f"killed_{tmp_path.name[-12:]}"
    made = Nodes(tmp_path / "n", database.create(name), *FLAGS, api=3, gateways=2).start()
    yield made
    made.close()


def test_api_processes_are_killed_under_load(nodes):
    load = Load(nodes, [gateway.url for gateway in nodes.gateways])
    load.progress()
    for round_number in range(ROUNDS):
        for name in ("api-2", "api")[:2 if LONG else 1]:
            seen = len(load.asked_again())
            nodes.processes[name].kill()
            at = time.monotonic()
            time.sleep(QUIET_SECONDS + 0.5)
            load.progress(2 * CLIENTS)
            assert after_quiet(load, at) == []
            print(f"{name} killed: {len(load.asked_again()) - seen} requests were asked again")
            nodes.processes[name].start()
            at = time.monotonic()
            load.progress(2 * CLIENTS)
            assert after_quiet(load, at) == []
    nodes.process = nodes.processes["api"].process
    books = load.end()
    print(f"{load.told()} answers, {len(books.intents)} payments, {len(books.refunds)} refunds")


def test_a_gateway_is_killed_under_load(nodes):
    """Its clients connect to the other one."""
    load = Load(nodes, [gateway.url for gateway in nodes.gateways])
    load.progress()
    for round_number in range(ROUNDS):
        dies, lives = nodes.gateways[round_number % 2], nodes.gateways[1 - round_number % 2]
        nodes.url = lives.url
        load.wallets.http.server = nodes
        seen = len(load.asked_again())
        dies.kill()
        at = time.monotonic()
        # A client may come to the dead one once more with each request, and goes on at once.
        load.progress(4 * CLIENTS)
        time.sleep(QUIET_SECONDS)
        load.progress(CLIENTS)
        assert after_quiet(load, at) == []
        print(f"{len(load.asked_again()) - seen} requests were asked again")
        dies.start()
        for client in load.clients:  # where it listens now
            left = [one for one in client.places if one.server.url == lives.url]
            client.places = [*left, Http(Place(nodes, dies.url), validate=False)]
    load.end()


def test_metrics_of_a_cluster_are_those_of_all(database, tmp_path):
    """Which is what the tests above rest on."""
    server = Server(tmp_path / "c", api=2, gateways=1)
    server.documents = (f"--documents={database.create('metrics')}",)
    server.start()
    try:
        assert len(server.metrics_urls()) == 2
        wait_until(lambda: metrics(server)["tael_reconcile_runs_total"] >= 2, 30, "comparisons")
        led = [requests.get(url + "/metrics", timeout=30).text for url in server.metrics_urls()]
        runs = [int(re.search(r"^tael_reconcile_runs_total (\d+)$", text, re.MULTILINE).group(1))
                for text in led]
        assert sorted(runs)[0] == 0 and sorted(runs)[1] >= 2  # one leads, the other does nothing
    finally:
        server.close()
