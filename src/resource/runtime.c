/*
 * Groups. All that one turn of the loop brings works in one transaction, opened by the first write
 * and committed in the loop's group hook; then the steps that waited for it run, and the answers
 * leave in one post per receiver (RESOURCE-1).
 *
 * With a loop for syncing, a commit has two halves: the transaction is applied, and synced there
 * while the next turns work. They gather in the next transaction until the sync is done; then that
 * one is applied, and so on: the disk is never waited for, and never asked twice at a time.
 *
 *     turns     |  T1  |        T2        |    T3
 *     applied          T1                 T2
 *     synced            ------T1--------   ------T2------
 *     answered                          T1              T2
 *
 * A transaction is applied when a turn brought nobody else to it, or after a few turns.
 *
 * Which operations rest on the open transaction is known: they wrote in it, or read while it was
 * open. If the commit fails they are doomed, whatever they wait for (RESOURCE-2). What was only
 * read may be of a transaction that is being synced: such answers wait for that sync.
 */
#include "cache.h"

#include "measure.h"

#include "base/assert.h"
#include "os/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_LIMIT (4U << 20)
/* A commit waits so many turns at most for others to join it. */
#define JOIN_TURNS_MAX 4

const struct document_kind *const resource_kinds[] = {
    &resource_setting_kind,
    &resource_merchant_kind,
    &resource_api_key_kind,
    &resource_idempotency_kind,
    &resource_event_kind,
    &resource_event_type_kind,
    &resource_guard_kind,
};
const uint32_t resource_kind_count = sizeof(resource_kinds) / sizeof(resource_kinds[0]);

/* ------------------------------------------------------------------------------ transactions */

/* In a shared store, who lost against another process is told by its owner. */
static void
set_owner(struct resource_runtime *runtime, const struct resource_op *op)
{
    if (runtime->shared != NULL) {
        runtime->shared->owner(runtime->documents, op);
    }
}

static void
touch(struct resource_runtime *runtime, struct resource_op *op)
{
    set_owner(runtime, op);
    if (!list_is_linked(&op->touched)) {
        list_push_back(&runtime->touched, &op->touched);
        runtime->touched_count++;
    }
}

err_t
resource_transaction_open(struct resource_runtime *runtime)
{
    resource_cache_group_reads(runtime);
    if (!runtime->in_transaction) {
        TRY(runtime->documents->ops->begin(runtime->documents));
        runtime->in_transaction = true;
        runtime->transaction++;
    }
    set_owner(runtime, NULL);
    return ERR_OK;
}

err_t
resource_transaction_write(struct resource_runtime *runtime, struct resource_op *op)
{
    TRY(op->doom);
    TRY(resource_transaction_open(runtime));
    touch(runtime, op);
    return ERR_OK;
}

void
resource_transaction_read(struct resource_runtime *runtime, struct resource_op *op)
{
    resource_cache_group_reads(runtime);
    if (runtime->in_transaction) {
        touch(runtime, op);
    } else {
        set_owner(runtime, op);
    }
}

/* ERR_STALE: another process was first to change what the operation wrote. */
static err_t
outcome_of(struct resource_runtime *runtime, const struct resource_op *op)
{
    return runtime->shared == NULL ? ERR_OK : runtime->shared->outcome(runtime->documents, op);
}

static bool
anybody_has_lost(struct resource_runtime *runtime)
{
    bool any = outcome_of(runtime, NULL) != ERR_OK;
    LIST_FOREACH_SAFE (&runtime->touched, link) {
        const struct resource_op *op = CONTAINER_OF(link, struct resource_op, touched);
        any = any || outcome_of(runtime, op) != ERR_OK;
    }
    return any;
}

/* How a transaction that was committed went for one of those that rest on it. */
static void
op_settle(struct resource_runtime *runtime, struct resource_op *op)
{
    err_t outcome = outcome_of(runtime, op);
    if (outcome == ERR_OK) {
        op->idempotency.row_durable =
            op->idempotency.row_durable || op->idempotency.state == RESOURCE_IDEMPOTENCY_RUNNING;
        return;
    }
    op->doom = outcome;
    if (outcome != ERR_STALE) { /* of its shard; the others' have committed */
        resource_log(runtime, op, outcome, "commit");
        resource_measure_failure();
    }
}

/* The transaction is over; those that rest on it learn how, and are counted. */
static uint32_t
transaction_settle(struct resource_runtime *runtime, err_t outcome)
{
    uint32_t count = runtime->touched_count;
    runtime->touched_count = 0;
    runtime->joined_count = 0;
    runtime->join_turns = 0;
    runtime->in_transaction = false;
    resource_cache_settle(runtime, outcome);
    resource_event_types_settle(runtime, outcome == ERR_OK && !anybody_has_lost(runtime));
    for (;;) {
        struct list_link *link = list_pop_front(&runtime->touched);
        if (link == NULL) {
            break;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, touched);
        op->writes = NULL;
        if (outcome != ERR_OK) {
            op->doom = outcome;
        } else {
            op_settle(runtime, op);
        }
    }
    if (outcome != ERR_OK) {
        resource_measure_failure();
    }
    return count;
}

err_t
resource_transaction_commit(struct resource_runtime *runtime)
{
    if (!runtime->in_transaction) {
        return ERR_OK;
    }
    FAULT_POINT("resource-before-commit");
    err_t outcome = runtime->documents->ops->commit(runtime->documents);
    FAULT_POINT("resource-after-commit");
    if (outcome != ERR_OK && outcome != ERR_STALE) {
        resource_log(runtime, NULL, outcome, "commit");
    }
    (void)transaction_settle(runtime, outcome);
    return outcome;
}

void
resource_transaction_abort(struct resource_runtime *runtime, err_t reason)
{
    ASSERT(reason != ERR_OK);
    if (runtime->in_transaction) {
        runtime->documents->ops->rollback(runtime->documents);
        (void)transaction_settle(runtime, reason);
    }
}

/* ------------------------------------------------------------------------------------- hook */

static void
wake_run(struct os_task *task)
{
    CONTAINER_OF(task, struct resource_runtime, wake_task)->wake_posted = false;
}

void
resource_wake(struct resource_runtime *runtime)
{
    if (!runtime->wake_posted) {
        runtime->wake_posted = true;
        os_post(runtime->executor, &runtime->wake_task);
    }
}

/* Operations that got their lock. Each may free the next: all of them still join this group. */
static void
run_ready(struct resource_runtime *runtime)
{
    for (;;) {
        struct list_link *link = list_pop_front(&runtime->ready);
        if (link == NULL) {
            return;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, waiting);
        ASSERT(op->phase == RESOURCE_OP_READY);
        op->phase = RESOURCE_OP_RUNNING;
        resource_trace_waited(op, "lock wait");
        if (op->doom != ERR_OK) {
            resource_op_end_doomed(op);
        } else {
            op->step(op);
        }
    }
}

/* Answers on their way to one receiver. */
struct reply_chain {
    struct os_executor *to;
    struct os_task *first, *last;
};

#define REPLY_CHAINS_MAX 16

struct replies {
    struct reply_chain chains[REPLY_CHAINS_MAX];
    size_t count;
};

static void
reply_add(struct replies *replies, struct os_executor *to, struct os_task *task)
{
    task->next = NULL;
    for (size_t i = 0; i < replies->count; i++) {
        struct reply_chain *chain = &replies->chains[i];
        if (chain->to == to) {
            chain->last->next = task;
            chain->last = task;
            return;
        }
    }
    if (replies->count == REPLY_CHAINS_MAX) {
        to->post(to, task, task);
        return;
    }
    replies->chains[replies->count++] = (struct reply_chain){.to = to, .first = task, .last = task};
}

static void
replies_post(struct replies *replies)
{
    for (size_t i = 0; i < replies->count; i++) {
        struct reply_chain *chain = &replies->chains[i];
        chain->to->post(chain->to, chain->first, chain->last);
    }
}

static void
request_done(struct os_task *task)
{
    struct resource_request *request = CONTAINER_OF(task, struct resource_request, task);
    request->done(request);
}

static void deliver(struct resource_op *op, struct replies *replies);

static void
held_long_enough(struct os_timer *timer)
{
    struct replies replies = {.count = 0};
    deliver(CONTAINER_OF(timer, struct resource_op, hold_timer), &replies);
    replies_post(&replies);
}

static void
hold(struct resource_op *op)
{
    const struct resource_parts *parts = &op->runtime->parts;
    uint64_t until_ns = os_monotonic_ns(parts->clock) + op->hold_ns;
    op->hold_ns = 0;
    op->hold_timer = (struct os_timer){.fire = held_long_enough};
    os_timer_arm(parts->loop, &op->hold_timer, until_ns);
}

/* Whoever has no key, or a wrong one, is nobody. */
static void
tell_watch(struct resource_runtime *runtime, const struct resource_op *op)
{
    if (runtime->request_watch != NULL && op->caller.key_id[0] != '\0') {
        runtime->request_watch->answered(runtime->request_watch->context, &op->caller, op->request);
    }
}

void
resource_watch_requests(
    struct resource_runtime *runtime, const struct resource_request_watch *watch)
{
    runtime->request_watch = watch;
}

static void
deliver(struct resource_op *op, struct replies *replies)
{
    struct resource_runtime *runtime = op->runtime;
    struct resource_request *request = op->request;
    if (op->hold_ns != 0 && !op->undone) {
        hold(op);
        return;
    }
    if (request != NULL) {
        request->status = op->status;
        request->content_type = op->content_type;
        /* The operation's memory goes now; without memory for it, it is a redirect to nowhere. */
        request->location =
            op->location.size == 0 ? SPAN_EMPTY : arena_copy(request->arena, op->location);
        request->body = op->body;
        op->body = (struct buf){.data = NULL};
        request->task.run = request_done;
        tell_watch(runtime, op);
        reply_add(replies, request->reply_to, &request->task);
    }
    resource_trace_ended(op);
    resource_op_free(op);
}

static uint32_t
count_list(const struct list *waiting)
{
    uint32_t count = 0;
    for (const struct list_link *link = waiting->head.next; link != &waiting->head;
         link = link->next) {
        count++;
    }
    return count;
}

/* What waited goes on. What it starts waits for a later group. `commit_ns` is when the commit began
 * that it waited for; 0: there was none. */
static void
run_list(struct list *waiting, uint64_t commit_ns)
{
    struct replies replies = {.count = 0};
    uint32_t count = commit_ns == 0 ? 0 : count_list(waiting);
    for (;;) {
        struct list_link *link = list_pop_front(waiting);
        if (link == NULL) {
            break;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, pending);
        resource_trace_committed(op, commit_ns, count);
        if (op->doom != ERR_OK) {
            op->phase = RESOURCE_OP_RUNNING;
            buf_release(&op->body);
            resource_op_end_doomed(op);
        } else if (op->phase == RESOURCE_OP_ENDED) {
            deliver(op, &replies);
        } else {
            ASSERT(op->phase == RESOURCE_OP_WAITS_COMMIT);
            op->phase = RESOURCE_OP_RUNNING;
            op->reached = true;
            op->step(op);
        }
    }
    replies_post(&replies);
}

static void
move_all(struct list *from, struct list *to)
{
    for (;;) {
        struct list_link *link = list_pop_front(from);
        if (link == NULL) {
            return;
        }
        list_push_back(to, link);
    }
}

/* Those that do not rest on the open transaction need only the sync that is under way. */
static void
join_sync(struct resource_runtime *runtime)
{
    LIST_FOREACH_SAFE (&runtime->pending, link) {
        const struct resource_op *op = CONTAINER_OF(link, struct resource_op, pending);
        if (!list_is_linked(&op->touched)) {
            list_remove(link);
            list_push_back(&runtime->syncing, link);
        }
    }
}

/* On the runtime's loop again. */
static void
synced(struct os_task *task)
{
    struct resource_runtime *runtime = CONTAINER_OF(task, struct resource_runtime, sync_task);
    runtime->is_syncing = false;
    if (runtime->sync_outcome != ERR_OK) {
        resource_log(runtime, NULL, runtime->sync_outcome, "sync");
        resource_transaction_abort(runtime, runtime->sync_outcome);
        /* Anybody may have seen what is now in doubt. */
        LIST_FOREACH_SAFE (&runtime->ops, link) {
            CONTAINER_OF(link, struct resource_op, all)->doom = runtime->sync_outcome;
        }
    }
    struct list done;
    list_init(&done);
    move_all(&runtime->syncing, &done);
    run_list(&done, runtime->sync_began_ns);
}

/* On the sync loop. */
static void
sync_run(struct os_task *task)
{
    struct resource_runtime *runtime = CONTAINER_OF(task, struct resource_runtime, sync_task);
    FAULT_POINT("resource-before-sync");
    uint64_t began_ns = os_monotonic_ns(runtime->parts.clock);
    runtime->sync_outcome = runtime->documents->ops->sync(runtime->documents);
    resource_measure_sync(runtime, began_ns);
    FAULT_POINT("resource-after-commit");
    task->run = synced;
    os_post(runtime->executor, task);
}

/* Applies the open transaction and starts its sync; false if there is nothing to wait for. */
static bool
sync_begin(struct resource_runtime *runtime)
{
    if (!runtime->in_transaction) {
        return false;
    }
    FAULT_POINT("resource-before-commit");
    runtime->sync_began_ns = os_monotonic_ns(runtime->parts.clock);
    err_t outcome = runtime->documents->ops->apply(runtime->documents);
    if (outcome != ERR_OK) {
        resource_log(runtime, NULL, outcome, "commit");
    }
    uint32_t operation_count = transaction_settle(runtime, outcome);
    if (outcome != ERR_OK) {
        return false;
    }
    resource_measure_apply(runtime, operation_count, runtime->sync_began_ns);
    runtime->is_syncing = true;
    move_all(&runtime->pending, &runtime->syncing);
    runtime->sync_task.run = sync_run;
    os_post(os_loop_executor(runtime->parts.sync_loop), &runtime->sync_task);
    return true;
}

/*
 * Whether the open transaction may get others still: this turn brought some, and what was posted
 * meanwhile is a turn away. A commit costs as much however many share it, and writes the last pages
 * of all tables; so under load fewer and larger ones are cheaper for everybody, and an operation
 * that is alone waits for one look at an empty queue.
 */
static bool
waits_for_others(struct resource_runtime *runtime)
{
    bool some_joined = runtime->touched_count > runtime->joined_count;
    if (!runtime->in_transaction || !some_joined || runtime->join_turns == JOIN_TURNS_MAX) {
        return false;
    }
    runtime->joined_count = runtime->touched_count;
    runtime->join_turns++;
    return true;
}

static void
run_pending(struct resource_runtime *runtime, uint64_t commit_ns)
{
    struct list pending;
    list_init(&pending);
    move_all(&runtime->pending, &pending);
    run_list(&pending, commit_ns);
}

static void
group_end(struct os_group_hook *hook)
{
    struct resource_runtime *runtime = CONTAINER_OF(hook, struct resource_runtime, hook);
    do {
        resource_prefetch_arrived(runtime);
        run_ready(runtime);
    } while (resource_locks_grant(runtime));
    resource_measure_group(runtime);
    if (runtime->is_syncing) {
        join_sync(runtime);
        return; /* the end of the sync is a group of its own */
    }
    if (runtime->parts.sync_loop != NULL && waits_for_others(runtime)) {
        resource_wake(runtime);
        return;
    }
    bool wrote = runtime->in_transaction;
    if (runtime->parts.sync_loop == NULL) {
        uint64_t now_ns = wrote ? os_monotonic_ns(runtime->parts.clock) : 0;
        (void)resource_transaction_commit(runtime); /* the doomed are told below */
        run_pending(runtime, now_ns);
    } else if (!sync_begin(runtime)) {
        run_pending(runtime, 0);
    }
    if (!runtime->in_transaction) {
        runtime->documents->ops->maintain(runtime->documents);
        resource_cache_group_ended(runtime);
    }
    resource_turns_run(runtime, wrote); /* while the disk works, if it does */
    if (!runtime->is_syncing &&
        (runtime->in_transaction || !list_is_empty(&runtime->pending) ||
         !list_is_empty(&runtime->ready) || !list_is_empty(&runtime->turns))) {
        resource_wake(runtime);
    }
}

/* -------------------------------------------------------------------------- other processes */

bool
resource_is_shared(const struct resource_runtime *runtime)
{
    return runtime->shared != NULL;
}

bool
resource_leads(struct resource_runtime *runtime, const char *work)
{
    return runtime->shared == NULL || runtime->shared->lead(runtime->documents, work);
}

/* -------------------------------------------------------------------------- create, destroy */

void
resource_log(
    struct resource_runtime *runtime, const struct resource_op *op, err_t code, const char *what)
{
    const char *request_id = op == NULL || op->request == NULL ? "" : op->request->request_id;
    static const struct trace_context no_trace;
    const struct trace_context *trace = op == NULL ? &no_trace : &op->span.context;
    if (runtime->parts.log != NULL) {
        runtime->parts.log(runtime->parts.log_context, request_id, trace, code, what);
        return;
    }
    (void)fprintf(stderr, "resource: %s: %s %s\n", what, err_name(code), request_id);
}

static err_t
runtime_open(struct resource_runtime *runtime)
{
    TRY(runtime->documents->ops->begin(runtime->documents));
    set_owner(runtime, NULL);
    err_t result = resource_idempotency_open(runtime);
    if (result == ERR_OK) {
        result = resource_event_types_open(runtime);
    }
    if (result != ERR_OK) {
        runtime->documents->ops->rollback(runtime->documents);
        return result;
    }
    return runtime->documents->ops->commit(runtime->documents);
}

static void
runtime_init(struct resource_runtime *runtime, const struct resource_parts *parts)
{
    const struct resource_settings *settings = &parts->settings;
    ASSERT(settings->rate_per_key > 0);
    ASSERT(settings->operations_max > 0);
    runtime->parts = *parts;
    runtime->documents = parts->documents;
    runtime->shared = parts->documents->shared;
    if (runtime->shared != NULL) {
        runtime->parts.sync_loop = NULL; /* a commit is durable when the database answers */
    }
    runtime->executor = os_loop_executor(parts->loop);
    runtime->wake_task.run = wake_run;
    runtime->hash_key = (struct hash_key){
        (uint64_t)os_random_u128(parts->entropy), (uint64_t)os_random_u128(parts->entropy)};
    list_init(&runtime->ops);
    list_init(&runtime->free_ops);
    list_init(&runtime->pending);
    list_init(&runtime->syncing);
    list_init(&runtime->touched);
    list_init(&runtime->ready);
    list_init(&runtime->turns);
    list_init(&runtime->event_listeners);
    arena_init(&runtime->turn_arena, RESOURCE_TURN_ARENA_LIMIT);
    list_init(&runtime->lock_deadlines);
    list_init(&runtime->grants);
    list_init(&runtime->keys_by_use);
    map_init(&runtime->locks, settings->operations_max);
    map_init(&runtime->keys, RESOURCE_KEYS_CACHED_MAX);
    map_init(&runtime->key_rates, RESOURCE_KEYS_CACHED_MAX);
    map_init(&runtime->running, settings->operations_max);
    map_init(&runtime->event_types, RESOURCE_EVENT_TYPES_MAX);
    buf_init(&runtime->scratch, SCRATCH_LIMIT);
    runtime->lock_timer = (struct os_timer){.fire = resource_lock_timer_fire};
    runtime->grant_timer = (struct os_timer){.fire = resource_lock_grant_fire};
    runtime->purge_timer = (struct os_timer){.fire = resource_idempotency_purge};
}

err_t
resource_runtime_create(const struct resource_parts *parts, struct resource_runtime **ret_runtime)
{
    struct resource_runtime *runtime = calloc(1, sizeof(*runtime));
    if (runtime == NULL) {
        return ERR_MEMORY;
    }
    runtime_init(runtime, parts);
    runtime->shares = calloc(RESOURCE_SHARES, sizeof(*runtime->shares));
    runtime->known_merchants = calloc(RESOURCE_KNOWN_MERCHANTS, sizeof(*runtime->known_merchants));
    bool whole = runtime->shares != NULL && runtime->known_merchants != NULL;
    err_t result = whole ? resource_prefetch_open(runtime) : ERR_MEMORY;
    if (result == ERR_OK) {
        result = runtime_open(runtime);
    }
    for (uint32_t i = 0; result == ERR_STALE && i < RESOURCE_OPEN_TRIES_MAX; i++) {
        result = runtime_open(runtime); /* another process has made the first rows */
    }
    if (result != ERR_OK) {
        resource_runtime_destroy(&runtime);
        return result;
    }
    result = resource_cache_open(runtime);
    if (result != ERR_OK) {
        resource_runtime_destroy(&runtime);
        return result;
    }
    runtime->hook.group_end = group_end;
    parts->loop->ops->add_group_hook(parts->loop, &runtime->hook);
    parts->loop->ops->timer_arm(
        parts->loop,
        &runtime->purge_timer,
        os_monotonic_ns(parts->clock) + RESOURCE_PURGE_INTERVAL_NS);
    *ret_runtime = runtime;
    return ERR_OK;
}

void
resource_runtime_destroy(struct resource_runtime **runtime_at)
{
    struct resource_runtime *runtime = *runtime_at;
    if (runtime == NULL) {
        return;
    }
    if (runtime->in_transaction) {
        resource_transaction_abort(runtime, ERR_CLOSED);
    }
    /* Operations whose port never answered, and the spare ones. */
    LIST_FOREACH_SAFE (&runtime->ops, link) {
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, all);
        if (os_timer_is_armed(&op->hold_timer)) {
            os_timer_cancel(runtime->parts.loop, &op->hold_timer);
        }
        resource_lock_drop(op);
        resource_op_destroy(op);
    }
    LIST_FOREACH_SAFE (&runtime->free_ops, link) {
        resource_op_destroy(CONTAINER_OF(link, struct resource_op, all));
    }
    resource_auth_close(runtime);
    resource_cache_close(runtime);
    free(runtime->wishes);
    free(runtime->shares);
    free(runtime->known_merchants);
    resource_event_types_close(runtime);
    map_release(&runtime->locks);
    map_release(&runtime->keys);
    map_release(&runtime->key_rates);
    map_release(&runtime->running);
    map_release(&runtime->event_types);
    buf_release(&runtime->scratch);
    buf_release(&runtime->spare);
    arena_release(&runtime->turn_arena);
    free(runtime);
    *runtime_at = NULL;
}
