"""What tests ask of answers: how a call was refused, and which events tell of an object."""

import pytest
import stripe


def refused(call, code, status=400, param=None):
    """The SDK's exception, with this code and status, and of this parameter if one is named."""
    with pytest.raises(stripe.StripeError) as error:
        call()
    assert (error.value.http_status, error.value.code) == (status, code), error.value
    if param is not None:
        assert error.value.param == param
    return error.value


def events_about(client, object_id, **params):
    """The types of the events about an object, newest first."""
    return [event.type for event in client.v1.events.list({"limit": 100, **params}).data
            if event.data.object.id == object_id]
