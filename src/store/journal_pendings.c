#include "journal_pendings.h"

#include "base/assert.h"

#include <stdlib.h>

#define BLOCK_SIZE (JOURNAL_PENDINGS_BLOCK * sizeof(struct journal_pending))

void
journal_pendings_release(struct journal_pendings *pendings)
{
    for (uint32_t i = 0; i < JOURNAL_PENDINGS_BLOCKS; i++) {
        free(pendings->blocks[i]);
        pendings->blocks[i] = NULL;
    }
}

void
journal_pendings_put(
    struct journal_pendings *pendings, uint32_t place, struct journal_pending pending)
{
    ASSERT(pending.position != 0);
    if (place == 0 || place > JOURNAL_PENDINGS_BLOCK * JOURNAL_PENDINGS_BLOCKS) {
        return;
    }
    struct journal_pending **block = &pendings->blocks[(place - 1) / JOURNAL_PENDINGS_BLOCK];
    if (*block == NULL) {
        *block = calloc(1, BLOCK_SIZE);
    }
    if (*block != NULL) {
        struct journal_pending *free_place = &(*block)[(place - 1) % JOURNAL_PENDINGS_BLOCK];
        ASSERT(free_place->position == 0);
        *free_place = pending;
    }
}
