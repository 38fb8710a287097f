"""docs/ledger.md, "Old segments": moved elsewhere while the server works, missed with their name, put back."""

import shutil

from kit.backups import backup, points, restore
from kit.books import metrics
from kit.client import Http
from kit.server import run_tael, wait_until

LOOKS_INTO_PROCESS = True
LEDGER = 4500
FIRST = 20  # transfers, of the first segment


def post(server, what, **body):
    return Http(server, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=60)


def ask(server, what, **body):
    answer = post(server, what, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def transfers(first, count):
    return [{"id": str(first + i), "debit_account_id": "1", "credit_account_id": "2", "amount": "1",
             "ledger": LEDGER, "code": 1} for i in range(count)]


def load(server, rows):
    """So many transfers between other accounts."""
    filled = run_tael("bench", "ledger", f"--url={server.url}", f"--key={server.key}", "--json",
                      "--batch=8190", "--outstanding=2", "--accounts=10", f"--rows={rows}")
    assert filled.returncode == 0, filled.stderr


def history(limit):
    return {"op": "get_account_transfers",
            "filter": {"account_id": "1", "flags": ["debits", "credits"], "limit": limit}}


def begun(make_server):
    """A server with the first transfers in the first segment."""
    server = make_server("--ledger-segment-size=8m", "--ledger-snapshot-interval=1m")
    ask(server, "accounts", events=[{"id": str(n), "ledger": LEDGER, "code": 1} for n in (1, 2)])
    ask(server, "transfers", events=transfers(1, FIRST))
    return server


def archive_first(server, archive):
    """Fills the ledger until the first segment may go, and says which are gone."""
    load(server, 650_000)  # more ids than the index keeps in memory

    def archived():
        moved = run_tael("ledger", "archive", server.data, f"--to={archive}")
        return moved.returncode == 0 and (archive / "00000001.log").exists()

    wait_until(archived, 60, "a segment that may go")
    return sorted(path.name for path in archive.glob("*.log"))


def test_a_backup_takes_what_is_archived_from_there(make_server, tmp_path):
    """With the archive's folder a backup is whole; without, it says which segment it misses."""
    server = begun(make_server)
    old, new, archive = (tmp_path / name for name in ("old", "new", "archive"))
    archive.mkdir()
    backup(server, old)  # its head is in the first segment
    names = archive_first(server, archive)
    for folder in (old, new):
        missed = backup(server, folder, check=False)
        assert missed.returncode == 1 and b"00000001.log" in missed.stderr and b"--archive" in missed.stderr
    (tmp_path / "other").mkdir()
    for arguments, text in ((f"--archive={tmp_path}/other", b"00000001.log"),
                            (f"--archive={tmp_path}/nowhere", b"00000001.log")):
        missed = backup(server, new, arguments, check=False)
        assert missed.returncode == 1 and text in missed.stderr
    other = begun(make_server)
    other.stop()
    shutil.copy(other.data / "ledger" / "00000001.log", tmp_path / "other")
    missed = backup(server, new, f"--archive={tmp_path}/other", check=False)
    assert missed.returncode == 1 and b"of another ledger" in missed.stderr
    for folder in (old, new):
        backup(server, folder, f"--archive={archive}")
    assert len(points(old)) == 2 and len(points(new)) == 1
    stream = backup(server, "-", f"--archive={archive}").stdout
    for source, stdin in ((old, None), ("-", stream)):
        back = make_server(start=False)
        back.folder.mkdir(parents=True)
        result = restore(source, back.data, stdin=stdin)
        assert result.returncode == 0, result.stderr
        assert (back.data / "ledger" / names[0]).exists()
        back.start()
        assert ask(back, "lookup", transfers=["1"])["transfers"][0]["amount"] == "1"
    # What the backups have already nobody needs the archive for.
    ask(server, "transfers", events=transfers(10**8, 1))
    backup(server, new)
    for name in names:
        shutil.move(archive / name, server.data / "ledger" / name)


def starts_without_what_it_needs(server, archive, tmp_path):
    """A start without a snapshot, and the proof, say what to do about a segment that is archived."""
    server.stop()
    ledger = server.data / "ledger"
    says = f"{ledger}/00000001.log: the segment is missing; if it was archived, put it back"
    refused = run_tael("ledger", "check", server.data)
    assert refused.returncode == 1
    assert f"{says}, or name the folder that has it: --archive=DIR" in refused.stderr, refused.stderr
    assert run_tael("ledger", "check", server.data, f"--archive={archive}").returncode == 0
    shutil.move(ledger / "snapshot", tmp_path / "snapshot")
    refused = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0")
    assert refused.returncode == 1 and f"{says}\n" in refused.stderr, refused.stderr
    shutil.rmtree(ledger / "snapshot", ignore_errors=True)
    shutil.move(tmp_path / "snapshot", ledger / "snapshot")
    server.start()


def test_what_is_archived_is_missed_by_name(make_server, tmp_path):
    server = begun(make_server)
    for _ in range(6):  # snapshots go on with what is written
        if metrics(server)["tael_ledger_snapshots_total"] < 2:
            load(server, 20_000)
    archive = tmp_path / "archive"
    archive.mkdir()
    moved = run_tael("ledger", "archive", server.data, f"--to={archive}")
    assert moved.returncode == 0 and "Segment 00000001 and what follows it stay" in moved.stdout, moved
    assert not list(archive.glob("*.log"))
    load(server, 600_000)  # more ids than the index keeps in memory

    def archived():
        moved = run_tael("ledger", "archive", server.data, f"--to={archive}")
        assert moved.returncode == 0, moved.stderr
        return (archive / "00000001.log").exists() and moved

    moved = wait_until(archived, 60, "a segment that may go")
    names = sorted(path.name for path in archive.glob("*.log"))
    assert names and names[0] == "00000001.log", moved.stdout
    ledger = server.data / "ledger"
    assert not (ledger / names[0]).exists()
    # The next one has nothing of it in memory, and needs nothing of it to start.
    server.kill()
    server.start()
    for missed in (post(server, "lookup", transfers=["1"]),
                   post(server, "transfers", events=transfers(1, 1)),
                   post(server, "transfers", events=transfers(10**6, 3) + transfers(2, 1)),
                   post(server, "query", **history(FIRST))):
        assert missed.status_code == 503, missed.text
        assert "segment 00000001.log" in missed.json()["error"]["message"], missed.text
    # Nothing was done, and what needs no old segment goes on.
    assert ask(server, "lookup", transfers=[str(10**6)])["transfers"] == []
    before = ask(server, "lookup", accounts=["1"])["accounts"][0]
    assert before["debits_posted"] == str(FIRST)
    assert ask(server, "transfers", events=transfers(10**7, 1))["results"][0]["status"] == "created"
    assert metrics(server)["tael_ledger_healthy"] == 1
    starts_without_what_it_needs(server, archive, tmp_path)
    # One that was put back goes there again, although the one behind it is still away.
    assert len(names) > 1
    shutil.move(archive / names[0], ledger / names[0])
    assert [one["id"] for one in ask(server, "lookup", transfers=["1"])["transfers"]] == ["1"]
    moved = run_tael("ledger", "archive", server.data, f"--to={archive}")
    assert moved.returncode == 0, moved.stderr
    assert (archive / names[0]).exists() and not (ledger / names[0]).exists()
    names = sorted(path.name for path in archive.glob("*.log"))
    for name in names:
        shutil.move(archive / name, ledger / name)
    found = ask(server, "lookup", transfers=["1"])["transfers"]
    assert [transfer["id"] for transfer in found] == ["1"]
    assert ask(server, "transfers", events=transfers(1, 1))["results"][0]["status"] == "exists"
    assert len(ask(server, "query", **history(100))["transfers"]) == FIRST + 1
