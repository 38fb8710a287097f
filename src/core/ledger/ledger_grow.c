/*
 * Growing without stopping. A larger table takes the place of a full one at once, empty; entries
 * follow, some at each reservation, in the order of their places in the old table:
 *
 *      start                 moved                    the old table, read as a ring
 *        |---- in `now` -----|---- still here ----|
 *
 * A run is moved whole, so the home of an entry says whether it has moved. The old table takes
 * nothing new: a look-up in it that finds nothing goes on in the new one.
 */
#include "ledger_internal.h"

/* A new entry pays for moving this many places. An index of 2n places, n of them used, moves to one
 * of 4n; when n more have come, and paid for twice as many places as there are, that one is full.
 */
#define PLACES_PER_ENTRY 4

static uint64_t
table_size(const struct ledger_table *table)
{
    return (uint64_t)table->mask + 1;
}

static err_t
begin(struct ledger_index *index, const struct ledger_limits *limits, uint64_t wanted)
{
    ASSERT(index->old.entries == NULL);
    uint64_t size = table_size(&index->now);
    while (size < wanted * 2) {
        size *= 2;
    }
    ASSERT(size <= (uint64_t)LEDGER_COUNT_MAX * 2);
    struct ledger_table larger;
    if (!ledger_table_create(&larger, limits, size)) {
        return ERR_MEMORY;
    }
    index->old = index->now;
    index->now = larger;
    index->moved = 0;
    index->start = 0;
    while (index->old.entries[index->start] != 0) {
        index->start++;
    }
    return ERR_OK;
}

/* Moves what lies at the place that is next. */
static void
move_place(struct ledger_index *index, uint32_t place)
{
    uint64_t entry = index->old.entries[place];
    if (entry == 0) {
        return;
    }
    index->old.entries[place] = 0;
    uint32_t at = (uint32_t)(entry >> 32) & index->now.mask;
    while (index->now.entries[at] != 0) {
        at = (at + 1) & index->now.mask;
    }
    index->now.entries[at] = entry;
}

/* Moves so many places, and then on to the end of a run: TABLE-2, by which the last one ends at
 * `start` at the latest. */
static void
move_places(struct ledger_index *index, uint64_t count)
{
    const uint64_t size = table_size(&index->old);
    const uint32_t mask = index->old.mask;
    uint64_t next = index->moved;
    uint64_t end = next + count < size ? next + count : size;
    while (next < end || index->old.entries[(index->start + next) & mask] != 0) {
        move_place(index, (uint32_t)(index->start + next) & mask);
        next++;
    }
    ASSERT(next <= size);
    index->moved = next;
    if (next == size) {
        while (index->retired.entries != NULL) {
            ledger_table_shrink(&index->retired); /* half as large, and long gone but in tests */
        }
        index->retired = index->old;
        index->old = (struct ledger_table){NULL, 0};
    }
}

err_t
ledger_index_reserve(
    struct ledger_index *index, const struct ledger_limits *limits, uint32_t count, uint32_t added)
{
    if (index->retired.entries != NULL) {
        ledger_table_shrink(&index->retired);
    }
    if (index->old.entries != NULL) {
        move_places(index, LEDGER_MOVE_STEP + (uint64_t)added * PLACES_PER_ENTRY);
    }
    const uint64_t wanted = (uint64_t)count + added;
    if (wanted * 2 <= table_size(&index->now)) {
        return ERR_OK;
    }
    /* Only while a table is small, compared with what comes, is the last move not over yet. */
    while (index->old.entries != NULL) {
        move_places(index, LEDGER_MOVE_STEP);
    }
    return begin(index, limits, wanted);
}
