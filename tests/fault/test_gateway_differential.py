"""The gateway beside nginx and HAProxy, before the same kind of service: what either of them refuses must
not get through ours, and of what gets through, the service must see one request and nothing else."""

import shutil
import socket
import subprocess

import pytest

from kit.client import RawAnswers
from kit.gateway import Gateway, before
from kit.ports import free_port
from kit.server import wait_until
from kit.service import Service
from test_hostile import LINES, REFUSED

KEY = b"sk_test_" + b"d" * 24
BODY = b"name=hostile&phone=12345"

pytestmark = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("haproxy")), reason="nginx or haproxy is missing")

NGINX = """
worker_processes 1;
daemon off;
error_log {folder}/nginx-error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    client_header_timeout 2s; client_body_timeout 2s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{service}; proxy_http_version 1.1; }}
    }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    timeout http-request 2s
    option http-buffer-request
frontend front
    bind 127.0.0.1:{port}
    default_backend api
backend api
    server one 127.0.0.1:{service}
"""


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Foreign:
    """nginx or HAProxy, with a service of its own behind it."""

    def __init__(self, folder, name):
        folder.mkdir()
        self.service = Service().start()
        self.port = free_port()
        text, argv = {
            "nginx": (NGINX, ["nginx", "-p", str(folder), "-c", str(folder / "conf")]),
            "haproxy": (HAPROXY, ["haproxy", "-db", "-f", str(folder / "conf")]),
        }[name]
        (folder / "conf").write_text(
            text.format(folder=folder, port=self.port, service=self.service.port))
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(folder / "log", "wb"))
        wait_until(lambda: is_open(self.port), 20, name)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.service.stop()


class Ours:
    def __init__(self, folder):
        self.service = Service().start()
        config = before(self.service.port, access_log="off")
        config["listeners"][0].update({"head_timeout": "2s", "body_timeout": "2s"})
        self.gateway = Gateway(folder, config).start()
        self.port = self.gateway.port

    def stop(self):
        self.gateway.stop()
        self.service.stop()


@pytest.fixture(scope="module")
def proxies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxies")
    made = {"tael": Ours(folder / "tael"), "nginx": Foreign(folder / "nginx", "nginx"),
            "haproxy": Foreign(folder / "haproxy", "haproxy")}
    yield made
    for one in made.values():
        one.stop()


def send(proxy, request):
    """(statuses of the answers, what reached the service)"""
    proxy.service.requests.clear()
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    statuses = []
    try:
        connection.sendall(request)
        answers = RawAnswers(connection)
        while (answer := answers.next()) is not None:
            statuses.append(answer[0])
    except OSError:
        pass
    connection.close()
    return statuses, list(proxy.service.requests)


def head(proxy, lines, method=b"POST", path=b"/v1/customers"):
    return b"\r\n".join([
        method + b" " + path + b" HTTP/1.1", b"Host: 127.0.0.1:%d" % proxy.port,
        b"Authorization: Bearer " + KEY, *lines, b"", b""])


def passes(outcome):
    """Something of it reached the service, and was answered as a success."""
    statuses, arrived = outcome
    return bool(arrived) and any(status < 400 for status in statuses)


SMUGGLED = (b"GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + KEY +
            b"\r\n\r\n")

PATHS = [
    b"/v1/../admin", b"/v1/./a", b"/v1//a", b"//v1/a", b"/v1/%2e%2e/admin", b"/v1/%2E%2E/admin",
    b"/v1/..%2fadmin", b"/v1/%00", b"/v1/a%00b", b"/v1\\..\\admin", b"/v1/%5c..%5cadmin", b"/v1/a%2fb",
    b"/v1/../admin//x%2f..%00", b"/v1/%", b"/v1/%zz", b"/v1/..;/admin", b"http://evil/v1/a", b"v1/a",
    b"*", b"/v1/a#b", b"/v1/a b", b"/v1/\xc3\xa4", b"/v1/%0d%0aX-A:b", b"/v1/%09a", b"/v1/a?b=%00",
]

MORE = {
    "underscore": ([b"Idempotency_Key: k", b"Content-Length: 24"], BODY),
    "empty name": ([b"Content-Length: 24", b": x"], BODY),
    "two Idempotency-Key": ([b"Idempotency-Key: a", b"Idempotency-Key: b", b"Content-Length: 24"], BODY),
    "Connection names Host": ([b"Connection: Host", b"Content-Length: 24"], BODY),
    "Connection names Authorization": ([b"Connection: Authorization", b"Content-Length: 24"], BODY),
    "Upgrade to h2c": ([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                        b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Content-Length: 24"], BODY),
    "trailing garbage after chunks": ([b"Transfer-Encoding: chunked"],
                                      b"18\r\n" + BODY + b"\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "negative chunk": ([b"Transfer-Encoding: chunked"], b"-1\r\n\r\n"),
    "chunk extension with LF": ([b"Transfer-Encoding: chunked"],
                                b"18;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "TE with a vertical tab": ([b"Transfer-Encoding: \x0bchunked", b"Content-Length: 24"], BODY),
    "TE with a comma": ([b"Transfer-Encoding: ,chunked", b"Content-Length: 24"], BODY),
    "high bytes in a name": ([b"X-\xff: a", b"Content-Length: 24"], BODY),
}


@pytest.mark.parametrize("name", [*REFUSED, *MORE])
def test_what_others_refuse_does_not_pass(proxies, name):
    lines, body = {**REFUSED, **MORE}[name]
    outcomes = {which: send(proxy, head(proxy, lines) + body + SMUGGLED)
                for which, proxy in proxies.items()}
    for which in ("nginx", "haproxy"):
        refused = not outcomes[which][1]
        assert not (refused and passes(outcomes["tael"])), \
            f"{which} refuses what passes here: {outcomes['tael'][0]}"
    statuses, arrived = outcomes["tael"]
    if name in REFUSED:
        assert not arrived and len(statuses) == 1 and 400 <= statuses[0] <= 505, statuses
        return
    # What passed was one request and then the one behind it, never a body read as a request.
    for one in arrived:
        assert one.path in ("/v1/customers", "/smuggled")
        if one.path == "/v1/customers":
            assert one.body == BODY
        assert "_" not in "".join(one.headers)
        for gone in ("upgrade", "http2-settings", "transfer-encoding"):
            assert gone not in one.headers


@pytest.mark.parametrize("name", LINES)
def test_bad_request_lines(proxies, name):
    statuses, arrived = send(proxies["tael"], LINES[name])
    assert not arrived
    assert all(400 <= status <= 505 for status in statuses), statuses


@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path))
def test_paths(proxies, path):
    outcomes = {which: send(proxy, head(proxy, [b"Connection: close"], b"GET", path))
                for which, proxy in proxies.items()}
    for which in ("nginx", "haproxy"):
        if not outcomes[which][1]:
            assert not passes(outcomes["tael"]), f"{which} refuses {path}"
    for one in outcomes["tael"][1]:
        # What arrives has one reading.
        plain = one.path.split("?")[0]
        assert "//" not in plain and "/." not in plain and "\\" not in plain
        for encoded in ("%00", "%2f", "%2F", "%5c", "%5C", "%0d", "%0a"):
            assert encoded not in plain
