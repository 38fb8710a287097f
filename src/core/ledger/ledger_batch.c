/*
 * What a batch has in common, be it of accounts or of transfers: chains, and the checks that come
 * before the event itself.
 *
 *          ledger_chain_gate: linked            ledger_chain_close: not created
 *   none ----------------------------> open ----------------------------------> broken
 *     ^                                  |                                         |
 *     +--- ledger_chain_close: unlinked -+----------- or the batch ends -----------+
 */
#include "ledger_internal.h"

enum ledger_gate
ledger_chain_gate(struct ledger_chain *chain, const struct ledger_head *head)
{
    if (head->linked) {
        if (!chain->open) {
            ASSERT(!chain->broken);
            chain->open = true;
            chain->start = head->index;
        }
        if (head->index == chain->count - 1) {
            return LEDGER_GATE_LINKED_EVENT_CHAIN_OPEN;
        }
    }
    if (chain->broken) {
        return LEDGER_GATE_LINKED_EVENT_FAILED;
    }
    if (head->imported != chain->imported) {
        return head->imported ? LEDGER_GATE_IMPORTED_EVENT_NOT_EXPECTED
                              : LEDGER_GATE_IMPORTED_EVENT_EXPECTED;
    }
    if (!head->imported) {
        return head->timestamp == 0 ? LEDGER_GATE_PASS : LEDGER_GATE_TIMESTAMP_MUST_BE_ZERO;
    }
    if (head->timestamp == 0 || head->timestamp > LEDGER_TIMESTAMP_MAX) {
        return LEDGER_GATE_TIMESTAMP_OUT_OF_RANGE;
    }
    if (head->timestamp >= chain->clock) {
        return LEDGER_GATE_TIMESTAMP_MUST_NOT_ADVANCE;
    }
    return LEDGER_GATE_PASS;
}

bool
ledger_chain_close(struct ledger_chain *chain, bool created, bool at_end, bool linked)
{
    bool broke = chain->open && !created && !chain->broken;
    if (broke) {
        chain->broken = true;
    }
    if (chain->open && (!linked || at_end)) {
        chain->open = false;
        chain->broken = false;
    }
    return broke;
}

bool
ledger_timestamp_regresses(const struct ledger *ledger, uint64_t timestamp)
{
    if (timestamp <= ledger->transfer_timestamp) {
        return true;
    }
    uint32_t rank = ledger_accounts_older(ledger, timestamp);
    return rank < ledger->account_count &&
           ledger_account_in(ledger, ledger_account_by_time(ledger, rank))->timestamp == timestamp;
}
