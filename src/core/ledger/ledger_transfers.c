/*
 * A batch of transfers: naming the ids whose past it needs, finding its accounts, and applying it
 * event by event with an undo journal for chains.
 *
 * No account is created meanwhile, so the accounts of the whole batch are found first, in blocks
 * that overlap their cache misses; the events then only touch what was found.
 */
#include "ledger_internal.h"

/* What an id names is found in three stages, each so many events ahead of the next one: its place
 * in the index is fetched, then the record that lies there, then both are read. */
#define STAGE 16
#define RING  (2 * STAGE) /* events between the first stage and the last */
/* How far ahead of the event being applied accounts are fetched. */
#define PREFETCH_AHEAD 6

static const uint32_t gate_statuses[] = {
    [LEDGER_GATE_PASS] = LEDGER_TRANSFER_created,
    [LEDGER_GATE_LINKED_EVENT_FAILED] = LEDGER_TRANSFER_linked_event_failed,
    [LEDGER_GATE_LINKED_EVENT_CHAIN_OPEN] = LEDGER_TRANSFER_linked_event_chain_open,
    [LEDGER_GATE_IMPORTED_EVENT_EXPECTED] = LEDGER_TRANSFER_imported_event_expected,
    [LEDGER_GATE_IMPORTED_EVENT_NOT_EXPECTED] = LEDGER_TRANSFER_imported_event_not_expected,
    [LEDGER_GATE_TIMESTAMP_MUST_BE_ZERO] = LEDGER_TRANSFER_timestamp_must_be_zero,
    [LEDGER_GATE_TIMESTAMP_OUT_OF_RANGE] = LEDGER_TRANSFER_imported_event_timestamp_out_of_range,
    [LEDGER_GATE_TIMESTAMP_MUST_NOT_ADVANCE] =
        LEDGER_TRANSFER_imported_event_timestamp_must_not_advance,
};

static bool
is_transient(uint32_t status)
{
    switch (status) {
#define STATUS_CASE(name, number, transient)                                                       \
    case number:                                                                                   \
        return transient;
        LEDGER_TRANSFER_STATUSES(STATUS_CASE)
#undef STATUS_CASE
    default:
        UNREACHABLE();
    }
}

/* --- naming ids --- */

/* The entry of an id, made if it has none yet. */
static uint16_t
name_id(struct ledger_scratch *scratch, u128 id, uint32_t hash, uint32_t mask, u128 *ids)
{
    uint32_t tag = hash >> 16;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        uint64_t slot = scratch->slots[at];
        if ((uint32_t)(slot >> 32) != scratch->generation) {
            uint32_t number = scratch->entry_count++;
            scratch->slots[at] =
                ((uint64_t)scratch->generation << 32) | ((uint64_t)tag << 16) | number;
            scratch->entries[number] = (struct ledger_entry){.id = id};
            ids[number] = id;
            return (uint16_t)number;
        }
        if (((uint32_t)slot >> 16) == tag && scratch->entries[slot & 0xffff].id == id) {
            return (uint16_t)(slot & 0xffff);
        }
    }
}

/* A fresh generation; at 2^32 batches the stale ones are wiped, once. */
static void
begin_generation(struct ledger_scratch *scratch)
{
    if (scratch->generation == UINT32_MAX) {
        for (uint32_t i = 0; i < LEDGER_BATCH_SLOTS; i++) {
            scratch->slots[i] = 0;
        }
        scratch->generation = 0;
    }
    scratch->generation++;
    scratch->entry_count = 0;
}

/* Does the event need to know of a pending transfer? */
static bool
names_pending(const struct ledger_transfer *transfer)
{
    const unsigned second_phase = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    return (transfer->flags & second_phase) != 0 && transfer->pending_id != 0 &&
           transfer->pending_id != U128_MAX;
}

/* Hashes of events' own ids and of those that they name, of the events that are under way: each of
 * these at its number in a ring. */
struct naming {
    uint32_t own[RING];
    uint32_t pending[RING];
    uint32_t mask; /* of the batch's own index */
};

/* The places of the ids. */
static void
prefetch_names(
    const struct ledger *ledger,
    const struct ledger_transfer *event,
    uint32_t place,
    struct naming *naming)
{
    prefetch_record_for_read(event + STAGE, sizeof(*event));
    naming->own[place] = ledger_hash(event->id);
    prefetch_for_write(&ledger->scratch->slots[naming->own[place] & naming->mask]);
    if (names_pending(event)) {
        naming->pending[place] = ledger_hash(event->pending_id);
        ledger_index_prefetch(&ledger->pending_index, naming->pending[place]);
    }
}

/* The pending transfer that lies there. */
static void
prefetch_named(const struct ledger *ledger, const struct ledger_transfer *event, uint32_t hash)
{
    uint64_t entry = names_pending(event) ? *ledger_index_home(&ledger->pending_index, hash) : 0;
    if (entry != 0) {
        prefetch_for_read(ledger_pending_transfer(ledger, (uint32_t)entry - 1));
        prefetch_for_read(ledger_pending_in(ledger, (uint32_t)entry - 1));
    }
}

static void
name_event(
    const struct ledger *ledger,
    const struct ledger_transfer *event,
    uint32_t i,
    const struct naming *naming,
    u128 *ids)
{
    struct ledger_scratch *scratch = ledger->scratch;
    scratch->own_entries[i] = LEDGER_ENTRY_NONE;
    scratch->pending_entries[i] = LEDGER_ENTRY_NONE;
    scratch->pending_slots[i] = LEDGER_NONE;
    if (event->id != 0 && event->id != U128_MAX) {
        scratch->own_entries[i] =
            name_id(scratch, event->id, naming->own[i % RING], naming->mask, ids);
    }
    if (names_pending(event)) {
        uint32_t hash = naming->pending[i % RING];
        scratch->pending_slots[i] = ledger_pending_search(ledger, event->pending_id, hash);
        if (scratch->pending_slots[i] == LEDGER_NONE) {
            scratch->pending_entries[i] =
                name_id(scratch, event->pending_id, hash, naming->mask, ids);
        }
    }
}

uint32_t
ledger_prepare_transfers(
    const struct ledger *ledger, const struct ledger_transfer *batch, uint32_t count, u128 *ids)
{
    ASSERT(count <= LEDGER_BATCH_MAX);
    struct ledger_scratch *scratch = ledger->scratch;
    begin_generation(scratch);
    uint32_t size = 64;
    while (size < count * 4 && size < LEDGER_BATCH_SLOTS) {
        size *= 2;
    }
    struct naming naming;
    naming.mask = size - 1;
    for (uint32_t i = 0; i < count + RING; i++) {
        if (i >= RING) {
            name_event(ledger, &batch[i - RING], i - RING, &naming, ids);
        }
        if (i >= STAGE && i - STAGE < count) {
            uint32_t named = i - STAGE;
            prefetch_named(ledger, &batch[named], naming.pending[named % RING]);
        }
        if (i < count) {
            prefetch_names(ledger, &batch[i], i % RING, &naming);
        }
    }
    scratch->event_count = count;
    scratch->version = ledger->version;
    return scratch->entry_count;
}

uint32_t
ledger_count_new_pendings(
    const struct ledger *ledger,
    const struct ledger_transfer *batch,
    uint32_t count,
    const struct ledger_past *past)
{
    const struct ledger_scratch *scratch = ledger->scratch;
    uint32_t pendings = 0;
    ASSERT(scratch->event_count == count);
    ASSERT(scratch->version == ledger->version);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t entry = scratch->own_entries[i];
        pendings += (batch[i].flags & LEDGER_TRANSFER_PENDING) != 0 && entry != LEDGER_ENTRY_NONE &&
                    past[entry].kind == LEDGER_PAST_NONE;
    }
    return pendings;
}

/* --- finding accounts --- */

/* What lies at the home of the hash. */
static void
prefetch_found(const struct ledger *ledger, uint32_t hash)
{
    uint64_t entry = *ledger_index_home(&ledger->account_index, hash);
    if (entry != 0) {
        prefetch_for_write(ledger_account_in(ledger, (uint32_t)entry - 1));
    }
}

static void
resolve_accounts(const struct ledger *ledger, const struct ledger_transfer *batch, uint32_t count)
{
    struct ledger_scratch *scratch = ledger->scratch;
    uint32_t debits[RING];
    uint32_t credits[RING];
    for (uint32_t i = 0; i < count + RING; i++) {
        const uint32_t place = i % RING;
        if (i >= RING) {
            uint32_t found = i - RING;
            scratch->debit_slots[found] =
                ledger_account_search(ledger, batch[found].debit_account_id, debits[place]);
            scratch->credit_slots[found] =
                ledger_account_search(ledger, batch[found].credit_account_id, credits[place]);
        }
        if (i >= STAGE && i - STAGE < count) {
            prefetch_found(ledger, debits[(i - STAGE) % RING]);
            prefetch_found(ledger, credits[(i - STAGE) % RING]);
        }
        if (i < count) {
            prefetch_for_read(&batch[i + STAGE]);
            debits[place] = ledger_hash(batch[i].debit_account_id);
            credits[place] = ledger_hash(batch[i].credit_account_id);
            ledger_index_prefetch(&ledger->account_index, debits[place]);
            ledger_index_prefetch(&ledger->account_index, credits[place]);
        }
    }
}

static void
prefetch_account(const struct ledger *ledger, uint32_t slot)
{
    if (slot != LEDGER_NONE) {
        prefetch_record_for_write(ledger_account_in(ledger, slot), sizeof(struct ledger_account));
    }
}

/* What the event PREFETCH_AHEAD of this one will touch. A pending transfer is fetched as long
 * again before its accounts, since only it says which they are; a new one's place in the index is
 * written. */
static void
prefetch_event(
    const struct ledger *ledger, const struct ledger_transfer *batch, uint32_t i, uint32_t count)
{
    const struct ledger_scratch *scratch = ledger->scratch;
    if (i + 2 * PREFETCH_AHEAD < count) {
        uint32_t slot = scratch->pending_slots[i + 2 * PREFETCH_AHEAD];
        if (slot != LEDGER_NONE) {
            prefetch_record_for_read(
                ledger_pending_transfer(ledger, slot), sizeof(struct ledger_transfer));
            prefetch_for_write(ledger_pending_in(ledger, slot));
        }
    }
    if (i + PREFETCH_AHEAD < count) {
        const struct ledger_transfer *transfer = &batch[i + PREFETCH_AHEAD];
        if ((transfer->flags & LEDGER_TRANSFER_PENDING) != 0) {
            const struct ledger_table *table = &ledger->pending_index.now;
            prefetch_for_write(&table->entries[ledger_hash(transfer->id) & table->mask]);
        }
        uint32_t slot = scratch->pending_slots[i + PREFETCH_AHEAD];
        if (slot != LEDGER_NONE) {
            prefetch_account(ledger, ledger_pending_in(ledger, slot)->debit_slot);
            prefetch_account(ledger, ledger_pending_in(ledger, slot)->credit_slot);
        } else {
            prefetch_account(ledger, scratch->debit_slots[i + PREFETCH_AHEAD]);
            prefetch_account(ledger, scratch->credit_slots[i + PREFETCH_AHEAD]);
        }
    }
}

/* --- changing --- */

struct ledger_undo *
ledger_undo_push(const struct ledger_step *step, uint32_t debit_slot, uint32_t credit_slot)
{
    if (!step->chained) {
        return NULL;
    }
    const struct ledger *ledger = step->ledger;
    ASSERT(ledger->scratch->undo_count < LEDGER_BATCH_MAX);
    struct ledger_undo *undo = &ledger->scratch->undo[ledger->scratch->undo_count++];
    ledger_balances_copy(&undo->debit, ledger_account_in(ledger, debit_slot));
    ledger_balances_copy(&undo->credit, ledger_account_in(ledger, credit_slot));
    undo->transfer_timestamp = ledger->transfer_timestamp;
    undo->debit_slot = debit_slot;
    undo->credit_slot = credit_slot;
    undo->created_pending = LEDGER_NONE;
    undo->finished_pending = LEDGER_NONE;
    undo->debit_flags = ledger_account_in(ledger, debit_slot)->flags;
    undo->credit_flags = ledger_account_in(ledger, credit_slot)->flags;
    undo->entry = ledger->scratch->own_entries[step->index];
    return undo;
}

struct ledger_event *
ledger_event_append(const struct ledger_step *step)
{
    struct ledger_delta *delta = step->delta;
    struct ledger_event *event = &delta->events[delta->event_count++];
    /* A large delta is more than the nearest caches hold, and every batch fills it again. */
    prefetch_record_for_write(event + PREFETCH_AHEAD, sizeof(*event));
    event->transfer = *step->transfer;
    event->transfer.timestamp = step->timestamp;
    event->timestamp = step->timestamp;
    struct ledger_scratch *scratch = step->ledger->scratch;
    scratch->entries[scratch->own_entries[step->index]].event = delta->event_count;
    ASSERT(step->timestamp > step->ledger->transfer_timestamp);
    step->ledger->transfer_timestamp = step->timestamp;
    return event;
}

static void
restore_account(
    struct ledger_account *account, const struct ledger_balances *balances, uint16_t flags)
{
    account->debits_pending = balances->debits_pending;
    account->debits_posted = balances->debits_posted;
    account->credits_pending = balances->credits_pending;
    account->credits_posted = balances->credits_posted;
    account->flags = flags;
}

/* LEDGER-4: a broken chain leaves nothing behind. Newest first. */
static void
undo_changes(struct ledger *ledger, struct ledger_delta *delta)
{
    struct ledger_scratch *scratch = ledger->scratch;
    while (scratch->undo_count > 0) {
        const struct ledger_undo *undo = &scratch->undo[--scratch->undo_count];
        restore_account(
            ledger_account_in(ledger, undo->debit_slot), &undo->debit, undo->debit_flags);
        restore_account(
            ledger_account_in(ledger, undo->credit_slot), &undo->credit, undo->credit_flags);
        ledger->transfer_timestamp = undo->transfer_timestamp;
        if (undo->created_pending != LEDGER_NONE) {
            ASSERT(scratch->created[scratch->created_count - 1] == undo->created_pending);
            scratch->created_count--;
            ledger_pending_remove(ledger, undo->created_pending);
        }
        if (undo->finished_pending != LEDGER_NONE) {
            ASSERT(scratch->finished[scratch->finished_count - 1] == undo->finished_pending);
            scratch->finished_count--;
            ledger_pending_in(ledger, undo->finished_pending)->fate = LEDGER_FATE_PENDING;
        }
        scratch->entries[undo->entry].event = 0;
        delta->event_count--;
    }
}

static void
undo_chain(
    struct ledger *ledger,
    struct ledger_delta *delta,
    const struct ledger_chain *chain,
    uint32_t index,
    struct ledger_result *results)
{
    ASSERT(ledger->scratch->undo_count == index - chain->start);
    undo_changes(ledger, delta);
    for (uint32_t i = chain->start; i < index; i++) {
        ASSERT(results[i].status == LEDGER_TRANSFER_created);
        results[i].status = LEDGER_TRANSFER_linked_event_failed;
    }
}

/* Only now do pendings enter and leave the tables: within the batch their slots told of them. */
static void
settle_pendings(struct ledger *ledger)
{
    struct ledger_scratch *scratch = ledger->scratch;
    for (uint32_t i = 0; i < scratch->created_count; i++) {
        const struct ledger_pending *pending = ledger_pending_in(ledger, scratch->created[i]);
        if (pending->fate == LEDGER_FATE_PENDING &&
            ledger_pending_transfer(ledger, scratch->created[i])->timeout != 0) {
            ledger_expiry_insert(ledger, scratch->created[i]);
        }
    }
    for (uint32_t i = 0; i < scratch->finished_count; i++) {
        if (i + PREFETCH_AHEAD < scratch->finished_count) {
            uint32_t slot = scratch->finished[i + PREFETCH_AHEAD];
            ledger_index_prefetch(&ledger->pending_index, ledger_pending_in(ledger, slot)->hash);
        }
        ledger_pending_remove(ledger, scratch->finished[i]);
    }
}

/* LEDGER-3: one status. LEDGER-7: the timestamp that goes with it. */
static uint64_t
result_timestamp(const struct ledger_step *step, uint32_t status, uint64_t own)
{
    switch (status) {
    case LEDGER_TRANSFER_exists:
        return step->exists_timestamp;
    case LEDGER_TRANSFER_created:
    case LEDGER_TRANSFER_linked_event_failed:
        return step->timestamp;
    default:
        return own;
    }
}

/* The id of a transient failure is used up, whatever becomes of its chain. */
static void
remember_failed(struct ledger_step *step)
{
    struct ledger_scratch *scratch = step->ledger->scratch;
    scratch->entries[scratch->own_entries[step->index]].failed = true;
    step->delta->failed_ids[step->delta->failed_count++] = step->transfer->id;
}

static void
apply_event(struct ledger_step *step, struct ledger_chain *chain, struct ledger_result *results)
{
    const struct ledger_transfer *transfer = step->transfer;
    const struct ledger_head head = {
        .index = step->index,
        .linked = (transfer->flags & LEDGER_TRANSFER_LINKED) != 0,
        .imported = (transfer->flags & LEDGER_TRANSFER_IMPORTED) != 0,
        .timestamp = transfer->timestamp,
    };
    uint64_t own = ledger_chain_timestamp(chain, step->index);
    uint32_t status = gate_statuses[ledger_chain_gate(chain, &head)];
    step->chained = chain->open;
    step->timestamp = head.imported ? head.timestamp : own;
    if (status == LEDGER_TRANSFER_created) {
        status = ledger_create_transfer(step);
    }
    struct ledger_result *result = &results[step->index];
    result->timestamp = result_timestamp(step, status, own);
    result->status = status;
    result->reserved = 0;
    bool created = status == LEDGER_TRANSFER_created;
    bool at_end = step->index == chain->count - 1;
    if (ledger_chain_close(chain, created, at_end, head.linked)) {
        undo_chain(step->ledger, step->delta, chain, step->index, results);
    }
    if (!chain->open) {
        step->ledger->scratch->undo_count = 0;
    }
    if (!created && is_transient(status)) {
        remember_failed(step);
    }
}

void
/* Batch and past are a pointer and a count each: NOLINTNEXTLINE(readability-function-size) */
ledger_create_transfers(
    struct ledger *ledger,
    const struct ledger_transfer *batch,
    uint32_t count,
    const struct ledger_past *past,
    uint32_t past_count,
    struct ledger_result *results,
    struct ledger_delta *delta)
{
    struct ledger_scratch *scratch = ledger->scratch;
    ASSERT(scratch->event_count == count);
    ASSERT(scratch->version == ledger->version);
    ASSERT(scratch->entry_count == past_count);
    ASSERT(ledger->clock >= count);
    ASSERT(delta->event_capacity - delta->event_count >= count);
    ASSERT(delta->failed_capacity - delta->failed_count >= count);
    scratch->created_count = 0;
    scratch->finished_count = 0;
    scratch->undo_count = 0;
    resolve_accounts(ledger, batch, count);
    struct ledger_chain chain = {
        .clock = ledger->clock,
        .count = count,
        .imported = count > 0 && (batch[0].flags & LEDGER_TRANSFER_IMPORTED) != 0,
    };
    struct ledger_step step = {.ledger = ledger, .delta = delta, .past = past};
    for (uint32_t i = 0; i < count; i++) {
        prefetch_event(ledger, batch, i, count);
        step.transfer = &batch[i];
        step.index = i;
        apply_event(&step, &chain, results);
    }
    settle_pendings(ledger);
    delta->clock = ledger->clock;
    ledger->version++;
}
