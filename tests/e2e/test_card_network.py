"""The card network over ISO 8583, on the wire: each message as a decoder that is not ours reads it; and a
host that does not take what is none."""

import contextlib
import datetime
import json
import select
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests

from kit import iso8583
from kit.books import metrics, reconciled, settled
from kit.card_host import CardHost
from kit.certificates import make_certificate
from kit.client import Http, sdk
from kit.server import run_tael, wait_until, within

LOOKS_INTO_PROCESS = True
HOLD = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
        "capture_method": "manual"}
DECLINED = {"type", 3, 4, 7, 11, 12, 13, 32, 37, 39, 41, 42, 48, 49, "elements"}


@pytest.fixture
def host(tmp_path):
    made = CardHost(tmp_path / "host").start()
    yield made
    made.stop()


@pytest.fixture
def wire(host):
    made = iso8583.Between(host.port)
    yield made
    made.close()


@pytest.fixture
def network(make_server, wire, host):
    """A server on that wire."""
    server = make_server(wire.flag, start=False)
    server.network_data = host.folder
    return server.start()


def signed_on(server):
    return requests.get(server.url + "/readyz", timeout=60).text.strip() == "ready"


def start_again(server, *flags):
    """What waits for the network with little patience would be over before the network is there."""
    server.stop()
    server.start(*flags)
    wait_until(lambda: signed_on(server), 30, "signed on")


def done(client, params, status):
    """At once, or when an impatient server has asked what became of it."""
    made = client.v1.payment_intents.create(params)
    return wait_until(lambda: (now := client.v1.payment_intents.retrieve(made.id)).status == status and now, 20, status)


def test_messages(network, wire):
    """Of the life of a payment: what each field says."""
    client = sdk(network)
    before = datetime.datetime.now(datetime.timezone.utc)
    intent = client.v1.payment_intents.create(HOLD)
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
    canceled = client.v1.payment_intents.create({**HOLD, "currency": "jpy"})
    client.v1.payment_intents.cancel(canceled.id)

    sign_on = wire.of("0800")[0]
    assert sign_on[70] == "001" and wire.of("0810")[0][39] == "00"
    first, second = wire.of("0100")
    assert first[2] == "4242424242424242" and first[14] == "3412"
    assert (first[3], first[4], first[49]) == ("000000", "000000002000", "840")
    assert (first[18], first[22], first[25]) == ("5999", "812", "59")
    assert (first[32], first[41]) == ("100000", "TAEL0001")
    assert first[7] == first[13] + first[12]
    sent = datetime.datetime.strptime(f"{before.year}{first[7]}", "%Y%m%d%H%M%S").replace(
        tzinfo=datetime.timezone.utc)
    assert abs((sent - before).total_seconds()) < 120
    assert len(first["elements"][1]) == 32
    answer = next(one for one in wire.of("0110") if one[11] == first[11])
    for field in (3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49):
        assert answer[field] == first[field], field
    assert answer[39] == "00" and len(answer[38]) == 6 and 2 not in answer
    (capture,) = wire.of("0220")
    assert capture[4] == "000000001500" and capture["elements"][2] == first["elements"][1]
    assert wire.of("0230")[0][39] == "00"
    (refund,) = wire.of("0200")
    assert (refund[3], refund[4]) == ("200000", "000000000500")
    assert refund["elements"][2] == first["elements"][1]
    (reversal,) = wire.of("0420")
    assert second[49] == "392"
    assert reversal["elements"][2] == second["elements"][1]
    assert reversal[90] == "0100" + second[11] + second[7] + "00000100000" + "0" * 11
    assert wire.of("0430")[0][39] == "00"
    # What belongs together has one DE 37, and no two messages one DE 7 and 11.
    assert len({one[37] for one in (first, capture, refund)}) == 1
    assert second[37] == reversal[37] != first[37]
    asked = [one for one in wire.seen if one["type"][2] in "02" and one["type"][3] == "0"]
    asked = [one for one in asked if int(one["type"][2]) % 2 == 0]
    assert len({(one[7], one[11]) for one in asked}) == len(asked)
    # M6: the number is in authorizations only.
    assert {one["type"] for one in wire.seen if 2 in one or 14 in one} == {"0100"}
    assert "4242424242424242" not in network.all_logs()
    reconciled(network)


def test_purchase_and_verification(network, wire):
    client = sdk(network)
    client.v1.payment_intents.create({**HOLD, "capture_method": "automatic"})
    (purchase,) = wire.of("0200")
    assert purchase[3] == "000000" and purchase[2] == "4242424242424242"
    client.v1.setup_intents.create({"payment_method": "pm_card_visa", "confirm": True})
    verification = wire.of("0100")[-1]
    assert (verification[4], verification[25]) == ("000000000000", "51")
    assert "S" in verification["elements"][6]


def test_declined(network, wire):
    answer = Http(network).post("/v1/payment_intents", {
        "amount": "2000", "currency": "usd", "confirm": "true",
        "payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"})
    assert answer.json()["error"]["decline_code"] == "insufficient_funds"
    assert answer.json()["error"]["network_decline_code"] == "51"
    (declined,) = wire.of("0210")
    assert declined[39] == "51" and set(declined) == DECLINED
    assert 51 not in declined["elements"]  # DE 39 says it all


def test_reversal_until_answered(network, wire):
    """NETWORK-1: nobody hears the reversal: it goes on, with the same numbers, until somebody does."""
    client = sdk(network)
    intent = client.v1.payment_intents.create(HOLD)
    wire.drop = lambda message: message["type"] in ("0420", "0421") and len(wire.of("0421")) < 2
    client.v1.payment_intents.cancel(intent.id)
    (first,) = wire.of("0420")
    repeats = wire.of("0421")
    assert len(repeats) >= 2
    for repeat in repeats:
        assert {**repeat, "type": "0420"} == first
    assert settled(network).intents[0].status == "canceled"
    assert metrics(network)["tael_network_reversals_waiting"] == 0
    reconciled(network)


def test_lost_answer_is_asked_for(network, wire):
    """NETWORK-4: the answer to an authorization is lost: it is asked about, by its id, and counts."""
    start_again(network, "--rail-timeout=1s")
    wire.drop = lambda message: message["type"] == "0110"
    answer = Http(network).post("/v1/payment_intents", {
        "amount": "2000", "currency": "usd", "confirm": "true", "capture_method": "manual",
        "payment_method": "pm_card_visa"})
    assert answer.status_code == 200
    wait_until(lambda: sdk(network).v1.payment_intents.list().data[0].status == "requires_capture", 20)
    inquiry = next(one for one in wire.of("0600") if 2 in one["elements"])
    assert inquiry["elements"] == {2: wire.of("0100")[0]["elements"][1]}
    answer = next(one for one in wire.of("0610") if one[11] == inquiry[11])
    assert answer["elements"][50] == "A"
    reconciled(network)


@pytest.mark.parametrize("forged", [{4: "000000001000"}, {4: "000000002001"}, {49: "978"}])
def test_an_answer_of_another_amount(network, wire, forged):
    """Or of another currency: it is no answer, and the network is asked what became of it."""
    start_again(network, "--rail-timeout=1s")
    wire.forge = lambda message: forged if message["type"] == "0110" else {}
    answer = Http(network).post("/v1/payment_intents", {
        "amount": "2000", "currency": "usd", "confirm": "true", "capture_method": "manual",
        "payment_method": "pm_card_visa"})
    assert answer.status_code == 200 and answer.json()["status"] == "processing"
    wait_until(lambda: metrics(network)["tael_network_unmatched_total"] >= 1, 10, "what was dropped")
    wait_until(lambda: sdk(network).v1.payment_intents.list().data[0].status == "requires_capture", 20)
    reconciled(network)


def test_cut_amid_a_request(network, wire):
    """NETWORK-1: the connection goes while an authorization is under way: unknown, and found out about."""
    wire.drop = lambda message: message["type"] == "0110" and (wire.end_all() or True)
    began = time.monotonic()
    answer = Http(network).post("/v1/payment_intents", {
        "amount": "2000", "currency": "usd", "confirm": "true", "capture_method": "manual",
        "payment_method": "pm_card_visa"})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: sdk(network).v1.payment_intents.list().data[0].status == "requires_capture", 20)
    assert time.monotonic() - began < 40  # not the 45 s of rail-timeout
    assert metrics(network)["tael_network_lost_total"] >= 1
    reconciled(network)


def test_echo_and_health(network, wire):
    start_again(network, "--card-network-echo=200ms")
    wait_until(lambda: any(message[70] == "301" for message in wire.of("0800")), 10, "an echo")
    assert signed_on(network)
    wire.cut()
    wait_until(lambda: "without the card network" in requests.get(
        network.url + "/readyz", timeout=60).text, 10, "health")
    assert requests.get(network.url + "/readyz", timeout=60).status_code == 200
    assert metrics(network)["tael_network_signed_on"] == 0
    wire.heal()
    wait_until(lambda: signed_on(network), 30, "signed on again")
    # A host that is there and says nothing is given up.
    wire.drop = lambda message: message["type"] in ("0810", "0610")
    wait_until(lambda: metrics(network)["tael_network_signed_on"] == 0, 30, "the echo's end")
    wire.drop = lambda message: False
    wait_until(lambda: signed_on(network), 40, "signed on again")
    network.stop()
    wait_until(lambda: any(message[70] == "002" for message in wire.of("0800")), 10, "its goodbye")


def test_waits_for_its_host(make_server, tmp_path):
    """A server starts without its host; what it is asked for waits until the host is there."""
    host = CardHost(tmp_path / "host").start()
    host.kill()
    server = make_server(*host.server_flags, start=False)
    server.network_data = host.folder
    server.start()
    assert "without the card network" in requests.get(server.url + "/readyz", timeout=60).text
    host.start()
    assert sdk(server).v1.payment_intents.create(HOLD).status == "requires_capture"
    reconciled(server)
    server.stop()
    host.stop()


@pytest.mark.parametrize("dialect", ["ascii", "binary"])
def test_over_tls(make_server, tmp_path, dialect):
    certificate, key = make_certificate(tmp_path, "host")
    host = CardHost(tmp_path / "host", f"--tls-cert={certificate}", f"--tls-key={key}", dialect=dialect).start()
    server = make_server(f"--card-network=iso8583s://127.0.0.1:{host.port}",
                         f"--card-network-ca={certificate}",
                         f"--card-network-dialect={dialect}", start=False)
    server.network_data = host.folder
    server.start()
    assert sdk(server).v1.payment_intents.create(HOLD).status == "requires_capture"
    server.stop()
    host.stop()


# ---- disputes -------------------------------------------------------------------------------

PURCHASE = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_createDispute", "confirm": True}
DISPUTED = ("--issuer-dispute-delay=100ms",)


@pytest.fixture
def disputes(make_server, wire, host):
    """A server on the wire, where disputes come at once."""
    host.stop()
    host.start(*DISPUTED)
    server = make_server(wire.flag, start=False)
    server.network_data = host.folder
    return server.start()


def one_dispute(server, status="needs_response", lines=1, seconds=20):
    def there():
        found = sdk(server).v1.disputes.list().data
        assert len(found) <= 1
        return found[0] if found and (found[0].status, len(found[0].balance_transactions)) == (
            status, lines) else None
    return wait_until(there, seconds, status)


def notices(wire):
    """Each once: what is asked again while its answer takes long is told again."""
    found = {}
    for one in wire.of("0610"):
        if one.get("elements", {}).get(60, "N") != "N":
            found.setdefault(one["elements"][61], one)
    return list(found.values())


def test_dispute_messages(disputes, wire):
    """News, evidence in parts, acceptance: what each element says."""
    client = sdk(disputes)
    intent = client.v1.payment_intents.create(PURCHASE)
    dispute = one_dispute(disputes)
    (purchase,) = wire.of("0200")
    assert len(purchase["elements"][7]) == 32 and purchase["elements"][7] != "0" * 32
    question = next(one for one in wire.of("0600") if 8 in one["elements"])
    assert question["elements"] == {8: "0"} and question[42] == "0" * 15 and 4 not in question
    (notice,) = notices(wire)
    told = notice["elements"]
    assert (notice[39], told[50], told[60]) == ("00", "A", "D") and int(told[61]) > 0
    assert (told[63], told[64]) == (purchase["elements"][1], purchase["elements"][7])
    assert told[65] == purchase[42] != "0" * 15
    assert (told[66], told[68], told[69]) == ("2000", "fraudulent", "10.4")
    opened, due = map(int, told[67].split(","))
    assert opened // 1000 == dispute.created and due // 1000 == dispute.evidence_details.due_by
    wait_until(lambda: any(one["elements"].get(8) == told[61] for one in wire.of("0600")), 10, "the next question")

    said = {"uncategorized_text": "winning_evidence", "product_description": "Grüße, ¥ 5\n" * 800}
    client.v1.disputes.update(dispute.id, {"evidence": said})
    one_dispute(disputes, "won", 2)
    parts = wire.of("0620")
    assert json.loads(iso8583.evidence(parts)) == said
    assert len(parts) > 4 and {one["elements"][2] for one in parts} == {told[62]}
    assert len({one["elements"][1] for one in parts}) == 1
    assert len({(one[7], one[11]) for one in parts}) == len(parts)
    assert {one[39] for one in wire.of("0630")} == {"00"}
    assert [one["elements"][60] for one in notices(wire)] == ["D", "W"]
    client.v1.refunds.create({"payment_intent": intent.id})
    reconciled(disputes)


def test_dispute_accepted_and_report(disputes, wire):
    client = sdk(disputes)
    client.v1.payment_intents.create({**PURCHASE, "capture_method": "manual"})
    intent = client.v1.payment_intents.list().data[0]
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1200})
    dispute = one_dispute(disputes)
    (capture,) = wire.of("0220")
    (hold,) = wire.of("0100")
    assert 7 not in hold["elements"]
    (notice,) = notices(wire)
    assert notice["elements"][64] == capture["elements"][7] and notice["elements"][66] == "1200"
    assert client.v1.disputes.close(dispute.id).status == "lost"
    (accepted,) = wire.of("0620")
    assert accepted["elements"][9] == "A" and accepted["elements"][2] == notice["elements"][62]
    assert not {121, 122, 123} & set(accepted)
    reconciled(disputes)
    report = next(one for one in wire.of("0610") if one.get("elements", {}).get(56) == "2000,1200,0,1200,0")
    assert report[39] == "00"


def test_evidence_parts_lost(disputes, wire):
    """Each second part, and each second answer to one, is lost: they come again, and count once."""
    client = sdk(disputes)
    client.v1.payment_intents.create(PURCHASE)
    dispute = one_dispute(disputes)
    count = iter(range(10**9))
    wire.drop = lambda message: message["type"] in ("0620", "0630") and next(count) % 2 == 0
    said = {"uncategorized_text": "losing_evidence", "product_description": "x" * 9000}
    client.v1.disputes.update(dispute.id, {"evidence": said})
    one_dispute(disputes, "lost")
    assert json.loads(iso8583.evidence(wire.of("0620") + wire.of("0621"))) == said
    for repeat in wire.of("0621"):
        assert {**repeat, "type": "0620"} in wire.of("0620")
    reconciled(disputes)


def test_evidence_amid_a_host_killed(disputes, wire, host):
    """Its host dies with a part of the evidence: all of it is sent again, as one."""
    start_again(disputes, "--rail-timeout=2s", "--attempt-lease=1s")
    client = sdk(disputes)
    done(client, PURCHASE, "succeeded")
    dispute = one_dispute(disputes)
    wire.drop = lambda message: message["type"] == "0630" and len(wire.of("0630")) == 2
    answer = None

    def hand_in():
        nonlocal answer
        answer = Http(disputes).post(f"/v1/disputes/{dispute.id}", {
            "evidence[uncategorized_text]": "winning_evidence",
            "evidence[product_description]": "x" * 9000})

    thread = threading.Thread(target=hand_in)
    thread.start()
    wait_until(lambda: len(wire.of("0630")) >= 2, 20, "two parts")
    host.kill()
    host.start(*DISPUTED)
    thread.join()
    assert answer.status_code == 200, answer.text
    one_dispute(disputes, "won", 2)
    assert any(one[39] == "91" for one in wire.of("0630"))
    reconciled(disputes)


GARBAGE = [
    {60: "X"}, {60: "DD"}, {61: "-1"}, {61: "0"}, {61: "9" * 19}, {62: "0" * 32}, {62: "beef"}, {63: "g" * 32},
    {64: "1"}, {65: "Z" * 15}, {65: "1"}, {66: "0"}, {66: "-5"}, {66: "9" * 18}, {67: "1"},
    {67: "1,999999999999999999"}, {67: "x,y"}]


def test_hostile_notices(disputes, wire):
    """What is no notice is none: counted, and asked for again; the server goes on. Then the right one comes."""
    wrong = iter(GARBAGE)
    used = []
    looked = threading.Event()

    def change(message):
        if message["type"] != "0610" or message.get("elements", {}).get(60, "N") == "N":
            return None
        made = next(wrong, None if looked.is_set() else GARBAGE[0])
        if made is None:
            return None
        used.append(made)
        return {**message["elements"], **made}

    wire.change = change
    start_again(disputes, "--rail-timeout=500ms")
    client = sdk(disputes)
    done(client, PURCHASE, "succeeded")
    wait_until(lambda: len(used) > 3, 30, "garbage")
    assert client.v1.disputes.list().data == []
    done(client, HOLD, "requires_capture")
    looked.set()
    one_dispute(disputes, seconds=60)
    assert len(used) >= len(GARBAGE)
    # What came too late for its question was dropped unread.
    wait_until(lambda: metrics(disputes)["tael_network_unmatched_total"] >= len(used), 10, "what was dropped")
    assert len(GARBAGE) / 2 < metrics(disputes)["tael_network_notices_refused_total"] <= len(used)
    assert metrics(disputes)["tael_disputes_unplaced"] == 0
    reconciled(disputes)


def test_notices_that_go_back(disputes, wire):
    """The answer to the first question, to every other one: it is told once."""
    first = {}

    def change(message):
        if message["type"] != "0610" or 60 not in message.get("elements", {}):
            return None
        if message["elements"][60] == "D":
            first.update(message["elements"])
        return dict(first) if first else None

    wire.change = change
    client = sdk(disputes)
    client.v1.payment_intents.create(PURCHASE)
    dispute = one_dispute(disputes)
    wait_until(lambda: metrics(disputes)["tael_network_notices_refused_total"] >= 1, 30, "what went back")
    wire.change = lambda message: None
    client.v1.disputes.close(dispute.id)
    assert one_dispute(disputes, "lost").id == dispute.id
    reconciled(disputes)


HOUR_MS = 3_600_000


@pytest.mark.parametrize("lie", [
    lambda told: {65: told[65][:-1] + ("1" if told[65][-1] == "0" else "0")}, lambda told: {65: "0" * 15}, lambda told: {64: "f" * 32}, lambda told: {63: "f" * 32},
    lambda told: {66: "2001"},
    lambda told: {60: "W"},
], ids=["another merchant", "nobody's", "another charge", "another authorization", "too much", "no beginning"])
def test_notices_about_others(disputes, wire, lie):
    """A notice that does not fit a charge of its merchant moves nothing; when it is old it is passed over."""
    def change(message):
        told = message.get("elements", {})
        if message["type"] != "0610" or told.get(60) != "D":
            return None
        opened, due = map(int, told[67].split(","))
        return {**told, 67: f"{opened - HOUR_MS},{due}", **lie(told)}

    wire.change = change
    client = sdk(disputes)
    intent = client.v1.payment_intents.create(PURCHASE)
    wait_until(lambda: metrics(disputes)["tael_disputes_unplaced"] == 1, 30, "what fits nothing")
    assert client.v1.disputes.list().data == []
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.disputed is False and charge.amount == 2000
    assert metrics(disputes)["tael_network_notices_refused_total"] == 0


def test_notice_of_a_future(disputes, wire):
    """One that nobody knows, opened in the year 9999, does not hold up those behind it."""
    def change(message):
        told = message.get("elements", {})
        if message["type"] != "0610" or told.get(60) != "D" or told[66] != "1111":
            return None
        return {**told, 67: "253402300799999,253402300799999", 64: "f" * 32}

    wire.change = change
    client = sdk(disputes)
    client.v1.payment_intents.create({**PURCHASE, "amount": 1111})
    wait_until(lambda: notices(wire), 20, "the first notice")
    client.v1.payment_intents.create(PURCHASE)
    assert one_dispute(disputes).amount == 2000
    assert metrics(disputes)["tael_disputes_unplaced"] == 1


# ---- the host -------------------------------------------------------------------------------


def connected(host):
    connection = socket.create_connection(("127.0.0.1", host.port), timeout=20)
    connection.settimeout(20)
    return connection


def is_closed(connection):
    with contextlib.suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


def management(code, stan=1):
    return iso8583.encode("0800", {7: "1123071500", 11: f"{stan:06d}", 41: "TERM0001", 70: code})


def test_host_answers(host):
    connection = connected(host)
    request = {3: "000000", 4: "000000002000", 7: "1123071500", 11: "000123", 12: "071500", 13: "1123",
               2: "4242424242424242", 14: "2912", 37: "632707000123", 41: "TERM0001", 49: "840",
               48: "01032" + "0" * 31 + "7"}
    iso8583.send(connection, iso8583.encode("0100", request))
    assert iso8583.decode(iso8583.receive(connection))[39] == "91"  # it is not signed on
    iso8583.send(connection, management("001"))
    assert iso8583.decode(iso8583.receive(connection))[39] == "00"
    answers = []
    for kind in ("0100", "0100", "0101"):  # the same id: one effect, one answer
        iso8583.send(connection, iso8583.encode(kind, request))
        answers.append(iso8583.decode(iso8583.receive(connection)))
    assert answers[0][39] == "00" and answers[0] == answers[1] == answers[2]
    assert answers[0]["type"] == "0110" and answers[0][11] == "000123"
    for changed, code in (({48: "01004beef"}, "30"), ({48: ""}, "12"), ({49: "000"}, "13"), ({14: "2913"}, "30")):
        iso8583.send(connection, iso8583.encode("0100", {**request, **changed}))
        assert iso8583.decode(iso8583.receive(connection))[39] == code
    iso8583.send(connection, iso8583.encode("0300", request))
    assert iso8583.decode(iso8583.receive(connection))[39] == "12"


@pytest.mark.parametrize("sent", [
    b"\xff\xff" + b"0" * 100,                                    # longer than a message may be
    b"\x00\x04abcd", b"\x00\x14010040000000000000zz", b"\x00\x00",
    b"\x00\x1601004000000000000000" b"20",                       # DE 2 is too long
    struct.pack(">H", 24) + b"0800000000000000000" + b"0trai", b"GET / HTTP/1.1\r\n\r\n",
], ids=range(7))
def test_host_refuses(host, sent):
    """NETWORK-7: what is no message ends its connection, and no other one."""
    good, bad = connected(host), connected(host)
    bad.sendall(sent)
    assert is_closed(bad)
    iso8583.send(good, management("301"))
    assert iso8583.decode(iso8583.receive(good))[39] == "00"


def test_who_does_not_read_fills_no_log(host):
    good, deaf = connected(host), connected(host)
    deaf.settimeout(1)
    message = management("301")
    many = (struct.pack(">H", len(message)) + message) * 1000
    rest = many

    def told():
        return host.log_path.read_text().count("could not be sent")

    def one_more():
        """What it can: TCP does not hear for long that something arrived, where it throws away what nobody reads."""
        nonlocal rest
        with contextlib.suppress(TimeoutError):
            rest = rest[deaf.send(rest):] or many
        return told()

    wait_until(one_more, 30, "what could not be sent")
    for _ in range(10):
        one_more()
    iso8583.send(good, management("301"))
    assert iso8583.decode(iso8583.receive(good))[39] == "00"
    assert told() == 1
    deaf.close()


def test_host_limits(tmp_path):
    host = CardHost(tmp_path / "few", "--connections-max=2").start()
    inside = [connected(host) for _ in range(2)]
    assert is_closed(connected(host))
    for one in inside:
        one.close()
    host.stop()
    host = CardHost(tmp_path / "host", "--idle-timeout=2s").start()
    first, second = connected(host), connected(host)
    second.sendall(b"\x00")  # half a frame keeps nothing open

    def first_alone():
        iso8583.send(first, management("301"))
        iso8583.receive(first)
        return select.select([second], [], [], 0)[0]

    wait_until(first_alone, 20, "the end of the one that says nothing")
    assert is_closed(second)
    within(lambda: is_closed(first), 20, "the idle connection's end")
    host.stop()


@pytest.mark.parametrize("flag,complaint", [
    ("--card-network=http://127.0.0.1:1", "iso8583://HOST:PORT"),
    ("--card-network=iso8583://127.0.0.1", "iso8583://HOST:PORT"),
    ("--card-network-dialect=ebcdic", "ascii or binary"),
    ("--card-network-terminal=SHORT", "eight characters"),
    ("--card-network-acquirer=12x", "up to 11 digits"),
])
def test_settings(tmp_path, flag, complaint):
    flags = ["--card-network=iso8583://127.0.0.1:1"] if "network=" not in flag else []
    result = run_tael("server", f"--data={tmp_path}", "--listen=127.0.0.1:0", *flags, flag)
    assert result.returncode == 2 and complaint in result.stderr


def test_no_traces_of_cards(tmp_path, make_server):
    """M6: nothing of a card is in what the host or the server wrote, in the folders or the logs."""
    host = CardHost(tmp_path / "host", "--log-level=debug").start()
    server = make_server(*host.server_flags, "--log-level=debug", start=False)
    server.network_data = host.folder
    server.start()
    sdk(server).v1.payment_intents.create(HOLD)
    server.stop()
    host.stop()
    found = subprocess.run(["grep", "-rla", "4242424242424242", str(tmp_path)], capture_output=True, text=True,
                           check=False)
    assert found.stdout == ""
