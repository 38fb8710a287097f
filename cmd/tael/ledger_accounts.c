/* Accounts of a ledger as a table. */
#include "ledger_list.h"

#include "chart.h"

#include "commit/records.h"

#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

u128
ledger_member_u128(const struct json_value *object, const char *name)
{
    u128 value;
    return json_value_u128(client_member(object, name), &value) == ERR_OK ? value : 0;
}

uint32_t
ledger_member_u32(const struct json_value *object, const char *name)
{
    u128 value = ledger_member_u128(object, name);
    return value <= UINT32_MAX ? (uint32_t)value : 0;
}

void
ledger_cell_u128(struct show_table *table, enum show_style style, u128 value)
{
    char text[U128_DECIMAL_SIZE];
    size_t size = u128_format(value, text);
    show_cell_span(table, style, span_of(text, size));
}

void
ledger_cell_account(struct show_table *table, const struct json_value *account, u128 id)
{
    uint16_t code = (uint16_t)ledger_member_u32(account, "code");
    const char *name = chart_account_name(ledger_member_u32(account, "ledger"), code);
    if (name == NULL && commit_account_is(id, COMMIT_ACCOUNT_HELD)) {
        show_cell(table, SHOW_PLAIN, "held for others");
    } else if (name == NULL && commit_id_is_reserved(id)) {
        show_cell(table, SHOW_PLAIN, "in transit");
    } else if (name == NULL) {
        ledger_cell_u128(table, SHOW_PLAIN, id);
    } else {
        show_cell(table, SHOW_PLAIN, "%s", name);
    }
}

static void
add_account(struct show_table *table, const struct json_value *account, bool wide)
{
    uint32_t ledger = ledger_member_u32(account, "ledger");
    uint16_t code = (uint16_t)ledger_member_u32(account, "code");
    u128 debits = ledger_member_u128(account, "debits_posted");
    u128 credits = ledger_member_u128(account, "credits_posted");
    bool is_debit = chart_account_is_debit(ledger, code);
    u128 grows = is_debit ? debits : credits;
    u128 shrinks = is_debit ? credits : debits;
    bool negative = shrinks > grows;
    ledger_cell_name(table, ledger);
    show_cell(table, SHOW_DIM, "%u", code);
    ledger_cell_account(table, account, ledger_member_u128(account, "id"));
    ledger_cell_amount(table, ledger_member_u128(account, "debits_pending"), false, ledger);
    ledger_cell_amount(table, ledger_member_u128(account, "credits_pending"), false, ledger);
    ledger_cell_amount(table, debits, false, ledger);
    ledger_cell_amount(table, credits, false, ledger);
    ledger_cell_amount(table, negative ? shrinks - grows : grows - shrinks, negative, ledger);
    show_cell(table, SHOW_DIM, "%s", is_debit ? "debit" : "credit");
    if (wide) {
        ledger_cell_u128(table, SHOW_PLAIN, ledger_member_u128(account, "user_data_64"));
        ledger_cell_u128(table, SHOW_PLAIN, ledger_member_u128(account, "id"));
    }
}

/* What is shown: accounts, and of a consistent read the money between them. Either may be NULL. */
struct lists {
    const struct json_value *accounts;
    const struct json_value *in_transit;
};

static const struct json_value *
lists_first(const struct lists *lists)
{
    const struct json_value *first = lists->accounts == NULL ? NULL : lists->accounts->first_child;
    return first != NULL || lists->in_transit == NULL ? first : lists->in_transit->first_child;
}

/* The one behind it, also from the end of one list to the beginning of the other. */
static const struct json_value *
lists_next(const struct lists *lists, const struct json_value *account)
{
    bool last_account =
        account->next == NULL && lists->in_transit != NULL && account->parent == lists->accounts;
    return last_account ? lists->in_transit->first_child : account->next;
}

/* Whether what is listed balances: only said of a whole ledger. */
static bool
sums_are_equal(const struct lists *lists, uint32_t ledger)
{
    u128 posted = 0;
    u128 pending = 0;
    const struct json_value *account = lists_first(lists);
    for (; account != NULL; account = lists_next(lists, account)) {
        if (ledger_member_u32(account, "ledger") == ledger) {
            posted += ledger_member_u128(account, "debits_posted");
            posted -= ledger_member_u128(account, "credits_posted");
            pending += ledger_member_u128(account, "debits_pending");
            pending -= ledger_member_u128(account, "credits_pending");
        }
    }
    return posted == 0 && pending == 0;
}

/* One line for each ledger number, told at its first account. */
static bool
print_balances(const struct lists *lists)
{
    bool all = true;
    const struct json_value *account = lists_first(lists);
    for (; account != NULL; account = lists_next(lists, account)) {
        uint32_t ledger = ledger_member_u32(account, "ledger");
        const struct json_value *earlier = lists_first(lists);
        while (earlier != account && ledger_member_u32(earlier, "ledger") != ledger) {
            earlier = lists_next(lists, earlier);
        }
        if (earlier != account) {
            continue;
        }
        char text[64];
        struct buf name;
        buf_init_fixed(&name, text, sizeof(text));
        text_ledger_append(&name, ledger);
        bool equal = sums_are_equal(lists, ledger);
        all = all && equal;
        (void)printf(
            "%.*s: debits and credits %s.\n",
            SPAN_PRINTF(buf_span(&name)),
            equal ? "are equal, posted and pending" : "DIFFER");
    }
    return all;
}

static int
print_accounts(
    const struct ledger_list_options *options,
    const struct ledger_filter *filter,
    const struct lists *lists,
    bool is_part)
{
    static const struct show_column columns[] = {
        {.title = "LEDGER"},
        {.title = "CODE", .right = true},
        {.title = "ACCOUNT"},
        {.title = "DEBITS PENDING", .right = true},
        {.title = "CREDITS PENDING", .right = true},
        {.title = "DEBITS POSTED", .right = true},
        {.title = "CREDITS POSTED", .right = true},
        {.title = "BALANCE", .right = true},
        {.title = "SIDE"},
        {.title = "OWNER", .right = true},
        {.title = "ID"},
    };
    size_t count = sizeof(columns) / sizeof(columns[0]);
    struct show_table table;
    if (lists->accounts == NULL || lists->accounts->child_count == 0) {
        (void)puts("There are no accounts.");
        return COMMAND_OK;
    }
    show_table_begin(&table, columns, options->wide ? count : count - 2);
    const struct json_value *account = lists_first(lists);
    for (; account != NULL; account = lists_next(lists, account)) {
        add_account(&table, account, options->wide);
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    bool is_filtered = filter->account != 0 || options->code != 0 || filter->since_ns != 0 ||
                       filter->until_ns != 0 ||
                       lists->accounts->child_count >= (uint64_t)options->limit;
    if (!is_part && !is_filtered && !print_balances(lists)) {
        return COMMAND_FAILED;
    }
    return printed ? COMMAND_OK : COMMAND_FAILED;
}

int
ledger_list_accounts(
    struct client *client,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter)
{
    struct buf body;
    struct client_answer answer;
    struct ledger_named *named = NULL;
    int found = filter->account != 0  ? ledger_named_find(client, filter, &named)
                : options->consistent ? ledger_named_list(client, options, filter, &named)
                                      : COMMAND_GO_ON;
    if (found != COMMAND_GO_ON) {
        return found;
    }
    buf_init(&body, LEDGER_BODY_MAX);
    if (named != NULL) {
        ledger_write_lookup(&body, named->ids, named->count, options->consistent);
    } else {
        ledger_filter_write(&body, "query_accounts", options, filter);
    }
    const char *path = named != NULL ? "/v1/ledger/lookup" : "/v1/ledger/query";
    int status = ledger_post(client, path, &body, &answer);
    if (status == COMMAND_GO_ON && options->client.json) {
        client_answer_print(&answer);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON) {
        const struct lists lists = {
            .accounts = client_member(answer.root, "accounts"),
            .in_transit = client_member(answer.root, "in_transit"),
        };
        status = print_accounts(options, filter, &lists, named != NULL && named->is_part);
    }
    free(named);
    client_answer_release(&answer);
    buf_release(&body);
    return status;
}
