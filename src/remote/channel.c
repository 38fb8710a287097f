/* The seam on upstream: pools, balancing, ejection of those that fail, repeats under a budget. */
#include "channel.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"

#include <semaphore.h>
#include <stdlib.h>

/* The first, and one more: whoever asked has a way of finding out. */
#define ATTEMPTS_MAX 2
/* Below a server's own idle time. */
#define IDLE_TIMEOUT_MS 20000
/* How long an endpoint that fails again and again is left out, where there is another. */
#define EJECTED_MS     1000
#define EJECTED_MAX_MS 10000
#define TIMEOUT_MAX_MS 3600000

struct remote_channel {
    struct net_loop *loop;
    struct upstream *upstream;
    bool stopping; /* on the loop */
    struct os_task stop_task;
    sem_t stopped;
};

/* --------------------------------------------------------------------------------- the calls ---
 */

static enum remote_outcome
outcome_of(const struct upstream_call *call)
{
    switch (call->outcome) {
    case UPSTREAM_ANSWERED:
        return REMOTE_ANSWERED;
    case UPSTREAM_NOT_SENT:
    case UPSTREAM_NO_ENDPOINT:
    case UPSTREAM_OVERLOADED:
        return REMOTE_NOT_SENT;
    case UPSTREAM_UNKNOWN:
        return REMOTE_UNKNOWN;
    case UPSTREAM_TIMEOUT:
    case UPSTREAM_CANCELLED:
        break;
    }
    return call->may_have_happened ? REMOTE_UNKNOWN : REMOTE_NOT_SENT;
}

static void
call_done(struct upstream_call *upstream)
{
    struct remote_call *call = upstream->user;
    call->outcome = outcome_of(upstream);
    call->cause = call->outcome == REMOTE_ANSWERED ? ERR_OK : upstream->cause;
    if (call->outcome == REMOTE_ANSWERED) {
        call->status = upstream->status;
        call->answer = upstream->answer;
        call->content_type_answered = upstream_call_header(upstream, HTTP_FIELD_CONTENT_TYPE);
        call->may_have_happened = upstream->sent > 1;
    }
    call->done(call);
}

static void
run_done(struct os_task *task)
{
    struct remote_call *call = CONTAINER_OF(task, struct remote_call, task);
    call->done(call);
}

void
remote_channel_send(struct remote_channel *channel, struct remote_call *call)
{
    ASSERT(call->done != NULL);
    ASSERT(net_loop_is_current(channel->loop));
    uint64_t now_ns = net_now_ns();
    uint64_t left_ms =
        call->deadline_ns <= now_ns ? 0 : (call->deadline_ns - now_ns) / OS_NS_PER_MS;
    call->channel = channel;
    call->status = 0;
    call->may_have_happened = false;
    call->answer = SPAN_EMPTY;
    call->content_type_answered = SPAN_EMPTY;
    if (channel->stopping || left_ms == 0) {
        call->outcome = REMOTE_NOT_SENT;
        call->cause = channel->stopping ? ERR_CLOSED : ERR_TIMEOUT;
        call->task.run = run_done;
        os_post(net_loop_executor(channel->loop), &call->task);
        return;
    }
    struct upstream_call *upstream = &call->upstream;
    upstream->next = NULL;
    upstream->method = call->method;
    upstream->target = call->target;
    upstream->content_type = call->content_type;
    upstream->headers = call->headers;
    upstream->header_count = call->header_count;
    upstream->body = call->body;
    upstream->repeatable = call->repeatable;
    upstream->timeout_ms = left_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (uint32_t)left_ms;
    upstream->done = call_done;
    upstream->user = call;
    upstream_send(channel->upstream, upstream);
}

bool
remote_call_again(struct remote_call *call)
{
    ASSERT(call->outcome == REMOTE_ANSWERED);
    if (call->channel->stopping || net_now_ns() + OS_NS_PER_MS > call->deadline_ns ||
        !upstream_call_elsewhere(&call->upstream)) {
        return false;
    }
    remote_channel_send(call->channel, call);
    return true;
}

bool
remote_channel_is_stopping(const struct remote_channel *channel)
{
    return channel->stopping;
}

void
remote_call_release(struct remote_call *call)
{
    upstream_call_release(&call->upstream);
}

/* ----------------------------------------------------------------------------- the endpoints ---
 */

err_t
remote_channel_set(struct remote_channel *channel, const struct remote_endpoints *endpoints)
{
    struct upstream_endpoint chosen[REMOTE_ENDPOINTS_MAX];
    ASSERT(endpoints->count <= REMOTE_ENDPOINTS_MAX);
    for (uint32_t i = 0; i < endpoints->count; i++) {
        chosen[i] = (struct upstream_endpoint){
            .host = endpoints->at[i].host, .port = endpoints->at[i].port};
    }
    return upstream_set(channel->upstream, chosen, endpoints->count);
}

/* -------------------------------------------------------------------------------------- life ---
 */

err_t
remote_channel_create(
    struct net_loop *loop,
    const struct remote_channel_settings *settings,
    struct remote_channel **ret_channel)
{
    struct remote_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL) {
        return ERR_MEMORY;
    }
    if (sem_init(&channel->stopped, 0, 0) != 0) {
        free(channel);
        return ERR_IO;
    }
    channel->loop = loop;
    struct upstream_settings upstream = upstream_settings_default;
    upstream.slow_start_ms = 0;
    upstream.connections_max = settings->connections_max;
    upstream.pending_max = settings->waiting_max;
    upstream.requests_max = settings->waiting_max;
    upstream.attempts_max = ATTEMPTS_MAX;
    upstream.unsent_elsewhere = true; /* a standby may not listen */
    upstream.answer_max = settings->answer_max;
    upstream.connect_timeout_ms = settings->connect_timeout_ms;
    upstream.idle_timeout_ms = IDLE_TIMEOUT_MS;
    upstream.outlier.base_ms = EJECTED_MS;
    upstream.outlier.max_ms = EJECTED_MAX_MS;
    /* A service that comes back is used at once: those that wait for it are bounded anyway. */
    upstream.breaker.failure_percent = 0;
    upstream.tls = settings->tls;
    upstream.server_name = settings->tls == NULL ? NULL : settings->tls_name;
    err_t result = upstream_create(loop, settings->name, &upstream, &channel->upstream);
    if (result != ERR_OK) {
        remote_channel_destroy(&channel);
        return result;
    }
    *ret_channel = channel;
    return ERR_OK;
}

static void
run_stop(struct os_task *task)
{
    struct remote_channel *channel = CONTAINER_OF(task, struct remote_channel, stop_task);
    channel->stopping = true;
    (void)sem_post(&channel->stopped);
}

/* Waits for all that was posted to the loop so far. */
static void
loop_pass(struct remote_channel *channel)
{
    channel->stop_task.run = run_stop;
    os_post(net_loop_executor(channel->loop), &channel->stop_task);
    while (sem_wait(&channel->stopped) != 0) {
    }
}

void
remote_channel_stop(struct remote_channel *channel)
{
    ASSERT(!net_loop_is_current(channel->loop));
    /* First no call is begun any more, then those under way end, then that is told. */
    loop_pass(channel);
    upstream_stop(channel->upstream, 0);
    loop_pass(channel);
    loop_pass(channel);
}

void
remote_channel_destroy(struct remote_channel **channel)
{
    struct remote_channel *gone = *channel;
    if (gone == NULL) {
        return;
    }
    *channel = NULL;
    upstream_destroy(&gone->upstream);
    (void)sem_destroy(&gone->stopped);
    free(gone);
}
