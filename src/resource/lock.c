/*
 * Locks of objects (RESOURCE-4). A lock exists while somebody holds it. Whoever gets it next runs
 * before the group ends, so that a queue of operations on one object shares one commit.
 */
#include "runtime.h"

#include "base/assert.h"

#include <stdlib.h>

static uint64_t
lock_hash(struct resource_runtime *runtime, uint64_t scope, struct span object_id)
{
    return hash_keyed(runtime->hash_key, object_id) ^ hash_u64(scope);
}

static struct resource_lock *
lock_find(struct resource_runtime *runtime, uint64_t hash, uint64_t scope, struct span object_id)
{
    for (struct map_link *link = map_find(&runtime->locks, hash); link != NULL;
         link = map_next(link)) {
        struct resource_lock *lock = CONTAINER_OF(link, struct resource_lock, link);
        if (lock->scope == scope && span_equal(lock->object_id, object_id)) {
            return lock;
        }
    }
    return NULL;
}

static void
timer_arm_first(struct resource_runtime *runtime)
{
    struct os_loop *loop = runtime->parts.loop;
    struct list_link *link = list_first(&runtime->lock_deadlines);
    if (link == NULL) {
        loop->ops->timer_cancel(loop, &runtime->lock_timer);
        return;
    }
    const struct resource_op *op = CONTAINER_OF(link, struct resource_op, deadline);
    if (runtime->lock_timer.deadline_ns != op->deadline_ns) {
        loop->ops->timer_arm(loop, &runtime->lock_timer, op->deadline_ns);
    }
}

static void
fail_timeout(struct resource_op *op)
{
    struct resource_error error = {
        .status = 429,
        .type = "invalid_request_error",
        .code = "lock_timeout",
        .message = SPAN("This object cannot be accessed right now because another API request "
                        "is currently accessing it. Try again later."),
    };
    resource_fail(op, &error);
}

/* The copies of the name must outlive their first holder: each is in its operation's arena. */
static void
hand_over(struct resource_lock *lock, struct resource_op *op)
{
    lock->holder = op;
    lock->object_id = op->lock_name;
    op->lock = lock;
}

static bool
lock_take(struct resource_op *op, uint64_t hash)
{
    struct resource_runtime *runtime = op->runtime;
    struct resource_lock *lock = calloc(1, sizeof(*lock));
    if (lock == NULL || map_insert(&runtime->locks, hash, &lock->link) != ERR_OK) {
        free(lock);
        return false;
    }
    lock->scope = op->caller.scope;
    list_init(&lock->waiters);
    hand_over(lock, op);
    return true;
}

/* It holds the lock in this process; the database is asked when the group ends. */
static void
grant_wait(struct resource_op *op)
{
    struct resource_runtime *runtime = op->runtime;
    op->phase = RESOURCE_OP_WAITS_GRANT;
    op->deadline_ns = os_monotonic_ns(runtime->parts.clock) + runtime->parts.settings.lock_wait_ns;
    list_push_back(&runtime->grants, &op->waiting);
}

static void
lock_wait(struct resource_op *op, struct resource_lock *lock, resource_step step)
{
    struct resource_runtime *runtime = op->runtime;
    if (lock->waiter_count >= runtime->parts.settings.lock_waiters_max) {
        fail_timeout(op);
        return;
    }
    lock->waiter_count++;
    list_push_back(&lock->waiters, &op->waiting);
    op->lock_awaited = lock;
    op->step = step;
    op->phase = RESOURCE_OP_WAITS_LOCK;
    resource_trace_waits(op);
    op->deadline_ns = os_monotonic_ns(runtime->parts.clock) + runtime->parts.settings.lock_wait_ns;
    list_push_back(&runtime->lock_deadlines, &op->deadline);
    timer_arm_first(runtime);
}

void
resource_lock(struct resource_op *op, struct span object_id, resource_step step)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    struct resource_runtime *runtime = op->runtime;
    if (op->doom != ERR_OK) {
        resource_op_end_doomed(op);
        return;
    }
    if (op->lock != NULL) {
        ASSERT(span_equal(op->lock->object_id, object_id)); /* one at a time */
        step(op);
        return;
    }
    op->lock_name = arena_copy(&op->arena, object_id);
    if (op->lock_name.data == NULL) {
        resource_internal(op, ERR_FULL, "lock");
        return;
    }
    uint64_t hash = lock_hash(runtime, op->caller.scope, object_id);
    struct resource_lock *lock = lock_find(runtime, hash, op->caller.scope, object_id);
    if (lock != NULL) {
        lock_wait(op, lock, step);
    } else if (!lock_take(op, hash)) {
        resource_internal(op, ERR_MEMORY, "lock");
    } else if (runtime->shared == NULL) {
        step(op);
    } else {
        op->step = step;
        grant_wait(op);
    }
}

/* Out of the queue of the lock that it waits for. */
static void
stop_waiting(struct resource_op *op)
{
    ASSERT(op->phase == RESOURCE_OP_WAITS_LOCK);
    list_remove(&op->waiting);
    list_remove(&op->deadline);
    op->lock_awaited->waiter_count--;
    op->lock_awaited = NULL;
}

void
resource_lock_release(struct resource_op *op)
{
    struct resource_lock *lock = op->lock;
    if (lock == NULL) {
        return;
    }
    ASSERT(lock->holder == op);
    struct resource_runtime *runtime = op->runtime;
    op->lock = NULL;
    struct list_link *first = list_first(&lock->waiters);
    if (first == NULL) {
        if (lock->granted) {
            runtime->shared->unlock(runtime->documents, lock->scope, lock->object_id);
        }
        map_remove(&runtime->locks, &lock->link);
        free(lock);
        return;
    }
    struct resource_op *next = CONTAINER_OF(first, struct resource_op, waiting);
    stop_waiting(next);
    timer_arm_first(runtime);
    hand_over(lock, next);
    if (runtime->shared != NULL && !lock->granted) {
        grant_wait(next);
        return;
    }
    next->phase = RESOURCE_OP_READY;
    list_push_back(&runtime->ready, &next->waiting);
}

/* ------------------------------------------------------------------------ among several processes
 */

#define GRANTS_AT_ONCE 256
/* A lock that another process has is asked for again so often. */
#define GRANT_RETRY_NS (5 * OS_NS_PER_MS)

/* What the database said about one lock. */
static void
grant_take(struct resource_op *op, const struct document_lock *lock, err_t result)
{
    struct resource_runtime *runtime = op->runtime;
    ASSERT(op->phase == RESOURCE_OP_WAITS_GRANT);
    if (result == ERR_OK && lock->granted) {
        op->lock->granted = true;
        op->phase = RESOURCE_OP_READY;
        list_push_back(&runtime->ready, &op->waiting);
        return;
    }
    if (result == ERR_OK && os_monotonic_ns(runtime->parts.clock) < op->deadline_ns) {
        list_push_back(&runtime->grants, &op->waiting);
        return;
    }
    op->phase = RESOURCE_OP_RUNNING;
    if (op->doom != ERR_OK) {
        resource_op_end_doomed(op);
    } else if (result != ERR_OK) {
        resource_internal(op, result, "lock");
    } else {
        fail_timeout(op);
    }
}

bool
resource_locks_grant(struct resource_runtime *runtime)
{
    struct document_lock locks[GRANTS_AT_ONCE];
    struct resource_op *ops[GRANTS_AT_ONCE];
    uint32_t count = 0;
    LIST_FOREACH_SAFE (&runtime->grants, link) {
        if (count == GRANTS_AT_ONCE) {
            break;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, waiting);
        locks[count] = (struct document_lock){.scope = op->lock->scope, .id = op->lock->object_id};
        ops[count++] = op;
    }
    for (uint32_t i = 0; i < count; i++) {
        list_remove(&ops[i]->waiting);
    }
    if (count == 0) {
        return !list_is_empty(&runtime->ready);
    }
    err_t result = runtime->shared->lock(runtime->documents, locks, count);
    if (result == ERR_OK) {
        resource_prefetch_locked(runtime, locks, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        grant_take(ops[i], &locks[i], result);
    }
    if (!list_is_empty(&runtime->grants)) {
        runtime->parts.loop->ops->timer_arm(
            runtime->parts.loop,
            &runtime->grant_timer,
            os_monotonic_ns(runtime->parts.clock) + GRANT_RETRY_NS);
    }
    return !list_is_empty(&runtime->ready);
}

/* The end of this group asks again. */
void
resource_lock_grant_fire(struct os_timer *timer)
{
    (void)timer;
}

void
resource_lock_drop(struct resource_op *op)
{
    struct resource_lock *lock = op->lock;
    if (lock != NULL) {
        map_remove(&op->runtime->locks, &lock->link);
        free(lock);
        op->lock = NULL;
    }
}

void
resource_lock_timer_fire(struct os_timer *timer)
{
    struct resource_runtime *runtime = CONTAINER_OF(timer, struct resource_runtime, lock_timer);
    uint64_t now_ns = os_monotonic_ns(runtime->parts.clock);
    for (;;) {
        struct list_link *link = list_first(&runtime->lock_deadlines);
        if (link == NULL) {
            break;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, deadline);
        if (op->deadline_ns > now_ns) {
            break;
        }
        stop_waiting(op);
        op->phase = RESOURCE_OP_RUNNING;
        resource_trace_waited(op, "lock wait");
        fail_timeout(op);
    }
    timer_arm_first(runtime);
}
