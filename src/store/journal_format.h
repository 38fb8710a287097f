/*
 * The journal's bytes: what a segment, a frame, a section and an event look like, and the pure
 * functions that write and check them. docs/internals/journal.md has the same as tables.
 *
 *   segment  one 4 KiB header, then frames, then zeros up to the segment's size
 *   frame    one group commit: a 192-byte header, sections, zeros up to a multiple of 4 KiB
 *   section  one delta: a 48-byte header, accounts, events, ids of transient failures
 *
 * JOURNAL-1  Every byte of a frame is under its checksum, which is seeded with its sequence.
 * JOURNAL-2  Every byte of a segment that is in no frame is under the header's checksum, or zero.
 * JOURNAL-3  A frame carries the digest of the frame before it, so whoever knows the digest of one
 *            frame knows that nothing before it was exchanged.
 *
 * The digest of a frame is the SHA-256 of its header, which has the SHA-256 of its body: so headers
 * alone prove that a frame is part of a history. Frames of version 1 carry none; there the digest
 * after a frame is the SHA-256 of the bytes of all frames up to and with it, one after the other.
 */
#ifndef STORE_JOURNAL_FORMAT_H
#define STORE_JOURNAL_FORMAT_H

#include "ledger/ledger.h"

#define JOURNAL_BLOCK   4096u
#define JOURNAL_VERSION 2u
/* Segments of this version are read, and never written to. */
#define JOURNAL_VERSION_FIRST 1u
#define JOURNAL_DIGEST_SIZE   32u
#define JOURNAL_SEGMENT_MAGIC UINT64_C(0x4c4e524a4c454154) /* "TAELJRNL" */
#define JOURNAL_FRAME_MAGIC   UINT64_C(0x324d52464c454154) /* "TAELFRM2" */
#define JOURNAL_FRAME_MAGIC_1 UINT64_C(0x4d4152464c454154) /* "TAELFRAM" */
#define JOURNAL_SEGMENT_MIN   UINT64_C(65536)
#define JOURNAL_SEGMENT_MAX   UINT64_C(0x100000000)
/* The largest frame; a segment smaller than this holds smaller ones. */
#define JOURNAL_FRAME_MAX (UINT32_C(16) << 20)

/* Where something is: the segment's number in the high half, the offset in it in the low half.
 * Never 0, because a segment begins with its header; 0 stands for "none". */
typedef uint64_t journal_position_t;

static inline journal_position_t
journal_position(uint64_t segment, uint64_t offset)
{
    ASSERT(segment <= UINT32_MAX);
    ASSERT(offset <= UINT32_MAX);
    return segment << 32 | offset;
}

static inline uint64_t
journal_position_segment(journal_position_t position)
{
    return position >> 32;
}

static inline uint64_t
journal_position_offset(journal_position_t position)
{
    return position & UINT32_MAX;
}

struct journal_segment_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    u128 identity;           /* random, the same in every segment of a ledger */
    uint64_t number;         /* from 1 */
    uint64_t segment_size;   /* bytes of the whole file */
    uint64_t first_sequence; /* of the first frame in it */
    uint64_t previous_end;   /* where the frames of the segment before it end; 0 in the first */
    u128 chain;              /* checksum of the last frame before it; 0 in the first */
    u128 checksum;           /* XXH3-128 of the whole block with this field zero, seed: number */
    uint8_t digest[JOURNAL_DIGEST_SIZE]; /* before its first frame; zero in the first segment */
};

struct journal_frame_header {
    u128 checksum;     /* XXH3-128 of all that follows up to `size`, seed: sequence */
    uint64_t magic;    /* tells the version, too */
    uint64_t sequence; /* from 1, without gaps */
    u128 identity;
    u128 previous;                            /* checksum of the frame before; 0 in the first */
    uint8_t digest[JOURNAL_DIGEST_SIZE];      /* of the frame before; zero in the first */
    uint8_t body_digest[JOURNAL_DIGEST_SIZE]; /* SHA-256 of what is behind the header, to `size` */
    uint64_t size;      /* bytes with header and padding; a multiple of JOURNAL_BLOCK */
    uint64_t body_size; /* bytes of sections behind the header; the rest is zero */
    uint64_t synced;    /* position up to which the journal was synced before this was written */
    uint64_t term;      /* counts the openings for writing; never falls */
    uint64_t clock;     /* the ledger's, after the last section */
    uint32_t section_count;
    uint32_t zero[5];
};

/* The frame header of version 1, as it is on the disk. */
struct journal_frame_header_1 {
    u128 checksum;
    uint64_t magic;
    uint64_t sequence;
    u128 identity;
    u128 previous;
    uint64_t size;
    uint64_t body_size;
    uint64_t synced;
    uint64_t term;
    uint32_t section_count;
    uint32_t zero[7];
};

enum {
    JOURNAL_SECTION_WIDE = 1, /* balances of its events take 16 bytes each instead of 8 */
};

struct journal_section_header {
    uint32_t account_count;
    uint32_t event_count;
    uint32_t failed_count;
    uint32_t flags;
    uint64_t clock;
    uint64_t size; /* bytes with this header */
    uint64_t zero[2];
};

/* The fixed part of an event; its eight balances follow: debit account's debits_pending,
 * debits_posted, credits_pending, credits_posted, then the credit account's. */
struct journal_event {
    struct ledger_transfer transfer;
    /* The accounts' previous events, a chain through history. An expiry is in no chain; its
     * debit_link holds its own timestamp, since the transfer is the pending one unchanged. */
    uint64_t debit_link;
    uint64_t credit_link;
    uint32_t debit_slot;
    uint32_t credit_slot;
    uint16_t debit_flags;
    uint16_t credit_flags;
    uint8_t kind;    /* enum ledger_event_kind */
    uint8_t wide;    /* 1 if the balances take 16 bytes each */
    uint8_t adopted; /* 1 if it happened in another ledger: its time is that one's */
    uint8_t zero;
};

static_assert(sizeof(struct journal_segment_header) == 128, "segment header");
static_assert(sizeof(struct journal_frame_header) == 192, "frame header");
static_assert(sizeof(struct journal_frame_header_1) == 128, "frame header of version 1");
static_assert(sizeof(struct journal_section_header) == 48, "section header");
static_assert(sizeof(struct journal_event) == 160, "event");

#define JOURNAL_EVENT_NARROW ((uint32_t)sizeof(struct journal_event) + 8u * 8u)
#define JOURNAL_EVENT_WIDE   ((uint32_t)sizeof(struct journal_event) + 8u * 16u)

/* --- segments --- */

/* Fills in the block's checksum. `block` has JOURNAL_BLOCK bytes. */
void journal_segment_encode(const struct journal_segment_header *header, void *block);
/* ERR_CORRUPT or ERR_VERSION, with `*ret_reason` in words. */
MUST_USE err_t journal_segment_decode(
    const void *block, struct journal_segment_header *ret_header, const char **ret_reason);

/* --- frames --- */

/* Clears the padding of a frame whose sections are in place behind room for the header. */
void journal_frame_pad(void *frame, uint64_t body_size);
/* Completes a padded frame: writes the header, checksum included. `header->size`, the digests and
 * the rest are the caller's. */
void journal_frame_seal(struct journal_frame_header *header, void *frame);
/* Reads the header alone, of any version; what version 1 lacks is zero. False if it cannot be that
 * of a frame; says nothing of the checksum. */
bool journal_frame_peek(const void *frame, struct journal_frame_header *ret_header);
/* Checks checksum and padding of a frame whose `header->size` bytes are all there. */
MUST_USE err_t journal_frame_verify(
    const void *frame, const struct journal_frame_header *header, const char **ret_reason);

static inline uint64_t
journal_frame_size(uint64_t body_size)
{
    uint64_t size = sizeof(struct journal_frame_header) + body_size;
    return (size + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
}

static inline uint32_t
journal_frame_version(const struct journal_frame_header *header)
{
    return header->magic == JOURNAL_FRAME_MAGIC_1 ? 1 : JOURNAL_VERSION;
}

/* Where the sections begin. */
static inline uint64_t
journal_frame_header_size(const struct journal_frame_header *header)
{
    return journal_frame_version(header) == 1 ? sizeof(struct journal_frame_header_1)
                                              : sizeof(struct journal_frame_header);
}

/* --- sections --- */

/* A section within a frame that is in memory. */
struct journal_section {
    struct journal_section_header header;
    const char *accounts; /* 128 bytes each */
    const char *events;   /* event_size each */
    const char *failed;   /* 16 bytes each */
    uint32_t event_size;
};

bool journal_delta_is_wide(const struct ledger_delta *delta);
/* Bytes that a delta's section takes. */
uint64_t journal_section_size(
    uint32_t account_count, uint32_t event_count, uint32_t failed_count, bool wide);
/* Writes the section's header and the parts that need no links: accounts and failed ids. Returns
 * where the parts are; events are the caller's to write with journal_event_encode. */
struct journal_section journal_section_encode(
    const struct ledger_delta *delta, bool wide, char *out);
void journal_event_encode(
    const struct ledger_event *event,
    uint64_t debit_link,
    uint64_t credit_link,
    bool wide,
    char *out);
/* `size` is what is left of the body. ERR_CORRUPT if the section does not fit it or is malformed.
 */
MUST_USE err_t journal_section_decode(
    const char *data, uint64_t size, struct journal_section *ret_section, const char **ret_reason);

/* The event at `data`, of which `size` bytes are there. ERR_CORRUPT if it cannot be one. */
MUST_USE err_t journal_event_decode(
    const char *data, uint64_t size, struct ledger_event *ret_event, struct journal_event *ret_raw);

bool journal_is_zero(const void *data, uint64_t size);

#endif
