/*
 * Sweeping cold parts that no row names (document/shards.h, SHARDED-8).
 *
 *     a group        one sweeper at a time, and not sooner than it is wanted
 *     every shard    open, as by a process that works: no move ends meanwhile, and by an old map
 *                    nobody sweeps
 *     a group        its parts beside the rows; those that are left are noted
 *     every shard    still the same sessions: no row has moved past the look; closed
 *     wait           whoever read a row before that still named one of them has ended
 *     a group        the noted parts are deleted
 *
 * A part that is noted is named by no row, and will not be: its row is of the part's version or
 * later. Where no row of that version is there, its writer may be between its two commits; then it
 * is the part's age that counts, and nobody takes that long.
 */
#include "sharded_parts.h"

#include "document/shards.h"

#include "base/assert.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_SLICES_PER_S 10
#define LOCK_OF_SWEEP     DOCUMENT_PLAIN_LOCK("1937204592")

/* One group, by a map of its own. */
struct sweeping {
    struct document_shards_sweep *sweep;
    struct document_store *store; /* NULL: the shards are closed */
    uint64_t sessions[SHARD_SHARDS_MAX];
    struct shard_map map;
    struct document_parts parts;
    uint32_t at;
    uint32_t group_count;
    char *message;
};

static int64_t
now_s(void)
{
    return (int64_t)(os_wall_ns(os_clock_real()) / OS_NS_PER_S);
}

static bool
goes_on(const struct document_shards_sweep *sweep)
{
    return sweep->goes_on == NULL || sweep->goes_on(sweep->context);
}

static err_t
sweeping_open(struct sweeping *sweeping)
{
    struct document_shards_sweep *sweep = sweeping->sweep;
    TRY(document_sharded_open(
        sweep->path, sweep->kinds, sweep->kind_count, &sweeping->store, sweeping->message));
    const struct document_sharded *sharded = document_sharded_of(sweeping->store);
    sweeping->map = *sharded->map;
    for (uint32_t i = 0; i < sharded->count; i++) {
        sweeping->sessions[i] = sharded->shards[i]->session;
    }
    TRY(document_parts_init(
        &sweeping->parts, &sweeping->map, sweep->kinds, sweep->kind_count, sweeping->message));
    sweeping->group_count = sweeping->parts.groups.count;
    return ERR_OK;
}

/* Most maps have none: then no database is asked. */
static err_t
groups_count(struct sweeping *sweeping)
{
    struct document_shards_sweep *sweep = sweeping->sweep;
    struct document_sharded_groups *groups = &sweeping->parts.groups;
    uint32_t table;
    TRY(document_sharded_map_load(sweep->path, &sweeping->map, &table, sweeping->message));
    TRY(document_sharded_groups_read(
        &sweeping->map, sweep->kinds, sweep->kind_count, groups, sweeping->message));
    sweeping->group_count = groups->count;
    return ERR_OK;
}

static void
shards_close(struct sweeping *sweeping)
{
    if (sweeping->store != NULL) {
        sweeping->store->ops->close(sweeping->store);
        sweeping->store = NULL;
    }
}

/* Whoever moved rows past the look has cut one off. */
static err_t
shards_stayed(struct sweeping *sweeping)
{
    const struct document_sharded *sharded = document_sharded_of(sweeping->store);
    for (uint32_t i = 0; i < sharded->count; i++) {
        struct document_pg *pg = sharded->shards[i];
        err_t result = document_pg_begin_flush(pg);
        if (result == ERR_OK) {
            document_pg_send(pg, "SELECT 1");
            result = document_pg_end_flush(pg);
        }
        if (result != ERR_OK || pg->session != sweeping->sessions[i]) {
            (void)snprintf(
                sweeping->message, DOCUMENT_MESSAGE_SIZE, "merchants moved meanwhile; again later");
            return ERR_MOVED;
        }
    }
    return ERR_OK;
}

/* Whether it is this sweeper's turn: nobody else is at it, nor was of late. */
static err_t
has_turn(struct sweeping *sweeping, PGconn *conn, const char *group, bool *ret_turn)
{
    char sql[256];
    int64_t locked = 0, swept_s = 0;
    *ret_turn = false;
    TRY(document_plain_number(
        conn, "SELECT pg_try_advisory_lock(" LOCK_OF_SWEEP ")::int", &locked, sweeping->message));
    if (locked == 0) {
        return ERR_OK;
    }
    TRY(document_plain_do(
        conn,
        "CREATE TABLE IF NOT EXISTS tael_sweep (name text PRIMARY KEY, swept_s bigint NOT NULL)",
        sweeping->message));
    (void)snprintf(sql, sizeof(sql), "SELECT swept_s FROM tael_sweep WHERE name = '%s'", group);
    TRY(document_plain_number(conn, sql, &swept_s, sweeping->message));
    *ret_turn = now_s() - swept_s >= sweeping->sweep->pause_s;
    return ERR_OK;
}

static err_t
turn_end(struct sweeping *sweeping, PGconn *conn, const char *group)
{
    char sql[256];
    (void)snprintf(
        sql,
        sizeof(sql),
        "INSERT INTO tael_sweep (name, swept_s) VALUES ('%s', %" PRId64 ") ON CONFLICT (name) DO "
        "UPDATE SET swept_s = excluded.swept_s",
        group,
        now_s());
    return document_plain_do(conn, sql, sweeping->message);
}

static err_t
group_sweep(struct sweeping *sweeping)
{
    struct document_shards_sweep *sweep = sweeping->sweep;
    const struct document_sharded_group *group = &sweeping->parts.groups.groups[sweeping->at];
    PGconn *conn = sweeping->parts.conns[group->shard];
    uint64_t left = 0, deleted = 0;
    bool turn = false;
    TRY(has_turn(sweeping, conn, group->name, &turn));
    if (!turn) {
        return ERR_OK;
    }
    TRY(document_parts_left(&sweeping->parts, group, now_s() - sweep->age_s, &left));
    TRY(shards_stayed(sweeping));
    shards_close(sweeping);
    for (uint64_t i = 0; left > 0 && i < (uint64_t)sweep->wait_s * WAIT_SLICES_PER_S; i++) {
        if (!goes_on(sweep)) {
            return ERR_OK; /* what was noted ends with the session */
        }
        (void)usleep(1000000 / WAIT_SLICES_PER_S);
    }
    if (left > 0) {
        TRY(document_parts_delete(&sweeping->parts, group, &deleted));
        sweep->ret_parts += deleted;
    }
    return turn_end(sweeping, conn, group->name);
}

err_t
document_shards_sweep(struct document_shards_sweep *sweep, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct sweeping *sweeping = calloc(1, sizeof(*sweeping));
    if (sweeping == NULL) {
        return ERR_MEMORY;
    }
    ASSERT(sweep->age_s >= 0);
    message[0] = '\0';
    sweep->ret_parts = 0;
    sweeping->sweep = sweep;
    sweeping->message = message;
    err_t result = groups_count(sweeping);
    for (; result == ERR_OK && sweeping->at < sweeping->group_count && goes_on(sweep);
         sweeping->at++) {
        result = sweeping_open(sweeping);
        if (result == ERR_OK && sweeping->at < sweeping->group_count) {
            result = group_sweep(sweeping);
        }
        document_parts_release(&sweeping->parts);
        shards_close(sweeping);
    }
    free(sweeping);
    return result;
}
