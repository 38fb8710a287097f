"""docs/operations/backup.md: a folder that was copied as it says restores."""

import shutil
import signal
import subprocess

import pytest

from kit.books import Books
from kit.client import Http, sdk
from kit.server import Server, wait_until


def fill(server):
    """A customer with a card, some payments, and a refund."""
    client = sdk(server)
    customer = client.v1.customers.create({"name": "Kept"})
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    intents = [client.v1.payment_intents.create({
        "amount": 1000 + i, "currency": "usd", "confirm": True, "customer": customer.id,
        "payment_method": card.id, "off_session": True}) for i in range(20)]
    client.v1.refunds.create({"payment_intent": intents[0].id, "amount": 100})
    return customer.id, card.id, [intent.id for intent in intents]


def expect(server, kept, balance):
    customer, card, intents = kept
    client = sdk(server)
    for intent in intents:
        assert client.v1.payment_intents.retrieve(intent).status == "succeeded"
    assert Http(server).get("/v1/balance").json() == balance
    # The vault is whole: the card can be charged again.
    again = client.v1.payment_intents.create({
        "amount": 5000, "currency": "usd", "confirm": True, "customer": customer,
        "payment_method": card, "off_session": True})
    assert again.status == "succeeded"
    Books(server).check()
    wait_until(lambda: metric(server, "tael_reconcile_runs_total") > 0, 30, "a comparison")
    assert metric(server, "tael_differences") == 0


def metric(server, name):
    from kit.books import metrics
    return metrics(server)[name]


def restored(make_server, copy):
    """A server on the copy, which proves its books first."""
    server = make_server(start=False)
    server.folder.mkdir(parents=True)
    shutil.move(copy, server.data)
    server.check_ledger()
    return server.start()


def copied(server, folder):
    copy = folder / "copy"
    subprocess.run(["cp", "-a", server.data, copy], check=True, timeout=60)
    return copy


def test_copy_of_a_stopped_folder(make_server, tmp_path):
    server = make_server()
    kept = fill(server)
    balance = Http(server).get("/v1/balance").json()
    server.stop()
    expect(restored(make_server, copied(server, tmp_path)), kept, balance)


def test_copy_of_one_instant(make_server, tmp_path):
    """A process that is frozen has the files of one instant: what a snapshot of a volume holds."""
    server = make_server()
    kept = fill(server)
    balance = Http(server).get("/v1/balance").json()
    server.process.send_signal(signal.SIGSTOP)
    try:
        copy = copied(server, tmp_path)
    finally:
        server.process.send_signal(signal.SIGCONT)
    sdk(server).v1.payment_intents.create({  # after the copy: not in it
        "amount": 7700, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}})
    expect(restored(make_server, copy), kept, balance)


@pytest.mark.parametrize("missing", ["ledger", "vault"])
def test_a_copy_without_a_part_is_noticed(make_server, tmp_path, missing):
    """Half a backup is no backup: it is refused, shows as a difference, or takes no payment by a
    card that it does not have."""
    server = make_server()
    customer, card, _ = fill(server)
    server.stop()
    copy = copied(server, tmp_path)
    shutil.rmtree(copy / missing)
    half = Server(tmp_path / "half", "--drain-timeout=1s")
    half.folder.mkdir()
    shutil.move(copy, half.data)
    try:
        try:
            half.start()
        except AssertionError:
            return  # refused to start
        if missing == "ledger":
            wait_until(lambda: metric(half, "tael_differences") > 0, 30, "a difference")
        else:
            answer = Http(half, validate=False).post("/v1/payment_intents", data={
                "amount": 900, "currency": "usd", "confirm": "true", "customer": customer,
                "payment_method": card, "off_session": "true"})
            assert answer.json().get("status") != "succeeded", answer.text
    finally:
        if half.alive():
            half.kill()
