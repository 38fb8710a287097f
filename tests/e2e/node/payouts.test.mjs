// Payouts and bank accounts, with Stripe's SDK for Node.
import assert from "node:assert/strict";
import test from "node:test";
import { client, Stripe } from "./kit.mjs";

const stripe = client();
const bank = { object: "bank_account", country: "US", currency: "usd",
               routing_number: "110000000", account_number: "000123456789" };

async function available() {
  const balance = await stripe.balance.retrieve();
  return balance.available.find((entry) => entry.currency === "usd")?.amount ?? 0;
}

test("a payout, from the bank account to its cancellation", async () => {
  const intent = await stripe.paymentIntents.create({
    amount: 10000, currency: "usd", payment_method: "pm_card_bypassPending", confirm: true });
  assert.equal(intent.status, "succeeded");
  while (await available() < 9000) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { id: own } = await stripe.accounts.retrieve();
  const account = await stripe.accounts.createExternalAccount(own, { external_account: bank });
  assert.equal(account.last4, "6789");
  const payout = await stripe.payouts.create({ amount: 5000, currency: "usd" });
  assert.equal(payout.status, "pending");
  assert.equal(payout.destination, account.id);
  const listed = await stripe.payouts.list({ destination: account.id, status: "pending" });
  assert.deepEqual(listed.data.map((one) => one.id), [payout.id]);
  await assert.rejects(
    stripe.payouts.create({ amount: 99999999, currency: "usd" }),
    (error) => error instanceof Stripe.errors.StripeInvalidRequestError &&
      error.code === "balance_insufficient");
  const updated = await stripe.payouts.update(payout.id, { metadata: { month: "May" } });
  assert.equal(updated.metadata.month, "May");
  const canceled = await stripe.payouts.cancel(
    payout.id, { expand: ["failure_balance_transaction"] });
  assert.equal(canceled.status, "canceled");
  assert.equal(canceled.failure_balance_transaction.type, "payout_cancel");
  const entries = await stripe.balanceTransactions.list({ payout: payout.id });
  assert.deepEqual(entries.data.map((entry) => entry.net), [5000, -5000]);
  const gone = await stripe.accounts.deleteExternalAccount(own, account.id);
  assert.equal(gone.deleted, true);
});
