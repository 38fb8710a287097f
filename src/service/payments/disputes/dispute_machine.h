/*
 * The states of a dispute, and the one table that says which move is legal.
 *
 *        the network asks (dispute_feed.c)             the network takes the money back
 *                   |                                                |
 *                   v                                                v
 *      warning_needs_response ---------- escalate ------------> needs_response ---------+
 *          |        | submit                 ^                    |        | submit     |
 *          |        v                        |                    |        v            |
 *          |   warning_under_review ---------+                    |   under_review      |
 *          |        |                                             |     |    |          |
 *          | close  | close                           lose, accept|     |    | lose,    | win
 *          v        v                                             v     |    v accept   v
 *       warning_closed                                          lost <--|----+         won
 *                                                                       +-- win ------->
 *
 * Only `submit` and `accept` are the merchant's; the network decides all else. A decision may come
 * at any time, evidence or not. Won, lost and warning_closed are final.
 */
#ifndef PAYMENTS_DISPUTE_MACHINE_H
#define PAYMENTS_DISPUTE_MACHINE_H

#include "base/machine.h"

enum payments_dispute_status {
    PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE,
    PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW,
    PAYMENTS_DISPUTE_WARNING_CLOSED,
    PAYMENTS_DISPUTE_NEEDS_RESPONSE,
    PAYMENTS_DISPUTE_UNDER_REVIEW,
    PAYMENTS_DISPUTE_WON,
    PAYMENTS_DISPUTE_LOST,
    PAYMENTS_DISPUTE_STATUS_COUNT,
};

enum payments_dispute_move {
    PAYMENTS_DISPUTE_SUBMIT,   /* evidence was handed in */
    PAYMENTS_DISPUTE_ACCEPT,   /* the merchant gives in */
    PAYMENTS_DISPUTE_ESCALATE, /* an inquiry becomes a dispute */
    PAYMENTS_DISPUTE_WIN,
    PAYMENTS_DISPUTE_LOSE,
    PAYMENTS_DISPUTE_CLOSE, /* an inquiry ends */
    PAYMENTS_DISPUTE_MOVE_COUNT,
};

extern const struct machine payments_dispute_machine;

/* The public API's word. Static. */
const char *payments_dispute_status_name(enum payments_dispute_status status);
/* A stored status that is none is a bug: the text came from us. */
enum payments_dispute_status payments_dispute_status_parse(struct span text);

/* false if the move is illegal in that state. */
bool payments_dispute_move(
    enum payments_dispute_status from,
    enum payments_dispute_move move,
    enum payments_dispute_status *ret_to);

/* It is an inquiry, and open: no money has moved, and the charge may be refunded. */
bool payments_dispute_is_inquiry(enum payments_dispute_status status);
/* It waits for the merchant, until its due date. */
bool payments_dispute_needs_response(enum payments_dispute_status status);

#endif
