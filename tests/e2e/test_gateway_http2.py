"""HTTP/2 at the gateway: the same requests arrive, the same ones are refused, and floods end."""

import shutil
import socket
import ssl
import struct
import subprocess
import time

import pytest
import requests

from kit.certificates import make_certificate
from kit.gateway import Gateway, before
from kit.server import wait_until
from kit.service import Service

KEY = "sk_test_" + "h" * 24
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
CALM = 11  # ENHANCE_YOUR_CALM


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("http2")
    certificate, key = make_certificate(folder, "http2")
    service = Service().start()
    gateway = Gateway(folder / "gateway", before(service.port, listeners=[
        {"address": "127.0.0.1:0", "certificate": str(certificate), "key": str(key),
         "body_max": "100k", "pipeline_max": 20, "body_timeout": "2s", "write_timeout": "3s"}])).start()
    yield gateway, service
    gateway.stop()
    service.stop()


@pytest.fixture
def gateway(world):
    yield world[0]
    # Whatever a test did, others are served.
    assert requests.get(world[0].url + "/v1/x", headers={"Authorization": f"Bearer {KEY}"},
                        verify=False, timeout=30).status_code == 200


@pytest.fixture
def service(world):
    world[1].requests.clear()
    world[1].most_at_once = 0
    world[1].answer_body = b'{"ok":true}'
    return world[1]


def curl(gateway, path, *arguments):
    result = subprocess.run(
        ["curl", "-sk", "--http2", "-o", "-", "-w", "\n%{http_version} %{http_code}",
         gateway.url + path, *arguments], capture_output=True, timeout=60)
    body, _, end = result.stdout.rpartition(b"\n")
    version, status = end.decode().split()
    assert version == "2"
    return int(status), body


AUTH = ("-H", f"Authorization: Bearer {KEY}")


def test_the_same_requests_arrive(gateway, service, tmp_path):
    status, body = curl(gateway, "/v1/x?a=b", *AUTH, "-H", "Idempotency-Key: k", "-H", "X-Request-Id: no",
                        "-d", "amount=1")
    assert (status, body) == (200, b'{"ok":true}')
    arrived = service.requests[0]
    assert (arrived.method, arrived.path, arrived.body) == ("POST", "/v1/x?a=b", b"amount=1")
    assert arrived.headers["x-forwarded-proto"] == "https" and arrived.headers["idempotency-key"] == "k"
    assert arrived.headers["x-forwarded-host"] == f"127.0.0.1:{gateway.port}"
    assert arrived.headers["content-length"] == "8" and arrived.headers["x-request-id"].startswith("req_")
    assert curl(gateway, "/v1/x")[0] == 401
    assert curl(gateway, "/v1/%2e%2e/x", "--path-as-is", *AUTH)[0] == 404
    assert curl(gateway, "/v1/x", *AUTH, "-X", "TRACE")[0] == 405
    big = tmp_path / "big"
    big.write_bytes(b"x" * 102_400)
    assert curl(gateway, "/v1/x", *AUTH, "--data-binary", f"@{big}")[0] == 200
    assert service.requests[-1].body == b"x" * 102_400
    big.write_bytes(b"x" * 102_401)
    assert curl(gateway, "/v1/x", *AUTH, "--data-binary", f"@{big}")[0] == 413
    service.answer_body = b"y" * 3_000_000
    status, body = curl(gateway, "/v1/x", *AUTH)
    assert status == 200 and body == service.answer_body


@pytest.mark.skipif(not shutil.which("h2load"), reason="nghttp2-client is missing")
def test_many_streams(gateway, service):
    result = subprocess.run(
        ["h2load", "-n", "1000", "-c", "4", "-m", "15", "-H", f"Authorization: Bearer {KEY}",
         f"{gateway.url}/v1/x"], capture_output=True, text=True, timeout=120)
    assert "1000 succeeded" in result.stdout, result.stdout
    assert len(service.requests) == 1000


# ---- frames by hand ------------------------------------------------------------------------


class Frames:
    """A client that says anything."""

    def __init__(self, gateway):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", gateway.port), timeout=20))
        assert self.socket.selected_alpn_protocol() == "h2"
        self.rest = b""
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def next(self):
        """(type, flags, stream, payload), or None at the end."""
        try:
            while len(self.rest) < 9 or len(self.rest) < 9 + int.from_bytes(self.rest[:3], "big"):
                piece = self.socket.recv(65536)
                if not piece:
                    return None
                self.rest += piece
        except (ConnectionError, ssl.SSLError):
            return None
        size = int.from_bytes(self.rest[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
        payload, self.rest = self.rest[9:9 + size], self.rest[9 + size:]
        return kind, flags, stream, payload

    def until(self, *kinds):
        while (one := self.next()) is not None:
            if one[0] in kinds:
                return one
        return None

    def goaway(self):
        """The code of the GOAWAY that ends the connection; None if it ended without."""
        one = self.until(GOAWAY)
        return one and struct.unpack(">I", one[3][4:8])[0]

    def close(self):
        self.socket.close()


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header without compression."""
    out = b"\x00"
    for text in (name, value):
        text = text if isinstance(text, bytes) else text.encode()
        out += (bytes([len(text)]) if len(text) < 127 else b"\x7f" + integer(len(text) - 127)) + text
    return out


def integer(number):
    out = b""
    while number >= 128:
        out += bytes([number % 128 | 128])
        number //= 128
    return out + bytes([number])


def head(*more, method="GET", path="/v1/x", key=True, host="a.test"):
    fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", host)]
    if key:
        fields.append(("authorization", f"Bearer {KEY}"))
    return b"".join(literal(name, value) for name, value in [*fields, *more])


def request(stream, *more, body=None, **keywords):
    flags = END_HEADERS | (END_STREAM if body is None else 0)
    out = frame(HEADERS, flags, stream, head(*more, **keywords))
    return out if body is None else out + frame(DATA, END_STREAM, stream, body)


BAD_HEADS = {
    "Transfer-Encoding": dict(more=[("transfer-encoding", "chunked")]),
    "Connection": dict(more=[("connection", "close")]),
    "Upgrade": dict(more=[("upgrade", "h2c")]),
    "a capital": dict(more=[("X-Capital", "1")]),
    "a line end in a value": dict(more=[("x-a", "b\r\nX-Injected: 1")]),
    "a zero in a value": dict(more=[("x-a", b"b\0c")]),
    "a line end in the path": dict(path="/v1/x HTTP/1.1\r\nX-Injected: 1\r\n\r\nGET /smuggled"),
    "a space in the path": dict(path="/v1/x HTTP/1.1"),
    "a space in the method": dict(method="GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    "a line end in the authority": dict(host="a\r\nX-Injected: 1"),
    "another Host": dict(more=[("host", "other.test")]),
    "no path": dict(path=""),
    "a relative path": dict(path="v1/x"),
    "two keys": dict(more=[("authorization", "Bearer sk_test_other0000000000")]),
    "two Idempotency-Key": dict(more=[("idempotency-key", "a"), ("idempotency-key", "b")]),
    "a pseudo-header that is none": dict(more=[(":evil", "1")]),
    "TE": dict(more=[("te", "gzip")]),
    "a huge header": dict(more=[("x-big", "x" * 15000), ("x-big", "x" * 15000)]),
    "many headers": dict(more=[(f"x-{number}", "y") for number in range(200)]),
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_refused(gateway, service, name):
    keywords = dict(BAD_HEADS[name])
    client = Frames(gateway)
    client.send(request(1, *keywords.pop("more", []), **keywords))
    answer = client.until(HEADERS, RST, GOAWAY)
    assert answer is None or answer[0] in (RST, GOAWAY) or answer[3][0] != 0x88, "it was a 200"
    client.close()
    assert service.requests == []


@pytest.mark.parametrize("said, body", [("3", b"abcdef"), ("9", b"abc"), ("x", b"abc"), ("-1", b"")])
def test_a_length_that_is_not_true(gateway, service, said, body):
    client = Frames(gateway)
    client.send(request(1, ("content-length", said), method="POST", body=body))
    answer = client.until(HEADERS, RST, GOAWAY)
    assert answer is None or answer[0] != HEADERS or answer[3][0] != 0x88
    client.close()
    assert service.requests == []


def test_trailers_are_dropped(gateway, service):
    client = Frames(gateway)
    client.send(frame(HEADERS, END_HEADERS, 1, head(method="POST")), frame(DATA, 0, 1, b"abc"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, literal("x-trailer", "1")))
    assert client.until(HEADERS, RST, GOAWAY)[3][0] == 0x88
    client.close()
    assert service.requests[0].body == b"abc" and "x-trailer" not in service.requests[0].headers


def flood(gateway, pieces, count=100_000):
    """Sends until the connection ends; the code it ended with."""
    client = Frames(gateway)
    client.socket.settimeout(20)
    try:
        for number in range(0, count, 50):
            client.send(*(pieces(one) for one in range(number, number + 50)))
    except OSError:
        pass
    code = client.goaway()
    client.close()
    return code


def test_rapid_reset(gateway, service):
    """CVE-2023-44487."""
    floods = gateway.metric("tael_gateway_http2_floods_total")
    cancel = struct.pack(">I", 8)
    code = flood(gateway, lambda number: request(2 * number + 1) + frame(RST, 0, 2 * number + 1, cancel))
    assert code in (CALM, None)
    assert gateway.metric("tael_gateway_http2_floods_total") == floods + 1
    wait_until(lambda: gateway.metric("tael_gateway_in_flight") <= 1, 20, "the end of what was begun")
    assert len(service.requests) < 1000


def cancelled(gateway):
    return gateway.metric("tael_gateway_upstream_outcomes_total", outcome="cancelled")


@pytest.mark.parametrize("leave", ["the stream", "the connection"])
def test_who_leaves_takes_a_read_along(gateway, service, leave):
    """GATEWAY-5: another stream of the connection goes on, and a POST is carried out for nobody."""
    before_leaving = cancelled(gateway)
    left = 1 if leave == "the stream" else 2
    path = f"/v1/{left}"
    with service.holding():
        client = Frames(gateway)
        client.send(request(1, path=path), request(3, path=path), request(5, body=b"a=1", method="POST", path=path))
        wait_until(lambda: len(service.requests) == 3, 20, "the requests at the service")
        if leave == "the stream":
            client.send(*(frame(RST, 0, stream, struct.pack(">I", 8)) for stream in (1, 5)))
        else:
            client.close()
        wait_until(lambda: cancelled(gateway) == before_leaving + left, 20, "the end of the reads")
        assert gateway.metric("tael_gateway_upstream_active") == 3 - left
    if leave == "the stream":
        assert client.until(HEADERS)[2] == 3
        client.close()
    wait_until(lambda: gateway.metric("tael_gateway_in_flight") == 0, 20, "the end")
    assert cancelled(gateway) == before_leaving + left

    def ends():
        return sorted((line["method"], line["status"], line["verdict"])
                      for line in gateway.access() if line["path"] == path)

    gone, answered = [("GET", 499, "client_gone")], [("GET", 200, "forwarded")]
    wait_until(lambda: ends() == answered * (2 - left) + gone * left + [("POST", 200, "forwarded")], 20, "the log")


def test_what_was_reset_at_once_reaches_nobody(gateway, service):
    client = Frames(gateway)
    client.send(*(request(stream, method="POST", body=b"a=1") + frame(RST, 0, stream, struct.pack(">I", 8))
                  for stream in range(1, 41, 2)))
    client.send(request(41))
    assert client.until(HEADERS)[2] == 41
    client.close()
    assert len(service.requests) <= 3, "all in one read but where the socket cut it"


FLOODS = {
    "pings": lambda number: frame(PING, 0, 0, b"12345678"),
    "settings": lambda number: frame(SETTINGS, 0, 0, b""),
    "priorities": lambda number: frame(PRIORITY, 0, 2 * number + 1, b"\0\0\0\0\x10"),
    "resets of idle streams": lambda number: frame(RST, 0, 2 * number + 1, struct.pack(">I", 8)),
    "window updates": lambda number: frame(WINDOW, 0, 0, struct.pack(">I", 1)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(gateway, service, name):
    began = time.monotonic()
    code = flood(gateway, FLOODS[name])
    assert code is None or code != 0
    assert time.monotonic() - began < 30
    assert service.requests == []


def test_empty_data(gateway, service):
    first = frame(HEADERS, END_HEADERS, 1, head(method="POST"))
    code = flood(gateway, lambda number: (first if number == 0 else b"") + frame(DATA, 0, 1, b""))
    assert code in (CALM, None)
    assert service.requests == []


def test_continuation_flood(gateway, service):
    """CVE-2024-28182."""
    code = flood(gateway, lambda number: frame(HEADERS, 0, 1, head()) if number == 0 else
                 frame(CONTINUATION, 0, 1, literal("x-a", "b")))
    assert code != 0
    assert service.requests == []


def bomb(stream):
    """16 KiB that mean 60 MiB: one field that the table keeps, named again and again."""
    value = b"v" * 3900
    kept = head() + b"\x40\x03x-a\x7f" + integer(len(value) - 127) + value
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, kept + b"\xbe" * (16000 - len(kept)))


def test_a_head_that_unfolds(gateway, service):
    """CVE-2016-1544: it is not read to its end."""
    client = Frames(gateway)
    client.send(bomb(1))
    assert client.until(HEADERS, RST, GOAWAY)[0] == RST
    client.close()
    assert flood(gateway, lambda number: bomb(2 * number + 1), 1000) in (CALM, None)
    assert service.requests == []


def test_an_idle_connection_owns_no_buffer(gateway, service):
    """NET-6."""
    service.answer_body = b"y" * 60_000
    clients = [Frames(gateway) for _ in range(150)]
    before_kib = gateway.memory_kib()
    for client in clients:
        client.send(request(1, ("x-a", "z" * 7000), path="/v1/" + "p" * 7000))
        assert client.until(HEADERS)[3][0] == 0x88
        while not client.until(DATA)[1] & END_STREAM:
            pass
    grown_kib = (gateway.memory_kib() - before_kib) / len(clients)
    for client in clients:
        client.close()
    assert grown_kib < 24, f"{grown_kib} KiB a connection"


def test_streams_are_limited(gateway, service):
    service.delay = 1
    try:
        client = Frames(gateway)
        client.send(*(request(2 * number + 1) for number in range(60)))
        refused = 0
        for _ in range(40):
            answer = client.until(RST, GOAWAY)
            if answer is None or answer[0] == GOAWAY:
                break
            refused += 1
        client.close()
        assert refused == 40 or answer is None or answer[0] == GOAWAY
        assert service.most_at_once <= 20
    finally:
        service.delay = 0
        wait_until(lambda: gateway.metric("tael_gateway_in_flight") <= 1, 20, "the end")


def test_a_body_that_does_not_come(gateway, service):
    """HTTP2-4: the stream is answered, others of the connection go on."""
    client = Frames(gateway)
    client.send(frame(HEADERS, END_HEADERS, 1, head(method="POST")), frame(DATA, 0, 1, b"abc"))
    began = time.monotonic()
    answer = client.until(HEADERS, RST)
    assert answer[0] == HEADERS and answer[3][0] != 0x88
    assert time.monotonic() - began < 10
    client.send(request(3))
    while (answer := client.until(HEADERS))[2] != 3:
        pass
    assert answer[3][0] == 0x88
    client.close()


def test_half_streams_give_way(world, tmp_path):
    """NET-13: they have the memory only as long as nobody else wants it."""
    gateway, service = world
    listener = {**gateway.config["listeners"][0], "memory_max": "1m", "body_timeout": "60s"}
    small = Gateway(tmp_path, before(service.port, listeners=[listener])).start()
    clients = [Frames(small) for _ in range(2)]
    for client in clients:
        for stream in range(1, 40, 2):
            client.send(frame(HEADERS, END_HEADERS, stream, head(method="POST")),
                        *[frame(DATA, 0, stream, b"x" * 16000)] * 4)
    wait_until(lambda: small.metric("tael_gateway_busy_memory_total") > 0, 20, "the end of the memory")
    time.sleep(1.1)
    for _ in range(3):
        assert curl(small, "/v1/x", *AUTH, "-d", "x" * 50_000)[0] == 200
    assert small.metric("tael_gateway_gave_way_total") > 0
    for client in clients:
        client.close()
    small.stop()


def others(client, first):
    """One more stream opens and is given up, every moment; False when the connection has ended."""
    for stream in range(first, first + 80, 2):
        try:
            client.send(frame(HEADERS, END_HEADERS, stream, head(method="POST")),
                        frame(RST, 0, stream, struct.pack(">I", 8)))
        except OSError:
            return
        yield stream
        time.sleep(0.3)


def test_an_answer_that_is_not_taken(gateway, service):
    """HTTP2-4: what other streams do gives it no more time."""
    service.answer_body = b"y" * 100_000
    client = Frames(gateway)
    client.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)), request(1))
    assert client.until(HEADERS)[2] == 1
    began = time.monotonic()
    for _ in others(client, 3):
        assert time.monotonic() - began < 9
    client.close()


def test_a_body_that_does_not_come_among_others(gateway, service):
    client = Frames(gateway)
    client.send(frame(HEADERS, END_HEADERS, 1, head(method="POST")), frame(DATA, 0, 1, b"abc"))
    client.socket.settimeout(0.1)
    began = time.monotonic()
    for _ in others(client, 3):
        assert time.monotonic() - began < 6
        try:
            answer = client.until(HEADERS)
        except TimeoutError:
            continue
        if answer[2] == 1:
            break
    else:
        raise AssertionError("the connection ended")
    client.close()


@pytest.mark.parametrize("junk", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", bytes(range(256)) * 64, b"\0" * 1000,
    frame(HEADERS, END_HEADERS | END_STREAM, 0, head()), frame(DATA, END_STREAM, 1, b"x"),
    frame(HEADERS, END_HEADERS | END_STREAM, 2, head()), b"\xff\xff\xff" + bytes(6),
    frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 40),
    frame(SETTINGS, 0, 0, b"123"), frame(WINDOW, 0, 0, bytes(4)), frame(PUSH, 4, 1, bytes(4)),
])
def test_no_http2(gateway, service, junk):
    client = Frames(gateway)
    try:
        client.send(junk)
    except OSError:
        pass
    while client.next() is not None:
        pass
    client.close()
    assert service.requests == []
