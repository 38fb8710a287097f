// Checkout sessions with Stripe's SDK for Node, and a payer who sends the page's form.
import assert from "node:assert/strict";
import test from "node:test";
import { client } from "./kit.mjs";

const stripe = client();

test("a session is paid on its page", async () => {
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    success_url: "https://shop.example/paid?session={CHECKOUT_SESSION_ID}",
    line_items: [
      { quantity: 2, price_data: { currency: "usd", unit_amount: 1500, product_data: { name: "T-shirt" } } },
      { quantity: 1, price_data: { currency: "usd", unit_amount: 900, product_data: { name: "Poster" } } },
    ],
  });
  assert.deepEqual([session.status, session.amount_total], ["open", 3900]);
  const paid = await fetch(session.url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({
      "card[number]": "4242424242424242", "card[expiry]": "12/34", "card[cvc]": "123",
      name: "Jenny Rosen", email: "jenny@example.com",
    }),
  });
  assert.equal(paid.headers.get("location"), `https://shop.example/paid?session=${session.id}`);
  const done = await stripe.checkout.sessions.retrieve(session.id, {
    expand: ["payment_intent", "line_items"],
  });
  assert.deepEqual([done.status, done.payment_status], ["complete", "paid"]);
  assert.equal(done.payment_intent.status, "succeeded");
  assert.deepEqual(done.line_items.data.map((item) => item.amount_total), [3000, 900]);
  const items = await stripe.checkout.sessions.listLineItems(session.id, { limit: 1 });
  assert.deepEqual([items.data.length, items.has_more], [1, true]);
});

test("a session is expired", async () => {
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    success_url: "https://shop.example/paid",
    line_items: [{ price_data: { currency: "eur", unit_amount: 500, product_data: { name: "Pin" } } }],
  });
  assert.equal((await stripe.checkout.sessions.expire(session.id)).status, "expired");
});
