"""Payouts, by Stripe's SDK as it is."""

import collections
import threading
import uuid

import pytest
import stripe

from kit.books import metrics
from kit.client import pay, restricted_key, sdk
from kit.payouts import (ENDS, GOOD, QUICK, available, bank_account, ended, fund, own_account,
                         payout)
from kit.server import CLUSTER, wait_until

DAY = 86400


@pytest.fixture
def quick(make_server):
    """Nothing waits before the bank is asked, and it soon has an answer."""
    return sdk(make_server(*QUICK))


@pytest.fixture
def slow(make_server):
    """Payouts stay pending."""
    return sdk(make_server("--payout-delay=1h"))


def refused(call, *arguments):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    assert caught.value.http_status in (400, 404)
    return caught.value


def lines(client, one):
    """Of the balance, oldest first."""
    listed = client.v1.balance_transactions.list({"payout": one.id}).data
    return [(line.type, line.net) for line in reversed(listed)]


def told(client, one):
    """Events of it, oldest first."""
    return [event.type for event in reversed(client.v1.events.list({"limit": 100}).data)
            if event.data.object.id == one.id]


# ---- the way of one -------------------------------------------------------------------------


def test_a_payout_is_paid(quick):
    have = fund(quick)
    account = bank_account(quick, holder="Jenny Rosen")
    assert (account.account_holder_name, account.account_holder_type) == (
        "Jenny Rosen", "individual")
    made = payout(quick, 5000, statement_descriptor="Sales", description="May",
                  metadata={"month": "5"})
    assert (made.status, made.amount, made.currency, made.destination) == (
        "pending", 5000, "usd", account.id)
    assert made.arrival_date % DAY == 0 and made.created < made.arrival_date <= made.created + DAY
    assert (made.automatic, made.method, made.type) == (False, "standard", "bank_account")
    assert (made.statement_descriptor, made.description, made.metadata["month"]) == (
        "Sales", "May", "5")
    assert available(quick) == have - 5000  # also while the bank has it
    paid = ended(quick, made, "paid")
    assert paid.failure_balance_transaction is None and paid.failure_code is None
    assert available(quick) == have - 5000
    assert lines(quick, made) == [("payout", -5000)]
    entry = quick.v1.balance_transactions.retrieve(
        paid.balance_transaction, {"expand": ["source"]})
    assert (entry.amount, entry.fee, entry.net, entry.status, entry.reporting_category) == (
        -5000, 0, -5000, "available", "payout")
    assert entry.source.id == made.id and entry.source.object == "payout"
    assert told(quick, made) == ["payout.created", "payout.updated", "payout.paid"]
    (update,) = [event for event in quick.v1.events.list({"type": "payout.updated"}).data
                 if event.data.object.id == made.id]
    assert update.data.object.status == "in_transit"
    assert update.data.previous_attributes.to_dict() == {"status": "pending"}


@pytest.mark.parametrize("number, code", [
    ("000111111116", "no_account"), ("000111111113", "account_closed"),
    ("000444444440", "invalid_currency"), ("000222222227", "could_not_process"),
])
def test_what_the_bank_does_not_pay_is_there_again(quick, number, code):
    have = fund(quick)
    bank_account(quick, number)
    made = payout(quick, have)
    failed = ended(quick, made, "failed")
    assert failed.failure_code == code and failed.failure_message
    assert available(quick) == have
    assert lines(quick, made) == [("payout", -have), ("payout_failure", have)]
    undone = quick.v1.payouts.retrieve(made.id, {"expand": ["failure_balance_transaction"]})
    assert undone.failure_balance_transaction.reporting_category == "payout_reversal"
    assert told(quick, made)[-1] == "payout.failed"
    again = payout(quick, have)  # the money is free
    assert again.id != made.id


def test_what_was_paid_may_come_back(make_server):
    server = make_server(*QUICK)
    quick = sdk(server)
    have = fund(quick)
    bank_account(quick, "000333333335")
    made = payout(quick, 4000)
    assert available(quick) == have - 4000
    back = ended(quick, made, "failed", 30)
    assert back.failure_code == "account_frozen"
    (paid,) = [event for event in quick.v1.events.list({"type": "payout.paid"}).data
               if event.data.object.id == made.id]
    assert (paid.data.object.status, paid.data.object.failure_code) == ("paid", None)
    found = metrics(server)
    if not server.cluster:
        assert (found["tael_payouts_paid_total"], found["tael_payouts_failed_total"]) == (1, 1)
    assert found["tael_payouts_in_transit"] == 0
    assert available(quick) == have
    assert lines(quick, made) == [("payout", -4000), ("payout_failure", 4000)]
    assert told(quick, made) == [
        "payout.created", "payout.updated", "payout.paid", "payout.failed"]


def test_an_answer_of_the_bank_that_was_lost_is_asked_for(quick):
    have = fund(quick)
    bank_account(quick, "000666666660")
    made = payout(quick, 4000)
    ended(quick, made, "paid", 30)
    assert available(quick) == have - 4000


def test_while_the_bank_does_not_decide(make_server):
    server = make_server(*QUICK)
    quick = sdk(server)
    have = fund(quick)
    bank_account(quick, "000777777771")
    made = payout(quick, 4000)
    ended(quick, made, "in_transit")
    assert available(quick) == have - 4000
    error = refused(quick.v1.payouts.cancel, made.id)
    assert error.code == "payout_unexpected_state" and "in_transit" in error.user_message
    wait_until(lambda: metrics(server)["tael_payouts_in_transit"] == 1, 10, "the count")
    wait_until(lambda: metrics(server)["tael_payout_oldest_seconds"] >= 1, 10, "its age")
    assert metrics(server)["tael_attempts_open"] == 0  # it is the bank's


def test_money_of_every_kind(quick):
    for currency, amount, out in (("jpy", 100000, 333), ("isk", 100000, 300), ("eur", 5000, 77)):
        have = fund(quick, amount, currency)
        bank_account(quick, currency=currency)
        made = payout(quick, out, currency)
        ended(quick, made, "paid")
        assert available(quick, currency) == have - out
    assert refused(payout, quick, 350, "isk").param == "amount"  # no whole coin


@pytest.mark.parametrize("currency", ["huf", "twd"])
def test_what_banks_pay_in_whole_units(slow, currency):
    """As Stripe: payments have two decimals, payouts none."""
    have = fund(slow, 1_000_050, currency)
    bank_account(slow, currency=currency)
    error = refused(payout, slow, 10_050, currency)
    assert (error.param, error.code) == ("amount", "parameter_invalid_integer")
    assert "100" in error.user_message
    payout(slow, 10_000, currency)
    assert available(slow, currency) == have - 10_000


# ---- canceling, changing --------------------------------------------------------------------


def test_cancel(slow):
    """PAYOUT-4: what was held is available again."""
    have = fund(slow)
    bank_account(slow)
    made = payout(slow, 5000)
    assert available(slow) == have - 5000
    canceled = slow.v1.payouts.cancel(made.id)
    assert canceled.status == "canceled"
    assert available(slow) == have
    assert lines(slow, made) == [("payout", -5000), ("payout_cancel", 5000)]
    assert told(slow, made) == ["payout.created", "payout.canceled"]
    error = refused(slow.v1.payouts.cancel, made.id)
    assert error.code == "payout_unexpected_state" and "canceled" in error.user_message
    assert payout(slow, have).status == "pending"


def test_reverse_is_refused(slow):
    fund(slow)
    bank_account(slow)
    made = payout(slow, 100)
    assert refused(slow.v1.payouts.reverse, made.id).code == "payout_unexpected_state"
    slow.v1.payouts.cancel(made.id)
    assert refused(slow.v1.payouts.reverse, made.id).code == "payout_reversal_unsupported"
    assert refused(slow.v1.payouts.reverse, "po_none").code == "resource_missing"


def test_update(slow):
    fund(slow)
    bank_account(slow)
    made = payout(slow, 100, metadata={"a": "1", "b": "2"})
    changed = slow.v1.payouts.update(made.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    event = slow.v1.events.list({"type": "payout.updated"}).data[0]
    assert event.data.previous_attributes["metadata"].to_dict() == {"a": "1", "c": None}


# ---- not more than there is -----------------------------------------------------------------


def test_not_more_than_is_available(slow):
    have = fund(slow)
    pay(slow, 5000)  # pending: not to be paid out
    bank_account(slow)
    error = refused(payout, slow, have + 1)
    assert (error.code, error.param) == ("balance_insufficient", "amount")
    assert f"{have / 100:.2f} USD" in error.user_message
    first = payout(slow, 6000)
    error = refused(payout, slow, have - 6000 + 1)
    assert f"{(have - 6000) / 100:.2f} USD" in error.user_message
    assert [one.id for one in slow.v1.payouts.list().data] == [first.id]
    assert available(slow) == have - 6000
    payout(slow, have - 6000)
    assert available(slow) == 0
    assert refused(payout, slow, 1).code == "balance_insufficient"


def test_a_debt_is_not_paid_out(slow):
    have = fund(slow)
    bank_account(slow)
    payout(slow, have)
    intent = slow.v1.payment_intents.list({"limit": 1}).data[0]
    slow.v1.refunds.create({"payment_intent": intent.id, "amount": 3000})
    assert available(slow) == -3000
    error = refused(payout, slow, 1)
    assert error.code == "balance_insufficient" and "-30.00 USD" in error.user_message


def test_nothing_was_ever_paid(slow):
    bank_account(slow, currency="eur")
    assert refused(payout, slow, 1, "eur").code == "balance_insufficient"


def test_a_refusal_stays_one(slow):
    """PAYOUT-3: under its key, whatever comes in later."""
    fund(slow, 1000)
    bank_account(slow)
    key = {"idempotency_key": str(uuid.uuid4())}

    def ask():
        return slow.v1.payouts.create({"amount": 5000, "currency": "usd"}, key)

    assert refused(ask).code == "balance_insufficient"
    fund(slow, 10000)
    assert refused(ask).code == "balance_insufficient"
    assert slow.v1.payouts.list().data == []
    assert slow.v1.payouts.create({"amount": 5000, "currency": "usd"}).status == "pending"


def test_once_under_a_key(slow):
    have = fund(slow)
    bank_account(slow)
    key = {"idempotency_key": str(uuid.uuid4())}
    made = [slow.v1.payouts.create({"amount": 3000, "currency": "usd"}, key) for _ in range(3)]
    assert len({one.id for one in made}) == 1
    assert available(slow) == have - 3000


def all_at_once(calls):
    """What each answered, or raised."""
    results = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place):
        start.wait()
        try:
            results[place] = calls[place]()
        except stripe.StripeError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def test_many_at_once_take_what_there_is(slow):
    """PAYOUT-1: each of them would fit alone; so many as fit together are made, and no more."""
    have = fund(slow)
    bank_account(slow)
    each = have // 4
    results = all_at_once([lambda: payout(slow, each) for _ in range(16)])
    codes = collections.Counter(getattr(result, "code", None) or "made" for result in results)
    assert codes == {"made": 4, "balance_insufficient": 12}
    assert available(slow) == have - 4 * each


def test_one_that_is_too_large_takes_no_place(slow):
    """What cannot be made is never in the way of what can."""
    have = fund(slow)
    bank_account(slow)
    for _ in range(4):
        results = all_at_once([lambda: payout(slow, have + 1) for _ in range(6)]
                              + [lambda: payout(slow, have)])
        assert results[-1].status == "pending", results
        assert {result.code for result in results[:-1]} == {"balance_insufficient"}
        slow.v1.payouts.cancel(results[-1].id)


def test_payouts_and_refunds_at_once(slow):
    """PAYOUT-1: refunds are made in any case. In the order of the books, no payout goes below zero."""
    for _ in range(4):
        fund(slow, 2000)
    have = available(slow)
    account = bank_account(slow)
    intents = [one.id for one in slow.v1.payment_intents.list({"limit": 100}).data
               if one.status == "succeeded"]
    refunds = [lambda i=i: slow.v1.refunds.create({"payment_intent": i, "amount": 500})
               for i in intents]
    payouts = [lambda: payout(slow, have // 3) for _ in range(8)]
    results = all_at_once([call for pair in zip(payouts, refunds * 2) for call in pair][:12])
    made = [one for one in results if getattr(one, "object", None) == "payout"]
    given = [one for one in results if getattr(one, "object", None) == "refund"]
    assert len(given) == 6 and len(made) <= 3
    assert available(slow) == have - sum(one.amount for one in made + given)
    assert all(one.destination == account.id for one in made)


@pytest.mark.parametrize("_", range(3))
def test_cancel_and_the_sweeper_at_once(make_server, _):
    """PAYOUT-2: either it is canceled, and the bank never hears of it, or it is paid."""
    client = sdk(make_server("--payout-delay=1s", "--bank-settle=100ms"))
    have = fund(client)
    bank_account(client)
    made = [payout(client, 100) for _ in range(12)]
    canceled = set()

    def cancel():
        for one in made:
            try:
                canceled.add(client.v1.payouts.cancel(one.id).id)
            except stripe.InvalidRequestError as error:
                assert error.code == "payout_unexpected_state"

    wait_until(lambda: any(client.v1.payouts.retrieve(one.id).status != "pending" for one in made)
               or len(canceled) < 6 and cancel() is None, 10, "the first one that is sent")
    cancel()
    for one in made:
        wanted = "canceled" if one.id in canceled else "paid"
        ended(client, one, wanted)
    assert available(client) == have - 100 * (len(made) - len(canceled))


# ---- lists ----------------------------------------------------------------------------------


def test_lists(slow):
    fund(slow)
    first, second = bank_account(slow), bank_account(slow, "000999999991")
    made = [payout(slow, 10 + i, destination=(first, second)[i % 2].id) for i in range(6)]
    slow.v1.payouts.cancel(made[0].id)
    slow.v1.payouts.cancel(made[1].id)

    def listed(**params):
        return [one.id for one in slow.v1.payouts.list(params).data]

    ids = [one.id for one in reversed(made)]
    assert listed() == ids
    assert listed(status="canceled") == ids[4:]
    assert listed(status="pending", destination=first.id) == [made[4].id, made[2].id]
    assert listed(status="paid") == []
    arrival = made[0].arrival_date
    assert listed(arrival_date=arrival) == ids
    assert listed(arrival_date={"gt": arrival}) == []
    assert listed(arrival_date={"gte": arrival, "lt": arrival + 1}) == ids
    assert listed(arrival_date={"lte": arrival - 1}) == []
    assert listed(created={"lt": made[0].created}) == []
    assert listed(limit=2, starting_after=ids[1]) == ids[2:4]
    assert listed(limit=2, ending_before=ids[3]) == ids[1:3]
    walked = slow.v1.payouts.list({"limit": 2})
    assert [one.id for one in walked.auto_paging_iter()] == ids
    shown = slow.v1.payouts.list({
        "limit": 1, "expand": ["data.destination", "data.balance_transaction"]}).data[0]
    assert shown.destination.last4 == "9991" and shown.balance_transaction.type == "payout"
    assert [line.source for line in slow.v1.balance_transactions.list({"type": "payout"}).data] == ids
    canceled = slow.v1.balance_transactions.list({"type": "payout_cancel"}).data
    assert [line.source for line in canceled] == ids[4:]


# ---- what is refused ------------------------------------------------------------------------


def test_refusals(slow):
    fund(slow)
    assert refused(payout, slow, 100).code == "external_account_missing"
    account = bank_account(slow, currency="eur", country="DE")
    error = refused(payout, slow, 100)
    assert (error.code, error.param) == ("external_account_missing", "destination")
    cases = [
        ({"amount": 100, "destination": account.id}, None, "destination"),
        ({"amount": 100, "destination": "ba_none"}, "resource_missing", "destination"),
        ({"amount": 100, "method": "instant"}, "instant_payouts_unsupported", "method"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": -5}, "parameter_invalid_integer", "amount"),
        ({}, "parameter_missing", "amount"),
        ({"amount": 100, "colour": "red"}, "parameter_unknown", "colour"),
        ({"amount": 100, "statement_descriptor": "x" * 23}, None, "statement_descriptor"),
    ]
    for params, code, param in cases:
        error = refused(slow.v1.payouts.create, {"currency": "usd", **params})
        assert (error.param, error.code if code else None) == (param, code), error
    assert refused(slow.v1.payouts.create, {"amount": 1, "currency": "xxx"}).param == "currency"
    for call in (slow.v1.payouts.retrieve, slow.v1.payouts.cancel):
        assert refused(call, "po_none").http_status == 404
    assert slow.v1.payouts.list().data == []


def test_rights_of_restricted_keys(make_server):
    server = make_server("--payout-delay=1h")
    client = sdk(server)
    fund(client)
    account = bank_account(client)
    made = payout(client, 100)

    def with_rights(rights):
        return sdk(server, restricted_key(server, rights))

    reads, writes, others = (with_rights(rights) for rights in (
        "payouts:read", "payouts:write", "balance:write"))
    assert reads.v1.payouts.retrieve(made.id).id == made.id
    assert payout(writes, 100).status == "pending"
    for call in (lambda: payout(reads, 100), lambda: others.v1.payouts.list(),
                 lambda: reads.v1.payouts.cancel(made.id),
                 lambda: bank_account(writes), lambda: reads.v1.accounts.retrieve_current()):
        with pytest.raises(stripe.PermissionError):
            call()
    accounts = with_rights("external_accounts:read")
    assert accounts.v1.accounts.external_accounts.retrieve(
        own_account(accounts), account.id).id == account.id
    with pytest.raises(stripe.PermissionError):
        bank_account(accounts)
    with pytest.raises(stripe.PermissionError):
        reads.v1.payouts.retrieve(made.id, {"expand": ["destination"]})


# ---- bank accounts --------------------------------------------------------------------------


def test_the_merchants_own_account(slow):
    account = slow.v1.accounts.retrieve_current()
    assert account.object == "account" and account.payouts_enabled is True
    assert account.settings.payouts.schedule.interval == "manual"
    assert account.external_accounts.data == []
    made = bank_account(slow)
    again = slow.v1.accounts.retrieve(account.id)
    assert [one.id for one in again.external_accounts.data] == [made.id]
    assert refused(slow.v1.accounts.retrieve, "acct_none").code == "resource_missing"
    error = refused(slow.v1.accounts.external_accounts.list, "acct_none")
    assert error.http_status == 404


def test_bank_accounts(slow):
    own = own_account(slow)
    externals = slow.v1.accounts.external_accounts
    first = bank_account(
        slow, "DE89370400440532013000", "eur", "DE", metadata={"a": "1"})
    assert (first.object, first.last4, first.country, first.currency, first.account) == (
        "bank_account", "3000", "DE", "eur", own)
    assert first.default_for_currency is True and "DE89" not in str(first)
    second, other = bank_account(slow, currency="eur"), bank_account(slow, currency="usd")
    assert (second.default_for_currency, other.default_for_currency) == (False, True)
    assert second.fingerprint == bank_account(slow, currency="usd").fingerprint != first.fingerprint
    listed = externals.list(own, {"object": "bank_account", "limit": 2})
    assert [one.id for one in listed.auto_paging_iter()][-1] == first.id
    assert len(list(listed.auto_paging_iter())) == 4

    changed = externals.update(own, second.id, {
        "default_for_currency": True, "metadata": {"b": "2"}, "account_holder_name": "Jenny"})
    assert (changed.default_for_currency, changed.account_holder_name) == (True, "Jenny")
    assert externals.retrieve(own, first.id).default_for_currency is False
    error = refused(externals.update, own, second.id, {"default_for_currency": False})
    assert error.param == "default_for_currency"

    assert refused(externals.delete, own, second.id).code == "external_account_in_use"
    gone = externals.delete(own, first.id)
    assert (gone.id, gone.deleted) == (first.id, True)
    assert externals.delete(own, second.id).deleted is True
    assert refused(externals.retrieve, own, first.id).code == "resource_missing"
    assert refused(externals.delete, own, first.id).code == "resource_missing"
    assert refused(payout, slow, 1, "eur").code == "external_account_missing"
    assert bank_account(slow, currency="eur").default_for_currency is True
    types = [event.type for event in slow.v1.events.list({"limit": 100}).data
             if event.type.startswith("account.external_account.")]
    assert collections.Counter(types) == {
        "account.external_account.created": 5, "account.external_account.updated": 2,
        "account.external_account.deleted": 2}


@pytest.mark.parametrize("change, param", [
    ({"account_number": "12"}, "external_account[account_number]"),
    ({"account_number": "12-34 56"}, "external_account[account_number]"),
    ({"account_number": "1" * 35}, "external_account[account_number]"),
    ({"routing_number": "1"}, "external_account[routing_number]"),
    ({"currency": "xxx"}, "external_account[currency]"),
    ({"object": "card"}, "external_account[object]"),
    ({"country": "DEU"}, "external_account[country]"),
])
def test_bank_accounts_that_are_none(client, change, param):
    good = {"object": "bank_account", "country": "US", "currency": "usd", "account_number": GOOD}
    error = refused(client.v1.accounts.external_accounts.create, own_account(client),
                    {"external_account": {**good, **change}})
    assert error.param == param


def test_payouts_to_an_account_that_was_deleted(quick):
    """It goes where it was sent, and shows where that was."""
    fund(quick)
    account = bank_account(quick)
    made = payout(quick, 100)
    quick.v1.accounts.external_accounts.delete(own_account(quick), account.id)
    paid = ended(quick, made, "paid")
    assert paid.destination == account.id
    shown = quick.v1.payouts.retrieve(made.id, {"expand": ["destination"]})
    assert shown.destination.last4 == GOOD[-4:]
    assert refused(payout, quick, 100).code == "external_account_missing"
    error = refused(lambda: payout(quick, 100, destination=account.id))
    assert error.code == "resource_missing"


# ---- restarts -------------------------------------------------------------------------------


def test_a_restart_takes_none_up_before_its_time(make_server):
    server = make_server("--payout-delay=1h")
    client = sdk(server)
    have = fund(client)
    bank_account(client)
    made = payout(client, 5000)
    server.stop()
    server.start()
    client = sdk(server)
    wait_until(lambda: metrics(server)["tael_reconcile_runs_total"] >= 2, 15, "some sweeps")
    assert client.v1.payouts.retrieve(made.id).status == "pending"
    assert available(client) == have - 5000
    assert client.v1.payouts.cancel(made.id).status == "canceled"


@pytest.mark.skipif(CLUSTER, reason="the kill of one process")
def test_a_kill_amid_payouts(make_server):
    server = make_server(*QUICK)
    client = sdk(server)
    have = fund(client)
    for number in (GOOD, "000222222227"):
        bank_account(client, number, default_for_currency=True)
        for _ in range(5):
            payout(client, 100)
    server.kill()
    server.start()
    client = sdk(server)
    made = client.v1.payouts.list({"limit": 100}).data
    assert len(made) == 10
    for one in made:
        wait_until(lambda one=one: client.v1.payouts.retrieve(one.id).status in ENDS, 20, one.id)
    paid = [one for one in client.v1.payouts.list({"limit": 100}).data if one.status == "paid"]
    assert len(paid) == 5
    assert available(client) == have - 500
