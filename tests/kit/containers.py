"""podman and buildah on a storage of the tests' own."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from kit.server import ROOT

CACHE = ROOT / "build" / "deploy"
CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
BASE = "localhost/tael-base"

# podman asks for more descriptors than a container's own host may allow; these do for tests.
CONF = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

SHIM = """#!/bin/sh
exec nsenter --mount --target PID --wdns="$PWD" PROGRAM OPTIONS "$@"
"""

# One mount namespace for all calls, so that each sees the mounts of the others. Where both versions
# of cgroups are mounted crun refuses to run: the second is hidden in it.
NAMESPACE = """
if grep -q ' /sys/fs/cgroup/unified ' /proc/mounts; then
    umount /sys/fs/cgroup/unified
fi
echo ready
exec sleep infinity
"""


def engine_reason():
    """Why containers cannot be run here; None if they can."""
    for program in ("podman", "buildah", "debootstrap"):
        if shutil.which(program) is None:
            return f"there is no {program}, and scripts/bootstrap could not install it"
    if os.geteuid() != 0:
        return "making the base image needs root"
    return None


class Engine:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "containers.conf").write_text(CONF)
        self.namespace = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", NAMESPACE],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.namespace.stdout.readline() == b"ready\n"
        # podman takes no more than 50 characters for it: a test's folder may be deeper.
        self.runroot = tempfile.mkdtemp(prefix="tael-run-")
        options = (f"--storage-driver overlay --root {self.folder}/storage "
                   f"--runroot {self.runroot}")
        for program in ("podman", "buildah"):
            path = self.folder / "bin" / program
            path.parent.mkdir(exist_ok=True)
            path.write_text(SHIM.replace("PROGRAM", shutil.which(program)).replace(
                "OPTIONS", options).replace("PID", str(self.namespace.pid)))
            path.chmod(0o755)

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TAEL_")}
        return {**kept, "CONTAINERS_CONF": str(self.folder / "containers.conf"),
                "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "BUILDAH_ISOLATION": "chroot"}

    def run(self, *argv, timeout=120, check=True, **keywords):
        result = subprocess.run(
            [str(word) for word in argv], capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, env={**self.environment, **keywords.pop("environment", {})},
            check=False, **keywords)
        assert not check or result.returncode == 0, \
            f"{' '.join(str(word) for word in argv)}: {result.stdout[-3000:]}{result.stderr[-3000:]}"
        return result

    def podman(self, *argv, **keywords):
        return self.run("podman", *argv, **keywords).stdout

    def close(self):
        self.run("podman", "rm", "--all", "--force", "--time", "5", check=False)
        self.run("podman", "network", "prune", "--force", check=False)
        self.run("podman", "rmi", "--all", "--force", check=False)
        self.namespace.kill()
        self.namespace.wait()
        shutil.rmtree(self.runroot, ignore_errors=True)
        for path in pathlib.Path("/sys/fs/cgroup").glob("*/libpod_parent"):
            try:
                path.rmdir()
            except OSError:
                pass  # somebody else's container is in it


def base_image(engine):
    """A Debian with the compiler: made with debootstrap once for a list of packages."""
    key = hashlib.sha256((ROOT / "deploy" / "container" / "base").read_bytes())
    for line in (ROOT / "scripts" / "packages.txt").read_text().splitlines():
        if line.split()[1:2] == ["build"]:
            key.update(line.encode())
    archive = CACHE / f"base-{key.hexdigest()[:16]}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob("base-*"):
            old.unlink()
        subprocess.run([ROOT / "deploy" / "container" / "base", archive], check=True, timeout=900)
    if engine.run("podman", "image", "exists", BASE, check=False).returncode != 0:
        engine.podman("import", "--quiet", archive, BASE, timeout=300)


def build_image(engine, name, context=ROOT):
    """Builds the image from the sources in `context`, nothing reused. Answers name and digest."""
    base_image(engine)
    engine.run(
        "buildah", "bud", "--isolation", "chroot", "--pull=never", "--no-cache",
        "--timestamp", "0", "--build-arg", f"BASE={BASE}", "-f", context / CONTAINERFILE.relative_to(ROOT),
        "-t", name, context, timeout=1200)
    digest = engine.podman("image", "inspect", "--format", "{{.Digest}}", name).strip()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    return name, digest


def copy_of_sources(folder):
    """What git knows of this tree, with other times than here."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
        check=True, capture_output=True, text=True).stdout.split("\0")
    long_ago = time.time() - 1000000
    for name in filter(None, names):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            os.utime(target, (long_ago, long_ago))
    return folder
