/*
 * The shards of a cluster's documents: a schema for each in the cluster's PostgreSQL, or in that of
 * --documents, and their map, made once. A folder keeps its number of shards: rows that are in the
 * one placement are not found by another.
 */
#include "cluster.h"

#include "os/file.h"

#include <stdlib.h>
#include <string.h>

#define MAP_NAME "document-shards"

static bool
fail(const struct cluster *cluster, const char *why)
{
    (void)command_fail(cluster->command, "document shards: %s", why);
    return false;
}

/* "d1" in the schema tael_documents_1: each is made when it is first opened. */
static bool
shard_add(struct shard_map *map, const char *url)
{
    char name[SHARD_NAME_SIZE];
    char at[NODE_DATABASE_SIZE + CLUSTER_NAME_SIZE + 64];
    uint32_t shard;
    unsigned number = map->shard_count + 1;
    (void)snprintf(name, sizeof(name), "d%u", number);
    int size = snprintf(
        at,
        sizeof(at),
        "%s%coptions=-csearch_path%%3Dtael_documents_%u",
        url,
        strchr(url, '?') == NULL ? '?' : '&',
        number);
    return size > 0 && (size_t)size < sizeof(at) &&
           shard_map_add(map, span_from_cstr(name), span_of(at, (size_t)size), &shard) == ERR_OK;
}

static bool
map_make(const struct cluster *cluster, struct shard_map *map)
{
    const char *given = cluster->settings.node.documents;
    struct buf text;
    shard_map_init(map);
    for (int64_t i = 0; i < cluster->settings.document_shards; i++) {
        if (!shard_add(map, given[0] != '\0' ? given : cluster->documents)) {
            return fail(cluster, "the database's URL is too long for a map, or has spaces");
        }
    }
    shard_map_share(map);
    if (shard_table_add(map, SPAN("documents"), SHARD_HASH) != ERR_OK) {
        return fail(cluster, "no table");
    }
    buf_init(&text, SHARD_TEXT_MAX);
    shard_map_write(map, &text);
    err_t result =
        buf_failed(&text)
            ? ERR_MEMORY
            : os_file_save(os_disk_real(), cluster->settings.node.data, MAP_NAME, buf_span(&text));
    buf_release(&text);
    return result == ERR_OK || fail(cluster, err_text(result));
}

int
cluster_documents_settle(const struct cluster *cluster)
{
    const struct cluster_settings *settings = &cluster->settings;
    const char *documents = settings->node.documents;
    bool in_shards = strncmp(documents, "shards:", strlen("shards:")) == 0;
    if (settings->document_shards > 0 && !cluster->shared) {
        return command_misuse(
            cluster->command,
            "--document-shards: there is no PostgreSQL (--documents, or Debian's package "
            "postgresql)");
    }
    if (settings->document_shards > 0 && in_shards) {
        return command_misuse(
            cluster->command, "--document-shards: --documents=shards:FILE says it already");
    }
    if (in_shards && cluster->on_postgres && settings->node.ledger[0] == '\0') {
        return command_misuse(
            cluster->command,
            "--engine=postgres: with --documents=shards:FILE --ledger says where the ledger is");
    }
    return COMMAND_GO_ON;
}

bool
cluster_documents_prepare(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    struct shard_problem problem;
    bool good = true;
    cluster_path(cluster, MAP_NAME, path);
    err_t result = os_file_load(os_disk_real(), path, SHARD_TEXT_MAX, &text, &size);
    if (result == ERR_NOT_FOUND && cluster->settings.document_shards == 0) {
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
    } else if (map->shard_count != (uint64_t)cluster->settings.document_shards) {
        good = fail(cluster, "--document-shards is another number than this folder was begun with");
    }
    free(text);
    free(map);
    return good;
}
