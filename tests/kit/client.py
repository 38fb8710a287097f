"""Clients of a server: Stripe's SDK as it is, and plain HTTP."""

import base64
import socket

import requests
import stripe

from kit.schema import hold_against_schema


def session(validate=True, pool=64):
    """A `requests` session whose every answer is held against Stripe's schema."""
    made = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=pool)
    made.mount("http://", adapter)
    made.trust_env = False
    if validate:
        made.hooks["response"].append(hold_against_schema)
    return made


def sdk(server, key=None, retries=0, validate=True, timeout=60):
    """Stripe's Python SDK, pointed at the server. Retries are off: tests see each answer."""
    return stripe.StripeClient(
        key or server.key,
        base_addresses={name: server.url for name in ("api", "connect", "files", "meter_events")},
        max_network_retries=retries,
        http_client=stripe.RequestsClient(session=session(validate), timeout=timeout),
    )


class Http:
    """Plain requests with the server's key, for what an SDK would not send."""

    def __init__(self, server, key=None, validate=True):
        self.server = server
        self.key = key
        self.session = session(validate)

    def request(self, method, path, data=None, headers=None, **keywords):
        token = base64.b64encode(f"{self.key or self.server.key}:".encode()).decode()
        headers = {"Authorization": f"Basic {token}", **(headers or {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        keywords.setdefault("timeout", 60)
        return self.session.request(
            method, self.server.url + path, data=data, headers=headers, **keywords
        )

    def get(self, path, **keywords):
        return self.request("GET", path, **keywords)

    def post(self, path, data=None, **keywords):
        return self.request("POST", path, data=data, **keywords)

    def delete(self, path, **keywords):
        return self.request("DELETE", path, **keywords)


def restricted_key(server, permissions, name="somebody"):
    """A key that may do this alone: "charges:read,refunds:write"."""
    return Http(server).post("/v1/tael/api_keys", {
        "type": "restricted", "name": name, "permissions": permissions}).json()["key"]


def card(number="4242424242424242", month=12, year=2034, cvc="123"):
    return {"number": number, "exp_month": month, "exp_year": year, "cvc": cvc}


def pay(client, amount=2000, currency="usd", token="pm_card_visa", **params):
    """A payment intent created and confirmed in one call."""
    return client.v1.payment_intents.create(
        {"amount": amount, "currency": currency, "payment_method": token, "confirm": True, **params}
    )


# ---- raw sockets ---------------------------------------------------------------------------


def raw_connect(server, timeout=30):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def raw_head(server, method="POST", path="/v1/customers", host=True, extra=b"", key=None):
    """The lines of a good head, without the empty one."""
    token = base64.b64encode(f"{key or server.key}:".encode())
    lines = f"{method} {path} HTTP/1.1\r\n".encode()
    if host:
        lines += f"Host: 127.0.0.1:{server.port}\r\n".encode()
    return lines + b"Authorization: Basic " + token + b"\r\n" + extra


class RawAnswers:
    """Reads answers off a socket, one by one."""

    def __init__(self, connection):
        self.connection = connection
        self.rest = b""

    def _fill(self):
        try:
            piece = self.connection.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.rest += piece
        return bool(piece)

    def next(self):
        """(status, headers, body) or None when the server has closed."""
        while b"\r\n\r\n" not in self.rest:
            if not self._fill():
                return None
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        while len(self.rest) < size:
            if not self._fill():
                return None
        body, self.rest = self.rest[:size], self.rest[size:]
        return status, headers, body

    def closed(self):
        """True once the server has ended the connection, with nothing more said."""
        while self._fill():
            pass
        return self.rest == b""
