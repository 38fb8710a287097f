/*
 * What stored documents of wallets say of the books, and the books of them, for whoever has a
 * database and a ledger and no server between them: the same rules as the reconciler's
 * (reconcile.c), one document or movement at a time.
 */
#ifndef WALLETS_STORED_H
#define WALLETS_STORED_H

#include "books/books.h"
#include "ledger/ledger.h"
#include "resource/object.h"

/* Kinds whose documents say that something moved; tables' names, NULL behind the last. */
extern const char *const wallets_stored_kinds[];

/* Of one document. */
#define WALLETS_EXPECTED_MAX 3

/* What it says at rest. `*ret_count` 0: something is under way, so that nothing can be said.
 * ERR_CORRUPT: the body is none of the kind, or says what cannot be. */
MUST_USE err_t wallets_stored_document(
    struct arena *arena,
    const char *kind,
    struct span id,
    struct span body,
    struct books_expected expected[WALLETS_EXPECTED_MAX],
    uint32_t *ret_count);

/* Which document explains a movement in the books; false: it is none of this service's. Those that
 * only hold or release are explained as well. */
bool wallets_stored_explains(
    const struct ledger_transfer *movement, const char **ret_kind, char ret_id[ID_TEXT_SIZE]);

#endif
