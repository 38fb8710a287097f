/* What of a descriptor and its suffix goes to the bank. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "descriptor.h"

static void
assert_descriptor(const char *descriptor, const char *suffix, const char *wanted)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct span text =
        payments_descriptor(&arena, span_from_cstr(descriptor), span_from_cstr(suffix));
    assert_true(span_equal_cstr(text, wanted));
    arena_release(&arena);
}

static void
test_both(void **state)
{
    (void)state;
    assert_descriptor("", "", "");
    assert_descriptor("SHOP", "", "SHOP");
    assert_descriptor("", "ORDER 7", "ORDER 7");
    assert_descriptor("SHOP", "ORDER 7", "SHOP* ORDER 7");
}

static void
test_length(void **state)
{
    (void)state;
    assert_descriptor("1234567890123", "ABCDEFG", "1234567890123* ABCDEFG");
    assert_descriptor("12345678901234", "ABCDEFG", "1234567890123* ABCDEFG");
    assert_descriptor("SHOP", "ABCDEFGHIJKLMNOPQRS", "S* ABCDEFGHIJKLMNOPQRS");
    assert_descriptor("SHOP", "ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQRST");
    assert_descriptor("SHOP", "ABCDEFGHIJKLMNOPQRSTUV", "ABCDEFGHIJKLMNOPQRSTUV");
    /* Characters, not bytes, and none of them by half. */
    assert_descriptor(
        "\u00c9\u00c9\u00c9", "ABCDEFGHIJKLMNOPQR", "\u00c9\u00c9* ABCDEFGHIJKLMNOPQR");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
