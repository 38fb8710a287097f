"""Requests of every kind at once, from clients that do not mind what they are told: for what must be so
whatever is under way."""

import collections
import random
import threading
import time

import requests

from kit.client import Http, raw_connect, raw_head
from kit.participant import Scripted
from kit.receiver import Receiver
from kit.server import wait_until
from kit.wallets import Wallets

WALLETS = 3
FUNDS = 5_000_000
PAUSE = 0.01  # while nobody answers
HALF_MAX = 16  # connections that say half of it
# What it needs beyond ordinary limits.
FLAGS = ("--wallet-limits=business.out=100000/90000000/900000000 "
         "business.in=10000000/90000000/900000000", "--webhook-test-retry-first=100ms")

KINDS = ("card", "refund", "hold", "capture", "cancel", "send", "withdraw", "code", "qr payment",
         "payer code", "by payer code", "participant", "accounts", "transfers", "look", "operator")


class Traffic:
    """`operators`: a function that gives the URLs where operators ask now."""

    def __init__(self, server, seed, clients=4, operators=lambda: ()):
        self.server, self.operators = server, operators
        self.random = random.Random(seed)
        self.receiver = Receiver(self._slow_answer)
        self.shop = Scripted(server, prepare=self._slow_word)
        wallets = Wallets(server)
        self.wallets = [wallets.wallet(funds=FUNDS) for _ in range(WALLETS)]
        made = Http(server).post("/v1/webhook_endpoints", {
            "url": self.receiver.url(), "enabled_events[]": "*"})
        assert made.status_code == 200, made.text
        self.clients = clients
        self.done = collections.Counter()  # of each kind, those that were answered with 200
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.threads = []

    # ---- those who are asked -----------------------------------------------------------------

    def _slow_answer(self, _):
        time.sleep(self.random.choice((0, 0, 0.02, 0.2)))
        return self.random.choice((200, 200, 200, 500))

    def _slow_word(self, _):
        time.sleep(self.random.choice((0, 0.02, 0.1)))
        return self.random.choice(("prepared", "prepared", "refused"))

    # ---- clients -----------------------------------------------------------------------------

    def begin(self):
        self.ended.clear()
        kinds = [self._client] * self.clients + [self._operator, self._half]
        self.threads = [threading.Thread(target=kind, args=(self.random.getrandbits(32),))
                        for kind in kinds]
        for thread in self.threads:
            thread.start()

    def flows(self, more=20, seconds=60):
        """Waits until every kind of request was answered at least once, and so many more now."""
        wanted = self.done.total() + more
        wait_until(lambda: self.done.total() >= wanted and all(self.done[kind] for kind in KINDS),
                   seconds, "traffic")

    def end(self):
        """The server may be gone: then they do not wait."""
        self.ended.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()
        self.threads = []

    def close(self):
        self.end()
        self.receiver.close()
        self.shop.close()

    def _ask(self, kind, answer):
        """What was answered, or an empty object."""
        if answer.status_code != 200:
            return {}
        with self.lock:
            self.done[kind] += 1
        return answer.json()

    def _until_ended(self, step):
        while not self.ended.is_set():
            try:
                step()
            except requests.exceptions.RequestException:
                self.ended.wait(PAUSE)

    def _client(self, seed):
        dice = random.Random(seed)
        http = Http(self.server, validate=False)
        acts = [self._card, self._card, self._capture, self._send, self._withdraw, self._code,
                self._payer_code, self._together, self._ledger, self._look]
        self._until_ended(lambda: dice.choice(acts)(http, dice))

    def _pay(self, kind, http, **params):
        body = {"amount": 2000, "currency": "usd", "confirm": "true", **params}
        return self._ask(kind, http.post("/v1/payment_intents", body))

    def _card(self, http, dice):
        token = dice.choice(("pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined"))
        paid = self._pay("card", http, payment_method=token)
        if paid and dice.random() < 0.5:
            self._ask("refund", http.post(
                "/v1/refunds", {"payment_intent": paid["id"], "amount": 500}))

    def _capture(self, http, dice):
        held = self._pay("hold", http, payment_method="pm_card_visa", capture_method="manual")
        if held:
            act = dice.choice(("capture", "cancel"))
            self._ask(act, http.post(f"/v1/payment_intents/{held['id']}/{act}"))

    def _send(self, http, dice):
        source, target = dice.sample(self.wallets, 2)
        self._ask("send", http.post("/v1/wallet_transfers", {
            "from": source, "to": target, "amount": dice.randrange(1, 900), "currency": "usd"}))

    def _withdraw(self, http, dice):
        self._ask("withdraw", http.post(
            f"/v1/wallets/{dice.choice(self.wallets)}/withdrawals",
            {"amount": 100, "bank_account[account_number]": "000123456789"}))

    def _code(self, http, dice):
        shown = self._pay("code", http, **{
            "payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"})
        if shown:
            data = shown["next_action"]["mobile_qr_display_qr_code"]["data"]
            self._ask("qr payment", http.post(
                "/v1/qr_payments", {"wallet": dice.choice(self.wallets), "data": data}))

    def _payer_code(self, http, dice):
        code = self._ask("payer code", http.post(
            f"/v1/wallets/{dice.choice(self.wallets)}/payer_codes"))
        if code:
            self._pay("by payer code", http, **{
                "payment_method_data[type]": "payer_code",
                "payment_method_data[payer_code][code]": code["code"]})

    def _together(self, http, _):
        self._pay("participant", http, payment_method="pm_card_visa",
                  **{f"participants[{self.shop.id}]": "lamp"})

    def _ledger(self, http, dice):
        accounts = [{"id": str(n), "ledger": 7000, "code": 1} for n in range(1, 9)]
        self._ask("accounts", http.post("/v1/ledger/accounts", json={"events": accounts}))
        debit, credit = dice.sample(range(1, 9), 2)
        self._ask("transfers", http.post("/v1/ledger/transfers", json={"events": [{
            "id": str(dice.getrandbits(100)), "debit_account_id": str(debit),
            "credit_account_id": str(credit), "amount": "1", "ledger": 7000, "code": 1}]}))

    def _look(self, http, dice):
        path = dice.choice((
            "/v1/events", "/v1/charges?limit=100", "/v1/balance_transactions?expand[]=data.source",
            "/v1/payment_intents/search?query=status:'succeeded'",
            f"/v1/wallets/{self.wallets[0]}/statement"))
        self._ask("look", http.get(path))

    def _operator(self, seed):
        dice = random.Random(seed)

        def step():
            for url in self.operators():
                path = dice.choice(("/metrics", "/readyz", "/merchants", "/api/v2/traces"))
                self._ask("operator", requests.get(url + path, timeout=60))
            self.ended.wait(PAUSE)

        self._until_ended(step)

    def _half(self, seed):
        """Connections that stay open: silent, amid a request, or with an answer that nobody reads."""
        dice = random.Random(seed)
        head = raw_head(self.server, path="/v1/customers", extra=b"Content-Length: 10\r\n")
        ask = raw_head(self.server, "GET", "/v1/events?limit=100") + b"\r\n"
        opened = []
        while len(opened) < HALF_MAX and not self.ended.wait(PAUSE):
            try:
                opened.append(raw_connect(self.server))
                opened[-1].sendall(dice.choice((b"", head, head + b"\r\nname", ask * 8)))
            except OSError:
                pass
        self.ended.wait()
        for one in opened:
            one.close()
