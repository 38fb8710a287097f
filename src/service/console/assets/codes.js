/* Static QR codes, which stand at a till for any number of payments. */
import { at, get, post } from './api.js';
import { anyAmountField, currencyField, descriptionField, openForm } from './form.js';
import { badge, decimal, money, time } from './format.js';
import { button } from './dom.js';
import { createdColumn, idCsv } from './columns.js';
import { detailPage, metadataSection } from './detail.js';
import { listPage } from './list.js';
import { qrPicture } from './payment.js';

function create(ctx) {
  openForm({
    title: 'New code', submit: 'Create',
    fields: [
      currencyField(), anyAmountField({ hint: 'Left out, the payer enters it.' }),
      descriptionField({ hint: 'Such as: Till 3.' }),
    ],
    run: (values, key) => post('v1/qr_codes', values, key),
    done: (made) => ctx.go(`#/codes/${made.id}`),
  });
}

const amountOf = (one) => (one.amount === null ? 'any amount' : money(one.amount, one.currency));
const stateOf = (one) => (one.active ? 'active' : 'withdrawn');

export function codes(ctx) {
  listPage(ctx, {
    title: 'Till codes', path: 'v1/qr_codes', csv: 'codes', href: (one) => `#/codes/${one.id}`,
    text: 'A code that is printed once, and scanned for any number of payments.',
    actions: [button('New code', () => create(ctx), 'primary')],
    columns: [
      {
        title: 'Description', kind: 'text', cell: (one) => one.description || '(none)',
        csvs: [idCsv, ['description', (one) => one.description]],
      },
      {
        title: 'Amount', kind: 'number', cell: amountOf,
        csvs: [['amount', (one) => (one.amount === null ? '' : decimal(one.amount, one.currency))],
          ['currency', (one) => one.currency]],
      },
      { title: 'Currency', cell: (one) => one.currency.toUpperCase() },
      { title: 'Status', cell: (one) => badge(stateOf(one)), csv: stateOf },
      createdColumn,
    ],
    empty: 'There are none.',
  });
}

const turn = (active, text, danger) => ({
  text, danger, when: (one) => one.active !== active,
  form: (one) => ({
    text: active ? 'It can be paid again.' : 'Who scans it is told that it is not valid.',
    run: (values, key) => post(at('qr_codes', one.id), { active }, key),
  }),
});

export function code(ctx) {
  return detailPage(ctx, {
    load: (signal) => get(at('qr_codes', ctx.id), {}, signal),
    title: (one) => one.description || 'Till code',
    status: stateOf,
    actions: [turn(false, 'Withdraw', true), turn(true, 'Make valid')],
    facts: (one) => [
      ['Amount', amountOf(one)], ['Currency', one.currency.toUpperCase()],
      ['Text', one.data], ['Created', time(one.created)],
    ],
    sections: [
      ['Picture', (one) => (one.active ? qrPicture(one, 'QR code for the till') : 'None: it is withdrawn.')],
      metadataSection,
    ],
  });
}
