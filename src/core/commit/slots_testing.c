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
        const struct ledger_limits limits = {16, 16, 1, 0};
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
