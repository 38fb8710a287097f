"""The vault is killed while its keys are rotated: every card can be read, a card that comes again is known, and
the next start goes on with the rotation to its end."""

import random

import pytest

from kit.server import LONG, skip_without_fault_points
from kit.vault import ADMIN, Cards, key_files, rotate, status, tael_vault, wait_for_end
from test_crash_points import points_in_sources

LOOKS_INTO_PROCESS = True
CARDS = 350
KILLS = 40 if LONG else 6
# What is in use afterwards, and the files before the next start.
POINTS = {
    "vault-before-rotate": (1, ["master-2.key", "master.key"]),
    "vault-after-rotate": (2, ["master-2.key", "master.key"]),
    "vault-before-step": (2, ["master-2.key", "master.key"]),
    "vault-before-step@3": (2, ["master-2.key", "master.key"]),
    "vault-after-step": (2, ["master-2.key", "master.key"]),
    "vault-after-step@4": (2, ["master-2.key", "master.key"]),
    "vault-before-retire": (2, ["master-2.key", "master.key"]),
    "vault-before-files": (2, ["master-2.key", "master.key"]),
}


@pytest.fixture(scope="module", autouse=True)
def points():
    assert {name.split("@")[0] for name in POINTS} == {
        point for point in points_in_sources() if point.startswith("vault-")}


def holds_together(server, cards, generation):
    """Of a vault that was started again."""
    cards.check(step=25)
    assert wait_for_end(server)["generation"] == generation
    cards.check(step=25)
    server.stop()
    count, used, _ = cards.tokens()
    assert count == CARDS and len(used) == 1
    server.start()


@pytest.mark.parametrize("point", POINTS)
def test_crash(make_server, point):
    skip_without_fault_points()
    generation, files = POINTS[point]
    server = make_server(ADMIN, start=False)
    server.start(fault=f"{point}:crash")
    cards = Cards(server)
    cards.add(CARDS)
    tael_vault(server, "rotate", "--no-wait")
    server.wait_for_crash()
    assert key_files(server.root) == files
    server.start()
    assert status(server)["generation"] == generation
    holds_together(server, cards, generation)
    assert rotate(server)["generation"] == generation + 1
    assert key_files(server.root) == [f"master-{generation + 1}.key"]
    cards.check(step=25)


def test_kill(make_server):
    """At moments that nobody chose, until one of them was within a rotation."""
    server = make_server(ADMIN)
    cards = Cards(server)
    cards.add(CARDS)
    generation, cut_off = 1, 0
    draw = random.Random(CARDS)
    for kills in range(10 * KILLS):
        if kills >= KILLS and cut_off > 0:
            break
        if not status(server)["rotating"]:
            assert rotate(server, "--no-wait")["generation"] == generation + 1
            generation += 1
        for _ in range(draw.randrange(4)):
            status(server)
        server.kill()
        server.start()
        now = status(server)
        assert now["generation"] == generation
        cut_off += now["rotating"]
        cards.check(step=70)
    assert cut_off > 0, "no kill met a rotation"
    holds_together(server, cards, generation)
