/*
 * Finds the transactions whose decision is to be told now, and starts a round for each; counts what
 * is open and stuck. Among several processes one does it for all.
 */
#include "private.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* Whoever is started copies what was found before this group ends, and so before the next sweep. It
 * may be found again before it has claimed its transaction: it then finds that it is not due any
 * more. */
struct found {
    struct coordinator *coordinator;
    uint64_t scope;
    char id[ID_TEXT_SIZE];
};

struct coordinator_sweep {
    struct coordinator *coordinator;
    struct found found[DOCUMENT_LIST_MAX];
    uint32_t found_count;
    uint64_t open, stuck;
    int64_t oldest; /* when the oldest open one began; 0: none */
};

static void
arm(struct coordinator *coordinator, int64_t delay_ms)
{
    uint64_t now = os_monotonic_ns(coordinator->parts.clock);
    os_timer_arm(
        coordinator->parts.loop,
        &coordinator->sweep_timer,
        now + 1 + (uint64_t)delay_ms * OS_NS_PER_MS);
}

void
coordinator_sweep_soon(struct coordinator *coordinator)
{
    if (coordinator->sweeping) {
        coordinator->again = true;
    } else {
        arm(coordinator, 0);
    }
}

/* ------------------------------------------------------------------------------------ finding ---
 */

static bool
found_due(void *context, void *document)
{
    struct coordinator_sweep *sweep = context;
    const struct coordinator_transaction *transaction = document;
    struct span id = transaction->header.id;
    struct found *found = &sweep->found[sweep->found_count++];
    ASSERT(id.size < sizeof(found->id));
    found->coordinator = sweep->coordinator;
    found->scope = transaction->header.scope;
    memcpy(found->id, id.data, id.size);
    found->id[id.size] = '\0';
    return sweep->found_count < DOCUMENT_LIST_MAX;
}

static bool
found_open(void *context, void *document)
{
    struct coordinator_sweep *sweep = context;
    const struct coordinator_transaction *transaction = document;
    if (sweep->open == 0) {
        sweep->oldest = transaction->open_since;
    }
    sweep->open++;
    return true;
}

static bool
found_stuck(void *context, void *document)
{
    struct coordinator_sweep *sweep = context;
    (void)document;
    sweep->stuck++;
    return true;
}

static err_t
find(struct coordinator_sweep *sweep, struct resource_op *op, int64_t now)
{
    const struct resource_type *type = &coordinator_transaction_type;
    struct document_query query = {
        .all_scopes = true,
        .range_column = COORDINATOR_TRANSACTION_DUE,
        .range_min = 1,
        .range_max = now,
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    TRY(resource_find_sound(op, type, &query, found_due, sweep));
    query.range_column = COORDINATOR_TRANSACTION_OPEN_SINCE;
    query.range_max = INT64_MAX;
    TRY(resource_find_sound(op, type, &query, found_open, sweep));
    query.range_column = COORDINATOR_TRANSACTION_STUCK_SINCE;
    return resource_find_sound(op, type, &query, found_stuck, sweep);
}

/* ------------------------------------------------------------------------------------- sweeping
 * --- */

static void
tell(struct resource_op *op)
{
    const struct found *found = resource_op_state(op);
    coordinator_tell(op, found->coordinator, span_from_cstr(found->id));
}

/* The operations begin in this group, while what was found is still there. */
static void
start_all(struct coordinator_sweep *sweep)
{
    struct coordinator *coordinator = sweep->coordinator;
    for (uint32_t i = 0; i < sweep->found_count; i++) {
        struct found *found = &sweep->found[i];
        err_t error = resource_start_internal(
            coordinator->parts.runtime, found->scope, coordinator, tell, found);
        if (error != ERR_OK) {
            return; /* too much under way: the next sweep goes on */
        }
    }
}

static void
sweep_once(struct resource_op *op)
{
    struct coordinator *coordinator = resource_op_service(op);
    struct coordinator_sweep *sweep = coordinator->sweep;
    int64_t now = (int64_t)resource_now_s(op);
    sweep->found_count = 0;
    sweep->open = 0;
    sweep->stuck = 0;
    err_t error = find(sweep, op, now);
    resource_finish(op);
    if (error == ERR_OK) {
        atomic_store(&coordinator->open, sweep->open);
        atomic_store(&coordinator->oldest_s, sweep->open == 0 ? 0 : now - sweep->oldest);
        atomic_store(&coordinator->stuck, sweep->stuck);
        start_all(sweep);
    }
    bool more = coordinator->again || (error == ERR_OK && sweep->found_count == DOCUMENT_LIST_MAX);
    coordinator->sweeping = false;
    coordinator->again = false;
    arm(coordinator, more ? 1 : coordinator->parts.settings.sweep_interval_ms);
}

static void
fired(struct os_timer *timer)
{
    struct coordinator *coordinator = CONTAINER_OF(timer, struct coordinator, sweep_timer);
    if (!resource_leads(coordinator->parts.runtime, "telling transactions")) {
        /* Who leads tells; what was seen before is old. */
        atomic_store(&coordinator->open, 0);
        atomic_store(&coordinator->oldest_s, 0);
        atomic_store(&coordinator->stuck, 0);
        arm(coordinator, coordinator->parts.settings.sweep_interval_ms);
        return;
    }
    err_t error =
        resource_start_internal(coordinator->parts.runtime, 0, coordinator, sweep_once, NULL);
    if (error != ERR_OK) {
        arm(coordinator, coordinator->parts.settings.sweep_interval_ms);
        return;
    }
    coordinator->sweeping = true;
}

err_t
coordinator_sweep_create(struct coordinator *coordinator)
{
    struct coordinator_sweep *sweep = calloc(1, sizeof(*sweep));
    if (sweep == NULL) {
        return ERR_MEMORY;
    }
    sweep->coordinator = coordinator;
    coordinator->sweep = sweep;
    coordinator->sweep_timer.fire = fired;
    return ERR_OK;
}
