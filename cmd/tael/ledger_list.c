/* `tael ledger accounts` and `tael ledger transfers`: what a server's ledger holds. */
#include "ledger.h"

#include "chart.h"
#include "client.h"

#include "os/clock.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SIZE   (1U << 20)
#define TABLE(rows) .table = (rows), .count = sizeof(rows) / sizeof((rows)[0])
#define NAMES_MAX   4096 /* accounts that one look-up asks for by name */
#define LIMIT_MAX   4000
#define LIMIT_TEXT  "4000"

struct list_options {
    struct client_options client;
    char account[80];
    char merchant[80];
    char currency[8];
    char since[32];
    char until[32];
    int64_t ledger;
    int64_t code;
    int64_t limit;
    bool live;
    bool reversed;
    bool wide;
};

#define FILTER_OPTIONS(limit_)                                                                     \
    OPTION_TEXT(struct list_options, merchant, "merchant", "", "Whose account --account means."),  \
        OPTION_TEXT(                                                                               \
            struct list_options, currency, "currency", "", "Only this currency's test ledger."),   \
        OPTION_SWITCH(struct list_options, live, "live", "With --currency: its live ledger."),     \
        OPTION_NUMBER(                                                                             \
            struct list_options, ledger, "ledger", "0", 0, UINT32_MAX, NULL, "Only this ledger."), \
        OPTION_NUMBER(                                                                             \
            struct list_options, code, "code", "0", 0, UINT16_MAX, NULL, "Only this code."),       \
        OPTION_TEXT(                                                                               \
            struct list_options,                                                                   \
            since,                                                                                 \
            "since",                                                                               \
            "",                                                                                    \
            "2026-11-23, 2026-11-23T12:00:00Z, unix seconds, or 2h: two hours ago."),              \
        OPTION_TEXT(struct list_options, until, "until", "", "The same; inclusive."),              \
        OPTION_NUMBER(                                                                             \
            struct list_options, limit, "limit", limit_, 1, LIMIT_MAX, NULL, "At most."),          \
        OPTION_SWITCH(struct list_options, reversed, "reversed", "Newest first."),                 \
        OPTION_SWITCH(struct list_options, wide, "wide", "With ids and user data."),               \
        CLIENT_OPTIONS(struct list_options)

static const struct setting account_settings[] = {
    OPTION_TEXT(
        struct list_options,
        account,
        "account",
        "",
        "Only this one: an id, or with --currency a name such as card-clearing."),
    FILTER_OPTIONS("1000"),
};
static const struct setting transfer_settings[] = {
    OPTION_TEXT(
        struct list_options,
        account,
        "account",
        "",
        "Only this account's: an id, or with --currency a name such as card-clearing."),
    FILTER_OPTIONS("20"),
};

/* What the options ask for. */
struct filter {
    u128 account; /* 0: any */
    uint32_t ledger;
    uint64_t since_ns;
    uint64_t until_ns;
};

/* ------------------------------------------------------------------------------------ filters */

static int
read_account(
    const struct command *command,
    const struct list_options *options,
    const struct currency *currency,
    u128 *ret_id)
{
    enum payments_account role;
    struct span text = span_from_cstr(options->account);
    bool is_name = chart_account_find(text, &role);
    if (text.size == 0 || (!is_name && u128_parse(text, ret_id))) {
        return options->merchant[0] == '\0'
                   ? COMMAND_GO_ON
                   : command_misuse(command, "--merchant needs --account=merchant-pending or such");
    }
    if (!is_name) {
        return command_misuse(command, "'%s' is no account's id or name", options->account);
    }
    if (currency == NULL) {
        return command_misuse(command, "--account=%s needs --currency", options->account);
    }
    if (chart_account_is_merchants(role) && options->merchant[0] == '\0') {
        return command_misuse(command, "--account=%s needs --merchant", options->account);
    }
    *ret_id = payments_account_id(role, options->merchant, currency, options->live);
    return COMMAND_GO_ON;
}

static int
read_moment(const struct command *command, const char *name, const char *text, uint64_t *ret_ns)
{
    if (text[0] == '\0') {
        return COMMAND_GO_ON;
    }
    uint64_t now = os_wall_ns(os_clock_real());
    if (text_moment_parse(span_from_cstr(text), now, ret_ns) != ERR_OK) {
        return command_misuse(command, "--%s=%s is no time", name, text);
    }
    return COMMAND_GO_ON;
}

static int
read_filter(
    const struct command *command, const struct list_options *options, struct filter *filter)
{
    const struct currency *currency = currency_find(span_from_cstr(options->currency));
    if (currency == NULL && options->currency[0] != '\0') {
        return command_misuse(command, "there is no currency '%s'", options->currency);
    }
    if (currency != NULL && options->ledger != 0) {
        return command_misuse(command, "--ledger and --currency exclude one another");
    }
    *filter = (struct filter){.ledger = (uint32_t)options->ledger};
    if (currency != NULL) {
        filter->ledger = payments_ledger_number(currency, options->live);
    }
    int status = read_account(command, options, currency, &filter->account);
    if (status == COMMAND_GO_ON) {
        status = read_moment(command, "since", options->since, &filter->since_ns);
    }
    if (status == COMMAND_GO_ON) {
        status = read_moment(command, "until", options->until, &filter->until_ns);
    }
    return status;
}

static void
write_flags(struct json_writer *json, const struct list_options *options, bool sides)
{
    json_key(json, "flags");
    json_array_begin(json);
    if (sides) {
        json_cstr(json, "debits");
        json_cstr(json, "credits");
    }
    if (options->reversed) {
        json_cstr(json, "reversed");
    }
    json_array_end(json);
}

/* {"op":...,"filter":{...}} */
static void
write_query(
    struct buf *out,
    const char *operation,
    const struct list_options *options,
    const struct filter *filter)
{
    struct json_writer json;
    bool of_account = filter->account != 0;
    json_begin(&json, out);
    json_object_begin(&json);
    json_member_cstr(&json, "op", operation);
    json_key(&json, "filter");
    json_object_begin(&json);
    if (of_account) {
        json_key(&json, "account_id");
        json_u128_text(&json, filter->account);
    } else {
        json_member_i64(&json, "ledger", filter->ledger);
    }
    json_member_i64(&json, "code", options->code);
    json_key(&json, "timestamp_min");
    json_u64(&json, filter->since_ns);
    json_key(&json, "timestamp_max");
    json_u64(&json, filter->until_ns);
    json_member_i64(&json, "limit", options->limit);
    write_flags(&json, options, of_account);
    json_object_end(&json);
    json_object_end(&json);
}

static int
post_json(
    struct client *client, const char *path, struct buf *body, struct client_answer *ret_answer)
{
    struct client_request request = {
        .method = HTTP_METHOD_POST,
        .target = span_from_cstr(path),
        .body = buf_span(body),
        .json = true,
    };
    return client_call(client, &request, ret_answer);
}

/* ----------------------------------------------------------------------------------- accounts */

static u128
member_u128(const struct json_value *object, const char *name)
{
    u128 value;
    return json_value_u128(client_member(object, name), &value) == ERR_OK ? value : 0;
}

static uint32_t
member_u32(const struct json_value *object, const char *name)
{
    u128 value = member_u128(object, name);
    return value <= UINT32_MAX ? (uint32_t)value : 0;
}

static void
cell_u128(struct show_table *table, enum show_style style, u128 value)
{
    char text[U128_DECIMAL_SIZE];
    size_t size = u128_format(value, text);
    show_cell_span(table, style, span_of(text, size));
}

/* "merchant pending", or the id of an account that the chart does not know. */
static void
cell_account_name(struct show_table *table, const struct json_value *account, u128 id)
{
    uint16_t code = (uint16_t)member_u32(account, "code");
    const char *name = chart_account_name(member_u32(account, "ledger"), code);
    if (name == NULL) {
        cell_u128(table, SHOW_PLAIN, id);
    } else {
        show_cell(table, SHOW_PLAIN, "%s", name);
    }
}

static void
add_account(struct show_table *table, const struct json_value *account, bool wide)
{
    uint32_t ledger = member_u32(account, "ledger");
    uint16_t code = (uint16_t)member_u32(account, "code");
    u128 debits = member_u128(account, "debits_posted");
    u128 credits = member_u128(account, "credits_posted");
    bool is_debit = chart_account_is_debit(ledger, code);
    u128 grows = is_debit ? debits : credits;
    u128 shrinks = is_debit ? credits : debits;
    bool negative = shrinks > grows;
    ledger_cell_name(table, ledger);
    show_cell(table, SHOW_DIM, "%u", code);
    cell_account_name(table, account, member_u128(account, "id"));
    ledger_cell_amount(table, member_u128(account, "debits_pending"), false, ledger);
    ledger_cell_amount(table, member_u128(account, "credits_pending"), false, ledger);
    ledger_cell_amount(table, debits, false, ledger);
    ledger_cell_amount(table, credits, false, ledger);
    ledger_cell_amount(table, negative ? shrinks - grows : grows - shrinks, negative, ledger);
    show_cell(table, SHOW_DIM, "%s", is_debit ? "debit" : "credit");
    if (wide) {
        cell_u128(table, SHOW_PLAIN, member_u128(account, "user_data_64"));
        cell_u128(table, SHOW_PLAIN, member_u128(account, "id"));
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
        if (member_u32(account, "ledger") == ledger) {
            posted += member_u128(account, "debits_posted");
            posted -= member_u128(account, "credits_posted");
            pending += member_u128(account, "debits_pending");
            pending -= member_u128(account, "credits_pending");
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
        uint32_t ledger = member_u32(account, "ledger");
        const struct json_value *earlier = accounts->first_child;
        while (earlier != account && member_u32(earlier, "ledger") != ledger) {
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
    const struct list_options *options, const struct filter *filter, const struct json_value *list)
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

static int
list_accounts(
    struct client *client, const struct list_options *options, const struct filter *filter)
{
    struct buf body;
    struct client_answer answer;
    buf_init(&body, BODY_SIZE);
    if (filter->account != 0) {
        struct json_writer json;
        json_begin(&json, &body);
        json_object_begin(&json);
        json_key(&json, "accounts");
        json_array_begin(&json);
        json_u128_text(&json, filter->account);
        json_array_end(&json);
        json_object_end(&json);
    } else {
        write_query(&body, "query_accounts", options, filter);
    }
    const char *path = filter->account != 0 ? "/v1/ledger/lookup" : "/v1/ledger/query";
    int status = post_json(client, path, &body, &answer);
    if (status == COMMAND_GO_ON && options->client.json) {
        client_answer_print(&answer);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON) {
        status = print_accounts(options, filter, client_member(answer.root, "accounts"));
    }
    client_answer_release(&answer);
    buf_release(&body);
    return status;
}

/* ---------------------------------------------------------------------------------- transfers */

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
        ids[count++] = member_u128(transfer, "debit_account_id");
        ids[count++] = member_u128(transfer, "credit_account_id");
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
    struct json_writer json;
    buf_init(&body, BODY_SIZE);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_key(&json, "accounts");
    json_array_begin(&json);
    for (size_t i = 0; i < count; i++) {
        json_u128_text(&json, ids[i]);
    }
    json_array_end(&json);
    json_object_end(&json);
    int status = post_json(client, "/v1/ledger/lookup", &body, &directory->answer);
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
        u128 found = member_u128(directory->accounts[middle], "id");
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

    uint16_t code = (uint16_t)member_u32(transfer, "code");
    const char *name = chart_transfer_name(member_u32(transfer, "ledger"), code);
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
    u128 debit = member_u128(transfer, "debit_account_id");
    u128 credit = member_u128(transfer, "credit_account_id");
    uint32_t ledger = member_u32(transfer, "ledger");
    buf_init_fixed(&moment, text, sizeof(text));
    u128 timestamp = member_u128(transfer, "timestamp");
    text_moment_append(&moment, (int64_t)(timestamp / OS_NS_PER_S));
    show_cell_span(table, SHOW_PLAIN, buf_span(&moment));
    ledger_cell_name(table, ledger);
    cell_transfer_kind(table, transfer);
    cell_account_name(table, find_account(directory, debit), debit);
    cell_account_name(table, find_account(directory, credit), credit);
    ledger_cell_amount(table, member_u128(transfer, "amount"), false, ledger);
    if (wide) {
        cell_u128(table, SHOW_PLAIN, member_u128(transfer, "id"));
        cell_u128(table, SHOW_PLAIN, member_u128(transfer, "user_data_128"));
    }
}

static int
print_transfers(
    struct client *client, const struct list_options *options, const struct json_value *list)
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
            (void)puts("There may be more: --limit=N (at most " LIMIT_TEXT "), --since, --until.");
        }
    }
    client_answer_release(&directory.answer);
    free(directory.accounts);
    return status;
}

static int
list_transfers(
    struct client *client, const struct list_options *options, const struct filter *filter)
{
    struct buf body;
    struct client_answer answer;
    bool of_account = filter->account != 0;
    buf_init(&body, BODY_SIZE);
    write_query(&body, of_account ? "get_account_transfers" : "query_transfers", options, filter);
    int status = post_json(client, "/v1/ledger/query", &body, &answer);
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

/* -------------------------------------------------------------------------------------- commands
 */

static int
run_list(
    const struct command *command,
    struct command_options options,
    char **argv,
    int (*list)(struct client *, const struct list_options *, const struct filter *))
{
    struct list_options values;
    struct filter filter;
    struct client *client = NULL;
    int positional = 0;
    options.values = &values;
    int status = command_options(command, &options, argv, &positional);
    if (status == COMMAND_GO_ON) {
        status = read_filter(command, &values, &filter);
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
        command, (struct command_options){TABLE(account_settings)}, argv, list_accounts);
}

static int
run_transfers(const struct command *command, int argc, char **argv)
{
    (void)argc;
    return run_list(
        command, (struct command_options){TABLE(transfer_settings)}, argv, list_transfers);
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
