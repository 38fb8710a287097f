"""The server is killed while the keys of webhook secrets are rotated: every secret signs, and the next start
goes on to the end."""

import pytest

from kit.receiver import Receiver
from kit.server import skip_without_fault_points
from kit.webhook_keys import (
    ADMIN,
    Endpoints,
    in_use,
    key_path,
    keys_in,
    new_key_in_front,
    rotate,
    tael_webhooks,
    wait_for_end,
    write_keys,
)
from test_crash_points import points_in_sources

LOOKS_INTO_PROCESS = True
QUICK = ("--webhook-test-retry-first=100ms", "--webhook-test-retry-max=400ms")
# Whether the new key is in use afterwards.
POINTS = {
    "webhooks-before-rotate": False,
    "webhooks-after-rotate": True,
    "webhooks-before-step": True,
    "webhooks-after-step": True,
}


@pytest.fixture(scope="module", autouse=True)
def points():
    assert set(POINTS) == {point for point in points_in_sources() if point.startswith("webhooks-")}


@pytest.mark.parametrize("point", POINTS)
def test_crash(make_server, point):
    skip_without_fault_points()
    server = make_server(ADMIN, *QUICK, cluster=False, on_postgres=False)
    with Receiver() as receiver:
        endpoints = Endpoints(server, receiver)
        for _ in range(4):
            endpoints.add()
        endpoints.roll("/hook-2")
        server.stop()
        new_key_in_front(key_path(server))
        server.start(fault=f"{point}:crash")
        tael_webhooks(server, "rotate", "--no-wait")
        server.wait_for_crash()
        server.start()
        state = wait_for_end(server)
        assert state["keys"][0]["in_use"] == POINTS[point]
        assert in_use(state)["secrets"] == 5
        if not POINTS[point]:
            assert in_use(rotate(server)) == {**state["keys"][0], "in_use": True, "secrets": 5}
        server.stop()
        write_keys(key_path(server), keys_in(key_path(server))[:1])
        server.start()
        assert wait_for_end(server)["unreadable"] == 0
        endpoints.check([endpoints.emit()])
        endpoints.verify()
