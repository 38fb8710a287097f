/*
 * Calls of the API, which is the same one that everybody else uses. Nothing here knows more than
 * the key may.
 */
import * as session from './session.js';

const TIMEOUT_MS = 70000;
const PAGE = 100;
/* What was refused for a while is asked for again after these. */
const PAUSES_MS = [1000, 2000, 4000, 8000];

export class ApiError extends Error {
  constructor(message, more) {
    super(message);
    Object.assign(this, { status: 0, code: null, param: null, requestId: null, lost: false }, more);
  }

  /* The key is good, and may not do this. */
  get forbidden() {
    return this.status === 403;
  }

  /* The permission that it lacks, such as balance:read. The message names it. */
  get lacks() {
    return this.forbidden ? (/'(\w+:(?:read|write))'/.exec(this.message) || [])[1] : undefined;
  }
}

let onSignedOut = () => {};

export function whenRefused(listener) {
  onSignedOut = listener;
}

/* "/v1/customers/cus_1": parts are names and ids, so that none of them leads elsewhere. */
export function at(...parts) {
  for (const part of parts) {
    if (!/^[A-Za-z0-9_-]+$/.test(part)) {
      throw new ApiError(`'${String(part).slice(0, 60)}' is no id.`);
    }
  }
  return `v1/${parts.join('/')}`;
}

function addParam(form, name, value) {
  if (value === undefined || value === null) {
    return;
  }
  if (Array.isArray(value)) {
    value.forEach((one) => addParam(form, `${name}[]`, one));
  } else if (typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) {
      addParam(form, `${name}[${key}]`, inner);
    }
  } else {
    form.append(name, String(value));
  }
}

function encode(params) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params || {})) {
    addParam(form, name, value);
  }
  return form;
}

async function refusal(answer) {
  let error = {};
  try {
    error = (await answer.json()).error || {};
  } catch {
    error = { message: `The server answered ${answer.status}, and not in JSON.` };
  }
  return new ApiError(error.message || `The server answered ${answer.status}.`, {
    status: answer.status,
    code: error.code || null,
    declineCode: error.decline_code || null,
    type: error.type || null,
    param: error.param || null,
    paymentIntent: error.payment_intent || null,
    requestId: answer.headers.get('Request-Id'),
  });
}

function lost(cause, request, signal) {
  if (signal && signal.aborted) {
    return cause;
  }
  return request.method === 'GET'
    ? new ApiError('No answer came. Is the server there?')
    : new ApiError('No answer came. It is not known whether the request was carried out.', {
      lost: true,
    });
}

async function send(url, request, signal) {
  try {
    const answer = await fetch(url, request);
    return answer.ok ? await answer.json() : await refusal(answer);
  } catch (cause) {
    throw lost(cause, request, signal);
  }
}

/* The answer's object; throws an ApiError. `more`: idempotencyKey, signal, key (instead of the one
 * that is signed in). */
export async function call(method, path, params, more = {}) {
  const url = new URL(`../${path}`, document.baseURI);
  const form = encode(params);
  const headers = { Authorization: `Bearer ${more.key || session.key()}` };
  const request = {
    method, headers, cache: 'no-store', credentials: 'omit', redirect: 'error',
    signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(more.signal ? [more.signal] : [])]),
  };
  if (method === 'POST') {
    headers['Idempotency-Key'] = more.idempotencyKey || newIdempotencyKey();
    headers['Content-Type'] = 'application/x-www-form-urlencoded';
    request.body = form.toString();
  } else {
    url.search = form.toString();
  }
  const answer = await send(url, request, more.signal);
  if (answer instanceof ApiError) {
    if (answer.status === 401 && !more.key) {
      onSignedOut('This key is not accepted any more. Sign in again.');
    }
    throw answer;
  }
  return answer;
}

export function get(path, params, signal) {
  return call('GET', path, params, { signal });
}

/* What is left to expand when this was refused. The message has the path in parentheses; should it
 * not, the last one is left out, so the list has what is wanted most first. */
function without(expand, error) {
  const named = (/\(([\w.]+)\)/.exec(error.message) || [])[1];
  const left = expand.filter((path) => path !== named && !path.startsWith(`${named}.`));
  return left.length < expand.length ? left : expand.slice(0, -1);
}

/* With references as objects; as ids where the key may not see those objects. */
export async function getExpanded(path, params, expand, signal) {
  try {
    return await get(path, { ...params, expand }, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.forbidden || expand.length === 0) {
      throw error;
    }
    return getExpanded(path, params, without(expand, error), signal);
  }
}

export function post(path, params, idempotencyKey) {
  return call('POST', path, params, { idempotencyKey });
}

export function remove(path) {
  return call('DELETE', path, null);
}

/* randomUUID is there in secure contexts only; these bytes are there everywhere. */
export function newIdempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/* Ends early when the signal does. */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

/* One page among many: a server that is busy, or that this key asks too often, does not end it all. */
async function patiently(ask, signal) {
  for (const pause of PAUSES_MS) {
    try {
      return await ask();
    } catch (error) {
      const isPassing = error instanceof ApiError && (error.status === 429 || error.status >= 500);
      if (!isPassing) {
        throw error;
      }
    }
    await sleep(pause, signal);
    signal.throwIfAborted();
  }
  return ask();
}

/* CONSOLE-6: the first `bound` objects of a list or a search, by pages; `more`: there are others
 * behind. `source`: path, params, expand; whole: there are no pages. onPage is told how many there are. */
export async function gather(source, bound, signal, onPage = () => {}) {
  const { path, params, expand = [], whole } = source;
  const limit = whole ? {} : { limit: Math.min(PAGE, bound) };
  const objects = [];
  let page = {};
  for (;;) {
    const asked = { ...params, ...page, ...limit };
    const answer = await patiently(() => getExpanded(path, asked, expand, signal), signal);
    objects.push(...answer.data);
    onPage(Math.min(objects.length, bound));
    if (!answer.has_more || answer.data.length === 0 || objects.length >= bound) {
      return { objects: objects.slice(0, bound), more: answer.has_more || objects.length > bound };
    }
    page = next(answer);
  }
}

/* The parameters of the page behind this one. */
export function next(answer) {
  return answer.object === 'search_result'
    ? { page: answer.next_page }
    : { starting_after: answer.data[answer.data.length - 1].id };
}

/* A text of the search language. */
export function quoted(text) {
  return `"${String(text).replace(/[\\"]/g, '\\$&')}"`;
}
