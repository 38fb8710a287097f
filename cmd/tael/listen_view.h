/* What `tael listen` prints: lines for people, or one JSON object a line. */
#ifndef TAEL_LISTEN_VIEW_H
#define TAEL_LISTEN_VIEW_H

#include "net/client.h"

/* The first line: with what everything is signed. */
void listen_view_ready(bool json, struct span secret);
/* For people: an event, and what it was answered with. */
void listen_view_event(struct span type, struct span id);
void listen_view_answer(const char *url, const struct net_call *call, struct span id);
/* Both as JSON; `call` is NULL if it was not sent anywhere. */
void listen_view_json(
    const char *url, const struct net_call *call, struct span type, struct span id);

#endif
