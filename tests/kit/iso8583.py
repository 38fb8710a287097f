"""A decoder of ISO 8583:1987 messages in ASCII, written from the standard's field table and not from the
program; and what listens between a server and its host, and sees every message."""

import base64
import contextlib
import struct

from .wire import Wire

# Field: characters, or the digits of the length before it.
FIXED = {3: 6, 4: 12, 7: 10, 11: 6, 12: 6, 13: 4, 14: 4, 18: 4, 22: 3, 25: 2, 37: 12, 38: 6, 39: 2, 41: 8,
         42: 15, 43: 40, 49: 3, 70: 3, 90: 42}
PREFIXED = {2: 2, 32: 2, 48: 3, 121: 3, 122: 3, 123: 3}


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


def elements_text(found):
    return "".join(f"{tag:02d}{len(value):03d}{value}" for tag, value in found.items())


def evidence(messages):
    """What the parts of evidence, in any order and with repeats, are together."""
    parts = {}
    for message in messages:
        number, count = map(int, message["elements"][9].split(","))
        piece = b"".join(base64.b64decode(message[field], validate=True)
                         for field in (121, 122, 123) if field in message)
        assert parts.setdefault(number, piece) == piece
        assert number == count or len(piece) == 2241
    assert sorted(parts) == list(range(1, count + 1))
    return b"".join(parts[number] for number in sorted(parts))


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


class Between(Wire):
    """Passes messages on and remembers them. `drop(message)`: true for those that are lost, of either
    direction; `change(message)`: what goes on instead of its elements, or None; `forge(message)`: and instead of
    some of its fields."""

    def __init__(self, port):
        self.seen = []
        self.drop = lambda message: False
        self.change = lambda message: None
        self.forge = lambda message: {}
        super().__init__(port)

    @property
    def flag(self):
        return f"--card-network=iso8583://{self.where()}"

    def of(self, kind):
        return [message for message in list(self.seen) if message["type"] == kind]

    def _carry(self, source, sink, pair):
        with contextlib.suppress(EOFError):
            while True:
                raw = receive(source)
                message = decode(raw)
                self.seen.append(message)
                changed, forged = self.change(message), self.forge(message)
                if changed is not None or forged:
                    fields = {field: value for field, value in message.items() if isinstance(field, int)}
                    if changed is not None:
                        fields[48] = elements_text(changed)
                    raw = encode(message["type"], {**fields, **forged})
                if not self.drop(message):
                    send(sink, raw)
