/*
 * The reconciler's look at refunds, payouts, disputes and balance transactions, one slice of one
 * kind.
 *
 *   refunds               the books hold what a booked one gave back to the card and to the wallet,
 *                         and the other way round what failed later; they hold nothing of a refused
 *                         one. Its balance transactions are there
 *   payouts               the books hold what one takes, and say how it ended: posted, voided, sent
 *                         back; and nothing else of it. Its balance transactions are there
 *   disputes              the books hold what was taken back, its fee, and what was given again,
 *                         and nothing else. Its balance transactions are there, and the charge
 *                         counts what its disputes say
 *   balance transactions  the charge, refund, payout or dispute that it comes from is there, names
 *                         it, and says the same amount and currency. What has settled is in the
 *                         books with its net amount, and what never had to is not
 *
 * A line of the merchant's balance and what it comes from are written by one commit, and after the
 * books (PAYMENTS-4); settlement is in the books before a document says so. So each can be compared
 * at any time, but for what moves next of what is under way.
 */
#include "disputes/dispute.h"
#include "payouts/payout_documents.h"
#include "reconcile.h"

#include "base/assert.h"
#include "base/list.h"

#define EXPECTED_MAX (PAYMENTS_RECONCILE_SLICE * PAYMENTS_EXPECTED_MAX) /* of a refund three */

enum presence {
    MUST_BE,
    MAY_BE,
    MUST_NOT_BE,
};

/* What a document says of a transfer in the books. */
struct expected {
    struct span document;
    u128 id;
    int64_t amount; /* minor units */
    uint32_t ledger;
    enum presence presence;
};

struct lines {
    struct payments_reconciler *reconciler;
    struct resource_op *op;
    err_t error; /* of reading what a document names */
    struct port_ledger_request lookup;
    struct expected expected[EXPECTED_MAX];
    u128 ids[EXPECTED_MAX];
    struct ledger_transfer found[EXPECTED_MAX];
    uint32_t count;
};

static void
difference(struct lines *lines, struct span document, const char *what, int64_t says, int64_t other)
{
    payments_reconcile_difference(lines->reconciler, document, what, says, other);
}

static void
add(struct lines *lines,
    const struct resource_header *document,
    const struct currency *currency,
    const struct books_expected *expected,
    enum presence presence)
{
    ASSERT(lines->count < EXPECTED_MAX);
    lines->ids[lines->count] = expected->transfer;
    lines->expected[lines->count++] = (struct expected){
        .document = document->id,
        .id = expected->transfer,
        .amount = expected->amount,
        .ledger = books_ledger_number(currency, resource_op_caller(lines->op)->live),
        .presence = presence,
    };
}

/* Amounts that no transfer can have differ from every other. */
static void
expect(
    struct lines *lines,
    const struct resource_header *document,
    struct span code,
    u128 id,
    int64_t amount,
    enum presence presence)
{
    const struct currency *currency = currency_find(code);
    struct money money;
    if (currency == NULL || money_from_api(amount, currency, &money) != ERR_OK) {
        difference(lines, document->id, "no amount of its currency", amount, 0);
        return;
    }
    const struct books_expected expected = {.transfer = id, .amount = money.amount};
    add(lines, document, currency, &expected, presence);
}

/* What stored.c says of the document; `error` if it could say nothing. */
static void
expect_all(
    struct lines *lines,
    const struct resource_header *document,
    struct span code,
    err_t error,
    const struct books_expected *expected,
    uint32_t count)
{
    const struct currency *currency = currency_find(code);
    if (error != ERR_OK || currency == NULL) {
        difference(lines, document->id, "no amount of its currency", 0, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        add(lines,
            document,
            currency,
            &expected[i],
            expected[i].amount < 0 ? MUST_NOT_BE : MUST_BE);
    }
}

/* NULL: there is no such document, or it cannot be read now, or is damaged, which is told where it
 * is compared. */
static void *
load(struct lines *lines, const struct resource_type *type, struct span id, bool *ret_missing)
{
    void *found = NULL;
    err_t error = resource_load(lines->op, type, id, &found);
    *ret_missing = error == ERR_NOT_FOUND;
    if (error != ERR_OK && error != ERR_NOT_FOUND && error != ERR_CORRUPT) {
        lines->error = error;
    }
    return error == ERR_OK ? found : NULL;
}

/* ---------------------------------------------------------------------------------- refunds --- */

/* Of an empty one nothing is said. */
static void
has_line(struct lines *lines, const struct resource_header *document, struct span line)
{
    bool missing = false;
    if (line.size != 0) {
        (void)load(lines, &payments_balance_transaction_type, line, &missing);
    }
    if (missing) {
        difference(lines, document->id, "its balance transaction is missing", 0, 0);
    }
}

/* The number in its id is its attempt's, but for those that were made before they were numbered so:
 * of these only `reference` is known. */
static bool
attempt_of(const struct payments_refund *refund, u128 *ret_attempt)
{
    return id_parse(payments_refund_type.prefix, refund->header.id, ret_attempt) &&
           refund->reference.size == 2 * sizeof(u128) &&
           payments_unhex(refund->reference) == resource_derived_id(*ret_attempt, "refund");
}

static void
look_at_refund(struct lines *lines, const struct payments_refund *refund)
{
    const struct resource_header *header = &refund->header;
    bool under_way = payments_attempt_is_open(&refund->attempt);
    bool booked = refund->balance_transaction.size != 0;
    bool again = refund->suspense_item.size != 0;
    bool failed = span_equal_cstr(refund->status, "failed");
    int64_t card = payments_split_rest_refunded(refund);
    u128 attempt = 0;
    if (booked) {
        has_line(lines, header, refund->balance_transaction);
        has_line(lines, header, refund->split_transaction);
        has_line(lines, header, refund->failure_balance_transaction);
    }
    if (!attempt_of(refund, &attempt) || (under_way && !booked)) {
        return;
    }
    enum presence presence = booked ? MUST_BE : MUST_NOT_BE;
    if (card != 0) {
        u128 id = resource_derived_id(attempt, again ? "refund again" : "refund");
        expect(lines, header, refund->currency, id, card, presence);
    }
    if (refund->split_amount != 0) {
        u128 id = resource_derived_id(attempt, again ? "wallet suspense" : "wallet refund");
        expect(lines, header, refund->currency, id, refund->split_amount, presence);
    }
    if (card != 0 && !under_way) {
        u128 id = resource_derived_id(attempt, "refund failure");
        expect(lines, header, refund->currency, id, card, booked && failed ? MUST_BE : MUST_NOT_BE);
    }
}

static bool
collect_refund(void *context, void *document)
{
    look_at_refund(context, document);
    return true;
}

/* ---------------------------------------------------------------------------------- payouts --- */

static bool
collect_payout(void *context, void *document)
{
    struct lines *lines = context;
    const struct payments_payout *payout = document;
    struct books_expected expected[PAYMENTS_EXPECTED_MAX];
    uint32_t count = 0;
    err_t error = payments_payout_expect(payout, expected, &count);
    has_line(lines, &payout->header, payout->balance_transaction);
    has_line(lines, &payout->header, payout->failure_balance_transaction);
    expect_all(lines, &payout->header, payout->currency, error, expected, count);
    return true;
}

/* --------------------------------------------------------------------------------- disputes --- */

/* Of a charge. */
struct dispute_sum {
    int64_t taken, given;
    bool some_damaged;
};

static bool
sum_dispute(void *context, void *document)
{
    struct dispute_sum *sum = context;
    const struct payments_dispute *dispute = document;
    bool taken =
        dispute->withdrawal.size != 0 || span_equal_cstr(dispute->attempt.kind, "withdraw");
    sum->taken += taken ? dispute->amount : 0;
    sum->given += dispute->reinstation.size != 0 ? dispute->amount : 0;
    return true;
}

static void
note_damaged(void *context, struct span id)
{
    ((struct dispute_sum *)context)->some_damaged = true;
    (void)id;
}

/* The charge counts what all of its disputes say (DISPUTE-3); one that cannot be read says nothing.
 */
static void
compare_charge(struct lines *lines, const struct payments_dispute *dispute)
{
    bool missing = false;
    struct dispute_sum sum = {.taken = 0};
    const struct resource_visitor visitor = {
        .each = sum_dispute, .damaged = note_damaged, .context = &sum};
    const struct payments_charge *charge =
        load(lines, &payments_charge_type, dispute->charge, &missing);
    if (missing) {
        difference(lines, dispute->header.id, "its charge is missing", dispute->amount, 0);
    }
    if (charge == NULL) {
        return;
    }
    const struct document_query query = {
        .filters = {{.column = PAYMENTS_DISPUTE_CHARGE, .value = {.text = dispute->charge}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    err_t error = resource_look(lines->op, &payments_dispute_type, &query, &visitor);
    if (error != ERR_OK) {
        lines->error = error;
    } else if (
        !sum.some_damaged &&
        (sum.taken != charge->disputed_amount || sum.given != charge->reinstated_amount)) {
        difference(
            lines,
            dispute->header.id,
            "its charge counts another amount",
            sum.taken - sum.given,
            payments_charge_taken_back(charge));
    }
}

static bool
collect_dispute(void *context, void *document)
{
    struct lines *lines = context;
    const struct payments_dispute *dispute = document;
    struct books_expected expected[PAYMENTS_EXPECTED_MAX];
    uint32_t count = 0;
    err_t error = payments_dispute_expect(dispute, false, expected, &count);
    has_line(lines, &dispute->header, dispute->withdrawal);
    has_line(lines, &dispute->header, dispute->reinstation);
    compare_charge(lines, dispute);
    expect_all(lines, &dispute->header, dispute->currency, error, expected, count);
    return true;
}

/* --------------------------------------------------------------------- balance transactions --- */

/* What its source says of a line. */
struct origin {
    struct span currency;
    int64_t amount;
    int64_t fee; /* of a dispute */
    bool named;
    bool settles; /* it was pending, or is */
};

static struct origin
origin_in_charge(
    const struct payments_charge *charge, const struct payments_balance_transaction *line)
{
    struct origin origin = {.currency = charge->currency, .settles = charge->wallet.size == 0};
    if (span_equal_cstr(line->type, "transfer")) {
        origin.named = charge->transfer_destination.size != 0;
        origin.amount = -charge->amount_captured;
    } else if (span_equal(charge->balance_transaction, line->header.id)) {
        origin.named = span_equal_cstr(line->type, "charge");
        origin.amount = charge->amount_captured - charge->split_captured;
    } else if (span_equal(charge->split_transaction, line->header.id)) {
        origin.named = span_equal_cstr(line->type, "charge");
        origin.amount = charge->split_captured;
        origin.settles = false;
    }
    return origin;
}

static struct origin
origin_in_refund(
    const struct payments_refund *refund, const struct payments_balance_transaction *line)
{
    struct origin origin = {.currency = refund->currency, .settles = !refund->from_available};
    bool of_failure = span_equal_cstr(line->type, "refund_failure");
    if (of_failure) {
        origin.named = span_equal(refund->failure_balance_transaction, line->header.id);
        origin.amount = payments_split_rest_refunded(refund);
    } else if (span_equal(refund->split_transaction, line->header.id)) {
        origin.named = span_equal_cstr(line->type, "refund");
        origin.amount = -refund->split_amount;
        origin.settles = false;
    } else {
        origin.named = span_equal(refund->balance_transaction, line->header.id) &&
                       span_equal_cstr(line->type, "refund");
        origin.amount = -payments_split_rest_refunded(refund);
    }
    return origin;
}

static struct origin
origin_in_payout(
    const struct payments_payout *payout, const struct payments_balance_transaction *line)
{
    struct origin origin = {.currency = payout->currency};
    bool canceled = span_equal_cstr(payout->status, "canceled");
    if (span_equal_cstr(line->type, "payout")) {
        origin.named = span_equal(payout->balance_transaction, line->header.id);
        origin.amount = -payout->amount;
    } else {
        origin.named = span_equal(payout->failure_balance_transaction, line->header.id) &&
                       span_equal_cstr(line->type, canceled ? "payout_cancel" : "payout_failure");
        origin.amount = payout->amount;
    }
    return origin;
}

static struct origin
origin_in_dispute(
    const struct payments_dispute *dispute, const struct payments_balance_transaction *line)
{
    bool taken = span_equal(dispute->withdrawal, line->header.id);
    return (struct origin){
        .currency = dispute->currency,
        .amount = taken ? -dispute->amount : dispute->amount,
        .fee = taken ? dispute->fee : 0,
        .named = span_equal_cstr(line->type, "adjustment") &&
                 (taken || span_equal(dispute->reinstation, line->header.id)),
        .settles = !dispute->from_available,
    };
}

static bool
find_origin(
    struct lines *lines, const struct payments_balance_transaction *line, struct origin *ret_origin)
{
    const struct resource_type *type = payments_source_type(line->source);
    bool missing = false;
    const void *source = load(lines, type, line->source, &missing);
    if (missing) {
        difference(lines, line->header.id, "its source is missing", line->amount, 0);
    }
    if (source != NULL) {
        *ret_origin = type == &payments_charge_type    ? origin_in_charge(source, line)
                      : type == &payments_dispute_type ? origin_in_dispute(source, line)
                      : type == &payments_payout_type  ? origin_in_payout(source, line)
                                                       : origin_in_refund(source, line);
        if (type == &payments_charge_type || type == &payments_refund_type) {
            ret_origin->fee = line->fee;
        }
    }
    return source != NULL;
}

static void
expect_settlement(
    struct lines *lines, const struct payments_balance_transaction *line, bool settles)
{
    int64_t net = line->amount - line->fee;
    u128 number = 0;
    if (!id_parse(payments_balance_transaction_type.prefix, line->header.id, &number)) {
        return;
    }
    expect(
        lines,
        &line->header,
        line->currency,
        resource_derived_id(number, "settle"),
        net < 0 ? -net : net,
        !settles                 ? MUST_NOT_BE
        : line->release_due == 0 ? MUST_BE
                                 : MAY_BE);
}

static void
look_at_line(struct lines *lines, const struct payments_balance_transaction *line)
{
    struct origin origin;
    if (!find_origin(lines, line, &origin)) {
        return;
    }
    if (!origin.named) {
        difference(lines, line->header.id, "its source does not name it", line->amount, 0);
        return;
    }
    if (!span_equal(line->currency, origin.currency)) {
        difference(lines, line->header.id, "its source has another currency", line->amount, 0);
        return;
    }
    if (line->amount != origin.amount) {
        difference(
            lines, line->header.id, "its source has another amount", line->amount, origin.amount);
    }
    if (line->fee != origin.fee) {
        difference(lines, line->header.id, "its source has another fee", line->fee, origin.fee);
    }
    if (line->release_due != 0 && line->release_due != line->available_on) {
        difference(
            lines,
            line->header.id,
            "settles at another time than it shows",
            line->available_on,
            line->release_due);
    }
    expect_settlement(lines, line, origin.settles);
}

static bool
collect_line(void *context, void *document)
{
    look_at_line(context, document);
    return true;
}

/* -------------------------------------------------------------------------------- the books --- */

static void
compare(struct lines *lines, const struct expected *expected)
{
    const struct ledger_transfer *found = NULL;
    for (uint32_t i = 0; i < lines->lookup.out_count && found == NULL; i++) {
        found = lines->found[i].id == expected->id ? &lines->found[i] : NULL;
    }
    struct span document = expected->document;
    if (found == NULL) {
        if (expected->presence == MUST_BE) {
            difference(lines, document, "not in the books", expected->amount, 0);
        }
    } else if (expected->presence == MUST_NOT_BE) {
        difference(lines, document, "in the books all the same", 0, (int64_t)found->amount);
    } else if (found->ledger != expected->ledger) {
        difference(
            lines,
            document,
            "another currency in the books",
            (int64_t)expected->ledger,
            (int64_t)found->ledger);
    } else if (found->amount != (u128)expected->amount) {
        difference(
            lines, document, "other amount in the books", expected->amount, (int64_t)found->amount);
    }
}

static void
looked_up(struct port_ledger_request *request)
{
    struct lines *lines = CONTAINER_OF(request, struct lines, lookup);
    for (uint32_t i = 0; i < lines->count && request->error == ERR_OK; i++) {
        compare(lines, &lines->expected[i]);
    }
    payments_reconcile_end(lines->reconciler, lines->op, request->error);
}

static void
look_up(struct lines *lines)
{
    struct port_ledger *ledger = lines->reconciler->payments->parts.ledger;
    lines->lookup.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    lines->lookup.count = lines->count;
    lines->lookup.in.ids = lines->ids;
    lines->lookup.out.transfers = lines->found;
    lines->lookup.reply_to = resource_op_executor(lines->op);
    lines->lookup.done = looked_up;
    ledger->submit(ledger, &lines->lookup);
}

static const struct phase {
    const struct resource_type *type;
    bool (*collect)(void *context, void *document);
} phases[PAYMENTS_RECONCILE_PHASES] = {
    [PAYMENTS_RECONCILE_REFUNDS] = {&payments_refund_type, collect_refund},
    [PAYMENTS_RECONCILE_PAYOUTS] = {&payments_payout_type, collect_payout},
    [PAYMENTS_RECONCILE_DISPUTES] = {&payments_dispute_type, collect_dispute},
    [PAYMENTS_RECONCILE_TRANSACTIONS] = {&payments_balance_transaction_type, collect_line},
};

void
payments_reconcile_lines(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct payments_reconciler *reconciler = payments->reconciler;
    struct lines *lines = ARENA_NEW(resource_op_arena(op), struct lines);
    if (lines == NULL) {
        payments_reconcile_end(reconciler, op, ERR_FULL);
        return;
    }
    lines->reconciler = reconciler;
    lines->op = op;
    const struct phase *phase = &phases[reconciler->phase];
    err_t error = payments_reconcile_read(reconciler, op, phase->type, phase->collect, lines);
    error = error != ERR_OK ? error : lines->error;
    if (error != ERR_OK || lines->count == 0) {
        payments_reconcile_end(reconciler, op, error);
        return;
    }
    look_up(lines);
}
