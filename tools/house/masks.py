"""Makes answers of a live server the same at every run: what is random or tells the time is
replaced by what looks like it, always in the same way."""

import calendar
import re
import time

MOMENT = 1767225600  # 2026-01-01 00:00:00 UTC: what "now" becomes
DAY = 86400
NEAR_DAYS = 400
ID = re.compile(r"\b([a-z]{2,8})_[0-9A-Za-z]{22}(?![0-9A-Za-z])")
TOKEN = re.compile(r"(_example[0-9]+_)[0-9A-Za-z]{16,}")  # an id with a secret behind it
SIGNATURE = re.compile(r"\bv1=[0-9a-f]{64}")
TRACE_PARENT = re.compile(r"\b00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\b")
CODE = re.compile(r"80[0-9]{16}")  # that a payer shows
SECONDS = re.compile(r"\b1[0-9]{9}\b")
ISO_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
ISO = re.compile(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
PAYMENT_CODE = re.compile(r"(000201.*?)([a-z]{2,8})_([0-9A-Za-z]{22})(.*6304)[0-9A-F]{4}")
SECRET = re.compile(r"(_secret_)[0-9A-Za-z]+")
KEY = re.compile(r"\b([sprw][a-z]*_(?:test_|live_)?)[0-9A-Za-z]{24,}")
# Links that a server hands out: where it listens, and what proves that one may follow them.
HOST = re.compile(r"\bhttp://127\.0\.0\.1:[0-9]+")
PAGE_SECRET = re.compile(r"(/(?:authenticate|checkout)/[0-9]+/[a-z]+_example[0-9]+)_[0-9A-Za-z]+")
NANOSECONDS = re.compile(r"[0-9]{19}")
# Members whose value is drawn anew in every data folder, or goes by the time of the day.
DRAWN = {
    "arrival_date": MOMENT + DAY,  # a midnight, so that it would be rounded by the time of the day
    "authorization_code": "A12345",
    "duration_ms": 12,
    "fingerprint": "Xt5EWLLDS7FJjR1c",
    "hint": "...1234",
    "network_transaction_id": "105000000000001",
    "risk_score": 12,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "transaction_id": "3f1c2a8e-5b7d-4e90-8a61-2d4c6b8e0f13",
}


def checksum(text):
    """CRC-16 of ISO/IEC 13239 as payment codes have it."""
    value = 0xFFFF
    for byte in text.encode():
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return f"{value:04X}"


def payment_code(match):
    """A payment code with another reference in it, as long as the one it had, and still valid."""
    text = f"{match[1]}{match[2]}_{'example':0>22}{match[4]}"
    return text + checksum(text)


class Masks:
    """Remembers what stands for what, for one page."""

    def __init__(self):
        self.now = time.time()
        self.ids = {}
        self.counts = {}
        self.nanoseconds = {}
        self.replaced = {}  # addresses of this machine, and what stands for them

    def fake_id(self, match):
        if match.group() not in self.ids:
            prefix = match.group(1)
            self.counts[prefix] = self.counts.get(prefix, 0) + 1
            self.ids[match.group()] = f"{prefix}_example{self.counts[prefix]}"
        return self.ids[match.group()]

    def text(self, value):
        for address, name in self.replaced.items():
            value = value.replace(address, name)
        value = PAYMENT_CODE.sub(payment_code, value)
        value = ID.sub(self.fake_id, value)
        value = TOKEN.sub(r"\1example", value)
        value = SECRET.sub(r"\1example", value)
        value = HOST.sub("http://127.0.0.1:8080", value)
        value = PAGE_SECRET.sub(r"\1_example", value)
        value = KEY.sub(r"\1example", value)
        value = SIGNATURE.sub("v1=" + "0123456789abcdef" * 4, value)
        value = TRACE_PARENT.sub(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", value)
        value = SECONDS.sub(self.seconds, value)
        value = ISO.sub(self.iso, value)
        if CODE.fullmatch(value):
            return "801234567890123458"
        if NANOSECONDS.fullmatch(value) and self.is_near(int(value) / 1e9):
            number = self.nanoseconds.setdefault(value, len(self.nanoseconds) + 1)
            return f"{MOMENT}{number:09}"
        return value

    def seconds(self, match):
        """A moment inside a text."""
        value = int(match.group())
        return str(self.moment(value)) if self.is_near(value) else match.group()

    def iso(self, match):
        value = calendar.timegm(time.strptime(match.group(), ISO_FORMAT))
        return time.strftime(ISO_FORMAT, time.gmtime(self.moment(value)))

    def is_near(self, seconds):
        return abs(seconds - self.now) < NEAR_DAYS * DAY

    def moment(self, value):
        """Now, or so many days from now."""
        return MOMENT + round((value - self.now) / DAY) * DAY

    def value(self, value, name=None):
        if name in DRAWN and value not in (None, ""):
            return DRAWN[name]
        if isinstance(value, dict):
            return {key: self.value(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool) and self.is_near(value):
            return self.moment(value)
        return value
