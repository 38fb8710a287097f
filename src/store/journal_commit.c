/* Commits: a delta goes into the open frame as a section, and into index, heads and directory. */
#include "journal.h"

#include "base/list.h"

/* Events whose misses of the processor's cache overlap. */
#define PREFETCH_BLOCK 16

static void
prepare_run(struct os_task *task)
{
    struct journal *journal = CONTAINER_OF(task, struct journal, prepare_task);
    journal_writer_prepare(&journal->writer, true);
    atomic_store(&journal->prepare_posted, false);
}

/* Asks the I/O thread to try again to allocate a segment. */
static void
prepare_post(struct journal *journal)
{
    if (atomic_exchange(&journal->prepare_posted, true)) {
        return;
    }
    journal->prepare_task.run = prepare_run;
    if (journal->loop == NULL) {
        prepare_run(&journal->prepare_task);
    } else {
        os_post(os_loop_executor(journal->loop), &journal->prepare_task);
    }
}

err_t
journal_admit(struct store *store, uint32_t events, uint32_t accounts)
{
    struct journal *journal = journal_of(store);
    ASSERT(journal->loaded);
    if (journal->failed) {
        return ERR_CLOSED;
    }
    /* Behind it comes at least the empty section that a group may end with. */
    uint64_t size =
        journal_section_size(accounts, events, events, true) + journal_section_size(0, 0, 0, false);
    if (journal_frame_size(size) > journal->frame_capacity) {
        return ERR_FULL;
    }
    struct journal_frame *open = journal_frame_of_open(journal);
    if (open != NULL && journal_frame_fits(journal, open, size)) {
        return ERR_OK;
    }
    if (journal_frame_free(journal) == NULL) {
        return ERR_BUSY;
    }
    err_t indexed = journal_index_admit(&journal->index);
    if (indexed != ERR_OK) {
        return indexed == ERR_CORRUPT ? journal_condemn_index(journal, indexed, NULL) : indexed;
    }
    /* The open frame may end in the middle of a segment that the next one does not fit into. */
    bool crosses = open != NULL || journal_needs_segment(journal, size);
    if (crosses && atomic_load(&journal->writer.segment_ready) <= journal->segment &&
        atomic_load(&journal->writer.space_error) != ERR_OK) {
        prepare_post(journal);
        return ERR_DISK_FULL;
    }
    return ERR_OK;
}

/* Hashes of the ids of the events that are near, each at its number in a ring. */
#define RING (4 * PREFETCH_BLOCK)

/* Events [*ret_start, *ret_end) of block number `block` of the delta. */
static void
block_of(const struct ledger_delta *delta, uint32_t block, uint32_t *ret_start, uint32_t *ret_end)
{
    const uint32_t start = block * PREFETCH_BLOCK;
    const uint32_t end = start + PREFETCH_BLOCK;
    *ret_start = start < delta->event_count ? start : delta->event_count;
    *ret_end = end < delta->event_count ? end : delta->event_count;
}

/* Hashes the ids of a block, and fetches what tells where in the index their entries will be. */
static void
hash_ids(
    const struct journal *journal,
    const struct ledger_delta *delta,
    uint32_t block,
    uint64_t hashes[RING])
{
    const struct journal_index *index = &journal->index;
    uint32_t start;
    uint32_t end;
    block_of(delta, block, &start, &end);
    for (uint32_t i = start; i < end; i++) {
        const struct ledger_event *event = &delta->events[i];
        const uint64_t hash = journal_index_hash(index, event->transfer.id);
        hashes[i % RING] = hash;
        journal_index_prefetch_put(index, hash);
        const struct journal_pending *pending =
            journal_pendings_find(&journal->pendings, event->pending_place);
        if (pending != NULL) {
            journal_index_prefetch_put(index, pending->hash);
        } else if (event->transfer.pending_id != 0) {
            journal_index_prefetch(index, journal_index_hash(index, event->transfer.pending_id));
        }
    }
}

/* A block later: fetches what its events will write. */
static void
prefetch_entries(
    const struct journal *journal,
    const struct ledger_delta *delta,
    uint32_t block,
    const uint64_t hashes[RING])
{
    const struct journal_index *index = &journal->index;
    uint32_t start;
    uint32_t end;
    block_of(delta, block, &start, &end);
    for (uint32_t i = start; i < end; i++) {
        const struct ledger_event *event = &delta->events[i];
        prefetch_for_write(&journal->heads.positions[event->debit_slot]);
        prefetch_for_write(&journal->heads.positions[event->credit_slot]);
        journal_index_prefetch_entry(index, hashes[i % RING]);
        const struct journal_pending *pending =
            journal_pendings_find(&journal->pendings, event->pending_place);
        if (pending != NULL) {
            journal_index_prefetch_entry(index, pending->hash);
        }
    }
}

static err_t
write_events(
    struct journal *journal,
    const struct ledger_delta *delta,
    const struct journal_section *section,
    struct journal_frame *frame)
{
    bool wide = section->event_size == JOURNAL_EVENT_WIDE;
    uint64_t hashes[RING];
    for (uint32_t block = 0; block < 2; block++) {
        hash_ids(journal, delta, block, hashes);
    }
    prefetch_entries(journal, delta, 0, hashes);
    char *out = frame->image.data + (section->events - frame->image.data);
    for (uint32_t i = 0; i < delta->event_count; i++) {
        const struct ledger_event *event = &delta->events[i];
        if (i % PREFETCH_BLOCK == 0) {
            hash_ids(journal, delta, i / PREFETCH_BLOCK + 2, hashes);
            prefetch_entries(journal, delta, i / PREFETCH_BLOCK + 1, hashes);
        }
        /* A large delta is more than the nearest caches hold, so it comes back from a far one. */
        prefetch_record_for_read(event + 3 * PREFETCH_BLOCK, sizeof(*event));
        prefetch_record_for_write(
            out + (size_t)PREFETCH_BLOCK * section->event_size, section->event_size);
        ASSERT(event->debit_slot < journal->heads.count);
        ASSERT(event->credit_slot < journal->heads.count);
        uint64_t *debit_head = &journal->heads.positions[event->debit_slot];
        uint64_t *credit_head = &journal->heads.positions[event->credit_slot];
        uint64_t position = frame->image.position + (uint64_t)(out - frame->image.data);
        journal_event_encode(event, *debit_head, *credit_head, wide, out);
        if (event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED) {
            *debit_head = position;
            *credit_head = position;
        }
        TRY(journal_note_event(journal, event, hashes[i % RING], position));
        if (event->adopted != 0) {
            snapshot_event_adopted(journal);
        }
        /* What was adopted may be older. */
        if (event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED &&
            event->timestamp > journal->transfer_timestamp) {
            journal->transfer_timestamp = event->timestamp;
        }
        out += section->event_size;
    }
    return ERR_OK;
}

static err_t
write_section(
    struct journal *journal,
    const struct ledger_delta *delta,
    bool wide,
    struct journal_frame *frame)
{
    char *out = frame->image.data + sizeof(struct journal_frame_header) + frame->image.body_size;
    struct journal_section section = journal_section_encode(delta, wide, out);
    frame->image.body_size += section.header.size;
    frame->image.section_count++;
    frame->image.clock = delta->clock;
    journal_directory_extend(
        &journal->directory, frame->image.position + journal_frame_size(frame->image.body_size));
    for (uint32_t i = 0; i < delta->account_count; i++) {
        TRY(journal_heads_add(&journal->heads));
    }
    TRY(write_events(journal, delta, &section, frame));
    uint64_t position = frame->image.position + (uint64_t)(section.failed - frame->image.data);
    for (uint32_t i = 0; i < delta->failed_count; i++) {
        TRY(journal_note_failed(journal, delta->failed_ids[i], position));
        position += sizeof(u128);
    }
    journal->clock = delta->clock;
    return ERR_OK;
}

static void
ticket_add(struct journal *journal, struct journal_frame *frame, struct store_ticket *ticket)
{
    ticket->sequence = journal->sequence;
    ticket->error = (struct store_error){0};
    ticket->task.next = NULL;
    if (frame->last_ticket == NULL) {
        frame->first_ticket = &ticket->task;
    } else {
        frame->last_ticket->next = &ticket->task;
    }
    frame->last_ticket = &ticket->task;
}

err_t
journal_commit(
    struct store *store,
    const struct ledger_delta *delta,
    struct os_executor *executor,
    struct store_ticket *ticket)
{
    struct journal *journal = journal_of(store);
    ASSERT(journal->loaded);
    if (journal->failed) {
        return ERR_CLOSED;
    }
    bool wide = journal_delta_is_wide(delta);
    uint64_t size =
        journal_section_size(delta->account_count, delta->event_count, delta->failed_count, wide);
    if (journal_frame_size(size) > journal->frame_capacity) {
        return ERR_FULL;
    }
    struct journal_frame *frame = journal_frame_of_open(journal);
    if (frame == NULL || !journal_frame_fits(journal, frame, size)) {
        if (journal_frame_free(journal) == NULL) {
            return ERR_BUSY;
        }
        TRY(journal_index_admit(&journal->index));
        if (frame != NULL) {
            journal_frame_close(journal, frame);
        }
        TRY(journal_frame_open(journal, size, &frame));
    }
    err_t code = write_section(journal, delta, wide, frame);
    if (code != ERR_OK) {
        /* The tables are half changed: this store is of no more use (STORE-3). */
        struct store_error error;
        store_error_set(&error, code, "%s: %s", journal->folder, err_text(code));
        journal_fail(journal, &error);
        return code;
    }
    ASSERT(frame->executor == NULL || frame->executor == executor);
    frame->executor = executor;
    if (ticket != NULL) {
        ticket_add(journal, frame, ticket);
        journal_frames_submit(journal);
        snapshot_step(journal);
    }
    return ERR_OK;
}
