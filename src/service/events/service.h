/*
 * What the files of the service share. Everything runs on the runtime's loop, but what is atomic.
 *
 *     an event is emitted ---> events_scope_changed (registry.c)
 *                                |  same transaction, if there is an endpoint
 *                                v
 *     dispatcher (dispatch.c): events behind the cursor become deliveries, the cursor moves
 *                                |
 *                                v
 *     worker of the endpoint (worker.c): takes what is due; when that is durable
 *                                |
 *                                v
 *     attempt (attempt.c): signed, sent through port/http.h; its end wakes the worker,
 *     which writes it down (settle.c) and takes the next
 */
#ifndef EVENTS_SERVICE_H
#define EVENTS_SERVICE_H

#include "documents.h"

#include "base/list.h"
#include "base/map.h"
#include "callback/secret.h"
#include "resource/event.h"
#include "trace/log.h"
#include "trace/span.h"

#include <stdatomic.h>

#define EVENTS_ANSWER_KEPT    1024 /* bytes of an answer's body in the log */
#define EVENTS_TARGETS_MAX    65536
#define EVENTS_SWEEP_NS       (500 * OS_NS_PER_MS)
#define EVENTS_RETRY_NS       (200 * OS_NS_PER_MS) /* after trouble of our own */
#define EVENTS_SIGNATURE_SIZE 192                  /* two v1 and a time */
#define EVENTS_USER_AGENT     "Tael/1.0 (webhooks)"
#define EVENTS_CONTENT_TYPE   "application/json; charset=utf-8"
/* Other processes look for another check row once in EVENTS_SWEEP_NS; until each has looked twice
 * one may be sealing with the key of before. */
#define EVENTS_FOLLOWED_NS (2 * EVENTS_SWEEP_NS)

struct events_scope;

/* An endpoint, as those who dispatch and deliver know it. */
struct events_target {
    struct list_link all; /* in events->targets */
    struct list_link in_scope;
    struct list_link waiting; /* in one of events->waiting: for room */
    struct events *events;
    struct events_scope *scope;
    char id[ID_TEXT_SIZE];
    int64_t number;
    uint32_t version; /* of the document that it was read from */
    bool enabled;
    bool removed;          /* its endpoint is deleted: what waits is canceled */
    bool has_turn;         /* it waited, and may begin attempts now */
    struct span *patterns; /* enabled_events; one allocation */
    uint32_t pattern_count;

    struct list in_flight;
    struct list finished; /* attempts that ended and are to be written down */
    /* Of the worker's operation, but not its memory: a process that ends in the middle of it frees
     * them with the target. */
    struct list settled;      /* finished ones that it writes down */
    struct list prepared;     /* to be sent when it is durable */
    uint32_t in_flight_count; /* prepared ones included */
    uint32_t window;          /* how many there may be; schedule.h */
    uint32_t failures;        /* in a row */
    uint64_t pause_until_ns;
    int64_t taken_due; /* nothing that is due before it waits for an attempt, unix ms */
    int64_t next_due;  /* of what waits, as the worker last saw it; 0: nothing */

    uint64_t ended_now; /* deliveries that the operation under way ends */
    bool working;       /* its worker runs */
    bool again;         /* and has to look again */
    struct os_timer timer;
};

struct events_scope {
    struct map_link link;
    struct events *events;
    uint64_t number;
    struct list targets;
    uint32_t enabled_count;
    uint32_t in_flight; /* of all of its targets */
    uint64_t bytes_in_flight;
    uint32_t seen_version; /* of its cursor, as this process saw it; shared.c */
    bool stale;            /* the endpoints are to be read again */
    bool reading;
    bool dirty; /* there may be events behind the cursor */
    /* Since when events wait to be dispatched durably, unix ms; 0: none. */
    int64_t waiting_since;
    bool dispatching;
};

struct events_attempt {
    struct list_link link; /* target->in_flight, then target->finished */
    struct port_http_request request;
    struct port_http_header headers[5];
    struct events_target *target;
    char delivery[EVENTS_DELIVERY_ID_SIZE];
    char event[ID_TEXT_SIZE];
    char signature[EVENTS_SIGNATURE_SIZE];
    size_t signature_size;
    struct span url;
    struct trace_span span; /* a trace of its own, linked to that which caused the event */
    char traceparent[TRACECONTEXT_PARENT_SIZE + 1];
    bool holds_room; /* it counts in what is under way */
    bool target_was_failing;
    int64_t began; /* unix seconds */
    size_t size;   /* of this block, which holds URL and body too */

    enum events_outcome outcome;
    unsigned status;
    int64_t duration_ms;
    bool cut;
    size_t answer_size;
    char answer[EVENTS_ANSWER_KEPT];
    char memory[]; /* url, host, body */
};

/* Every scope that there was, gone through one after the other. */
struct events_scopes {
    uint64_t *numbers;
    size_t count;
    size_t room;
    size_t at;
    bool failed; /* while they are listed: out of memory */
};

struct events_purge {
    struct events_scopes scopes;
    bool running;
    bool full; /* the last step found as much as it may remove */
};

/* keys.c; the pass is keys_pass.c's */
struct events_keys {
    struct callback_keys *all;
    char names[CALLBACK_KEYS_MAX][CALLBACK_KEY_NAME_SIZE];
    uint32_t check_version; /* of the row that says which one is in use, as last seen */

    /* The pass, and where it is: recipients of a type, behind one. */
    struct os_timer timer;
    struct events_scopes scopes;
    uint32_t type;
    char after[ID_TEXT_SIZE];
    struct recipient_seals seals; /* so far */
    bool begins;                  /* the next step is a pass's first */
    bool running;                 /* a step is under way */
    bool tells;                   /* unreadable secrets are logged */

    _Atomic uint32_t sealing_shown;
    _Atomic uint32_t under[CALLBACK_KEYS_MAX]; /* by the last pass */
    _Atomic uint32_t unreadable;
    _Atomic uint64_t anew;
    _Atomic bool rotating;
    _Atomic bool failing;
};

struct events {
    struct events_parts parts;
    struct resource_event_watch watch;
    struct resource_event_listener listener;
    struct resource_route *routes; /* the constant table, bound to this instance */
    struct events_keys keys;
    struct map scopes;
    struct list targets;
    uint32_t target_count;
    int64_t last_number; /* of an endpoint */

    struct list waiting[2]; /* targets that have no room; the second of those that fail */
    uint32_t in_flight;
    uint32_t in_flight_failing;
    uint64_t bytes_in_flight;
    uint64_t jitter; /* state of the generator of delays */

    struct os_timer sweep_timer;
    struct os_timer purge_timer;
    int64_t began_ms; /* what was created before is an earlier process's */
    struct events_purge purge;
    struct os_task drain_task;
    bool draining; /* the loop's */
    bool shared;   /* other processes work on the same documents */
    bool leads;    /* this one delivers; always, if they are not shared */

    _Atomic bool drain_heard;
    _Atomic uint64_t queued;
    _Atomic uint64_t in_flight_shown;
    _Atomic uint64_t overdue_ms;
    _Atomic uint64_t due_endpoints;
    _Atomic uint64_t lag_ms;
    _Atomic uint64_t enabled;
    _Atomic uint64_t created;
    _Atomic uint64_t given_up;
    _Atomic uint64_t disabled;
    _Atomic uint64_t damaged;
    _Atomic uint64_t outcomes[EVENTS_OUTCOME_COUNT];
};

int64_t events_now_ms(const struct events *events);
const struct events_schedule *events_schedule_of(const struct events *events, bool live);
uint64_t events_random(struct events *events);

/* A row that cannot be read is told of, and counted. */
void events_note_damaged(struct events *events, const char *kind, struct span id);

static inline void
events_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* --- registry.c: which endpoints there are --- */

/* Makes scopes and targets of what the documents hold, counts the queue, and makes sure that new
 * ids are behind every event that matters. Before the loop runs. */
MUST_USE err_t events_registry_open(struct events *events, uint64_t *ret_endpoint_count);
void events_registry_close(struct events *events);
/* NULL: no endpoint was ever made there. */
struct events_scope *events_scope_find(struct events *events, uint64_t number);
MUST_USE err_t
events_scope_get(struct events *events, uint64_t number, struct events_scope **ret_scope);
/* An endpoint was made, changed or deleted in the open transaction: takes effect with its commit,
 * before anybody is told of it. */
void events_scope_changed(struct events_scope *scope);
/* There may be events behind its cursor, from now on. */
void events_scope_soil(struct events_scope *scope);
/* Begins whatever the scope needs next: reading endpoints, dispatching. */
void events_scope_go_on(struct events_scope *scope);
struct events_target *events_target_find(struct events_scope *scope, struct span id);
/* Frees a target that is removed and has nothing left. */
void events_target_let_go(struct events_target *target);

/* --- dispatch.c --- */

/* One operation for the scope; sets scope->dispatching. */
void events_dispatch_start(struct events_scope *scope);
/* Moves the scope's cursor behind every event there is: deliveries begin with the next one. */
MUST_USE err_t events_cursor_to_now(struct resource_op *op);
/* Writes a new delivery, due now. */
MUST_USE err_t events_delivery_add(
    struct resource_op *op,
    struct events_target *target,
    const struct events_delivery *wanted, /* event, type, pending_webhooks */
    struct events_delivery **ret_delivery);
/* One whose row cannot be read, and is in the target's queue: written anew from its id, due now.
 * How often it was tried, and with which `pending_webhooks`, is lost. NULL: its event is not there,
 * or cannot be read either, and it was removed. */
MUST_USE err_t events_delivery_renew(
    struct resource_op *op,
    struct events_target *target,
    struct span id,
    struct events_delivery **ret_delivery);
/* For every endpoint of the scope that wants it; adds their number to *counter. */
MUST_USE err_t events_deliver(
    struct events_scope *scope,
    struct resource_op *op,
    struct span event_id,
    struct span type,
    _Atomic uint64_t *counter);
/* Hooks of resource/event.h. */
err_t events_watch_pending(
    void *context, struct resource_op *op, struct span event_id, int64_t *ret_count);
err_t events_watch_undelivered(
    void *context,
    struct resource_op *op,
    const struct document_query *bounds,
    bool (*each)(void *each_context, struct span event_id),
    void *each_context);

/* --- worker.c --- */

/* There may be something to do for the target. */
void events_work(struct events_target *target);
void events_work_timer(struct os_timer *timer);
/* A delivery is due at this time now. */
void events_target_note_due(struct events_target *target, int64_t due_ms);
/* There is room for another attempt: of this target, and of who waits for a turn. */
void events_worker_attempt_ended(struct events_target *target);

/* --- attempt.c --- */

/* Ready to be sent, and counted as under way; the body is copied. ERR_MEMORY; ERR_CORRUPT: the
 * secret was not sealed with our key. */
MUST_USE err_t events_attempt_create(
    struct events_target *target,
    const struct events_endpoint *endpoint,
    const struct events_delivery *delivery,
    struct span body,
    struct span caused_by, /* traceparent, as the event has it */
    struct events_attempt **ret_attempt);
void events_attempt_send(struct events_attempt *attempt);
void events_attempt_destroy(struct events_attempt *attempt);

/* --- settle.c --- */

/* Writes down how the attempt ended, in the delivery and in the endpoint (which the caller saves);
 * keeps the target's window and pauses. */
MUST_USE err_t events_settle(
    struct resource_op *op,
    struct events_target *target,
    struct events_endpoint *endpoint, /* NULL: it is deleted */
    struct events_attempt *attempt);
/* Ends a pending delivery without an attempt. */
MUST_USE err_t events_cancel(
    struct resource_op *op, struct events_target *target, struct events_delivery *delivery);
/* The same of one that cannot be sent: it stays undelivered, and is given up. */
MUST_USE err_t
events_fail(struct resource_op *op, struct events_target *target, struct events_delivery *delivery);
void events_delivery_set_due(struct events_delivery *delivery, int64_t number, int64_t due_ms);

/* --- shared.c: several processes on the same documents --- */

/* Hook of resource/event.h: the event's deliveries, in its transaction. */
err_t events_dispatch_at_once(
    void *context, struct resource_op *op, const struct resource_event *event);
/* An endpoint of the scope was made, changed or deleted by this operation: others shall see it. */
MUST_USE err_t events_endpoint_noted(struct resource_op *op);
/* Numbers that others have given to endpoints. */
MUST_USE err_t events_number_refresh(struct resource_op *op);
void events_shared_sweep(struct events *events);

/* --- keys.c: what seals the secrets --- */

/* Before the loop runs. The message says what is wrong with the file. */
MUST_USE err_t
events_keys_open(struct events *events, uint64_t endpoint_count, char message[EVENTS_MESSAGE_SIZE]);
void events_keys_start(struct events *events);
void events_keys_close(struct events *events);
/* Looks, in an operation of scope 0, which key is in use; another process may have rotated. */
MUST_USE err_t events_keys_follow(struct resource_op *op);
void events_keys_log(const struct events *events, enum trace_level level, const char *what);

/* --- keys_pass.c: every stored secret, and the key that it is under --- */

/* Once the keys are there. */
void events_keys_pass_init(struct events *events);
void events_keys_pass_release(struct events *events);
/* After the pause, from the first scope on, whatever was counted until now. */
void events_keys_pass_begin(struct events *events, uint64_t pause_ns);

/* --- purge.c --- */
void events_purge_timer(struct os_timer *timer);
/* Of all merchants, at their beginning. On an error it is empty. */
MUST_USE err_t events_scopes_list(struct events *events, struct events_scopes *scopes);
void events_scopes_free(struct events_scopes *scopes);

/* --- endpoint.c, delivery.c: the routes' handlers --- */
void events_endpoint_create(struct resource_op *op);
void events_endpoint_retrieve(struct resource_op *op);
void events_endpoint_update(struct resource_op *op);
void events_endpoint_delete(struct resource_op *op);
void events_endpoint_list(struct resource_op *op);
void events_endpoint_roll(struct resource_op *op);
void events_delivery_list_of_endpoint(struct resource_op *op);
void events_delivery_retrieve(struct resource_op *op);
void events_delivery_list_of_event(struct resource_op *op);
void events_delivery_resend(struct resource_op *op);

/* --- routes.c --- */
extern const struct resource_route events_route_table[];
extern const uint32_t events_route_count;

#endif
