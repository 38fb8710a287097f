/* The parts of the store on PostgreSQL that need no database: the URL, numbers, the filter. */
#include "postgres.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define URL_SIZE 256

static void
url_loses_our_options_only(void **state)
{
    (void)state;
    struct store_pg_options options;
    struct store_error error = {0};
    char url[URL_SIZE];
    assert_int_equal(
        store_pg_url(
            "postgres://u@h/d?schema=books&sslmode=require&lease_ms=700&account_index=on&"
            "copy_above=0&host=/tmp",
            &options,
            url,
            &error),
        ERR_OK);
    assert_string_equal(url, "postgres://u@h/d?sslmode=require&host=/tmp");
    assert_string_equal(options.schema, "books");
    assert_int_equal(options.lease_ms, 700);
    assert_int_equal(options.copy_above, 0);
    assert_true(options.account_index);
    assert_int_equal(store_pg_url("postgres://h/d", &options, url, &error), ERR_OK);
    assert_string_equal(url, "postgres://h/d");
    assert_string_equal(options.schema, "tael_ledger");
    assert_false(options.account_index);
}

static void
url_refuses_what_is_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "postgres://h/d?schema=",
        "postgres://h/d?schema=Books",
        "postgres://h/d?schema=1a",
        "postgres://h/d?schema=a;drop",
        "postgres://h/d?lease_ms=499",
        "postgres://h/d?lease_ms=600001",
        "postgres://h/d?lease_ms=1s",
        "postgres://h/d?copy_above=-1",
        "postgres://h/d?account_index=yes",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct store_pg_options options;
        struct store_error error = {0};
        char url[URL_SIZE];
        assert_int_equal(store_pg_url(wrong[i], &options, url, &error), ERR_INVALID);
        assert_string_not_equal(error.message, "");
    }
}

/* A result of one row and one column with these bytes. */
static PGresult *
result_of(const char *bytes, size_t size)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = (char[]){'n', '\0'}, .format = 1};
    assert_non_null(result);
    assert_int_equal(PQsetResultAttrs(result, 1, &column), 1);
    char copy[64];
    assert_true(size <= sizeof(copy));
    memcpy(copy, bytes, size);
    assert_int_equal(PQsetvalue(result, 0, 0, copy, (int)size), 1);
    return result;
}

static void
numbers_come_back(void **state)
{
    (void)state;
    const u128 numbers[] = {
        0, 1, 9999, 10000, 10001, 100000000, UINT64_MAX, (u128)UINT64_MAX + 1, ~(u128)0};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char memory[64];
        struct buf out;
        buf_init_fixed(&out, memory, sizeof(memory));
        store_pg_field_number(&out, numbers[i]);
        assert_false(buf_failed(&out));
        PGresult *result = result_of(memory + sizeof(int32_t), out.size - sizeof(int32_t));
        u128 found = 1;
        assert_int_equal(store_pg_get_number(result, 0, 0, &found), ERR_OK);
        assert_true(found == numbers[i]);
        PQclear(result);
    }
}

static void
impossible_numbers_are_refused(void **state)
{
    (void)state;
    static const char negative[] = {0, 1, 0, 0, 0x40, 0, 0, 0, 0, 1};
    static const char fraction[] = {0, 1, '\xff', '\xff', 0, 0, 0, 2, 0, 1};
    static const char too_large[] = {0, 1, 0, 9, 0, 0, 0, 0, 0x27, 0x0f}; /* 9999 * 10^36 */
    static const char cut[] = {0, 2, 0, 0, 0, 0, 0, 0, 0, 1};
    static const struct span wrong[] = {
        {negative, sizeof(negative)},
        {fraction, sizeof(fraction)},
        {too_large, sizeof(too_large)},
        {cut, sizeof(cut)},
        {cut, 3},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        PGresult *result = result_of(wrong[i].data, wrong[i].size);
        u128 found = 0;
        assert_int_equal(store_pg_get_number(result, 0, 0, &found), ERR_CORRUPT);
        PQclear(result);
    }
}

static uint64_t
hash_of(uint64_t number)
{
    struct hash_key key = {0};
    return hash_keyed(key, span_of((const char *)&number, sizeof(number)));
}

/* Beyond the room of the first part, so that it grows. */
static void
filter_forgets_nothing(void **state)
{
    (void)state;
    const uint64_t count = UINT64_C(2500000);
    const uint64_t strangers = 100000;
    struct store_pg_filter filter;
    store_pg_filter_init(&filter, 0, 10 * count);
    for (uint64_t i = 0; i < count; i++) {
        store_pg_filter_add(&filter, hash_of(i));
    }
    assert_true(filter.part_count > 1);
    assert_false(filter.overflowed);
    for (uint64_t i = 0; i < count; i++) {
        assert_true(store_pg_filter_perhaps(&filter, hash_of(i)));
    }
    uint64_t by_chance = 0;
    for (uint64_t i = count; i < count + strangers; i++) {
        by_chance += store_pg_filter_perhaps(&filter, hash_of(i));
    }
    assert_true(by_chance < strangers / 50);
    store_pg_filter_release(&filter);
}

static void
filter_at_its_end_says_perhaps(void **state)
{
    (void)state;
    const uint64_t room = UINT64_C(1) << 20;
    struct store_pg_filter filter;
    store_pg_filter_init(&filter, 0, room);
    for (uint64_t i = 0; i <= room; i++) {
        store_pg_filter_add(&filter, hash_of(i));
    }
    assert_true(filter.overflowed);
    assert_true(store_pg_filter_perhaps(&filter, hash_of(3 * room)));
    store_pg_filter_release(&filter);
}

/* --- waiting for those who were just answered */

static const struct store_pg_gather_from t_from = {
    .answered = 32, .here = 30, .events = 62, .took_ns = 2000000};

static void
test_gather_until_all_have_come(void **state)
{
    (void)state;
    struct store_pg_gather gather = {0};
    assert_false(store_pg_gather_waits(&gather, 0));
    assert_int_equal(store_pg_gather_begin(&gather, t_from), 500000); /* a quarter of it */
    assert_true(store_pg_gather_waits(&gather, 30));
    assert_true(store_pg_gather_waits(&gather, 61));
    assert_false(store_pg_gather_waits(&gather, 62));
    store_pg_gather_end(&gather, 62);
    assert_false(store_pg_gather_waits(&gather, 0));
    struct store_pg_gather_from slow = t_from;
    slow.took_ns = UINT64_C(10000000000);
    assert_int_equal(store_pg_gather_begin(&gather, slow), STORE_PG_GATHER_MAX_NS);
}

/* One client, large batches, a database that is as fast as a wake-up: nothing to wait for. */
static void
test_gather_does_not_wait(void **state)
{
    (void)state;
    struct store_pg_gather gather = {0};
    struct store_pg_gather_from alone = {.answered = 1, .events = 1, .took_ns = 2000000};
    assert_int_equal(store_pg_gather_begin(&gather, alone), 0);
    struct store_pg_gather_from large = t_from;
    large.events = 8190;
    assert_int_equal(store_pg_gather_begin(&gather, large), 0);
    struct store_pg_gather_from fast = t_from;
    fast.took_ns = 100000;
    assert_int_equal(store_pg_gather_begin(&gather, fast), 0);
    assert_false(gather.under_way);
}

/* Those who do not come back are waited for less and less often, until they do. */
static void
test_gather_in_vain(void **state)
{
    (void)state;
    struct store_pg_gather gather = {0};
    uint32_t waits = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        waits += store_pg_gather_begin(&gather, t_from) > 0;
        store_pg_gather_end(&gather, 30 + 15);
    }
    assert_in_range(waits, 8, 12);
    while (store_pg_gather_begin(&gather, t_from) == 0) {
    }
    store_pg_gather_end(&gather, 30 + 16);
    assert_true(store_pg_gather_begin(&gather, t_from) > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_loses_our_options_only),
        cmocka_unit_test(url_refuses_what_is_wrong),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(filter_forgets_nothing),
        cmocka_unit_test(filter_at_its_end_says_perhaps),
        cmocka_unit_test(test_gather_until_all_have_come),
        cmocka_unit_test(test_gather_does_not_wait),
        cmocka_unit_test(test_gather_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
