"""docs/operations/backup.md: backups of a server that works, restores that are proved, and everything
that can go wrong in between. One round of each in CI takes seconds; TEST_LONG=1 takes more, drawn from
BACKUP_SEED (with TEST_LONG another one for each run, which is printed; else 1)."""

import fcntl
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

from kit.backups import backup, points, restore, with_ledger_of
from kit.books import Books, metrics
from kit.client import Http, pay, sdk
from kit.load import FUNDS, LIMITS, Client, check_payments, check_wallets
from kit.server import LONG, PROGRAM, run_tael, wait_until, without_tael_settings
from kit.together import finish
from kit.wallets import Wallets

LOOKS_INTO_PROCESS = True
SEED = int(os.environ.get("BACKUP_SEED", random.SystemRandom().randrange(1, 10**9) if LONG else 1))
CLIENTS = 16
ROUNDS = 20 if LONG else 3
KILLS = 40 if LONG else 4
WALLETS = 6
SEGMENTS = 5 if LONG else 2
SEGMENT = "--ledger-segment-size=4m"


@pytest.fixture(autouse=True)
def seed():
    """Of a failure pytest shows what was printed."""
    print(f"BACKUP_SEED={SEED}")


def restored(make_server, source, folder, *flags, stdin=None):
    """A server on what a restore made."""
    server = make_server(*flags, start=False)
    server.folder.mkdir(parents=True)
    result = restore(source, server.data, stdin=stdin)
    assert result.returncode == 0, result.stderr
    assert "proved" in result.stdout
    return server.start()


class Told:
    """What a client had been told at a moment."""

    def __init__(self, client):
        self.told = list(client.told)


def test_while_16_clients_pay(make_server, tmp_path):
    """Everything that was acknowledged before a backup began is in it; documents, books and card
    network of the restored server agree."""
    server = make_server(LIMITS, SEGMENT)
    wallets = Wallets(server)
    everyone = [wallets.wallet(FUNDS) for _ in range(WALLETS)]
    clients = [Client(server, everyone, SEED * CLIENTS + number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    taken = []
    for number in range(ROUNDS):
        time.sleep(0.7)
        told = [Told(client) for client in clients]
        if number % 2 == 0:
            backup(server, tmp_path / "backups")
            taken.append((tmp_path / "backups", points(tmp_path / "backups")[-1].name, None, told))
        else:
            stream = backup(server, "-").stdout
            taken.append(("-", None, stream, told))
    finish(clients)
    assert sum(len(client.told) for client in clients) > 10 * CLIENTS
    for number, (source, name, stream, told) in enumerate(taken):
        if name is not None:  # of several in the folder this one
            source = tmp_path / f"alone-{number}"
            shutil.copytree(tmp_path / "backups", source)
            for other in points(source):
                if other.name != name:
                    shutil.rmtree(other)
        copy = restored(make_server, source, tmp_path, LIMITS, SEGMENT, stdin=stream)
        wait_until(lambda: metrics(copy)["tael_attempts_open"] == 0, 40, "the end of attempts")
        check_wallets(copy, Wallets(copy), everyone, told)
        books = Books(copy)
        check_payments(books, told)
        books.check()
        began = metrics(copy)["tael_reconcile_runs_total"]
        wait_until(lambda: metrics(copy)["tael_reconcile_runs_total"] >= began + 2, 60,
                   "a comparison")
        assert metrics(copy)["tael_differences"] == 0, copy.log()
        copy.stop()
        copy.check_ledger()


@pytest.fixture
def paid(make_server):
    server = make_server(SEGMENT)
    client = sdk(server, validate=False)
    for number in range(3):
        pay(client, 2000 + number)
    return server


def test_a_backup_that_is_killed_leaves_none(paid, tmp_path):
    """At any moment: nothing with the name of a backup, a server that works, and the next backup
    takes its place."""
    folder = tmp_path / "backups"
    backup(paid, folder)
    chance = random.Random(SEED)
    client = sdk(paid, validate=False)
    for number in range(KILLS):
        process = subprocess.Popen(
            [str(PROGRAM), "backup", f"--data={paid.data}", f"--to={folder}"],
            stderr=subprocess.PIPE, env=without_tael_settings())
        time.sleep(chance.random() * 0.06)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        pay(client, 3000 + number)
        for point in points(folder):
            assert point.suffix == ".tmp" or (point / "MANIFEST").exists()
    backup(paid, folder)
    assert not [point for point in points(folder) if point.suffix == ".tmp"]
    result = restore(folder, tmp_path / "made")
    assert result.returncode == 0, result.stderr
    check_tools(folder)


def check_tools(folder):
    """Every backup is what sha256sum says, and belongs to its owner alone."""
    for point in points(folder):
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "MANIFEST"], cwd=point, check=True,
                       timeout=60)
    for path in pathlib.Path(folder).rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_full_segments_are_copied_once(paid, tmp_path):
    folder = tmp_path / "backups"
    backup(paid, folder)
    http = Http(paid, validate=False)
    http.post("/v1/ledger/accounts", json={"events": [
        {"id": str(n), "ledger": 7000, "code": 1} for n in (1, 2)]})
    identity = 0
    while len(list((paid.data / "ledger").glob("[0-9]*.log"))) < SEGMENTS:
        http.post("/v1/ledger/transfers", json={"events": [
            {"id": str(1000 + identity + n), "debit_account_id": "1", "credit_account_id": "2",
             "amount": "5", "ledger": 7000, "code": 1} for n in range(8000)]})
        identity += 8000
    backup(paid, folder)
    shared = {path.name: path.stat().st_ino for path in (folder / "ledger").iterdir()}
    assert len(shared) == SEGMENTS - 1
    pay(sdk(paid, validate=False), 4000)
    backup(paid, folder)
    assert {path.name: path.stat().st_ino for path in (folder / "ledger").iterdir()} == shared
    check_tools(folder)
    result = restore(folder, tmp_path / "made")
    assert result.returncode == 0, result.stderr
    # A stream has all of it, and any tar reads it.
    stream = tmp_path / "stream.tar"
    stream.write_bytes(backup(paid, "-").stdout)
    with tarfile.open(stream) as tar:
        names = tar.getnames()
    assert names[-1] == "MANIFEST" and sum(name.startswith("ledger/") for name in names) == SEGMENTS


def test_a_restore_that_is_killed_leaves_none(paid, tmp_path):
    """At any moment: nothing under the name that was asked for but a whole restore, a folder whose name says
    that it is none, and the same restore again once that is gone."""
    folder, made = tmp_path / "backups", tmp_path / "made"
    left = tmp_path / "made.restoring"
    backup(paid, folder)
    chance = random.Random(SEED)
    began = time.monotonic()
    assert restore(folder, tmp_path / "usual").returncode == 0
    usual = time.monotonic() - began
    cut = tries = 0
    while tries < KILLS or cut == 0 and tries < 20 * KILLS:  # this machine may have been slower before
        tries += 1
        process = subprocess.Popen(
            [str(PROGRAM), "restore", f"--from={folder}", f"--to={made}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=without_tael_settings())
        time.sleep(chance.random() * usual)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        if made.exists():
            assert not left.exists()
            checked = run_tael("ledger", "check", made)
            assert checked.returncode == 0, checked.stderr
            shutil.rmtree(made)
        elif left.exists():
            cut += 1
            result = restore(folder, made)
            assert result.returncode == 1 and "made.restoring" in result.stderr, result.stderr
            shutil.rmtree(left)
    assert cut > 0
    result = restore(folder, made)
    assert result.returncode == 0 and "proved" in result.stdout, result.stderr


def test_what_is_damaged_is_not_restored(paid, tmp_path):
    folder = tmp_path / "backups"
    backup(paid, folder)
    stream = backup(paid, "-").stdout
    chance = random.Random(SEED)
    point = points(folder)[0]
    files = sorted(one for one in point.rglob("*") if one.is_file() and one.stat().st_size > 0)
    for path in files if LONG else chance.sample(files, 3):
        content = path.read_bytes()
        at = chance.randrange(min(len(content), 8192))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        result = restore(folder, tmp_path / "made")
        assert result.returncode == 1, path
        assert path.name in result.stderr or path.name == "MANIFEST", (path, result.stderr)
        path.unlink()
        result = restore(folder, tmp_path / "made")
        assert result.returncode == 1, path
        path.write_bytes(content)
    cuts = (0, 100, 511, 512, 5000, len(stream) - 1500, len(stream) - 1023)
    for cut in cuts if LONG else chance.sample(cuts, 2):
        result = restore("-", tmp_path / "made", stdin=stream[:cut])
        assert result.returncode == 1 and "standard input" in result.stderr, (cut, result.stderr)
    assert sorted(path.name for path in tmp_path.glob("made*")) == []
    assert restore("-", tmp_path / "made", stdin=stream).returncode == 0


def test_documents_that_know_more_than_the_books(paid, tmp_path):
    """The mistake that backups must not make, made by hand: every digest is right."""
    folder = tmp_path / "backups"
    backup(paid, folder)
    pay(sdk(paid, validate=False), 5000)
    backup(paid, folder)
    older, newer = points(folder)
    with_ledger_of(newer, older)
    result = restore(folder, tmp_path / "made")
    assert result.returncode == 1
    assert "differ in 1 places" in result.stderr and "not in the books" in result.stderr
    assert not (tmp_path / "made").exists() and not (tmp_path / "made.restoring").exists()


def seconds(ns):
    """As --until takes it, to the nanosecond."""
    return f"{ns // 10**9}.{ns % 10**9:09}"


def test_until(paid, tmp_path):
    folder = tmp_path / "backups"
    client = sdk(paid, validate=False)
    moments = []
    for number in range(ROUNDS if LONG else 2):
        backup(paid, folder)
        moments.append(int((points(folder)[-1] / "MANIFEST").read_text().split("# made ")[1].split()[0]))
        pay(client, 6000 + number)
    heads = [(point / "MANIFEST").read_text().split("# head ")[1].split()[0]
             for point in points(folder)]
    for number, moment in enumerate(moments):
        result = restore(folder, tmp_path / f"made-{number}", f"--until={seconds(moment)}")
        assert result.returncode == 0 and heads[number] in result.stdout, result.stderr
    result = restore(folder, tmp_path / "made", f"--until={seconds(moments[0] - 1)}")
    assert result.returncode == 1 and "later than --until" in result.stderr
    # A ledger without documents goes back to any of its frames.
    paid.stop()
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copytree(paid.data / "ledger", alone / "ledger")
    paid.start()
    result = run_tael("backup", f"--data={alone}", f"--to={tmp_path / 'ledgers'}")
    assert result.returncode == 0, result.stderr
    for number in range(1, len(moments)):
        clock = int(heads[number].split(":")[2])
        result = restore(tmp_path / "ledgers", tmp_path / f"before-{number}", f"--until={seconds(clock - 1)}")
        assert result.returncode == 0 and heads[number] not in result.stdout, result.stderr
        result = restore(tmp_path / "ledgers", tmp_path / f"ledger-{number}", f"--until={seconds(clock)}")
        assert result.returncode == 0 and heads[number] in result.stdout, result.stderr
        shown = run_tael("ledger", "check", tmp_path / f"ledger-{number}", f"--head={heads[number]}")
        assert shown.returncode == 0 and heads[number] in shown.stdout


def small_files():
    """A disk that has no room left looks like this to whoever writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_where_there_is_no_room(paid, tmp_path):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [str(PROGRAM), "backup", f"--data={paid.data}", "--to=-"], stdout=full,
            stderr=subprocess.PIPE, timeout=60, env=without_tael_settings(), check=False)
    assert result.returncode == 1 and b"no space left" in result.stderr, result.stderr
    result = subprocess.run(
        ["sh", "-c", f"'{PROGRAM}' backup --data='{paid.data}' --to=- | head -c 10000 >/dev/null"],
        stderr=subprocess.PIPE, timeout=60, env=without_tael_settings(), check=False)
    assert b"whoever read it has closed it" in result.stderr
    folder = tmp_path / "backups"
    result = backup(paid, folder, check=False, preexec_fn=small_files)
    assert result.returncode == 1 and str(folder).encode() in result.stderr, result.stderr
    assert points(folder) == []
    backup(paid, folder)
    result = subprocess.run(
        [str(PROGRAM), "restore", f"--from={folder}", f"--to={tmp_path / 'made'}"],
        capture_output=True, timeout=60, env=without_tael_settings(), check=False,
        preexec_fn=small_files)
    assert result.returncode == 1 and b"made.restoring" in result.stderr
    assert not list(tmp_path.glob("made*"))


def test_what_is_asked_wrongly(paid, make_server, tmp_path):
    folder = tmp_path / "backups"
    backup(paid, folder)
    (tmp_path / "there").mkdir()
    (tmp_path / "left.restoring").mkdir()
    cases = {
        ("backup", f"--to={folder}"): (2, "--data is missing"),
        ("backup", f"--data={paid.data}"): (2, "--to is missing"),
        ("backup", f"--data={tmp_path}", f"--to={folder}"): (1, "there is no ledger"),
        ("backup", f"--data={paid.data}", f"--to={paid.data}"): (1, "other things than backups"),
        ("backup", f"--data={paid.data}", f"--to={folder}/points/x/y"): (1, "not found"),
        ("restore", f"--from={folder}"): (2, "--to is missing"),
        ("restore", f"--from={tmp_path}", f"--to={tmp_path}/new"): (1, "there is no backup"),
        ("restore", f"--from={folder}", f"--to={tmp_path}/there"): (1, "exists already"),
        ("restore", f"--from={folder}", f"--to={tmp_path}/left"): (1, "interrupted restore"),
        ("restore", f"--from={folder}", f"--to={tmp_path}/new", "--until=noon"): (2, "no time"),
    }
    for arguments, (status, text) in cases.items():
        result = run_tael(*arguments)
        assert result.returncode == status and text in result.stderr, (arguments, result.stderr)
    # Another ledger's backups, or another history of this one, are not mixed.
    paid.stop()
    shutil.rmtree(paid.data)
    assert restore(folder, paid.data).returncode == 0
    paid.start()
    pay(sdk(paid, validate=False), 700)
    backup(paid, folder)  # it goes on from the backup
    result = backup(make_server(), folder, check=False)
    assert result.returncode == 1 and b"another ledger" in result.stderr
    assert len(points(folder)) == 2
    holder = open(folder / "lock", "r+b")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        result = backup(paid, folder, check=False)
        assert result.returncode == 1 and b"in use by another process" in result.stderr
    finally:
        holder.close()
