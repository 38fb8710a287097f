"""Every line that a process logs for a request carries the request's trace id: in the process that the
client asked, and in those that it asked in turn."""

import concurrent.futures
import contextlib
import json
import re

import pytest
import requests

from kit.client import Http
from kit.cluster import Cluster
from kit.gateway import Gateway, before
from kit.server import Server, wait_until

PAYMENT = {"amount": "2000", "currency": "usd", "confirm": "true"}


@pytest.fixture
def cluster(tmp_path):
    """Processes that log all they can, and do nothing of their own for a while."""
    made = Cluster(
        tmp_path / "cluster", "--log-level=debug", "--trace-trust", "--reconcile-interval=1h",
        "--sweep-interval=1h", ordinary=False).start()
    yield made
    made.close()


def lines(member):
    return [json.loads(line) for line in member.log().splitlines() if line.startswith("{")]


class Watch:
    """What is logged from now on, by process. Work of the processes' own that nobody asked for is none of
    a request's: they look for one another, and see the others come and go."""

    OWN = ("peers", "upstream", "operators", "server")

    def __init__(self, cluster):
        self.cluster = cluster
        self.before = {name: len(lines(member)) for name, member in cluster.processes.items()}

    def new(self):
        return {name: [line for line in lines(member)[self.before[name]:]
                       if line["component"] not in self.OWN]
                for name, member in self.cluster.processes.items()}

    def check(self, trace_id, names):
        """Each of these has lines, and nobody has a line of another or of no trace."""
        def there():
            new = self.new()
            return new if all(new[name] for name in names) else None

        new = wait_until(there, 20, f"lines of {names}")
        for name, found in new.items():
            for line in found:
                assert line.get("trace") == trace_id, (name, line)
        return new


def pay(url, key, method):
    return requests.post(
        url + "/v1/payment_intents", data={**PAYMENT, "payment_method": method}, timeout=60,
        headers={"Authorization": f"Bearer {key}"})


def test_a_declined_payment(cluster, tmp_path):
    gateway = Gateway(tmp_path / "gateway", before(int(cluster.url.rsplit(":", 1)[1]))).start()
    try:
        watch = Watch(cluster)
        answer = pay(gateway.url, cluster.key, "pm_card_chargeDeclined")
        assert answer.status_code == 402
        trace_id = answer.headers["Trace-Id"]
        new = watch.check(trace_id, ("api", "cards", "vault"))
        [line] = [line for line in new["api"] if line["message"] == "request answered"]
        assert (line["status"], line["route"], line["request"]) == (
            402, "/v1/payment_intents", answer.headers["Request-Id"])
        assert {line["operation"] for line in new["cards"]} == {"submit"}
        [line] = wait_until(gateway.access, 10, "the access log")
        assert (line["trace"], line["status"]) == (trace_id, 402)
    finally:
        gateway.stop()


def test_a_failing_payment(cluster):
    """Without the ledger, when the card has agreed; then without the vault, so that it fails."""
    assert pay(cluster.url, cluster.key, "pm_card_visa").json()["status"] == "succeeded"
    cluster.processes["ledger"].kill()
    watch = Watch(cluster)
    answer = pay(cluster.url, cluster.key, "pm_card_visa")
    assert answer.status_code >= 500 or answer.json()["status"] == "processing"
    watch.check(answer.headers["Trace-Id"], ("api", "cards", "vault"))
    cluster.processes["ledger"].start()

    cluster.processes["vault"].kill()
    watch = Watch(cluster)
    try:
        answer = pay(cluster.url, cluster.key, "pm_card_visa")
        assert answer.status_code >= 500
        mine = [line for line in watch.new()["api"] if line.get("trace") == answer.headers["Trace-Id"]]
        [error] = [line for line in mine if line["level"] == "error"]
        assert error["message"] == "operation failed"
        assert error["request"] == answer.headers["Request-Id"]
        assert [line["status"] for line in mine if line["message"] == "request answered"] == [
            answer.status_code]
        # Whatever else is there belongs to the payment before, which is resumed: a trace of its own.
        assert all(re.fullmatch("[0-9a-f]{32}", line.get("trace", "")) for line in watch.new()["api"])
    finally:
        cluster.processes["vault"].start()


def test_many_at_once_do_not_mix(cluster):
    """Groups, batches and flushes are shared, ids are not: each request has lines in every process that
    worked for it, and each line belongs to one of the requests."""
    watch = Watch(cluster)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(
            lambda number: pay(cluster.url, cluster.key,
                               "pm_card_visa" if number % 2 else "pm_card_chargeDeclined"),
            range(16)))
    ids = {answer.headers["Trace-Id"]: answer.status_code for answer in answers}
    assert sorted(ids.values()) == [200] * 8 + [402] * 8
    paid = {one for one, status in ids.items() if status == 200}

    def missing():
        traces = {name: {line.get("trace") for line in found} for name, found in watch.new().items()}
        return {name: wanted - traces[name] for name, wanted in
                {"api": set(ids), "cards": set(ids), "vault": set(ids), "ledger": paid}.items()
                if wanted - traces[name]}

    with contextlib.suppress(AssertionError):  # what is missing is told below
        wait_until(lambda: not missing(), 20)
    for name, found in watch.new().items():
        assert {line.get("trace") for line in found} <= set(ids), name
    assert not missing(), missing()


def test_a_webhook_that_is_given_up_names_its_attempt(tmp_path):
    """The attempt's own trace, which is linked to the one that caused the event."""
    server = Server(
        tmp_path / "server", "--webhook-test-retry-first=400ms", "--webhook-test-retry-max=500ms",
        "--webhook-test-retry-for=1s", cluster=False).start()
    try:
        http = Http(server)
        http.post("/v1/webhook_endpoints",
                  {"url": "http://127.0.0.1:9/", "enabled_events[]": "customer.created"})
        http.post("/v1/customers", {"email": "a@example.com"})

        def given_up():
            return [line for line in map(json.loads, server.log().splitlines())
                    if line["message"] == "a webhook is given up"]

        [line] = wait_until(given_up, 90, "a line")
        span = requests.get(f"{server.direct_url}/api/v2/trace/{line['trace']}", timeout=30).json()
        assert span[0]["name"] == "post webhook" and span[0]["tags"]["tael.event"] == line["event"]
    finally:
        server.close()
