"""A start that does not get to its end, at every step: it says why, and what was opened by then is closed
in order. Memory that was given back is filled; a sanitizer's findings end the process with another code."""

import resource
import secrets
import signal
import socket
import subprocess
import time

import pytest

from kit.ports import free_port
from kit.server import PROGRAM, START_SECONDS, STOP_SECONDS, wait_until, without_tael_settings

# Below it libuv itself gives up (uv__signal_global_init).
FILES_MIN = 9
FILES_MAX = 120
NOBODY = "postgres://nobody@/x?host={folder}&connect_timeout=5"
BAD_MAP = "{folder}/bad"
LEDGER_ROLE = ("--roles=ledger", "--internal-listen=127.0.0.1:0", "--internal-key-file={folder}/key",
               "--shard=a")

# Settings that no machine could start with end with status 2, what is wrong on this one with 1.
SETTINGS = ("placement", "store", "orders", "cache", "map of documents", "limits", "reach", "names in codes", "broker", "clients",
            "public address", "internal address")

# What is wrong, and what is said of it; in the order in which roles open.
WRONG = {
    "data": (("--data={folder}/bad",), "data folder"),
    "operators' port": (("--admin-listen=127.0.0.1:{taken}",), "the address is in use"),
    "key between services": (
        ("--internal-listen=127.0.0.1:0", "--internal-key-file={folder}/none"), "key file"),
    "placement": (("--wallet-placement=wallet",), "wallet-placement"),
    "map of shards": ((*LEDGER_ROLE, f"--ledger-shards={BAD_MAP}"), "ledger-shards"),
    "store": (("--ledger=nonsense:x",), "no such store"),
    "orders": (("--ledger-orders=nonsense",), "--ledger-orders"),
    "ledger's database": ((f"--ledger={NOBODY}",), "ledger"),
    "cache": (("--cache=memory",), "cache"),
    "cache's address": (("--cache=nonsense", f"--documents={NOBODY}"), "cache"),
    "documents": ((f"--documents={NOBODY}",), "documents"),
    "map of documents": ((f"--documents=shards:{BAD_MAP}",), "line 1"),
    "limits": (("--wallet-limits=nonsense",), "wallet-limits"),
    "authorities": (("--webhook-ca={folder}/none",), "webhook-ca"),
    "reach": (("--webhook-private=some",), "webhook-private"),
    "key of webhooks": (("--webhook-key-file={folder}/none",), "webhooks"),
    "names in codes": (("--merchant-name=" + "x" * 80,), "merchant-name"),
    "broker": (("--broker=nonsense://x",), "broker"),
    "broker's file": (
        ("--broker=kafka://127.0.0.1:{free}/x", "--broker-config={folder}/none"), "config file"),
    "clients": (("--client-address=somewhere",), "client-address"),
    "certificate": (("--tls-cert={folder}/none", "--tls-key={folder}/none"), "TLS"),
    "port": (("--listen=127.0.0.1:{taken}",), "the address is in use"),
    "public address": (("--public-url=ftp://x",), "public-url"),
    "internal port": (("--internal-listen=127.0.0.1:{taken}", "--internal-key-file={folder}/key"),
                      "the address is in use"),
    "internal address": (("--internal-listen=0.0.0.0:0", "--internal-key-file={folder}/key"),
                         "not this machine"),
}


def test_the_limit_of_files_counts_all_connections(tmp_path):
    """Not only clients: to each of a map's shards as many as internal-connections-max, and those that come in from
    other services. The soft limit is raised for them; where the hard one is too low it says so, with what to do."""
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    ports = [free_port() for _ in range(2)]
    shards = tmp_path / "map"
    shards.write_text("tael-shards 1\nepoch 1\n" + "".join(
        f"shard s{i} 127.0.0.1:{port}\n" for i, port in enumerate(ports)) + "slots 0-16383 s0\n")
    here = f"127.0.0.1:{free_port()}"
    api = ["--connections-max=100", "--webhook-in-flight-max=10", "--internal-connections-max=1000"]
    documents = "--roles=payments,wallets,mobile,events,api"

    def started(folder, hard, *flags):
        with subprocess.Popen(
                [str(PROGRAM), "server", f"--data={tmp_path / folder}", "--listen=127.0.0.1:0",
                 f"--internal-key-file={key}", *flags],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                env=without_tael_settings(),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))) as process:
            try:
                wait_until(lambda: list((tmp_path / folder).glob("*")), 20, "the folder")
                time.sleep(1)  # it waits for the others from here on, or is through
                return resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0]
            finally:
                process.send_signal(signal.SIGTERM)
                told.append(process.communicate(timeout=STOP_SECONDS)[1])

    told = []
    assert started("over shards", 20000, *api, f"{documents},cards,vault",
                   f"--ledger-shards={shards}") >= 100 + 3 * 10 + 2 * 1000
    assert started("at two places", 20000, *api, documents, f"--ledger-at={here},127.0.0.1:{ports[0]}",
                   f"--cards-at={here}", f"--vault-at={here}") >= 100 + 3 * 10 + 3 * 1000
    assert started("one", 20000, "--connections-max=100", "--internal-listen=127.0.0.1:0") >= 100 + 4096
    assert started("low", 1000, "--connections-max=900") == 1000
    warning = next(line for line in told[-1].splitlines() if "descriptors" in line)
    for words in ('"allowed":1000', '"wanted":', "ulimit", "LimitNOFILE", "connections-max"):
        assert words in warning, warning


@pytest.fixture(autouse=True)
def filled(monkeypatch):
    monkeypatch.setenv("MALLOC_PERTURB_", "165")


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def said(text):
    """Without the log."""
    return "\n".join(line for line in text.splitlines() if not line.startswith('{"time"'))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_start_with_something_wrong(tmp_path, taken, wrong):
    (tmp_path / "bad").write_text("garbage\n")
    (tmp_path / "key").write_text(secrets.token_hex(32))
    (tmp_path / "key").chmod(0o600)
    flags, words = WRONG[wrong]
    places = {"folder": tmp_path, "taken": taken, "free": free_port()}
    ended = subprocess.run(
        [str(PROGRAM), "server", f"--data={tmp_path / 'data'}", "--listen=127.0.0.1:0",
         "--admin-listen=127.0.0.1:0", *[flag.format(**places) for flag in flags]],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS,
        env=without_tael_settings())
    assert ended.returncode == (2 if wrong in SETTINGS else 1), ended.stderr
    assert said(ended.stderr).startswith("tael server: ") and words in ended.stderr


def test_a_start_with_too_few_files(tmp_path):
    """One more at a time, until there are enough: each step that needs one was the first without."""
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    reasons = set()
    for files in range(FILES_MIN, FILES_MAX):
        process = subprocess.Popen(
            [str(PROGRAM), "server", f"--data={tmp_path / f'data-{files}'}",
             "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--internal-listen=127.0.0.1:0",
             f"--internal-key-file={key}", f"--broker=amqp://127.0.0.1:{free_port()}/x"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=without_tael_settings(),
            preexec_fn=lambda files=files: resource.setrlimit(
                resource.RLIMIT_NOFILE, (files, files)))
        started = process.stdout.readline() != ""
        if started:
            process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=STOP_SECONDS)
        assert process.returncode == (0 if started else 1), f"{files} files: {text}"
        if started:
            break
        reasons.add(said(text).split(":")[1])
    assert started and len(reasons) >= 6, reasons
