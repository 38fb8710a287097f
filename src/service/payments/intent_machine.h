/*
 * The states of a payment intent, and the one table that says which move is legal.
 *
 *          payments_intent_create
 *                   |
 *                   v
 *        requires_payment_method <-------------------------------+-----------------+
 *                   | attach (create, update, confirm)           |                 |
 *                   v                                            |                 |
 *   +--> requires_confirmation                                   |                 |
 *   |               | confirm (payments_authorize_begin)         |                 |
 *   |               v                                            |                 |
 *   |           processing -- declined, reversed (authorize.c) --+                 |
 *   |            |  |  |  ^                                                        |
 *   |            |  |  |  +------- passed -----+                                   |
 *   |            |  |  |                       |                                   |
 *   |            |  |  +-- challenged --> requires_action -- failed, expired ------+
 *   |            |  |                          |                (challenge.c)
 *   +------------|--|--------- proven ---------+
 *                |  |
 *                |  +-- authorized (capture_method=manual) --> requires_capture
 *                |                                                |     ^ increment, to itself
 *                | captured                                       | captured (capture.c)
 *                v                                                v
 *            succeeded <------------------------------------------+
 *
 *   cancel (payments_intent_cancel) leads from every requires_... to canceled; from
 *   requires_capture by way of a void at the rail (cancel.c).
 *   An update of the amount, the currency or the method in requires_action leads back to
 *   requires_confirmation: what the customer was asked is not true any more. One that unsets the
 *   method leads from there to requires_payment_method.
 *
 * While an attempt is open (documents.h) every move but its own end is refused; the lock of the
 * intent makes others wait for it first.
 */
#ifndef PAYMENTS_INTENT_MACHINE_H
#define PAYMENTS_INTENT_MACHINE_H

#include "base/machine.h"

enum payments_intent_status {
    PAYMENTS_REQUIRES_PAYMENT_METHOD,
    PAYMENTS_REQUIRES_CONFIRMATION,
    PAYMENTS_REQUIRES_ACTION,
    PAYMENTS_PROCESSING,
    PAYMENTS_REQUIRES_CAPTURE,
    PAYMENTS_SUCCEEDED,
    PAYMENTS_CANCELED,
    PAYMENTS_INTENT_STATUS_COUNT,
};

enum payments_intent_move {
    PAYMENTS_MOVE_ATTACH,     /* a payment method was named */
    PAYMENTS_MOVE_UNSET,      /* none is named any more; an update has come before */
    PAYMENTS_MOVE_UPDATE,     /* amount and the like may change */
    PAYMENTS_MOVE_CONFIRM,    /* an authorization begins */
    PAYMENTS_MOVE_DECLINED,   /* ... and the rail said no, or it was reversed */
    PAYMENTS_MOVE_CHALLENGED, /* ... and the customer must authenticate */
    PAYMENTS_MOVE_PASSED,     /* they have: the authorization goes on */
    PAYMENTS_MOVE_PROVEN,     /* they have, and the merchant's server confirms again */
    PAYMENTS_MOVE_FAILED,     /* they could not, or not in time */
    PAYMENTS_MOVE_AUTHORIZED, /* ... and the money is held */
    PAYMENTS_MOVE_INCREMENT,  /* more may be authorized */
    PAYMENTS_MOVE_CAPTURED,   /* the money is taken */
    PAYMENTS_MOVE_CAPTURE,    /* a capture may begin */
    PAYMENTS_MOVE_CANCEL,
    PAYMENTS_INTENT_MOVE_COUNT,
};

extern const struct machine payments_intent_machine;

/* The public API's word. Static. */
const char *payments_intent_status_name(enum payments_intent_status status);
/* A stored status that is none is a bug: the text came from us. */
enum payments_intent_status payments_intent_status_parse(struct span text);

/* false if the move is illegal in that state. */
bool payments_intent_move(
    enum payments_intent_status from,
    enum payments_intent_move move,
    enum payments_intent_status *ret_to);

#endif
