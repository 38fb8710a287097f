/* `tael ledger accounts` and `tael ledger transfers`: what a server's ledger holds. */
#include "ledger_list.h"

#include <string.h>

#define FILTER_OPTIONS(limit_)                                                                     \
    OPTION_TEXT(                                                                                   \
        struct ledger_list_options, merchant, "merchant", "", "Whose account --account means."),   \
        OPTION_TEXT(                                                                               \
            struct ledger_list_options,                                                            \
            currency,                                                                              \
            "currency",                                                                            \
            "",                                                                                    \
            "Only this currency's test ledger."),                                                  \
        OPTION_SWITCH(                                                                             \
            struct ledger_list_options, live, "live", "With --currency: its live ledger."),        \
        OPTION_NUMBER(                                                                             \
            struct ledger_list_options,                                                            \
            ledger,                                                                                \
            "ledger",                                                                              \
            "0",                                                                                   \
            0,                                                                                     \
            UINT32_MAX,                                                                            \
            NULL,                                                                                  \
            "Only this ledger."),                                                                  \
        OPTION_NUMBER(                                                                             \
            struct ledger_list_options,                                                            \
            code,                                                                                  \
            "code",                                                                                \
            "0",                                                                                   \
            0,                                                                                     \
            UINT16_MAX,                                                                            \
            NULL,                                                                                  \
            "Only this code."),                                                                    \
        OPTION_TEXT(                                                                               \
            struct ledger_list_options,                                                            \
            since,                                                                                 \
            "since",                                                                               \
            "",                                                                                    \
            "2026-11-23, 2026-11-23T12:00:00.123456789Z, unix seconds, or 2h: two hours ago."),    \
        OPTION_TEXT(struct ledger_list_options, until, "until", "", "The same; inclusive."),       \
        OPTION_NUMBER(                                                                             \
            struct ledger_list_options,                                                            \
            limit,                                                                                 \
            "limit",                                                                               \
            limit_,                                                                                \
            1,                                                                                     \
            LEDGER_LIST_MAX,                                                                       \
            NULL,                                                                                  \
            "At most."),                                                                           \
        OPTION_SWITCH(struct ledger_list_options, reversed, "reversed", "Newest first."),          \
        OPTION_SWITCH(struct ledger_list_options, wide, "wide", "With ids and user data."),        \
        CLIENT_OPTIONS(struct ledger_list_options)

static const struct setting account_settings[] = {
    OPTION_TEXT(
        struct ledger_list_options,
        account,
        "account",
        "",
        "Only this one: an id, or with --currency a name such as card-clearing."),
    OPTION_SWITCH(
        struct ledger_list_options,
        consistent,
        "consistent",
        "Over shards: no transfer is shown by half; what is on its way has a line (in transit)."),
    FILTER_OPTIONS("1000"),
};
static const struct setting transfer_settings[] = {
    OPTION_TEXT(
        struct ledger_list_options,
        account,
        "account",
        "",
        "Only this account's: an id, or with --currency a name such as card-clearing."),
    FILTER_OPTIONS("20"),
};

static int
run_list(
    const struct command *command,
    struct command_options options,
    char **argv,
    int (*list)(struct client *, const struct ledger_list_options *, const struct ledger_filter *))
{
    struct ledger_list_options values;
    struct ledger_filter filter = {.account = 0};
    struct client *client = NULL;
    int positional = 0;
    options.values = &values;
    int status = command_options(command, &options, argv, &positional);
    if (status == COMMAND_GO_ON) {
        status = ledger_filter_read(command, &values, &filter);
    }
    if (status == COMMAND_GO_ON) {
        status = client_open(command, &values.client, &client);
    }
    if (status == COMMAND_GO_ON) {
        status = list(client, &values, &filter);
    }
    client_close(&client);
    explicit_bzero(&values, sizeof(values));
    return status;
}

static int
run_accounts(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_list(
        command,
        (struct command_options){COMMAND_TABLE(account_settings)},
        argv,
        ledger_list_accounts);
}

static int
run_transfers(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_list(
        command,
        (struct command_options){COMMAND_TABLE(transfer_settings)},
        argv,
        ledger_list_transfers);
}

const struct command ledger_accounts = {
    .name = "accounts",
    .usage = "[OPTIONS]",
    .summary = "The accounts of a server's ledger and their balances",
    .manual = "A balance is shown from the account's normal side (SIDE). docs/accounting.md has "
              "the chart of accounts.",
    .run = run_accounts,
    .parent = &command_ledger,
};
const struct command ledger_transfers = {
    .name = "transfers",
    .usage = "[OPTIONS]",
    .summary = "The transfers of a server's ledger, or of one account",
    .run = run_transfers,
    .parent = &command_ledger,
};
