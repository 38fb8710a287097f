/* The sums that always hold, the events, and the journal offline. */
#include "payments_sim.h"

#include "base/assert.h"
#include "engine/check.h"

#include <jansson.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- sums */

/* Signed: what the platform has, or the merchant is owed, by the account's normal side. */
static int64_t
balance_of(const struct sim_books *books, u128 id, bool debit_side)
{
    for (uint32_t i = 0; i < books->account_count; i++) {
        const struct ledger_account *account = &books->accounts[i];
        if (account->id == id) {
            int64_t credits = (int64_t)(account->credits_posted - account->debits_posted);
            return debit_side ? -credits : credits;
        }
    }
    return 0;
}

static void
check_merchant(
    struct sim *sim,
    const struct sim_books *books,
    uint32_t merchant,
    const struct currency *currency,
    int64_t *total)
{
    const char *id = sim->merchants[merchant].id;
    int64_t has =
        balance_of(books, books_account_id(BOOKS_MERCHANT_PENDING, id, currency, false), false) +
        balance_of(books, books_account_id(BOOKS_MERCHANT_AVAILABLE, id, currency, false), false);
    const struct sim_rows *rows = &books->documents[SIM_ROW_TRANSACTION];
    int64_t net = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct sim_row *row = &rows->rows[i];
        if (row->merchant == merchant && sim_row_is(row, "currency", currency->api_code)) {
            int64_t amount = sim_row_integer(row, "amount");
            int64_t sign = amount < 0 ? -1 : 1;
            net += sign * sim_row_units(row, sign * amount) -
                   sim_row_units(row, sim_row_integer(row, "fee"));
        }
    }
    if (has != net) {
        sim_world_fail(
            &sim->world,
            "merchant %u has %lld %s, the balance transactions say %lld",
            merchant,
            (long long)has,
            currency->code,
            (long long)net);
    }
    *total += has;
}

static void
check_currency(struct sim *sim, const struct sim_books *books, const struct currency *currency)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < SIM_MERCHANTS; i++) {
        check_merchant(sim, books, i, currency, &total);
    }
    total += balance_of(books, books_account_id(BOOKS_FEE_REVENUE, "", currency, false), false);
    int64_t clearing =
        balance_of(books, books_account_id(BOOKS_CARD_CLEARING, "", currency, false), true);
    int64_t suspense =
        balance_of(books, books_account_id(BOOKS_SUSPENSE, "", currency, false), false);
    if (clearing != total || suspense != 0) {
        sim_world_fail(
            &sim->world,
            "%s: the network owes %lld, merchants and fees are %lld, suspense %lld",
            currency->code,
            (long long)clearing,
            (long long)total,
            (long long)suspense);
    }
}

/* Live holds are those of the intents that wait for their capture, and no others. */
static void
check_holds(struct sim *sim, const struct sim_books *books)
{
    u128 held = 0;
    u128 shown = 0;
    const struct sim_rows *intents = &books->documents[SIM_ROW_INTENT];
    for (uint32_t i = 0; i < intents->count; i++) {
        const struct sim_row *row = &intents->rows[i];
        held += (uint64_t)sim_row_units(row, sim_row_integer(row, "amount_capturable"));
    }
    for (uint32_t i = 0; i < books->account_count; i++) {
        shown += books->accounts[i].debits_pending;
    }
    struct ledger_engine_status status;
    ledger_engine_status(sim->world.process.engine, &status);
    if (held != shown || (held == 0) != (status.pendings == 0)) {
        sim_world_fail(
            &sim->world,
            "the ledger holds %lld, the documents %lld, in %u pendings",
            (long long)shown,
            (long long)held,
            status.pendings);
    }
}

static uint32_t
count_events(const struct sim_books *books, const char *type, const char *object)
{
    const struct sim_rows *events = &books->documents[SIM_ROW_EVENT];
    uint32_t count = 0;
    for (uint32_t i = 0; i < events->count; i++) {
        const json_t *shown = json_object_get(events->rows[i].body, "object");
        const char *id = json_string_value(json_object_get(shown, "id"));
        count +=
            sim_row_is(&events->rows[i], "type", type) && id != NULL && strcmp(id, object) == 0;
    }
    return count;
}

/* Each outcome was told once. */
static void
check_events(struct sim *sim, const struct sim_books *books)
{
    static const struct {
        enum sim_kind kind;
        const char *member, *value, *type;
    } rules[] = {
        {SIM_ROW_INTENT, "status", "succeeded", "payment_intent.succeeded"},
        {SIM_ROW_INTENT, "status", "canceled", "payment_intent.canceled"},
        {SIM_ROW_CHARGE, "status", "succeeded", "charge.succeeded"},
        {SIM_ROW_CHARGE, "status", "failed", "charge.failed"},
        {SIM_ROW_REFUND, "status", "failed", "refund.failed"},
        {SIM_ROW_SETUP, "status", "succeeded", "setup_intent.succeeded"},
        {SIM_ROW_DISPUTE, "object", "", "charge.dispute.created"},
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct sim_rows *rows = &books->documents[rules[i].kind];
        for (uint32_t j = 0; j < rows->count; j++) {
            const struct sim_row *row = &rows->rows[j];
            uint32_t wanted = sim_row_is(row, rules[i].member, rules[i].value) ? 1 : 0;
            uint32_t told = count_events(books, rules[i].type, row->id);
            if (told != wanted) {
                sim_world_fail(
                    &sim->world, "%s: %s was told %u times", row->id, rules[i].type, told);
            }
        }
    }
}

void
sim_check_sums(struct sim *sim, const struct sim_books *books)
{
    for (size_t i = 0; i < currency_count(); i++) {
        check_currency(sim, books, currency_at(i));
    }
    check_holds(sim, books);
    check_events(sim, books);
}

void
sim_check_journal(struct sim *sim)
{
    struct ledger_check_settings settings = {
        .url = "journal:ledger", .disk = os_sim_disk_ops(sim->world.ledger_disk)};
    struct ledger_check_report report;
    struct store_error error = {0};
    if (ledger_engine_check(&settings, &report, &error) != ERR_OK) {
        sim_world_fail(&sim->world, "the journal is damaged: %s", error.message);
    }
    ledger_engine_check_release(&report);
}
