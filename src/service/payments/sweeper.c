/*
 * What is due of payments (open attempts, challenges that nobody answered, authorizations that
 * nobody captured, checkout sessions that nobody paid, balances to settle, days of payout
 * schedules), and how each is driven once it is locked (resource/sweeper.h).
 */
#include "checkout/checkout.h"
#include "disputes/dispute.h"
#include "payouts/payout.h"
#include "risk/risk.h"

#include "base/assert.h"
#include "resource/sweeper.h"

/* ------------------------------------------------------------------------------ driving one --- */

/* It was looked at before its lock was had: another process may have dealt with it, and has put it
 * off then. */
static bool
is_put_off(const struct payments_flow *flow, int64_t due)
{
    return resource_is_shared(flow->payments->parts.runtime) &&
           (due == 0 || due > (int64_t)resource_now_s(flow->op));
}

/* NULL: the operation has ended. */
static void *
load_swept(struct payments_flow *flow)
{
    void *document = NULL;
    err_t error = resource_load(flow->op, flow->swept, flow->swept_id, &document);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "document to drive");
        return NULL;
    }
    return document;
}

static void
drive_refund(struct payments_flow *flow)
{
    flow->refund = load_swept(flow);
    if (flow->refund == NULL) {
        return;
    }
    if (!payments_attempt_is_open(&flow->refund->attempt) || is_put_off(flow, flow->refund->due)) {
        resource_finish(flow->op);
        return;
    }
    payments_refund_resume(flow);
}

static void
drive_dispute(struct payments_flow *flow)
{
    flow->dispute = load_swept(flow);
    if (flow->dispute == NULL) {
        return;
    }
    if (is_put_off(flow, flow->dispute->due)) {
        resource_finish(flow->op);
        return;
    }
    payments_dispute_resume(flow);
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
    if (flow->swept == &payments_setup_type) {
        if (payments_setup_load(flow, flow->wanted_intent)) {
            drive_setup(flow);
        }
    } else if (!payments_intent_load(flow, flow->wanted_intent)) {
        return;
    } else if (flow->swept == &payments_refund_type) {
        drive_refund(flow);
    } else if (flow->swept == &payments_dispute_type) {
        drive_dispute(flow);
    } else {
        drive_intent(flow);
    }
}

static void
drive_found(
    struct resource_op *op,
    const struct resource_sweep_kind *kind,
    struct span id,
    struct span lock)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->swept = kind->type;
    flow->swept_id = id;
    flow->wanted_intent = lock;
    resource_lock(op, lock, drive_locked);
}

static void
drive_found_payout(
    struct resource_op *op,
    const struct resource_sweep_kind *kind,
    struct span id,
    struct span lock)
{
    (void)kind;
    (void)lock;
    payments_payout_drive(op, id);
}

static void
drive_found_schedule(
    struct resource_op *op,
    const struct resource_sweep_kind *kind,
    struct span id,
    struct span lock)
{
    (void)kind;
    (void)lock;
    payments_payout_schedule_drive(op, id);
}

/* ------------------------------------------------------------------------------- what is due ---
 */

static int64_t
began(const struct payments_attempt *attempt)
{
    return payments_attempt_is_open(attempt) ? attempt->began : 0;
}

static int64_t
intent_began(const void *document)
{
    return began(&((const struct payments_intent *)document)->attempt);
}

static int64_t
setup_began(const void *document)
{
    return began(&((const struct payments_setup *)document)->attempt);
}

static int64_t
refund_began(const void *document)
{
    return began(&((const struct payments_refund *)document)->attempt);
}

/* The books have it, and the network says in days whether it stays. */
static bool
refund_waits(const void *document)
{
    return span_equal_cstr(((const struct payments_refund *)document)->attempt.state, "booked");
}

/* Of one that the bank has, the end is not ours to hurry: it is counted apart. */
static int64_t
payout_began(const void *document)
{
    const struct payments_payout *payout = document;
    return payout->asked_at != 0 ? 0 : began(&payout->attempt);
}

/* The day that is put off, which may be between two of its payouts. */
static int64_t
schedule_began(const void *document)
{
    return ((const struct payments_payout_schedule *)document)->attempt.began;
}

static struct span
refund_lock(const void *document)
{
    return ((const struct payments_refund *)document)->payment_intent;
}

static int64_t
dispute_began(const void *document)
{
    return began(&((const struct payments_dispute *)document)->attempt);
}

static struct span
dispute_lock(const void *document)
{
    return ((const struct payments_dispute *)document)->payment_intent;
}

static const struct resource_sweep_kind kinds[] = {
    {
        .type = &payments_intent_type,
        .due_column = PAYMENTS_INTENT_DUE,
        .hot_only = true, /* whose turn it is: each is read again under its lock */
        .began = intent_began,
        .drive = drive_found,
    },
    {
        .type = &payments_setup_type,
        .due_column = PAYMENTS_SETUP_DUE,
        .hot_only = true,
        .began = setup_began,
        .drive = drive_found,
    },
    {
        .type = &payments_refund_type,
        .due_column = PAYMENTS_REFUND_DUE,
        .hot_only = true,
        .began = refund_began,
        .waits = refund_waits,
        .lock_of = refund_lock,
        .drive = drive_found,
    },
    {
        .type = &payments_payout_type,
        .due_column = PAYMENTS_PAYOUT_DUE,
        .began = payout_began,
        .drive = drive_found_payout,
    },
    {
        .type = &payments_payout_schedule_type,
        .due_column = PAYMENTS_PAYOUT_SCHEDULE_DUE,
        .began = schedule_began,
        .drive = drive_found_schedule,
    },
    {
        .type = &payments_dispute_type,
        .due_column = PAYMENTS_DISPUTE_DUE,
        .hot_only = true,
        .began = dispute_began,
        .lock_of = dispute_lock,
        .drive = drive_found,
    },
    {
        .type = &payments_checkout_type,
        .due_column = PAYMENTS_CHECKOUT_COLUMN_DUE,
        .hot_only = true,
        .drive = payments_checkout_drive,
    },
};

static void
turn(void *service, bool leads)
{
    struct payments *payments = service;
    if (leads) {
        payments_settle_sweep(payments);
        payments_risk_sweep(payments);
        payments_payouts_look(payments);
    } else {
        atomic_store(&payments->payouts_in_transit, 0);
        atomic_store(&payments->payout_oldest_s, 0);
    }
    payments_feed_turn(payments, leads);
}

void
payments_sweeper_start(struct payments *payments)
{
    const struct payments_parts *from = &payments->parts;
    const struct resource_sweeper_parts parts = {
        .runtime = from->runtime,
        .loop = from->loop,
        .clock = from->clock,
        .work = "sweeping payments",
        .kinds = kinds,
        .kind_count = sizeof(kinds) / sizeof(kinds[0]),
        .service = payments,
        .interval_ms = from->settings.sweep_interval_ms,
        /* The rail must have answered it then. */
        .drive_ns = ((uint64_t)from->settings.rail_timeout_ms + 1000) * OS_NS_PER_MS,
        .turn = turn,
        .waiting_type = &payments_suspense_type,
        .waiting_column = PAYMENTS_SUSPENSE_OPEN,
        .open = &payments->attempts_open,
        .oldest_s = &payments->attempt_oldest_s,
        .waits_s = &payments->refund_oldest_s,
        .waiting = &payments->suspense_open,
    };
    err_t error = resource_sweeper_start(&parts, &payments->sweeper);
    ASSERT(error == ERR_OK);
}
