"""A Redis of our own: in a folder that goes away, on a free port."""

import shutil
import signal
import socket
import subprocess
import tempfile

from kit.ports import free_port
from kit.server import wait_until


def available():
    return shutil.which("redis-server") is not None


class Redis:
    def __init__(self, *settings):
        self.folder = tempfile.mkdtemp(prefix="tael-redis-")
        self.settings = settings
        self.process = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        assert self.process is None
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", self.folder, *self.settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, 20, "redis")
        return self

    def _answers(self):
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False

    def ask(self, *words):
        """One command; the answer as it comes, which must be short."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(
                b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer

    def keys(self):
        return [line for line in self.ask("KEYS", "*").split(b"\r\n") if line.startswith(b"tael:")]

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()
