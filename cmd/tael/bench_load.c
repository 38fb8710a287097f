#include "bench_load.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/u128.h"
#include "net/client.h"
#include "os/entropy.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define IDEMPOTENCY_KEY_SIZE 64

enum {
    HEADER_AUTHORIZATION,
    HEADER_IDEMPOTENCY_KEY,
    HEADER_COUNT
};

/* One connection's request. */
struct caller {
    struct net_call call;
    struct bench_load *load;
    const struct bench_load_request *request;
    struct http_header headers[HEADER_COUNT];
    char key[IDEMPOTENCY_KEY_SIZE];
};

/* The net loop owns everything but the settings while it runs. */
struct bench_load {
    struct bench_load_settings settings;
    struct net_loop *loop;
    struct net_client *client;
    struct caller *callers;
    char authorization[BENCH_LOAD_KEY_SIZE + 16];
    uint64_t series; /* at random: keys of two runs differ */
    uint64_t sent;
    uint32_t under_way;
    bool stopping;
    bool any_bad; /* since the start */
    char complaint[BENCH_LOAD_COMPLAINT_SIZE];

    /* Calls that start together, when all answers of this turn were seen. */
    struct net_call *next_first;
    struct os_task start_task;

    struct bench_load_window window;
    struct os_task order; /* from the main thread, which waits for `obeyed` */
    struct bench_load_window *ret_window;
    sem_t obeyed;
};

/* --------------------------------------------------------------------------- the net loop */

static void answered(struct net_call *call);

static void
start_calls(struct os_task *task)
{
    struct bench_load *load = CONTAINER_OF(task, struct bench_load, start_task);
    struct net_call *first = load->next_first;
    load->next_first = NULL;
    net_client_start(load->client, first);
}

static void
prepare_post(struct caller *caller)
{
    struct bench_load *load = caller->load;
    int size = snprintf(
        caller->key,
        sizeof(caller->key),
        "bench-%016" PRIx64 "-%" PRIu64,
        load->series,
        load->sent);
    ASSERT(size > 0);
    caller->headers[HEADER_AUTHORIZATION] = (struct http_header){
        .name = SPAN("Authorization"), .value = span_from_cstr(load->authorization)};
    caller->headers[HEADER_IDEMPOTENCY_KEY] = (struct http_header){
        .name = SPAN("Idempotency-Key"), .value = span_of(caller->key, (size_t)size)};
    caller->call.method = HTTP_METHOD_POST;
    caller->call.content_type = SPAN("application/x-www-form-urlencoded");
    caller->call.headers = caller->headers;
    caller->call.header_count = HEADER_COUNT;
    caller->call.body = span_from_cstr(caller->request->form);
}

static void
send(struct caller *caller)
{
    struct bench_load *load = caller->load;
    caller->call.reply_to = net_loop_executor(load->loop);
    caller->call.done = answered;
    caller->call.target = span_from_cstr(caller->request->target);
    if (caller->request->form == NULL) {
        caller->call.method = HTTP_METHOD_GET;
    } else {
        prepare_post(caller);
    }
    load->sent++;
    load->under_way++;
    if (load->next_first == NULL) {
        os_post(net_loop_executor(load->loop), &load->start_task);
    }
    caller->call.next = load->next_first;
    load->next_first = &caller->call;
}

static bool
is_good(const struct bench_load_request *request, const struct net_call *call)
{
    if (call->result != ERR_OK || call->status != 200) {
        return false;
    }
    const char *expected = request->expected;
    return expected == NULL ||
           memmem(call->answer.data, call->answer.size, expected, strlen(expected)) != NULL;
}

static void
complain(struct bench_load *load, const struct net_call *call)
{
    if (load->any_bad) {
        return;
    }
    load->any_bad = true;
    if (call->result != ERR_OK) {
        (void)snprintf(
            load->complaint,
            sizeof(load->complaint),
            "%s%s%s",
            err_text(call->result),
            call->result == ERR_OUTCOME_UNKNOWN ? ": " : "",
            call->result == ERR_OUTCOME_UNKNOWN ? err_text(call->cause) : "");
        return;
    }
    size_t shown = call->answer.size < 400 ? call->answer.size : 400;
    (void)snprintf(
        load->complaint,
        sizeof(load->complaint),
        "status %u: %.*s",
        call->status,
        (int)shown,
        shown == 0 ? "" : call->answer.data);
}

static void
answered(struct net_call *call)
{
    struct caller *caller = CONTAINER_OF(call, struct caller, call);
    struct bench_load *load = caller->load;
    ASSERT(load->under_way > 0);
    load->under_way--;
    if (is_good(caller->request, call)) {
        load->window.answers++;
        bench_histogram_add(&load->window.latencies, call->ended_ns - call->started_ns);
    } else {
        load->window.bad++;
        complain(load, call);
    }
    /* A server that is gone would be asked without end. */
    if (!load->stopping && call->result == ERR_OK) {
        send(caller);
    } else if (load->stopping && load->under_way == 0) {
        (void)sem_post(&load->obeyed);
    }
}

static void
obey_start(struct os_task *task)
{
    struct bench_load *load = CONTAINER_OF(task, struct bench_load, order);
    for (uint32_t i = 0; i < load->settings.connections; i++) {
        send(&load->callers[i]);
    }
    (void)sem_post(&load->obeyed);
}

static uint64_t
cpu_ns(void)
{
    struct os_usage usage = os_process_usage();
    return usage.cpu_user_ns + usage.cpu_system_ns;
}

static void
obey_begin(struct os_task *task)
{
    struct bench_load *load = CONTAINER_OF(task, struct bench_load, order);
    memset(&load->window, 0, sizeof(load->window));
    load->window.wall_ns = net_now_ns();
    load->window.cpu_ns = cpu_ns();
    (void)sem_post(&load->obeyed);
}

static void
obey_end(struct os_task *task)
{
    struct bench_load *load = CONTAINER_OF(task, struct bench_load, order);
    *load->ret_window = load->window;
    load->ret_window->wall_ns = net_now_ns() - load->window.wall_ns;
    load->ret_window->cpu_ns = cpu_ns() - load->window.cpu_ns;
    (void)sem_post(&load->obeyed);
}

static void
obey_stop(struct os_task *task)
{
    struct bench_load *load = CONTAINER_OF(task, struct bench_load, order);
    load->stopping = true;
    if (load->under_way == 0) {
        (void)sem_post(&load->obeyed);
    }
}

/* ------------------------------------------------------------------------- the main thread */

static void
order(struct bench_load *load, void (*run)(struct os_task *task))
{
    load->order.run = run;
    os_post(net_loop_executor(load->loop), &load->order);
    while (sem_wait(&load->obeyed) != 0) {
    }
}

static void
destroy(struct bench_load *load)
{
    net_client_destroy(&load->client);
    net_loop_destroy(&load->loop);
    for (uint32_t i = 0; load->callers != NULL && i < load->settings.connections; i++) {
        net_call_release(&load->callers[i].call);
    }
    free(load->callers);
    (void)sem_destroy(&load->obeyed);
    explicit_bzero(load, sizeof(*load)); /* the key */
    free(load);
}

static err_t
create(struct bench_load *load)
{
    const struct bench_load_settings *settings = &load->settings;
    load->callers = calloc(settings->connections, sizeof(*load->callers));
    if (load->callers == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < settings->connections; i++) {
        load->callers[i].load = load;
        load->callers[i].request = &settings->requests[i % settings->request_count];
    }
    const struct net_origin origin = {.host = settings->host, .port = settings->port};
    struct net_client_settings client_settings = net_client_settings_default;
    client_settings.connections_max = settings->connections;
    TRY(net_loop_create("load", &load->loop));
    TRY(net_client_create(load->loop, &origin, &client_settings, &load->client));
    return net_loop_start(load->loop);
}

err_t
bench_load_start(const struct bench_load_settings *settings, struct bench_load **ret_load)
{
    ASSERT(settings->request_count >= 1);
    ASSERT(settings->connections >= 1);
    ASSERT(settings->connections <= BENCH_LOAD_CONNECTIONS_MAX);
    struct bench_load *load = calloc(1, sizeof(*load));
    if (load == NULL || sem_init(&load->obeyed, 0, 0) != 0) {
        free(load);
        return ERR_MEMORY;
    }
    load->settings = *settings;
    load->series = u128_low(os_random_u128(os_entropy_real()));
    load->start_task.run = start_calls;
    (void)snprintf(
        load->authorization, sizeof(load->authorization), "Bearer %s", load->settings.key);
    err_t result = create(load);
    if (result != ERR_OK) {
        destroy(load);
        return result;
    }
    order(load, obey_start);
    *ret_load = load;
    return ERR_OK;
}

void
bench_load_begin(struct bench_load *load)
{
    order(load, obey_begin);
}

void
bench_load_end(struct bench_load *load, struct bench_load_window *ret_window)
{
    load->ret_window = ret_window;
    order(load, obey_end);
}

bool
bench_load_stop(struct bench_load **load, char complaint[BENCH_LOAD_COMPLAINT_SIZE])
{
    struct bench_load *ending = *load;
    order(ending, obey_stop);
    net_client_stop(ending->client);
    net_loop_stop(ending->loop);
    bool good = !ending->any_bad;
    memcpy(complaint, ending->complaint, BENCH_LOAD_COMPLAINT_SIZE);
    destroy(ending);
    *load = NULL;
    return good;
}
