/*
 * The states of a payout, and the one table that says which move is legal.
 *
 *               +------------------ lack ------------------+
 *               |                                           v
 *   pending ----+-- submit --> in_transit ---- refuse --> failed
 *      |                           |                        ^
 *      | cancel                    | pay                    | return
 *      v                           v                        |
 *   canceled                     paid ----------------------+
 *
 * Until it is submitted nobody but us knows of it, so it can be canceled; from there on it is the
 * bank's to say how it ends. What was paid may come back days later.
 */
#ifndef PAYMENTS_PAYOUT_MACHINE_H
#define PAYMENTS_PAYOUT_MACHINE_H

#include "base/machine.h"

enum payments_payout_move {
    PAYMENTS_PAYOUT_LACK,   /* the money was not there, which was unknown for a while */
    PAYMENTS_PAYOUT_SUBMIT, /* the bank is asked */
    PAYMENTS_PAYOUT_PAY,    /* ... and has paid */
    PAYMENTS_PAYOUT_REFUSE, /* ... and has not, nor ever will */
    PAYMENTS_PAYOUT_RETURN, /* the bank has sent it back */
    PAYMENTS_PAYOUT_CANCEL,
    PAYMENTS_PAYOUT_MOVE_COUNT,
};

extern const struct machine payments_payout_machine;

/* The public API's words, NULL behind the last. */
extern const char *const payments_payout_statuses[];

/* The move on a stored status, which is ours: one that is none is a bug. False if it is illegal;
 * otherwise *status is the new one. */
bool payments_payout_move(struct span *status, enum payments_payout_move move);

#endif
