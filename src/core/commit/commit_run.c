/* The machine of one run: what to ask in which state, and what the answers mean. */
#include "commit_internal.h"

#include "commit_log.h"

#include <string.h>

struct move {
    enum commit_state from;
    enum commit_event event;
    enum commit_state to;
};

#define MOVE_ENTRY(from_, event_, to_) {COMMIT_##from_, COMMIT_EVENT_##event_, COMMIT_##to_},
static const struct move moves_2pc[] = {COMMIT_2PC_MOVES(MOVE_ENTRY)};
static const struct move moves_3pc[] = {COMMIT_3PC_MOVES(MOVE_ENTRY)};
#undef MOVE_ENTRY

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct move *
find_move(const struct commit_run *run, enum commit_event event)
{
    bool two = commit_protocol(&run->transaction->header) == COMMIT_2PC;
    const struct move *moves = two ? moves_2pc : moves_3pc;
    size_t count = two ? COUNT(moves_2pc) : COUNT(moves_3pc);
    for (size_t i = 0; i < count; i++) {
        if (moves[i].from == run->state && moves[i].event == event) {
            return &moves[i];
        }
    }
    return NULL;
}

void
commit_move(struct commit_run *run, enum commit_event event)
{
    const struct move *move = find_move(run, event);
    ASSERT(move != NULL);
    run->state = move->to;
    run->answered = 0;
}

static uint8_t
member_count(const struct commit_run *run)
{
    return run->transaction->header.member_count;
}

void
commit_begin(struct commit_run *run, const struct commit_transaction *transaction)
{
    bool two = commit_protocol(&transaction->header) == COMMIT_2PC;
    memset(run, 0, two ? offsetof(struct commit_run, logs) : sizeof(*run));
    run->transaction = transaction;
    commit_move(run, COMMIT_EVENT_begin);
}

void
commit_conclude(struct commit_run *run)
{
    if (find_move(run, COMMIT_EVENT_conclude) == NULL) {
        return;
    }
    commit_move(run, COMMIT_EVENT_conclude);
    if (run->state == COMMIT_PROMISING) {
        commit_log_bid(run);
    }
}

/* --- what to ask --- */

/* Does the state want something of this member? */
static bool
takes_part(const struct commit_run *run, uint8_t member)
{
    switch (run->state) {
    case COMMIT_PREPARING:
        return member != 0 || commit_protocol(&run->transaction->header) == COMMIT_3PC;
    case COMMIT_DECIDING:
    case COMMIT_INQUIRING:
        return member == 0;
    case COMMIT_PRECOMMITTING:
    case COMMIT_PROMISING:
    case COMMIT_ACCEPTING:
        return true;
    case COMMIT_COMMITTED:
    case COMMIT_ABORTED:
        return commit_has_pendings(run->transaction, member);
    case COMMIT_START:
    case COMMIT_OUTBID:
    case COMMIT_POSTED:
    case COMMIT_VOIDED:
    case COMMIT_STATES:
        return false;
    }
    return false;
}

static bool
needs(const struct commit_run *run, uint8_t member)
{
    bool refused = run->state == COMMIT_ABORTED && commit_has(run->refused, member);
    return takes_part(run, member) && !commit_has(run->answered, member) && !refused;
}

bool
commit_next(const struct commit_run *run, uint8_t member, struct commit_ask *ret_ask)
{
    ASSERT(member < member_count(run));
    if (!needs(run, member) || commit_has(run->faulty, member)) {
        return false;
    }
    *ret_ask = (struct commit_ask){.member = member};
    switch (run->state) {
    case COMMIT_PREPARING:
        ret_ask->kind = commit_has(run->failed, member) ? COMMIT_ASK_BURY : COMMIT_ASK_PREPARE;
        break;
    case COMMIT_DECIDING:
        ret_ask->kind = commit_has(run->failed, member) ? COMMIT_ASK_BURY : COMMIT_ASK_DECIDE;
        break;
    case COMMIT_INQUIRING:
        ret_ask->kind = COMMIT_ASK_BURY;
        break;
    case COMMIT_PRECOMMITTING:
    case COMMIT_PROMISING:
    case COMMIT_ACCEPTING:
        commit_log_next(run, ret_ask);
        break;
    case COMMIT_COMMITTED:
        ret_ask->kind = COMMIT_ASK_POST;
        break;
    case COMMIT_ABORTED:
        /* COMMIT-5: void only what is known to be ours. */
        ret_ask->kind = commit_has(run->prepared, member) ? COMMIT_ASK_VOID : COMMIT_ASK_BURY;
        break;
    case COMMIT_START:
    case COMMIT_OUTBID:
    case COMMIT_POSTED:
    case COMMIT_VOIDED:
    case COMMIT_STATES:
        UNREACHABLE();
    }
    return true;
}

/* --- what was answered --- */

static bool
all_answered(const struct commit_run *run)
{
    for (uint8_t member = 0; member < member_count(run); member++) {
        if (needs(run, member)) {
            return false;
        }
    }
    return true;
}

/* In ABORTED nobody may be left to ask; in COMMITTED there always was somebody. */
static void
end_if_all_answered(struct commit_run *run)
{
    if (run->state == COMMIT_COMMITTED && all_answered(run)) {
        commit_move(run, COMMIT_EVENT_all_posted);
    }
    if (run->state == COMMIT_ABORTED && all_answered(run)) {
        commit_move(run, COMMIT_EVENT_all_voided);
    }
}

/* The first event that failed by itself. */
static uint32_t
reason_of(const struct ledger_result *results, uint32_t leg_count)
{
    for (uint32_t i = 0; i < leg_count; i++) {
        if (results[i].status != LEDGER_TRANSFER_linked_event_failed &&
            results[i].status != LEDGER_TRANSFER_created) {
            return results[i].status;
        }
    }
    return 0;
}

static void
note_refusal(struct commit_run *run, uint8_t member, enum commit_verdict verdict)
{
    commit_add(&run->refused, member);
    run->conflict |= verdict == COMMIT_VERDICT_CONFLICT;
}

/* Before there is an outcome: it is why the transaction aborts, if no other one was before it. */
static void
note_reason(struct commit_run *run, uint8_t member)
{
    run->reason = run->reason == 0 ? run->reasons[member] : run->reason;
}

static void
take_prepare(struct commit_run *run, uint8_t member, enum commit_verdict verdict)
{
    if (verdict != COMMIT_VERDICT_MARKER) {
        note_refusal(run, member, verdict);
        note_reason(run, member);
        commit_move(run, COMMIT_EVENT_refused);
        return;
    }
    commit_add(&run->prepared, member);
    commit_add(&run->answered, member);
    if (all_answered(run)) {
        commit_move(run, COMMIT_EVENT_all_prepared);
    }
}

/* Of the first slot in 2PC: its entry 0 is the decision (COMMIT-1). */
static void
take_decision(struct commit_run *run, uint8_t member, enum commit_verdict verdict)
{
    ASSERT(member == 0);
    if (verdict == COMMIT_VERDICT_MARKER) {
        commit_move(run, COMMIT_EVENT_decided);
        return;
    }
    note_refusal(run, member, verdict);
    note_reason(run, member);
    commit_move(run, COMMIT_EVENT_refused);
}

/* A member that nobody had heard of before the abort. */
static void
take_burial(struct commit_run *run, uint8_t member, enum commit_verdict verdict)
{
    if (verdict == COMMIT_VERDICT_MARKER) {
        commit_add(&run->prepared, member);
    } else {
        note_refusal(run, member, verdict);
    }
}

/* What is known of a member's entry 0 is for the state. */
static void
take_verdict(struct commit_run *run, uint8_t member, enum commit_verdict verdict)
{
    if (run->state == COMMIT_PREPARING) {
        take_prepare(run, member, verdict);
    } else if (run->state == COMMIT_ABORTED) {
        take_burial(run, member, verdict);
    } else {
        take_decision(run, member, verdict);
    }
}

/* A chain that failed has left nothing: it may be a repeat of one that succeeded, or it may yet
 * succeed if it comes again. So the member is buried, which tells, and makes it final (COMMIT-3).
 */
static void
take_chain(
    struct commit_run *run,
    const struct commit_ask *ask,
    const struct ledger_result *results,
    uint32_t count)
{
    uint8_t member = (uint8_t)ask->member;
    if (results[count - 1].status == LEDGER_TRANSFER_created) {
        take_verdict(run, member, COMMIT_VERDICT_MARKER);
        return;
    }
    commit_add(&run->failed, member);
    run->reasons[member] = reason_of(results, count - 1);
}

/* The chain was a repeat, or had another's marker before it. That an id is there, or has failed, is
 * said of the first one, and why that failed is not known; any other reason is this one's own. */
static bool
says_of_the_first(uint32_t reason)
{
    static_assert(
        LEDGER_TRANSFER_exists - LEDGER_TRANSFER_exists_with_different_flags == 10,
        "what is said of an id that is there lies between");
    return (reason >= LEDGER_TRANSFER_exists_with_different_flags &&
            reason <= LEDGER_TRANSFER_exists) ||
           reason == LEDGER_TRANSFER_exists_with_different_ledger ||
           reason == LEDGER_TRANSFER_id_already_failed;
}

static void
take_tombstone(struct commit_run *run, const struct commit_ask *ask, uint32_t status)
{
    uint8_t member = (uint8_t)ask->member;
    enum commit_verdict verdict = commit_verdict_of(status);
    if (verdict == COMMIT_VERDICT_FAULT) {
        commit_add(&run->faulty, member);
        return;
    }
    bool failed = (run->state == COMMIT_PREPARING || run->state == COMMIT_DECIDING);
    if (failed && status != LEDGER_TRANSFER_created && says_of_the_first(run->reasons[member])) {
        run->reasons[member] = 0;
    }
    take_verdict(run, member, verdict);
}

/* Did the second phase of a pending transfer end as it should, now or before? */
static bool
phase_is_done(uint32_t status, bool post)
{
    return status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists ||
           status == (post ? LEDGER_TRANSFER_pending_transfer_already_posted
                           : LEDGER_TRANSFER_pending_transfer_already_voided);
}

static void
take_second_phase(
    struct commit_run *run,
    const struct commit_ask *ask,
    const struct ledger_result *results,
    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!phase_is_done(results[i].status, ask->kind == COMMIT_ASK_POST)) {
            commit_add(&run->faulty, (uint8_t)ask->member);
            return;
        }
    }
    commit_add(&run->answered, (uint8_t)ask->member);
}

static bool
is_same(const struct commit_ask *a, const struct commit_ask *b)
{
    return a->kind == b->kind && a->member == b->member && a->number == b->number &&
           a->entry == b->entry && a->ballot == b->ballot;
}

/* Would this be asked now? What was answered to any other question is too late. */
static bool
is_current(const struct commit_run *run, const struct commit_ask *ask)
{
    struct commit_ask current;
    return ask->member < member_count(run) && commit_next(run, (uint8_t)ask->member, &current) &&
           is_same(&current, ask);
}

void
commit_take(
    struct commit_run *run, const struct commit_ask *ask, const struct ledger_result *results)
{
    if (!is_current(run, ask)) {
        return;
    }
    switch ((enum commit_ask_kind)ask->kind) {
    case COMMIT_ASK_PREPARE:
    case COMMIT_ASK_DECIDE:
        take_chain(run, ask, results, commit_event_count(run, ask));
        break;
    case COMMIT_ASK_BURY:
        take_tombstone(run, ask, results[0].status);
        break;
    case COMMIT_ASK_POST:
    case COMMIT_ASK_VOID:
        take_second_phase(run, ask, results, commit_event_count(run, ask));
        break;
    case COMMIT_ASK_APPEND:
        commit_log_take_append(run, ask, results[0].status);
        break;
    case COMMIT_ASK_READ:
        UNREACHABLE();
    }
    end_if_all_answered(run);
}

void
commit_take_log(
    struct commit_run *run,
    const struct commit_ask *ask,
    const struct ledger_transfer *found,
    uint32_t count)
{
    ASSERT(ask->kind == COMMIT_ASK_READ && count <= COMMIT_READ_MAX);
    if (is_current(run, ask)) {
        commit_log_take_read(run, (uint8_t)ask->member, found, count);
        end_if_all_answered(run);
    }
}

enum commit_outcome
commit_outcome(const struct commit_run *run)
{
    switch (run->state) {
    case COMMIT_COMMITTED:
    case COMMIT_POSTED:
        return COMMIT_OUTCOME_COMMITTED;
    case COMMIT_ABORTED:
    case COMMIT_VOIDED:
        return COMMIT_OUTCOME_ABORTED;
    case COMMIT_START:
    case COMMIT_PREPARING:
    case COMMIT_DECIDING:
    case COMMIT_INQUIRING:
    case COMMIT_PRECOMMITTING:
    case COMMIT_PROMISING:
    case COMMIT_ACCEPTING:
    case COMMIT_OUTBID:
    case COMMIT_STATES:
        return COMMIT_OUTCOME_UNKNOWN;
    }
    return COMMIT_OUTCOME_UNKNOWN;
}

bool
commit_ended(const struct commit_run *run)
{
    if (run->state == COMMIT_OUTBID) {
        return false;
    }
    struct commit_ask ask;
    for (uint8_t member = 0; member < member_count(run); member++) {
        if (commit_next(run, member, &ask)) {
            return false;
        }
    }
    return true;
}

const char *
commit_state_name(enum commit_state state)
{
    static const char *const names[COMMIT_STATES] = {
        [COMMIT_START] = "start",
        [COMMIT_PREPARING] = "preparing",
        [COMMIT_DECIDING] = "deciding",
        [COMMIT_INQUIRING] = "inquiring",
        [COMMIT_PRECOMMITTING] = "precommitting",
        [COMMIT_PROMISING] = "promising",
        [COMMIT_ACCEPTING] = "accepting",
        [COMMIT_OUTBID] = "outbid",
        [COMMIT_COMMITTED] = "committed",
        [COMMIT_ABORTED] = "aborted",
        [COMMIT_POSTED] = "posted",
        [COMMIT_VOIDED] = "voided",
    };
    return state < COMMIT_STATES ? names[state] : "unknown";
}
