#include "ledger_test_world.h"

#include <string.h>

void
t_world_init(struct t_world *world, const struct ledger_limits *limits)
{
    memset(world, 0, sizeof(*world));
    world->keep_past = true;
    world->delta = (struct ledger_delta){
        .accounts = world->accounts,
        .account_capacity = T_EVENTS_MAX,
        .events = world->events,
        .event_capacity = T_EVENTS_MAX,
        .failed_ids = world->failed,
        .failed_capacity = T_EVENTS_MAX,
    };
    ASSERT(ledger_create(limits, &world->ledger) == ERR_OK);
}

void
t_world_release(struct t_world *world)
{
    ledger_destroy(&world->ledger);
}

static void
begin(struct t_world *world, uint64_t clock)
{
    world->delta.account_count = 0;
    world->delta.event_count = 0;
    world->delta.failed_count = 0;
    ledger_set_clock(world->ledger, clock);
}

static struct ledger_past *
find_past(struct t_world *world, u128 id)
{
    for (uint32_t i = 0; i < world->past_count; i++) {
        if (world->past[i].id == id) {
            return &world->past[i];
        }
    }
    return NULL;
}

static void
set_fate(struct t_world *world, u128 id, enum ledger_fate fate)
{
    struct ledger_past *past = find_past(world, id);
    ASSERT(past != NULL);
    past->fate = fate;
}

static void
remember_event(struct t_world *world, const struct ledger_event *event)
{
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        set_fate(world, event->transfer.id, LEDGER_FATE_EXPIRED);
        return;
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_POSTED) {
        set_fate(world, event->transfer.pending_id, LEDGER_FATE_POSTED);
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_VOIDED) {
        set_fate(world, event->transfer.pending_id, LEDGER_FATE_VOIDED);
    }
    ASSERT(world->past_count < T_PAST_MAX);
    world->past[world->past_count++] = (struct ledger_past){
        .id = event->transfer.id,
        .kind = LEDGER_PAST_TRANSFER,
        .fate =
            event->kind == LEDGER_EVENT_TWO_PHASE_PENDING ? LEDGER_FATE_PENDING : LEDGER_FATE_NONE,
        .transfer = event->transfer,
    };
}

static void
remember(struct t_world *world)
{
    if (!world->keep_past) {
        return;
    }
    for (uint32_t i = 0; i < world->delta.event_count; i++) {
        remember_event(world, &world->events[i]);
    }
    for (uint32_t i = 0; i < world->delta.failed_count; i++) {
        ASSERT(world->past_count < T_PAST_MAX);
        world->past[world->past_count++] =
            (struct ledger_past){.id = world->failed[i], .kind = LEDGER_PAST_FAILED};
    }
}

void
t_world_create_accounts(struct t_world *world, const struct ledger_account *batch, uint32_t count)
{
    uint64_t timestamps[T_EVENTS_MAX];
    bool taken[T_EVENTS_MAX] = {false};
    uint32_t named = ledger_prepare_accounts(world->ledger, batch, count, timestamps);
    for (uint32_t i = 0; i < named; i++) {
        for (uint32_t j = 0; j < world->past_count; j++) {
            taken[i] |= world->past[j].transfer.timestamp == timestamps[i];
        }
    }
    ledger_set_taken(world->ledger, taken, named);
    begin(world, ledger_clock(world->ledger) + 1 + count);
    ledger_create_accounts(world->ledger, batch, count, world->results, &world->delta);
}

void
t_world_create_transfers(struct t_world *world, const struct ledger_transfer *batch, uint32_t count)
{
    u128 ids[2 * T_EVENTS_MAX];
    struct ledger_past *past = world->answers;
    uint32_t named = ledger_prepare_transfers(world->ledger, batch, count, ids);
    for (uint32_t i = 0; i < named; i++) {
        const struct ledger_past *found = find_past(world, ids[i]);
        past[i] = found != NULL ? *found : (struct ledger_past){.id = ids[i]};
    }
    begin(world, ledger_clock(world->ledger) + 1 + count);
    ledger_create_transfers(
        world->ledger, batch, count, past, named, world->results, &world->delta);
    remember(world);
}

uint32_t
t_world_account(struct t_world *world, struct ledger_account account)
{
    t_world_create_accounts(world, &account, 1);
    return world->results[0].status;
}

uint32_t
t_world_transfer(struct t_world *world, struct ledger_transfer transfer)
{
    t_world_create_transfers(world, &transfer, 1);
    return world->results[0].status;
}

uint32_t
t_world_pulse(struct t_world *world, uint64_t clock)
{
    ledger_set_clock(world->ledger, clock);
    begin(world, ledger_clock(world->ledger) + 1 + 8189);
    uint32_t count = ledger_pulse(world->ledger, &world->delta);
    remember(world);
    return count;
}
