/*
 * SHA-256, with contexts that are prepared once: a digest then costs its
 * bytes and no look-up of an algorithm. One thread at a time.
 *
 *     struct store_digest *digest;
 *     TRY(store_digest_create(&digest));
 *     TRY(store_digest_of(digest, frame, size, out));
 *     store_digest_destroy(&digest);
 *
 * Every call that digests is ERR_CRYPTO if OpenSSL refuses, as it does when it has no memory.
 */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include "store/store.h"

struct store_digest;

/* ERR_MEMORY; ERR_CRYPTO if OpenSSL has no SHA-256. */
MUST_USE err_t store_digest_create(struct store_digest **ret_digest);
void store_digest_destroy(struct store_digest **digest);

/* Of these bytes alone; what was begun with store_digest_add is not touched. */
MUST_USE err_t store_digest_of(
    struct store_digest *digest,
    const void *data,
    uint64_t size,
    uint8_t ret_digest[STORE_DIGEST_SIZE]);

/* A running digest over many pieces: adds one, and tells what it is so far. It begins with nothing
 * at store_digest_create. */
MUST_USE err_t store_digest_add(struct store_digest *digest, const void *data, uint64_t size);
MUST_USE err_t
store_digest_so_far(struct store_digest *digest, uint8_t ret_digest[STORE_DIGEST_SIZE]);

#endif
