"""Every way in which SDKs put parameters on the wire."""

import pytest

from kit.client import RawAnswers, raw_connect, raw_head

BASE = "amount=1500&currency=usd&payment_method_data[type]=card"
CARD = "payment_method_data[card]"
FULL = (f"{BASE}&{CARD}[number]=4242424242424242&{CARD}[exp_month]=12&{CARD}[exp_year]=2034"
        f"&{CARD}[cvc]=123&confirm=true&metadata[a key]=a value")


def percent(text):
    return text.replace("[", "%5B").replace("]", "%5D").replace(" ", "%20")


@pytest.mark.parametrize("body", [
    FULL, percent(FULL), FULL.replace(" ", "+"), FULL.replace("[", "%5b").replace("]", "%5d"),
    "&".join(reversed(FULL.split("&"))), FULL + "&", "&" + FULL,
    percent(FULL).replace("currency", "%63urrency"),
], ids=["raw", "percent", "plus", "lower", "reversed", "trailing", "leading", "name"])
def test_encodings(http, body):
    answer = http.post("/v1/payment_intents", body,
                       headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text
    intent = answer.json()
    assert intent["status"] == "succeeded"
    assert intent["metadata"] == {"a key": "a value"}


@pytest.mark.parametrize("expand", [
    "expand[]=latest_charge&expand[]=payment_method",
    "expand[0]=latest_charge&expand[1]=payment_method",
    "expand%5B%5D=latest_charge&expand%5B%5D=payment_method",
    "expand[1]=latest_charge&expand[0]=payment_method",
])
def test_arrays(http, expand):
    body = f"amount=1500&currency=usd&payment_method=pm_card_visa&confirm=true&{expand}"
    intent = http.post("/v1/payment_intents", body).json()
    assert intent["latest_charge"]["object"] == "charge"
    assert intent["payment_method"]["object"] == "payment_method"
    again = http.get(f"/v1/payment_intents/{intent['id']}?{expand}").json()
    assert again["latest_charge"]["id"] == intent["latest_charge"]["id"]


@pytest.mark.parametrize("body", [
    "amount=1000&amount=2000&currency=usd", "amount[=1000&currency=usd",
    "amount=1000&currency=usd&metadata[a][b]=c", "amount=1000&currency=usd&metadata=x&metadata[a]=b",
    "amount=%zz&currency=usd", "amount=1000&currency=usd&description=%ff%fe",
    "amount=1000&currency=usd&description=%00", "%00=1&amount=1000&currency=usd",
    "amount=1000&currency=usd&a[b][c][d][e][f][g][h][i][j][k][l]=x",
    "amount=1000&currency=usd&=x", "amount=1000&currency=usd&" + "a" * 100000 + "=x",
])
def test_bad_forms(http, body):
    answer = http.post("/v1/payment_intents", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("kind, body", [
    ("application/json", '{"amount": 1000, "currency": "usd"}'),
    ("multipart/form-data; boundary=x", "--x\r\n"), ("text/plain", "amount=1000&currency=usd"),
])
def test_other_content_types(http, kind, body):
    answer = http.post("/v1/payment_intents", body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


def test_unicode(http):
    name = "Žofie 😀 — \"quoted\" \\ <b>&amp;"
    made = http.post("/v1/customers", {"name": name}).json()
    assert made["name"] == name
    assert http.get(f"/v1/customers/{made['id']}").json()["name"] == name


def chunked(body, sizes):
    """The body in chunks of these sizes, over and over."""
    at = 0
    while at < len(body):
        for size in sizes:
            if at < len(body):
                yield body[at:at + size]
                at += size


@pytest.mark.parametrize("sizes", [[1], [7, 3], [1000], [2, 4096]])
def test_chunked_bodies(http, sizes):
    body = (FULL + "&description=" + "x" * 900).encode()
    answer = http.post(
        "/v1/payment_intents", chunked(body, sizes),
        headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == "x" * 900


def test_chunk_extensions_and_trailers(server):
    connection = raw_connect(server)
    body = b"name=chunky"
    connection.sendall(
        raw_head(server, extra=b"Transfer-Encoding: chunked\r\n\r\n")
        + b"%x;ext=1\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(body), body))
    status, _, answer = RawAnswers(connection).next()
    assert status == 200 and b"chunky" in answer
    connection.close()


def test_pipelining(server):
    """Answers come in the order of the requests."""
    connection = raw_connect(server)
    requests = b""
    for number in range(20):
        body = f"name=p{number}".encode()
        requests += raw_head(server, extra=b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        requests += raw_head(server, "GET", "/v1/balance", extra=b"\r\n")
    connection.sendall(requests)
    answers = RawAnswers(connection)
    for number in range(20):
        status, _, body = answers.next()
        assert status == 200 and f'"p{number}"'.encode() in body
        status, _, body = answers.next()
        assert status == 200 and b'"balance"' in body
    connection.close()


def test_expect_continue(server):
    connection = raw_connect(server)
    connection.sendall(raw_head(
        server, extra=b"Content-Length: 6\r\nExpect: 100-continue\r\n\r\n"))
    answers = RawAnswers(connection)
    assert answers.next()[0] == 100
    connection.sendall(b"name=e")
    assert answers.next()[0] == 200
    connection.close()


def test_connection_close(server):
    connection = raw_connect(server)
    connection.sendall(raw_head(server, "GET", "/v1/balance", extra=b"Connection: close\r\n\r\n"))
    answers = RawAnswers(connection)
    assert answers.next()[0] == 200
    assert answers.closed()


def test_delete_with_parameters(http, client):
    customer = client.v1.customers.create()
    answer = http.delete(f"/v1/customers/{customer.id}?colour=red")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "parameter_unknown"
    assert http.delete(f"/v1/customers/{customer.id}").json()["deleted"] is True
