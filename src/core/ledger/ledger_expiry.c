/* The expiry queue and the pulse. The heap has four children a node: fewer levels, and the
 * children share cache lines. A pending knows its position, so that posting takes it out. */
#include "ledger_internal.h"

static bool
expiry_before(const struct ledger_expiry *a, const struct ledger_expiry *b)
{
    if (a->expires_at != b->expires_at) {
        return a->expires_at < b->expires_at;
    }
    return a->timestamp < b->timestamp;
}

static void
heap_put(struct ledger *ledger, uint32_t position, struct ledger_expiry expiry)
{
    *ledger_expiry_in(ledger, position) = expiry;
    ledger_pending_in(ledger, expiry.pending_slot)->heap_position = position;
}

static void
heap_sift_up(struct ledger *ledger, uint32_t position, struct ledger_expiry expiry)
{
    while (position > 0) {
        uint32_t parent = (position - 1) / 4;
        if (!expiry_before(&expiry, ledger_expiry_in(ledger, parent))) {
            break;
        }
        heap_put(ledger, position, *ledger_expiry_in(ledger, parent));
        position = parent;
    }
    heap_put(ledger, position, expiry);
}

static void
heap_sift_down(struct ledger *ledger, uint32_t position, struct ledger_expiry expiry)
{
    for (;;) {
        uint64_t first = (uint64_t)position * 4 + 1;
        if (first >= ledger->heap_count) {
            break;
        }
        uint64_t end = first + 4 < ledger->heap_count ? first + 4 : ledger->heap_count;
        uint32_t best = (uint32_t)first;
        for (uint32_t child = best + 1; child < end; child++) {
            if (expiry_before(ledger_expiry_in(ledger, child), ledger_expiry_in(ledger, best))) {
                best = child;
            }
        }
        if (!expiry_before(ledger_expiry_in(ledger, best), &expiry)) {
            break;
        }
        heap_put(ledger, position, *ledger_expiry_in(ledger, best));
        position = best;
    }
    heap_put(ledger, position, expiry);
}

void
ledger_expiry_insert(struct ledger *ledger, uint32_t pending_slot)
{
    const struct ledger_pending *pending = ledger_pending_in(ledger, pending_slot);
    ASSERT(pending->fate == LEDGER_FATE_PENDING);
    ASSERT(pending->heap_position == LEDGER_NONE);
    const struct ledger_transfer *transfer = ledger_pending_transfer(ledger, pending_slot);
    ASSERT(transfer->timeout > 0);
    ASSERT(ledger->heap_count < ledger->limits.pending_count_max);
    struct ledger_expiry expiry = {
        .expires_at = ledger_expires_at(transfer),
        .timestamp = transfer->timestamp,
        .pending_slot = pending_slot,
    };
    heap_sift_up(ledger, ledger->heap_count++, expiry);
}

void
ledger_expiry_remove(struct ledger *ledger, uint32_t pending_slot)
{
    uint32_t position = ledger_pending_in(ledger, pending_slot)->heap_position;
    if (position == LEDGER_NONE) {
        return;
    }
    ASSERT(position < ledger->heap_count);
    ASSERT(ledger_expiry_in(ledger, position)->pending_slot == pending_slot);
    ledger_pending_in(ledger, pending_slot)->heap_position = LEDGER_NONE;
    struct ledger_expiry last = *ledger_expiry_in(ledger, --ledger->heap_count);
    if (position == ledger->heap_count) {
        return;
    }
    if (position > 0 && expiry_before(&last, ledger_expiry_in(ledger, (position - 1) / 4))) {
        heap_sift_up(ledger, position, last);
    } else {
        heap_sift_down(ledger, position, last);
    }
}

uint64_t
ledger_pulse_at(const struct ledger *ledger)
{
    return ledger->heap_count > 0 ? ledger_expiry_in(ledger, 0)->expires_at : 0;
}

bool
ledger_pulse_due(const struct ledger *ledger)
{
    return ledger->heap_count > 0 && ledger_expiry_in(ledger, 0)->expires_at <= ledger->clock;
}

/* LEDGER-8: the pending amount leaves both sides; a closing transfer that expires opens again
 * what it had closed, as if it had been voided. */
static void
expire(struct ledger *ledger, uint32_t slot, uint64_t timestamp, struct ledger_delta *delta)
{
    struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    struct ledger_account *debit = ledger_account_in(ledger, pending->debit_slot);
    struct ledger_account *credit = ledger_account_in(ledger, pending->credit_slot);
    const struct ledger_transfer *transfer = ledger_pending_transfer(ledger, slot);
    ASSERT(debit->debits_pending >= transfer->amount);
    ASSERT(credit->credits_pending >= transfer->amount);
    pending->fate = LEDGER_FATE_EXPIRED;
    ledger_move_finish(debit, credit, transfer, LEDGER_FATE_EXPIRED, 0);

    struct ledger_event *event = &delta->events[delta->event_count++];
    event->transfer = *transfer;
    event->kind = LEDGER_EVENT_TWO_PHASE_EXPIRED;
    event->timestamp = timestamp;
    ledger_event_snapshot(event, ledger, pending->debit_slot, pending->credit_slot);
    event->pending_place = slot + 1;
    ledger_pending_remove(ledger, slot);
}

uint32_t
ledger_pulse(struct ledger *ledger, struct ledger_delta *delta)
{
    struct ledger_scratch *scratch = ledger->scratch;
    uint32_t count = 0;
    while (count < ledger->limits.expiry_batch_max && ledger_pulse_due(ledger)) {
        uint32_t slot = ledger_expiry_in(ledger, 0)->pending_slot;
        ledger_expiry_remove(ledger, slot);
        scratch->finished[count++] = slot;
    }
    ASSERT(delta->event_capacity - delta->event_count >= count);
    ASSERT(ledger->clock >= count);
    for (uint32_t i = 0; i < count; i++) {
        expire(ledger, scratch->finished[i], ledger->clock - count + i + 1, delta);
    }
    delta->clock = ledger->clock;
    ledger->version++;
    return count;
}
