/* The map of a store in shards: its file, what of it can be, and the databases that it names. */
#include "sharded_plain.h"

#include "base/assert.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t
document_sharded_place(const struct shard_map *map, uint32_t table, uint64_t scope)
{
    char key[DOCUMENT_SHARDED_KEY_SIZE];
    struct shard_route route;
    int size = snprintf(key, sizeof(key), "%020" PRIu64, scope / 2);
    ASSERT(size == DOCUMENT_SHARDED_KEY_SIZE - 1);
    err_t result = shard_route(map, table, span_of(key, (size_t)size), SPAN_EMPTY, &route);
    ASSERT(result == ERR_OK); /* of a hash or range table, every key is somewhere */
    return route.shard;
}

/* ------------------------------------------------------------------------------------- the map */

static err_t
wrong(char message[DOCUMENT_MESSAGE_SIZE], const char *path, const char *why)
{
    (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%.100s: %.150s", path, why);
    return ERR_INVALID;
}

static bool
is_number(const char *key)
{
    return strlen(key) == DOCUMENT_SHARDED_KEY_SIZE - 1 &&
           strspn(key, "0123456789") == DOCUMENT_SHARDED_KEY_SIZE - 1;
}

static bool
has_scopes(const struct shard_map *map, uint32_t table, uint32_t shard)
{
    bool has = false;
    for (uint32_t i = 0; i < SHARD_SLOTS && map->tables[table].strategy == SHARD_HASH; i++) {
        has = has || map->owners[i] == shard;
    }
    for (uint32_t i = 0; i < map->point_count; i++) {
        has = has || (map->points[i].table == table && map->points[i].shard == shard);
    }
    return has;
}

/* Column groups (sharded_cold.c): `table KIND column`, `column cold SHARD`. SHARDED-9. */
static err_t
columns_check(
    const struct shard_map *map,
    uint32_t table,
    const char *path,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    uint32_t counts[SHARD_TABLES_MAX] = {0};
    char why[DOCUMENT_MESSAGE_SIZE] = "";
    for (uint32_t i = 0; i < map->column_count && why[0] == '\0'; i++) {
        const struct shard_column *column = &map->columns[i];
        const char *name = map->tables[column->table].name;
        const char *shard = map->shards[column->shard].name;
        counts[column->table]++;
        if (column->table == table) {
            continue; /* is refused as a strategy */
        }
        if (strcmp(column->name, "cold") != 0) {
            (void)snprintf(
                why,
                sizeof(why),
                "table %s, column %s: there is the column 'cold'; the rest is where "
                "'table " DOCUMENT_SHARDED_TABLE "' has it",
                name,
                column->name);
        } else if (has_scopes(map, table, column->shard)) {
            (void)snprintf(
                why,
                sizeof(why),
                "table %s, column cold: shard %s has merchants, and cold parts need one of their "
                "own",
                name,
                shard);
        }
    }
    for (uint32_t i = 0; i < map->table_count && why[0] == '\0'; i++) {
        if (i != table && map->tables[i].strategy == SHARD_COLUMN && counts[i] == 0) {
            (void)snprintf(
                why, sizeof(why), "table %s: 'column cold SHARD' is missing", map->tables[i].name);
        }
    }
    return why[0] == '\0' ? ERR_OK : wrong(message, path, why);
}

/* What a map of the ledger may say, and one of documents may not. */
static err_t
map_check(
    const struct shard_map *map,
    uint32_t table,
    const char *path,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    TRY(columns_check(map, table, path, message));
    for (uint32_t i = 0; i < map->table_count; i++) {
        if (i != table && map->tables[i].strategy != SHARD_COLUMN) {
            char why[DOCUMENT_MESSAGE_SIZE];
            (void)snprintf(
                why,
                sizeof(why),
                "table %s: a merchant's rows are committed together, so there is one table, "
                "'" DOCUMENT_SHARDED_TABLE "', and beside it only tables of columns",
                map->tables[i].name);
            return wrong(message, path, why);
        }
    }
    if (map->tables[table].strategy == SHARD_COLUMN) {
        return wrong(message, path, "'table " DOCUMENT_SHARDED_TABLE "' is hash or range");
    }
    for (uint32_t i = 0; i < map->point_count; i++) {
        if (map->points[i].key[0] != '\0' && !is_number(map->points[i].key)) {
            return wrong(message, path, "a range begins at a merchant's number in 20 digits");
        }
    }
    for (uint32_t i = 0; i < map->shard_count; i++) {
        const char *at = map->shards[i].at;
        if (strncmp(at, "postgres:", 9) != 0 && strncmp(at, "postgresql:", 11) != 0) {
            char why[DOCUMENT_MESSAGE_SIZE];
            (void)snprintf(
                why, sizeof(why), "shard %s is not at postgres://...", map->shards[i].name);
            return wrong(message, path, why);
        }
    }
    return ERR_OK;
}

err_t
document_sharded_map_load(
    const char *path,
    struct shard_map *ret_map,
    uint32_t *ret_table,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char *text = NULL;
    size_t size = 0;
    struct shard_problem problem;
    err_t result = os_file_load(os_disk_real(), path, SHARD_TEXT_MAX, &text, &size);
    if (result != ERR_OK) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%.120s: %s", path, err_text(result));
        return result;
    }
    result = shard_map_read(span_of(text, size), ret_map, &problem);
    free(text);
    if (result != ERR_OK) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "%.120s: line %" PRIu32 ": %s",
            path,
            problem.line,
            problem.reason);
        return result;
    }
    if (shard_table_find(ret_map, SPAN(DOCUMENT_SHARDED_TABLE), ret_table) != ERR_OK) {
        return wrong(
            message, path, "there is no 'table " DOCUMENT_SHARDED_TABLE "' (hash or range)");
    }
    return map_check(ret_map, *ret_table, path, message);
}

/* ------------------------------------------------------------------------------- the databases */

struct ownership {
    const struct document_sharded_groups *groups;
    const struct shard_map *map;
    uint32_t table, shard;
};

static bool
owns(const void *context, uint64_t scope)
{
    const struct ownership *ownership = context;
    if ((ownership->groups->shards & document_sharded_bit(ownership->shard)) != 0) {
        return true; /* parts are of every scope */
    }
    return document_sharded_place(ownership->map, ownership->table, scope) == ownership->shard;
}

err_t
document_sharded_shard_open(
    const struct document_sharded *sharded,
    const struct document_sharded_groups *groups,
    const struct shard_map *map,
    uint32_t shard,
    struct document_pg **ret_pg,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    const struct shard_node *node = &map->shards[shard];
    struct ownership ownership = {.groups = groups, .map = map, .shard = shard};
    struct document_pg_identity identity = {
        .epoch = map->epoch, .owns = owns, .context = &ownership};
    struct document_store *store = NULL;
    char happened[DOCUMENT_MESSAGE_SIZE] = "";
    const struct document_kind *parts[SHARD_TABLES_MAX];
    uint32_t part_count = document_sharded_groups_on(groups, shard, parts);
    TRY(shard_table_find(map, SPAN(DOCUMENT_SHARDED_TABLE), &ownership.table));
    static_assert(sizeof(identity.name) == sizeof(node->name), "a shard's name");
    memcpy(identity.name, node->name, sizeof(identity.name));
    err_t result = document_pg_open(
        node->at,
        &identity,
        part_count > 0 ? parts : sharded->kinds,
        part_count > 0 ? part_count : sharded->kind_count,
        &store,
        happened);
    if (result != ERR_OK) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "shard %s: %.200s",
            node->name,
            happened[0] == '\0' ? err_text(result) : happened);
        return result;
    }
    *ret_pg = document_pg_of(store);
    (*ret_pg)->identity.context = NULL; /* it is asked while it opens, and no more */
    return ERR_OK;
}

static struct document_sharded *
sharded_create(void)
{
    struct document_sharded *sharded = calloc(1, sizeof(*sharded));
    if (sharded == NULL) {
        return NULL;
    }
    sharded->store.ops = &document_sharded_ops;
    sharded->store.shared = &document_sharded_shared_ops;
    arena_init(&sharded->arena, DOCUMENT_PG_ARENA_MAX);
    map_init(&sharded->owners, DOCUMENT_PG_OWNERS_MAX);
    map_init(&sharded->held, DOCUMENT_SHARDED_HELD_MAX);
    sharded->map = calloc(1, sizeof(*sharded->map));
    if (sharded->map == NULL) {
        document_sharded_close(&sharded->store);
        return NULL;
    }
    return sharded;
}

err_t
document_sharded_open(
    const char *path,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_sharded *sharded = sharded_create();
    if (sharded == NULL) {
        return ERR_MEMORY;
    }
    ASSERT(kind_count < DOCUMENT_SHARDED_KINDS_MAX);
    memcpy(sharded->kinds, kinds, kind_count * sizeof(kinds[0]));
    sharded->kinds[kind_count] = &document_sharded_claim_kind;
    sharded->kind_count = kind_count + 1;
    int size = snprintf(sharded->path, sizeof(sharded->path), "%s", path);
    if (size < 0 || (size_t)size >= sizeof(sharded->path)) {
        document_sharded_close(&sharded->store);
        return wrong(message, path, "the path is too long");
    }
    err_t result = document_sharded_map_load(path, sharded->map, &sharded->table, message);
    if (result == ERR_OK) {
        sharded->count = sharded->map->shard_count;
        sharded->platform = document_sharded_route(sharded, 0);
        result = document_sharded_groups_read(
            sharded->map, kinds, kind_count, &sharded->groups, message);
    }
    for (uint32_t i = 0; i < sharded->count && result == ERR_OK; i++) {
        result = document_sharded_shard_open(
            sharded, &sharded->groups, sharded->map, i, &sharded->shards[i], message);
    }
    if (result != ERR_OK) {
        document_sharded_close(&sharded->store);
        return result;
    }
    document_sharded_show(sharded);
    *ret_store = &sharded->store;
    return ERR_OK;
}
