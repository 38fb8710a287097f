#include "memory.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct bank_record) == 64, "record of the bank's file");

#define PATH_SIZE 4096

static uint32_t
checksum(const struct bank_record *record)
{
    static const struct hash_key key = {0x62616e6b206f6620, 0x7468652074657374};
    struct bank_record copy = *record;
    copy.checksum = 0;
    return (uint32_t)hash_keyed(key, span_of(&copy, sizeof(copy)));
}

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
remember(struct bank_memory *memory, const struct bank_record *record)
{
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
    record->number = memory->record_count + 1;
    record->checksum = checksum(record);
    if (memory->file != NULL) {
        TRY(memory->disk->ops->write(
            memory->disk, memory->file, record, sizeof(*record), memory->file_size));
        memory->file_size += sizeof(*record);
    }
    memory->record_count++;
    return remember(memory, record);
}

static err_t
read_all(struct bank_memory *memory)
{
    uint64_t size;
    TRY(memory->disk->ops->size(memory->disk, memory->file, &size));
    while (memory->file_size + sizeof(struct bank_record) <= size) {
        struct bank_record record;
        TRY(memory->disk->ops->read(
            memory->disk, memory->file, &record, sizeof(record), memory->file_size));
        if (record.number != memory->record_count + 1 || record.checksum != checksum(&record)) {
            break; /* the torn end: overwritten by the next */
        }
        TRY(remember(memory, &record));
        memory->record_count++;
        memory->file_size += sizeof(record);
    }
    return ERR_OK;
}

err_t
bank_memory_open(struct bank_memory *memory, struct os_disk *disk, const char *folder)
{
    memset(memory, 0, sizeof(*memory));
    map_init(&memory->map, BANK_PAYMENTS_MAX);
    memory->disk = disk;
    if (folder == NULL) {
        return ERR_OK;
    }
    char path[PATH_SIZE];
    struct buf name;
    buf_init_fixed(&name, path, sizeof(path));
    buf_append_format(&name, "%s/bank.log", folder);
    buf_append_byte(&name, '\0');
    if (buf_failed(&name)) {
        return ERR_RANGE;
    }
    TRY(disk->ops->make_folder(disk, folder));
    bool direct;
    err_t error = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &memory->file, &direct);
    if (error == ERR_NOT_FOUND) {
        error = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &memory->file, &direct);
    }
    TRY(error);
    return read_all(memory);
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
    if (memory->file != NULL) {
        memory->disk->ops->close(memory->disk, memory->file);
        memory->file = NULL;
    }
    map_each(&memory->map, free_entry, NULL);
    map_release(&memory->map);
}
