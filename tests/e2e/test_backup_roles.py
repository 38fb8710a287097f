"""A backup of a server that is several processes: one moment, or a refusal that says what to do."""

import shutil
import time

import pytest

from kit.backups import backup, points, restore
from kit.books import Books, metrics, reconciled
from kit.client import pay, sdk
from kit.load import FUNDS, LIMITS, Client, check_payments, check_wallets
from kit.server import Server, run_tael, wait_until
from kit.together import finish
from kit.wallets import Wallets

LOOKS_INTO_PROCESS = True
CLIENTS = 8
PARTS = ("api", "ledger", "vault", "cards", "bank")


def several(folder):
    """With one ledger, in a folder: the shards of one cannot be backed up while they run."""
    made = Server(folder, LIMITS, cluster=True, on_postgres=False, shards=0)
    made.engine = "journal"
    return made


@pytest.fixture
def cluster(tmp_path):
    made = several(tmp_path / "cluster").start()
    yield made
    made.close()


def folders(server):
    return ",".join(str(server.root / part) for part in PARTS if (server.root / part).is_dir())


def test_while_clients_pay(cluster, make_server, tmp_path):
    """What was acknowledged before is in it; it is restored as one process, whose documents, books
    and card network agree, and as several again."""
    wallets = Wallets(cluster)
    everyone = [wallets.wallet(FUNDS) for _ in range(4)]
    clients = [Client(cluster, everyone, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(1.5)
    told = [Told(client) for client in clients]
    result = backup(cluster, tmp_path / "backups", data=folders(cluster))
    finish(clients)
    assert sum(len(one.told) for one in told) > CLIENTS
    assert b"no vault" not in result.stderr and b"alone" not in result.stderr

    copy = make_server(LIMITS, start=False)
    copy.folder.mkdir(parents=True)
    result = restore(tmp_path / "backups", copy.data)
    assert result.returncode == 0, result.stderr
    shutil.copytree(copy.data, tmp_path / "parts")
    copy.start()
    wait_until(lambda: metrics(copy)["tael_attempts_open"] == 0, 40, "the end of attempts")
    check_wallets(copy, Wallets(copy), everyone, told)
    books = Books(copy)
    check_payments(books, told)
    books.check()
    reconciled(copy)
    copy.stop()

    again = several(tmp_path / "again")
    spread(tmp_path / "parts", again.root)
    again.start()
    pay(sdk(again, validate=False), 2000)
    wait_until(lambda: metrics(again)["tael_attempts_open"] == 0, 40, "the end of attempts")
    reconciled(again)
    again.close()


class Told:
    """What a client had been told at a moment."""

    def __init__(self, client):
        self.told = list(client.told)


def spread(data, root):
    """As docs/operations/backup.md says."""
    parts = {"ledger": ["ledger"], "vault": ["vault", "issuer"], "bank": ["bank"]}
    for process, names in parts.items():
        for name in names:
            if (data / name).exists():
                (root / process).mkdir(parents=True, exist_ok=True)
                shutil.move(data / name, root / process / name)
    (root / "api").mkdir(parents=True)
    for path in data.iterdir():
        shutil.move(path, root / "api" / path.name)


def test_what_is_no_backup_says_what_to_do(cluster, tmp_path):
    pay(sdk(cluster, validate=False), 2000)
    root = cluster.root
    cases = {
        f"{root}": (1, f"--data={root}/api,{root}/ledger,{root}/vault"),
        f"{root}/api": (1, f"name both folders: --data={root}/api,FOLDER"),
        f"{root}/vault": (1, "there is no ledger"),
        f"{root}/ledger,{root}/ledger": (1, "a ledger is in"),
        f"{root}/ledger,{root}/api,{root}/api": (1, "tael.db is in"),
        f"{root}/ledger,,{root}/api": (2, "with commas between"),
    }
    for data, (status, text) in cases.items():
        result = run_tael("backup", f"--data={data}", f"--to={tmp_path / 'backups'}")
        assert result.returncode == status and text in result.stderr, (data, result.stderr)
    result = run_tael("backup", f"--data={root}/ledger", f"--to={tmp_path / 'ledger'}")
    assert result.returncode == 0 and "A ledger alone" in result.stderr
    result = run_tael("backup", f"--data={root}/ledger,{root}/api", f"--to={tmp_path / 'two'}")
    assert result.returncode == 0 and "There is no vault in it" in result.stderr
    assert len(points(tmp_path / "two")) == 1
