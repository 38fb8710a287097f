/*
 * The pages of a database in memory (sqlite.org/c3ref/pcache_methods2.html). SQLite's own cache
 * walks over all its pages at nearly each commit that has grown a table: balancing a tree gives a
 * page the number of one gigabyte for a moment, and with it that cache's highest number, above
 * which a commit drops pages. Here a page with such a number is counted, so that a commit knows
 * that there is none any more. There is no lock, as no two connections share a cache.
 *
 *               fetch                      unpin
 *     (none) ----------> in use (pinned) ----------> idle ----> used for another page
 *                              ^                       |
 *                              +-----------------------+ fetch
 *
 * Which idle page gives way: all pages stand in one queue, and one that is fetched again is only
 * marked (a queue in the exact order of use writes to three pages for each one used). From its
 * front, a page that is in use, or marked, goes to the end, and loses its mark; the first other one
 * gives way.
 *
 * PAGES-1 A page in use stays where it is, with what is in it, until it is unpinned or truncated.
 * PAGES-2 No page that is not stray has a number above `highest`.
 *
 * Pages come from slabs, large enough for the system's large pages: the trees of a busy store are
 * read at random places of 64 MB, and with small ones the processor has to find out where a page is
 * nearly each time. A page that is dropped is kept for the next one; slabs go with their cache, so
 * a cache has the memory of the most pages that it ever had.
 */
#include "page_cache.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "os/large.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* When all but one of so many pages are in use, another one counts as hard to get. SQLite then
 * writes pages of the open transaction to the log, to be able to unpin them. */
#define SPARE_PART 10
/* The first slab of a cache, as many caches stay small; each of them has room for a page of the
 * largest size, 64 KiB, with what belongs to it. */
#define SLAB_FIRST (128U << 10)
#define SLAB_SIZE  (2U << 20)
/* What is looked at of a page to find it is then in one line of the processor's cache. */
#define LINE 64U

struct page {
    sqlite3_pcache_page base;
    struct map_link by_number;
    struct list_link place; /* in cache->queue, or spare */
    bool is_idle;
    bool is_marked; /* fetched again since it came to the end of the queue */
    bool is_stray;  /* moved to a number above all others */
};

/* The first LINE of its memory; the pages follow, each as a block of content, extra and page, in a
 * whole number of lines. */
struct slab {
    struct slab *next;
    size_t size;
};

static_assert(sizeof(struct slab) <= LINE, "blocks begin behind it");
static_assert(LINE % _Alignof(max_align_t) == 0, "blocks are aligned as from malloc");

struct cache {
    size_t page_size;
    size_t extra_size; /* a multiple of what `struct page` wants to be aligned to */
    bool is_purgeable;
    size_t limit; /* a wish: pages in use are beyond it where SQLite insists */
    struct map pages;
    struct list queue; /* all of them */
    size_t idle_count;
    size_t stray_count;
    unsigned highest;
    struct slab *slabs; /* the newest first */
    size_t slab_used;   /* bytes of the newest one's blocks that were handed out */
    struct list spare;  /* pages that were dropped */
};

static struct cache *
cache_of(sqlite3_pcache *cache)
{
    return (struct cache *)(void *)cache;
}

static struct page *
page_of(sqlite3_pcache_page *page)
{
    return CONTAINER_OF(page, struct page, base);
}

static size_t
in_use_count(const struct cache *cache)
{
    return cache->pages.size - cache->idle_count;
}

static size_t
block_size(const struct cache *cache)
{
    size_t size = cache->page_size + cache->extra_size + sizeof(struct page);
    return (size + LINE - 1) / LINE * LINE;
}

static bool
slab_add(struct cache *cache)
{
    size_t size = cache->slabs == NULL ? SLAB_FIRST : SLAB_SIZE;
    struct slab *slab = os_large_alloc(size);
    if (slab == NULL) {
        return false;
    }
    *slab = (struct slab){.next = cache->slabs, .size = size};
    cache->slabs = slab;
    cache->slab_used = 0;
    return true;
}

static char *
block_take(struct cache *cache)
{
    size_t size = block_size(cache);
    ASSERT(size <= SLAB_FIRST - LINE);
    const struct slab *newest = cache->slabs;
    bool has_room = newest != NULL && size <= newest->size - LINE - cache->slab_used;
    if (!has_room && !slab_add(cache)) {
        return NULL;
    }
    char *block = (char *)cache->slabs + LINE + cache->slab_used;
    cache->slab_used += size;
    return block;
}

/* What SQLite reads too much of a damaged page is in the same block, as the page is its start. */
static struct page *
page_create(struct cache *cache)
{
    struct list_link *link = list_pop_front(&cache->spare);
    if (link != NULL) {
        return CONTAINER_OF(link, struct page, place);
    }
    char *block = block_take(cache);
    if (block == NULL) {
        return NULL;
    }
    struct page *page = (struct page *)(void *)(block + cache->page_size + cache->extra_size);
    *page = (struct page){.base = {.pBuf = block, .pExtra = block + cache->page_size}};
    return page;
}

/* Out of everything, and its memory for the next one. */
static void
page_destroy(struct cache *cache, struct page *page)
{
    ASSERT(!page->is_idle);
    ASSERT(!list_is_linked(&page->place));
    list_push_front(&cache->spare, &page->place);
}

static struct page *
page_find(const struct cache *cache, unsigned number)
{
    struct map_link *link = map_find(&cache->pages, number);
    return link == NULL ? NULL : CONTAINER_OF(link, struct page, by_number);
}

static void
set_idle(struct cache *cache, struct page *page, bool is_idle)
{
    ASSERT(page->is_idle != is_idle);
    page->is_idle = is_idle;
    cache->idle_count = is_idle ? cache->idle_count + 1 : cache->idle_count - 1;
}

static void
set_stray(struct cache *cache, struct page *page, bool is_stray)
{
    if (page->is_stray != is_stray) {
        page->is_stray = is_stray;
        cache->stray_count = is_stray ? cache->stray_count + 1 : cache->stray_count - 1;
    }
}

/* Out of the cache; the memory is the caller's. */
static void
page_remove(struct cache *cache, struct page *page)
{
    if (page->is_idle) {
        set_idle(cache, page, false);
    }
    set_stray(cache, page, false);
    list_remove(&page->place);
    map_remove(&cache->pages, &page->by_number);
}

static void
page_drop(struct cache *cache, struct page *page)
{
    page_remove(cache, page);
    page_destroy(cache, page);
}

/* The one that gives way; there is an idle one. Ends, as the second time around no page is marked.
 */
static struct page *
page_give_way(struct cache *cache)
{
    ASSERT(cache->idle_count > 0);
    for (;;) {
        struct page *page = CONTAINER_OF(list_pop_front(&cache->queue), struct page, place);
        list_push_back(&cache->queue, &page->place);
        if (page->is_idle && !page->is_marked) {
            return page;
        }
        page->is_marked = false;
    }
}

static void
drop_beyond_limit(struct cache *cache)
{
    while (cache->pages.size > cache->limit && cache->idle_count > 0) {
        page_drop(cache, page_give_way(cache));
    }
}

static sqlite3_pcache *
pages_create(int page_size, int extra_size, int is_purgeable)
{
    ASSERT(page_size > 0);
    ASSERT(extra_size >= (int)sizeof(void *));
    struct cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return NULL;
    }
    size_t alignment = _Alignof(struct page);
    cache->page_size = (size_t)page_size;
    cache->extra_size = ((size_t)extra_size + alignment - 1) / alignment * alignment;
    cache->is_purgeable = is_purgeable != 0;
    cache->limit = SIZE_MAX;             /* until SQLite says */
    map_init(&cache->pages, UINT32_MAX); /* there are no more numbers */
    list_init(&cache->queue);
    list_init(&cache->spare);
    return (sqlite3_pcache *)(void *)cache;
}

static void
pages_set_limit(sqlite3_pcache *handle, int limit)
{
    struct cache *cache = cache_of(handle);
    if (cache->is_purgeable) {
        cache->limit = limit > 0 ? (size_t)limit : 0;
        drop_beyond_limit(cache);
    }
}

static int
pages_count(sqlite3_pcache *handle)
{
    return (int)cache_of(handle)->pages.size;
}

/* A page that is not in the cache: an idle one when the cache is full, else a new one. */
static struct page *
page_obtain(struct cache *cache)
{
    if (cache->pages.size >= cache->limit && cache->idle_count > 0) {
        struct page *page = page_give_way(cache);
        page_remove(cache, page);
        return page;
    }
    return page_create(cache);
}

static bool
is_hard_to_get(const struct cache *cache)
{
    return cache->is_purgeable && in_use_count(cache) >= cache->limit - cache->limit / SPARE_PART;
}

static struct page *
page_add(struct cache *cache, unsigned number)
{
    struct page *page = page_obtain(cache);
    if (page == NULL || map_insert(&cache->pages, number, &page->by_number) != ERR_OK) {
        if (page != NULL) {
            page_destroy(cache, page);
        }
        return NULL;
    }
    /* By its zeros SQLite knows a page that it has not read yet. */
    memset(page->base.pExtra, 0, cache->extra_size);
    page->is_marked = false;
    list_push_back(&cache->queue, &page->place);
    if (number > cache->highest) {
        cache->highest = number;
    }
    return page;
}

static sqlite3_pcache_page *
pages_fetch(sqlite3_pcache *handle, unsigned number, int create)
{
    struct cache *cache = cache_of(handle);
    struct page *page = page_find(cache, number);
    if (page != NULL) {
        if (page->is_idle) {
            set_idle(cache, page, false);
        }
        page->is_marked = true;
        return &page->base;
    }
    if (create == 0 || (create == 1 && is_hard_to_get(cache))) {
        return NULL;
    }
    page = page_add(cache, number);
    return page == NULL ? NULL : &page->base;
}

static void
pages_unpin(sqlite3_pcache *handle, sqlite3_pcache_page *at, int discard)
{
    struct cache *cache = cache_of(handle);
    struct page *page = page_of(at);
    ASSERT(!page->is_idle);
    /* Beyond the limit it is this one that goes: looking for another could be long, for each of the
     * pages of a large transaction. */
    if (discard != 0 || cache->pages.size > cache->limit) {
        page_drop(cache, page);
        return;
    }
    set_idle(cache, page, true);
}

static void
pages_renumber(
    sqlite3_pcache *handle, sqlite3_pcache_page *at, unsigned number, unsigned new_number)
{
    struct cache *cache = cache_of(handle);
    struct page *page = page_of(at);
    ASSERT(page->by_number.hash == number);
    struct page *other = page_find(cache, new_number);
    if (other != NULL && other != page) {
        page_drop(cache, other);
    }
    map_remove(&cache->pages, &page->by_number);
    err_t result = map_insert(&cache->pages, new_number, &page->by_number);
    ASSERT(result == ERR_OK); /* there was room a moment ago */
    set_stray(cache, page, new_number > cache->highest);
}

struct drop {
    struct cache *cache;
    unsigned from;
};

static void
drop_one(void *context, struct map_link *link)
{
    const struct drop *drop = context;
    if (link->hash >= drop->from) {
        page_drop(drop->cache, CONTAINER_OF(link, struct page, by_number));
    }
}

static void
drop_from(struct cache *cache, unsigned number)
{
    struct drop drop = {.cache = cache, .from = number};
    map_each(&cache->pages, drop_one, &drop);
}

static void
pages_truncate(sqlite3_pcache *handle, unsigned number)
{
    struct cache *cache = cache_of(handle);
    if (cache->stray_count > 0 ||
        (number <= cache->highest && cache->highest - number >= cache->pages.size)) {
        drop_from(cache, number);
    } else {
        for (unsigned i = number; i <= cache->highest; i++) {
            struct page *page = page_find(cache, i);
            if (page != NULL) {
                page_drop(cache, page);
            }
        }
    }
    if (number <= cache->highest) {
        cache->highest = number > 0 ? number - 1 : 0;
    }
}

static void
pages_shrink(sqlite3_pcache *handle)
{
    struct cache *cache = cache_of(handle);
    while (cache->idle_count > 0) {
        page_drop(cache, page_give_way(cache));
    }
}

static void
pages_destroy(sqlite3_pcache *handle)
{
    struct cache *cache = cache_of(handle);
    drop_from(cache, 0);
    ASSERT(cache->pages.size == 0);
    map_release(&cache->pages);
    while (cache->slabs != NULL) {
        struct slab *slab = cache->slabs;
        cache->slabs = slab->next;
        os_large_free(slab, slab->size);
    }
    free(cache);
}

/* SQLite takes methods without this one for no methods at all. */
static int
pages_init(void *argument)
{
    (void)argument;
    return SQLITE_OK;
}

const sqlite3_pcache_methods2 document_page_cache_methods = {
    .iVersion = 1,
    .xInit = pages_init,
    .xCreate = pages_create,
    .xCachesize = pages_set_limit,
    .xPagecount = pages_count,
    .xFetch = pages_fetch,
    .xUnpin = pages_unpin,
    .xRekey = pages_renumber,
    .xTruncate = pages_truncate,
    .xDestroy = pages_destroy,
    .xShrink = pages_shrink,
};

void
document_page_cache_install(void)
{
    /* Both fail only if SQLite is in use already. Counting takes a lock of the whole process around
     * each piece of memory, and nobody asks for the count. */
    (void)sqlite3_config(SQLITE_CONFIG_PCACHE2, &document_page_cache_methods);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
