/* Webhook endpoints, and what was delivered to them. */
import { at, get, post, remove } from './api.js';
import { button, empty, h, note } from './dom.js';
import { createdColumn, idCsv, pageLink, statusColumn, statusTabs, timeColumn } from './columns.js';
import { detailPage, facts } from './detail.js';
import { idOf, time } from './format.js';
import { listPage, listView } from './list.js';
import { ofNew, openForm, sayAndGo, showSecret } from './form.js';

const DAY_S = 86400;

const fields = (endpoint) => [
  { name: 'url', label: 'Address', kind: 'url', required: true, value: endpoint.url || '',
    placeholder: 'https://shop.example/hooks' },
  { name: 'enabled_events', label: 'Events', kind: 'textarea', required: true,
    hint: 'One a line; * for all, charge.* for many.',
    value: (endpoint.enabled_events || ['*']).join('\n') },
  { name: 'description', label: 'Description', value: endpoint.description || '', clearable: true },
];

function params({ enabled_events: events, ...values }) {
  return { ...values, enabled_events: (events || '').split(/\s+/).filter((one) => one !== '') };
}

function create(ctx) {
  openForm({
    title: 'New endpoint', submit: 'Create',
    fields: ofNew(fields({})),
    run: (values, key) => post('v1/webhook_endpoints', params(values), key),
    done: (made) => showSecret('Signing secret', 'Deliveries are signed with it. It is shown once.',
      made.secret, () => ctx.go(`#/webhooks/${made.id}`)),
  });
}

const eventsOf = (one) => one.enabled_events.join(', ');

export function webhooks(ctx) {
  listPage(ctx, {
    title: 'Webhook endpoints', csv: 'webhooks', path: 'v1/webhook_endpoints',
    href: (one) => `#/webhooks/${one.id}`,
    actions: [button('New endpoint', () => create(ctx), 'primary')],
    columns: [
      { title: 'Address', kind: 'text', cell: (one) => one.url, csvs: [idCsv, ['url', (one) => one.url]] },
      statusColumn, { title: 'Events', kind: 'text', cell: eventsOf, csv: eventsOf },
      createdColumn,
    ],
    empty: 'There are none.',
  });
}

/* -------------------------------------------------------------------------- one endpoint */

const edit = {
  text: 'Edit',
  form: (one) => ({
    fields: fields(one),
    run: (values, key) => post(at('webhook_endpoints', one.id), params(values), key),
  }),
};

const turn = (text, disabled, danger) => ({
  text, danger, when: (one) => (one.status === 'enabled') === disabled,
  form: (one) => ({
    text: disabled ? 'Deliveries stop; events stay.' : 'Deliveries go on.',
    run: (values, key) => post(at('webhook_endpoints', one.id), { disabled }, key),
  }),
});

const roll = (ctx) => ({
  text: 'New secret',
  form: (one) => ({
    fields: [{ name: 'expires_in', label: 'The old one signs as well for', kind: 'select',
      value: String(DAY_S), options: [['0', 'No time'], ['3600', 'An hour'],
        [String(DAY_S), 'A day'], [String(7 * DAY_S), 'A week']] }],
    run: (values, key) => post(at('webhook_endpoints', one.id, 'roll_secret'), values, key),
    done: (made) => showSecret('Signing secret', 'It is shown once.', made.secret, () => ctx.reload()),
  }),
});

const drop = (ctx) => ({
  text: 'Delete', danger: true,
  form: (one) => ({
    text: 'Nothing is delivered there any more.',
    run: () => remove(at('webhook_endpoints', one.id)),
    done: sayAndGo(ctx, 'Deleted.', '#/webhooks'),
  }),
});

/* Columns of an endpoint's and of an event's deliveries. */
export const deliveryColumns = [
  {
    title: 'Event', cell: (one) => one.event_type,
    csvs: [idCsv, ['type', (one) => one.event_type], ['event', (one) => idOf(one.event)]],
  },
  statusColumn,
  {
    title: 'Attempts', kind: 'number', cell: (one) => one.attempt_count, csv: (one) => one.attempt_count,
  },
  timeColumn('Next attempt', 'next_attempt_at'), createdColumn,
];

export const deliveryHref = (one) => `#/webhooks/${idOf(one.webhook_endpoint)}/${one.id}`;

export function webhook(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('webhook_endpoints', ctx.id), {}, signal),
    title: () => 'Webhook endpoint',
    status: (one) => one.status,
    actions: [edit, turn('Disable', true, true), turn('Enable', false), roll(ctx), drop(ctx)],
    facts: (one) => [
      ['Address', one.url], ['Events', eventsOf(one)],
      ['Description', one.description], ['API version', one.api_version],
      ['Created', time(one.created)],
    ],
    sections: [['Deliveries', (one) => listView(ctx, {
      source: async (filters) => ({
        path: at('webhook_endpoints', one.id, 'deliveries'), params: filters,
      }),
      tabs: statusTabs(['pending', 'succeeded', 'failed']),
      columns: deliveryColumns, csv: `deliveries-${one.id}`,
      href: (sent) => `#/webhooks/${one.id}/${sent.id}`, empty: 'None.',
    })]],
  });
}

/* --------------------------------------------------------------------------- one delivery */

const resend = (ctx, endpointId, eventId) => ({
  text: 'Send again',
  form: () => ({
    text: 'The event is sent to the endpoint once more.',
    run: (values, key) => post(at('events', eventId, 'resend'), { webhook_endpoint: endpointId }, key),
    done: (made) => {
      note('It is on its way.');
      ctx.go(`#/webhooks/${endpointId}/${made.id}`);
    },
  }),
});

function attempt(one) {
  return h('li', null, facts([
    ['When', time(one.created)], ['Took', `${one.duration_ms} ms`],
    ['Answer', one.response && one.response.status], ['Error', one.error],
  ]), one.response && one.response.body
    ? h('pre', { class: 'json', tabindex: '0' }, one.response.body) : null);
}

export async function delivery(ctx) {
  const [, endpointId, deliveryId] = ctx.path;
  const found = await get(at('webhook_endpoints', endpointId, 'deliveries', deliveryId), {}, ctx.signal);
  const eventId = idOf(found.event);
  await detailPage(ctx, {
    load: async () => found,
    title: (one) => `Delivery of ${one.event_type}`,
    status: (one) => one.status,
    actions: eventId ? [resend(ctx, endpointId, eventId)] : [],
    facts: (one) => [
      ['Endpoint', pageLink('webhooks', endpointId)], ['Event', pageLink('events', eventId)],
      ['Attempts', one.attempt_count], ['Created', time(one.created)],
      ['Next attempt', time(one.next_attempt_at)], ['Ended', time(one.ended_at)],
    ],
    sections: [['Attempts', (one) => (one.attempts.length
      ? h('ol', { class: 'attempts' }, one.attempts.map(attempt))
      : empty('None yet.'))]],
  });
}
