#include "store/proof.h"

#include "journal_lock.h"
#include "journal_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct store_head) == 64, "heads are compared as bytes");

struct prove {
    const struct store_proof_visitor *visitor;
    struct journal_visitor scan_visitor;
    struct journal_scan scan;
    u128 id;
    const struct store_head *noted;

    struct store_proof_frame frame; /* in hand */
    struct store_head head;         /* of the last frame that counts */
    bool in_frame;                  /* the frame in hand has it */
    bool found;
    bool ended; /* behind the noted head */
    uint64_t transfer_at;
    struct ledger_transfer transfer;
};

static err_t
prove_frame_begin(
    void *context, const struct journal_frame_header *header, journal_position_t position)
{
    struct prove *prove = context;
    prove->in_frame = false;
    prove->frame = (struct store_proof_frame){
        .sequence = header->sequence,
        .segment = journal_position_segment(position),
        .offset = journal_position_offset(position),
        .bytes = prove->scan.frame,
        .size = header->size,
        .header_size = journal_frame_header_size(header),
    };
    return ERR_OK;
}

static err_t
prove_event(void *context, const struct ledger_event *event, journal_position_t position)
{
    struct prove *prove = context;
    if (prove->ended || event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED ||
        event->transfer.id != prove->id) {
        return ERR_OK;
    }
    prove->in_frame = true;
    prove->transfer_at = journal_position_offset(position) - prove->frame.offset;
    prove->transfer = event->transfer;
    return ERR_OK;
}

static err_t
compare_noted(struct prove *prove)
{
    if (prove->noted == NULL || prove->noted->sequence != prove->head.sequence) {
        return ERR_OK;
    }
    prove->ended = true;
    prove->scan_visitor.reason =
        "history was rewritten: this frame is not the one whose head was noted";
    return memcmp(prove->noted, &prove->head, sizeof(prove->head)) == 0 ? ERR_OK : ERR_CORRUPT;
}

static err_t
prove_frame_end(void *context, const struct journal_frame_header *header)
{
    struct prove *prove = context;
    if (prove->ended) {
        return ERR_OK;
    }
    prove->frame.timestamp = prove->scan.clock;
    prove->head = (struct store_head){
        .sequence = header->sequence,
        .segment = prove->frame.segment,
        .offset = prove->frame.offset,
        .timestamp = prove->scan.clock,
    };
    memcpy(prove->head.digest, prove->scan.digest, sizeof(prove->head.digest));
    const struct store_proof_visitor *visitor = prove->visitor;
    if (prove->in_frame) {
        prove->scan_visitor.reason = "the transfer is in a segment of version 1, of which there is "
                                     "no short evidence; tael ledger check proves all of it";
        if (journal_frame_version(header) == JOURNAL_VERSION_FIRST) {
            return ERR_UNSUPPORTED;
        }
        prove->found = true;
        TRY(visitor->found(visitor->context, &prove->frame, prove->transfer_at, &prove->transfer));
    } else if (prove->found) {
        TRY(visitor->later(visitor->context, &prove->frame));
    }
    return compare_noted(prove);
}

static void
prove_progress(void *context, uint64_t bytes_done, uint64_t bytes_total)
{
    struct prove *prove = context;
    if (prove->visitor->progress != NULL) {
        prove->visitor->progress(prove->visitor->context, bytes_done, bytes_total);
    }
}

/* What there is to say of a history that was read to its end. */
static err_t
conclude(struct prove *prove, struct store_error *error)
{
    const struct store_head *noted = prove->noted;
    if (noted != NULL && noted->sequence > prove->head.sequence) {
        return store_error_set(
            error,
            ERR_CORRUPT,
            "%s: history ends at frame %" PRIu64 ", before frame %" PRIu64 " whose head was noted",
            prove->scan.folder,
            prove->head.sequence,
            noted->sequence);
    }
    if (!prove->found) {
        return store_error_set(
            error,
            ERR_NOT_FOUND,
            "%s: there is no such transfer%s",
            prove->scan.folder,
            noted == NULL ? "" : " up to the noted head");
    }
    return ERR_OK;
}

err_t
store_prove(
    const char *url,
    struct os_disk *disk,
    const struct store_proof_question *question,
    const struct store_proof_visitor *visitor,
    struct store_head *ret_head,
    struct store_error *error)
{
    *error = (struct store_error){0};
    const char *folder = journal_folder_of(url, error);
    if (folder == NULL) {
        return error->code;
    }
    struct prove prove = {
        .visitor = visitor, .id = question->transfer_id, .noted = question->noted};
    prove.scan_visitor = (struct journal_visitor){
        .frame_begin = prove_frame_begin,
        .event = prove_event,
        .frame_end = prove_frame_end,
        .progress = prove_progress,
        .context = &prove,
    };
    prove.scan = (struct journal_scan){
        .disk = disk,
        .folder = folder,
        .visitor = &prove.scan_visitor,
        .proves = true,
        .error = error,
    };
    struct os_file *lock = NULL;
    err_t code = journal_lock_existing(disk, folder, &lock, error);
    if (code == ERR_OK) {
        code = journal_scan_run(&prove.scan);
    }
    if (code == ERR_OK) {
        code = conclude(&prove, error);
    }
    if (code == ERR_OK) {
        *ret_head = prove.head;
    }
    journal_scan_release(&prove.scan);
    if (lock != NULL) {
        disk->ops->close(disk, lock);
    }
    return code;
}
