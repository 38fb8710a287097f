#include "http/http.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
t_fields(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HTTP_FIELD_KNOWN_COUNT; i++) {
        struct span name = http_field_text((enum http_field)i);
        char upper[32];
        assert_true(name.size < sizeof(upper));
        for (size_t j = 0; j < name.size; j++) {
            upper[j] = (char)toupper((unsigned char)name.data[j]);
            assert_true(
                islower((unsigned char)name.data[j]) || isdigit((unsigned char)name.data[j]) ||
                name.data[j] == '-');
        }
        assert_int_equal(http_field_find(name), i);
        assert_int_equal(http_field_find(span_of(upper, name.size)), i);
        upper[0] = '!';
        assert_int_equal(http_field_find(span_of(upper, name.size)), HTTP_FIELD_UNKNOWN);
    }
    assert_int_equal(http_field_find(SPAN_EMPTY), HTTP_FIELD_UNKNOWN);
    assert_int_equal(http_field_find(SPAN("x")), HTTP_FIELD_UNKNOWN);
    assert_int_equal(http_field_find(SPAN("content_length")), HTTP_FIELD_UNKNOWN);
    assert_int_equal(http_field_find(SPAN("transfer-encoding-but-longer")), HTTP_FIELD_UNKNOWN);
    assert_true(http_field_is_single(HTTP_FIELD_IDEMPOTENCY_KEY));
    assert_false(http_field_is_single(HTTP_FIELD_COOKIE));
    assert_false(http_field_is_single(HTTP_FIELD_UNKNOWN));
}

static void
t_statuses(void **state)
{
    (void)state;
    assert_true(span_equal_cstr(http_status_text(402), "Payment Required"));
    assert_true(span_equal_cstr(http_status_text(299), "Unknown"));
    assert_int_equal(http_refusal_status(HTTP_REFUSAL_NONE), 0);
    assert_int_equal(http_refusal_status(HTTP_REFUSAL_VERSION), 505);
    for (unsigned i = HTTP_REFUSAL_NONE + 1; i <= HTTP_REFUSAL_TRUNCATED; i++) {
        uint16_t status = http_refusal_status((enum http_refusal)i);
        assert_true(strlen(http_refusal_text((enum http_refusal)i)) > 10);
        assert_false(span_equal_cstr(http_status_text(status), "Unknown"));
    }
    assert_true(span_equal_cstr(http_method_text(HTTP_METHOD_DELETE), "DELETE"));
    assert_true(span_equal_cstr(http_method_text(HTTP_METHOD_OTHER), "OTHER"));
}

static void
t_dates(void **state)
{
    (void)state;

    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110 section 5.6.7 */
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[HTTP_DATE_SIZE];
        http_date_format(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_fields),
        cmocka_unit_test(t_statuses),
        cmocka_unit_test(t_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
