/* What happened to some objects: the events of each, oldest first. */
import { gather } from './api.js';
import { money, time } from './format.js';
import { empty, h, link } from './dom.js';

const AT_ONCE = 20; /* objects that one request names */
const EVENTS_MAX = 300;

function eventLine(event) {
  const object = event.data.object;
  /* Of a charge that is refunded its refund's line says how much. */
  const amount = object.amount === undefined || object.object === 'payment_intent' ||
    event.type === 'charge.refunded' ? '' : money(object.amount, object.currency);
  return h('li', null, time(event.created), ' ', link(`#/events/${event.id}`, event.type), ' ',
    amount, ' ', object.failure_message || '');
}

export async function timeline(ids, signal) {
  const events = [];
  let more = false;
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const found = await gather(
      { path: 'v1/events', params: { related_objects: ids.slice(at, at + AT_ONCE) } }, EVENTS_MAX, signal);
    events.push(...found.objects);
    more = more || found.more;
  }
  if (events.length === 0) {
    return empty('No events are kept of it.');
  }
  events.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
  return [
    more ? empty('Not all are shown: there are too many.') : null,
    h('ol', { class: 'timeline' }, events.map(eventLine)),
  ];
}
