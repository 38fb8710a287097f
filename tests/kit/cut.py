"""A connection to PostgreSQL that breaks when the test says so, at the place that it says."""

import contextlib
import pathlib
import socket
import tempfile
import threading


class Cut:
    """Listens on a socket in a folder of its own, as PostgreSQL does, and passes on to another."""

    def __init__(self, folder):
        self.target = str(pathlib.Path(folder) / ".s.PGSQL.5432")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tael-cut-"))
        self.deaf = threading.Event()    # what the database answers to a commit is lost
        self.refuses = threading.Event()  # new connections end at once
        self.cuts = 0
        self.pairs = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url):
        """The same database through here."""
        return url.replace(str(pathlib.Path(self.target).parent), str(self.folder))

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.refuses.is_set():
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
                pair = (client, server)
                self.pairs.append(pair)
                threading.Thread(target=self._to_server, args=pair, daemon=True).start()
                threading.Thread(target=self._to_client, args=pair, daemon=True).start()

    def _to_server(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        self._end(client, server)

    def _to_client(self, client, server):
        """What the server says of a COMMIT ends the connection instead, once, when asked for."""
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if b"COMMIT\0" in data and self.deaf.is_set():
                    self.deaf.clear()
                    self.cuts += 1
                    break
                client.sendall(data)
        self._end(client, server)

    @staticmethod
    def _end(*sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut_all(self):
        """Every connection breaks, wherever it is."""
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self._end(*pair)

    def close(self):
        self.listener.close()
        self.cut_all()
