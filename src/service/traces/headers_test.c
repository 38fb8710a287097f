#include "headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void
valid_test(void **state)
{
    (void)state;
    struct traces_headers headers;
    uint32_t line;
    assert_null(traces_headers_parse(SPAN(""), &headers, &line));
    assert_int_equal(headers.count, 0);
    assert_null(traces_headers_parse(
        SPAN("# of the collector\nAuthorization: Bearer a:b c==\r\n\nx-tenant:shop"),
        &headers,
        &line));
    assert_int_equal(headers.count, 2);
    assert_true(span_equal_cstr(headers.list[0].name, "Authorization"));
    assert_true(span_equal_cstr(headers.list[0].value, "Bearer a:b c=="));
    assert_true(span_equal_cstr(headers.list[1].name, "x-tenant"));
    assert_true(span_equal_cstr(headers.list[1].value, "shop"));
}

static void
refused(struct span text, uint32_t expected_line)
{
    struct traces_headers headers;
    uint32_t line;
    if (traces_headers_parse(text, &headers, &line) == NULL) {
        fail_msg("taken: %.*s", SPAN_PRINTF(text));
    }
    assert_int_equal(line, expected_line);
}

static void
invalid_test(void **state)
{
    (void)state;
    refused(SPAN("Bearer abc"), 1);
    refused(SPAN("A: b\nAuthorization Bearer"), 2);
    refused(SPAN("Authorization:"), 1);
    refused(SPAN(": x"), 1);
    refused(SPAN("A b: c"), 1);
    refused(SPAN("A : c"), 1);
    refused(SPAN("\n#\nA: b\001c"), 3);
    refused(SPAN("A: b\rX: c"), 1);
    refused(SPAN("A: b\0c"), 1);
    refused(SPAN("Content-Type: text/plain"), 1);
    refused(SPAN("host: other"), 1);
    refused(SPAN("Content-Length: 3"), 1);

    char many[TRACES_HEADERS_MAX * 8 + 8] = "";
    int size = 0;
    for (int i = 0; i <= TRACES_HEADERS_MAX; i++) {
        size += snprintf(many + size, sizeof(many) - (size_t)size, "x%d: y\n", i);
    }
    refused(span_of(many, (size_t)size), TRACES_HEADERS_MAX + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_test),
        cmocka_unit_test(invalid_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
