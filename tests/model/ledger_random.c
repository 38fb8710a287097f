#include "ledger_random.h"

#include <string.h>

#define SECOND_NS  INT64_C(1000000000)
#define ACCOUNTS   14 /* ids of accounts are 1 ... this, mostly */
#define LAST_FLAGS 9  /* bits that are defined for transfers */

void
ledger_random_init(struct ledger_random *random, uint64_t seed)
{
    *random = (struct ledger_random){.state = seed * 2 + 1, .next_id = 1};
}

/* splitmix64 */
static uint64_t
next(struct ledger_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = random->state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t
ledger_random_below(struct ledger_random *random, uint64_t bound)
{
    return next(random) % bound;
}

static bool
one_in(struct ledger_random *random, uint64_t n)
{
    return next(random) % n == 0;
}

static u128
random_amount(struct ledger_random *random)
{
    switch (ledger_random_below(random, 16)) {
    case 0:
        return 0;
    case 1:
        return U128_MAX - ledger_random_below(random, 30);
    case 2:
        return U128_MAX / 2 + ledger_random_below(random, 3);
    case 3:
        return U128_MAX;
    default:
        return ledger_random_below(random, 20);
    }
}

/* --- timestamps for imports --- */

static uint64_t
newest_transfer(const struct ledger_model *model)
{
    uint32_t count = ledger_model_transfer_count(model);
    return count > 0 ? ledger_model_transfer_at(model, count - 1)->timestamp : 0;
}

static uint64_t
newest_account(const struct ledger_model *model)
{
    uint32_t count = ledger_model_account_count(model);
    return count > 0 ? ledger_model_account_at(model, count - 1)->timestamp : 0;
}

static uint64_t
around(struct ledger_random *random, uint64_t timestamp)
{
    return timestamp + ledger_random_below(random, 3) - 1;
}

static uint64_t
random_timestamp(struct ledger_random *random, const struct ledger_model *model)
{
    uint32_t transfers = ledger_model_transfer_count(model);
    uint32_t accounts = ledger_model_account_count(model);
    switch (ledger_random_below(random, 12)) {
    case 0:
        return 0;
    case 1:
        return LEDGER_TIMESTAMP_MAX + ledger_random_below(random, 3);
    case 2:
        return ledger_model_clock(model) + ledger_random_below(random, 30);
    case 3:
        if (transfers > 0) {
            uint32_t at = (uint32_t)ledger_random_below(random, transfers);
            return around(random, ledger_model_transfer_at(model, at)->timestamp);
        }
        return 1;
    case 4:
    case 5:
        if (accounts > 0) {
            uint32_t at = (uint32_t)ledger_random_below(random, accounts);
            return around(random, ledger_model_account_at(model, at)->timestamp);
        }
        return 2;
    case 6:
        return newest_account(model) + ledger_random_below(random, 4);
    default:
        return newest_transfer(model) + ledger_random_below(random, 4);
    }
}

/* --- accounts --- */

/* One field made different, wrong, or both. */
static void
spoil_account(struct ledger_random *random, struct ledger_account *account)
{
    switch (ledger_random_below(random, 16)) {
    case 0:
        account->id = 0;
        break;
    case 1:
        account->id = U128_MAX;
        break;
    case 2:
        account->debits_pending = 1;
        break;
    case 3:
        account->debits_posted = 1;
        break;
    case 4:
        account->credits_pending = 1;
        break;
    case 5:
        account->credits_posted = 1;
        break;
    case 6:
        account->user_data_128 ^= 1;
        break;
    case 7:
        account->user_data_64 ^= 1;
        break;
    case 8:
        account->user_data_32 ^= 1;
        break;
    case 9:
        account->reserved = 1;
        break;
    case 10:
        account->ledger = (uint32_t)ledger_random_below(random, 3);
        break;
    case 11:
        account->code = (uint16_t)ledger_random_below(random, 3);
        break;
    case 12:
        account->timestamp = 1 + ledger_random_below(random, 3);
        break;
    case 13:
        account->flags = (uint16_t)(account->flags | 6);
        break;
    default:
        account->flags = (uint16_t)(account->flags ^ (1u << ledger_random_below(random, 7)));
        break;
    }
}

static struct ledger_account
random_account(struct ledger_random *random)
{
    struct ledger_account account = {
        .id = 1 + ledger_random_below(random, ACCOUNTS),
        .user_data_128 = ledger_random_below(random, 2),
        .user_data_64 = ledger_random_below(random, 2),
        .user_data_32 = (uint32_t)ledger_random_below(random, 2),
        .ledger = one_in(random, 4) ? 2 : 1,
        .code = (uint16_t)(1 + ledger_random_below(random, 2)),
    };
    static const uint16_t flags[] = {
        0,
        0,
        LEDGER_ACCOUNT_HISTORY,
        LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS,
        LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS,
        LEDGER_ACCOUNT_HISTORY,
        0,
        LEDGER_ACCOUNT_HISTORY | LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS,
    };
    account.flags = flags[ledger_random_below(random, sizeof(flags) / sizeof(flags[0]))];
    if (one_in(random, 25)) {
        account.flags = (uint16_t)(account.flags | LEDGER_ACCOUNT_CLOSED);
    }
    return account;
}

static void
random_accounts(
    struct ledger_random *random,
    const struct ledger_model *model,
    struct ledger_random_operation *operation)
{
    bool imported = one_in(random, 3);
    operation->kind = LEDGER_RANDOM_ACCOUNTS;
    operation->count = (uint32_t)ledger_random_below(random, 6);
    uint64_t imported_at = random_timestamp(random, model);
    for (uint32_t i = 0; i < operation->count; i++) {
        struct ledger_account *account = &operation->accounts[i];
        if (random->account_count > 0 && one_in(random, 4)) {
            uint32_t kept = random->account_count < LEDGER_RANDOM_KEPT ? random->account_count
                                                                       : LEDGER_RANDOM_KEPT;
            *account = random->accounts[ledger_random_below(random, kept)];
        } else {
            *account = random_account(random);
            if (imported) {
                account->flags = (uint16_t)(account->flags | LEDGER_ACCOUNT_IMPORTED);
            }
            if (one_in(random, 6)) {
                account->flags = (uint16_t)(account->flags | LEDGER_ACCOUNT_LINKED);
            }
        }
        if ((account->flags & LEDGER_ACCOUNT_IMPORTED) != 0) {
            account->timestamp = imported_at;
            imported_at = one_in(random, 4) ? random_timestamp(random, model) : imported_at + 1;
        }
        if (one_in(random, 4)) {
            spoil_account(random, account);
        }
        random->accounts[random->account_count++ % LEDGER_RANDOM_KEPT] = *account;
    }
}

/* --- transfers --- */

static u128
some_account(struct ledger_random *random, const struct ledger_model *model)
{
    uint32_t count = ledger_model_account_count(model);
    if (count == 0 || one_in(random, 40)) {
        return 1 + ledger_random_below(random, ACCOUNTS);
    }
    return ledger_model_account_at(model, (uint32_t)ledger_random_below(random, count))->id;
}

static u128
some_transfer(struct ledger_random *random)
{
    return 1 + ledger_random_below(random, (uint64_t)random->next_id + 1);
}

/* A transfer that is pending now, or was made a short while ago in this batch. */
static u128
some_pending(
    struct ledger_random *random,
    const struct ledger_model *model,
    const struct ledger_random_operation *operation,
    uint32_t made)
{
    if (made > 0 && one_in(random, 3)) {
        return operation->transfers[ledger_random_below(random, made)].id;
    }
    uint32_t count = ledger_model_transfer_count(model);
    for (int tries = 0; count > 0 && tries < 20; tries++) {
        uint32_t at = (uint32_t)ledger_random_below(random, count);
        const struct ledger_transfer *transfer = ledger_model_transfer_at(model, at);
        enum ledger_fate fate = ledger_model_fate(model, transfer->id);
        if (fate == LEDGER_FATE_PENDING || (fate != LEDGER_FATE_NONE && one_in(random, 10))) {
            return transfer->id;
        }
    }
    return some_transfer(random);
}

static void
random_second_phase(
    struct ledger_random *random,
    const struct ledger_model *model,
    const struct ledger_random_operation *operation,
    uint32_t made,
    struct ledger_transfer *transfer)
{
    bool post = !one_in(random, 3);
    u128 pending_id = some_pending(random, model, operation, made);
    const struct ledger_transfer *pending = ledger_model_transfer(model, pending_id);
    *transfer = (struct ledger_transfer){
        .id = transfer->id,
        .pending_id = pending_id,
        .amount = post ? U128_MAX : 0,
        .flags = post ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING,
    };
    if (pending != NULL && one_in(random, 2)) {
        transfer->amount = pending->amount - (post && one_in(random, 2));
        transfer->debit_account_id = pending->debit_account_id;
        transfer->credit_account_id = pending->credit_account_id;
        transfer->ledger = pending->ledger;
        transfer->code = pending->code;
    }
    if (one_in(random, 4)) {
        transfer->amount = random_amount(random);
    }
    if (one_in(random, 3)) {
        transfer->user_data_128 = 1 + ledger_random_below(random, 2);
        transfer->user_data_64 = 1 + ledger_random_below(random, 2);
        transfer->user_data_32 = 1 + (uint32_t)ledger_random_below(random, 2);
    }
}

static void
random_first_phase(
    struct ledger_random *random,
    const struct ledger_model *model,
    struct ledger_transfer *transfer)
{
    *transfer = (struct ledger_transfer){
        .id = transfer->id,
        .debit_account_id = some_account(random, model),
        .credit_account_id = some_account(random, model),
        .amount = random_amount(random),
        .user_data_128 = ledger_random_below(random, 3),
        .user_data_64 = ledger_random_below(random, 3),
        .user_data_32 = (uint32_t)ledger_random_below(random, 3),
        .ledger = 1,
        .code = (uint16_t)(1 + ledger_random_below(random, 2)),
    };
    const struct ledger_account *debit = ledger_model_account(model, transfer->debit_account_id);
    if (debit != NULL && !one_in(random, 20)) {
        transfer->ledger = debit->ledger;
    }
    unsigned flags = 0;
    if (one_in(random, 2)) {
        flags |= LEDGER_TRANSFER_PENDING;
        if (one_in(random, 2)) {
            transfer->timeout = (uint32_t)(1 + ledger_random_below(random, 3));
        }
        if (one_in(random, 10)) {
            flags |=
                one_in(random, 2) ? LEDGER_TRANSFER_CLOSING_DEBIT : LEDGER_TRANSFER_CLOSING_CREDIT;
        }
    }
    if (one_in(random, 8)) {
        flags |= LEDGER_TRANSFER_BALANCING_DEBIT;
    }
    if (one_in(random, 8)) {
        flags |= LEDGER_TRANSFER_BALANCING_CREDIT;
    }
    transfer->flags = (uint16_t)flags;
}

static void
spoil_transfer(struct ledger_random *random, struct ledger_transfer *transfer)
{
    static const u128 ends[] = {0, U128_MAX};
    switch (ledger_random_below(random, 17)) {
    case 0:
        transfer->id = ends[ledger_random_below(random, 2)];
        break;
    case 1:
        transfer->debit_account_id = ends[ledger_random_below(random, 2)];
        break;
    case 2:
        transfer->credit_account_id = ends[ledger_random_below(random, 2)];
        break;
    case 3:
        transfer->debit_account_id = 1 + ledger_random_below(random, ACCOUNTS + 2);
        break;
    case 4:
        transfer->credit_account_id = 1 + ledger_random_below(random, ACCOUNTS + 2);
        break;
    case 5:
        transfer->amount += ledger_random_below(random, 3) - 1;
        break;
    case 6:
        transfer->pending_id = ends[ledger_random_below(random, 2)];
        break;
    case 7:
        transfer->pending_id = one_in(random, 2) ? transfer->id : some_transfer(random);
        break;
    case 8:
        transfer->user_data_128 = ledger_random_below(random, 3);
        break;
    case 9:
        transfer->user_data_64 = ledger_random_below(random, 3);
        break;
    case 10:
        transfer->user_data_32 = (uint32_t)ledger_random_below(random, 3);
        break;
    case 11:
        transfer->timeout ^= 1;
        break;
    case 12:
        transfer->ledger = (uint32_t)ledger_random_below(random, 3);
        break;
    case 13:
        transfer->code = (uint16_t)ledger_random_below(random, 3);
        break;
    case 14:
        transfer->timestamp = 1 + ledger_random_below(random, 3);
        break;
    default:
        transfer->flags =
            (uint16_t)(transfer->flags ^ (1u << ledger_random_below(random, LAST_FLAGS + 1)));
        break;
    }
}

static void
random_transfer(
    struct ledger_random *random,
    const struct ledger_model *model,
    struct ledger_random_operation *operation,
    uint32_t i)
{
    struct ledger_transfer *transfer = &operation->transfers[i];
    transfer->id = one_in(random, 12) ? some_transfer(random) : random->next_id++;
    if (one_in(random, 3)) {
        random_second_phase(random, model, operation, i, transfer);
    } else {
        random_first_phase(random, model, transfer);
    }
    if (one_in(random, 6)) {
        transfer->flags = (uint16_t)(transfer->flags | LEDGER_TRANSFER_LINKED);
    }
}

static void
random_transfers(
    struct ledger_random *random,
    const struct ledger_model *model,
    struct ledger_random_operation *operation)
{
    bool imported = one_in(random, 5);
    operation->kind = LEDGER_RANDOM_TRANSFERS;
    operation->count = (uint32_t)ledger_random_below(random, LEDGER_RANDOM_BATCH_MAX + 1);
    uint64_t imported_at = random_timestamp(random, model);
    for (uint32_t i = 0; i < operation->count; i++) {
        struct ledger_transfer *transfer = &operation->transfers[i];
        if (random->transfer_count > 0 && one_in(random, 5)) {
            uint32_t kept = random->transfer_count < LEDGER_RANDOM_KEPT ? random->transfer_count
                                                                        : LEDGER_RANDOM_KEPT;
            *transfer = random->transfers[ledger_random_below(random, kept)];
        } else {
            random_transfer(random, model, operation, i);
            if (imported) {
                transfer->flags = (uint16_t)(transfer->flags | LEDGER_TRANSFER_IMPORTED);
                transfer->timeout = one_in(random, 8) ? transfer->timeout : 0;
            }
        }
        if ((transfer->flags & LEDGER_TRANSFER_IMPORTED) != 0) {
            transfer->timestamp = imported_at;
            imported_at = one_in(random, 6) ? random_timestamp(random, model) : imported_at + 1;
        }
        if (one_in(random, 5)) {
            spoil_transfer(random, transfer);
        }
        random->transfers[random->transfer_count++ % LEDGER_RANDOM_KEPT] = *transfer;
    }
}

static int64_t
random_tick(struct ledger_random *random, const struct ledger_model *model)
{
    if (random->at_end_of_time) {
        return (int64_t)ledger_random_below(random, 2000);
    }
    switch (ledger_random_below(random, 12)) {
    case 0:
        if (one_in(random, 8)) {
            random->at_end_of_time = true;
            /* Some seconds short of the end, whatever the clock is now. */
            return -(int64_t)ledger_model_clock(model) -
                   SECOND_NS * (int64_t)(2 + ledger_random_below(random, 3));
        }
        return 0;
    case 1:
    case 2:
    case 3:
        return SECOND_NS * (int64_t)ledger_random_below(random, 3);
    case 4:
        return SECOND_NS - (int64_t)ledger_random_below(random, 40);
    default:
        return (int64_t)ledger_random_below(random, 100);
    }
}

void
ledger_random_next(
    struct ledger_random *random,
    const struct ledger_model *model,
    struct ledger_random_operation *ret_operation)
{
    memset(ret_operation, 0, sizeof(*ret_operation));
    uint64_t dice = ledger_random_below(random, 20);
    if (dice < 4) {
        ret_operation->kind = LEDGER_RANDOM_TICK;
        ret_operation->tick_ns = random_tick(random, model);
    } else if (dice < 5) {
        ret_operation->kind = LEDGER_RANDOM_COMMIT;
    } else if (dice < 9) {
        random_accounts(random, model, ret_operation);
    } else {
        random_transfers(random, model, ret_operation);
    }
}
