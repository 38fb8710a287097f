/* One payment: what it is, what can be done with it, and what happened to it. */
import { ApiError, at, get, getExpanded, post } from './api.js';
import { badge, decimal, idOf, method, money, time } from './format.js';
import { detailPage, facts, metadataNode } from './detail.js';
import { errorBox, metadataText } from './form.js';
import { h, link, outward } from './dom.js';
import { listView, table } from './list.js';
import { customerName, methodOf, refundColumns } from './payments.js';
import { timeline } from './timeline.js';

const CANCELABLE = ['requires_payment_method', 'requires_confirmation', 'requires_action',
  'requires_capture'];

export function loadPayment(id, signal) {
  return getExpanded(at('payment_intents', id), {},
    ['latest_charge', 'latest_charge.balance_transaction', 'customer'], signal);
}

function chargeOf(intent) {
  return typeof intent.latest_charge === 'object' ? intent.latest_charge : null;
}

/* ---------------------------------------------------------------------------------- actions */

function refundable(intent) {
  const charge = chargeOf(intent);
  return charge ? charge.amount_captured - charge.amount_refunded : intent.amount_received;
}

const amountField = (intent, value, more) => ({
  name: 'amount', label: `Amount (${intent.currency.toUpperCase()})`, kind: 'amount',
  required: true, currency: intent.currency, value: decimal(value, intent.currency), ...more,
});

const capture = {
  text: 'Capture', when: (intent) => intent.status === 'requires_capture',
  form: (intent) => ({
    text: `${money(intent.amount_capturable, intent.currency)} are held. What is not captured is released.`,
    fields: [amountField(intent, intent.amount_capturable, { params: ['amount_to_capture'] })],
    run: (values, key) => post(at('payment_intents', intent.id, 'capture'),
      { amount_to_capture: values.amount }, key),
    said: () => 'Captured.',
  }),
};

function canIncrement(intent) {
  const charge = chargeOf(intent);
  const card = charge && charge.payment_method_details && charge.payment_method_details.card;
  return intent.status === 'requires_capture' && card && card.incremental_authorization &&
    card.incremental_authorization.status === 'available';
}

const increment = {
  text: 'Hold more', when: canIncrement,
  form: (intent) => ({
    text: `${money(intent.amount, intent.currency)} are held now. Give the new total.`,
    fields: [amountField(intent, intent.amount)],
    run: (values, key) => post(at('payment_intents', intent.id, 'increment_authorization'),
      { amount: values.amount }, key),
    said: () => 'More is held now.',
  }),
};

const cancel = {
  text: 'Cancel payment', danger: true, when: (intent) => CANCELABLE.includes(intent.status),
  form: (intent) => ({
    text: intent.status === 'requires_capture' ? 'What is held is released.' : 'It cannot be paid any more.',
    fields: [{
      name: 'cancellation_reason', label: 'Reason', kind: 'select',
      options: [['', 'None'], ['requested_by_customer', 'Requested by the customer'],
        ['duplicate', 'Duplicate'], ['fraudulent', 'Fraudulent'], ['abandoned', 'Abandoned']],
    }],
    run: (values, key) => post(at('payment_intents', intent.id, 'cancel'), values, key),
    said: () => 'Canceled.',
  }),
};

const refund = {
  text: 'Refund', when: (intent) => intent.status === 'succeeded' && refundable(intent) > 0,
  form: (intent) => ({
    text: `Up to ${money(refundable(intent), intent.currency)} can be given back.`,
    fields: [amountField(intent, refundable(intent)), {
      name: 'reason', label: 'Reason', kind: 'select',
      options: [['', 'None'], ['requested_by_customer', 'Requested by the customer'],
        ['duplicate', 'Duplicate'], ['fraudulent', 'Fraudulent']],
    }],
    run: (values, key) => post('v1/refunds', { payment_intent: intent.id, ...values }, key),
    said: (made) => `Refunded: ${money(made.amount, made.currency)}.`,
  }),
};

const edit = {
  text: 'Edit',
  form: (intent) => ({
    fields: [
      { name: 'description', label: 'Description', value: intent.description || '', clearable: true,
        maximum: 1000 },
      { name: 'metadata', label: 'Metadata', kind: 'metadata', hint: 'key=value, one a line',
        value: metadataText(intent.metadata), before: intent.metadata },
    ],
    run: (values, key) => post(at('payment_intents', intent.id), values, key),
    said: () => 'Changed.',
  }),
};

/* --------------------------------------------------------------------------------- timeline */

/* What belongs to the payment and has events of its own; nothing of what the key may not see. */
async function idsOf(path, intent, signal) {
  try {
    const list = await get(path, { payment_intent: intent.id, limit: 100 }, signal);
    return list.data.map((one) => one.id);
  } catch (error) {
    if (error instanceof ApiError && error.forbidden) {
      return [];
    }
    throw error;
  }
}

async function allOf(intent, signal) {
  const ids = [intent.id];
  for (const path of ['v1/charges', 'v1/refunds', 'v1/disputes', 'v1/checkout/sessions']) {
    ids.push(...await idsOf(path, intent, signal));
  }
  return timeline(ids, signal);
}

/* ------------------------------------------------------------------------------------ parts */

export function qrOf(intent) {
  return intent.status === 'requires_action' && intent.next_action &&
    intent.next_action.mobile_qr_display_qr_code;
}

/* The picture is this server's, under whatever name payers reach it; `path` begins its own there. */
export function ownPicture(url, path, alt) {
  const source = new URL(`..${url.slice(url.lastIndexOf(path))}`, document.baseURI);
  return h('img', { class: 'qr', alt, src: source.href });
}

export function qrPicture(qr, alt) {
  return ownPicture(qr.image_url_svg, '/qr/', alt || 'QR code of this payment');
}

function waiting(intent) {
  const action = intent.next_action || {};
  if (qrOf(intent)) {
    return h('p', null, link(`#/till/${intent.id}`, 'Show the QR code'));
  }
  if (action.redirect_to_url) {
    return h('p', null, outward(action.redirect_to_url.url, 'The page on which the payer authenticates'));
  }
  if (action.payer_confirmation) {
    return h('p', null, 'The owner of ', link(`#/wallets/${action.payer_confirmation.wallet}`,
      action.payer_confirmation.wallet), ' has to agree.');
  }
  return null;
}

function failure(intent) {
  const error = intent.last_payment_error;
  return error ? errorBox(new ApiError(error.message, {
    code: error.code, declineCode: error.decline_code, param: error.param || null,
  })) : null;
}

function moneyFacts(intent) {
  const charge = chargeOf(intent);
  const entry = charge && typeof charge.balance_transaction === 'object' ? charge.balance_transaction : null;
  return facts([
    ['Amount', money(intent.amount, intent.currency)],
    ['Held', intent.amount_capturable ? money(intent.amount_capturable, intent.currency) : ''],
    ['Received', money(intent.amount_received, intent.currency)],
    ['Refunded', charge && charge.amount_refunded ? money(charge.amount_refunded, intent.currency) : ''],
    ['Fees', entry ? money(entry.fee, entry.currency) : ''],
    ['Net', entry ? money(entry.net, entry.currency) : ''],
    ['Available on', entry ? time(entry.available_on) : ''],
  ]);
}

function cardFacts(details) {
  const card = details.card;
  return card ? [
    ['Expires', `${card.exp_month}/${card.exp_year}`], ['Funding', card.funding],
    ['Country', card.country], ['Authorization', card.authorization_code],
    ['3-D Secure', card.three_d_secure && card.three_d_secure.result],
    ['Security code', card.checks && card.checks.cvc_check],
  ] : [];
}

function methodFacts(intent) {
  const charge = chargeOf(intent);
  if (!charge) {
    return h('p', { class: 'empty' }, intent.latest_charge
      ? 'This key may not see charges.' : 'No attempt was made yet.');
  }
  const details = charge.payment_method_details || {};
  const billing = charge.billing_details || {};
  return facts([
    ['Method', method(details)], ...cardFacts(details),
    ['Name', billing.name], ['E-mail', billing.email], ['Phone', billing.phone],
    ['Result', charge.outcome && charge.outcome.seller_message],
    ['Captured by', charge.captured ? '' : time(details.card && details.card.capture_before)],
    ['Wallet part', intent.split ? money(intent.split.amount, intent.currency) : ''],
  ]);
}

async function attempts(intent, signal) {
  const list = await get('v1/charges', { payment_intent: intent.id, limit: 100 }, signal);
  return list.data.length === 0 ? h('p', { class: 'empty' }, 'None.') : table({
    columns: [
      { title: 'Amount', kind: 'number', cell: (ch) => money(ch.amount, ch.currency) },
      { title: 'Status', cell: (ch) => badge(ch.status) },
      { title: 'Method', cell: (ch) => method(ch.payment_method_details) },
      { title: 'Why', kind: 'text', cell: (ch) => ch.failure_message },
      { title: 'Created', cell: (ch) => time(ch.created) },
    ],
  }, list.data);
}

export function payment(ctx) {
  return detailPage(ctx, {
    load: (signal) => loadPayment(ctx.id, signal),
    title: (intent) => `Payment of ${money(intent.amount, intent.currency)}`,
    status: (intent) => intent.status,
    actions: [capture, increment, refund, cancel, edit],
    facts: (intent) => [
      ['Description', intent.description], ['Method', methodOf(intent)],
      ['Customer', idOf(intent.customer) &&
        link(`#/customers/${idOf(intent.customer)}`, customerName(intent.customer))],
      ['For the wallet', intent.transfer_data && link(`#/wallets/${intent.transfer_data.destination}`,
        intent.transfer_data.destination)],
      ['Created', time(intent.created)], ['Canceled', time(intent.canceled_at)],
      ['Why canceled', (intent.cancellation_reason || '').replaceAll('_', ' ')],
      ['Disputed', chargeOf(intent) && chargeOf(intent).disputed
        ? link(`#/disputes?payment_intent=${intent.id}`, 'Its disputes') : ''],
      ['Next', waiting(intent)], ['Last error', failure(intent)],
    ],
    sections: [
      ['Money', moneyFacts], ['Method', methodFacts],
      ['Refunds', (intent) => listView({ ...ctx, query: new URLSearchParams() }, {
        path: 'v1/refunds', params: { payment_intent: intent.id }, columns: refundColumns,
        href: (re) => `#/refunds/${re.id}`, empty: 'None.',
      })],
      ['Attempts', (intent) => attempts(intent, ctx.signal)],
      ['Timeline', (intent) => allOf(intent, ctx.signal)],
      ['Metadata', (intent) => metadataNode(intent.metadata)],
    ],
  });
}
