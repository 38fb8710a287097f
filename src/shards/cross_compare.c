/* What is told of a transfer beside what is booked, and which answers are of what kind: statuses
 * alone, nothing is asked here. */
#include "cross_private.h"

bool
shards_cross_uses_the_id_up(uint32_t status)
{
#define CASE(name, number, transient)                                                              \
    if (status == (number)) {                                                                      \
        return (transient) != 0;                                                                   \
    }
    LEDGER_TRANSFER_STATUSES(CASE)
#undef CASE
    return false;
}

bool
shards_cross_is_different(uint32_t status)
{
    return status == LEDGER_TRANSFER_exists ||
           status == LEDGER_TRANSFER_exists_with_different_flags ||
           status == LEDGER_TRANSFER_exists_with_different_pending_id ||
           status == LEDGER_TRANSFER_exists_with_different_timeout ||
           status == LEDGER_TRANSFER_exists_with_different_debit_account_id ||
           status == LEDGER_TRANSFER_exists_with_different_credit_account_id ||
           status == LEDGER_TRANSFER_exists_with_different_amount ||
           status == LEDGER_TRANSFER_exists_with_different_user_data_128 ||
           status == LEDGER_TRANSFER_exists_with_different_user_data_64 ||
           status == LEDGER_TRANSFER_exists_with_different_user_data_32 ||
           status == LEDGER_TRANSFER_exists_with_different_ledger ||
           status == LEDGER_TRANSFER_exists_with_different_code;
}

/* Up to the debit account, in the order of the ledger's own comparison; 0: the same. What the
 * protocol adds to a leg is no difference. */
uint32_t
shards_cross_compare_before_credit(
    const struct ledger_transfer *event, const struct ledger_transfer *booked, bool is_leg)
{
    unsigned added = is_leg ? LEDGER_TRANSFER_LINKED | LEDGER_TRANSFER_PENDING : 0;
    unsigned flags = booked->flags & ~added;
    return event->flags != flags ? LEDGER_TRANSFER_exists_with_different_flags
           : event->pending_id != booked->pending_id
               ? LEDGER_TRANSFER_exists_with_different_pending_id
           : event->timeout != booked->timeout ? LEDGER_TRANSFER_exists_with_different_timeout
           : event->debit_account_id != booked->debit_account_id
               ? LEDGER_TRANSFER_exists_with_different_debit_account_id
               : 0;
}

uint32_t
shards_cross_compare_behind_credit(
    const struct ledger_transfer *event, const struct ledger_transfer *booked)
{
    return event->amount != booked->amount ? LEDGER_TRANSFER_exists_with_different_amount
           : event->user_data_128 != booked->user_data_128
               ? LEDGER_TRANSFER_exists_with_different_user_data_128
           : event->user_data_64 != booked->user_data_64
               ? LEDGER_TRANSFER_exists_with_different_user_data_64
           : event->user_data_32 != booked->user_data_32
               ? LEDGER_TRANSFER_exists_with_different_user_data_32
           : event->ledger != booked->ledger ? LEDGER_TRANSFER_exists_with_different_ledger
           : event->code != booked->code     ? LEDGER_TRANSFER_exists_with_different_code
                                             : LEDGER_TRANSFER_exists;
}

/* As one ledger would have said it, in its order; the payee's slot saw its own account alone. */
uint32_t
shards_cross_verdict_of(
    uint32_t reason,
    const struct ledger_transfer *event,
    const struct ledger_account *payer,
    const struct ledger_account *payee)
{
    return payer == NULL                    ? LEDGER_TRANSFER_debit_account_not_found
           : payee == NULL                  ? LEDGER_TRANSFER_credit_account_not_found
           : payer->ledger != payee->ledger ? LEDGER_TRANSFER_accounts_must_have_the_same_ledger
           : event->ledger != payer->ledger
               ? LEDGER_TRANSFER_transfer_must_have_the_same_ledger_as_accounts
           : (payer->flags & LEDGER_ACCOUNT_CLOSED) != 0
               ? LEDGER_TRANSFER_debit_account_already_closed
           : (payee->flags & LEDGER_ACCOUNT_CLOSED) != 0
               ? LEDGER_TRANSFER_credit_account_already_closed
               : reason;
}

/* A leg in the payer's slot has a flag more, and another account to pay; so has a hold. */
bool
shards_cross_result_is_doubtful(const struct ledger_transfer *event, uint32_t status)
{
    bool different = status == LEDGER_TRANSFER_exists_with_different_flags ||
                     status == LEDGER_TRANSFER_exists_with_different_credit_account_id;
    return different && !cross_is_second_phase(event);
}
