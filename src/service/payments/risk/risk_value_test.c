#include "risk_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* NULL: it is none. */
struct t_case {
    enum payments_risk_item item;
    const char *text;
    const char *value;
};

static const struct t_case t_cases[] = {
    {PAYMENTS_RISK_CARD_BIN, "424242", "424242"},
    {PAYMENTS_RISK_CARD_BIN, "42424", NULL},
    {PAYMENTS_RISK_CARD_BIN, "4242424", NULL},
    {PAYMENTS_RISK_CARD_BIN, "42424a", NULL},
    {PAYMENTS_RISK_CARD_FINGERPRINT, "aB3", "aB3"},
    {PAYMENTS_RISK_CARD_FINGERPRINT, "a b", NULL},
    {PAYMENTS_RISK_COUNTRY, "us", "US"},
    {PAYMENTS_RISK_COUNTRY, "usa", NULL},
    {PAYMENTS_RISK_COUNTRY, "u1", NULL},
    {PAYMENTS_RISK_CUSTOMER_ID, "cus_A1", "cus_A1"},
    {PAYMENTS_RISK_CUSTOMER_ID, "cus_", NULL},
    {PAYMENTS_RISK_CUSTOMER_ID, "pm_A1", NULL},
    {PAYMENTS_RISK_EMAIL, "Jenny@Example.com", "jenny@example.com"},
    {PAYMENTS_RISK_EMAIL, "jenny", NULL},
    {PAYMENTS_RISK_EMAIL, "@example.com", NULL},
    {PAYMENTS_RISK_EMAIL, "jenny@", NULL},
    {PAYMENTS_RISK_EMAIL, "a@b@c", NULL},
    {PAYMENTS_RISK_EMAIL, "a b@c", NULL},
    {PAYMENTS_RISK_STRING, "AbC", "abc"},
    {PAYMENTS_RISK_STRING, "", NULL},
    {PAYMENTS_RISK_CASE_SENSITIVE_STRING, "AbC", "AbC"},
    {PAYMENTS_RISK_IP_ADDRESS, "13.112.224.240", "00000000000000000000ffff0d70e0f0"},
    {PAYMENTS_RISK_IP_ADDRESS, "::ffff:13.112.224.240", "00000000000000000000ffff0d70e0f0"},
    {PAYMENTS_RISK_IP_ADDRESS, "0.0.0.0", "00000000000000000000ffff00000000"},
    {PAYMENTS_RISK_IP_ADDRESS, "::", "00000000000000000000000000000000"},
    {PAYMENTS_RISK_IP_ADDRESS, "::1", "00000000000000000000000000000001"},
    {PAYMENTS_RISK_IP_ADDRESS, "2001:DB8::8:800:200c:417a", "20010db80000000000080800200c417a"},
    {PAYMENTS_RISK_IP_ADDRESS, "2001:db8:0:0:8:800:200c:417a", "20010db80000000000080800200c417a"},
    {PAYMENTS_RISK_IP_ADDRESS, "2001:db8::", "20010db8000000000000000000000000"},
    {PAYMENTS_RISK_IP_ADDRESS, "1.2.3", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1.2.3.4.5", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1.2.3.256", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1.2.3.04", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1.2.3.4 ", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1::2::3", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, ":::", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1:", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, ":1", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1:2:3:4:5:6:7", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1:2:3:4:5:6:7:8:9", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1:2:3:4:5:6:7::8", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1:2:3:4:5:6:7:8::", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "1:2:3:4:5:6:7:1.2.3.4", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "12345::", NULL},
    {PAYMENTS_RISK_IP_ADDRESS, "g::", NULL},
};

static void
test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(t_cases) / sizeof(t_cases[0]); i++) {
        const struct t_case *one = &t_cases[i];
        struct arena arena;
        struct span value;
        arena_init(&arena, 4096);
        bool is = payments_risk_value(one->item, span_from_cstr(one->text), &arena, &value);
        if (is != (one->value != NULL) || (is && !span_equal_cstr(value, one->value))) {
            fail_msg(
                "%s %s: %.*s",
                payments_risk_item_names[one->item],
                one->text,
                SPAN_PRINTF(is ? value : SPAN("none")));
        }
        arena_release(&arena);
    }
}

static void
test_sizes(void **state)
{
    static char text[PAYMENTS_RISK_VALUE_MAX + 1];
    struct arena arena;
    struct span value;
    (void)state;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = 'a';
    }
    struct span most = span_of(text, PAYMENTS_RISK_VALUE_MAX);
    struct span more = span_of(text, PAYMENTS_RISK_VALUE_MAX + 1);
    assert_true(payments_risk_value(PAYMENTS_RISK_STRING, most, &arena, &value));
    assert_int_equal(value.size, PAYMENTS_RISK_VALUE_MAX);
    assert_false(payments_risk_value(PAYMENTS_RISK_STRING, more, &arena, &value));
    arena_release(&arena);
}

static void
test_names(void **state)
{
    enum payments_risk_item item;
    (void)state;
    for (int i = 0; i < PAYMENTS_RISK_ITEMS; i++) {
        assert_true(payments_risk_item_parse(span_from_cstr(payments_risk_item_names[i]), &item));
        assert_int_equal(item, i);
        assert_true(payments_risk_item_is(item)[0] != '\0');
    }
    assert_false(payments_risk_item_parse(SPAN("card"), &item));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
