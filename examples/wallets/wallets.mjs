// Two wallets: one is topped up by card, sends to the other by its handle, and pays an intent.
//
//     TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... node wallets.mjs
import { randomUUID } from 'node:crypto';

const { TAEL_URL, TAEL_KEY } = process.env;

// The answer, also if it is a refusal; `form` makes it a POST.
async function ask(path, form) {
  const headers = { Authorization: `Bearer ${TAEL_KEY}` };
  const request = { headers };
  if (form) {
    // With a key of its own a request may be sent again, and is done once.
    headers['Idempotency-Key'] = randomUUID();
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

async function openWallet(name, form) {
  const customer = await ask('customers', { name });
  return (await ask('wallets', { customer: customer.id, currency: 'usd', ...form })).id;
}

// A handle belongs to one wallet, so that this can be run many times.
const grace = `grace${randomUUID().replaceAll('-', '').slice(0, 20)}`;
const ada = await openWallet('Ada');
await openWallet('Grace', { handle: grace });

// A payment whose destination is the wallet tops it up. This test card's money is there at once.
const topUp = await ask('payment_intents', {
  amount: 5000,
  currency: 'usd',
  payment_method: 'pm_card_bypassPending',
  confirm: true,
  'transfer_data[destination]': ada,
});
console.log(`top-up: ${topUp.status}`);

const lunch = { amount: 1200, currency: 'usd', from: ada, to: grace, description: 'Lunch' };
console.log(`transfer: ${(await ask('wallet_transfers', lunch)).status}`);

// More than there is.
const refused = await ask('wallet_transfers', { ...lunch, amount: 9900 });
console.log(`too much: ${refused.error.code}`);

const payment = await ask('payment_intents', {
  amount: 800,
  currency: 'usd',
  confirm: true,
  'payment_method_types[]': 'wallet',
  'payment_method_data[type]': 'wallet',
  'payment_method_data[wallet][id]': ada,
});
console.log(`payment: ${payment.status}`);

console.log(`the wallet has ${(await ask(`wallets/${ada}`)).balance.available}`);
