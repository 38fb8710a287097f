/*
 * A subcommand of the program. main.c has the table of them; each lives in a file of its own, which
 * exports one constant descriptor.
 *
 *     tael server --data=DIR --listen=127.0.0.1:4242
 *     tael ledger check DIR --json
 *
 * Precedence of options: default, file of --config (server only), TAEL_* variable, flag.
 */
#ifndef TAEL_COMMAND_H
#define TAEL_COMMAND_H

#include "base/settings.h"

enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1, /* it was understood, and did not work; standard error says why */
    COMMAND_USAGE = 2,  /* it was not understood */
    COMMAND_GO_ON = -1, /* of command_options only: the options are read, do the work */
};

struct command {
    const char *name;    /* "server" */
    const char *usage;   /* behind the name: "[OPTIONS] DIR" */
    const char *summary; /* one line for the list of commands, no full stop */
    const char *manual;  /* paragraphs of the command's own --help; may be NULL */
    /* argv[0] is the command's name, argv ends with NULL. Returns an enum command_exit. */
    int (*run)(const struct command *command, int argc, char **argv);
    /* Commands below this one ("ledger check"), ended by NULL; `run` is then NULL. */
    const struct command *const *children;
    const struct command *parent;
};

/* The options of a command. */
struct command_options {
    const struct setting *table;
    size_t count;
    void *values;
    int positional_min; /* how many words besides the options there may be */
    int positional_max;
    /* Every TAEL_* variable must be one of the table (or of another command's, below): for the
     * server, where a misspelt variable must not be without effect. */
    bool strict_environment;
    /* Name of a text setting that is a file with settings, or NULL. */
    const char *config;
};

/* The first two members of command_options, of an array of settings. */
#define COMMAND_TABLE(rows) .table = (rows), .count = sizeof(rows) / sizeof((rows)[0])

/*
 * Sets `values` from everything that the comment on top names, and moves the words that are no
 * options to argv[1 ... *ret_positional]. COMMAND_GO_ON, or the exit status: COMMAND_OK after
 * --help, COMMAND_USAGE after saying what is wrong.
 */
int command_options(
    const struct command *command,
    const struct command_options *options,
    char **argv,
    int *ret_positional);

/* What is wrong with a word that is no command's name; the word follows. */
const char *command_no_child(const char *word);

/* Runs argv[0]'s child named argv[1], or tells what there is. */
int command_run(const struct command *command, int argc, char **argv);

/* "tael ledger check: " and the text to standard error. Returns COMMAND_FAILED, to be passed on. */
__attribute__((format(printf, 2, 3))) int command_fail(
    const struct command *command, const char *format, ...);
/* The same with a hint at --help; returns COMMAND_USAGE. */
__attribute__((format(printf, 2, 3))) int command_misuse(
    const struct command *command, const char *format, ...);

extern const struct command command_backup;
extern const struct command command_bench;
extern const struct command command_documents;
extern const struct command command_card_host;
extern const struct command command_gateway;
extern const struct command command_health;
extern const struct command command_keys;
extern const struct command command_ledger;
extern const struct command command_txn;
extern const struct command command_listen;
extern const struct command command_local_cluster;
extern const struct command command_merchants;
extern const struct command command_openapi;
extern const struct command command_pay;
extern const struct command command_payments;
extern const struct command command_payouts;
extern const struct command command_wallets;
extern const struct command command_webhooks;
extern const struct command command_qr;
extern const struct command command_restore;
extern const struct command command_server;
extern const struct command command_shards;
extern const struct command command_trace;
extern const struct command command_vault;
extern const struct command command_version;

#endif
