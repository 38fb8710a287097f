/*
 * Look-ups of transfers by their ids: whatever protocol has booked one, it is shown in one form
 * (CROSS-9).
 *
 * Three-phase commit keeps the payer's leg pending under the client's id until it knows, and a
 * ledger shows a pending transfer for ever, whether it was posted or voided. So behind a look-up
 * that found such legs comes another one, of what posts them, and a third, of what voids the rest:
 *
 *     posted     shown as the leg of two-phase commit: linked, not pending
 *     voided     left out, as what was never booked
 *     neither    shown as it is: pending, nobody knows
 */
#include "cross_private.h"

#include "base/assert.h"

/* Is it a payer's leg that is pending, or was? */
static bool
is_leg(const struct ledger_transfer *placed, struct ledger_transfer *ret_leg)
{
    if ((placed->flags & LEDGER_TRANSFER_PENDING) == 0 || commit_id_is_reserved(placed->id) ||
        !commit_id_is_reserved(placed->credit_account_id)) {
        return false;
    }
    struct ledger_transfer leg = *placed;
    shards_cross_unplace_transfer(&leg);
    uint16_t slot = (uint16_t)leg.credit_account_id;
    if (leg.credit_account_id != commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, leg.ledger, slot)) {
        return false;
    }
    *ret_leg = leg;
    return true;
}

static u128
end_of(const struct shards_cross *cross, const struct ledger_transfer *leg, bool post)
{
    u128 name = commit_name(shards_cross_name(cross, leg->id, 0));
    return commit_end_id(name, (uint16_t)leg->credit_account_id, 0, post);
}

static void take_posts(struct cross_message *message);
static void take_voids(struct cross_message *message);

/* Answers the request, if no leg is pending. */
static void
ask_ends(struct shards_cross *cross, struct port_ledger_request *request, bool posts)
{
    struct ledger_transfer leg;
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->out_count; i++) {
        count += is_leg(&request->out.transfers[i], &leg) ? 1 : 0;
    }
    if (count == 0) {
        shards_cross_answer(request, ERR_OK);
        return;
    }
    struct cross_message *message =
        shards_cross_message_new(cross, NULL, PORT_LEDGER_LOOKUP_TRANSFERS, count, 1);
    if (message == NULL) {
        CROSS_COUNT(cross, busy, 1);
        shards_cross_answer(request, ERR_BUSY);
        return;
    }
    for (uint32_t i = 0; i < request->out_count; i++) {
        if (is_leg(&request->out.transfers[i], &leg)) {
            message->in.ids[message->port.count++] = end_of(cross, &leg, posts);
        }
    }
    message->port.trace = request->trace;
    message->lookup = request;
    message->take = posts ? take_posts : take_voids;
    shards_cross_message_send(message);
}

/* Was the end of the next leg found? Ends come in the order in which they were asked for. */
static bool
ends_next(const struct cross_message *message, u128 id, uint32_t *next)
{
    bool found = *next < message->port.out_count && message->port.out.transfers[*next].id == id;
    *next += found ? 1 : 0;
    return found;
}

static void
take_posts(struct cross_message *message)
{
    struct port_ledger_request *request = message->lookup;
    if (message->port.error != ERR_OK) {
        shards_cross_answer(request, message->port.error);
        return;
    }
    struct ledger_transfer leg;
    uint32_t next = 0;
    for (uint32_t i = 0; i < request->out_count; i++) {
        struct ledger_transfer *found = &request->out.transfers[i];
        if (is_leg(found, &leg) && ends_next(message, end_of(message->cross, &leg, true), &next)) {
            found->flags &= (uint16_t)~LEDGER_TRANSFER_PENDING;
        }
    }
    ask_ends(message->cross, request, false);
}

static void
take_voids(struct cross_message *message)
{
    struct port_ledger_request *request = message->lookup;
    if (message->port.error != ERR_OK) {
        shards_cross_answer(request, message->port.error);
        return;
    }
    struct ledger_transfer leg;
    uint32_t next = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < request->out_count; i++) {
        struct ledger_transfer found = request->out.transfers[i];
        if (!is_leg(&found, &leg) ||
            !ends_next(message, end_of(message->cross, &leg, false), &next)) {
            request->out.transfers[kept++] = found;
        }
    }
    request->out_count = kept;
    shards_cross_answer(request, ERR_OK);
}

void
shards_cross_lookup_end(struct shards_cross *cross, struct port_ledger_request *request)
{
    ASSERT(request->operation == PORT_LEDGER_LOOKUP_TRANSFERS);
    ask_ends(cross, request, true);
}
