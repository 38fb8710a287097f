/* What operators ask for: is it alive, is it ready, what does it count. */
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

static void
answer_ready(struct api *api, struct net_answer *answer)
{
    char memory[WHY_SIZE_MAX];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof(memory));
    bool ready = api->parts.health.ready(api->parts.health.context, &why);
    answer->status = ready ? 200 : 503;
    buf_append_cstr(&answer->body, ready ? "ready" : "not ready: ");
    if (!ready) {
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

bool
api_operate(struct api *api, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    if (exchange->method != HTTP_METHOD_GET && exchange->method != HTTP_METHOD_HEAD) {
        return false;
    }
    /* Whoever answers here has started; before, only the operators' listener is there. */
    bool live =
        span_equal(exchange->path, SPAN("/livez")) || span_equal(exchange->path, SPAN("/startupz"));
    bool ready = span_equal(exchange->path, SPAN("/readyz"));
    bool metrics = span_equal(exchange->path, SPAN("/metrics")) && api->parts.metrics_on_main &&
                   is_this_machine(&exchange->peer);
    if (!live && !ready && !metrics) {
        return false;
    }
    answer->content_type = SPAN("text/plain; charset=utf-8");
    buf_init(&answer->body, METRICS_SIZE_MAX);
    if (metrics) {
        answer_metrics(api, answer);
    } else if (ready) {
        answer_ready(api, answer);
    } else {
        answer->status = 200;
        buf_append_cstr(&answer->body, "alive\n");
    }
    return true;
}
