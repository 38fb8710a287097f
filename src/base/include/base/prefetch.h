/*
 * Fetching ahead what will be read or written soon, so that misses of the processor's cache
 * overlap. Any address will do, also one that is not ours: nothing is read, and nothing fails.
 */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

#include <stddef.h>

#define PREFETCH_LINE 64u

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

/* Every line of a record that begins a line, or nearly so. */
static inline void
prefetch_record_for_read(const void *record, size_t size)
{
    for (size_t at = 0; at < size; at += PREFETCH_LINE) {
        prefetch_for_read((const char *)record + at);
    }
}

static inline void
prefetch_record_for_write(const void *record, size_t size)
{
    for (size_t at = 0; at < size; at += PREFETCH_LINE) {
        prefetch_for_write((const char *)record + at);
    }
}

#endif
