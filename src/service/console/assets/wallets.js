/* Wallets, holds in them and withdrawals from them. */
import { at, get, getExpanded, post } from './api.js';
import { amountColumn, createdColumn, createdParam, customerFilter, customerLink, dateFilters, idCsv,
  statusColumn, statusTabs, textColumn, timeColumn, walletFilter, walletLink } from './columns.js';
import { amountField, descriptionField } from './form.js';
import { decimal, idOf, money, reference, time, words } from './format.js';
import { detailPage, facts, metadataSection } from './detail.js';
import { isTest } from './session.js';
import { listPage, listPart, listView } from './list.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';

export function wallets(ctx) {
  listPage(ctx, {
    title: 'Wallets', csv: 'wallets', href: (one) => `#/wallets/${one.id}`,
    text: 'A wallet is opened from its customer\'s page.',
    source: async (filters) => ({
      path: 'v1/wallets', params: { customer: filters.customer }, expand: ['data.customer'],
    }),
    filters: [customerFilter],
    columns: [
      {
        title: 'Available', kind: 'number', cell: (one) => money(one.balance.available, one.currency),
        csvs: [idCsv,
          ['available', (one) => decimal(one.balance.available, one.currency)],
          ['held', (one) => decimal(one.balance.held, one.currency)],
          ['currency', (one) => one.currency]],
      },
      statusColumn, textColumn('E-mail', 'email'), textColumn('Handle', 'handle'),
      {
        title: 'Customer', csv: (one) => idOf(one.customer), cell: (one) => customerLink(one.customer),
      },
      createdColumn,
    ],
    empty: 'No wallets are like that.',
  });
}

/* ---------------------------------------------------------------------------------- actions */

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
    text: 'Test mode: money from nowhere.', fields: [amountField(one.currency), descriptionField()],
    run: (values, key) => post(`v1/test_helpers/${at('wallets', one.id, 'fund_balance').slice(3)}`,
      { ...values, currency: one.currency }, key),
    said: () => 'It has the money.',
  }),
};

const topUp = {
  text: 'Top up by test card', when: (one) => isTest() && one.status === 'active',
  form: (one) => ({
    fields: [amountField(one.currency)],
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
    fields: [amountField(one.currency), { name: 'to', label: 'For', required: true,
      hint: "A wallet's id, e-mail, phone or handle." }, descriptionField()],
    review: ({ amount, to }) => `Set ${money(amount, one.currency)} aside for ${to}?`,
    run: (values, key) => post(at('wallets', one.id, 'holds'), values, key),
    said: () => 'Held.',
  }),
};

const withdraw = {
  text: 'Withdraw', when: (one) => one.status === 'active',
  form: (one) => ({
    text: 'To a bank account. Only the end of its number is shown again.',
    fields: [amountField(one.currency),
      { name: 'bank_account[account_number]', label: 'Account number', required: true },
      { name: 'bank_account[routing_number]', label: 'Routing number' },
      { name: 'bank_account[country]', label: 'Country', maximum: 2, placeholder: 'US' },
      { name: 'bank_account[account_holder_name]', label: 'Holder' }, descriptionField()],
    review: (values) => `Send ${money(values.amount, one.currency)} to the account ` +
      `${values['bank_account[account_number]']}?`,
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
  { title: 'What', cell: (line) => words(line.kind), csv: (line) => line.kind },
  textColumn('Description', 'description'),
  { title: 'Source', cell: (line) => reference(line.source), csv: (line) => line.source },
  timeColumn('When', 'created'),
];

export function wallet(ctx) {
  return detailPage(ctx, {
    load: (signal) => getExpanded(at('wallets', ctx.id), {}, ['customer'], signal),
    title: (one) => `Wallet with ${money(one.balance.available, one.currency)}`,
    status: (one) => one.status,
    actions: [topUp, fund, reserve, withdraw, edit, turn('freeze', 'Freeze', 'active', true),
      turn('unfreeze', 'Unfreeze', 'frozen'), turn('close', 'Close', 'active', true)],
    facts: (one) => [
      ['Available', money(one.balance.available, one.currency)],
      ['Held', money(one.balance.held, one.currency)],
      ['Incoming', money(one.balance.incoming, one.currency)],
      ['Posted', money(one.balance.posted, one.currency)],
      ['Customer', customerLink(one.customer)],
      ['E-mail', one.email], ['Phone', one.phone], ['Handle', one.handle], ['Tier', one.tier],
      ['Created', time(one.created)],
    ],
    sections: [
      ['Statement', (one) => listView(ctx, {
        source: async (filters) => ({
          path: at('wallets', one.id, 'statement'), params: { created: createdParam(filters) },
        }),
        filters: dateFilters, columns: statementColumns, csv: `statement-${one.id}`,
        none: 'Nothing has moved yet.', empty: 'Nothing has moved then.',
      })],
      ['Limits', limits],
      ['Holds', (one) => listPart(ctx, {
        path: 'v1/wallet_holds', params: { wallet: one.id }, columns: holdColumns,
        href: (hold_) => `#/holds/${hold_.id}`,
      })],
      ['Withdrawals', (one) => listPart(ctx, {
        path: 'v1/wallet_withdrawals', params: { wallet: one.id }, columns: withdrawalColumns,
        href: (wd) => `#/withdrawals/${wd.id}`,
      })],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}

/* ------------------------------------------------------------------------------------ holds */

const holdColumns = [
  amountColumn(), statusColumn,
  { title: 'From', cell: (one) => walletLink(one.from), csv: (one) => idOf(one.from) },
  { title: 'For', cell: (one) => walletLink(one.to), csv: (one) => idOf(one.to) },
  timeColumn('Expires', 'expires_at'),
];

export function holds(ctx) {
  listPage(ctx, {
    title: 'Wallet holds', columns: holdColumns, csv: 'holds', href: (one) => `#/holds/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_holds', params: filters }),
    tabs: statusTabs(['active', 'captured', 'released', 'expired', 'failed']),
    filters: [walletFilter],
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
        fields: [amountField(one.currency, one.amount_capturable)],
        review: ({ amount }) => `Capture ${money(amount, one.currency)} for ${idOf(one.to)}?`,
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
    sections: [['Timeline', (one) => timeline([one.id], ctx.signal)], metadataSection],
  });
}

/* ------------------------------------------------------------------------------ withdrawals */

const withdrawalColumns = [
  amountColumn(), statusColumn,
  { title: 'Wallet', cell: (one) => walletLink(one.wallet), csv: (one) => idOf(one.wallet) },
  { title: 'Account', cell: (one) => `...${one.bank_account.last4}`,
    csv: (one) => one.bank_account.last4 },
  createdColumn,
];

export function withdrawals(ctx) {
  listPage(ctx, {
    title: 'Withdrawals', columns: withdrawalColumns, csv: 'withdrawals',
    href: (one) => `#/withdrawals/${one.id}`,
    source: async (filters) => ({ path: 'v1/wallet_withdrawals', params: filters }),
    tabs: statusTabs(['pending', 'paid', 'failed', 'returned']),
    filters: [walletFilter],
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
        review: (values) => `Give ${money(one.amount, one.currency)} to ${values.wallet}?`,
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
    sections: [['Timeline', (one) => timeline([one.id], ctx.signal)], metadataSection],
  });
}
