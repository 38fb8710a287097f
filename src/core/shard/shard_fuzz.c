/*
 * Any bytes as a map: what is taken has an owner for every slot and every key of its tables, and is
 * read again from what is written of it; what is refused has a line that is there and a reason.
 */
#include "shard/shard.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shard_map map;
static struct shard_map again;

static void
check_owners(struct span key)
{
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        ASSERT(map.owners[i] < map.shard_count);
    }
    for (uint32_t i = 0; i < map.table_count; i++) {
        struct shard_route route;
        err_t result = shard_route(&map, i, key, SPAN("x"), &route);
        ASSERT(result == ERR_OK || map.tables[i].strategy == SHARD_COLUMN);
        ASSERT(result != ERR_OK || route.shard < map.shard_count);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shard_problem problem;
    err_t result = shard_map_read(span_of(data, size), &map, &problem);
    if (result != ERR_OK) {
        ASSERT(result == ERR_INVALID || result == ERR_FULL);
        ASSERT(problem.reason != NULL);
        ASSERT(problem.line >= 1);
        ASSERT(problem.line <= size + 1);
        return 0;
    }
    check_owners(span_slice(span_of(data, size), size / 2, size));
    struct buf out;
    buf_init(&out, SHARD_TEXT_MAX);
    shard_map_write(&map, &out);
    ASSERT(!buf_failed(&out));
    result = shard_map_read(buf_span(&out), &again, &problem);
    ASSERT(result == ERR_OK);
    ASSERT(shard_map_equal(&map, &again));
    buf_release(&out);
    return 0;
}
