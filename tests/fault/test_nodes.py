"""Several api processes on one ledger, vault, bank and database: what happens on two of them in the
same moment happens once, and what one leads for all is led by another when it dies."""

import collections
import re
import time
import uuid

import pytest
import requests

from kit import postgres
from kit.books import metrics, reconciled, settled
from kit.client import Http
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.receiver import Receiver
from kit.server import LONG, wait_until
from kit.together import at_once
from kit.wallets import Refused, Wallets, check_statement
from kit.webhook_keys import (
    Endpoints,
    keys_in,
    new_key_in_front,
    rotate,
    status,
    wait_for_end,
    write_keys,
)

pytestmark = needs_postgres

CARD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
ROUNDS = 20 if LONG else 3
LIMITS = ("--wallet-limits=business.out=100000/9000000/90000000 "
          "business.in=100000/9000000/90000000")


@pytest.fixture(scope="module")
def database():
    with postgres.Postgres() as made:
        yield made


@pytest.fixture(scope="module")
def nodes(database, tmp_path_factory):
    """Two api processes that the tests of this file share, and none of them kills."""
    made = Nodes(tmp_path_factory.mktemp("nodes") / "n", database.create("shared"),
                 "--lock-timeout=30s", "--bank-settle=200ms", LIMITS).start()
    yield made
    made.close()


def clients(nodes):
    return [Http(node, validate=False) for node in nodes.nodes]


def test_the_first_merchant_is_made_once(database, tmp_path):
    """Two processes start on an empty database in the same moment."""
    nodes = Nodes(tmp_path / "n", database.create("empty"))
    (nodes.root / "api" / "webhooks").mkdir(parents=True)
    (nodes.root / "api" / "webhooks" / "master.key").write_text("0123456789abcdef" * 4 + "\n")
    for member in nodes.processes.values():
        member.launch()
    for member in nodes.processes.values():
        member.wait()
    nodes.process = nodes.processes["api"].process
    try:
        found = [nodes.root / name / "test_secret_key" for name in nodes.api_names]
        made = [path.read_text().strip() for path in found if path.exists()]
        assert len(made) == 1
        for node in nodes.nodes:
            assert Http(node, key=made[0]).get("/v1/balance").status_code == 200
        assert database.sql("SELECT count(*) FROM merchant", "empty") == "1"
    finally:
        nodes.close()


def test_a_wrong_webhook_key_is_refused(nodes, tmp_path):
    member = nodes.processes["api-2"]
    wrong = tmp_path / "key"
    wrong.write_text("f" * 64 + "\n")
    member.stop()
    try:
        member.launch(f"--webhook-key-file={wrong}")
        wait_until(lambda: member.process.poll() is not None, 30, "the end of the process")
        assert member.process.returncode == 1
        assert "webhook-key-file" in member.log()
        member.process = None
    finally:
        member.start()


def test_the_key_of_webhook_secrets_is_rotated_across_nodes(database, tmp_path):
    """One server has the next key already, the other gets it later: both seal with the same one. When both
    have it either may be asked, and in the end the old one is of no use to either."""
    nodes = Nodes(tmp_path / "n", database.create("keys"))
    try:
        with Receiver() as receiver:
            nodes.start()
            first, second = (nodes.processes[name] for name in nodes.api_names)
            path = first.data / "webhooks" / "master.key"
            http = clients(nodes)
            ends = [Endpoints(node, receiver) for node in nodes.nodes]
            ends[0].add()
            ends[1].told = ends[0].told
            new_key_in_front(path)  # the second's too
            second.stop()
            second.start()
            assert [key["in_use"] for key in wait_for_end(second)["keys"]] == [False, True]
            ends[1].add()  # under the key that the first has, too
            ends[1].roll("/hook-0")
            ends[0].check([ends[0].emit(), ends[1].emit()])
            first.stop()
            first.start()
            rotate(second)
            for member in (first, second):
                wait_until(lambda member=member: status(member)["keys"][0]["in_use"], 10, "the key")
                assert [key["secrets"] for key in wait_for_end(member)["keys"]] == [3, 0]
            ends[0].add()
            write_keys(path, keys_in(path)[:1])
            for member in (first, second):
                member.stop()
                member.start()
                assert wait_for_end(member)["unreadable"] == 0
            ends[0].check([ends[0].emit(), ends[1].emit(http[1])])
            ends[0].verify()
    finally:
        nodes.close()


def test_no_node_says_that_events_wait(nodes):
    """They become deliveries in the commit that has them, on whichever node: there is no lag to alarm on."""
    with Receiver() as receiver:
        http = Http(nodes.nodes[0], validate=False)
        endpoint = http.post("/v1/webhook_endpoints", {"url": receiver.url(), "enabled_events[]": "customer.created"})
        assert endpoint.status_code == 200, endpoint.text
        made = [Http(node, validate=False).post("/v1/customers", {"name": "n"}).json()["id"]
                for node in nodes.nodes for _ in range(3)]
        wait_until(lambda: set(made) <= {one.event["data"]["object"]["id"] for one in receiver.events()}, 20,
                   "the deliveries")
        time.sleep(2)
        for url in nodes.metrics_urls():
            text = requests.get(url + "/metrics", timeout=10).text
            assert "\ntael_outbox_lag_seconds 0\n" in text, re.findall("tael_outbox_lag.*", text)
        http.delete(f"/v1/webhook_endpoints/{endpoint.json()['id']}")


def test_ids_are_unique_across_nodes(nodes):
    def make(node):
        http = Http(node, validate=False)
        return [http.post("/v1/customers", {}).json()["id"] for _ in range(100)]

    made = [one for ids in at_once([lambda node=node: make(node)
                                    for node in nodes.nodes * 3]) for one in ids]
    assert len(set(made)) == len(made) == 600


def test_one_key_on_two_nodes_pays_once(nodes):
    both = clients(nodes)
    charges = collections.Counter()
    for _ in range(ROUNDS):
        key = {"Idempotency-Key": uuid.uuid4().hex}
        answers = at_once([lambda http=both[i % 2]: http.post(
            "/v1/payment_intents", CARD, headers=key) for i in range(16)])
        assert {answer.status_code for answer in answers} <= {200, 409}
        ids = {answer.json()["id"] for answer in answers if answer.status_code == 200}
        assert len(ids) == 1
        charges[ids.pop()] = 1
        for http in both:
            again = http.post("/v1/payment_intents", CARD, headers=key)
            assert again.headers["Idempotent-Replayed"] == "true" and again.json()["id"] in charges
    books = settled(nodes)
    assert collections.Counter(one.payment_intent for one in books.charges
                               if one.payment_intent in charges) == charges


def asked_of_both(nodes, path, body):
    """The same request, eight times at once: it is done once, and neither says no."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    both = clients(nodes)
    answers = at_once([lambda http=both[i % 2]: http.post(path, body, headers=key) for i in range(8)])
    assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1


def test_one_key_on_two_nodes_is_refused_by_neither(nodes):
    """RESOURCE-13: what a request itself has done at one of them is no reason for the other to refuse it."""
    http = clients(nodes)[0]
    for _ in range(ROUNDS):
        intent = http.post("/v1/payment_intents", {
            "amount": "1500", "currency": "usd", "payment_method": "pm_card_visa"}).json()["id"]
        asked_of_both(nodes, f"/v1/payment_intents/{intent}/confirm", {})
        asked_of_both(nodes, "/v1/refunds", {"payment_intent": intent})
    settled(nodes)


def test_one_intent_confirmed_on_two_nodes_is_charged_once(nodes):
    both = clients(nodes)
    for _ in range(ROUNDS):
        intent = both[0].post("/v1/payment_intents", {"amount": "1500", "currency": "usd"}).json()["id"]
        answers = at_once([lambda http=both[i % 2]: http.post(
            f"/v1/payment_intents/{intent}/confirm", {"payment_method": "pm_card_visa"})
            for i in range(8)])
        assert [answer.status_code for answer in answers].count(200) >= 1
        assert {answer.status_code for answer in answers} <= {200, 400, 409}
        charged = both[1].get("/v1/charges", params={"payment_intent": intent}).json()["data"]
        assert [one["amount_captured"] for one in charged] == [1500]
    settled(nodes)


def test_one_charge_is_not_refunded_twice(nodes):
    both = clients(nodes)
    intent = both[0].post("/v1/payment_intents", CARD).json()["id"]
    answers = at_once([lambda http=both[i % 2]: http.post(
        "/v1/refunds", {"payment_intent": intent, "amount": "1500"}) for i in range(8)])
    assert sum(answer.status_code == 200 for answer in answers) == 1
    settled(nodes)


def test_a_wallet_is_never_overdrawn_by_two_nodes(nodes):
    both = [Wallets(node) for node in nodes.nodes]
    for wallets in both:
        wallets.http = Http(wallets.http.server, validate=False)
    source, target = both[0].wallet(5000), both[0].wallet()

    def send(wallets):
        try:
            return wallets.send(source, target, 1000)["status"]
        except Refused as refused:
            return refused.code

    outcomes = collections.Counter(at_once([
        lambda i=i: send(both[i % 2]) for i in range(16)]))
    assert outcomes["succeeded"] == 5, outcomes
    assert both[1].available(source) == 0 and both[0].available(target) == 5000
    for wallets in both:
        check_statement(wallets, source)
        check_statement(wallets, target)


def test_a_payers_code_pays_once(nodes):
    """The same code is shown at two tills, which two nodes serve."""
    both = [Wallets(node) for node in nodes.nodes]
    for _ in range(ROUNDS):
        wallet = both[0].wallet(10_000)
        code = both[0].post(f"/v1/wallets/{wallet}/payer_codes")
        answers = at_once([lambda i=i: Http(nodes.nodes[i % 2], validate=False).post(
            "/v1/payment_intents", {
                "amount": "700", "currency": "usd", "confirm": "true",
                "payment_method_data[type]": "payer_code",
                "payment_method_data[payer_code][code]": code["code"]}) for i in range(6)])
        paid = [answer for answer in answers
                if answer.status_code == 200 and answer.json()["status"] == "succeeded"]
        assert len(paid) == 1, [answer.text for answer in answers]
        assert {answer.json()["error"]["code"] for answer in answers
                if answer.status_code != 200} == {"payer_code_used"}
        assert both[1].available(wallet) == 9_300


def test_withdrawals_of_both_nodes_are_paid_once(nodes):
    """The bank is one for all: whoever leads asks it about what another one gave it."""
    both = [Wallets(node) for node in nodes.nodes]
    wallet = both[0].wallet(10_000)
    kinds = {"000123456789": "paid", "000666666660": "paid", "000222222227": "failed"}
    made = {}
    for index, (account, status) in enumerate(list(kinds.items()) * 4):
        withdrawal = both[index % 2].post(
            f"/v1/wallets/{wallet}/withdrawals", amount=100, bank_account={
                "account_number": account, "routing_number": "110000000", "country": "US",
                "account_holder_name": "Jenny Rosen"})
        made[withdrawal["id"]] = status
    for withdrawal, status in made.items():
        both[1].wait_for(f"/v1/wallet_withdrawals/{withdrawal}", status, 20)
    assert both[0].balance(wallet) == {
        "available": 9_200, "held": 0, "incoming": 0, "posted": 9_200}
    assert not any((nodes.root / name / "bank").exists() for name in nodes.api_names)


def test_another_leads_when_the_leader_dies(database, tmp_path):
    """What is swept, compared, and delivered goes on within seconds, and nothing is sent by each."""
    nodes = Nodes(tmp_path / "n", database.create("leaders"), "--attempt-lease=1s",
                  "--issuer-refund-settle=1s", api=3).start()
    try:
        reconciled(nodes)
        with Receiver() as receiver:
            http = clients(nodes)
            endpoint = http[0].post("/v1/webhook_endpoints", {
                "url": receiver.url(), "enabled_events[0]": "customer.created"}).json()["id"]
            ids = [http[i % 3].post("/v1/customers", {}).json()["id"] for i in range(30)]

            def delivered():
                return [one.event["data"]["object"]["id"] for one in receiver.events()]

            wait_until(lambda: len(delivered()) >= 30, 30, "all webhooks")
            assert sorted(delivered()) == sorted(ids)  # one delivery each, not one of each node
            for name in ("api", "api-2"):
                nodes.processes[name].kill()
                began = time.monotonic()
                last = http[2].post("/v1/customers", {}).json()["id"]
                wait_until(lambda: last in delivered(), 10, "a webhook behind the death")
                runs = metrics(nodes)["tael_reconcile_runs_total"]
                nodes.url = nodes.nodes[2].url
                wait_until(lambda: metrics(nodes)["tael_reconcile_runs_total"] > runs, 10,
                           "a comparison behind the death")
                print(f"led again {time.monotonic() - began:.1f} s after {name} was killed")
            http[2].delete(f"/v1/webhook_endpoints/{endpoint}")
        nodes.processes["api"].start()
        nodes.process = nodes.processes["api"].process
        settled(nodes)
    finally:
        nodes.processes["api-2"].process or nodes.processes["api-2"].start()
        nodes.close()


def test_the_books_agree_at_the_end(nodes):
    """The servers' own comparison, of everything that the tests before have done on both nodes."""
    reconciled(nodes, 20)
    began = metrics(nodes)["tael_wallet_reconcile_runs_total"]
    wait_until(lambda: metrics(nodes)["tael_wallet_reconcile_runs_total"] >= began + 2, 20,
               "a comparison of wallets")
    assert metrics(nodes)["tael_wallet_differences"] == 0, nodes.log()
