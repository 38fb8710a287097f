/* URLs of endpoints, and the names and patterns of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "events/filter.h"
#include "url.h"

#include <string.h>

static void
good(const char *text, bool tls, const char *host, uint16_t port, const char *target)
{
    struct events_url url;
    const char *wrong = events_url_parse(span_from_cstr(text), &url);
    if (wrong != NULL) {
        fail_msg("%s: %s", text, wrong);
    }
    assert_int_equal(url.tls, tls);
    assert_true(span_equal_cstr(url.host, host));
    assert_int_equal(url.port, port);
    assert_true(span_equal_cstr(url.target, target));
}

static void
test_good_urls(void **state)
{
    (void)state;
    good("http://a", false, "a", 80, "/");
    good("https://a.b", true, "a.b", 443, "/");
    good("https://a.b/", true, "a.b", 443, "/");
    good("https://a.b:8443/x/y?z=1&w=%20", true, "a.b", 8443, "/x/y?z=1&w=%20");
    good("http://127.0.0.1:65535/hook", false, "127.0.0.1", 65535, "/hook");
    good("http://[::1]:3000/hook", false, "::1", 3000, "/hook");
    good("http://[fe80::1]", false, "fe80::1", 80, "/");
    good("http://a_b-c.example/@?:@/", false, "a_b-c.example", 80, "/@?:@/");
}

static void
test_wrong_urls(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "a",
        "http",
        "http:/a",
        "//a",
        "HTTP://a",
        "ftp://a",
        "http://",
        "http:///a",
        "http://:80/",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a:+1",
        "http://a:000001",
        "http://a b/",
        "http://a/ b",
        "http://a/\x7f",
        "http://a/\n",
        "http://a/\xc3\xa4",
        "http://\xc3\xa4/",
        "http://a?b",
        "http://a/#b",
        "http://u@a/",
        "http://u:p@a/",
        "http://.a/",
        "http://a./",
        "http://a..b/",
        "http://a%20b/",
        "http://[::1",
        "http://[]",
        "http://[::1]x",
        "http://[a.b]/",
        "http://[::1%25eth0]/",
        "http://a/\\b",
        "http://a/{b}",
    };
    struct events_url url;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (events_url_parse(span_from_cstr(texts[i]), &url) == NULL) {
            fail_msg("%s was taken", texts[i]);
        }
    }
}

static void
test_lengths(void **state)
{
    (void)state;
    char text[EVENTS_URL_MAX + 2];
    struct events_url url;
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://a/", 9);
    assert_null(events_url_parse(span_of(text, EVENTS_URL_MAX), &url));
    assert_non_null(events_url_parse(span_of(text, EVENTS_URL_MAX + 1), &url));
    memset(text + 7, 'a', 64);
    assert_non_null(events_url_parse(span_of(text, 7 + 64), &url));
    assert_null(events_url_parse(span_of(text, 7 + 63), &url));
}

static bool
known(const char *pattern)
{
    return events_filter_is_known(span_from_cstr(pattern));
}

static void
test_known_names(void **state)
{
    (void)state;
    assert_true(known("*"));
    assert_true(known("account.application.authorized"));
    assert_true(known("charge.succeeded"));
    assert_true(known("charge.*"));
    assert_true(known("charge.dispute.*"));
    assert_true(known("topup.succeeded"));
    assert_true(known("webhook_endpoint.disabled"));
    assert_true(known("webhook_endpoint.*"));
    assert_false(known(""));
    assert_false(known("charge"));
    assert_false(known("charge."));
    assert_false(known("charge*"));
    assert_false(known("charg.*"));
    assert_false(known(".*"));
    assert_false(known("*.succeeded"));
    assert_false(known("charge.succeededx"));
    assert_false(known("zzz.*"));
}

static void
test_names_are_in_order(void **state)
{
    (void)state;
    size_t count = 0;
    for (; events_filter_name(count) != NULL; count++) {
        assert_true(known(events_filter_name(count)));
        assert_true(
            count == 0 || strcmp(events_filter_name(count - 1), events_filter_name(count)) < 0);
    }
    assert_true(count > 260);
}

static bool
matches(const char *pattern, const char *type)
{
    return events_filter_matches(span_from_cstr(pattern), span_from_cstr(type));
}

static void
test_matching(void **state)
{
    (void)state;
    assert_true(matches("*", "charge.succeeded"));
    assert_true(matches("charge.succeeded", "charge.succeeded"));
    assert_true(matches("charge.*", "charge.succeeded"));
    assert_true(matches("charge.*", "charge.dispute.created"));
    assert_false(matches("charge.*", "charger.x"));
    assert_false(matches("charge.*", "charge"));
    assert_false(matches("charge.succeeded", "charge.succeeded.x"));
    assert_false(matches("charge.succeeded", "charge"));
    assert_false(matches("", "charge"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls),
        cmocka_unit_test(test_wrong_urls),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_known_names),
        cmocka_unit_test(test_names_are_in_order),
        cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
