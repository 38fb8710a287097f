/* The model's rules for every transfer, before it is a plain one or a second phase. */
#include "ledger_model_rules.h"

#define PART LEDGER_MODEL_TRANSFER

uint32_t
ledger_model_transfer_regresses(struct ledger_model *model, const struct ledger_transfer *t)
{
    if (BIT(t->flags, TRANSFER_IMPORTED)) {
        REFUSE_TRANSFER(
            t->timestamp <= ledger_model_last_transfer_timestamp(model),
            imported_event_timestamp_must_not_regress);
        REFUSE_TRANSFER(
            ledger_model_account_has_timestamp(model, t->timestamp),
            imported_event_timestamp_must_not_regress);
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
transfer_exists(
    struct ledger_model *model, const struct ledger_transfer *t, const struct ledger_transfer *old)
{
    bool second = ledger_model_is_post(t) || ledger_model_is_void(t);
    REFUSE_TRANSFER(t->flags != old->flags, exists_with_different_flags);
    if (ledger_model_is_post(t) != ledger_model_is_post(old) ||
        ledger_model_is_void(t) != ledger_model_is_void(old)) {
        return 998; /* only the mutation of the line above comes here */
    }
    REFUSE_TRANSFER(t->pending_id != old->pending_id, exists_with_different_pending_id);
    REFUSE_TRANSFER(t->timeout != old->timeout, exists_with_different_timeout);
    /* What the request means: zero fields of a post or void come from the pending one. */
    struct ledger_transfer meant = *t;
    if (second) {
        const struct ledger_transfer *pending =
            &ledger_model_find_transfer(model, old->pending_id)->transfer;
        meant.debit_account_id = t->debit_account_id ? t->debit_account_id : old->debit_account_id;
        meant.credit_account_id =
            t->credit_account_id ? t->credit_account_id : old->credit_account_id;
        meant.amount = ledger_model_asked_amount(t, pending);
        meant.user_data_128 = t->user_data_128 ? t->user_data_128 : pending->user_data_128;
        meant.user_data_64 = t->user_data_64 ? t->user_data_64 : pending->user_data_64;
        meant.user_data_32 = t->user_data_32 ? t->user_data_32 : pending->user_data_32;
        meant.ledger = t->ledger ? t->ledger : old->ledger;
        meant.code = t->code ? t->code : old->code;
    }
    bool balancing =
        BIT(t->flags, TRANSFER_BALANCING_DEBIT) || BIT(t->flags, TRANSFER_BALANCING_CREDIT);
    REFUSE_TRANSFER(
        meant.debit_account_id != old->debit_account_id, exists_with_different_debit_account_id);
    REFUSE_TRANSFER(
        meant.credit_account_id != old->credit_account_id, exists_with_different_credit_account_id);
    REFUSE_TRANSFER(meant.amount < old->amount, exists_with_different_amount);
    REFUSE_TRANSFER(meant.amount > old->amount && !balancing, exists_with_different_amount);
    REFUSE_TRANSFER(meant.user_data_128 != old->user_data_128, exists_with_different_user_data_128);
    REFUSE_TRANSFER(meant.user_data_64 != old->user_data_64, exists_with_different_user_data_64);
    REFUSE_TRANSFER(meant.user_data_32 != old->user_data_32, exists_with_different_user_data_32);
    REFUSE_TRANSFER(meant.ledger != old->ledger, exists_with_different_ledger);
    REFUSE_TRANSFER(meant.code != old->code, exists_with_different_code);
    return LEDGER_TRANSFER_exists;
}

uint32_t
ledger_model_create_transfer(
    struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp)
{
    REFUSE_TRANSFER(t->flags >= 512, reserved_flag);
    REFUSE_TRANSFER(t->id == 0, id_must_not_be_zero);
    REFUSE_TRANSFER(t->id == U128_MAX, id_must_not_be_int_max);
    const struct stored *old = ledger_model_find_transfer(model, t->id);
    if (old != NULL) {
        return transfer_exists(model, t, &old->transfer);
    }
    REFUSE_TRANSFER(ledger_model_failed(model, t->id), id_already_failed);
    if (ledger_model_is_post(t) || ledger_model_is_void(t)) {
        return ledger_model_create_second_phase(model, t, timestamp);
    }
    return ledger_model_create_plain(model, t, timestamp);
}

RULES_END(ledger_model_transfer_rules);
