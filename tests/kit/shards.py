"""A ledger of several shards, each a process of its own, and an API over them."""

from kit.cluster import NEEDS, ROLES, Cluster
from kit.server import run_tael

SLOTS = 16384


def map_text(places, epoch=1):
    """The map of shards at these places, by name, with slots as even as can be."""
    lines = ["tael-shards 1", f"epoch {epoch}"]
    lines += [f"shard {name} {place}" for name, place in places.items()]
    for i, name in enumerate(places):
        first = -(-SLOTS * i // len(places))
        last = -(-SLOTS * (i + 1) // len(places)) - 1
        lines.append(f"slots {first}-{last} {name}")
    return "\n".join(lines) + "\n"


class Shards(Cluster):
    """From outside as one server."""

    roles = ROLES
    needs = {**NEEDS, "api": ("cards", "vault")}

    def __init__(self, folder, *flags, shards=4, more=(), **keywords):
        self.ledgers = [f"ledger-{chr(ord('a') + i)}" for i in range(shards)]
        super().__init__(folder, *flags, names=(*self.ledgers, "vault", "cards", "api", *more),
                         **keywords)
        self.more = more
        self.map = self.folder / "shards"
        self.write_map()

    def write_map(self, epoch=1):
        places = {name: self.processes[name].where() for name in self.ledgers}
        self.map.write_text(map_text(places, epoch))

    def listens(self, member):
        flags = super().listens(member)
        if member.kind == "api":
            flags.append("--admin-listen=127.0.0.1:0")
        if member.kind in ("ledger", "api"):
            flags.append(f"--ledger-shards={self.map}")
        if member.kind == "ledger":
            flags.append(f"--shard={member.name}")
        return flags

    def start(self, *flags, order=None):
        return super().start(*flags, order=order or (
            "api", *self.more, "cards", "vault", *self.ledgers))

    def stop(self, order=None):
        super().stop(order or ("api", *self.more, "cards", "vault", *self.ledgers))

    def check_ledger(self):
        for name in self.ledgers:
            result = run_tael("ledger", "check", self.processes[name].data / "ledger")
            assert result.returncode == 0, f"{name}: {result.stdout}{result.stderr}"


def slot(number):
    """Of a ledger's id."""
    crc = 0
    for byte in int(number).to_bytes(16, "big"):
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc % SLOTS


def shard_of(number, shards=4):
    """Its number in the map of map_text."""
    return slot(number) * shards // SLOTS
