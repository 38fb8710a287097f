#include "url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
valid_test(void **state)
{
    (void)state;

    static const struct {
        const char *text, *host, *path;
        uint16_t port;
        bool tls;
    } all[] = {
        {"http://zipkin", "zipkin", "", 80, false},
        {"http://zipkin/", "zipkin", "", 80, false},
        {"https://otel.example.com", "otel.example.com", "", 443, true},
        {"http://127.0.0.1:4318", "127.0.0.1", "", 4318, false},
        {"http://[::1]:9411/api/v2/spans", "::1", "/api/v2/spans", 9411, false},
        {"https://[::1]/a//", "::1", "/a", 443, true},
        {"http://h:65535/x", "h", "/x", 65535, false},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct traces_url url;
        assert_null(traces_url_parse(span_from_cstr(all[i].text), &url));
        assert_true(span_equal_cstr(url.host, all[i].host));
        assert_true(span_equal_cstr(url.path, all[i].path));
        assert_int_equal(url.port, all[i].port);
        assert_int_equal(url.tls, all[i].tls);
    }
}

static void
invalid_test(void **state)
{
    (void)state;
    static const char *const all[] = {
        "",
        "zipkin:9411",
        "ftp://h",
        "http://",
        "http:///x",
        "http://:80",
        "http://h:",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://[::1",
        "http://[::1]x",
        "http://user@h",
        "http://h/?q",
        "http://h/#f",
        "http://h/a b",
        "http://h/\n",
        "HTTP://h",
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct traces_url url = {.port = 1};
        if (traces_url_parse(span_from_cstr(all[i]), &url) == NULL) {
            fail_msg("taken: %s", all[i]);
        }
        assert_int_equal(url.port, 1);
    }
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
