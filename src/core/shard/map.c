/* Maps: shards, slots, tables, and who has a key. */
#include "shard_internal.h"

#include "base/assert.h"

#include <string.h>

static bool
name_is_valid(struct span name)
{
    if (name.size == 0 || name.size >= SHARD_NAME_SIZE) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        bool letter = byte >= 'a' && byte <= 'z';
        bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && byte != '_' && byte != '-') {
            return false;
        }
    }
    return true;
}

bool
shard_visible(struct span text, size_t size)
{
    if (text.size == 0 || text.size >= size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------ shards ---
 */

void
shard_map_init(struct shard_map *map)
{
    memset(map, 0, sizeof(*map));
    map->epoch = 1;
}

err_t
shard_map_find(const struct shard_map *map, struct span name, uint32_t *ret_shard)
{
    for (uint32_t i = 0; i < map->shard_count; i++) {
        if (span_equal_cstr(name, map->shards[i].name)) {
            *ret_shard = i;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

err_t
shard_map_add(struct shard_map *map, struct span name, struct span at, uint32_t *ret_shard)
{
    uint32_t other;
    if (!name_is_valid(name) || !shard_visible(at, SHARD_AT_SIZE)) {
        return ERR_INVALID;
    }
    if (shard_map_find(map, name, &other) == ERR_OK) {
        return ERR_EXISTS;
    }
    if (map->shard_count == SHARD_SHARDS_MAX) {
        return ERR_FULL;
    }
    struct shard_node *node = &map->shards[map->shard_count];
    memcpy(node->name, name.data, name.size);
    memcpy(node->at, at.data, at.size);
    *ret_shard = map->shard_count++;
    return ERR_OK;
}

static bool
owns_something(const struct shard_map *map, uint32_t shard)
{
    bool owns = memchr(map->owners, (int)shard, sizeof(map->owners)) != NULL;
    for (uint32_t i = 0; i < map->point_count; i++) {
        owns = owns || map->points[i].shard == shard;
    }
    for (uint32_t i = 0; i < map->column_count; i++) {
        owns = owns || map->columns[i].shard == shard;
    }
    return owns;
}

static void
position_close(uint8_t *position, uint32_t removed)
{
    if (*position > removed) {
        (*position)--;
    }
}

err_t
shard_map_remove(struct shard_map *map, uint32_t shard)
{
    ASSERT(shard < map->shard_count);
    if (owns_something(map, shard)) {
        return ERR_EXISTS;
    }
    map->shard_count--;
    memmove(
        &map->shards[shard],
        &map->shards[shard + 1],
        (map->shard_count - shard) * sizeof(map->shards[0]));
    memset(&map->shards[map->shard_count], 0, sizeof(map->shards[0]));
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        position_close(&map->owners[i], shard);
    }
    for (uint32_t i = 0; i < map->point_count; i++) {
        position_close(&map->points[i].shard, shard);
    }
    for (uint32_t i = 0; i < map->column_count; i++) {
        position_close(&map->columns[i].shard, shard);
    }
    return ERR_OK;
}

void
shard_map_share(struct shard_map *map)
{
    ASSERT(map->shard_count > 0);
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        map->owners[i] = (uint8_t)((uint64_t)i * map->shard_count / SHARD_SLOTS);
    }
}

bool
shard_map_equal(const struct shard_map *a, const struct shard_map *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

err_t
shard_map_replace(struct shard_map *map, uint64_t expected, const struct shard_map *next)
{
    if (map->epoch != expected) {
        return ERR_STALE;
    }
    if (next->shard_count == 0 || expected >= SHARD_EPOCH_MAX || next->epoch != expected + 1) {
        return ERR_INVALID;
    }
    memcpy(map, next, sizeof(*map));
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ tables ---
 */

err_t
shard_table_find(const struct shard_map *map, struct span name, uint32_t *ret_table)
{
    for (uint32_t i = 0; i < map->table_count; i++) {
        if (span_equal_cstr(name, map->tables[i].name)) {
            *ret_table = i;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

err_t
shard_table_add(struct shard_map *map, struct span name, enum shard_strategy strategy)
{
    uint32_t other;
    if (!name_is_valid(name)) {
        return ERR_INVALID;
    }
    if (shard_table_find(map, name, &other) == ERR_OK) {
        return ERR_EXISTS;
    }
    if (map->shard_count == 0) {
        return ERR_NOT_FOUND;
    }
    bool is_range = strategy == SHARD_RANGE;
    if (map->table_count == SHARD_TABLES_MAX ||
        (is_range && map->point_count == SHARD_POINTS_MAX)) {
        return ERR_FULL;
    }
    struct shard_table *table = &map->tables[map->table_count];
    memcpy(table->name, name.data, name.size);
    table->strategy = strategy;
    if (is_range) {
        map->points[map->point_count++].table = (uint8_t)map->table_count;
    }
    map->table_count++;
    return ERR_OK;
}

/* The last point at or before the key; the first of a table is before all. */
static uint32_t
point_of(const struct shard_map *map, uint32_t table, struct span key)
{
    uint32_t low = 0;
    uint32_t high = map->point_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct shard_point *point = &map->points[middle];
        bool at_or_before = point->table != table
                                ? point->table < table
                                : span_compare(span_from_cstr(point->key), key) <= 0;
        low = at_or_before ? middle + 1 : low;
        high = at_or_before ? high : middle;
    }
    ASSERT(low > 0);
    ASSERT(map->points[low - 1].table == table);
    return low - 1;
}

static bool
is_of(const struct shard_map *map, uint32_t table, enum shard_strategy strategy)
{
    return table < map->table_count && map->tables[table].strategy == strategy;
}

err_t
shard_range_split(struct shard_map *map, uint32_t table, struct span key, uint32_t shard)
{
    ASSERT(shard < map->shard_count);
    if (!is_of(map, table, SHARD_RANGE) || (key.size != 0 && !shard_visible(key, SHARD_KEY_SIZE))) {
        return ERR_INVALID;
    }
    uint32_t at = point_of(map, table, key);
    if (span_equal_cstr(key, map->points[at].key)) {
        map->points[at].shard = (uint8_t)shard;
        return ERR_OK;
    }
    if (map->point_count == SHARD_POINTS_MAX) {
        return ERR_FULL;
    }
    struct shard_point *point = &map->points[at + 1];
    memmove(point + 1, point, (map->point_count - at - 1) * sizeof(*point));
    memset(point, 0, sizeof(*point));
    memcpy(point->key, key.data, key.size);
    point->table = (uint8_t)table;
    point->shard = (uint8_t)shard;
    map->point_count++;
    return ERR_OK;
}

err_t
shard_range_merge(struct shard_map *map, uint32_t table, struct span key)
{
    if (!is_of(map, table, SHARD_RANGE) || key.size == 0) {
        return ERR_INVALID;
    }
    uint32_t at = point_of(map, table, key);
    if (!span_equal_cstr(key, map->points[at].key)) {
        return ERR_NOT_FOUND;
    }
    map->point_count--;
    memmove(
        &map->points[at], &map->points[at + 1], (map->point_count - at) * sizeof(map->points[0]));
    memset(&map->points[map->point_count], 0, sizeof(map->points[0]));
    return ERR_OK;
}

static const struct shard_column *
column_find(const struct shard_map *map, uint32_t table, struct span name)
{
    for (uint32_t i = 0; i < map->column_count; i++) {
        const struct shard_column *column = &map->columns[i];
        if (column->table == table && span_equal_cstr(name, column->name)) {
            return column;
        }
    }
    return NULL;
}

err_t
shard_column_add(struct shard_map *map, uint32_t table, struct span column, uint32_t shard)
{
    ASSERT(shard < map->shard_count);
    bool valid = name_is_valid(column) || span_equal_cstr(column, "*");
    if (!is_of(map, table, SHARD_COLUMN) || !valid) {
        return ERR_INVALID;
    }
    if (column_find(map, table, column) != NULL) {
        return ERR_EXISTS;
    }
    if (map->column_count == SHARD_COLUMNS_MAX) {
        return ERR_FULL;
    }
    uint32_t at = map->column_count;
    while (at > 0 && map->columns[at - 1].table > table) {
        map->columns[at] = map->columns[at - 1];
        at--;
    }
    struct shard_column *added = &map->columns[at];
    memset(added, 0, sizeof(*added));
    memcpy(added->name, column.data, column.size);
    added->table = (uint8_t)table;
    added->shard = (uint8_t)shard;
    map->column_count++;
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ routes ---
 */

err_t
shard_route(
    const struct shard_map *map,
    uint32_t table,
    struct span key,
    struct span column,
    struct shard_route *ret_route)
{
    ASSERT(table < map->table_count);
    struct shard_route route = {.slot = SHARD_SLOT_NONE, .epoch = map->epoch};
    const struct shard_column *found = NULL;
    switch (map->tables[table].strategy) {
    case SHARD_HASH:
        route.slot = shard_slot(key);
        route.shard = map->owners[route.slot];
        break;
    case SHARD_RANGE:
        route.shard = map->points[point_of(map, table, key)].shard;
        break;
    case SHARD_COLUMN:
        found = column_find(map, table, column);
        found = found == NULL ? column_find(map, table, SPAN("*")) : found;
        if (found == NULL) {
            return ERR_NOT_FOUND;
        }
        route.shard = found->shard;
        break;
    }
    ASSERT(route.shard < map->shard_count); /* SHARD-1 */
    *ret_route = route;
    return ERR_OK;
}
