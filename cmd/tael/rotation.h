/*
 * `rotate` and `status` of keys that a process rotates while it works: what `tael vault` and
 * `tael webhooks` have in common. POST begins a rotation, GET tells its state: an object with
 * "rotating", "failing" and "unreadable" (how many things no key opens).
 */
#ifndef TAEL_ROTATION_H
#define TAEL_ROTATION_H

#include "client.h"
#include "show.h"

struct rotation_options {
    struct client_options client;
    bool no_wait;
};

/* `where`: whose operators' address it is. */
#define ROTATION_STATUS_OPTIONS(where) CLIENT_OPTIONS_WITHOUT_KEY(struct rotation_options, where)
#define ROTATION_ROTATE_OPTIONS(where)                                                             \
    OPTION_SWITCH(                                                                                 \
        struct rotation_options,                                                                   \
        no_wait,                                                                                   \
        "no-wait",                                                                                 \
        "Returns when the new key is in use, and lets the server do the rest."),                   \
        ROTATION_STATUS_OPTIONS(where)

/* Of whose keys. The functions are given the state; `values` of the options are the callee's. */
struct rotation {
    struct span target;
    struct command_options rotate_options, status_options;
    bool (*print)(const struct json_value *keys); /* for people; false: it could not */
    void (*print_begun)(const struct json_value *keys);
    void (*print_done)(const struct json_value *keys);
    /* One line, after the end, on what no key opens. */
    int (*fail_unreadable)(const struct command *command, const struct json_value *keys);
};

/* What the commands' `run` does; both return the exit status. Rotating waits for the end, which is
 * a failure if there is something that no key opens. */
int rotation_rotate(const struct command *command, const struct rotation *of, char **argv);
int rotation_status(const struct command *command, const struct rotation *of, char **argv);

/* A row of the state for people: "rotating", "failing" or `done`. */
void rotation_show_state(struct show_table *table, const struct json_value *keys, const char *done);

#endif
