/*
 * What a list shows, as a file of comma-separated values (RFC 4180): all pages of it, made in the
 * browser. It begins with the mark by which spreadsheets know UTF-8.
 */
import { ApiError, gather } from './api.js';
import { button, h, show } from './dom.js';
import { asApiError } from './form.js';

const ROWS_MAX = 10000; // CONSOLE-6
const COUNT = new Intl.NumberFormat();

/*
 * CONSOLE-5. A spreadsheet takes a cell that begins so for a formula, which may send the others away:
 * an apostrophe before it makes it a text. Where cells are separated by semicolons, as in many countries,
 * one begins behind each of those, and a row behind each end of a line. Numbers are left as they are.
 */
function defused(text) {
  if (/^-?\d+(\.\d+)?$/.test(text)) {
    return text;
  }
  const mended = text.replace(/(^|[;\t\r\n])(["\s]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g, "$1'$2");
  return /^[\t\r\n]/.test(mended) ? `'${mended}` : mended;
}

function cell(value) {
  const text = defused(value === null || value === undefined ? '' : String(value));
  return /[",;\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(titles, rows) {
  return [titles, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/csv;charset=utf-8' }));
  const anchor = h('a', { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/* A column's own in the file: under its title, or several under names of their own. */
function columnsOf(spec) {
  return spec.columns.flatMap((column) => column.csvs || (column.csv ? [[column.title, column.csv]] : []));
}

async function save(spec, source, signal, onPage) {
  const { objects, more } = await gather(source, ROWS_MAX, signal, onPage);
  const rows = source.map ? source.map(objects) : objects;
  const columns = columnsOf(spec);
  download(`${spec.csv}.csv`, csv(columns.map(([title]) => title),
    rows.map((object) => columns.map(([, value]) => value(object)))));
  return more ? `The file has the newest ${COUNT.format(ROWS_MAX)} only: filter for the others.`
    : `Saved: ${COUNT.format(rows.length)} ${rows.length === 1 ? 'row' : 'rows'}.`;
}

/* A button that saves the list, and while it does so one that stops it. spec: csv (the file's name), columns;
 * sourceOf(signal): what gather takes, and map(objects) to the rows if they are others. */
export function csvExporter(ctx, spec, sourceOf) {
  const said = h('span', { role: 'status' });
  const count = h('span'); // not read out: it changes with each page
  let stop = null;

  const start = async () => {
    stop = new AbortController();
    show(said);
    show(count, 'Asking...');
    toggle.textContent = 'Stop';
    const signal = AbortSignal.any([ctx.signal, stop.signal]);
    try {
      show(said, await save(spec, await sourceOf(signal), signal, (rows) =>
        show(count, `${COUNT.format(rows)} rows, of ${COUNT.format(ROWS_MAX)} at most`)));
    } catch (error) {
      show(said, stop.signal.aborted ? 'Stopped: there is no file.'
        : `There is no file. ${asApiError(error).message}`);
      if (!(error instanceof ApiError) && !signal.aborted) {
        throw error;
      }
    } finally {
      stop = null;
      show(count);
      toggle.textContent = 'Export CSV';
    }
  };
  const toggle = button('Export CSV', (event) => {
    if (stop === null) {
      return start();
    }
    if (event.detail <= 1) { // the second half of a double click stops nothing
      stop.abort();
    }
    return null;
  });
  return h('span', null, toggle, ' ', count, said);
}
