/*
 * A map of shards in a cluster's folder: made once, and read from then on. A folder keeps its
 * number of shards: what is in the one placement is not found by another.
 */
#include "cluster.h"

#include "os/file.h"

#include <stdlib.h>

static bool
fail(const struct cluster *cluster, const struct cluster_map *what, const char *why)
{
    (void)command_fail(cluster->command, "%s: %s", what->title, why);
    return false;
}

static bool
map_make(const struct cluster *cluster, const struct cluster_map *what, struct shard_map *map)
{
    struct buf text;
    shard_map_init(map);
    for (int64_t i = 0; i < what->count; i++) {
        if (!what->add(cluster, map)) {
            return fail(cluster, what, what->too_long);
        }
    }
    shard_map_share(map);
    if (what->table != NULL &&
        shard_table_add(map, span_from_cstr(what->table), SHARD_HASH) != ERR_OK) {
        return fail(cluster, what, "no table");
    }
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(map, &text);
    err_t result =
        buf_failed(&text)
            ? ERR_MEMORY
            : os_file_save(
                  os_disk_real(), cluster->settings.node.data, what->name, buf_span(&text));
    buf_release(&text);
    return result == ERR_OK || fail(cluster, what, err_text(result));
}

bool
cluster_map_prepare(const struct cluster *cluster, const struct cluster_map *what)
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    struct shard_problem problem;
    bool good = true;
    cluster_path(cluster, what->name, path);
    err_t result = os_file_load(os_disk_real(), path, SHARD_TEXT_MAX, &text, &size);
    if (result == ERR_NOT_FOUND && what->count == 0) {
        return true;
    }
    struct shard_map *map = calloc(1, sizeof(*map));
    if (map == NULL) {
        result = ERR_MEMORY;
    }
    if (result == ERR_NOT_FOUND) {
        good = map_make(cluster, what, map);
    } else if (result != ERR_OK) {
        good = fail(cluster, what, err_text(result));
    } else if (shard_map_read(span_of(text, size), map, &problem) != ERR_OK) {
        good = fail(cluster, what, problem.reason);
    } else if (map->shard_count != (uint64_t)what->count) {
        good = fail(cluster, what, what->other_count);
    }
    free(text);
    free(map);
    return good;
}
