/*
 * Linked chains on several shards. A chain is one transaction (core/commit), whatever its events
 * pay to whom; each event has its client's id in its payer's slot:
 *
 *     event's accounts         in the slot that decides (2PC)     in any other slot, and by 3PC
 *     both in one slot         as it is                           payer -> in transit, pending
 *                                                                 in transit -> payee, pending
 *     in two slots             payer -> in transit                payer -> in transit, pending
 *                              in transit -> payee, pending, in the payee's slot
 *
 * What is not plain (a hold within a slot, or what ends one) is possible where the decision is,
 * since it cannot be prepared: all of it must be in one slot, which then decides, by 2PC.
 *
 * A slot that prepares takes its client's ids, and no ledger gives one back. So where that would
 * be, all slots are probed before the transaction begins, and a refusal that they know is told at
 * once:
 *
 *     probe of all at once --> nothing against it, or not told in time: the transaction
 *         `--> the first event that any of them refuses --> as below
 *
 * What a client is told is what one ledger would tell: the first event that fails has its own
 * status, all others `linked_event_failed`. Each slot knows of its own first failure only, and
 * those that were not asked before the chain was aborted know nothing, so they are probed:
 *
 *     aborted, and ended in every slot --> a slot that was not heard? --> probe, one after the
 * other
 *         --> the first event that any of them refuses --> as for a transfer by itself
 *             (cross_explain.c): what has its id, or what is against its accounts
 */
#include "cross_private.h"

#include "base/assert.h"

#include <string.h>

static const struct ledger_transfer *
event_of(const struct cross_job *job, const struct cross_chain *chain, uint32_t event)
{
    return &job->request->in.transfers[chain->start + event];
}

/* Linked is what all of them are. */
static unsigned
flags_of(const struct ledger_transfer *event)
{
    return event->flags & ~(unsigned)LEDGER_TRANSFER_LINKED;
}

/* What says the accounts of an event. */
static const struct ledger_transfer *
about_of(const struct cross_job *job, const struct cross_chain *chain, uint32_t event)
{
    const struct cross_hold *hold = shards_cross_hold_of(job, chain->start + event);
    return hold != NULL ? &hold->transfer : event_of(job, chain, event);
}

/* ------------------------------------------------------------------------------ what may cross ---
 */

/* Makes or ends a hold within one slot, and says nothing that a transaction could not do. */
static bool
may_decide(const struct cross_job *job, const struct cross_chain *chain, uint32_t event)
{
    const struct ledger_transfer *transfer = event_of(job, chain, event);
    const struct cross_hold *hold = shards_cross_hold_of(job, chain->start + event);
    const struct ledger_transfer *about = about_of(job, chain, event);
    unsigned flags = flags_of(transfer);
    bool makes = flags == LEDGER_TRANSFER_PENDING;
    bool ends = flags == LEDGER_TRANSFER_POST_PENDING || flags == LEDGER_TRANSFER_VOID_PENDING;
    if (makes && (hold != NULL || shards_cross_is_faulty(transfer))) {
        return false;
    }
    if (ends && (hold == NULL || hold->is_held || hold->doubtful || hold->transfer.id == 0)) {
        return false;
    }
    bool agrees = (transfer->debit_account_id == 0 ||
                   transfer->debit_account_id == about->debit_account_id) &&
                  (transfer->credit_account_id == 0 ||
                   transfer->credit_account_id == about->credit_account_id);
    return (makes || ends) && agrees && transfer->timestamp == 0 && about->debit_account_id != 0 &&
           about->credit_account_id != 0 && !shards_cross_is_ours(about) &&
           shard_slot_of_id(about->debit_account_id) == shard_slot_of_id(about->credit_account_id);
}

static bool
may_be_plain(const struct ledger_transfer *transfer)
{
    u128 debit = transfer->debit_account_id;
    u128 credit = transfer->credit_account_id;
    return flags_of(transfer) == 0 && !shards_cross_is_faulty(transfer) && debit != 0 &&
           debit != U128_MAX && credit != 0 && credit != U128_MAX && debit != credit;
}

/* Its ids are one for each slot, but within a chain one for all. */
static bool
is_repeated(const struct cross_job *job, const struct cross_chain *chain, uint32_t event)
{
    for (uint32_t i = 0; i < event; i++) {
        if (event_of(job, chain, i)->id == event_of(job, chain, event)->id) {
            return true;
        }
    }
    return false;
}

/* The member that a slot is, made if there is none; COMMIT_MEMBERS_MAX: no room. */
static uint8_t
member_of(struct cross_chain *chain, uint16_t slot)
{
    uint8_t member = 0;
    while (member < chain->slot_count && chain->slots[member] != slot) {
        member++;
    }
    if (member == chain->slot_count && member < COMMIT_MEMBERS_MAX) {
        chain->slots[chain->slot_count++] = slot;
    }
    return member;
}

/* The slot of what is not plain, or of the first payer. */
static void
decider_choose(const struct cross_job *job, struct cross_chain *chain)
{
    chain->protocol = job->cross->parts.protocol;
    uint32_t first = 0;
    for (uint32_t i = 0; i < chain->count && chain->protocol != COMMIT_2PC; i++) {
        chain->protocol = flags_of(event_of(job, chain, i)) != 0 ? COMMIT_2PC : chain->protocol;
    }
    for (uint32_t i = chain->count; i > 0; i--) {
        first = flags_of(event_of(job, chain, i - 1)) != 0 ? i - 1 : first;
    }
    chain->slot_count = 0;
    (void)member_of(chain, shard_slot_of_id(about_of(job, chain, first)->debit_account_id));
}

static void
leg_is_clients(
    const struct cross_job *job,
    const struct ledger_transfer *event,
    u128 payee,
    struct commit_leg *leg)
{
    leg->own_name = commit_name(shards_cross_name(job->cross, event->id, 0));
    leg->payee = payee;
    leg->flags = event->flags;
    leg->transfer.flags = (uint16_t)flags_of(event);
}

/* Of one event: one or two. ERR_CROSSES_SHARDS: too many slots. */
static err_t
legs_of(
    const struct cross_job *job,
    struct cross_chain *chain,
    uint32_t event,
    struct commit_leg legs[2],
    uint8_t *ret_count)
{
    const struct ledger_transfer *transfer = event_of(job, chain, event);
    const struct ledger_transfer *about = about_of(job, chain, event);
    const uint16_t slots[2] = {
        shard_slot_of_id(about->debit_account_id), shard_slot_of_id(about->credit_account_id)};
    uint8_t payer = member_of(chain, slots[0]);
    uint8_t payee = member_of(chain, slots[1]);
    if (payer == COMMIT_MEMBERS_MAX || payee == COMMIT_MEMBERS_MAX) {
        return ERR_CROSSES_SHARDS;
    }
    bool decides = payer == 0 && chain->protocol == COMMIT_2PC;
    if (flags_of(transfer) != 0 && !decides) { /* what is not plain is in two slots */
        return ERR_CROSSES_SHARDS;
    }
    chain->once = chain->once || !decides;
    if (decides && payee == 0) {
        legs[0] = (struct commit_leg){.member = 0, .transfer = *transfer};
        legs[0].transfer.debit_account_id = about->debit_account_id; /* a shard finds it by them */
        legs[0].transfer.credit_account_id = about->credit_account_id;
        *ret_count = 1;
    } else {
        commit_split(transfer, slots, legs);
        legs[0].member = payer;
        legs[1].member = payee;
        legs[1].transfer.flags = 0;
        *ret_count = 2;
    }
    leg_is_clients(job, transfer, about->credit_account_id, &legs[0]);
    legs[0].event = (uint8_t)event;
    legs[1].event = (uint8_t)event;
    return ERR_OK;
}

/* `ret_place`: the event that may not cross. */
static err_t
legs_make(
    const struct cross_job *job,
    struct cross_chain *chain,
    struct commit_leg legs[CROSS_CHAIN_LEGS_MAX],
    uint32_t *ret_place)
{
    chain->leg_count = 0;
    chain->once = false;
    for (uint32_t i = 0; i < chain->count; i++) {
        *ret_place = chain->start + i;
        const struct ledger_transfer *event = event_of(job, chain, i);
        bool may = may_be_plain(event) || may_decide(job, chain, i);
        if (!may || shards_cross_is_ours(event) || is_repeated(job, chain, i)) {
            return ERR_CROSSES_SHARDS;
        }
    }
    decider_choose(job, chain);
    for (uint32_t i = 0; i < chain->count; i++) {
        struct commit_leg some[2];
        uint8_t count = 0;
        *ret_place = chain->start + i;
        TRY(legs_of(job, chain, i, some, &count));
        if (chain->leg_count + count > CROSS_CHAIN_LEGS_MAX) {
            return ERR_CROSSES_SHARDS;
        }
        memcpy(&legs[chain->leg_count], some, count * sizeof(some[0]));
        chain->leg_count = (uint8_t)(chain->leg_count + count);
    }
    return ERR_OK;
}

err_t
shards_cross_chain_check(
    const struct cross_job *job, const struct cross_unit *unit, uint32_t *ret_place)
{
    struct cross_chain chain = {.start = unit->start, .count = unit->count};
    struct commit_leg legs[CROSS_CHAIN_LEGS_MAX];
    const struct ledger_transfer *last = &job->request->in.transfers[unit->start + unit->count - 1];
    if ((last->flags & LEDGER_TRANSFER_LINKED) != 0) { /* the batch ends within it */
        *ret_place = unit->start + unit->count - 1;
        return ERR_CROSSES_SHARDS;
    }
    if (unit->count > CROSS_CHAIN_LEGS_MAX) {
        *ret_place = unit->start + CROSS_CHAIN_LEGS_MAX;
        return ERR_CROSSES_SHARDS;
    }
    return legs_make(job, &chain, legs, ret_place);
}

err_t
shards_cross_chain_begin(struct cross_tx *tx)
{
    const struct cross_job *job = tx->job;
    struct cross_chain *chain = tx->chain;
    struct commit_leg legs[CROSS_CHAIN_LEGS_MAX];
    uint32_t place = 0;
    tx->event = chain->start;
    chain->heard = 0;
    chain->ended = false;
    memset(chain->refusals, 0, sizeof(chain->refusals));
    TRY(legs_make(job, chain, legs, &place));
    const struct ledger_transfer *events = event_of(job, chain, 0);
    const struct cross_digest digest = shards_cross_digest(
        job->cross, span_of((const char *)events, chain->count * sizeof(*events)));
    struct commit_request request = {
        .protocol = chain->protocol,
        .slot_count = chain->slot_count,
        .leg_count = chain->leg_count,
        .legs = legs,
        .name_digest =
            shards_cross_name(job->cross, digest.name, CROSS_ATTEMPT_CHAIN + tx->attempt),
        .request_digest = digest.check,
    };
    memcpy(request.slots, chain->slots, sizeof(request.slots));
    return commit_transaction_init(tx->transaction, &request);
}

/* -------------------------------------------------------------------------------------- answers
 * ---
 */

static bool
is_booked(uint32_t status)
{
    return status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists;
}

static bool
fails(uint32_t status)
{
    return status != LEDGER_TRANSFER_created && status != LEDGER_TRANSFER_linked_event_failed;
}

static void
note_refusal(
    struct cross_chain *chain, uint8_t member, const struct commit_leg *leg, uint32_t status)
{
    struct cross_refusal *refusal = &chain->refusals[member];
    bool is_payers = leg->own_name != 0;
    if (refusal->status == 0 && fails(status)) {
        *refusal = (struct cross_refusal){
            .status = status,
            .event = leg->event,
            .is_payers = is_payers,
            .is_whole = is_payers && leg->transfer.credit_account_id == leg->payee,
            .uses_up = is_payers && shards_cross_uses_the_id_up(status),
        };
    }
}

/* A note has its id from a transfer by itself that was buried: it will never be. */
static void
note_of_note(
    struct cross_chain *chain, uint8_t member, const struct commit_leg *leg, uint32_t status)
{
    struct cross_refusal *refusal = &chain->refusals[member];
    if (leg->own_name != 0 && refusal->status == 0 && fails(status)) {
        *refusal = (struct cross_refusal){
            .status = LEDGER_TRANSFER_id_already_failed,
            .event = leg->event,
            .is_payers = true,
        };
    }
}

/* What a slot says of its legs, in their order, and then of their notes; the first that fails is
 * why all of them do. */
static void
note_legs(struct cross_tx *tx, uint8_t member, const struct ledger_result *results, bool has_notes)
{
    const struct commit_transaction *transaction = tx->transaction;
    struct cross_chain *chain = tx->chain;
    uint32_t at = 0;
    chain->heard = (uint8_t)(chain->heard | 1U << member);
    for (uint32_t i = 0; i < transaction->leg_count; i++) {
        const struct commit_leg *leg = &transaction->legs[i];
        if (leg->member != member) {
            continue;
        }
        const struct ledger_result *result = &results[at++];
        note_refusal(chain, member, leg, result->status);
        if (leg->own_name != 0 && is_booked(result->status)) {
            uint32_t place = chain->start + leg->event;
            tx->job->request->out.results[place].timestamp = result->timestamp;
        }
    }
    for (uint32_t i = 0; has_notes && i < transaction->leg_count; i++) {
        const struct commit_leg *leg = &transaction->legs[i];
        if (leg->member == member && leg->own_name != 0) {
            note_of_note(chain, member, leg, results[at++].status);
        }
    }
}

void
shards_cross_chain_note(
    struct cross_tx *tx, const struct commit_ask *ask, const struct ledger_result *results)
{
    uint8_t member = (uint8_t)ask->member;
    if (tx->stage != CROSS_RUNNING || (tx->chain->heard >> member & 1) != 0) {
        return; /* told, or a repeat, which says nothing of the first time */
    }
    note_legs(tx, member, results, true);
    if (member != 0) {
        return;
    }
    uint32_t marker = results[commit_event_count(&tx->run, ask) - 1].status;
    if (marker == LEDGER_TRANSFER_created) {
        tx->booked = LEDGER_TRANSFER_created;
    } else if (tx->chain->refusals[0].status == LEDGER_TRANSFER_exists) {
        tx->booked = LEDGER_TRANSFER_exists; /* if it is committed, it was before */
    }
    tx->booked_at = tx->job->request->out.results[tx->event].timestamp;
}

void
shards_cross_chain_results(struct cross_tx *tx, uint32_t status, uint64_t timestamp)
{
    const struct cross_chain *chain = tx->chain;
    struct ledger_result *results = &tx->job->request->out.results[chain->start];
    bool all = status == LEDGER_TRANSFER_created;
    for (uint32_t i = 0; i < chain->count; i++) {
        bool is_told = chain->start + i == tx->event;
        uint64_t own = all && results[i].timestamp != 0 ? results[i].timestamp : timestamp;
        results[i] = (struct ledger_result){
            .timestamp = own,
            .status = all || is_told ? status : LEDGER_TRANSFER_linked_event_failed,
        };
    }
}

/* ------------------------------------------------------------------------------- why it failed ---
 */

static bool
has(uint8_t members, uint8_t member)
{
    return (members >> member & 1) != 0;
}

/* Of a slot that has prepared nothing counts: it had nothing against its part. */
static const struct cross_refusal *
refusal_of(const struct cross_tx *tx, uint8_t member)
{
    const struct cross_refusal *refusal = &tx->chain->refusals[member];
    return refusal->status == 0 || has(tx->run.prepared, member) ? NULL : refusal;
}

/* The least event that was refused: by its payer's slot, if that has, else by its payee's. */
static const struct cross_refusal *
first_refusal(const struct cross_tx *tx)
{
    const struct cross_refusal *first = NULL;
    for (uint8_t member = 0; member < tx->chain->slot_count; member++) {
        const struct cross_refusal *refusal = refusal_of(tx, member);
        bool is_first = refusal != NULL && (first == NULL || refusal->event < first->event ||
                                            (refusal->event == first->event && refusal->is_payers));
        first = is_first ? refusal : first;
    }
    return first;
}

/* Where the client's id of the event that is told of is, or would be. */
static const struct commit_leg *
own_leg(const struct cross_tx *tx)
{
    for (uint32_t i = 0; i < tx->transaction->leg_count; i++) {
        const struct commit_leg *leg = &tx->transaction->legs[i];
        if (leg->own_name != 0 && tx->chain->start + leg->event == tx->event) {
            return leg;
        }
    }
    UNREACHABLE();
}

static bool
is_pending_at(const struct cross_chain *chain, uint8_t member)
{
    return member != 0 || chain->protocol == COMMIT_3PC;
}

bool
shards_cross_chain_used_up(const struct cross_tx *tx, uint32_t *verdict)
{
    const struct commit_leg *leg = own_leg(tx);
    const struct cross_refusal *refusal = &tx->chain->refusals[leg->member];
    if (has(tx->run.prepared, leg->member) && is_pending_at(tx->chain, leg->member)) {
        /* If the slot had prepared before, the chain was aborted before, for this. */
        bool repeated = refusal->status != 0 && shards_cross_uses_the_id_up(*verdict);
        *verdict = repeated ? LEDGER_TRANSFER_id_already_failed : *verdict;
        return true;
    }
    return refusal->uses_up && tx->chain->start + refusal->event == tx->event;
}

uint32_t
shards_cross_chain_burns(const struct cross_tx *tx)
{
    for (uint32_t i = 0; i < tx->transaction->leg_count; i++) {
        const struct commit_leg *leg = &tx->transaction->legs[i];
        if (leg->own_name != 0 && is_pending_at(tx->chain, leg->member)) {
            return tx->chain->start + leg->event;
        }
    }
    return tx->chain->start;
}

/* All have been heard. */
static void
explain(struct cross_tx *tx)
{
    const struct cross_refusal *refusal = first_refusal(tx);
    tx->event = tx->chain->start + (refusal != NULL ? refusal->event : 0);
    tx->booked = 0;
    tx->booked_at = tx->job->request->out.results[tx->event].timestamp;
    if (refusal == NULL) { /* somebody has buried it */
        shards_cross_explain_chain_first(tx);
        return;
    }
    tx->run.reason = refusal->status;
    bool plain = flags_of(event_of(tx->job, tx->chain, refusal->event)) == 0;
    if (refusal->is_payers && plain && shards_cross_is_different(refusal->status)) {
        shards_cross_explain_chain_first(tx);
    } else if (
        refusal->is_whole ||
        (refusal->is_payers && refusal->status == LEDGER_TRANSFER_id_already_failed)) {
        shards_cross_settle(tx, refusal->status, tx->booked_at);
    } else {
        shards_cross_explain_chain_accounts(tx);
    }
}

/* The next slot that knows something which was not asked yet; or it is told. */
static void
hear(struct cross_tx *tx)
{
    struct cross_chain *chain = tx->chain;
    for (uint8_t member = 0; member < chain->slot_count; member++) {
        if (!has(chain->heard, member) && !has(tx->run.prepared, member)) {
            chain->probing = member;
            shards_cross_explain_chain_member(tx);
            return;
        }
    }
    explain(tx);
}

void
shards_cross_chain_aborted(struct cross_tx *tx)
{
    if (tx->stage != CROSS_RUNNING) {
        return;
    }
    if (!tx->chain->ended) {
        tx->chain->ended = true;
        CROSS_COUNT(tx->job->cross, aborted, 1);
    }
    if (tx->out == 0 && commit_ended(&tx->run)) {
        hear(tx);
    }
}

/* The legs of a slot, linked with an event that can never be. */
static void
probe_add(const struct cross_tx *tx, uint8_t member, struct cross_message *message)
{
    const struct commit_ask prepare = {.kind = COMMIT_ASK_PREPARE, .member = member};
    struct ledger_transfer *events = &message->in.transfers[message->port.count];
    struct ledger_transfer built[COMMIT_EVENTS_MAX];
    uint32_t count = tx->transaction->legs_of[member];
    ASSERT(message->port.count + count < message->room);
    (void)commit_build(&tx->run, &prepare, built);
    memcpy(events, built, count * sizeof(built[0]));
    for (uint32_t i = 0; i < count; i++) {
        shards_cross_place_transfer(&events[i], tx->chain->slots[member]);
    }
    events[count] = (struct ledger_transfer){0};
    message->port.count += count + 1;
}

void
shards_cross_chain_probe(const struct cross_tx *tx, struct cross_message *message)
{
    probe_add(tx, tx->chain->probing, message);
    message->port.near = shards_cross_near(tx->chain->slots[tx->chain->probing]);
}

void
shards_cross_chain_probed(struct cross_tx *tx, const struct ledger_result *results)
{
    note_legs(tx, tx->chain->probing, results, false);
    hear(tx);
}

void
shards_cross_chain_probe_all(const struct cross_tx *tx, struct cross_message *message)
{
    for (uint8_t member = 0; member < tx->chain->slot_count; member++) {
        probe_add(tx, member, message);
    }
}

static void
run_after_check(struct cross_tx *tx)
{
    struct cross_job *job = tx->job;
    uint64_t now = cross_now(job->cross);
    struct cross_outgoing outgoing = {.cross = job->cross, .job = job, .expected = 1};
    err_t result = shards_cross_run_begin(tx, now);
    ASSERT(result == ERR_OK); /* as before the check */
    shards_cross_run_turn(tx, now, &outgoing);
    shards_cross_outgoing_flush(&outgoing);
}

/* What is there as it would be may be this chain's own, of whoever began it before: the transaction
 * finds out. All else is refused by what the ledgers have said, and will be refused again if it
 * comes again: the id of the event is used up before that is told, so the chain cannot be booked by
 * somebody else either. */
void
shards_cross_chain_checked(struct cross_tx *tx, const struct ledger_result *results)
{
    ASSERT(tx->chain->checking);
    tx->chain->checking = false;
    for (uint8_t member = 0; results != NULL && member < tx->chain->slot_count; member++) {
        note_legs(tx, member, results, false);
        results += tx->transaction->legs_of[member] + 1;
    }
    const struct cross_refusal *refusal = first_refusal(tx);
    if (refusal == NULL || refusal->status == LEDGER_TRANSFER_exists) {
        run_after_check(tx);
        return;
    }
    shards_cross_tx_over(tx); /* nothing was begun */
    explain(tx);
}
