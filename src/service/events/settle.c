/* How an attempt ended, written down: in the delivery, in the endpoint, in the target's pace. */
#include "service.h"

#include "schedule.h"

#include "base/assert.h"
#include "trace/log.h"
#include "json/json.h"
#include "json/json_in.h"

/* So many failures in a row at least before an endpoint is disabled, whatever the clock says. */
#define DISABLE_FAILURES_MIN 10
#define ATTEMPTS_SIZE_MAX    (1U << 20)
#define VALUES_MAX           10000

/* ----------------------------------------------------------------------------------- the record */

static void
write_attempt(struct json_writer *json, const struct events_attempt *attempt)
{
    json_object_begin(json);
    json_member_i64(json, "created", attempt->began);
    json_member_i64(json, "duration_ms", attempt->duration_ms);
    if (attempt->outcome == EVENTS_SUCCEEDED) {
        json_member_null(json, "error");
    } else {
        json_member_cstr(json, "error", events_outcome_name(attempt->outcome));
    }
    json_key(json, "request");
    json_object_begin(json);
    json_key(json, "headers");
    json_object_begin(json);
    json_member_text(json, "Content-Type", attempt->request.content_type);
    for (uint32_t i = 0; i < attempt->request.header_count; i++) {
        json_key_span(json, attempt->headers[i].name);
        json_text(json, attempt->headers[i].value);
    }
    json_object_end(json);
    json_member_text(json, "url", attempt->url);
    json_object_end(json);
    json_key(json, "response");
    if (attempt->status == 0) {
        json_null(json);
    } else {
        json_object_begin(json);
        json_member_text(json, "body", span_of(attempt->answer, attempt->answer_size));
        json_member_bool(json, "body_truncated", attempt->cut);
        json_member_i64(json, "status", attempt->status);
        json_object_end(json);
    }
    json_object_end(json);
}

/* The elements of the array from the `skip`th on, without brackets. */
static struct span
elements_from(struct span array, const struct json_value *root, uint32_t skip)
{
    const struct json_value *item = root->first_child;
    for (uint32_t i = 0; i < skip && item != NULL; i++) {
        item = item->next;
    }
    return item == NULL ? SPAN_EMPTY : span_slice(array, item->position, array.size - 1);
}

/* Appends the attempt to the delivery's; the oldest goes. */
static err_t
record(
    struct resource_op *op, struct events_delivery *delivery, const struct events_attempt *attempt)
{
    struct arena *arena = resource_op_arena(op);
    struct span older = SPAN_EMPTY;
    if (delivery->attempts.size > 0) {
        struct json_value *root;
        struct json_problem problem;
        TRY(json_read(delivery->attempts, arena, VALUES_MAX, &root, &problem));
        uint32_t skip = root->child_count >= EVENTS_ATTEMPTS_KEPT
                            ? root->child_count - EVENTS_ATTEMPTS_KEPT + 1
                            : 0;
        older = elements_from(delivery->attempts, root, skip);
    }
    struct buf text;
    struct json_writer json;
    buf_init(&text, ATTEMPTS_SIZE_MAX);
    buf_append_byte(&text, '[');
    buf_append_span(&text, older);
    if (older.size > 0) {
        buf_append_byte(&text, ',');
    }
    json_begin(&json, &text);
    write_attempt(&json, attempt);
    buf_append_byte(&text, ']');
    delivery->attempts = arena_copy(arena, buf_span(&text));
    bool failed = buf_failed(&text) || delivery->attempts.data == NULL;
    buf_release(&text);
    return failed ? ERR_FULL : ERR_OK;
}

/* --------------------------------------------------------------------------------- the delivery */

void
events_delivery_set_due(struct events_delivery *delivery, int64_t number, int64_t due_ms)
{
    delivery->due = due_ms;
    delivery->queue = due_ms == 0 ? 0 : events_queue_key(number, due_ms);
}

static void
end(struct events_target *target,
    struct events_delivery *delivery,
    struct span status,
    bool undelivered)
{
    events_delivery_set_due(delivery, 0, 0);
    delivery->status = status;
    delivery->undelivered = undelivered ? 1 : 0;
    delivery->ended = events_now_ms(target->events) / 1000;
    target->ended_now++;
}

err_t
events_cancel(
    struct resource_op *op, struct events_target *target, struct events_delivery *delivery)
{
    end(target, delivery, SPAN("canceled"), false);
    return resource_save(op, &events_delivery_type, delivery);
}

static void
give_up(
    struct events_target *target,
    struct events_delivery *delivery,
    const struct events_attempt *attempt)
{
    struct events *events = target->events;
    char trace_id[TRACECONTEXT_TRACE_ID_SIZE + 1];
    end(target, delivery, SPAN("failed"), true);
    events_count(&events->given_up, 1);
    TRACE_LOG(
        events->parts.log,
        TRACE_WARNING,
        "events",
        trace_context_id(&attempt->span.context, trace_id),
        "a webhook is given up",
        trace_text("event", delivery->event),
        trace_text("endpoint", delivery->endpoint),
        trace_i64("attempts", delivery->attempt_count));
}

err_t
events_fail(struct resource_op *op, struct events_target *target, struct events_delivery *delivery)
{
    end(target, delivery, SPAN("failed"), true);
    events_count(&target->events->given_up, 1);
    return resource_save(op, &events_delivery_type, delivery);
}

static err_t
settle_delivery(
    struct resource_op *op, struct events_target *target, const struct events_attempt *attempt)
{
    struct events *events = target->events;
    void *document = NULL;
    err_t result =
        resource_load(op, &events_delivery_type, span_from_cstr(attempt->delivery), &document);
    struct events_delivery *delivery = document;
    if (result == ERR_CORRUPT) {
        result = events_delivery_renew(op, target, span_from_cstr(attempt->delivery), &delivery);
    }
    if (result == ERR_NOT_FOUND || (result == ERR_OK && delivery == NULL)) {
        return ERR_OK; /* its time was over */
    }
    TRY(result);
    delivery->attempt_count++;
    delivery->tries++;
    TRY(record(op, delivery, attempt));
    bool pending = delivery->queue != 0;
    if (attempt->outcome == EVENTS_SUCCEEDED) {
        if (pending) {
            end(target, delivery, SPAN("succeeded"), false);
        } else {
            delivery->status = SPAN("succeeded"); /* it was canceled, and got there all the same */
            delivery->undelivered = 0;
        }
    } else if (pending) {
        int64_t now = events_now_ms(events);
        const struct events_schedule *schedule =
            events_schedule_of(events, delivery->header.livemode);
        if (now >= delivery->expires) {
            give_up(target, delivery, attempt);
        } else {
            int64_t wait =
                events_schedule_delay_ms(schedule, delivery->tries, events_random(events));
            events_delivery_set_due(delivery, target->number, now + wait);
            if (delivery->due < target->taken_due) {
                target->taken_due = delivery->due; /* the clock went back */
            }
        }
    }
    return resource_save(op, &events_delivery_type, delivery);
}

/* --------------------------------------------------------------------------------- the endpoint */

static err_t
disable(struct resource_op *op, struct events_target *target, struct events_endpoint *endpoint)
{
    struct events *events = target->events;
    endpoint->disabled = true;
    endpoint->disabled_by_us = true;
    events_count(&events->disabled, 1);
    TRACE_LOG(
        events->parts.log,
        TRACE_WARNING,
        "events",
        SPAN_EMPTY,
        "a webhook endpoint is disabled: it failed at everything for too long",
        trace_text("endpoint", endpoint->header.id),
        trace_i64("failing_since", endpoint->failing_since));
    TRY(resource_emit(
        op,
        "webhook_endpoint.disabled",
        &events_endpoint_type,
        endpoint,
        SPAN("{\"status\":\"enabled\"}")));
    TRY(events_endpoint_noted(op));
    events_scope_changed(target->scope);
    return ERR_OK;
}

static err_t
note_failure(struct resource_op *op, struct events_target *target, struct events_endpoint *endpoint)
{
    struct events *events = target->events;
    int64_t now = events_now_ms(events) / 1000;
    if (target->failures < UINT32_MAX) {
        target->failures++;
    }
    target->window = target->failures >= EVENTS_SERIES_MIN
                         ? 1
                         : events_schedule_window(target->window, UINT32_MAX, false);
    int64_t pause = events_schedule_pause_ms(
        events_schedule_of(events, (target->scope->number & 1) != 0), target->failures);
    target->pause_until_ns =
        pause == 0 ? 0 : os_monotonic_ns(events->parts.clock) + (uint64_t)pause * OS_NS_PER_MS;
    if (endpoint == NULL || endpoint->disabled) {
        return ERR_OK;
    }
    if (endpoint->failing_since == 0) {
        endpoint->failing_since = now;
    }
    if (target->failures >= DISABLE_FAILURES_MIN &&
        (now - endpoint->failing_since) * 1000 >= events->parts.settings.disable_after_ms) {
        return disable(op, target, endpoint);
    }
    return ERR_OK;
}

static void
note_success(struct events_target *target, struct events_endpoint *endpoint)
{
    uint32_t window_max = target->events->parts.settings.endpoint_in_flight_max;
    target->failures = 0;
    target->pause_until_ns = 0;
    target->window = events_schedule_window(target->window, window_max, true);
    if (endpoint != NULL) {
        endpoint->failing_since = 0;
    }
}

err_t
events_settle(
    struct resource_op *op,
    struct events_target *target,
    struct events_endpoint *endpoint,
    struct events_attempt *attempt)
{
    if (attempt->outcome == EVENTS_NOT_SENT) {
        /* Nobody's fault but ours: it is as due as before, after a moment. */
        target->pause_until_ns = os_monotonic_ns(target->events->parts.clock) + EVENTS_RETRY_NS;
        target->taken_due = 0;
        return ERR_OK;
    }
    TRY(settle_delivery(op, target, attempt));
    if (attempt->outcome == EVENTS_SUCCEEDED) {
        note_success(target, endpoint);
        return ERR_OK;
    }
    return note_failure(op, target, endpoint);
}
