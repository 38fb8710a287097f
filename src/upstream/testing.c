#include "testing.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t
t_now_ms(void)
{
    return net_now_ns() / 1000000;
}

void
t_sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* ------------------------------------------------------------------------------------- world */

static void
world_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct t_world *world = CONTAINER_OF(executor, struct t_world, executor);
    (void)last;
    while (first != NULL) {
        struct os_task *next = first->next;
        first->run(first);
        uv_sem_post(&world->ended);
        first = next;
    }
}

void
t_world_start_empty(struct t_world *world, uint32_t count, const struct upstream_settings *settings)
{
    ASSERT(count <= T_BACKENDS_MAX);
    memset(world, 0, sizeof(*world));
    world->executor.post = world_post;
    int result = uv_sem_init(&world->ended, 0);
    ASSERT(result == 0);
    world->backend_count = count;
    world->backends = calloc(T_BACKENDS_MAX, sizeof(world->backends[0]));
    ASSERT(world->backends != NULL);
    /* All on one port, as behind one name. */
    for (uint32_t i = 0; i < count; i++) {
        t_backend_start(&world->backends[i], i, i == 0 ? 0 : world->backends[0].port);
    }
    err_t made = net_loop_create("t-upstream", &world->loop);
    ASSERT(made == ERR_OK);
    made = upstream_create(world->loop, "test", settings, &world->upstream);
    ASSERT(made == ERR_OK);
    made = net_loop_start(world->loop);
    ASSERT(made == ERR_OK);
}

void
t_world_set(struct t_world *world, uint32_t from, uint32_t count)
{
    struct upstream_endpoint endpoints[T_BACKENDS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        endpoints[i].host = world->backends[from + i].host;
        endpoints[i].port = world->backends[from + i].port;
    }
    err_t result = upstream_set(world->upstream, endpoints, count);
    ASSERT(result == ERR_OK);
}

void
t_world_start(struct t_world *world, uint32_t count, const struct upstream_settings *settings)
{
    t_world_start_empty(world, count, settings);
    t_world_set(world, 0, count);
}

void
t_world_stop(struct t_world *world)
{
    upstream_stop(world->upstream, 1000);
    struct upstream_counters counters = t_count(world);
    ASSERT(counters.active == 0);
    ASSERT(counters.backing_off == 0);
    /* Every call ended once. */
    ASSERT(
        counters.requests == counters.answered + counters.not_sent + counters.unknown +
                                 counters.timeouts + counters.no_endpoint + counters.overloaded +
                                 counters.cancelled);
    net_loop_stop(world->loop);
    upstream_destroy(&world->upstream);
    net_loop_destroy(&world->loop);
    for (uint32_t i = 0; i < world->backend_count; i++) {
        t_backend_stop(&world->backends[i]);
    }
    free(world->backends);
    ASSERT(uv_sem_trywait(&world->ended) != 0); /* none ended twice */
    uv_sem_destroy(&world->ended);
}

struct loop_run {
    struct os_task task;
    void (*run)(void *context);
    void *context;
    uv_sem_t done;
};

static void
on_loop_run(struct os_task *task)
{
    struct loop_run *run = CONTAINER_OF(task, struct loop_run, task);
    run->run(run->context);
    uv_sem_post(&run->done);
}

void
t_on_loop(struct t_world *world, void (*run)(void *context), void *context)
{
    struct loop_run loop_run = {.task = {.run = on_loop_run}, .run = run, .context = context};
    int result = uv_sem_init(&loop_run.done, 0);
    ASSERT(result == 0);
    os_post(net_loop_executor(world->loop), &loop_run.task);
    uv_sem_wait(&loop_run.done);
    uv_sem_destroy(&loop_run.done);
}

/* ------------------------------------------------------------------------------------- calls */

static void
call_done(struct upstream_call *call)
{
    ASSERT(call->ended_ns >= call->started_ns);
}

void
t_call_init(struct t_world *world, struct upstream_call *call, bool repeatable)
{
    memset(call, 0, sizeof(*call));
    call->method = HTTP_METHOD_GET;
    call->target = SPAN("/");
    call->repeatable = repeatable;
    call->timeout_ms = T_WAIT_MS;
    call->reply_to = &world->executor;
    call->done = call_done;
}

void
t_calls_wait(struct t_world *world, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        T_WAIT_FOR(uv_sem_trywait(&world->ended) == 0);
    }
}

void
t_call_run(struct t_world *world, struct upstream_call *call)
{
    upstream_send(world->upstream, call);
    t_calls_wait(world, 1);
}

uint32_t
t_call_server(const struct upstream_call *call)
{
    uint64_t number = 0;
    return call->outcome == UPSTREAM_ANSWERED && span_parse_u64(call->answer, &number)
               ? (uint32_t)number
               : UINT32_MAX;
}

/* -------------------------------------------------------------------------------------- load */

static void
load_done(struct upstream_call *call)
{
    struct t_load *load = call->user;
    atomic_fetch_add(&load->ended, 1);
    atomic_fetch_add(&load->outcomes[call->outcome], 1);
    if (call->outcome != UPSTREAM_ANSWERED || call->status != 200) {
        atomic_fetch_add(&load->errors, 1);
    } else {
        atomic_fetch_add(&load->servers[t_call_server(call)], 1);
    }
    if (!load->stop) {
        upstream_send(load->world->upstream, call);
        return;
    }
    load->running--;
    if (load->running == 0) {
        uv_sem_post(&load->stopped);
    }
}

static void
load_begin(void *context)
{
    struct t_load *load = context;
    for (uint32_t i = 0; i < load->parallel; i++) {
        struct upstream_call *call = &load->calls[i];
        t_call_init(load->world, call, load->repeatable);
        call->reply_to = NULL;
        call->done = load_done;
        call->user = load;
        load->running++;
        upstream_send(load->world->upstream, call);
    }
}

static void
load_end(void *context)
{
    struct t_load *load = context;
    load->stop = true;
}

void
t_load_start(struct t_load *load, struct t_world *world, uint32_t parallel, bool repeatable)
{
    ASSERT(parallel <= T_LOAD_MAX);
    memset(load, 0, sizeof(*load));
    load->world = world;
    load->parallel = parallel;
    load->repeatable = repeatable;
    int result = uv_sem_init(&load->stopped, 0);
    ASSERT(result == 0);
    t_on_loop(world, load_begin, load);
}

void
t_load_stop(struct t_load *load)
{
    t_on_loop(load->world, load_end, load);
    uv_sem_wait(&load->stopped);
    uv_sem_destroy(&load->stopped);
    for (uint32_t i = 0; i < load->parallel; i++) {
        upstream_call_release(&load->calls[i]);
    }
}

void
t_load_pass(struct t_load *load, uint32_t count)
{
    uint32_t from = atomic_load(&load->ended);
    T_WAIT_FOR(atomic_load(&load->ended) - from >= count);
}

/* ---------------------------------------------------------------------------------- counters */

struct upstream_counters
t_count(const struct t_world *world)
{
    struct upstream_counters counters;
    upstream_count(world->upstream, &counters);
    return counters;
}

bool
t_count_backend(
    const struct t_world *world, uint32_t number, struct upstream_endpoint_counters *ret_counters)
{
    char name[UPSTREAM_ENDPOINT_SIZE];
    const struct t_backend *backend = &world->backends[number];
    (void)snprintf(name, sizeof(name), "%s:%u", backend->host, (unsigned)backend->port);
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        if (upstream_endpoint_count(world->upstream, i, ret_counters) &&
            strcmp(ret_counters->name, name) == 0) {
            return true;
        }
    }
    return false;
}

uint64_t
t_state(const struct t_world *world, uint32_t number)
{
    struct upstream_endpoint_counters counters;
    return t_count_backend(world, number, &counters) ? counters.state : UINT64_MAX;
}
