/* Accounts of a ledger as a table. */
#include "ledger_list.h"

#include "chart.h"

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
    if (name == NULL) {
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

/* Whether what is listed balances: only said of a whole ledger. */
static bool
sums_are_equal(const struct json_value *accounts, uint32_t ledger)
{
    u128 posted = 0;
    u128 pending = 0;
    const struct json_value *account = accounts->first_child;
    for (; account != NULL; account = account->next) {
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
print_balances(const struct json_value *accounts)
{
    bool all = true;
    const struct json_value *account = accounts->first_child;
    for (; account != NULL; account = account->next) {
        uint32_t ledger = ledger_member_u32(account, "ledger");
        const struct json_value *earlier = accounts->first_child;
        while (earlier != account && ledger_member_u32(earlier, "ledger") != ledger) {
            earlier = earlier->next;
        }
        if (earlier != account) {
            continue;
        }
        char text[64];
        struct buf name;
        buf_init_fixed(&name, text, sizeof(text));
        text_ledger_append(&name, ledger);
        bool equal = sums_are_equal(accounts, ledger);
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
    const struct json_value *list)
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
    if (list == NULL || list->child_count == 0) {
        (void)puts("There are no accounts.");
        return COMMAND_OK;
    }
    show_table_begin(&table, columns, options->wide ? count : count - 2);
    const struct json_value *account = list->first_child;
    for (; account != NULL; account = account->next) {
        add_account(&table, account, options->wide);
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    bool is_part = filter->account != 0 || options->code != 0 || filter->since_ns != 0 ||
                   filter->until_ns != 0 || list->child_count >= (uint64_t)options->limit;
    if (!is_part && !print_balances(list)) {
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
    if (filter->account != 0) {
        int found = ledger_named_find(client, filter, &named);
        if (found != COMMAND_GO_ON) {
            return found;
        }
    }
    buf_init(&body, LEDGER_BODY_MAX);
    if (filter->account != 0) {
        ledger_write_lookup(&body, named->ids, named->count);
    } else {
        ledger_filter_write(&body, "query_accounts", options, filter);
    }
    const char *path = filter->account != 0 ? "/v1/ledger/lookup" : "/v1/ledger/query";
    int status = ledger_post(client, path, &body, &answer);
    if (status == COMMAND_GO_ON && options->client.json) {
        client_answer_print(&answer);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON) {
        status = print_accounts(options, filter, client_member(answer.root, "accounts"));
    }
    free(named);
    client_answer_release(&answer);
    buf_release(&body);
    return status;
}
