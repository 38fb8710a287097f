#include "documents.h"

#include "base/assert.h"
#include "resource/fields.h"

#include <string.h>

#define EVENT_PREFIX    "evt_"
#define DELIVERY_PREFIX "dlv_"
#define PREFIX_SIZE     (sizeof(EVENT_PREFIX) - 1)
static_assert(sizeof(EVENT_PREFIX) == sizeof(DELIVERY_PREFIX), "only the letters change");

static const struct resource_field endpoint_fields[] = {
    RECIPIENT_FIELDS(events_endpoint, recipient),
    RESOURCE_JSON(events_endpoint, enabled_events),
    RESOURCE_TEXT(events_endpoint, api_version),
    RESOURCE_TEXT(events_endpoint, description),
    RESOURCE_JSON(events_endpoint, metadata),
    RESOURCE_BOOLEAN(events_endpoint, disabled),
    RESOURCE_BOOLEAN(events_endpoint, disabled_by_us),
    RESOURCE_INTEGER_COLUMN(events_endpoint, number, EVENTS_ENDPOINT_NUMBER),
    RESOURCE_INTEGER(events_endpoint, failing_since),
};

static const struct resource_field deleted_fields[] = {
    RESOURCE_INTEGER_COLUMN(events_deleted_endpoint, number, EVENTS_ENDPOINT_NUMBER),
};

static const struct resource_field delivery_fields[] = {
    RESOURCE_TEXT(events_delivery, event),
    RESOURCE_TEXT(events_delivery, type),
    RESOURCE_TEXT_COLUMN(events_delivery, endpoint, EVENTS_DELIVERY_ENDPOINT),
    RESOURCE_TEXT_COLUMN(events_delivery, status, EVENTS_DELIVERY_STATUS),
    RESOURCE_INTEGER_COLUMN(events_delivery, queue, EVENTS_DELIVERY_QUEUE),
    RESOURCE_INTEGER(events_delivery, due),
    RESOURCE_INTEGER(events_delivery, expires),
    RESOURCE_INTEGER_COLUMN(events_delivery, undelivered, EVENTS_DELIVERY_UNDELIVERED),
    RESOURCE_INTEGER(events_delivery, attempt_count),
    RESOURCE_INTEGER(events_delivery, tries),
    RESOURCE_INTEGER(events_delivery, pending_webhooks),
    RESOURCE_JSON(events_delivery, attempts),
    RESOURCE_INTEGER(events_delivery, ended),
};

static const struct resource_field cursor_fields[] = {
    RESOURCE_TEXT_COLUMN(events_cursor, event, EVENTS_CURSOR_EVENT),
    RESOURCE_INTEGER_COLUMN(events_cursor, active, EVENTS_CURSOR_ACTIVE),
};

#define NUMBER_COLUMN                                                                              \
    {                                                                                              \
        .name = "number", .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true,        \
        .unique = true                                                                             \
    }

static const struct document_kind endpoint_kind = {
    .name = "webhook_endpoint",
    .columns = {NUMBER_COLUMN},
    .column_count = 1,
};
static const struct document_kind deleted_kind = {
    .name = "deleted_webhook_endpoint",
    .columns = {NUMBER_COLUMN},
    .column_count = 1,
};
static const struct document_kind delivery_kind = {
    .name = "webhook_delivery",
    .columns =
        {
            RESOURCE_INDEXED("endpoint"),
            RESOURCE_SWEPT("queue"),
            {.name = "undelivered", .type = DOCUMENT_INTEGER, .indexed = true},
            {.name = "status", .type = DOCUMENT_TEXT},
        },
    .column_count = 4,
};
static const struct document_kind cursor_kind = {
    .name = "webhook_cursor",
    .columns =
        {
            {.name = "event", .type = DOCUMENT_TEXT},
            RESOURCE_SWEPT("active"),
        },
    .column_count = 2,
};

const struct document_kind *const events_kinds[] = {
    &endpoint_kind,
    &deleted_kind,
    &delivery_kind,
    &cursor_kind,
};
const uint32_t events_kind_count = sizeof(events_kinds) / sizeof(events_kinds[0]);

const struct resource_type events_endpoint_type = {
    .object = "webhook_endpoint",
    .prefix = "we_",
    .kind = &endpoint_kind,
    RESOURCE_FIELDS(endpoint_fields),
    .struct_size = sizeof(struct events_endpoint),
    .render = events_endpoint_render,
    .permission = "webhook_endpoints",
};
const struct resource_type events_deleted_endpoint_type = {
    .object = "webhook_endpoint",
    .prefix = "we_",
    .kind = &deleted_kind,
    RESOURCE_FIELDS(deleted_fields),
    .struct_size = sizeof(struct events_deleted_endpoint),
    .render = events_deleted_endpoint_render,
};
const struct resource_type events_delivery_type = {
    .object = "webhook_delivery",
    .prefix = DELIVERY_PREFIX,
    .kind = &delivery_kind,
    RESOURCE_FIELDS(delivery_fields),
    .struct_size = sizeof(struct events_delivery),
    .render = events_delivery_render,
};
/* Never shown. */
const struct resource_type events_cursor_type = {
    .object = "webhook_cursor",
    .prefix = "whc_",
    .kind = &cursor_kind,
    RESOURCE_FIELDS(cursor_fields),
    .struct_size = sizeof(struct events_cursor),
};

/* ---------------------------------------------------------------------------------------- names */

int64_t
events_queue_key(int64_t number, int64_t due_ms)
{
    ASSERT(number >= 1);
    ASSERT(number <= EVENTS_NUMBER_MAX);
    ASSERT(due_ms >= 0);
    ASSERT(due_ms <= EVENTS_DUE_MAX);
    return number << EVENTS_DUE_BITS | due_ms;
}

static struct span
digits_of(struct span event_id)
{
    u128 unused;
    return id_parse(EVENT_PREFIX, event_id, &unused)
               ? span_slice(event_id, PREFIX_SIZE, event_id.size)
               : SPAN_EMPTY;
}

struct span
events_delivery_id(struct arena *arena, struct span event_id, int64_t number)
{
    struct span digits = digits_of(event_id);
    if (digits.size == 0) {
        return SPAN_EMPTY;
    }
    return arena_format(arena, DELIVERY_PREFIX "%.*s_%lld", SPAN_PRINTF(digits), (long long)number);
}

/* '~' sorts behind '_', and both behind every digit; an id without a number before all of its
 * deliveries. */
struct span
events_delivery_above(struct arena *arena, struct span event_id, bool own)
{
    if (event_id.size == 0) {
        return SPAN_EMPTY;
    }
    struct span digits = digits_of(event_id);
    return arena_format(arena, DELIVERY_PREFIX "%.*s%s", SPAN_PRINTF(digits), own ? "" : "~");
}

struct span
events_delivery_below(struct arena *arena, struct span event_id, bool own)
{
    if (event_id.size == 0) {
        return SPAN_EMPTY;
    }
    struct span digits = digits_of(event_id);
    return arena_format(arena, DELIVERY_PREFIX "%.*s%s", SPAN_PRINTF(digits), own ? "~" : "");
}

struct span
events_delivery_event(struct span delivery_id, char out[ID_TEXT_SIZE])
{
    ASSERT(delivery_id.size > PREFIX_SIZE + ID_DIGITS);
    memcpy(out, EVENT_PREFIX, PREFIX_SIZE);
    memcpy(out + PREFIX_SIZE, delivery_id.data + PREFIX_SIZE, ID_DIGITS);
    out[PREFIX_SIZE + ID_DIGITS] = '\0';
    return span_of(out, PREFIX_SIZE + ID_DIGITS);
}
