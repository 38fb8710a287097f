/* Setup intents: methods that are saved for later payments. */
import { at, get, getExpanded, post } from './api.js';
import { createdColumn, customerFilter, customerLink, statusColumn } from './columns.js';
import { detailPage, metadataSection } from './detail.js';
import { keptErrorBox } from './form.js';
import { idOf, method, reference, time, words } from './format.js';
import { listPage, tableOrNone } from './list.js';
import { outward } from './dom.js';
import { requestsSection } from './logs.js';
import { timeline } from './timeline.js';

const CANCELABLE = ['requires_payment_method', 'requires_confirmation', 'requires_action'];

const methodText = (one) => (one.payment_method && typeof one.payment_method === 'object'
  ? method(one.payment_method) : reference(one.payment_method));

export function setups(ctx) {
  listPage(ctx, {
    title: 'Setup intents', csv: 'setup_intents', href: (one) => `#/setups/${one.id}`,
    text: 'Methods that customers save for later payments.',
    source: async (filters) => ({
      path: 'v1/setup_intents', params: { customer: filters.customer },
      expand: ['data.customer', 'data.payment_method'],
    }),
    filters: [customerFilter],
    columns: [
      { title: 'Setup', cell: (one) => one.id, csv: (one) => one.id },
      statusColumn,
      { title: 'Method', cell: methodText, csv: (one) => idOf(one.payment_method) },
      {
        title: 'Customer', kind: 'text', cell: (one) => customerLink(one.customer),
        csv: (one) => idOf(one.customer),
      },
      createdColumn,
    ],
    empty: 'No setup intents are like that.', none: 'There are none yet.',
  });
}

function waiting(one) {
  const action = one.next_action || {};
  return action.redirect_to_url
    ? outward(action.redirect_to_url.url, 'The page on which the customer authenticates') : null;
}

async function attempts(ctx, one) {
  const list = await get('v1/setup_attempts', { setup_intent: one.id, limit: 100 }, ctx.signal);
  return tableOrNone({
    columns: [
      statusColumn,
      { title: 'Method', cell: (attempt) => method(attempt.payment_method_details) },
      { title: 'Why', kind: 'text', cell: (attempt) => attempt.setup_error && attempt.setup_error.message },
      createdColumn,
    ],
  }, list.data);
}

export function setup(ctx) {
  return detailPage(ctx, {
    load: (signal) => getExpanded(at('setup_intents', ctx.id), {}, ['customer', 'payment_method'], signal),
    title: () => 'Setup intent',
    status: (one) => one.status,
    actions: [{
      text: 'Cancel setup', danger: true, when: (one) => CANCELABLE.includes(one.status),
      form: (one) => ({
        text: 'The method is not saved.',
        run: (values, key) => post(at('setup_intents', one.id, 'cancel'), {}, key),
        said: () => 'Canceled.',
      }),
    }],
    facts: (one) => [
      ['Customer', customerLink(one.customer)], ['Method', methodText(one)],
      ['For payments', one.usage === 'off_session' ? 'without the customer' : 'with the customer there'],
      ['Description', one.description], ['Created', time(one.created)],
      ['Why canceled', words(one.cancellation_reason)],
      ['Next', waiting(one)], ['Last error', keptErrorBox(one.last_setup_error)],
    ],
    sections: [
      ['Attempts', (one) => attempts(ctx, one)], ['Timeline', (one) => timeline([one.id], ctx.signal)],
      requestsSection(ctx), metadataSection,
    ],
  });
}
