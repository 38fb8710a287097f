#include "store/verify.h"

#include "journal_lock.h"
#include "journal_orders.h"
#include "journal_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct verify {
    struct store_verify_visitor *visitor;
    struct journal_visitor scan_visitor;
    struct journal_scan scan;
    uint64_t frames;
    struct store_head head;
};

/* What the callee says about its refusal, if anything. */
static err_t
with_reason(struct verify *verify, err_t error)
{
    if (error != ERR_OK && verify->visitor->reason != NULL) {
        verify->scan_visitor.reason = verify->visitor->reason;
    }
    return error;
}

static err_t
verify_frame_begin(
    void *context, const struct journal_frame_header *header, journal_position_t position)
{
    struct verify *verify = context;
    verify->frames++;
    verify->head = (struct store_head){
        .sequence = header->sequence,
        .segment = journal_position_segment(position),
        .offset = journal_position_offset(position),
    };
    return ERR_OK;
}

static err_t
verify_account(void *context, const struct ledger_account *account)
{
    struct verify *verify = context;
    return with_reason(verify, verify->visitor->account(verify->visitor->context, account));
}

static err_t
verify_event(void *context, const struct ledger_event *event, journal_position_t position)
{
    (void)position;
    struct verify *verify = context;
    return with_reason(verify, verify->visitor->event(verify->visitor->context, event));
}

static err_t
verify_failed(void *context, u128 id, journal_position_t position)
{
    (void)position;
    struct verify *verify = context;
    return with_reason(verify, verify->visitor->failed(verify->visitor->context, id));
}

static err_t
verify_section_end(void *context, uint64_t clock)
{
    struct verify *verify = context;
    return with_reason(verify, verify->visitor->clock(verify->visitor->context, clock));
}

static err_t
verify_frame_end(void *context, const struct journal_frame_header *header)
{
    struct verify *verify = context;
    const struct store_head *noted = verify->visitor->noted;
    (void)header;
    verify->head.timestamp = verify->scan.clock;
    memcpy(verify->head.digest, verify->scan.digest, sizeof(verify->head.digest));
    if (noted != NULL && noted->sequence == verify->head.sequence &&
        memcmp(noted, &verify->head, sizeof(*noted)) != 0) {
        verify->scan_visitor.reason =
            "history was rewritten: this frame is not the one whose head was noted";
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

static void
verify_progress(void *context, uint64_t bytes_done, uint64_t bytes_total)
{
    struct verify *verify = context;
    if (verify->visitor->progress != NULL) {
        verify->visitor->progress(verify->visitor->context, bytes_done, bytes_total);
    }
}

/* ERR_CORRUPT: history ends before the head that was noted. */
static err_t
head_reached(const struct verify *verify, struct store_error *error)
{
    const struct store_head *noted = verify->visitor->noted;
    if (noted == NULL || noted->sequence <= verify->head.sequence) {
        return ERR_OK;
    }
    return store_error_set(
        error,
        ERR_CORRUPT,
        "%s: history ends at frame %" PRIu64 " at offset %" PRIu64 ", before frame %" PRIu64
        " whose head was noted",
        verify->scan.path,
        verify->head.sequence,
        verify->head.offset,
        noted->sequence);
}

err_t
store_verify(
    const char *url,
    struct os_disk *disk,
    struct store_verify_visitor *visitor,
    struct store_verify_report *ret_report,
    struct store_error *error)
{
    *error = (struct store_error){0};
    const char *folder = journal_folder_of(url, error);
    if (folder == NULL) {
        return error->code;
    }
    struct verify verify = {
        .visitor = visitor,
        .scan_visitor =
            {
                .frame_begin = verify_frame_begin,
                .account = visitor->account == NULL ? NULL : verify_account,
                .event = visitor->event == NULL ? NULL : verify_event,
                .failed = visitor->failed == NULL ? NULL : verify_failed,
                .section_end = visitor->clock == NULL ? NULL : verify_section_end,
                .frame_end = verify_frame_end,
                .progress = verify_progress,
            },
    };
    verify.scan_visitor.context = &verify;
    verify.scan = (struct journal_scan){
        .disk = disk,
        .folder = folder,
        .archive = visitor->archive,
        .visitor = &verify.scan_visitor,
        .proves = true,
        .error = error,
    };
    struct journal_scan *scan = &verify.scan;
    struct os_file *lock = NULL;
    err_t code = journal_lock_existing(disk, folder, &lock, error);
    if (code == ERR_OK) {
        code = journal_scan_run(scan);
    }
    if (code == ERR_OK && scan->empty) {
        code = store_error_set(error, ERR_NOT_FOUND, "%s: there is no journal", folder);
    }
    if (code == ERR_OK) {
        code = head_reached(&verify, error);
    }
    uint64_t parts = 0;
    if (code == ERR_OK) {
        code = journal_orders_verify(disk, folder, visitor->archive, scan->segment, &parts, error);
    }
    if (code == ERR_OK) {
        *ret_report = (struct store_verify_report){
            .segments = scan->segment,
            .bytes = scan->bytes_total,
            .frames = verify.frames,
            .order_parts = parts,
            .torn_bytes = scan->torn_end - scan->end,
            .head = verify.head,
        };
    }
    journal_scan_release(scan);
    if (lock != NULL) {
        disk->ops->close(disk, lock);
    }
    return code;
}
