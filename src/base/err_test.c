#include "base/err.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
t_names_texts_categories(void **state)
{
    (void)state;

    const struct {
        err_t code;
        const char *name;
        enum err_category category;
    } cases[] = {

#define T_CASE(name, category, number, text) {name, #name, category},
        ERR_TABLE(T_CASE)
#undef T_CASE
    };
    const size_t count = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(err_name(cases[i].code), cases[i].name);
        assert_int_equal(err_category(cases[i].code), cases[i].category);
        assert_string_not_equal(err_text(cases[i].code), "unknown error");
        assert_true(cases[i].code > 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(cases[i].code, cases[j].code);
        }
    }
    assert_int_equal(err_category(ERR_OK), ERR_CATEGORY_NONE);
    assert_string_equal(err_name(ERR_OK), "ERR_OK");
    assert_string_equal(err_text(12345), "unknown error");
}

static void
t_errno(void **state)
{
    (void)state;
    assert_int_equal(err_from_errno(0), ERR_OK);
    assert_int_equal(err_from_errno(ENOSPC), ERR_DISK_FULL);
    assert_int_equal(err_from_errno(EAGAIN), ERR_BUSY);
    assert_int_equal(err_from_errno(EIO), ERR_IO);
    assert_int_equal(err_from_errno(99999), ERR_IO);
}

static err_t
t_passes_up(err_t inner, int *reached)
{
    TRY(inner);
    (*reached)++;
    return ERR_OK;
}

static void
t_try(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(t_passes_up(ERR_STALE, &reached), ERR_STALE);
    assert_int_equal(reached, 0);
    assert_int_equal(t_passes_up(ERR_OK, &reached), ERR_OK);
    assert_int_equal(reached, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_names_texts_categories),
        cmocka_unit_test(t_errno),
        cmocka_unit_test(t_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
