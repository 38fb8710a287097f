/* How a kind becomes tables and indexes, in both dialects of SQL: one text for each piece, with
 * what differs looked up. */
#ifndef DOCUMENT_SCHEMA_H
#define DOCUMENT_SCHEMA_H

#include "document/document.h"

#include "base/buf.h"

struct document_dialect {
    bool holds_unique;       /* unique columns have unique indexes */
    const char *small_table; /* behind the columns of a kind that is_small */
    const char *scope_type;
    const char *version_type;
    const char *text_type; /* compares by its bytes */
    const char *integer_type;
    /* printf formats of a column's name: what an index that ignores case is on, and the member of
     * the body as a text and as an integer. */
    const char *any_case;
    const char *text_member;
    const char *integer_member;
};

extern const struct document_dialect document_dialect_sqlite;
extern const struct document_dialect document_dialect_postgres;

/* The largest text of one statement here. */
#define DOCUMENT_SCHEMA_SIZE 8192

/* What an index's name ends with, which tells how it was made. */
const char *document_index_suffix(const struct document_column *column);
/* payment_intent_by_customer, without quotes. */
void document_sql_index_name(struct buf *sql, const struct document_kind *kind, uint32_t column);

const char *document_sql_type(
    const struct document_dialect *dialect, enum document_column_type type);
/* Each appends statements that end with a semicolon. */
void document_sql_create_table(
    struct buf *sql, const struct document_dialect *dialect, const struct document_kind *kind);
/* Filled from the bodies, with its index. */
void document_sql_add_column(
    struct buf *sql,
    const struct document_dialect *dialect,
    const struct document_kind *kind,
    uint32_t column);
/* And away with the one whose place it takes. */
void document_sql_add_index(
    struct buf *sql,
    const struct document_dialect *dialect,
    const struct document_kind *kind,
    uint32_t column);

#endif
