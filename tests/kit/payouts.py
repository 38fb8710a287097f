"""Payouts from outside: a merchant with money and bank accounts, by Stripe's SDK."""

from kit.client import pay
from kit.server import wait_until

GOOD = "000123456789"
QUICK = ("--payout-delay=0s", "--bank-settle=100ms", "--bank-return=3s")
ENDS = ("paid", "failed", "canceled")


def own_account(client):
    return client.v1.accounts.retrieve_current().id


def bank_account(client, number=GOOD, currency="usd", country="US", holder=None, **params):
    named = {"object": "bank_account", "country": country, "currency": currency,
             "routing_number": "110000000", "account_number": number}
    if holder is not None:
        named.update(account_holder_name=holder, account_holder_type="individual")
    return client.v1.accounts.external_accounts.create(
        own_account(client), {"external_account": named, **params})


def available(client, currency="usd"):
    return sum(entry.amount for entry in client.v1.balance.retrieve().available
               if entry.currency == currency)


def earn(client, amount=10000, currency="usd"):
    """A payment whose money the next sweep makes available, for a payout of that moment to take; answers how
    much it is."""
    intent = pay(client, amount, currency, token="pm_card_bypassPending",
                 expand=["latest_charge.balance_transaction"])
    return intent.latest_charge.balance_transaction.net


def fund(client, amount=10000, currency="usd"):
    """Waits for the money, which nobody else moves; answers what there is then."""
    have = available(client, currency) + earn(client, amount, currency)
    wait_until(lambda: available(client, currency) == have, 10, "the settlement")
    return have


def payout(client, amount, currency="usd", **params):
    return client.v1.payouts.create({"amount": amount, "currency": currency, **params})


def ended(client, made, status, seconds=15):
    """The payout, once it is so."""
    return wait_until(
        lambda: (now := client.v1.payouts.retrieve(made.id)).status == status and now,
        seconds, f"{made.id} {status}")
