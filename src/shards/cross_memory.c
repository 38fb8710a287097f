/*
 * The memory of batches, bounded.
 *
 * A large batch that crosses takes megabytes, which the C library hands back to the system when
 * they are freed: faulting them in again for the next batch costs more than what is done with them.
 * So what is large is kept, by its size, for as long as such batches come.
 */
#include "cross_private.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* What is smaller the C library keeps itself. */
#define LARGE (UINT64_C(64) << 10)
/* Of memory_max, beside which it is. */
#define SPARES_PART 4
#define IDLE_MS     1000

struct cross_spare {
    struct cross_spare *next;
    uint64_t size;
};

static bool
has_room(const struct shards_cross *cross, uint64_t size)
{
    uint64_t used =
        atomic_load_explicit(&cross->counters[CROSS_COUNTER(memory)], memory_order_relaxed);
    ASSERT(used <= cross->parts.memory_max);
    return size <= cross->parts.memory_max - used;
}

/* A large block is up to an eighth larger, so that batches of almost one size share. */
static uint64_t
block_size(uint64_t size)
{
    ASSERT(size >= LARGE);
    uint64_t step = UINT64_C(1) << (63 - __builtin_clzll(size)) >> 3;
    return (size + step - 1) / step * step;
}

static void *
large_take(struct shards_cross *cross, uint64_t size)
{
    cross->spares_idle = false;
    for (struct cross_spare **at = &cross->spares; *at != NULL; at = &(*at)->next) {
        struct cross_spare *spare = *at;
        if (spare->size == size) {
            *at = spare->next;
            cross->spares_size -= size;
            return spare;
        }
    }
    return malloc(size);
}

static void
large_give(struct shards_cross *cross, void *memory, uint64_t size)
{
    struct cross_spare *spare = memory;
    if (cross->spares_size + size > cross->parts.memory_max / SPARES_PART) {
        free(memory);
        return;
    }
    *spare = (struct cross_spare){.next = cross->spares, .size = size};
    cross->spares = spare;
    cross->spares_size += size;
}

void *
shards_cross_memory_take_unset(struct shards_cross *cross, uint64_t size)
{
    if (!has_room(cross, size)) {
        return NULL;
    }
    void *memory = size < LARGE ? malloc(size) : large_take(cross, block_size(size));
    CROSS_COUNT(cross, memory, memory != NULL ? size : 0);
    return memory;
}

void *
shards_cross_memory_take(struct shards_cross *cross, uint64_t size)
{
    void *memory = shards_cross_memory_take_unset(cross, size);
    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

void
shards_cross_memory_give(struct shards_cross *cross, void *memory, uint64_t size)
{
    if (memory == NULL) {
        return;
    }
    CROSS_COUNT(cross, memory, -size);
    if (size < LARGE) {
        free(memory);
    } else {
        large_give(cross, memory, block_size(size));
    }
}

void
shards_cross_memory_release(struct shards_cross *cross)
{
    for (struct cross_spare *spare = cross->spares; spare != NULL;) {
        struct cross_spare *next = spare->next;
        free(spare);
        spare = next;
    }
    cross->spares = NULL;
    cross->spares_size = 0;
}

void
shards_cross_memory_tick(struct shards_cross *cross, uint64_t now)
{
    if (now < cross->spares_next_ns) {
        return;
    }
    if (cross->spares_idle) {
        shards_cross_memory_release(cross);
    }
    cross->spares_idle = true;
    cross->spares_next_ns = now + cross_ms(IDLE_MS);
}
