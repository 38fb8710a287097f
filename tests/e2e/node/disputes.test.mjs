// Disputes with Stripe's SDK for Node.
import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { client, Stripe } from "./kit.mjs";

const stripe = client();

async function until(what) {
  for (let tries = 0; tries < 300; tries++) {
    const found = await what();
    if (found) return found;
    await pause(100);
  }
  throw new Error("it did not come true");
}

async function disputed() {
  const intent = await stripe.paymentIntents.create({
    amount: 2000, currency: "usd", payment_method: "pm_card_createDispute", confirm: true });
  return until(async () => {
    const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
    return dispute?.balance_transactions.length ? dispute : null;
  });
}

test("a dispute is answered and won", async () => {
  const dispute = await disputed();
  assert.equal(dispute.status, "needs_response");
  assert.equal(dispute.balance_transactions[0].net, -3500);
  const kept = await stripe.disputes.update(dispute.id, {
    evidence: { customer_name: "Jenny Rosen" }, submit: false });
  assert.equal(kept.evidence_details.has_evidence, true);
  const sent = await stripe.disputes.update(dispute.id, {
    evidence: { uncategorized_text: "winning_evidence" }, metadata: { case: "7" } });
  assert.equal(sent.status, "under_review");
  const won = await until(async () => {
    const found = await stripe.disputes.retrieve(dispute.id, { expand: ["charge"] });
    return found.status === "won" ? found : null;
  });
  assert.equal(won.charge.disputed, true);
  assert.equal(won.evidence.customer_name, "Jenny Rosen");
  assert.equal(won.balance_transactions[1].net, 2000);
});

test("a dispute is accepted", async () => {
  const dispute = await disputed();
  assert.equal((await stripe.disputes.close(dispute.id)).status, "lost");
  await assert.rejects(stripe.refunds.create({ charge: dispute.charge }), (error) => {
    assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
    assert.equal(error.code, "charge_disputed");
    return true;
  });
});
