#ifndef COMMIT_INTERNAL_H
#define COMMIT_INTERNAL_H

#include "base/assert.h"
#include "commit/commit.h"
#include "commit_moves.h"

enum commit_event {
#define COMMIT_EVENT_ENUM_(name) COMMIT_EVENT_##name,
    COMMIT_EVENTS(COMMIT_EVENT_ENUM_)
#undef COMMIT_EVENT_ENUM_
};

/* Steps of ids (commit/records.h). */
#define COMMIT_STEP_LEG  UINT32_C(1024)
#define COMMIT_STEP_POST UINT32_C(2048)
#define COMMIT_STEP_VOID UINT32_C(3072)

/* What is known of entry 0. */
enum commit_verdict {
    COMMIT_VERDICT_MARKER = 1,
    COMMIT_VERDICT_NEVER,    /* a tombstone, or a promise */
    COMMIT_VERDICT_CONFLICT, /* another request's: ours can never be there */
    COMMIT_VERDICT_FAULT,
};

u128 commit_step_id(u128 name, uint16_t slot, uint32_t step);
void commit_entry(
    const struct commit_header *header,
    uint8_t member,
    uint16_t number,
    enum commit_kind kind,
    uint32_t ballot,
    struct ledger_transfer *ret_event);
enum commit_verdict commit_verdict_of(uint32_t tombstone_status);

/* Are the member's legs pending until there is an outcome? */
static inline bool
commit_member_waits(const struct commit_transaction *transaction, uint8_t member)
{
    return member != 0 || commit_protocol(&transaction->header) == COMMIT_3PC;
}

/* Does the member have pending transfers, as far as this transaction's record knows? */
static inline bool
commit_has_pendings(const struct commit_transaction *transaction, uint8_t member)
{
    return transaction->legs_of[member] > 0 && commit_member_waits(transaction, member);
}

/* Moves through the table; a move that is not in it is a bug. */
void commit_move(struct commit_run *run, enum commit_event event);

static inline bool
commit_has(uint8_t members, uint8_t member)
{
    return (members >> member & 1) != 0;
}

static inline void
commit_add(uint8_t *members, uint8_t member)
{
    *members = (uint8_t)(*members | 1U << member);
}

#endif
