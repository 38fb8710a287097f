/*
 * The shards of a cluster's ledger: their map, made once. It names a file for each shard, which has
 * the address that the shard got this time, so that the map stays as it is.
 */
#include "cluster.h"

#include "os/file.h"

#include <stdlib.h>
#include <string.h>

#define MAP_NAME "shards"

static bool
fail(const struct cluster *cluster, const char *why)
{
    (void)command_fail(cluster->command, "shards: %s", why);
    return false;
}

/* "ledger", "ledger-2": as their processes are called. */
static bool
shard_add(const struct cluster *cluster, struct shard_map *map)
{
    char name[CLUSTER_NAME_SIZE] = "ledger";
    char at[CLUSTER_WORD_SIZE + CLUSTER_NAME_SIZE];
    uint32_t shard;
    if (map->shard_count > 0) {
        (void)snprintf(name, sizeof(name), "ledger-%u", (unsigned)map->shard_count + 1);
    }
    int size = snprintf(at, sizeof(at), "file:%s/%s.at", cluster->settings.node.data, name);
    return size > 0 && (size_t)size < sizeof(at) &&
           shard_map_add(map, span_from_cstr(name), span_of(at, (size_t)size), &shard) == ERR_OK;
}

static bool
map_make(const struct cluster *cluster, struct shard_map *map)
{
    struct buf text;
    shard_map_init(map);
    for (int64_t i = 0; i < cluster->settings.shards; i++) {
        if (!shard_add(cluster, map)) {
            return fail(cluster, "the folder's name is too long for a map, or has spaces");
        }
    }
    shard_map_share(map);
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(map, &text);
    err_t result =
        buf_failed(&text)
            ? ERR_MEMORY
            : os_file_save(os_disk_real(), cluster->settings.node.data, MAP_NAME, buf_span(&text));
    buf_release(&text);
    return result == ERR_OK || fail(cluster, err_text(result));
}

bool
cluster_shards_prepare(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    struct shard_problem problem;
    bool good = true;
    cluster_path(cluster, MAP_NAME, path);
    err_t result = os_file_load(os_disk_real(), path, SHARD_TEXT_MAX, &text, &size);
    if (result == ERR_NOT_FOUND && cluster->settings.shards == 0) {
        return true;
    }
    struct shard_map *map = calloc(1, sizeof(*map));
    if (map == NULL) {
        result = ERR_MEMORY;
    }
    if (result == ERR_NOT_FOUND) {
        good = map_make(cluster, map);
    } else if (result != ERR_OK) {
        good = fail(cluster, err_text(result));
    } else if (shard_map_read(span_of(text, size), map, &problem) != ERR_OK) {
        good = fail(cluster, problem.reason);
    } else if (map->shard_count != (uint64_t)cluster->settings.shards) {
        good = fail(cluster, "--shards is another number than this folder was begun with");
    }
    free(text);
    free(map);
    return good;
}

bool
cluster_shard_publish(const struct cluster *cluster, const struct cluster_process *process)
{
    char name[CLUSTER_NAME_SIZE + 4];
    char text[CLUSTER_URL_SIZE + 1];
    (void)snprintf(name, sizeof(name), "%s.at", process->name);
    int size = snprintf(text, sizeof(text), "%s\n", process->internal);
    err_t result = os_file_save(
        os_disk_real(), cluster->settings.node.data, name, span_of(text, (size_t)size));
    return result == ERR_OK || fail(cluster, err_text(result));
}
