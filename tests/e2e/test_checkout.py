"""Checkout sessions: the API, and the page on which a payer pays, over plain HTTP."""

import concurrent.futures
import html
import io
import re
import time
import urllib.parse

import pytest
import stripe
import zxingcpp
from PIL import Image

from kit import checkout
from kit.answers import events_about
from kit.books import settled
from kit.browser import Browser, Page
from kit.checkout import assert_paid_once, entered, item
from kit.client import restricted_key, sdk
from kit.merchants import create, operators_url
from kit.server import run_tael, wait_until
from kit.wallets import Wallets

SUCCESS = "https://shop.example/paid?session={CHECKOUT_SESSION_ID}#thanks"
CANCEL = "https://shop.example/cart"
VISA = "4242 4242 4242 4242"
CHALLENGED = "4000 0000 0000 3220"
DECLINED = "4000000000000002"
MINUTE = 60
CONTROL = "\x01"


def session_of(client, **params):
    return checkout.session_of(client, **{"success_url": SUCCESS, "cancel_url": CANCEL, **params})


def submit(browser, url, **fields):
    return browser.session.post(url, entered(**fields), allow_redirects=False, timeout=60)


def show_code(browser, url):
    return browser.session.post(
        url, {"payment_method_data[type]": "mobile_qr"}, allow_redirects=False, timeout=60)


def retrieve(client, session, **params):
    return client.v1.checkout.sessions.retrieve(session.id, params)


@pytest.fixture(name="browser")
def fixture_browser():
    return Browser()


# ---- the API ---------------------------------------------------------------------------------


def test_its_address_as_a_picture(client, browser):
    """To scan with a phone, as long as something can be paid there."""
    session = session_of(client)
    for form, kind in ((".png", "image/png"), (".svg", "image/svg+xml")):
        answer = browser.session.get(session.url + form, timeout=60)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    picture = Image.open(io.BytesIO(browser.session.get(f"{session.url}.png", timeout=60).content))
    (found,) = zxingcpp.read_barcodes(picture.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    assert found.bytes.decode() == session.url
    wrong = browser.session.get(f"{session.url}x.svg", timeout=60)
    assert wrong.status_code == 404 and "html" in wrong.headers["content-type"]
    # Nothing is paid at the picture's address.
    assert submit(browser, f"{session.url}.svg").status_code == 404
    assert retrieve(client, session).status == "open"
    client.v1.checkout.sessions.expire(session.id)
    gone = browser.session.get(f"{session.url}.png", timeout=60)
    assert gone.status_code == 410 and "This page has expired" in gone.text


def test_a_session(client):
    session = session_of(
        client, line_items=[item(quantity=2, description="Blue"), item("Poster", 900)],
        client_reference_id="order-7", metadata={"a": "b"}, customer_email="jenny@example.com")
    assert session.id.startswith("cs_") and session.object == "checkout.session"
    assert (session.amount_subtotal, session.amount_total, session.currency) == (3900, 3900, "usd")
    assert (session.status, session.payment_status, session.mode) == ("open", "unpaid", "payment")
    assert session.payment_intent is None and session.client_reference_id == "order-7"
    assert session.success_url == f"https://shop.example/paid?session={session.id}#thanks"
    assert session.expires_at == pytest.approx(session.created + 24 * 60 * MINUTE, abs=2)
    assert session.payment_method_types == ["card", "mobile_qr"]
    assert re.fullmatch(r"http://[^/]+/checkout/\d+/cs_\w+_[0-9A-Za-z]{32}", session.url)
    assert "line_items" not in session.to_dict()
    expanded = retrieve(client, session, expand=["line_items"])
    assert [(one.description, one.quantity, one.amount_total) for one in expanded.line_items.data] == [
        ("T-shirt", 2, 3000), ("Poster", 1, 900)]
    assert retrieve(client, session).to_dict() == session.to_dict()


def test_a_session_leaves_nothing_behind(make_server):
    client = sdk(make_server())
    session_of(client)
    assert client.v1.events.list().data == [] and client.v1.payment_intents.list().data == []


@pytest.mark.parametrize("change, param, code", [
    ({"mode": "subscription"}, "mode", None),
    ({"mode": "setup"}, "mode", None),
    ({"mode": "gift"}, "mode", None),
    ({"line_items": []}, "line_items", "parameter_missing"),
    ({"line_items": [{"price": "price_1", "quantity": 1}]}, "line_items[0][price]", "parameter_unknown"),
    ({"line_items": [item(), {"quantity": 1}]}, "line_items[1][price_data]", "parameter_missing"),
    ({"line_items": [{"price_data": {"currency": "usd", "unit_amount": 100, "product": "prod_1",
                                     "product_data": {"name": "x"}}}]},
     "line_items[0][price_data][product]", "parameter_unknown"),
    ({"line_items": [{"price_data": {"currency": "usd", "unit_amount": 100}}]},
     "line_items[0][price_data][product_data]", "parameter_missing"),
    ({"line_items": [{"price_data": {"unit_amount": 100, "product_data": {"name": "x"}}}]},
     "line_items[0][price_data][currency]", "parameter_missing"),
    ({"line_items": [{"price_data": {"currency": "usd", "unit_amount": 100,
                                     "product_data": {"description": "x"}}}]},
     "line_items[0][price_data][product_data][name]", "parameter_missing"),
    ({"line_items": [item(), item(quantity=0)]}, "line_items[1][quantity]", "parameter_invalid_integer"),
    ({"line_items": [item(amount=-1)]}, "line_items[0][price_data][unit_amount]",
     "parameter_invalid_integer"),
    ({"line_items": [item(), item(colour="red")]},
     "line_items[1][price_data][product_data][colour]", "parameter_unknown"),
    ({"line_items": [item(), item(currency="eur")]}, "line_items[1][price_data][currency]", None),
    ({"line_items": [item(currency="zzz")]}, "line_items[0][price_data][currency]", None),
    ({"line_items": [item(amount=10)]}, "line_items", "amount_too_small"),
    ({"line_items": [item(amount=0)]}, "line_items", "amount_too_small"),
    ({"line_items": [item(amount=50_000_000), item(amount=50_000_000)]}, "line_items",
     "amount_too_large"),
    ({"line_items": [item(amount=999_999_999_999, quantity=999_999)]}, "line_items",
     "amount_too_large"),
    ({"line_items": [item() for _ in range(101)]}, "line_items", None),
    ({"success_url": "shop.example/paid"}, "success_url", "url_invalid"),
    ({"success_url": "javascript://x/%0aalert(1)"}, "success_url", "url_invalid"),
    ({"success_url": "https://shop.example/{CHECKOUT}"}, "success_url", "url_invalid"),
    ({"cancel_url": "https://shop.example/a b"}, "cancel_url", "url_invalid"),
    ({"payment_method_types": ["wallet"]}, "payment_method_types", None),
    ({"payment_method_types": ["ideal"]}, "payment_method_types", None),
    ({"customer": "cus_nobody"}, "customer", "resource_missing"),
    ({"customer_email": "jenny"}, "customer_email", "email_invalid"),
    ({"payment_intent_data": {"setup_future_usage": "off_session"}}, "customer", "parameter_missing"),
    ({"payment_intent_data": {"amount": 5}}, "payment_intent_data[amount]", "parameter_unknown"),
    ({"ui_mode": "embedded"}, "ui_mode", None),
    ({"allow_promotion_codes": True}, "allow_promotion_codes", "parameter_unknown"),
])
def test_what_is_refused(client, change, param, code):
    with pytest.raises(stripe.InvalidRequestError) as error:
        session_of(client, **change)
    assert (error.value.param, error.value.code) == (param, code)
    assert error.value.http_status == 400


@pytest.mark.parametrize("seconds, good", [
    (29 * MINUTE, False), (31 * MINUTE, True), (24 * 60 * MINUTE - 5, True), (25 * 60 * MINUTE, False)])
def test_when_it_expires(client, seconds, good):
    moment = int(time.time()) + seconds
    if good:
        assert session_of(client, expires_at=moment).expires_at == moment
        return
    with pytest.raises(stripe.InvalidRequestError) as error:
        session_of(client, expires_at=moment)
    assert error.value.param == "expires_at"


def test_success_url_is_needed(client):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.checkout.sessions.create({"mode": "payment", "line_items": [item()]})
    assert (error.value.code, error.value.param) == ("parameter_missing", "success_url")


def test_items_need_their_indexes_and_may_have_any(http):
    def first(index):
        return http.post("/v1/checkout/sessions", {
            "mode": "payment", "success_url": SUCCESS, f"line_items[{index}][price_data][currency]": "usd",
            f"line_items[{index}][price_data][unit_amount]": "700",
            f"line_items[{index}][price_data][product_data][name]": "x"})

    assert first("7").json()["amount_total"] == 700
    for index in ("", "x", "-1"):
        assert first(index).status_code == 400


def test_line_items_in_pages(client):
    session = session_of(client, line_items=[item(f"Item {number}", 100) for number in range(25)])
    lines = client.v1.checkout.sessions.line_items
    first = lines.list(session.id, {"limit": 10})
    assert [one.description for one in first.data] == [f"Item {number}" for number in range(10)]
    assert first.has_more
    assert [one.description for one in lines.list(session.id).auto_paging_iter()] == [
        f"Item {number}" for number in range(25)]
    before = lines.list(session.id, {"limit": 2, "ending_before": first.data[5].id})
    assert [one.description for one in before.data] == ["Item 3", "Item 4"]
    with pytest.raises(stripe.InvalidRequestError) as error:
        lines.list(session.id, {"starting_after": "li_nothing"})
    assert error.value.param == "starting_after"


def test_update_changes_metadata(client):
    session = session_of(client, metadata={"a": "1", "b": "2"})
    changed = client.v1.checkout.sessions.update(session.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    assert changed.url == session.url


def test_lists(client, browser):
    customer = client.v1.customers.create({"email": "jenny@example.com"})
    sessions = [session_of(client, customer=customer.id) for _ in range(3)]
    submit(browser, sessions[1].url)
    client.v1.checkout.sessions.expire(sessions[2].id)
    paid = retrieve(client, sessions[1])

    def ids(**params):
        return [one.id for one in client.v1.checkout.sessions.list(params).data]

    assert ids(customer=customer.id) == [one.id for one in reversed(sessions)]
    assert ids(customer=customer.id, status="open") == [sessions[0].id]
    assert ids(customer=customer.id, status="complete") == [sessions[1].id]
    assert ids(customer=customer.id, status="expired") == [sessions[2].id]
    assert ids(payment_intent=paid.payment_intent) == [sessions[1].id]
    assert ids(customer=customer.id, limit=1, starting_after=sessions[2].id) == [sessions[1].id]
    assert ids(customer=customer.id, created={"lt": sessions[0].created}) == []


def test_restricted_keys(server, client):
    session = session_of(client)

    reader = sdk(server, restricted_key(server, "checkout_sessions:read"))
    assert retrieve(reader, session).id == session.id
    for forbidden in (lambda: session_of(reader), lambda: reader.v1.checkout.sessions.expire(session.id),
                      lambda: retrieve(reader, session, expand=["payment_intent"])):
        with pytest.raises(stripe.PermissionError):
            forbidden()
    writer = sdk(server, restricted_key(server, "checkout_sessions:write"))
    assert writer.v1.checkout.sessions.expire(session_of(writer).id).status == "expired"
    with pytest.raises(stripe.PermissionError):
        retrieve(sdk(server, restricted_key(server, "charges:read")), session)
    with pytest.raises(stripe.PermissionError):
        retrieve(sdk(server, server.publishable_key), session)


# ---- the page --------------------------------------------------------------------------------


def test_the_page(client, browser):
    session = session_of(client, line_items=[item(quantity=2, description="Blue, medium"), item("Poster", 950)])
    answer = browser.get(session.url)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer" and "no-store" in answer.headers["Cache-Control"]
    page = Page(answer.text)
    assert page.language == "en" and page.scripts == [] and len(page.forms) == 2
    for text in ("T-shirt", "Blue, medium", "30.00 USD", "Poster", "9.50 USD", "39.50 USD"):
        assert text in page.text()
    assert page.links == [CANCEL]
    for kind in ("cc-number", "cc-exp", "cc-csc", "cc-name", "email"):
        assert f'autocomplete="{kind}"' in answer.text
    labels = re.findall(r'<label for="(\w+)">', answer.text)
    assert sorted(labels) == sorted(re.findall(r'<input id="(\w+)"', answer.text))
    # Looking at it does nothing.
    assert retrieve(client, session).to_dict() == session.to_dict()


def test_paid_by_card(client, browser):
    customer = client.v1.customers.create({})
    session = session_of(
        client, customer=customer.id, metadata={"on": "session"},
        payment_intent_data={"description": "Order 7", "metadata": {"on": "intent"},
                             "statement_descriptor_suffix": "SHIRT", "transfer_group": "g"})
    led = submit(browser, session.url)
    assert led.status_code == 303
    assert led.headers["Location"] == f"https://shop.example/paid?session={session.id}#thanks"
    session = assert_paid_once(client, session)
    intent = session.payment_intent
    assert (intent.description, intent.customer, intent.transfer_group) == ("Order 7", customer.id, "g")
    assert intent.metadata.to_dict() == {"on": "intent"} and session.metadata.to_dict() == {"on": "session"}
    assert intent.statement_descriptor_suffix == "SHIRT"
    assert (session.customer_details.name, session.customer_details.email) == ("Jenny Rosen", None)
    (charge,) = client.v1.charges.list({"payment_intent": intent.id}).data
    assert charge.billing_details.name == "Jenny Rosen"
    assert charge.payment_method_details.card.checks.cvc_check == "pass"


def test_the_payer_is_known_afterwards(client, browser):
    asked = session_of(client)
    submit(browser, asked.url)
    details = assert_paid_once(client, asked).customer_details
    assert (details.name, details.email) == ("Jenny Rosen", "jenny@example.com")
    given = session_of(client, customer_email="given@example.com")
    assert 'id="email"' not in browser.get(given.url).text
    submit(browser, given.url)
    details = assert_paid_once(client, given).customer_details
    assert details.email == "given@example.com"


def test_reloading_after_payment_leads_on(client, browser):
    """CHECKOUT-1."""
    session = session_of(client)
    first = submit(browser, session.url)
    again = [browser.get(session.url), submit(browser, session.url), show_code(browser, session.url),
             submit(browser, session.url, number=DECLINED)]
    assert {one.status_code for one in again} == {303}
    assert {one.headers["Location"] for one in again} == {first.headers["Location"]}
    assert_paid_once(client, session)


def test_sixteen_tabs_at_once(client):
    """CHECKOUT-3."""
    session = session_of(client)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: submit(Browser(), session.url), range(16)))
    assert {one.status_code for one in answers} == {303}
    assert_paid_once(client, session)
    (charge,) = client.v1.charges.list({"payment_intent": retrieve(client, session).payment_intent}).data
    assert charge.amount == 1500


def code_of(client, session):
    intent = client.v1.payment_intents.retrieve(retrieve(client, session).payment_intent)
    assert intent.status == "requires_action"
    action = intent.next_action.to_dict()
    return action[action["type"]]["data"]


def test_a_card_and_a_code_at_once(client, http):
    wallet = Wallets(http.server).wallet(9000, "usd")
    for _ in range(5):
        session = session_of(client)
        show_code(Browser(), session.url)
        data = code_of(client, session)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            by_card = pool.submit(submit, Browser(), session.url)
            pool.submit(http.post, "/v1/qr_payments", {"wallet": wallet, "data": data}).result()
            assert by_card.result().status_code == 303
        assert_paid_once(client, session)


def test_paid_by_code(client, http, browser):
    session = session_of(client)
    led = show_code(browser, session.url)
    assert (led.status_code, led.headers["Location"]) == (303, session.url)
    answer = browser.get(session.url)
    page = Page(answer.text)
    assert 'http-equiv="refresh"' in answer.text and "?by=card" in page.links
    (picture,) = re.findall(r'<img [^>]*src="([^"]+)"', answer.text)
    drawn = browser.get(urllib.parse.urljoin(session.url, picture))
    assert drawn.headers["Content-Type"] == "image/svg+xml"
    assert show_code(browser, session.url).status_code == 303  # the same one
    wallet = Wallets(http.server).wallet(2000, "usd")
    answer = http.post("/v1/qr_payments", {"wallet": wallet, "data": code_of(client, session)})
    assert answer.json()["status"] == "succeeded", answer.text
    assert browser.get(session.url).status_code == 303
    assert_paid_once(client, session)


def test_a_card_instead_of_the_code(client, http, browser):
    session = session_of(client)
    show_code(browser, session.url)
    data = code_of(client, session)
    assert 'autocomplete="cc-number"' in browser.get(session.url + "?by=card").text
    assert submit(browser, session.url).status_code == 303
    assert_paid_once(client, session)
    wallet = Wallets(http.server).wallet(2000, "usd")
    assert http.post("/v1/qr_payments", {"wallet": wallet, "data": data}).status_code == 400


def test_three_d_secure(client, browser):
    session = session_of(client)
    led = submit(browser, session.url, number=CHALLENGED)
    challenge = led.headers["Location"]
    assert "/authenticate/" in challenge
    back = browser.open(session.url)
    assert challenge in back.links
    done = browser.press(challenge, "complete")
    assert (done.status_code, done.headers["Location"]) == (303, session.url)
    assert browser.get(session.url).status_code == 303
    assert_paid_once(client, session)


def test_three_d_secure_refused_and_another_card(client, browser):
    session = session_of(client)
    challenge = submit(browser, session.url, number=CHALLENGED).headers["Location"]
    assert browser.press(challenge, "fail").headers["Location"] == session.url
    page = browser.open(session.url)
    assert "another card" in page.text() and len(page.forms) == 2
    assert submit(browser, session.url).headers["Location"].startswith("https://shop.example/")
    assert_paid_once(client, session)


def test_three_d_secure_can_be_asked_for(client, browser):
    session = session_of(client, payment_method_options={"card": {"request_three_d_secure": "any"}})
    assert "/authenticate/" in submit(browser, session.url, number="4000000000003055").headers["Location"]


@pytest.mark.parametrize("number, words", [
    (DECLINED, "declined the card"), ("4000000000009995", "not enough money"),
    ("4000000000000127", "security code is not right"), ("4000000000000069", "has expired"),
    ("4000000000000119", "something went wrong")])
def test_declined_and_another_card(client, browser, number, words):
    session = session_of(client)
    led = submit(browser, session.url, number=number)
    assert (led.status_code, led.headers["Location"]) == (303, session.url)
    answer = browser.get(session.url)
    assert words in Page(answer.text).text() and "Nothing was charged" in answer.text
    assert number not in answer.text and 'value="Jenny Rosen"' in answer.text
    assert retrieve(client, session).status == "open"
    submit(browser, session.url)
    assert_paid_once(client, session)


@pytest.mark.parametrize("fields, where", [
    ({"number": "4242424242424241"}, "number"), ({"number": "12"}, "number"), ({"number": ""}, "number"),
    ({"number": "4242x"}, "number"), ({"number": "4" * 500}, "number"),
    ({"card[expiry]": "13/34"}, "expiry"), ({"card[expiry]": ""}, "expiry"), ({"card[expiry]": "01/20"}, "expiry"),
    ({"card[cvc]": ""}, "cvc"), ({"card[cvc]": "12"}, "cvc"), ({"name": ""}, "name"),
    ({"name": "4242 4242 4242 4242"}, "name"), ({"email": ""}, "email"),
    ({"name": "Jenny\x01"}, "name"), ({"email": "4242 4242 4242 4242"}, "email"), ({"email": "nobody"}, "email")])
def test_errors_stand_beside_their_fields(client, browser, fields, where):
    session = session_of(client)
    answer = submit(browser, session.url, **fields)
    assert answer.status_code == 422
    assert re.findall(r'<p class="error" id="(\w+)-error">', answer.text) == [where]
    (field,) = re.findall(rf'<input id="{where}"[^>]*>', answer.text)
    assert f'aria-describedby="{where}-error"' in field and 'aria-invalid="true"' in field
    for name in ("number", "cvc"):
        (field,) = re.findall(rf'<input id="{name}"[^>]*>', answer.text)
        assert " value=" not in field
    assert "4242 4242" not in answer.text
    assert retrieve(client, session).payment_intent is None
    submit(browser, session.url)
    assert_paid_once(client, session)


@pytest.mark.parametrize("fields", [
    {"amount": "1"}, {"card[number][x]": "1"}, {"capture_method": "manual"}, {"off_session": "true"},
    {"payment_method": "pm_card_visa"}, {"payment_method_data[wallet][id]": "wal_x"}, {"by": "gift"},
    {"payment_method_data[type]": "wallet"}])
def test_a_payer_chooses_nothing_else(client, browser, fields):
    session = session_of(client)
    answer = submit(browser, session.url, **fields)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert retrieve(client, session).payment_intent is None


def test_texts_that_json_escapes(client, browser):
    """As long as they may be, each character of six in JSON: nothing of them is lost."""
    session = session_of(client, line_items=[
        item("\x01" * 500, description="\x01" * 1000) for _ in range(25)] + [item(description="\x01" * 1000)])
    email = '"' * 64 + "@" + "b" * 185 + ".com"
    assert submit(browser, session.url, name='"' * 200, email=email).status_code == 303
    (charge,) = client.v1.charges.list({"payment_intent": retrieve(client, session).payment_intent}).data
    assert (charge.billing_details.name, charge.billing_details.email) == ('"' * 200, email)


def test_a_session_of_a_hundred_large_items(http):
    body = "mode=payment&success_url=https://shop.example/paid" + "".join(
        f"&line_items[{i}][price_data][currency]=usd&line_items[{i}][price_data][unit_amount]=100"
        f"&line_items[{i}][price_data][product_data][name]={500 * CONTROL}"
        f"&line_items[{i}][price_data][product_data][description]={1000 * CONTROL}" for i in range(100))
    answer = http.post("/v1/checkout/sessions", body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text
    items = http.get(f"/v1/checkout/sessions/{answer.json()['id']}/line_items?limit=100").json()["data"]
    assert [one["description"] for one in items] == [500 * CONTROL] * 100


def test_ten_cards_and_no_more(client, browser):
    """CHECKOUT-4: an address is of no use for trying out stolen numbers."""
    session = session_of(client)
    for _ in range(10):
        assert submit(browser, session.url, number=DECLINED).status_code == 303
    refused = submit(browser, session.url)
    assert refused.status_code == 422 and "Too many cards" in refused.text
    assert len(client.v1.charges.list(
        {"payment_intent": retrieve(client, session).payment_intent, "limit": 100}).data) == 10
    assert "cc-number" not in browser.get(session.url).text


@pytest.mark.parametrize("types, shown, hidden", [
    (["card"], "cc-number", "mobile_qr"), (["mobile_qr"], "mobile_qr", "cc-number")])
def test_only_what_the_merchant_takes(client, browser, types, shown, hidden):
    session = session_of(client, payment_method_types=types)
    text = browser.get(session.url).text
    assert shown in text and hidden not in text
    refused = show_code(browser, session.url) if types == ["card"] else submit(browser, session.url)
    assert refused.status_code == 422
    assert retrieve(client, session).payment_intent is None


def test_hostile_texts_stay_texts(client, browser):
    hostile = "</dt><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
    session = session_of(client, line_items=[item(hostile, description=hostile)],
                         cancel_url="https://shop.example/?a='onmouseover='alert(1)&b=%22")
    text = browser.get(session.url).text
    assert "<script" not in text and "<img" not in text
    assert hostile in html.unescape(text)
    assert Page(text).links == ["https://shop.example/?a='onmouseover='alert(1)&b=%22"]
    answer = submit(browser, session.url, number="1", name=hostile, email='"><script>x</script>',
                    **{"card[expiry]": '"><b>'})
    assert "<script" not in answer.text and "<b>" not in answer.text
    assert {field["value"] for field in re.finditer(r'value="(?P<value>[^"]*)"', answer.text)} >= {
        html.escape(hostile, quote=True).replace("&#x27;", "&#39;")}


def test_a_hundred_items(client, browser):
    session = session_of(client, line_items=[item("<" * 200, 100, description="&" * 300) for _ in range(100)])
    assert browser.get(session.url).status_code == 200
    submit(browser, session.url)
    assert_paid_once(client, session, 10000)


@pytest.mark.parametrize("change", [
    lambda url: url[:-1], lambda url: url + "x", lambda url: url.rsplit("_", 1)[0],
    lambda url: url.rsplit("_", 1)[0] + "_", lambda url: url.replace("cs_", "cs_1"),
    lambda url: url.replace("cs_", "pi_"), lambda url: url.rsplit("/", 1)[0] + "/x"])
def test_wrong_addresses_are_all_the_same(client, browser, change):
    """CHECKOUT-4."""
    session = session_of(client)
    reference = browser.get(session.url + "x")
    for answer in (browser.get(change(session.url)), submit(browser, change(session.url))):
        assert answer.status_code == 404 and answer.text == reference.text
    assert retrieve(client, session).payment_intent is None


def test_other_scopes_are_not_reached(client, browser):
    url = session_of(client).url
    head, scope, token = url.rsplit("/", 2)
    for other in (str(int(scope) + 1), str(int(scope) + 2), "0", "x", "-1"):
        assert submit(browser, f"{head}/{other}/{token}").status_code == 404


# ---- a session and its intent ----------------------------------------------------------------


def test_expired_before_anybody_came(client, browser):
    session = session_of(client)
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url, expired.payment_intent) == ("expired", None, None)
    assert events_about(client, session.id) == ["checkout.session.expired"]
    for answer in (browser.get(session.url), submit(browser, session.url), show_code(browser, session.url)):
        assert answer.status_code == 410 and Page(answer.text).heading() == "This page has expired"
        assert Page(answer.text).links == [CANCEL]
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.checkout.sessions.expire(session.id)
    assert "expired" in str(error.value)
    assert events_about(client, session.id) == ["checkout.session.expired"]


def test_expiring_cancels_the_intent(client, browser):
    """CHECKOUT-2."""
    session = session_of(client)
    challenge = submit(browser, session.url, number=CHALLENGED).headers["Location"]
    expired = client.v1.checkout.sessions.expire(session.id, {"expand": ["payment_intent"]})
    assert (expired.status, expired.payment_intent.status) == ("expired", "canceled")
    assert expired.payment_intent.cancellation_reason == "expired"
    # Whoever answers the bank now finds that nothing is paid.
    assert browser.post(challenge, "complete").headers["Location"] == session.url
    assert browser.get(session.url).status_code == 410
    assert client.v1.charges.list({"payment_intent": expired.payment_intent.id}).data == []


def test_canceling_the_intent_expires_the_session(client, browser):
    """CHECKOUT-2."""
    session = session_of(client)
    submit(browser, session.url, number=DECLINED)
    intent = retrieve(client, session).payment_intent
    client.v1.payment_intents.cancel(intent, {"cancellation_reason": "abandoned"})
    assert retrieve(client, session).status == "expired"
    assert events_about(client, session.id) == ["checkout.session.expired"]
    assert submit(browser, session.url).status_code == 410


def test_the_intent_is_the_sessions(server, client, browser):
    """CHECKOUT-5."""
    session = session_of(client)
    submit(browser, session.url, number=DECLINED)
    intent = client.v1.payment_intents.retrieve(retrieve(client, session).payment_intent)
    public = sdk(server, server.publishable_key)
    for refused in (
            lambda: client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
            lambda: public.v1.payment_intents.confirm(
                intent.id, {"payment_method": "pm_card_visa", "client_secret": intent.client_secret}),
            lambda: client.v1.payment_intents.update(intent.id, {"amount": 50}),
            lambda: client.v1.payment_intents.update(intent.id, {"payment_method_types": ["wallet"]})):
        with pytest.raises(stripe.InvalidRequestError) as error:
            refused()
        assert session.id in str(error.value)
    changed = client.v1.payment_intents.update(intent.id, {"metadata": {"a": "b"}, "description": "x"})
    assert changed.description == "x"
    submit(browser, session.url)
    assert_paid_once(client, session)


@pytest.mark.parametrize("end", ["capture", "cancel"])
def test_manual_capture(client, browser, end):
    session = session_of(client, payment_intent_data={"capture_method": "manual"})
    assert submit(browser, session.url).headers["Location"].startswith("https://shop.example/")
    waiting = retrieve(client, session, expand=["payment_intent"])
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert waiting.payment_intent.status == "requires_capture"
    if end == "capture":
        client.v1.payment_intents.capture(waiting.payment_intent.id)
        assert_paid_once(client, session)
    else:
        client.v1.payment_intents.cancel(waiting.payment_intent.id)
        over = retrieve(client, session)
        assert (over.status, over.payment_status) == ("complete", "unpaid")
        assert events_about(client, session.id, type="checkout.session.*") == ["checkout.session.completed"]


def test_a_card_is_kept_with_its_customer(client, browser):
    customer = client.v1.customers.create({})
    session = session_of(client, customer=customer.id, payment_intent_data={"setup_future_usage": "off_session"})
    submit(browser, session.url)
    assert_paid_once(client, session)
    (method,) = client.v1.customers.payment_methods.list(customer.id).data
    paid = client.v1.payment_intents.create({
        "amount": 900, "currency": "usd", "customer": customer.id, "payment_method": method.id,
        "off_session": True, "confirm": True})
    assert paid.status == "succeeded"


def test_the_books_are_whole(make_server):
    server = make_server()
    client, browser = sdk(server), Browser()
    for number in (VISA, DECLINED, CHALLENGED):
        submit(browser, session_of(client).url, number=number)
    assert [charge.amount_captured for charge in settled(server).charges if charge.paid] == [1500]


def test_a_merchants_name_and_a_closed_merchants_page(make_server):
    server, browser = make_server("--admin-listen=127.0.0.1:0"), Browser()
    shop = create(operators_url(server), "Corner & Shop")
    client = sdk(server, shop["key"])
    session = session_of(client)
    assert browser.open(session.url).heading() == "Pay Corner & Shop"
    for verb, status in (("close", 410), ("open", 200)):
        done = run_tael("merchants", verb, shop["id"], f"--url={operators_url(server)}")
        assert done.returncode == 0, done.stderr
        assert browser.get(session.url).status_code == status
        assert submit(browser, session.url).status_code == (410 if verb == "close" else 303)
    assert_paid_once(client, session)


def test_while_the_bank_is_asked(make_server):
    """Another tab sees that it is being paid; who presses there is told to look again, or led on."""
    server = make_server("--issuer-latency=6s", "--lock-timeout=50ms")
    client, browser = sdk(server), Browser()
    session = session_of(client)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(submit, Browser(), session.url)
        wait_until(lambda: browser.open(session.url).forms == [], 5, "the attempt")
        text = browser.get(session.url).text
        assert "is being processed" in text and 'http-equiv="refresh"' in text
        refused = submit(browser, session.url)
        assert refused.status_code == 429
        page = Page(refused.text)
        assert page.heading() == "Please look again in a moment" and page.forms == []
        assert first.result().headers["Location"].startswith("https://shop.example/paid")
    assert_paid_once(client, session)
