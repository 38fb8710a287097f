/*
 * Reading the journal's durable bytes back: two caches of blocks. The recent one is a ring of the
 * journal's newest bytes, filled by what was just written; what a start finds there already is read
 * when it is first asked for. The other one is for what is older, filled by reads of the segments.
 * Belongs to the engine's thread.
 *
 * What is about to become durable may be copied beside the engine's thread:
 *
 *     journal_cache_reserve --> journal_cache_fill (any one thread) --> journal_cache_publish
 *
 * CACHE-1  A block holds only bytes below the durable end: they never change any more. What is
 *          reserved is not among what it holds before it is published.
 * CACHE-2  A recent block is replaced only by one that is newer, or by more of itself: reading the
 *          past does not push out what is new.
 */
#ifndef STORE_JOURNAL_CACHE_H
#define STORE_JOURNAL_CACHE_H

#include "journal_format.h"
#include "journal_scan.h"

#define JOURNAL_CACHE_BLOCK  65536u
#define JOURNAL_CACHE_BLOCKS 512u
#define JOURNAL_CACHE_FILES  256u
/* Recent blocks whose memory is one piece; a large page, where the system gives one. */
#define JOURNAL_CACHE_CHUNK_BLOCKS 32u

/* Stretches that are reserved at the same time, at most; each takes at most so many of the ring's
 * parts that they do not meet, also with the end of a segment between them that stays empty. */
#define JOURNAL_CACHE_RESERVED 2u
#define JOURNAL_CACHE_PARTS    4u

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

/* Segments that one thread has open. Zero it. */
struct journal_cache_files {
    struct journal_cache_file entries[JOURNAL_CACHE_FILES];
};

struct journal_cache {
    struct os_disk *disk;
    const char *folder;
    uint64_t durable_end;    /* position */
    uint64_t segment_blocks; /* of a segment as new ones are made */
    uint32_t recent_count;   /* a multiple of JOURNAL_CACHE_CHUNK_BLOCKS */
    struct journal_cache_block *recent;
    char **chunks; /* the recent blocks' memory; NULL where none of them was used yet */
    struct journal_cache_block blocks[JOURNAL_CACHE_BLOCKS];
    struct journal_cache_files files; /* the engine's thread's */
};

/* Keeps `recent_size` bytes of the newest history, rounded up to chunks. `folder` is borrowed.
 * ERR_MEMORY. */
MUST_USE err_t journal_cache_init(
    struct journal_cache *cache,
    struct os_disk *disk,
    const char *folder,
    uint64_t segment_size,
    uint64_t recent_size);
/* Bytes at `position` that just became durable; moves the durable end behind them. */
void journal_cache_put(
    struct journal_cache *cache, journal_position_t position, const char *data, uint64_t size);
/* Makes room for bytes that will be written at `position`, behind all that was reserved. False:
 * there is none, and journal_cache_put is to be called once they are durable; before that nothing
 * behind them may be reserved. At most
 * JOURNAL_CACHE_RESERVED stretches are reserved at a time. */
MUST_USE bool journal_cache_reserve(
    struct journal_cache *cache, journal_position_t position, uint64_t size);
/* Copies bytes into the room that was reserved for them. Any thread; between reserving and
 * publishing. */
void journal_cache_fill(
    const struct journal_cache *cache,
    journal_position_t position,
    const char *data,
    uint64_t size);
/* What was reserved and filled became durable, in the order of reserving. */
void journal_cache_publish(struct journal_cache *cache, journal_position_t position, uint64_t size);
/* Bytes that are durable. ERR_CORRUPT if they are not, with an error that names the place. */
MUST_USE err_t journal_cache_get(
    struct journal_cache *cache,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error);
/* The same without copying, if a block in memory has all of it; else NULL. Valid until the next
 * call that is not this one. */
const char *journal_cache_view(
    const struct journal_cache *cache, journal_position_t position, uint64_t size);
/* The same for one record somewhere in the past, whose neighbours nobody will ask for: what no
 * block has is read alone, and not kept. Changes nothing but `files`, so other threads may call it,
 * each with files of its own, while the engine's thread calls nothing else. */
MUST_USE err_t journal_cache_get_alone(
    const struct journal_cache *cache,
    struct journal_cache_files *files,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error);
void journal_cache_files_close(
    const struct journal_cache *cache, struct journal_cache_files *files);
void journal_cache_release(struct journal_cache *cache);

#endif
