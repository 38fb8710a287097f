/*
 * The states of a payment intent, and the one table that says which move is legal.
 *
 *                  payments_intent_create
 *                           |
 *                           v
 *   +--------> requires_payment_method ---------------------------------+
 *   |   attach          |           ^                                   |
 *   | (create, update,  v           | declined, reversed                | cancel
 *   |  confirm)  requires_confirmation  (payments_authorize_finish)     | (payments_cancel)
 *   |                   |           |                                   |
 *   |                   | confirm   |                                   |
 *   |                   v           |                                   |
 *   |              processing ------+                                   |
 *   |                |     | authorized, capture_method=manual           |
 *   |       captured |     v                                            |
 *   |                | requires_capture --- void done (payments_void) --+--> canceled
 *   |                v     | captured (payments_capture_finish)
 *   |             succeeded<
 *
 * While an attempt is open (documents.h) every move but its own end is refused; the lock of the
 * intent makes others wait for it first.
 */
#ifndef PAYMENTS_INTENT_MACHINE_H
#define PAYMENTS_INTENT_MACHINE_H

#include "base/span.h"

enum payments_intent_status {
    PAYMENTS_REQUIRES_PAYMENT_METHOD,
    PAYMENTS_REQUIRES_CONFIRMATION,
    PAYMENTS_PROCESSING,
    PAYMENTS_REQUIRES_CAPTURE,
    PAYMENTS_SUCCEEDED,
    PAYMENTS_CANCELED,
    PAYMENTS_INTENT_STATUS_COUNT,
};

enum payments_intent_move {
    PAYMENTS_MOVE_ATTACH,     /* a payment method was named */
    PAYMENTS_MOVE_UPDATE,     /* amount and the like may change */
    PAYMENTS_MOVE_CONFIRM,    /* an authorization begins */
    PAYMENTS_MOVE_DECLINED,   /* ... and the rail said no, or it was reversed */
    PAYMENTS_MOVE_AUTHORIZED, /* ... and the money is held */
    PAYMENTS_MOVE_CAPTURED,   /* the money is taken */
    PAYMENTS_MOVE_CAPTURE,    /* a capture may begin */
    PAYMENTS_MOVE_CANCEL,
    PAYMENTS_INTENT_MOVE_COUNT,
};

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
