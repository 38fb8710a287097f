#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkout_form.h"

static void
test_expiries(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        int64_t month, year; /* month 0: refused */
    } cases[] = {
        {"12/30", 12, 2030},   {" 12 / 30 ", 12, 2030},
        {"1230", 12, 2030},    {"122030", 12, 2030},
        {"12/2030", 12, 2030}, {"1/30", 1, 2030},
        {"01-30", 1, 2030},    {"9.31", 9, 2031},
        {"01 99", 1, 2099},    {"", 0, 0},
        {"12", 0, 0},          {"12/", 0, 0},
        {"12/3", 0, 0},        {"12/303", 0, 0},
        {"130", 0, 0}, /* 13 and 0, or 1 and 30: nobody can tell */
        {"00/30", 0, 0},       {"13/30", 0, 0},
        {"12/1999", 0, 0},     {"12/2100", 0, 0},
        {"12/30x", 0, 0},      {"12/20301", 0, 0},
        {"-1/30", 0, 0},       {"/30", 0, 0},
        {"1a/30", 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t month = -1;
        int64_t year = -1;
        bool read = payments_checkout_expiry_read(span_from_cstr(cases[i].text), &month, &year);
        if (read != (cases[i].month != 0)) {
            fail_msg("%s", cases[i].text);
        }
        assert_int_equal(month, read ? cases[i].month : -1);
        assert_int_equal(year, read ? cases[i].year : -1);
    }
}

static void
test_emails(void **state)
{
    (void)state;
    assert_true(payments_checkout_email_is_sound(SPAN("a@b")));
    assert_true(payments_checkout_email_is_sound(SPAN("jenny.rosen+x@shop.example")));
    assert_true(payments_checkout_email_is_sound(SPAN("j\xc3\xb6rg@shop.example")));
    static const char *const bad[] = {
        "", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a\x7f@b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(payments_checkout_email_is_sound(span_from_cstr(bad[i])));
    }
}

static void
test_names(void **state)
{
    (void)state;
    assert_true(payments_checkout_name_is_sound(SPAN("Jenny Rosen")));
    assert_true(payments_checkout_name_is_sound(SPAN("J\xc3\xb6rg 2nd")));
    assert_true(payments_checkout_name_is_sound(SPAN("12345678901")));
    assert_false(payments_checkout_name_is_sound(SPAN("")));
    assert_false(payments_checkout_name_is_sound(SPAN("  ")));
    assert_false(payments_checkout_name_is_sound(SPAN("4242 4242 4242 4242")));
    assert_false(payments_checkout_name_is_sound(SPAN("x4-2.4a242424242")));
    assert_false(payments_checkout_name_is_sound(SPAN("Jenny\nRosen")));
}

static void
test_errors_stand_beside_their_fields(void **state)
{
    (void)state;
    struct payments_checkout_errors errors = {.form = NULL};
    payments_checkout_errors_of_card(PORT_VAULT_OK, &errors);
    payments_checkout_errors_of_try(SPAN_EMPTY, SPAN_EMPTY, &errors);
    assert_false(payments_checkout_errors_any(&errors));
    payments_checkout_errors_of_card(PORT_VAULT_INCORRECT_NUMBER, &errors);
    assert_non_null(errors.number);
    payments_checkout_errors_of_card(PORT_VAULT_INVALID_YEAR, &errors);
    assert_non_null(errors.expiry);
    payments_checkout_errors_of_card(PORT_VAULT_INVALID_CVC, &errors);
    assert_non_null(errors.cvc);
    assert_null(errors.form);
    assert_true(payments_checkout_errors_any(&errors));
}

/* Whatever the reason, a payer must be told that no money left. */
static void
test_every_refusal_has_words(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "card_declined",
        "incorrect_cvc",
        "expired_card",
        "incorrect_number",
        "processing_error",
        "payment_intent_authentication_failure",
        "payment_intent_payment_attempt_expired",
        "payment_method_provider_decline",
        "a_code_of_tomorrow"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct payments_checkout_errors errors = {.form = NULL};
        payments_checkout_errors_of_try(
            span_from_cstr(codes[i]), SPAN("insufficient_funds"), &errors);
        assert_non_null(errors.form);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiries),
        cmocka_unit_test(test_emails),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_errors_stand_beside_their_fields),
        cmocka_unit_test(test_every_refusal_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
