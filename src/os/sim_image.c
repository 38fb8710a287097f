#include "sim_image.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void
os_sim_image_release(struct os_sim_image *image)
{
    for (size_t i = 0; i < image->chunk_count; i++) {
        free(image->chunks[i]);
    }
    free(image->chunks);
    *image = (struct os_sim_image){0};
}

/* What of a range lies in the chunk where it begins. */
static size_t
part_in_chunk(uint64_t offset, size_t size)
{
    uint64_t room = OS_SIM_CHUNK_SIZE - offset % OS_SIM_CHUNK_SIZE;
    return size < room ? size : (size_t)room;
}

/* NULL if nothing was written there. */
static char *
chunk_at(const struct os_sim_image *image, uint64_t offset)
{
    uint64_t index = offset / OS_SIM_CHUNK_SIZE;
    return index < image->chunk_count ? image->chunks[index] : NULL;
}

static char *
make_chunk(struct os_sim_image *image, uint64_t offset)
{
    size_t index = (size_t)(offset / OS_SIM_CHUNK_SIZE);
    if (index >= image->chunk_count) {
        size_t count = image->chunk_count * 2 > index + 1 ? image->chunk_count * 2 : index + 1;
        char **chunks = realloc(image->chunks, count * sizeof(*chunks));
        if (chunks == NULL) {
            return NULL;
        }
        memset(chunks + image->chunk_count, 0, (count - image->chunk_count) * sizeof(*chunks));
        image->chunks = chunks;
        image->chunk_count = count;
    }
    if (image->chunks[index] == NULL) {
        image->chunks[index] = calloc(1, OS_SIM_CHUNK_SIZE);
    }
    return image->chunks[index];
}

void
os_sim_image_read(const struct os_sim_image *image, void *out, size_t size, uint64_t offset)
{
    ASSERT(offset <= image->size);
    ASSERT(size <= image->size - offset);
    char *at = out;
    while (size > 0) {
        size_t part = part_in_chunk(offset, size);
        const char *chunk = chunk_at(image, offset);
        if (chunk != NULL) {
            memcpy(at, chunk + offset % OS_SIM_CHUNK_SIZE, part);
        } else {
            memset(at, 0, part);
        }
        at += part;
        size -= part;
        offset += part;
    }
}

err_t
os_sim_image_write(struct os_sim_image *image, const void *data, size_t size, uint64_t offset)
{
    const char *at = data;
    while (size > 0) {
        size_t part = part_in_chunk(offset, size);
        char *chunk = make_chunk(image, offset);
        if (chunk == NULL) {
            return ERR_MEMORY;
        }
        memcpy(chunk + offset % OS_SIM_CHUNK_SIZE, at, part);
        at += part;
        size -= part;
        offset += part;
        if (offset > image->size) {
            image->size = offset;
        }
    }
    return ERR_OK;
}

void
os_sim_image_resize(struct os_sim_image *image, uint64_t size)
{
    uint64_t old_size = image->size;
    image->size = size;
    if (size >= old_size) {
        return;
    }
    char *chunk = chunk_at(image, size);
    if (chunk != NULL) {
        uint64_t from = size % OS_SIM_CHUNK_SIZE;
        memset(chunk + from, 0, (size_t)(OS_SIM_CHUNK_SIZE - from));
    }
    for (size_t i = (size_t)(size / OS_SIM_CHUNK_SIZE) + 1; i < image->chunk_count; i++) {
        free(image->chunks[i]);
        image->chunks[i] = NULL;
    }
}

err_t
os_sim_image_copy(struct os_sim_image *to, const struct os_sim_image *from)
{
    os_sim_image_release(to);
    for (size_t i = 0; i < from->chunk_count; i++) {
        if (from->chunks[i] == NULL) {
            continue;
        }
        char *chunk = make_chunk(to, i * OS_SIM_CHUNK_SIZE);
        if (chunk == NULL) {
            return ERR_MEMORY;
        }
        memcpy(chunk, from->chunks[i], OS_SIM_CHUNK_SIZE);
    }
    to->size = from->size;
    return ERR_OK;
}

void
os_sim_image_flip(struct os_sim_image *image, uint64_t offset, unsigned bit)
{
    ASSERT(bit < 8);
    if (offset >= image->size) {
        return;
    }
    char byte;
    os_sim_image_read(image, &byte, 1, offset);
    byte = (char)(byte ^ (char)(1u << bit));
    err_t result = os_sim_image_write(image, &byte, 1, offset);
    ASSERT(result == ERR_OK);
}
