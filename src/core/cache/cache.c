/*
 * Entries are found by buckets of chains, and stand in one of two lists, oldest use first: those
 * with a value, and those without (absent, or only a version below which puts are refused).
 *
 * `sequence` counts what is learned of any key. Each entry has the number of the last thing that
 * was learned of it; when one goes, `lost` rises to that number, so that a ticket from before it,
 * which cannot be compared with the entry any more, is refused (CACHE_LATE).
 */
#include "cache/cache.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdbool.h>
#include <string.h>

#define NOBODY UINT32_MAX

struct entry {
    struct list_link use; /* in `used` or `empty`; in neither: free */
    uint32_t next;        /* in its bucket, or among the free */
    uint32_t bucket;
    struct cache_key key;
    void *value; /* NULL: none */
    uint64_t size;
    uint64_t version; /* of the value; else nothing older is stored */
    uint64_t sequence;
    uint64_t expires_ns;
    uint64_t absent; /* 1: it is known that there is nothing */
};

struct cache {
    struct cache_settings settings;
    uint64_t sequence;
    uint64_t lost; /* what was learned up to here may be forgotten */
    struct cache_counts counts;
    struct list used;
    struct list empty;
    uint32_t free;
    uint32_t bucket_count; /* a power of two */
    uint32_t *buckets;
    struct entry *entries;
};

static uint32_t
bucket_count_of(uint32_t entries_max)
{
    uint32_t count = 1;
    while (count < entries_max) {
        count *= 2;
    }
    return count;
}

static size_t
rounded(size_t size)
{
    return (size + 15) / 16 * 16;
}

size_t
cache_memory_size(const struct cache_settings *settings)
{
    ASSERT(settings->entries_max > 0);
    ASSERT(settings->entries_max <= CACHE_ENTRIES_MAX);
    return rounded(sizeof(struct cache)) +
           rounded((size_t)bucket_count_of(settings->entries_max) * sizeof(uint32_t)) +
           (size_t)settings->entries_max * sizeof(struct entry);
}

struct cache *
cache_init(void *memory, const struct cache_settings *settings)
{
    ASSERT(settings->empty_max > 0);
    ASSERT(settings->empty_max <= settings->entries_max);
    ASSERT(settings->release != NULL);
    memset(memory, 0, cache_memory_size(settings));
    struct cache *cache = memory;
    char *at = (char *)memory + rounded(sizeof(*cache));
    cache->settings = *settings;
    cache->bucket_count = bucket_count_of(settings->entries_max);
    cache->buckets = (uint32_t *)(void *)at;
    at += rounded((size_t)cache->bucket_count * sizeof(uint32_t));
    cache->entries = (struct entry *)(void *)at;
    list_init(&cache->used);
    list_init(&cache->empty);
    for (uint32_t i = 0; i < cache->bucket_count; i++) {
        cache->buckets[i] = NOBODY;
    }
    for (uint32_t i = 0; i < settings->entries_max; i++) {
        cache->entries[i].next = i + 1 < settings->entries_max ? i + 1 : NOBODY;
    }
    return cache;
}

/* ------------------------------------------------------------------------------------ entries */

/* Keys are hashes already. */
static uint32_t
bucket_of(const struct cache *cache, const struct cache_key *key)
{
    uint64_t number;
    memcpy(&number, key->bytes, sizeof(number));
    return (uint32_t)(number & (cache->bucket_count - 1));
}

static struct entry *
find(struct cache *cache, const struct cache_key *key)
{
    uint32_t at = cache->buckets[bucket_of(cache, key)];
    while (at != NOBODY) {
        struct entry *entry = &cache->entries[at];
        if (memcmp(entry->key.bytes, key->bytes, CACHE_KEY_SIZE) == 0) {
            return entry;
        }
        at = entry->next;
    }
    return NULL;
}

static void
release_value(struct cache *cache, struct entry *entry)
{
    if (entry->value == NULL) {
        return;
    }
    ASSERT(cache->counts.bytes >= entry->size);
    cache->counts.bytes -= entry->size;
    void *value = entry->value;
    entry->value = NULL;
    entry->size = 0;
    cache->settings.release(cache->settings.context, value);
}

/* Out of its list, and to the end of the one that it belongs to now. */
static void
touch(struct cache *cache, struct entry *entry, bool was_empty)
{
    if (list_is_linked(&entry->use)) {
        list_remove(&entry->use);
        cache->counts.empty -= was_empty ? 1 : 0;
    }
    if (entry->value == NULL) {
        list_push_back(&cache->empty, &entry->use);
        cache->counts.empty++;
    } else {
        list_push_back(&cache->used, &entry->use);
    }
}

/* What it knew is unknown from now on. */
static void
lose(struct cache *cache, struct entry *entry)
{
    ASSERT(list_is_linked(&entry->use));
    uint32_t index = (uint32_t)(entry - cache->entries);
    uint32_t *at = &cache->buckets[entry->bucket];
    while (*at != index) {
        ASSERT(*at != NOBODY);
        at = &cache->entries[*at].next;
    }
    *at = entry->next;
    cache->lost = entry->sequence > cache->lost ? entry->sequence : cache->lost;
    cache->counts.empty -= entry->value == NULL ? 1 : 0;
    cache->counts.entries--;
    list_remove(&entry->use);
    release_value(cache, entry);
    entry->next = cache->free;
    cache->free = index;
}

static void
evict_first(struct cache *cache, struct list *list)
{
    struct list_link *link = list_first(list);
    ASSERT(link != NULL);
    cache->counts.evictions++;
    lose(cache, CONTAINER_OF(link, struct entry, use));
}

/* Those without a value have a share of their own: what they know is what keeps old values out. */
static void
make_room(struct cache *cache)
{
    while (cache->counts.empty > cache->settings.empty_max) {
        evict_first(cache, &cache->empty);
    }
    while (cache->counts.bytes > cache->settings.bytes_max) {
        evict_first(cache, &cache->used);
    }
}

/* `empty`: it will have no value. */
static struct entry *
entry_new(struct cache *cache, const struct cache_key *key, bool empty)
{
    if (cache->free == NOBODY) {
        bool has_share = empty && cache->counts.empty >= cache->settings.empty_max;
        evict_first(cache, has_share || list_is_empty(&cache->used) ? &cache->empty : &cache->used);
    }
    uint32_t index = cache->free;
    ASSERT(index != NOBODY);
    struct entry *entry = &cache->entries[index];
    cache->free = entry->next;
    *entry = (struct entry){.key = *key, .bucket = bucket_of(cache, key)};
    entry->next = cache->buckets[entry->bucket];
    cache->buckets[entry->bucket] = index;
    cache->counts.entries++;
    ASSERT(cache->counts.entries <= cache->settings.entries_max);
    return entry;
}

/* The entry of a key, if what it knows still counts. */
static struct entry *
find_fresh(struct cache *cache, const struct cache_key *key, uint64_t now_ns)
{
    struct entry *entry = find(cache, key);
    if (entry != NULL && entry->expires_ns <= now_ns) {
        lose(cache, entry);
        return NULL;
    }
    return entry;
}

/* --------------------------------------------------------------------------------------- calls */

uint64_t
cache_ticket(const struct cache *cache)
{
    return cache->sequence;
}

enum cache_found
cache_get(
    struct cache *cache,
    const struct cache_key *key,
    uint64_t now_ns,
    struct cache_value *ret_value)
{
    struct entry *entry = find_fresh(cache, key, now_ns);
    if (entry == NULL) {
        return CACHE_MISS;
    }
    if (entry->value == NULL) {
        if (entry->absent == 0) {
            return CACHE_MISS; /* only what it must not be */
        }
        touch(cache, entry, true);
        return CACHE_ABSENT;
    }
    touch(cache, entry, false);
    *ret_value = (struct cache_value){
        .value = entry->value,
        .size = entry->size,
        .version = entry->version,
        .expires_ns = entry->expires_ns,
    };
    return CACHE_HIT;
}

static enum cache_put
judge(
    const struct cache *cache,
    const struct entry *entry,
    uint64_t ticket,
    uint64_t now_ns,
    const struct cache_value *value)
{
    if (value->size > cache->settings.bytes_max / 8) {
        return CACHE_TOO_LARGE;
    }
    if (entry != NULL && value->version < entry->version) {
        return CACHE_OLDER;
    }
    if (ticket < cache->lost || value->expires_ns <= now_ns) {
        return CACHE_LATE; /* whether or not it was this key that was lost */
    }
    return CACHE_STORED;
}

enum cache_put
cache_put(
    struct cache *cache,
    const struct cache_key *key,
    uint64_t ticket,
    uint64_t now_ns,
    const struct cache_value *value)
{
    ASSERT(ticket <= cache->sequence);
    ASSERT(value->value != NULL || value->size == 0);
    struct entry *entry = find_fresh(cache, key, now_ns);
    enum cache_put outcome = judge(cache, entry, ticket, now_ns, value);
    if (outcome != CACHE_STORED) {
        if (value->value != NULL) {
            cache->settings.release(cache->settings.context, value->value);
        }
        return outcome;
    }
    entry = entry == NULL ? entry_new(cache, key, value->value == NULL) : entry;
    bool was_empty = entry->value == NULL;
    release_value(cache, entry);
    entry->value = value->value;
    entry->size = value->size;
    entry->version = value->version;
    entry->expires_ns = value->expires_ns;
    entry->absent = value->value == NULL ? 1 : 0;
    entry->sequence = ++cache->sequence;
    cache->counts.bytes += value->size;
    touch(cache, entry, was_empty);
    make_room(cache);
    return CACHE_STORED;
}

void
cache_forget(
    struct cache *cache,
    const struct cache_key *key,
    uint64_t version,
    uint64_t now_ns,
    uint64_t until_ns)
{
    struct entry *entry = find_fresh(cache, key, now_ns);
    if (entry != NULL && entry->version >= version) {
        return; /* known already */
    }
    entry = entry == NULL ? entry_new(cache, key, true) : entry;
    bool was_empty = entry->value == NULL;
    release_value(cache, entry);
    entry->version = version;
    entry->expires_ns = until_ns;
    entry->absent = version == CACHE_VERSION_GONE ? 1 : 0;
    entry->sequence = ++cache->sequence;
    touch(cache, entry, was_empty);
    make_room(cache);
}

void
cache_drop(struct cache *cache, const struct cache_key *key)
{
    struct entry *entry = find(cache, key);
    if (entry != NULL) {
        lose(cache, entry);
    }
    cache->lost = ++cache->sequence;
}

void
cache_clear(struct cache *cache)
{
    struct list *const lists[] = {&cache->used, &cache->empty};
    for (uint32_t i = 0; i < 2; i++) {
        LIST_FOREACH_SAFE (lists[i], link) {
            lose(cache, CONTAINER_OF(link, struct entry, use));
        }
    }
    ASSERT(cache->counts.entries == 0);
    ASSERT(cache->counts.bytes == 0);
    cache->lost = ++cache->sequence;
}

void
cache_count(const struct cache *cache, struct cache_counts *ret_counts)
{
    *ret_counts = cache->counts;
}
