#include "snapshot_copy.h"

#include "journal.h"

#include "base/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
monotonic_ns(const struct journal *journal)
{
    struct os_clock *clock = journal->settings.clock;
    return clock == NULL ? 0 : os_monotonic_ns(clock);
}

static uint64_t
wall_ns(const struct journal *journal)
{
    struct os_clock *clock = journal->settings.clock;
    return clock == NULL ? 0 : os_wall_ns(clock);
}

/* --- on the other thread --- */

static void
job_append(struct os_task *task)
{
    struct snapshot_copy *copy = CONTAINER_OF(task, struct snapshot_copy, task);
    err_t code = snapshot_file_append(&copy->file, copy->block, &copy->error);
    ASSERT(code == copy->error.code);
    atomic_store(&copy->busy, false);
}

static void
job_finish(struct os_task *task)
{
    struct snapshot_copy *copy = CONTAINER_OF(task, struct snapshot_copy, task);
    err_t code = snapshot_file_finish(&copy->file, &copy->header, copy->block, &copy->error);
    ASSERT(code == copy->error.code);
    atomic_store(&copy->busy, false);
}

/* Gives block and file away until `busy` is false again. */
static void
job_post(struct snapshot_copy *copy, void (*run)(struct os_task *task))
{
    ASSERT(!atomic_load(&copy->busy));
    atomic_store(&copy->busy, true);
    copy->task.run = run;
    if (copy->loop == NULL) {
        run(&copy->task);
    } else {
        os_post(os_loop_executor(copy->loop), &copy->task);
    }
}

/* --- beginning --- */

static uint64_t
threshold_of(const struct journal *journal, uint64_t file_size)
{
    uint64_t interval = journal->settings.snapshot_interval;
    uint64_t least = file_size * SNAPSHOT_JOURNAL_PER_BYTE;
    return interval > least ? interval : least;
}

void
snapshot_frame_open(struct journal *journal, journal_position_t position)
{
    struct snapshot_copy *copy = &journal->snapshot;
    if (copy->state != SNAPSHOT_IDLE || copy->block == NULL || copy->bytes < copy->threshold ||
        journal->heads.count == 0 || journal_adopted_sort(&journal->adopted) != ERR_OK) {
        return;
    }
    copy->header = (struct snapshot_header){
        .identity = journal->writer.identity,
        .number = copy->number_next++,
        .begin.position = position,
        .clock = journal->clock,
        .transfer_timestamp = journal->transfer_timestamp,
        .stretch_length = journal->directory.length,
        .created_ns = wall_ns(journal),
    };
    copy->file.number = copy->header.number;
    copy->error = (struct store_error){0};
    copy->state = SNAPSHOT_COPYING;
    copy->kind = SNAPSHOT_ACCOUNTS;
    copy->next = 0;
    copy->spoiled = false;
    copy->block_count = 0;
    copy->begin_bytes = copy->bytes;
    copy->begin_ns = monotonic_ns(journal);
    copy->limits[SNAPSHOT_ACCOUNTS] = journal->heads.count;
    copy->limits[SNAPSHOT_PENDINGS] = ledger_pending_slots(journal->ledger);
    copy->limits[SNAPSHOT_STRETCHES] = journal->directory.count;
    /* Only what was adopted is booked elsewhere. */
    copy->limits[SNAPSHOT_ADOPTED] = journal->adopted.count;
    copy->limits[SNAPSHOT_PLACED] =
        journal->adopted.count == 0 ? 0 : copy->limits[SNAPSHOT_PENDINGS];
    /* SNAPSHOT-3: the stretches that are there take nothing more, and keep their places. */
    journal->directory.fresh = true;
    journal->directory.pinned = true;
}

void
snapshot_event_adopted(struct journal *journal)
{
    struct snapshot_copy *copy = &journal->snapshot;
    copy->spoiled = copy->state == SNAPSHOT_COPYING || copy->state == SNAPSHOT_SETTLING;
}

void
snapshot_frame_durable(
    struct journal *journal, const struct journal_frame_header *header, journal_position_t position)
{
    struct snapshot_copy *copy = &journal->snapshot;
    copy->bytes += header->size;
    copy->durable = (struct snapshot_mark){
        .chain = header->checksum,
        .position = position + header->size,
        .sequence = header->sequence,
    };
    if (copy->state != SNAPSHOT_IDLE && position == copy->header.begin.position) {
        copy->header.begin.sequence = header->sequence - 1;
        copy->header.begin.chain = header->previous;
    }
}

/* --- copying --- */

static char *
record_at(const struct snapshot_copy *copy, enum snapshot_kind kind, uint32_t index)
{
    return copy->block + sizeof(struct snapshot_block) + (size_t)index * snapshot_record_size(kind);
}

static uint32_t
copy_accounts(struct journal *journal, uint64_t end)
{
    struct snapshot_copy *copy = &journal->snapshot;
    uint32_t count = 0;
    while (copy->next < end && count < snapshot_records_max(SNAPSHOT_ACCOUNTS)) {
        uint32_t slot = (uint32_t)copy->next++;
        struct snapshot_account record = {
            .account = *ledger_account_at(journal->ledger, slot),
            .head = journal->heads.positions[slot],
        };
        /* One may be adopted before it has any history, and then there is nothing else. */
        if (slot > 0 &&
            record.account.timestamp <= ledger_account_at(journal->ledger, slot - 1)->timestamp) {
            copy->header.version = SNAPSHOT_VERSION_ADOPTED;
        }
        memcpy(record_at(copy, SNAPSHOT_ACCOUNTS, count++), &record, sizeof(record));
    }
    return count;
}

/* Is the slot's live pending transfer booked on the accounts that it names? */
static bool
is_in_place(const struct ledger *ledger, uint32_t slot, struct snapshot_placed *ret_placed)
{
    const struct ledger_transfer *pending = ledger_pending_at(ledger, slot);
    *ret_placed = (struct snapshot_placed){.transfer = *pending};
    ledger_pending_sides(ledger, slot, &ret_placed->debit_slot, &ret_placed->credit_slot);
    return ledger_account_at(ledger, ret_placed->debit_slot)->id == pending->debit_account_id &&
           ledger_account_at(ledger, ret_placed->credit_slot)->id == pending->credit_account_id;
}

/* Of both kinds, each in its turn. */
static uint32_t
copy_pendings(struct journal *journal, enum snapshot_kind kind, uint64_t end)
{
    struct snapshot_copy *copy = &journal->snapshot;
    bool all_in_place = copy->limits[SNAPSHOT_PLACED] == 0;
    uint64_t until =
        end - copy->next < SNAPSHOT_SCAN_SLOTS ? end : copy->next + SNAPSHOT_SCAN_SLOTS;
    uint32_t count = 0;
    while (copy->next < until && count < snapshot_records_max(kind)) {
        uint32_t slot = (uint32_t)copy->next++;
        const struct ledger_transfer *pending = ledger_pending_at(journal->ledger, slot);
        /* SNAPSHOT-4. */
        if (pending == NULL || pending->timestamp > copy->header.transfer_timestamp) {
            continue;
        }
        struct snapshot_placed placed;
        bool in_place = all_in_place || is_in_place(journal->ledger, slot, &placed);
        if (kind == SNAPSHOT_PENDINGS && in_place) {
            memcpy(record_at(copy, kind, count++), pending, sizeof(*pending));
        } else if (kind == SNAPSHOT_PLACED && !in_place) {
            memcpy(record_at(copy, kind, count++), &placed, sizeof(placed));
        }
    }
    return count;
}

/* The table is in order and, by SNAPSHOT-8, has what it had at `begin`. */
static uint32_t
copy_adopted(struct journal *journal, uint64_t end)
{
    struct snapshot_copy *copy = &journal->snapshot;
    uint64_t count = end - copy->next;
    if (count > snapshot_records_max(SNAPSHOT_ADOPTED)) {
        count = snapshot_records_max(SNAPSHOT_ADOPTED);
    }
    ASSERT(end <= journal->adopted.sorted);
    const struct journal_adopted_entry *from = &journal->adopted.entries[copy->next];
    memcpy(record_at(copy, SNAPSHOT_ADOPTED, 0), from, count * sizeof(*from));
    copy->next += count;
    return (uint32_t)count;
}

static uint32_t
copy_stretches(struct journal *journal, uint64_t end)
{
    struct snapshot_copy *copy = &journal->snapshot;
    uint64_t count = end - copy->next;
    if (count > snapshot_records_max(SNAPSHOT_STRETCHES)) {
        count = snapshot_records_max(SNAPSHOT_STRETCHES);
    }
    const struct journal_stretch *from = &journal->directory.stretches[copy->next];
    memcpy(record_at(copy, SNAPSHOT_STRETCHES, 0), from, count * sizeof(*from));
    copy->next += count;
    return (uint32_t)count;
}

static uint32_t
copy_records(struct journal *journal, enum snapshot_kind kind, uint64_t end)
{
    switch (kind) {
    case SNAPSHOT_ACCOUNTS:
        return copy_accounts(journal, end);
    case SNAPSHOT_PENDINGS:
    case SNAPSHOT_PLACED:
        return copy_pendings(journal, kind, end);
    case SNAPSHOT_STRETCHES:
        return copy_stretches(journal, end);
    case SNAPSHOT_ADOPTED:
        return copy_adopted(journal, end);
    case SNAPSHOT_KINDS:
        break;
    }
    UNREACHABLE();
}

/* Copies one block of the kind that is next; when there is none any more, waits for `end`. */
static void
copy_block(struct journal *journal)
{
    struct snapshot_copy *copy = &journal->snapshot;
    if (copy->next < copy->limits[copy->kind]) {
        enum snapshot_kind kind = copy->kind;
        uint32_t count = copy_records(journal, kind, copy->limits[kind]);
        if (count > 0) {
            struct snapshot_block block = {
                .number = copy->block_count++, .kind = kind, .count = count};
            snapshot_block_seal(&block, copy->block);
            copy->header.counts[kind] += count;
            job_post(copy, job_append);
        }
        return;
    }
    copy->next = 0;
    copy->kind++;
    if (copy->kind == SNAPSHOT_KINDS) {
        journal->directory.pinned = false;
        copy->state = SNAPSHOT_SETTLING;
        copy->wait_sequence = journal->sequence;
    }
}

/* --- the end --- */

static void
failed(struct journal *journal)
{
    struct snapshot_copy *copy = &journal->snapshot;
    uint32_t doubling = copy->failure_row;
    doubling = doubling < SNAPSHOT_RETRY_DOUBLING ? doubling : SNAPSHOT_RETRY_DOUBLING;
    uint64_t wait = (journal->settings.snapshot_interval / SNAPSHOT_RETRY_SHARE + 1) << doubling;
    copy->failure_row++;
    copy->status.snapshot_failures++;
    copy->threshold = copy->bytes + wait;
    copy->state = SNAPSHOT_IDLE;
    journal->directory.pinned = false;
    journal_notice(
        journal,
        "snapshot failed, and is tried again after %" PRIu64 " bytes of journal: %s",
        wait,
        copy->error.message);
}

static void
succeeded(struct journal *journal)
{
    struct snapshot_copy *copy = &journal->snapshot;
    copy->failure_row = 0;
    copy->bytes -= copy->begin_bytes;
    copy->threshold = threshold_of(journal, copy->header.file_size);
    copy->status.snapshots++;
    copy->status.snapshot_created_ns = copy->header.created_ns;
    copy->status.snapshot_bytes = copy->header.file_size;
    copy->status.snapshot_duration_ns = monotonic_ns(journal) - copy->begin_ns;
    copy->state = SNAPSHOT_IDLE;
}

/* SNAPSHOT-8. */
static void
abandon(struct journal *journal)
{
    struct snapshot_copy *copy = &journal->snapshot;
    snapshot_file_release(&copy->file);
    copy->threshold = copy->bytes + journal->settings.snapshot_interval / SNAPSHOT_RETRY_SHARE + 1;
    copy->state = SNAPSHOT_IDLE;
    copy->spoiled = false;
    journal->directory.pinned = false;
}

void
snapshot_step(struct journal *journal)
{
    struct snapshot_copy *copy = &journal->snapshot;
    if (copy->state == SNAPSHOT_IDLE || atomic_load(&copy->busy)) {
        return;
    }
    if (copy->spoiled) {
        abandon(journal);
        return;
    }
    if (copy->error.code != ERR_OK) {
        failed(journal);
        return;
    }
    if (copy->state == SNAPSHOT_COPYING) {
        copy_block(journal);
    } else if (copy->state == SNAPSHOT_FINISHING) {
        succeeded(journal);
    } else if (copy->durable.sequence >= copy->wait_sequence) {
        /* SNAPSHOT-5. */
        ASSERT(copy->header.begin.sequence < copy->durable.sequence);
        copy->header.end = copy->durable;
        copy->state = SNAPSHOT_FINISHING;
        job_post(copy, job_finish);
    }
}

/* --- opening and closing --- */

err_t
snapshot_copy_start(struct journal *journal, struct store_error *error)
{
    struct snapshot_copy *copy = &journal->snapshot;
    copy->file.disk = journal->settings.snapshot_disk;
    copy->file.folder = journal->folder;
    copy->threshold = threshold_of(journal, copy->status.snapshot_bytes);
    if (journal->settings.snapshot_interval == 0) {
        return ERR_OK;
    }
    copy->block = aligned_alloc(JOURNAL_BLOCK, SNAPSHOT_BLOCK_MAX);
    if (copy->block == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    memset(copy->block, 0, SNAPSHOT_BLOCK_MAX);
    if (journal->settings.loops == NULL) {
        return ERR_OK;
    }
    err_t code = os_loops_create(journal->settings.loops, "snapshot", &copy->loop);
    if (code == ERR_OK) {
        os_loop_give_way(copy->loop);
        code = os_loop_start(copy->loop);
    }
    if (code != ERR_OK) {
        return store_error_set(
            error, code, "%s: starting the snapshots' thread: %s", journal->folder, err_text(code));
    }
    return ERR_OK;
}

void
snapshot_copy_release(struct snapshot_copy *copy)
{
    snapshot_file_release(&copy->file);
    free(copy->block);
    copy->block = NULL;
}
