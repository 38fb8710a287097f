"""One `tael server` process on a data folder of its own, or, with TEST_CLUSTER=1, one
`tael local-cluster`: the same from outside. With TEST_GATEWAY=1 too the cluster has a gateway, and,
if the documents are on PostgreSQL, several api processes behind it. With TEST_SHARDS=N its ledger is
N shards, and with TEST_ENGINE=postgres each is in a schema of the PostgreSQL that the tests were given.
With TEST_CARD_HOST=ascii or binary each server's card network is a `tael card-host` beside it.
With TEST_DOCUMENT_SHARDS=N the documents are in N schemas of that PostgreSQL, by a map; and with
TEST_DOCUMENT_COLUMNS=1 cold texts in one more."""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("TEST_TAEL", ROOT / "build" / "tael"))
LONG = os.environ.get("TEST_LONG") == "1"
# Every server has a gateway before it, which the tests talk to without knowing.
THROUGH_GATEWAY = os.environ.get("TEST_GATEWAY") == "1"
CLUSTER = os.environ.get("TEST_CLUSTER") == "1"
# Of the ledger of a cluster; 0: it is one.
SHARDS = int(os.environ.get("TEST_SHARDS", "0"))
ENGINE = os.environ.get("TEST_ENGINE", "journal")
# Of the documents on PostgreSQL; 0: they are in one schema.
DOCUMENT_SHARDS = int(os.environ.get("TEST_DOCUMENT_SHARDS", "0"))
DOCUMENT_COLUMNS = int(os.environ.get("TEST_DOCUMENT_COLUMNS", "0"))
# The dialect in which servers talk to a card network of their own; empty: it is in their process.
CARD_HOST = os.environ.get("TEST_CARD_HOST", "")
# Longer than a busy machine lets a process stand still; who starts behind a kill waits for it.
LEASE_MS = 5000
# Behind the gateway of a cluster.
API_PROCESSES = 2

# Limits that only guard against hanging: a machine that is busy with other tests is slow at anything.
# What a test promises about time it measures itself, or waits for with `within`.
START_SECONDS = 120
STOP_SECONDS = 120
# So many times longer than on an idle machine, but not beyond this, does `wait_until` wait.
BUSY = 10
HANG_SECONDS = 120

# The reconciler compares quickly, so that a difference shows while the test still runs.
ORDINARY_FLAGS = ("--reconcile-interval=20ms", "--sweep-interval=100ms", "--rate-limit=1000000")

# A busy machine is no network that lost an answer, and no object that others keep locked: what takes long is
# not taken for unknown, or refused, but in tests that say so.
PATIENT_FLAGS = ("--rail-timeout=45s", "--internal-timeout=50s", "--lock-timeout=30s")

EDGE_SETTINGS = ("head_timeout", "body_timeout", "idle_timeout", "write_timeout", "connections_max",
                 "memory_max", "requests_max", "pipeline_max")
SCHEMAS = itertools.count(1)


def wait_until(condition, seconds=10.0, what="the condition"):
    """Polls until `condition()` is true, and answers what it answered. `seconds`: how long that may take
    where nothing else runs; a busy machine is given longer, so the limit is none of the program's."""
    return within(condition, max(seconds, min(seconds * BUSY, HANG_SECONDS)), what)


def within(condition, seconds, what):
    """As wait_until, where the time is what is promised: not a moment longer."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def without_tael_settings():
    """The environment, less settings of somebody else's server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TAEL_")}


def run_tael(*arguments, timeout=120, stdin=None, check=False, environment=None):
    """Runs one command of the program to its end."""
    return subprocess.run(
        [str(PROGRAM), *[str(argument) for argument in arguments]],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=check,
        env={**without_tael_settings(), **(environment or {})},
    )


@functools.cache
def has_fault_points():
    """Whether the program was built with the points that `fault` of a start arms."""
    return json.loads(run_tael("version", "--json", check=True).stdout)["fault_points"]


def skip_without_fault_points():
    """Skips the test in another build."""
    if not has_fault_points():
        pytest.skip("this build has no fault points")


def postgres_schema(name):
    """Flags for documents in an empty schema of the PostgreSQL that the tests were given."""
    url = os.environ["TEST_POSTGRES"]
    subprocess.run(["psql", url, "-qc", f'CREATE SCHEMA "{name}"'], check=True, timeout=60)
    return (f"--documents={url}&options=-csearch_path%3D{name}",)


def write_document_map(path, urls, epoch=1, strategy="hash", cold=None):
    """A map of documents in as many shards as there are URLs, with equal parts of the slots. `cold`:
    the URL of one more, with the cold parts of payments and charges."""
    lines = ["tael-shards 1", f"epoch {epoch}"]
    lines += [f"shard d{i} {url}" for i, url in enumerate(urls)]
    bounds = [16384 * i // len(urls) for i in range(len(urls) + 1)]
    lines += [f"shard cold {cold}"] if cold else []
    lines += [f"slots {bounds[i]}-{bounds[i + 1] - 1} d{i}" for i in range(len(urls))]
    lines.append(f"table documents {strategy}")
    for kind in ("payment_intent", "charge") if cold else ():
        lines += [f"table {kind} column", "column cold cold"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def document_shards(name, count, path):
    """Flags for documents in so many empty schemas of that PostgreSQL; `path` is for their map."""
    schemas = [postgres_schema(f"{name}_{i}")[0] for i in range(count + DOCUMENT_COLUMNS)]
    urls = [flag.removeprefix("--documents=") for flag in schemas]
    write_document_map(path, urls[:count], cold=urls[count] if DOCUMENT_COLUMNS else None)
    return (f"--documents=shards:{path}",)


def milliseconds(text):
    """Of a duration as settings have it: 300ms, 10s, 2m."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit]


def operators_in(path):
    """Where operators ask a process, by what it printed; None if they cannot."""
    found = re.search(r"operators: (http://\S+)", path.read_text())
    return found and found.group(1)


def has_ended(pid):
    """Whoever inherits a dead child may leave it a zombie: it has ended all the same, but only when its
    other threads have too, which until then have its files and their locks."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def cpu_seconds(pid):
    """What it has used of processors since its start."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def ended(process):
    """Tells it to end, and answers its exit code, or that it did not end and was killed."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "none: it did not end"


class Server:
    """Starts on a free port; may be killed, restarted on the same folder, and stopped."""

    def __init__(self, folder, *flags, fault=None, ordinary=True, on_postgres=None, cluster=None,
                 api=None, gateways=None, shards=None):
        """`api`: a cluster with so many api processes, whose `documents` the test gives. `shards`: of
        a cluster's ledger, where the test minds; 0 for what only a ledger that is one does."""
        self.folder = pathlib.Path(folder)
        self.cluster = api is not None or (CLUSTER if cluster is None else cluster)
        if gateways is None:
            gateways = int(self.cluster and THROUGH_GATEWAY)
        self.api, self.gateway_count = api, gateways  # the cluster's own
        self.has_gateway = gateways > 0
        self.root = self.folder / "data"
        # Where the documents and keys are, the ledger, and the card network's memory.
        self.data, self.ledger_data, self.network_data = (
            self.root / name if self.cluster else self.root for name in ("api", "ledger", "vault"))
        self.flags = (ORDINARY_FLAGS + PATIENT_FLAGS if ordinary else ()) + flags
        self.program = PROGRAM  # whoever changes it has the next start made by another version
        self.process = None
        self.card_host = None  # where the card network is, if not in the process
        self.host_flags = None
        self.url = None
        self.port = None
        self.starts = 0
        self.publishable_key = None
        self.fault = fault
        self.gateway = None
        self.direct_url = None
        # Documents on PostgreSQL: the same tests, if they are given one (tools/with-postgres).
        self.on_postgres = "TEST_POSTGRES" in os.environ if on_postgres is None else on_postgres
        self.documents = None
        self.ledger_url = None  # postgres://..., for a ledger that is not in the folder
        # Of a cluster that is the tests' own; a test that makes a split one by hand says how.
        self.shards, self.engine = (SHARDS, ENGINE) if self.cluster and CLUSTER else (0, "journal")
        if shards is not None:
            self.shards = shards

    # ---- life ------------------------------------------------------------------------------

    def start(self, *flags, fault=None, dies=False, seconds=START_SECONDS):
        """`fault` arms a point of a build with fault points: "name:crash". `dies`: while it takes
        up what an earlier process left."""
        self.launch(*flags, fault=fault)
        if dies:
            self.wait_for_crash(seconds)
            return self
        self.wait(*flags, seconds=seconds)
        return self

    def launch(self, *flags, fault=None):
        """Starts it, and does not wait."""
        assert self.process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        self.output_path = self.folder / f"output-{self.starts}"
        self.log_path = self.folder / f"log-{self.starts}"
        if self.documents is None:
            name = f"t{os.getpid()}_{next(SCHEMAS)}"
            if not self.on_postgres:
                self.documents = ()
            elif DOCUMENT_SHARDS > 0:
                self.documents = document_shards(
                    name, DOCUMENT_SHARDS, self.folder / "document-shards")
            else:
                self.documents = postgres_schema(name)
        environment = without_tael_settings()
        fault = fault or self.fault
        if fault:
            environment["TAEL_FAULT"] = fault
        with open(self.output_path, "wb") as output, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(self.program), *self._command(), f"--data={self.root}", "--listen=127.0.0.1:0",
                 *self.documents, *self._ledger(), *self._card_network(*flags), *self.flags, *flags],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log, env=environment,
            )

    def wait(self, *flags, seconds=START_SECONDS):
        """Until it listens; `flags` as they were given to launch."""
        began = time.monotonic()
        match = wait_until(self._listening, seconds, "'listening on'")
        self.started_in = time.monotonic() - began
        self.port = int(match.group(1))
        self.url = self.direct_url = f"http://127.0.0.1:{self.port}"
        if self.has_gateway:
            nodes = self.nodes()
            self.direct_url = nodes[0]["listens"]
        elif THROUGH_GATEWAY and not CLUSTER:
            from kit.gateway import Gateway, before

            config = before(self.port)
            for flag in (*self.flags, *flags):  # deadlines and maxima are the edge's
                name, _, value = flag.removeprefix("--").replace("-", "_").partition("=")
                if name in EDGE_SETTINGS:
                    config["listeners"][0][name] = int(value) if value.isdigit() else value
            self.gateway = Gateway(self.folder / "gateway", config).start()
            self.url, self.port = self.gateway.url, self.gateway.port
        if self.card_host is not None and not self.cluster:
            # A test that lets requests wait for little wants a network that is there.
            wait_until(self._signed_on, START_SECONDS, "the card network")
        publishable = re.search(r"pk_test_\w+", self.output_path.read_text())
        if publishable:
            self.publishable_key = publishable.group()

    def _signed_on(self):
        if self.process.poll() is not None:
            return True  # it was to die
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(self.direct_url + "/readyz", timeout=5) as answer:
                return b"without the card network" not in answer.read()
        return False

    def _ledger(self):
        if self.engine == "postgres" and self.ledger_url is None:
            self.ledger_url = (f"{os.environ['TEST_POSTGRES']}&schema=t{os.getpid()}_{next(SCHEMAS)}"
                               f"&lease_ms={LEASE_MS}")
        return (f"--ledger={self.ledger_url}",) if self.ledger_url else ()

    def _card_network(self, *flags):
        """Of a host of its own: it is what misbehaves, and remembers."""
        if not CARD_HOST:
            return ()
        from kit.card_host import CardHost

        given = dict(flag.split("=", 1) for flag in (*self.flags, *flags) if "=" in flag)
        wanted = {name: value for name, value in given.items() if name.startswith("--issuer-")}
        late = milliseconds(given.get("--rail-timeout", "10s")) + 200
        host_flags = [f"{name}={value}" for name, value in wanted.items()] + [f"--late-by={late}ms"]
        if self.card_host is None:
            self.card_host = CardHost(self.network_data, dialect=CARD_HOST)
        if self.host_flags != host_flags or self.card_host.process is None:
            self.card_host.stop()
            self.card_host.start(*host_flags)
            self.host_flags = host_flags
        return self.card_host.server_flags

    def _command(self):
        if not self.cluster:
            return ["server"]
        several = API_PROCESSES if self.has_gateway and self.documents else 1
        return ["local-cluster", "--postgres=no", f"--gateways={self.gateway_count}",
                f"--api={self.api or several}", f"--shards={self.shards}", f"--engine={self.engine}"]

    def nodes(self):
        """What a cluster says of its api processes."""
        lines = re.findall(r"^(api[\w-]*): (pid .*)$", self.output_path.read_text(), re.MULTILINE)
        gone = re.findall(r"^(api[\w-]*): drained$", self.output_path.read_text(), re.MULTILINE)
        found = [{"name": name, **dict(word.split(" ", 1) for word in rest.split(", "))}
                 for name, rest in lines]
        for name in gone:
            found.remove(next(one for one in found if one["name"] == name))
        return found

    def _listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}: {self.log()}")
        output = self.output_path.read_text()
        if self.cluster and "all run\n" not in output:
            return None
        return re.search(r"listening on http://127\.0\.0\.1:(\d+)", output)

    @property
    def key(self):
        return (self.data / "test_secret_key").read_text().strip()

    def _stop_gateway(self):
        if self.gateway is not None:
            gateway, self.gateway = self.gateway, None
            gateway.stop()

    def kill(self):
        """As kill -9: nothing is flushed, nobody is told. Of a cluster, all at once."""
        self._stop_gateway()
        members = self.members().values()
        if members:
            self.process.send_signal(signal.SIGSTOP)  # or it would stop the others in order
        for pid in members:
            os.kill(pid, signal.SIGKILL)
        for pid in members:
            wait_until(lambda: has_ended(pid), STOP_SECONDS, "the end of a process")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def members(self):
        """The processes of a cluster by name."""
        if not self.cluster:
            return {}
        found = re.findall(r"^([\w-]+): pid (\d+)", self.output_path.read_text(), re.MULTILINE)
        return {name: int(pid) for name, pid in found}

    def wait_for_crash(self, seconds=START_SECONDS):
        """Waits until a fault point has killed the process."""
        wait_until(lambda: self.process.poll() is not None, seconds, "the crash")
        assert self.process.returncode == -signal.SIGKILL, self.log()
        self.process = None

    def stop(self):
        """Gracefully; the exit code must be 0."""
        self._stop_gateway()
        if self.process is None:
            return
        code = ended(self.process)
        self.process = None
        assert code == 0, f"exit code {code}: {self.log()}"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """The end of every server in the tests: it stops in order, and its books balance."""
        try:
            self.stop()
            if self.card_host is not None:
                self.card_host.stop()
            self.check_ledger()
        finally:
            if self.card_host is not None and self.card_host.process is not None:
                self.card_host.kill()
            if self.process is not None:
                self.process.kill()
                self.process.wait()
                self.process = None
        os.environ.get("KEEP") or shutil.rmtree(self.folder, ignore_errors=True)

    # ---- looking ---------------------------------------------------------------------------

    def log(self):
        return self.log_path.read_text(errors="replace")

    def all_logs(self):
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*-[0-9]*"))

    def dump(self):
        """All of the documents on PostgreSQL, as text."""
        place = self.documents[0].removeprefix("--documents=")
        places = [place]
        if place.startswith("shards:"):
            text = pathlib.Path(place.removeprefix("shards:")).read_text()
            places = re.findall(r"^shard \S+ (\S+)$", text, re.MULTILINE)
        dumps = []
        for place in places:
            url, schema = place.split("&options=-csearch_path%3D")
            dumps.append(subprocess.run(["pg_dump", url, "--inserts", "-n", schema], check=True,
                                        timeout=120, capture_output=True).stdout)
        return b"".join(dumps)

    def is_behind_gateway(self):
        return self.url != self.direct_url

    def metrics_urls(self):
        """Where the processes that have the documents tell what they count."""
        if self.has_gateway:
            return ["http://" + node["operators"] for node in self.nodes()]
        apart = None if self.cluster else operators_in(self.output_path)
        return [apart or self.direct_url]

    def rss_kib(self):
        pid = (self.gateway.process if self.gateway else self.process).pid  # the edge
        pid = self.members()["gateway"] if self.has_gateway else pid
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def ledger_places(self):
        """Where the ledger is, or each of its shards."""
        numbers = range(2, self.shards + 1)
        if self.ledger_url is None:
            return [self.ledger_data, *[self.root / f"ledger-{number}" for number in numbers]]
        schema = re.search(r"schema=(\w+)", self.ledger_url)
        return [self.ledger_url, *[f"{self.ledger_url}&schema={schema.group(1)}_{number}"
                                   for number in numbers]]

    def ledger_check(self):
        """`tael ledger check` of all shards of a server that does not run."""
        assert self.process is None
        return run_tael("ledger", "check", *self.ledger_places(), timeout=1800 if LONG else 300)

    def check_ledger(self):
        result = self.ledger_check()
        assert result.returncode == 0, f"ledger check: {result.stdout}{result.stderr}"
        return result.stdout
