"""Limits that two gateways share through Redis; a Redis that is dead or slow."""

import shutil
import signal
import socket
import subprocess
import time

import pytest
import requests

from kit.gateway import Gateway, before
from kit.hammer import hammer, refilled
from kit.ports import free_port
from kit.server import wait_until
from kit.service import Service

KEY = "sk_test_" + "r" * 24
RATE, BURST = 40, 10
SLOW = 2.0  # seconds, which no question takes on a machine that is only busy
pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is missing")


class Redis:
    def __init__(self, folder, password="open sesame"):
        self.folder = folder
        self.password = password
        self.process = None
        self.port = free_port()
        folder.mkdir()
        (folder / "password").write_text(password + "\n")
        (folder / "redis.conf").write_text(
            f'port {self.port}\nbind 127.0.0.1\nsave ""\nappendonly no\nrequirepass "{password}"\n'
            f"dir {folder}\n")

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", str(self.folder / "redis.conf")], stdin=subprocess.DEVNULL,
            stdout=open(self.folder / "log", "ab"), stderr=subprocess.STDOUT)
        wait_until(self.answers, 20, "redis")
        return self

    def answers(self):
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            for command in (["AUTH", self.password], list(words)):
                connection.sendall(b"*%d\r\n" % len(command) + b"".join(
                    b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in command))
                answer = connection.recv(65536)
            return answer

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def world(tmp_path):
    redis = Redis(tmp_path / "redis").start()
    service = Service().start()

    def config(**redis_settings):
        return before(
            service.port, limits={"key_rate": RATE, "key_burst": BURST},
            redis={"address": f"127.0.0.1:{redis.port}", "timeout": "2s", "retry_after": "200ms",
                   "password_file": str(redis.folder / "password"), **redis_settings})

    gateways = []

    def make(**redis_settings):
        gateways.append(Gateway(tmp_path / f"gateway-{len(gateways)}",
                                config(**redis_settings)).start())
        return gateways[-1]

    yield redis, make
    for gateway in gateways:
        gateway.stop()
    service.stop()
    redis.stop()


def connect(gateway):
    """A question that finds no connection falls back, and makes one; none so soon after a failure."""
    asked = []

    def connected():
        if not asked or time.monotonic() - asked[-1] > 1:
            requests.get(gateway.url + "/v1/x", timeout=30,
                         headers={"Authorization": "Bearer pk_test_" + "x" * 20})
            asked.append(time.monotonic())
        return gateway.metric("tael_gateway_redis_connected") == 1

    wait_until(connected, 20, "the connection")


def hammered(gateways, seconds):
    return hammer([one.url + "/v1/x" for one in gateways], KEY, seconds, threads=3)


def test_two_gateways_share_a_limit(world):
    redis, make = world
    one, two = make(), make()
    connect(one)
    connect(two)
    passed, limited, seconds = hammered([one, two], 5)
    fell_back = sum(one.metric("tael_gateway_redis_fallbacks_total") for one in (one, two))
    assert fell_back <= 2, "the first requests only"
    assert len(passed) <= (BURST + RATE * seconds) * 1.05
    assert len(passed) >= 0.95 * refilled(limited, RATE, BURST)
    # No key is in Redis, and buckets that are full again go away.
    def there():
        requests.get(one.url + "/v1/x", timeout=30, headers={"Authorization": f"Bearer {KEY}"})
        keys = redis.ask("KEYS", "*")
        return b"tael:limit:" in keys and keys

    assert KEY.encode() not in wait_until(there, 10, "a bucket")
    wait_until(lambda: redis.ask("DBSIZE") == b":0\r\n", 20, "the end of the buckets")


def test_a_dead_redis(world):
    """Requests go on under local limits; it is used again when it is back."""
    redis, make = world
    gateway = make()
    connect(gateway)
    redis.stop()
    passed, _, seconds = hammered([gateway], 2)
    assert 0 < len(passed) <= (BURST + RATE * seconds) * 1.05
    assert gateway.metric("tael_gateway_redis_fallbacks_total") > 10
    redis.start()
    connect(gateway)
    answered = gateway.metric("tael_gateway_redis_answered_total")
    hammered([gateway], 0.5)
    assert gateway.metric("tael_gateway_redis_answered_total") > answered


def test_a_slow_redis(world):
    """REDIS-2: nobody waits longer than the time-out, and while it is slow nobody waits at all."""
    redis, make = world
    gateway = make(timeout=f"{SLOW:.0f}s", retry_after="60s")
    connect(gateway)
    redis.process.send_signal(signal.SIGSTOP)
    try:
        times = []
        for _ in range(20):
            began = time.monotonic()
            answer = requests.get(gateway.url + "/v1/x", timeout=30,
                                  headers={"Authorization": f"Bearer {KEY}"})
            times.append(time.monotonic() - began)
            assert answer.status_code in (200, 429)
        assert times[0] >= 0.9 * SLOW, "the first waited for the time-out"
        assert max(times[1:]) < 0.9 * SLOW, times
        assert gateway.metric("tael_gateway_redis_fallbacks_total") >= 20
        assert gateway.metric("tael_gateway_redis_connected") == 0
    finally:
        redis.process.send_signal(signal.SIGCONT)


def test_a_reload_keeps_the_connection(world):
    redis, make = world
    gateway = make()
    connect(gateway)
    connects = gateway.metric("tael_gateway_redis_connects_total")
    gateway.config["upstreams"]["api"]["timeout"] = "29s"
    gateway.reload(gateway.config)
    hammered([gateway], 0.3)
    assert gateway.metric("tael_gateway_redis_connects_total") == connects
    gateway.config["redis"]["timeout"] = "1s"
    gateway.reload(gateway.config)
    connect(gateway)
    (redis.folder / "none").unlink(missing_ok=True)
    gateway.config["redis"]["password_file"] = str(redis.folder / "none")
    assert "password_file" in gateway.reload(gateway.config, good=False)


def test_a_wrong_password(world, tmp_path):
    redis, make = world
    (tmp_path / "wrong").write_text("guess\n")
    gateway = make(password_file=str(tmp_path / "wrong"))
    for _ in range(5):
        answer = requests.get(gateway.url + "/v1/x", timeout=30,
                              headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200
        time.sleep(0.1)
    wait_until(lambda: gateway.metric("tael_gateway_redis_errors_total") > 0, 10, "an error")
    assert gateway.metric("tael_gateway_redis_connected") == 0
