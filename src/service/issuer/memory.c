#include "memory.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "port/rail.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct issuer_record) == 64, "record of the issuer's file");

#define PATH_SIZE 4096

static uint32_t
checksum(const struct issuer_record *record)
{
    static const struct hash_key key = {0x6973737565722031, 0x6d656d6f72792031};
    struct issuer_record copy = *record;
    copy.checksum = 0;
    return (uint32_t)hash_keyed(key, span_of(&copy, sizeof(copy)));
}

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
remember(struct issuer_memory *memory, const struct issuer_record *record)
{
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
    record->number = memory->record_count + 1;
    record->reserved = 0;
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
read_all(struct issuer_memory *memory)
{
    uint64_t size;
    TRY(memory->disk->ops->size(memory->disk, memory->file, &size));
    while (memory->file_size + sizeof(struct issuer_record) <= size) {
        struct issuer_record record;
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
issuer_memory_open(struct issuer_memory *memory, struct os_disk *disk, const char *folder)
{
    memset(memory, 0, sizeof(*memory));
    map_init(&memory->map, ISSUER_OPERATIONS_MAX);
    memory->disk = disk;
    if (folder == NULL) {
        return ERR_OK;
    }
    char path[PATH_SIZE];
    struct buf name;
    buf_init_fixed(&name, path, sizeof(path));
    buf_append_format(&name, "%s/issuer.log", folder);
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
    free(CONTAINER_OF(link, struct issuer_memory_entry, link));
}

void
issuer_memory_close(struct issuer_memory *memory)
{
    if (memory->file != NULL) {
        memory->disk->ops->close(memory->disk, memory->file);
        memory->file = NULL;
    }
    map_each(&memory->map, free_entry, NULL);
    map_release(&memory->map);
}
