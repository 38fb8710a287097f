/* Which events an endpoint wants: "charge.succeeded", "charge.*", "*". Pure; any thread. */
#ifndef EVENTS_FILTER_H
#define EVENTS_FILTER_H

#include "base/span.h"

/* A name of the table in filter.c, a wildcard that at least one of them matches, or "*". */
bool events_filter_is_known(struct span pattern);
/* The names, in the order of bytes; NULL behind the last. */
const char *events_filter_name(size_t index);
bool events_filter_matches(struct span pattern, struct span type);

#endif
