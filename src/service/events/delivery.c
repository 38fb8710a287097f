/* The delivery log, and sending an event again by hand. */
#include "service.h"

#include "base/assert.h"
#include "resource/pages.h"
#include "json/json.h"

#define BODY_LIMIT (16U << 20)

void
events_delivery_list_of_endpoint(struct resource_op *op)
{
    struct span endpoint = resource_op_capture(op, 0);
    if (resource_require(op, &events_endpoint_type, "id", endpoint) == NULL) {
        return;
    }
    struct document_filter filters[2] = {
        {.column = EVENTS_DELIVERY_ENDPOINT, .value = {.text = endpoint}},
        {.column = EVENTS_DELIVERY_STATUS},
    };
    uint32_t count = 1;
    if (resource_text(op, "status", &filters[1].value.text) && filters[1].value.text.size > 0) {
        count++;
    }
    struct span url = arena_format(
        resource_op_arena(op), "/v1/webhook_endpoints/%.*s/deliveries", SPAN_PRINTF(endpoint));
    resource_answer_list_where(op, &events_delivery_type, url, filters, count);
}

void
events_delivery_retrieve(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 1);
    void *found;
    err_t result = resource_load(op, &events_delivery_type, id, &found);
    if (result == ERR_OK &&
        !span_equal(((struct events_delivery *)found)->endpoint, resource_op_capture(op, 0))) {
        result = ERR_NOT_FOUND;
    }
    if (result == ERR_NOT_FOUND) {
        resource_missing(op, "webhook_delivery", "id", id);
    } else if (result != ERR_OK) {
        resource_internal(op, result, "webhook delivery");
    } else {
        resource_answer_object(op, &events_delivery_type, found);
    }
}

/* --------------------------------------------------------------------------------- of one event */

struct listing {
    struct resource_op *op;
    struct json_writer json;
    bool failed;
};

static bool
list_one(void *context, void *document)
{
    struct listing *listing = context;
    struct span text = resource_render_text(listing->op, &events_delivery_type, document);
    listing->failed = text.size == 0;
    if (!listing->failed) {
        json_raw(&listing->json, text);
    }
    return !listing->failed;
}

/* One for each endpoint that got it, so a page holds them all. */
void
events_delivery_list_of_event(struct resource_op *op)
{
    struct span event = resource_op_capture(op, 0);
    struct arena *arena = resource_op_arena(op);
    if (resource_require(op, &resource_event_type, "id", event) == NULL) {
        return;
    }
    struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = events_delivery_above(arena, event, true),
        .id_below = events_delivery_below(arena, event, true),
        .limit = DOCUMENT_LIST_MAX,
    };
    struct listing listing = {.op = op};
    struct buf body;
    buf_init(&body, BODY_LIMIT);
    json_begin(&listing.json, &body);
    json_object_begin(&listing.json);
    json_member_cstr(&listing.json, "object", "list");
    json_key(&listing.json, "data");
    json_array_begin(&listing.json);
    err_t result = resource_find_shown(op, &events_delivery_type, &query, list_one, &listing);
    if (result == ERR_OK && listing.failed) {
        result = ERR_FULL;
    }
    if (result != ERR_OK) {
        buf_release(&body);
        resource_internal(op, result, "webhook deliveries");
        return;
    }
    json_array_end(&listing.json);
    json_member_bool(&listing.json, "has_more", false);
    json_member_text(
        &listing.json,
        "url",
        arena_format(arena, "/v1/events/%.*s/deliveries", SPAN_PRINTF(event)));
    json_object_end(&listing.json);
    resource_answer(op, 200, &body);
}

/* --------------------------------------------------------------------------------------- resend */

/* The delivery of this event to this endpoint, due now: a new one, or the one that there was. */
static err_t
make_due(
    struct resource_op *op,
    struct events_target *target,
    const struct resource_event *event,
    struct events_delivery **ret_delivery)
{
    struct events *events = target->events;
    struct span id = events_delivery_id(resource_op_arena(op), event->header.id, target->number);
    void *found;
    err_t result = resource_load(op, &events_delivery_type, id, &found);
    if (result == ERR_NOT_FOUND) {
        const struct events_delivery wanted = {
            .event = event->header.id, .type = event->type, .pending_webhooks = 1};
        events_count(&events->created, 1);
        events_count(&events->queued, 1);
        return events_delivery_add(op, target, &wanted, ret_delivery);
    }
    TRY(result);
    struct events_delivery *delivery = found;
    int64_t now = events_now_ms(events);
    if (delivery->queue == 0) {
        events_count(&events->queued, 1);
    }
    delivery->status = SPAN("pending");
    delivery->undelivered = 1;
    delivery->tries = 0;
    delivery->ended = 0;
    delivery->expires = now + events_schedule_of(events, event->header.livemode)->for_ms;
    events_delivery_set_due(delivery, target->number, now);
    TRY(resource_save(op, &events_delivery_type, delivery));
    events_target_note_due(target, now);
    *ret_delivery = delivery;
    return ERR_OK;
}

static void
resend_to(struct resource_op *op, struct events_target *target, const struct resource_event *event)
{
    struct events_delivery *delivery;
    err_t result = make_due(op, target, event, &delivery);
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook delivery");
        return;
    }
    resource_answer_object(op, &events_delivery_type, delivery);
}

void
events_delivery_resend(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    struct span event_id = resource_op_capture(op, 0);
    struct span endpoint_id = SPAN_EMPTY;
    void *event;
    (void)resource_text(op, "webhook_endpoint", &endpoint_id);
    if (resource_require(op, &resource_event_type, "id", event_id) == NULL ||
        resource_require(op, &events_endpoint_type, "webhook_endpoint", endpoint_id) == NULL) {
        return;
    }
    struct events_scope *scope = events_scope_find(events, resource_op_caller(op)->scope);
    struct events_target *target = scope == NULL ? NULL : events_target_find(scope, endpoint_id);
    if (target == NULL || !target->enabled) {
        resource_invalid(
            op,
            NULL,
            "webhook_endpoint",
            "The webhook endpoint is disabled. Enable it first (disabled=false).");
        return;
    }
    err_t result = resource_load(op, &resource_event_type, event_id, &event);
    if (result != ERR_OK) {
        resource_internal(op, result, "event");
        return;
    }
    resend_to(op, target, event);
}
