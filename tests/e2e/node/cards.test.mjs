// Setups, 3-D Secure, saved cards and increments with Stripe's SDK for Node.
import assert from "node:assert/strict";
import test from "node:test";
import { client, host, port, Stripe } from "./kit.mjs";

const stripe = client();
const public_key = process.env.TEST_PUBLISHABLE_KEY;
const return_url = "https://shop.example/done";
const pay = (params = {}) => stripe.paymentIntents.create(
  { amount: 2000, currency: "usd", payment_method: "pm_card_visa", confirm: true, return_url,
    ...params });
const code = (wanted, decline) => (error) => {
  assert.ok(error instanceof Stripe.errors.StripeCardError, error.message);
  assert.equal(error.code, wanted);
  assert.equal(error.decline_code, decline);
  return true;
};

// What a person does on the page; answers the query of where it leads.
async function authenticate(intent, answer = "complete") {
  assert.equal(intent.status, "requires_action");
  const { url } = intent.next_action.redirect_to_url;
  assert.ok(url.startsWith(`http://${host}:${port}/`), url);
  const led = await fetch(url, {
    method: "POST", redirect: "manual", body: new URLSearchParams({ answer }) });
  assert.equal(led.status, 303);
  return Object.fromEntries(new URL(led.headers.get("location")).searchParams);
}

test("a challenge is completed", async () => {
  const intent = await pay({ payment_method: "pm_card_threeDSecure2Required" });
  const query = await authenticate(intent);
  assert.deepEqual(query, { payment_intent: intent.id, redirect_status: "succeeded",
                            payment_intent_client_secret: intent.client_secret });
  const done = await stripe.paymentIntents.retrieve(intent.id, { expand: ["latest_charge"] });
  assert.equal(done.status, "succeeded");
  const { three_d_secure } = done.latest_charge.payment_method_details.card;
  assert.equal(three_d_secure.result, "authenticated");
});

test("a challenge fails", async () => {
  const intent = await pay({ payment_method: "pm_card_threeDSecure2Required" });
  assert.equal((await authenticate(intent, "fail")).redirect_status, "failed");
  const now = await stripe.paymentIntents.retrieve(intent.id);
  assert.equal(now.status, "requires_payment_method");
  assert.equal(now.last_payment_error.code, "payment_intent_authentication_failure");
});

test("asked for by the merchant", async () => {
  const options = { card: { request_three_d_secure: "any" } };
  const intent = await pay({ payment_method: "pm_card_threeDSecureOptional",
                             payment_method_options: options, capture_method: "manual" });
  await authenticate(intent);
  assert.equal((await stripe.paymentIntents.capture(intent.id)).status, "succeeded");
});

test("a browser with a publishable key sets a card up", async () => {
  const setup = await stripe.setupIntents.create({ usage: "off_session" });
  const browser = client({ key: public_key });
  const { client_secret } = setup;
  const waiting = await browser.setupIntents.confirm(setup.id, {
    client_secret, return_url,
    payment_method_data: { type: "card", card: {
      number: "4000002760003184", exp_month: 12, exp_year: 2034, cvc: "123" } } });
  const query = await authenticate(waiting);
  assert.equal(query.setup_intent, setup.id);
  const done = await browser.setupIntents.retrieve(setup.id, { client_secret });
  assert.equal(done.status, "succeeded");
});

test("a card is saved, and charged when nobody is there", async () => {
  const customer = (await stripe.customers.create({ email: "ada@example.com" })).id;
  const setup = await stripe.setupIntents.create({
    customer, confirm: true, payment_method: "pm_card_authenticationRequiredOnSetup", return_url });
  await authenticate(setup);
  const saved = await stripe.paymentMethods.list({ customer, type: "card" });
  assert.equal(saved.data.length, 1);
  const intent = await pay({ customer, payment_method: saved.data[0].id, off_session: true });
  assert.equal(intent.status, "succeeded");
});

test("a saved card that wants its customer", async () => {
  const customer = (await stripe.customers.create()).id;
  const method = await stripe.paymentMethods.attach(
    "pm_card_authenticationRequired", { customer });
  const fails = pay({ customer, payment_method: method.id, off_session: true });
  await assert.rejects(fails, (error) => {
    code("authentication_required", "authentication_required")(error);
    assert.equal(error.payment_method.id, method.id);
    assert.equal(error.payment_intent.status, "requires_payment_method");
    return true;
  });
});

test("a declined setup", async () => {
  const fails = stripe.setupIntents.create(
    { confirm: true, payment_method: "pm_card_chargeDeclinedLostCard" });
  await assert.rejects(fails, (error) => {
    code("card_declined", "lost_card")(error);
    assert.equal(error.setup_intent.status, "requires_payment_method");
    assert.equal(error.setup_intent.last_setup_error.decline_code, "lost_card");
    return true;
  });
});

test("setups are listed, with their attempts, and canceled", async () => {
  const setup = await stripe.setupIntents.create({
    confirm: true, payment_method: "pm_card_authenticationRequired", return_url });
  const listed = await stripe.setupIntents.list({ limit: 3 });
  assert.ok(listed.data.some((one) => one.id === setup.id));
  const canceled = await stripe.setupIntents.cancel(setup.id);
  assert.equal(canceled.status, "canceled");
  const attempts = await stripe.setupAttempts.list({ setup_intent: setup.id });
  assert.deepEqual(attempts.data.map((one) => one.status), ["abandoned"]);
});

for (const [token, wanted, decline] of [
  ["pm_card_visa_chargeDeclined", "card_declined", "generic_decline"],
  ["pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
  ["pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"],
  ["pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"],
  ["pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"],
  ["pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"],
  ["pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"],
  ["pm_card_chargeCustomerFail", "card_declined", "generic_decline"],
  ["pm_card_radarBlock", "card_declined", "fraudulent"],
]) {
  test(`declined: ${token}`, async () => {
    await assert.rejects(pay({ payment_method: token }), code(wanted, decline));
  });
}

test("an authorization grows", async () => {
  const card = { request_incremental_authorization: "if_available" };
  const held = await pay({ capture_method: "manual", payment_method_options: { card } });
  const more = await stripe.paymentIntents.incrementAuthorization(held.id, { amount: 2700 });
  assert.equal(more.amount_capturable, 2700);
  const taken = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 2500 });
  assert.equal(taken.amount_received, 2500);
});
