"""The merchant console in a real browser, and how its files are served."""

import pytest

from kit.chromium import Chromium


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def signed_in(chromium, server, key=None, **keywords):
    page = chromium.page(**keywords)
    page.open(f"{server.url}/console/")
    page.fill("API key", key or server.key)
    page.press("Sign in")
    page.heading("Overview")
    return page


def test_signs_in(chromium, server):
    page = signed_in(chromium, server)
    page.sees("Test mode")
    page.wait("!document.body.innerText.includes('Loading')")
    page.no_complaints()
