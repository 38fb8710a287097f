/* The model's rules for a transfer that names two accounts: at once, or pending. */
#include "ledger_model_rules.h"

#define PART LEDGER_MODEL_PLAIN

/* Does a + b + c exceed u128? */
static bool
exceeds_u128(u128 a, u128 b, u128 c)
{
    return a > U128_MAX - b || a + b > U128_MAX - c;
}

static u128
smaller(u128 a, u128 b)
{
    return a < b ? a : b;
}

/* What a side may still take before it exceeds the other; 0 if it does already. */
static u128
room(u128 other_posted, u128 posted, u128 pending)
{
    return other_posted > posted + pending ? other_posted - posted - pending : 0;
}

static uint32_t
plain_field_checks(struct ledger_model *model, const struct ledger_transfer *t)
{
    bool pending = BIT(t->flags, TRANSFER_PENDING);
    REFUSE_TRANSFER(t->debit_account_id == 0, debit_account_id_must_not_be_zero);
    REFUSE_TRANSFER(t->debit_account_id == U128_MAX, debit_account_id_must_not_be_int_max);
    REFUSE_TRANSFER(t->credit_account_id == 0, credit_account_id_must_not_be_zero);
    REFUSE_TRANSFER(t->credit_account_id == U128_MAX, credit_account_id_must_not_be_int_max);
    REFUSE_TRANSFER(t->debit_account_id == t->credit_account_id, accounts_must_be_different);
    REFUSE_TRANSFER(t->pending_id != 0, pending_id_must_be_zero);
    REFUSE_TRANSFER(t->timeout != 0 && !pending, timeout_reserved_for_pending_transfer);
    REFUSE_TRANSFER(
        BIT(t->flags, TRANSFER_CLOSING_DEBIT) && !pending, closing_transfer_must_be_pending);
    REFUSE_TRANSFER(
        BIT(t->flags, TRANSFER_CLOSING_CREDIT) && !pending, closing_transfer_must_be_pending);
    REFUSE_TRANSFER(t->ledger == 0, ledger_must_not_be_zero);
    REFUSE_TRANSFER(t->code == 0, code_must_not_be_zero);
    return LEDGER_TRANSFER_created;
}

static uint32_t
plain_account_checks(
    struct ledger_model *model,
    const struct ledger_transfer *t,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    REFUSE_TRANSFER(debit->ledger != credit->ledger, accounts_must_have_the_same_ledger);
    REFUSE_TRANSFER(t->ledger != debit->ledger, transfer_must_have_the_same_ledger_as_accounts);
    uint32_t status = ledger_model_transfer_regresses(model, t);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    if (BIT(t->flags, TRANSFER_IMPORTED)) {
        REFUSE_TRANSFER(
            t->timestamp <= debit->timestamp, imported_event_timestamp_must_postdate_debit_account);
        REFUSE_TRANSFER(
            t->timestamp <= credit->timestamp,
            imported_event_timestamp_must_postdate_credit_account);
        REFUSE_TRANSFER(t->timeout != 0, imported_event_timeout_must_be_zero);
    }
    REFUSE_TRANSFER(BIT(debit->flags, ACCOUNT_CLOSED), debit_account_already_closed);
    REFUSE_TRANSFER(BIT(credit->flags, ACCOUNT_CLOSED), credit_account_already_closed);
    return LEDGER_TRANSFER_created;
}

static uint32_t
plain_amount_checks(
    struct ledger_model *model,
    const struct ledger_transfer *t, /* with the final amount and timestamp */
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    bool pending = BIT(t->flags, TRANSFER_PENDING);
    u128 amount = t->amount;
    REFUSE_TRANSFER(
        pending && exceeds_u128(amount, debit->debits_pending, 0), overflows_debits_pending);
    REFUSE_TRANSFER(
        pending && exceeds_u128(amount, credit->credits_pending, 0), overflows_credits_pending);
    REFUSE_TRANSFER(exceeds_u128(amount, debit->debits_posted, 0), overflows_debits_posted);
    REFUSE_TRANSFER(exceeds_u128(amount, credit->credits_posted, 0), overflows_credits_posted);
    REFUSE_TRANSFER(
        exceeds_u128(amount, debit->debits_pending, debit->debits_posted), overflows_debits);
    REFUSE_TRANSFER(
        exceeds_u128(amount, credit->credits_pending, credit->credits_posted), overflows_credits);
    REFUSE_TRANSFER(ledger_model_due_at(t) > LEDGER_TIMESTAMP_MAX, overflows_timeout);
    REFUSE_TRANSFER(
        BIT(debit->flags, ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) &&
            debit->debits_pending + debit->debits_posted + amount > debit->credits_posted,
        exceeds_credits);
    REFUSE_TRANSFER(
        BIT(credit->flags, ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS) &&
            credit->credits_pending + credit->credits_posted + amount > credit->debits_posted,
        exceeds_debits);
    return LEDGER_TRANSFER_created;
}

static void
plain_effects(struct ledger_model *model, const struct ledger_transfer *t)
{
    struct ledger_account *debit = ledger_model_find_account(model, t->debit_account_id);
    struct ledger_account *credit = ledger_model_find_account(model, t->credit_account_id);
    bool pending = BIT(t->flags, TRANSFER_PENDING);
    if (pending) {
        debit->debits_pending += t->amount;
        credit->credits_pending += t->amount;
    } else {
        debit->debits_posted += t->amount;
        credit->credits_posted += t->amount;
    }
    if (BIT(t->flags, TRANSFER_CLOSING_DEBIT) && EFFECT("close debit")) {
        ledger_model_set_closed(debit, true);
    }
    if (BIT(t->flags, TRANSFER_CLOSING_CREDIT) && EFFECT("close credit")) {
        ledger_model_set_closed(credit, true);
    }
    ledger_model_store(model, t, pending ? LEDGER_FATE_PENDING : LEDGER_FATE_NONE);
    ledger_model_add_event(
        model,
        pending ? LEDGER_EVENT_TWO_PHASE_PENDING : LEDGER_EVENT_SINGLE_PHASE,
        t->timestamp,
        t);
}

uint32_t
ledger_model_create_plain(
    struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp)
{
    uint32_t status = plain_field_checks(model, t);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    const struct ledger_account *debit = ledger_model_find_account(model, t->debit_account_id);
    const struct ledger_account *credit = ledger_model_find_account(model, t->credit_account_id);
    REQUIRE(debit != NULL, debit_account_not_found);
    REQUIRE(credit != NULL, credit_account_not_found);
    status = plain_account_checks(model, t, debit, credit);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    struct ledger_transfer stored = *t;
    stored.timestamp = timestamp;
    if (BIT(t->flags, TRANSFER_BALANCING_DEBIT) && EFFECT("balance debit")) {
        stored.amount = smaller(
            stored.amount,
            room(debit->credits_posted, debit->debits_posted, debit->debits_pending));
    }
    if (BIT(t->flags, TRANSFER_BALANCING_CREDIT) && EFFECT("balance credit")) {
        stored.amount = smaller(
            stored.amount,
            room(credit->debits_posted, credit->credits_posted, credit->credits_pending));
    }
    status = plain_amount_checks(model, &stored, debit, credit);
    if (status == LEDGER_TRANSFER_created) {
        plain_effects(model, &stored);
    }
    return status;
}

RULES_END(ledger_model_plain_rules);
