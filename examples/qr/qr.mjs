// The three ways to pay with codes: a code of one payment and a code at a till, which a wallet
// scans, and a code that the payer shows.
//
//     TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... node qr.mjs
const { TAEL_URL, TAEL_KEY } = process.env;

// The answer, also if it is a refusal; `form` makes it a POST.
async function ask(path, form) {
  const request = { headers: { Authorization: `Bearer ${TAEL_KEY}` } };
  if (form) {
    request.method = 'POST';
    request.body = new URLSearchParams(form);
  }
  const answer = await fetch(`${TAEL_URL}/v1/${path}`, request);
  const value = await answer.json();
  if (!answer.ok && ![400, 402].includes(answer.status)) {
    throw new Error(`${answer.status}: ${value.error.message}`);
  }
  return value;
}

const customer = await ask('customers', { name: 'Ada' });
const wallet = await ask('wallets', { customer: customer.id, currency: 'usd' });
await ask(`test_helpers/wallets/${wallet.id}/fund_balance`, { amount: 5000, currency: 'usd' });

// The merchant shows the code of one payment; its picture is at image_url_png and image_url_svg.
const intent = await ask('payment_intents', {
  amount: 1250,
  currency: 'usd',
  confirm: true,
  'payment_method_types[]': 'mobile_qr',
  'payment_method_data[type]': 'mobile_qr',
});
console.log(`intent: ${intent.status}`);
const { data } = intent.next_action.mobile_qr_display_qr_code;

// The wallet's app has scanned it: what does it ask for, and pay it.
console.log(`it asks for: ${(await ask('qr_codes/decode', { data })).amount}`);
const scanned = { data, wallet: wallet.id };
console.log(`paid: ${(await ask('qr_payments', scanned)).status}`);
console.log(`again: ${(await ask('qr_payments', scanned)).error.code}`);

// A code that stands at a till: the payer enters the amount.
const till = await ask('qr_codes', { currency: 'usd', description: 'Till' });
const entered = await ask('qr_payments', { data: till.data, wallet: wallet.id, amount: 450 });
console.log(`at the till: ${entered.status}`);

// The payer's app shows a code for a minute, and the merchant charges it.
const { code } = await ask(`wallets/${wallet.id}/payer_codes`, {});
const charged = await ask('payment_intents', {
  amount: 300,
  currency: 'usd',
  confirm: true,
  'payment_method_types[]': 'wallet',
  'payment_method_data[type]': 'payer_code',
  'payment_method_data[payer_code][code]': code,
});
console.log(`from the payer's code: ${charged.status}`);

console.log(`the wallet has ${(await ask(`wallets/${wallet.id}`)).balance.available}`);
