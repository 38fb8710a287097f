"""Ports of this machine that nobody has now, and that nobody else is given before they are used.

Below those that Linux gives to whoever connects or asks for port 0 (net.ipv4.ip_local_port_range): a
connection of a test beside would otherwise take one between its choice and its use."""

import itertools
import os
import random
import socket

FIRST, LAST = 10_000, 32_000
# Files of tests run at the same time, and choose among ports of their own.
PARTS = 16
PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PARTS


def in_turn():
    """All that are ours, from anywhere on, so that none comes again soon."""
    ports = range(FIRST + PART, LAST, PARTS)
    first = random.SystemRandom().randrange(len(ports))
    return itertools.cycle([*ports[first:], *ports[:first]])


candidates = in_turn()


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count):
    """All different."""
    return list(itertools.islice(filter(is_free, candidates), count))


def free_port():
    return free_ports(1)[0]
