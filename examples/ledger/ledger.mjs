// Two accounts in a ledger of your own, a transfer, and a hold of which a part is taken.
//
//     TAEL_URL=http://127.0.0.1:8080 TAEL_KEY=sk_test_... node ledger.mjs
import { randomBytes } from 'node:crypto';

const { TAEL_URL, TAEL_KEY } = process.env;

async function ask(path, body) {
  const answer = await fetch(`${TAEL_URL}/v1/ledger/${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${TAEL_KEY}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${value.error.message}`);
  }
  return value;
}

// Chosen here. Sending the same id again changes nothing: the answer is "exists". Integers of this
// size are text: a number of JavaScript would lose digits.
const newId = () => BigInt(`0x1${randomBytes(15).toString('hex')}`).toString();

const show = (what, answer) =>
  console.log(`${what}: ${answer.results.map((result) => result.status).join(' ')}`);

const [shop, customer] = [newId(), newId()];
show('accounts', await ask('accounts', {
  events: [
    { id: shop, ledger: 7000, code: 10 },
    { id: customer, ledger: 7000, code: 20, flags: ['debits_must_not_exceed_credits'] },
  ],
}));

const move = (debit, credit, amount, more) => ({
  id: newId(),
  debit_account_id: debit,
  credit_account_id: credit,
  amount: String(amount),
  ledger: 7000,
  code: 1,
  ...more,
});

// 500 into the customer's account, and 501 out of it, which is more than there is.
show('transfers', await ask('transfers', {
  events: [move(shop, customer, 500), move(customer, shop, 501)],
}));

// 200 are held for an hour, and 150 of them taken: the rest is released.
const hold = move(customer, shop, 200, { flags: ['pending'], timeout: 3600 });
show('hold', await ask('transfers', { events: [hold] }));
const take = {
  id: newId(), pending_id: hold.id, amount: '150', flags: ['post_pending_transfer'],
};
show('take', await ask('transfers', { events: [take] }));
show('again', await ask('transfers', { events: [take] }));

const [account] = (await ask('lookup', { accounts: [customer] })).accounts;
const balance = BigInt(account.credits_posted) - BigInt(account.debits_posted);
console.log(`the customer has ${balance}, held are ${account.debits_pending}`);
