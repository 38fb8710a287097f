/* One payment: what it is, what can be done with it, and what happened to it. */
import { ApiError, at, get, getExpanded, post } from './api.js';
import { amountField, descriptionField, keptErrorBox, metadataField, reasonField } from './form.js';
import { chargeOf, methodOf, refundColumns } from './payments.js';
import { disputeColumns } from './disputes.js';
import { chargeLink, createdColumn, customerLink, pageLink, statusColumn, walletLink } from './columns.js';
import { detailPage, facts, metadataSection } from './detail.js';
import { empty, h, link, outward } from './dom.js';
import { method, money, reference, time, words } from './format.js';
import { listPart, tableOrNone } from './list.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';

const CANCELABLE = ['requires_payment_method', 'requires_confirmation', 'requires_action',
  'requires_capture'];

export function loadPayment(id, signal) {
  return getExpanded(at('payment_intents', id), {},
    ['latest_charge', 'latest_charge.balance_transaction', 'customer'], signal);
}

/* ---------------------------------------------------------------------------------- actions */

function refundable(intent) {
  const charge = chargeOf(intent);
  return charge ? charge.amount_captured - charge.amount_refunded : intent.amount_received;
}

const capture = {
  text: 'Capture', when: (intent) => intent.status === 'requires_capture',
  form: (intent) => ({
    text: `${money(intent.amount_capturable, intent.currency)} are held. What is not captured is released.`,
    fields: [amountField(intent.currency, intent.amount_capturable, { params: ['amount_to_capture'] })],
    review: ({ amount }) => `Capture ${money(amount, intent.currency)}` + (amount < intent.amount_capturable
      ? `, and release ${money(intent.amount_capturable - amount, intent.currency)}?` : '?'),
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
    fields: [amountField(intent.currency, intent.amount)],
    run: (values, key) => post(at('payment_intents', intent.id, 'increment_authorization'),
      { amount: values.amount }, key),
    said: () => 'More is held now.',
  }),
};

const cancel = {
  text: 'Cancel payment', danger: true, when: (intent) => CANCELABLE.includes(intent.status),
  form: (intent) => ({
    text: intent.status === 'requires_capture' ? 'What is held is released.' : 'It cannot be paid any more.',
    fields: [reasonField('cancellation_reason', [['abandoned', 'Abandoned']])],
    run: (values, key) => post(at('payment_intents', intent.id, 'cancel'), values, key),
    said: () => 'Canceled.',
  }),
};

const refund = {
  text: 'Refund', when: (intent) => intent.status === 'succeeded' && refundable(intent) > 0,
  form: (intent) => ({
    text: `Up to ${money(refundable(intent), intent.currency)} can be given back.`,
    fields: [amountField(intent.currency, refundable(intent)), reasonField('reason')],
    review: ({ amount }) => `Give ${money(amount, intent.currency)} back to ` +
      `${(!intent.split && methodOf(intent)) || 'the payer'}?`,
    run: (values, key) => post('v1/refunds', { payment_intent: intent.id, ...values }, key),
    said: (made) => `Refunded: ${money(made.amount, made.currency)}.`,
  }),
};

const edit = {
  text: 'Edit',
  form: (intent) => ({
    fields: [
      descriptionField({ value: intent.description || '', clearable: true }), metadataField(intent),
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

async function checkout(intent, signal) {
  const ids = await idsOf('v1/checkout/sessions', intent, signal);
  return ids.length ? ids.map((id) => h('p', null, pageLink('checkout', id))) : null;
}

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
    return h('p', null, 'The owner of ', walletLink(action.payer_confirmation.wallet), ' has to agree.');
  }
  return null;
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
    ['Entry', reference(entry)],
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

function riskOf(outcome) {
  return outcome.risk_level === 'not_assessed' ? 'not assessed'
    : `${outcome.risk_level} (${outcome.risk_score})`;
}

/* A rule, or a default list's own. */
function blockedBy(outcome) {
  const id = outcome.rule || '';
  return id.startsWith('rrule_') ? link(`#/rules/${id}`, id)
    : id.replace('block_if_in_', 'the list @');
}

function methodFacts(intent) {
  const charge = chargeOf(intent);
  if (!charge) {
    return empty(intent.latest_charge ? 'This key may not see charges.' : 'No attempt was made yet.');
  }
  const details = charge.payment_method_details || {};
  const billing = charge.billing_details || {};
  return facts([
    ['Method', method(details)], ...cardFacts(details),
    ['Name', billing.name], ['E-mail', billing.email], ['Phone', billing.phone],
    ['Result', charge.outcome && charge.outcome.seller_message],
    ['Risk', charge.outcome && riskOf(charge.outcome)],
    ['Blocked by', charge.outcome && blockedBy(charge.outcome)],
    ['Captured by', charge.captured ? '' : time(details.card && details.card.capture_before)],
    ['Wallet part', intent.split ? money(intent.split.amount, intent.currency) : ''],
  ]);
}

async function attempts(intent, signal) {
  const list = await get('v1/charges', { payment_intent: intent.id, limit: 100 }, signal);
  return tableOrNone({
    columns: [
      { title: 'Amount', kind: 'number', cell: (ch) => money(ch.amount, ch.currency) },
      { title: 'Charge', cell: chargeLink }, statusColumn,
      { title: 'Method', cell: (ch) => method(ch.payment_method_details) },
      { title: 'Why', kind: 'text', cell: (ch) => ch.failure_message },
      createdColumn,
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
      ['Customer', customerLink(intent.customer)],
      ['For the wallet', intent.transfer_data && walletLink(intent.transfer_data.destination)],
      ['Created', time(intent.created)], ['Canceled', time(intent.canceled_at)],
      ['Why canceled', words(intent.cancellation_reason)],
      ['Next', waiting(intent)], ['Last error', keptErrorBox(intent.last_payment_error)],
    ],
    sections: [
      ['Money', moneyFacts], ['Method', methodFacts],
      ['Refunds', (intent) => listPart(ctx, {
        path: 'v1/refunds', params: { payment_intent: intent.id }, columns: refundColumns,
        href: (re) => `#/refunds/${re.id}`,
      })],
      ['Disputes', (intent) => (chargeOf(intent) && chargeOf(intent).disputed ? listPart(ctx, {
        path: 'v1/disputes', params: { payment_intent: intent.id }, columns: disputeColumns,
        href: (du) => `#/disputes/${du.id}`,
      }) : null)],
      ['Attempts', (intent) => attempts(intent, ctx.signal)],
      ['Checkout session', (intent) => checkout(intent, ctx.signal)],
      ['Timeline', (intent) => allOf(intent, ctx.signal)],
      requestsSection(ctx),
      metadataSection,
    ],
  });
}
