/* sharded_parts.c: cold parts beside the rows that name them, on connections of their own; for
 * those who look at shards and sweep them (document/shards.h). */
#ifndef DOCUMENT_SHARDED_PARTS_H
#define DOCUMENT_SHARDED_PARTS_H

#include "sharded_plain.h"

struct document_parts {
    const struct shard_map *map;
    struct document_sharded_groups groups;
    PGconn *conns[SHARD_SHARDS_MAX]; /* of all shards */
    char *message;                   /* DOCUMENT_MESSAGE_SIZE */
};

/* Connects to every shard. Release it after any result. */
MUST_USE err_t document_parts_init(
    struct document_parts *parts,
    const struct shard_map *map,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    char message[DOCUMENT_MESSAGE_SIZE]);
void document_parts_release(struct document_parts *parts);
/* Rows of a shard that name a part which is not there (SHARDED-7). */
MUST_USE err_t
document_parts_missing(struct document_parts *parts, uint32_t shard, uint64_t *ret_count);
/* Notes, in the group's shard, the parts that no row names: of those that may yet be named
 * (SHARDED-8) only such as were written before that second. document_parts_delete goes by the
 * note. */
MUST_USE err_t document_parts_left(
    struct document_parts *parts,
    const struct document_sharded_group *group,
    int64_t before_s,
    uint64_t *ret_count);
MUST_USE err_t document_parts_delete(
    struct document_parts *parts, const struct document_sharded_group *group, uint64_t *ret_count);

#endif
