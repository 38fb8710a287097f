/*
 * What a ledger answers after the load: look-ups by id, in batches, and the newest transfers of
 * accounts. So many requests are under way as keep the ledger busy; each answer sends the next.
 */
#include "bench_ledger.h"

#include "base/assert.h"
#include "base/list.h"

#include <semaphore.h>
#include <stdlib.h>

#define LOOKUP_BATCH      1024
#define HISTORY_LIMIT     100
#define READS_OUTSTANDING 16
#define READS_NS          OS_NS_PER_S

struct read {
    struct port_ledger_request request;
    struct reads *reads;
    struct port_ledger_filter filter;
    struct ledger_transfer *found; /* LOOKUP_BATCH */
};

struct reads {
    struct port_ledger *port;
    struct os_loop *loop;
    struct bench_ledger_maker *maker;
    struct read slots[READS_OUTSTANDING];
    struct os_task start;
    bool histories; /* or look-ups */
    uint32_t lookup_batch;
    bool measuring; /* or filling the system's and the ledger's caches, with the same requests */
    uint64_t from_ns;
    uint64_t units; /* ids or histories that were answered */
    uint32_t next_sample;
    uint32_t under_way;
    err_t result;
    sem_t ended;
};

static void answered(struct port_ledger_request *request);

static void
send_history(struct read *read)
{
    read->filter = (struct port_ledger_filter){
        .account_id = bench_ledger_pick(read->reads->maker),
        .debits = true,
        .credits = true,
        .reversed = true,
        .limit = HISTORY_LIMIT,
    };
    read->request.operation = PORT_LEDGER_GET_ACCOUNT_TRANSFERS;
    read->request.in.filter = &read->filter;
}

static void
send_lookup(struct read *read)
{
    struct reads *reads = read->reads;
    if (reads->next_sample + reads->lookup_batch > reads->maker->sample_count) {
        reads->next_sample = 0;
    }
    read->request.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    read->request.count = reads->lookup_batch;
    read->request.in.ids = &reads->maker->samples[reads->next_sample];
    reads->next_sample += reads->lookup_batch;
}

static void
send(struct read *read)
{
    struct reads *reads = read->reads;
    read->request = (struct port_ledger_request){
        .reply_to = os_loop_executor(reads->loop),
        .done = answered,
        .out.transfers = read->found,
    };
    if (reads->histories) {
        send_history(read);
    } else {
        send_lookup(read);
    }
    reads->under_way++;
    reads->port->submit(reads->port, &read->request);
}

/* Before look-ups are measured each sample was found once. */
static bool
is_over(const struct reads *reads)
{
    if (!reads->measuring && !reads->histories) {
        return reads->units >= reads->maker->sample_count;
    }
    return os_monotonic_ns(os_clock_real()) - reads->from_ns >= READS_NS;
}

static void
answered(struct port_ledger_request *request)
{
    struct read *read = CONTAINER_OF(request, struct read, request);
    struct reads *reads = read->reads;
    reads->under_way--;
    if (request->error != ERR_OK) {
        reads->result = request->error;
    } else if (!reads->histories && request->out_count != request->count) {
        reads->result = ERR_CORRUPT;
    }
    reads->units += reads->histories ? 1 : request->out_count;
    if (reads->result == ERR_OK && !is_over(reads)) {
        send(read);
    } else if (reads->under_way == 0) {
        (void)sem_post(&reads->ended);
    }
}

static void
start(struct os_task *task)
{
    struct reads *reads = CONTAINER_OF(task, struct reads, start);
    reads->from_ns = os_monotonic_ns(os_clock_real());
    for (uint32_t i = 0; i < READS_OUTSTANDING; i++) {
        send(&reads->slots[i]);
    }
}

static err_t
run(struct reads *reads, bool histories, double *ret_rate)
{
    reads->histories = histories;
    for (int i = 0; i < 2 && reads->result == ERR_OK; i++) {
        reads->measuring = i == 1;
        reads->units = 0;
        reads->next_sample = 0;
        os_post(os_loop_executor(reads->loop), &reads->start);
        while (sem_wait(&reads->ended) != 0) {
        }
    }
    uint64_t took_ns = os_monotonic_ns(os_clock_real()) - reads->from_ns;
    *ret_rate = (double)reads->units * 1e9 / (double)took_ns;
    return reads->result;
}

/* In the order of their making neighbours would be read together. */
static void
shuffle(struct bench_ledger_maker *maker)
{
    for (uint32_t i = maker->sample_count; i > 1; i--) {
        uint32_t other = (uint32_t)os_prng_below(&maker->prng, i);
        u128 id = maker->samples[i - 1];
        maker->samples[i - 1] = maker->samples[other];
        maker->samples[other] = id;
    }
}

err_t
bench_ledger_reads(
    struct port_ledger *port,
    struct os_loop *loop,
    struct bench_ledger_maker *maker,
    struct bench_ledger_result *result)
{
    struct reads *reads = calloc(1, sizeof(*reads));
    if (reads == NULL || sem_init(&reads->ended, 0, 0) != 0) {
        free(reads);
        return ERR_MEMORY;
    }
    reads->port = port;
    reads->loop = loop;
    reads->maker = maker;
    reads->start.run = start;
    ASSERT(maker->sample_count > 0);
    shuffle(maker);
    reads->lookup_batch = maker->sample_count < LOOKUP_BATCH ? maker->sample_count : LOOKUP_BATCH;
    err_t code = ERR_OK;
    for (uint32_t i = 0; i < READS_OUTSTANDING; i++) {
        reads->slots[i].reads = reads;
        reads->slots[i].found = calloc(LOOKUP_BATCH, sizeof(*reads->slots[i].found));
        code = reads->slots[i].found == NULL ? ERR_MEMORY : code;
    }
    if (code == ERR_OK) {
        code = run(reads, false, &result->lookups_per_s);
    }
    if (code == ERR_OK) {
        code = run(reads, true, &result->histories_per_s);
    }
    for (uint32_t i = 0; i < READS_OUTSTANDING; i++) {
        free(reads->slots[i].found);
    }
    (void)sem_destroy(&reads->ended);
    free(reads);
    return code;
}
