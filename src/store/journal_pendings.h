/*
 * Where the live pending transfers are in the journal, by the place that each has in the core while
 * it lives (pending_place of its events): what becomes of one is entered in the index without
 * looking for it there. It is a memory of what the index has, not a table of its own: what a start
 * found, what was adopted, and what there was no memory for is looked up as ever.
 */
#ifndef STORE_JOURNAL_PENDINGS_H
#define STORE_JOURNAL_PENDINGS_H

#include "journal_format.h"

/* Places are kept in blocks, which are made when they are needed and never move: 512 KiB each. */
#define JOURNAL_PENDINGS_BLOCK (UINT32_C(1) << 15)
/* Places above 4,194,304 are not kept. */
#define JOURNAL_PENDINGS_BLOCKS 128u

struct journal_pending {
    uint64_t hash;               /* of its id, in the index */
    journal_position_t position; /* 0: not known */
};

struct journal_pendings {
    struct journal_pending *blocks[JOURNAL_PENDINGS_BLOCKS]; /* NULL: nothing is known */
};

void journal_pendings_release(struct journal_pendings *pendings);

/* The one at a place (from 1; 0: none), or NULL if it is not known. */
static inline struct journal_pending *
journal_pendings_find(const struct journal_pendings *pendings, uint32_t place)
{
    if (place == 0 || place > JOURNAL_PENDINGS_BLOCK * JOURNAL_PENDINGS_BLOCKS) {
        return NULL;
    }
    struct journal_pending *block = pendings->blocks[(place - 1) / JOURNAL_PENDINGS_BLOCK];
    struct journal_pending *found =
        block == NULL ? NULL : &block[(place - 1) % JOURNAL_PENDINGS_BLOCK];
    return found == NULL || found->position == 0 ? NULL : found;
}

/* One begins at the place, which is nobody's: who had it was taken from it. */
void journal_pendings_put(
    struct journal_pendings *pendings, uint32_t place, struct journal_pending pending);

/* The one at the place ends: what was known of it, position 0 if nothing was. */
static inline struct journal_pending
journal_pendings_take(struct journal_pendings *pendings, uint32_t place)
{
    struct journal_pending *found = journal_pendings_find(pendings, place);
    if (found == NULL) {
        return (struct journal_pending){0};
    }
    struct journal_pending taken = *found;
    *found = (struct journal_pending){0};
    return taken;
}

#endif
