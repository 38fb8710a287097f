"""Chromium without a window, driven over its debugging pipe: a person's real browser, for pages that
are made of scripts. Nothing but Python's standard library."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time

from kit.server import wait_until

ANSWER_SECONDS = 120
PIPES = (3, 4)  # where --remote-debugging-pipe looks for them
HIGH = 10  # no pipe is among those while it is put there

FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--lang=en-US", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions",
    # What is pressed counts also before the page was painted for the first time, which takes a busy machine a while.
    "--allow-pre-commit-input",
    # A tab behind others, or one that takes long, is as awake as any.
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding", "--disable-hang-monitor",
)

# In every page before its own scripts: what the policy refuses is written down, and so are the console's
# notes, which go by themselves.
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation',
  (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
window.told = [];
new MutationObserver((changes) => {
  for (const node of changes.flatMap((one) => [...one.addedNodes])) {
    if (node.className === 'note') told.push(node.textContent);
  }
}).observe(document, {childList: true, subtree: true});
"""
# A field by its label's text, a button or link by its own, what is shown only, and in an open dialog if
# there is one. What is pressed is pressed where nothing lies over it.
FIND = """
window.allIn = (within, kinds) => {
  const place = within ? document.querySelector(within) : document.querySelector('dialog[open]') || document.body;
  return place ? [...place.querySelectorAll(kinds)] : [];
};
window.isShown = (node) => node.getClientRects().length > 0;
window.fieldOf = (label, within) => {
  const found = allIn(within, 'label').find((one) => one.textContent.trim() === label);
  return found ? document.getElementById(found.htmlFor) : null;
};
window.pressable = (text, within) => allIn(within, 'button, a, summary')
  .find((one) => isShown(one) && one.textContent.trim() === text) || null;
window.middleOf = (node) => {
  if (!node || node.disabled) return null;
  node.scrollIntoView({block: 'center', behavior: 'instant'});
  const box = node.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  return node.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
};
window.enter = (node, value) => {
  if (!node) return false;
  if (node.type === 'checkbox') {
    node.checked = value;
  } else {
    node.value = value;
    for (const kind of ['input', 'change']) node.dispatchEvent(new Event(kind, {bubbles: true}));
  }
  return true;
};
"""


# Texts whose contrast with what is behind them is less than WCAG 2.2 asks for (1.4.3), without those of
# controls that are off.
FAINT = """
(() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, i) => sum + one * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const color = parts(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
  };
  const found = new Set();
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim() !== '');
    if ((!own && !node.placeholder) || !isShown(node) || node.matches(':disabled')) continue;
    const style = getComputedStyle(node, own ? null : '::placeholder');
    const large = parseFloat(style.fontSize) >= 24 ||
      (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const [a, b] = [light(parts(style.color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) {
      found.add(`${node.tagName} "${(node.textContent.trim() || node.placeholder).slice(0, 40)}" ${ratio.toFixed(2)}`);
    }
  }
  return [...found];
})()
"""


NAMED = ("button", "checkbox", "columnheader", "combobox", "dialog", "heading", "image", "link", "navigation",
         "search", "searchbox", "textbox")


def contrast(one, other):
    """WCAG's ratio of two colours: #rgb or #rrggbb."""
    def light(text):
        digits = text.lstrip("#")
        digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
        parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(factor * part for factor, part in zip((0.2126, 0.7152, 0.0722), linear))
    darker, lighter = sorted([light(one), light(other)])
    return (lighter + 0.05) / (darker + 0.05)


class PageLeft(AssertionError):
    """The page that was asked has been left for another."""


SAYS_LEFT = ("context was destroyed", "Cannot find context", "Cannot find default execution context",
             "navigated or closed")


def pipe():
    """Neither end has a number that a child wants for another."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGH) for end in ends]
    for end in ends:
        os.close(end)
    return high


class Chromium:
    """The process. Each page has storage of its own, as another person's browser would."""

    def __init__(self, folder):
        self.numbers = itertools.count(1)
        self.answers, self.pages = {}, {}
        self.buffer = b""
        commands_in, self.commands = pipe()
        self.events, events_out = pipe()

        def take_pipes():
            for end, number in zip((commands_in, events_out), PIPES):
                os.dup2(end, number)

        with open(folder / "chromium-log", "wb") as log:
            self.process = subprocess.Popen(
                [shutil.which("chromium"), *FLAGS, f"--user-data-dir={folder}/chromium", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=take_pipes,
                close_fds=False, env={**os.environ, "TZ": "America/New_York", "LANGUAGE": "en_US"})
        os.close(commands_in)
        os.close(events_out)

    def _receive(self, seconds):
        """Reads messages that are there, or come within the time."""
        if select.select([self.events], [], [], seconds)[0]:
            piece = os.read(self.events, 1 << 20)
            if not piece:
                raise EOFError("Chromium has ended")
            self.buffer += piece
        *messages, self.buffer = self.buffer.split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].heard(message["method"], message["params"])

    def send(self, method, params=None, session=None):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.commands, text):]
        deadline = time.monotonic() + ANSWER_SECONDS
        while number not in self.answers:
            assert time.monotonic() < deadline, f"{method}: no answer"
            self._receive(1)
        answer = self.answers.pop(number)
        if "error" in answer:
            failure = PageLeft if any(text in answer["error"]["message"] for text in SAYS_LEFT) else AssertionError
            raise failure(f"{method}: {answer['error']}")
        return answer["result"]

    def listen(self):
        """Takes in what was said by itself."""
        self._receive(0)

    def page(self, width=1280, height=900, before_scripts="", scheme="light"):
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", {
            "url": "about:blank", "browserContextId": context, "width": width, "height": height})
        session = self.send("Target.attachToTarget", {
            "targetId": target["targetId"], "flatten": True})["sessionId"]
        page = Page(self, session, context)
        self.pages[session] = page
        for name in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{name}.enable")
        page.send("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH + FIND + before_scripts})
        page.send("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        page.send("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        return page

    def close(self):
        try:
            self.send("Browser.close")
            self.process.wait(30)
        except (AssertionError, EOFError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.commands)
        os.close(self.events)


class Page:
    """One tab."""

    def __init__(self, browser, session, context):
        self.browser, self.session, self.context = browser, session, context
        self.errors, self.requests = [], []

    def send(self, method, params=None):
        return self.browser.send(method, params, self.session)

    def heard(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            # What the API refuses is an error of the network; those are shown to the person.
            if params["entry"]["source"] != "network":
                self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(str(params["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append((params["request"]["method"], params["request"]["url"]))

    # ---- looking

    def js(self, expression):
        """What is asked while one page follows another is asked again."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            with contextlib.suppress(PageLeft):
                return self.js_of_this(expression)
            assert time.monotonic() < deadline, f"no page stays for {expression}"
            time.sleep(0.01)

    def js_of_this(self, expression):
        result = self.send("Runtime.evaluate", {
            "expression": expression, "awaitPromise": True, "returnByValue": True})
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression, what=None, seconds=15):
        """Until the expression is true, and answers what it is. A page that is not whole yet may lack what it
        is about."""
        problem = None

        def found():
            nonlocal problem
            try:
                return self.js(expression)
            except AssertionError as error:
                problem = error
                return None

        try:
            return wait_until(found, seconds, what or expression)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page: {self.text()!r}; its errors: {self.errors}; "
                                 f"the last of ours: {problem}") from None

    def text(self):
        return self.js("document.body ? document.body.innerText : ''")

    def sees(self, text, seconds=15):
        """It is shown, or was told since something was pressed."""
        self.wait(f"[document.body.innerText, ...told].some((one) => one.includes({json.dumps(text)}))",
                  text, seconds)

    def heading(self, text):
        self.wait(f"[...document.querySelectorAll('h1')].some((one) => one.textContent === "
                  f"{json.dumps(text)})", f"heading {text}")

    def no_complaints(self):
        """No script failed, and the policy refused nothing."""
        self.browser.listen()
        assert self.errors == []
        assert self.js("window.violations") == []

    def faint(self):
        """Texts that not everybody can read, for want of contrast."""
        return self.js(FAINT)

    def nameless(self):
        """Roles of what has no name, so that who hears the page does not know what it is for."""
        self.send("Accessibility.enable")
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [node["role"]["value"] for node in nodes if not node["ignored"] and
                node["role"]["value"] in NAMED and not node.get("name", {}).get("value", "").strip()]

    # ---- doing

    def open(self, url):
        self.send("Page.navigate", {"url": url})
        self.wait("document.readyState === 'complete' && document.querySelector('h1') !== null", url)

    def press(self, text, within=None, times=1):
        x, y = self.wait(f"told.length = 0, middleOf(pressable({json.dumps(text)}, {json.dumps(within)}))",
                         f"something to press: {text}")
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.send("Input.dispatchMouseEvent", {
                    "type": kind, "x": x, "y": y, "button": "left", "clickCount": count})

    def type_key(self, name, code, text=None):
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
            if text and kind == "keyDown":
                event["text"] = text
            self.send("Input.dispatchKeyEvent", event)

    def fill(self, label, value, within=None):
        self.wait(f"enter(fieldOf({json.dumps(label)}, {json.dumps(within)}), {json.dumps(value)})",
                  f"a field {label}")

    def downloads(self, folder):
        """Where files go that pages give."""
        self.browser.send("Browser.setDownloadBehavior", {
            "behavior": "allow", "browserContextId": self.context, "downloadPath": str(folder)})

    def picture(self, path):
        """A PNG, for whoever looks into a failure."""
        data = self.send("Page.captureScreenshot", {"format": "png"})["data"]
        path.write_bytes(base64.b64decode(data))
