/*
 * Requests to participants: one POST each, signed like a webhook, and what its answer says.
 *
 *     {"id": "dtx_...", "object": "transaction_request", "action": "prepare", ...}
 *     200 {"state": "prepared"}            unknown prepared committed aborted refused
 *     409 {"reason": "..."}                as refused
 *     anything else                        not known: the request is repeated
 */
#include "private.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/share.h"
#include "callback/signature.h"
#include "callback/url.h"
#include "json/json.h"
#include "json/json_in.h"

#include <string.h>

#define USER_AGENT   "Tael/1.0 (transactions)"
#define CONTENT_TYPE "application/json; charset=utf-8"
#define BODY_SIZE    (6 * COORDINATOR_DATA_MAX + 2048)
#define VALUES_MAX   64  /* of an answer */
#define REASON_SIZE  200 /* bytes of a participant's words that are kept */
#define STATUS_OK    200
#define STATUS_NO    409

/* The statuses whose body says something. */
static bool
is_answer(unsigned status)
{
    return status == STATUS_OK || status == STATUS_NO;
}

static const char *
action_name(enum coordinator_action action)
{
    switch (action) {
    case COORDINATOR_ASK_PREPARE:
        return "prepare";
    case COORDINATOR_ASK_COMMIT:
        return "commit";
    case COORDINATOR_ASK_ABORT:
        return "abort";
    case COORDINATOR_ASK_STATUS:
        return "status";
    }
    UNREACHABLE();
}

/* ------------------------------------------------------------------------------------- its span */

static void
trace_begin(struct coordinator_call *call, const struct coordinator_participant *participant)
{
    struct trace_context parent = resource_op_trace(call->exchange->op);
    trace_span_start(&parent, TRACE_CLIENT, "participant", &call->span);
    trace_span_set_name(&call->span, "POST", "participant");
    trace_span_label(&call->span, "http.request.method", "POST");
    trace_span_text(&call->span, "server.address", call->http.host);
    trace_span_number(&call->span, "server.port", call->http.port);
    trace_span_text(&call->span, "tael.participant", participant->header.id);
    trace_span_text(&call->span, "tael.transaction", call->exchange->transaction->header.id);
    trace_span_label(&call->span, "tael.transaction.action", action_name(call->action));
    call->http.trace = call->span.context;
}

static void
trace_end(struct coordinator_call *call)
{
    err_t error = call->http.error;
    if (error == ERR_OK) {
        trace_span_number(&call->span, "http.response.status_code", call->http.status);
    }
    if (error != ERR_OK) {
        trace_span_fail(
            &call->span, err_name(error == ERR_OUTCOME_UNKNOWN ? call->http.cause : error));
    } else if (call->said == COORDINATOR_SAID_NOTHING) {
        trace_span_fail(&call->span, is_answer(call->http.status) ? "answer" : "status");
    }
    trace_span_end(&call->span);
}

/* ----------------------------------------------------------------------------------- the answer */

/* Not in the middle of a character. */
static struct span
shortened(struct span text)
{
    size_t size = text.size < REASON_SIZE ? text.size : REASON_SIZE;
    while (size > 0 && !span_is_utf8(span_slice(text, 0, size))) {
        size--;
    }
    return span_slice(text, 0, size);
}

static enum coordinator_said
said_of(struct span state)
{
    static const struct {
        const char *state;
        enum coordinator_said said;
    } words[] = {
        {"unknown", COORDINATOR_SAID_UNKNOWN},
        {"prepared", COORDINATOR_SAID_PREPARED},
        {"committed", COORDINATOR_SAID_COMMITTED},
        {"aborted", COORDINATOR_SAID_ABORTED},
        {"refused", COORDINATOR_SAID_ABORTED},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_equal_cstr(state, words[i].state)) {
            return words[i].said;
        }
    }
    return COORDINATOR_SAID_NOTHING;
}

static void
read_answer(struct coordinator_call *call)
{
    struct arena *arena = resource_op_arena(call->exchange->op);
    struct json_value *root = NULL;
    struct json_problem problem;
    struct span state = SPAN_EMPTY;
    struct span reason = SPAN_EMPTY;
    if (!is_answer(call->http.status)) {
        call->reason = arena_format(arena, "It answered with the status %u.", call->http.status);
        return;
    }
    if (json_read(call->http.answer, arena, VALUES_MAX, &root, &problem) == ERR_OK) {
        const struct json_value *said = json_value_member(root, SPAN("state"));
        const struct json_value *why = json_value_member(root, SPAN("reason"));
        if (said != NULL && said->kind == JSON_KIND_TEXT) {
            state = said->text;
        }
        if (why != NULL && why->kind == JSON_KIND_TEXT) {
            reason = why->text;
        }
    }
    call->reason = arena_copy(arena, shortened(reason));
    call->said = call->http.status == STATUS_NO ? COORDINATOR_SAID_ABORTED : said_of(state);
    if (call->said == COORDINATOR_SAID_NOTHING) {
        call->reason = SPAN("Its answer has no `state` that there is.");
    }
}

static enum coordinator_outcome
outcome_of(const struct coordinator_call *call)
{
    static const enum coordinator_said wanted[] = {
        [COORDINATOR_ASK_PREPARE] = COORDINATOR_SAID_PREPARED,
        [COORDINATOR_ASK_COMMIT] = COORDINATOR_SAID_COMMITTED,
        [COORDINATOR_ASK_ABORT] = COORDINATOR_SAID_ABORTED,
    };

    if (call->said == COORDINATOR_SAID_NOTHING) {
        return COORDINATOR_FAILED;
    }
    return call->action == COORDINATOR_ASK_STATUS || call->said == wanted[call->action]
               ? COORDINATOR_CONFIRMED
               : COORDINATOR_REFUSED;
}

static uint32_t *
share_of(const struct coordinator_exchange *exchange)
{
    uint64_t scope = resource_op_caller(exchange->op)->scope;
    return &exchange->coordinator->shares[scope % COORDINATOR_SHARES];
}

/* A merchant's mode has its share: its participants may hang, and others' payments are declined if
 * theirs cannot be asked. */
static bool
room_take(const struct coordinator_exchange *exchange)
{
    struct coordinator *coordinator = exchange->coordinator;
    uint32_t *share = share_of(exchange);
    uint64_t left = coordinator->parts.settings.in_flight_max - coordinator->in_flight;
    if (share_room(*share, left) == 0) {
        return false;
    }
    (*share)++;
    coordinator->in_flight++;
    return true;
}

static void
room_give_back(const struct coordinator_exchange *exchange)
{
    uint32_t *share = share_of(exchange);
    ASSERT(*share > 0);
    (*share)--;
    exchange->coordinator->in_flight--;
}

static void
call_done(struct port_http_request *request)
{
    struct coordinator_call *call = CONTAINER_OF(request, struct coordinator_call, http);
    struct coordinator_exchange *exchange = call->exchange;
    ASSERT(exchange->waiting > 0);
    room_give_back(exchange);
    if (request->error == ERR_OK) {
        read_answer(call);
    } else {
        bool sent = request->error == ERR_OUTCOME_UNKNOWN;
        call->reason = span_from_cstr(err_text(sent ? request->cause : request->error));
    }
    coordinator_count(&exchange->coordinator->requests[outcome_of(call)]);
    trace_end(call);
    exchange->waiting--;
    if (exchange->waiting == 0) {
        exchange->done(exchange);
    }
}

/* ---------------------------------------------------------------------------------- the request */

static err_t
write_body(
    const struct coordinator_exchange *exchange,
    uint32_t member,
    enum coordinator_action action,
    struct span *ret_body)
{
    const struct coordinator_transaction *transaction = exchange->transaction;
    char *memory = arena_alloc(resource_op_arena(exchange->op), BODY_SIZE);
    struct buf body;
    struct json_writer json;
    if (memory == NULL) {
        return ERR_FULL;
    }
    buf_init_fixed(&body, memory, BODY_SIZE);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_text(&json, "id", transaction->header.id);
    json_member_cstr(&json, "object", "transaction_request");
    json_member_cstr(&json, "action", action_name(action));
    json_member_i64(&json, "amount", transaction->amount);
    json_member_i64(&json, "created", transaction->header.created);
    json_member_text(&json, "currency", transaction->currency);
    json_member_text(&json, "data", transaction->members[member].data);
    json_member_bool(&json, "livemode", transaction->header.livemode);
    json_member_text(&json, "owner", transaction->owner);
    json_member_text(&json, "participant", transaction->members[member].participant);
    json_object_end(&json);
    if (buf_failed(&body)) {
        return ERR_RANGE;
    }
    *ret_body = buf_span(&body);
    return ERR_OK;
}

static err_t
sign(struct coordinator_call *call, const struct coordinator_participant *participant)
{
    buf_init_fixed(&call->signature, call->signature_text, sizeof(call->signature_text));
    return recipient_sign(
        call->exchange->coordinator->parts.keys,
        participant->header.id,
        &participant->recipient,
        (int64_t)resource_now_s(call->exchange->op),
        call->http.body,
        &call->signature);
}

static void
fill_headers(struct coordinator_call *call)
{
    struct resource_op *op = call->exchange->op;
    struct span id = call->exchange->transaction->header.id;
    uint32_t count = 0;
    call->headers[count++] =
        (struct port_http_header){SPAN(CALLBACK_SIGNATURE_HEADER), buf_span(&call->signature)};
    call->headers[count++] = (struct port_http_header){SPAN("User-Agent"), SPAN(USER_AGENT)};
    call->headers[count++] = (struct port_http_header){SPAN("Accept"), SPAN("application/json")};
    /* The same whenever it is asked again. */
    call->headers[count++] = (struct port_http_header){
        SPAN("Idempotency-Key"),
        arena_format(resource_op_arena(op), "%.*s/%s", SPAN_PRINTF(id), action_name(call->action))};
    if (trace_context_is_set(&call->span.context)) {
        tracecontext_format(&call->span.context, call->trace_parent);
        call->headers[count++] =
            (struct port_http_header){SPAN("traceparent"), span_from_cstr(call->trace_parent)};
    }
    ASSERT(count <= COORDINATOR_HEADER_COUNT);
    call->http.headers = call->headers;
    call->http.header_count = count;
}

/* Everything but the time. ERR_DENIED: it is disabled, and would be asked for something new. */
static err_t
prepare_call(struct coordinator_call *call, uint32_t member)
{
    struct coordinator_exchange *exchange = call->exchange;
    const struct coordinator_settings *settings = &exchange->coordinator->parts.settings;
    struct span id = exchange->transaction->members[member].participant;
    struct callback_url url;
    void *found;
    TRY(resource_load(exchange->op, &coordinator_participant_type, id, &found));
    const struct coordinator_participant *participant = found;
    if (participant->disabled && call->action == COORDINATOR_ASK_PREPARE) {
        return ERR_DENIED;
    }
    if (callback_url_parse(participant->recipient.url, &url) != NULL) {
        return ERR_CORRUPT; /* it was checked before it was stored */
    }
    call->http = (struct port_http_request){
        .reply_to = resource_op_executor(exchange->op),
        .done = call_done,
        .host = url.host,
        .port = url.port,
        .tls = url.tls,
        .target = url.target,
        .content_type = SPAN(CONTENT_TYPE),
        .reach = participant->header.livemode ? settings->live_reach : settings->test_reach,
        .scope = resource_op_caller(exchange->op)->scope,
    };
    TRY(write_body(exchange, member, call->action, &call->http.body));
    TRY(sign(call, participant));
    trace_begin(call, participant);
    fill_headers(call);
    return ERR_OK;
}

static void
not_sent(struct coordinator_call *call, err_t error)
{
    trace_span_fail(&call->span, err_name(error));
    trace_span_end(&call->span);
    call->reason = error == ERR_DENIED ? SPAN("It is disabled.") : span_from_cstr(err_text(error));
    coordinator_count(&call->exchange->coordinator->requests[COORDINATOR_FAILED]);
}

void
coordinator_exchange_add(
    struct coordinator_exchange *exchange, uint32_t member, enum coordinator_action action)
{
    ASSERT(member < COORDINATOR_MEMBERS_MAX);
    ASSERT(exchange->waiting == 0);
    struct coordinator_call *call = &exchange->calls[member];
    *call = (struct coordinator_call){.exchange = exchange, .used = true, .action = action};
    err_t error = prepare_call(call, member);
    if (error == ERR_OK) {
        call->sent = true;
        return;
    }
    not_sent(call, error);
}

void
coordinator_exchange_send(struct coordinator_exchange *exchange, int64_t timeout_ms)
{
    ASSERT(timeout_ms > 0);
    struct port_http *http = exchange->coordinator->parts.http;
    for (uint32_t i = 0; i < COORDINATOR_MEMBERS_MAX; i++) {
        struct coordinator_call *call = &exchange->calls[i];
        if (call->sent && !room_take(exchange)) {
            call->sent = false;
            not_sent(call, ERR_BUSY);
        }
        exchange->waiting += call->sent ? 1 : 0;
    }
    if (exchange->waiting == 0) {
        exchange->done(exchange);
        return;
    }
    for (uint32_t i = 0; i < COORDINATOR_MEMBERS_MAX; i++) {
        if (exchange->calls[i].sent) {
            exchange->calls[i].http.timeout_ms = (uint32_t)timeout_ms;
            http->send(http, &exchange->calls[i].http);
        }
    }
}
