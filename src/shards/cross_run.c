/* A transaction: its asks, as vectors of one shard each, and what they came to. */
#include "cross_private.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

/* Of a run that was outbid: it waits for up to so long before it bids again. */
#define OUTBID_WAIT_MS 200

/* --------------------------------------------------------------------------------- beginning ---
 */

struct cross_digest
shards_cross_digest(const struct shards_cross *cross, struct span bytes)
{
    uint8_t hash[32];
    uint64_t words[2];
    cross->parts.sha256(bytes, hash);
    memcpy(words, hash, sizeof(words));
    return (struct cross_digest){.name = (u128)words[0] << 64 | words[1], .check = words[0]};
}

u128
shards_cross_name(const struct shards_cross *cross, u128 id, uint32_t attempt)
{
    unsigned char text[sizeof(id) + sizeof(attempt)];
    memcpy(text, &id, sizeof(id));
    memcpy(text + sizeof(id), &attempt, sizeof(attempt));
    return shards_cross_digest(cross, span_of((const char *)text, sizeof(text))).name;
}

/* The posting of a hold is always decided by the slot that has it, and that is what 2PC is. */
static void
legs_make(const struct cross_tx *tx, struct commit_request *request, struct commit_leg *legs)
{
    const struct ledger_transfer *event = &tx->job->request->in.transfers[tx->event];
    const struct ledger_transfer *about = tx->hold != NULL ? &tx->hold->transfer : event;
    struct ledger_transfer whole = *event;
    request->slots[0] = shard_slot_of_id(about->debit_account_id);
    request->slots[1] = shard_slot_of_id(about->credit_account_id);
    whole.debit_account_id = about->debit_account_id;
    whole.credit_account_id = about->credit_account_id;
    request->request_digest =
        shards_cross_digest(tx->job->cross, span_of((const char *)&whole, sizeof(whole))).check;
    if (tx->hold == NULL) {
        request->protocol = tx->job->cross->parts.protocol;
        request->leg_count = 2;
        commit_split(event, request->slots, legs);
        return;
    }
    const struct ledger_transfer paid = shards_cross_hold_paid(tx->hold, event);
    whole.credit_account_id =
        commit_account_id(COMMIT_ACCOUNT_HELD, about->ledger, request->slots[0]);
    request->protocol = COMMIT_2PC;
    request->leg_count = COMMIT_HOLD_LEGS;
    commit_split_hold(&whole, &paid, request->slots, legs);
}

static err_t
transaction_make(struct cross_tx *tx)
{
    const struct cross_job *job = tx->job;
    const struct ledger_transfer *event = &job->request->in.transfers[tx->event];
    struct commit_leg *legs = tx->transaction->legs;
    uint32_t attempt = tx->attempt + (tx->hold != NULL ? CROSS_ATTEMPT_POST : 0);
    struct commit_request request = {
        .slot_count = 2,
        .legs = legs,
        .name_digest = shards_cross_name(job->cross, event->id, attempt),
    };
    legs_make(tx, &request, legs);
    return commit_transaction_init(tx->transaction, &request);
}

err_t
shards_cross_run_begin(struct cross_tx *tx, uint64_t now)
{
    TRY(tx->chain != NULL ? shards_cross_chain_begin(tx) : transaction_make(tx));
    commit_begin(&tx->run, tx->transaction);
    tx->began_ns = now;
    tx->retry_ns = 0;
    tx->stage = CROSS_RUNNING;
    tx->late = false;
    tx->failed_before = false;
    tx->booked = 0;
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------- answers ---
 */

static bool
is_first_leg(const struct cross_tx *tx, const struct commit_ask *ask)
{
    return ask->member == 0 && tx->stage != CROSS_RESOLVING &&
           (ask->kind == COMMIT_ASK_DECIDE || ask->kind == COMMIT_ASK_PREPARE);
}

/* What the answer says beyond the protocol: when the client's transfer was booked, or that a leg's
 * id has failed for ever. */
static void
note_legs(struct cross_tx *tx, const struct cross_item *item, const struct ledger_result *results)
{
    if (item->ask.kind != COMMIT_ASK_PREPARE && item->ask.kind != COMMIT_ASK_DECIDE) {
        return;
    }
    if (tx->chain != NULL) {
        shards_cross_chain_note(tx, &item->ask, results);
        return;
    }
    for (uint32_t i = 0; i + 1 < item->count; i++) { /* the last one is the marker */
        tx->failed_before =
            tx->failed_before || results[i].status == LEDGER_TRANSFER_id_already_failed;
    }
    for (uint32_t i = 0; i + 1 < item->count && tx->booked == 0; i++) {
        bool says_why = results[i].status != LEDGER_TRANSFER_linked_event_failed;
        tx->booked_at = says_why ? results[i].timestamp : tx->booked_at;
    }
    bool is_there =
        results[0].status == LEDGER_TRANSFER_created || results[0].status == LEDGER_TRANSFER_exists;
    if (is_first_leg(tx, &item->ask) && is_there && tx->booked == 0) {
        tx->booked = results[0].status;
        tx->booked_at = results[0].timestamp;
    }
}

static void
try_later(struct cross_tx *tx, const struct commit_ask *ask, uint64_t now)
{
    tx->out = (uint8_t)(tx->out & ~(1U << ask->member));
    tx->retry_ns = now + cross_ms(tx->job->cross->parts.resend_ms);
}

static void
take_ask(const struct cross_message *message, const struct cross_item *item, uint64_t now)
{
    struct cross_tx *tx = item->tx;
    if (item->attempt != tx->attempt) {
        return;
    }
    if (message->port.error != ERR_OK) { /* it may have been done: the same is asked again */
        try_later(tx, &item->ask, now);
        return;
    }
    tx->out = (uint8_t)(tx->out & ~(1U << item->ask.member));
    note_legs(tx, item, &message->port.out.results[item->first]);
    commit_take(&tx->run, &item->ask, &message->port.out.results[item->first]);
    shards_cross_run_advance(tx);
}

static void
take_asks(struct cross_message *message)
{
    uint64_t now = cross_now(message->cross);
    struct cross_outgoing outgoing = {
        .cross = message->cross, .job = message->job, .expected = message->item_count};
    for (uint32_t i = 0; i < message->item_count; i++) {
        take_ask(message, &message->items[i], now);
        shards_cross_run_turn(message->items[i].tx, now, &outgoing);
    }
    shards_cross_outgoing_flush(&outgoing);
}

/* Up to the first entry that is not there. */
static void
take_log(struct cross_message *message)
{
    const struct cross_item *item = &message->items[0];
    const struct ledger_transfer *found = message->port.out.transfers;
    uint64_t now = cross_now(message->cross);
    uint32_t count = 0;
    if (item->attempt != item->tx->attempt) {
        return;
    }
    if (message->port.error != ERR_OK) {
        try_later(item->tx, &item->ask, now);
        return;
    }
    while (count < message->port.out_count && found[count].id == message->in.ids[count]) {
        count++;
    }
    item->tx->out = (uint8_t)(item->tx->out & ~(1U << item->ask.member));
    commit_take_log(&item->tx->run, &item->ask, found, count);
    shards_cross_run_advance(item->tx);
    struct cross_outgoing outgoing = {.cross = message->cross, .job = message->job, .expected = 1};
    shards_cross_run_turn(item->tx, now, &outgoing);
    shards_cross_outgoing_flush(&outgoing);
}

/* ----------------------------------------------------------------------------------- sending ---
 */

static void
send(struct cross_message **message)
{
    if (*message != NULL) {
        (*message)->take = take_asks;
        shards_cross_message_send(*message);
        *message = NULL;
    }
}

void
shards_cross_outgoing_flush(struct cross_outgoing *outgoing)
{
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        send(&outgoing->open[i]);
    }
}

/* Room for what may still come for the shard: a post and a prepare of each transaction. */
static struct cross_message *
open_message(struct cross_outgoing *outgoing, uint32_t count)
{
    uint64_t wanted = (uint64_t)outgoing->expected * (CROSS_LEGS + 1) + count;
    uint32_t room = wanted < LEDGER_BATCH_MAX ? (uint32_t)wanted : LEDGER_BATCH_MAX;
    return shards_cross_message_new(
        outgoing->cross, outgoing->job, PORT_LEDGER_CREATE_TRANSFERS, room, room);
}

static bool
add_read(struct cross_tx *tx, const struct commit_ask *ask, struct cross_outgoing *outgoing)
{
    struct cross_message *message = shards_cross_message_new(
        outgoing->cross, outgoing->job, PORT_LEDGER_LOOKUP_TRANSFERS, COMMIT_READ_MAX, 1);
    if (message == NULL) {
        return false;
    }
    commit_log_ids(&tx->run, ask, message->in.ids);
    message->port.count = COMMIT_READ_MAX;
    message->port.near = shards_cross_near(commit_slot(&tx->run, ask));
    message->items[0] = (struct cross_item){.tx = tx, .ask = *ask, .attempt = tx->attempt};
    message->item_count = 1;
    message->take = take_log;
    shards_cross_message_send(message);
    return true;
}

/* Where a test may end the process. */
static void
fault_before(const struct commit_ask *ask)
{
    if (ask->kind == COMMIT_ASK_PREPARE) {
        FAULT_POINT("cross-before-prepare");
    }
    if (ask->kind == COMMIT_ASK_DECIDE) {
        FAULT_POINT("cross-before-decide");
    }
    if (ask->kind == COMMIT_ASK_POST) {
        FAULT_POINT("cross-before-post");
    }
}

static bool
add_events(struct cross_tx *tx, const struct commit_ask *ask, struct cross_outgoing *outgoing)
{
    fault_before(ask);
    uint32_t count = commit_event_count(&tx->run, ask);
    uint16_t slot = commit_slot(&tx->run, ask);
    const struct shard_map *map = shards_router_map(outgoing->cross->parts.router);
    struct cross_message **message = &outgoing->open[map->owners[slot]];
    if (*message != NULL && (*message)->port.count + count > (*message)->room) {
        send(message);
    }
    if (*message == NULL) {
        *message = open_message(outgoing, count);
        if (*message == NULL) {
            return false;
        }
        (*message)->port.near = shards_cross_near(slot);
    }
    struct ledger_transfer *events = &(*message)->in.transfers[(*message)->port.count];
    uint32_t built = commit_build(&tx->run, ask, events);
    ASSERT(built == count);
    for (uint32_t i = 0; i < count; i++) {
        shards_cross_place_transfer(&events[i], slot);
    }
    (*message)->items[(*message)->item_count++] = (struct cross_item){
        .tx = tx,
        .ask = *ask,
        .attempt = tx->attempt,
        .first = (*message)->port.count,
        .count = count,
    };
    (*message)->port.count += count;
    return true;
}

static void
send_due(struct cross_tx *tx, uint64_t now, struct cross_outgoing *outgoing)
{
    for (uint8_t member = 0; member < tx->transaction->header.member_count; member++) {
        struct commit_ask ask;
        if ((tx->out >> member & 1) != 0 || !commit_next(&tx->run, member, &ask)) {
            continue;
        }
        tx->out = (uint8_t)(tx->out | 1U << member);
        bool sent = ask.kind == COMMIT_ASK_READ ? add_read(tx, &ask, outgoing)
                                                : add_events(tx, &ask, outgoing);
        if (!sent) {
            try_later(tx, &ask, now);
        }
    }
}

static void
watch_time(struct cross_tx *tx, uint64_t now)
{
    struct shards_cross *cross = tx->job->cross;
    const struct shards_cross_parts *parts = &cross->parts;
    bool unknown = commit_outcome(&tx->run) == COMMIT_OUTCOME_UNKNOWN;
    if (unknown && tx->run.state == COMMIT_OUTBID) {
        commit_conclude(&tx->run); /* the wait is over: see shards_cross_run_advance */
    }
    if (unknown && now - tx->began_ns > cross_ms(parts->deadline_ms) && !tx->late) {
        tx->late = true;
        commit_conclude(&tx->run);
    }
    if (now - tx->began_ns > cross_ms(parts->give_up_ms)) {
        shards_cross_tx_over(tx);
        if (tx->stage == CROSS_RUNNING) {
            shards_cross_leave(tx, CROSS_LEFT);
        }
    }
}

void
shards_cross_run_turn(struct cross_tx *tx, uint64_t now, struct cross_outgoing *outgoing)
{
    if (tx->over || tx->transaction == NULL || cross_is_checking(tx) || now < tx->retry_ns) {
        return;
    }
    watch_time(tx, now);
    if (!tx->over) {
        send_due(tx, now, outgoing);
    }
    if (tx->chain != NULL && commit_outcome(&tx->run) == COMMIT_OUTCOME_ABORTED) {
        shards_cross_chain_aborted(tx);
    }
    bool known = commit_outcome(&tx->run) != COMMIT_OUTCOME_UNKNOWN;
    bool told = tx->stage != CROSS_RUNNING && tx->stage != CROSS_EXPLAINING;
    if (!tx->over && known && told && tx->out == 0 && commit_ended(&tx->run)) {
        shards_cross_tx_over(tx);
    }
}

void
shards_cross_run_advance(struct cross_tx *tx)
{
    struct shards_cross *cross = tx->job->cross;
    if (tx->run.state == COMMIT_OUTBID) {
        tx->retry_ns =
            cross_now(cross) + os_prng_below(&cross->prng, OUTBID_WAIT_MS) * OS_NS_PER_MS;
        if (tx->retry_ns < tx->job->tick_ns) {
            tx->job->tick_ns = tx->retry_ns;
        }
    }
    if (tx->stage != CROSS_RUNNING) {
        return;
    }
    switch (commit_outcome(&tx->run)) {
    case COMMIT_OUTCOME_UNKNOWN:
        return;
    case COMMIT_OUTCOME_COMMITTED:
        CROSS_COUNT(cross, committed, 1);
        if (tx->booked != 0) {
            shards_cross_settle(tx, tx->booked, tx->booked_at);
        } else {
            shards_cross_explain_found(tx);
        }
        return;
    case COMMIT_OUTCOME_ABORTED:
        if (tx->chain != NULL) {
            shards_cross_chain_aborted(tx);
            return;
        }
        CROSS_COUNT(cross, aborted, 1);
        shards_cross_explain(tx);
        return;
    }
}
