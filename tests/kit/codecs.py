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
