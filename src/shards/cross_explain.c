/*
 * What a client is told of a transfer that was not booked just now. Its outcome is what the payer's
 * slot has under its id, not what one run of the protocol came to: another run, another process, or
 * the plain form of the same transfer (when both accounts were on one shard) may have booked it.
 *
 *     aborted -- the payer refused: the status is the ledger's own
 *          |     (exists with something different: --> first)
 *          |  -- the payee's slot refused --> accounts --> fail --> that status
 *          |  -- no reason is known, or another request has the id --> first
 *
 *     a hold -- accounts --> hold: made in the payer's slot; there already --> first
 *
 *     a posting -- refused by the payer: that status
 *          `--  else --> probe: what would the payer's slot say? an answer, or nothing against it:
 *               the payee's slot refused --> fail --> that status; or another attempt
 *
 *     first     what has the id?  nothing: another attempt, or the id has failed for ever
 *          |                      a transfer within the slot: compared field by field
 *          `--> second            a leg: whom did it pay?
 *
 *     a chain -- the event that failed first (cross_chain.c): first, or accounts
 *
 * What is asked at each step is in cross_ask.c; here is what each answer leads to.
 *
 * CROSS-3: a refusal that uses an id up in one ledger is remembered in the payer's slot before it
 * is told, by a transfer with that id that fails there.
 */
#include "cross_explain_private.h"

#include "base/assert.h"

static void take_first(struct cross_message *message);
static void take_second(struct cross_message *message);
static void take_accounts(struct cross_message *message);
static void take_check(struct cross_message *message);
static void take_fail(struct cross_message *message);
static void take_hold(struct cross_message *message);
static void take_probe(struct cross_message *message);
static void take_member(struct cross_message *message);
static void take_members(struct cross_message *message);

static void
ask(struct cross_tx *tx, enum cross_step step)
{
    static const cross_take takes[] = {
        [CROSS_STEP_FIRST] = take_first,
        [CROSS_STEP_SECOND] = take_second,
        [CROSS_STEP_ACCOUNTS] = take_accounts,
        [CROSS_STEP_CHECK] = take_check,
        [CROSS_STEP_FAIL] = take_fail,
        [CROSS_STEP_HOLD] = take_hold,
        [CROSS_STEP_PROBE] = take_probe,
        [CROSS_STEP_MEMBER] = take_member,
        [CROSS_STEP_MEMBERS] = take_members,
    };
    ASSERT(step != CROSS_STEP_NONE);
    shards_cross_ask(tx, step, takes[step]);
}

/* False: it was not answered, or nobody waits for it any more. */
static bool
answered(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    tx->asked = false;
    if (message->port.error != ERR_OK) {
        tx->retry_ns = cross_now(message->cross) + cross_ms(message->cross->parts.resend_ms);
        return false;
    }
    return tx->stage == CROSS_EXPLAINING;
}

void
shards_cross_explain_tick(struct cross_tx *tx, uint64_t now)
{
    if (tx->stage != CROSS_EXPLAINING) {
        return;
    }
    if (cross_is_checking(tx) && now - tx->began_ns > cross_ms(tx->job->cross->parts.check_ms)) {
        shards_cross_chain_checked(tx, NULL);
    } else if (now - tx->began_ns > cross_ms(tx->job->cross->parts.give_up_ms)) {
        shards_cross_leave(tx, CROSS_LEFT);
    } else if (!tx->asked && now >= tx->retry_ns) {
        bool again = tx->again;
        ask(tx, tx->step);
        tx->again = again || tx->asked;
    }
}

/* ----------------------------------------------------------------------------------- answers ---
 */

static const struct ledger_transfer *
find(const struct cross_message *message, uint32_t which)
{
    for (uint32_t i = 0; i < message->port.out_count; i++) {
        if (message->port.out.transfers[i].id == message->in.ids[which]) {
            return &message->port.out.transfers[i];
        }
    }
    return NULL;
}

/* Nothing has the id. */
static void
not_booked(struct cross_tx *tx)
{
    if (tx->transaction == NULL) {
        shards_cross_settle(tx, tx->verdict, tx->booked_at); /* a shard's own result */
        return;
    }
    bool again = commit_protocol(&tx->transaction->header) == COMMIT_2PC;
    if (again && tx->chain != NULL && tx->chain->once) { /* the ids of the other slots are gone */
        tx->event = shards_cross_chain_burns(tx);
        tx->verdict = LEDGER_TRANSFER_id_already_failed;
        ask(tx, CROSS_STEP_FAIL);
        return;
    }
    if (tx->failed_before || !again) {
        shards_cross_settle(tx, LEDGER_TRANSFER_id_already_failed, tx->booked_at);
    } else if (tx->late || tx->attempt + 1 == SHARDS_ATTEMPTS_MAX) {
        shards_cross_leave(tx, CROSS_UNDONE);
    } else {
        /* That attempt was buried, or was another request's: this one has its own. What it left
         * pending is the resolver's. */
        tx->attempt++;
        tx->out = 0;
        err_t result = shards_cross_run_begin(tx, cross_now(tx->job->cross));
        ASSERT(result == ERR_OK); /* as the first time */
    }
}

/* A hold of this id has another payee than its record says: its marker tells. */
static void
take_held(struct cross_tx *tx, const struct cross_message *message)
{
    const struct ledger_transfer *event = cross_event_of(tx);
    struct ledger_transfer booked = *find(message, CROSS_FIRST_CLIENTS);
    const struct ledger_transfer *marker = find(message, CROSS_FIRST_HOLD);
    booked.flags &= (uint16_t)~LEDGER_TRANSFER_LINKED;
    uint32_t before = shards_cross_compare_before_credit(event, &booked, false);
    bool same = marker != NULL && marker->user_data_128 == event->credit_account_id;
    uint32_t status = before != 0 ? before
                      : same      ? shards_cross_compare_behind_credit(event, &booked)
                                  : LEDGER_TRANSFER_exists_with_different_credit_account_id;
    shards_cross_settle(tx, status, booked.timestamp);
}

/* What is told of a transfer that a chain has booked: its note says whom it pays. */
static bool
take_chained(struct cross_tx *tx, const struct cross_message *message)
{
    const struct ledger_transfer *event = cross_event_of(tx);
    const struct ledger_transfer *found = find(message, CROSS_FIRST_MARKERS);
    struct ledger_transfer booked = *find(message, CROSS_FIRST_CLIENTS);
    struct commit_chain_note note;
    if (found == NULL || found->code != COMMIT_KIND_CHAIN) {
        return false;
    }
    struct ledger_transfer marker = *found;
    shards_cross_unplace_transfer(&marker);
    if (commit_chain_note_decode(&marker, &note) != ERR_OK) {
        return false;
    }
    booked.flags = note.flags;
    uint32_t before = shards_cross_compare_before_credit(event, &booked, false);
    uint32_t status = before != 0 ? before
                      : note.payee == event->credit_account_id
                          ? shards_cross_compare_behind_credit(event, &booked)
                          : LEDGER_TRANSFER_exists_with_different_credit_account_id;
    shards_cross_settle(tx, status, booked.timestamp);
    return true;
}

/* By itself, and not because somebody has buried it: then the reason is its own. */
static bool
payer_refused(const struct commit_run *run)
{
    return (run->refused & run->failed & 1) != 0;
}

/* In 2PC the payee's slot has said yes before the payer's is asked; in 3PC it may have refused too,
 * or be about to, and what one ledger looks at first is told. Nothing comes before the payer. */
static bool
payer_says_why(const struct cross_tx *tx)
{
    const struct commit_run *run = &tx->run;
    bool alone = commit_protocol(&tx->transaction->header) == COMMIT_2PC && run->failed == 1;
    return payer_refused(run) && (alone || run->reason == LEDGER_TRANSFER_debit_account_not_found);
}

/* By 3PC an id has one transaction, and another request had it; by 2PC only an attempt was that
 * one's, and what is wrong with this request is still so. */
static bool
is_anothers(const struct cross_tx *tx)
{
    return tx->run.conflict && commit_protocol(&tx->transaction->header) == COMMIT_3PC;
}

/* Just now, and for a reason of its own. */
static bool
payee_refused(const struct cross_tx *tx)
{
    const struct commit_run *run = &tx->run;
    return tx->transaction != NULL && (run->refused & ~1U) != 0 && run->reason != 0 &&
           !is_anothers(tx) && !shards_cross_is_different(run->reason) &&
           run->reason != LEDGER_TRANSFER_id_already_failed;
}

/* What is there this run has put there, and voids: the payee's slot has refused it just now. */
static bool
is_our_own(const struct cross_tx *tx)
{
    return payee_refused(tx) && tx->verdict != 0;
}

static void
take_booked(struct cross_tx *tx, const struct cross_message *message)
{
    const struct ledger_transfer *booked = find(message, CROSS_FIRST_CLIENTS);
    if (commit_account_is(booked->credit_account_id, COMMIT_ACCOUNT_HELD)) {
        take_held(tx, message);
        return;
    }
    bool is_leg = commit_id_is_reserved(booked->credit_account_id);
    bool is_pending = is_leg && (booked->flags & LEDGER_TRANSFER_PENDING) != 0;
    tx->booked_at = booked->timestamp;
    if (is_pending && find(message, CROSS_FIRST_POST) == NULL) { /* 3PC, and not committed */
        if (is_our_own(tx)) {
            shards_cross_settle(tx, tx->verdict, tx->booked_at);
        } else if (find(message, CROSS_FIRST_VOID) != NULL) {
            shards_cross_settle(tx, LEDGER_TRANSFER_id_already_failed, tx->booked_at);
        } else { /* looked up again: what was decided may not be posted yet */
            tx->retry_ns = cross_now(message->cross) + cross_ms(message->cross->parts.resend_ms);
        }
        return;
    }
    if (take_chained(tx, message)) {
        return;
    }
    uint32_t before = shards_cross_compare_before_credit(cross_event_of(tx), booked, is_leg);
    tx->verdict = shards_cross_compare_behind_credit(cross_event_of(tx), booked);
    if (before != 0) {
        shards_cross_settle(tx, before, tx->booked_at);
    } else if (is_leg && tx->booked_slot == cross_slot_of_payee(tx)) {
        ask(tx, CROSS_STEP_SECOND);
    } else {
        bool same = booked->credit_account_id == cross_event_of(tx)->credit_account_id;
        shards_cross_settle(
            tx,
            same ? tx->verdict : LEDGER_TRANSFER_exists_with_different_credit_account_id,
            tx->booked_at);
    }
}

/* What ends a hold that was not there when it was looked up, and has since been made and ended by
 * this id. */
static bool
is_of_later_hold(const struct cross_tx *tx, const struct ledger_transfer *booked)
{
    return tx->hold != NULL && tx->hold->transfer.id == 0 && booked->pending_id != 0 &&
           booked->pending_id == cross_event_of(tx)->pending_id;
}

static void
take_first(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_transfer *booked = find(message, CROSS_FIRST_CLIENTS);
    tx->booked_attempt = 0;
    for (uint8_t i = 0; i < SHARDS_ATTEMPTS_MAX; i++) {
        const struct ledger_transfer *marker = find(message, (uint32_t)CROSS_FIRST_MARKERS + i);
        bool decided = marker != NULL && marker->code == COMMIT_KIND_MARKER;
        if (decided) {
            tx->booked_attempt = i;
            tx->booked_slot = (uint16_t)(marker->user_data_128 >> 16);
        }
    }
    bool committed =
        tx->transaction != NULL && commit_outcome(&tx->run) == COMMIT_OUTCOME_COMMITTED;
    if (booked == NULL) {
        not_booked(tx);
    } else if (is_of_later_hold(tx, booked)) {
        shards_cross_leave(tx, CROSS_LEFT);
    } else if (committed) {
        shards_cross_settle(tx, LEDGER_TRANSFER_created, booked->timestamp);
    } else {
        take_booked(tx, message);
    }
}

static void
take_second(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_transfer *leg = find(message, 0);
    bool same = leg != NULL && leg->credit_account_id == cross_event_of(tx)->credit_account_id;
    shards_cross_settle(
        tx,
        same ? tx->verdict : LEDGER_TRANSFER_exists_with_different_credit_account_id,
        tx->booked_at);
}

/* In 3PC the payer's slot may have refused beside the payee's: why, or 0. A chain's reasons are
 * those of several events, and it has chosen. */
static uint32_t
payers_own_reason(const struct cross_tx *tx)
{
    const struct commit_run *run = &tx->run;
    bool known = tx->chain == NULL && (run->failed & 1) != 0 && !tx->failed_before;
    return known && !shards_cross_is_different(run->reasons[0]) ? run->reasons[0] : 0;
}

static void
take_accounts(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_account *payer = NULL;
    const struct ledger_account *payee = NULL;
    for (uint32_t i = 0; i < message->port.out_count; i++) {
        const struct ledger_account *account = &message->port.out.accounts[i];
        payer = account->id == cross_event_of(tx)->debit_account_id ? account : payer;
        payee = account->id == cross_event_of(tx)->credit_account_id ? account : payee;
    }
    bool holds = tx->way == CROSS_WAY_HOLD;
    uint32_t own = holds ? 0 : payers_own_reason(tx);
    uint32_t reason = holds ? LEDGER_TRANSFER_created : own != 0 ? own : tx->run.reason;
    tx->verdict = shards_cross_verdict_of(reason, cross_event_of(tx), payer, payee);
    bool used_up = own != 0 && shards_cross_uses_the_id_up(own); /* by what was refused just now */
    bool prepared = tx->booked != 0; /* 3PC: the id is taken by what will be voided */
    if (tx->verdict == LEDGER_TRANSFER_created) {
        ask(tx, CROSS_STEP_HOLD); /* nothing is against the payee */
    } else if (
        prepared || used_up ||
        (tx->chain != NULL && shards_cross_chain_used_up(tx, &tx->verdict))) {
        shards_cross_settle(tx, tx->verdict, tx->booked_at);
    } else {
        ask(tx, shards_cross_uses_the_id_up(tx->verdict) ? CROSS_STEP_FAIL : CROSS_STEP_CHECK);
    }
}

static void
take_check(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_result *result = &message->port.out.results[0];
    bool failed = result->status == LEDGER_TRANSFER_id_already_failed;
    if (shards_cross_is_different(result->status)) {
        ask(tx, CROSS_STEP_FIRST);
    } else {
        shards_cross_settle(tx, failed ? result->status : tx->verdict, result->timestamp);
    }
}

static void
take_fail(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_result *result = &message->port.out.results[0];
    if (shards_cross_is_different(result->status)) {
        ask(tx, tx->hold != NULL ? CROSS_STEP_PROBE : CROSS_STEP_FIRST);
        return;
    }
    bool once = tx->transaction != NULL && tx->chain == NULL &&
                commit_protocol(&tx->transaction->header) == COMMIT_3PC;
    /* In 3PC the payer's slot may have failed by itself meanwhile. */
    bool failed = once ? tx->failed_before : !tx->again;
    bool first = result->status == LEDGER_TRANSFER_debit_account_not_found ||
                 (result->status == LEDGER_TRANSFER_id_already_failed && failed);
    shards_cross_settle(tx, first ? result->status : tx->verdict, result->timestamp);
}

static void
take_hold(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_result *result = &message->port.out.results[0];
    if (shards_cross_is_different(result->status)) {
        tx->verdict = result->status;
        ask(tx, CROSS_STEP_FIRST);
        return;
    }
    shards_cross_settle(tx, result->status, result->timestamp);
}

/* What is against a posting in the payer's slot comes before what the payee's slot has against it,
 * as in one ledger, where a payee is looked at last. */
static void
take_probe(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (!answered(message)) {
        return;
    }
    const struct ledger_result *result = &message->port.out.results[0];
    const struct commit_run *run = &tx->run;
    bool committed = tx->transaction != NULL && commit_outcome(run) == COMMIT_OUTCOME_COMMITTED;
    if (committed) {
        shards_cross_settle(tx, LEDGER_TRANSFER_created, result->timestamp);
    } else if (result->status == LEDGER_TRANSFER_exists_with_different_flags) {
        tx->verdict = result->status;
        ask(tx, CROSS_STEP_FIRST); /* a 3PC leg that was voided is no transfer */
    } else if (result->status != LEDGER_TRANSFER_linked_event_failed) {
        shards_cross_settle(tx, result->status, result->timestamp);
    } else if (payee_refused(tx) && shards_cross_uses_the_id_up(run->reason)) {
        tx->verdict = run->reason;
        ask(tx, CROSS_STEP_FAIL);
    } else if (payee_refused(tx)) {
        shards_cross_settle(tx, run->reason, result->timestamp);
    } else {
        not_booked(tx);
    }
}

static void
take_member(struct cross_message *message)
{
    if (answered(message)) {
        shards_cross_chain_probed(message->tx, message->port.out.results);
    }
}

static void
take_members(struct cross_message *message)
{
    struct cross_tx *tx = message->tx;
    if (cross_is_checking(tx)) { /* else it came too late */
        bool told = message->port.error == ERR_OK;
        tx->asked = false;
        shards_cross_chain_checked(tx, told ? message->port.out.results : NULL);
    }
}

/* ----------------------------------------------------------------------------------- entries ---
 */

static void
explain_posting(struct cross_tx *tx)
{
    const struct commit_run *run = &tx->run;
    bool refused = payer_refused(run) && run->reason != 0;
    if (refused && !shards_cross_is_different(run->reason)) {
        shards_cross_settle(tx, run->reason, tx->booked_at);
    } else {
        ask(tx, CROSS_STEP_PROBE);
    }
}

void
shards_cross_explain(struct cross_tx *tx)
{
    const struct commit_run *run = &tx->run;
    if (tx->hold != NULL) {
        explain_posting(tx);
        return;
    }
    /* A chain that failed because it was there already says nothing of an abort behind it; and the
     * payer's slot, which had something by the id, may not have been heard when the payee's
     * refused. */
    bool unknown = run->reason == 0 || shards_cross_is_different(run->reason);
    if (unknown || is_anothers(tx)) {
        ask(tx, CROSS_STEP_FIRST);
    } else if (payer_says_why(tx) || run->reason == LEDGER_TRANSFER_id_already_failed) {
        shards_cross_settle(tx, run->reason, tx->booked_at);
    } else {
        ask(tx, CROSS_STEP_ACCOUNTS);
    }
}

void
shards_cross_explain_found(struct cross_tx *tx)
{
    ask(tx, tx->hold != NULL ? CROSS_STEP_PROBE : CROSS_STEP_FIRST);
}

void
shards_cross_explain_hold(struct cross_tx *tx)
{
    ask(tx, CROSS_STEP_ACCOUNTS);
}

void
shards_cross_explain_result(struct cross_tx *tx, uint32_t status)
{
    tx->verdict = status;
    ask(tx, CROSS_STEP_FIRST);
}

void
shards_cross_explain_end(struct cross_tx *tx, uint32_t status)
{
    /* Of a hold that nobody has nothing can be probed: who has the id has another one. */
    bool known = tx->hold->transfer.id != 0;
    tx->verdict = status;
    ask(tx, known ? CROSS_STEP_PROBE : CROSS_STEP_FIRST);
}

void
shards_cross_explain_chain_first(struct cross_tx *tx)
{
    ask(tx, CROSS_STEP_FIRST);
}

void
shards_cross_explain_chain_member(struct cross_tx *tx)
{
    ask(tx, CROSS_STEP_MEMBER);
}

void
shards_cross_explain_chain_members(struct cross_tx *tx)
{
    ask(tx, CROSS_STEP_MEMBERS);
}

void
shards_cross_explain_chain_accounts(struct cross_tx *tx)
{
    ask(tx, CROSS_STEP_ACCOUNTS);
}
