/* Payouts to the merchant's bank, and the bank accounts. */
import { at, get, getExpanded, post, remove } from './api.js';
import { amountColumn, createdColumn, createdParam, dateFilters, statusColumn, statusTabs, textColumn }
  from './columns.js';
import { balanceColumns } from './balance.js';
import { anyAmountField, currencyField, descriptionField, openForm, sayAndReload } from './form.js';
import { button, h } from './dom.js';
import { day, idOf, isoTime, money, reference, time } from './format.js';
import { detailPage, metadataSection, section } from './detail.js';
import { listPart, listView, tableOrNone } from './list.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';

const STATES = ['pending', 'in_transit', 'paid', 'failed', 'canceled'];

/* "STRIPE TEST BANK ...6789", or the id where the key may not see accounts. */
function bankOf(payout_) {
  const bank = payout_.destination;
  return bank && bank.last4 ? `${bank.bank_name || 'Account'} ...${bank.last4}` : idOf(bank) || '';
}

const columns = [
  amountColumn(), statusColumn, { title: 'To', kind: 'text', cell: bankOf, csv: bankOf },
  textColumn('Description', 'description'),
  { title: 'Arrives', cell: (one) => day(one.arrival_date), csv: (one) => isoTime(one.arrival_date) },
  createdColumn,
];

function create(ctx) {
  openForm({
    title: 'New payout', submit: 'Pay out',
    text: 'From the available balance, to the default bank account of the currency unless another is named.',
    fields: [
      anyAmountField({ required: true }), currencyField(),
      { name: 'destination', label: 'Bank account', placeholder: 'ba_...' }, descriptionField(),
      { name: 'statement_descriptor', label: 'On the statement', maximum: 22 },
    ],
    review: ({ amount, currency, destination }) => `Pay out ${money(amount, currency)} to ` +
      `${destination || `the default bank account for ${currency.toUpperCase()}`}?`,
    run: (values, key) => post('v1/payouts', values, key),
    done: (made) => ctx.go(`#/payouts/${made.id}`),
  });
}

/* ---------------------------------------------------------------------------- bank accounts */

function addAccount(ctx, account) {
  openForm({
    title: 'New bank account', submit: 'Add',
    text: 'Only the end of its number is shown again.',
    fields: [
      { name: 'external_account[account_number]', label: 'Account number', required: true },
      { name: 'external_account[routing_number]', label: 'Routing number' },
      { name: 'external_account[country]', label: 'Country', required: true, maximum: 2, placeholder: 'US' },
      { ...currencyField(), name: 'external_account[currency]' },
      { name: 'external_account[account_holder_name]', label: 'Holder' },
      { name: 'default_for_currency', label: 'Payouts in this currency go there', kind: 'checkbox' },
    ],
    run: (values, key) => post(at('accounts', account.id, 'external_accounts'),
      { 'external_account[object]': 'bank_account', ...values }, key),
    done: sayAndReload(ctx, 'Added.'),
  });
}

function dropAccount(ctx, account, bank) {
  openForm({
    title: 'Remove the bank account', submit: 'Remove', danger: true, fields: [],
    text: `...${bank.last4}: nothing is paid out there any more.`,
    run: () => remove(at('accounts', account.id, 'external_accounts', bank.id)),
    done: sayAndReload(ctx, 'Removed.'),
  });
}

async function accounts(ctx) {
  const account = await get('v1/account', {}, ctx.signal);
  const list = await get(at('accounts', account.id, 'external_accounts'), { limit: 100 }, ctx.signal);
  return [
    tableOrNone({
      none: 'None: add one before paying out.',
      columns: [
        { title: 'Account', cell: (bank) => `...${bank.last4}` },
        { title: 'Holder', kind: 'text', cell: (bank) => bank.account_holder_name },
        { title: 'Currency', cell: (bank) => bank.currency.toUpperCase() },
        { title: 'Country', cell: (bank) => bank.country },
        statusColumn,
        { title: 'Default', cell: (bank) => (bank.default_for_currency ? 'yes' : '') },
        { title: 'Id', cell: (bank) => h('code', null, bank.id) },
        { title: 'Action', cell: (bank) => button('Remove', () => dropAccount(ctx, account, bank)) },
      ],
    }, list.data),
    button('Add a bank account', () => addAccount(ctx, account)),
  ];
}

/* --------------------------------------------------------------------------------- schedule */

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
const SCHEDULE = 'settings[payouts][schedule]';

/* "Weekly: monday, thursday." */
function scheduleText(schedule) {
  const days = schedule.weekly_payout_days || schedule.monthly_payout_days || [schedule.weekly_anchor];
  switch (schedule.interval) {
    case 'manual':
      return 'Nothing is paid out by itself.';
    case 'daily':
      return 'Each day what is available is paid out.';
    default:
      return `What is available is paid out ${schedule.interval}: ${days.join(', ')}.`;
  }
}

function changeSchedule(ctx, account) {
  const { schedule } = account.settings.payouts;
  openForm({
    title: 'Payouts on a schedule', submit: 'Save',
    text: 'At the beginning of such a day (UTC), in each currency, to its default bank account.',
    fields: [
      { name: `${SCHEDULE}[interval]`, label: 'Interval', kind: 'select', value: schedule.interval,
        options: ['manual', 'daily', 'weekly', 'monthly'] },
      { name: `${SCHEDULE}[weekly_anchor]`, label: 'Day of the week', kind: 'select',
        options: [['', ''], ...WEEKDAYS] },
      { name: `${SCHEDULE}[monthly_anchor]`, label: 'Day of the month', maximum: 2 },
    ],
    run: (values, key) => post(at('accounts', account.id), values, key),
    done: sayAndReload(ctx, 'Saved.'),
  });
}

async function scheduleNode(ctx) {
  const account = await get('v1/account', {}, ctx.signal);
  return [
    h('p', null, scheduleText(account.settings.payouts.schedule)),
    account.requirements.errors.map((error) => h('p', null, error.reason)),
    button('Change the schedule', () => changeSchedule(ctx, account)),
  ];
}

export function payouts(ctx) {
  ctx.title('Payouts', button('New payout', () => create(ctx), 'primary'));
  ctx.main.append(listView(ctx, {
    columns, csv: 'payouts', href: (one) => `#/payouts/${one.id}`,
    source: async (filters) => ({
      path: 'v1/payouts', params: { status: filters.status, created: createdParam(filters) },
      expand: ['data.destination'],
    }),
    tabs: statusTabs(STATES), filters: dateFilters,
    empty: 'No payouts are like that.',
  }), section(ctx, 'Bank accounts', () => accounts(ctx)),
  section(ctx, 'Schedule', () => scheduleNode(ctx)));
}

export function payout(ctx) {
  return detailPage(ctx, {
    load: (signal) => getExpanded(at('payouts', ctx.id), {}, ['destination'], signal),
    title: (one) => `Payout of ${money(one.amount, one.currency)}`,
    status: (one) => one.status,
    actions: [{
      text: 'Cancel payout', danger: true, when: (one) => one.status === 'pending',
      form: (one) => ({
        text: 'The money is in the balance again at once.',
        run: (values, key) => post(at('payouts', one.id, 'cancel'), {}, key),
        said: () => 'Canceled.',
      }),
    }],
    facts: (one) => [
      ['To', bankOf(one)], ['Description', one.description],
      ['On the statement', one.statement_descriptor],
      ['Made by', one.automatic ? 'the schedule' : 'a request'], ['Arrives', day(one.arrival_date)],
      ['Created', time(one.created)], ['Why it failed', one.failure_message],
      ['Entry', reference(one.balance_transaction)],
      ['Undone by', reference(one.failure_balance_transaction)],
    ],
    sections: [
      ['Entries', (one) => listPart(ctx, {
        path: 'v1/balance_transactions', params: { payout: one.id }, columns: balanceColumns,
      })],
      ['Timeline', (one) => timeline([one.id], ctx.signal)],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}
