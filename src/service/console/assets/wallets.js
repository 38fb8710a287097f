/* Wallets, holds in them and withdrawals from them. */
import { at, get, post } from './api.js';
import { badge, decimal, idOf, isoTime, money, reference, time } from './format.js';
import { createdParam, customerName } from './payments.js';
import { detailPage, facts, metadataNode } from './detail.js';
import { link } from './dom.js';
import { listPage, listView } from './list.js';
import { isTest } from './session.js';

const plain = (ctx) => ({ ...ctx, query: new URLSearchParams() });
const walletLink = (reference) => {
  const id = idOf(reference);
  return id ? link(`#/wallets/${id}`, id) : '';
};

export function wallets(ctx) {
  listPage(ctx, {
    title: 'Wallets', csv: 'wallets', href: (one) => `#/wallets/${one.id}`,
    text: 'A wallet is opened from its customer\'s page.',
    source: async (filters) => ({
      path: 'v1/wallets', params: { customer: filters.customer }, expand: ['data.customer'],
    }),
    filters: [{ name: 'customer', label: 'Customer', placeholder: 'cus_...' }],
    columns: [
      {
        title: 'Available', kind: 'number', cell: (one) => money(one.balance.available, one.currency),
        csvs: [['id', (one) => one.id],
          ['available', (one) => decimal(one.balance.available, one.currency)],
          ['held', (one) => decimal(one.balance.held, one.currency)],
          ['currency', (one) => one.currency]],
      },
      { title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status },
      { title: 'E-mail', kind: 'text', cell: (one) => one.email, csv: (one) => one.email },
      { title: 'Handle', kind: 'text', cell: (one) => one.handle, csv: (one) => one.handle },
      {
        title: 'Customer', csv: (one) => idOf(one.customer),
        cell: (one) => link(`#/customers/${idOf(one.customer)}`, customerName(one.customer)),
      },
      { title: 'Created', cell: (one) => time(one.created), csv: (one) => isoTime(one.created) },
    ],
    empty: 'No wallets are like that.',
  });
}

/* ---------------------------------------------------------------------------------- actions */

const amount = (one, more) => ({
  name: 'amount', label: `Amount (${one.currency.toUpperCase()})`, kind: 'amount', required: true,
  currency: one.currency, ...more,
});
const description = { name: 'description', label: 'Description', maximum: 1000 };

const turn = (verb, text, from, danger) => ({
  text, danger, when: (one) => one.status === from,
  form: (one) => ({
    text: {
      freeze: 'Nothing leaves it until it is unfrozen.', unfreeze: 'It can pay again.',
      close: 'For good. It must be empty.',
    }[verb],
    run: (values, key) => post(at('wallets', one.id, verb), {}, key),
  }),
});

const fund = {
  text: 'Give test money', when: (one) => isTest() && one.status === 'active',
  form: (one) => ({
    text: 'Test mode: money from nowhere.', fields: [amount(one), description],
    run: (values, key) => post(`v1/test_helpers/${at('wallets', one.id, 'fund_balance').slice(3)}`,
      { ...values, currency: one.currency }, key),
    said: () => 'It has the money.',
  }),
};

const topUp = {
  text: 'Top up by test card', when: (one) => isTest() && one.status === 'active',
  form: (one) => ({
    fields: [amount(one)],
    run: (values, key) => post('v1/payment_intents', {
      ...values, currency: one.currency, payment_method: 'pm_card_visa', confirm: true,
      transfer_data: { destination: one.id },
    }, key),
    said: () => 'Topped up.',
  }),
};

const reserve = {
  text: 'Hold', when: (one) => one.status === 'active',
  form: (one) => ({
    text: 'Money is set aside for another wallet, until it is captured or released.',
    fields: [amount(one), { name: 'to', label: 'For', required: true,
      hint: "A wallet's id, e-mail, phone or handle." }, description],
    run: (values, key) => post(at('wallets', one.id, 'holds'), values, key),
    said: () => 'Held.',
  }),
};

const withdraw = {
  text: 'Withdraw', when: (one) => one.status === 'active',
  form: (one) => ({
    text: 'To a bank account. Only the end of its number is shown again.',
    fields: [amount(one),
      { name: 'bank_account[account_number]', label: 'Account number', required: true },
      { name: 'bank_account[routing_number]', label: 'Routing number' },
      { name: 'bank_account[country]', label: 'Country', maximum: 2, placeholder: 'US' },
      { name: 'bank_account[account_holder_name]', label: 'Holder' }, description],
    run: (values, key) => post(at('wallets', one.id, 'withdrawals'), values, key),
    said: () => 'On its way.',
  }),
};

const edit = {
  text: 'Edit', when: (one) => one.status !== 'closed',
  form: (one) => ({
    fields: ['email', 'phone', 'handle'].map((name) => ({
      name, label: { email: 'E-mail', phone: 'Phone', handle: 'Handle' }[name],
      value: one[name] || '', clearable: true,
    })).concat([{ name: 'tier', label: 'Tier of limits', value: one.tier || '' }]),
    run: (values, key) => post(at('wallets', one.id), values, key),
  }),
};

/* ----------------------------------------------------------------------------- one wallet */

function limits(one) {
  const pairs = [];
  for (const [way, text] of [['out', 'Out'], ['in', 'In']]) {
    for (const span of ['transaction', 'day', 'month']) {
      const limit = one.limits && one.limits[way] && one.limits[way][span];
      if (limit) {
        pairs.push([`${text}, ${span === 'transaction' ? 'at once' : `left this ${span}`}`,
          `${money(limit.remaining, one.currency)} of ${money(limit.limit, one.currency)}`]);
      }
    }
  }
  return facts(pairs);
}

const statementColumns = [
  {
    title: 'Amount', kind: 'number', cell: (line) => money(line.amount, line.currency),
    csvs: [['amount', (line) => decimal(line.amount, line.currency)],
      ['balance', (line) => decimal(line.balance, line.currency)],
      ['currency', (line) => line.currency]],
  },
  { title: 'Balance', kind: 'number', cell: (line) => money(line.balance, line.currency) },
  { title: 'What', cell: (line) => line.kind.replaceAll('_', ' '), csv: (line) => line.kind },
  { title: 'Description', kind: 'text', cell: (line) => line.description,
    csv: (line) => line.description },
  { title: 'Source', cell: (line) => reference(line.source), csv: (line) => line.source },
  { title: 'When', cell: (line) => time(line.created), csv: (line) => isoTime(line.created) },
];

export function wallet(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('wallets', ctx.id), {}, signal),
    title: (one) => `Wallet with ${money(one.balance.available, one.currency)}`,
    status: (one) => one.status,
    actions: [topUp, fund, reserve, withdraw, edit, turn('freeze', 'Freeze', 'active', true),
      turn('unfreeze', 'Unfreeze', 'frozen'), turn('close', 'Close', 'active', true)],
    facts: (one) => [
      ['Available', money(one.balance.available, one.currency)],
      ['Held', money(one.balance.held, one.currency)],
      ['Incoming', money(one.balance.incoming, one.currency)],
      ['Posted', money(one.balance.posted, one.currency)],
      ['Customer', link(`#/customers/${idOf(one.customer)}`, idOf(one.customer))],
      ['E-mail', one.email], ['Phone', one.phone], ['Handle', one.handle], ['Tier', one.tier],
      ['Created', time(one.created)],
    ],
    sections: [
      ['Statement', (one) => listView(ctx, {
        source: async (filters) => ({
          path: at('wallets', one.id, 'statement'), params: { created: createdParam(filters) },
        }),
        filters: [{ name: 'from', label: 'From', kind: 'date' }, { name: 'to', label: 'To', kind: 'date' }],
        columns: statementColumns, csv: `statement-${one.id}`, none: 'Nothing has moved yet.', empty: 'Nothing has moved then.',
      })],
      ['Limits', limits],
      ['Holds', (one) => listView(plain(ctx), {
        path: 'v1/wallet_holds', params: { wallet: one.id }, columns: holdColumns,
        href: (hold_) => `#/holds/${hold_.id}`, empty: 'None.',
      })],
      ['Withdrawals', (one) => listView(plain(ctx), {
        path: 'v1/wallet_withdrawals', params: { wallet: one.id }, columns: withdrawalColumns,
        href: (wd) => `#/withdrawals/${wd.id}`, empty: 'None.',
      })],
      ['Metadata', (one) => metadataNode(one.metadata)],
    ],
  });
}

/* ------------------------------------------------------------------------------------ holds */

const holdColumns = [
  {
    title: 'Amount', kind: 'number', cell: (one) => money(one.amount, one.currency),
    csvs: [['id', (one) => one.id], ['amount', (one) => decimal(one.amount, one.currency)],
      ['currency', (one) => one.currency]],
  },
  { title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status },
  { title: 'From', cell: (one) => walletLink(one.from), csv: (one) => idOf(one.from) },
  { title: 'For', cell: (one) => walletLink(one.to), csv: (one) => idOf(one.to) },
  { title: 'Expires', cell: (one) => time(one.expires_at), csv: (one) => isoTime(one.expires_at) },
];

const status = (words) => ({ name: 'status', options: [['', 'All'], ...words.map((one) => [one,
  one.charAt(0).toUpperCase() + one.slice(1)])] });

export function holds(ctx) {
  listPage(ctx, {
    title: 'Wallet holds', columns: holdColumns, csv: 'holds', href: (one) => `#/holds/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_holds', params: filters }),
    tabs: status(['active', 'captured', 'released', 'expired', 'failed']),
    filters: [{ name: 'wallet', label: 'Wallet', placeholder: 'wal_...' }],
    empty: 'No holds are like that.',
    none: 'There are none yet. They are made from a wallet\'s page.',
  });
}

export function hold(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('wallet_holds', ctx.id), {}, signal),
    title: (one) => `Hold of ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    actions: [{
      text: 'Capture', when: (one) => one.status === 'active',
      form: (one) => ({
        text: 'What is not captured is released.',
        fields: [amount(one, { value: decimal(one.amount_capturable, one.currency) })],
        run: (values, key) => post(at('wallet_holds', one.id, 'capture'), values, key),
      }),
    }, {
      text: 'Release', danger: true, when: (one) => one.status === 'active',
      form: (one) => ({ run: (values, key) => post(at('wallet_holds', one.id, 'release'), {}, key) }),
    }],
    facts: (one) => [
      ['From', walletLink(one.from)], ['For', walletLink(one.to)],
      ['Captured', money(one.amount_captured, one.currency)], ['Description', one.description],
      ['Expires', time(one.expires_at)], ['Created', time(one.created)],
      ['Why it failed', one.failure_message],
    ],
    sections: [['Metadata', (one) => metadataNode(one.metadata)]],
  });
}

/* ------------------------------------------------------------------------------ withdrawals */

const withdrawalColumns = [
  {
    title: 'Amount', kind: 'number', cell: (one) => money(one.amount, one.currency),
    csvs: [['id', (one) => one.id], ['amount', (one) => decimal(one.amount, one.currency)],
      ['currency', (one) => one.currency]],
  },
  { title: 'Status', cell: (one) => badge(one.status), csv: (one) => one.status },
  { title: 'Wallet', cell: (one) => walletLink(one.wallet), csv: (one) => idOf(one.wallet) },
  { title: 'Account', cell: (one) => `...${one.bank_account.last4}`,
    csv: (one) => one.bank_account.last4 },
  { title: 'Created', cell: (one) => time(one.created), csv: (one) => isoTime(one.created) },
];

export function withdrawals(ctx) {
  listPage(ctx, {
    title: 'Withdrawals', columns: withdrawalColumns, csv: 'withdrawals',
    href: (one) => `#/withdrawals/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_withdrawals', params: filters }),
    tabs: status(['pending', 'paid', 'failed', 'returned']),
    filters: [{ name: 'wallet', label: 'Wallet', placeholder: 'wal_...' }],
    empty: 'No withdrawals are like that.',
    none: 'There are none yet. They are made from a wallet\'s page.',
  });
}

export function withdrawal(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('wallet_withdrawals', ctx.id), {}, signal),
    title: (one) => `Withdrawal of ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    actions: [{
      text: 'Give to a wallet', when: (one) => one.status === 'returned' && !one.returned_to,
      form: (one) => ({
        text: 'The bank sent it back and its wallet is closed: say who gets it.',
        fields: [{ name: 'wallet', label: 'Wallet', required: true,
          hint: "A wallet's id, e-mail, phone or handle." }],
        run: (values, key) => post(at('wallet_withdrawals', one.id, 'give'), values, key),
      }),
    }],
    facts: (one) => [
      ['Wallet', walletLink(one.wallet)], ['Account', `...${one.bank_account.last4}`],
      ['Holder', one.bank_account.account_holder_name], ['Country', one.bank_account.country],
      ['Description', one.description], ['Created', time(one.created)],
      ['Paid', time(one.paid_at)], ['Returned to', walletLink(one.returned_to)],
      ['Why it failed', one.failure_message],
    ],
    sections: [['Metadata', (one) => metadataNode(one.metadata)]],
  });
}
