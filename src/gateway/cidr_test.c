#include "cidr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool
t_contains(const char *network, const char *address)
{
    struct gateway_cidr cidr;
    uint8_t ip[16];
    assert_int_equal(gateway_cidr_parse(span_from_cstr(network), &cidr), ERR_OK);
    assert_int_equal(gateway_ip_parse(span_from_cstr(address), ip), ERR_OK);
    return gateway_cidr_contains(&cidr, ip);
}

static void
t_networks(void **state)
{
    (void)state;
    assert_true(t_contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(t_contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(t_contains("192.0.2.128/25", "192.0.2.128"));
    assert_false(t_contains("192.0.2.128/25", "192.0.2.127"));
    assert_true(t_contains("203.0.113.7", "203.0.113.7"));
    assert_false(t_contains("203.0.113.7", "203.0.113.6"));
    assert_true(t_contains("0.0.0.0/0", "8.8.8.8"));
    assert_false(t_contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(t_contains("::/0", "8.8.8.8"));
    assert_true(t_contains("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(t_contains("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(t_contains("2001:db8::1", "[2001:db8::1]:443"));
    /* One client has one address, however it is written. */
    assert_true(t_contains("10.0.0.0/8", "::ffff:10.1.2.3"));
}

static void
t_malformed(void **state)
{
    (void)state;
    static const char *const networks[] = {
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.1/8",
        "10.0.0/8",
        "x/8",
        "::/129",
        "2001:db8::1/32",
        "010.0.0.0/8",
        "10.0.0.0/8 ",
        "10.0.0.0/0x8",
    };
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        struct gateway_cidr cidr;
        assert_int_equal(gateway_cidr_parse(span_from_cstr(networks[i]), &cidr), ERR_INVALID);
    }
    static const char *const addresses[] = {
        "",
        "1.2.3",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "[1.2.3.4]",
        "[::1",
        "[::1]x",
        "[::1]:",
        "unknown",
        "_hidden",
        "1.2.3.4.5",
    };
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        uint8_t ip[16];
        assert_int_equal(gateway_ip_parse(span_from_cstr(addresses[i]), ip), ERR_INVALID);
    }
}

static void
t_text(void **state)
{
    (void)state;
    char out[GATEWAY_IP_TEXT_SIZE];
    uint8_t ip[16];
    assert_int_equal(gateway_ip_parse(SPAN("203.0.113.7:80"), ip), ERR_OK);
    assert_int_equal(gateway_ip_format(ip, out), 11);
    assert_string_equal(out, "203.0.113.7");
    assert_int_equal(gateway_ip_parse(SPAN("2001:DB8:0::1"), ip), ERR_OK);
    (void)gateway_ip_format(ip, out);
    assert_string_equal(out, "2001:db8::1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_networks),
        cmocka_unit_test(t_malformed),
        cmocka_unit_test(t_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
