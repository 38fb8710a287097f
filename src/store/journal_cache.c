#include "journal_cache.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE ((size_t)JOURNAL_CACHE_CHUNK_BLOCKS * JOURNAL_CACHE_BLOCK)

err_t
journal_cache_init(
    struct journal_cache *cache,
    struct os_disk *disk,
    const char *folder,
    uint64_t segment_size,
    uint64_t recent_size)
{
    memset(cache, 0, sizeof(*cache));
    cache->disk = disk;
    cache->folder = folder;
    cache->segment_blocks = (segment_size + JOURNAL_CACHE_BLOCK - 1) / JOURNAL_CACHE_BLOCK;
    uint64_t chunks = (recent_size + CHUNK_SIZE - 1) / CHUNK_SIZE;
    ASSERT(chunks <= UINT32_MAX / JOURNAL_CACHE_CHUNK_BLOCKS);
    chunks = chunks == 0 ? 1 : chunks;
    cache->recent_count = (uint32_t)chunks * JOURNAL_CACHE_CHUNK_BLOCKS;
    cache->recent = calloc(cache->recent_count, sizeof(*cache->recent));
    cache->chunks = calloc(chunks, sizeof(*cache->chunks));
    return cache->recent == NULL || cache->chunks == NULL ? ERR_MEMORY : ERR_OK;
}

/* --- which block --- */

/* The blocks of all segments counted on, as if all had the size that new ones have. Where they have
 * not, blocks share a place in the ring that need not. */
static uint64_t
block_number(const struct journal_cache *cache, uint64_t position)
{
    return journal_position_segment(position) * cache->segment_blocks +
           journal_position_offset(position) / JOURNAL_CACHE_BLOCK;
}

/* Has the ring a place for the block that is not a newer one's? */
static bool
is_recent(const struct journal_cache *cache, uint64_t start)
{
    return start < cache->durable_end && block_number(cache, start) + cache->recent_count >
                                             block_number(cache, cache->durable_end);
}

static struct journal_cache_block *
recent_slot(const struct journal_cache *cache, uint64_t start)
{
    return &cache->recent[block_number(cache, start) % cache->recent_count];
}

static uint64_t
older_number(uint64_t start)
{
    return hash_u64(start / JOURNAL_CACHE_BLOCK) % JOURNAL_CACHE_BLOCKS;
}

static struct journal_cache_block *
older_slot(struct journal_cache *cache, uint64_t start)
{
    return &cache->blocks[older_number(start)];
}

static bool
block_has(const struct journal_cache_block *block, uint64_t start, uint32_t from, uint32_t to)
{
    return block->position == start && block->from <= from && block->to >= to;
}

/* The block that has these bytes, or NULL. */
static const struct journal_cache_block *
block_find(const struct journal_cache *cache, uint64_t start, uint32_t from, uint32_t to)
{
    const struct journal_cache_block *block = recent_slot(cache, start);
    if (block_has(block, start, from, to)) {
        return block;
    }
    block = &cache->blocks[older_number(start)];
    return block_has(block, start, from, to) ? block : NULL;
}

/* NULL without memory, which costs a read later and nothing else. */
static char *
recent_memory(struct journal_cache *cache, struct journal_cache_block *block)
{
    if (block->data == NULL) {
        uint32_t slot = (uint32_t)(block - cache->recent);
        char **chunk = &cache->chunks[slot / JOURNAL_CACHE_CHUNK_BLOCKS];
        if (*chunk == NULL) {
            *chunk = aligned_alloc(CHUNK_SIZE, CHUNK_SIZE);
        }
        if (*chunk != NULL) {
            block->data =
                *chunk + (size_t)(slot % JOURNAL_CACHE_CHUNK_BLOCKS) * JOURNAL_CACHE_BLOCK;
        }
    }
    return block->data;
}

static char *
older_memory(struct journal_cache_block *block)
{
    if (block->data == NULL) {
        block->data = aligned_alloc(JOURNAL_BLOCK, JOURNAL_CACHE_BLOCK);
    }
    return block->data;
}

/* --- what becomes durable --- */

/* A part of a stretch of bytes that lies in one block. */
struct part {
    uint64_t start; /* position of the block */
    uint32_t from;
    uint32_t to;
};

/* The part that begins `done` bytes behind `position`. */
static struct part
part_at(journal_position_t position, uint64_t size, uint64_t done)
{
    const uint64_t at = position + done;
    const uint32_t from = (uint32_t)(at % JOURNAL_CACHE_BLOCK);
    uint64_t length = JOURNAL_CACHE_BLOCK - from;
    length = length < size - done ? length : size - done;
    return (struct part){.start = at - from, .from = from, .to = from + (uint32_t)length};
}

/* The block holds the part, whose bytes are in its memory, and what it held right before it. */
static void
block_extend(struct journal_cache_block *block, const struct part *part)
{
    bool extends = block->position == part->start && block->to == part->from;
    if (!extends) {
        ASSERT(block->position <= part->start); /* CACHE-2 */
        block->position = part->start;
        block->from = part->from;
    }
    block->to = part->to;
}

void
journal_cache_put(
    struct journal_cache *cache, journal_position_t position, const char *data, uint64_t size)
{
    ASSERT(position + size > cache->durable_end);
    for (uint64_t done = 0; done < size;) {
        const struct part part = part_at(position, size, done);
        struct journal_cache_block *block = recent_slot(cache, part.start);
        if (recent_memory(cache, block) != NULL) {
            memcpy(block->data + part.from, data + done, part.to - part.from);
            block_extend(block, &part);
        }
        done += part.to - part.from;
    }
    cache->durable_end = position + size;
}

/* --- the same beside the engine's thread --- */

bool
journal_cache_reserve(struct journal_cache *cache, journal_position_t position, uint64_t size)
{
    ASSERT(position >= cache->durable_end);
    static_assert(2 * JOURNAL_CACHE_RESERVED <= JOURNAL_CACHE_PARTS, "they do not meet");
    if (size / JOURNAL_CACHE_BLOCK + 2 > cache->recent_count / JOURNAL_CACHE_PARTS) {
        return false;
    }
    for (uint64_t done = 0; done < size;) {
        const struct part part = part_at(position, size, done);
        struct journal_cache_block *block = recent_slot(cache, part.start);
        if (recent_memory(cache, block) == NULL) {
            return false;
        }
        if (block->position != part.start) {
            ASSERT(block->position < part.start); /* CACHE-2 */
            block->position = part.start;
            block->from = 0;
            block->to = 0;
        }
        done += part.to - part.from;
    }
    return true;
}

/* Only memory that nobody is shown: the rest of the block is the engine's. */
void
journal_cache_fill(
    const struct journal_cache *cache, journal_position_t position, const char *data, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        const struct part part = part_at(position, size, done);
        char *memory = recent_slot(cache, part.start)->data;
        memcpy(memory + part.from, data + done, part.to - part.from);
        done += part.to - part.from;
    }
}

void
journal_cache_publish(struct journal_cache *cache, journal_position_t position, uint64_t size)
{
    ASSERT(position + size > cache->durable_end);
    for (uint64_t done = 0; done < size;) {
        const struct part part = part_at(position, size, done);
        block_extend(recent_slot(cache, part.start), &part);
        done += part.to - part.from;
    }
    cache->durable_end = position + size;
}

/* --- reading --- */

static err_t
file_open(
    const struct journal_cache *cache,
    struct journal_cache_files *files,
    uint64_t segment,
    struct os_file **ret_file)
{
    struct journal_cache_file *entry = &files->entries[segment % JOURNAL_CACHE_FILES];
    if (entry->file != NULL && entry->segment == segment) {
        *ret_file = entry->file;
        return ERR_OK;
    }
    char path[JOURNAL_PATH_SIZE];
    if (!journal_segment_path(cache->folder, segment, path)) {
        return ERR_RANGE;
    }
    struct os_file *file = NULL;
    err_t code = cache->disk->ops->open(cache->disk, path, OS_OPEN_READ, false, &file, NULL);
    if (code != ERR_OK) {
        return code == ERR_NOT_FOUND ? ERR_ARCHIVED : code;
    }
    if (entry->file != NULL) {
        cache->disk->ops->close(cache->disk, entry->file);
    }
    *entry = (struct journal_cache_file){.file = file, .segment = segment};
    *ret_file = file;
    return ERR_OK;
}

/* Reads the block anew into `block`, up to the durable end. */
static err_t
block_load(struct journal_cache *cache, uint64_t start, struct journal_cache_block *block)
{
    uint64_t segment = journal_position_segment(start);
    uint64_t offset = journal_position_offset(start);
    struct os_file *file = NULL;
    TRY(file_open(cache, &cache->files, segment, &file));
    uint64_t limit = 0;
    if (segment == journal_position_segment(cache->durable_end)) {
        limit = journal_position_offset(cache->durable_end);
    } else {
        TRY(cache->disk->ops->size(cache->disk, file, &limit));
    }
    if (offset >= limit) {
        return ERR_CORRUPT;
    }
    uint64_t size = limit - offset < JOURNAL_CACHE_BLOCK ? limit - offset : JOURNAL_CACHE_BLOCK;
    block->position = 0;
    block->from = 0;
    block->to = 0;
    TRY(cache->disk->ops->read(cache->disk, file, block->data, size, offset));
    block->position = start;
    block->to = (uint32_t)size;
    return ERR_OK;
}

/* Bytes of the file itself, which the system keeps in memory as it sees fit. */
static err_t
read_part(struct journal_cache *cache, uint64_t at, uint64_t size, char *out)
{
    struct os_file *file = NULL;
    TRY(file_open(cache, &cache->files, journal_position_segment(at), &file));
    return cache->disk->ops->read(cache->disk, file, out, size, journal_position_offset(at));
}

/* The block to load for these bytes, with its memory; NULL: take the bytes alone.
 *
 * A recent block is loaded at once: the chains of accounts that are in use lead there. An older one
 * when it is wanted for the second time with no other one of its slot in between: scans soon find
 * theirs here, while look-ups all over history take what they need from the file and no more. */
static struct journal_cache_block *
block_to_load(struct journal_cache *cache, uint64_t start)
{
    struct journal_cache_block *recent = recent_slot(cache, start);
    if (is_recent(cache, start) && recent->position <= start) {
        return recent_memory(cache, recent) == NULL ? NULL : recent;
    }
    struct journal_cache_block *older = older_slot(cache, start);
    bool again = older->missed == start;
    older->missed = start;
    return again && older_memory(older) != NULL ? older : NULL;
}

static err_t
copy_part(struct journal_cache *cache, uint64_t start, uint32_t from, uint32_t to, char *out)
{
    const struct journal_cache_block *block = block_find(cache, start, from, to);
    if (block == NULL) {
        struct journal_cache_block *loaded = block_to_load(cache, start);
        if (loaded == NULL) {
            return read_part(cache, start + from, to - from, out);
        }
        TRY(block_load(cache, start, loaded));
        if (loaded->to < to) {
            return ERR_CORRUPT;
        }
        block = loaded;
    }
    memcpy(out, block->data + from, to - from);
    return ERR_OK;
}

const char *
journal_cache_view(const struct journal_cache *cache, journal_position_t position, uint64_t size)
{
    uint32_t from = (uint32_t)(position % JOURNAL_CACHE_BLOCK);
    if (size > JOURNAL_CACHE_BLOCK - from) {
        return NULL;
    }
    const struct journal_cache_block *block =
        block_find(cache, position - from, from, from + (uint32_t)size);
    return block == NULL ? NULL : block->data + from;
}

static err_t
failed(
    const struct journal_cache *cache,
    journal_position_t position,
    err_t code,
    struct store_error *error)
{
    store_error_set(
        error,
        code,
        "%s/%08" PRIu64 ".log: reading at offset %" PRIu64 ": %s",
        cache->folder,
        journal_position_segment(position),
        journal_position_offset(position),
        err_text(code));
    if (code == ERR_ARCHIVED && error != NULL) {
        error->segment = journal_position_segment(position);
    }
    return code;
}

err_t
journal_cache_get_alone(
    const struct journal_cache *cache,
    struct journal_cache_files *files,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error)
{
    const char *found = journal_cache_view(cache, position, size);
    if (found != NULL) {
        memcpy(out, found, size);
        return ERR_OK;
    }
    struct os_file *file = NULL;
    err_t code = position + size <= cache->durable_end ? ERR_OK : ERR_CORRUPT;
    if (code == ERR_OK) {
        code = file_open(cache, files, journal_position_segment(position), &file);
    }
    if (code == ERR_OK) {
        code =
            cache->disk->ops->read(cache->disk, file, out, size, journal_position_offset(position));
    }
    return code == ERR_OK ? ERR_OK : failed(cache, position, code, error);
}

err_t
journal_cache_get(
    struct journal_cache *cache,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error)
{
    err_t code = position + size <= cache->durable_end ? ERR_OK : ERR_CORRUPT;
    for (uint64_t done = 0; done < size && code == ERR_OK;) {
        uint64_t at = position + done;
        uint32_t from = (uint32_t)(at % JOURNAL_CACHE_BLOCK);
        uint64_t part = JOURNAL_CACHE_BLOCK - from;
        part = part < size - done ? part : size - done;
        code = copy_part(cache, at - from, from, from + (uint32_t)part, out + done);
        done += part;
    }
    return code == ERR_OK ? ERR_OK : failed(cache, position, code, error);
}

void
journal_cache_files_close(const struct journal_cache *cache, struct journal_cache_files *files)
{
    for (uint32_t i = 0; i < JOURNAL_CACHE_FILES; i++) {
        if (files->entries[i].file != NULL) {
            cache->disk->ops->close(cache->disk, files->entries[i].file);
            files->entries[i].file = NULL;
        }
    }
}

void
journal_cache_release(struct journal_cache *cache)
{
    for (uint32_t i = 0; cache->chunks != NULL && i < cache->recent_count;
         i += JOURNAL_CACHE_CHUNK_BLOCKS) {
        free(cache->chunks[i / JOURNAL_CACHE_CHUNK_BLOCKS]);
    }
    free(cache->chunks);
    free(cache->recent);
    cache->chunks = NULL;
    cache->recent = NULL;
    for (uint32_t i = 0; i < JOURNAL_CACHE_BLOCKS; i++) {
        free(cache->blocks[i].data);
        cache->blocks[i] = (struct journal_cache_block){0};
    }
    journal_cache_files_close(cache, &cache->files);
}
