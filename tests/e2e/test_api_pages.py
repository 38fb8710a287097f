"""The pages of docs/api say what the server does: their examples are sent again and answered the
same, but for what is random or tells the time."""

import json
import re
import subprocess
import sys

from kit.described import description
from kit.server import ROOT

sys.path.append(str(ROOT / "tools"))

from house.masks import MOMENT, Masks  # noqa: E402

PAGES = ROOT / "docs" / "api"


def test_pages_are_up_to_date():
    result = subprocess.run([sys.executable, str(ROOT / "tools" / "api-pages"), "--check"],
                            capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


def test_pages_hold_nothing_of_a_run():
    """No id, key or secret of a server; each page is in the index."""
    index = (PAGES / "README.md").read_text()
    for path in PAGES.glob("*.md"):
        text = path.read_text()
        assert not re.search(r"\b[a-z]+_[0-9A-Za-z]{22}(?![0-9A-Za-z])", text), path
        assert not re.search(r"\b[sp]k_test_[0-9A-Za-z]{16}", text), path
        assert path.name == "README.md" or f"]({path.name})" in index


def objects_in(value):
    """Every object of the API in an answer, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("object"), str):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from objects_in(inner)


def test_what_pages_show_is_as_described():
    seen = set()
    for path in PAGES.glob("*.md"):
        for answer in re.findall(r"^```json\n(.*?)^```", path.read_text(), re.M | re.S):
            for shown in objects_in(json.loads(answer)):
                if shown["object"] in description().by_object:
                    seen.add(shown["object"])
                    description().check_object(shown, path.name)
    assert {"payment_intent", "qr_code", "wallet_transfer"} <= seen


def test_masks_keep_what_is_no_accident():
    masks = Masks()
    now = int(masks.now)
    intent = "pi_0355Gz6lSVXuzZbMxDEFfr"
    masked = masks.value({
        "id": intent, "client_secret": f"{intent}_secret_a8D9", "created": now + 1,
        "available_on": now + 2 * 86400, "amount": 1500, "url": f"/v1/payment_intents/{intent}",
        "timestamp": f"{now}000000001", "fingerprint": "random", "key": "sk_test_" + "a1B2" * 8,
        "other": "pi_0355Gz6n4M9ndGGhCnOKOy", "again": intent, "none": None, "yes": True,
    })
    assert masked == {
        "id": "pi_example1", "client_secret": "pi_example1_secret_example", "created": MOMENT,
        "available_on": MOMENT + 2 * 86400, "amount": 1500,
        "url": "/v1/payment_intents/pi_example1", "timestamp": f"{MOMENT}000000001",
        "fingerprint": masked["fingerprint"], "key": "sk_test_example", "other": "pi_example2",
        "again": "pi_example1", "none": None, "yes": True,
    }
    assert masked["fingerprint"] != "random"
