#include "differential_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FOUND_MAX 2048

void
t_compare_results(const struct ledger_result *one, const struct ledger_result *many, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (one[i].status != many[i].status) {
            fail_msg("event %u: one says %u, many %u", i, one[i].status, many[i].status);
        }
    }
}

/* Placed too: what names no account that anybody has goes by its own id, and must meet what is
 * remembered of that id. */
u128
t_transfer_id(uint32_t group, uint64_t number)
{
    return shard_id_place((u128)(group * ID_COUNT + number + 1) << 16, t_slot(group));
}

static void
t_compare_accounts(struct t_world *t)
{
    static struct ledger_account found[2][ACCOUNTS];
    struct port_ledger_request one = {.operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = ACCOUNTS};
    one.in.ids = t->accounts;
    struct port_ledger_request many = one;
    one.out.accounts = found[0];
    many.out.accounts = found[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    assert_int_equal(one.out_count, many.out_count);
    for (uint32_t i = 0; i < one.out_count; i++) {
        found[0][i].timestamp = found[1][i].timestamp;
        assert_memory_equal(&found[0][i], &found[1][i], sizeof(found[0][i]));
    }
}

static void
t_compare_transfers(struct t_world *t)
{
    static struct ledger_transfer found[2][GROUPS * ID_COUNT];
    u128 ids[GROUPS * ID_COUNT];
    for (uint32_t i = 0; i < GROUPS * ID_COUNT; i++) {
        ids[i] = t_transfer_id(i / ID_COUNT, i % ID_COUNT);
    }
    struct port_ledger_request one = {
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = GROUPS * ID_COUNT};
    one.in.ids = ids;
    struct port_ledger_request many = one;
    one.out.transfers = found[0];
    many.out.transfers = found[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    assert_int_equal(one.out_count, many.out_count);
    for (uint32_t i = 0; i < one.out_count; i++) {
        found[0][i].timestamp = found[1][i].timestamp;
        assert_memory_equal(&found[0][i], &found[1][i], sizeof(found[0][i]));
    }
}

/* SHARDS-6: page by page, everything comes once, in the order of time. */
static void
t_compare_pages(struct t_world *t)
{
    static struct ledger_transfer all[FOUND_MAX];
    struct ledger_transfer page[SHARDS + 3];
    struct port_ledger_filter whole = {.limit = FOUND_MAX, .debits = true, .credits = true};
    struct port_ledger_request one = {.operation = PORT_LEDGER_QUERY_TRANSFERS};
    struct port_ledger_request many = one;
    one.in.filter = many.in.filter = &whole;
    one.out.transfers = all;
    static struct ledger_transfer other[FOUND_MAX];
    many.out.transfers = other;
    t_ask(t, &one, &many);
    uint32_t expected = one.out_count;
    assert_int_equal(many.out_count, expected);
    struct port_ledger_filter filter = {.limit = SHARDS + 3};
    uint32_t seen = 0;
    do {
        one = (struct port_ledger_request){.operation = PORT_LEDGER_QUERY_TRANSFERS};
        many = one;
        one.in.filter = &whole;
        one.out.transfers = all;
        many.in.filter = &filter;
        many.out.transfers = page;
        t_ask(t, &one, &many);
        assert_int_equal(many.error, ERR_OK);
        for (uint32_t i = 0; i < many.out_count; i++) {
            assert_true(other[seen + i].id == page[i].id);
            assert_true(page[i].timestamp >= filter.timestamp_min);
        }
        seen += many.out_count;
        filter.timestamp_min = many.out_count == 0 ? 0 : page[many.out_count - 1].timestamp + 1;
    } while (many.out_count > 0);
    assert_int_equal(seen, expected);
}

void
t_compare_all(struct t_world *t)
{
    struct shards_router_counters counters;
    t_compare_accounts(t);
    t_compare_transfers(t);
    t_compare_pages(t);
    shards_router_count(t->router, &counters);
    assert_int_equal(counters.under_way, 0);
    assert_int_equal(counters.memory, 0);
}
