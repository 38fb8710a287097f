/* `tael vault`: the keys that card numbers are encrypted with: what state they are in, and the next
 * ones. */
#include "client.h"
#include "show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TARGET   SPAN("/vault/keys")
#define PAUSE_MS 200

struct vault_options {
    struct client_options client;
    bool no_wait;
};

#define VAULT_OPTIONS                                                                              \
    CLIENT_OPTIONS_WITHOUT_KEY(                                                                    \
        struct vault_options, "Where to ask: --admin-listen of the process with the role vault.")

static const struct setting status_settings[] = {VAULT_OPTIONS};
static const struct setting rotate_settings[] = {
    OPTION_SWITCH(
        struct vault_options,
        no_wait,
        "no-wait",
        "Returns when the new keys are in use, and lets the server do the rest."),
    VAULT_OPTIONS,
};

/* ----------------------------------------------------------------------------------- printing */

static bool
print_state(const struct json_value *keys)
{
    struct show_table table;
    bool rotating = client_bool(keys, "rotating");
    long long unreadable = (long long)client_i64(keys, "unreadable", 0);
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_cell(&table, SHOW_PLAIN, "generation");
    show_cell(&table, SHOW_PLAIN, "%lld", (long long)client_i64(keys, "generation", 0));
    show_cell(&table, SHOW_PLAIN, "state");
    show_cell(
        &table,
        rotating ? SHOW_YELLOW : SHOW_PLAIN,
        "%s",
        client_bool(keys, "failing") ? "the last step of a rotation failed; it is tried again"
        : rotating                   ? "a rotation is under way"
                                     : "older keys are gone");
    show_cell(&table, SHOW_PLAIN, "encrypted anew");
    show_cell(&table, SHOW_PLAIN, "%lld since the start", (long long)client_i64(keys, "cards", 0));
    if (unreadable > 0) {
        show_cell(&table, SHOW_PLAIN, "unreadable");
        show_cell(&table, SHOW_RED, "%lld", unreadable);
    }
    return show_table_finish(&table);
}

/* ------------------------------------------------------------------------------------ rotating */

static void
pause_a_little(void)
{
    const struct timespec time = {.tv_nsec = PAUSE_MS * 1000000L};
    (void)nanosleep(&time, NULL);
}

/* What is left when it stands still, or fails. */
static int
stands_still(const struct command *command, const struct json_value *keys)
{
    return command_fail(
        command,
        "generation %lld is in use, and %lld cards are damaged: their key is kept, and the "
        "rotation does not end. The server's log has more",
        (long long)client_i64(keys, "generation", 0),
        (long long)client_i64(keys, "unreadable", 0));
}

/* Asks until nothing older is there. */
static int
wait_for_end(const struct command *command, struct client *client, bool json)
{
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = TARGET};
    for (;;) {
        struct client_answer answer;
        int status = client_call(client, &request, &answer);
        bool rotating = status == COMMAND_GO_ON && client_bool(answer.root, "rotating");
        if (status == COMMAND_GO_ON && client_i64(answer.root, "unreadable", 0) > 0) {
            status = stands_still(command, answer.root);
        } else if (status == COMMAND_GO_ON && !rotating) {
            if (json) {
                client_answer_print(&answer);
            } else {
                (void)printf(
                    "%lld cards encrypted anew; older keys are gone\n",
                    (long long)client_i64(answer.root, "cards", 0));
            }
            status = COMMAND_OK;
        }
        client_answer_release(&answer);
        if (status != COMMAND_GO_ON) {
            return status;
        }
        pause_a_little();
    }
}

static int
rotate(const struct command *command, struct client *client, const struct vault_options *options)
{
    const struct client_request request = {.method = HTTP_METHOD_POST, .target = TARGET};
    struct client_answer answer;
    int status = client_call(client, &request, &answer);
    if (status == COMMAND_GO_ON && !options->client.json) {
        (void)printf(
            "generation %lld is in use\n", (long long)client_i64(answer.root, "generation", 0));
        (void)fflush(stdout);
    }
    if (status == COMMAND_GO_ON && options->no_wait) {
        if (options->client.json) {
            client_answer_print(&answer);
        }
        status = COMMAND_OK;
    }
    client_answer_release(&answer);
    return status == COMMAND_GO_ON ? wait_for_end(command, client, options->client.json) : status;
}

static int
run_rotate(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct vault_options values;
    struct client *client = NULL;
    const struct command_options options = {COMMAND_TABLE(rotate_settings), .values = &values};
    int positional = 0;
    memset(&values, 0, sizeof(values));
    int status = command_options(command, &options, argv, &positional);
    if (status == COMMAND_GO_ON) {
        status = client_open_without_key(command, &values.client, &client);
    }
    if (status == COMMAND_GO_ON) {
        status = rotate(command, client, &values);
    }
    client_close(&client);
    return status;
}

static int
run_status(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct vault_options values;
    struct client *client = NULL;
    const struct command_options options = {COMMAND_TABLE(status_settings), .values = &values};
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = TARGET};
    int positional = 0;
    memset(&values, 0, sizeof(values));
    int status = command_options(command, &options, argv, &positional);
    if (status == COMMAND_GO_ON) {
        status = client_open_without_key(command, &values.client, &client);
    }
    return status == COMMAND_GO_ON ? client_ask_once(client, &request, print_state) : status;
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
