/* Requests: what programs, and this console, have sent with the merchant's keys. */
import { at, get } from './api.js';
import { reference, time } from './format.js';
import { createdParam, dateFilters, idCsv, timeColumn } from './columns.js';
import { detailPage, facts } from './detail.js';
import { empty, h, link } from './dom.js';
import { listPage, listPart } from './list.js';

function statusNode(one) {
  const kind = one.status < 400 ? 'good' : 'bad';
  return h('span', { class: `badge ${kind}` }, String(one.status));
}

function errorText(one) {
  const error = one.error || {};
  return [error.decline_code || error.code || error.type, error.param].filter(Boolean).join(': ');
}

const logColumns = [
  {
    title: 'Request', cell: (one) => `${one.method} ${one.path}`,
    csvs: [idCsv, ['method', (one) => one.method], ['path', (one) => one.path]],
  },
  { title: 'Status', cell: statusNode, csv: (one) => one.status },
  { title: 'Error', kind: 'text', cell: errorText, csv: errorText },
  {
    title: 'Took', kind: 'number', cell: (one) => (one.duration_ms === null ? '' : `${one.duration_ms} ms`),
    csvs: [['ms', (one) => one.duration_ms]],
  },
  timeColumn('Received', 'created'),
];

const logHref = (one) => `#/logs/${one.id}`;

export function logs(ctx) {
  listPage(ctx, {
    title: 'Requests', csv: 'requests', columns: logColumns, href: logHref,
    text: 'What was sent with the keys of this merchant and mode, by the console too.',
    source: async (filters) => ({
      path: 'v1/request_logs',
      params: {
        method: filters.method, status: filters.status, path: filters.path, object: filters.object,
        idempotency_key: filters.key, created: createdParam(filters),
      },
    }),
    tabs: {
      name: 'method', options: [['', 'All'], ['POST', 'POST'], ['GET', 'GET'], ['DELETE', 'DELETE']],
    },
    filters: [
      { name: 'status', label: 'Status', placeholder: '402, 4xx, failed' },
      { name: 'path', label: 'Path begins', placeholder: '/v1/refunds' },
      { name: 'object', label: 'Object', placeholder: 'pi_...' },
      { name: 'key', label: 'Idempotency key' },
      ...dateFilters,
    ],
    empty: 'No requests are like that.',
  });
}

/* Of an object's page: what has changed it, from when it was made on; who only looked is behind the link. */
export const requestsSection = (ctx) => ['Requests', (object) => [
  listPart(ctx, {
    path: 'v1/request_logs', columns: logColumns, href: logHref, empty: 'None are kept.',
    params: { object: object.id, method: 'POST', created: { gte: object.created - 60 } },
  }),
  h('p', { class: 'lead' }, link(`#/logs?object=${object.id}`, 'All requests that name it')),
]];

function sent(one) {
  const names = Object.entries(one.parameters);
  return facts(names.map(([name, value]) => [name,
    value === null ? h('span', { class: 'empty' }, 'not kept') : value]));
}

function failure(one) {
  const error = one.error;
  return error && facts([
    ['Type', error.type], ['Code', error.code], ['Decline code', error.decline_code],
    ['Parameter', error.param],
  ]);
}

export function log(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('request_logs', ctx.id), {}, signal),
    title: (one) => `${one.method} ${one.path}`,
    facts: (one) => [
      ['Status', statusNode(one)], ['Received', time(one.created)],
      ['Took', one.duration_ms === null ? '' : `${one.duration_ms} ms`],
      ['Key', link('#/keys', one.api_key)], ['Idempotency key', one.idempotency_key],
      ['Answered as', one.original_request && link(`#/logs/${one.original_request}`, one.original_request)],
      ['From', one.ip_address], ['Client', one.user_agent],
    ],
    sections: [
      ['Parameters', sent],
      ['Error', (one) => failure(one) || empty('None.')],
      ['Objects', (one) => (one.objects.length === 0 ? empty('None.')
        : h('ul', null, one.objects.map((id) => h('li', null, reference(id)))))],
    ],
  });
}
