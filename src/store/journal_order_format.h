/*
 * The bytes of an order: of one closed segment of the journal, where the transfers of each account
 * are, or those with each code, user data or ledger. docs/internals/journal.md has the same as
 * tables.
 *
 *   part  one order of one segment: a 4 KiB header; entries in blocks of 4 KiB, ascending; a fence
 *         for each block
 *
 * An entry is a key of 32 bits and an offset in the segment. Keys of larger values are hashes, so
 * whoever finds an entry compares the event. What a segment gives is determined to the last byte.
 *
 * ORDER-1  Every byte of a part is under a checksum that is seeded with the segment's number: the
 *          header under its own, the fences under the header's, each block under its fence's.
 * ORDER-2  Entries ascend strictly by (key, offset).
 * ORDER-3  A part names the checksum of its segment's last frame: another history's is not used.
 */
#ifndef STORE_JOURNAL_ORDER_FORMAT_H
#define STORE_JOURNAL_ORDER_FORMAT_H

#include "base/hash.h"
#include "journal_format.h"
#include "store/store.h"

#define JOURNAL_ORDER_MAGIC   UINT64_C(0x5244524f4c454154) /* "TAELORDR" */
#define JOURNAL_ORDER_VERSION 1u
#define JOURNAL_ORDER_BLOCK   4096u
#define JOURNAL_ORDER_ENTRIES 512u /* of a block */
/* An event takes 224 bytes at least and has two accounts. */
#define JOURNAL_ORDER_ENTRIES_MAX (2 * (JOURNAL_SEGMENT_MAX / JOURNAL_EVENT_NARROW))

struct journal_order_header {
    u128 checksum; /* XXH3-128 of bytes 16 ... 4096, seed: number */
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    u128 identity;      /* the journal's */
    u128 chain;         /* checksum of the segment's last frame */
    uint64_t number;    /* the segment's */
    uint64_t end;       /* offset where its frames end */
    uint64_t count;     /* of entries */
    uint64_t file_size; /* bytes */
    u128 fences;        /* XXH3-128 of them, seed: number */
    uint32_t kind;      /* enum store_order */
    uint32_t zero[3];
};

struct journal_order_fence {
    uint64_t first;    /* entry of the block */
    uint64_t checksum; /* XXH3-64 of the block, seed: number << 24 ^ block */
};

static_assert(sizeof(struct journal_order_header) == 128, "order header");
static_assert(sizeof(struct journal_order_fence) == 16, "fence");
static_assert(JOURNAL_ORDER_ENTRIES * sizeof(uint64_t) == JOURNAL_ORDER_BLOCK, "");

/* --- entries --- */

static inline uint64_t
journal_order_entry(uint32_t key, uint64_t offset)
{
    ASSERT(offset <= UINT32_MAX);
    return (uint64_t)key << 32 | offset;
}

static inline uint64_t
journal_order_offset(uint64_t entry)
{
    return entry & UINT32_MAX;
}

/* The key of a value that queries ask for: itself, or a hash if it is larger. */
uint32_t journal_order_key(u128 value);

/* The value of a transfer in an order that is not by account; 0 is in none: no query asks for it.
 */
u128 journal_order_value(enum store_order kind, const struct ledger_transfer *transfer);

/* --- the layout, which follows from the count --- */

static inline uint64_t
journal_order_block_count(uint64_t count)
{
    return (count + JOURNAL_ORDER_ENTRIES - 1) / JOURNAL_ORDER_ENTRIES;
}

static inline uint64_t
journal_order_fences_offset(uint64_t count)
{
    return JOURNAL_ORDER_BLOCK * (1 + journal_order_block_count(count));
}

static inline uint64_t
journal_order_file_size(uint64_t count)
{
    return journal_order_fences_offset(count) +
           journal_order_block_count(count) * sizeof(struct journal_order_fence);
}

/* --- writing and checking --- */

/* Sorts in place by key; what has one key keeps its order. `spare` has room for as many. */
void journal_order_sort(uint64_t *entries, uint64_t *spare, uint64_t count);
/* The whole file, in memory of malloc; NULL without memory. `header` has identity, chain, number,
 * end, count and kind; entries are sorted. */
char *journal_order_encode(const struct journal_order_header *header, const uint64_t *entries);
/* ERR_CORRUPT or ERR_VERSION, with `*ret_reason` in words. What it accepts has a sound layout. */
MUST_USE err_t journal_order_header_decode(
    const void *block, struct journal_order_header *ret_header, const char **ret_reason);
/* The fences' checksum and order. */
bool journal_order_fences_are_sound(
    const struct journal_order_header *header, const struct journal_order_fence *fences);
uint64_t journal_order_block_checksum(uint64_t number, uint64_t block, const void *data);

#endif
