/* What is written and read: URLs, values, what processes tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text.h"

#include <string.h>

static void
refused(const char *text)
{
    struct redis_url url;
    char message[REDIS_MESSAGE_SIZE] = "";
    assert_false(redis_url_parse(span_from_cstr(text), &url, message));
    assert_true(message[0] != '\0');
    assert_null(strstr(message, "hunter2"));
}

static void
test_urls(void **state)
{
    (void)state;
    struct redis_url url;
    char message[REDIS_MESSAGE_SIZE];
    assert_true(redis_url_parse(SPAN("redis://cache:6379"), &url, message));
    assert_string_equal(url.host, "cache");
    assert_int_equal(url.port, 6379);
    assert_int_equal(url.database, 0);
    assert_string_equal(url.password, "");
    assert_true(redis_url_parse(SPAN("redis://:a@b:c@10.0.0.1:1/12"), &url, message));
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "a@b:c");
    assert_string_equal(url.host, "10.0.0.1");
    assert_int_equal(url.database, 12);
    assert_true(redis_url_parse(SPAN("redis://tael:hunter2@[::1]:65535/"), &url, message));
    assert_string_equal(url.user, "tael");
    assert_string_equal(url.password, "hunter2");
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 65535);
    refused("");
    refused("rediss://host:1");
    refused("redis://");
    refused("redis://host");
    refused("redis://host:");
    refused("redis://host:0");
    refused("redis://host:65536");
    refused("redis://:1");
    refused("redis://::1:6379");
    refused("redis://host:1/x");
    refused("redis://hunter2@host:1");
    refused("redis://user:hunter2@host:1/70000");
}

static void
test_values(void **state)
{
    (void)state;
    uint64_t version;
    struct span value;
    assert_true(redis_value_decode(SPAN("V00000000000000000042abc"), &version, &value));
    assert_int_equal(version, 42);
    assert_true(span_equal(value, SPAN("abc")));
    assert_true(redis_value_decode(SPAN("V18446744073709551615"), &version, &value));
    assert_true(version == UINT64_MAX);
    assert_int_equal(value.size, 0);
    assert_false(redis_value_decode(SPAN("V18446744073709551616"), &version, &value));
    assert_false(redis_value_decode(SPAN("F00000000000000000042"), &version, &value));
    assert_false(redis_value_decode(SPAN("V0000000000000000004"), &version, &value));
    assert_false(redis_value_decode(SPAN("V+0000000000000000042abc"), &version, &value));
    assert_false(redis_value_decode(SPAN(""), &version, &value));
    static char large[PORT_CACHE_VALUE_MAX + 1 + REDIS_VERSION_SIZE + 1];
    memset(large, '0', sizeof(large));
    large[0] = 'V';
    assert_true(redis_value_decode(span_of(large, sizeof(large) - 1), &version, &value));
    assert_int_equal(value.size, PORT_CACHE_VALUE_MAX);
    assert_false(redis_value_decode(span_of(large, sizeof(large)), &version, &value));
}

static void
test_told(void **state)
{
    (void)state;
    char text[REDIS_TOLD_SIZE + 1];
    struct cache_key key = {{0, 1, 0x7f, 0x80, 0xff}};
    struct cache_key other;
    uint64_t version;
    redis_told_encode(&key, UINT64_MAX, text);
    assert_int_equal(strlen(text), REDIS_TOLD_SIZE);
    assert_int_equal(redis_told_decode(span_from_cstr(text), &other, &version), REDIS_TOLD_FORGET);
    assert_memory_equal(&key, &other, sizeof(key));
    assert_true(version == UINT64_MAX);
    for (size_t i = 0; i < REDIS_TOLD_SIZE; i++) {
        char good = text[i];
        text[i] = 'G';
        assert_int_equal(
            redis_told_decode(span_from_cstr(text), &other, &version), REDIS_TOLD_OTHER);
        text[i] = good;
        assert_int_equal(redis_told_decode(span_of(text, i), &other, &version), REDIS_TOLD_OTHER);
    }
    assert_int_equal(redis_told_decode(SPAN("alive"), &other, &version), REDIS_TOLD_ALIVE);
    assert_int_equal(redis_told_decode(SPAN(""), &other, &version), REDIS_TOLD_OTHER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
