"""A payment that a list blocks, while the server dies: it is blocked once, and nothing was asked of the network."""

import pytest
import stripe

from kit.client import sdk
from kit.server import skip_without_fault_points

LOOKS_INTO_PROCESS = True


def test_crash_of_a_blocked_payment(make_server):
    skip_without_fault_points()
    server = make_server(start=False)
    server.start()
    client = sdk(server)
    customer = client.v1.customers.create({"email": "mallory@example.com"}).id
    client.v1.radar.value_list_items.create({"value_list": "email_blocklist", "value": "mallory@example.com"})
    server.stop()
    server.start(fault="authorize-before-decline:crash")

    def attempt():
        sdk(server).v1.payment_intents.create(
            {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
             "customer": customer}, {"idempotency_key": "once"})

    with pytest.raises(stripe.APIConnectionError):
        attempt()
    server.wait_for_crash()
    server.start(fault="authorize-before-rail:crash")  # it would die of asking the network
    for _ in range(2):
        with pytest.raises(stripe.CardError) as error:
            attempt()
        assert error.value.error.decline_code == "fraudulent"
    client = sdk(server)
    (charge,) = client.v1.charges.list().data
    assert (charge.outcome.type, charge.outcome.network_status) == ("blocked", "not_sent_to_network")
    assert charge.id == error.value.error.charge
    assert len(client.v1.payment_intents.list().data) == 1
