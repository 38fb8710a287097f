/*
 * Sweeping cold parts that no row names (document/shards.h, SHARDED-8).
 *
 *     every shard    open, as by a process that works: no move begins meanwhile, and by an old map
 *                    nobody sweeps
 *     a group        its parts beside the rows; those that are left are noted
 *     wait           whoever read a row before that still named one of them has ended
 *     a group        the noted parts are deleted
 *
 * A part that is noted is named by no row, and will not be: its row is of the part's version or
 * later. Where no row of that version is there, its writer may be between its two commits; then it
 * is the part's age that counts, and nobody takes that long.
 */
#include "sharded_parts.h"

#include "document/shards.h"

#include "base/assert.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static err_t
sweep_parts(struct document_shards_sweep *sweep, struct document_parts *parts)
{
    int64_t now_s = (int64_t)(os_wall_ns(os_clock_real()) / OS_NS_PER_S);
    for (uint32_t i = 0; i < parts->groups.count; i++) {
        const struct document_sharded_group *group = &parts->groups.groups[i];
        uint64_t left = 0, deleted = 0;
        TRY(document_parts_left(parts, group, now_s - sweep->age_s, &left));
        if (left > 0) {
            (void)sleep(sweep->wait_s);
            TRY(document_parts_delete(parts, group, &deleted));
            sweep->ret_parts += deleted;
        }
    }
    return ERR_OK;
}

err_t
document_shards_sweep(struct document_shards_sweep *sweep, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_store *store = NULL;
    struct document_parts *parts = calloc(1, sizeof(*parts));
    if (parts == NULL) {
        return ERR_MEMORY;
    }
    ASSERT(sweep->age_s >= 0);
    message[0] = '\0';
    sweep->ret_parts = 0;
    err_t result =
        document_sharded_open(sweep->path, sweep->kinds, sweep->kind_count, &store, message);
    if (result == ERR_OK) {
        const struct shard_map *map = document_sharded_of(store)->map;
        result = document_parts_init(parts, map, sweep->kinds, sweep->kind_count, message);
    }
    if (result == ERR_OK) {
        result = sweep_parts(sweep, parts);
    }
    document_parts_release(parts);
    if (store != NULL) {
        store->ops->close(store);
    }
    free(parts);
    return result;
}
