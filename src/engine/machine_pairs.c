/*
 * Both accounts after each transfer of a batch. Before the batch is applied, the accounts of every
 * transfer are noted as they stand. Afterwards the batch is walked in order with its events: a
 * created transfer shows its event's balances; a refused one shows what the last event before it
 * left, or else what was noted.
 */
#include "machine.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* At least twice the accounts that a batch can touch, so that the table is never full. */
#define PAIRS_TABLE 65536u

struct pairs_entry {
    uint32_t generation; /* of the batch that wrote it */
    uint32_t slot;
    uint32_t event; /* the last one that touched the account */
};

struct engine_machine_pairs {
    uint32_t generation;
    struct pairs_entry table[PAIRS_TABLE];
};

static_assert(PAIRS_TABLE > 2 * 2 * LEDGER_BATCH_MAX, "room for both accounts of each transfer");

err_t
engine_machine_pairs_create(struct engine_machine_pairs **ret_pairs)
{
    struct engine_machine_pairs *pairs = calloc(1, sizeof(*pairs));
    if (pairs == NULL) {
        return ERR_MEMORY;
    }
    *ret_pairs = pairs;
    return ERR_OK;
}

void
engine_machine_pairs_destroy(struct engine_machine_pairs **pairs)
{
    free(*pairs);
    *pairs = NULL;
}

static struct pairs_entry *
entry_of(struct engine_machine_pairs *pairs, uint32_t slot)
{
    uint32_t at = (uint32_t)hash_u64(slot) % PAIRS_TABLE;
    while (pairs->table[at].generation == pairs->generation && pairs->table[at].slot != slot) {
        at = (at + 1) % PAIRS_TABLE;
    }
    return &pairs->table[at];
}

static void
account_copy(const struct engine_machine *machine, u128 id, struct ledger_account *out)
{
    const struct ledger_account *account = ledger_find_account(machine->ledger, id);
    if (account == NULL) {
        memset(out, 0, sizeof(*out));
    } else {
        *out = *account;
    }
}

/* A post or void may leave the accounts out: they are the pending transfer's. */
static const struct ledger_transfer *
pending_of(const struct engine_machine *machine, const struct ledger_transfer *transfer)
{
    const uint16_t finishing = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    if ((transfer->flags & finishing) == 0) {
        return NULL;
    }
    return ledger_find_pending(machine->ledger, transfer->pending_id);
}

void
engine_machine_pairs_before(
    struct engine_machine *machine, const struct port_ledger_request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        const struct ledger_transfer *transfer = &request->in.transfers[i];
        const struct ledger_transfer *pending = pending_of(machine, transfer);
        u128 debit = transfer->debit_account_id;
        u128 credit = transfer->credit_account_id;
        if (pending != NULL) {
            debit = debit == 0 ? pending->debit_account_id : debit;
            credit = credit == 0 ? pending->credit_account_id : credit;
        }
        account_copy(machine, debit, &request->pairs[i].debit);
        account_copy(machine, credit, &request->pairs[i].credit);
    }
}

static void
account_set(struct ledger_account *account, const struct ledger_balances *balances, uint16_t flags)
{
    account->debits_pending = balances->debits_pending;
    account->debits_posted = balances->debits_posted;
    account->credits_pending = balances->credits_pending;
    account->credits_posted = balances->credits_posted;
    account->flags = flags;
}

static void
pair_of_event(
    struct engine_machine *machine, const struct ledger_event *event, struct port_ledger_pair *pair)
{
    pair->debit = *ledger_account_at(machine->ledger, event->debit_slot);
    pair->credit = *ledger_account_at(machine->ledger, event->credit_slot);
    account_set(&pair->debit, &event->debit, event->debit_flags);
    account_set(&pair->credit, &event->credit, event->credit_flags);
}

/* Brings an account that was noted before the batch up to the last event that touched it. */
static void
account_catch_up(struct engine_machine *machine, struct ledger_account *account)
{
    uint32_t slot =
        account->id == 0 ? UINT32_MAX : ledger_account_slot(machine->ledger, account->id);
    if (slot == UINT32_MAX) {
        return;
    }
    struct engine_machine_pairs *pairs = machine->pairs;
    const struct pairs_entry *entry = entry_of(pairs, slot);
    if (entry->generation != pairs->generation) {
        return;
    }
    const struct ledger_event *event = &machine->delta.events[entry->event];
    if (event->debit_slot == slot) {
        account_set(account, &event->debit, event->debit_flags);
    } else {
        account_set(account, &event->credit, event->credit_flags);
    }
}

static void
touch(struct engine_machine_pairs *pairs, uint32_t slot, uint32_t event)
{
    *entry_of(pairs, slot) =
        (struct pairs_entry){.generation = pairs->generation, .slot = slot, .event = event};
}

void
engine_machine_pairs_after(
    struct engine_machine *machine, const struct port_ledger_request *request, uint32_t event_count)
{
    struct engine_machine_pairs *pairs = machine->pairs;
    pairs->generation++;
    if (pairs->generation == 0) {
        memset(pairs->table, 0, sizeof(pairs->table));
        pairs->generation = 1;
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        struct port_ledger_pair *pair = &request->pairs[i];
        if (request->out.results[i].status != LEDGER_TRANSFER_created) {
            account_catch_up(machine, &pair->debit);
            account_catch_up(machine, &pair->credit);
            continue;
        }
        ASSERT(next < event_count);
        const struct ledger_event *event = &machine->delta.events[next];
        ASSERT(event->transfer.id == request->in.transfers[i].id);
        pair_of_event(machine, event, pair);
        touch(pairs, event->debit_slot, next);
        touch(pairs, event->credit_slot, next);
        next++;
    }
    ASSERT(next == event_count);
}
