/*
 * Memory with one lifetime: a request's, a batch's. Nothing is freed alone; everything goes with
 * arena_clear or arena_release. Not thread-safe: one owner at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out since the last clear */
    size_t limit;               /* used never exceeds it */
};

void arena_init(struct arena *arena, size_t limit);
void arena_release(struct arena *arena);
/* Takes everything back; keeps one block for the next use. */
void arena_clear(struct arena *arena);
/* As arena_clear, after overwriting every byte handed out. For memory that held secrets. */
void arena_wipe(struct arena *arena);

/* Zeroed memory aligned for any type; NULL when the limit is reached or memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc_array((arena), sizeof(type), (count)))
void *arena_alloc_array(struct arena *arena, size_t element_size, size_t count);

/* A copy that lives as long as the arena; {NULL, 0} when the limit is reached. */
struct span arena_copy(struct arena *arena, struct span text);
/* The same with a zero behind it (not counted in any size); NULL when the limit is reached. */
char *arena_cstr(struct arena *arena, struct span text);
__attribute__((format(printf, 2, 3))) struct span arena_format(
    struct arena *arena, const char *format, ...);

#endif
