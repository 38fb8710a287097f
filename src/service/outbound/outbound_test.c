/* Against a server of the test's own: what a request can end as, cut answers, reach, room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "net/server.h"
#include "outbound/outbound.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S     30
#define ANSWER_MAX 1000
#define WIDE       64

/* ---- the resolver: names that begin with "hang" are not answered before the test lets them go */

static atomic_bool let_go;

__attribute__((visibility("default"))) int
getaddrinfo(
    const char *restrict name,
    const char *restrict service,
    const struct addrinfo *restrict req,
    struct addrinfo **restrict pai)
{
    typedef int (*resolve)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    resolve next;
    if (strncmp(name, "hang", 4) == 0 && (req->ai_flags & AI_NUMERICHOST) == 0) {
        while (!atomic_load(&let_go)) {
            (void)usleep(1000);
        }
        return EAI_AGAIN;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    return next(name, service, req, pai);
}

/* Tasks wait until the test runs them on its own thread. */
struct owner {
    struct os_executor executor;
    sem_t waiting;
    _Atomic(struct os_task *) newest;
};

static struct owner owner;
static struct net_loop *server_loop, *client_loop;
static struct net_server *server;
static uint16_t port;
static struct outbound *outbound;
static bool is_stopped;
static char long_body[5000];

static void
owner_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct owner *to = CONTAINER_OF(executor, struct owner, executor);
    while (first != NULL) {
        struct os_task *next = first == last ? NULL : first->next;
        struct os_task *newest = atomic_load(&to->newest);
        do {
            first->next = newest;
        } while (!atomic_compare_exchange_weak(&to->newest, &newest, first));
        (void)sem_post(&to->waiting);
        first = next;
    }
}

/* Waits for a task, and runs what waits. */
static void
run_waiting(void)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += WAIT_S;
    assert_int_equal(sem_timedwait(&owner.waiting, &until), 0);
    struct os_task *task = atomic_exchange(&owner.newest, NULL);
    while (task != NULL) {
        struct os_task *next = task->next;
        task->run(task);
        task = next;
    }
}

/* Runs what waits until so many requests are done. */
static uint32_t done_count;

static void
wait_done(uint32_t count)
{
    while (done_count < count) {
        run_waiting();
    }
}

static void
on_requests(void *context, struct net_exchange *first)
{
    (void)context;
    for (struct net_exchange *exchange = first; exchange != NULL; exchange = exchange->next) {
        struct net_answer *answer = &exchange->answer;
        answer->status = 200;
        buf_init(&answer->body, sizeof(long_body) + 100);
        if (span_equal_cstr(exchange->path, "/long")) {
            buf_append(&answer->body, long_body, sizeof(long_body));
        } else if (span_equal_cstr(exchange->path, "/moved")) {
            static const struct http_header location = {SPAN("Location"), SPAN("/elsewhere")};
            answer->status = 302;
            answer->headers = &location;
            answer->header_count = 1;
        } else {
            struct span name = SPAN_EMPTY;
            (void)http_head_find(exchange->head, SPAN("x-name"), &name);
            buf_append_span(&answer->body, name);
            buf_append_byte(&answer->body, ':');
            buf_append_span(&answer->body, exchange->body);
        }
    }
    net_answer(first);
}

static struct outbound_settings
small(void)
{
    struct outbound_settings settings = outbound_settings_default();
    settings.requests_max = 4;
    settings.origins_max = 2;
    settings.answer_bytes_max = ANSWER_MAX;
    return settings;
}

static void
setup_with(const struct outbound_settings *settings)
{
    memset(long_body, 'x', sizeof(long_body));
    owner = (struct owner){.executor = {.post = owner_post}};
    assert_int_equal(sem_init(&owner.waiting, 0, 0), 0);
    done_count = 0;
    is_stopped = false;
    const struct net_server_hooks hooks = {.on_requests = on_requests};
    assert_int_equal(net_loop_create("t-server", &server_loop), ERR_OK);
    assert_int_equal(
        net_server_create(server_loop, &net_server_settings_default, &hooks, &server), ERR_OK);
    assert_int_equal(
        net_server_listen(server, &(struct net_listen){.address = "127.0.0.1"}, &port), ERR_OK);
    assert_int_equal(net_loop_start(server_loop), ERR_OK);
    net_server_start(server);
    struct outbound_parts parts = {
        .owner = &owner.executor,
        .settings = *settings,
    };
    assert_int_equal(net_loop_create("t-client", &client_loop), ERR_OK);
    parts.net = client_loop;
    assert_int_equal(outbound_create(&parts, &outbound), ERR_OK);
    assert_int_equal(net_loop_start(client_loop), ERR_OK);
}

static int
setup(void **state)
{
    (void)state;
    const struct outbound_settings settings = small();
    setup_with(&settings);
    return 0;
}

static int
setup_wide(void **state)
{
    (void)state;
    struct outbound_settings settings = small();
    settings.requests_max = WIDE;
    settings.origins_max = WIDE;
    setup_with(&settings);
    return 0;
}

static void
on_stopped(struct os_task *task)
{
    (void)task;
    is_stopped = true;
}

static void *
stop_main(void *context)
{
    (void)context;
    static struct os_task task = {.run = on_stopped};
    outbound_stop(outbound);
    os_post(&owner.executor, &task);
    return NULL;
}

/* From a thread that is not the owner's, which runs its tasks and calls `meanwhile`. */
static void
stop(void (*meanwhile)(void))
{
    pthread_t thread;
    is_stopped = false;
    assert_int_equal(pthread_create(&thread, NULL, stop_main, NULL), 0);
    while (!is_stopped) {
        meanwhile();
        run_waiting();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
nothing(void)
{
}

static int
teardown(void **state)
{
    (void)state;
    if (!is_stopped) {
        stop(nothing);
    }
    net_loop_stop(client_loop);
    outbound_destroy(&outbound);
    assert_null(outbound);
    net_loop_destroy(&client_loop);
    net_server_stop(server, 0);
    net_loop_stop(server_loop);
    net_server_destroy(&server);
    net_loop_destroy(&server_loop);
    (void)sem_destroy(&owner.waiting);
    return 0;
}

struct asked {
    struct port_http_request request;
    char answer[ANSWER_MAX + 1];
};

static void
request_done(struct port_http_request *request)
{
    struct asked *asked = (struct asked *)(void *)request;
    assert_true(request->answer.size <= ANSWER_MAX);
    if (request->answer.size > 0) {
        memcpy(asked->answer, request->answer.data, request->answer.size);
    }
    done_count++;
}

static const struct port_http_header header = {SPAN("X-Name"), SPAN("value")};

static void
ask(struct asked *asked, const char *host, const char *target)
{
    memset(asked, 0, sizeof(*asked));
    asked->request = (struct port_http_request){
        .reply_to = &owner.executor,
        .done = request_done,
        .host = span_from_cstr(host),
        .port = port,
        .target = span_from_cstr(target),
        .content_type = SPAN("application/json"),
        .headers = &header,
        .header_count = 1,
        .body = SPAN("{}"),
        .timeout_ms = WAIT_S * 1000,
        .scope = 2,
    };
}

static void
send_one(struct asked *asked)
{
    done_count = 0;
    outbound_port(outbound)->send(outbound_port(outbound), &asked->request);
    assert_int_equal(done_count, 0); /* PORT-2 */
    wait_done(1);
}

static void
test_answer(void **state)
{
    (void)state;
    struct asked asked;
    ask(&asked, "127.0.0.1", "/hook?a=b");
    send_one(&asked);
    assert_int_equal(asked.request.error, ERR_OK);
    assert_int_equal(asked.request.status, 200);
    assert_string_equal(asked.answer, "value:{}");
    assert_false(asked.request.cut);
    assert_true(asked.request.duration_ns > 0);
}

/* The call ends with what fits, and the next one is not disturbed by the rest. */
static void
test_long_answer_is_cut(void **state)
{
    (void)state;
    struct asked asked;
    for (int i = 0; i < 3; i++) {
        ask(&asked, "127.0.0.1", "/long");
        send_one(&asked);
        assert_int_equal(asked.request.error, ERR_OK);
        assert_int_equal(asked.request.status, 200);
        assert_int_equal(strlen(asked.answer), ANSWER_MAX);
        assert_true(asked.request.cut);
        ask(&asked, "127.0.0.1", "/hook");
        send_one(&asked);
        assert_string_equal(asked.answer, "value:{}");
    }
}

static void
test_redirect_is_not_followed(void **state)
{
    (void)state;
    struct asked asked;
    ask(&asked, "127.0.0.1", "/moved");
    send_one(&asked);
    assert_int_equal(asked.request.status, 302);
}

static void
test_nobody_there(void **state)
{
    (void)state;
    struct asked asked;
    ask(&asked, "127.0.0.1", "/hook");
    asked.request.port = 1;
    send_one(&asked);
    assert_int_equal(asked.request.error, ERR_CLOSED);
    ask(&asked, "host.invalid", "/hook");
    send_one(&asked);
    assert_true(asked.request.error == ERR_NOT_FOUND || asked.request.error == ERR_BUSY);
}

/* Names that resolve to a refused address as much as the address itself. */
static void
test_reach(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost", "127.1"};
    struct asked asked;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        ask(&asked, hosts[i], "/hook");
        asked.request.reach = PORT_HTTP_PUBLIC;
        send_one(&asked);
        assert_int_equal(asked.request.error, ERR_DENIED);
    }
    ask(&asked, "169.254.169.254", "/hook");
    asked.request.reach = PORT_HTTP_LOCAL;
    send_one(&asked);
    assert_int_equal(asked.request.error, ERR_DENIED);
    ask(&asked, "127.0.0.1", "/hook");
    asked.request.reach = PORT_HTTP_LOCAL;
    send_one(&asked);
    assert_int_equal(asked.request.error, ERR_OK);
}

static void
test_too_many_requests(void **state)
{
    (void)state;
    struct asked asked[5];
    done_count = 0;
    for (int i = 0; i < 5; i++) {
        ask(&asked[i], "127.0.0.1", "/hook");
        outbound_port(outbound)->send(outbound_port(outbound), &asked[i].request);
    }
    wait_done(5);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(asked[i].request.error, ERR_OK);
    }
    assert_int_equal(asked[4].request.error, ERR_BUSY);
}

/* More origins than there is room for take turns. */
static void
test_origins_make_room(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    struct asked asked;
    for (int i = 0; i < 9; i++) {
        ask(&asked, hosts[i % 3], "/hook");
        send_one(&asked);
        assert_int_equal(asked.request.error, i % 3 == 0 ? ERR_OK : ERR_CLOSED);
    }
}

/* A merchant's names that nobody's resolver answers: another's are looked up meanwhile. */
static void
test_names_that_hang(void **state)
{
    (void)state;
    static struct asked asked[WIDE];
    static char hosts[WIDE][32];
    done_count = 0;
    atomic_store(&let_go, false);
    for (int i = 0; i < WIDE - 1; i++) {
        (void)snprintf(hosts[i], sizeof(hosts[i]), "hang-%d.test", i);
        ask(&asked[i], hosts[i], "/hook");
        outbound_port(outbound)->send(outbound_port(outbound), &asked[i].request);
    }
    struct asked *other = &asked[WIDE - 1];
    ask(other, "localhost", "/hook");
    other->request.scope = 4;
    outbound_port(outbound)->send(outbound_port(outbound), &other->request);
    wait_done(1);
    assert_int_equal(other->request.error, ERR_OK);
    assert_string_equal(other->answer, "value:{}");
    atomic_store(&let_go, true);
    wait_done(WIDE);
}

/* Two origins that take turns, so that there is always one to be moved in front. */
static struct asked pair[2];

static void
send_pair(void)
{
    static const char *const hosts[] = {"127.0.0.1", "127.0.0.2"};
    done_count = 0;
    for (int i = 0; i < 2; i++) {
        ask(&pair[i], hosts[i], "/hook");
        outbound_port(outbound)->send(outbound_port(outbound), &pair[i].request);
    }
    wait_done(2);
}

/* The owner goes on sending: every request ends, and so does the stop. */
static void
test_requests_while_it_stops(void **state)
{
    (void)state;
    send_pair();
    assert_int_equal(pair[0].request.error, ERR_OK);
    stop(send_pair);
    send_pair();
    assert_int_equal(pair[0].request.error, ERR_CLOSED);
    assert_int_equal(pair[1].request.error, ERR_CLOSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_answer_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redirect_is_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reach, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origins_make_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_hang, setup_wide, teardown),
        cmocka_unit_test_setup_teardown(test_requests_while_it_stops, setup, teardown),
    };
    return cmocka_run_group_tests_name("outbound", tests, NULL, NULL);
}
