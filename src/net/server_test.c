/* What the server answers: well-formed, in pieces, pipelined, out of order. */
#include "testing.h"

#include "base/sanitized.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

#define POST      "POST /echo HTTP/1.1\r\nHost: a\r\n"

static struct t_server t;

static int
setup(void **state)
{
    (void)state;
    t_server_start(&t, NULL, NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    t_release(&t, true);
    t_server_stop(&t, 100);
    return 0;
}

/* Sends, reads one answer, and leaves the connection open. */
static void
exchange(int fd, const char *request, const char *end, char *out, size_t size)
{
    t_send_text(fd, request);
    (void)t_read_count(fd, out, size, end, 1);
}

static void
test_answers(void **state)
{
    (void)state;
    char text[4096];
    int fd = t_connect(t.port);
    exchange(
        fd,
        "POST /echo?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "hello",
        text,
        sizeof(text));
    assert_int_equal(t_status(text), 200);
    assert_non_null(strstr(text, "X-Method: POST\r\n"));
    assert_non_null(strstr(text, "X-Path: /echo\r\n"));
    assert_non_null(strstr(text, "Content-Length: 5\r\n"));
    assert_non_null(strstr(text, "Date: "));
    assert_null(strstr(text, "Connection"));
    exchange(
        fd,
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
        "abcde",
        text,
        sizeof(text));
    assert_int_equal(t_status(text), 200);
    exchange(fd, GET("/none"), "\r\n\r\n", text, sizeof(text));
    assert_int_equal(t_status(text), 204);
    assert_null(strstr(text, "not to be sent"));
    exchange(fd, "HEAD /size?77 HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n", text, sizeof(text));
    assert_non_null(strstr(text, "Content-Length: 77\r\n"));
    exchange(fd, GET("/size?0"), "\r\n\r\n", text, sizeof(text));
    assert_int_equal(t_status(text), 200); /* no byte of HEAD's body came before it */
    (void)close(fd);
    assert_int_equal(t_count(&t).requests, 5);
    assert_int_equal(t_count(&t).accepted, 1);
}

static void
expect_closing(const char *request, unsigned status)
{
    char text[8192];
    bool closed = false;
    int fd = t_connect(t.port);
    t_send_text(fd, request);
    (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    assert_int_equal(t_status(text), status);
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_true(closed);
    (void)close(fd);
}

static void
test_closes(void **state)
{
    (void)state;
    expect_closing("GET /echo HTTP/1.0\r\n\r\n", 200);
    expect_closing("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200);
    expect_closing(GET("/close"), 200);
    expect_closing(GET("/broken"), 500);
}

/* ------------------------------------------------------------------------------------- pieces */

static void
test_bytewise(void **state)
{
    (void)state;
    const char *request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                          "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "2\r\nwo\r\n3\r\nrld\r\n0\r\n\r\n";
    char text[4096];
    int fd = t_connect(t.port);
    for (size_t i = 0; i < strlen(request); i++) {
        t_send(fd, request + i, 1);
    }
    (void)t_read_count(fd, text, sizeof(text), "world", 1);
    assert_non_null(strstr(text, "hello"));
    assert_int_equal(t_occurrences(text, "HTTP/1.1 200 OK"), 2);
    (void)close(fd);
}

static void
test_expect_continue(void **state)
{
    (void)state;
    char text[4096];
    int fd = t_connect(t.port);
    t_send_text(fd, POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    assert_int_equal(t_status(text), 100);
    t_send_text(fd, "hello");
    (void)t_read_count(fd, text, sizeof(text), "hello", 1);
    assert_int_equal(t_status(text), 200);
    /* A client that does not wait gets no interim answer. */
    t_send_text(fd, POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nagain");
    (void)t_read_count(fd, text, sizeof(text), "again", 1);
    assert_int_equal(t_status(text), 200);
    /* Behind a request that is not answered yet, the interim answer waits its turn. */
    t_send_text(fd, GET("/hold") POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    t_wait_held(&t, 1);
    bool closed = false;
    assert_int_equal(t_read(fd, text, sizeof(text), 100, &closed), 0);
    t_release(&t, true);
    (void)t_read_count(fd, text, sizeof(text), "100 Continue\r\n\r\n", 1);
    assert_int_equal(t_status(text), 200);
    t_send_text(fd, "third");
    (void)t_read_count(fd, text, sizeof(text), "third", 1);
    (void)close(fd);
}

/* --------------------------------------------------------------------------------- pipelining */

#define T_PIPELINED 16

static void
check_order(const char *text, const char *prefix, uint32_t count)
{
    const char *at = text;
    for (uint32_t i = 0; i < count; i++) {
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "%s%05u", prefix, i);
        at = strstr(at, expected);
        assert_non_null(at);
        at++;
    }
}

static void
pipeline_out_of_order(bool as_chain)
{
    char request[4096] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < T_PIPELINED; i++) {
        at += (size_t)snprintf(
            request + at, sizeof(request) - at, "GET /hold-%05u HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    static char text[16384];
    int fd = t_connect(t.port);
    t_send_text(fd, request);
    t_wait_held(&t, T_PIPELINED);
    t_release(&t, as_chain); /* the last first */
    (void)t_read_count(fd, text, sizeof(text), "/hold-00015", 1);
    assert_int_equal(t_occurrences(text, "HTTP/1.1 200 OK"), T_PIPELINED);
    check_order(text, "/hold-", T_PIPELINED);
    (void)close(fd);
}

static void
test_pipeline_order(void **state)
{
    (void)state;
    pipeline_out_of_order(false);
    pipeline_out_of_order(true);
    assert_true(t.chain_longest >= T_PIPELINED / 2); /* they came in one read, so as one group */
}

/* Far more than may be unanswered at once: the rest is held back and goes on. */
static void
test_pipeline_many(void **state)
{
    (void)state;
    const uint32_t count = 3000;
    const size_t each = 64;
    char *request = malloc(count * each);
    char *text = malloc(count * 512);
    assert_non_null(request);
    assert_non_null(text);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        at += (size_t)snprintf(
            request + at, count * each - at, "GET /echo-%05u HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    int fd = t_connect(t.port);
    t_send(fd, request, at);
    (void)t_read_count(fd, text, count * 512, "X-Path: /echo-02999", 1);
    check_order(text, "X-Path: /echo-", count);
    (void)close(fd);
    free(request);
    free(text);
    assert_int_equal(t_count(&t).requests, count);
    assert_true(t_count(&t).memory_peak < 2000000);
}

/* The pipeline is full of requests that nobody answers yet: no more is read. */
static void
test_pipeline_full(void **state)
{
    (void)state;
    int fd = t_connect(t.port);
    for (uint32_t i = 0; i < 100; i++) {
        t_send_text(fd, GET("/hold"));
    }
    uint32_t most = net_server_settings_default.pipeline_max;
    t_wait_held(&t, most);
    t_sleep_ms(50);
    assert_int_equal(t_count(&t).requests, most);
    static char text[65536];
    uint32_t answered = 0;
    while (answered < 100) {
        uint32_t now = 100 - answered < most ? 100 - answered : most;
        t_wait_held(&t, now);
        t_release(&t, true);
        (void)t_read_count(fd, text, sizeof(text), "HTTP/1.1 200 OK", now);
        answered += now;
    }
    (void)close(fd);
}

/* ------------------------------------------------------------------------------------ leaving */

static void
test_half_close(void **state)
{
    (void)state;
    char text[4096];
    bool closed = false;
    int fd = t_connect(t.port);
    t_send_text(fd, GET("/hold") GET("/hold"));
    t_wait_held(&t, 2);
    assert_int_equal(t.gone, 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    t_wait_gone(&t, 2); /* as far as the server can know */
    assert_true(t.held[0]->gone && t.held[1]->gone);
    t_release(&t, false);
    (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    assert_int_equal(t_occurrences(text, "HTTP/1.1 200 OK"), 2);
    assert_true(closed);
    (void)close(fd);
    /* In the middle of a message it is an error. */
    fd = t_connect(t.port);
    t_send_text(fd, POST "Content-Length: 10\r\n\r\nabc");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    assert_int_equal(t_status(text), 400);
    assert_true(closed);
    (void)close(fd);
}

static void
test_vanished_client(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int fd = t_connect(t.port);
        t_send_text(
            fd, GET("/hold") "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
        t_wait_held(&t, (uint32_t)i + 1);
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
        (void)close(fd); /* a reset */
    }
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).connections > 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
    assert_int_equal(t_count(&t).in_flight, 20);
    t_wait_gone(&t, 20); /* once for each */
    assert_int_equal(t.gone, 20);
    t_release(&t, true);
    while (t_count(&t).orphaned < 20) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
    assert_int_equal(t_count(&t).memory, 0);
}

static void
test_large_bodies(void **state)
{
    (void)state;
    const size_t size = 1000000;
    char *text = malloc(size + 4096);
    char *body = malloc(size);
    assert_non_null(text);
    assert_non_null(body);
    memset(body, 'b', size);
    char head[128];
    (void)snprintf(
        head, sizeof(head), POST "Content-Length: %zu\r\nConnection: close\r\n\r\n", size);
    int fd = t_connect(t.port);
    t_send_text(fd, head);
    t_send(fd, body, size);
    bool closed = false;
    size_t got = t_read(fd, text, size + 4096, T_WAIT_MS, &closed);
    assert_true(closed);
    assert_int_equal(t_status(text), 200);
    assert_true(got > size);
    assert_memory_equal(text + got - size, body, size);
    (void)close(fd);
    free(text);
    free(body);
}

/* The answer reaches a client that goes on sending what was refused (NET-5). */
static void
test_refusal_is_readable(void **state)
{
    (void)state;
    const size_t size = 5000000;
    char *body = calloc(1, size);
    assert_non_null(body);
    for (int i = 0; i < 10; i++) {
        char text[4096];
        bool closed = false;
        int fd = t_connect(t.port);
        t_send_text(fd, POST "Content-Length: 5000000\r\n\r\n");
        size_t sent = 0;
        while (sent < size) { /* closed too early, a reset would end this */
            ssize_t count = send(fd, body + sent, size - sent, MSG_NOSIGNAL);
            assert_true(count > 0);
            sent += (size_t)count;
        }
        (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
        assert_int_equal(t_status(text), 413);
        assert_true(closed);
        (void)close(fd);
    }
    free(body);
}

/* ------------------------------------------------------------------------------------- secrets */

/* Never whole in this program's memory except where it is being sent. */
#define SECRET_SIZE 24
#define SECRET_MASK 1

static const unsigned char secret_masked[SECRET_SIZE + 1] = "5353535353535353sEcReTkL";

static char
secret_byte(size_t index)
{
    return (char)(secret_masked[index] - SECRET_MASK);
}

/* How often the secret stands in [from, to). */
static uint32_t
secrets_in(const char *from, const char *to)
{
    uint32_t count = 0;
    while (to - from >= SECRET_SIZE) {
        const char *at = memchr(from, secret_byte(0), (size_t)(to - from) - SECRET_SIZE + 1);
        if (at == NULL) {
            break;
        }
        size_t same = 1;
        while (same < SECRET_SIZE && at[same] == secret_byte(same)) {
            same++;
        }
        count += same == SECRET_SIZE;
        from = at + 1;
    }
    return count;
}

/* In everything that this process can write to. */
static uint32_t
secrets_in_memory(void)
{
    uint32_t count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        char *end = NULL;
        uintptr_t from = (uintptr_t)strtoull(line, &end, 16);
        uintptr_t to = (uintptr_t)strtoull(end + 1, &end, 16);
        if (strncmp(end, " rw", 3) == 0) {
            count += secrets_in((const char *)from, (const char *)to);
        }
    }
    (void)fclose(maps);
    return count;
}

/* The loop's thread may be on its way. */
static void
wait_wiped(void)
{
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).memory > 0 || secrets_in_memory() > 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
}

static size_t
put_text(char *out, const char *text)
{
    memcpy(out, text, strlen(text));
    return strlen(text);
}

static size_t
put_secret(char *out)
{
    for (size_t i = 0; i < SECRET_SIZE; i++) {
        out[i] = secret_byte(i);
    }
    return SECRET_SIZE;
}

/* A header and a body with the secret in it; the pipelined second one too. */
static size_t
secret_request(char *out)
{
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        at += put_text(out + at, "POST /hold HTTP/1.1\r\nHost: a\r\nAuthorization: ");
        at += put_secret(out + at);
        at += put_text(out + at, "\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n");
        at += put_secret(out + at);
        at += put_text(out + at, "\r\n0\r\n\r\n");
    }
    return at;
}

/* NET-7. */
static void
test_secrets_are_wiped(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip(); /* their shadow memory is too large to search */
    }
    static char request[1024];
    char text[4096];
    const size_t steps[] = {sizeof(request), 7, 100};
    for (size_t i = 0; i < 3; i++) {
        int fd = t_connect(t.port);
        size_t size = secret_request(request);
        for (size_t at = 0; at < size; at += steps[i]) {
            t_send(fd, request + at, size - at < steps[i] ? size - at : steps[i]);
            t_sleep_ms(1);
        }
        explicit_bzero(request, sizeof(request));
        t_wait_held(&t, 2);
        assert_in_range(secrets_in_memory(), 4, 8); /* the search finds what is there */
        t_release(&t, true);
        (void)t_read_count(fd, text, sizeof(text), "HTTP/1.1 200 OK", 2);
        wait_wiped();
        (void)close(fd);
    }
}

/* NET-7: what an answer tells once, such as a new key. */
static void
test_secrets_of_answers_are_wiped(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip(); /* their shadow memory is too large to search */
    }
    /* Behind where the allocator writes into what was freed. */
    static const char padding[] = "0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char *const versions[] = {"1.1", "1.0"}; /* the second closes */
    for (size_t i = 0; i < 2; i++) {
        char request[512];
        char text[512];
        int fd = t_connect(t.port);
        int head = snprintf(
            request,
            sizeof(request),
            "POST /echo HTTP/%s\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
            versions[i],
            sizeof(padding) - 1 + SECRET_SIZE,
            padding);
        assert_true(head > 0);
        t_send(fd, request, (size_t)head + put_secret(request + head));
        explicit_bzero(request, sizeof(request));
        (void)t_read_count(fd, text, sizeof(text), padding, 1);
        explicit_bzero(text, sizeof(text));
        wait_wiped();
        (void)close(fd);
    }
}

/* ---------------------------------------------------------------------------------- own errors */

static const struct http_header refused_header = {
    .name = {.data = "Request-Id", .size = 10}, .value = {.data = "req_1", .size = 5}};

static void
on_refused(void *context, struct net_exchange *refused, const char *reason)
{
    (void)context;
    refused->answer.content_type = SPAN("text/plain");
    refused->answer.headers = &refused_header;
    refused->answer.header_count = 1;
    buf_append_format(
        &refused->answer.body,
        "%u %.*s %s",
        refused->answer.status,
        SPAN_PRINTF(refused->path),
        reason);
}

static void
on_no_requests(void *context, struct net_exchange *first)
{
    (void)context;
    (void)first;
    abort();
}

static void
test_refused_hook(void **state)
{
    (void)state;
    struct net_loop *loop = NULL;
    struct net_server *server = NULL;
    uint16_t port = 0;
    struct net_server_hooks hooks = {.on_requests = on_no_requests, .on_refused = on_refused};
    assert_int_equal(net_loop_create("t-hook", &loop), ERR_OK);
    struct net_server_settings settings = net_server_settings_default;
    settings.requests_max = 0;
    assert_int_equal(net_server_create(loop, &settings, &hooks, &server), ERR_RANGE);
    assert_int_equal(
        net_server_create(loop, &net_server_settings_default, &hooks, &server), ERR_OK);
    struct net_listen listen = {.address = "not an address"};
    assert_int_equal(net_server_listen(server, &listen, &port), ERR_INVALID);
    listen = (struct net_listen){.address = NULL}; /* every address, IPv4 too */
    assert_int_equal(net_server_listen(server, &listen, &port), ERR_OK);
    struct net_listen again = {.address = NULL, .port = port};
    assert_int_equal(net_server_listen(server, &again, &port), ERR_EXISTS);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    net_server_start(server);
    char text[4096];
    bool closed = false;
    int fd = t_connect(port);
    t_send_text(fd, POST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"); /* its head was fine */
    (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    assert_int_equal(t_status(text), 400);
    assert_non_null(strstr(text, "Request-Id: req_1\r\n"));
    assert_non_null(strstr(text, "400 /echo a chunk size"));
    assert_true(closed);
    (void)close(fd);
    net_server_stop(server, 100);
    net_server_destroy(&server);
    net_loop_stop(loop);
    net_loop_destroy(&loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytewise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expect_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vanished_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusal_is_readable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets_are_wiped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets_of_answers_are_wiped, setup, teardown),
        cmocka_unit_test(test_refused_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
