/*
 * Rows in an order that no later commit comes before.
 *
 * Neither ids nor a sequence have it: both are drawn before the commit, which another transaction
 * may overtake. The number of a row's transaction, which a default of the column writes, has it
 * with a limit: below the oldest number that is still under way (xmin of a snapshot) everything has
 * ended, and what is not visible never will be. So rows below that limit are final, and those at
 * and above it wait for transactions that are older. A transaction that reads what another one
 * wrote began to write after that one had ended, so it has a greater number: rows about one object
 * are in the order in which they happened.
 *
 *     numbers   ... 811  812  813 | 814*  815  816*  817        * under way
 *     rows      ... final         ^ xmin   not final
 *
 * What is written with another cluster's numbers (a dump that was restored) would be in the future
 * here, perhaps for years. `base` is added to this cluster's numbers; a migration that finds rows
 * ahead raises it, so that all that was restored comes before all that is new.
 */
#include "postgres.h"

#include "base/assert.h"

/* Numbers with their epoch, which do not wrap around; functions that PostgreSQL 12 has, too. */
#define NUMBER "txid_current()"
#define OLDEST "txid_snapshot_xmin(txid_current_snapshot())"
#define NEXT   "txid_snapshot_xmax(txid_current_snapshot())"

void
document_pg_sql_order_table(struct buf *sql)
{
    buf_append_cstr(sql, "CREATE TABLE tael_order (kind text PRIMARY KEY, base bigint NOT NULL);");
}

/* Rows that are there already come first, by their ids. A constant default is no rewriting of the
 * table. */
void
document_pg_sql_order(struct buf *sql, const struct document_kind *kind)
{
    buf_append_format(
        sql,
        "ALTER TABLE \"%1$s\" ADD COLUMN " DOCUMENT_PG_ORDER_COLUMN " bigint NOT NULL DEFAULT 0;"
        "ALTER TABLE \"%1$s\" ALTER COLUMN " DOCUMENT_PG_ORDER_COLUMN " SET DEFAULT " NUMBER ";"
        "CREATE INDEX \"%1$s_in_order\" ON \"%1$s\" (" DOCUMENT_PG_ORDER_COLUMN ", id);"
        "INSERT INTO tael_order (kind, base) VALUES ('%1$s', 0);",
        kind->name);
}

/* Whether it is, and what the base has to be then. */
void
document_pg_sql_is_ahead(struct buf *sql, const struct document_kind *kind)
{
    buf_append_format(
        sql,
        "SELECT coalesce(t.newest >= o.base + " NEXT ","
        " false)::int::bigint, coalesce(t.newest + 1, 0) FROM tael_order o CROSS JOIN "
        "(SELECT max(" DOCUMENT_PG_ORDER_COLUMN
        ") AS newest FROM \"%1$s\") t WHERE o.kind = '%1$s'",
        kind->name);
}

/* The change of the default waits for whoever inserts with the old one. */
void
document_pg_sql_go_ahead(struct buf *sql, const struct document_kind *kind, int64_t base)
{
    buf_append_format(
        sql,
        "ALTER TABLE \"%1$s\" ALTER COLUMN " DOCUMENT_PG_ORDER_COLUMN
        " SET DEFAULT %2$lld + " NUMBER ";"
        "UPDATE tael_order SET base = %2$lld WHERE kind = '%1$s';",
        kind->name,
        (long long)base);
}

/* ---------------------------------------------------------------------------------------- lists */

struct listing {
    const struct document_kind *kind;
    document_each_final each;
    void *context;
};

static err_t
take_rows(void *context, const PGresult *result)
{
    const struct listing *listing = context;
    const int number_at = 4 + (int)listing->kind->column_count;
    int count = PQntuples(result);
    for (int i = 0; i < count; i++) {
        struct document_row row;
        document_pg_result_row(result, i, listing->kind, &row);
        int64_t number = postgres_get_64(result, i, number_at);
        bool is_final = postgres_get_64(result, i, number_at + 1) == 1;
        if (!listing->each(listing->context, &row, number, is_final) || !is_final) {
            break;
        }
    }
    return ERR_OK;
}

static void
sql_list(struct buf *sql, const struct document_kind *kind)
{
    document_pg_sql_selected(sql, kind);
    buf_append_format(
        sql,
        ", t." DOCUMENT_PG_ORDER_COLUMN ", (t." DOCUMENT_PG_ORDER_COLUMN
        " < (SELECT o.base + " OLDEST " FROM tael_order o WHERE o.kind = '%1$s'))::int::bigint "
        "FROM \"%1$s\" t WHERE (t." DOCUMENT_PG_ORDER_COLUMN ", t.id) > ($1::bigint, $2::text) "
        "ORDER BY t." DOCUMENT_PG_ORDER_COLUMN ", t.id LIMIT $3::bigint",
        kind->name);
}

const char *
document_pg_order_name(struct document_store *store, uint32_t at)
{
    (void)store;
    return at == 0 ? "" : NULL;
}

err_t
document_pg_list_final(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_place *behind,
    uint32_t limit,
    document_each_final each,
    void *context)
{
    struct document_pg *pg = document_pg_of(store);
    struct document_pg_kind *of = document_pg_kind(pg, kind);
    ASSERT(kind->has_order);
    struct listing listing = {.kind = kind, .each = each, .context = context};
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    TRY(document_pg_begin_flush(pg));
    document_pg_send_unlocks(pg);
    buf_init_fixed(&sql, text, sizeof(text));
    if (document_pg_is_new(pg, &of->list_final)) {
        sql_list(&sql, kind);
    }
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    document_pg_param_integer(&pg->params[0], behind->number);
    document_pg_param_text(&pg->params[1], behind->id);
    document_pg_param_integer(&pg->params[2], limit);
    document_pg_execute(pg, &of->list_final, text, 3, take_rows, &listing);
    return document_pg_end_flush(pg);
}
