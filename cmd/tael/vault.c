/* `tael vault`: the keys that card numbers are encrypted with: what state they are in, and the next
 * ones; the end of cards that no key opens. */
#include "rotation.h"

#include "form/form.h"

#include <stdio.h>
#include <string.h>

#define WHERE     "Where to ask: --admin-listen of the process with the role vault."

#define FORM_SIZE 128

struct discard_options {
    struct client_options client;
    bool all_damaged;
};

static const struct setting status_settings[] = {ROTATION_STATUS_OPTIONS(WHERE)};
static const struct setting rotate_settings[] = {ROTATION_ROTATE_OPTIONS(WHERE)};
static const struct setting discard_settings[] = {
    OPTION_SWITCH(
        struct discard_options,
        all_damaged,
        "all-damaged",
        "Instead of one card: all that 'tael vault status' counts as unreadable."),
    CLIENT_OPTIONS_WITHOUT_KEY(struct discard_options, WHERE),
};

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
        "paid with them. tael vault status shows which, tael vault discard removes them",
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

/* ----------------------------------------------------------------------------- discarding */

static bool
print_discarded(const struct json_value *keys)
{
    long long left = (long long)client_i64(keys, "unreadable", 0);
    (void)printf("%lld damaged cards discarded\n", (long long)client_i64(keys, "discarded", 0));
    if (left > 0) {
        (void)printf("%lld are left\n", left);
    }
    return true;
}

static int
run_discard(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct discard_options values;
    const struct command_options options = {
        COMMAND_TABLE(discard_settings), .values = &values, .positional_max = 1};
    int positional = 0;
    memset(&values, 0, sizeof(values));
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (values.all_damaged == (positional == 1)) {
        return command_misuse(command, "either a CARD_ID or --all-damaged is needed");
    }
    if (positional == 1 && !text_is_id(span_from_cstr(argv[1]))) {
        return command_misuse(command, "'%.80s' is no id of a card", argv[1]);
    }
    char text[FORM_SIZE];
    struct buf form;
    struct client *client = NULL;
    buf_init_fixed(&form, text, sizeof(text));
    form_append(
        &form,
        values.all_damaged ? "all_damaged" : "card",
        values.all_damaged ? SPAN("true") : span_from_cstr(argv[1]));
    const struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = SPAN("/vault/discard"),
        .body = buf_span(&form),
    };
    status = client_open_without_key(command, &values.client, &client);
    return status == COMMAND_GO_ON ? client_ask_once(client, &request, print_discarded) : status;
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

static const struct command vault_discard_command = {
    .name = "discard",
    .usage = "CARD_ID | --all-damaged [OPTIONS]",
    .summary = "Removes damaged cards, which a rotation has set aside",
    .manual = "Only such a card, and only if no key of the vault opens it; there is no way back. "
              "Payment methods\nthat have it stay, and cannot be paid with, as before "
              "(docs/operations/keys.md).",
    .run = run_discard,
    .parent = &command_vault,
};

static const struct command *const vault_children[] = {
    &vault_rotate_command, &vault_status_command, &vault_discard_command, NULL};

const struct command command_vault = {
    .name = "vault",
    .usage = "COMMAND",
    .summary = "Rotates the keys of card numbers, removes damaged cards",
    .children = vault_children,
};
