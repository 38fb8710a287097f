"""Hostile input through real sockets: every shape that has fooled some server, slow and greedy
clients, floods, ten thousand idle connections. The server refuses, lives, and stays small."""

import concurrent.futures
import re
import resource
import select
import socket
import threading
import time

import pytest

from kit.client import Http, RawAnswers, pay, raw_connect, raw_head, sdk
from kit.server import LONG, Server, wait_until

BODY = b"name=hostile&phone=12345"  # 24 bytes
MIB = 1024  # KiB, as /proc counts


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A server for this file, with deadlines that a test can wait for."""
    made = Server(tmp_path_factory.mktemp("hostile"), "--head-timeout=3s", "--body-timeout=3s",
                  "--idle-timeout=5s", "--write-timeout=3s").start()
    yield made
    made.close()


def count(server):
    return len(sdk(server, validate=False).v1.customers.list({"limit": 100}).data)


def exchange(server, request):
    """Sends bytes; answers (answers, whether the server closed)."""
    connection = raw_connect(server, timeout=60)
    try:
        connection.sendall(request)
    except OSError:
        pass  # refused before all was sent
    answers = RawAnswers(connection)
    seen = []
    while (answer := answers.next()) is not None:
        seen.append(answer)
    connection.close()
    return seen


def head(server, *lines, **keywords):
    return raw_head(server, extra=b"".join(line + b"\r\n" for line in lines) + b"\r\n", **keywords)


LENGTH = b"Content-Length: 24"
CHUNKED_BODY = b"18\r\n" + BODY + b"\r\n0\r\n\r\n"

# name -> lines of the head, and the body
REFUSED = {
    "two different Content-Length": ([LENGTH, b"Content-Length: 23"], BODY),
    "two equal Content-Length": ([LENGTH, LENGTH], BODY),
    "a list of Content-Length": ([b"Content-Length: 24, 24"], BODY),
    "Content-Length and chunked": ([LENGTH, b"Transfer-Encoding: chunked"], CHUNKED_BODY),
    "chunked and Content-Length": ([b"Transfer-Encoding: chunked", LENGTH], CHUNKED_BODY),
    "space before the colon of Transfer-Encoding":
        ([b"Transfer-Encoding : chunked", LENGTH], BODY),
    "space before the colon of Content-Length": ([b"Content-Length : 24"], BODY),
    "a plus sign": ([b"Content-Length: +24"], BODY),
    "a minus sign": ([b"Content-Length: -24"], BODY),
    "hexadecimal": ([b"Content-Length: 0x18"], BODY),
    "an empty Content-Length": ([b"Content-Length:"], BODY),
    "a Content-Length beyond 64 bits": ([b"Content-Length: 18446744073709551640"], BODY),
    "chunk size 0x18":
        ([b"Transfer-Encoding: chunked"], b"0x18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size +18":
        ([b"Transfer-Encoding: chunked"], b"+18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with a space": ([b"Transfer-Encoding: chunked"], b" 18\r\n" + BODY),
    "a huge chunk size":
        ([b"Transfer-Encoding: chunked"], b"10000000000000018\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk without its end": ([b"Transfer-Encoding: chunked"], b"18\r\n" + BODY + b"0\r\n\r\n"),
    "bare LF after a chunk size":
        ([b"Transfer-Encoding: chunked"], b"18\n" + BODY + b"\r\n0\r\n\r\n"),
    "obs-fold": ([b"X-Long: a", b" b", LENGTH], BODY),
    "Transfer-Encoding twice":
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], CHUNKED_BODY),
    "Transfer-Encoding identity": ([b"Transfer-Encoding: identity"], BODY),
    "chunked is not last": ([b"Transfer-Encoding: chunked, gzip"], CHUNKED_BODY),
    "gzip": ([b"Transfer-Encoding: gzip, chunked"], CHUNKED_BODY),
    "xchunked": ([b"Transfer-Encoding: xchunked"], CHUNKED_BODY),
    "NUL in a value": ([b"Idempotency-Key: k\0evil", LENGTH], BODY),
    "bare CR in a value": ([b"X-A: a\rb", LENGTH], BODY),
    "a control character": ([b"X-A: a\x01b", LENGTH], BODY),
    "two Idempotency-Key": ([b"Idempotency-Key: a", b"Idempotency-Key: b", LENGTH], BODY),
    "two Authorization": ([b"Authorization: Bearer x", LENGTH], BODY),
    "a line without a colon": ([b"no colon here", LENGTH], BODY),
    "a name with a space": ([b"X A: b", LENGTH], BODY),
    "an empty name": ([b": b", LENGTH], BODY),
    "a header of 100 KB": ([b"X-Big: " + b"x" * 100_000, LENGTH], BODY),
    "2000 headers": ([b"X-%d: y" % number for number in range(2000)] + [LENGTH], BODY),
    "an unknown Expect": ([b"Expect: the-impossible", LENGTH], BODY),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_closed(target, name):
    lines, body = REFUSED[name]
    before = count(target)
    # What follows must not be taken for a request of its own.
    smuggled = head(target, b"Content-Length: 13") + b"name=smuggled"
    answers = exchange(target, head(target, *lines) + body + smuggled)
    assert len(answers) == 1, answers
    status, headers, text = answers[0]
    assert status in (400, 413, 414, 417, 431, 501), text
    assert headers.get("connection", "").lower() == "close"
    assert count(target) == before


LINES = {
    "bare LF": b"GET /v1/balance HTTP/1.1\nHost: x\n\n",
    "HTTP/0.9": b"GET /v1/balance\r\n\r\n",
    "HTTP/2.0": b"GET /v1/balance HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/1.10": b"GET /v1/balance HTTP/1.10\r\nHost: x\r\n\r\n",
    "lower case": b"GET /v1/balance http/1.1\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  /v1/balance HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab": b"GET\t/v1/balance HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in the path": b"GET /v1/bal\x01ance HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long path": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long method": b"G" * 5000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no Host": b"GET /v1/balance HTTP/1.1\r\n\r\n",
    "two Host": b"GET /v1/balance HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\0" * 200,
    "binary": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("name", LINES)
def test_bad_request_lines(target, name):
    began = time.monotonic()
    answers = exchange(target, LINES[name])
    assert len(answers) == 1
    assert all(400 <= answer[0] <= 505 for answer in answers), answers
    assert time.monotonic() - began < 30


def test_header_limits_that_are_fine(target):
    """Many headers, as proxies add, are no attack; nor is one of 4 KB."""
    lines = [b"X-%d: y" % number for number in range(50)] + [b"X-Big: " + b"x" * 4000]
    before = count(target)
    answers = exchange(target, head(target, *lines, LENGTH, b"Connection: close") + BODY)
    assert [answer[0] for answer in answers] == [200]
    assert count(target) == before + 1


@pytest.mark.parametrize("size", [300_000, 5_000_000, 10**12])
def test_body_beyond_the_limit(target, size):
    request = head(target, b"Content-Length: %d" % size, b"Connection: close")
    answers = exchange(target, request + b"name=".ljust(min(size, 300_000), b"x"))
    assert [answer[0] for answer in answers] == [413]


def test_chunked_body_beyond_the_limit(target):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answers = exchange(target, head(target, b"Transfer-Encoding: chunked") + chunk * 100)
    assert [answer[0] for answer in answers] == [413]


# ---- slow clients --------------------------------------------------------------------------


def drip(server, beginning, piece, seconds):
    """One byte after the other; answers after how many seconds the server ended it."""
    connection = raw_connect(server, timeout=1)
    began = time.monotonic()
    try:
        connection.sendall(beginning)
        while time.monotonic() - began < seconds:
            readable, _, _ = select.select([connection], [], [], 0.05)
            if readable and connection.recv(65536) == b"":
                break
            connection.sendall(piece)
    except OSError:
        pass
    finally:
        connection.close()
    return time.monotonic() - began


@pytest.mark.parametrize("what", ["idle", "half a head", "slow head", "slow body", "slow chunks"])
def test_slow_clients_meet_an_absolute_deadline(target, what):
    beginning, piece, deadline = {
        "idle": (b"", b"", 5), "half a head": (raw_head(target), b"", 3),
        "slow head": (raw_head(target) + b"X-Slow: ", b"x", 3),
        "slow body": (head(target, b"Content-Length: 20000"), b"x", 3),
        "slow chunks": (head(target, b"Transfer-Encoding: chunked"), b"1\r\nx\r\n", 3),
    }[what]
    took = drip(target, beginning, piece, 60)
    assert took < deadline + 20, f"{what}: {took} s"


@pytest.mark.parametrize("tail", [b"", b"no request\r\n\r\n"], ids=["requests", "and nonsense"])
def test_client_that_never_reads(target, tail):
    """Keeps asking, never reads: the server stops reading, then gives up on it; small all along."""
    before = target.rss_kib()
    connection = raw_connect(target, timeout=0.2)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = head(target, b"Connection: keep-alive", method="GET", path="/v1/events?limit=100")
    piece = request * 100 + tail
    sent, began, closed = 0, time.monotonic(), False
    while time.monotonic() - began < 60 and not closed:
        try:
            sent += connection.send(piece)
        except TimeoutError:
            pass
        except OSError:
            closed = True
    connection.close()
    assert closed, "the write deadline did not come"
    assert sent < 64 * 1024 * 1024
    assert target.rss_kib() - before < 64 * MIB
    assert count(target) >= 0


# ---- floods --------------------------------------------------------------------------------


def test_flood_of_connections(target):
    """Connections that come, say something or nothing, and go."""
    before = target.rss_kib()
    deadline, over = time.monotonic() + (20 if LONG else 4), threading.Event()

    def attack(seed):
        number = 0
        while number < 64 or not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", target.port), timeout=5) as connection:
                    if (seed + number) % 3 == 0:
                        connection.sendall(raw_head(target))
                    elif (seed + number) % 3 == 1:
                        connection.sendall(head(target, b"Content-Length: 999") + b"x")
                    else:
                        connection.sendall(bytes(range(256)))
            except OSError:
                pass
            number += 1
        return number

    client = sdk(target, validate=False)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        attacks = [pool.submit(attack, seed) for seed in range(8)]
        paid = 0
        while time.monotonic() < deadline or paid < 10:
            assert pay(client).status == "succeeded"
            paid += 1
        over.set()
        assert sum(attack.result() for attack in attacks) >= 8 * 64
    assert target.rss_kib() - before < 128 * MIB


def test_flood_of_bad_requests(target):
    before = target.rss_kib()
    bad = [head(target, *lines) + body for lines, body in REFUSED.values()]

    def attack(seed):
        for number in range(200 if LONG else 40):
            exchange(target, bad[(seed * 31 + number) % len(bad)])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(attack, range(8)))
    assert target.rss_kib() - before < 64 * MIB
    assert pay(sdk(target, validate=False)).status == "succeeded"


def test_connection_limit(make_server):
    """Above the limit connections are turned away; below it everything works on."""
    server = make_server("--connections-max=50")
    idle = [raw_connect(server) for _ in range(40)]
    client = sdk(server)
    assert pay(client).status == "succeeded"
    for _ in range(100):
        try:
            idle.append(raw_connect(server))
        except OSError:
            break
    excess = len(idle) - 50
    assert excess > 0
    wait_until(lambda: sum(map(is_closed, idle)) >= excess, 20, "the excess turned away")
    for connection in idle:
        connection.close()
    wait_until(lambda: answers_again(server), 20, "a free connection")


def is_closed(connection):
    connection.settimeout(0.01)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def answers_again(server):
    try:
        return Http(server).get("/v1/balance").status_code == 200
    except OSError:
        return False


def test_memory_limit(make_server):
    """Big bodies that never end, on many connections: buffers stay within their stated size."""
    server = make_server("--memory-max=16m", "--body-timeout=20s")
    client = sdk(server)
    pay(client)
    before = server.rss_kib()
    held = []
    for _ in range(100):
        connection = raw_connect(server, timeout=2)
        try:
            connection.sendall(head(server, b"Content-Length: 260000") + b"x" * 250_000)
        except OSError:
            pass
        held.append(connection)
    assert server.rss_kib() - before < 64 * MIB
    for connection in held:
        connection.close()
    wait_until(lambda: answers_again(server), 20, "an answer")
    pay(client)


def test_memory_of_answers_that_nobody_reads(make_server):
    """A list of large objects is a hundred bytes to ask for, and megabytes to answer."""
    server = make_server("--memory-max=64m")
    http = Http(server, validate=False)
    large = {f"metadata[k{number}]": 500 * "\u00e9" for number in range(50)}
    for _ in range(100):
        assert http.post("/v1/customers", large).status_code == 200
    size = len(http.get("/v1/customers", params={"limit": "100"}).content)
    assert size > 4_000_000
    before = server.rss_kib()
    request = raw_head(server, "GET", "/v1/customers?limit=100") + b"\r\n"
    held = []
    for _ in range(60):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(8 * request)
        held.append(connection)
    for _ in range(10):
        time.sleep(0.2)
        assert server.rss_kib() - before < 512 * MIB  # of more than two gigabytes
    for connection in held:
        connection.close()
    wait_until(lambda: answers_again(server), 20, "an answer")


def test_ten_thousand_idle_connections(make_server):
    """They cost little, and payments go on as if they were not there."""
    wanted = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 500:
        wanted = hard - 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 500), hard))
    server = make_server("--idle-timeout=10m", "--head-timeout=10m")
    client = sdk(server, validate=False)
    pay(client)
    before = server.rss_kib()
    idle = []
    try:
        for number in range(wanted):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            if number % 10 == 0:
                connection.sendall(b"GET /v1/balance HTTP/1.1\r\n")  # half a head
            idle.append(connection)
        wait_until(lambda: pay(client).status == "succeeded", 10, "a payment")
        for _ in range(40):
            assert pay(client).status == "succeeded"
        grown = server.rss_kib() - before
        assert grown < 64 * MIB, f"{grown} KiB for {wanted} connections"
        # They are alive: any of them may still ask.
        idle[-1].sendall(raw_head(server, "GET", "/v1/balance") + b"\r\n")
        assert RawAnswers(idle[-1]).next()[0] == 200
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    pay(client)


def test_many_clients_at_once(target):
    """256 connections, each with requests in flight, all answered and none twice."""
    ids, failures = [], []

    def ask():
        http = Http(target, validate=False)
        for _ in range(4):
            answer = http.post("/v1/customers", {"name": "crowd"})
            (ids if answer.status_code == 200 else failures).append(answer.json())

    threads = [threading.Thread(target=ask) for _ in range(256)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert len({customer["id"] for customer in ids}) == 1024


def test_log_of_all_that_names_no_key(target):
    """Whatever came in, no key came out."""
    assert not re.search(r"sk_test_\w{20}", target.log())
