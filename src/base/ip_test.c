#include "base/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
an_address_is_read_of_either_version(void **state)
{
    (void)state;
    static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 203, [14] = 113, [15] = 7};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    uint8_t ip[16];
    assert_int_equal(ip_parse(SPAN("203.0.113.7"), ip), ERR_OK);
    assert_memory_equal(ip, v4, sizeof(ip));
    assert_true(ip_is_v4(ip));
    assert_int_equal(ip_parse(SPAN("2001:db8::1"), ip), ERR_OK);
    assert_memory_equal(ip, v6, sizeof(ip));
    assert_false(ip_is_v4(ip));
    const struct span none[] = {
        SPAN(""),
        SPAN("203.0.113"),
        SPAN("[::1]"),
        SPAN("::1%lo"),
        SPAN("203.0.113.7\0"),
    };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(ip_parse(none[i], ip), ERR_INVALID);
    }
}

static void
a_port_is_cut_off(void **state)
{
    (void)state;

    static const struct {
        struct span text, host;
        uint16_t port;
    } cases[] = {
        {SPAN("10.0.0.1:7000"), SPAN("10.0.0.1"), 7000},
        {SPAN("ledger.internal:0"), SPAN("ledger.internal"), 0},
        {SPAN("[::1]:65535"), SPAN("::1"), 65535},
        {SPAN("[:1"), SPAN("["), 1},
        {SPAN("[]:1"), SPAN("[]"), 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span host;
        uint16_t port;
        assert_true(ip_port_split(cases[i].text, &host, &port));
        assert_true(span_equal(host, cases[i].host));
        assert_int_equal(port, cases[i].port);
    }
}

static void
what_has_no_host_or_no_port_is_left_alone(void **state)
{
    (void)state;
    const struct span texts[] = {
        SPAN_EMPTY,
        SPAN("7000"),
        SPAN("localhost"),
        SPAN(":7000"),
        SPAN("localhost:"),
        SPAN("localhost:65536"),
        SPAN("localhost:18446744073709551617"),
        SPAN("localhost:+1"),
        SPAN("::1:7000"),
        SPAN("[::1]"),
        SPAN("[::1:7000"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct span host = SPAN("as before");
        uint16_t port = 77;
        assert_false(ip_port_split(texts[i], &host, &port));
        assert_true(span_equal(host, SPAN("as before")));
        assert_int_equal(port, 77);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_of_either_version),
        cmocka_unit_test(a_port_is_cut_off),
        cmocka_unit_test(what_has_no_host_or_no_port_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
