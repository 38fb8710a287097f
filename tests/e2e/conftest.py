"""The program from outside: one server process, Stripe's own SDKs as clients."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from kit.fixtures import chromium, client, http, make_server, one_day, server, wallets  # noqa: E402, F401
