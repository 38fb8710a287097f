/*
 * The sweeper: finds what is due (open attempts whose worker is gone or whose outcome is unknown,
 * challenges that nobody answered, authorizations that nobody captured, balances to settle) and
 * drives each in an operation of its own, under the object's lock, so that it never meets a live
 * worker.
 *
 * The first sweep ignores leases: with an embedded store, whoever held them is dead. Among several
 * processes a lease holds until its time is over, by the database's clock; the object's lock, which
 * they share, keeps the sweeper from a worker that lives. One of them sweeps for all.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* A drive in progress is not started again until the rail must have answered it. */
#define RECENT_SLOTS 1024
/* Attempts are due at most this far ahead: the longest back-off or lease. */
#define DUE_AHEAD_MAX_S 600
#define FOUND_MAX       (3 * DOCUMENT_LIST_MAX)

struct found {
    uint64_t scope;
    char intent[ID_TEXT_SIZE]; /* or a setup */
    char refund[ID_TEXT_SIZE]; /* empty: the intent itself is due */
};

struct recent {
    uint64_t hash;
    uint64_t until_ns;
};

struct payments_sweeper {
    struct payments *payments;
    bool first;
    struct found found[FOUND_MAX];
    uint32_t found_count;
    uint32_t open_count;
    int64_t oldest_began;
    struct recent recent[RECENT_SLOTS];
};

static uint64_t
found_hash(const struct found *found)
{
    static const struct hash_key key = {1, 2};
    return hash_keyed(key, span_from_cstr(found->intent)) ^
           hash_keyed(key, span_from_cstr(found->refund));
}

/* ------------------------------------------------------------------------------ driving one --- */

struct drive {
    struct recent *recent;
    uint64_t hash;
};

/* It was looked at before its lock was had: another process may have dealt with it, and has put it
 * off then. */
static bool
is_put_off(const struct payments_flow *flow, int64_t due)
{
    return resource_is_shared(flow->payments->parts.runtime) &&
           (due == 0 || due > (int64_t)resource_now_s(flow->op));
}

static void
drive_refund(struct payments_flow *flow, struct span id)
{
    void *document;
    err_t error = resource_load(flow->op, &payments_refund_type, id, &document);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "refund to drive");
        return;
    }
    flow->refund = document;
    if (!payments_attempt_is_open(&flow->refund->attempt) || is_put_off(flow, flow->refund->due)) {
        resource_finish(flow->op);
        return;
    }
    payments_refund_resume(flow);
}

static void
drive_intent(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    const struct payments_attempt *attempt = &intent->attempt;
    if (is_put_off(flow, intent->due)) {
        resource_finish(flow->op);
    } else if (span_equal_cstr(attempt->kind, "authorize")) {
        payments_authorize_resume(flow);
    } else if (span_equal_cstr(attempt->kind, "capture")) {
        payments_capture_resume(flow);
    } else if (span_equal_cstr(attempt->kind, "increment")) {
        payments_increment_resume(flow);
    } else if (span_equal_cstr(attempt->kind, "void")) {
        payments_void_resume(flow);
    } else if (span_equal_cstr(intent->status, "requires_action")) {
        if (intent->challenge.expires <= (int64_t)resource_now_s(flow->op)) {
            payments_challenge_expire(flow);
        } else {
            resource_finish(flow->op);
        }
    } else if (
        intent->capture_before != 0 &&
        intent->capture_before <= (int64_t)resource_now_s(flow->op)) {
        payments_void_expired(flow);
    } else {
        resource_finish(flow->op);
    }
}

static void
drive_setup(struct payments_flow *flow)
{
    const struct payments_setup *setup = flow->setup;
    bool waits = span_equal_cstr(setup->status, "requires_action");
    if (is_put_off(flow, setup->due)) {
        resource_finish(flow->op);
    } else if (payments_attempt_is_open(&setup->attempt)) {
        payments_setup_resume(flow);
    } else if (waits && setup->challenge.expires <= (int64_t)resource_now_s(flow->op)) {
        payments_setup_expire(flow);
    } else {
        resource_finish(flow->op);
    }
}

static void
drive_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (span_starts_with(flow->wanted_intent, span_from_cstr(payments_setup_type.prefix))) {
        if (payments_setup_load(flow, flow->wanted_intent)) {
            drive_setup(flow);
        }
        return;
    }
    if (!payments_intent_load(flow, flow->wanted_intent)) {
        return;
    }
    if (flow->wanted_refund.size != 0) {
        drive_refund(flow, flow->wanted_refund);
    } else {
        drive_intent(flow);
    }
}

/* Ended, however that came: the next sweep may look at it again. */
static void
drive_ended(void *context)
{
    struct drive *drive = context;
    if (drive->recent->hash == drive->hash) {
        drive->recent->until_ns = 0;
    }
}

static void
drive_begin(struct resource_op *op)
{
    const struct found *found = resource_op_state(op);
    struct payments *payments = resource_op_service(op);
    struct drive *drive = ARENA_NEW(resource_op_arena(op), struct drive);
    if (drive != NULL) {
        drive->hash = found_hash(found);
        drive->recent = &payments->sweeper->recent[drive->hash % RECENT_SLOTS];
        resource_op_on_end(op, drive_ended, drive);
    }
    struct payments_flow *flow = payments_flow_create(op);
    struct span intent = arena_copy(resource_op_arena(op), span_from_cstr(found->intent));
    struct span refund = arena_copy(resource_op_arena(op), span_from_cstr(found->refund));
    if (flow == NULL) {
        return;
    }
    flow->wanted_intent = intent;
    flow->wanted_refund = refund;
    resource_lock(op, intent, drive_locked);
}

/* --------------------------------------------------------------------------------- one sweep ---
 */

/* Remembers that this one is being driven; false if it already is. */
static bool
recent_mark(struct payments_sweeper *sweeper, const struct found *found, uint64_t now_ns)
{
    uint64_t hash = found_hash(found);
    struct recent *recent = &sweeper->recent[hash % RECENT_SLOTS];
    if (recent->hash == hash && recent->until_ns > now_ns) {
        return false;
    }
    const struct payments_settings *settings = &sweeper->payments->parts.settings;
    recent->hash = hash;
    recent->until_ns = now_ns + ((uint64_t)settings->rail_timeout_ms + 1000) * OS_NS_PER_MS;
    return true;
}

static void
drive_all(struct payments_sweeper *sweeper)
{
    struct payments *payments = sweeper->payments;
    uint64_t now_ns = os_monotonic_ns(payments->parts.clock);
    for (uint32_t i = 0; i < sweeper->found_count; i++) {
        if (!recent_mark(sweeper, &sweeper->found[i], now_ns)) {
            continue;
        }
        /* It copies what was found before this group ends, and so before the next sweep. */
        struct found *found = &sweeper->found[i];
        err_t error = resource_start_internal(
            payments->parts.runtime, found->scope, payments, drive_begin, found);
        if (error != ERR_OK) {
            return; /* too much under way: the next sweep goes on */
        }
    }
}

static void
count_open(struct payments_sweeper *sweeper, const struct payments_attempt *attempt)
{
    if (!payments_attempt_is_open(attempt)) {
        return;
    }
    sweeper->open_count++;
    if (sweeper->oldest_began == 0 || attempt->began < sweeper->oldest_began) {
        sweeper->oldest_began = attempt->began;
    }
}

static void
copy_id(char out[ID_TEXT_SIZE], struct span id)
{
    ASSERT(id.size < ID_TEXT_SIZE);
    memset(out, 0, ID_TEXT_SIZE);
    if (id.size != 0) {
        memcpy(out, id.data, id.size);
    }
}

static bool
found_intent(void *context, void *document)
{
    struct payments_sweeper *sweeper = context;
    const struct payments_intent *intent = document;
    struct found *found = &sweeper->found[sweeper->found_count++];
    found->scope = intent->header.scope;
    copy_id(found->intent, intent->header.id);
    copy_id(found->refund, SPAN_EMPTY);
    count_open(sweeper, &intent->attempt);
    return sweeper->found_count < FOUND_MAX;
}

static bool
found_setup(void *context, void *document)
{
    struct payments_sweeper *sweeper = context;
    const struct payments_setup *setup = document;
    struct found *found = &sweeper->found[sweeper->found_count++];
    found->scope = setup->header.scope;
    copy_id(found->intent, setup->header.id);
    copy_id(found->refund, SPAN_EMPTY);
    count_open(sweeper, &setup->attempt);
    return sweeper->found_count < FOUND_MAX;
}

static bool
found_refund(void *context, void *document)
{
    struct payments_sweeper *sweeper = context;
    const struct payments_refund *refund = document;
    struct found *found = &sweeper->found[sweeper->found_count++];
    found->scope = refund->header.scope;
    copy_id(found->intent, refund->payment_intent);
    copy_id(found->refund, refund->header.id);
    count_open(sweeper, &refund->attempt);
    return sweeper->found_count < FOUND_MAX;
}

static bool
count_one(void *context, void *document)
{
    uint64_t *count = context;
    (void)document;
    (*count)++;
    return true;
}

/* At most DOCUMENT_LIST_MAX are counted: more than one is alarm enough. */
static err_t
count_suspense(struct payments_sweeper *sweeper, struct resource_op *op)
{
    uint64_t count = 0;
    const struct document_query query = {
        .all_scopes = true,
        .range_column = PAYMENTS_SUSPENSE_OPEN,
        .range_min = 1,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    TRY(resource_find(op, &payments_suspense_type, &query, count_one, &count));
    atomic_store(&sweeper->payments->suspense_open, count);
    return ERR_OK;
}

static err_t
find_due(struct payments_sweeper *sweeper, struct resource_op *op, int64_t until)
{
    struct document_query query = {
        .all_scopes = true,
        .range_column = PAYMENTS_INTENT_DUE,
        .range_min = 1,
        .range_max = until,
        .oldest_first = true,
        .hot_only = true, /* whose turn it is: each is read again under its lock */
        .limit = DOCUMENT_LIST_MAX,
    };
    TRY(resource_find(op, &payments_intent_type, &query, found_intent, sweeper));
    query.range_column = PAYMENTS_SETUP_DUE;
    TRY(resource_find(op, &payments_setup_type, &query, found_setup, sweeper));
    query.range_column = PAYMENTS_REFUND_DUE;
    TRY(resource_find(op, &payments_refund_type, &query, found_refund, sweeper));
    return count_suspense(sweeper, op);
}

static void
sweep_again_later(struct payments_sweeper *sweeper)
{
    const struct payments_parts *parts = &sweeper->payments->parts;
    uint64_t now = os_monotonic_ns(parts->clock);
    parts->loop->ops->timer_arm(
        parts->loop,
        &sweeper->payments->sweep_timer,
        now + (uint64_t)parts->settings.sweep_interval_ms * OS_NS_PER_MS);
}

static void
sweep(struct resource_op *op)
{
    struct payments_sweeper *sweeper = resource_op_state(op);
    struct payments *payments = sweeper->payments;
    int64_t now = (int64_t)resource_now_s(op);
    sweeper->found_count = 0;
    sweeper->open_count = 0;
    sweeper->oldest_began = 0;
    err_t error = find_due(sweeper, op, sweeper->first ? now + DUE_AHEAD_MAX_S : now);
    resource_finish(op);
    if (error == ERR_OK) {
        atomic_store(&payments->attempts_open, sweeper->open_count);
        atomic_store(
            &payments->attempt_oldest_s,
            sweeper->oldest_began == 0 ? 0 : now - sweeper->oldest_began);
        sweeper->first = sweeper->first && sweeper->found_count >= DOCUMENT_LIST_MAX;
        drive_all(sweeper);
    }
    sweep_again_later(sweeper);
}

static void
sweep_fired(struct os_timer *timer)
{
    struct payments *payments = CONTAINER_OF(timer, struct payments, sweep_timer);
    if (!resource_leads(payments->parts.runtime, "sweeping payments")) {
        /* Who leads tells; what was seen before is old. */
        atomic_store(&payments->attempts_open, 0);
        atomic_store(&payments->attempt_oldest_s, 0);
        atomic_store(&payments->suspense_open, 0);
        sweep_again_later(payments->sweeper);
        return;
    }
    payments_settle_sweep(payments);
    err_t error =
        resource_start_internal(payments->parts.runtime, 0, payments, sweep, payments->sweeper);
    if (error != ERR_OK) {
        sweep_again_later(payments->sweeper);
    }
}

void
payments_sweeper_start(struct payments *payments)
{
    payments->sweeper = calloc(1, sizeof(*payments->sweeper));
    ASSERT(payments->sweeper != NULL);
    payments->sweeper->payments = payments;
    payments->sweeper->first = !resource_is_shared(payments->parts.runtime);
    payments->sweep_timer.fire = sweep_fired;
    payments->parts.loop->ops->timer_arm(
        payments->parts.loop, &payments->sweep_timer, os_monotonic_ns(payments->parts.clock) + 1);
}

void
payments_sweeper_destroy(struct payments *payments)
{
    free(payments->sweeper);
    payments->sweeper = NULL;
}
