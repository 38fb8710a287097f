/* The client and the host over a real connection, with a network that does as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "message.h"
#include "network/client.h"
#include "network/host.h"
#include "os/process.h"

#include <netinet/in.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define T_DEADLINE_MS 60000u
#define T_REPEAT_MS   100u

struct t_bench {
    struct net_loop *loop, *host_loop;
    struct trace_log log;
    struct network_client *client;
    struct network_host *host;
    struct network_host_settings settings;
    uint32_t connections;
    uint32_t repeat_ms; /* 0: T_REPEAT_MS */
    uint16_t port;
    int holder;                  /* of that port */
    struct port_network network; /* behind the host */
    _Atomic uint32_t asked;
    bool partial;                   /* it authorizes a part */
    struct port_rail_notice notice; /* that it tells, at this position: */
    _Atomic uint64_t position;      /* asked again, it tells again while the test sets another */
    struct span evidence;           /* that it is to get */
    _Atomic bool got_evidence;      /* told again, it says so again while the test reads */
    struct port_network_request request;
    struct port_rail_request rail;
    sem_t done;
};

static void
run_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

/* Approves. */
static void
on_submit(struct port_network *network, struct port_network_request *request)
{
    struct t_bench *bench = CONTAINER_OF(network, struct t_bench, network);
    bench->asked++;
    request->error = ERR_OK;
    request->answer = (struct port_rail_answer){
        .outcome = PORT_RAIL_APPROVED,
        .authorization_code = "A12345",
        .authorized_amount = request->rail->amount.amount,
        .notice = bench->notice,
    };
    request->answer.notice.position = bench->position;
    if (bench->partial && request->rail->operation == PORT_RAIL_AUTHORIZE) {
        request->answer = (struct port_rail_answer){
            .outcome = PORT_RAIL_DECLINED,
            .network_code = "10",
        };
    }
    if (request->rail->operation == PORT_RAIL_EVIDENCE) {
        bench->got_evidence = span_equal(request->rail->evidence, bench->evidence);
    }
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

/* The host's port stays its own over restarts: nobody who connects somewhere is given it. */
static void
t_port_hold(struct t_bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bench->holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(bench->holder >= 0);
    assert_int_equal(setsockopt(bench->holder, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(bench->holder, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(bench->holder, (struct sockaddr *)&address, &size), 0);
    bench->port = ntohs(address.sin_port);
}

static void
t_host_start(struct t_bench *bench)
{
    const struct network_host_parts parts = {
        .loop = bench->host_loop,
        .entropy = os_entropy_real(),
        .log = &bench->log,
        .network = &bench->network,
        .settings = bench->settings,
    };
    assert_int_equal(net_loop_create("host", &bench->host_loop), ERR_OK);
    struct network_host_parts now = parts;
    now.loop = bench->host_loop;
    assert_int_equal(
        network_host_create(&now, "127.0.0.1", bench->port, &bench->host, &bench->port), ERR_OK);
    assert_int_equal(net_loop_start(bench->host_loop), ERR_OK);
}

static void
t_host_stop(struct t_bench *bench)
{
    network_host_stop(bench->host);
    net_loop_stop(bench->host_loop);
    network_host_destroy(&bench->host);
    net_loop_destroy(&bench->host_loop);
}

static void
t_start(struct t_bench *bench)
{
    trace_log_init(&bench->log, 2, os_clock_real());
    trace_log_set_level(&bench->log, TRACE_ERROR);
    bench->network.submit = on_submit;
    assert_int_equal(sem_init(&bench->done, 0, 0), 0);
    t_port_hold(bench);
    t_host_start(bench);
    assert_int_equal(net_loop_create("client", &bench->loop), ERR_OK);
    struct network_client_parts parts = {
        .loop = bench->loop,
        .clock = os_clock_real(),
        .entropy = os_entropy_real(),
        .log = &bench->log,
        .settings = network_client_settings_default(),
    };
    parts.settings.port = bench->port;
    parts.settings.connections = bench->connections == 0 ? 1 : bench->connections;
    parts.settings.repeat_ms = bench->repeat_ms == 0 ? T_REPEAT_MS : bench->repeat_ms;
    parts.settings.retry_max_ms = 200;
    parts.settings.in_flight_max = 4;
    memcpy(parts.settings.host, "127.0.0.1", sizeof("127.0.0.1"));
    memcpy(parts.settings.terminal, "TAEL0001", sizeof("TAEL0001"));
    memcpy(parts.settings.acquirer, "123456", sizeof("123456"));
    assert_int_equal(network_client_create(&parts, &bench->client), ERR_OK);
    assert_int_equal(net_loop_start(bench->loop), ERR_OK);
    network_client_start(bench->client);
}

static void
t_end(struct t_bench *bench)
{
    network_client_stop(bench->client);
    net_loop_stop(bench->loop);
    network_client_destroy(&bench->client);
    net_loop_destroy(&bench->loop);
    t_host_stop(bench);
    trace_log_release(&bench->log);
    assert_int_equal(sem_destroy(&bench->done), 0);
    assert_int_equal(close(bench->holder), 0);
}

static void
on_done(struct port_network_request *request)
{
    struct t_bench *bench = CONTAINER_OF(request, struct t_bench, request);
    assert_int_equal(sem_post(&bench->done), 0);
}

static void
t_submit(struct t_bench *bench, enum port_rail_operation operation, uint32_t within_ms)
{
    static struct os_executor at_once = {os_post_now};
    bench->rail = (struct port_rail_request){
        .operation = operation,
        .id = 5,
        .original_id = operation == PORT_RAIL_AUTHORIZE || operation == PORT_RAIL_NEWS ? 0 : 5,
        .amount = {1000, currency_find(SPAN("USD"))},
        .evidence = bench->evidence,
        .position = 7,
        .deadline_ns = net_now_ns() + within_ms * OS_NS_PER_MS,
    };
    bench->request = (struct port_network_request){
        .reply_to = &at_once,
        .done = on_done,
        .rail = &bench->rail,
        .card = {"4242424242424242", "123", 12, 2034},
    };
    struct port_network *network = network_client_port(bench->client);
    network->submit(network, &bench->request);
}

static void
t_moment(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Before requests that wait for little: on a busy machine they would be over before. */
static void
t_wait_signed_on(struct t_bench *bench)
{
    while (network_client_signed_on(bench->client) == 0) {
        t_moment();
    }
}

/* Until the network behind the host has been asked so often. */
static void
t_wait_asked(struct t_bench *bench, uint32_t times)
{
    while (bench->asked < times) {
        t_moment();
    }
}

static const struct port_rail_answer *
t_wait(struct t_bench *bench)
{
    while (sem_wait(&bench->done) != 0) {
    }
    assert_string_equal(bench->request.card.number, ""); /* M6 */
    return &bench->request.answer;
}

static const struct port_rail_answer *
t_ask(struct t_bench *bench, enum port_rail_operation operation, uint32_t within_ms)
{
    t_submit(bench, operation, within_ms);
    return t_wait(bench);
}

static uint64_t
t_metric(struct t_bench *bench, const char *name)
{
    char memory[12288];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory) - 1);
    network_client_metrics(bench->client, &out);
    assert_false(buf_failed(&out));
    memory[out.size] = '\0';
    const char *at = memory;
    while ((at = strstr(at, name)) != NULL) {
        if (at == memory || at[-1] == '\n') {
            const char *end = strchr(at, '\n');
            uint64_t value;
            size_t size = strlen(name);
            assert_true(
                span_parse_u64(span_of(at + size + 1, (size_t)(end - at) - size - 1), &value));
            return value;
        }
        at++;
    }
    return 0;
}

static void
answered_test(void **state)
{
    (void)state;
    struct t_bench bench = {
        .settings = network_host_settings_default(), .connections = 3, .repeat_ms = T_DEADLINE_MS};
    t_start(&bench);
    const struct port_rail_answer *answer = t_ask(&bench, PORT_RAIL_AUTHORIZE, T_DEADLINE_MS);
    assert_int_equal(bench.request.error, ERR_OK);
    assert_int_equal(answer->outcome, PORT_RAIL_APPROVED);
    assert_string_equal(answer->authorization_code, "A12345");
    assert_int_equal(t_ask(&bench, PORT_RAIL_CAPTURE, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(&bench, PORT_RAIL_REPORT, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    assert_int_equal(
        t_metric(&bench, "tael_network_requests_total{type=\"0100\",response=\"00\"}"), 1);
    assert_int_equal(
        t_metric(&bench, "tael_network_requests_total{type=\"0220\",response=\"00\"}"), 1);
    assert_int_equal(t_metric(&bench, "tael_network_unmatched_total"), 0);
    t_end(&bench);
}

/* NETWORK-1: an answer that does not come is unknown, not "no"; the same id later goes as a repeat.
 */
static void
lost_test(void **state)
{
    (void)state;
    struct t_bench bench = {.settings = network_host_settings_default()};
    bench.settings.lost_per_mille = 1000;
    t_start(&bench);
    t_wait_signed_on(&bench);
    t_submit(&bench, PORT_RAIL_AUTHORIZE, 200);
    t_wait_asked(&bench, 1);
    assert_int_equal(t_wait(&bench)->outcome, PORT_RAIL_UNKNOWN);
    assert_int_equal(bench.request.error, ERR_OK);
    assert_int_equal(t_metric(&bench, "tael_network_repeats_total"), 0);
    assert_int_equal(t_ask(&bench, PORT_RAIL_AUTHORIZE, 200)->outcome, PORT_RAIL_UNKNOWN);
    assert_int_equal(t_metric(&bench, "tael_network_repeats_total"), 1);
    assert_int_equal(
        t_metric(&bench, "tael_network_requests_total{type=\"0100\",response=\"none\"}"), 2);
    t_wait_asked(&bench, 2);
    /* A reversal goes again and again, until somebody answers. */
    t_submit(&bench, PORT_RAIL_VOID, T_DEADLINE_MS);
    t_wait_asked(&bench, 6);
    t_host_stop(&bench);
    bench.settings.lost_per_mille = 0;
    t_host_start(&bench);
    assert_int_equal(t_wait(&bench)->outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_metric(&bench, "tael_network_reversals_waiting"), 0);
    t_end(&bench);
}

/* NETWORK-3: the second of two answers, and one that comes late, answer nothing. */
static void
twice_test(void **state)
{
    (void)state;
    struct t_bench bench = {.settings = network_host_settings_default()};
    bench.settings.twice_per_mille = 1000;
    t_start(&bench);
    assert_int_equal(
        t_ask(&bench, PORT_RAIL_AUTHORIZE, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    assert_int_equal(t_ask(&bench, PORT_RAIL_REFUND, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    /* The third behind the second's second answer. */
    assert_int_equal(t_ask(&bench, PORT_RAIL_REPORT, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    assert_true(t_metric(&bench, "tael_network_unmatched_total") >= 2);
    t_end(&bench);
}

/* Nothing was sent: the error says so. Once the host is there, what waits is sent. */
static void
no_host_test(void **state)
{
    (void)state;
    struct t_bench bench = {.settings = network_host_settings_default()};
    t_start(&bench);
    assert_int_equal(
        t_ask(&bench, PORT_RAIL_AUTHORIZE, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    t_host_stop(&bench);
    while (network_client_signed_on(bench.client) != 0) {
        t_moment();
    }
    assert_int_equal(t_ask(&bench, PORT_RAIL_REFUND, 300)->outcome, PORT_RAIL_UNKNOWN);
    assert_int_equal(bench.request.error, ERR_BUSY);
    t_submit(&bench, PORT_RAIL_REFUND, T_DEADLINE_MS);
    t_host_start(&bench);
    assert_int_equal(t_wait(&bench)->outcome, PORT_RAIL_APPROVED);
    assert_int_equal(bench.request.error, ERR_OK);
    t_end(&bench);
}

/* The connection is lost amid a request: unknown at once, not at its deadline; an advice is sent
 * again on the next connection. */
static void
cut_test(void **state)
{
    (void)state;
    struct t_bench bench = {.settings = network_host_settings_default()};
    bench.settings.lost_per_mille = 1000;
    t_start(&bench);
    t_submit(&bench, PORT_RAIL_AUTHORIZE, T_DEADLINE_MS);
    t_wait_asked(&bench, 1);
    t_host_stop(&bench);
    assert_int_equal(t_wait(&bench)->outcome, PORT_RAIL_UNKNOWN);
    assert_true(net_now_ns() < bench.rail.deadline_ns);
    t_host_start(&bench);
    uint32_t before = bench.asked;
    t_submit(&bench, PORT_RAIL_CAPTURE, T_DEADLINE_MS);
    t_wait_asked(&bench, before + 1);
    t_host_stop(&bench);
    bench.settings.lost_per_mille = 0;
    t_host_start(&bench);
    assert_int_equal(t_wait(&bench)->outcome, PORT_RAIL_APPROVED);
    t_end(&bench);
}

/* NETWORK-3, NETWORK-6: late answers are dropped, and the host has done what it was asked. */
static void
late_test(void **state)
{
    (void)state;
    struct t_bench bench = {.settings = network_host_settings_default()};
    bench.settings.late_per_mille = 1000;
    bench.settings.late_ms = 2000;
    t_start(&bench);
    t_wait_signed_on(&bench);
    assert_int_equal(t_ask(&bench, PORT_RAIL_AUTHORIZE, 200)->outcome, PORT_RAIL_UNKNOWN);
    while (t_metric(&bench, "tael_network_unmatched_total") == 0) {
        t_moment();
    }
    assert_int_equal(bench.asked, 1);
    t_end(&bench);
}

/* A part of the amount was authorized, and nobody had allowed that: it is released, and then told
 * as declined. */
static void
partial_test(void **state)
{
    (void)state;
    struct t_bench bench = {
        .settings = network_host_settings_default(), .partial = true, .repeat_ms = T_DEADLINE_MS};
    t_start(&bench);
    const struct port_rail_answer *answer = t_ask(&bench, PORT_RAIL_AUTHORIZE, T_DEADLINE_MS);
    assert_int_equal(bench.request.error, ERR_OK);
    assert_int_equal(answer->outcome, PORT_RAIL_DECLINED);
    assert_string_equal(answer->network_code, "10");
    assert_string_equal(answer->decline_code, "insufficient_funds");
    assert_int_equal(bench.asked, 2);
    assert_int_equal(
        t_metric(&bench, "tael_network_requests_total{type=\"0420\",response=\"00\"}"), 1);
    assert_int_equal(t_metric(&bench, "tael_network_reversals_waiting"), 0);
    t_end(&bench);
}

/* Evidence of many messages comes whole, whatever is lost or doubled; the network is asked once for
 * each answer that did not come. */
static void
evidence_test(void **state)
{
    (void)state;
    static char text[50000];
    struct t_bench bench = {.settings = network_host_settings_default(), .connections = 2};
    bench.settings.lost_per_mille = 300;
    bench.settings.twice_per_mille = 300;
    bench.settings.dropped_per_mille = 100;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)(i * 7 + i / 255);
    }
    bench.evidence = span_of(text, sizeof(text));
    t_start(&bench);
    assert_int_equal(t_ask(&bench, PORT_RAIL_EVIDENCE, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    assert_true(bench.got_evidence);
    assert_int_equal(t_ask(&bench, PORT_RAIL_ACCEPT, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    assert_true(
        t_metric(&bench, "tael_network_requests_total{type=\"0620\",response=\"00\"}") >= 24);
    t_end(&bench);
}

/* Evidence that takes longer than one request may goes on where the last one ended. */
static void
long_evidence_test(void **state)
{
    (void)state;
    static char text[50000];
    struct t_bench bench = {.settings = network_host_settings_default()};
    bench.settings.lost_per_mille = 500;
    memset(text, 'x', sizeof(text));
    bench.evidence = span_of(text, sizeof(text));
    t_start(&bench);
    assert_int_equal(t_ask(&bench, PORT_RAIL_NEWS, T_DEADLINE_MS)->outcome, PORT_RAIL_APPROVED);
    int asks = 1;
    while (t_ask(&bench, PORT_RAIL_EVIDENCE, 350)->outcome != PORT_RAIL_APPROVED) {
        assert_true(++asks < 600); /* a busy machine has few of them on their way in that time */
    }
    assert_true(asks > 1);
    assert_true(bench.got_evidence);
    t_end(&bench);
}

/* A notice of what was told before is none; the next one that makes sense is heard. */
static void
news_test(void **state)
{
    (void)state;
    struct t_bench bench = {.settings = network_host_settings_default()};
    bench.notice = (struct port_rail_notice){
        .news = PORT_RAIL_NEWS_DISPUTED,
        .dispute = 1,
        .amount = 5,
        .reason = "fraudulent",
    };
    bench.position = 7;
    t_start(&bench);
    do { /* until an answer has come in time */
        assert_int_equal(t_ask(&bench, PORT_RAIL_NEWS, 200)->outcome, PORT_RAIL_UNKNOWN);
    } while (t_metric(&bench, "tael_network_notices_refused_total") == 0);
    bench.position = 8;
    const struct port_rail_answer *answer = t_ask(&bench, PORT_RAIL_NEWS, T_DEADLINE_MS);
    assert_int_equal(answer->outcome, PORT_RAIL_APPROVED);
    assert_int_equal(answer->notice.position, 8);
    assert_string_equal(answer->notice.reason, "fraudulent");
    t_end(&bench);
}

int
main(void)
{
    os_process_ignore_pipe_signal();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answered_test),
        cmocka_unit_test(lost_test),
        cmocka_unit_test(twice_test),
        cmocka_unit_test(no_host_test),
        cmocka_unit_test(cut_test),
        cmocka_unit_test(late_test),
        cmocka_unit_test(partial_test),
        cmocka_unit_test(evidence_test),
        cmocka_unit_test(long_evidence_test),
        cmocka_unit_test(news_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
