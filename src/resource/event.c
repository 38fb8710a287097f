/*
 * Events: one row for every change, in the transaction of the change (RESOURCE-5). The object is
 * shown as it was then.
 */
#include "event.h"

#include "changed.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define FIELD(member, kind_, column_)                                                              \
    {                                                                                              \
        .name = #member, .kind = kind_, .offset = offsetof(struct resource_event, member),         \
        .column = column_                                                                          \
    }

const struct document_kind resource_event_kind = {
    .name = "event",
    .columns =
        {
            {"type", DOCUMENT_TEXT, .indexed = true},
            {"related_object", DOCUMENT_TEXT, .indexed = true},
        },
    .column_count = 2,
    .has_order = true,
};
static const struct resource_field event_fields[] = {
    FIELD(type, RESOURCE_FIELD_TEXT, RESOURCE_EVENT_TYPE_COLUMN),
    FIELD(api_version, RESOURCE_FIELD_TEXT, -1),
    {
        .name = "related_object", /* which is the id in `object`, too */
        .kind = RESOURCE_FIELD_TEXT,
        .offset = offsetof(struct resource_event, related_object),
        .column = RESOURCE_EVENT_RELATED_COLUMN,
        .in_column_only = true,
    },
    FIELD(request_id, RESOURCE_FIELD_TEXT, -1),
    FIELD(idempotency_key, RESOURCE_FIELD_TEXT, -1),
    FIELD(object, RESOURCE_FIELD_JSON, -1),
    FIELD(previous, RESOURCE_FIELD_JSON, -1),
    FIELD(trace, RESOURCE_FIELD_TEXT, -1),
};

static int64_t
pending_webhooks(struct resource_render *render, const struct resource_event *event)
{
    struct resource_op *op = resource_render_op(render);
    const struct resource_event_watch *watch = op->runtime->event_watch;
    int64_t count = event->pending_webhooks;
    if (!event->pending_is_given && watch != NULL) {
        resource_render_note(render, watch->pending(watch->context, op, event->header.id, &count));
    }
    return count;
}

static void
event_render(struct resource_render *render, const void *document)
{
    const struct resource_event *event = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &resource_event_type, event);
    json_member_text(json, "api_version", event->api_version);
    json_key(json, "data");
    json_object_begin(json);
    json_member_raw(json, "object", event->object);
    if (event->previous.size > 0) {
        json_member_raw(json, "previous_attributes", event->previous);
    }
    json_object_end(json);
    json_member_i64(json, "pending_webhooks", pending_webhooks(render, event));
    json_key(json, "request");
    json_object_begin(json);
    json_member_text_or_null(json, "id", event->request_id);
    json_member_text_or_null(json, "idempotency_key", event->idempotency_key);
    json_object_end(json);
    json_member_text(json, "type", event->type);
    json_object_end(json);
}

const struct resource_type resource_event_type = {
    .object = "event",
    .prefix = "evt_",
    .kind = &resource_event_kind,
    .fields = event_fields,
    .field_count = sizeof(event_fields) / sizeof(event_fields[0]),
    .struct_size = sizeof(struct resource_event),
    .render = event_render,
    .permission = "events",
};

/* ------------------------------------------------------------------------------------ types */

const struct document_kind resource_event_type_kind = {.name = "event_type"};
const struct resource_type resource_event_type_type = {
    .object = "event_type",
    .prefix = "",
    .kind = &resource_event_type_kind,
    .struct_size = sizeof(struct resource_header),
};

static bool
type_known(struct resource_runtime *runtime, struct span name, uint64_t hash)
{
    for (struct map_link *link = map_find(&runtime->event_types, hash); link != NULL;
         link = map_next(link)) {
        const struct resource_event_type_entry *entry =
            CONTAINER_OF(link, struct resource_event_type_entry, link);
        if (span_equal(span_of(entry->name, entry->size), name)) {
            return true;
        }
    }
    return false;
}

static err_t
type_add(struct resource_runtime *runtime, struct span name, uint64_t transaction)
{
    struct resource_event_type_entry *entry = malloc(sizeof(*entry) + name.size);
    if (entry == NULL) {
        return ERR_MEMORY;
    }
    entry->transaction = transaction;
    entry->size = name.size;
    memcpy(entry->name, name.data, name.size);
    err_t result =
        map_insert(&runtime->event_types, hash_keyed(runtime->hash_key, name), &entry->link);
    if (result != ERR_OK) {
        free(entry);
        return result;
    }
    runtime->event_types_unsettled = runtime->event_types_unsettled || transaction != 0;
    return ERR_OK;
}

/* The first event of its type writes the type down too. */
static err_t
type_note(struct resource_op *op, struct span name)
{
    struct resource_runtime *runtime = op->runtime;
    if (type_known(runtime, name, hash_keyed(runtime->hash_key, name))) {
        return ERR_OK;
    }
    void *row = resource_row_new(&op->arena, &resource_event_type_type, RESOURCE_SCOPE_NONE, name);
    if (row == NULL) {
        return ERR_FULL;
    }
    TRY(resource_transaction_write(runtime, op));
    /* Not among the writes that a refused operation takes back: a type without events does no
     * harm, and others of the group may already rely on it. */
    TRY(resource_row_save(runtime, &op->arena, &resource_event_type_type, row, NULL));
    return type_add(runtime, name, runtime->transaction);
}

struct type_sweep {
    struct resource_runtime *runtime;
    bool committed;
    struct resource_event_type_entry *drop; /* one that must go */
};

static void
type_settle(void *context, struct map_link *link)
{
    struct type_sweep *sweep = context;
    struct resource_event_type_entry *entry =
        CONTAINER_OF(link, struct resource_event_type_entry, link);
    if (entry->transaction != 0) {
        if (sweep->committed) {
            entry->transaction = 0;
        } else {
            sweep->drop = entry;
        }
    }
}

void
resource_event_types_settle(struct resource_runtime *runtime, bool committed)
{
    struct type_sweep sweep = {.runtime = runtime, .committed = committed};
    while (runtime->event_types_unsettled) {
        sweep.drop = NULL;
        map_each(&runtime->event_types, type_settle, &sweep);
        if (sweep.drop == NULL) {
            runtime->event_types_unsettled = false;
            return;
        }
        map_remove(&runtime->event_types, &sweep.drop->link);
        free(sweep.drop);
    }
}

/* The id is all there is to it: the body may be damaged. */
static bool
type_row(void *context, const struct document_row *row)
{
    struct resource_runtime *runtime = context;
    return type_known(runtime, row->id, hash_keyed(runtime->hash_key, row->id)) ||
           type_add(runtime, row->id, 0) == ERR_OK;
}

err_t
resource_event_types_refresh(struct resource_runtime *runtime)
{
    return runtime->shared == NULL ? ERR_OK : resource_event_types_open(runtime);
}

err_t
resource_event_types_open(struct resource_runtime *runtime)
{
    struct document_query query = {
        .scope = RESOURCE_SCOPE_NONE,
        .range_column = UINT32_MAX,
        .limit = RESOURCE_EVENT_TYPES_MAX,
    };
    struct document_store *documents = runtime->documents;
    return documents->ops->list(
        documents, resource_event_type_type.kind, &query, type_row, runtime);
}

static void
type_free(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct resource_event_type_entry, link));
}

void
resource_event_types_close(struct resource_runtime *runtime)
{
    map_each(&runtime->event_types, type_free, NULL);
}

/* ------------------------------------------------------------------------------------- emit */

err_t
resource_emit(
    struct resource_op *op,
    const char *event_type,
    const struct resource_type *type,
    const void *document,
    struct span previous)
{
    struct resource_event *event = resource_new(op, &resource_event_type);
    if (event == NULL) {
        return ERR_FULL;
    }
    event->type = span_from_cstr(event_type);
    event->related_object = ((const struct resource_header *)document)->id;
    ASSERT(event->type.size <= RESOURCE_EVENT_TYPE_MAX);
    TRY(op->doom);
    TRY(type_note(op, event->type));
    event->api_version = SPAN(RESOURCE_API_VERSION);
    if (op->request != NULL) {
        event->request_id = span_from_cstr(op->request->request_id);
        if (op->request->api_version.size > 0) {
            event->api_version = op->request->api_version;
        }
    }
    event->idempotency_key = resource_idempotency_shown(op);
    event->object = resource_render_text(op, type, document);
    if (event->object.size == 0) {
        return ERR_FULL;
    }
    event->previous = previous;
    if (previous.size == 0 && span_ends_with(event->type, SPAN(".updated"))) {
        TRY(resource_changed(op, type, document, event->object, &event->previous));
    }
    event->trace = resource_trace_parent(op);
    TRY(resource_save(op, &resource_event_type, event));
    op->emitted_document = document;
    op->emitted_text = event->object;
    op->emitted_id = event->header.id;
    LIST_FOREACH_SAFE (&op->runtime->event_listeners, link) {
        const struct resource_event_listener *listener =
            CONTAINER_OF(link, struct resource_event_listener, link);
        listener->emitted(listener->context, op->caller.scope);
    }
    const struct resource_event_watch *watch = op->runtime->event_watch;
    if (watch != NULL && watch->written != NULL) {
        return watch->written(watch->context, op, event);
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------- deliverers */

void
resource_listen_events(struct resource_runtime *runtime, struct resource_event_listener *listener)
{
    list_push_back(&runtime->event_listeners, &listener->link);
}

void
resource_watch_events(struct resource_runtime *runtime, const struct resource_event_watch *watch)
{
    runtime->event_watch = watch;
}

struct span
resource_event_text(
    struct resource_op *op,
    const struct resource_event *event,
    struct span api_version,
    int64_t pending_webhooks)
{
    struct resource_event shown = *event;
    shown.api_version = api_version;
    shown.pending_is_given = true;
    shown.pending_webhooks = pending_webhooks;
    return resource_render_text(op, &resource_event_type, &shown);
}

bool
resource_event_type_is_known(struct resource_runtime *runtime, struct span type)
{
    return type_known(runtime, type, hash_keyed(runtime->hash_key, type));
}
