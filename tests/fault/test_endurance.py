"""Cards, wallets, codes, refunds and webhooks at a modest rate for a long time: what the server holds does
not grow. ENDURANCE_SECONDS (40; half an hour with TEST_LONG)."""

import os
import pathlib
import re
import time

from kit.books import metrics
from kit.client import Http
from kit.load import Client
from kit.receiver import Receiver
from kit.server import LONG, wait_until
from kit.together import finish
from kit.wallets import Wallets

LOOKS_INTO_PROCESS = True
SECONDS = int(os.environ.get("ENDURANCE_SECONDS", 1800 if LONG else 40))
CLIENTS = 8
PAUSE = 0.1  # of a client between requests
WALLETS = 16
FUNDS = 90_000_000
RECENT = "--ledger-recent=4m"
LIMITS = ("--wallet-limits=business.out=99999999/99999999999/99999999999 "
          "business.in=99999999/99999999999/99999999999")
# Caches fill first: of the documents' pages (64 MiB for each connection) and of the newest history, which
# here is small. Afterwards memory may move by what an allocator keeps; a leak of 64 bytes a
# request would be more than that in the long form.
WARM = 1 / 3
MEMORY_KIB = 8 * 1024 if LONG else 48 * 1024
FILES = 16  # connections that come and go, a segment, a log that begins anew


class Customer(Client):
    """Pays from wallets too, and by codes, shown and scanned."""

    def step(self):
        choice, wallet = self.random.random(), self.random.choice(self.wallets)
        payment = {"amount": "2000", "currency": "usd", "confirm": "true"}
        if choice < 0.2:
            self.ask("/v1/payment_intents", {
                **payment, "payment_method_data[type]": "wallet",
                "payment_method_data[wallet][id]": wallet})
        elif choice < 0.35:
            shown = self.ask("/v1/payment_intents", {
                **payment, "payment_method_types[]": "mobile_qr",
                "payment_method_data[type]": "mobile_qr"})
            data = shown["next_action"]["mobile_qr_display_qr_code"]["data"]
            self.asked("/v1/qr_payments", {"wallet": wallet, "data": data})
        elif choice < 0.45:
            code = self.asked(f"/v1/wallets/{wallet}/payer_codes", {})["code"]
            self.ask("/v1/payment_intents", {
                **payment, "payment_method_data[type]": "payer_code",
                "payment_method_data[payer_code][code]": code})
        else:
            super().step()
        del self.told[:]  # the test's own memory

    def asked(self, path, body):
        answer = self.places[0].post(path, body, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


def held(server):
    """Resident memory in KiB, and open files."""
    process = pathlib.Path(f"/proc/{server.process.pid}")
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text()).group(1))
    return resident, len(os.listdir(process / "fd"))


def differences(server):
    seen = metrics(server)
    return seen["tael_differences"] + seen["tael_wallet_differences"]


def watch(server, seconds):
    samples, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1)
        samples.append(held(server))
        if len(samples) % 60 == 0:
            print(f"{len(samples)} s: {samples[-1][0]} KiB, {samples[-1][1]} files", flush=True)
    return samples


def test_what_it_holds_does_not_grow(make_server):
    with Receiver(lambda received: 200) as receiver:
        server = make_server(LIMITS, RECENT)
        wallets = Wallets(server)
        everyone = [wallets.wallet() for _ in range(WALLETS)]
        for wallet in everyone:
            wallets.fund(wallet, FUNDS)
        answer = Http(server).post("/v1/webhook_endpoints",
                                   {"url": receiver.url(), "enabled_events[]": "*"})
        assert answer.status_code == 200, answer.text
        clients = [Customer(server, everyone, number) for number in range(CLIENTS)]
        for client in clients:
            client.pause = PAUSE
            client.start()
        samples = watch(server, SECONDS)
        assert not any(client.troubles for client in clients)
        delivered = len(receiver.received)
        finish(clients)
        warm = samples[int(len(samples) * WARM):]
        begin, end = warm[:len(warm) // 4], warm[-len(warm) // 4:]
        memory = [max(one[0] for one in part) for part in (begin, end)]
        files = [max(one[1] for one in part) for part in (begin, end)]
        print(f"{SECONDS} s, {delivered} events delivered: {memory} KiB, {files} files")
        assert delivered > SECONDS
        assert memory[1] - memory[0] < MEMORY_KIB
        assert files[1] - files[0] < FILES
        wait_until(lambda: metrics(server)["tael_attempts_open"] == 0, 40, "the end of attempts")
        assert differences(server) == 0, server.log()
