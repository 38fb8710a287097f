"""More merchants than the first, as an operator makes them."""

import json
import secrets

from kit.server import operators_in, run_tael


def operators_url(server):
    """Of a server with --admin-listen; of a cluster's first api process."""
    return operators_in(server.output_path) or f"http://{server.nodes()[0]['operators']}"


def create(url, name, idempotency_key=None):
    """A new merchant, by the program: `id`, `number`, `key` and so on."""
    key = idempotency_key or secrets.token_hex(16)
    result = run_tael("merchants", "create", f"--name={name}", f"--idempotency-key={key}",
                      f"--url={url}", "--json")
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)
    assert made["id"].startswith("acct_") and made["key"].startswith("sk_test_")
    return made
