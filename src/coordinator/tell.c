/*
 * Telling a decision: rounds of requests to all members that have not confirmed it, with pauses
 * that grow, until each has, or the time is over.
 *
 *   coordinator_tell      documents: due later, so that nobody else tells it now   (1)
 *   send                  HTTP: commit or abort, to all that have not confirmed    (2)
 *   answered              documents: who has, and when the next round is           (3)
 *
 * A crash anywhere leaves a transaction that is due again once the claim of (1) is over. Members
 * hear the same twice then, which the protocol lets them.
 *
 * A member whose answer contradicts the decision is asked for its state in the next round, and so
 * is one that gave no answer until the time was over. If that is not what was decided, or does not
 * come, it is `stuck`, and so is the transaction when nothing else is left to do (COORDINATOR-4).
 */
#include "private.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"

#define CLAIM_SLACK_S 2
#define DOUBLINGS_MAX 30

/* Seconds until the round after `tries` of them: a ceiling that doubles, and at least half of it.
 */
static int64_t
delay_s(const struct coordinator_settings *settings, int64_t tries, uint64_t random)
{
    ASSERT(tries >= 0);
    int64_t ceiling_ms = settings->retry_first_ms;
    for (int64_t i = 0; i < tries && i < DOUBLINGS_MAX && ceiling_ms < settings->retry_max_ms;
         i++) {
        ceiling_ms *= 2;
    }
    ceiling_ms = ceiling_ms < settings->retry_max_ms ? ceiling_ms : settings->retry_max_ms;
    int64_t half_ms = ceiling_ms / 2;
    int64_t delay_ms = half_ms + (int64_t)(random % (uint64_t)(ceiling_ms - half_ms + 1));
    return delay_ms < 1000 ? 1 : delay_ms / 1000;
}

/* ------------------------------------------------------------------------------- the members ---
 */

static bool
has_state(const struct coordinator_member *member, const char *state)
{
    return span_equal_cstr(member->state, state);
}

static bool
commits(const struct coordinator_transaction *transaction)
{
    return coordinator_status_commits(coordinator_status_parse(transaction->status));
}

/* Who refused holds nothing, and never will: an abort is no news. */
static bool
has_confirmed(const struct coordinator_transaction *transaction, uint32_t index)
{
    const struct coordinator_member *member = &transaction->members[index];
    return commits(transaction) ? has_state(member, COORDINATOR_MEMBER_COMMITTED)
                                : has_state(member, COORDINATOR_MEMBER_ABORTED) ||
                                      has_state(member, COORDINATOR_MEMBER_REFUSED);
}

static enum coordinator_action
action_for(const struct coordinator_transaction *transaction, uint32_t index)
{
    if (has_state(&transaction->members[index], COORDINATOR_MEMBER_DOUBTED)) {
        return COORDINATOR_ASK_STATUS;
    }
    return commits(transaction) ? COORDINATOR_ASK_COMMIT : COORDINATOR_ASK_ABORT;
}

/* Its answer to `status`, which is not what was decided. */
static void
judge_status(
    struct coordinator_member *member, enum coordinator_said said, bool is_commit, bool late)
{
    /* It still holds what it prepared, or an abort has not reached it: it is told again. */
    bool may_be_told = said == COORDINATOR_SAID_PREPARED ||
                       (said == COORDINATOR_SAID_UNKNOWN && !is_commit) ||
                       said == COORDINATOR_SAID_NOTHING;
    if (late || !may_be_told) {
        member->state = SPAN(COORDINATOR_MEMBER_STUCK);
    } else if (said != COORDINATOR_SAID_NOTHING) {
        member->state = SPAN(COORDINATOR_MEMBER_PREPARED);
    }
}

static void
judge(
    struct coordinator_transaction *transaction,
    uint32_t index,
    const struct coordinator_call *call,
    bool late)
{
    struct coordinator_member *member = &transaction->members[index];
    bool is_commit = commits(transaction);
    enum coordinator_said wanted =
        is_commit ? COORDINATOR_SAID_COMMITTED : COORDINATOR_SAID_ABORTED;
    member->requests++;
    if (call->said == wanted) {
        member->state =
            is_commit ? SPAN(COORDINATOR_MEMBER_COMMITTED) : SPAN(COORDINATOR_MEMBER_ABORTED);
        member->reason = SPAN_EMPTY;
        return;
    }
    member->reason = call->reason;
    if (call->action == COORDINATOR_ASK_STATUS) {
        judge_status(member, call->said, is_commit, late);
    } else if (call->said != COORDINATOR_SAID_NOTHING || late) {
        member->state = SPAN(COORDINATOR_MEMBER_DOUBTED);
    }
}

/* ---------------------------------------------------------------------------------- one round ---
 */

/* False: some are still to be told. */
static bool
move_on(struct resource_op *op, struct coordinator_transaction *transaction)
{
    uint32_t count = coordinator_member_count(transaction);
    uint32_t confirmed = 0;
    uint32_t stuck = 0;
    for (uint32_t i = 0; i < count; i++) {
        confirmed += has_confirmed(transaction, i) ? 1 : 0;
        stuck += has_state(&transaction->members[i], COORDINATOR_MEMBER_STUCK) ? 1 : 0;
    }
    if (confirmed + stuck < count) {
        return false;
    }
    bool moved = coordinator_transaction_move(
        op, transaction, stuck > 0 ? COORDINATOR_MOVE_GIVE_UP : COORDINATOR_MOVE_TOLD);
    ASSERT(moved);
    return true;
}

static err_t
save(struct resource_op *op, struct coordinator_transaction *transaction)
{
    enum coordinator_status status = coordinator_status_parse(transaction->status);
    TRY(resource_save(op, &coordinator_transaction_type, transaction));
    if (coordinator_status_is_stuck(status)) {
        return resource_emit(
            op, "tael.transaction.stuck", &coordinator_transaction_type, transaction, SPAN_EMPTY);
    }
    return ERR_OK;
}

static void
answered(struct coordinator_exchange *exchange)
{
    FAULT_POINT("transaction-before-told");
    struct coordinator_transaction *transaction = exchange->transaction;
    struct coordinator *coordinator = exchange->coordinator;
    const struct coordinator_settings *settings = &coordinator->parts.settings;
    int64_t now = (int64_t)resource_now_s(exchange->op);
    bool late = now - transaction->told_since >= settings->retry_for_ms / 1000;
    for (uint32_t i = 0; i < COORDINATOR_MEMBERS_MAX; i++) {
        if (exchange->calls[i].used) {
            judge(transaction, i, &exchange->calls[i], late);
        }
    }
    if (!move_on(exchange->op, transaction)) {
        uint64_t random = os_prng_next(&coordinator->prng);
        transaction->due = now + delay_s(settings, transaction->tries, random);
        transaction->tries++;
    }
    err_t error = save(exchange->op, transaction);
    if (error != ERR_OK) {
        resource_internal(exchange->op, error, "transaction");
        return;
    }
    resource_finish(exchange->op);
}

static void
send(struct resource_op *op)
{
    struct coordinator_exchange *exchange = resource_op_state(op);
    const struct coordinator_transaction *transaction = exchange->transaction;
    uint32_t count = coordinator_member_count(transaction);
    for (uint32_t i = 0; i < count; i++) {
        if (!has_confirmed(transaction, i) &&
            !has_state(&transaction->members[i], COORDINATOR_MEMBER_STUCK)) {
            coordinator_exchange_add(exchange, i, action_for(transaction, i));
        }
    }
    FAULT_POINT("transaction-before-tell");
    coordinator_exchange_send(exchange, exchange->coordinator->parts.settings.timeout_ms);
}

struct telling {
    struct coordinator_exchange exchange;
    struct span id;
};

static void
tell_locked(struct resource_op *op)
{
    struct telling *telling = resource_op_state(op);
    struct coordinator_exchange *exchange = &telling->exchange;
    struct coordinator_transaction *transaction = coordinator_transaction_load(op, telling->id);
    int64_t now = (int64_t)resource_now_s(op);
    if (transaction == NULL) {
        return;
    }
    if (transaction->due == 0 || transaction->due > now) {
        resource_finish(op); /* another one was faster */
        return;
    }
    exchange->transaction = transaction;
    resource_trace_begin(op, "tell a transaction's decision", transaction->trace);
    resource_trace_about(op, "tael.transaction", transaction->header.id);
    transaction->due =
        now + exchange->coordinator->parts.settings.timeout_ms / 1000 + CLAIM_SLACK_S;
    resource_save_then(op, &coordinator_transaction_type, transaction, "transaction", send);
}

void
coordinator_tell(struct resource_op *op, struct coordinator *coordinator, struct span id)
{
    struct telling *telling = ARENA_NEW(resource_op_arena(op), struct telling);
    if (telling == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    *telling = (struct telling){.id = arena_copy(resource_op_arena(op), id)};
    telling->exchange.coordinator = coordinator;
    telling->exchange.op = op;
    telling->exchange.done = answered;
    resource_op_set_state(op, telling); /* the exchange is its first member */
    resource_lock(op, telling->id, tell_locked);
}
