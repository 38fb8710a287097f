/*
 * Memory for keys and card numbers: whole pages between two guard pages that stop the process when
 * touched, never in a core file or in a forked child, not swapped out where the limit on locked
 * memory allows, and overwritten before it goes back.
 */
#ifndef OS_SECRET_H
#define OS_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed; NULL without memory. `size` > 0. The memory ends at the guard page or up to 15 bytes
 * before it and is aligned to 16 bytes. *ret_locked (or NULL) says whether it cannot be swapped. */
void *os_secret_alloc(size_t size, bool *ret_locked);
/* The size is that of the allocation. NULL is fine. */
void os_secret_free(void *secret, size_t size);

#endif
