/*
 * What the simulated bank remembers: one fixed record for each payment, in memory and appended to
 * a file. A record is written before the payment is answered, but not synced: the simulation
 * survives kill -9 of the process, not a power cut.
 */
#ifndef BANK_MEMORY_H
#define BANK_MEMORY_H

#include "base/map.h"
#include "base/u128.h"
#include "os/records.h"

#define BANK_PAYMENTS_MAX (1u << 24)

struct bank_record {
    u128 id;
    int64_t amount; /* minor units */
    uint64_t at_ms; /* unix; when it was accepted */
    uint64_t scope;
    uint32_t number; /* of the record in the file, from 1: a torn record has none */
    uint16_t currency;
    uint8_t account; /* row of the test accounts */
    uint8_t reserved[9];
    uint32_t checksum;
    uint32_t reserved_too;
};

struct bank_entry {
    struct map_link link;
    struct bank_record record;
};

struct bank_memory {
    struct map map;
    struct os_records records;
};

/* `folder` may be NULL. */
MUST_USE err_t
bank_memory_open(struct bank_memory *memory, struct os_disk *disk, const char *folder);
void bank_memory_close(struct bank_memory *memory);
/* NULL if there was no such payment. */
const struct bank_record *bank_memory_find(const struct bank_memory *memory, u128 id);
/* Appends; the record's number and checksum are filled in. */
MUST_USE err_t bank_memory_add(struct bank_memory *memory, struct bank_record *record);

#endif
