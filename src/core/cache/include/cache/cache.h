/*
 * Copies of what is stored elsewhere, each with the version that it has there: a bounded table in
 * the caller's memory. Pure: time is an argument, and the memory of values is their owner's.
 *
 * The rule that it exists for is that a copy never replaces a newer one. A reader that found
 * version 1 before a writer stored version 2, and comes with it after everybody was told to forget,
 * must be refused:
 *
 *     reader                      writer                      the table
 *     ticket = cache_ticket()
 *     reads version 1
 *                                 stores version 2
 *                                 cache_forget(key, 2)        knows: not older than 2
 *     cache_put(ticket, 1)  ---->                             CACHE_OLDER
 *
 * That the table is bounded must not weaken it: what it knew of a key that has been evicted since
 * the reader took its ticket is unknown, so the reader is refused then, too (CACHE_LATE).
 *
 * CACHE_VERSION_NONE is what a reader says that found nothing, CACHE_VERSION_GONE what a remover
 * says: an id is never given twice, so nothing is newer than that.
 *
 * CACHE-1  A value is readable only if nobody has told of a newer version of its key since the
 *          value's reader took its ticket, and never past its lifetime.
 * CACHE-2  At most entries_max entries, empty_max of them without a value, and bytes_max bytes of
 *          values.
 * CACHE-3  Evicted is what was not asked for the longest; for an entry without a value, among
 * those. CACHE-4  Each value handed over is released exactly once.
 *
 * Threads: one owner.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define CACHE_KEY_SIZE     16
#define CACHE_ENTRIES_MAX  (1U << 20)
#define CACHE_VERSION_NONE UINT64_C(0)
#define CACHE_VERSION_GONE UINT64_MAX

/* What stands for the name of an object: of a hash whose collisions nobody finds. */
struct cache_key {
    uint8_t bytes[CACHE_KEY_SIZE];
};

struct cache_settings {
    uint32_t entries_max; /* 1 to CACHE_ENTRIES_MAX */
    uint32_t empty_max;   /* 1 to entries_max */
    uint64_t bytes_max;
    /* The value is no longer needed. Called from within put, forget, drop, clear and get. */
    void (*release)(void *context, void *value);
    void *context;
};

enum cache_found {
    CACHE_MISS,   /* nothing is known */
    CACHE_HIT,    /* a value */
    CACHE_ABSENT, /* it is known that there is none */
};

enum cache_put {
    CACHE_STORED,
    CACHE_OLDER,     /* a newer version is known */
    CACHE_LATE,      /* what was known since the ticket has been evicted: read again */
    CACHE_TOO_LARGE, /* more than an eighth of bytes_max */
};

struct cache_value {
    void *value; /* NULL: that there is none */
    size_t size;
    uint64_t version;
    uint64_t expires_ns;
};

struct cache_counts {
    uint32_t entries;
    uint32_t empty; /* of these: without a value */
    uint64_t bytes;
    uint64_t evictions; /* since the beginning: entries that had to give way */
};

struct cache;

/* Bytes of memory that a table of these settings needs. */
size_t cache_memory_size(const struct cache_settings *settings);
/* `memory` is aligned as malloc's is, and outlives the table. */
struct cache *cache_init(void *memory, const struct cache_settings *settings);

/* Before what is to be put is read. */
uint64_t cache_ticket(const struct cache *cache);
/* With CACHE_HIT the value, which is the table's: valid until the next call. */
enum cache_found cache_get(
    struct cache *cache,
    const struct cache_key *key,
    uint64_t now_ns,
    struct cache_value *ret_value);
/* The value is taken, also if it is refused. What has expired already is not stored (CACHE_LATE).
 */
enum cache_put cache_put(
    struct cache *cache,
    const struct cache_key *key,
    uint64_t ticket,
    uint64_t now_ns,
    const struct cache_value *value);
/* A writer has stored this version: what is older is forgotten, and refused until `until_ns`. */
void cache_forget(
    struct cache *cache,
    const struct cache_key *key,
    uint64_t version,
    uint64_t now_ns,
    uint64_t until_ns);
/* Nothing is known of the key any more, and whoever reads it now comes too late: for a writer that
 * does not know the version, or whose version is lower than one before. */
void cache_drop(struct cache *cache, const struct cache_key *key);
/* The same for all keys. */
void cache_clear(struct cache *cache);
void cache_count(const struct cache *cache, struct cache_counts *ret_counts);

#endif
