#include "documents.h"

#include "service.h"

#include "json/json.h"

static void
member_object(struct json_writer *json, const char *name, struct span value)
{
    json_member_raw(json, name, value.size > 0 ? value : SPAN("{}"));
}

static void
member_moment(struct json_writer *json, const char *name, int64_t seconds)
{
    if (seconds == 0) {
        json_member_null(json, name);
    } else {
        json_member_i64(json, name, seconds);
    }
}

void
events_endpoint_render(struct resource_render *render, const void *document)
{
    const struct events_endpoint *endpoint = document;
    struct json_writer *json = resource_render_json(render);
    struct span events = endpoint->enabled_events;
    json_object_begin(json);
    resource_render_header(render, &events_endpoint_type, endpoint);
    json_member_text_or_null(json, "api_version", endpoint->api_version);
    json_member_null(json, "application");
    json_member_text_or_null(json, "description", endpoint->description);
    json_member_raw(json, "enabled_events", events.size > 0 ? events : SPAN("[]"));
    member_object(json, "metadata", endpoint->metadata);
    if (endpoint->recipient.shown_secret.size > 0) {
        json_member_text(json, "secret", endpoint->recipient.shown_secret);
    }
    json_member_cstr(json, "status", endpoint->disabled ? "disabled" : "enabled");
    json_member_text(json, "url", endpoint->recipient.url);
    json_object_end(json);
}

void
events_deleted_endpoint_render(struct resource_render *render, const void *document)
{
    resource_render_deleted(render, &events_deleted_endpoint_type, document);
}

/* What is sent in every attempt; null when the event's time is over. */
static void
member_body(struct resource_render *render, const struct events_delivery *delivery)
{
    struct resource_op *op = resource_render_op(render);
    struct json_writer *json = resource_render_json(render);
    struct span body = SPAN_EMPTY;
    void *event = NULL;
    void *endpoint = NULL;
    if (delivery->event.size > 0 &&
        resource_load(op, &resource_event_type, delivery->event, &event) == ERR_OK) {
        struct span version = ((const struct resource_event *)event)->api_version;
        if (resource_load(op, &events_endpoint_type, delivery->endpoint, &endpoint) == ERR_OK) {
            version = ((const struct events_endpoint *)endpoint)->api_version;
        }
        body = resource_event_text(op, event, version, delivery->pending_webhooks);
    }
    json_member_text_or_null(json, "request_body", body);
}

void
events_delivery_render(struct resource_render *render, const void *document)
{
    const struct events_delivery *delivery = document;
    struct json_writer *json = resource_render_json(render);
    struct span attempts = delivery->attempts;
    json_object_begin(json);
    resource_render_header(render, &events_delivery_type, delivery);
    json_member_i64(json, "attempt_count", delivery->attempt_count);
    json_member_raw(json, "attempts", attempts.size > 0 ? attempts : SPAN("[]"));
    member_moment(json, "ended_at", delivery->ended);
    resource_render_reference(render, "event", &resource_event_type, delivery->event);
    json_member_text(json, "event_type", delivery->type);
    member_moment(json, "next_attempt_at", delivery->due / 1000);
    member_body(render, delivery);
    json_member_text(json, "status", delivery->status);
    resource_render_reference(
        render, "webhook_endpoint", &events_endpoint_type, delivery->endpoint);
    json_object_end(json);
}
