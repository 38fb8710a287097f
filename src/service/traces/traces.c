#include "traces/traces.h"

#include "exporter.h"
#include "recent.h"

#include "base/assert.h"
#include "base/list.h"
#include "form/form.h"
#include "os/door.h"
#include "os/entropy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MAX    (16U << 20)
#define LIMIT_DEFAULT 10
#define LIMIT_MAX     100
#define DRAIN_POLL_MS 5

struct traces {
    struct traces_parts parts;
    struct trace_recorder *recorder;
    struct net_tls *tls;
    struct traces_exporter *exporters[TRACES_FORMAT_COUNT]; /* NULL: none */
    char *headers_text;
    size_t headers_size;
    struct traces_headers headers; /* spans of that text */
    struct traces_recent recent;
    atomic_uint recent_count;
    struct os_task finish_task;
    struct os_task seal_task;
    atomic_bool is_sealed;
    struct os_door door; /* of questions: the loop ends before whoever asks */
};

static const struct {
    const char *setting;
} formats[TRACES_FORMAT_COUNT] = {
    [TRACES_ZIPKIN] = {"trace-zipkin"},
    [TRACES_OTLP] = {"trace-otlp"},
};

/* ----------------------------------------------------------------------------------- kept parts */

static void
part_arrived(struct os_task *task)
{
    struct trace_part *part = CONTAINER_OF(task, struct trace_part, task);
    struct traces *traces = part->user;
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        if (traces->exporters[i] != NULL) {
            traces_exporter_add(traces->exporters[i], part);
        }
    }
    traces_recent_add(&traces->recent, part);
    atomic_store_explicit(&traces->recent_count, traces->recent.count, memory_order_relaxed);
}

static void
part_kept(void *context, struct trace_part *part)
{
    struct traces *traces = context;
    part->user = traces;
    part->task.run = part_arrived;
    os_post(net_loop_executor(traces->parts.loop), &part->task);
}

/* ------------------------------------------------------------------------------------ operators */

struct question {
    struct os_task task;
    struct traces *traces;
    struct net_exchange *exchange;
    u128 trace_id; /* 0: it is a search */
    struct span key, value;
    uint32_t limit;
};

static void
answer(struct os_task *task)
{
    struct question *question = CONTAINER_OF(task, struct question, task);
    struct traces *traces = question->traces;
    const char *service = traces->parts.settings.service;
    struct net_answer *answer = &question->exchange->answer;
    answer->status = 200;
    answer->content_type = SPAN("application/json");
    buf_init(&answer->body, ANSWER_MAX);
    if (question->trace_id == 0) {
        traces_recent_find(
            &traces->recent,
            question->key,
            question->value,
            question->limit,
            service,
            &answer->body);
    } else if (!traces_recent_trace(&traces->recent, question->trace_id, service, &answer->body)) {
        answer->status = 404;
    }
    if (buf_failed(&answer->body)) {
        buf_clear(&answer->body);
        answer->status = 500;
    }
    net_answer(question->exchange); /* and with it goes the arena that the question is in */
    os_door_leave(&traces->door);
}

/* False: the query is not one that is understood. */
static bool
search_read(struct question *question, struct net_exchange *exchange)
{
    struct form_node *params = NULL;
    struct span param = SPAN_EMPTY;
    struct span message = SPAN_EMPTY;
    question->limit = LIMIT_DEFAULT;
    if (form_parse(exchange->query, exchange->arena, &params, &param, &message) != ERR_OK) {
        return false;
    }
    const struct form_node *query = form_child(params, SPAN("annotationQuery"));
    const struct form_node *limit = form_child(params, SPAN("limit"));
    if (query != NULL && query->kind == FORM_TEXT) {
        question->value = query->text;
        question->key = span_cut(&question->value, '=');
    }
    uint64_t number;
    if (limit != NULL && limit->kind == FORM_TEXT && span_parse_u64(limit->text, &number)) {
        question->limit = number < LIMIT_MAX ? (uint32_t)number : LIMIT_MAX;
    }
    return true;
}

bool
traces_operate(struct traces *traces, struct net_exchange *exchange)
{
    const struct span one = SPAN("/api/v2/trace/");
    struct question *question;
    bool is_one = span_starts_with(exchange->path, one);
    if ((exchange->method != HTTP_METHOD_GET && exchange->method != HTTP_METHOD_HEAD) ||
        (!is_one && !span_equal(exchange->path, SPAN("/api/v2/traces")))) {
        return false;
    }
    question = ARENA_NEW(exchange->arena, struct question);
    if (question == NULL) {
        return false;
    }
    bool valid =
        is_one ? tracecontext_trace_id_parse(
                     span_slice(exchange->path, one.size, exchange->path.size), &question->trace_id)
               : search_read(question, exchange);
    if (!valid) {
        return false;
    }
    question->traces = traces;
    question->exchange = exchange;
    question->task.run = answer;
    if (!os_door_enter(&traces->door)) {
        return false;
    }
    os_post(net_loop_executor(traces->parts.loop), &question->task);
    return true;
}

/* ----------------------------------------------------------------------------------------- life */

static err_t
headers_open(struct traces *traces, char message[TRACES_MESSAGE_SIZE])
{
    struct span given = traces->parts.settings.otlp_headers;
    traces->parts.settings.otlp_headers = SPAN_EMPTY;
    if (given.size == 0) {
        return ERR_OK;
    }
    traces->headers_text = malloc(given.size);
    if (traces->headers_text == NULL) {
        return ERR_MEMORY;
    }
    memcpy(traces->headers_text, given.data, given.size);
    traces->headers_size = given.size;
    uint32_t line;
    const char *problem = traces_headers_parse(
        span_of(traces->headers_text, traces->headers_size), &traces->headers, &line);
    if (problem != NULL) {
        (void)snprintf(
            message,
            TRACES_MESSAGE_SIZE,
            "trace-otlp-headers-file: line %" PRIu32 ": %s",
            line,
            problem);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static err_t
exporter_open(struct traces *traces, enum traces_format format, char message[TRACES_MESSAGE_SIZE])
{
    const struct traces_settings *settings = &traces->parts.settings;
    const char *endpoint = settings->endpoints[format];
    if (endpoint == NULL || endpoint[0] == '\0') {
        return ERR_OK;
    }
    struct traces_exporter_parts parts = {
        .loop = traces->parts.loop,
        .entropy = traces->parts.entropy,
        .log = traces->parts.log,
        .format = format,
        .interval_ms = settings->interval_ms,
        .service = settings->service,
        .version = settings->version,
        .headers = format == TRACES_OTLP ? &traces->headers : NULL,
    };
    u128 instance = os_random_u128(traces->parts.entropy);
    tracecontext_trace_id_format(instance, parts.instance);
    const char *problem = traces_url_parse(span_from_cstr(endpoint), &parts.url);
    err_t result = problem == NULL ? ERR_OK : ERR_INVALID;
    if (result == ERR_OK && parts.url.tls && traces->tls == NULL) {
        problem = settings->ca_file;
        result = net_tls_create_client(settings->ca_file, true, &traces->tls);
    }
    parts.tls = traces->tls;
    if (result == ERR_OK) {
        result = traces_exporter_create(&parts, &traces->exporters[format]);
    }
    if (result != ERR_OK) {
        (void)snprintf(
            message,
            TRACES_MESSAGE_SIZE,
            "%s: %s",
            formats[format].setting,
            problem == NULL ? err_text(result) : problem);
    }
    return result;
}

static err_t
recorder_open(struct traces *traces)
{
    const struct traces_settings *settings = &traces->parts.settings;
    bool used = settings->recent_max > 0;
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        used = used || traces->exporters[i] != NULL;
    }
    if (!used) {
        return ERR_OK;
    }
    struct trace_recorder_parts parts = {
        .clock = traces->parts.clock,
        .secret = (uint64_t)os_random_u128(traces->parts.entropy),
        .settings = settings->recorder,
        .kept = part_kept,
        .context = traces,
    };
    /* What is shown takes no room from what is recorded. */
    parts.settings.parts_max += settings->recent_max;
    parts.settings.kept_max += settings->recent_max;
    return trace_recorder_create(&parts, &traces->recorder);
}

err_t
traces_create(
    const struct traces_parts *parts, struct traces **ret_traces, char message[TRACES_MESSAGE_SIZE])
{
    struct traces *traces = calloc(1, sizeof(*traces));
    if (traces == NULL) {
        return ERR_MEMORY;
    }
    traces->parts = *parts;
    err_t result = traces_recent_init(&traces->recent, parts->settings.recent_max);
    if (result == ERR_OK) {
        result = headers_open(traces, message);
    }
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT && result == ERR_OK; i++) {
        result = exporter_open(traces, (enum traces_format)i, message);
    }
    if (result == ERR_OK) {
        result = recorder_open(traces);
    }
    if (result != ERR_OK) {
        traces_destroy(&traces);
        return result;
    }
    *ret_traces = traces;
    return ERR_OK;
}

static void
finish(struct os_task *task)
{
    struct traces *traces = CONTAINER_OF(task, struct traces, finish_task);
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        if (traces->exporters[i] != NULL) {
            traces_exporter_finish(traces->exporters[i]);
        }
    }
}

static void
seal(struct os_task *task)
{
    struct traces *traces = CONTAINER_OF(task, struct traces, seal_task);
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        if (traces->exporters[i] != NULL) {
            traces_exporter_seal(traces->exporters[i]);
        }
    }
    atomic_store(&traces->is_sealed, true);
}

static bool
is_idle(const struct traces *traces)
{
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        if (traces->exporters[i] != NULL && !traces_exporter_is_idle(traces->exporters[i])) {
            return false;
        }
    }
    return true;
}

void
traces_drain(struct traces *traces, uint32_t wait_ms)
{
    const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    uint64_t until_ns = os_monotonic_ns(traces->parts.clock) + (uint64_t)wait_ms * OS_NS_PER_MS;
    traces->finish_task.run = finish;
    os_post(net_loop_executor(traces->parts.loop), &traces->finish_task);
    while (!is_idle(traces) && os_monotonic_ns(traces->parts.clock) < until_ns) {
        (void)nanosleep(&pause, NULL);
    }
    traces->seal_task.run = seal;
    os_post(net_loop_executor(traces->parts.loop), &traces->seal_task);
    while (!atomic_load(&traces->is_sealed)) {
        (void)nanosleep(&pause, NULL);
    }
    os_door_close(&traces->door);
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        if (traces->exporters[i] != NULL) {
            traces_exporter_stop(traces->exporters[i]);
        }
    }
}

void
traces_destroy(struct traces **traces_at)
{
    struct traces *traces = *traces_at;
    if (traces == NULL) {
        return;
    }
    *traces_at = NULL;
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        traces_exporter_destroy(&traces->exporters[i]);
    }
    if (traces->headers_text != NULL) {
        explicit_bzero(traces->headers_text, traces->headers_size);
        free(traces->headers_text);
    }
    traces_recent_release(&traces->recent);
    trace_recorder_destroy(&traces->recorder);
    net_tls_destroy(&traces->tls);
    free(traces);
}

struct trace_recorder *
traces_recorder(struct traces *traces)
{
    return traces->recorder;
}

void
traces_count(
    const struct traces *traces, enum traces_format format, struct traces_counters *ret_counters)
{
    *ret_counters = (struct traces_counters){.sent = 0};
    if (traces->exporters[format] != NULL) {
        traces_exporter_count(traces->exporters[format], ret_counters);
    }
}

uint64_t
traces_recent_count(const struct traces *traces)
{
    return atomic_load_explicit(&traces->recent_count, memory_order_relaxed);
}
