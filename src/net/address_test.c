/* Where a client may go. */
#include "testing.h"

#include "address.h"

static bool
is_within(const char *text, enum net_reach reach)
{
    struct sockaddr_storage system;
    socklen_t size;
    struct net_address address;
    assert_true(net_address_to_system(text, 443, &system, &size));
    net_address_from_system((const struct sockaddr *)&system, &address);
    return net_address_is_within(&address, reach);
}

static void
test_public_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1.1.1.1",           "9.255.255.255",        "11.0.0.0",
        "100.63.255.255",    "100.128.0.0",          "126.255.255.255",
        "128.0.0.0",         "169.253.255.255",      "169.255.0.0",
        "172.15.255.255",    "172.32.0.0",           "192.167.255.255",
        "192.169.0.0",       "198.17.255.255",       "198.20.0.0",
        "223.255.255.255",   "::ffff:8.8.8.8",       "64:ff9b::8.8.8.8",
        "2002:0808:0808::1", "2001:4860:4860::8888", "2606:4700:4700::1111",
        "2a00:1450::1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!is_within(texts[i], NET_REACH_PUBLIC)) {
            fail_msg("%s", texts[i]);
        }
        assert_true(is_within(texts[i], NET_REACH_LOCAL));
        assert_true(is_within(texts[i], NET_REACH_ANY));
    }
}

static void
test_private_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "::ffff:0:8.8.8.8",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:0a00:0001::1",
        "2002:7f00:0001::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is_within(texts[i], NET_REACH_PUBLIC)) {
            fail_msg("%s", texts[i]);
        }
        assert_true(is_within(texts[i], NET_REACH_LOCAL));
        assert_true(is_within(texts[i], NET_REACH_ANY));
    }
}

static void
test_link_local_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::169.254.169.254",
        "::ffff:0:169.254.169.254",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is_within(texts[i], NET_REACH_LOCAL) || is_within(texts[i], NET_REACH_PUBLIC)) {
            fail_msg("%s", texts[i]);
        }
        assert_true(is_within(texts[i], NET_REACH_ANY));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_private_addresses),
        cmocka_unit_test(test_link_local_addresses),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
