/*
 * A growing byte buffer with a declared maximum.
 *
 * Appending past the maximum, or without memory, sets a sticky failure: later appends do nothing
 * and buf_failed() answers true, so that a writer checks once at its end instead of at each call.
 * A failed buffer still owns its memory and must be released.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/span.h"

struct buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t limit; /* size never exceeds it */
    bool owned;   /* data came from malloc and is released with the buffer */
    bool failed;
};

/* Grows by malloc up to `limit` bytes. Allocates nothing yet. */
void buf_init(struct buf *buf, size_t limit);
/* Uses the caller's memory and never grows. */
void buf_init_fixed(struct buf *buf, void *memory, size_t capacity);
/* Frees what it owns, and leaves it empty. */
void buf_release(struct buf *buf);
/* Empties it and forgets a failure; keeps the memory. */
void buf_clear(struct buf *buf);
/* Overwrites the memory with zeros in a way the compiler keeps, then empties it. For secrets. */
void buf_wipe(struct buf *buf);

/* Room for `size` more bytes behind data+size, or NULL (and failed). Commit with buf_added. */
char *buf_reserve(struct buf *buf, size_t size);
/* So many bytes of that room were written. */
void buf_added(struct buf *buf, size_t size);

/* What does not fit, below the limit or in memory, is not appended at all: the buffer has failed
 * then, and takes nothing more until buf_clear. Numbers in decimal; hex in small letters. */
void buf_append(struct buf *buf, const void *data, size_t size);
void buf_append_span(struct buf *buf, struct span text);
void buf_append_cstr(struct buf *buf, const char *text);
void buf_append_byte(struct buf *buf, char byte);
void buf_append_u64(struct buf *buf, uint64_t value);
void buf_append_i64(struct buf *buf, int64_t value);
void buf_append_u128(struct buf *buf, unsigned __int128 value);
void buf_append_hex(struct buf *buf, const void *data, size_t size);
__attribute__((format(printf, 2, 3))) void buf_append_format(
    struct buf *buf, const char *format, ...);

/* Drops the first `size` bytes and moves the rest to the front. */
void buf_consume(struct buf *buf, size_t size);

static inline bool
buf_failed(const struct buf *buf)
{
    return buf->failed;
}

static inline struct span
buf_span(const struct buf *buf)
{
    return (struct span){.data = buf->data, .size = buf->size};
}

#endif
