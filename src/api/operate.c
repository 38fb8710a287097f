/* What operators ask for on the public listener: is it alive, is it ready, what does it count. */
#include "front.h"

#include <string.h>

#define METRICS_SIZE_MAX (4U << 20)
#define WHY_SIZE_MAX     256

/* 127.0.0.0/8 as ::ffff:127.x.x.x, or ::1. */
static bool
is_this_machine(const struct net_address *peer)
{
    static const uint8_t v4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    static const uint8_t v6[16] = {[15] = 1};
    return memcmp(peer->ip, v4, sizeof(v4)) == 0 || memcmp(peer->ip, v6, sizeof(v6)) == 0;
}

/* More than how it is: whoever is on this machine, if operators have no listener of their own. */
static bool
may_see(const struct api *api, const struct net_exchange *exchange)
{
    return api->parts.metrics_on_main && is_this_machine(&exchange->peer);
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

enum operation {
    OPERATION_NONE,
    OPERATION_LIVE,
    OPERATION_READY,
    OPERATION_STARTED,
    OPERATION_METRICS,
};

static enum operation
operation_of(const struct api *api, const struct net_exchange *exchange)
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
    };

    if (exchange->method != HTTP_METHOD_GET && exchange->method != HTTP_METHOD_HEAD) {
        return OPERATION_NONE;
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (span_equal_cstr(exchange->path, paths[i].path)) {
            bool open = paths[i].operation != OPERATION_METRICS || may_see(api, exchange);
            return open ? paths[i].operation : OPERATION_NONE;
        }
    }
    return OPERATION_NONE;
}

bool
api_operate_elsewhere(struct api *api, struct net_exchange *exchange)
{
    return api->parts.health.operate != NULL && may_see(api, exchange) &&
           api->parts.health.operate(api->parts.health.context, exchange);
}

bool
api_operate(struct api *api, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    enum operation operation = operation_of(api, exchange);
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
    }
    return true;
}
