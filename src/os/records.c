#include "os/records.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static uint32_t
get_u32(const char *record, size_t offset)
{
    uint32_t value;
    memcpy(&value, record + offset, sizeof(value));
    return value;
}

static uint32_t
checksum(const struct os_records_format *format, const char *record)
{
    char copy[OS_RECORD_SIZE_MAX];
    memcpy(copy, record, format->size);
    memset(copy + format->checksum_at, 0, sizeof(uint32_t));
    return (uint32_t)hash_keyed(format->key, span_of(copy, format->size));
}

static uint64_t
file_end(const struct os_records *records)
{
    return (uint64_t)records->count * records->format->size;
}

static bool
is_next(const struct os_records *records, const char *record)
{
    const struct os_records_format *format = records->format;
    return get_u32(record, format->number_at) == records->count + 1 &&
           get_u32(record, format->checksum_at) == checksum(format, record);
}

static err_t
read_all(struct os_records *records, os_records_each each, void *context)
{
    struct os_disk *disk = records->disk;
    size_t record_size = records->format->size;
    uint64_t file_size;
    TRY(disk->ops->size(disk, records->file, &file_size));
    while (file_end(records) + record_size <= file_size) {
        /* What `each` is given is a struct of the caller's. */
        _Alignas(max_align_t) char record[OS_RECORD_SIZE_MAX];
        TRY(disk->ops->read(disk, records->file, record, record_size, file_end(records)));
        if (!is_next(records, record)) {
            break;
        }
        TRY(each(context, record));
        records->count++;
    }
    return ERR_OK;
}

static void
check_format(const struct os_records_format *format)
{
    ASSERT(format->size <= OS_RECORD_SIZE_MAX);
    ASSERT(format->number_at + sizeof(uint32_t) <= format->size);
    ASSERT(format->checksum_at + sizeof(uint32_t) <= format->size);
}

err_t
os_records_open(
    struct os_records *records,
    const struct os_records_format *format,
    struct os_disk *disk,
    const char *folder,
    os_records_each each,
    void *context)
{
    char path[OS_PATH_SIZE];
    check_format(format);
    *records = (struct os_records){.format = format, .disk = disk};
    if (folder == NULL) {
        return ERR_OK;
    }
    int size = snprintf(path, sizeof(path), "%s/%s", folder, format->name);
    if (size < 0 || (size_t)size >= sizeof(path)) {
        return ERR_RANGE;
    }
    TRY(disk->ops->make_folder(disk, folder));
    err_t error = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &records->file, NULL);
    if (error == ERR_NOT_FOUND) {
        error = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &records->file, NULL);
    }
    TRY(error);
    return read_all(records, each, context);
}

err_t
os_records_add(struct os_records *records, void *record)
{
    const struct os_records_format *format = records->format;
    struct os_disk *disk = records->disk;
    uint32_t number = records->count + 1;
    memcpy((char *)record + format->number_at, &number, sizeof(number));
    uint32_t sum = checksum(format, record);
    memcpy((char *)record + format->checksum_at, &sum, sizeof(sum));
    if (records->file != NULL) {
        TRY(disk->ops->write(disk, records->file, record, format->size, file_end(records)));
    }
    records->count = number;
    return ERR_OK;
}

void
os_records_close(struct os_records *records)
{
    if (records->file != NULL) {
        records->disk->ops->close(records->disk, records->file);
        records->file = NULL;
    }
}
