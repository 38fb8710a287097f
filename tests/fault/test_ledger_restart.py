"""kill -9 of a server under the ledger's full load, with a long history: the next one answers within two
seconds, redoes no more of the journal than one interval of snapshots, and has what was acknowledged.

RESTART_ROWS transfers (1 million; with TEST_LONG 40 million, which take 10 GB), and as many kills as
RESTART_ROUNDS says."""

import os
import pathlib
import subprocess
import time

import requests

from kit.books import metrics
from kit.client import Http
from kit.server import LONG, PROGRAM, run_tael, without_tael_settings

ROWS = int(os.environ.get("RESTART_ROWS", 40_000_000 if LONG else 1_000_000))
ROUNDS = int(os.environ.get("RESTART_ROUNDS", 5 if LONG else 2))
# The promise; on a machine that is busy with other tests it says nothing.
SECONDS = 2.0 if LONG else 15.0
MIB = 1 << 20
# Small where the history is, so that there are snapshots; as a server has it where there is time.
INTERVAL = 128 * MIB if LONG else 16 * MIB
# What the journal grows by from a snapshot's beginning until it has its name, which is when the
# next start may use it: of a machine with two cores that the load generator shares.
WHILE_WRITTEN = 4
LEDGER = 4711


def load(server, *options):
    return [str(PROGRAM), "bench", "ledger", f"--url={server.url}", f"--key={server.key}", "--json",
            "--batch=8190", "--outstanding=4", *options]


def ask(server, what, **body):
    answer = Http(server, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def transfers(first, count):
    return [{"id": str(first + i), "debit_account_id": "1", "credit_account_id": "2", "amount": "1",
             "ledger": LEDGER, "code": 1} for i in range(count)]


def one_round(server, number):
    """Kills it while it works, and answers the ids that were acknowledged behind the load's back."""
    with subprocess.Popen(load(server, "--seconds=600"), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=without_tael_settings()) as client:
        try:
            told, until = [], time.monotonic() + 1 + number
            while time.monotonic() < until:
                batch = transfers(10**12 + number * 10**6 + len(told), 20)
                try:
                    assert all(result["status"] == "created"
                               for result in ask(server, "transfers", events=batch)["results"])
                except (AssertionError, requests.exceptions.RequestException):
                    assert client.poll() is None
                    continue
                told += [event["id"] for event in batch]
            server.kill()
        finally:
            client.kill()
    return told


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size_of(server):
    return sum(path.stat().st_size for path in (server.data / "ledger").glob("*.log"))


def test_restart_does_not_wait_for_history(make_server):
    server = make_server(f"--ledger-snapshot-interval={INTERVAL}")
    ask(server, "accounts", events=[{"id": str(n), "ledger": LEDGER, "code": 1} for n in (1, 2)])
    filled = run_tael(*load(server, f"--rows={ROWS}")[1:], timeout=3600)
    assert filled.returncode == 0, filled.stderr
    for number in range(ROUNDS):
        snapshots = metrics(server)["tael_ledger_snapshots_total"]
        told = one_round(server, number)
        began = time.monotonic()
        server.start()
        found = ask(server, "lookup", transfers=told[-20:])["transfers"]
        took = time.monotonic() - began
        busy = processor_seconds(server.process.pid)
        seen = metrics(server)
        print(f"{ROWS} transfers, {size_of(server) / 1e9:.1f} GB: answered {took:.2f} s after its start "
              f"({busy:.2f} s of the processor), loaded in {seen['tael_ledger_load_seconds']:.2f} s, redid "
              f"{seen['tael_ledger_load_bytes'] / MIB:.0f} MiB, {snapshots:.0f} snapshots before")
        assert [transfer["id"] for transfer in found] == told[-20:]
        for start in range(0, len(told), 1000):
            some = told[start:start + 1000]
            assert len(ask(server, "lookup", transfers=some)["transfers"]) == len(some)
        assert 0 < seen["tael_ledger_load_bytes"] < WHILE_WRITTEN * INTERVAL
        assert took < SECONDS
