"""A webhook endpoint: an HTTP server that keeps what it gets, and answers as it is told."""

import http.server
import json
import threading
import time

import stripe


class Received:
    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body
        self.at = time.monotonic()

    @property
    def event(self):
        return json.loads(self.body)

    def verify(self, secret, tolerance=300):
        """By Stripe's own function."""
        return stripe.Webhook.construct_event(
            self.body, self.headers["Stripe-Signature"], secret, tolerance)


class Receiver:
    """`answer(received)` says what to answer: a status, (status, body) or (status, body, headers);
    it runs on the request's thread, and may sleep."""

    def __init__(self, answer=None, keep_alive=True):
        self.received = []
        self.answer = answer or (lambda received: 200)
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"
            disable_nagle_algorithm = True

            def do_POST(self):
                length = int(self.headers.get("Content-Length", "0"))
                one = Received(self.path, dict(self.headers), self.rfile.read(length))
                with receiver.lock:
                    receiver.received.append(one)
                self.reply(receiver.answer(one))

            def reply(self, answer):
                given = answer if isinstance(answer, tuple) else (answer,)
                status = given[0]
                body = given[1] if len(given) > 1 else b""
                headers = given[2] if len(given) > 2 else {}
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # who asked did not wait for it

            def do_GET(self):
                with receiver.lock:
                    receiver.received.append(Received("GET " + self.path, dict(self.headers), b""))
                self.reply(200)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # connections that end early are what some tests are about

        self.make = lambda port: Server(("127.0.0.1", port), Handler)
        self.server = None
        self.port = 0
        self.open()

    def open(self):
        """Listens (again, on the same port)."""
        self.server = self.make(self.port)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.port}{path}"

    def events(self):
        """What came so far, oldest first."""
        with self.lock:
            return [one for one in self.received if one.body]

    def ids(self):
        return [one.event["id"] for one in self.events()]
