"""Card numbers and codes: nowhere on disk, in no log, in no answer."""

import base64

import pytest
import requests
import stripe

from kit.client import Http, card, sdk
from kit.server import run_tael

# Distinct from anything else that is ever written; the Luhn digit is right where it matters.
NUMBERS = ["4242424242424242", "4000056655665556", "5555555555554444", "378282246310005",
           "4000000000000002", "4000000000000127"]
CODE = "9173"
SHORT_CODE = "917"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def forms(number):
    """A number as somebody careless might have written it."""
    grouped = " ".join(number[at:at + 4] for at in range(0, len(number), 4))
    packed = bytes.fromhex(number if len(number) % 2 == 0 else number + "f")
    return [number.encode(), grouped.encode(), grouped.replace(" ", "-").encode(),
            number.encode("utf-16-le"), packed, base64.b64encode(number.encode()).rstrip(b"="),
            int(number).to_bytes(8, "little"), int(number).to_bytes(8, "big")]


def search(server, needles):
    places = contents(server.folder)
    for path, content in places.items():
        for needle in needles:
            assert needle not in content, f"{needle} in {path}"
    return places


def enter_on_a_page(client):
    """As payers do, also into a wrong field, and at an address that is not there."""
    session = client.v1.checkout.sessions.create({
        "mode": "payment", "success_url": "https://shop.example/paid", "line_items": [{"price_data": {
            "currency": "usd", "unit_amount": 900, "product_data": {"name": "Poster"}}}]})
    form = {"card[expiry]": "12/34", "card[cvc]": SHORT_CODE, "name": "Nobody Inparticular",
            "email": "nobody@example.com"}
    number = NUMBERS[4]
    for url, fields in [
        (session.url, {"card[number]": number}), (session.url, {"card[number]": number, "card[expiry]": "x"}),
        (session.url, {"card[number]": number, "name": number}),
        (session.url, {"card[number]": "1", "card[expiry]": number}),
        (session.url, {"card[number][x]": number}), (session.url, {"card[number]": number, "colour": "red"}),
        (session.url + "x", {"card[number]": number}), (session.url, {"card[number]": number * 9}),
    ]:
        answer = requests.post(url, {**form, **fields}, allow_redirects=False, timeout=60)
        assert number not in answer.text and number not in str(answer.headers)
    assert number not in requests.get(session.url, timeout=60).text


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_no_card_data_on_disk_or_in_logs(make_server, how):
    server = make_server("--log-level=debug", "--ledger-segment-size=4m")
    client, http = sdk(server), Http(server)
    for number in NUMBERS:
        code = CODE if number.startswith("37") else SHORT_CODE
        given = card(number, cvc=code)
        method = client.v1.payment_methods.create(
            {"type": "card", "card": given, "billing_details": {"name": "Nobody Inparticular"}})
        for params in (
            {"payment_method": method.id},
            {"payment_method_data": {"type": "card", "card": given}},
        ):
            try:
                client.v1.payment_intents.create(
                    {"amount": 1000, "currency": "usd", "confirm": True, **params})
            except stripe.CardError as error:
                assert number not in str(error.json_body)
    enter_on_a_page(client)
    # Wrong requests carry numbers into error paths.
    body = {"type": "card", "card[number]": NUMBERS[0], "card[cvc]": CODE}
    for path, extra in [
        ("/v1/payment_methods", {}), ("/v1/payment_methods", {"colour": "red"}),
        ("/v1/payment_intents", {"amount": "x"}), ("/v1/nothing", {}),
        ("/v1/customers", {}), ("/v1/customers", {"card[exp_month]": "13"}),
    ]:
        answer = http.post(path, {**body, **extra}, headers={"Idempotency-Key": f"k-{path}"})
        assert answer.status_code >= 400
        assert NUMBERS[0] not in answer.text and CODE not in answer.text
    http.get(f"/v1/customers?email={NUMBERS[0]}")
    http.get(f"/v1/payment_intents/{NUMBERS[0]}")
    http.get("/v1/balance", headers={"X-Card": NUMBERS[0]})
    getattr(server, how)()
    needles = [form for number in NUMBERS for form in forms(number)]
    places = search(server, needles)
    assert any(path.name == "tael.db" for path in places), "nothing was searched"
    assert any(b"Nobody Inparticular" in content for content in places.values()), (
        "what is kept should have been found")


def test_code_is_nowhere(make_server):
    """A code of four digits would be found by chance; what is searched has a frame around it."""
    server = make_server("--log-level=debug")
    client = sdk(server)
    for _ in range(5):
        client.v1.payment_methods.create(
            {"type": "card", "card": card("378282246310005", cvc=CODE)})
    server.kill()
    for path, content in contents(server.folder).items():
        for frame in (b'"%s"', b"=%s&", b"cvc=%s", b"cvc]=%s", b'cvc":"%s', b" %s "):
            assert frame % CODE.encode() not in content, path


def test_search_finds_what_is_there(make_server):
    """The search itself can fail."""
    server = make_server()
    number = "4242424242424241"  # no card's: kept as the text it is
    sdk(server).v1.customers.create({"name": "n " + number})
    server.kill()
    with pytest.raises(AssertionError):
        search(server, [number.encode()])


def test_answers_and_events_show_four_digits(make_server):
    server = make_server()
    client, http = sdk(server), Http(server)
    client.v1.payment_intents.create({
        "amount": 1000, "currency": "usd", "confirm": True,
        "payment_method_data": {"type": "card", "card": card(NUMBERS[1])}})
    for path in ("/v1/events?limit=100", "/v1/charges?expand[]=data.payment_intent",
                 "/v1/payment_intents", "/v1/payment_methods?limit=10"):
        text = http.get(path).text
        assert NUMBERS[1] not in text
        assert NUMBERS[1][:12] not in text


def test_files_are_private(make_server):
    server = make_server()
    sdk(server).v1.balance.retrieve()
    for path in [server.data, *server.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_vault_without_its_master_key(make_server):
    """Card data is worth nothing without the master key, and a folder without it is refused."""
    server = make_server()
    method = sdk(server).v1.payment_methods.create({"type": "card", "card": card()})
    assert method.id
    server.stop()
    keys = [path for path in (server.data / "vault").rglob("*") if "key" in path.name]
    assert keys
    kept = {path: path.read_bytes() for path in keys}
    for path in keys:
        path.unlink()
    result = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0", timeout=30)
    assert result.returncode != 0, "it started without the key to its cards"
    for path, content in kept.items():
        path.write_bytes(content)
        path.chmod(0o600)
    server.start()
    paid = sdk(server).v1.payment_intents.create({
        "amount": 1000, "currency": "usd", "confirm": True, "payment_method": method.id})
    assert paid.status == "succeeded"
