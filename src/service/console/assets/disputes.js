/* Disputes: what cardholders ask back, and the merchant's answer. */
import { at, get, post } from './api.js';
import { amountColumn, chargeLink, createdColumn, createdParam, dateFilters, paymentColumn, paymentFilter,
  paymentLink, statusColumn, timeColumn } from './columns.js';
import { detailPage, facts, metadataSection } from './detail.js';
import { isoTime, money, reference, time, word, words } from './format.js';
import { listPage, tableOrNone } from './list.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';

export const ANSWERABLE = ['needs_response', 'warning_needs_response'];

/* What a person writes; long texts have several lines. */
const EVIDENCE = [
  ['product_description', 'What was sold', 'textarea'], ['customer_name', 'Customer\'s name'],
  ['customer_email_address', 'Customer\'s e-mail'], ['customer_purchase_ip', 'Address of the purchase (IP)'],
  ['billing_address', 'Billing address', 'textarea'], ['service_date', 'Date of the service'],
  ['shipping_address', 'Shipping address', 'textarea'], ['shipping_carrier', 'Carrier'],
  ['shipping_date', 'Shipped on'], ['shipping_tracking_number', 'Tracking number'],
  ['access_activity_log', 'Log of what was used', 'textarea'],
  ['refund_policy_disclosure', 'How the refund policy was shown', 'textarea'],
  ['refund_refusal_explanation', 'Why it was not refunded', 'textarea'],
  ['cancellation_policy_disclosure', 'How the cancellation policy was shown', 'textarea'],
  ['cancellation_rebuttal', 'Why it was not canceled', 'textarea'],
  ['duplicate_charge_id', 'The other charge'],
  ['duplicate_charge_explanation', 'Why it is no duplicate', 'textarea'],
  ['uncategorized_text', 'Anything else', 'textarea'],
];

export const disputeColumns = [
  amountColumn(), statusColumn,
  { title: 'Reason', cell: (one) => words(one.reason), csv: (one) => one.reason }, paymentColumn,
  {
    title: 'Answer by', csv: (one) => isoTime(one.evidence_details.due_by),
    cell: (one) => (ANSWERABLE.includes(one.status) ? time(one.evidence_details.due_by) : ''),
  },
  timeColumn('Opened', 'created'),
];

export function disputes(ctx) {
  listPage(ctx, {
    title: 'Disputes', csv: 'disputes', href: (one) => `#/disputes/${one.id}`,
    source: async (filters) => ({
      path: 'v1/disputes',
      params: { payment_intent: filters.payment_intent, created: createdParam(filters) },
    }),
    filters: [paymentFilter, ...dateFilters],
    columns: disputeColumns,
    empty: 'No disputes are like that.', none: 'There are none.',
  });
}

/* ------------------------------------------------------------------------------ one dispute */

const answerable = (one) => ANSWERABLE.includes(one.status) && !one.evidence_details.past_due;

const answer = {
  text: 'Answer', when: answerable,
  form: (one) => ({
    text: 'Evidence is handed in once. Kept for later, it can still be changed.',
    fields: [
      ...EVIDENCE.map(([name, label, kind]) => ({
        name, label, kind, value: one.evidence[name] || '', clearable: true,
        params: [`evidence[${name}]`],
      })),
      { name: 'submit', label: 'What to do with it', kind: 'select', value: 'false',
        options: [['false', 'Keep it for later'], ['true', 'Hand it in, for good']] },
    ],
    run: ({ submit, ...evidence }, key) => post(at('disputes', one.id), { evidence, submit }, key),
    said: (now) => (ANSWERABLE.includes(now.status) ? 'Kept.' : 'Handed in.'),
  }),
};

const accept = {
  text: 'Accept', danger: true, when: (one) => one.status === 'needs_response',
  form: (one) => ({
    text: 'The dispute is lost then, for good.',
    run: (values, key) => post(at('disputes', one.id, 'close'), {}, key),
    said: () => 'Accepted.',
  }),
};

function entries(one) {
  return tableOrNone({
    none: 'None yet.',
    columns: [
      { title: 'Amount', kind: 'number', cell: (entry) => money(entry.amount, entry.currency) },
      { title: 'Fee', kind: 'number', cell: (entry) => money(entry.fee, entry.currency) },
      { title: 'Net', kind: 'number', cell: (entry) => money(entry.net, entry.currency) },
      { title: 'What', kind: 'text', cell: (entry) => entry.description || word(entry.type) },
      { title: 'Entry', cell: reference }, createdColumn,
    ],
  }, one.balance_transactions);
}

export function dispute(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('disputes', ctx.id), {}, signal),
    title: (one) => `Dispute of ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    actions: [answer, accept],
    facts: (one) => [
      ['Reason', words(one.reason)],
      ['Network\'s reason', one.payment_method_details && one.payment_method_details.card &&
        one.payment_method_details.card.network_reason_code],
      ['Payment', paymentLink(one.payment_intent)], ['Charge', chargeLink(one.charge)],
      ['Answer by', time(one.evidence_details.due_by)],
      ['Too late', one.evidence_details.past_due ? 'yes' : ''],
      ['Handed in', one.evidence_details.submission_count ? 'yes' : ''],
      ['Can be refunded', one.is_charge_refundable ? 'yes: it is an inquiry' : ''],
      ['Opened', time(one.created)],
    ],
    sections: [
      ['Balance', entries],
      ['Evidence', (one) => facts(EVIDENCE.map(([name, label]) => [label, one.evidence[name]]))],
      ['Timeline', (one) => timeline([one.id], ctx.signal)],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}
