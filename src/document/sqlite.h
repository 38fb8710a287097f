/* What the files of the SQLite store share. */
#ifndef DOCUMENT_SQLITE_H
#define DOCUMENT_SQLITE_H

#include "document/document.h"

#include "row_log.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

#include <sqlite3.h>
#include <stdatomic.h>

/* Shapes of list queries that are kept prepared, per kind; the oldest gives way. */
#define DOCUMENT_LIST_SHAPES_MAX 16
#define DOCUMENT_SQL_SIZE        2048
/* Rows of one statement, which opens and closes its trees once for them. */
#define DOCUMENT_INSERT_MANY 8

struct document_list_statement {
    uint64_t shape;
    sqlite3_stmt *statement;
};

/* The prepared statements of one kind, made when first needed. */
struct document_kind_statements {
    const struct document_kind *kind;
    sqlite3_stmt *get, *insert, *insert_many, *remove;
    sqlite3_stmt *updates[1U << DOCUMENT_COLUMNS_MAX]; /* by the set of columns not written */
    struct document_list_statement lists[DOCUMENT_LIST_SHAPES_MAX];
    uint32_t list_count;
    uint32_t list_oldest;
    struct list pending; /* rows that SQLite has not yet, oldest first */
};

struct document_sqlite {
    struct document_store store; /* first */
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback, *note;
    bool in_transaction; /* between begin and its end, for the owner */
    /* SQLite's transaction, over many of the owner's. */
    bool span_open;
    err_t failure;       /* of a write in this transaction: it cannot be committed any more */
    bool broken;         /* the state of the file is not known: everything is refused */
    int log_pages;       /* in the write-ahead log after the last commit */
    uint64_t fold_bytes; /* in the row log, that are worth a commit of SQLite's */
    uint64_t fold_due;   /* the same, now */
    int log_pages_due;
    bool in_memory;
    struct row_log rows;
    struct map pending;       /* the same of all kinds, by scope and id */
    _Atomic bool sync_failed; /* told by the thread that syncs; as broken */
    uint32_t kind_count;
    struct document_kind_statements kinds[];
};

static inline struct document_sqlite *
document_sqlite_of(struct document_store *store)
{
    return (struct document_sqlite *)(void *)store;
}

/* Nothing may be read or written any more. */
static inline bool
document_sqlite_is_broken(const struct document_sqlite *sqlite)
{
    return sqlite->broken || atomic_load_explicit(&sqlite->sync_failed, memory_order_acquire);
}

/* error.c */
err_t document_sqlite_error(int code);

/* statement.c: SQL text from a kind, and the cache of what was prepared. */
struct document_kind_statements *document_kind_statements(
    struct document_sqlite *sqlite, const struct document_kind *kind);
MUST_USE err_t
document_prepare(struct document_sqlite *sqlite, const char *sql, sqlite3_stmt **statement);
MUST_USE err_t document_statement_get(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
MUST_USE err_t document_statement_insert(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
/* Of DOCUMENT_INSERT_MANY rows, one's parameters behind another's. */
MUST_USE err_t document_statement_insert_many(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
MUST_USE err_t document_statement_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint32_t unchanged,
    sqlite3_stmt **ret);
MUST_USE err_t document_statement_remove(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
void document_statements_finalize(struct document_kind_statements *of);
/* "id, version, body, scope, COLUMNS": what get and list select, in this order. */
void document_sql_selected(struct buf *sql, const struct document_kind *kind);

/* What an index's name ends with, which tells how it was made. */
const char *document_index_suffix(const struct document_column *column);
/* "payment_intent_by_customer", in quotes. */
void document_sql_index_name(struct buf *sql, const struct document_kind *kind, uint32_t column);

enum {
    DOCUMENT_SELECTED_ID,
    DOCUMENT_SELECTED_VERSION,
    DOCUMENT_SELECTED_BODY,
    DOCUMENT_SELECTED_SCOPE,
    DOCUMENT_SELECTED_COLUMNS
};

/* row.c */
/* Into the table; with its columns. ERR_EXISTS. */
MUST_USE err_t document_row_insert(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row,
    uint32_t version);
/* Of the table. ERR_STALE. */
MUST_USE err_t document_row_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row);
MUST_USE err_t document_row_remove(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint64_t scope,
    struct span id,
    uint32_t version);
/* DOCUMENT_INSERT_MANY rows, in their versions. */
MUST_USE err_t document_rows_insert(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *const rows[DOCUMENT_INSERT_MANY]);
err_t document_sqlite_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row);
err_t document_sqlite_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row);
err_t document_sqlite_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row);
err_t document_sqlite_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version);
/* The current row of a statement; its spans are valid until the statement moves on. */
void document_row_read(
    sqlite3_stmt *statement, const struct document_kind *kind, struct document_row *ret_row);
void document_bind_value(
    sqlite3_stmt *statement,
    int position,
    enum document_column_type type,
    const struct document_value *value);
void document_bind_text(sqlite3_stmt *statement, int position, struct span text);

/* pending.c: rows that SQLite has not yet. */
void document_pending_init(struct document_sqlite *sqlite);
/* Borrowed until the next call that writes; NULL: look in the table. */
const struct document_row *document_pending_find(
    const struct document_sqlite *sqlite,
    const struct document_kind_statements *of,
    uint64_t scope,
    struct span id);
/* ERR_EXISTS: it is here already. ERR_FULL: they are too many, write to the table. */
MUST_USE err_t document_pending_insert(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row);
/* ERR_NOT_FOUND: it is not here, look in the table. ERR_STALE. */
MUST_USE err_t document_pending_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row);
MUST_USE err_t document_pending_remove(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint64_t scope,
    struct span id,
    uint32_t version);
/* To SQLite: those of a kind, all, or those that are likely not to change any more. After an error
 * SQLite's transaction cannot go on. */
MUST_USE err_t
document_pending_flush(struct document_sqlite *sqlite, struct document_kind_statements *of);
MUST_USE err_t document_pending_flush_all(struct document_sqlite *sqlite);
MUST_USE err_t document_pending_flush_aged(struct document_sqlite *sqlite);
void document_pending_clear(struct document_sqlite *sqlite);

/* log_file.c: the name of the VFS, which is registered at the first call. */
const char *document_log_vfs(void);

/* replay.c: writes the record of a row once more; `context` is the store. ERR_CORRUPT: it does not
 * fit what is there. ERR_VERSION: of a kind that is not known here. */
err_t document_replay(void *context, const struct row_record *record);

/* list.c */
err_t document_sqlite_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context);

/* "json_extract(SOURCE, '$.COLUMN')": a column as the body has it (DOCUMENT-6). */
void document_sql_from_body(
    struct buf *sql, const char *source, const struct document_column *column);

/* migrate.c */
MUST_USE err_t
document_read_integer(struct document_sqlite *sqlite, const char *sql, int64_t *ret_value);
MUST_USE err_t document_migrate(
    struct document_sqlite *sqlite,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    char message[DOCUMENT_MESSAGE_SIZE]);

#endif
