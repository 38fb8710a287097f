/*
 * A batch of which something crosses: the accounts of its slots, then level after level, then its
 * answer. What was decided is posted after the answer.
 *
 *     accounts --> level 1 --> level 2 ... --> both accounts of each event, if they are wanted
 *                   local events as one batch, beside the transactions' votes and decisions
 */
#include "cross_private.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

/* ----------------------------------------------------------------------------------- results ---
 */

void
shards_cross_tx_over(struct cross_tx *tx)
{
    ASSERT(!tx->over);
    ASSERT(tx->job->tx_open > 0);
    tx->over = true;
    tx->job->tx_open--;
}

void
shards_cross_settle(struct cross_tx *tx, uint32_t status, uint64_t timestamp)
{
    struct cross_job *job = tx->job;
    ASSERT(tx->stage == CROSS_RUNNING || tx->stage == CROSS_EXPLAINING);
    ASSERT(job->request != NULL);
    ASSERT(job->unsettled > 0);
    if (tx->chain != NULL) {
        shards_cross_chain_results(tx, status, timestamp);
    } else {
        job->request->out.results[tx->event] =
            (struct ledger_result){.timestamp = timestamp, .status = status};
    }
    tx->stage = CROSS_SETTLED;
    job->unsettled--;
    job->some_done = true;
    if (tx->transaction == NULL) {
        shards_cross_tx_over(tx);
    }
}

void
shards_cross_leave(struct cross_tx *tx, enum cross_stage stage)
{
    struct cross_job *job = tx->job;
    const struct shards_cross_parts *parts = &job->cross->parts;
    ASSERT(stage == CROSS_LEFT || stage == CROSS_UNDONE);
    ASSERT(job->unsettled > 0);
    tx->stage = stage;
    job->unsettled--;
    job->some_done = job->some_done || stage == CROSS_LEFT;
    job->error = stage == CROSS_LEFT    ? ERR_OUTCOME_UNKNOWN
                 : job->error == ERR_OK ? ERR_BUSY
                                        : job->error;
    if (tx->transaction == NULL) {
        shards_cross_tx_over(tx);
        return;
    }
    if (stage == CROSS_LEFT) {
        CROSS_COUNT(job->cross, left, 1);
        if (parts->log != NULL) {
            parts->log(
                parts->context,
                true,
                "a transaction without outcome is left to the resolver",
                tx->transaction->header.name,
                commit_state_name(tx->run.state),
                &job->trace);
        }
        if (!tx->over) {
            shards_cross_tx_over(tx);
        }
    }
}

static void
job_answer(struct cross_job *job)
{
    struct port_ledger_request *request = job->request;
    err_t error = job->error;
    job->request = NULL;
    if (error != ERR_OK && job->some_done) { /* SHARDS-3 */
        error = ERR_OUTCOME_UNKNOWN;
    }
    CROSS_COUNT(job->cross, busy, error == ERR_BUSY ? 1 : 0);
    request->out_count = error == ERR_OK ? request->count : request->out_count;
    FAULT_POINT("cross-before-answer");
    shards_cross_answer(request, error);
}

/* ------------------------------------------------------------------------------------ levels ---
 */

static struct cross_tx *
tx_new(struct cross_job *job, uint32_t event, uint64_t now)
{
    ASSERT(job->tx_count < job->request->count);
    struct cross_tx *tx = &job->txs[job->tx_count++];
    memset(tx, 0, offsetof(struct cross_tx, run.logs)); /* those whoever begins a run sees to */
    tx->job = job;
    tx->event = event;
    tx->began_ns = now;
    tx->stage = CROSS_RUNNING;
    job->tx_open++;
    job->unsettled++;
    return tx;
}

static void
tx_begin(
    struct cross_job *job,
    const struct cross_unit *unit,
    uint64_t now,
    struct cross_outgoing *outgoing)
{
    struct cross_tx *tx = tx_new(job, unit->start, now);
    tx->way = unit->way;
    if (unit->way == CROSS_WAY_HOLD) {
        shards_cross_explain_hold(tx);
        return;
    }
    tx->hold = unit->way == CROSS_WAY_POST ? shards_cross_hold_of(job, unit->start) : NULL;
    char *memory = job->transactions + (uint64_t)unit->start * CROSS_TRANSACTION_SIZE;
    if (unit->way == CROSS_WAY_CHAIN) {
        tx->chain = (void *)memory;
        *tx->chain = (struct cross_chain){.start = unit->start, .count = unit->count};
        memory += CROSS_CHAIN_SIZE;
    }
    tx->transaction = (void *)memory;
    err_t result = shards_cross_run_begin(tx, now);
    ASSERT(result == ERR_OK); /* shards_cross_plan has looked */
    if (tx->chain != NULL && tx->chain->once) {
        tx->chain->checking = true;
        shards_cross_explain_chain_members(tx);
        return;
    }
    shards_cross_run_turn(tx, now, outgoing);
}

static void
explain_if_doubtful(struct cross_job *job, uint32_t event)
{
    const struct ledger_result *result = &job->request->out.results[event];
    const struct ledger_transfer *transfer = &job->request->in.transfers[event];
    if (shards_cross_result_is_doubtful(transfer, result->status)) {
        struct cross_tx *tx = tx_new(job, event, cross_now(job->cross));
        tx->booked_at = result->timestamp;
        shards_cross_explain_result(tx, result->status);
    }
}

/* A post that crossed has a flag more than one that did not. */
static void
explain_if_other_end(struct cross_job *job, uint32_t event)
{
    const struct ledger_result *result = &job->request->out.results[event];
    const struct cross_hold *hold = shards_cross_hold_of(job, event);
    if (hold != NULL && !shards_cross_is_chained(job, event) &&
        result->status == LEDGER_TRANSFER_exists_with_different_flags) {
        struct cross_tx *tx = tx_new(job, event, cross_now(job->cross));
        tx->hold = hold;
        tx->booked_at = result->timestamp;
        shards_cross_explain_end(tx, result->status);
    }
}

static void
take_local(struct cross_message *message)
{
    struct cross_job *job = message->job;
    job->level_out--;
    err_t error = message->port.error;
    if (error == ERR_CROSSES_SHARDS) { /* by a map that is newer than the plan: nothing was done */
        error = ERR_BUSY;
    }
    if (error != ERR_OK) {
        job->some_done = job->some_done || error == ERR_OUTCOME_UNKNOWN;
        job->error = job->error == ERR_OK ? error : job->error;
        return;
    }
    job->some_done = true;
    for (uint32_t i = 0; i < message->port.count; i++) {
        uint32_t event = message->positions[i];
        const struct ledger_result *result = &message->port.out.results[i];
        job->request->out.results[event] = *result;
        explain_if_doubtful(job, event);
        explain_if_other_end(job, event);
        /* Was its hold made after it was looked up? */
        const struct cross_hold *hold = shards_cross_hold_of(job, event);
        bool other =
            hold != NULL && hold->transfer.id == 0 &&
            result->status == LEDGER_TRANSFER_pending_transfer_has_different_credit_account_id;
        job->error = other && job->error == ERR_OK ? ERR_OUTCOME_UNKNOWN : job->error;
    }
}

static void
add_local(struct cross_message *message, const struct cross_unit *unit)
{
    const struct ledger_transfer *events = message->job->request->in.transfers;
    for (uint32_t i = 0; i < unit->count; i++) {
        struct ledger_transfer *event = &message->in.transfers[message->port.count];
        *event = events[unit->start + i];
        if (unit->way == CROSS_WAY_END) {
            FAULT_POINT("cross-before-end");
            shards_cross_hold_translate(
                message->job,
                shards_cross_hold_of(message->job, unit->start),
                &events[unit->start],
                event);
        } else if (unit->way == CROSS_WAY_FAULTY) { /* to the payer's shard, which refuses it */
            uint16_t slot = shard_slot_of_id(event->debit_account_id);
            event->credit_account_id = shards_cross_place(
                commit_account_id(COMMIT_ACCOUNT_NOBODY, event->ledger, slot), slot);
        }
        message->positions[message->port.count++] = unit->start + i;
    }
}

static void
level_begin(struct cross_job *job)
{
    uint64_t now = cross_now(job->cross);
    uint32_t level = job->units[job->unit_next].level;
    uint32_t end = job->unit_next;
    uint32_t local = 0;
    struct cross_outgoing outgoing = {.cross = job->cross, .job = job};
    for (; end < job->unit_count && job->units[end].level == level; end++) {
        bool crosses = cross_way_crosses(job->units[end].way);
        local += crosses ? 0 : job->units[end].count;
        outgoing.expected += crosses ? 1 : 0;
    }
    struct cross_message *message = NULL;
    if (local > 0) {
        message = shards_cross_message_new(job->cross, job, PORT_LEDGER_CREATE_TRANSFERS, local, 1);
        if (message == NULL) {
            job->error = ERR_BUSY;
            return;
        }
        message->take = take_local;
    }
    for (uint32_t i = job->unit_next; i < end; i++) {
        if (cross_way_crosses(job->units[i].way)) {
            tx_begin(job, &job->units[i], now, &outgoing);
        } else {
            ASSERT(message != NULL);
            add_local(message, &job->units[i]);
        }
    }
    job->unit_next = end;
    shards_cross_outgoing_flush(&outgoing);
    if (message != NULL) {
        job->level_out++;
        shards_cross_message_send(message);
    }
}

/* ------------------------------------------------------------------------------------- pairs ---
 */

static const struct ledger_account *
account_in(const struct cross_message *message, u128 id)
{
    for (uint32_t i = 0; i < message->port.out_count; i++) {
        if (message->port.out.accounts[i].id == id) {
            return &message->port.out.accounts[i];
        }
    }
    return NULL;
}

/* The accounts that an event is about; a second phase may leave them to its hold. */
static void
pair_of(const struct cross_job *job, uint32_t event, u128 ids[2])
{
    const struct ledger_transfer *transfer = &job->request->in.transfers[event];
    const struct cross_hold *hold = shards_cross_hold_of(job, event);
    const struct ledger_transfer *about = hold != NULL ? &hold->transfer : transfer;
    bool debit = transfer->debit_account_id != 0;
    bool credit = transfer->credit_account_id != 0;
    ids[0] = debit ? transfer->debit_account_id : about->debit_account_id;
    ids[1] = credit ? transfer->credit_account_id : about->credit_account_id;
}

/* As they stand now, which is after the event. */
static void
take_pairs(struct cross_message *message)
{
    struct cross_job *job = message->job;
    job->pairs_out--;
    if (message->port.error != ERR_OK) {
        job->error = ERR_OUTCOME_UNKNOWN;
        return;
    }
    for (uint32_t i = 0; i < message->item_count; i++) {
        uint32_t event = message->items[i].first;
        const u128 *ids = &message->in.ids[2 * i];
        const struct ledger_account *debit = account_in(message, ids[0]);
        const struct ledger_account *credit = account_in(message, ids[1]);
        job->request->pairs[event] = (struct port_ledger_pair){0};
        if (debit != NULL) {
            job->request->pairs[event].debit = *debit;
        }
        if (credit != NULL) {
            job->request->pairs[event].credit = *credit;
        }
    }
}

/* Of a batch that one shard has answered with pairs, those are stale that were done again. */
static bool
wants_pair(const struct cross_job *job, uint32_t event)
{
    return !job->again || shards_cross_hold_of(job, event) != NULL;
}

/* Few events to a message, so that accounts are found among few. */
static void
pairs_begin(struct cross_job *job)
{
    enum {
        EVENTS_EACH = 16,
    };

    job->pairs_asked = true;
    for (uint32_t at = 0; at < job->request->count;) {
        uint32_t left = job->request->count - at;
        uint32_t some = left < EVENTS_EACH ? left : EVENTS_EACH;
        struct cross_message *message =
            shards_cross_message_new(job->cross, job, PORT_LEDGER_LOOKUP_ACCOUNTS, 2 * some, some);
        if (message == NULL) {
            job->error = ERR_OUTCOME_UNKNOWN;
            return;
        }
        for (uint32_t i = 0; i < some; i++) {
            if (wants_pair(job, at + i)) {
                uint32_t item = message->item_count++;
                pair_of(job, at + i, &message->in.ids[2 * item]);
                message->items[item].first = at + i;
            }
        }
        at += some;
        if (message->item_count == 0) {
            shards_cross_message_free(message);
            continue;
        }
        message->port.count = 2 * message->item_count;
        message->take = take_pairs;
        job->pairs_out++;
        shards_cross_message_send(message);
    }
}

/* --------------------------------------------------------------------------------- the whole ---
 */

/* What it is about is known now. */
static void
job_plan(struct cross_job *job)
{
    job->unplanned = false;
    job->error = shards_cross_plan(job);
    if (job->error == ERR_OK) {
        err_t result = shards_cross_accounts_begin(job);
        job->error = job->error == ERR_OK ? result : job->error;
    }
    for (uint32_t i = 0; job->again && job->error == ERR_OK && i < job->request->count; i++) {
        explain_if_doubtful(job, i);
    }
}

/* True: something was begun, and may be over already. */
static bool
job_step(struct cross_job *job)
{
    if (job->read != NULL || job->request == NULL || job->holds_out > 0 || job->accounts_out > 0 ||
        job->level_out > 0 || job->unsettled > 0 || job->pairs_out > 0) {
        return false;
    }
    if (job->error != ERR_OK) {
        job_answer(job);
    } else if (job->unplanned) {
        job_plan(job);
        return true;
    } else if (job->unit_next < job->unit_count) {
        level_begin(job);
        return true;
    } else if (job->request->pairs != NULL && !job->pairs_asked) {
        pairs_begin(job);
        return true;
    } else {
        job_answer(job);
    }
    return false;
}

void
shards_cross_job_turn(struct cross_job *job)
{
    if (job->turning) {
        return;
    }
    job->turning = true;
    while (job_step(job)) {
    }
    job->turning = false;
    if (job->request == NULL && job->out == 0 && job->tx_open == 0) {
        shards_cross_resolve_ended(job);
        shards_cross_job_free(job);
    }
}

void
shards_cross_job_begin(struct cross_job *job)
{
    job->turning = true;
    job->unplanned = true;
    err_t result = shards_cross_holds_begin(job);
    job->error = job->error == ERR_OK ? result : job->error;
    job->turning = false;
    shards_cross_job_turn(job);
}

void
shards_cross_job_explain_results(struct cross_job *job)
{
    job->some_done = true;
    job->again = true;
    shards_cross_job_begin(job);
}

/* A tick may find ten thousand transactions under way that wait for answers. Whatever is tried
 * later waits for resend_ms, so that those of a job are looked at as seldom, but for one that says
 * when itself; a deadline may be noticed later by as much. */
void
shards_cross_job_tick(struct cross_job *job, uint64_t now)
{
    if (now < job->tick_ns) {
        return;
    }
    job->tick_ns = now + cross_ms(job->cross->parts.resend_ms);
    struct cross_outgoing outgoing = {.cross = job->cross, .job = job, .expected = 1};
    job->turning = true;
    for (uint32_t i = 0; i < job->tx_count; i++) {
        struct cross_tx *tx = &job->txs[i];
        shards_cross_explain_tick(tx, now);
        shards_cross_run_turn(tx, now, &outgoing);
        if (!tx->over && tx->retry_ns > now && tx->retry_ns < job->tick_ns) {
            job->tick_ns = tx->retry_ns;
        }
    }
    shards_cross_outgoing_flush(&outgoing);
    job->turning = false;
    shards_cross_job_turn(job);
}
