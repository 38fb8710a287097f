#include "row_log.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC         "TAELROWS"

#define GROUP_LIMIT   (256U << 20)
#define GROUP_FIRST   4096
#define RESERVE_STEP  (8U << 20)
#define RESERVE_FIRST (1U << 20)
/* Memory of groups that is kept for the next ones. */
#define SPARE_COUNT_MAX 64
#define SPARE_SIZE_MAX  (1U << 20)

struct file_header {
    char magic[8];
    uint64_t generation;
};

struct group_header {
    uint64_t generation;
    uint64_t number;
    uint64_t size;     /* of the records */
    uint64_t checksum; /* XXH3-64 of the records, seed: generation + number + size */
};

struct record_header {
    uint32_t operation;
    uint32_t kind_size;
    uint64_t scope;
    uint32_t version;
    uint32_t id_size;
    uint32_t body_size;
    uint32_t column_count;
};

struct column_header {
    uint32_t state;
    uint32_t name_size;
    uint64_t value; /* the integer, or the text's size */
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the log is written as it lies in memory");
static_assert(sizeof(struct file_header) == 16, "no padding");
static_assert(sizeof(struct group_header) == 32, "no padding");
static_assert(sizeof(struct record_header) == 32, "no padding");
static_assert(sizeof(struct column_header) == 16, "no padding");

static uint64_t
checksum(const struct group_header *header, const void *records)
{
    uint64_t seed = header->generation + header->number + (header->size << 40);
    return XXH3_64bits_withSeed(records, header->size, seed);
}

/* -------------------------------------------------------------------------------- memory --- */

static void
group_free(struct row_group *group)
{
    buf_release(&group->bytes);
    free(group);
}

static void
group_recycle(struct row_log *log, struct row_group *group)
{
    if (log->spare_count == SPARE_COUNT_MAX || group->bytes.capacity > SPARE_SIZE_MAX) {
        group_free(group);
        return;
    }
    group->next = log->spare;
    log->spare = group;
    log->spare_count++;
}

static struct row_group *
group_new(struct row_log *log)
{
    struct row_group *group = log->spare;
    if (group != NULL) {
        log->spare = group->next;
        log->spare_count--;
        buf_clear(&group->bytes);
    } else {
        group = calloc(1, sizeof(*group));
        if (group == NULL) {
            return NULL;
        }
        buf_init(&group->bytes, GROUP_LIMIT);
    }
    group->next = NULL;
    group->unsynced = NULL;
    atomic_init(&group->synced, false);
    /* Growing copies: the next group will be about as large as the last. */
    size_t size = log->last == NULL ? 0 : log->last->bytes.size;
    size += size / 4 + GROUP_FIRST;
    if (buf_reserve(&group->bytes, size) == NULL) {
        group_free(group);
        return NULL;
    }
    buf_added(&group->bytes, sizeof(struct group_header));
    return group;
}

static void
groups_free(struct row_group *group)
{
    while (group != NULL) {
        struct row_group *next = group->next;
        group_free(group);
        group = next;
    }
}

/* ----------------------------------------------------------------------------- the file ---- */

err_t
document_row_log_open(
    struct row_log *log, struct os_disk *disk, const char *database, uint64_t *ret_generation)
{
    char path[OS_PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s-rows", database);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return ERR_RANGE;
    }
    err_t result = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &log->file, NULL);
    if (result == ERR_NOT_FOUND) {
        result = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &log->file, NULL);
    }
    TRY(result);
    log->disk = disk;
    TRY(disk->ops->size(disk, log->file, &log->reserved));
    struct file_header header = {.generation = 0};
    *ret_generation = 0;
    if (log->reserved >= sizeof(header)) {
        TRY(disk->ops->read(disk, log->file, &header, sizeof(header), 0));
        if (memcmp(header.magic, MAGIC, sizeof(header.magic)) == 0) {
            *ret_generation = header.generation;
        }
    }
    return ERR_OK;
}

void
document_row_log_close(struct row_log *log)
{
    groups_free(log->first);
    groups_free(log->spare);
    groups_free(log->open);
    if (log->file != NULL) {
        log->disk->ops->close(log->disk, log->file);
    }
    *log = (struct row_log){.file = NULL};
}

err_t
document_row_log_start(struct row_log *log, uint64_t generation)
{
    ASSERT(log->first == NULL);
    struct file_header header = {.generation = generation};
    memcpy(header.magic, MAGIC, sizeof(header.magic));
    TRY(log->disk->ops->write(log->disk, log->file, &header, sizeof(header), 0));
    TRY(log->disk->ops->sync(log->disk, log->file));
    log->generation = generation;
    document_row_log_restart(log);
    return ERR_OK;
}

void
document_row_log_restart(struct row_log *log)
{
    log->end = sizeof(struct file_header);
}

/* The file grows in steps, so that most syncs need not write down its size. */
static err_t
reserve(struct row_log *log, size_t size)
{
    uint64_t needed = log->end + size;
    if (needed <= log->reserved) {
        return ERR_OK;
    }
    uint64_t step = log->reserved < RESERVE_STEP ? RESERVE_FIRST : RESERVE_STEP;
    uint64_t wanted = needed + step;
    TRY(log->disk->ops->allocate(log->disk, log->file, wanted));
    log->reserved = wanted;
    return ERR_OK;
}

/* ------------------------------------------------------------------------------- writing --- */

static void
column_add(struct buf *bytes, const struct row_column *column)
{
    bool text = column->state == ROW_COLUMN_TEXT;
    struct column_header header = {
        .state = column->state,
        .name_size = (uint32_t)column->name.size,
        .value = text ? column->text.size : (uint64_t)column->integer,
    };
    buf_append(bytes, &header, sizeof(header));
    buf_append_span(bytes, column->name);
    if (text) {
        buf_append_span(bytes, column->text);
    }
}

err_t
document_row_log_add(struct row_log *log, const struct row_record *record)
{
    if (log->open == NULL) {
        log->open = group_new(log);
        if (log->open == NULL) {
            return ERR_MEMORY;
        }
    }
    struct buf *bytes = &log->open->bytes;
    struct record_header header = {
        .operation = record->operation,
        .kind_size = (uint32_t)record->kind.size,
        .scope = record->scope,
        .version = record->version,
        .id_size = (uint32_t)record->id.size,
        .body_size = (uint32_t)record->body.size,
        .column_count = record->column_count,
    };
    ASSERT(record->kind.size <= UINT32_MAX);
    ASSERT(record->id.size <= UINT32_MAX);
    ASSERT(record->body.size <= UINT32_MAX);
    ASSERT(record->column_count <= DOCUMENT_COLUMNS_MAX);
    buf_append(bytes, &header, sizeof(header));
    buf_append_span(bytes, record->kind);
    buf_append_span(bytes, record->id);
    buf_append_span(bytes, record->body);
    for (uint32_t i = 0; i < record->column_count; i++) {
        column_add(bytes, &record->columns[i]);
    }
    return buf_failed(bytes) ? ERR_MEMORY : ERR_OK;
}

bool
document_row_log_has_rows(const struct row_log *log)
{
    return log->open != NULL;
}

void
document_row_log_drop(struct row_log *log)
{
    if (log->open != NULL) {
        group_recycle(log, log->open);
        log->open = NULL;
    }
}

err_t
document_row_log_apply(struct row_log *log)
{
    struct row_group *group = log->open;
    ASSERT(group != NULL);
    ASSERT(!buf_failed(&group->bytes));
    TRY(reserve(log, group->bytes.size));
    struct group_header header = {
        .generation = log->generation,
        .number = log->number + 1,
        .size = group->bytes.size - sizeof(header),
    };
    header.checksum = checksum(&header, group->bytes.data + sizeof(header));
    memcpy(group->bytes.data, &header, sizeof(header));
    group->number = ++log->number;
    group->offset = log->end;
    log->end += group->bytes.size;
    log->kept_bytes += group->bytes.size;
    log->open = NULL;
    if (log->last == NULL) {
        log->first = group;
    } else {
        log->last->next = group;
    }
    log->last = group;
    group->unsynced = atomic_load_explicit(&log->unsynced, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &log->unsynced, &group->unsynced, group, memory_order_release, memory_order_relaxed)) {
    }
    return ERR_OK;
}

/* Turns newest first into oldest first. */
static struct row_group *
reversed(struct row_group *group)
{
    struct row_group *before = NULL;
    while (group != NULL) {
        struct row_group *next = group->unsynced;
        group->unsynced = before;
        before = group;
        group = next;
    }
    return before;
}

err_t
document_row_log_sync(struct row_log *log)
{
    struct row_group *groups =
        reversed(atomic_exchange_explicit(&log->unsynced, NULL, memory_order_acquire));
    if (groups == NULL) {
        return ERR_OK;
    }
    for (const struct row_group *group = groups; group != NULL; group = group->unsynced) {
        TRY(log->disk->ops->write(
            log->disk, log->file, group->bytes.data, group->bytes.size, group->offset));
    }
    TRY(log->disk->ops->sync(log->disk, log->file));
    while (groups != NULL) {
        /* The owner may free it as soon as it is told. */
        struct row_group *next = groups->unsynced;
        atomic_store_explicit(&groups->synced, true, memory_order_release);
        groups = next;
    }
    return ERR_OK;
}

void
document_row_log_release(struct row_log *log)
{
    log->kept_bytes = 0;
    log->held = log->number;
    while (log->first != NULL && atomic_load_explicit(&log->first->synced, memory_order_acquire)) {
        struct row_group *group = log->first;
        log->first = group->next;
        group_recycle(log, group);
    }
    if (log->first == NULL) {
        log->last = NULL;
    }
}

/* ------------------------------------------------------------------------------- reading --- */

static bool
take(struct span *rest, size_t size, struct span *ret_part)
{
    if (size > rest->size) {
        return false;
    }
    *ret_part = span_slice(*rest, 0, size);
    *rest = span_slice(*rest, size, rest->size);
    return true;
}

static bool
column_read(struct span *rest, struct row_column *ret_column)
{
    struct span bytes;
    struct column_header header;
    if (!take(rest, sizeof(header), &bytes)) {
        return false;
    }
    memcpy(&header, bytes.data, sizeof(header));
    *ret_column = (struct row_column){
        .state = (enum row_column_state)header.state,
        .integer = (int64_t)header.value,
    };
    return header.state <= ROW_COLUMN_UNCHANGED &&
           take(rest, header.name_size, &ret_column->name) &&
           (header.state != ROW_COLUMN_TEXT || take(rest, header.value, &ret_column->text));
}

static bool
record_read(struct span *rest, struct row_record *ret_record)
{
    struct span bytes;
    struct record_header header;
    if (!take(rest, sizeof(header), &bytes)) {
        return false;
    }
    memcpy(&header, bytes.data, sizeof(header));
    *ret_record = (struct row_record){
        .operation = (enum row_operation)header.operation,
        .scope = header.scope,
        .version = header.version,
    };
    if (header.operation < ROW_INSERT || header.operation > ROW_REMOVE ||
        header.column_count > DOCUMENT_COLUMNS_MAX ||
        !take(rest, header.kind_size, &ret_record->kind) ||
        !take(rest, header.id_size, &ret_record->id) ||
        !take(rest, header.body_size, &ret_record->body)) {
        return false;
    }
    ret_record->column_count = header.column_count;
    for (uint32_t i = 0; i < header.column_count; i++) {
        if (!column_read(rest, &ret_record->columns[i])) {
            return false;
        }
    }
    return true;
}

static err_t
records_each(struct span records, row_each each, void *context)
{
    while (records.size > 0) {
        struct row_record record;
        if (!record_read(&records, &record)) {
            return ERR_CORRUPT;
        }
        TRY(each(context, &record));
    }
    return ERR_OK;
}

err_t
document_row_log_replay(const struct row_log *log, row_each each, void *context)
{
    for (const struct row_group *group = log->first; group != NULL; group = group->next) {
        if (group->number > log->held) {
            struct span bytes = buf_span(&group->bytes);
            TRY(records_each(
                span_slice(bytes, sizeof(struct group_header), bytes.size), each, context));
        }
    }
    return ERR_OK;
}

/* ERR_NOT_FOUND: no whole group of this generation. */
static err_t
group_read(
    struct row_log *log, uint64_t generation, struct buf *bytes, struct group_header *ret_header)
{
    uint64_t size = log->reserved;
    struct group_header header;
    if (log->end + sizeof(header) > size) {
        return ERR_NOT_FOUND;
    }
    TRY(log->disk->ops->read(log->disk, log->file, &header, sizeof(header), log->end));
    if (header.generation != generation || header.size > GROUP_LIMIT ||
        header.size > size - log->end - sizeof(header)) {
        return ERR_NOT_FOUND;
    }
    buf_clear(bytes);
    char *records = buf_reserve(bytes, header.size);
    if (records == NULL) {
        return ERR_MEMORY;
    }
    TRY(log->disk->ops->read(
        log->disk, log->file, records, header.size, log->end + sizeof(header)));
    buf_added(bytes, header.size);
    *ret_header = header;
    return checksum(&header, records) == header.checksum ? ERR_OK : ERR_NOT_FOUND;
}

err_t
document_row_log_recover(
    struct row_log *log,
    uint64_t generation,
    uint64_t number,
    row_each each,
    void *context,
    uint64_t *ret_number)
{
    struct buf bytes;
    buf_init(&bytes, GROUP_LIMIT);
    document_row_log_restart(log);
    uint64_t expected = 0; /* any, for the first one: laps begin with any number */
    err_t result;
    for (;;) {
        struct group_header header;
        result = group_read(log, generation, &bytes, &header);
        if (result != ERR_OK || (expected != 0 && header.number != expected)) {
            break;
        }
        expected = header.number + 1;
        log->end += sizeof(header) + header.size;
        if (header.number <= number) {
            continue;
        }
        /* A lap begins behind what the database held then, and it holds no less now. */
        result = header.number == number + 1 ? records_each(buf_span(&bytes), each, context)
                                             : ERR_CORRUPT;
        if (result != ERR_OK) {
            break;
        }
        number = header.number;
    }
    buf_release(&bytes);
    *ret_number = number;
    return result == ERR_NOT_FOUND ? ERR_OK : result;
}
