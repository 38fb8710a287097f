#include "journal_run.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITER_BLOCKS 64u
#define WRITER_BUFFER (WRITER_BLOCKS * JOURNAL_RUN_BLOCK)
#define BLOCK_GRAINS  (JOURNAL_RUN_BLOCK / JOURNAL_RUN_GRAIN)
/* Read at once when an entry is looked for: mostly all that its slot of the radix table spans. */
#define FIND_GRAINS 2u

void
journal_run_path(const char *folder, uint64_t number, char out[JOURNAL_RUN_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_RUN_PATH_SIZE, "%s/%08" PRIu64 ".run", folder, number);
    ASSERT(length > 0);
    ASSERT(length < JOURNAL_RUN_PATH_SIZE);
}

/* --- reading --- */

/* Where the tables lie within the one allocation. */
static void
tables_place(struct journal_run *run)
{
    const struct journal_run_header *header = &run->header;
    uint64_t sums = journal_run_grain_count(header->count) * sizeof(uint64_t);
    run->filter = (const void *)run->tables;
    run->radix = (const void *)(run->tables + header->filter_words * sizeof(uint64_t));
    run->grain_sums = (const void *)(run->tables + journal_run_tables_size(header) - sums);
}

static err_t
header_read(struct journal_run *run, uint64_t number)
{
    _Alignas(16) char block[JOURNAL_RUN_BLOCK];
    const char *reason = NULL;
    TRY(run->disk->ops->read(run->disk, run->file, block, sizeof(block), 0));
    TRY(journal_run_header_decode(block, &run->header, &reason));
    uint64_t size = 0;
    TRY(run->disk->ops->size(run->disk, run->file, &size));
    return run->header.number == number && run->header.file_size == size ? ERR_OK : ERR_CORRUPT;
}

static err_t
tables_read(struct journal_run *run)
{
    uint64_t size = journal_run_tables_size(&run->header);
    run->tables = malloc(size);
    if (run->tables == NULL) {
        return ERR_MEMORY;
    }
    TRY(run->disk->ops->read(
        run->disk, run->file, run->tables, size, journal_run_tables_offset(&run->header)));
    if (journal_run_tables_checksum(run->header.number, run->tables, size) != run->header.tables) {
        return ERR_CORRUPT;
    }
    tables_place(run);
    return journal_run_radix_is_sound(run->radix, run->header.radix_bits, run->header.count)
               ? ERR_OK
               : ERR_CORRUPT;
}

err_t
journal_run_open(
    struct os_disk *disk, const char *folder, uint64_t number, struct journal_run **ret_run)
{
    char path[JOURNAL_RUN_PATH_SIZE];
    journal_run_path(folder, number, path);
    struct journal_run *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        return ERR_MEMORY;
    }
    run->disk = disk;
    err_t code = disk->ops->open(disk, path, OS_OPEN_READ, false, &run->file, NULL);
    if (code == ERR_OK) {
        code = header_read(run, number);
    }
    if (code == ERR_OK) {
        code = tables_read(run);
    }
    if (code != ERR_OK) {
        journal_run_close(&run);
        return code;
    }
    *ret_run = run;
    return ERR_OK;
}

void
journal_run_close(struct journal_run **run)
{
    if (*run == NULL) {
        return;
    }
    if ((*run)->file != NULL) {
        (*run)->disk->ops->close((*run)->disk, (*run)->file);
    }
    free((*run)->tables);
    free(*run);
    *run = NULL;
}

void
journal_run_drop_filter(struct journal_run *run)
{
    ASSERT(run->filter != NULL);
    uint64_t filter = run->header.filter_words * sizeof(uint64_t);
    uint64_t left = journal_run_tables_size(&run->header) - filter;
    uint64_t sums = journal_run_grain_count(run->header.count) * sizeof(uint64_t);
    memmove(run->tables, run->tables + filter, left);
    char *smaller = realloc(run->tables, left);
    run->tables = smaller == NULL ? run->tables : smaller;
    run->filter = NULL;
    run->radix = (const void *)run->tables;
    run->grain_sums = (const void *)(run->tables + left - sums);
}

/* Reads and checks `count` grains from number `grain` on. */
static err_t
read_grains(const struct journal_run *run, uint64_t grain, uint64_t count, void *out)
{
    ASSERT(grain + count <= journal_run_grain_count(run->header.count));
    TRY(run->disk->ops->read(
        run->disk,
        run->file,
        out,
        count * JOURNAL_RUN_GRAIN,
        JOURNAL_RUN_BLOCK + grain * JOURNAL_RUN_GRAIN));
    for (uint64_t i = 0; i < count; i++) {
        const char *data = (const char *)out + i * JOURNAL_RUN_GRAIN;
        if (journal_run_grain_checksum(run->header.number, grain + i, data) !=
            run->grain_sums[grain + i]) {
            return ERR_CORRUPT;
        }
    }
    return ERR_OK;
}

err_t
journal_run_read_blocks(const struct journal_run *run, uint64_t block, uint64_t count, void *out)
{
    ASSERT(block + count <= journal_run_block_count(run->header.count));
    return read_grains(run, block * BLOCK_GRAINS, count * BLOCK_GRAINS, out);
}

err_t
journal_run_find(
    const struct journal_run *run,
    uint64_t hash,
    uint32_t nth,
    struct journal_index_entry *ret_entry)
{
    *ret_entry = (struct journal_index_entry){0};
    ASSERT(journal_run_piece(hash, run->header.bits) == run->header.piece);
    uint32_t slot = journal_run_slot(hash, run->header.bits, run->header.radix_bits);
    uint64_t at = run->radix[slot];
    const uint64_t end = run->radix[slot + 1];
    struct journal_index_entry entries[FIND_GRAINS * JOURNAL_GRAIN_ENTRIES];
    while (at < end) {
        uint64_t grain = at / JOURNAL_GRAIN_ENTRIES;
        uint64_t first = grain * JOURNAL_GRAIN_ENTRIES;
        uint64_t grains = (end - 1) / JOURNAL_GRAIN_ENTRIES - grain + 1;
        grains = grains < FIND_GRAINS ? grains : FIND_GRAINS;
        uint64_t last = first + grains * JOURNAL_GRAIN_ENTRIES;
        last = last < end ? last : end;
        TRY(read_grains(run, grain, grains, entries));
        for (; at < last; at++) {
            const struct journal_index_entry *entry = &entries[at - first];
            if (entry->hash > hash) {
                return ERR_OK;
            }
            if (entry->hash == hash && nth-- == 0) {
                *ret_entry = *entry;
                return ERR_OK;
            }
        }
    }
    return ERR_OK;
}

/* --- writing --- */

static void
writer_free(struct journal_run_writer *writer)
{
    free(writer->buffer);
    free(writer->filter);
    free(writer->radix);
    free(writer->grain_sums);
    *writer = (struct journal_run_writer){0};
}

static err_t
writer_allocate(struct journal_run_writer *writer, uint64_t expected)
{
    struct journal_run_header *header = &writer->header;
    uint64_t keys = expected < 4 ? 4 : expected;
    header->filter_words = journal_filter_words(keys);
    header->radix_bits = journal_run_radix_bits(keys);
    writer->grain_capacity = journal_run_grain_count(keys) + 16;
    writer->buffer = malloc(WRITER_BUFFER);
    writer->filter = calloc(header->filter_words, sizeof(uint64_t));
    writer->radix = calloc(journal_run_radix_count(header->radix_bits), sizeof(uint32_t));
    writer->grain_sums = malloc(writer->grain_capacity * sizeof(uint64_t));
    return writer->buffer != NULL && writer->filter != NULL && writer->radix != NULL &&
                   writer->grain_sums != NULL
               ? ERR_OK
               : ERR_MEMORY;
}

err_t
journal_run_writer_begin(
    struct journal_run_writer *writer,
    struct os_disk *disk,
    const char *folder,
    const struct journal_run_header *header,
    uint64_t expected)
{
    char path[JOURNAL_RUN_PATH_SIZE];
    *writer = (struct journal_run_writer){.disk = disk, .folder = folder, .header = *header};
    journal_run_path(folder, header->number, path);
    err_t code = writer_allocate(writer, expected);
    if (code == ERR_OK) {
        code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &writer->file, NULL);
    }
    if (code == ERR_EXISTS) {
        code = disk->ops->remove(disk, path);
        if (code == ERR_OK) {
            code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &writer->file, NULL);
        }
    }
    if (code != ERR_OK) {
        journal_run_writer_abandon(writer);
    }
    return code;
}

static err_t
writer_put(struct journal_run_writer *writer, const void *data, uint64_t size, uint64_t offset)
{
    TRY(writer->disk->ops->write(writer->disk, writer->file, data, size, offset));
    /* Bit by bit: the frames' writes do not queue behind what a sync would find all at once. */
    os_file_write_back(writer->disk, writer->file, offset, size);
    writer->unsynced += size;
    if (writer->unsynced >= JOURNAL_RUN_SYNC_BYTES) {
        writer->unsynced = 0;
        return writer->disk->ops->sync(writer->disk, writer->file);
    }
    return ERR_OK;
}

static err_t
sums_grow(struct journal_run_writer *writer, uint64_t grains)
{
    if (grains <= writer->grain_capacity) {
        return ERR_OK;
    }
    uint64_t capacity = writer->grain_capacity * 2 > grains ? writer->grain_capacity * 2 : grains;
    uint64_t *grown = realloc(writer->grain_sums, capacity * sizeof(*grown));
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    writer->grain_sums = grown;
    writer->grain_capacity = capacity;
    return ERR_OK;
}

/* Writes the buffer, filled up to whole blocks. */
static err_t
writer_flush(struct journal_run_writer *writer)
{
    uint64_t first = writer->written / JOURNAL_RUN_GRAIN;
    uint64_t blocks = (writer->buffered + JOURNAL_RUN_BLOCK - 1) / JOURNAL_RUN_BLOCK;
    if (blocks == 0) {
        return ERR_OK;
    }
    memset(writer->buffer + writer->buffered, 0, blocks * JOURNAL_RUN_BLOCK - writer->buffered);
    const uint64_t grains = blocks * BLOCK_GRAINS;
    TRY(sums_grow(writer, first + grains));
    for (uint64_t i = 0; i < grains; i++) {
        writer->grain_sums[first + i] = journal_run_grain_checksum(
            writer->header.number, first + i, writer->buffer + i * JOURNAL_RUN_GRAIN);
    }
    TRY(writer_put(
        writer, writer->buffer, blocks * JOURNAL_RUN_BLOCK, JOURNAL_RUN_BLOCK + writer->written));
    writer->written += blocks * JOURNAL_RUN_BLOCK;
    writer->buffered = 0;
    return ERR_OK;
}

err_t
journal_run_writer_add(struct journal_run_writer *writer, struct journal_index_entry entry)
{
    struct journal_run_header *header = &writer->header;
    ASSERT(entry.reference != 0);
    ASSERT(journal_run_piece(entry.hash, header->bits) == header->piece);
    ASSERT(
        entry.hash > writer->last.hash ||
        (entry.hash == writer->last.hash && entry.reference > writer->last.reference));
    if (header->count == JOURNAL_RUN_ENTRIES_MAX) {
        return ERR_FULL;
    }
    if (writer->buffered == WRITER_BUFFER) {
        TRY(writer_flush(writer));
    }
    uint32_t slot = journal_run_slot(entry.hash, header->bits, header->radix_bits);
    while (writer->radix_next <= slot) {
        writer->radix[writer->radix_next++] = (uint32_t)header->count;
    }
    uint64_t word = journal_filter_word(entry.hash, header->bits, header->filter_words);
    writer->filter[word] |= journal_filter_bits(entry.hash);
    memcpy(writer->buffer + writer->buffered, &entry, sizeof(entry));
    writer->buffered += sizeof(entry);
    writer->last = entry;
    header->count++;
    return ERR_OK;
}

/* The tables as they are in the file, in one allocation. */
static char *
tables_join(struct journal_run_writer *writer)
{
    const struct journal_run_header *header = &writer->header;
    while (writer->radix_next < journal_run_radix_count(header->radix_bits)) {
        writer->radix[writer->radix_next++] = (uint32_t)header->count;
    }
    uint64_t filter = header->filter_words * sizeof(uint64_t);
    uint64_t radix = journal_run_radix_count(header->radix_bits) * sizeof(uint32_t);
    uint64_t sums = journal_run_grain_count(header->count) * sizeof(uint64_t);
    uint64_t size = journal_run_tables_size(header);
    char *tables = calloc(1, size);
    if (tables != NULL) {
        memcpy(tables, writer->filter, filter);
        memcpy(tables + filter, writer->radix, radix);
        memcpy(tables + size - sums, writer->grain_sums, sums);
    }
    return tables;
}

static err_t
writer_complete(struct journal_run_writer *writer, const char *tables)
{
    struct journal_run_header *header = &writer->header;
    uint64_t size = journal_run_tables_size(header);
    uint64_t offset = journal_run_tables_offset(header);
    header->file_size = offset + size;
    header->tables = journal_run_tables_checksum(header->number, tables, size);
    _Alignas(16) char block[JOURNAL_RUN_BLOCK];
    journal_run_header_encode(header, block);
    TRY(writer_put(writer, tables, size, offset));
    TRY(writer_put(writer, block, sizeof(block), 0));
    return writer->disk->ops->sync(writer->disk, writer->file);
}

err_t
journal_run_writer_finish(struct journal_run_writer *writer, struct journal_run **ret_run)
{
    TRY(writer_flush(writer));
    ASSERT(writer->written == JOURNAL_RUN_BLOCK * journal_run_block_count(writer->header.count));
    struct journal_run *run = calloc(1, sizeof(*run));
    char *tables = tables_join(writer);
    err_t code = run == NULL || tables == NULL ? ERR_MEMORY : writer_complete(writer, tables);
    if (code != ERR_OK) {
        free(run);
        free(tables);
        return code;
    }
    *run = (struct journal_run){
        .disk = writer->disk, .file = writer->file, .header = writer->header, .tables = tables};
    tables_place(run);
    writer_free(writer);
    *ret_run = run;
    return ERR_OK;
}

void
journal_run_writer_abandon(struct journal_run_writer *writer)
{
    if (writer->file != NULL) {
        char path[JOURNAL_RUN_PATH_SIZE];
        journal_run_path(writer->folder, writer->header.number, path);
        writer->disk->ops->close(writer->disk, writer->file);
        /* What cannot be removed is removed at the next start. */
        (void)writer->disk->ops->remove(writer->disk, path);
    }
    writer_free(writer);
}
