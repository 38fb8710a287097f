"""The disk of the documents is full: writes are refused and say so, reads go on, and when there is room again
so do writes, without a restart. The ledger is elsewhere. Mounting takes root."""

import os
import resource
import subprocess
import uuid

import pytest

from kit.books import metrics, reconciled, settled
from kit.client import Http
from kit.cluster import Cluster
from kit.server import Server, wait_until
from test_ledger_disk import mount, mounted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")

TEXT = "x" * 500
AUTOMATIC = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa",
             "confirm": "true"}


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    with mounted(folder, "-t", "tmpfs", "-o", "size=24m", "none"):
        yield folder


@pytest.fixture
def server(disk, tmp_path):
    made = Server(tmp_path / "server", f"--ledger=journal:{tmp_path}/ledger", on_postgres=False,
                  cluster=False)
    made.root = made.data = made.network_data = disk / "data"
    made.ledger_data = tmp_path
    made.start()
    yield made
    if made.process is not None:
        made.kill()


def customer(http, key=None):
    body = {f"metadata[m{i}]": TEXT for i in range(40)}
    return http.post("/v1/customers", {"name": "n", **body},
                     headers={"Idempotency-Key": key or str(uuid.uuid4())}, timeout=60)


def fill(http):
    """Until one is refused: what was made, the refusal and its key."""
    made = []
    for _ in range(2000):
        key = str(uuid.uuid4())
        answer = customer(http, key)
        if answer.status_code != 200:
            return made, answer, key
        made.append(answer.json()["id"])
    raise AssertionError("the disk did not fill up")


def all_customers(http):
    found, after = [], {}
    while True:
        page = http.get("/v1/customers", params={"limit": 100, **after}).json()
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            return found
        after = {"starting_after": found[-1]}


def says_full(answer):
    assert answer.status_code == 503, answer.text
    assert "no room" in answer.json()["error"]["message"], answer.text


def test_documents(server, disk):
    http = Http(server, validate=False)
    paid = http.post("/v1/payment_intents", AUTOMATIC).json()
    made, refusal, key = fill(http)
    assert len(made) > 10
    says_full(refusal)
    for _ in range(5):  # it stays so, and reads go on
        says_full(customer(http))
        assert all_customers(http) == made[::-1]
        assert http.get(f"/v1/payment_intents/{paid['id']}").json()["status"] == "succeeded"
    again = {"Idempotency-Key": str(uuid.uuid4())}
    # Smaller than a customer: its attempt may have had room still, and its end had none.
    payment = http.post("/v1/payment_intents", AUTOMATIC, headers=again)
    assert payment.status_code in (500, 503), payment.text
    assert "not known" in payment.text or "no room" in payment.text, payment.text
    ready = http.get("/readyz")
    assert ready.status_code == 503 and "the disk of the documents is full" in ready.text
    mount("-o", "remount,size=200m", disk)
    wait_until(lambda: customer(http, key).status_code == 200, 30, "room to be found")
    assert len(all_customers(http)) == len(made) + 1
    wait_until(lambda: http.post("/v1/payment_intents", AUTOMATIC, headers=again).status_code == 200,
               30, "the payment")
    assert len(http.get("/v1/charges").json()["data"]) == 2
    wait_until(lambda: http.get("/readyz").status_code == 200, 30, "readiness")
    settled(server)
    reconciled(server)
    server.kill()
    server.start()
    assert len(all_customers(Http(server, validate=False))) == len(made) + 1
    assert metrics(server)["tael_ledger_healthy"] == 1


def test_a_ledger_that_fails_is_not_taken_for_the_documents(tmp_path):
    """Its file may not grow, in a process of its own; what the API says of it is the ledger's."""
    server = Cluster(tmp_path / "c").start()
    ledger = server.processes["ledger"].process.pid
    try:
        http = Http(server, validate=False)
        customers = [http.post("/v1/customers").json()["id"] for _ in range(2)]
        resource.prlimit(ledger, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        refused = http.post("/v1/wallets", {"customer": customers[0], "currency": "usd"}, timeout=60)
        assert refused.status_code >= 500, refused.text
        assert '"error":"ERR_OUTCOME_UNKNOWN"' in server.processes["api"].log()
        assert "documents" not in http.get("/readyz").text
        resource.prlimit(ledger, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: http.post("/v1/wallets", {"customer": customers[1], "currency": "usd"},
                                     timeout=60).status_code == 200, 60, "the ledger")
    finally:
        server.close()


def test_logs(disk, tmp_path):
    """What cannot be written down is not: the server works all the same, and its log goes on later."""
    made = Server(disk / "server", on_postgres=False, cluster=False)
    made.root = made.data = made.network_data = made.ledger_data = tmp_path / "data"
    made.start()
    try:
        filler = disk / "filler"
        with open(filler, "wb") as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 65536)
                file.flush()
        with pytest.raises(OSError):  # the last bytes, too
            with open(disk / "more", "wb") as file:
                file.write(b"x" * 65536)
        http = Http(made, validate=False)
        for _ in range(20):
            assert http.post("/v1/payment_intents", AUTOMATIC).json()["status"] == "succeeded"
        assert http.get("/readyz").status_code == 200
        (disk / "more").unlink()
        filler.unlink()
        before = made.log()
        made.stop()
        assert '"stopped"' in made.log()[len(before):]
    finally:
        if made.process is not None:
            made.kill()
