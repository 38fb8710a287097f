/* The seam on net's plain client: one pool of connections for each endpoint. */
#include "channel.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Attempts of one call: a repeat of what is repeatable, or a round of the endpoints. */
#define REPEATS_MAX 2
#define HEAD_MAX    16384
/* Below a server's own idle time. */
#define IDLE_TIMEOUT_MS 20000

struct place {
    struct remote_endpoint endpoint;
    struct net_client *client;
};

/* A new set of endpoints on its way to the loop. */
struct change {
    struct os_task task;
    struct remote_channel *channel;
    uint32_t chosen[REMOTE_ENDPOINTS_MAX];
    uint32_t count;
};

struct remote_channel {
    struct net_loop *loop;
    struct remote_channel_settings settings;
    char tls_name[REMOTE_HOST_SIZE];
    /* Written by whoever calls remote_channel_set, one at a time; read on the loop by number, after
     * the number was posted. */
    struct place places[REMOTE_PLACES_MAX];
    uint32_t place_count;
    /* On the loop. */
    uint32_t chosen[REMOTE_ENDPOINTS_MAX];
    uint32_t chosen_count;
    uint32_t next; /* where the next call begins; it moves on when an endpoint fails */
    bool stopping;
    struct os_task stop_task;
    sem_t stopped;
};

/* --------------------------------------------------------------------------------- the calls ---
 */

static void
run_done(struct os_task *task)
{
    struct remote_call *call = CONTAINER_OF(task, struct remote_call, task);
    call->done(call);
}

static void
end(struct remote_call *call, enum remote_outcome outcome, err_t cause)
{
    call->outcome = outcome;
    call->cause = cause;
    call->task.run = run_done;
    os_post(net_loop_executor(call->channel->loop), &call->task);
}

static void attempt(struct remote_call *call);

/* Which end a call without an answer has. */
static void
end_without(struct remote_call *call, err_t cause)
{
    end(call, call->may_have_happened ? REMOTE_UNKNOWN : REMOTE_NOT_SENT, cause);
}

/* Whether another endpoint, or another connection, may do better. */
static bool
may_try_again(const struct remote_call *call, err_t result, err_t cause)
{
    const struct remote_channel *channel = call->channel;
    if (channel->stopping) {
        return false;
    }
    if (result == ERR_OUTCOME_UNKNOWN) {
        return call->repeatable && cause == ERR_CLOSED && call->attempts < REPEATS_MAX;
    }
    bool elsewhere = result == ERR_CLOSED || result == ERR_NOT_FOUND || result == ERR_CRYPTO ||
                     result == ERR_FULL || result == ERR_TIMEOUT;
    return elsewhere && call->attempts < channel->chosen_count;
}

static void
call_done(struct net_call *net)
{
    struct remote_call *call = net->user;
    if (net->result == ERR_OK) {
        call->status = net->status;
        call->content_type_answered = net_call_header(net, HTTP_FIELD_CONTENT_TYPE);
        call->answer = buf_span(&net->answer);
        call->outcome = REMOTE_ANSWERED;
        call->cause = ERR_OK;
        call->done(call);
        return;
    }
    call->may_have_happened = call->may_have_happened || net->result == ERR_OUTCOME_UNKNOWN;
    err_t cause = net->result == ERR_OUTCOME_UNKNOWN ? net->cause : net->result;
    if (may_try_again(call, net->result, net->cause)) {
        call->channel->next = call->place + 1;
        attempt(call);
        return;
    }
    end_without(call, cause);
}

static void
attempt(struct remote_call *call)
{
    struct remote_channel *channel = call->channel;
    uint64_t now_ns = net_now_ns();
    if (channel->stopping || channel->chosen_count == 0) {
        end_without(call, ERR_CLOSED);
        return;
    }
    if (call->deadline_ns < now_ns + OS_NS_PER_MS) {
        end_without(call, ERR_TIMEOUT);
        return;
    }
    uint64_t left_ms = (call->deadline_ns - now_ns) / OS_NS_PER_MS;
    call->attempts++;
    call->place = channel->next % channel->chosen_count;
    struct net_call *net = &call->net;
    net->next = NULL;
    net->method = call->method;
    net->target = call->target;
    net->content_type = call->content_type;
    net->headers = call->headers;
    net->header_count = call->header_count;
    net->body = call->body;
    net->timeout_ms = left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
    net->reply_to = net_loop_executor(channel->loop);
    net->done = call_done;
    net->user = call;
    net_client_start(channel->places[channel->chosen[call->place]].client, net);
}

void
remote_channel_send(struct remote_channel *channel, struct remote_call *call)
{
    ASSERT(call->done != NULL);
    ASSERT(net_loop_is_current(channel->loop));
    call->channel = channel;
    call->attempts = 0;
    call->status = 0;
    call->may_have_happened = false;
    call->answer = SPAN_EMPTY;
    call->content_type_answered = SPAN_EMPTY;
    attempt(call);
}

bool
remote_channel_is_stopping(const struct remote_channel *channel)
{
    return channel->stopping;
}

void
remote_call_release(struct remote_call *call)
{
    net_call_release(&call->net);
}

/* ----------------------------------------------------------------------------- the endpoints ---
 */

static err_t
place_for(
    struct remote_channel *channel, const struct remote_endpoint *endpoint, uint32_t *ret_place)
{
    for (uint32_t i = 0; i < channel->place_count; i++) {
        if (remote_endpoint_equal(&channel->places[i].endpoint, endpoint)) {
            *ret_place = i;
            return ERR_OK;
        }
    }
    if (channel->place_count == REMOTE_PLACES_MAX) {
        return ERR_FULL;
    }
    const struct remote_channel_settings *from = &channel->settings;
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = from->connections_max;
    settings.waiting_max = from->waiting_max;
    settings.connect_timeout_ms = from->connect_timeout_ms;
    settings.idle_timeout_ms = IDLE_TIMEOUT_MS;
    settings.limits.head = HEAD_MAX;
    settings.limits.body = from->answer_max;
    struct place *place = &channel->places[channel->place_count];
    place->endpoint = *endpoint;
    const struct net_origin origin = {
        .host = place->endpoint.host,
        .port = place->endpoint.port,
        .tls = from->tls,
        .name = from->tls == NULL ? NULL : channel->tls_name,
    };
    TRY(net_client_create(channel->loop, &origin, &settings, &place->client));
    *ret_place = channel->place_count++;
    return ERR_OK;
}

static void
run_change(struct os_task *task)
{
    struct change *change = CONTAINER_OF(task, struct change, task);
    struct remote_channel *channel = change->channel;
    memcpy(channel->chosen, change->chosen, sizeof(channel->chosen));
    channel->chosen_count = change->count;
    channel->next = 0;
    free(change);
}

err_t
remote_channel_set(struct remote_channel *channel, const struct remote_endpoints *endpoints)
{
    ASSERT(endpoints->count <= REMOTE_ENDPOINTS_MAX);
    struct change *change = calloc(1, sizeof(*change));
    if (change == NULL) {
        return ERR_MEMORY;
    }
    change->task.run = run_change;
    change->channel = channel;
    for (uint32_t i = 0; i < endpoints->count; i++) {
        err_t result = place_for(channel, &endpoints->at[i], &change->chosen[i]);
        if (result != ERR_OK) {
            free(change);
            return result;
        }
    }
    change->count = endpoints->count;
    os_post(net_loop_executor(channel->loop), &change->task);
    return ERR_OK;
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
    channel->settings = *settings;
    size_t size = settings->tls_name == NULL ? 0 : strlen(settings->tls_name);
    ASSERT(size < sizeof(channel->tls_name));
    if (size != 0) {
        memcpy(channel->tls_name, settings->tls_name, size);
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
    /* First no call is begun any more, then those under way end, then that is told: an end may be
     * posted twice, by the client and by us. */
    loop_pass(channel);
    for (uint32_t i = 0; i < channel->place_count; i++) {
        net_client_stop(channel->places[i].client);
    }
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
    for (uint32_t i = 0; i < gone->place_count; i++) {
        net_client_destroy(&gone->places[i].client);
    }
    (void)sem_destroy(&gone->stopped);
    free(gone);
}
