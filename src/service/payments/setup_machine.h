/*
 * The states of a setup, and the one table that says which move is legal.
 *
 *   requires_payment_method  --attach-->  requires_confirmation  --confirm-->  processing
 *            ^                                   ^                               |  |  |
 *            |                                   | attach                        |  |  |
 *            +--- failed, expired ----  requires_action  <------ challenged -----+  |  |
 *            |                                   +--------------- passed ------> (processing)
 *            +--------------------------- declined ---------------------------------+  |
 *                                                              verified                v
 *   unset: from every requires_... to requires_payment_method
 *   cancel: from every requires_... to canceled                                    succeeded
 */
#ifndef PAYMENTS_SETUP_MACHINE_H
#define PAYMENTS_SETUP_MACHINE_H

#include "base/machine.h"

enum payments_setup_status {
    PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD,
    PAYMENTS_SETUP_REQUIRES_CONFIRMATION,
    PAYMENTS_SETUP_REQUIRES_ACTION,
    PAYMENTS_SETUP_PROCESSING,
    PAYMENTS_SETUP_SUCCEEDED,
    PAYMENTS_SETUP_CANCELED,
    PAYMENTS_SETUP_STATUS_COUNT,
};

enum payments_setup_move {
    PAYMENTS_SETUP_ATTACH,     /* a payment method was named */
    PAYMENTS_SETUP_UNSET,      /* none is named any more */
    PAYMENTS_SETUP_CONFIRM,    /* the issuer is asked */
    PAYMENTS_SETUP_DECLINED,   /* ... and said no */
    PAYMENTS_SETUP_CHALLENGED, /* ... and the customer must authenticate */
    PAYMENTS_SETUP_VERIFIED,   /* ... and said yes */
    PAYMENTS_SETUP_PASSED,     /* the customer has: the issuer is asked again */
    PAYMENTS_SETUP_FAILED,     /* the customer could not, or not in time */
    PAYMENTS_SETUP_CANCEL,
    PAYMENTS_SETUP_MOVE_COUNT,
};

extern const struct machine payments_setup_machine;

/* The public API's word. Static. */
const char *payments_setup_status_name(enum payments_setup_status status);

/* The move on a stored status, which is ours: one that is none is a bug. False if it is illegal;
 * otherwise *status is the new one. */
bool payments_setup_move(struct span *status, enum payments_setup_move move);

#endif
