/* Which document explains a movement in the books. */
#include "wallets/stored.h"

#include "books/books.h"
#include "resource/resource.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NUMBER (((u128)0x0123456789abcdef << 64) | 42)

static bool
t_explains(const char *step, uint16_t code, const char *kind)
{
    const char *found = NULL;
    char id[ID_TEXT_SIZE] = "";
    const struct ledger_transfer movement = {
        .id = resource_derived_id(NUMBER, step),
        .user_data_128 = NUMBER,
        .code = code,
    };
    if (!wallets_stored_explains(&movement, &found, id)) {
        return false;
    }
    u128 number;
    assert_string_equal(found, kind);
    assert_true(id_parse("wwd_", span_from_cstr(id), &number));
    assert_true(number == NUMBER);
    return true;
}

/* Each refusal of a wallet burns an id, and the next try has another one. */
static void
each_try_to_give_is_the_withdrawals(void **state)
{
    (void)state;
    static const char *const tries[] = {
        "out of suspense", "out of suspense 1", "out of suspense 2", "out of suspense 17"};
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        assert_true(t_explains(tries[i], BOOKS_WITHDRAWAL_RETURN, "wallet_withdrawal"));
    }
    assert_true(t_explains("return to suspense", BOOKS_WITHDRAWAL_RETURN, "wallet_withdrawal"));
}

static void
what_others_wrote_is_nobodys(void **state)
{
    (void)state;
    assert_false(t_explains("out of suspense 1", BOOKS_WITHDRAWAL, ""));
    assert_false(t_explains("out of suspense 01", BOOKS_WITHDRAWAL_RETURN, ""));
    assert_false(t_explains("out of suspense -1", BOOKS_WITHDRAWAL_RETURN, ""));
    assert_false(t_explains("paid", BOOKS_WITHDRAWAL_RETURN, ""));
    assert_false(t_explains("something else", BOOKS_WITHDRAWAL_RETURN, ""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_try_to_give_is_the_withdrawals),
        cmocka_unit_test(what_others_wrote_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
