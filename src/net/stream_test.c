/* Streams over real sockets: an echo, its limits, and how it ends. */
#include "base/list.h"
#include "net/job.h"
#include "net/stream.h"

#include "testing.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 64

struct t_bench {
    struct net_loop *loop;
    struct net_latch *latch;
    struct net_stream_listener *listener;
    struct net_stream *client, *server;
    struct os_task task;
    uint16_t port;
    bool refuses, uses_nothing;
    size_t wanted; /* bytes of the echo after which the latch opens */
    char echoed[512];
    size_t size;
    err_t client_closed, server_closed;
    int closed;
};

static void
client_open(void *context)
{
    struct t_bench *bench = context;
    /* More than the output holds is refused whole. */
    static char large[1024];
    assert_int_equal(net_stream_send(bench->client, span_of(large, sizeof(large))), ERR_FULL);
    assert_int_equal(net_stream_send(bench->client, SPAN("hello, ")), ERR_OK);
    assert_int_equal(net_stream_send(bench->client, SPAN("stream")), ERR_OK);
}

static size_t
client_data(void *context, struct span input)
{
    struct t_bench *bench = context;
    memcpy(bench->echoed + bench->size, input.data, input.size);
    bench->size += input.size;
    if (bench->size == bench->wanted) {
        net_latch_open(bench->latch);
    }
    return input.size;
}

static void
client_closed(void *context, err_t cause)
{
    struct t_bench *bench = context;
    bench->client = NULL;
    bench->client_closed = cause;
    net_latch_open(bench->latch);
}

static size_t
server_data(void *context, struct span input)
{
    struct t_bench *bench = context;
    if (bench->uses_nothing) {
        if (input.size < INPUT_MAX) {
            static char more[INPUT_MAX];
            err_t sent = net_stream_send(bench->client, span_of(more, sizeof(more)));
            assert_int_equal(sent, ERR_OK);
        }
        return 0;
    }
    size_t used = input.size > 3 ? 3 : input.size; /* in pieces */
    assert_int_equal(net_stream_send(bench->server, span_slice(input, 0, used)), ERR_OK);
    return used;
}

static void
server_closed(void *context, err_t cause)
{
    struct t_bench *bench = context;
    bench->server = NULL;
    bench->server_closed = cause;
}

static const struct net_stream_hooks client_hooks = {client_open, client_data, client_closed};
static const struct net_stream_hooks server_hooks = {NULL, server_data, server_closed};

static bool
on_accept(void *context, struct net_stream *stream, void **ret_context)
{
    struct t_bench *bench = context;
    *ret_context = bench;
    bench->server = bench->refuses ? NULL : stream;
    return !bench->refuses;
}

static const struct net_stream_limits limits = {INPUT_MAX, 512, 5000};

static void
run_connect(struct os_task *task)
{
    struct t_bench *bench = CONTAINER_OF(task, struct t_bench, task);
    const struct net_stream_target target = {
        .host = "127.0.0.1", .port = bench->port, .limits = limits};
    assert_int_equal(
        net_stream_connect(bench->loop, &target, &client_hooks, bench, &bench->client), ERR_OK);
}

static void
run_end(struct os_task *task)
{
    struct t_bench *bench = CONTAINER_OF(task, struct t_bench, task);
    net_stream_close(&bench->client);
    net_stream_close(&bench->server);
    net_stream_listener_destroy(&bench->listener);
}

static void
t_run(struct t_bench *bench)
{
    assert_int_equal(net_loop_create("test", &bench->loop), ERR_OK);
    assert_int_equal(net_latch_create(&bench->latch), ERR_OK);
    const struct net_stream_listen listen = {
        .address = "127.0.0.1",
        .limits = limits,
        .on_accept = on_accept,
        .hooks = &server_hooks,
        .context = bench,
    };
    uint16_t port = 0;
    assert_int_equal(
        net_stream_listener_create(bench->loop, &listen, &bench->listener, &port), ERR_OK);
    if (bench->port == 0) {
        bench->port = port;
    }
    bench->task.run = run_connect;
    os_post(net_loop_executor(bench->loop), &bench->task);
    assert_int_equal(net_loop_start(bench->loop), ERR_OK);
    net_latch_wait(bench->latch);
    bench->task.run = run_end;
    os_post(net_loop_executor(bench->loop), &bench->task);
    net_loop_stop(bench->loop);
    net_loop_destroy(&bench->loop);
    net_latch_destroy(&bench->latch);
}

static void
echo_test(void **state)
{
    (void)state;
    struct t_bench bench = {.wanted = strlen("hello, stream")};
    t_run(&bench);
    assert_memory_equal(bench.echoed, "hello, stream", bench.wanted);
    assert_int_equal(bench.client_closed, ERR_OK);
}

static void
refused_test(void **state)
{
    (void)state;
    struct t_bench bench = {.port = 1};
    t_run(&bench);
    assert_int_equal(bench.client_closed, ERR_CLOSED);
}

/* Accepted and closed at once, because the owner wants no more. */
static void
turned_away_test(void **state)
{
    (void)state;
    struct t_bench bench = {.refuses = true};
    t_run(&bench);
    assert_int_equal(bench.client_closed, ERR_CLOSED);
}

static void
full_test(void **state)
{
    (void)state;
    struct t_bench bench = {.uses_nothing = true};
    t_run(&bench);
    assert_int_equal(bench.server_closed, ERR_RANGE);
    assert_int_equal(bench.client_closed, ERR_CLOSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_test),
        cmocka_unit_test(refused_test),
        cmocka_unit_test(turned_away_test),
        cmocka_unit_test(full_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
