/*
 * SHA-256 of the journal's bytes, with one context that is prepared once: a digest then costs its
 * bytes and no look-up of an algorithm. One thread at a time.
 *
 *     struct journal_digest *digest;
 *     TRY(journal_digest_create(&digest));
 *     TRY(journal_digest_of(digest, frame, size, out));
 *     journal_digest_destroy(&digest);
 *
 * Every call that digests is ERR_CRYPTO if OpenSSL refuses, as it does when it has no memory.
 */
#ifndef STORE_JOURNAL_DIGEST_H
#define STORE_JOURNAL_DIGEST_H

#include "journal_format.h"

struct journal_digest;

/* ERR_MEMORY; ERR_CRYPTO if OpenSSL has no SHA-256. */
MUST_USE err_t journal_digest_create(struct journal_digest **ret_digest);
void journal_digest_destroy(struct journal_digest **digest);

/* Of these bytes alone; what was begun with journal_digest_add is not touched. */
MUST_USE err_t journal_digest_of(
    struct journal_digest *digest,
    const void *data,
    uint64_t size,
    uint8_t ret_digest[JOURNAL_DIGEST_SIZE]);

/* A running digest over many pieces: adds one, and tells what it is so far. It begins with nothing
 * at journal_digest_create. */
MUST_USE err_t journal_digest_add(struct journal_digest *digest, const void *data, uint64_t size);
MUST_USE err_t
journal_digest_so_far(struct journal_digest *digest, uint8_t ret_digest[JOURNAL_DIGEST_SIZE]);

#endif
