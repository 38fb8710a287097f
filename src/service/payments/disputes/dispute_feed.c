/*
 * The network's news of disputes, read one notice after the other by the process that sweeps.
 *
 *   ask        documents: where the feed stands. Rail: what is the next?                   (1)
 *   place      under the lock of the payment: what the notice says becomes durable         (2)
 *   advance    documents: the feed stands behind the notice. Then (1) again                (3)
 *
 * A crash anywhere, or a network out of reach, leaves the position where it was: the notice comes
 * again and is known by its dispute's id (DISPUTE-1, DISPUTE-2). What cannot be placed yet, because
 * its charge is not written, waits at the head of the feed, but not for ever: after a while it is
 * passed over, counted and told in the log. So is what does not fit its charge: the network's word
 * moves no more than the payment was.
 */
#include "dispute.h"

#include "base/assert.h"
#include "os/fault.h"
#include "trace/log.h"

#include <stdlib.h>
#include <string.h>

#define CURSOR_ID    SPAN("dcu_1")
#define CURSOR_SCOPE 0
/* A charge is written seconds after its money was taken, minutes if the ledger is out of reach. */
#define PLACED_WITHIN_S 600
/* The network's clock is no further ahead. */
#define CLOCKS_DIFFER_S (24 * 3600)
/* A dispute whose due date is nearer than that is counted for an alarm. */
#define SOON_S (2 * 24 * 3600)

struct payments_feed {
    struct payments *payments;
    struct port_rail_notice notice; /* in hand */
    bool busy;                      /* a round is under way */
    bool placed;                    /* what it says is durable, or nobody's */
    bool unplaced;                  /* nobody's */
    bool advanced;
};

static void ask(struct resource_op *op);

static void
round_ends(struct payments_feed *feed)
{
    feed->busy = false;
}

static void
go_on(struct payments_feed *feed, uint64_t scope, resource_step step)
{
    if (resource_start_internal(feed->payments->parts.runtime, scope, feed->payments, step, NULL) !=
        ERR_OK) {
        round_ends(feed); /* too much under way: the next turn tries again */
    }
}

/* ------------------------------------------------------------------------------ (3) advance --- */

static err_t
load_cursor(struct resource_op *op, struct payments_feed_cursor **ret_cursor)
{
    void *found;
    err_t error = resource_load(op, &payments_feed_cursor_type, CURSOR_ID, &found);
    if (error == ERR_NOT_FOUND) {
        struct payments_feed_cursor *fresh = resource_new(op, &payments_feed_cursor_type);
        if (fresh == NULL) {
            return ERR_FULL;
        }
        fresh->header.id = CURSOR_ID;
        *ret_cursor = fresh;
        return ERR_OK;
    }
    if (error == ERR_OK) {
        *ret_cursor = found;
    }
    return error;
}

static void
cursor_is_durable(void *context)
{
    ((struct payments_feed *)context)->advanced = true;
}

static void
advance_ended(void *context)
{
    struct payments_feed *feed = context;
    if (feed->advanced) {
        go_on(feed, CURSOR_SCOPE, ask);
    } else {
        round_ends(feed);
    }
}

static err_t
save_cursor(struct payments_feed *feed, struct resource_op *op)
{
    struct payments_feed_cursor *cursor;
    TRY(load_cursor(op, &cursor));
    if ((uint64_t)cursor->position >= feed->notice.position) {
        return ERR_OK; /* another process was here */
    }
    cursor->position = (int64_t)feed->notice.position;
    cursor->unplaced += feed->unplaced ? 1 : 0;
    return resource_save(op, &payments_feed_cursor_type, cursor);
}

static void
advance(struct resource_op *op)
{
    struct payments_feed *feed = ((struct payments *)resource_op_service(op))->feed;
    FAULT_POINT("dispute-before-advance");
    feed->advanced = false;
    resource_op_on_end(op, advance_ended, feed);
    err_t error = resource_op_when_done(op, cursor_is_durable, feed);
    if (error == ERR_OK) {
        error = save_cursor(feed, op);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "feed of disputes");
        return;
    }
    resource_finish(op);
}

/* -------------------------------------------------------------------------------- (2) place --- */

static void
is_durable(void *context)
{
    ((struct payments_feed *)context)->placed = true;
}

static void
place_ended(void *context)
{
    struct payments_feed *feed = context;
    if (feed->placed) {
        go_on(feed, CURSOR_SCOPE, advance);
    } else {
        round_ends(feed);
    }
}

/* What is written from here on is what the notice says. */
static bool
places(struct payments_feed *feed, struct resource_op *op)
{
    err_t error = resource_op_when_done(op, is_durable, feed);
    if (error != ERR_OK) {
        resource_internal(op, error, "notice of a dispute");
    }
    return error == ERR_OK;
}

/* It changes nothing: it was placed before, or is nobody's. */
static void
pass_over(struct payments_feed *feed, struct resource_op *op)
{
    feed->placed = true;
    resource_finish(op);
}

static void
nobodys(struct payments_feed *feed, struct resource_op *op, const char *what)
{
    const struct port_rail_notice *notice = &feed->notice;
    int64_t age_s = (int64_t)resource_now_s(op) - (int64_t)(notice->opened_ms / 1000);
    if (age_s < PLACED_WITHIN_S && age_s > -CLOCKS_DIFFER_S) {
        resource_finish(op); /* it is asked for again */
        return;
    }
    feed->unplaced = true;
    TRACE_LOG(
        feed->payments->parts.log,
        TRACE_ERROR,
        "payments",
        SPAN_EMPTY,
        "a dispute of a payment that nobody knows",
        trace_cstr("difference", what),
        trace_i64("position", (int64_t)notice->position),
        trace_i64("amount", notice->amount),
        trace_text("dispute", payments_hex(op, notice->dispute)));
    pass_over(feed, op);
}

static int64_t
api_amount(const struct payments_flow *flow, int64_t amount)
{
    const struct money money = {.amount = amount, .currency = payments_flow_currency(flow)};
    return money_to_api(money);
}

/* "ch_..." or "du_..." of a number, in the arena. */
static struct span
id_of(struct resource_op *op, const struct resource_type *type, u128 number)
{
    char text[ID_TEXT_SIZE];
    size_t size = id_format(type->prefix, number, text);
    return arena_copy(resource_op_arena(op), span_of(text, size));
}

static struct span
arena_text(struct resource_op *op, const char *text)
{
    return arena_copy(resource_op_arena(op), span_from_cstr(text));
}

/* The method may be gone by now; then they are not told. */
static void
fill_card(struct payments_flow *flow, struct payments_dispute *dispute)
{
    void *found;
    dispute->brand = dispute->scheme = SPAN("unknown");
    if (resource_load(flow->op, &payments_method_type, flow->charge->payment_method, &found) ==
        ERR_OK) {
        dispute->brand = ((struct payments_method *)found)->brand;
        dispute->scheme = ((struct payments_method *)found)->network;
    }
}

static struct payments_dispute *
build(struct payments_flow *flow, const struct port_rail_notice *notice)
{
    struct payments_dispute *dispute = resource_new(flow->op, &payments_dispute_type);
    if (dispute == NULL) {
        return NULL;
    }
    bool inquiry = notice->news == PORT_RAIL_NEWS_INQUIRY;
    dispute->header.id =
        id_of(flow->op, &payments_dispute_type, payments_dispute_number_of(notice));
    dispute->header.created = (int64_t)(notice->opened_ms / 1000);
    dispute->amount = api_amount(flow, notice->amount);
    dispute->currency = flow->charge->currency;
    dispute->charge = flow->charge->header.id;
    dispute->payment_intent = flow->intent->header.id;
    dispute->status = inquiry ? SPAN("warning_needs_response") : SPAN("needs_response");
    dispute->reason = arena_text(flow->op, notice->reason);
    dispute->network_code = arena_text(flow->op, notice->network_code);
    dispute->network = payments_hex(flow->op, notice->dispute);
    fill_card(flow, dispute);
    dispute->due_by = (int64_t)(notice->due_ms / 1000);
    dispute->respond_by = dispute->due_by;
    flow->charge->disputed = true;
    return dispute;
}

static err_t
save_new(struct payments_flow *flow)
{
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_save(flow->op, &payments_dispute_type, flow->dispute));
    return resource_emit(
        flow->op, "charge.dispute.created", &payments_dispute_type, flow->dispute, SPAN_EMPTY);
}

static void
open_new(struct payments_flow *flow, struct payments_feed *feed)
{
    flow->dispute = build(flow, &feed->notice);
    if (flow->dispute == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return;
    }
    bool takes = feed->notice.news == PORT_RAIL_NEWS_DISPUTED;
    if (!places(feed, flow->op) || (takes && !payments_dispute_withdraw_open(flow))) {
        return;
    }
    err_t error = save_new(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
    } else if (takes) {
        resource_after_commit(flow->op, payments_dispute_withdraw);
    } else {
        resource_finish(flow->op);
    }
}

/* Carried out when what is under way has ended: DISPUTE-4. */
static void
decide(struct payments_flow *flow, struct payments_feed *feed, enum payments_dispute_move move)
{
    static const char *const words[PAYMENTS_DISPUTE_MOVE_COUNT] = {
        [PAYMENTS_DISPUTE_ESCALATE] = "escalated",
        [PAYMENTS_DISPUTE_WIN] = "won",
        [PAYMENTS_DISPUTE_LOSE] = "lost",
        [PAYMENTS_DISPUTE_CLOSE] = "closed",
    };
    struct payments_dispute *dispute = flow->dispute;
    enum payments_dispute_status to;
    struct span word = span_from_cstr(words[move]);
    if (span_equal(dispute->decided, word) ||
        (dispute->decided.size == 0 &&
         !payments_dispute_move(payments_dispute_status_of(dispute), move, &to))) {
        pass_over(feed, flow->op); /* it was told before */
        return;
    }
    if (dispute->decided.size != 0) {
        resource_finish(flow->op); /* one after the other */
        return;
    }
    dispute->decided = word;
    dispute->decided_amount = api_amount(flow, feed->notice.amount);
    dispute->decided_due_by = (int64_t)(feed->notice.due_ms / 1000);
    if (!places(feed, flow->op)) {
        return;
    }
    if (!payments_attempt_is_open(&dispute->attempt)) {
        payments_dispute_decide(flow);
        return;
    }
    err_t error = resource_save(flow->op, &payments_dispute_type, dispute);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    resource_finish(flow->op);
}

static void
take_notice(struct payments_flow *flow, struct payments_feed *feed)
{
    bool known = flow->dispute != NULL;
    switch (feed->notice.news) {
    case PORT_RAIL_NEWS_INQUIRY:
        if (known) {
            pass_over(feed, flow->op);
        } else {
            open_new(flow, feed);
        }
        return;
    case PORT_RAIL_NEWS_DISPUTED:
        if (known) {
            decide(flow, feed, PAYMENTS_DISPUTE_ESCALATE);
        } else {
            open_new(flow, feed);
        }
        return;
    case PORT_RAIL_NEWS_WON:
    case PORT_RAIL_NEWS_LOST:
    case PORT_RAIL_NEWS_CLOSED:
        if (!known) {
            nobodys(feed, flow->op, "its beginning was not told");
            return;
        }
        decide(
            flow,
            feed,
            feed->notice.news == PORT_RAIL_NEWS_WON    ? PAYMENTS_DISPUTE_WIN
            : feed->notice.news == PORT_RAIL_NEWS_LOST ? PAYMENTS_DISPUTE_LOSE
                                                       : PAYMENTS_DISPUTE_CLOSE);
        return;
    case PORT_RAIL_NEWS_NONE:
        break;
    }
    UNREACHABLE();
}

static void
place_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_feed *feed = flow->payments->feed;
    struct span charge = flow->charge->header.id;
    void *found = NULL;
    if (!payments_intent_load(flow, flow->wanted_intent) ||
        !payments_dispute_load_charge(flow, charge)) {
        return;
    }
    struct span id = id_of(op, &payments_dispute_type, payments_dispute_number_of(&feed->notice));
    err_t error = resource_load(op, &payments_dispute_type, id, &found);
    if (error != ERR_OK && error != ERR_NOT_FOUND) {
        resource_internal(op, error, "dispute");
        return;
    }
    flow->dispute = error == ERR_OK ? found : NULL;
    if (api_amount(flow, feed->notice.amount) > flow->charge->amount - flow->charge->split_amount) {
        nobodys(feed, op, "its amount is more than its card paid");
        return;
    }
    take_notice(flow, feed);
}

static void
place(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct payments_feed *feed = ((struct payments *)resource_op_service(op))->feed;
    void *found;
    FAULT_POINT("dispute-before-place");
    feed->placed = false;
    feed->unplaced = false;
    if (flow == NULL) {
        round_ends(feed);
        return;
    }
    resource_op_on_end(op, place_ended, feed);
    err_t error = resource_load(
        op,
        &payments_charge_type,
        id_of(op, &payments_charge_type, feed->notice.reference),
        &found);
    if (error == ERR_NOT_FOUND) {
        nobodys(feed, op, "its charge is missing");
        return;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "charge of a dispute");
        return;
    }
    flow->charge = found;
    struct span authorization = payments_hex(op, feed->notice.authorization);
    if (!span_equal(flow->charge->authorization, authorization)) {
        nobodys(feed, op, "its charge has another authorization");
        return;
    }
    flow->wanted_intent = flow->charge->payment_intent;
    resource_lock(op, flow->wanted_intent, place_locked);
}

/* ---------------------------------------------------------------------------------- (1) ask --- */

static bool
count_one(void *context, void *document)
{
    (void)document;
    (*(uint64_t *)context)++;
    return true;
}

/* More than the limit is alarm enough. */
static err_t
count_due_soon(struct payments *payments, struct resource_op *op)
{
    const struct document_query query = {
        .all_scopes = true,
        .range_column = PAYMENTS_DISPUTE_RESPOND,
        .range_min = 1,
        .range_max = (int64_t)resource_now_s(op) + SOON_S,
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    uint64_t count = 0;
    const struct resource_visitor visitor = {
        .each = count_one, .damaged = resource_pass_damaged, .context = &count};
    TRY(resource_look(op, &payments_dispute_type, &query, &visitor));
    atomic_store(&payments->disputes_due_soon, count);
    return ERR_OK;
}

static void
told(struct payments_flow *flow)
{
    struct payments_feed *feed = flow->payments->feed;
    const struct port_rail_answer *answer = &flow->rail.answer;
    bool news = answer->outcome == PORT_RAIL_APPROVED && answer->notice.news != PORT_RAIL_NEWS_NONE;
    if (!news) {
        err_t error = count_due_soon(flow->payments, flow->op);
        (void)error; /* the last count stands */
        resource_finish(flow->op);
        round_ends(feed);
        return;
    }
    feed->notice = answer->notice;
    resource_finish(flow->op);
    go_on(feed, feed->notice.scope, place);
}

static void
ask(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct payments *payments = resource_op_service(op);
    struct payments_feed_cursor *cursor;
    if (flow == NULL) {
        round_ends(payments->feed);
        return;
    }
    err_t error = load_cursor(op, &cursor);
    if (error != ERR_OK) {
        resource_internal(op, error, "feed of disputes");
        round_ends(payments->feed);
        return;
    }
    atomic_store(&payments->disputes_unplaced, (uint64_t)cursor->unplaced);
    flow->rail.operation = PORT_RAIL_NEWS;
    flow->rail.position = (uint64_t)cursor->position;
    payments_rail_call(flow, told);
}

/* ------------------------------------------------------------------------------- life cycle --- */

void
payments_feed_turn(struct payments *payments, bool leads)
{
    struct payments_feed *feed = payments->feed;
    if (!leads) {
        atomic_store(&payments->disputes_due_soon, 0); /* who leads tells */
        atomic_store(&payments->disputes_unplaced, 0);
        return;
    }
    if (!feed->busy) {
        feed->busy = true;
        go_on(feed, CURSOR_SCOPE, ask);
    }
}

void
payments_feed_create(struct payments *payments)
{
    payments->feed = calloc(1, sizeof(*payments->feed));
    ASSERT(payments->feed != NULL);
    payments->feed->payments = payments;
}

void
payments_feed_destroy(struct payments *payments)
{
    free(payments->feed);
    payments->feed = NULL;
}
