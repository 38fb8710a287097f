"""A person's browser, as far as the page needs one: it reads HTML, presses buttons, and stops in
front of addresses that are not the server's."""

import html.parser
import urllib.parse

import requests


class Page(html.parser.HTMLParser):
    """What is on a page: texts, the one form with its buttons, links."""

    VOID = {"meta", "br", "hr", "img", "input", "link"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.words = {}
        self.language = None
        self.forms, self.buttons, self.links, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag == "html":
            self.language = attributes.get("lang")
        elif tag == "form":
            self.forms.append(attributes)
        elif tag == "button":
            self.buttons.append(attributes)
        elif tag == "a":
            self.links.append(attributes["href"])
        elif tag == "script":
            self.scripts.append(attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.words.setdefault(self.open[-1], []).append(data.strip())

    def heading(self):
        (heading,) = self.words["h1"]
        return heading

    def text(self):
        return " ".join(" ".join(words) for words in self.words.values())


class Browser:
    def __init__(self):
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, url):
        return self.session.get(url, allow_redirects=False, timeout=60)

    def open(self, url):
        answer = self.get(url)
        assert answer.status_code == 200, answer.text
        return Page(answer.text)

    def post(self, url, answer):
        return self.session.post(url, {"answer": answer}, allow_redirects=False, timeout=60)

    def press(self, url, answer):
        """Presses the button with that value; the page must have it."""
        page = self.open(url)
        assert [form.get("method") for form in page.forms] == ["post"]
        assert answer in [button["value"] for button in page.buttons]
        assert {button["name"] for button in page.buttons} == {"answer"}
        target = urllib.parse.urljoin(url, page.forms[0].get("action", ""))
        return self.post(target, answer)

    def follow(self, url, answer="complete"):
        """Presses, and answers the query of where that leads to."""
        led = self.press(url, answer)
        assert led.status_code == 303, led.text
        return query_of(led.headers["Location"])


def query_of(location):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))


def action_url(intent):
    """Where an intent or a setup sends its customer."""
    assert intent.status == "requires_action"
    assert intent.next_action.type == "redirect_to_url"
    return intent.next_action.redirect_to_url.url
