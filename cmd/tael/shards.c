/* `tael shards`: plan, add, move, split. What a move is: shards/move.h. */
#include "shards.h"

#include "os/clock.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_MS      100
#define REPORT_SIZE   4096
#define SIZE_OF_SLOTS (sizeof(uint64_t) * PORT_LEDGER_SLOT_WORDS)

/* ---- slots ---- */

static void
slot_add(uint64_t *slots, uint32_t slot)
{
    slots[slot / 64] |= UINT64_C(1) << slot % 64;
}

static bool
slot_has(const uint64_t *slots, uint32_t slot)
{
    return (slots[slot / 64] >> slot % 64 & 1) != 0;
}

static uint32_t
slots_count(const uint64_t *slots)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        count += slot_has(slots, slot);
    }
    return count;
}

/* "0-99,200": false, with nothing said, if it is not that. */
static bool
slots_parse(const char *text, uint64_t *slots)
{
    const char *at = text;
    while (*at >= '0' && *at <= '9') {
        char *end = NULL;
        unsigned long first = strtoul(at, &end, 10);
        unsigned long last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9') {
            last = strtoul(end + 1, &end, 10);
        }
        if (last < first || last >= SHARD_SLOTS) {
            return false;
        }
        for (unsigned long slot = first; slot <= last; slot++) {
            slot_add(slots, (uint32_t)slot);
        }
        if (*end == '\0') {
            return true;
        }
        at = *end == ',' ? end + 1 : "";
    }
    return false;
}

/* ---- moving ---- */

struct moving {
    struct shards_link *link;
    struct show_progress progress;
    /* The last answer: a move that ends with an error of a shard asked no other one behind it. */
    uint32_t asked;
    err_t error;
};

static void
pause_a_little(void *context)
{
    (void)context;
    const struct timespec time = {.tv_nsec = PAUSE_MS * 1000000L};
    (void)nanosleep(&time, NULL);
}

static uint64_t
now_ns(void *context)
{
    (void)context;
    return os_monotonic_ns(os_clock_real());
}

static err_t
ask(void *context, uint32_t shard, struct port_ledger_request *request)
{
    struct moving *moving = context;
    moving->asked = shard;
    moving->error = shards_link_ask(moving->link, shard, request);
    return moving->error;
}

static err_t
replace(void *context, uint64_t expected, const struct shard_map *next)
{
    struct moving *moving = context;
    return shards_link_replace(moving->link, expected, next);
}

static bool
go_on(void *context, const struct shards_move_report *report)
{
    struct moving *moving = context;
    const char *stop = moving->link->options->stop_before;
    moving->progress.label = shards_move_step_name(report->step);
    show_progress_step(&moving->progress, report->target.sides, report->source.sides);
    return strcmp(stop, shards_move_step_name(report->step)) != 0;
}

static struct shards_move_parts
parts_of(struct moving *moving, uint32_t from, uint32_t to, const uint64_t *slots)
{
    struct shards_move_parts parts = {
        .map = moving->link->map,
        .from = from,
        .to = to,
        .ask = ask,
        .pause = pause_a_little,
        .now_ns = now_ns,
        .replace = replace,
        .go_on = go_on,
        .context = moving,
    };
    memcpy(parts.slots, slots, SIZE_OF_SLOTS);
    return parts;
}

/* Which shard a move that ended with `result` could not ask, and why; else `message` stays. */
static void
explain(const struct moving *moving, err_t result, char message[SHARDS_MESSAGE_SIZE])
{
    if (result == ERR_DENIED) {
        (void)shards_link_refusal(moving->link, message);
    } else if ((result == ERR_BUSY || result == ERR_OUTCOME_UNKNOWN) && moving->error == result) {
        shards_link_tell(moving->link, moving->asked, result, message);
    }
}

static void
print_report(
    const struct shards_link *link,
    const struct shards_move_parts *parts,
    const struct shards_move_report *report)
{
    const char *from = link->map->shards[parts->from].name;
    const char *to = link->map->shards[parts->to].name;
    uint32_t slots = slots_count(parts->slots);
    if (!link->options->json) {
        (void)printf(
            "%" PRIu32 " slots moved from %s to %s: %" PRIu64 " accounts, %" PRIu64
            " sides of events, the same on both; paused for %" PRIu64 " ms; epoch %" PRIu64 "\n",
            slots,
            from,
            to,
            report->source.accounts,
            report->source.sides,
            report->pause_ns / OS_NS_PER_MS,
            report->epoch);
        return;
    }
    char text[REPORT_SIZE];
    struct buf out;
    struct json_writer json;
    buf_init_fixed(&out, text, sizeof(text));
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_cstr(&json, "from", from);
    json_member_cstr(&json, "to", to);
    json_member_i64(&json, "slots", slots);
    json_member_i64(&json, "accounts", (int64_t)report->source.accounts);
    json_member_i64(&json, "sides", (int64_t)report->source.sides);
    json_member_i64(&json, "failed_ids", (int64_t)report->failed_ids);
    json_member_i64(&json, "adopted", (int64_t)report->adopted);
    json_key(&json, "hash");
    json_u128_text(&json, report->source.hash);
    json_member_i64(&json, "pause_us", (int64_t)(report->pause_ns / OS_NS_PER_US));
    json_member_i64(&json, "epoch", (int64_t)report->epoch);
    json_object_end(&json);
    (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
}

static int
move_slots(struct shards_link *link, uint32_t from, uint32_t to, const uint64_t *slots)
{
    char message[SHARDS_MESSAGE_SIZE];
    struct shards_move_report report;
    struct moving moving = {.link = link};
    struct shards_move_parts parts = parts_of(&moving, from, to, slots);
    if (link->options->dry_run) {
        (void)printf(
            "would move %" PRIu32 " slots from %s to %s\n",
            slots_count(slots),
            link->map->shards[from].name,
            link->map->shards[to].name);
        return COMMAND_OK;
    }
    const uint32_t both[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        err_t works = shards_link_await(link, both[i]);
        if (works != ERR_OK) {
            shards_link_tell(link, both[i], works, message);
            return command_fail(link->command, "nothing was begun: %s", message);
        }
    }
    show_progress_begin(&moving.progress, "moving");
    err_t result = shards_move(&parts, &report, message);
    show_progress_end(&moving.progress);
    explain(&moving, result, message);
    if (result != ERR_OK) {
        return command_fail(
            link->command,
            "in step %s: %s",
            shards_move_step_name(report.step),
            message[0] == '\0' ? err_text(result) : message);
    }
    print_report(link, &parts, &report);
    return COMMAND_OK;
}

/* ---- plans ---- */

/* "a,b" as a mark for each; false after saying what is wrong. */
static bool
leaves_parse(const struct shards_link *link, bool leaves[SHARD_SHARDS_MAX])
{
    char name[SHARD_NAME_SIZE];
    const char *at = link->options->without;
    memset(leaves, 0, SHARD_SHARDS_MAX * sizeof(leaves[0]));
    while (*at != '\0') {
        size_t size = strcspn(at, ",");
        uint32_t shard = 0;
        if (size == 0 || size >= sizeof(name)) {
            (void)command_misuse(link->command, "--without is names of shards, with commas");
            return false;
        }
        memcpy(name, at, size);
        name[size] = '\0';
        if (!shards_link_find(link, name, &shard)) {
            return false;
        }
        leaves[shard] = true;
        at += size + (at[size] == ',' ? 1 : 0);
    }
    return true;
}

/* NULL after saying why not. */
static struct shard_plan *
plan_make(const struct shards_link *link)
{
    bool leaves[SHARD_SHARDS_MAX];
    struct shard_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        (void)command_fail(link->command, "out of memory");
        return NULL;
    }
    if (!leaves_parse(link, leaves)) {
        free(plan);
        return NULL;
    }
    if (shard_plan_make(link->map, leaves, plan) != ERR_OK) {
        (void)command_fail(link->command, "no shard would stay");
        free(plan);
        return NULL;
    }
    return plan;
}

/* All slots that the plan moves between the two: one move. */
static bool
plan_slots(const struct shard_plan *plan, uint32_t from, uint32_t to, uint64_t *slots)
{
    bool any = false;
    memset(slots, 0, SIZE_OF_SLOTS);
    for (uint32_t i = 0; i < plan->move_count; i++) {
        const struct shard_move *move = &plan->moves[i];
        if (move->from != from || move->to != to) {
            continue;
        }
        any = true;
        for (uint32_t slot = move->first; slot <= move->last; slot++) {
            slot_add(slots, slot);
        }
    }
    return any;
}

static void
json_slots(struct json_writer *json, const uint64_t *slots)
{
    json_key(json, "slots");
    json_array_begin(json);
    for (uint32_t slot = 0; slot < SHARD_SLOTS;) {
        uint32_t end = slot;
        while (end < SHARD_SLOTS && slot_has(slots, end)) {
            end++;
        }
        if (end > slot) {
            json_array_begin(json);
            json_u64(json, slot);
            json_u64(json, end - 1);
            json_array_end(json);
        }
        slot = end + 1;
    }
    json_array_end(json);
}

static void
plan_row(
    const struct shards_link *link,
    struct show_table *table,
    struct json_writer *json,
    const uint64_t *slots,
    const uint32_t pair[2])
{
    const char *from = link->map->shards[pair[0]].name;
    const char *to = link->map->shards[pair[1]].name;
    show_cell(table, SHOW_PLAIN, "%s", from);
    show_cell(table, SHOW_PLAIN, "%s", to);
    show_cell(table, SHOW_PLAIN, "%" PRIu32, slots_count(slots));
    json_object_begin(json);
    json_member_cstr(json, "from", from);
    json_member_cstr(json, "to", to);
    json_slots(json, slots);
    json_object_end(json);
}

static int
plan_print(const struct shards_link *link, const struct shard_plan *plan)
{
    static const struct show_column columns[] = {
        {.title = "FROM"}, {.title = "TO"}, {.title = "SLOTS", .right = true}};
    struct show_table table;
    struct json_writer json;
    struct buf out;
    uint64_t slots[PORT_LEDGER_SLOT_WORDS];
    buf_init(&out, SHARD_TEXT_MAX);
    json_begin(&json, &out);
    json_array_begin(&json);
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t from = 0; from < link->map->shard_count; from++) {
        for (uint32_t to = 0; to < link->map->shard_count; to++) {
            const uint32_t pair[2] = {from, to};
            if (plan_slots(plan, from, to, slots)) {
                plan_row(link, &table, &json, slots, pair);
            }
        }
    }
    json_array_end(&json);
    bool printed = !buf_failed(&out);
    if (link->options->json && printed) {
        (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
        show_table_release(&table);
    } else {
        printed = show_table_finish(&table);
    }
    buf_release(&out);
    return printed ? COMMAND_OK : COMMAND_FAILED;
}

/* Move by move; the map is another one after each. */
static int
plan_do(struct shards_link *link)
{
    uint64_t slots[PORT_LEDGER_SLOT_WORDS];
    struct shard_plan *plan = plan_make(link);
    const struct command *command = link->command;
    const struct shards_options *options = link->options;
    int status = plan == NULL ? COMMAND_FAILED : COMMAND_OK;
    for (uint32_t pair = 0; status == COMMAND_OK && pair < SHARD_SHARDS_MAX * SHARD_SHARDS_MAX;
         pair++) {
        uint32_t from = pair / SHARD_SHARDS_MAX;
        uint32_t to = pair % SHARD_SHARDS_MAX;
        if (!plan_slots(plan, from, to, slots)) {
            continue;
        }
        status = move_slots(link, from, to, slots);
        if (status == COMMAND_OK && !options->dry_run) {
            shards_link_close(link);
            status = shards_link_open(command, options, true, true, link);
            status = status == COMMAND_GO_ON ? COMMAND_OK : status;
        }
    }
    free(plan);
    return status;
}

/* ---- commands ---- */

static const struct setting plan_settings[] = {
    OPTION_TEXT(
        struct shards_options, without, "without", "", "Shards that are to have none: NAME,NAME."),
    SHARDS_OPTIONS,
};
static const struct setting add_settings[] = {
    OPTION_TEXT(
        struct shards_options, at, "at", "", "Where the shard listens: HOST:PORT, or file:PATH."),
    SHARDS_OPTIONS,
};
static const struct setting move_settings[] = {
    OPTION_TEXT(struct shards_options, slots, "slots", "", "Which: 0-99,200."),
    OPTION_TEXT(struct shards_options, from, "from", "", "The shard that has them."),
    OPTION_TEXT(struct shards_options, to, "to", "", "The shard that gets them."),
    OPTION_SWITCH(
        struct shards_options,
        even,
        "even",
        "What 'tael shards plan' says, one move after another."),
    OPTION_TEXT(
        struct shards_options,
        without,
        "without",
        "",
        "With --even: shards that are to have none."),
    OPTION_SWITCH(
        struct shards_options,
        cancel,
        "cancel",
        "Ends a move that was cut off: the slots stay where the map says."),
    OPTION_SWITCH(struct shards_options, dry_run, "dry-run", "Says what would move."),
    OPTION_TEXT(
        struct shards_options,
        stop_before,
        "stop-before",
        "",
        "Stops before arrive, copy, catch-up, fence, verify, flip or clean-up."),
    SHARDS_OPTIONS,
};
static const struct setting split_settings[] = {
    OPTION_TEXT(struct shards_options, to, "to", "", "The shard that gets half of its slots."),
    OPTION_SWITCH(struct shards_options, dry_run, "dry-run", "Says what would move."),
    SHARDS_OPTIONS,
};

static int
run_plan(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct shards_options options;
    struct shards_link link;
    const struct shards_needs needs = {COMMAND_TABLE(plan_settings)};
    int status = shards_begin(command, &needs, argv, &options, &link);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct shard_plan *plan = plan_make(&link);
    status = plan == NULL ? COMMAND_FAILED : plan_print(&link, plan);
    free(plan);
    shards_link_close(&link);
    return status;
}

/* A shard without slots: the map must name it before it can start. */
static int
run_add(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct shards_options options;
    struct shards_link link;
    uint32_t shard = 0;
    const struct shards_needs needs = {COMMAND_TABLE(add_settings), .words = 1, .changes = true};
    int status = shards_begin(command, &needs, argv, &options, &link);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    uint64_t epoch = link.map->epoch;
    err_t result =
        shard_map_add(link.map, span_from_cstr(argv[1]), span_from_cstr(options.at), &shard);
    if (result == ERR_OK) {
        link.map->epoch++;
        result = shards_link_replace(&link, epoch, link.map);
    }
    shards_link_close(&link);
    if (result != ERR_OK) {
        return command_fail(
            command,
            "%s at '%s': %s",
            argv[1],
            options.at,
            result == ERR_INVALID ? "no such name or place can be" : err_text(result));
    }
    (void)printf("%s is in the map, without slots; epoch %" PRIu64 "\n", argv[1], epoch + 1);
    return COMMAND_OK;
}

static int
move_cancel(struct shards_link *link)
{
    char message[SHARDS_MESSAGE_SIZE];
    const uint64_t none[PORT_LEDGER_SLOT_WORDS] = {0};
    struct moving moving = {.link = link};
    uint32_t from = 0;
    uint32_t to = 0;
    if (!shards_link_find(link, link->options->from, &from) ||
        !shards_link_find(link, link->options->to, &to)) {
        return COMMAND_FAILED;
    }
    struct shards_move_parts parts = parts_of(&moving, from, to, none);
    err_t result = shards_move_cancel(&parts, message);
    explain(&moving, result, message);
    if (result != ERR_OK) {
        return command_fail(link->command, "%s", message[0] == '\0' ? err_text(result) : message);
    }
    (void)printf("cancelled; epoch %" PRIu64 "\n", link->map->epoch + 1);
    return COMMAND_OK;
}

static int
move_named(struct shards_link *link)
{
    const struct shards_options *options = link->options;
    uint64_t slots[PORT_LEDGER_SLOT_WORDS] = {0};
    uint32_t from = 0;
    uint32_t to = 0;
    if (!slots_parse(options->slots, slots)) {
        return command_misuse(link->command, "--slots is numbers to 16383: 0-99,200");
    }
    if (!shards_link_find(link, options->from, &from) ||
        !shards_link_find(link, options->to, &to)) {
        return COMMAND_FAILED;
    }
    return move_slots(link, from, to, slots);
}

static int
run_move(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct shards_options options;
    struct shards_link link;
    const struct shards_needs needs = {
        COMMAND_TABLE(move_settings), .changes = true, .connects = true};
    int status = shards_begin(command, &needs, argv, &options, &link);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    status = options.cancel ? move_cancel(&link)
             : options.even ? plan_do(&link)
                            : move_named(&link);
    if (link.command != NULL) {
        shards_link_close(&link);
    }
    return status;
}

/* The upper half of a shard's slots, by their numbers. */
static int
run_split(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct shards_options options;
    struct shards_link link;
    uint64_t slots[PORT_LEDGER_SLOT_WORDS] = {0};
    uint32_t from = 0;
    uint32_t to = 0;
    uint32_t owned = 0;
    const struct shards_needs needs = {
        COMMAND_TABLE(split_settings), .words = 1, .changes = true, .connects = true};
    int status = shards_begin(command, &needs, argv, &options, &link);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    status = COMMAND_FAILED;
    if (shards_link_find(&link, argv[1], &from) && shards_link_find(&link, options.to, &to)) {
        for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
            owned += link.map->owners[slot] == from;
        }
        uint32_t passed = 0;
        for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
            if (link.map->owners[slot] == from && passed++ >= owned - owned / 2) {
                slot_add(slots, slot);
            }
        }
        status = move_slots(&link, from, to, slots);
    }
    shards_link_close(&link);
    return status;
}

static const struct command shards_plan = {
    .name = "plan",
    .usage = "[OPTIONS]",
    .summary = "Says which slots would move until all shards have the same number",
    .run = run_plan,
    .parent = &command_shards,
};
static const struct command shards_add = {
    .name = "add",
    .usage = "NAME --at=HOST:PORT [OPTIONS]",
    .summary = "Adds a shard without slots to the map",
    .manual =
        "Start its process afterwards, then give it slots with 'tael shards move' or 'split'.",
    .run = run_add,
    .parent = &command_shards,
};
static const struct command shards_move_command = {
    .name = "move",
    .usage = "--slots=SLOTS --from=NAME --to=NAME [OPTIONS]",
    .summary = "Moves slots with all that is in them, while the shards work",
    .manual =
        "A move that was cut off, by whatever, is finished by the same command again, or undone "
        "with --cancel as long as the slots have not changed hands; afterwards it is undone "
        "by moving them back. Accounts of the slots are paused at the end, for less than half "
        "a second.",
    .run = run_move,
    .parent = &command_shards,
};
static const struct command shards_split = {
    .name = "split",
    .usage = "NAME --to=NAME [OPTIONS]",
    .summary = "Moves half of a shard's slots to another shard",
    .run = run_split,
    .parent = &command_shards,
};

static const struct command *const shards_children[] = {
    &shards_list,
    &shards_plan,
    &shards_add,
    &shards_move_command,
    &shards_split,
    &shards_verify,
    NULL};

const struct command command_shards = {
    .name = "shards",
    .usage = "COMMAND",
    .summary = "Shows, adds, evens out and verifies the shards of a ledger",
    .children = shards_children,
};
