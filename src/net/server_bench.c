/*
 * A server to measure with a load generator: answers every request with 900 bytes of JSON, on the
 * loop's thread or (--thread) from another one.
 *
 *     net_server_bench [--thread] [--tls CERTIFICATE KEY] PORT SECONDS
 *
 * Prints CPU microseconds per request, of all threads, which is what to compare: rates depend on
 * the load generator.
 */
#include "base/assert.h"
#include "base/list.h"
#include "net/server.h"
#include "os/loop_real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BODY_SIZE 900

struct bench {
    struct os_loop *worker; /* NULL: answer on the loop's thread */
    struct os_task task;
    struct net_exchange *chain;
};

static char body_text[BODY_SIZE];

static void
answer_all(struct net_exchange *first)
{
    for (struct net_exchange *exchange = first; exchange != NULL; exchange = exchange->next) {
        exchange->answer.status = 200;
        exchange->answer.content_type = SPAN("application/json");
        buf_init(&exchange->answer.body, BODY_SIZE);
        buf_append(&exchange->answer.body, body_text, BODY_SIZE);
    }
    net_answer(first);
}

static void
on_group(struct os_task *task)
{
    struct bench *group = CONTAINER_OF(task, struct bench, task);
    answer_all(group->chain);
    free(group);
}

static void
on_requests(void *context, struct net_exchange *first)
{
    struct bench *bench = context;
    if (bench->worker == NULL) {
        answer_all(first);
        return;
    }
    struct bench *group = calloc(1, sizeof(*group));
    ASSERT(group != NULL);
    group->task.run = on_group;
    group->chain = first;
    os_post(os_loop_executor(bench->worker), &group->task);
}

static double
cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
run(struct bench *bench, struct net_tls *tls, uint16_t port, unsigned seconds)
{
    struct net_loop *loop = NULL;
    struct net_server *server = NULL;
    struct net_server_hooks hooks = {.context = bench, .on_requests = on_requests};
    struct net_listen listen = {.address = "127.0.0.1", .port = port, .tls = tls};
    err_t result = net_loop_create("bench", &loop);
    ASSERT(result == ERR_OK);
    result = net_server_create(loop, &net_server_settings_default, &hooks, &server);
    ASSERT(result == ERR_OK);
    result = net_server_listen(server, &listen, &port);
    ASSERT(result == ERR_OK);
    result = net_loop_start(loop);
    ASSERT(result == ERR_OK);
    net_server_start(server);
    printf("listening on port %u for %u s\n", (unsigned)port, seconds);
    (void)fflush(stdout);
    double before = cpu_seconds();
    (void)sleep(seconds);
    double cpu = cpu_seconds() - before;
    struct net_server_counters counters;
    net_server_count(server, &counters);
    net_server_stop(server, 100);
    net_loop_stop(loop);
    net_server_destroy(&server);
    net_loop_destroy(&loop);
    printf(
        "%llu requests, %.2f s CPU, %.2f us/request, peak buffers %llu bytes\n",
        (unsigned long long)counters.requests,
        cpu,
        counters.requests == 0 ? 0.0 : cpu * 1e6 / (double)counters.requests,
        (unsigned long long)counters.memory_peak);
}

int
main(int argc, char **argv)
{
    struct bench bench = {0};
    struct net_tls *tls = NULL;
    int at = 1;
    memset(body_text, 'x', sizeof(body_text));
    if (at < argc && strcmp(argv[at], "--thread") == 0) {
        at++;
        err_t result = os_loop_create("worker", os_clock_real(), &bench.worker);
        ASSERT(result == ERR_OK);
        result = bench.worker->ops->start(bench.worker);
        ASSERT(result == ERR_OK);
    }
    if (at + 2 < argc && strcmp(argv[at], "--tls") == 0) {
        err_t result = net_tls_create_server(argv[at + 1], argv[at + 2], &tls);
        if (result != ERR_OK) {
            (void)fprintf(stderr, "%s\n", err_text(result));
            return 1;
        }
        at += 3;
    }
    uint64_t port = 0;
    uint64_t seconds = 0;
    if (argc - at != 2 || !span_parse_u64(span_from_cstr(argv[at]), &port) ||
        !span_parse_u64(span_from_cstr(argv[at + 1]), &seconds) || port > UINT16_MAX) {
        (void)fprintf(stderr, "usage: net_server_bench [--thread] [--tls CERT KEY] PORT SECONDS\n");
        return 2;
    }
    run(&bench, tls, (uint16_t)port, (unsigned)seconds);
    if (bench.worker != NULL) {
        bench.worker->ops->stop(bench.worker);
        bench.worker->ops->destroy(bench.worker);
    }
    net_tls_destroy(&tls);
    return 0;
}
