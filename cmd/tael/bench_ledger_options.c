#include "bench_ledger.h"

#include <string.h>

#define AT(member) offsetof(struct bench_ledger_options, member)

#define TEXT(name_, member_, fallback_, size_, help_)                                              \
    {                                                                                              \
        .name = (name_), .kind = SETTING_TEXT, .offset = AT(member_), .fallback = (fallback_),     \
        .maximum = (size_), .help = (help_)                                                        \
    }
#define COUNT(name_, member_, fallback_, minimum_, maximum_, unit_, help_)                         \
    {                                                                                              \
        .name = (name_), .kind = SETTING_INTEGER, .offset = AT(member_), .fallback = (fallback_),  \
        .minimum = (minimum_), .maximum = (maximum_), .unit = (unit_), .help = (help_)             \
    }
#define BOOLEAN(name_, member_, help_)                                                             \
    {                                                                                              \
        .name = (name_), .kind = SETTING_BOOLEAN, .offset = AT(member_), .fallback = "false",      \
        .help = (help_)                                                                            \
    }

const struct setting bench_ledger_options_table[] = {
    TEXT(
        "data",
        data,
        "",
        BENCH_PATH_SIZE,
        "Folder on the disk to measure; without it $TMPDIR or /tmp."),
    TEXT(
        "baseline",
        baseline,
        "",
        BENCH_PATH_SIZE,
        "Programs to compare with in the same run, with commas between: PROGRAM FOLDER BATCH "
        "MILLISECONDS prints transfers a second (tests/bench)."),
    TEXT(
        "store",
        store,
        "",
        BENCH_LEDGER_URL_SIZE,
        "One point instead of the table, in this process, on this store, which keeps what is "
        "written "
        "(so none that holds books): journal:FOLDER, memory: or postgres://..."),
    TEXT(
        "url",
        url,
        "",
        BENCH_PATH_SIZE,
        "One point over HTTP: http://HOST:PORT of a server that runs already; with --key."),
    {.name = "key",
     .kind = SETTING_TEXT,
     .offset = AT(key),
     .fallback = "",
     .maximum = BENCH_LOAD_KEY_SIZE,
     .help = "The server's secret API key, with --url.",
     .secret = true},
    BOOLEAN("server", server, "One point over HTTP, of a server that is started for it."),
    COUNT("batch", batch, "8190", 1, LEDGER_BATCH_MAX, "transfers", "Of a batch, of one point."),
    COUNT(
        "outstanding",
        outstanding,
        "8",
        1,
        BENCH_LEDGER_OUTSTANDING,
        "batches",
        "Under way, of one point; over HTTP each on a connection of its own."),
    TEXT(
        "ids",
        ids,
        "random",
        BENCH_LEDGER_WORD_SIZE,
        "Of one point: random, or time (milliseconds, then 80 random bits)."),
    TEXT(
        "spread",
        spread,
        "uniform",
        BENCH_LEDGER_WORD_SIZE,
        "Which accounts, of one point: uniform, zipf (rank r in proportion to 1/r), or hot (every "
        "transfer credits the same one)."),
    COUNT(
        "accounts",
        accounts,
        "10000",
        2,
        BENCH_LEDGER_ACCOUNTS_MAX,
        "accounts",
        "Between which the transfers of one point go."),
    TEXT(
        "orders",
        orders,
        "",
        STORE_ORDERS_TEXT_SIZE,
        "That the journal of one point keeps: account, user-data-128, user-data-64, user-data-32, "
        "code, ledger, with commas between, or all. With account, --reads asks for histories up to "
        "any time of the load too."),
    COUNT(
        "pending",
        pending,
        "0",
        0,
        100,
        "percent",
        "Of one point's transfers: half of them reserve, half post what was reserved."),
    COUNT(
        "rows",
        rows,
        "0",
        0,
        INT64_C(1000) * 1000 * 1000,
        "transfers",
        "So many of one point from the first one on, instead of a time."),
    BOOLEAN(
        "reads",
        reads,
        "After one point in this process: look-ups by id, the last 100 of an account, and the "
        "restart."),
    COUNT("seconds", seconds, "45", 1, 3600, "seconds", "For the whole table, or one point."),
    COUNT(
        "repeat",
        repeat,
        "3",
        1,
        BENCH_REPEAT_MAX,
        "runs",
        "Of each point of the table; the one with the median rate is shown."),
    BOOLEAN("json", json, "One JSON object a line: machine, settings, then each point."),
};

const size_t bench_ledger_options_count =
    sizeof(bench_ledger_options_table) / sizeof(bench_ledger_options_table[0]);

/* Which of the words, which end with NULL; -1: none. */
static int
word_find(const char *const *words, const char *word)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

int
bench_ledger_options_point(
    const struct command *command,
    const struct bench_ledger_options *options,
    struct bench_ledger_point *ret_point)
{
    static const char *const ids_words[] = {
        [BENCH_LEDGER_IDS_RANDOM] = "random", [BENCH_LEDGER_IDS_TIME] = "time", NULL};
    static const char *const spread_words[] = {
        [BENCH_LEDGER_SPREAD_UNIFORM] = "uniform",
        [BENCH_LEDGER_SPREAD_ZIPF] = "zipf",
        [BENCH_LEDGER_SPREAD_HOT] = "hot",
        NULL};
    int ids = word_find(ids_words, options->ids);
    int spread = word_find(spread_words, options->spread);
    if (ids < 0) {
        return command_misuse(command, "--ids is random or time, not %s", options->ids);
    }
    if (spread < 0) {
        return command_misuse(command, "--spread is uniform, zipf or hot, not %s", options->spread);
    }
    uint32_t orders = 0;
    if (store_orders_parse(options->orders, &orders) != ERR_OK) {
        return command_misuse(command, "--orders: there is no %s", options->orders);
    }
    uint64_t run_ns = (uint64_t)options->seconds * OS_NS_PER_S;
    uint64_t warm_up_ns = options->rows == 0 ? run_ns / 5 : 0;
    *ret_point = (struct bench_ledger_point){
        .work =
            {
                .ids = (enum bench_ledger_ids)ids,
                .spread = (enum bench_ledger_spread)spread,
                .accounts = (uint32_t)options->accounts,
                .batch = (uint32_t)options->batch,
                .pending_percent = (uint32_t)options->pending,
            },
        .outstanding = (uint32_t)options->outstanding,
        .warm_up_ns = warm_up_ns,
        .measure_ns = run_ns - warm_up_ns,
        .rows = (uint64_t)options->rows,
        .reads = options->reads,
        .orders = orders,
    };
    return COMMAND_GO_ON;
}
