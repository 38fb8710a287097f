/*
 * Accounts by time. A ledger that adopted none has them in that order already; otherwise an array
 * of slots is sorted when somebody asks, in place, since the core allocates nothing.
 */
#include "ledger_internal.h"

void
ledger_order_append(struct ledger *ledger, uint32_t slot)
{
    struct ledger_order *order = ledger->order;
    uint64_t timestamp = ledger_account_in(ledger, slot)->timestamp;
    bool newest = slot == 0 || timestamp > ledger->account_timestamp;
    order->differs = order->differs || !newest;
    if (newest) {
        ledger->account_timestamp = timestamp;
        if (order->differs && order->count == slot) {
            *ledger_by_time_in(ledger, order->count++) = slot;
        }
    }
}

void
ledger_order_pop(struct ledger *ledger, uint32_t slot)
{
    struct ledger_order *order = ledger->order;
    if (order->count > slot) {
        ASSERT(*ledger_by_time_in(ledger, slot) == slot);
        order->count = slot;
    }
    uint32_t left = ledger->account_count;
    ledger->account_timestamp =
        left == 0 ? 0
                  : ledger_account_in(ledger, ledger_account_by_time(ledger, left - 1))->timestamp;
}

void
ledger_order_clear(struct ledger *ledger)
{
    ledger->order->count = 0;
    ledger->order->differs = false;
    ledger->account_timestamp = 0;
}

static bool
is_after(const struct ledger *ledger, uint32_t a, uint32_t b)
{
    uint64_t at_a = ledger_account_in(ledger, a)->timestamp;
    uint64_t at_b = ledger_account_in(ledger, b)->timestamp;
    return at_a > at_b || (at_a == at_b && a > b);
}

/* Lets the slot at `at` sink to its place in the heap, whose root is the newest. */
static void
sink(const struct ledger *ledger, uint32_t count, uint32_t at)
{
    uint32_t slot = *ledger_by_time_in(ledger, at);
    for (uint64_t below = 2 * (uint64_t)at + 1; below < count; below = 2 * (uint64_t)at + 1) {
        uint32_t child = (uint32_t)below;
        if (below + 1 < count &&
            is_after(
                ledger, *ledger_by_time_in(ledger, child + 1), *ledger_by_time_in(ledger, child))) {
            child++;
        }
        if (!is_after(ledger, *ledger_by_time_in(ledger, child), slot)) {
            break;
        }
        *ledger_by_time_in(ledger, at) = *ledger_by_time_in(ledger, child);
        at = child;
    }
    *ledger_by_time_in(ledger, at) = slot;
}

static void
sort(const struct ledger *ledger)
{
    uint32_t count = ledger->account_count;
    for (uint32_t i = 0; i < count; i++) {
        *ledger_by_time_in(ledger, i) = i;
    }
    for (uint32_t i = count / 2; i > 0; i--) {
        sink(ledger, count, i - 1);
    }
    for (uint32_t end = count; end > 1; end--) {
        uint32_t newest = *ledger_by_time_in(ledger, 0);
        *ledger_by_time_in(ledger, 0) = *ledger_by_time_in(ledger, end - 1);
        *ledger_by_time_in(ledger, end - 1) = newest;
        sink(ledger, end - 1, 0);
    }
    ledger->order->count = count;
}

uint32_t
ledger_account_by_time(const struct ledger *ledger, uint32_t rank)
{
    ASSERT(rank < ledger->account_count);
    if (!ledger->order->differs) {
        return rank;
    }
    if (ledger->order->count != ledger->account_count) {
        sort(ledger);
    }
    return *ledger_by_time_in(ledger, rank);
}

uint32_t
ledger_accounts_older(const struct ledger *ledger, uint64_t timestamp)
{
    uint32_t low = 0;
    uint32_t high = ledger->account_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ledger_account_in(ledger, ledger_account_by_time(ledger, middle))->timestamp <
            timestamp) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
