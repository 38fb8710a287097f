/* Checkout sessions: pages on which a payer pays, and the links to them. */
import { ApiError, at, get, getExpanded, post } from './api.js';
import { amountColumn, createdColumn, createdParam, customerFilter, customerLink, dateFilters, paymentColumn,
  paymentFilter, paymentLink, statusTabs, textColumn } from './columns.js';
import { badge, decimal, money, parseAmount, time } from './format.js';
import { button, empty, h, outward } from './dom.js';
import { copyBox, currencyField, openForm } from './form.js';
import { detailPage, metadataSection } from './detail.js';
import { listPage, table } from './list.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';
import { ownPicture } from './payment.js';

const ITEMS_MAX = 100;

const METHODS = [['', 'Card or QR code'], ['card', 'Card only'], ['mobile_qr', 'QR code only']];

/* ------------------------------------------------------------------------------- what is sold */

let serial = 0;

function itemInput(label, props) {
  const id = `item-${++serial}`;
  const input = h('input', { id, autocomplete: 'off', spellcheck: 'false', ...props });
  return { input, row: h('div', { class: 'field' }, h('label', { for: id }, label), input) };
}

function itemNode(drop) {
  const name = itemInput('Item', { maxlength: 250, placeholder: 'T-shirt' });
  const price = itemInput('Price of one', { inputmode: 'decimal', placeholder: '12.50' });
  const quantity = itemInput('Quantity', { inputmode: 'numeric', value: '1' });
  const node = h('div', { class: 'item', role: 'group', 'aria-label': 'Item' },
    name.row, price.row, quantity.row, button('Remove', () => drop(item)));
  const item = { node, name: name.input, price: price.input, quantity: quantity.input };
  return item;
}

function refuse(input, message) {
  input.setAttribute('aria-invalid', 'true');
  throw new ApiError(message, { param: 'line_items' });
}

function readItem(item, place, currency) {
  const inputs = [item.name, item.price, item.quantity];
  inputs.forEach((input) => input.removeAttribute('aria-invalid'));
  if (item.name.value.trim() === '') {
    refuse(item.name, `Item ${place}: it needs a name.`);
  }
  const amount = parseAmount(item.price.value, currency);
  if (amount === null) {
    refuse(item.price,
      `Item ${place}: a price in ${currency.toUpperCase()} is like ${decimal(1250, currency)}.`);
  }
  if (!/^[1-9]\d{0,5}$/.test(item.quantity.value.trim())) {
    refuse(item.quantity, `Item ${place}: a quantity is a whole number from 1.`);
  }
  return {
    quantity: item.quantity.value.trim(),
    price_data: { currency, unit_amount: amount, product_data: { name: item.name.value.trim() } },
  };
}

/* Rows of name, price and quantity; the currency is another field's. */
function itemsField() {
  const items = [];
  const list = h('div');
  const node = h('div', { class: 'items', role: 'group', tabindex: '-1', 'aria-label': 'What is paid for' },
    list, button('Add an item', () => add().name.focus()));
  function drop(item) {
    if (items.length > 1) {
      items.splice(items.indexOf(item), 1);
      item.node.remove();
      items[0].name.focus();
    }
  }
  function add() {
    const item = itemNode(drop);
    if (items.length < ITEMS_MAX) {
      items.push(item);
      list.append(item.node);
    }
    return items[items.length - 1];
  }
  add();
  return {
    name: 'line_items', label: 'What is paid for', node,
    read: (valueOf) => ({ ...items.map((item, i) => readItem(item, i + 1, valueOf('currency'))) }),
  };
}

function create(ctx) {
  openForm({
    title: 'New checkout session', submit: 'Create',
    text: 'A page on which a payer pays this once, within 24 hours.',
    fields: [
      itemsField(), currencyField(),
      { name: 'success_url', label: 'Then the payer goes to', required: true, maximum: 2048,
        placeholder: 'https://shop.example/thanks',
        hint: '{CHECKOUT_SESSION_ID} in it becomes the session\'s id.' },
      { name: 'cancel_url', label: 'Who does not pay goes back to', maximum: 2048,
        placeholder: 'https://shop.example/cart' },
      { name: 'payment_method_types', label: 'Paid by', kind: 'select', options: METHODS },
      { name: 'later', label: 'Only hold it, to capture later', kind: 'checkbox' },
      customerFilter,
      { name: 'customer_email', label: 'E-mail', kind: 'email', maximum: 254,
        hint: 'Left out, the payer is asked for it.' },
      { name: 'client_reference_id', label: 'Your reference', maximum: 200, placeholder: 'order-6735' },
    ],
    run: ({ later, payment_method_types: types, currency, ...values }, key) =>
      post('v1/checkout/sessions', {
        mode: 'payment', ...values, payment_method_types: types && [types],
        ...(later ? { payment_intent_data: { capture_method: 'manual' } } : {}),
      }, key),
    done: (made) => ctx.go(`#/checkout/${made.id}`),
  });
}

/* -------------------------------------------------------------------------------------- pages */

/* Of one that only holds the money: it is complete, and not paid yet. */
const statusOf = (one) => [badge(one.status), one.status === 'complete' && one.payment_status === 'unpaid'
  ? badge('requires_capture') : ''];
const emailOf = (one) => (one.customer_details && one.customer_details.email) || one.customer_email;

export function sessions(ctx) {
  listPage(ctx, {
    title: 'Checkout sessions', csv: 'checkout-sessions', href: (one) => `#/checkout/${one.id}`,
    text: 'Pages on which a payer pays, by a link that you send or show.',
    actions: [button('New session', () => create(ctx), 'primary')],
    source: async (filters) => ({
      path: 'v1/checkout/sessions',
      params: {
        status: filters.status, customer: filters.customer, payment_intent: filters.payment_intent,
        created: createdParam(filters),
      },
    }),
    tabs: statusTabs(['open', 'complete', 'expired']),
    filters: [customerFilter, paymentFilter, ...dateFilters],
    columns: [
      amountColumn('amount_total'),
      { title: 'Status', cell: statusOf,
        csvs: [['status', (one) => one.status], ['payment_status', (one) => one.payment_status]] },
      { title: 'E-mail', kind: 'text', cell: emailOf, csv: emailOf },
      textColumn('Reference', 'client_reference_id'), paymentColumn, createdColumn,
    ],
    empty: 'No sessions are like that.',
  });
}

function linkNode(one) {
  return one.url ? h('div', { class: 'cards' },
    h('div', null, copyBox('Link to the page', one.url), h('p', null, outward(one.url, 'Open the page'))),
    ownPicture(`${one.url}.svg`, '/checkout/', 'QR code of the link'))
    : empty('None: the page is over.');
}

async function itemsNode(one, signal) {
  const list = await get(at('checkout', 'sessions', one.id, 'line_items'), { limit: ITEMS_MAX }, signal);
  return table({
    columns: [
      { title: 'Item', kind: 'text', cell: (item) => item.description },
      { title: 'Price of one', kind: 'number',
        cell: (item) => money(item.amount_subtotal / item.quantity, item.currency) },
      { title: 'Quantity', kind: 'number', cell: (item) => item.quantity },
      { title: 'Amount', kind: 'number', cell: (item) => money(item.amount_total, item.currency) },
    ],
  }, list.data);
}

export function session(ctx) {
  return detailPage(ctx, {
    load: (signal) => getExpanded(at('checkout', 'sessions', ctx.id), {}, ['customer'], signal),
    title: (one) => `Checkout of ${money(one.amount_total, one.currency)}`,
    status: (one) => one.status,
    actions: [{
      text: 'Expire', danger: true, when: (one) => one.status === 'open',
      form: (one) => ({
        text: 'Nothing can be paid on the page any more.',
        run: (values, key) => post(at('checkout', 'sessions', one.id, 'expire'), {}, key),
        said: () => 'Expired.',
      }),
    }],
    facts: (one) => [
      ['Paid', one.payment_status], ['Payment', paymentLink(one.payment_intent)],
      ['Customer', customerLink(one.customer)],
      ['Name', one.customer_details && one.customer_details.name], ['E-mail', emailOf(one)],
      ['Reference', one.client_reference_id], ['Then goes to', one.success_url],
      ['Goes back to', one.cancel_url], ['Expires', one.status === 'open' ? time(one.expires_at) : ''],
      ['Created', time(one.created)],
    ],
    sections: [
      ['Link', linkNode],
      ['What is paid for', (one) => itemsNode(one, ctx.signal)],
      ['Timeline', (one) => timeline([one.id], ctx.signal)],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}
