"""Tael as it is put into service: the image under podman, the chart under helm."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from kit.fixtures import make_server  # noqa: E402, F401
from kit.containers import Engine, build_image, engine_reason  # noqa: E402
from kit.go_tools import go_tool  # noqa: E402


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    reason = engine_reason()
    if reason:
        pytest.skip(f"NO CONTAINERS HERE, THE IMAGE IS NOT TESTED: {reason}")
    made = Engine(tmp_path_factory.mktemp("engine"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def image(engine):
    """The image of this tree, built from nothing but a Debian: (name, digest)."""
    return build_image(engine, "localhost/tael:test")


@pytest.fixture(scope="session")
def helm():
    return go_tool("helm.sh/helm/v3/cmd/helm@v3.14.4")


@pytest.fixture(scope="session")
def manifests():
    return go_tool(pathlib.Path(__file__).resolve().parent / "manifests")
