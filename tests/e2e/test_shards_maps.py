"""Processes whose maps of the ledger's shards are not the same: nobody books anything by a wrong map, and
the logs say which process has which."""

import json

import pytest

from kit.client import Http
from kit.doors import Doors
from kit.server import wait_until
from kit.shards import SLOTS, Shards, map_text, shard_of

LEDGER = 7000


def ask(door, what, **body):
    return Http(door, validate=False).post(f"/v1/ledger/{what}", json=body, timeout=20)


def create(door, number):
    return ask(door, "accounts", events=[{"id": str(number), "ledger": LEDGER, "code": 1}])


def of_shard(shard, first=10**9):
    return next(n for n in range(first, first + 1000) if shard_of(n, 2) == shard)


def logged(door, what):
    lines = [json.loads(line) for line in door.member.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("component") == "shards" and what in line["message"]]


@pytest.fixture
def doors(tmp_path):
    """The second process of the API has a map of its own."""
    made = Doors(tmp_path / "cluster", shards=2, apart=True)
    yield made
    made.close()


def other_places(doors):
    return {name: wire.where() for name, wire in doors.wires_2.items()}


def test_an_old_map_is_told_of_and_read_again(doors):
    doors.start()
    first, second = doors.doors()
    number = of_shard(0)
    doors.write_map(epoch=2)
    first.member.stop()
    first.member.start()
    assert create(first, number).status_code == 200  # and the shards have read theirs
    refused = create(second, number + 1)
    assert refused.status_code in (500, 503), refused.text
    found = logged(second, "the file has an older one")
    assert found and found[0]["epoch"] == 1 and found[0]["shard_epoch"] == 2
    assert ask(first, "lookup", accounts=[str(number + 1)]).json()["accounts"] == []
    doors.other_map.write_text(map_text(other_places(doors), epoch=2))
    assert create(second, number + 1).status_code == 200


def test_a_shard_with_an_older_file(doors):
    """The API has a newer map than the shards, whose file was forgotten."""
    doors.other_map.write_text(map_text(other_places(doors), epoch=2))
    doors.start()
    first, second = doors.doors()
    refused = create(second, of_shard(0))
    assert refused.status_code in (500, 503), refused.text
    found = logged(second, "a shard has an older map")
    assert found and found[0]["epoch"] == 2 and found[0]["shard_epoch"] == 1
    assert create(first, of_shard(0)).status_code == 200
    doors.write_map(epoch=2)
    assert create(second, of_shard(1)).status_code == 200


def test_maps_of_one_epoch_that_differ(doors):
    """The second half of the slots is the other shard's, says one of the two."""
    places = list(other_places(doors).items())
    half = SLOTS // 2
    lines = ["tael-shards 1", "epoch 1", *(f"shard {name} {place}" for name, place in places),
             f"slots 0-{half - 1} {places[1][0]}", f"slots {half}-{SLOTS - 1} {places[0][0]}"]
    doors.other_map.write_text("\n".join(lines) + "\n")
    doors.start()
    first, second = doors.doors()
    number = of_shard(0)
    assert create(second, number).status_code in (500, 503)
    found = logged(second, "the maps differ")
    assert found and found[0]["epoch"] == found[0]["shard_epoch"] == 1
    assert ask(first, "lookup", accounts=[str(number)]).json()["accounts"] == []
    assert create(first, number).status_code == 200


def test_a_shard_does_not_go_back(tmp_path):
    """Served by epoch 2 once, it does not start by a map of epoch 1; nor by one that does not name it."""
    shards = Shards(tmp_path / "cluster", shards=2)
    shards.write_map(epoch=2)
    shards.start()
    name = shards.ledgers[0]
    member = shards.processes[name]
    member.stop()
    for text, why in ((map_text({one: shards.place_of(one) for one in shards.ledgers}, 1),
                       f"the map has epoch 1, and {name} served by 2 already"),
                      (map_text({shards.ledgers[1]: shards.place_of(shards.ledgers[1])}, 3),
                       f"the map names no shard {name}"),
                      ("tael-shards 1\nepoch x\n", "line 2")):
        shards.map.write_text(text)
        member.launch()
        wait_until(lambda: member.process.poll() is not None, 10, "its end")
        assert member.process.returncode not in (0, None)
        assert why in member.log(), member.log()
        member.process = None
    shards.write_map(epoch=2)
    member.start()
    shards.close()
