/* What other threads see of an engine. */
#include "ledger_engine_internal.h"

#include <string.h>

/* A head is told after each group, which takes longer than reading it does. */
#define HEAD_READS_MAX 1000

void
engine_gauges_set(struct ledger_engine *engine)
{
    struct store_status status = {0};
    struct store *store = engine->machine.store;
    if (store->ops->status != NULL) {
        store->ops->status(store, &status);
    }
    atomic_store(&engine->load_ns, status.load_ns);
    atomic_store(&engine->load_bytes, status.load_bytes);
    atomic_store(&engine->snapshots, status.snapshots);
    atomic_store(&engine->snapshot_failures, status.snapshot_failures);
    atomic_store(&engine->snapshot_created_ns, status.snapshot_created_ns);
    atomic_store(&engine->snapshot_duration_ns, status.snapshot_duration_ns);
    atomic_store(&engine->snapshot_bytes, status.snapshot_bytes);
    atomic_store(&engine->order_segments_waiting, status.order_segments_waiting);
    atomic_store(&engine->order_failures, status.order_failures);
    atomic_store(&engine->accounts, ledger_account_count(engine->machine.ledger));
    atomic_store(&engine->pendings, ledger_pending_count(engine->machine.ledger));
}

void
engine_head_publish(struct ledger_engine *engine)
{
    struct store *store = engine->machine.store;
    if (store->ops->head == NULL) {
        return;
    }
    struct store_head head;
    uint64_t words[ENGINE_HEAD_WORDS];
    store->ops->head(store, &head);
    memcpy(words, &head, sizeof(words));
    atomic_fetch_add(&engine->head_version, 1);
    for (size_t i = 0; i < ENGINE_HEAD_WORDS; i++) {
        atomic_store(&engine->head_words[i], words[i]);
    }
    atomic_fetch_add(&engine->head_version, 1);
    atomic_store(&engine->has_head, true);
}

static bool
disk_is_full(struct ledger_engine *engine)
{
    uint64_t found_ns = atomic_load(&engine->disk_full_ns);
    return found_ns != 0 &&
           os_monotonic_ns(engine->settings.clock) - found_ns < LEDGER_ENGINE_FULL_NS;
}

void
ledger_engine_status(struct ledger_engine *engine, struct ledger_engine_status *ret_status)
{
    *ret_status = (struct ledger_engine_status){
        .health = (enum ledger_engine_health)atomic_load(&engine->health),
        .requests_under_way = atomic_load(&engine->under_way),
        .batches = atomic_load(&engine->batches),
        .events = atomic_load(&engine->events),
        .groups = atomic_load(&engine->group_count),
        .reads = atomic_load(&engine->reads),
        .busy = atomic_load(&engine->busy),
        .full = atomic_load(&engine->full),
        .disk_is_full = disk_is_full(engine),
        .reloads = atomic_load(&engine->reloads),
        .clock_alarms = atomic_load(&engine->clock_alarms),
        .accounts = atomic_load(&engine->accounts),
        .pendings = atomic_load(&engine->pendings),
        .load_ns = atomic_load(&engine->load_ns),
        .load_bytes = atomic_load(&engine->load_bytes),
        .snapshots = atomic_load(&engine->snapshots),
        .snapshot_failures = atomic_load(&engine->snapshot_failures),
        .snapshot_created_ns = atomic_load(&engine->snapshot_created_ns),
        .snapshot_duration_ns = atomic_load(&engine->snapshot_duration_ns),
        .snapshot_bytes = atomic_load(&engine->snapshot_bytes),
        .order_segments_waiting = atomic_load(&engine->order_segments_waiting),
        .order_failures = atomic_load(&engine->order_failures),
    };
}

err_t
ledger_engine_head(struct ledger_engine *engine, struct store_head *ret_head)
{
    if (!atomic_load(&engine->has_head)) {
        return ERR_UNSUPPORTED;
    }
    for (int i = 0; i < HEAD_READS_MAX; i++) {
        uint64_t words[ENGINE_HEAD_WORDS];
        uint64_t version = atomic_load(&engine->head_version);
        for (size_t j = 0; j < ENGINE_HEAD_WORDS; j++) {
            words[j] = atomic_load(&engine->head_words[j]);
        }
        if (version % 2 == 0 && version == atomic_load(&engine->head_version)) {
            memcpy(ret_head, words, sizeof(*ret_head));
            return ERR_OK;
        }
    }
    return ERR_BUSY;
}
