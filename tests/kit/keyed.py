"""A client that does one thing after the other, each under a key of its own until it has an answer, over
any number of restarts of the server."""

import random
import threading
import time
import uuid

import requests

from .server import LONG
from .together import finish

KILLS = 8 if LONG else 2


class Keyed(threading.Thread):
    """`step` is what it does, again and again; `failure` what went wrong in it."""

    def __init__(self, http, seed):
        super().__init__()
        self.http = http
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.done = []  # (key, path, body, status, answer)
        self.failure = None

    def step(self):
        raise NotImplementedError

    def ask(self, path, body):
        """Until it is answered; None for a refusal."""
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        while True:
            try:
                answer = self.http.post(path, body, headers={"Idempotency-Key": key}, timeout=30)
            except requests.exceptions.RequestException:
                time.sleep(0.05)
                continue
            if answer.status_code in (409, 429) or answer.status_code >= 500:
                time.sleep(0.02)
                continue
            self.done.append((key, path, body, answer.status_code, answer.content))
            return answer.json() if answer.status_code == 200 else None

    def run(self):
        try:
            while not self.ended.is_set():
                self.step()
        except Exception as error:  # a thread's exception would go unnoticed
            self.failure = error


def amid_kills(server, clients):
    """They work while the process is killed and started again, for a minute with TEST_LONG, else for ten
    seconds; then they end."""
    between = (60 if LONG else 10) / (KILLS + 1)
    for client in clients:
        client.start()
    for _ in range(KILLS):
        time.sleep(between)
        server.kill()
        server.start()
    time.sleep(between)
    finish(clients)
