/* Suspense items: amounts of which a person has to say what becomes. */
import { at, get, post } from './api.js';
import { amountColumn, createdColumn, pageLink, paymentColumn, paymentLink, statusColumn, statusTabs,
  walletLink } from './columns.js';
import { detailPage } from './detail.js';
import { listPage } from './list.js';
import { money, time } from './format.js';

const REASONS = {
  capture_refused: 'The ledger refused the capture', refund_refused: 'The ledger refused the refund',
  void_refused: 'The network declined to let go',
};

export function suspenseItems(ctx) {
  listPage(ctx, {
    title: 'Suspense items', csv: 'suspense', href: (one) => `#/suspense/${one.id}`,
    text: 'Money that was moved and could not be put where it belongs. There is none in ordinary times.',
    tabs: statusTabs(['open', 'resolved']),
    source: async (filters) => ({ path: 'v1/tael/suspense_items', params: filters }),
    columns: [
      amountColumn(), statusColumn,
      { title: 'Reason', cell: (one) => REASONS[one.reason] || one.reason, csv: (one) => one.reason },
      paymentColumn, createdColumn,
    ],
    empty: 'There are none.', none: 'There are none.',
  });
}

/* Of a void the network alone can let go; anything else is the wallet's or the merchant's. */
function resolutions(one) {
  return one.reason === 'void_refused'
    ? [['released', 'The network says that it holds nothing any more']]
    : [['wallet', one.reason === 'capture_refused' ? 'Draw it from the wallet' : 'Give it to the wallet'],
      ['merchant', one.reason === 'capture_refused' ? 'The merchant bears it' : 'The merchant keeps it']];
}

export function suspenseItem(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('tael', 'suspense_items', ctx.id), {}, signal),
    title: (one) => `Suspense of ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    actions: [{
      text: 'Resolve', when: (one) => one.status === 'open',
      form: (one) => ({
        fields: [
          { name: 'resolution', label: 'What becomes of it', kind: 'select', required: true,
            options: resolutions(one), value: resolutions(one)[0][0] },
          { name: 'note', label: 'Note', kind: 'textarea', maximum: 1000,
            hint: 'Who decided, and why.' },
        ],
        review: ({ resolution }) => `${money(one.amount, one.currency)}. ` +
          `${resolutions(one).find(([value]) => value === resolution)[1]}: for good?`,
        run: (values, key) => post(at('tael', 'suspense_items', one.id, 'resolve'), values, key),
        said: () => 'Resolved.',
      }),
    }],
    facts: (one) => [
      ['Reason', REASONS[one.reason] || one.reason],
      ['Payment', paymentLink(one.payment_intent)], ['Refund', pageLink('refunds', one.refund)],
      ['Wallet', walletLink(one.wallet)],
      ['Resolution', one.resolution], ['Note', one.note],
      ['Resolved', time(one.resolved_at)], ['Created', time(one.created)],
    ],
  });
}
