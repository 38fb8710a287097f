/*
 * Who is signed in: an API key, in this tab's sessionStorage and nowhere else (CONSOLE-1). Another
 * tab asks again; closing the tab, signing out, half an hour without a hand on it or half a day with one
 * forgets it.
 */

const KEY = 'tael.key';
const SINCE = 'tael.since';
const TOUCHED = 'tael.touched';

export const IDLE_MINUTES = 30;
export const WHOLE_HOURS = 12;
const MINUTE_MS = 60 * 1000;
const IDLE_MS = IDLE_MINUTES * MINUTE_MS;
const WHOLE_MS = WHOLE_HOURS * 60 * MINUTE_MS;
/* So long before nobody is taken to be there, whoever is may say so. */
const WARNED_MS = 2 * MINUTE_MS;

export function key() {
  return sessionStorage.getItem(KEY);
}

export function signIn(text) {
  sessionStorage.setItem(KEY, text);
  sessionStorage.setItem(SINCE, String(Date.now()));
  touch();
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(SINCE);
  sessionStorage.removeItem(TOUCHED);
}

/* A person did something; what a page asks by itself does not count. */
export function touch() {
  if (key() !== null) {
    sessionStorage.setItem(TOUCHED, String(Date.now()));
  }
}

/* Since that moment; for ever, where it is not known. */
function passedMs(moment) {
  return Date.now() - Number(sessionStorage.getItem(moment) || 0);
}

export function isIdle() {
  return key() !== null && passedMs(TOUCHED) > IDLE_MS;
}

export function isNearlyIdle() {
  return key() !== null && passedMs(TOUCHED) > IDLE_MS - WARNED_MS;
}

export function isOver() {
  return key() !== null && passedMs(SINCE) > WHOLE_MS;
}

export function isTest() {
  return /^[sr]k_test_/.test(key() || '');
}

export function isRestricted() {
  return (key() || '').startsWith('rk_');
}

/* What may be shown of the key. */
export function hint() {
  const text = key() || '';
  return `${text.slice(0, 8)}...${text.slice(-4)}`;
}
