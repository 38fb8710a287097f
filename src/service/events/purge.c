/*
 * Events and deliveries that were kept long enough go: some at a time, one scope after the other,
 * so that tidying up never holds anybody up.
 */
#include "service.h"

#include "base/assert.h"

#include <stdlib.h>

#define REMOVED_AT_ONCE 200
#define SCOPES_FIRST    64
/* Between two steps while there is much to remove. */
#define BUSY_NS (10 * OS_NS_PER_MS)

struct removal {
    struct resource_op *op;
    const struct resource_type *type;
    uint32_t count;
    err_t error;
};

static bool
remove_one(void *context, void *document)
{
    struct removal *removal = context;
    removal->count++;
    removal->error = resource_remove(removal->op, removal->type, document);
    return removal->error == ERR_OK;
}

/* The oldest below this id; *ret_full: there may be more. */
static err_t
remove_below(
    struct resource_op *op, const struct resource_type *type, struct span id_below, bool *ret_full)
{
    struct removal removal = {.op = op, .type = type};
    struct document_query query = {
        .range_column = UINT32_MAX,
        .id_below = id_below,
        .oldest_first = true,
        .limit = REMOVED_AT_ONCE,
    };
    TRY(resource_find(op, type, &query, remove_one, &removal));
    *ret_full = *ret_full || removal.count == REMOVED_AT_ONCE;
    return removal.error;
}

/* The smallest id that what was created so long ago could have. */
static struct span
id_of_age(struct resource_op *op, const char *prefix, int64_t age_s)
{
    struct events *events = resource_op_service(op);
    int64_t then_ms = events_now_ms(events) - age_s * 1000;
    char text[ID_TEXT_SIZE];
    if (then_ms <= 0) {
        return SPAN_EMPTY;
    }
    size_t size = id_format(prefix, id_floor((uint64_t)then_ms), text);
    return arena_copy(resource_op_arena(op), span_of(text, size));
}

static err_t
purge_scope(struct resource_op *op, struct events_purge *purge)
{
    struct events *events = resource_op_service(op);
    const struct events_settings *settings = &events->parts.settings;
    struct span event = id_of_age(op, "evt_", settings->event_keep_s);
    struct span delivery = id_of_age(op, "dlv_", settings->delivery_keep_s);
    if (event.size > 0) {
        TRY(remove_below(op, &resource_event_type, event, &purge->full));
    }
    return delivery.size > 0 ? remove_below(op, &events_delivery_type, delivery, &purge->full)
                             : ERR_OK;
}

static void
purge_ended(void *context)
{
    struct events *events = context;
    struct events_purge *purge = &events->purge;
    purge->running = false;
    if (!purge->full) {
        purge->at++;
    }
    uint64_t wait_ns =
        purge->full ? BUSY_NS : (uint64_t)events->parts.settings.purge_interval_ms * OS_NS_PER_MS;
    os_timer_arm(
        events->parts.loop, &events->purge_timer, os_monotonic_ns(events->parts.clock) + wait_ns);
}

static void
purge_run(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    resource_op_on_end(op, purge_ended, events);
    events->purge.full = false;
    err_t result = purge_scope(op, &events->purge);
    if (result != ERR_OK) {
        resource_internal(op, result, "removing old events");
        return;
    }
    resource_finish(op);
}

static void
add_scope(void *context, uint64_t scope)
{
    struct events_purge *purge = context;
    if (purge->count == purge->room) {
        size_t room = purge->room == 0 ? SCOPES_FIRST : 2 * purge->room;
        uint64_t *grown = realloc(purge->scopes, room * sizeof(*grown));
        if (grown == NULL) {
            return; /* the others come in the next round */
        }
        purge->scopes = grown;
        purge->room = room;
    }
    purge->scopes[purge->count++] = scope;
}

void
events_purge_timer(struct os_timer *timer)
{
    struct events *events = CONTAINER_OF(timer, struct events, purge_timer);
    struct events_purge *purge = &events->purge;
    ASSERT(!purge->running);
    if (purge->at >= purge->count) {
        purge->at = 0;
        purge->count = 0;
        if (resource_scope_each(events->parts.runtime, add_scope, purge) != ERR_OK) {
            purge->count = 0;
        }
    }
    if (purge->count > 0 && events->leads) {
        purge->running =
            resource_start_internal(
                events->parts.runtime, purge->scopes[purge->at], events, purge_run, NULL) == ERR_OK;
    }
    if (!purge->running) {
        os_timer_arm(
            events->parts.loop,
            timer,
            os_monotonic_ns(events->parts.clock) +
                (uint64_t)events->parts.settings.purge_interval_ms * OS_NS_PER_MS);
    }
}

void
events_purge_close(struct events_purge *purge)
{
    free(purge->scopes);
}
