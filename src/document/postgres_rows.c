/*
 * The rows of a transaction, in memory. What is written waits here for the commit, which sends it
 * in one flush; what is read is kept as long, so that a group asks for a row once. Reads see what
 * was written (DOCUMENT-3), and each row knows on whose behalf it was read and written: who lost
 * against another process is found out by that.
 */
#include "postgres.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <string.h>

/* A row is found in this process only, and ids are ours: nobody gains by collisions. */
static const struct hash_key row_hash_key = {0x7461656c, 0x726f7773};

bool
document_pg_text_is_storable(struct span text)
{
    return text.size == 0 || (memchr(text.data, '\0', text.size) == NULL && span_is_utf8(text));
}

static uint64_t
row_hash(const struct document_kind *kind, uint64_t scope, struct span id)
{
    return hash_keyed(row_hash_key, id) ^ hash_u64(scope) ^ hash_u64((uint64_t)(uintptr_t)kind);
}

struct document_pg_row *
document_pg_row_find(
    struct document_pg *pg, const struct document_kind *kind, uint64_t scope, struct span id)
{
    for (struct map_link *link = map_find(&pg->rows, row_hash(kind, scope, id)); link != NULL;
         link = map_next(link)) {
        struct document_pg_row *row = CONTAINER_OF(link, struct document_pg_row, link);
        if (row->of->kind == kind && row->scope == scope && span_equal(row->id, id)) {
            return row;
        }
    }
    return NULL;
}

static err_t
row_create(
    struct document_pg *pg,
    struct document_pg_kind *of,
    uint64_t scope,
    struct span id,
    struct document_pg_row **ret_row)
{
    struct document_pg_row *row = ARENA_NEW(&pg->arena, struct document_pg_row);
    if (row == NULL) {
        return ERR_FULL;
    }
    row->of = of;
    row->scope = scope;
    row->id = arena_copy(&pg->arena, id);
    if (row->id.data == NULL && id.size > 0) {
        return ERR_FULL;
    }
    TRY(map_insert(&pg->rows, row_hash(of->kind, scope, id), &row->link));
    *pg->last_row = row;
    pg->last_row = &row->next;
    *ret_row = row;
    return ERR_OK;
}

static err_t
copy_text(struct arena *arena, struct span text, struct span *ret_copy)
{
    *ret_copy = SPAN_EMPTY;
    if (text.size > 0) {
        *ret_copy = arena_copy(arena, text);
        return ret_copy->data == NULL ? ERR_FULL : ERR_OK;
    }
    return ERR_OK;
}

/* Body and columns; those in `keep` stay as they are. */
static err_t
row_fill(
    struct document_pg *pg,
    struct document_pg_row *row,
    const struct document_row *from,
    uint32_t keep)
{
    TRY(copy_text(&pg->arena, from->body, &row->body));
    for (uint32_t i = 0; i < row->of->kind->column_count; i++) {
        if ((keep & 1U << i) == 0) {
            row->columns[i] = from->columns[i];
            TRY(copy_text(&pg->arena, from->columns[i].text, &row->columns[i].text));
        }
    }
    return ERR_OK;
}

err_t
document_pg_row_keep(
    struct document_pg *pg,
    struct document_pg_kind *of,
    uint64_t scope,
    struct span id,
    const struct document_row *read,
    struct document_pg_row **ret_row)
{
    struct document_pg_row *row = document_pg_row_find(pg, of->kind, scope, id);
    if (row == NULL) {
        TRY(row_create(pg, of, scope, id, &row));
    } else if (row->dirty) {
        *ret_row = row;
        return ERR_OK;
    }
    row->base = row->version = read == NULL ? 0 : read->version;
    if (read != NULL) {
        TRY(row_fill(pg, row, read, 0));
    }
    *ret_row = row;
    return ERR_OK;
}

void
document_pg_row_note_owner(struct document_pg *pg, struct document_pg_row *row, bool wrote)
{
    pg->saw_dirty = pg->saw_dirty || row->dirty;
    for (struct document_pg_owner *at = row->owners; at != NULL; at = at->next) {
        if (at->owner == pg->owner) {
            at->wrote = at->wrote || wrote;
            return;
        }
    }
    struct document_pg_owner *owner = ARENA_NEW(&pg->arena, struct document_pg_owner);
    if (owner == NULL) {
        pg->write_failure = ERR_FULL;
        return;
    }
    *owner = (struct document_pg_owner){.next = row->owners, .owner = pg->owner, .wrote = wrote};
    row->owners = owner;
}

void
document_pg_row_drop(struct document_pg *pg, struct document_pg_row *row)
{
    if (row->gone) {
        return;
    }
    row->gone = true;
    map_remove(&pg->rows, &row->link);
    if (row->dirty) {
        row->dirty = false;
        row->of->dirty--;
        pg->dirty_count--;
    }
}

void
document_pg_forget_reads(struct document_pg *pg)
{
    if (pg->dirty_count == 0) {
        document_pg_forget(pg);
        return;
    }
    pg->listed = NULL;
    for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
        if (!row->dirty) {
            document_pg_row_drop(pg, row);
        }
    }
}

void
document_pg_forget(struct document_pg *pg)
{
    for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
        document_pg_row_drop(pg, row);
    }
    ASSERT(pg->dirty_count == 0);
    pg->first_row = NULL;
    pg->last_row = &pg->first_row;
    pg->listed = NULL;
    arena_clear(&pg->arena);
}

/* ------------------------------------------------------------------------------------- reading */

static err_t
row_give(const struct document_pg_row *row, struct arena *arena, struct document_row *ret_row)
{
    struct document_row copy = {.scope = row->scope, .version = row->version};
    copy.id = arena_copy(arena, row->id);
    copy.body = arena_copy(arena, row->body);
    if (copy.id.data == NULL || copy.body.data == NULL) {
        return ERR_FULL;
    }
    for (uint32_t i = 0; i < row->of->kind->column_count; i++) {
        copy.columns[i] = row->columns[i];
        TRY(copy_text(arena, row->columns[i].text, &copy.columns[i].text));
    }
    *ret_row = copy;
    return ERR_OK;
}

err_t
document_pg_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_pg *pg = document_pg_of(store);
    if (!document_pg_text_is_storable(id)) {
        return ERR_NOT_FOUND;
    }
    struct document_pg_row *row = document_pg_row_find(pg, kind, scope, id);
    if (row == NULL) {
        TRY(document_pg_fetch(pg, document_pg_kind(pg, kind), scope, id, &row));
    }
    document_pg_row_note_owner(pg, row, false);
    return row->version == 0 ? ERR_NOT_FOUND : row_give(row, arena, ret_row);
}

/* ------------------------------------------------------------------------------------- writing */

/* What every write checks first. */
static err_t
write_begin(
    struct document_pg *pg, const struct document_kind *kind, const struct document_row *row)
{
    ASSERT(pg->in_transaction);
    ASSERT(row->scope <= INT64_MAX);
    TRY(pg->write_failure);
    bool good = document_pg_text_is_storable(row->id) && document_pg_text_is_storable(row->body);
    for (uint32_t i = 0; i < kind->column_count; i++) {
        good = good && document_pg_text_is_storable(row->columns[i].text);
    }
    return good ? ERR_OK : ERR_INVALID;
}

static void
mark_dirty(struct document_pg *pg, struct document_pg_row *row)
{
    if (!row->dirty) {
        row->dirty = true;
        row->of->dirty++;
        pg->dirty_count++;
    }
    document_pg_row_note_owner(pg, row, true);
}

/* A failure that the transaction cannot survive: part of the row may be there. */
static err_t
spoiled(struct document_pg *pg, err_t failure)
{
    if (failure != ERR_OK) {
        pg->write_failure = failure;
    }
    return failure;
}

err_t
document_pg_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_pg *pg = document_pg_of(store);
    TRY(write_begin(pg, kind, row));
    ASSERT(row->unchanged_columns == 0);
    struct document_pg_row *kept = document_pg_row_find(pg, kind, row->scope, row->id);
    if (kept != NULL && kept->version > 0) {
        document_pg_row_note_owner(pg, kept, false);
        return ERR_EXISTS;
    }
    if (kept == NULL) {
        TRY(spoiled(pg, row_create(pg, document_pg_kind(pg, kind), row->scope, row->id, &kept)));
    }
    mark_dirty(pg, kept);
    kept->version = 1;
    kept->unwritten = 0;
    kept->unless_there = row->unless_there && kept->base == 0;
    return spoiled(pg, row_fill(pg, kept, row, 0));
}

/* The row that a write is about, at the version that it names. */
static err_t
row_at_version(
    struct document_pg *pg,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version,
    struct document_pg_row **ret_row)
{
    struct document_pg_row *row = document_pg_row_find(pg, kind, scope, id);
    if (row != NULL && row->version != version) {
        document_pg_row_note_owner(pg, row, false);
        return ERR_STALE;
    }
    if (row == NULL) {
        TRY(spoiled(pg, row_create(pg, document_pg_kind(pg, kind), scope, id, &row)));
        row->base = row->version = version;
        row->unwritten = (1U << kind->column_count) - 1;
    }
    *ret_row = row;
    return ERR_OK;
}

err_t
document_pg_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_pg *pg = document_pg_of(store);
    TRY(write_begin(pg, kind, row));
    ASSERT(row->version > 0);
    ASSERT(row->unchanged_columns < 1U << kind->column_count);
    struct document_pg_row *kept = document_pg_row_find(pg, kind, row->scope, row->id);
    bool is_known = kept != NULL;
    TRY(row_at_version(pg, kind, row->scope, row->id, row->version, &kept));
    if (is_known && !kept->dirty) {
        kept->unwritten = (1U << kind->column_count) - 1;
    }
    mark_dirty(pg, kept);
    kept->version = row->version + 1;
    kept->unwritten &= row->unchanged_columns;
    return spoiled(pg, row_fill(pg, kept, row, is_known ? row->unchanged_columns : 0));
}

err_t
document_pg_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_pg *pg = document_pg_of(store);
    struct document_row row = {.scope = scope, .id = id};
    TRY(write_begin(pg, kind, &row));
    ASSERT(version > 0);
    struct document_pg_row *kept;
    TRY(row_at_version(pg, kind, scope, id, version, &kept));
    mark_dirty(pg, kept);
    kept->version = 0;
    kept->unwritten = 0;
    return ERR_OK;
}
