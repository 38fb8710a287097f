/*
 * A database that is one shard of several (sharded.h): whose rows it has, by which map.
 *
 *     tael_shard (name, epoch, next)     one row
 *
 * `epoch` is that of the map by which its rows are placed. While rows move, `next` is the epoch
 * that the map will have. Every session says first whose it is: it holds a lock, shared, for as
 * long as it lives, and then compares the row with its own map. Who changes the row, or makes a
 * database a shard, holds the same lock alone. So nobody writes by an old map: a session is of
 * before, and keeps the change away, or of behind, and is refused.
 *
 * A session is called (NOTIFY) when somebody wants that lock: between two transactions it lets go
 * of it, works no more, and takes it again by the map that is there then (sharded_follow.c). Its
 * other locks, of objects and works, it keeps.
 */
#include "sharded_plain.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHARD_SQL_SIZE 4096

/* As of the works of postgres_lock.c, whose names are not these; with the schema's name. */
#define LOCK_OF_WHOLES 0x77686f6c
#define LOCK_OF_SHARDS 0x73686172

/* ------------------------------------------------------------------------------- each session */

struct document_pg_claim {
    struct document_pg *pg;
    bool locked;
    bool is_right;
};

static err_t
take_lock(void *context, const PGresult *result)
{
    struct document_pg_claim *claim = context;
    claim->locked = *PQgetvalue(result, 0, 0) != 0;
    if (!claim->locked) {
        document_pg_note(
            claim->pg,
            claim->pg->identity.next == 0 ? "its rows are being moved"
                                          : "a process has it open; all have to end first");
    }
    return claim->locked ? ERR_OK : ERR_LOCKED;
}

static err_t
take_whole(void *context, const PGresult *result)
{
    struct document_pg_claim *claim = context;
    claim->is_right = *PQgetvalue(result, 0, 0) == 0;
    if (!claim->is_right) {
        document_pg_note(
            claim->pg, "it is one shard of several, and opened by their map (shards:FILE)");
    }
    return claim->is_right ? ERR_OK : ERR_VERSION;
}

/* Name, epoch, next. */
static err_t
take_row(void *context, const PGresult *result)
{
    struct document_pg_claim *claim = context;
    const struct document_pg_identity *mine = &claim->pg->identity;
    char text[DOCUMENT_MESSAGE_SIZE];
    if (PQntuples(result) != 1) {
        document_pg_note(claim->pg, "tael_shard has not one row");
        return ERR_CORRUPT;
    }
    struct span name = postgres_get_text(result, 0, 0);
    int64_t epoch = postgres_get_64(result, 0, 1);
    int64_t next = PQgetisnull(result, 0, 2) ? 0 : postgres_get_64(result, 0, 2);
    if (!span_equal(name, span_from_cstr(mine->name))) {
        (void)snprintf(
            text,
            sizeof(text),
            "it is the shard %.*s, and %s in the map",
            (int)(name.size < sizeof(mine->name) ? name.size : sizeof(mine->name)),
            name.data,
            mine->name);
    } else if (next != 0 && (uint64_t)next != mine->next) {
        (void)snprintf(
            text,
            sizeof(text),
            "its rows have begun to move, and have to end it: tael documents move, to epoch "
            "%" PRId64,
            next);
    } else if (
        next == 0 && (uint64_t)epoch != mine->epoch &&
        (mine->next == 0 || (uint64_t)epoch != mine->next)) {
        (void)snprintf(
            text,
            sizeof(text),
            "the shard is of epoch %" PRId64 ", the map of epoch %" PRIu64,
            epoch,
            mine->epoch);
    } else {
        claim->is_right = true;
        return ERR_OK;
    }
    document_pg_note(claim->pg, text);
    return ERR_MOVED;
}

static const char lock_sql[] = "SELECT pg_try_advisory_lock_shared(1415669100, "
                               "$1::bigint::int # hashtext(current_schema()))";
static const char lock_alone_sql[] = "SELECT pg_try_advisory_lock(1415669100, "
                                     "$1::bigint::int # hashtext(current_schema()))";

/* One of perhaps none: a session that was refused has no lock, and PostgreSQL says so in vain. */
static const char leave_sql[] = "SELECT pg_advisory_unlock_shared(1415669100, "
                                "$1::bigint::int # hashtext(current_schema()))";

/* A schema that only the URL's search_path knows. */
static err_t
schema_make(struct document_pg *pg)
{
    document_pg_empty_flush(pg);
    document_pg_send(
        pg,
        "DO $$ BEGIN IF current_schema() IS NULL AND "
        "current_setting('search_path') ~ '^[a-z_][a-z0-9_]*$' THEN "
        "EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', current_setting('search_path')); "
        "END IF; END $$");
    return document_pg_end_flush(pg);
}

static err_t
session_claim(struct document_pg *pg)
{
    bool is_shard = pg->identity.name[0] != '\0';
    struct document_pg_claim claim = {.pg = pg};
    struct document_pg_statement lock = {.name = ""}, look = {.name = ""};
    document_pg_empty_flush(pg);
    document_pg_param_integer(&pg->params[0], is_shard ? LOCK_OF_SHARDS : LOCK_OF_WHOLES);
    document_pg_execute(
        pg, &lock, pg->identity.next == 0 ? lock_sql : lock_alone_sql, 1, take_lock, &claim);
    if (is_shard && pg->identity.next == 0) {
        document_pg_send(pg, "LISTEN " DOCUMENT_PG_SHARD_CHANNEL);
    }
    if (is_shard) {
        document_pg_execute(
            pg, &look, "SELECT name, epoch, next FROM tael_shard", 0, take_row, &claim);
    } else {
        document_pg_execute(
            pg, &look, "SELECT to_regclass('tael_shard') IS NOT NULL", 0, take_whole, &claim);
    }
    return document_pg_end_flush(pg);
}

err_t
document_pg_shard_claim(struct document_pg *pg)
{
    bool is_first = pg->identity.name[0] != '\0' && !pg->claimed;
    err_t result = is_first ? schema_make(pg) : ERR_OK;
    if (result == ERR_OK) {
        result = session_claim(pg);
    }
    /* undefined_table: a database that is not a shard yet. document_pg_migrate makes it one and
     * calls for another session. */
    if (strcmp(pg->sqlstate, "42P01") == 0 && !pg->claimed) {
        return ERR_OK;
    }
    pg->claimed = pg->claimed || result == ERR_OK;
    pg->is_called = pg->identity.next == 0 && (result == ERR_MOVED || result == ERR_LOCKED);
    return result;
}

/* ------------------------------------------------------------------------- letting go and back */

bool
document_pg_shard_is_called(struct document_pg *pg)
{
    if (pg->state != DOCUMENT_PG_UP || PQconsumeInput(pg->conn) != 1) {
        return pg->is_called; /* a connection that broke is found out by who needs it */
    }
    for (;;) {
        PGnotify *notice = PQnotifies(pg->conn);
        if (notice == NULL) {
            return pg->is_called;
        }
        pg->is_called = true;
        PQfreemem(notice);
    }
}

void
document_pg_shard_leave(struct document_pg *pg)
{
    struct document_pg_statement once = {.name = ""};
    ASSERT(!pg->in_transaction);
    if (pg->state != DOCUMENT_PG_UP) {
        return;
    }
    document_pg_empty_flush(pg);
    document_pg_send_unlocks(pg);
    document_pg_param_integer(&pg->params[0], LOCK_OF_SHARDS);
    document_pg_execute(pg, &once, leave_sql, 1, NULL, NULL);
    if (document_pg_end_flush(pg) != ERR_OK && pg->state == DOCUMENT_PG_UP) {
        document_pg_disconnect(pg); /* which lets go, too */
    }
}

err_t
document_pg_shard_enter(struct document_pg *pg, uint64_t epoch)
{
    pg->identity.epoch = epoch;
    pg->is_called = false;
    if (pg->state != DOCUMENT_PG_UP) {
        return ERR_OK; /* its next session claims it */
    }
    err_t result = session_claim(pg);
    if (result != ERR_OK && result != ERR_MOVED && result != ERR_LOCKED) {
        if (pg->state == DOCUMENT_PG_UP) {
            document_pg_disconnect(pg);
        }
        return ERR_OK;
    }
    return result;
}

void
document_pg_shard_release(struct document_pg *pg)
{
    if (pg->state == DOCUMENT_PG_UP && document_pg_begin_flush(pg) == ERR_OK) {
        document_pg_send(pg, "SELECT pg_advisory_unlock_all()");
        if (document_pg_end_flush(pg) != ERR_OK && pg->state == DOCUMENT_PG_UP) {
            document_pg_disconnect(pg); /* which unlocks, too */
        }
    }
}

/* --------------------------------------------------------------------------- becoming a shard */

struct foreign {
    const struct document_pg_identity *identity;
    uint64_t scope;
    bool found;
};

static err_t
take_scopes(void *context, const PGresult *result)
{
    struct foreign *foreign = context;
    int count = PQntuples(result);
    for (int i = 0; i < count && !foreign->found; i++) {
        uint64_t scope = (uint64_t)postgres_get_64(result, i, 0);
        if (!foreign->identity->owns(foreign->identity->context, scope)) {
            foreign->found = true;
            foreign->scope = scope;
        }
    }
    return ERR_OK;
}

/* From one scope to the next in the primary key: as many looks as there are scopes. */
static err_t
check_kind(
    struct document_pg *pg, const struct document_kind *kind, char message[DOCUMENT_MESSAGE_SIZE])
{
    char text[SHARD_SQL_SIZE];
    struct buf sql;
    struct foreign foreign = {.identity = &pg->identity};
    struct document_pg_statement once = {.name = ""};
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_scopes(&sql, kind);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    TRY(document_pg_begin_flush(pg));
    document_pg_execute(pg, &once, text, 0, take_scopes, &foreign);
    TRY(document_pg_end_flush(pg));
    if (foreign.found) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "%s has rows of merchant %" PRIu64 ", which the map has on another shard",
            kind->name,
            foreign.scope / 2);
        return ERR_MOVED;
    }
    return ERR_OK;
}

struct alone {
    bool is_there;
    bool is_alone;
};

static err_t
take_alone(void *context, const PGresult *result)
{
    struct alone *alone = context;
    alone->is_there = *PQgetvalue(result, 0, 0) != 0;
    alone->is_alone = *PQgetvalue(result, 0, 1) != 0;
    return ERR_OK;
}

err_t
document_pg_shard_adopt(struct document_pg *pg, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct alone alone = {0};
    struct document_pg_statement once = {.name = ""};
    TRY(document_pg_begin_flush(pg));
    document_pg_param_integer(&pg->params[0], LOCK_OF_WHOLES);
    document_pg_execute(
        pg,
        &once,
        "SELECT to_regclass('tael_shard') IS NOT NULL, pg_try_advisory_lock(1415669100, "
        "$1::bigint::int # hashtext(current_schema()))",
        1,
        take_alone,
        &alone);
    TRY(document_pg_end_flush(pg));
    if (alone.is_there) {
        return ERR_OK; /* the next session compares it */
    }
    if (!alone.is_alone) {
        (void)snprintf(
            message, DOCUMENT_MESSAGE_SIZE, "in use by a process that has it as all documents");
        return ERR_LOCKED;
    }
    for (uint32_t i = 0; i < pg->kind_count; i++) {
        TRY(check_kind(pg, pg->kinds[i].kind, message));
    }
    char sql[SHARD_SQL_SIZE];
    (void)snprintf(
        sql,
        sizeof(sql),
        "CREATE TABLE tael_shard (name text NOT NULL, epoch bigint NOT NULL, next bigint);"
        "INSERT INTO tael_shard (name, epoch) VALUES ('%s', %" PRIu64 ");"
        "UPDATE tael_layout SET version = greatest(version, %d), "
        "oldest_layout = greatest(oldest_layout, %d);",
        pg->identity.name, /* letters, digits, _ and - */
        pg->identity.next == 0 ? pg->identity.epoch : pg->identity.next,
        DOCUMENT_PG_LAYOUT_SHARD,
        DOCUMENT_PG_LAYOUT_SHARD);
    return document_pg_apply(pg, "tael_shard", sql);
}
