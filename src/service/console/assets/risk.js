/* Lists and rules that say which payments by card are refused. */
import { at, get, post, remove } from './api.js';
import { badge, time } from './format.js';
import { button, h } from './dom.js';
import { createdColumn, idCsv, textColumn, timeColumn } from './columns.js';
import { detailPage, metadataSection } from './detail.js';
import { listPage, listPart } from './list.js';
import { openForm, sayAndGo, sayAndReload } from './form.js';

const ITEM_TYPES = [
  ['string', 'Text'], ['case_sensitive_string', 'Text, in its case'], ['email', 'E-mail address'],
  ['customer_id', 'Customer'], ['card_fingerprint', 'Card (fingerprint)'],
  ['card_bin', 'Card (first six digits)'], ['country', 'Country'], ['ip_address', 'IP address'],
];
const typeOf = (one) => (ITEM_TYPES.find(([value]) => value === one.item_type) || ['', one.item_type])[1];
const ACTIONS = { allow: 'Allow', block: 'Block', request_3d_secure: 'Request 3-D Secure' };

/* ------------------------------------------------------------------------------------ rules */

const ruleFields = (one) => [
  { name: 'predicate', label: 'Rule', kind: 'textarea', maximum: 1000, required: true,
    value: one.predicate || '', hint: "Such as: Block if :card_country: in ('kp', 'ir')" },
  { name: 'name', label: 'Name', maximum: 200, value: one.name || '', clearable: Boolean(one.id) },
];

function createRule(ctx) {
  openForm({
    title: 'New rule', submit: 'Create', fields: ruleFields({}),
    run: (values, key) => post('v1/radar/rules', values, key),
    done: (made) => ctx.go(`#/rules/${made.id}`),
  });
}

const stateOf = (one) => (one.enabled ? 'enabled' : 'disabled');

export function rules(ctx) {
  listPage(ctx, {
    title: 'Rules', csv: 'rules', path: 'v1/radar/rules', href: (one) => `#/rules/${one.id}`,
    text: 'What is asked of each payment by card before it is sent to the network. What allows goes before ' +
      'what blocks, and both before what requests 3-D Secure.',
    actions: [button('New rule', () => createRule(ctx), 'primary')],
    columns: [
      {
        title: 'Rule', kind: 'text', cell: (one) => one.predicate,
        csvs: [idCsv, ['rule', (one) => one.predicate]],
      },
      textColumn('Name', 'name'),
      { title: 'Does', cell: (one) => ACTIONS[one.action] || one.action, csv: (one) => one.action },
      { title: 'Status', cell: (one) => badge(stateOf(one)), csv: stateOf },
      createdColumn,
    ],
    empty: 'There are none.',
  });
}

const turn = (enabled, text) => ({
  text, when: (one) => one.enabled !== enabled,
  form: (one) => ({
    text: enabled ? 'It is asked again.' : 'It is kept, and not asked.',
    run: (values, key) => post(at('radar', 'rules', one.id), { enabled }, key),
  }),
});

export function rule(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('radar', 'rules', ctx.id), {}, signal),
    title: (one) => one.name || 'Rule',
    status: stateOf,
    actions: [{
      text: 'Edit',
      form: (one) => ({
        fields: ruleFields(one),
        run: (values, key) => post(at('radar', 'rules', one.id), values, key),
        said: () => 'Changed.',
      }),
    }, turn(false, 'Disable'), turn(true, 'Enable'), {
      text: 'Delete', danger: true,
      form: (one) => ({
        text: 'Payments are not held against it any more.',
        run: () => remove(at('radar', 'rules', one.id)), done: sayAndGo(ctx, 'Deleted.', '#/rules'),
      }),
    }],
    facts: (one) => [
      ['Rule', h('code', null, one.predicate)], ['Does', ACTIONS[one.action] || one.action],
      ['Made with the key', one.created_by], ['Changed with the key', one.updated_by],
      ['Created', time(one.created)],
    ],
    sections: [metadataSection],
  });
}

/* ------------------------------------------------------------------------------------ lists */

function createList(ctx) {
  openForm({
    title: 'New list', submit: 'Create',
    fields: [
      { name: 'name', label: 'Name', maximum: 200, required: true },
      { name: 'alias', label: 'Alias', maximum: 100, required: true,
        hint: 'What rules call it: letters, digits and underscores.' },
      { name: 'item_type', label: 'What is in it', kind: 'select', required: true,
        options: ITEM_TYPES, value: 'string' },
    ],
    run: (values, key) => post('v1/radar/value_lists', values, key),
    done: (made) => ctx.go(`#/lists/${made.id}`),
  });
}

export function valueLists(ctx) {
  listPage(ctx, {
    title: 'Block and allow lists', csv: 'lists', path: 'v1/radar/value_lists',
    href: (one) => `#/lists/${one.id}`,
    text: 'What is in a default list is blocked, or allowed, by itself; the other lists are for rules.',
    actions: [button('New list', () => createList(ctx), 'primary')],
    columns: [
      {
        title: 'Name', kind: 'text', cell: (one) => one.name, csvs: [idCsv, ['name', (one) => one.name]],
      },
      { title: 'Alias', cell: (one) => h('code', null, `@${one.alias}`), csv: (one) => one.alias },
      { title: 'What is in it', cell: typeOf, csv: (one) => one.item_type },
      { title: 'Values', cell: (one) => (one.list_items.has_more ? 'more than 10'
        : String(one.list_items.data.length)) },
    ],
    empty: 'There are none.',
  });
}

const add = {
  text: 'Add a value',
  form: (one) => ({
    fields: [{ name: 'value', label: typeOf(one), maximum: 800, required: true }],
    run: (values, key) => post('v1/radar/value_list_items', { value_list: one.id, ...values }, key),
    said: () => 'Added.',
  }),
};

function takeOut(ctx, one) {
  openForm({
    title: 'Take out', submit: 'Take out', danger: true, fields: [],
    text: `${one.value} is not in the list any more.`,
    run: () => remove(at('radar', 'value_list_items', one.id)),
    done: sayAndReload(ctx, 'Taken out.'),
  });
}

export function valueList(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('radar', 'value_lists', ctx.id), {}, signal),
    title: (one) => one.name,
    actions: [add, {
      text: 'Delete', danger: true, when: (one) => one.created_by !== 'tael',
      form: (one) => ({
        text: 'The list is gone, and what is in it.',
        run: () => remove(at('radar', 'value_lists', one.id)), done: sayAndGo(ctx, 'Deleted.', '#/lists'),
      }),
    }],
    facts: (one) => [
      ['Alias', h('code', null, `@${one.alias}`)], ['What is in it', typeOf(one)],
      ['Made with the key', one.created_by === 'tael' ? '' : one.created_by],
      ['Created', time(one.created)],
    ],
    sections: [
      ['Values', (one) => listPart(ctx, {
        path: 'v1/radar/value_list_items', params: { value_list: one.id }, csv: `list-${one.alias}`,
        columns: [
          textColumn('Value', 'value'), timeColumn('Added', 'created'),
          {
            title: 'With the key', cell: (item) => h('code', null, item.created_by),
            csv: (item) => item.created_by,
          },
          { title: '', cell: (item) => button('Take out', () => takeOut(ctx, item)) },
        ],
      })],
      metadataSection,
    ],
  });
}
