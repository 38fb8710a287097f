"""A decoder of ISO 8583:1987 messages in ASCII, written from the standard's field table and not from the
program; and what listens between a server and its host, and sees every message."""

import contextlib
import socket
import struct
import threading

# Field: characters, or the digits of the length before it.
FIXED = {3: 6, 4: 12, 7: 10, 11: 6, 12: 6, 13: 4, 14: 4, 18: 4, 22: 3, 25: 2, 37: 12, 38: 6, 39: 2, 41: 8,
         42: 15, 43: 40, 49: 3, 70: 3, 90: 42}
PREFIXED = {2: 2, 32: 2, 48: 3}


def decode(text):
    """{"type": "0100", 2: "4242..."}; refuses what it does not know to the last character."""
    text = text.decode("ascii")
    message, at = {"type": text[:4]}, 20
    bits = int(text[4:20], 16)
    width = 64
    if bits >> 63:
        bits, width, at = int(text[4:36], 16), 128, 36
    for field in range(2, width + 1):
        if not bits >> (width - field) & 1:
            continue
        if field in FIXED:
            size = FIXED[field]
        else:
            digits = PREFIXED[field]
            size, at = int(text[at:at + digits]), at + digits
        message[field] = text[at:at + size]
        assert len(message[field]) == size
        at += size
    assert at == len(text), (message, text[at:])
    if 48 in message:
        message["elements"] = elements(message[48])
    return message


def elements(text):
    found, at = {}, 0
    while at < len(text):
        tag, size = int(text[at:at + 2]), int(text[at + 2:at + 5])
        assert tag not in found
        found[tag] = text[at + 5:at + 5 + size]
        at += 5 + size
    assert at == len(text)
    return found


def encode(kind, fields):
    """The other way, for fields that are in the tables above."""
    bits, body = 0, ""
    for field in sorted(fields):
        bits |= 1 << (128 - field)
        value = fields[field]
        body += value if field in FIXED else f"{len(value):0{PREFIXED[field]}d}{value}"
    extended = bits & ((1 << 64) - 1)
    bitmap = f"{bits | 1 << 127:032X}" if extended else f"{bits >> 64:016X}"
    return (kind + bitmap + body).encode("ascii")


def send(connection, message):
    connection.sendall(struct.pack(">H", len(message)) + message)


def _exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive(connection):
    (size,) = struct.unpack(">H", _exactly(connection, 2))
    return _exactly(connection, size)


class Between:
    """Passes messages on and remembers them. `drop(message)`: true for those that are lost, of either
    direction; `change(message, raw)`: the bytes instead; `cut()` ends all connections; `refuses` new ones."""

    def __init__(self, port):
        self.target = port
        self.seen = []
        self.drop = lambda message: False
        self.change = lambda message, raw: raw
        self.refuses = threading.Event()
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def flag(self):
        return f"--card-network=iso8583://127.0.0.1:{self.port}"

    def of(self, kind):
        return [message for message in list(self.seen) if message["type"] == kind]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.refuses.is_set():
                    client.close()
                    continue
                try:
                    host = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self.pairs.append((client, host))
                for pair in ((client, host), (host, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError, EOFError):
            while True:
                raw = receive(source)
                message = decode(raw)
                self.seen.append(message)
                if not self.drop(message):
                    send(target, self.change(message, raw))
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        self.cut()
