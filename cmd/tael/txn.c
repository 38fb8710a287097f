/* `tael txn`: transactions that have no end yet, and of those between the ledger's shards what is
 * in doubt. */
#include "txn.h"

#include "base/u128.h"

#include <stdio.h>
#include <string.h>

#define TARGET SPAN("/transactions")

static const struct setting settings[] = {
    OPTION_TEXT(
        struct txn_options,
        client.url,
        "url",
        TEXT_DEFAULT_URL,
        "Where to ask: --admin-listen of a process of the API; of participants the API itself."),
    OPTION_SECRET(struct txn_options, client.key, "key", "", "Of participants: an API key."),
    OPTION_TEXT(
        struct txn_options,
        client.data,
        "data",
        "",
        "Takes the key from DIR/test_secret_key instead."),
    OPTION_SWITCH(
        struct txn_options,
        participants,
        "participants",
        "list: those that participants over HTTP take part in."),
    OPTION_SWITCH(
        struct txn_options,
        concludes,
        "conclude",
        "resolve dtx_...: it was ended by other means; without it the decision is told again."),
    OPTION_TEXT(
        struct txn_options, note, "note", "", "resolve dtx_...: kept with it, who and why."),
    OPTION_TEXT(
        struct txn_options,
        client.ca,
        "ca",
        "",
        "https: a PEM file with the certificates to trust."),
    OPTION_DURATION(
        struct txn_options, client.timeout_ms, "timeout", "30s", 1, 3600000, "For an answer."),
    OPTION_SWITCH(
        struct txn_options, client.json, "json", "Prints what the server answered, as JSON."),
};

static void
print_text(const struct json_value *doubt, const char *name, int width)
{
    struct span text = client_text(doubt, name);
    if (text.size == 0) {
        text = SPAN("-");
    }
    (void)printf("%-*.*s", width, SPAN_PRINTF(text));
}

static void
print_line(const struct json_value *doubt)
{
    print_text(doubt, "id", 40);
    print_text(doubt, "shard", 14);
    print_text(doubt, "owner", 14);
    print_text(doubt, "state", 14);
    (void)printf("%8.1f s  ", (double)client_i64(doubt, "age_ms", 0) / 1000);
    print_text(doubt, "trace_id", 0);
    (void)putchar('\n');
}

static void
print_whole(const struct json_value *doubt)
{
    static const char *const texts[] = {"id", "shard", "owner", "protocol", "state", "trace_id"};
    static const char *const numbers[] = {"slot", "pending_transfers", "since", "age_ms"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        (void)printf("%-18s", texts[i]);
        print_text(doubt, texts[i], 0);
        (void)putchar('\n');
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)printf("%-18s%lld\n", numbers[i], (long long)client_i64(doubt, numbers[i], 0));
    }
}

/* All of them as lines, or those with the id as a whole. */
static int
print(const struct command *command, const struct json_value *root, const char *id)
{
    const struct json_value *all = client_member(root, "transactions");
    uint32_t shown = 0;
    if (all == NULL || all->kind != JSON_KIND_ARRAY) {
        return command_fail(command, "the server's answer has no transactions");
    }
    if (id == NULL && all->child_count > 0) {
        (void)printf(
            "%-40s%-14s%-14s%-14s%8s    %s\n", "ID", "SHARD", "OWNER", "STATE", "AGE", "TRACE");
    }
    const struct json_value *doubt = all->first_child;
    for (uint32_t i = 0; i < all->child_count; i++, doubt = doubt->next) {
        if (id == NULL) {
            print_line(doubt);
            shown++;
        } else if (span_equal_cstr(client_text(doubt, "id"), id)) {
            (void)printf("%s", shown > 0 ? "\n" : "");
            print_whole(doubt);
            shown++;
        }
    }
    if (shown == 0 && id != NULL) {
        return command_fail(command, "%.40s is not in doubt, as far as that process knows", id);
    }
    if (shown == 0) {
        (void)puts("Nothing is in doubt.");
    }
    return COMMAND_OK;
}

static int
ask(const struct command *command, char **argv, enum txn_verb verb)
{
    bool resolves = verb == TXN_RESOLVE;
    int positional = verb == TXN_LIST ? 0 : 1;
    struct txn_options options;
    struct command_options how = {
        COMMAND_TABLE(settings),
        .values = &options,
        .positional_min = positional,
        .positional_max = positional,
    };
    int found = 0;
    u128 number;
    memset(&options, 0, sizeof(options));
    int status = command_options(command, &how, argv, &found);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    const char *id = positional > 0 ? argv[1] : NULL;
    if (options.participants || (id != NULL && txn_has_participants(id))) {
        if (id != NULL && !text_is_id(span_from_cstr(id))) {
            return command_misuse(command, "'%.80s' is no id of a transaction", id);
        }
        status = txn_participants(command, &options, verb, id);
        explicit_bzero(&options, sizeof(options));
        return status;
    }
    if (id != NULL && !u128_parse(span_from_cstr(id), &number)) {
        return command_misuse(
            command, "'%.80s' is no id of a transaction (decimal digits, or dtx_...)", id);
    }
    struct client *client = NULL;
    struct client_answer answer;
    status = client_open_without_key(command, &options.client, &client);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    const struct client_request request = {
        .method = resolves ? HTTP_METHOD_POST : HTTP_METHOD_GET,
        .target = TARGET,
        .body = resolves ? span_from_cstr(id) : SPAN_EMPTY,
        .json = resolves,
    };
    status = client_call(client, &request, &answer);
    if (status == COMMAND_GO_ON && options.client.json) {
        client_answer_print(&answer);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON && resolves) {
        (void)printf("%s is being concluded; `tael txn list` shows when it is over.\n", id);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON) {
        status = print(command, answer.root, id);
    }
    client_answer_release(&answer);
    client_close(&client);
    return status;
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return ask(command, argv, TXN_LIST);
}

static int
run_show(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return ask(command, argv, TXN_SHOW);
}

static int
run_resolve(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return ask(command, argv, TXN_RESOLVE);
}

static const struct command txn_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "Shows the transactions that are in doubt",
    .run = run_list,
    .parent = &command_txn,
};

static const struct command txn_show = {
    .name = "show",
    .usage = "[OPTIONS] ID",
    .summary = "Shows all that is known of one",
    .run = run_show,
    .parent = &command_txn,
};

static const struct command txn_resolve = {
    .name = "resolve",
    .usage = "[OPTIONS] ID",
    .summary = "Concludes one now, without waiting",
    .manual =
        "Whether it is committed or aborted is not the operator's choice: the slot that "
        "decides is asked, or a\nmajority of them (3pc). Money that waits for a shard that is "
        "gone waits on.\nOf one with participants over HTTP, which is stuck, the decision is told "
        "again, or "
        "with --conclude is\ntaken for confirmed.",
    .run = run_resolve,
    .parent = &command_txn,
};

static const struct command *const txn_children[] = {&txn_list, &txn_show, &txn_resolve, NULL};

const struct command command_txn = {
    .name = "txn",
    .usage = "COMMAND [OPTIONS]",
    .summary = "Transactions without an end: between the ledger's shards, with participants",
    .children = txn_children,
};
