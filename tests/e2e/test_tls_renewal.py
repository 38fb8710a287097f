"""The certificate of the API is read again at SIGHUP, while requests go on."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import threading

import pytest
import requests

from kit.certificates import make_certificate, shown_certificate
from kit.server import PROGRAM, ended, wait_until, without_tael_settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")


class Tls:
    def __init__(self, folder):
        self.folder = folder
        self.live = folder / "live.pem", folder / "live.key"
        self.log = folder / "log"

    def install(self, pair):
        for source, target in zip(pair, self.live):
            target.write_bytes(source.read_bytes())

    def start(self):
        with open(self.folder / "output", "wb") as output, open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "server", f"--data={self.folder}/data", "--listen=127.0.0.1:0",
                 f"--tls-cert={self.live[0]}", f"--tls-key={self.live[1]}"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log, env=without_tael_settings())
        found = wait_until(lambda: re.search(
            r"listening on (https://127\.0\.0\.1:(\d+))", (self.folder / "output").read_text()), 30)
        self.url, self.port = found.group(1), int(found.group(2))
        self.key = (self.folder / "data" / "test_secret_key").read_text().strip()

    def hang_up(self, says):
        before = self.log.read_text().count(says)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.read_text().count(says) > before, 10, says)

    def shown(self):
        return shown_certificate(self.port)[0]


@pytest.fixture
def tls(tmp_path):
    made = Tls(tmp_path)
    made.pairs = [make_certificate(tmp_path, name) for name in ("first", "second")]
    made.install(made.pairs[0])
    made.start()
    yield made
    assert ended(made.process) == 0, made.log.read_text()


def der(pair):
    return ssl.PEM_cert_to_DER_cert(pair[0].read_text())


@pytest.mark.filterwarnings("ignore")
def test_it_is_renewed_under_load(tls):
    stop, answers = threading.Event(), []

    def work(session):
        while not stop.is_set():
            answers.append(session.get(tls.url + "/v1/balance", auth=(tls.key, ""), verify=False,
                                       timeout=30).status_code)
            if len(answers) % 7 == 0:
                session.close()  # a new connection, beside those that stay

    threads = [threading.Thread(target=work, args=(requests.Session(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert tls.shown() == der(tls.pairs[0])
    for number in (1, 0, 1):
        tls.install(tls.pairs[number])
        tls.hang_up("the certificate was read again")
        assert tls.shown() == der(tls.pairs[number])
    count = len(answers)
    wait_until(lambda: len(answers) > count + 20, 30, "requests")
    stop.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {200}


def test_its_end_is_told(tls):
    """Of the one that is shown, not of the one that lies there."""
    def end(pair):
        text = subprocess.run(["openssl", "x509", "-in", pair[0], "-noout", "-enddate"], check=True,
                              capture_output=True, text=True).stdout
        return ssl.cert_time_to_seconds(text.strip().removeprefix("notAfter="))

    def told():
        text = requests.get(f"{tls.url}/metrics", verify=False, timeout=10).text
        return float(re.search(r'^tael_certificate_expires_timestamp_seconds\{use="api"\} (\d+)$', text, re.M).group(1))

    short = make_certificate(tls.folder, "short", days=1)
    assert told() == end(tls.pairs[0])
    tls.install(short)
    assert told() == end(tls.pairs[0])
    tls.hang_up("the certificate was read again")
    assert told() == end(short) < end(tls.pairs[0])


def test_what_cannot_be_used_changes_nothing(tls):
    for broken in (b"", b"no certificate", tls.pairs[1][0].read_bytes()):  # the last: another key's
        tls.live[0].write_bytes(broken)
        tls.hang_up("the certificate stays as it was")
        assert tls.shown() == der(tls.pairs[0])
    tls.live[0].unlink()
    tls.hang_up("the certificate stays as it was")
    tls.install(tls.pairs[1])
    tls.hang_up("the certificate was read again")
    assert tls.shown() == der(tls.pairs[1])


def test_a_server_that_has_nothing_to_read_goes_on(tmp_path):
    """The signal that other daemons read their files again by, from the first moment on: no payment ends with it."""
    with subprocess.Popen(
            [str(PROGRAM), "server", f"--data={tmp_path}/data", "--listen=127.0.0.1:0"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=without_tael_settings()) as process:
        try:
            wait_until(lambda: (tmp_path / "data" / "lock").exists(), 30, "the lock")
            process.send_signal(signal.SIGHUP)
            url = next(line.split()[-1] for line in process.stdout if "listening on" in line)
            process.send_signal(signal.SIGHUP)
            assert requests.get(f"{url}/readyz", timeout=10).text == "ready\n"
            assert process.poll() is None
        finally:
            process.terminate()
        assert process.wait(60) == 0


def test_a_signal_while_the_files_are_read_is_not_lost(tls):
    """Whoever writes a certificate and signals cannot know that an earlier one is still being read."""
    live = tls.live[0]
    live.unlink()
    os.mkfifo(live)
    tls.process.send_signal(signal.SIGHUP)
    with open(live, "wb") as slow:  # opens when it is being read
        tls.process.send_signal(signal.SIGHUP)
        assert tls.shown() == der(tls.pairs[0])  # behind the signal, so that has come
        live.unlink()
        tls.install(tls.pairs[1])
        slow.write(b"no certificate")
    wait_until(lambda: tls.shown() == der(tls.pairs[1]), 10, "the second reading")
