"""Ports of this machine that nobody has now, and that nobody else is given before they are used.

Below those that Linux gives to whoever connects or asks for port 0 (net.ipv4.ip_local_port_range): a
connection of a test beside would otherwise take one between its choice and its use.

Blocks of ports belong to the processes that choose among them, from whatever tree they run. A block is
held by a socket bound to its name among Linux's abstract ones: they have one namespace with the ports,
the kernel refuses the second, and lets go of it however the process ends."""

import itertools
import random
import socket
import threading

FIRST, LAST = 10_000, 32_000
SIZE = 100
NAME = "tael-test-ports"


class Ports:
    """Of this process: another block as soon as all ports of those it has were given out."""

    def __init__(self, name=NAME, first=FIRST, last=LAST):
        self.name = name
        self.blocks = [range(start, start + SIZE) for start in range(first, last, SIZE)]
        self.holders = []
        self.lock = threading.Lock()
        self.candidates = self.in_turn()

    def hold(self, block):
        """Whether it is ours now, until this process ends."""
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0{self.name}-{block.start}")
        except OSError:
            holder.close()
            return False
        self.holders.append(holder)
        return True

    def in_turn(self):
        """From any block on, so that none comes again soon; all over again when no other block is left."""
        first = random.SystemRandom().randrange(len(self.blocks))
        ours = []
        for block in self.blocks[first:] + self.blocks[:first]:
            if self.hold(block):
                ours += block
                yield from block
        assert ours, "other processes have all ports"
        yield from itertools.cycle(ours)

    def free(self, count):
        """All different."""
        with self.lock:
            found = list(itertools.islice(filter(is_free, self.candidates), count))
        assert len(set(found)) == count, "this process has not so many"
        return found


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


ports = Ports()


def free_ports(count):
    """All different."""
    return ports.free(count)


def free_port():
    return free_ports(1)[0]
