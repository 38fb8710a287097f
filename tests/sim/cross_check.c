/* What clients were told beside what is booked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cross_life.h"

/* credits less debits, of posted money. */
__int128
world_worth(const struct ledger_account *account)
{
    return (__int128)account->credits_posted - (__int128)account->debits_posted;
}

static bool
is_booked(uint32_t status)
{
    return status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists;
}

void
world_check_nothing_in_doubt(struct world *world)
{
    struct port_ledger_filter filter = {.limit = 16};
    static struct ledger_transfer found[16];
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_IN_TRANSIT};
    request.in.filter = &filter;
    request.out.transfers = found;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    if (request.out_count != 0) {
        fail_msg(
            "seed %llu: %u transfers are in doubt",
            (unsigned long long)world->seed,
            request.out_count);
    }
}

/* A hold that is told to have ended has ended once. */
void
world_check_holds(struct world *world)
{
    const unsigned ends = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        uint32_t count = 0;
        bool held = is_booked(world->transfers[i].status);
        for (uint32_t j = 0; j < world->transfer_count; j++) {
            const struct world_transfer *end = &world->transfers[j];
            bool of_it = (end->transfer.flags & ends) != 0 &&
                         end->transfer.pending_id == world->transfers[i].transfer.id;
            count += of_it && is_booked(end->status) ? 1 : 0;
            world->counts.posted += of_it && is_booked(end->status) &&
                                    (end->transfer.flags & LEDGER_TRANSFER_POST_PENDING) != 0;
        }
        if (count > (held ? 1U : 0U)) {
            fail_msg(
                "seed %llu: a hold has ended %u times", (unsigned long long)world->seed, count);
        }
    }
}

void
world_check_accounts(struct world *world)
{
    const unsigned still = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    __int128 expected[WORLD_ACCOUNTS] = {0};
    struct ledger_account found[3 * WORLD_ACCOUNTS];
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct world_transfer *transfer = &world->transfers[i];
        assert_true(transfer->told);
        bool booked = is_booked(transfer->status);
        world->counts.booked += booked ? 1 : 0;
        world->counts.refused += booked ? 0 : 1;
        booked = booked && (transfer->transfer.flags & still) == 0;
        for (uint32_t j = 0; j < WORLD_ACCOUNTS && booked; j++) {
            const struct ledger_transfer *money = &transfer->transfer;
            expected[j] -=
                money->debit_account_id == world->accounts[j] ? (__int128)money->amount : 0;
            expected[j] +=
                money->credit_account_id == world->accounts[j] ? (__int128)money->amount : 0;
        }
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_CONSISTENT, .count = WORLD_ACCOUNTS};
    request.in.ids = world->accounts;
    request.out.accounts = found;
    assert_int_equal(world_ask(world, 2, &request), ERR_OK);
    assert_true(request.out_count >= WORLD_ACCOUNTS);
    __int128 in_transit = 0;
    for (uint32_t i = 0; i < request.out_count; i++) {
        assert_true(found[i].debits_pending == 0 && found[i].credits_pending == 0);
        in_transit += i < WORLD_ACCOUNTS ? 0 : world_worth(&found[i]);
        if (i < WORLD_ACCOUNTS && world_worth(&found[i]) != expected[i]) {
            fail_msg(
                "seed %llu: account %u has %lld instead of %lld",
                (unsigned long long)world->seed,
                i,
                (long long)world_worth(&found[i]),
                (long long)expected[i]);
        }
        if (i < WORLD_ACCOUNTS && i % WORLD_MEMBERS != 0) {
            assert_true(world_worth(&found[i]) >= 0);
        }
    }
    assert_true(in_transit == 0);
}

/* What it shows when it is booked: a void has all of what it ends. */
static u128
amount_of(const struct world *world, const struct ledger_transfer *event)
{
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct ledger_transfer *hold = &world->transfers[i].transfer;
        if ((event->flags & LEDGER_TRANSFER_VOID_PENDING) != 0 && hold->id == event->pending_id) {
            return hold->amount;
        }
    }
    return event->amount;
}

/* Looked up by its id each booked one is found, as booked by either protocol, and no other. */
void
world_check_transfers(struct world *world)
{
    static u128 ids[WORLD_TRANSFERS];
    static struct ledger_transfer found[WORLD_TRANSFERS];
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        ids[i] = world->transfers[i].transfer.id;
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = world->transfer_count};
    request.in.ids = ids;
    request.out.transfers = found;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    uint32_t next = 0;
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct world_transfer *transfer = &world->transfers[i];
        bool is_found = next < request.out_count && found[next].id == ids[i];
        if (is_found != is_booked(transfer->status)) {
            fail_msg(
                "seed %llu: transfer %u is told %u, and %s",
                (unsigned long long)world->seed,
                i,
                transfer->status,
                is_found ? "found" : "not found");
        }
        if (is_found) {
            const unsigned phase = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_POST_PENDING |
                                   LEDGER_TRANSFER_VOID_PENDING;
            assert_int_equal(found[next].flags & phase, transfer->transfer.flags & phase);
            assert_true(found[next].debit_account_id == transfer->transfer.debit_account_id);
            assert_true(found[next].amount == amount_of(world, &transfer->transfer));
            next++;
        }
    }
    assert_int_equal(next, request.out_count);
}
