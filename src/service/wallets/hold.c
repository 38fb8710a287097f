/*
 * Holds: money set aside in one wallet for another.
 *
 *   wallets_hold_create     documents: hold pending, both wallets' limits counted        (1)
 *   place                   books: pending transfer with a timeout                       (2)
 *   placed                  documents: active until the ledger's time, or failed         (3)
 *
 *   wallets_hold_capture    documents: attempt "capture"; books: posts part of it;
 *                           documents: captured, and the rest of the limits given back
 *   wallets_hold_release    the same with a voiding; so does the sweeper after the time
 *
 * After its time the ledger lets go of the money by itself, to the nanosecond; the sweeper's
 * voiding makes sure of it whatever our clock says, and then says so in the document. Holds keep
 * their word: a wallet that was frozen later still pays what was held before.
 */
#include "flow.h"

#include "base/assert.h"
#include "os/fault.h"
#include "resource/pages.h"

/* Until the ledger's clock, which may be a little behind, has passed the time too. */
#define EXPIRY_SLACK_S 1

enum {
    DAY_S = 24 * 3600,
    EXPIRES_DEFAULT_S = 7 * DAY_S,
};

static void
answer_hold(struct wallets_flow *flow)
{
    resource_answer_object(flow->op, &wallets_hold_type, flow->hold);
}

static void
answer_unknown(struct wallets_flow *flow)
{
    struct wallets_hold *hold = flow->hold;
    hold->due = wallets_attempt_again(flow, &hold->attempt);
    resource_answer_saved(flow->op, &wallets_hold_type, hold, "wallet hold", NULL);
}

static err_t
save_and_emit(struct wallets_flow *flow, const char *event)
{
    struct wallets_hold *hold = flow->hold;
    wallets_attempt_close(&hold->attempt);
    TRY(resource_save(flow->op, &wallets_hold_type, hold));
    return resource_emit(flow->op, event, &wallets_hold_type, hold, SPAN_EMPTY);
}

/* Gives back what will not move of what was counted. */
static err_t
release_limits(struct wallets_flow *flow, int64_t api_amount)
{
    const struct wallets_hold *hold = flow->hold;
    struct money amount = wallets_money(api_amount, hold->currency);
    return wallets_release_both(flow->op, hold->from, hold->to, amount, hold->reserved_at);
}

static struct ledger_transfer *
movement(struct wallets_flow *flow, const char *step)
{
    const struct wallets_hold *hold = flow->hold;
    u128 number = resource_number(&wallets_hold_type, hold->header.id);
    return wallets_movement(flow, number, step, BOOKS_WALLET_HOLD, hold->currency);
}

/* Of the pending transfer. */
static u128
held_id(const struct wallets_flow *flow)
{
    return resource_derived_id(resource_number(&wallets_hold_type, flow->hold->header.id), "hold");
}

/* ------------------------------------------------------------------------------- creation --- */

static err_t
save_placed(struct wallets_flow *flow)
{
    struct wallets_hold *hold = flow->hold;
    /* The ledger counts from its own timestamp, which `exists` answers too. */
    uint64_t until_ns = flow->results[0].timestamp + (uint64_t)hold->expires_in * OS_NS_PER_S;
    hold->expires_at = (int64_t)((until_ns + OS_NS_PER_S - 1) / OS_NS_PER_S);
    hold->due = hold->expires_at + EXPIRY_SLACK_S;
    hold->status = SPAN("active");
    return save_and_emit(flow, "wallet_hold.created");
}

static void
failed(struct wallets_flow *flow, enum wallets_posting posting)
{
    struct wallets_hold *hold = flow->hold;
    hold->status = SPAN("failed");
    hold->failure_code = wallets_refusal_code(posting);
    hold->failure_message = wallets_refusal_text(flow, posting, hold->from, hold->currency);
    hold->due = 0;
    err_t error = release_limits(flow, hold->amount);
    if (error == ERR_OK) {
        error = save_and_emit(flow, "wallet_hold.failed");
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet hold");
        return;
    }
    wallets_answer_refused(flow, hold->failure_code, "amount", hold->failure_message);
}

static void
placed(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-hold-before-finish");
    if (posting == WALLETS_POSTING_UNKNOWN) {
        answer_unknown(flow);
        return;
    }
    if (posting != WALLETS_POSTED) {
        failed(flow, posting);
        return;
    }
    err_t error = save_placed(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet hold");
        return;
    }
    answer_hold(flow);
}

static void
place(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    const struct wallets_hold *hold = flow->hold;
    FAULT_POINT("wallet-hold-before-post");
    struct ledger_transfer *pending = movement(flow, "hold");
    pending->flags = LEDGER_TRANSFER_PENDING;
    pending->timeout = (uint32_t)hold->expires_in;
    pending->debit_account_id = wallets_account(flow, hold->from, hold->currency);
    pending->credit_account_id = wallets_account(flow, hold->to, hold->currency);
    pending->amount = (u128)wallets_money(hold->amount, hold->currency).amount;
    wallets_post(flow, placed);
}

static void
create_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    struct wallets_hold *hold = flow->hold;
    struct wallets_wallet *to = wallets_wallet_named(op, "to", hold->currency);
    if (to == NULL) {
        return;
    }
    if (span_equal(to->header.id, hold->from)) {
        resource_invalid(
            op, "wallet_transfer_to_itself", "to", "A wallet cannot hold money for itself.");
        return;
    }
    hold->to = to->header.id;
    if (!wallets_reserve_both(
            flow, flow->wallet, to, wallets_money(hold->amount, hold->currency))) {
        return;
    }
    wallets_attempt_open(flow, &hold->attempt, "hold");
    hold->reserved_at = hold->attempt.began;
    hold->due = wallets_attempt_lease(flow);
    resource_save_then(op, &wallets_hold_type, hold, "wallet hold", place);
}

void
wallets_hold_create(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->wallet = wallets_wallet_of_path(op);
    if (flow->wallet == NULL) {
        return;
    }
    struct wallets_hold *hold = resource_new(op, &wallets_hold_type);
    if (hold == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->hold = hold;
    hold->from = flow->wallet->header.id;
    hold->currency = flow->wallet->currency;
    hold->status = SPAN("pending");
    hold->expires_in = EXPIRES_DEFAULT_S;
    (void)resource_integer(op, "expires_in", &hold->expires_in);
    (void)resource_text(op, "description", &hold->description);
    if (wallets_amount(op, "amount", hold->currency, &hold->amount) &&
        resource_metadata(op, SPAN_EMPTY, &hold->metadata) == ERR_OK) {
        /* Against the sweeper. */
        resource_lock(op, hold->header.id, create_locked);
    }
}

/* --------------------------------------------------------------------------------- its end --- */

/* What was held is held no more: its time had come. */
static void
expired(struct wallets_flow *flow)
{
    struct wallets_hold *hold = flow->hold;
    bool asked = !span_equal_cstr(hold->attempt.kind, "expire");
    hold->status = SPAN("expired");
    hold->due = 0;
    err_t error = release_limits(flow, hold->amount);
    if (error == ERR_OK) {
        error = save_and_emit(flow, "wallet_hold.expired");
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet hold");
    } else if (asked) {
        wallets_answer_refused(
            flow,
            SPAN("wallet_hold_expired"),
            NULL,
            SPAN("This wallet hold has expired meanwhile."));
    } else {
        answer_hold(flow);
    }
}

/* The ledger refuses for a reason that nobody foresaw: the hold is as it was. */
static void
refused(struct wallets_flow *flow)
{
    struct wallets_hold *hold = flow->hold;
    hold->due = hold->expires_at + EXPIRY_SLACK_S;
    wallets_attempt_close(&hold->attempt);
    err_t error = resource_save(flow->op, &wallets_hold_type, hold);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet hold");
        return;
    }
    wallets_answer_refused(
        flow, SPAN("processing_error"), NULL, SPAN("The ledger refused to move the money."));
}

static err_t
save_ended(struct wallets_flow *flow)
{
    struct wallets_hold *hold = flow->hold;
    struct span kind = hold->attempt.kind;
    hold->due = 0;
    if (span_equal_cstr(kind, "capture")) {
        hold->status = SPAN("captured");
        hold->amount_captured = hold->attempt.amount;
        TRY(release_limits(flow, hold->amount - hold->amount_captured));
        return save_and_emit(flow, "wallet_hold.captured");
    }
    ASSERT(span_equal_cstr(kind, "release"));
    hold->status = SPAN("released");
    TRY(release_limits(flow, hold->amount));
    return save_and_emit(flow, "wallet_hold.released");
}

static void
ended(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-hold-before-end");
    bool time = span_equal_cstr(flow->hold->attempt.kind, "expire");
    err_t error;
    switch (posting) {
    case WALLETS_POSTED:
        if (time) {
            expired(flow);
            return;
        }
        error = save_ended(flow);
        if (error != ERR_OK) {
            resource_internal(flow->op, error, "wallet hold");
            return;
        }
        answer_hold(flow);
        return;
    case WALLETS_POSTING_NOT_HELD:
        expired(flow);
        return;
    case WALLETS_POSTING_UNKNOWN:
        answer_unknown(flow);
        return;
    case WALLETS_POSTING_SHORT:
    case WALLETS_POSTING_CLOSED:
    case WALLETS_POSTING_REFUSED:
        refused(flow);
        return;
    }
    UNREACHABLE();
}

/* Posts or voids what is held, as the attempt says. */
static void
end_hold(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    const struct wallets_hold *hold = flow->hold;
    FAULT_POINT("wallet-hold-before-release");
    bool capture = span_equal_cstr(hold->attempt.kind, "capture");
    struct ledger_transfer *second = movement(flow, capture ? "capture" : "release");
    second->flags = capture ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING;
    second->pending_id = held_id(flow);
    second->debit_account_id = wallets_account(flow, hold->from, hold->currency);
    second->credit_account_id = wallets_account(flow, hold->to, hold->currency);
    if (capture) {
        second->amount = (u128)wallets_money(hold->attempt.amount, hold->currency).amount;
    }
    wallets_post(flow, ended);
}

static void
begin_end(struct wallets_flow *flow, const char *kind, int64_t amount)
{
    struct wallets_hold *hold = flow->hold;
    wallets_attempt_open(flow, &hold->attempt, kind);
    hold->attempt.amount = amount;
    hold->due = wallets_attempt_lease(flow);
    resource_save_then(flow->op, &wallets_hold_type, hold, "wallet hold", end_hold);
}

void
wallets_hold_drive(struct wallets_flow *flow)
{
    struct wallets_hold *hold = flow->hold;
    if (!wallets_attempt_is_open(&hold->attempt)) {
        bool due = hold->due <= (int64_t)resource_now_s(flow->op);
        if (due) {
            begin_end(flow, "expire", 0);
        } else {
            resource_finish(flow->op);
        }
        return;
    }
    wallets_attempt_resume(flow, &hold->attempt);
    if (span_equal_cstr(hold->attempt.kind, "hold")) {
        place(flow->op);
    } else {
        end_hold(flow->op);
    }
}

/* A flow with the path's hold; NULL: answered. Under its lock. */
static struct wallets_flow *
load_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return NULL;
    }
    flow->hold = resource_require(op, &wallets_hold_type, "id", resource_op_capture(op, 0));
    return flow->hold != NULL ? flow : NULL;
}

/* As load_locked, if it is active. */
static struct wallets_flow *
load_active(struct resource_op *op, const char *verb)
{
    struct wallets_flow *flow = load_locked(op);
    if (flow == NULL) {
        return NULL;
    }
    const struct wallets_hold *hold = flow->hold;
    bool open = wallets_attempt_is_open(&hold->attempt);
    if (open || !span_equal_cstr(hold->status, "active")) {
        struct span shown = open ? SPAN("pending") : hold->status;
        resource_invalid(
            op,
            span_equal_cstr(shown, "expired") ? "wallet_hold_expired"
                                              : "wallet_hold_unexpected_state",
            NULL,
            "You cannot %s this wallet hold because it has a status of %.*s.",
            verb,
            SPAN_PRINTF(shown));
        return NULL;
    }
    return flow;
}

static void
capture_locked(struct resource_op *op)
{
    struct wallets_flow *flow = load_active(op, "capture");
    if (flow == NULL) {
        return;
    }
    const struct wallets_hold *hold = flow->hold;
    int64_t amount = hold->amount;
    if (resource_present(op, "amount") && !wallets_amount(op, "amount", hold->currency, &amount)) {
        return;
    }
    if (amount > hold->amount) {
        resource_invalid(
            op,
            "amount_too_large",
            "amount",
            "The requested capture amount is greater than the amount of this wallet hold (%lld).",
            (long long)hold->amount);
        return;
    }
    begin_end(flow, "capture", amount);
}

void
wallets_hold_capture(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), capture_locked);
}

static void
release_locked(struct resource_op *op)
{
    struct wallets_flow *flow = load_active(op, "release");
    if (flow != NULL) {
        begin_end(flow, "release", 0);
    }
}

void
wallets_hold_release(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), release_locked);
}

/* ---------------------------------------------------------------------------- other routes --- */

void
wallets_hold_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &wallets_hold_type, resource_op_capture(op, 0));
}

static void
update_locked(struct resource_op *op)
{
    struct wallets_flow *flow = load_locked(op);
    if (flow == NULL) {
        return;
    }
    struct wallets_hold *hold = flow->hold;
    (void)resource_text(op, "description", &hold->description);
    if (resource_metadata(op, hold->metadata, &hold->metadata) != ERR_OK) {
        return;
    }
    resource_answer_saved(op, &wallets_hold_type, hold, "wallet hold", "wallet_hold.updated");
}

void
wallets_hold_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

void
wallets_hold_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"wallet", RESOURCE_EITHER(WALLETS_HOLD_FROM, WALLETS_HOLD_TO)},
        {"status", WALLETS_HOLD_STATUS},
    };
    resource_answer_list(op, &wallets_hold_type, "/v1/wallet_holds", filters, 2);
}

void
wallets_hold_list_of_wallet(struct resource_op *op)
{
    struct span wallet = resource_op_capture(op, 0);
    if (wallets_wallet_of_path(op) == NULL) {
        return;
    }
    const struct document_filter only = {
        .column = WALLETS_HOLD_FROM,
        .value = {.text = wallet},
    };
    struct span url =
        arena_format(resource_op_arena(op), "/v1/wallets/%.*s/holds", SPAN_PRINTF(wallet));
    resource_answer_list_of(op, &wallets_hold_type, url, &only);
}
