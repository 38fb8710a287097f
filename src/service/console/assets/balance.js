/* The balance, and the entries that it is made of. */
import { get } from './api.js';
import { createdColumn, createdParam, currencyFilter, dateFilters, idCsv, statusColumn } from './columns.js';
import { decimal, idOf, isoTime, money, reference, time, words } from './format.js';
import { h } from './dom.js';
import { listView, tableOrNone } from './list.js';
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
  return tableOrNone({
    none: 'No money yet.',
    columns: [
      { title: 'Currency', cell: (row) => row.currency.toUpperCase() },
      { title: 'Available', kind: 'number', cell: (row) => money(row.available || 0, row.currency) },
      { title: 'Pending', kind: 'number', cell: (row) => money(row.pending || 0, row.currency) },
    ],
  }, [...rows.values()]);
}

export const balanceColumns = [
  {
    title: 'Amount', kind: 'number', cell: (one) => money(one.amount, one.currency),
    csvs: [idCsv, ['amount', (one) => decimal(one.amount, one.currency)],
      ['fee', (one) => decimal(one.fee, one.currency)],
      ['net', (one) => decimal(one.net, one.currency)], ['currency', (one) => one.currency]],
  },
  { title: 'Fee', kind: 'number', cell: (one) => money(one.fee, one.currency) },
  { title: 'Net', kind: 'number', cell: (one) => money(one.net, one.currency) },
  { title: 'Type', cell: (one) => words(one.type), csv: (one) => one.type },
  statusColumn,
  { title: 'Source', kind: 'text', cell: (one) => reference(one.source), csv: (one) => idOf(one.source) },
  { title: 'Available on', cell: (one) => time(one.available_on, true),
    csv: (one) => isoTime(one.available_on) },
  createdColumn,
];

export function balance(ctx) {
  ctx.title('Balance');
  ctx.main.append(
    section(ctx, 'Now', () => balances(ctx.signal)),
    h('section', null, h('h2', null, 'Entries'), listView(ctx, {
      columns: balanceColumns, csv: 'balance',
      source: async (filters) => ({
        path: 'v1/balance_transactions',
        params: {
          type: filters.type, currency: filters.currency, source: filters.source, payout: filters.payout,
          created: createdParam(filters),
        },
      }),
      filters: [
        { name: 'type', label: 'Type', placeholder: 'charge' }, currencyFilter,
        { name: 'source', label: 'Source', placeholder: 'ch_... or re_...' },
        { name: 'payout', label: 'Payout', placeholder: 'po_...' }, ...dateFilters,
      ],
      empty: 'No entries are like that.',
    })));
}
