"""What a start says about settings, addresses, files and folders that cannot be: which one, and why."""

import json
import os
import socket

import pytest

from kit.gateway import Gateway, before
from kit.server import run_tael, wait_until

NOT_HERE = "203.0.113.7"  # RFC 5737: no machine's


@pytest.fixture
def taken():
    """A port of this machine that somebody listens at."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


def server(tmp_path, *flags):
    ended = run_tael("server", f"--data={tmp_path}/data", *flags)
    assert ended.returncode != 0 and ended.stdout == ""
    return ended.stderr.splitlines()[0]


def test_addresses_of_the_server(tmp_path, taken):
    for listen, why in (
        ("nonsense", "not an ADDRESS:PORT"),
        ("localhost:8080", "not an ADDRESS:PORT, which is numeric"),
        (f"{NOT_HERE}:8080", "this machine has no such address"),
        (f"127.0.0.1:{taken}", "the address is in use"),
    ):
        for flags in ((f"--listen={listen}",), ("--listen=127.0.0.1:0", f"--admin-listen={listen}")):
            said = server(tmp_path, *flags)
            assert said.startswith(f"tael server: cannot listen on {listen}: ") and why in said, said


@pytest.mark.parametrize("command", ["server", "local-cluster"])
def test_folders(tmp_path, command):
    file = tmp_path / "file"
    file.write_text("")
    for folder, why in ((file, "it is no folder"), (tmp_path / "a" / "b", "the folder above it is not there")):
        ended = run_tael(command, f"--data={folder}", "--listen=127.0.0.1:0")
        assert ended.returncode == 1
        assert ended.stderr.strip().endswith(f"{folder}: {why}"), ended.stderr
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_a_file_of_settings_is_named(tmp_path):
    file = tmp_path / "settings"
    file.write_text("# ours\nlisen = 127.0.0.1:0\n")
    assert server(tmp_path, f"--config={file}") == f"tael server: {file}: line 2: unknown setting 'lisen'"


@pytest.mark.parametrize("flags, why", [
    (["--tls-cert=a.pem"], "tls-cert and tls-key go together"),
    (["--cache=memory"], "cache: only with --documents=postgres"),
    (["--ledger-orders=amount"], "--ledger-orders: account"),
    (["--webhook-private=some"], "webhook-private is test, all or none"),
    (["--wallet-placement=wallet"], "wallet-placement: only a ledger of several shards"),
    (["--public-url=pay.example.com"], "public-url is an address"),
    (["--card-network=iso8583://127.0.0.1:1", "--card-network-dialect=latin"], "card-network-dialect is"),
    (["--ledger=mysql://127.0.0.1/tael"], "ledger: mysql://127.0.0.1/tael: no such store"),
    (["--ledger=journal:"], "ledger: journal folder: the path is empty"),
    (["--ledger=postgres://127.0.0.1:1/tael?schema=A"], "ledger: ledger URL: schema is"),
    (["--documents=mysql://127.0.0.1/tael"], "documents: not a document store: mysql"),
    (["--documents=postgres://%zz"], "documents: invalid percent-encoded token"),
    (["--wallet-limits=basic.out=1"], "wallets: wallet-limits: wrong at"),
    (["--broker=nats://127.0.0.1/events"], "broker: the URL begins with none of"),
    (["--broker=kafka://127.0.0.1:1"], "broker: the URL has no topic"),
])
def test_settings_that_cannot_be_end_as_those_that_are_none(tmp_path, flags, why):
    """2: whoever starts it again and again leaves it."""
    ended = run_tael("server", f"--data={tmp_path}/data", "--listen=127.0.0.1:0", *flags)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.splitlines()[0].startswith(f"tael server: {why}"), ended.stderr


@pytest.mark.parametrize("flags, why", [
    (["--ledger=postgres://tael@127.0.0.1:1/tael"], "ledger: "),
    (["--documents=postgres://tael@127.0.0.1:1/tael"], "documents: "),
    (["--broker=kafka://127.0.0.1:1/events", "--broker-config=/nowhere/kafka"], "broker: the broker's config file"),
])
def test_what_is_not_there_may_come(tmp_path, flags, why):
    """1: it may work at the next try."""
    ended = run_tael("server", f"--data={tmp_path}/data", "--listen=127.0.0.1:0", *flags)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.splitlines()[0].startswith(f"tael server: {why}"), ended.stderr


@pytest.fixture
def gateway(tmp_path):
    """Answers what a gateway with this configuration says, at a start and when it only checks."""
    def say(**keywords):
        file = tmp_path / "gateway.json"
        file.write_text(json.dumps(before(1, **{"access_log": str(tmp_path / "access.log"), **keywords})))
        start = run_tael("gateway", f"--config={file}")
        check = run_tael("gateway", f"--config={file}", "--check")
        assert start.returncode == 1
        return [one.stderr.strip().removeprefix("tael gateway: ") for one in (start, check)]
    return say


def test_addresses_of_the_gateway(gateway, taken):
    for address, why in ((f"{NOT_HERE}:8080", "this machine has no such address"),
                         (f"127.0.0.1:{taken}", "the address is in use")):
        said, checked = gateway(listeners=[{"address": address}])
        assert said == f"listener {address}: cannot listen: {why}"
        assert checked == ""  # another gateway may serve there
        assert gateway(admin={"address": address})[0] == f"admin {address}: cannot listen: {why}"


def test_files_of_the_gateway_are_looked_at_by_check_too(gateway, tmp_path):
    """With the words of a start."""
    none, bad = str(tmp_path / "none"), tmp_path / "bad"
    bad.write_text("no certificate")
    listener = {"address": "127.0.0.1:0", "certificate": none, "key": none}
    upstream = {"endpoints": ["127.0.0.1:1"], "tls": True, "tls_ca": none}
    for keywords, says in (
        ({"listeners": [listener]}, f"listener 127.0.0.1:0: {none}: not found"),
        ({"listeners": [{**listener, "certificate": str(bad), "key": str(bad)}]}, f"listener 127.0.0.1:0: {bad}: "),
        ({"upstreams": {"api": upstream}}, f"upstreams.api.tls_ca: {none}: not found"),
        ({"redis": {"address": "127.0.0.1:1", "password_file": none}}, f"redis.password_file: {none}: not found"),
        ({"access_log": f"{none}/x"}, f"access_log: {none}/x: not found"),
    ):
        said = gateway(**keywords)
        assert all(one.startswith(says) for one in said), said


def test_endpoints_that_cannot_be_looked_up_are_in_the_log(tmp_path):
    """Once, and so are the states of endpoints and breakers."""
    config = before(1)
    config["upstreams"]["api"] = {"file": str(tmp_path / "none"), "source_interval": "100ms"}
    gateway = Gateway(tmp_path / "gateway", config).start()
    try:
        wait_until(lambda: gateway.metric("tael_gateway_upstream_source_errors_total") > 2, 20, "several looks")
        lines = [json.loads(line) for line in gateway.log().splitlines() if "endpoints cannot be read" in line]
        assert [(line["upstream"], line["error"]) for line in lines] == [("api", "ERR_NOT_FOUND")]
        assert str(tmp_path / "none") in lines[0]["source"]
    finally:
        gateway.stop()
