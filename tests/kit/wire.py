"""A TCP connection between two of our processes that a test can break, at any moment and in both ways."""

import contextlib
import socket
import threading

PIECE = 1 << 16


class Wire:
    """Passes on to a port of this machine, and has one of its own. While it is silent it takes
    connections and bytes and gives none on, as a network that drops packets; while it is cut it ends
    what there is and refuses what comes."""

    def __init__(self, target):
        self.target = target
        self.open = threading.Event()  # bytes pass
        self.open.set()
        self.is_cut = False
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def where(self):
        return f"127.0.0.1:{self.port}"

    def silence(self):
        self.open.clear()

    def cut(self):
        self.is_cut = True
        self.end_all()

    def heal(self):
        """What was silent for a while is not heard later: its connections end."""
        if not self.open.is_set():
            self.end_all()
        self.is_cut = False
        self.open.set()

    def close(self):
        self.cut()
        self.open.set()
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self._begin(client)

    def _begin(self, client):
        try:
            if self.is_cut:
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", self.target), timeout=60)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        self.pairs.add(pair)
        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=self._pass, args=(source, sink, pair), daemon=True).start()

    def _pass(self, source, sink, pair):
        with contextlib.suppress(OSError):
            self._carry(source, sink, pair)
        self._end(pair)

    def _carry(self, source, sink, pair):
        while data := source.recv(PIECE):
            self.open.wait()
            if pair not in self.pairs:  # ended while it was silent
                break
            sink.sendall(data)

    def _end(self, pair):
        self.pairs.discard(pair)
        for one in pair:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def end_all(self):
        """Of connections; new ones may come."""
        for pair in list(self.pairs):
            self._end(pair)
