/* What wallets send one another, and what one asks another for. */
import {
  amountColumn, createdColumn, statusColumn, statusTabs, textColumn, timeColumn, walletFilter, walletLink,
} from './columns.js';
import { at, get, post } from './api.js';
import { detailPage, metadataSection } from './detail.js';
import { idOf, money, reference, time } from './format.js';
import { listPage } from './list.js';
import { timeline } from './timeline.js';

const ofWallet = (title, name, none) => ({
  title, cell: (one) => walletLink(one[name]) || none, csv: (one) => idOf(one[name]),
});

const transferColumns = [
  amountColumn(), statusColumn, ofWallet('From', 'from', 'test money'), ofWallet('To', 'to'),
  textColumn('Description', 'description'), createdColumn,
];

export function transfers(ctx) {
  listPage(ctx, {
    title: 'Wallet transfers', columns: transferColumns, csv: 'wallet_transfers',
    href: (one) => `#/transfers/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_transfers', params: filters }),
    filters: [walletFilter],
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
    sections: [['Timeline', (one) => timeline([one.id], ctx.signal)], metadataSection],
  });
}

/* -------------------------------------------------------------------------------- requests */

const requestColumns = [
  amountColumn(), statusColumn, ofWallet('Asks', 'to'), ofWallet('Is to pay', 'from'),
  textColumn('Description', 'description'), timeColumn('Expires', 'expires_at'),
];

export function moneyRequests(ctx) {
  listPage(ctx, {
    title: 'Requests for money', columns: requestColumns, csv: 'wallet_requests',
    href: (one) => `#/money-requests/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_requests', params: filters }),
    tabs: statusTabs(['open', 'paid', 'declined', 'canceled', 'expired']),
    filters: [walletFilter],
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
    sections: [['Timeline', (one) => timeline([one.id], ctx.signal)], metadataSection],
  });
}
