"""Copies of rows: two servers on one PostgreSQL and one Redis, which lies, stops and dies."""

import re
import shutil
import threading
import time
import uuid

import pytest
import requests

from kit import postgres, redis
from kit.client import Http
from kit.server import ROOT, Server, run_tael, wait_until, within

# So long that who waits for a copy's end misses what is promised, on a busy machine, too.
LONG_LIVED = "--cache-lifetime=1m"
TOLD_SECONDS = 30

pytestmark = pytest.mark.skipif(
    not postgres.available() or not redis.available(),
    reason="PostgreSQL or Redis is not installed: apt-get install postgresql-15 redis-server")


@pytest.fixture(scope="module")
def database_server():
    with postgres.Postgres() as made:
        yield made


@pytest.fixture
def cache():
    with redis.Redis() as made:
        yield made


@pytest.fixture
def nodes(database_server, cache, tmp_path):
    """Makes servers on one database; the first of them makes the keys, which the others get."""
    made = []
    name = f"cache_{uuid.uuid4().hex[:8]}"
    url = database_server.create(name)

    def make(*flags):
        node = Server(tmp_path / f"node-{len(made)}", f"--cache={cache.url}", *flags)
        node.documents = (f"--documents={url}",)
        if made:
            (node.data / "webhooks").mkdir(parents=True)
            for shared in ("webhooks/master.key", "test_secret_key"):
                shutil.copyfile(made[0].data / shared, node.data / shared)
        made.append(node)
        node.start()
        wait_until(lambda: metrics(node)["tael_cache_serves"] == 1, 30, "hearing")
        wait_until(lambda: metrics(node)["tael_redis_connected"] == 1, 30, "Redis")
        return Http(node, validate=False)

    yield make
    for node in made:
        node.close()
    database_server.drop(name)


def metrics(server):
    """By name with labels, as they stand there."""
    text = requests.get(server.direct_url + "/metrics", timeout=30).text
    return {name: float(value) for name, value in
            re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.MULTILINE)}


def hits(http):
    return metrics(http.server)['tael_cache_reads_total{result="hit"}']


def name_of(http, customer):
    answer = http.get(f"/v1/customers/{customer}")
    assert answer.status_code == 200, answer.text
    return answer.json()["name"]


def rename(http, customer, name):
    answer = http.post(f"/v1/customers/{customer}", {"name": name})
    assert answer.status_code == 200, answer.text


def warm(http, customer):
    """Until it is answered from a copy."""
    def is_hit():
        before = hits(http)
        name_of(http, customer)
        return hits(http) > before
    wait_until(is_hit, 30, "a copy")


def test_a_change_is_seen_by_both(nodes, cache):
    a, b = nodes(LONG_LIVED), nodes(LONG_LIVED)
    customer = a.post("/v1/customers", {"name": "n0"}).json()["id"]
    delays = []
    for i in range(1, 40):
        warm(b, customer)
        rename(a, customer, f"n{i}")
        began = time.monotonic()
        assert name_of(a, customer) == f"n{i}"  # at once, where it was changed
        within(lambda i=i: name_of(b, customer) == f"n{i}", TOLD_SECONDS, "the change")
        delays.append(time.monotonic() - began)
        assert name_of(b, customer) == f"n{i}"  # and never back
    print("seen after, ms:", sorted(round(delay * 1000, 1) for delay in delays))
    a.delete(f"/v1/customers/{customer}")
    assert a.get(f"/v1/customers/{customer}").json()["deleted"]
    within(lambda: b.get(f"/v1/customers/{customer}").json().get("deleted"), TOLD_SECONDS, "the removal")


def test_a_copy_costs_no_statement(nodes, cache, database_server):
    a, b = nodes("--cache-lifetime=1m"), nodes("--cache-lifetime=1m")
    customers = [a.post("/v1/customers", {"name": f"n{i}"}).json()["id"] for i in range(10)]

    def reads(row):
        """Rows of customers that PostgreSQL has read; it counts with a delay."""
        return int(database_server.sql(
            "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_user_tables "
            "WHERE relname = 'customer'", row))

    for customer in customers:
        warm(a, customer)
    found = metrics(b.server)['tael_redis_asked_total{answer="found"}']
    for customer in customers:
        warm(b, customer)  # what a brought to Redis
    assert metrics(b.server)['tael_redis_asked_total{answer="found"}'] >= found + 5
    database = a.server.documents[0].split("@/")[1].split("?")[0]
    time.sleep(2)
    before = reads(database)
    for _ in range(20):
        for customer in customers:
            for http in (a, b):
                assert name_of(http, customer).startswith("n")
    time.sleep(2)
    assert reads(database) - before < 100  # of 400; Redis may have been lost for a moment


def test_nothing_can_be_read_in_redis(nodes, cache):
    a = nodes()
    secrets = {"name": "Penelope Quux", "email": "penelope@example.com", "phone": "+15550100"}
    customer = a.post("/v1/customers", secrets).json()["id"]
    card = a.post("/v1/payment_methods/pm_card_visa/attach", {"customer": customer}).json()["id"]
    for _ in range(5):
        a.get(f"/v1/customers/{customer}")
        a.get(f"/v1/payment_methods/{card}")
    wait_until(lambda: any(
        b"V0000" in cache.ask("GET", key) for key in cache.keys()), 20, "a copy in Redis")
    everything = b"".join(key + cache.ask("GET", key) for key in cache.keys())
    for secret in (*secrets.values(), customer, card, a.server.key, "4242", "visa"):
        assert secret.encode() not in everything
    for key in cache.keys():
        assert 0 < int(cache.ask("PTTL", key)[1:]) <= 10_001


def test_what_redis_says_is_not_believed(nodes, cache):
    # What is said falsely keeps copies away for a lifetime, no more.
    a, b = nodes("--cache-lifetime=1s"), nodes("--cache-lifetime=1s")
    one, two = (a.post("/v1/customers", {"name": n}).json()["id"] for n in ("one", "two"))
    spoiled = [b"hello", b"V" + b"0" * 19 + b"1" + b"x" * 100, b"V" + b"9" * 20, b"F" + b"9" * 20,
               b"V" + b"0" * 19 + b"1"]
    damaged = metrics(b.server)["tael_cache_damaged_total"]
    for spoil in spoiled:
        warm(a, one)
        warm(a, two)
        keys = cache.keys()
        values = {key: cache.ask("GET", key) for key in keys}
        for key in keys:
            cache.ask("SET", key, spoil, "PX", 60000)
        assert (name_of(b, one), name_of(b, two)) == ("one", "two")
        rename(b, one, "one")
        # One row's copy under the name of the other.
        for key, value in zip(keys, reversed(list(values.values()))):
            if value.startswith(b"$"):
                cache.ask("SET", key, value.split(b"\r\n", 1)[1][:-2], "PX", 60000)
        # Somebody says that both are gone, or of a version that is not there.
        for key in keys:
            name = key.removeprefix(b"tael:r:")
            cache.ask("PUBLISH", "tael:told", b"f" + name + b"18446744073709551615")
            cache.ask("PUBLISH", "tael:told", b"f" + name + b"00000000000000000999")
        for http in (a, b):
            assert (name_of(http, one), name_of(http, two)) == ("one", "two")
    assert metrics(b.server)["tael_cache_damaged_total"] > damaged


def test_a_revoked_key_ends(nodes):
    a, b = nodes(LONG_LIVED), nodes(LONG_LIVED)
    made = a.post("/v1/tael/api_keys", {"type": "secret"}).json()
    both = [Http(http.server, key=made["key"], validate=False) for http in (a, b)]
    for http in both:
        assert http.get("/v1/balance").status_code == 200
    delays = []
    assert a.delete(f"/v1/tael/api_keys/{made['id']}").status_code == 200
    began = time.monotonic()
    assert both[0].get("/v1/balance").status_code == 401
    within(lambda: both[1].get("/v1/balance").status_code == 401, TOLD_SECONDS, "the end of the key")
    delays.append(time.monotonic() - began)
    print("refused elsewhere after, ms:", [round(delay * 1000, 1) for delay in delays])


class Load:
    """Reads and writes without an end; every answer is held against what was written last."""

    def __init__(self, readers, writer, customer):
        self.stopped = threading.Event()
        self.failures = []
        self.slowest = 0.0
        self.reads = 0
        self.written = 0
        self.threads = [threading.Thread(target=self._write, args=(writer, customer))]
        self.threads += [threading.Thread(target=self._read, args=(r, customer)) for r in readers]
        for thread in self.threads:
            thread.start()

    def _write(self, http, customer):
        while not self.stopped.is_set():
            try:
                rename(http, customer, str(self.written + 1))
                self.written += 1
            except (AssertionError, requests.RequestException) as failure:
                self.failures.append(repr(failure))
            time.sleep(0.02)

    def _read(self, http, customer):
        last = 0
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                seen = int(name_of(http, customer))
                if seen < last:
                    self.failures.append(f"from {last} back to {seen}")
                last = seen
                self.reads += 1
            except (AssertionError, requests.RequestException) as failure:
                self.failures.append(repr(failure))
            self.slowest = max(self.slowest, time.monotonic() - began)

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)
        assert self.failures == []
        assert self.reads > 50 and self.written > 5


def test_redis_dies_and_comes_back_under_load(nodes, cache):
    a, b = nodes(), nodes()
    customer = a.post("/v1/customers", {"name": "0"}).json()["id"]
    rename(a, customer, "0")
    load = Load([a, b, b], a, customer)
    for _ in range(2):
        time.sleep(1)
        cache.kill()
        for http in (a, b):
            wait_until(lambda http=http: metrics(http.server)["tael_cache_serves"] == 0
                       and metrics(http.server)["tael_redis_connected"] == 0, 20, "noticed")
        before = [hits(http) for http in (a, b)]
        time.sleep(1)
        assert [hits(http) for http in (a, b)] == before  # the database answers
        cache.start()
        for http in (a, b):
            wait_until(lambda http=http: metrics(http.server)["tael_cache_serves"] == 1
                       and metrics(http.server)["tael_redis_connected"] == 1, 20, "back")
    load.end()
    warm(b, customer)
    for http in (a, b):
        log = http.server.log()
        # A machine that stands still for a while may lose it once more.
        assert log.count("Redis is lost") == log.count("Redis is back") >= 2
        assert metrics(http.server)["tael_redis_errors_total"] >= 2


def test_redis_that_does_not_answer(nodes, cache):
    a, b = nodes(), nodes()
    customer = a.post("/v1/customers", {"name": "0"}).json()["id"]
    rename(a, customer, "0")
    load = Load([a, b], a, customer)
    time.sleep(0.5)
    cache.pause()
    try:
        for http in (a, b):
            wait_until(lambda http=http: metrics(http.server)["tael_cache_serves"] == 0, 20,
                       "silence was noticed")
        rename(a, customer, "1000000")
        assert name_of(b, customer) in ("1000000", str(load.written), str(load.written + 1))
    finally:
        cache.resume()
    load.stopped.set()
    for thread in load.threads:
        thread.join(60)
    assert [f for f in load.failures if "back to" not in f] == []
    wait_until(lambda: metrics(b.server)["tael_cache_serves"] == 1, 30, "back")


def test_a_server_starts_without_redis(nodes, cache, database_server, tmp_path):
    a = nodes()
    cache.kill()
    customer = a.post("/v1/customers", {"name": "x"}).json()["id"]
    a.server.stop()
    a.server.start()
    assert name_of(a, customer) == "x"
    assert requests.get(a.server.url + "/readyz", timeout=60).status_code == 200
    cache.start()
    wait_until(lambda: metrics(a.server)["tael_cache_serves"] == 1, 30, "hearing")
    warm(a, customer)


def test_a_user_with_only_the_rights_of_the_manual(database_server, tmp_path):
    manual = (ROOT / "docs/operations/cache.md").read_text()
    rights = re.search(r"The user needs `([^`]+)`", manual).group(1).split()
    with redis.Redis("--user", "tael", "on", ">open sesame", *rights,
                     "--user", "default", "on", "nopass", "~*", "&*", "+@all") as cache:
        url = database_server.create(f"rights_{uuid.uuid4().hex[:8]}")
        server = Server(tmp_path / "node",
                        f"--cache=redis://tael:open sesame@localhost:{cache.port}/1")
        server.documents = (f"--documents={url}",)
        server.start()
        try:
            wait_until(lambda: metrics(server)["tael_cache_serves"] == 1, 30, "hearing")
            http = Http(server, validate=False)
            customer = http.post("/v1/customers", {"name": "n"}).json()["id"]
            for i in range(10):
                rename(http, customer, f"n{i}")
                warm(http, customer)
            wait_until(lambda: metrics(server)["tael_redis_told_total"] >= 10
                       and metrics(server)['tael_redis_stored_total{result="stored"}'] >= 9,
                       10, "told and stored")
            assert "NOPERM" not in server.log()
        finally:
            server.close()


def test_settings_that_cannot_be(tmp_path):
    for flags, words in [
        (("--cache=redis://127.0.0.1:1",), "--documents=postgres"),
        (("--cache=redis://127.0.0.1", "--documents=postgres://x"), "no port"),
        (("--cache=rediss://u:hunter2@h:1", "--documents=postgres://x"), "redis://HOST:PORT"),
    ]:
        ended = run_tael("server", f"--data={tmp_path / 'd'}", "--listen=127.0.0.1:0", *flags)
        assert ended.returncode != 0
        assert words in ended.stderr
        assert "hunter2" not in ended.stderr
