/*
 * What the runtime measures of its groups: counted where they happen, on the runtime's loop or on
 * the sync loop; shown by resource_metrics_render.
 */
#ifndef RESOURCE_MEASURE_H
#define RESOURCE_MEASURE_H

#include "runtime.h"

#include "cache/cache.h"

/* Of a transaction that was applied: how many operations rest on it, and how long that took. */
void resource_measure_apply(
    const struct resource_runtime *runtime, uint32_t operation_count, uint64_t began_ns);
/* Of what made it durable; on the thread that did. */
void resource_measure_sync(const struct resource_runtime *runtime, uint64_t began_ns);
/* A transaction that was not committed. */
void resource_measure_failure(void);
/* A row that cannot be read was left out. */
void resource_measure_damaged(void);
/* How many operations are under way, at the end of a group. */
void resource_measure_group(struct resource_runtime *runtime);
/* Of copies (cache.h). */
void resource_measure_cache(uint32_t entries, uint64_t bytes, uint64_t evictions_more);
void resource_measure_cache_read(enum cache_found found);
void resource_measure_cache_put(enum cache_put outcome);
void resource_measure_cache_damaged(void);
void resource_measure_cache_hears(bool hears);

#endif
