"""What was counted for a payment that a wallet could not make is free again when its decline is durable:
once, however often the decline had to be written."""

import contextlib
import subprocess
import uuid

import pytest

from kit import postgres
from kit.client import Http
from kit.needs import needs_postgres
from kit.server import Server, wait_until, within
from kit.wallets import Wallets

pytestmark = [pytest.mark.usefixtures("one_day"), needs_postgres]

PAID, TOO_MUCH, FUNDS = 300, 1001, 1000
# The first write of a decline fails; a sequence counts on when its transaction is rolled back.
REFUSES_ONE_DECLINE = """
CREATE SEQUENCE declines;
CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF position('insufficient_funds' in NEW.body) > 0 AND nextval('declines') = 1 THEN
        RAISE EXCEPTION 'refused by the test';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_one BEFORE INSERT OR UPDATE ON payment_intent
    FOR EACH ROW EXECUTE FUNCTION refuse_one();
"""


@pytest.fixture
def server(tmp_path):
    with postgres.Postgres() as database:
        made = Server(tmp_path / "server", "--attempt-lease=1s", on_postgres=True)
        made.database = database.create(f"release_{uuid.uuid4().hex[:8]}")
        made.documents = (f"--documents={made.database}",)
        made.start()
        yield made
        made.close()


def sql(server, text):
    done = subprocess.run(["psql", "-qtA", server.database, "-v", "ON_ERROR_STOP=1", "-c", text],
                          check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def ask(server, wallet, amount):
    return Http(server, validate=False).post("/v1/payment_intents", {
        "amount": amount, "currency": "usd", "confirm": "true",
        "payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": wallet})


def limits(wallets, wallet):
    """What may still go out of it today."""
    return wallets.get(f"/v1/wallets/{wallet}")["limits"]["out"]["day"]["remaining"]


def ended(server):
    intents = Http(server, validate=False).get("/v1/payment_intents", params={"limit": 1}).json()
    return intents["data"][0]["last_payment_error"]


def test_a_decline_that_was_not_stored_frees_its_amount_once(server):
    """PAYMENTS-12."""
    wallets = Wallets(server)
    wallet = wallets.wallet(FUNDS)
    assert ask(server, wallet, PAID).json()["status"] == "succeeded"
    before = limits(wallets, wallet)
    sql(server, REFUSES_ONE_DECLINE)
    answer = ask(server, wallet, TOO_MUCH)
    assert answer.status_code == 500, answer.text
    end = wait_until(lambda: ended(server), 30, "the end of the attempt")
    with contextlib.suppress(AssertionError):  # a second release would come behind the first
        within(lambda: limits(wallets, wallet) > before, 2, "a second release")
    wait_until(lambda: limits(wallets, wallet) == before, 10, "the release")
    assert end["decline_code"] == "insufficient_funds", "it says what the ledger said the first time"
