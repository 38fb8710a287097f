/* The parts of a move: move.c has the steps, move_copy.c what is read and adopted. */
#ifndef SHARDS_MOVE_PRIVATE_H
#define SHARDS_MOVE_PRIVATE_H

#include "owner_private.h"
#include "shards/move.h"

#define MOVE_PAGE PORT_LEDGER_ADOPTIONS_MAX
/* Of one question, when a shard is busy, restarts, or did not answer. A try that is under way by
 * then has its own time. */
#define MOVE_WAIT_NS   UINT64_C(30000000000)
#define MOVE_TRIES_MAX 1000
/* While the fence keeps clients waiting: then they are served where they were, and the next move
 * finds what was copied. */
#define MOVE_WAIT_FENCED_NS UINT64_C(5000000000)
/* Rounds of catching up before the fence is put up anyway. */
#define MOVE_ROUNDS_MAX 20
/* So few sides left: the fence may come. */
#define MOVE_NEAR 500

struct move {
    const struct shards_move_parts *parts;
    struct shards_move_report *report;
    char *message;
    struct port_ledger_change *changes; /* MOVE_PAGE each */
    struct ledger_account *accounts;
    struct port_ledger_failed_id *failed;
    struct port_ledger_adoption *adoptions;
    struct ledger_result *results;
    uint32_t adoption_count;
    uint64_t account_next; /* where reading goes on, at the source */
    uint64_t failed_next;
    uint64_t event_next;
    uint64_t event_last;  /* the newest that was adopted */
    uint64_t target_next; /* where the target's are read again */
    int64_t joining;      /* live pendings of an account that moves with one of another slot */
};

MUST_USE err_t
shards_move_ask(struct move *move, uint32_t shard, struct port_ledger_request *request);
MUST_USE err_t shards_move_copy_init(struct move *move);
void shards_move_copy_release(struct move *move);
/* One page of events, and before them all accounts and failed ids that are there by then.
 * *ret_more: there may be more. */
MUST_USE err_t shards_move_copy_page(struct move *move, bool *ret_more);
/* What the target has of it, up to the newest that was adopted. */
MUST_USE err_t shards_move_read_target(struct move *move);

#endif
