// What the Node tests share: Stripe's SDK pointed at the server, and a record of every answer.
import { appendFileSync } from "node:fs";
import Stripe from "stripe";

export const { TEST_HOST: host, TEST_PORT: port, TEST_KEY: key, TEST_RECORD: record } = process.env;

// The SDK's own client, with each answer written down for the schema check that follows.
class RecordingClient {
  constructor() {
    this.inner = Stripe.createNodeHttpClient();
  }
  getClientName() {
    return this.inner.getClientName();
  }
  async makeRequest(target, targetPort, path, method, headers, body, protocol, timeout) {
    const response = await this.inner.makeRequest(
      target, targetPort, path, method, headers, body, protocol, timeout);
    const parse = response.toJSON.bind(response);
    response.toJSON = async () => {
      const value = await parse();
      const line = { method, path, status: response.getStatusCode(), body: value,
                     request_id: response.getHeaders()["request-id"] };
      appendFileSync(record, JSON.stringify(line) + "\n");
      return value;
    };
    return response;
  }
}

export function client(options = {}) {
  return new Stripe(options.key ?? key, {
    host, port: Number(port), protocol: "http", maxNetworkRetries: options.retries ?? 0,
    httpClient: new RecordingClient(), telemetry: true,
  });
}

export { Stripe };
