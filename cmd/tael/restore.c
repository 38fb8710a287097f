/*
 * `tael restore`: a backup as a data folder again. Nothing has the folder's name before all of it
 * is there, is what the manifest says, the ledger is proved, goes through the head that the backup
 * noted, and has what the documents say.
 */
#include "command.h"
#include "ledger.h"
#include "option.h"
#include "restore_books.h"
#include "restore_source.h"
#include "text.h"

#include "engine/check.h"
#include "os/clock.h"
#include "store/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct restore_options {
    char from[OS_PATH_SIZE / 2];
    char to[OS_PATH_SIZE / 2];
    char until[48];
};

static const struct setting restore_settings[] = {
    OPTION_TEXT(
        struct restore_options, from, "from", "", "A folder with backups, or - for a tar stream."),
    OPTION_TEXT(
        struct restore_options, to, "to", "", "The data folder to make; it must not exist."),
    OPTION_TEXT(
        struct restore_options,
        until,
        "until",
        "",
        "The newest state not later than this: 2026-11-23T12:34:04.123456789Z, unix seconds, or "
        "2h: two hours ago."),
};

struct restore {
    const struct command *command;
    const struct restore_options *options;
    struct restore_source source;
    struct restore_target target;
    struct show_progress progress;
    char url[LEDGER_URL_SIZE]; /* of the ledger in the unfinished folder */
    struct store_head head;
};

static void
on_progress(void *context, uint64_t done, uint64_t total)
{
    struct restore *restore = context;
    show_progress_step(&restore->progress, done, total);
}

static int
copy(struct restore *restore)
{
    show_progress_begin(&restore->progress, "restore");
    err_t code = restore_source_read(&restore->source, &restore->target);
    if (code == ERR_OK) {
        code = restore_target_compare(&restore->target, &restore->source.manifest);
    }
    show_progress_end(&restore->progress);
    if (code != ERR_OK) {
        bool of_source = restore->source.message[0] != '\0';
        return command_fail(
            restore->command, "%s", of_source ? restore->source.message : restore->target.message);
    }
    int length =
        snprintf(restore->url, sizeof(restore->url), "journal:%s/ledger", restore->target.folder);
    return length > 0 && (size_t)length < sizeof(restore->url)
               ? COMMAND_GO_ON
               : command_fail(restore->command, "--to: the path is too long");
}

/* Of a ledger alone; with documents the moment of the backup is the only one at which they agree.
 */
static int
cut(struct restore *restore)
{
    const struct backup_manifest *manifest = &restore->source.manifest;
    struct store_error error;
    restore->head = manifest->head;
    if (manifest->documents || restore->source.until_ns >= manifest->made_ns) {
        return COMMAND_GO_ON;
    }
    err_t code = store_copy_cut_at(
        restore->url, os_disk_real(), restore->source.until_ns, &restore->head, &error);
    return code == ERR_OK ? COMMAND_GO_ON : command_fail(restore->command, "%s", error.message);
}

static int
prove(struct restore *restore)
{
    struct ledger_check_report report = {0};
    struct store_error error = {0};
    const struct ledger_check_settings settings = {
        .url = restore->url,
        .disk = os_disk_real(),
        .noted = &restore->head,
        .progress = on_progress,
        .context = restore,
    };
    show_progress_begin(&restore->progress, "ledger check");
    err_t code = ledger_engine_check(&settings, &report, &error);
    show_progress_end(&restore->progress);
    bool ends = code == ERR_OK && memcmp(&report.head, &restore->head, sizeof(report.head)) == 0;
    ledger_engine_check_release(&report);
    if (code != ERR_OK) {
        return command_fail(restore->command, "%s", error.message);
    }
    return ends ? COMMAND_GO_ON
                : command_fail(
                      restore->command, "the ledger goes on behind the head that was noted");
}

static int
compare_books(struct restore *restore, struct restore_books *books)
{
    char message[BACKUP_MESSAGE_SIZE] = "";
    *books = (struct restore_books){0};
    if (!restore->source.manifest.documents) {
        return COMMAND_GO_ON;
    }
    if (restore_books_compare(restore->target.folder, books, message, sizeof(message)) != ERR_OK) {
        return command_fail(restore->command, "%s", message);
    }
    if (books->differences > 0) {
        return command_fail(
            restore->command,
            "documents and books differ in %" PRIu64 " places; the first: %s",
            books->differences,
            books->first);
    }
    return COMMAND_GO_ON;
}

static void
report(const struct restore *restore, const struct restore_books *books)
{
    char head[STORE_HEAD_TEXT_SIZE];
    char moment[64];
    struct buf text;
    buf_init_fixed(&text, moment, sizeof(moment));
    text_moment_append(&text, (int64_t)(restore->source.manifest.made_ns / OS_NS_PER_S));
    store_head_format(&restore->head, head);
    (void)printf(
        "%s: %" PRIu32 " files of %s, as they were at %.*s UTC.\nhead %s\n",
        restore->target.to,
        restore->source.manifest.count,
        restore->source.name,
        SPAN_PRINTF(buf_span(&text)),
        head);
    if (restore->source.manifest.documents) {
        (void)printf(
            "The ledger is proved; %" PRIu64 " charges, %" PRIu64 " refunds, %" PRIu64
            " payouts, %" PRIu64 " disputes and %" PRIu64
            " movements of wallets are in the books\nwith their amounts, %" PRIu64
            " were under way, which the server takes up when it starts.\n",
            books->charges,
            books->refunds,
            books->payouts,
            books->disputes,
            books->movements,
            books->under_way);
    } else {
        (void)printf("The ledger is proved. There are no documents in this backup.\n");
    }
}

static int
restore_all(struct restore *restore)
{
    struct restore_books books;
    if (restore_target_open(&restore->target, restore->options->to) != ERR_OK) {
        return command_fail(restore->command, "%s", restore->target.message);
    }
    int status = copy(restore);
    if (status == COMMAND_GO_ON) {
        status = cut(restore);
    }
    if (status == COMMAND_GO_ON) {
        status = prove(restore);
    }
    if (status == COMMAND_GO_ON) {
        status = compare_books(restore, &books);
    }
    if (status == COMMAND_GO_ON && restore_target_finish(&restore->target) != ERR_OK) {
        status = command_fail(restore->command, "%s", restore->target.message);
    }
    if (status == COMMAND_GO_ON) {
        report(restore, &books);
        status = COMMAND_OK;
    }
    return status;
}

static int
run_restore(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct restore_options values;
    const struct command_options options = {
        COMMAND_TABLE(restore_settings),
        .values = &values,
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (values.from[0] == '\0' || values.to[0] == '\0') {
        return command_misuse(command, "--%s is missing", values.from[0] == '\0' ? "from" : "to");
    }
    struct restore restore = {.command = command, .options = &values};
    restore.source = (struct restore_source){
        .from = values.from, .until_ns = UINT64_MAX, .progress = &restore.progress};
    if (values.until[0] != '\0' &&
        text_moment_parse(
            span_from_cstr(values.until), os_wall_ns(os_clock_real()), &restore.source.until_ns) !=
            ERR_OK) {
        return command_misuse(command, "--until=%s is no time", values.until);
    }
    status = restore_all(&restore);
    restore_target_abort(&restore.target);
    restore_source_release(&restore.source);
    return status;
}

const struct command command_restore = {
    .name = "restore",
    .usage = "--from=DIR|- --to=FOLDER [--until=TIME]",
    .summary = "Makes a data folder of a backup, and proves it",
    .manual = "Every file is compared with the manifest, the ledger is checked, and documents are "
              "compared\n"
              "with the books; only then the folder gets its name. With --until it is the newest "
              "backup that\n"
              "is not later; of a ledger without documents, its last frame that is not later.",
    .run = run_restore,
};
