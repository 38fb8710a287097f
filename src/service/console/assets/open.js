/* Any object by its id, whose beginning tells what it names; others by what a person knows of them. */
import { ApiError, at, get } from './api.js';
import { idOf, money, reference, time, words } from './format.js';
import { detailPage } from './detail.js';

/* Prefix: the page, or the resource whose objects are shown as they are. */
const PAGES = {
  pi: 'payments', re: 'refunds', cus: 'customers', wal: 'wallets', whd: 'holds',
  wwd: 'withdrawals', sus: 'suspense', we: 'webhooks', evt: 'events', qrc: 'codes',
  du: 'disputes', po: 'payouts', cs: 'checkout', req: 'logs', seti: 'setups', wtr: 'transfers',
  wrq: 'money-requests', rrule: 'rules', rsl: 'lists',
};
const PLAIN = { pm: 'payment_methods', txn: 'balance_transactions' };
/* Shown as they are, too, for whoever asks so. */
const CHARGES = 'charges';

function prefixOf(id) {
  return (/^([a-z]+)_[A-Za-z0-9]+$/.exec(id) || [])[1];
}

const hasPage = (id) => prefixOf(id) in { ...PAGES, ...PLAIN, ch: CHARGES };

/* The address of an object's page. */
export async function openById(id) {
  const prefix = prefixOf(id);
  if (PAGES[prefix]) {
    return `#/${PAGES[prefix]}/${id}`;
  }
  if (PLAIN[prefix]) {
    return `#/object/${PLAIN[prefix]}/${id}`;
  }
  if (prefix === 'ch') {
    return `#/payments/${idOf((await get(at('charges', id))).payment_intent)}`;
  }
  throw new ApiError('An id is like pi_..., ch_..., re_..., cus_..., wal_..., evt_... .');
}

/* What else is looked for in the box at the top, and the list that has it. */
const CLUES = [
  [/^(\d{4})$/, (last4) => ['payments', { last4 }]],
  [/^(\d+(?:[.,]\d+)?) *([a-z]{3})$/i, (amount, currency) =>
    ['payments', { amount, currency: currency.toLowerCase() }]],
  [/^(\S+@\S+\.\S+)$/, (email) => ['customers', { email }]],
  [/^(\+[\d ()-]{5,})$/, (phone) => ['customers', { phone }]],
  [/^([\p{L}][\p{L}\p{M} .'-]+)$/u, (name) => ['customers', { name }]],
];

/* The address of what a person has typed: an id, or what is known of a payment or a customer. */
export async function find(text) {
  for (const [pattern, listOf] of CLUES) {
    const match = pattern.exec(text);
    if (match) {
      const [page, filters] = listOf(...match.slice(1));
      return `#/${page}?${new URLSearchParams(filters)}`;
    }
  }
  return openById(text);
}

const MOMENTS = ['created', 'available_on'];

/* A member as what it is: a moment, an amount, an id or a word. */
function plainValue(one, name, value) {
  if (MOMENTS.includes(name)) {
    return time(value);
  }
  if (Number.isInteger(value) && one.currency) {
    return money(value, one.currency);
  }
  return name !== 'id' && hasPage(value) ? reference(value) : String(value);
}

/* An object that has no page of its own; of the resource `id`, whatever the id is of. */
export async function object(ctx) {
  const [, resource, id] = ctx.path;
  if (resource === 'id') {
    location.replace(await openById(id));
    return;
  }
  if (resource !== CHARGES && !Object.values(PLAIN).includes(resource)) {
    throw new ApiError('There is no such page.');
  }
  await detailPage(ctx, {
    load: (signal) => get(at(resource, id), {}, signal),
    title: (one) => words(one.object),
    status: (one) => one.status,
    facts: (one) => Object.entries(one)
      .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
      .map(([name, value]) => [words(name), plainValue(one, name, value)]),
  });
}
