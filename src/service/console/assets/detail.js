/*
 * One object: what is known of it, what can be done with it, and what belongs to it.
 *
 *     { load(signal)         answers the object
 *       title(object)        the heading
 *       status(object)       a word for its badge
 *       facts(object)        [[name, value], ...]; what is empty is left out
 *       actions              [{text, when(object), danger, form(object) | link(object)}]
 *       sections             [[heading, async (object) => node, or null: there is no such part], ...] }
 */
import { ApiError } from './api.js';
import { badge } from './format.js';
import { button, empty, h, link, show } from './dom.js';
import { asApiError, copyTextButton, errorBox, openForm, sayAndReload } from './form.js';

export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== '' && value !== null && value !== undefined);
  return known.length === 0 ? empty('None.')
    : h('dl', { class: 'facts' }, known.map(([name, value]) =>
      h('div', null, h('dt', null, name), h('dd', null, value))));
}

export const metadataSection = ['Metadata', (object) => facts(Object.entries(object.metadata || {}))];

export function json(object) {
  return h('pre', { class: 'json', tabindex: '0' }, JSON.stringify(object, null, 2));
}

function actionNode(ctx, action, object) {
  if (action.link) {
    return link(action.link(object), action.text);
  }
  return button(action.text, () => {
    const form = action.form(object);
    openForm({
      title: action.text, submit: action.text, danger: action.danger, fields: [], ...form,
      done: form.done || sayAndReload(ctx, form.said || 'Done.'),
    });
  }, action.danger ? 'danger' : '');
}

/* A part of a page that may be refused by itself: what the key may not see does not hide the rest. */
export function section(ctx, heading, fill) {
  const body = h('div', null, 'Loading...');
  const node = h('section', null, h('h2', null, heading), body);
  (async () => {
    try {
      const filled = await fill();
      if (filled === null) {
        node.remove();
      } else {
        show(body, filled);
      }
    } catch (error) {
      if (ctx.signal.aborted) {
        return;
      }
      show(body, errorBox(asApiError(error)));
      if (!(error instanceof ApiError)) {
        throw error;
      }
    }
  })();
  return node;
}

export async function detailPage(ctx, spec) {
  const object = await spec.load(ctx.signal);
  const actions = (spec.actions || []).filter((one) => !one.when || one.when(object));
  ctx.title(spec.title(object), ...actions.map((action) => actionNode(ctx, action, object)));
  ctx.main.append(
    h('p', { class: 'under' }, spec.status ? badge(spec.status(object)) : null, ' ',
      object.id ? [h('code', null, object.id), ' ', copyTextButton('Copy id', object.id)] : null),
    facts(spec.facts(object)),
    ...(spec.sections || []).filter(Boolean).map(([heading, fill]) =>
      section(ctx, heading, () => fill(object))),
    h('details', null, h('summary', null, 'As JSON'),
      copyTextButton('Copy JSON', JSON.stringify(object, null, 2)), json(object)));
  return object;
}
