/* `tael bench ledger`: the table of batch sizes. */
#include "bench_ledger.h"

#include "base/assert.h"
#include "os/entropy.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BASELINE_LINE_SIZE 128
#define BASELINES_MAX      4

static const uint32_t batches[] = {1, 10, 100, 1000, LEDGER_BATCH_MAX};

#define BATCH_COUNT (sizeof(batches) / sizeof(batches[0]))

/* A pipeline of 64 of the largest would only wait in the queue, with 64 MiB of memory. */
static uint32_t
outstanding_of(uint32_t batch)
{
    return batch == LEDGER_BATCH_MAX ? 8 : 64;
}

struct table {
    const struct command *command;
    const struct bench_ledger_options *options;
    char folder[BENCH_PATH_SIZE];
    uint64_t sync_ns;
    uint64_t run_ns; /* of one run of a point, warm-up included */
    char programs[BASELINES_MAX][BENCH_PATH_SIZE];
    uint32_t baseline_count;
    double baselines[BASELINES_MAX]; /* transfers a second in batches of the present size */
};

/* ---------------------------------------------------------------------------------- output */

/* The file's name without the folders. */
static const char *
baseline_name(const struct table *table, uint32_t index)
{
    const char *slash = strrchr(table->programs[index], '/');
    return slash == NULL ? table->programs[index] : slash + 1;
}

static void
print_json(
    const struct table *table,
    bool durable,
    const struct bench_ledger_point *point,
    const struct bench_ledger_result *result)
{
    (void)printf(
        "{\"bench\":\"ledger\",\"durable\":%s,\"batch\":%" PRIu32 ",\"outstanding\":%" PRIu32
        ",\"batches_per_s\":%.1f,\"transfers_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"cpu_us_per_batch\":%.2f",
        durable ? "true" : "false",
        point->work.batch,
        point->outstanding,
        result->batches_per_s,
        result->transfers_per_s,
        (double)result->p50_ns / 1e6,
        (double)result->p99_ns / 1e6,
        result->cpu_us_per_batch);
    if (durable && table->baseline_count > 0) {
        (void)printf(",\"baselines\":[");
        for (uint32_t i = 0; i < table->baseline_count; i++) {
            (void)printf(
                "%s{\"transfers_per_s\":%.1f,\"ratio\":%.2f}",
                i == 0 ? "" : ",",
                table->baselines[i],
                result->transfers_per_s / table->baselines[i]);
        }
        (void)printf("]");
    }
    (void)printf("}\n");
}

static void
print_row(
    const struct table *table,
    bool durable,
    const struct bench_ledger_point *point,
    const struct bench_ledger_result *result)
{
    (void)printf(
        "%-8s  %5" PRIu32 "  %11" PRIu32 "  %9.0f  %11.0f  %8.3f  %8.3f  %9.1f",
        durable ? "journal" : "memory",
        point->work.batch,
        point->outstanding,
        result->batches_per_s,
        result->transfers_per_s,
        (double)result->p50_ns / 1e6,
        (double)result->p99_ns / 1e6,
        result->cpu_us_per_batch);
    for (uint32_t i = 0; durable && i < table->baseline_count; i++) {
        (void)printf(
            "  %13.0f  %6.1f", table->baselines[i], result->transfers_per_s / table->baselines[i]);
    }
    (void)printf("\n");
}

static void
print_head(const struct table *table)
{
    const struct bench_ledger_options *options = table->options;
    bench_describe(options->json);
    if (options->json) {
        char text[2 * BENCH_PATH_SIZE];
        struct buf quoted;
        struct json_writer writer;
        buf_init_fixed(&quoted, text, sizeof(text));
        json_begin(&writer, &quoted);
        json_cstr(&writer, table->folder);
        (void)printf(
            "{\"accounts\":%d,\"repeat\":%" PRId64 ",\"run_ms\":%.0f,\"folder\":%.*s,"
            "\"sync_us\":%.1f}\n",
            BENCH_LEDGER_ACCOUNTS,
            options->repeat,
            (double)table->run_ns / 1e6,
            buf_failed(&quoted) ? 2 : (int)quoted.size,
            buf_failed(&quoted) ? "\"\"" : quoted.data,
            (double)table->sync_ns / 1e3);
        return;
    }
    (void)printf(
        "settings  %d accounts, %.0f ms a run, median of %" PRId64 "; journal in %s\n",
        BENCH_LEDGER_ACCOUNTS,
        (double)table->run_ns / 1e6,
        options->repeat,
        table->folder);
    (void)printf(
        "disk      one write of 4 KiB with its sync: %.0f us at the median\n\n",
        (double)table->sync_ns / 1e3);
    (void)printf(
        "%-8s  %5s  %11s  %9s  %11s  %8s  %8s  %9s",
        "store",
        "batch",
        "outstanding",
        "batches/s",
        "transfers/s",
        "p50 ms",
        "p99 ms",
        "CPU us/b.");
    for (uint32_t i = 0; i < table->baseline_count; i++) {
        (void)printf("  %13s  %6s", baseline_name(table, i), "ratio");
    }
    (void)printf("\n");
}

/* --------------------------------------------------------------------------------- measure */

/* PROGRAM FOLDER BATCH MILLISECONDS, in a folder that is new. */
static err_t
run_baseline(const struct table *table, const char *name, uint32_t batch, double *ret_rate)
{
    char program[BENCH_PATH_SIZE];
    char folder[BENCH_PATH_SIZE];
    char words[2][24];
    char line[BASELINE_LINE_SIZE];
    TRY(bench_folder_make(table->folder, folder));
    (void)snprintf(program, sizeof(program), "%s", name);
    (void)snprintf(words[0], sizeof(words[0]), "%" PRIu32, batch);
    (void)snprintf(words[1], sizeof(words[1]), "%" PRIu64, table->run_ns / OS_NS_PER_MS);
    char *const argv[] = {program, folder, words[0], words[1], NULL};
    struct bench_child child = {.pid = 0};
    err_t result = bench_child_start(argv, &child);
    if (result == ERR_OK) {
        bool told = fgets(line, sizeof(line), child.out) != NULL;
        bool good = bench_child_end(&child, 0);
        double rate = told && good ? strtod(line, NULL) : 0;
        result = rate > 0 ? ERR_OK : ERR_IO;
        *ret_rate = rate;
    }
    bench_folder_remove(folder);
    return result;
}

static int
measure_baseline(struct table *table, uint32_t which, size_t index)
{
    double rates[BENCH_REPEAT_MAX];
    const char *program = table->programs[which];
    size_t count = (size_t)table->options->repeat;
    for (size_t i = 0; i < count; i++) {
        if (run_baseline(table, program, batches[index], &rates[i]) != ERR_OK) {
            return command_fail(table->command, "the baseline %s failed", program);
        }
    }
    table->baselines[which] = rates[bench_median(rates, count)];
    return COMMAND_OK;
}

static err_t
run_once(
    const struct table *table,
    bool durable,
    struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result,
    struct store_error *error)
{
    char folder[BENCH_PATH_SIZE];
    char url[BENCH_PATH_SIZE + 32];
    if (!durable) {
        point->url = "memory:";
        return bench_ledger_run(point, ret_result, error);
    }
    TRY(bench_folder_make(table->folder, folder));
    (void)snprintf(url, sizeof(url), "journal:%s/ledger", folder);
    point->url = url;
    err_t result = bench_ledger_run(point, ret_result, error);
    point->url = NULL;
    bench_folder_remove(folder);
    return result;
}

static int
measure_runs(
    const struct table *table,
    bool durable,
    size_t index,
    uint32_t outstanding,
    struct bench_ledger_result *results)
{
    double rates[BENCH_REPEAT_MAX];
    size_t count = (size_t)table->options->repeat;
    struct bench_ledger_point point = {
        .work = {.accounts = BENCH_LEDGER_ACCOUNTS, .batch = batches[index]},
        .outstanding = outstanding,
        .warm_up_ns = table->run_ns / 5,
        .measure_ns = table->run_ns - table->run_ns / 5,
    };
    for (size_t i = 0; i < count; i++) {
        struct store_error error;
        memset(&error, 0, sizeof(error));
        err_t result = run_once(table, durable, &point, &results[i], &error);
        if (result != ERR_OK) {
            return command_fail(
                table->command,
                "batches of %" PRIu32 ": %s",
                point.work.batch,
                error.message[0] == '\0' ? err_text(result) : error.message);
        }
        rates[i] = results[i].transfers_per_s;
    }
    const struct bench_ledger_result *median = &results[bench_median(rates, count)];
    if (table->options->json) {
        print_json(table, durable, &point, median);
    } else {
        print_row(table, durable, &point, median);
    }
    (void)fflush(stdout);
    return COMMAND_OK;
}

static int
measure_point(const struct table *table, bool durable, size_t index, uint32_t outstanding)
{
    struct bench_ledger_result *results = calloc(BENCH_REPEAT_MAX, sizeof(*results));
    if (results == NULL) {
        return command_fail(table->command, "%s", err_text(ERR_MEMORY));
    }
    int status = measure_runs(table, durable, index, outstanding, results);
    free(results);
    return status;
}

static int
measure_batch(struct table *table, bool durable, size_t index)
{
    for (uint32_t i = 0; durable && i < table->baseline_count; i++) {
        int status = measure_baseline(table, i, index);
        if (status != COMMAND_OK) {
            return status;
        }
    }
    int status = measure_point(table, durable, index, 1);
    if (status != COMMAND_OK) {
        return status;
    }
    return measure_point(table, durable, index, outstanding_of(batches[index]));
}

static int
measure_all(struct table *table)
{
    err_t result = bench_sync_time(table->folder, &table->sync_ns);
    if (result != ERR_OK) {
        return command_fail(table->command, "%s: %s", table->folder, err_text(result));
    }
    if (bench_folder_is_volatile(table->folder)) {
        (void)fprintf(
            stderr,
            "tael bench ledger: %s is in memory: what is called durable below is not; --data=DIR "
            "names another folder\n",
            table->folder);
    }
    print_head(table);
    for (int durable = 0; durable <= 1; durable++) {
        for (size_t i = 0; i < BATCH_COUNT; i++) {
            int status = measure_batch(table, durable == 1, i);
            if (status != COMMAND_OK) {
                return status;
            }
        }
    }
    return COMMAND_OK;
}

/* ------------------------------------------------------------------------------- one point */

/* On a store that the caller names, in this process. */
static int
measure_store(
    const struct command *command,
    const struct bench_ledger_options *options,
    struct bench_ledger_point *point,
    struct bench_ledger_result *result)
{
    struct store_error error;
    memset(&error, 0, sizeof(error));
    point->url = options->store;
    err_t code = bench_ledger_run(point, result, &error);
    if (code != ERR_OK) {
        return command_fail(
            command, "%s", error.message[0] == '\0' ? err_text(code) : error.message);
    }
    return COMMAND_GO_ON;
}

/* On a server of its own, which is started again behind it. */
static int
measure_own_server(
    const struct command *command,
    const struct bench_ledger_options *options,
    const struct bench_ledger_point *point,
    struct bench_ledger_result *result)
{
    char folder[BENCH_PATH_SIZE];
    err_t code = bench_folder_make(options->data, folder);
    if (code != ERR_OK) {
        return command_fail(command, "no folder can be made: %s", err_text(code));
    }
    struct bench_server server = {.split = false};
    int status = bench_server_start(command, folder, NULL, "", "", &server);
    if (status == COMMAND_GO_ON) {
        status = bench_ledger_net(command, &server, point, result);
    }
    status = bench_server_end(command, &server, status);
    if (status == COMMAND_GO_ON) {
        struct bench_server again = {.split = false};
        uint64_t from_ns = os_monotonic_ns(os_clock_real());
        status = bench_server_start(command, folder, NULL, "", "", &again);
        result->restart_s = (double)(os_monotonic_ns(os_clock_real()) - from_ns) / 1e9;
        status = bench_server_end(command, &again, status);
        explicit_bzero(&again, sizeof(again));
    }
    explicit_bzero(&server, sizeof(server));
    bench_folder_remove(folder);
    return status;
}

static int
measure_network(
    const struct command *command,
    const struct bench_ledger_options *options,
    const struct bench_ledger_point *point,
    struct bench_ledger_result *result)
{
    if (options->server) {
        return measure_own_server(command, options, point, result);
    }
    struct bench_server server = {.split = false};
    int status = bench_server_use(command, options->url, options->key, &server);
    if (status == COMMAND_GO_ON) {
        status = bench_ledger_net(command, &server, point, result);
    }
    explicit_bzero(&server, sizeof(server));
    return status;
}

static int
measure_one(const struct command *command, const struct bench_ledger_options *options)
{
    int chosen = (options->store[0] != '\0') + (options->url[0] != '\0') + options->server;
    if (chosen > 1) {
        return command_misuse(command, "give one of --store, --url and --server");
    }
    if (options->reads && options->store[0] == '\0') {
        return command_misuse(command, "--reads needs --store");
    }
    struct bench_ledger_point point;
    int status = bench_ledger_options_point(command, options, &point);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    /* Accounts of their own, wherever it runs. */
    u128 base = os_random_u128(os_entropy_real());
    point.work.account_base = u128_make(u128_high(base) >> 1, 0);
    struct bench_ledger_result *result = calloc(1, sizeof(*result));
    if (result == NULL) {
        return command_fail(command, "%s", err_text(ERR_MEMORY));
    }
    status = options->store[0] == '\0' ? measure_network(command, options, &point, result)
                                       : measure_store(command, options, &point, result);
    if (status == COMMAND_GO_ON) {
        bench_ledger_report(&point, result, options->json);
        status = COMMAND_OK;
    }
    free(result);
    return status;
}

/* Programs with commas between them. The option is no longer than one of them may be. */
static bool
take_baselines(struct table *table)
{
    struct span rest = span_from_cstr(table->options->baseline);
    while (rest.size > 0) {
        if (table->baseline_count == BASELINES_MAX) {
            return false;
        }
        struct span program = span_cut(&rest, ',');
        char *name = table->programs[table->baseline_count++];
        ASSERT(program.size < BENCH_PATH_SIZE);
        memcpy(name, program.data, program.size);
        name[program.size] = '\0';
    }
    return true;
}

static int
measure_table(const struct command *command, const struct bench_ledger_options *options)
{
    struct table table = {.command = command, .options = options};
    if (!take_baselines(&table)) {
        return command_misuse(command, "--baseline names %d programs at most", BASELINES_MAX);
    }
    uint64_t run_count = (uint64_t)(4 + table.baseline_count) * BATCH_COUNT;
    table.run_ns =
        (uint64_t)options->seconds * OS_NS_PER_S / ((uint64_t)options->repeat * run_count);
    err_t result = bench_folder_make(options->data, table.folder);
    if (result != ERR_OK) {
        return command_fail(command, "no folder can be made: %s", err_text(result));
    }
    int status = measure_all(&table);
    bench_folder_remove(table.folder);
    return status;
}

static int
run_bench_ledger(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct bench_ledger_options options;
    memset(&options, 0, sizeof(options));
    const struct command_options reading = {
        .table = bench_ledger_options_table,
        .count = bench_ledger_options_count,
        .values = &options,
        .positional_max = 0,
    };
    int positional = 0;
    int status = command_options(command, &reading, argv, &positional);
    if (status == COMMAND_GO_ON) {
        bool one = options.store[0] != '\0' || options.url[0] != '\0' || options.server;
        status = one ? measure_one(command, &options) : measure_table(command, &options);
    }
    explicit_bzero(options.key, sizeof(options.key));
    return status;
}

const struct command command_bench_ledger = {
    .name = "ledger",
    .usage = "[OPTIONS]",
    .summary = "Measures the ledger: batches of transfers a second, in memory and durable",
    .manual =
        "A client in this process keeps 1 or 64 batches (8 of the largest) under way between\n"
        "10,000 accounts. memory: forgets; journal: answers when the batch is on the disk. Times\n"
        "are from handing over a batch to its answer. CPU is the whole process's, the client\n"
        "included.\n"
        "\n"
        "With --store, --url or --server it measures one point that the other options choose:\n"
        "\n"
        "    tael bench ledger --store=journal:/var/tmp/l --rows=10000000 --reads\n"
        "    tael bench ledger --server --batch=1 --outstanding=64 --seconds=10",
    .run = run_bench_ledger,
    .parent = &command_bench,
};
