/*
 * What the rail says of a charge's disputes, against what the charge says (reconcile.c). The feed
 * tells of each (disputes/dispute_feed.c); one that it never tells of is found here, by its money.
 */
#include "reconcile.h"

#include "disputes/dispute.h"

#include "base/assert.h"

#include <string.h>

/* Longer than a notice waits at the head of the feed, and others behind it. */
#define NEWS_TAKE_S 3600

static bool
dispute_under_way(void *context, void *document)
{
    const struct payments_dispute *dispute = document;
    bool *under_way = context;
    *under_way =
        *under_way || payments_attempt_is_open(&dispute->attempt) || dispute->decided.size != 0;
    return true;
}

/* Whether a dispute of the charge was told, and its money has not moved yet. */
static err_t
disputes_under_way(struct resource_op *op, struct span charge, bool *ret_under_way)
{
    const struct document_query query = {
        .filters = {{.column = PAYMENTS_DISPUTE_CHARGE, .value = {.text = charge}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    *ret_under_way = false;
    const struct resource_visitor visitor = {
        .each = dispute_under_way, .damaged = resource_pass_damaged, .context = ret_under_way};
    return resource_look(op, &payments_dispute_type, &query, &visitor);
}

/* The one of this charge; else a free one, or NULL. */
static struct payments_unheard *
unheard_of(struct payments_reconciler *reconciler, struct span charge)
{
    struct payments_unheard *place = NULL;
    for (uint32_t i = 0; i < PAYMENTS_UNHEARD_MAX; i++) {
        struct payments_unheard *unheard = &reconciler->unheard[i];
        if (span_equal_cstr(charge, unheard->charge)) {
            return unheard;
        }
        if (place == NULL && unheard->charge[0] == '\0') {
            place = unheard;
        }
    }
    return place;
}

/* Whether the rail has had more for so long that its news will not come. It is met twice at least,
 * so that no clock that jumps says so. */
static bool
news_are_late(
    struct payments_reconciler *reconciler, struct span charge, bool rail_has_more, int64_t now)
{
    struct payments_unheard *unheard = unheard_of(reconciler, charge);
    if (unheard == NULL) {
        return false;
    }
    bool met = unheard->charge[0] != '\0';
    if (!rail_has_more) {
        unheard->charge[0] = '\0';
        return false;
    }
    if (!met) {
        ASSERT(charge.size < sizeof(unheard->charge));
        memcpy(unheard->charge, charge.data, charge.size);
        unheard->charge[charge.size] = '\0';
        unheard->since = now;
    }
    return met && now - unheard->since >= NEWS_TAKE_S;
}

/* The rail knows of disputes first, so it may have more for a while, never less. */
err_t
payments_reconcile_taken(
    struct payments_reconciler *reconciler,
    struct resource_op *op,
    const struct payments_charge *charge,
    const struct port_rail_answer *answer)
{
    struct span id = charge->header.id;
    const struct currency *currency = currency_find(charge->currency);
    struct money taken;
    struct money given;
    bool under_way = false;
    TRY(money_from_api(charge->disputed_amount, currency, &taken));
    TRY(money_from_api(charge->reinstated_amount, currency, &given));
    if (answer->outcome != PORT_RAIL_APPROVED) {
        return ERR_OK;
    }
    int64_t rail_took = answer->disputed_amount;
    int64_t rail_gave = answer->reinstated_amount;
    if (rail_took < taken.amount) {
        payments_reconcile_difference(
            reconciler, id, "less taken back by the rail", taken.amount, rail_took);
    }
    if (rail_gave < given.amount) {
        payments_reconcile_difference(
            reconciler, id, "less given again by the rail", given.amount, rail_gave);
    }
    bool more = rail_took > taken.amount || rail_gave > given.amount;
    if (more) {
        TRY(disputes_under_way(op, id, &under_way));
    }
    if (!news_are_late(reconciler, id, more && !under_way, (int64_t)resource_now_s(op))) {
        return ERR_OK;
    }
    if (rail_took > taken.amount) {
        payments_reconcile_difference(
            reconciler, id, "taken back by the rail, and no notice came", taken.amount, rail_took);
    } else {
        payments_reconcile_difference(
            reconciler, id, "given again by the rail, and no notice came", given.amount, rail_gave);
    }
    return ERR_OK;
}
