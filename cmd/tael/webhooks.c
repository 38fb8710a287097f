/* `tael webhooks`: the keys that the secrets of webhook endpoints and participants are sealed with:
 * what is under each, and going over to the next one. */
#include "rotation.h"

#include <stdio.h>

#define WHERE "Where to ask: --admin-listen of a process with the role events."

static const struct setting status_settings[] = {ROTATION_STATUS_OPTIONS(WHERE)};
static const struct setting rotate_settings[] = {ROTATION_ROTATE_OPTIONS(WHERE)};

struct key {
    struct span name;
    bool in_use;
    bool newer; /* than the one in use: before it in the file */
    long long secrets;
};

/* The key at `*at`, and *at behind it. False: there are no more. */
static bool
next_key(const struct json_value **at, bool *newer, struct key *key)
{
    const struct json_value *item = *at;
    if (item == NULL) {
        return false;
    }
    *key = (struct key){
        .name = client_text(item, "name"),
        .in_use = client_bool(item, "in_use"),
        .secrets = (long long)client_i64(item, "secrets", 0),
    };
    *newer = *newer && !key->in_use;
    key->newer = *newer;
    *at = item->next;
    return true;
}

static const struct json_value *
first_key(const struct json_value *state)
{
    const struct json_value *keys = client_member(state, "keys");
    return keys == NULL || keys->kind != JSON_KIND_ARRAY ? NULL : keys->first_child;
}

static bool
print_state(const struct json_value *state)
{
    struct show_table table;
    struct key key;
    bool rotating = client_bool(state, "rotating");
    bool missing = client_bool(state, "missing");
    bool newer = !missing;
    long long unreadable = (long long)client_i64(state, "unreadable", 0);
    const struct json_value *at = first_key(state);
    bool single = at != NULL && at->next == NULL;
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    while (next_key(&at, &newer, &key)) {
        const char *what = key.in_use                                  ? "in use"
                           : key.newer                                 ? "not in use yet"
                           : key.secrets == 0 && !rotating && !missing ? "may be removed"
                                                                       : "needed";
        show_cell(&table, SHOW_PLAIN, "key %.*s", SPAN_PRINTF(key.name));
        if (single) { /* then nobody counts all the time */
            show_cell(&table, SHOW_PLAIN, "%s", what);
        } else {
            show_cell(&table, SHOW_PLAIN, "%s, %lld secrets", what, key.secrets);
        }
    }
    rotation_show_state(
        &table,
        state,
        missing ? "the key in use is not in this process's file" : "nothing is under older keys");
    if (unreadable > 0) {
        show_cell(&table, SHOW_PLAIN, "unreadable");
        show_cell(&table, SHOW_RED, "%lld", unreadable);
    }
    return show_table_finish(&table);
}

static void
print_begun(const struct json_value *state)
{
    struct key key;
    bool newer = true;
    const struct json_value *at = first_key(state);
    while (next_key(&at, &newer, &key)) {
        if (key.in_use) {
            (void)printf("key %.*s is in use\n", SPAN_PRINTF(key.name));
        }
    }
}

static void
print_done(const struct json_value *state)
{
    struct key key;
    bool newer = true;
    const struct json_value *at = first_key(state);
    while (next_key(&at, &newer, &key)) {
        if (key.in_use) {
            (void)printf("%lld secrets are under it\n", key.secrets);
        } else if (!key.newer) {
            (void)printf(
                "nothing is under %.*s: it may be removed from the file\n", SPAN_PRINTF(key.name));
        }
    }
}

static int
fail_unreadable(const struct command *command, const struct json_value *state)
{
    return command_fail(
        command,
        "%lld secrets are under none of the keys, or damaged. The server's log has the ids: roll "
        "their secrets, or put their key back into the file",
        (long long)client_i64(state, "unreadable", 0));
}

static const struct rotation rotation = {
    .target = {.data = "/webhooks/keys", .size = sizeof("/webhooks/keys") - 1},
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

static const struct command webhooks_rotate_command = {
    .name = "rotate",
    .usage = "[OPTIONS]",
    .summary = "The first key of the file comes into use; secrets that are there are sealed anew",
    .manual =
        "First put a new key in front of the other in the file (webhook-key-file, or "
        "webhooks/master.key in the data\nfolder) of every server of the documents, and restart "
        "them. Then this command asks one of them, on its\noperators' address, while all work. In "
        "the end it says which keys may be removed from the file\n(docs/operations/keys.md).",
    .run = run_rotate,
    .parent = &command_webhooks,
};
static const struct command webhooks_status_command = {
    .name = "status",
    .usage = "[OPTIONS]",
    .summary = "Which key is in use, and how many secrets are under each",
    .run = run_status,
    .parent = &command_webhooks,
};

static const struct command *const webhooks_children[] = {
    &webhooks_rotate_command, &webhooks_status_command, NULL};

const struct command command_webhooks = {
    .name = "webhooks",
    .usage = "COMMAND",
    .summary = "Rotates the key of the secrets of webhooks and participants",
    .children = webhooks_children,
};
