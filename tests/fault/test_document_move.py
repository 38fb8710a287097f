"""Merchants move to other databases while they pay through two servers, and the mover, a server or a
database is killed at a step: no payment fails or is made twice, nobody waits for long."""

import json
import os
import secrets
import signal
import subprocess
import threading
import time

import pytest
import requests

from kit import postgres
from kit.client import Http
from kit.merchants import create
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.server import LONG, PROGRAM, run_tael, wait_until, without_tael_settings, write_document_map
from test_crash_points import points_in_sources

pytestmark = needs_postgres

SHARDS, MERCHANTS = 2, 6
PAUSE = 0.5      # of the best of some moves, beside what payments take: the machine may be busy
BREATH = 0.02    # of a customer between payments: what is paid is listed again and again
FOLLOWS = 3.0    # no server waits longer
PAYMENT = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
           "confirm": "true", "description": "tea"}
STEPS = ("prepare", "copy", "catch-up", "verify", "fence", "drain", "close", "flip", "open",
         "clean-up")
# Behind the one the servers wait until it is ended; behind the other that is the only way.
CLOSED, DECIDED = STEPS.index("close"), STEPS.index("open")
BACK_SHORT = ("copy", "fence", "flip")  # what is taken back in the short form, too


class World:
    """Two databases and an empty third; two servers on one ledger."""

    def __init__(self, folder, *servers):
        self.folder = folder
        self.map, self.next = folder / "documents", folder / "next"
        self.databases = [(servers[i % len(servers)], f"m{i}_{secrets.token_hex(4)}")
                          for i in range(SHARDS + 1)]
        self.urls = [server.create(name) for server, name in self.databases]
        self.epoch, self.at = 1, 0
        write_document_map(self.map, self.urls[:SHARDS])
        self.cluster = Nodes(folder / "cluster", f"shards:{self.map}", api=2)

    def start(self):
        self.cluster.start()
        operators = self.cluster.metrics_urls()[1]
        self.keys = [create(operators, f"Merchant {i}")["key"] for i in range(MERCHANTS)]
        return self

    def close(self):
        self.cluster.close()
        for server, name in self.databases:
            if server.process is not None:
                server.drop(name)

    def write_next(self):
        """All of the first shard goes to the third database, or back: in turn."""
        other = 0 if self.at == SHARDS else SHARDS
        lines = ["tael-shards 1", f"epoch {self.epoch + 1}"]
        lines += [f"shard d{i} {url}" for i, url in enumerate(self.urls)]
        lines += [f"slots 0-8191 d{other}", "slots 8192-16383 d1", "table documents hash"]
        self.next.write_text("\n".join(lines) + "\n")
        return other

    def move(self, *flags, fault=None):
        return run_tael("documents", "move", f"--map={self.map}", f"--next={self.next}",
                        *(flags or ("--online",)), "--json",
                        environment={"TAEL_FAULT": fault} if fault else None)

    def move_killed_at(self, step):
        """kill -9 as it says that the step begins."""
        mover = subprocess.Popen(
            [str(PROGRAM), "documents", "move", f"--map={self.map}", f"--next={self.next}",
             "--online"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=without_tael_settings())
        for line in mover.stdout:
            if line.strip() == step:
                mover.send_signal(signal.SIGKILL)
                break
        _, errors = mover.communicate(timeout=60)
        assert mover.returncode == -signal.SIGKILL, errors

    def verify(self):
        result = run_tael("documents", "verify", f"--map={self.map}", "--json")
        assert result.returncode == 0, result.stderr
        shown = json.loads(result.stdout)
        assert shown["epoch"] == self.epoch
        return shown


def intents(http):
    """All: (id, status)."""
    seen, after = [], {}
    while True:
        page = http.get("/v1/payment_intents", params={"limit": "100", **after}).json()
        seen += [(one["id"], one["status"]) for one in page["data"]]
        if not page["has_more"]:
            return seen
        after = {"starting_after": page["data"][-1]["id"]}


def succeeded(http):
    return [name for name, status in intents(http) if status == "succeeded"]


class Payer(threading.Thread):
    """A merchant's customers, through both servers in turn: each payment by a key of its own."""

    def __init__(self, world, key):
        super().__init__()
        self.https = [Http(node, key=key, validate=False) for node in world.cluster.nodes]
        self.before = dict(intents(self.https[0]))
        self.stop, self.paid, self.failed, self.longest = False, [], [], 0.0

    def run(self):
        count = 0
        while not self.stop:
            count += 1
            key = {"Idempotency-Key": f"{self.name} {count}"}
            began = time.monotonic()
            try:
                answer = self.https[count % 2].post("/v1/payment_intents", PAYMENT, headers=key)
            except requests.exceptions.RequestException as error:
                self.failed.append(str(error))  # its server was killed: nobody knows
                continue
            self.longest = max(self.longest, time.monotonic() - began)
            if answer.status_code == 200 and answer.json()["status"] == "succeeded":
                self.paid.append(answer.json()["id"])
            else:
                self.failed.append(answer.text)
            time.sleep(BREATH)

    def check(self):
        """Each once, as both servers see it, beside those of earlier tests, of which some may have been under way:
        then nobody knew."""
        kept = {name for name, status in self.before.items() if status == "succeeded"}
        for http in self.https:
            seen = succeeded(http)
            assert len(seen) == len(set(seen))
            assert kept | set(self.paid) <= set(seen)
            if not self.failed:
                assert set(seen) - set(self.before) == set(self.paid)


class Load:
    def __init__(self, world):
        self.payers = [Payer(world, key) for key in world.keys]

    def __enter__(self):
        for payer in self.payers:
            payer.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *unused):
        time.sleep(0.3)
        for payer in self.payers:
            payer.stop = True
        for payer in self.payers:
            payer.join(60)

    def forget(self):
        for payer in self.payers:
            payer.longest = 0.0

    def failed(self):
        return [text for payer in self.payers for text in payer.failed]

    def longest(self):
        return max(payer.longest for payer in self.payers)

    def check(self):
        assert all(payer.paid for payer in self.payers)
        for payer in self.payers:
            payer.check()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with postgres.Postgres() as server:
        made = World(tmp_path_factory.mktemp("move"), server)
        try:
            yield made.start()
        finally:
            made.close()


def moved_on(world, other):
    world.epoch, world.at = world.epoch + 1, other


def settled(world):
    """Whoever was refused is back."""
    https = [Http(node, key=key, validate=False) for node in world.cluster.nodes
             for key in world.keys]
    wait_until(lambda: all(http.post("/v1/customers", {"name": "x"}).status_code == 200
                           for http in https), 30, "both servers for all merchants")


def test_merchants_pay_while_they_move(world):
    load, longest = Load(world), []
    with load:
        time.sleep(2)
        usual = load.longest()
        for _ in range(4):
            other = world.write_next()
            load.forget()
            moved = world.move()
            assert moved.returncode == 0, moved.stderr
            shown = json.loads(moved.stdout)
            assert shown["scopes"] > 0 and shown["pause_us"] > 0
            moved_on(world, other)
            time.sleep(0.3)
            longest.append(load.longest())
            print(f"closed for {shown['pause_us'] / 1000:.0f} ms, longest payment "
                  f"{longest[-1] * 1000:.0f} ms")
    assert load.failed() == []
    load.check()
    world.verify()
    assert min(longest) < PAUSE + usual and max(longest) < FOLLOWS + usual


@pytest.mark.parametrize(("step", "back"), [
    pytest.param(step, back, id=f"{step}-{'taken back' if back else 'ended'}")
    for step in STEPS for back in (False, True) if LONG or not back or step in BACK_SHORT])
def test_the_mover_is_killed(world, step, back):
    load = Load(world)
    with load:
        other = world.write_next()
        world.move_killed_at(step)
        ended = world.move(*(["--cancel"] if back else []))
        decided = back and ended.returncode != 0
        if decided:
            assert "the move is decided" in ended.stderr
            ended = world.move()
        assert ended.returncode == 0, ended.stderr
        if not back or decided:
            moved_on(world, other)
    settled(world)
    if STEPS.index(step) < CLOSED:
        assert load.failed() == []
        assert not decided
    load.check()
    world.verify()


POINTS = ["documents-move-prepare", "documents-move-copy", "documents-move-follow",
          "documents-move-close", "documents-move-flip", "documents-move-open",
          "documents-move-delete", "documents-move-end"]


def test_every_point_is_visited():
    assert {point for point in points_in_sources() if point.startswith("documents-move-")} <= set(
        POINTS)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", [1, 2] if LONG else [2])
def test_the_mover_dies_within_a_step(world, point, nth):
    """Some databases know of it, and others do not."""
    load = Load(world)
    with load:
        other = world.write_next()
        died = world.move(fault=f"{point}@{nth}:crash")
        if died.returncode == 0:
            moved_on(world, other)
            pytest.skip("a program without fault points")
        assert died.returncode == -signal.SIGKILL, died.stderr
        ended = world.move()
        assert ended.returncode == 0, ended.stderr
        moved_on(world, other)
    settled(world)
    load.check()
    world.verify()


def test_a_server_that_hangs_is_cut_off(world):
    """SIGSTOP: its connections are ended, and it goes on by the new map."""
    other = world.write_next()
    process = world.cluster.processes["api-2"].process
    https = [Http(world.cluster.nodes[0], key=key, validate=False) for key in world.keys]
    for http in https:
        assert http.post("/v1/payment_intents", PAYMENT).status_code == 200
    os.kill(process.pid, signal.SIGSTOP)
    try:
        moved = world.move()
        assert moved.returncode == 0, moved.stderr
        moved_on(world, other)
        for http in https:
            assert http.post("/v1/payment_intents", PAYMENT).status_code == 200
    finally:
        os.kill(process.pid, signal.SIGCONT)
    settled(world)
    load = Load(world)
    with load:
        time.sleep(0.5)
    assert load.failed() == []
    world.verify()


def test_a_server_is_killed_while_it_moves(world):
    load = Load(world)
    with load:
        other = world.write_next()
        mover = threading.Thread(target=lambda: setattr(world, "moved", world.move()))
        mover.start()
        time.sleep(0.1)
        member = world.cluster.processes["api-2"]
        member.kill()
        mover.join(60)
        assert world.moved.returncode == 0, world.moved.stderr
        moved_on(world, other)
        member.start()
    settled(world)
    for payer in load.payers:
        payer.check()
    world.verify()
