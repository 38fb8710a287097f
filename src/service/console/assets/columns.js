/* What many pages show: links to objects, columns of lists, filters. */
import { ApiError } from './api.js';
import { badge, CURRENCIES, decimal, idOf, isoTime, money, time } from './format.js';
import { link } from './dom.js';

/* ---------------------------------------------------------------------------------- links */

/* To an object's own page, from its id or the object itself; nothing if there is none. */
export function pageLink(page, reference, text) {
  const id = idOf(reference);
  return id ? link(`#/${page}/${id}`, text || id) : '';
}

export const paymentLink = (reference) => pageLink('payments', reference);
/* A charge as it is: its payment's page shows it in words. */
export const chargeLink = (reference) => pageLink('object/charges', reference);
export const walletLink = (reference) => pageLink('wallets', reference);

/* Of a customer as an object; an id is all that there is of one that was deleted, or not shown. */
export function customerLink(customer) {
  return pageLink('customers', customer, customer && (customer.name || customer.email));
}

/* -------------------------------------------------------------------------------- columns */

/* What a file has before a list's first column. */
export const idCsv = ['id', (one) => one.id];

/* An object's amount, which may have another name; a CSV file has its id before it. */
export const amountColumn = (name = 'amount') => ({
  title: 'Amount', kind: 'number', cell: (one) => money(one[name], one.currency),
  csvs: [idCsv, ['amount', (one) => decimal(one[name], one.currency)],
    ['currency', (one) => one.currency]],
});

export const statusColumn = {
  title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status,
};

export const paymentColumn = {
  title: 'Payment', cell: (one) => paymentLink(one.payment_intent), csv: (one) => idOf(one.payment_intent),
};

/* A moment, under the name that the API has for it. */
export const timeColumn = (title, name) => ({
  title, cell: (one) => time(one[name]), csv: (one) => isoTime(one[name]),
});

export const createdColumn = timeColumn('Created', 'created');

/* A text as it is. */
export const textColumn = (title, name) => ({
  title, kind: 'text', cell: (one) => one[name], csv: (one) => one[name],
});

/* -------------------------------------------------------------------------------- filters */

export const currencyOptions = (codes = CURRENCIES) => codes.map((code) => [code, code.toUpperCase()]);

export const currencyFilter = {
  name: 'currency', label: 'Currency', kind: 'select', options: currencyOptions(),
};
export const customerFilter = { name: 'customer', label: 'Customer', placeholder: 'cus_...' };
export const paymentFilter = { name: 'payment_intent', label: 'Payment', placeholder: 'pi_...' };
export const walletFilter = { name: 'wallet', label: 'Wallet', placeholder: 'wal_...' };

/* Two days of the browser's zone; createdParam and createdClauses read them. */
export const dateFilters = [
  { name: 'from', label: 'From', kind: 'date' }, { name: 'to', label: 'To', kind: 'date' },
];

/* Midnight of the browser's zone, in seconds. */
function dayStart(text, daysLater) {
  const [year, month, day] = text.split('-').map(Number);
  const seconds = Math.floor(new Date(year, month - 1, day + daysLater).getTime() / 1000);
  if (Number.isNaN(seconds)) {
    throw new ApiError('A date is like 2026-01-31.');
  }
  return seconds;
}

/* The dates as the parameter of a list. */
export function createdParam(filters) {
  const created = {};
  if (filters.from) {
    created.gte = dayStart(filters.from, 0);
  }
  if (filters.to) {
    created.lt = dayStart(filters.to, 1);
  }
  return Object.keys(created).length ? created : undefined;
}

/* The same as clauses of a search. */
export function createdClauses(filters) {
  const { gte, lt } = createdParam(filters) || {};
  return [gte === undefined ? null : `created>=${gte}`, lt === undefined ? null : `created<${lt}`]
    .filter(Boolean);
}

/* Tabs by status: "in_transit" as "In transit". */
export const statusTabs = (statuses) => ({
  name: 'status',
  options: [['', 'All'], ...statuses.map((status) =>
    [status, status.charAt(0).toUpperCase() + status.slice(1).replaceAll('_', ' ')])],
});
