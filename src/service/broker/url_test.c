#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "url.h"

#include <string.h>

static void
test_kafka(void **state)
{
    (void)state;
    struct broker_url url;
    assert_null(broker_url_parse(SPAN("kafka://a:9092,b.example:9093/tael.events"), &url));
    assert_int_equal(url.kind, BROKER_KAFKA);
    assert_false(url.tls);
    assert_string_equal(url.hosts, "a:9092,b.example:9093");
    assert_string_equal(url.name, "tael.events");
    assert_null(broker_url_parse(SPAN("kafkas://10.0.0.1:1/t"), &url));
    assert_true(url.tls);
}

static void
test_amqp(void **state)
{
    (void)state;
    struct broker_url url;
    assert_null(broker_url_parse(SPAN("amqp://rabbit/tael"), &url));
    assert_int_equal(url.kind, BROKER_RABBITMQ);
    assert_string_equal(url.hosts, "rabbit");
    assert_int_equal(url.port, 5672);
    assert_string_equal(url.user, "guest");
    assert_string_equal(url.password, "guest");
    assert_string_equal(url.vhost, "/");
    assert_string_equal(url.name, "tael");
    assert_null(broker_url_parse(SPAN("amqps://u%40x:p%2Fw%3A@h:99/v%2fh/e-x"), &url));
    assert_true(url.tls);
    assert_int_equal(url.port, 99);
    assert_string_equal(url.user, "u@x");
    assert_string_equal(url.password, "p/w:");
    assert_string_equal(url.vhost, "v/h");
    assert_string_equal(url.name, "e-x");
    assert_null(broker_url_parse(SPAN("amqps://h/e"), &url));
    assert_int_equal(url.port, 5671);
}

static void
test_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "http://a/b",
        "kafka://",
        "kafka://a:9092",
        "kafka://a:9092/",
        "kafka:///t",
        "kafka://a/t",
        "kafka://a:/t",
        "kafka://a:0/t",
        "kafka://a:65536/t",
        "kafka://a:1,/t",
        "kafka://,a:1/t",
        "kafka://a b:1/t",
        "kafka://a:1/t t",
        "kafka://a:1/t/u",
        "amqp://",
        "amqp://h",
        "amqp://h/",
        "amqp:///e",
        "amqp://h:/e",
        "amqp://h:x/e",
        "amqp://h:65536/e",
        "amqp://:p@h/e",
        "amqp://u%0@h/e",
        "amqp://u%zz:p@h/e",
        "amqp://u%00:p@h/e",
        "amqp://u%0a:p@h/e",
        "amqp://h//e",
        "amqp://h/v/e/f",
        "amqp://h/v/e%41",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct broker_url url;
        if (broker_url_parse(span_from_cstr(wrong[i]), &url) == NULL) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
}

static void
test_too_long(void **state)
{
    (void)state;
    char text[BROKER_URL_MAX + 2];
    struct broker_url url;
    memset(text, 'a', sizeof(text));
    memcpy(text, "amqp://h/", 9);
    assert_non_null(broker_url_parse(span_of(text, sizeof(text)), &url));
    assert_non_null(broker_url_parse(span_of(text, 9 + BROKER_NAME_MAX + 1), &url));
    assert_null(broker_url_parse(span_of(text, 9 + BROKER_NAME_MAX), &url));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kafka),
        cmocka_unit_test(test_amqp),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests_name("broker url", tests, NULL, NULL);
}
