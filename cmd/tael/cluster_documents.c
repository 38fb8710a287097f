/*
 * The shards of a cluster's documents: a schema for each in the cluster's PostgreSQL, or in that of
 * --documents, and their map.
 */
#include "cluster.h"

#include <string.h>

/* "d1" in the schema tael_documents_1: each is made when it is first opened. */
static bool
shard_add(const struct cluster *cluster, struct shard_map *map)
{
    const char *given = cluster->settings.node.documents;
    const char *url = given[0] != '\0' ? given : cluster->documents;
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
    const struct cluster_map map = {
        .name = "document-shards",
        .title = "document shards",
        .count = cluster->settings.document_shards,
        .add = shard_add,
        .table = "documents",
        .too_long = "the database's URL is too long for a map, or has spaces",
        .other_count = "--document-shards is another number than this folder was begun with",
    };
    return cluster_map_prepare(cluster, &map);
}
