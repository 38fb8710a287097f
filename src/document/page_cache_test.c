/* The page cache against a model of what SQLite may rely on, and under SQLite itself. */
#include "page_cache.h"

#include "os/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE_SIZE  512
#define EXTRA_SIZE 77
#define NUMBERS    64 /* pages are 1 to 63 */
#define FAR        1000
#define LIMIT      20
#define SEEDS      50
#define STEPS      4000

static const sqlite3_pcache_methods2 *const methods = &document_page_cache_methods;

struct t_page {
    sqlite3_pcache_page *pinned;
    bool may_be_there; /* with `content`, if it is */
    unsigned content;
};

struct t_cache {
    sqlite3_pcache *cache;
    struct os_prng prng;
    struct t_page pages[NUMBERS];
    unsigned last_content;
    int limit;
};

static unsigned
t_pick(struct t_cache *t)
{
    return 1 + (unsigned)os_prng_below(&t->prng, NUMBERS - 1);
}

static int
t_pinned(const struct t_cache *t)
{
    int count = 0;
    for (unsigned i = 1; i < NUMBERS; i++) {
        count += t->pages[i].pinned != NULL;
    }
    return count;
}

static void
t_fill(struct t_cache *t, struct t_page *page)
{
    page->content = ++t->last_content;
    page->may_be_there = true;
    memcpy(page->pinned->pBuf, &page->content, sizeof(page->content));
    memset((char *)page->pinned->pBuf + PAGE_SIZE - 8, 'p', 8);
    memset(page->pinned->pExtra, 'e', EXTRA_SIZE);
}

static void
t_expect_content(const struct t_page *page)
{
    unsigned content;
    memcpy(&content, page->pinned->pBuf, sizeof(content));
    assert_true(page->may_be_there);
    assert_int_equal(content, page->content);
    assert_int_equal(*(char *)page->pinned->pExtra, 'e');
}

static void
t_fetch(struct t_cache *t)
{
    unsigned number = t_pick(t);
    struct t_page *page = &t->pages[number];
    int create = (int)os_prng_below(&t->prng, 3);
    sqlite3_pcache_page *there = methods->xFetch(t->cache, number, 0);
    if (page->pinned != NULL) {
        assert_ptr_equal(there, page->pinned);
    }
    sqlite3_pcache_page *got = methods->xFetch(t->cache, number, create);
    if (there != NULL) {
        assert_ptr_equal(got, there);
        page->pinned = got;
        t_expect_content(page);
        return;
    }
    bool is_full = t_pinned(t) >= t->limit - t->limit / 10;
    assert_int_equal(got != NULL, create == 2 || (create == 1 && !is_full));
    page->may_be_there = false;
    if (got != NULL) {
        void *first;
        memcpy(&first, got->pExtra, sizeof(first));
        assert_null(first);
        page->pinned = got;
        t_fill(t, page);
    }
}

static void
t_unpin(struct t_cache *t)
{
    struct t_page *page = &t->pages[t_pick(t)];
    if (page->pinned != NULL) {
        t_expect_content(page);
        bool discard = os_prng_chance(&t->prng, 1, 4);
        methods->xUnpin(t->cache, page->pinned, discard);
        page->pinned = NULL;
        page->may_be_there = !discard;
    }
}

/* As when a tree is balanced: out of the way to a number far above, another one into its place, and
 * back into that one's. */
static void
t_exchange(struct t_cache *t)
{
    unsigned a = t_pick(t);
    unsigned b = t_pick(t);
    struct t_page *pages = t->pages;
    if (a == b || pages[a].pinned == NULL) {
        return;
    }
    methods->xRekey(t->cache, pages[a].pinned, a, FAR);
    if (pages[b].pinned != NULL) {
        methods->xRekey(t->cache, pages[b].pinned, b, a);
        assert_ptr_equal(methods->xFetch(t->cache, a, 0), pages[b].pinned);
    } else {
        assert_null(methods->xFetch(t->cache, a, 0));
        pages[b] = (struct t_page){.pinned = NULL};
    }
    methods->xRekey(t->cache, pages[a].pinned, FAR, b);
    assert_ptr_equal(methods->xFetch(t->cache, b, 0), pages[a].pinned);
    assert_null(methods->xFetch(t->cache, FAR, 0));
    struct t_page moved = pages[a];
    pages[a] = pages[b];
    pages[b] = moved;
}

static void
t_truncate(struct t_cache *t)
{
    unsigned from = t_pick(t);
    struct t_page *first = &t->pages[1];
    bool with_stray = first->pinned != NULL && os_prng_chance(&t->prng, 1, 2);
    if (with_stray) {
        methods->xRekey(t->cache, first->pinned, 1, FAR);
        *first = (struct t_page){.pinned = NULL};
    }
    methods->xTruncate(t->cache, from);
    for (unsigned i = from; i < NUMBERS; i++) {
        assert_null(methods->xFetch(t->cache, i, 0));
        t->pages[i] = (struct t_page){.pinned = NULL};
    }
    assert_null(methods->xFetch(t->cache, FAR, 0));
}

static void
t_step(struct t_cache *t)
{
    uint64_t chance = os_prng_below(&t->prng, 100);
    if (chance < 55) {
        t_fetch(t);
    } else if (chance < 90) {
        t_unpin(t);
    } else if (chance < 96) {
        t_exchange(t);
    } else if (chance < 98) {
        t_truncate(t);
    } else if (chance < 99) {
        t->limit = 1 + (int)os_prng_below(&t->prng, 2 * LIMIT);
        methods->xCachesize(t->cache, t->limit);
    } else {
        methods->xShrink(t->cache);
        assert_int_equal(methods->xPagecount(t->cache), t_pinned(t));
    }
    int pinned = t_pinned(t);
    int most = pinned > t->limit ? pinned : t->limit;
    assert_in_range(methods->xPagecount(t->cache), pinned, most);
}

/* PAGES-1, PAGES-2. */
static void
pages_are_what_was_put_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct t_cache t = {.cache = methods->xCreate(PAGE_SIZE, EXTRA_SIZE, 1), .limit = LIMIT};
        assert_non_null(t.cache);
        methods->xCachesize(t.cache, LIMIT);
        os_prng_seed(&t.prng, seed);
        print_message("seed %d\n", (int)seed);
        for (int i = 0; i < STEPS; i++) {
            t_step(&t);
        }
        methods->xDestroy(t.cache);
    }
}

static void
the_page_not_used_for_longest_gives_way(void **state)
{
    (void)state;
    sqlite3_pcache *cache = methods->xCreate(PAGE_SIZE, EXTRA_SIZE, 1);
    methods->xCachesize(cache, 10);
    for (unsigned i = 1; i <= 10; i++) {
        methods->xUnpin(cache, methods->xFetch(cache, i, 1), 0);
    }
    methods->xUnpin(cache, methods->xFetch(cache, 1, 1), 0); /* used again: 2 is the oldest now */
    assert_non_null(methods->xFetch(cache, 11, 1));
    assert_int_equal(methods->xPagecount(cache), 10);
    assert_null(methods->xFetch(cache, 2, 0));
    assert_non_null(methods->xFetch(cache, 1, 0));
    methods->xDestroy(cache);
}

/* Pages of a database in memory are nowhere else. */
static void
pages_in_memory_only_are_kept(void **state)
{
    (void)state;
    sqlite3_pcache *cache = methods->xCreate(PAGE_SIZE, EXTRA_SIZE, 0);
    methods->xCachesize(cache, 5);
    for (unsigned i = 1; i <= 100; i++) {
        assert_non_null(methods->xFetch(cache, i, 1));
    }
    assert_int_equal(methods->xPagecount(cache), 100);
    methods->xDestroy(cache);
}

/* Far more than the first piece of memory has room for, of the smallest size, the usual one and the
 * largest. Each is the caller's to its last byte, and aligned. */
static void
many_pages_lie_side_by_side(void **state)
{
    (void)state;

    enum {
        COUNT = 1200
    };

    static const int sizes[] = {512, 4096, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int size = sizes[i];
        sqlite3_pcache *cache = methods->xCreate(size, EXTRA_SIZE, 1);
        methods->xCachesize(cache, COUNT);
        for (unsigned number = 1; number <= COUNT; number++) {
            sqlite3_pcache_page *page = methods->xFetch(cache, number, 2);
            assert_non_null(page);
            assert_int_equal((uintptr_t)page->pBuf % 16, 0);
            assert_int_equal((uintptr_t)page->pExtra % 8, 0);
            memset(page->pBuf, (int)(number % 251), (size_t)size);
            memset(page->pExtra, (int)(number % 241), EXTRA_SIZE);
            methods->xUnpin(cache, page, 0);
        }
        for (unsigned number = 1; number <= COUNT; number++) {
            sqlite3_pcache_page *page = methods->xFetch(cache, number, 0);
            assert_non_null(page);
            const unsigned char *bytes = page->pBuf;
            const unsigned char *extra = page->pExtra;
            assert_int_equal(bytes[0], number % 251);
            assert_memory_equal(bytes, bytes + 1, (size_t)size - 1);
            assert_int_equal(extra[0], number % 241);
            assert_memory_equal(extra, extra + 1, EXTRA_SIZE - 1);
        }
        methods->xDestroy(cache);
    }
}

/* A cache that is full of pages in use takes more all the same, and is as small as it shall be when
 * they are given back. */
static void
pages_in_use_are_beyond_the_limit(void **state)
{
    (void)state;

    enum {
        COUNT = 500
    };

    static sqlite3_pcache_page *pages[COUNT];
    sqlite3_pcache *cache = methods->xCreate(PAGE_SIZE, EXTRA_SIZE, 1);
    methods->xCachesize(cache, LIMIT);
    for (unsigned i = 0; i < COUNT; i++) {
        pages[i] = methods->xFetch(cache, i + 1, 2);
        assert_non_null(pages[i]);
    }
    assert_int_equal(methods->xPagecount(cache), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        methods->xUnpin(cache, pages[i], 0);
        int left = COUNT - 1 - (int)i;
        assert_int_equal(methods->xPagecount(cache), left > LIMIT ? left : LIMIT);
    }
    methods->xDestroy(cache);
}

static void
t_run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    int code = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (code != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
}

static int
t_expect_first(void *context, int count, char **texts, char **names)
{
    (void)names;
    assert_int_equal(count, 1);
    assert_string_equal(texts[0], context);
    return 0;
}

static void
t_expect(sqlite3 *db, const char *sql, const char *expected)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s", expected);
    assert_int_equal(sqlite3_exec(db, sql, t_expect_first, text, NULL), SQLITE_OK);
}

/* More in one transaction than the cache holds; taken back, and shrunk. */
static void
sqlite_works_with_few_pages(void **state)
{
    (void)state;
    char folder[] = "/tmp/tael-page-cache-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/pages", folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    t_run(
        db,
        "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA cache_size = 12;"
        "CREATE TABLE t (a, b); CREATE INDEX t_by_b ON t (b); CREATE TABLE u (c)");
    for (int i = 0; i < 20; i++) {
        char sql[256];
        (void)snprintf(
            sql,
            sizeof(sql),
            "BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400) "
            "INSERT INTO t SELECT %d, hex(i * 7919 %% 1000) || printf('%%.*c', i %% 90, 'x') FROM "
            "n;"
            "%s",
            i,
            i % 4 == 3 ? "ROLLBACK" : "COMMIT");
        t_run(db, sql);
    }
    t_expect(db, "SELECT count(*) FROM t", "6000");
    t_run(db, "DELETE FROM t WHERE a % 2 = 0; VACUUM");
    t_expect(db, "SELECT count(*) FROM t", "2000");
    t_expect(db, "PRAGMA integrity_check", "ok");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    document_page_cache_install();
    sqlite3_pcache_methods2 installed;
    if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &installed) != SQLITE_OK ||
        installed.xFetch != methods->xFetch) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_what_was_put_there),
        cmocka_unit_test(the_page_not_used_for_longest_gives_way),
        cmocka_unit_test(pages_in_memory_only_are_kept),
        cmocka_unit_test(many_pages_lie_side_by_side),
        cmocka_unit_test(pages_in_use_are_beyond_the_limit),
        cmocka_unit_test(sqlite_works_with_few_pages),
    };
    return cmocka_run_group_tests_name("document page cache", tests, NULL, NULL);
}
