// Payment codes with Stripe's SDK for Node: what is Stripe's through its resources, what is Tael's
// own through its rawRequest.
import assert from "node:assert/strict";
import test from "node:test";
import { client, Stripe } from "./kit.mjs";

const stripe = client();
const post = (path, params = {}) => stripe.rawRequest("POST", path, params);

async function wallet(funds) {
  const customer = await stripe.customers.create({ name: "Ann" });
  const { id } = await post("/v1/wallets", { customer: customer.id, currency: "usd" });
  await post(`/v1/test_helpers/wallets/${id}/fund_balance`, { amount: funds, currency: "usd" });
  return id;
}

const available = async (id) =>
  (await stripe.rawRequest("GET", `/v1/wallets/${id}`)).balance.available;
const refused = (code, param) => (error) => {
  assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError, String(error));
  assert.deepEqual([error.code, error.param], [code, param]);
  return true;
};

test("an intent shows a code, a wallet pays it", async () => {
  const purse = await wallet(5000);
  const intent = await stripe.paymentIntents.create({
    amount: 1250, currency: "usd", confirm: true, payment_method_types: ["mobile_qr"],
    payment_method_data: { type: "mobile_qr" },
  });
  assert.equal(intent.status, "requires_action");
  assert.equal(intent.next_action.type, "mobile_qr_display_qr_code");
  const shown = intent.next_action.mobile_qr_display_qr_code;
  assert.ok(shown.expires_at > Date.now() / 1000);
  for (const [name, type] of [["image_url_png", "image/png"], ["image_url_svg", "image/svg+xml"],
                              ["hosted_instructions_url", "text/html; charset=utf-8"]]) {
    const answer = await fetch(shown[name]);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), type);
  }
  const decoded = await post("/v1/qr_codes/decode", { data: shown.data });
  assert.deepEqual([decoded.amount, decoded.currency, decoded.payment_intent],
                   [1250, "usd", intent.id]);
  const paid = await post("/v1/qr_payments", { wallet: purse, data: shown.data });
  assert.deepEqual([paid.id, paid.status], [intent.id, "succeeded"]);
  assert.equal(await available(purse), 3750);
  assert.equal((await fetch(shown.image_url_png)).status, 410);
  await assert.rejects(post("/v1/qr_payments", { wallet: purse, data: shown.data }),
                       refused("qr_code_paid", "data"));
  const charge = await stripe.charges.retrieve(paid.latest_charge);
  assert.equal(charge.payment_method_details.wallet.id, purse);
});

test("a code at a till", async () => {
  const purse = await wallet(1000);
  const code = await post("/v1/qr_codes", { currency: "usd", metadata: { till: 4 } });
  const paid = await post("/v1/qr_payments", { wallet: purse, data: code.data, amount: 300 });
  assert.deepEqual([paid.qr_code, paid.amount_received, paid.metadata.till], [code.id, 300, "4"]);
  assert.equal(await available(purse), 700);
});

test("a payer's code is charged in one call, once", async () => {
  const purse = await wallet(5000);
  const { code } = await post(`/v1/wallets/${purse}/payer_codes`);
  const charge = () => stripe.paymentIntents.create({
    amount: 700, currency: "usd", confirm: true,
    payment_method_data: { type: "payer_code", payer_code: { code } },
  });
  const intent = await charge();
  assert.deepEqual([intent.status, intent.amount_received], ["succeeded", 700]);
  assert.equal(await available(purse), 4300);
  await assert.rejects(
    charge(), refused("payer_code_used", "payment_method_data[payer_code][code]"));
});

test("a payer is asked above the limit", async () => {
  const purse = await wallet(50000);
  const { code } = await post(`/v1/wallets/${purse}/payer_codes`);
  const intent = await stripe.paymentIntents.create({
    amount: 20000, currency: "usd", confirm: true,
    payment_method_data: { type: "payer_code", payer_code: { code } },
  });
  assert.equal(intent.next_action.type, "payer_confirmation");
  const paid = await post(`/v1/payment_intents/${intent.id}/approve`, { wallet: purse });
  assert.equal(paid.status, "succeeded");
  assert.equal(await available(purse), 30000);
});
