/*
 * Events and deliveries that were kept long enough go: some at a time, one scope after the other,
 * so that tidying up never holds anybody up.
 *
 * An event may have the answer of an idempotency key (RESOURCE_ANSWER_EVENT_S) if events were kept
 * for longer than keys when it was made. Whether they were is known of this process's own settings;
 * what earlier ones have left is kept until no key can name it any more.
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
    if (removal->error == ERR_OK) {
        removal->count++;
        removal->error = resource_remove(removal->op, removal->type, document);
    }
    return removal->error == ERR_OK;
}

/* What it says is of no use to anybody any more. */
static void
remove_damaged(void *context, struct span id)
{
    struct removal *removal = context;
    void *blank = NULL;
    if (removal->error != ERR_OK) {
        return;
    }
    events_note_damaged(resource_op_service(removal->op), removal->type->object, id);
    removal->count++;
    removal->error = resource_load_blank(removal->op, removal->type, id, &blank);
    if (removal->error == ERR_OK) {
        removal->error = resource_remove(removal->op, removal->type, blank);
    }
}

/* The oldest between these ids; *ret_full: there may be more. */
static err_t
remove_between(
    struct resource_op *op,
    const struct resource_type *type,
    struct span id_above,
    struct span id_below,
    bool *ret_full)
{
    struct removal removal = {.op = op, .type = type};
    struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = id_above,
        .id_below = id_below,
        .oldest_first = true,
        .limit = REMOVED_AT_ONCE,
    };
    const struct resource_visitor visitor = {
        .each = remove_one, .damaged = remove_damaged, .context = &removal, .cut = ret_full};
    TRY(resource_visit(op, type, &query, &visitor));
    *ret_full = *ret_full || removal.count == REMOVED_AT_ONCE;
    return removal.error;
}

/* The smallest id that what was created then could have. */
static struct span
id_of_time(struct resource_op *op, const char *prefix, int64_t then_ms)
{
    char text[ID_TEXT_SIZE];
    if (then_ms <= 0) {
        return SPAN_EMPTY;
    }
    size_t size = id_format(prefix, id_floor((uint64_t)then_ms), text);
    return arena_copy(resource_op_arena(op), span_of(text, size));
}

static err_t
purge_events(struct resource_op *op, struct events_purge *purge)
{
    struct events *events = resource_op_service(op);
    int64_t keep_s = events->parts.settings.event_keep_s;
    int64_t now_ms = events_now_ms(events);
    int64_t longest_s = keep_s > RESOURCE_ANSWER_EVENT_S ? keep_s : RESOURCE_ANSWER_EVENT_S;
    struct span oldest = id_of_time(op, "evt_", now_ms - longest_s * 1000);
    if (oldest.size > 0) {
        TRY(remove_between(op, &resource_event_type, SPAN_EMPTY, oldest, &purge->full));
    }
    struct span ours = id_of_time(op, "evt_", events->began_ms);
    struct span young = id_of_time(op, "evt_", now_ms - keep_s * 1000);
    if (keep_s == longest_s || ours.size == 0 || young.size == 0) {
        return ERR_OK;
    }
    return remove_between(op, &resource_event_type, ours, young, &purge->full);
}

static err_t
purge_scope(struct resource_op *op, struct events_purge *purge)
{
    const struct events *events = resource_op_service(op);
    TRY(purge_events(op, purge));
    struct span delivery = id_of_time(
        op, "dlv_", events_now_ms(events) - events->parts.settings.delivery_keep_s * 1000);
    return delivery.size > 0
               ? remove_between(op, &events_delivery_type, SPAN_EMPTY, delivery, &purge->full)
               : ERR_OK;
}

static void
purge_ended(void *context)
{
    struct events *events = context;
    struct events_purge *purge = &events->purge;
    purge->running = false;
    if (!purge->full) {
        purge->scopes.at++;
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
    struct events_scopes *scopes = context;
    if (scopes->count == scopes->room) {
        size_t room = scopes->room == 0 ? SCOPES_FIRST : 2 * scopes->room;
        uint64_t *grown = realloc(scopes->numbers, room * sizeof(*grown));
        if (grown == NULL) {
            scopes->failed = true;
            return;
        }
        scopes->numbers = grown;
        scopes->room = room;
    }
    scopes->numbers[scopes->count++] = scope;
}

err_t
events_scopes_list(struct events *events, struct events_scopes *scopes)
{
    scopes->at = 0;
    scopes->count = 0;
    scopes->failed = false;
    err_t result = resource_scope_each(events->parts.runtime, add_scope, scopes);
    if (result == ERR_OK && scopes->failed) {
        result = ERR_MEMORY;
    }
    if (result != ERR_OK) {
        scopes->count = 0;
    }
    return result;
}

void
events_scopes_free(struct events_scopes *scopes)
{
    free(scopes->numbers);
}

void
events_purge_timer(struct os_timer *timer)
{
    struct events *events = CONTAINER_OF(timer, struct events, purge_timer);
    struct events_purge *purge = &events->purge;
    struct events_scopes *scopes = &purge->scopes;
    ASSERT(!purge->running);
    bool listed = scopes->at < scopes->count || events_scopes_list(events, scopes) == ERR_OK;
    if (listed && scopes->count > 0 && events->leads) {
        purge->running =
            resource_start_internal(
                events->parts.runtime, scopes->numbers[scopes->at], events, purge_run, NULL) ==
            ERR_OK;
    }
    if (!purge->running) {
        os_timer_arm(
            events->parts.loop,
            timer,
            os_monotonic_ns(events->parts.clock) +
                (uint64_t)events->parts.settings.purge_interval_ms * OS_NS_PER_MS);
    }
}
