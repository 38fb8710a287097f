/*
 * What a document asks for in the books and at the issuer, one thing at a time; what was asked for
 * is explained. Private to the check.
 */
#ifndef PAYMENTS_SIM_EXPECT_H
#define PAYMENTS_SIM_EXPECT_H

#include "payments_sim.h"

enum {
    SIM_CODE_PAYMENT = 1,
    SIM_CODE_FEE = 2,
    SIM_CODE_HOLD = 3,
    SIM_CODE_REFUND = 4,
    SIM_CODE_REFUND_FAILURE = 5,
    SIM_CODE_SETTLE = 6,
    SIM_CODE_DISPUTE = 17,
    SIM_CODE_DISPUTE_REVERSAL = 18,
    SIM_CODE_DISPUTE_FEE = 19,
};

struct sim_check_state {
    struct sim *sim;
    const struct sim_books *books;
    bool *transfer_seen;
    bool *record_seen;
};

struct sim_expected {
    u128 id, base, pending_id;
    enum books_account debit, credit;
    int64_t amount; /* API units */
    uint16_t code, flags;
};

u128 sim_unhex(const char *text);
/* The fee that the charge's balance transaction tells, if it was ever the fee. */
int64_t sim_expected_fee(
    const struct sim_check_state *check, const struct sim_row *charge, int64_t api_amount);
/* There is exactly this transfer. */
void sim_expect_transfer(
    struct sim_check_state *check,
    const struct sim_row *row,
    const char *what,
    const struct sim_expected *expected);
void sim_expect_fee(
    struct sim_check_state *check, const struct sim_row *charge, u128 attempt, int64_t amount);
/* The hold that stands for the charge now. */
u128 sim_present_hold(const struct sim_row *charge);
/* From the present hold back to the authorization's own. */
void sim_expect_holds(struct sim_check_state *check, const struct sim_row *charge);
/* The transfer that a document names, and its attempt. */
bool sim_named_transfer(
    struct sim_check_state *check,
    const struct sim_row *row,
    const char *member,
    const char *step,
    u128 *ret_id,
    u128 *ret_attempt);
/* NULL if the issuer has none. */
const struct sim_issuer_record *sim_record_find(struct sim_check_state *check, u128 id);
/* The network has the same view of a charge. */
void sim_expect_network(struct sim_check_state *check, const struct sim_row *charge, bool canceled);

/* payments_sim_disputes.c */
void sim_check_disputes(struct sim_check_state *check);

#endif
