/* One simulated file: what is there now, what is durable, and the changes between the two. */
#include "base/assert.h"
#include "sim_parts.h"

#include <stdlib.h>
#include <string.h>

struct os_sim_inode *
os_sim_inode_create(bool folder)
{
    struct os_sim_inode *inode = calloc(1, sizeof(*inode));
    if (inode != NULL) {
        inode->folder = folder;
    }
    return inode;
}

static void
forget_changes(struct os_sim_inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        free(inode->changes[i].data);
    }
    inode->change_count = 0;
}

void
os_sim_inode_destroy(struct os_sim_inode *inode)
{
    forget_changes(inode);
    free(inode->changes);
    os_sim_image_release(&inode->now);
    os_sim_image_release(&inode->durable);
    free(inode);
}

static err_t
record(struct os_sim_inode *inode, struct os_sim_change change)
{
    if (inode->change_count == inode->change_capacity) {
        size_t capacity = inode->change_capacity != 0 ? inode->change_capacity * 2 : 16;
        struct os_sim_change *changes = realloc(inode->changes, capacity * sizeof(*changes));
        if (changes == NULL) {
            return ERR_MEMORY;
        }
        inode->changes = changes;
        inode->change_capacity = capacity;
    }
    inode->changes[inode->change_count++] = change;
    return ERR_OK;
}

err_t
os_sim_inode_record_write(
    struct os_sim_inode *inode, const void *data, size_t size, uint64_t offset)
{
    ASSERT(size > 0);
    char *copy = malloc(size);
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    memcpy(copy, data, size);
    uint64_t end = offset + size;
    err_t result = record(
        inode,
        (struct os_sim_change){
            .data = copy,
            .size = size,
            .offset = offset,
            .size_after = end > inode->now.size ? end : inode->now.size,
        });
    if (result != ERR_OK) {
        free(copy);
    }
    return result;
}

err_t
os_sim_inode_record_resize(struct os_sim_inode *inode, uint64_t size)
{
    return record(
        inode, (struct os_sim_change){.size_after = size, .shrinks = size < inode->now.size});
}

err_t
os_sim_inode_sync(struct os_sim_inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct os_sim_change *change = &inode->changes[i];
        if (change->data != NULL) {
            TRY(os_sim_image_write(&inode->durable, change->data, change->size, change->offset));
        }
        os_sim_image_resize(&inode->durable, change->size_after);
    }
    forget_changes(inode);
    return ERR_OK;
}

enum keep {
    KEEP_ALL,
    KEEP_NONE,
    KEEP_FIRST, /* the sectors before a drawn one */
    KEEP_SOME,  /* any sectors */
    KEEP_COUNT,
};

/* The end of the sector that `offset` is in. */
static uint64_t
sector_end(uint64_t offset)
{
    return offset - offset % OS_SIM_SECTOR_SIZE + OS_SIM_SECTOR_SIZE;
}

/* The part of a write that lies in [from, to). */
static void
apply_part(
    struct os_sim_image *image, const struct os_sim_change *change, uint64_t from, uint64_t to)
{
    uint64_t begin = change->offset > from ? change->offset : from;
    uint64_t end = change->offset + change->size < to ? change->offset + change->size : to;
    if (change->data == NULL || begin >= end) {
        return;
    }
    err_t result = os_sim_image_write(
        image, change->data + (begin - change->offset), (size_t)(end - begin), begin);
    ASSERT(result == ERR_OK);
}

/* A sector went to the disk as it was after changes[index]: what earlier changes since
 * changes[first] had put in it went along. */
static void
apply_sector(struct os_sim_inode *inode, size_t first, size_t index, uint64_t from, uint64_t to)
{
    if (to - from < OS_SIM_SECTOR_SIZE) {
        uint64_t begin = sector_end(from) - OS_SIM_SECTOR_SIZE;
        for (size_t i = first; i < index; i++) {
            apply_part(&inode->durable, &inode->changes[i], begin, sector_end(from));
        }
    }
    apply_part(&inode->durable, &inode->changes[index], from, to);
}

/* What survives of one write. */
static void
settle_write(struct os_sim_inode *inode, size_t first, size_t index, struct os_prng *prng)
{
    const struct os_sim_change *change = &inode->changes[index];
    enum keep keep = (enum keep)os_prng_below(prng, KEEP_COUNT);
    uint64_t end = change->offset + change->size;
    uint64_t cut = change->offset + os_prng_below(prng, change->size);
    for (uint64_t at = change->offset; at < end;) {
        uint64_t next = sector_end(at) < end ? sector_end(at) : end;
        bool survives = keep == KEEP_ALL || (keep == KEEP_FIRST && next <= cut) ||
                        (keep == KEEP_SOME && os_prng_chance(prng, 1, 2));
        if (survives) {
            apply_sector(inode, first, index, at, next);
        }
        at = next;
    }
}

/* The writes among changes[from .. to). Every sector ends as one that it was since then. */
static void
settle_range(struct os_sim_inode *inode, size_t from, size_t to, struct os_prng *prng)
{
    for (size_t i = from; i < to; i++) {
        if (inode->changes[i].data != NULL) {
            settle_write(inode, from, i, prng);
        }
    }
}

/* Sizes survive as a journaling file system keeps them: up to some moment, in order. Data survives
 * in any order, but not from before a truncation that survived. */
static void
settle_mixed(struct os_sim_inode *inode, struct os_prng *prng)
{
    uint64_t size = inode->durable.size;
    size_t sizes_kept = (size_t)os_prng_below(prng, inode->change_count + 1);
    size_t from = 0;
    for (size_t i = 0; i < sizes_kept; i++) {
        size = inode->changes[i].size_after;
        if (inode->changes[i].shrinks) {
            settle_range(inode, from, i, prng);
            os_sim_image_resize(&inode->durable, size);
            from = i + 1;
        }
    }
    settle_range(inode, from, inode->change_count, prng);
    os_sim_image_resize(&inode->durable, size);
}

void
os_sim_inode_settle(struct os_sim_inode *inode, struct os_prng *prng)
{
    if (inode->change_count == 0) {
        return;
    }
    uint64_t draw = os_prng_below(prng, 8);
    if (draw == 0) {
        err_t result = os_sim_inode_sync(inode);
        ASSERT(result == ERR_OK);
    } else if (draw > 1) {
        settle_mixed(inode, prng);
    }
    forget_changes(inode);
}
