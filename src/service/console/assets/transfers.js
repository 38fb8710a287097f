/* What wallets send one another, and what one asks another for. */
import { at, get, post } from './api.js';
import { badge, decimal, idOf, isoTime, money, reference, time } from './format.js';
import { detailPage, metadataNode } from './detail.js';
import { link } from './dom.js';
import { listPage } from './list.js';

const walletLink = (one) => {
  const id = idOf(one);
  return id ? link(`#/wallets/${id}`, id) : '';
};

const transferColumns = [
  {
    title: 'Amount', kind: 'number', cell: (one) => money(one.amount, one.currency),
    csvs: [['id', (one) => one.id], ['amount', (one) => decimal(one.amount, one.currency)],
      ['currency', (one) => one.currency]],
  },
  { title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status },
  { title: 'From', cell: (one) => walletLink(one.from) || 'test money', csv: (one) => idOf(one.from) },
  { title: 'To', cell: (one) => walletLink(one.to), csv: (one) => idOf(one.to) },
  { title: 'Description', kind: 'text', cell: (one) => one.description, csv: (one) => one.description },
  { title: 'Created', cell: (one) => time(one.created), csv: (one) => isoTime(one.created) },
];

export function transfers(ctx) {
  listPage(ctx, {
    title: 'Wallet transfers', columns: transferColumns, csv: 'wallet_transfers',
    href: (one) => `#/transfers/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_transfers', params: filters }),
    filters: [{ name: 'wallet', label: 'Wallet', placeholder: 'wal_...' }],
    empty: 'No transfers are like that.', none: 'There are none yet.',
  });
}

export function transfer(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('wallet_transfers', ctx.id), {}, signal),
    title: (one) => `Wallet transfer of ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    facts: (one) => [
      ['From', walletLink(one.from) || 'test money'], ['To', walletLink(one.to)],
      ['Description', one.description], ['Pays', reference(one.request)], ['Created', time(one.created)],
      ['Why it failed', one.failure_message],
    ],
    sections: [['Metadata', (one) => metadataNode(one.metadata)]],
  });
}

/* -------------------------------------------------------------------------------- requests */

const requestColumns = [
  transferColumns[0],
  { title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status },
  { title: 'Asks', cell: (one) => walletLink(one.to), csv: (one) => idOf(one.to) },
  { title: 'Is to pay', cell: (one) => walletLink(one.from), csv: (one) => idOf(one.from) },
  { title: 'Description', kind: 'text', cell: (one) => one.description, csv: (one) => one.description },
  { title: 'Expires', cell: (one) => time(one.expires_at), csv: (one) => isoTime(one.expires_at) },
];

export function moneyRequests(ctx) {
  listPage(ctx, {
    title: 'Requests for money', columns: requestColumns, csv: 'wallet_requests',
    href: (one) => `#/money-requests/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_requests', params: filters }),
    tabs: {
      name: 'status',
      options: [['', 'All'], ['open', 'Open'], ['paid', 'Paid'], ['declined', 'Declined'],
        ['canceled', 'Canceled'], ['expired', 'Expired']],
    },
    filters: [{ name: 'wallet', label: 'Wallet', placeholder: 'wal_...' }],
    empty: 'No requests are like that.', none: 'There are none yet.',
  });
}

const act = (verb, text, said, danger) => ({
  text, danger, when: (one) => one.status === 'open',
  form: (one) => ({
    text: {
      pay: `${money(one.amount, one.currency)} go from ${idOf(one.from)} to ${idOf(one.to)}.`,
      decline: 'As the one that was asked.', cancel: 'As the one that asked.',
    }[verb],
    run: (values, key) => post(at('wallet_requests', one.id, verb), {}, key),
    said: () => said,
  }),
});

export function moneyRequest(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('wallet_requests', ctx.id), {}, signal),
    title: (one) => `Request for ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    actions: [act('pay', 'Pay', 'Paid.'), act('decline', 'Decline', 'Declined.', true),
      act('cancel', 'Take back', 'Taken back.', true)],
    facts: (one) => [
      ['Asks', walletLink(one.to)], ['Is to pay', walletLink(one.from)],
      ['Description', one.description], ['Paid by', reference(one.transfer)],
      ['Expires', time(one.expires_at)], ['Created', time(one.created)],
    ],
    sections: [['Metadata', (one) => metadataNode(one.metadata)]],
  });
}
