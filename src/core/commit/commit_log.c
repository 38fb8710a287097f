/*
 * Three-phase commit: the members' logs, ballots, termination.
 *
 * Each member is an acceptor of one value, commit or abort, whose memory is the list of its
 * markers. A ledger compares nothing but ids, so the rules are kept by who appends: it has read the
 * log to its end, appends as the next entry only what the log allows, and the ledger lets one of
 * several that do so at once through (the id is taken).
 *
 *   - A promise is appended only above every ballot in the log, and counts only for the run that
 *     was told `created`; so a ballot has at most one run with a majority of promises, although
 *     nobody hands out numbers. An answer that is lost costs a ballot.
 *   - A value is appended unless the log has a higher ballot.
 *   - Of the values in the logs, that of the highest ballot is taken over; if there is none, abort.
 *   - Ballot 0 is for those who saw all members prepared, and has one value, commit.
 */
#include "commit_log.h"

static uint16_t
value_of(const struct commit_run *run)
{
    return run->state == COMMIT_PRECOMMITTING ? COMMIT_KIND_PRECOMMIT : run->value;
}

void
commit_log_bid(struct commit_run *run)
{
    uint32_t highest = run->ballot;
    for (uint32_t i = 0; i < run->transaction->header.member_count; i++) {
        run->logs[i].known = false;
        highest = run->logs[i].promised > highest ? run->logs[i].promised : highest;
    }
    run->ballot = highest < UINT32_MAX ? highest + 1 : highest; /* then outbid for ever */
    run->value = 0;
}

void
commit_log_next(const struct commit_run *run, struct commit_ask *ask)
{
    const struct commit_log *log = &run->logs[ask->member];
    ask->number = log->length;
    ask->ballot = run->ballot;
    ask->kind = COMMIT_ASK_APPEND;
    switch (run->state) {
    case COMMIT_PRECOMMITTING:
        ask->number = 1;
        ask->ballot = 0;
        ask->entry = COMMIT_KIND_PRECOMMIT;
        return;
    case COMMIT_PROMISING:
        ask->entry = COMMIT_KIND_PROMISE;
        break;
    case COMMIT_ACCEPTING:
        ask->entry = run->value;
        break;
    case COMMIT_START:
    case COMMIT_PREPARING:
    case COMMIT_DECIDING:
    case COMMIT_INQUIRING:
    case COMMIT_OUTBID:
    case COMMIT_COMMITTED:
    case COMMIT_ABORTED:
    case COMMIT_POSTED:
    case COMMIT_VOIDED:
    case COMMIT_STATES:
        UNREACHABLE();
    }
    if (!log->known) {
        ask->kind = COMMIT_ASK_READ;
        ask->entry = 0;
        ask->ballot = 0;
    }
}

/* Most of the members, by count: of two, both. */
static bool
majority_answered(const struct commit_run *run)
{
    return 2 * __builtin_popcount(run->answered) > run->transaction->header.member_count;
}

/* The value that a majority's logs oblige us to: COMMIT-7. */
static uint16_t
obliged_value(const struct commit_run *run)
{
    const struct commit_log *best = NULL;
    for (uint32_t i = 0; i < run->transaction->header.member_count; i++) {
        const struct commit_log *log = &run->logs[i];
        if (log->accepted != 0 && (best == NULL || log->accepted_ballot > best->accepted_ballot)) {
            best = log;
        }
    }
    return best == NULL ? COMMIT_KIND_PREABORT : best->accepted;
}

/* After every answer: where does it lead? */
static void
weigh(struct commit_run *run)
{
    if (run->refused != 0) { /* COMMIT-6: somebody never prepares, so nobody ever commits */
        commit_move(run, COMMIT_EVENT_refused);
        return;
    }
    for (uint8_t i = 0; i < run->transaction->header.member_count; i++) {
        const struct commit_log *log = &run->logs[i];
        bool outbid = run->state == COMMIT_PROMISING
                          ? log->promised >= run->ballot && !commit_has(run->answered, i)
                          : log->promised > run->ballot;
        if (outbid) {
            commit_move(run, COMMIT_EVENT_outbid);
            return;
        }
    }
    if (!majority_answered(run)) {
        return;
    }
    if (run->state == COMMIT_PROMISING) {
        run->value = obliged_value(run);
        commit_move(run, COMMIT_EVENT_promised);
        return;
    }
    commit_move(
        run,
        value_of(run) == COMMIT_KIND_PRECOMMIT ? COMMIT_EVENT_commit_accepted
                                               : COMMIT_EVENT_abort_accepted);
}

/* One entry more of a member's log. */
static void
fold(struct commit_run *run, uint8_t member, uint16_t kind, uint32_t ballot)
{
    struct commit_log *log = &run->logs[member];
    if (log->length == 0 && kind == COMMIT_KIND_MARKER) {
        commit_add(&run->prepared, member);
    } else if (log->length == 0) {
        commit_add(&run->refused, member);
    }
    log->length++;
    log->promised = ballot > log->promised ? ballot : log->promised;
    if (kind == COMMIT_KIND_PRECOMMIT || kind == COMMIT_KIND_PREABORT) {
        log->accepted = kind;
        log->accepted_ballot = ballot;
    }
}

static bool
is_conflict(uint32_t status)
{
    return status == LEDGER_TRANSFER_exists_with_different_flags || /* a chain's note */
           status == LEDGER_TRANSFER_exists_with_different_user_data_64 ||
           status == LEDGER_TRANSFER_exists_with_different_user_data_128;
}

static bool
is_taken(uint32_t status)
{
    return status == LEDGER_TRANSFER_exists ||
           status == LEDGER_TRANSFER_exists_with_different_code ||
           status == LEDGER_TRANSFER_exists_with_different_user_data_32;
}

/* Ballot 0: entry 1 is the only place for it. */
static void
take_precommit(struct commit_run *run, uint8_t member, uint32_t status)
{
    if (status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists) {
        commit_add(&run->answered, member);
        if (majority_answered(run)) {
            commit_move(run, COMMIT_EVENT_commit_accepted);
        }
    } else if (is_taken(status)) {
        commit_move(run, COMMIT_EVENT_outbid);
    } else {
        commit_add(&run->faulty, member);
    }
}

void
commit_log_take_append(struct commit_run *run, const struct commit_ask *ask, uint32_t status)
{
    uint8_t member = (uint8_t)ask->member;
    if (run->state == COMMIT_PRECOMMITTING) {
        take_precommit(run, member, status);
        return;
    }
    /* A value of our ballot is ours; a promise may be another's of the same ballot. */
    bool ours = status == LEDGER_TRANSFER_created ||
                (status == LEDGER_TRANSFER_exists && run->state == COMMIT_ACCEPTING);
    if (ours) {
        fold(run, member, ask->entry, ask->ballot);
        commit_add(&run->answered, member);
    } else if (is_taken(status)) {
        run->logs[member].known = false;
    } else if (is_conflict(status)) {
        commit_add(&run->refused, member);
        run->conflict = true;
    } else {
        commit_add(&run->faulty, member);
    }
    weigh(run);
}

void
commit_log_take_read(
    struct commit_run *run, uint8_t member, const struct ledger_transfer *found, uint32_t count)
{
    struct commit_log *log = &run->logs[member];
    const struct commit_header *header = &run->transaction->header;
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_transfer expected;
        commit_entry(
            header,
            member,
            log->length,
            (enum commit_kind)found[i].code,
            found[i].user_data_32,
            &expected);
        if (found[i].flags != expected.flags || found[i].user_data_64 != expected.user_data_64 ||
            found[i].user_data_128 != expected.user_data_128) {
            commit_add(&run->refused, member);
            run->conflict = true;
            break;
        }
        fold(run, member, found[i].code, found[i].user_data_32);
    }
    log->known = count < COMMIT_READ_MAX;
    /* A ballot appends two entries at most before the log is read again. Without end, something is
     * wrong. */
    if (log->length + 2 * COMMIT_READ_MAX > COMMIT_LOG_MAX) {
        commit_add(&run->faulty, member);
    }
    bool accepted = run->state == COMMIT_ACCEPTING && log->accepted_ballot == run->ballot;
    if (accepted) {
        commit_add(&run->answered, member);
    }
    weigh(run);
}
