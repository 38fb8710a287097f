"""Payouts that nobody asks for: on the days of the merchant's schedule. A day is a second here."""

import time
import uuid

import pytest
import stripe

from kit.books import metrics
from kit.client import pay, restricted_key, sdk
from kit.merchants import create, operators_url
from kit.payouts import GOOD, QUICK, available, bank_account, earn, ended, fund, own_account, payout
from kit.server import run_tael, wait_until

DAY = 1  # in seconds
SHORT = (*QUICK, f"--payout-day={DAY}s")
REFUSING = "000111111113"
RETURNING = "000333333335"


@pytest.fixture
def server(make_server):
    return make_server(*SHORT)


@pytest.fixture
def client(server):
    return sdk(server)


def set_schedule(client, interval, **days):
    changed = client.v1.accounts.update(own_account(client), {
        "settings": {"payouts": {"schedule": {"interval": interval, **days}}}})
    return changed.settings.payouts.schedule.to_dict()


def made(client):
    """Oldest first."""
    return list(reversed(client.v1.payouts.list({"limit": 100}).data))


def wait_for(client, count):
    return wait_until(lambda: len(found := made(client)) >= count and found, 30, f"{count} payouts")


def some_days(client, days=2):
    """So many pass, with time for the sweeper."""
    time.sleep(days * DAY + 1)
    return made(client)


def requirements(client):
    return client.v1.accounts.retrieve_current().requirements


# ---- the way of one -------------------------------------------------------------------------


def test_what_is_available_is_paid_out(client):
    have = fund(client)
    account = bank_account(client)
    assert set_schedule(client, "daily") == {"delay_days": 2, "interval": "daily"}
    (one,) = wait_for(client, 1)
    assert (one.automatic, one.amount, one.currency, one.destination, one.method) == (
        True, have, "usd", account.id, "standard")
    assert one.reconciliation_status == "not_applicable"
    assert available(client) == 0
    paid = ended(client, one, "paid")
    entry = client.v1.balance_transactions.retrieve(paid.balance_transaction)
    assert (entry.amount, entry.type, entry.source) == (-have, "payout", one.id)
    listed = client.v1.balance_transactions.list({"payout": one.id}).data
    assert [line.id for line in listed] == [entry.id]  # its own entry, not what it pays out
    told = [event.type for event in reversed(client.v1.events.list({"limit": 100}).data)
            if event.data.object.id == one.id]
    assert told == ["payout.created", "payout.updated", "payout.paid"]


def test_once_a_day_and_not_of_nothing(client):
    bank_account(client)
    set_schedule(client, "daily")
    assert some_days(client) == []
    first = earn(client, 3000)
    wait_for(client, 1)
    assert len(some_days(client)) == 1  # nothing came in
    second = earn(client, 2000)
    both = wait_for(client, 2)
    assert [one.amount for one in both] == [first, second]
    days = [one.created // DAY for one in both]
    assert len(set(days)) == 2


def test_manual_is_what_it_is_without_a_word(client):
    have = fund(client)
    bank_account(client)
    assert some_days(client) == []
    by_hand = payout(client, have)  # a day that begins between the two finds nothing
    set_schedule(client, "daily")
    set_schedule(client, "manual")
    fund(client)
    assert [one.id for one in some_days(client)] == [by_hand.id]


def test_every_currency_goes_to_its_own_account(client):
    have = {currency: fund(client, 10000, currency) for currency in ("usd", "eur", "isk")}
    accounts = {currency: bank_account(client, currency=currency).id for currency in ("isk", "usd")}
    set_schedule(client, "daily")
    found = wait_for(client, 2)
    assert sorted((one.currency, one.amount, one.destination) for one in found) == sorted(
        (currency, have[currency], accounts[currency]) for currency in ("isk", "usd"))
    needed = wait_until(lambda: requirements(client).errors and requirements(client), 10, "the lack")
    assert needed.currently_due == ["external_account"]
    (error,) = needed.errors
    assert (error.code, error.requirement) == ("information_missing", "external_account")
    assert "eur" in error.reason
    account = bank_account(client, currency="eur")
    assert requirements(client).errors == [] == requirements(client).currently_due
    last = wait_for(client, 3)[-1]
    assert (last.currency, last.amount, last.destination) == ("eur", have["eur"], account.id)


def test_what_is_finer_than_banks_pay_stays(client):
    have = fund(client, 100050, "huf")
    assert have % 100 != 0
    bank_account(client, currency="huf")
    set_schedule(client, "daily")
    (one,) = wait_for(client, 1)
    assert one.amount == have - have % 100
    assert len(some_days(client)) == 1 and available(client, "huf") == have % 100


def test_a_debt_is_not_paid_out(client):
    have = fund(client)
    bank_account(client)
    intent = client.v1.payment_intents.list({"limit": 1}).data[0]
    payout(client, have)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 3000})
    set_schedule(client, "daily")
    assert len(some_days(client)) == 1
    assert available(client) == -3000


def test_without_a_bank_account_it_waits(client):
    have = fund(client)
    assert requirements(client).currently_due == []
    set_schedule(client, "daily")
    assert requirements(client).currently_due == ["external_account"]
    assert some_days(client) == []
    assert available(client) == have
    bank_account(client)
    assert [one.amount for one in wait_for(client, 1)] == [have]


def test_it_can_be_canceled_as_any_other(make_server):
    client = sdk(make_server("--payout-delay=1h", f"--payout-day={DAY}s"))
    have = fund(client)
    bank_account(client)
    set_schedule(client, "daily")
    (one,) = wait_for(client, 1)
    set_schedule(client, "manual")
    canceled = client.v1.payouts.cancel(one.id)
    assert (canceled.status, canceled.automatic) == ("canceled", True)
    assert available(client) == have
    assert [other.id for other in some_days(client)] == [one.id]


def test_a_closed_merchants_money_still_goes_to_its_bank(make_server):
    server = make_server(*SHORT, "--admin-listen=127.0.0.1:0", "--settlement-delay=3s", cluster=False)
    leaving = create(operators_url(server), "Leaving")
    client = sdk(server, key=leaving["key"])
    bank_account(client)
    set_schedule(client, "daily")
    paid = pay(client, 10000, expand=["latest_charge.balance_transaction"])

    def tell(verb):
        told = run_tael("merchants", verb, leaving["id"], f"--url={operators_url(server)}")
        assert told.returncode == 0, told.stderr

    tell("close")
    wait_until(lambda: metrics(server)["tael_payouts_paid_total"] == 1, 30, "the payout")
    with pytest.raises(stripe.PermissionError):
        client.v1.payouts.list()
    tell("open")
    (one,) = made(client)
    assert (one.automatic, one.status) == (True, "paid")
    assert one.amount == paid.latest_charge.balance_transaction.net
    assert available(client) == 0


# ---- bank accounts that fail ----------------------------------------------------------------


@pytest.mark.parametrize("number", [REFUSING, RETURNING])
def test_nothing_goes_by_itself_where_a_payout_failed(client, number):
    have = fund(client)
    account = bank_account(client, number)
    assert account.status == "new"
    set_schedule(client, "daily")
    (one,) = wait_for(client, 1)
    ended(client, one, "failed", 40)
    externals = client.v1.accounts.external_accounts
    assert externals.retrieve(own_account(client), account.id).status == "errored"
    told = [event.data.object.status for event in client.v1.events.list({
        "type": "account.external_account.updated"}).data if event.data.object.id == account.id]
    assert told == ["errored"]
    (error,) = requirements(client).errors
    assert account.id in error.reason
    assert len(some_days(client)) == 1 and available(client) == have
    payout(client, 100)  # whoever asks for one knows what it is about
    ended(client, made(client)[-1], "failed", 40)
    assert externals.update(own_account(client), account.id, {
        "account_holder_name": "Jenny"}).status == "new"
    assert requirements(client).errors == [] or len(made(client)) == 3  # the next day has come
    assert len(wait_for(client, 3)) == 3
    other = bank_account(client, GOOD, default_for_currency=True)
    paid = wait_until(lambda: [one for one in made(client) if one.destination == other.id], 30,
                      "a payout to the other one")
    ended(client, paid[0], "paid")


# ---- the schedule ---------------------------------------------------------------------------


def test_schedules(make_server):
    client = sdk(make_server())
    fund(client)
    bank_account(client)
    assert set_schedule(client, "weekly", weekly_anchor="tuesday") == {
        "delay_days": 2, "interval": "weekly", "weekly_anchor": "tuesday",
        "weekly_payout_days": ["tuesday"]}
    assert set_schedule(client, "weekly", weekly_payout_days=["friday", "monday"]) == {
        "delay_days": 2, "interval": "weekly", "weekly_anchor": "monday",
        "weekly_payout_days": ["monday", "friday"]}
    assert set_schedule(client, "weekly")["weekly_payout_days"] == ["monday", "friday"]
    assert set_schedule(client, "weekly", weekly_anchor="sunday") == {
        "delay_days": 2, "interval": "weekly", "weekly_anchor": "sunday"}
    assert set_schedule(client, "monthly", monthly_anchor=31, delay_days=2) == {
        "delay_days": 2, "interval": "monthly", "monthly_anchor": 31, "monthly_payout_days": [31]}
    assert set_schedule(client, "monthly", monthly_payout_days=[15, 1], delay_days="minimum") == {
        "delay_days": 2, "interval": "monthly", "monthly_anchor": 1, "monthly_payout_days": [1, 15]}
    shown = client.v1.accounts.retrieve_current().settings.payouts.schedule
    assert shown.monthly_payout_days == [1, 15]
    unchanged = client.v1.accounts.update(own_account(client), {})
    assert unchanged.settings.payouts.schedule.interval == "monthly"
    assert made(client) == []  # a day is a day


def test_a_change_is_told(client):
    bank_account(client)
    set_schedule(client, "weekly", weekly_anchor="tuesday")
    set_schedule(client, "weekly", weekly_anchor="tuesday")  # no change
    set_schedule(client, "weekly", weekly_anchor="friday")
    set_schedule(client, "manual")
    told = client.v1.events.list({"type": "account.updated"}).data[::-1]
    assert {event.data.object.id for event in told} == {own_account(client)}
    shown = [event.data.object.settings.payouts.schedule.to_dict() for event in told]
    assert [one["interval"] for one in shown] == ["weekly", "weekly", "manual"]
    before = [event.data.previous_attributes.to_dict() for event in told]
    assert [one["settings"]["payouts"]["schedule"] for one in before] == [
        {"interval": "manual", "weekly_anchor": None, "weekly_payout_days": None},
        {"weekly_anchor": "tuesday", "weekly_payout_days": ["tuesday"]},
        {"interval": "weekly", "weekly_anchor": "friday", "weekly_payout_days": ["friday"]}]


@pytest.mark.parametrize("interval, days, param", [
    ("weekly", {}, "weekly_anchor"),
    ("monthly", {}, "monthly_anchor"),
    ("daily", {"weekly_anchor": "monday"}, "weekly_anchor"),
    ("weekly", {"weekly_anchor": "monday", "monthly_payout_days": [1]}, "monthly_payout_days"),
    ("weekly", {"weekly_anchor": "caturday"}, "weekly_anchor"),
    ("weekly", {"weekly_payout_days": ["caturday"]}, "weekly_payout_days"),
    ("weekly", {"weekly_payout_days": ["monday"], "weekly_anchor": "monday"}, "weekly_anchor"),
    ("monthly", {"monthly_anchor": 0}, "monthly_anchor"),
    ("monthly", {"monthly_anchor": 32}, "monthly_anchor"),
    ("monthly", {"monthly_payout_days": [1, "x"]}, "monthly_payout_days"),
    ("hourly", {}, "interval"),
    ("daily", {"delay_days": 7}, "delay_days"),
])
def test_schedules_that_are_none(client, interval, days, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        set_schedule(client, interval, **days)
    assert caught.value.param == f"settings[payouts][schedule][{param}]"
    assert client.v1.accounts.retrieve_current().settings.payouts.schedule.interval == "manual"


def test_other_merchants_accounts_are_not_there(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.accounts.update("acct_none", {})
    assert caught.value.code == "resource_missing"


def test_rights_of_restricted_keys(server, client):
    def with_rights(rights):
        return sdk(server, restricted_key(server, rights))

    assert set_schedule(with_rights("external_accounts:write"), "daily")["interval"] == "daily"
    for rights in ("external_accounts:read", "payouts:write"):
        with pytest.raises(stripe.PermissionError):
            client.v1.accounts.retrieve_current()
            with_rights(rights).v1.accounts.update(own_account(client), {
                "settings": {"payouts": {"schedule": {"interval": "manual"}}}})
    assert client.v1.accounts.retrieve_current().settings.payouts.schedule.interval == "daily"


def test_a_change_under_a_key_is_made_once(client):
    key = {"idempotency_key": str(uuid.uuid4())}
    params = {"settings": {"payouts": {"schedule": {"interval": "daily"}}}}
    for _ in range(2):
        again = client.v1.accounts.update(own_account(client), params, key)
        assert again.settings.payouts.schedule.interval == "daily"


# ---- restarts -------------------------------------------------------------------------------


def test_days_that_were_missed_are_one(server, client):
    have = fund(client)
    bank_account(client)
    set_schedule(client, "daily")
    server.stop()
    time.sleep(2 * DAY)
    server.start()
    client = sdk(server)
    (one,) = some_days(client)
    assert one.amount == have
    ended(client, one, "paid")
