/*
 * Copying what was written a moment ago. A processor hands on what is still in its store buffer to
 * a load of the same size or less; a larger load, as compilers make of copies, waits until it has
 * left it. So what is written as 64-bit words and read soon is copied as words.
 */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stdint.h>
#include <string.h>

/* `count` words of 8 bytes; the two do not overlap, and may lie anywhere. */
static inline void
words_copy(void *to, const void *from, size_t count)
{
#pragma GCC unroll 16
    for (size_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, (const char *)from + i * sizeof(word), sizeof(word));
        /* Without this compilers join the words to larger pieces again. */
        __asm__ volatile("" : "+r"(word));
        memcpy((char *)to + i * sizeof(word), &word, sizeof(word));
    }
}

#endif
