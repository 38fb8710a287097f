/*
 * Memory for large tables that are used at random places, and for what is written past the system's
 * cache. Most of such an access is finding the page, and each page is pinned for such a write, so
 * the system is asked for large pages; it may have none, and then they are small ones.
 */
#ifndef OS_LARGE_H
#define OS_LARGE_H

#include <stddef.h>

/* Zeroed; NULL without memory. `size` > 0. From 2 MiB on it is aligned to 2 MiB, and taken from the
 * system 2 MiB at a time, as it is touched; below it comes from malloc, aligned to 4 KiB. */
void *os_large_alloc(size_t size);
/* Asks for large pages for memory of malloc's, as far as it has not been touched yet. Below 2 MiB
 * it asks for nothing. */
void os_large_wish(void *memory, size_t size);
/* The size is that of the allocation. NULL is fine. */
void os_large_free(void *memory, size_t size);

#endif
