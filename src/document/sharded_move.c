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
#include "sharded_move.h"

#include "base/assert.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The server notices the end of a process a moment later. */
#define LOCK_TRIES_MAX 20
#define LOCK_WAIT_US   100000

err_t
document_move_explain(struct document_moving *moving, err_t error, const char *what)
{
    (void)snprintf(moving->message, DOCUMENT_MESSAGE_SIZE, "%s", what);
    return error;
}

/* -------------------------------------------------------------------------------------- opening */

static bool
owns_by_next(const void *context, uint64_t scope)
{
    const struct document_moving *moving = context;
    const struct document_move_side *side = &moving->sides[moving->here];
    return document_sharded_place(moving->next, moving->next_table, scope) == side->place;
}

err_t
document_move_side_open(struct document_moving *moving, uint32_t at, uint64_t next)
{
    struct document_move_side *side = &moving->sides[at];
    char happened[DOCUMENT_MESSAGE_SIZE] = "";
    struct document_pg_identity identity = {
        .epoch = moving->map->epoch,
        .next = next,
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
    return ERR_OK;
}

static void
sides_close(struct document_moving *moving)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct document_move_side *side = &moving->sides[i];
        PQfinish(side->conn);
        PQfinish(side->bell);
        if (side->store != NULL) {
            document_pg_shard_release(document_pg_of(side->store));
            side->store->ops->close(side->store);
        }
    }
}

/* Those of the next map first; a shard that is in both is where the next one says. */
void
document_move_sides_name(struct document_moving *moving)
{
    const struct shard_map *next = moving->next, *map = moving->map;
    uint32_t unused;
    for (uint32_t i = 0; i < next->shard_count; i++) {
        const struct shard_node *node = &next->shards[i];
        uint32_t was = SHARD_SHARDS_MAX;
        if (shard_map_find(map, span_from_cstr(node->name), &was) != ERR_OK) {
            was = SHARD_SHARDS_MAX;
        }
        moving->sides[moving->side_count++] =
            (struct document_move_side){.node = node, .place = i, .was = was};
    }
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const struct shard_node *node = &map->shards[i];
        if (shard_map_find(next, span_from_cstr(node->name), &unused) != ERR_OK) {
            moving->sides[moving->side_count++] =
                (struct document_move_side){.node = node, .place = SHARD_SHARDS_MAX, .was = i};
        }
    }
}

/* A row is of no use without its cold part, and parts do not move: a group stays where it is. A new
 * one may come: rows are parted when they are written. */
static err_t
groups_stay(struct document_moving *moving)
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

err_t
document_move_maps_load(struct document_moving *moving)
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

static err_t
sum_scope(
    struct document_moving *moving,
    const struct document_move_side *side,
    uint64_t scope,
    struct document_move_sum *ret_sum)
{
    char rows[256];
    struct document_move_sum sum = {.rows = 0};
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        (void)snprintf(
            rows,
            sizeof(rows),
            "SELECT scope, id, version, body FROM \"%s\" WHERE scope = %" PRIu64,
            moving->kinds[i]->name,
            scope);
        TRY(document_move_sum_rows(moving, side->conn, rows, &sum));
    }
    *ret_sum = sum;
    return ERR_OK;
}

static err_t
move_scope(
    struct document_moving *moving,
    const struct document_move_side *from,
    const struct document_move_side *to,
    uint64_t scope)
{
    struct document_move_sum sent, arrived;
    TRY(document_move_copy_scope(moving, from, to, scope));
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
    TRY(document_move_delete_scope(moving, from, scope));
    struct document_shards_move *move = moving->move;
    move->ret_scopes++;
    move->ret_rows += (uint64_t)sent.rows;
    if (move->go_on != NULL && !move->go_on(move->context, move->ret_scopes)) {
        return document_move_explain(moving, ERR_CLOSED, "stopped; the same command goes on");
    }
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------------- moving
 */

static err_t
see_scope(void *context, uint64_t scope)
{
    struct document_moving *moving = context;
    const struct document_move_side *from = &moving->sides[moving->here];
    uint32_t place = document_sharded_place(moving->next, moving->next_table, scope);
    /* Sides begin with the next map's shards, in its order. */
    return place == from->place ? ERR_OK : move_scope(moving, from, &moving->sides[place], scope);
}

static err_t
everywhere(struct document_moving *moving, const char *sql)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(document_plain_do(moving->sides[i].conn, sql, moving->message));
    }
    return ERR_OK;
}

err_t
document_move_map_save(
    struct document_moving *moving, const struct shard_map *map, const char *suffix)
{
    char path[DOCUMENT_SHARDED_PATH_SIZE], folder[DOCUMENT_SHARDED_PATH_SIZE];
    int size = snprintf(path, sizeof(path), "%s%s", moving->move->path, suffix);
    if (size < 0 || (size_t)size >= sizeof(path)) {
        return document_move_explain(moving, ERR_INVALID, "the map's path is too long");
    }
    memcpy(folder, path, (size_t)size + 1);
    char *slash = strrchr(folder, '/');
    const char *name = slash == NULL ? path : path + (slash - folder) + 1;
    if (slash != NULL) {
        *slash = '\0';
    }
    const char *where = slash == NULL ? "." : folder[0] == '\0' ? "/" : folder;
    struct buf text;
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(map, &text);
    err_t result =
        buf_failed(&text) ? ERR_MEMORY : os_file_save(os_disk_real(), where, name, buf_span(&text));
    buf_release(&text);
    return result == ERR_OK ? ERR_OK : document_move_explain(moving, result, err_text(result));
}

static err_t
move_all(struct document_moving *moving)
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
    TRY(document_move_map_save(moving, moving->next, ""));
    (void)snprintf(
        sql,
        sizeof(sql),
        "UPDATE tael_shard SET epoch = %" PRIu64 ", next = NULL",
        moving->next->epoch);
    return everywhere(moving, sql);
}

/* One beside servers has to be ended by its own kind: its copies are only half of it. */
static err_t
none_online(struct document_moving *moving)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        bool there = false;
        TRY(document_plain_has_table(
            moving->sides[i].conn, DOCUMENT_MOVE_TABLE, &there, moving->message));
        if (there) {
            return document_move_explain(
                moving,
                ERR_LOCKED,
                "a move beside servers is unfinished: end it (--online) or cancel it (--cancel)");
        }
    }
    return ERR_OK;
}

static err_t
run_offline(struct document_moving *moving)
{
    TRY(document_move_maps_load(moving));
    document_move_sides_name(moving);
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct document_move_side *side = &moving->sides[i];
        TRY(document_move_side_open(moving, i, moving->next->epoch));
        TRY(document_plain_connect(side->node, &side->conn, moving->message));
    }
    TRY(none_online(moving));
    return move_all(moving);
}

err_t
document_move_run(
    struct document_shards_move *move,
    err_t (*run)(struct document_moving *moving),
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_moving *moving = calloc(1, sizeof(*moving));
    ASSERT(move->kind_count < DOCUMENT_SHARDED_KINDS_MAX);
    if (moving == NULL) {
        return ERR_MEMORY;
    }
    message[0] = '\0';
    moving->move = move;
    moving->message = message;
    move->ret_scopes = move->ret_rows = move->ret_pause_us = 0;
    memcpy(moving->kinds, move->kinds, move->kind_count * sizeof(moving->kinds[0]));
    moving->kinds[move->kind_count] = &document_sharded_claim_kind;
    moving->kind_count = move->kind_count + 1;
    moving->map = calloc(1, sizeof(*moving->map));
    moving->next = calloc(1, sizeof(*moving->next));
    err_t result = moving->map == NULL || moving->next == NULL ? ERR_MEMORY : run(moving);
    sides_close(moving);
    free(moving->map);
    free(moving->next);
    free(moving);
    return result;
}

err_t
document_shards_move(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE])
{
    return document_move_run(move, run_offline, message);
}
