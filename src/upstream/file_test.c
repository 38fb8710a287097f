/* The text of a file of endpoints: what is taken, and what is said about what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream_private.h"

#include <stdio.h>
#include <string.h>

static struct upstream_plan plan;

static err_t
parse(struct span text, uint32_t *line, const char **reason)
{
    memset(&plan, 0xa5, sizeof(plan));
    *line = 0;
    *reason = "";
    return upstream_file_parse(text, &plan, line, reason);
}

static void
expect_target(size_t index, const char *host, uint16_t port, uint32_t weight, uint32_t priority)
{
    assert_string_equal(plan.targets[index].host, host);
    assert_int_equal(plan.targets[index].port, port);
    assert_int_equal(plan.targets[index].share.weight, weight);
    assert_int_equal(plan.targets[index].share.priority, priority);
}

static void
test_taken(void **state)
{
    (void)state;
    uint32_t line;
    const char *reason;
    assert_int_equal(
        parse(
            SPAN("# the set\n\n"
                 "10.0.0.1:8080\n"
                 "  api-2.internal:80 \t weight=1000   priority=7 # spare\r\n"
                 "[2001:db8::1]:65535 priority=0 weight=1"),
            &line,
            &reason),
        ERR_OK);
    assert_int_equal(plan.count, 3);
    expect_target(0, "10.0.0.1", 8080, 1, 0);
    expect_target(1, "api-2.internal", 80, 1000, 7);
    expect_target(2, "2001:db8::1", 65535, 1, 0);
}

static void
test_refused(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        uint32_t line;
        const char *reason;
    } cases[] = {
        {"", 0, "no endpoint"},
        {"# nothing\n\n", 2, "no endpoint"},
        {"a:1\nb\n", 2, "host:port"},
        {"a:0", 1, "host:port"},
        {"a:65536", 1, "host:port"},
        {"a:-1", 1, "host:port"},
        {"a:", 1, "host:port"},
        {":80", 1, "host:port"},
        {"[]:80", 1, "host:port"},
        {"2001:db8::1:80", 1, "host:port"},
        {"a/b:80", 1, "host:port"},
        {"http://a:80", 1, "host:port"},
        {"a:1 weight=0", 1, "weight is not"},
        {"a:1 weight=1001", 1, "weight is not"},
        {"a:1 weight=4294967297", 1, "weight is not"},
        {"a:1 weight=", 1, "weight is not"},
        {"a:1 weight", 1, "weight is not"},
        {"a:1 weight=1 weight=1", 1, "weight is given twice"},
        {"a:1 priority=8", 1, "priority is not"},
        {"a:1 priority=0 priority=1", 1, "priority is given twice"},
        {"a:1 colour=red", 1, "only weight"},
        {"a:1 b:2", 1, "only weight"},
        {"a:1\n\nA:1\n", 3, "given twice"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t line;
        const char *reason;
        err_t result = parse(span_from_cstr(cases[i].text), &line, &reason);
        if (result != ERR_INVALID || strstr(reason, cases[i].reason) == NULL) {
            print_error("\"%s\": line %u: %s\n", cases[i].text, line, reason);
        }
        assert_int_equal(result, ERR_INVALID);
        assert_int_equal(line, cases[i].line);
        assert_non_null(strstr(reason, cases[i].reason));
    }
    uint32_t line;
    const char *reason;
    assert_int_equal(parse(SPAN("a\0b:80"), &line, &reason), ERR_INVALID);
}

static void
test_sizes(void **state)
{
    (void)state;
    static char text[8192];
    uint32_t line;
    const char *reason;
    size_t size = 0;
    for (int i = 0; i <= UPSTREAM_ENDPOINTS_MAX; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "h%d:80\n", i);
        err_t result = parse(span_of(text, size), &line, &reason);
        assert_int_equal(result, i < UPSTREAM_ENDPOINTS_MAX ? ERR_OK : ERR_FULL);
    }
    assert_int_equal(line, UPSTREAM_ENDPOINTS_MAX + 1);
    for (size_t host = 252; host <= 254; host++) {
        memset(text, 'h', host);
        memcpy(text + host, ":80", 3);
        err_t result = parse(span_of(text, host + 3), &line, &reason);
        assert_int_equal(result, host < UPSTREAM_HOST_SIZE ? ERR_OK : ERR_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
