/*
 * Runs one point: a client on a loop of its own keeps `outstanding` batches under way at the
 * engine's port, as a service in the same process does. Each answer is checked and makes its slot
 * send the next batch.
 *
 *     main: open, make accounts, start --> wait ............................ --> close
 *     client's loop:               send, answered, answered ..., the last answered
 */
#include "bench_ledger.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/entropy.h"
#include "os/loop_real.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Looks of 10 ms at whether all orders are made. */
#define ORDERS_WAIT_MAX 30000u

#define BURSTS_MIN      4

struct slot {
    struct port_ledger_request request;
    struct run *run;
    struct ledger_transfer *transfers;
    struct ledger_result *results;
    struct bench_ledger_line line;
    uint64_t sent_ns;
};

/* What the process and the client's thread used. */
struct usage {
    struct os_usage process;
    struct bench_child_usage child;
    uint64_t client_ns;
};

/* The client's loop owns it while batches are under way. */
struct run {
    const struct bench_ledger_point *point;
    struct os_loop *loop;
    struct ledger_engine *engine;
    struct port_ledger *port;
    struct slot *slots;
    struct os_task start;
    struct bench_ledger_maker *maker;
    uint64_t rows; /* not more */
    uint32_t under_way;
    uint64_t measure_from_ns;
    uint64_t measure_until_ns;
    struct usage from;
    struct usage until;
    bool measuring;
    struct bench_ledger_count count;
    err_t result; /* the first failure */
    sem_t ended;
};

static uint64_t
now_ns(void)
{
    return os_monotonic_ns(os_clock_real());
}

/* On the client's thread. */
static struct usage
usage_now(void)
{
    struct usage usage = {.process = os_process_usage()};
    const struct bench_child self = {.pid = getpid()};
    if (bench_child_usage(&self, &usage.child) != ERR_OK) {
        usage.child.has_written = false;
    }
    struct timespec client = {0};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &client) == 0) {
        usage.client_ns = (uint64_t)client.tv_sec * OS_NS_PER_S + (uint64_t)client.tv_nsec;
    }
    return usage;
}

static void answered(struct port_ledger_request *request);

static void
submit(struct slot *slot)
{
    struct run *run = slot->run;
    slot->request = (struct port_ledger_request){
        .reply_to = os_loop_executor(run->loop),
        .done = answered,
        .operation = PORT_LEDGER_CREATE_TRANSFERS,
        .count = run->point->work.batch,
        .in.transfers = slot->transfers,
        .out.results = slot->results,
    };
    slot->sent_ns = now_ns();
    run->under_way++;
    run->port->submit(run->port, &slot->request);
}

static void
send(struct slot *slot)
{
    struct run *run = slot->run;
    bench_ledger_make(run->maker, &slot->line, os_wall_ns(os_clock_real()), slot->transfers);
    submit(slot);
}

static err_t
check(const struct slot *slot)
{
    if (slot->request.error != ERR_OK) {
        return slot->request.error;
    }
    for (uint32_t i = 0; i < slot->request.count; i++) {
        if (slot->results[i].status != LEDGER_TRANSFER_created) {
            return ERR_CORRUPT;
        }
    }
    return ERR_OK;
}

/* The time is up, and enough was counted: batches are answered in bursts of up to `outstanding`. */
static bool
is_over(const struct run *run, uint64_t now)
{
    return run->point->rows == 0 && now > run->measure_until_ns &&
           run->count.batches >= (uint64_t)BURSTS_MIN * run->point->outstanding;
}

static void
measure(struct run *run, const struct slot *slot)
{
    uint64_t now = now_ns();
    if (now < run->measure_from_ns || is_over(run, now)) {
        return;
    }
    if (!run->measuring) {
        run->measuring = true; /* counting begins with the batch after this one */
        run->count.from_ns = now;
        run->from = usage_now();
        return;
    }
    bench_ledger_count_add(&run->count, now, slot->sent_ns, run->point->work.batch);
}

static void
answered(struct port_ledger_request *request)
{
    struct slot *slot = CONTAINER_OF(request, struct slot, request);
    struct run *run = slot->run;
    ASSERT(run->under_way > 0);
    run->under_way--;
    err_t result = check(slot);
    if (run->result == ERR_OK) {
        run->result = result;
    }
    measure(run, slot);
    if (run->result == ERR_OK && !is_over(run, now_ns()) && run->maker->made < run->rows) {
        send(slot);
    } else if (run->under_way == 0) {
        run->until = usage_now();
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
        run->measuring = true;
        run->count.from_ns = now;
        run->from = usage_now();
    }
    for (uint32_t i = 0; i < run->point->outstanding; i++) {
        send(&run->slots[i]);
    }
}

/* -------------------------------------------------------------------------------- accounts */

struct account_call {
    struct port_ledger_request request;
    sem_t *ended;
};

static void
accounts_made(struct port_ledger_request *request)
{
    (void)sem_post(CONTAINER_OF(request, struct account_call, request)->ended);
}

static err_t
create_accounts(void *context, const struct ledger_account *accounts, uint32_t count)
{
    struct run *run = context;
    struct ledger_result *results = calloc(count, sizeof(*results));
    if (results == NULL) {
        return ERR_MEMORY;
    }
    struct account_call call = {
        .request =
            {
                .reply_to = os_loop_executor(run->loop),
                .done = accounts_made,
                .operation = PORT_LEDGER_CREATE_ACCOUNTS,
                .count = count,
                .in.accounts = accounts,
                .out.results = results,
            },
        .ended = &run->ended,
    };
    run->port->submit(run->port, &call.request);
    while (sem_wait(&run->ended) != 0) {
    }
    err_t result = call.request.error;
    for (uint32_t i = 0; result == ERR_OK && i < count; i++) {
        result = results[i].status == LEDGER_ACCOUNT_created ? ERR_OK : ERR_CORRUPT;
    }
    free(results);
    return result;
}

/* --------------------------------------------------------------------------------- the run */

static err_t
allocate_slots(struct run *run)
{
    const struct bench_ledger_point *point = run->point;
    run->slots = calloc(point->outstanding, sizeof(*run->slots));
    run->maker = malloc(sizeof(*run->maker));
    if (run->slots == NULL || run->maker == NULL) {
        return ERR_MEMORY;
    }
    uint64_t seed = u128_low(os_random_u128(os_entropy_real())); /* ids of two runs differ */
    bench_ledger_maker_init(run->maker, &point->work, seed);
    for (uint32_t i = 0; i < point->outstanding; i++) {
        struct slot *slot = &run->slots[i];
        slot->run = run;
        slot->transfers = calloc(point->work.batch, sizeof(*slot->transfers));
        slot->results = calloc(point->work.batch, sizeof(*slot->results));
        slot->line.reserved = calloc(point->work.batch, sizeof(*slot->line.reserved));
        if (slot->transfers == NULL || slot->results == NULL || slot->line.reserved == NULL) {
            return ERR_MEMORY;
        }
    }
    return ERR_OK;
}

static void
free_slots(struct run *run)
{
    for (uint32_t i = 0; run->slots != NULL && i < run->point->outstanding; i++) {
        free(run->slots[i].transfers);
        free(run->slots[i].results);
        free(run->slots[i].line.reserved);
    }
    free(run->slots);
    free(run->maker);
}

err_t
bench_ledger_open(
    const struct bench_ledger_point *point,
    struct ledger_engine **ret_engine,
    struct store_error *error)
{
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = point->url;
    settings.store.orders = point->orders;
    settings.disk = os_disk_real();
    settings.clock = os_clock_real();
    settings.loops = os_loops_real();
    settings.store.loops = os_loops_real();
    if (settings.limits.account_count_max < BENCH_LEDGER_ACCOUNTS_MAX) {
        settings.limits.account_count_max = BENCH_LEDGER_ACCOUNTS_MAX;
    }
    return ledger_engine_open(&settings, ret_engine, error);
}

static void
report(const struct run *run, struct bench_ledger_result *ret_result)
{
    uint64_t cpu_ns = run->until.process.cpu_user_ns + run->until.process.cpu_system_ns -
                      run->from.process.cpu_user_ns - run->from.process.cpu_system_ns;
    memset(ret_result, 0, sizeof(*ret_result));
    bench_ledger_count_report(&run->count, run->point->work.batch, ret_result);
    ret_result->cpu_us_per_batch = (double)cpu_ns / 1e3 / (double)run->count.batches;
    ret_result->load_share =
        (double)(run->until.client_ns - run->from.client_ns) / (double)(cpu_ns + 1);
    const struct bench_child_usage used =
        bench_child_usage_between(&run->from.child, &run->until.child);
    ret_result->has_written = used.has_written;
    ret_result->written_bytes = used.written_bytes;
    ret_result->resident_bytes = run->until.process.rss_bytes;
}

/* Until each full segment has its parts, as of a ledger that has been there for a while. */
static err_t
orders_wait(struct ledger_engine *engine)
{
    const struct timespec pause = {.tv_nsec = 10L * 1000 * 1000};
    for (uint32_t i = 0; i < ORDERS_WAIT_MAX; i++) {
        struct ledger_engine_status status;
        ledger_engine_status(engine, &status);
        if (status.order_segments_waiting == 0) {
            return ERR_OK;
        }
        (void)nanosleep(&pause, NULL);
    }
    return ERR_TIMEOUT;
}

/* What a user waits for when the process was started anew. */
static err_t
restart(struct run *run, struct bench_ledger_result *result, struct store_error *error)
{
    ledger_engine_close(&run->engine);
    uint64_t from_ns = now_ns();
    TRY(bench_ledger_open(run->point, &run->engine, error));
    result->restart_s = (double)(now_ns() - from_ns) / 1e9;
    return ERR_OK;
}

static err_t
execute(struct run *run, struct bench_ledger_result *ret_result, struct store_error *error)
{
    TRY(allocate_slots(run));
    TRY(bench_ledger_open(run->point, &run->engine, error));
    run->port = ledger_engine_port(run->engine);
    TRY(os_loop_create("client", os_clock_real(), &run->loop));
    TRY(os_loop_start(run->loop));
    TRY(bench_ledger_accounts(&run->point->work, create_accounts, run));
    os_post(os_loop_executor(run->loop), &run->start);
    while (sem_wait(&run->ended) != 0) {
    }
    TRY(run->result);
    if (run->count.batches == 0) {
        return ERR_TIMEOUT; /* warm-up took all the transfers that there may be */
    }
    report(run, ret_result);
    if (!run->point->reads) {
        return ERR_OK;
    }
    /* memory: forgets, so it is read as it is. */
    if (strcmp(run->point->url, "memory:") != 0) {
        TRY(restart(run, ret_result, error));
    }
    const bool any_time = (run->point->orders & 1u << STORE_ORDER_ACCOUNT) != 0;
    if (any_time) {
        TRY(orders_wait(run->engine));
    }
    return bench_ledger_reads(
        ledger_engine_port(run->engine), run->loop, run->maker, any_time, ret_result);
}

err_t
bench_ledger_run(
    const struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result,
    struct store_error *error)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL || sem_init(&run->ended, 0, 0) != 0) {
        free(run);
        return ERR_MEMORY;
    }
    run->point = point;
    run->rows = point->rows == 0 ? BENCH_LEDGER_ROWS_MAX : point->rows;
    run->start.run = start;
    err_t result = execute(run, ret_result, error);
    if (run->loop != NULL) {
        os_loop_stop(run->loop);
    }
    ledger_engine_close(&run->engine);
    os_loop_destroy(run->loop);
    free_slots(run);
    (void)sem_destroy(&run->ended);
    free(run);
    return result;
}
