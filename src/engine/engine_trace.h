/* Spans of ledger requests: how long one waited, was applied, and was written by its group. */
#ifndef ENGINE_TRACE_H
#define ENGINE_TRACE_H

#include "port/ledger.h"

/* It changes something: its group is written. */
bool engine_trace_creates(const struct port_ledger_request *request);
/* The request is about to be answered. `sent_ns` is when its group went to the journal; 0: it has
 * waited for none. A group has `group_count` requests, and each of them these spans. */
void engine_trace_request(
    const struct port_ledger_request *request, uint64_t sent_ns, uint32_t group_count);

#endif
