"""Numbers of many brands, by every way in and where none belongs: no nine digits of one, in any form,
stay on disk, in a log, in memory or in a core file."""

import base64
import os
import pathlib
import random
import re
import resource
import signal
import time

import pytest
import requests

from kit.books import settled
from kit.client import Http
from kit.server import LONG

PAYMENTS = 110 if LONG else 22
# Prefix and length of each brand.
BRANDS = [("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16), ("36", 14),
          ("3528", 16), ("62", 16), ("4", 13), ("4", 19)]
# Digits in a row that no masking leaves: first six and last four are shown, but not together.
WINDOW = 9
# Hashes and random ids have nine digits of some number by chance, about once in a hundred runs. So many
# they never have, nor nine of two numbers; and there is no way in that only one number is sent by.
SURE = 12
CODE = re.compile(rb"(?i)(?:cvc|cvv|cvn|security.?code)(?:%5d)?[^0-9a-z]{1,8}(\d{3,4})(?!\d)")
RUN = re.compile(rb"\d(?:[ +-]?\d){%d,}" % (WINDOW - 1))


def luhn_digit(digits):
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def new_number(chance, prefix, length):
    digits = prefix + "".join(chance.choice("0123456789") for _ in range(length - len(prefix) - 1))
    return digits + luhn_digit(digits)


class Secrets:
    """The numbers that were sent, and every way to find one again."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.numbers = []
        self.windows = {}  # nine digits: the number that has them
        self.encoded = set()

    def number(self, brand=None, wrong=False):
        number = new_number(self.chance, *(brand or self.chance.choice(BRANDS)))
        if wrong:
            number = number[:-1] + str((int(number[-1]) + 1) % 10)
        self.remember(number)
        return number

    def remember(self, number):
        self.numbers.append(number)
        data = number.encode()
        self.windows |= {data[at:at + WINDOW]: number for at in range(len(data) - WINDOW + 1)}
        even = number if len(number) % 2 == 0 else "0" + number
        self.encoded |= {
            data.hex().encode(), data.hex().upper().encode(), bytes.fromhex(even),
            int(number).to_bytes(8, "little"), int(number).to_bytes(8, "big"),
            number.encode("utf-16-le"),
            *[base64.b64encode(b"\0" * pad + data)[4 if pad else 0:16] for pad in range(3)],
        }

    def code(self, number):
        length = 4 if number[:2] in ("34", "37") else 3
        return "".join(self.chance.choice("0123456789") for _ in range(length))

    def look(self, content):
        """What gives a number or a code away, as text for the message; and by number, what may be chance."""
        found = [form.hex() for form in self.encoded if form in content]
        found += [match.group().decode("latin-1") for match in CODE.finditer(content)]
        perhaps = {}
        for match in RUN.finditer(content):
            digits = re.sub(rb"[ +-]", b"", match.group())
            hits = [window for at in range(len(digits) - WINDOW + 1)
                    if (window := digits[at:at + WINDOW]) in self.windows]
            if len(hits) > SURE - WINDOW:
                found.append(digits.decode())
            elif hits:
                perhaps[self.windows[hits[0]]] = digits.decode()
        return found, perhaps

    def found_in(self, content):
        """All of it: for what holds no hashes, or for a number that is known to be there."""
        found, perhaps = self.look(content)
        return found + list(perhaps.values())


def test_the_search_finds():
    """The search itself: each way to write a number down is one that it would see."""
    secrets = Secrets(1)
    number = secrets.number(("4", 16))
    spaced = " ".join(number[at:at + 4] for at in range(0, 16, 4))
    for text in (number, spaced, spaced.replace(" ", "-"), f"x{number[2:14]}y", number[-9:],
                 f"card[cvc]=739&card[number]={number}", number.encode().hex()):
        assert secrets.found_in(b"..." + text.encode() + b"..."), text
    for form in (bytes.fromhex(number), int(number).to_bytes(8, "little"),
                 base64.b64encode(b"number=" + number.encode() + b"&cvc"),
                 base64.b64encode(b'"number":"' + number.encode() + b'"}')):
        assert secrets.found_in(b"..." + form + b"..."), form
    for text in ("cvc=739", '"cvc":"739"', "payment_method_data%5Bcard%5D%5Bcvc%5D=739",
                 "[cvc]=7391"):
        assert secrets.found_in(b"..." + text.encode() + b"..."), text
    assert secrets.look(b"..." + number[2:14].encode() + b"...") == ([number[2:14]], {})
    assert secrets.look(b"..." + number[2:11].encode() + b"...") == ([], {number: number[2:11]})
    masked = f'{{"bin":"{number[:6]}","last4":"{number[-4:]}","cvc_check":"pass","amount":2000}}'
    assert not secrets.found_in(masked.encode())


def card_of(secrets, number):
    return {"payment_method_data[type]": "card", "payment_method_data[card][number]": number,
            "payment_method_data[card][exp_month]": "12",
            "payment_method_data[card][exp_year]": "2034",
            "payment_method_data[card][cvc]": secrets.code(number)}


def use_cards(server, secrets):
    """Numbers by every way in that there is: one call, a method of its own, a customer's."""
    http = Http(server, validate=False)
    for index in range(PAYMENTS):
        number = secrets.number(BRANDS[index % len(BRANDS)])
        shown = number if index % 3 else " ".join(
            number[at:at + 4] for at in range(0, len(number), 4))
        fields = card_of(secrets, shown)
        key = {"Idempotency-Key": f"card-{server.starts}-{index}"}
        if index % 4 == 3:
            method = http.post("/v1/payment_methods", {
                name.replace("payment_method_data[type]", "type")
                    .replace("payment_method_data[card]", "card"): value
                for name, value in fields.items()}, headers=key)
            assert method.status_code == 200, method.text
            assert method.json()["card"]["last4"] == number[-4:]
            fields = {"payment_method": method.json()["id"]}
            customer = http.post("/v1/customers", {"name": "Jo"}).json()["id"]
            attached = http.post(f"/v1/payment_methods/{fields['payment_method']}/attach",
                                 {"customer": customer})
            assert attached.status_code == 200, attached.text
            fields["customer"] = customer
            key = {}
        answer = http.post("/v1/payment_intents", {
            "amount": "2000", "currency": "usd", "confirm": "true",
            "capture_method": "manual" if index % 5 == 4 else "automatic", **fields}, headers=key)
        assert answer.status_code == 200, answer.text
        assert not secrets.found_in(answer.content)


def misplace_cards(server, secrets):
    """Numbers where none belongs, in requests that are refused: what is written of them?"""
    http = Http(server, validate=False)
    base = {"amount": "2000", "currency": "usd", "confirm": "true"}

    def key():
        return {"Idempotency-Key": f"misplaced-{len(secrets.numbers)}"}

    def refused(method, path, body=None, **headers):
        answer = http.request(method, path, body, headers={**key(), **headers})
        assert answer.status_code >= 400, answer.text

    for _ in range(3):
        refused("POST", "/v1/payment_intents", {**base, **card_of(secrets, secrets.number(
            wrong=True))})
        for name in ("payment_method", "customer", "card[number]", "amount", "confirm"):
            refused("POST", "/v1/payment_intents", {**base, name: secrets.number()})
        refused("POST", "/v1/payment_intents", {**base, secrets.number(): "x"})
        refused("GET", f"/v1/payment_intents/{secrets.number()}")
        refused("GET", f"/v1/charges?customer={secrets.number()}x&limit={secrets.number()}")
        refused("POST", "/v1/refunds", {"charge": secrets.number()})
        refused("POST", f"/v1/{secrets.number()}", {})
        refused("GET", "/v1/charges", **{"Authorization": f"Bearer {secrets.number()}"})
        refused("POST", "/v1/payment_intents", f"{secrets.number()}=%zz&[[",
                **{"Content-Type": "application/x-www-form-urlencoded"})
        refused("POST", "/v1/ledger/query", f'{{"op": "{secrets.number()}"',
                **{"Content-Type": "application/json", "User-Agent": secrets.number()})


def search(server, secrets):
    """Every byte of the data folder, and everything that the program has printed."""
    looked_at, perhaps = 0, {}
    for path in sorted(server.folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes().rstrip(b"\0")  # what is only allocated
            looked_at += len(content)
            found, parts = secrets.look(content)
            assert not found, f"{path.relative_to(server.folder)}: {found[:5]}"
            perhaps |= {number: (path.name, part) for number, part in parts.items()}
    assert len(perhaps) < 2, perhaps
    assert (server.data / "tael.db").exists() and looked_at > 100_000


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_no_number_on_disk_or_in_the_log(make_server, end):
    secrets = Secrets(end)
    server = make_server("--log-level=debug", "--ledger-segment-size=4m")
    use_cards(server, secrets)
    search(server, secrets)  # with the write-ahead logs of a server at work
    misplace_cards(server, secrets)
    search(server, secrets)
    if end == "kill":
        server.kill()
    else:
        server.stop()
    search(server, secrets)
    server.start()  # recovery rewrites what it found
    settled(server)
    use_cards(server, secrets)
    server.stop()
    search(server, secrets)


def test_no_number_after_a_crash_in_the_middle(make_server):
    """Killed while cards are under way, with answers of the network missing."""
    secrets = Secrets("crash")
    server = make_server("--log-level=debug", "--ledger-segment-size=4m", "--rail-timeout=100ms",
                         "--issuer-lost-per-mille=300", "--attempt-lease=1s")
    http = Http(server, validate=False)
    for index in range(12):
        number = secrets.number()
        http.post("/v1/payment_intents", {"amount": "2000", "currency": "usd", "confirm": "true",
                                          **card_of(secrets, number)})
    server.kill()
    search(server, secrets)
    server.start("--issuer-lost-per-mille=0", "--rail-timeout=20s")
    settled(server)
    server.stop()
    search(server, secrets)


def test_no_core_file(make_server):
    """Neither by the limit nor, as far as this user may raise it, without one."""
    server = make_server()
    process = pathlib.Path(f"/proc/{server.process.pid}")
    limit = re.search(r"Max core file size\s+(\S+)\s+(\S+)", (process / "limits").read_text())
    assert limit.groups() == ("0", "0")
    # What may not be dumped is root's in /proc, whoever runs it.
    assert (process / "mem").stat().st_uid == 0
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        resource.prlimit(server.process.pid, resource.RLIMIT_CORE, unlimited)
    except PermissionError:
        pass
    os.kill(server.process.pid, signal.SIGSEGV)
    _, status = os.waitpid(server.process.pid, 0)
    server.process.returncode = -signal.SIGSEGV
    server.process = None
    assert os.WTERMSIG(status) == signal.SIGSEGV and not os.WCOREDUMP(status)


def memory_of(pid):
    """The private writable memory of a process, piece by piece."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            start, end = [int(number, 16) for number in area.split("-")]
            for at in range(start, end, 1 << 24):
                memory.seek(at)
                try:
                    yield memory.read(min(1 << 24, end - at))
                except OSError:
                    break


def test_no_number_stays_in_memory(make_server):
    """Once the payments are answered, the buffers that held the numbers have been wiped."""
    secrets = Secrets("memory")
    server = make_server()
    use_cards(server, secrets)
    if os.geteuid() != 0:
        pytest.skip("only root reads the memory of a process that may not be dumped")
    requests.get(server.url + "/metrics", timeout=30)
    time.sleep(0.2)
    numbers = {number.encode() for number in secrets.numbers}
    known, found = False, set()
    for piece in memory_of(server.process.pid):
        known = known or server.key.encode() in piece or b"payment_intent" in piece
        found |= {number for number in numbers if number in piece}
    assert known  # it was the server's memory that was searched
    assert not found, f"{len(found)} of {len(numbers)} numbers"
