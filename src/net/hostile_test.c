/* Hostile input: each is answered with its status, and the connection is closed. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

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

struct t_case {
    const char *name;
    const char *request;
    size_t size; /* 0: strlen */
    unsigned status;
    enum http_refusal refusal;
};

#define POST     "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define BYTES_24 "aaaaaaaaaaaaaaaaaaaaaaaa"

#define WITH_NUL "GET /echo HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\0evil\r\n\r\n"

static const struct t_case cases[] = {
    {"two lengths",
     POST "Content-Length: 24\r\nContent-Length: 2\r\n\r\n" BYTES_24,
     0,
     400,
     HTTP_REFUSAL_FIELD_DUPLICATE},
    {"length and chunked",
     POST "Content-Length: 24\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_LENGTH_AND_CODING},
    {"space before the colon of transfer-encoding",
     POST "Transfer-Encoding : chunked\r\nContent-Length: 24\r\n\r\n" BYTES_24,
     0,
     400,
     HTTP_REFUSAL_FIELD_NAME},
    {"space before the colon of content-length",
     POST "Content-Length : 24\r\n\r\n" BYTES_24,
     0,
     400,
     HTTP_REFUSAL_FIELD_NAME},
    {"signed length",
     POST "Content-Length: +24\r\n\r\n" BYTES_24,
     0,
     400,
     HTTP_REFUSAL_CONTENT_LENGTH},
    {"chunk size with 0x",
     POST "Transfer-Encoding: chunked\r\n\r\n0x18\r\n" BYTES_24 "\r\n0\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_CHUNK_SIZE},
    {"folded header",
     POST "X-A: b\r\n  c\r\nContent-Length: 0\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_FIELD_FOLDED},
    {"two transfer-encodings",
     POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_FIELD_DUPLICATE},
    {"unknown transfer coding",
     POST "Transfer-Encoding: gzip\r\n\r\n",
     0,
     501,
     HTTP_REFUSAL_TRANSFER_CODING},
    {"bare line feeds", "GET /echo HTTP/1.1\nHost: a\n\n", 0, 400, HTTP_REFUSAL_LINE_END},
    {"NUL in a value", WITH_NUL, sizeof(WITH_NUL) - 1, 400, HTTP_REFUSAL_CONTROL_BYTE},
    {"bare CR in a value",
     "GET /echo HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_LINE_END},
    {"no host", "GET /echo HTTP/1.1\r\n\r\n", 0, 400, HTTP_REFUSAL_HOST_MISSING},
    {"two hosts",
     "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_FIELD_DUPLICATE},
    {"two idempotency keys",
     "GET /echo HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_FIELD_DUPLICATE},
    {"header without colon",
     "GET /echo HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
     0,
     400,
     HTTP_REFUSAL_FIELD_NAME},
    {"body too large", POST "Content-Length: 1048577\r\n\r\n", 0, 413, HTTP_REFUSAL_BODY_LARGE},
    {"chunk too large",
     POST "Transfer-Encoding: chunked\r\n\r\n100001\r\n",
     0,
     413,
     HTTP_REFUSAL_BODY_LARGE},
    {"HTTP/2", "GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 0, 505, HTTP_REFUSAL_VERSION},
    {"CONNECT",
     "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
     0,
     501,
     HTTP_REFUSAL_METHOD_TUNNEL},
    {"other expectation",
     POST "Expect: miracles\r\nContent-Length: 1\r\n\r\na",
     0,
     417,
     HTTP_REFUSAL_EXPECTATION},
};

static void
check_case(const struct t_case *c, bool bytewise)
{
    size_t size = c->size == 0 ? strlen(c->request) : c->size;
    uint64_t before = t_count(&t).refused[c->refusal];
    char text[8192];
    bool closed = false;
    int fd = t_connect(t.port);
    size_t step = bytewise ? 1 : size;
    for (size_t at = 0; at < size; at += step) {
        t_send(fd, c->request + at, step);
    }
    /* What follows must not be taken for a request. */
    t_send_text(fd, GET("/echo"));
    (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    if (t_status(text) != c->status || !closed) {
        print_error("%s (%s): got %.60s\n", c->name, bytewise ? "bytewise" : "whole", text);
    }
    assert_int_equal(t_status(text), c->status);
    assert_int_equal(t_occurrences(text, "Content-Length: "), 1);
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(text, "{\"error\":{"));
    assert_true(closed);
    assert_int_equal(t_count(&t).refused[c->refusal], before + 1);
    (void)close(fd);
}

static void
test_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case(&cases[i], false);
        check_case(&cases[i], true);
    }
    assert_int_equal(t_count(&t).requests, 0);
    assert_int_equal(t.chains, 0);
}

/* A head of `count` headers with `value_size` bytes each. */
static void
check_large(uint32_t count, size_t value_size, unsigned status)
{
    size_t size = 64 + count * (value_size + 32);
    char *request = calloc(1, size);
    assert_non_null(request);
    size_t at = (size_t)snprintf(request, size, "GET /echo HTTP/1.1\r\nHost: a\r\n");
    for (uint32_t i = 0; i < count; i++) {
        at += (size_t)snprintf(request + at, size - at, "X-%u: ", i);
        memset(request + at, 'v', value_size);
        at += value_size;
        at += (size_t)snprintf(request + at, size - at, "\r\n");
    }
    at += (size_t)snprintf(request + at, size - at, "\r\n");
    char text[4096];
    bool closed = false;
    int fd = t_connect(t.port);
    t_send(fd, request, at);
    free(request);
    if (status == 200) {
        (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    } else {
        (void)t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    }
    assert_int_equal(t_status(text), status);
    assert_int_equal(closed, status != 200);
    (void)close(fd);
}

static void
test_large_heads(void **state)
{
    (void)state;
    check_large(1, 100000, 431);
    check_large(2000, 1, 431);
    check_large(150, 1, 431);
    check_large(60, 10, 200);
    check_large(1, 15000, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_heads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
