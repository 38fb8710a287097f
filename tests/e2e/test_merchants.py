"""Several merchants on one platform: operators make and close them, and none sees another's objects."""

import json
import os
import secrets
import signal
import socket
import threading
import time

import pytest
import requests

from kit import postgres
from kit.client import Http
from kit.merchants import create, operators_url
from kit.needs import needs_postgres
from kit.nodes import Nodes
from kit.participant import Scripted
from kit.receiver import Receiver
from kit.server import run_tael, wait_until
from kit.together import at_once
from kit.wallets import Refused, Wallets

ADMIN = "--admin-listen=127.0.0.1:0"
WEBHOOKS = ("--webhook-test-retry-first=10ms", "--webhook-test-retry-max=20ms")
PAYMENT = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
LISTS = ("/v1/customers", "/v1/payment_intents", "/v1/charges", "/v1/refunds", "/v1/setup_intents",
         "/v1/balance_transactions", "/v1/events", "/v1/wallets", "/v1/wallet_transfers",
         "/v1/wallet_holds", "/v1/qr_codes", "/v1/webhook_endpoints", "/v1/tael/api_keys")
# Whole, and without a page for each.
LISTS_ONLY = ("/v1/tael/api_keys",)
SEARCHES = {"/v1/customers/search": "name~'Name'", "/v1/payment_intents/search": "amount=2000",
            "/v1/charges/search": "amount=2000"}


def tael(server, *words):
    return run_tael("merchants", *words, f"--url={operators_url(server)}")


class Merchant:
    """One of them, with something of each kind."""

    def __init__(self, server, name):
        made = create(operators_url(server), name)
        self.id, self.key = made["id"], made["key"]
        self.http = Http(server, key=self.key)
        self.wallets = Wallets(server, key=self.key)

    def post(self, path, data=None, **keywords):
        answer = self.http.post(path, data, **keywords)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fill(self, receiver):
        self.endpoint = self.post("/v1/webhook_endpoints", {
            "url": receiver.url(), "enabled_events[0]": "*"})
        self.customer = self.post("/v1/customers", {"name": "Name"})
        self.paid = self.post("/v1/payment_intents", PAYMENT)
        self.post("/v1/refunds", {"payment_intent": self.paid["id"], "amount": "500"})
        self.open = self.post("/v1/payment_intents", {"amount": "700", "currency": "usd"})
        self.setup = self.post("/v1/setup_intents", {"customer": self.customer["id"]})
        self.wallet = self.wallets.wallet(funds=5000)
        self.other_wallet = self.wallets.wallet()
        self.wallets.send(self.wallet, self.other_wallet, 100)
        self.post(f"/v1/wallets/{self.wallet}/holds", {"to": self.other_wallet, "amount": "10"})
        self.code = self.post("/v1/qr_codes", {"currency": "usd", "description": "Till 3"})
        return self

    def ids(self, path):
        answer = self.http.get(path, params=None if path in LISTS_ONLY else {"limit": "100"})
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]

    def found(self, path, query):
        answer = self.http.get(path, params={"query": query})
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]


# ---- isolation -----------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", [False, True], ids=["one process", "local-cluster"])
def test_merchants_do_not_see_each_other(make_server, cluster):
    server = make_server(ADMIN, *WEBHOOKS, cluster=cluster)
    with Receiver() as a_receiver, Receiver() as b_receiver:
        a = Merchant(server, "A").fill(a_receiver)
        b = Merchant(server, "B").fill(b_receiver)
        lists_are_apart(a, b)
        searches_are_apart(a, b)
        changes_are_refused(a, b)
        money_is_apart(a, b)
        webhooks_are_apart(a, b, a_receiver, b_receiver)


def lists_are_apart(a, b):
    for path in LISTS:
        ours, others = a.ids(path), b.ids(path)
        assert ours and others, path
        assert not set(ours) & set(others), path
        for one, two, ids in ((a, b, others), (b, a, ours)):
            for id in ids if path not in LISTS_ONLY else ():
                assert two.http.get(f"{path}/{id}").status_code == 200, f"{path}/{id}"
                assert one.http.get(f"{path}/{id}").status_code == 404, f"{path}/{id}"


def searches_are_apart(a, b):
    for path, query in SEARCHES.items():
        ours, others = a.found(path, query), b.found(path, query)
        assert ours and others and not set(ours) & set(others), path


def changes_are_refused(a, b):
    """Of what is another's, by id."""
    key = b.http.get("/v1/tael/api_keys").json()["data"][0]["id"]
    for path, data in (
        (f"/v1/customers/{b.customer['id']}", {"name": "x"}),
        (f"/v1/payment_intents/{b.open['id']}", {"amount": "1"}),
        (f"/v1/payment_intents/{b.open['id']}/confirm", {"payment_method": "pm_card_visa"}),
        (f"/v1/payment_intents/{b.open['id']}/cancel", {}),
        (f"/v1/charges/{b.paid['latest_charge']}", {"description": "x"}),
        (f"/v1/webhook_endpoints/{b.endpoint['id']}", {"url": "https://example.com/x"}),
        (f"/v1/webhook_endpoints/{b.endpoint['id']}/roll_secret", {}),
        (f"/v1/wallets/{b.wallet}", {"metadata[x]": "y"}),
        (f"/v1/test_helpers/wallets/{b.wallet}/fund_balance", {"amount": "1", "currency": "usd"}),
    ):
        assert a.http.post(path, data).status_code == 404, path
    for path in (f"/v1/customers/{b.customer['id']}", f"/v1/tael/api_keys/{key}",
                 f"/v1/webhook_endpoints/{b.endpoint['id']}"):
        assert a.http.delete(path).status_code == 404, path
    for path, data in (
        ("/v1/payment_intents", {**PAYMENT, "customer": b.customer["id"]}),
        ("/v1/refunds", {"payment_intent": b.paid["id"]}),
        ("/v1/refunds", {"charge": b.paid["latest_charge"]}),
        ("/v1/setup_intents", {"customer": b.customer["id"]}),
        ("/v1/wallets", {"customer": b.customer["id"], "currency": "usd"}),
    ):
        assert a.http.post(path, data).status_code in (400, 404), path
    for source, destination in ((b.wallet, a.wallet), (a.wallet, b.wallet)):
        with pytest.raises(Refused) as refused:
            a.wallets.send(source, destination, 1)
        assert refused.value.status in (400, 404)


def money_is_apart(a, b):
    assert a.wallets.balance(a.wallet) == b.wallets.balance(b.wallet)
    assert a.wallets.available(a.wallet) == 4890
    before = a.http.get("/v1/balance").json()
    a.post("/v1/payment_intents", {**PAYMENT, "amount": "3000"})
    after = a.http.get("/v1/balance").json()
    assert after["pending"][0]["amount"] > before["pending"][0]["amount"]
    assert b.http.get("/v1/balance").json()["pending"][0]["amount"] == before["pending"][0]["amount"]


def webhooks_are_apart(a, b, a_receiver, b_receiver):
    """Each was told everything of its own, and nothing of the other's."""
    for merchant, receiver in ((a, a_receiver), (b, b_receiver)):
        own = set(merchant.ids("/v1/events"))
        wait_until(lambda own=own, receiver=receiver: own <= set(receiver.ids()), 30, "webhooks")
        assert set(receiver.ids()) == set(merchant.ids("/v1/events"))


def test_one_merchants_participants_leave_room_for_anothers(make_server):
    """One accepts connections, and never answers."""
    server = make_server(ADMIN, *WEBHOOKS, "--webhook-in-flight-max=16",
                         "--participant-timeout=1m", "--participant-prepare-for=1m", cluster=False)
    a, b = Merchant(server, "A"), Merchant(server, "B")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as hangs, Receiver() as receiver:
        silent = a.post("/v1/participants", {
            "name": "silent", "url": f"http://127.0.0.1:{hangs.getsockname()[1]}/"})["id"]
        b.post("/v1/webhook_endpoints", {"url": receiver.url(), "enabled_events[0]": "*"})
        shop = Scripted(server, key=b.key)
        payments = [threading.Thread(target=a.http.post, args=("/v1/payment_intents", {
            **PAYMENT, f"participants[{silent}]": "x"})) for _ in range(40)]
        for payment in payments:
            payment.start()
        time.sleep(1)  # all of them wait, or were told that they cannot
        paid = b.post("/v1/payment_intents", {**PAYMENT, f"participants[{shop.id}]": "x"})
        wait_until(lambda: set(b.ids("/v1/events")) <= set(receiver.ids()), 10, "webhooks")
        assert paid["status"] == "succeeded" and any(payment.is_alive() for payment in payments)
        hangs.close()
        for payment in payments:
            payment.join(60)
        shop.close()


def test_one_idempotency_key_of_two_merchants(make_server):
    server = make_server(ADMIN)
    key = {"Idempotency-Key": "the same"}
    a, b = (Merchant(server, name) for name in "AB")
    made = [one.post("/v1/customers", {"name": "x"}, headers=key)["id"] for one in (a, b, a, b)]
    assert made[0] == made[2] and made[1] == made[3] and made[0] != made[1]


def test_the_ledger_is_the_first_merchants(make_server):
    """Everybody's books are in it."""
    server = make_server(ADMIN)
    other = Merchant(server, "Other")
    bodies = {"query": {"kind": "accounts"}, "lookup": {"accounts": ["1"]},
              "accounts": {"events": []}, "transfers": {"events": []}}
    for path, body in bodies.items():
        answer = requests.post(f"{server.url}/v1/ledger/{path}", auth=(other.key, ""), json=body,
                               timeout=30)
        assert answer.status_code == 403, answer.text
        assert "platform's own merchant" in answer.json()["error"]["message"]
        answer = requests.post(f"{server.url}/v1/ledger/{path}", auth=(server.key, ""), json=body,
                               timeout=30)
        assert answer.status_code != 403, answer.text


# ---- what operators do ---------------------------------------------------------------------


def test_create_list_show(make_server):
    server = make_server(ADMIN)
    made = json.loads(tael(server, "create", "--name=Böb's", "--json").stdout)
    assert made["number"] == 2 and made["name"] == "Böb's" and made["keys"] == 1
    secret = made.pop("key")
    assert not made["closed"] and made["object"] == "tael.merchant"
    assert json.loads(tael(server, "show", made["id"], "--json").stdout) == made
    listed = json.loads(tael(server, "list", "--json").stdout)
    assert made in listed["merchants"] and len(listed["merchants"]) == 2 and not listed["has_more"]
    assert "Böb's" in tael(server, "list").stdout and "Böb's" in tael(server, "show", made["id"]).stdout
    first = tael(server, "list", "--limit=1")
    rest = tael(server, "list", f"--starting-after={first.stderr.strip().rpartition('=')[2]}")
    assert sum(text.stdout.count("acct_") for text in (first, rest)) == 2
    assert Http(server, key=secret).get("/v1/customers").json()["data"] == []
    for text in (tael(server, "list", "--json").stdout, server.all_logs()):
        assert secret not in text
    assert f'"merchant":"{made["id"]}"' in server.all_logs()
    gone = tael(server, "show", "acct_none")
    assert gone.returncode == 1 and "no merchant 'acct_none'" in gone.stderr
    assert tael(server, "create").returncode == 2


def test_create_is_idempotent(make_server):
    server = make_server(ADMIN)
    words = ("create", "--name=Shop", "--idempotency-key=one")
    merchant, secret = tael(server, *words).stdout.split()
    again = tael(server, *words)
    assert again.returncode == 0 and again.stdout == merchant + "\n"
    assert f"new-key {merchant}" in again.stderr
    other = tael(server, "create", "--name=Shed", "--idempotency-key=one")
    assert other.returncode == 1 and "another name" in other.stderr
    shown, more = tael(server, "new-key", merchant).stdout.split()
    assert shown == merchant and more != secret
    for key in (secret, more):
        assert Http(server, key=key).get("/v1/customers").status_code == 200


def test_only_operators_may(make_server):
    """Neither the public listener nor a page in a browser."""
    server = make_server(ADMIN)
    url = operators_url(server)
    key = {"Idempotency-Key": "x"}
    before = tael(server, "list").stdout
    for headers in (key, {**key, "Authorization": f"Bearer {server.key}"}):
        answer = requests.post(f"{server.url}/merchants", {"name": "x"}, headers=headers, timeout=30)
        assert answer.status_code in (401, 404)  # a gateway wants a key for everything
    assert requests.get(f"{server.url}/merchants", timeout=30).status_code in (401, 404)
    page = requests.post(f"{url}/merchants", {"name": "x"}, timeout=30,
                         headers={**key, "Origin": "http://evil.example"})
    assert page.status_code == 403
    for host, status in (("evil.example:9100", 403), ("127.0.0.1.evil.example", 403),
                         ("localhost:9100", 200), ("10.0.0.1", 200), ("[::1]:9100", 200)):
        answer = requests.get(f"{url}/merchants", headers={"Host": host}, timeout=30)
        assert answer.status_code == status, host
    assert tael(server, "list").stdout == before


def wait_for_attempts(merchant, endpoint):
    """Of the only delivery to it."""
    path = f"/v1/webhook_endpoints/{endpoint}/deliveries"

    def attempts():
        return [one for told in merchant.http.get(path).json()["data"] for one in told["attempts"]]

    wait_until(attempts, 10, "an attempt")
    return attempts()


def test_no_webhook_asks_as_an_operator(make_server):
    """It comes from this machine, and its sender reads what was answered: another's new key."""
    server = make_server(ADMIN, cluster=False)
    a, b = Merchant(server, "A"), Merchant(server, "B")
    url = operators_url(server)
    for path in (f"/merchants/{b.id}/keys", f"/merchants/{b.id}/close", "/vault/keys",
                 "/webhooks/keys", "/log-level", "/nothing"):
        endpoint = a.post("/v1/webhook_endpoints", {
            "url": url + path, "enabled_events[0]": "customer.created"})["id"]
        a.post("/v1/customers")
        attempts = wait_for_attempts(a, endpoint)
        assert attempts[0]["response"]["status"] == 403, (path, attempts)
        assert "sk_test_" not in attempts[0]["response"]["body"]
        assert a.http.delete(f"/v1/webhook_endpoints/{endpoint}").status_code == 200
    shown = json.loads(tael(server, "show", b.id, "--json").stdout)
    assert shown["keys"] == 1 and not shown["closed"]
    assert requests.get(f"{url}/vault/keys", timeout=30).json()["generation"] == 1


@pytest.mark.parametrize("method, path, data, status, word", [
    ("POST", "/merchants", {"name": "x"}, 400, "Idempotency-Key"),
    ("POST", "/merchants?key", {"nam": "x"}, 400, "'nam'"),
    ("POST", "/merchants?key", {"name": ""}, 400, "1 to 200 bytes"),
    ("POST", "/merchants?key", {"name": "n" * 201}, 400, "1 to 200 bytes"),
    ("POST", "/merchants?key", {"name[a]": "x"}, 400, "'name'"),
    ("GET", "/merchants?limit=0", None, 400, "1 to 1000"),
    ("GET", "/merchants?starting_after=" + 40 * "a", None, 400, "starting_after"),
    ("GET", "/merchants?starting_after=%00", None, 400, "parameters"),
    ("GET", "/merchants?starting_after=a-b", None, 400, "starting_after"),
    ("GET", "/merchants/%ff", None, 404, "no merchant"),
    ("POST", "/merchants//close?key", {"name": "x"}, 404, "no merchant"),
    ("POST", "/merchants/acct_none", {"name": "x"}, 404, "/close"),
    ("GET", "/merchants/acct_none", None, 404, "acct_none"),
    ("POST", "/merchants/acct_none/close", None, 404, "acct_none"),
    ("POST", "/merchants/acct_none/keys", None, 404, "acct_none"),
    ("POST", "/merchants/acct_none/shut", None, 404, "/close"),
    ("DELETE", "/merchants/acct_none", None, 404, "/close"),
])
def test_wrong_requests_are_told_so(wrong, method, path, data, status, word):
    headers = {"Idempotency-Key": "k"} if path.endswith("?key") else {}
    answer = requests.request(method, wrong + path.removesuffix("?key"), data=data, headers=headers,
                              timeout=30)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    from kit.server import Server

    server = Server(tmp_path_factory.mktemp("wrong"), ADMIN).start()
    yield operators_url(server)
    server.close()


def test_a_closed_merchants_keys_are_refused(make_server):
    server = make_server(ADMIN)
    shop, other = Merchant(server, "Shop"), Merchant(server, "Other")
    publishable = shop.post("/v1/tael/api_keys", {"type": "publishable"})["key"]
    shop.post("/v1/payment_intents", PAYMENT)
    assert "closed" in tael(server, "close", shop.id).stdout

    def refused(key):
        error = Http(server, key=key).get("/v1/payment_intents").json().get("error", {})
        if error.get("code") != "merchant_closed":
            return False
        assert shop.id in error["message"]
        return True

    for _ in range(2):
        for key in (shop.key, publishable):  # other processes know within a second
            wait_until(lambda key=key: refused(key), 10, "403")
        other.post("/v1/payment_intents", PAYMENT)
        assert tael(server, "new-key", shop.id).returncode == 1
        server.stop()
        server.start()
    assert "open" in tael(server, "open", shop.id).stdout
    again = Http(server, key=shop.key)
    answer = wait_until(lambda: (lambda one: one if one.status_code == 200 else None)(
        again.get("/v1/payment_intents")), 10, "200")
    assert len(answer.json()["data"]) == 1


def test_a_closed_first_merchant_gets_no_key_at_the_start(make_server):
    server = make_server(ADMIN, cluster=False)
    all = json.loads(tael(server, "list", "--json").stdout)["merchants"]
    first = next(one["id"] for one in all if one["number"] == 1)
    assert tael(server, "close", first).returncode == 0
    server.stop()
    started = run_tael("server", f"--data={server.root}", "--listen=127.0.0.1:0", "--new-test-key",
                       *server.documents)
    assert started.returncode == 1 and f"the merchant {first} is closed" in started.stderr
    server.start()
    assert tael(server, "open", first).returncode == 0
    server.stop()
    server.start("--new-test-key")
    assert Http(server).get("/v1/customers").status_code == 200


# ---- at once, and at the end ---------------------------------------------------------------


def ask(url, name, key):
    answer = requests.post(f"{url}/merchants", {"name": name}, headers={"Idempotency-Key": key},
                           timeout=60)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def made_at_once(urls):
    """By several processes: of one key one merchant with one key shown, and no number twice."""
    same = at_once([lambda i=i: ask(urls[i % len(urls)], "Same", "same") for i in range(12)])
    assert len({one["id"] for one in same}) == 1
    assert sum(one["key"] is not None for one in same) == 1
    apart = at_once([lambda i=i: ask(urls[i % len(urls)], "Apart", f"key {i}") for i in range(24)])
    assert len({one["id"] for one in apart}) == len({one["number"] for one in apart}) == 24
    assert len({one["key"] for one in apart}) == 24
    return [one for one in (*same, *apart) if one["key"]]


def test_made_at_once(make_server):
    server = make_server(ADMIN)
    for one in made_at_once([operators_url(server)]):
        assert Http(server, key=one["key"]).get("/v1/customers").status_code == 200


@needs_postgres
def test_made_at_once_by_processes_that_share_documents(tmp_path):
    with postgres.Postgres() as database:
        name = f"merchants_{secrets.token_hex(4)}"
        nodes = Nodes(tmp_path / "nodes", database.create(name), api=2)
        try:
            nodes.start()
            urls = nodes.metrics_urls()
            made = made_at_once(urls)
            for one in made:
                for node in nodes.nodes:
                    assert Http(node, key=one["key"]).get("/v1/customers").status_code == 200
            closed_for_all(nodes, urls, made[0])
        finally:
            nodes.close()


def closed_for_all(nodes, urls, merchant):
    """While others make keys of it: none is left that works."""
    def new_key(i):
        time.sleep(i * 0.002)
        answer = requests.post(f"{urls[i % 2]}/merchants/{merchant['id']}/keys", timeout=60)
        assert answer.status_code in (201, 409), answer.text
        return answer.json().get("key", "")

    def close():
        time.sleep(0.02)
        answer = requests.post(f"{urls[0]}/merchants/{merchant['id']}/close", timeout=60)
        assert answer.status_code == 200, answer.text
        return ""

    keys = [key for key in at_once([close, *(lambda i=i: new_key(i) for i in range(20))]) if key]
    assert keys
    time.sleep(1.5)  # what a process knows of a key is a second old at most
    for key in (merchant["key"], *keys):
        for node in nodes.nodes:
            assert Http(node, key=key).get("/v1/customers").status_code == 403


def test_operators_ask_until_the_end(make_server):
    """A process that is told to end answers each, ends well, and has what it said."""
    server = make_server(ADMIN)
    url = operators_url(server)
    made, stop = [], threading.Event()

    def go_on(thread):
        for i in range(100000):
            try:
                made.append(ask(url, "x", f"{thread} {i}")["id"])
            except (requests.RequestException, AssertionError):
                if stop.is_set():
                    return

    threads = [threading.Thread(target=go_on, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(made) > 20, 20, "some merchants")
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.process.wait(30) == 0
    server.process = None
    stop.set()
    for thread in threads:
        thread.join(30)
    server.start()
    listed = requests.get(f"{operators_url(server)}/merchants", timeout=30).json()["merchants"]
    assert set(made) <= {one["id"] for one in listed}


# ---- whom a payer pays ---------------------------------------------------------------------


@pytest.mark.parametrize("name, shown", [
    ("Corner shop", "Corner shop"),
    ("B\u00e4ckerei am Gr\u00fcnen Platz, Inhaber K. M\u00fcller",
     "B\u00e4ckerei am Gr\u00fcnen Platz,"),
    ("Corner\nshop", "Example shop"),
])
def test_a_code_names_its_own_merchant(make_server, name, shown):
    """And not the one of the server, which is for the server's own codes."""
    server = make_server(ADMIN, "--merchant-name=Example shop")
    merchant = Merchant(server, name)
    intent = {"amount": "700", "currency": "usd", "confirm": "true",
              "payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"}
    for http, expected in ((merchant.http, shown), (Http(server), "Example shop")):
        action = http.post("/v1/payment_intents", intent).json()["next_action"]
        still = http.post("/v1/qr_codes", {"currency": "usd"}).json()
        for data in (action["mobile_qr_display_qr_code"]["data"], still["data"]):
            parsed = run_tael("qr", "parse", "--json", data, check=True)
            assert json.loads(parsed.stdout)["merchant"]["name"] == expected
