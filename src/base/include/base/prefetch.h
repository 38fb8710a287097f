/*
 * Fetching ahead what will be read or written soon, so that misses of the processor's cache
 * overlap. Any address will do, also one that is not ours: nothing is read, and nothing fails.
 */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

/* gcc takes a function that does nothing but __builtin_prefetch for one without effect, and drops
 * the calls of it. The empty statement is an effect. */
static inline void
prefetch_for_read(const void *address)
{
    __builtin_prefetch(address, 0);
    __asm__ volatile("");
}

static inline void
prefetch_for_write(const void *address)
{
    __builtin_prefetch(address, 1);
    __asm__ volatile("");
}

#endif
