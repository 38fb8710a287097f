/* Payouts as they are: shown, listed, changed in what is only noted with them, and counted. */
#include "payout.h"

#include "resource/pages.h"

/* ------------------------------------------------------------------------------ one that is -- */

/* What the books have not said yes to is not there, unless somebody was told of it. */
static bool
is_shown(const struct payments_payout *payout)
{
    return payout->attempt.tries != 0 || !span_equal_cstr(payout->attempt.kind, "hold");
}

struct payments_payout *
payments_payout_require(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 0);
    struct payments_payout *payout = resource_require(op, &payments_payout_type, "payout", id);
    if (payout != NULL && !is_shown(payout)) {
        resource_missing(op, "payout", "payout", id);
        return NULL;
    }
    return payout;
}

void
payments_payout_retrieve(struct resource_op *op)
{
    const struct payments_payout *payout = payments_payout_require(op);
    if (payout != NULL) {
        resource_answer_object(op, &payments_payout_type, payout);
    }
}

static void
update_locked(struct resource_op *op)
{
    struct payments_payout *payout = payments_payout_require(op);
    if (payout != NULL && resource_metadata(op, payout->metadata, &payout->metadata) == ERR_OK) {
        resource_answer_saved(op, &payments_payout_type, payout, "payout", "payout.updated");
    }
}

void
payments_payout_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

void
payments_payout_refuse_state(
    struct resource_op *op, const struct payments_payout *payout, const char *verb)
{
    resource_invalid(
        op,
        "payout_unexpected_state",
        NULL,
        "This payout cannot be %s: its status is %.*s%s.",
        verb,
        SPAN_PRINTF(payout->status),
        payments_attempt_is_open(&payout->attempt) ? ", and something is under way" : "");
}

/* A transfer at a bank cannot be called back, only sent back by who got it. */
void
payments_payout_reverse(struct resource_op *op)
{
    const struct payments_payout *payout = payments_payout_require(op);
    if (payout == NULL) {
        return;
    }
    if (span_equal_cstr(payout->status, "pending")) {
        payments_payout_refuse_state(op, payout, "reversed");
        return;
    }
    resource_invalid(
        op,
        "payout_reversal_unsupported",
        NULL,
        "The bank takes no payout back that it was sent; while one is pending it can be canceled.");
}

/* ------------------------------------------------------------------------------------- lists -- */

/* The table has been checked: integers from 0 on. */
static bool
arrives_as_asked(struct resource_op *op, int64_t date)
{
    int64_t bound;
    return (!resource_integer(op, "arrival_date", &bound) || date == bound) &&
           (!resource_integer(op, "arrival_date[gt]", &bound) || date > bound) &&
           (!resource_integer(op, "arrival_date[gte]", &bound) || date >= bound) &&
           (!resource_integer(op, "arrival_date[lt]", &bound) || date < bound) &&
           (!resource_integer(op, "arrival_date[lte]", &bound) || date <= bound);
}

static bool
is_listed(struct resource_op *op, const void *document)
{
    const struct payments_payout *payout = document;
    return is_shown(payout) && arrives_as_asked(op, payout->arrival_date);
}

void
payments_payout_list(struct resource_op *op)
{
    struct document_filter filters[2];
    struct resource_list_choice choice = {.filters = filters, .takes = is_listed};
    struct span text;
    if (resource_text(op, "status", &text)) {
        filters[choice.filter_count++] =
            (struct document_filter){.column = PAYMENTS_PAYOUT_STATUS, .value = {.text = text}};
    }
    if (resource_text(op, "destination", &text)) {
        filters[choice.filter_count++] = (struct document_filter){
            .column = PAYMENTS_PAYOUT_DESTINATION, .value = {.text = text}};
    }
    resource_answer_list_chosen(op, &payments_payout_type, SPAN("/v1/payouts"), &choice);
}

/* ---------------------------------------------------------------------------- what is stuck --- */

struct look {
    uint64_t count;
    int64_t oldest;
};

static bool
look_at(void *context, void *document)
{
    struct look *look = context;
    const struct payments_payout *payout = document;
    if (look->count++ == 0) {
        look->oldest = payout->asked_at;
    }
    return true;
}

static void
look_now(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct look look = {.count = 0};
    int64_t now = (int64_t)resource_now_s(op);
    const struct document_query query = {
        .all_scopes = true,
        .range_column = PAYMENTS_PAYOUT_ASKED,
        .range_min = 1,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    const struct resource_visitor visitor = {
        .each = look_at, .damaged = resource_pass_damaged, .context = &look};
    err_t error = resource_look(op, &payments_payout_type, &query, &visitor);
    resource_finish(op);
    if (error == ERR_OK) {
        atomic_store(&payments->payouts_in_transit, look.count);
        atomic_store(&payments->payout_oldest_s, look.count == 0 ? 0 : now - look.oldest);
    }
}

void
payments_payouts_look(struct payments *payments)
{
    /* Too much under way: the next sweep looks again. */
    err_t error = resource_start_internal(payments->parts.runtime, 0, payments, look_now, NULL);
    (void)error;
}
