"""From the version before (TEST_OLD_TAEL) to this one, on the same data and side by side; and back."""

import pytest

from kit import postgres
from kit.backups import backup, restore
from kit.books import metrics, reconciled, settled
from kit.client import Http, sdk
from kit.cluster import Cluster
from kit.load import FUNDS, LIMITS, Client, check_payments, check_wallets
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.payouts import bank_account, ended, payout
from kit.receiver import Receiver
from kit.server import PROGRAM, wait_until
from kit.together import finish
from kit.upgrade import DEAF, OLD, QUICK, STILL, World, differences, go_on, lists_of, needs_old, read
from kit.wallets import Wallets

pytestmark = needs_old
LOOKS_INTO_PROCESS = True


@pytest.fixture
def world(make_server):
    """Of a server that the version before has filled, and that was killed."""
    server = make_server(start=False)
    server.program = OLD
    made = World(server)
    try:
        server.start(*STILL)
        made.make()
        server.stop()
        server.start(*STILL, *DEAF)
        made.make_unknown()
        made.lists = lists_of(made.http)
        yield made
    finally:
        made.close()


def upgraded(world, *flags):
    server = world.server
    server.kill()
    server.program = PROGRAM
    return server.start(*flags)


def test_all_is_read_alike(world):
    before = read(world.server, world.lists)
    upgraded(world, *STILL, *DEAF)
    assert not differences(before, read(world.server, world.lists))


def test_what_was_under_way_ends(world):
    server = upgraded(world, *QUICK)
    go_on(server, world)
    reconciled(server)
    assert metrics(server)["tael_wallet_differences"] == 0


def test_a_backup_of_the_version_before(world, make_server, tmp_path):
    backup(world.server, tmp_path / "backup")
    before = read(world.server, world.lists)
    server = make_server(start=False)
    server.folder.mkdir(parents=True)
    result = restore(tmp_path / "backup", server.data)
    assert result.returncode == 0, result.stderr
    server.start(*STILL, *DEAF)
    assert not differences(before, read(server, world.lists))


def test_old_money_is_paid_out(world):
    server = upgraded(world, *QUICK, "--payout-delay=0s")
    client = sdk(server, validate=False)
    bank_account(client)
    wait_until(lambda: any(one.amount > 10000 for one in client.v1.balance.retrieve().available), 10, "the settlement")
    ended(client, payout(client, 10000), "paid")
    reconciled(server)


def refuses(server):
    """The version before is started, and says why it does not."""
    server.program = OLD
    server.launch(*STILL)
    wait_until(lambda: server.process.poll() is not None, 60, "the end of the start")
    assert server.process.returncode == 1
    server.process = None
    return server.log()


def test_back_to_the_version_before(world):
    """On PostgreSQL it goes on as long as there is nothing that it would misread. Then it says so, and leaves all as
    it was; in a file it does from the beginning."""
    server = upgraded(world, *QUICK)
    go_on(server, world)
    server.stop()
    if server.on_postgres:
        server.start(*STILL)
        before = read(server, world.lists)
        server.stop()
        server.program = OLD
        server.start(*STILL)
        assert not differences(before, read(server, world.lists))
        assert world.pay()["status"] == "succeeded"
        upgraded(world, *QUICK)
    else:
        assert "newer version of Tael" in refuses(server)
        server.program = PROGRAM
        server.start(*QUICK)
    session = world.post("/v1/checkout/sessions", mode="payment", success_url="https://shop.example/paid", **{
        "line_items[0][quantity]": 1, "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": 1000, "line_items[0][price_data][product_data][name]": "T-shirt"})
    server.stop()
    assert "newer version of Tael" in refuses(server)
    server.program = PROGRAM
    server.start(*QUICK)
    assert world.http.get(f"/v1/checkout/sessions/{session['id']}").json()["status"] == "open"
    reconciled(server)


# ---- side by side ------------------------------------------------------------------------------


CARD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}


def change(member, program):
    member.stop()
    member.program = program
    member.start()


def test_who_is_asked_may_be_newer(tmp_path):
    """The order of an upgrade: vault, cards, ledger, and then the API."""
    cluster = Cluster(tmp_path / "c", *QUICK)
    for member in cluster.processes.values():
        member.program = OLD
    cluster.start()
    try:
        http = Http(cluster, validate=False)
        for name in ("vault", "cards", "ledger", "api"):
            change(cluster.processes[name], PROGRAM)
            cluster.process = cluster.processes["api"].process
            for token in ("pm_card_visa", "pm_card_createDispute"):
                wait_until(lambda token=token: http.post("/v1/payment_intents", {
                    **CARD, "payment_method": token}).json().get("status") == "succeeded", 30, f"{token} at {name}")
        disputed = [one["disputed"] for one in wait_until(
            lambda: (lambda found: found if any(one["disputed"] for one in found) else None)(
                http.get("/v1/charges?limit=100").json()["data"]), 30, "a dispute")]
        assert disputed.count(True) == 1  # of the one that this version's API made
        assert metrics(cluster)["tael_disputes_unplaced"] == 0
        reconciled(cluster, 30)
    finally:
        cluster.close()


def test_who_is_asked_may_not_be_older(tmp_path):
    """Whoever asks says so, and waits."""
    cluster = Cluster(tmp_path / "c", *QUICK)
    for name in ("vault", "cards", "ledger"):
        cluster.processes[name].program = OLD
    try:
        for member in cluster.processes.values():
            member.launch(*QUICK)
        api, cards = cluster.processes["api"], cluster.processes["cards"]
        for name in ("vault", "cards", "ledger"):
            cluster.processes[name].wait()
        wait_until(lambda: "has to be upgraded first" in api.log(), 30, "the reason")
        cards.stop()
        cards.program = PROGRAM
        cards.launch(*QUICK)
        wait_until(lambda: "has to be upgraded first" in cards.log(), 30, "the reason")
        assert "listening on" not in api.output_path.read_text()
        change(cluster.processes["vault"], PROGRAM)
        cards.wait()
        api.wait()
        cluster.process = api.process
        assert Http(cluster, validate=False).post("/v1/payment_intents", CARD).json()["status"] == "succeeded"
        reconciled(cluster, 30)
    finally:
        cluster.close()


@needs_postgres
def test_what_one_version_writes_the_other_reads(tmp_path):
    """The version before leads, and delivers; either repeats what was asked of the other."""
    with postgres.Postgres() as database, Receiver() as receiver:
        nodes = Nodes(tmp_path / "n", database.create("both"), "--lock-timeout=30s")
        nodes.processes["api"].program = OLD
        try:
            nodes.start()
            old, new = (Http(node, validate=False) for node in nodes.nodes)
            new.post("/v1/webhook_endpoints", {"url": receiver.url(), "enabled_events[]": "*"})
            for number, (first, second) in enumerate(((old, new), (new, old))):
                key = {"Idempotency-Key": f"key-{number}"}
                asked = first.post("/v1/payment_intents", {**CARD, "capture_method": "manual"}, headers=key)
                again = second.post("/v1/payment_intents", {**CARD, "capture_method": "manual"}, headers=key)
                assert (asked.status_code, asked.text) == (again.status_code, again.text)
                path = f"/v1/payment_intents/{asked.json()['id']}"
                assert second.post(f"{path}/capture").json()["status"] == "succeeded"
                assert first.post("/v1/refunds", {"payment_intent": asked.json()["id"]}).status_code == 200
            for path in ("/v1/events", "/v1/charges?expand[]=data.balance_transaction", "/v1/payment_intents",
                         "/v1/refunds", "/v1/balance_transactions", "/v1/balance"):
                shown = [http.get(path).json() for http in (old, new)]
                for event in (one for page in shown if path == "/v1/events" for one in page["data"]):
                    del event["pending_webhooks"]
                assert shown[0] == shown[1], path
            events = {event["id"] for event in new.get("/v1/events?limit=100").json()["data"]}
            wait_until(lambda: events <= {one.event["id"] for one in receiver.received}, 30, "the webhooks")
            reconciled(nodes, 60)
        finally:
            nodes.close()


@needs_postgres
def test_servers_are_replaced_one_by_one(tmp_path):
    """Under load: requests that one version has begun are repeated at the other, and both sweep."""
    with postgres.Postgres() as database:
        nodes = Nodes(tmp_path / "n", database.create("rolling"), "--lock-timeout=30s", "--attempt-lease=5s", LIMITS)
        for member in nodes.processes.values():
            member.program = OLD
        try:
            nodes.start()
            wallets = Wallets(nodes)
            everyone = [wallets.wallet(FUNDS) for _ in range(4)]
            clients = [Client(nodes, everyone, seed, [node.url for node in nodes.nodes]) for seed in range(8)]
            for client in clients:
                client.pause = 0.02
                client.start()

            def flows():
                before = sum(len(client.told) for client in clients)
                wait_until(lambda: sum(len(client.told) for client in clients) > before + 40
                           or any(client.failure for client in clients), 60, "answers")

            for name in ("vault", "cards", "bank", "ledger", "api-2", "api"):
                change(nodes.processes[name], PROGRAM)
                nodes.process = nodes.processes["api"].process
                flows()
            finish(clients)
            books = settled(nodes)
            check_payments(books, clients)
            check_wallets(nodes, wallets, everyone, clients)
            reconciled(nodes, 60)
        finally:
            nodes.close()
