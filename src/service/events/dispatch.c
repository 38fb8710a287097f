/*
 * The dispatcher: what became of the scope's events since its cursor, in the order of their ids,
 * becomes deliveries for the endpoints that want them. Deliveries and cursor are one transaction,
 * so nothing is lost and nothing is made twice, whenever the process dies (EVENTS-1, EVENTS-2).
 *
 * It runs right behind the operation that emitted, usually in the same group: then the event is
 * durable together with its deliveries. An event that its operation takes back afterwards leaves a
 * delivery of nothing, which the worker removes.
 */
#include "service.h"

#include "events/filter.h"

#include "base/assert.h"

#include <string.h>

/* Events of one look, and looks of one operation. */
#define EVENTS_AT_ONCE 100
#define LOOKS_MAX      20

struct dispatch {
    struct events_scope *scope;
    struct resource_op *op;
    struct events_cursor *cursor;
    struct span ids[EVENTS_AT_ONCE];
    struct span types[EVENTS_AT_ONCE];
    uint32_t count;
    uint32_t looks;
    _Atomic uint64_t added; /* deliveries */
    int64_t began;          /* unix ms: whatever was emitted before it is looked at */
    bool more;              /* than one operation looks at */
    bool done;
    err_t error;
};

static bool
wants(const struct events_target *target, struct span type)
{
    for (uint32_t i = 0; target->enabled && i < target->pattern_count; i++) {
        if (events_filter_matches(target->patterns[i], type)) {
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------------------------- deliveries */

/* Due now, whatever it was. */
static err_t
begin(
    struct resource_op *op,
    struct events_target *target,
    const struct events_delivery *wanted,
    struct events_delivery *delivery)
{
    struct events *events = target->events;
    int64_t now = events_now_ms(events);
    delivery->event = wanted->event;
    delivery->type = wanted->type;
    delivery->pending_webhooks = wanted->pending_webhooks;
    delivery->endpoint = span_from_cstr(target->id);
    delivery->status = SPAN("pending");
    delivery->undelivered = 1;
    delivery->expires = now + events_schedule_of(events, delivery->header.livemode)->for_ms;
    events_delivery_set_due(delivery, target->number, now);
    TRY(resource_save(op, &events_delivery_type, delivery));
    events_target_note_due(target, now);
    return ERR_OK;
}

err_t
events_delivery_add(
    struct resource_op *op,
    struct events_target *target,
    const struct events_delivery *wanted,
    struct events_delivery **ret_delivery)
{
    struct events_delivery *delivery = resource_new(op, &events_delivery_type);
    if (delivery == NULL) {
        return ERR_FULL;
    }
    struct arena *arena = resource_op_arena(op);
    delivery->header.id = events_delivery_id(arena, wanted->event, target->number);
    if (delivery->header.id.size == 0) {
        return ERR_CORRUPT;
    }
    TRY(begin(op, target, wanted, delivery));
    *ret_delivery = delivery;
    return ERR_OK;
}

err_t
events_delivery_renew(
    struct resource_op *op,
    struct events_target *target,
    struct span id,
    struct events_delivery **ret_delivery)
{
    char text[ID_TEXT_SIZE];
    void *blank = NULL;
    void *event = NULL;
    events_note_damaged(target->events, "webhook_delivery", id);
    TRY(resource_load_blank(op, &events_delivery_type, id, &blank));
    struct span event_id = arena_copy(resource_op_arena(op), events_delivery_event(id, text));
    if (event_id.size == 0) {
        return ERR_FULL;
    }
    err_t result = resource_load(op, &resource_event_type, event_id, &event);
    if (result == ERR_NOT_FOUND || result == ERR_CORRUPT) {
        target->ended_now++;
        *ret_delivery = NULL;
        return resource_remove(op, &events_delivery_type, blank);
    }
    TRY(result);
    const struct resource_event *of = event;
    struct events_delivery *delivery = blank;
    const struct events_delivery wanted = {
        .event = of->header.id, .type = of->type, .pending_webhooks = 1};
    delivery->header.created = of->header.created;
    TRY(begin(op, target, &wanted, delivery));
    *ret_delivery = delivery;
    return ERR_OK;
}

err_t
events_deliver(
    struct events_scope *scope,
    struct resource_op *op,
    struct span event_id,
    struct span type,
    _Atomic uint64_t *counter)
{
    struct events_delivery wanted = {.event = event_id, .type = type};
    LIST_FOREACH_SAFE (&scope->targets, link) {
        wanted.pending_webhooks +=
            wants(CONTAINER_OF(link, struct events_target, in_scope), type) ? 1 : 0;
    }
    if (wanted.pending_webhooks == 0) {
        return ERR_OK;
    }
    LIST_FOREACH_SAFE (&scope->targets, target_link) {
        struct events_target *target = CONTAINER_OF(target_link, struct events_target, in_scope);
        if (wants(target, type)) {
            struct events_delivery *unused;
            err_t result = events_delivery_add(op, target, &wanted, &unused);
            if (result != ERR_OK && result != ERR_EXISTS) {
                return result;
            }
            events_count(counter, result == ERR_OK ? 1 : 0);
        }
    }
    return ERR_OK;
}

/* --------------------------------------------------------------------------------------- cursor */

static err_t
cursor_load(struct resource_op *op, struct events_cursor **ret_cursor)
{
    void *document;
    err_t result = resource_load(op, &events_cursor_type, EVENTS_CURSOR_ID, &document);
    if (result == ERR_OK) {
        *ret_cursor = document;
        return ERR_OK;
    }
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    struct events_cursor *cursor = resource_new(op, &events_cursor_type);
    if (cursor == NULL) {
        return ERR_FULL;
    }
    cursor->header.id = EVENTS_CURSOR_ID;
    cursor->active = 1;
    *ret_cursor = cursor;
    return ERR_OK;
}

err_t
events_cursor_to_now(struct resource_op *op)
{
    struct events_cursor *cursor;
    u128 unused;
    TRY(cursor_load(op, &cursor));
    /* No event has a greater one yet. */
    cursor->event = resource_new_id(op, "evt_", &unused);
    if (cursor->event.size == 0) {
        return ERR_FULL;
    }
    return resource_save(op, &events_cursor_type, cursor);
}

/* ------------------------------------------------------------------------------------ operation */

static bool
collect_event(void *context, const struct document_row *row)
{
    struct dispatch *dispatch = context;
    struct arena *arena = resource_op_arena(dispatch->op);
    struct span id = arena_copy(arena, row->id);
    struct span type = arena_copy(arena, row->columns[RESOURCE_EVENT_TYPE_COLUMN].text);
    if (id.data == NULL || type.data == NULL) {
        dispatch->error = ERR_FULL;
        return false;
    }
    dispatch->ids[dispatch->count] = id;
    dispatch->types[dispatch->count++] = type;
    return true;
}

/* The next events behind the cursor; *ret_any: there were some. */
static err_t
look(struct dispatch *dispatch, bool *ret_any)
{
    struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = dispatch->cursor->event,
        .oldest_first = true,
        .limit = EVENTS_AT_ONCE,
    };
    dispatch->count = 0;
    TRY(resource_scan_rows(dispatch->op, &resource_event_type, &query, collect_event, dispatch));
    TRY(dispatch->error);
    for (uint32_t i = 0; i < dispatch->count; i++) {
        TRY(events_deliver(
            dispatch->scope, dispatch->op, dispatch->ids[i], dispatch->types[i], &dispatch->added));
    }
    *ret_any = dispatch->count > 0;
    if (dispatch->count > 0) {
        dispatch->cursor->event = dispatch->ids[dispatch->count - 1];
    }
    dispatch->more = dispatch->count == EVENTS_AT_ONCE;
    return ERR_OK;
}

static err_t
look_all(struct dispatch *dispatch)
{
    TRY(cursor_load(dispatch->op, &dispatch->cursor));
    bool any = true;
    bool moved = false;
    while (any && dispatch->looks < LOOKS_MAX) {
        TRY(look(dispatch, &any));
        dispatch->looks++;
        moved = moved || any;
        any = any && dispatch->more;
    }
    return moved ? resource_save(dispatch->op, &events_cursor_type, dispatch->cursor) : ERR_OK;
}

static void
dispatch_durable(struct resource_op *op)
{
    struct dispatch *dispatch = resource_op_state(op);
    struct events *events = dispatch->scope->events;
    uint64_t added = atomic_load(&dispatch->added);
    dispatch->done = true;
    events_count(&events->created, added);
    events_count(&events->queued, added);
    resource_finish(op);
}

static void
dispatch_ended(void *context)
{
    struct dispatch *dispatch = context;
    struct events_scope *scope = dispatch->scope;
    scope->dispatching = false;
    if (!dispatch->done) {
        scope->dirty = true; /* the sweep comes back to it */
        return;
    }
    if (!dispatch->more) {
        scope->waiting_since = scope->dirty ? dispatch->began : 0;
    }
    scope->dirty = scope->dirty || dispatch->more;
    events_scope_go_on(scope);
}

static void
dispatch_run(struct resource_op *op)
{
    struct events_scope *scope = resource_op_state(op);
    struct dispatch *dispatch = ARENA_NEW(resource_op_arena(op), struct dispatch);
    ASSERT(dispatch != NULL); /* a new arena */
    dispatch->scope = scope;
    dispatch->op = op;
    dispatch->began = events_now_ms(scope->events);
    resource_op_set_state(op, dispatch);
    resource_op_on_end(op, dispatch_ended, dispatch);
    scope->dirty = false; /* what is emitted from here on makes it so again */
    err_t result = look_all(dispatch);
    if (result != ERR_OK) {
        resource_internal(op, result, "dispatching events");
        return;
    }
    resource_after_commit(op, dispatch_durable);
}

void
events_dispatch_start(struct events_scope *scope)
{
    struct events *events = scope->events;
    scope->dispatching =
        resource_start_internal(
            events->parts.runtime, scope->number, events, dispatch_run, scope) == ERR_OK;
}

/* ------------------------------------------------------------------------------- what lists ask */

static bool
count_row(void *context, const struct document_row *row)
{
    (void)row;
    ++*(int64_t *)context;
    return true;
}

err_t
events_watch_pending(
    void *context, struct resource_op *op, struct span event_id, int64_t *ret_count)
{
    (void)context;
    struct arena *arena = resource_op_arena(op);
    struct document_query query = {
        .filters = {{.column = EVENTS_DELIVERY_UNDELIVERED, .value = {.integer = 1}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .id_above = events_delivery_above(arena, event_id, true),
        .id_below = events_delivery_below(arena, event_id, true),
        .limit = UINT32_MAX,
    };
    *ret_count = 0;
    return resource_scan_rows(op, &events_delivery_type, &query, count_row, ret_count);
}

struct undelivered {
    bool (*each)(void *each_context, struct span event_id);
    void *each_context;
};

static bool
undelivered_row(void *context, const struct document_row *row)
{
    struct undelivered *undelivered = context;
    char event[ID_TEXT_SIZE];
    return undelivered->each(undelivered->each_context, events_delivery_event(row->id, event));
}

err_t
events_watch_undelivered(
    void *context,
    struct resource_op *op,
    const struct document_query *bounds,
    bool (*each)(void *each_context, struct span event_id),
    void *each_context)
{
    (void)context;
    struct arena *arena = resource_op_arena(op);
    struct undelivered undelivered = {.each = each, .each_context = each_context};
    struct document_query query = *bounds;
    query.filters[0] =
        (struct document_filter){.column = EVENTS_DELIVERY_UNDELIVERED, .value = {.integer = 1}};
    query.filter_count = 1;
    query.id_above = events_delivery_above(arena, bounds->id_above, false);
    query.id_below = events_delivery_below(arena, bounds->id_below, false);
    return resource_scan_rows(op, &events_delivery_type, &query, undelivered_row, &undelivered);
}
