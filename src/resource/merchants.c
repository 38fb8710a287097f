/*
 * Merchants, as operators make, look at and close them.
 *
 * A merchant that is made under an idempotency key has its id from the key's hash, so that the same
 * key finds it again in any process, without a row that says so. Ids of merchants are therefore not
 * in the order of their creation; their numbers are, and are looked for by themselves.
 */
#include "merchant.h"

#include "cache.h"

#include "base/assert.h"

#include <string.h>

/* ---------------------------------------------------------------------------------- numbers */

/* ERR_NOT_FOUND: no merchant has this number or a higher one. */
static err_t
number_at_least(
    struct resource_runtime *runtime, struct arena *arena, int64_t least, int64_t *ret_number)
{
    struct document_query query = {
        .scope = RESOURCE_SCOPE_NONE,
        .range_column = RESOURCE_MERCHANT_NUMBER_COLUMN,
        .range_min = least,
        .range_max = INT64_MAX,
        .limit = 1,
    };
    struct resource_merchant *found = NULL;
    TRY(resource_row_find_first(runtime, arena, &resource_merchant_type, &query, (void **)&found));
    if (found == NULL) {
        return ERR_NOT_FOUND;
    }
    ASSERT(found->number >= least);
    *ret_number = found->number;
    return ERR_OK;
}

/* The highest number that is given, 0 for none: first in steps that double, then between bounds.
 * Every turn doubles the step or halves what is between them, so there are at most 128. */
static err_t
number_highest(struct resource_runtime *runtime, struct arena *arena, int64_t *ret_number)
{
    int64_t given = 0; /* is given, or 0 */
    int64_t free_from = INT64_MAX;
    int64_t step = 1;
    bool bounded = false;
    while (free_from - given > 1) {
        int64_t half = (free_from - given) / 2;
        int64_t least = given + (bounded || step > half ? half : step);
        int64_t found = 0;
        err_t result = number_at_least(runtime, arena, least, &found);
        if (result == ERR_NOT_FOUND) {
            free_from = least;
            bounded = true;
        } else if (result != ERR_OK) {
            return result;
        } else {
            given = found;
            step = step > half ? step : step * 2;
        }
    }
    *ret_number = given;
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------- create */

static bool
name_is_good(struct span name)
{
    return name.size > 0 && name.size <= RESOURCE_MERCHANT_NAME_MAX && span_is_utf8(name) &&
           memchr(name.data, '\0', name.size) == NULL;
}

/* Not saved; `above` the highest number. */
static err_t
merchant_make(
    struct resource_runtime *runtime,
    struct arena *arena,
    const char *name,
    struct span id,
    int64_t above,
    struct resource_merchant **ret_merchant)
{
    int64_t highest = 0;
    if (!name_is_good(span_from_cstr(name))) {
        return ERR_INVALID;
    }
    TRY(number_highest(runtime, arena, &highest));
    if (highest > INT64_MAX / 2 - above) {
        return ERR_FULL; /* scopes are twice the number, plus one */
    }
    struct resource_merchant *merchant =
        resource_platform_row(runtime, arena, &resource_merchant_type, id);
    if (merchant == NULL) {
        return ERR_FULL;
    }
    merchant->name = span_from_cstr(name);
    merchant->number = highest + above;
    *ret_merchant = merchant;
    return ERR_OK;
}

static err_t
merchant_create(
    struct resource_runtime *runtime,
    struct arena *arena,
    const char *name,
    int64_t above,
    char ret_id[ID_TEXT_SIZE])
{
    struct resource_merchant *merchant = NULL;
    TRY(merchant_make(runtime, arena, name, SPAN_EMPTY, above, &merchant));
    const struct resource_save save = {.type = &resource_merchant_type, .document = merchant};
    TRY(resource_save_together(runtime, arena, &save, 1));
    resource_copy_id(ret_id, merchant->header.id);
    return ERR_OK;
}

err_t
resource_merchant_create(
    struct resource_runtime *runtime, const char *name, char ret_id[ID_TEXT_SIZE])
{
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    err_t result = ERR_STALE;
    for (int64_t above = 1; result == ERR_STALE && above <= RESOURCE_PLATFORM_TRIES_MAX; above++) {
        result = merchant_create(runtime, &arena, name, above, ret_id);
        arena_clear(&arena);
    }
    arena_release(&arena);
    return result;
}

/* ------------------------------------------------------------------------------------- look */

static void
info_fill(const struct resource_merchant *merchant, struct resource_merchant_info *info)
{
    *info = (struct resource_merchant_info){
        .number = merchant->number,
        .created = merchant->header.created,
        .keys = merchant->keys,
        .closed = merchant->closed,
    };
    resource_copy_id(info->id, merchant->header.id);
    ASSERT(merchant->name.size < sizeof(info->name));
    if (merchant->name.size > 0) {
        memcpy(info->name, merchant->name.data, merchant->name.size);
    }
}

static err_t
merchant_load(
    struct resource_runtime *runtime,
    struct arena *arena,
    struct span id,
    struct resource_merchant **ret_merchant)
{
    void *found = NULL;
    TRY(resource_row_load(
        runtime, arena, &resource_merchant_type, RESOURCE_SCOPE_NONE, id, &found));
    *ret_merchant = found;
    return ERR_OK;
}

err_t
resource_merchant_find(
    struct resource_runtime *runtime, struct span id, struct resource_merchant_info *ret_info)
{
    struct resource_merchant *merchant = NULL;
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    err_t result = merchant_load(runtime, &arena, id, &merchant);
    if (result == ERR_OK) {
        info_fill(merchant, ret_info);
    }
    arena_release(&arena);
    return result;
}

struct listing {
    void (*each)(void *context, const struct resource_merchant_info *merchant);
    void *context;
    uint32_t left;
    bool more;
};

static bool
list_row(void *context, void *document)
{
    struct listing *listing = context;
    struct resource_merchant_info info;
    if (listing->left == 0) {
        listing->more = true;
        return false;
    }
    listing->left--;
    info_fill(document, &info);
    listing->each(listing->context, &info);
    return true;
}

err_t
resource_merchant_list(
    struct resource_runtime *runtime,
    struct span after,
    uint32_t limit,
    void (*each)(void *context, const struct resource_merchant_info *merchant),
    void *context,
    bool *ret_more)
{
    uint32_t count = limit < DOCUMENT_LIST_MAX ? limit : DOCUMENT_LIST_MAX - 1;
    struct listing listing = {.each = each, .context = context, .left = count};
    struct document_query query = {
        .scope = RESOURCE_SCOPE_NONE,
        .range_column = UINT32_MAX,
        .oldest_first = true,
        .id_above = after,
        .limit = count + 1,
    };
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    err_t result =
        resource_row_find(runtime, &arena, &resource_merchant_type, &query, list_row, &listing);
    arena_release(&arena);
    *ret_more = listing.more;
    return result;
}

/* ----------------------------------------------------------------------------------- ensure */

/* "acct_" and digits of the key's hash. */
static struct span
id_of_key(struct arena *arena, struct span idempotency_key)
{
    uint8_t hash[RESOURCE_HASH_SIZE];
    char text[ID_TEXT_SIZE];
    u128 number;
    static_assert(sizeof(number) <= sizeof(hash), "a part of the hash");
    resource_sha256(idempotency_key, hash);
    memcpy(&number, hash, sizeof(number));
    size_t size = id_format(resource_merchant_type.prefix, number, text);
    return arena_copy(arena, span_of(text, size));
}

struct ensure {
    struct resource_runtime *runtime;
    const char *name;
    struct span idempotency_key;
    char key[RESOURCE_KEY_TEXT_SIZE]; /* empty: the merchant was there */
};

/* ERR_STALE: another process has made a merchant meanwhile, perhaps this one. */
static err_t
ensure_once(
    struct ensure *ensure,
    struct arena *arena,
    int64_t above,
    struct resource_merchant **ret_merchant)
{
    struct resource_runtime *runtime = ensure->runtime;
    struct resource_merchant *merchant = NULL;
    struct resource_key_row *row = NULL;
    struct span id = id_of_key(arena, ensure->idempotency_key);
    if (id.data == NULL) {
        return ERR_FULL;
    }
    err_t result = merchant_load(runtime, arena, id, &merchant);
    if (result == ERR_OK) {
        *ret_merchant = merchant;
        return span_equal_cstr(merchant->name, ensure->name) ? ERR_OK : ERR_EXISTS;
    }
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    TRY(merchant_make(runtime, arena, ensure->name, id, above, &merchant));
    const struct resource_key_new wanted = {.kind = RESOURCE_KEY_SECRET, .name = "first key"};
    TRY(resource_key_row_make(runtime, arena, &wanted, merchant, &row, ensure->key));
    const struct resource_save saves[] = {
        {.type = &resource_merchant_type, .document = merchant},
        {.type = &resource_key_type, .document = row},
    };
    result = resource_save_together(runtime, arena, saves, 2);
    if (result == ERR_OK) {
        resource_cache_tell_key(runtime, row->hash);
        *ret_merchant = merchant;
    } else {
        explicit_bzero(ensure->key, sizeof(ensure->key));
    }
    return result;
}

err_t
resource_merchant_ensure(
    struct resource_runtime *runtime,
    const char *name,
    struct span idempotency_key,
    struct resource_merchant_info *ret_info,
    char ret_key[RESOURCE_KEY_TEXT_SIZE])
{
    ASSERT(idempotency_key.size > 0);
    struct ensure ensure = {.runtime = runtime, .name = name, .idempotency_key = idempotency_key};
    struct resource_merchant *merchant = NULL;
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    err_t result = ERR_STALE;
    for (int64_t above = 1; result == ERR_STALE && above <= RESOURCE_PLATFORM_TRIES_MAX; above++) {
        arena_clear(&arena);
        result = ensure_once(&ensure, &arena, above, &merchant);
    }
    if (result == ERR_OK) {
        info_fill(merchant, ret_info);
        memcpy(ret_key, ensure.key, RESOURCE_KEY_TEXT_SIZE);
    }
    explicit_bzero(ensure.key, sizeof(ensure.key));
    arena_release(&arena);
    return result;
}

/* ------------------------------------------------------------------------------ close, open */

struct key_page {
    const struct resource_merchant *merchant;
    struct resource_save saves[RESOURCE_SAVES_MAX]; /* the merchant's keys that are to change */
    uint32_t save_count;
    uint32_t row_count;
    struct span last;
};

static bool
page_key(void *context, void *document)
{
    struct key_page *page = context;
    struct resource_key_row *row = document;
    page->row_count++;
    page->last = row->header.id;
    if (span_equal(row->merchant, page->merchant->header.id) &&
        row->merchant_closed != page->merchant->closed) {
        row->merchant_closed = page->merchant->closed;
        page->saves[page->save_count++] =
            (struct resource_save){.type = &resource_key_type, .document = row};
    }
    return true;
}

/* One page of all keys behind `last`, which becomes its last one; the page's are changed together.
 */
static err_t
close_keys(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_merchant *merchant,
    char last[ID_TEXT_SIZE],
    bool *ret_more)
{
    struct key_page page = {.merchant = merchant};
    struct document_query query = {
        .scope = RESOURCE_SCOPE_NONE,
        .range_column = UINT32_MAX,
        .oldest_first = true,
        .id_above = span_from_cstr(last),
        .limit = RESOURCE_PLATFORM_PAGE,
    };
    TRY(resource_row_find(runtime, arena, &resource_key_type, &query, page_key, &page));
    if (page.save_count > 0) {
        err_t result = resource_save_together(runtime, arena, page.saves, page.save_count);
        for (uint32_t i = 0; i < page.save_count; i++) { /* also if the outcome is not known */
            const struct resource_key_row *row = page.saves[i].document;
            resource_cache_tell_key(runtime, row->hash);
        }
        if (result != ERR_OK) {
            return result;
        }
    }
    if (page.row_count > 0) {
        resource_copy_id(last, page.last);
    }
    *ret_more = page.row_count == RESOURCE_PLATFORM_PAGE;
    return ERR_OK;
}

/* RESOURCE-11. The merchant first: from then on nobody makes a key that the walk could miss.
 * ERR_STALE: another process changed one of the rows meanwhile. */
static err_t
close_once(
    struct resource_runtime *runtime,
    struct span id,
    bool closed,
    struct arena *arena,
    struct resource_merchant_info *ret_info)
{
    struct resource_merchant *merchant = NULL;
    TRY(merchant_load(runtime, arena, id, &merchant));
    if (merchant->closed != closed) {
        const struct resource_save save = {.type = &resource_merchant_type, .document = merchant};
        merchant->closed = closed;
        TRY(resource_save_together(runtime, arena, &save, 1));
    }
    char last[ID_TEXT_SIZE] = "";
    bool more = true;
    err_t result = ERR_OK;
    while (result == ERR_OK && more) {
        struct arena page;
        arena_init(&page, RESOURCE_PLATFORM_ARENA_LIMIT);
        result = close_keys(runtime, &page, merchant, last, &more);
        arena_release(&page);
    }
    if (result == ERR_OK) {
        info_fill(merchant, ret_info);
    }
    return result;
}

err_t
resource_merchant_close(
    struct resource_runtime *runtime,
    struct span id,
    bool closed,
    struct resource_merchant_info *ret_info)
{
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    err_t result = ERR_STALE;
    for (int tries = 0; result == ERR_STALE && tries < RESOURCE_PLATFORM_TRIES_MAX; tries++) {
        arena_clear(&arena);
        result = close_once(runtime, id, closed, &arena, ret_info);
    }
    arena_release(&arena);
    resource_auth_forget(runtime);
    return result;
}
