/*
 * The server's parts.
 *
 *     server.c        who may ask, in what time, and what; answers
 *     server_ports.c  each service's requests, handed to its port
 *
 * A request's memory is its exchange's arena, which net wipes with the body when it was answered.
 */
#ifndef REMOTE_SERVER_PRIVATE_H
#define REMOTE_SERVER_PRIVATE_H

#include "remote/server.h"
#include "tables.h"

#include <stdatomic.h>

#define REMOTE_SERVER_COUNTER_COUNT (sizeof(struct remote_server_counters) / sizeof(uint64_t))

struct remote_server {
    struct remote_server_parts parts;
    _Atomic uint64_t counters[REMOTE_SERVER_COUNTER_COUNT];
};

#define REMOTE_SERVER_COUNT(server, name, n)                                                       \
    atomic_fetch_add_explicit(                                                                     \
        &(server)->counters[offsetof(struct remote_server_counters, name) / sizeof(uint64_t)],     \
        (uint64_t)(n),                                                                             \
        memory_order_relaxed)

/* One request, understood so far. In the exchange's arena. */
struct remote_asked {
    struct remote_server *server;
    struct net_exchange *exchange;
    enum remote_service service;
    uint32_t version; /* that the requester speaks */
    struct span operation;
    uint64_t deadline_ns;   /* monotonic: the requester's */
    struct trace_span span; /* records nothing if nobody follows */
    struct trace_context trace;
};

/* Hands the request to its port; it is answered later. Anything but ERR_OK: it was not, for the
 * reason *ret_problem. ERR_UNSUPPORTED: no such operation, ERR_INVALID, ERR_MEMORY. */
MUST_USE err_t remote_server_serve(struct remote_asked *asked, const char **ret_problem);

/* The ends of a request that was handed to a port. `error` is what the port said. */
void remote_server_answer_error(struct remote_asked *asked, err_t error);
/* ERR_MOVED: by a shard whose map has this epoch. */
void remote_server_answer_moved(struct remote_asked *asked, uint64_t epoch);
void remote_server_answer_object(
    struct remote_asked *asked, const struct remote_table *table, const void *object);
/* What is in answer.body already. */
void remote_server_answer_records(struct remote_asked *asked);

#endif
