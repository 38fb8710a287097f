#include "forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Reads a request with these header lines from a peer; "for" is what would be sent. */
static void
t_read(const char *peer, const char *lines, const char *expected_for, const char *expected)
{
    static const struct http_limits limits = {.target = 64, .head = 16384, .fields = 32, .body = 1};
    char text[8192];
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: api.example.com\r\n%s\r\n", lines);
    struct http_parser parser;
    http_parser_begin_request(&parser, &limits);
    assert_int_equal(http_parser_feed(&parser, span_from_cstr(text)), HTTP_DONE);
    struct gateway_cidr trusted[2];
    assert_int_equal(gateway_cidr_parse(SPAN("10.0.0.0/8"), &trusted[0]), ERR_OK);
    assert_int_equal(gateway_cidr_parse(SPAN("fd00::/8"), &trusted[1]), ERR_OK);
    uint8_t ip[16];
    assert_int_equal(gateway_ip_parse(span_from_cstr(peer), ip), ERR_OK);
    struct gateway_forwarded forwarded;
    gateway_forwarded_read(&parser.head, ip, false, trusted, 2, &forwarded);
    struct buf out;
    buf_init(&out, 4096);
    gateway_forwarded_write_for(&forwarded, &out);
    assert_true(span_equal_cstr(buf_span(&out), expected_for));
    buf_clear(&out);
    gateway_forwarded_write(&forwarded, &out);
    assert_true(span_equal_cstr(buf_span(&out), expected));
    buf_release(&out);
}

#define HOST ";host=\"api.example.com\""

/* FORWARDED-1. */
static void
t_strangers_claims(void **state)
{
    (void)state;
    t_read(
        "198.51.100.9",
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
        "Forwarded: for=127.0.0.1;proto=https\r\n",
        "198.51.100.9",
        "for=198.51.100.9" HOST ";proto=http");
    t_read("2001:db8::1", "", "2001:db8::1", "for=\"[2001:db8::1]\"" HOST ";proto=http");
}

/* FORWARDED-2. */
static void
t_chains(void **state)
{
    (void)state;
    t_read(
        "10.0.0.1",
        "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: pay.example.com\r\n",
        "203.0.113.7, 10.0.0.1",
        "for=203.0.113.7;host=\"pay.example.com\";proto=https, for=10.0.0.1");
    /* What the client put in front is dropped. */
    t_read(
        "10.0.0.1",
        "X-Forwarded-For: 127.0.0.1, 203.0.113.7, 10.0.0.2\r\n",
        "203.0.113.7, 10.0.0.2, 10.0.0.1",
        "for=203.0.113.7" HOST ";proto=http, for=10.0.0.2, for=10.0.0.1");
    t_read(
        "10.0.0.1",
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\n",
        "203.0.113.7, 10.0.0.1",
        "for=203.0.113.7" HOST ";proto=http, for=10.0.0.1");
    t_read(
        "10.0.0.1",
        "X-Forwarded-For: 203.0.113.7, junk\r\n",
        "10.0.0.1",
        "for=10.0.0.1" HOST ";proto=http");
    t_read(
        "10.0.0.1",
        "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a\"b\r\n",
        "10.0.0.1",
        "for=10.0.0.1" HOST ";proto=http");
    t_read(
        "10.0.0.1",
        "Forwarded: for=\"[2001:db8::7]:99\";proto=https, for=10.1.1.1\r\n",
        "2001:db8::7, 10.1.1.1, 10.0.0.1",
        "for=\"[2001:db8::7]\"" HOST ";proto=http, for=10.1.1.1, for=10.0.0.1");
    t_read(
        "fd00::1",
        "Forwarded: for=203.0.113.7, for=_hidden\r\n",
        "fd00::1",
        "for=\"[fd00::1]\"" HOST ";proto=http");
}

/* So many times, one after the other. */
static void
t_repeat(struct buf *out, const char *text, int times)
{
    for (int i = 0; i < times; i++) {
        buf_append_cstr(out, text);
    }
}

static void
t_long_chain(void **state)
{
    (void)state;
    struct buf lines;
    struct buf expected;
    struct buf expected_for;
    buf_init(&lines, 4096);
    buf_init(&expected, 4096);
    buf_init(&expected_for, 4096);
    buf_append_cstr(&lines, "X-Forwarded-For: 203.0.113.1");
    t_repeat(&lines, ", 10.0.0.2", 100);
    buf_append(&lines, "\r\n", 3); /* with the zero */
    t_repeat(&expected_for, "10.0.0.2, ", GATEWAY_HOPS_MAX - 1);
    buf_append(&expected_for, "10.0.0.1", 9);
    buf_append_cstr(&expected, "for=10.0.0.2" HOST ";proto=http, ");
    t_repeat(&expected, "for=10.0.0.2, ", GATEWAY_HOPS_MAX - 2);
    buf_append(&expected, "for=10.0.0.1", 13);
    t_read("10.0.0.1", lines.data, expected_for.data, expected.data);
    buf_release(&lines);
    buf_release(&expected);
    buf_release(&expected_for);
}

static void
t_malformed(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        ",",
        "for",
        "for=",
        "for=1.2.3.4;",
        "for=1.2.3.4,",
        "for=1.2.3.4 for=1.2.3.4",
        "for=\"1.2.3.4",
        "for=\"1.2\\.3.4\"",
        "for=1.2.3.4;for=1.2.3.4",
        "=1.2.3.4",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct gateway_hop hops[GATEWAY_ELEMENTS_MAX];
        size_t count;
        assert_int_equal(
            gateway_forwarded_decode(span_from_cstr(values[i]), hops, &count), ERR_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_strangers_claims),
        cmocka_unit_test(t_chains),
        cmocka_unit_test(t_long_chain),
        cmocka_unit_test(t_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
