"""Traces: in a real Zipkin server, in a strict OTLP collector, in the server's own memory; and that
a collector which is dead, slow or failing changes nothing for payments."""

import re
import threading
import time

import pytest
import requests

from kit.client import Http, pay, sdk
from kit.participant import Scripted, transaction_of
from kit.ports import free_port
from kit.receiver import Receiver
from kit.server import CLUSTER, Server, run_tael, wait_until
from kit.traces import (
    Collector, Zipkin, check_tree, children, end_of, named, root_of,
)
from kit.wallets import Wallets

QUICK = ("--trace-interval=20ms",)
PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
CARD_PAYMENT = {
    "post /v1/payment_intents", "queue", "handle /v1/payment_intents", "vault tokenize",
    "commit documents", "rail authorize", "vault card", "card network",
    "ledger create_transfers", "ledger queue", "ledger apply", "journal flush",
}


LOOKS_INTO_PROCESS = True  # its listeners and what it keeps in memory


@pytest.fixture(scope="module")
def zipkin(tmp_path_factory):
    made = Zipkin(tmp_path_factory.mktemp("zipkin"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def traced(zipkin, tmp_path_factory):
    """A server that sends all its traces to Zipkin."""
    server = Server(
        tmp_path_factory.mktemp("traced"), f"--trace-zipkin={zipkin.url}", *QUICK,
        "--webhook-test-retry-first=100ms", "--webhook-test-retry-max=200ms", cluster=False,
        on_postgres=False if CLUSTER else None).start()
    yield server
    server.close()


@pytest.fixture
def collector():
    with Collector() as made:
        yield made
    assert not made.problems, made.problems[:3]


def make_payment(server, headers=None, **params):
    """The answer to a payment by HTTP, whose headers are to be seen."""
    answer = Http(server).post(
        "/v1/payment_intents",
        {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
         **params},
        headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["Trace-Id"])
    return answer


def metrics(server):
    """Every series by its name, labels included."""
    text = requests.get(server.url + "/metrics", timeout=30).text
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.M)}


def recent(server, **tags):
    """The server's own last traces with such an attribute."""
    [(name, value)] = tags.items()
    answer = requests.get(
        server.url + "/api/v2/traces", params={"annotationQuery": f"{name}={value}"}, timeout=30)
    assert answer.status_code == 200
    return answer.json()


def recent_trace(server, trace_id):
    def found():
        answer = requests.get(f"{server.url}/api/v2/trace/{trace_id}", timeout=30)
        return answer.status_code == 200 and answer.json()

    return wait_until(found, 10, f"trace {trace_id}")


# ---- Zipkin --------------------------------------------------------------------------------


def test_zipkin_has_every_hop_of_a_card_payment(zipkin, traced):
    answer = make_payment(traced)
    assert answer.status_code == 200
    spans = zipkin.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
    assert {span["name"] for span in spans} >= CARD_PAYMENT
    check_tree(spans)
    root = root_of(spans)
    assert root["kind"] == "SERVER"
    assert root["localEndpoint"]["serviceName"] == "tael"
    assert root["tags"]["http.request.method"] == "POST"
    assert root["tags"]["http.route"] == "/v1/payment_intents"
    assert root["tags"]["http.response.status_code"] == "200"
    assert root["tags"]["client.address"] == "127.0.0.1"
    assert root["tags"]["tael.request.id"] == answer.headers["Request-Id"]
    [handler] = named(spans, "handle /v1/payment_intents")
    assert handler["tags"]["tael.payment_intent"] == answer.json()["id"]
    assert handler["parentId"] == root["id"]
    [rail] = named(spans, "rail authorize")
    assert (rail["kind"], rail["tags"]["tael.rail.outcome"]) == ("CLIENT", "approved")
    assert rail["parentId"] == handler["id"]
    assert {child["name"] for child in children(spans, rail)} == {"vault card", "card network"}
    commits = named(spans, "commit documents")
    assert len(commits) == 2 and all(c["tags"]["db.system.name"] == "sqlite" for c in commits)
    ledger = named(spans, "ledger create_transfers")[0]
    assert {child["name"] for child in children(spans, ledger)} == {
        "ledger queue", "ledger apply", "journal flush"}


def test_the_times_of_a_payment_add_up(zipkin, traced):
    """One step follows the other: what the handler's children took is nearly all that it took, and
    two of them never run at the same time."""
    answer = make_payment(traced)
    spans = zipkin.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
    root = root_of(spans)
    assert end_of(root) - root["timestamp"] <= answer.elapsed.total_seconds() * 1e6 + 1000
    [handler] = named(spans, "handle /v1/payment_intents")
    steps = sorted(children(spans, handler), key=lambda span: (span["timestamp"], end_of(span)))
    for one, two in zip(steps, steps[1:]):
        assert end_of(one) <= two["timestamp"] + 2, (one["name"], two["name"])
    gaps = handler["duration"] - sum(step["duration"] for step in steps)
    assert 0 <= gaps + 2 * len(steps)
    # Between the steps a loop has to wake up; on a busy machine that takes a while, but not long.
    assert gaps < 1_000_000


def test_one_trace_of_several_processes(zipkin, tmp_path):
    """A payment by card in a split deployment: each process adds its spans to the same tree."""
    server = Server(tmp_path / "cluster", f"--trace-zipkin={zipkin.url}", *QUICK, cluster=True).start()
    try:
        answer = make_payment(server)
        assert answer.status_code == 200
        names = {"tael-api", "tael-ledger", "tael-cards", "tael-vault"}

        def whole():
            spans = zipkin.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
            return spans if names == {one["localEndpoint"]["serviceName"] for one in spans} else None

        spans = wait_until(whole, 60, "spans of every process")
        by_id = {span["id"]: span for span in spans}
        inner = [one for one in spans if one.get("parentId")]
        assert len(inner) == len(spans) - 1 and all(one["parentId"] in by_id for one in inner)
        for one in inner:  # the processes' clocks are one, but each read it at its own start
            parent = by_id[one["parentId"]]
            assert one["timestamp"] >= parent["timestamp"] - 5000
            assert end_of(one) <= end_of(parent) + 5000
        servers = [one for one in spans if one.get("kind") == "SERVER" and one.get("parentId")]
        assert {one["name"] for one in servers} >= {"ledger", "rail", "network", "vault"}
    finally:
        server.close()


def test_zipkin_finds_a_payment_and_the_command_shows_it(zipkin, traced):
    answer = make_payment(traced)
    zipkin.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
    intent = answer.json()["id"]
    [found] = wait_until(lambda: zipkin.find(**{"tael.payment_intent": intent}), 30, "the search")
    assert found[0]["traceId"] == answer.headers["Trace-Id"]
    for where in (zipkin.url, traced.url):
        shown = run_tael("trace", intent, f"--url={where}", check=True).stdout
        assert f"trace {answer.headers['Trace-Id']}" in shown
        assert all(name in shown for name in CARD_PAYMENT), shown
        lines = shown.splitlines()
        assert re.search(r"post /v1/payment_intents +200$", lines[2]), shown
        assert re.search(r"  rail authorize +approved$", "\n".join(lines), re.MULTILINE)


def test_a_webhook_is_a_trace_of_its_own_that_links_to_the_payment(zipkin, traced):
    client = sdk(traced)
    answers = iter((500, 200))
    with Receiver(lambda _: next(answers, 200)) as receiver:
        endpoint = client.v1.webhook_endpoints.create(
            {"url": receiver.url(), "enabled_events": ["payment_intent.succeeded"]})
        answer = make_payment(traced)
        came = wait_until(lambda: len(receiver.events()) >= 2 and receiver.events(), 20,
                          "the delivery and its retry")
        client.v1.webhook_endpoints.delete(endpoint.id)
    for attempt, status in zip(came, ("500", "200")):
        version, trace_id, span_id, flags = attempt.headers["traceparent"].split("-")
        assert (version, flags) == ("00", "03")
        [span] = zipkin.trace(trace_id)
        assert (span["id"], span["kind"], span["name"]) == (span_id, "CLIENT", "post webhook")
        assert span["tags"]["link.trace_id"] == answer.headers["Trace-Id"]
        assert span["tags"]["http.response.status_code"] == status
        assert span["tags"]["tael.event"] == attempt.event["id"]
        assert ("error" in span["tags"]) == (status == "500")
    assert came[0].headers["traceparent"] != came[1].headers["traceparent"]


def test_zipkin_has_the_hops_of_wallets(zipkin, traced):
    wallets = Wallets(traced)
    source, destination = wallets.wallet(5000), wallets.wallet()
    transfer = wallets.send(source, destination, 700)
    [spans] = wait_until(
        lambda: zipkin.find(**{"tael.wallet_transfer": transfer["id"]}), 30, "the transfer")
    check_tree(spans)
    assert named(spans, "ledger create_transfers")
    assert root_of(spans)["name"] == "post /v1/wallet_transfers"


# ---- OTLP ----------------------------------------------------------------------------------


def test_otlp_has_the_shape_of_the_standard(make_server, collector, monkeypatch):
    """By the names that OpenTelemetry gave to the settings."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-shop")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}/")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1.0")
    monkeypatch.setenv("OTEL_LOG_LEVEL", "debug")  # not ours, and no mistake
    server = make_server(*QUICK)
    answer = make_payment(server)
    spans = collector.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
    assert collector.resource["service.name"] == "my-shop"
    assert set(collector.resource) == {"service.name", "service.version", "service.instance.id"}
    [root] = [span for span in spans if "parentSpanId" not in span]
    assert (root["name"], root["kind"]) == ("POST /v1/payment_intents", 2)
    attributes = {a["key"]: a["value"] for a in root["attributes"]}
    assert attributes["http.response.status_code"] == {"intValue": "200"}
    [rail] = [span for span in spans if span["name"] == "rail authorize"]
    assert rail["kind"] == 3
    wait_until(lambda: metrics(server)['tael_trace_spans_sent_total{exporter="otlp"}'] >= 1, 10)


def test_otlp_has_the_headers_of_the_file(make_server, collector, zipkin, tmp_path):
    """Not where else traces go; and the secret is in no log."""
    secret = "Bearer s3cr3t-of-the-collector"
    file = tmp_path / "headers"
    file.write_text(f"# of the collector\nAuthorization: {secret}\nX-Tenant: shop\n")
    with Receiver(lambda _: 202) as other:
        server = make_server(f"--trace-otlp=http://127.0.0.1:{collector.port}", "--log-level=debug",
                             f"--trace-otlp-headers-file={file}", f"--trace-zipkin={other.url('')}", *QUICK)
        answer = make_payment(server)
        collector.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
        wait_until(lambda: other.received, 20, "the spans at the other one")
        assert all("Authorization" not in one.headers for one in other.received)
    for one in collector.received:
        assert (one.headers["Authorization"], one.headers["X-Tenant"]) == (secret, "shop")
        assert one.headers["Content-Type"] == "application/json"
    assert "s3cr3t" not in server.log()


@pytest.mark.parametrize("text, says", [
    (None, "headers: not found"),
    ("Authorization Bearer s3cr3t", "line 1: it is not NAME: VALUE"),
    ("X-A: b\nContent-Length: s3cr3t", "line 2: it is no header that may be sent"),
])
def test_wrong_headers_are_told_without_them(tmp_path, text, says):
    file = tmp_path / "headers"
    if text is not None:
        file.write_text(text)
    ended = run_tael("server", f"--data={tmp_path / 'data'}", "--port=0", "--trace-otlp=http://127.0.0.1:1",
                     f"--trace-otlp-headers-file={file}")
    assert ended.returncode != 0 and "s3cr3t" not in ended.stderr
    assert "trace-otlp-headers-file: " in ended.stderr and says in ended.stderr


def test_otlp_batches_are_sent_again_where_the_standard_says_so(make_server, collector):
    collector.failures = 2
    server = make_server(f"--trace-otlp=http://127.0.0.1:{collector.port}", *QUICK)
    answer = make_payment(server)
    collector.trace(answer.headers["Trace-Id"], len(CARD_PAYMENT))
    seen = metrics(server)
    assert seen['tael_trace_requests_retried_total{exporter="otlp"}'] == 2
    assert seen['tael_trace_spans_dropped_total{exporter="otlp"}'] == 0
    assert "traces cannot be sent" in server.log()
    collector.status = 400
    make_payment(server)
    seen = wait_until(
        lambda: metrics(server)['tael_trace_spans_dropped_total{exporter="otlp"}'] > 0 and
        metrics(server), 20, "a drop")
    assert seen['tael_trace_requests_retried_total{exporter="otlp"}'] == 2


# ---- where a trace comes from --------------------------------------------------------------


def test_a_client_s_trace_is_linked_and_not_followed(make_server):
    server = make_server()
    answer = make_payment(server, {"traceparent": f"00-{PARENT}-{SPAN}-01"})
    assert answer.headers["Trace-Id"] != PARENT
    root = root_of(recent_trace(server, answer.headers["Trace-Id"]))
    assert "parentId" not in root
    assert root["tags"]["link.trace_id"] == PARENT
    assert root["tags"]["link.span_id"] == SPAN


@pytest.mark.parametrize("headers", [
    {"traceparent": f"00-{PARENT}-{SPAN}-01", "tracestate": "vendor=1"},
    {"traceparent": f"cc-{PARENT}-{SPAN}-01-later"},
    {"b3": f"{PARENT}-{SPAN}-1"},
    {"X-B3-TraceId": PARENT, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"},
])
def test_behind_a_gateway_a_trace_goes_on(make_server, headers):
    server = make_server("--trace-trust", "--trace-sampler=parentbased_always_off")
    answer = make_payment(server, headers)
    assert answer.headers["Trace-Id"] == PARENT
    spans = recent_trace(server, PARENT)
    check_tree(spans)
    assert root_of(spans)["parentId"] == SPAN
    # A parent that samples nothing is followed too, and one that is not valid begins nothing.
    quiet = make_payment(server, {"traceparent": f"00-{PARENT[::-1]}-{SPAN}-00"})
    assert quiet.headers["Trace-Id"] == PARENT[::-1]
    other = make_payment(server, {"traceparent": f"00-{PARENT.upper()}-{SPAN}-01"})
    assert other.headers["Trace-Id"] not in (PARENT, PARENT.upper())
    for trace_id in (quiet.headers["Trace-Id"], other.headers["Trace-Id"]):
        assert requests.get(f"{server.url}/api/v2/trace/{trace_id}", timeout=30).status_code == 404


def test_every_answer_names_its_trace(make_server):
    server = make_server()
    http = Http(server)
    answers = [
        http.get("/v1/payment_intents/pi_none"),
        http.get("/v1/nothing"),
        http.post("/v1/payment_intents", {"amount": "x"}),
        Http(server, key="sk_test_wrong").get("/v1/balance"),
        requests.get(server.url + "/v1/openapi.json", timeout=30),
        requests.post(server.url + "/v1/customers", data="x" * (5 << 20), timeout=30),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 400, 401, 200, 413]
    ids = [answer.headers["Trace-Id"] for answer in answers]
    assert len(set(ids)) == len(ids) and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert root_of(recent_trace(server, ids[0]))["tags"]["http.response.status_code"] == "404"


def test_a_payment_knows_its_trace(make_server):
    server = make_server()
    http = Http(server)
    answer = make_payment(server, confirm="false")
    path = f"/v1/tael/payment_intents/{answer.json()['id']}/trace"
    assert http.get(path).json()["trace_id"] is None
    confirmed = http.post(f"/v1/payment_intents/{answer.json()['id']}/confirm")
    assert http.get(path).json() == {
        "object": "tael.trace_reference", "livemode": False,
        "payment_intent": answer.json()["id"], "trace_id": confirmed.headers["Trace-Id"]}
    refund = http.post("/v1/refunds", {"payment_intent": answer.json()["id"]})
    both = wait_until(
        lambda: len(recent(server, **{"tael.payment_intent": answer.json()["id"]})) == 2 and
        recent(server, **{"tael.payment_intent": answer.json()["id"]}), 10, "both traces")
    assert {trace[0]["traceId"] for trace in both} == {
        confirmed.headers["Trace-Id"], refund.headers["Trace-Id"]}
    shown = run_tael("trace", refund.json()["id"], f"--url={server.url}", check=True).stdout
    assert "rail refund" in shown
    assert http.get("/v1/tael/payment_intents/pi_none/trace").status_code == 404


def test_what_a_dead_process_left_is_resumed_with_a_link(make_server):
    server = make_server("--issuer-latency=60s", "--rail-timeout=90s", "--attempt-lease=1s")
    seen = {}

    def ask():
        try:
            seen["answer"] = make_payment(server)
        except requests.ConnectionError:
            pass

    thread = threading.Thread(target=ask)
    thread.start()
    client = sdk(server)
    intent = wait_until(lambda: client.v1.payment_intents.list().data, 20, "the intent")[0].id
    wait_until(lambda: metrics(server)["tael_attempts_open"] >= 0, 10)
    http = Http(server)
    trace_id = wait_until(
        lambda: http.get(f"/v1/tael/payment_intents/{intent}/trace").json()["trace_id"], 10, "a trace")
    server.kill()
    thread.join()
    assert "answer" not in seen
    server.start("--issuer-latency=1ms")
    found = wait_until(lambda: recent(server, **{"tael.payment_intent": intent}), 30, "its trace")
    for spans in found:
        root = root_of(spans)
        assert root["name"] == "resume payment"
        assert root["tags"]["link.trace_id"] == trace_id
        check_tree(spans)
    assert any(named(spans, "rail report") or named(spans, "rail authorize") for spans in found)


# ---- sampling ------------------------------------------------------------------------------


def test_without_sampling_errors_and_slow_ones_are_kept(make_server):
    server = make_server(
        "--trace-sampler=always_off", "--trace-slow=30s", "--issuer-dropped-per-mille=0")
    fast = make_payment(server)
    assert metrics(server)['tael_trace_kept_total{reason="sampled"}'] == 0
    assert requests.get(
        f"{server.url}/api/v2/trace/{fast.headers['Trace-Id']}", timeout=30).status_code == 404
    assert metrics(server)["tael_trace_recorded_total"] >= 1
    server.stop()
    server.start("--trace-slow=200ms", "--issuer-latency=250ms")
    slow = make_payment(server)
    assert end_of(root_of(recent_trace(server, slow.headers["Trace-Id"]))) > 0
    assert metrics(server)['tael_trace_kept_total{reason="slow"}'] >= 1
    server.stop()
    server.start("--issuer-dropped-per-mille=1000", "--rail-timeout=300ms")
    lost = make_payment(server)
    spans = recent_trace(server, lost.headers["Trace-Id"])
    [rail] = named(spans, "rail authorize")
    assert rail["tags"]["error.type"] == "unknown"
    assert metrics(server)['tael_trace_kept_total{reason="error"}'] >= 1
    server.stop()
    server.start()


def test_a_participant_s_calls_are_steps_of_their_traces(make_server):
    """How long it took, and below which span its own belong; one that does not answer is kept unsampled."""
    server = make_server("--trace-sampler=always_off", "--trace-slow=30s",
                         "--participant-timeout=1s", "--participant-prepare-for=1100ms")
    shop = Scripted(server)
    shop.plan["prepare"] = "refused"
    refused = make_payment(server, **{f"participants[{shop.id}]": "x"})
    assert requests.get(f"{server.url}/api/v2/trace/{refused.headers['Trace-Id']}",
                        timeout=30).status_code == 404
    shop.plan["prepare"] = lambda _: time.sleep(2) or "prepared"
    answer = make_payment(server, **{f"participants[{shop.id}]": "x"})
    spans = recent_trace(server, answer.headers["Trace-Id"])
    check_tree(spans)
    [asked] = named(spans, "post participant")
    wait_until(lambda: len(shop.asked()) >= 3, what="the abort")
    _, told, *_, abort = shop.receiver.events()
    assert told.headers["traceparent"] == f"00-{answer.headers['Trace-Id']}-{asked['id']}-02"
    assert asked["kind"] == "CLIENT" and asked["duration"] >= 990000
    assert asked["tags"].items() >= {
        "tael.participant": shop.id, "tael.transaction": told.event["id"],
        "tael.transaction.action": "prepare", "error.type": "ERR_TIMEOUT",
        "server.address": "127.0.0.1", "http.request.method": "POST"}.items()
    assert abort.event["action"] == "abort"
    shop.plan["abort"] = 503
    late = make_payment(server, **{f"participants[{shop.id}]": "x"})
    done = wait_until(lambda: [one for one in shop.receiver.events() if (
        one.event["action"], one.event["owner"]) == ("abort", late.json()["error"][
            "payment_intent"]["id"])], what="its abort")
    trace, parent = done[0].headers["traceparent"].split("-")[1:3]
    spans = recent_trace(server, trace)
    [asked] = named(spans, "post participant")
    assert (asked["id"], asked["parentId"]) == (parent, root_of(spans)["id"])
    assert asked["tags"]["http.response.status_code"] == "503"
    assert asked["tags"]["error.type"] == "status"
    shop.plan["abort"] = "aborted"
    wait_until(lambda: transaction_of(server, late.json()["error"]["payment_intent"]["id"])[
        "status"] == "aborted", what="the end")
    shop.close()


def test_a_ratio_keeps_that_part(make_server):
    server = make_server("--trace-sampler=traceidratio", "--trace-sampler-arg=0.5")
    http = Http(server)
    kept = metrics(server)['tael_trace_kept_total{reason="sampled"}']
    ids = [http.get("/v1/balance").headers["Trace-Id"] for _ in range(200)]
    expected = sum(int(one[16:], 16) & (2**63 - 1) < 2**62 for one in ids)
    assert 50 < expected < 150
    wait_until(
        lambda: metrics(server)['tael_trace_kept_total{reason="sampled"}'] - kept == expected, 10,
        "as many as the ids say")


@pytest.mark.parametrize("flag, says", [
    ("--trace-sampler=sometimes", "trace-sampler is"),
    ("--trace-sampler-arg=2", "trace-sampler-arg"),
    ("--trace-otlp=collector:4318", "trace-otlp: it begins neither"),
    ("--trace-zipkin=http://user@host", "trace-zipkin:"),
    ("--trace-otlp-headers-file=/dev/null", "without trace-otlp sends nothing"),
])
def test_settings_that_are_wrong_are_refused(tmp_path, flag, says):
    ended = run_tael("server", f"--data={tmp_path / 'data'}", "--port=0", flag)
    assert ended.returncode != 0
    assert says in ended.stderr


def test_the_command_says_what_is_wrong(make_server):
    server = make_server("--trace-recent=0")
    answer = make_payment(server)
    ended = run_tael("trace", answer.json()["id"], f"--url={server.url}")
    assert ended.returncode == 1 and "no such trace was kept" in ended.stderr
    ended = run_tael("trace", "cus_1", f"--url={server.url}")
    assert ended.returncode == 2 and "is no trace id" in ended.stderr
    # Nothing would become of spans: none are recorded.
    assert metrics(server)["tael_trace_recorded_total"] == 0


def test_operators_see_traces_where_they_see_metrics(make_server):
    port = free_port()
    server = make_server(f"--admin-listen=127.0.0.1:{port}")
    answer = make_payment(server)
    path = f"/api/v2/trace/{answer.headers['Trace-Id']}"
    assert requests.get(server.url + path, timeout=30).status_code == 404
    assert wait_until(
        lambda: requests.get(f"http://127.0.0.1:{port}{path}", timeout=30).status_code == 200, 10)
    assert requests.get(f"http://127.0.0.1:{port}/nothing", timeout=30).status_code == 404


# ---- collectors that do not work -----------------------------------------------------------


def dead():
    return None, free_port()


def slow():
    receiver = Receiver(lambda _: time.sleep(2) or 200)
    return receiver, receiver.port


def failing():
    receiver = Receiver(lambda _: (500, b"no"))
    return receiver, receiver.port


@pytest.mark.parametrize("collector_of", [dead, slow, failing])
@pytest.mark.parametrize("setting", ["trace-zipkin", "trace-otlp"])
def test_a_collector_that_does_not_work_changes_nothing(make_server, collector_of, setting):
    receiver, port = collector_of()
    server = make_server(
        f"--{setting}=http://127.0.0.1:{port}", "--trace-interval=1ms", "--trace-recent=0")
    name = setting.removeprefix("trace-")
    client = sdk(server)
    for _ in range(20):
        assert pay(client).status == "succeeded"
    http = Http(server, validate=False)
    before = None
    for _ in range(40):  # some hundreds of small batches
        for _ in range(50):
            assert http.get("/v1/balance").status_code == 200
        if before is None:
            before = server.rss_kib()
    seen = metrics(server)
    assert seen["tael_trace_refused_total"] == 0
    assert seen[f'tael_trace_spans_sent_total{{exporter="{name}"}}'] + seen[
        f'tael_trace_spans_dropped_total{{exporter="{name}"}}'] > 0
    # 16 batches, and what the allocator keeps; two thousand requests' spans would be more.
    assert server.rss_kib() - before < 40 * 1024
    assert pay(client).status == "succeeded"
    server.stop()  # in time, with what was not sent
    if receiver is not None:
        receiver.close()
