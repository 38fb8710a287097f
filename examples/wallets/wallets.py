"""Two wallets: one is topped up by card, sends to the other by its handle, and pays an intent.

    TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... python3 wallets.py
"""

import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request

URL, KEY = os.environ["TAEL_URL"], os.environ["TAEL_KEY"]


def ask(path, form=None):
    """The answer, also if it is a refusal; `form` makes it a POST."""
    request = urllib.request.Request(
        f"{URL}/v1/{path}",
        data=None if form is None else urllib.parse.urlencode(form).encode(),
        headers={"Authorization": f"Bearer {KEY}"},
    )
    if form is not None:
        # With a key of its own a request may be sent again, and is done once.
        request.add_header("Idempotency-Key", secrets.token_hex())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code in (400, 402):
            return json.load(error)
        raise


def open_wallet(name, **form):
    customer = ask("customers", {"name": name})["id"]
    return ask("wallets", {"customer": customer, "currency": "usd", **form})["id"]


# A handle belongs to one wallet, so that this can be run many times.
grace = f"grace{secrets.randbits(64)}"
ada = open_wallet("Ada")
open_wallet("Grace", handle=grace)

# A payment whose destination is the wallet tops it up. This test card's money is there at once.
top_up = ask("payment_intents", {
    "amount": 5000, "currency": "usd", "payment_method": "pm_card_bypassPending",
    "confirm": "true", "transfer_data[destination]": ada})
print("top-up:", top_up["status"])

lunch = {"amount": 1200, "currency": "usd", "from": ada, "to": grace, "description": "Lunch"}
print("transfer:", ask("wallet_transfers", lunch)["status"])

# More than there is.
print("too much:", ask("wallet_transfers", {**lunch, "amount": 9900})["error"]["code"])

payment = ask("payment_intents", {
    "amount": 800, "currency": "usd", "confirm": "true", "payment_method_types[]": "wallet",
    "payment_method_data[type]": "wallet", "payment_method_data[wallet][id]": ada})
print("payment:", payment["status"])

print("the wallet has", ask(f"wallets/{ada}")["balance"]["available"])
