/* The program: finds the subcommand and runs it. */
#include "command.h"
#include "option.h"

#include "os/fault.h"
#include "os/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_server,
    &command_gateway,
    &command_local_cluster,
    &command_pay,
    &command_payments,
    &command_payouts,
    &command_trace,
    &command_wallets,
    &command_listen,
    &command_health,
    &command_keys,
    &command_merchants,
    &command_qr,
    &command_ledger,
    &command_backup,
    &command_restore,
    &command_shards,
    &command_documents,
    &command_txn,
    &command_vault,
    &command_webhooks,
    &command_bench,
    &command_openapi,
    &command_card_host,
    &command_version,
    NULL,
};

struct version_options {
    bool json;
};

static const struct setting version_settings[] = {OPTION_SWITCH(
    struct version_options,
    json,
    "json",
    "Prints JSON, with what the program was built with: fault_points are where tests inject "
    "crashes and failures.")};

static int
show_version(const struct command *command, int argc, char **argv)
{
    (void)argc;
    int positional = 0;
    struct version_options values = {.json = false};
    const struct command_options options = {COMMAND_TABLE(version_settings), .values = &values};
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (values.json) {
        (void)printf(
            "{\"version\":\"%s\",\"fault_points\":%s}\n",
            TAEL_VERSION,
            FAULT_POINTS ? "true" : "false");
    } else {
        (void)printf("tael %s\n", TAEL_VERSION);
    }
    return COMMAND_OK;
}

const struct command command_version = {
    .name = "version",
    .usage = "[OPTIONS]",
    .summary = "Prints the program's version",
    .run = show_version,
};

static void
list_commands(FILE *out)
{
    (void)fputs("usage: tael COMMAND [OPTIONS]\n\nAn open-source payment platform.\n\n", out);
    for (const struct command *const *command = commands; *command != NULL; command++) {
        (void)fprintf(out, "    %-13s %s\n", (*command)->name, (*command)->summary);
    }
    (void)fputs("\n'tael COMMAND --help' tells more.\n", out);
}

static const struct command *
find_command(const char *name)
{
    for (const struct command *const *command = commands; *command != NULL; command++) {
        if (strcmp(name, (*command)->name) == 0) {
            return *command;
        }
    }
    return NULL;
}

/* "help ledger check" becomes "ledger check --help". */
static void
turn_help_around(int argc, char **argv)
{
    static char flag[] = "--help";
    for (int i = 1; i + 1 < argc; i++) {
        argv[i] = argv[i + 1];
    }
    argv[argc - 1] = flag;
}

int
main(int argc, char **argv)
{
    os_process_ignore_pipe_signal();
    if (argc < 2) {
        list_commands(stderr);
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "help") == 0) {
        turn_help_around(argc, argv);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        list_commands(stdout);
        return COMMAND_OK;
    }
    const struct command *command =
        find_command(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
    if (command == NULL) {
        (void)fprintf(
            stderr, "tael: %s '%.60s'\nTry 'tael --help'.\n", command_no_child(argv[1]), argv[1]);
        return COMMAND_USAGE;
    }
    int status = command_run(command, argc - 1, argv + 1);
    /* What did not reach a full disk or a closed pipe was not printed. */
    if (fflush(stdout) != 0 && status == COMMAND_OK) {
        if (errno != EPIPE) { /* else whoever read has seen enough */
            (void)fprintf(stderr, "tael: standard output cannot be written\n");
        }
        return COMMAND_FAILED;
    }
    return status;
}
