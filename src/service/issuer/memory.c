#include "memory.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "port/rail.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct issuer_record) == 64, "record of the issuer's file");

static const struct os_records_format format = {
    .name = "issuer.log",
    .key = {0x6973737565722031, 0x6d656d6f72792031},
    .size = sizeof(struct issuer_record),
    .number_at = offsetof(struct issuer_record, number),
    .checksum_at = offsetof(struct issuer_record, checksum),
};
static_assert(offsetof(struct issuer_record, number) == 48, "as files have it");
static_assert(offsetof(struct issuer_record, checksum) == 56, "as files have it");

struct issuer_memory_entry *
issuer_memory_find(struct issuer_memory *memory, u128 id)
{
    struct map_link *link = map_find(&memory->map, hash_u128(id));
    for (; link != NULL; link = map_next(link)) {
        struct issuer_memory_entry *entry = CONTAINER_OF(link, struct issuer_memory_entry, link);
        if (entry->record.id == id) {
            return entry;
        }
    }
    return NULL;
}

/* What an approved operation does to its authorization. */
static void
apply(struct issuer_memory *memory, const struct issuer_record *record)
{
    if (record->operation == PORT_RAIL_AUTHORIZE || record->outcome == PORT_RAIL_DECLINED) {
        return;
    }
    struct issuer_memory_entry *original = issuer_memory_find(memory, record->original_id);
    if (original == NULL) {
        return;
    }
    if (record->operation == PORT_RAIL_INCREMENT) {
        original->authorized += record->amount;
    } else if (record->operation == PORT_RAIL_CAPTURE) {
        original->captured = record->amount;
    } else if (record->operation == PORT_RAIL_REFUND) {
        original->refunded += record->amount;
    } else if (record->operation == PORT_RAIL_VOID) {
        original->voided = true;
        original->captured = 0;
    }
}

static err_t
remember(void *context, const void *added)
{
    struct issuer_memory *memory = context;
    const struct issuer_record *record = added;
    struct issuer_memory_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return ERR_MEMORY;
    }
    entry->record = *record;
    if (record->operation == PORT_RAIL_AUTHORIZE && record->outcome == PORT_RAIL_APPROVED) {
        entry->authorized = record->amount;
    }
    if ((record->flags & ISSUER_RECORD_CAPTURES) != 0 && record->outcome == PORT_RAIL_APPROVED) {
        entry->captured = record->amount;
    }
    err_t error = map_insert(&memory->map, hash_u128(record->id), &entry->link);
    if (error != ERR_OK) {
        free(entry);
        return error;
    }
    apply(memory, record);
    return ERR_OK;
}

err_t
issuer_memory_add(struct issuer_memory *memory, struct issuer_record *record)
{
    record->reserved = 0;
    TRY(os_records_add(&memory->records, record));
    return remember(memory, record);
}

err_t
issuer_memory_open(struct issuer_memory *memory, struct os_disk *disk, const char *folder)
{
    memset(memory, 0, sizeof(*memory));
    map_init(&memory->map, ISSUER_OPERATIONS_MAX);
    return os_records_open(&memory->records, &format, disk, folder, remember, memory);
}

static void
free_entry(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct issuer_memory_entry, link));
}

void
issuer_memory_close(struct issuer_memory *memory)
{
    os_records_close(&memory->records);
    map_each(&memory->map, free_entry, NULL);
    map_release(&memory->map);
}
