#include "journal_adopted.h"

#include <stdlib.h>
#include <string.h>

void
journal_adopted_release(struct journal_adopted *adopted)
{
    free(adopted->entries);
    *adopted = (struct journal_adopted){0};
}

static int
compare(const void *a, const void *b)
{
    const struct journal_adopted_entry *one = a;
    const struct journal_adopted_entry *other = b;
    if (one->timestamp != other->timestamp) {
        return one->timestamp < other->timestamp ? -1 : 1;
    }
    return (one->position > other->position) - (one->position < other->position);
}

err_t
journal_adopted_add(
    struct journal_adopted *adopted, uint64_t timestamp, journal_position_t position)
{
    if (adopted->count == adopted->capacity) {
        uint64_t capacity = adopted->capacity == 0 ? 1024 : adopted->capacity * 2;
        struct journal_adopted_entry *grown =
            realloc(adopted->entries, capacity * sizeof(*adopted->entries));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        adopted->entries = grown;
        adopted->capacity = capacity;
    }
    struct journal_adopted_entry *entry = &adopted->entries[adopted->count];
    *entry = (struct journal_adopted_entry){timestamp, position};
    bool follows =
        adopted->sorted == adopted->count && (adopted->count == 0 || compare(entry - 1, entry) < 0);
    adopted->sorted += follows;
    adopted->count++;
    return ERR_OK;
}

/* The sorted part and the sorted rest become one: from behind, so that only the rest is copied. */
err_t
journal_adopted_sort(struct journal_adopted *adopted)
{
    uint64_t rest = adopted->count - adopted->sorted;
    if (rest == 0) {
        return ERR_OK;
    }
    struct journal_adopted_entry *copy = malloc(rest * sizeof(*copy));
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    memcpy(copy, adopted->entries + adopted->sorted, rest * sizeof(*copy));
    qsort(copy, rest, sizeof(*copy), compare);
    uint64_t old = adopted->sorted;
    for (uint64_t to = adopted->count; rest > 0; to--) {
        bool from_old = old > 0 && compare(&adopted->entries[old - 1], &copy[rest - 1]) > 0;
        adopted->entries[to - 1] = from_old ? adopted->entries[--old] : copy[--rest];
    }
    free(copy);
    adopted->sorted = adopted->count;
    return ERR_OK;
}

int64_t
journal_adopted_first(const struct journal_adopted *adopted, const struct store_query *query)
{
    ASSERT(adopted->sorted == adopted->count);
    uint64_t bound = query->reversed
                         ? (query->timestamp_max == 0 ? UINT64_MAX : query->timestamp_max)
                         : query->timestamp_min;
    uint64_t low = 0;
    uint64_t high = adopted->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t timestamp = adopted->entries[middle].timestamp;
        if (query->reversed ? timestamp <= bound : timestamp < bound) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return query->reversed ? (int64_t)low - 1 : (int64_t)low;
}
