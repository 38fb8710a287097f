#include "trace/recorder.h"

#include "recorder_private.h"

#include "base/assert.h"

#include <stdlib.h>

struct trace_recorder_settings
trace_recorder_settings_default(void)
{
    return (struct trace_recorder_settings){
        .parts_max = 4096,
        .kept_max = 2048,
        .slow_ns = OS_NS_PER_S,
        .sampler = {.parent_based = true, .bound = TRACE_RATIO_ONE},
    };
}

static void
add_one(atomic_uint_least64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* --- the free parts --- */

static uint64_t
top_make(uint64_t previous, uint32_t index)
{
    return ((previous >> 32) + 1) << 32 | index;
}

static void
part_push(struct trace_recorder *recorder, struct trace_part *part)
{
    uint32_t index = (uint32_t)(part - recorder->all) + 1;
    uint64_t top = atomic_load_explicit(&recorder->free, memory_order_relaxed);
    do {
        atomic_store_explicit(&part->next_free, (uint32_t)top, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
        &recorder->free, &top, top_make(top, index), memory_order_release, memory_order_relaxed));
}

struct trace_part *
trace_part_take(struct trace_recorder *recorder)
{
    uint64_t top = atomic_load_explicit(&recorder->free, memory_order_acquire);
    for (;;) {
        uint32_t index = (uint32_t)top;
        if (index == 0) {
            add_one(&recorder->refused);
            return NULL;
        }
        struct trace_part *part = &recorder->all[index - 1];
        uint32_t next = atomic_load_explicit(&part->next_free, memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(
                &recorder->free,
                &top,
                top_make(top, next),
                memory_order_acquire,
                memory_order_acquire)) {
            add_one(&recorder->begun);
            return part;
        }
    }
}

/* --- the tail's decision --- */

/* TRACE-10. NULL: it is forgotten; else what to count. */
static atomic_uint_least64_t *
why_kept(struct trace_recorder *recorder, const struct trace_part *part)
{
    const struct trace_record *root = &part->records[0];
    if (atomic_load_explicit(&part->failed, memory_order_relaxed)) {
        return &recorder->failed;
    }
    uint64_t slow_ns = recorder->parts.settings.slow_ns;
    if (slow_ns != 0 && root->end_ns - root->start_ns >= slow_ns) {
        return &recorder->slow;
    }
    return (part->flags & TRACE_CONTEXT_SAMPLED) != 0 ? &recorder->sampled : NULL;
}

void
trace_part_over(struct trace_part *part)
{
    struct trace_recorder *recorder = part->recorder;
    uint32_t lost = trace_part_lost_count(part);
    if (lost > 0) {
        atomic_fetch_add_explicit(&recorder->lost, lost, memory_order_relaxed);
    }
    atomic_uint_least64_t *reason = why_kept(recorder, part);
    if (reason == NULL) {
        part_push(recorder, part);
        return;
    }
    uint32_t kept = atomic_fetch_add_explicit(&recorder->kept_count, 1, memory_order_relaxed);
    if (kept >= recorder->parts.settings.kept_max) {
        atomic_fetch_sub_explicit(&recorder->kept_count, 1, memory_order_relaxed);
        add_one(&recorder->dropped);
        part_push(recorder, part);
        return;
    }
    add_one(reason);
    recorder->parts.kept(recorder->parts.context, part);
}

void
trace_part_give_back(struct trace_part *part)
{
    struct trace_recorder *recorder = part->recorder;
    uint32_t kept = atomic_fetch_sub_explicit(&recorder->kept_count, 1, memory_order_relaxed);
    ASSERT(kept > 0);
    part_push(recorder, part);
}

/* --- create, destroy --- */

err_t
trace_recorder_create(
    const struct trace_recorder_parts *parts, struct trace_recorder **ret_recorder)
{
    ASSERT(parts->settings.parts_max > 0);
    ASSERT(parts->settings.kept_max <= parts->settings.parts_max);
    ASSERT(parts->kept != NULL);
    struct trace_recorder *recorder = calloc(1, sizeof(*recorder));
    if (recorder == NULL) {
        return ERR_MEMORY;
    }
    recorder->parts = *parts;
    recorder->all = calloc(parts->settings.parts_max, sizeof(*recorder->all));
    if (recorder->all == NULL) {
        free(recorder);
        return ERR_MEMORY;
    }
    for (uint32_t i = parts->settings.parts_max; i > 0; i--) {
        recorder->all[i - 1].recorder = recorder;
        part_push(recorder, &recorder->all[i - 1]);
    }
    *ret_recorder = recorder;
    return ERR_OK;
}

void
trace_recorder_destroy(struct trace_recorder **recorder_at)
{
    struct trace_recorder *recorder = *recorder_at;
    if (recorder != NULL) {
        *recorder_at = NULL;
        free(recorder->all);
        free(recorder);
    }
}

static uint64_t
read_one(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void
trace_recorder_count(
    const struct trace_recorder *recorder, struct trace_recorder_counters *ret_counters)
{
    *ret_counters = (struct trace_recorder_counters){
        .begun = read_one(&recorder->begun),
        .refused = read_one(&recorder->refused),
        .sampled = read_one(&recorder->sampled),
        .failed = read_one(&recorder->failed),
        .slow = read_one(&recorder->slow),
        .dropped = read_one(&recorder->dropped),
        .lost = read_one(&recorder->lost),
        .orphaned = read_one(&recorder->orphaned),
    };
}
