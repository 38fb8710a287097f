/*
 * Moving rows between shards (document/shards.h).
 *
 *     every shard       its lock alone; `next` = the next map's epoch
 *     every scope       that the next map has elsewhere:
 *         there         BEGIN; delete what an attempt before left; copy; COMMIT
 *         both          the same number of rows and the same sum of hashes
 *         here          BEGIN; delete; COMMIT
 *     the map's file    replaced
 *     every shard       `epoch` = `next`, `next` = none
 *
 * Cut off anywhere, the same call goes on: a scope that is still here is copied again, over what is
 * there; one that is not has arrived. A scope is asked of every shard, not only of the one that the
 * old map names, so a move may also be ended with a map that leaves everything where it was.
 */
#include "sharded_plain.h"

#include "document/shards.h"

#include "base/assert.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOVE_SQL_SIZE  4096
#define MOVE_KINDS_MAX 128
/* The server notices the end of a process a moment later. */
#define LOCK_TRIES_MAX 20
#define LOCK_WAIT_US   100000

/* A database of either map. */
struct side {
    const struct shard_node *node;
    uint32_t place;               /* in the next map; SHARD_SHARDS_MAX: it leaves */
    struct document_store *store; /* holds the lock */
    PGconn *conn;
};

struct moving {
    struct document_shards_move *move;
    const struct document_kind *kinds[MOVE_KINDS_MAX];
    uint32_t kind_count;
    struct shard_map *map, *next;
    uint32_t table, next_table;
    struct document_sharded_groups groups; /* of the next map */
    struct side sides[2 * SHARD_SHARDS_MAX];
    uint32_t side_count;
    uint32_t here; /* whose scopes are looked at */
    char *message;
};

static err_t
explain(struct moving *moving, err_t error, const char *what)
{
    (void)snprintf(moving->message, DOCUMENT_MESSAGE_SIZE, "%s", what);
    return error;
}

/* -------------------------------------------------------------------------------------- opening */

static bool
owns_by_next(const void *context, uint64_t scope)
{
    const struct moving *moving = context;
    const struct side *side = &moving->sides[moving->here];
    return document_sharded_place(moving->next, moving->next_table, scope) == side->place;
}

static err_t
side_open(struct moving *moving, uint32_t at)
{
    struct side *side = &moving->sides[at];
    char happened[DOCUMENT_MESSAGE_SIZE] = "";
    struct document_pg_identity identity = {
        .epoch = moving->map->epoch,
        .next = moving->next->epoch,
        .owns = owns_by_next,
        .context = moving,
    };
    memcpy(identity.name, side->node->name, sizeof(identity.name));
    moving->here = at;
    err_t result = ERR_LOCKED;
    for (uint32_t i = 0; result == ERR_LOCKED && i < LOCK_TRIES_MAX; i++) {
        (void)usleep(i == 0 ? 0 : LOCK_WAIT_US);
        result = document_pg_open(
            side->node->at, &identity, moving->kinds, moving->kind_count, &side->store, happened);
    }
    if (result != ERR_OK) {
        (void)snprintf(
            moving->message,
            DOCUMENT_MESSAGE_SIZE,
            "shard %s: %.200s",
            side->node->name,
            happened[0] == '\0' ? err_text(result) : happened);
        return result;
    }
    return document_plain_connect(side->node, &side->conn, moving->message);
}

static void
sides_close(struct moving *moving)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct side *side = &moving->sides[i];
        PQfinish(side->conn);
        if (side->store != NULL) {
            document_pg_shard_release(document_pg_of(side->store));
            side->store->ops->close(side->store);
        }
    }
}

/* Those of the next map first; a shard that is in both is where the next one says. */
static void
sides_name(struct moving *moving)
{
    const struct shard_map *next = moving->next, *map = moving->map;
    uint32_t unused;
    for (uint32_t i = 0; i < next->shard_count; i++) {
        moving->sides[moving->side_count++] = (struct side){.node = &next->shards[i], .place = i};
    }
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const struct shard_node *node = &map->shards[i];
        if (shard_map_find(next, span_from_cstr(node->name), &unused) != ERR_OK) {
            moving->sides[moving->side_count++] =
                (struct side){.node = node, .place = SHARD_SHARDS_MAX};
        }
    }
}

/* A row is of no use without its cold part, and parts do not move: a group stays where it is. A new
 * one may come: rows are parted when they are written. */
static err_t
groups_stay(struct moving *moving)
{
    const struct shard_map *map = moving->map, *next = moving->next;
    for (uint32_t i = 0; i < map->column_count; i++) {
        const struct shard_column *column = &map->columns[i];
        const struct shard_table *table = &map->tables[column->table];
        uint32_t next_table;
        struct shard_route route;
        err_t found = shard_table_find(next, span_from_cstr(table->name), &next_table);
        if (found == ERR_OK && next->tables[next_table].strategy == SHARD_COLUMN) {
            found = shard_route(next, next_table, SPAN_EMPTY, span_from_cstr(column->name), &route);
        } else {
            found = ERR_NOT_FOUND;
        }
        if (found != ERR_OK ||
            strcmp(next->shards[route.shard].name, map->shards[column->shard].name) != 0) {
            (void)snprintf(
                moving->message,
                DOCUMENT_MESSAGE_SIZE,
                "the next map's table %s: its cold parts are on shard %s, and cannot move",
                table->name,
                map->shards[column->shard].name);
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static err_t
maps_load(struct moving *moving)
{
    struct document_shards_move *move = moving->move;
    TRY(document_sharded_map_load(move->path, moving->map, &moving->table, moving->message));
    TRY(document_sharded_map_load(
        move->next_path, moving->next, &moving->next_table, moving->message));
    /* Equal: the last steps of a move that was cut off. */
    if (!shard_map_equal(moving->map, moving->next) &&
        moving->next->epoch != moving->map->epoch + 1) {
        (void)snprintf(
            moving->message,
            DOCUMENT_MESSAGE_SIZE,
            "the next map is of epoch %" PRIu64 ", and has to be of %" PRIu64,
            moving->next->epoch,
            moving->map->epoch + 1);
        return ERR_INVALID;
    }
    TRY(document_sharded_groups_read(
        moving->next, move->kinds, move->kind_count, &moving->groups, moving->message));
    return groups_stay(moving);
}

/* ------------------------------------------------------------------------------------ one scope */

static void
sql_columns(struct buf *sql, const struct document_kind *kind)
{
    buf_append_cstr(sql, "scope, id, version, body");
    for (uint32_t i = 0; i < kind->column_count; i++) {
        buf_append_format(sql, ", \"%s\"", kind->columns[i].name);
    }
}

/* "COPY ..." of one scope, out of or into a table. */
static void
sql_copy(char text[MOVE_SQL_SIZE], const struct document_kind *kind, uint64_t scope, bool out)
{
    struct buf sql;
    buf_init_fixed(&sql, text, MOVE_SQL_SIZE);
    if (out) {
        buf_append_cstr(&sql, "COPY (SELECT ");
        sql_columns(&sql, kind);
        buf_append_format(
            &sql,
            " FROM \"%s\" WHERE scope = %" PRIu64 " ORDER BY id) TO STDOUT",
            kind->name,
            scope);
    } else {
        buf_append_format(&sql, "COPY \"%s\" (", kind->name);
        sql_columns(&sql, kind);
        buf_append_cstr(&sql, ") FROM STDIN");
    }
    buf_append_cstr(&sql, " (FORMAT binary)");
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
}

/* The end of a COPY has a result of its own. */
static err_t
copy_ended(struct moving *moving, PGconn *conn)
{
    err_t error = ERR_OK;
    for (PGresult *result = PQgetResult(conn); result != NULL; result = PQgetResult(conn)) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK && error == ERR_OK) {
            error = ERR_DATABASE;
            postgres_one_line(PQerrorMessage(conn), moving->message, DOCUMENT_MESSAGE_SIZE);
        }
        PQclear(result);
    }
    return error;
}

static err_t
copy_bytes(struct moving *moving, PGconn *from, PGconn *to)
{
    char *piece = NULL;
    int size = PQgetCopyData(from, &piece, 0);
    bool good = true;
    for (; size > 0; size = PQgetCopyData(from, &piece, 0)) {
        good = good && PQputCopyData(to, piece, size) == 1;
        PQfreemem(piece);
    }
    good = good && size == -1;
    bool ended = PQputCopyEnd(to, good ? NULL : "the other side failed") == 1;
    TRY(copy_ended(moving, from));
    TRY(copy_ended(moving, to));
    return good && ended ? ERR_OK : explain(moving, ERR_CLOSED, "copying was cut off");
}

static err_t
copy_kind(
    struct moving *moving,
    const struct side *from,
    const struct side *to,
    const struct document_kind *kind,
    uint64_t scope)
{
    char sql[MOVE_SQL_SIZE];
    (void)snprintf(
        sql, sizeof(sql), "DELETE FROM \"%s\" WHERE scope = %" PRIu64, kind->name, scope);
    TRY(document_plain_do(to->conn, sql, moving->message));
    sql_copy(sql, kind, scope, true);
    TRY(document_plain_do(from->conn, sql, moving->message));
    sql_copy(sql, kind, scope, false);
    TRY(document_plain_do(to->conn, sql, moving->message));
    return copy_bytes(moving, from->conn, to->conn);
}

/* How many rows, and the sum of hashes of what they are. */
struct sum {
    int64_t rows;
    int64_t hash;
};

static err_t
sum_scope(struct moving *moving, const struct side *side, uint64_t scope, struct sum *ret_sum)
{
    char sql[MOVE_SQL_SIZE];
    struct sum sum = {.rows = 0};
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        (void)snprintf(
            sql,
            sizeof(sql),
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) %% 1000000007 FROM "
            "(SELECT scope, id, version, body FROM \"%s\" WHERE scope = %" PRIu64 ") t",
            moving->kinds[i]->name,
            scope);
        PGresult *result = document_plain_run(side->conn, sql, moving->message);
        if (result == NULL) {
            return ERR_DATABASE;
        }
        sum.rows += strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        /* By kind, so that a row in another table's place is seen. */
        sum.hash = (sum.hash * 31 + strtoll(PQgetvalue(result, 0, 1), NULL, 10)) % 1000000007;
        PQclear(result);
    }
    *ret_sum = sum;
    return ERR_OK;
}

static err_t
delete_scope(struct moving *moving, const struct side *side, uint64_t scope)
{
    TRY(document_plain_do(side->conn, "BEGIN", moving->message));
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        char sql[256];
        (void)snprintf(
            sql,
            sizeof(sql),
            "DELETE FROM \"%s\" WHERE scope = %" PRIu64,
            moving->kinds[i]->name,
            scope);
        TRY(document_plain_do(side->conn, sql, moving->message));
    }
    return document_plain_do(side->conn, "COMMIT", moving->message);
}

static err_t
move_scope(struct moving *moving, const struct side *from, const struct side *to, uint64_t scope)
{
    struct sum sent, arrived;
    TRY(document_plain_do(to->conn, "BEGIN", moving->message));
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        TRY(copy_kind(moving, from, to, moving->kinds[i], scope));
    }
    TRY(document_plain_do(to->conn, "COMMIT", moving->message));
    TRY(sum_scope(moving, from, scope, &sent));
    TRY(sum_scope(moving, to, scope, &arrived));
    if (sent.rows != arrived.rows || sent.hash != arrived.hash) {
        (void)snprintf(
            moving->message,
            DOCUMENT_MESSAGE_SIZE,
            "merchant %" PRIu64 ": %" PRId64 " rows were sent from %s and %" PRId64
            " are on %s, or they differ",
            scope / 2,
            sent.rows,
            from->node->name,
            arrived.rows,
            to->node->name);
        return ERR_CORRUPT;
    }
    TRY(delete_scope(moving, from, scope));
    struct document_shards_move *move = moving->move;
    move->ret_scopes++;
    move->ret_rows += (uint64_t)sent.rows;
    if (move->go_on != NULL && !move->go_on(move->context, move->ret_scopes)) {
        return explain(moving, ERR_CLOSED, "stopped; the same command goes on");
    }
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------------- moving
 */

static err_t
see_scope(void *context, uint64_t scope)
{
    struct moving *moving = context;
    const struct side *from = &moving->sides[moving->here];
    uint32_t place = document_sharded_place(moving->next, moving->next_table, scope);
    /* Sides begin with the next map's shards, in its order. */
    return place == from->place ? ERR_OK : move_scope(moving, from, &moving->sides[place], scope);
}

static err_t
everywhere(struct moving *moving, const char *sql)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(document_plain_do(moving->sides[i].conn, sql, moving->message));
    }
    return ERR_OK;
}

/* The file of the map becomes that of the next one. */
static err_t
replace_map(struct moving *moving)
{
    char folder[DOCUMENT_MESSAGE_SIZE * 4];
    const char *path = moving->move->path;
    if (strlen(path) >= sizeof(folder)) {
        return explain(moving, ERR_INVALID, "the map's path is too long");
    }
    memcpy(folder, path, strlen(path) + 1);
    char *slash = strrchr(folder, '/');
    const char *name = slash == NULL ? path : path + (slash - folder) + 1;
    if (slash != NULL) {
        *slash = '\0';
    }
    const char *where = slash == NULL ? "." : folder[0] == '\0' ? "/" : folder;
    struct buf text;
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(moving->next, &text);
    err_t result =
        buf_failed(&text) ? ERR_MEMORY : os_file_save(os_disk_real(), where, name, buf_span(&text));
    buf_release(&text);
    return result == ERR_OK ? ERR_OK : explain(moving, result, err_text(result));
}

static err_t
move_all(struct moving *moving)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "UPDATE tael_shard SET next = %" PRIu64, moving->next->epoch);
    TRY(everywhere(moving, sql));
    for (uint32_t i = 0; i < moving->side_count; i++) {
        moving->here = i;
        for (uint32_t j = 0; j < moving->kind_count; j++) {
            TRY(document_plain_scopes(
                moving->sides[i].conn, moving->kinds[j], see_scope, moving, moving->message));
        }
    }
    TRY(replace_map(moving));
    (void)snprintf(
        sql,
        sizeof(sql),
        "UPDATE tael_shard SET epoch = %" PRIu64 ", next = NULL",
        moving->next->epoch);
    return everywhere(moving, sql);
}

static err_t
move_run(struct moving *moving)
{
    TRY(maps_load(moving));
    sides_name(moving);
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(side_open(moving, i));
    }
    return move_all(moving);
}

err_t
document_shards_move(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct moving *moving = calloc(1, sizeof(*moving));
    ASSERT(move->kind_count < MOVE_KINDS_MAX);
    if (moving == NULL) {
        return ERR_MEMORY;
    }
    message[0] = '\0';
    moving->move = move;
    moving->message = message;
    move->ret_scopes = move->ret_rows = 0;
    memcpy(moving->kinds, move->kinds, move->kind_count * sizeof(moving->kinds[0]));
    moving->kinds[move->kind_count] = &document_sharded_claim_kind;
    moving->kind_count = move->kind_count + 1;
    moving->map = calloc(1, sizeof(*moving->map));
    moving->next = calloc(1, sizeof(*moving->next));
    err_t result = moving->map == NULL || moving->next == NULL ? ERR_MEMORY : move_run(moving);
    sides_close(moving);
    free(moving->map);
    free(moving->next);
    free(moving);
    return result;
}
