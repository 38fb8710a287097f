/*
 * What must be true once everything is at rest. The documents are taken one by one; each says
 * which transfers and which records at the issuer there must be; what is left over in the books
 * or at the issuer is explained by nothing, and that is a failure too.
 */
#include "payments_sim.h"

#include "base/assert.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    CODE_PAYMENT = 1,
    CODE_FEE = 2,
    CODE_HOLD = 3,
    CODE_REFUND = 4,
    CODE_REFUND_FAILURE = 5,
    CODE_SETTLE = 6,
};

struct check {
    struct sim *sim;
    const struct sim_books *books;
    bool *transfer_seen;
    bool *record_seen;
};

/* ------------------------------------------------------------------------------ small things */

static u128
unhex(const char *text)
{
    u128 id = 0;
    for (; *text != '\0'; text++) {
        id = id << 4 | (unsigned)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    }
    return id;
}

static int64_t
fee_by(const struct sim_fee *rule, const struct sim_row *row, int64_t api_amount)
{
    int64_t tenthousandths = api_amount * rule->basis_points;
    int64_t fee = tenthousandths / 10000 + (tenthousandths % 10000 >= 5000 ? 1 : 0);
    fee += rule->fixed;
    if (sim_row_currency(row)->api_exponent > sim_row_currency(row)->exponent) {
        fee -= fee % 100;
    }
    return fee < api_amount ? fee : api_amount;
}

/* The fee that the charge's balance transaction tells, if it was ever the fee. */
static int64_t
expected_fee(const struct check *check, const struct sim_row *charge, int64_t api_amount)
{
    const struct sim_row *transaction = sim_books_find(
        check->books, SIM_ROW_TRANSACTION, sim_row_text(charge, "balance_transaction"));
    int64_t told = transaction == NULL ? -1 : sim_row_integer(transaction, "fee");
    for (uint32_t i = 0; i < check->sim->fee_count; i++) {
        if (fee_by(&check->sim->fees[i], charge, api_amount) == told) {
            return told;
        }
    }
    sim_fail(check->sim, "%s: a fee of %lld was never in force", charge->id, (long long)told);
    return 0;
}

static u128
account_of(const struct check *check, const struct sim_row *row, enum books_account account)
{
    return books_account_id(
        account, check->sim->merchants[row->merchant].id, sim_row_currency(row), false);
}

/* ------------------------------------------------------------------------------- the ledger */

static const struct ledger_transfer *
transfer_find(const struct check *check, u128 id)
{
    for (uint32_t i = 0; i < check->books->transfer_count; i++) {
        if (check->books->transfers[i].id == id) {
            return &check->books->transfers[i];
        }
    }
    return NULL;
}

struct expected {
    u128 id, base, pending_id;
    enum books_account debit, credit;
    int64_t amount; /* API units */
    uint16_t code, flags;
};

/* There is exactly this transfer; it is then explained. */
static void
expect_transfer(
    struct check *check,
    const struct sim_row *row,
    const char *what,
    const struct expected *expected)
{
    const struct ledger_transfer *found = transfer_find(check, expected->id);
    if (found == NULL) {
        sim_fail(check->sim, "%s: no transfer for its %s", row->id, what);
        return;
    }
    check->transfer_seen[found - check->books->transfers] = true;
    uint16_t flags = found->flags & (uint16_t)~LEDGER_TRANSFER_LINKED;
    if (found->amount != (u128)sim_row_units(row, expected->amount) ||
        found->debit_account_id != account_of(check, row, expected->debit) ||
        found->credit_account_id != account_of(check, row, expected->credit) ||
        found->code != expected->code || flags != expected->flags ||
        found->pending_id != expected->pending_id || found->user_data_64 != row->scope ||
        found->user_data_128 != expected->base || found->timeout != 0 ||
        found->ledger != books_ledger_number(sim_row_currency(row), false)) {
        sim_fail(
            check->sim,
            "%s: its %s is booked otherwise: amount %lld, code %u, flags %u",
            row->id,
            what,
            (long long)found->amount,
            (unsigned)found->code,
            (unsigned)found->flags);
    }
}

static void
expect_fee(struct check *check, const struct sim_row *charge, u128 attempt, int64_t amount)
{
    struct expected fee = {
        .id = resource_derived_id(attempt, "fee"),
        .base = attempt,
        .debit = BOOKS_MERCHANT_PENDING,
        .credit = BOOKS_FEE_REVENUE,
        .amount = expected_fee(check, charge, amount),
        .code = CODE_FEE,
    };
    if (fee.amount != 0) {
        expect_transfer(check, charge, "fee", &fee);
    }
}

static void
expect_hold(struct check *check, const struct sim_row *charge, u128 base, int64_t amount)
{
    struct expected hold = {
        .id = resource_derived_id(base, "hold"),
        .base = base,
        .debit = BOOKS_CARD_CLEARING,
        .credit = BOOKS_MERCHANT_PENDING,
        .amount = amount,
        .code = CODE_HOLD,
        .flags = LEDGER_TRANSFER_PENDING,
    };
    expect_transfer(check, charge, "hold", &hold);
}

/* The hold that stands for the charge now. */
static u128
present_hold(const struct sim_row *charge)
{
    return sim_row_is(charge, "hold", "")
               ? resource_derived_id(unhex(sim_row_text(charge, "authorization")), "hold")
               : unhex(sim_row_text(charge, "hold"));
}

static const struct sim_issuer_record *record_find(struct check *check, u128 id);

/* From the present hold back to the authorization's own: each took the place of a smaller one, by
 * as much as the network was asked to add. */
static void
expect_holds(struct check *check, const struct sim_row *charge)
{
    u128 authorization = unhex(sim_row_text(charge, "authorization"));
    u128 hold = present_hold(charge);
    int64_t amount = sim_row_integer(charge, "amount");
    while (hold != resource_derived_id(authorization, "hold")) {
        const struct ledger_transfer *found = transfer_find(check, hold);
        u128 base = found == NULL ? 0 : found->user_data_128;
        const struct ledger_transfer *undo =
            transfer_find(check, resource_derived_id(base, "increment void"));
        const struct sim_issuer_record *record =
            record_find(check, resource_derived_id(base, "increment"));
        if (undo == NULL || record == NULL || record->operation != PORT_RAIL_INCREMENT ||
            record->outcome != PORT_RAIL_APPROVED || record->original_id != authorization) {
            sim_fail(check->sim, "%s: a hold grew, and nobody knows why", charge->id);
            return;
        }
        expect_hold(check, charge, base, amount);
        amount -= money_to_api(
            (struct money){.amount = record->amount, .currency = sim_row_currency(charge)});
        hold = undo->pending_id;
        struct expected released = {
            .id = undo->id,
            .base = base,
            .debit = BOOKS_CARD_CLEARING,
            .credit = BOOKS_MERCHANT_PENDING,
            .amount = amount,
            .code = CODE_HOLD,
            .flags = LEDGER_TRANSFER_VOID_PENDING,
            .pending_id = hold,
        };
        expect_transfer(check, charge, "increment", &released);
    }
    expect_hold(check, charge, authorization, amount);
}

/* The transfer that a document names; its attempt is in the transfer. */
static bool
named_transfer(
    struct check *check,
    const struct sim_row *row,
    const char *member,
    const char *step,
    u128 *ret_id,
    u128 *ret_attempt)
{
    *ret_id = unhex(sim_row_text(row, member));
    const struct ledger_transfer *found = transfer_find(check, *ret_id);
    if (found == NULL || resource_derived_id(found->user_data_128, step) != *ret_id) {
        sim_fail(check->sim, "%s: its %s names no %s", row->id, member, step);
        return false;
    }
    *ret_attempt = found->user_data_128;
    return true;
}

/* ------------------------------------------------------------------------------- the issuer */

static const struct sim_issuer_record *
record_find(struct check *check, u128 id)
{
    for (uint32_t i = 0; i < check->books->issuer_count; i++) {
        if (check->books->issuer[i].id == id) {
            check->record_seen[i] = true;
            return &check->books->issuer[i];
        }
    }
    return NULL;
}

struct network_sums {
    int64_t added, captured, refunded;
    uint32_t captures, refunds, voids;
};

/* What the network did to an authorization, added up from its records. */
static struct network_sums
network_sums(struct check *check, u128 authorization)
{
    struct network_sums sums = {0};
    for (uint32_t i = 0; i < check->books->issuer_count; i++) {
        const struct sim_issuer_record *record = &check->books->issuer[i];
        if (record->original_id != authorization || record->operation == PORT_RAIL_AUTHORIZE) {
            continue; /* an authorization follows a challenge, and counts by itself */
        }
        check->record_seen[i] = true;
        if (record->outcome != PORT_RAIL_APPROVED) {
            continue;
        }
        if (record->operation == PORT_RAIL_INCREMENT) {
            sums.added += record->amount;
        } else if (record->operation == PORT_RAIL_CAPTURE) {
            sums.captured += record->amount;
            sums.captures++;
        } else if (record->operation == PORT_RAIL_REFUND) {
            sums.refunded += record->amount;
            sums.refunds++;
        } else if (record->operation == PORT_RAIL_VOID) {
            sums.voids++;
        }
    }
    return sums;
}

/* Refunds of a charge that the rail took, those that failed later included. */
static int64_t
refunds_sent(struct check *check, const struct sim_row *charge, uint32_t *ret_count)
{
    const struct sim_rows *refunds = &check->books->documents[SIM_ROW_REFUND];
    int64_t sum = 0;
    *ret_count = 0;
    for (uint32_t i = 0; i < refunds->count; i++) {
        const struct sim_row *refund = &refunds->rows[i];
        const struct sim_issuer_record *record =
            record_find(check, unhex(sim_row_text(refund, "reference")));
        if (sim_row_is(refund, "charge", charge->id) && record != NULL &&
            record->outcome == PORT_RAIL_APPROVED) {
            sum += sim_row_units(refund, sim_row_integer(refund, "amount"));
            (*ret_count)++;
        }
    }
    return sum;
}

static void
check_network(struct check *check, const struct sim_row *charge, bool canceled)
{
    u128 authorization = unhex(sim_row_text(charge, "authorization"));
    const struct sim_issuer_record *record = record_find(check, authorization);
    struct network_sums sums = network_sums(check, authorization);
    if (record == NULL) {
        sim_fail(check->sim, "%s: the network never heard of it", charge->id);
        return;
    }

    enum {
        CAPTURES_AT_ONCE = 1
    };

    bool approved = record->outcome == PORT_RAIL_APPROVED;
    if (sim_row_is(charge, "status", "failed")) {
        if ((approved && sums.voids == 0) || sums.captures != 0 || sums.refunds != 0) {
            sim_fail(check->sim, "%s: failed, but it stands at the network", charge->id);
        }
        return;
    }
    int64_t captured = sim_row_units(charge, sim_row_integer(charge, "amount_captured"));
    uint32_t refund_count;
    int64_t refunded = refunds_sent(check, charge, &refund_count);
    int64_t taken = (record->flags & CAPTURES_AT_ONCE) != 0 ? record->amount : sums.captured;
    int64_t authorized = record->amount + sums.added;
    if (!approved || authorized != sim_row_units(charge, sim_row_integer(charge, "amount")) ||
        (sums.voids != 0) != canceled || taken != captured || sums.captures > 1 ||
        sums.refunded != refunded || sums.refunds != refund_count) {
        sim_fail(
            check->sim,
            "%s: the network has another view: authorized %lld, captured %lld, refunded %lld in "
            "%u, voids %u",
            charge->id,
            (long long)authorized,
            (long long)taken,
            (long long)sums.refunded,
            sums.refunds,
            sums.voids);
    }
}

/* --------------------------------------------------------------------------------- documents */

static const struct sim_row *
transaction_of(struct check *check, const struct sim_row *row, const char *member)
{
    const struct sim_row *found =
        sim_books_find(check->books, SIM_ROW_TRANSACTION, sim_row_text(row, member));
    if (found == NULL || !sim_row_is(found, "source", row->id)) {
        sim_fail(check->sim, "%s: no balance transaction", row->id);
        return NULL;
    }
    return found;
}

static void
check_transaction(
    struct check *check, const struct sim_row *row, const char *member, int64_t amount, int64_t fee)
{
    const struct sim_row *transaction = transaction_of(check, row, member);
    if (transaction != NULL && (sim_row_integer(transaction, "amount") != amount ||
                                sim_row_integer(transaction, "fee") != fee)) {
        sim_fail(check->sim, "%s: its balance transaction is of another amount", row->id);
    }
}

static void
check_captured(struct check *check, const struct sim_row *intent, const struct sim_row *charge)
{
    u128 id;
    u128 attempt;
    u128 authorization = unhex(sim_row_text(charge, "authorization"));
    bool manual = sim_row_is(intent, "capture_method", "manual");
    int64_t amount = sim_row_integer(charge, "amount_captured");
    if (!named_transfer(
            check, charge, "booked_by", manual ? "capture" : "payment", &id, &attempt)) {
        return;
    }
    struct expected payment = {
        .id = id,
        .base = attempt,
        .debit = BOOKS_CARD_CLEARING,
        .credit = BOOKS_MERCHANT_PENDING,
        .amount = amount,
        .code = manual ? CODE_HOLD : CODE_PAYMENT,
        .flags = manual ? LEDGER_TRANSFER_POST_PENDING : 0,
        .pending_id = manual ? present_hold(charge) : 0,
    };
    expect_transfer(check, charge, "payment", &payment);
    expect_fee(check, charge, attempt, amount);
    check_transaction(
        check, charge, "balance_transaction", amount, expected_fee(check, charge, amount));
    if (manual) {
        expect_holds(check, charge);
    } else if (resource_derived_id(attempt, "authorize") != authorization) {
        sim_fail(check->sim, "%s: booked under another attempt", charge->id);
    }
    if (sim_row_integer(intent, "amount_received") != amount ||
        sim_row_integer(intent, "amount_capturable") != 0) {
        sim_fail(check->sim, "%s: received another amount than its charge", intent->id);
    }
}

static void
check_voided(struct check *check, const struct sim_row *charge)
{
    u128 hold = present_hold(charge);
    for (uint32_t i = 0; i < check->books->transfer_count; i++) {
        const struct ledger_transfer *transfer = &check->books->transfers[i];
        if (transfer->pending_id != hold) {
            continue;
        }
        struct expected undo = {
            .id = resource_derived_id(transfer->user_data_128, "void"),
            .base = transfer->user_data_128,
            .debit = BOOKS_CARD_CLEARING,
            .credit = BOOKS_MERCHANT_PENDING,
            .amount = sim_row_integer(charge, "amount"),
            .code = CODE_HOLD,
            .flags = LEDGER_TRANSFER_VOID_PENDING,
            .pending_id = hold,
        };
        expect_transfer(check, charge, "void", &undo);
        return;
    }
    sim_fail(check->sim, "%s: canceled, but its hold stands", charge->id);
}

/* The one charge of an intent that the rail approved. */
static void
check_good_charge(struct check *check, const struct sim_row *intent, const struct sim_row *charge)
{
    int64_t captured = sim_row_integer(charge, "amount_captured");
    int64_t refunded = sim_row_integer(charge, "amount_refunded");
    bool is_captured = json_is_true(json_object_get(charge->body, "captured"));
    bool canceled = sim_row_is(intent, "status", "canceled");
    if (refunded < 0 || refunded > captured || captured > sim_row_integer(charge, "amount")) {
        sim_fail(
            check->sim,
            "%s: captured %lld, refunded %lld",
            charge->id,
            (long long)captured,
            (long long)refunded);
    }
    if (!sim_row_is(intent, "latest_charge", charge->id) ||
        is_captured != sim_row_is(intent, "status", "succeeded")) {
        sim_fail(check->sim, "%s: its intent is %s", charge->id, sim_row_text(intent, "status"));
    }
    if (is_captured) {
        check_captured(check, intent, charge);
        return;
    }
    expect_holds(check, charge);
    if (canceled) {
        check_voided(check, charge);
    } else if (
        !sim_row_is(intent, "status", "requires_capture") ||
        sim_row_integer(intent, "amount_capturable") != sim_row_integer(charge, "amount")) {
        sim_fail(check->sim, "%s: neither captured nor to be captured", charge->id);
    }
}

static void
check_intent(struct check *check, const struct sim_row *intent)
{
    const struct sim_rows *charges = &check->books->documents[SIM_ROW_CHARGE];
    uint32_t good = 0;
    bool live = sim_row_is(intent, "status", "requires_capture");
    bool waits = sim_row_is(intent, "status", "requires_action");
    if (!sim_row_is(intent, "attempt_kind", "")) {
        sim_fail(
            check->sim, "%s: %s is still open", intent->id, sim_row_text(intent, "attempt_kind"));
    }
    if (sim_row_is(intent, "status", "processing") ||
        (sim_row_integer(intent, "due") != 0) != (live || waits) ||
        (waits && !sim_row_is(intent, "challenge_state", "open"))) {
        sim_fail(check->sim, "%s is at rest as %s", intent->id, sim_row_text(intent, "status"));
    }
    for (uint32_t i = 0; i < charges->count; i++) {
        const struct sim_row *charge = &charges->rows[i];
        if (!sim_row_is(charge, "payment_intent", intent->id)) {
            continue;
        }
        bool succeeded = sim_row_is(charge, "status", "succeeded");
        good += succeeded ? 1 : 0;
        check_network(check, charge, succeeded && sim_row_is(intent, "status", "canceled"));
        if (succeeded) {
            check_good_charge(check, intent, charge);
        } else if (sim_row_integer(charge, "amount_captured") != 0) {
            sim_fail(check->sim, "%s failed and is captured", charge->id);
        }
    }
    bool paid = live || sim_row_is(intent, "status", "succeeded");
    if (good > 1 || (paid && good == 0)) {
        sim_fail(check->sim, "%s has %u charges that stand", intent->id, good);
    }
}

static void
check_setup(struct check *check, const struct sim_row *setup)
{
    bool waits = sim_row_is(setup, "status", "requires_action");
    if (!sim_row_is(setup, "attempt_kind", "") || sim_row_is(setup, "status", "processing") ||
        (sim_row_integer(setup, "due") != 0) != waits) {
        sim_fail(check->sim, "%s is at rest as %s", setup->id, sim_row_text(setup, "status"));
    }
    const struct sim_row *attempt =
        sim_books_find(check->books, SIM_ROW_SETUP_ATTEMPT, sim_row_text(setup, "latest_attempt"));
    if (attempt == NULL || !sim_row_is(attempt, "setup_intent", setup->id)) {
        sim_fail(check->sim, "%s: its attempt is gone", setup->id);
        return;
    }
    const struct sim_issuer_record *record =
        record_find(check, unhex(sim_row_text(attempt, "verification")));
    bool approved = record != NULL && record->outcome == PORT_RAIL_APPROVED;
    if (record == NULL || record->amount != 0 ||
        approved != sim_row_is(setup, "status", "succeeded") ||
        approved != sim_row_is(attempt, "status", "succeeded")) {
        sim_fail(
            check->sim,
            "%s is %s, and the network has another view",
            setup->id,
            sim_row_text(setup, "status"));
    }
}

static void
check_refund(struct check *check, const struct sim_row *refund)
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
        sim_fail(check->sim, "%s is still open", refund->id);
    }
    const struct sim_issuer_record *record =
        record_find(check, unhex(sim_row_text(refund, "reference")));
    if (failed && sim_row_is(refund, "balance_transaction", "")) {
        if (record != NULL && record->outcome == PORT_RAIL_APPROVED) {
            sim_fail(check->sim, "%s: not booked, but the network took it", refund->id);
        }
        return;
    }
    if (!named_transfer(check, refund, "reference", "refund", &id, &attempt)) {
        return;
    }
    struct expected out = {
        .id = id,
        .base = attempt,
        .debit = source,
        .credit = BOOKS_CARD_CLEARING,
        .amount = amount,
        .code = CODE_REFUND,
    };
    expect_transfer(check, refund, "refund", &out);
    check_transaction(check, refund, "balance_transaction", -amount, 0);
    if (record == NULL || record->outcome != PORT_RAIL_APPROVED ||
        record->operation != PORT_RAIL_REFUND || record->amount != sim_row_units(refund, amount)) {
        sim_fail(check->sim, "%s: the network has no such refund", refund->id);
    }
    if (failed) {
        struct expected back = {
            .id = resource_derived_id(attempt, "refund failure"),
            .base = attempt,
            .debit = BOOKS_CARD_CLEARING,
            .credit = source,
            .amount = amount,
            .code = CODE_REFUND_FAILURE,
        };
        expect_transfer(check, refund, "refund failure", &back);
        check_transaction(check, refund, "failure_balance_transaction", amount, 0);
    }
}

/* amount_refunded is the sum of the refunds that stand. */
static void
check_refund_sum(struct check *check, const struct sim_row *charge)
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
        sim_fail(
            check->sim,
            "%s: refunds of %lld, but %lld on the charge",
            charge->id,
            (long long)sum,
            (long long)sim_row_integer(charge, "amount_refunded"));
    }
}

/* The document that a transaction is about knows it. */
static void
check_source(struct check *check, const struct sim_row *transaction)
{
    const char *source = sim_row_text(transaction, "source");
    const struct sim_row *row = sim_books_find(check->books, SIM_ROW_CHARGE, source);
    if (row == NULL) {
        row = sim_books_find(check->books, SIM_ROW_REFUND, source);
    }
    if (row == NULL || (!sim_row_is(row, "balance_transaction", transaction->id) &&
                        !sim_row_is(row, "failure_balance_transaction", transaction->id))) {
        sim_fail(
            check->sim,
            "%s (%s) is not known to %s",
            transaction->id,
            sim_row_text(transaction, "type"),
            source);
    }
}

static void
check_settlement(struct check *check, const struct sim_row *transaction)
{
    u128 id = 0;
    bool parsed = id_parse("txn_", span_from_cstr(transaction->id), &id);
    ASSERT(parsed);
    int64_t net = sim_row_integer(transaction, "amount") - sim_row_integer(transaction, "fee");
    u128 settled = resource_derived_id(id, "settle");
    uint64_t now_s = os_wall_ns(os_sim_clock(check->sim->machine)) / OS_NS_PER_S;
    bool due = sim_row_integer(transaction, "release_due") != 0;
    bool is_late = due && sim_row_integer(transaction, "release_due") + 10 < (int64_t)now_s;
    const struct sim_row *refund =
        sim_books_find(check->books, SIM_ROW_REFUND, sim_row_text(transaction, "source"));
    bool never = refund != NULL && json_is_true(json_object_get(refund->body, "from_available"));
    if (is_late) {
        sim_fail(check->sim, "%s is not settled in time", transaction->id);
    }
    if (due || never) {
        return; /* a transfer of it would be explained by nothing */
    }
    struct expected transfer = {
        .id = settled,
        .base = id,
        .debit = net < 0 ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING,
        .credit = net < 0 ? BOOKS_MERCHANT_PENDING : BOOKS_MERCHANT_AVAILABLE,
        .amount = net < 0 ? -net : net,
        .code = CODE_SETTLE,
    };
    expect_transfer(check, transaction, "settlement", &transfer);
}

static void
check_nothing_else(struct check *check)
{
    for (uint32_t i = 0; i < check->books->transfer_count; i++) {
        if (!check->transfer_seen[i]) {
            sim_fail(
                check->sim,
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
            sim_fail(
                check->sim,
                "record %u of the issuer, operation %u, is explained by no document",
                i,
                (unsigned)check->books->issuer[i].operation);
        }
    }
}

/* Lists find `created` through the id: they agree, however much later it was written. */
static void
check_created(struct check *check, const struct sim_row *row)
{
    u128 number = 0;
    char prefix[ID_PREFIX_MAX + 1] = "";
    struct span id = span_from_cstr(row->id);
    size_t size = id.size > ID_DIGITS ? id.size - ID_DIGITS : 0;
    ASSERT(size <= ID_PREFIX_MAX);
    memcpy(prefix, row->id, size);
    if (!id_parse(prefix, id, &number) ||
        sim_row_integer(row, "created") != (int64_t)(id_unix_ms(number) / 1000)) {
        sim_fail(check->sim, "%s was created at another time than its id says", row->id);
    }
}

void
sim_check(struct sim *sim, const struct sim_books *books)
{
    struct check check = {
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
    check_nothing_else(&check);
    sim_check_sums(sim, books);
    free(check.transfer_seen);
    free(check.record_seen);
}
