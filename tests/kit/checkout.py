"""Checkout sessions, as a shop makes them and a payer's browser pays them."""

from kit.answers import events_about

SUCCESS = "https://shop.example/paid"
QUOTE = '"'


def item(name="T-shirt", amount=1500, quantity=1, currency="usd", **product):
    return {"quantity": quantity, "price_data": {
        "currency": currency, "unit_amount": amount, "product_data": {"name": name, **product}}}


def session_of(client, **params):
    return client.v1.checkout.sessions.create({
        "mode": "payment", "line_items": [item()], "success_url": SUCCESS, **params})


def entered(number="4242 4242 4242 4242", **fields):
    """What a browser sends of the card form."""
    return {"card[number]": number, "card[expiry]": "12/34", "card[cvc]": "123", "name": "Jenny Rosen",
            "email": "jenny@example.com", "by": "card", **fields}


def assert_paid_once(client, session, amount=1500):
    """Complete, paid, with one charge that went well and one event that says so."""
    session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert session.payment_intent.status == "succeeded"
    assert session.payment_intent.amount_received == amount
    charges = client.v1.charges.list({"payment_intent": session.payment_intent.id}).data
    assert [charge.amount for charge in charges if charge.paid] == [amount]
    assert events_about(client, session.id, type="checkout.session.*") == ["checkout.session.completed"]
    return session


def make_large(http, more=""):
    """The id of a session with a hundred items, names and descriptions of their greatest length, of
    characters that JSON escapes. `more`: of the form."""
    form = f"mode=payment&success_url={SUCCESS}{more}"
    for i in range(100):
        price = f"&line_items[{i}][price_data]"
        form += (f"{price}[currency]=usd{price}[unit_amount]=100"
                 f"{price}[product_data][name]={500 * QUOTE}{price}[product_data][description]={1000 * QUOTE}")
    answer = http.post("/v1/checkout/sessions", form, headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]
