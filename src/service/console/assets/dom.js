/*
 * Elements are built here and nowhere else. What the API answers holds texts that a merchant's
 * customers wrote: they become text nodes and attribute values, never markup (CONSOLE-3).
 */

function append(node, child) {
  if (child === null || child === undefined || child === false) {
    return;
  }
  if (Array.isArray(child)) {
    child.forEach((one) => append(node, one));
  } else {
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

// Addresses that a link may lead to: pages of the console, and the web. No `javascript:`.
function isSafeAddress(address) {
  return address.startsWith('#/') || /^https?:\/\//i.test(address) || address.startsWith('blob:');
}

/* An element. In `props`: attributes, and `on: {click: function}`. False and null leave one out. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) {
        node.addEventListener(type, listener);
      }
    } else if (value !== false && value !== null && value !== undefined) {
      if (/^on|^style$|^srcdoc$/i.test(name) || (name === 'href' && !isSafeAddress(value))) {
        throw new Error(`attribute ${name} is refused`);
      }
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  append(node, children);
  return node;
}

export function show(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

export function link(address, ...children) {
  return h('a', { href: address }, ...children);
}

/* To another site, or another of this server's pages. */
export function outward(address, ...children) {
  return /^https?:\/\//i.test(address)
    ? h('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, ...children)
    : h('span', null, address);
}

export function button(text, onClick, kind) {
  return h('button', { type: 'button', class: kind, on: { click: onClick } }, text);
}

/* What is said where something could be, and is not. */
export function empty(text) {
  return h('p', { class: 'empty' }, text);
}

/* A word to the person, which goes by itself. */
export function note(text) {
  const line = h('p', { class: 'note' }, text);
  document.getElementById('notes').append(line);
  setTimeout(() => line.remove(), 8000);
}
