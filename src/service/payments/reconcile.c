/*
 * The reconciler: goes through all charges, refunds and balance transactions for ever, some at a
 * time, and compares what the documents say with one another, with the books and with the rail. A
 * difference is logged and counted until a complete run finds none; it never changes anything by
 * itself. Refunds and balance transactions: reconcile_lines.c.
 *
 * For each charge that is not being worked on:
 *   captured            the books hold the transfer, with the captured amount, in its currency; the
 *                       rail captured as much; its balance transaction is there
 *   split               of the amounts the card's part is the rail's, and the books hold the
 *                       transfer of the wallet's part as well
 *   disputes            the rail took back, and gave again, what the charge says; or more, for as
 *                       long as its news may take
 *   refunds             the rail refunded what the charge says, less what is still under way
 *   authorized only     the books hold the pending transfer, of what was added later too; the rail
 *                       holds as much and captured nothing
 *   canceled, reversed  the rail captured nothing, and holds nothing that it has not declined to
 *                       let go of
 */
#include "reconcile.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/log.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_MAX PAYMENTS_RECONCILE_SLICE

/* How a charge of the slice is compared. */
enum charge_state {
    UNDER_WAY, /* left to the next run */
    STANDS,    /* authorized or captured */
    UNDONE,    /* canceled, or reversed: nothing of it stands */
};

/* One slice: charges of a scope, looked up in the books together, asked of the rail one by one. */
struct slice {
    struct payments_flow flow; /* its rail request, and the charge in hand */
    struct payments_reconciler *reconciler;
    struct payments_charge *charges[SLICE_MAX];
    uint32_t count;
    uint32_t index;
    struct port_ledger_request lookup;
    u128 ids[SLICE_MAX * PAYMENTS_PARTS_MAX]; /* of all parts of the charges */
    struct ledger_transfer transfers[SLICE_MAX * PAYMENTS_PARTS_MAX];
    uint32_t id_count;
};

static void
again_later(struct payments *payments)
{
    uint64_t now = os_monotonic_ns(payments->parts.clock);
    os_timer_arm(
        payments->parts.loop,
        &payments->reconcile_timer,
        now + (uint64_t)payments->parts.settings.reconcile_interval_ms * OS_NS_PER_MS);
}

void
payments_reconcile_difference(
    struct payments_reconciler *reconciler,
    struct span document,
    const char *what,
    int64_t documents,
    int64_t other)
{
    reconciler->differences++;
    TRACE_LOG(
        reconciler->payments->parts.log,
        TRACE_ERROR,
        "payments",
        SPAN_EMPTY,
        "documents, books and rail differ",
        trace_text("document", document),
        trace_cstr("difference", what),
        trace_i64("documents", documents),
        trace_i64("other", other));
}

static void
difference(struct slice *slice, const char *what, int64_t documents, int64_t other)
{
    payments_reconcile_difference(
        slice->reconciler, slice->charges[slice->index]->header.id, what, documents, other);
}

/* ------------------------------------------------------------------------------ comparisons --- */

static const struct ledger_transfer *
booked_transfer(const struct slice *slice, u128 id)
{
    for (uint32_t i = 0; i < slice->lookup.out_count; i++) {
        if (slice->transfers[i].id == id) {
            return &slice->transfers[i];
        }
    }
    return NULL;
}

static void
compare_amount(struct slice *slice, u128 id, int64_t amount)
{
    const struct payments_charge *charge = slice->charges[slice->index];
    const struct ledger_transfer *transfer = booked_transfer(slice, id);
    const struct currency *currency = currency_find(charge->currency);
    struct money money;
    ASSERT(currency != NULL);
    err_t error = money_from_api(amount, currency, &money);
    ASSERT(error == ERR_OK);
    if (transfer == NULL) {
        difference(slice, "not in the books", money.amount, 0);
        return;
    }
    uint32_t ledger = books_ledger_number(currency, resource_op_caller(slice->flow.op)->live);
    if (transfer->ledger != ledger) {
        difference(
            slice, "another currency in the books", (int64_t)ledger, (int64_t)transfer->ledger);
    } else if (transfer->amount != (u128)money.amount) {
        difference(slice, "other amount in the books", money.amount, (int64_t)transfer->amount);
    }
}

static void
has_line(struct slice *slice, struct span line)
{
    void *found;
    if (line.size != 0 &&
        resource_load(slice->flow.op, &payments_balance_transaction_type, line, &found) ==
            ERR_NOT_FOUND) {
        difference(slice, "its balance transaction is missing", 0, 0);
    }
}

static void
compare_books(struct slice *slice)
{
    const struct payments_charge *charge = slice->charges[slice->index];
    struct payments_charge_part parts[PAYMENTS_PARTS_MAX];
    uint32_t count = payments_charge_parts(charge, parts);
    has_line(slice, charge->balance_transaction);
    has_line(slice, charge->split_transaction);
    for (uint32_t i = 0; i < count; i++) {
        compare_amount(slice, parts[i].transfer, parts[i].amount);
    }
}

static bool
sum_under_way(void *context, void *document)
{
    int64_t *sum = context;
    const struct payments_refund *refund = document;
    if (span_equal_cstr(refund->attempt.state, "started")) {
        *sum += refund->amount;
    }
    return true;
}

static err_t
refunds_under_way(struct slice *slice, int64_t *ret_sum)
{
    struct document_query query = {
        .filters =
            {{.column = PAYMENTS_REFUND_CHARGE,
              .value = {.text = slice->charges[slice->index]->header.id}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    *ret_sum = 0;
    const struct resource_visitor visitor = {
        .each = sum_under_way, .damaged = resource_pass_damaged, .context = ret_sum};
    return resource_look(slice->flow.op, &payments_refund_type, &query, &visitor);
}

/* A late presentment is one that the rail captured all the same. */
static void
compare_undone(struct slice *slice)
{
    const struct port_rail_answer *answer = &slice->flow.rail.answer;
    bool holds = answer->outcome == PORT_RAIL_APPROVED && !answer->voided;
    if (answer->outcome == PORT_RAIL_UNKNOWN || slice->charges[slice->index]->void_refused) {
        return; /* of what the rail declined to let go of there is an item */
    }
    if (answer->captured_amount != 0) {
        difference(slice, "captured by the rail all the same", 0, answer->captured_amount);
    } else if (holds) {
        difference(slice, "held by the rail all the same", 0, answer->authorized_amount);
    }
}

static err_t
compare_rail(struct slice *slice)
{
    const struct payments_charge *charge = slice->charges[slice->index];
    const struct port_rail_answer *answer = &slice->flow.rail.answer;
    const struct currency *currency = currency_find(charge->currency);
    struct money authorized;
    struct money captured;
    struct money refunded;
    int64_t under_way;
    if (answer->outcome == PORT_RAIL_UNKNOWN) {
        return ERR_OK; /* the rail is out of reach: nothing is known to differ */
    }
    TRY(refunds_under_way(slice, &under_way));
    if (under_way != 0) {
        return ERR_OK; /* the next run sees it settled */
    }
    TRY(money_from_api(charge->amount - charge->split_amount, currency, &authorized));
    TRY(money_from_api(charge->amount_captured - charge->split_captured, currency, &captured));
    TRY(money_from_api(charge->amount_refunded - charge->split_refunded, currency, &refunded));
    if (answer->outcome != PORT_RAIL_APPROVED) {
        difference(slice, "not approved by the rail", captured.amount, 0);
    } else if (answer->authorized_amount != authorized.amount) {
        difference(
            slice,
            "other amount authorized by the rail",
            authorized.amount,
            answer->authorized_amount);
    } else if (answer->captured_amount != captured.amount) {
        difference(
            slice, "other amount captured by the rail", captured.amount, answer->captured_amount);
    } else if (answer->refunded_amount < refunded.amount) {
        /* The rail counts refunds that failed later too, so it may have more, never less. */
        difference(slice, "less refunded by the rail", refunded.amount, answer->refunded_amount);
    }
    return ERR_OK;
}

/* -------------------------------------------------------------------------------- one slice --- */

static void ask_rail(struct slice *slice);

static void
slice_begin(struct payments_reconciler *reconciler)
{
    reconciler->slice.limit = reconciler->slice.limit == 1 ? 1 : SLICE_MAX;
    reconciler->slice.scope_index = reconciler->scope_index;
    reconciler->slice.phase = reconciler->phase;
    memcpy(reconciler->slice.cursor, reconciler->cursor, sizeof(reconciler->cursor));
    reconciler->slice.differences = reconciler->differences;
}

/* Documents, and what is loaded with them, may be so large that fifty do not fit. */
static void
slice_again(struct payments_reconciler *reconciler)
{
    reconciler->scope_index = reconciler->slice.scope_index;
    reconciler->phase = reconciler->slice.phase;
    memcpy(reconciler->cursor, reconciler->slice.cursor, sizeof(reconciler->cursor));
    reconciler->differences = reconciler->slice.differences;
    reconciler->slice.limit = 1;
}

void
payments_reconcile_end(struct payments_reconciler *reconciler, struct resource_op *op, err_t error)
{
    bool again = error == ERR_FULL && reconciler->slice.limit != 1;
    if (again) {
        slice_again(reconciler);
    } else if (reconciler->slice.limit == 1) {
        reconciler->slice.limit = SLICE_MAX;
    }
    if (error != ERR_OK && !again) {
        resource_internal(op, error, "reconciler");
    } else {
        resource_finish(op);
    }
    again_later(reconciler->payments);
}

static void
end_slice(struct slice *slice, err_t error)
{
    payments_reconcile_end(slice->reconciler, slice->flow.op, error);
}

static void
next_charge(struct slice *slice)
{
    slice->index++;
    ask_rail(slice);
}

/* Of the failed ones those count that may have been reversed; of the others the rail said no. */
static bool
may_stand(const struct payments_charge *charge)
{
    return span_equal_cstr(charge->status, "succeeded") ||
           span_equal_cstr(charge->failure_code, "processing_error");
}

static enum charge_state
state_of(struct slice *slice)
{
    struct payments_charge *charge = slice->charges[slice->index];
    void *found;
    if (!may_stand(charge)) {
        return UNDER_WAY;
    }
    err_t error =
        resource_load(slice->flow.op, &payments_intent_type, charge->payment_intent, &found);
    if (error == ERR_NOT_FOUND) {
        difference(slice, "its intent is missing", 0, 0);
    } else if (error == ERR_CORRUPT) {
        difference(slice, "its intent cannot be read", 0, 0);
    }
    if (error != ERR_OK) {
        return UNDER_WAY; /* what cannot be read now is left to the next run too */
    }
    const struct payments_intent *intent = found;
    if (payments_attempt_is_open(&intent->attempt)) {
        return UNDER_WAY;
    }
    bool undone = span_equal_cstr(intent->status, "canceled") || charge->failure_code.size != 0;
    /* Read again: it may have changed since the slice was read. */
    error = resource_load(slice->flow.op, &payments_charge_type, charge->header.id, &found);
    if (error != ERR_OK ||
        ((struct payments_charge *)found)->header.version != charge->header.version) {
        return UNDER_WAY;
    }
    return undone ? UNDONE : STANDS;
}

static void
reported(struct payments_flow *flow)
{
    struct slice *slice = CONTAINER_OF(flow, struct slice, flow);
    /* While the rail was asked, somebody may have captured or refunded it. */
    enum charge_state state = state_of(slice);
    err_t error = state == STANDS ? compare_rail(slice) : ERR_OK;
    if (state == STANDS && error == ERR_OK) {
        error = payments_reconcile_taken(
            slice->reconciler,
            slice->flow.op,
            slice->charges[slice->index],
            &slice->flow.rail.answer);
    }
    if (state == UNDONE) {
        compare_undone(slice);
    }
    if (error != ERR_OK) {
        end_slice(slice, error);
        return;
    }
    next_charge(slice);
}

static void
ask_rail(struct slice *slice)
{
    for (; slice->index < slice->count; slice->index++) {
        enum charge_state state = state_of(slice);
        if (state == UNDER_WAY) {
            continue;
        }
        if (state == STANDS) {
            compare_books(slice);
        }
        slice->flow.charge = slice->charges[slice->index];
        if (payments_by_wallet(&slice->flow)) {
            continue; /* there is no rail to differ from the books */
        }
        slice->flow.rail.operation = PORT_RAIL_REPORT;
        slice->flow.rail.original_id = payments_unhex(slice->flow.charge->authorization);
        payments_rail_call(&slice->flow, reported);
        return;
    }
    end_slice(slice, ERR_OK);
}

static void
looked_up(struct port_ledger_request *request)
{
    struct slice *slice = CONTAINER_OF(request, struct slice, lookup);
    if (request->error != ERR_OK) {
        end_slice(slice, request->error);
        return;
    }
    ask_rail(slice);
}

static bool
collect(void *context, void *document)
{
    struct slice *slice = context;
    struct payments_charge *charge = document;
    struct payments_charge_part parts[PAYMENTS_PARTS_MAX];
    uint32_t part_count = payments_charge_parts(charge, parts);
    for (uint32_t i = 0; i < part_count; i++) {
        slice->ids[slice->id_count++] = parts[i].transfer;
    }
    slice->charges[slice->count++] = charge;
    return slice->count < SLICE_MAX;
}

struct reading {
    struct payments_reconciler *reconciler;
    bool (*collect)(void *context, void *document);
    void *context;
    uint32_t count;
    struct span last;
};

static bool
read_one(void *context, void *document)
{
    struct reading *reading = context;
    reading->count++;
    reading->last = ((const struct resource_header *)document)->id;
    return reading->collect(reading->context, document);
}

/* It is told, and the next ones are looked at. */
static void
skip_damaged(void *context, struct span id)
{
    struct reading *reading = context;
    reading->count++;
    reading->last = id;
    payments_reconcile_difference(reading->reconciler, id, "it cannot be read", 0, 0);
}

static void
next_phase(struct payments_reconciler *reconciler)
{
    reconciler->phase++;
    if (reconciler->phase == PAYMENTS_RECONCILE_PHASES) {
        reconciler->phase = PAYMENTS_RECONCILE_CHARGES;
        reconciler->scope_index++;
    }
}

err_t
payments_reconcile_read(
    struct payments_reconciler *reconciler,
    struct resource_op *op,
    const struct resource_type *type,
    bool (*collect_one)(void *context, void *document),
    void *context)
{
    slice_begin(reconciler);
    const struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = span_from_cstr(reconciler->slice.cursor),
        .oldest_first = true,
        .limit = reconciler->slice.limit,
    };
    struct reading reading = {.reconciler = reconciler, .collect = collect_one, .context = context};
    const struct resource_visitor visitor = {
        .each = read_one, .damaged = skip_damaged, .context = &reading};
    TRY(resource_visit(op, type, &query, &visitor));
    memset(reconciler->cursor, 0, sizeof(reconciler->cursor));
    if (reading.count == query.limit) {
        ASSERT(reading.last.size < sizeof(reconciler->cursor));
        memcpy(reconciler->cursor, reading.last.data, reading.last.size);
    } else {
        next_phase(reconciler);
    }
    return ERR_OK;
}

static void
look_at_slice(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct slice *slice = ARENA_NEW(resource_op_arena(op), struct slice);
    if (slice == NULL) {
        resource_internal(op, ERR_FULL, "reconciler memory");
        again_later(payments);
        return;
    }
    slice->reconciler = payments->reconciler;
    slice->flow.payments = payments;
    slice->flow.op = op;
    err_t error =
        payments_reconcile_read(slice->reconciler, op, &payments_charge_type, collect, slice);
    if (error != ERR_OK || slice->count == 0) {
        end_slice(slice, error);
        return;
    }
    slice->lookup.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    slice->lookup.count = slice->id_count;
    slice->lookup.in.ids = slice->ids;
    slice->lookup.out.transfers = slice->transfers;
    slice->lookup.reply_to = resource_op_executor(op);
    slice->lookup.done = looked_up;
    payments->parts.ledger->submit(payments->parts.ledger, &slice->lookup);
}

/* ------------------------------------------------------------------------------------- runs --- */

static void
add_scope(void *context, uint64_t scope)
{
    struct payments_reconciler *reconciler = context;
    if (reconciler->scope_count < PAYMENTS_SCOPES_MAX) {
        reconciler->scopes[reconciler->scope_count++] = scope;
    }
}

static void
end_run(struct payments_reconciler *reconciler)
{
    struct payments *payments = reconciler->payments;
    if (reconciler->scope_count != 0) {
        atomic_store(&payments->differences, reconciler->differences);
        atomic_fetch_add(&payments->reconcile_runs, 1);
    }
    reconciler->scope_count = 0;
    reconciler->scope_index = 0;
    reconciler->differences = 0;
    /* Without the list nothing is compared now; the next tick tries again. */
    err_t error = resource_scope_each(payments->parts.runtime, add_scope, reconciler);
    (void)error;
}

/* Who leads tells what it found; a run that another process took over has no end here. */
static void
stand_by(struct payments *payments)
{
    struct payments_reconciler *reconciler = payments->reconciler;
    atomic_store(&payments->differences, 0);
    if (reconciler->scope_count != 0) {
        *reconciler = (struct payments_reconciler){.payments = payments};
    }
}

static void
reconcile_fired(struct os_timer *timer)
{
    struct payments *payments = CONTAINER_OF(timer, struct payments, reconcile_timer);
    struct payments_reconciler *reconciler = payments->reconciler;
    if (!resource_leads(payments->parts.runtime, "reconciling payments")) {
        stand_by(payments);
        again_later(payments);
        return;
    }
    if (reconciler->scope_index >= reconciler->scope_count) {
        end_run(reconciler);
        again_later(payments);
        return;
    }
    err_t error = resource_start_internal(
        payments->parts.runtime,
        reconciler->scopes[reconciler->scope_index],
        payments,
        reconciler->phase == PAYMENTS_RECONCILE_CHARGES ? look_at_slice : payments_reconcile_lines,
        NULL);
    if (error != ERR_OK) {
        again_later(payments);
    }
}

void
payments_reconciler_start(struct payments *payments)
{
    payments->reconciler = calloc(1, sizeof(*payments->reconciler));
    ASSERT(payments->reconciler != NULL);
    payments->reconciler->payments = payments;
    payments->reconcile_timer.fire = reconcile_fired;
    again_later(payments);
}

void
payments_reconciler_destroy(struct payments *payments)
{
    free(payments->reconciler);
    payments->reconciler = NULL;
}
