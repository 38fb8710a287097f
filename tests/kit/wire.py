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
        self.lock = threading.Lock()  # of what follows, and of ending and closing a pair's sockets
        self.is_cut = False
        self.pairs = set()
        self.carriers = {}  # of a pair: threads that still use its sockets
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def where(self):
        return f"127.0.0.1:{self.port}"

    def silence(self):
        self.open.clear()

    def cut(self):
        with self.lock:
            self.is_cut = True
        self.end_all()

    def heal(self):
        """What was silent for a while is not heard later: its connections end."""
        if not self.open.is_set():
            self.end_all()
        self.is_cut = False
        self.open.set()

    def close(self):
        """From then on nobody listens there."""
        self.cut()
        self.open.set()
        self.listener.shutdown(socket.SHUT_RDWR)  # closing it would not wake who accepts
        self.acceptor.join()
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
        with self.lock:
            self.carriers[pair] = 2
            if not self.is_cut:
                self.pairs.add(pair)
        if pair not in self.pairs:  # it was cut meanwhile
            self._end(pair)
        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=self._pass, args=(source, sink, pair), daemon=True).start()

    def _pass(self, source, sink, pair):
        try:
            with contextlib.suppress(OSError):
                self._carry(source, sink, pair)
        finally:
            self._end(pair)
            self._leave(pair)

    def _carry(self, source, sink, pair):
        while data := source.recv(PIECE):
            self.open.wait()
            if pair not in self.pairs:  # ended while it was silent
                break
            sink.sendall(data)

    def _end(self, pair):
        """Whoever waits for its bytes is woken; its sockets keep their numbers until nobody uses them."""
        with self.lock:
            self.pairs.discard(pair)
            for one in pair if pair in self.carriers else ():
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _leave(self, pair):
        with self.lock:
            self.carriers[pair] -= 1
            if self.carriers[pair] == 0:
                del self.carriers[pair]
                for one in pair:
                    one.close()

    def end_all(self):
        """Of connections; new ones may come."""
        for pair in list(self.pairs):
            self._end(pair)
