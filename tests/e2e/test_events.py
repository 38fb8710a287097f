"""Events: one for each change, in order, with the object as it was then."""

import sqlite3

import pytest
import stripe

from kit.client import pay, sdk
from kit.server import Server


def happened(client, act):
    """Types of the events that `act` made, oldest first."""
    last = client.v1.events.list({"limit": 1}).data
    act()
    params = {"limit": 100}
    if last:
        params["ending_before"] = last[0].id
    return [event.type for event in client.v1.events.list(params).data][::-1]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server of its own: other tests' events do not come between."""
    server = Server(tmp_path_factory.mktemp("events")).start()
    yield sdk(server)
    server.close()


def decline(client):
    with pytest.raises(stripe.CardError):
        pay(client, token="pm_card_chargeDeclined")


FLOWS = {
    "create": (
        lambda client: client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}),
        {"payment_intent.created"}),
    "pay": (pay, {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}),
    "decline": (decline,
                {"payment_intent.created", "charge.failed", "payment_intent.payment_failed"}),
    "authorize": (
        lambda client: pay(client, capture_method="manual"),
        {"payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated"}),
    "customer": (lambda client: client.v1.customers.create(), {"customer.created"}),
}


@pytest.mark.parametrize("name", FLOWS)
def test_events_of_flows(own, name):
    act, wanted = FLOWS[name]
    types = happened(own, lambda: act(own))
    assert set(types) == wanted and len(types) == len(wanted), types


def test_events_of_capture(own):
    intent = pay(own, capture_method="manual")
    types = happened(own, lambda: own.v1.payment_intents.capture(intent.id))
    assert {"charge.captured", "payment_intent.succeeded"} <= set(types)
    assert len(types) == len(set(types)), types


def test_events_of_cancellation(own):
    intent = pay(own, capture_method="manual")
    types = happened(own, lambda: own.v1.payment_intents.cancel(intent.id))
    assert "payment_intent.canceled" in types and len(types) == len(set(types)), types


def test_events_of_refund(own):
    intent = pay(own)
    types = happened(own, lambda: own.v1.refunds.create({"payment_intent": intent.id}))
    assert {"refund.created", "charge.refunded"} <= set(types)
    assert len(types) == len(set(types)), types


def test_events_of_customers_and_methods(own):
    customer = own.v1.customers.create()
    types = happened(own, lambda: own.v1.customers.update(customer.id, {"name": "B"}))
    assert types == ["customer.updated"]
    method = own.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    types = happened(
        own, lambda: own.v1.payment_methods.attach(method.id, {"customer": customer.id}))
    assert types == ["payment_method.attached"]
    types = happened(own, lambda: own.v1.payment_methods.detach(method.id))
    assert types == ["payment_method.detached"]
    types = happened(own, lambda: own.v1.customers.delete(customer.id))
    assert types == ["customer.deleted"]


def test_retrieve_and_shape(own):
    intent = own.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd"}, {"idempotency_key": "event-shape"})
    event = own.v1.events.list({"type": "payment_intent.created", "limit": 1}).data[0]
    assert event.id.startswith("evt_")
    assert event.data.object.id == intent.id
    assert event.request.idempotency_key == "event-shape"
    assert event.request.id.startswith("req_")
    assert event.livemode is False
    assert own.v1.events.retrieve(event.id).to_dict() == event.to_dict()
    # The object is as it was then.
    own.v1.payment_intents.update(intent.id, {"amount": 9999})
    assert own.v1.events.retrieve(event.id).data.object.amount == 1000


def test_filters(own):
    pay(own)
    decline(own)
    for params, wanted in [
        ({"type": "payment_intent.succeeded"}, {"payment_intent.succeeded"}),
        ({"type": "payment_intent.*"}, {"payment_intent.succeeded", "payment_intent.created",
                                        "payment_intent.payment_failed"}),
        ({"types": ["charge.failed", "charge.succeeded"]}, {"charge.failed", "charge.succeeded"}),
    ]:
        types = {event.type for event in own.v1.events.list({**params, "limit": 100}).data}
        assert wanted <= types, params
        prefix = params.get("type", "charge.").removesuffix("*")
        assert all(one.startswith(prefix) for one in types)
    newest = own.v1.events.list({"limit": 1}).data[0]
    assert own.v1.events.list({"created": {"gt": newest.created + 1000}}).data == []


def test_paging(own):
    for _ in range(3):
        own.v1.customers.create()
    listed = own.v1.events.list({"type": "customer.created", "limit": 2})
    ids = [event.id for event in listed.auto_paging_iter()]
    assert len(ids) == len(set(ids)) >= 3
    assert ids == sorted(ids, reverse=True)


def test_no_such_event(own):
    with pytest.raises(stripe.InvalidRequestError) as error:
        own.v1.events.retrieve("evt_missing")
    assert error.value.http_status == 404


def previous(client, kind, object_id):
    """What the newest event of this type about the object says that changed."""
    event = next(event for event in client.v1.events.list({"type": kind, "limit": 100}).data
                 if event.data.object.id == object_id)
    return event.to_dict()["data"].get("previous_attributes")


def test_updates_tell_what_was_before(client, wallets):
    customers, methods = client.v1.customers, client.v1.payment_methods
    customer = customers.create({"name": "Ann", "email": "ann@example.com",
                                 "metadata": {"tier": "gold", "kept": "k", "gone": "g"}}).id
    customers.update(customer, {"name": "Anna", "email": "ann@example.com", "metadata": {
        "tier": "silver", "gone": "", "new": "n"}})
    assert previous(client, "customer.updated", customer) == {
        "name": "Ann", "metadata": {"tier": "gold", "gone": "g", "new": None}}
    customers.update(customer, {"name": "Anna"})
    assert previous(client, "customer.updated", customer) == {}
    visa = methods.attach("pm_card_visa", {"customer": customer}).id
    customers.update(customer, {"invoice_settings": {"default_payment_method": visa}})
    assert previous(client, "customer.updated", customer) == {
        "invoice_settings": {"default_payment_method": None}}
    methods.update(visa, {"billing_details": {"email": "a@example.com"}})
    assert previous(client, "payment_method.updated", visa) == {"billing_details": {"email": None}}
    methods.detach(visa)
    assert previous(client, "customer.updated", customer) == {
        "invoice_settings": {"default_payment_method": visa}}
    intent = pay(client)
    client.v1.charges.update(intent.latest_charge, {"description": "Tea"})
    assert previous(client, "charge.updated", intent.latest_charge) == {"description": None}
    refund = client.v1.refunds.create({"payment_intent": intent.id}).id
    client.v1.refunds.update(refund, {"metadata": {"why": "cold"}})
    assert previous(client, "refund.updated", refund) == {"metadata": {"why": None}}
    wallet = wallets.wallet(500, handle="before-and-after", tier="basic")
    wallets.post(f"/v1/wallets/{wallet}", handle="afterwards")
    assert previous(client, "wallet.updated", wallet) == {"handle": "before-and-after"}
    assert previous(client, "customer.created", customer) is None


# ---- of one object --------------------------------------------------------------------------


def ids_of(listed):
    return [event.id for event in listed]


def test_events_of_an_object(own):
    first, other = pay(own), pay(own)
    own.v1.refunds.create({"payment_intent": first.id, "amount": 500})
    everything = own.v1.events.list({"limit": 100}).data

    def about(*ids):
        return [event.id for event in everything if event.data.object.id in ids]

    assert len(about(first.id)) >= 2 and len(about(first.latest_charge)) >= 2
    assert ids_of(own.v1.events.list({"related_object": first.id}).data) == about(first.id)
    several = {"related_objects": [first.latest_charge, other.id, first.id, first.id], "limit": 2}
    assert ids_of(own.v1.events.list(several).auto_paging_iter()) == about(first.latest_charge, other.id, first.id)
    assert own.v1.events.list({"related_object": "pi_none"}).data == []
    later = {"related_object": first.id, "created": {"gt": everything[0].created}}
    assert own.v1.events.list(later).data == []


@pytest.mark.parametrize("with_it", [{"related_objects": ["ch_1"]}, {"type": "charge.*"}, {"types": ["charge.failed"]},
                                     {"delivery_success": False}])
def test_objects_go_with_no_other_filter(own, with_it):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        own.v1.events.list({"related_object": "pi_1", **with_it})
    assert (caught.value.code, caught.value.param) == ("parameters_exclusive", "related_object")


def test_events_of_before_are_not_found_by_their_object(tmp_path):
    """A database of a version that did not write down whose event it is."""
    server = Server(tmp_path / "server", cluster=False, on_postgres=False).start()
    try:
        intent = pay(sdk(server))
        server.stop()
        with sqlite3.connect(server.data / "tael.db") as database:
            indexes = database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'event' "
                                       "AND sql LIKE '%related_object%'").fetchall()
            for (name,) in indexes:
                database.execute(f'DROP INDEX "{name}"')
            database.execute("ALTER TABLE event DROP COLUMN related_object")
            database.execute("UPDATE event SET body = json_remove(body, '$.related_object')")
        assert len(indexes) == 1
        server.start()
        client = sdk(server)
        assert [event.type for event in client.v1.events.list({"type": "payment_intent.*"}).data] == [
            "payment_intent.succeeded", "payment_intent.created"]
        assert client.v1.events.list({"related_object": intent.id}).data == []
        client.v1.payment_intents.update(intent.id, {"description": "seen"})
        client.v1.charges.update(intent.latest_charge, {"description": "seen"})
        assert [event.type for event in client.v1.events.list({"related_object": intent.latest_charge}).data] == [
            "charge.updated"]
    finally:
        server.close()
