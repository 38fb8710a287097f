#include "journal.h"

#include "base/list.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events whose misses of the processor's cache overlap. */
#define PREFETCH_BLOCK 32
/* Bytes of a frame that are worth a sync of their own while another one is being written: the write
 * takes about as long as the sync then. */
#define HAND_OVER_SIZE (UINT64_C(512) << 10)

static struct journal *
journal_of(struct store *store)
{
    return CONTAINER_OF(store, struct journal, store);
}

void
journal_notice(const struct journal *journal, const char *format, ...)
{
    if (journal->settings.notice == NULL) {
        return;
    }
    char text[STORE_MESSAGE_SIZE + 128];
    va_list arguments;
    va_start(arguments, format);
    /* A text that is too long is cut. The analyzer forgets va_start when it inlines. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    journal->settings.notice(journal->settings.notice_context, text);
}

/* --- frames on their way --- */

static void frame_done(struct os_task *task);

/* On the I/O thread: may the frame be written now? One that waits for the index comes here again
 * when that has caught up; one that came behind it keeps its place (JOURNAL-4). */
static bool
frame_may_go(struct journal *journal, struct os_task *task)
{
    if (journal->held != NULL && journal->held != task) {
        ASSERT(journal->behind_held == NULL);
        journal->behind_held = task;
        return false;
    }
    journal->held = task;
    if (journal_index_hold(&journal->index, task) || journal_orders_hold(&journal->orders, task)) {
        return false;
    }
    journal->held = NULL;
    return true;
}

/* On the I/O thread. */
static void
frame_write(struct os_task *task)
{
    struct journal_frame *frame = CONTAINER_OF(task, struct journal_frame, task);
    struct journal *journal = frame->journal;
    struct os_executor *executor = frame->executor;
    if (!frame_may_go(journal, task)) {
        return;
    }
    err_t code = journal_writer_write(&journal->writer, &frame->image, &frame->error);
    ASSERT(code == frame->error.code);
    frame->task.run = frame_done;
    os_post(executor, &frame->task);
    if (code == ERR_OK) {
        journal_writer_prepare(&journal->writer, false);
    }
    struct os_task *behind = journal->behind_held;
    journal->behind_held = NULL;
    if (behind != NULL) {
        frame_write(behind);
    }
}

/* On the digests' thread. If it fails the writer tries too, and tells why. */
static void
frame_digest(struct os_task *task)
{
    struct journal_frame *frame = CONTAINER_OF(task, struct journal_frame, task);
    struct journal *journal = frame->journal;
    err_t left_to_writer = journal_image_digest(journal->digester, &frame->image);
    (void)left_to_writer;
    if (frame->cached_beside) {
        journal_cache_fill(
            &journal->cache,
            frame->image.position,
            frame->image.data,
            journal_frame_size(frame->image.body_size));
    }
    task->run = frame_write;
    os_post(os_loop_executor(journal->loop), task);
}

static void
tickets_post(struct journal_frame *frame, const struct store_error *error)
{
    for (struct os_task *task = frame->first_ticket; task != NULL; task = task->next) {
        CONTAINER_OF(task, struct store_ticket, task)->error = *error;
    }
    if (frame->first_ticket != NULL) {
        frame->executor->post(frame->executor, frame->first_ticket, frame->last_ticket);
    }
    frame->first_ticket = NULL;
    frame->last_ticket = NULL;
}

static void
tickets_fail(struct journal *journal)
{
    for (struct journal_frame *frame = journal->oldest; frame != NULL; frame = frame->next) {
        tickets_post(frame, &journal->failure);
    }
}

/* STORE-3: nothing more is accepted or written. The frames keep their content, so that reads go
 * on. While the I/O thread has a frame the tickets wait for it: when all of them were told, nothing
 * of this store is under way any more. */
static void
journal_fail(struct journal *journal, const struct store_error *error)
{
    if (!journal->failed) {
        journal->failed = true;
        journal->failure = *error;
    }
    if (journal->handed_count == 0) {
        tickets_fail(journal);
    }
}

err_t
journal_condemn_index(struct journal *journal, err_t code, struct store_error *error)
{
    struct store_error reason;
    store_error_set(
        &reason,
        code,
        "%s/index: %s: the index is made again from the journal",
        journal->folder,
        err_text(code));
    if (error != NULL) {
        *error = reason;
    }
    journal_index_condemn(&journal->index);
    journal_fail(journal, &reason);
    return ERR_CLOSED;
}

/* It is durable. A copy that was made beside was made before the writer wrote the header. */
static void
frame_to_cache(struct journal *journal, const struct journal_frame *frame)
{
    const struct journal_image *image = &frame->image;
    const uint64_t size = journal_frame_size(image->body_size);
    if (!frame->cached_beside) {
        journal_cache_put(&journal->cache, image->position, image->data, size);
        return;
    }
    journal_cache_fill(
        &journal->cache, image->position, image->data, sizeof(struct journal_frame_header));
    journal_cache_publish(&journal->cache, image->position, size);
}

/* The frame was written, or not: its tickets are told. */
static void
frame_finish(struct journal *journal, struct journal_frame *frame)
{
    ASSERT(frame->state == JOURNAL_FRAME_IN_FLIGHT);
    ASSERT(journal->handed_count > 0);
    journal->handed_count--;
    if (frame->error.code != ERR_OK) {
        frame->state = JOURNAL_FRAME_SEALED;
        journal_fail(journal, &frame->error);
        return;
    }
    ASSERT(frame == journal->oldest); /* behind one that failed nothing is written */
    journal->head = (struct store_head){
        .sequence = frame->image.sequence,
        .segment = journal_position_segment(frame->image.position),
        .offset = journal_position_offset(frame->image.position),
        .timestamp = frame->image.clock,
    };
    memcpy(journal->head.digest, frame->image.digest, sizeof(journal->head.digest));
    frame_to_cache(journal, frame);
    struct journal_frame_header header;
    memcpy(&header, frame->image.data, sizeof(header));
    journal_index_durable(&journal->index, frame->image.position, &header);
    snapshot_frame_durable(journal, &header, frame->image.position);
    journal_orders_closed(&journal->orders, journal_position_segment(frame->image.position) - 1);
    tickets_post(frame, &frame->error);
    journal->oldest = frame->next;
    if (journal->oldest == NULL) {
        journal->newest = NULL;
    }
    frame->next = NULL;
    frame->state = JOURNAL_FRAME_FREE;
    if (journal->failed && journal->handed_count == 0) {
        tickets_fail(journal);
    }
}

/* The frame takes no more; the next one begins behind it. */
static void
frame_seal(struct journal *journal, struct journal_frame *frame)
{
    ASSERT(frame->state == JOURNAL_FRAME_OPEN);
    frame->state = JOURNAL_FRAME_SEALED;
    uint64_t end = frame->image.position + journal_frame_size(frame->image.body_size);
    journal->offset = journal_position_offset(end);
    ASSERT(journal->offset <= journal->segment_size);
}

/* The oldest frame that the I/O thread does not have, if it may have it now: at once if it has
 * none, and behind another one only if it is worth a sync of its own. A small one goes on
 * collecting meanwhile, which is what makes groups grow under load. */
static struct journal_frame *
frame_next(struct journal *journal)
{
    struct journal_frame *frame = journal->oldest;
    while (frame != NULL && frame->state == JOURNAL_FRAME_IN_FLIGHT) {
        frame = frame->next;
    }
    if (frame == NULL || journal->handed_count == 0) {
        return frame;
    }
    bool large = frame->state == JOURNAL_FRAME_SEALED || frame->image.body_size >= HAND_OVER_SIZE;
    return large && journal->handed_count < JOURNAL_HANDED_MAX ? frame : NULL;
}

/* To the I/O thread; a large frame, and what is behind one, by way of the digests' thread. */
static void
frame_hand_over(struct journal *journal, struct journal_frame *frame)
{
    bool beside = frame->image.body_size >= HAND_OVER_SIZE;
    /* Behind a frame without room nothing is reserved: it may take all of the cache. */
    bool older_have_room = true;
    for (struct journal_frame *older = journal->oldest; older != frame; older = older->next) {
        beside = beside || older->digested_beside;
        older_have_room = older_have_room && older->cached_beside;
    }
    static_assert(JOURNAL_HANDED_MAX <= JOURNAL_CACHE_RESERVED, "a stretch for each");
    frame->digested_beside = beside;
    frame->cached_beside =
        beside && older_have_room &&
        journal_cache_reserve(
            &journal->cache, frame->image.position, journal_frame_size(frame->image.body_size));
    frame->task.run = beside ? frame_digest : frame_write;
    os_post(os_loop_executor(beside ? journal->digest_loop : journal->loop), &frame->task);
}

/* Gives frames to the I/O thread (JOURNAL-4); without such a thread, writes them all. */
static void
frame_submit(struct journal *journal)
{
    struct journal_frame *frame = NULL;
    while (!journal->failed && (frame = frame_next(journal)) != NULL) {
        if (frame->state == JOURNAL_FRAME_OPEN) {
            frame_seal(journal, frame);
        }
        frame->state = JOURNAL_FRAME_IN_FLIGHT;
        frame->error = (struct store_error){0};
        frame->cached_beside = false;
        journal->handed_count++;
        if (journal->loop != NULL) {
            frame_hand_over(journal, frame);
            continue;
        }
        err_t code = journal_writer_write(&journal->writer, &frame->image, &frame->error);
        ASSERT(code == frame->error.code);
        frame_finish(journal, frame);
        if (code == ERR_OK) {
            journal_writer_prepare(&journal->writer, false);
        }
    }
}

/* On the engine's thread: the I/O thread gives the frame back. */
static void
frame_done(struct os_task *task)
{
    struct journal_frame *frame = CONTAINER_OF(task, struct journal_frame, task);
    struct journal *journal = frame->journal;
    frame_finish(journal, frame);
    frame_submit(journal);
    snapshot_step(journal);
}

static struct journal_frame *
frame_free(struct journal *journal)
{
    for (uint32_t i = 0; i < journal->frame_count; i++) {
        if (journal->frames[i].state == JOURNAL_FRAME_FREE) {
            return &journal->frames[i];
        }
    }
    return NULL;
}

static struct journal_frame *
frame_of_open(struct journal *journal)
{
    struct journal_frame *frame = journal->newest;
    return frame != NULL && frame->state == JOURNAL_FRAME_OPEN ? frame : NULL;
}

/* Would a section fit behind what the open frame holds? */
static bool
frame_fits(const struct journal *journal, const struct journal_frame *frame, uint64_t section_size)
{
    uint64_t size = journal_frame_size(frame->image.body_size + section_size);
    return size <= journal->frame_capacity &&
           journal_position_offset(frame->image.position) + size <= journal->segment_size;
}

/* Does a frame with one such section need a segment that is not begun yet? */
static bool
needs_new_segment(const struct journal *journal, uint64_t section_size)
{
    return journal->offset + journal_frame_size(section_size) > journal->segment_size;
}

static err_t
frame_open(struct journal *journal, uint64_t section_size, struct journal_frame **ret_frame)
{
    struct journal_frame *frame = frame_free(journal);
    if (frame == NULL) {
        return ERR_BUSY;
    }
    if (frame->image.data == NULL) {
        frame->image.data = aligned_alloc(JOURNAL_BLOCK, journal->frame_capacity);
        if (frame->image.data == NULL) {
            return ERR_MEMORY;
        }
    }
    if (needs_new_segment(journal, section_size)) {
        journal->segment++;
        journal->segment_size = journal->settings.segment_size;
        journal->offset = JOURNAL_BLOCK;
    }
    frame->image.position = journal_position(journal->segment, journal->offset);
    frame->image.body_size = 0;
    frame->image.section_count = 0;
    frame->image.body_digested = false;
    frame->executor = NULL;
    TRY(journal_index_frame(&journal->index, frame->image.position));
    snapshot_frame_open(journal, frame->image.position);
    TRY(journal_directory_frame(&journal->directory, frame->image.position));
    frame->state = JOURNAL_FRAME_OPEN;
    frame->next = NULL;
    if (journal->newest == NULL) {
        journal->oldest = frame;
    } else {
        journal->newest->next = frame;
    }
    journal->newest = frame;
    journal->sequence++;
    *ret_frame = frame;
    return ERR_OK;
}

/* --- commits --- */

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

static err_t
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
    struct journal_frame *open = frame_of_open(journal);
    if (open != NULL && frame_fits(journal, open, size)) {
        return ERR_OK;
    }
    if (frame_free(journal) == NULL) {
        return ERR_BUSY;
    }
    err_t indexed = journal_index_admit(&journal->index);
    if (indexed != ERR_OK) {
        return indexed == ERR_CORRUPT ? journal_condemn_index(journal, indexed, NULL) : indexed;
    }
    /* The open frame may end in the middle of a segment that the next one does not fit into. */
    bool crosses = open != NULL || needs_new_segment(journal, size);
    if (crosses && atomic_load(&journal->writer.segment_ready) <= journal->segment &&
        atomic_load(&journal->writer.space_error) != ERR_OK) {
        prepare_post(journal);
        return ERR_DISK_FULL;
    }
    return ERR_OK;
}

/* The hashes of the ids of the delta's next events. What these will touch in the index is fetched,
 * so that its misses overlap. */
static void
hash_ids(
    const struct journal *journal,
    const struct ledger_delta *delta,
    uint32_t start,
    uint64_t out[PREFETCH_BLOCK])
{
    const struct journal_index *index = &journal->index;
    uint32_t left = delta->event_count - start;
    uint32_t count = left < PREFETCH_BLOCK ? left : PREFETCH_BLOCK;
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_event *event = &delta->events[start + i];
        prefetch_for_write(&journal->heads.positions[event->debit_slot]);
        prefetch_for_write(&journal->heads.positions[event->credit_slot]);
        out[i] = journal_index_hash(index, event->transfer.id);
        journal_index_prefetch_put(index, out[i]);
        const struct journal_pending *pending =
            journal_pendings_find(&journal->pendings, event->pending_place);
        if (pending != NULL) {
            journal_index_prefetch_put(index, pending->hash);
        } else if (event->transfer.pending_id != 0) {
            journal_index_prefetch(index, journal_index_hash(index, event->transfer.pending_id));
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
    uint64_t hashes[PREFETCH_BLOCK];
    char *out = frame->image.data + (section->events - frame->image.data);
    for (uint32_t i = 0; i < delta->event_count; i++) {
        const struct ledger_event *event = &delta->events[i];
        if (i % PREFETCH_BLOCK == 0) {
            hash_ids(journal, delta, i, hashes);
        }
        /* A large delta is more than the nearest caches hold, so it comes back from a far one. */
        prefetch_record_for_read(event + PREFETCH_BLOCK, sizeof(*event));
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
        TRY(journal_note_event(journal, event, hashes[i % PREFETCH_BLOCK], position));
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

static err_t
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
    struct journal_frame *frame = frame_of_open(journal);
    if (frame == NULL || !frame_fits(journal, frame, size)) {
        if (frame_free(journal) == NULL) {
            return ERR_BUSY;
        }
        TRY(journal_index_admit(&journal->index));
        if (frame != NULL) {
            frame_seal(journal, frame);
        }
        TRY(frame_open(journal, size, &frame));
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
        frame_submit(journal);
        snapshot_step(journal);
    }
    return ERR_OK;
}

/* --- opening and closing --- */

static void
journal_free(struct journal *journal)
{
    os_loop_destroy(journal->orders_loop);
    os_loop_destroy(journal->index_loop);
    os_loop_destroy(journal->digest_loop);
    os_loop_destroy(journal->loop);
    journal_orders_release(&journal->orders);
    store_digest_destroy(&journal->digester);
    os_crew_destroy(&journal->readers.crew);
    for (uint32_t i = 0; i < JOURNAL_READERS_MAX; i++) {
        journal_cache_files_close(&journal->cache, &journal->readers.files[i]);
    }
    journal_cache_release(&journal->cache);
    journal_writer_release(&journal->writer);
    journal_index_release(&journal->index);
    journal_heads_release(&journal->heads);
    journal_pendings_release(&journal->pendings);
    journal_directory_release(&journal->directory);
    snapshot_copy_release(&journal->snapshot);
    journal_adopted_release(&journal->adopted);
    for (uint32_t i = 0; i < journal->frame_count; i++) {
        free(journal->frames[i].image.data);
    }
    if (journal->lock != NULL) {
        journal->disk->ops->close(journal->disk, journal->lock);
    }
    if (journal->owned_disk != NULL) {
        journal->free_disk(journal->owned_disk);
    }
    free(journal);
}

/* Parts are made on a thread that has nobody to tell; the engine asks for the status all the time.
 */
static void
orders_tell(struct journal *journal, const struct store_status *status)
{
    err_t code = ERR_OK;
    if (!journal_orders_news(&journal->orders, &code)) {
        return;
    }
    if (code == ERR_OK) {
        journal_notice(journal, "%s/order: parts are made again", journal->folder);
        return;
    }
    journal_notice(
        journal,
        "%s/order: no parts for %" PRIu64
        " segments, which are read whole; tried again when the next "
        "one is full: %s",
        journal->folder,
        status->order_segments_waiting,
        err_text(code));
}

static void
journal_status(struct store *store, struct store_status *ret_status)
{
    struct journal *journal = journal_of(store);
    *ret_status = journal->snapshot.status;
    ret_status->order_segments_waiting = journal_orders_waiting(&journal->orders);
    ret_status->order_failures = atomic_load(&journal->orders.failures);
    orders_tell(journal, ret_status);
}

static void
journal_close(struct store *store)
{
    struct journal *journal = journal_of(store);
    journal_index_stop(&journal->index);
    journal_orders_stop(&journal->orders);
    if (journal->orders_loop != NULL) {
        os_loop_stop(journal->orders_loop);
    }
    if (journal->snapshot.loop != NULL) {
        os_loop_stop(journal->snapshot.loop);
        os_loop_destroy(journal->snapshot.loop);
    }
    if (journal->loop != NULL) {
        /* The first two post to the third, and that to the first. */
        os_loop_stop(journal->index_loop);
        os_loop_stop(journal->digest_loop);
        os_loop_stop(journal->loop);
    }
    journal_free(journal);
}

static void
journal_head(struct store *store, struct store_head *ret_head)
{
    *ret_head = journal_of(store)->head;
}

static const struct store_ops journal_ops = {
    .load = journal_load,
    .look_up = journal_look_up,
    .admit = journal_admit,
    .commit = journal_commit,
    .account_events = journal_account_events,
    .events = journal_events,
    .head = journal_head,
    .failed_ids = journal_failed_ids,
    .close = journal_close,
    .status = journal_status,
};

static err_t
lock_take(struct journal *journal, struct store_error *error)
{
    char path[JOURNAL_PATH_SIZE + 8];
    snprintf(path, sizeof(path), "%s/lock", journal->folder);
    struct os_disk *disk = journal->disk;
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &journal->lock, NULL);
    if (code == ERR_NOT_FOUND) {
        code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &journal->lock, NULL);
    }
    if (code == ERR_OK) {
        code = disk->ops->lock(disk, journal->lock);
    }
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s: %s", path, err_text(code));
    }
    return ERR_OK;
}

static void
journal_init(struct journal *journal, struct os_disk *disk, const struct store_settings *settings)
{
    journal->store.ops = &journal_ops;
    journal->disk = disk;
    journal->settings = *settings;
    if (settings->snapshot_disk == NULL) {
        journal->settings.snapshot_disk = disk;
    }
    journal->frame_capacity = settings->segment_size - JOURNAL_BLOCK;
    if (journal->frame_capacity > JOURNAL_FRAME_MAX) {
        journal->frame_capacity = JOURNAL_FRAME_MAX;
    }
    uint64_t frames = settings->in_flight_max / journal->frame_capacity;
    frames = frames < JOURNAL_FRAMES_MIN ? JOURNAL_FRAMES_MIN : frames;
    journal->frame_count = (uint32_t)(frames > JOURNAL_FRAMES_MAX ? JOURNAL_FRAMES_MAX : frames);
    for (uint32_t i = 0; i < journal->frame_count; i++) {
        journal->frames[i].journal = journal;
    }
    journal_directory_init(&journal->directory, settings->stretch_count_max);
    journal->writer.disk = disk;
    journal->writer.folder = journal->folder;
    journal->writer.new_segment_size = settings->segment_size;
    journal->writer.prewrites = settings->loops != NULL;
    atomic_init(&journal->writer.segment_ready, 0);
    atomic_init(&journal->writer.space_error, ERR_OK);
    atomic_init(&journal->prepare_posted, false);
    atomic_init(&journal->snapshot.busy, false);
}

/* As many as there are processors beside the engine's: one that waits for its turn holds the
 * others up. */
static uint32_t
readers_count(void)
{
    struct os_machine machine;
    os_machine_describe(&machine);
    const uint32_t others = machine.core_count < 2 ? 1 : machine.core_count - 1;
    return others < JOURNAL_READERS_MAX ? others : JOURNAL_READERS_MAX;
}

static err_t
loops_create(struct journal *journal)
{
    struct os_loops *loops = journal->settings.loops;
    TRY(os_loops_create(loops, "journal", &journal->loop));
    TRY(os_loops_create(loops, "journal-digest", &journal->digest_loop));
    TRY(os_loops_create(loops, "journal-index", &journal->index_loop));
    os_loop_give_way(journal->index_loop);
    if (journal->settings.orders != 0) {
        TRY(os_loops_create(loops, "journal-orders", &journal->orders_loop));
        os_loop_give_way(journal->orders_loop);
    }
    TRY(os_loops_crew(loops, "journal-reader", readers_count(), &journal->readers.crew));
    return store_digest_create(&journal->digester);
}

err_t
journal_open(
    const char *folder,
    struct os_disk *disk,
    const struct store_settings *settings,
    struct journal **ret_journal,
    struct store_error *error)
{
    if (settings->segment_size < JOURNAL_SEGMENT_MIN ||
        settings->segment_size > JOURNAL_SEGMENT_MAX ||
        settings->segment_size % JOURNAL_BLOCK != 0) {
        return store_error_set(error, ERR_RANGE, "segment size: impossible");
    }
    struct journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    journal_init(journal, disk, settings);
    int length = snprintf(journal->folder, sizeof(journal->folder), "%s", folder);
    err_t code = ERR_OK;
    if (length <= 0 || (size_t)length + 32 > sizeof(journal->folder)) {
        code = store_error_set(error, ERR_RANGE, "%s: the path is too long", folder);
    }
    if (code == ERR_OK) {
        code = journal_cache_init(
            &journal->cache, disk, journal->folder, settings->segment_size, settings->recent_size);
        if (code != ERR_OK) {
            store_error_set(error, code, "%s", err_text(code));
        }
    }
    if (code == ERR_OK) {
        journal_index_init(&journal->index, disk, journal->folder, settings->index_table_entries);
        journal_orders_init(&journal->orders, disk, journal->folder, settings->orders);
        code = lock_take(journal, error);
    }
    if (code == ERR_OK) {
        journal->writer.block = aligned_alloc(JOURNAL_BLOCK, JOURNAL_BLOCK);
        if (journal->writer.block == NULL) {
            code = store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
        }
    }
    if (code == ERR_OK && settings->loops != NULL) {
        code = loops_create(journal);
        if (code != ERR_OK) {
            store_error_set(error, code, "creating the journal's threads: %s", err_text(code));
        }
    }
    if (code != ERR_OK) {
        journal_free(journal);
        return code;
    }
    *ret_journal = journal;
    return ERR_OK;
}
