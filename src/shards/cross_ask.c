/*
 * What is asked at each step of explaining (cross_explain.c): a look-up in one slot, or transfers
 * that only fail, or that make a hold. Each is a message about one transaction; what its answer
 * leads to is not known here.
 */
#include "cross_explain_private.h"

#include "base/assert.h"
#include "os/fault.h"

static uint16_t
slot_of_payer(const struct cross_tx *tx)
{
    const struct ledger_transfer *event = cross_event_of(tx);
    bool known = tx->hold != NULL && tx->hold->transfer.debit_account_id != 0;
    return shard_slot_of_id(
        known                           ? tx->hold->transfer.debit_account_id
        : event->debit_account_id != 0  ? event->debit_account_id
        : event->credit_account_id != 0 ? event->credit_account_id
                                        : event->id);
}

static u128
name_of(const struct cross_tx *tx, uint32_t attempt)
{
    return commit_name(shards_cross_name(tx->job->cross, cross_event_of(tx)->id, attempt));
}

static void
build_first(const struct cross_tx *tx, struct cross_message *message)
{
    uint16_t slot = slot_of_payer(tx);
    u128 *ids = message->in.ids;
    ids[CROSS_FIRST_CLIENTS] = cross_event_of(tx)->id;
    for (uint32_t i = 0; i < SHARDS_ATTEMPTS_MAX; i++) {
        ids[CROSS_FIRST_MARKERS + i] = commit_marker_id(name_of(tx, i), slot);
    }
    ids[CROSS_FIRST_POST] = commit_end_id(name_of(tx, 0), slot, 0, true);
    ids[CROSS_FIRST_VOID] = commit_end_id(name_of(tx, 0), slot, 0, false);
    ids[CROSS_FIRST_HOLD] =
        shards_cross_hold_marker_id(tx->job->cross, cross_event_of(tx)->id, slot);
    message->port.count = CROSS_FIRST_COUNT;
    message->port.near = shards_cross_near(slot);
}

static void
build_second(const struct cross_tx *tx, struct cross_message *message)
{
    uint16_t slot = cross_slot_of_payee(tx);
    message->in.ids[0] = commit_leg_id(name_of(tx, tx->booked_attempt), slot, 1);
    message->port.count = 1;
    message->port.near = shards_cross_near(slot);
}

static void
build_accounts(const struct cross_tx *tx, struct cross_message *message)
{
    message->in.ids[0] = cross_event_of(tx)->debit_account_id;
    message->in.ids[1] = cross_event_of(tx)->credit_account_id;
    message->port.count = 2;
}

/* The same transfer with a mistake that a ledger looks for behind the id. */
static void
build_check(const struct cross_tx *tx, struct cross_message *message)
{
    uint16_t slot = slot_of_payer(tx);
    struct ledger_transfer *event = &message->in.transfers[0];
    *event = *cross_event_of(tx);
    event->flags &= (uint16_t)~LEDGER_TRANSFER_LINKED; /* it is alone here */
    event->code = 0;
    event->credit_account_id = commit_account_id(COMMIT_ACCOUNT_NOBODY, event->ledger, slot);
    shards_cross_place_transfer(event, slot);
    message->port.count = 1;
}

static void
build_fail(const struct cross_tx *tx, struct cross_message *message)
{
    uint16_t slot = slot_of_payer(tx);
    struct ledger_transfer *event = &message->in.transfers[0];
    *event = *cross_event_of(tx);
    event->flags &= (uint16_t)~LEDGER_TRANSFER_LINKED; /* it is alone here */
    if (tx->hold != NULL) { /* a transfer, whose failure uses an id up as that of a second phase */
        event->debit_account_id = tx->hold->transfer.debit_account_id;
        event->pending_id = 0;
        event->flags = 0;
        event->amount = 0;
        event->ledger = tx->hold->transfer.ledger;
        event->code = tx->hold->transfer.code;
    }
    event->credit_account_id = commit_account_id(COMMIT_ACCOUNT_NOBODY, event->ledger, slot);
    shards_cross_place_transfer(event, slot);
    message->port.count = 1;
}

static void
build_hold(const struct cross_tx *tx, struct cross_message *message)
{
    FAULT_POINT("cross-before-hold");
    uint16_t slot = slot_of_payer(tx);
    struct ledger_transfer *events = message->in.transfers;
    events[0] = *cross_event_of(tx);
    events[0].credit_account_id = commit_account_id(COMMIT_ACCOUNT_HELD, events[0].ledger, slot);
    events[0].flags |= LEDGER_TRANSFER_LINKED;
    events[1] = commit_hold_marker(
        commit_name(shards_cross_name(tx->job->cross, cross_event_of(tx)->id, CROSS_ATTEMPT_HOLD)),
        slot,
        cross_event_of(tx)->credit_account_id);
    for (uint32_t i = 0; i < 2; i++) {
        shards_cross_place_transfer(&events[i], slot);
    }
    message->port.count = 2;
}

/* The first leg of the posting, linked with something that can never be. */
static void
build_probe(const struct cross_tx *tx, struct cross_message *message)
{
    struct ledger_transfer *events = message->in.transfers;
    shards_cross_hold_translate(tx->job, tx->hold, cross_event_of(tx), &events[0]);
    events[0].flags |= LEDGER_TRANSFER_LINKED;
    events[1] = (struct ledger_transfer){0};
    message->port.count = 2;
}

void
shards_cross_ask(struct cross_tx *tx, enum cross_step step, cross_take take)
{
    enum {
        ROOM = COMMIT_LEGS_MAX + COMMIT_MEMBERS_MAX,
    };

    static_assert((int)ROOM >= (int)CROSS_FIRST_COUNT, "there is room for any step");

    static const enum port_ledger_operation operations[] = {
        [CROSS_STEP_FIRST] = PORT_LEDGER_LOOKUP_TRANSFERS,
        [CROSS_STEP_SECOND] = PORT_LEDGER_LOOKUP_TRANSFERS,
        [CROSS_STEP_ACCOUNTS] = PORT_LEDGER_LOOKUP_ACCOUNTS,
        [CROSS_STEP_CHECK] = PORT_LEDGER_CREATE_TRANSFERS,
        [CROSS_STEP_FAIL] = PORT_LEDGER_CREATE_TRANSFERS,
        [CROSS_STEP_HOLD] = PORT_LEDGER_CREATE_TRANSFERS,
        [CROSS_STEP_PROBE] = PORT_LEDGER_CREATE_TRANSFERS,
        [CROSS_STEP_MEMBER] = PORT_LEDGER_CREATE_TRANSFERS,
        [CROSS_STEP_MEMBERS] = PORT_LEDGER_CREATE_TRANSFERS,
    };

    static void (*const builders[])(const struct cross_tx *tx, struct cross_message *message) = {
        [CROSS_STEP_FIRST] = build_first,
        [CROSS_STEP_SECOND] = build_second,
        [CROSS_STEP_ACCOUNTS] = build_accounts,
        [CROSS_STEP_CHECK] = build_check,
        [CROSS_STEP_FAIL] = build_fail,
        [CROSS_STEP_HOLD] = build_hold,
        [CROSS_STEP_PROBE] = build_probe,
        [CROSS_STEP_MEMBER] = shards_cross_chain_probe,
        [CROSS_STEP_MEMBERS] = shards_cross_chain_probe_all,
    };
    ASSERT(step != CROSS_STEP_NONE);
    tx->stage = CROSS_EXPLAINING;
    tx->again = false;
    tx->step = step;
    const bool legs = step == CROSS_STEP_MEMBER || step == CROSS_STEP_MEMBERS;
    struct cross_message *message = shards_cross_message_new(
        tx->job->cross, tx->job, operations[step], legs ? ROOM : CROSS_FIRST_COUNT, 1);
    if (message == NULL) {
        return; /* the next tick tries again */
    }
    tx->asked = true;
    message->tx = tx;
    message->take = take;
    builders[step](tx, message);
    shards_cross_message_send(message);
}
