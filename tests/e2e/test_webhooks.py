"""Webhooks: endpoints, deliveries, signatures as Stripe's SDK checks them, retries, the log."""

import json
import socket
import subprocess
import threading
import time

import pytest
import stripe

from kit.client import Http, pay, sdk
from kit.receiver import Receiver
from kit.server import Server, wait_until

QUICK = ("--webhook-test-retry-first=100ms", "--webhook-test-retry-max=400ms")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server whose retries come quickly; endpoints are deleted after each test."""
    server = Server(tmp_path_factory.mktemp("webhooks"), *QUICK, "--webhook-timeout=5s").start()
    yield server
    server.close()


@pytest.fixture
def client(own):
    made = sdk(own)
    yield made
    for endpoint in made.v1.webhook_endpoints.list({"limit": 100}).data:
        made.v1.webhook_endpoints.delete(endpoint.id)


@pytest.fixture
def http(own):
    return Http(own)


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


def endpoint(client, url, *types, **params):
    return client.v1.webhook_endpoints.create(
        {"url": url, "enabled_events": list(types) or ["*"], **params})


def deliveries(http, id, **params):
    answer = http.get(f"/v1/webhook_endpoints/{id}/deliveries", params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def one_delivery(http, endpoint, condition=lambda delivery: True):
    """The only delivery of the endpoint, once the condition holds."""
    def look():
        found = deliveries(http, endpoint.id)
        return found[0] if len(found) == 1 and condition(found[0]) else None
    return wait_until(look, 10, "the delivery")


def refused(call, code, param):
    with pytest.raises(stripe.InvalidRequestError) as error:
        call()
    assert (error.value.code, error.value.param) == (code, param), error.value
    return error.value


# ---- endpoints -----------------------------------------------------------------------------


def test_create_retrieve_update_list_delete(client):
    made = client.v1.webhook_endpoints.create({
        "url": "https://example.com/hook?a=b", "enabled_events": ["charge.succeeded", "refund.*"],
        "description": "the first", "metadata": {"a": "1"}})
    assert made.id.startswith("we_") and made.status == "enabled" and made.livemode is False
    assert made.secret.startswith("whsec_") and len(made.secret) == 38
    assert made.enabled_events == ["charge.succeeded", "refund.*"]
    assert made.api_version == stripe.api_version
    got = client.v1.webhook_endpoints.retrieve(made.id)
    assert "secret" not in got and got.metadata.to_dict() == {"a": "1"} and got.description == "the first"
    updated = client.v1.webhook_endpoints.update(made.id, {
        "url": "https://example.com/other", "enabled_events": ["*"], "disabled": True,
        "metadata": {"b": "2"}, "description": ""})
    assert "secret" not in updated and updated.status == "disabled"
    assert updated.metadata.to_dict() == {"a": "1", "b": "2"} and updated.description is None
    assert updated.url == "https://example.com/other" and updated.enabled_events == ["*"]
    listed = client.v1.webhook_endpoints.list().data
    assert [one.id for one in listed] == [made.id] and "secret" not in listed[0]
    gone = client.v1.webhook_endpoints.delete(made.id)
    assert gone.deleted is True and gone.id == made.id
    for call in (client.v1.webhook_endpoints.retrieve, client.v1.webhook_endpoints.delete):
        with pytest.raises(stripe.InvalidRequestError) as error:
            call(made.id)
        assert error.value.http_status == 404


def test_api_version_may_be_given(client):
    made = endpoint(client, "https://example.com", api_version="2025-03-31.basil")
    assert made.api_version == "2025-03-31.basil"
    refused(lambda: endpoint(client, "https://example.com", api_version="newest"),
            None, "api_version")


@pytest.mark.parametrize("url", [
    "example.com", "ftp://example.com", "https://", "https:///path", "https://user:x@example.com",
    "https://example.com:0", "https://example.com:99999", "https://example.com/#part",
    "https://exa mple.com", "https://example.com/a b", "https://[::1", "https://..com",
    "https://example.com/" + "x" * 2100,
])
def test_wrong_urls(client, url):
    refused(lambda: endpoint(client, url), "url_invalid", "url")


@pytest.mark.parametrize("types, param", [
    ([""], "enabled_events[0]"), (["charge"], "enabled_events[0]"),
    (["charge.succeeded", "charge.suceeded"], "enabled_events[1]"),
    (["chargé.*"], "enabled_events[0]"), (["charge*"], "enabled_events[0]"),
    ([".*"], "enabled_events[0]"), (["**"], "enabled_events[0]"),
])
def test_wrong_event_types(client, types, param):
    refused(lambda: endpoint(client, "https://example.com", *types), None, param)


def test_wrong_parameters(client):
    create = client.v1.webhook_endpoints.create
    refused(lambda: create({"url": "https://example.com"}), "parameter_missing", "enabled_events")
    refused(lambda: create({"enabled_events": ["*"]}), "parameter_missing", "url")
    refused(lambda: endpoint(client, "https://example.com", connect=True), None, "connect")
    refused(lambda: endpoint(client, "https://example.com", colour="red"),
            "parameter_unknown", "colour")
    made = endpoint(client, "https://example.com")
    refused(lambda: client.v1.webhook_endpoints.update(made.id, {"url": "x"}),
            "url_invalid", "url")
    assert client.v1.webhook_endpoints.retrieve(made.id).url == "https://example.com"


def test_sixteen_endpoints_and_no_more(client):
    made = [endpoint(client, f"https://example.com/{number}") for number in range(16)]
    refused(lambda: endpoint(client, "https://example.com/17"), None, None)
    client.v1.webhook_endpoints.delete(made[3].id)
    endpoint(client, "https://example.com/17")


# ---- deliveries ----------------------------------------------------------------------------


def test_payment_is_delivered_and_verifies(client, http, receiver):
    made = endpoint(client, receiver.url("/a?b=c"))
    intent = pay(client)
    wait_until(lambda: len(receiver.events()) == 3, 10, "three events")
    for one in receiver.events():
        event = one.verify(made.secret)
        assert one.path == "/a?b=c"
        assert one.headers["Content-Type"] == "application/json; charset=utf-8"
        assert one.headers["User-Agent"].startswith("Tael/")
        assert one.headers["Idempotency-Key"] == event.id
        shown = http.get(f"/v1/events/{event.id}").json()
        sent = json.loads(one.body)
        assert sent.pop("pending_webhooks") == 1
        shown.pop("pending_webhooks")
        assert sent == shown
        with pytest.raises(stripe.SignatureVerificationError):
            one.verify("whsec_" + "0" * 32)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(
                one.body + b" ", one.headers["Stripe-Signature"], made.secret)
    types = {one.event["type"] for one in receiver.events()}
    assert types == {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
    succeeded = [one.event for one in receiver.events()
                 if one.event["type"] == "payment_intent.succeeded"]
    assert succeeded[0]["data"]["object"]["id"] == intent.id


def test_only_what_is_wanted(client, receiver):
    endpoint(client, receiver.url("/charges"), "charge.*")
    endpoint(client, receiver.url("/one"), "payment_intent.succeeded", "refund.created")
    endpoint(client, receiver.url("/all"))
    pay(client)
    wait_until(lambda: len(receiver.events()) == 5, 10, "five deliveries")
    time.sleep(0.2)
    got = sorted((one.path, one.event["type"]) for one in receiver.events())
    assert got == [
        ("/all", "charge.succeeded"), ("/all", "payment_intent.created"),
        ("/all", "payment_intent.succeeded"), ("/charges", "charge.succeeded"),
        ("/one", "payment_intent.succeeded")]


def test_nothing_from_before_it_was_there(client, receiver):
    client.v1.customers.create({"name": "before"})
    endpoint(client, receiver.url())
    client.v1.customers.create({"name": "after"})
    wait_until(lambda: receiver.events(), 10, "an event")
    time.sleep(0.2)
    names = [one.event["data"]["object"]["name"] for one in receiver.events()]
    assert names == ["after"]


def test_failure_is_tried_again(client, http, receiver):
    answers = [500, (404, b"nothing here"), 200]
    receiver.answer = lambda one: answers[min(len(receiver.events()), 3) - 1]
    made = endpoint(client, receiver.url())
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["status"] == "succeeded")
    assert delivery["attempt_count"] == 3 and delivery["next_attempt_at"] is None
    first, second, third = delivery["attempts"]
    assert [one["error"] for one in delivery["attempts"]] == ["status", "status", None]
    assert first["response"]["status"] == 500 and third["response"]["status"] == 200
    assert second["response"] == {
        "body": "nothing here", "body_truncated": False, "status": 404}
    bodies = {one.body for one in receiver.events()}
    assert bodies == {delivery["request_body"].encode()}, "each attempt sends the same"
    for one, logged in zip(receiver.events(), delivery["attempts"]):
        assert one.verify(made.secret).id == delivery["event"]
        headers = logged["request"]["headers"]
        assert headers["Stripe-Signature"] == one.headers["Stripe-Signature"]
        assert headers["Content-Type"] == one.headers["Content-Type"]
        assert logged["request"]["url"] == made.url
        assert logged["duration_ms"] >= 0
    found = http.get(f"/v1/webhook_endpoints/{made.id}/deliveries/{delivery['id']}").json()
    assert found == delivery


def test_redirects_are_failures(client, http, receiver):
    receiver.answer = lambda one: (302, b"", {"Location": receiver.url("/elsewhere")})
    made = endpoint(client, receiver.url())
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["attempt_count"] >= 2)
    assert {one["error"] for one in delivery["attempts"]} == {"redirect"}
    assert {one.path for one in receiver.received} == {"/hook"}
    receiver.answer = lambda one: 204
    one_delivery(http, made, lambda found: found["status"] == "succeeded")


def test_a_slow_answer_times_out(client, http, receiver):
    over = threading.Event()

    def answer(_):
        if len(receiver.events()) == 1:
            over.wait(60)
        return 200

    receiver.answer = answer
    made = endpoint(client, receiver.url())
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["status"] == "succeeded")
    over.set()
    timed_out = delivery["attempts"][0]
    assert timed_out["error"] == "timed_out" and timed_out["response"] is None
    assert 4900 <= timed_out["duration_ms"] < 50_000


def test_long_answers_are_cut(client, http, receiver):
    receiver.answer = lambda one: (200, b"\xff" + b"x" * 3_000_000)
    made = endpoint(client, receiver.url())
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["status"] == "succeeded")
    body = delivery["attempts"][0]["response"]["body"]
    assert body == "\ufffd" + "x" * 1023
    assert delivery["attempts"][0]["response"]["body_truncated"] is True


def test_nobody_listens(client, http, receiver):
    receiver.close()
    made = endpoint(client, receiver.url())
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["attempt_count"] >= 2)
    assert {one["error"] for one in delivery["attempts"]} == {"not_connected"}
    receiver.open()
    one_delivery(http, made, lambda found: found["status"] == "succeeded")


def test_not_an_http_server(client, http, receiver):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        def babble():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.sendall(b"220 mail.example.com ESMTP\r\n")
                connection.close()

        threading.Thread(target=babble, daemon=True).start()
        made = endpoint(client, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        client.v1.customers.create()
        delivery = one_delivery(http, made, lambda found: found["attempt_count"] >= 1)
        assert delivery["attempts"][0]["error"] == "connection_broken"
        client.v1.webhook_endpoints.delete(made.id)


def test_link_local_addresses_are_refused(client, http):
    made = endpoint(client, "http://169.254.169.254/latest/meta-data")
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["attempt_count"] >= 1)
    assert delivery["attempts"][0]["error"] == "address_refused"


# ---- by hand -------------------------------------------------------------------------------


def test_resend(client, http, receiver):
    made = endpoint(client, receiver.url())
    other = endpoint(client, receiver.url("/other"), "refund.created")
    client.v1.customers.create()
    delivery = one_delivery(http, made, lambda found: found["status"] == "succeeded")
    event = delivery["event"]
    answer = http.post(f"/v1/events/{event}/resend", {"webhook_endpoint": made.id})
    assert answer.status_code == 200 and answer.json()["status"] == "pending"
    wait_until(lambda: len(receiver.events()) == 2, 10, "it again")
    delivery = one_delivery(http, made, lambda found: found["status"] == "succeeded")
    assert delivery["attempt_count"] == 2
    # To one that had not wanted it, under the name that Stripe's command line uses.
    answer = http.post(f"/v1/events/{event}/retry", {"webhook_endpoint": other.id})
    assert answer.status_code == 200
    one_delivery(http, other, lambda found: found["status"] == "succeeded")
    both = http.get(f"/v1/events/{event}/deliveries").json()
    assert {one["webhook_endpoint"] for one in both["data"]} == {made.id, other.id}
    assert both["has_more"] is False and both["url"] == f"/v1/events/{event}/deliveries"
    for path, data, status in [
        (f"/v1/events/{event}/resend", {}, 400),
        (f"/v1/events/{event}/resend", {"webhook_endpoint": "we_none"}, 400),
        ("/v1/events/evt_none/resend", {"webhook_endpoint": made.id}, 404),
    ]:
        assert http.post(path, data).status_code == status, (path, data)


def test_secret_roll(client, http, receiver):
    made = endpoint(client, receiver.url())
    rolled = http.post(f"/v1/webhook_endpoints/{made.id}/roll_secret", {"expires_in": 60}).json()
    assert rolled["secret"].startswith("whsec_") and rolled["secret"] != made.secret
    assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id)
    client.v1.customers.create()
    wait_until(lambda: receiver.events(), 10, "an event")
    both = receiver.events()[0]
    assert both.headers["Stripe-Signature"].count("v1=") == 2
    assert both.verify(made.secret).id == both.verify(rolled["secret"]).id
    answer = http.post(f"/v1/webhook_endpoints/{made.id}/roll_secret")
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "expires_in"
    now = http.post(f"/v1/webhook_endpoints/{made.id}/roll_secret", {"expires_in": 0}).json()
    client.v1.customers.create()
    wait_until(lambda: len(receiver.events()) == 2, 10, "another event")
    last = receiver.events()[1]
    assert last.headers["Stripe-Signature"].count("v1=") == 1
    last.verify(now["secret"])
    for old in (made.secret, rolled["secret"]):
        with pytest.raises(stripe.SignatureVerificationError):
            last.verify(old)
    for wrong in (-1, 604801, "x"):
        answer = http.post(f"/v1/webhook_endpoints/{made.id}/roll_secret", {"expires_in": wrong})
        assert answer.status_code == 400


def test_old_secret_ends(client, http, receiver):
    made = endpoint(client, receiver.url())
    http.post(f"/v1/webhook_endpoints/{made.id}/roll_secret", {"expires_in": 1})
    time.sleep(2.1)
    client.v1.customers.create()
    wait_until(lambda: receiver.events(), 10, "an event")
    assert receiver.events()[0].headers["Stripe-Signature"].count("v1=") == 1


def test_disabled_endpoints_get_nothing(client, http, receiver):
    made = endpoint(client, receiver.url())
    client.v1.webhook_endpoints.update(made.id, {"disabled": True})
    first = client.v1.customers.create()
    answer = http.post(
        f"/v1/events/{client.v1.events.list({'limit': 1}).data[0].id}/resend",
        {"webhook_endpoint": made.id})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "webhook_endpoint"
    client.v1.webhook_endpoints.update(made.id, {"disabled": False})
    second = client.v1.customers.create()
    wait_until(lambda: receiver.events(), 10, "an event")
    time.sleep(0.3)
    ids = [one.event["data"]["object"]["id"] for one in receiver.events()]
    assert ids == [second.id] and first.id not in ids


def test_disabling_stops_retries_and_deleting_cancels(client, http, receiver):
    receiver.answer = lambda one: 500
    made = endpoint(client, receiver.url())
    client.v1.customers.create()
    one_delivery(http, made, lambda found: found["attempt_count"] >= 1)
    client.v1.webhook_endpoints.update(made.id, {"disabled": True})
    delivery = one_delivery(http, made, lambda found: found["status"] == "canceled")
    assert delivery["next_attempt_at"] is None
    event = delivery["event"]
    client.v1.webhook_endpoints.update(made.id, {"disabled": False})
    http.post(f"/v1/events/{event}/resend", {"webhook_endpoint": made.id})
    one_delivery(http, made, lambda found: found["status"] == "pending")
    client.v1.webhook_endpoints.delete(made.id)
    wait_until(lambda: http.get(f"/v1/events/{event}/deliveries").json()["data"][0]["status"]
               == "canceled", 10, "the cancellation")
    assert http.get(f"/v1/webhook_endpoints/{made.id}/deliveries").status_code == 404


# ---- events --------------------------------------------------------------------------------


def test_pending_webhooks_and_delivery_success(client, http, receiver):
    receiver.answer = lambda one: 200 if one.path == "/good" else 503
    good = endpoint(client, receiver.url("/good"))
    bad = endpoint(client, receiver.url("/bad"), "customer.created")
    client.v1.customers.create()
    client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    wait_until(lambda: len(receiver.events()) >= 3, 10, "the first attempts")
    created, customer = client.v1.events.list({"limit": 2}).data
    assert (created.type, customer.type) == ("payment_intent.created", "customer.created")
    wait_until(lambda: client.v1.events.retrieve(customer.id).pending_webhooks == 1, 10, "one")
    wait_until(lambda: client.v1.events.retrieve(created.id).pending_webhooks == 0, 10, "none")

    def listed(success, **params):
        found = client.v1.events.list({"delivery_success": success, "limit": 100, **params})
        return [event.id for event in found.data]

    assert listed(False)[0] == customer.id and created.id not in listed(False)
    assert listed(True)[0] == created.id and customer.id not in listed(True)
    assert set(listed(True)).isdisjoint(listed(False))
    assert customer.id in listed(False, type="customer.*")
    assert listed(False, type="refund.created") == []
    assert customer.id not in listed(False, starting_after=customer.id)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.list({"delivery_success": "maybe"})
    receiver.answer = lambda one: 200
    wait_until(lambda: client.v1.events.retrieve(customer.id).pending_webhooks == 0, 10, "all")
    assert customer.id not in listed(False) and customer.id in listed(True)
    assert len(deliveries(http, bad.id, status="succeeded")) == 1
    assert deliveries(http, bad.id, status="pending") == []
    assert len(deliveries(http, good.id)) == 2


def test_paging_of_deliveries(client, http, receiver):
    made = endpoint(client, receiver.url())
    for _ in range(5):
        client.v1.customers.create()
    wait_until(lambda: len(receiver.events()) == 5, 10, "five events")
    path = f"/v1/webhook_endpoints/{made.id}/deliveries"
    first = http.get(path, params={"limit": 3}).json()
    last = first["data"][-1]["id"]
    second = http.get(path, params={"limit": 3, "starting_after": last}).json()
    assert first["has_more"] is True and second["has_more"] is False
    ids = [one["id"] for one in first["data"] + second["data"]]
    assert len(ids) == 5 and ids == sorted(ids, reverse=True)
    expanded = http.get(path, params={"limit": 1, "expand[]": "data.event"}).json()["data"][0]
    assert expanded["event"]["type"] == "customer.created"


# ---- other settings ------------------------------------------------------------------------


def test_first_retry_within_thirty_seconds_by_default(make_server):
    server = make_server()
    client, http = sdk(server), Http(server)
    with Receiver(lambda one: 500) as receiver:
        made = endpoint(client, receiver.url())
        client.v1.customers.create()
        delivery = one_delivery(http, made, lambda found: found["attempt_count"] == 1)
        failed = delivery["attempts"][0]
        ended = failed["created"] + 1 + failed["duration_ms"] / 1000  # times are whole seconds
        assert delivery["next_attempt_at"] <= ended + 30


def test_given_up_after_its_time(make_server):
    server = make_server(*QUICK, "--webhook-test-retry-for=3s")
    client, http = sdk(server), Http(server)
    with Receiver(lambda one: 500) as receiver:
        made = endpoint(client, receiver.url())
        client.v1.customers.create()
        delivery = one_delivery(http, made, lambda found: found["status"] == "failed")
        assert delivery["attempt_count"] >= 3 and delivery["next_attempt_at"] is None
        assert client.v1.events.list({"limit": 1}).data[0].pending_webhooks == 1
        count = len(receiver.events())
        time.sleep(1)
        assert len(receiver.events()) == count
        # By hand it goes again, for as long.
        receiver.answer = lambda one: 200
        http.post(f"/v1/events/{delivery['event']}/resend", {"webhook_endpoint": made.id})
        one_delivery(http, made, lambda found: found["status"] == "succeeded")


def test_rests_shorter_than_a_commit(make_server):
    """A failing endpoint rests; a rest that ends while its end is written down ends all the same."""
    server = make_server("--webhook-test-retry-first=10ms", "--webhook-test-retry-max=20ms",
                         "--webhook-test-retry-for=1s")
    client, http = sdk(server), Http(server)
    with socket.socket() as nobody:  # bound and not listening: refused at once
        nobody.bind(("127.0.0.1", 0))
        made = [endpoint(client, f"http://127.0.0.1:{nobody.getsockname()[1]}/hook").id
                for _ in range(12)]
        for number in range(1, 4):
            client.v1.customers.create()
            wait_until(lambda: all(len(deliveries(http, one, status="failed")) == number
                                   for one in made), 30, "the end of all deliveries")


def test_persistent_failure_disables(make_server):
    server = make_server(*QUICK, "--webhook-disable-after=2s")
    client, http = sdk(server), Http(server)
    with Receiver(lambda one: 200 if one.path == "/good" else 500) as receiver:
        bad = endpoint(client, receiver.url("/bad"), "customer.created")
        endpoint(client, receiver.url("/good"))
        client.v1.customers.create()
        wait_until(lambda: client.v1.webhook_endpoints.retrieve(bad.id).status == "disabled",
                   30, "the end of the endpoint")
        told = wait_until(lambda: [one.event for one in receiver.events()
                                   if one.event["type"] == "webhook_endpoint.disabled"],
                          10, "the event")
        assert told[0]["data"]["object"]["id"] == bad.id
        assert told[0]["data"]["object"]["status"] == "disabled"
        assert told[0]["data"]["previous_attributes"] == {"status": "enabled"}
        assert bad.id in server.log()
        count = len([one for one in receiver.events() if one.path == "/bad"])
        assert count >= 10
        one_delivery(http, bad, lambda found: found["status"] == "canceled")
        # Enabled again it works at once.
        receiver.answer = lambda one: 200
        client.v1.webhook_endpoints.update(bad.id, {"disabled": False})
        client.v1.customers.create()
        wait_until(lambda: len([one for one in receiver.events() if one.path == "/bad"]) > count,
                   10, "a delivery")


def test_no_private_addresses(make_server):
    server = make_server(*QUICK, "--webhook-private=none")
    client, http = sdk(server), Http(server)
    with Receiver() as receiver:
        for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1"):
            made = endpoint(client, f"http://{host}:{receiver.port}/hook")
            client.v1.customers.create()
            delivery = one_delivery(http, made, lambda found: found["attempt_count"] >= 1)
            assert delivery["attempts"][0]["error"] == "address_refused", host
            client.v1.webhook_endpoints.delete(made.id)
        assert receiver.received == []


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_https_needs_a_certificate_that_is_believed(make_server, tmp_path):
    import ssl

    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = make_server(*QUICK, f"--webhook-ca={cert}")
    client, http = sdk(server), Http(server)
    with Receiver() as receiver:
        receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
        good = endpoint(client, f"https://localhost:{receiver.port}/hook")
        wrong_name = endpoint(client, f"https://127.0.0.1:{receiver.port}/hook")
        client.v1.customers.create()
        one_delivery(http, good, lambda found: found["status"] == "succeeded")
        delivery = one_delivery(http, wrong_name, lambda found: found["attempt_count"] >= 1)
        assert delivery["attempts"][0]["error"] == "tls_failed"
        other = make_server(*QUICK)
        elsewhere = endpoint(sdk(other), f"https://localhost:{receiver.port}/hook")
        sdk(other).v1.customers.create()
        delivery = one_delivery(
            Http(other), elsewhere, lambda found: found["attempt_count"] >= 1)
        assert delivery["attempts"][0]["error"] == "tls_failed"


def test_old_events_and_deliveries_go(make_server):
    server = make_server("--event-keep=15s", "--webhook-log-keep=1s")
    client, http = sdk(server), Http(server)
    with Receiver() as receiver:
        made = endpoint(client, receiver.url())
        client.v1.customers.create()
        wait_until(lambda: receiver.events(), 10, "the event")  # the log may be gone at once
        event = client.v1.events.list().data[0]
        wait_until(lambda: deliveries(http, made.id) == [], 10, "the end of the log")
        assert [one.id for one in client.v1.events.list().data] == [event.id]
        wait_until(lambda: client.v1.events.list().data == [], 30, "the end of the event")


def test_events_of_an_earlier_process_may_be_answers(make_server):
    server = make_server()
    first = sdk(server).v1.customers.create()
    server.stop()
    server.start("--event-keep=4s", "--webhook-log-keep=1s")
    client = sdk(server)
    client.v1.customers.create()
    assert len(client.v1.events.list().data) == 2
    wait_until(lambda: len(client.v1.events.list().data) < 2, 20, "the end of an event")
    time.sleep(2)  # a purge has looked again
    [kept] = client.v1.events.list().data
    assert kept.data.object["id"] == first.id


def test_secrets_are_not_on_disk_nor_in_logs(make_server):
    server = make_server(*QUICK, "--log-level=debug")
    client, http = sdk(server), Http(server)
    with Receiver() as receiver:
        made = endpoint(client, receiver.url())
        rolled = http.post(f"/v1/webhook_endpoints/{made.id}/roll_secret").json()
        client.v1.customers.create()
        wait_until(lambda: receiver.events(), 10, "an event")
        server.kill()
        for path in server.folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert made.secret.encode() not in content, path
                assert rolled["secret"].encode() not in content, path
        server.start()
        sdk(server).v1.customers.create()
        wait_until(lambda: len(receiver.events()) >= 2, 10, "an event after the restart")
        receiver.events()[-1].verify(made.secret)


def test_without_the_key_of_the_secrets_there_is_no_start(make_server):
    server = make_server(cluster=False, on_postgres=False)  # its own folder has it all
    client = sdk(server)
    endpoint(client, "https://example.com")
    server.stop()
    key = server.data / "webhooks" / "master.key"
    kept = key.read_bytes()
    key.unlink()
    from kit.server import run_tael

    result = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0", timeout=30)
    assert result.returncode != 0 and str(key) in result.stderr
    key.write_bytes(kept)
    key.chmod(0o600)
    server.start()


def test_metrics(make_server):
    server = make_server(*QUICK, cluster=False, on_postgres=False)  # they are a process's own
    client, http = sdk(server), Http(server)

    def metrics():
        lines = http.get("/metrics").text.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("tael_webhook"))

    with Receiver(lambda one: 200 if one.path == "/good" else 500) as receiver:
        endpoint(client, receiver.url("/good"))
        endpoint(client, receiver.url("/bad"))
        client.v1.customers.create()
        wait_until(lambda: int(metrics()['tael_webhook_attempts_total{outcome="status"}']) >= 2,
                   10, "two failures")
        found = metrics()
        assert found["tael_webhook_endpoints"] == "2"
        assert found["tael_webhook_created_total"] == "2"
        assert found["tael_webhook_queued"] == "1"
        assert found['tael_webhook_attempts_total{outcome="succeeded"}'] == "1"
        receiver.answer = lambda one: 200
        wait_until(lambda: metrics()["tael_webhook_queued"] == "0", 10, "an empty queue")
