#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runs_testing.h"

struct t_world t_places[T_SLOTS];
struct commit_transaction t_transaction;
struct commit_run t_run;
uint32_t t_batches;

int
t_runs_open(void **state)
{
    (void)state;
    t_batches = 0;
    t_slots_open(t_places, T_SLOTS, LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS);
    for (uint16_t slot = 0; slot < T_SLOTS; slot++) {
        struct ledger_transfer funds = {
            .id = 1,
            .debit_account_id = PAYEE,
            .credit_account_id = PAYER,
            .amount = 500,
            .ledger = MONEY,
            .code = 1};
        assert_int_equal(t_world_transfer(&t_places[slot], funds), LEDGER_TRANSFER_created);
    }
    return 0;
}

int
t_runs_close(void **state)
{
    (void)state;
    t_slots_close(t_places, T_SLOTS);
    return 0;
}

struct commit_request
t_request_of(struct commit_leg *legs, enum commit_protocol protocol, uint8_t payees, u128 amount)
{
    struct commit_request request = {
        .protocol = protocol,
        .slot_count = (uint8_t)(1 + payees),
        .slots = {0, 1, 2},
        .leg_count = (uint8_t)(2 * payees),
        .legs = legs,
        .name_digest = U128_MAX / 3,
        .request_digest = (uint64_t)amount << 8,
    };
    for (uint8_t i = 0; i < payees; i++) {
        const struct ledger_transfer transfer = t_payment(77, amount);
        commit_split(&transfer, (uint16_t[2]){0, (uint16_t)(1 + i)}, &legs[2 * i]);
        legs[2 * i + 1].member = (uint8_t)(1 + i);
    }
    return request;
}

void
t_start(enum commit_protocol protocol, uint8_t payees, u128 amount)
{
    struct commit_leg legs[4];
    struct commit_request request = t_request_of(legs, protocol, payees, amount);
    assert_int_equal(commit_transaction_init(&t_transaction, &request), ERR_OK);
    commit_begin(&t_run, &t_transaction);
}

void
t_ask(struct commit_run *of, const struct commit_ask *ask)
{
    t_batches += t_slots_ask(t_places, of, ask, false);
}

bool
t_round_trip(struct commit_run *of)
{
    struct commit_ask asks[COMMIT_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint8_t member = 0; member < of->transaction->header.member_count; member++) {
        count += commit_next(of, member, &asks[count]);
    }
    for (uint32_t i = 0; i < count; i++) {
        t_ask(of, &asks[i]);
    }
    return count > 0;
}

void
t_finish(struct commit_run *of)
{
    for (uint32_t rounds = 0; t_round_trip(of); rounds++) {
        assert_true(rounds < 20);
    }
    assert_true(commit_ended(of) || of->state == COMMIT_OUTBID);
}

u128
t_posted_to_payee(uint32_t slot)
{
    return ledger_find_account(t_places[slot].ledger, PAYEE)->credits_posted;
}

void
t_nothing_is_pending(void)
{
    for (uint32_t slot = 0; slot < T_SLOTS; slot++) {
        assert_int_equal(ledger_pending_count(t_places[slot].ledger), 0);
    }
}
