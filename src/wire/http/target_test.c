#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
t_paths(void **state)
{
    (void)state;
    static const char *const good[] = {
        "/",
        "/v1/payment_intents",
        "/v1/",
        "/a.b",
        "/...",
        "/.a",
        "/a..",
        "/%20%41",
        "/a/%ff",
        "/%2b",
        "/a:b@c",
        "/%2e%2e%2e",
        "/..a",
        "/a%3fb"};
    static const char *const bad[] = {"",          "v1",    "//",     "/a//b",   "//a",    "/.",
                                      "/..",       "/a/.",  "/a/./b", "/a/../b", "/../a",  "/%2e",
                                      "/%2E%2e/a", "/.%2e", "/a%2fb", "/a%2Fb",  "/a%5cb", "/a%5Cb",
                                      "/a%00",     "/%0a",  "/%7f",   "/%09",    "/%",     "/%4",
                                      "/%zz",      "/%4g",  "/a\\b",  "*"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(http_path_check(span_from_cstr(good[i])), ERR_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (http_path_check(span_from_cstr(bad[i])) == ERR_OK) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(http_path_check(SPAN("/a\0b")), ERR_INVALID);
}

static void
t_decoding(void **state)
{
    (void)state;
    char text[] = "a%20b%2Bc+%c3%A4%00";
    size_t size = 0;
    assert_int_equal(http_percent_decode(span_of(text, sizeof(text) - 1), text, &size), ERR_OK);
    assert_int_equal(size, 9);
    assert_memory_equal(text, "a b+c+\xc3\xa4\0", 9);
    char out[8];
    assert_int_equal(http_percent_decode(SPAN("a%2"), out, &size), ERR_INVALID);
    assert_int_equal(http_percent_decode(SPAN("%g0"), out, &size), ERR_INVALID);
    assert_int_equal(http_percent_decode(SPAN_EMPTY, out, &size), ERR_OK);
    assert_int_equal(size, 0);
}

static void
t_round_trip(void **state)
{
    (void)state;
    char every[256];
    for (size_t i = 0; i < sizeof(every); i++) {
        every[i] = (char)i;
    }
    struct buf out;
    buf_init(&out, 1024);
    http_percent_encode(&out, span_of(every, sizeof(every)));
    assert_int_equal(out.size, 66 + 190 * 3); /* 66 bytes are unreserved */
    char decoded[sizeof(every) * 3];
    size_t size = 0;
    assert_int_equal(http_percent_decode(buf_span(&out), decoded, &size), ERR_OK);
    assert_int_equal(size, sizeof(every));
    assert_memory_equal(decoded, every, sizeof(every));
    buf_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_paths),
        cmocka_unit_test(t_decoding),
        cmocka_unit_test(t_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
