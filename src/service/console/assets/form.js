/*
 * Forms: fields from a table, one POST, errors beside the field that they name.
 *
 * CONSOLE-4. A form has one idempotency key from when it is opened. Whatever is pressed, and
 * however often an answer is lost on the way, what it asks for is done once: while a request is
 * under way the button is off; when no answer came, or one that leaves open what was done, the
 * fields are locked and only the same request can be sent again. A new key is made when the API has
 * refused for good: then nothing was done. What moves money for good is shown once more before it is sent,
 * and a double click does not agree to it.
 */
import { ApiError, newIdempotencyKey } from './api.js';
import { CURRENCIES, decimal, exponent, parseAmount } from './format.js';
import { currencyOptions } from './columns.js';
import { button, h, link, note, show } from './dom.js';

let serial = 0;

/* ---------------------------------------------------------------------------------- fields */

function optionNodes(field) {
  return field.options.map((option) => {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    return h('option', { value, selected: value === (field.value ?? '') }, text);
  });
}

function inputNode(field, id) {
  const common = {
    id, name: field.name, required: field.required, 'aria-describedby': `${id}-say`,
    maxlength: field.maximum, placeholder: field.placeholder, autocomplete: 'off',
    spellcheck: 'false',
  };
  switch (field.kind) {
    case 'select':
      return h('select', { ...common, placeholder: null }, optionNodes(field));
    case 'textarea':
    case 'metadata': {
      const area = h('textarea', { ...common, rows: field.rows || 3 });
      area.value = field.value || '';
      return area;
    }
    case 'checkbox':
      return h('input', { ...common, type: 'checkbox', checked: Boolean(field.value) });
    case 'amount':
      return h('input', { ...common, inputmode: 'decimal', value: field.value ?? '' });
    default:
      return h('input', { ...common, type: field.kind || 'text', value: field.value ?? '' });
  }
}

function fieldRow(field) {
  const id = `field-${++serial}`;
  const input = field.node || inputNode(field, id);
  const say = h('span', { class: 'say', id: `${id}-say` });
  /* A group of fields has its name itself, and a label for each of them. */
  const label = field.node ? h('p', { class: 'label', 'aria-hidden': 'true' }, field.label)
    : h('label', { for: id }, field.label);
  const hint = field.hint ? h('small', null, field.hint) : null;
  const row = field.kind === 'checkbox'
    ? h('div', { class: 'field check' }, input, label, hint, say)
    : h('div', { class: 'field' }, label, hint, input, say);
  return { field, input, say, row };
}

/* One text of "key=value" lines from a hash, and back. */
function metadataText(metadata) {
  return Object.entries(metadata || {}).map(([key, value]) => `${key}=${value}`).join('\n');
}

function parseMetadata(text, before) {
  const metadata = {};
  for (const name of Object.keys(before || {})) {
    metadata[name] = ''; // what was there and is left out is removed
  }
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const at = line.indexOf('=');
    if (at < 1) {
      throw new ApiError('Each line is a key, an equals sign and a value.', { param: 'metadata' });
    }
    metadata[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return metadata;
}

/* The currency of an amount's field: fixed, or what another field of the form says. */
function currencyOf(row, rows) {
  const { currency } = row.field;
  const other = rows.find((one) => one.field.name === currency);
  return other ? other.input.value.trim().toLowerCase() : currency;
}

function readField(row, rows) {
  const { field, input } = row;
  if (field.read) {
    return field.read((name) => rows.find((one) => one.field.name === name).input.value);
  }
  if (field.kind === 'checkbox') {
    return input.checked ? true : undefined;
  }
  const text = input.value;
  if (field.kind === 'metadata') {
    return parseMetadata(text, field.before);
  }
  if (text.trim() === '') {
    if (field.required) {
      throw new ApiError('This is needed.', { param: field.name });
    }
    return field.clearable ? '' : undefined;
  }
  if (field.kind === 'amount') {
    const currency = currencyOf(row, rows);
    const amount = parseAmount(text, currency);
    if (amount === null) {
      throw new ApiError(`An amount such as ${decimal(1250, currency)}, with at most ` +
        `${exponent(currency)} decimals and no separators.`, { param: field.name });
    }
    return amount;
  }
  return field.kind === 'textarea' ? text : text.trim();
}

function readAll(rows) {
  const values = {};
  for (const row of rows) {
    const value = readField(row, rows);
    if (value !== undefined) {
      values[row.field.name] = value;
    }
  }
  return values;
}

/* ------------------------------------------------------------------------------------ errors */

/* What people are told of a mistake in the console itself. */
export function asApiError(error) {
  return error instanceof ApiError ? error
    : new ApiError('The console failed. Load the page again.');
}

/* What the API said, with what support asks for. */
export function errorBox(error) {
  const facts = [
    error.param ? ['Parameter', error.param] : null,
    error.code ? ['Code', error.code] : null,
    error.declineCode ? ['Declined', error.declineCode] : null,
    error.requestId ? ['Request', link(`#/logs/${error.requestId}`, error.requestId)] : null,
  ].filter(Boolean);
  const paymentIntent = error.paymentIntent && error.paymentIntent.id;
  return h('div', { class: error.lacks ? 'error quiet' : 'error', role: 'alert' },
    h('p', null, error.lacks ? `This key may not: it needs ${error.lacks}.` : error.message),
    facts.length ? h('dl', null, facts.map(([name, value]) => [h('dt', null, name),
      h('dd', null, h('code', null, value))])) : null,
    paymentIntent ? h('p', null, link(`#/payments/${paymentIntent}`, 'The payment')) : null);
}

/* The same of an error that an object keeps; nothing if there is none. */
export function keptErrorBox(error) {
  return error ? errorBox(new ApiError(error.message, {
    code: error.code, declineCode: error.decline_code, param: error.param || null,
  })) : null;
}

function clearErrors(rows, box) {
  for (const row of rows) {
    row.input.removeAttribute('aria-invalid');
    show(row.say);
  }
  show(box);
}

function isOf(field, param) {
  return param === field.name || (field.params || []).includes(param) ||
    param.startsWith(`${field.name}[`);
}

function showError(error, rows, box) {
  const row = error.param && rows.find((one) => isOf(one.field, error.param));
  if (row) {
    row.input.setAttribute('aria-invalid', 'true');
    show(row.say, error.message);
    row.input.focus();
  }
  show(box, row && !error.requestId ? null : errorBox(error));
}

/* A refusal after which it is certain that this key has done nothing. 409: another request with the
 * key is under way; 429: it may be sent again as it is. An idempotency error says that the key is
 * another request's, which may have been carried out. */
function isFinal(error) {
  return error.status >= 400 && error.status < 500 && error.status !== 409 &&
    error.status !== 429 && error.type !== 'idempotency_error';
}

/* -------------------------------------------------------------------------------------- form */

/* A <form> of spec: fields, submit (text), run(values, idempotencyKey), done(result), danger, text;
 * reads: it changes nothing, and may be sent again with other values; review(values): what is about to be
 * done, as it was understood: the first press leads there, and a second one sends it. */
export function buildForm(spec, cancel) {
  let idempotencyKey = newIdempotencyKey();
  let running = false;
  let isReviewed = false;
  const rows = spec.fields.map(fieldRow);
  const box = h('div', { class: 'errors' });
  const submit = h('button', { type: 'submit', class: spec.danger ? 'danger' : 'primary' },
    spec.submit);
  const change = button('Change', () => {
    unlock();
    rows[0].input.focus();
  });
  const fields = h('fieldset', { class: 'plain' }, rows.map((row) => row.row));

  function unlock() {
    isReviewed = false;
    fields.disabled = false;
    change.hidden = true;
    submit.textContent = spec.submit;
    clearErrors(rows, box);
  }

  function review(values) {
    isReviewed = true;
    fields.disabled = true;
    change.hidden = false;
    submit.textContent = 'Confirm';
    const text = h('p', { class: 'review', tabindex: '-1' }, spec.review(values));
    show(box, text);
    text.focus(); // so that it is read out, and no key that is held down agrees to it
  }

  async function send() {
    clearErrors(rows, box);
    const values = readAll(rows);
    if (spec.review && !isReviewed) {
      review(values);
      return false;
    }
    change.hidden = true;
    spec.done(await spec.run(values, idempotencyKey));
    return true;
  }

  function refused(error) {
    const isOpen = !spec.reads && (error.lost || (error.status !== 0 && !isFinal(error)));
    if (isOpen) {
      fields.disabled = true;
      submit.textContent = 'Ask again';
    } else {
      unlock();
    }
    idempotencyKey = isFinal(error) ? newIdempotencyKey() : idempotencyKey;
    showError(error, rows, box);
  }

  async function press(event) {
    event.preventDefault();
    if (running) {
      return;
    }
    running = true;
    submit.disabled = true;
    try {
      if (await send()) {
        return; // the form has done its work: it stays off
      }
    } catch (error) {
      if (!(error instanceof ApiError)) {
        show(box, errorBox(asApiError(error)));
        throw error;
      }
      refused(error);
    }
    running = false;
    submit.disabled = false;
  }

  /* The second half of a double click agrees to nothing. */
  submit.addEventListener('click', (event) => {
    if (isReviewed && event.detail > 1) {
      event.preventDefault();
    }
  });
  change.hidden = true;
  const form = h('form', { class: 'form', novalidate: true, on: { submit: press } },
    spec.text ? h('p', null, spec.text) : null, fields, box,
    h('p', { class: 'buttons' }, submit, change, cancel ? button('Back', cancel) : null));
  form.isRunning = () => running;
  return form;
}

/* --------------------------------------------------------------------------------- dialogs */

function dialog(title, ...children) {
  const id = `dialog-${++serial}`;
  const box = h('dialog', { 'aria-labelledby': id }, h('h2', { id }, title), ...children);
  box.addEventListener('close', () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

const LEFT = 'left';

/* The person goes elsewhere: what a dialog would have led to does not come. */
export function closeDialogs() {
  document.querySelectorAll('dialog').forEach((one) => one.close(LEFT));
}

/* The form in a dialog, which is closed when it has done its work. */
export function openForm(spec) {
  const form = buildForm({
    ...spec,
    done: (result) => {
      if (!box.isConnected) { // the person has gone to another page meanwhile, and stays there
        note(`${spec.title}: done.`);
        return;
      }
      box.close();
      spec.done(result);
    },
  }, () => {
    if (!form.isRunning()) {
      box.close();
    }
  });
  const box = dialog(spec.title, form);
  box.addEventListener('cancel', (event) => {
    if (form.isRunning()) {
      event.preventDefault(); // the answer on its way must be seen
    }
  });
}

function copyField(label, text) {
  return h('input', { class: 'secret', readonly: true, value: text, 'aria-label': label });
}

async function copyFrom(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch { // it is there in secure contexts only, and where the person lets it
    document.execCommand('copy');
  }
  note('Copied.');
}

function copyButton(field) {
  return button('Copy', () => copyFrom(field));
}

/* For a text that is shown as it is: its field is there for a moment. */
export function copyTextButton(label, text) {
  const made = button(label, async () => {
    const field = copyField(label, text);
    made.after(field);
    await copyFrom(field);
    field.remove();
    made.focus();
  }, 'small');
  return made;
}

/* A text that is taken elsewhere. */
export function copyBox(label, text) {
  const field = copyField(label, text);
  return h('div', { class: 'copy' }, field, copyButton(field));
}

/* What is shown once. */
export function showSecret(title, text, secret, then) {
  const field = copyField(title, secret);
  const box = dialog(title, h('p', null, text), field, h('p', { class: 'buttons' },
    copyButton(field), button('I have it', () => box.close(), 'primary')));
  box.addEventListener('close', () => {
    field.value = '';
    if (box.returnValue !== LEFT) {
      then();
    }
  });
}

/* What a form is followed by: a word to the person, or one about the result; and the page anew, or
 * another one. */
export function sayAndReload(ctx, text) {
  return (result) => {
    note(typeof text === 'function' ? text(result) : text);
    ctx.reload();
  };
}

export function sayAndGo(ctx, text, address) {
  return () => {
    note(text);
    ctx.go(address);
  };
}

/* ------------------------------------------------------------------- fields of many forms */

export const currencyField = (value) => ({
  name: 'currency', label: 'Currency', kind: 'select', required: true, value: value || 'usd',
  options: currencyOptions(value && !CURRENCIES.includes(value) ? [value, ...CURRENCIES] : CURRENCIES),
});

/* In a currency that is known; `value` in the API's units. */
export const amountField = (currency, value, more) => ({
  name: 'amount', label: `Amount (${currency.toUpperCase()})`, kind: 'amount', required: true, currency,
  value: value === undefined ? '' : decimal(value, currency), ...more,
});

/* In the currency that the form's own field says. */
export const anyAmountField = (more) => ({
  name: 'amount', label: 'Amount', kind: 'amount', currency: 'currency', ...more,
});

export const descriptionField = (more) => ({
  name: 'description', label: 'Description', maximum: 1000, ...more,
});

export const metadataField = (object) => ({
  name: 'metadata', label: 'Metadata', kind: 'metadata', hint: 'key=value, one a line',
  value: metadataText(object.metadata), before: object.metadata,
});

/* Why something is given back or given up: the API's own reasons. */
export const reasonField = (name, more = []) => ({
  name, label: 'Reason', kind: 'select',
  options: [['', 'None'], ['requested_by_customer', 'Requested by the customer'],
    ['duplicate', 'Duplicate'], ['fraudulent', 'Fraudulent'], ...more],
});

/* Of an object that is new: there is nothing to clear. */
export function ofNew(fields) {
  return fields.map((field) => ({ ...field, clearable: false }));
}
