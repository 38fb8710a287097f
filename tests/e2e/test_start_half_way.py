"""Clusters of the tests: one that does not start, or does not stop, leaves no process behind, whoever
failed."""

import os
import signal

import pytest

from kit.cluster import Cluster
from kit.nodes import Nodes
from kit.server import has_ended
from kit.shards import Shards

LOOKS_INTO_PROCESS = True


def starts_and_fails(cluster, message):
    """The pids of what was started; the failure is the one that came first."""
    members = [*cluster.processes.values(), *getattr(cluster, "gateways", ())]
    pids = []

    def kept(launch):
        def keep(*words, **flags):
            try:
                return launch(*words, **flags)
            finally:
                pids.append(launch.__self__.process.pid)
        return keep

    for member in members:
        name = "launch" if hasattr(member, "launch") else "start"
        setattr(member, name, kept(getattr(member, name)))
    try:
        with pytest.raises(AssertionError, match=message):
            cluster.start()
        assert all(has_ended(pid) for pid in pids)
        assert all(member.process is None for member in members)
        assert cluster.process is None
    finally:
        cluster.kill()
    return len(pids)


def test_nodes_whose_documents_cannot_be_opened(tmp_path):
    assert starts_and_fails(Nodes(tmp_path / "n", "nonsense:x"), "(?s)^api ended: .*documents") == 5


def test_nodes_whose_second_api_ends(tmp_path):
    """It opens the first one's documents, which are locked."""
    nodes = Nodes(tmp_path / "n", f"sqlite:{tmp_path / 'documents'}")
    assert starts_and_fails(nodes, "^api-2 ended: ") == 6


def test_nodes_whose_gateway_ends(tmp_path):
    nodes = Nodes(tmp_path / "n", f"sqlite:{tmp_path / 'documents'}", api=1, gateways=2,
                  upstream={"nonsense": 1})
    assert starts_and_fails(nodes, "(?s)^the gateway ended with 1: .*nonsense") == 6


def test_a_cluster(tmp_path):
    cluster = Cluster(tmp_path / "c", "--tls-cert=/no/such/file", "--tls-key=/no/such/file")
    assert starts_and_fails(cluster, "^api ended: ") == 4


def test_shards(tmp_path):
    shards = Shards(tmp_path / "s", "--webhook-ca=/no/such/file", shards=2, standbys="a")
    assert starts_and_fails(shards, "^api ended: ") == 5


def test_the_end_of_a_cluster_that_lost_a_process(tmp_path):
    cluster = Cluster(tmp_path / "c").start()
    pids = cluster.members()
    try:
        os.kill(pids["api"], signal.SIGKILL)
        with pytest.raises(AssertionError, match="^api: exit code -9: "):
            cluster.close()
        assert all(has_ended(pid) for pid in pids.values())
    finally:
        cluster.kill()
