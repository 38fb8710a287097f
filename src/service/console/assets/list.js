/*
 * Lists from a table: columns, filters, tabs, pages by cursor, and CSV of what is filtered.
 *
 *     { path, params, expand    what is asked; or source(filters), which answers these and may
 *                               have to ask first
 *       whole                   it is one page, without a limit
 *       columns                 {title, cell(object), csv(object)}
 *       filters                 fields as of a form, kept in the address
 *       tabs                    {name, options: [[value, text], ...]}: a filter, as tabs
 *       href(object)            the page of a row
 *       csv                     the file's name, if it can be exported
 *       none                    what is said when there is nothing at all
 *       empty }                 likewise, when nothing is as the filters say
 */
import { ApiError, getExpanded, next } from './api.js';
import { csvExporter } from './export.js';
import { button, empty, h, link, show } from './dom.js';
import { asApiError, errorBox } from './form.js';

const ROWS = 20;

function address(ctx, query) {
  const text = query.toString();
  return `#/${ctx.path.join('/')}${text ? `?${text}` : ''}`;
}

/* Filters that are set, from the address. */
function readFilters(ctx, spec) {
  const names = [...(spec.filters || []).map((field) => field.name)];
  if (spec.tabs) {
    names.push(spec.tabs.name);
  }
  const values = {};
  for (const name of names) {
    const value = (ctx.query.get(name) || '').trim();
    if (value !== '') {
      values[name] = value;
    }
  }
  return values;
}

function tabsNode(ctx, spec, filters) {
  const current = filters[spec.tabs.name] || '';
  return h('div', { class: 'tabs' }, spec.tabs.options.map(([value, text]) => {
    const query = new URLSearchParams(ctx.query);
    query.delete(spec.tabs.name);
    if (value !== '') {
      query.set(spec.tabs.name, value);
    }
    return h('a', { href: address(ctx, query), 'aria-current': value === current && 'page' }, text);
  }));
}

function filterNode(field, value, id) {
  if (field.kind === 'select') {
    return h('select', { id, name: field.name }, [['', 'Any'], ...field.options].map(([key, text]) =>
      h('option', { value: key, selected: key === value }, text)));
  }
  return h('input', {
    id, name: field.name, type: field.kind || 'text', value, placeholder: field.placeholder,
    autocomplete: 'off', spellcheck: 'false',
  });
}

function filtersNode(ctx, spec, filters) {
  const form = h('form', {
    class: 'filters', role: 'search', 'aria-label': 'Filter',
    on: {
      submit: (event) => {
        event.preventDefault();
        const query = new URLSearchParams();
        for (const [name, value] of new FormData(form)) {
          if (value.trim() !== '') {
            query.set(name, value.trim());
          }
        }
        if (spec.tabs && filters[spec.tabs.name]) {
          query.set(spec.tabs.name, filters[spec.tabs.name]);
        }
        ctx.go(address(ctx, query));
      },
    },
  }, spec.filters.map((field) => {
    const id = `filter-${field.name}`;
    return h('div', { class: 'field' }, h('label', { for: id }, field.label),
      filterNode(field, filters[field.name] || '', id));
  }), h('div', { class: 'buttons' }, h('button', { type: 'submit' }, 'Filter'),
    Object.keys(filters).length ? link(`#/${ctx.path.join('/')}`, 'Clear') : null));
  const isOpen = Object.keys(filters).length > 0 || window.matchMedia('(min-width: 48rem)').matches;
  return h('details', { class: 'filters-box', open: isOpen }, h('summary', null, 'Filters'), form);
}

function emptyText(spec, filters) {
  const isFiltered = Object.keys(filters).length > 0;
  return isFiltered || !(spec.filters || spec.tabs) ? spec.empty || 'There are none.'
    : spec.none || 'There are none yet.';
}

function rowNode(spec, object) {
  return h('tr', null, spec.columns.map((column, index) => {
    const content = column.cell(object);
    const href = index === 0 && spec.href ? spec.href(object) : null;
    return h('td', { 'data-label': column.title, class: column.kind },
      href ? link(href, content) : content);
  }));
}

export function table(spec, objects) {
  return h('div', { class: 'scroll' }, h('table', null,
    h('thead', null, h('tr', null, spec.columns.map((column) =>
      h('th', { scope: 'col', class: column.kind }, column.title)))),
    h('tbody', null, objects.map((object) => rowNode(spec, object)))));
}

export function tableOrNone(spec, objects) {
  return objects.length ? table(spec, objects) : empty(spec.none || 'None.');
}

/* Where a page's list was left: the history keeps it, so that going back leads there, and a reload. It is of
 * this address: what is answered when the person has gone on is not kept of the next page. */
function placeOf(spec) {
  if (spec.isPart) {
    return { cursor: {}, before: [], keep: () => {} };
  }
  const here = location.hash;
  const kept = history.state && history.state.here === here ? history.state : { cursor: {}, before: [] };
  return {
    cursor: kept.cursor,
    before: [...kept.before],
    keep: (cursor, before) => {
      if (location.hash === here) {
        history.replaceState({ here, cursor, before }, '');
      }
    },
  };
}

/* What is asked for the rows. */
async function sourceOf(spec, filters, signal) {
  const source = spec.source ? await spec.source(filters, signal)
    : { path: spec.path, params: spec.params, expand: spec.expand };
  return { ...source, whole: spec.whole };
}

/* The list's node; it fills itself. */
export function listView(ctx, spec) {
  const filters = readFilters(ctx, spec);
  const body = h('div', { class: 'rows', 'aria-live': 'polite', 'aria-busy': 'true' }, 'Loading...');
  const pages = h('div', { class: 'pages' });
  const exporter = spec.csv ? csvExporter(ctx, spec, (signal) => sourceOf(spec, filters, signal)) : null;
  const place = placeOf(spec);
  const { before } = place; // the cursors of the pages before this one

  async function load(cursor) {
    body.setAttribute('aria-busy', 'true');
    try {
      const source = await sourceOf(spec, filters, ctx.signal);
      const ask = { ...source.params, ...(spec.whole ? {} : { limit: source.limit || ROWS }), ...cursor };
      const answer = await getExpanded(source.path, ask, source.expand || [], ctx.signal);
      const objects = source.map ? source.map(answer.data) : answer.data;
      show(body, objects.length ? table(spec, objects) : empty(emptyText(spec, filters)));
      show(pages, pager(answer, cursor));
      place.keep(cursor, before);
    } catch (error) {
      if (ctx.signal.aborted) {
        return;
      }
      show(pages, before.length ? firstPage() : null);
      show(body, errorBox(asApiError(error)), button('Try again', () => load(cursor)));
      if (!(error instanceof ApiError)) {
        throw error;
      }
    }
    body.removeAttribute('aria-busy');
  }

  function firstPage() {
    return button('First page', () => {
      before.length = 0;
      load({});
    });
  }

  function pager(answer, cursor) {
    return [
      before.length ? button('Newer', () => load(before.pop())) : null,
      answer.has_more ? button('Older', () => {
        before.push(cursor);
        load(next(answer));
      }) : null,
      before.length > 1 ? firstPage() : null,
      answer.data.length ? exporter : null,
    ];
  }

  load(place.cursor);
  return h('div', { class: 'list' },
    spec.tabs ? tabsNode(ctx, spec, filters) : null,
    spec.filters ? filtersNode(ctx, spec, filters) : null,
    body, pages);
}

/* A list on another object's page: the address is that page's, so nothing of it is a filter. */
export function listPart(ctx, spec) {
  return listView({ ...ctx, query: new URLSearchParams() }, { empty: 'None.', isPart: true, ...spec });
}

/* A whole page: a heading, what can be begun here, and the list. */
export function listPage(ctx, spec) {
  ctx.title(spec.title, ...(spec.actions || []));
  ctx.main.append(...(spec.text ? [h('p', { class: 'lead' }, spec.text)] : []), listView(ctx, spec));
}
