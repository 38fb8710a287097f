"""3-D Secure: the challenge, its page, and every way in which it ends."""

import concurrent.futures
import re
import time
import urllib.parse

import pytest
import stripe

from kit.answers import events_about
from kit.books import settled
from kit.browser import Browser, Page, action_url, query_of
from kit.client import Http, card, pay, sdk
from kit.hung import hung_thread
from kit.server import wait_until

RETURN = "https://shop.example/done?cart=7#thanks"
CHALLENGED = "pm_card_threeDSecure2Required"


@pytest.fixture(scope="module")
def browser():
    return Browser()


def challenged(client, amount=2000, token=CHALLENGED, return_url=RETURN, **params):
    intent = pay(client, amount, token=token, return_url=return_url, **params)
    assert intent.status == "requires_action"
    return intent


def test_the_intent_waits_for_the_customer(client):
    intent = challenged(client)
    assert intent.next_action.redirect_to_url.return_url == RETURN
    assert intent.amount_received == 0 and intent.amount_capturable == 0
    assert intent.latest_charge is None and intent.last_payment_error is None
    assert intent.payment_method.startswith("pm_")
    assert client.v1.payment_intents.retrieve(intent.id).to_dict() == intent.to_dict()
    assert events_about(client, intent.id) == [
        "payment_intent.requires_action", "payment_intent.created"]


def test_the_page(client, browser):
    intent = challenged(client, 123456)
    answer = browser.get(action_url(intent))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer.headers["Cache-Control"]
    page = Page(answer.text)
    assert page.language == "en" and page.words["title"] == [page.heading()]
    assert page.scripts == [] and len(page.forms) == 1
    assert page.words["button"] == ["Complete authentication", "Fail authentication"]
    assert [button["value"] for button in page.buttons] == ["complete", "fail"]
    assert "1234.56 USD" in page.text() and "3220" in page.text()
    for secret in (intent.client_secret, "4000000000003220", intent.payment_method):
        assert secret not in answer.text
    # Looking at it does nothing.
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_action"


def test_completed(client, browser):
    intent = challenged(client)
    led = browser.press(action_url(intent), "complete")
    assert led.status_code == 303
    location = led.headers["Location"]
    assert location.startswith("https://shop.example/done?cart=7&") and location.endswith("#thanks")
    assert query_of(location) == {
        "cart": "7", "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret, "redirect_status": "succeeded"}
    intent = client.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert intent.status == "succeeded" and intent.amount_received == 2000
    assert intent.next_action is None
    charge = intent.latest_charge
    secure = charge.payment_method_details.card.three_d_secure
    assert (secure.result, secure.authentication_flow, secure.version) == (
        "authenticated", "challenge", "2.2.0")
    assert secure.electronic_commerce_indicator == "05"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", secure.transaction_id)
    assert charge.payment_method_details.card.checks.cvc_check == "pass"
    assert len(client.v1.charges.list({"payment_intent": intent.id}).data) == 1
    assert events_about(client, intent.id) == [
        "payment_intent.succeeded", "payment_intent.requires_action", "payment_intent.created"]


def test_completed_with_manual_capture(client, browser):
    intent = challenged(client, capture_method="manual")
    assert browser.follow(action_url(intent))["redirect_status"] == "succeeded"
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert intent.status == "requires_capture" and intent.amount_capturable == 2000
    assert client.v1.payment_intents.capture(intent.id).amount_received == 2000


def test_failed(client, browser):
    intent = challenged(client)
    method = intent.payment_method
    assert browser.follow(action_url(intent), "fail")["redirect_status"] == "failed"
    intent = client.v1.payment_intents.retrieve(intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.payment_method is None and intent.next_action is None
    assert intent.latest_charge is None
    error = intent.last_payment_error
    assert error.code == "payment_intent_authentication_failure"
    assert error.type == "invalid_request_error"
    assert error.payment_method.id == method
    assert events_about(client, intent.id)[0] == "payment_intent.payment_failed"
    assert client.v1.payment_intents.confirm(
        intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"


def test_declined_after_authentication(client, browser):
    intent = challenged(client, token="pm_card_threeDSecureRequiredChargeDeclined")
    assert browser.follow(action_url(intent))["redirect_status"] == "failed"
    intent = client.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.code == "card_declined"
    charge = intent.latest_charge
    assert charge.status == "failed"
    assert charge.payment_method_details.card.three_d_secure.result == "authenticated"


def test_without_return_url_the_page_says_how_it_ended(client, browser):
    intent = challenged(client, return_url="")
    assert intent.next_action.redirect_to_url.return_url is None
    answer = browser.press(action_url(intent), "complete")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert page.heading() == "Your payment is confirmed"
    assert page.forms == [] and page.links == []


@pytest.mark.parametrize("first, second", [
    ("complete", "complete"), ("complete", "fail"), ("fail", "complete"), ("fail", "fail")])
def test_the_first_answer_counts(client, browser, first, second):
    """PAYMENTS-8."""
    intent = challenged(client)
    url = action_url(intent)
    wanted = "succeeded" if first == "complete" else "failed"
    assert browser.follow(url, first)["redirect_status"] == wanted
    again = browser.post(url, second)
    assert again.status_code == 303
    assert query_of(again.headers["Location"])["redirect_status"] == wanted
    charges = client.v1.charges.list({"payment_intent": intent.id}).data
    assert [charge.amount for charge in charges] == ([2000] if first == "complete" else [])
    page = browser.open(url)
    assert page.forms == []
    assert page.links == [again.headers["Location"]]


def test_sixteen_answers_at_once(client):
    intent = challenged(client)
    url = action_url(intent)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: Browser().post(url, "complete"), range(16)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(client.v1.charges.list({"payment_intent": intent.id}).data) == 1


@pytest.mark.parametrize("change", [
    lambda url: url[:-1], lambda url: url + "x", lambda url: url.rsplit("_", 1)[0],
    lambda url: url.rsplit("_", 1)[0] + "_", lambda url: url.replace("pi_", "pi_1"),
    lambda url: url.replace("pi_", "seti_"), lambda url: url.rsplit("/", 1)[0] + "/x",
])
def test_wrong_addresses_are_all_the_same(client, browser, change):
    url = action_url(challenged(client))
    answers = [browser.get(change(url)), browser.post(change(url), "complete")]
    reference = browser.get(url + "x")
    for answer in answers:
        assert answer.status_code == 404
        assert answer.text == reference.text
    assert browser.open(url).buttons


def test_other_scopes_are_not_reached(client, browser):
    url = action_url(challenged(client))
    head, scope, token = url.rsplit("/", 2)
    for other in (str(int(scope) + 1), str(int(scope) + 2), "0", "x", "-1"):
        assert browser.get(f"{head}/{other}/{token}").status_code == 404


@pytest.mark.parametrize("body", [{}, {"answer": "perhaps"}, {"answer": ["complete", "fail"]},
                                  {"other": "complete"}, {"answer": ""}])
def test_bad_answers_change_nothing(client, browser, body):
    intent = challenged(client)
    answer = browser.session.post(action_url(intent), body, allow_redirects=False, timeout=60)
    assert answer.status_code == 400
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_action"


def test_cancel_while_the_customer_is_asked(client, browser):
    intent = challenged(client)
    url = action_url(intent)
    canceled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert canceled.status == "canceled" and canceled.next_action is None
    assert browser.open(url).heading() == "Your payment was not confirmed"
    led = browser.post(url, "complete")
    assert query_of(led.headers["Location"])["redirect_status"] == "failed"
    assert client.v1.payment_intents.retrieve(intent.id).status == "canceled"
    assert client.v1.charges.list({"payment_intent": intent.id}).data == []


def test_confirming_again_with_another_method(client, browser):
    intent = challenged(client)
    url = action_url(intent)
    done = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert done.status == "succeeded"
    assert browser.get(url).status_code == 404
    assert browser.post(url, "complete").status_code == 404
    assert len(client.v1.charges.list({"payment_intent": intent.id}).data) == 1


def test_confirming_again_with_the_same_method(client, browser):
    intent = challenged(client)
    old = action_url(intent)
    again = client.v1.payment_intents.confirm(intent.id, {"return_url": RETURN})
    new = action_url(again)
    assert new != old
    assert browser.get(old).status_code == 404
    assert browser.follow(new)["redirect_status"] == "succeeded"


@pytest.mark.parametrize("change", [
    {"amount": 2500}, {"currency": "eur"}, {"payment_method": "pm_card_visa"}])
def test_a_change_ends_the_challenge(client, browser, change):
    """What the customer was asked is not true any more."""
    intent = challenged(client)
    url = action_url(intent)
    changed = client.v1.payment_intents.update(intent.id, change)
    assert changed.status == "requires_confirmation" and changed.next_action is None
    led = browser.post(url, "complete")
    assert query_of(led.headers["Location"])["redirect_status"] == "failed"
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_confirmation"


def test_other_changes_do_not(client, browser):
    intent = challenged(client)
    changed = client.v1.payment_intents.update(
        intent.id, {"description": "later", "metadata": {"a": "b"}})
    assert changed.next_action == intent.next_action
    browser.follow(action_url(changed))
    assert client.v1.payment_intents.retrieve(intent.id).description == "later"


def test_confirmation_by_the_server_after_the_action(client, browser):
    """confirmation_method=manual: the proof waits for the merchant's server."""
    intent = challenged(client, confirmation_method="manual")
    assert browser.follow(action_url(intent))["redirect_status"] == "succeeded"
    waiting = client.v1.payment_intents.retrieve(intent.id)
    assert waiting.status == "requires_confirmation" and waiting.latest_charge is None
    done = client.v1.payment_intents.confirm(intent.id, {"expand": ["latest_charge"]})
    assert done.status == "succeeded"
    secure = done.latest_charge.payment_method_details.card.three_d_secure
    assert secure.result == "authenticated"


@pytest.mark.parametrize("change", [{"amount": 2001}, {"payment_method": CHALLENGED}])
def test_a_proof_is_for_what_was_shown(client, browser, change):
    intent = challenged(client, confirmation_method="manual")
    browser.follow(action_url(intent))
    client.v1.payment_intents.update(intent.id, change)
    assert client.v1.payment_intents.confirm(intent.id).status == "requires_action"


def test_a_publishable_key_does_not_confirm_what_the_server_must(server, client):
    intent = client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "confirmation_method": "manual"})
    with pytest.raises(stripe.InvalidRequestError) as error:
        sdk(server, server.publishable_key).v1.payment_intents.confirm(
            intent.id, {"client_secret": intent.client_secret, "payment_method": "pm_card_visa"})
    assert error.value.http_status == 400


def test_as_a_browser_with_a_publishable_key_would_do(server, client, browser):
    intent = client.v1.payment_intents.create({"amount": 900, "currency": "usd"})
    public = sdk(server, server.publishable_key)
    secret = {"client_secret": intent.client_secret}
    waiting = public.v1.payment_intents.confirm(intent.id, {
        **secret, "return_url": RETURN,
        "payment_method_data": {"type": "card", "card": card("4000000000003220")}})
    query = browser.follow(action_url(waiting))
    assert query["payment_intent_client_secret"] == intent.client_secret
    done = public.v1.payment_intents.retrieve(
        query["payment_intent"], {"client_secret": query["payment_intent_client_secret"]})
    assert done.status == "succeeded"


def test_error_on_requires_action(client):
    with pytest.raises(stripe.CardError) as error:
        pay(client, token=CHALLENGED, error_on_requires_action=True)
    assert error.value.http_status == 402
    assert error.value.code == "authentication_required"
    intent = client.v1.payment_intents.retrieve(error.value.error.payment_intent["id"])
    assert intent.status == "requires_payment_method" and intent.next_action is None
    assert intent.last_payment_error.code == "authentication_required"
    # Cards that ask for nothing are not concerned.
    assert pay(client, error_on_requires_action=True).status == "succeeded"


@pytest.mark.parametrize("url", [
    "/relative", "shop.example/done", "https://", "://shop.example", "javascript://x/%0aalert(1)",
    "JavaScript://x/1", "data://x", "https://shop.example/a b", "https://shop.example/\r\nX: y",
    'https://shop.example/"', "https://shop.example/<a>", "https://shöp.example/", "file:///etc",
])
def test_bad_return_urls(client, url):
    with pytest.raises(stripe.InvalidRequestError) as error:
        pay(client, token=CHALLENGED, return_url=url)
    assert error.value.code == "url_invalid" and error.value.param == "return_url"


@pytest.mark.parametrize("url, begins", [
    ("https://shop.example", "https://shop.example?payment_intent=pi_"),
    ("http://localhost:3000/a?", "http://localhost:3000/a?&payment_intent=pi_"),
    ("shop-app://paid", "shop-app://paid?payment_intent=pi_"),
    ("https://shop.example/a?b=1&amp;c='", "https://shop.example/a?b=1&amp;c='&payment_intent=pi_"),
])
def test_good_return_urls(client, browser, url, begins):
    intent = challenged(client, return_url=url)
    led = browser.press(action_url(intent), "complete")
    assert led.headers["Location"].startswith(begins)
    assert browser.open(action_url(intent)).links == [led.headers["Location"]]


@pytest.mark.parametrize("token, asked, status, result", [
    ("pm_card_visa", "any", "succeeded", "attempt_acknowledged"),
    ("pm_card_mastercard", "challenge", "succeeded", "attempt_acknowledged"),
    ("pm_card_amex", "any", "succeeded", "not_supported"),
    ("pm_card_visa", "automatic", "succeeded", None),
    ("pm_card_threeDSecureOptional", "automatic", "succeeded", None),
    ("pm_card_threeDSecureOptional", "any", "requires_action", None),
    ("pm_card_threeDSecureOptional", "challenge", "requires_action", None),
    ("pm_card_threeDSecureOptionalProcessingError", "any", "succeeded", "processing_error"),
    ("pm_card_threeDSecureOptionalProcessingError", "automatic", "succeeded", None),
])
def test_asked_for_by_the_merchant(client, browser, token, asked, status, result):
    options = {"card": {"request_three_d_secure": asked}}
    intent = pay(client, token=token, payment_method_options=options, expand=["latest_charge"])
    assert intent.status == status
    assert intent.payment_method_options.card.request_three_d_secure == asked
    if status == "requires_action":
        browser.press(action_url(intent), "complete")
        intent = client.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
        result = "authenticated"
    secure = intent.latest_charge.payment_method_details.card.three_d_secure
    assert (secure and secure.result) == result


def test_options_may_come_with_the_confirmation(client):
    options = {"card": {"request_three_d_secure": "any"}}
    intent = client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_threeDSecureOptional"})
    intent = client.v1.payment_intents.confirm(intent.id, {"payment_method_options": options})
    assert intent.status == "requires_action"


def test_options_are_checked(client):
    with pytest.raises(stripe.InvalidRequestError) as error:
        pay(client, payment_method_options={"card": {"request_three_d_secure": "always"}})
    assert error.value.param == "payment_method_options[card][request_three_d_secure]"


def test_a_replayed_confirmation_answers_the_same(http, client, browser):
    body = {"amount": 700, "currency": "usd", "confirm": "true", "payment_method": CHALLENGED,
            "return_url": RETURN}
    key = {"Idempotency-Key": "three-d-secure-replay"}
    first = http.post("/v1/payment_intents", body, headers=key)
    browser.follow(first.json()["next_action"]["redirect_to_url"]["url"])
    again = http.post("/v1/payment_intents", body, headers=key)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert client.v1.payment_intents.retrieve(first.json()["id"]).status == "succeeded"


def test_nobody_answers_in_time(make_server):
    server = make_server("--authentication-timeout=1s")
    client, browser = sdk(server), Browser()
    intent = challenged(client)
    setup = client.v1.setup_intents.create(
        {"confirm": True, "payment_method": CHALLENGED, "return_url": RETURN})

    def expired():
        shown = client.v1.payment_intents.retrieve(intent.id)
        return shown.status == "requires_payment_method" and shown

    shown = wait_until(expired, 10, "the end of the challenge")
    assert shown.last_payment_error.code == "payment_intent_authentication_failure"
    assert "in time" in shown.last_payment_error.message
    shown = wait_until(
        lambda: (now := client.v1.setup_intents.retrieve(setup.id)).status
        == "requires_payment_method" and now, 10, "the end of the setup's challenge")
    assert shown.last_setup_error.code == "setup_intent_authentication_failure"
    for one in (intent, setup):
        assert browser.open(action_url(one)).forms == []
        led = browser.post(action_url(one), "complete")
        assert query_of(led.headers["Location"])["redirect_status"] == "failed"
    settled(server)


def test_an_answer_after_the_time_but_before_the_sweeper(make_server):
    server = make_server("--authentication-timeout=1s", "--sweep-interval=1h")
    client, browser = sdk(server), Browser()
    intent = challenged(client)
    setup = client.v1.setup_intents.create(
        {"confirm": True, "payment_method": CHALLENGED, "return_url": RETURN})
    time.sleep(2.1)
    for one, service in ((intent, client.v1.payment_intents), (setup, client.v1.setup_intents)):
        assert browser.open(action_url(one)).forms == []
        led = browser.post(action_url(one), "complete")
        assert query_of(led.headers["Location"])["redirect_status"] == "failed"
        assert service.retrieve(one.id).status == "requires_payment_method"


def test_who_presses_twice_while_the_bank_answers_sees_a_page(make_server):
    """Another tab, which waits for the first one's answer in vain."""
    server = make_server("--lock-timeout=50ms", cluster=False)
    client, browser = sdk(server), Browser()
    url = action_url(challenged(client))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with hung_thread(server.process, "cards"):
            first = pool.submit(Browser().press, url, "complete")
            wait_until(lambda: browser.open(url).forms == [], 5, "the first answer's arrival")
            refused = browser.post(url, "complete")
        led = first.result()
    assert refused.status_code == 429
    assert refused.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in refused.headers["Content-Security-Policy"]
    page = Page(refused.text)
    assert page.heading() == "Please look again in a moment" and page.forms == []
    (again,) = page.links
    assert browser.get(urllib.parse.urljoin(url, again)).status_code == 200
    assert query_of(led.headers["Location"])["redirect_status"] == "succeeded"


@pytest.mark.parametrize("path", [
    "/authenticate/2/pi_x_y", "/authenticate/99999999999/pi_x_y", "/authenticate/x/y",
    "/qr/99999999999/pi_x_y", "/qr/2/pi_x_y?unknown=1"])
def test_what_is_refused_is_a_page_too(server, browser, path):
    answer = browser.get(server.url + path)
    assert answer.status_code in (400, 404)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert Page(answer.text).language == "en"


def test_the_public_address_can_be_set(make_server):
    server = make_server("--public-url=https://pay.example.com/")
    intent = challenged(sdk(server))
    assert action_url(intent).startswith("https://pay.example.com/authenticate/")


def test_a_restart_keeps_the_challenge(make_server):
    server = make_server()
    client, browser = sdk(server), Browser()
    url = action_url(challenged(client))
    path = url.split("/", 3)[3]
    server.stop()
    server.start()
    led = browser.press(f"{server.url}/{path}", "complete")
    assert query_of(led.headers["Location"])["redirect_status"] == "succeeded"
    assert settled(server).charges[0].amount_captured == 2000


def test_a_page_needs_no_key_and_takes_none(client, browser, server):
    intent = challenged(client)
    path = action_url(intent)[len(server.url):]
    assert Http(server, "sk_test_wrong", validate=False).get(path).status_code == 200
