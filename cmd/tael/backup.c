/*
 * `tael backup`: a copy of a data folder at one moment, while the server works on; or of the
 * folders of several processes that share the work, as if they were one.
 *
 * The moment is one at which nothing is committed to the documents (document/copy.h). The cuts are
 * taken in this order, each store after those that write down what came of it:
 *
 *     documents   what is known to have been asked, and what came of it
 *     ledger      has at least what documents say was booked
 *     vault, card network, bank
 *                 have at least what the ledger booked because of them
 *
 * and, because an attempt is in the documents before anybody is asked, nothing in the other stores
 * belongs to an attempt that the documents do not know. What they know as unfinished the start
 * after a restore finishes, as after a power failure (docs/decisions/0023-backups.md has the
 * argument).
 */
#include "backup_data.h"
#include "backup_keys.h"
#include "backup_sink.h"
#include "command.h"
#include "option.h"
#include "show.h"

#include "document/copy.h"
#include "os/clock.h"
#include "os/process.h"
#include "store/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_SIZE     (1U << 20)
#define SMALL_SIZE_MAX (1U << 16)

struct backup_options {
    char data[BACKUP_DATA_TEXT_SIZE];
    char to[OS_PATH_SIZE / 2];
    char spool[OS_PATH_SIZE / 2];
    char archive[OS_PATH_SIZE / 2];
};

static const struct setting backup_settings[] = {
    OPTION_TEXT(
        struct backup_options,
        data,
        "data",
        "",
        "The server's data folder; of several processes all of theirs, with commas between."),
    OPTION_TEXT(
        struct backup_options, to, "to", "", "A folder that may hold several backups, or - ."),
    OPTION_TEXT(
        struct backup_options,
        spool,
        "spool",
        "",
        "With --to=- : where databases wait on their way; without it $TMPDIR or /tmp."),
    OPTION_TEXT(
        struct backup_options,
        archive,
        "archive",
        "",
        "A folder that `tael ledger archive` moved segments to."),
};

/* Files besides the ledger, the databases and the vault's master keys; a folder need not have all
 * of them. One that does not grow is small, and read at the moment: an operator may write the next
 * keys of webhook secrets, or remove older ones, while the rest is copied. */
static const struct {
    const char *path;
    bool grows; /* appended to while the server works: as much as there was at the moment */
} plain_files[] = {
    {"test_secret_key", false},
    {"webhooks/master.key", false},
    {"issuer/issuer.log", true},
    {"issuer/disputes.log", true},
    {"bank/bank.log", true},
};

enum {
    PLAIN_FILES = sizeof(plain_files) / sizeof(plain_files[0]),
    DATABASES = 2
};

static const char *const databases[DATABASES] = {"tael.db", "vault/vault.db"};

struct backup {
    const struct command *command;
    const struct backup_options *options;
    struct os_disk *disk;
    struct backup_data data;
    const char *ledger_folder;
    struct backup_sink sink;
    struct show_progress progress;
    uint64_t done;
    uint64_t total;
    char *piece;

    /* The moment. */
    struct document_snapshot *snapshots[DATABASES]; /* NULL: there is no such database */
    struct store_copy *ledger;                      /* NULL: there is none */
    struct store_copy_extent extent;
    uint64_t sizes[PLAIN_FILES];
    bool present[PLAIN_FILES];
    char *texts[PLAIN_FILES]; /* of those that do not grow */
    struct backup_keys keys;
    uint64_t held_ns;
    bool has_vault;
};

/* -------------------------------------------------------------------------------- the folders */

/* Two processes with the same part are two servers, and their backup is none of either. */
static int
parts_are_single(const struct backup *backup)
{
    char message[BACKUP_MESSAGE_SIZE];
    err_t code = ERR_OK;
    for (size_t i = 0; i < DATABASES && code == ERR_OK; i++) {
        code = backup_data_single(&backup->data, databases[i], message);
    }
    for (size_t i = 0; i < PLAIN_FILES && code == ERR_OK; i++) {
        code = backup_data_single(&backup->data, plain_files[i].path, message);
    }
    return code == ERR_OK ? COMMAND_GO_ON : command_fail(backup->command, "%s", message);
}

static int
no_ledger(const struct backup *backup)
{
    uint64_t size = 0;
    bool has_documents = false;
    err_t code = backup_data_size(&backup->data, databases[0], &size, &has_documents);
    if (code == ERR_OK && has_documents) {
        return command_fail(
            backup->command,
            "%s: there are documents in it, and no ledger, without which they are no backup. If "
            "another process here has the ledger, name both folders: --data=%s,FOLDER; one on "
            "another machine, or in PostgreSQL, is backed up with them only while all stand still "
            "(docs/operations/backup.md)",
            backup->data.folders[0],
            backup->data.folders[0]);
    }
    bool of_cluster = false;
    if (code == ERR_OK) {
        code = backup_data_size(&backup->data, "api/tael.db", &size, &of_cluster);
    }
    if (code == ERR_OK && of_cluster) {
        return command_fail(
            backup->command,
            "%s: its folders are those of several processes: --data=%s/api,%s/ledger,%s/vault and "
            "so on, with all that there are",
            backup->data.folders[0],
            backup->data.folders[0],
            backup->data.folders[0],
            backup->data.folders[0]);
    }
    return command_fail(
        backup->command,
        "%s: there is no ledger in it; one in PostgreSQL is backed up with the database",
        backup->data.folders[0]);
}

/* What the folders have is found before anything is held. */
static int
ledger_open(struct backup *backup)
{
    for (int i = 0; i < backup->data.count; i++) {
        char url[OS_PATH_SIZE + 16];
        struct store_error error;
        struct store_copy *ledger = NULL;
        (void)snprintf(url, sizeof(url), "journal:%s/ledger", backup->data.folders[i]);
        err_t code = store_copy_open(url, backup->disk, &ledger, &error);
        if (code == ERR_NOT_FOUND) {
            continue;
        }
        if (code != ERR_OK) {
            return command_fail(backup->command, "%s", error.message);
        }
        if (backup->ledger != NULL) {
            store_copy_close(&ledger);
            return command_fail(
                backup->command,
                "a ledger is in %s and in %s: the shards of one cannot be backed up while they "
                "work, and two servers not at once",
                backup->ledger_folder,
                backup->data.folders[i]);
        }
        backup->ledger = ledger;
        backup->ledger_folder = backup->data.folders[i];
    }
    return backup->ledger != NULL ? parts_are_single(backup) : no_ledger(backup);
}

/* --------------------------------------------------------------------------------- the moment */

/* Of a segment. */
static int
segment_fail(const struct backup *backup, const struct store_error *error)
{
    const char *advice = error->code == ERR_ARCHIVED
                             ? "; if it was archived, name the folder that has it: --archive=DIR"
                             : "";
    return command_fail(backup->command, "%s%s", error->message, advice);
}

/* The earlier backups in the folder are of this ledger, and of this history of it. */
static int
goes_on(struct backup *backup)
{
    bool passes = true;
    struct store_error error;
    if (backup->sink.before.count == 0) {
        return COMMAND_GO_ON;
    }
    err_t code = store_copy_passes(
        backup->ledger, backup->options->archive, &backup->sink.before.head, &passes, &error);
    if (code != ERR_OK) {
        return segment_fail(backup, &error);
    }
    if (!passes) {
        return command_fail(
            backup->command,
            "%s: the backups in it are of another ledger, or of another history of this one: "
            "choose another folder",
            backup->options->to);
    }
    return COMMAND_GO_ON;
}

static err_t
snapshot(struct backup *backup, size_t which, char message[DOCUMENT_MESSAGE_SIZE])
{
    char path[OS_PATH_SIZE];
    uint64_t size = 0;
    bool present = false;
    err_t code = backup_data_size(&backup->data, databases[which], &size, &present);
    if (code == ERR_OK && present) {
        code = backup_data_path(&backup->data, databases[which], path);
        return code == ERR_OK ? document_snapshot_take(path, &backup->snapshots[which], message)
                              : code;
    }
    if (code != ERR_OK) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s: %s", databases[which], err_text(code));
    }
    return code;
}

/* The vault, with whatever master keys it may need. */
static int
cut_vault(struct backup *backup)
{
    char message[BACKUP_MESSAGE_SIZE] = "";
    const char *folder = NULL;
    err_t code = backup_data_folder(&backup->data, databases[1], &folder);
    if (code != ERR_OK) {
        return command_fail(backup->command, "%s: %s", databases[1], err_text(code));
    }
    if (folder == NULL) {
        return COMMAND_GO_ON;
    }
    code = backup_keys_look(&backup->keys, folder, message);
    if (code == ERR_OK) {
        static_assert(BACKUP_MESSAGE_SIZE >= DOCUMENT_MESSAGE_SIZE, "messages pass through");
        code = snapshot(backup, 1, message);
    }
    if (code == ERR_OK) {
        code = backup_keys_look(&backup->keys, folder, message);
    }
    return code == ERR_OK ? COMMAND_GO_ON : command_fail(backup->command, "%s", message);
}

static err_t
cut_plain(struct backup *backup, size_t which)
{
    char path[OS_PATH_SIZE];
    size_t size = 0;
    TRY(backup_data_size(
        &backup->data, plain_files[which].path, &backup->sizes[which], &backup->present[which]));
    if (plain_files[which].grows || !backup->present[which]) {
        return ERR_OK;
    }
    TRY(backup_data_path(&backup->data, plain_files[which].path, path));
    TRY(os_file_load(backup->disk, path, SMALL_SIZE_MAX, &backup->texts[which], &size));
    backup->sizes[which] = size;
    return ERR_OK;
}

/* While the documents are held; the order is the argument. */
static int
cuts(struct backup *backup)
{
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    struct store_error error;
    if (snapshot(backup, 0, message) != ERR_OK) {
        return command_fail(backup->command, "%s", message);
    }
    backup->sink.manifest.made_ns = os_wall_ns(os_clock_real());
    if (store_copy_cut(backup->ledger, &backup->sink.manifest.head, &error) != ERR_OK) {
        return command_fail(backup->command, "%s", error.message);
    }
    store_copy_extent(backup->ledger, &backup->extent);
    int status = cut_vault(backup);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    backup->has_vault = backup->snapshots[1] != NULL;
    for (size_t i = 0; i < PLAIN_FILES; i++) {
        err_t code = cut_plain(backup, i);
        if (code != ERR_OK) {
            return command_fail(backup->command, "%s: %s", plain_files[i].path, err_text(code));
        }
    }
    return COMMAND_GO_ON;
}

static int
moment(struct backup *backup)
{
    char path[OS_PATH_SIZE];
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    uint64_t size = 0;
    bool has_documents = false;
    struct document_hold *hold = NULL;
    err_t code = backup_data_size(&backup->data, databases[0], &size, &has_documents);
    if (code == ERR_OK && has_documents) {
        code = backup_data_path(&backup->data, databases[0], path);
    }
    if (code != ERR_OK) {
        return command_fail(backup->command, "%s: %s", databases[0], err_text(code));
    }
    if (has_documents && document_hold_take(path, DOCUMENT_HOLD_MAX_MS, &hold, message) != ERR_OK) {
        return command_fail(backup->command, "%s", message);
    }
    uint64_t began_ns = os_monotonic_ns(os_clock_real());
    int status = cuts(backup);
    document_hold_release(&hold);
    backup->held_ns = os_monotonic_ns(os_clock_real()) - began_ns;
    backup->sink.manifest.documents = has_documents;
    return status;
}

/* ---------------------------------------------------------------------------------- the copies */

static void
step(struct backup *backup, uint64_t bytes)
{
    backup->done += bytes;
    show_progress_step(&backup->progress, backup->done, backup->total);
}

/* The first `used` bytes of an open file, and zeros up to `size`. */
static int
copy_open(
    struct backup *backup,
    struct os_file *file,
    const char *from,
    const char *path,
    const struct store_copy_extent *extent,
    bool is_shared)
{
    struct backup_sink *sink = &backup->sink;
    if (backup_sink_begin(sink, path, extent->newest_size, is_shared) != ERR_OK) {
        return command_fail(backup->command, "%s", sink->message);
    }
    for (uint64_t at = 0; at < extent->newest_used; at += PIECE_SIZE) {
        uint64_t rest = extent->newest_used - at;
        size_t part = rest < PIECE_SIZE ? (size_t)rest : PIECE_SIZE;
        err_t code = backup->disk->ops->read(backup->disk, file, backup->piece, part, at);
        if (code != ERR_OK) {
            return command_fail(backup->command, "%s: %s", from, err_text(code));
        }
        if (backup_sink_write(sink, backup->piece, part) != ERR_OK) {
            return command_fail(backup->command, "%s", sink->message);
        }
        step(backup, part);
    }
    if (backup_sink_end(sink) != ERR_OK) {
        return command_fail(backup->command, "%s", sink->message);
    }
    return COMMAND_GO_ON;
}

/* As copy_open; all of the file if `wanted` is whole_file. */
static int
copy_wanted(
    struct backup *backup,
    struct os_file *file,
    const char *from,
    const char *path,
    const struct store_copy_extent *wanted,
    bool is_shared)
{
    struct store_copy_extent extent = *wanted;
    if (extent.newest_used == UINT64_MAX) {
        err_t code = backup->disk->ops->size(backup->disk, file, &extent.newest_used);
        if (code != ERR_OK) {
            return command_fail(backup->command, "%s: %s", from, err_text(code));
        }
        extent.newest_size = extent.newest_used;
    }
    return copy_open(backup, file, from, path, &extent, is_shared);
}

static int
copy_file(
    struct backup *backup,
    const char *from,
    const char *path,
    const struct store_copy_extent *wanted)
{
    struct os_disk *disk = backup->disk;
    struct os_file *file = NULL;
    err_t code = disk->ops->open(disk, from, OS_OPEN_READ, false, &file, NULL);
    if (code != ERR_OK) {
        return command_fail(backup->command, "%s: %s", from, err_text(code));
    }
    int status = copy_wanted(backup, file, from, path, wanted, false);
    disk->ops->close(disk, file);
    return status;
}

static const struct store_copy_extent whole_file = {.newest_used = UINT64_MAX};

static int
copy_segment(struct backup *backup, uint64_t number)
{
    char path[BACKUP_PATH_SIZE];
    char name[STORE_SEGMENT_NAME_SIZE];
    struct store_copy_segment segment;
    struct store_error error;
    bool is_full = number < backup->extent.newest;
    bool reused = false;
    store_segment_name(number, name);
    (void)snprintf(path, sizeof(path), "ledger/%s", name);
    if (is_full && backup_sink_reuse(&backup->sink, path, &reused) != ERR_OK) {
        return command_fail(backup->command, "%s", backup->sink.message);
    }
    if (reused) {
        return COMMAND_GO_ON;
    }
    if (store_copy_segment(backup->ledger, backup->options->archive, number, &segment, &error) !=
        ERR_OK) {
        return segment_fail(backup, &error);
    }
    const struct store_copy_extent *wanted = is_full ? &whole_file : &backup->extent;
    int status = copy_wanted(backup, segment.file, segment.path, path, wanted, is_full);
    backup->disk->ops->close(backup->disk, segment.file);
    return status;
}

static bool
database_progress(void *context, uint64_t bytes_done)
{
    struct backup *backup = context;
    show_progress_step(&backup->progress, backup->done + bytes_done, backup->total);
    return true;
}

/* A database is written to a file of its own first, as SQLite does it; then it is a file like any
 * other. */
static int
copy_database(struct backup *backup, size_t which)
{
    char spool[OS_PATH_SIZE];
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    struct document_snapshot *from = backup->snapshots[which];
    if (from == NULL) {
        return COMMAND_GO_ON;
    }
    const char *folder = backup->options->spool;
    const char *usual = getenv("TMPDIR");
    if (!backup->sink.is_stream) {
        folder = backup->sink.folder;
    } else if (folder[0] == '\0') {
        folder = usual != NULL && usual[0] != '\0' ? usual : "/tmp";
    }
    struct buf text;
    buf_init_fixed(&text, spool, sizeof(spool) - 1);
    buf_append_format(&text, "%s/tael-backup-%d-%zu.tmp", folder, (int)getpid(), which);
    spool[text.size] = '\0';
    if (buf_failed(&text)) {
        return command_fail(backup->command, "%s: the path is too long", folder);
    }
    err_t code = document_snapshot_write(from, spool, database_progress, backup, message);
    step(backup, document_snapshot_size(from));
    document_snapshot_release(&backup->snapshots[which]);
    int status = code == ERR_OK ? copy_file(backup, spool, databases[which], &whole_file)
                                : command_fail(backup->command, "%s", message);
    if (code != ERR_EXISTS) {
        /* If it stays, it is a file that its name explains. */
        err_t ignored = backup->disk->ops->remove(backup->disk, spool);
        (void)ignored;
    }
    return status;
}

static int
copy_text(struct backup *backup, size_t which)
{
    struct backup_sink *sink = &backup->sink;
    size_t size = (size_t)backup->sizes[which];
    if (backup_sink_begin(sink, plain_files[which].path, size, false) != ERR_OK ||
        backup_sink_write(sink, backup->texts[which], size) != ERR_OK ||
        backup_sink_end(sink) != ERR_OK) {
        return command_fail(backup->command, "%s", sink->message);
    }
    step(backup, size);
    return COMMAND_GO_ON;
}

static void
texts_wipe(struct backup *backup)
{
    for (size_t i = 0; i < PLAIN_FILES; i++) {
        if (backup->texts[i] != NULL) {
            explicit_bzero(backup->texts[i], (size_t)backup->sizes[i]);
            free(backup->texts[i]);
        }
    }
}

static int
copy_plain(struct backup *backup, size_t which)
{
    char from[OS_PATH_SIZE];
    const char *path = plain_files[which].path;
    const struct store_copy_extent extent = {
        .newest_used = backup->sizes[which], .newest_size = backup->sizes[which]};
    if (!backup->present[which]) {
        return COMMAND_GO_ON;
    }
    if (!plain_files[which].grows) {
        return copy_text(backup, which);
    }
    err_t code = backup_data_path(&backup->data, path, from);
    if (code != ERR_OK) {
        return command_fail(backup->command, "%s: %s", path, err_text(code));
    }
    return copy_file(backup, from, path, &extent);
}

static int
copy_key(struct backup *backup, const struct backup_key *key)
{
    char path[BACKUP_PATH_SIZE];
    char name[BACKUP_KEY_NAME_SIZE];
    struct store_copy_extent extent = {0};
    backup_key_name(key->generation, name);
    (void)snprintf(path, sizeof(path), "vault/%s", name);
    err_t code = backup->disk->ops->size(backup->disk, key->file, &extent.newest_used);
    if (code != ERR_OK) {
        return command_fail(backup->command, "%s: %s", path, err_text(code));
    }
    extent.newest_size = extent.newest_used;
    return copy_open(backup, key->file, path, path, &extent, false);
}

/* What the bar counts: databases twice, as they are written and then read; of segments at most what
 * has to be copied. */
static void
measure(struct backup *backup)
{
    for (size_t i = 0; i < DATABASES; i++) {
        if (backup->snapshots[i] != NULL) {
            backup->total += 2 * document_snapshot_size(backup->snapshots[i]);
        }
    }
    uint64_t known = 0;
    for (uint32_t i = 0; i < backup->sink.before.count; i++) {
        known += backup->sink.before.files[i].path[0] == '.';
    }
    uint64_t full = backup->extent.newest - 1;
    backup->total += (full > known ? full - known : 0) * backup->extent.newest_size;
    backup->total += backup->extent.newest_used;
}

static int
copies(struct backup *backup)
{
    measure(backup);
    if (backup_sink_start(&backup->sink) != ERR_OK) {
        return command_fail(backup->command, "%s", backup->sink.message);
    }
    int status = COMMAND_GO_ON;
    for (size_t i = 0; i < DATABASES && status == COMMAND_GO_ON; i++) {
        status = copy_database(backup, i);
    }
    for (size_t i = 0; i < PLAIN_FILES && status == COMMAND_GO_ON; i++) {
        status = copy_plain(backup, i);
    }
    for (uint32_t i = 0; i < backup->keys.count && status == COMMAND_GO_ON; i++) {
        status = copy_key(backup, &backup->keys.keys[i]);
    }
    for (uint64_t i = 1; i <= backup->extent.newest && status == COMMAND_GO_ON; i++) {
        status = copy_segment(backup, i);
    }
    if (status == COMMAND_GO_ON && backup_sink_finish(&backup->sink) != ERR_OK) {
        status = command_fail(backup->command, "%s", backup->sink.message);
    }
    return status;
}

/* ---------------------------------------------------------------------------------- the command */

/* On standard error: standard output may be the backup. */
static void
report(const struct backup *backup)
{
    char head[STORE_HEAD_TEXT_SIZE];
    store_head_format(&backup->sink.manifest.head, head);
    (void)fprintf(
        stderr,
        "%s%s%s: %" PRIu32 " files; documents stood still for %" PRIu64 ".%03" PRIu64 " ms\n"
        "head %s\n",
        backup->sink.is_stream ? "standard output" : backup->options->to,
        backup->sink.is_stream ? "" : "/points/",
        backup->sink.is_stream ? "" : backup->sink.name,
        backup->sink.manifest.count,
        backup->held_ns / OS_NS_PER_MS,
        backup->held_ns % OS_NS_PER_MS / 1000,
        head);
    if (!backup->sink.manifest.documents) {
        (void)fprintf(
            stderr,
            "A ledger alone. If another process has the documents, this is of another moment than "
            "any backup\nof theirs: name all folders in one --data, with commas between.\n");
    } else if (!backup->has_vault) {
        (void)fprintf(
            stderr,
            "There is no vault in it: the folder of the process that has the card numbers belongs "
            "into --data too.\n");
    }
}

static int
back_up(struct backup *backup)
{
    backup->piece = malloc(PIECE_SIZE);
    if (backup->piece == NULL) {
        return command_fail(backup->command, "%s", err_text(ERR_MEMORY));
    }
    int status = ledger_open(backup);
    if (status == COMMAND_GO_ON && backup_sink_open(&backup->sink, backup->options->to) != ERR_OK) {
        status = command_fail(backup->command, "%s", backup->sink.message);
    }
    if (status == COMMAND_GO_ON) {
        status = goes_on(backup);
    }
    if (status == COMMAND_GO_ON) {
        status = moment(backup);
    }
    show_progress_begin(&backup->progress, "backup");
    if (status == COMMAND_GO_ON) {
        status = copies(backup);
    }
    show_progress_end(&backup->progress);
    if (status == COMMAND_GO_ON) {
        report(backup);
        status = COMMAND_OK;
    }
    for (size_t i = 0; i < DATABASES; i++) {
        document_snapshot_release(&backup->snapshots[i]);
    }
    backup_keys_close(&backup->keys);
    texts_wipe(backup);
    store_copy_close(&backup->ledger);
    backup_sink_abort(&backup->sink);
    free(backup->piece);
    return status;
}

static int
run_backup(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct backup_options values;
    const struct command_options options = {
        COMMAND_TABLE(backup_settings),
        .values = &values,
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (values.data[0] == '\0' || values.to[0] == '\0') {
        return command_misuse(command, "--%s is missing", values.data[0] == '\0' ? "data" : "to");
    }
    bool is_stream = strcmp(values.to, "-") == 0;
    if (is_stream && isatty(STDOUT_FILENO) == 1) {
        return command_misuse(command, "--to=- : standard output is a terminal");
    }
    struct backup backup = {
        .command = command,
        .options = &values,
        .disk = os_disk_real(),
        .data.disk = os_disk_real(),
        .keys.disk = os_disk_real(),
    };
    if (backup_data_take(&backup.data, values.data) != ERR_OK) {
        return command_misuse(
            command,
            "--data has up to %d folders with commas between, each shorter than %d bytes",
            BACKUP_DATA_FOLDERS_MAX,
            OS_PATH_SIZE / 2);
    }
    return back_up(&backup);
}

const struct command command_backup = {
    .name = "backup",
    .usage = "--data=DIR[,DIR...] --to=DIR|- [--archive=DIR]",
    .summary = "Copies a server's data at one moment, while it works",
    .manual =
        "To a folder, which may hold several backups that share the ledger's full segments,\n"
        "or as a tar stream to standard output. The ledger, documents, vault, keys and the\n"
        "simulated network and bank are of one moment. Of a server that is several processes\n"
        "(docs/operations/roles.md) name the folders of all of them. What is encrypted stays so, "
        "and its keys\n"
        "are in the backup too: keep it like the original (docs/operations/backup.md).\n"
        "Of a ledger with archived segments name their folder, too; what the backups in the\n"
        "folder have already is not read again.",
    .run = run_backup,
};
