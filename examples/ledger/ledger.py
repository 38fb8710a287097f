"""Two accounts in a ledger of your own, a transfer, and a hold of which a part is taken.

    TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... python3 ledger.py
"""

import json
import os
import secrets
import urllib.request

URL, KEY = os.environ["TAEL_URL"], os.environ["TAEL_KEY"]


def ask(path, **body):
    request = urllib.request.Request(
        f"{URL}/v1/ledger/{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def new_id():
    """Chosen here. Sending the same id again changes nothing: the answer is "exists"."""
    return str(secrets.randbits(127) + 1)


def show(what, answer):
    print(f"{what}:", " ".join(result["status"] for result in answer["results"]))


shop, customer = new_id(), new_id()
show("accounts", ask("accounts", events=[
    {"id": shop, "ledger": 7000, "code": 10},
    {"id": customer, "ledger": 7000, "code": 20, "flags": ["debits_must_not_exceed_credits"]},
]))

# 500 into the customer's account, and 501 out of it, which is more than there is.
show("transfers", ask("transfers", events=[
    {"id": new_id(), "debit_account_id": shop, "credit_account_id": customer, "amount": "500",
     "ledger": 7000, "code": 1},
    {"id": new_id(), "debit_account_id": customer, "credit_account_id": shop, "amount": "501",
     "ledger": 7000, "code": 1},
]))

# 200 are held for an hour, and 150 of them taken: the rest is released.
hold = {"id": new_id(), "debit_account_id": customer, "credit_account_id": shop, "amount": "200",
        "ledger": 7000, "code": 1, "flags": ["pending"], "timeout": 3600}
show("hold", ask("transfers", events=[hold]))
take = {"id": new_id(), "pending_id": hold["id"], "amount": "150",
        "flags": ["post_pending_transfer"]}
show("take", ask("transfers", events=[take]))
show("again", ask("transfers", events=[take]))

account = ask("lookup", accounts=[customer])["accounts"][0]
balance = int(account["credits_posted"]) - int(account["debits_posted"])
print(f"the customer has {balance}, held are {account['debits_pending']}")
