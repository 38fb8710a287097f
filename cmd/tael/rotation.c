#include "rotation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_MS 200

void
rotation_show_state(struct show_table *table, const struct json_value *keys, const char *done)
{
    bool rotating = client_bool(keys, "rotating");
    show_cell(table, SHOW_PLAIN, "state");
    show_cell(
        table,
        rotating ? SHOW_YELLOW : SHOW_PLAIN,
        "%s",
        client_bool(keys, "failing") ? "the last step of a rotation failed; it is tried again"
        : rotating                   ? "a rotation is under way"
                                     : done);
}

static void
pause_a_little(void)
{
    const struct timespec time = {.tv_nsec = PAUSE_MS * 1000000L};
    (void)nanosleep(&time, NULL);
}

static int
ended(
    const struct command *command,
    const struct rotation *of,
    const struct client_answer *answer,
    bool json)
{
    if (json) {
        client_answer_print(answer);
    } else {
        of->print_done(answer->root);
        (void)fflush(stdout);
    }
    return client_i64(answer->root, "unreadable", 0) > 0
               ? of->fail_unreadable(command, answer->root)
               : COMMAND_OK;
}

/* Asks until nothing older is there. */
static int
wait_for_end(
    const struct command *command, const struct rotation *of, struct client *client, bool json)
{
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = of->target};
    for (;;) {
        struct client_answer answer;
        int status = client_call(client, &request, &answer);
        if (status == COMMAND_GO_ON && !client_bool(answer.root, "rotating")) {
            status = ended(command, of, &answer, json);
        }
        client_answer_release(&answer);
        if (status != COMMAND_GO_ON) {
            return status;
        }
        pause_a_little();
    }
}

static int
rotate(
    const struct command *command,
    const struct rotation *of,
    struct client *client,
    const struct rotation_options *options)
{
    const struct client_request request = {.method = HTTP_METHOD_POST, .target = of->target};
    struct client_answer answer;
    int status = client_call(client, &request, &answer);
    if (status == COMMAND_GO_ON && !options->client.json) {
        of->print_begun(answer.root);
        (void)fflush(stdout);
    }
    if (status == COMMAND_GO_ON && options->no_wait) {
        if (options->client.json) {
            client_answer_print(&answer);
        }
        status = COMMAND_OK;
    }
    client_answer_release(&answer);
    return status == COMMAND_GO_ON ? wait_for_end(command, of, client, options->client.json)
                                   : status;
}

static int
begin(
    const struct command *command,
    const struct command_options *table,
    char **argv,
    struct rotation_options *values,
    struct client **client)
{
    struct command_options options = *table;
    options.values = values;
    int positional = 0;
    memset(values, 0, sizeof(*values));
    int status = command_options(command, &options, argv, &positional);
    return status == COMMAND_GO_ON ? client_open_without_key(command, &values->client, client)
                                   : status;
}

int
rotation_rotate(const struct command *command, const struct rotation *of, char **argv)
{
    struct rotation_options values;
    struct client *client = NULL;
    int status = begin(command, &of->rotate_options, argv, &values, &client);
    if (status == COMMAND_GO_ON) {
        status = rotate(command, of, client, &values);
    }
    client_close(&client);
    return status;
}

int
rotation_status(const struct command *command, const struct rotation *of, char **argv)
{
    struct rotation_options values;
    struct client *client = NULL;
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = of->target};
    int status = begin(command, &of->status_options, argv, &values, &client);
    return status == COMMAND_GO_ON ? client_ask_once(client, &request, of->print) : status;
}
