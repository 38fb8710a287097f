/* Any object by its id: the beginning of an id tells what it names. */
import { ApiError, at, get } from './api.js';
import { idOf } from './format.js';
import { detailPage } from './detail.js';

/* Prefix: the page, or the resource whose objects are shown as they are. */
const PAGES = {
  pi: 'payments', re: 'refunds', cus: 'customers', wal: 'wallets', whd: 'holds',
  wwd: 'withdrawals', sus: 'suspense', we: 'webhooks', evt: 'events', qrc: 'codes',
  du: 'disputes', po: 'payouts', cs: 'checkout', req: 'logs', seti: 'setups', wtr: 'transfers',
  wrq: 'money-requests', rrule: 'rules', rsl: 'lists',
};
const PLAIN = { pm: 'payment_methods', txn: 'balance_transactions' };

/* The address of an object's page. */
export async function openById(id) {
  const prefix = (/^([a-z]+)_[A-Za-z0-9]+$/.exec(id) || [])[1];
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

/* An object that has no page of its own; of the resource `id`, whatever the id is of. */
export async function object(ctx) {
  const [, resource, id] = ctx.path;
  if (resource === 'id') {
    location.replace(await openById(id));
    return;
  }
  if (!Object.values(PLAIN).includes(resource)) {
    throw new ApiError('There is no such page.');
  }
  await detailPage(ctx, {
    load: (signal) => get(at(resource, id), {}, signal),
    title: (one) => one.object.replaceAll('_', ' '),
    status: (one) => one.status,
    facts: (one) => Object.entries(one)
      .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
      .map(([name, value]) => [name.replaceAll('_', ' '), String(value)]),
  });
}
