#include "base/arena.h"

#include "base/assert.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_FIRST 4096
/* Blocks double up to this; a larger single request gets a block of its own, which is not kept. */
#define ARENA_BLOCK_MAX 65536
#define ARENA_ALIGNMENT alignof(max_align_t)

struct arena_block {
    struct arena_block *older;
    size_t capacity;
    size_t used; /* a multiple of the alignment */
    alignas(max_align_t) char data[];
};

void
arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

void
arena_release(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *older = arena->blocks->older;
        free(arena->blocks);
        arena->blocks = older;
    }
    arena->used = 0;
}

void
arena_clear(struct arena *arena)
{
    struct arena_block *kept = NULL;
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->older;
        if (kept == NULL && block->capacity <= ARENA_BLOCK_MAX) {
            kept = block;
            kept->older = NULL;
            kept->used = 0;
        } else {
            free(block);
        }
    }
    arena->blocks = kept;
    arena->used = 0;
}

void
arena_wipe(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block != NULL; block = block->older) {
        explicit_bzero(block->data, block->used);
    }
    arena_clear(arena);
}

static struct arena_block *
arena_add_block(struct arena *arena, size_t size)
{
    size_t capacity = ARENA_BLOCK_FIRST;
    if (arena->blocks != NULL && arena->blocks->capacity >= ARENA_BLOCK_FIRST) {
        capacity = arena->blocks->capacity * 2;
    }
    if (capacity > ARENA_BLOCK_MAX) {
        capacity = ARENA_BLOCK_MAX;
    }
    if (capacity < size) {
        capacity = size;
    }
    struct arena_block *block = malloc(sizeof(*block) + capacity);
    if (block == NULL) {
        return NULL;
    }
    block->capacity = capacity;
    block->used = 0;
    block->older = arena->blocks;
    arena->blocks = block;
    return block;
}

/* Not cleared. */
static void *
arena_take(struct arena *arena, size_t size)
{
    ASSERT(arena->used <= arena->limit);
    if (size > arena->limit - arena->used) {
        return NULL;
    }
    if (size > SIZE_MAX - sizeof(struct arena_block) - ARENA_ALIGNMENT) {
        return NULL;
    }
    /* At least one unit, so that two requests never share an address. */
    size_t rounded = size == 0 ? ARENA_ALIGNMENT
                               : (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    struct arena_block *block = arena->blocks;
    if (block == NULL || rounded > block->capacity - block->used) {
        block = arena_add_block(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    char *memory = block->data + block->used;
    block->used += rounded;
    arena->used += size;
    return memory;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    void *memory = arena_take(arena, size);
    return memory == NULL ? NULL : memset(memory, 0, size);
}

void *
arena_alloc_array(struct arena *arena, size_t element_size, size_t count)
{
    size_t size;
    if (__builtin_mul_overflow(element_size, count, &size)) {
        return NULL;
    }
    return arena_alloc(arena, size);
}

struct span
arena_copy(struct arena *arena, struct span text)
{
    char *memory = arena_take(arena, text.size);
    if (memory == NULL) {
        return SPAN_EMPTY;
    }
    if (text.size > 0) {
        memcpy(memory, text.data, text.size);
    }
    return span_of(memory, text.size);
}

char *
arena_cstr(struct arena *arena, struct span text)
{
    if (text.size == SIZE_MAX) {
        return NULL;
    }
    char *memory = arena_alloc(arena, text.size + 1);
    if (memory != NULL && text.size > 0) {
        memcpy(memory, text.data, text.size);
    }
    return memory;
}

struct span
arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return SPAN_EMPTY;
    }
    char *memory = arena_alloc(arena, (size_t)length + 1);
    if (memory == NULL) {
        return SPAN_EMPTY;
    }
    va_start(arguments, format);
    (void)vsnprintf(memory, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return span_of(memory, (size_t)length);
}
