"""The three ways to pay with codes: a code of one payment and a code at a till, which a wallet
scans, and a code that the payer shows.

    TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... python3 qr.py
"""

import json
import os
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
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code in (400, 402):
            return json.load(error)
        raise


customer = ask("customers", {"name": "Ada"})["id"]
wallet = ask("wallets", {"customer": customer, "currency": "usd"})["id"]
ask(f"test_helpers/wallets/{wallet}/fund_balance", {"amount": 5000, "currency": "usd"})

# The merchant shows the code of one payment; its picture is at image_url_png and image_url_svg.
intent = ask("payment_intents", {
    "amount": 1250, "currency": "usd", "confirm": "true", "payment_method_types[]": "mobile_qr",
    "payment_method_data[type]": "mobile_qr"})
print("intent:", intent["status"])
shown = intent["next_action"]["mobile_qr_display_qr_code"]

# The wallet's app has scanned it: what does it ask for, and pay it.
print("it asks for:", ask("qr_codes/decode", {"data": shown["data"]})["amount"])
scanned = {"data": shown["data"], "wallet": wallet}
print("paid:", ask("qr_payments", scanned)["status"])
print("again:", ask("qr_payments", scanned)["error"]["code"])

# A code that stands at a till: the payer enters the amount.
till = ask("qr_codes", {"currency": "usd", "description": "Till"})
payment = ask("qr_payments", {"data": till["data"], "wallet": wallet, "amount": 450})
print("at the till:", payment["status"])

# The payer's app shows a code for a minute, and the merchant charges it.
code = ask(f"wallets/{wallet}/payer_codes", {})["code"]
payment = ask("payment_intents", {
    "amount": 300, "currency": "usd", "confirm": "true", "payment_method_types[]": "wallet",
    "payment_method_data[type]": "payer_code", "payment_method_data[payer_code][code]": code})
print("from the payer's code:", payment["status"])

print("the wallet has", ask(f"wallets/{wallet}")["balance"]["available"])
