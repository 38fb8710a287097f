#include "cross_mistakes.h"

#include "cross_world.h"

#include "base/hash.h"

#include <string.h>

#define STEP_LEG  UINT32_C(1024)
#define STEP_POST UINT32_C(2048)
/* As the cross names the transactions that post holds. */
#define ATTEMPT_POST UINT32_C(256)

static uint32_t
step_of(u128 id)
{
    return (uint32_t)(id >> 16) & 0xfff;
}

/* Is it a record of a transaction that posts one of the holds? Those have names of their own. */
static bool
is_of_posting(const struct world *world, u128 id)
{
    if (!commit_id_is_reserved(id)) {
        return false;
    }
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct ledger_transfer *event = &world->transfers[i].transfer;
        bool posts = (event->flags & LEDGER_TRANSFER_POST_PENDING) != 0;
        for (uint32_t attempt = 0; posts && attempt < SHARDS_ATTEMPTS_MAX; attempt++) {
            if (world_commit_name(event->id, ATTEMPT_POST + attempt) == id >> 28 << 28) {
                return true;
            }
        }
    }
    return false;
}

static bool
is_marker(const struct ledger_transfer *event, enum commit_kind kind)
{
    return event->ledger == COMMIT_LEDGER && event->code == (uint16_t)kind;
}

/* The first of a decision's chain: it posts the hold. */
static bool
posts_hold(const struct ledger_transfer *event)
{
    return (event->flags & LEDGER_TRANSFER_POST_PENDING) != 0 &&
           (event->flags & LEDGER_TRANSFER_LINKED) != 0 && !commit_id_is_reserved(event->id) &&
           commit_account_is(event->credit_account_id, COMMIT_ACCOUNT_HELD);
}

static bool
makes_hold(const struct ledger_transfer *event)
{
    return (event->flags & LEDGER_TRANSFER_PENDING) != 0 && !commit_id_is_reserved(event->id) &&
           commit_account_is(event->credit_account_id, COMMIT_ACCOUNT_HELD);
}

/* An event that is not sent, and whose answer is made up. */
static bool
is_left_out(const struct world *world, const struct ledger_transfer *event)
{
    switch (world->mistake) {
    case CROSS_MISTAKE_POST_OF_HALF:
        return step_of(event->id) >= STEP_POST &&
               (event->flags & LEDGER_TRANSFER_POST_PENDING) != 0 &&
               is_of_posting(world, event->id);
    case CROSS_MISTAKE_VOID_BEHIND_DECISION:
        return is_marker(event, COMMIT_KIND_TOMBSTONE) && is_of_posting(world, event->id) &&
               (uint16_t)event->id == (uint16_t)event->user_data_128; /* the first slot's */
    case CROSS_MISTAKE_NONE:
    case CROSS_MISTAKE_EXPIRED_IS_PAID:
    case CROSS_MISTAKE_MORE_THAN_HELD:
    case CROSS_MISTAKE_GIVEN_UP:
    case CROSS_MISTAKE_HOLD_IS_LEFT:
    case CROSS_MISTAKE_UNLINKED:
    case CROSS_MISTAKE_NO_TIME:
    case CROSS_MISTAKES:
        return false;
    }
    return false;
}

static void
spoil(const struct world *world, struct ledger_transfer *event)
{
    bool decides = posts_hold(event);
    if (is_left_out(world, event)) {
        *event = (struct ledger_transfer){0}; /* no ledger takes that */
    } else if (world->mistake == CROSS_MISTAKE_MORE_THAN_HELD) {
        bool payees = step_of(event->id) >= STEP_LEG && step_of(event->id) < STEP_POST &&
                      (event->flags & LEDGER_TRANSFER_PENDING) != 0;
        event->amount += payees && is_of_posting(world, event->id) ? 1 : 0;
    } else if (world->mistake == CROSS_MISTAKE_HOLD_IS_LEFT && decides) {
        event->flags = LEDGER_TRANSFER_LINKED;
        event->pending_id = 0;
        event->ledger = WORLD_LEDGER;
        event->code = 5;
        event->amount = event->amount == U128_MAX ? 1 : event->amount;
    } else if (world->mistake == CROSS_MISTAKE_UNLINKED) {
        bool passes_on = commit_account_is(event->debit_account_id, COMMIT_ACCOUNT_HELD);
        bool linked = !decides && !passes_on;
        event->flags &= (uint16_t)(linked ? UINT16_MAX : ~LEDGER_TRANSFER_LINKED);
    } else if (world->mistake == CROSS_MISTAKE_NO_TIME && makes_hold(event)) {
        event->timeout = 0;
    }
}

void
cross_mistake_in_request(const struct world *world, struct port_ledger_request *request)
{
    bool transfers = request->operation == PORT_LEDGER_CREATE_TRANSFERS;
    struct ledger_transfer *events = (void *)(uintptr_t)request->in.transfers;
    for (uint32_t i = 0; transfers && i < request->count; i++) {
        spoil(world, &events[i]);
    }
}

/* The chain of a decision whose hold has expired, as if it had been done. */
static void
overhear_expiry(const struct port_ledger_request *meant, struct port_ledger_request *answer)
{
    struct ledger_result *results = answer->out.results;
    for (uint32_t i = 0; i + 2 < meant->count; i++) {
        bool expired = results[i].status == LEDGER_TRANSFER_pending_transfer_expired;
        if (posts_hold(&meant->in.transfers[i]) && expired) {
            for (uint32_t j = i; j < i + 3; j++) {
                results[j].status = LEDGER_TRANSFER_created;
            }
        }
    }
}

static void
hide_postings(const struct world *world, struct port_ledger_request *answer)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < answer->out_count; i++) {
        if (!is_of_posting(world, answer->out.transfers[i].id)) {
            answer->out.transfers[kept++] = answer->out.transfers[i];
        }
    }
    answer->out_count = kept;
}

void
cross_mistake_in_answer(
    const struct world *world,
    const struct port_ledger_request *meant,
    struct port_ledger_request *answer)
{
    bool transfers = meant->operation == PORT_LEDGER_CREATE_TRANSFERS;
    if (transfers && world->mistake == CROSS_MISTAKE_EXPIRED_IS_PAID) {
        overhear_expiry(meant, answer);
    }
    for (uint32_t i = 0; transfers && i < meant->count; i++) {
        if (is_left_out(world, &meant->in.transfers[i])) {
            answer->out.results[i].status = LEDGER_TRANSFER_created;
        }
    }
    bool sweep = meant->operation == PORT_LEDGER_QUERY_IN_TRANSIT;
    if (sweep && world->mistake == CROSS_MISTAKE_GIVEN_UP) {
        hide_postings(world, answer);
    }
}
