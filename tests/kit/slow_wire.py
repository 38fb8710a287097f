"""A long way between a server and its PostgreSQL."""

import contextlib
import os
import socket
import tempfile
import threading
import time

SOCKET = ".s.PGSQL.5432"


def connect(folder):
    made = socket.socket(socket.AF_UNIX)
    made.connect(os.path.join(folder, SOCKET))
    return made


class SlowWire:
    """A folder whose socket leads to the database of another one, `seconds` away each way; a test
    may change them."""

    def __init__(self, database_folder, seconds):
        self.database_folder, self.seconds = database_folder, seconds
        self.holder = tempfile.TemporaryDirectory(prefix="tael-wire-")
        self.folder = self.holder.name
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(self.folder, SOCKET))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = connect(self.database_folder)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.seconds)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()
        self.holder.cleanup()
