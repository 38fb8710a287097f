#include "server_private.h"

#include "auth.h"

#include "base/assert.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX  (8U << 20)
#define BODY_MAX    (UINT64_C(4) << 20)
#define ARENA_MAX   (UINT64_C(12) << 20)
#define REFUSAL_MAX 1024
/* The longest time that a request may ask for. */
#define TIMEOUT_MAX_MS (UINT64_C(3600) * 1000)

/* Whose work needs the service. */
static const char *const admitted[REMOTE_SERVICE_COUNT][REMOTE_ROLES_MAX] = {
    [REMOTE_LEDGER] = {"api", "payments", "wallets", "mobile", NULL},
    [REMOTE_RAIL] = {"api", "payments", NULL},
    [REMOTE_NETWORK] = {"cards", NULL},
    [REMOTE_VAULT] = {"api", "payments", NULL},
    [REMOTE_WALLET] = {"api", "payments", "mobile", NULL},
    [REMOTE_MOBILE] = {"api", "payments", NULL},
    [REMOTE_BANK] = {"api", "wallets", NULL},
};

/* ----------------------------------------------------------------------------------- answers ---
 */

static void
write_json(struct net_answer *answer, const struct remote_table *table, const void *object)
{
    struct json_writer json;
    answer->content_type = SPAN("application/json");
    json_begin(&json, &answer->body);
    remote_fields_write(table, object, &json);
}

static void
write_refusal(
    struct net_answer *answer, err_t error, bool by_listener, const char *message, uint64_t epoch)
{
    struct remote_refusal refusal = {.by_listener = by_listener, .epoch = epoch};
    (void)snprintf(refusal.error, sizeof(refusal.error), "%s", err_name(error));
    (void)snprintf(refusal.message, sizeof(refusal.message), "%s", message);
    write_json(answer, &remote_refusal_fields, &refusal);
}

/* Nothing was done: no port has seen it (REMOTE-2). */
static void
refuse(struct net_exchange *exchange, unsigned status, err_t error, const char *message)
{
    exchange->answer.status = status;
    buf_release(&exchange->answer.body);
    buf_init(&exchange->answer.body, REFUSAL_MAX);
    write_refusal(&exchange->answer, error, true, message, 0);
}

static void
ended(struct remote_asked *asked, err_t error)
{
    const struct remote_server_parts *parts = &asked->server->parts;
    if (parts->answered != NULL) {
        const struct remote_answered answered = {
            .service = remote_service_name(asked->service),
            .operation = asked->operation,
            .trace = &asked->trace,
            .error = error,
            .duration_ns = net_now_ns() - asked->exchange->arrived_ns,
        };
        parts->answered(parts->context, &answered);
    }
    REMOTE_SERVER_COUNT(asked->server, under_way, -1);
    trace_span_end(&asked->span);
    asked->exchange->next = NULL;
    net_answer(asked->exchange);
}

static void
answer_error(struct remote_asked *asked, err_t error, uint64_t epoch)
{
    struct net_answer *answer = &asked->exchange->answer;
    ASSERT(error != ERR_OK);
    REMOTE_SERVER_COUNT(asked->server, failed, 1);
    trace_span_fail(&asked->span, err_name(error));
    /* Not one of those that make a caller's upstream try again: that is for the requester. */
    answer->status = 500;
    buf_release(&answer->body);
    buf_init(&answer->body, REFUSAL_MAX);
    write_refusal(answer, error, false, err_text(error), epoch);
    ended(asked, error);
}

void
remote_server_answer_error(struct remote_asked *asked, err_t error)
{
    answer_error(asked, error, 0);
}

void
remote_server_answer_moved(struct remote_asked *asked, uint64_t epoch)
{
    answer_error(asked, ERR_MOVED, epoch);
}

void
remote_server_answer_object(
    struct remote_asked *asked, const struct remote_table *table, const void *object)
{
    struct net_answer *answer = &asked->exchange->answer;
    answer->status = 200;
    buf_init(&answer->body, ANSWER_MAX);
    write_json(answer, table, object);
    if (buf_failed(&answer->body)) {
        /* It was done, and cannot be told. */
        remote_server_answer_error(asked, ERR_OUTCOME_UNKNOWN);
        return;
    }
    ended(asked, ERR_OK);
}

void
remote_server_answer_records(struct remote_asked *asked)
{
    asked->exchange->answer.status = 200;
    asked->exchange->answer.content_type = SPAN("application/octet-stream");
    ended(asked, ERR_OK);
}

/* --------------------------------------------------------------------------------- requests --- */

/* "/internal/v1/" and what is behind it; false: no version that anything here has. */
static bool
version_read(struct span path, uint32_t *ret_version, struct span *ret_rest)
{
    for (uint32_t version = 1; version <= REMOTE_VERSION_MAX; version++) {
        char prefix[32];
        int size = snprintf(prefix, sizeof(prefix), "/internal/v%u/", (unsigned)version);
        if (span_starts_with(path, span_of(prefix, (size_t)size))) {
            *ret_version = version;
            *ret_rest = span_slice(path, (size_t)size, path.size);
            return true;
        }
    }
    return false;
}

/* "ledger/create_transfers". */
static bool
path_read(
    struct span rest,
    uint32_t version,
    enum remote_service *ret_service,
    struct span *ret_operation)
{
    struct span name = span_cut(&rest, '/');
    for (uint32_t i = 0; i < REMOTE_SERVICE_COUNT; i++) {
        enum remote_service service = (enum remote_service)i;
        if (version <= remote_service_version(service) &&
            span_equal_cstr(name, remote_service_name(service))) {
            *ret_service = service;
            *ret_operation = rest;
            return true;
        }
    }
    return false;
}

static bool
admits_any(const struct remote_server *server, struct net_exchange *exchange)
{
    for (uint32_t i = 0; i < REMOTE_SERVICE_COUNT; i++) {
        if (remote_auth_admits(server->parts.auth, exchange, admitted[i])) {
            return true;
        }
    }
    return false;
}

/* Whether it is here, and this caller may ask it. */
static bool
serves(
    const struct remote_server *server,
    struct net_exchange *exchange,
    enum remote_service service,
    const void *port)
{
    return port != NULL && remote_auth_admits(server->parts.auth, exchange, admitted[service]);
}

static void
answer_hello(struct remote_server *server, struct net_exchange *exchange, uint32_t version)
{
    const struct remote_server_parts *parts = &server->parts;
    struct remote_hello hello = {
        .version = version,
        .ledger = serves(server, exchange, REMOTE_LEDGER, parts->ledger),
        .rail = serves(server, exchange, REMOTE_RAIL, parts->rail),
        .network = serves(server, exchange, REMOTE_NETWORK, parts->network),
        .vault = serves(server, exchange, REMOTE_VAULT, parts->vault),
        .wallet = serves(server, exchange, REMOTE_WALLET, parts->wallet),
        .mobile = serves(server, exchange, REMOTE_MOBILE, parts->mobile),
        .bank = serves(server, exchange, REMOTE_BANK, parts->bank),
        .simulated = (parts->rail != NULL && parts->rail->simulated) ||
                     (parts->bank != NULL && parts->bank->simulated) ||
                     (parts->network != NULL && parts->network->simulated),
    };
    struct buf why;
    buf_init_fixed(&why, hello.why, sizeof(hello.why) - 1);
    hello.ready = parts->ready == NULL || parts->ready(parts->context, &why);
    hello.why[why.size] = '\0';
    exchange->answer.status = 200;
    buf_init(&exchange->answer.body, REFUSAL_MAX);
    write_json(&exchange->answer, &remote_hello_fields, &hello);
}

/* The caller's time, from when its first byte came. */
static bool
deadline_read(const struct net_exchange *exchange, uint64_t *ret_deadline_ns)
{
    struct span text;
    uint64_t left_ms;
    if (!http_head_find(exchange->head, SPAN("Tael-Timeout-Ms"), &text) ||
        !span_parse_u64(text, &left_ms) || left_ms > TIMEOUT_MAX_MS) {
        return false;
    }
    *ret_deadline_ns = exchange->arrived_ns + left_ms * OS_NS_PER_MS;
    return true;
}

static struct tracecontext_headers
headers_read(const struct http_head *head)
{
    struct tracecontext_headers headers = {.parent_count = 0};
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct http_head_field *field = &head->fields[i];
        if (field->field == HTTP_FIELD_TRACEPARENT || field->field == HTTP_FIELD_TRACESTATE) {
            tracecontext_headers_add(
                &headers, http_head_text(head, field->name), http_head_text(head, field->value));
        }
    }
    return headers;
}

/* A trace that comes in from another service goes on here, with what is recorded in this process
 * below a span for the request. Without one there is nothing to go on with. */
static void
trace_begin(struct remote_asked *asked)
{
    const struct net_exchange *exchange = asked->exchange;
    const struct remote_server_parts *parts = &asked->server->parts;
    struct tracecontext_headers headers = headers_read(exchange->head);
    struct tracecontext_incoming incoming;
    tracecontext_extract(&headers, &incoming);
    asked->trace = incoming.context;
    if (!trace_context_is_set(&incoming.context) || parts->recorder == NULL) {
        return;
    }
    struct trace_root root = {
        .kind = TRACE_SERVER,
        .name = remote_service_name(asked->service),
        .start_ns = exchange->arrived_ns,
        .random = os_random_u128(parts->entropy),
        .parent = incoming.context,
        .decision = incoming.decision,
    };
    char memory[TRACECONTEXT_STATE_MAX];
    struct buf state;
    buf_init_fixed(&state, memory, sizeof(memory));
    if (incoming.has_state &&
        tracecontext_state_append(headers.states, headers.state_count, &state)) {
        root.state = buf_span(&state);
    }
    trace_root_start(parts->recorder, &root, &asked->span);
    trace_span_text(&asked->span, "rpc.method", asked->operation);
    asked->trace = asked->span.context;
}

static bool
refuse_invalid(struct remote_server *server, struct net_exchange *exchange, const char *message)
{
    REMOTE_SERVER_COUNT(server, invalid, 1);
    refuse(exchange, 400, ERR_INVALID, message);
    return true;
}

/* Hands it to a port, or refuses it: then it is true. */
static bool
ask(struct remote_server *server,
    struct net_exchange *exchange,
    uint32_t version,
    enum remote_service service,
    struct span operation)
{
    struct remote_asked *asked = ARENA_NEW(exchange->arena, struct remote_asked);
    const char *problem = "";
    if (exchange->method != HTTP_METHOD_POST) {
        return refuse_invalid(server, exchange, "requests of services are POST");
    }
    if (asked == NULL) {
        refuse(exchange, 503, ERR_MEMORY, "out of memory");
        return true;
    }
    *asked = (struct remote_asked){
        .server = server,
        .exchange = exchange,
        .service = service,
        .version = version,
        .operation = operation,
    };
    if (!deadline_read(exchange, &asked->deadline_ns)) {
        return refuse_invalid(server, exchange, "Tael-Timeout-Ms is missing or not a time");
    }
    if (net_now_ns() >= asked->deadline_ns) {
        REMOTE_SERVER_COUNT(server, late, 1);
        refuse(exchange, 408, ERR_TIMEOUT, "the request came too late");
        return true;
    }
    trace_begin(asked);
    REMOTE_SERVER_COUNT(server, requests, 1);
    REMOTE_SERVER_COUNT(server, under_way, 1);
    err_t result = remote_server_serve(asked, &problem);
    if (result == ERR_OK) {
        return false;
    }
    REMOTE_SERVER_COUNT(server, requests, -1);
    REMOTE_SERVER_COUNT(server, under_way, -1);
    REMOTE_SERVER_COUNT(server, invalid, 1);
    trace_span_fail(&asked->span, err_name(result));
    trace_span_end(&asked->span);
    refuse(
        exchange,
        result == ERR_UNSUPPORTED ? 404
        : result == ERR_MEMORY    ? 503
                                  : 400,
        result,
        problem);
    return true;
}

/* Whether it was answered already. */
static bool
on_request(struct remote_server *server, struct net_exchange *exchange)
{
    enum remote_service service = REMOTE_LEDGER;
    struct span operation = SPAN_EMPTY;
    struct span rest = SPAN_EMPTY;
    uint32_t version = 0;
    bool speaks = version_read(exchange->path, &version, &rest);
    bool hello = speaks && span_equal(rest, SPAN("hello"));
    bool found = speaks && path_read(rest, version, &service, &operation);
    bool known = found ? remote_auth_admits(server->parts.auth, exchange, admitted[service])
                       : admits_any(server, exchange);
    if (!known) {
        REMOTE_SERVER_COUNT(server, denied, 1);
        refuse(exchange, 401, ERR_DENIED, "who are you?");
        return true;
    }
    if (hello) {
        answer_hello(server, exchange, version);
        return true;
    }
    if (!found) {
        REMOTE_SERVER_COUNT(server, invalid, 1);
        refuse(exchange, 404, ERR_UNSUPPORTED, "there is no such service, or not in this version");
        return true;
    }
    return ask(server, exchange, version, service, operation);
}

static void
on_requests(void *context, struct net_exchange *first)
{
    struct remote_server *server = context;
    struct net_exchange *answered = NULL;
    while (first != NULL) {
        struct net_exchange *next = first->next;
        if (on_request(server, first)) {
            first->next = answered;
            answered = first;
        }
        first = next;
    }
    if (answered != NULL) {
        net_answer(answered);
    }
}

/* Of what net refuses nothing was done either, and the caller must be able to tell. */
static void
on_refused(void *context, struct net_exchange *exchange, const char *reason)
{
    struct remote_server *server = context;
    REMOTE_SERVER_COUNT(server, shed, 1);
    err_t error = exchange->answer.status == 503 ? ERR_BUSY : ERR_INVALID;
    buf_init(&exchange->answer.body, REFUSAL_MAX);
    write_refusal(&exchange->answer, error, true, reason, 0);
}

/* -------------------------------------------------------------------------------------- life ---
 */

struct net_server_hooks
remote_server_hooks(struct remote_server *server)
{
    return (struct net_server_hooks){
        .context = server, .on_requests = on_requests, .on_refused = on_refused};
}

struct net_server_settings
remote_server_net_settings(void)
{
    struct net_server_settings settings = net_server_settings_default;
    settings.connections_max = 4096;
    settings.requests_max = 8192;
    settings.arena_max = ARENA_MAX;
    settings.limits.body = BODY_MAX;
    return settings;
}

err_t
remote_server_create(const struct remote_server_parts *parts, struct remote_server **ret_server)
{
    struct remote_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return ERR_MEMORY;
    }
    server->parts = *parts;
    *ret_server = server;
    return ERR_OK;
}

void
remote_server_destroy(struct remote_server **server)
{
    free(*server);
    *server = NULL;
}

void
remote_server_count(const struct remote_server *server, struct remote_server_counters *ret_counters)
{
    uint64_t values[REMOTE_SERVER_COUNTER_COUNT];
    for (size_t i = 0; i < REMOTE_SERVER_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&server->counters[i], memory_order_relaxed);
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
