/* What must hold when everything has come to rest. */
#include "commit/member.h"
#include "commit_world.h"

#include <string.h>

bool
world_is_at_rest(const struct world *world)
{
    for (uint32_t i = 0; i < world->txn_count; i++) {
        if (!world->txns[i].finished) {
            return false;
        }
    }
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        for (uint32_t j = 0; j < NODE_RUNS_MAX; j++) {
            if (world->nodes[i].runs[j].used) {
                return false;
            }
        }
    }
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        if (ledger_pending_count(world->shards[i].shard.ledger) > 0) {
            return false;
        }
    }
    return true;
}

static bool
moves_member(
    enum commit_member *member, const struct shard_entry *entry, bool first, u128 marker_id)
{
    const struct ledger_transfer *transfer = &entry->event.transfer;
    if (transfer->id == marker_id) {
        bool yes = transfer->code == COMMIT_KIND_MARKER;
        enum commit_member_event accepts = first ? COMMIT_MEMBER_DECIDE : COMMIT_MEMBER_PREPARE;
        return commit_member_move(member, yes ? accepts : COMMIT_MEMBER_REFUSE);
    }
    uint32_t step = (uint32_t)(transfer->id >> 16) & 0xfff;
    if (step < 2048 || commit_marker_of(transfer->id) != marker_id) {
        return true;
    }
    bool post = entry->event.kind == LEDGER_EVENT_TWO_PHASE_POSTED;
    if (*member == (post ? COMMIT_MEMBER_POSTED : COMMIT_MEMBER_VOIDED)) {
        return true; /* the next leg of the same batch */
    }
    return commit_member_move(member, post ? COMMIT_MEMBER_POST : COMMIT_MEMBER_VOID);
}

/* The history of one participant, move by move, against the table. */
static enum commit_member
member_of(struct world *world, const struct txn *txn, uint8_t member, uint8_t run_number)
{
    const struct shard *shard = &world->shards[txn->slots[member]].shard;
    u128 name = commit_name(world_digest(txn->id, run_number));
    u128 marker_id = commit_marker_id(name, shard->slot);
    enum commit_member state = COMMIT_MEMBER_EMPTY;
    bool first = member == 0 && txn->protocol == COMMIT_2PC;
    for (uint32_t i = 0; i < shard->entry_count; i++) {
        const struct shard_entry *entry = &shard->entries[i];
        if (!entry->failed && !moves_member(&state, entry, first, marker_id)) {
            world_fail(world, "slot %u makes a move that the table does not have", shard->slot);
        }
    }
    return state;
}

/* COMMIT-1: all or none. True if it committed. */
static bool
check_run(struct world *world, const struct txn *txn, uint8_t run_number)
{
    uint32_t done = 0;
    uint32_t undone = 0;
    for (uint8_t member = 0; member < txn->slot_count; member++) {
        switch (member_of(world, txn, member, run_number)) {
        case COMMIT_MEMBER_DECIDED:
        case COMMIT_MEMBER_POSTED:
            done++;
            break;
        case COMMIT_MEMBER_REFUSED:
        case COMMIT_MEMBER_VOIDED:
        case COMMIT_MEMBER_EMPTY:
            undone++;
            break;
        case COMMIT_MEMBER_PREPARED:
            world_fail(world, "slot %u is still in doubt", txn->slots[member]);
            break;
        }
    }
    if (done > 0 && undone > 0) {
        world_fail(world, "split: %u slots have it, %u do not", done, undone);
    }
    return done > 0;
}

static bool
check_txn(struct world *world, const struct txn *txn)
{
    uint32_t committed = 0;
    for (uint8_t run = 0; run < WORLD_RUNS_MAX; run++) {
        bool booked = check_run(world, txn, run);
        committed += booked;
        if (booked && txn->told_aborted[run]) {
            world_fail(world, "run %u was told aborted, and is booked", run);
        }
    }
    if (committed > 1) {
        world_fail(world, "booked by %u runs", committed);
    }
    if (txn->told_committed && committed == 0) {
        world_fail(world, "told committed, and is not booked");
    }
    if (!txn->told_committed && committed > 0 && txn->finished) {
        world_fail(world, "the client gave up on what is booked");
    }
    return committed > 0;
}

static uint32_t
user_of(u128 id, uint16_t slot)
{
    for (uint32_t i = 0; i < WORLD_USERS; i++) {
        if (world_user(slot, i) == id) {
            return i;
        }
    }
    return WORLD_USERS;
}

struct expected {
    u128 debits[WORLD_SHARDS][WORLD_USERS + 1];
    u128 credits[WORLD_SHARDS][WORLD_USERS + 1];
};

static void
expect(struct expected *expected, const struct txn *txn)
{
    for (uint32_t i = 0; i < txn->leg_count; i++) {
        const struct commit_leg *leg = &txn->legs[i];
        uint16_t slot = txn->slots[leg->member];
        expected->debits[slot][user_of(leg->transfer.debit_account_id, slot)] +=
            leg->transfer.amount;
        expected->credits[slot][user_of(leg->transfer.credit_account_id, slot)] +=
            leg->transfer.amount;
    }
}

/* Every account to the cent, from what clients' transactions became. */
static void
check_balances(struct world *world, const struct expected *expected)
{
    u128 in = 0;
    u128 out = 0;
    for (uint16_t slot = 0; slot < WORLD_SHARDS; slot++) {
        const struct ledger *ledger = world->shards[slot].shard.ledger;
        if (ledger_validate(ledger) != ERR_OK) {
            world_fail(world, "slot %u: the ledger is not valid", slot);
        }
        for (uint32_t i = 0; i < WORLD_USERS; i++) {
            const struct ledger_account *account = ledger_find_account(ledger, world_user(slot, i));
            if (account->debits_posted != expected->debits[slot][i] ||
                account->credits_posted != 1000 + expected->credits[slot][i]) {
                world_fail(world, "slot %u, account %u: not what was booked", slot, i);
            }
        }
        const struct ledger_account *transit = ledger_find_account(
            ledger, commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, WORLD_LEDGER, slot));
        in += transit->credits_posted;
        out += transit->debits_posted;
    }
    if (in != out) {
        world_fail(world, "what is in transit does not cancel out");
    }
}

void
world_check(struct world *world)
{
    struct expected expected = {0};
    for (uint32_t i = 0; i < world->txn_count && !world->failed; i++) {
        if (check_txn(world, &world->txns[i])) {
            world->counts.committed++;
            expect(&expected, &world->txns[i]);
        } else {
            world->counts.aborted++;
        }
    }
    if (!world->failed) {
        check_balances(world, &expected);
    }
}
