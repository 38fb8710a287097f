/* The client: what each end of a call means, reuse, the one repeat, maxima. */
#include "testing.h"

#include "base/list.h"

#include "client_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct cancelled {
    struct os_task task;
    struct net_call *call;
};

struct closing {
    struct os_task begin;
    struct os_task closed;
    uv_sem_t done;
};

static struct net_loop *loop;
static struct net_client *client;
static struct t_calls calls;
static int listener;
static uint16_t port;

static void
client_start(const struct net_client_settings *settings, const char *host)
{
    assert_int_equal(
        net_client_create(
            loop,
            &(struct net_origin){.host = host, .port = port},
            settings == NULL ? &net_client_settings_default : settings,
            &client),
        ERR_OK);
}

/* A loop, and a listener that the test itself serves. */
static int
setup(void **state)
{
    (void)state;
    client = NULL;
    t_calls_init(&calls);
    listener = t_listen(&port);
    assert_int_equal(net_loop_create("t-client", &loop), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    if (client != NULL) {
        net_client_stop(client);
        struct net_client_counters counters;
        net_client_count(client, &counters);
        assert_int_equal(counters.connections, 0);
        assert_int_equal(counters.calls, counters.answers + counters.unknown + counters.failed);
    }
    net_client_destroy(&client);
    net_loop_stop(loop);
    net_loop_destroy(&loop);
    t_calls_release(&calls);
    (void)close(listener);
    return 0;
}

static struct net_client_counters
count(void)
{
    struct net_client_counters counters;
    net_client_count(client, &counters);
    return counters;
}

/* Reads one request without or with a body that ends in `end`. */
static void
take_request(int fd, const char *end)
{
    static char text[65536];
    (void)t_read_count(fd, text, sizeof(text), end, 1);
}

static void
expect(const struct net_call *call, err_t result, err_t cause)
{
    if (call->result != result || call->cause != cause) {
        print_error("got %s, cause %s\n", err_name(call->result), err_name(call->cause));
    }
    assert_int_equal(call->result, result);
    assert_int_equal(call->cause, cause);
}

static void
expect_answer(const struct net_call *call, unsigned status, const char *body)
{
    expect(call, ERR_OK, ERR_OK);
    assert_int_equal(call->status, status);
    assert_true(span_equal_cstr(buf_span(&call->answer), body));
}

/* So many interim answers, and then the real one. */
static int
serve_interim(struct net_call *call, int fd, uint32_t interim)
{
    static char text[4096];
    struct buf answer;
    buf_init_fixed(&answer, text, sizeof(text) - 1);
    for (uint32_t i = 0; i < interim; i++) {
        buf_append_cstr(&answer, "HTTP/1.1 103 Early Hints\r\n\r\n");
    }
    buf_append_cstr(&answer, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_false(buf_failed(&answer));
    text[answer.size] = '\0';
    t_call_init(&calls, call, "/", NULL);
    net_client_start(client, call);
    fd = fd < 0 ? t_accept(listener) : fd;
    take_request(fd, "\r\n\r\n");
    t_send_text(fd, text);
    t_calls_wait(&calls, 1);
    return fd;
}

/* One call, served with `answer`, after which the server closes or not. */
static void
serve_one(struct net_call *call, int fd, const char *answer, bool close_after)
{
    take_request(fd, call->body.size == 0 ? "\r\n\r\n" : "body");
    t_send_text(fd, answer);
    if (close_after) {
        (void)close(fd);
    }
    t_calls_wait(&calls, 1);
}

#define OK(body, size) "HTTP/1.1 200 OK\r\nContent-Length: " size "\r\n\r\n" body

static void
test_answers(void **state)
{
    (void)state;

    static const struct {
        const char *answer;
        bool close;
        unsigned status;
        const char *body;
    } answers[] = {
        {OK("abc", "3"), false, 200, "abc"},
        {"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
         false,
         404,
         "abc"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" OK("x", "1"),
         false,
         200,
         "x"},
        {"HTTP/1.1 204 No Content\r\n\r\n", false, 204, ""},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", true, 200, "until the end"},
    };

    client_start(NULL, "127.0.0.1");
    int fd = -1;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct net_call call;
        t_call_init(&calls, &call, "/a?b=c", NULL);
        net_client_start(client, &call);
        fd = fd < 0 ? t_accept(listener) : fd;
        serve_one(&call, fd, answers[i].answer, answers[i].close);
        expect_answer(&call, answers[i].status, answers[i].body);
        net_call_release(&call);
    }
    assert_int_equal(count().connected, 1); /* kept alive through all of them */
    assert_int_equal(count().answers, 5);
}

/* Who announces an answer for ever keeps nobody busy until the deadline. */
static void
test_interim_answers(void **state)
{
    (void)state;
    struct net_call call;
    client_start(NULL, "127.0.0.1");
    int fd = -1;
    for (int i = 0; i < 2; i++) { /* each call has so many */
        fd = serve_interim(&call, fd, NET_CLIENT_INTERIM_MAX);
        expect_answer(&call, 204, "");
        net_call_release(&call);
    }
    (void)serve_interim(&call, fd, NET_CLIENT_INTERIM_MAX + 1);
    expect(&call, ERR_OUTCOME_UNKNOWN, ERR_FULL);
    net_call_release(&call);
}

static void
test_request_bytes(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    const struct http_header header = {.name = SPAN("Idempotency-Key"), .value = SPAN("k1")};
    struct net_call call;
    t_call_init(&calls, &call, "/v1/x", "the body");
    call.headers = &header;
    call.header_count = 1;
    call.content_type = SPAN("text/plain");
    net_client_start(client, &call);
    int fd = t_accept(listener);
    char text[4096];
    (void)t_read_count(fd, text, sizeof(text), "the body", 1);
    assert_non_null(strstr(text, "POST /v1/x HTTP/1.1\r\n"));
    char host[64];
    (void)snprintf(host, sizeof(host), "Host: 127.0.0.1:%u\r\n", (unsigned)port);
    assert_non_null(strstr(text, host));
    assert_non_null(strstr(text, "Content-Length: 8\r\n"));
    assert_non_null(strstr(text, "Idempotency-Key: k1\r\n"));
    t_send_text(
        fd, "HTTP/1.1 200 OK\r\nRequest-Id: req_1\r\nX-Own: y\r\nContent-Length: 0\r\n\r\n");
    t_calls_wait(&calls, 1);
    expect_answer(&call, 200, "");
    assert_true(span_equal_cstr(net_call_header(&call, HTTP_FIELD_REQUEST_ID), "req_1"));
    struct span value;
    assert_true(net_call_header_find(&call, SPAN("x-own"), &value));
    assert_true(span_equal_cstr(value, "y"));
    net_call_release(&call);
    (void)close(fd);
    /* A header that cannot be written is refused before a byte leaves. */
    const struct http_header bad = {.name = SPAN("A"), .value = SPAN("x\r\nB: c")};
    t_call_init(&calls, &call, "/", NULL);
    call.headers = &bad;
    call.header_count = 1;
    net_client_start(client, &call);
    t_calls_wait(&calls, 1);
    expect(&call, ERR_INVALID, ERR_INVALID);
    net_call_release(&call);
}

/* NET-9. */
static void
test_never_sent(void **state)
{
    (void)state;
    uint16_t before = port;
    port = 1; /* one that was free a moment ago may be somebody else's now */
    client_start(NULL, "127.0.0.1");
    port = before;
    struct net_call call;
    t_call_init(&calls, &call, "/", "x");
    net_client_start(client, &call);
    t_calls_wait(&calls, 1);
    expect(&call, ERR_CLOSED, ERR_CLOSED); /* nobody listens */
    assert_false(call.sent);
    assert_int_equal(count().connect_failed, 1);
    net_call_release(&call);
}

static void
test_unknown(void **state)
{
    (void)state;

    static const struct {
        const char *answer;
        err_t cause;
    } answers[] = {
        {"", ERR_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Le", ERR_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ERR_CLOSED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ERR_CLOSED},
        {"nonsense\r\n\r\n", ERR_INVALID},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", ERR_INVALID},
        {"HTTP/1.1 101 Switching\r\n\r\n", ERR_INVALID},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", ERR_FULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", ERR_FULL},
    };
    struct net_client_settings settings = net_client_settings_default;
    settings.limits.body = 1000;
    client_start(&settings, "127.0.0.1");
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct net_call call;
        t_call_init(&calls, &call, "/", "body");
        net_client_start(client, &call);
        serve_one(&call, t_accept(listener), answers[i].answer, true);
        expect(&call, ERR_OUTCOME_UNKNOWN, answers[i].cause);
        assert_true(call.sent);
        net_call_release(&call);
    }
    assert_int_equal(count().repeated, 0); /* fresh connections: nothing says they were stale */
}

static void
test_timeouts(void **state)
{
    (void)state;
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = 1;
    client_start(&settings, "127.0.0.1");
    struct net_call first;
    struct net_call second;
    /* Over a connection that is there: the first call is sent before its time is looked at. */
    t_call_init(&calls, &first, "/", NULL);
    net_client_start(client, &first);
    int fd = t_accept(listener);
    serve_one(&first, fd, OK("w", "1"), false);
    net_call_release(&first);
    t_call_init(&calls, &first, "/", "body");
    t_call_init(&calls, &second, "/", "body");
    first.timeout_ms = 200;
    second.timeout_ms = 100;
    first.next = &second; /* one connection: the second never leaves the queue */
    net_client_start(client, &first);
    t_calls_wait(&calls, 2);
    expect(&first, ERR_OUTCOME_UNKNOWN, ERR_TIMEOUT);
    expect(&second, ERR_TIMEOUT, ERR_TIMEOUT);
    assert_false(second.sent);
    assert_in_range((first.ended_ns - first.started_ns) / 1000000, 200, T_WAIT_MS);
    assert_in_range((second.ended_ns - second.started_ns) / 1000000, 100, T_WAIT_MS);
    assert_int_equal(count().timeouts, 2);
    (void)close(fd);
    net_call_release(&first);
    net_call_release(&second);
}

/* Makes a connection that has served once and that the server then closes while the next request
 * is on its way: accepted, request read, closed without a byte. */
static void
stale(struct net_call *call, int *fd)
{
    struct net_call warm;
    t_call_init(&calls, &warm, "/warm", NULL);
    net_client_start(client, &warm);
    *fd = t_accept(listener);
    serve_one(&warm, *fd, OK("w", "1"), false);
    expect_answer(&warm, 200, "w");
    net_call_release(&warm);
    net_client_start(client, call);
    take_request(*fd, call->body.size == 0 ? "\r\n\r\n" : "body");
    (void)close(*fd);
}

static void
test_stale_safe(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    const struct http_header key = {.name = SPAN("idempotency-KEY"), .value = SPAN("k")};
    for (int i = 0; i < 2; i++) {
        struct net_call call;
        int fd;
        t_call_init(&calls, &call, "/", i == 0 ? NULL : "body");
        call.headers = &key;
        call.header_count = i == 0 ? 0 : 1;
        stale(&call, &fd);
        fd = t_accept(listener);
        serve_one(&call, fd, OK("again", "5"), true);
        expect_answer(&call, 200, "again");
        net_call_release(&call);
        assert_int_equal(count().repeated, i + 1);
        t_sleep_ms(20);
    }
    /* Once only. */
    struct net_call call;
    int fd;
    t_call_init(&calls, &call, "/", NULL);
    stale(&call, &fd);
    fd = t_accept(listener);
    serve_one(&call, fd, "", true);
    expect(&call, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    net_call_release(&call);
}

static void
test_stale_unsafe(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    struct net_call call;
    int fd;
    t_call_init(&calls, &call, "/", "body");
    stale(&call, &fd);
    t_calls_wait(&calls, 1);
    expect(&call, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    assert_int_equal(count().repeated, 0);
    net_call_release(&call);
}

/* What the caller counts is not sent behind its back, although it would be safe: NET-10. */
static void
test_stale_counted(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    struct net_call call;
    int fd;
    t_call_init(&calls, &call, "/", NULL);
    call.repeat = NET_REPEAT_UNSENT;
    stale(&call, &fd);
    t_calls_wait(&calls, 1);
    expect(&call, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    assert_true(call.stale);
    assert_int_equal(count().repeated, 0);
    net_call_release(&call);
}

static void
cancel_task(struct os_task *task)
{
    struct net_call *call = CONTAINER_OF(task, struct cancelled, task)->call;
    net_client_cancel(call);
    net_client_cancel(call); /* the second time it has ended */
}

static void
cancel(struct net_call *call)
{
    struct cancelled cancelled = {.task = {.run = cancel_task}, .call = call};
    os_post(net_loop_executor(loop), &cancelled.task);
    t_calls_wait(&calls, 1);
}

/* Cancelled while it is on a connection, and while it waits for one. */
static void
test_cancel(void **state)
{
    (void)state;
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = 1;
    client_start(&settings, "127.0.0.1");
    struct net_call three[3];
    for (size_t i = 0; i < 3; i++) {
        t_call_init(&calls, &three[i], "/", "body");
        net_client_start(client, &three[i]);
    }
    int fd = t_accept(listener);
    take_request(fd, "body");
    cancel(&three[1]);
    expect(&three[1], ERR_CLOSED, ERR_CLOSED); /* never sent */
    cancel(&three[0]);
    expect(&three[0], ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    t_wait_closed(fd);
    (void)close(fd);
    fd = t_accept(listener); /* whoever waited behind it goes on */
    serve_one(&three[2], fd, OK("c", "1"), true);
    expect_answer(&three[2], 200, "c");
    for (size_t i = 0; i < 3; i++) {
        net_call_release(&three[i]);
    }
}

static void
closed_task(struct os_task *task)
{
    struct closing *closing = CONTAINER_OF(task, struct closing, closed);
    net_client_destroy(&client);
    uv_sem_post(&closing->done);
}

static void
close_task(struct os_task *task)
{
    net_client_close(client, &CONTAINER_OF(task, struct closing, begin)->closed);
}

/* The loop's thread itself closes a client, and destroys it. */
static void
test_close(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    struct net_call call;
    t_call_init(&calls, &call, "/", "body");
    net_client_start(client, &call);
    int fd = t_accept(listener);
    take_request(fd, "body");
    struct closing closing = {.begin = {.run = close_task}, .closed = {.run = closed_task}};
    assert_int_equal(uv_sem_init(&closing.done, 0), 0);
    os_post(net_loop_executor(loop), &closing.begin);
    uv_sem_wait(&closing.done);
    uv_sem_destroy(&closing.done);
    assert_null(client);
    t_calls_wait(&calls, 1);
    expect(&call, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    net_call_release(&call);
    (void)close(fd);
}

/* Where it is and who it is, apart; and a call with another host. */
static void
test_host_names(void **state)
{
    (void)state;
    const struct net_origin origin = {.host = "127.0.0.1", .port = port, .name = "api.example"};
    assert_int_equal(
        net_client_create(loop, &origin, &net_client_settings_default, &client), ERR_OK);
    struct net_call call;
    int fd = -1;
    static char text[65536];
    for (int i = 0; i < 2; i++) {
        t_call_init(&calls, &call, "/", NULL);
        call.host = i == 0 ? SPAN_EMPTY : SPAN("shop.example");
        net_client_start(client, &call);
        fd = fd < 0 ? t_accept(listener) : fd;
        (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
        assert_non_null(strstr(text, i == 0 ? "Host: api.example:" : "Host: shop.example\r\n"));
        assert_int_equal(t_occurrences(text, "Host: "), 1);
        t_send_text(fd, OK("h", "1"));
        t_calls_wait(&calls, 1);
        expect_answer(&call, 200, "h");
        net_call_release(&call);
    }
    (void)close(fd);
}

/* A byte of the answer came: the server has worked on it, so it is not sent again. */
static void
test_stale_begun(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    struct net_call warm;
    t_call_init(&calls, &warm, "/warm", NULL);
    net_client_start(client, &warm);
    int fd = t_accept(listener);
    serve_one(&warm, fd, OK("w", "1"), false);
    net_call_release(&warm);
    struct net_call call;
    t_call_init(&calls, &call, "/", NULL);
    net_client_start(client, &call);
    serve_one(&call, fd, "H", true);
    expect(&call, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    assert_int_equal(count().repeated, 0);
    net_call_release(&call);
}

static void
test_idle_is_closed(void **state)
{
    (void)state;
    struct net_client_settings settings = net_client_settings_default;
    settings.idle_timeout_ms = 200;
    client_start(&settings, "127.0.0.1");
    struct net_call call;
    t_call_init(&calls, &call, "/", NULL);
    net_client_start(client, &call);
    int fd = t_accept(listener);
    uint64_t begin_ms = t_now_ms();
    serve_one(&call, fd, OK("w", "1"), false);
    net_call_release(&call);
    t_wait_closed(fd);
    assert_true(t_now_ms() - begin_ms >= 190);
    (void)close(fd);
    assert_int_equal(count().connections, 0);
}

/* Bytes that nobody asked for poison a connection: it is not used again. */
static void
test_excess_bytes(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    struct net_call call;
    t_call_init(&calls, &call, "/", NULL);
    net_client_start(client, &call);
    int fd = t_accept(listener);
    serve_one(&call, fd, OK("abc", "3") OK("evil", "4"), false);
    expect_answer(&call, 200, "abc");
    net_call_release(&call);
    t_wait_closed(fd);
    (void)close(fd);
}

struct held {
    struct os_task task;
    struct net_call *call;
    int fd;
    const char *last_words;
};

/* On the loop, which hears of what the server did only after it has given out the connection. */
static void
close_and_start(struct os_task *task)
{
    struct held *held = CONTAINER_OF(task, struct held, task);
    t_send_text(held->fd, held->last_words);
    (void)close(held->fd);
    t_sleep_ms(20);
    net_client_start(client, held->call);
}

/* NET-14: neither is a request lost on a connection that is closed, nor is it answered by what was
 * there before. */
static void
test_not_quiet(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    static const char *const last_words[] = {"", OK("evil", "4")};
    for (size_t i = 0; i < 2; i++) {
        struct net_call call;
        t_call_init(&calls, &call, "/warm", NULL);
        net_client_start(client, &call);
        struct held held = {.call = &call, .last_words = last_words[i]};
        held.task.run = close_and_start;
        held.fd = t_accept(listener);
        serve_one(&call, held.fd, OK("w", "1"), false);
        net_call_release(&call);
        t_call_init(&calls, &call, "/", "body");
        os_post(net_loop_executor(loop), &held.task);
        serve_one(&call, t_accept(listener), OK("new", "3"), true);
        expect_answer(&call, 200, "new");
        net_call_release(&call);
        t_sleep_ms(20);
    }
}

/* The server answers and closes before it has read the body. */
static void
test_early_answer(void **state)
{
    (void)state;
    client_start(NULL, "127.0.0.1");
    const size_t size = 30000000;
    char *body = calloc(1, size);
    assert_non_null(body);
    struct net_call call;
    t_call_init(&calls, &call, "/", "x");
    call.body = span_of(body, size);
    net_client_start(client, &call);
    int fd = t_accept(listener);
    take_request(fd, "\r\n\r\n");
    t_send_text(fd, "HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig");
    t_calls_wait(&calls, 1);
    (void)close(fd);
    expect_answer(&call, 413, "big");
    net_call_release(&call);
    free(body);
}

static void
test_waiting_is_bounded(void **state)
{
    (void)state;
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = 2;
    settings.waiting_max = 5;
    client_start(&settings, "127.0.0.1");
    static struct net_call many[10];
    for (size_t i = 0; i < 10; i++) {
        t_call_init(&calls, &many[i], "/", "body");
        many[i].next = i < 9 ? &many[i + 1] : NULL;
    }
    net_client_start(client, many);
    t_calls_wait(&calls, 5); /* those that did not fit ended at once */
    uint32_t full = 0;
    for (size_t i = 0; i < 10; i++) {
        full += many[i].result == ERR_FULL;
    }
    assert_int_equal(full, 5);
    /* The others end with the client: two had been sent, three never. */
    int a = t_accept(listener);
    int b = t_accept(listener);
    take_request(a, "body");
    take_request(b, "body");
    net_client_stop(client);
    t_calls_wait(&calls, 5);
    uint32_t unknown = 0;
    uint32_t closed = 0;
    for (size_t i = 0; i < 10; i++) {
        unknown += many[i].result == ERR_OUTCOME_UNKNOWN;
        closed += many[i].result == ERR_CLOSED;
        net_call_release(&many[i]);
    }
    assert_int_equal(unknown, 2);
    assert_int_equal(closed, 3);
    net_client_destroy(&client);
    (void)close(a);
    (void)close(b);
}

static void
test_names(void **state)
{
    (void)state;
    client_start(NULL, "localhost"); /* ::1 first perhaps, where nobody listens */
    struct net_call call;
    t_call_init(&calls, &call, "/", NULL);
    net_client_start(client, &call);
    int fd = t_accept(listener);
    serve_one(&call, fd, OK("n", "1"), true);
    expect_answer(&call, 200, "n");
    net_call_release(&call);
    struct net_client *nowhere = NULL;
    assert_int_equal(
        net_client_create(
            loop,
            &(struct net_origin){.host = "no-such-host.invalid", .port = 1},
            &net_client_settings_default,
            &nowhere),
        ERR_OK);
    t_call_init(&calls, &call, "/", "x");
    assert_int_not_equal(net_client_call_blocking(nowhere, &call), ERR_OK);
    assert_false(call.sent);
    assert_int_not_equal(call.result, ERR_OUTCOME_UNKNOWN);
    net_call_release(&call);
    net_client_stop(nowhere);
    net_client_destroy(&nowhere);
}

/* Against the real server: many calls over few connections, each with its own answer. */
static void
test_many_calls(void **state)
{
    (void)state;

    enum {
        CALLS = 2000
    };
    static struct t_server server;
    t_server_start(&server, NULL, NULL);
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = 8;
    uint16_t before = port;
    port = server.port;
    client_start(&settings, "127.0.0.1");
    port = before;
    struct net_call *many = calloc(CALLS, sizeof(*many));
    char(*bodies)[16] = calloc(CALLS, sizeof(*bodies));
    assert_non_null(many);
    assert_non_null(bodies);
    for (size_t i = 0; i < CALLS; i++) {
        (void)snprintf(bodies[i], sizeof(bodies[i]), "body-%zu", i);
        t_call_init(&calls, &many[i], "/echo", bodies[i]);
        many[i].next = i + 1 < CALLS ? &many[i + 1] : NULL;
    }
    net_client_start(client, many);
    t_calls_wait(&calls, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        expect_answer(&many[i], 200, bodies[i]);
        net_call_release(&many[i]);
    }
    assert_int_equal(count().connected, 8);
    assert_int_equal(count().answers, CALLS);
    assert_int_equal(net_client_call_blocking(client, &many[0]), ERR_OK);
    expect_answer(&many[0], 200, bodies[0]);
    net_call_release(&many[0]);
    net_client_stop(client);
    net_client_destroy(&client);
    t_server_stop(&server, 100);
    free(many);
    free(bodies);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interim_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_safe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_unsafe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_excess_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_quiet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_early_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_calls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
