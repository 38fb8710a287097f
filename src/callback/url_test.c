/* URLs of endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "callback/url.h"

#include <string.h>

static void
good(const char *text, bool tls, const char *host, uint16_t port, const char *target)
{
    struct callback_url url;
    const char *wrong = callback_url_parse(span_from_cstr(text), &url);
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
    struct callback_url url;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (callback_url_parse(span_from_cstr(texts[i]), &url) == NULL) {
            fail_msg("%s was taken", texts[i]);
        }
    }
}

static void
test_lengths(void **state)
{
    (void)state;
    char text[CALLBACK_URL_MAX + 2];
    struct callback_url url;
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://a/", 9);
    assert_null(callback_url_parse(span_of(text, CALLBACK_URL_MAX), &url));
    assert_non_null(callback_url_parse(span_of(text, CALLBACK_URL_MAX + 1), &url));
    memset(text + 7, 'a', 64);
    assert_non_null(callback_url_parse(span_of(text, 7 + 64), &url));
    assert_null(callback_url_parse(span_of(text, 7 + 63), &url));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls),
        cmocka_unit_test(test_wrong_urls),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
