#!/bin/sh
# Two accounts in a ledger of your own, a transfer, and a hold of which a part is taken.
#
#     TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... sh ledger.sh
set -eu

ask() { # PATH JSON
    curl --silent --show-error --fail-with-body --user "$TAEL_KEY:" \
        --header 'Content-Type: application/json' --data "$2" "$TAEL_URL/v1/ledger/$1"
}

# Sends events, and shows the statuses of the results, in order.
send() { # WHAT PATH JSON
    answer=$(ask "$2" "$3")
    statuses=$(echo "$answer" | grep -o '"status":"[a-z0-9_]*"' | cut -d '"' -f 4 | tr '\n' ' ')
    echo "$1: ${statuses% }"
}

# A member of the first account of a look-up.
member() {
    grep -o "\"$1\":\"[0-9]*\"" | head -n 1 | cut -d '"' -f 4
}

# Ids are chosen here. Sending the same one again changes nothing: the answer is "exists".
first=$(date +%s%N)
shop=$first
customer=$((first + 1))

accounts='{"events": [
    {"id": "'$shop'", "ledger": 7000, "code": 10},
    {"id": "'$customer'", "ledger": 7000, "code": 20, "flags": ["debits_must_not_exceed_credits"]}
]}'
send accounts accounts "$accounts"

# 500 into the customer's account, and 501 out of it, which is more than there is.
transfers='{"events": [
    {"id": "'$((first + 2))'", "debit_account_id": "'$shop'", "credit_account_id": "'$customer'",
     "amount": "500", "ledger": 7000, "code": 1},
    {"id": "'$((first + 3))'", "debit_account_id": "'$customer'", "credit_account_id": "'$shop'",
     "amount": "501", "ledger": 7000, "code": 1}
]}'
send transfers transfers "$transfers"

# 200 are held for an hour, and 150 of them taken: the rest is released.
hold='{"events": [
    {"id": "'$((first + 4))'", "debit_account_id": "'$customer'", "credit_account_id": "'$shop'",
     "amount": "200", "ledger": 7000, "code": 1, "flags": ["pending"], "timeout": 3600}
]}'
send hold transfers "$hold"
take='{"events": [
    {"id": "'$((first + 5))'", "pending_id": "'$((first + 4))'", "amount": "150",
     "flags": ["post_pending_transfer"]}
]}'
send take transfers "$take"
send again transfers "$take"

found=$(ask lookup '{"accounts": ["'$customer'"]}')
credits=$(echo "$found" | member credits_posted)
debits=$(echo "$found" | member debits_posted)
held=$(echo "$found" | member debits_pending)
echo "the customer has $((credits - debits)), held are $held"
