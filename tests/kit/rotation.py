"""Keys that an operator rotates while the server works, with `tael COMMAND rotate` and `status`."""

import json

from kit.server import run_tael, wait_until


class Rotation:
    """Of the keys of a command; `url` gives the operators' address of who has them."""

    def __init__(self, command, url):
        self.command = command
        self.url = url

    def tael(self, server, *words):
        return run_tael(self.command, *words, f"--url={self.url(server)}")

    def _ask(self, server, *words):
        result = self.tael(server, *words)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def status(self, server):
        return self._ask(server, "status", "--json")

    def rotate(self, server, *words):
        return self._ask(server, "rotate", "--json", *words)

    def wait_for_end(self, server):
        return wait_until(lambda: (now := self.status(server)) and not now["rotating"] and now, 60,
                          "the end of the rotation")
