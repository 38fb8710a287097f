"""A ledger of shards with two processes of the API: two coordinators of the same transactions."""

import re

import requests

from kit.client import Http
from kit.ports import free_ports
from kit.server import HANG_SECONDS, wait_until
from kit.shards import Shards, map_text
from kit.wire import Wire

API_2 = "api-2"


class Doors(Shards):
    """With `apart` each of the two reaches the shards through wires of its own, `wires` and `wires_2` by
    the ledger's name: so one can be cut off from what the other one sees."""

    def __init__(self, folder, *flags, apart=False, **keywords):
        self.wires_2 = {}
        super().__init__(folder, *flags, more=(API_2,), wires=apart, **keywords)
        self.other_port = free_ports(1)[0]
        self.other_map = self.map
        if apart:
            self.wires_2 = {name: Wire(self.processes[name].port) for name in self.ledgers}
            self.other_map = self.folder / "shards-2"
            self.other_map.write_text(
                map_text({name: wire.where() for name, wire in self.wires_2.items()}))

    def listens(self, member):
        flags = super().listens(member)
        if member.name == API_2:
            flags[0] = f"--listen=127.0.0.1:{self.other_port}"
            flags = [f"--ledger-shards={self.other_map}" if flag.startswith("--ledger-shards=")
                     else flag for flag in flags]
        return flags

    def doors(self):
        return [Door(self, "api", self.port), Door(self, API_2, self.other_port)]

    def close(self):
        try:
            super().close()
        finally:
            for wire in self.wires_2.values():
                wire.close()


class Door:
    """One process of the API."""

    def __init__(self, doors, name, port):
        self.member = doors.processes[name]
        self.url = f"http://127.0.0.1:{port}"

    @property
    def key(self):
        return (self.member.data / "test_secret_key").read_text().strip()

    def ask(self, what, **body):
        """The answer, or None: nobody knows."""
        try:
            answer = Http(self, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=15)
        except requests.RequestException:
            return None
        if answer.status_code in (500, 503):
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    def told(self, what, **body):
        """The answer, where nothing is wrong: a shard that stood still for longer than it is waited for is asked
        again. What was done and not answered exists then."""
        return wait_until(lambda: self.ask(what, **body), 10, f"an answer to {what}")

    def metric(self, name):
        text = requests.get(f"{self.member.operators}/metrics", timeout=HANG_SECONDS).text
        return float(re.search(rf"\n{name} (\S+)\n", text).group(1))
