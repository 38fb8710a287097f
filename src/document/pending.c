/*
 * Rows that are new, and whose owner knows that they are (`fresh`), wait here before SQLite gets
 * them: most are written once or twice more soon after, and only their last state goes into the
 * tables. They are in the row log all the while.
 *
 * PENDING-1  A row is here or in SQLite's tables, never in both.
 * PENDING-2  Before SQLite is asked for a list, and before its transaction ends, the rows that it
 *            must know of are there.
 */
#include "sqlite.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Rows that are older by so many groups are at rest, most of them. */
#define AGE_GROUPS 8
/* More are given to SQLite at once. */
#define PENDING_MAX 100000

struct document_pending {
    struct map_link link;
    struct list_link order; /* in its kind's rows, oldest first */
    uint64_t group;         /* complete ones, when it was new */
    struct document_row row;
    char texts[]; /* of the row */
};

static uint64_t
row_hash(const struct document_kind_statements *of, uint64_t scope, struct span id)
{
    /* Rows that are here have ids that nobody chose: the end of one tells it from others. */
    uint64_t tail[2] = {0, 0};
    size_t size = id.size < sizeof(tail) ? id.size : sizeof(tail);
    memcpy(tail, id.data + (id.size - size), size);
    return hash_u64(tail[0] ^ hash_u64(tail[1] ^ scope ^ (uintptr_t)of));
}

static struct document_pending *
find(
    const struct document_sqlite *sqlite,
    const struct document_kind_statements *of,
    uint64_t scope,
    struct span id)
{
    if (list_is_empty(&of->pending)) {
        return NULL;
    }
    for (struct map_link *link = map_find(&sqlite->pending, row_hash(of, scope, id)); link != NULL;
         link = map_next(link)) {
        struct document_pending *pending = CONTAINER_OF(link, struct document_pending, link);
        if (pending->row.scope == scope && span_equal(pending->row.id, id)) {
            return pending;
        }
    }
    return NULL;
}

const struct document_row *
document_pending_find(
    const struct document_sqlite *sqlite,
    const struct document_kind_statements *of,
    uint64_t scope,
    struct span id)
{
    const struct document_pending *pending = find(sqlite, of, scope, id);
    return pending == NULL ? NULL : &pending->row;
}

static struct span
keep(char **at, struct span text)
{
    if (text.size == 0) {
        return text.data == NULL ? text : SPAN("");
    }
    memcpy(*at, text.data, text.size);
    struct span kept = span_of(*at, text.size);
    *at += text.size;
    return kept;
}

static struct document_pending *
pending_new(
    const struct document_kind_statements *of, const struct document_row *row, uint32_t version)
{
    uint32_t columns = of->kind->column_count;
    size_t size = row->id.size + row->body.size;
    for (uint32_t i = 0; i < columns; i++) {
        size += row->columns[i].is_null ? 0 : row->columns[i].text.size;
    }
    struct document_pending *pending = malloc(sizeof(*pending) + size);
    if (pending == NULL) {
        return NULL;
    }
    *pending = (struct document_pending){
        .row = {.scope = row->scope, .version = version},
    };
    char *at = pending->texts;
    pending->row.id = keep(&at, row->id);
    pending->row.body = keep(&at, row->body);
    for (uint32_t i = 0; i < columns; i++) {
        struct document_value *column = &pending->row.columns[i];
        *column = row->columns[i];
        column->text = column->is_null ? SPAN_EMPTY : keep(&at, column->text);
    }
    ASSERT(at == pending->texts + size);
    return pending;
}

static void
drop(struct document_sqlite *sqlite, struct document_pending *pending)
{
    map_remove(&sqlite->pending, &pending->link);
    list_remove(&pending->order);
    free(pending);
}

err_t
document_pending_insert(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row)
{
    if (find(sqlite, of, row->scope, row->id) != NULL) {
        return ERR_EXISTS;
    }
    struct document_pending *pending = pending_new(of, row, 1);
    if (pending == NULL) {
        return ERR_MEMORY;
    }
    pending->group = sqlite->rows.number;
    err_t result = map_insert(&sqlite->pending, row_hash(of, row->scope, row->id), &pending->link);
    if (result != ERR_OK) {
        free(pending);
        return result;
    }
    list_push_back(&of->pending, &pending->order);
    return ERR_OK;
}

err_t
document_pending_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row)
{
    struct document_pending *old = find(sqlite, of, row->scope, row->id);
    if (old == NULL) {
        return ERR_NOT_FOUND;
    }
    if (old->row.version != row->version) {
        return ERR_STALE;
    }
    struct document_row whole = *row;
    for (uint32_t i = 0; i < of->kind->column_count; i++) {
        if ((row->unchanged_columns & 1U << i) != 0) {
            whole.columns[i] = old->row.columns[i];
        }
    }
    struct document_pending *new = pending_new(of, &whole, row->version + 1);
    if (new == NULL) {
        return ERR_MEMORY;
    }
    new->group = old->group;
    list_insert_between(old->order.prev, &old->order, &new->order);
    uint64_t hash = old->link.hash;
    drop(sqlite, old);
    err_t result = map_insert(&sqlite->pending, hash, &new->link);
    ASSERT(result == ERR_OK); /* there is one less than before */
    return ERR_OK;
}

err_t
document_pending_remove(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_pending *pending = find(sqlite, of, scope, id);
    if (pending == NULL) {
        return ERR_NOT_FOUND;
    }
    if (pending->row.version != version) {
        return ERR_STALE;
    }
    drop(sqlite, pending);
    return ERR_OK;
}

/* The next rows of one kind that were new `age` groups ago; how many. */
static uint32_t
next_aged(
    const struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint64_t age,
    const struct document_row *ret_rows[DOCUMENT_INSERT_MANY])
{
    uint32_t count = 0;
    for (struct list_link *link = list_first(&of->pending);
         link != NULL && link != &of->pending.head && count < DOCUMENT_INSERT_MANY;
         link = link->next) {
        const struct document_pending *pending = CONTAINER_OF(link, struct document_pending, order);
        if (pending->group + age > sqlite->rows.number) {
            break;
        }
        ret_rows[count++] = &pending->row;
    }
    return count;
}

static err_t
flush(struct document_sqlite *sqlite, struct document_kind_statements *of, uint64_t age)
{
    for (;;) {
        const struct document_row *rows[DOCUMENT_INSERT_MANY];
        uint32_t count = next_aged(sqlite, of, age, rows);
        if (count == 0) {
            return ERR_OK;
        }
        err_t result;
        if (count == DOCUMENT_INSERT_MANY) {
            result = document_rows_insert(sqlite, of, rows);
        } else {
            count = 1;
            result = document_row_insert(sqlite, of, rows[0], rows[0]->version);
        }
        if (result != ERR_OK) {
            /* Who said that it is new was wrong. */
            return result == ERR_EXISTS ? ERR_CORRUPT : result;
        }
        for (uint32_t i = 0; i < count; i++) {
            drop(sqlite, CONTAINER_OF(list_first(&of->pending), struct document_pending, order));
        }
    }
}

err_t
document_pending_flush(struct document_sqlite *sqlite, struct document_kind_statements *of)
{
    return flush(sqlite, of, 0);
}

err_t
document_pending_flush_all(struct document_sqlite *sqlite)
{
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        TRY(flush(sqlite, &sqlite->kinds[i], 0));
    }
    return ERR_OK;
}

err_t
document_pending_flush_aged(struct document_sqlite *sqlite)
{
    uint64_t age = sqlite->pending.size > PENDING_MAX / 2 ? 0 : AGE_GROUPS;
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        TRY(flush(sqlite, &sqlite->kinds[i], age));
    }
    return ERR_OK;
}

void
document_pending_init(struct document_sqlite *sqlite)
{
    map_init(&sqlite->pending, PENDING_MAX);
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        list_init(&sqlite->kinds[i].pending);
    }
}

void
document_pending_clear(struct document_sqlite *sqlite)
{
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        for (;;) {
            struct list_link *link = list_first(&sqlite->kinds[i].pending);
            if (link == NULL) {
                break;
            }
            drop(sqlite, CONTAINER_OF(link, struct document_pending, order));
        }
    }
}
