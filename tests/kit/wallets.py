"""Wallets from outside: plain requests, because no SDK knows them."""

import itertools

import pytest

from kit.client import Http
from kit.server import wait_until

_numbers = itertools.count()


class Refused(Exception):
    """An error of the API: status, code, param and message."""

    def __init__(self, answer):
        self.status = answer.status_code
        error = answer.json()["error"]
        self.code = error.get("code")
        self.param = error.get("param")
        self.message = error["message"]
        super().__init__(f"{self.status} {self.code} ({self.param}): {self.message}")


def refused(call, *arguments, **keywords):
    with pytest.raises(Refused) as caught:
        call(*arguments, **keywords)
    return caught.value


class Wallets:
    """What an integrator would write around the routes of wallets."""

    def __init__(self, server, key=None):
        self.http = Http(server, key=key)

    def call(self, method, path, headers=None, **params):
        body = {}
        for name, value in params.items():
            if isinstance(value, dict):
                body.update({f"{name}[{inner}]": text for inner, text in value.items()})
            else:
                body[name + "[]" if isinstance(value, list) else name] = value
        if method == "GET":
            answer = self.http.request(method, path, params=body, headers=headers)
        else:
            answer = self.http.request(method, path, body, headers=headers)
        if answer.status_code != 200:
            raise Refused(answer)
        return answer.json()

    def get(self, path, **params):
        return self.call("GET", path, **params)

    def post(self, path, headers=None, **params):
        return self.call("POST", path, headers, **params)

    # ---- objects ---------------------------------------------------------------------------

    def customer(self):
        return self.post("/v1/customers", name=f"Customer {next(_numbers)}")["id"]

    def wallet(self, funds=0, currency="usd", **params):
        params.setdefault("tier", "business")
        made = self.post("/v1/wallets", customer=params.pop("customer", None) or self.customer(),
                         currency=currency, **params)
        if funds:
            self.fund(made["id"], funds, currency)
        return made["id"]

    def fund(self, wallet, amount, currency="usd", **params):
        return self.post(f"/v1/test_helpers/wallets/{wallet}/fund_balance", amount=amount,
                         currency=currency, **params)

    def send(self, source, destination, amount, currency="usd", **params):
        return self.post("/v1/wallet_transfers", **{"from": source}, to=destination,
                         amount=amount, currency=currency, **params)

    def balance(self, wallet):
        shown = self.get(f"/v1/wallets/{wallet}")["balance"]
        assert shown["available"] == shown["posted"] - shown["held"]
        return shown

    def available(self, wallet):
        return self.balance(wallet)["available"]

    def statement(self, wallet, **params):
        """All lines, oldest first, through every page."""
        lines = []
        cursor = {}
        while True:
            page = self.get(f"/v1/wallets/{wallet}/statement", limit=100, **params, **cursor)
            lines += page["data"]
            if not page["has_more"]:
                return lines[::-1]
            cursor = {"starting_after": page["data"][-1]["id"]}

    def everything(self, path, **params):
        found = []
        cursor = {}
        while True:
            page = self.get(path, limit=100, **params, **cursor)
            found += page["data"]
            if not page["has_more"]:
                return found
            cursor = {"starting_after": page["data"][-1]["id"]}

    def event_types(self, of):
        return [event["type"] for event in self.everything("/v1/events")
                if event["data"]["object"].get("id") == of][::-1]

    def wait_for(self, path, status, seconds=30):
        return wait_until(
            lambda: (lambda found: found if found["status"] == status else None)(self.get(path)),
            seconds, f"{path} {status}")


def check_statement(wallets, wallet):
    """The running balance is the sum of the lines, and its last the ledger's balance."""
    balance = 0
    lines = wallets.statement(wallet)
    for line in lines:
        balance += line["amount"]
        assert line["balance"] == balance, (wallet, line, balance)
    assert balance == wallets.balance(wallet)["posted"], wallet
    return lines
