// Webhooks with Stripe's SDK for Node: endpoints through its resources, signatures by its own function.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import test from "node:test";
import { client, Stripe } from "./kit.mjs";

const stripe = client();

async function receiver() {
  const received = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    received.push({ headers: request.headers, body: Buffer.concat(pieces) });
    response.writeHead(200).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  // Events about this intent: other tests make some too.
  const about = (intent) => received.filter(({ body }) => {
    const { object } = JSON.parse(body).data;
    return object.id === intent.id || object.payment_intent === intent.id;
  });
  const wait = async (intent, count) => {
    for (let i = 0; about(intent).length < count; i++) {
      assert.ok(i < 1000, `${about(intent).length} of ${count} events came`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return about(intent);
  };
  const close = () => { server.close(); server.closeAllConnections(); };
  return { url: `http://127.0.0.1:${port}/hook`, wait, close };
}

test("a payment's events are verified by the SDK", async () => {
  const hook = await receiver();
  const endpoint = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  try {
    const intent = await stripe.paymentIntents.create(
      { amount: 2000, currency: "usd", payment_method: "pm_card_visa", confirm: true });
    const events = [];
    for (const { headers, body } of await hook.wait(intent, 3)) {
      const event = stripe.webhooks.constructEvent(body, headers["stripe-signature"], endpoint.secret);
      assert.deepEqual(
        await stripe.webhooks.constructEventAsync(body, headers["stripe-signature"], endpoint.secret),
        event);
      const shown = await stripe.events.retrieve(event.id);
      assert.deepEqual({ ...event, pending_webhooks: 0 }, { ...shown, pending_webhooks: 0 });
      assert.throws(
        () => stripe.webhooks.constructEvent(body, headers["stripe-signature"], "whsec_wrong"),
        Stripe.errors.StripeSignatureVerificationError);
      events.push(event);
    }
    assert.deepEqual(events.map((event) => event.type).sort(),
      ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]);
    const paid = events.find((event) => event.type === "payment_intent.succeeded");
    assert.equal(paid.data.object.id, intent.id);
  } finally {
    await stripe.webhookEndpoints.del(endpoint.id);
    hook.close();
  }
});

test("endpoints: update, disable, list, delete, errors", async () => {
  const made = await stripe.webhookEndpoints.create(
    { url: "https://example.com/hook", enabled_events: ["charge.succeeded"], metadata: { a: "1" } });
  assert.match(made.secret, /^whsec_[0-9A-Za-z]{32}$/);
  const updated = await stripe.webhookEndpoints.update(
    made.id, { enabled_events: ["refund.created", "charge.refunded"], disabled: true });
  assert.equal(updated.status, "disabled");
  assert.deepEqual(updated.enabled_events, ["refund.created", "charge.refunded"]);
  assert.equal(updated.secret, undefined);
  const ids = [];
  for await (const endpoint of stripe.webhookEndpoints.list({ limit: 1 })) ids.push(endpoint.id);
  assert.ok(ids.includes(made.id));
  assert.deepEqual(await stripe.webhookEndpoints.del(made.id),
    { id: made.id, object: "webhook_endpoint", deleted: true });
  await assert.rejects(stripe.webhookEndpoints.retrieve(made.id), { statusCode: 404 });
  await assert.rejects(
    stripe.webhookEndpoints.create({ url: "example.com", enabled_events: ["*"] }),
    { code: "url_invalid", param: "url" });
});
