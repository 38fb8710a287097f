"""Traces that begin at the gateway: its own spans, what it tells services, what it takes from clients,
and one payment that goes through five services."""

import re

import pytest
import requests

from kit.client import Http
from kit.gateway import Gateway, before
from kit.receiver import Receiver
from kit.server import Server, run_tael, wait_until
from kit.service import Service
from kit.traces import Collector, Zipkin, children, end_of, free_port, named, root_of

KEY = "sk_test_" + "a" * 20 + "Zz09"
QUICK = ("--trace-interval=20ms",)
THEIRS = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SERVICES = {"tael-gateway", "tael-api", "tael-ledger", "tael-cards", "tael-vault"}
# Each process reads its clocks at a start of its own.
SLACK_US = 5000


def bearer(**more):
    return {"Authorization": f"Bearer {KEY}", **more}


@pytest.fixture
def make(tmp_path):
    made = []

    def make_one(kind, *arguments, **keywords):
        one = kind(tmp_path / f"{len(made)}", *arguments, **keywords)
        made.append(one)
        return one.start()

    yield make_one
    for one in reversed(made):
        one.stop()


@pytest.fixture
def service(make):
    return make(Service)


@pytest.fixture
def collector():
    with Collector() as made:
        yield made
    assert not made.problems, made.problems[:3]


@pytest.fixture
def traced(make, service, collector):
    """A gateway that sends its traces to the collector."""
    config = before(service.port)
    config["upstreams"]["api"].update(attempts_max=3, backoff_base="1ms", backoff_max="2ms")
    return make(Gateway, config, f"--trace-otlp=http://127.0.0.1:{collector.port}", *QUICK)


def attributes(span):
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def line_of(gateway, answer):
    """Of the access log."""
    mine = answer.headers["Request-Id"]
    return wait_until(
        lambda: [line for line in gateway.access() if mine in
                 (line["request_id"], line.get("service_request_id"))], 10, "the line")[0]


def parent_of(arrived):
    version, trace_id, span_id, flags = arrived.headers["traceparent"].split("-")
    assert version == "00"
    return trace_id, span_id, flags


# ---- one payment over five services --------------------------------------------------------


def check_times(spans):
    """Every span lies within its parent, and what follows one another does not overlap."""
    by_id = {span["id"]: span for span in spans}
    for span in spans:
        parent = by_id.get(span.get("parentId"))
        if parent is not None:
            assert span["timestamp"] >= parent["timestamp"] - SLACK_US, span["name"]
            assert end_of(span) <= end_of(parent) + SLACK_US, span["name"]
    [handler] = named(spans, "handle /v1/payment_intents")
    steps = sorted(children(spans, handler), key=lambda span: (span["timestamp"], end_of(span)))
    for one, two in zip(steps, steps[1:]):
        assert end_of(one) <= two["timestamp"] + 2, (one["name"], two["name"])
    assert sum(step["duration"] for step in steps) <= handler["duration"] + 2 * len(steps)


def test_one_payment_over_five_services(tmp_path, make):
    """In a real Zipkin and at an OTLP receiver alike: one tree, from the client's request to the
    vault, in which times nest and add up."""
    zipkin = Zipkin(tmp_path)
    collector = Collector()
    collectors = (f"--trace-zipkin={zipkin.url}", f"--trace-otlp=http://127.0.0.1:{collector.port}")
    server = Server(tmp_path / "cluster", *collectors, "--trace-trust", *QUICK, cluster=True).start()
    try:
        gateway = make(
            Gateway, before(int(server.direct_url.rsplit(":", 1)[1])), *collectors, *QUICK)
        answer = requests.post(
            gateway.url + "/v1/payment_intents", timeout=60,
            data={"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
                  "confirm": "true"},
            headers={"Authorization": f"Bearer {server.key}",
                     "traceparent": f"00-{THEIRS}-{SPAN}-00", "tracestate": "client=1"})
        assert answer.status_code == 200 and answer.json()["status"] == "succeeded"
        trace_id = answer.headers["Trace-Id"]
        assert trace_id != THEIRS

        def whole():
            spans = zipkin.trace(trace_id, len(SERVICES))
            return spans if SERVICES == {
                one["localEndpoint"]["serviceName"] for one in spans} else None

        wait_until(whole, 60, "spans of every service")
        # What is kept is kept as a whole: the last service's spans may still be on their way.
        spans = wait_until(
            lambda: (lambda now: now if {one["id"] for one in now} == {
                one["spanId"] for one in collector.spans if one["traceId"] == trace_id} else None)(
                    zipkin.trace(trace_id)), 60, "the same spans at both collectors")
        root = root_of(spans)
        assert root["localEndpoint"]["serviceName"] == "tael-gateway" and "parentId" not in root
        assert (root["kind"], root["name"]) == ("SERVER", "post")
        assert root["tags"]["link.trace_id"] == THEIRS and root["tags"]["link.span_id"] == SPAN
        assert root["tags"]["tael.gateway.route"] == "payments"
        assert root["tags"]["tael.gateway.verdict"] == "forwarded"
        assert root["tags"]["http.response.status_code"] == "200"
        [attempt] = children(spans, root)
        assert (attempt["kind"], attempt["tags"]["tael.gateway.upstream"]) == ("CLIENT", "api")
        assert attempt["tags"]["server.address"] == "127.0.0.1"
        [served] = children(spans, attempt)
        assert served["localEndpoint"]["serviceName"] == "tael-api"
        assert served["name"] == "post /v1/payment_intents"
        kinds = {one["localEndpoint"]["serviceName"]: one for one in spans
                 if one.get("kind") == "SERVER" and one["id"] not in (root["id"], served["id"])}
        assert set(kinds) == SERVICES - {"tael-gateway", "tael-api"}
        check_times(spans)
        assert root["duration"] >= attempt["duration"] - 2 >= served["duration"] - SLACK_US
        assert end_of(root) - root["timestamp"] <= answer.elapsed.total_seconds() * 1e6 + 1000
        # A client's tracestate belongs to its own trace.
        assert not any(one.get("traceState") for one in collector.spans)
        assert line_of(gateway, answer)["trace"] == trace_id
        shown = run_tael(
            "trace", trace_id, f"--url={gateway.admin_url}", check=True).stdout
        assert f"trace {trace_id}" in shown and "200" in shown.splitlines()[2]
    finally:
        server.close()
        collector.close()
        zipkin.close()
    assert not collector.problems, collector.problems[:3]


def test_tracestate_of_a_trusted_proxy_reaches_every_service(tmp_path, make, collector):
    where = (f"--trace-otlp=http://127.0.0.1:{collector.port}", *QUICK)
    server = Server(tmp_path / "cluster", *where, "--trace-trust", cluster=True).start()
    try:
        gateway = make(
            Gateway, before(int(server.direct_url.rsplit(":", 1)[1]),
                            trusted_proxies=["127.0.0.0/8"]), *where)
        answer = requests.post(
            gateway.url + "/v1/payment_intents", timeout=60,
            data={"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
                  "confirm": "true"},
            headers={"Authorization": f"Bearer {server.key}",
                     "traceparent": f"00-{THEIRS}-{SPAN}-01", "tracestate": "a=1 , b@c=2"})
        assert answer.headers["Trace-Id"] == THEIRS

        def states():
            mine = [one for one in collector.spans if one["traceId"] == THEIRS]
            # Each part's root has it: gateway, api, ledger twice, cards, vault twice at least.
            return mine if sum(one["kind"] == 2 for one in mine) >= 6 else None

        for span in wait_until(states, 30, "spans of every service"):
            assert span.get("traceState") == "a=1,b@c=2", span["name"]
    finally:
        server.close()


# ---- tries ---------------------------------------------------------------------------------


def test_every_try_has_its_span(service, collector, traced):
    service.answer_status = 503
    answer = requests.get(traced.url + "/v1/x?secret=1", headers=bearer(), timeout=30)
    assert answer.status_code == 503
    trace_id = answer.headers["Trace-Id"]
    spans = collector.trace(trace_id, 4)
    [root] = [one for one in spans if "parentSpanId" not in one]
    tries = sorted((one for one in spans if one is not root),
                   key=lambda one: int(one["startTimeUnixNano"]))
    assert all(one["parentSpanId"] == root["spanId"] for one in tries) and len(tries) == 3
    told = [parent_of(one) for one in service.requests]
    assert told == [(trace_id, one["spanId"], "03") for one in tries]
    assert len({one["spanId"] for one in spans}) == 4
    for at, one in enumerate(tries):
        seen = attributes(one)
        assert seen["http.response.status_code"] == "503" and seen["error.type"] == "5xx"
        assert seen.get("http.request.resend_count") == (str(at) if at else None)
        assert seen["server.port"] == str(service.port)
        assert one["status"]["code"] == 2
    for one, two in zip(tries, tries[1:]):
        assert int(one["endTimeUnixNano"]) <= int(two["startTimeUnixNano"])
    seen = attributes(root)
    assert seen["url.path"] == "/v1/x" and "secret" not in str(root)
    assert KEY not in str(spans)


def test_a_try_without_an_answer_says_why(service, collector, traced):
    service.fault = "close"
    answer = requests.post(traced.url + "/v1/x", headers=bearer(), timeout=30)
    assert answer.status_code == 502
    spans = collector.trace(answer.headers["Trace-Id"], 2)
    [attempt] = [one for one in spans if "parentSpanId" in one]
    assert "error.type" in attributes(attempt)
    assert "http.response.status_code" not in attributes(attempt)
    assert line_of(traced, answer)["trace"] == answer.headers["Trace-Id"]


# ---- what the gateway answers by itself ----------------------------------------------------


def test_its_own_answers_name_their_trace(make, service, collector):
    config = before(service.port)
    config["upstreams"]["nobody"] = {"endpoints": [f"127.0.0.1:{free_port()}"], "attempts_max": 1}
    config["routes"][:0] = [
        {"name": "rare", "path": "/v1/rare", "upstream": "api",
         "limits": {"key_concurrent": 1, "key_rate": 1, "key_burst": 1}},
        {"name": "nobody", "path": "/v1/nobody", "upstream": "nobody"},
    ]
    gateway = make(
        Gateway, config, f"--trace-otlp=http://127.0.0.1:{collector.port}", *QUICK)
    # More than one a second, however slow this machine is now and then.
    rare = (requests.get(gateway.url + "/v1/rare", headers=bearer(), timeout=30) for _ in range(100))
    answers = {
        401: requests.get(gateway.url + "/v1/x", timeout=30),
        404: requests.get(gateway.url + "/v1//x", headers=bearer(), timeout=30),
        429: next(answer for answer in rare if answer.status_code == 429),
        503: requests.get(gateway.url + "/v1/nobody", headers=bearer(), timeout=30),
        413: requests.post(gateway.url + "/v1/x", headers=bearer(), data="x" * (5 << 20), timeout=30),
    }
    assert {status: one.status_code for status, one in answers.items()} == {
        status: status for status in answers}
    ids = {one.headers["Trace-Id"] for one in answers.values()}
    assert len(ids) == len(answers) and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    for status, answer in answers.items():
        assert re.fullmatch(r"req_\w+", answer.headers["Request-Id"])
        spans = collector.trace(answer.headers["Trace-Id"])
        [root] = [one for one in spans if "parentSpanId" not in one]
        assert attributes(root)["http.response.status_code"] == str(status)
        assert attributes(root)["tael.request.id"] == answer.headers["Request-Id"]
        if status != 413:  # refused while it is read: it is in no access log
            assert line_of(gateway, answer)["trace"] == answer.headers["Trace-Id"]


def test_a_service_that_follows_nobody_keeps_its_own_trace(service, traced):
    service.answer_headers = {"Trace-Id": THEIRS}
    answer = requests.get(traced.url + "/v1/x", headers=bearer(), timeout=30)
    assert answer.headers["Trace-Id"] == THEIRS
    line = line_of(traced, answer)
    assert line["service_trace_id"] == THEIRS and line["trace"] == parent_of(service.requests[0])[0]


# ---- who is believed -----------------------------------------------------------------------


@pytest.mark.parametrize("headers", [
    {"traceparent": f"00-{THEIRS}-{SPAN}-01", "tracestate": "a=1"},
    {"b3": f"{THEIRS}-{SPAN}-1"},
    {"X-B3-TraceId": THEIRS, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1", "X-B3-Flags": "1"},
])
def test_a_client_is_linked_and_not_followed(service, collector, traced, headers):
    answer = requests.get(traced.url + "/v1/x", headers=bearer(**headers), timeout=30)
    arrived = service.requests[0].headers
    assert THEIRS not in str(arrived) and "tracestate" not in arrived
    assert not any("b3" in name for name in arrived)
    spans = collector.trace(answer.headers["Trace-Id"], 2)
    [root] = [one for one in spans if "parentSpanId" not in one]
    [link] = root["links"]
    assert (link["traceId"], link["spanId"]) == (THEIRS, SPAN)


LONG = [f"k{number}={'v' * 40}" for number in range(12)]


@pytest.mark.parametrize("sent, told", [
    ("a=1", "a=1"),
    ("a=1,,b=2 ", "a=1,b=2"),
    (",".join(LONG), ",".join(LONG[:11])),                  # whole members, 512 characters at most
    ("long=" + "v" * 200 + "," + ",".join(LONG[:9]), ",".join(LONG[:9])),  # the long ones first
    ("a=1,a=2", None),                                      # a key twice
    ("Bad Key=1", None),
    (",".join(f"k{number}=1" for number in range(33)), None),
])
def test_tracestate_of_a_trusted_proxy(make, service, sent, told):
    gateway = make(Gateway, before(service.port, trusted_proxies=["127.0.0.0/8"]))
    answer = requests.get(gateway.url + "/v1/x", timeout=30, headers=bearer(
        traceparent=f"00-{THEIRS}-{SPAN}-03", tracestate=sent))
    [arrived] = service.requests
    assert arrived.headers.get("tracestate") == told
    trace_id, span_id, flags = parent_of(arrived)  # a bad one never hurts traceparent
    assert (trace_id, flags) == (THEIRS, "03") and span_id != SPAN
    assert answer.headers["Trace-Id"] == THEIRS


def test_where_nothing_is_recorded_a_trusted_trace_passes(make, service):
    gateway = make(Gateway, before(service.port, trusted_proxies=["127.0.0.0/8"]), "--trace-recent=0")
    requests.get(gateway.url + "/v1/x", timeout=30, headers=bearer(
        traceparent=f"cc-{THEIRS}-{SPAN}-01-later", tracestate="a=1"))
    answer = requests.get(gateway.url + "/v1/x", timeout=30, headers=bearer(
        traceparent=f"00-{THEIRS.upper()}-{SPAN}-01", tracestate="a=1"))
    with_one, without = service.requests
    assert with_one.headers["traceparent"] == f"00-{THEIRS}-{SPAN}-01"
    assert with_one.headers["tracestate"] == "a=1"
    # Nobody would have the span that it named.
    assert "traceparent" not in without.headers and "tracestate" not in without.headers
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["Trace-Id"])


# ---- sampling, and collectors that do not work ---------------------------------------------


def test_the_sampler_decides_for_all_but_keeps_what_failed(make, service, collector):
    gateway = make(
        Gateway, before(service.port), f"--trace-otlp=http://127.0.0.1:{collector.port}",
        "--trace-sampler=parentbased_traceidratio", "--trace-sampler-arg=0.5", "--trace-slow=0", *QUICK)
    session = requests.Session()
    ids = [session.get(gateway.url + "/v1/x", headers=bearer(), timeout=30).headers["Trace-Id"]
           for _ in range(100)]
    sampled = {one for one in ids if int(one[16:], 16) & (2**63 - 1) < 2**62}
    assert 20 < len(sampled) < 80
    assert {parent_of(one)[0] for one in service.requests if parent_of(one)[2] == "03"} == sampled
    service.answer_status = 500
    failed = {session.get(gateway.url + "/v1/x", headers=bearer(), timeout=30).headers["Trace-Id"]
              for _ in range(10)}
    wait_until(lambda: {one["traceId"] for one in collector.spans} == sampled | failed, 30,
               "those that are sampled, and all that failed")
    assert gateway.metric("tael_trace_kept_total", reason="error") >= 1
    assert gateway.metric("tael_trace_recorded_total") == 110


@pytest.mark.parametrize("collector_of", [
    lambda: free_port(), lambda: Receiver(lambda _: (400, b"no")).port])
def test_a_collector_that_does_not_work_changes_nothing(make, service, collector_of):
    gateway = make(
        Gateway, before(service.port), f"--trace-otlp=http://127.0.0.1:{collector_of()}",
        "--trace-interval=1ms", "--trace-recent=0")
    session = requests.Session()
    for _ in range(300):
        assert session.get(gateway.url + "/v1/x", headers=bearer(), timeout=30).status_code == 200
    wait_until(lambda: gateway.metric("tael_trace_spans_dropped_total", exporter="otlp") > 0, 30,
               "what was dropped is counted")
    assert gateway.metric("tael_trace_refused_total") == 0
    assert "traces cannot be sent" in gateway.log()


@pytest.mark.parametrize("flag, says", [
    ("--trace-sampler=sometimes", "trace-sampler is"),
    ("--trace-otlp=collector:4318", "trace-otlp: it begins neither"),
])
def test_settings_that_are_wrong_are_refused(tmp_path, service, flag, says):
    gateway = Gateway(tmp_path / "refused", before(service.port))
    gateway.folder.mkdir()
    gateway.write()
    ended = run_tael("gateway", f"--config={gateway.file}", flag)
    assert ended.returncode != 0 and says in ended.stderr
