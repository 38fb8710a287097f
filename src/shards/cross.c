/* Life, the port, messages, ticks. */
#include "cross_private.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- messages ---
 */

/* Where the arrays of a message begin. */
struct layout {
    uint64_t in, out, items, positions, size;
};

static struct layout
layout_of(enum port_ledger_operation operation, uint32_t room, uint32_t items)
{
    bool creates =
        operation == PORT_LEDGER_CREATE_ACCOUNTS || operation == PORT_LEDGER_CREATE_TRANSFERS;
    bool looks_up =
        operation == PORT_LEDGER_LOOKUP_ACCOUNTS || operation == PORT_LEDGER_LOOKUP_TRANSFERS;
    uint64_t in = creates ? sizeof(struct ledger_transfer) : looks_up ? sizeof(u128) : 0;
    uint64_t out = creates ? sizeof(struct ledger_result) : sizeof(struct ledger_transfer);
    struct layout layout = {.in = (sizeof(struct cross_message) + 15) / 16 * 16};
    layout.out = layout.in + in * room;
    layout.items = layout.out + out * room;
    layout.positions = layout.items + items * sizeof(struct cross_item);
    layout.size = layout.positions + (creates ? room * sizeof(uint32_t) : 0);
    return layout;
}

static_assert(sizeof(struct ledger_account) == sizeof(struct ledger_transfer), "of one size");
static_assert(sizeof(struct cross_item) % 8 == 0, "positions may follow items");

struct cross_message *
shards_cross_message_new(
    struct shards_cross *cross,
    struct cross_job *job,
    enum port_ledger_operation operation,
    uint32_t room,
    uint32_t items)
{
    ASSERT(room > 0 && room <= LEDGER_BATCH_MAX);
    struct layout layout = layout_of(operation, room, items);
    struct cross_message *message = shards_cross_memory_take_unset(cross, layout.size);
    if (message == NULL) {
        return NULL;
    }
    char *memory = (char *)message;
    *message = (struct cross_message){
        .cross = cross,
        .job = job,
        .size = layout.size,
        .room = room,
    };
    list_push_back(&cross->messages, &message->link);
    message->in.transfers = (void *)(memory + layout.in);
    message->items = (void *)(memory + layout.items);
    message->positions = (void *)(memory + layout.positions);
    message->port.operation = operation;
    message->port.out.results = (void *)(memory + layout.out);
    return message;
}

void
shards_cross_message_free(struct cross_message *message)
{
    list_remove(&message->link);
    shards_cross_memory_give(message->cross, message, message->size);
}

static void
on_answer(struct port_ledger_request *port)
{
    struct cross_message *message = CONTAINER_OF(port, struct cross_message, port);
    struct cross_job *job = message->job;
    if (job != NULL) {
        ASSERT(job->out > 0);
        job->out--;
    }
    message->take(message);
    shards_cross_message_free(message);
    if (job != NULL) {
        shards_cross_job_turn(job);
    }
}

void
shards_cross_message_send(struct cross_message *message)
{
    struct port_ledger *router = shards_router_port(message->cross->parts.router);
    switch (message->port.operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
        message->port.in.accounts = message->in.accounts;
        break;
    case PORT_LEDGER_CREATE_TRANSFERS:
        message->port.in.transfers = message->in.transfers;
        break;
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_TRANSFERS:
        message->port.in.ids = message->in.ids;
        break;
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        message->port.in.filter = &message->filter;
        break;
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
    case PORT_LEDGER_QUERY_ACCOUNTS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_GET_CHANGE_EVENTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        UNREACHABLE();
    }
    message->port.reply_to = message->cross->parts.executor;
    message->port.done = on_answer;
    if (message->job != NULL) {
        message->port.trace = message->job->trace;
        message->job->out++;
    }
    router->submit(router, &message->port);
}

/* ----------------------------------------------------------------------------------- places ---
 */

u128
shards_cross_place(u128 id, uint16_t slot)
{
    return commit_id_is_reserved(id) ? shard_id_place(id, slot) : id;
}

static u128
unplace(u128 id)
{
    return commit_id_is_reserved(id) ? (id & ~(u128)0xffff) | shard_slot_of_id(id) : id;
}

void
shards_cross_place_transfer(struct ledger_transfer *transfer, uint16_t slot)
{
    transfer->debit_account_id = shards_cross_place(transfer->debit_account_id, slot);
    transfer->credit_account_id = shards_cross_place(transfer->credit_account_id, slot);
}

void
shards_cross_unplace_transfer(struct ledger_transfer *transfer)
{
    transfer->debit_account_id = unplace(transfer->debit_account_id);
    transfer->credit_account_id = unplace(transfer->credit_account_id);
}

u128
shards_cross_near(uint16_t slot)
{
    return shards_cross_place(
        commit_account_id(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot), slot);
}

/* ------------------------------------------------------------------------------------- jobs ---
 */

struct cross_job *
shards_cross_job_new(struct shards_cross *cross)
{
    if (cross->job_count == cross->parts.jobs_max) {
        return NULL;
    }
    struct cross_job *job = shards_cross_memory_take(cross, sizeof(*job));
    if (job == NULL) {
        return NULL;
    }
    job->cross = cross;
    list_push_back(&cross->jobs, &job->link);
    cross->job_count++;
    CROSS_COUNT(cross, jobs, 1);
    return job;
}

void
shards_cross_job_free(struct cross_job *job)
{
    struct shards_cross *cross = job->cross;
    ASSERT(job->out == 0);
    ASSERT(job->request == NULL);
    list_remove(&job->link);
    cross->job_count--;
    CROSS_COUNT(cross, jobs, -1);
    shards_cross_memory_give(cross, job->memory, job->memory_size);
    shards_cross_memory_give(cross, job->holds, job->hold_count * sizeof(*job->holds));
    shards_cross_memory_give(cross, job, sizeof(*job));
}

/* ----------------------------------------------------------------------------------- submit ---
 */

static void
run_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

void
shards_cross_answer(struct port_ledger_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

static void
busy(struct shards_cross *cross, struct port_ledger_request *request)
{
    CROSS_COUNT(cross, busy, 1);
    shards_cross_answer(request, ERR_BUSY);
}

/* A request of transfers, or a look-up of some, on its first way: through the router, as if nothing
 * crossed. */
struct cross_first {
    struct port_ledger_request port;
    struct list_link link; /* cross->firsts */
    struct shards_cross *cross;
    struct port_ledger_request *request;
};

static void
cross_whole(struct shards_cross *cross, struct port_ledger_request *request)
{
    struct cross_job *job = shards_cross_job_new(cross);
    if (job == NULL) {
        busy(cross, request);
        return;
    }
    job->request = request;
    job->trace = request->trace;
    shards_cross_job_begin(job);
}

static void
explain_results(struct shards_cross *cross, struct port_ledger_request *request)
{
    struct cross_job *job = shards_cross_job_new(cross);
    if (job == NULL) {
        CROSS_COUNT(cross, busy, 1);
        shards_cross_answer(request, ERR_OUTCOME_UNKNOWN);
        return;
    }
    job->request = request;
    job->trace = request->trace;
    shards_cross_job_explain_results(job);
}

static bool
has_doubtful(const struct port_ledger_request *request)
{
    bool doubtful = false;
    for (uint32_t i = 0; i < request->count && !doubtful; i++) {
        const struct ledger_transfer *event = &request->in.transfers[i];
        uint32_t status = request->out.results[i].status;
        doubtful = shards_cross_result_is_doubtful(event, status) ||
                   shards_cross_end_is_doubtful(event, status);
    }
    return doubtful;
}

static void
first_done(struct port_ledger_request *port)
{
    struct cross_first *first = CONTAINER_OF(port, struct cross_first, port);
    struct shards_cross *cross = first->cross;
    struct port_ledger_request *request = first->request;
    err_t error = port->error;
    request->out_count = port->out_count;
    list_remove(&first->link);
    shards_cross_memory_give(cross, first, sizeof(*first));
    if (error == ERR_CROSSES_SHARDS) {
        cross_whole(cross, request);
    } else if (error == ERR_OK && request->operation == PORT_LEDGER_LOOKUP_TRANSFERS) {
        shards_cross_lookup_end(cross, request);
    } else if (error == ERR_OK && has_doubtful(request)) {
        explain_results(cross, request);
    } else {
        shards_cross_answer(request, error);
    }
}

static void
run_submit(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    struct shards_cross *cross = CONTAINER_OF(request->port, struct shards_cross, port);
    struct port_ledger *router = shards_router_port(cross->parts.router);
    if (request->operation == PORT_LEDGER_LOOKUP_CONSISTENT) {
        shards_cross_read_begin(cross, request);
        return;
    }
    bool planned = false;
    if (request->operation == PORT_LEDGER_CREATE_TRANSFERS &&
        shards_cross_is_planned(cross, request, &planned) != ERR_OK) {
        busy(cross, request);
        return;
    }
    if (planned) {
        cross_whole(cross, request);
        return;
    }
    struct cross_first *first = shards_cross_memory_take(cross, sizeof(*first));
    if (first == NULL) {
        busy(cross, request);
        return;
    }
    list_push_back(&cross->firsts, &first->link);
    first->cross = cross;
    first->request = request;
    first->port = (struct port_ledger_request){
        .reply_to = cross->parts.executor,
        .done = first_done,
        .trace = request->trace,
        .operation = request->operation,
        .count = request->count,
        .in = request->in,
        .out = request->out,
        .pairs = request->pairs,
        .near = request->operation == PORT_LEDGER_LOOKUP_TRANSFERS ? request->near : 0,
    };
    router->submit(router, &first->port);
}

static void
submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct shards_cross *cross = CONTAINER_OF(port, struct shards_cross, port);
    ASSERT(request->done != NULL);
    ASSERT(request->count <= LEDGER_BATCH_MAX);
    if (request->operation != PORT_LEDGER_CREATE_TRANSFERS &&
        request->operation != PORT_LEDGER_LOOKUP_TRANSFERS &&
        request->operation != PORT_LEDGER_LOOKUP_CONSISTENT) {
        struct port_ledger *router = shards_router_port(cross->parts.router);
        router->submit(router, request);
        return;
    }
    request->port = port;
    request->out_count = 0;
    request->task.run = run_submit;
    os_post(cross->parts.executor, &request->task);
}

/* -------------------------------------------------------------------------------------- life ---
 */

struct shards_cross_parts
shards_cross_parts_default(void)
{
    return (struct shards_cross_parts){
        .jobs_max = 4096,
        .memory_max = UINT64_C(256) << 20,
        .deadline_ms = 2000,
        .give_up_ms = 4000,
        .check_ms = 1000,
        .resend_ms = 100,
        .sweep_ms = 500,
    };
}

err_t
shards_cross_create(const struct shards_cross_parts *parts, struct shards_cross **ret_cross)
{
    ASSERT(parts->jobs_max > 0);
    ASSERT(parts->deadline_ms < parts->give_up_ms);
    struct shards_cross *cross = calloc(1, sizeof(*cross));
    if (cross == NULL) {
        return ERR_MEMORY;
    }
    cross->port.submit = submit;
    cross->port.sharded = true;
    cross->parts = *parts;
    list_init(&cross->jobs);
    list_init(&cross->messages);
    list_init(&cross->firsts);
    os_prng_seed(&cross->prng, parts->seed);
    shards_cross_accounts_init(cross);
    *ret_cross = cross;
    return ERR_OK;
}

void
shards_cross_destroy(struct shards_cross **cross)
{
    if (*cross == NULL) {
        return;
    }
    LIST_FOREACH_SAFE (&(*cross)->jobs, link) {
        struct cross_job *job = CONTAINER_OF(link, struct cross_job, link);
        free(job->memory);
        free(job->holds);
        free(job);
    }
    LIST_FOREACH_SAFE (&(*cross)->messages, link) {
        free(CONTAINER_OF(link, struct cross_message, link));
    }
    LIST_FOREACH_SAFE (&(*cross)->firsts, link) {
        free(CONTAINER_OF(link, struct cross_first, link));
    }
    shards_cross_accounts_release(*cross);
    for (uint32_t shard = 0; shard < SHARD_SHARDS_MAX; shard++) {
        free((*cross)->sweeps[shard].doubts);
        free((*cross)->sweeps[shard].keys);
    }
    shards_cross_memory_release(*cross);
    free(*cross);
    *cross = NULL;
}

struct port_ledger *
shards_cross_port(struct shards_cross *cross)
{
    return &cross->port;
}

void
shards_cross_tick(struct shards_cross *cross)
{
    uint64_t now = cross_now(cross);
    LIST_FOREACH_SAFE (&cross->jobs, link) {
        shards_cross_job_tick(CONTAINER_OF(link, struct cross_job, link), now);
    }
    shards_cross_resolve_tick(cross, now);
    shards_cross_memory_tick(cross, now);
}

void
shards_cross_count(const struct shards_cross *cross, struct shards_cross_counters *ret_counters)
{
    uint64_t values[CROSS_COUNTER_COUNT];
    for (size_t i = 0; i < CROSS_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&cross->counters[i], memory_order_relaxed);
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
