"""Roles: what can be apart, what cannot, who is let in, and what a process tells of itself."""

import re
import signal
import subprocess
import time

import pytest
import requests

from kit.books import settled
from kit.certificates import make_internal_certificates
from kit.client import Http, sdk
from kit.cluster import Cluster
from kit.ports import free_port
from kit.server import PROGRAM, SHARDS, Server, has_ended, run_tael, wait_until, without_tael_settings

NUMBER, CODE = "4000056655665556", "737"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster") / "c").start()
    yield made
    made.close()


def pay(server, **params):
    return sdk(server).v1.payment_intents.create({
        "amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
        **params})


# ---- what cannot be ------------------------------------------------------------------------


@pytest.mark.parametrize("flags, message", [
    (["--roles=banks"], "there is no role 'banks'"),
    (["--roles="], "which?"),
    (["--roles=api", "--ledger-at=127.0.0.1:1"], "add payments,wallets,mobile,events"),
    (["--roles=ledger,wallets"], "add payments,mobile,events,api"),
    (["--roles=payments,wallets,mobile,events,api"], "api needs the ledger"),
    (["--roles=ledger,payments,wallets,mobile,events,api", "--vault-at=127.0.0.1:1"],
     "api needs the cards"),
    (["--roles=ledger,cards,payments,wallets,mobile,events,api"], "api needs the vault"),
    (["--roles=cards", "--internal-listen=127.0.0.1:0"], "cards needs the vault"),
    (["--roles=ledger"], "nobody could reach this process: internal-listen"),
    (["--ledger-at=127.0.0.1:1"], "ledger-at says where the ledger is, but roles has it here"),
    (["--roles=ledger", "--internal-listen=127.0.0.1:0", "--vault-at=127.0.0.1:1"],
     "vault-at says where the vault is, but no role of this process asks it"),
])
def test_combinations_that_cannot_be(tmp_path, flags, message):
    result = run_tael("server", f"--data={tmp_path / 'd'}", *flags)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize("flags, message, status", [
    ([], "either certificates or a key file", 2),
    (["--internal-tls-ca=x"], "go together", 2),
    (["--internal-key-file=/no/such/file"], "/no/such/file: not found", 1),
])
def test_proofs_that_are_none(tmp_path, flags, message, status):
    result = run_tael("server", f"--data={tmp_path / 'd'}", "--roles=ledger",
                      "--internal-listen=127.0.0.1:0", *flags)
    assert result.returncode == status
    assert message in result.stderr


def test_in_clear_only_on_this_machine(tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 32)
    flags = ["--roles=ledger", f"--data={tmp_path / 'd'}", f"--internal-key-file={key}"]
    result = run_tael("server", *flags, "--internal-listen=0.0.0.0:0")
    assert result.returncode == 2 and "not this machine" in result.stderr
    result = run_tael(
        "server", f"--data={tmp_path / 'e'}", "--roles=cards", "--vault-at=10.0.0.1:7000",
        "--internal-listen=127.0.0.1:0", f"--internal-key-file={key}")
    assert result.returncode == 2 and "10.0.0.1: not this machine" in result.stderr


# ---- who is let in -------------------------------------------------------------------------


def test_strangers_are_told_nothing(cluster):
    for name in ("ledger", "vault", "cards", "api"):
        base = f"http://{cluster.place(name)}"
        for path in ("/internal/v1/hello", "/metrics", "/v1/balance", "/livez"):
            for headers in ({}, {"Authorization": f"Bearer {cluster.key}"}):
                answer = requests.get(base + path, headers=headers, timeout=60)
                assert answer.status_code == 401
                assert answer.json() == {
                    "error": "ERR_DENIED", "by_listener": True, "message": "who are you?"}
        hello = requests.get(base + "/internal/v1/hello", timeout=60, headers={
            "Authorization": f"Bearer {cluster.key_file.read_text()}"}).json()
        assert hello["version"] == 1 and hello["ready"]
    # Neither the public nor the operators' listeners know the internal routes.
    key = {"Authorization": f"Bearer {cluster.key_file.read_text()}"}
    assert requests.get(f"{cluster.url}/internal/v1/hello", headers=key, timeout=60).status_code in (
        401, 404)
    operators = cluster.processes["ledger"].operators
    assert requests.get(f"{operators}/internal/v1/hello", headers=key, timeout=60).status_code == 404


def test_with_certificates(tmp_path):
    certificates = make_internal_certificates(tmp_path / "certificates")
    server = Cluster(tmp_path / "c", certificates=certificates).start()
    try:
        assert pay(server).status == "succeeded"
        settled(server)
        place = f"https://{server.place('ledger')}"
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(f"{place}/internal/v1/hello", verify=False, timeout=60)

        def ask(name, path):
            return requests.request(
                "POST" if "rail" in path or "ledger" in path else "GET", place + path, timeout=60,
                verify=False, headers={"Tael-Timeout-Ms": "1000"},
                cert=(str(certificates / f"{name}.pem"), str(certificates / f"{name}.key")))

        # A role that has nothing to do with the ledger is known, and is not let in.
        assert ask("cards", "/internal/v1/ledger/lookup_accounts").status_code == 401
        assert ask("api", "/internal/v1/ledger/lookup_accounts").status_code == 200
    finally:
        server.close()


# ---- M6 ------------------------------------------------------------------------------------


def test_card_numbers_stay_with_the_vault(cluster):
    """In no file, log or core of anybody else; in the vault's own only encrypted."""
    method = sdk(cluster).v1.payment_methods.create({
        "type": "card",
        "card": {"number": NUMBER, "exp_month": 12, "exp_year": 2034, "cvc": CODE}})
    assert pay(cluster, payment_method=method.id).status == "succeeded"
    settled(cluster)
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert NUMBER.encode() not in path.read_bytes(), path
    for name in ("ledger", "cards", "api"):
        assert not (cluster.root / name / "vault").exists()
        assert not (cluster.root / name / "issuer").exists()
    assert sorted(path.name for path in (cluster.root / "cards").iterdir()) == ["lock"]


# ---- what a process tells ------------------------------------------------------------------


def state(member, path):
    answer = requests.get(member.operators + path, timeout=60)
    return answer.status_code, answer.text.strip()


def test_operators_are_told(cluster):
    for name in ("ledger", "vault", "cards"):
        member = cluster.processes[name]
        assert state(member, "/livez") == (200, "alive")
        assert state(member, "/startupz") == (200, "started")
        assert state(member, "/readyz") == (200, "ready")
        assert state(member, "/v1/balance")[0] == 404
    text = state(cluster.processes["ledger"], "/metrics")[1]
    assert "tael_ledger_healthy 1" in text and "tael_internal_requests_total" in text
    assert "tael_cards_sent_total" not in text
    text = state(cluster.processes["cards"], "/metrics")[1]
    assert "tael_cards_sent_total" in text and 'tael_remote_ready{service="network"} 1' in text
    text = requests.get(cluster.url + "/metrics", timeout=60).text
    for service in ("ledger", "rail", "vault"):
        assert f'tael_remote_ready{{service="{service}"}} 1' in text
    assert requests.get(cluster.url + "/startupz", timeout=60).status_code == 200


def test_a_process_that_waits_says_so(tmp_path):
    """It is alive, has not started, says for whom it waits, and ends when it is told to."""
    server = Cluster(tmp_path / "c")
    member = server.processes["api"]
    operators = free_port()
    member.operators = f"http://127.0.0.1:{operators}"
    member.launch(f"--admin-listen=127.0.0.1:{operators}")

    def waits():
        try:
            return state(member, "/readyz")[1] == "not ready: waits for the ledger"
        except requests.exceptions.ConnectionError:
            return False

    wait_until(waits, 30, "the operators' listener")
    assert state(member, "/livez") == (200, "alive")
    assert state(member, "/startupz") == (503, "not started: waits for the ledger")
    assert state(member, "/metrics")[0] == 200
    wait_until(lambda: '"waits for another service","service":"ledger"' in member.log(), 10,
               "a line in the log")
    member.stop()
    assert "ended before it had started" in member.log()
    # With the others it starts, whoever comes first.
    member.launch(f"--admin-listen=127.0.0.1:{operators}")
    for name in ("ledger", "vault", "cards"):
        server.processes[name].start()
    member.wait()
    server.process = member.process
    assert pay(server).status == "succeeded"
    # Without its ledger it is not ready, and lives.
    server.processes["ledger"].kill()
    wait_until(lambda: "the ledger cannot be used" in state(member, "/readyz")[1], 20,
               "not ready, for want of the ledger")
    assert state(member, "/readyz")[0] == 503
    assert state(member, "/livez") == (200, "alive")
    # Without the vault it is ready: not everything needs a card.
    server.processes["ledger"].start()
    wait_until(lambda: state(member, "/readyz") == (200, "ready"), 20, "ready again")
    server.processes["vault"].kill()
    time.sleep(0.5)
    assert state(member, "/readyz") == (200, "ready")
    assert Http(server).get("/v1/balance").status_code == 200
    server.processes["vault"].start()
    server.close()


@pytest.mark.parametrize("order", [
    ("ledger", "vault", "cards", "api"),
    ("api", "cards", "vault", "ledger"),
    ("vault", "api", "ledger", "cards"),
])
def test_stops_in_any_order(tmp_path, order):
    server = Cluster(tmp_path / "c").start()
    pay(server)
    server.stop(order)
    server.start()
    assert len(settled(server).intents) == 1
    server.close()


# ---- local-cluster -------------------------------------------------------------------------


def test_local_cluster(tmp_path):
    server = Server(tmp_path / "c", cluster=True, gateways=0, on_postgres=False).start()
    assert pay(server).status == "succeeded"
    settled(server)
    members = server.members()
    ledgers = ["ledger", *[f"ledger-{number}" for number in range(2, SHARDS + 1)]]
    assert list(members) == [*ledgers, "vault", "cards", "api"]
    operators = dict(re.findall(r"^([\w-]+): .* operators (\S+)$", server.output_path.read_text(),
                                re.MULTILINE))
    assert set(operators) >= {"cards", *ledgers, "vault"}
    for place in operators.values():
        assert requests.get(f"http://{place}/readyz", timeout=60).text == "ready\n"
    server.stop()
    assert all(has_ended(pid) for pid in members.values())
    server.start()
    assert len(settled(server).intents) == 1
    server.close()


def test_local_cluster_does_not_hide_a_crash(tmp_path):
    server = Server(tmp_path / "c", cluster=True, gateways=0, on_postgres=False).start()
    members = server.members()
    subprocess.run(["kill", "-9", str(members["vault"])], check=True)
    assert server.process.wait(60) == 1
    assert "vault ended by itself (signal 9); the others are stopped" in server.log()
    assert all(has_ended(pid) for pid in members.values())
    server.process = None


def test_local_cluster_takes_its_processes_along(tmp_path):
    """Killed itself, it leaves none behind that nobody knows of."""
    server = Server(tmp_path / "c", cluster=True, gateways=0, on_postgres=False).start()
    members = server.members()
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server.process = None
    wait_until(lambda: all(has_ended(pid) for pid in members.values()), 60, "their end")


def test_local_cluster_refuses_what_it_says_itself(tmp_path):
    result = run_tael("local-cluster", f"--data={tmp_path / 'd'}", "--roles=api")
    assert result.returncode == 2 and "--roles is what this command says" in result.stderr
    process = subprocess.run(
        [str(PROGRAM), "local-cluster"], capture_output=True, text=True, timeout=30,
        env=without_tael_settings())
    assert process.returncode == 2 and "--data=DIR is needed" in process.stderr
