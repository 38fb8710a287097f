#include "record/record.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

struct t_reader {
    struct arena arena;
    struct json_value *root;
    struct json_problem problem;
};

static void
t_read(struct t_reader *t, const char *text)
{
    memset(t, 0, sizeof(*t));
    arena_init(&t->arena, 1 << 20);
    assert_int_equal(
        json_read(span_from_cstr(text), &t->arena, 1000, &t->root, &t->problem), ERR_OK);
}

static err_t
t_transfers(struct t_reader *t, const char *text, struct ledger_transfer *out, uint32_t room)
{
    t_read(t, text);
    uint32_t count = 0;
    return record_transfers_read(
        json_value_member(t->root, SPAN("events")), out, room, &count, &t->arena, &t->problem);
}

static void
reads_numbers_and_texts(void **state)
{
    (void)state;
    struct t_reader t;
    struct ledger_transfer out[2];
    const char *text =
        "{\"events\":[{\"id\":\"340282366920938463463374607431768211455\",\"amount\":7,"
        "\"code\":\"65535\",\"timeout\":4294967295,\"flags\":[\"linked\",\"imported\"]},"
        "{\"flags\":65535,\"timestamp\":\"18446744073709551615\"}]}";
    assert_int_equal(t_transfers(&t, text, out, 2), ERR_OK);
    assert_true(out[0].id == U128_MAX);
    assert_true(out[0].amount == 7);
    assert_int_equal(out[0].code, 65535);
    assert_true(out[0].timeout == UINT32_MAX);
    assert_int_equal(out[0].flags, LEDGER_TRANSFER_LINKED | LEDGER_TRANSFER_IMPORTED);
    assert_int_equal(out[0].ledger, 0);
    assert_int_equal(out[1].flags, 65535);
    assert_true(out[1].timestamp == UINT64_MAX);
    arena_release(&t.arena);
}

static void
names_what_is_wrong(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        const char *path;
        err_t error;
    } cases[] = {
        {"{\"events\":[{},{\"amount\":-1}]}", "events[1].amount", ERR_INVALID},
        {"{\"events\":[{\"code\":65536}]}", "events[0].code", ERR_INVALID},
        {"{\"events\":[{\"code\":\"\"}]}", "events[0].code", ERR_INVALID},
        {"{\"events\":[{\"code\":1.0}]}", "events[0].code", ERR_INVALID},
        {"{\"events\":[{\"code\":null}]}", "events[0].code", ERR_INVALID},
        {"{\"events\":[{\"cdoe\":1}]}", "events[0].cdoe", ERR_INVALID},
        {"{\"events\":[{\"flags\":[\"pending\",\"peding\"]}]}", "events[0].flags[1]", ERR_INVALID},
        {"{\"events\":[{\"flags\":65536}]}", "events[0].flags", ERR_INVALID},
        {"{\"events\":[{\"id\":\"340282366920938463463374607431768211456\"}]}",
         "events[0].id",
         ERR_INVALID},
        {"{\"events\":[1]}", "events[0]", ERR_INVALID},
        {"{\"events\":{}}", "events", ERR_INVALID},
        {"{\"events\":[{},{},{}]}", "events", ERR_FULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct t_reader t;
        struct ledger_transfer out[2];
        assert_int_equal(t_transfers(&t, cases[i].text, out, 2), cases[i].error);
        assert_true(span_equal_cstr(t.problem.path, cases[i].path));
        assert_non_null(t.problem.message);
        arena_release(&t.arena);
    }
}

static void
writes_what_it_reads(void **state)
{
    (void)state;
    struct ledger_account account = {
        .id = U128_MAX,
        .debits_pending = 1,
        .debits_posted = u128_make(2, 3),
        .credits_pending = 4,
        .credits_posted = 5,
        .user_data_128 = 6,
        .user_data_64 = UINT64_MAX,
        .user_data_32 = UINT32_MAX,
        .ledger = 7,
        .code = 8,
        .flags = LEDGER_ACCOUNT_FLAGS,
        .timestamp = 9,
    };
    char memory[2048];
    struct buf buf;
    buf_init_fixed(&buf, memory, sizeof(memory));
    struct json_writer json;
    json_begin(&json, &buf);
    json_array_begin(&json);
    record_account_write(&json, &account);
    json_array_end(&json);
    assert_false(buf_failed(&buf));
    buf_append_byte(&buf, '\0');
    struct t_reader t;
    t_read(&t, buf.data);
    struct ledger_account again;
    uint32_t count = 0;
    assert_int_equal(record_accounts_read(t.root, &again, 1, &count, &t.arena, &t.problem), ERR_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(&account, &again, sizeof(account));
    arena_release(&t.arena);
}

static void
reads_filters(void **state)
{
    (void)state;
    struct t_reader t;
    struct record_filter filter;
    t_read(&t, "{\"account_id\":\"5\",\"flags\":[\"debits\",\"reversed\"],\"limit\":10}");
    assert_int_equal(
        record_filter_read(t.root, RECORD_FILTER_ACCOUNT, &filter, &t.arena, &t.problem), ERR_OK);
    assert_true(filter.account_id == 5);
    assert_true(filter.debits && !filter.credits && filter.reversed);
    assert_int_equal(filter.limit, 10);
    assert_false(filter.undefined_flags);
    assert_int_equal(
        record_filter_read(t.root, RECORD_FILTER_QUERY, &filter, &t.arena, &t.problem),
        ERR_INVALID);
    arena_release(&t.arena);
    t_read(&t, "{\"flags\":3}");
    assert_int_equal(
        record_filter_read(t.root, RECORD_FILTER_QUERY, &filter, &t.arena, &t.problem), ERR_OK);
    assert_true(filter.reversed && filter.undefined_flags);
    arena_release(&t.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers_and_texts),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(reads_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
