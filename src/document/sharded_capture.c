/*
 * Changes of rows that move, noted by the database itself: a trigger writes kind, scope and id of
 * each row that is written, in the transaction that writes it, so whichever process does it and
 * whatever it knows. It is there only while rows move.
 *
 *     tael_move        which move the database takes part in
 *     tael_move_log    what was written, until it was followed
 *     tael_move_copied scopes that were copied whole
 *     tael_goes        (of our session) scopes that were met, and the side that gets them; -1:
 * stays
 *
 * Following reads notes and rows in one snapshot, replaces those rows there, commits there, and
 * only then deletes the notes that the snapshot saw. So what is cut off comes again; and as every
 * read is of rows that were committed later than those read before, nothing older ever replaces
 * something newer. When all notes that a snapshot sees were followed, the copy is what the snapshot
 * sees: that is what verifying compares, while others write on.
 */
#include "sharded_online.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 20 /* for a lock on a table, of CAPTURE_LOCK_MS each */

static const char tables_sql[] =
    "CREATE TABLE IF NOT EXISTS " DOCUMENT_MOVE_TABLE " (map bigint NOT NULL, epoch bigint NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS tael_move_log (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "kind text NOT NULL, scope bigint NOT NULL, id text NOT NULL);"
    "CREATE TABLE IF NOT EXISTS tael_move_copied (scope bigint PRIMARY KEY);"
    "CREATE OR REPLACE FUNCTION tael_move_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF TG_OP = 'DELETE' THEN "
    "INSERT INTO tael_move_log (kind, scope, id) VALUES (TG_TABLE_NAME, OLD.scope, OLD.id); ELSE "
    "INSERT INTO tael_move_log (kind, scope, id) VALUES (TG_TABLE_NAME, NEW.scope, NEW.id); "
    "END IF; RETURN NULL; END $$";

/* A table's lock is waited for, and waited behind: not for long. */
static err_t
do_patiently(struct document_moving *moving, PGconn *conn, const char *sql)
{
    TRY(document_plain_do(conn, "SET lock_timeout = 500", moving->message));
    err_t result = ERR_DATABASE;
    for (uint32_t i = 0; result != ERR_OK && i < TRIES_MAX && PQstatus(conn) == CONNECTION_OK;
         i++) {
        result = document_plain_do(conn, sql, moving->message);
    }
    TRY(result);
    return document_plain_do(conn, "SET lock_timeout = 0", moving->message);
}

err_t
document_capture_read(
    struct document_moving *moving, const struct document_move_side *side, int64_t *ret_map)
{
    bool there = false;
    *ret_map = 0;
    TRY(document_plain_has_table(side->conn, DOCUMENT_MOVE_TABLE, &there, moving->message));
    return there ? document_plain_number(
                       side->conn,
                       "SELECT max(map) FROM " DOCUMENT_MOVE_TABLE,
                       ret_map,
                       moving->message)
                 : ERR_OK;
}

err_t
document_capture_begin(
    struct document_moving *moving, const struct document_move_side *side, int64_t map)
{
    char sql[512];
    TRY(document_plain_do(side->conn, tables_sql, moving->message));
    for (uint32_t i = 0; i < moving->kind_count && document_move_loses(moving, side); i++) {
        const char *kind = moving->kinds[i]->name;
        (void)snprintf(
            sql,
            sizeof(sql),
            "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'tael_move' AND "
            "tgrelid = '\"%s\"'::regclass) THEN CREATE TRIGGER tael_move AFTER INSERT OR UPDATE "
            "OR DELETE ON \"%s\" FOR EACH ROW EXECUTE FUNCTION tael_move_note(); END IF; END $$",
            kind,
            kind);
        TRY(do_patiently(moving, side->conn, sql));
    }
    (void)snprintf(
        sql,
        sizeof(sql),
        "INSERT INTO " DOCUMENT_MOVE_TABLE " (map, epoch) SELECT %" PRId64 ", %" PRIu64
        " WHERE NOT EXISTS (SELECT 1 FROM " DOCUMENT_MOVE_TABLE ")",
        map,
        moving->next->epoch);
    TRY(document_plain_do(side->conn, sql, moving->message));
    return document_plain_do(
        side->conn,
        "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;"
        "CREATE TEMP TABLE IF NOT EXISTS tael_goes (scope bigint PRIMARY KEY, there int NOT NULL);"
        "CREATE TEMP TABLE IF NOT EXISTS tael_came (scope bigint PRIMARY KEY);"
        "CREATE TEMP TABLE IF NOT EXISTS tael_keys (scope bigint, id text)",
        moving->message);
}

err_t
document_capture_stop(struct document_moving *moving, const struct document_move_side *side)
{
    char sql[256];
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        bool there = false;
        TRY(document_plain_has_table(side->conn, moving->kinds[i]->name, &there, moving->message));
        (void)snprintf(
            sql, sizeof(sql), "DROP TRIGGER IF EXISTS tael_move ON \"%s\"", moving->kinds[i]->name);
        if (there) {
            TRY(do_patiently(moving, side->conn, sql));
        }
    }
    return ERR_OK;
}

err_t
document_capture_end(struct document_moving *moving, const struct document_move_side *side)
{
    return do_patiently(
        moving,
        side->conn,
        "DROP TABLE IF EXISTS tael_move_log, tael_move_copied, " DOCUMENT_MOVE_TABLE
        "; DROP FUNCTION IF EXISTS tael_move_note()");
}

/* ------------------------------------------------------------------------------- where it goes */

/* A scope of a side is met: the side in the list that gets it, or -1. */
static err_t
note_scope(struct document_moving *moving, uint32_t from, uint64_t scope, int32_t *ret_there)
{
    char sql[160];
    const struct document_move_side *side = &moving->sides[from];
    uint32_t place = document_sharded_place(moving->next, moving->next_table, scope);
    *ret_there = place == side->place ? -1 : (int32_t)place; /* the list begins with the next map */
    (void)snprintf(
        sql,
        sizeof(sql),
        "INSERT INTO tael_goes VALUES (%" PRIu64 ", %" PRId32 ") ON CONFLICT DO NOTHING",
        scope,
        *ret_there);
    return document_plain_do(side->conn, sql, moving->message);
}

err_t
document_capture_copy(struct document_moving *moving, uint32_t from, uint64_t scope)
{
    char sql[160];
    int32_t there = -1;
    int64_t copied = 0;
    const struct document_move_side *side = &moving->sides[from];
    struct document_shards_move *move = moving->move;
    TRY(note_scope(moving, from, scope, &there));
    if (there < 0) {
        return ERR_OK;
    }
    (void)snprintf(
        sql, sizeof(sql), "SELECT count(*) FROM tael_move_copied WHERE scope = %" PRIu64, scope);
    TRY(document_plain_number(side->conn, sql, &copied, moving->message));
    if (copied > 0) {
        return ERR_OK;
    }
    FAULT_POINT("documents-move-copy");
    TRY(document_move_copy_scope(moving, side, &moving->sides[there], scope));
    (void)snprintf(sql, sizeof(sql), "INSERT INTO tael_move_copied VALUES (%" PRIu64 ")", scope);
    TRY(document_plain_do(side->conn, sql, moving->message));
    move->ret_scopes++;
    if (move->go_on != NULL && !move->go_on(move->context, move->ret_scopes)) {
        return document_move_explain(moving, ERR_CLOSED, "stopped; the same command goes on");
    }
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------- following */

/* Notes up to `last`, as the snapshot of the source's transaction sees them. */
struct batch {
    struct document_moving *moving;
    const struct document_move_side *from;
    uint32_t from_at;
    int64_t last;
    uint64_t begun; /* bits of sides that have an open transaction */
};

static err_t
scopes_meet(struct batch *batch)
{
    char sql[256];
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT DISTINCT l.scope FROM tael_move_log l WHERE l.n <= %" PRId64
        " AND NOT EXISTS (SELECT 1 FROM tael_goes g WHERE g.scope = l.scope)",
        batch->last);
    PGresult *found = document_plain_run(batch->from->conn, sql, batch->moving->message);
    if (found == NULL) {
        return ERR_DATABASE;
    }
    err_t result = ERR_OK;
    for (int i = 0; i < PQntuples(found) && result == ERR_OK; i++) {
        int32_t there;
        uint64_t scope = strtoull(PQgetvalue(found, i, 0), NULL, 10);
        result = note_scope(batch->moving, batch->from_at, scope, &there);
    }
    PQclear(found);
    return result;
}

static err_t
begin_there(struct batch *batch, uint32_t there)
{
    if ((batch->begun & document_sharded_bit(there)) == 0) {
        TRY(document_plain_do(batch->moving->sides[there].conn, "BEGIN", batch->moving->message));
        batch->begun |= document_sharded_bit(there);
    }
    return ERR_OK;
}

/* What is noted of a kind for a side: keys, the rows out, the rows in; then both are compared. */
static err_t
follow_kind(struct batch *batch, const struct document_kind *kind, uint32_t there)
{
    struct document_moving *moving = batch->moving;
    PGconn *from = batch->from->conn, *to = moving->sides[there].conn;
    char keys[512], out[DOCUMENT_MOVE_SQL_SIZE], in[DOCUMENT_MOVE_SQL_SIZE];
    struct document_move_sum sent = {.rows = 0}, arrived = {.rows = 0};
    struct buf sql;
    (void)snprintf(
        keys,
        sizeof(keys),
        "SELECT DISTINCT l.scope, l.id FROM tael_move_log l JOIN tael_goes g ON g.scope = l.scope "
        "WHERE l.n <= %" PRId64 " AND l.kind = '%s' AND g.there = %" PRIu32,
        batch->last,
        kind->name,
        there);
    TRY(begin_there(batch, there));
    TRY(document_plain_do(to, "TRUNCATE tael_keys", moving->message));
    (void)snprintf(out, sizeof(out), "COPY (%s) TO STDOUT (FORMAT binary)", keys);
    TRY(document_move_copy(
        moving, from, out, to, "COPY tael_keys (scope, id) FROM STDIN (FORMAT binary)"));
    (void)snprintf(
        in,
        sizeof(in),
        "DELETE FROM \"%s\" t USING tael_keys k WHERE t.scope = k.scope AND t.id = k.id",
        kind->name);
    TRY(document_plain_do(to, in, moving->message));
    buf_init_fixed(&sql, out, sizeof(out));
    buf_append_cstr(&sql, "COPY (SELECT ");
    document_move_sql_columns(&sql, kind, "t.");
    buf_append_format(
        &sql,
        " FROM (%s) k JOIN \"%s\" t ON t.scope = k.scope AND t.id = k.id) TO STDOUT (FORMAT "
        "binary)",
        keys,
        kind->name);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    buf_init_fixed(&sql, in, sizeof(in));
    buf_append_format(&sql, "COPY \"%s\" (", kind->name);
    document_move_sql_columns(&sql, kind, "");
    buf_append_cstr(&sql, ") FROM STDIN (FORMAT binary)");
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    TRY(document_move_copy(moving, from, out, to, in));
    (void)snprintf(
        out,
        sizeof(out),
        "SELECT t.scope, t.id, t.version, t.body FROM (%s) k JOIN \"%s\" t ON t.scope = k.scope "
        "AND t.id = k.id",
        keys,
        kind->name);
    (void)snprintf(
        in,
        sizeof(in),
        "SELECT t.scope, t.id, t.version, t.body FROM tael_keys k JOIN \"%s\" t ON t.scope = "
        "k.scope AND t.id = k.id",
        kind->name);
    TRY(document_move_sum_rows(moving, from, out, &sent));
    TRY(document_move_sum_rows(moving, to, in, &arrived));
    moving->move->ret_rows += (uint64_t)sent.rows;
    return sent.rows == arrived.rows && sent.hash == arrived.hash
               ? ERR_OK
               : document_move_explain(moving, ERR_CORRUPT, "what arrived is not what was sent");
}

static const struct document_kind *
kind_find(const struct document_moving *moving, const char *name)
{
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        if (strcmp(moving->kinds[i]->name, name) == 0) {
            return moving->kinds[i];
        }
    }
    return NULL;
}

static err_t
follow_notes(struct batch *batch)
{
    char sql[256];
    TRY(scopes_meet(batch));
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT DISTINCT l.kind, g.there FROM tael_move_log l JOIN tael_goes g ON g.scope = "
        "l.scope WHERE l.n <= %" PRId64 " AND g.there >= 0",
        batch->last);
    PGresult *found = document_plain_run(batch->from->conn, sql, batch->moving->message);
    if (found == NULL) {
        return ERR_DATABASE;
    }
    err_t result = ERR_OK;
    for (int i = 0; i < PQntuples(found) && result == ERR_OK; i++) {
        const struct document_kind *kind = kind_find(batch->moving, PQgetvalue(found, i, 0));
        uint32_t there = (uint32_t)strtoul(PQgetvalue(found, i, 1), NULL, 10);
        result =
            kind == NULL
                ? document_move_explain(batch->moving, ERR_VERSION, "a kind that is not known here")
                : follow_kind(batch, kind, there);
    }
    PQclear(found);
    return result;
}

/* ----------------------------------------------------------------------------------- comparing */

/* All rows of a kind that go to a side. */
static err_t
compare_kind(struct batch *batch, const struct document_kind *kind, uint32_t there)
{
    struct document_moving *moving = batch->moving;
    char rows[512];
    struct document_move_sum sent = {.rows = 0}, arrived = {.rows = 0};
    (void)snprintf(
        rows,
        sizeof(rows),
        "SELECT t.scope, t.id, t.version, t.body FROM tael_goes g JOIN \"%s\" t ON t.scope = "
        "g.scope WHERE g.there = %" PRIu32,
        kind->name,
        there);
    TRY(document_move_sum_rows(moving, batch->from->conn, rows, &sent));
    (void)snprintf(
        rows,
        sizeof(rows),
        "SELECT t.scope, t.id, t.version, t.body FROM tael_came c JOIN \"%s\" t ON t.scope = "
        "c.scope",
        kind->name);
    TRY(document_move_sum_rows(moving, moving->sides[there].conn, rows, &arrived));
    moving->move->ret_rows += (uint64_t)sent.rows;
    if (sent.rows != arrived.rows || sent.hash != arrived.hash) {
        (void)snprintf(
            moving->message,
            DOCUMENT_MESSAGE_SIZE,
            "%s: %" PRId64 " rows were sent from %s and %" PRId64 " are on %s, or they differ",
            kind->name,
            sent.rows,
            batch->from->node->name,
            arrived.rows,
            moving->sides[there].node->name);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

static err_t
compare_with(struct batch *batch, uint32_t there)
{
    struct document_moving *moving = batch->moving;
    PGconn *to = moving->sides[there].conn;
    char sql[160];
    int64_t count = 0;
    (void)snprintf(
        sql, sizeof(sql), "SELECT count(*) FROM tael_goes WHERE there = %" PRIu32, there);
    TRY(document_plain_number(batch->from->conn, sql, &count, moving->message));
    if (count == 0) {
        return ERR_OK;
    }
    TRY(document_plain_do(to, "TRUNCATE tael_came", moving->message));
    (void)snprintf(
        sql,
        sizeof(sql),
        "COPY (SELECT scope FROM tael_goes WHERE there = %" PRIu32 ") TO STDOUT",
        there);
    TRY(document_move_copy(
        moving, batch->from->conn, sql, to, "COPY tael_came (scope) FROM STDIN"));
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        TRY(compare_kind(batch, moving->kinds[i], there));
    }
    return ERR_OK;
}

static err_t
batch_run(struct batch *batch, bool verify)
{
    struct document_moving *moving = batch->moving;
    char sql[128];
    TRY(follow_notes(batch));
    for (uint32_t i = 0; i < moving->next->shard_count; i++) {
        if ((batch->begun & document_sharded_bit(i)) != 0) {
            TRY(document_plain_do(moving->sides[i].conn, "COMMIT", moving->message));
        }
    }
    for (uint32_t i = 0; verify && i < moving->next->shard_count; i++) {
        TRY(compare_with(batch, i));
    }
    FAULT_POINT("documents-move-follow");
    (void)snprintf(sql, sizeof(sql), "DELETE FROM tael_move_log WHERE n <= %" PRId64, batch->last);
    return document_plain_do(batch->from->conn, sql, moving->message);
}

err_t
document_capture_follow(
    struct document_moving *moving, uint32_t from, uint32_t limit, bool verify, uint64_t *ret_count)
{
    char sql[256];
    int64_t count = 0;
    const struct document_move_side *side = &moving->sides[from];
    struct batch batch = {.moving = moving, .from = side, .from_at = from};
    TRY(document_plain_do(side->conn, "BEGIN ISOLATION LEVEL REPEATABLE READ", moving->message));
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT max(n) FROM (SELECT n FROM tael_move_log ORDER BY n LIMIT %" PRIu32 ") b",
        verify ? UINT32_MAX : limit);
    TRY(document_plain_number(side->conn, sql, &batch.last, moving->message));
    (void)snprintf(
        sql, sizeof(sql), "SELECT count(*) FROM tael_move_log WHERE n <= %" PRId64, batch.last);
    TRY(document_plain_number(side->conn, sql, &count, moving->message));
    if (count > 0 || verify) {
        TRY(batch_run(&batch, verify));
    }
    *ret_count = (uint64_t)count;
    return document_plain_do(side->conn, "COMMIT", moving->message);
}
