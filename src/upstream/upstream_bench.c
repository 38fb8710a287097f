/*
 * What a call costs here, and what failures cost callers: each line is measured now, on this
 * machine, against back ends in this process.
 *
 *     upstream_bench [cost|failures]
 *
 * Costs are CPU time of the loop's thread per request, beside that of a bare net client.
 */
#include "base/assert.h"
#include "net/server.h"

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* -------------------------------------------------------------------------------------- cost */

#define COST_ENDPOINTS 4
#define COST_PARALLEL  32
#define COST_REQUESTS  10000
#define COST_ROUNDS    12 /* the best of so many counts */

struct cost {
    struct net_loop *server_loop;
    struct net_server *server;
    uint16_t ports[COST_ENDPOINTS];
    struct net_loop *loop;
    struct upstream *upstream;
    struct net_client *client;
    struct upstream_call *calls;
    struct net_call *bare;
    uint32_t left;
    uint32_t running;
    uint64_t cpu_ns;
    uv_sem_t ended;
};

static struct cost cost;

static void
on_requests(void *context, struct net_exchange *first)
{
    (void)context;
    for (struct net_exchange *exchange = first; exchange != NULL; exchange = exchange->next) {
        exchange->answer.status = 200;
        buf_init(&exchange->answer.body, 1024);
        buf_append_cstr(&exchange->answer.body, "{\"object\":\"transfer\"}");
    }
    net_answer(first);
}

static uint64_t
thread_cpu_ns(void)
{
    struct rusage usage;
    int result = getrusage(RUSAGE_THREAD, &usage);
    ASSERT(result == 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* True: one more is to be sent. */
static bool
cost_next(void)
{
    if (cost.left > 0) {
        cost.left--;
        return true;
    }
    cost.running--;
    if (cost.running == 0) {
        cost.cpu_ns = thread_cpu_ns() - cost.cpu_ns;
        uv_sem_post(&cost.ended);
    }
    return false;
}

static void
cost_done(struct upstream_call *call)
{
    ASSERT(call->outcome == UPSTREAM_ANSWERED);
    if (cost_next()) {
        upstream_send(cost.upstream, call);
    }
}

static void
bare_done(struct net_call *call)
{
    ASSERT(call->result == ERR_OK);
    if (cost_next()) {
        net_client_start(cost.client, call);
    }
}

static const struct http_header cost_header = {
    .name = {.data = "Idempotency-Key", .size = 15},
    .value = {.data = "0123456789abcdef", .size = 16}};

static void
upstream_begin(struct os_task *task)
{
    (void)task;
    cost.cpu_ns = thread_cpu_ns();
    for (uint32_t i = 0; i < COST_PARALLEL; i++) {
        cost.calls[i] = (struct upstream_call){
            .method = HTTP_METHOD_POST,
            .target = SPAN("/v1/transfers"),
            .content_type = SPAN("application/json"),
            .headers = &cost_header,
            .header_count = 1,
            .body = SPAN("{\"amount\":1000}"),
            .repeatable = true,
            .done = cost_done,
        };
        upstream_send(cost.upstream, &cost.calls[i]);
    }
}

static void
bare_begin(struct os_task *task)
{
    (void)task;
    cost.cpu_ns = thread_cpu_ns();
    for (uint32_t i = 0; i < COST_PARALLEL; i++) {
        cost.bare[i] = (struct net_call){
            .method = HTTP_METHOD_POST,
            .target = SPAN("/v1/transfers"),
            .content_type = SPAN("application/json"),
            .headers = &cost_header,
            .header_count = 1,
            .body = SPAN("{\"amount\":1000}"),
            .reply_to = net_loop_executor(cost.loop),
            .done = bare_done,
        };
        net_client_start(cost.client, &cost.bare[i]);
    }
}

static double
cost_run(void (*begin)(struct os_task *task))
{
    struct os_task task = {.run = begin};
    cost.left = COST_REQUESTS - COST_PARALLEL;
    cost.running = COST_PARALLEL;
    os_post(net_loop_executor(cost.loop), &task);
    uv_sem_wait(&cost.ended);
    return (double)cost.cpu_ns / 1000 / COST_REQUESTS;
}

static void
cost_server_start(void)
{
    err_t result = net_loop_create("bench-server", &cost.server_loop);
    ASSERT(result == ERR_OK);
    const struct net_server_hooks hooks = {.on_requests = on_requests};
    result =
        net_server_create(cost.server_loop, &net_server_settings_default, &hooks, &cost.server);
    ASSERT(result == ERR_OK);
    for (uint32_t i = 0; i < COST_ENDPOINTS; i++) {
        const struct net_listen listen = {.address = "127.0.0.1"};
        result = net_server_listen(cost.server, &listen, &cost.ports[i]);
        ASSERT(result == ERR_OK);
    }
    result = net_loop_start(cost.server_loop);
    ASSERT(result == ERR_OK);
    net_server_start(cost.server);
}

static double
cost_of_policy(enum balance_policy policy)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.policy = policy;
    err_t result = upstream_create(cost.loop, "bench", &settings, &cost.upstream);
    ASSERT(result == ERR_OK);
    struct upstream_endpoint endpoints[COST_ENDPOINTS] = {0};
    for (uint32_t i = 0; i < COST_ENDPOINTS; i++) {
        endpoints[i].host = "127.0.0.1";
        endpoints[i].port = cost.ports[i];
    }
    result = upstream_set(cost.upstream, endpoints, COST_ENDPOINTS);
    ASSERT(result == ERR_OK);
    double best = cost_run(upstream_begin);
    for (int i = 0; i < COST_ROUNDS; i++) {
        double again = cost_run(upstream_begin);
        best = again < best ? again : best;
    }
    upstream_stop(cost.upstream, 1000);
    upstream_destroy(&cost.upstream);
    for (uint32_t i = 0; i < COST_PARALLEL; i++) {
        upstream_call_release(&cost.calls[i]);
    }
    return best;
}

static double
cost_of_client(void)
{
    const struct net_origin origin = {.host = "127.0.0.1", .port = cost.ports[0]};
    err_t result =
        net_client_create(cost.loop, &origin, &net_client_settings_default, &cost.client);
    ASSERT(result == ERR_OK);
    double best = cost_run(bare_begin);
    for (int i = 0; i < COST_ROUNDS; i++) {
        double again = cost_run(bare_begin);
        best = again < best ? again : best;
    }
    net_client_stop(cost.client);
    net_client_destroy(&cost.client);
    for (uint32_t i = 0; i < COST_PARALLEL; i++) {
        net_call_release(&cost.bare[i]);
    }
    return best;
}

static void
bench_cost(void)
{
    int made = uv_sem_init(&cost.ended, 0);
    ASSERT(made == 0);
    cost_server_start();
    err_t result = net_loop_create("bench", &cost.loop);
    ASSERT(result == ERR_OK);
    result = net_loop_start(cost.loop);
    ASSERT(result == ERR_OK);
    cost.calls = calloc(COST_PARALLEL, sizeof(*cost.calls));
    cost.bare = calloc(COST_PARALLEL, sizeof(*cost.bare));
    ASSERT(cost.calls != NULL && cost.bare != NULL);
    double bare = cost_of_client();
    (void)printf("| CPU per request of the loop's thread | us |\n|---|---|\n");
    (void)printf("| net client alone, one server | %.2f |\n", bare);

    static const enum balance_policy policies[] = {
        BALANCE_ROUND_ROBIN, BALANCE_LEAST_OF_TWO, BALANCE_LEAST_REQUESTS, BALANCE_HASH};

    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        double with = cost_of_policy(policies[i]);
        (void)printf("| upstream of 4, %s | %.2f |\n", balance_policy_name(policies[i]), with);
        (void)fflush(stdout);
    }
    net_loop_stop(cost.loop);
    net_loop_destroy(&cost.loop);
    net_server_stop(cost.server, 1000);
    net_loop_stop(cost.server_loop);
    net_server_destroy(&cost.server);
    net_loop_destroy(&cost.server_loop);
    free(cost.calls);
    free(cost.bare);
    uv_sem_destroy(&cost.ended);
}

/* ---------------------------------------------------------------------------------- failures */

static struct t_world world;
static struct t_load load;

static void
begin(uint32_t count, const struct upstream_settings *settings, uint32_t parallel, bool repeatable)
{
    t_world_start(&world, count, settings);
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&world.backends[i].delay_ms, 2);
    }
    t_load_start(&load, &world, parallel, repeatable);
    t_load_pass(&load, 500);
}

static void
end(void)
{
    t_load_stop(&load);
    t_world_stop(&world);
}

/* One of four begins to fail under load: what callers see, and for how long. */
static void
bench_one_fails(const char *how, enum t_mode mode, bool repeatable)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.outlier.base_ms = 2000;
    settings.try_timeout_ms = 250;
    begin(4, &settings, 16, repeatable);
    uint64_t from_ns = net_now_ns();
    atomic_store(&world.backends[1].mode, (int)mode);
    T_WAIT_FOR(t_state(&world, 1) == BALANCE_EJECTED);
    double eject_ms = (double)(net_now_ns() - from_ns) / 1e6;
    t_sleep_ms(600);
    uint32_t errors = atomic_load(&load.errors);
    uint32_t ended = atomic_load(&load.ended);
    t_sleep_ms(800);
    uint32_t later = atomic_load(&load.errors) - errors;
    atomic_store(&world.backends[1].mode, T_OK);
    T_WAIT_FOR(t_state(&world, 1) == BALANCE_ACTIVE);
    double back_ms = (double)(net_now_ns() - from_ns) / 1e6;
    (void)printf(
        "| 1 of 4 %s%s | %.0f | %u of %u | %u | %.0f |\n",
        how,
        repeatable ? ", repeatable" : "",
        eject_ms,
        errors,
        ended,
        later,
        back_ms);
    end();
}

static void
bench_all_fail(const char *how, enum t_mode mode, bool breaker)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.retry_budget_min = 20;
    settings.backoff_base_ms = 2;
    settings.breaker.failure_percent = breaker ? settings.breaker.failure_percent : 0;
    t_world_start(&world, 4, &settings);
    for (uint32_t i = 0; i < 4; i++) {
        atomic_store(&world.backends[i].mode, (int)mode);
        atomic_store(&world.backends[i].status, 503);
    }
    t_load_start(&load, &world, 16, true);
    t_load_pass(&load, 5000);
    t_load_stop(&load);
    struct upstream_counters counters = t_count(&world);
    (void)printf(
        "| all %s%s | %llu | %llu | %.3f |\n",
        how,
        breaker ? ", breaker on" : "",
        (unsigned long long)counters.requests,
        (unsigned long long)counters.attempts,
        (double)counters.attempts / (double)counters.requests);
    t_world_stop(&world);
}

static void
bench_slow(enum balance_policy policy)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.policy = policy;
    begin(4, &settings, 32, false);
    atomic_store(&world.backends[1].delay_ms, 20);
    t_load_pass(&load, 100);
    uint32_t before = atomic_load(&world.backends[1].requests);
    uint32_t ended = atomic_load(&load.ended);
    t_load_pass(&load, 4000);
    double got = (double)(atomic_load(&world.backends[1].requests) - before) * 4 /
                 (double)(atomic_load(&load.ended) - ended);
    (void)printf("| %s | %.2f |\n", balance_policy_name(policy), got);
    end();
}

static void
bench_failures(void)
{
    (void)printf(
        "\n| what | ejected after ms | failed until then | in 0.8 s after | back after ms |\n"
        "|---|---|---|---|---|\n");
    bench_one_fails("answers 500", T_STATUS, false);
    bench_one_fails("resets", T_RESET, false);
    bench_one_fails("resets", T_RESET, true);
    bench_one_fails("sends garbage", T_GARBAGE, true);
    bench_one_fails("never answers", T_NEVER, true);
    (void)printf("\n| what | requests | attempts | per request |\n|---|---|---|---|\n");
    bench_all_fail("answer 503", T_STATUS, false);
    bench_all_fail("reset", T_RESET, false);
    bench_all_fail("reset", T_RESET, true);
    (void)printf("\n| policy, 1 of 4 ten times slower | part of its share |\n|---|---|\n");
    bench_slow(BALANCE_ROUND_ROBIN);
    bench_slow(BALANCE_LEAST_OF_TWO);
    bench_slow(BALANCE_LEAST_REQUESTS);
}

int
main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "cost") == 0) {
        bench_cost();
    }
    if (argc < 2 || strcmp(argv[1], "failures") == 0) {
        bench_failures();
    }
    return 0;
}
