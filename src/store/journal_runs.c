#include "journal_runs.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- sets --- */

static void
set_destroy(struct journal_runs *runs, struct journal_run_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        journal_group_unref(set->groups[i], runs->folder);
    }
    free(set);
}

static void
set_publish(struct journal_runs *runs, struct journal_run_set *set)
{
    set->runs = runs;
    set->covered = runs->covered;
    set->count = runs->group_count;
    for (uint32_t i = 0; i < runs->group_count; i++) {
        set->groups[i] = runs->groups[i];
        set->groups[i]->references++;
        set->view_count =
            journal_filter_view_add(set->views, set->view_count, &set->groups[i]->filter, i);
    }
    struct journal_run_set *unseen = atomic_exchange(&runs->published, set);
    if (unseen != NULL) {
        set_destroy(runs, unseen);
    }
}

err_t
journal_runs_publish(struct journal_runs *runs)
{
    struct journal_run_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return ERR_MEMORY;
    }
    set_publish(runs, set);
    return ERR_OK;
}

static void
set_returned(struct os_task *task)
{
    struct journal_run_set *set = CONTAINER_OF(task, struct journal_run_set, task);
    set_destroy(set->runs, set);
}

struct journal_run_set *
journal_runs_take(struct journal_runs *runs)
{
    if (atomic_load(&runs->published) == NULL) {
        return NULL;
    }
    return atomic_exchange(&runs->published, NULL);
}

void
journal_runs_give_back(struct journal_runs *runs, struct journal_run_set *set)
{
    if (runs->loop == NULL) {
        set_destroy(runs, set);
        return;
    }
    set->task.run = set_returned;
    os_post(os_loop_executor(runs->loop), &set->task);
}

/* --- the manifest --- */

static err_t
manifest_save(const struct journal_runs *runs)
{
    struct journal_manifest_header header = {
        .identity = runs->identity,
        .chain = runs->chain,
        .frame = runs->frame,
        .covered = runs->covered,
        .key = runs->key,
        .next_number = runs->next_number,
        .group_count = runs->group_count,
    };
    for (uint32_t i = 0; i < runs->group_count; i++) {
        header.run_count += 1u << runs->groups[i]->bits;
    }
    uint64_t size = journal_manifest_size(header.run_count);
    char *content = calloc(1, size);
    if (content == NULL) {
        return ERR_MEMORY;
    }
    struct journal_manifest_run *entry = (void *)(content + sizeof(struct journal_manifest_header));
    for (uint32_t i = 0; i < runs->group_count; i++) {
        const struct journal_group *group = runs->groups[i];
        for (uint32_t piece = 0; piece < 1u << group->bits; piece++, entry++) {
            const struct journal_run_header *run = &group->runs[piece]->header;
            *entry = (struct journal_manifest_run){
                .checksum = run->checksum,
                .number = run->number,
                .count = run->count,
                .group = i,
                .level = group->level,
                .bits = group->bits,
                .piece = piece,
            };
        }
    }
    journal_manifest_seal(&header, content);
    /* The runs' names before the name that leads to them. */
    err_t code = runs->disk->ops->sync_folder(runs->disk, runs->folder);
    if (code == ERR_OK) {
        code = os_file_save(
            runs->disk,
            runs->folder,
            JOURNAL_MANIFEST_NAME,
            (struct span){.data = content, .size = size});
    }
    free(content);
    return code;
}

/* --- tables become runs --- */

static err_t
entries_write(
    struct journal_run_writer *writer, const struct journal_index_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(journal_run_writer_add(writer, entries[i]));
    }
    return ERR_OK;
}

static err_t
run_write(
    struct journal_runs *runs, const struct journal_table *table, struct journal_run **ret_run)
{
    TRY(journal_table_sort(table, &runs->order));
    struct journal_run_header header = {.identity = table->identity, .number = runs->next_number++};
    struct journal_run_writer writer;
    err_t code = journal_run_writer_begin(&writer, runs->disk, runs->folder, &header, table->count);
    if (code == ERR_OK) {
        code = entries_write(&writer, runs->order.entries, table->count);
        if (code == ERR_OK) {
            code = journal_run_writer_finish(&writer, ret_run);
        }
        if (code != ERR_OK) {
            journal_run_writer_abandon(&writer);
        }
    }
    return code;
}

/* The group becomes the newest, covering up to where the table does: all or nothing. */
static err_t
group_add(struct journal_runs *runs, struct journal_group *group, const struct journal_table *table)
{
    struct journal_run_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return ERR_MEMORY;
    }
    const journal_position_t covered = runs->covered;
    const journal_position_t frame = runs->frame;
    const u128 chain = runs->chain;
    ASSERT(table->covered > covered);
    runs->identity = table->identity;
    runs->covered = table->covered;
    runs->frame = table->frame;
    runs->chain = table->chain;
    runs->groups[runs->group_count++] = group;
    err_t code = manifest_save(runs);
    if (code != ERR_OK) {
        /* The old manifest or the new one is there, and what either names. */
        runs->group_count--;
        runs->covered = covered;
        runs->frame = frame;
        runs->chain = chain;
        free(set);
        return code;
    }
    set_publish(runs, set);
    return ERR_OK;
}

static err_t
table_write(struct journal_runs *runs, const struct journal_table *table)
{
    ASSERT(runs->group_count < JOURNAL_INDEX_GROUPS);
    struct journal_group *group = journal_group_create(0, 0);
    if (group == NULL) {
        return ERR_MEMORY;
    }
    err_t code = run_write(runs, table, &group->runs[0]);
    if (code == ERR_OK) {
        group->count = group->runs[0]->header.count;
        code = journal_group_place_filter(group, journal_runs_bank(runs, 0));
    }
    if (code == ERR_OK) {
        code = group_add(runs, group, table);
    }
    if (code != ERR_OK) {
        journal_group_unref(group, runs->folder);
    }
    return code;
}

/* A held frame goes on to the I/O thread. */
static void
held_release(struct journal_runs *runs)
{
    struct os_task *task = atomic_exchange(&runs->held, NULL);
    if (task != NULL) {
        os_post(runs->io, task);
    }
}

/* Merging goes on for as much as the tables bring, so that it takes a share of a core and not all
 * that there is: each entry is merged once at each level. */
static uint64_t
credit_of(const struct journal_runs *runs, uint64_t entries)
{
    uint32_t levels = runs->group_count == 0 ? 0 : runs->groups[0]->level + 1;
    return entries * (levels + 1);
}

static void
table_flush(struct journal_runs *runs)
{
    struct journal_table *table = runs->queue;
    struct journal_table *next = table->next;
    uint32_t count = table->count;
    err_t code = table_write(runs, table);
    if (code != ERR_OK) {
        runs->stalled = true;
        atomic_store(&runs->failure, code);
        held_release(runs);
        return;
    }
    /* The engine may have the table again by now. */
    runs->queue = next;
    runs->credit = credit_of(runs, count);
    runs->merge_failure = ERR_OK;
    /* In this order: who sees no failure and a lag at its bound relies on a frame that is held. */
    atomic_fetch_sub(&runs->lag, 1);
    atomic_store(&runs->failure, ERR_OK);
    held_release(runs);
}

/* --- merging --- */

static void
merge_fail(struct journal_runs *runs, struct journal_merge *merge, err_t code)
{
    if (merge->damaged) {
        atomic_store(&runs->damaged, true);
    }
    journal_merge_abandon(merge);
    runs->merge_failure = code;
}

/* The oldest groups of the level, if there are enough of them. */
static bool
merge_start(struct journal_runs *runs, uint32_t level)
{
    uint32_t first = 0;
    while (first < runs->group_count && runs->groups[first]->level > level) {
        first++;
    }
    uint32_t end = first;
    uint64_t count = 0;
    while (end < runs->group_count && runs->groups[end]->level == level &&
           end - first < JOURNAL_MERGE_FAN) {
        count += runs->groups[end++]->count;
    }
    if (end - first < JOURNAL_MERGE_FAN || level + 1 >= JOURNAL_RUN_LEVELS ||
        journal_merge_bits(count, runs->run_max) > JOURNAL_RUN_BITS_MAX) {
        return false;
    }
    struct journal_merge *merge = &runs->merges[level];
    merge->disk = runs->disk;
    merge->folder = runs->folder;
    merge->identity = runs->identity;
    merge->next_number = &runs->next_number;
    err_t code = journal_merge_begin(merge, &runs->groups[first], runs->run_max);
    if (code != ERR_OK) {
        merge_fail(runs, merge, code);
        return false;
    }
    return true;
}

/* The group takes the place of those that it was made of: all or nothing. */
static err_t
group_replace(struct journal_runs *runs, struct journal_group *group, struct journal_run_set *set)
{
    struct journal_group *before[JOURNAL_INDEX_GROUPS];
    const uint32_t before_count = runs->group_count;
    memcpy(before, runs->groups, sizeof(before));
    uint32_t first = 0;
    while (runs->groups[first]->level >= group->level) {
        first++;
    }
    uint32_t rest = before_count - first - JOURNAL_MERGE_FAN;
    runs->groups[first] = group;
    memmove(
        &runs->groups[first + 1],
        &runs->groups[first + JOURNAL_MERGE_FAN],
        rest * sizeof(struct journal_group *));
    runs->group_count = first + 1 + rest;
    err_t code = manifest_save(runs);
    if (code != ERR_OK) {
        memcpy(runs->groups, before, sizeof(before));
        runs->group_count = before_count;
        return code;
    }
    set_publish(runs, set);
    for (uint32_t i = 0; i < JOURNAL_MERGE_FAN; i++) {
        before[first + i]->replaced = true;
        journal_group_unref(before[first + i], runs->folder);
    }
    return ERR_OK;
}

static void
merge_finish(struct journal_runs *runs, struct journal_group *group)
{
    struct journal_run_set *set = calloc(1, sizeof(*set));
    err_t code = set == NULL ? ERR_MEMORY : ERR_OK;
    if (code == ERR_OK) {
        code = journal_group_place_filter(group, journal_runs_bank(runs, group->level));
    }
    if (code == ERR_OK) {
        code = group_replace(runs, group, set);
    }
    if (code != ERR_OK) {
        free(set);
        /* Its files stay: a manifest that names them may be there after a crash. */
        journal_group_unref(group, runs->folder);
        runs->merge_failure = code;
    }
}

/* Goes on with the youngest merge that is under way or can begin; false if there is none. */
static bool
merge_some(struct journal_runs *runs)
{
    for (uint32_t level = 0; level < JOURNAL_RUN_LEVELS; level++) {
        struct journal_merge *merge = &runs->merges[level];
        if (merge->input_count == 0 && !merge_start(runs, level)) {
            if (runs->merge_failure != ERR_OK) {
                return false;
            }
            continue;
        }
        struct journal_group *group = NULL;
        err_t code = journal_merge_step(merge, JOURNAL_RUNS_STEP, &group);
        if (code != ERR_OK) {
            merge_fail(runs, merge, code);
            return false;
        }
        if (group != NULL) {
            merge_finish(runs, group);
        }
        runs->credit -= runs->credit < JOURNAL_RUNS_STEP ? runs->credit : JOURNAL_RUNS_STEP;
        return true;
    }
    return false;
}

/* One step; false if there is nothing to do, or nothing that works. */
static bool
step(struct journal_runs *runs)
{
    bool many = runs->group_count >= JOURNAL_RUNS_GROUPS_MANY;
    bool merging = runs->merge_failure == ERR_OK && !atomic_load(&runs->damaged);
    if (many && merging && merge_some(runs)) {
        return true;
    }
    if (runs->queue != NULL && !runs->stalled && runs->group_count < JOURNAL_INDEX_GROUPS) {
        table_flush(runs);
        return true;
    }
    if (runs->queue != NULL && !runs->stalled) {
        /* Merging is what would make room. */
        runs->stalled = true;
        atomic_store(
            &runs->failure, runs->merge_failure == ERR_OK ? ERR_FULL : runs->merge_failure);
        held_release(runs);
        return false;
    }
    return merging && runs->credit > 0 && merge_some(runs);
}

static void
step_run(struct os_task *task)
{
    struct journal_runs *runs = CONTAINER_OF(task, struct journal_runs, step_task);
    runs->step_posted = !atomic_load(&runs->closing) && step(runs);
    if (runs->step_posted) {
        os_post(os_loop_executor(runs->loop), task);
    }
}

/* On the index's thread. */
static void
step_post(struct journal_runs *runs)
{
    if (runs->loop != NULL && !runs->step_posted) {
        runs->step_posted = true;
        os_post(os_loop_executor(runs->loop), &runs->step_task);
    }
}

/* --- from the engine's thread --- */

static void
table_queue(struct journal_runs *runs, struct journal_table *table)
{
    struct journal_table **end = &runs->queue;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    table->next = NULL;
    *end = table;
}

static void
table_arrived(struct os_task *task)
{
    struct journal_table *table = CONTAINER_OF(task, struct journal_table, task);
    table_queue(table->runs, table);
    step_post(table->runs);
}

void
journal_runs_submit(struct journal_runs *runs, struct journal_table *table)
{
    ASSERT(table->handed_over);
    ASSERT(table->covered > table->frame);
    ASSERT(table->count > 0);
    atomic_fetch_add(&runs->lag, 1);
    table->runs = runs;
    if (runs->loop == NULL) {
        table_queue(runs, table);
        return;
    }
    table->task.run = table_arrived;
    os_post(os_loop_executor(runs->loop), &table->task);
}

void
journal_runs_work(struct journal_runs *runs)
{
    if (runs->loop != NULL) {
        return;
    }
    uint32_t steps = 0;
    while (step(runs) && (runs->queue != NULL || ++steps < JOURNAL_RUNS_STEPS_INLINE)) {
    }
}

static void
retry_run(struct os_task *task)
{
    struct journal_runs *runs = CONTAINER_OF(task, struct journal_runs, retry_task);
    runs->stalled = false;
    runs->merge_failure = ERR_OK;
    atomic_store(&runs->retry_posted, false);
    step_post(runs);
}

void
journal_runs_retry(struct journal_runs *runs)
{
    if (atomic_exchange(&runs->retry_posted, true)) {
        return;
    }
    if (runs->loop == NULL) {
        retry_run(&runs->retry_task);
        journal_runs_work(runs);
        return;
    }
    os_post(os_loop_executor(runs->loop), &runs->retry_task);
}

void
journal_runs_discard(struct journal_runs *runs)
{
    char path[JOURNAL_RUN_PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s/%s", runs->folder, JOURNAL_MANIFEST_NAME);
    ASSERT(length > 0 && (size_t)length < sizeof(path));
    /* If it comes back, or cannot be removed, the damage is found again. */
    (void)runs->disk->ops->remove(runs->disk, path);
    (void)runs->disk->ops->sync_folder(runs->disk, runs->folder);
}

/* --- from the I/O thread --- */

static bool
lags(const struct journal_runs *runs)
{
    return atomic_load(&runs->lag) >= JOURNAL_RUNS_LAG && atomic_load(&runs->failure) == ERR_OK;
}

bool
journal_runs_hold(struct journal_runs *runs, struct os_task *task)
{
    if (!lags(runs)) {
        return false;
    }
    atomic_store(&runs->held, task);
    /* Whoever ends the lag after this sees the task; whoever ended it before has to be noticed. */
    return lags(runs) || atomic_exchange(&runs->held, NULL) == NULL;
}

/* --- beginning and ending --- */

void
journal_runs_init(
    struct journal_runs *runs, struct os_disk *disk, const char *folder, uint64_t run_max)
{
    memset(runs, 0, sizeof(*runs));
    runs->disk = disk;
    runs->run_max = run_max;
    runs->next_number = 1;
    runs->step_task.run = step_run;
    runs->retry_task.run = retry_run;
    int length = snprintf(runs->folder, sizeof(runs->folder), "%s/index", folder);
    ASSERT(length > 0 && (size_t)length < sizeof(runs->folder));
}

void
journal_runs_start(struct journal_runs *runs, struct os_loop *loop, struct os_executor *io)
{
    ASSERT(runs->loop == NULL);
    runs->loop = loop;
    runs->io = io;
    step_post(runs);
}

void
journal_runs_stop(struct journal_runs *runs)
{
    atomic_store(&runs->closing, true);
}

void
journal_runs_release(struct journal_runs *runs)
{
    for (uint32_t i = 0; i < JOURNAL_RUN_LEVELS; i++) {
        journal_merge_abandon(&runs->merges[i]);
    }
    struct journal_run_set *set = atomic_exchange(&runs->published, NULL);
    if (set != NULL) {
        set_destroy(runs, set);
    }
    for (uint32_t i = 0; i < runs->group_count; i++) {
        journal_group_unref(runs->groups[i], runs->folder);
    }
    runs->group_count = 0;
    for (uint32_t i = 0; i < JOURNAL_FILTER_LEVELS; i++) {
        journal_filter_bank_release(&runs->banks[i]);
    }
    journal_table_order_release(&runs->order);
}
