/*
 * Column groups: the cold members of a kind's bodies in a shard of their own (SHARDED-7 to 9,
 * sharded.h). The map says `table KIND column`, `column cold SHARD`.
 *
 *     "payment_intent"        (scope, id)         {"cold_at":"NAME","amount":5,"description":null}
 *     "payment_intent_cold"   (scope, id@NAME)    {"description":"tea"}
 *     NAME                    VERSION-SECONDS-RANDOM: the version that the hot row had with it
 * first
 *
 * A cold part is written once, under a name that nobody gives twice, and never changed: another
 * text is another part. So it needs no version of its own, and whoever loses leaves one that no
 * row names, and nothing else.
 */
#include "cold.h"
#include "sharded.h"

#include "base/assert.h"
#include "os/clock.h"
#include "os/entropy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ the groups
 */

const struct document_sharded_group *
document_sharded_group_of(const struct document_sharded *sharded, const struct document_kind *kind)
{
    for (uint32_t i = 0; i < sharded->groups.count; i++) {
        if (sharded->groups.groups[i].kind == kind) {
            return &sharded->groups.groups[i];
        }
    }
    return NULL;
}

static const struct document_kind *
kind_named(const struct document_kind *const *kinds, uint32_t kind_count, const char *name)
{
    for (uint32_t i = 0; i < kind_count; i++) {
        if (kinds[i]->cold_count > 0 && strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

/* Which shard the table has its cold parts on; NULL: there is no such line. */
static const struct shard_column *
cold_column(const struct shard_map *map, uint32_t table)
{
    for (uint32_t i = 0; i < map->column_count; i++) {
        if (map->columns[i].table == table) {
            return &map->columns[i];
        }
    }
    return NULL;
}

err_t
document_sharded_groups_read(
    const struct shard_map *map,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_sharded_groups *ret_groups,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_sharded_groups *groups = ret_groups;
    memset(groups, 0, sizeof(*groups));
    for (uint32_t i = 0; i < map->table_count; i++) {
        if (map->tables[i].strategy != SHARD_COLUMN) {
            continue;
        }
        const struct shard_column *column = cold_column(map, i);
        ASSERT(column != NULL); /* document_sharded_map_load */
        struct document_sharded_group *group = &groups->groups[groups->count++];
        group->kind = kind_named(kinds, kind_count, map->tables[i].name);
        if (group->kind == NULL) {
            (void)snprintf(
                message,
                DOCUMENT_MESSAGE_SIZE,
                "the map's table %s: no kind of documents with cold members has this name",
                map->tables[i].name);
            return ERR_INVALID;
        }
        ASSERT(!group->kind->copied && !group->kind->has_order);
        group->shard = column->shard;
        (void)snprintf(group->name, sizeof(group->name), "%s_cold", group->kind->name);
        group->cold = (struct document_kind){.name = group->name};
        groups->shards |= document_sharded_bit(column->shard);
    }
    return ERR_OK;
}

uint32_t
document_sharded_groups_on(
    const struct document_sharded_groups *groups,
    uint32_t shard,
    const struct document_kind *ret_kinds[SHARD_TABLES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < groups->count; i++) {
        if (groups->groups[i].shard == shard) {
            ret_kinds[count++] = &groups->groups[i].cold;
        }
    }
    return count;
}

/* --------------------------------------------------------------------------------------- reading
 */

static err_t
part_id(struct arena *arena, struct span id, struct span name, struct span *ret_id)
{
    *ret_id = arena_format(arena, "%.*s@%.*s", SPAN_PRINTF(id), SPAN_PRINTF(name));
    return ret_id->size == 0 ? ERR_FULL : ERR_OK;
}

/* The cold part that a hot row names. ERR_CORRUPT: it is not there (SHARDED-7). */
static err_t
part_read(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *hot,
    struct span name,
    struct arena *arena,
    struct span *ret_cold)
{
    struct document_row part;
    struct span id;
    TRY(part_id(arena, hot->id, name, &id));
    TRY(document_sharded_enter(sharded, group->shard));
    struct document_store *shard = &sharded->shards[group->shard]->store;
    err_t result = document_pg_get(shard, &group->cold, hot->scope, id, arena, &part);
    document_sharded_leave(sharded, group->shard);
    TRY(result == ERR_NOT_FOUND ? ERR_CORRUPT : result);
    *ret_cold = part.body;
    return ERR_OK;
}

err_t
document_sharded_join(
    struct document_sharded *sharded,
    const struct document_kind *kind,
    bool hot_only,
    struct arena *arena,
    struct document_row *row)
{
    struct span name, cold, body;
    if (kind->cold_count == 0 || !document_cold_name(row->body, &name)) {
        return ERR_OK;
    }
    const struct document_sharded_group *group = document_sharded_group_of(sharded, kind);
    if (group == NULL) {
        return ERR_CORRUPT; /* it was written by a map that had the group */
    }
    if (hot_only) {
        TRY(document_cold_strip(kind, row->body, arena, &body));
    } else {
        TRY(part_read(sharded, group, row, name, arena, &cold));
        TRY(document_cold_join(kind, row->body, cold, arena, &body));
    }
    row->body = body;
    row->hot_only = hot_only;
    return ERR_OK;
}

err_t
document_sharded_parts_ahead(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *rows,
    size_t count,
    struct arena *arena)
{
    struct document_wish *wishes = ARENA_ARRAY(arena, struct document_wish, count + 1);
    uint32_t named = 0;
    if (wishes == NULL) {
        return ERR_FULL;
    }
    for (size_t i = 0; i < count; i++) {
        struct span name;
        if (document_cold_name(rows[i].body, &name)) {
            struct document_wish *wish = &wishes[named++];
            *wish = (struct document_wish){.kind = &group->cold, .scope = rows[i].scope};
            TRY(part_id(arena, rows[i].id, name, &wish->id));
        }
    }
    struct document_store *shard = &sharded->shards[group->shard]->store;
    return named == 0 ? ERR_OK : document_pg_prefetch(shard, wishes, named);
}

/* --------------------------------------------------------------------------------------- writing
 */

static err_t
part_write(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *hot,
    struct span cold,
    struct arena *arena,
    struct span *ret_name)
{
    u128 random = os_random_u128(os_entropy_real());
    struct document_row part = {.scope = hot->scope, .body = cold};
    struct span name = arena_format(
        arena,
        "%" PRIu32 "-%" PRIu64 "-%016" PRIx64 "%016" PRIx64,
        hot->version + 1,
        os_wall_ns(os_clock_real()) / OS_NS_PER_S,
        (uint64_t)(random >> 64),
        (uint64_t)random);
    if (name.size == 0) {
        return ERR_FULL;
    }
    TRY(part_id(arena, hot->id, name, &part.id));
    TRY(document_sharded_write_enter(sharded, group->shard, true));
    TRY(document_pg_insert(&sharded->shards[group->shard]->store, &group->cold, &part));
    document_sharded_leave(sharded, group->shard);
    *ret_name = name;
    return ERR_OK;
}

err_t
document_sharded_part(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *stored,
    struct arena *arena,
    struct document_row *row)
{
    struct span hot, cold, stored_name = SPAN_EMPTY;
    ASSERT(stored == NULL ? row->version == 0 : row->version == stored->version);
    bool is_named = stored != NULL && document_cold_name(stored->body, &stored_name);
    if (row->hot_only) {
        return is_named
                   ? document_cold_keep(group->kind, row->body, stored->body, arena, &row->body)
                   : ERR_INVALID; /* what was read hot has a name, and keeps it in its version */
    }
    TRY(document_cold_split(group->kind, row->body, arena, &hot, &cold));
    if (cold.size > 0) {
        /* The part that it has, if that is the text. */
        struct span there = SPAN_EMPTY;
        struct span name = stored_name;
        if (is_named) {
            TRY(part_read(sharded, group, row, stored_name, arena, &there));
        }
        if (!span_equal(there, cold)) {
            TRY(part_write(sharded, group, row, cold, arena, &name));
        }
        TRY(document_cold_put_name(hot, name, arena, &hot));
    }
    row->body = hot;
    return ERR_OK;
}
