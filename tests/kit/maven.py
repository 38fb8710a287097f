"""Jars from Maven Central, pinned by their SHA-256 and kept in build/jars."""

import hashlib
import os
import pathlib
import time
import urllib.error
import urllib.request

from kit.server import ROOT

CENTRAL = "https://repo1.maven.org/maven2"
FOLDER = ROOT / "build" / "jars"
ATTEMPTS = 4


def _download(path):
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(f"{CENTRAL}/{path}", timeout=120) as answer:
                return answer.read()
        except (urllib.error.URLError, TimeoutError):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(2 ** attempt)


def fetch(listing):
    """The jars of a file of "SHA-256  path" lines, as sha256sum writes them; answers their files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = []
    for line in pathlib.Path(listing).read_text().splitlines():
        digest, path = line.split()
        file = FOLDER / path.rsplit("/", 1)[1]
        files.append(file)
        if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == digest:
            continue
        content = _download(path)
        assert hashlib.sha256(content).hexdigest() == digest, f"{path} is not what it was"
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.replace(file)
    return files
