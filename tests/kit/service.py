"""A service behind a gateway: answers from memory, remembers what arrived, fails on demand."""

import contextlib
import socket
import socketserver
import threading
import time


class Arrived:
    def __init__(self, method, path, headers, body, raw):
        self.method = method
        self.path = path
        self.headers = headers  # names in small letters
        self.body = body
        self.raw = raw  # the head as it came


class Service:
    """Attributes may be changed at any time; they count from the next request on.

    fault: None, "close" (no answer), "garbage", "half" (an answer that ends too early), "hang",
    "no length" (chunked, as of one that is made while it is sent).
    """

    def __init__(self, folder=None, port=0):
        self.port = port
        self.requests = []
        self.fault = None
        self.delay = 0
        self.answer_status = 200
        self.answer_headers = {}
        self.answer_body = b'{"ok":true}'
        self.most_at_once = 0
        self._free = threading.Event()
        self._free.set()
        self._now = 0
        self._lock = threading.Lock()
        self._server = None
        self._open = set()

    def start(self):
        service = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                service._open.add(self.request)
                try:
                    rest = b""
                    while rest is not None:
                        rest = service._serve(self.request, rest)
                except (OSError, ValueError):
                    pass  # no request: the connection ends
                finally:
                    service._open.discard(self.request)

        class Threads(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self._server = Threads(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    @contextlib.contextmanager
    def holding(self):
        """Requests are not answered before let_go, or the end of this."""
        self._free.clear()
        try:
            yield
        finally:
            self.let_go()

    def let_go(self):
        self._free.set()

    def _read(self, connection, rest):
        while b"\r\n\r\n" not in rest:
            piece = connection.recv(65536)
            if not piece:
                return None
            rest += piece
        head, rest = rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        while len(rest) < size:
            piece = connection.recv(65536)
            if not piece:
                return None
            rest += piece
        return Arrived(method, path, headers, rest[:size], head), rest[size:]

    def _serve(self, connection, rest):
        """One request; what came behind it, or None at the end."""
        read = self._read(connection, rest)
        if read is None:
            return None
        arrived, rest = read
        probe = arrived.path == "/livez" and "x-request-id" not in arrived.headers
        if not probe:
            with self._lock:
                self.requests.append(arrived)
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
        try:
            return self._answer(connection, arrived, probe, rest)
        finally:
            if not probe:
                with self._lock:
                    self._now -= 1

    def _answer(self, connection, arrived, probe, rest):
        fault = None if probe else self.fault
        if self.delay and not probe:
            time.sleep(self.delay)
        if not probe:
            self._free.wait()
        if fault == "hang":
            time.sleep(3)
        if fault in ("close", "hang"):
            return None
        if fault == "garbage":
            connection.sendall(b"this is no HTTP\r\n\r\n")
            return None
        status = 200 if probe else self.answer_status
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{k}: {v}" for k, v in self.answer_headers.items())]
        body = b"" if status in (204, 304) else self.answer_body
        if status not in (204, 304):
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        if fault == "no length":
            lines[-2] = "Transfer-Encoding: chunked"
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        if arrived.method == "HEAD":
            body = b""
        answer = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        if fault == "half":
            connection.sendall(answer[:-3])
            return None
        connection.sendall(answer)
        return rest

    def kill(self):
        """All at once: no more connections, and those that there are break."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    stop = kill
