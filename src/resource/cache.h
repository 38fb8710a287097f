/*
 * Copies of rows that are read often and written seldom (document_kind.copied), for reading only:
 * in the memory of this process, and through port/cache.h in one that several processes share.
 *
 * COPY-1  Only a request that changes nothing (GET) is answered from copies. Whatever decides or
 *         writes reads the database: no payment, no right and no balance comes from a copy.
 * COPY-2  When an operation's answer leaves, this process has forgotten what the operation changed,
 *         and has begun to tell the others.
 * COPY-3  A copy that a writer overtook is not kept, here (cache/cache.h) or there (port/cache.h).
 * COPY-4  No copy is shown later than cache_life_ns after it was read, whatever got lost. While
 *         this process does not hear the others, none is shown.
 * COPY-5  What leaves the process is sealed: nobody reads or makes it without the documents'
 *         secret. What does not open, or says another key, version or time, is as if it were not
 *         there.
 * COPY-6  Of one key, one question is under way; others wait for its answer.
 */
#ifndef RESOURCE_CACHE_H
#define RESOURCE_CACHE_H

#include "runtime.h"

#include "port/cache.h"

/* NULL parts: nothing is copied, and everything below does nothing. */
MUST_USE err_t resource_cache_open(struct resource_runtime *runtime);
void resource_cache_close(struct resource_runtime *runtime);

/* A group is about to read, for the first time: what it reads is not older than this. */
void resource_cache_group_reads(struct resource_runtime *runtime);
/* What the store had read for it is forgotten. */
void resource_cache_group_ended(struct resource_runtime *runtime);
/* Whether the operation may be answered from a copy of such a row. */
MUST_USE bool resource_cache_serves(
    const struct resource_op *op, const struct document_kind *kind, struct span id);
/* True: there is a copy, or it is known that there is no row (ERR_NOT_FOUND). */
MUST_USE bool resource_cache_find(
    struct resource_op *op,
    const struct resource_type *type,
    struct span id,
    err_t *ret_result,
    void **ret_document);
/* What the database said. */
void resource_cache_learn(
    struct resource_op *op,
    const struct resource_type *type,
    struct span id,
    err_t result,
    const struct resource_header *document);
/* Whether what this id names would be found, so that nobody needs to ask ahead for it. */
MUST_USE bool resource_cache_has(struct resource_op *op, struct span id);
/* Of an operation that is ready. True: it waits for an answer about the row that its path names,
 * and is ready again then. */
MUST_USE bool resource_cache_asks(struct resource_op *op);

/* The operation wrote the row, which has this version now; 0: it is a version from before, or gone
 * and back. NULL op: nobody's in particular. */
void resource_cache_wrote(
    struct resource_runtime *runtime,
    const struct resource_op *op,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint64_t version);
/* The transaction is over. Before its operations learn of it. */
void resource_cache_settle(struct resource_runtime *runtime, err_t outcome);

/* API keys: not copied, but told of. */
void resource_cache_key_name(
    const struct resource_runtime *runtime, struct span hash_hex, struct cache_key *ret_name);
void resource_cache_tell_key(struct resource_runtime *runtime, struct span hash_hex);
/* A key that nobody has: known for a second. */
MUST_USE bool resource_cache_key_is_unknown(
    struct resource_runtime *runtime, const struct cache_key *name);
void resource_cache_key_note_unknown(
    struct resource_runtime *runtime, const struct cache_key *name);

/* --- cache_seal.c --- */
#define RESOURCE_CACHE_NONCE_SIZE 12
#define RESOURCE_CACHE_TAG_SIZE   16
#define RESOURCE_CACHE_SEAL_SIZE  (RESOURCE_CACHE_NONCE_SIZE + RESOURCE_CACHE_TAG_SIZE + 8)
#define RESOURCE_CACHE_BODY_MAX   (PORT_CACHE_VALUE_MAX - RESOURCE_CACHE_SEAL_SIZE)

struct resource_cache_sealed {
    const struct cache_key *key;
    uint64_t version;
    uint64_t expires_ms; /* unix time, by the database's clock */
    struct span body;
};

/* AES-256-GCM under a key of this row's version. `out` takes the body and SEAL_SIZE more. */
void resource_cache_seal(
    const uint8_t secret[RESOURCE_HASH_SIZE],
    const uint8_t nonce[RESOURCE_CACHE_NONCE_SIZE],
    const struct resource_cache_sealed *sealed,
    uint8_t *out);
/* Of `sealed` key and version are given, the rest is written; the body is in `out`, which has room
 * for as much as `text` has. False: nothing of ours. */
MUST_USE bool resource_cache_open_sealed(
    const uint8_t secret[RESOURCE_HASH_SIZE],
    struct span text,
    struct resource_cache_sealed *sealed,
    uint8_t *out);

#endif
