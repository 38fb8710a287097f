/* `tael merchants`: what operators do about merchants, by --admin-listen of a process of the API.
 */
#include "client.h"
#include "show.h"

#include "form/form.h"

#include <stdio.h>
#include <string.h>

#define FORM_MAX    (1U << 12)
#define TARGET_SIZE 160
#define NAME_SIZE   201
#define LIMIT_MAX   1000

struct merchants_options {
    struct client_options client;
    char name[NAME_SIZE];
    char idempotency_key[256];
    char after[CLIENT_IDEMPOTENCY_KEY_SIZE];
    int64_t limit;
};

#define MERCHANTS_OPTIONS                                                                          \
    CLIENT_OPTIONS_WITHOUT_KEY(                                                                    \
        struct merchants_options, "Where to ask: --admin-listen of a process of the API.")

static const struct setting create_settings[] = {
    OPTION_TEXT(struct merchants_options, name, "name", "", "What the merchant is called."),
    OPTION_TEXT(
        struct merchants_options,
        idempotency_key,
        "idempotency-key",
        "",
        "Of your choice: with the same one again no second merchant is made."),
    MERCHANTS_OPTIONS,
};
static const struct setting list_settings[] = {
    OPTION_NUMBER(
        struct merchants_options, limit, "limit", "1000", 1, LIMIT_MAX, "", "At most so many."),
    OPTION_TEXT(
        struct merchants_options,
        after,
        "starting-after",
        "",
        "The id of a merchant: those behind it."),
    MERCHANTS_OPTIONS,
};
static const struct setting one_settings[] = {MERCHANTS_OPTIONS};

/* --------------------------------------------------------------------------------- printing */

static bool
print_merchant(const struct json_value *merchant)
{
    char text[64];
    struct buf moment;
    struct show_table table;
    buf_init_fixed(&moment, text, sizeof(text));
    text_moment_append(&moment, client_i64(merchant, "created", 0));
    buf_append_cstr(&moment, " UTC");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_pair(&table, "id", SHOW_PLAIN, client_text(merchant, "id"));
    show_pair(&table, "name", SHOW_PLAIN, client_text(merchant, "name"));
    show_cell(&table, SHOW_PLAIN, "number");
    show_cell(&table, SHOW_PLAIN, "%lld", (long long)client_i64(merchant, "number", 0));
    show_pair(&table, "created", SHOW_PLAIN, buf_span(&moment));
    show_cell(&table, SHOW_PLAIN, "keys made");
    show_cell(&table, SHOW_PLAIN, "%lld", (long long)client_i64(merchant, "keys", 0));
    bool closed = client_bool(merchant, "closed");
    show_cell(&table, SHOW_PLAIN, "state");
    show_cell(&table, closed ? SHOW_RED : SHOW_PLAIN, "%s", closed ? "closed" : "open");
    return show_table_finish(&table);
}

/* The merchant, and its key as a line of its own: what is for people alone goes to the other
 * stream, so that a script has the two. */
static bool
print_made(const struct json_value *merchant)
{
    struct span id = client_text(merchant, "id");
    struct span key = client_text(merchant, "key");
    (void)printf("%.*s\n", SPAN_PRINTF(id));
    if (key.size > 0) {
        (void)printf("%.*s\n", SPAN_PRINTF(key));
        (void)fputs("This is the only time that the key is shown.\n", stderr);
    } else {
        (void)fprintf(
            stderr,
            "It is there already, and its key is not shown again: 'tael merchants new-key %.*s' "
            "makes another.\n",
            SPAN_PRINTF(id));
    }
    return true;
}

static bool
print_listing(const struct json_value *answer)
{
    static const struct show_column columns[] = {
        {.title = "MERCHANT"},
        {.title = "NUMBER", .right = true},
        {.title = "NAME"},
        {.title = "CREATED (UTC)"},
        {.title = ""},
    };
    struct show_table table;
    const struct json_value *all = client_member(answer, "merchants");
    const struct json_value *merchant = all == NULL ? NULL : all->first_child;
    struct span last = SPAN_EMPTY;
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (; merchant != NULL; merchant = merchant->next) {
        char text[64];
        struct buf moment;
        buf_init_fixed(&moment, text, sizeof(text));
        text_moment_append(&moment, client_i64(merchant, "created", 0));
        last = client_text(merchant, "id");
        show_cell_span(&table, SHOW_PLAIN, last);
        show_cell(&table, SHOW_PLAIN, "%lld", (long long)client_i64(merchant, "number", 0));
        show_cell_span(&table, SHOW_PLAIN, client_text(merchant, "name"));
        show_cell_span(&table, SHOW_PLAIN, buf_span(&moment));
        show_cell(&table, SHOW_RED, "%s", client_bool(merchant, "closed") ? "closed" : "");
    }
    bool printed = show_table_finish(&table);
    if (printed && client_bool(answer, "has_more")) {
        (void)fprintf(stderr, "There are more: --starting-after=%.*s\n", SPAN_PRINTF(last));
    }
    return printed;
}

/* ---------------------------------------------------------------------------------- calling */

static int
call_once(
    const struct command *command,
    const struct merchants_options *options,
    const struct client_request *request,
    bool (*print)(const struct json_value *root))
{
    struct client *client = NULL;
    int status = client_open_without_key(command, &options->client, &client);
    return status == COMMAND_GO_ON ? client_ask_once(client, request, print) : status;
}

static int
run_create(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct merchants_options values;
    const struct command_options options = {COMMAND_TABLE(create_settings), .values = &values};
    int positional = 0;
    memset(&values, 0, sizeof(values));
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (values.name[0] == '\0') {
        return command_misuse(command, "--name=NAME is needed");
    }
    char own_key[CLIENT_IDEMPOTENCY_KEY_SIZE];
    char text[FORM_MAX];
    struct buf form;
    client_new_key(own_key);
    buf_init_fixed(&form, text, sizeof(text));
    form_append(&form, "name", span_from_cstr(values.name));
    if (buf_failed(&form)) {
        return command_misuse(command, "the name is too long");
    }
    const struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = SPAN("/merchants"),
        .body = buf_span(&form),
        .idempotency_key = values.idempotency_key[0] != '\0' ? values.idempotency_key : own_key,
    };
    return call_once(command, &values, &request, print_made);
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct merchants_options values;
    const struct command_options options = {COMMAND_TABLE(list_settings), .values = &values};
    int positional = 0;
    memset(&values, 0, sizeof(values));
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    char text[TARGET_SIZE];
    struct buf target;
    buf_init_fixed(&target, text, sizeof(text));
    buf_append_format(&target, "/merchants?limit=%lld", (long long)values.limit);
    if (values.after[0] != '\0') {
        form_append(&target, "starting_after", span_from_cstr(values.after));
    }
    if (buf_failed(&target)) {
        return command_misuse(command, "--starting-after is no id of a merchant");
    }
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = buf_span(&target)};
    return call_once(command, &values, &request, print_listing);
}

/* GET /merchants/ID, or POST /merchants/ID/`action`. */
static int
run_one(
    const struct command *command,
    char **argv,
    const char *action,
    bool (*print)(const struct json_value *root))
{
    struct merchants_options values;
    const struct command_options options = {
        COMMAND_TABLE(one_settings), .values = &values, .positional_min = 1, .positional_max = 1};
    int positional = 0;
    memset(&values, 0, sizeof(values));
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (!text_is_id(span_from_cstr(argv[1]))) {
        return command_misuse(command, "'%.80s' is no id of a merchant", argv[1]);
    }
    char target[TARGET_SIZE];
    int size = snprintf(
        target,
        sizeof(target),
        "/merchants/%s%s%s",
        argv[1],
        action == NULL ? "" : "/",
        action == NULL ? "" : action);
    const struct client_request request = {
        .method = action == NULL ? HTTP_METHOD_GET : HTTP_METHOD_POST,
        .target = span_of(target, (size_t)size),
    };
    return call_once(command, &values, &request, print);
}

static int
run_show(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_one(command, argv, NULL, print_merchant);
}

static int
run_new_key(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_one(command, argv, "keys", print_made);
}

static int
run_close(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_one(command, argv, "close", print_merchant);
}

static int
run_open(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_one(command, argv, "open", print_merchant);
}

/* ----------------------------------------------------------------------------- the commands */

static const struct command merchants_create = {
    .name = "create",
    .usage = "--name=NAME [OPTIONS]",
    .summary = "Makes a merchant; prints its id and first test key, which is shown once",
    .run = run_create,
    .parent = &command_merchants,
};
static const struct command merchants_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "The merchants there are",
    .run = run_list,
    .parent = &command_merchants,
};
static const struct command merchants_show = {
    .name = "show",
    .usage = "MERCHANT_ID [OPTIONS]",
    .summary = "One of them",
    .run = run_show,
    .parent = &command_merchants,
};
static const struct command merchants_new_key = {
    .name = "new-key",
    .usage = "MERCHANT_ID [OPTIONS]",
    .summary = "Makes one more secret test key of a merchant, which is shown once",
    .run = run_new_key,
    .parent = &command_merchants,
};
static const struct command merchants_close = {
    .name = "close",
    .usage = "MERCHANT_ID [OPTIONS]",
    .summary = "From now on its API keys are refused",
    .run = run_close,
    .parent = &command_merchants,
};
static const struct command merchants_open = {
    .name = "open",
    .usage = "MERCHANT_ID [OPTIONS]",
    .summary = "Ends that it is closed",
    .run = run_open,
    .parent = &command_merchants,
};

static const struct command *const merchants_children[] = {
    &merchants_create,
    &merchants_list,
    &merchants_show,
    &merchants_new_key,
    &merchants_close,
    &merchants_open,
    NULL,
};

const struct command command_merchants = {
    .name = "merchants",
    .usage = "COMMAND",
    .summary = "Makes, lists and closes merchants, for whoever runs the server",
    .children = merchants_children,
};
