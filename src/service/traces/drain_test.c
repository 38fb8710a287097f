/* Who asks for traces while a process ends: the traces' loop ends before the operators' listener,
 * so each question has an answer, and the listener's end comes. */
#include "base/list.h"
#include "os/entropy.h"
#include "traces/traces.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_S   20
#define GATES    20
#define LOOKS    20 /* a millisecond apart */
#define CLIENTS  (GATES * (LOOKS + 1))
#define DRAIN_MS 100
#define QUESTION "GET /api/v2/traces HTTP/1.1\r\nHost: t\r\n\r\n"
#define ANSWERED 200
#define TOLD_SO  503

/* A task that holds the traces' loop. */
struct t_gate {
    struct os_task task;
    atomic_bool reached;
    atomic_bool open;
};

struct t_node {
    struct net_loop *listener_loop;
    struct net_server *listener;
    uint16_t port;
    atomic_uint handed_on; /* questions */
    atomic_uint refused;
    struct net_loop *loop;
    struct trace_log log;
    struct traces *traces;
    struct t_gate gates[GATES];
    int clients[CLIENTS]; /* sockets whose questions were handed on */
    uint32_t client_count;
    pthread_t drainer;
    atomic_bool drained;
};

static void
pause_ms(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* As the operators' listener does. */
static void
on_requests(void *context, struct net_exchange *first)
{
    struct t_node *node = context;
    while (first != NULL) {
        struct net_exchange *exchange = first;
        first = first->next;
        exchange->next = NULL;
        if (traces_operate(node->traces, exchange)) {
            atomic_fetch_add(&node->handed_on, 1);
        } else {
            exchange->answer.status = TOLD_SO;
            net_answer(exchange);
            atomic_fetch_add(&node->refused, 1);
        }
    }
}

static int
setup(void **state)
{
    char message[TRACES_MESSAGE_SIZE] = "";
    struct t_node *node = calloc(1, sizeof(*node));
    assert_non_null(node);
    const struct net_server_hooks hooks = {.context = node, .on_requests = on_requests};
    trace_log_init(&node->log, fileno(stderr), os_clock_real());
    assert_int_equal(net_loop_create("t-traces", &node->loop), ERR_OK);
    const struct traces_parts parts = {
        .loop = node->loop,
        .clock = os_clock_real(),
        .entropy = os_entropy_real(),
        .log = &node->log,
        .settings =
            {
                .recorder = trace_recorder_settings_default(),
                .recent_max = 4,
                .service = "tael",
                .version = "1",
            },
    };
    assert_int_equal(traces_create(&parts, &node->traces, message), ERR_OK);
    assert_int_equal(net_loop_start(node->loop), ERR_OK);
    assert_int_equal(net_loop_create("t-operators", &node->listener_loop), ERR_OK);
    assert_int_equal(
        net_server_create(
            node->listener_loop, &net_server_settings_default, &hooks, &node->listener),
        ERR_OK);
    assert_int_equal(
        net_server_listen(
            node->listener, &(struct net_listen){.address = "127.0.0.1"}, &node->port),
        ERR_OK);
    assert_int_equal(net_loop_start(node->listener_loop), ERR_OK);
    net_server_start(node->listener);
    *state = node;
    return 0;
}

/* The end of a node whose traces are drained: it comes only if no question is without an answer. A
 * test that failed does not get here, and its threads go with the process. */
static void
t_end(struct t_node *node)
{
    net_loop_stop(node->loop);
    net_server_stop(node->listener, 0);
    net_loop_stop(node->listener_loop);
    net_server_destroy(&node->listener);
    net_loop_destroy(&node->listener_loop);
    traces_destroy(&node->traces);
    net_loop_destroy(&node->loop);
    trace_log_release(&node->log);
    free(node);
}

/* ----------------------------------------------------------------------------------- asking */

static int
t_send(struct t_node *node)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(node->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    const ssize_t size = sizeof(QUESTION) - 1;
    assert_int_equal(send(client, QUESTION, (size_t)size, MSG_NOSIGNAL), size);
    return client;
}

/* The status of the answer; 0: there is none. */
static int
t_receive(int client)
{
    const size_t before = sizeof("HTTP/1.1 ") - 1;
    char answer[64] = "";
    ssize_t size = recv(client, answer, sizeof(answer) - 1, 0);
    (void)close(client);
    return size > (ssize_t)before ? (int)strtol(answer + before, NULL, 10) : 0;
}

/* Whether the question is handed on: then its answer is among those to come. */
static bool
t_ask(struct t_node *node)
{
    uint32_t handed_on = atomic_load(&node->handed_on);
    uint32_t refused = atomic_load(&node->refused);
    int client = t_send(node);
    for (uint32_t i = 0; atomic_load(&node->handed_on) == handed_on; i++) {
        assert_true(i < WAIT_S * 1000);
        if (atomic_load(&node->refused) > refused) {
            assert_int_equal(t_receive(client), TOLD_SO);
            return false;
        }
        pause_ms();
    }
    assert_true(node->client_count < CLIENTS);
    node->clients[node->client_count++] = client;
    return true;
}

/* ------------------------------------------------------------------------------------ gates */

static void
gate_run(struct os_task *task)
{
    struct t_gate *gate = CONTAINER_OF(task, struct t_gate, task);
    atomic_store(&gate->reached, true);
    while (!atomic_load(&gate->open)) {
        pause_ms();
    }
}

static void
t_post(struct t_node *node, struct t_gate *gate)
{
    gate->task.run = gate_run;
    os_post(net_loop_executor(node->loop), &gate->task);
}

static void
t_reach(struct t_gate *gate)
{
    for (uint32_t i = 0; !atomic_load(&gate->reached); i++) {
        assert_true(i < WAIT_S * 1000);
        pause_ms();
    }
}

static void *
drain(void *context)
{
    struct t_node *node = context;
    traces_drain(node->traces, 0);
    atomic_store(&node->drained, true);
    return NULL;
}

/* Whether nothing is handed on any more, or the drain is over. */
static bool
t_has_closed(struct t_node *node)
{
    for (uint32_t i = 0; i < LOOKS; i++) {
        if (atomic_load(&node->drained) || !t_ask(node)) {
            return true;
        }
        pause_ms();
    }
    return false;
}

/* ------------------------------------------------------------------------------------ tests */

static void
behind_the_drain_test(void **state)
{
    struct t_node *node = *state;
    assert_true(t_ask(node));
    assert_int_equal(t_receive(node->clients[0]), ANSWERED);
    traces_drain(node->traces, DRAIN_MS);
    assert_int_equal(t_receive(t_send(node)), TOLD_SO);
    net_loop_stop(node->loop);
    assert_int_equal(t_receive(t_send(node)), TOLD_SO);
    t_end(node);
}

/* The loop is held behind what the drain posts to it, with a question waiting behind that. Where
 * the drain posts is its own affair: gate by gate the loop goes on until the drain is at its end.
 */
static void
under_way_test(void **state)
{
    struct t_node *node = *state;
    t_post(node, &node->gates[0]);
    t_reach(&node->gates[0]);
    assert_int_equal(pthread_create(&node->drainer, NULL, drain, node), 0);
    uint32_t held = 0; /* the gate that the loop is at */
    do {
        assert_true(held + 1 < GATES);
        struct t_gate *next = &node->gates[held + 1];
        t_post(node, next);
        if (!t_ask(node)) {
            break;
        }
        atomic_store(&node->gates[held++].open, true);
        t_reach(next);
    } while (!t_has_closed(node));
    assert_true(node->client_count > 0);
    for (uint32_t i = 0; i < LOOKS; i++) {
        assert_false(atomic_load(&node->drained));
        pause_ms();
    }
    for (uint32_t i = held; i < GATES; i++) {
        atomic_store(&node->gates[i].open, true);
    }
    for (uint32_t i = 0; i < node->client_count; i++) {
        assert_int_equal(t_receive(node->clients[i]), ANSWERED);
    }
    assert_int_equal(pthread_join(node->drainer, NULL), 0);
    assert_int_equal(t_receive(t_send(node)), TOLD_SO);
    t_end(node);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(behind_the_drain_test, setup),
        cmocka_unit_test_setup(under_way_test, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
