#include "base/map.h"

#include "base/assert.h"

#include <stdlib.h>

#define MAP_BUCKETS_FIRST 16

void
map_init(struct map *map, size_t limit)
{
    *map = (struct map){.limit = limit};
}

void
map_release(struct map *map)
{
    free(map->buckets);
    *map = (struct map){.limit = map->limit};
}

static struct map_link **
map_bucket(const struct map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static err_t
map_grow(struct map *map)
{
    size_t count = map->bucket_count == 0 ? MAP_BUCKETS_FIRST : map->bucket_count * 2;
    struct map_link **buckets = calloc(count, sizeof(*buckets));
    if (buckets == NULL) {
        return ERR_MEMORY;
    }
    struct map grown = *map;
    grown.buckets = buckets;
    grown.bucket_count = count;
    for (size_t i = 0; i < map->bucket_count; i++) {
        struct map_link *link = map->buckets[i];
        while (link != NULL) {
            struct map_link *next = link->next;
            struct map_link **bucket = map_bucket(&grown, link->hash);
            link->next = *bucket;
            *bucket = link;
            link = next;
        }
    }
    free(map->buckets);
    *map = grown;
    return ERR_OK;
}

err_t
map_insert(struct map *map, uint64_t hash, struct map_link *link)
{
    ASSERT(map->size <= map->limit);
    if (map->size == map->limit) {
        return ERR_FULL;
    }
    if (map->size == map->bucket_count) {
        TRY(map_grow(map));
    }
    struct map_link **bucket = map_bucket(map, hash);
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    map->size++;
    return ERR_OK;
}

static struct map_link *
first_with_hash(struct map_link *link, uint64_t hash)
{
    while (link != NULL && link->hash != hash) {
        link = link->next;
    }
    return link;
}

struct map_link *
map_find(const struct map *map, uint64_t hash)
{
    return map->bucket_count == 0 ? NULL : first_with_hash(*map_bucket(map, hash), hash);
}

struct map_link *
map_next(const struct map_link *link)
{
    return first_with_hash(link->next, link->hash);
}

void
map_remove(struct map *map, struct map_link *link)
{
    ASSERT(map->size > 0);
    struct map_link **at = map_bucket(map, link->hash);
    while (*at != link) {
        ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    map->size--;
}

void
map_each(const struct map *map, void (*each)(void *context, struct map_link *link), void *context)
{
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct map_link *link = map->buckets[i]; link != NULL;) {
            /* Taken first: the callback may release the element. */
            struct map_link *next = link->next;
            each(context, link);
            link = next;
        }
    }
}
