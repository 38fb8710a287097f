#!/bin/sh
# Two wallets: one is topped up by card, sends to the other by its handle, and pays an intent.
#
#     TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... sh wallets.sh
set -eu

ask() { # PATH [CURL'S OPTIONS]
    path=$1
    shift
    curl --silent --show-error --fail-with-body --user "$TAEL_KEY:" "$@" "$TAEL_URL/v1/$path"
}

# The first member of this name.
member() {
    grep -o "\"$1\":\"\{0,1\}[^,\"}]*" | head -n 1 | cut -d : -f 2 | tr -d '"'
}

# A handle belongs to one wallet, so that this can be run many times.
grace=grace$(date +%s%N)

customer=$(ask customers -d name=Ada | member id)
ada=$(ask wallets -d customer="$customer" -d currency=usd | member id)
customer=$(ask customers -d name=Grace | member id)
ask wallets -d customer="$customer" -d currency=usd -d handle="$grace" >/dev/null

# A payment whose destination is the wallet tops it up. This test card's money is there at once.
answer=$(ask payment_intents -d amount=5000 -d currency=usd -d payment_method=pm_card_bypassPending \
    -d confirm=true -d 'transfer_data[destination]'="$ada")
echo "top-up: $(echo "$answer" | member status)"

answer=$(ask wallet_transfers -d amount=1200 -d currency=usd -d from="$ada" -d to="$grace" \
    -d description=Lunch)
echo "transfer: $(echo "$answer" | member status)"

# More than there is: the refusal is an answer too.
answer=$(ask wallet_transfers -d amount=9900 -d currency=usd -d from="$ada" -d to="$grace" \
    2>/dev/null) || true
echo "too much: $(echo "$answer" | member code)"

answer=$(ask payment_intents -d amount=800 -d currency=usd -d confirm=true \
    -d 'payment_method_types[]=wallet' -d 'payment_method_data[type]=wallet' \
    -d 'payment_method_data[wallet][id]'="$ada")
echo "payment: $(echo "$answer" | member status)"

echo "the wallet has $(ask "wallets/$ada" | member available)"
