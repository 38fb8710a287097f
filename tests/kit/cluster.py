"""The services as processes of their own, each of which a test may kill and start again."""

import contextlib
import os
import secrets
import signal
import subprocess

from kit.ports import free_ports
from kit.server import (
    ORDINARY_FLAGS,
    PROGRAM,
    START_SECONDS,
    Server,
    ended,
    operators_in,
    wait_until,
    without_tael_settings,
)

ROLES = {
    "ledger": "ledger",
    "vault": "vault",
    "cards": "cards",
    "api": "payments,wallets,mobile,events,api",
}
# Whom a process asks.
NEEDS = {"ledger": (), "vault": (), "cards": ("vault",), "api": ("ledger", "cards", "vault")}


class Member:
    """One process of a cluster."""

    def __init__(self, cluster, name, port):
        self.cluster = cluster
        self.name = name
        self.port = port  # internal
        self.program = PROGRAM
        self.process = None
        self.starts = 0
        self.operators = None
        self.kind = name.split("-")[0]  # "api-2" is one more of "api"

    @property
    def data(self):
        return self.cluster.root / self.name

    def where(self):
        return f"127.0.0.1:{self.port}"

    def launch(self, *flags, fault=None):
        """Starts it, and does not wait. `fault` arms a point of a build with fault points: "name:crash"."""
        assert self.process is None
        environment = {**without_tael_settings(), **({"TAEL_FAULT": fault} if fault else {})}
        self.starts += 1
        self.output_path = self.cluster.folder / f"{self.name}-output-{self.starts}"
        self.log_path = self.cluster.folder / f"{self.name}-log-{self.starts}"
        command = [str(self.program), "server", f"--data={self.data}",
                   f"--roles={self.cluster.roles[self.kind]}",
                   f"--internal-listen={self.where()}", *self.cluster.proof(self.name)]
        command += [f"--{need}-at={self.cluster.place(need)}"
                    for need in self.cluster.needs[self.kind]]
        command += self.cluster.listens(self)
        with open(self.output_path, "wb") as output, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*command, *self.cluster.flags, *flags], stdin=subprocess.DEVNULL, stdout=output,
                stderr=log, env=environment)

    def wait(self, seconds=START_SECONDS):
        def started():
            assert self.process.poll() is None, f"{self.name} ended: {self.log()}"
            return "internal: http" in self.output_path.read_text()

        wait_until(started, seconds, f"the start of {self.name}")
        self.operators = operators_in(self.output_path)

    def start(self, *flags, fault=None):
        self.launch(*flags, fault=fault)
        self.wait()

    def wait_for_crash(self, seconds=START_SECONDS):
        """Until a fault point has killed it."""
        wait_until(lambda: self.process.poll() is not None, seconds, f"the crash of {self.name}")
        assert self.process.returncode == -signal.SIGKILL, self.log()
        self.process = None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        code = ended(self.process)
        self.process = None
        assert code == 0, f"{self.name}: exit code {code}: {self.log()}"

    def log(self):
        return self.log_path.read_text(errors="replace")


class Cluster(Server):
    """From outside as one server."""

    roles = ROLES
    needs = NEEDS

    def __init__(self, folder, *flags, ordinary=True, certificates=None, names=tuple(ROLES)):
        super().__init__(folder, ordinary=False, cluster=True)
        self.has_gateway = False
        self.shards, self.engine = 0, "journal"
        self.flags = (ORDINARY_FLAGS if ordinary else ()) + flags
        self.certificates = certificates
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root.mkdir()
        self.key_file = self.folder / "internal.key"
        descriptor = os.open(self.key_file, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, secrets.token_hex(32).encode())
        os.close(descriptor)
        # Chosen here, because a process that is started again must be where it was.
        self.port, *ports = free_ports(1 + len(names))
        self.url = self.direct_url = f"http://127.0.0.1:{self.port}"
        self.processes = {
            name: Member(self, name, port) for name, port in zip(names, ports, strict=True)}

    def listens(self, member):
        """Flags for the listeners of a process, but the internal one."""
        if member.kind != "api":
            return ["--admin-listen=127.0.0.1:0"]
        return [f"--listen=127.0.0.1:{self.port}"]

    def proof(self, name):
        """How a process proves to be one of ours."""
        if self.certificates is None:
            return [f"--internal-key-file={self.key_file}"]
        return [f"--internal-tls-ca={self.certificates / 'ca.pem'}",
                f"--internal-tls-cert={self.certificates / f'{name}.pem'}",
                f"--internal-tls-key={self.certificates / f'{name}.key'}"]

    def place(self, name):
        return self.processes[name].where()

    @contextlib.contextmanager
    def all_or_none(self):
        """Around a start: one that fails half way leaves no process behind, for nobody else knows of them."""
        try:
            yield
        except BaseException:
            self.kill()
            raise

    def start(self, *flags, order=("api", "cards", "vault", "ledger")):
        """In any order: who needs somebody waits."""
        with self.all_or_none():
            for name in order:
                self.processes[name].launch(*flags)
            for name in order:
                self.processes[name].wait()
        self.process = self.processes["api"].process
        return self

    def kill(self):
        for member in self.processes.values():
            if member.process is not None:
                member.kill()
        self.process = None

    def stop(self, order=("api", "cards", "vault", "ledger")):
        self.process = None
        for name in order:
            self.processes[name].stop()

    def close(self):
        try:
            super().close()
        finally:
            self.kill()  # who is left when one did not stop in order

    def metrics_urls(self):
        return [self.direct_url]

    def members(self):
        return {name: member.process.pid for name, member in self.processes.items()
                if member.process is not None}

    def log(self):
        return "".join(member.log() for member in self.processes.values() if member.starts)

    def all_logs(self):
        return "".join(path.read_text(errors="replace")
                       for path in self.folder.glob("*-log-[0-9]*"))
