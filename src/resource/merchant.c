/* Rows that belong to nobody, written outside of operations: types of merchants and API keys, and
 * the keys. merchants.c makes and closes merchants. */
#include "merchant.h"

#include "cache.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define KEY_RANDOM_LENGTH 32
#define PERMISSIONS_MAX   1000

#define FIELD(type, member, kind_, column_)                                                        \
    {                                                                                              \
        .name = #member, .kind = kind_, .offset = offsetof(struct type, member), .column = column_ \
    }

/* ------------------------------------------------------------------------------------ types */

const struct document_kind resource_merchant_kind = {
    .name = "merchant",
    .columns = {{"number", DOCUMENT_INTEGER, .indexed = true, .unique = true}},
    .column_count = 1,
};
static const struct resource_field merchant_fields[] = {
    FIELD(resource_merchant, name, RESOURCE_FIELD_TEXT, -1),
    FIELD(resource_merchant, number, RESOURCE_FIELD_INTEGER, RESOURCE_MERCHANT_NUMBER_COLUMN),
    FIELD(resource_merchant, keys, RESOURCE_FIELD_INTEGER, -1),
    FIELD(resource_merchant, closed, RESOURCE_FIELD_BOOLEAN, -1),
};
const struct resource_type resource_merchant_type = {
    .object = "account",
    .prefix = "acct_",
    .kind = &resource_merchant_kind,
    .fields = merchant_fields,
    .field_count = sizeof(merchant_fields) / sizeof(merchant_fields[0]),
    .struct_size = sizeof(struct resource_merchant),
};

const struct document_kind resource_api_key_kind = {
    .name = "api_key",
    .columns =
        {{"hash", DOCUMENT_TEXT, .indexed = true}, {"number", DOCUMENT_INTEGER, .indexed = true}},
    .column_count = 2,
};
static const struct resource_field key_fields[] = {
    FIELD(resource_key_row, hash, RESOURCE_FIELD_TEXT, RESOURCE_KEY_HASH_COLUMN),
    FIELD(resource_key_row, merchant, RESOURCE_FIELD_TEXT, -1),
    FIELD(resource_key_row, number, RESOURCE_FIELD_INTEGER, RESOURCE_KEY_NUMBER_COLUMN),
    FIELD(resource_key_row, kind, RESOURCE_FIELD_INTEGER, -1),
    FIELD(resource_key_row, live, RESOURCE_FIELD_BOOLEAN, -1),
    FIELD(resource_key_row, revoked, RESOURCE_FIELD_BOOLEAN, -1),
    FIELD(resource_key_row, merchant_closed, RESOURCE_FIELD_BOOLEAN, -1),
    FIELD(resource_key_row, name, RESOURCE_FIELD_TEXT, -1),
    FIELD(resource_key_row, hint, RESOURCE_FIELD_TEXT, -1),
    FIELD(resource_key_row, permissions, RESOURCE_FIELD_TEXT, -1),
};
const struct resource_type resource_key_type = {
    .object = "api_key",
    .prefix = "key_",
    .kind = &resource_api_key_kind,
    .fields = key_fields,
    .field_count = sizeof(key_fields) / sizeof(key_fields[0]),
    .struct_size = sizeof(struct resource_key_row),
};

/* ---------------------------------------------------------------------------- transactions */

err_t
resource_save_together(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_save *saves,
    uint32_t count)
{
    struct document_store *documents = runtime->documents;
    ASSERT(count <= RESOURCE_SAVES_MAX);
    TRY(resource_transaction_commit(runtime));
    TRY(documents->ops->begin(documents));
    for (uint32_t i = 0; i < count; i++) {
        err_t result = resource_row_save(runtime, arena, saves[i].type, saves[i].document, NULL);
        if (result != ERR_OK) {
            documents->ops->rollback(documents);
            return result;
        }
    }
    return documents->ops->commit(documents);
}

static err_t
save_alone(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    void *document)
{
    const struct resource_save save = {.type = type, .document = document};
    return resource_save_together(runtime, arena, &save, 1);
}

static struct span
new_id(struct resource_runtime *runtime, struct arena *arena, const char *prefix)
{
    char text[ID_TEXT_SIZE];
    size_t size = id_format(prefix, resource_id_next(runtime), text);
    return arena_copy(arena, span_of(text, size));
}

void
resource_copy_id(char out[ID_TEXT_SIZE], struct span id)
{
    ASSERT(id.size < ID_TEXT_SIZE);
    memcpy(out, id.data, id.size);
    out[id.size] = '\0';
}

void *
resource_platform_row(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    struct span id)
{
    struct span own = id.size > 0 ? id : new_id(runtime, arena, type->prefix);
    struct resource_header *header =
        own.data == NULL ? NULL : resource_row_new(arena, type, RESOURCE_SCOPE_NONE, own);
    if (header != NULL) {
        header->created = (int64_t)(os_wall_ns(runtime->parts.clock) / OS_NS_PER_S);
    }
    return header;
}

/* -------------------------------------------------------------------------------- merchants */

static struct document_query
query_of(uint64_t number)
{
    return (struct document_query){
        .scope = RESOURCE_SCOPE_NONE,
        .range_column = UINT32_MAX,
        .filter_count = 1,
        .filters = {{.column = RESOURCE_MERCHANT_NUMBER_COLUMN, .value.integer = (int64_t)number}},
        .limit = 1,
    };
}

/* ERR_NOT_FOUND. */
static err_t
find_merchant(
    struct resource_runtime *runtime,
    struct arena *arena,
    uint64_t number,
    struct resource_merchant **ret_merchant)
{
    const struct document_query query = query_of(number);
    void *found = NULL;
    TRY(resource_row_find_first(runtime, arena, &resource_merchant_type, &query, &found));
    *ret_merchant = found;
    return found == NULL ? ERR_NOT_FOUND : ERR_OK;
}

static err_t
know_merchant(
    struct resource_runtime *runtime,
    struct arena *arena,
    uint64_t number,
    const struct resource_known_merchant **ret_known)
{
    if (number == 0) {
        return ERR_NOT_FOUND; /* what belongs to nobody */
    }
    struct resource_known_merchant *known =
        &runtime->known_merchants[number % RESOURCE_KNOWN_MERCHANTS];
    *ret_known = known;
    if (known->number == number) {
        return ERR_OK;
    }
    struct resource_merchant *merchant;
    TRY(find_merchant(runtime, arena, number, &merchant));
    if (merchant->name.size > RESOURCE_MERCHANT_NAME_MAX) {
        return ERR_CORRUPT;
    }
    resource_copy_id(known->id, merchant->header.id);
    if (merchant->name.size > 0) {
        memcpy(known->name, merchant->name.data, merchant->name.size);
    }
    known->name[merchant->name.size] = '\0';
    known->number = number;
    return ERR_OK;
}

static bool
copy_row_id(void *context, const struct document_row *row)
{
    resource_copy_id(context, row->id);
    return false;
}

err_t
resource_merchant_of(
    struct resource_runtime *runtime,
    struct arena *arena,
    uint64_t number,
    char ret_id[ID_TEXT_SIZE])
{
    const struct resource_known_merchant *known = NULL;
    err_t result = know_merchant(runtime, arena, number, &known);
    if (result == ERR_CORRUPT) { /* its id is not in what cannot be read */
        const struct document_query query = query_of(number);
        struct document_store *documents = runtime->documents;
        return documents->ops->list(
            documents, resource_merchant_type.kind, &query, copy_row_id, ret_id);
    }
    TRY(result);
    memcpy(ret_id, known->id, ID_TEXT_SIZE);
    return ERR_OK;
}

err_t
resource_op_merchant_name(struct resource_op *op, struct span *ret_name)
{
    const struct resource_known_merchant *known = NULL;
    uint64_t number = op->caller.scope / 2;
    *ret_name = SPAN_EMPTY;
    if (number == RESOURCE_MERCHANT_PLATFORM) {
        return ERR_OK;
    }
    resource_transaction_read(op->runtime, op);
    TRY(know_merchant(op->runtime, &op->arena, number, &known));
    struct span name = span_from_cstr(known->name);
    *ret_name = arena_copy(&op->arena, name);
    return name.size > 0 && ret_name->data == NULL ? ERR_FULL : ERR_OK;
}

err_t
resource_op_merchant_closed(struct resource_op *op, bool *ret_closed)
{
    struct resource_merchant *merchant;
    resource_transaction_read(op->runtime, op);
    TRY(find_merchant(op->runtime, &op->arena, op->caller.scope / 2, &merchant));
    *ret_closed = merchant->closed;
    return ERR_OK;
}

/* ----------------------------------------------------------------------- rows page by page */

struct pages {
    struct resource_runtime *runtime;
    const struct resource_type *type;
    bool (*each)(void *context, void *document);
    void *context;
    struct span last;
    uint32_t count;
};

static bool
page_row(void *context, void *document)
{
    struct pages *pages = context;
    pages->last = ((struct resource_header *)document)->id;
    pages->count++;
    return pages->each(pages->context, document);
}

static void
pass_row(void *context, struct span id)
{
    struct pages *pages = context;
    pages->last = id;
    pages->count++;
    resource_row_note_damaged(pages->runtime, NULL, pages->type, id);
}

/* All rows that can be read, or those of them that `filter` says, which may be NULL. */
static err_t
each_row(
    struct resource_runtime *runtime,
    const struct resource_type *type,
    const struct document_filter *filter,
    bool (*each)(void *context, void *document),
    void *context)
{
    struct pages pages = {.runtime = runtime, .type = type, .each = each, .context = context};
    const struct resource_visitor visitor = {
        .each = page_row, .damaged = pass_row, .context = &pages};
    struct arena arena;
    char last[ID_TEXT_SIZE] = "";
    err_t result;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    do {
        struct document_query query = {
            .scope = RESOURCE_SCOPE_NONE,
            .range_column = UINT32_MAX,
            .oldest_first = true,
            .id_above = span_from_cstr(last),
            .limit = RESOURCE_PLATFORM_PAGE,
        };
        if (filter != NULL) {
            query.filters[query.filter_count++] = *filter;
        }
        pages.count = 0;
        result = resource_row_visit(runtime, &arena, type, &query, &visitor);
        if (pages.count > 0) {
            resource_copy_id(last, pages.last);
        }
        arena_clear(&arena);
    } while (result == ERR_OK && pages.count == RESOURCE_PLATFORM_PAGE);
    arena_release(&arena);
    return result;
}

/* By what is beside the bodies: one that cannot be read hides nobody's work. */
struct scope_each {
    void (*each)(void *context, uint64_t scope);
    void *context;
    char last[ID_TEXT_SIZE];
    uint32_t count;
};

static bool
scope_row(void *context, const struct document_row *row)
{
    struct scope_each *each = context;
    uint64_t number = (uint64_t)row->columns[RESOURCE_MERCHANT_NUMBER_COLUMN].integer;
    resource_copy_id(each->last, row->id);
    each->count++;
    each->each(each->context, number * 2);
    each->each(each->context, number * 2 + 1);
    return true;
}

err_t
resource_scope_each(
    struct resource_runtime *runtime, void (*each)(void *context, uint64_t scope), void *context)
{
    struct scope_each scopes = {.each = each, .context = context};
    struct document_store *documents = runtime->documents;
    do {
        const struct document_query query = {
            .scope = RESOURCE_SCOPE_NONE,
            .range_column = UINT32_MAX,
            .oldest_first = true,
            .id_above = span_from_cstr(scopes.last),
            .limit = RESOURCE_PLATFORM_PAGE,
        };
        scopes.count = 0;
        TRY(documents->ops->list(
            documents, resource_merchant_type.kind, &query, scope_row, &scopes));
    } while (scopes.count == RESOURCE_PLATFORM_PAGE);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------- keys */

/* "sk_test_" and 32 random characters: 190 bits. */
static size_t
key_generate(
    struct resource_runtime *runtime,
    enum resource_key_kind kind,
    bool live,
    char out[RESOURCE_KEY_TEXT_SIZE])
{
    static const char *const prefixes[] = {
        [RESOURCE_KEY_SECRET] = "sk",
        [RESOURCE_KEY_RESTRICTED] = "rk",
        [RESOURCE_KEY_PUBLISHABLE] = "pk",
    };
    ASSERT(kind <= RESOURCE_KEY_PUBLISHABLE);
    int prefix =
        snprintf(out, RESOURCE_KEY_TEXT_SIZE, "%s_%s_", prefixes[kind], live ? "live" : "test");
    ASSERT(prefix > 0);
    size_t size = (size_t)prefix;
    static_assert(8 + KEY_RANDOM_LENGTH < RESOURCE_KEY_TEXT_SIZE, "prefix, random text, zero");
    resource_random_text(runtime->parts.entropy, out + size, KEY_RANDOM_LENGTH);
    out[size + KEY_RANDOM_LENGTH] = '\0';
    return size + KEY_RANDOM_LENGTH;
}

err_t
resource_key_row_make(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_key_new *wanted,
    struct resource_merchant *merchant,
    struct resource_key_row **ret_row,
    char ret_key[RESOURCE_KEY_TEXT_SIZE])
{
    if (merchant->closed) {
        return ERR_DENIED;
    }
    struct resource_key_row *row =
        resource_platform_row(runtime, arena, &resource_key_type, SPAN_EMPTY);
    if (row == NULL) {
        return ERR_FULL;
    }
    row->name = span_from_cstr(wanted->name);
    row->permissions = span_from_cstr(wanted->permissions);
    struct resource_key_info info; /* its name must fit */
    if (row->name.size >= sizeof(info.name) || row->permissions.size > PERMISSIONS_MAX ||
        !span_is_utf8(row->name) || !span_is_utf8(row->permissions)) {
        return ERR_INVALID;
    }
    size_t size = key_generate(runtime, wanted->kind, wanted->live, ret_key);
    uint8_t hash[RESOURCE_HASH_SIZE];
    char hash_text[2 * RESOURCE_HASH_SIZE + 1];
    resource_sha256(span_of(ret_key, size), hash);
    resource_hex(hash, hash_text);
    row->hash = arena_copy(arena, span_from_cstr(hash_text));
    row->hint = arena_format(arena, "%.8s...%s", ret_key, ret_key + size - 4);
    row->merchant = merchant->header.id;
    row->number = merchant->number;
    row->kind = (int64_t)wanted->kind + 1;
    row->live = wanted->live;
    merchant->keys++;
    *ret_row = row;
    return row->hash.data == NULL ? ERR_FULL : ERR_OK;
}

/* ERR_STALE: another process has changed the merchant meanwhile. */
static err_t
key_create(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_key_new *wanted,
    char key[RESOURCE_KEY_TEXT_SIZE])
{
    void *found;
    struct resource_key_row *row = NULL;
    struct span merchant_id = span_from_cstr(wanted->merchant_id);
    TRY(resource_row_load(
        runtime, arena, &resource_merchant_type, RESOURCE_SCOPE_NONE, merchant_id, &found));
    TRY(resource_key_row_make(runtime, arena, wanted, found, &row, key));
    const struct resource_save saves[] = {
        {.type = &resource_merchant_type, .document = found},
        {.type = &resource_key_type, .document = row},
    };
    TRY(resource_save_together(runtime, arena, saves, 2));
    resource_cache_tell_key(runtime, row->hash);
    return ERR_OK;
}

err_t
/* All of what a key is, once: NOLINTNEXTLINE(readability-function-size) */
resource_key_create(
    struct resource_runtime *runtime,
    const char *merchant_id,
    enum resource_key_kind kind,
    bool live,
    const char *name,
    const char *permissions,
    char ret_key[RESOURCE_KEY_TEXT_SIZE])
{
    struct resource_key_new wanted = {
        .merchant_id = merchant_id,
        .kind = kind,
        .live = live,
        .name = name,
        .permissions = permissions,
    };
    struct arena arena;
    arena_init(&arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    char text[RESOURCE_KEY_TEXT_SIZE];
    err_t result = ERR_STALE;
    for (int tries = 0; result == ERR_STALE && tries < RESOURCE_PLATFORM_TRIES_MAX; tries++) {
        result = key_create(runtime, &arena, &wanted, text);
    }
    if (result == ERR_OK) {
        memcpy(ret_key, text, sizeof(text));
    }
    explicit_bzero(text, sizeof(text));
    arena_release(&arena);
    return result;
}

/* Begins the arena, which is to be released whatever comes of it. */
static err_t
key_load(
    struct resource_runtime *runtime, struct arena *arena, struct span key_id, void **ret_found)
{
    arena_init(arena, RESOURCE_PLATFORM_ARENA_LIMIT);
    return resource_row_load(
        runtime, arena, &resource_key_type, RESOURCE_SCOPE_NONE, key_id, ret_found);
}

err_t
resource_key_revoke(struct resource_runtime *runtime, const char *key_id)
{
    struct arena arena;
    void *found;
    err_t result = key_load(runtime, &arena, span_from_cstr(key_id), &found);
    if (result == ERR_OK) {
        struct resource_key_row *row = found;
        row->revoked = true;
        struct span hash = row->hash;
        result = save_alone(runtime, &arena, &resource_key_type, row);
        resource_cache_tell_key(runtime, hash); /* also if the outcome is not known */
        resource_auth_forget_key(runtime, hash);
    }
    arena_release(&arena);
    return result;
}

struct key_each {
    void (*each)(void *context, const struct resource_key_info *key);
    void *context;
};

static void
copy_text(char *out, size_t size, struct span text)
{
    size_t length = text.size < size ? text.size : size - 1;
    if (length > 0) {
        memcpy(out, text.data, length);
    }
    out[length] = '\0';
}

static void
key_info_fill(const struct resource_key_row *row, struct resource_key_info *info)
{
    *info = (struct resource_key_info){
        .kind = (enum resource_key_kind)(row->kind - 1),
        .live = row->live,
        .revoked = row->revoked,
        .created = row->header.created,
    };
    resource_copy_id(info->id, row->header.id);
    resource_copy_id(info->merchant_id, row->merchant);
    copy_text(info->name, sizeof(info->name), row->name);
    copy_text(info->hint, sizeof(info->hint), row->hint);
}

static bool
key_row(void *context, void *document)
{
    struct key_each *each = context;
    struct resource_key_info info;
    key_info_fill(document, &info);
    each->each(each->context, &info);
    return true;
}

err_t
resource_key_each(
    struct resource_runtime *runtime,
    void (*each)(void *context, const struct resource_key_info *key),
    void *context)
{
    struct key_each keys = {.each = each, .context = context};
    return each_row(runtime, &resource_key_type, NULL, key_row, &keys);
}

err_t
resource_key_each_of(
    struct resource_runtime *runtime,
    int64_t number,
    void (*each)(void *context, const struct resource_key_info *key),
    void *context)
{
    const struct document_filter filter = {
        .column = RESOURCE_KEY_NUMBER_COLUMN, .value.integer = number};
    struct key_each keys = {.each = each, .context = context};
    return each_row(runtime, &resource_key_type, &filter, key_row, &keys);
}

err_t
resource_key_find(
    struct resource_runtime *runtime, struct span key_id, struct resource_key_info *ret_info)
{
    struct arena arena;
    void *found;
    err_t result = key_load(runtime, &arena, key_id, &found);
    if (result == ERR_OK) {
        key_info_fill(found, ret_info);
    }
    arena_release(&arena);
    return result;
}

static err_t
key_remove(struct resource_runtime *runtime, const struct resource_key_row *row)
{
    struct document_store *documents = runtime->documents;
    TRY(resource_transaction_commit(runtime));
    TRY(documents->ops->begin(documents));
    err_t result = documents->ops->remove(
        documents,
        resource_key_type.kind,
        RESOURCE_SCOPE_NONE,
        row->header.id,
        row->header.version);
    if (result != ERR_OK) {
        documents->ops->rollback(documents);
        return result;
    }
    return documents->ops->commit(documents);
}

err_t
resource_key_remove(struct resource_runtime *runtime, const char *key_id)
{
    struct arena arena;
    void *found;
    err_t result = key_load(runtime, &arena, span_from_cstr(key_id), &found);
    if (result == ERR_OK) {
        const struct resource_key_row *row = found;
        result = row->revoked ? key_remove(runtime, row) : ERR_INVALID;
        resource_cache_tell_key(runtime, row->hash);
    }
    arena_release(&arena);
    return result;
}
