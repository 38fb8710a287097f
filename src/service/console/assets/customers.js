/* Customers: the list, and a customer with saved methods, payments and wallets. */
import { at, get, post, quoted, remove } from './api.js';
import { button, h, link } from './dom.js';
import { currencyField, metadataField, ofNew, openForm, sayAndGo, sayAndReload } from './form.js';
import { detailPage, metadataSection } from './detail.js';
import { isoTime, method, money, time } from './format.js';
import { listPage, listPart, tableOrNone } from './list.js';
import { paymentColumns } from './payments.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';
import { statusColumn, textColumn } from './columns.js';

const fields = (customer) => [
  { name: 'name', label: 'Name', value: customer.name || '', clearable: true, maximum: 256 },
  { name: 'email', label: 'E-mail', kind: 'email', value: customer.email || '', clearable: true },
  { name: 'phone', label: 'Phone', kind: 'tel', value: customer.phone || '', clearable: true },
  { name: 'description', label: 'Description', value: customer.description || '', clearable: true },
  metadataField(customer),
];

function create(ctx) {
  openForm({
    title: 'New customer', submit: 'Create',
    fields: ofNew(fields({})),
    run: (values, key) => post('v1/customers', values, key),
    done: (customer) => ctx.go(`#/customers/${customer.id}`),
  });
}

const columns = [
  { title: 'Name', kind: 'text', cell: (one) => one.name || '(no name)', csv: (one) => one.name },
  textColumn('E-mail', 'email'),
  { title: 'Phone', cell: (one) => one.phone, csv: (one) => one.phone },
  {
    title: 'Created', cell: (one) => time(one.created),
    csvs: [['created', (one) => isoTime(one.created)], ['id', (one) => one.id]],
  },
];

/* Three letters and more are looked for anywhere in a text, fewer are the whole text. */
function clause(field, text) {
  return `${field}${text.length >= 3 ? '~' : ':'}${quoted(text)}`;
}

async function source(filters) {
  const all = ['name', 'email', 'phone'].filter((name) => filters[name])
    .map((name) => clause(name, filters[name]));
  return all.length === 0 ? { path: 'v1/customers', params: {} }
    : { path: 'v1/customers/search', params: { query: all.join(' AND ') } };
}

export function customers(ctx) {
  listPage(ctx, {
    title: 'Customers', columns, source, csv: 'customers', href: (one) => `#/customers/${one.id}`,
    actions: [button('New customer', () => create(ctx), 'primary')],
    filters: [
      { name: 'name', label: 'Name' }, { name: 'email', label: 'E-mail' },
      { name: 'phone', label: 'Phone' },
    ],
    empty: 'No customers are like that.',
  });
}

/* ---------------------------------------------------------------------------- one customer */

async function methods(ctx, customer) {
  const list = await get(at('customers', customer.id, 'payment_methods'), { limit: 100 }, ctx.signal);
  return tableOrNone({
    columns: [
      { title: 'Method', cell: method },
      { title: 'Expires', cell: (pm) => (pm.card ? `${pm.card.exp_month}/${pm.card.exp_year}` : '') },
      { title: 'Id', cell: (pm) => link(`#/object/payment_methods/${pm.id}`, pm.id) },
      { title: 'Saved', cell: (pm) => time(pm.created) },
      {
        title: 'Action', cell: (pm) => button('Remove', () => openForm({
          title: 'Remove the method', submit: 'Remove', danger: true, fields: [],
          text: `${method(pm)} cannot be used again.`,
          run: (values, key) => post(at('payment_methods', pm.id, 'detach'), {}, key),
          done: sayAndReload(ctx, 'Removed.'),
        })),
      },
    ],
  }, list.data);
}

async function walletsOf(ctx, customer) {
  const list = await get('v1/wallets', { customer: customer.id, limit: 100 }, ctx.signal);
  return [tableOrNone({
    href: (one) => `#/wallets/${one.id}`,
    columns: [
      { title: 'Available', kind: 'number', cell: (one) => money(one.balance.available, one.currency) },
      statusColumn, { title: 'Id', cell: (one) => one.id },
    ],
  }, list.data), button('Open a wallet', () => openForm({
    title: 'Open a wallet', submit: 'Open', fields: [currencyField()],
    run: (values, key) => post('v1/wallets', { customer: customer.id, ...values }, key),
    done: (wallet) => ctx.go(`#/wallets/${wallet.id}`),
  }))];
}

const edit = {
  text: 'Edit',
  form: (customer) => ({
    fields: fields(customer),
    run: (values, key) => post(at('customers', customer.id), values, key),
    said: () => 'Changed.',
  }),
};

const drop = (ctx) => ({
  text: 'Delete', danger: true,
  form: (customer) => ({
    text: 'Saved methods go, too. Payments stay.',
    run: () => remove(at('customers', customer.id)),
    done: sayAndGo(ctx, 'Deleted.', '#/customers'),
  }),
});

export async function customer(ctx) {
  const found = await get(at('customers', ctx.id), {}, ctx.signal);
  if (found.deleted) {
    ctx.title('A deleted customer');
    ctx.main.append(h('p', null, h('code', null, found.id)));
    return;
  }
  await detailPage(ctx, {
    load: async () => found,
    title: (one) => one.name || one.email || 'Customer',
    facts: (one) => [
      ['Name', one.name], ['E-mail', one.email], ['Phone', one.phone],
      ['Description', one.description], ['Created', time(one.created)],
    ],
    actions: [
      { text: 'New payment', link: (one) => `#/new?customer=${one.id}` }, edit, drop(ctx),
    ],
    sections: [
      ['Payments', (one) => listPart(ctx, {
        path: 'v1/payment_intents', params: { customer: one.id }, expand: ['data.latest_charge'],
        columns: paymentColumns.filter((column) => column.title !== 'Customer'),
        href: (pi) => `#/payments/${pi.id}`, csv: `payments-${one.id}`,
      })],
      ['Saved methods', (one) => methods(ctx, one)],
      ['Wallets', (one) => walletsOf(ctx, one)],
      ['Timeline', (one) => timeline([one.id], ctx.signal)],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}
