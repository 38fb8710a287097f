/* Events: what happened, as it is delivered. */
import { at, get, post } from './api.js';
import { badge, idOf, reference, time } from './format.js';
import { createdColumn, createdParam, dateFilters, idCsv } from './columns.js';
import { detailPage, json } from './detail.js';
import { listPage, listPart } from './list.js';
import { deliveryColumns, deliveryHref } from './webhooks.js';

export function events(ctx) {
  listPage(ctx, {
    title: 'Events', csv: 'events', href: (one) => `#/events/${one.id}`,
    source: async (filters) => ({
      path: 'v1/events',
      params: {
        type: filters.type, created: createdParam(filters),
        delivery_success: filters.delivery === undefined ? undefined : filters.delivery === 'yes',
      },
    }),
    filters: [
      { name: 'type', label: 'Type', placeholder: 'charge.*' },
      { name: 'delivery', label: 'Delivered', kind: 'select',
        options: [['yes', 'Everywhere'], ['no', 'Not everywhere']] },
      ...dateFilters,
    ],
    columns: [
      { title: 'Type', cell: (one) => one.type, csvs: [idCsv, ['type', (one) => one.type]] },
      { title: 'Object', cell: (one) => reference(one.data.object), csv: (one) => idOf(one.data.object) },
      {
        title: 'Webhooks', cell: (one) => (one.pending_webhooks ? badge('pending') : ''),
        csvs: [['pending webhooks', (one) => one.pending_webhooks]],
      },
      createdColumn,
    ],
    empty: 'No events are like that.',
  });
}

export function event(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('events', ctx.id), {}, signal),
    title: (one) => one.type,
    actions: [{
      text: 'Send to an endpoint',
      form: (one) => ({
        fields: [{ name: 'webhook_endpoint', label: 'Endpoint', required: true, placeholder: 'we_...' }],
        run: (values, key) => post(at('events', one.id, 'resend'), values, key),
        said: () => 'It is on its way.',
      }),
    }],
    facts: (one) => [
      ['Object', reference(one.data.object)],
      ['Request', one.request && one.request.id && reference(one.request.id)],
      ['Idempotency key', one.request && one.request.idempotency_key],
      ['Webhooks that wait', one.pending_webhooks], ['API version', one.api_version],
      ['Created', time(one.created)],
    ],
    sections: [
      ['The object then', (one) => json(one.data.object)],
      ['Deliveries', (one) => listPart(ctx, {
        path: at('events', one.id, 'deliveries'), whole: true, columns: deliveryColumns,
        href: deliveryHref,
      })],
    ],
  });
}
