#include "code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
a_code_has_eighteen_digits_of_which_fifteen_are_random(void **state)
{
    (void)state;
    char code[PORT_MOBILE_CODE_DIGITS + 1];
    mobile_code_format(0, code);
    assert_string_equal(code, "800000000000000003");
    mobile_code_format(UINT64_C(543210987654321), code);
    assert_int_equal(strlen(code), 18);
    assert_memory_equal(code, "80123456789012345", 17);
    mobile_code_format(UINT64_C(999999999999999), code);
    assert_memory_equal(code, "80999999999999999", 17);
}

static void
every_wrong_digit_is_noticed(void **state)
{
    (void)state;
    char code[PORT_MOBILE_CODE_DIGITS + 1];
    mobile_code_format(UINT64_C(314159265358979), code);
    assert_true(mobile_code_is_plausible(span_from_cstr(code)));
    for (size_t i = 0; i < PORT_MOBILE_CODE_DIGITS; i++) {
        char right = code[i];
        for (const char *wrong = "0123456789:x"; *wrong != '\0'; wrong++) {
            code[i] = *wrong;
            assert_int_equal(mobile_code_is_plausible(span_from_cstr(code)), *wrong == right);
        }
        code[i] = right;
    }
}

static void
other_texts_are_no_codes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "80",
        "80000000000000000",
        "8000000000000000030",
        "800000000000000003 ",
        "８００００００",
        "28763443825664394",
        "62000000000000000000",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(mobile_code_is_plausible(span_from_cstr(texts[i])));
    }
    assert_false(mobile_code_is_plausible(SPAN_EMPTY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_has_eighteen_digits_of_which_fifteen_are_random),
        cmocka_unit_test(every_wrong_digit_is_noticed),
        cmocka_unit_test(other_texts_are_no_codes),
    };
    return cmocka_run_group_tests_name("mobile code", tests, NULL, NULL);
}
