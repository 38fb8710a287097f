/*
 * Mistakes that somebody could make on the way of a hold between shards. Each is made in what goes
 * over the network of cross_world.h, as if whoever sent it, or heard the answer, were wrong; the
 * product stays as it is.
 */
#ifndef CROSS_MISTAKES_H
#define CROSS_MISTAKES_H

#include <stdbool.h>
#include <stdint.h>

struct world;
struct port_ledger_request;

enum cross_mistake {
    CROSS_MISTAKE_NONE = 0,
    /* A posting is over when it is decided: the payee's half is taken for posted. */
    CROSS_MISTAKE_POST_OF_HALF,
    /* An inquiry at the payer's slot is not written, and taken for an abort: the payee's half is
     * voided behind the decision. */
    CROSS_MISTAKE_VOID_BEHIND_DECISION,
    /* That the hold's time is over is overheard when its posting is decided. */
    CROSS_MISTAKE_EXPIRED_IS_PAID,
    /* The payee's half is of more than is posted. */
    CROSS_MISTAKE_MORE_THAN_HELD,
    /* The resolver does not see what a dead coordinator's posting left at the payee. */
    CROSS_MISTAKE_GIVEN_UP,
    /* The decision takes the money from the payer, and does not end the hold. */
    CROSS_MISTAKE_HOLD_IS_LEFT,
    /* The decision is not one chain: the hold is posted also where the marker is refused. */
    CROSS_MISTAKE_UNLINKED,
    /* The hold is made without its time. */
    CROSS_MISTAKE_NO_TIME,
    CROSS_MISTAKES,
};

/* A request of transfers that goes to a shard, in place. */
void cross_mistake_in_request(const struct world *world, struct port_ledger_request *request);
/* What a shard has answered to a request as it was meant, in place. */
void cross_mistake_in_answer(
    const struct world *world,
    const struct port_ledger_request *meant,
    struct port_ledger_request *answer);

#endif
