/* `tael vault`: the keys that card numbers are encrypted with: what state they are in, and the next
 * ones. */
#include "rotation.h"

#include <stdio.h>

#define WHERE "Where to ask: --admin-listen of the process with the role vault."

static const struct setting status_settings[] = {ROTATION_STATUS_OPTIONS(WHERE)};
static const struct setting rotate_settings[] = {ROTATION_ROTATE_OPTIONS(WHERE)};

static bool
print_state(const struct json_value *keys)
{
    struct show_table table;
    long long unreadable = (long long)client_i64(keys, "unreadable", 0);
    const struct json_value *cards = client_member(keys, "unreadable_cards");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_cell(&table, SHOW_PLAIN, "generation");
    show_cell(&table, SHOW_PLAIN, "%lld", (long long)client_i64(keys, "generation", 0));
    rotation_show_state(&table, keys, "older keys are gone");
    show_cell(&table, SHOW_PLAIN, "encrypted anew");
    show_cell(&table, SHOW_PLAIN, "%lld since the start", (long long)client_i64(keys, "cards", 0));
    if (unreadable > 0) {
        show_cell(&table, SHOW_PLAIN, "unreadable");
        show_cell(&table, SHOW_RED, "%lld cards, set aside", unreadable);
    }
    for (const struct json_value *card = cards == NULL ? NULL : cards->first_child; card != NULL;
         card = card->next) {
        show_cell(&table, SHOW_PLAIN, "%s", "");
        show_cell_span(&table, SHOW_PLAIN, card->text);
    }
    return show_table_finish(&table);
}

static void
print_begun(const struct json_value *keys)
{
    (void)printf("generation %lld is in use\n", (long long)client_i64(keys, "generation", 0));
}

static void
print_done(const struct json_value *keys)
{
    (void)printf(
        "%lld cards encrypted anew; older keys are gone\n",
        (long long)client_i64(keys, "cards", 0));
}

static int
fail_unreadable(const struct command *command, const struct json_value *keys)
{
    return command_fail(
        command,
        "%lld cards are damaged and were set aside, by this rotation or one before: nothing can be "
        "paid with them. tael vault status shows which",
        (long long)client_i64(keys, "unreadable", 0));
}

static const struct rotation rotation = {
    .target = {.data = "/vault/keys", .size = sizeof("/vault/keys") - 1},
    .print = print_state,
    .print_begun = print_begun,
    .print_done = print_done,
    .fail_unreadable = fail_unreadable,
    .rotate_options = {COMMAND_TABLE(rotate_settings)},
    .status_options = {COMMAND_TABLE(status_settings)},
};

static int
run_rotate(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return rotation_rotate(command, &rotation, argv);
}

static int
run_status(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return rotation_status(command, &rotation, argv);
}

/* ------------------------------------------------------------------------------- the commands */

static const struct command vault_rotate_command = {
    .name = "rotate",
    .usage = "[OPTIONS]",
    .summary = "New keys for card numbers; what is there is encrypted anew",
    .manual =
        "Asks the process with the vault, on its operators' address, while it works. From the "
        "answer on new cards\nlie under the new keys; those that are there follow, some thousand a "
        "second, and then the old keys are\nremoved. A rotation that was cut off goes on when the "
        "process starts again (docs/operations/keys.md).",
    .run = run_rotate,
    .parent = &command_vault,
};
static const struct command vault_status_command = {
    .name = "status",
    .usage = "[OPTIONS]",
    .summary = "Which generation of keys is in use, and whether older ones are there yet",
    .run = run_status,
    .parent = &command_vault,
};

static const struct command *const vault_children[] = {
    &vault_rotate_command, &vault_status_command, NULL};

const struct command command_vault = {
    .name = "vault",
    .usage = "COMMAND",
    .summary = "Rotates the keys of card numbers",
    .children = vault_children,
};
