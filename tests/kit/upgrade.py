"""What a server of the version before leaves behind: one of everything, in every state; and how the same is
read before and after."""

import os

import pytest

from kit.client import Http, sdk
from kit.participant import Scripted
from kit.receiver import Receiver
from kit.server import wait_until
from kit.wallets import Wallets

# The program of the version before; without one there is nothing to upgrade from.
OLD = os.environ.get("TEST_OLD_TAEL")
needs_old = pytest.mark.skipif(not OLD, reason="TEST_OLD_TAEL is not given")

# Nothing goes on by itself: what is under way stays so until it has been read. The sweeper, the bank
# and the network are as slow as can be; each start sweeps once.
STILL = ("--sweep-interval=1h", "--bank-settle=1h", "--issuer-refund-settle=1h", "--settlement-delay=30d",
         "--webhook-test-retry-first=20s", "--participant-retry-first=20s")
QUICK = ("--bank-settle=200ms", "--bank-return=200ms", "--issuer-refund-settle=100ms", "--settlement-delay=0s",
         "--webhook-test-retry-first=200ms", "--participant-retry-first=1s")
# The answers of the card network are lost, and nobody waits for them long.
DEAF = ("--issuer-lost-per-mille=1000", "--rail-timeout=300ms")


class World:
    """Made by whichever program the server has."""

    def __init__(self, server):
        self.server = server
        self.wallets = Wallets(server)
        self.http = Http(server, validate=False)
        self.receiver = Receiver(lambda _: 500)
        self.shop = None
        self.made = {}
        self.told = {}  # by idempotency key: path, form and the answer's text

    def post(self, path, key=None, **params):
        form = {}
        for name, value in params.items():
            if isinstance(value, dict):
                form.update({f"{name}[{inner}]": text for inner, text in value.items()})
            else:
                form[name] = value
        answer = self.http.post(path, form, headers={"Idempotency-Key": key} if key else None)
        assert answer.status_code in (200, 402), answer.text
        if key:
            self.told[key] = (path, form, answer.status_code, answer.text)
        return answer.json()

    def pay(self, token="pm_card_visa", key=None, **params):
        return self.post("/v1/payment_intents", key, **{
            "amount": 2000, "currency": "usd", "confirm": "true", "payment_method": token, **params})

    def make(self):
        self.post("/v1/webhook_endpoints", url=self.receiver.url(), **{"enabled_events[]": "*"})
        self.shop = Scripted(self.server, commit=500)
        self.cards()
        self.saved_cards()
        self.purses()
        self.codes()
        self.in_suspense()
        self.made["together"] = self.pay(**{f"participants[{self.shop.id}]": "lamp"})["id"]
        self.post("/v1/tael/api_keys", type="restricted", name="reader", permissions="charges:read")
        self.ledger()

    def cards(self):
        made = self.made
        made["paid"] = self.pay(key="paid", description="T-shirt", metadata={"order": "7"})["id"]
        made["other"] = self.pay("pm_card_mastercard", currency="eur", amount=7777)["id"]
        made["available"] = self.pay("pm_card_bypassPending", amount=50000)["id"]
        made["held"] = self.pay(capture_method="manual", key="held")["id"]
        made["more"] = self.pay(capture_method="manual", **{
            "payment_method_options[card][request_incremental_authorization]": "if_available"})["id"]
        made["canceled"] = self.pay(capture_method="manual")["id"]
        self.post(f"/v1/payment_intents/{made['canceled']}/cancel")
        made["challenged"] = self.pay("pm_card_threeDSecure2Required", return_url="https://shop.example/")["id"]
        made["declined"] = self.pay("pm_card_chargeDeclined", key="declined")["error"]["payment_intent"]["id"]
        made["unconfirmed"] = self.pay(confirm="false")["id"]
        made["empty"] = self.post("/v1/payment_intents", amount=900, currency="usd")["id"]
        for token in ("pm_card_visa", "pm_card_pendingRefund", "pm_card_refundFail"):
            paid = self.pay(token)["id"]
            made[f"refund {token}"] = self.post("/v1/refunds", f"refund {token}", payment_intent=paid,
                                                amount=700)["id"]

    def saved_cards(self):
        customer = self.post("/v1/customers", name="Jenny", email="jenny@example.com")["id"]
        made = self.post("/v1/setup_intents", customer=customer, payment_method="pm_card_visa", confirm="true")
        self.made["customer"], self.made["card"] = customer, made["payment_method"]
        self.post("/v1/setup_intents", customer=customer, payment_method="pm_card_authenticationRequired",
                  confirm="true", return_url="https://shop.example/")
        self.post("/v1/payment_methods", type="card", card={
            "number": "4000000000000259", "exp_month": 12, "exp_year": 2034, "cvc": "123"})
        gone = self.post("/v1/customers", name="Gone")["id"]
        self.http.delete(f"/v1/customers/{gone}")

    def purses(self):
        wallets, made = self.wallets, self.made
        one, two = wallets.wallet(funds=100_000), wallets.wallet(funds=5000)
        made["purse"], made["other purse"] = one, two
        wallets.send(one, two, 300)
        made["hold"] = wallets.post(f"/v1/wallets/{one}/holds", to=two, amount=400)["id"]
        hold = wallets.post(f"/v1/wallets/{one}/holds", to=two, amount=500)["id"]
        wallets.post(f"/v1/wallet_holds/{hold}/capture", amount=250)
        wallets.post(f"/v1/wallet_holds/{wallets.post(f'/v1/wallets/{one}/holds', to=two, amount=5)['id']}/release")
        made["withdrawal"] = wallets.post(f"/v1/wallets/{one}/withdrawals", amount=600, **{
            "bank_account[account_number]": "000123456789"})["id"]
        made["asked"] = wallets.post("/v1/wallet_requests", **{"from": one}, to=two, amount=50, currency="usd")["id"]
        self.wallet = {"payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": one}
        made["by wallet"] = self.pay("", **self.wallet)["id"]
        made["held by wallet"] = self.pay("", capture_method="manual", **self.wallet)["id"]
        made["split"] = self.pay(**{"split[wallet]": one, "split[amount]": 500})["id"]
        made["held split"] = self.pay(capture_method="manual", **{"split[wallet]": one, "split[amount]": 500})["id"]
        made["top up"] = self.pay(**{"transfer_data[destination]": two})["id"]
        wallets.post(f"/v1/wallets/{wallets.wallet()}/freeze")

    def codes(self):
        self.made["static"] = self.post("/v1/qr_codes", currency="usd")["id"]
        self.made["shown"] = self.pay("", **{
            "payment_method_types[]": "mobile_qr", "payment_method_data[type]": "mobile_qr"})["id"]

    def in_suspense(self):
        kept = self.pay("pm_card_voidDeclined", capture_method="manual")["id"]
        self.post(f"/v1/payment_intents/{kept}/cancel")
        purse = self.wallets.wallet(funds=3000)
        paid = self.pay(amount=5000, **{"split[wallet]": purse, "split[amount]": 3000})["id"]
        self.wallets.post(f"/v1/wallets/{purse}/close")
        self.post("/v1/refunds", payment_intent=paid)

    def ledger(self):
        accounts = [{"id": str(n), "ledger": 7000, "code": 1} for n in range(1, 4)]
        self.http.post("/v1/ledger/accounts", json={"events": accounts})
        common = {"debit_account_id": "1", "credit_account_id": "2", "amount": "10", "ledger": 7000, "code": 1}
        self.http.post("/v1/ledger/transfers", json={"events": [
            {"id": "101", **common}, {"id": "102", "flags": ["pending"], **common}]})

    def make_unknown(self):
        """Of a server that does not hear the network: what nobody knows the end of."""
        self.made["unknown"] = self.pay(key="unknown")["id"]
        self.post(f"/v1/payment_intents/{self.made['more']}/capture")
        self.made["unknown refund"] = self.post("/v1/refunds", payment_intent=self.made["paid"], amount=100)["id"]

    def close(self):
        self.receiver.close()
        if self.shop is not None:
            self.shop.close()


def lists_of(http):
    """Paths of the API that are lists, and of the objects in them, by its own description."""
    paths = http.get("/v1/openapi.json").json()["paths"]
    found = {}
    for path, operations in paths.items():
        shown = operations.get("get", {})
        given = shown.get("parameters", ())
        if ("{" not in path and any(one.get("name") == "limit" for one in given)
                and not any(one.get("required") for one in given)):
            one = next((other for other in paths
                        if other.startswith(path + "/{") and other.count("/") == path.count("/") + 1
                        and "get" in paths[other]), None)
            found[path] = one is not None
    return found


def read(server, lists):
    """Everything, by path: each list, each object of it by itself, balances and statements."""
    http, wallets = Http(server, validate=False), Wallets(server)
    found = {"/v1/balance": wallets.get("/v1/balance")}
    for path, has_objects in lists.items():
        if path in ("/v1/payment_methods", "/v1/transactions"):
            continue  # read by intent; told again and again, which is counted
        for shown in wallets.everything(path):
            found[f"{path} {shown['id']}"] = shown
            if has_objects:
                found[f"{path}/{shown['id']}"] = http.get(f"{path}/{shown['id']}").json()
    for name, shown in list(found.items()):
        if name.startswith("/v1/wallets "):
            found[f"/v1/wallets/{shown['id']}/statement"] = wallets.statement(shown["id"])
        elif name.startswith("/v1/payment_intents ") and shown["payment_method"]:
            path = f"/v1/payment_methods/{shown['payment_method']}"
            found[path] = http.get(path).json()
    ledger = http.post("/v1/ledger/query", json={
        "op": "query_transfers", "filter": {"limit": 8000}}).json()["transfers"]
    found.update({f"transfer {one['id']}": one for one in ledger})
    for shown in found.values():  # which deliveries have ended is no part of the event
        if "pending_webhooks" in shown:
            del shown["pending_webhooks"]
    return found


def differences(before, after):
    """By name: what was there and is not alike."""
    return {name: (shown, after.get(name)) for name, shown in before.items() if after.get(name) != shown}


def go_on(server, world):
    """What was under way ends well, and what was made goes on, by whatever the server is now."""
    wallets, made = world.wallets, world.made
    client = sdk(server, validate=False)
    world.receiver.answer = lambda _: 200
    world.shop.plan["commit"] = "committed"
    for name in ("held", "held by wallet", "held split"):
        assert wallets.post(f"/v1/payment_intents/{made[name]}/capture")["status"] == "succeeded", name
    for name in ("unknown", "more"):
        wallets.wait_for(f"/v1/payment_intents/{made[name]}", "succeeded")
    for name, status in (("refund pm_card_visa", "succeeded"), ("refund pm_card_pendingRefund", "succeeded"),
                         ("refund pm_card_refundFail", "failed"), ("unknown refund", "succeeded")):
        wallets.wait_for(f"/v1/refunds/{made[name]}", status)
    wallets.wait_for(f"/v1/wallet_withdrawals/{made['withdrawal']}", "paid")
    wallets.post(f"/v1/wallet_holds/{made['hold']}/capture")
    wallets.post(f"/v1/wallet_requests/{made['asked']}/pay")
    shown = client.v1.payment_intents.retrieve(made["shown"])
    wallets.post("/v1/qr_payments", wallet=made["purse"],
                 data=shown.next_action["mobile_qr_display_qr_code"]["data"])
    static = wallets.get(f"/v1/qr_codes/{made['static']}")["data"]
    wallets.post("/v1/qr_payments", wallet=made["purse"], data=static, amount=90)
    assert world.pay(made["card"], customer=made["customer"], off_session="true")["status"] == "succeeded"
    assert world.pay(made["card"], customer=made["customer"], capture_method="manual")["status"] == "requires_capture"
    for name in ("paid", "available", "split", "by wallet"):
        assert world.post("/v1/refunds", payment_intent=made[name], amount=600)["status"] == "succeeded", name
    transactions = f"/v1/transactions?owner={made['together']}"
    wait_until(lambda: wallets.get(transactions)["data"][0]["status"] == "committed", 10, "the participant")
    for path, form, status, text in world.told.values():
        key = next(key for key, told in world.told.items() if told[3] == text)
        again = world.http.post(path, form, headers={"Idempotency-Key": key})
        if key != "unknown":  # which was told "processing"
            assert (again.status_code, again.text) == (status, text), key
    events = {event["id"] for event in wallets.everything("/v1/events")}
    wait_until(lambda: events <= {one.event["id"] for one in world.receiver.received}, 30, "the webhooks")
