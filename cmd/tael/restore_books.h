/*
 * The documents of a restored folder against its books, by the rules of the reconcilers
 * (payments/stored.h, wallets/stored.h): every charge that is done has its transfers, of each part,
 * with their amounts; every refund and every dispute its own; what payouts and wallets' documents
 * say that moved is there, and what they say that did not is not; and what moved in a wallet, or
 * was paid out, has its document. Reads only.
 */
#ifndef TAEL_RESTORE_BOOKS_H
#define TAEL_RESTORE_BOOKS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct restore_books {
    uint64_t charges;   /* compared */
    uint64_t refunds;   /* compared */
    uint64_t payouts;   /* compared */
    uint64_t disputes;  /* that moved something; compared */
    uint64_t movements; /* wallets' transfers, holds and withdrawals that were compared */
    uint64_t under_way; /* not at rest, which the start takes up */
    uint64_t differences;
    char first[256]; /* of the differences, in words */
};

/* `folder` is a data folder that nobody has open. ERR_OK if it could be read, whatever was found.
 * What failed is said in `message`. */
MUST_USE err_t restore_books_compare(
    const char *folder, struct restore_books *ret_books, char *message, size_t message_size);

#endif
