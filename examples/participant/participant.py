#!/usr/bin/env python3
"""A warehouse that takes part in payments: goods are reserved before the payment is made, and leave
the shelf with it, or are on sale again. docs/participants.md is the protocol.

    participant.py --listen=127.0.0.1:7070 --store=/tmp/warehouse.db --stock=article-17=3

What it is given (`data`) is the article. The secret is in the environment, TAEL_PARTICIPANT_SECRET.
Standard library only. `GET /stock/ARTICLE` says how many are on sale, reserved and gone.

Its whole memory is a table with one row for each transaction that it has heard of, written and
synced before it answers, so it may die at any moment:

      (no row) -- prepare: there is one left --> prepared -- commit --> committed
          |                                          |
          |  prepare: there is none                  | abort
          +---------- abort ----------> aborted <----+

A transaction that it is told to abort before it ever heard of it gets a row all the same: a prepare
that comes afterwards, because it was held up on its way, finds it, and reserves nothing.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import sqlite3
import sys
import threading
import time

SECRET = os.environ.get("TAEL_PARTICIPANT_SECRET", "")
TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 65536


class Warehouse:
    """`act` decides; one at a time."""

    def __init__(self, path, stock):
        self.lock = threading.Lock()
        self.rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.rows.execute("PRAGMA journal_mode=WAL")
        self.rows.execute("PRAGMA synchronous=FULL")
        self.rows.execute(
            "CREATE TABLE IF NOT EXISTS known (id TEXT PRIMARY KEY, article TEXT, state TEXT)")
        self.rows.execute(
            "CREATE TABLE IF NOT EXISTS shelf (article TEXT PRIMARY KEY, count INTEGER)")
        for article, count in stock:
            self.rows.execute("INSERT OR IGNORE INTO shelf VALUES (?, ?)", (article, count))

    def state_of(self, number):
        row = self.rows.execute("SELECT state FROM known WHERE id = ?", (number,)).fetchone()
        return row[0] if row else "unknown"

    def count(self, article, state):
        return self.rows.execute(
            "SELECT count(*) FROM known WHERE article = ? AND state = ?",
            (article, state)).fetchone()[0]

    def stock(self, article):
        row = self.rows.execute(
            "SELECT count FROM shelf WHERE article = ?", (article,)).fetchone()
        reserved, gone = self.count(article, "prepared"), self.count(article, "committed")
        return {"on_sale": (row[0] if row else 0) - reserved - gone, "reserved": reserved,
                "gone": gone}

    def remember(self, number, article, state):
        self.rows.execute(
            "INSERT INTO known VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = ?",
            (number, article, state, state))

    def act(self, action, number, article):
        """The state of the transaction afterwards, and why it is not the one that was asked for."""
        with self.lock:
            state = self.state_of(number)
            if action == "status":
                return state, None
            if action == "prepare":
                if state != "unknown":
                    return state, None if state == "prepared" else "This transaction is over."
                if self.stock(article)["on_sale"] < 1:
                    self.remember(number, article, "aborted")
                    return "refused", f"There is no {article} left."
                self.remember(number, article, "prepared")
                return "prepared", None
            if action == "commit":
                if state == "prepared":
                    self.remember(number, article, "committed")
                return self.state_of(number), "It was not prepared."
            if state in ("prepared", "unknown"):
                self.remember(number, article, "aborted")
            return self.state_of(number), "It was committed."


def is_signed(header, body):
    """As webhooks are: HMAC-SHA256 of "time.body"; while a secret is being replaced there are two."""
    parts = [part.partition("=")[::2] for part in header.split(",")]
    stamp = dict(parts).get("t", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    mine = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(value, mine) for name, value in parts)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    warehouse = None

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        size = int(self.headers.get("Content-Length", "0"))
        if size > BODY_BYTES_MAX:
            self.close_connection = True
            self.answer(413, {"reason": "That is no request of a transaction."})
            return
        body = self.rfile.read(size)
        if not is_signed(self.headers.get("Stripe-Signature", ""), body):
            self.answer(401, {"reason": "The signature is wrong, or old."})
            return
        asked = json.loads(body)
        if asked["action"] not in ("prepare", "commit", "abort", "status"):
            self.answer(400, {"reason": "There is no such action."})
            return
        state, reason = self.warehouse.act(asked["action"], asked["id"], asked["data"])
        self.answer(200, {"state": state, **({"reason": reason} if reason else {})})

    def do_GET(self):
        if not self.path.startswith("/stock/"):
            self.answer(404, {"reason": "There is only /stock/ARTICLE."})
            return
        with self.warehouse.lock:
            stock = self.warehouse.stock(self.path.removeprefix("/stock/"))
        self.answer(200, stock)

    def log_message(self, *_arguments):
        pass


def main():
    parser = argparse.ArgumentParser(description="A warehouse that takes part in payments.")
    parser.add_argument("--listen", default="127.0.0.1:7070")
    parser.add_argument("--store", default="warehouse.db")
    parser.add_argument("--stock", action="append", default=[], metavar="ARTICLE=COUNT")
    options = parser.parse_args()
    if not SECRET:
        sys.exit("participant.py: TAEL_PARTICIPANT_SECRET is the secret of the participant")
    host, _, port = options.listen.rpartition(":")
    stock = [(name, int(count)) for name, _, count in
             (one.rpartition("=") for one in options.stock)]
    Handler.warehouse = Warehouse(options.store, stock)
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    print(f"listening on {host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
