"""The balance, which is the ledger's, and the transactions that explain it."""

import pytest
import stripe

from kit.client import Http, pay, sdk
from kit.server import wait_until

# 2.9 % and 30, as the server charges by default.
FEE = {2000: 88, 1500: 74, 1000: 59, 700: 50}


def amounts(client, currency="usd"):
    balance = client.v1.balance.retrieve()
    assert balance.object == "balance" and balance.livemode is False

    def of(entries):
        return sum(entry.amount for entry in entries if entry.currency == currency)

    return of(balance.pending), of(balance.available)


def test_every_flow_shows_in_the_balance(make_server):
    server = make_server()
    client = sdk(server)
    assert amounts(client) == (0, 0)
    intent = pay(client, 2000)
    assert amounts(client) == (2000 - FEE[2000], 0)
    held = pay(client, 1500, capture_method="manual")
    assert amounts(client) == (2000 - FEE[2000], 0)
    client.v1.payment_intents.capture(held.id, {"amount_to_capture": 1000})
    pending = 2000 - FEE[2000] + 1000 - FEE[1000]
    assert amounts(client) == (pending, 0)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
    assert amounts(client) == (pending - 500, 0)
    canceled = pay(client, 700, capture_method="manual")
    client.v1.payment_intents.cancel(canceled.id)
    with pytest.raises(stripe.CardError):
        pay(client, token="pm_card_chargeDeclined")
    assert amounts(client) == (pending - 500, 0)
    listed = client.v1.balance_transactions.list({"limit": 100}).data
    assert sum(transaction.net for transaction in listed) == pending - 500
    assert [transaction.type for transaction in listed] == ["refund", "charge", "charge"]
    server.stop()
    server.start()
    assert amounts(sdk(server)) == (pending - 500, 0)


def test_pending_becomes_available(make_server):
    server = make_server("--settlement-delay=1s")
    client = sdk(server)
    intent = pay(client, 2000, expand=["latest_charge.balance_transaction"])
    transaction = intent.latest_charge.balance_transaction
    assert transaction.status == "pending"
    assert transaction.available_on >= transaction.created
    net = 2000 - FEE[2000]
    wait_until(lambda: amounts(client) == (0, net), 15, "settlement")
    # The books come first, what is written down of it behind them.
    wait_until(lambda: client.v1.balance_transactions.retrieve(transaction.id).status == "available",
               10, "the transaction's end")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    wait_until(lambda: amounts(client) == (0, net - 2000), 15, "settlement of the refund")


def test_refund_out_of_pending_settles_too(make_server):
    client = sdk(make_server("--settlement-delay=2s"))
    intent = pay(client, 2000)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 400})
    net = 2000 - FEE[2000] - 400
    assert amounts(client) == (net, 0)
    wait_until(lambda: amounts(client) == (0, net), 20, "settlement")


def test_bypass_pending_does_not_wait_for_settlement(make_server):
    client = sdk(make_server())
    pay(client, 1000, token="pm_card_bypassPending")
    wait_until(lambda: amounts(client) == (0, 1000 - FEE[1000]), 5, "available money")


def test_currencies_apart(make_server):
    client = sdk(make_server())
    pay(client, 1000, "usd")
    pay(client, 2000, "eur")
    pay(client, 500, "jpy")
    balance = client.v1.balance.retrieve()
    assert sorted(entry.currency for entry in balance.pending) == ["eur", "jpy", "usd"]
    assert amounts(client, "eur")[0] == 2000 - FEE[2000]


def test_balance_transactions(client):
    intent = pay(client, 1500, "chf", description="One", expand=["latest_charge"])
    charge = intent.latest_charge
    transaction = client.v1.balance_transactions.retrieve(
        charge.balance_transaction, {"expand": ["source"]}
    )
    assert transaction.id.startswith("txn_")
    assert transaction.amount == 1500 and transaction.fee == FEE[1500]
    assert transaction.net == 1500 - FEE[1500]
    assert transaction.currency == "chf"
    assert transaction.reporting_category == "charge"
    assert [detail.amount for detail in transaction.fee_details] == [FEE[1500]]
    assert transaction.source.id == charge.id
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    for params, wanted in [
        ({"source": charge.id}, [charge.balance_transaction]),
        ({"source": refund.id}, [refund.balance_transaction]),
        ({"currency": "chf"}, [refund.balance_transaction, charge.balance_transaction]),
        ({"currency": "chf", "type": "refund"}, [refund.balance_transaction]),
        ({"currency": "chf", "type": "charge", "limit": 1}, [charge.balance_transaction]),
        ({"currency": "chf", "created": {"gt": transaction.created + 1000}}, []),
    ]:
        listed = client.v1.balance_transactions.list(params)
        assert [one.id for one in listed.data] == wanted, params


def test_history_alias(http, client):
    pay(client)
    new = http.get("/v1/balance_transactions?limit=3").json()
    old = http.get("/v1/balance/history?limit=3").json()
    assert old["data"] == new["data"]


def test_balance_is_the_ledgers(make_server):
    """The books themselves, asked through the ledger's own API, agree with the balance."""
    server = make_server()
    client = sdk(server)
    pay(client, 2000)
    intent = pay(client, 1000)
    client.v1.refunds.create({"payment_intent": intent.id})
    accounts = Http(server).post("/v1/ledger/query", json={
        "op": "query_accounts", "filter": {"ledger": 1840, "limit": 100}}).json()["accounts"]
    credit = {int(account["code"]): int(account["credits_posted"]) - int(account["debits_posted"])
              for account in accounts}
    assert credit[201] == 2000 - FEE[2000] - FEE[1000]
    assert credit[102] == FEE[2000] + FEE[1000]
    assert credit[101] == -2000
    assert sum(credit.values()) == 0
    assert amounts(client) == (credit[201], 0)
