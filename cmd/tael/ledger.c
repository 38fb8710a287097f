/* `tael ledger` and its commands that work on files: replay and check. */
#include "ledger.h"

#include "chart.h"
#include "option.h"
#include "show.h"
#include "text.h"

#include "shard/shard.h"

#include "engine/check.h"
#include "engine/replay.h"
#include "os/file.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_SIZE (1U << 24)

/* -------------------------------------------------------------------------------------- replay */

struct replay_options {
    char store[LEDGER_URL_SIZE];
};

static const struct setting replay_settings[] = {
    OPTION_TEXT(
        struct replay_options,
        store,
        "store",
        "memory:",
        "Another store: journal:FOLDER or postgres://..."),
};

struct replay_run {
    struct show_progress progress;
    uint64_t lines;
    uint64_t line_count;
};

static void
print_line(void *context, struct span text)
{
    struct replay_run *run = context;
    (void)fwrite(text.data, 1, text.size, stdout);
    (void)fputc('\n', stdout);
    run->lines++;
    show_progress_step(&run->progress, run->lines, run->line_count);
}

static uint64_t
count_lines(struct span text)
{
    uint64_t count = 0;
    for (size_t at = 0; at < text.size; at = span_find(text, '\n', at) + 1) {
        count++;
    }
    return count;
}

/* "-" is standard input, which may be a pipe. */
static err_t
read_standard_input(char **ret_text, size_t *ret_size)
{
    enum {
        PIECE = 65536
    };

    struct buf text;
    buf_init(&text, LEDGER_REPLAY_SCRIPT_MAX);
    for (;;) {
        char *room = buf_reserve(&text, PIECE);
        if (room == NULL) {
            buf_release(&text);
            return ERR_FULL;
        }
        size_t size = fread(room, 1, PIECE, stdin);
        buf_added(&text, size);
        if (size == 0) {
            break;
        }
    }
    if (ferror(stdin) != 0) {
        buf_release(&text);
        return ERR_IO;
    }
    *ret_text = text.data;
    *ret_size = text.size;
    return ERR_OK;
}

static int
replay(const struct command *command, const char *store, struct span script)
{
    struct replay_run run = {.line_count = count_lines(script)};
    struct ledger_replay_settings settings = {
        .url = store, .disk = os_disk_real(), .line = print_line, .context = &run};
    struct ledger_replay_summary summary = {0};
    struct store_error error = {0};
    show_progress_begin(&run.progress, "replay");
    err_t result = ledger_engine_replay(&settings, script, &summary, &error);
    show_progress_end(&run.progress);
    (void)fflush(stdout);
    if (result == ERR_INVALID && summary.not_understood > 0) {
        return command_fail(
            command,
            "%llu of %llu lines were not understood: %s",
            (unsigned long long)summary.not_understood,
            (unsigned long long)summary.lines,
            error.message);
    }
    if (result != ERR_OK) {
        return command_fail(
            command, "%s", error.message[0] != '\0' ? error.message : err_text(result));
    }
    return COMMAND_OK;
}

static int
run_replay(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct replay_options values;
    const struct command_options options = {
        COMMAND_TABLE(replay_settings),
        .values = &values,
        .positional_min = 1,
        .positional_max = 1};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    char *text = NULL;
    size_t size = 0;
    bool from_input = strcmp(argv[1], "-") == 0;
    err_t result =
        from_input ? read_standard_input(&text, &size)
                   : os_file_load(os_disk_real(), argv[1], LEDGER_REPLAY_SCRIPT_MAX, &text, &size);
    if (result != ERR_OK) {
        return command_fail(command, "%s: %s", argv[1], err_text(result));
    }
    status = replay(command, values.store, span_of(text, size));
    free(text);
    return status;
}

/* --------------------------------------------------------------------------------------- check */

struct check_options {
    bool json;
    char archive[LEDGER_URL_SIZE];
    char head[STORE_HEAD_TEXT_SIZE];
};

static const struct setting check_settings[] = {
    OPTION_TEXT(
        struct check_options,
        head,
        "head",
        LEDGER_NO_HEAD,
        "A head that was noted (tael ledger head): proves that nothing before it was changed."),
    OPTION_SWITCH(struct check_options, json, "json", "Prints the report as JSON."),
    OPTION_TEXT(
        struct check_options,
        archive,
        "archive",
        "",
        "A folder that `tael ledger archive` moved segments to."),
};

struct folder_content {
    bool is_journal;
    bool has_ledger;
};

static void
see_name(void *context, const char *name)
{
    struct folder_content *content = context;
    struct span text = span_from_cstr(name);
    content->has_ledger = content->has_ledger || span_equal_cstr(text, "ledger");
    content->is_journal = content->is_journal || span_ends_with(text, SPAN(".log"));
}

err_t
ledger_find_journal(const char *path, char out[LEDGER_URL_SIZE])
{
    if (span_starts_with(span_from_cstr(path), SPAN("journal:"))) {
        path += strlen("journal:");
    }
    struct folder_content content = {false, false};
    struct os_disk *disk = os_disk_real();
    TRY(disk->ops->list(disk, path, see_name, &content));
    if (!content.is_journal && !content.has_ledger) {
        return ERR_NOT_FOUND;
    }
    const char *below = content.has_ledger ? "/ledger" : "";
    int size = snprintf(out, LEDGER_URL_SIZE, "journal:%s%s", path, below);
    return size < LEDGER_URL_SIZE ? ERR_OK : ERR_RANGE;
}

static void
check_progress(void *context, uint64_t done, uint64_t total)
{
    show_progress_step(context, done, total);
}

static void
write_sum(struct json_writer *json, const struct ledger_check_sum *sum)
{
    json_object_begin(json);
    json_member_i64(json, "ledger", sum->ledger);
    json_member_i64(json, "accounts", sum->accounts);
    json_key(json, "transfers");
    json_u64(json, sum->transfers);
    json_key(json, "debits_posted");
    json_u128_text(json, sum->total.debits_posted);
    json_key(json, "credits_posted");
    json_u128_text(json, sum->total.credits_posted);
    json_key(json, "debits_pending");
    json_u128_text(json, sum->total.debits_pending);
    json_key(json, "credits_pending");
    json_u128_text(json, sum->total.credits_pending);
    json_object_end(json);
}

static void
member_u64(struct json_writer *json, const char *name, uint64_t value)
{
    json_key(json, name);
    json_u64(json, value);
}

static void
print_check_json(const struct ledger_check_report *report, err_t result, const char *message)
{
    struct buf out;
    struct json_writer json;
    buf_init(&out, REPORT_SIZE);
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_bool(&json, "ok", result == ERR_OK);
    if (result != ERR_OK) {
        json_member_cstr(&json, "error", message);
    }
    member_u64(&json, "segments", report->segments);
    member_u64(&json, "frames", report->frames);
    member_u64(&json, "bytes", report->bytes);
    member_u64(&json, "torn_bytes", report->torn_bytes);
    member_u64(&json, "order_parts", report->order_parts);
    if (!report->tables) {
        char head[STORE_HEAD_TEXT_SIZE];
        store_head_format(&report->head, head);
        json_member_cstr(&json, "head", head);
    }
    member_u64(&json, "accounts", report->accounts);
    member_u64(&json, "transfers", report->transfers);
    member_u64(&json, "expiries", report->expiries);
    member_u64(&json, "failed_ids", report->failed_ids);
    member_u64(&json, "pendings", report->pendings);
    json_key(&json, "clock");
    json_u128_text(&json, report->clock);
    json_key(&json, "ledgers");
    json_array_begin(&json);
    for (uint32_t i = 0; i < report->sum_count; i++) {
        write_sum(&json, &report->sums[i]);
    }
    json_array_end(&json);
    json_object_end(&json);
    buf_append_byte(&out, '\n');
    (void)fwrite(out.data, 1, out.size, stdout);
    buf_release(&out);
}

static bool
print_sums(const struct ledger_check_report *report)
{
    static const struct show_column columns[] = {
        {.title = "LEDGER"},
        {.title = "ACCOUNTS", .right = true},
        {.title = "TRANSFERS", .right = true},
        {.title = "DEBITS POSTED", .right = true},
        {.title = "CREDITS POSTED", .right = true},
        {.title = "DEBITS PENDING", .right = true},
        {.title = "CREDITS PENDING", .right = true},
        {.title = ""},
    };
    struct show_table table;
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i < report->sum_count; i++) {
        const struct ledger_check_sum *sum = &report->sums[i];
        ledger_cell_name(&table, sum->ledger);
        show_cell(&table, SHOW_PLAIN, "%u", sum->accounts);
        show_cell(&table, SHOW_PLAIN, "%llu", (unsigned long long)sum->transfers);
        ledger_cell_amount(&table, sum->total.debits_posted, false, sum->ledger);
        ledger_cell_amount(&table, sum->total.credits_posted, false, sum->ledger);
        ledger_cell_amount(&table, sum->total.debits_pending, false, sum->ledger);
        ledger_cell_amount(&table, sum->total.credits_pending, false, sum->ledger);
        show_cell(&table, SHOW_GREEN, "balanced");
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
}

static void
print_head(const struct ledger_check_report *report, const struct store_head *noted)
{
    char head[STORE_HEAD_TEXT_SIZE];
    store_head_format(&report->head, head);
    (void)printf("head %s\n", head);
    if (noted != NULL) {
        (void)printf(
            "Frame %llu is the one whose head was noted: nothing up to it was changed since.\n",
            (unsigned long long)noted->sequence);
    }
}

static bool
print_check(
    const struct ledger_check_report *report, const char *url, const struct store_head *noted)
{
    if (report->tables) {
        /* The URL may have a password. */
        (void)printf(
            "PostgreSQL: %llu bytes of tables: every link is whole.\n",
            (unsigned long long)report->bytes);
    } else {
        (void)printf(
            "%s\n%llu file%s, %llu frames, %llu bytes: every checksum and digest is right.\n",
            url,
            (unsigned long long)report->segments,
            report->segments == 1 ? "" : "s",
            (unsigned long long)report->frames,
            (unsigned long long)report->bytes);
        print_head(report, noted);
    }
    if (report->order_parts > 0) {
        (void)printf(
            "%llu parts of orders: each is what its segment gives.\n",
            (unsigned long long)report->order_parts);
    }
    (void)printf(
        "%llu accounts, %llu transfers, %llu expiries, %llu failed ids, %llu live pendings:\n"
        "every balance is what its transfers add up to.\n",
        (unsigned long long)report->accounts,
        (unsigned long long)report->transfers,
        (unsigned long long)report->expiries,
        (unsigned long long)report->failed_ids,
        (unsigned long long)report->pendings);
    if (report->torn_bytes > 0) {
        (void)printf(
            "%llu bytes at the end are an unfinished write that nobody was told of; the next "
            "start cuts them.\n",
            (unsigned long long)report->torn_bytes);
    }
    bool printed = print_sums(report);
    (void)puts(
        printed ? "The books balance: in every ledger debits equal credits, posted and pending."
                : "");
    return printed;
}

static int
check(
    const struct command *command,
    const char *path,
    const struct store_head *noted,
    const struct check_options *options)
{
    char url[LEDGER_URL_SIZE] = "";
    bool shared = store_is_shared(path);
    err_t result = shared ? ERR_OK : ledger_find_journal(path, url);
    if (result != ERR_OK) {
        return command_fail(
            command,
            "%s: %s",
            path,
            result == ERR_NOT_FOUND ? "there is no ledger" : err_text(result));
    }
    struct show_progress progress;
    struct ledger_check_report report = {0};
    struct store_error error = {0};
    show_progress_begin(&progress, "ledger check");
    struct ledger_check_settings settings = {
        .url = shared ? path : url,
        .disk = os_disk_real(),
        .archive = options->archive[0] == '\0' ? NULL : options->archive,
        .noted = noted,
        .progress = check_progress,
        .context = &progress};
    result = ledger_engine_check(&settings, &report, &error);
    show_progress_end(&progress);
    int status = COMMAND_OK;
    const char *message = error.message[0] != '\0' ? error.message : err_text(result);
    if (options->json) {
        print_check_json(&report, result, message);
    } else if (result == ERR_OK && !print_check(&report, url, noted)) {
        status = COMMAND_FAILED;
    }
    if (result != ERR_OK) {
        const char *advice = "";
        if (result == ERR_LOCKED) {
            advice = ": stop the server that has it open first";
        } else if (error.segment != 0 && options->archive[0] == '\0') {
            advice = ", or name the folder that has it: --archive=DIR";
        }
        status = command_fail(command, "%s%s", message, advice);
    }
    ledger_engine_check_release(&report);
    return status;
}

static int
run_check(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct check_options values;
    const struct command_options options = {
        COMMAND_TABLE(check_settings),
        .values = &values,
        .positional_min = 1,
        .positional_max = SHARD_SHARDS_MAX};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    bool one_folder = strcmp(values.head, LEDGER_NO_HEAD) != 0 || values.archive[0] != '\0';
    if (positional > 1 && one_folder) {
        return command_misuse(command, "--head and --archive are those of one ledger");
    }
    struct store_head room;
    const struct store_head *noted = NULL;
    status = ledger_read_head(command, values.head, &room, &noted);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    for (int i = 1; i <= positional; i++) {
        int one = check(command, argv[i], noted, &values);
        status = status == COMMAND_GO_ON || one != COMMAND_OK ? one : status;
    }
    return status;
}

/* -------------------------------------------------------------------------------------- shared */

int
ledger_read_head(
    const struct command *command,
    const char *text,
    struct store_head *room,
    const struct store_head **ret_head)
{
    const char *reason = NULL;
    *ret_head = NULL;
    if (strcmp(text, LEDGER_NO_HEAD) == 0) {
        return COMMAND_GO_ON;
    }
    if (store_head_parse(span_from_cstr(text), room, &reason) != ERR_OK) {
        return command_misuse(command, "--head: %s", reason);
    }
    *ret_head = room;
    return COMMAND_GO_ON;
}

void
ledger_cell_name(struct show_table *table, uint32_t ledger)
{
    char text[64];
    struct buf name;
    buf_init_fixed(&name, text, sizeof(text));
    text_ledger_append(&name, ledger);
    show_cell_span(table, SHOW_PLAIN, buf_span(&name));
}

void
ledger_cell_amount(struct show_table *table, u128 amount, bool negative, uint32_t ledger)
{
    char text[64];
    struct buf shown;
    buf_init_fixed(&shown, text, sizeof(text));
    text_ledger_amount_append(&shown, amount, negative, ledger);
    show_cell_span(table, amount == 0 ? SHOW_DIM : SHOW_PLAIN, buf_span(&shown));
}

static const struct command ledger_replay = {
    .name = "replay",
    .usage = "[--store=URL] FILE",
    .summary = "Runs a script of operations on a ledger of its own, one JSON line for each",
    .manual = "FILE may be - for standard input. docs/ledger.md, \"Replay\", has the format.",
    .run = run_replay,
    .parent = &command_ledger,
};
static const struct command ledger_check = {
    .name = "check",
    .usage = "DIR|URL... [--head=HEAD] [--archive=DIR] [--json]",
    .summary = "Proves a server's books: checksums, balances, sums per currency",
    .manual =
        "DIR is a server's data folder or the ledger folder in it; no server may be using "
        "it.\nURL is that of --ledger, postgres://...; servers may be using it.\nOf a ledger of "
        "several shards name each: all are checked, also behind one that is damaged.\nWith --json "
        "each has a line.\nStatus 1, "
        "with file and offset or the row, if anything is damaged.\nWith --head, "
        "too, if anything up to that head was changed since it was noted, whatever\nchecksums "
        "were made right again (docs/ledger.md, \"Proof of history\").",
    .run = run_check,
    .parent = &command_ledger,
};

static const struct command *const ledger_children[] = {
    &ledger_accounts,
    &ledger_transfers,
    &ledger_replay,
    &ledger_check,
    &ledger_head,
    &ledger_prove,
    &ledger_archive,
    NULL};

const struct command command_ledger = {
    .name = "ledger",
    .usage = "COMMAND",
    .summary = "Shows, replays, checks and archives the books",
    .children = ledger_children,
};
