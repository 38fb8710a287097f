/* What operators ask for: is it alive, is it ready, what does it count; and how much it logs. */
#include "front.h"

#include <string.h>

#define METRICS_SIZE_MAX (4U << 20)
#define WHY_SIZE_MAX     256
#define LEVEL_SHOWN_MAX  40

/* 127.0.0.0/8 as ::ffff:127.x.x.x, or ::1. */
static bool
is_this_machine(const struct net_address *peer)
{
    static const uint8_t v4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    static const uint8_t v6[16] = {[15] = 1};
    return memcmp(peer->ip, v4, sizeof(v4)) == 0 || memcmp(peer->ip, v6, sizeof(v6)) == 0;
}

/* More than how it is: operators on their own listener, or, without one, on this machine. */
static bool
may_see(const struct api *api, const struct net_exchange *exchange, bool is_admin)
{
    return is_admin || (api->parts.metrics_on_main && is_this_machine(&exchange->peer));
}

static void
answer_health(
    struct api *api,
    bool (*good)(void *context, struct buf *why),
    const char *word,
    struct net_answer *answer)
{
    char memory[WHY_SIZE_MAX];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof(memory));
    bool is_good = good(api->parts.health.context, &why);
    answer->status = is_good ? 200 : 503;
    buf_append_format(&answer->body, "%s%s", is_good ? "" : "not ", word);
    if (!is_good) {
        buf_append_cstr(&answer->body, ": ");
        buf_append_span(&answer->body, buf_span(&why));
    }
    buf_append_byte(&answer->body, '\n');
}

static void
answer_metrics(struct api *api, struct net_answer *answer)
{
    answer->status = 200;
    answer->content_type = SPAN("text/plain; version=0.0.4; charset=utf-8");
    api_metrics_render(api->metrics, &answer->body);
    api->parts.health.metrics(api->parts.health.context, &answer->body);
    if (buf_failed(&answer->body)) {
        buf_clear(&answer->body);
        answer->status = 500;
    }
}

/* ------------------------------------------------------------------------------- log level */

/* "debug" or "level=debug", with or without a newline. */
static void
log_level_set(struct api *api, struct span text, struct net_answer *answer)
{
    static const struct span prefix = {.data = "level=", .size = 6};
    enum trace_level level;
    if (span_starts_with(text, prefix)) {
        text = span_slice(text, prefix.size, text.size);
    }
    if (text.size > 0 && text.data[text.size - 1] == '\n') {
        text = span_slice(text, 0, text.size - 1);
    }
    if (!trace_level_parse(text, &level)) {
        answer->status = 400;
        buf_append_cstr(&answer->body, "level: ");
        if (text.size == 0) {
            buf_append_cstr(&answer->body, "the body is empty; it");
        } else {
            buf_append_format(
                &answer->body, "'%.*s'", SPAN_PRINTF(span_slice(text, 0, LEVEL_SHOWN_MAX)));
        }
        buf_append_cstr(&answer->body, " is none of debug, info, warning, error\n");
        return;
    }
    trace_log_set_level(api->parts.log, level);
    TRACE_LOG(
        api->parts.log,
        TRACE_WARNING, /* whatever was chosen, the change is in the log */
        "api",
        SPAN_EMPTY,
        "the log level was changed",
        trace_cstr("level", trace_level_name(level)));
    answer->status = 200;
    buf_append_format(&answer->body, "%s\n", trace_level_name(level));
}

static void
log_level_show(struct api *api, struct net_answer *answer)
{
    enum trace_level level = TRACE_DEBUG;
    while (level < TRACE_ERROR && !trace_log_enabled(api->parts.log, level)) {
        level++;
    }
    answer->status = 200;
    buf_append_format(&answer->body, "%s\n", trace_level_name(level));
}

static const struct http_header allow_level[] = {
    {.name = {.data = "Allow", .size = 5}, .value = {.data = "GET, HEAD, PUT", .size = 14}}};

static void
answer_log_level(struct api *api, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    if (exchange->method == HTTP_METHOD_PUT) {
        log_level_set(api, exchange->body, answer);
    } else if (exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD) {
        log_level_show(api, answer);
    } else {
        answer->status = 405;
        answer->headers = allow_level;
        answer->header_count = 1;
        buf_append_cstr(&answer->body, "GET shows the level, PUT changes it\n");
    }
}

/* ----------------------------------------------------------------------------------- paths */

enum operation {
    OPERATION_NONE,
    OPERATION_LIVE,
    OPERATION_READY,
    OPERATION_STARTED,
    OPERATION_METRICS,
    OPERATION_LOG_LEVEL,
};

/* What a request on the operators' listener, or on the public one, asks for. */
static enum operation
operation_of(const struct api *api, const struct net_exchange *exchange, bool is_admin)
{
    static const struct {
        const char *path;
        enum operation operation;
    } paths[] = {
        {"/livez", OPERATION_LIVE},
        {"/healthz", OPERATION_LIVE}, /* the name before Kubernetes 1.16 */
        {"/readyz", OPERATION_READY},
        {"/startupz", OPERATION_STARTED},
        {"/metrics", OPERATION_METRICS},
        {"/log-level", OPERATION_LOG_LEVEL},
    };

    bool reads = exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD;
    enum operation found = OPERATION_NONE;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (span_equal_cstr(exchange->path, paths[i].path)) {
            found = paths[i].operation;
        }
    }
    switch (found) {
    case OPERATION_NONE:
        break;
    case OPERATION_LIVE:
    case OPERATION_READY:
    case OPERATION_STARTED:
        return reads ? found : OPERATION_NONE;
    case OPERATION_METRICS:
        return reads && may_see(api, exchange, is_admin) ? found : OPERATION_NONE;
    case OPERATION_LOG_LEVEL:
        return is_admin ? found : OPERATION_NONE;
    }
    return OPERATION_NONE;
}

bool
api_operate_elsewhere(struct api *api, struct net_exchange *exchange, bool is_admin)
{
    return api->parts.health.operate != NULL && may_see(api, exchange, is_admin) &&
           api->parts.health.operate(api->parts.health.context, exchange);
}

bool
api_operate(struct api *api, struct net_exchange *exchange, bool is_admin)
{
    struct net_answer *answer = &exchange->answer;
    enum operation operation = operation_of(api, exchange, is_admin);
    if (operation == OPERATION_NONE) {
        return false;
    }
    answer->content_type = SPAN("text/plain; charset=utf-8");
    buf_init(&answer->body, METRICS_SIZE_MAX);
    switch (operation) {
    case OPERATION_NONE:
        break;
    case OPERATION_LIVE: /* this loop answers: that is all it says */
        answer->status = 200;
        buf_append_cstr(&answer->body, "alive\n");
        break;
    case OPERATION_READY:
        answer_health(api, api->parts.health.ready, "ready", answer);
        break;
    case OPERATION_STARTED:
        answer_health(api, api->parts.health.started, "started", answer);
        break;
    case OPERATION_METRICS:
        answer_metrics(api, answer);
        break;
    case OPERATION_LOG_LEVEL:
        answer_log_level(api, exchange);
        break;
    }
    return true;
}
