/* What merchant.c and merchants.c share: rows of the platform, and how they are written. */
#ifndef RESOURCE_MERCHANT_H
#define RESOURCE_MERCHANT_H

#include "resource/merchants.h"

#include "runtime.h"

/* Memory of one call; the largest is a page of keys with all their permissions. */
#define RESOURCE_PLATFORM_ARENA_LIMIT (4U << 20)
/* Rows that are read at once. */
#define RESOURCE_PLATFORM_PAGE DOCUMENT_LIST_MAX
/* Against processes that do the same at once. */
#define RESOURCE_PLATFORM_TRIES_MAX 64
#define RESOURCE_SAVES_MAX          RESOURCE_PLATFORM_PAGE

struct resource_save {
    const struct resource_type *type;
    void *document;
};

/* A transaction of its own for these rows, durable on return. What the present group wrote so far
 * is committed first: on the loop there is one transaction at a time. ERR_STALE: another process
 * was first, and nothing was written. */
MUST_USE err_t resource_save_together(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_save *saves,
    uint32_t count);
/* A new row of nobody's scope; with an empty `id` it gets a new one. NULL: the arena is full. */
void *resource_platform_row(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    struct span id);
void resource_copy_id(char out[ID_TEXT_SIZE], struct span id);

/* A row for a new key of this merchant, which counts it; both are for the caller to save. On
 * failure `key` may be filled all the same: the caller wipes it. ERR_DENIED: the merchant is
 * closed. */
MUST_USE err_t resource_key_row_make(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_key_new *wanted,
    struct resource_merchant *merchant,
    struct resource_key_row **ret_row,
    char key[RESOURCE_KEY_TEXT_SIZE]);

#endif
