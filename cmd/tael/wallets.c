/* `tael wallets list, show, statement`. */
#include "object.h"

#include "base/assert.h"
#include "form/form.h"

#include <stdio.h>
#include <string.h>

#define FORM_MAX    (1U << 14)
#define AMOUNT_SIZE 96

struct wallets_options {
    struct client_options client;
    char customer[80];
    char after[80];
    int64_t limit;
};

#define LIMIT_OPTION(unit_, fallback_)                                                             \
    OPTION_NUMBER(struct wallets_options, limit, "limit", fallback_, 1, 100, unit_, "At most.")

static const struct setting list_settings[] = {
    LIMIT_OPTION("wallets", "10"),
    OPTION_TEXT(struct wallets_options, customer, "customer", "", "Only of this customer."),
    OPTION_TEXT(
        struct wallets_options, after, "after", "", "Only those listed behind this wallet's id."),
    CLIENT_OPTIONS(struct wallets_options),
};
static const struct setting show_settings[] = {CLIENT_OPTIONS(struct wallets_options)};
static const struct setting statement_settings[] = {
    LIMIT_OPTION("lines", "20"),
    OPTION_TEXT(
        struct wallets_options, after, "after", "", "Only those listed behind this line's id."),
    CLIENT_OPTIONS(struct wallets_options),
};

/* One run of a command. */
struct run {
    struct wallets_options options;
    struct object_run object;
    struct client_answer answer;
    bool answered;
};

static int
begin(struct run *run, const struct command *command, struct command_options options, char **argv)
{
    memset(run, 0, sizeof(*run));
    options.values = &run->options;
    return object_begin(&run->object, command, options, &run->options.client, argv);
}

static int
end(struct run *run, int status)
{
    if (run->answered) {
        client_answer_release(&run->answer);
    }
    client_close(&run->object.client);
    explicit_bzero(&run->options, sizeof(run->options));
    return status;
}

/* Asks for `path` with the options that lists have. */
static int
get(struct run *run, const char *path, const char *behind)
{
    struct buf form;
    buf_init(&form, FORM_MAX);
    object_list_form(&form, run->options.limit, run->options.customer, run->options.after);
    int status = object_get(&run->object, path, behind, buf_span(&form), &run->answer);
    run->answered = true;
    buf_release(&form);
    return status;
}

/* ----------------------------------------------------------------------------- what is shown -- */

static enum show_style
status_style(struct span status)
{
    return span_equal_cstr(status, "active")   ? SHOW_GREEN
           : span_equal_cstr(status, "frozen") ? SHOW_YELLOW
                                               : SHOW_RED;
}

static void
pair_balance(struct show_table *table, const struct json_value *wallet, const char *name)
{
    const struct json_value *balance = client_member(wallet, "balance");
    show_cell(table, SHOW_DIM, "%s", name);
    object_cell_amount(table, client_i64(balance, name, 0), client_text(wallet, "currency"));
}

/* "left 400.00 of 500.00 USD" */
static void
pair_limit(
    struct show_table *table,
    const struct json_value *wallet,
    const char *direction,
    const char *period)
{
    char text[2 * AMOUNT_SIZE + 16];
    struct buf out;
    struct span currency = client_text(wallet, "currency");
    const struct json_value *limits = client_member(client_member(wallet, "limits"), direction);
    const struct json_value *limit = client_member(limits, period);
    buf_init_fixed(&out, text, sizeof(text));
    text_amount_append(&out, client_i64(limit, "remaining", 0), currency);
    buf_append_cstr(&out, " left of ");
    text_amount_append(&out, client_i64(limit, "limit", 0), currency);
    show_cell(table, SHOW_DIM, "%s, %s", direction, period);
    show_cell_span(table, SHOW_PLAIN, buf_span(&out));
}

static bool
print_wallet(const struct json_value *wallet)
{
    static const char *const directions[] = {"out", "in"};
    static const char *const periods[] = {"transaction", "day", "month"};
    struct show_table table;
    struct span status = client_text(wallet, "status");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_pair(&table, "wallet", SHOW_BOLD, client_text(wallet, "id"));
    show_pair(&table, "status", status_style(status), status);
    show_pair(&table, "customer", SHOW_PLAIN, client_text(wallet, "customer"));
    show_pair(&table, "e-mail", SHOW_PLAIN, client_text(wallet, "email"));
    show_pair(&table, "phone", SHOW_PLAIN, client_text(wallet, "phone"));
    show_pair(&table, "handle", SHOW_PLAIN, client_text(wallet, "handle"));
    pair_balance(&table, wallet, "available");
    pair_balance(&table, wallet, "held");
    pair_balance(&table, wallet, "incoming");
    pair_balance(&table, wallet, "posted");
    show_pair(&table, "tier", SHOW_PLAIN, client_text(wallet, "tier"));
    for (size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
        for (size_t k = 0; k < sizeof(periods) / sizeof(periods[0]); k++) {
            pair_limit(&table, wallet, directions[i], periods[k]);
        }
    }
    object_pair_created(&table, wallet);
    return show_table_finish(&table);
}

static void
add_wallet(struct show_table *table, const struct json_value *wallet)
{
    const struct json_value *balance = client_member(wallet, "balance");
    struct span currency = client_text(wallet, "currency");
    struct span status = client_text(wallet, "status");
    struct span handle = client_text(wallet, "handle");
    struct span email = client_text(wallet, "email");
    struct span phone = client_text(wallet, "phone");
    show_cell_span(table, SHOW_PLAIN, client_text(wallet, "id"));
    show_cell_span(table, SHOW_PLAIN, client_text(wallet, "customer"));
    show_cell_span(table, SHOW_PLAIN, email.size > 0 ? email : phone.size > 0 ? phone : handle);
    object_cell_amount(table, client_i64(balance, "available", 0), currency);
    object_cell_amount(table, client_i64(balance, "held", 0), currency);
    show_cell_span(table, status_style(status), status);
}

static void
add_line(struct show_table *table, const struct json_value *line)
{
    struct span currency = client_text(line, "currency");
    object_cell_created(table, line);
    show_cell_span(table, SHOW_PLAIN, client_text(line, "kind"));
    object_cell_amount(table, client_i64(line, "amount", 0), currency);
    object_cell_amount(table, client_i64(line, "balance", 0), currency);
    show_cell_span(table, SHOW_PLAIN, client_text(line, "source"));
    show_cell_span(table, SHOW_PLAIN, client_text(line, "description"));
}

static const struct show_column wallet_columns[] = {
    {.title = "WALLET"},
    {.title = "CUSTOMER"},
    {.title = "ALIAS"},
    {.title = "AVAILABLE", .right = true},
    {.title = "HELD", .right = true},
    {.title = "STATUS"},
};
static const struct show_column line_columns[] = {
    {.title = "CREATED (UTC)"},
    {.title = "KIND"},
    {.title = "AMOUNT", .right = true},
    {.title = "BALANCE", .right = true},
    {.title = "SOURCE"},
    {.title = "DESCRIPTION"},
};
#define COLUMNS_COUNT 6
static_assert(sizeof(wallet_columns) == COLUMNS_COUNT * sizeof(wallet_columns[0]), "columns");
static_assert(sizeof(line_columns) == COLUMNS_COUNT * sizeof(line_columns[0]), "columns");

static bool
print_rows(
    const struct json_value *data,
    const struct show_column *columns,
    void (*add)(struct show_table *table, const struct json_value *object))
{
    struct show_table table;
    show_table_begin(&table, columns, COLUMNS_COUNT);
    const struct json_value *object = data == NULL ? NULL : data->first_child;
    for (; object != NULL; object = object->next) {
        add(&table, object);
    }
    return show_table_finish(&table);
}

static bool
print_wallets(const struct json_value *data)
{
    return print_rows(data, wallet_columns, add_wallet);
}

static bool
print_lines(const struct json_value *data)
{
    return print_rows(data, line_columns, add_line);
}

/* ------------------------------------------------------------------------------ the commands -- */

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status = begin(&run, command, (struct command_options){COMMAND_TABLE(list_settings)}, argv);
    if (status == COMMAND_GO_ON) {
        status = get(&run, "/v1/wallets", "");
    }
    if (status == COMMAND_GO_ON) {
        status =
            object_print_list(&run.object, &run.answer, print_wallets, "There are no wallets.");
    }
    return end(&run, status);
}

#define ONE_ID .positional_min = 1, .positional_max = 1

static int
run_show(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status =
        begin(&run, command, (struct command_options){COMMAND_TABLE(show_settings), ONE_ID}, argv);
    if (status == COMMAND_GO_ON) {
        status = get(&run, "/v1/wallets/", "");
    }
    if (status == COMMAND_GO_ON) {
        status = object_print(&run.object, &run.answer, print_wallet);
    }
    return end(&run, status);
}

static int
run_statement(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct run run;
    int status = begin(
        &run, command, (struct command_options){COMMAND_TABLE(statement_settings), ONE_ID}, argv);
    if (status == COMMAND_GO_ON) {
        status = get(&run, "/v1/wallets/", "/statement");
    }
    if (status == COMMAND_GO_ON) {
        status = object_print_list(&run.object, &run.answer, print_lines, "Nothing has moved.");
    }
    return end(&run, status);
}

static const struct command wallets_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "The newest wallets",
    .run = run_list,
    .parent = &command_wallets,
};
static const struct command wallets_show = {
    .name = "show",
    .usage = "WALLET [OPTIONS]",
    .summary = "One wallet, its balance and its limits",
    .run = run_show,
    .parent = &command_wallets,
};
static const struct command wallets_statement = {
    .name = "statement",
    .usage = "WALLET [OPTIONS]",
    .summary = "What moved in a wallet, newest first, with the balance after it",
    .run = run_statement,
    .parent = &command_wallets,
};

static const struct command *const wallets_children[] = {
    &wallets_list, &wallets_show, &wallets_statement, NULL};

const struct command command_wallets = {
    .name = "wallets",
    .usage = "COMMAND",
    .summary = "Shows wallets and their statements",
    .children = wallets_children,
};
