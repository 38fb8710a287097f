/*
 * Moving merchants beside servers: the steps (document/shards.h). What a database does for it is in
 * sharded_capture.c, what a server does in sharded_follow.c.
 *
 * Who may write what:
 *
 *     servers by the old map    as long as they have a shard's lock, which the fence takes alone
 *     nobody                    from the fence on; from `close` on it is on disk: tael_shard.next
 *     servers by the new map    once tael_shard has its epoch
 *
 * The lock is of a session. It is held from before the last note is followed until the same session
 * has written `next`: one that broke meanwhile, and let servers in again, cannot write it, and
 * the move is not decided. The decision is the map's file. Until then the copies are nothing: no
 * map names them. From then on what is left behind is nothing.
 *
 * One move at a time: a lock of its own in every database, for as long as its sessions live. One
 * that hangs keeps it, and with it everybody else from moving; ending its sessions ends it.
 */
#include "sharded_online.h"

#include "base/assert.h"
#include "base/hash.h"
#include "os/clock.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Notes that are followed at once; so few that the rest may come while nobody works. */
#define BATCH_NOTES  10000
#define LITTLE_NOTES 100
/* Rounds of catching up, after which more is written than is copied. */
#define ROUNDS_MAX     1000

#define MOVE_TRIES_MAX 50
#define MOVE_WAIT_US   100000

#define RING_US        2000
#define BEFORE         ".before" /* behind the path of the map's file */
#define GRACE_MS       1000      /* for a server to let go */
#define FENCE_MS       2500      /* for its sessions to be cut off */
#define LOCK_MOVE      "1836021349"
/* As in postgres_shard.c. */
#define LOCK_OF_SHARDS "1936220530"

static const struct hash_key map_key = {0x7368617264, 0x6d6170};

static void
step(struct document_moving *moving, const char *name)
{
    if (moving->move->at != NULL) {
        moving->move->at(moving->move->context, name);
    }
}

bool
document_move_loses(const struct document_moving *moving, const struct document_move_side *side)
{
    const struct shard_map *map = moving->map, *next = moving->next;
    if (side->was == SHARD_SHARDS_MAX || document_move_is_cold(moving, side)) {
        return false;
    }
    if (map->tables[moving->table].strategy != SHARD_HASH ||
        next->tables[moving->next_table].strategy != SHARD_HASH) {
        return true; /* perhaps */
    }
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        if (map->owners[i] == side->was && next->owners[i] != side->place) {
            return true;
        }
    }
    return false;
}

/* The bytes that stand for a map; never 0. */
static int64_t
map_number(const struct shard_map *map)
{
    struct buf text;
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(map, &text);
    uint64_t number = hash_keyed(map_key, buf_span(&text)) >> 1;
    buf_release(&text);
    return number == 0 ? 1 : (int64_t)number;
}

/* ------------------------------------------------------------------------------------- begin */

static err_t
maps_fit(struct document_moving *moving)
{
    struct document_sharded_groups groups;
    TRY(document_sharded_groups_read(
        moving->map, moving->move->kinds, moving->move->kind_count, &groups, moving->message));
    bool same = groups.count == moving->groups.count;
    for (uint32_t i = 0; same && i < groups.count; i++) {
        same = groups.groups[i].kind == moving->groups.groups[i].kind;
    }
    return same ? ERR_OK
                : document_move_explain(
                      moving,
                      ERR_INVALID,
                      "online, both maps have the same tables of columns, in the same order");
}

static bool
before_path(const struct document_moving *moving, char path[DOCUMENT_SHARDED_PATH_SIZE])
{
    int size = snprintf(path, DOCUMENT_SHARDED_PATH_SIZE, "%s" BEFORE, moving->move->path);
    return size > 0 && size < DOCUMENT_SHARDED_PATH_SIZE;
}

/* Behind the flip the present file is the next map; which was before it is in a file beside. */
static err_t
map_before_load(struct document_moving *moving)
{
    char path[DOCUMENT_SHARDED_PATH_SIZE], ignored[DOCUMENT_MESSAGE_SIZE];
    struct shard_map *before = calloc(1, sizeof(*before));
    uint32_t table = 0;
    if (before == NULL) {
        return ERR_MEMORY;
    }
    if (before_path(moving, path) &&
        document_sharded_map_load(path, before, &table, ignored) == ERR_OK &&
        before->epoch + 1 == moving->next->epoch) {
        *moving->map = *before;
        moving->table = table;
    }
    free(before);
    return ERR_OK;
}

static err_t
side_connect(struct document_moving *moving, uint32_t at, bool has_begun)
{
    struct document_move_side *side = &moving->sides[at];
    int64_t locked = 0;
    if (!has_begun && !document_move_is_cold(moving, side)) {
        /* Made, or migrated by the newest program, as a server would. */
        bool is_new = side->was == SHARD_SHARDS_MAX;
        TRY(document_move_side_open(moving, at, is_new ? moving->next->epoch : 0));
        document_pg_shard_release(document_pg_of(side->store));
        side->store->ops->close(side->store);
        side->store = NULL;
    }
    TRY(document_plain_connect(side->node, &side->conn, moving->message));
    TRY(document_plain_connect(side->node, &side->bell, moving->message));
    /* The server notices the end of a mover a moment later. */
    for (uint32_t i = 0; locked == 0 && i < MOVE_TRIES_MAX; i++) {
        (void)usleep(i == 0 ? 0 : MOVE_WAIT_US);
        TRY(document_plain_number(
            side->conn,
            "SELECT pg_try_advisory_lock(" DOCUMENT_PLAIN_LOCK(LOCK_MOVE) ")::int",
            &locked,
            moving->message));
    }
    return locked == 1 ? ERR_OK
                       : document_move_explain(moving, ERR_LOCKED, "another move is at work");
}

/* Whether a database knows of a move already, without making anything there. */
static err_t
has_begun(struct document_moving *moving, uint32_t at, bool *ret_begun)
{
    struct document_move_side *side = &moving->sides[at];
    TRY(document_plain_connect(side->node, &side->conn, moving->message));
    err_t result =
        document_plain_has_table(side->conn, DOCUMENT_MOVE_TABLE, ret_begun, moving->message);
    PQfinish(side->conn);
    side->conn = NULL;
    return result;
}

static err_t
sides_connect(struct document_moving *moving, bool only_look)
{
    document_move_sides_name(moving);
    for (uint32_t i = 0; i < moving->side_count; i++) {
        bool begun = only_look;
        if (!only_look) {
            TRY(has_begun(moving, i, &begun));
        }
        TRY(side_connect(moving, i, begun));
    }
    return ERR_OK;
}

static err_t
is_the_only_one(struct document_moving *moving, int64_t map)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        int64_t other = 0;
        TRY(document_capture_read(moving, &moving->sides[i], &other));
        if (other != 0 && other != map) {
            return document_move_explain(
                moving, ERR_LOCKED, "a move to another map is unfinished: end it, or cancel it");
        }
    }
    return ERR_OK;
}

static err_t
prepare(struct document_moving *moving)
{
    int64_t map = map_number(moving->next);
    step(moving, "prepare");
    TRY(is_the_only_one(moving, map));
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(document_capture_begin(moving, &moving->sides[i], map));
        FAULT_POINT("documents-move-prepare");
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------ copy, catch up */

static err_t
see_scope(void *context, uint64_t scope)
{
    struct document_moving *moving = context;
    return document_capture_copy(moving, moving->here, scope);
}

/* Every side that rows leave. */
static err_t
each_source(struct document_moving *moving, err_t (*each)(struct document_moving *moving))
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        if (document_move_loses(moving, &moving->sides[i])) {
            moving->here = i;
            TRY(each(moving));
        }
    }
    return ERR_OK;
}

static err_t
copy_source(struct document_moving *moving)
{
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        TRY(document_plain_scopes(
            moving->sides[moving->here].conn,
            moving->kinds[i],
            see_scope,
            moving,
            moving->message));
    }
    return ERR_OK;
}

static err_t
catch_up_source(struct document_moving *moving)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < ROUNDS_MAX; i++) {
        TRY(document_capture_follow(moving, moving->here, BATCH_NOTES, false, &count));
        if (count < LITTLE_NOTES) {
            return ERR_OK;
        }
    }
    return document_move_explain(
        moving, ERR_BUSY, "more is written than can be copied: in a quieter hour, again");
}

static err_t
verify_source(struct document_moving *moving)
{
    uint64_t count = 0;
    return document_capture_follow(moving, moving->here, BATCH_NOTES, true, &count);
}

static err_t
drain_source(struct document_moving *moving)
{
    uint64_t count = 0;
    do {
        TRY(document_capture_follow(moving, moving->here, BATCH_NOTES, false, &count));
    } while (count > 0);
    return ERR_OK;
}

/* --------------------------------------------------------------------------------------- fence */

static const char cut_off_sql[] =
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND "
    "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
    "classid = " DOCUMENT_PLAIN_LOCK_SPACE " AND objsubid = 2 AND mode = 'ShareLock' AND "
    "objid::bigint = ((" DOCUMENT_PLAIN_LOCK_KEY(LOCK_OF_SHARDS) ")::bigint & 4294967295)";

/* What the wait for a lock has come to; ERR_BUSY: it is still waited for. */
static err_t
lock_look(struct document_moving *moving, struct document_move_side *side)
{
    if (PQconsumeInput(side->conn) != 1) {
        postgres_one_line(PQerrorMessage(side->conn), moving->message, DOCUMENT_MESSAGE_SIZE);
        return ERR_CLOSED;
    }
    if (PQisBusy(side->conn)) {
        return ERR_BUSY;
    }
    PGresult *result = PQgetResult(side->conn);
    side->has_lock = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!side->has_lock) {
        postgres_one_line(PQerrorMessage(side->conn), moving->message, DOCUMENT_MESSAGE_SIZE);
    }
    for (; result != NULL; result = PQgetResult(side->conn)) {
        PQclear(result);
    }
    return side->has_lock ? ERR_OK : ERR_CLOSED;
}

/* Calls the servers of every shard that is not alone yet; in the end cuts off who does not hear. */
static err_t
ring(struct document_moving *moving, uint64_t waited_ms, uint32_t *ret_waiting)
{
    *ret_waiting = 0;
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct document_move_side *side = &moving->sides[i];
        if (side->has_lock) {
            continue;
        }
        err_t result = lock_look(moving, side);
        if (result != ERR_BUSY) {
            TRY(result);
            continue;
        }
        (*ret_waiting)++;
        TRY(document_plain_do(side->bell, "NOTIFY " DOCUMENT_PG_SHARD_CHANNEL, moving->message));
        if (waited_ms > GRACE_MS) {
            TRY(document_plain_do(side->bell, cut_off_sql, moving->message));
        }
    }
    return ERR_OK;
}

static err_t
fence(struct document_moving *moving)
{
    uint64_t began_ms = postgres_now_ms();
    uint32_t waiting = moving->side_count;
    step(moving, "fence");
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct document_move_side *side = &moving->sides[i];
        /* A mover that dies while it waits is noticed by its session when that is over. */
        TRY(document_plain_do(side->conn, "SET lock_timeout = 2600", moving->message));
        /* In the queue before anybody is called: who lets go does not get in again before us. */
        if (PQsendQuery(
                side->conn, "SELECT pg_advisory_lock(" DOCUMENT_PLAIN_LOCK(LOCK_OF_SHARDS) ")") !=
            1) {
            return document_move_explain(moving, ERR_CLOSED, "a shard's connection is gone");
        }
    }
    while (waiting > 0) {
        uint64_t waited_ms = postgres_now_ms() - began_ms;
        TRY(ring(moving, waited_ms, &waiting));
        if (waited_ms > FENCE_MS) {
            return document_move_explain(
                moving, ERR_BUSY, "a process does not let go of a shard; nothing has moved");
        }
        (void)usleep(waiting > 0 ? RING_US : 0);
    }
    return ERR_OK;
}

/* --------------------------------------------------------------------------------- flip, open */

static err_t
everywhere(struct document_moving *moving, const char *sql, const char *point)
{
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(document_plain_do(moving->sides[i].conn, sql, moving->message));
        (void)point;
        FAULT_POINT(point);
    }
    return ERR_OK;
}

/* The sessions have been alive since they got their locks. */
static err_t
close_shards(struct document_moving *moving)
{
    char sql[160];
    step(moving, "close");
    (void)snprintf(sql, sizeof(sql), "UPDATE tael_shard SET next = %" PRIu64, moving->next->epoch);
    return everywhere(moving, sql, "documents-move-close");
}

static err_t
flip(struct document_moving *moving)
{
    step(moving, "flip");
    TRY(document_move_map_save(moving, moving->map, BEFORE));
    TRY(everywhere(moving, "SELECT 1", "documents-move-flip"));
    return document_move_map_save(moving, moving->next, "");
}

static err_t
open_shards(struct document_moving *moving)
{
    char sql[256];
    step(moving, "open");
    (void)snprintf(
        sql,
        sizeof(sql),
        "UPDATE tael_shard SET epoch = %" PRIu64 ", next = NULL WHERE next = %" PRIu64,
        moving->next->epoch,
        moving->next->epoch);
    TRY(everywhere(moving, sql, "documents-move-open"));
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct document_move_side *side = &moving->sides[i];
        if (side->has_lock) {
            TRY(document_plain_do(
                side->conn,
                "SELECT pg_advisory_unlock(" DOCUMENT_PLAIN_LOCK(LOCK_OF_SHARDS) ")",
                moving->message));
            side->has_lock = false;
        }
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ clean-up */

/* Whose rows stay where they are, in which of the maps. */
struct staying {
    struct document_moving *moving;
    bool by_next;
};

static err_t
delete_stranger(void *context, uint64_t scope)
{
    const struct staying *staying = context;
    struct document_moving *moving = staying->moving;
    const struct document_move_side *side = &moving->sides[moving->here];
    bool stays =
        staying->by_next
            ? document_sharded_place(moving->next, moving->next_table, scope) == side->place
            : document_sharded_place(moving->map, moving->table, scope) == side->was;
    if (stays) {
        return ERR_OK;
    }
    FAULT_POINT("documents-move-delete");
    return document_move_delete_scope(moving, side, scope);
}

/* Rows that the map has elsewhere, then the notes: as long as these are there it is not over. */
static err_t
clean_up(struct document_moving *moving, bool by_next)
{
    struct staying staying = {.moving = moving, .by_next = by_next};
    step(moving, "clean-up");
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(document_capture_stop(moving, &moving->sides[i]));
    }
    for (uint32_t i = 0; i < moving->side_count; i++) {
        struct document_move_side *side = &moving->sides[i];
        moving->here = i;
        for (uint32_t j = 0; j < moving->kind_count && !document_move_is_cold(moving, side); j++) {
            bool there = false;
            TRY(document_plain_has_table(
                side->conn, moving->kinds[j]->name, &there, moving->message));
            if (there) {
                TRY(document_plain_scopes(
                    side->conn, moving->kinds[j], delete_stranger, &staying, moving->message));
            }
        }
    }
    for (uint32_t i = 0; i < moving->side_count; i++) {
        TRY(document_capture_end(moving, &moving->sides[i]));
        FAULT_POINT("documents-move-end");
    }
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------- the whole */

static err_t
until_decided(struct document_moving *moving)
{
    TRY(prepare(moving));
    step(moving, "copy");
    TRY(each_source(moving, copy_source));
    step(moving, "catch-up");
    TRY(each_source(moving, catch_up_source));
    step(moving, "verify");
    TRY(each_source(moving, verify_source));
    TRY(each_source(moving, catch_up_source));
    uint64_t began_ns = os_monotonic_ns(os_clock_real());
    TRY(fence(moving));
    step(moving, "drain");
    TRY(each_source(moving, drain_source));
    TRY(close_shards(moving));
    TRY(flip(moving));
    TRY(open_shards(moving));
    moving->move->ret_pause_us = (os_monotonic_ns(os_clock_real()) - began_ns) / OS_NS_PER_US;
    return ERR_OK;
}

static void
before_remove(const struct document_moving *moving)
{
    char path[DOCUMENT_SHARDED_PATH_SIZE];
    if (before_path(moving, path)) {
        (void)unlink(path); /* it is of no use, and in nobody's way */
    }
}

static err_t
run_online(struct document_moving *moving)
{
    TRY(document_move_maps_load(moving));
    TRY(maps_fit(moving));
    bool decided = shard_map_equal(moving->map, moving->next);
    if (decided) {
        TRY(map_before_load(moving));
    }
    TRY(sides_connect(moving, decided));
    if (decided) {
        TRY(open_shards(moving));
    } else {
        TRY(until_decided(moving));
    }
    TRY(clean_up(moving, true));
    before_remove(moving);
    return ERR_OK;
}

/* Every shard that is on its way to where the file is not. */
static err_t
run_cancel(struct document_moving *moving)
{
    char sql[160];
    TRY(document_move_maps_load(moving));
    if (shard_map_equal(moving->map, moving->next)) {
        return document_move_explain(
            moving, ERR_MOVED, "the move is decided: end it, and then move back");
    }
    TRY(sides_connect(moving, true));
    TRY(is_the_only_one(moving, map_number(moving->next)));
    step(moving, "cancel");
    (void)snprintf(
        sql,
        sizeof(sql),
        "DO $$ BEGIN IF to_regclass('" DOCUMENT_MOVE_TABLE "') IS NOT NULL THEN UPDATE tael_shard "
        "SET next = NULL WHERE next = %" PRIu64 "; END IF; END $$",
        moving->next->epoch);
    TRY(everywhere(moving, sql, "documents-move-cancel"));
    TRY(clean_up(moving, false));
    before_remove(moving);
    return ERR_OK;
}

err_t
document_shards_move_online(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE])
{
    return document_move_run(move, run_online, message);
}

err_t
document_shards_move_cancel(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE])
{
    return document_move_run(move, run_cancel, message);
}
