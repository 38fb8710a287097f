"""One `tael gateway` process with a configuration of its own."""

import json
import pathlib
import re
import subprocess

import requests

from kit.server import PROGRAM, START_SECONDS, cpu_seconds, ended, wait_until, without_tael_settings

# What tael serves to whoever has no key: health, the API's description, hosted pages, the console.
PUBLIC = [
    {"name": "livez", "path": "/livez", "public": True},
    {"name": "readyz", "path": "/readyz", "public": True},
    {"name": "openapi", "path": "/v1/openapi.json", "public": True},
    {"name": "authenticate", "path_prefix": "/authenticate/", "public": True},
    {"name": "qr", "path_prefix": "/qr/", "public": True},
    {"name": "console", "path_prefix": "/console", "public": True},
    {"name": "checkout", "path_prefix": "/checkout/", "public": True},
]


def before(port, **keywords):
    """A configuration with one upstream `api` on a port of this machine, and the usual routes."""
    upstream = {"endpoints": [f"127.0.0.1:{port}"], "attempts_max": 1}
    config = {
        "listeners": [{"address": "127.0.0.1:0", "body_max": "4m"}],
        "admin": {"address": "127.0.0.1:0"},
        "access_log": "access.log",
        "drain_delay": "0ms",
        "upstreams": {"api": upstream},
        "routes": [
            *({**route, "upstream": "api"} for route in PUBLIC),
            {"name": "payments", "path_prefix": "/v1/payment_intents", "upstream": "api",
             "class": "critical"},
            {"name": "all", "path_prefix": "/", "upstream": "api"},
        ],
    }
    config.update(keywords)
    return config


class Gateway:
    """Starts on free ports; may be reloaded, killed, and stopped in order."""

    def __init__(self, folder, config, *flags):
        self.folder = pathlib.Path(folder)
        self.flags = flags
        self.config = config
        self.process = None
        self.port = None
        self.url = None
        self.admin_url = None
        self.output_path = self.folder / "gateway-output"
        self.log_path = self.folder / "gateway-log"
        self.file = self.folder / "gateway.json"

    def write(self, config=None):
        self.config = config or self.config
        new = self.file.with_suffix(".new")
        new.write_text(self.config if isinstance(self.config, str) else
                       json.dumps(self.config, indent=1))
        new.rename(self.file)

    def start(self, seconds=START_SECONDS):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write()
        with open(self.output_path, "wb") as output, open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "gateway", f"--config={self.file}", "--allow-dumps", *self.flags],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log, cwd=self.folder,
                env=without_tael_settings(),
            )
        match = wait_until(self._listening, seconds, "the gateway's 'listening on'")
        self.port = int(match.group(2))
        self.url = f"{match.group(1)}://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{match.group(3)}"
        return self

    def _listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}: {self.log()}")
        text = self.output_path.read_text()
        return re.search(r"listening on (https?)://127\.0\.0\.1:(\d+)[\s\S]*"
                         r"operators: http://127\.0\.0\.1:(\d+)\n", text)

    def ports(self):
        """Of all listeners, in the order of the configuration."""
        return [int(port) for port in
                re.findall(r"listening on \w+://[^:]+:(\d+)", self.output_path.read_text())]

    def log(self):
        return self.log_path.read_text(errors="replace")

    def access(self):
        """The lines of the access log."""
        path = self.folder / "access.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def admin(self, path, method="GET"):
        return requests.request(method, self.admin_url + path, timeout=60)

    def metric(self, name, **labels):
        """The sum of the series of a metric that have these labels."""
        total = 0.0
        for line in self.admin("/metrics").text.splitlines():
            match = re.match(rf"{name}(?:{{(.*)}})? ([0-9.e+-]+)$", line)
            if match and all(f'{key}="{value}"' in (match.group(1) or "")
                             for key, value in labels.items()):
                total += float(match.group(2))
        return total

    def reload(self, config=None, good=True):
        """Writes the configuration and has it read; answers the reason if it is refused."""
        self.write(config)
        answer = self.admin("/reload", "POST")
        assert answer.status_code == (200 if good else 422), answer.text
        return answer.json().get("reason")

    def memory_kib(self):
        """Resident."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        code = ended(self.process)
        self.process = None
        assert code == 0, f"exit code {code}: {self.log()}"
