/* What each shard has, beside what the map says (document/shards.h). */
#include "sharded_move.h"
#include "sharded_parts.h"

#include "document/shards.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct look {
    const struct shard_map *map;
    uint32_t table;
    uint32_t shard;
    const struct document_kind *const *kinds;
    uint32_t kind_count;
    uint64_t *scopes; /* that were seen in this shard, rising */
    uint32_t scope_count, scope_room;
    struct document_parts parts;
    struct document_shards_state state;
};

static bool
is_cold(const struct look *look)
{
    return (look->parts.groups.shards & document_sharded_bit(look->shard)) != 0;
}

/* Several kinds have rows of one scope. */
static err_t
see_scope(void *context, uint64_t scope)
{
    struct look *look = context;
    uint32_t low = 0, high = look->scope_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (look->scopes[middle] < scope) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < look->scope_count && look->scopes[low] == scope) {
        return ERR_OK;
    }
    if (look->scope_count == look->scope_room) {
        uint32_t room = look->scope_room == 0 ? 256 : 2 * look->scope_room;
        uint64_t *scopes = realloc(look->scopes, room * sizeof(scopes[0]));
        if (scopes == NULL) {
            return ERR_MEMORY;
        }
        look->scopes = scopes;
        look->scope_room = room;
    }
    memmove(
        &look->scopes[low + 1],
        &look->scopes[low],
        (look->scope_count - low) * sizeof(look->scopes[0]));
    look->scopes[low] = scope;
    look->scope_count++;
    return ERR_OK;
}

static err_t
count_rows(
    struct look *look,
    PGconn *conn,
    const struct document_kind *kind,
    bool *ret_there,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char sql[256];
    int64_t rows = 0;
    TRY(document_plain_has_table(conn, kind->name, ret_there, message));
    if (*ret_there) {
        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"%s\"", kind->name);
        TRY(document_plain_number(conn, sql, &rows, message));
        look->state.rows += (uint64_t)rows;
    }
    return ERR_OK;
}

static err_t
look_at_kind(
    struct look *look,
    PGconn *conn,
    const struct document_kind *kind,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    bool there = false;
    TRY(count_rows(look, conn, kind, &there, message));
    return there ? document_plain_scopes(conn, kind, see_scope, look, message) : ERR_OK;
}

static err_t
look_at_claim(struct look *look, PGconn *conn, char message[DOCUMENT_MESSAGE_SIZE])
{
    bool there = false;
    TRY(document_plain_has_table(conn, "tael_shard", &there, message));
    if (there) {
        TRY(document_plain_number(
            conn, "SELECT epoch FROM tael_shard", &look->state.epoch, message));
        TRY(document_plain_number(conn, "SELECT next FROM tael_shard", &look->state.next, message));
    }
    TRY(document_plain_has_table(conn, DOCUMENT_MOVE_TABLE, &there, message));
    if (there && look->state.next == 0) { /* beside servers: they do not know yet */
        TRY(document_plain_number(
            conn, "SELECT max(epoch) FROM " DOCUMENT_MOVE_TABLE, &look->state.next, message));
    }
    return ERR_OK;
}

static void
count_placement(struct look *look)
{
    const struct shard_map *map = look->map;
    if (map->tables[look->table].strategy == SHARD_HASH) {
        for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
            look->state.slots += map->owners[i] == look->shard;
        }
    }
    for (uint32_t i = 0; i < map->point_count; i++) {
        look->state.ranges +=
            map->points[i].table == look->table && map->points[i].shard == look->shard;
    }
    for (uint32_t i = 0; i < look->scope_count; i++) {
        if (document_sharded_place(map, look->table, look->scopes[i]) != look->shard) {
            look->state.one_stranger =
                look->state.strangers == 0 ? look->scopes[i] : look->state.one_stranger;
            look->state.strangers++;
        }
    }
    look->state.scopes = look->scope_count;
}

/* A shard of cold parts: how many, and of these how many nobody names. */
static err_t
look_at_parts(struct look *look, PGconn *conn, char message[DOCUMENT_MESSAGE_SIZE])
{
    look->state.is_cold = true;
    for (uint32_t i = 0; i < look->parts.groups.count; i++) {
        const struct document_sharded_group *group = &look->parts.groups.groups[i];
        uint64_t left = 0;
        if (group->shard != look->shard) {
            continue;
        }
        /* Their scopes are not looked at: parts are of every merchant. */
        bool there = false;
        TRY(count_rows(look, conn, &group->cold, &there, message));
        TRY(document_parts_left(&look->parts, group, INT64_MAX, &left));
        look->state.left += left;
    }
    return ERR_OK;
}

static err_t
look_at_shard(struct look *look, char message[DOCUMENT_MESSAGE_SIZE])
{
    const struct shard_node *node = &look->map->shards[look->shard];
    PGconn *conn = NULL;
    look->state = (struct document_shards_state){.name = node->name};
    look->scope_count = 0;
    TRY(document_plain_connect(node, &conn, message));
    err_t result = look_at_claim(look, conn, message);
    for (uint32_t i = 0; i < look->kind_count && result == ERR_OK; i++) {
        result = look_at_kind(look, conn, look->kinds[i], message);
    }
    if (result == ERR_OK) {
        result = look_at_kind(look, conn, &document_sharded_claim_kind, message);
    }
    if (result == ERR_OK) {
        result = is_cold(look)
                     ? look_at_parts(look, conn, message)
                     : document_parts_missing(&look->parts, look->shard, &look->state.missing);
    }
    PQfinish(conn);
    count_placement(look);
    return result;
}

err_t
document_shards_look(
    const char *path,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    document_shards_each each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct look look = {.kinds = kinds, .kind_count = kind_count};
    struct shard_map *map = calloc(1, sizeof(*map));
    if (map == NULL) {
        return ERR_MEMORY;
    }
    err_t result = document_sharded_map_load(path, map, &look.table, message);
    look.map = map;
    if (result == ERR_OK) {
        result = document_parts_init(&look.parts, map, kinds, kind_count, message);
    }
    for (uint32_t i = 0; result == ERR_OK && i < map->shard_count; i++) {
        look.shard = i;
        result = look_at_shard(&look, message);
        if (result == ERR_OK) {
            each(context, &look.state);
        }
    }
    document_parts_release(&look.parts);
    free(look.scopes);
    free(map);
    return result;
}
