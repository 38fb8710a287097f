#include "journal_index.h"

#include "base/assert.h"

#include <string.h>

/* Small tables are merged into runs of this many tables. */
#define SMALL_RUN_TABLES 20u

void
journal_index_init(
    struct journal_index *index, struct os_disk *disk, const char *folder, uint32_t table_entries)
{
    memset(index, 0, sizeof(*index));
    index->table_entries = table_entries == 0 ? JOURNAL_INDEX_TABLE_ENTRIES : table_entries;
    uint64_t run_max = (uint64_t)index->table_entries * SMALL_RUN_TABLES;
    run_max = run_max < JOURNAL_INDEX_RUN_ENTRIES ? run_max : JOURNAL_INDEX_RUN_ENTRIES;
    journal_runs_init(&index->runs, disk, folder, run_max);
}

static void
set_take(struct journal_index *index)
{
    struct journal_run_set *set = journal_runs_take(&index->runs);
    if (set == NULL) {
        return;
    }
    if (index->set != NULL) {
        journal_runs_give_back(&index->runs, index->set);
    }
    index->set = set;
    /* What became a run is free again. */
    uint32_t gone = 0;
    while (gone < index->frozen_count && index->frozen[gone]->handed_over &&
           index->frozen[gone]->covered <= set->covered) {
        index->frozen[gone]->handed_over = false;
        gone++;
    }
    index->frozen_count -= gone;
    memmove(
        &index->frozen[0],
        &index->frozen[gone],
        index->frozen_count * sizeof(struct journal_table *));
}

static bool
table_is_used(const struct journal_index *index, const struct journal_table *table)
{
    bool used = table == index->active;
    for (uint32_t i = 0; i < index->frozen_count; i++) {
        used = used || table == index->frozen[i];
    }
    return used;
}

static struct journal_table *
table_free(struct journal_index *index)
{
    for (uint32_t i = 0; i < JOURNAL_INDEX_TABLES; i++) {
        if (!table_is_used(index, &index->tables[i])) {
            return &index->tables[i];
        }
    }
    UNREACHABLE();
}

static err_t
table_begin(struct journal_index *index)
{
    struct journal_table *table = table_free(index);
    TRY(journal_table_reset(table, index->table_entries));
    index->active = table;
    return ERR_OK;
}

err_t
journal_index_open(struct journal_index *index, const char *folder)
{
    ASSERT(index->active == NULL);
    TRY(journal_runs_open(&index->runs, folder));
    set_take(index);
    ASSERT(index->set != NULL);
    return table_begin(index);
}

void
journal_index_start(struct journal_index *index, struct os_loop *loop, struct os_executor *io)
{
    ASSERT(index->set != NULL);
    journal_runs_start(&index->runs, loop, io);
}

void
journal_index_stop(struct journal_index *index)
{
    journal_runs_stop(&index->runs);
}

void
journal_index_release(struct journal_index *index)
{
    index->runs.loop = NULL; /* it is stopped */
    if (index->set != NULL) {
        journal_runs_give_back(&index->runs, index->set);
        index->set = NULL;
    }
    journal_runs_release(&index->runs);
    for (uint32_t i = 0; i < JOURNAL_INDEX_TABLES; i++) {
        journal_table_release(&index->tables[i]);
    }
    index->active = NULL;
    index->frozen_count = 0;
}

journal_position_t
journal_index_covered(const struct journal_index *index)
{
    return index->set == NULL ? 0 : index->set->covered;
}

/* --- telling it --- */

/* Hands over the frozen tables whose frames are durable (INDEX-2). A frame in between that a table
 * ends with is told exactly once, so what it needs is noted then. */
static void
tables_submit(struct journal_index *index)
{
    for (uint32_t i = 0; i < index->frozen_count; i++) {
        struct journal_table *table = index->frozen[i];
        if (table->handed_over || table->frame != index->durable.frame) {
            continue;
        }
        table->covered = index->durable.end;
        table->chain = index->durable.chain;
        table->identity = index->durable.identity;
        table->handed_over = true;
        journal_runs_submit(&index->runs, table);
    }
}

static bool
is_full(const struct journal_index *index)
{
    return index->active->count >= index->table_entries;
}

err_t
journal_index_admit(struct journal_index *index)
{
    if (atomic_load(&index->runs.damaged)) {
        return ERR_CORRUPT;
    }
    /* Before the lag is looked at: see table_flush. */
    err_t failure = atomic_load(&index->runs.failure);
    set_take(index);
    if (!is_full(index) || index->frozen_count < JOURNAL_RUNS_LAG) {
        return ERR_OK;
    }
    if (failure != ERR_OK) {
        journal_runs_retry(&index->runs);
        set_take(index);
        return index->frozen_count < JOURNAL_RUNS_LAG ? ERR_OK : failure;
    }
    return ERR_BUSY;
}

err_t
journal_index_frame(struct journal_index *index, journal_position_t position)
{
    ASSERT(position > index->frame);
    TRY(journal_index_admit(index));
    if (is_full(index)) {
        struct journal_table *full = index->active;
        full->frame = index->frame;
        index->frozen[index->frozen_count++] = full;
        err_t code = table_begin(index);
        if (code != ERR_OK) {
            index->frozen_count--;
            return code;
        }
        tables_submit(index);
    }
    index->frame = position;
    journal_runs_work(&index->runs);
    return ERR_OK;
}

void
journal_index_durable(
    struct journal_index *index,
    journal_position_t position,
    const struct journal_frame_header *header)
{
    ASSERT(position > index->durable.frame);
    index->durable.frame = position;
    index->durable.end = position + header->size;
    index->durable.chain = header->checksum;
    index->durable.identity = header->identity;
    tables_submit(index);
    journal_runs_work(&index->runs);
}

bool
journal_index_hold(struct journal_index *index, struct os_task *task)
{
    return journal_runs_hold(&index->runs, task);
}

uint64_t
journal_index_hash(const struct journal_index *index, u128 id)
{
    return hash_keyed_u128(index->runs.key, id);
}

err_t
journal_index_put(
    struct journal_index *index, uint64_t hash, uint64_t position, enum journal_fate fate)
{
    ASSERT(position != 0);
    ASSERT((position & 15) == 0);
    return journal_table_put(index->active, hash, position | (uint64_t)fate);
}

/* --- asking it --- */

/* The table number `number`, newest first; NULL behind the last. */
static const struct journal_table *
table_at(const struct journal_index *index, uint32_t number)
{
    if (number == 0) {
        return index->active;
    }
    return number <= index->frozen_count ? index->frozen[index->frozen_count - number] : NULL;
}

void
journal_index_prefetch(const struct journal_index *index, uint64_t hash)
{
    const struct journal_table *table = NULL;
    for (uint32_t i = 0; (table = table_at(index, i)) != NULL; i++) {
        journal_table_prefetch(table, hash);
    }
    for (uint32_t i = 0; i < index->set->view_count; i++) {
        journal_filter_prefetch(&index->set->views[i], hash);
    }
}

struct journal_index_cursor
journal_index_find(const struct journal_index *index, uint64_t hash)
{
    static_assert(JOURNAL_INDEX_GROUPS <= 64, "a bit for each group");
    struct journal_index_cursor cursor = {.hash = hash};
    uint64_t bits = journal_filter_bits(hash);
    for (uint32_t i = 0; i < index->set->view_count; i++) {
        cursor.groups |= journal_filter_groups(&index->set->views[i], hash, bits);
    }
    return cursor;
}

err_t
journal_index_next(
    const struct journal_index *index,
    struct journal_index_cursor *cursor,
    struct journal_index_entry *ret_entry)
{
    const struct journal_table *table = NULL;
    while ((table = table_at(index, cursor->table)) != NULL) {
        const struct journal_index_entry *entry =
            journal_table_next(table, cursor->hash, &cursor->steps);
        if (entry != NULL) {
            *ret_entry = *entry;
            return ERR_OK;
        }
        cursor->table++;
        cursor->steps = 0;
    }
    while (cursor->groups != 0) {
        uint32_t newest = 63 - (uint32_t)__builtin_clzll(cursor->groups);
        const struct journal_run *run = journal_group_run(index->set->groups[newest], cursor->hash);
        TRY(journal_run_find(run, cursor->hash, cursor->steps, ret_entry));
        if (ret_entry->reference != 0) {
            cursor->steps++;
            return ERR_OK;
        }
        cursor->groups &= ~(UINT64_C(1) << newest);
        cursor->steps = 0;
    }
    *ret_entry = (struct journal_index_entry){0};
    return ERR_OK;
}

void
journal_index_condemn(struct journal_index *index)
{
    journal_runs_discard(&index->runs);
}
