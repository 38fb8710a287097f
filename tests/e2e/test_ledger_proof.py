"""docs/ledger.md, "Proof of history": what an auditor does with a head and with evidence, in Python
and with nothing of the program but its output."""

import hashlib
import json
import re
import shutil
import struct
import subprocess

import pytest

from kit.client import Http
from kit.server import run_tael

LOOKS_INTO_PROCESS = True
LEDGER = 7000
HEADER = 192
TRANSFER = struct.Struct("<16s16s16s16s16s16sQIIIHHQ")


def sha256(data):
    return hashlib.sha256(data).digest()


class Book:
    """Two accounts of a ledger of our own, and transfers between them."""

    def __init__(self, server):
        self.http = Http(server, validate=False)
        self.count = 0

    def open(self):
        self.ask("accounts", [{"id": str(n), "ledger": LEDGER, "code": 1} for n in (1, 2)])
        return self

    def ask(self, what, events):
        answer = self.http.post(f"/v1/ledger/{what}", json={"events": events})
        assert {one["status"] for one in answer.json()["results"]} == {"created"}, answer.text

    def pay(self, amount):
        self.count += 1
        self.ask("transfers", [{
            "id": str(1000 + self.count), "debit_account_id": "1", "credit_account_id": "2",
            "amount": str(amount), "ledger": LEDGER, "code": 1}])


def verify(evidence, noted):
    """Everything that docs/ledger.md says to compute. Answers the proved amount."""
    frame, headers = bytes.fromhex(evidence["frame"]["bytes"]), evidence["headers"]
    assert evidence["frame"]["header_size"] == HEADER
    assert sha256(frame[HEADER:]) == frame[96:128]
    digest, header = sha256(frame[:HEADER]), frame[:HEADER]
    sequence = struct.unpack_from("<Q", frame, 24)[0]
    for text in headers:
        header = bytes.fromhex(text)
        assert len(header) == HEADER and header[64:96] == digest
        sequence += 1
        assert struct.unpack_from("<Q", header, 24)[0] == sequence
        digest = sha256(header)
    number, _, timestamp, noted_digest = noted.split(":")
    assert (str(sequence), digest.hex()) == (number, noted_digest)
    assert str(struct.unpack_from("<Q", header, 160)[0]) == timestamp
    at = evidence["frame"]["transfer_at"]
    fields = TRANSFER.unpack(frame[at:at + 128])
    assert int.from_bytes(fields[0], "little") == int(evidence["transfer"]["id"])
    return int.from_bytes(fields[3], "little")


@pytest.fixture
def filled(make_server):
    server = make_server()
    book = Book(server).open()
    for amount in range(1, 6):
        book.pay(amount)
    return server, book


def head_of(*arguments):
    result = run_tael("ledger", "head", *arguments)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"\d+:\d+/\d+:\d+:[0-9a-f]{64}", result.stdout.strip())
    return result.stdout.strip()


def test_head_check_and_evidence(filled):
    server, book = filled
    noted = head_of(f"--url={server.url}")
    parts = json.loads(run_tael("ledger", "head", f"--url={server.url}", "--json").stdout)
    assert parts["head"] == noted and noted.endswith(parts["digest"])
    assert noted.startswith(f"{parts['sequence']}:{parts['segment']}/{parts['offset']}:")
    book.pay(77)
    server.stop()
    last = head_of(server.data)
    assert int(last.split(":")[0]) == int(noted.split(":")[0]) + 1
    for head in (noted, last):
        result = run_tael("ledger", "check", server.data, f"--head={head}")
        assert result.returncode == 0 and "nothing up to it was changed" in result.stdout
        assert last in result.stdout
    for number in range(1, 6):
        for arguments, head in (((), last), ((f"--head={noted}",), noted)):
            result = run_tael("ledger", "prove", 1000 + number, server.data, "--json", *arguments)
            assert result.returncode == 0, result.stderr
            evidence = json.loads(result.stdout)
            assert evidence["head"] == head
            assert verify(evidence, head) == number
    with pytest.raises(AssertionError):  # evidence for another amount is none
        evidence["frame"]["bytes"] = evidence["frame"]["bytes"].replace("05" + "00" * 15, "06" + "00" * 15)
        verify(evidence, head)
    shown = run_tael("ledger", "prove", "1003", server.data).stdout
    assert last in shown
    check_with_tools(shown, server)


def check_with_tools(shown, server):
    """The commands that it prints are what anybody can run, and give what it says."""
    commands = re.findall(r"^    (tail .* \| sha256sum)$", shown, re.MULTILINE)
    assert len(commands) == 2
    sequence, offset = map(int, re.search(
        r"in frame (\d+),.*?offset (\d+)", shown, re.DOTALL).groups())
    content = (server.data / "ledger" / "00000001.log").read_bytes()
    body, header = (subprocess.run(["sh", "-c", command], capture_output=True, check=True,
                                   timeout=60).stdout.split()[0].decode() for command in commands)
    assert body == content[offset + 96:offset + 128].hex()
    size = struct.unpack_from("<Q", content, offset + 128)[0]
    assert header == content[offset + size + 64:offset + size + 96].hex()
    assert struct.unpack_from("<Q", content, offset + 24)[0] == sequence


def test_another_history_is_found_by_its_head(filled, tmp_path):
    """Somebody goes back to a copy and lets other things have happened: every checksum, every
    digest, and the books are right."""
    server, book = filled
    server.stop()
    shutil.copytree(server.data, tmp_path / "copy")
    server.start()
    Book(server).ask("transfers", [{
        "id": "2001", "debit_account_id": "1", "credit_account_id": "2", "amount": "500",
        "ledger": LEDGER, "code": 1}])
    noted = head_of(f"--url={server.url}")
    server.stop()
    shutil.rmtree(server.data)
    shutil.copytree(tmp_path / "copy", server.data)
    result = run_tael("ledger", "check", server.data, f"--head={noted}")
    assert result.returncode == 1 and "history ends" in result.stderr
    server.start()
    Book(server).ask("transfers", [{
        "id": "2001", "debit_account_id": "1", "credit_account_id": "2", "amount": "5",
        "ledger": LEDGER, "code": 1}])
    server.stop()
    assert run_tael("ledger", "check", server.data).returncode == 0
    result = run_tael("ledger", "check", server.data, f"--head={noted}")
    assert result.returncode == 1 and "rewritten" in result.stderr
    assert "00000001.log" in result.stderr and "offset" in result.stderr
    report = json.loads(run_tael("ledger", "check", server.data, f"--head={noted}", "--json").stdout)
    assert report["ok"] is False and "rewritten" in report["error"]
    result = run_tael("ledger", "prove", "2001", server.data, f"--head={noted}", "--json")
    assert result.returncode == 1


def test_what_is_asked_wrongly(filled, tmp_path):
    server, _ = filled
    cases = {
        ("check", server.data, "--head=1"): (2, "--head"),
        # A script's variable that was not set is no head that was found again.
        ("check", server.data, "--head="): (2, "--head"),
        ("prove", "1001", server.data, "--head="): (2, "--head"),
        ("check", server.data, "--head=1:1/4096:5:xy"): (2, "64 hexadecimal digits"),
        ("prove", "x", server.data): (2, "no transfer's id"),
        ("prove", "1001", server.data): (1, "stop the server"),
        ("head", server.data): (1, "--url"),
        ("head", tmp_path): (1, "there is no ledger"),
        ("head", "--url=http://127.0.0.1:1"): (1, ""),
    }
    for arguments, (status, text) in cases.items():
        result = run_tael("ledger", *arguments)
        assert result.returncode == status and text in result.stderr, (arguments, result.stderr)
    server.stop()
    result = run_tael("ledger", "prove", "424242", server.data)
    assert result.returncode == 1 and "no such transfer" in result.stderr
