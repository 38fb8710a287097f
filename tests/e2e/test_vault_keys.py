"""docs/operations/keys.md: the keys of card numbers are rotated while payments go on, in one process and
in several, and backups have the keys that they need."""

import json
import sqlite3
import threading

import pytest
import requests

from kit.backups import backup, points, restore
from kit.client import Http
from kit.cluster import Cluster
from kit.server import run_tael, wait_until
from kit.vault import (
    ADMIN,
    PAYMENT,
    Cards,
    damage,
    key_files,
    rotate,
    status,
    tael_vault,
    vault_url,
    wait_for_end,
)

LOOKS_INTO_PROCESS = True
CARDS = 250


@pytest.fixture
def server(make_server):
    return make_server(ADMIN)


def test_rotate(server):
    cards = Cards(server)
    cards.add(CARDS)
    assert status(server) == {
        "object": "tael.vault_keys", "generation": 1, "rotating": False, "cards": 0,
        "failing": False, "unreadable": 0, "unreadable_cards": []}
    result = tael_vault(server, "rotate")
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        f"generation 2 is in use\n{CARDS} cards encrypted anew; older keys are gone\n")
    assert key_files(server.root) == ["master-2.key"]
    cards.check(step=10)
    cards.add(5)
    server.stop()
    count, used, there = cards.tokens()
    # Card 0 came twice, and is one.
    assert count == CARDS + 5 and used < there and there - used == {"fingerprint"}
    server.start()
    assert status(server)["generation"] == 2
    cards.check(step=10)
    metrics = requests.get(f"{vault_url(server)}/metrics", timeout=30).text
    assert "\ntael_vault_key_generation 2\n" in metrics and "\ntael_vault_rotating 0\n" in metrics


def test_payments_go_on(server):
    """With new cards and with saved ones, through several rotations."""
    cards = Cards(server)
    cards.add(CARDS)
    ends, failures, paid = threading.Event(), [], []

    def work(first):
        http = Http(server, validate=False)
        index = first
        while not ends.is_set():
            try:
                cards.pay(index % CARDS, http)
                found = cards._add(index % CARDS)
                assert found[2] == cards.saved[index % CARDS][2]
                paid.append(index)
            except Exception as error:  # told below, by the test's own thread
                failures.append(error)
                return
            index += 7

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for generation in (2, 3, 4):
        assert rotate(server)["generation"] == generation
    ends.set()
    for thread in threads:
        thread.join(60)
    assert not failures and len(paid) > 4
    server.stop()
    count, used, there = cards.tokens()
    assert count == CARDS, "a card that came again got a second token"
    assert len(used) == 1
    server.start()
    cards.check(step=10)


def test_who_may_ask_and_when(server):
    cards = Cards(server)
    cards.add(CARDS)
    url = vault_url(server)
    # Not on the public listener.
    assert requests.post(f"{server.direct_url}/vault/keys", timeout=30).status_code == 404
    refused = requests.post(f"{url}/vault/keys", headers={"Origin": "http://x"}, timeout=30)
    assert refused.status_code == 403
    refused = requests.put(f"{url}/vault/keys", timeout=30)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert status(server)["generation"] == 1
    assert rotate(server, "--no-wait") == {
        "object": "tael.vault_keys", "generation": 2, "rotating": True, "cards": 0,
        "failing": False, "unreadable": 0, "unreadable_cards": []}
    second = requests.post(f"{url}/vault/keys", timeout=30)  # three steps are 20 ms at least
    if second.status_code != 201:
        assert second.status_code == 409 and "under way" in second.json()["error"]["message"]
    generation = wait_for_end(server)["generation"]
    assert generation == (3 if second.status_code == 201 else 2)
    assert f'"generation":{generation}' in server.log()
    result = run_tael("vault", "rotate", "--url=http://127.0.0.1:1")
    assert result.returncode == 1 and "cannot connect" in result.stderr


def test_backups_have_their_keys(make_server, server, tmp_path):
    """Taken while keys are rotated, each is restored and can be paid with."""
    cards = Cards(server)
    cards.add(CARDS)
    ends = threading.Event()
    generations = []

    def work():
        while not ends.is_set():
            generations.append(rotate(server)["generation"])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(8):
            backup(server, tmp_path / "backups")
    finally:
        ends.set()
        thread.join(120)
    assert len(generations) >= 2
    server.stop()
    seen = set()
    for number, point in enumerate(points(tmp_path / "backups")):
        seen.update(key_files(point))
        alone = tmp_path / f"one-{number}"
        (alone / "points").mkdir(parents=True)
        (alone / "points" / point.name).symlink_to(point)
        (alone / "ledger").symlink_to(tmp_path / "backups" / "ledger")
        copy = make_server(ADMIN, start=False)
        copy.folder.mkdir(parents=True)
        result = restore(alone, copy.root)
        assert result.returncode == 0, result.stderr
        copy.start()
        cards.check(copy, step=50)
        wait_for_end(copy)
        # The file of a generation that had not begun yet may be there: the next rotation takes it.
        rotate(copy)
        assert len(key_files(copy.root)) == 1
        copy.stop()
    assert len(seen) > 1, "all backups were of one generation"


def test_a_damaged_card_is_told_of_and_set_aside(server):
    """It holds no rotation up; whoever asked for it gets a failure, and the ids."""
    cards = Cards(server)
    cards.add(5)
    server.stop()
    path = server.root / "vault" / "vault.db"
    with sqlite3.connect(path) as database:
        [(token, sealed)] = database.execute("SELECT id, sealed FROM card ORDER BY id LIMIT 1")
        sealed = sealed[:40] + ("1" if sealed[40] == "0" else "0") + sealed[41:]
        database.execute("UPDATE card SET sealed = ? WHERE id = ?", (sealed, token))
    database.close()
    server.start()
    result = tael_vault(server, "rotate")
    assert result.returncode == 1 and "1 cards are damaged" in result.stderr
    assert result.stdout.endswith("4 cards encrypted anew; older keys are gone\n")
    assert token in server.log()
    for restarts in (True, False):
        state = status(server)
        assert (state["rotating"], state["unreadable"]) == (False, 1)
        assert state["unreadable_cards"] == [token]
        shown = tael_vault(server, "status").stdout
        assert "1 cards, set aside" in shown and token in shown
        metrics = requests.get(f"{vault_url(server)}/metrics", timeout=30).text
        assert "\ntael_vault_cards_unreadable 1\n" in metrics
        if restarts:
            server.stop()
            with sqlite3.connect(path) as database:
                assert database.execute(
                    "SELECT sealed FROM card WHERE id = ?", (token,)).fetchall() == [(sealed,)]
            database.close()
            server.start()
    assert key_files(server.root) == ["master-2.key"]
    assert tael_vault(server, "rotate").returncode == 1  # it is told again
    assert key_files(server.root) == ["master-3.key"]


def end_of_payment(cards, index):
    """What the customer is told in the end, and whoever wants to keep the card."""
    method = cards.saved[index][1]
    answer = cards.http.post("/v1/payment_intents", {**PAYMENT, "payment_method": method})
    assert answer.status_code == 200, answer.text
    intent = answer.json()["id"]

    def ended():
        now = cards.http.get(f"/v1/payment_intents/{intent}").json()
        return now["status"] != "processing" and now

    now = wait_until(ended, 60, "the end of the payment")
    customer = cards.http.post("/v1/customers", {}).json()["id"]
    kept = cards.http.post(f"/v1/payment_methods/{method}/attach", {"customer": customer})
    error = now["last_payment_error"]
    return (now["status"], error["type"], error["code"], kept.status_code,
            kept.json()["error"]["code"])


def end_of_setup(cards, index):
    answer = cards.http.post("/v1/setup_intents",
                             {"payment_method": cards.saved[index][1], "confirm": "true"})
    assert answer.status_code == 200, answer.text
    setup = answer.json()["id"]

    def ended():
        now = cards.http.get(f"/v1/setup_intents/{setup}").json()
        return now["status"] != "processing" and now

    now = wait_until(ended, 60, "the end of the setup")
    error = now["last_setup_error"]
    return now["status"], error["type"], error["code"]


NOT_PAYABLE = ("requires_payment_method", "card_error", "processing_error", 402, "processing_error")


def test_damaged_cards_are_discarded(server):
    """To whoever pays with one it is as before; to the operator all is well again."""
    cards = Cards(server)
    for _ in range(6):  # one by one: in the order of their ids
        cards.add(1)
    server.stop()
    tokens = damage(server.root, [0, 2, 4])
    server.start()
    early = tael_vault(server, "discard", tokens[0])  # before any rotation has looked
    assert early.returncode == 1 and "No rotation has set a card" in early.stderr
    assert tael_vault(server, "rotate").returncode == 1
    assert end_of_payment(cards, 0) == NOT_PAYABLE

    one = tael_vault(server, "discard", tokens[0])
    assert (one.returncode, one.stdout) == (0, "1 damaged cards discarded\n2 are left\n")
    assert status(server)["unreadable_cards"] == tokens[1:]
    assert end_of_payment(cards, 0) == end_of_payment(cards, 2) == NOT_PAYABLE
    again = tael_vault(server, "discard", tokens[0])
    assert again.returncode == 1 and f"'{tokens[0]}' aside" in again.stderr

    rest = tael_vault(server, "discard", "--all-damaged", "--json")
    assert rest.returncode == 0, rest.stderr
    assert json.loads(rest.stdout) == {**status(server), "discarded": 2}
    none = tael_vault(server, "discard", "--all-damaged")
    assert (none.returncode, none.stdout) == (0, "0 damaged cards discarded\n")
    for restarts in (True, False):
        assert (status(server)["unreadable"], status(server)["unreadable_cards"]) == (0, [])
        assert "unreadable" not in tael_vault(server, "status").stdout
        metrics = requests.get(f"{vault_url(server)}/metrics", timeout=30).text
        assert "\ntael_vault_cards_unreadable 0\n" in metrics
        for index in (0, 2, 4):
            assert end_of_payment(cards, index) == NOT_PAYABLE
        for index in (1, 3, 5):
            cards.pay(index)
        if restarts:
            log = server.log()
            assert log.count("an operator discards damaged cards") == 5  # also what was refused
            for token in tokens:
                assert f'"a damaged card was discarded","card":"{token}"' in log
            server.stop()
            assert cards.tokens()[0] == 3
            server.start()
    assert tael_vault(server, "rotate").returncode == 0
    # The number, given again, makes a card that works.
    _, method, fingerprint = cards._add(0)
    assert fingerprint == cards.saved[0][2]
    cards.saved[0] = (0, method, fingerprint)
    cards.pay(0)


def test_no_other_card_is_discarded(server):
    cards = Cards(server)
    cards.add(3)
    server.stop()
    with sqlite3.connect(server.root / "vault" / "vault.db") as database:
        tokens = [token for (token,) in database.execute("SELECT id FROM card ORDER BY id")]
        # It says that it is damaged, and a key opens it.
        database.execute("UPDATE card SET key_id = 'damaged' WHERE id = ?", (tokens[0],))
    database.close()
    server.start()
    assert status(server)["unreadable_cards"] == tokens[:1]
    for token, why in ((tokens[0], "A key of the vault opens"), (tokens[1], "No rotation has set"),
                       ("card_none", "No rotation has set")):
        refused = tael_vault(server, "discard", token)
        assert refused.returncode == 1 and why in refused.stderr, refused.stderr
    all_of_them = tael_vault(server, "discard", "--all-damaged")
    assert (all_of_them.returncode, all_of_them.stdout) == (
        0, "0 damaged cards discarded\n1 are left\n")
    for words in ((), (tokens[0], "--all-damaged"), ("card/1",), tokens[:2]):
        assert tael_vault(server, "discard", *words).returncode == 2
    url = f"{vault_url(server)}/vault/discard"
    assert requests.post(url, {"all_damaged": "true"}, headers={"Origin": "http://x"},
                         timeout=30).status_code == 403
    got = requests.get(url, timeout=30)
    assert (got.status_code, got.headers["Allow"]) == (405, "POST")
    for body in ({}, {"all_damaged": "false"}, {"card": ""}, {"card": "c" * 60}, {"card[a]": "b"},
                 {"card": tokens[0], "all_damaged": "true"}, {"cards": "x"}):
        assert requests.post(url, body, timeout=30).status_code == 400, body
    assert requests.post(f"{server.direct_url}/vault/discard", {"all_damaged": "true"},
                         timeout=30).status_code == 404
    server.stop()
    assert cards.tokens()[0] == 3


def test_several_processes(tmp_path):
    cluster = Cluster(tmp_path / "cluster").start()
    try:
        cards = Cards(cluster)
        cards.add(20)
        assert rotate(cluster)["generation"] == 2
        cards.check(step=5)
        other = run_tael("vault", "status", f"--url={cluster.processes['ledger'].operators}")
        assert other.returncode == 1 and "no vault" in other.stderr
        vault = cluster.processes["vault"]
        vault.stop()
        damage(vault.data, range(20))
        vault.start()
        assert tael_vault(cluster, "rotate").returncode == 1
        assert end_of_payment(cards, 0) == NOT_PAYABLE
        assert end_of_setup(cards, 0) == NOT_PAYABLE[:3]
        assert tael_vault(cluster, "discard", "--all-damaged").returncode == 0
        assert end_of_payment(cards, 0) == NOT_PAYABLE
        assert end_of_setup(cards, 0) == NOT_PAYABLE[:3]
        assert status(cluster)["unreadable"] == 0
    finally:
        cluster.close()


def test_a_vault_without_its_key_is_refused(server):
    """And gets no new one, under which nothing would be found."""
    cards = Cards(server)
    cards.add(3)
    rotate(server)
    server.stop()
    path = server.root / "vault" / "master-2.key"
    key = path.read_bytes()
    for wrong, message in ((None, "master-2.key: "), (b"0" * 64 + b"\n", "does not open vault.db")):
        path.unlink(missing_ok=True)
        if wrong is not None:
            path.write_bytes(wrong)
            path.chmod(0o600)
        result = run_tael("server", f"--data={server.root}", "--listen=127.0.0.1:0")
        assert result.returncode == 1 and message in result.stderr, result.stderr
        assert key_files(server.root) == ([] if wrong is None else ["master-2.key"])
    path.write_bytes(key)
    server.start()
    cards.check()
