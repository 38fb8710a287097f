#include "differential_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void
t_accounts(struct t_world *t)
{
    struct ledger_account accounts[BATCH];
    struct ledger_result results[2][BATCH];
    uint32_t count = (uint32_t)os_prng_below(&t->prng, BATCH) + 1;
    memset(accounts, 0, sizeof(accounts));
    for (uint32_t i = 0; i < count; i++) {
        accounts[i].id = t->accounts[os_prng_below(&t->prng, ACCOUNTS)];
        accounts[i].ledger = 1;
        accounts[i].code = os_prng_chance(&t->prng, 1, 10) ? 0 : 1;
        accounts[i].flags =
            os_prng_chance(&t->prng, 1, 3) ? LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS : 0;
    }
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_ACCOUNTS, .count = count};
    one.in.accounts = accounts;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    many.out.results = results[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    t_compare_results(results[0], results[1], count);
}

static void
t_transfer(struct t_world *t, uint32_t group, struct ledger_transfer *transfer)
{
    uint64_t kind = os_prng_below(&t->prng, 10);
    memset(transfer, 0, sizeof(*transfer));
    transfer->id = t_transfer_id(group, os_prng_below(&t->prng, ID_COUNT));
    transfer->ledger = 1;
    transfer->code = 1;
    transfer->amount = os_prng_below(&t->prng, 20);
    transfer->debit_account_id = t->accounts[group * MEMBERS + os_prng_below(&t->prng, MEMBERS)];
    transfer->credit_account_id = t->accounts[group * MEMBERS + os_prng_below(&t->prng, MEMBERS)];
    if (kind < 3) {
        transfer->flags = LEDGER_TRANSFER_PENDING;
    } else if (kind < 6) {
        transfer->flags = kind == 3 ? LEDGER_TRANSFER_VOID_PENDING : LEDGER_TRANSFER_POST_PENDING;
        transfer->pending_id = t_transfer_id(group, os_prng_below(&t->prng, ID_COUNT));
        if (os_prng_chance(&t->prng, 3, 4)) {
            transfer->debit_account_id = 0;
            transfer->credit_account_id = 0;
        }
    }
}

static bool
t_crosses(uint32_t a, uint32_t b)
{
    return t_map.owners[t_slot(a)] != t_map.owners[t_slot(b)];
}

static uint32_t
t_one(struct t_world *t, const struct ledger_transfer *transfer)
{
    struct ledger_result results[2];
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 1};
    one.in.transfers = transfer;
    struct port_ledger_request many = one;
    one.out.results = &results[0];
    many.out.results = &results[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    t_compare_results(&results[0], &results[1], 1);
    return results[0].status;
}

void
t_hold_end(struct t_world *t)
{
    struct ledger_transfer end = {.pending_id = t->hold, .id = t->hold + ((u128)1 << 64)};
    end.flags = os_prng_chance(&t->prng, 1, 2) ? LEDGER_TRANSFER_POST_PENDING
                                               : LEDGER_TRANSFER_VOID_PENDING;
    end.amount = end.flags == LEDGER_TRANSFER_POST_PENDING ? U128_MAX : 0;
    assert_int_equal(t_one(t, &end), LEDGER_TRANSFER_created);
    t->hold = 0;
}

void
t_join(struct t_world *t)
{
    uint32_t a = (uint32_t)os_prng_below(&t->prng, GROUPS);
    uint32_t b = (uint32_t)os_prng_below(&t->prng, GROUPS);
    if (a == b || t_map.owners[t_slot(a)] != t_map.owners[t_slot(b)]) {
        return;
    }
    struct ledger_transfer transfer = {
        .id = (u128)(1000000 + ++t->joined) << 16,
        .debit_account_id = t->accounts[a * MEMBERS + os_prng_below(&t->prng, MEMBERS)],
        .credit_account_id = t->accounts[b * MEMBERS + os_prng_below(&t->prng, MEMBERS)],
        .amount = os_prng_below(&t->prng, 20),
        .ledger = 1,
        .code = 2,
        .flags = t->hold == 0 && os_prng_chance(&t->prng, 1, 2) ? LEDGER_TRANSFER_PENDING : 0,
    };
    if (t_one(t, &transfer) != LEDGER_TRANSFER_created || transfer.flags == 0) {
        return;
    }
    t->hold = transfer.id;
    if (os_prng_chance(&t->prng, 1, 2)) {
        t_hold_end(t);
    }
}

/* Chains stay within a group; what is not linked goes from group to group. The last event is not
 * linked: in several ledgers it would be the last of one of them only. */
void
t_transfers(struct t_world *t)
{
    struct ledger_transfer transfers[BATCH];
    struct ledger_result results[2][BATCH];
    struct port_ledger_pair pairs[2][BATCH];
    uint32_t count = (uint32_t)os_prng_below(&t->prng, BATCH) + 1;
    bool with_pairs = os_prng_chance(&t->prng, 1, 2);
    uint32_t group = 0;
    bool linked = false;
    for (uint32_t i = 0; i < count; i++) {
        group = linked ? group : (uint32_t)os_prng_below(&t->prng, GROUPS);
        t_transfer(t, group, &transfers[i]);
        linked = os_prng_chance(&t->prng, 1, 4);
        transfers[i].flags |= linked ? LEDGER_TRANSFER_LINKED : 0;
    }
    memset(pairs, 0, sizeof(pairs));
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    one.in.transfers = transfers;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    one.pairs = with_pairs ? pairs[0] : NULL;
    many.out.results = results[1];
    many.pairs = with_pairs ? pairs[1] : NULL;
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    assert_int_equal(many.out_count, count);
    t_compare_results(results[0], results[1], count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(pairs[0][i].debit.id == pairs[1][i].debit.id);
        assert_true(pairs[0][i].debit.credits_posted == pairs[1][i].debit.credits_posted);
        assert_true(pairs[0][i].credit.debits_pending == pairs[1][i].credit.debits_pending);
    }
}

void
t_crossing(struct t_world *t)
{
    struct ledger_transfer transfers[2];
    struct ledger_result results[2];
    t_transfer(t, 0, &transfers[0]);
    t_transfer(t, 1, &transfers[1]);
    assert_true(t_crosses(0, 1));
    for (int i = 0; i < 2; i++) {
        transfers[i].flags = 0;
        transfers[i].pending_id = 0;
        transfers[i].debit_account_id = t->accounts[i * MEMBERS];
        transfers[i].credit_account_id = t->accounts[i * MEMBERS + 1];
    }
    transfers[0].flags = LEDGER_TRANSFER_LINKED;
    struct port_ledger_request many = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 2};
    struct port_ledger *port = shards_router_port(t->router);
    many.in.transfers = transfers;
    many.out.results = results;
    many.reply_to = &t->executor;
    many.done = t_count_answer;
    port->submit(port, &many);
    assert_true(os_sim_run_until_idle(t->sim, 100000));
    assert_int_equal(many.error, ERR_CROSSES_SHARDS);
    transfers[0].flags = 0;
    transfers[0].credit_account_id = t->accounts[MEMBERS];
    many.count = 1;
    port->submit(port, &many);
    assert_true(os_sim_run_until_idle(t->sim, 100000));
    assert_int_equal(many.error, ERR_CROSSES_SHARDS);
}
