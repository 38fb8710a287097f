#include "books/books.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_and_live_money_have_ledgers_apart(void **state)
{
    (void)state;
    const struct currency *usd = currency_find(SPAN("usd"));
    assert_int_equal(books_ledger_number(usd, true), 840);
    assert_int_equal(books_ledger_number(usd, false), 1840);
    assert_true(books_ledger_is_ours(840));
    assert_true(books_ledger_is_ours(1840));
    assert_false(books_ledger_is_ours(1000));
    assert_false(books_ledger_is_ours(2000));
    assert_false(books_ledger_is_ours(2840));
    assert_false(books_ledger_is_ours(UINT32_MAX));
}

/* BOOKS-1: whoever changes a derivation makes every account of every installation another one. */
static void
ids_of_accounts_never_change(void **state)
{
    (void)state;
    const struct currency *usd = currency_find(SPAN("usd"));
    const struct currency *eur = currency_find(SPAN("eur"));
    u128 pending = books_account_id(BOOKS_MERCHANT_PENDING, "acct_a", usd, false);
    assert_true(pending == u128_make(UINT64_C(0x95a8), UINT64_C(0x333e4efc2afafae8)));
    assert_true(pending != books_account_id(BOOKS_MERCHANT_PENDING, "acct_a", usd, true));
    assert_true(pending != books_account_id(BOOKS_MERCHANT_PENDING, "acct_a", eur, false));
    assert_true(pending != books_account_id(BOOKS_MERCHANT_PENDING, "acct_b", usd, false));
    assert_true(pending != books_account_id(BOOKS_MERCHANT_AVAILABLE, "acct_a", usd, false));
    assert_true(
        books_account_id(BOOKS_CARD_CLEARING, "acct_a", usd, false) ==
        books_account_id(BOOKS_CARD_CLEARING, "", usd, false));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_and_live_money_have_ledgers_apart),
        cmocka_unit_test(ids_of_accounts_never_change),
    };
    return cmocka_run_group_tests_name("books", tests, NULL, NULL);
}
