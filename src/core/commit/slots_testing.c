#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slots_testing.h"

#include "commit/records.h"

void
t_slots_open(struct t_world *slots, uint16_t count, uint16_t payer_flags)
{
    for (uint16_t slot = 0; slot < count; slot++) {
        const struct ledger_limits limits = {16, 16, 1, 0, NULL};
        const struct ledger_account accounts[] = {
            {.id = PAYER, .ledger = MONEY, .code = 1, .flags = payer_flags},
            {.id = PAYEE, .ledger = MONEY, .code = 1},
            commit_account(COMMIT_ACCOUNT_IN_TRANSIT, MONEY, slot),
            commit_account(COMMIT_ACCOUNT_HELD, MONEY, slot),
            commit_account(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot),
            commit_account(COMMIT_ACCOUNT_MARKER_CREDIT, COMMIT_LEDGER, slot),
        };
        t_world_init(&slots[slot], &limits);
        t_world_create_accounts(&slots[slot], accounts, sizeof(accounts) / sizeof(accounts[0]));
    }
}

void
t_slots_close(struct t_world *slots, uint16_t count)
{
    for (uint16_t slot = 0; slot < count; slot++) {
        assert_int_equal(ledger_validate(slots[slot].ledger), ERR_OK);
        t_world_release(&slots[slot]);
    }
}

struct ledger_transfer
t_payment(u128 id, u128 amount)
{
    return (struct ledger_transfer){
        .id = id,
        .debit_account_id = PAYER,
        .credit_account_id = PAYEE,
        .amount = amount,
        .ledger = MONEY,
        .code = 9,
    };
}

static void
read_log(const struct t_world *slot, struct commit_run *run, const struct commit_ask *ask)
{
    u128 ids[COMMIT_READ_MAX];
    struct ledger_transfer found[COMMIT_READ_MAX];
    uint32_t count = 0;
    commit_log_ids(run, ask, ids);
    for (uint32_t i = 0; i < COMMIT_READ_MAX; i++) {
        for (uint32_t j = 0; j < slot->past_count && count == i; j++) {
            if (slot->past[j].id == ids[i]) {
                found[count++] = slot->past[j].transfer;
            }
        }
    }
    commit_take_log(run, ask, found, count);
}

bool
t_slots_ask(struct t_world *slots, struct commit_run *run, const struct commit_ask *ask, bool lost)
{
    struct ledger_transfer events[COMMIT_EVENTS_MAX];
    struct t_world *slot = &slots[commit_slot(run, ask)];
    uint32_t count = commit_build(run, ask, events);
    assert_int_equal(count, commit_event_count(run, ask));
    if (count == 0) {
        read_log(slot, run, ask);
        return false;
    }
    t_world_create_transfers(slot, events, count);
    if (!lost) {
        commit_take(run, ask, slot->results);
    }
    return true;
}
