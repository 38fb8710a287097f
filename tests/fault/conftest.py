"""The program under attack: killed, fed with rubbish, let down by the card network."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from kit.fixtures import client, http, make_server, one_day, server  # noqa: E402, F401
