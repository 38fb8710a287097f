#include "router_private.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- sizes ---
 */

static bool
is_create(enum port_ledger_operation operation)
{
    return operation == PORT_LEDGER_CREATE_ACCOUNTS || operation == PORT_LEDGER_CREATE_TRANSFERS;
}

static const struct {
    size_t in, out;
} sizes[] = {
    [PORT_LEDGER_CREATE_ACCOUNTS] = {sizeof(struct ledger_account), sizeof(struct ledger_result)},
    [PORT_LEDGER_CREATE_TRANSFERS] = {sizeof(struct ledger_transfer), sizeof(struct ledger_result)},
    [PORT_LEDGER_LOOKUP_ACCOUNTS] = {sizeof(u128), sizeof(struct ledger_account)},
    [PORT_LEDGER_LOOKUP_TRANSFERS] = {sizeof(u128), sizeof(struct ledger_transfer)},
    [PORT_LEDGER_GET_ACCOUNT_TRANSFERS] = {0, sizeof(struct ledger_transfer)},
    [PORT_LEDGER_GET_ACCOUNT_BALANCES] = {0, sizeof(struct port_ledger_balance)},
    [PORT_LEDGER_QUERY_ACCOUNTS] = {0, sizeof(struct ledger_account)},
    [PORT_LEDGER_QUERY_TRANSFERS] = {0, sizeof(struct ledger_transfer)},
    [PORT_LEDGER_GET_CHANGE_EVENTS] = {0, sizeof(struct port_ledger_change)},
    [PORT_LEDGER_LOOKUP_CONSISTENT] = {sizeof(u128), sizeof(struct ledger_account)},
    [PORT_LEDGER_QUERY_IN_TRANSIT] = {0, sizeof(struct ledger_transfer)},
};

size_t
shards_in_size(enum port_ledger_operation operation)
{
    return sizes[operation].in;
}

size_t
shards_out_size(enum port_ledger_operation operation)
{
    return sizes[operation].out;
}

/* ------------------------------------------------------------------------------------ memory ---
 */

static uint64_t
counter_of(const struct shards_router *router, size_t offset)
{
    return atomic_load_explicit(&router->counters[offset / sizeof(uint64_t)], memory_order_relaxed);
}

void *
shards_memory_take(struct shards_router *router, uint64_t size)
{
    uint64_t used = counter_of(router, offsetof(struct shards_router_counters, memory));
    ASSERT(used <= router->parts.memory_max);
    if (size > router->parts.memory_max - used) {
        return NULL;
    }
    void *memory = calloc(1, size);
    if (memory != NULL) {
        SHARDS_COUNT(router, memory, size);
    }
    return memory;
}

void
shards_memory_give(struct shards_router *router, void *memory, uint64_t size)
{
    if (memory != NULL) {
        free(memory);
        SHARDS_COUNT(router, memory, -size);
    }
}

/* -------------------------------------------------------------------------------------- jobs ---
 */

static struct shards_job *
job_take(struct shards_router *router)
{
    struct list_link *link = list_pop_front(&router->free);
    if (link != NULL) {
        return CONTAINER_OF(link, struct shards_job, link);
    }
    if (router->job_count == router->parts.requests_max) {
        return NULL;
    }
    struct shards_job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return NULL;
    }
    router->job_count++;
    job->router = router;
    list_push_back(&router->all, &job->all);
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        job->parts[i].job = job;
    }
    return job;
}

static void
parts_release(struct shards_job *job)
{
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        struct shards_part *part = &job->parts[i];
        shards_memory_give(job->router, part->memory, part->memory_size);
        part->memory = NULL;
        part->memory_size = 0;
        part->positions = NULL;
        part->cursor = 0;
        part->used = false;
        part->direct = false;
    }
}

static void
run_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
answer(struct port_ledger_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

static void
job_end(struct shards_job *job, err_t error)
{
    struct shards_router *router = job->router;
    struct port_ledger_request *request = job->request;
    parts_release(job);
    shards_memory_give(router, job->memory, job->memory_size);
    job->memory = NULL;
    job->memory_size = 0;
    job->owners = NULL;
    job->settled = NULL;
    job->accounts = NULL;
    job->pendings = NULL;
    job->pending_count = 0;
    job->settled_count = 0;
    job->request = NULL;
    list_push_front(&router->free, &job->link);
    SHARDS_COUNT(router, under_way, -1);
    SHARDS_COUNT(router, crossed, error == ERR_CROSSES_SHARDS ? 1 : 0);
    SHARDS_COUNT(router, busy, error == ERR_BUSY ? 1 : 0);
    answer(request, error);
}

/* Of a batch a part of which was done nobody may say that nothing was (SHARDS-3). */
static void
job_fail(struct shards_job *job, err_t error)
{
    bool some = job->settled_count > 0;
    job_end(job, some ? ERR_OUTCOME_UNKNOWN : error);
}

/* ----------------------------------------------------------------------------------- rounds --- */

static void round_end(struct shards_job *job);

static void
part_done(struct port_ledger_request *port)
{
    struct shards_job *job = CONTAINER_OF(port, struct shards_part, port)->job;
    ASSERT(job->out > 0);
    job->out--;
    if (job->out == 0) {
        round_end(job);
    }
}

static void
parts_send(struct shards_job *job)
{
    struct shards_router *router = job->router;
    uint32_t count = 0;
    job->epoch = router->map.epoch;
    job->out = 1; /* answers that come at once do not end the round */
    for (uint32_t i = 0; i < router->map.shard_count; i++) {
        struct shards_part *part = &job->parts[i];
        if (!part->used) {
            continue;
        }
        count++;
        job->out++;
        part->port.reply_to = router->parts.executor;
        part->port.done = part_done;
        part->port.trace = job->request->trace;
        part->port.epoch = router->map.epoch;
        part->port.error = ERR_OK;
        router->ports[i]->submit(router->ports[i], &part->port);
    }
    SHARDS_COUNT(router, split, count > 1 && is_create(job->request->operation) ? 1 : 0);
    job->out--;
    if (job->out == 0) {
        round_end(job);
    }
}

/* Events that are all in one place, says the requester; if the shard says no, each is looked up. */
static bool
is_placed(const struct shards_job *job)
{
    return job->request->near != 0 && is_create(job->request->operation) && job->tries == 1;
}

static err_t
events_split(struct shards_job *job)
{
    bool resolve = false;
    if (job->memory == NULL) {
        TRY(shards_split_begin(job, &resolve));
    }
    ASSERT(!resolve); /* what is placed names its accounts */
    return shards_split(job);
}

/* The parts of a round that runs, by the map of now. */
static err_t
parts_make(struct shards_job *job)
{
    const struct port_ledger_request *request = job->request;
    const struct shards_router *router = job->router;
    if (job->phase == SHARDS_RESOLVING) {
        return shards_ask_all(job, PORT_LEDGER_LOOKUP_TRANSFERS, job->pendings, job->pending_count);
    }
    if (is_placed(job) || (request->near != 0 && !is_create(request->operation))) {
        shards_ask_one(job, shard_map_of_id(&router->map, request->near));
        return ERR_OK;
    }
    switch (request->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
    case PORT_LEDGER_CREATE_TRANSFERS:
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT: /* cross_read.c is for that; here they are look-ups */
        return events_split(job);
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        shards_ask_one(job, shard_map_of_id(&router->map, request->in.filter->account_id));
        return ERR_OK;
    case PORT_LEDGER_LOOKUP_TRANSFERS:
        return shards_ask_all(job, request->operation, request->in.ids, request->count);
    case PORT_LEDGER_QUERY_ACCOUNTS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_GET_CHANGE_EVENTS:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        return shards_ask_all(job, request->operation, NULL, 0);
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        return ERR_UNSUPPORTED; /* one shard is asked that, and no router */
    }
    UNREACHABLE();
}

static void
job_round(struct shards_job *job)
{
    job->tries++;
    err_t result = parts_make(job);
    if (result != ERR_OK) {
        job_fail(job, result);
        return;
    }
    parts_send(job);
}

/* What one shard alone has found is in the requester's array already; results were taken over. */
static void
take_answers(struct shards_job *job)
{
    struct port_ledger_request *request = job->request;
    if (is_create(request->operation)) {
        ASSERT(job->settled_count == request->count);
        return;
    }
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        if (job->parts[i].used && job->parts[i].direct) {
            request->out_count = job->parts[i].port.out_count;
            return;
        }
    }
    shards_merge(job);
}

/* What a round came to. */
struct outcome {
    err_t error;    /* of a part, but ERR_MOVED; ERR_OUTCOME_UNKNOWN before all others */
    bool moved;     /* some part was */
    uint64_t epoch; /* the highest that was told */
};

static struct outcome
outcome_of(struct shards_job *job)
{
    struct outcome outcome = {.error = ERR_OK};
    bool settles = job->phase == SHARDS_RUNNING && is_create(job->request->operation);
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        struct shards_part *part = &job->parts[i];
        if (!part->used) {
            continue;
        }
        if (part->port.error == ERR_MOVED) {
            SHARDS_COUNT(job->router, moved, 1);
            outcome.moved = true;
            outcome.epoch = part->port.epoch > outcome.epoch ? part->port.epoch : outcome.epoch;
        } else if (part->port.error != ERR_OK) {
            bool is_first = outcome.error == ERR_OK || part->port.error == ERR_OUTCOME_UNKNOWN;
            outcome.error = is_first ? part->port.error : outcome.error;
        } else if (settles) {
            shards_split_settle(part);
        }
    }
    return outcome;
}

static void
round_end(struct shards_job *job)
{
    struct shards_router *router = job->router;
    struct outcome outcome = outcome_of(job);
    if (outcome.error != ERR_OK) {
        job_fail(job, outcome.error);
        return;
    }
    if (!outcome.moved && job->phase == SHARDS_RUNNING) {
        take_answers(job);
        job_end(job, ERR_OK);
        return;
    }
    if (!outcome.moved) {
        err_t result = shards_split_resolved(job);
        parts_release(job);
        if (result != ERR_OK) {
            job_fail(job, result);
            return;
        }
        job->phase = SHARDS_RUNNING;
        job->tries--; /* both are one try */
        job_round(job);
        return;
    }
    parts_release(job);
    bool newer = outcome.epoch > router->map.epoch && router->parts.reload != NULL;
    bool late = job->epoch < router->map.epoch; /* the map was taken while the parts were away */
    late = late || is_placed(job);              /* or the requester knew an older one */
    if ((!newer && !late) || job->tries == SHARDS_TRIES_MAX) {
        if (!newer && !late && router->parts.reload != NULL && router->parts.disagree != NULL) {
            router->parts.disagree(router->parts.context, outcome.epoch);
        }
        job_fail(job, ERR_MOVED);
        return;
    }
    if (!newer) {
        job_round(job);
        return;
    }
    list_push_back(&router->waiting, &job->link);
    if (!router->reloading) {
        router->reloading = true;
        router->parts.reload(router->parts.context, outcome.epoch);
    }
}

/* ------------------------------------------------------------------------------------ submit ---
 */

static void
run_submit(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    struct shards_router *router = CONTAINER_OF(request->port, struct shards_router, port);
    struct shards_job *job = job_take(router);
    SHARDS_COUNT(router, requests, 1);
    if (job == NULL) {
        SHARDS_COUNT(router, busy, 1);
        answer(request, ERR_BUSY);
        return;
    }
    SHARDS_COUNT(router, under_way, 1);
    bool resolve = false;
    err_t result = ERR_OK;
    job->request = request;
    job->tries = 0;
    if (shards_in_size(request->operation) != 0 && request->near == 0 &&
        request->operation != PORT_LEDGER_LOOKUP_TRANSFERS) {
        result = shards_split_begin(job, &resolve);
    }
    if (result != ERR_OK) {
        job_end(job, result);
        return;
    }
    job->phase = resolve ? SHARDS_RESOLVING : SHARDS_RUNNING;
    job_round(job);
}

static void
submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct shards_router *router = CONTAINER_OF(port, struct shards_router, port);
    ASSERT(request->done != NULL);
    ASSERT(request->count <= LEDGER_BATCH_MAX);
    ASSERT(request->near == 0 || request->operation != PORT_LEDGER_CREATE_ACCOUNTS);
    request->port = port;
    request->out_count = 0;
    request->task.run = run_submit;
    os_post(router->parts.executor, &request->task);
}

/* ------------------------------------------------------------------------------------- maps --- */

static void
map_taken(struct shards_router *router)
{
    memset(router->has_slots, 0, sizeof(router->has_slots));
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        ASSERT(router->map.owners[slot] < router->map.shard_count);
        router->has_slots[router->map.owners[slot]] = true;
    }
    size_t at = offsetof(struct shards_router_counters, epoch) / sizeof(uint64_t);
    atomic_store_explicit(&router->counters[at], router->map.epoch, memory_order_relaxed);
}

static void
run_reloaded(struct os_task *task)
{
    struct shards_router *router = CONTAINER_OF(task, struct shards_router, reload_task);
    uint32_t count = router->map.shard_count;
    bool same_shards =
        router->next.shard_count >= count &&
        memcmp(router->next.shards, router->map.shards, count * sizeof(router->map.shards[0])) == 0;
    router->reloading = false;
    bool taken = router->next_read && same_shards && router->next.epoch > router->map.epoch;
    if (taken) {
        for (uint32_t i = count; i < router->next.shard_count; i++) {
            ASSERT(router->next_ports[i] != NULL);
            router->ports[i] = router->next_ports[i];
        }
        memcpy(&router->map, &router->next, sizeof(router->map));
        map_taken(router);
    }
    struct list ready;
    list_init(&ready);
    for (struct list_link *link; (link = list_pop_front(&router->waiting)) != NULL;) {
        list_push_back(&ready, link);
    }
    for (struct list_link *link; (link = list_pop_front(&ready)) != NULL;) {
        struct shards_job *job = CONTAINER_OF(link, struct shards_job, link);
        if (taken) {
            job_round(job);
        } else {
            job_fail(job, ERR_MOVED);
        }
    }
}

void
shards_router_reloaded(
    struct shards_router *router, const struct shard_map *map, struct port_ledger *const *ports)
{
    router->next_read = map != NULL;
    if (map != NULL) {
        memcpy(&router->next, map, sizeof(router->next));
        memcpy(router->next_ports, ports, map->shard_count * sizeof(router->next_ports[0]));
    }
    router->reload_task.run = run_reloaded;
    os_post(router->parts.executor, &router->reload_task);
}

/* -------------------------------------------------------------------------------------- life ---
 */

err_t
shards_router_create(const struct shards_router_parts *parts, struct shards_router **ret_router)
{
    ASSERT(parts->map->shard_count > 0);
    ASSERT(parts->requests_max > 0);
    struct shards_router *router = calloc(1, sizeof(*router));
    if (router == NULL) {
        return ERR_MEMORY;
    }
    router->port.submit = submit;
    router->port.sharded = true;
    router->parts = *parts;
    memcpy(&router->map, parts->map, sizeof(router->map));
    memcpy(router->ports, parts->ports, parts->map->shard_count * sizeof(router->ports[0]));
    router->parts.map = NULL;
    router->parts.ports = NULL;
    list_init(&router->free);
    list_init(&router->all);
    list_init(&router->waiting);
    map_taken(router);
    *ret_router = router;
    return ERR_OK;
}

void
shards_router_destroy(struct shards_router **router)
{
    if (*router == NULL) {
        return;
    }
    LIST_FOREACH_SAFE (&(*router)->all, link) {
        struct shards_job *job = CONTAINER_OF(link, struct shards_job, all);
        parts_release(job);
        free(job->memory);
        free(job);
    }
    free(*router);
    *router = NULL;
}

const struct shard_map *
shards_router_map(const struct shards_router *router)
{
    return &router->map;
}

struct port_ledger *
shards_router_port(struct shards_router *router)
{
    return &router->port;
}

void
shards_router_count(const struct shards_router *router, struct shards_router_counters *ret_counters)
{
    uint64_t values[SHARDS_COUNTER_COUNT];
    for (size_t i = 0; i < SHARDS_COUNTER_COUNT; i++) {
        values[i] = counter_of(router, i * sizeof(uint64_t));
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
