/*
 * The load over HTTP: packed batches, each of `outstanding` on a connection of its own, which sends
 * the next one when the last was answered and checked. Everything happens on one net loop; the
 * main thread makes the accounts, starts, and waits.
 */
#include "bench_ledger.h"

#include "base/assert.h"
#include "base/list.h"
#include "net/client.h"
#include "os/entropy.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 60000
#define BURSTS_MIN      4

struct caller {
    struct net_call call;
    struct run *run;
    struct ledger_transfer *transfers;
    struct bench_ledger_line line;
    uint64_t sent_ns;
};

/* The net loop owns it while calls are under way. */
struct run {
    const struct command *command;
    const struct bench_server *server;
    const struct bench_ledger_point *point;
    struct net_loop *loop;
    struct net_client *client;
    struct caller *callers;
    struct bench_ledger_maker *maker;
    struct http_header authorization;
    char authorization_text[BENCH_LOAD_KEY_SIZE + 16];
    struct os_task start;
    struct os_task send_task; /* what starts together, when all answers of a turn were seen */
    struct net_call *next_first;
    uint32_t under_way;
    bool measuring;
    uint64_t measure_from_ns;
    uint64_t measure_until_ns;
    struct bench_child_usage server_from, server_until;
    uint64_t client_from_ns, client_until_ns;
    struct bench_ledger_count count;
    char complaint[BENCH_LOAD_COMPLAINT_SIZE]; /* empty: none */
    sem_t ended;
};

static uint64_t
now_ns(void)
{
    return os_monotonic_ns(os_clock_real());
}

static uint64_t
cpu_ns(void)
{
    struct os_usage usage = os_process_usage();
    return usage.cpu_user_ns + usage.cpu_system_ns;
}

static void
usage_take(struct run *run, struct bench_child_usage *ret_server, uint64_t *ret_client_ns)
{
    *ret_client_ns = cpu_ns();
    bool own = run->server->child.pid != 0;
    if (!own || bench_server_usage(run->server, ret_server) != ERR_OK) {
        *ret_server = (struct bench_child_usage){.has_written = false};
    }
}

/* --------------------------------------------------------------------------- the net loop */

static void answered(struct net_call *call);

static void
fill_call(struct run *run, struct net_call *call, const char *target, struct span type)
{
    call->method = HTTP_METHOD_POST;
    call->target = span_from_cstr(target);
    call->content_type = type;
    call->headers = &run->authorization;
    call->header_count = 1;
    call->timeout_ms = CALL_TIMEOUT_MS;
}

static void
start_calls(struct os_task *task)
{
    struct run *run = CONTAINER_OF(task, struct run, send_task);
    struct net_call *first = run->next_first;
    run->next_first = NULL;
    net_client_start(run->client, first);
}

static void
send(struct caller *caller)
{
    struct run *run = caller->run;
    bench_ledger_make(run->maker, &caller->line, os_wall_ns(os_clock_real()), caller->transfers);
    fill_call(run, &caller->call, "/v1/ledger/transfers", SPAN("application/vnd.tael.transfers"));
    caller->call.body = span_of(
        (const char *)caller->transfers, run->point->work.batch * sizeof(*caller->transfers));
    caller->call.reply_to = net_loop_executor(run->loop);
    caller->call.done = answered;
    caller->sent_ns = now_ns();
    run->under_way++;
    if (run->next_first == NULL) {
        os_post(net_loop_executor(run->loop), &run->send_task);
    }
    caller->call.next = run->next_first;
    run->next_first = &caller->call;
}

static bool
results_are_good(const struct net_call *call, uint32_t count, uint32_t created)
{
    if (call->result != ERR_OK || call->status != 200 ||
        call->answer.size != count * sizeof(struct ledger_result)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_result result;
        memcpy(&result, call->answer.data + i * sizeof(result), sizeof(result));
        if (result.status != created) {
            return false;
        }
    }
    return true;
}

static void
complain(struct run *run, const struct net_call *call)
{
    if (run->complaint[0] != '\0') {
        return;
    }
    bool text = call->result == ERR_OK && call->status != 200 && call->answer.size > 0;
    size_t shown = call->answer.size < 400 ? call->answer.size : 400;
    (void)snprintf(
        run->complaint,
        sizeof(run->complaint),
        "%s, status %u%s%.*s",
        call->result == ERR_OK ? "not every event was created" : err_text(call->result),
        call->status,
        text ? ": " : "",
        text ? (int)shown : 0,
        text ? call->answer.data : "");
}

static bool
is_over(const struct run *run, uint64_t now)
{
    if (run->point->rows != 0) {
        return run->maker->made >= run->point->rows;
    }
    return now > run->measure_until_ns &&
           run->count.batches >= (uint64_t)BURSTS_MIN * run->point->outstanding;
}

static void
measure_begin(struct run *run, uint64_t now)
{
    run->measuring = true;
    run->count.from_ns = now;
    usage_take(run, &run->server_from, &run->client_from_ns);
}

static void
measure(struct run *run, uint64_t now, const struct caller *caller)
{
    if (run->measuring) {
        bench_ledger_count_add(&run->count, now, caller->sent_ns, run->point->work.batch);
    } else if (now >= run->measure_from_ns) {
        measure_begin(run, now); /* counting begins with the batch after this one */
    }
}

static void
answered(struct net_call *call)
{
    struct caller *caller = CONTAINER_OF(call, struct caller, call);
    struct run *run = caller->run;
    ASSERT(run->under_way > 0);
    run->under_way--;
    if (!results_are_good(call, run->point->work.batch, LEDGER_TRANSFER_created)) {
        complain(run, call);
    }
    uint64_t now = now_ns();
    measure(run, now, caller);
    if (run->complaint[0] == '\0' && !is_over(run, now)) {
        send(caller);
    } else if (run->under_way == 0) {
        usage_take(run, &run->server_until, &run->client_until_ns);
        (void)sem_post(&run->ended);
    }
}

static void
start(struct os_task *task)
{
    struct run *run = CONTAINER_OF(task, struct run, start);
    uint64_t now = now_ns();
    run->measure_from_ns = now + run->point->warm_up_ns;
    run->measure_until_ns = run->measure_from_ns + run->point->measure_ns;
    if (run->point->rows != 0) {
        measure_begin(run, now);
    }
    for (uint32_t i = 0; i < run->point->outstanding; i++) {
        send(&run->callers[i]);
    }
}

/* ------------------------------------------------------------------------- the main thread */

static err_t
create_accounts(void *context, const struct ledger_account *accounts, uint32_t count)
{
    struct run *run = context;
    struct net_call call = {.status = 0};
    fill_call(run, &call, "/v1/ledger/accounts", SPAN("application/vnd.tael.accounts"));
    call.body = span_of((const char *)accounts, count * sizeof(*accounts));
    err_t result = net_client_call_blocking(run->client, &call);
    if (result == ERR_OK && !results_are_good(&call, count, LEDGER_ACCOUNT_created)) {
        complain(run, &call);
        result = ERR_INVALID;
    }
    net_call_release(&call);
    return result;
}

static err_t
prepare(struct run *run)
{
    const struct bench_ledger_point *point = run->point;
    run->callers = calloc(point->outstanding, sizeof(*run->callers));
    run->maker = malloc(sizeof(*run->maker));
    if (run->callers == NULL || run->maker == NULL) {
        return ERR_MEMORY;
    }
    uint64_t seed = u128_low(os_random_u128(os_entropy_real())); /* ids of two runs differ */
    bench_ledger_maker_init(run->maker, &point->work, seed);
    for (uint32_t i = 0; i < point->outstanding; i++) {
        struct caller *caller = &run->callers[i];
        caller->run = run;
        caller->transfers = calloc(point->work.batch, sizeof(*caller->transfers));
        caller->line.reserved = calloc(point->work.batch, sizeof(*caller->line.reserved));
        if (caller->transfers == NULL || caller->line.reserved == NULL) {
            return ERR_MEMORY;
        }
    }
    (void)snprintf(
        run->authorization_text, sizeof(run->authorization_text), "Bearer %s", run->server->key);
    run->authorization = (struct http_header){
        .name = SPAN("Authorization"), .value = span_from_cstr(run->authorization_text)};
    const struct net_origin origin = {.host = run->server->host, .port = run->server->port};
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = point->outstanding;
    TRY(net_loop_create("load", &run->loop));
    TRY(net_client_create(run->loop, &origin, &settings, &run->client));
    return net_loop_start(run->loop);
}

static void
report(const struct run *run, struct bench_ledger_result *ret_result)
{
    memset(ret_result, 0, sizeof(*ret_result));
    bench_ledger_count_report(&run->count, run->point->work.batch, ret_result);
    uint64_t client = run->client_until_ns - run->client_from_ns;
    const struct bench_child_usage server =
        bench_child_usage_between(&run->server_from, &run->server_until);
    uint64_t both = client + server.cpu_ns;
    ret_result->cpu_us_per_batch = (double)both / 1e3 / (double)run->count.batches;
    ret_result->load_share = (double)client / (double)(both + 1);
    ret_result->has_written = server.has_written;
    ret_result->written_bytes = server.written_bytes;
    ret_result->resident_bytes = server.resident_bytes;
}

static err_t
execute(struct run *run, struct bench_ledger_result *ret_result)
{
    TRY(prepare(run));
    TRY(bench_ledger_accounts(&run->point->work, create_accounts, run));
    os_post(net_loop_executor(run->loop), &run->start);
    while (sem_wait(&run->ended) != 0) {
    }
    if (run->complaint[0] != '\0') {
        return ERR_INVALID;
    }
    if (run->count.batches == 0) {
        return ERR_TIMEOUT;
    }
    report(run, ret_result);
    return ERR_OK;
}

static void
destroy(struct run *run)
{
    if (run->client != NULL) {
        net_client_stop(run->client);
    }
    if (run->loop != NULL) {
        net_loop_stop(run->loop);
    }
    net_client_destroy(&run->client);
    net_loop_destroy(&run->loop);
    for (uint32_t i = 0; run->callers != NULL && i < run->point->outstanding; i++) {
        net_call_release(&run->callers[i].call);
        free(run->callers[i].transfers);
        free(run->callers[i].line.reserved);
    }
    free(run->callers);
    free(run->maker);
    (void)sem_destroy(&run->ended);
    explicit_bzero(run, sizeof(*run)); /* the key */
    free(run);
}

int
bench_ledger_net(
    const struct command *command,
    const struct bench_server *server,
    const struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL || sem_init(&run->ended, 0, 0) != 0) {
        free(run);
        return command_fail(command, "%s", err_text(ERR_MEMORY));
    }
    run->command = command;
    run->server = server;
    run->point = point;
    run->start.run = start;
    run->send_task.run = start_calls;
    err_t result = execute(run, ret_result);
    int status = COMMAND_GO_ON;
    if (result != ERR_OK) {
        status = command_fail(
            command, "%s", run->complaint[0] == '\0' ? err_text(result) : run->complaint);
    }
    destroy(run);
    return status;
}
