/* What one document asks for in the books and at the issuer. */
#include "payments_sim_expect.h"

/* ------------------------------------------------------------------------------ small things */

u128
sim_unhex(const char *text)
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
int64_t
sim_expected_fee(
    const struct sim_check_state *check, const struct sim_row *charge, int64_t api_amount)
{
    const struct sim_row *transaction = sim_books_find(
        check->books, SIM_ROW_TRANSACTION, sim_row_text(charge, "balance_transaction"));
    int64_t told = transaction == NULL ? -1 : sim_row_integer(transaction, "fee");
    for (uint32_t i = 0; i < check->sim->fee_count; i++) {
        if (fee_by(&check->sim->fees[i], charge, api_amount) == told) {
            return told;
        }
    }
    sim_world_fail(
        &check->sim->world, "%s: a fee of %lld was never in force", charge->id, (long long)told);
    return 0;
}

static u128
account_of(
    const struct sim_check_state *check, const struct sim_row *row, enum books_account account)
{
    return books_account_id(
        account, check->sim->merchants[row->merchant].id, sim_row_currency(row), false);
}

/* ------------------------------------------------------------------------------- the ledger */

static const struct ledger_transfer *
transfer_find(const struct sim_check_state *check, u128 id)
{
    for (uint32_t i = 0; i < check->books->transfer_count; i++) {
        if (check->books->transfers[i].id == id) {
            return &check->books->transfers[i];
        }
    }
    return NULL;
}

/* There is exactly this transfer; it is then explained. */
void
sim_expect_transfer(
    struct sim_check_state *check,
    const struct sim_row *row,
    const char *what,
    const struct sim_expected *expected)
{
    const struct ledger_transfer *found = transfer_find(check, expected->id);
    if (found == NULL) {
        sim_world_fail(&check->sim->world, "%s: no transfer for its %s", row->id, what);
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
        sim_world_fail(
            &check->sim->world,
            "%s: its %s is booked otherwise: amount %lld, code %u, flags %u",
            row->id,
            what,
            (long long)found->amount,
            (unsigned)found->code,
            (unsigned)found->flags);
    }
}

void
sim_expect_fee(
    struct sim_check_state *check, const struct sim_row *charge, u128 attempt, int64_t amount)
{
    struct sim_expected fee = {
        .id = resource_derived_id(attempt, "fee"),
        .base = attempt,
        .debit = BOOKS_MERCHANT_PENDING,
        .credit = BOOKS_FEE_REVENUE,
        .amount = sim_expected_fee(check, charge, amount),
        .code = SIM_CODE_FEE,
    };
    if (fee.amount != 0) {
        sim_expect_transfer(check, charge, "fee", &fee);
    }
}

static void
expect_hold(struct sim_check_state *check, const struct sim_row *charge, u128 base, int64_t amount)
{
    struct sim_expected hold = {
        .id = resource_derived_id(base, "hold"),
        .base = base,
        .debit = BOOKS_CARD_CLEARING,
        .credit = BOOKS_MERCHANT_PENDING,
        .amount = amount,
        .code = SIM_CODE_HOLD,
        .flags = LEDGER_TRANSFER_PENDING,
    };
    sim_expect_transfer(check, charge, "hold", &hold);
}

/* The hold that stands for the charge now. */
u128
sim_present_hold(const struct sim_row *charge)
{
    return sim_row_is(charge, "hold", "")
               ? resource_derived_id(sim_unhex(sim_row_text(charge, "authorization")), "hold")
               : sim_unhex(sim_row_text(charge, "hold"));
}

/* From the present hold back to the authorization's own: each took the place of a smaller one, by
 * as much as the network was asked to add. */
void
sim_expect_holds(struct sim_check_state *check, const struct sim_row *charge)
{
    u128 authorization = sim_unhex(sim_row_text(charge, "authorization"));
    u128 hold = sim_present_hold(charge);
    int64_t amount = sim_row_integer(charge, "amount");
    while (hold != resource_derived_id(authorization, "hold")) {
        const struct ledger_transfer *found = transfer_find(check, hold);
        u128 base = found == NULL ? 0 : found->user_data_128;
        const struct ledger_transfer *undo =
            transfer_find(check, resource_derived_id(base, "increment void"));
        const struct sim_issuer_record *record =
            sim_record_find(check, resource_derived_id(base, "increment"));
        if (undo == NULL || record == NULL || record->operation != PORT_RAIL_INCREMENT ||
            record->outcome != PORT_RAIL_APPROVED || record->original_id != authorization) {
            sim_world_fail(&check->sim->world, "%s: a hold grew, and nobody knows why", charge->id);
            return;
        }
        expect_hold(check, charge, base, amount);
        amount -= money_to_api(
            (struct money){.amount = record->amount, .currency = sim_row_currency(charge)});
        hold = undo->pending_id;
        struct sim_expected released = {
            .id = undo->id,
            .base = base,
            .debit = BOOKS_CARD_CLEARING,
            .credit = BOOKS_MERCHANT_PENDING,
            .amount = amount,
            .code = SIM_CODE_HOLD,
            .flags = LEDGER_TRANSFER_VOID_PENDING,
            .pending_id = hold,
        };
        sim_expect_transfer(check, charge, "increment", &released);
    }
    expect_hold(check, charge, authorization, amount);
}

/* The transfer that a document names; its attempt is in the transfer. */
bool
sim_named_transfer(
    struct sim_check_state *check,
    const struct sim_row *row,
    const char *member,
    const char *step,
    u128 *ret_id,
    u128 *ret_attempt)
{
    *ret_id = sim_unhex(sim_row_text(row, member));
    const struct ledger_transfer *found = transfer_find(check, *ret_id);
    if (found == NULL || resource_derived_id(found->user_data_128, step) != *ret_id) {
        sim_world_fail(&check->sim->world, "%s: its %s names no %s", row->id, member, step);
        return false;
    }
    *ret_attempt = found->user_data_128;
    return true;
}

/* ------------------------------------------------------------------------------- the issuer */

const struct sim_issuer_record *
sim_record_find(struct sim_check_state *check, u128 id)
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
network_sums(struct sim_check_state *check, u128 authorization)
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
refunds_sent(struct sim_check_state *check, const struct sim_row *charge, uint32_t *ret_count)
{
    const struct sim_rows *refunds = &check->books->documents[SIM_ROW_REFUND];
    int64_t sum = 0;
    *ret_count = 0;
    for (uint32_t i = 0; i < refunds->count; i++) {
        const struct sim_row *refund = &refunds->rows[i];
        const struct sim_issuer_record *record =
            sim_record_find(check, sim_unhex(sim_row_text(refund, "reference")));
        if (sim_row_is(refund, "charge", charge->id) && record != NULL &&
            record->outcome == PORT_RAIL_APPROVED) {
            sum += sim_row_units(refund, sim_row_integer(refund, "amount"));
            (*ret_count)++;
        }
    }
    return sum;
}

void
sim_expect_network(struct sim_check_state *check, const struct sim_row *charge, bool canceled)
{
    u128 authorization = sim_unhex(sim_row_text(charge, "authorization"));
    const struct sim_issuer_record *record = sim_record_find(check, authorization);
    struct network_sums sums = network_sums(check, authorization);
    if (record == NULL) {
        sim_world_fail(&check->sim->world, "%s: the network never heard of it", charge->id);
        return;
    }

    enum {
        CAPTURES_AT_ONCE = 1
    };

    bool approved = record->outcome == PORT_RAIL_APPROVED;
    if (sim_row_is(charge, "status", "failed")) {
        if ((approved && sums.voids == 0) || sums.captures != 0 || sums.refunds != 0) {
            sim_world_fail(
                &check->sim->world, "%s: failed, but it stands at the network", charge->id);
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
        sim_world_fail(
            &check->sim->world,
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
