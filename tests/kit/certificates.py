"""Certificates that are their own authority, and what a server shows."""

import socket
import ssl
import subprocess


def make_certificate(folder, name, days=2):
    """For 127.0.0.1; answers the paths of certificate and key."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", certificate, "-days", str(days), "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


ROLES = {"ledger": ["ledger"], "vault": ["vault"], "cards": ["cards"],
         "api": ["api", "payments", "wallets", "mobile", "events"]}


def make_internal_certificates(folder, names=tuple(ROLES)):
    """An authority, and a certificate for each process, by the tools that people have. Answers the new
    folder. `names`: of processes, each a role's or "role-more"."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    folder.mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Tael internal")
    for name in names:
        (folder / f"{name}.ext").write_text("subjectAltName=" + ",".join(
            f"DNS:{role}.tael.internal" for role in ROLES[name.split("-")[0]]))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext")
    return folder


def shown_certificate(port):
    """Of the server at this port, in DER, and the version of TLS that was spoken."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        with context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True), secure.version()
