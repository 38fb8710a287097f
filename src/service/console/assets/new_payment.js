/* Taking a payment: by a QR code at the till, and in test mode by a test card. */
import { ApiError, post, sleep } from './api.js';
import { badge, money, time } from './format.js';
import { anyAmountField, buildForm, currencyField, descriptionField, errorBox } from './form.js';
import { button, h, link, show } from './dom.js';
import { customerFilter } from './columns.js';
import { loadPayment, qrOf, qrPicture } from './payment.js';
import { isTest } from './session.js';

const TEST_METHODS = [
  ['pm_card_visa', 'Visa, approved'], ['pm_card_mastercard', 'Mastercard, approved'],
  ['pm_card_amex', 'American Express, approved'],
  ['pm_card_visa_chargeDeclined', 'Declined'],
  ['pm_card_visa_chargeDeclinedInsufficientFunds', 'Declined: insufficient funds'],
  ['pm_card_visa_chargeDeclinedExpiredCard', 'Declined: expired card'],
  ['pm_card_createDispute', 'Approved, disputed a second later'],
  ['pm_card_threeDSecure2Required', 'Asks for 3-D Secure'],
];

/* While somebody stands at the till it is asked often, later less so. */
const POLL_FIRST_MS = 1000;
const POLL_MAX_MS = 10000;
const POLL_GROWTH = 1.3;

const moneyFields = (query) => [
  anyAmountField({ required: true, placeholder: '12.50' }), currencyField(query.get('currency')),
  descriptionField({ hint: 'For you.' }), { ...customerFilter, value: query.get('customer') || '' },
];

function byQr(ctx) {
  return buildForm({
    submit: 'Show the code', fields: moneyFields(ctx.query),
    run: (values, key) => post('v1/payment_intents', {
      ...values, confirm: true, payment_method_types: ['mobile_qr'],
      payment_method_data: { type: 'mobile_qr' },
    }, key),
    done: (intent) => ctx.go(`#/till/${intent.id}`),
  });
}

function byTestCard(ctx) {
  return buildForm({
    submit: 'Pay', fields: [
      ...moneyFields(ctx.query),
      { name: 'payment_method', label: 'Test card', kind: 'select', options: TEST_METHODS,
        value: 'pm_card_visa' },
      { name: 'later', label: 'Only hold it, to capture later', kind: 'checkbox' },
    ],
    run: ({ later, ...values }, key) => post('v1/payment_intents', {
      ...values, confirm: true, return_url: new URL('#/payments', document.baseURI).href,
      ...(later ? {
        capture_method: 'manual',
        payment_method_options: { card: { request_incremental_authorization: 'if_available' } },
      } : {}),
    }, key),
    done: (intent) => ctx.go(`#/payments/${intent.id}`),
  });
}

export function newPayment(ctx) {
  ctx.title('New payment');
  ctx.main.append(h('div', { class: 'cards' },
    h('section', { id: 'by-qr' }, h('h2', null, 'QR code'),
      h('p', null, 'The payer scans it with a wallet.'), byQr(ctx)),
    isTest() ? h('section', { id: 'by-card' }, h('h2', null, 'Test card'),
      h('p', null, 'Test mode: no money moves.'), byTestCard(ctx)) : null,
    h('section', null, h('h2', null, 'A link'),
      h('p', null, 'The payer opens it, and pays by card or QR code there.'),
      h('p', { class: 'buttons' }, link('#/checkout', 'Checkout sessions')))));
}

/* ------------------------------------------------------------------------------------- till */

function waits(intent) {
  return ['requires_action', 'processing', 'requires_confirmation'].includes(intent.status);
}

const SAID = {
  succeeded: 'Paid', requires_capture: 'Held', canceled: 'Canceled', processing: 'Processing',
  requires_payment_method: 'Not paid: the code is not valid any more',
  requires_action: 'Waiting for the payer',
};

function tillNode(intent) {
  const qr = qrOf(intent);
  return h('div', { class: `till ${waits(intent) ? '' : 'ended'}` },
    qr ? qrPicture(qr) : null,
    h('p', { class: 'state', role: 'status' }, SAID[intent.status] || badge(intent.status)),
    qr ? h('p', null, 'Valid until ', time(qr.expires_at)) : null,
    h('p', { class: 'buttons' }, link(`#/payments/${intent.id}`, 'The payment'),
      h('a', { class: 'primary', href: `#/new?currency=${intent.currency}` }, 'Next payment')));
}

/* Asks until it is paid, or cannot be any more. A hidden tab does not ask. */
export async function till(ctx) {
  let intent = await loadPayment(ctx.id, ctx.signal);
  ctx.title(money(intent.amount, intent.currency));
  const box = h('div', { class: 'till-box' }, tillNode(intent));
  ctx.main.append(intent.description ? h('p', null, intent.description) : '', box);
  ctx.main.removeAttribute('aria-busy');
  let pause = POLL_FIRST_MS;
  while (waits(intent)) {
    await sleep(pause, ctx.signal);
    pause = Math.min(pause * POLL_GROWTH, POLL_MAX_MS);
    if (ctx.signal.aborted) {
      return;
    }
    if (document.hidden) {
      pause = POLL_FIRST_MS;
      continue;
    }
    try {
      const now = await loadPayment(ctx.id, ctx.signal);
      if (now.status !== intent.status) {
        show(box, tillNode(now));
      }
      intent = now;
    } catch (error) {
      if (ctx.signal.aborted || !(error instanceof ApiError)) {
        throw error;
      }
      if (!error.lost && error.status < 500 && error.status !== 429) {
        show(box, errorBox(error), button('Try again', () => ctx.reload()));
        return;
      }
    }
  }
}
