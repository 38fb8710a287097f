/*
 * `tael bench webhooks`: a server of its own, and a receiver in this process. First customers are
 * created without an endpoint, then with one that gets an event for each; then a queue is filled
 * while the receiver refuses, and the time is taken that it needs to empty.
 */
#include "bench_load.h"
#include "bench_server.h"

#include "base/assert.h"
#include "base/list.h"
#include "net/client.h"
#include "net/server.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_MS      2
#define STUCK_S      120
#define WARM_UP_MS   1000
#define CALL_TIMEOUT 30000
/* Those that were refused come when their retry is due, not when there is room. */
#define REFUSED_MAX 64
#define RETRY_FLAG  "--webhook-test-retry-first=1s"

struct options {
    char data[BENCH_PATH_SIZE];
    int64_t connections;
    int64_t seconds;
    int64_t repeat;
    int64_t queue;
    bool json;
};

#define AT(member) offsetof(struct options, member)
#define NUMBER_OF(name_, member, fallback_, low, high, unit_, help_)                               \
    {                                                                                              \
        .name = name_, .kind = SETTING_INTEGER, .offset = AT(member), .fallback = fallback_,       \
        .minimum = low, .maximum = high, .unit = unit_, .help = help_                              \
    }

static const struct setting options_table[] = {
    {.name = "data",
     .kind = SETTING_TEXT,
     .offset = AT(data),
     .fallback = "",
     .maximum = BENCH_PATH_SIZE,
     .help = "Folder on the disk to measure; without it $TMPDIR or /tmp."},
    NUMBER_OF(
        "connections",
        connections,
        "64",
        1,
        BENCH_LOAD_CONNECTIONS_MAX,
        "connections",
        "Of those who create customers."),
    NUMBER_OF("seconds", seconds, "10", 1, 3600, "seconds", "Of a window with customers."),
    NUMBER_OF(
        "repeat", repeat, "3", 1, BENCH_REPEAT_MAX, "queues", "To empty; the median is shown."),
    NUMBER_OF("queue", queue, "20000", 100, 10000000, "events", "In it when it is emptied."),
    {.name = "json",
     .kind = SETTING_BOOLEAN,
     .offset = AT(json),
     .fallback = "false",
     .help = "One JSON object a line: machine, then each measurement."},
};

/* What is measured: so many of something in a time. */
struct measured {
    uint64_t count;
    uint64_t wall_ns;
    struct bench_child_usage server;
    uint64_t deliveries; /* within the time */
};

struct bench {
    const struct command *command;
    const struct options *options;
    char folder[BENCH_PATH_SIZE];
    struct bench_server server;
    struct bench_load_settings load;

    struct net_loop *loop; /* the receiver's */
    struct net_server *receiver;
    uint16_t port;
    bool runs;
    _Atomic bool refuses;
    _Atomic uint64_t received; /* answered with 200 */

    struct measured alone;
    struct measured together;
    struct measured queues[BENCH_REPEAT_MAX];
};

static void
sleep_ms(int64_t milliseconds)
{
    struct timespec left = {
        .tv_sec = (time_t)(milliseconds / 1000), .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* --------------------------------------------------------------------------------- receiver */

static void
on_requests(void *context, struct net_exchange *first)
{
    struct bench *bench = context;
    uint64_t count = 0;
    bool refuses = atomic_load(&bench->refuses);
    for (struct net_exchange *exchange = first; exchange != NULL; exchange = exchange->next) {
        exchange->answer.status = refuses ? 503 : 200;
        count++;
    }
    net_answer(first);
    if (!refuses) {
        atomic_fetch_add(&bench->received, count);
    }
}

static err_t
receiver_open(struct bench *bench)
{
    const struct net_server_hooks hooks = {.context = bench, .on_requests = on_requests};
    const struct net_listen listen = {.address = "127.0.0.1"};
    TRY(net_loop_create("receiver", &bench->loop));
    TRY(net_server_create(bench->loop, &net_server_settings_default, &hooks, &bench->receiver));
    TRY(net_server_listen(bench->receiver, &listen, &bench->port));
    TRY(net_loop_start(bench->loop));
    bench->runs = true;
    net_server_start(bench->receiver);
    return ERR_OK;
}

static void
receiver_close(struct bench *bench)
{
    if (bench->runs) {
        net_server_stop(bench->receiver, 0);
        net_loop_stop(bench->loop);
    }
    net_server_destroy(&bench->receiver);
    net_loop_destroy(&bench->loop);
}

/* POST /v1/webhook_endpoints */
static err_t
endpoint_create(struct bench *bench)
{
    char body[128];
    char authorization[BENCH_LOAD_KEY_SIZE + 16];
    struct net_client *client = NULL;
    (void)snprintf(
        body,
        sizeof(body),
        "url=http://127.0.0.1:%u/&enabled_events[]=customer.created",
        (unsigned)bench->port);
    (void)snprintf(authorization, sizeof(authorization), "Bearer %s", bench->server.key);
    const struct http_header header = {
        .name = SPAN("Authorization"), .value = span_from_cstr(authorization)};
    const struct net_origin origin = {.host = bench->server.host, .port = bench->server.port};
    TRY(net_client_create(bench->loop, &origin, &net_client_settings_default, &client));
    struct net_call call = {
        .method = HTTP_METHOD_POST,
        .target = SPAN("/v1/webhook_endpoints"),
        .content_type = SPAN("application/x-www-form-urlencoded"),
        .headers = &header,
        .header_count = 1,
        .body = span_from_cstr(body),
        .timeout_ms = CALL_TIMEOUT,
    };
    err_t result = net_client_call_blocking(client, &call);
    if (result == ERR_OK && call.status != 200) {
        result = ERR_INVALID;
    }
    net_call_release(&call);
    net_client_stop(client);
    net_client_destroy(&client);
    explicit_bzero(authorization, sizeof(authorization));
    return result;
}

/* --------------------------------------------------------------------------------- measure */

static void
usage_of(struct bench *bench, struct bench_child_usage *usage)
{
    *usage = (struct bench_child_usage){.cpu_ns = 0};
    if (bench_child_usage(&bench->server.child, usage) != ERR_OK) {
        usage->has_written = false;
    }
}

static void
usage_since(struct bench *bench, const struct bench_child_usage *before, struct measured *measured)
{
    struct bench_child_usage after;
    usage_of(bench, &after);
    measured->server = bench_child_usage_between(before, &after);
}

static int
load_failed(const struct bench *bench, const char *complaint)
{
    return command_fail(bench->command, "an answer was not what it must be: %s", complaint);
}

/* Customers at full speed for the window. */
static int
measure_customers(struct bench *bench, struct measured *measured)
{
    char complaint[BENCH_LOAD_COMPLAINT_SIZE];
    struct bench_load *load = NULL;
    struct bench_child_usage before;
    struct bench_load_window *window = calloc(1, sizeof(*window));
    if (window == NULL || bench_load_start(&bench->load, &load) != ERR_OK) {
        free(window);
        return command_fail(bench->command, "the load does not start");
    }
    sleep_ms(WARM_UP_MS);
    bench_load_begin(load);
    uint64_t received = atomic_load(&bench->received);
    usage_of(bench, &before);
    sleep_ms(bench->options->seconds * 1000);
    usage_since(bench, &before, measured);
    measured->deliveries = atomic_load(&bench->received) - received;
    bench_load_end(load, window);
    measured->count = window->answers;
    measured->wall_ns = window->wall_ns;
    free(window);
    return bench_load_stop(&load, complaint) ? COMMAND_GO_ON : load_failed(bench, complaint);
}

/* Until so many were received; false if nothing came for long. */
static bool
wait_received(struct bench *bench, uint64_t wanted)
{
    uint64_t last = 0;
    uint64_t changed_ns = net_now_ns();
    for (;;) {
        uint64_t received = atomic_load(&bench->received);
        if (received >= wanted) {
            return true;
        }
        if (received != last) {
            last = received;
            changed_ns = net_now_ns();
        } else if (net_now_ns() - changed_ns > STUCK_S * OS_NS_PER_S) {
            return false;
        }
        sleep_ms(POLL_MS);
    }
}

/* Fills the queue; *ret_count is what is in it. */
static int
fill_queue(struct bench *bench, uint64_t *ret_count)
{
    char complaint[BENCH_LOAD_COMPLAINT_SIZE];
    struct bench_load *load = NULL;
    struct bench_load_window *window = calloc(1, sizeof(*window));
    if (window == NULL || bench_load_start(&bench->load, &load) != ERR_OK) {
        free(window);
        return command_fail(bench->command, "the load does not start");
    }
    do {
        sleep_ms(POLL_MS);
        bench_load_end(load, window);
    } while (window->answers < (uint64_t)bench->options->queue && window->bad == 0);
    *ret_count = window->answers; /* at least: what is under way comes to it */
    free(window);
    return bench_load_stop(&load, complaint) ? COMMAND_GO_ON : load_failed(bench, complaint);
}

static int
measure_queue(struct bench *bench, struct measured *measured)
{
    uint64_t count = 0;
    struct bench_child_usage before;
    atomic_store(&bench->refuses, true);
    int status = fill_queue(bench, &count);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    ASSERT(count > REFUSED_MAX);
    uint64_t first = atomic_load(&bench->received);
    usage_of(bench, &before);
    atomic_store(&bench->refuses, false);
    if (!wait_received(bench, first + 1)) {
        return command_fail(bench->command, "nothing is delivered");
    }
    uint64_t began_ns = net_now_ns();
    if (!wait_received(bench, first + count - REFUSED_MAX)) {
        return command_fail(bench->command, "the queue does not empty");
    }
    measured->wall_ns = net_now_ns() - began_ns;
    measured->count = atomic_load(&bench->received) - first;
    measured->deliveries = measured->count;
    usage_since(bench, &before, measured);
    return wait_received(bench, first + count)
               ? COMMAND_GO_ON
               : command_fail(bench->command, "not everything was delivered");
}

static int
measure_all(struct bench *bench)
{
    int status = measure_customers(bench, &bench->alone);
    if (status == COMMAND_GO_ON && endpoint_create(bench) != ERR_OK) {
        status = command_fail(bench->command, "the webhook endpoint was refused");
    }
    if (status == COMMAND_GO_ON) {
        status = measure_customers(bench, &bench->together);
    }
    for (int64_t i = 0; status == COMMAND_GO_ON && i < bench->options->repeat; i++) {
        status = measure_queue(bench, &bench->queues[i]);
    }
    return status;
}

/* ---------------------------------------------------------------------------------- report */

static double
rate_of(uint64_t count, const struct measured *measured)
{
    return (double)count * 1e9 / (double)measured->wall_ns;
}

static void
print_one(const struct bench *bench, const char *what, const struct measured *measured)
{
    double each = measured->count == 0 ? 1 : (double)measured->count;
    double rate = rate_of(measured->count, measured);
    double deliveries = rate_of(measured->deliveries, measured);
    double cpu_us = (double)measured->server.cpu_ns / 1e3 / each;
    double written = (double)measured->server.written_bytes / each;
    if (!bench->options->json) {
        (void)printf("%-28s  %9.0f  %12.0f  %13.1f", what, rate, deliveries, cpu_us);
        if (measured->server.has_written) {
            (void)printf("  %13.0f\n", written);
        } else {
            (void)printf("  %13s\n", "not known");
        }
        return;
    }
    (void)printf(
        "{\"bench\":\"webhooks\",\"what\":\"%s\",\"count\":%" PRIu64
        ",\"per_s\":%.1f,\"deliveries_per_s\":%.1f,\"server_cpu_us\":%.2f",
        what,
        measured->count,
        rate,
        deliveries,
        cpu_us);
    if (measured->server.has_written) {
        (void)printf(",\"written_bytes\":%.0f", written);
    }
    (void)printf("}\n");
}

static void
report(const struct bench *bench)
{
    double rates[BENCH_REPEAT_MAX];
    size_t count = (size_t)bench->options->repeat;
    for (size_t i = 0; i < count; i++) {
        rates[i] = rate_of(bench->queues[i].count, &bench->queues[i]);
    }
    if (!bench->options->json) {
        (void)printf(
            "%-28s  %9s  %12s  %13s  %13s\n",
            "",
            "a second",
            "deliveries/s",
            "server CPU us",
            "bytes to disk");
    }
    print_one(bench, "customers", &bench->alone);
    print_one(bench, "customers, a webhook each", &bench->together);
    print_one(bench, "webhooks from a queue", &bench->queues[bench_median(rates, count)]);
}

static int
run_in_folder(struct bench *bench)
{
    err_t result = bench_folder_make(bench->options->data, bench->folder);
    if (result != ERR_OK) {
        return command_fail(bench->command, "no folder can be made: %s", err_text(result));
    }
    if (bench_folder_is_volatile(bench->folder)) {
        (void)fprintf(
            stderr,
            "tael bench webhooks: %s is in memory: nothing below is durable; --data=DIR names "
            "another folder\n",
            bench->folder);
    }
    int status =
        bench_server_start(bench->command, bench->folder, RETRY_FLAG, "", "", &bench->server);
    if (status == COMMAND_GO_ON) {
        bench_server_load(&bench->server, &bench->load);
        result = receiver_open(bench);
        status =
            result == ERR_OK ? COMMAND_GO_ON : command_fail(bench->command, "%s", err_text(result));
    }
    if (status == COMMAND_GO_ON) {
        bench_describe(bench->options->json);
        (void)fflush(stdout);
        status = measure_all(bench);
    }
    if (status == COMMAND_GO_ON) {
        report(bench);
        status = COMMAND_OK;
    }
    status = bench_server_end(bench->command, &bench->server, status);
    receiver_close(bench);
    bench_folder_remove(bench->folder);
    return status;
}

static int
run_bench_webhooks(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct options options;
    memset(&options, 0, sizeof(options));
    /* One event each. */
    static const struct bench_load_request customer = {
        .target = "/v1/customers", .form = "name=Ada"};
    const struct command_options reading = {
        COMMAND_TABLE(options_table),
        .values = &options,
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
    bench->load.requests = &customer;
    bench->load.request_count = 1;
    bench->load.connections = (uint32_t)options.connections;
    status = run_in_folder(bench);
    explicit_bzero(bench, sizeof(*bench)); /* the key */
    free(bench);
    return status;
}

const struct command command_bench_webhooks = {
    .name = "webhooks",
    .usage = "[OPTIONS]",
    .summary = "Measures the delivery of events to a webhook endpoint",
    .manual =
        "Starts a server of its own in a new folder, which is removed at the end; whoever creates\n"
        "customers, and the endpoint that gets an event for each, share the machine with it.\n"
        "Processor time and bytes are the server's, per customer or delivery. A delivery is\n"
        "durable before it is sent, and so is its end.",
    .run = run_bench_webhooks,
    .parent = &command_bench,
};
