/* Disputes, once everything is at rest: each has moved its money once, or none, and its charge
 * counts what all of them have moved. */
#include "payments_sim_expect.h"

#include "base/assert.h"

#include <jansson.h>
#include <string.h>

static const char *
line_of(const struct sim_row *dispute, bool taken)
{
    return sim_row_text(dispute, taken ? "withdrawal" : "reinstation");
}

static void
check_line(struct sim_check_state *check, const struct sim_row *dispute, bool taken)
{
    const char *id = line_of(dispute, taken);
    const struct sim_row *line = sim_books_find(check->books, SIM_ROW_TRANSACTION, id);
    int64_t amount = sim_row_integer(dispute, "amount");
    if (line == NULL || !sim_row_is(line, "source", dispute->id) ||
        !sim_row_is(line, "type", "adjustment") ||
        sim_row_integer(line, "amount") != (taken ? -amount : amount) ||
        sim_row_integer(line, "fee") != (taken ? sim_row_integer(dispute, "fee") : 0)) {
        sim_world_fail(&check->sim->world, "%s: no such balance transaction", dispute->id);
    }
}

static void
expect_moves(struct sim_check_state *check, const struct sim_row *dispute, bool won)
{
    u128 number = 0;
    bool parsed = id_parse("du_", span_from_cstr(dispute->id), &number);
    ASSERT(parsed);
    enum books_account merchant = json_is_true(json_object_get(dispute->body, "from_available"))
                                      ? BOOKS_MERCHANT_AVAILABLE
                                      : BOOKS_MERCHANT_PENDING;
    struct sim_expected taken = {
        .id = resource_derived_id(number, "dispute"),
        .base = number,
        .debit = merchant,
        .credit = BOOKS_CARD_CLEARING,
        .amount = sim_row_integer(dispute, "amount"),
        .code = SIM_CODE_DISPUTE,
    };
    struct sim_expected fee = {
        .id = resource_derived_id(number, "dispute fee"),
        .base = number,
        .debit = merchant,
        .credit = BOOKS_FEE_REVENUE,
        .amount = sim_row_integer(dispute, "fee"),
        .code = SIM_CODE_DISPUTE_FEE,
    };
    sim_expect_transfer(check, dispute, "dispute", &taken);
    sim_expect_transfer(check, dispute, "fee", &fee);
    check_line(check, dispute, true);
    if (won) {
        struct sim_expected back = taken;
        back.id = resource_derived_id(number, "dispute reversal");
        back.debit = BOOKS_CARD_CLEARING;
        back.credit = merchant;
        back.code = SIM_CODE_DISPUTE_REVERSAL;
        sim_expect_transfer(check, dispute, "reversal", &back);
        check_line(check, dispute, false);
    }
}

static void
check_dispute(struct sim_check_state *check, const struct sim_row *dispute)
{
    bool inquiry = strncmp(sim_row_text(dispute, "status"), "warning_", 8) == 0;
    bool won = sim_row_is(dispute, "status", "won");
    if (!sim_row_is(dispute, "attempt_kind", "") || !sim_row_is(dispute, "decided", "") ||
        sim_row_integer(dispute, "due") != 0) {
        sim_world_fail(&check->sim->world, "%s is still under way", dispute->id);
    }
    if ((*line_of(dispute, true) != '\0') == inquiry || (*line_of(dispute, false) != '\0') != won) {
        sim_world_fail(
            &check->sim->world,
            "%s is %s, and its money is elsewhere",
            dispute->id,
            sim_row_text(dispute, "status"));
    }
    if (!inquiry) {
        expect_moves(check, dispute, won);
    }
}

static void
check_charge(struct sim_check_state *check, const struct sim_row *charge)
{
    const struct sim_rows *disputes = &check->books->documents[SIM_ROW_DISPUTE];
    int64_t taken = 0;
    int64_t again = 0;
    for (uint32_t i = 0; i < disputes->count; i++) {
        const struct sim_row *dispute = &disputes->rows[i];
        int64_t amount = sim_row_integer(dispute, "amount");
        if (sim_row_is(dispute, "charge", charge->id)) {
            taken += *line_of(dispute, true) != '\0' ? amount : 0;
            again += *line_of(dispute, false) != '\0' ? amount : 0;
        }
    }
    int64_t left = sim_row_integer(charge, "amount_captured") -
                   sim_row_integer(charge, "amount_refunded") - taken + again;
    if (taken != sim_row_integer(charge, "disputed_amount") ||
        again != sim_row_integer(charge, "reinstated_amount") || left < 0) {
        sim_world_fail(
            &check->sim->world,
            "%s: %lld was taken back, %lld came again, %lld is left",
            charge->id,
            (long long)taken,
            (long long)again,
            (long long)left);
    }
}

void
sim_check_disputes(struct sim_check_state *check)
{
    const struct sim_rows *disputes = &check->books->documents[SIM_ROW_DISPUTE];
    const struct sim_rows *charges = &check->books->documents[SIM_ROW_CHARGE];
    for (uint32_t i = 0; i < disputes->count; i++) {
        check_dispute(check, &disputes->rows[i]);
    }
    for (uint32_t i = 0; i < charges->count; i++) {
        check_charge(check, &charges->rows[i]);
    }
}
