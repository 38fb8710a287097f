#include "books/books.h"

#include "port/ledger.h"
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* BOOKS-2. */
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

/* BOOKS-3 */
static void
accounts_of_a_merchant_are_in_one_slot(void **state)
{
    (void)state;
    const struct port_ledger one = {.sharded = false};
    const struct port_ledger many = {.sharded = true};
    const struct currency *usd = currency_find(SPAN("usd"));
    u128 clearing = books_account_id(BOOKS_CARD_CLEARING, "", usd, false);
    u128 wallet = books_account_id(BOOKS_WALLET, "wal_1", usd, false);
    assert_true(books_account_place(clearing, &one, "acct_a") == clearing);
    u128 of_a = books_account_place(clearing, &many, "acct_a");
    u128 of_b = books_account_place(clearing, &many, "acct_b");
    assert_true(of_a != of_b);
    assert_true(of_a >> 16 == of_b >> 16);
    assert_int_equal(shard_slot_of_id(of_a), shard_slot(SPAN("acct_a")));
    assert_int_equal(
        shard_slot_of_id(books_account_place(wallet, &many, "acct_a")), shard_slot_of_id(of_a));
}

/* BOOKS-4 */
static void
wallets_apart_are_in_slots_of_their_own(void **state)
{
    (void)state;
    const struct port_ledger many = {.sharded = true};
    const struct port_ledger apart = {.sharded = true, .wallets_apart = true};
    const struct currency *usd = currency_find(SPAN("usd"));
    u128 wallet = books_account_id(BOOKS_WALLET, "wal_1", usd, false);
    assert_string_equal(books_wallet_slot_owner(&many, "acct_a", "wal_1"), "acct_a");
    assert_string_equal(books_wallet_slot_owner(&apart, "acct_a", "wal_1"), "wal_1");
    u128 placed =
        books_account_place(wallet, &apart, books_wallet_slot_owner(&apart, "acct_a", "wal_1"));
    assert_int_equal(shard_slot_of_id(placed), shard_slot(SPAN("wal_1")));
    assert_int_not_equal(shard_slot_of_id(placed), shard_slot(SPAN("acct_a")));
    assert_true(placed >> 16 == wallet >> 16);
}

static void
a_memo_answers_as_deriving_does(void **state) /* BOOKS-1 */
{
    (void)state;
    static struct books_memo memo;

    static const enum books_account accounts[] = {
        BOOKS_FEE_REVENUE, BOOKS_MERCHANT_PENDING, BOOKS_MERCHANT_AVAILABLE, BOOKS_WALLET};
    const struct currency *const currencies[] = {
        currency_find(SPAN("usd")), currency_find(SPAN("eur"))};
    /* More than it has room for, twice: found again, and after it had given way. Owners that differ
     * in front of what is hashed only, short ones and one too long to be kept. */
    for (int i = 0; i < 2 * 1500; i++) {
        char owner[64];
        int number = i % 1500;
        const char *front = number % 100 == 0   ? ""
                            : number % 100 == 1 ? "acct_a_name_that_no_id_has_it_is_too_long"
                                                : "acct_0123456789";
        const char *end = number % 100 == 2 ? "_the_same_end" : "";
        (void)snprintf(owner, sizeof(owner), "%s%d%s", front, number, end);
        for (size_t k = 0; k < 16; k++) {
            enum books_account account = accounts[k % 4];
            const struct currency *currency = currencies[k / 4 % 2];
            bool live = k / 8 != 0;
            u128 expected = books_account_id(account, owner, currency, live);
            assert_true(books_account_id_by(&memo, account, owner, currency, live) == expected);
            assert_true(books_account_id_by(&memo, account, owner, currency, live) == expected);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_and_live_money_have_ledgers_apart),
        cmocka_unit_test(ids_of_accounts_never_change),
        cmocka_unit_test(a_memo_answers_as_deriving_does),
        cmocka_unit_test(accounts_of_a_merchant_are_in_one_slot),
        cmocka_unit_test(wallets_apart_are_in_slots_of_their_own),
    };
    return cmocka_run_group_tests_name("books", tests, NULL, NULL);
}
