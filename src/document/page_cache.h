/* page_cache.c: SQLite's pages in memory, kept by a cache of our own. */
#ifndef DOCUMENT_PAGE_CACHE_H
#define DOCUMENT_PAGE_CACHE_H

#include <sqlite3.h>

/* Has SQLite use the cache, and no longer count its memory. Only before SQLite is first used in the
 * process; later calls change nothing, and SQLite goes on with what it has. The caller sees to it
 * that two threads do not call at once. */
void document_page_cache_install(void);

/* What SQLite calls, for tests. A cache belongs to one connection, and is used by whoever uses that
 * one: one thread at a time. */
extern const sqlite3_pcache_methods2 document_page_cache_methods;

#endif
