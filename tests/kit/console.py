"""A tab of the merchant console, as its tests in tests/e2e share it. Fixtures of each module that imports them."""

import json

import pytest

PLANTED = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>"


def signed_in(chromium, server, key=None, **keywords):
    page = chromium.page(**keywords)
    page.open(f"{server.url}/console/")
    page.fill("API key", key or server.key)
    page.press("Sign in")
    page.heading("Overview")
    return page


@pytest.fixture(scope="module")
def page(chromium, server):
    """One person's tab, for tests that do not mind what was done in it before."""
    return signed_in(chromium, server)


@pytest.fixture(autouse=True)
def nothing_complains(request):
    yield
    if "page" in request.fixturenames:
        request.getfixturevalue("page").no_complaints()


def go(page, address):
    """A page of the console, whole: nothing of it is still being asked for."""
    mark(page)
    page.js(f"location.hash === {json.dumps('#/' + address)} ? dispatchEvent(new Event('hashchange'))"
            f" : (location.hash = {json.dumps('#/' + address)})")
    settle(page)


def mark(page):
    """What follows waits until this page was left for another."""
    page.js("document.querySelector('main').append(Object.assign(document.createElement('i'), {id: 'left'}))")


def settle(page):
    page.wait("document.querySelector('h1') !== null && !document.querySelector('#left') && "
              "!document.querySelector('[aria-busy]') && "
              "![...document.querySelectorAll('main div')].some((one) => one.textContent === 'Loading...')",
              "the whole page")


def shown_id(page):
    """Of the object whose page it is."""
    return page.js("location.hash").split("/")[-1]


def sees_a_code(page):
    """The picture of a QR code, loaded and drawn."""
    page.wait("document.querySelector('img.qr') && document.querySelector('img.qr').naturalWidth > 50",
              "the picture")


def refunds_of(client, intent):
    return [one.amount for one in client.v1.refunds.list({"payment_intent": intent.id}).data]


def timeline(page):
    return page.js("[...document.querySelectorAll('.timeline a')].map((one) => one.getAttribute('href'))")


def events_of(client, *ids):
    """Oldest first."""
    listed = client.v1.events.list({"limit": 100}).auto_paging_iter()
    return [f"#/events/{event.id}" for event in listed if event.data.object.id in ids][::-1]
