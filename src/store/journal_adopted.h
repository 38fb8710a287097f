/*
 * Where adopted events are, by their own time. They lie in the journal in the order in which they
 * came, which is not that of time, so the directory cannot know them: 16 bytes of memory each.
 */
#ifndef STORE_JOURNAL_ADOPTED_H
#define STORE_JOURNAL_ADOPTED_H

#include "journal_format.h"
#include "store/store.h"

struct journal_adopted_entry {
    uint64_t timestamp;
    journal_position_t position;
};

struct journal_adopted {
    struct journal_adopted_entry *entries;
    uint64_t count;
    uint64_t capacity;
    uint64_t sorted; /* the first so many are in order of timestamp, then position */
};

void journal_adopted_release(struct journal_adopted *adopted);
MUST_USE err_t journal_adopted_add(
    struct journal_adopted *adopted, uint64_t timestamp, journal_position_t position);
/* Brings what was added since into order. ERR_MEMORY. */
MUST_USE err_t journal_adopted_sort(struct journal_adopted *adopted);
/* The first entry, in the query's direction, that its range can include; -1 or count: none. */
int64_t journal_adopted_first(
    const struct journal_adopted *adopted, const struct store_query *query);

#endif
