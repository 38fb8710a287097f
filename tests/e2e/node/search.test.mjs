// Search with Stripe's SDK for Node: its encoder of the query, its ways to go through pages.
import assert from "node:assert/strict";
import test from "node:test";
import { client, Stripe } from "./kit.mjs";

const stripe = client();
const tagged = (value) => `metadata["tag"]:"${value}"`;
const create = (tag, params = {}) => stripe.paymentIntents.create(
  { amount: 2000, currency: "usd", metadata: { tag }, ...params });
const ids = (result) => result.data.map((one) => one.id);
const refused = (param, pattern) => (error) => {
  assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, error.message);
  assert.equal(error.param, param);
  assert.match(error.message, pattern);
  return true;
};

test("what was answered is found", async () => {
  const intent = await create("node-at-once", {
    confirm: true, payment_method: "pm_card_visa", amount: 4321,
    metadata: { tag: "node-at-once", 'key "of" ä': "it's \\ & + % €" } });
  const found = await stripe.paymentIntents.search({
    query: `status:"succeeded" AND amount>=4321 AND metadata['key "of" ä']:'IT\\'s \\\\ & + % €'` });
  assert.deepEqual(ids(found), [intent.id]);
  assert.equal(found.object, "search_result");
  assert.equal(found.has_more, false);
  const charges = await stripe.charges.search({
    query: `${tagged("node-at-once")} payment_method_details.card.last4:4242 refunded:false` });
  assert.deepEqual(ids(charges), [intent.latest_charge]);
  await stripe.refunds.create({ payment_intent: intent.id });
  const refunded = await stripe.charges.search(
    { query: `${tagged("node-at-once")} -refunded:false` });
  assert.deepEqual(ids(refunded), [intent.latest_charge]);
});

test("customers by part of an address, in any case", async () => {
  const customer = await stripe.customers.create(
    { email: "Grace.Hopper@Navy.example", name: "Grace", metadata: { tag: "node-customers" } });
  for (const query of ['email:"grace.hopper@navy.EXAMPLE"', 'email~"hopper@"',
                       `${tagged("node-customers")} phone:null -name:null`]) {
    assert.deepEqual(ids(await stripe.customers.search({ query })), [customer.id], query);
  }
});

test("pages, gone through in the ways of the SDK", async () => {
  const made = [];
  for (let number = 0; number < 9; number++) {
    made.unshift((await create("node-pages")).id);
  }
  const query = { query: tagged("node-pages"), limit: 4 };
  const seen = [];
  for await (const intent of stripe.paymentIntents.search(query)) {
    seen.push(intent.id);
  }
  assert.deepEqual(seen, made);
  const each = [];
  await stripe.paymentIntents.search(query).autoPagingEach((intent) => { each.push(intent.id); });
  assert.deepEqual(each, made);
  const some = await stripe.paymentIntents.search(query).autoPagingToArray({ limit: 6 });
  assert.deepEqual(some.map((one) => one.id), made.slice(0, 6));
  const page = await stripe.paymentIntents.search(query);
  const next = await stripe.paymentIntents.search({ ...query, page: page.next_page });
  assert.deepEqual([...ids(page), ...ids(next)], made.slice(0, 8));
});

test("total_count and expanded references", async () => {
  const customer = await stripe.customers.create({ name: "Ada" });
  for (let number = 0; number < 3; number++) {
    await create("node-count", { customer: customer.id });
  }
  const found = await stripe.paymentIntents.search({
    query: tagged("node-count"), limit: 1, expand: ["total_count", "data.customer"] });
  assert.equal(found.total_count, 3);
  assert.equal(found.data[0].customer.name, "Ada");
});

test("errors say where", async () => {
  await assert.rejects(stripe.charges.search({ query: "amount" }), refused("query", /character 7/));
  await assert.rejects(stripe.charges.search({ query: 'email:"x"' }),
                       refused("query", /Field `email` .* resource `charges`/));
  await assert.rejects(stripe.charges.search({ query: "amount>1", page: "nonsense" }),
                       refused("page", /Invalid page/));
});
