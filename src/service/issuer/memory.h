/*
 * What the simulated network remembers: one fixed record for each operation, in memory and
 * appended to a file. A record is written before the operation is answered, but not synced: the
 * simulation survives kill -9 of the process, not a power cut, and says so.
 */
#ifndef ISSUER_MEMORY_H
#define ISSUER_MEMORY_H

#include "base/buf.h"
#include "base/map.h"
#include "base/u128.h"
#include "os/records.h"

#define ISSUER_OPERATIONS_MAX (1u << 26)

struct issuer_record {
    u128 id;
    u128 original_id; /* INCREMENT, CAPTURE, VOID, REFUND; AUTHORIZE: the challenge that was passed
                       */
    int64_t amount;
    uint64_t at_ms;  /* unix; when it was done */
    uint32_t number; /* of the record in the file, from 1: a torn record has none */
    uint8_t operation;
    uint8_t outcome;
    uint8_t card;  /* row of the test cards */
    uint8_t flags; /* ISSUER_RECORD_* */
    uint32_t checksum;
    uint32_t reserved;
};

enum {
    ISSUER_RECORD_CAPTURES = 1, /* an authorization that captures at once */
    ISSUER_RECORD_CVC = 2,
    ISSUER_RECORD_POSTAL_CODE = 4,
    ISSUER_RECORD_LINE1 = 8,
    ISSUER_RECORD_WANTS_PROOF = 16,
    ISSUER_RECORD_AUTHENTICATED = 32,   /* behind a challenge that was passed */
    ISSUER_RECORD_SETS_UP = 64,         /* the cardholder agrees to later charges off session */
    ISSUER_RECORD_UNAUTHENTICATED = 128 /* declined, because nobody could be challenged */
};

struct issuer_memory_entry {
    struct map_link link;
    struct issuer_record record;
    /* Of an authorization: what has become of it. */
    int64_t authorized; /* with what was added */
    int64_t captured;
    int64_t refunded;
    int64_t disputed;   /* taken back by disputes, ever (disputes.h) */
    int64_t reinstated; /* of that, given again */
    bool voided;
};

struct issuer_memory {
    struct map map;
    struct os_records records;
};

/* `folder` may be NULL. */
MUST_USE err_t
issuer_memory_open(struct issuer_memory *memory, struct os_disk *disk, const char *folder);
void issuer_memory_close(struct issuer_memory *memory);
/* NULL if there was no such operation. */
struct issuer_memory_entry *issuer_memory_find(struct issuer_memory *memory, u128 id);
/* Appends and applies; the record's number and checksum are filled in. */
MUST_USE err_t issuer_memory_add(struct issuer_memory *memory, struct issuer_record *record);

#endif
