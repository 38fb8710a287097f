"""Several servers on one database and one ledger, which look after the same schedules."""

import collections

import pytest

from kit import postgres
from kit.client import sdk
from kit.needs import skip_without_postgres
from kit.nodes import Nodes
from kit.payouts import available, bank_account, earn, fund, own_account
from kit.server import wait_until
from kit.together import at_once

CURRENCIES = ("eur", "jpy", "usd")
DAYS = 6  # each a second


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    skip_without_postgres()
    with postgres.Postgres() as database:
        made = Nodes(tmp_path_factory.mktemp("nodes") / "n", database.create("payouts"),
                     "--payout-day=1s", "--payout-delay=1h", gateways=1).start()
        yield made
        made.close()


def set_interval(client, own, interval):
    return client.v1.accounts.update(own, {"settings": {"payouts": {"schedule": {"interval": interval}}}})


def test_a_day_has_one_payout_in_a_currency(nodes):
    """PAYOUT-5. While both processes are told to begin anew, again and again, and money comes in."""
    both = [sdk(node) for node in nodes.nodes]
    client = both[0]
    own = own_account(client)
    came = {currency: fund(client, 10000, currency) for currency in CURRENCIES}
    for currency in CURRENCIES:
        bank_account(client, currency=currency)
    for _ in range(DAYS):
        at_once([lambda one=one: set_interval(one, own, "daily") for one in both])
        for currency in CURRENCIES:
            came[currency] += earn(client, 1000, currency)

    def all_of_it():
        found = client.v1.payouts.list({"limit": 100}).data
        sums = {currency: sum(one.amount for one in found if one.currency == currency) for currency in CURRENCIES}
        return found if sums == came else None

    made = wait_until(all_of_it, 30, "the payout of all")
    assert not any(available(client, currency) for currency in CURRENCIES)
    assert all(one.automatic for one in made)
    days = collections.Counter((one.currency, one.created) for one in made)
    assert set(days.values()) == {1}
    told = client.v1.events.list({"type": "payout.created", "limit": 100}).data
    assert sorted(event.data.object.id for event in told) == sorted(one.id for one in made)


def test_whoever_is_left_goes_on(nodes):
    client = sdk(nodes.nodes[1])
    have = earn(client, 5000)
    nodes.nodes[0].member.kill()
    (one,) = wait_until(lambda: [one for one in client.v1.payouts.list().data if one.amount == have],
                        60, "the payout")
    assert one.automatic and available(client) == 0
