/* The life of a frame: opened, sealed, handed to the I/O thread, durable, free again. */
#include "journal.h"

#include "base/list.h"
#include "os/large.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a frame that are worth a sync of their own while another one is being written: the write
 * takes about as long as the sync then. */
#define HAND_OVER_SIZE (UINT64_C(512) << 10)

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

/* On a thread that is done with a frame in flight: the last one gives it back. */
static void
frame_part_done(struct journal_frame *frame)
{
    struct os_executor *executor = frame->executor;
    if (atomic_fetch_sub(&frame->parts, 1) == 1) {
        frame->task.run = frame_done;
        os_post(executor, &frame->task);
    }
}

/* On the I/O thread. */
static void
frame_write(struct os_task *task)
{
    struct journal_frame *frame = CONTAINER_OF(task, struct journal_frame, task);
    struct journal *journal = frame->journal;
    if (!frame_may_go(journal, task)) {
        return;
    }
    err_t code = journal_writer_write(&journal->writer, &frame->image, &frame->error);
    ASSERT(code == frame->error.code);
    frame_part_done(frame);
    if (code == ERR_OK) {
        journal_writer_prepare(&journal->writer, false);
    }
    struct os_task *behind = journal->behind_held;
    journal->behind_held = NULL;
    if (behind != NULL) {
        frame_write(behind);
    }
}

/* The body, which the writer does not change any more. */
static void
frame_copy(struct journal_frame *frame)
{
    const struct journal_image *image = &frame->image;
    const uint64_t header = sizeof(struct journal_frame_header);
    journal_cache_fill(
        &frame->journal->cache,
        image->position + header,
        image->data + header,
        journal_frame_size(image->body_size) - header);
}

/* On the digests' thread. The copy is made while the frame is written. If the digest fails the
 * writer pads and digests, too, and tells why. */
static void
frame_digest(struct os_task *task)
{
    struct journal_frame *frame = CONTAINER_OF(task, struct journal_frame, task);
    struct journal *journal = frame->journal;
    const bool copies = frame->cached_beside;
    const bool digested = journal_image_digest(journal->digester, &frame->image) == ERR_OK;
    if (copies && !digested) {
        frame_copy(frame);
    }
    task->run = frame_write;
    os_post(os_loop_executor(journal->loop), task);
    if (copies && digested) {
        frame_copy(frame);
    }
    if (copies) {
        frame_part_done(frame);
    }
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

void
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

/* It is durable. A copy that was made beside is without the header, which the writer wrote. */
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

void
journal_frame_close(struct journal *journal, struct journal_frame *frame)
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
    atomic_init(&frame->parts, frame->cached_beside ? 2 : 1);
    frame->task.run = beside ? frame_digest : frame_write;
    os_post(os_loop_executor(beside ? journal->digest_loop : journal->loop), &frame->task);
}

void
journal_frames_submit(struct journal *journal)
{
    struct journal_frame *frame = NULL;
    while (!journal->failed && (frame = frame_next(journal)) != NULL) {
        if (frame->state == JOURNAL_FRAME_OPEN) {
            journal_frame_close(journal, frame);
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
    journal_frames_submit(journal);
    snapshot_step(journal);
}

struct journal_frame *
journal_frame_free(struct journal *journal)
{
    for (uint32_t i = 0; i < journal->frame_count; i++) {
        if (journal->frames[i].state == JOURNAL_FRAME_FREE) {
            return &journal->frames[i];
        }
    }
    return NULL;
}

struct journal_frame *
journal_frame_of_open(struct journal *journal)
{
    struct journal_frame *frame = journal->newest;
    return frame != NULL && frame->state == JOURNAL_FRAME_OPEN ? frame : NULL;
}

bool
journal_frame_fits(
    const struct journal *journal, const struct journal_frame *frame, uint64_t section_size)
{
    uint64_t size = journal_frame_size(frame->image.body_size + section_size);
    return size <= journal->frame_capacity &&
           journal_position_offset(frame->image.position) + size <= journal->segment_size;
}

bool
journal_needs_segment(const struct journal *journal, uint64_t section_size)
{
    return journal->offset + journal_frame_size(section_size) > journal->segment_size;
}

err_t
journal_frame_open(struct journal *journal, uint64_t section_size, struct journal_frame **ret_frame)
{
    struct journal_frame *frame = journal_frame_free(journal);
    if (frame == NULL) {
        return ERR_BUSY;
    }
    if (frame->image.data == NULL) {
        frame->image.data = os_large_alloc(journal->frame_capacity);
        if (frame->image.data == NULL) {
            return ERR_MEMORY;
        }
    }
    if (journal_needs_segment(journal, section_size)) {
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
