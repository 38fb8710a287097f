/* The shell: signing in and out, the pages' addresses, the menu. */
import { ApiError, call, whenRefused } from './api.js';
import { button, h, link, show } from './dom.js';
import { asApiError, buildForm, closeDialogs, errorBox } from './form.js';
import { balance } from './balance.js';
import { session as checkoutSession, sessions } from './checkout.js';
import { code, codes } from './codes.js';
import { customer, customers } from './customers.js';
import { dispute, disputes } from './disputes.js';
import { event, events } from './events.js';
import { keys } from './keys.js';
import { log, logs } from './logs.js';
import { newPayment, till } from './new_payment.js';
import { find, object } from './open.js';
import { overview } from './overview.js';
import { payment } from './payment.js';
import { payments, refund, refunds } from './payments.js';
import { payout, payouts } from './payouts.js';
import { rule, rules, valueList, valueLists } from './risk.js';
import { setup, setups } from './setups.js';
import { suspenseItem, suspenseItems } from './suspense.js';
import { moneyRequest, moneyRequests, transfer, transfers } from './transfers.js';
import { delivery, webhook, webhooks } from './webhooks.js';
import { hold, holds, wallet, wallets, withdrawal, withdrawals } from './wallets.js';
import * as session from './session.js';

/* Addresses behind #/, a capture for each *. */
const ROUTES = [
  ['', overview], ['payments', payments], ['payments/*', payment], ['new', newPayment],
  ['till/*', till], ['codes', codes], ['codes/*', code],
  ['checkout', sessions], ['checkout/*', checkoutSession], ['refunds', refunds], ['refunds/*', refund],
  ['disputes', disputes], ['disputes/*', dispute], ['customers', customers], ['customers/*', customer],
  ['wallets', wallets], ['wallets/*', wallet], ['holds', holds], ['holds/*', hold],
  ['withdrawals', withdrawals], ['withdrawals/*', withdrawal],
  ['balance', balance], ['payouts', payouts], ['payouts/*', payout],
  ['rules', rules], ['rules/*', rule], ['lists', valueLists], ['lists/*', valueList],
  ['suspense', suspenseItems], ['suspense/*', suspenseItem], ['keys', keys],
  ['webhooks', webhooks], ['webhooks/*', webhook], ['webhooks/*/*', delivery],
  ['events', events], ['events/*', event], ['logs', logs], ['logs/*', log],
  ['setups', setups], ['setups/*', setup], ['transfers', transfers], ['transfers/*', transfer],
  ['money-requests', moneyRequests], ['money-requests/*', moneyRequest],
  ['object/*/*', object],
];

const MENU = [
  ['Payments', [
    ['', 'Overview'], ['payments', 'Payments'], ['new', 'New payment'], ['checkout', 'Checkout sessions'],
    ['codes', 'Till codes'], ['refunds', 'Refunds'], ['disputes', 'Disputes'],
  ]],
  ['Customers', [['customers', 'Customers'], ['setups', 'Setup intents']]],
  ['Wallets', [
    ['wallets', 'Wallets'], ['transfers', 'Wallet transfers'], ['money-requests', 'Requests for money'],
    ['holds', 'Wallet holds'], ['withdrawals', 'Withdrawals'],
  ]],
  ['Money', [['balance', 'Balance'], ['payouts', 'Payouts'], ['suspense', 'Suspense items']]],
  ['Fraud', [['rules', 'Rules'], ['lists', 'Block and allow lists']]],
  ['Developers', [
    ['keys', 'API keys'], ['webhooks', 'Webhooks'], ['events', 'Events'], ['logs', 'Requests'],
  ]],
];

const IDLE_LOOK_MS = 15000;
const top = document.getElementById('top');
const nav = document.getElementById('nav');
const main = document.getElementById('main');
const warning = h('p', { class: 'note' },
  'Nobody seems to be here: press any key, or you are signed out soon.');
let leaving = new AbortController();

/* -------------------------------------------------------------------------------- sign-in */

function signOut(why) {
  session.signOut();
  warning.remove();
  closeDialogs();
  leaving.abort();
  signInPage(why);
}

/* A key that may do nothing here is a key all the same: only what nobody knows is refused. */
async function tryKey(text) {
  if (!/^[sr]k_(test|live)_[A-Za-z0-9]+$/.test(text)) {
    const why = text.startsWith('pk_')
      ? 'A publishable key is for payers. Take a secret or a restricted one.'
      : 'A key begins with sk_ or rk_.';
    throw new ApiError(why, { param: 'key' });
  }
  try {
    await call('GET', 'v1/payment_intents', { limit: 1 }, { key: text });
  } catch (error) {
    const isGood = error.forbidden && error.code !== 'merchant_closed' &&
      error.code !== 'livemode_mismatch';
    if (!isGood) {
      error.param = error.status === 401 ? 'key' : error.param;
      throw error;
    }
  }
  return text;
}

function signInPage(why) {
  document.title = 'Sign in - Tael console';
  top.hidden = nav.hidden = true;
  show(top);
  show(nav);
  show(main, h('div', { class: 'sign-in' }, h('h1', null, 'Tael console'),
    why ? h('p', { class: 'why', role: 'alert' }, why) : null,
    buildForm({
      submit: 'Sign in', reads: true,
      fields: [{ name: 'key', label: 'API key', kind: 'password', required: true }],
      run: (values) => tryKey((values.key || '').trim()),
      done: (key) => {
        session.signIn(key);
        shell();
        route();
      },
    }),
    h('p', { class: 'lead' }, 'The key stays in this tab until you sign out, close it, or leave it ' +
      `alone for ${session.IDLE_MINUTES} minutes. What it may not do, you may not do here.`)));
  main.querySelector('input').focus();
}

/* ----------------------------------------------------------------------------------- shell */

function findBox() {
  const input = h('input', {
    id: 'open', name: 'id', placeholder: 'Find: id, e-mail, name, 12.50 usd, card 4242', autocomplete: 'off',
    spellcheck: 'false', 'aria-label': 'Find by id, e-mail, name, amount or the end of a card',
  });
  const said = h('span', { class: 'say', role: 'alert' });
  const form = h('form', {
    role: 'search', 'aria-label': 'Find',
    on: {
      input: () => show(said),
      submit: async (event_) => {
        event_.preventDefault();
        show(said);
        try {
          go(await find(input.value.trim()));
          input.value = '';
        } catch (error) {
          if (!(error instanceof ApiError)) {
            throw error;
          }
          show(said, error.message);
        }
      },
    },
  }, input, said);
  return form;
}

function menuButton() {
  const made = button('Menu', () => {
    made.setAttribute('aria-expanded', String(nav.classList.toggle('shown')));
  }, 'menu');
  made.setAttribute('aria-expanded', 'false');
  made.setAttribute('aria-controls', 'nav');
  return made;
}

function shell() {
  top.hidden = nav.hidden = false;
  show(top,
    menuButton(),
    h('a', { class: 'brand', href: '#/' }, 'Tael'),
    session.isTest() ? h('span', { class: 'mode test' }, 'Test mode')
      : h('span', { class: 'mode live' }, 'Live'),
    findBox(),
    h('span', { class: 'who' }, session.isRestricted() ? 'Restricted key ' : 'Secret key ',
      h('code', null, session.hint())),
    button('Sign out', () => signOut('You have signed out.')));
  show(nav, MENU.map(([group, entries]) => [
    h('p', { class: 'group', 'aria-hidden': 'true' }, group),
    h('ul', { 'aria-label': group }, entries.map(([path, text]) => h('li', null, link(`#/${path}`, text)))),
  ]));
}

function go(address) {
  if (location.hash === address) {
    route();
  } else {
    location.hash = address;
  }
}

/* -------------------------------------------------------------------------------- routing */

function match(path) {
  for (const [pattern, page] of ROUTES) {
    const words = pattern.split('/');
    if (words.length === path.length &&
        words.every((word, i) => word === path[i] || (word === '*' && path[i] !== ''))) {
      return page;
    }
  }
  return null;
}

function markMenu(path) {
  for (const one of nav.querySelectorAll('a')) {
    const isHere = one.getAttribute('href') === `#/${path[0]}`;
    if (isHere) {
      one.setAttribute('aria-current', 'page');
    } else {
      one.removeAttribute('aria-current');
    }
  }
  nav.classList.remove('shown');
  const menu = top.querySelector('.menu');
  if (menu) {
    menu.setAttribute('aria-expanded', 'false');
  }
}

function context(path, query) {
  leaving.abort();
  leaving = new AbortController();
  const ctx = {
    path, query, main, go, signal: leaving.signal,
    id: path[1],
    reload: () => route(),
    title: (text, ...actions) => {
      document.title = `${text} - Tael console`;
      const heading = h('h1', { tabindex: '-1' }, text);
      main.prepend(h('div', { class: 'title' }, heading, h('div', { class: 'buttons' }, actions)));
      heading.focus({ preventScroll: true });
    },
  };
  return ctx;
}

async function route() {
  if (session.key() === null) {
    signInPage();
    return;
  }
  const [pathText, queryText] = location.hash.replace(/^#\/?/, '').split('?');
  const path = pathText.split('/');
  const page = match(path);
  const ctx = context(path, new URLSearchParams(queryText || ''));
  closeDialogs();
  markMenu(path);
  show(main);
  main.setAttribute('aria-busy', 'true');
  window.scrollTo(0, 0);
  try {
    if (page === null) {
      ctx.title('There is no such page');
    } else {
      await page(ctx);
    }
  } catch (error) {
    if (ctx.signal.aborted) {
      return;
    }
    show(main, errorBox(asApiError(error)));
    ctx.title('This did not work', button('Try again', () => route()));
    if (!(error instanceof ApiError)) {
      throw error;
    }
  } finally {
    if (!ctx.signal.aborted) {
      main.removeAttribute('aria-busy');
    }
  }
}

/* Nobody's hand, or somebody's for very long: a key is not left lying about. */
function lookForHands() {
  if (session.isIdle()) {
    signOut(`Nothing was done for ${session.IDLE_MINUTES} minutes: you were signed out.`);
  } else if (session.isOver()) {
    signOut(`${session.WHOLE_HOURS} hours have passed: sign in again.`);
  } else if (session.isNearlyIdle() && !warning.isConnected) {
    document.getElementById('notes').append(warning);
  }
}

/* These change no address: the first would lead to a page `main`, and the others nowhere. */
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
nav.addEventListener('click', (event) => {
  if (event.target.hash && event.target.hash === location.hash) {
    history.replaceState(null, ''); // the newest rows
    route();
  }
});
whenRefused(signOut);
for (const type of ['pointerdown', 'keydown', 'wheel', 'touchstart']) {
  window.addEventListener(type, () => {
    lookForHands(); // before it counts: a tab that slept comes back with a hand on it
    session.touch();
    warning.remove();
  }, { capture: true, passive: true });
}
window.addEventListener('hashchange', route);
document.addEventListener('visibilitychange', () => document.hidden || lookForHands());
setInterval(lookForHands, IDLE_LOOK_MS);
if (session.key() === null) {
  signInPage();
} else {
  lookForHands();
  if (session.key() !== null) {
    shell();
    route();
  }
}
