/* Dead codes are kept for a while, to be told from codes that never were; then they go. */
#include "mobile_internal.h"

#include "base/list.h"

/* The rows of one sweep: `each` may not write, so they gather first. */
struct found {
    struct mobile_code *codes[DOCUMENT_LIST_MAX];
    uint32_t count;
};

static bool
gather(void *context, void *document)
{
    struct found *found = context;
    found->codes[found->count++] = document;
    return found->count < DOCUMENT_LIST_MAX;
}

static err_t
forget_due(struct resource_op *op)
{
    struct found *found = ARENA_NEW(resource_op_arena(op), struct found);
    if (found == NULL) {
        return ERR_FULL;
    }
    struct document_query query = {
        .all_scopes = true,
        .range_column = MOBILE_CODE_PURGE,
        .range_min = 1,
        .range_max = (int64_t)resource_now_s(op),
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    TRY(resource_find_sound(op, &mobile_code_type, &query, gather, found));
    for (uint32_t i = 0; i < found->count; i++) {
        TRY(resource_remove(op, &mobile_code_type, found->codes[i]));
    }
    return ERR_OK;
}

static void
sweep(struct resource_op *op)
{
    err_t error = forget_due(op);
    if (error != ERR_OK) {
        resource_internal(op, error, "payer codes");
        return;
    }
    resource_finish(op);
}

static void
arm(struct mobile *mobile)
{
    uint64_t now_ns = os_monotonic_ns(mobile->parts.clock);
    uint64_t interval_ns = (uint64_t)mobile->parts.settings.sweep_interval_ms * OS_NS_PER_MS;
    os_timer_arm(mobile->parts.loop, &mobile->sweep_timer, now_ns + interval_ns);
}

static void
sweep_fired(struct os_timer *timer)
{
    struct mobile *mobile = CONTAINER_OF(timer, struct mobile, sweep_timer);
    if (resource_leads(mobile->parts.runtime, "sweeping payer codes")) {
        /* Too much under way: the next one does it. */
        (void)!resource_start_internal(mobile->parts.runtime, 0, mobile, sweep, NULL);
    }
    arm(mobile);
}

void
mobile_sweeper_start(struct mobile *mobile)
{
    mobile->sweep_timer.fire = sweep_fired;
    arm(mobile);
}
