"""Independent readers and writers of payment codes: npm packages, behind tests/e2e/node/qr_codec.mjs."""

import json
import os
import subprocess

from kit.server import ROOT

FOLDER = ROOT / "tests" / "e2e" / "node"


def codecs(*jobs):
    """Runs jobs of node/qr_codec.mjs."""
    result = subprocess.run(
        ["node", "qr_codec.mjs"], cwd=FOLDER, input=json.dumps(jobs), capture_output=True,
        text=True, timeout=60, env={"PATH": os.environ["PATH"]},
    )
    assert result.returncode == 0, result.stderr
    answers = json.loads(result.stdout)
    assert len(answers) == len(jobs)
    return answers


def with_whole_crc(code):
    """emv-qrcps writes a checksum without its leading zeros, so one code in sixteen is short, and
    refused as it has to be (EMVCo MPM 4.7.3: four digits). The code that it meant."""
    for size in range(4, 0, -1):
        if code[:-size].endswith(f"63{size:02}"):
            return f"{code[:-size - 4]}6304{code[-size:].zfill(4)}"
    raise AssertionError(f"no checksum at the end of {code}")
