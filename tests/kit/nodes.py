"""Several api processes on one ledger, one vault, one bank and one PostgreSQL, with gateways before
them; a test may kill and start again each of them."""

import itertools

from kit.cluster import NEEDS as ONE_API_NEEDS, ROLES as ONE_API_ROLES, Cluster
from kit.gateway import PUBLIC, Gateway
from kit.ports import free_ports

ROLES = {**ONE_API_ROLES, "bank": "bank"}
NEEDS = {**ONE_API_NEEDS, "bank": (), "api": (*ONE_API_NEEDS["api"], "bank")}
SINGLE = ("ledger", "vault", "cards", "bank")


class Node:
    """One api process as a server of its own, for clients that choose."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.member = cluster.processes[name]
        self.url = self.direct_url = f"http://127.0.0.1:{cluster.api_ports[name]}"

    @property
    def key(self):
        return self.cluster.key


class Nodes(Cluster):
    """From outside as one server, behind its first gateway if it has any."""

    roles = ROLES
    needs = NEEDS

    def __init__(self, folder, documents, *flags, api=2, gateways=0, upstream=None, **keywords):
        self.api_names = ["api", *(f"api-{i}" for i in range(2, api + 1))]
        super().__init__(folder, f"--documents={documents}", *flags,
                         names=(*SINGLE, *self.api_names), **keywords)
        self.api_ports = dict(zip(self.api_names, free_ports(api), strict=True))
        self.endpoints = self.folder / "endpoints"
        self.gateways = [Gateway(self.folder / f"gateway-{i}", self.configuration(upstream or {}))
                         for i in range(1, gateways + 1)]
        self.nodes = [Node(self, name) for name in self.api_names]
        self.url = self.nodes[0].url
        self._turn = itertools.cycle(self.nodes)

    def configuration(self, upstream):
        return {
            "listeners": [{"address": "127.0.0.1:0", "body_max": "4m"}],
            "admin": {"address": "127.0.0.1:0"},
            "access_log": "access.log",
            "drain_delay": "0ms",
            "upstreams": {"api": {
                "file": str(self.endpoints), "source_interval": "100ms", "slow_start": "1s",
                "health_path": "/readyz", "health_interval": "500ms", "health_timeout": "2s",
                "health_down": 2, "outlier_base": "2s", "retry_percent": 50, **upstream}},
            "routes": [*({**route, "upstream": "api"} for route in PUBLIC),
                       {"name": "all", "path_prefix": "/", "upstream": "api"}],
        }

    def listens(self, member):
        if member.kind != "api":
            return ["--admin-listen=127.0.0.1:0"]
        more = [] if member.name == "api" else [
            f"--webhook-key-file={self.processes['api'].data / 'webhooks' / 'master.key'}"]
        return [f"--listen=127.0.0.1:{self.api_ports[member.name]}", "--admin-listen=127.0.0.1:0",
                *more]

    def start(self, *flags):
        """The first api process makes the keys; then the others come."""
        with self.all_or_none():
            for name in (*SINGLE, "api"):
                self.processes[name].launch(*flags)
            for name in (*SINGLE, "api"):
                self.processes[name].wait()
            for name in self.api_names[1:]:
                self.processes[name].launch(*flags)
            for name in self.api_names[1:]:
                self.processes[name].wait()
            self.publish(self.api_names)
            for gateway in self.gateways:
                gateway.start()
        if self.gateways:
            self.url, self.port = self.gateways[0].url, self.gateways[0].port
        self.process = self.processes["api"].process
        return self

    def publish(self, names):
        """The gateways read it again and again."""
        new = self.endpoints.with_suffix(".new")
        new.write_text("".join(f"127.0.0.1:{self.api_ports[name]}\n" for name in names))
        new.rename(self.endpoints)

    def another(self):
        """One api process after the other."""
        return next(self._turn)

    def metrics_urls(self):
        return [self.processes[name].operators for name in self.api_names
                if self.processes[name].process is not None]

    def stop(self, order=None):
        self.process = None
        for gateway in self.gateways:
            gateway.stop()
        for name in order or (*reversed(self.api_names), "cards", "bank", "vault", "ledger"):
            self.processes[name].stop()

    def kill(self):
        for gateway in self.gateways:
            if gateway.process is not None:
                gateway.kill()
        super().kill()
