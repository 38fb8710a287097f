/* Payments and refunds: the lists, and a refund's page. */
import { ApiError, at, get, getExpanded, quoted } from './api.js';
import { amountColumn, chargeLink, createdClauses, createdColumn, createdParam, currencyFilter, customerLink,
  dateFilters, paymentColumn, paymentFilter, paymentLink, statusColumn, textColumn } from './columns.js';
import { badge, decimal, idOf, isoTime, method, money, parseAmount, reference, time,
  words } from './format.js';
import { detailPage, facts, metadataSection } from './detail.js';
import { h } from './dom.js';
import { listPage } from './list.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';

const TABS = [
  ['', 'All'], ['succeeded', 'Succeeded'], ['requires_capture', 'To capture'],
  ['requires_action', 'Waiting for the payer'], ['requires_payment_method', 'Not paid'],
  ['processing', 'Processing'], ['canceled', 'Canceled'],
];

/* Null: there is none, or the key may not see charges. */
export function chargeOf(intent) {
  return intent.latest_charge && typeof intent.latest_charge === 'object'
    ? intent.latest_charge : null;
}

export function methodOf(intent) {
  const paid = chargeOf(intent);
  return paid ? method(paid.payment_method_details) : '';
}

function statusOf(intent) {
  const paid = chargeOf(intent);
  const back = paid ? paid.amount_refunded : 0;
  return [badge(intent.status), back > 0
    ? h('span', { class: 'badge off' }, back < paid.amount ? 'partly refunded' : 'refunded') : '',
  paid && paid.disputed ? h('span', { class: 'badge bad' }, 'disputed') : ''];
}

/* What a row of payments shows of others. */
export const PAYMENT_EXPAND = ['data.latest_charge', 'data.customer'];

export const paymentColumns = [
  {
    title: 'Amount', kind: 'number', cell: (pi) => money(pi.amount, pi.currency),
    csvs: [['id', (pi) => pi.id], ['amount', (pi) => decimal(pi.amount, pi.currency)],
      ['received', (pi) => decimal(pi.amount_received, pi.currency)],
      ['currency', (pi) => pi.currency]],
  },
  {
    title: 'Status', cell: statusOf,
    csvs: [['status', (pi) => pi.status],
      ['refunded', (pi) => (chargeOf(pi) ? decimal(chargeOf(pi).amount_refunded, pi.currency) : '')]],
  },
  { title: 'Method', kind: 'short', cell: methodOf, csv: methodOf },
  textColumn('Description', 'description'),
  {
    title: 'Customer', kind: 'text', csv: (pi) => idOf(pi.customer),
    cell: (pi) => customerLink(pi.customer),
  },
  {
    title: 'Created', cell: (pi) => time(pi.created),
    csvs: [['created', (pi) => isoTime(pi.created)],
      ['metadata', (pi) => JSON.stringify(pi.metadata || {})]],
  },
];

async function customerId(text, signal) {
  if (!text.includes('@')) {
    return text;
  }
  const found = await get('v1/customers', { email: text, limit: 1 }, signal);
  if (found.data.length === 0) {
    throw new ApiError('No customer has this e-mail address.');
  }
  return found.data[0].id;
}

async function clauses(filters, signal) {
  const all = createdClauses(filters);
  if (filters.customer) {
    all.push(`customer:${quoted(await customerId(filters.customer, signal))}`);
  }
  if (filters.currency) {
    all.push(`currency:${quoted(filters.currency)}`);
  }
  if (filters.amount) {
    if (!filters.currency) {
      throw new ApiError('Choose the currency of the amount beside it.');
    }
    const amount = parseAmount(filters.amount, filters.currency);
    if (amount === null) {
      throw new ApiError(`An amount is like ${decimal(1250, filters.currency)}.`);
    }
    all.push(`amount:${amount}`);
  }
  if (filters.key) {
    all.push(`metadata[${quoted(filters.key)}]:${filters.value ? quoted(filters.value) : 'null'}`);
  }
  if (filters.key && !filters.value) {
    all[all.length - 1] = `-${all[all.length - 1]}`; // any value
  }
  return all;
}

/*
 * A card's digits are known of charges, the status of an intent is not: those are found by their
 * charges, and what has another status is left out of each page.
 */
function byCharge(filters, all) {
  return {
    path: 'v1/charges/search', limit: 100,
    params: { query: [...all, `payment_method_details.card.last4:${quoted(filters.last4)}`].join(' AND ') },
    expand: ['data.payment_intent', 'data.customer'],
    map: (charges) => {
      const seen = new Map();
      for (const one of charges) {
        const intent = one.payment_intent;
        if (!intent || typeof intent !== 'object') {
          throw new ApiError('This key may not see the payments of charges.');
        }
        if (!seen.has(intent.id) && (!filters.status || intent.status === filters.status)) {
          seen.set(intent.id, { ...intent, latest_charge: one, customer: one.customer });
        }
      }
      return [...seen.values()];
    },
  };
}

async function source(filters, signal) {
  const all = await clauses(filters, signal);
  if (filters.last4) {
    return byCharge(filters, all);
  }
  if (filters.status) {
    all.push(`status:${quoted(filters.status)}`);
  }
  return all.length === 0
    ? { path: 'v1/payment_intents', params: {}, expand: PAYMENT_EXPAND }
    : { path: 'v1/payment_intents/search', params: { query: all.join(' AND ') }, expand: PAYMENT_EXPAND };
}

export function payments(ctx) {
  listPage(ctx, {
    title: 'Payments', source, csv: 'payments', columns: paymentColumns,
    actions: [h('a', { class: 'primary', href: '#/new' }, 'New payment')],
    href: (pi) => `#/payments/${pi.id}`,
    tabs: { name: 'status', options: TABS },
    filters: [
      { name: 'amount', label: 'Amount', placeholder: '12.50' },
      currencyFilter, { name: 'customer', label: 'Customer', placeholder: 'cus_... or e-mail' },
      { name: 'last4', label: 'Card ends in', placeholder: '4242' }, ...dateFilters,
      { name: 'key', label: 'Metadata key', placeholder: 'order' },
      { name: 'value', label: 'Metadata value', placeholder: '6735' },
    ],
    empty: 'No payments are like that.',
  });
}

/* -------------------------------------------------------------------------------- refunds */

export const refundColumns = [
  amountColumn(), statusColumn,
  { title: 'Reason', cell: (re) => words(re.reason), csv: (re) => re.reason },
  paymentColumn, createdColumn,
];

export function refunds(ctx) {
  listPage(ctx, {
    title: 'Refunds', columns: refundColumns, csv: 'refunds',
    href: (re) => `#/refunds/${re.id}`,
    source: async (filters) => ({
      path: 'v1/refunds',
      params: { payment_intent: filters.payment_intent, created: createdParam(filters) },
    }),
    filters: [paymentFilter, ...dateFilters],
    empty: 'No refunds are like that.',
    none: 'There are none yet. Money is given back from a payment\'s page.',
  });
}

export function refund(ctx) {
  return detailPage(ctx, {
    load: (signal) => getExpanded(at('refunds', ctx.id), {}, ['balance_transaction'], signal),
    title: (re) => `Refund of ${money(re.amount, re.currency)}`,
    status: (re) => re.status,
    facts: (re) => [
      ['Payment', paymentLink(re.payment_intent)], ['Charge', chargeLink(re.charge)],
      ['Reason', words(re.reason)],
      ['Why it failed', re.failure_reason],
      ['To', re.destination_details && re.destination_details.type],
      ['From the wallet', re.split && money(re.split.wallet.amount, re.currency)],
      ['From the card', re.split && money(re.split.card.amount, re.currency)],
      ['Created', time(re.created)],
    ],
    sections: [
      ['Balance', (re) => (re.balance_transaction && re.balance_transaction.id ? facts([
        ['Net', money(re.balance_transaction.net, re.balance_transaction.currency)],
        ['Entry', reference(re.balance_transaction)],
      ]) : re.balance_transaction || 'No entry yet.')],
      ['Timeline', (re) => timeline([re.id], ctx.signal)],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}
