/*
 * Several processes on the same documents.
 *
 * Dispatching: ids of events that two processes make are not in the order of their commits, so a
 * cursor could pass one that is not there yet. Instead, whoever emits an event writes its
 * deliveries in the same transaction: they are there together, or not at all (EVENTS-1, EVENTS-2).
 *
 * Which endpoints there are: each change of one writes the scope's cursor too, whose versions every
 * process looks at twice a second. The answer to the making of one is held for as long as two looks
 * take: an event within that time may miss it, but nothing that happens behind the answer is lost.
 *
 * Delivering: one process does, until its connection to the database ends. Twice a second it looks
 * for what others have put into the queues.
 */
#include "service.h"

#define WORK "webhooks"
/* What others have put into a queue is not due longer than that. */
#define BACK_MS 60000

/* ------------------------------------------------------------------------------------ dispatching
 */

err_t
events_dispatch_at_once(void *context, struct resource_op *op, const struct resource_event *event)
{
    struct events *events = context;
    struct events_scope *scope = events_scope_find(events, event->header.scope);
    if (scope == NULL || scope->enabled_count == 0) {
        return ERR_OK;
    }
    return events_deliver(scope, op, event->header.id, event->type, &events->created);
}

/* --------------------------------------------------------------------------------------- endpoints
 */

err_t
events_endpoint_noted(struct resource_op *op)
{
    const struct events *events = resource_op_service(op);
    return events->shared ? events_cursor_to_now(op) : ERR_OK;
}

static bool
newest_number(void *context, const struct document_row *row)
{
    struct events *events = context;
    int64_t number = row->columns[EVENTS_ENDPOINT_NUMBER].integer;
    if (number > events->last_number) {
        events->last_number = number;
    }
    return false;
}

err_t
events_number_refresh(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    if (!events->shared) {
        return ERR_OK;
    }
    struct document_query newest = {
        .all_scopes = true,
        .range_column = EVENTS_ENDPOINT_NUMBER,
        .range_min = 1,
        .range_max = INT64_MAX,
        .limit = 1,
    };
    TRY(resource_scan_rows(op, &events_endpoint_type, &newest, newest_number, events));
    return resource_scan_rows(op, &events_deleted_endpoint_type, &newest, newest_number, events);
}

/* -------------------------------------------------------------------------------------- the sweep
 */

struct look {
    struct events *events;
    err_t error;
};

static bool
see_cursor(void *context, const struct document_row *row)
{
    struct look *look = context;
    struct events_scope *scope;
    look->error = events_scope_get(look->events, row->scope, &scope);
    if (look->error == ERR_OK && scope->seen_version != row->version) {
        scope->seen_version = row->version;
        scope->stale = true;
        events_scope_go_on(scope);
    }
    return look->error == ERR_OK;
}

static void
look_for_changes(struct resource_op *op)
{
    struct look look = {.events = resource_op_service(op)};
    struct document_query query = {
        .all_scopes = true,
        .range_column = EVENTS_CURSOR_ACTIVE,
        .range_min = 1,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = UINT32_MAX,
    };
    err_t result = resource_scan_rows(op, &events_cursor_type, &query, see_cursor, &look);
    if (result == ERR_OK) {
        result = look.error;
    }
    if (result == ERR_OK) {
        result = events_keys_follow(op);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "looking for changed webhook endpoints");
        return;
    }
    resource_finish(op);
}

void
events_shared_sweep(struct events *events)
{
    bool led = events->leads;
    events->leads = resource_leads(events->parts.runtime, WORK);
    /* Trouble is met again by the next sweep. */
    if (resource_start_internal(events->parts.runtime, 0, events, look_for_changes, NULL) !=
        ERR_OK) {
        return;
    }
    if (!events->leads) {
        return;
    }
    int64_t from = led ? events_now_ms(events) - BACK_MS : 0;
    LIST_FOREACH_SAFE (&events->targets, link) {
        events_target_note_due(CONTAINER_OF(link, struct events_target, all), from);
    }
}
