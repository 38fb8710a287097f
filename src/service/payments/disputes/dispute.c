/*
 * What a merchant does about disputes.
 *
 *   update_locked    documents: evidence, metadata; with submit the attempt            (1)
 *   ask_network      rail: evidence, or acceptance, repeated under its id              (2)
 *   answered         documents: the status, events, key                                (3)
 *
 * No money moves here: a dispute that is accepted is lost, and its money was taken already.
 */
#include "dispute.h"

#include "base/assert.h"
#include "os/fault.h"
#include "resource/pages.h"

#include <stdio.h>

static void
answer_dispute(struct payments_flow *flow)
{
    resource_answer_object(flow->op, &payments_dispute_type, flow->dispute);
}

static bool
accepts(const struct payments_dispute *dispute)
{
    return span_equal_cstr(dispute->attempt.kind, "accept");
}

static void
fail(struct payments_flow *flow, int status, const char *code, struct span message)
{
    const struct resource_error error = {
        .status = status,
        .type = "invalid_request_error",
        .code = code,
        .message = message,
        .executed = true,
    };
    resource_fail(flow->op, &error);
}

/* ---------------------------------------------------------------------------- (3) the answer ---
 */

static err_t
save_taken(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    bool accepted = accepts(dispute);
    payments_dispute_goes(dispute, accepted ? PAYMENTS_DISPUTE_ACCEPT : PAYMENTS_DISPUTE_SUBMIT);
    if (accepted) {
        dispute->decided = SPAN_EMPTY; /* the network could but say the same */
    } else {
        dispute->submissions++;
    }
    payments_dispute_attempt_close(flow);
    TRY(resource_save(flow->op, &payments_dispute_type, dispute));
    return resource_emit(
        flow->op,
        accepted ? "charge.dispute.closed" : "charge.dispute.updated",
        &payments_dispute_type,
        dispute,
        SPAN_EMPTY);
}

static void
taken(struct payments_flow *flow)
{
    err_t error = save_taken(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    answer_dispute(flow);
}

static void
refused(struct payments_flow *flow)
{
    bool accepted = accepts(flow->dispute);
    payments_dispute_attempt_close(flow);
    err_t error = resource_save(flow->op, &payments_dispute_type, flow->dispute);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    fail(
        flow,
        400,
        "dispute_decided",
        accepted ? SPAN("The card network does not take it: the dispute is decided.")
                 : SPAN("The card network takes no more evidence: it is too late, or the dispute "
                        "is decided."));
}

static void
unknown(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    dispute->due = payments_attempt_again(flow->op, &dispute->attempt);
    err_t error = resource_save(flow->op, &payments_dispute_type, dispute);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    answer_dispute(flow);
}

static void
answered(struct payments_flow *flow)
{
    FAULT_POINT("dispute-before-taken");
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_PENDING:
        taken(flow);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
    case PORT_RAIL_NOT_FOUND:
        refused(flow);
        return;
    case PORT_RAIL_UNKNOWN:
    case PORT_RAIL_CHALLENGE:
        unknown(flow);
        return;
    }
    UNREACHABLE();
}

/* --------------------------------------------------------------------------- (2) the network ---
 */

void
payments_dispute_contest(struct payments_flow *flow)
{
    const struct payments_dispute *dispute = flow->dispute;
    bool accepted = accepts(dispute);
    flow->rail.operation = accepted ? PORT_RAIL_ACCEPT : PORT_RAIL_EVIDENCE;
    flow->rail.id = resource_derived_id(flow->attempt_id, accepted ? "accept" : "evidence");
    flow->rail.original_id = payments_unhex(dispute->network);
    if (!accepted) {
        flow->rail.evidence = payments_evidence_text(flow->op, dispute);
        if (flow->rail.evidence.size == 0) {
            unknown(flow); /* no memory at this moment */
            return;
        }
    }
    payments_rail_call(flow, answered);
}

static void
ask_network(struct resource_op *op)
{
    FAULT_POINT("dispute-before-network");
    payments_dispute_contest(payments_flow_of(op));
}

/* ------------------------------------------------------------------------- (1) the beginning ---
 */

/* Loads the dispute and its payment, which is locked. False if answered. */
static bool
load_locked(struct payments_flow *flow)
{
    flow->dispute =
        resource_require(flow->op, &payments_dispute_type, "id", resource_op_capture(flow->op, 0));
    return flow->dispute != NULL && payments_intent_load(flow, flow->dispute->payment_intent) &&
           payments_dispute_load_charge(flow, flow->dispute->charge);
}

static bool
may_move(struct payments_flow *flow, enum payments_dispute_move move)
{
    struct payments_dispute *dispute = flow->dispute;
    enum payments_dispute_status status = payments_dispute_status_of(dispute);
    enum payments_dispute_status to;
    if (!payments_dispute_move(status, move, &to)) {
        resource_invalid(
            flow->op,
            "dispute_unexpected_state",
            NULL,
            move == PAYMENTS_DISPUTE_ACCEPT && payments_dispute_is_inquiry(status)
                ? "This dispute is an inquiry (%.*s): there is nothing to accept yet. To give the "
                  "money back, refund the charge."
                : "This dispute is %.*s: it takes no evidence any more, and cannot be closed.",
            SPAN_PRINTF(dispute->status));
        return false;
    }
    if (payments_attempt_is_open(&dispute->attempt) || dispute->decided.size != 0) {
        struct resource_error error = {
            .status = 409,
            .type = "invalid_request_error",
            .code = "lock_timeout",
            .message = SPAN("This dispute is being worked on: try again in a moment."),
        };
        resource_fail(flow->op, &error);
        return false;
    }
    return true;
}

static err_t
save_updated(struct payments_flow *flow)
{
    TRY(resource_save(flow->op, &payments_dispute_type, flow->dispute));
    return resource_emit(
        flow->op, "charge.dispute.updated", &payments_dispute_type, flow->dispute, SPAN_EMPTY);
}

/* `changed`: the merchant has changed something besides, which is told now. */
static void
begin(struct payments_flow *flow, const char *kind, bool changed)
{
    struct payments_dispute *dispute = flow->dispute;
    if (!payments_attempt_open(flow, &dispute->attempt, kind, 0)) {
        return;
    }
    dispute->due = (int64_t)resource_now_s(flow->op) + flow->payments->parts.settings.lease_s;
    err_t error =
        changed ? save_updated(flow) : resource_save(flow->op, &payments_dispute_type, dispute);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    resource_after_commit(flow->op, ask_network);
}

/* True: some of it was sent, and *ret_fits whether it is not too much; then it is answered. */
static bool
read_evidence(struct payments_flow *flow, bool *ret_fits)
{
    char name[64];
    size_t size = 0;
    bool given = false;
    for (uint32_t i = 0; i < PAYMENTS_EVIDENCE_COUNT; i++) {
        (void)snprintf(name, sizeof(name), "evidence[%s]", payments_evidence_names[i]);
        given = resource_text(flow->op, name, &flow->dispute->evidence[i]) || given;
        size += flow->dispute->evidence[i].size;
    }
    *ret_fits = size <= PAYMENTS_EVIDENCE_MAX;
    if (!*ret_fits) {
        resource_invalid(
            flow->op,
            "parameter_invalid_string_too_long",
            "evidence",
            "All texts of the evidence together are at most %d bytes.",
            PAYMENTS_EVIDENCE_MAX);
    }
    return given;
}

/* There is no place to keep files. False: one was named, and answered. */
static bool
has_no_files(struct payments_flow *flow)
{
    static const char *const names[] = {
#define X(name) "evidence[" #name "]",
        PAYMENTS_EVIDENCE_FILES(X)
#undef X
            NULL,
    };
    const char *named = payments_first_given(flow->op, names);
    if (named != NULL) {
        resource_invalid(
            flow->op,
            "parameter_unsupported",
            named,
            "Files are not supported: put what is to be said into a text, such as "
            "evidence[uncategorized_text].");
    }
    return named == NULL;
}

static void
save_and_answer(struct payments_flow *flow)
{
    err_t error = save_updated(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    answer_dispute(flow);
}

static void
update_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    bool fits = true;
    bool submit = false;
    if (!load_locked(flow) || !has_no_files(flow)) {
        return;
    }
    bool given = read_evidence(flow, &fits);
    if (!fits) {
        return;
    }
    /* As Stripe has it evidence is handed in, unless it says otherwise; metadata alone is not. */
    if (!resource_boolean(op, "submit", &submit)) {
        submit = given;
    }
    if ((given || submit) && !may_move(flow, PAYMENTS_DISPUTE_SUBMIT)) {
        return;
    }
    if (resource_metadata(op, flow->dispute->metadata, &flow->dispute->metadata) != ERR_OK) {
        return;
    }
    if (submit) {
        begin(flow, "evidence", given || resource_present(op, "metadata"));
    } else {
        save_and_answer(flow);
    }
}

static void
close_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (load_locked(flow) && may_move(flow, PAYMENTS_DISPUTE_ACCEPT)) {
        begin(flow, "accept", false);
    }
}

/* Disputes live under the lock of their intent; a first read tells which. */
static void
with_lock(struct resource_op *op, resource_step step)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    const struct payments_dispute *found =
        resource_require(op, &payments_dispute_type, "id", resource_op_capture(op, 0));
    if (found != NULL) {
        resource_lock(op, found->payment_intent, step);
    }
}

void
payments_dispute_update(struct resource_op *op)
{
    with_lock(op, update_locked);
}

void
payments_dispute_close(struct resource_op *op)
{
    with_lock(op, close_locked);
}

void
payments_dispute_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_dispute_type, resource_op_capture(op, 0));
}

void
payments_dispute_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"charge", PAYMENTS_DISPUTE_CHARGE},
        {"payment_intent", PAYMENTS_DISPUTE_INTENT},
    };
    resource_answer_list(op, &payments_dispute_type, "/v1/disputes", filters, 2);
}
