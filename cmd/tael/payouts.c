/* `tael payouts list, show`. */
#include "object.h"

#include <string.h>

#define FORM_MAX (1U << 14)

struct payouts_options {
    struct client_options client;
    char after[80];
    int64_t limit;
};

static const struct setting list_settings[] = {
    OPTION_NUMBER(struct payouts_options, limit, "limit", "10", 1, 100, "payouts", "At most."),
    OPTION_TEXT(
        struct payouts_options, after, "after", "", "Only those listed behind this payout's id."),
    CLIENT_OPTIONS(struct payouts_options),
};
static const struct setting show_settings[] = {CLIENT_OPTIONS(struct payouts_options)};

static enum show_style
status_style(struct span status)
{
    return span_equal_cstr(status, "paid")       ? SHOW_GREEN
           : span_equal_cstr(status, "failed")   ? SHOW_RED
           : span_equal_cstr(status, "canceled") ? SHOW_RED
                                                 : SHOW_YELLOW;
}

static void
cell_amount(struct show_table *table, const struct json_value *payout)
{
    object_cell_amount(table, client_i64(payout, "amount", 0), client_text(payout, "currency"));
}

static bool
print_payout(const struct json_value *payout)
{
    struct show_table table;
    struct span status = client_text(payout, "status");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_pair(&table, "payout", SHOW_BOLD, client_text(payout, "id"));
    show_pair(&table, "status", status_style(status), status);
    show_cell(&table, SHOW_DIM, "amount");
    cell_amount(&table, payout);
    show_pair(&table, "bank account", SHOW_PLAIN, client_text(payout, "destination"));
    show_pair(&table, "statement", SHOW_PLAIN, client_text(payout, "statement_descriptor"));
    show_pair(&table, "description", SHOW_PLAIN, client_text(payout, "description"));
    show_pair(&table, "failure", SHOW_RED, client_text(payout, "failure_code"));
    object_pair_created(&table, payout);
    return show_table_finish(&table);
}

static bool
print_payouts(const struct json_value *data)
{
    static const struct show_column columns[] = {
        {.title = "PAYOUT"},
        {.title = "CREATED (UTC)"},
        {.title = "AMOUNT", .right = true},
        {.title = "STATUS"},
        {.title = "FAILURE"},
    };
    struct show_table table;
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    const struct json_value *payout = data == NULL ? NULL : data->first_child;
    for (; payout != NULL; payout = payout->next) {
        struct span status = client_text(payout, "status");
        show_cell_span(&table, SHOW_PLAIN, client_text(payout, "id"));
        object_cell_created(&table, payout);
        cell_amount(&table, payout);
        show_cell_span(&table, status_style(status), status);
        show_cell_span(&table, SHOW_PLAIN, client_text(payout, "failure_code"));
    }
    return show_table_finish(&table);
}

/* ------------------------------------------------------------------------------ the commands -- */

/* Asks for `path`, with the word of the command if it takes one, and prints the answer. */
static int
run(const struct command *command, struct command_options options, const char *path, char **argv)
{
    struct payouts_options chosen;
    struct object_run object;
    struct client_answer answer;
    struct buf form;
    bool one = options.positional_max != 0;
    options.values = &chosen;
    buf_init(&form, FORM_MAX);
    int status = object_begin(&object, command, options, &chosen.client, argv);
    if (status == COMMAND_GO_ON) {
        object_list_form(&form, one ? 0 : chosen.limit, "", one ? "" : chosen.after);
        status = object_get(&object, path, "", buf_span(&form), &answer);
        if (status == COMMAND_GO_ON) {
            status =
                one ? object_print(&object, &answer, print_payout)
                    : object_print_list(&object, &answer, print_payouts, "There are no payouts.");
        }
        client_answer_release(&answer);
    }
    client_close(&object.client);
    buf_release(&form);
    explicit_bzero(&chosen, sizeof(chosen));
    return status;
}

static int
run_list(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run(
        command, (struct command_options){COMMAND_TABLE(list_settings)}, "/v1/payouts", argv);
}

static int
run_show(const struct command *command, int argc, char **argv)
{
    (void)argc;
    const struct command_options options = {
        COMMAND_TABLE(show_settings), .positional_min = 1, .positional_max = 1};
    return run(command, options, "/v1/payouts/", argv);
}

static const struct command payouts_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .summary = "The newest payouts",
    .run = run_list,
    .parent = &command_payouts,
};
static const struct command payouts_show = {
    .name = "show",
    .usage = "PAYOUT [OPTIONS]",
    .summary = "One payout",
    .run = run_show,
    .parent = &command_payouts,
};

static const struct command *const payouts_children[] = {&payouts_list, &payouts_show, NULL};

const struct command command_payouts = {
    .name = "payouts",
    .usage = "COMMAND",
    .summary = "Shows payouts to banks",
    .children = payouts_children,
};
