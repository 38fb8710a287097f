/*
 * One scope's part of a round: the cursor that the broker has confirmed is saved, and the events
 * behind it go into the batch.
 *
 * What is read must be durable, and final (RELAY-2): an operation may still take back an event that
 * it wrote in the open transaction. So an id is drawn first; then the transaction ends; and only
 * events below that id are read.
 */
#include "relay_internal.h"

#include "base/assert.h"
#include "resource/fields.h"

#include <string.h>

/* Rows of one look: a bound for what one step of the loop does. */
#define EVENTS_OF_SCOPE 250

struct read {
    struct relay_scope *scope;
    struct resource_op *op;
    struct span below; /* an id that was drawn before the transaction ended */
    uint32_t taken;
    bool more;   /* may be there: the batch is full, or this scope has had its share */
    err_t error; /* why an event could not be taken, if not for want of room in the batch */
    bool good;
};

static const struct document_kind cursor_kind = {
    .name = "relay_cursor",
    .columns =
        {{.name = "event", .type = DOCUMENT_TEXT},
         RESOURCE_SWEPT("active"),
         {.name = "number", .type = DOCUMENT_INTEGER}},
    .column_count = 3,
};

const struct document_kind *const relay_kinds[] = {&cursor_kind};
const uint32_t relay_kind_count = sizeof(relay_kinds) / sizeof(relay_kinds[0]);

static const struct resource_field cursor_fields[] = {
    RESOURCE_TEXT_COLUMN(relay_cursor, event, RELAY_CURSOR_EVENT),
    RESOURCE_INTEGER_COLUMN(relay_cursor, active, RELAY_CURSOR_ACTIVE),
    RESOURCE_INTEGER_COLUMN(relay_cursor, number, RELAY_CURSOR_NUMBER),
};

/* Never shown. One of a scope at most, with a name instead of an id. */
const struct resource_type relay_cursor_type = {
    .object = "relay_cursor",
    .prefix = "rlc_",
    .kind = &cursor_kind,
    RESOURCE_FIELDS(cursor_fields),
    .struct_size = sizeof(struct relay_cursor),
};

#define CURSOR_ID SPAN("rlc_1")

/* --------------------------------------------------------------------------------------- cursor */

static err_t
save_cursor(struct read *read)
{
    void *document;
    struct relay_cursor *cursor;
    err_t result = resource_load(read->op, &relay_cursor_type, CURSOR_ID, &document);
    if (result == ERR_CORRUPT) { /* what it said is in a column, and was read at the start */
        result = resource_load_blank(read->op, &relay_cursor_type, CURSOR_ID, &document);
    }
    if (result == ERR_OK) {
        cursor = document;
    } else if (result == ERR_NOT_FOUND) {
        cursor = resource_new(read->op, &relay_cursor_type);
        if (cursor == NULL) {
            return ERR_FULL;
        }
        cursor->header.id = CURSOR_ID;
    } else {
        return result;
    }
    cursor->active = 1;
    cursor->event = span_from_cstr(read->scope->confirmed);
    return resource_save(read->op, &relay_cursor_type, cursor);
}

/* ---------------------------------------------------------------------------------------- batch */

/* Objects begin with their id; one without is alone, and its event's id does as well. */
static struct span
key_of(const struct resource_event *event)
{
    struct span begin = SPAN("{\"id\":\"");
    if (!span_starts_with(event->object, begin)) {
        return event->header.id;
    }
    struct span rest = span_slice(event->object, begin.size, event->object.size);
    struct span id = span_cut(&rest, '"');
    return id.size > 0 && id.size < ID_TEXT_SIZE ? id : event->header.id;
}

static bool
batch_has_room(const struct relay_batch *batch, size_t size)
{
    return batch->count == 0 || (batch->count < PORT_BROKER_MESSAGES_MAX &&
                                 batch->text.size + size <= PORT_BROKER_BYTES_MAX);
}

static size_t
put(struct buf *text, struct span part)
{
    size_t at = text->size;
    buf_append_span(text, part);
    return at;
}

enum relay_added
relay_batch_add(
    struct relay *relay,
    struct resource_op *op,
    const struct resource_event *event,
    const char *account)
{
    struct relay_batch *batch = &relay->batch;
    struct span body = resource_event_text(op, event, event->api_version, 0);
    if (body.size == 0) {
        return RELAY_NO_MEMORY;
    }
    if (!batch_has_room(batch, body.size)) {
        return RELAY_NO_ROOM;
    }
    struct relay_place place = {
        .id = put(&batch->text, event->header.id),
        .type = put(&batch->text, event->type),
        .key = put(&batch->text, key_of(event)),
        .account = put(&batch->text, span_from_cstr(account)),
        .body = put(&batch->text, body),
        .end = batch->text.size,
        .livemode = event->header.livemode,
    };
    if (buf_failed(&batch->text)) {
        return RELAY_NO_MEMORY;
    }
    batch->places[batch->count++] = place;
    if (batch->oldest_s == 0 || event->header.created < batch->oldest_s) {
        batch->oldest_s = event->header.created;
    }
    return RELAY_ADDED;
}

static void
note_taken(struct read *read, struct span id)
{
    ASSERT(id.size < ID_TEXT_SIZE);
    read->taken++;
    memcpy(read->scope->in_batch, id.data, id.size);
    read->scope->in_batch[id.size] = '\0';
}

static bool
take_event(void *context, void *document)
{
    struct read *read = context;
    const struct resource_event *event = document;
    struct relay *relay = read->scope->relay;
    const char *account = resource_op_caller(read->op)->merchant_id;
    read->more = true;
    switch (relay_batch_add(relay, read->op, event, account)) {
    case RELAY_NO_MEMORY:
        read->error = ERR_FULL;
        return false;
    case RELAY_NO_ROOM:
        return false;
    case RELAY_ADDED:
        break;
    }
    read->more = false;
    note_taken(read, event->header.id);
    return true;
}

/* The cursor passes it, as if it were in the batch (RELAY-6). */
static void
pass_event(void *context, struct span id)
{
    struct read *read = context;
    note_taken(read, id);
    resource_note_damaged(read->op, &resource_event_type, id);
}

/* ------------------------------------------------------------------------------------ operation */

static void
read_events(struct resource_op *op)
{
    struct read *read = resource_op_state(op);
    struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = span_from_cstr(read->scope->confirmed),
        .id_below = read->below,
        .oldest_first = true,
        .limit = EVENTS_OF_SCOPE,
    };
    read->scope->unsaved = false;
    bool cut = false;
    const struct resource_visitor visitor = {
        .each = take_event, .damaged = pass_event, .context = read, .cut = &cut};
    err_t result = resource_visit(op, &resource_event_type, &query, &visitor);
    if (result == ERR_OK && read->taken == 0) {
        result = read->error;
    }
    if (result != ERR_OK && read->taken == 0) {
        resource_internal(op, result, "reading events for the broker");
        return;
    }
    read->more = read->more || cut || result != ERR_OK || read->taken == EVENTS_OF_SCOPE;
    read->good = true;
    resource_finish(op);
}

static void
read_ended(void *context)
{
    struct read *read = context;
    struct relay_scope *scope = read->scope;
    scope->dirty = scope->dirty || read->more || !read->good;
    relay_read_ended(scope, read->good);
}

static void
read_run(struct resource_op *op)
{
    struct relay_scope *scope = resource_op_state(op);
    struct read *read = ARENA_NEW(resource_op_arena(op), struct read);
    u128 unused;
    ASSERT(read != NULL); /* a new arena */
    read->scope = scope;
    read->op = op;
    resource_op_set_state(op, read);
    resource_op_on_end(op, read_ended, read);
    scope->dirty = false; /* what is emitted from here on makes it so again */
    read->below = resource_new_id(op, "evt_", &unused);
    err_t result = read->below.size == 0 ? ERR_FULL : ERR_OK;
    if (result == ERR_OK && scope->unsaved) {
        result = save_cursor(read);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "saving how far the broker is");
        return;
    }
    resource_after_commit(op, read_events);
}

err_t
relay_read_start(struct relay_scope *scope)
{
    struct relay *relay = scope->relay;
    scope->in_batch[0] = '\0';
    return resource_start_internal(relay->parts.runtime, scope->number, relay, read_run, scope);
}
