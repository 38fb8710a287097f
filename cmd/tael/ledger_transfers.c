/* Transfers of a ledger as a table, with their accounts by name. */
#include "ledger_list.h"

#include "chart.h"

#include "os/clock.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4096 /* accounts that one look-up asks for by name */

static int
compare_ids(const void *a, const void *b)
{
    const u128 *left = a;
    const u128 *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Both accounts of every transfer, each once. Returns how many. */
static size_t
collect_ids(const struct json_value *transfers, u128 ids[NAMES_MAX])
{
    size_t count = 0;
    const struct json_value *transfer = transfers->first_child;
    for (; transfer != NULL && count + 2 <= NAMES_MAX; transfer = transfer->next) {
        ids[count++] = ledger_member_u128(transfer, "debit_account_id");
        ids[count++] = ledger_member_u128(transfer, "credit_account_id");
    }
    qsort(ids, count, sizeof(ids[0]), compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

/* Accounts that a look-up found, in the order of their ids. */
struct directory {
    struct client_answer answer;
    const struct json_value **accounts;
    size_t count;
};

static int
load_directory(
    struct client *client, const struct json_value *transfers, struct directory *directory)
{
    u128 *ids = calloc(NAMES_MAX, sizeof(*ids));
    directory->accounts = calloc(NAMES_MAX, sizeof(*directory->accounts));
    if (ids == NULL || directory->accounts == NULL) {
        free(ids);
        return COMMAND_FAILED;
    }
    size_t count = collect_ids(transfers, ids);
    struct buf body;
    buf_init(&body, LEDGER_BODY_MAX);
    ledger_write_lookup(&body, ids, count, false);
    int status = ledger_post(client, "/v1/ledger/lookup", &body, &directory->answer);
    const struct json_value *list =
        status == COMMAND_GO_ON ? client_member(directory->answer.root, "accounts") : NULL;
    const struct json_value *account = list == NULL ? NULL : list->first_child;
    for (; account != NULL && directory->count < NAMES_MAX; account = account->next) {
        directory->accounts[directory->count++] = account;
    }
    buf_release(&body);
    free(ids);
    return status;
}

/* The answer keeps the order of the request, which was sorted. */
static const struct json_value *
find_account(const struct directory *directory, u128 id)
{
    size_t low = 0;
    size_t high = directory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        u128 found = ledger_member_u128(directory->accounts[middle], "id");
        if (found == id) {
            return directory->accounts[middle];
        }
        if (found < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* "hold pending", "hold post", "payment"; a code without a name is its number. */
static void
cell_transfer_kind(struct show_table *table, const struct json_value *transfer)
{
    static const struct {
        const char *flag;
        const char *shown;
    } steps[] = {
        {"pending", " (pending)"},
        {"post_pending_transfer", " (posted)"},
        {"void_pending_transfer", " (voided)"},
    };

    uint16_t code = (uint16_t)ledger_member_u32(transfer, "code");
    const char *name = chart_transfer_name(ledger_member_u32(transfer, "ledger"), code);
    const char *step = "";
    const struct json_value *flags = client_member(transfer, "flags");
    const struct json_value *flag = flags == NULL ? NULL : flags->first_child;
    for (; flag != NULL; flag = flag->next) {
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            step = span_equal_cstr(flag->text, steps[i].flag) ? steps[i].shown : step;
        }
    }
    if (name != NULL) {
        show_cell(table, SHOW_PLAIN, "%s%s", name, step);
    } else {
        show_cell(table, SHOW_PLAIN, "%u%s", code, step);
    }
}

static void
add_transfer(
    struct show_table *table,
    const struct directory *directory,
    const struct json_value *transfer,
    bool wide)
{
    char text[64];
    struct buf moment;
    u128 debit = ledger_member_u128(transfer, "debit_account_id");
    u128 credit = ledger_member_u128(transfer, "credit_account_id");
    uint32_t ledger = ledger_member_u32(transfer, "ledger");
    buf_init_fixed(&moment, text, sizeof(text));
    u128 timestamp = ledger_member_u128(transfer, "timestamp");
    text_moment_append(&moment, (int64_t)(timestamp / OS_NS_PER_S));
    show_cell_span(table, SHOW_PLAIN, buf_span(&moment));
    ledger_cell_name(table, ledger);
    cell_transfer_kind(table, transfer);
    ledger_cell_account(table, find_account(directory, debit), debit);
    ledger_cell_account(table, find_account(directory, credit), credit);
    ledger_cell_amount(table, ledger_member_u128(transfer, "amount"), false, ledger);
    if (wide) {
        ledger_cell_u128(table, SHOW_PLAIN, ledger_member_u128(transfer, "id"));
        ledger_cell_u128(table, SHOW_PLAIN, ledger_member_u128(transfer, "user_data_128"));
    }
}

static int
print_transfers(
    struct client *client, const struct ledger_list_options *options, const struct json_value *list)
{
    static const struct show_column columns[] = {
        {.title = "TIME (UTC)"},
        {.title = "LEDGER"},
        {.title = "TRANSFER"},
        {.title = "DEBIT"},
        {.title = "CREDIT"},
        {.title = "AMOUNT", .right = true},
        {.title = "ID", .right = true},
        {.title = "USER DATA", .right = true},
    };
    size_t count = sizeof(columns) / sizeof(columns[0]);
    if (list == NULL || list->child_count == 0) {
        (void)puts("There are no transfers.");
        return COMMAND_OK;
    }
    struct directory directory = {.count = 0};
    int status = load_directory(client, list, &directory);
    if (status == COMMAND_GO_ON) {
        struct show_table table;
        show_table_begin(&table, columns, options->wide ? count : count - 2);
        const struct json_value *transfer = list->first_child;
        for (; transfer != NULL; transfer = transfer->next) {
            add_transfer(&table, &directory, transfer, options->wide);
        }
        status = show_table_print(&table) ? COMMAND_OK : COMMAND_FAILED;
        show_table_release(&table);
        if (list->child_count >= (uint64_t)options->limit) {
            (void)puts("There may be more: --limit=N (at most " LEDGER_LIST_MAX_TEXT
                       "), --since, --until.");
        }
    }
    client_answer_release(&directory.answer);
    free(directory.accounts);
    return status;
}

/* A history is of one account; the platform's by name may be several. */
static int
find_account_of(struct client *client, const struct ledger_filter *filter, u128 *ret_account)
{
    struct ledger_named *named = NULL;
    int status = ledger_named_find(client, filter, &named);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (named->count > 1) {
        (void)fprintf(
            stderr,
            "tael: this ledger has %zu accounts of that name, in slots of its shards: add "
            "--merchant, or --account=ID of one that tael ledger accounts --wide shows\n",
            named->count);
        status = COMMAND_FAILED;
    }
    *ret_account = named->ids[0];
    free(named);
    return status;
}

int
ledger_list_transfers(
    struct client *client,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter)
{
    struct buf body;
    struct client_answer answer;
    struct ledger_filter asked = *filter;
    bool of_account = filter->account != 0;
    int status = of_account ? find_account_of(client, filter, &asked.account) : COMMAND_GO_ON;
    if (status != COMMAND_GO_ON) {
        return status;
    }
    asked.wallet = 0; /* its account was found by it; it is not in what paid the wallet */
    buf_init(&body, LEDGER_BODY_MAX);
    ledger_filter_write(
        &body, of_account ? "get_account_transfers" : "query_transfers", options, &asked);
    status = ledger_post(client, "/v1/ledger/query", &body, &answer);
    if (status == COMMAND_GO_ON && options->client.json) {
        client_answer_print(&answer);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON) {
        status = print_transfers(client, options, client_member(answer.root, "transfers"));
    }
    client_answer_release(&answer);
    buf_release(&body);
    return status;
}
