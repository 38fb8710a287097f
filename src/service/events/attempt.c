/* One attempt: the request, its way out and back. */
#include "service.h"

#include "base/assert.h"
#include "callback/signature.h"
#include "callback/url.h"

#include <stdlib.h>
#include <string.h>

static const char *const outcome_names[EVENTS_OUTCOME_COUNT] = {
    [EVENTS_SUCCEEDED] = "succeeded",
    [EVENTS_STATUS] = "status",
    [EVENTS_REDIRECT] = "redirect",
    [EVENTS_TIMEOUT] = "timed_out",
    [EVENTS_HOST_NOT_FOUND] = "host_not_found",
    [EVENTS_ADDRESS_REFUSED] = "address_refused",
    [EVENTS_NOT_CONNECTED] = "not_connected",
    [EVENTS_TLS_FAILED] = "tls_failed",
    [EVENTS_BROKEN] = "connection_broken",
    [EVENTS_NOT_SENT] = "not_sent",
};

const char *
events_outcome_name(enum events_outcome outcome)
{
    ASSERT(outcome < EVENTS_OUTCOME_COUNT);
    return outcome_names[outcome];
}

/* --------------------------------------------------------------------------------------- making */

static err_t
sign(struct events_attempt *attempt, const struct events_endpoint *endpoint, struct span body)
{
    struct buf signature;
    buf_init_fixed(&signature, attempt->signature, sizeof(attempt->signature));
    TRY(recipient_sign(
        attempt->target->events->keys.all,
        endpoint->header.id,
        &endpoint->recipient,
        attempt->began,
        body,
        &signature));
    attempt->signature_size = signature.size;
    return ERR_OK;
}

static struct span
keep(char **at, struct span text)
{
    char *to = *at;
    memcpy(to, text.data, text.size);
    *at += text.size;
    return span_of(to, text.size);
}

static void
copy_text(char *out, size_t room, struct span text)
{
    ASSERT(text.size < room);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void
fill_headers(struct events_attempt *attempt)
{
    uint32_t count = 0;
    attempt->headers[count++] = (struct port_http_header){
        SPAN(CALLBACK_SIGNATURE_HEADER), span_of(attempt->signature, attempt->signature_size)};
    attempt->headers[count++] =
        (struct port_http_header){SPAN("User-Agent"), SPAN(EVENTS_USER_AGENT)};
    attempt->headers[count++] = (struct port_http_header){SPAN("Accept"), SPAN("*/*")};
    /* The same in every attempt: whoever sees it twice has had the event before. */
    attempt->headers[count++] =
        (struct port_http_header){SPAN("Idempotency-Key"), span_from_cstr(attempt->event)};
    attempt->headers[count++] =
        (struct port_http_header){SPAN("traceparent"), span_from_cstr(attempt->traceparent)};
    ASSERT(count <= sizeof(attempt->headers) / sizeof(attempt->headers[0]));
    attempt->request.headers = attempt->headers;
    attempt->request.header_count = count;
}

/* The attempt is a trace of its own, which begins when it is prepared: the delivery may be made
 * much later than the event, and often. */
static void
trace_begin(
    struct events_attempt *attempt, const struct events_endpoint *endpoint, struct span caused_by)
{
    const struct events_parts *parts = &attempt->target->events->parts;
    struct trace_root root = {
        .kind = TRACE_CLIENT,
        .name = "webhook",
        .random = os_random_u128(parts->entropy),
    };
    (void)tracecontext_parse(caused_by, &root.link);
    trace_root_start(parts->recorder, &root, &attempt->span);
    tracecontext_format(&attempt->span.context, attempt->traceparent);
    trace_span_set_name(&attempt->span, "POST", "webhook");
    trace_span_label(&attempt->span, "http.request.method", "POST");
    trace_span_text(&attempt->span, "server.address", attempt->request.host);
    trace_span_number(&attempt->span, "server.port", attempt->request.port);
    trace_span_text(&attempt->span, "tael.event", span_from_cstr(attempt->event));
    trace_span_text(&attempt->span, "tael.webhook_endpoint", endpoint->header.id);
    attempt->request.trace = attempt->span.context;
}

static void
trace_end(struct events_attempt *attempt)
{
    if (attempt->status != 0) {
        trace_span_number(&attempt->span, "http.response.status_code", attempt->status);
    }
    if (attempt->outcome != EVENTS_SUCCEEDED) {
        trace_span_fail(&attempt->span, events_outcome_name(attempt->outcome));
    }
    trace_span_end(&attempt->span);
}

/* EVENTS-4: counted from when it is prepared, not only from when it is sent. */
static void
room_take(struct events_attempt *attempt)
{
    struct events_target *target = attempt->target;
    struct events *events = target->events;
    attempt->holds_room = true;
    attempt->target_was_failing = target->failures > 0;
    target->in_flight_count++;
    target->scope->in_flight++;
    events->in_flight++;
    events->in_flight_failing += attempt->target_was_failing ? 1 : 0;
    events->bytes_in_flight += attempt->size;
    target->scope->bytes_in_flight += attempt->size;
    atomic_store(&events->in_flight_shown, events->in_flight);
}

static void
room_give_back(struct events_attempt *attempt)
{
    struct events_target *target = attempt->target;
    struct events *events = target->events;
    if (!attempt->holds_room) {
        return;
    }
    ASSERT(target->in_flight_count > 0);
    attempt->holds_room = false;
    target->in_flight_count--;
    ASSERT(target->scope->in_flight > 0);
    target->scope->in_flight--;
    events->in_flight--;
    events->in_flight_failing -= attempt->target_was_failing ? 1 : 0;
    events->bytes_in_flight -= attempt->size;
    ASSERT(target->scope->bytes_in_flight >= attempt->size);
    target->scope->bytes_in_flight -= attempt->size;
    atomic_store(&events->in_flight_shown, events->in_flight);
}

static void attempt_done(struct port_http_request *request);

static void
fill_request(
    struct events_attempt *attempt,
    const struct events_endpoint *endpoint,
    const struct callback_url *url,
    struct span body)
{
    struct events *events = attempt->target->events;
    const struct events_settings *settings = &events->parts.settings;
    struct port_http_request *request = &attempt->request;
    char *at = attempt->memory;
    attempt->url = keep(&at, endpoint->recipient.url);
    request->host = keep(&at, url->host);
    request->target = keep(&at, url->target);
    request->body = keep(&at, body);
    request->port = url->port;
    request->tls = url->tls;
    request->content_type = SPAN(EVENTS_CONTENT_TYPE);
    request->timeout_ms = (uint32_t)settings->timeout_ms;
    request->reach = endpoint->header.livemode ? settings->live_reach : settings->test_reach;
    request->scope = attempt->target->scope->number;
    request->reply_to = os_loop_executor(events->parts.loop);
    request->done = attempt_done;
}

err_t
events_attempt_create(
    struct events_target *target,
    const struct events_endpoint *endpoint,
    const struct events_delivery *delivery,
    struct span body,
    struct span caused_by,
    struct events_attempt **ret_attempt)
{
    struct callback_url url;
    if (callback_url_parse(endpoint->recipient.url, &url) != NULL) {
        return ERR_CORRUPT; /* it was checked before it was stored */
    }
    size_t size = sizeof(struct events_attempt) + endpoint->recipient.url.size + url.host.size +
                  url.target.size + body.size;
    struct events_attempt *attempt = calloc(1, size);
    if (attempt == NULL) {
        return ERR_MEMORY;
    }
    attempt->target = target;
    attempt->size = size;
    attempt->began = events_now_ms(target->events) / 1000;
    copy_text(attempt->delivery, sizeof(attempt->delivery), delivery->header.id);
    copy_text(attempt->event, sizeof(attempt->event), delivery->event);
    err_t result = sign(attempt, endpoint, body);
    if (result != ERR_OK) {
        free(attempt);
        return result;
    }
    fill_request(attempt, endpoint, &url, body);
    trace_begin(attempt, endpoint, caused_by);
    fill_headers(attempt);
    room_take(attempt);
    *ret_attempt = attempt;
    return ERR_OK;
}

void
events_attempt_destroy(struct events_attempt *attempt)
{
    room_give_back(attempt);
    trace_span_end(&attempt->span); /* it was never sent */
    free(attempt);
}

/* ------------------------------------------------------------------------------- there and back */

void
events_attempt_send(struct events_attempt *attempt)
{
    struct events *events = attempt->target->events;
    events->parts.http->send(events->parts.http, &attempt->request);
}

static enum events_outcome
outcome_of_status(unsigned status)
{
    if (status >= 200 && status < 300) {
        return EVENTS_SUCCEEDED;
    }
    return status >= 300 && status < 400 ? EVENTS_REDIRECT : EVENTS_STATUS;
}

static enum events_outcome
outcome_of(const struct port_http_request *request)
{
    err_t error = request->error == ERR_OUTCOME_UNKNOWN ? request->cause : request->error;
    bool sent = request->error == ERR_OUTCOME_UNKNOWN;
    switch (error) {
    case ERR_OK:
        return outcome_of_status(request->status);
    case ERR_TIMEOUT:
        return EVENTS_TIMEOUT;
    case ERR_NOT_FOUND:
        return EVENTS_HOST_NOT_FOUND;
    case ERR_DENIED:
        return EVENTS_ADDRESS_REFUSED;
    case ERR_CRYPTO:
        return EVENTS_TLS_FAILED;
    case ERR_CLOSED:
        return sent ? EVENTS_BROKEN : EVENTS_NOT_CONNECTED;
    default:
        return sent ? EVENTS_BROKEN : EVENTS_NOT_SENT;
    }
}

static void
attempt_done(struct port_http_request *request)
{
    struct events_attempt *attempt = CONTAINER_OF(request, struct events_attempt, request);
    struct events_target *target = attempt->target;
    struct events *events = target->events;
    attempt->outcome = outcome_of(request);
    if (events->draining && request->error != ERR_OK) {
        attempt->outcome = EVENTS_NOT_SENT; /* cut off by our own end: the next start makes it */
    }
    attempt->status = request->status;
    trace_end(attempt);
    attempt->duration_ms = (int64_t)(request->duration_ns / OS_NS_PER_MS);
    attempt->answer_size =
        request->answer.size < EVENTS_ANSWER_KEPT ? request->answer.size : EVENTS_ANSWER_KEPT;
    attempt->cut = request->cut || attempt->answer_size < request->answer.size;
    if (attempt->answer_size > 0) {
        memcpy(attempt->answer, request->answer.data, attempt->answer_size);
    }
    room_give_back(attempt);
    events_count(&events->outcomes[attempt->outcome], 1);
    list_remove(&attempt->link);
    list_push_back(&target->finished, &attempt->link);
    events_worker_attempt_ended(target);
}
