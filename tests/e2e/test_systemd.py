"""The units for systemd: systemd takes them, they grant little, and what they start with are settings of the program."""

import re
import shutil
import subprocess

import pytest

from kit.certificates import make_certificate, shown_certificate
from kit.server import PROGRAM, ROOT, ended, wait_until, without_tael_settings

UNITS = ROOT / "deploy" / "systemd"
NAMES = sorted(path.stem for path in UNITS.glob("*.service"))
EXPOSURE_MAX = 2.0  # of 10; the services of a distribution have 9 and more

analyzes = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")


def analyze(*words):
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def unit(tmp_path, request):
    """The unit, of the program that is tested: systemd looks whether it is there."""
    text = (UNITS / f"{request.param}.service").read_text()
    assert "/usr/local/bin/tael " in text
    file = tmp_path / f"{request.param}.service"
    file.write_text(text.replace("/usr/local/bin/tael", str(PROGRAM.absolute())))
    return file


def test_there_is_one_for_each():
    assert NAMES == ["tael", "tael-gateway"]


@analyzes
@pytest.mark.parametrize("unit", NAMES, indirect=True)
def test_systemd_has_nothing_to_say(unit):
    result = analyze("verify", "--man=no", unit)
    assert result.returncode == 0 and not result.stdout + result.stderr
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))
    assert "perhaps" in analyze("verify", "--man=no", unit).stderr


@analyzes
@pytest.mark.parametrize("unit", NAMES, indirect=True)
def test_they_grant_little(unit):
    def exposure():
        text = analyze("security", "--offline=true", "--no-pager", unit).stdout
        return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", text).group(1))

    assert exposure() <= EXPOSURE_MAX
    unit.write_text(unit.read_text().replace("NoNewPrivileges=yes", "").replace("CapabilityBoundingSet=", "#"))
    assert exposure() > EXPOSURE_MAX


def test_the_settings_of_the_example(tmp_path):
    """But for where it listens: the flags say that, as ports below 1024 are not everybody's."""
    certificate, key = make_certificate(tmp_path, "api")
    text = (UNITS / "server.conf").read_text()
    assert "/etc/tael/tls.crt" in text and "/etc/tael/tls.key" in text
    file, output = tmp_path / "server.conf", tmp_path / "output"
    file.write_text(text.replace("/etc/tael/tls.crt", str(certificate)).replace("/etc/tael/tls.key", str(key)))
    with open(output, "wb") as out:
        process = subprocess.Popen(
            [str(PROGRAM), "server", f"--data={tmp_path}/data", f"--config={file}", "--listen=127.0.0.1:0",
             "--admin-listen=127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=without_tael_settings())
    try:
        found = wait_until(lambda: process.poll() is None and re.search(
            r"listening on https://127\.0\.0\.1:(\d+)", output.read_text()), 30, "listening")
        assert shown_certificate(int(found.group(1)))[0]
    finally:
        assert ended(process) == 0, output.read_text()
