"""Disputes: what the network takes back, what a merchant answers, what comes of it. The cards are
Stripe's, and so is what evidence brings."""

import pytest
import stripe

from kit.answers import refused
from kit.audit import audited
from kit.books import metrics
from kit.client import Http, pay, restricted_key, sdk
from kit.server import Server, wait_until
from kit.wallets import Wallets

FRAUD, NOT_RECEIVED = "pm_card_createDispute", "pm_card_createDisputeProductNotReceived"
INQUIRY, TWICE = "pm_card_createDisputeInquiry", "pm_card_createMultipleDisputes"
FAST = ("--issuer-dispute-delay=100ms",)
FEE = 1500
WON, LOST = ({"uncategorized_text": f"{word}_evidence"} for word in ("winning", "losing"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("disputes"), *FAST).start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(desk):
    return sdk(desk)


def disputes_of(client, intent, count=1):
    """Those of a payment, the oldest first, once there are so many and their money is withdrawn."""
    def there():
        found = client.v1.disputes.list({"payment_intent": intent.id}).data
        return found[::-1] if len(found) >= count and all(
            one.balance_transactions or one.status.startswith("warning_") for one in found) else None
    return wait_until(there, 20, "the dispute")


def disputed(client, token=FRAUD, amount=2000, **params):
    intent = pay(client, amount, token=token, **params)
    assert intent.status == "succeeded"
    (dispute,) = disputes_of(client, intent)
    return dispute


def becomes(client, dispute, status):
    def reached():
        found = client.v1.disputes.retrieve(dispute.id)
        return found if found.status == status else None
    return wait_until(reached, 20, status)


def events_of(client, dispute):
    return [event.type for event in client.v1.events.list({"limit": 100}).auto_paging_iter()
            if event.data.object.id == dispute.id][::-1]


def test_a_dispute_as_stripe_shows_it(client):
    dispute = disputed(client)
    assert dispute.id.startswith("du_") and dispute.object == "dispute"
    assert dispute.amount == 2000 and dispute.currency == "usd"
    assert dispute.status == "needs_response" and dispute.reason == "fraudulent"
    assert dispute.is_charge_refundable is False and dispute.metadata.to_dict() == {}
    details = dispute.evidence_details
    assert details.submission_count == 0 and not details.has_evidence and not details.past_due
    assert details.due_by - dispute.created == 7 * 24 * 3600
    card = dispute.payment_method_details.card
    assert card.brand == "visa" and card.case_type == "chargeback"
    assert card.network_reason_code == "10.4"
    (line,) = dispute.balance_transactions
    assert (line.amount, line.fee, line.net) == (-2000, FEE, -2000 - FEE)
    assert line.type == "adjustment" and line.reporting_category == "dispute"
    assert line.source == dispute.id
    assert [(fee.amount, fee.description) for fee in line.fee_details] == [(FEE, "Dispute fee")]
    shown = client.v1.disputes.retrieve(dispute.id, {"expand": ["charge", "payment_intent"]})
    assert shown.charge.disputed is True and shown.charge.payment_intent == shown.payment_intent.id
    assert shown.charge.amount_refunded == 0 and shown.charge.refunded is False
    line = client.v1.balance_transactions.retrieve(line.id, {"expand": ["source"]})
    assert line.source.id == dispute.id
    assert events_of(client, dispute) == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]


def test_the_other_reason(client):
    dispute = disputed(client, NOT_RECEIVED)
    assert dispute.reason == "product_not_received"
    assert dispute.payment_method_details.card.network_reason_code == "13.1"


def test_winning_evidence(client):
    dispute = disputed(client)
    sent = client.v1.disputes.update(dispute.id, {"evidence": {
        **WON, "customer_name": "Jenny Rosen"}, "metadata": {"case": "7"}})
    assert sent.status == "under_review" and sent.metadata.case == "7"
    assert sent.evidence.customer_name == "Jenny Rosen"
    assert sent.evidence_details.submission_count == 1 and sent.evidence_details.has_evidence
    won = becomes(client, dispute, "won")
    taken, given = won.balance_transactions
    assert (taken.net, given.net, given.fee) == (-2000 - FEE, 2000, 0)
    assert given.reporting_category == "dispute_reversal"
    assert events_of(client, dispute) == [
        "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated",
        "charge.dispute.updated", "charge.dispute.funds_reinstated", "charge.dispute.closed"]
    # The money is the merchant's again, so it can be given back.
    refund = client.v1.refunds.create({"charge": dispute.charge})
    assert refund.status == "succeeded" and refund.amount == 2000


def test_losing_evidence(client):
    dispute = disputed(client)
    client.v1.disputes.update(dispute.id, {"evidence": LOST})
    lost = becomes(client, dispute, "lost")
    assert len(lost.balance_transactions) == 1
    assert events_of(client, dispute)[-1] == "charge.dispute.closed"
    refused(lambda: client.v1.refunds.create({"charge": dispute.charge}), "charge_disputed")


def test_evidence_is_staged_and_merged(client):
    dispute = disputed(client)
    first = client.v1.disputes.update(dispute.id, {
        "submit": False, "evidence": {"customer_name": "Jenny", "shipping_date": "May 1"}})
    assert first.status == "needs_response" and first.evidence_details.has_evidence
    assert first.evidence_details.submission_count == 0
    second = client.v1.disputes.update(dispute.id, {
        "submit": False, "evidence": {"customer_name": "", "uncategorized_text": "losing_evidence"}})
    assert second.evidence.customer_name is None and second.evidence.shipping_date == "May 1"
    noted = client.v1.disputes.update(dispute.id, {"metadata": {"a": "b"}})
    assert noted.status == "needs_response" and noted.metadata.a == "b"
    handed_in = client.v1.disputes.update(dispute.id, {"submit": True})
    assert handed_in.status == "under_review" and handed_in.evidence.shipping_date == "May 1"
    becomes(client, dispute, "lost")
    updates = [event for event in client.v1.events.list({
        "type": "charge.dispute.updated", "limit": 100}).auto_paging_iter()
        if event.data.object.id == dispute.id][::-1]
    assert updates[0].data.previous_attributes["evidence"]["customer_name"] is None
    assert updates[-1].data.previous_attributes["status"] == "needs_response"
    refused(lambda: client.v1.disputes.update(dispute.id, {"evidence": WON}), "dispute_unexpected_state")


def test_closing_is_accepting(client):
    dispute = disputed(client)
    closed = client.v1.disputes.close(dispute.id)
    assert closed.status == "lost" and len(closed.balance_transactions) == 1
    assert events_of(client, dispute)[-1] == "charge.dispute.closed"
    refused(lambda: client.v1.disputes.close(dispute.id), "dispute_unexpected_state")
    # That the network says the same once more changes nothing.
    disputed(client)
    assert events_of(client, dispute).count("charge.dispute.closed") == 1


def test_closing_while_under_review(client):
    dispute = disputed(client)
    client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "we did it"}})
    assert client.v1.disputes.close(dispute.id).status == "lost"


def test_without_an_answer_it_is_lost(make_server):
    server = make_server(*FAST, "--issuer-dispute-due=1s")
    client = sdk(server)
    dispute, inquiry = disputed(client), disputed(client, INQUIRY)
    becomes(client, dispute, "lost")
    becomes(client, inquiry, "warning_closed")


def test_one_that_is_due_soon_is_told(make_server):
    server = make_server(*FAST, "--issuer-dispute-due=1h")
    client = sdk(server)
    dispute = disputed(client)
    wait_until(lambda: metrics(server)["tael_disputes_due_soon"] == 1, 20, "the alarm")
    client.v1.disputes.close(dispute.id)
    wait_until(lambda: metrics(server)["tael_disputes_due_soon"] == 0, 20, "its end")


def test_an_inquiry_moves_nothing(client):
    dispute = disputed(client, INQUIRY)
    assert dispute.status == "warning_needs_response" and dispute.balance_transactions == []
    assert dispute.payment_method_details.card.case_type == "inquiry"
    assert dispute.is_charge_refundable is True
    assert client.v1.charges.retrieve(dispute.charge).disputed is True
    refused(lambda: client.v1.disputes.close(dispute.id), "dispute_unexpected_state")
    assert client.v1.refunds.create({"charge": dispute.charge, "amount": 500}).status == "succeeded"
    sent = client.v1.disputes.update(dispute.id, {"evidence": WON})
    assert sent.status == "warning_under_review"
    closed = becomes(client, dispute, "warning_closed")
    assert closed.balance_transactions == []
    assert "charge.dispute.funds_withdrawn" not in events_of(client, dispute)


def test_an_inquiry_grows(client):
    dispute = disputed(client, INQUIRY, 3000)
    client.v1.refunds.create({"charge": dispute.charge, "amount": 1000})
    client.v1.disputes.update(dispute.id, {"evidence": {
        "uncategorized_text": "escalate_inquiry_evidence"}})
    becomes(client, dispute, "needs_response")
    (grown,) = [one for one in disputes_of(client, client.v1.payment_intents.retrieve(
        dispute.payment_intent))]
    assert grown.amount == 2000 and grown.id == dispute.id
    (line,) = grown.balance_transactions
    assert line.net == -2000 - FEE
    client.v1.disputes.update(dispute.id, {"evidence": WON})
    becomes(client, dispute, "won")


def test_several_disputes_of_a_payment(client):
    intent = pay(client, 2001, token=TWICE)
    first, second = disputes_of(client, intent, 2)
    assert {first.amount, second.amount} == {1000, 1001}
    client.v1.disputes.update(first.id, {"evidence": WON})
    client.v1.disputes.update(second.id, {"evidence": LOST})
    becomes(client, first, "won")
    becomes(client, second, "lost")


def test_what_is_left_is_disputed(make_server):
    """DISPUTE-3: a part was given back before: all of it, and there is no dispute."""
    server = make_server("--issuer-dispute-delay=3s")
    client = sdk(server)

    def refunded(amount):
        """A payment of which so much was given back before its dispute came."""
        while True:
            intent = pay(client, 2000, token=FRAUD)
            try:
                if client.v1.refunds.create({"payment_intent": intent.id, "amount": amount}).status == "succeeded":
                    return intent
            except stripe.InvalidRequestError as error:
                assert error.code == "charge_disputed"

    whole, part = refunded(2000), refunded(1500)
    (dispute,) = disputes_of(client, part)
    assert dispute.amount == 500
    assert client.v1.disputes.list({"payment_intent": whole.id}).data == []
    assert client.v1.charges.retrieve(whole.latest_charge).disputed is False


def test_captured_later(client):
    intent = pay(client, 2000, token=FRAUD, capture_method="manual")
    intent = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1200})
    (dispute,) = disputes_of(client, intent)
    assert dispute.amount == 1200


def test_never_captured(client):
    """What was not taken is not taken back."""
    intent = pay(client, 2000, token=FRAUD, capture_method="manual")
    disputed(client)
    assert client.v1.disputes.list({"payment_intent": intent.id}).data == []
    client.v1.payment_intents.cancel(intent.id)


def test_only_the_cards_part_of_a_split_payment(desk, client):
    wallets = Wallets(desk)
    purse = wallets.wallet(5000)
    intent = pay(client, 2000, token=FRAUD, split={"wallet": purse, "amount": 700})
    (dispute,) = disputes_of(client, intent)
    assert dispute.amount == 1300
    assert wallets.balance(purse)["posted"] == 4300


def test_of_settled_money(make_server):
    """It comes out of what is available, and a reversal goes back there."""
    server = make_server("--issuer-dispute-delay=2s", "--settlement-delay=0s")
    client = sdk(server)
    intent = pay(client, 2000, token=FRAUD)
    wait_until(lambda: client.v1.balance_transactions.retrieve(client.v1.charges.retrieve(
        intent.latest_charge).balance_transaction).status == "available", 20, "the settlement")
    (dispute,) = disputes_of(client, intent)
    assert [line.status for line in dispute.balance_transactions] == ["available"]
    before = client.v1.balance.retrieve().available[0].amount
    assert before == 2000 - 88 - 2000 - FEE
    client.v1.disputes.update(dispute.id, {"evidence": WON})
    becomes(client, dispute, "won")
    assert client.v1.balance.retrieve().available[0].amount == before + 2000


@pytest.mark.parametrize("currency, amount, fee", [
    ("jpy", 5000, 1500), ("isk", 500000, None), ("bhd", 9000, None), ("eur", 5000, 1500)])
def test_the_fee_in_other_currencies(client, currency, amount, fee):
    dispute = disputed(client, amount=amount, currency=currency)
    (line,) = dispute.balance_transactions
    assert dispute.amount == amount and line.amount == -amount
    assert line.fee == fee if fee is not None else line.fee > 0
    if currency == "isk":
        assert line.fee % 100 == 0


def test_files_and_lengths_are_refused(client):
    dispute = disputed(client)
    refused(lambda: client.v1.disputes.update(dispute.id, {"evidence": {"receipt": "file_1"}}),
            "parameter_unsupported", param="evidence[receipt]")
    refused(lambda: client.v1.disputes.update(dispute.id, {"evidence": {"customer_name": "x" * 5001}}),
            "parameter_invalid_string_too_long", param="evidence[customer_name]")
    large = {name: "x" * 20000 for name in (
        "access_activity_log", "cancellation_policy_disclosure", "cancellation_rebuttal",
        "duplicate_charge_explanation", "product_description", "refund_policy_disclosure",
        "refund_refusal_explanation", "uncategorized_text")}
    refused(lambda: client.v1.disputes.update(dispute.id, {"evidence": large}),
            "parameter_invalid_string_too_long", param="evidence")
    refused(lambda: client.v1.disputes.update(dispute.id, {"evidence": {"color": "red"}}),
            "parameter_unknown")
    assert client.v1.disputes.retrieve(dispute.id).status == "needs_response"
    large.pop("uncategorized_text")
    client.v1.disputes.update(dispute.id, {"evidence": large, "submit": False})
    assert client.v1.disputes.update(dispute.id, {"submit": True}).status == "under_review"


def test_lists(client):
    one, other = disputed(client), disputed(client)
    assert [found.id for found in client.v1.disputes.list({"charge": one.charge}).data] == [one.id]
    newest = client.v1.disputes.list({"limit": 1})
    assert newest.data[0].id == other.id and newest.has_more
    everything = [found.id for found in client.v1.disputes.list({"limit": 2}).auto_paging_iter()]
    assert len(everything) == len(set(everything)) and {one.id, other.id} <= set(everything)
    recent = client.v1.disputes.list({"created": {"gt": other.created + 5}})
    assert recent.data == []
    found = client.v1.charges.search({"query": "disputed:'true'", "limit": 100}).data
    assert {one.charge, other.charge} <= {charge.id for charge in found}


def test_an_idempotency_key_hands_in_once(desk, client):
    http = Http(desk)
    dispute = disputed(client)
    body = {"evidence[uncategorized_text]": "we did it"}
    answers = [http.post(f"/v1/disputes/{dispute.id}", body, headers={"Idempotency-Key": dispute.id})
               for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert http.post(f"/v1/disputes/{dispute.id}", body).status_code == 400


def test_no_such_dispute(client):
    for call in (client.v1.disputes.retrieve, client.v1.disputes.close, client.v1.disputes.update):
        refused(lambda call=call: call("du_missing"), "resource_missing", 404)


def test_restricted_keys(desk, client):
    dispute = disputed(client)

    def holder(permissions):
        return sdk(desk, restricted_key(desk, permissions))

    reader, other = holder("disputes:read"), holder("charges:write,refunds:write")
    assert reader.v1.disputes.retrieve(dispute.id).id == dispute.id
    for call in (lambda: reader.v1.disputes.update(dispute.id, {"metadata": {"a": "b"}}),
                 lambda: reader.v1.disputes.close(dispute.id),
                 lambda: other.v1.disputes.list(),
                 lambda: other.v1.disputes.retrieve(dispute.id)):
        refused(call, None, 403)
    assert holder("disputes:write").v1.disputes.close(dispute.id).status == "lost"


def test_a_refund_and_a_dispute_at_once(make_server):
    """DISPUTE-3: never more goes back than was taken, whichever of them the network has first."""
    server = make_server("--issuer-dispute-delay=300ms", "--issuer-latency=150ms", "--issuer-jitter=200ms",
                         "--settlement-delay=1s")
    client = sdk(server)
    intents = [pay(client, 2000, token=FRAUD) for _ in range(6)]
    for intent in intents * 3:
        try:
            client.v1.refunds.create({"payment_intent": intent.id, "amount": 300})
        except stripe.InvalidRequestError as error:
            assert error.code == "charge_disputed"
    for intent in intents:
        (dispute,) = disputes_of(client, intent)
        charge = client.v1.charges.retrieve(intent.latest_charge)
        assert dispute.amount + charge.amount_refunded == 2000
        assert dispute.amount in (1100, 1400, 1700, 2000)
        client.v1.disputes.close(dispute.id)
    audited(server)
