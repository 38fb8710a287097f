/*
 * Migrations: one process at a time, under an advisory lock; the others wait for it.
 *
 * They only add (tables, columns, indexes), so that programs of the version before go on beside new
 * ones: a program reads and writes the columns that it knows, by name. A column that it does not
 * know stays NULL in what it inserts and is stale in what it updates: bodies are the truth, and the
 * newer program's own migration (`refill`) can be run again when the last old one has ended. What
 * an old program could not bear raises `oldest_layout`, and it refuses to start.
 */
#include "postgres.h"
#include "schema.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The version of the store's own tables and of how a kind becomes a table that this program knows.
 * Each database says the oldest that can work on it. */
#define LAYOUT_VERSION DOCUMENT_PG_LAYOUT_OF(DOCUMENT_GENERATION)

#define MIGRATE_LOCK   "7377863211"
/* Another process may be filling a column. */
#define LOCK_TRIES_MAX 600
#define LOCK_WAIT_US   100000
#define CONNECT_MS_MAX 10000

struct answer {
    int64_t values[2];
    bool any;
};

static err_t
take_integers(void *context, const PGresult *result)
{
    struct answer *answer = context;
    answer->any = PQntuples(result) > 0;
    for (int i = 0; answer->any && i < PQnfields(result) && i < 2; i++) {
        answer->values[i] = postgres_get_64(result, 0, i);
    }
    return ERR_OK;
}

static err_t
ask(struct document_pg *pg, const char *sql, struct answer *ret_answer)
{
    struct document_pg_statement once = {.name = ""};
    *ret_answer = (struct answer){.any = false};
    TRY(document_pg_begin_flush(pg));
    document_pg_execute(pg, &once, sql, 0, take_integers, ret_answer);
    return document_pg_end_flush(pg);
}

err_t
document_pg_apply(struct document_pg *pg, const char *name, char *sql)
{
    char record[256];
    (void)snprintf(
        record,
        sizeof(record),
        "INSERT INTO tael_migration (number, name, applied_at) SELECT "
        "coalesce(max(number), 0) + 1, '%s', extract(epoch from clock_timestamp())::bigint "
        "FROM tael_migration",
        name);
    TRY(document_pg_begin_flush(pg));
    document_pg_send(pg, "BEGIN");
    /* Filling a column of many rows may take its time. */
    document_pg_send(pg, "SET LOCAL statement_timeout = 0");
    document_pg_send(pg, "SET LOCAL enable_seqscan = on");
    char *rest = sql;
    for (char *one = strsep(&rest, ";"); one != NULL; one = strsep(&rest, ";")) {
        if (*one != '\0') {
            document_pg_send(pg, one);
        }
    }
    document_pg_send(pg, record);
    document_pg_send(pg, "COMMIT");
    err_t result = document_pg_end_flush(pg);
    if (result != ERR_OK && pg->state == DOCUMENT_PG_UP) {
        char problem[DOCUMENT_MESSAGE_SIZE];
        memcpy(problem, pg->problem, sizeof(problem));
        TRY(document_pg_begin_flush(pg));
        document_pg_send(pg, "ROLLBACK");
        TRY(document_pg_end_flush(pg));
        memcpy(pg->problem, problem, sizeof(problem));
    }
    return result;
}

static err_t
lock(struct document_pg *pg)
{
    for (uint32_t i = 0; i < LOCK_TRIES_MAX; i++) {
        struct answer answer;
        TRY(
            ask(pg,
                "SELECT pg_try_advisory_lock(" MIGRATE_LOCK
                " # hashtext(current_schema()))::int::bigint",
                &answer));
        if (answer.values[0] == 1) {
            return ERR_OK;
        }
        (void)usleep(LOCK_WAIT_US);
    }
    document_pg_note(pg, "another process is migrating it for too long");
    return ERR_LOCKED;
}

static err_t
create_layout(struct document_pg *pg)
{
    char sql[] =
        "CREATE TABLE tael_migration (number bigint PRIMARY KEY, name text NOT NULL, "
        "applied_at bigint NOT NULL);"
        "CREATE TABLE tael_layout (version bigint NOT NULL, oldest_layout bigint NOT NULL);"
        "INSERT INTO tael_layout (version, oldest_layout) VALUES (1, 1);"
        "CREATE TABLE tael_node (id text PRIMARY KEY, commits bigint NOT NULL, "
        "seen_at timestamptz NOT NULL) WITH (fillfactor = 10);";
    static_assert(DOCUMENT_PG_LAYOUT == 1, "the numbers in the SQL text");
    return document_pg_apply(pg, "layout", sql);
}

static err_t
migrate_layout(struct document_pg *pg, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct answer encoding, there, layout;
    TRY(ask(pg, "SELECT (current_setting('server_encoding') = 'UTF8')::int::bigint", &encoding));
    if (encoding.values[0] != 1) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "the database's encoding is not UTF8");
        return ERR_UNSUPPORTED;
    }
    TRY(ask(pg, "SELECT (to_regclass('tael_layout') IS NOT NULL)::int::bigint", &there));
    if (there.values[0] == 0) {
        return create_layout(pg);
    }
    TRY(ask(pg, "SELECT version, oldest_layout FROM tael_layout", &layout));
    if (!layout.any || layout.values[1] > LAYOUT_VERSION) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "written by a newer version of Tael (it takes programs of layout %lld or later, this "
            "one has %d)",
            (long long)layout.values[1],
            LAYOUT_VERSION);
        return ERR_VERSION;
    }
    return ERR_OK;
}

static err_t
create_table(struct document_pg *pg, const struct document_kind *kind)
{
    char text[DOCUMENT_SCHEMA_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_create_table(&sql, &document_dialect_postgres, kind);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return document_pg_apply(pg, kind->name, text);
}

static err_t
add_column(struct document_pg *pg, const struct document_kind *kind, uint32_t column)
{
    char text[DOCUMENT_SCHEMA_SIZE];
    char name[128];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_add_column(&sql, &document_dialect_postgres, kind, column);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    (void)snprintf(name, sizeof(name), "%s.%s", kind->name, kind->columns[column].name);
    return document_pg_apply(pg, name, text);
}

static err_t
add_index(struct document_pg *pg, const struct document_kind *kind, uint32_t column)
{
    char text[DOCUMENT_SCHEMA_SIZE];
    char name[128];
    struct buf sql;
    buf_init_fixed(&sql, name, sizeof(name));
    document_sql_index_name(&sql, kind, column);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_add_index(&sql, &document_dialect_postgres, kind, column);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return document_pg_apply(pg, name, text);
}

/* Names that the database has, each followed by a zero. */
struct names {
    struct buf text;
};

static err_t
take_names(void *context, const PGresult *result)
{
    struct names *names = context;
    int count = PQntuples(result);
    for (int i = 0; i < count; i++) {
        buf_append_span(&names->text, postgres_get_text(result, i, 0));
        buf_append_byte(&names->text, '\0');
    }
    return buf_failed(&names->text) ? ERR_FULL : ERR_OK;
}

static bool
has_name(const struct names *names, const char *name)
{
    struct span rest = buf_span(&names->text);
    while (rest.size > 0) {
        if (span_equal_cstr(span_cut(&rest, '\0'), name)) {
            return true;
        }
    }
    return false;
}

/* Tables, "TABLE.COLUMN:TYPE" and indexes of the schema that we are in. */
static err_t
read_names(struct document_pg *pg, struct names *names)
{
    struct document_pg_statement once = {.name = ""};
    TRY(document_pg_begin_flush(pg));
    document_pg_execute(
        pg,
        &once,
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = "
        "current_schema() UNION ALL SELECT table_name || '.' || column_name || ':' || data_type "
        "FROM information_schema.columns WHERE table_schema = current_schema() "
        "UNION ALL SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema()",
        0,
        take_names,
        names);
    return document_pg_end_flush(pg);
}

static err_t
migrate_column(
    struct document_pg *pg,
    const struct document_kind *kind,
    uint32_t at,
    const struct names *names,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    const struct document_column *column = &kind->columns[at];
    const char *type = column->type == DOCUMENT_INTEGER ? "bigint" : "text";
    const char *other = column->type == DOCUMENT_INTEGER ? "text" : "bigint";
    char name[192];
    (void)snprintf(name, sizeof(name), "%s.%s:%s", kind->name, column->name, other);
    if (has_name(names, name)) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "written by another version of Tael: column \"%s\" of %s is %s there",
            column->name,
            kind->name,
            other);
        return ERR_VERSION;
    }
    (void)snprintf(name, sizeof(name), "%s.%s:%s", kind->name, column->name, type);
    if (!has_name(names, name)) {
        return add_column(pg, kind, at);
    }
    struct buf index;
    buf_init_fixed(&index, name, sizeof(name));
    document_sql_index_name(&index, kind, at);
    buf_append_byte(&index, '\0');
    ASSERT(!buf_failed(&index));
    return column->indexed && !has_name(names, name) ? add_index(pg, kind, at) : ERR_OK;
}

/* Of the statements below. */
#define ORDER_SQL_SIZE 1024

/* Once for each kind that has an order; and whenever its rows come from another cluster. */
static err_t
migrate_order(struct document_pg *pg, const struct document_kind *kind, const struct names *names)
{
    char text[ORDER_SQL_SIZE];
    char name[192];
    struct buf sql;
    struct answer ahead;
    buf_init_fixed(&sql, text, sizeof(text));
    (void)snprintf(name, sizeof(name), "%s." DOCUMENT_PG_ORDER_COLUMN ":bigint", kind->name);
    if (!has_name(names, name)) {
        document_pg_sql_order(&sql, kind);
        buf_append_byte(&sql, '\0');
        ASSERT(!buf_failed(&sql));
        return document_pg_apply(pg, name, text);
    }
    document_pg_sql_is_ahead(&sql, kind);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    TRY(ask(pg, text, &ahead));
    if (!ahead.any || ahead.values[0] == 0) {
        return ERR_OK;
    }
    buf_clear(&sql);
    document_pg_sql_go_ahead(&sql, kind, ahead.values[1]);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return document_pg_apply(pg, "order of a restored database", text);
}

static err_t
migrate_orders(struct document_pg *pg, const struct names *names)
{
    bool has_table = has_name(names, "tael_order");
    for (uint32_t i = 0; i < pg->kind_count; i++) {
        const struct document_kind *kind = pg->kinds[i].kind;
        if (!kind->has_order) {
            continue;
        }
        if (!has_table) {
            char text[ORDER_SQL_SIZE];
            struct buf sql;
            buf_init_fixed(&sql, text, sizeof(text));
            document_pg_sql_order_table(&sql);
            buf_append_byte(&sql, '\0');
            ASSERT(!buf_failed(&sql));
            TRY(document_pg_apply(pg, "tael_order", text));
            has_table = true;
        }
        TRY(migrate_order(pg, kind, names));
    }
    return ERR_OK;
}

static err_t
migrate_kinds(
    struct document_pg *pg, const struct names *names, char message[DOCUMENT_MESSAGE_SIZE])
{
    for (uint32_t i = 0; i < pg->kind_count; i++) {
        const struct document_kind *kind = pg->kinds[i].kind;
        ASSERT(kind->column_count <= DOCUMENT_COLUMNS_MAX);
        if (!has_name(names, kind->name)) {
            TRY(create_table(pg, kind));
            continue;
        }
        for (uint32_t j = 0; j < kind->column_count; j++) {
            TRY(migrate_column(pg, kind, j, names, message));
        }
    }
    return ERR_OK;
}

static err_t
migrate_locked(struct document_pg *pg, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct names names;
    TRY(migrate_layout(pg, message));
    buf_init(&names.text, 1U << 20);
    err_t result = read_names(pg, &names);
    if (result == ERR_OK) {
        result = migrate_kinds(pg, &names, message);
    }
    if (result == ERR_OK) {
        result = migrate_orders(pg, &names);
    }
    if (result == ERR_OK && pg->identity.name[0] != '\0') {
        result = document_pg_shard_adopt(pg, message);
    }
    buf_release(&names.text);
    return result;
}

err_t
document_pg_migrate(struct document_pg *pg, char message[DOCUMENT_MESSAGE_SIZE])
{
    err_t result = lock(pg);
    if (result == ERR_OK) {
        result = migrate_locked(pg, message);
    }
    if (result != ERR_OK) {
        if (message[0] == '\0') {
            (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", pg->problem);
        }
        return result;
    }
    /* Another session, which enters itself into the tables that are there now, and which has no
     * locks: entering itself is what its first statements are. */
    document_pg_disconnect(pg);
    pg->next_attempt_ms = 0;
    result = document_pg_connect(pg, CONNECT_MS_MAX);
    if (result != ERR_OK) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", pg->problem);
    }
    return result;
}
