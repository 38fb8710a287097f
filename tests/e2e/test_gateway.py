"""The gateway from outside: who may pass, where it goes, what arrives there, and what changes while it
runs."""

import concurrent.futures
import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests

from kit.certificates import make_certificate, shown_certificate
from kit.client import Http, RawAnswers, sdk
from kit.gateway import Gateway, before
from kit.hammer import hammer, refilled
from kit.ports import free_port
from kit.server import Server, wait_until
from kit.service import Service

KEY = "sk_test_" + "a" * 20 + "Zz09"
LIVE = KEY.replace("test", "live")
PUBLISHABLE = "pk_test_" + "b" * 24


def bearer(key=KEY, **more):
    return {"Authorization": f"Bearer {key}", **more}


@pytest.fixture
def make(tmp_path):
    """Gateways and services of a test's own."""
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


def config_for(service, routes=None, **keywords):
    config = before(service.port, **keywords)
    if routes is not None:
        config["routes"] = routes
    return config


# ---- who may pass --------------------------------------------------------------------------


NOWHERE = [
    "/", "/v1/payment_intents", "/v1/payment_intents/", "/nothing", "/v1/../admin", "//", "/metrics",
    "/v1/%2e%2e/x", "/livez/", "/LIVEZ", "/v1/openapi.json/x", "/qr", "/authenticate", "/%00",
    "/v1/charges?key=" + KEY, "/.well-known/x", "/livez%2f..", "/livez/../v1/charges",
]
NO_KEYS = [
    {}, {"Authorization": "Bearer"}, {"Authorization": "Basic Og=="}, {"X-Api-Key": KEY},
    {"Authorization": "Bearer sk_test_short"}, {"Authorization": f"Digest {KEY}"},
]


def test_no_key_is_401_on_any_path(make, service):
    """GATEWAY-1."""
    gateway = make(Gateway, config_for(service))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    for path in NOWHERE:
        for method in ("GET", "POST", "DELETE", "OPTIONS", "PUT", "TRACE", "BREW"):
            for headers in NO_KEYS:
                connection.putrequest(method, path, skip_accept_encoding=True)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.endheaders()
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 401, (method, path, headers, body)
                error = json.loads(body)["error"]
                assert error["type"] == "invalid_request_error" and "API" in error["message"]
                assert answer.getheader("WWW-Authenticate") and answer.getheader("Request-Id")
    assert service.requests == []


def test_public_routes_take_no_key(make, service):
    gateway = make(Gateway, config_for(service))
    assert requests.get(gateway.url + "/livez", timeout=30).status_code == 200
    assert requests.get(gateway.url + "/livez", headers=bearer(), timeout=30).status_code == 200
    assert [one.headers.get("authorization") for one in service.requests] == [None, None]


def test_modes_and_kinds(make, service, tmp_path):
    live = make(Service)
    config = config_for(service, routes=[
        {"name": "live", "mode": "live", "upstream": "live"},
        {"name": "test", "mode": "test", "upstream": "api"},
        {"name": "secret", "path_prefix": "/v1/secret", "keys": ["secret"], "upstream": "api"},
    ])
    config["upstreams"]["live"] = {"endpoints": [f"127.0.0.1:{live.port}"]}
    gateway = make(Gateway, config)
    assert requests.get(gateway.url + "/a", headers=bearer(), timeout=30).status_code == 200
    assert requests.get(gateway.url + "/b", headers=bearer(LIVE), timeout=30).status_code == 200
    assert [one.path for one in service.requests] == ["/a"]
    assert [one.path for one in live.requests] == ["/b"]
    refused = requests.get(gateway.url + "/v1/secret", headers=bearer(PUBLISHABLE), timeout=30)
    assert refused.status_code == 403
    assert len(service.requests) == 1


def test_networks(make, service):
    routes = [
        {"name": "office", "path_prefix": "/office", "allow": ["10.0.0.0/8"], "upstream": "api"},
        {"name": "banned", "path_prefix": "/banned", "deny": ["203.0.113.0/24", "2001:db8::/32"],
         "upstream": "api"},
        {"name": "all", "upstream": "api"},
    ]
    gateway = make(Gateway, config_for(
        service, routes=routes, trusted_proxies=["127.0.0.1"],
        keys=[{"match": "sk_test_...Zz09", "allow": ["10.1.0.0/16"]}]))
    other = KEY[:-1] + "8"

    def get(path, client, key=other):
        return requests.get(gateway.url + path, timeout=30,
                            headers=bearer(key, **{"X-Forwarded-For": client})).status_code

    assert get("/office", "10.9.9.9") == 200
    assert get("/office", "11.0.0.1") == 403
    assert get("/banned", "203.0.113.7") == 403
    assert get("/banned", "2001:db8::5") == 403
    assert get("/banned", "203.0.114.7") == 200
    assert get("/x", "10.1.2.3", KEY) == 200
    assert get("/x", "10.2.2.3", KEY) == 403


def test_browsers(make, service):
    cors = {"origins": ["https://shop.test"], "max_age": "10m"}
    gateway = make(Gateway, config_for(service, routes=[
        {"name": "tokens", "path_prefix": "/v1/tokens", "cors": cors, "upstream": "api"},
        {"name": "all", "upstream": "api"}]))
    asked = {"Origin": "https://shop.test", "Access-Control-Request-Method": "POST"}
    answer = requests.options(gateway.url + "/v1/tokens", headers=asked, timeout=30)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.test"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Max-Age"] == "600"
    other = requests.options(gateway.url + "/v1/tokens", timeout=30,
                             headers={**asked, "Origin": "https://evil.test"})
    assert "Access-Control-Allow-Origin" not in other.headers
    assert requests.options(gateway.url + "/v1/x", headers=asked, timeout=30).status_code == 401
    assert service.requests == []
    for key, readable in ((PUBLISHABLE, True), (KEY, False)):
        answer = requests.post(gateway.url + "/v1/tokens", timeout=30,
                               headers=bearer(key, Origin="https://shop.test"))
        assert ("Access-Control-Allow-Origin" in answer.headers) == readable


# ---- what arrives --------------------------------------------------------------------------


def test_the_request_is_made_anew(make, service):
    gateway = make(Gateway, config_for(service, routes=[
        {"name": "all", "path_prefix": "/pay", "rewrite_prefix": "/v1", "rewrite_host": "inner.test",
         "set_headers": {"X-Tenant": "blue"}, "remove_headers": ["X-Debug"],
         "response_set_headers": {"X-Edge": "yes"}, "response_remove_headers": ["X-Inner"],
         "upstream": "api"}]))
    service.answer_headers = {"X-Inner": "1", "Server": "secret", "Connection": "X-Hop", "X-Hop": "1"}
    answer = requests.post(gateway.url + "/pay/charges?a=1&b=%2F", data=b"x" * 5000, timeout=30, headers=bearer(
        **{"X-Forwarded-For": "1.1.1.1", "X-Request-Id": "spoofed-123", "Connection": "close, X-Mine",
           "X-Mine": "1", "X-Debug": "1", "Idem_Key": "1", "TE": "trailers", "Forwarded": "for=1.1.1.1",
           "Expect": "100-continue"}))
    assert answer.status_code == 200
    for name in ("X-Inner", "Server", "X-Hop"):
        assert name not in answer.headers
    assert answer.headers["X-Edge"] == "yes" and answer.headers["Request-Id"].startswith("req_")
    arrived = service.requests[0]
    assert arrived.path == "/v1/charges?a=1&b=%2F" and arrived.body == b"x" * 5000
    headers = arrived.headers
    assert headers["host"] == "inner.test" and headers["x-tenant"] == "blue"
    assert headers["x-forwarded-for"] == "127.0.0.1" and headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == f"127.0.0.1:{gateway.port}"
    assert headers["forwarded"].startswith("for=127.0.0.1;")
    assert headers["x-request-id"].startswith("req_") and headers["content-length"] == "5000"
    for name in ("x-mine", "x-debug", "idem_key", "te", "expect", "connection"):
        assert name not in headers


def test_chunked_bodies_get_a_length(make, service):
    gateway = make(Gateway, config_for(service))

    def pieces():
        for _ in range(10):
            yield b"abc" * 100

    answer = requests.post(gateway.url + "/v1/x", data=pieces(), headers=bearer(), timeout=30)
    assert answer.status_code == 200
    arrived = service.requests[0]
    assert arrived.headers["content-length"] == "3000" and "transfer-encoding" not in arrived.headers


def test_a_trusted_proxy_is_believed(make, service):
    gateway = make(Gateway, config_for(service, trusted_proxies=["127.0.0.0/8"]))
    requests.get(gateway.url + "/v1/x", timeout=30, headers=bearer(**{
        "X-Forwarded-For": "1.1.1.1, 203.0.113.9", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "pay.example.com", "X-Request-Id": "edge-0001",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}))
    headers = service.requests[0].headers
    assert headers["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-host"] == "pay.example.com"
    assert headers["x-request-id"] == "edge-0001"


def test_heads_and_empty_answers(make, service):
    gateway = make(Gateway, config_for(service))
    service.answer_body = b"y" * 1234
    answer = requests.head(gateway.url + "/v1/x", headers=bearer(), timeout=30)
    assert answer.headers["Content-Length"] == "1234" and answer.content == b""
    service.answer_status = 204
    answer = requests.delete(gateway.url + "/v1/x", headers=bearer(), timeout=30)
    assert answer.status_code == 204 and answer.content == b""
    service.answer_status = 304
    assert requests.get(gateway.url + "/v1/x", headers=bearer(), timeout=30).status_code == 304


def test_body_and_header_limits(make, service):
    gateway = make(Gateway, config_for(
        service, listeners=[{"address": "127.0.0.1:0", "body_max": "10k", "headers_max": 20}],
        routes=[{"name": "small", "path": "/small", "body_max": "1k", "upstream": "api"},
                {"name": "all", "upstream": "api"}]))

    def post(path, size, headers=None):
        return requests.post(gateway.url + path, data=b"x" * size, timeout=30,
                             headers={**bearer(), **(headers or {})}).status_code

    assert post("/small", 1024) == 200
    assert post("/small", 1025) == 413
    assert post("/x", 10240) == 200
    assert post("/x", 10241) == 413
    assert post("/x", 1, {f"X-{number}": "1" for number in range(20)}) == 431
    assert len(service.requests) == 2


# ---- where it goes -------------------------------------------------------------------------


def test_two_tael_servers(make, make_server):
    """Two independent servers: by path, by header, by share, each with keys of its own."""
    one, two = make_server(), make_server()
    config = before(one.port)
    config["upstreams"]["two"] = {"endpoints": [f"127.0.0.1:{two.port}"]}
    config["routes"] = [
        {"name": "one", "upstream": "api"},
        {"name": "two", "headers": {"X-Stack": "two"}, "upstream": "two"},
        {"name": "second", "path_prefix": "/second", "rewrite_prefix": "/", "upstream": "two"},
    ]
    gateway = make(Gateway, config)
    made = requests.post(gateway.url + "/v1/customers", data={"name": "a"}, timeout=60,
                         headers=bearer(one.key)).json()
    assert requests.get(f"{one.url}/v1/customers/{made['id']}", headers=bearer(one.key),
                        timeout=60).status_code == 200
    for path, headers in (("/v1/customers", {"X-Stack": "two"}), ("/second/v1/customers", {})):
        made = requests.post(gateway.url + path, data={"name": "b"}, timeout=60,
                             headers=bearer(two.key, **headers))
        assert made.status_code == 200, made.text
        direct = requests.get(f"{two.url}/v1/customers/{made.json()['id']}", timeout=60,
                              headers=bearer(two.key))
        assert direct.json()["name"] == "b"
    assert requests.get(gateway.url + "/v1/balance", headers=bearer(two.key),
                        timeout=60).status_code == 401


def test_canary(make, service):
    canary = make(Service)
    config = config_for(service, routes=[
        {"name": "split", "path_prefix": "/s", "split": [
            {"upstream": "api", "weight": 9}, {"upstream": "canary", "weight": 1}]},
        {"name": "sticky", "path_prefix": "/k", "sticky": "key", "split": [
            {"upstream": "api", "weight": 1}, {"upstream": "canary", "weight": 1}]},
    ])
    config["upstreams"]["canary"] = {"endpoints": [f"127.0.0.1:{canary.port}"]}
    gateway = make(Gateway, config)
    with requests.Session() as session:
        for _ in range(200):
            session.get(gateway.url + "/s", headers=bearer(), timeout=30)
        assert len(canary.requests) == 20 and len(service.requests) == 180
        del canary.requests[:], service.requests[:]
        keys = ["sk_test_" + f"{number:020d}" for number in range(40)]
        for _ in range(3):
            for key in keys:
                session.get(gateway.url + "/k/" + key, headers=bearer(key), timeout=30)
    there = {one.path for one in canary.requests}
    assert 5 < len(there) < 35
    assert there.isdisjoint({one.path for one in service.requests})


# ---- what goes wrong behind it -------------------------------------------------------------


def test_outcomes(make, service):
    """What did not happen may be repeated; what may have happened is said to be unknown."""
    gateway = make(Gateway, config_for(service, upstreams={
        "api": {"endpoints": [f"127.0.0.1:{service.port}"], "timeout": "1s", "attempts_max": 1,
                "outlier_failures": 0, "breaker_percent": 0},
        "dead": {"endpoints": ["127.0.0.1:1"], "attempts_max": 1}}, routes=[
        {"name": "dead", "path_prefix": "/dead", "upstream": "dead"},
        {"name": "all", "upstream": "api"}]))
    answer = requests.post(gateway.url + "/dead", headers=bearer(), timeout=30)
    assert answer.status_code == 503 and answer.headers["Stripe-Should-Retry"] == "true"
    assert answer.json()["error"]["type"] == "api_error"
    for fault, status in (("close", 502), ("garbage", 502), ("half", 502), ("hang", 504)):
        service.fault = fault
        answer = requests.post(gateway.url + "/x", headers=bearer(), timeout=30)
        assert answer.status_code == status, (fault, answer.text)
        assert answer.headers["Stripe-Should-Retry"] == "false", fault
        answer = requests.post(gateway.url + "/x", timeout=30,
                               headers=bearer(**{"Idempotency-Key": "k"}))
        assert answer.headers["Stripe-Should-Retry"] == "true", fault
    service.fault = None
    assert requests.post(gateway.url + "/x", headers=bearer(), timeout=30).status_code == 200


@pytest.mark.parametrize("http2", [False, True])
def test_the_length_of_a_head_request(make, service, tmp_path, http2):
    """RFC 9110 section 8.6: it is GET's, or none is said."""
    certificate, key = make_certificate(tmp_path, "head")
    gateway = make(Gateway, config_for(service, listeners=[
        {"address": "127.0.0.1:0", "certificate": str(certificate), "key": str(key)}]))

    def lengths():
        shown = subprocess.run(
            ["curl", "-skI", "--http2" if http2 else "--http1.1", gateway.url + "/x",
             "-H", f"Authorization: Bearer {KEY}"], capture_output=True, text=True, timeout=60)
        assert shown.stdout.split()[1] == "200"
        return re.findall(r"(?im)^content-length: *(\d+)", shown.stdout)

    assert lengths() == [str(len(service.answer_body))]
    service.fault = "no length"
    assert lengths() == []
    answer = requests.get(gateway.url + "/x", headers=bearer(), verify=False, timeout=30)
    assert answer.content == service.answer_body


@pytest.mark.parametrize("exists", [True, False])
def test_a_start_does_not_wait_for_endpoints_that_are_not_there(make, service, tmp_path, exists):
    """A list that is empty, or not there yet, is how things are."""
    endpoints = tmp_path / "endpoints"
    if exists:
        endpoints.write_text("")
    began = time.monotonic()
    gateway = make(Gateway, config_for(service, upstreams={"api": {"file": str(endpoints)}}))
    assert requests.get(gateway.url + "/x", headers=bearer(), timeout=60).status_code == 503
    assert time.monotonic() - began < 4  # it waits for 5 s for a look that is not over


@pytest.mark.parametrize("source", ["dns", "file"])
def test_an_upstream_counts_with_its_endpoints(make, service, tmp_path, source):
    """Neither at the start nor at a reload is there a moment without them."""
    endpoints = tmp_path / "endpoints"
    endpoints.write_text(f"127.0.0.1:{service.port}\n")
    config = config_for(service, upstreams={"api": {
        "dns": f"localhost:{service.port}"} if source == "dns" else {"file": str(endpoints)}})
    gateway = make(Gateway, config)
    stop = threading.Event()
    statuses = []

    def work():
        with requests.Session() as session:
            while not stop.is_set():
                statuses.append(session.post(gateway.url + "/x", headers=bearer(), timeout=60).status_code)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work) for _ in range(4)]
        try:
            for number in range(8):
                config["upstreams"]["api"]["timeout"] = f"{20 + number}s"
                gateway.reload(config)
            config["upstreams"]["api"] = {
                "dns": "nowhere.invalid:80"} if source == "dns" else {"file": str(tmp_path / "none")}
            assert "upstreams.api" in gateway.reload(config, good=False)
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert set(statuses) == {200}


def test_half_an_answer_is_not_kept(make, service):
    """Its memory is given back with the request, however large it was."""
    gateway = make(Gateway, config_for(service, upstreams={"api": {
        "endpoints": [f"127.0.0.1:{service.port}"], "attempts_max": 1, "outlier_failures": 0,
        "breaker_percent": 0}}))
    service.answer_body = b"x" * 9_000_000
    service.fault = "half"
    before_kib = gateway.memory_kib()

    def one(_):
        return requests.get(gateway.url + "/x", headers=bearer(), timeout=60).status_code

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert set(pool.map(one, range(24))) == {502}
    assert gateway.memory_kib() - before_kib < 64 * 1024


def test_only_what_the_service_can_tell_is_tried_again(make, service):
    """An Idempotency-Key that does not arrive there makes nothing safe."""
    gateway = make(Gateway, config_for(service, upstreams={
        "api": {"endpoints": [f"127.0.0.1:{service.port}"], "attempts_max": 3, "retry_min": 100,
                "outlier_failures": 0, "breaker_percent": 0}}, routes=[
        {"name": "bare", "path_prefix": "/bare", "remove_headers": ["idempotency-key"],
         "upstream": "api"},
        {"name": "all", "upstream": "api"}]))
    service.fault = "close"
    for path, headers, tries in (
            ("/x", {"Idempotency-Key": "k"}, 3),
            ("/bare", {"Idempotency-Key": "k"}, 1),
            ("/x", {"Idempotency-Key": ""}, 1)):
        service.requests.clear()
        answer = requests.post(gateway.url + path, headers=bearer(**headers), timeout=30)
        assert answer.status_code == 502, (path, headers, answer.text)
        assert len(service.requests) == tries, (path, headers)
        assert answer.headers["Stripe-Should-Retry"] == ("true" if tries > 1 else "false")


def test_an_endpoint_is_killed_under_load(make):
    """Requests that may be repeated go to the other; the dead one is left alone until it is back."""
    first, second = make(Service), make(Service)
    config = before(first.port)
    config["upstreams"]["api"] = {
        "endpoints": [f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"],
        "health_path": "/livez", "health_interval": "100ms", "health_down": 1, "health_up": 1,
        "panic_percent": 0, "slow_start": "0", "retry_min": 100, "retry_percent": 100}
    gateway = make(Gateway, config)
    stop = threading.Event()
    failures, counts = [], []

    def work(number):
        done = 0
        with requests.Session() as session:
            while not stop.is_set():
                answer = session.post(
                    gateway.url + "/v1/x", timeout=60,
                    headers=bearer(**{"Idempotency-Key": f"{number}-{done}"}))
                done += 1
                if answer.status_code != 200:
                    failures.append(answer.text)
        counts.append(done)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(work, number) for number in range(8)]
        try:
            wait_until(lambda: len(first.requests) > 50, 30, "load")
            first.kill()
            wait_until(lambda: gateway.metric("tael_gateway_upstream_endpoints_usable") == 1, 30,
                       "the end of the dead endpoint")
            before_count = len(second.requests)
            wait_until(lambda: len(second.requests) > before_count + 50, 30, "the other's work")
            first.start()
            wait_until(lambda: gateway.metric("tael_gateway_upstream_endpoints_usable") == 2, 30,
                       "the endpoint's return")
            before_count = len(first.requests)
            wait_until(lambda: len(first.requests) > before_count + 20, 30, "its share")
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert not failures, failures[:3]


# ---- limits --------------------------------------------------------------------------------


def test_rate_limit(make, service):
    rate, burst = 20, 10
    gateway = make(Gateway, config_for(service, limits={"key_rate": rate, "key_burst": burst}))
    passed, limited, seconds = hammer([gateway.url + "/v1/x"], KEY, 3)
    assert len(passed) <= burst + rate * seconds * 1.01 + 1
    assert len(passed) >= 0.95 * refilled(limited, rate, burst)
    answer = limited[0][2]
    error = answer.json()["error"]
    assert error["code"] == "rate_limit" and error["type"] == "invalid_request_error"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    other = requests.get(gateway.url + "/v1/x", headers=bearer(LIVE), timeout=30)
    assert other.status_code == 200, "each key has a bucket of its own"
    assert len(service.requests) == len(passed) + 1


def test_concurrency_limit(make, service):
    gateway = make(Gateway, config_for(service, routes=[
        {"name": "all", "limits": {"key_concurrent": 3}, "upstream": "api"}]))
    with concurrent.futures.ThreadPoolExecutor(10) as pool, service.holding():
        asked = [pool.submit(requests.get, gateway.url + "/v1/x", headers=bearer(), timeout=60)
                 for _ in range(10)]
        limited = wait_until(lambda: len(done := [one.result() for one in asked if one.done()]) == 7
                             and done, 10, "those that are too many")
        wait_until(lambda: service.most_at_once == 3, 10, "the others there")
        service.let_go()
    assert service.most_at_once == 3
    assert {one.status_code for one in limited} == {429}
    assert limited[0].headers["Stripe-Rate-Limited-Reason"] == "global-concurrency"
    assert sum(one.result().status_code == 200 for one in asked) == 3
    assert requests.get(gateway.url + "/v1/x", headers=bearer(), timeout=30).status_code == 200


def test_lists_are_shed_before_payments(make, service):
    gateway = make(Gateway, config_for(service, upstreams={
        "api": {"endpoints": [f"127.0.0.1:{service.port}"], "shed_queue": 4}}, routes=[
        {"name": "pay", "path_prefix": "/pay", "class": "critical", "upstream": "api"},
        {"name": "list", "path_prefix": "/list", "class": "list", "upstream": "api"}]))
    with concurrent.futures.ThreadPoolExecutor(12) as pool, service.holding():
        payments = [pool.submit(requests.post, gateway.url + "/pay", headers=bearer(), timeout=60)
                    for _ in range(10)]
        wait_until(lambda: gateway.metric("tael_gateway_upstream_active") >= 10, 10, "the queue")
        listed = requests.get(gateway.url + "/list", headers=bearer(), timeout=30)
        assert listed.status_code == 503 and listed.headers["Retry-After"] == "1"
        service.let_go()
        assert all(one.result().status_code == 200 for one in payments)
    assert gateway.metric("tael_gateway_shed_total", **{"class": "list"}) == 1
    assert gateway.metric("tael_gateway_shed_total", **{"class": "critical"}) == 0
    assert requests.get(gateway.url + "/list", headers=bearer(), timeout=30).status_code == 200


# ---- while it runs -------------------------------------------------------------------------


class Load:
    """Clients that never stop; every answer but 200 is a failure."""

    def __init__(self, gateway, threads=4, verify=None, path="/v1/x"):
        self.stop = threading.Event()
        self.failures = []
        self.count = 0
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)

        def work():
            with requests.Session() as session:
                session.trust_env = False
                while not self.stop.is_set():
                    try:
                        answer = session.post(gateway.url + path, headers=bearer(), timeout=60,
                                              verify=verify)
                        if answer.status_code != 200:
                            self.failures.append(answer.text)
                    except requests.RequestException as error:
                        self.failures.append(repr(error))
                    self.count += 1

        self.futures = [self.pool.submit(work) for _ in range(threads)]

    def more(self, number=40):
        target = self.count + number
        wait_until(lambda: self.count >= target, 60, f"{number} requests more")

    def end(self):
        self.stop.set()
        for future in self.futures:
            future.result()
        self.pool.shutdown()
        assert not self.failures, self.failures[:3]


def test_reload_under_load(make, service):
    other = make(Service)
    config = config_for(service)
    gateway = make(Gateway, config)
    load = Load(gateway)
    load.more()
    for round_number in range(6):
        target = other if round_number % 2 == 0 else service
        config["upstreams"]["api"]["endpoints"] = [f"127.0.0.1:{target.port}"]
        config["upstreams"]["api"]["timeout"] = f"{30 + round_number // 2}s"
        gateway.reload(config)
        seen = len(target.requests)
        wait_until(lambda: len(target.requests) > seen + 10, 30, "the new endpoint's work")
    load.end()
    assert gateway.metric("tael_gateway_reloads_total") == 6
    assert gateway.metric("tael_gateway_requests_total", route="all", status="2xx") >= load.count


def test_a_bad_file_changes_nothing(make, service):
    gateway = make(Gateway, config_for(service))
    load = Load(gateway, threads=2)
    for text, expected in (
        ("{", "line 1: "),
        (json.dumps({**gateway.config, "colour": 1}), "colour"),
        (json.dumps({**gateway.config, "routes": []}), "routes: there must be at least one"),
        (json.dumps({**gateway.config, "listeners": [
            {"address": "127.0.0.1:0", "certificate": "no.pem", "key": "no.pem"}]}), "no.pem"),
        (json.dumps({**gateway.config, "access_log": "/no/such/folder/x"}), "access_log"),
    ):
        good = gateway.config
        reason = gateway.reload(text, good=False)
        assert expected in reason and "gateway.json" in reason or "no.pem" in reason \
            or "access_log" in reason, reason
        gateway.config = good
        load.more(10)
    load.end()
    assert gateway.metric("tael_gateway_reloads_failed_total") == 5
    gateway.write("{")
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the old one stays" in gateway.log(), 10, "the log's line")
    assert requests.get(gateway.url + "/v1/x", headers=bearer(), timeout=30).status_code == 200


def test_listeners_change_under_load(make, service):
    """Other limits of a listener take over its socket; a new one comes, an old one goes."""
    config = config_for(service)
    gateway = make(Gateway, config)
    extra = {"address": f"127.0.0.1:{free_port()}"}
    # Clients of a connection each: one that is kept may meet its end, as with every HTTP server.
    stop = threading.Event()
    failures, count = [], [0]

    def work():
        while not stop.is_set():
            try:
                answer = requests.post(gateway.url + "/v1/x", timeout=60,
                                       headers=bearer(Connection="close"))
                if answer.status_code != 200:
                    failures.append(answer.text)
            except requests.RequestException as error:
                failures.append(repr(error))
            count[0] += 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(4):
        config["listeners"][0]["idle_timeout"] = f"{60 + number}s"
        config["listeners"][1:] = [extra] if number % 2 == 0 else []
        gateway.reload(config)
        target = count[0] + 20
        wait_until(lambda: count[0] >= target, 60, "requests")
        port = int(extra["address"].split(":")[1])
        with socket.socket() as probe:
            assert (probe.connect_ex(("127.0.0.1", port)) == 0) == (number % 2 == 0)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


def sent_by(gateway, method, path="/v1/x"):
    """A connection with a request of this method under way."""
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
    client.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
                   "Content-Length: 0\r\n\r\n".encode())
    return client


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("leave", [reset, socket.socket.close])
def test_a_client_that_leaves(make, service, leave):
    """GATEWAY-5: reads are given up, what may change something is not; the service sees both once."""
    gateway = make(Gateway, config_for(service, limits={"key_concurrent": 2}))

    def active():
        return gateway.metric("tael_gateway_upstream_active")

    with service.holding():
        clients = [sent_by(gateway, "GET"), sent_by(gateway, "POST")]
        wait_until(lambda: len(service.requests) == 2, 20, "both at the service")
        assert requests.get(gateway.url + "/v1/y", headers=bearer(), timeout=30).status_code == 429
        for client in clients:
            leave(client)
        wait_until(lambda: active() == 1, 20, "the end of the read")
        assert gateway.metric("tael_gateway_upstream_outcomes_total", outcome="cancelled") == 1
        third = sent_by(gateway, "GET", "/v1/z")  # the place among its key's was given back
        wait_until(lambda: len(service.requests) == 3, 20, "the third at the service")
        service.let_go()
        assert third.recv(65536).startswith(b"HTTP/1.1 200 ")
        third.close()
    wait_until(lambda: active() == 0, 20, "the end of the other")
    assert gateway.metric("tael_gateway_upstream_outcomes_total", outcome="answered") == 2
    assert [one.method for one in service.requests].count("POST") == 1
    wait_until(lambda: {("GET", "client_gone"), ("POST", "forwarded")} <= {
        (line["method"], line["verdict"]) for line in gateway.access()}, 20, "the log")
    upstream = gateway.admin("/upstreams").json()["upstreams"][0]
    assert upstream["endpoints"][0]["errors"] == 0, "it is not the endpoint's fault"


def test_a_payment_that_waits_for_a_connection_leaves_with_its_client(make, service):
    config = config_for(service)
    config["upstreams"]["api"]["connections_max"] = 1
    gateway = make(Gateway, config)
    with service.holding():
        first = sent_by(gateway, "POST", "/v1/first")
        wait_until(lambda: len(service.requests) == 1, 20, "the first at the service")
        waiting = sent_by(gateway, "POST", "/v1/second")
        wait_until(lambda: gateway.metric("tael_gateway_upstream_active") == 2, 20, "the second")
        waiting.shutdown(socket.SHUT_WR)  # who only closed that side is told
        assert waiting.recv(65536).startswith(b"HTTP/1.1 499 ")
        service.let_go()
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert [one.path for one in service.requests] == ["/v1/first"]


def test_certificates_are_renewed_under_load(make, service, tmp_path):
    first, second = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second", days=9)
    live = tmp_path / "live.pem", tmp_path / "live.key"

    def install(pair):
        for source, target in zip(pair, live):
            target.write_bytes(source.read_bytes())

    install(first)
    config = config_for(service, listeners=[
        {"address": "127.0.0.1:0", "certificate": str(live[0]), "key": str(live[1])}])
    gateway = make(Gateway, config)
    assert gateway.url.startswith("https://")

    def told():
        return (gateway.metric("tael_gateway_certificate_expires_timestamp_seconds",
                               listener=f"127.0.0.1:{gateway.port}"),
                gateway.metric("tael_gateway_last_reload_successful"))

    load = Load(gateway, threads=2, verify=False)
    load.more(10)
    shown, version = shown_certificate(gateway.port)
    ends, reloaded = told()
    assert abs(ends - time.time() - 2 * 86400) < 600 and reloaded == 1
    assert version == "TLSv1.3"
    install(second)
    gateway.reload()
    renewed, _ = shown_certificate(gateway.port)
    assert renewed != shown
    assert told() == (pytest.approx(time.time() + 9 * 86400, abs=600), 1)
    load.more(10)
    live[1].write_bytes(first[1].read_bytes())  # a key that is another certificate's
    assert "live.pem" in gateway.reload(good=False)
    assert shown_certificate(gateway.port)[0] == renewed
    assert told() == (pytest.approx(time.time() + 9 * 86400, abs=600), 0)
    load.end()
    assert service.requests[-1].headers["x-forwarded-proto"] == "https"


def test_drain(make, service):
    """Not ready first, still accepting; what is under way ends."""
    gateway = make(Gateway, config_for(service, drain_delay="4s"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool, service.holding():
        early = pool.submit(requests.get, gateway.url + "/a", headers=bearer(), timeout=30)
        wait_until(lambda: len(service.requests) == 1, 10, "the first request")
        process = gateway.process
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: gateway.admin("/readyz").status_code == 503, 10, "not ready")
        assert gateway.admin("/livez").status_code == 200
        late = pool.submit(requests.get, gateway.url + "/b", headers=bearer(), timeout=30)
        wait_until(lambda: len(service.requests) == 2, 10, "the second request")
        service.let_go()
        assert early.result().status_code == 200
        answer = late.result()
        assert answer.status_code == 200 and answer.headers["Connection"] == "close"
        assert process.wait(30) == 0
    gateway.process = None
    with pytest.raises(requests.ConnectionError):
        requests.get(gateway.url + "/c", headers=bearer(), timeout=5)


# ---- looking -------------------------------------------------------------------------------


def test_access_log_has_no_secrets(make, service):
    gateway = make(Gateway, config_for(service))
    requests.post(gateway.url + "/v1/x?client_secret=pi_1_secret_hush&card=4242424242424242",
                  data="card[number]=4242424242424242&cvc=a-cvc", headers=bearer(), timeout=30)
    requests.get(gateway.url + "/authenticate/pi_1/deep_secret_path", timeout=30)
    requests.get(gateway.url + "/v1/x", headers={"Authorization": "Bearer sk_test_wrong"}, timeout=30)
    lines = wait_until(lambda: (log := gateway.access()) and len(log) == 3 and log, 10, "three lines")
    text = json.dumps(lines)
    for secret in ("hush", "4242424242424242", "a-cvc", KEY, "deep_secret_path", "wrong", "a" * 20):
        assert secret not in text, secret
    line = lines[0]
    assert line["caller"] == "sk_test_...Zz09" and line["status"] == 200
    assert (line["route"], line["upstream"], line["path"]) == ("all", "api", "/v1/x")
    assert line["endpoint"] == f"127.0.0.1:{service.port}" and line["attempts"] == 1
    assert lines[2]["verdict"] == "unauthenticated"


def test_operators_pages(make, service):
    gateway = make(Gateway, config_for(service))
    for path in ("/livez", "/readyz", "/startupz"):
        assert gateway.admin(path).status_code == 200
    requests.get(gateway.url + "/v1/x", headers=bearer(), timeout=30)
    upstream = gateway.admin("/upstreams").json()["upstreams"][0]
    assert upstream["name"] == "api" and upstream["breaker"] == "closed"
    endpoint = upstream["endpoints"][0]
    assert endpoint["state"] == "active" and endpoint["requests"] == 1
    routes = gateway.admin("/routes").json()["routes"]
    assert routes[-1]["name"] == "all" and routes[0]["name"] != "payments"
    assert gateway.admin("/upstreams", "POST").status_code == 405
    assert gateway.admin("/x").status_code == 404
    assert gateway.metric("tael_gateway_ready") == 1
    metrics = gateway.admin("/metrics").text
    assert subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, timeout=60,
                          capture_output=True, check=False).returncode == 0
    assert gateway.metric("process_open_fds") > 5
    for name in ("tael_gateway_request_duration_seconds_bucket", "tael_gateway_verdicts_total",
                 "tael_gateway_upstream_outcomes_total"):
        assert name in metrics
    assert gateway.metric("tael_gateway_requests_total", route="all", status="2xx") == 1
    for path in ("/drain", "/reload"):  # sent by a page in a browser
        page = requests.post(gateway.admin_url + path, headers={"Origin": "http://evil.example"},
                             timeout=30)
        assert page.status_code == 403, path
        webhook = requests.post(gateway.admin_url + path, timeout=30,
                                headers={"Stripe-Signature": "t=1,v1=" + 64 * "0"})
        assert webhook.status_code == 403, path
    assert gateway.metric("tael_gateway_reloads_total") == 0
    assert gateway.admin("/drain", "POST").status_code == 202
    assert gateway.process.wait(30) == 0
    gateway.process = None


def test_check_and_keys(tmp_path):
    from kit.server import run_tael
    file = tmp_path / "g.json"
    file.write_text(json.dumps(before(1)))
    assert run_tael("gateway", f"--config={file}", "--check").returncode == 0
    file.write_text('{"listeners":[],\n"colour":1}')
    refused = run_tael("gateway", f"--config={file}", "--check")
    assert refused.returncode == 1 and "line 2: colour" in refused.stderr
    assert run_tael("gateway").returncode == 2
    manual = (__import__("kit.server").server.ROOT / "docs" / "gateway.md").read_text()
    for name in re.findall(r"^    (\w+)", run_tael("gateway", "--keys").stdout, re.MULTILINE):
        assert f"`{name}`" in manual, f"docs/gateway.md does not tell {name}"
