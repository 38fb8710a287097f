// The essentials once more, with Stripe's SDK for Node: another encoder, another HTTP client.
import assert from "node:assert/strict";
import test from "node:test";
import { client, Stripe } from "./kit.mjs";

const stripe = client();
const card = (number = "4242424242424242") =>
  ({ number, exp_month: 12, exp_year: 2034, cvc: "123" });
const pay = (params = {}, options) => stripe.paymentIntents.create(
  { amount: 2000, currency: "usd", payment_method: "pm_card_visa", confirm: true, ...params },
  options);
const code = (wanted, kind) => (error) => {
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.code, wanted);
  return true;
};

test("create, then confirm", async () => {
  const intent = await stripe.paymentIntents.create({ amount: 1999, currency: "eur" });
  assert.equal(intent.status, "requires_payment_method");
  const done = await stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" });
  assert.equal(done.status, "succeeded");
  assert.equal(done.amount_received, 1999);
  assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, "succeeded");
});

test("raw card, expand, metadata, unset", async () => {
  const intent = await stripe.paymentIntents.create({
    amount: 1500, currency: "usd", confirm: true,
    payment_method_data: { type: "card", card: card("5555555555554444"),
                           billing_details: { name: "Ada", address: { postal_code: "1" } } },
    metadata: { order: 5, nothing: "", list: "a,b" },
    expand: ["latest_charge.balance_transaction", "payment_method"],
  });
  assert.equal(intent.latest_charge.balance_transaction.net, 1500 - 74);
  assert.equal(intent.payment_method.card.brand, "mastercard");
  assert.equal(intent.metadata.order, "5");
  const updated = await stripe.paymentIntents.update(
    intent.id, { metadata: { order: null }, description: undefined });
  assert.equal(updated.metadata.order, undefined);
});

test("manual capture in part, then refunds", async () => {
  const held = await pay({ capture_method: "manual" });
  assert.equal(held.status, "requires_capture");
  const taken = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1500 });
  assert.equal(taken.amount_received, 1500);
  const first = await stripe.refunds.create({ payment_intent: held.id, amount: 600 });
  assert.equal(first.status, "succeeded");
  await assert.rejects(stripe.refunds.create({ payment_intent: held.id, amount: 901 }),
                       Stripe.errors.StripeInvalidRequestError);
  assert.equal((await stripe.refunds.create({ charge: taken.latest_charge })).amount, 900);
  await assert.rejects(stripe.refunds.create({ payment_intent: held.id }),
                       code("charge_already_refunded", Stripe.errors.StripeInvalidRequestError));
  const charge = await stripe.charges.retrieve(taken.latest_charge);
  assert.equal(charge.refunded, true);
});

test("cancel", async () => {
  const held = await pay({ capture_method: "manual" });
  const gone = await stripe.paymentIntents.cancel(held.id, { cancellation_reason: "abandoned" });
  assert.equal(gone.status, "canceled");
  await assert.rejects(stripe.paymentIntents.capture(held.id),
    code("payment_intent_unexpected_state", Stripe.errors.StripeInvalidRequestError));
});

for (const [token, wanted, decline] of [
  ["pm_card_visa_chargeDeclined", "card_declined", "generic_decline"],
  ["pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
  ["pm_card_chargeDeclinedExpiredCard", "expired_card", undefined],
  ["pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", undefined],
  ["pm_card_chargeDeclinedProcessingError", "processing_error", undefined],
]) {
  test(`declined: ${token}`, async () => {
    await assert.rejects(pay({ payment_method: token }), (error) => {
      assert.ok(error instanceof Stripe.errors.StripeCardError);
      assert.equal(error.code, wanted);
      if (decline) assert.equal(error.decline_code, decline);
      assert.equal(error.statusCode, 402);
      assert.equal(error.payment_intent.status, "requires_payment_method");
      assert.match(error.requestId, /^req_/);
      return true;
    });
  });
}

test("customers, payment methods and their lists", async () => {
  const customer = await stripe.customers.create({ email: "node@example.com", name: "Node" });
  const method = await stripe.paymentMethods.create({ type: "card", card: card() });
  await stripe.paymentMethods.attach(method.id, { customer: customer.id });
  const listed = await stripe.customers.listPaymentMethods(customer.id);
  assert.deepEqual(listed.data.map((one) => one.id), [method.id]);
  const intent = await pay({ customer: customer.id, payment_method: method.id });
  assert.equal(intent.customer, customer.id);
  assert.equal((await stripe.paymentMethods.detach(method.id)).customer, null);
  assert.equal((await stripe.customers.update(customer.id, { name: null })).name, null);
  const found = await stripe.customers.list({ email: "node@example.com" });
  assert.equal(found.data[0].id, customer.id);
  assert.equal((await stripe.customers.del(customer.id)).deleted, true);
  assert.equal((await stripe.customers.retrieve(customer.id)).deleted, true);
});

test("pagination", async () => {
  const customer = await stripe.customers.create();
  const ids = [];
  for (let number = 0; number < 12; number++) {
    ids.unshift((await stripe.paymentIntents.create(
      { amount: 1000 + number, currency: "usd", customer: customer.id })).id);
  }
  const seen = [];
  for await (const intent of stripe.paymentIntents.list({ customer: customer.id, limit: 5 })) {
    seen.push(intent.id);
  }
  assert.deepEqual(seen, ids);
  const page = await stripe.paymentIntents.list(
    { customer: customer.id, limit: 3, ending_before: ids[6],
      created: { gte: new Date(Date.now() - 3600_000) } });
  assert.deepEqual(page.data.map((one) => one.id), ids.slice(3, 6));
  assert.equal(page.has_more, true);
});

test("balance, transactions, events", async () => {
  const intent = await pay({ expand: ["latest_charge"] });
  const balance = await stripe.balance.retrieve();
  assert.ok(balance.pending.some((one) => one.currency === "usd" && one.amount > 0));
  const transaction = await stripe.balanceTransactions.retrieve(
    intent.latest_charge.balance_transaction);
  assert.equal(transaction.fee, 88);
  const events = await stripe.events.list({ type: "payment_intent.succeeded", limit: 100 });
  assert.ok(events.data.some((event) => event.data.object.id === intent.id));
  const one = await stripe.events.retrieve(events.data[0].id);
  assert.equal(one.object, "event");
});

test("idempotent retries", async () => {
  const options = { idempotencyKey: `node-${process.pid}-${Date.now()}` };
  const [first, second] = [await pay({}, options), await pay({}, options)];
  assert.equal(first.id, second.id);
  assert.equal(second.lastResponse.headers["idempotent-replayed"], "true");
  await assert.rejects(pay({ amount: 2001 }, options), Stripe.errors.StripeIdempotencyError);
});

test("errors as exceptions", async () => {
  await assert.rejects(stripe.paymentIntents.create({ currency: "usd" }), (error) => {
    assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
    assert.equal(error.code, "parameter_missing");
    assert.equal(error.param, "amount");
    assert.equal(error.statusCode, 400);
    return true;
  });
  await assert.rejects(stripe.paymentIntents.retrieve("pi_missing"),
    code("resource_missing", Stripe.errors.StripeInvalidRequestError));
  await assert.rejects(client({ key: "sk_test_wrong" }).balance.retrieve(),
    Stripe.errors.StripeAuthenticationError);
  await assert.rejects(stripe.customers.create({ colour: "red" }),
    code("parameter_unknown", Stripe.errors.StripeInvalidRequestError));
});

test("many at once over few connections", async () => {
  const made = await Promise.all(Array.from({ length: 50 }, () => pay()));
  assert.equal(new Set(made.map((intent) => intent.id)).size, 50);
  assert.ok(made.every((intent) => intent.status === "succeeded"));
});
