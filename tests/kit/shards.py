"""A ledger of several shards, each a process of its own, and an API over them."""

from kit.cluster import NEEDS, ROLES, Cluster
from kit.server import run_tael
from kit.wire import Wire

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
    """From outside as one server. With `database`, a kit.postgres.Postgres, each shard's ledger is a
    schema there, with `lease_ms`; else a journal. `on_postgres`: only those shards', by letter. `wires`: others reach each shard through a
    kit.wire.Wire. `standbys`: a second process for each of these shards, by letter."""

    roles = ROLES
    needs = {**NEEDS, "api": ("cards", "vault")}

    def __init__(self, folder, *flags, shards=4, more=(), database=None, on_postgres=None,
                 lease_ms=1500, wires=False, standbys="", **keywords):
        self.ledgers = [f"ledger-{chr(ord('a') + i)}" for i in range(shards)]
        self.standbys = {f"ledger-{letter}-2": f"ledger-{letter}" for letter in standbys}
        names = (*self.ledgers, *self.standbys, "vault", "cards", "api", *more)
        super().__init__(folder, *flags, names=names, **keywords)
        self.order = ("api", *more, "cards", "vault", *self.ledgers, *self.standbys)
        self.urls = {} if database is None else {
            name: f"{database.url()}&schema={name.replace('-', '_')}&lease_ms={lease_ms}"
            for name in self.ledgers if on_postgres is None or name[-1] in on_postgres}
        self.wires = {name: Wire(self.processes[name].port) for name in self.ledgers if wires}
        self.map = self.folder / "shards"
        self.write_map()

    def place_of(self, name):
        first = self.wires[name].where() if name in self.wires else self.processes[name].where()
        others = [self.processes[one].where() for one, of in self.standbys.items() if of == name]
        return ",".join((first, *others))

    def write_map(self, epoch=1):
        places = {name: self.place_of(name) for name in self.ledgers}
        self.map.write_text(map_text(places, epoch))

    def listens(self, member):
        flags = super().listens(member)
        if member.kind == "api":
            flags.append("--admin-listen=127.0.0.1:0")
        if member.kind in ("ledger", "api"):
            flags.append(f"--ledger-shards={self.map}")
        if member.kind == "ledger":
            name = self.standbys.get(member.name, member.name)
            flags.append(f"--shard={name}")
            flags += [f"--ledger={self.urls[name]}"] if name in self.urls else []
        return flags

    def start(self, *flags, order=None):
        super().start(*flags, order=order or [
            name for name in self.order if name not in self.standbys])
        with self.all_or_none():
            for name in self.standbys:  # they wait for as long as the others are there
                self.processes[name].launch(*flags)
        return self

    def metrics_urls(self):
        return [self.processes["api"].operators]

    def stop(self, order=None):
        super().stop(order or self.order)

    def close(self):
        try:
            super().close()
        finally:
            for wire in self.wires.values():
                wire.close()

    def check_ledger(self):
        for name in self.ledgers:
            place = self.urls.get(name, self.processes[name].data / "ledger")
            result = run_tael("ledger", "check", place)
            assert result.returncode == 0, f"{name}: {result.stdout}{result.stderr}"


def crc_of(key):
    """CRC-16/XMODEM."""
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def slot_of_bytes(key):
    """As in Redis Cluster."""
    return crc_of(key) % SLOTS


def slot(number):
    """Of a ledger's id."""
    return slot_of_bytes(int(number).to_bytes(16, "big"))


def number_in_first_slot(count):
    """An id of its own for each count: what ends with its own CRC has the CRC zero."""
    head = count.to_bytes(14, "big")
    return int.from_bytes(head + crc_of(head).to_bytes(2, "big"), "big")


def shard_of(number, shards=4):
    """Its number in the map of map_text."""
    return slot(number) * shards // SLOTS


def shard_of_owner(text, shards=4):
    """Of what is placed beside an id such as a merchant's."""
    return slot_of_bytes(text.encode()) * shards // SLOTS
