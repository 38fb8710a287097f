/* Amounts, times and tables as people and spreadsheets read them. */
import { h, link } from './dom.js';

/*
 * Decimals of the API's amounts where they are not 2, and of what is shown where that differs:
 * ISO 4217, and what docs/api/common.md says of Stripe's exceptions. A test holds these to the
 * program's own table.
 */
const API_EXPONENTS = {
  bhd: 3, bif: 0, clf: 4, clp: 0, djf: 0, gnf: 0, iqd: 3, jod: 3, jpy: 0, kmf: 0, krw: 0, kwd: 3,
  lyd: 3, mga: 0, omr: 3, pyg: 0, rwf: 0, tnd: 3, uyi: 0, uyw: 4, vnd: 0, vuv: 0, xaf: 0, xof: 0,
  xpf: 0,
};
const SHOWN_EXPONENTS = { isk: 0, ugx: 0 };

const ALL = ('aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob bov brl bsd btn ' +
  'bwp byn bzd cad cdf che chf chw clf clp cny cop cou crc cup cve czk djf dkk dop dzd egp ' +
  'ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr iqd irr ' +
  'isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl lyd mad mdl mga ' +
  'mkd mmk mnt mop mru mur mvr mwk mxn mxv myr mzn nad ngn nio nok npr nzd omr pab pen pgk ' +
  'php pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc ' +
  'syp szl thb tjs tmt tnd top try ttd twd tzs uah ugx usd usn uyi uyu uyw uzs ved ves vnd ' +
  'vuv wst xaf xcd xcg xof xpf yer zar zmw zwg').split(' ');
const OFTEN = ['usd', 'eur', 'gbp', 'jpy', 'cny'];

/* Those that are chosen often come first. */
export const CURRENCIES = [...OFTEN, ...ALL.filter((code) => !OFTEN.includes(code))];

export function exponent(currency) {
  return API_EXPONENTS[currency] ?? 2;
}

/* "1234.56" of 123456; by digits, so that no amount is rounded. */
export function decimal(amount, currency) {
  const digits = exponent(currency);
  const sign = amount < 0 ? '-' : '';
  const text = String(Math.abs(amount)).padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  return digits === 0 ? sign + whole : `${sign}${whole}.${text.slice(-digits)}`;
}

export function money(amount, currency) {
  if (amount === null || amount === undefined || !currency) {
    return '';
  }
  const digits = SHOWN_EXPONENTS[currency] ?? exponent(currency);
  const format = new Intl.NumberFormat(undefined, {
    style: 'currency', currency: currency.toUpperCase(),
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
  return format.format(decimal(amount, currency));
}

/* What a person typed, in the API's units; null if it is no amount of that currency. */
export function parseAmount(text, currency) {
  const digits = exponent(currency);
  const match = /^(\d{1,12})(?:[.,](\d+))?$/.exec(text.trim());
  if (!match || (match[2] || '').length > digits) {
    return null;
  }
  const amount = Number(match[1] + (match[2] || '').padEnd(digits, '0'));
  return Number.isSafeInteger(amount) ? amount : null;
}

const MOMENT = new Intl.DateTimeFormat(undefined, {
  year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', timeZoneName: 'short',
});

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/* In the browser's zone, which is named, with UTC in the title; `short` leaves out the time of the day. */
export function time(seconds, short) {
  if (!seconds) {
    return '';
  }
  const date = new Date(seconds * 1000);
  const utc = date.toISOString();
  return h('time', { datetime: utc, title: utc.replace('T', ' ').replace('.000Z', ' UTC') },
    (short ? DATE : MOMENT).format(date));
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: 'UTC' });

/* Of what falls on a day, which the API gives as its midnight in UTC. */
export function day(seconds) {
  return seconds ? h('time', { datetime: new Date(seconds * 1000).toISOString().slice(0, 10) },
    DAY.format(new Date(seconds * 1000))) : '';
}

const KINDS = {
  succeeded: 'good', active: 'good', enabled: 'good', paid: 'good', available: 'good',
  captured: 'good', resolved: 'good', complete: 'good',
  failed: 'bad', canceled: 'off', disabled: 'bad', frozen: 'bad', closed: 'off', expired: 'off',
  released: 'off', withdrawn: 'off', revoked: 'off', returned: 'bad',
  open: 'wait', in_transit: 'wait', pending: 'wait', processing: 'wait', requires_action: 'wait',
  needs_response: 'bad', warning_needs_response: 'bad', under_review: 'wait',
  warning_under_review: 'wait', won: 'good', lost: 'bad', warning_closed: 'off',
  requires_capture: 'wait', requires_payment_method: 'wait', requires_confirmation: 'wait',
};
const WORDS = {
  requires_payment_method: 'not paid', requires_confirmation: 'not confirmed',
  requires_action: 'waits for the payer', requires_capture: 'to capture',
  warning_needs_response: 'inquiry: needs response', warning_under_review: 'inquiry: under review',
  warning_closed: 'inquiry: closed',
};

/* "requested by customer" of requested_by_customer. */
export function words(name) {
  return (name || '').replaceAll('_', ' ');
}

export function word(status) {
  return WORDS[status] || words(String(status));
}

export function badge(status) {
  return status ? h('span', { class: `badge ${KINDS[status] || ''}` }, word(status)) : '';
}

const BRANDS = {
  amex: 'American Express', diners: 'Diners Club', jcb: 'JCB', unionpay: 'UnionPay',
};

function brand(name) {
  return BRANDS[name] || name.charAt(0).toUpperCase() + name.slice(1);
}

/* "Visa 4242" of a payment method or of a charge's payment_method_details. */
export function method(details) {
  if (!details || typeof details !== 'object') {
    return details || '';
  }
  const card = details.card;
  if (card) {
    return `${brand(card.brand)} ${card.last4}`;
  }
  return { wallet: 'Wallet', mobile_qr: 'QR code', payer_code: "Payer's code" }[details.type] ||
    details.type || '';
}

export function idOf(reference) {
  return reference && typeof reference === 'object' ? reference.id : reference;
}

/* An id of anything, and its page. */
export function reference(object) {
  const id = idOf(object);
  return id ? link(`#/object/id/${id}`, id) : '';
}

/* As files have it. */
export function isoTime(seconds) {
  return seconds ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') : '';
}
