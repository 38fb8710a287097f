/*
 * `tael bench payments`: starts a server of its own in a new folder (or uses one that is there),
 * measures GET /livez as what HTTP alone costs, then payments by card, by wallet and by QR code,
 * each in windows of which the median one is shown.
 */
#include "bench_load.h"
#include "bench_server.h"
#include "bench_wallets.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVEZ_S   2
#define WARM_UP_S 2
/* More than a window can pay. */
#define NO_LIMITS                                                                                  \
    "--wallet-limits=basic.out=1000000/1000000000/1000000000 "                                     \
    "basic.in=1000000/1000000000/1000000000"
#define PERCENT 100.0
/* A kind's name in --only. */
#define ONLY_SIZE 16

struct options {
    char data[BENCH_PATH_SIZE];
    char documents[BENCH_PATH_SIZE];
    char url[BENCH_PATH_SIZE];
    char key[BENCH_LOAD_KEY_SIZE];
    char config[BENCH_PATH_SIZE];
    char only[ONLY_SIZE];
    int64_t connections;
    int64_t seconds;
    int64_t repeat;
    bool split;
    bool json;
};

#define AT(member) offsetof(struct options, member)

static const struct setting options_table[] = {
    {.name = "data",
     .kind = SETTING_TEXT,
     .offset = AT(data),
     .fallback = "",
     .maximum = BENCH_PATH_SIZE,
     .help = "Folder on the disk to measure; without it $TMPDIR or /tmp."},
    {.name = "documents",
     .kind = SETTING_TEXT,
     .offset = AT(documents),
     .fallback = "",
     .maximum = BENCH_PATH_SIZE,
     .help = "postgres://...: an empty database for the documents.",
     .secret = true},
    {.name = "url",
     .kind = SETTING_TEXT,
     .offset = AT(url),
     .fallback = "",
     .maximum = BENCH_PATH_SIZE,
     .help = "http://HOST:PORT of a server that runs already; with --key, and with high enough "
             "--rate-limit and --wallet-limits there."},
    {.name = "key",
     .kind = SETTING_TEXT,
     .offset = AT(key),
     .fallback = "",
     .maximum = BENCH_LOAD_KEY_SIZE,
     .help = "The test-mode secret key of that server.",
     .secret = true},
    {.name = "config",
     .kind = SETTING_TEXT,
     .offset = AT(config),
     .fallback = "",
     .maximum = BENCH_PATH_SIZE,
     .help = "A file with settings for the server that it starts, to compare them."},
    {.name = "only",
     .kind = SETTING_TEXT,
     .offset = AT(only),
     .fallback = "",
     .maximum = ONLY_SIZE,
     .help = "One way to pay: cards, wallets or qr_codes; without it all three."},
    {.name = "connections",
     .kind = SETTING_INTEGER,
     .offset = AT(connections),
     .fallback = "64",
     .minimum = 1,
     .maximum = BENCH_LOAD_CONNECTIONS_MAX,
     .unit = "connections",
     .help = "Each has one request under way at all times."},
    {.name = "seconds",
     .kind = SETTING_INTEGER,
     .offset = AT(seconds),
     .fallback = "10",
     .minimum = 1,
     .maximum = 3600,
     .unit = "seconds",
     .help = "Of one window."},
    {.name = "repeat",
     .kind = SETTING_INTEGER,
     .offset = AT(repeat),
     .fallback = "3",
     .minimum = 1,
     .maximum = BENCH_REPEAT_MAX,
     .unit = "windows",
     .help = "Of payments; the one with the median rate is shown."},
    {.name = "split",
     .kind = SETTING_BOOLEAN,
     .offset = AT(split),
     .fallback = "false",
     .help =
         "The services as processes of their own (tael local-cluster); processor time is of all "
         "of them."},
    {.name = "json",
     .kind = SETTING_BOOLEAN,
     .offset = AT(json),
     .fallback = "false",
     .help = "One JSON object a line: machine, then each measurement."},
};

/* Ways to pay, in the order of the table. */
enum {
    KIND_CARDS,
    KIND_WALLETS,
    KIND_QR_CODES,
    KIND_COUNT
};

static const struct {
    const char *name;
    const char *code; /* in JSON */
} kinds[KIND_COUNT] = {{"cards", "cards"}, {"wallets", "wallets"}, {"QR codes", "qr_codes"}};

struct measured {
    struct bench_load_window window;
    struct bench_child_usage server; /* within the window */
    bool has_server;
};

struct bench {
    const struct command *command;
    const struct options *options;
    char folder[BENCH_PATH_SIZE];
    struct bench_server server;
    struct bench_load_settings load;
    uint64_t sync_ns;
    struct bench_wallets wallets;
    struct measured livez;
    struct measured windows[BENCH_REPEAT_MAX]; /* of the kind in hand */
    struct measured median[KIND_COUNT];
};

static bool
is_measured(const struct bench *bench, int kind)
{
    const char *only = bench->options->only;
    return only[0] == '\0' || strcmp(only, kinds[kind].code) == 0;
}

static bool
any_is_measured(const struct bench *bench)
{
    bool any = false;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        any = any || is_measured(bench, kind);
    }
    return any;
}

/* --------------------------------------------------------------------------------- measure */

struct schedule {
    int64_t warm_up_s;
    int64_t window_s;
    int64_t windows;
};

static void
sleep_seconds(int64_t seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds};
    while (nanosleep(&left, &left) != 0) {
    }
}

static void
measure_window(
    struct bench *bench, struct bench_load *load, int64_t seconds, struct measured *ret_measured)
{
    struct bench_child_usage before = {.cpu_ns = 0};
    struct bench_child_usage after = {.cpu_ns = 0};
    struct measured *measured = ret_measured;
    bench_load_begin(load);
    measured->has_server =
        bench->server.child.pid != 0 && bench_server_usage(&bench->server, &before) == ERR_OK;
    sleep_seconds(seconds);
    measured->has_server =
        measured->has_server && bench_server_usage(&bench->server, &after) == ERR_OK;
    bench_load_end(load, &measured->window);
    measured->server = bench_child_usage_between(&before, &after);
}

static double
rate_of(const struct measured *measured)
{
    return (double)measured->window.answers * 1e9 / (double)measured->window.wall_ns;
}

static int
measure(
    struct bench *bench,
    const struct bench_load_request *requests,
    uint32_t request_count,
    const struct schedule *schedule,
    struct measured *ret_median)
{
    char complaint[BENCH_LOAD_COMPLAINT_SIZE];
    double rates[BENCH_REPEAT_MAX];
    struct bench_load *load = NULL;
    bench->load.requests = requests;
    bench->load.request_count = request_count;
    err_t result = bench_load_start(&bench->load, &load);
    if (result != ERR_OK) {
        return command_fail(bench->command, "%s", err_text(result));
    }
    sleep_seconds(schedule->warm_up_s);
    for (int64_t i = 0; i < schedule->windows; i++) {
        measure_window(bench, load, schedule->window_s, &bench->windows[i]);
        rates[i] = rate_of(&bench->windows[i]);
    }
    if (!bench_load_stop(&load, complaint)) {
        return command_fail(bench->command, "an answer was not what it must be: %s", complaint);
    }
    *ret_median = bench->windows[bench_median(rates, (size_t)schedule->windows)];
    return COMMAND_GO_ON;
}

/* ---------------------------------------------------------------------------------- report */

static double
per_answer_us(const struct measured *measured, uint64_t cpu_ns)
{
    uint64_t answers = measured->window.answers;
    return answers == 0 ? 0 : (double)cpu_ns / 1e3 / (double)answers;
}

static double
milliseconds(const struct measured *measured, uint64_t per_mille)
{
    return (double)bench_histogram_quantile(&measured->window.latencies, per_mille) / 1e6;
}

static double
written_of(const struct measured *measured)
{
    uint64_t answers = measured->window.answers;
    return answers == 0 ? 0 : (double)measured->server.written_bytes / (double)answers;
}

static void
print_json(const struct bench *bench, const char *what, const struct measured *measured)
{
    (void)printf(
        "{\"bench\":\"%s\",\"connections\":%" PRId64
        ",\"per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"answers\":%" PRIu64
        ",\"bad\":%" PRIu64 ",\"load_cpu_us\":%.2f",
        what,
        bench->options->connections,
        rate_of(measured),
        milliseconds(measured, 500),
        milliseconds(measured, 990),
        (double)measured->window.latencies.largest_ns / 1e6,
        measured->window.answers,
        measured->window.bad,
        per_answer_us(measured, measured->window.cpu_ns));
    if (measured->has_server) {
        (void)printf(",\"server_cpu_us\":%.2f", per_answer_us(measured, measured->server.cpu_ns));
    }
    if (measured->has_server && measured->server.has_written) {
        (void)printf(",\"written_bytes\":%.0f", written_of(measured));
    }
    (void)printf("}\n");
}

static void
print_row(const char *what, const struct measured *measured)
{
    (void)printf(
        "%-10s  %9.0f  %8.3f  %8.3f  %8.3f",
        what,
        rate_of(measured),
        milliseconds(measured, 500),
        milliseconds(measured, 990),
        (double)measured->window.latencies.largest_ns / 1e6);
    if (measured->has_server) {
        (void)printf("  %13.1f", per_answer_us(measured, measured->server.cpu_ns));
    } else {
        (void)printf("  %13s", "not known");
    }
    (void)printf("  %11.1f", per_answer_us(measured, measured->window.cpu_ns));
    if (measured->has_server && measured->server.has_written) {
        (void)printf("  %13.0f", written_of(measured));
    } else {
        (void)printf("  %13s", "not known");
    }
    (void)printf("  %7" PRIu64 "\n", measured->window.bad);
}

static void
print_settings(const struct bench *bench)
{
    const struct options *options = bench->options;
    bench_describe(options->json);
    if (options->json) {
        return;
    }
    (void)printf(
        "settings  %" PRId64 " connections, one request under way on each; %" PRId64
        " s a window, median of %" PRId64 "; ",
        options->connections,
        options->seconds,
        options->repeat);
    if (bench->server.child.pid == 0) {
        (void)printf("server %s\n\n", options->url);
        return;
    }
    (void)printf("data in %s\n", bench->folder);
    (void)printf(
        "disk      one write of 4 KiB with its sync: %.0f us at the median\n\n",
        (double)bench->sync_ns / 1e3);
}

static void
print_comparison(const struct measured *livez, const struct measured *payments)
{
    (void)printf(
        "\ncard payments are answered at %.1f %% of the rate of GET /livez (HTTP alone)",
        PERCENT * rate_of(payments) / rate_of(livez));
    double floor = per_answer_us(livez, livez->server.cpu_ns);
    if (livez->has_server && payments->has_server && floor > 0) {
        (void)printf(
            "; of the server's processor time\na payment takes as much as %.1f of those",
            per_answer_us(payments, payments->server.cpu_ns) / floor);
    }
    (void)printf("\n");
}

static void
report(const struct bench *bench)
{
    if (bench->options->json) {
        print_json(bench, "livez", &bench->livez);
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            if (is_measured(bench, kind)) {
                print_json(bench, kinds[kind].code, &bench->median[kind]);
            }
        }
        return;
    }
    (void)printf(
        "%-10s  %9s  %8s  %8s  %8s  %13s  %11s  %13s  %7s\n",
        "",
        "a second",
        "p50 ms",
        "p99 ms",
        "max ms",
        "server CPU us",
        "load CPU us",
        "bytes to disk",
        "not 200");
    print_row("GET /livez", &bench->livez);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (is_measured(bench, kind)) {
            print_row(kinds[kind].name, &bench->median[kind]);
        }
    }
    if (is_measured(bench, KIND_CARDS)) {
        print_comparison(&bench->livez, &bench->median[KIND_CARDS]);
    }
}

static int
measure_kinds(struct bench *bench)
{
    static const struct bench_load_request livez = {.target = "/livez"};
    static const struct bench_load_request card = {
        .target = "/v1/payment_intents",
        .form = "amount=2000&currency=usd&payment_method=pm_card_visa&confirm=true",
        .expected = BENCH_PAYMENT_DONE,
    };
    static const struct schedule short_schedule = {
        .warm_up_s = 1, .window_s = LIVEZ_S, .windows = 1};
    const struct schedule schedule = {
        .warm_up_s = WARM_UP_S,
        .window_s = bench->options->seconds,
        .windows = bench->options->repeat,
    };

    const struct {
        const struct bench_load_request *requests;
        uint32_t count;
    } loads[KIND_COUNT] = {
        [KIND_CARDS] = {&card, 1},
        [KIND_WALLETS] = {bench->wallets.payments, BENCH_WALLETS_COUNT},
        [KIND_QR_CODES] = {bench->wallets.qr_payments, BENCH_WALLETS_COUNT},
    };

    int status = measure(bench, &livez, 1, &short_schedule, &bench->livez);
    for (int kind = 0; kind < KIND_COUNT && status == COMMAND_GO_ON; kind++) {
        if (is_measured(bench, kind)) {
            status = measure(
                bench, loads[kind].requests, loads[kind].count, &schedule, &bench->median[kind]);
        }
    }
    return status;
}

static int
measure_all(struct bench *bench)
{
    int status = COMMAND_GO_ON;
    if (bench->options->url[0] == '\0') {
        err_t result = bench_sync_time(bench->folder, &bench->sync_ns);
        if (result != ERR_OK) {
            return command_fail(bench->command, "%s: %s", bench->folder, err_text(result));
        }
        if (bench_folder_is_volatile(bench->folder)) {
            (void)fprintf(
                stderr,
                "tael bench payments: %s is in memory: nothing below is durable; --data=DIR names "
                "another folder\n",
                bench->folder);
        }
        bench->server.split = bench->options->split;
        status = bench_server_start(
            bench->command,
            bench->folder,
            NO_LIMITS,
            bench->options->config,
            bench->options->documents,
            &bench->server);
    } else {
        const struct options *options = bench->options;
        status = bench_server_use(bench->command, options->url, options->key, &bench->server);
    }
    if (status != COMMAND_GO_ON) {
        return status;
    }
    bench_server_load(&bench->server, &bench->load);
    print_settings(bench);
    (void)fflush(stdout);
    status = bench_wallets_open(bench->command, &bench->load, &bench->wallets);
    if (status == COMMAND_GO_ON) {
        status = measure_kinds(bench);
    }
    if (status == COMMAND_GO_ON) {
        report(bench);
        status = COMMAND_OK;
    }
    return status;
}

static int
run_in_folder(struct bench *bench)
{
    err_t result = bench_folder_make(bench->options->data, bench->folder);
    if (result != ERR_OK) {
        return command_fail(bench->command, "no folder can be made: %s", err_text(result));
    }
    int status = measure_all(bench);
    status = bench_server_end(bench->command, &bench->server, status);
    bench_folder_remove(bench->folder);
    return status;
}

static int
run_bench_payments(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct options options;
    memset(&options, 0, sizeof(options));
    const struct command_options reading = {
        COMMAND_TABLE(options_table),
        .values = &options,
        .positional_max = 0,
    };
    int positional = 0;
    int status = command_options(command, &reading, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct bench *bench = calloc(1, sizeof(*bench));
    if (bench == NULL) {
        return command_fail(command, "out of memory");
    }
    bench->command = command;
    bench->options = &options;
    bench->load.connections = (uint32_t)options.connections;
    status = any_is_measured(bench)
                 ? run_in_folder(bench)
                 : command_misuse(command, "--only is cards, wallets or qr_codes");
    explicit_bzero(bench, sizeof(*bench)); /* the key */
    explicit_bzero(&options, sizeof(options));
    free(bench);
    return status;
}

const struct command command_bench_payments = {
    .name = "payments",
    .usage = "[OPTIONS]",
    .summary = "Measures payments over HTTP: by card, by wallet, by QR code, each in one call",
    .manual =
        "Starts a server of its own in a new folder, which is removed at the end; load generator\n"
        "and simulated card issuer share the machine with it. Its processor time (all threads) is\n"
        "per answer, the load generator's apart. A window of two seconds before is not counted.\n"
        "An answer that is not 200, or a payment that did not succeed, is a failure.",
    .run = run_bench_payments,
    .parent = &command_bench,
};
