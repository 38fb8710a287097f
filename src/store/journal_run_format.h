/*
 * The bytes of the id index on disk: sorted runs and the manifest that names them, and the pure
 * functions that write and check them. docs/internals/journal.md has the same as tables.
 *
 *   run       one 4 KiB header; entries in blocks of 4 KiB, ascending; tables: filter, radix
 *             table, a checksum for each grain, which is 1 KiB of entries
 *   manifest  a header, then 48 bytes for each run, all under one checksum
 *
 * RUN-1  Every byte of a run is under a checksum that is seeded with the run's number: the header
 *        under its own, the tables under the header's, each grain of entries under the tables'.
 * RUN-2  Entries ascend strictly by (hash, reference), and no two have one position.
 * RUN-3  A manifest names each run by number and by the checksum of its header.
 */
#ifndef STORE_JOURNAL_RUN_FORMAT_H
#define STORE_JOURNAL_RUN_FORMAT_H

#include "base/err.h"
#include "base/hash.h"
#include "journal_format.h"

#define JOURNAL_RUN_MAGIC      UINT64_C(0x4e5552494c454154) /* "TAELIRUN" */
#define JOURNAL_MANIFEST_MAGIC UINT64_C(0x58444e494c454154) /* "TAELINDX" */
#define JOURNAL_RUN_VERSION    2u
#define JOURNAL_RUN_BLOCK      4096u
#define JOURNAL_BLOCK_ENTRIES  256u
/* What has a checksum of its own: a look-up reads one or two of them, not a block. */
#define JOURNAL_RUN_GRAIN     1024u
#define JOURNAL_GRAIN_ENTRIES 64u
/* A run has at most this many entries; twice what merging aims at. */
#define JOURNAL_RUN_ENTRIES_MAX (UINT32_C(1) << 24)
/* So many leading bits of the hash tell the runs of a group apart, at most. */
#define JOURNAL_RUN_BITS_MAX  10u
#define JOURNAL_RUN_LEVELS    16u
#define JOURNAL_RUN_RADIX_MAX 20u
#define JOURNAL_INDEX_GROUPS  64u
#define JOURNAL_MANIFEST_RUNS (JOURNAL_INDEX_GROUPS << JOURNAL_RUN_BITS_MAX)

/* What became of an id. The order matters: a fate only changes from PENDING to one that follows,
 * so that of two entries with one position the larger reference is the newer one. */
enum journal_fate {
    JOURNAL_FATE_SINGLE = 0, /* a transfer that is not pending */
    JOURNAL_FATE_PENDING,
    JOURNAL_FATE_POSTED,
    JOURNAL_FATE_VOIDED,
    JOURNAL_FATE_EXPIRED,
    JOURNAL_FATE_FAILED, /* an id that a transient failure used up */
};

struct journal_index_entry {
    uint64_t hash;
    uint64_t reference; /* position | fate; 0: empty */
};

static inline uint64_t
journal_index_entry_position(const struct journal_index_entry *entry)
{
    return entry->reference & ~UINT64_C(15);
}

static inline enum journal_fate
journal_index_entry_fate(const struct journal_index_entry *entry)
{
    return (enum journal_fate)(entry->reference & 15);
}

struct journal_run_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    u128 identity;   /* the journal's */
    uint64_t number; /* the file's name */
    uint64_t count;  /* of entries */
    uint32_t level;  /* how often its entries were merged */
    uint32_t bits;   /* it holds the hashes whose first `bits` bits are `piece` */
    uint32_t piece;
    uint32_t radix_bits;
    uint64_t filter_words;
    uint64_t file_size;
    u128 tables;   /* XXH3-128 of all behind the entries, seed: number */
    u128 checksum; /* XXH3-128 of the block with this field zero, seed: number */
};

struct journal_manifest_header {
    u128 checksum; /* XXH3-128 of all that follows */
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    u128 identity;        /* the journal's */
    u128 chain;           /* checksum of the last frame that the runs cover */
    uint64_t frame;       /* its position */
    uint64_t covered;     /* the position behind it */
    struct hash_key key;  /* of the entries' hashes */
    uint64_t next_number; /* above the number of every run */
    uint32_t group_count;
    uint32_t run_count;
    uint64_t zero[2];
};

struct journal_manifest_run {
    u128 checksum; /* of the run's header */
    uint64_t number;
    uint64_t count;
    uint32_t group; /* from 0, the oldest; runs are in the order of (group, piece) */
    uint32_t level;
    uint32_t bits;
    uint32_t piece;
};

static_assert(sizeof(struct journal_index_entry) == 16, "entry");
static_assert(sizeof(struct journal_run_header) == 112, "run header");
static_assert(sizeof(struct journal_manifest_header) == 128, "manifest header");
static_assert(sizeof(struct journal_manifest_run) == 48, "manifest run");
static_assert(JOURNAL_BLOCK_ENTRIES * sizeof(struct journal_index_entry) == JOURNAL_RUN_BLOCK, "");
static_assert(JOURNAL_GRAIN_ENTRIES * sizeof(struct journal_index_entry) == JOURNAL_RUN_GRAIN, "");

/* --- the layout, which follows from the header --- */

static inline uint64_t
journal_run_block_count(uint64_t count)
{
    return (count + JOURNAL_BLOCK_ENTRIES - 1) / JOURNAL_BLOCK_ENTRIES;
}

/* Whole blocks have whole grains. */
static inline uint64_t
journal_run_grain_count(uint64_t count)
{
    return journal_run_block_count(count) * (JOURNAL_RUN_BLOCK / JOURNAL_RUN_GRAIN);
}

static inline uint64_t
journal_run_radix_count(uint32_t radix_bits)
{
    return (UINT64_C(1) << radix_bits) + 1;
}

static inline uint64_t
journal_run_tables_offset(const struct journal_run_header *header)
{
    return JOURNAL_RUN_BLOCK * (1 + journal_run_block_count(header->count));
}

/* Bytes of filter, radix table (padded to 8) and checksums of grains. */
static inline uint64_t
journal_run_tables_size(const struct journal_run_header *header)
{
    uint64_t radix = (journal_run_radix_count(header->radix_bits) * sizeof(uint32_t) + 7) & ~7ull;
    uint64_t sums = journal_run_grain_count(header->count) * sizeof(uint64_t);
    return header->filter_words * sizeof(uint64_t) + radix + sums;
}

/* The slot of the radix table that a hash falls into. */
static inline uint32_t
journal_run_slot(uint64_t hash, uint32_t bits, uint32_t radix_bits)
{
    uint64_t within = bits == 0 ? hash : hash << bits;
    return radix_bits == 0 ? 0 : (uint32_t)(within >> (64 - radix_bits));
}

static inline uint32_t
journal_run_piece(uint64_t hash, uint32_t bits)
{
    return bits == 0 ? 0 : (uint32_t)(hash >> (64 - bits));
}

/* The radix table's size for about `count` entries: 32 to 64 of them for each slot. */
uint32_t journal_run_radix_bits(uint64_t count);

/* --- the filter: a Bloom filter whose bits for one hash are all in one word --- */

/* The word of a hash, of a run's `words` (all runs of a group have as many), or with `bits` 0 of
 * those of a whole group, one run behind the other. It ascends with the hash, so whoever writes a
 * run writes its filter from the front to the end. */
static inline uint64_t
journal_filter_word(uint64_t hash, uint32_t bits, uint64_t words)
{
    return (uint64_t)(((u128)(hash << bits) * words) >> 64);
}

/* Six of the word's 64 bits, from bits of the hash that its place hardly depends on. */
static inline uint64_t
journal_filter_bits(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) |
           UINT64_C(1) << (hash >> 12 & 63) | UINT64_C(1) << (hash >> 18 & 63) |
           UINT64_C(1) << (hash >> 24 & 63) | UINT64_C(1) << (hash >> 30 & 63);
}

/* The words of a filter for about `count` entries: three bytes an entry, or up to an eighth more,
 * so that about equally many entries have equally many words. */
uint64_t journal_filter_words(uint64_t count);

/* --- writing and checking --- */

/* Fills in magic, version and checksum, in `header` and in the block of JOURNAL_RUN_BLOCK bytes. */
void journal_run_header_encode(struct journal_run_header *header, void *block);
/* ERR_CORRUPT or ERR_VERSION, with `*ret_reason` in words. What it accepts has a sound layout. */
MUST_USE err_t journal_run_header_decode(
    const void *block, struct journal_run_header *ret_header, const char **ret_reason);
/* The checksum of all tables. */
u128 journal_run_tables_checksum(uint64_t number, const void *tables, uint64_t size);
/* The checksum of one grain of entries. */
uint64_t journal_run_grain_checksum(uint64_t number, uint64_t grain, const void *data);
/* Does the radix table ascend from 0 to `count`? */
bool journal_run_radix_is_sound(const uint32_t *radix, uint32_t radix_bits, uint64_t count);

static inline uint64_t
journal_manifest_size(uint32_t run_count)
{
    return sizeof(struct journal_manifest_header) + run_count * sizeof(struct journal_manifest_run);
}

/* Fills in magic, version and checksum. `out` has room for the header and its runs, which are in
 * place behind it. */
void journal_manifest_seal(struct journal_manifest_header *header, void *out);
/* ERR_CORRUPT or ERR_VERSION, with `*ret_reason` in words. What it accepts has whole groups, in
 * order. `*ret_runs` points into `data`, which is aligned to 16. */
MUST_USE err_t journal_manifest_decode(
    const void *data,
    uint64_t size,
    struct journal_manifest_header *ret_header,
    const struct journal_manifest_run **ret_runs,
    const char **ret_reason);

#endif
