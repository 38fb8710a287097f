/*
 * Raw bytes as batches. Each step is a head of four bytes (what, how many, two of time) and then
 * records of 128 bytes as they are; ids and accounts are folded into a few values now and then, as
 * few random 128-byte records would ever meet. The state is validated after each step, and a
 * second ledger redoes what the first one did.
 */
#include "ledger_test_world.h"

#include <string.h>

#define STEP_EVENTS_MAX 8

struct input {
    const uint8_t *data;
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
take(struct input *input, void *out, size_t size)
{
    if (input->size < size) {
        return false;
    }
    memcpy(out, input->data, size);
    input->data += size;
    input->size -= size;
    return true;
}

static u128
fold(u128 value)
{
    return value == U128_MAX ? value : value % 16;
}

static uint32_t
take_accounts(struct input *input, uint32_t count, bool folded, struct ledger_account *batch)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!take(input, &batch[i], sizeof(batch[i]))) {
            return i;
        }
        if (folded) {
            batch[i].id = fold(batch[i].id);
            batch[i].debits_pending = batch[i].debits_posted = 0;
            batch[i].credits_pending = batch[i].credits_posted = 0;
            batch[i].reserved = 0;
            batch[i].ledger %= 3;
            batch[i].flags &= LEDGER_ACCOUNT_FLAGS;
        }
    }
    return count;
}

static uint32_t
take_transfers(struct input *input, uint32_t count, bool folded, struct ledger_transfer *batch)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!take(input, &batch[i], sizeof(batch[i]))) {
            return i;
        }
        if (folded) {
            batch[i].id = fold(batch[i].id);
            batch[i].debit_account_id = fold(batch[i].debit_account_id);
            batch[i].credit_account_id = fold(batch[i].credit_account_id);
            batch[i].pending_id = fold(batch[i].pending_id);
            batch[i].ledger %= 3;
            batch[i].flags &= LEDGER_TRANSFER_FLAGS;
        }
    }
    return count;
}

static uint32_t
pendings_asked(const struct ledger_transfer *batch, uint32_t count)
{
    uint32_t pendings = 0;
    for (uint32_t i = 0; i < count; i++) {
        pendings += (batch[i].flags & LEDGER_TRANSFER_PENDING) != 0;
    }
    return pendings;
}

static void
redo(const struct t_world *world, struct ledger *replica)
{
    for (uint32_t i = 0; i < world->delta.account_count; i++) {
        ASSERT(ledger_load_account(replica, &world->accounts[i]) == ERR_OK);
    }
    for (uint32_t i = 0; i < world->delta.event_count; i++) {
        ASSERT(ledger_redo(replica, &world->events[i]) == ERR_OK);
    }
    ledger_load_clock(replica, world->delta.clock, 0, 0);
    ASSERT(ledger_validate(replica) == ERR_OK);
    ASSERT(ledger_account_count(replica) == ledger_account_count(world->ledger));
    ASSERT(ledger_pending_count(replica) == ledger_pending_count(world->ledger));
    ASSERT(ledger_pulse_at(replica) == ledger_pulse_at(world->ledger));
    for (uint32_t i = 0; i < ledger_account_count(replica); i++) {
        const struct ledger_account *a = ledger_account_at(replica, i);
        const struct ledger_account *b = ledger_account_at(world->ledger, i);
        ASSERT(memcmp(a, b, sizeof(*a)) == 0);
    }
}

/* False at the end of the input. */
static bool
step(struct t_world *world, struct ledger *replica, struct input *input)
{
    uint8_t head[4];
    if (!take(input, head, sizeof(head))) {
        return false;
    }
    bool folded = (head[0] & 4) != 0;
    uint32_t count = head[1] % (STEP_EVENTS_MAX + 1);
    uint64_t time = (uint64_t)(head[2] | head[3] << 8) << (head[0] >> 3);
    if (ledger_clock(world->ledger) + time < LEDGER_TIMESTAMP_MAX - 20000) {
        ledger_set_clock(world->ledger, ledger_clock(world->ledger) + time);
    }
    struct ledger_account accounts[STEP_EVENTS_MAX];
    struct ledger_transfer transfers[STEP_EVENTS_MAX];
    world->delta.account_count = world->delta.event_count = 0;
    switch (head[0] & 3) {
    case 0:
        count = take_accounts(input, count, folded, accounts);
        if (ledger_reserve(world->ledger, count, 0) == ERR_OK) {
            t_world_create_accounts(world, accounts, count);
        }
        break;
    case 1:
    case 2:
        count = take_transfers(input, count, folded, transfers);
        if (ledger_reserve(world->ledger, 0, pendings_asked(transfers, count)) == ERR_OK &&
            world->past_count + 2 * count < T_PAST_MAX) {
            t_world_create_transfers(world, transfers, count);
        }
        break;
    case 3:
        t_world_pulse(world, ledger_clock(world->ledger));
        break;
    }
    world->delta.clock = ledger_clock(world->ledger);
    ASSERT(ledger_validate(world->ledger) == ERR_OK);
    redo(world, replica);
    return ledger_clock(world->ledger) < LEDGER_TIMESTAMP_MAX - 20000;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct t_world world;
    const struct ledger_limits limits = {12, 12, 4, 0, NULL};
    struct ledger *replica = NULL;
    struct input input = {data, size};
    t_world_init(&world, &limits);
    ASSERT(ledger_create(&limits, &replica) == ERR_OK);
    while (step(&world, replica, &input)) {
    }
    ledger_destroy(&replica);
    t_world_release(&world);
    return 0;
}
