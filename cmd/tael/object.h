/*
 * What the commands that show and change API objects share: one run of such a command, and how
 * parts of objects are shown.
 *
 *     struct object_run run;
 *     int status = object_begin(&run, command, options, &client_options, argv);
 *     if (status == COMMAND_GO_ON) { ... client_call(run.client, ...) ... }
 *     client_close(&run.client);
 */
#ifndef TAEL_OBJECT_H
#define TAEL_OBJECT_H

#include "client.h"
#include "show.h"

struct object_run {
    const struct command *command;
    const struct client_options *options;
    struct client *client; /* the caller closes it, whatever object_begin said */
    struct span id;        /* the word, if the command takes one */
};

/* Reads the options, with `client_options` among them, and the id; opens the client. COMMAND_GO_ON,
 * or the exit status after a message. */
int object_begin(
    struct object_run *run,
    const struct command *command,
    struct command_options options,
    const struct client_options *client_options,
    char **argv);

/* The parameters of a list; 0 and "" are left out. */
void object_list_form(struct buf *form, int64_t limit, const char *customer, const char *after);

/* Asks for what is at `path`, the id and `behind`, with the parameters of `form`. COMMAND_GO_ON, or
 * the exit status after a message; the caller releases the answer in either case. */
int object_get(
    const struct object_run *run,
    const char *path,
    const char *behind,
    struct span form,
    struct client_answer *ret_answer);

/* The exit status. The answer as it came with --json, else as `print` does. */
int object_print(
    const struct object_run *run,
    const struct client_answer *answer,
    bool (*print)(const struct json_value *object));
/* The same for a list: `print` is given its `data`, and what is said of an empty one is `nothing`.
 */
int object_print_list(
    const struct object_run *run,
    const struct client_answer *answer,
    bool (*print)(const struct json_value *data),
    const char *nothing);

void object_cell_amount(struct show_table *table, int64_t amount, struct span currency);
/* When it was created. */
void object_cell_created(struct show_table *table, const struct json_value *object);
void object_pair_created(struct show_table *table, const struct json_value *object);

#endif
