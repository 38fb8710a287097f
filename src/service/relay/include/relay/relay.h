/*
 * The relay: every event there is, in order, to a broker (port/broker.h). README.md draws the flow
 * and numbers the invariants.
 *
 * It is a reader of the outbox like the dispatcher of webhooks: for each scope a cursor in the
 * documents says up to which event the broker has confirmed everything. The broker can be away for
 * as long as events are kept; then nothing is lost, only late.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "port/broker.h"
#include "resource/resource.h"

struct relay;

struct relay_settings {
    int64_t retry_first_ms; /* after the first failure, within it; doubling */
    int64_t retry_max_ms;
};

/* 200 ms, 30 s. */
struct relay_settings relay_settings_default(void);

struct relay_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct document_store *documents; /* the runtime's; used by relay_create only */
    struct port_broker *broker;
    struct relay_settings settings;
};

/* Before the loop runs. ERR_MEMORY, ERR_DATABASE. */
MUST_USE err_t relay_create(const struct relay_parts *parts, struct relay **ret_relay);
/* After the loop has stopped and the runtime was destroyed. Accepts NULL; sets NULL. */
void relay_destroy(struct relay **relay);

/* Begins with whatever is not confirmed. Before the loop runs, or on it. ERR_DATABASE. */
MUST_USE err_t relay_start(struct relay *relay);
/* Nothing new is published; what is under way ends. Any thread; the loop runs. */
void relay_drain(struct relay *relay);
/* The drain was heard, and nothing is under way. Any thread. */
bool relay_is_drained(const struct relay *relay);

/* The document kinds, for document_store_open. */
extern const struct document_kind *const relay_kinds[];
extern const uint32_t relay_kind_count;

struct relay_health {
    uint64_t published; /* events confirmed, since the start */
    uint64_t retries;   /* requests to the broker that failed, since the start */
    int64_t lag_s;      /* how long the oldest event that was read and not confirmed is there */
};

/* Any thread. */
struct relay_health relay_health(const struct relay *relay);

#endif
