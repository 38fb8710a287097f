"""Ports of this machine that nobody has now, and that nobody is given before they are used.

Below those that Linux gives to whoever connects or asks for port 0 (net.ipv4.ip_local_port_range): a
connection of a test beside would otherwise take one between its choice and its use."""

import os
import random
import socket

FIRST, LAST = 10_000, 32_000
# Files of tests run at the same time, and choose among ports of their own.
PARTS = 16
PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PARTS

chance = random.SystemRandom()


def free_ports(count):
    """All different."""
    found = set()
    while len(found) < count:
        port = chance.randrange(FIRST, LAST) // PARTS * PARTS + PART
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return list(found)


def free_port():
    return free_ports(1)[0]
