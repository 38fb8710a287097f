/*
 * What a person does with a transaction that is stuck: has its decision told again, or says that
 * the participant was made to agree by other means. Which way it was decided is not theirs to say.
 */
#include "private.h"

#include "base/assert.h"

static void
retry(struct coordinator_transaction *transaction, int64_t now)
{
    for (uint32_t i = 0; i < COORDINATOR_MEMBERS_MAX; i++) {
        struct coordinator_member *member = &transaction->members[i];
        if (span_equal_cstr(member->state, COORDINATOR_MEMBER_STUCK)) {
            member->state = SPAN(COORDINATOR_MEMBER_PREPARED);
        }
    }
    transaction->told_since = now;
    transaction->tries = 0;
}

static void
is_durable(void *context)
{
    coordinator_sweep_soon(context);
}

static err_t
save(struct resource_op *op, struct coordinator_transaction *transaction)
{
    const struct resource_type *type = &coordinator_transaction_type;
    TRY(resource_save(op, type, transaction));
    TRY(resource_emit(op, "tael.transaction.resolved", type, transaction, SPAN_EMPTY));
    return resource_op_when_done(op, is_durable, resource_op_service(op));
}

static void
resolve_locked(struct resource_op *op)
{
    struct coordinator_transaction *transaction =
        coordinator_transaction_load(op, resource_op_capture(op, 0));
    struct span resolution;
    if (transaction == NULL) {
        return;
    }
    bool present = resource_text(op, "resolution", &resolution);
    ASSERT(present); /* required in the table */
    bool again = span_equal_cstr(resolution, "retry");
    if (!coordinator_transaction_move(
            op, transaction, again ? COORDINATOR_MOVE_RETRY : COORDINATOR_MOVE_CONCLUDE)) {
        resource_invalid(
            op,
            "transaction_not_stuck",
            NULL,
            "This transaction has the status %.*s: only one that is stuck waits for a person.",
            SPAN_PRINTF(transaction->status));
        return;
    }
    if (again) {
        retry(transaction, (int64_t)resource_now_s(op));
    }
    (void)resource_text(op, "note", &transaction->note);
    err_t error = save(op, transaction);
    if (error != ERR_OK) {
        resource_internal(op, error, "transaction");
        return;
    }
    resource_answer_object(op, &coordinator_transaction_type, transaction);
}

void
coordinator_transaction_resolve(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), resolve_locked);
}
