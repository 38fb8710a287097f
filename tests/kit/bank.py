"""Money that moves between accounts on several shards, by clients with ids of their own who note what
they were told; and whether the books have exactly that afterwards."""

import collections
import itertools
import random
import threading
import time

import requests

from kit.client import Http
from kit.server import wait_until
from kit.shards import shard_of

LEDGER = 7000
ACCOUNTS = 6  # on each shard
DONE = ("created", "exists")
ASK_MAX = 200  # a look-up's ids
UNANSWERED_SECONDS = 60


class Unanswered(Exception):
    """Nothing is known of it, or nothing was done: 5xx, or no answer."""


class Bank:
    """`crossing`: the share of transfers between two shards. Only a server that can do those."""

    def __init__(self, server, shards=4, clients=6, batch=4, crossing=0.0, seed=1):
        self.server, self.shards, self.batch, self.crossing = server, shards, batch, crossing
        numbers = itertools.count(10**12)
        self.accounts = [[] for _ in range(shards)]
        while any(len(some) < ACCOUNTS for some in self.accounts):
            number = next(numbers)
            some = self.accounts[shard_of(number, shards)]
            if len(some) < ACCOUNTS:
                some.append(str(number))
        self.ids = itertools.count(10**15)
        self.told = {}     # id: event, of what was acknowledged
        self.unknown = {}  # id: event, of what was sent and not answered
        self.wrong = []
        self.last = [0.0] * shards  # when a transfer there was acknowledged
        self.lock = threading.Lock()
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(seed * 1000 + i,), daemon=True)
                        for i in range(clients)]

    # ---- moving ----------------------------------------------------------------------------------

    def ask(self, what, **body):
        try:
            answer = Http(self.server, validate=False).post(
                f"/v1/ledger/{what}", json=body, timeout=20)
        except (requests.RequestException, OSError) as problem:
            raise Unanswered from problem
        if answer.status_code >= 500:
            raise Unanswered(answer.text)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def begin(self):
        events = [{"id": number, "ledger": LEDGER, "code": 1}
                  for some in self.accounts for number in some]
        results = self._ask_until_answered("accounts", events=events)["results"]
        assert {result["status"] for result in results} <= set(DONE)
        for thread in self.threads:
            thread.start()
        return self

    def _client(self, seed):
        choose = random.Random(seed)
        try:
            while not self.ends.is_set():
                one = choose.randrange(self.shards)
                mixed = choose.random() < 0.2  # a batch for several shards may be done in part
                with self.lock:
                    events = [self._event(choose, choose.randrange(self.shards) if mixed else one)
                              for _ in range(self.batch)]
                self._send(events)
        except Exception as problem:  # a thread's exception would go unnoticed
            self.wrong.append(problem)

    def _event(self, choose, shard):
        debit, credit = choose.sample(self.accounts[shard], 2)
        if choose.random() < self.crossing:
            credit = choose.choice(self.accounts[(shard + 1) % self.shards])
        return {"id": str(next(self.ids)), "debit_account_id": debit, "credit_account_id": credit,
                "amount": str(choose.randint(1, 1000)), "ledger": LEDGER, "code": 1}

    def _send(self, events):
        try:
            results = self.ask("transfers", events=events)["results"]
        except Unanswered:
            with self.lock:
                self.unknown.update((event["id"], event) for event in events)
            time.sleep(0.02)
            return
        with self.lock:
            self._note(events, results)

    def _note(self, events, results):
        for event, result in zip(events, results, strict=True):
            if result["status"] not in DONE:
                self.wrong.append((event, result))
                continue
            self.told[event["id"]] = event
            self.last[shard_of(event["debit_account_id"], self.shards)] = time.monotonic()

    # ---- looking ---------------------------------------------------------------------------------

    def goes_on(self, shard=None, seconds=30):
        """Waits until something more is acknowledged, on that shard or on each."""
        wanted = range(self.shards) if shard is None else (shard,)
        now = time.monotonic()
        wait_until(lambda: self.wrong or all(self.last[i] > now for i in wanted), seconds,
                   f"transfers on {list(wanted)}")
        assert not self.wrong, self.wrong[:3]

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.wrong, self.wrong[:3]
        return self

    def settle(self):
        """Asks again, by the same ids, for what was not answered: done before or now, never twice."""
        for event in self.unknown.values():
            self._note([event], self._ask_until_answered("transfers", events=[event])["results"])
        assert not self.wrong, self.wrong[:3]

    def _ask_until_answered(self, what, **body):
        """Without a fault, but a machine with other work may still be later than a shard is waited for."""
        end = time.monotonic() + UNANSWERED_SECONDS
        while True:
            try:
                return self.ask(what, **body)
            except Unanswered:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def check(self):
        """The books have each acknowledged transfer once, and nothing else."""
        assert self.told
        ids = list(self.told)
        for first in range(0, len(ids), ASK_MAX):
            some = ids[first:first + ASK_MAX]
            found = self._ask_until_answered("lookup", transfers=some)["transfers"]
            assert [transfer["id"] for transfer in found] == some
            for transfer in found:
                event = self.told[transfer["id"]]
                assert all(transfer[name] == event[name] for name in (
                    "debit_account_id", "credit_account_id", "amount"))
        debits, credits = collections.Counter(), collections.Counter()
        for event in self.told.values():
            debits[event["debit_account_id"]] += int(event["amount"])
            credits[event["credit_account_id"]] += int(event["amount"])
        for some in self.accounts:
            for account in self._ask_until_answered("lookup", accounts=some)["accounts"]:
                assert int(account["debits_posted"]) == debits[account["id"]], account
                assert int(account["credits_posted"]) == credits[account["id"]], account
        assert sum(debits.values()) == sum(credits.values())
