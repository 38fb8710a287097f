"""The server's own comparison: somebody changes what is stored, one thing at a time, and the comparison
names that thing and nothing else. Untouched it finds nothing."""

import json
import shutil
import sqlite3

import pytest

from kit.books import metrics
from kit.client import pay, sdk
from kit.payouts import bank_account, ended, fund, payout
from kit.server import Server, wait_until
from kit.wallets import Wallets

LOOKS_INTO_PROCESS = True
FLAGS = ("--payout-delay=0s", "--payout-watch=0s", "--settlement-delay=1h", "--bank-settle=100ms",
         "--issuer-refund-settle=100ms", "--issuer-dispute-delay=100ms")


class Stored:
    """A server's documents in SQLite, while it is stopped."""

    def __init__(self, server):
        self.database = sqlite3.connect(server.data / "tael.db")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.database.commit()
        self.database.close()

    def body(self, kind, document):
        (text,) = self.database.execute(f"SELECT body FROM {kind} WHERE id = ?", (document,)).fetchone()
        return json.loads(text)

    def change(self, kind, document, **members):
        """None takes a member away; of a column the value is in the row as well."""
        body = self.body(kind, document)
        for name, value in members.items():
            body.pop(name, None)
            if value is not None:
                body[name] = value
        self.database.execute(f"UPDATE {kind} SET body = ? WHERE id = ?", (json.dumps(body, separators=(",", ":")), document))

    def add(self, kind, document, member, more):
        self.change(kind, document, **{member: self.body(kind, document).get(member, 0) + more})

    def remove(self, kind, document):
        self.database.execute(f"DELETE FROM {kind} WHERE id = ?", (document,))

    def double(self, kind, document):
        twin = document[:-4] + ("0000" if document[-4:] != "0000" else "1111")
        columns = [row[1] for row in self.database.execute(f"PRAGMA table_info({kind})")]
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join("?" if name == "id" else f'"{name}"' for name in columns)
        self.database.execute(
            f"INSERT INTO {kind} ({names}) SELECT {values} FROM {kind} WHERE id = ?", (twin, document))
        return twin


class World:
    """A server with a payment of each kind, at rest, that can be put back to where it was."""

    def __init__(self, folder):
        self.server = Server(folder / "server", *FLAGS, cluster=False, on_postgres=False).start()
        client, wallets = sdk(self.server, validate=False), Wallets(self.server)
        purse = wallets.wallet(5000)
        self.paid = self.charge(client, pay(client, 2000))
        self.settled = self.charge(client, pay(client, 2100, token="pm_card_bypassPending"))
        self.captured = self.charge(client, client.v1.payment_intents.capture(
            pay(client, 2200, capture_method="manual").id, {"amount_to_capture": 1500}))
        self.split = self.charge(client, pay(client, split={"wallet": purse, "amount": 700}))
        self.purse = self.charge(client, client.v1.payment_intents.create({
            "amount": 900, "currency": "usd", "confirm": True,
            "payment_method_data": {"type": "wallet", "wallet": {"id": purse}}}))
        self.top_up = self.charge(client, pay(client, transfer_data={"destination": purse}))
        self.canceled = self.charge(client, client.v1.payment_intents.cancel(
            pay(client, 2300, capture_method="manual").id))
        self.kept = self.charge(client, client.v1.payment_intents.cancel(
            pay(client, 2300, token="pm_card_voidDeclined", capture_method="manual").id))
        pay(client, 2400, capture_method="manual")
        other = wallets.wallet()
        self.sent = wallets.send(purse, other, 250)
        hold = wallets.post(f"/v1/wallets/{purse}/holds", to=other, amount=300)
        self.hold = wallets.post(f"/v1/wallet_holds/{hold['id']}/capture", amount=200)
        made = wallets.post(f"/v1/wallets/{purse}/withdrawals", amount=400, bank_account={
            "account_number": "000123456789"})
        self.withdrawal = wallets.wait_for(f"/v1/wallet_withdrawals/{made['id']}", "paid")
        self.refund = client.v1.refunds.create({"charge": self.paid.id, "amount": 300})
        client.v1.refunds.create({"charge": self.split.id, "amount": 900})
        client.v1.refunds.create({"charge": self.purse.id, "amount": 100})
        client.v1.refunds.create({"charge": self.settled.id, "amount": 100})
        failing = pay(client, 2500, token="pm_card_refundFail")
        self.failed = client.v1.refunds.create({"payment_intent": failing.id, "amount": 400})
        wait_until(lambda: client.v1.refunds.retrieve(self.failed.id).status == "failed", 30,
                   "the refund's failure")
        self.failed = client.v1.refunds.retrieve(self.failed.id)
        self.lost = self.disputed(client, "lost", "losing_evidence")
        self.won = self.disputed(client, "won", "winning_evidence")
        self.asked = self.disputed(client, "warning_needs_response")
        twice = pay(client, 2700, token="pm_card_createMultipleDisputes")
        self.twice = wait_until(
            lambda: (found := client.v1.disputes.list({"payment_intent": twice.id}).data) and len(found) == 2
            and all(one.balance_transactions for one in found) and found, 30, "two disputes")
        wait_until(lambda: client.v1.balance_transactions.retrieve(
            self.settled.balance_transaction).status == "available", 30, "the settlement")
        fund(client)
        self.payout, self.failed_payout = (
            ended(client, payout(client, 700, destination=bank_account(client, number).id), status)
            for number, status in (("000123456789", "paid"), ("000222222227", "failed")))
        wait_until(lambda: metrics(self.server)["tael_attempts_open"] == 0, 30, "the end of all")
        self.server.stop()
        self.copy = folder / "copy"
        shutil.copytree(self.server.root, self.copy)

    @staticmethod
    def charge(client, intent):
        return client.v1.charges.retrieve(intent.latest_charge)

    @staticmethod
    def disputed(client, status, evidence=None):
        token = "pm_card_createDispute" if evidence else "pm_card_createDisputeInquiry"
        intent = pay(client, 2600, token=token)

        def found(statuses):
            for one in client.v1.disputes.list({"payment_intent": intent.id}).data:
                if one.status in statuses and (one.balance_transactions or not evidence):
                    return one
            return None

        dispute = wait_until(lambda: found(("needs_response", status)), 30, "the dispute")
        if evidence:
            client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})
        return wait_until(lambda: found((status,)), 30, status)

    def reset(self):
        shutil.rmtree(self.server.root)
        shutil.copytree(self.copy, self.server.root)

    def told(self):
        """What one whole comparison says, by the document that it says it of."""
        self.server.start()
        try:
            wait_until(lambda: metrics(self.server)["tael_reconcile_runs_total"] >= 1, 30,
                       "a comparison")
            wait_until(lambda: metrics(self.server)["tael_wallet_reconcile_runs_total"] >= 1, 30,
                       "a comparison of wallets")
            found = metrics(self.server)
            log = self.server.log()
        finally:
            self.server.stop()
        lines = [json.loads(line) for line in log.splitlines()
                 if '"documents, books and rail differ"' in line
                 or '"documents and books differ"' in line]
        count = found["tael_differences"] + found["tael_wallet_differences"]
        assert bool(count) == bool(lines)
        return {(line["document"], line["difference"]) for line in lines}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("reconciler"))
    yield made
    made.server.close()


def transaction(world, name):
    return getattr(world, name).balance_transaction


def test_nothing_is_found_where_nothing_differs(world):
    world.reset()
    assert world.told() == set()


def a_charge_one_less(world, stored):
    stored.add("charge", world.captured.id, "amount_captured", -1)
    return {world.captured.id, transaction(world, "captured")}


def a_charge_in_another_currency(world, stored):
    stored.change("charge", world.captured.id, currency="eur")
    return {world.captured.id, transaction(world, "captured")}


def a_charge_is_gone(world, stored):
    stored.remove("charge", world.captured.id)
    return {transaction(world, "captured")}


def an_intent_is_gone(world, stored):
    stored.remove("payment_intent", world.captured.payment_intent)
    return {world.captured.id}


def a_capture_behind_a_cancellation(world, stored):
    """A late presentment."""
    stored.change("charge", world.captured.id, captured=None, amount_captured=None, booked_by=None,
                  balance_transaction=None)
    stored.change("payment_intent", world.captured.payment_intent, status="canceled")
    stored.remove("balance_transaction", transaction(world, "captured"))
    return {world.captured.id}


def a_hold_behind_a_cancellation(world, stored):
    """Of the network that would not let go, where no item says so."""
    stored.change("charge", world.kept.id, void_refused=None)
    return {world.kept.id}


def a_line_is_gone(world, stored):
    stored.remove("balance_transaction", transaction(world, "captured"))
    return {world.captured.id}


def a_line_of_a_refund_is_gone(world, stored):
    stored.remove("balance_transaction", world.refund.balance_transaction)
    return {world.refund.id}


def a_line_twice(world, stored):
    return {stored.double("balance_transaction", transaction(world, "captured"))}


def a_line_of_a_refund_twice(world, stored):
    return {stored.double("balance_transaction", world.refund.balance_transaction)}


def a_line_one_more(world, stored):
    stored.add("balance_transaction", transaction(world, "captured"), "amount", 1)
    return {transaction(world, "captured")}


def a_fee_one_more(world, stored):
    """Of what has settled; until then no movement of the net amount is there to compare with."""
    stored.add("balance_transaction", transaction(world, "settled"), "fee", 1)
    return {transaction(world, "settled")}


def a_line_in_another_currency(world, stored):
    stored.change("balance_transaction", transaction(world, "captured"), currency="eur")
    return {transaction(world, "captured")}


def a_line_before_its_time(world, stored):
    stored.change("balance_transaction", transaction(world, "captured"), release_due=None)
    return {transaction(world, "captured")}


def a_line_of_another_day(world, stored):
    stored.add("balance_transaction", transaction(world, "captured"), "available_on", 86400)
    return {transaction(world, "captured")}


def a_refund_one_less(world, stored):
    stored.add("refund", world.refund.id, "amount", -1)
    return {world.refund.id, world.refund.balance_transaction}


def a_refund_is_gone(world, stored):
    stored.remove("refund", world.refund.id)
    return {world.refund.balance_transaction}


def a_refund_that_did_not_fail(world, stored):
    stored.change("refund", world.failed.id, status="succeeded", failure_balance_transaction=None)
    return {world.failed.id, world.failed.failure_balance_transaction}


def a_refund_that_was_refused(world, stored):
    stored.change("refund", world.refund.id, status="failed", balance_transaction=None)
    return {world.refund.id, world.refund.balance_transaction}


def a_part_of_a_wallet_one_less(world, stored):
    stored.add("charge", world.split.id, "split_captured", -1)
    return {world.split.id, transaction(world, "split"),
            world.split["split"]["wallet"]["balance_transaction"]}


def a_transfer_one_less(world, stored):
    stored.add("wallet_transfer", world.sent["id"], "amount", -1)
    return {world.sent["id"]}


def a_transfer_is_gone(world, stored):
    stored.remove("wallet_transfer", world.sent["id"])
    return {world.sent["id"]}


def a_transfer_that_failed(world, stored):
    stored.change("wallet_transfer", world.sent["id"], status="failed")
    return {world.sent["id"]}


def a_hold_captured_for_less(world, stored):
    stored.add("wallet_hold", world.hold["id"], "amount_captured", -1)
    return {world.hold["id"]}


def a_withdrawal_one_more(world, stored):
    stored.add("wallet_withdrawal", world.withdrawal["id"], "amount", 1)
    return {world.withdrawal["id"]}


def a_withdrawal_that_failed(world, stored):
    stored.change("wallet_withdrawal", world.withdrawal["id"], status="failed", paid_at=None)
    return {world.withdrawal["id"]}


def a_transfer_in_another_currency(world, stored):
    stored.change("wallet_transfer", world.sent["id"], currency="eur")
    return {world.sent["id"]}


def a_payout_one_more(world, stored):
    stored.add("payout", world.payout.id, "amount", 1)
    return {world.payout.id, world.payout.balance_transaction}


def a_payout_is_gone(world, stored):
    stored.remove("payout", world.payout.id)
    return {world.payout.balance_transaction}


def a_payout_that_failed(world, stored):
    stored.change("payout", world.payout.id, status="failed", paid_at=None, due=None)
    return {world.payout.id}


def a_payout_that_came_back(world, stored):
    stored.change("payout", world.payout.id, status="failed", due=None)
    return {world.payout.id}


def a_payout_that_was_paid(world, stored):
    stored.change("payout", world.failed_payout.id, status="paid", paid_at=1, due=None,
                  failure_balance_transaction=None)
    return {world.failed_payout.id, world.failed_payout.failure_balance_transaction}


def a_payout_that_was_canceled(world, stored):
    stored.change("payout", world.failed_payout.id, status="canceled")
    return {world.failed_payout.id, world.failed_payout.failure_balance_transaction}


def a_payout_in_another_currency(world, stored):
    stored.change("payout", world.payout.id, currency="eur")
    return {world.payout.id, world.payout.balance_transaction}


def a_line_of_a_payout_is_gone(world, stored):
    stored.remove("balance_transaction", world.failed_payout.failure_balance_transaction)
    return {world.failed_payout.id}


def a_line_of_a_payout_twice(world, stored):
    return {stored.double("balance_transaction", world.payout.balance_transaction)}


def a_line_of_a_payout_one_less(world, stored):
    stored.add("balance_transaction", world.payout.balance_transaction, "amount", -1)
    return {world.payout.balance_transaction}


def a_dispute_one_less(world, stored):
    stored.add("dispute", world.lost.id, "amount", -1)
    return {world.lost.id, world.lost.balance_transactions[0].id}


def a_dispute_is_gone(world, stored):
    stored.remove("dispute", world.won.id)
    return {line.id for line in world.won.balance_transactions}


def a_dispute_that_was_won(world, stored):
    """Nothing came again."""
    stored.change("dispute", world.lost.id, status="won", reinstation=world.lost.balance_transactions[0].id)
    return {world.lost.id}


def a_dispute_that_took_nothing(world, stored):
    stored.change("dispute", world.lost.id, withdrawal=None)
    return {world.lost.id, world.lost.balance_transactions[0].id}


def an_inquiry_that_took(world, stored):
    stored.change("dispute", world.asked.id, withdrawal=transaction(world, "captured"))
    return {world.asked.id}


def a_disputes_fee_one_more(world, stored):
    stored.add("dispute", world.lost.id, "fee", 1)
    return {world.lost.id, world.lost.balance_transactions[0].id}


def a_line_of_a_dispute_is_gone(world, stored):
    stored.remove("balance_transaction", world.won.balance_transactions[1].id)
    return {world.won.id}


def a_line_of_a_dispute_one_more(world, stored):
    stored.add("balance_transaction", world.won.balance_transactions[1].id, "amount", 1)
    return {world.won.balance_transactions[1].id}


def a_charge_of_which_more_was_taken_back(world, stored):
    """Than the network has, and than the dispute says."""
    stored.add("charge", world.lost.charge, "disputed_amount", 1)
    return {world.lost.charge, world.lost.id}


def a_charge_that_got_more_again(world, stored):
    stored.add("charge", world.won.charge, "reinstated_amount", 1)
    return {world.won.charge, world.won.id}


def ruined(stored, kind, document):
    stored.database.execute(f"UPDATE {kind} SET body = ? WHERE id = ?", ("no document of ours", document))
    return {document}


def a_transfer_that_cannot_be_read(world, stored):
    return ruined(stored, "wallet_transfer", world.sent["id"])


def a_hold_that_cannot_be_read(world, stored):
    return ruined(stored, "wallet_hold", world.hold["id"])


def a_withdrawal_that_cannot_be_read(world, stored):
    return ruined(stored, "wallet_withdrawal", world.withdrawal["id"])


def a_wallet_that_cannot_be_read(world, stored):
    return ruined(stored, "wallet", world.sent["from"])


def a_charge_that_cannot_be_read(world, stored):
    return ruined(stored, "charge", world.captured.id)


def an_intent_that_cannot_be_read(world, stored):
    ruined(stored, "payment_intent", world.captured.payment_intent)
    return {world.captured.id}


def a_refund_that_cannot_be_read(world, stored):
    return ruined(stored, "refund", world.refund.id)


def a_line_that_cannot_be_read(world, stored):
    return ruined(stored, "balance_transaction", transaction(world, "captured"))


def a_payout_that_cannot_be_read(world, stored):
    return ruined(stored, "payout", world.payout.id)


def a_dispute_that_cannot_be_read(world, stored):
    return ruined(stored, "dispute", world.won.id)


def one_of_two_disputes_that_cannot_be_read(world, stored):
    return ruined(stored, "dispute", world.twice[0].id)


def one_of_two_disputes_that_took_more(world, stored):
    stored.add("dispute", world.twice[0].id, "amount", 1)
    return {world.twice[0].id, world.twice[1].id, world.twice[0].balance_transactions[0].id}


def a_line_of_a_payout_that_is_a_disputes(world, stored):
    stored.change("balance_transaction", world.payout.balance_transaction, source=world.lost.id)
    return {world.payout.balance_transaction}


def a_line_of_a_dispute_that_is_a_refunds(world, stored):
    stored.change("balance_transaction", world.lost.balance_transactions[0].id, source=world.refund.id)
    return {world.lost.balance_transactions[0].id}


def a_dispute_of_another_charge(world, stored):
    """That charge counts nothing of it; its own has none left that would say so."""
    stored.change("dispute", world.lost.id, charge=world.paid.id)
    stored.database.execute("UPDATE dispute SET charge = ? WHERE id = ?", (world.paid.id, world.lost.id))
    return {world.lost.id}


def a_reinstation_that_is_the_withdrawal(world, stored):
    stored.change("dispute", world.won.id, reinstation=world.won.balance_transactions[0].id)
    return {world.won.balance_transactions[1].id}


def a_line_of_a_payout_that_cannot_be_read(world, stored):
    return ruined(stored, "balance_transaction", world.payout.balance_transaction)


def a_line_of_a_dispute_that_cannot_be_read(world, stored):
    return ruined(stored, "balance_transaction", world.lost.balance_transactions[0].id)


def all_that_cannot_be_read(world, stored):
    """The comparison comes to its end past them."""
    return (a_transfer_that_cannot_be_read(world, stored) | a_refund_that_cannot_be_read(world, stored) |
            a_charge_one_less(world, stored) | a_hold_captured_for_less(world, stored))


PLANTS = [
    a_payout_one_more, a_payout_is_gone, a_payout_that_failed, a_payout_that_came_back,
    a_payout_that_was_paid, a_payout_that_was_canceled, a_payout_in_another_currency,
    a_line_of_a_payout_is_gone, a_line_of_a_payout_twice, a_line_of_a_payout_one_less,
    a_dispute_one_less, a_dispute_is_gone, a_dispute_that_was_won, a_dispute_that_took_nothing,
    an_inquiry_that_took, a_disputes_fee_one_more, a_line_of_a_dispute_is_gone, a_line_of_a_dispute_one_more,
    a_charge_of_which_more_was_taken_back, a_charge_that_got_more_again,
    a_transfer_that_cannot_be_read, a_hold_that_cannot_be_read, a_withdrawal_that_cannot_be_read,
    a_wallet_that_cannot_be_read, a_charge_that_cannot_be_read, an_intent_that_cannot_be_read,
    a_refund_that_cannot_be_read, a_line_that_cannot_be_read, a_payout_that_cannot_be_read,
    a_dispute_that_cannot_be_read, one_of_two_disputes_that_cannot_be_read, one_of_two_disputes_that_took_more,
    a_line_of_a_payout_that_is_a_disputes, a_line_of_a_dispute_that_is_a_refunds, a_dispute_of_another_charge,
    a_reinstation_that_is_the_withdrawal, a_line_of_a_payout_that_cannot_be_read,
    a_line_of_a_dispute_that_cannot_be_read, all_that_cannot_be_read,
    a_transfer_one_less, a_transfer_is_gone, a_transfer_that_failed, a_hold_captured_for_less,
    a_withdrawal_one_more, a_withdrawal_that_failed, a_transfer_in_another_currency,
    a_charge_one_less, a_charge_in_another_currency, a_charge_is_gone, an_intent_is_gone,
    a_capture_behind_a_cancellation, a_hold_behind_a_cancellation, a_line_is_gone,
    a_line_of_a_refund_is_gone, a_line_twice, a_line_of_a_refund_twice, a_line_one_more, a_fee_one_more,
    a_line_in_another_currency, a_line_before_its_time, a_line_of_another_day, a_refund_one_less,
    a_refund_is_gone, a_refund_that_did_not_fail, a_refund_that_was_refused,
    a_part_of_a_wallet_one_less]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_what_was_changed_is_found_and_nothing_else(world, plant):
    world.reset()
    with Stored(world.server) as stored:
        changed = plant(world, stored)
    told = world.told()
    assert {document for document, _ in told} == changed, told
