/*
 * Who is signed in: an API key, in this tab's sessionStorage and nowhere else (CONSOLE-1). Another
 * tab asks again; closing the tab, signing out or half an hour without a hand on it forgets it.
 */

const KEY = 'tael.key';
const TOUCHED = 'tael.touched';

export const IDLE_MINUTES = 30;
const IDLE_MS = IDLE_MINUTES * 60 * 1000;

export function key() {
  return sessionStorage.getItem(KEY);
}

export function signIn(text) {
  sessionStorage.setItem(KEY, text);
  touch();
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(TOUCHED);
}

/* A person did something; what a page asks by itself does not count. */
export function touch() {
  if (key() !== null) {
    sessionStorage.setItem(TOUCHED, String(Date.now()));
  }
}

export function isIdle() {
  return key() !== null && Date.now() - Number(sessionStorage.getItem(TOUCHED) || 0) > IDLE_MS;
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
