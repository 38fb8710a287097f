/*
 * Refunds.
 *
 *   payments_refund_create   documents: refund pending, attempt started, and the amount
 *                            reserved on the charge (PAYMENTS-5)                        (1)
 *   ask_rail                 rail: refund, repeated under its id until it answers      (2)
 *   post                     books: the merchant's money goes back                     (3)
 *   finish                   documents: refund, transaction, events, key               (4)
 *   check_accepted           rail: report; some refunds fail days after they were
 *                            accepted, and then the books and the charge take them back
 *
 * Of a split payment the wallet gets back first (SPLIT-2). The rail is asked for the card's part,
 * if there is one, and its yes is the decision; then the books take both in one chain. A wallet
 * that the books refuse has suspense in its place (SPLIT-5). If the card's part fails days later,
 * the card's part alone is taken back: the wallet's money may be spent by then.
 */
#include "disputes/dispute.h"
#include "handlers.h"
#include "split_rule.h"

#include "base/assert.h"
#include "os/fault.h"
#include "resource/pages.h"

#include <string.h>

/* Seconds after which an accepted refund is asked about. */
#define CHECK_AFTER_S 2

static void
answer_refund(struct payments_flow *flow)
{
    resource_answer_object(flow->op, &payments_refund_type, flow->refund);
}

static void
schedule(struct payments_flow *flow, int64_t after_s)
{
    flow->refund->due = (int64_t)resource_now_s(flow->op) + after_s;
}

static void
answer_unknown(struct payments_flow *flow)
{
    flow->refund->due = payments_attempt_again(flow->op, &flow->refund->attempt);
    err_t error = resource_save(flow->op, &payments_refund_type, flow->refund);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "refund");
        return;
    }
    answer_refund(flow);
}

/* Takes the reservation on the charge back: of `wallet_part`, and of the card's part. */
static void
unreserve(struct payments_flow *flow, int64_t wallet_part)
{
    struct payments_charge *charge = flow->charge;
    int64_t amount = payments_split_rest_refunded(flow->refund) + wallet_part;
    ASSERT(charge->amount_refunded >= amount);
    ASSERT(charge->split_refunded >= wallet_part);
    charge->amount_refunded -= amount;
    charge->split_refunded -= wallet_part;
    charge->refunded = false;
}

/* ------------------------------------------------------------------------------ (4) the end --- */

/* When the refunded money would have become available: money that never settled is taken out of
 * what is still to settle. */
static err_t
release_of_charge(struct payments_flow *flow, int64_t *ret_release)
{
    *ret_release = 0;
    if (flow->refund->from_available) {
        return ERR_OK;
    }
    void *found;
    TRY(resource_load(
        flow->op, &payments_balance_transaction_type, flow->charge->balance_transaction, &found));
    *ret_release = ((struct payments_balance_transaction *)found)->available_on;
    return ERR_OK;
}

/* Of each part one: the wallet's was available from the beginning. */
static err_t
add_transactions(struct payments_flow *flow)
{
    struct payments_refund *refund = flow->refund;
    int64_t card_part = payments_split_rest_refunded(refund);
    struct payments_balance_transaction entry = {
        .type = SPAN("refund"),
        .source = refund->header.id,
        .amount = -card_part,
    };
    if (card_part != 0) {
        TRY(release_of_charge(flow, &entry.release_due));
        TRY(payments_balance_transaction_add(flow, &entry, &refund->balance_transaction));
    }
    if (refund->split_amount == 0) {
        return ERR_OK;
    }
    entry.amount = -refund->split_amount;
    entry.release_due = 0;
    TRY(payments_balance_transaction_add(flow, &entry, &refund->split_transaction));
    if (card_part == 0) {
        refund->balance_transaction = refund->split_transaction;
    }
    return flow->in_suspense
               ? payments_suspense_add(
                     flow, "refund_refused", refund->split_amount, &refund->suspense_item)
               : ERR_OK;
}

static err_t
save_booked(struct payments_flow *flow, bool final)
{
    struct payments_refund *refund = flow->refund;
    TRY(add_transactions(flow));
    refund->status = final ? SPAN("succeeded") : SPAN("pending");
    refund->attempt.state = SPAN("booked");
    refund->attempt.key = SPAN_EMPTY;
    refund->attempt.tries = 0;
    schedule(flow, CHECK_AFTER_S);
    TRY(resource_save(flow->op, &payments_refund_type, refund));
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_emit(flow->op, "refund.created", &payments_refund_type, refund, SPAN_EMPTY));
    return resource_emit(
        flow->op, "charge.refunded", &payments_charge_type, flow->charge, SPAN_EMPTY);
}

static err_t
save_refused(struct payments_flow *flow)
{
    struct payments_refund *refund = flow->refund;
    unreserve(flow, refund->split_amount);
    refund->status = SPAN("failed");
    refund->failure_reason = SPAN("declined");
    refund->due = 0;
    payments_attempt_close(&refund->attempt);
    TRY(resource_save(flow->op, &payments_refund_type, refund));
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_emit(flow->op, "refund.created", &payments_refund_type, refund, SPAN_EMPTY));
    return resource_emit(flow->op, "refund.failed", &payments_refund_type, refund, SPAN_EMPTY);
}

static void
refused(struct payments_flow *flow)
{
    err_t error = save_refused(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "refund");
        return;
    }
    answer_refund(flow);
}

static void
posted(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("refund-before-finish");
    if (posting == PAYMENTS_POSTING_REFUSED && flow->refund->split_amount != 0 &&
        !flow->in_suspense) {
        flow->in_suspense = true;
        payments_post_refund(flow, posted);
        return;
    }
    if (posting == PAYMENTS_POSTING_REFUSED && payments_by_wallet(flow)) {
        refused(flow); /* the wallet was closed, and no money has moved */
        return;
    }
    /* The rail has paid the money out: books that refuse it are asked again until they take it. */
    if (posting != PAYMENTS_POSTED) {
        answer_unknown(flow);
        return;
    }
    err_t error = save_booked(flow, flow->rail.answer.outcome == PORT_RAIL_APPROVED);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "refund");
        return;
    }
    answer_refund(flow);
}

/* ----------------------------------------------------------------------------- (2) the rail --- */

/* The rail has lost the authorization. What was booked, the check that follows takes back. */
static void
not_found(struct payments_flow *flow, enum payments_posting booked)
{
    switch (booked) {
    case PAYMENTS_POSTED:
        payments_post_refund(flow, posted);
        return;
    case PAYMENTS_POSTING_REFUSED:
        refused(flow);
        return;
    case PAYMENTS_POSTING_UNKNOWN:
        answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
answered(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_PENDING:
    case PORT_RAIL_FAILED:
        /* Failed means accepted by an earlier try, which may have booked it before it was cut off:
         * so it is booked, and the check that follows takes it back. */
        FAULT_POINT("refund-before-post");
        payments_post_refund(flow, posted);
        return;
    case PORT_RAIL_DECLINED:
        refused(flow);
        return;
    case PORT_RAIL_NOT_FOUND:
        payments_booked_before(flow, "refund", "refund again", not_found);
        return;
    case PORT_RAIL_UNKNOWN:
    case PORT_RAIL_CHALLENGE:
        answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
attempt_is_durable(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    FAULT_POINT("refund-before-rail");
    err_t error = money_from_api(
        payments_split_rest_refunded(flow->refund),
        payments_flow_currency(flow),
        &flow->rail.amount);
    ASSERT(error == ERR_OK);
    payments_rail_follow(flow, PORT_RAIL_REFUND, "refund", answered);
}

/* ------------------------------------------------------------------------- (1) the beginning ---
 */

static bool
check_amount(struct payments_flow *flow, int64_t *amount)
{
    const struct payments_charge *charge = flow->charge;
    int64_t left = charge->amount_captured - charge->amount_refunded;
    if (payments_charge_taken_back(charge) != 0) {
        resource_invalid(
            flow->op,
            "charge_disputed",
            "charge",
            "Charge %.*s has been charged back; cannot issue a refund.",
            SPAN_PRINTF(charge->header.id));
        return false;
    }
    if (left == 0) {
        resource_invalid(
            flow->op,
            "charge_already_refunded",
            "charge",
            "Charge %.*s has already been refunded.",
            SPAN_PRINTF(charge->header.id));
        return false;
    }
    *amount = left;
    (void)resource_integer(flow->op, "amount", amount);
    if (*amount > left) {
        resource_invalid(
            flow->op,
            "amount_too_large",
            "amount",
            "Refund amount (%lld) is greater than unrefunded amount on charge (%lld).",
            (long long)*amount,
            (long long)left);
        return false;
    }
    return resource_coins_check(flow->op, "amount", *amount, payments_flow_currency(flow));
}

static err_t
save_attempt(struct payments_flow *flow)
{
    struct payments_refund *refund = flow->refund;
    struct payments_charge *charge = flow->charge;
    void *found;
    TRY(resource_load(
        flow->op, &payments_balance_transaction_type, charge->balance_transaction, &found));
    refund->from_available = ((struct payments_balance_transaction *)found)->release_due == 0;
    charge->amount_refunded += refund->amount;
    charge->split_refunded += refund->split_amount;
    charge->refunded = charge->amount_refunded == charge->amount_captured;
    ASSERT(charge->amount_refunded <= charge->amount_captured);
    ASSERT(charge->split_refunded <= charge->split_captured);
    schedule(flow, flow->payments->parts.settings.lease_s);
    TRY(resource_save(flow->op, &payments_charge_type, charge));
    return resource_save(flow->op, &payments_refund_type, refund);
}

/* As a charge, it is found from its transfer in the books: both carry the attempt's number. */
static void
number_refund(struct payments_flow *flow)
{
    char text[ID_TEXT_SIZE];
    struct resource_header *header = &flow->refund->header;
    size_t size = id_format(payments_refund_type.prefix, flow->attempt_id, text);
    header->id = arena_copy(resource_op_arena(flow->op), span_of(text, size));
    header->created = (int64_t)(id_unix_ms(flow->attempt_id) / 1000);
}

static void
begin(struct payments_flow *flow, int64_t amount)
{
    struct payments_refund *refund = resource_new(flow->op, &payments_refund_type);
    if (refund == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return;
    }
    flow->refund = refund;
    refund->amount = amount;
    refund->currency = flow->charge->currency;
    refund->charge = flow->charge->header.id;
    refund->payment_intent = flow->charge->payment_intent;
    refund->wallet = flow->charge->wallet;
    refund->split_wallet = flow->charge->split_wallet;
    refund->split_amount = payments_split_of_refund(
        amount, flow->charge->split_captured - flow->charge->split_refunded);
    refund->status = SPAN("pending");
    (void)resource_text(flow->op, "reason", &refund->reason);
    if (resource_metadata(flow->op, SPAN_EMPTY, &refund->metadata) != ERR_OK ||
        !payments_attempt_open(flow, &refund->attempt, "refund", amount)) {
        return;
    }
    number_refund(flow);
    resource_trace_about(flow->op, "tael.refund", refund->header.id);
    refund->reference = payments_hex(flow->op, resource_derived_id(flow->attempt_id, "refund"));
    err_t error = save_attempt(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "refund");
        return;
    }
    resource_after_commit(flow->op, attempt_is_durable);
}

static void
create_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct span charge_id = SPAN_EMPTY;
    if (!payments_intent_load_of(flow, "payment_intent", flow->wanted_intent)) {
        return;
    }
    int64_t amount;
    bool other = resource_text(op, "charge", &charge_id) && charge_id.size != 0 &&
                 !span_equal(charge_id, flow->intent->latest_charge);
    if (flow->charge == NULL || other || !flow->charge->captured) {
        resource_invalid(
            op,
            NULL,
            charge_id.size != 0 ? "charge" : "payment_intent",
            "This PaymentIntent (%.*s) does not have a successful charge to refund.",
            SPAN_PRINTF(flow->intent->header.id));
        return;
    }
    if (check_amount(flow, &amount)) {
        begin(flow, amount);
    }
}

void
payments_refund_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct span charge_id = SPAN_EMPTY;
    if (flow == NULL) {
        return;
    }
    bool by_charge = resource_text(op, "charge", &charge_id) && charge_id.size != 0;
    bool by_intent =
        resource_text(op, "payment_intent", &flow->wanted_intent) && flow->wanted_intent.size != 0;
    if (!by_charge && !by_intent) {
        resource_invalid(
            op,
            "parameter_missing",
            "payment_intent",
            "One of the following params should be provided for this request: payment_intent or "
            "charge.");
        return;
    }
    if (by_charge) {
        const struct payments_charge *charge =
            resource_require(op, &payments_charge_type, "charge", charge_id);
        if (charge == NULL) {
            return;
        }
        if (by_intent && !span_equal(flow->wanted_intent, charge->payment_intent)) {
            resource_invalid(
                op,
                NULL,
                "payment_intent",
                "The charge %.*s is not one of the PaymentIntent (%.*s).",
                SPAN_PRINTF(charge_id),
                SPAN_PRINTF(flow->wanted_intent));
            return;
        }
        flow->wanted_intent = charge->payment_intent;
    }
    resource_lock(op, flow->wanted_intent, create_locked);
}

/* ------------------------------------------------------------------------- after the booking ---
 */

static err_t
save_failed_late(struct payments_flow *flow)
{
    struct payments_refund *refund = flow->refund;
    int64_t release;
    TRY(release_of_charge(flow, &release));
    const struct payments_balance_transaction entry = {
        .type = SPAN("refund_failure"),
        .source = refund->header.id,
        .amount = payments_split_rest_refunded(refund),
        .release_due = release,
    };
    TRY(payments_balance_transaction_add(flow, &entry, &refund->failure_balance_transaction));
    unreserve(flow, 0);
    refund->status = SPAN("failed");
    refund->failure_reason = SPAN("unknown");
    refund->due = 0;
    payments_attempt_close(&refund->attempt);
    TRY(resource_save(flow->op, &payments_refund_type, refund));
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_emit(
        flow->op, "charge.refund.updated", &payments_refund_type, refund, SPAN_EMPTY));
    return resource_emit(flow->op, "refund.failed", &payments_refund_type, refund, SPAN_EMPTY);
}

static void
failure_posted(struct payments_flow *flow, enum payments_posting posting)
{
    if (posting != PAYMENTS_POSTED) {
        answer_unknown(flow);
        return;
    }
    err_t error = save_failed_late(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "refund");
        return;
    }
    resource_finish(flow->op);
}

static err_t
save_confirmed(struct payments_flow *flow)
{
    struct payments_refund *refund = flow->refund;
    bool was_pending = span_equal_cstr(refund->status, "pending");
    refund->status = SPAN("succeeded");
    refund->due = 0;
    payments_attempt_close(&refund->attempt);
    TRY(resource_save(flow->op, &payments_refund_type, refund));
    if (!was_pending) {
        return ERR_OK;
    }
    TRY(resource_emit(
        flow->op, "charge.refund.updated", &payments_refund_type, refund, SPAN_EMPTY));
    return resource_emit(flow->op, "refund.updated", &payments_refund_type, refund, SPAN_EMPTY);
}

static void
checked(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED: {
        err_t error = save_confirmed(flow);
        if (error != ERR_OK) {
            resource_internal(flow->op, error, "refund");
            return;
        }
        resource_finish(flow->op);
        return;
    }
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        payments_post_refund_failure(flow, failure_posted);
        return;
    case PORT_RAIL_NOT_FOUND:
        if (payments_attempt_gives_up(&flow->refund->attempt)) {
            payments_post_refund_failure(flow, failure_posted);
            return;
        }
        answer_unknown(flow);
        return;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
    case PORT_RAIL_CHALLENGE:
        answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
check_accepted(struct payments_flow *flow)
{
    payments_attempt_resume(flow, &flow->refund->attempt);
    flow->rail.operation = PORT_RAIL_REPORT;
    flow->rail.original_id = resource_derived_id(flow->attempt_id, "refund");
    payments_rail_call(flow, checked);
}

void
payments_refund_resume(struct payments_flow *flow)
{
    if (span_equal_cstr(flow->refund->attempt.state, "booked")) {
        check_accepted(flow);
        return;
    }
    payments_attempt_resume(flow, &flow->refund->attempt);
    attempt_is_durable(flow->op);
}

/* ---------------------------------------------------------------------------- other routes --- */

void
payments_refund_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_refund_type, resource_op_capture(op, 0));
}

void
payments_refund_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"charge", PAYMENTS_REFUND_CHARGE},
        {"payment_intent", PAYMENTS_REFUND_INTENT},
    };
    resource_answer_list(op, &payments_refund_type, "/v1/refunds", filters, 2);
}

static void
update_locked(struct resource_op *op)
{
    struct payments_refund *refund =
        resource_require(op, &payments_refund_type, "id", resource_op_capture(op, 0));
    if (refund == NULL || resource_metadata(op, refund->metadata, &refund->metadata) != ERR_OK) {
        return;
    }
    resource_answer_saved(op, &payments_refund_type, refund, "refund", "refund.updated");
}

/* Refunds live under the lock of their intent; a first read tells which. */
void
payments_refund_update(struct resource_op *op)
{
    void *found;
    err_t error = resource_load(op, &payments_refund_type, resource_op_capture(op, 0), &found);
    if (error != ERR_OK) {
        update_locked(op);
        return;
    }
    resource_lock(op, ((struct payments_refund *)found)->payment_intent, update_locked);
}
