/* The model's rules for a new account. */
#include "ledger_model_rules.h"

#define PART LEDGER_MODEL_ACCOUNT

static uint32_t
account_exists(
    struct ledger_model *model, const struct ledger_account *a, const struct ledger_account *old)
{
    REFUSE_ACCOUNT(a->flags != old->flags, exists_with_different_flags);
    REFUSE_ACCOUNT(a->user_data_128 != old->user_data_128, exists_with_different_user_data_128);
    REFUSE_ACCOUNT(a->user_data_64 != old->user_data_64, exists_with_different_user_data_64);
    REFUSE_ACCOUNT(a->user_data_32 != old->user_data_32, exists_with_different_user_data_32);
    REFUSE_ACCOUNT(a->ledger != old->ledger, exists_with_different_ledger);
    REFUSE_ACCOUNT(a->code != old->code, exists_with_different_code);
    return LEDGER_ACCOUNT_exists;
}

uint32_t
ledger_model_create_account(
    struct ledger_model *model, const struct ledger_account *a, uint64_t timestamp)
{
    REFUSE_ACCOUNT(a->reserved != 0, reserved_field);
    REFUSE_ACCOUNT(a->flags >= 64, reserved_flag);
    REFUSE_ACCOUNT(a->id == 0, id_must_not_be_zero);
    REFUSE_ACCOUNT(a->id == U128_MAX, id_must_not_be_int_max);
    const struct ledger_account *old = ledger_model_find_account(model, a->id);
    if (old != NULL) {
        return account_exists(model, a, old);
    }
    REFUSE_ACCOUNT(
        BIT(a->flags, ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) &&
            BIT(a->flags, ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS),
        flags_are_mutually_exclusive);
    REFUSE_ACCOUNT(a->debits_pending != 0, debits_pending_must_be_zero);
    REFUSE_ACCOUNT(a->debits_posted != 0, debits_posted_must_be_zero);
    REFUSE_ACCOUNT(a->credits_pending != 0, credits_pending_must_be_zero);
    REFUSE_ACCOUNT(a->credits_posted != 0, credits_posted_must_be_zero);
    REFUSE_ACCOUNT(a->ledger == 0, ledger_must_not_be_zero);
    REFUSE_ACCOUNT(a->code == 0, code_must_not_be_zero);
    if (BIT(a->flags, ACCOUNT_IMPORTED)) {
        REFUSE_ACCOUNT(
            timestamp <= ledger_model_last_account_timestamp(model),
            imported_event_timestamp_must_not_regress);
        REFUSE_ACCOUNT(
            ledger_model_transfer_has_timestamp(model, timestamp),
            imported_event_timestamp_must_not_regress);
    }
    struct state *now = &model->now;
    now->accounts = ledger_model_grown(now->accounts, now->account_count, sizeof(*now->accounts));
    now->accounts[now->account_count] = *a;
    now->accounts[now->account_count].timestamp = timestamp;
    now->account_count++;
    return LEDGER_ACCOUNT_created;
}

RULES_END(ledger_model_account_rules);
