/*
 * The bytes of a snapshot: the core's state and the store's tables at a position of the journal,
 * so that a start reads only what comes behind it. docs/internals/journal.md has the same as
 * tables.
 *
 *   file    one 4 KiB header, then blocks, numbered from 0
 *   block   a 48-byte header, records of one kind, zeros up to a multiple of 4 KiB
 *
 * The copy is fuzzy: it was made while the journal went from `begin` to `end`, and each record is
 * as it was at some moment in between. What the journal holds between the two makes it whole.
 *
 * SNAPSHOT-1  Every byte of a file is under a checksum, or is zero and checked to be.
 * SNAPSHOT-2  The header's digest is over the checksums of all blocks in their order: no block can
 *             be missing, doubled or another file's.
 */
#ifndef STORE_SNAPSHOT_FORMAT_H
#define STORE_SNAPSHOT_FORMAT_H

#include "journal_adopted.h"
#include "journal_directory.h"
#include "journal_format.h"

/* Version 1 has the first three kinds only, and each account is newer than the one before it. It is
 * written as long as that holds, so that an older program can read it. */
#define SNAPSHOT_VERSION         1u
#define SNAPSHOT_VERSION_ADOPTED 2u
#define SNAPSHOT_KINDS_PLAIN     3
#define SNAPSHOT_MAGIC           UINT64_C(0x50414e534c454154) /* "TAELSNAP" */
#define SNAPSHOT_BLOCK_MAGIC     UINT64_C(0x4b4c42534c454154) /* "TAELSBLK" */
/* The largest block, with its header. */
#define SNAPSHOT_BLOCK_MAX (UINT32_C(1) << 20)

enum snapshot_kind {
    SNAPSHOT_ACCOUNTS = 0,  /* struct snapshot_account, by slot */
    SNAPSHOT_PENDINGS = 1,  /* struct ledger_transfer, live, in any order */
    SNAPSHOT_STRETCHES = 2, /* struct journal_stretch, by position */
    SNAPSHOT_PLACED = 3,    /* struct snapshot_placed, live, in any order */
    SNAPSHOT_ADOPTED = 4,   /* struct journal_adopted_entry, by time */
    SNAPSHOT_KINDS = 5,
};

struct snapshot_account {
    struct ledger_account account;
    journal_position_t head; /* the account's newest event, or 0 */
    uint64_t zero;
};

/* A live pending transfer that was adopted and is booked on other accounts than it names. */
struct snapshot_placed {
    struct ledger_transfer transfer;
    uint32_t debit_slot;
    uint32_t credit_slot;
    uint64_t zero;
};

/* A place between two frames. */
struct snapshot_mark {
    u128 chain;                  /* checksum of the frame before it */
    journal_position_t position; /* where the next frame begins, or the one before it ends */
    uint64_t sequence;           /* of the frame before it */
};

struct snapshot_header {
    u128 checksum; /* XXH3-128 of the rest of the header's block, seed: number */
    uint64_t magic;
    uint32_t version; /* of a header to be written: SNAPSHOT_VERSION_ADOPTED if it must be */
    uint32_t header_size;
    u128 identity;               /* the journal's */
    struct snapshot_mark begin;  /* `position` is that of the frame behind the mark */
    struct snapshot_mark end;    /* `position` is the end of the frame before the mark */
    u128 digest;                 /* XXH3-128 of the blocks' checksums, seed: number */
    uint64_t number;             /* from 1, the file's name */
    uint64_t created_ns;         /* wall clock, for people; 0: not known */
    uint64_t clock;              /* the ledger's, at `begin` */
    uint64_t transfer_timestamp; /* of the newest transfer at `begin`, 0 for none */
    uint64_t file_size;
    uint64_t block_count;
    uint64_t counts[SNAPSHOT_KINDS]; /* records of each kind; version 1: of the plain ones */
    uint64_t stretch_length; /* the directory's, bytes; version 1: right behind the counts */
};

struct snapshot_block {
    u128 checksum; /* XXH3-128 of the rest of the block, seed: number */
    uint64_t magic;
    uint64_t number; /* of the block, from 0 */
    uint32_t kind;   /* enum snapshot_kind; never falls from block to block */
    uint32_t count;  /* records, at least 1 */
    uint64_t size;   /* bytes with header and padding; a multiple of JOURNAL_BLOCK */
};

static_assert(sizeof(struct snapshot_account) == 144, "snapshot account");
static_assert(sizeof(struct snapshot_placed) == 144, "snapshot placed");
static_assert(sizeof(struct journal_adopted_entry) == 16, "adopted entry");
static_assert(sizeof(struct snapshot_mark) == 32, "snapshot mark");
static_assert(sizeof(struct snapshot_header) == 224, "snapshot header");
static_assert(sizeof(struct snapshot_block) == 48, "snapshot block");
static_assert(sizeof(struct journal_stretch) == 48, "stretch");

/* Bytes of one record of the kind. */
uint32_t snapshot_record_size(enum snapshot_kind kind);
/* Records of the kind that a block holds at most. */
uint32_t snapshot_records_max(enum snapshot_kind kind);

/* Completes a block whose records are in place behind the header: padding, size, checksum.
 * `block->number`, `kind` and `count` are the caller's. */
void snapshot_block_seal(struct snapshot_block *block, void *data);
/* Reads the header at `data`, of which `size` bytes are there. ERR_CORRUPT if it cannot be one, or
 * is longer than `size`. Says nothing of the checksum. */
MUST_USE err_t snapshot_block_peek(
    const void *data, uint64_t size, struct snapshot_block *ret_block, const char **ret_reason);
/* Checks checksum, number and padding of a block whose `block->size` bytes are all there. */
MUST_USE err_t snapshot_block_verify(
    const void *data, const struct snapshot_block *block, uint64_t number, const char **ret_reason);

/* Fills in the checksum. `block` has JOURNAL_BLOCK bytes. */
void snapshot_header_encode(const struct snapshot_header *header, void *block);
/* ERR_CORRUPT or ERR_VERSION, with `*ret_reason` in words. */
MUST_USE err_t snapshot_header_decode(
    const void *block, struct snapshot_header *ret_header, const char **ret_reason);

/* The digest over block checksums, fed one by one. */
struct snapshot_digest;
MUST_USE err_t snapshot_digest_create(uint64_t number, struct snapshot_digest **ret_digest);
void snapshot_digest_destroy(struct snapshot_digest **digest);
void snapshot_digest_add(struct snapshot_digest *digest, u128 checksum);
u128 snapshot_digest_end(const struct snapshot_digest *digest);

#endif
