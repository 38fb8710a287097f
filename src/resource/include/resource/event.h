/*
 * Events, for whoever delivers them: rows in the order of their ids, which no later event can come
 * before, and a watch that is told when there are new ones.
 *
 * RESOURCE-5 makes the rows; an operation that is refused after it emitted takes its own back, so
 * a watch may have seen an event that is not there in the end.
 */
#ifndef RESOURCE_EVENT_H
#define RESOURCE_EVENT_H

#include "base/list.h"
#include "resource/object.h"

/* The version that an event's object is shown in when the request named none. */
#define RESOURCE_API_VERSION    "2026-08-26.dahlia"
#define RESOURCE_EVENT_TYPE_MAX 128 /* bytes of a type's name */

struct resource_event {
    struct resource_header header;
    struct span type;
    struct span related_object; /* the id of the object; empty in rows of before it was written */
    struct span api_version;
    struct span request_id;
    struct span idempotency_key;
    struct span object;   /* JSON */
    struct span previous; /* JSON */
    struct span trace;    /* traceparent of what caused it; not shown */
    /* Not stored. What to show instead of asking the watch, if there is a body to be repeated. */
    bool pending_is_given;
    int64_t pending_webhooks;
};

enum {
    RESOURCE_EVENT_TYPE_COLUMN,
    RESOURCE_EVENT_RELATED_COLUMN
};

extern const struct resource_type resource_event_type;

/* Who wants to know of new events. On the runtime's loop. */
struct resource_event_listener {
    struct list_link link; /* the runtime's */
    void *context;
    /* An event was written in this scope. May start an internal operation, which then finds it,
     * usually in the same transaction. Must not write itself. */
    void (*emitted)(void *context, uint64_t scope);
};

/* Before the loop runs; the listener lives until the runtime is destroyed, or its loop stopped. */
void resource_listen_events(
    struct resource_runtime *runtime, struct resource_event_listener *listener);

/* What is known of an event's webhooks. Hooks on the runtime's loop; each may read through the
 * operation, none but `written` may write. */
struct resource_event_watch {
    void *context;
    /* An event was written, by this operation: what the hook writes lives and dies with it. An
     * error is the operation's. NULL: nobody cares. */
    err_t (*written)(void *context, struct resource_op *op, const struct resource_event *event);
    /* How many webhooks of the event were not delivered (yet). */
    err_t (*pending)(
        void *context, struct resource_op *op, struct span event_id, int64_t *ret_count);
    /* Visits the ids of events that were not delivered to everybody, in the order of ids and within
     * the bounds and the limit of `bounds`; one event may come several times in a row. */
    err_t (*undelivered)(
        void *context,
        struct resource_op *op,
        const struct document_query *bounds,
        bool (*each)(void *each_context, struct span event_id),
        void *each_context);
};

/* One watch; before the loop runs. NULL: none any more, once it has stopped. */
void resource_watch_events(
    struct resource_runtime *runtime, const struct resource_event_watch *watch);

/* The event as GET /v1/events/:id shows it, but in this version and with this number of pending
 * webhooks; in the arena, empty if that is full. */
struct span resource_event_text(
    struct resource_op *op,
    const struct resource_event *event,
    struct span api_version,
    int64_t pending_webhooks);
/* Whether an event of this type was ever emitted. */
bool resource_event_type_is_known(struct resource_runtime *runtime, struct span type);

/* Ids made from now on are greater than this one: for those whose order rests on ids, after a
 * restart with a clock that went back. On the loop, or before it runs. */
void resource_ids_above(struct resource_runtime *runtime, u128 id);

/* As resource_find, without decoding: each row is borrowed until `each` returns, which may read
 * others. */
MUST_USE err_t resource_scan_rows(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query, /* the scope is filled in unless all_scopes */
    document_each each,
    void *context);

#endif
