/*
 * The shards of a cluster's ledger: their map. It names a file for each shard, which has
 * the address that the shard got this time, so that the map stays as it is.
 */
#include "cluster.h"

#include "os/file.h"

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

bool
cluster_shards_prepare(const struct cluster *cluster)
{
    const struct cluster_map map = {
        .name = "shards",
        .title = "shards",
        .count = cluster->settings.shards,
        .add = shard_add,
        .too_long = "the folder's name is too long for a map, or has spaces",
        .other_count = "--shards is another number than this folder was begun with",
    };
    return cluster_map_prepare(cluster, &map);
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
    if (result != ERR_OK) {
        (void)command_fail(cluster->command, "shards: %s", err_text(result));
    }
    return result == ERR_OK;
}
