/*
 * Suspense items: money that a person must look at. An open one is counted in payments_health. Two
 * kinds stand for an amount in the suspense account, which the rail has moved and the books could
 * not put where it belongs (SPLIT-5):
 *
 *                     resolution `wallet`            resolution `merchant`
 *   capture_refused   wallet -> suspense             merchant available -> suspense
 *   refund_refused    suspense -> wallet             suspense -> merchant available
 *
 * One stands for what the rail holds, or has taken, and has declined to let go of: void_refused. It
 * has the resolution `released`: the person knows from the network that nothing is held or kept any
 * more, and what the books still hold is voided.
 *
 *   payments_suspense_resolve   documents: the try is counted                     (1)
 *   post                        books: the movement; each try has an id           (2)
 *   resolved                    documents: the item, events, key                  (3)
 *
 * A crash between (1) and (3) leaves the item open; the next try of the same resolution repeats the
 * last one's movement, which is in the books once. A refusal of the ledger ends the try.
 */
#include "posting.h"

#include "base/assert.h"
#include "os/fault.h"
#include "resource/pages.h"

#include <stdio.h>

static bool
is_of_capture(const struct payments_suspense *item)
{
    return span_equal_cstr(item->reason, "capture_refused");
}

static bool
is_of_void(const struct payments_suspense *item)
{
    return span_equal_cstr(item->reason, "void_refused");
}

err_t
payments_suspense_add_void(struct payments_flow *flow)
{
    struct payments_charge *charge = flow->charge;
    struct span id;
    charge->void_refused = true;
    return payments_suspense_add(flow, "void_refused", charge->amount - charge->split_amount, &id);
}

err_t
payments_suspense_add(
    struct payments_flow *flow, const char *reason, int64_t amount, struct span *ret_id)
{
    const struct payments_charge *charge = flow->charge;
    struct payments_suspense *item = resource_new(flow->op, &payments_suspense_type);
    if (item == NULL) {
        return ERR_FULL;
    }
    item->amount = amount;
    item->currency = charge->currency;
    item->reason = span_from_cstr(reason);
    item->wallet = is_of_void(item) ? SPAN_EMPTY : charge->split_wallet;
    item->payment_intent = charge->payment_intent;
    item->charge = charge->header.id;
    item->refund = flow->refund != NULL ? flow->refund->header.id : SPAN_EMPTY;
    item->status = SPAN("open");
    item->open_since = (int64_t)resource_now_s(flow->op);
    TRY(resource_save(flow->op, &payments_suspense_type, item));
    TRY(resource_emit(
        flow->op, "tael.suspense_item.created", &payments_suspense_type, item, SPAN_EMPTY));
    *ret_id = item->header.id;
    return ERR_OK;
}

/* -------------------------------------------------------------------------------- resolving --- */

static void
save_and_answer(struct payments_flow *flow, const char *event)
{
    struct resource_op *op = flow->op;
    err_t error = resource_save(op, &payments_suspense_type, flow->suspense);
    if (error == ERR_OK && event != NULL) {
        error = resource_emit(op, event, &payments_suspense_type, flow->suspense, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "suspense item");
        return;
    }
    resource_answer_object(op, &payments_suspense_type, flow->suspense);
}

static void
answer_refused(struct payments_flow *flow)
{
    struct payments_suspense *item = flow->suspense;
    item->tries++; /* the refused id is burned */
    item->resolution = SPAN_EMPTY;
    err_t failure = resource_save(flow->op, &payments_suspense_type, item);
    if (failure != ERR_OK) {
        resource_internal(flow->op, failure, "suspense item");
        return;
    }
    struct resource_error error = {
        .status = 400,
        .type = "invalid_request_error",
        .code = "suspense_item_refused",
        .param = SPAN("resolution"),
        .message = SPAN("The ledger refused to move the money: the wallet is closed, or has less "
                        "than that. The item stays open."),
        .executed = true,
    };
    resource_fail(flow->op, &error);
}

static void
resolved(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("split-suspense-before-finish");
    struct payments_suspense *item = flow->suspense;
    switch (posting) {
    case PAYMENTS_POSTED:
        item->status = SPAN("resolved");
        item->resolved_at = (int64_t)resource_now_s(flow->op);
        item->open_since = 0;
        save_and_answer(flow, "tael.suspense_item.resolved");
        return;
    case PAYMENTS_POSTING_REFUSED:
        answer_refused(flow);
        return;
    case PAYMENTS_POSTING_UNKNOWN:
        resource_internal(flow->op, ERR_OUTCOME_UNKNOWN, "ledger");
        return;
    }
    UNREACHABLE();
}

/* Whatever the answer, the books hold nothing: there was no hold, or it is voided now, or was. */
static enum payments_posting
judge_released(const struct payments_flow *flow)
{
    uint32_t status = flow->results[0].status;
    return status == LEDGER_TRANSFER_pending_transfer_already_posted ? PAYMENTS_POSTING_REFUSED
                                                                     : PAYMENTS_POSTED;
}

/* The last one moves the money; the hold before it, if it still is, is let go of. */
static enum payments_posting
judge(const struct payments_flow *flow)
{
    uint32_t status = flow->results[flow->transfer_count - 1].status;
    return status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists
               ? PAYMENTS_POSTED
               : PAYMENTS_POSTING_REFUSED;
}

static u128
item_number(const struct payments_suspense *item)
{
    return resource_number(&payments_suspense_type, item->header.id);
}

static void
release(struct payments_flow *flow)
{
    payments_posting_begin(flow);
    payments_add_hold_void(flow, item_number(flow->suspense), "release");
    payments_posting_submit_each(flow, judge_released, resolved);
}

static void
try_is_durable(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    const struct payments_suspense *item = flow->suspense;
    char step[48];
    if (is_of_void(item)) {
        release(flow);
        return;
    }
    (void)snprintf(step, sizeof(step), "resolve %lld", (long long)item->tries);
    u128 suspense = payments_books_account(flow, BOOKS_SUSPENSE);
    u128 other = span_equal_cstr(item->resolution, "wallet")
                     ? payments_wallet_account(flow, item->wallet)
                     : payments_books_account(flow, BOOKS_MERCHANT_AVAILABLE);
    payments_posting_begin(flow);
    if (is_of_capture(item)) {
        payments_add_split_void(flow);
    }
    struct ledger_transfer *transfer = payments_transfer_add(
        flow, item_number(item), step, is_of_capture(item) ? BOOKS_PAYMENT : BOOKS_REFUND);
    transfer->debit_account_id = is_of_capture(item) ? other : suspense;
    transfer->credit_account_id = is_of_capture(item) ? suspense : other;
    transfer->amount = payments_ledger_amount(flow, item->amount);
    /* Statements of the wallet name the charge or the refund. */
    const struct resource_type *type =
        is_of_capture(item) ? &payments_charge_type : &payments_refund_type;
    transfer->user_data_128 =
        resource_number(type, is_of_capture(item) ? item->charge : item->refund);
    payments_posting_submit_each(flow, judge, resolved);
}

/* Each reason has resolutions of its own. False if answered. */
static bool
check_resolution(
    struct payments_flow *flow, const struct payments_suspense *item, struct span resolution)
{
    if (item->resolved_at != 0) {
        resource_invalid(
            flow->op, "suspense_item_resolved", NULL, "This suspense item is resolved already.");
        return false;
    }
    if (is_of_void(item) != span_equal_cstr(resolution, "released")) {
        resource_invalid(
            flow->op,
            NULL,
            "resolution",
            "An item with the reason %.*s cannot be resolved so.",
            SPAN_PRINTF(item->reason));
        return false;
    }
    if (item->resolution.size != 0 && !span_equal(item->resolution, resolution)) {
        resource_invalid(
            flow->op,
            "suspense_item_under_way",
            "resolution",
            "A resolution to the %.*s was begun, and its end is not known: repeat that one first.",
            SPAN_PRINTF(item->resolution));
        return false;
    }
    return true;
}

/* The item's own charge: the intent may have a later one. */
static bool
load_charge(struct payments_flow *flow, const struct payments_suspense *item)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_charge_type, item->charge, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "charge of a suspense item");
        return false;
    }
    flow->charge = found;
    return true;
}

static void
resolve_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct span resolution;
    void *found;
    err_t error = resource_load(op, &payments_suspense_type, resource_op_capture(op, 0), &found);
    if (error != ERR_OK) {
        resource_internal(op, error, "suspense item");
        return;
    }
    struct payments_suspense *item = found;
    flow->suspense = item;
    bool present = resource_text(op, "resolution", &resolution);
    ASSERT(present); /* required in the table */
    if (!check_resolution(flow, item, resolution) ||
        !payments_intent_load(flow, item->payment_intent) || !load_charge(flow, item)) {
        return;
    }
    flow->attempt_id = item_number(item); /* what its transfers derive from */
    item->resolution = resolution;
    (void)resource_text(op, "note", &item->note);
    error = resource_save(op, &payments_suspense_type, item);
    if (error != ERR_OK) {
        resource_internal(op, error, "suspense item");
        return;
    }
    resource_after_commit(op, try_is_durable);
}

void
payments_suspense_resolve(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct span id = resource_op_capture(op, 0);
    void *found;
    if (flow == NULL) {
        return;
    }
    err_t error = resource_load(op, &payments_suspense_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "suspense item", "id", id);
    } else if (error != ERR_OK) {
        resource_internal(op, error, "suspense item");
    } else {
        resource_lock(op, ((struct payments_suspense *)found)->payment_intent, resolve_locked);
    }
}

/* ------------------------------------------------------------------------------------ reading ---
 */

void
payments_suspense_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_suspense_type, resource_op_capture(op, 0));
}

void
payments_suspense_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {{"status", PAYMENTS_SUSPENSE_STATUS}};
    resource_answer_list(op, &payments_suspense_type, "/v1/tael/suspense_items", filters, 1);
}
