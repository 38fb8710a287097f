"""`tael card-host`: the issuer simulator as a process of its own, which servers reach over ISO 8583."""

import re
import subprocess

from kit import server as program
from kit.ports import free_port


class CardHost:
    """On a port that stays the same over restarts, as a real one's."""

    def __init__(self, folder, *flags, dialect="ascii"):
        self.folder = folder
        self.data = folder / "issuer"  # where `kit.books` looks for what it remembers
        self.flags = flags
        self.dialect = dialect
        self.port = free_port()
        self.process = None
        self.starts = 0

    def start(self, *flags):
        assert self.process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        output_path = self.folder / f"host-output-{self.starts}"
        self.log_path = self.folder / f"host-log-{self.starts}"
        with open(output_path, "wb") as output, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(program.PROGRAM), "card-host", f"--data={self.data}",
                 f"--listen=127.0.0.1:{self.port}", f"--dialect={self.dialect}", *self.flags, *flags],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                env=program.without_tael_settings())

        def listening():
            assert self.process.poll() is None, self.log_path.read_text()
            return re.search(r"listening on iso8583s?://127\.0\.0\.1:(\d+)", output_path.read_text())

        self.port = int(program.wait_until(listening, program.START_SECONDS, "the host").group(1))
        return self

    @property
    def server_flags(self):
        return (f"--card-network=iso8583://127.0.0.1:{self.port}",
                f"--card-network-dialect={self.dialect}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is not None:
            code = program.ended(self.process)
            self.process = None
            assert code == 0, f"exit code {code}: {self.log_path.read_text()}"
