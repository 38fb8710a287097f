"""deploy/postgres/patroni.yaml as it stands, with three machines' worth of processes on this one: Tael
goes on through a failover that nobody helps along, and what it acknowledged is there."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest
import requests

from kit import postgres
from kit.books import settled
from kit.client import Http
from kit.ports import free_port
from kit.server import Server, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CARD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
NAMES = ("db1", "db2", "db3")

pytestmark = pytest.mark.skipif(
    not (shutil.which("patroni") and shutil.which("etcd") and postgres.available()),
    reason="patroni, etcd-server and postgresql-15 are not installed")


class Cluster:
    """etcd, and three machines that Patroni looks after."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tael-patroni-"))
        self.user = pwd.getpwnam(postgres.UNPRIVILEGED)
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.processes = {}
        self.good = False
        self.rest = {name: free_port() for name in NAMES}
        self.ports = {name: free_port() for name in NAMES}
        self.etcd = free_port()
        # Machines in the file speak TLS to each other; here they are one.
        text = (ROOT / "deploy" / "postgres" / "patroni.yaml").read_text()
        local = text.replace("hostssl", "host").replace("peer", "trust").replace(
            "scram-sha-256", "trust").replace("bin_dir: /usr/lib/postgresql/15/bin",
                                              f"bin_dir: {postgres.programs()}")
        assert local.count("trust") == 3
        self.file = self.folder / "patroni.yaml"
        self.file.write_text(local)
        self.file.chmod(0o644)

    def start(self):
        peer = free_port()
        url, peer_url = f"http://127.0.0.1:{self.etcd}", f"http://127.0.0.1:{peer}"
        self._run("etcd", ["etcd", "--data-dir", self.folder / "etcd",
                           "--listen-client-urls", url, "--advertise-client-urls", url,
                           "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                           "--initial-cluster", f"default={peer_url}"])
        wait_until(lambda: answers(f"{url}/health"), 30, "etcd")
        self.start_node(NAMES[0])
        wait_until(lambda: self.primary() == NAMES[0], 60, "the first primary")
        for name in NAMES[1:]:
            self.start_node(name)
        self.wait_whole()
        return self

    def wait_whole(self):
        """One primary, one replica that its commits wait for, one more."""
        wait_until(lambda: sorted(str(self.role(name)) for name in NAMES) == [
            "leader", "replica", "sync_standby"], 120, "three machines")

    def start_node(self, name):
        rest, port = f"127.0.0.1:{self.rest[name]}", f"127.0.0.1:{self.ports[name]}"
        self._run(name, ["patroni", self.file], {
            "PATRONI_NAME": name, "PATRONI_ETCD3_HOSTS": f"127.0.0.1:{self.etcd}",
            "PATRONI_RESTAPI_LISTEN": rest, "PATRONI_RESTAPI_CONNECT_ADDRESS": rest,
            "PATRONI_POSTGRESQL_LISTEN": port, "PATRONI_POSTGRESQL_CONNECT_ADDRESS": port,
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.folder / name),
            "PATRONI_SUPERUSER_USERNAME": "postgres", "PATRONI_SUPERUSER_PASSWORD": "any",
            "PATRONI_REPLICATION_USERNAME": "replicator", "PATRONI_REPLICATION_PASSWORD": "any"})

    def _run(self, name, argv, environment=None):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env={**os.environ, "HOME": str(self.folder), **(environment or {})}, user=self.user.pw_uid,
                group=self.user.pw_gid, extra_groups=[], start_new_session=True)

    def role(self, name):
        state = answers(f"http://127.0.0.1:{self.rest[name]}/cluster")
        for member in (state or {}).get("members", []):
            if member["name"] == name and member["state"] in ("running", "streaming"):
                return member["role"]
        return None

    def primary(self):
        return next((name for name in NAMES if self.role(name) == "leader"), None)

    def kill(self, name):
        """The machine is gone: PostgreSQL, and Patroni."""
        pid = int((self.folder / name / "postmaster.pid").read_text().split()[0])
        os.kill(self.processes[name].pid, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        self.processes.pop(name).wait()

    def sql(self, name, text, database="postgres"):
        return subprocess.run(
            [str(postgres.programs() / "psql"), "-h", "127.0.0.1", "-p", str(self.ports[name]), "-U",
             "postgres", "-d", database, "-qAtc", text], check=True, capture_output=True,
            text=True).stdout.strip()

    def url(self, database):
        hosts = ",".join(f"127.0.0.1:{self.ports[name]}" for name in NAMES)
        return f"postgres://postgres@{hosts}/{database}"

    def close(self):
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(60)
        for name in () if self.good else self.processes:
            print(name, (self.folder / f"{name}.log").read_text()[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)


def answers(url):
    try:
        return requests.get(url, timeout=5).json()
    except (requests.RequestException, ValueError):
        return None


@pytest.fixture
def cluster():
    made = Cluster()
    try:
        yield made.start()
    finally:
        made.close()


def pay(http, key):
    """One payment, until it is made."""
    try:
        answer = http.post("/v1/payment_intents", CARD, headers={"Idempotency-Key": key})
    except OSError:
        return None
    return answer.json()["id"] if answer.status_code == 200 else None


def test_a_machine_is_lost(cluster, tmp_path):
    for database in ("documents", "ledger"):
        cluster.sql(NAMES[0], f"CREATE DATABASE {database}")
    server = Server(tmp_path / "server", on_postgres=False, cluster=False)
    server.documents = (f"--documents={cluster.url('documents')}",)
    server.ledger_url = cluster.url("ledger") + "?lease_ms=2000"
    http = Http(server.start())
    paid = [wait_until(lambda i=i: pay(http, f"before-{i}"), 30, "a payment") for i in range(10)]
    for round_number in range(2):
        lost = cluster.primary()
        cluster.kill(lost)
        paid.append(wait_until(lambda n=round_number: pay(http, f"after-{n}"), 120, "a payment"))
        assert cluster.primary() != lost
        # The lost machine comes back as a replica, and the next one may go in its turn.
        cluster.start_node(lost)
        cluster.wait_whole()
    for intent in paid:
        assert http.get(f"/v1/payment_intents/{intent}").json()["status"] == "succeeded"
    settled(server)
    server.stop()
    cluster.good = True
