#!/bin/sh
# The three ways to pay with codes: a code of one payment and a code at a till, which a wallet scans,
# and a code that the payer shows.
#
#     TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... sh qr.sh
set -eu

ask() { # PATH [CURL'S OPTIONS]
    path=$1
    shift
    curl --silent --show-error --fail-with-body --user "$TAEL_KEY:" "$@" "$TAEL_URL/v1/$path"
}

# The first member of this name.
member() {
    grep -o "\"$1\":\"\{0,1\}[^,\"}]*" | head -n 1 | cut -d : -f 2- | tr -d '"'
}

customer=$(ask customers -d name=Ada | member id)
wallet=$(ask wallets -d customer="$customer" -d currency=usd | member id)
ask "test_helpers/wallets/$wallet/fund_balance" -d amount=5000 -d currency=usd >/dev/null

# The merchant shows the code of one payment; its picture is at image_url_png and image_url_svg.
answer=$(ask payment_intents -d amount=1250 -d currency=usd -d confirm=true \
    -d 'payment_method_types[]=mobile_qr' -d 'payment_method_data[type]=mobile_qr')
echo "intent: $(echo "$answer" | member status)"
code=$(echo "$answer" | member data)

# The wallet's app has scanned it: what does it ask for, and pay it.
echo "it asks for: $(ask qr_codes/decode --data-urlencode data="$code" | member amount)"
answer=$(ask qr_payments --data-urlencode data="$code" -d wallet="$wallet")
echo "paid: $(echo "$answer" | member status)"
answer=$(ask qr_payments --data-urlencode data="$code" -d wallet="$wallet" 2>/dev/null) || true
echo "again: $(echo "$answer" | member code)"

# A code that stands at a till: the payer enters the amount.
code=$(ask qr_codes -d currency=usd -d description=Till | member data)
answer=$(ask qr_payments --data-urlencode data="$code" -d wallet="$wallet" -d amount=450)
echo "at the till: $(echo "$answer" | member status)"

# The payer's app shows a code for a minute, and the merchant charges it.
code=$(ask "wallets/$wallet/payer_codes" -X POST | member code)
answer=$(ask payment_intents -d amount=300 -d currency=usd -d confirm=true \
    -d 'payment_method_types[]=wallet' -d 'payment_method_data[type]=payer_code' \
    -d 'payment_method_data[payer_code][code]'="$code")
echo "from the payer's code: $(echo "$answer" | member status)"

echo "the wallet has $(ask "wallets/$wallet" | member available)"
