/* API keys: those of people and of programs, each with what it may do. */
import { ApiError, at, get, post, remove } from './api.js';
import { badge } from './format.js';
import { createdColumn, idCsv } from './columns.js';
import { button, h, note } from './dom.js';
import { listPage } from './list.js';
import { openForm, sayAndReload, showSecret } from './form.js';

/* What people commonly do: docs/console.md has the same table. */
const ROLES = {
  Cashier: ['payment_intents:write', 'charges:read', 'checkout_sessions:write', 'qr_codes:write'],
  Support: ['payment_intents:write', 'charges:read', 'refunds:write', 'disputes:write',
    'balance:read', 'checkout_sessions:write',
    'customers:write', 'payment_methods:read', 'wallets:read', 'events:read'],
  Bookkeeper: ['payment_intents:read', 'charges:read', 'refunds:read', 'disputes:read',
    'balance:read', 'checkout_sessions:read',
    'customers:read', 'wallets:read', 'payouts:read', 'suspense_items:write'],
  Developer: ['request_logs:read', 'events:read', 'webhook_endpoints:write', 'payment_intents:read',
    'charges:read', 'checkout_sessions:read'],
};

/* The API's own description says which permissions there are. */
async function resources(signal) {
  const description = await get('v1/openapi.json', {}, signal);
  const names = new Set();
  for (const methods of Object.values(description.paths)) {
    for (const operation of Object.values(methods)) {
      if (operation['x-permission']) {
        names.add(operation['x-permission'].split(':')[0]);
      }
    }
  }
  return [...names].sort();
}

/* A choice of nothing, read or write for each resource. */
function permissionsField(names) {
  const choices = new Map(names.map((name) => [name, h('select', { id: `may-${name}` },
    [['', 'Nothing'], ['read', 'Read'], ['write', 'Read and write']].map(([value, text]) =>
      h('option', { value }, text)))]));
  const choose = (given) => choices.forEach((select, name) => {
    const one = given.find((permission) => permission.startsWith(`${name}:`));
    select.value = one ? one.split(':')[1] : '';
  });
  const node = h('div', { class: 'permissions', role: 'group', tabindex: '-1',
    'aria-label': 'Permissions' },
  h('p', { class: 'buttons' }, Object.entries(ROLES).map(([role, given]) =>
    button(role, () => choose(given)))),
  [...choices].map(([name, select]) => h('div', null,
    h('label', { for: `may-${name}` }, name.replaceAll('_', ' ')), select)));
  return {
    name: 'permissions', label: 'What it may do', node,
    read: () => {
      const chosen = [...choices].filter(([, select]) => select.value !== '')
        .map(([name, select]) => `${name}:${select.value}`);
      if (chosen.length === 0) {
        throw new ApiError('A key that may do nothing is of no use.', { param: 'permissions' });
      }
      return chosen.join(',');
    },
  };
}

async function create(ctx) {
  const names = await resources(ctx.signal);
  openForm({
    title: 'New restricted key', submit: 'Create',
    fields: [
      { name: 'name', label: 'Name', maximum: 63, required: true, hint: 'Whose it is.' },
      permissionsField(names),
    ],
    run: (values, key) => post('v1/tael/api_keys', { type: 'restricted', ...values }, key),
    done: (made) => showSecret('The new key',
      'It is shown once. Whoever has it may do what you have chosen.', made.key, () => ctx.reload()),
  });
}

function revoke(ctx, one) {
  openForm({
    title: `Revoke ${one.name || one.id}`, submit: 'Revoke', danger: true, fields: [],
    text: 'It is refused from now on, for good.',
    run: () => remove(at('tael', 'api_keys', one.id)),
    done: sayAndReload(ctx, 'Revoked.'),
  });
}

const stateOf = (one) => (one.revoked ? 'revoked' : 'active');

export function keys(ctx) {
  listPage(ctx, {
    title: 'API keys', csv: 'keys', path: 'v1/tael/api_keys', whole: true,
    text: 'Only a secret key makes, shows and revokes keys. Give each person a restricted one.',
    actions: [button('New restricted key', () => create(ctx).catch((error) => {
      note(error.message);
    }), 'primary')],
    columns: [
      {
        title: 'Name', kind: 'text', cell: (one) => one.name || '(no name)',
        csvs: [idCsv, ['name', (one) => one.name]],
      },
      { title: 'Type', cell: (one) => one.type, csv: (one) => one.type },
      { title: 'Ends in', cell: (one) => h('code', null, one.hint), csv: (one) => one.hint },
      { title: 'Status', cell: (one) => badge(stateOf(one)), csv: stateOf },
      createdColumn,
      { title: 'Action', cell: (one) => (one.revoked ? '' : button('Revoke', () => revoke(ctx, one))) },
    ],
  });
}
