/*
 * A vote: every member is asked to prepare, at once; who gives no answer is asked again, as long as
 * there is time.
 *
 *   coordinator_prepare   HTTP: prepare, to all                                  (1)
 *     one says no         NO: no other answer would change that
 *     some said nothing   (1) again, to those, after a pause; in the end UNKNOWN
 *     all said yes        documents: prepared                                    (2)
 *   ballot->step          behind the commit of (2): COORDINATOR-3
 *
 * A crash between (1) and (2) leaves members that may have prepared, and a transaction that is
 * `preparing`: its owner aborts it.
 */
#include "private.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"

#define ROUNDS_MAX     3
#define PAUSE_FIRST_MS 200 /* before the second round; then twice as long */
#define LEFT_MIN_MS    100 /* a round that would have less is not begun */

struct voting {
    struct coordinator_exchange exchange;
    struct coordinator_ballot *ballot;
    struct os_timer pause;
    uint64_t until_ns; /* monotonic */
    uint32_t rounds;
};

static bool
has_state(const struct coordinator_member *member, const char *state)
{
    return span_equal_cstr(member->state, state);
}

static void
end(struct voting *voting, enum coordinator_vote vote, const struct coordinator_member *because)
{
    struct coordinator_exchange *exchange = &voting->exchange;
    struct resource_op *op = exchange->op;
    struct coordinator_ballot *ballot = voting->ballot;
    ballot->vote = vote;
    FAULT_POINT("transaction-before-vote");
    if (vote == COORDINATOR_YES) {
        bool moved =
            coordinator_transaction_move(op, exchange->transaction, COORDINATOR_MOVE_VOTED);
        ASSERT(moved);
    } else if (because->reason.size != 0 && vote == COORDINATOR_NO) {
        ballot->message = arena_format(
            resource_op_arena(op),
            "%.*s refused: %.*s",
            SPAN_PRINTF(because->name),
            SPAN_PRINTF(because->reason));
    } else {
        ballot->message = arena_format(
            resource_op_arena(op),
            vote == COORDINATOR_NO ? "%.*s refused." : "%.*s could not be asked.",
            SPAN_PRINTF(because->name));
    }
    err_t error = resource_save(op, &coordinator_transaction_type, exchange->transaction);
    if (error != ERR_OK) {
        resource_internal(op, error, "transaction");
    } else if (vote == COORDINATOR_YES) {
        resource_after_commit(op, ballot->step);
    } else {
        ballot->step(op);
    }
}

/* What the member's state is by its answer. */
static void
count_vote(struct coordinator_member *member, const struct coordinator_call *call)
{
    member->requests++;
    member->reason = call->reason;
    switch (call->said) {
    case COORDINATOR_SAID_PREPARED:
        member->state = SPAN(COORDINATOR_MEMBER_PREPARED);
        member->reason = SPAN_EMPTY;
        return;
    case COORDINATOR_SAID_ABORTED:
        member->state = SPAN(COORDINATOR_MEMBER_REFUSED);
        return;
    case COORDINATOR_SAID_COMMITTED: /* it was never told to */
    case COORDINATOR_SAID_UNKNOWN:
        member->state = SPAN(COORDINATOR_MEMBER_SILENT);
        member->reason = SPAN("Its answer to `prepare` makes no sense.");
        return;
    case COORDINATOR_SAID_NOTHING:
        member->state = SPAN(COORDINATOR_MEMBER_SILENT);
        return;
    }
    UNREACHABLE();
}

static void
ask(struct voting *voting)
{
    struct coordinator_exchange *exchange = &voting->exchange;
    const struct coordinator_settings *settings = &exchange->coordinator->parts.settings;
    uint32_t count = coordinator_member_count(exchange->transaction);
    int64_t left_ms =
        (int64_t)(voting->until_ns - resource_monotonic_ns(exchange->op)) / (int64_t)OS_NS_PER_MS;
    voting->rounds++;
    for (uint32_t i = 0; i < count; i++) {
        exchange->calls[i].used = false;
        exchange->calls[i].sent = false;
        if (!has_state(&exchange->transaction->members[i], COORDINATOR_MEMBER_PREPARED)) {
            coordinator_exchange_add(exchange, i, COORDINATOR_ASK_PREPARE);
        }
    }
    FAULT_POINT("transaction-before-prepare");
    left_ms = left_ms < 1 ? 1 : left_ms;
    coordinator_exchange_send(
        exchange, left_ms < settings->timeout_ms ? left_ms : settings->timeout_ms);
}

static void
pause_over(struct os_timer *timer)
{
    ask(CONTAINER_OF(timer, struct voting, pause));
}

/* False: there is no time, or it was asked often enough. */
static bool
pause_begin(struct voting *voting)
{
    struct coordinator *coordinator = voting->exchange.coordinator;
    uint64_t now = resource_monotonic_ns(voting->exchange.op);
    uint64_t pause_ms = (uint64_t)PAUSE_FIRST_MS << (voting->rounds - 1);
    uint64_t jitter_ms = os_prng_below(&coordinator->prng, pause_ms / 2);
    uint64_t then = now + (pause_ms / 2 + jitter_ms) * OS_NS_PER_MS;
    if (voting->rounds >= ROUNDS_MAX || then + LEFT_MIN_MS * OS_NS_PER_MS > voting->until_ns) {
        return false;
    }
    voting->pause.fire = pause_over;
    os_timer_arm(coordinator->parts.loop, &voting->pause, then);
    return true;
}

static void
answered(struct coordinator_exchange *exchange)
{
    struct voting *voting = CONTAINER_OF(exchange, struct voting, exchange);
    struct coordinator_transaction *transaction = exchange->transaction;
    uint32_t count = coordinator_member_count(transaction);
    const struct coordinator_member *refused = NULL;
    const struct coordinator_member *silent = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct coordinator_member *member = &transaction->members[i];
        if (exchange->calls[i].used) {
            count_vote(member, &exchange->calls[i]);
        }
        if (has_state(member, COORDINATOR_MEMBER_REFUSED)) {
            refused = member;
        } else if (!has_state(member, COORDINATOR_MEMBER_PREPARED)) {
            silent = member;
        }
    }
    if (refused != NULL) {
        end(voting, COORDINATOR_NO, refused);
    } else if (silent == NULL) {
        end(voting, COORDINATOR_YES, NULL);
    } else if (!pause_begin(voting)) {
        end(voting, COORDINATOR_UNKNOWN, silent);
    }
}

void
coordinator_prepare(struct resource_op *op, struct coordinator_ballot *ballot)
{
    struct coordinator_transaction *transaction =
        coordinator_transaction_load(op, ballot->transaction);
    if (transaction == NULL) {
        return;
    }
    enum coordinator_status status = coordinator_status_parse(transaction->status);
    if (status == COORDINATOR_PREPARED) {
        ballot->vote = COORDINATOR_YES;
        ballot->step(op);
        return;
    }
    struct voting *voting = ARENA_NEW(resource_op_arena(op), struct voting);
    if (voting == NULL || status != COORDINATOR_PREPARING) {
        resource_internal(op, voting == NULL ? ERR_FULL : ERR_INVALID, "vote of a transaction");
        return;
    }
    *voting = (struct voting){.ballot = ballot};
    voting->exchange.coordinator = ballot->coordinator;
    voting->exchange.op = op;
    voting->exchange.transaction = transaction;
    voting->exchange.done = answered;
    voting->until_ns = resource_monotonic_ns(op) +
                       (uint64_t)ballot->coordinator->parts.settings.prepare_for_ms * OS_NS_PER_MS;
    ask(voting);
}
