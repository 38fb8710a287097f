/*
 * Documents that several processes have: ids of events are not in the order of their commits, so a
 * cursor over ids could pass one that is not there yet. The database has an order that nothing
 * comes before any more (document_shared_ops.list_final), over all scopes; there is one cursor in
 * it, and one process at a time that publishes.
 *
 * RELAY-5  How far it is, is what the row of the cursor says at the beginning of each round. What
 *          the broker confirmed is written there only if nobody else wrote it since.
 *
 * A process that lost its connection may publish for a moment beside its successor. Both go through
 * the same order, from a cursor behind which all is confirmed: whichever comes first with an event,
 * has come with those before it, or found them confirmed. So RELAY-3 holds for both together.
 */
#include "relay_internal.h"

#include "base/assert.h"

#include <string.h>

#define WORK "broker"
/* The scope of what belongs to no merchant. */
#define NOBODY 0
/* What other processes emit is noticed within this time. */
#define LOOK_MS 200
/* Rows of one look, as for a scope. */
#define EVENTS_OF_LOOK 250
#define CURSOR_ID      SPAN("rlc_all")

struct look {
    struct relay *relay;
    struct resource_op *op;
    struct relay_position from; /* what the cursor says when this is durable */
    uint32_t taken;
    bool more;
    err_t error;
    bool good;
};

static const struct relay_position beginning = {.number = INT64_MIN};

static bool
is_same(const struct relay_position *a, const struct relay_position *b)
{
    return a->number == b->number && strcmp(a->event, b->event) == 0;
}

static err_t
position_set(struct relay_position *position, int64_t number, struct span event)
{
    if (event.size >= sizeof(position->event)) {
        return ERR_CORRUPT;
    }
    position->number = number;
    if (event.size > 0) {
        memcpy(position->event, event.data, event.size);
    }
    position->event[event.size] = '\0';
    return ERR_OK;
}

/* --------------------------------------------------------------------------------------- cursor */

/* RELAY-5. The operation may run again, against what another process wrote. */
static err_t
cursor_pass(struct look *look)
{
    struct relay_shared *shared = &look->relay->shared;
    struct relay_cursor *cursor = NULL;
    void *document;
    err_t result = resource_load(look->op, &relay_cursor_type, CURSOR_ID, &document);
    look->from = beginning;
    if (result == ERR_OK) {
        cursor = document;
        TRY(position_set(&look->from, cursor->number, cursor->event));
    } else if (result != ERR_NOT_FOUND) {
        return result;
    }
    if (!shared->all.unsaved || !is_same(&look->from, &shared->known)) {
        return ERR_OK;
    }
    if (cursor == NULL) {
        cursor = resource_new(look->op, &relay_cursor_type);
        if (cursor == NULL) {
            return ERR_FULL;
        }
        cursor->header.id = CURSOR_ID;
    }
    look->from = shared->confirmed;
    cursor->number = shared->confirmed.number;
    cursor->event = span_from_cstr(shared->confirmed.event);
    return resource_save(look->op, &relay_cursor_type, cursor);
}

/* ---------------------------------------------------------------------------------------- events
 */

static bool
take_event(void *context, void *document, int64_t number, bool is_final)
{
    struct look *look = context;
    struct relay *relay = look->relay;
    const struct resource_event *event = document;
    char account[ID_TEXT_SIZE] = "";
    if (!is_final) {
        relay->shared.waiting_s = event->header.created;
        return false;
    }
    look->more = true;
    look->error = resource_scope_merchant(look->op, event->header.scope, account);
    if (look->error != ERR_OK && look->error != ERR_NOT_FOUND) {
        return false;
    }
    look->error = ERR_OK;
    switch (relay_batch_add(relay, look->op, event, account)) {
    case RELAY_NO_MEMORY:
        look->error = ERR_FULL;
        return false;
    case RELAY_NO_ROOM:
        return false;
    case RELAY_ADDED:
        break;
    }
    look->more = false;
    look->taken++;
    look->error = position_set(&relay->shared.in_batch, number, event->header.id);
    return look->error == ERR_OK;
}

static void
read_events(struct resource_op *op)
{
    struct look *look = resource_op_state(op);
    struct relay_shared *shared = &look->relay->shared;
    shared->known = look->from;
    shared->confirmed = look->from;
    shared->all.unsaved = false;
    shared->waiting_s = 0;
    const struct document_place behind = {
        .number = look->from.number, .id = span_from_cstr(look->from.event)};
    err_t result =
        resource_find_final(op, &resource_event_type, &behind, EVENTS_OF_LOOK, take_event, look);
    if (result == ERR_OK && look->taken == 0) {
        result = look->error;
    }
    if (result != ERR_OK && look->taken == 0) {
        resource_internal(op, result, "reading events for the broker");
        return;
    }
    if (look->taken > 0) {
        memcpy(shared->all.in_batch, shared->in_batch.event, sizeof(shared->all.in_batch));
    }
    look->more = look->more || result != ERR_OK || look->taken == EVENTS_OF_LOOK;
    look->good = true;
    resource_finish(op);
}

static void
look_ended(void *context)
{
    struct look *look = context;
    struct relay_scope *all = &look->relay->shared.all;
    all->dirty = all->dirty || look->more || !look->good;
    relay_read_ended(all, look->good);
}

static void
look_run(struct resource_op *op)
{
    struct relay *relay = resource_op_service(op);
    struct look *look = ARENA_NEW(resource_op_arena(op), struct look);
    ASSERT(look != NULL); /* a new arena */
    look->relay = relay;
    look->op = op;
    resource_op_set_state(op, look);
    resource_op_on_end(op, look_ended, look);
    relay->shared.all.dirty = false; /* what is emitted from here on makes it so again */
    err_t result = cursor_pass(look);
    if (result != ERR_OK) {
        resource_internal(op, result, "saving how far the broker is");
        return;
    }
    resource_after_commit(op, read_events);
}

err_t
relay_shared_read_start(struct relay *relay)
{
    relay->shared.all.in_batch[0] = '\0';
    return resource_start_internal(relay->parts.runtime, NOBODY, relay, look_run, NULL);
}

/* ------------------------------------------------------------------------------------------ when
 */

static void
look_in(struct relay *relay, uint64_t wait_ms)
{
    os_timer_arm(
        relay->parts.loop,
        &relay->shared.look,
        os_monotonic_ns(relay->parts.clock) + wait_ms * OS_NS_PER_MS);
}

static void
on_look(struct os_timer *timer)
{
    struct relay *relay = CONTAINER_OF(timer, struct relay, shared.look);
    if (relay->draining) {
        return;
    }
    look_in(relay, LOOK_MS);
    relay_scope_becomes_dirty(&relay->shared.all);
    relay_go_on(relay);
}

bool
relay_shared_leads(struct relay *relay)
{
    relay->shared.leads = resource_leads(relay->parts.runtime, WORK);
    return relay->shared.leads;
}

/* The transaction is open: the look comes behind it. */
void
relay_shared_emitted(struct relay *relay)
{
    if (relay->shared.leads && !relay->draining && os_timer_is_armed(&relay->shared.look)) {
        look_in(relay, 0);
    }
}

void
relay_shared_init(struct relay *relay)
{
    struct relay_shared *shared = &relay->shared;
    shared->is_used = resource_is_shared(relay->parts.runtime);
    shared->look.fire = on_look;
    shared->all.relay = relay;
    shared->all.number = NOBODY;
    shared->known = beginning;
    shared->confirmed = beginning;
}

void
relay_shared_start(struct relay *relay)
{
    look_in(relay, 0);
}
