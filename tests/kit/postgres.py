"""A PostgreSQL of our own: in a folder that goes away, reached by a socket in it."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

USER = "tael"
# As root: initdb and the server refuse to run.
UNPRIVILEGED = "postgres"
START_SECONDS = 120


def programs():
    """The folder of Debian's newest version, or None."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda path: int(path.parent.parent.name))
    return found[-1].parent if found else None


def available():
    return programs() is not None


class Postgres:
    """Not durable against a loss of power unless told so: tests kill processes, not machines."""

    def __init__(self, durable=False, flags=(), replica_of=None):
        """`replica_of`: a hot standby of that server, which is running; see promote()."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tael-postgres-"))
        self.data = self.folder / "data"
        self.process = None
        self.as_user = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.settings = ["-c", "listen_addresses=", "-k", str(self.folder),
                         "-c", "max_connections=200", "-c", "shared_buffers=64MB",
                         "-c", "max_wal_size=4GB", "-c", f"fsync={'on' if durable else 'off'}",
                         *flags]
        if replica_of is not None:
            self.run("pg_basebackup", "-h", replica_of.folder, "-U", USER, "-D", self.data, "-R",
                     "-X", "stream", "-c", "fast", "--no-sync")
            return
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8",
                 "--locale=C.UTF-8", "--no-sync", "--no-instructions")

    def run(self, program, *arguments):
        result = subprocess.run(
            [str(programs() / program), *[str(argument) for argument in arguments]],
            capture_output=True, text=True, cwd="/", timeout=120, **self.as_user)
        assert result.returncode == 0, f"{program}: {result.stdout}{result.stderr}"
        return result.stdout

    def start(self):
        assert self.process is None
        deadline = time.monotonic() + START_SECONDS
        while True:
            with open(self.folder / "log", "ab") as log:
                self.process = subprocess.Popen(
                    [str(programs() / "postgres"), "-D", str(self.data), *self.settings],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self.as_user)
            if self._comes_up(deadline):
                return self
            # What kill -9 left of the one before holds its shared memory for a moment.
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)

    def _comes_up(self, deadline):
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.process = None
                return False
            with contextlib.suppress(AssertionError):
                self.run("psql", "-h", self.folder, "-U", USER, "-d", "postgres", "-qAtc", "SELECT 1")
                return True
            time.sleep(0.05)
        return False

    def kill(self):
        """As kill -9 of the whole server: its other processes find out and end."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def promote(self):
        """A replica becomes a server that takes writes."""
        self.sql("SELECT pg_promote(true, 100)")

    def pause(self):
        """It is there, and does nothing: every process of it."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *[int(pid) for pid in children.read_text().split()]]

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)  # "fast": open transactions are rolled back
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()

    def url(self, database="postgres"):
        return f"postgres://{USER}@/{database}?host={self.folder}"

    def sql(self, text, database="postgres"):
        """What psql prints: rows of columns with | between them."""
        return self.run("psql", "-h", self.folder, "-U", USER, "-d", database, "-v",
                        "ON_ERROR_STOP=1", "-qAtc", text).strip()

    def create(self, database):
        """An empty database; answers its URL."""
        self.sql(f'CREATE DATABASE "{database}" TEMPLATE template0 STRATEGY wal_log')
        return self.url(database)

    def drop(self, database):
        self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
