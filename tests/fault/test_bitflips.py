"""A bit that flips in a closed part of the journal is found, and its place is named."""

import random
import re

import pytest

from kit.client import Http, pay, sdk
from kit.server import LONG, run_tael


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A stopped server's folder whose journal has closed segments."""
    from kit.server import Server

    server = Server(tmp_path_factory.mktemp("flips"), "--ledger-segment-size=4m").start()
    pay(sdk(server))
    http = Http(server)
    accounts = [{"id": str(number), "ledger": 5000, "code": 1} for number in (1, 2)]
    assert http.post("/v1/ledger/accounts", json={"events": accounts}).status_code == 200
    for batch in range(8):
        events = [{"id": str(1000 + batch * 8000 + number), "debit_account_id": "1",
                   "credit_account_id": "2", "amount": "1", "ledger": 5000, "code": 1}
                  for number in range(8000)]
        answer = http.post("/v1/ledger/transfers", json={"events": events})
        assert {result["status"] for result in answer.json()["results"]} == {"created"}
    server.stop()
    yield server
    server.close()


def journal(server):
    return sorted(path for path in (server.data / "ledger").rglob("*") if path.is_file())


def test_undamaged(closed):
    result = closed.ledger_check()
    assert result.returncode == 0, result.stdout + result.stderr
    assert len([path for path in journal(closed) if path.stat().st_size >= 4 << 20]) >= 3


def test_sampled_bits(closed):
    """Bits of a closed segment, spread over all of it; each found, with file and offset."""
    segment = [path for path in journal(closed) if path.stat().st_size >= 4 << 20][0]
    content = bytearray(segment.read_bytes())
    used = len(content.rstrip(b"\0"))
    chance = random.Random(11)
    offsets = [0, 1, 4095, 4096, used - 1]
    offsets += [chance.randrange(used) for _ in range(400 if LONG else 35)]
    try:
        for offset in offsets:
            bit = 1 << chance.randrange(8)
            content[offset] ^= bit
            segment.write_bytes(content)
            result = closed.ledger_check()
            told = result.stdout + result.stderr
            assert result.returncode == 1, f"bit {bit} of byte {offset} was not found: {told}"
            assert segment.name in told, told
            places = [int(place) for place in re.findall(r"\b\d+\b", told)]
            assert any(place <= offset for place in places), told
            content[offset] ^= bit
    finally:
        segment.write_bytes(content)
    assert closed.ledger_check().returncode == 0


def test_server_refuses_a_damaged_segment(closed):
    segment = [path for path in journal(closed) if path.stat().st_size >= 4 << 20][0]
    content = bytearray(segment.read_bytes())
    at = len(content.rstrip(b"\0")) // 2
    content[at] ^= 4
    segment.write_bytes(content)
    try:
        result = run_tael("server", f"--data={closed.data}", "--listen=127.0.0.1:0", timeout=60)
        assert result.returncode != 0
        assert segment.name in result.stderr
    finally:
        content[at] ^= 4
        segment.write_bytes(content)
    closed.start()
    assert len(sdk(closed).v1.charges.list().data) == 1
    closed.stop()


def test_segment_that_is_gone(closed):
    segment = [path for path in journal(closed) if path.stat().st_size >= 4 << 20][1]
    aside = segment.with_suffix(".aside")
    aside = closed.folder / aside.name
    segment.rename(aside)
    try:
        assert closed.ledger_check().returncode == 1
    finally:
        aside.rename(segment)
    assert closed.ledger_check().returncode == 0


def test_check_while_the_server_runs(make_server):
    server = make_server()
    result = run_tael("ledger", "check", server.data)
    assert result.returncode != 0
    sdk(server).v1.balance.retrieve()
