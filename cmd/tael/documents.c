/* `tael documents`: shards of the documents; what each has, and moving merchants between them. What
 * a move is: document/shards.h. */
#include "command.h"
#include "node.h"
#include "option.h"
#include "show.h"

#include "document/shards.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE   768
#define TEXT_SIZE   (UINT32_C(1) << 20)
#define TABLE(rows) .table = (rows), .count = sizeof(rows) / sizeof((rows)[0])
#define PREFIX      "shards:"

struct documents_options {
    char map[PATH_SIZE];
    char next[PATH_SIZE];
    bool online;
    bool cancel;
    bool json;
};

#define MAP_OPTION                                                                                 \
    OPTION_TEXT(                                                                                   \
        struct documents_options,                                                                  \
        map,                                                                                       \
        "map",                                                                                     \
        "",                                                                                        \
        "The file with the map, as in --documents=shards:FILE.")
#define JSON_OPTION OPTION_SWITCH(struct documents_options, json, "json", "Prints JSON.")

static const struct setting look_settings[] = {MAP_OPTION, JSON_OPTION};
static const struct setting move_settings[] = {
    MAP_OPTION,
    OPTION_TEXT(
        struct documents_options,
        next,
        "next",
        "",
        "A file with the map that it is to become: its epoch is the next one."),
    OPTION_SWITCH(
        struct documents_options,
        online,
        "online",
        "Beside servers that work: they stand still for a moment when everything is there."),
    OPTION_SWITCH(
        struct documents_options,
        cancel,
        "cancel",
        "Takes back what --online did, if its move is not decided."),
    JSON_OPTION,
};

static int
options_read(
    const struct command *command,
    const struct setting *table,
    size_t count,
    char **argv,
    struct documents_options *options)
{
    int positional = 0;
    const struct command_options read = {.table = table, .count = count, .values = options};
    memset(options, 0, sizeof(*options));
    int status = command_options(command, &read, argv, &positional);
    if (status == COMMAND_GO_ON && options->map[0] == '\0') {
        return command_misuse(command, "--map=FILE is needed");
    }
    return status;
}

/* ---- list, verify ---- */

struct looking {
    struct show_table table;
    struct json_writer json;
    bool is_json;
    bool any_shard;
    int64_t epoch; /* of the first shard */
    uint64_t wrong;
    char first_wrong[DOCUMENT_MESSAGE_SIZE];
    uint64_t shards, scopes, rows, parts;
};

static void
note_wrong(struct looking *looking, const struct document_shards_state *state)
{
    bool differs = looking->any_shard && state->epoch != looking->epoch;
    looking->epoch = looking->any_shard ? looking->epoch : state->epoch;
    looking->any_shard = true;
    if (state->strangers == 0 && state->missing == 0 && state->next == 0 && state->epoch != 0 &&
        !differs) {
        return;
    }
    if (looking->wrong++ > 0) {
        return;
    }
    char *out = looking->first_wrong;
    if (state->next != 0) {
        (void)snprintf(
            out,
            sizeof(looking->first_wrong),
            "shard %s: a move to epoch %" PRId64 " is unfinished",
            state->name,
            state->next);
    } else if (state->strangers != 0) {
        (void)snprintf(
            out,
            sizeof(looking->first_wrong),
            "shard %s has rows of merchant %" PRIu64 ", which the map has elsewhere",
            state->name,
            state->one_stranger / 2);
    } else if (state->missing != 0) {
        (void)snprintf(
            out,
            sizeof(looking->first_wrong),
            "shard %s: the cold parts of %" PRIu64 " rows are not where the map has them",
            state->name,
            state->missing);
    } else {
        (void)snprintf(
            out,
            sizeof(looking->first_wrong),
            "shard %s: it is of epoch %" PRId64,
            state->name,
            state->epoch);
    }
}

static void
see_shard(void *context, const struct document_shards_state *state)
{
    struct looking *looking = context;
    note_wrong(looking, state);
    looking->shards++;
    looking->scopes += state->is_cold ? 0 : state->scopes;
    looking->rows += state->is_cold ? 0 : state->rows;
    looking->parts += state->is_cold ? state->rows - state->left : 0;
    if (looking->is_json) {
        struct json_writer *json = &looking->json;
        json_object_begin(json);
        json_member_cstr(json, "name", state->name);
        json_member_i64(json, "slots", (int64_t)state->slots);
        json_member_i64(json, "ranges", (int64_t)state->ranges);
        json_member_i64(json, "epoch", state->epoch);
        json_member_i64(json, "next_epoch", state->next);
        json_member_i64(json, "scopes", (int64_t)state->scopes);
        json_member_i64(json, "rows", (int64_t)state->rows);
        json_member_i64(json, "scopes_of_other_shards", (int64_t)state->strangers);
        json_member_bool(json, "cold", state->is_cold);
        json_member_i64(json, "cold_parts_missing", (int64_t)state->missing);
        json_member_i64(json, "cold_parts_unnamed", (int64_t)state->left);
        json_object_end(json);
        return;
    }
    struct show_table *table = &looking->table;
    show_cell(table, SHOW_BOLD, "%s", state->name);
    show_cell(table, SHOW_PLAIN, "%" PRIu64, state->slots);
    show_cell(table, SHOW_PLAIN, "%" PRIu64, state->ranges);
    show_cell(table, SHOW_PLAIN, "%" PRIu64, state->scopes);
    show_cell(table, SHOW_PLAIN, "%" PRIu64, state->rows);
    show_cell(table, SHOW_PLAIN, "%" PRId64, state->epoch);
    if (state->next != 0) {
        show_cell(table, SHOW_YELLOW, "moving to epoch %" PRId64, state->next);
    } else if (state->strangers != 0) {
        show_cell(table, SHOW_RED, "%" PRIu64 " scopes of other shards", state->strangers);
    } else if (state->missing != 0) {
        show_cell(table, SHOW_RED, "%" PRIu64 " cold parts missing", state->missing);
    } else if (state->is_cold) {
        show_cell(table, SHOW_DIM, "cold parts, %" PRIu64 " to be swept", state->left);
    } else {
        show_cell(table, SHOW_DIM, "%s", state->epoch == 0 ? "never opened" : "");
    }
}

static int
look(
    const struct command *command, const struct documents_options *options, struct looking *looking)
{
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    const struct document_kind *kinds[NODE_KINDS_MAX];
    uint32_t count = node_document_kinds(kinds);
    err_t result = document_shards_look(options->map, kinds, count, see_shard, looking, message);
    return result == ERR_OK
               ? COMMAND_OK
               : command_fail(command, "%s", message[0] == '\0' ? err_text(result) : message);
}

static int
list_json(const struct command *command, const struct documents_options *options)
{
    struct looking looking = {.is_json = true};
    struct buf out;
    buf_init(&out, TEXT_SIZE);
    json_begin(&looking.json, &out);
    json_object_begin(&looking.json);
    json_key(&looking.json, "shards");
    json_array_begin(&looking.json);
    int status = look(command, options, &looking);
    json_array_end(&looking.json);
    json_object_end(&looking.json);
    if (status == COMMAND_OK) {
        (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
    }
    buf_release(&out);
    return status;
}

static int
list_table(const struct command *command, const struct documents_options *options)
{
    static const struct show_column columns[] = {
        {.title = "SHARD"},
        {.title = "SLOTS", .right = true},
        {.title = "RANGES", .right = true},
        {.title = "SCOPES", .right = true},
        {.title = "ROWS", .right = true},
        {.title = "EPOCH", .right = true},
        {.title = ""},
    };
    struct looking looking = {.is_json = false};
    show_table_begin(&looking.table, columns, sizeof(columns) / sizeof(columns[0]));
    int status = look(command, options, &looking);
    if (status != COMMAND_OK) {
        show_table_release(&looking.table);
        return status;
    }
    return show_table_finish(&looking.table) ? COMMAND_OK : COMMAND_FAILED;
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct documents_options options;
    const size_t count = sizeof(look_settings) / sizeof(look_settings[0]);
    int status = options_read(command, look_settings, count, argv, &options);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    return options.json ? list_json(command, &options) : list_table(command, &options);
}

static int
run_verify(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct documents_options options;
    struct looking looking = {.is_json = true};
    struct buf unused;
    const size_t count = sizeof(look_settings) / sizeof(look_settings[0]);
    int status = options_read(command, look_settings, count, argv, &options);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    buf_init(&unused, TEXT_SIZE);
    json_begin(&looking.json, &unused);
    json_array_begin(&looking.json);
    status = look(command, &options, &looking);
    buf_release(&unused);
    if (status != COMMAND_OK) {
        return status;
    }
    if (looking.wrong > 0) {
        return command_fail(command, "%s", looking.first_wrong);
    }
    (void)printf(
        options.json ? "{\"shards\":%" PRIu64 ",\"scopes\":%" PRIu64 ",\"rows\":%" PRIu64
                       ",\"cold_parts\":%" PRIu64 ",\"epoch\":%" PRId64 "}\n"
                     : "%" PRIu64 " shards, %" PRIu64 " scopes, %" PRIu64 " rows, %" PRIu64
                       " cold parts: each where the map has it; epoch %" PRId64 "\n",
        looking.shards,
        looking.scopes,
        looking.rows,
        looking.parts,
        looking.epoch);
    return COMMAND_OK;
}

/* ---- move ---- */

/* Online it takes its time, and who looks on wants to know what it would leave. */
static void
at_step(void *context, const char *step)
{
    const struct documents_options *options = context;
    if (!options->json) {
        (void)printf("%s\n", step);
        (void)fflush(stdout);
    }
}

static int
run_move(const struct command *command, int argc, char **argv)
{
    (void)argc;
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    struct documents_options options;
    const struct document_kind *kinds[NODE_KINDS_MAX];
    const size_t count = sizeof(move_settings) / sizeof(move_settings[0]);
    int status = options_read(command, move_settings, count, argv, &options);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (options.next[0] == '\0') {
        return command_misuse(command, "--next=FILE is needed");
    }
    if (options.online && options.cancel) {
        return command_misuse(command, "--online or --cancel");
    }
    struct document_shards_move move = {
        .path = options.map,
        .next_path = options.next,
        .kinds = kinds,
        .kind_count = node_document_kinds(kinds),
        .at = at_step,
        .context = &options,
    };
    err_t result = options.cancel   ? document_shards_move_cancel(&move, message)
                   : options.online ? document_shards_move_online(&move, message)
                                    : document_shards_move(&move, message);
    if (result != ERR_OK) {
        return command_fail(command, "%s", message[0] == '\0' ? err_text(result) : message);
    }
    if (options.json) {
        (void)printf(
            "{\"scopes\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"pause_us\":%" PRIu64 "}\n",
            move.ret_scopes,
            move.ret_rows,
            move.ret_pause_us);
    } else if (options.cancel) {
        (void)printf("the move is taken back\n");
    } else {
        (void)printf(
            "%" PRIu64 " scopes moved, with %" PRIu64 " rows\n", move.ret_scopes, move.ret_rows);
    }
    return COMMAND_OK;
}

/* ---- sweep ---- */

static int
run_sweep(const struct command *command, int argc, char **argv)
{
    (void)argc;
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    struct documents_options options;
    const struct document_kind *kinds[NODE_KINDS_MAX];
    const size_t count = sizeof(look_settings) / sizeof(look_settings[0]);
    int status = options_read(command, look_settings, count, argv, &options);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct document_shards_sweep sweep = {
        .path = options.map,
        .kinds = kinds,
        .kind_count = node_document_kinds(kinds),
        .age_s = DOCUMENT_SHARDS_AGE_S,
        .wait_s = DOCUMENT_SHARDS_WAIT_S,
    };
    err_t result = document_shards_sweep(&sweep, message);
    if (result != ERR_OK) {
        return command_fail(command, "%s", message[0] == '\0' ? err_text(result) : message);
    }
    (void)printf(
        options.json ? "{\"cold_parts\":%" PRIu64 "}\n" : "%" PRIu64 " cold parts deleted\n",
        sweep.ret_parts);
    return COMMAND_OK;
}

static const struct command documents_list = {
    .name = "list",
    .usage = "--map=FILE [OPTIONS]",
    .summary = "Shows what each shard of the documents has",
    .run = run_list,
    .parent = &command_documents,
};
static const struct command documents_verify = {
    .name = "verify",
    .usage = "--map=FILE [OPTIONS]",
    .summary = "Checks that every row is on the shard that the map says, with its cold part",
    .run = run_verify,
    .parent = &command_documents,
};
static const struct command documents_move = {
    .name = "move",
    .usage = "--map=FILE --next=FILE [OPTIONS]",
    .summary = "Moves merchants to the shards that the next map says",
    .manual =
        "Without --online: while no server has the documents open; one that starts meanwhile is "
        "refused. Write the "
        "next map beside the present one, with the next epoch: other slots, other split points, "
        "more or fewer shards, hash instead of range. Whatever is to be elsewhere is copied, "
        "compared and deleted, merchant by merchant; then the next map takes the place of the "
        "present one. A move that was cut off is ended by the same command again, or by one with "
        "a next map of the same epoch that leaves everything where it was.\n\nWith --online "
        "servers "
        "work on: changes are noted by the databases and followed; then all servers let go of the "
        "shards for a moment, in which the rest is followed and the map is replaced, and go on by "
        "it. A server that does not let go within 1 s has its connections ended. A move that was "
        "cut off is ended by the same command, or, before its step 'flip', taken back by --cancel "
        "in place of --online. All servers have to see the map's file change within 3 seconds.",
    .run = run_move,
    .parent = &command_documents,
};

static const struct command documents_sweep = {
    .name = "sweep",
    .usage = "--map=FILE [OPTIONS]",
    .summary = "Deletes cold parts that no row names any more",
    .manual =
        "Of a map with tables of columns: texts that were replaced, those of rows that were "
        "removed, and what a writer left that lost or died. Beside servers that work, now and "
        "then; it waits a minute before it deletes, so that whoever reads has ended. What no row "
        "names yet is deleted when it is a day old.",
    .run = run_sweep,
    .parent = &command_documents,
};

static const struct command *const documents_children[] = {
    &documents_list, &documents_verify, &documents_move, &documents_sweep, NULL};

const struct command command_documents = {
    .name = "documents",
    .usage = "COMMAND",
    .summary = "Shows, verifies, moves and sweeps the shards of the documents",
    .children = documents_children,
};
