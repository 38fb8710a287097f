/* The balance, and the entries that it is made of. */
import { get } from './api.js';
import { badge, decimal, idOf, isoTime, money, reference, time } from './format.js';
import { createdParam } from './payments.js';
import { CURRENCIES } from './format.js';
import { h } from './dom.js';
import { listView, table } from './list.js';
import { section } from './detail.js';

/* Available and pending, a row for each currency. */
export async function balances(signal) {
  const answer = await get('v1/balance', {}, signal);
  const rows = new Map();
  for (const name of ['available', 'pending']) {
    for (const { amount, currency } of answer[name]) {
      rows.set(currency, { currency, ...rows.get(currency), [name]: amount });
    }
  }
  return rows.size === 0 ? h('p', { class: 'empty' }, 'No money yet.') : table({
    columns: [
      { title: 'Currency', cell: (row) => row.currency.toUpperCase() },
      { title: 'Available', kind: 'number', cell: (row) => money(row.available || 0, row.currency) },
      { title: 'Pending', kind: 'number', cell: (row) => money(row.pending || 0, row.currency) },
    ],
  }, [...rows.values()]);
}

const columns = [
  {
    title: 'Amount', kind: 'number', cell: (one) => money(one.amount, one.currency),
    csvs: [['id', (one) => one.id], ['amount', (one) => decimal(one.amount, one.currency)],
      ['fee', (one) => decimal(one.fee, one.currency)],
      ['net', (one) => decimal(one.net, one.currency)], ['currency', (one) => one.currency]],
  },
  { title: 'Fee', kind: 'number', cell: (one) => money(one.fee, one.currency) },
  { title: 'Net', kind: 'number', cell: (one) => money(one.net, one.currency) },
  { title: 'Type', cell: (one) => one.type.replaceAll('_', ' '), csv: (one) => one.type },
  { title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status },
  { title: 'Source', kind: 'text', cell: (one) => reference(one.source), csv: (one) => idOf(one.source) },
  { title: 'Available on', cell: (one) => time(one.available_on, true),
    csv: (one) => isoTime(one.available_on) },
  { title: 'Created', cell: (one) => time(one.created), csv: (one) => isoTime(one.created) },
];

export function balance(ctx) {
  ctx.title('Balance');
  ctx.main.append(
    section(ctx, 'Now', () => balances(ctx.signal)),
    h('section', null, h('h2', null, 'Entries'), listView(ctx, {
      columns, csv: 'balance',
      source: async (filters) => ({
        path: 'v1/balance_transactions',
        params: {
          type: filters.type, currency: filters.currency, source: filters.source,
          created: createdParam(filters),
        },
      }),
      filters: [
        { name: 'type', label: 'Type', placeholder: 'charge' },
        { name: 'currency', label: 'Currency', kind: 'select',
          options: CURRENCIES.map((code) => [code, code.toUpperCase()]) },
        { name: 'source', label: 'Source', placeholder: 'ch_... or re_...' },
        { name: 'from', label: 'From', kind: 'date' },
        { name: 'to', label: 'To', kind: 'date' },
      ],
      empty: 'No entries are like that.',
    })));
}
