/*
 * What must be true once everything is at rest. The documents are taken one by one; each says
 * which transfers and which records at the issuer there must be; what is left over in the books
 * or at the issuer is explained by nothing, and that is a failure too.
 */
#include "payments_sim_expect.h"

#include "base/assert.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- documents */

static const struct sim_row *
transaction_of(struct sim_check_state *check, const struct sim_row *row, const char *member)
{
    const struct sim_row *found =
        sim_books_find(check->books, SIM_ROW_TRANSACTION, sim_row_text(row, member));
    if (found == NULL || !sim_row_is(found, "source", row->id)) {
        sim_world_fail(&check->sim->world, "%s: no balance transaction", row->id);
        return NULL;
    }
    return found;
}

static void
check_transaction(
    struct sim_check_state *check,
    const struct sim_row *row,
    const char *member,
    int64_t amount,
    int64_t fee)
{
    const struct sim_row *transaction = transaction_of(check, row, member);
    if (transaction != NULL && (sim_row_integer(transaction, "amount") != amount ||
                                sim_row_integer(transaction, "fee") != fee)) {
        sim_world_fail(
            &check->sim->world, "%s: its balance transaction is of another amount", row->id);
    }
}

static void
check_captured(
    struct sim_check_state *check, const struct sim_row *intent, const struct sim_row *charge)
{
    u128 id;
    u128 attempt;
    u128 authorization = sim_unhex(sim_row_text(charge, "authorization"));
    bool manual = sim_row_is(intent, "capture_method", "manual");
    int64_t amount = sim_row_integer(charge, "amount_captured");
    if (!sim_named_transfer(
            check, charge, "booked_by", manual ? "capture" : "payment", &id, &attempt)) {
        return;
    }
    struct sim_expected payment = {
        .id = id,
        .base = attempt,
        .debit = BOOKS_CARD_CLEARING,
        .credit = BOOKS_MERCHANT_PENDING,
        .amount = amount,
        .code = manual ? SIM_CODE_HOLD : SIM_CODE_PAYMENT,
        .flags = manual ? LEDGER_TRANSFER_POST_PENDING : 0,
        .pending_id = manual ? sim_present_hold(charge) : 0,
    };
    sim_expect_transfer(check, charge, "payment", &payment);
    sim_expect_fee(check, charge, attempt, amount);
    check_transaction(
        check, charge, "balance_transaction", amount, sim_expected_fee(check, charge, amount));
    if (manual) {
        sim_expect_holds(check, charge);
    } else if (resource_derived_id(attempt, "authorize") != authorization) {
        sim_world_fail(&check->sim->world, "%s: booked under another attempt", charge->id);
    }
    if (sim_row_integer(intent, "amount_received") != amount ||
        sim_row_integer(intent, "amount_capturable") != 0) {
        sim_world_fail(
            &check->sim->world, "%s: received another amount than its charge", intent->id);
    }
}

static void
check_voided(struct sim_check_state *check, const struct sim_row *charge)
{
    u128 hold = sim_present_hold(charge);
    for (uint32_t i = 0; i < check->books->transfer_count; i++) {
        const struct ledger_transfer *transfer = &check->books->transfers[i];
        if (transfer->pending_id != hold) {
            continue;
        }
        struct sim_expected undo = {
            .id = resource_derived_id(transfer->user_data_128, "void"),
            .base = transfer->user_data_128,
            .debit = BOOKS_CARD_CLEARING,
            .credit = BOOKS_MERCHANT_PENDING,
            .amount = sim_row_integer(charge, "amount"),
            .code = SIM_CODE_HOLD,
            .flags = LEDGER_TRANSFER_VOID_PENDING,
            .pending_id = hold,
        };
        sim_expect_transfer(check, charge, "void", &undo);
        return;
    }
    sim_world_fail(&check->sim->world, "%s: canceled, but its hold stands", charge->id);
}

/* The one charge of an intent that the rail approved. */
static void
check_good_charge(
    struct sim_check_state *check, const struct sim_row *intent, const struct sim_row *charge)
{
    int64_t captured = sim_row_integer(charge, "amount_captured");
    int64_t refunded = sim_row_integer(charge, "amount_refunded");
    bool is_captured = json_is_true(json_object_get(charge->body, "captured"));
    bool canceled = sim_row_is(intent, "status", "canceled");
    if (refunded < 0 || refunded > captured || captured > sim_row_integer(charge, "amount")) {
        sim_world_fail(
            &check->sim->world,
            "%s: captured %lld, refunded %lld",
            charge->id,
            (long long)captured,
            (long long)refunded);
    }
    if (!sim_row_is(intent, "latest_charge", charge->id) ||
        is_captured != sim_row_is(intent, "status", "succeeded")) {
        sim_world_fail(
            &check->sim->world, "%s: its intent is %s", charge->id, sim_row_text(intent, "status"));
    }
    if (is_captured) {
        check_captured(check, intent, charge);
        return;
    }
    sim_expect_holds(check, charge);
    if (canceled) {
        check_voided(check, charge);
    } else if (
        !sim_row_is(intent, "status", "requires_capture") ||
        sim_row_integer(intent, "amount_capturable") != sim_row_integer(charge, "amount")) {
        sim_world_fail(&check->sim->world, "%s: neither captured nor to be captured", charge->id);
    }
}

static void
check_intent(struct sim_check_state *check, const struct sim_row *intent)
{
    const struct sim_rows *charges = &check->books->documents[SIM_ROW_CHARGE];
    uint32_t good = 0;
    bool live = sim_row_is(intent, "status", "requires_capture");
    bool waits = sim_row_is(intent, "status", "requires_action");
    if (!sim_row_is(intent, "attempt_kind", "")) {
        sim_world_fail(
            &check->sim->world,
            "%s: %s is still open",
            intent->id,
            sim_row_text(intent, "attempt_kind"));
    }
    if (sim_row_is(intent, "status", "processing") ||
        (sim_row_integer(intent, "due") != 0) != (live || waits) ||
        (waits && !sim_row_is(intent, "challenge_state", "open"))) {
        sim_world_fail(
            &check->sim->world, "%s is at rest as %s", intent->id, sim_row_text(intent, "status"));
    }
    for (uint32_t i = 0; i < charges->count; i++) {
        const struct sim_row *charge = &charges->rows[i];
        if (!sim_row_is(charge, "payment_intent", intent->id)) {
            continue;
        }
        bool succeeded = sim_row_is(charge, "status", "succeeded");
        good += succeeded ? 1 : 0;
        sim_expect_network(check, charge, succeeded && sim_row_is(intent, "status", "canceled"));
        if (succeeded) {
            check_good_charge(check, intent, charge);
        } else if (sim_row_integer(charge, "amount_captured") != 0) {
            sim_world_fail(&check->sim->world, "%s failed and is captured", charge->id);
        }
    }
    bool paid = live || sim_row_is(intent, "status", "succeeded");
    if (good > 1 || (paid && good == 0)) {
        sim_world_fail(&check->sim->world, "%s has %u charges that stand", intent->id, good);
    }
}

static void
check_setup(struct sim_check_state *check, const struct sim_row *setup)
{
    bool waits = sim_row_is(setup, "status", "requires_action");
    if (!sim_row_is(setup, "attempt_kind", "") || sim_row_is(setup, "status", "processing") ||
        (sim_row_integer(setup, "due") != 0) != waits) {
        sim_world_fail(
            &check->sim->world, "%s is at rest as %s", setup->id, sim_row_text(setup, "status"));
    }
    const struct sim_row *attempt =
        sim_books_find(check->books, SIM_ROW_SETUP_ATTEMPT, sim_row_text(setup, "latest_attempt"));
    if (attempt == NULL || !sim_row_is(attempt, "setup_intent", setup->id)) {
        sim_world_fail(&check->sim->world, "%s: its attempt is gone", setup->id);
        return;
    }
    const struct sim_issuer_record *record =
        sim_record_find(check, sim_unhex(sim_row_text(attempt, "verification")));
    bool approved = record != NULL && record->outcome == PORT_RAIL_APPROVED;
    if (record == NULL || record->amount != 0 ||
        approved != sim_row_is(setup, "status", "succeeded") ||
        approved != sim_row_is(attempt, "status", "succeeded")) {
        sim_world_fail(
            &check->sim->world,
            "%s is %s, and the network has another view",
            setup->id,
            sim_row_text(setup, "status"));
    }
}

static void
check_refund(struct sim_check_state *check, const struct sim_row *refund)
{
    u128 id;
    u128 attempt;
    bool failed = sim_row_is(refund, "status", "failed");
    int64_t amount = sim_row_integer(refund, "amount");
    enum books_account source = json_is_true(json_object_get(refund->body, "from_available"))
                                    ? BOOKS_MERCHANT_AVAILABLE
                                    : BOOKS_MERCHANT_PENDING;
    if (!sim_row_is(refund, "attempt_kind", "") || sim_row_integer(refund, "due") != 0 ||
        (!failed && !sim_row_is(refund, "status", "succeeded"))) {
        sim_world_fail(&check->sim->world, "%s is still open", refund->id);
    }
    const struct sim_issuer_record *record =
        sim_record_find(check, sim_unhex(sim_row_text(refund, "reference")));
    if (failed && sim_row_is(refund, "balance_transaction", "")) {
        if (record != NULL && record->outcome == PORT_RAIL_APPROVED) {
            sim_world_fail(
                &check->sim->world, "%s: not booked, but the network took it", refund->id);
        }
        return;
    }
    if (!sim_named_transfer(check, refund, "reference", "refund", &id, &attempt)) {
        return;
    }
    struct sim_expected out = {
        .id = id,
        .base = attempt,
        .debit = source,
        .credit = BOOKS_CARD_CLEARING,
        .amount = amount,
        .code = SIM_CODE_REFUND,
    };
    sim_expect_transfer(check, refund, "refund", &out);
    check_transaction(check, refund, "balance_transaction", -amount, 0);
    if (record == NULL || record->outcome != PORT_RAIL_APPROVED ||
        record->operation != PORT_RAIL_REFUND || record->amount != sim_row_units(refund, amount)) {
        sim_world_fail(&check->sim->world, "%s: the network has no such refund", refund->id);
    }
    if (failed) {
        struct sim_expected back = {
            .id = resource_derived_id(attempt, "refund failure"),
            .base = attempt,
            .debit = BOOKS_CARD_CLEARING,
            .credit = source,
            .amount = amount,
            .code = SIM_CODE_REFUND_FAILURE,
        };
        sim_expect_transfer(check, refund, "refund failure", &back);
        check_transaction(check, refund, "failure_balance_transaction", amount, 0);
    }
}

/* amount_refunded is the sum of the refunds that stand. */
static void
check_refund_sum(struct sim_check_state *check, const struct sim_row *charge)
{
    const struct sim_rows *refunds = &check->books->documents[SIM_ROW_REFUND];
    int64_t sum = 0;
    for (uint32_t i = 0; i < refunds->count; i++) {
        const struct sim_row *refund = &refunds->rows[i];
        bool stands = !sim_row_is(refund, "status", "failed");
        if (stands && sim_row_is(refund, "charge", charge->id)) {
            sum += sim_row_integer(refund, "amount");
        }
    }
    if (sum != sim_row_integer(charge, "amount_refunded")) {
        sim_world_fail(
            &check->sim->world,
            "%s: refunds of %lld, but %lld on the charge",
            charge->id,
            (long long)sum,
            (long long)sim_row_integer(charge, "amount_refunded"));
    }
}

/* The document that a transaction is about knows it. */
static void
check_source(struct sim_check_state *check, const struct sim_row *transaction)
{
    const char *source = sim_row_text(transaction, "source");
    const struct sim_row *row = sim_books_find(check->books, SIM_ROW_CHARGE, source);
    if (row == NULL) {
        row = sim_books_find(check->books, SIM_ROW_REFUND, source);
    }
    const struct sim_row *dispute = sim_books_find(check->books, SIM_ROW_DISPUTE, source);
    bool of_dispute = dispute != NULL && (sim_row_is(dispute, "withdrawal", transaction->id) ||
                                          sim_row_is(dispute, "reinstation", transaction->id));
    if (of_dispute) {
        return;
    }
    if (row == NULL || (!sim_row_is(row, "balance_transaction", transaction->id) &&
                        !sim_row_is(row, "failure_balance_transaction", transaction->id))) {
        sim_world_fail(
            &check->sim->world,
            "%s (%s) is not known to %s",
            transaction->id,
            sim_row_text(transaction, "type"),
            source);
    }
}

static void
check_settlement(struct sim_check_state *check, const struct sim_row *transaction)
{
    u128 id = 0;
    bool parsed = id_parse("txn_", span_from_cstr(transaction->id), &id);
    ASSERT(parsed);
    int64_t net = sim_row_integer(transaction, "amount") - sim_row_integer(transaction, "fee");
    u128 settled = resource_derived_id(id, "settle");
    uint64_t now_s = os_wall_ns(os_sim_clock(check->sim->world.machine)) / OS_NS_PER_S;
    bool due = sim_row_integer(transaction, "release_due") != 0;
    bool is_late = due && sim_row_integer(transaction, "release_due") + 10 < (int64_t)now_s;
    const struct sim_row *refund =
        sim_books_find(check->books, SIM_ROW_REFUND, sim_row_text(transaction, "source"));
    if (refund == NULL) {
        refund = sim_books_find(check->books, SIM_ROW_DISPUTE, sim_row_text(transaction, "source"));
    }
    bool never = refund != NULL && json_is_true(json_object_get(refund->body, "from_available"));
    if (is_late) {
        sim_world_fail(&check->sim->world, "%s is not settled in time", transaction->id);
    }
    if (due || never) {
        return; /* a transfer of it would be explained by nothing */
    }
    struct sim_expected transfer = {
        .id = settled,
        .base = id,
        .debit = net < 0 ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING,
        .credit = net < 0 ? BOOKS_MERCHANT_PENDING : BOOKS_MERCHANT_AVAILABLE,
        .amount = net < 0 ? -net : net,
        .code = SIM_CODE_SETTLE,
    };
    sim_expect_transfer(check, transaction, "settlement", &transfer);
}

static void
check_nothing_else(struct sim_check_state *check)
{
    for (uint32_t i = 0; i < check->books->transfer_count; i++) {
        if (!check->transfer_seen[i]) {
            sim_world_fail(
                &check->sim->world,
                "transfer %u of %lld, code %u, is explained by no document",
                i,
                (long long)check->books->transfers[i].amount,
                (unsigned)check->books->transfers[i].code);
        }
    }
    for (uint32_t i = 0; i < check->books->issuer_count; i++) {
        /* A challenge holds nothing, and a declined increment changes nothing. */
        const struct sim_issuer_record *record = &check->books->issuer[i];
        bool empty =
            record->outcome == PORT_RAIL_CHALLENGE ||
            (record->operation == PORT_RAIL_INCREMENT && record->outcome == PORT_RAIL_DECLINED);
        if (!check->record_seen[i] && !empty) {
            sim_world_fail(
                &check->sim->world,
                "record %u of the issuer, operation %u, is explained by no document",
                i,
                (unsigned)check->books->issuer[i].operation);
        }
    }
}

/* Lists find `created` through the id: they agree, however much later it was written. */
static void
check_created(struct sim_check_state *check, const struct sim_row *row)
{
    u128 number = 0;
    char prefix[ID_PREFIX_MAX + 1] = "";
    struct span id = span_from_cstr(row->id);
    size_t size = id.size > ID_DIGITS ? id.size - ID_DIGITS : 0;
    ASSERT(size <= ID_PREFIX_MAX);
    memcpy(prefix, row->id, size);
    if (!id_parse(prefix, id, &number) ||
        sim_row_integer(row, "created") != (int64_t)(id_unix_ms(number) / 1000)) {
        sim_world_fail(
            &check->sim->world, "%s was created at another time than its id says", row->id);
    }
}

void
sim_check(struct sim *sim, const struct sim_books *books)
{
    struct sim_check_state check = {
        .sim = sim,
        .books = books,
        .transfer_seen = calloc(books->transfer_count + 1, sizeof(bool)),
        .record_seen = calloc(books->issuer_count + 1, sizeof(bool)),
    };
    ASSERT(check.transfer_seen != NULL && check.record_seen != NULL);
    for (uint32_t i = 0; i < books->documents[SIM_ROW_INTENT].count; i++) {
        check_intent(&check, &books->documents[SIM_ROW_INTENT].rows[i]);
    }
    for (uint32_t i = 0; i < books->documents[SIM_ROW_SETUP].count; i++) {
        check_setup(&check, &books->documents[SIM_ROW_SETUP].rows[i]);
    }
    for (uint32_t i = 0; i < books->documents[SIM_ROW_CHARGE].count; i++) {
        check_refund_sum(&check, &books->documents[SIM_ROW_CHARGE].rows[i]);
        check_created(&check, &books->documents[SIM_ROW_CHARGE].rows[i]);
    }
    for (uint32_t i = 0; i < books->documents[SIM_ROW_REFUND].count; i++) {
        check_refund(&check, &books->documents[SIM_ROW_REFUND].rows[i]);
        check_created(&check, &books->documents[SIM_ROW_REFUND].rows[i]);
    }
    for (uint32_t i = 0; i < books->documents[SIM_ROW_TRANSACTION].count; i++) {
        check_source(&check, &books->documents[SIM_ROW_TRANSACTION].rows[i]);
        check_settlement(&check, &books->documents[SIM_ROW_TRANSACTION].rows[i]);
    }
    sim_check_disputes(&check);
    check_nothing_else(&check);
    sim_check_sums(sim, books);
    free(check.transfer_seen);
    free(check.record_seen);
}
