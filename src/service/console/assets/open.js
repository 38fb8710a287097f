/* Any object by its id: the beginning of an id tells what it names. */
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
