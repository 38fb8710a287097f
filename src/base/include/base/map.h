/*
 * An intrusive chained hash table keyed by whatever the owner compares. The table holds links;
 * the owner holds the elements and their keys. It grows by doubling up to its declared maximum of
 * elements, and never shrinks.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_link {
    struct map_link *next;
    uint64_t hash; /* kept, so that growing needs no key */
};

struct map {
    struct map_link **buckets;
    size_t bucket_count; /* a power of two, or 0 before the first insert */
    size_t size;
    size_t limit; /* size never exceeds it */
};

void map_init(struct map *map, size_t limit);
/* Releases the table, not the elements. */
void map_release(struct map *map);
/* The element must not be in the map. ERR_FULL at the limit, ERR_MEMORY without memory. */
MUST_USE err_t map_insert(struct map *map, uint64_t hash, struct map_link *link);
/* The first link with this hash, or NULL; go on with map_next until the key matches. */
struct map_link *map_find(const struct map *map, uint64_t hash);
struct map_link *map_next(const struct map_link *link);
/* The link must be in the map. */
void map_remove(struct map *map, struct map_link *link);
/* Every element once, in no order; the callback must not insert or remove. */
void map_each(
    const struct map *map, void (*each)(void *context, struct map_link *link), void *context);

#endif
