/* The model's rules for a transfer that posts or voids a pending one. */
#include "ledger_model_rules.h"

#define PART LEDGER_MODEL_SECOND_PHASE

bool
ledger_model_is_post(const struct ledger_transfer *t)
{
    return BIT(t->flags, TRANSFER_POST_PENDING);
}

bool
ledger_model_is_void(const struct ledger_transfer *t)
{
    return BIT(t->flags, TRANSFER_VOID_PENDING);
}

u128
ledger_model_asked_amount(const struct ledger_transfer *t, const struct ledger_transfer *pending)
{
    if (ledger_model_is_post(t) && t->amount == U128_MAX) {
        return pending->amount;
    }
    if (ledger_model_is_void(t) && t->amount == 0) {
        return pending->amount;
    }
    return t->amount;
}

static uint32_t
finish_checks(
    struct ledger_model *model,
    const struct ledger_transfer *t,
    const struct stored *found,
    uint64_t timestamp)
{
    const struct ledger_transfer *p = &found->transfer;
    REFUSE_TRANSFER(
        t->debit_account_id != 0 && t->debit_account_id != p->debit_account_id,
        pending_transfer_has_different_debit_account_id);
    REFUSE_TRANSFER(
        t->credit_account_id != 0 && t->credit_account_id != p->credit_account_id,
        pending_transfer_has_different_credit_account_id);
    REFUSE_TRANSFER(
        t->ledger != 0 && t->ledger != p->ledger, pending_transfer_has_different_ledger);
    REFUSE_TRANSFER(t->code != 0 && t->code != p->code, pending_transfer_has_different_code);
    REFUSE_TRANSFER(ledger_model_asked_amount(t, p) > p->amount, exceeds_pending_transfer_amount);
    REFUSE_TRANSFER(
        ledger_model_is_void(t) && ledger_model_asked_amount(t, p) < p->amount,
        pending_transfer_has_different_amount);
    REFUSE_TRANSFER(found->fate == LEDGER_FATE_POSTED, pending_transfer_already_posted);
    REFUSE_TRANSFER(found->fate == LEDGER_FATE_VOIDED, pending_transfer_already_voided);
    REFUSE_TRANSFER(found->fate == LEDGER_FATE_EXPIRED, pending_transfer_expired);
    REFUSE_TRANSFER(
        p->timeout != 0 && ledger_model_due_at(p) <= timestamp, pending_transfer_expired);
    uint32_t status = ledger_model_transfer_regresses(model, t);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    const struct ledger_account *debit = ledger_model_find_account(model, p->debit_account_id);
    const struct ledger_account *credit = ledger_model_find_account(model, p->credit_account_id);
    REFUSE_TRANSFER(
        BIT(debit->flags, ACCOUNT_CLOSED) && !ledger_model_is_void(t),
        debit_account_already_closed);
    REFUSE_TRANSFER(
        BIT(credit->flags, ACCOUNT_CLOSED) && !ledger_model_is_void(t),
        credit_account_already_closed);
    return LEDGER_TRANSFER_created;
}

uint32_t
ledger_model_create_second_phase(
    struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp)
{
    REFUSE_TRANSFER(
        ledger_model_is_post(t) && ledger_model_is_void(t), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_PENDING), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_BALANCING_DEBIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_BALANCING_CREDIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_CLOSING_DEBIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_CLOSING_CREDIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(t->pending_id == 0, pending_id_must_not_be_zero);
    REFUSE_TRANSFER(t->pending_id == U128_MAX, pending_id_must_not_be_int_max);
    REFUSE_TRANSFER(t->pending_id == t->id, pending_id_must_be_different);
    REFUSE_TRANSFER(t->timeout != 0, timeout_reserved_for_pending_transfer);
    struct stored *found = ledger_model_find_transfer(model, t->pending_id);
    REQUIRE(found != NULL, pending_transfer_not_found);
    REQUIRE(BIT(found->transfer.flags, TRANSFER_PENDING), pending_transfer_not_pending);
    uint32_t status = finish_checks(model, t, found, timestamp);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }

    struct ledger_transfer pending = found->transfer;
    struct ledger_transfer stored = *t;
    stored.timestamp = timestamp;
    stored.debit_account_id = pending.debit_account_id;
    stored.credit_account_id = pending.credit_account_id;
    stored.ledger = pending.ledger;
    stored.code = pending.code;
    stored.amount = ledger_model_asked_amount(t, &pending);
    stored.user_data_128 = t->user_data_128 ? t->user_data_128 : pending.user_data_128;
    stored.user_data_64 = t->user_data_64 ? t->user_data_64 : pending.user_data_64;
    stored.user_data_32 = t->user_data_32 ? t->user_data_32 : pending.user_data_32;

    struct ledger_account *debit = ledger_model_find_account(model, pending.debit_account_id);
    struct ledger_account *credit = ledger_model_find_account(model, pending.credit_account_id);
    if (ledger_model_is_post(t)) {
        debit->debits_pending -= pending.amount;
        credit->credits_pending -= pending.amount;
        if (EFFECT("post to debits_posted")) {
            debit->debits_posted += stored.amount;
        }
        if (EFFECT("post to credits_posted")) {
            credit->credits_posted += stored.amount;
        }
    } else {
        ledger_model_release(model, &pending);
    }
    found->fate = ledger_model_is_post(t) ? LEDGER_FATE_POSTED : LEDGER_FATE_VOIDED;
    ledger_model_store(model, &stored, LEDGER_FATE_NONE);
    ledger_model_add_event(
        model,
        ledger_model_is_post(t) ? LEDGER_EVENT_TWO_PHASE_POSTED : LEDGER_EVENT_TWO_PHASE_VOIDED,
        timestamp,
        &stored);
    return LEDGER_TRANSFER_created;
}

RULES_END(ledger_model_second_phase_rules);
