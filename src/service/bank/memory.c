#include "memory.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct bank_record) == 64, "record of the bank's file");

static const struct os_records_format format = {
    .name = "bank.log",
    .key = {0x62616e6b206f6620, 0x7468652074657374},
    .size = sizeof(struct bank_record),
    .number_at = offsetof(struct bank_record, number),
    .checksum_at = offsetof(struct bank_record, checksum),
};
static_assert(offsetof(struct bank_record, number) == 40, "as files have it");
static_assert(offsetof(struct bank_record, checksum) == 56, "as files have it");

const struct bank_record *
bank_memory_find(const struct bank_memory *memory, u128 id)
{
    struct map_link *link = map_find(&memory->map, hash_u128(id));
    for (; link != NULL; link = map_next(link)) {
        const struct bank_entry *entry = CONTAINER_OF(link, struct bank_entry, link);
        if (entry->record.id == id) {
            return &entry->record;
        }
    }
    return NULL;
}

static err_t
remember(void *context, const void *added)
{
    struct bank_memory *memory = context;
    const struct bank_record *record = added;
    struct bank_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return ERR_MEMORY;
    }
    entry->record = *record;
    err_t error = map_insert(&memory->map, hash_u128(record->id), &entry->link);
    if (error != ERR_OK) {
        free(entry);
    }
    return error;
}

err_t
bank_memory_add(struct bank_memory *memory, struct bank_record *record)
{
    ASSERT(bank_memory_find(memory, record->id) == NULL);
    TRY(os_records_add(&memory->records, record));
    return remember(memory, record);
}

err_t
bank_memory_open(struct bank_memory *memory, struct os_disk *disk, const char *folder)
{
    memset(memory, 0, sizeof(*memory));
    map_init(&memory->map, BANK_PAYMENTS_MAX);
    return os_records_open(&memory->records, &format, disk, folder, remember, memory);
}

static void
free_entry(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct bank_entry, link));
}

void
bank_memory_close(struct bank_memory *memory)
{
    os_records_close(&memory->records);
    map_each(&memory->map, free_entry, NULL);
    map_release(&memory->map);
}
