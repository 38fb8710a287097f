#include "snapshot_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that are written between two syncs: a journal's sync on the same disk waits for no more. */
#define SNAPSHOT_SYNC_BYTES (UINT64_C(8) << 20)

static bool
folder_path(const char *folder, char out[JOURNAL_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_PATH_SIZE, "%s/snapshot", folder);
    return length > 0 && length < JOURNAL_PATH_SIZE;
}

bool
snapshot_path(const char *folder, uint64_t number, char out[JOURNAL_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_PATH_SIZE, "%s/snapshot/%08" PRIu64 ".snap", folder, number);
    return length > 0 && length < JOURNAL_PATH_SIZE;
}

static bool
temporary_path(const char *folder, char out[JOURNAL_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_PATH_SIZE, "%s/snapshot/new.tmp", folder);
    return length > 0 && length < JOURNAL_PATH_SIZE;
}

/* --- what is there --- */

static void
list_note(void *context, const char *name)
{
    struct snapshot_list *list = context;
    struct span text = span_from_cstr(name);
    uint64_t number = 0;
    if (text.size != 13 || !span_ends_with(text, SPAN(".snap")) ||
        !span_parse_u64(span_slice(text, 0, 8), &number) || number == 0) {
        return;
    }
    /* Names come in rising order: the newest goes first, and pushes the oldest out. */
    uint32_t kept = list->count < SNAPSHOT_LIST_MAX ? list->count : SNAPSHOT_LIST_MAX - 1;
    memmove(&list->numbers[1], &list->numbers[0], kept * sizeof(list->numbers[0]));
    list->numbers[0] = number;
    list->count = kept + 1;
}

err_t
snapshot_list_read(struct os_disk *disk, const char *folder, struct snapshot_list *ret_list)
{
    char path[JOURNAL_PATH_SIZE];
    struct snapshot_list list = {.count = 0};
    if (!folder_path(folder, path)) {
        return ERR_RANGE;
    }
    err_t code = disk->ops->list(disk, path, list_note, &list);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        return code;
    }
    *ret_list = list;
    return ERR_OK;
}

/* --- reading --- */

struct reader {
    struct os_disk *disk;
    struct os_file *file;
    char path[JOURNAL_PATH_SIZE];
    struct snapshot_visitor *visitor;
    struct store_error *error;
    char *data; /* SNAPSHOT_BLOCK_MAX */
    uint64_t offset;
    struct snapshot_header header;
    struct snapshot_digest *digest;
    uint64_t counts[SNAPSHOT_KINDS];
    uint32_t kind;
};

static err_t
refuse(const struct reader *reader, err_t code, const char *reason)
{
    return store_error_set(
        reader->error,
        code,
        "%s: offset %" PRIu64 ": %s",
        reader->path,
        reader->offset,
        reason == NULL ? err_text(code) : reason);
}

static err_t
record_tell(struct reader *reader, enum snapshot_kind kind, const char *record)
{
    struct snapshot_visitor *visitor = reader->visitor;
    switch (kind) {
    case SNAPSHOT_ACCOUNTS: {
        struct snapshot_account account;
        memcpy(&account, record, sizeof(account));
        return visitor->account(visitor->context, &account);
    }
    case SNAPSHOT_PENDINGS: {
        struct ledger_transfer pending;
        memcpy(&pending, record, sizeof(pending));
        return visitor->pending(visitor->context, &pending);
    }
    case SNAPSHOT_STRETCHES: {
        struct journal_stretch stretch;
        memcpy(&stretch, record, sizeof(stretch));
        return visitor->stretch(visitor->context, &stretch);
    }
    case SNAPSHOT_PLACED: {
        struct snapshot_placed placed;
        memcpy(&placed, record, sizeof(placed));
        return visitor->placed(visitor->context, &placed);
    }
    case SNAPSHOT_ADOPTED: {
        struct journal_adopted_entry adopted;
        memcpy(&adopted, record, sizeof(adopted));
        return visitor->adopted(visitor->context, &adopted);
    }
    case SNAPSHOT_KINDS:
        break;
    }
    UNREACHABLE();
}

static err_t
block_tell(struct reader *reader, const struct snapshot_block *block)
{
    enum snapshot_kind kind = (enum snapshot_kind)block->kind;
    if (block->kind < reader->kind) {
        return refuse(reader, ERR_CORRUPT, "block out of order");
    }
    reader->kind = block->kind;
    reader->counts[kind] += block->count;
    if (reader->counts[kind] > reader->header.counts[kind]) {
        return refuse(reader, ERR_CORRUPT, "more records than the header says");
    }
    for (uint32_t i = 0; i < block->count; i++) {
        const char *record = reader->data + sizeof(*block) + (size_t)i * snapshot_record_size(kind);
        reader->visitor->reason = "impossible record";
        err_t code = record_tell(reader, kind, record);
        if (code != ERR_OK) {
            return refuse(reader, code, reader->visitor->reason);
        }
    }
    return ERR_OK;
}

static err_t
blocks_read(struct reader *reader)
{
    reader->offset = JOURNAL_BLOCK;
    for (uint64_t number = 0; number < reader->header.block_count; number++) {
        uint64_t left = reader->header.file_size - reader->offset;
        uint64_t size = left < SNAPSHOT_BLOCK_MAX ? left : SNAPSHOT_BLOCK_MAX;
        err_t code =
            reader->disk->ops->read(reader->disk, reader->file, reader->data, size, reader->offset);
        const char *reason = NULL;
        struct snapshot_block block;
        if (code == ERR_OK) {
            code = snapshot_block_peek(reader->data, size, &block, &reason);
        }
        if (code == ERR_OK) {
            code = snapshot_block_verify(reader->data, &block, number, &reason);
        }
        if (code != ERR_OK) {
            return refuse(reader, code, reason);
        }
        TRY(block_tell(reader, &block));
        snapshot_digest_add(reader->digest, block.checksum);
        reader->offset += block.size;
    }
    if (reader->offset != reader->header.file_size ||
        memcmp(reader->counts, reader->header.counts, sizeof(reader->counts)) != 0 ||
        snapshot_digest_end(reader->digest) != reader->header.digest) {
        return refuse(reader, ERR_CORRUPT, "the blocks are not those of the header");
    }
    return ERR_OK;
}

static err_t
header_read(struct reader *reader, uint64_t number)
{
    uint64_t size = 0;
    const char *reason = NULL;
    err_t code = reader->disk->ops->size(reader->disk, reader->file, &size);
    if (code == ERR_OK) {
        code = reader->disk->ops->read(reader->disk, reader->file, reader->data, JOURNAL_BLOCK, 0);
    }
    if (code == ERR_OK) {
        code = snapshot_header_decode(reader->data, &reader->header, &reason);
    }
    if (code != ERR_OK) {
        return refuse(reader, code, reason);
    }
    if (reader->header.number != number || reader->header.file_size != size) {
        return refuse(reader, ERR_CORRUPT, "wrong number or file size");
    }
    code = reader->visitor->header(reader->visitor->context, &reader->header);
    return code == ERR_OK ? ERR_OK : refuse(reader, code, reader->visitor->reason);
}

err_t
snapshot_read(
    struct os_disk *disk,
    const char *folder,
    uint64_t number,
    struct snapshot_visitor *visitor,
    struct store_error *error)
{
    struct reader reader = {.disk = disk, .visitor = visitor, .error = error};
    visitor->reason = NULL;
    if (!snapshot_path(folder, number, reader.path)) {
        return store_error_set(error, ERR_RANGE, "%s: the path is too long", folder);
    }
    reader.data = aligned_alloc(JOURNAL_BLOCK, SNAPSHOT_BLOCK_MAX);
    err_t code = reader.data == NULL ? ERR_MEMORY : snapshot_digest_create(number, &reader.digest);
    if (code == ERR_OK) {
        code = disk->ops->open(disk, reader.path, OS_OPEN_READ, false, &reader.file, NULL);
    }
    if (code != ERR_OK) {
        (void)refuse(&reader, code, NULL);
    } else {
        code = header_read(&reader, number);
    }
    if (code == ERR_OK) {
        code = blocks_read(&reader);
    }
    if (reader.file != NULL) {
        disk->ops->close(disk, reader.file);
    }
    snapshot_digest_destroy(&reader.digest);
    free(reader.data);
    return code;
}

/* --- writing --- */

/* On the way out after an error: gives the space back. If that fails the next attempt removes the
 * file first. */
static err_t
give_up(struct snapshot_file *file, err_t code, const char *what, struct store_error *error)
{
    char path[JOURNAL_PATH_SIZE];
    snapshot_file_release(file);
    if (temporary_path(file->folder, path)) {
        err_t ignored = file->disk->ops->remove(file->disk, path);
        (void)ignored;
    }
    return store_error_set(
        error,
        code,
        "%s/snapshot/%08" PRIu64 ".snap: %s: %s",
        file->folder,
        file->number,
        what,
        err_text(code));
}

static err_t
file_begin(struct snapshot_file *file)
{
    struct os_disk *disk = file->disk;
    char path[JOURNAL_PATH_SIZE];
    if (!folder_path(file->folder, path)) {
        return ERR_RANGE;
    }
    TRY(disk->ops->make_folder(disk, path));
    TRY(disk->ops->sync_folder(disk, file->folder));
    if (!temporary_path(file->folder, path)) {
        return ERR_RANGE;
    }
    err_t code = disk->ops->remove(disk, path);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        return code;
    }
    TRY(snapshot_digest_create(file->number, &file->digest));
    file->offset = JOURNAL_BLOCK;
    file->synced = 0;
    file->block_count = 0;
    return disk->ops->open(disk, path, OS_OPEN_CREATE, true, &file->file, NULL);
}

static err_t
block_write(struct snapshot_file *file, void *block)
{
    struct snapshot_block header;
    const char *reason = NULL;
    memcpy(&header, block, sizeof(header));
    ASSERT(header.number == file->block_count);
    ASSERT(snapshot_block_verify(block, &header, file->block_count, &reason) == ERR_OK);
    TRY(file->disk->ops->write(file->disk, file->file, block, header.size, file->offset));
    file->offset += header.size;
    file->block_count++;
    snapshot_digest_add(file->digest, header.checksum);
    if (file->offset - file->synced >= SNAPSHOT_SYNC_BYTES) {
        file->synced = file->offset;
        TRY(file->disk->ops->sync(file->disk, file->file));
    }
    return ERR_OK;
}

err_t
snapshot_file_append(struct snapshot_file *file, void *block, struct store_error *error)
{
    err_t code = file->file == NULL ? file_begin(file) : ERR_OK;
    if (code != ERR_OK) {
        return give_up(file, code, "beginning it", error);
    }
    code = block_write(file, block);
    return code == ERR_OK ? ERR_OK : give_up(file, code, "writing it", error);
}

/* Removes all but the newest ones. What cannot be removed now is tried again with the next one. */
static void
prune(struct snapshot_file *file)
{
    struct snapshot_list list;
    if (snapshot_list_read(file->disk, file->folder, &list) != ERR_OK) {
        return;
    }
    for (uint32_t i = SNAPSHOT_KEPT; i < list.count; i++) {
        char path[JOURNAL_PATH_SIZE];
        if (snapshot_path(file->folder, list.numbers[i], path)) {
            err_t ignored = file->disk->ops->remove(file->disk, path);
            (void)ignored;
        }
    }
}

static err_t
file_publish(struct snapshot_file *file, void *block)
{
    struct os_disk *disk = file->disk;
    char from[JOURNAL_PATH_SIZE];
    char to[JOURNAL_PATH_SIZE];
    char folder[JOURNAL_PATH_SIZE];
    if (!temporary_path(file->folder, from) || !snapshot_path(file->folder, file->number, to) ||
        !folder_path(file->folder, folder)) {
        return ERR_RANGE;
    }
    TRY(disk->ops->write(disk, file->file, block, JOURNAL_BLOCK, 0));
    TRY(disk->ops->sync(disk, file->file));
    TRY(disk->ops->rename(disk, from, to));
    return disk->ops->sync_folder(disk, folder);
}

err_t
snapshot_file_finish(
    struct snapshot_file *file,
    struct snapshot_header *header,
    void *block,
    struct store_error *error)
{
    ASSERT(file->file != NULL);
    ASSERT(header->number == file->number);
    header->block_count = file->block_count;
    header->file_size = file->offset;
    header->digest = snapshot_digest_end(file->digest);
    snapshot_header_encode(header, block);
    err_t code = file_publish(file, block);
    if (code != ERR_OK) {
        return give_up(file, code, "completing it", error);
    }
    snapshot_file_release(file);
    prune(file);
    return ERR_OK;
}

void
snapshot_file_release(struct snapshot_file *file)
{
    if (file->file != NULL) {
        file->disk->ops->close(file->disk, file->file);
        file->file = NULL;
    }
    snapshot_digest_destroy(&file->digest);
}
