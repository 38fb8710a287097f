/*
 * What stored documents say of the books, for whoever has a database and a ledger and no server
 * between them: the same rules as the reconciler's (reconcile.c), one document at a time.
 */
#ifndef PAYMENTS_STORED_H
#define PAYMENTS_STORED_H

#include "resource/resource.h"

#define PAYMENTS_STORED_CHARGE "charge" /* kinds, which are tables' names, too */
#define PAYMENTS_STORED_INTENT "payment_intent"

struct payments_stored_charge {
    bool booked; /* the books must have it; else the rest is not filled in */
    u128 transfer;
    u128 amount;
    struct span
        intent; /* its id; only if that is at rest does this hold. In the body or the arena */
};

/* ERR_CORRUPT: the body is none of a charge, or says what cannot be. */
MUST_USE err_t payments_stored_charge(
    struct arena *arena, struct span body, struct payments_stored_charge *ret_charge);
/* Is nothing under way, and was it not canceled? */
MUST_USE err_t payments_stored_intent_rests(struct arena *arena, struct span body, bool *ret_rests);

#endif
