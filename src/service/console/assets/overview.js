/* What a merchant looks at in the morning. Every part is asked for by itself, and says so where the
 * key may not see it. */
import { ApiError, gather, get, getExpanded } from './api.js';
import { ANSWERABLE } from './disputes.js';
import { balances } from './balance.js';
import { chargeOf, PAYMENT_EXPAND, paymentColumns } from './payments.js';
import { empty, h, link } from './dom.js';
import { facts, section } from './detail.js';
import { listPart } from './list.js';
import { money } from './format.js';

/* CONSOLE-6: figures are of so many of the newest charges at most; beyond that they say so. */
const CHARGES_MAX = 2000;
const DAYS = 7;
const LISTED_MAX = 100;
/* Of a week that a hold lasts commonly, the last two days: those authorizations are told of. */
const HOLD_DAYS = 7;
const HOLD_LEFT_DAYS = 2;
const DAY_MS = 86400000;

/* ----------------------------------------------------------------------------------- volume */

function midnight(daysAgo) {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime() / 1000;
}

/* Volume by currency, and how many of the attempts succeeded. */
function figures(charges) {
  const volumes = new Map();
  let succeeded = 0;
  let failed = 0;
  for (const charge of charges) {
    if (charge.status === 'succeeded') {
      succeeded++;
      volumes.set(charge.currency, (volumes.get(charge.currency) || 0) + charge.amount_captured);
    } else if (charge.status === 'failed') {
      failed++;
    }
  }
  const rate = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
  return facts([
    ...[...volumes].sort().map(([currency, amount]) => [currency.toUpperCase(), money(amount, currency)]),
    ['Successful', String(succeeded)],
    ['Failed', String(failed)],
    ['Success rate', succeeded + failed ? rate.format(succeeded / (succeeded + failed)) : 'no attempts'],
  ]);
}

async function volume(signal) {
  const { objects, more } = await gather(
    { path: 'v1/charges', params: { created: { gte: midnight(DAYS - 1) } } }, CHARGES_MAX, signal);
  const today = midnight(0);
  return [
    h('div', { class: 'cards' },
      h('div', null, h('h3', null, 'Today'),
        figures(objects.filter((charge) => charge.created >= today))),
      h('div', null, h('h3', null, `Last ${DAYS} days`), figures(objects))),
    h('p', { class: 'lead' }, more
      ? `Of the newest ${CHARGES_MAX} attempts only: there are more in these days.`
      : 'Captured amounts of all attempts in these days; refunds are not taken off.'),
  ];
}

/* -------------------------------------------------------------------------------- attention */

function many(list) {
  return list.has_more ? `more than ${list.data.length}` : String(list.data.length);
}

async function suspense(signal) {
  const list = await get('v1/tael/suspense_items', { status: 'open', limit: LISTED_MAX }, signal);
  return list.data.length ? link('#/suspense?status=open',
    `Suspense items that wait for a decision: ${many(list)}`) : null;
}

async function disputed(signal) {
  const list = await get('v1/disputes', { limit: LISTED_MAX }, signal);
  const open = list.data.filter((one) => ANSWERABLE.includes(one.status));
  return open.length ? link('#/disputes', `Disputes to answer: ${open.length}`) : null;
}

async function endpoints(signal) {
  const list = await get('v1/webhook_endpoints', { limit: LISTED_MAX }, signal);
  const disabled = list.data.filter((one) => one.status === 'disabled');
  return disabled.length ? link('#/webhooks',
    `Webhook endpoints that are disabled: ${disabled.length}`) : null;
}

/* A card says until when it can be captured; where it does not, a hold is taken to last a week. */
function endOf(intent) {
  const charge = chargeOf(intent);
  const card = charge && charge.payment_method_details && charge.payment_method_details.card;
  return (card && card.capture_before) || intent.created + HOLD_DAYS * DAY_MS / 1000;
}

async function expiring(signal) {
  const list = await getExpanded('v1/payment_intents/search', {
    query: 'status:"requires_capture"', limit: LISTED_MAX,
  }, ['data.latest_charge'], signal);
  const limit = (Date.now() + HOLD_LEFT_DAYS * DAY_MS) / 1000;
  const soon = list.data.filter((one) => endOf(one) < limit);
  return list.data.length ? link('#/payments?status=requires_capture',
    `Payments to capture: ${many(list)}, of which ${soon.length} expire within ${HOLD_LEFT_DAYS} days`)
    : null;
}

async function attention(signal) {
  const lines = [];
  const hidden = [];
  for (const [name, look] of [['disputes', disputed], ['suspense items', suspense],
    ['webhook endpoints', endpoints], ['payments to capture', expiring]]) {
    try {
      const line = await look(signal);
      if (line) {
        lines.push(h('li', null, line));
      }
    } catch (error) {
      if (!(error instanceof ApiError) || !error.forbidden) {
        throw error;
      }
      hidden.push(name);
    }
  }
  return [
    lines.length ? h('ul', null, lines) : empty('Nothing.'),
    hidden.length ? h('p', { class: 'lead' }, `This key may not see: ${hidden.join(', ')}.`) : null,
  ];
}

export function overview(ctx) {
  ctx.title('Overview', h('a', { class: 'primary', href: '#/new' }, 'New payment'));
  ctx.main.append(
    section(ctx, 'Needs attention', () => attention(ctx.signal)),
    section(ctx, 'Balance', () => balances(ctx.signal)),
    section(ctx, 'Volume', () => volume(ctx.signal)),
    h('section', null, h('h2', null, 'Newest payments'), listPart(ctx, {
      source: async () => ({
        path: 'v1/payment_intents', params: {}, expand: PAYMENT_EXPAND, limit: 8,
      }),
      columns: paymentColumns, href: (pi) => `#/payments/${pi.id}`,
      empty: 'None yet: the button at the top takes the first one.',
    })));
}
