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
#include "engine/ledger_engine.h"
#include "os/loop_real.h"
#include "os/prng.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

/* A run ends early with so many transfers: what memory: holds is memory. */
#define TRANSFERS_MAX UINT32_C(2000000)
#define BURSTS_MIN    4

struct slot {
    struct port_ledger_request request;
    struct run *run;
    struct ledger_transfer *transfers;
    struct ledger_result *results;
    uint64_t sent_ns;
};

/* The client's loop owns it while batches are under way. */
struct run {
    const struct bench_ledger_point *point;
    struct os_loop *loop;
    struct ledger_engine *engine;
    struct port_ledger *port;
    struct slot *slots;
    struct os_task start;
    struct os_prng prng;
    u128 last_id;
    uint64_t transfers_sent;
    uint32_t under_way;
    uint64_t measure_from_ns;
    uint64_t measure_until_ns;
    struct os_usage usage_from;
    struct os_usage usage_until;
    bool measuring;
    uint64_t last_ns; /* the newest answer that counted */
    uint64_t batches;
    struct bench_histogram latencies;
    err_t result; /* the first failure */
    sem_t ended;
};

static uint64_t
now_ns(void)
{
    return os_monotonic_ns(os_clock_real());
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
        .count = run->point->batch,
        .in.transfers = slot->transfers,
        .out.results = slot->results,
    };
    slot->sent_ns = now_ns();
    run->under_way++;
    run->port->submit(run->port, &slot->request);
}

/* Between two accounts at random, each equally likely; or from one of them to the hot one. */
static void
send(struct slot *slot)
{
    struct run *run = slot->run;
    for (uint32_t i = 0; i < run->point->batch; i++) {
        uint64_t debit = os_prng_below(&run->prng, BENCH_LEDGER_ACCOUNTS);
        uint64_t credit = os_prng_below(&run->prng, BENCH_LEDGER_ACCOUNTS - 1);
        credit += credit >= debit;
        if (run->point->hot) {
            credit = 0;
            debit = debit == 0 ? 1 : debit;
        }
        slot->transfers[i] = (struct ledger_transfer){
            .id = ++run->last_id,
            .debit_account_id = debit + 1,
            .credit_account_id = credit + 1,
            .amount = 1 + (i & 1023U),
            .ledger = 1,
            .code = 1,
        };
    }
    run->transfers_sent += run->point->batch;
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
    return now > run->measure_until_ns &&
           run->batches >= (uint64_t)BURSTS_MIN * run->point->outstanding;
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
        run->measure_from_ns = now;
        run->usage_from = os_process_usage();
        return;
    }
    run->last_ns = now;
    run->batches++;
    bench_histogram_add(&run->latencies, now - slot->sent_ns);
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
    if (run->result == ERR_OK && !is_over(run, now_ns()) && run->transfers_sent < TRANSFERS_MAX) {
        send(slot);
    } else if (run->under_way == 0) {
        run->usage_until = os_process_usage();
        (void)sem_post(&run->ended);
    }
}

static void
start(struct os_task *task)
{
    struct run *run = CONTAINER_OF(task, struct run, start);
    run->measure_from_ns = now_ns() + run->point->warm_up_ns;
    run->measure_until_ns = run->measure_from_ns + run->point->measure_ns;
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
make_account_batch(
    struct run *run,
    uint32_t first,
    uint32_t count,
    struct ledger_account *accounts,
    struct ledger_result *results)
{
    for (uint32_t i = 0; i < count; i++) {
        accounts[i] = (struct ledger_account){.id = first + i + 1, .ledger = 1, .code = 1};
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
    for (uint32_t i = 0; call.request.error == ERR_OK && i < count; i++) {
        if (results[i].status != LEDGER_ACCOUNT_created) {
            return ERR_CORRUPT;
        }
    }
    return call.request.error;
}

static err_t
make_accounts(struct run *run)
{
    struct ledger_account *accounts = calloc(LEDGER_BATCH_MAX, sizeof(*accounts));
    struct ledger_result *results = calloc(LEDGER_BATCH_MAX, sizeof(*results));
    err_t result = accounts == NULL || results == NULL ? ERR_MEMORY : ERR_OK;
    for (uint32_t done = 0; result == ERR_OK && done < BENCH_LEDGER_ACCOUNTS;) {
        uint32_t count = BENCH_LEDGER_ACCOUNTS - done;
        count = count > LEDGER_BATCH_MAX ? LEDGER_BATCH_MAX : count;
        result = make_account_batch(run, done, count, accounts, results);
        done += count;
    }
    free(accounts);
    free(results);
    return result;
}

/* --------------------------------------------------------------------------------- the run */

static err_t
allocate_slots(struct run *run)
{
    const struct bench_ledger_point *point = run->point;
    run->slots = calloc(point->outstanding, sizeof(*run->slots));
    if (run->slots == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < point->outstanding; i++) {
        struct slot *slot = &run->slots[i];
        slot->run = run;
        slot->transfers = calloc(point->batch, sizeof(*slot->transfers));
        slot->results = calloc(point->batch, sizeof(*slot->results));
        if (slot->transfers == NULL || slot->results == NULL) {
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
    }
    free(run->slots);
}

static err_t
open_engine(struct run *run, struct store_error *error)
{
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = run->point->url;
    settings.disk = os_disk_real();
    settings.clock = os_clock_real();
    settings.loops = os_loops_real();
    settings.store.loops = os_loops_real();
    TRY(ledger_engine_open(&settings, &run->engine, error));
    run->port = ledger_engine_port(run->engine);
    return ERR_OK;
}

static err_t
execute(struct run *run, struct store_error *error)
{
    TRY(allocate_slots(run));
    TRY(open_engine(run, error));
    TRY(os_loop_create("client", os_clock_real(), &run->loop));
    TRY(os_loop_start(run->loop));
    TRY(make_accounts(run));
    os_post(os_loop_executor(run->loop), &run->start);
    while (sem_wait(&run->ended) != 0) {
    }
    if (run->result == ERR_OK && run->batches == 0) {
        return ERR_TIMEOUT; /* warm-up took all the transfers that there may be */
    }
    return run->result;
}

static void
report(const struct run *run, struct bench_ledger_result *ret_result)
{
    double seconds = (double)(run->last_ns - run->measure_from_ns) / 1e9;
    uint64_t cpu_ns = run->usage_until.cpu_user_ns + run->usage_until.cpu_system_ns -
                      run->usage_from.cpu_user_ns - run->usage_from.cpu_system_ns;
    *ret_result = (struct bench_ledger_result){
        .batches_per_s = (double)run->batches / seconds,
        .transfers_per_s = (double)run->batches * (double)run->point->batch / seconds,
        .p50_ns = bench_histogram_quantile(&run->latencies, 500),
        .p99_ns = bench_histogram_quantile(&run->latencies, 990),
        .cpu_us_per_batch = (double)cpu_ns / 1e3 / (double)run->batches,
    };
}

err_t
bench_ledger_run(
    const struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result,
    struct store_error *error)
{
    ASSERT(point->batch >= 1);
    ASSERT(point->batch <= LEDGER_BATCH_MAX);
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL || sem_init(&run->ended, 0, 0) != 0) {
        free(run);
        return ERR_MEMORY;
    }
    run->point = point;
    run->start.run = start;
    os_prng_seed(&run->prng, 1);
    err_t result = execute(run, error);
    if (result == ERR_OK) {
        report(run, ret_result);
    }
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
