/* `tael ledger archive`: old segments of a journal, moved to another folder. */
#include "ledger.h"

#include "option.h"
#include "show.h"

#include "os/file.h"
#include "store/archive.h"

#include <stdio.h>

struct archive_options {
    char to[LEDGER_URL_SIZE];
};

static const struct setting archive_settings[] = {
    OPTION_TEXT(struct archive_options, to, "to", "", "An existing folder for the segments."),
};

static void
archive_progress(void *context, uint64_t done, uint64_t total)
{
    show_progress_step(context, done, total);
}

static int
run_archive(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct archive_options values;
    const struct command_options options = {
        COMMAND_TABLE(archive_settings),
        .values = &values,
        .positional_min = 1,
        .positional_max = 1};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (values.to[0] == '\0') {
        return command_fail(command, "--to: the folder for the segments is missing");
    }
    char url[LEDGER_URL_SIZE];
    err_t result = ledger_find_journal(argv[1], url);
    if (result != ERR_OK) {
        return command_fail(
            command,
            "%s: %s",
            argv[1],
            result == ERR_NOT_FOUND ? "there is no ledger" : err_text(result));
    }
    struct show_progress progress;
    struct store_archive_report report;
    struct store_error error;
    const struct store_archive_watcher watcher = {archive_progress, &progress};
    show_progress_begin(&progress, "ledger archive");
    result = store_archive(url, os_disk_real(), values.to, &watcher, &report, &error);
    show_progress_end(&progress);
    if (report.segments > 0 || result == ERR_OK) {
        (void)printf(
            "%llu segments, %llu bytes, are in %s now.\n",
            (unsigned long long)report.segments,
            (unsigned long long)report.bytes,
            values.to);
    }
    if (result != ERR_OK) {
        return command_fail(
            command, "%s", error.message[0] != '\0' ? error.message : err_text(result));
    }
    (void)printf(
        "Segment %08llu and what follows it stay: %s.\n",
        (unsigned long long)report.stay_from,
        report.stay_since);
    return COMMAND_OK;
}

const struct command ledger_archive = {
    .name = "archive",
    .usage = "DIR --to=DIR",
    .summary = "Moves old segments of a journal to another folder",
    .manual =
        "DIR is a server's data folder or the ledger folder in it; a server may be using it.\n"
        "Segments that no start needs are copied, synced, proved and then removed. A query that\n"
        "needs one says which; put back, it is there again.",
    .run = run_archive,
    .parent = &command_ledger,
};
