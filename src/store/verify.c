#include "store/verify.h"

#include "journal_scan.h"

#include <stdio.h>
#include <string.h>

struct verify {
    struct store_verify_visitor *visitor;
    struct journal_visitor scan_visitor;
    uint64_t frames;
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
    (void)header;
    (void)position;
    ((struct verify *)context)->frames++;
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
    (void)context;
    (void)header;
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

/* A running server holds the lock; without a lock file there never was one. */
static err_t
lock_take(
    struct os_disk *disk, const char *folder, struct os_file **ret_lock, struct store_error *error)
{
    char path[JOURNAL_PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s/lock", folder);
    if (length <= 0 || (size_t)length >= sizeof(path)) {
        return store_error_set(error, ERR_RANGE, "%s: the path is too long", folder);
    }
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, ret_lock, NULL);
    if (code == ERR_NOT_FOUND) {
        *ret_lock = NULL;
        return ERR_OK;
    }
    if (code == ERR_OK) {
        code = disk->ops->lock(disk, *ret_lock);
    }
    if (code != ERR_OK) {
        store_error_set(error, code, "%s: %s", path, err_text(code));
    }
    return code;
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
    if (!span_starts_with(span_from_cstr(url), SPAN("journal:"))) {
        return store_error_set(error, ERR_UNSUPPORTED, "%s: only journals can be verified", url);
    }
    const char *folder = url + strlen("journal:");
    struct verify verify = {
        .visitor = visitor,
        .scan_visitor =
            {
                .frame_begin = verify_frame_begin,
                .account = verify_account,
                .event = verify_event,
                .failed = verify_failed,
                .section_end = verify_section_end,
                .frame_end = verify_frame_end,
                .progress = verify_progress,
            },
    };
    verify.scan_visitor.context = &verify;
    struct journal_scan scan = {
        .disk = disk,
        .folder = folder,
        .visitor = &verify.scan_visitor,
        .proves = true,
        .error = error,
    };
    struct os_file *lock = NULL;
    err_t code = lock_take(disk, folder, &lock, error);
    if (code == ERR_OK) {
        code = journal_scan_run(&scan);
    }
    if (code == ERR_OK && scan.empty) {
        code = store_error_set(error, ERR_NOT_FOUND, "%s: there is no journal", folder);
    }
    if (code == ERR_OK) {
        *ret_report = (struct store_verify_report){
            .segments = scan.segment,
            .bytes = scan.bytes_total,
            .frames = verify.frames,
            .torn_bytes = scan.torn_end - scan.end,
        };
    }
    journal_scan_release(&scan);
    if (lock != NULL) {
        disk->ops->close(disk, lock);
    }
    return code;
}
