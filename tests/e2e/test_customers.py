"""Customers and their payment methods."""

import concurrent.futures
import sqlite3
import time

import pytest
import stripe

from kit.answers import events_about, refused
from kit.client import card, pay, sdk
from kit.hung import hung_thread
from kit.vault import vault_file


def test_create_retrieve_update_delete(client):
    customers = client.v1.customers
    customer = customers.create({
        "name": "Jenny Rosen", "email": "jenny@example.com", "phone": "+15555550100",
        "description": "First", "metadata": {"tier": "gold"},
        "address": {"line1": "1 Main Street", "city": "Paris", "country": "FR"},
        "shipping": {"name": "Jenny", "address": {"line1": "2 Side Street"}},
        "preferred_locales": ["fr", "en"],
    })
    assert customer.id.startswith("cus_")
    assert customer.address.city == "Paris"
    assert customer.preferred_locales == ["fr", "en"]
    assert customers.retrieve(customer.id).to_dict() == customer.to_dict()
    customer = customers.update(customer.id, {"name": "", "email": "j@example.com",
                                              "metadata": {"tier": ""}})
    assert customer.name is None
    assert customer.email == "j@example.com"
    assert customer.metadata.to_dict() == {}
    assert customer.description == "First"
    gone = customers.delete(customer.id)
    assert gone.deleted is True and gone.id == customer.id
    again = customers.retrieve(customer.id)
    assert again.deleted is True
    with pytest.raises(stripe.InvalidRequestError) as error:
        customers.update(customer.id, {"name": "ghost"})
    assert error.value.http_status == 404 and error.value.code == "resource_missing"
    with pytest.raises(stripe.InvalidRequestError):
        pay(client, customer=customer.id)


def test_an_address_is_shown_whole_and_replaced_whole(client):
    nothing = dict.fromkeys(["city", "country", "line1", "line2", "postal_code", "state"])
    customers = client.v1.customers
    customer = customers.create({
        "address": {"line1": "1 Main Street", "line2": "", "city": "Paris"},
        "shipping": {"name": "Jenny", "address": {"line1": "2 Side Street"}}})
    assert customer.address.to_dict() == {**nothing, "line1": "1 Main Street", "city": "Paris"}
    assert customer.shipping.to_dict() == {
        "address": {**nothing, "line1": "2 Side Street"}, "carrier": None, "name": "Jenny",
        "phone": None, "tracking_number": None}
    customer = customers.update(customer.id, {
        "address": {"line1": "9 New Road"}, "shipping": {"address": {"city": "Rome"}}})
    assert customer.address.to_dict() == {**nothing, "line1": "9 New Road"}
    assert "name" not in customer.shipping
    assert customer.shipping.address.to_dict() == {**nothing, "city": "Rome"}
    customer = customers.update(customer.id, {"address": "", "name": "Jenny"})
    assert customer.address is None and customer.shipping.address.city == "Rome"
    assert customers.retrieve(customer.id).to_dict() == customer.to_dict()


def test_list_by_email(client):
    email = "only-one@example.com"
    ids = [client.v1.customers.create({"email": email}).id for _ in range(3)]
    client.v1.customers.create({"email": "another@example.com"})
    listed = client.v1.customers.list({"email": email, "limit": 2})
    assert [customer.id for customer in listed.auto_paging_iter()] == ids[::-1]
    assert client.v1.customers.list({"email": "nobody@example.com"}).data == []


def test_deleted_customer_is_not_listed(client):
    customer = client.v1.customers.create({"email": "leaving@example.com"})
    client.v1.customers.delete(customer.id)
    assert client.v1.customers.list({"email": "leaving@example.com"}).data == []


def test_a_deleted_customer_is_expanded_as_what_is_left(client, wallets):
    customer = client.v1.customers.create({"email": "leaving@example.com"}).id
    intent = pay(client, customer=customer)
    purse = wallets.wallet(customer=customer)
    left = client.v1.customers.delete(customer).to_dict()
    assert left == {"id": customer, "object": "customer", "deleted": True}
    intents, expand = client.v1.payment_intents, {"expand": ["customer", "latest_charge.customer"]}
    shown = intents.retrieve(intent.id, expand)
    assert shown.customer.to_dict() == left == shown.latest_charge.customer.to_dict()
    assert intents.retrieve(intent.id).customer == customer
    (listed,) = intents.list({"customer": customer, "expand": [
        "data.customer.invoice_settings.default_payment_method"]}).data
    assert listed.customer.deleted
    shown = wallets.get(f"/v1/wallets/{purse}", **{"expand[]": "customer"})
    assert shown["customer"] == left


def test_default_payment_method(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    customer = client.v1.customers.update(customer.id, {
        "invoice_settings": {"default_payment_method": method.id},
        "expand": ["invoice_settings.default_payment_method"],
    })
    assert customer.invoice_settings.default_payment_method.id == method.id


def test_a_default_payment_method_is_the_customer_s(client):
    customers, methods = client.v1.customers, client.v1.payment_methods
    param = "invoice_settings[default_payment_method]"

    def default(method):
        return {"invoice_settings": {"default_payment_method": method}}

    visa = methods.create({"type": "card", "card": card()}).id
    customer = customers.create({"payment_method": visa, **default(visa)})
    assert customer.invoice_settings.default_payment_method == visa
    other = customers.create({"payment_method": "pm_card_visa", **default("pm_card_visa")})
    listed = customers.payment_methods.list(other.id)
    assert other.invoice_settings.default_payment_method == listed.data[0].id
    loose = methods.create({"type": "card", "card": card()}).id
    for method in ("pm_missing", loose, listed.data[0].id):
        refused(lambda method=method: customers.update(customer.id, default(method)),
                "resource_missing", param=param)
        refused(lambda method=method: customers.create(default(method)),
                "resource_missing", param=param)
    assert customers.retrieve(customer.id).invoice_settings.default_payment_method == visa
    assert customers.update(other.id, default("")).invoice_settings.default_payment_method is None
    methods.detach(visa)
    assert customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    assert events_about(client, customer.id)[0] == "customer.updated"


def test_create_with_payment_method(client):
    customer = client.v1.customers.create({"payment_method": "pm_card_visa"})
    listed = client.v1.customers.payment_methods.list(customer.id)
    assert [method.card.last4 for method in listed.data] == ["4242"]


def test_payment_methods_of_a_customer(client):
    customer = client.v1.customers.create()
    visa = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    amex = client.v1.payment_methods.attach("pm_card_amex", {"customer": customer.id})
    assert visa.customer == customer.id
    listed = client.v1.customers.payment_methods.list(customer.id)
    assert [method.id for method in listed.data] == [amex.id, visa.id]
    assert listed.url == f"/v1/customers/{customer.id}/payment_methods"
    same = client.v1.payment_methods.list({"customer": customer.id, "type": "card"})
    assert [method.id for method in same.data] == [amex.id, visa.id]
    one = client.v1.customers.payment_methods.retrieve(customer.id, visa.id)
    assert one.id == visa.id
    other = client.v1.customers.create()
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.customers.payment_methods.retrieve(other.id, visa.id)
    assert error.value.http_status == 404
    client.v1.payment_methods.detach(visa.id)
    listed = client.v1.customers.payment_methods.list(customer.id)
    assert [method.id for method in listed.data] == [amex.id]


def test_deleting_detaches(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    client.v1.customers.delete(customer.id)
    assert client.v1.payment_methods.retrieve(method.id).customer is None
    assert events_about(client, method.id)[0] == "payment_method.detached"


def detached(client, customer, method):
    client.v1.payment_methods.detach(method)


def deleted(client, customer, method):
    client.v1.customers.delete(customer)


@pytest.mark.parametrize("leave", [detached, deleted])
def test_a_card_that_left_its_customer_is_not_used_again(client, leave):
    """PAYMENTS-13."""
    customer = client.v1.customers.create().id
    method = client.v1.payment_methods.create({"type": "card", "card": card()}).id
    client.v1.setup_intents.create({
        "customer": customer, "payment_method": method, "confirm": True, "usage": "off_session",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}})
    waits = client.v1.payment_intents.create({
        "amount": 1000, "currency": "usd", "customer": customer, "payment_method": method})
    leave(client, customer, method)
    other = client.v1.customers.create().id
    for call in (
            lambda: pay(client, token=method),
            lambda: pay(client, token=method, off_session=True),
            lambda: client.v1.payment_intents.confirm(waits.id),
            lambda: client.v1.payment_methods.attach(method, {"customer": other}),
            lambda: client.v1.customers.create({"payment_method": method}),
            lambda: client.v1.setup_intents.create({"payment_method": method, "confirm": True})):
        refused(call, "payment_method_not_reusable", param="payment_method")
    assert client.v1.payment_methods.retrieve(method).customer is None


def test_a_customer_who_is_deleted_while_a_card_is_attached(make_server):
    server = make_server(cluster=False)
    client = sdk(server)
    customer = client.v1.customers.create().id
    method = client.v1.payment_methods.create({"type": "card", "card": card()}).id
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with hung_thread(server.process, "cards"):  # whom the attachment waits for
            attached = pool.submit(
                client.v1.payment_methods.attach, method, {"customer": customer})
            time.sleep(0.1)
            client.v1.customers.delete(customer)
        refused(attached.result, "resource_missing", param="customer")
    assert client.v1.payment_methods.retrieve(method).customer is None


def test_no_such_customer(client):
    for act in (client.v1.customers.retrieve, client.v1.customers.delete,
                client.v1.customers.update, client.v1.customers.payment_methods.list):
        with pytest.raises(stripe.InvalidRequestError) as error:
            act("cus_missing")
        assert error.value.http_status == 404
        assert error.value.code == "resource_missing"
        assert "cus_missing" in str(error.value)


# ---- payment methods -----------------------------------------------------------------------


@pytest.mark.parametrize("number, brand, funding, last4", [
    ("4242424242424242", "visa", "credit", "4242"),
    ("4000056655665556", "visa", "debit", "5556"),
    ("5555555555554444", "mastercard", "credit", "4444"),
    ("2223003122003222", "mastercard", "credit", "3222"),
    ("5200828282828210", "mastercard", "debit", "8210"),
    ("5105105105105100", "mastercard", "prepaid", "5100"),
    ("378282246310005", "amex", "credit", "0005"),
    ("371449635398431", "amex", "credit", "8431"),
    ("6011111111111117", "discover", "credit", "1117"),
    ("6011000990139424", "discover", "credit", "9424"),
    ("6011981111111113", "discover", "debit", "1113"),
    ("3056930009020004", "diners", "credit", "0004"),
    ("36227206271667", "diners", "credit", "1667"),
    ("3566002020360505", "jcb", "credit", "0505"),
    ("6200000000000005", "unionpay", "credit", "0005"),
])
def test_brands(client, number, brand, funding, last4):
    cvc = "1234" if brand == "amex" else "123"
    method = client.v1.payment_methods.create({"type": "card", "card": card(number, cvc=cvc)})
    assert method.id.startswith("pm_")
    shown = method.card
    assert (shown.brand, shown.funding, shown.last4) == (brand, funding, last4)
    assert (shown.exp_month, shown.exp_year) == (12, 2034)
    assert pay(client, token=method.id).status == "succeeded"


def test_number_with_spaces_and_no_cvc(client):
    method = client.v1.payment_methods.create({
        "type": "card",
        "card": {"number": "4242 4242 4242 4242", "exp_month": 1, "exp_year": 2040},
    })
    assert method.card.last4 == "4242"


def test_same_number_same_fingerprint(client):
    def fingerprint(number):
        made = client.v1.payment_methods.create({"type": "card", "card": card(number)})
        return made.card.fingerprint

    visa = fingerprint("4242424242424242")
    assert fingerprint("4242424242424242") == visa
    assert fingerprint("5555555555554444") != visa
    assert "4242" not in visa


def test_billing_details_and_metadata(client):
    billing = {
        "name": "Ada", "email": "ada@example.com", "phone": "+44",
        "address": {"line1": "1 Main Street", "line2": "Flat 2", "city": "London",
                    "state": "LDN", "postal_code": "N1 9GU", "country": "GB"},
    }
    method = client.v1.payment_methods.create({
        "type": "card", "card": card(), "billing_details": billing, "metadata": {"a": "b"}})
    assert method.billing_details.address.to_dict() == billing["address"]
    assert method.metadata.to_dict() == {"a": "b"}
    method = client.v1.payment_methods.update(method.id, {
        "billing_details": {"name": "Grace"}, "card": {"exp_month": 5, "exp_year": 2040},
        "metadata": {"c": "d"}})
    assert method.billing_details.name == "Grace"
    assert (method.card.exp_month, method.card.exp_year) == (5, 2040)
    assert method.metadata.to_dict() == {"a": "b", "c": "d"}
    assert client.v1.payment_methods.retrieve(method.id).to_dict() == method.to_dict()


def test_changed_billing_details_leave_the_others(client):
    whole = {"name": "Ada \\ \"Love\" 🦆", "email": "ada@example.com",
             "address": {"line1": "1 Main Street", "postal_code": "N1 9GU"}}
    methods = client.v1.payment_methods
    method = methods.create({"type": "card", "card": card("4000000000000036"),
                             "billing_details": whole})
    shown = methods.update(method.id, {"billing_details": {"phone": "+44"}}).billing_details
    assert (shown.name, shown.email, shown.phone) == (whole["name"], "ada@example.com", "+44")
    assert (shown.address.line1, shown.address.postal_code) == ("1 Main Street", "N1 9GU")
    # The issuer still looks at the postal code.
    checks = pay(client, token=method.id, expand=["payment_method"]).payment_method.card.checks
    assert checks.address_postal_code_check == "fail"
    shown = methods.update(method.id, {
        "billing_details": {"email": "", "address": {"city": "London"}}}).billing_details
    assert (shown.name, shown.email, shown.phone) == (whole["name"], None, "+44")
    assert (shown.address.line1, shown.address.city) == ("1 Main Street", "London")
    shown = methods.update(method.id, {"billing_details": {"address": ""}}).billing_details
    assert (shown.name, shown.address.line1, shown.address.city) == (whole["name"], None, None)
    assert methods.update(method.id, {"billing_details": ""}).billing_details.name is None


@pytest.fixture(name="several")
def fixture_several(client, wallets):
    """A customer with two cards and a wallet, oldest first."""
    customer = client.v1.customers.create().id
    made = [client.v1.payment_methods.create(params).id for params in (
        {"type": "card", "card": card()},
        {"type": "wallet", "wallet": {"id": wallets.wallet()}},
        {"type": "card", "card": card("5555555555554444"), "allow_redisplay": "always"})]
    for method in made:
        client.v1.payment_methods.attach(method, {"customer": customer})
    return customer, made


def test_payment_methods_of_a_type(client, several):
    customer, (visa, wallet, mastercard) = several
    lists = (lambda params: client.v1.payment_methods.list({"customer": customer, **params}),
             lambda params: client.v1.customers.payment_methods.list(customer, params))
    for found in lists:
        def ids(found=found, **params):
            return [method.id for method in found({"limit": 1, **params}).auto_paging_iter()]

        assert ids() == [mastercard, wallet, visa]
        assert ids(type="card") == [mastercard, visa]
        assert ids(type="wallet") == [wallet]
        assert ids(type="mobile_qr") == []
        assert ids(allow_redisplay="always") == [mastercard]
        assert ids(allow_redisplay="unspecified", type="card") == [visa]
        assert ids(type="card", ending_before=visa) == [mastercard]
        assert not found({"type": "card", "limit": 2}).has_more
        assert found({"type": "card", "limit": 1}).has_more


def test_looking_for_a_type_has_an_end(client):
    def make(_):
        return client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(1025)))
    error = refused(lambda: client.v1.payment_methods.list({"type": "mobile_qr"}), None)
    assert "looked at 1025" in str(error)
    assert len(client.v1.payment_methods.list({"type": "card", "limit": 100}).data) == 100
    mine = {"type": "mobile_qr", "customer": client.v1.customers.create().id}
    assert client.v1.payment_methods.list(mine).data == []


def test_what_is_given_of_a_method_is_kept(client):
    given = {"allow_redisplay": "limited", "metadata": {"a": "b"}}
    intent = pay(client, token=None, payment_method_data={"type": "card", "card": card(), **given},
                 expand=["payment_method"])
    method = intent.payment_method
    assert method.allow_redisplay == "limited" and method.metadata.to_dict() == {"a": "b"}
    method = client.v1.payment_methods.update(method.id, {"allow_redisplay": "always"})
    assert method.allow_redisplay == "always" and method.metadata.to_dict() == {"a": "b"}
    refused(lambda: client.v1.payment_methods.update(method.id, {"allow_redisplay": "never"}),
            None, param="allow_redisplay")


def test_attach_detach(client):
    customer = client.v1.customers.create()
    other = client.v1.customers.create()
    method = client.v1.payment_methods.create({"type": "card", "card": card()})
    assert method.customer is None
    method = client.v1.payment_methods.attach(
        method.id, {"customer": customer.id, "expand": ["customer"]}
    )
    assert method.customer.id == customer.id
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_methods.attach(method.id, {"customer": other.id})
    assert pay(client, token=method.id, customer=customer.id).status == "succeeded"
    method = client.v1.payment_methods.detach(method.id)
    assert method.customer is None
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_methods.detach(method.id)


def test_card_that_cannot_be_attached(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.create(
        {"type": "card", "card": card("4000000000000002")}
    )
    with pytest.raises(stripe.CardError) as error:
        client.v1.payment_methods.attach(method.id, {"customer": customer.id})
    assert error.value.code == "card_declined"
    assert client.v1.payment_methods.retrieve(method.id).customer is None


def test_attach_ok_charge_fails(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": customer.id}
    )
    with pytest.raises(stripe.CardError) as error:
        pay(client, token=method.id, customer=customer.id)
    assert error.value.code == "card_declined"


def test_attach_to_nobody(client):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_methods.attach("pm_card_visa", {"customer": "cus_missing"})
    # Named in the body, not in the path: the request is wrong, the resource is there.
    assert error.value.http_status == 400
    assert error.value.code == "resource_missing" and error.value.param == "customer"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_methods.attach("pm_card_visa", {})
    assert error.value.param == "customer"


@pytest.mark.parametrize("change, code", [
    ({"number": "4242424242424241"}, "incorrect_number"),
    ({"number": "4242"}, "invalid_number"),
    ({"number": "abcd"}, "invalid_number"),
    ({"exp_month": 13}, "invalid_expiry_month"),
    ({"exp_month": 0}, "invalid_expiry_month"),
    ({"exp_year": 1999}, "invalid_expiry_year"),
    ({"exp_year": 2120}, "invalid_expiry_year"),
    ({"cvc": "12"}, "invalid_cvc"),
    ({"cvc": "12a"}, "invalid_cvc"),
])
def test_bad_cards(client, change, code):
    with pytest.raises(stripe.CardError) as error:
        client.v1.payment_methods.create({"type": "card", "card": {**card(), **change}})
    assert error.value.code == code
    assert error.value.http_status == 402
    member = {"number": "number", "exp_month": "exp_month", "exp_year": "exp_year",
              "cvc": "cvc"}[next(iter(change))]
    assert member in error.value.param


@pytest.mark.parametrize("missing", ["number", "exp_month", "exp_year"])
def test_incomplete_card(client, missing):
    given = card()
    del given[missing]
    with pytest.raises(stripe.StripeError) as error:
        client.v1.payment_methods.create({"type": "card", "card": given})
    assert error.value.http_status in (400, 402)
    assert missing in error.value.error.param


@pytest.mark.parametrize("wrong, code", [
    ({"exp_month": 13}, "invalid_expiry_month"), ({"exp_year": 2020}, "invalid_expiry_year"),
    ({"exp_year": 2120}, "invalid_expiry_year")])
def test_a_renewed_card_expires_later(client, wrong, code):
    methods = client.v1.payment_methods
    method = methods.create({"type": "card", "card": card()})
    refused(lambda: methods.update(method.id, {"card": wrong}), code, 402, next(iter(wrong)))
    shown = methods.retrieve(method.id).card
    assert (shown.exp_month, shown.exp_year) == (12, 2034)
    shown = methods.update(method.id, {"card": {"exp_year": 36}}).card
    assert (shown.exp_month, shown.exp_year) == (12, 2036)
    assert shown.fingerprint == method.card.fingerprint
    intent = pay(client, token=method.id, expand=["latest_charge"])
    assert intent.latest_charge.payment_method_details.card.exp_year == 2036


def test_the_vault_hears_that_a_card_was_renewed(make_server):
    server = make_server()
    client = sdk(server)
    method = client.v1.payment_methods.create({"type": "card", "card": card()}).id
    client.v1.payment_methods.update(method, {"card": {"exp_month": 3, "exp_year": 2041}})
    pay(client, token=method)
    server.stop()
    with sqlite3.connect(vault_file(server)) as database:
        assert {expiry for (expiry,) in database.execute("SELECT expiry FROM card")} == {
            203412, 204103}
    database.close()


def test_what_is_no_card_has_no_expiry(client, wallets):
    method = client.v1.payment_methods.create({
        "type": "wallet", "wallet": {"id": wallets.wallet()}}).id
    refused(lambda: client.v1.payment_methods.update(method, {"card": {"exp_year": 2040}}),
            "parameter_unknown", param="card")
