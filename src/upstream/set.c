/* From a wanted set to slots. */
#include "base/assert.h"

#include "upstream_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_same(const struct upstream_target *a, const struct upstream_target *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static const struct upstream_target *
target_find(const struct upstream_plan *plan, const struct upstream_target *wanted)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (is_same(&plan->targets[i], wanted)) {
            return &plan->targets[i];
        }
    }
    return NULL;
}

/* One that is closing is as good as gone: the same address gets a new slot. */
static struct upstream_slot *
slot_find(struct upstream *upstream, const struct upstream_target *target)
{
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        struct upstream_slot *slot = &upstream->slots[i];
        if (slot->used && !slot->closing && is_same(&slot->target, target)) {
            return slot;
        }
    }
    return NULL;
}

static struct upstream_slot *
slot_free(struct upstream *upstream)
{
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        if (!upstream->slots[i].used) {
            return &upstream->slots[i];
        }
    }
    return NULL;
}

static void
slot_keep(struct upstream_slot *slot, const struct upstream_target *target)
{
    struct upstream *upstream = slot->upstream;
    bool changed = slot->target.share.weight != target->share.weight ||
                   slot->target.share.priority != target->share.priority;
    if (changed) {
        slot->target.share = target->share;
        balance_set_share(&upstream->balance, slot->index, &target->share);
        upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, weight), target->share.weight);
    }
    if (slot->leaving) {
        upstream_slot_stay(slot);
    }
}

/* Those that are wanted and not there. */
static void
slots_fill(struct upstream *upstream, uint64_t ramp_from_ns)
{
    upstream->plan_pending = false;
    for (size_t i = 0; i < upstream->plan->count; i++) {
        const struct upstream_target *target = &upstream->plan->targets[i];
        struct upstream_slot *slot = slot_find(upstream, target);
        if (slot != NULL) {
            slot_keep(slot, target);
            continue;
        }
        slot = slot_free(upstream);
        if (slot == NULL || upstream_slot_open(slot, target, ramp_from_ns) != ERR_OK) {
            upstream->plan_pending = true; /* when another one is gone */
        }
    }
}

void
upstream_plan_apply(struct upstream *upstream, struct upstream_plan *plan)
{
    if (upstream->stopping) {
        free(plan);
        return;
    }
    bool first = upstream->plan == NULL;
    free(upstream->plan);
    upstream->plan = plan;
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        struct upstream_slot *slot = &upstream->slots[i];
        if (slot->used && !slot->leaving && target_find(plan, &slot->target) == NULL) {
            upstream_slot_leave(slot);
        }
    }
    slots_fill(upstream, first ? UINT64_MAX : net_now_ns());
    upstream_counter_add(UPSTREAM_COUNTER(upstream, set_changes), 1);
    upstream_slots_counted(upstream);
}

void
upstream_plan_resume(struct upstream *upstream)
{
    if (upstream->plan_pending && !upstream->stopping) {
        slots_fill(upstream, net_now_ns());
        upstream_slots_counted(upstream);
    }
}

bool
upstream_plan_equal(const struct upstream_plan *a, const struct upstream_plan *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct upstream_target *other = target_find(b, &a->targets[i]);
        if (other == NULL || other->share.weight != a->targets[i].share.weight ||
            other->share.priority != a->targets[i].share.priority) {
            return false;
        }
    }
    return true;
}

static void
on_set(struct os_task *task)
{
    struct upstream *upstream = CONTAINER_OF(task, struct upstream, set_task);
    upstream_plan_apply(upstream, atomic_exchange(&upstream->wanted, NULL));
}

void
upstream_plan_init(struct upstream *upstream)
{
    upstream->set_task.run = on_set;
}

err_t
upstream_set(
    struct upstream *upstream, const struct upstream_endpoint *endpoints, size_t endpoint_count)
{
    struct upstream_plan *plan = malloc(sizeof(*plan));
    if (plan == NULL) {
        return ERR_MEMORY;
    }
    plan->count = 0;
    for (size_t i = 0; i < endpoint_count; i++) {
        const struct upstream_endpoint *endpoint = &endpoints[i];
        struct balance_share share = {
            .weight = endpoint->weight == 0 ? 1 : endpoint->weight,
            .priority = endpoint->priority,
        };
        err_t result =
            upstream_plan_add(plan, span_from_cstr(endpoint->host), endpoint->port, &share);
        if (result != ERR_OK) {
            free(plan);
            return result == ERR_FULL ? ERR_FULL : ERR_INVALID;
        }
    }
    /* Whoever replaces one that was not taken yet need not post: the task is on its way. */
    struct upstream_plan *before = atomic_exchange(&upstream->wanted, plan);
    if (before == NULL) {
        os_post(net_loop_executor(upstream->loop), &upstream->set_task);
    }
    free(before);
    return ERR_OK;
}
