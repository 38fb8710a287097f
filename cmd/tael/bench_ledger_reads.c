/*
 * What a ledger answers after the load: look-ups by id, in batches, the newest transfers of
 * accounts, and, if it keeps an order of accounts, those up to any time of the load. So many
 * requests are under way as keep the ledger busy; each answer sends the next.
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

enum reads_kind {
    READS_LOOKUPS,
    READS_NEWEST,
    READS_ANY_TIME,
};

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
    enum reads_kind kind;
    uint32_t lookup_batch;
    bool measuring; /* or filling the system's and the ledger's caches, with the same requests */
    uint64_t from_ns;
    uint64_t units;                        /* ids or histories that were answered */
    uint64_t timestamp_min, timestamp_max; /* of the transfers that look-ups found */
    uint32_t next_sample;
    uint32_t under_way;
    err_t result;
    sem_t ended;
};

static void answered(struct port_ledger_request *request);

static void
send_history(struct read *read)
{
    const struct reads *reads = read->reads;
    const uint64_t span = reads->timestamp_max - reads->timestamp_min + 1;
    read->filter = (struct port_ledger_filter){
        .account_id = bench_ledger_pick(read->reads->maker),
        .debits = true,
        .credits = true,
        .reversed = true,
        .limit = HISTORY_LIMIT,
    };
    if (reads->kind == READS_ANY_TIME) {
        read->filter.timestamp_max =
            reads->timestamp_min + os_prng_below(&reads->maker->prng, span);
    }
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
    if (reads->kind == READS_LOOKUPS) {
        send_lookup(read);
    } else {
        send_history(read);
    }
    reads->under_way++;
    reads->port->submit(reads->port, &read->request);
}

/* Before look-ups are measured each sample was found once. */
static bool
is_over(const struct reads *reads)
{
    if (!reads->measuring && reads->kind == READS_LOOKUPS) {
        return reads->units >= reads->maker->sample_count;
    }
    return os_monotonic_ns(os_clock_real()) - reads->from_ns >= READS_NS;
}

/* A look-up finds all that it asks for, a history nothing that is newer than that. */
static err_t
check(struct reads *reads, const struct read *read)
{
    const struct port_ledger_request *request = &read->request;
    if (reads->kind == READS_LOOKUPS && request->out_count != request->count) {
        return ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < request->out_count; i++) {
        const uint64_t timestamp = read->found[i].timestamp;
        if (reads->kind == READS_ANY_TIME && timestamp > read->filter.timestamp_max) {
            return ERR_CORRUPT;
        }
        if (timestamp > reads->timestamp_max) {
            reads->timestamp_max = timestamp;
        }
        if (timestamp < reads->timestamp_min) {
            reads->timestamp_min = timestamp;
        }
    }
    return ERR_OK;
}

static void
answered(struct port_ledger_request *request)
{
    struct read *read = CONTAINER_OF(request, struct read, request);
    struct reads *reads = read->reads;
    reads->under_way--;
    err_t error = request->error == ERR_OK ? check(reads, read) : request->error;
    if (error != ERR_OK) {
        reads->result = error;
    }
    reads->units += reads->kind == READS_LOOKUPS ? request->out_count : 1;
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
run(struct reads *reads, enum reads_kind kind, double *ret_rate)
{
    reads->kind = kind;
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
    bool any_time,
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
    reads->timestamp_min = UINT64_MAX;
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
        code = run(reads, READS_LOOKUPS, &result->lookups_per_s);
    }
    if (code == ERR_OK) {
        code = run(reads, READS_NEWEST, &result->histories_per_s);
    }
    if (code == ERR_OK && any_time) {
        code = run(reads, READS_ANY_TIME, &result->any_time_per_s);
    }
    for (uint32_t i = 0; i < READS_OUTSTANDING; i++) {
        free(reads->slots[i].found);
    }
    (void)sem_destroy(&reads->ended);
    free(reads);
    return code;
}
