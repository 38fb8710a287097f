/*
 * Reading the journal's durable bytes back: a cache of blocks, filled by what was just written
 * and by reads of the segments. Belongs to the engine's thread.
 *
 * CACHE-1  A block holds only bytes below the durable end: they never change any more.
 */
#ifndef STORE_JOURNAL_CACHE_H
#define STORE_JOURNAL_CACHE_H

#include "journal_format.h"
#include "journal_scan.h"

#define JOURNAL_CACHE_BLOCK  65536u
#define JOURNAL_CACHE_BLOCKS 512u
#define JOURNAL_CACHE_FILES  256u

struct journal_cache_block {
    char *data;
    uint64_t position; /* of its first byte: segment and a multiple of JOURNAL_CACHE_BLOCK */
    uint32_t from;     /* the bytes [from, to) of it are there */
    uint32_t to;
    uint64_t missed; /* position of the block that was wanted here last and was not there */
};

struct journal_cache_file {
    struct os_file *file;
    uint64_t segment;
};

struct journal_cache {
    struct os_disk *disk;
    const char *folder;
    uint64_t durable_end; /* position */
    struct journal_cache_block blocks[JOURNAL_CACHE_BLOCKS];
    struct journal_cache_file files[JOURNAL_CACHE_FILES];
};

/* Bytes at `position` that just became durable; moves the durable end behind them. */
void journal_cache_put(
    struct journal_cache *cache, journal_position_t position, const char *data, uint64_t size);
/* Bytes that are durable. ERR_CORRUPT if they are not, with an error that names the place. */
MUST_USE err_t journal_cache_get(
    struct journal_cache *cache,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error);
/* The same for one record somewhere in the past, whose neighbours nobody will ask for: what no
 * block has is read alone, and not kept. */
MUST_USE err_t journal_cache_get_alone(
    struct journal_cache *cache,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error);
void journal_cache_release(struct journal_cache *cache);

#endif
