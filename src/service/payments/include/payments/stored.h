/*
 * What stored documents say of the books, for whoever has a database and a ledger and no server
 * between them: the same rules as the reconciler's (reconcile.c), one document at a time.
 */
#ifndef PAYMENTS_STORED_H
#define PAYMENTS_STORED_H

#include "books/books.h"
#include "ledger/ledger.h"
#include "resource/object.h"

#define PAYMENTS_STORED_CHARGE  "charge" /* kinds, which are tables' names, too */
#define PAYMENTS_STORED_INTENT  "payment_intent"
#define PAYMENTS_STORED_REFUND  "refund"
#define PAYMENTS_STORED_PAYOUT  "payout"
#define PAYMENTS_STORED_DISPUTE "dispute"

/* Of a split payment the card's part, and then the wallet's. */
#define PAYMENTS_STORED_PARTS_MAX 2

struct payments_stored_charge {
    bool booked; /* the books must have it; else the rest is not filled in */
    uint32_t count;
    struct books_expected expected[PAYMENTS_STORED_PARTS_MAX];
    /* Its id; only if that is at rest does this hold. In the body or the arena. */
    struct span intent;
};

/* ERR_CORRUPT: the body is none of a charge, or says what cannot be. */
MUST_USE err_t payments_stored_charge(
    struct arena *arena, struct span body, struct payments_stored_charge *ret_charge);
/* What a refund that succeeded took out of the merchant's account for the card, or for the one
 * wallet that paid. `*ret_booked` false: nothing, or it is not known. ERR_CORRUPT as above. */
MUST_USE err_t payments_stored_refund(
    struct arena *arena, struct span body, struct books_expected *ret_expected, bool *ret_booked);

/* Of a payout, or of a dispute. */
#define PAYMENTS_EXPECTED_MAX 5
/* `*ret_count` 0: nothing can be said yet. ERR_CORRUPT as above. */
MUST_USE err_t payments_stored_payout(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count);
/* Which payout or dispute, and its kind, explains that money has left or has come back; false: none
 * does. */
bool payments_stored_explains(
    const struct ledger_transfer *movement, const char **ret_kind, char ret_id[ID_TEXT_SIZE]);

/* What a dispute took out of the merchant's account, its fee, and what came again; as above. */
MUST_USE err_t payments_stored_dispute(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count);
/* Is nothing under way, and was it not canceled? */
MUST_USE err_t payments_stored_intent_rests(struct arena *arena, struct span body, bool *ret_rests);

#endif
