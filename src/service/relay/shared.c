/*
 * Documents that several processes have: ids of events are not in the order of their commits, so a
 * cursor over ids could pass one that is not there yet. The database has an order that nothing
 * comes before any more (document_shared_ops.list_final), over all scopes; there is one cursor in
 * it, and one process at a time that publishes. Documents in shards have an order and a cursor for
 * each database. A merchant's events are in one of them; when it moves they come again in the
 * other.
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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORK "broker"
/* The scope of what belongs to no merchant. */
#define NOBODY 0
/* What other processes emit is noticed within this time. */
#define LOOK_MS 200
/* Rows of one look, as for a scope. */
#define EVENTS_OF_LOOK 250
/* "rlc_all" of the only order; of others their names are behind "rlc_". */
#define CURSOR_ID_SIZE (sizeof("rlc_") + RELAY_ORDER_NAME_SIZE)

struct look {
    struct relay_order *order;
    struct resource_op *op;
    char cursor_id[CURSOR_ID_SIZE];
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
    const struct relay_order *order = look->order;
    struct relay_cursor *cursor = NULL;
    void *document;
    struct span id = span_from_cstr(look->cursor_id);
    err_t result = resource_load(look->op, &relay_cursor_type, id, &document);
    look->from = beginning;
    if (result == ERR_OK) {
        cursor = document;
        TRY(position_set(&look->from, cursor->number, cursor->event));
    } else if (result != ERR_NOT_FOUND) {
        return result;
    }
    if (!order->all.unsaved || !is_same(&look->from, &order->known)) {
        return ERR_OK;
    }
    if (cursor == NULL) {
        cursor = resource_new(look->op, &relay_cursor_type);
        if (cursor == NULL) {
            return ERR_FULL;
        }
        cursor->header.id = id;
    }
    look->from = order->confirmed;
    cursor->number = order->confirmed.number;
    cursor->event = span_from_cstr(order->confirmed.event);
    return resource_save(look->op, &relay_cursor_type, cursor);
}

/* ---------------------------------------------------------------------------------------- events
 */

static bool
take_event(void *context, void *document, int64_t number, bool is_final)
{
    struct look *look = context;
    struct relay_order *order = look->order;
    const struct resource_event *event = document;
    char account[ID_TEXT_SIZE] = "";
    if (!is_final) {
        order->waiting_s = event->header.created;
        return false;
    }
    look->more = true;
    look->error = resource_scope_merchant(look->op, event->header.scope, account);
    if (look->error != ERR_OK && look->error != ERR_NOT_FOUND) {
        return false;
    }
    look->error = ERR_OK;
    switch (relay_batch_add(order->all.relay, look->op, event, account)) {
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
    look->error = position_set(&order->in_batch, number, event->header.id);
    return look->error == ERR_OK;
}

/* The cursor passes it, as if it were in the batch (RELAY-6). */
static void
pass_event(void *context, struct span id, int64_t number)
{
    struct look *look = context;
    look->error = position_set(&look->order->in_batch, number, id);
    look->taken += look->error == ERR_OK ? 1 : 0;
    resource_note_damaged(look->op, &resource_event_type, id);
}

/* Where the order is now; UINT32_MAX: the documents are in that database no more. */
static uint32_t
order_at(const struct relay_order *order)
{
    struct document_store *documents = order->all.relay->parts.documents;
    for (uint32_t i = 0;; i++) {
        const char *name = documents->shared->order_name(documents, i);
        if (name == NULL) {
            return UINT32_MAX;
        }
        if (strcmp(name, order->name) == 0) {
            return i;
        }
    }
}

/* One database among several that cannot be reached has nobody else wait: it is looked at again. */
static bool
is_passed_over(const struct relay_order *order, err_t result)
{
    return order->name[0] != '\0' && (result == ERR_CLOSED || result == ERR_TIMEOUT ||
                                      result == ERR_MOVED || result == ERR_LOCKED);
}

static void
read_events(struct resource_op *op)
{
    struct look *look = resource_op_state(op);
    struct relay_order *order = look->order;
    order->known = look->from;
    order->confirmed = look->from;
    order->all.unsaved = false;
    const struct document_place behind = {
        .number = look->from.number,
        .id = span_from_cstr(look->from.event),
        .order = order_at(order)};
    int64_t waited_s = order->waiting_s;
    order->waiting_s = 0;
    const struct resource_final_visitor visitor = {
        .each = take_event, .damaged = pass_event, .context = look};
    err_t result =
        behind.order == UINT32_MAX
            ? ERR_OK
            : resource_find_final(op, &resource_event_type, &behind, EVENTS_OF_LOOK, &visitor);
    if (is_passed_over(order, result)) {
        order->waiting_s = waited_s;
        result = ERR_OK;
    }
    if (result == ERR_OK && look->taken == 0) {
        result = look->error;
    }
    if (result != ERR_OK && look->taken == 0) {
        resource_internal(op, result, "reading events for the broker");
        return;
    }
    if (look->taken > 0) {
        memcpy(order->all.in_batch, order->in_batch.event, sizeof(order->all.in_batch));
    }
    look->more = look->more || result != ERR_OK || look->taken == EVENTS_OF_LOOK;
    look->good = true;
    resource_finish(op);
}

static void
look_ended(void *context)
{
    struct look *look = context;
    struct relay_scope *all = &look->order->all;
    all->dirty = all->dirty || look->more || !look->good;
    relay_read_ended(all, look->good);
}

static void
look_run(struct resource_op *op)
{
    struct relay_order *order = resource_op_service(op);
    struct look *look = ARENA_NEW(resource_op_arena(op), struct look);
    ASSERT(look != NULL); /* a new arena */
    look->order = order;
    look->op = op;
    (void)snprintf(
        look->cursor_id,
        sizeof(look->cursor_id),
        "rlc_%s",
        order->name[0] == '\0' ? "all" : order->name);
    resource_op_set_state(op, look);
    resource_op_on_end(op, look_ended, look);
    order->all.dirty = false; /* what is emitted from here on makes it so again */
    err_t result = cursor_pass(look);
    if (result != ERR_OK) {
        resource_internal(op, result, "saving how far the broker is");
        return;
    }
    resource_after_commit(op, read_events);
}

err_t
relay_shared_read_start(struct relay_scope *scope)
{
    struct relay_order *order = CONTAINER_OF(scope, struct relay_order, all);
    scope->in_batch[0] = '\0';
    return resource_start_internal(scope->relay->parts.runtime, NOBODY, order, look_run, NULL);
}

void
relay_shared_confirmed(struct relay_scope *scope)
{
    struct relay_order *order = CONTAINER_OF(scope, struct relay_order, all);
    order->confirmed = order->in_batch;
}

/* ---------------------------------------------------------------------------------------- orders
 */

static struct relay_order *
order_find(const struct relay_shared *shared, const char *name)
{
    for (uint32_t i = 0; i < shared->order_count; i++) {
        if (strcmp(shared->orders[i]->name, name) == 0) {
            return shared->orders[i];
        }
    }
    return NULL;
}

static struct relay_order *
order_add(struct relay *relay, const char *name)
{
    struct relay_shared *shared = &relay->shared;
    struct relay_order *order =
        shared->order_count < RELAY_ORDERS_MAX ? calloc(1, sizeof(*order)) : NULL;
    if (order != NULL) {
        *order = (struct relay_order){
            .all = {.relay = relay, .number = NOBODY},
            .known = beginning,
            .confirmed = beginning,
        };
        (void)snprintf(order->name, sizeof(order->name), "%s", name);
        shared->orders[shared->order_count++] = order;
    }
    return order;
}

/* Every database there is. Without memory for a new one it is tried at the next look. */
static void
orders_look(struct relay *relay)
{
    struct document_store *documents = relay->parts.documents;
    for (uint32_t i = 0;; i++) {
        const char *name = documents->shared->order_name(documents, i);
        if (name == NULL) {
            return;
        }
        struct relay_order *order = order_find(&relay->shared, name);
        order = order == NULL ? order_add(relay, name) : order;
        if (order != NULL) {
            relay_scope_becomes_dirty(&order->all);
        }
    }
}

void
relay_shared_give_up(struct relay *relay)
{
    for (uint32_t i = 0; i < relay->shared.order_count; i++) {
        relay->shared.orders[i]->all.dirty = true;
    }
}

int64_t
relay_shared_waiting_s(const struct relay *relay)
{
    int64_t oldest_s = 0;
    for (uint32_t i = 0; i < relay->shared.order_count; i++) {
        int64_t waiting_s = relay->shared.orders[i]->waiting_s;
        oldest_s = waiting_s != 0 && (oldest_s == 0 || waiting_s < oldest_s) ? waiting_s : oldest_s;
    }
    return oldest_s;
}

void
relay_shared_release(struct relay *relay)
{
    for (uint32_t i = 0; i < relay->shared.order_count; i++) {
        free(relay->shared.orders[i]);
    }
    relay->shared.order_count = 0;
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
    orders_look(relay);
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
}

void
relay_shared_start(struct relay *relay)
{
    look_in(relay, 0);
}
