"""The keys of webhook secrets, as an operator changes their file and rotates them, and secrets that have to
sign all the while."""

import secrets

from kit.client import Http
from kit.rotation import Rotation
from kit.server import operators_in, wait_until

ADMIN = "--admin-listen=127.0.0.1:0"


def operators(server):
    return getattr(server, "operators", None) or operators_in(server.output_path)


_keys = Rotation("webhooks", operators)
tael_webhooks, status, rotate, wait_for_end = _keys.tael, _keys.status, _keys.rotate, _keys.wait_for_end


def in_use(state):
    [key] = [key for key in state["keys"] if key["in_use"]]
    return key


def key_path(server):
    return server.data / "webhooks" / "master.key"


def keys_in(path):
    return [line for line in path.read_text().splitlines() if line and line[0] != "#"]


def write_keys(path, keys):
    new = path.with_suffix(".new")
    new.write_text("".join(f"{key}\n" for key in keys))
    new.chmod(0o600)
    new.rename(path)


def new_key_in_front(path):
    write_keys(path, [secrets.token_hex(32), *keys_in(path)])


class Endpoints:
    """Webhook endpoints, with what each was told."""

    def __init__(self, server, receiver):
        self.server = server
        self.receiver = receiver
        self.http = Http(server, validate=False)
        self.told = {}  # path: (id, secrets)

    def add(self):
        path = f"/hook-{len(self.told)}"
        answer = self.http.post("/v1/webhook_endpoints", {
            "url": self.receiver.url(path), "enabled_events[]": "customer.created"})
        assert answer.status_code == 200, answer.text
        self.told[path] = (answer.json()["id"], [answer.json()["secret"]])

    def roll(self, path):
        id, known = self.told[path]
        answer = self.http.post(f"/v1/webhook_endpoints/{id}/roll_secret")
        assert answer.status_code == 200, answer.text
        known.append(answer.json()["secret"])

    def emit(self, http=None):
        answer = (http or self.http).post("/v1/customers")
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def check(self, customers):
        """Each endpoint has heard of each of them, signed with every secret that it was told."""
        wanted = {(path, customer) for path in self.told for customer in customers}
        wait_until(lambda: wanted <= {
            (one.path, one.event["data"]["object"]["id"]) for one in self.receiver.events()},
            30, "all deliveries")

    def verify(self):
        """What came so far is signed with the newest secret of each, and with no less than it has."""
        for one in self.receiver.events():
            for secret in self.told[one.path][1]:
                one.verify(secret)
