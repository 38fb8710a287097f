"""The image: small, the same each time, without rights, and losing nothing when it is stopped."""

import concurrent.futures
import datetime
import json
import re
import time

import pytest
import requests

from kit.containers import build_image, copy_of_sources
from kit.ports import free_port
from kit.server import ROOT, wait_until

SIZE_MAX = 60 << 20
DEPLOY_PAGE = ROOT / "docs" / "operations" / "deploy.md"
START_SECONDS = 2.0
STOP_SECONDS = 20
READ_ONLY = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")


class Container:
    """One `tael server` of the image on a volume, which may be stopped and started again."""

    def __init__(self, engine, image, name, *flags):
        self.engine, self.name, self.port = engine, name, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        engine.podman("volume", "create", f"{name}-data")
        engine.podman("run", "-d", "--name", name, *READ_ONLY, "-v", f"{name}-data:/data",
                      "-p", f"127.0.0.1:{self.port}:8080", image, "server", *flags)
        self.wait_ready()
        self.key = re.search(r"sk_test_\w+", self.logs()).group()

    def wait_ready(self):
        wait_until(lambda: self.get("/readyz") == 200, 60, "ready")

    def get(self, path):
        try:
            return requests.get(self.url + path, timeout=5).status_code
        except requests.RequestException:
            return None

    def logs(self):
        result = self.engine.run("podman", "logs", self.name)
        return result.stdout + result.stderr

    def state(self):
        return json.loads(self.engine.podman("inspect", self.name))[0]["State"]

    def stop(self):
        began = time.monotonic()
        self.engine.podman("stop", "-t", STOP_SECONDS, self.name)
        took = time.monotonic() - began
        assert self.state()["ExitCode"] == 0, self.logs()
        assert '"message":"stopped"' in self.logs()
        return took

    def start(self):
        self.engine.podman("start", self.name)
        self.wait_ready()

    def pay(self, session=requests, **more):
        return session.post(f"{self.url}/v1/payment_intents", auth=(self.key, ""), timeout=30, data={
            "amount": 1200, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never", **more})

    def payment(self, name):
        answer = requests.get(f"{self.url}/v1/payment_intents/{name}", auth=(self.key, ""), timeout=30)
        return answer.json()

    def started_in(self):
        """Seconds from the container's start to the server's own word, for each start in the log."""
        line = [json.loads(line) for line in self.logs().splitlines()
                if '"message":"started"' in line][-1]
        began = self.state()["StartedAt"]
        seconds = re.sub(r"(\.\d{6})\d*", r"\1", began)
        return (datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
                - datetime.datetime.fromisoformat(seconds.replace("Z", "+00:00"))).total_seconds()


@pytest.fixture
def container(engine, image):
    made = Container(engine, image[0], "tael-image", "--drain-timeout=10s")
    yield made
    engine.podman("rm", "-f", "-t", "5", made.name)
    engine.podman("volume", "rm", "-f", f"{made.name}-data")


def test_image_is_what_it_says(engine, image):
    facts = json.loads(engine.podman("image", "inspect", image[0]))[0]
    assert facts["Size"] < SIZE_MAX
    said = re.search(r"certificates: about (\d+) MB", DEPLOY_PAGE.read_text()).group(1)
    assert abs(facts["Size"] / 1e6 - int(said)) < 3, facts["Size"]
    config = facts["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/usr/local/bin/tael"]
    for name in ("title", "description", "licenses", "version", "revision"):
        assert config["Labels"][f"org.opencontainers.image.{name}"]
    mounted = engine.run("podman", "run", "--rm", *READ_ONLY, image[0], "--version").stdout
    assert mounted.startswith("tael 0.1.0")
    shell = engine.run("podman", "run", "--rm", "--entrypoint=/bin/sh", image[0], "-c", "true",
                       check=False)
    assert shell.returncode != 0


def test_the_same_sources_give_the_same_digest(engine, image, tmp_path):
    again = build_image(engine, "localhost/tael:again", copy_of_sources(tmp_path / "sources"))
    assert again[1] == image[1]


def test_stopped_and_started_it_has_lost_nothing(container):
    """Payments go on until SIGTERM; each that was answered is there after the next start."""
    first = container.pay().json()
    assert first["status"] == "succeeded"
    acknowledged = []

    def keep_paying():
        session = requests.Session()
        while True:
            try:
                answer = container.pay(session)
            except requests.RequestException:
                return
            if answer.status_code == 200:
                acknowledged.append(answer.json()["id"])

    times = [container.started_in()]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(keep_paying) for _ in range(4)]
        wait_until(lambda: len(acknowledged) >= 20, 60, "twenty payments")
        assert container.stop() < STOP_SECONDS
        for load in loads:
            load.result(60)
    container.start()
    times.append(container.started_in())
    for name in [first["id"], *acknowledged]:
        assert container.payment(name)["status"] == "succeeded", name
    assert min(times) < START_SECONDS, times


def test_health_without_a_shell(engine, container):
    check = ("podman", "exec", container.name, "/usr/local/bin/tael", "health")
    assert engine.run(*check, "http://127.0.0.1:9100/readyz").stdout == "ready\n"
    assert engine.run(*check, "http://127.0.0.1:9100/nothing", check=False).returncode == 1


def test_webhooks_find_certificates_and_names(engine, image):
    """getaddrinfo and the trusted authorities work without anything else in the image."""
    result = engine.run("podman", "run", "--rm", *READ_ONLY, image[0], "health",
                        "https://localhost:1", check=False)
    assert result.returncode == 1
    assert "closed" in result.stderr, result.stderr  # resolved, and nobody there


def test_compose(engine, image):
    """compose.yaml as it is: up, a payment, down and up again on the same volume."""
    port = free_port()
    compose = ("podman-compose", "-f", ROOT / "deploy" / "compose" / "compose.yaml")
    environment = {"TAEL_IMAGE": image[0], "TAEL_PORT": str(port)}
    own = Container.__new__(Container)
    own.engine, own.port, own.url = engine, port, f"http://127.0.0.1:{port}"
    try:
        engine.run(*compose, "up", "-d", environment=environment, timeout=180)
        own.wait_ready()
        own.name = engine.podman("ps", "--format", "{{.Names}}", "--filter", "name=tael").split()[0]
        own.key = re.search(r"sk_test_\w+", own.logs()).group()
        assert json.loads(engine.podman("inspect", own.name))[0]["HostConfig"]["ReadonlyRootfs"]
        intent = own.pay().json()
        engine.run(*compose, "down", environment=environment, timeout=180)
        engine.run(*compose, "up", "-d", environment=environment, timeout=180)
        own.wait_ready()
        assert own.payment(intent["id"])["status"] == "succeeded"
    finally:
        engine.run(*compose, "down", "-v", environment=environment, timeout=180, check=False)
