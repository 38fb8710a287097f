"""docs/operations/keys.md: the keys of webhook secrets are rotated while deliveries go on, and a file that
cannot be right is refused."""

import secrets
import sqlite3
import threading

import pytest
import requests

from kit.backups import backup, points, restore
from kit.client import Http
from kit.receiver import Receiver
from kit.server import run_tael
from kit.webhook_keys import (
    ADMIN,
    Endpoints,
    in_use,
    key_path,
    keys_in,
    new_key_in_front,
    operators,
    rotate,
    status,
    tael_webhooks,
    wait_for_end,
    write_keys,
)

LOOKS_INTO_PROCESS = True
QUICK = ("--webhook-test-retry-first=100ms", "--webhook-test-retry-max=400ms")


@pytest.fixture
def server(make_server):
    return make_server(ADMIN, *QUICK, cluster=False, on_postgres=False)


@pytest.fixture
def endpoints(server):
    with Receiver() as receiver:
        yield Endpoints(server, receiver)


def test_rotate_under_deliveries(server, endpoints):
    for _ in range(3):
        endpoints.add()
    endpoints.roll("/hook-1")
    answer = endpoints.http.post("/v1/participants", {"name": "a", "url": "http://127.0.0.1:1/"})
    assert answer.status_code == 200, answer.text
    [old] = keys_in(key_path(server))
    server.stop()
    new_key_in_front(key_path(server))
    server.start()
    assert [key["in_use"] for key in wait_for_end(server)["keys"]] == [False, True]
    ends, customers, failures = threading.Event(), [], []

    def work():
        http = Http(server, validate=False)
        while not ends.is_set():
            try:
                customers.append(endpoints.emit(http))
            except Exception as error:  # told below, by the test's own thread
                failures.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    result = tael_webhooks(server, "rotate")
    ends.set()
    thread.join(60)
    assert not failures and customers
    assert result.returncode == 0, result.stderr
    begun, under, gone = result.stdout.splitlines()
    assert begun.endswith(" is in use") and under == "5 secrets are under it"
    assert gone.startswith("nothing is under ") and gone.endswith("may be removed from the file")
    assert status(server)["sealed_anew"] == 5
    endpoints.check(customers)
    metrics = requests.get(f"{operators(server)}/metrics", timeout=30).text
    for line in ("keys 2", "key_missing 0", "secrets_old 0", "secrets_unreadable 0"):
        assert f"\ntael_webhook_{line}\n" in metrics
    # The old key may go.
    server.stop()
    write_keys(key_path(server), [key for key in keys_in(key_path(server)) if key != old])
    server.start()
    assert in_use(wait_for_end(server))["name"] == begun.split()[1]
    endpoints.add()
    endpoints.check([endpoints.emit()])
    endpoints.verify()
    for key in (old, *keys_in(key_path(server))):
        assert key not in server.log()


def test_who_may_ask_and_when(server, endpoints):
    endpoints.add()
    url = operators(server)
    assert requests.post(f"{server.direct_url}/webhooks/keys", timeout=30).status_code == 404
    refused = requests.post(f"{url}/webhooks/keys", headers={"Origin": "http://x"}, timeout=30)
    assert refused.status_code == 403
    refused = requests.put(f"{url}/webhooks/keys", timeout=30)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, POST")
    refused = requests.post(f"{url}/webhooks/keys", timeout=30)  # there is no other key
    assert refused.status_code == 409 and "in front" in refused.json()["error"]["message"]
    result = tael_webhooks(server, "rotate")
    assert result.returncode == 1 and "in front" in result.stderr
    new_key_in_front(key_path(server))  # which the process has not read
    result = tael_webhooks(server, "rotate")
    assert result.returncode == 1 and "restart" in result.stderr


def test_files_that_cannot_be_right_are_refused(server, endpoints):
    """With a word on what is wrong; and nothing is made anew."""
    endpoints.add()
    server.stop()
    path = key_path(server)
    [right] = keys_in(path)
    other = secrets.token_hex(32)
    for keys, message in (
            ([other], "is not the one that these documents were sealed with"),
            ([other, secrets.token_hex(32)], "and none of the others in its file is"),
            ([right, other[:10]], "master.key: line 2: not 64 hexadecimal digits"),
            ([f"# {right}"], "master.key: line 1: not 64 hexadecimal digits"),
            ([secrets.token_hex(32) for _ in range(9)], "master.key: line 9: more than 8 keys")):
        write_keys(path, keys)
        before = path.read_text()
        result = run_tael("server", f"--data={server.data}", "--listen=127.0.0.1:0", timeout=30)
        assert result.returncode == 1 and message in result.stderr, result.stderr
        assert path.read_text() == before
    write_keys(path, ["# the only one", "", right])
    server.start()
    endpoints.check([endpoints.emit()])
    endpoints.verify()


def test_a_damaged_secret_is_told_of_and_stays(server, endpoints):
    """The others go over; whoever asked for it gets a failure, and the log has the id."""
    endpoints.add()
    endpoints.add()
    damaged, _ = endpoints.told["/hook-0"]
    server.stop()
    with sqlite3.connect(server.data / "tael.db") as database:
        [(body,)] = database.execute("SELECT body FROM webhook_endpoint WHERE id = ?", (damaged,))
        at = body.index('"secret":"') + len('"secret":"') + 30
        body = body[:at] + ("1" if body[at] == "0" else "0") + body[at + 1:]
        database.execute("UPDATE webhook_endpoint SET body = ? WHERE id = ?", (body, damaged))
    database.close()
    new_key_in_front(key_path(server))
    server.start()
    result = tael_webhooks(server, "rotate")
    assert result.returncode == 1 and "1 secrets are under none of the keys" in result.stderr
    assert "1 secrets are under it" in result.stdout
    state = status(server)
    assert (state["unreadable"], state["rotating"]) == (1, False)
    assert damaged in server.log()
    result = tael_webhooks(server, "status")
    assert result.returncode == 0 and "unreadable" in result.stdout
    assert "\ntael_webhook_secrets_unreadable 1\n" in requests.get(
        f"{operators(server)}/metrics", timeout=30).text
    with sqlite3.connect(server.data / "tael.db") as database:
        [(kept,)] = database.execute("SELECT body FROM webhook_endpoint WHERE id = ?", (damaged,))
    database.close()
    assert kept[at - 30:at + 30] == body[at - 30:at + 30]
    # A new secret mends it.
    answer = endpoints.http.post(f"/v1/webhook_endpoints/{damaged}/roll_secret",
                                 {"expires_in": "0"})
    assert answer.status_code == 200, answer.text
    endpoints.told["/hook-0"] = (damaged, [answer.json()["secret"]])
    server.stop()
    server.start()
    assert wait_for_end(server)["unreadable"] == 0
    endpoints.check([endpoints.emit()])


def test_a_backup_has_the_keys_that_it_needs(make_server, server, endpoints, tmp_path):
    """Also one from before, whose key has gone from the server's file."""
    endpoints.add()
    backup(server, tmp_path / "backups")
    server.stop()
    new_key_in_front(key_path(server))
    server.start()
    backup(server, tmp_path / "backups")
    rotate(server)
    backup(server, tmp_path / "backups")
    server.stop()
    write_keys(key_path(server), keys_in(key_path(server))[:1])
    server.start()
    backup(server, tmp_path / "backups")
    server.stop()
    counts = []
    for number, point in enumerate(points(tmp_path / "backups")):
        alone = tmp_path / f"one-{number}"
        (alone / "points").mkdir(parents=True)
        (alone / "points" / point.name).symlink_to(point)
        (alone / "ledger").symlink_to(tmp_path / "backups" / "ledger")
        copy = make_server(ADMIN, *QUICK, start=False, cluster=False, on_postgres=False)
        copy.folder.mkdir(parents=True)
        result = restore(alone, copy.data)
        assert result.returncode == 0, result.stderr
        copy.start()
        counts.append(len(status(copy)["keys"]))
        assert wait_for_end(copy)["unreadable"] == 0
        endpoints.check([endpoints.emit(Http(copy, validate=False))])
        endpoints.verify()
        copy.stop()
    assert counts == [1, 2, 2, 1]
