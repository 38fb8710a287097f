"""`tael ledger check` on the folder of a stopped server: one bit that is not as it was, and it says
so, with the file and the place."""

import json
import random
import re
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.client import Http, pay, sdk
from kit.server import LONG, Server, run_tael

# 128-byte records as docs/ledger.md draws them.
ACCOUNT = struct.Struct("<16s64s16sQIIIHHQ")
TRANSFER = struct.Struct("<16s16s16s16s16s16sQIIIHHQ")
BATCH = 8000
OWN_LEDGER = 2000
FRAME_ALIGNMENT = 4096
SAMPLES = 5000 if LONG else 300
WORKERS = 2


def u128(value):
    return value.to_bytes(16, "little")


def fill(server):
    """Payments, and as many transfers of another ledger as make more than one segment."""
    client, http = sdk(server, validate=False), Http(server, validate=False)
    for number in range(5):
        intent = pay(client, 2000 + number)
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
    pay(client, capture_method="manual")

    def batch(kind, records):
        answer = http.post(f"/v1/ledger/{kind}", b"".join(records), headers={
            "Content-Type": f"application/vnd.tael.{kind}"})
        assert answer.status_code == 200, answer.text

    batch("accounts", [
        ACCOUNT.pack(u128(number), b"", b"", 0, 0, 0, OWN_LEDGER, 1, 0, 0) for number in (1, 2)])
    identity = 0
    while len(segments(server)) < 3:
        records = []
        for _ in range(BATCH):
            identity += 1
            records.append(TRANSFER.pack(
                u128(identity), u128(1), u128(2), u128(7), b"", b"", 0, 0, 0, OWN_LEDGER, 1, 0, 0))
        batch("transfers", records)
    return identity


def segments(server):
    return sorted((server.data / "ledger").glob("[0-9]*.log"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("check"), "--ledger-segment-size=4m").start()
    try:
        server.transfers = fill(server)
        server.stop()
        yield server
    finally:
        server.close()


class Copy:
    """A data folder with only the ledger in it, whose bits may be flipped one at a time."""

    def __init__(self, server, folder):
        self.data = folder
        (folder / "ledger").mkdir(parents=True)
        self.files = {}
        for path in segments(server):
            copy = folder / "ledger" / path.name
            copy.write_bytes(path.read_bytes())
            self.files[path.name] = copy
        (folder / "ledger" / "lock").touch()

    def flip(self, name, offset, bit):
        with open(self.files[name], "r+b", buffering=0) as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << bit)]))

    def check(self, *flags):
        return run_tael("ledger", "check", *flags, self.data)

    def with_flip(self, name, offset, bit):
        """The check's result with one bit flipped; afterwards it is as it was."""
        self.flip(name, offset, bit)
        try:
            return self.check()
        finally:
            self.flip(name, offset, bit)


def named_place(text):
    """(file, offset) that the message names."""
    match = re.search(r"(\d{8}\.log)\D+(\d+)", text)
    assert match, f"no file and offset in: {text}"
    return match.group(1), int(match.group(2))


def frame_starts(path):
    """Where the header block and each frame of a segment begin."""
    content, starts, offset = path.read_bytes(), [0], FRAME_ALIGNMENT
    while content[offset + 16:offset + 24] == b"TAELFRM2":
        starts.append(offset)
        offset += int.from_bytes(content[offset + 128:offset + 136], "little")
    return starts, offset


def expect_found(copy, name, offset, bit, starts, end):
    result = copy.with_flip(name, offset, bit)
    where = f"bit {bit} at {offset} of {name}"
    assert result.returncode == 1, f"{where}: {result.returncode} {result.stdout}{result.stderr}"
    named, at = named_place(result.stderr)
    # The place is the frame that holds the bit, or in what is unused the bit's own block.
    if offset < end:
        wanted = max(start for start in starts if start <= offset)
        later = min([start for start in starts if start > offset], default=end)
        assert named == name and wanted <= at < later, f"{where}: {result.stderr}"
    else:
        assert named == name and end <= at <= offset, f"{where}: {result.stderr}"


def run_samples(server, tmp_path, samples):
    """Each worker has a copy of its own."""
    layouts = {path.name: frame_starts(path) for path in segments(server)}
    copies = [Copy(server, tmp_path / f"copy-{number}") for number in range(WORKERS)]

    def work(number):
        for name, offset, bit in samples[number::WORKERS]:
            expect_found(copies[number], name, offset, bit, *layouts[name])
        return True

    with ThreadPoolExecutor(WORKERS) as pool:
        assert all(pool.map(work, range(WORKERS)))
    for copy in copies:
        assert copy.check().returncode == 0  # each flip was undone: it was the flip that was found


def test_undamaged(stopped):
    result = stopped.ledger_check()
    assert result.returncode == 0, result.stderr
    assert "The books balance" in result.stdout
    shown = json.loads(run_tael("ledger", "check", "--json", stopped.data, check=True).stdout)
    # Of the card payments: 5 times payment, fee and refund, and one hold.
    assert shown["transfers"] == stopped.transfers + 16


def test_flipped_bits_of_closed_segments(stopped, tmp_path):
    """Anywhere: headers, frames, what is unused at the end."""
    chance = random.Random(3)
    closed = segments(stopped)[:-1]
    assert len(closed) >= 2
    samples = []
    for _ in range(SAMPLES):
        path = chance.choice(closed)
        samples.append((path.name, chance.randrange(path.stat().st_size), chance.randrange(8)))
    run_samples(stopped, tmp_path, samples)


def test_flipped_bits_of_small_frames(stopped, tmp_path):
    """The payments' own frames, bit by bit: heads, sections, events, padding."""
    path = segments(stopped)[0]
    starts, _ = frame_starts(path)
    # Long: every bit of a header's fields and of one frame's head and first section.
    offsets = [*range(0, 128), *range(starts[1], starts[1] + 480)]
    samples = [(path.name, offset, bit) for offset in offsets for bit in range(8)]
    if not LONG:
        samples = random.Random(4).sample(samples, 160)
    run_samples(stopped, tmp_path, samples)


def test_flipped_bits_of_the_newest_segment(stopped, tmp_path):
    """All but the last frame, which looks like a torn write, is proved there as well."""
    path = segments(stopped)[-1]
    starts, _ = frame_starts(path)
    assert len(starts) >= 2
    chance = random.Random(5)
    last = starts[-1]
    samples = [(path.name, chance.randrange(last), chance.randrange(8))
               for _ in range(SAMPLES // 4)]
    run_samples(stopped, tmp_path, samples)


def test_cut_and_missing_files(stopped, tmp_path):
    """Damage that is no flipped bit."""
    def fresh(number):
        return Copy(stopped, tmp_path / f"copy-{number}")

    names = [path.name for path in segments(stopped)]
    cut = fresh(0)
    with open(cut.files[names[0]], "r+b") as file:
        file.truncate(cut.files[names[0]].stat().st_size // 2)
    missing = fresh(1)
    missing.files[names[1]].unlink()
    swapped = fresh(2)
    swapped.files[names[0]].rename(tmp_path / "aside")
    swapped.files[names[1]].rename(swapped.files[names[0]])
    (tmp_path / "aside").rename(swapped.files[names[1]])
    for copy in (cut, missing, swapped):
        result = copy.check()
        assert result.returncode == 1, result.stdout
        assert re.search(r"\d{8}\.log", result.stderr), result.stderr


def test_a_server_refuses_what_the_check_refuses(stopped, tmp_path):
    """It does not start on damaged books, and says where the damage is."""
    folder = tmp_path / "damaged"
    shutil.copytree(stopped.data, folder)
    path = folder / "ledger" / "00000001.log"
    content = bytearray(path.read_bytes())
    content[FRAME_ALIGNMENT + 200] ^= 1
    path.write_bytes(content)
    result = run_tael("server", f"--data={folder}", "--listen=127.0.0.1:0", timeout=30)
    assert result.returncode == 1, result.returncode
    assert "listening" not in result.stdout
    name, offset = named_place(result.stderr + result.stdout)
    assert (name, offset) == ("00000001.log", FRAME_ALIGNMENT)


def test_a_running_server_is_not_checked(make_server):
    server = make_server()
    result = run_tael("ledger", "check", server.data)
    assert result.returncode == 1
    assert "stop the server" in result.stderr
