/* How payouts and the accounts that they go to look outside. */
#include "payout_calendar.h"
#include "payout_documents.h"

#include "resource/bank_account.h"
#include "json/json.h"

static void
text_or_null(struct json_writer *json, const char *name, struct span text)
{
    json_member_text_or_null(json, name, text);
}

static void
metadata(struct json_writer *json, struct span value)
{
    json_member_raw(json, "metadata", value.size != 0 ? value : SPAN("{}"));
}

static void
render_external_accounts(struct resource_render *render, const struct payments_account *account)
{
    struct json_writer *json = resource_render_json(render);
    json_key(json, "external_accounts");
    json_object_begin(json);
    json_member_cstr(json, "object", "list");
    json_key(json, "data");
    json_array_begin(json);
    for (uint32_t i = 0; i < account->bank_account_count; i++) {
        payments_bank_account_render(render, account->bank_accounts[i]);
    }
    json_array_end(json);
    json_member_bool(json, "has_more", account->bank_account_count == DOCUMENT_LIST_MAX);
    json_member_text(
        json,
        "url",
        arena_format(
            resource_op_arena(resource_render_op(render)),
            "/v1/accounts/%.*s/external_accounts",
            SPAN_PRINTF(account->header.id)));
    json_object_end(json);
}

const char *const payments_weekdays[] = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", NULL};

#define WEEKEND (UINT32_C(3) << 5)

static uint32_t
first_of(uint32_t days)
{
    return (uint32_t)__builtin_ctz(days);
}

static void
render_weekly(struct json_writer *json, uint32_t days)
{
    json_member_cstr(json, "weekly_anchor", payments_weekdays[first_of(days)]);
    if ((days & WEEKEND) != 0) {
        return; /* Stripe's list has no such days */
    }
    json_key(json, "weekly_payout_days");
    json_array_begin(json);
    for (uint32_t i = 0; i < PAYMENTS_CALENDAR_WEEKDAYS; i++) {
        if ((days >> i & 1) != 0) {
            json_cstr(json, payments_weekdays[i]);
        }
    }
    json_array_end(json);
}

static void
render_monthly(struct json_writer *json, uint32_t days)
{
    json_member_i64(json, "monthly_anchor", first_of(days) + 1);
    json_key(json, "monthly_payout_days");
    json_array_begin(json);
    for (uint32_t i = 0; i < PAYMENTS_CALENDAR_MONTHDAYS; i++) {
        if ((days >> i & 1) != 0) {
            json_i64(json, i + 1);
        }
    }
    json_array_end(json);
}

static void
render_days(struct json_writer *json, const struct payments_payout_schedule *schedule)
{
    if (span_equal_cstr(schedule->interval, "weekly")) {
        render_weekly(json, (uint32_t)schedule->days);
    } else if (span_equal_cstr(schedule->interval, "monthly")) {
        render_monthly(json, (uint32_t)schedule->days);
    }
}

static void
render_schedule(struct json_writer *json, const struct payments_account *account)
{
    const struct payments_payout_schedule *schedule = account->schedule;
    json_key(json, "schedule");
    json_object_begin(json);
    json_member_i64(json, "delay_days", account->delay_days);
    if (schedule == NULL) {
        json_member_cstr(json, "interval", "manual");
    } else {
        json_member_text(json, "interval", schedule->interval);
        render_days(json, schedule);
    }
    json_object_end(json);
}

/* ------------------------------------------------------------------- what payouts wait for --- */

static const struct payments_bank_account *
default_of(const struct payments_account *account, struct span currency)
{
    for (uint32_t i = 0; i < account->bank_account_count; i++) {
        if (span_equal(account->bank_accounts[i]->default_of, currency)) {
            return account->bank_accounts[i];
        }
    }
    return NULL;
}

static bool
pays_by_itself(const struct payments_account *account)
{
    return account->schedule != NULL && !span_equal_cstr(account->schedule->interval, "manual");
}

static void
render_error(struct json_writer *json, const char *code, struct span reason)
{
    json_object_begin(json);
    json_member_cstr(json, "code", code);
    json_member_text(json, "reason", reason);
    json_member_cstr(json, "requirement", "external_account");
    json_object_end(json);
}

/* Returns how many. */
static uint32_t
render_errors(struct resource_render *render, const struct payments_account *account)
{
    struct json_writer *json = resource_render_json(render);
    struct arena *arena = resource_op_arena(resource_render_op(render));
    uint32_t count = 0;
    for (uint32_t i = 0; i < account->bank_account_count; i++) {
        const struct payments_bank_account *bank = account->bank_accounts[i];
        if (bank->errored && bank->default_of.size != 0) {
            count++;
            render_error(
                json,
                "invalid_value_other",
                arena_format(
                    arena,
                    "A payout to the bank account %.*s failed: nothing goes there by itself until "
                    "it "
                    "is updated, or another one is the default of %.*s.",
                    SPAN_PRINTF(bank->header.id),
                    SPAN_PRINTF(bank->default_of)));
        }
    }
    struct span rest = account->schedule->missing;
    while (rest.size >= 3) {
        struct span currency = span_of(rest.data, 3);
        rest = span_of(rest.data + (rest.size > 3 ? 4 : 3), rest.size > 3 ? rest.size - 4 : 0);
        if (default_of(account, currency) == NULL) {
            count++;
            render_error(
                json,
                "information_missing",
                arena_format(
                    arena,
                    "There is money to pay out in %.*s, and no bank account in that currency.",
                    SPAN_PRINTF(currency)));
        }
    }
    return count;
}

static void
render_requirements(struct resource_render *render, const struct payments_account *account)
{
    struct json_writer *json = resource_render_json(render);
    uint32_t count = 0;
    json_key(json, "requirements");
    json_object_begin(json);
    json_key(json, "errors");
    json_array_begin(json);
    if (pays_by_itself(account)) {
        count = render_errors(render, account);
    }
    json_array_end(json);
    bool due = count != 0 || (pays_by_itself(account) && account->bank_account_count == 0);
    json_member_raw(json, "currently_due", due ? SPAN("[\"external_account\"]") : SPAN("[]"));
    json_member_null(json, "current_deadline");
    json_member_null(json, "disabled_reason");
    json_member_raw(json, "eventually_due", due ? SPAN("[\"external_account\"]") : SPAN("[]"));
    json_member_raw(json, "past_due", SPAN("[]"));
    json_member_raw(json, "pending_verification", SPAN("[]"));
    json_object_end(json);
}

static void
render_settings(struct json_writer *json, const struct payments_account *account)
{
    json_key(json, "settings");
    json_object_begin(json);
    json_member_raw(json, "branding", SPAN("{}"));
    json_member_raw(json, "card_payments", SPAN("{}"));
    json_member_raw(json, "dashboard", SPAN("{}"));
    json_member_raw(json, "payments", SPAN("{}"));
    json_key(json, "payouts");
    json_object_begin(json);
    json_member_bool(json, "debit_negative_balances", false);
    render_schedule(json, account);
    json_member_null(json, "statement_descriptor");
    json_object_end(json);
    json_object_end(json);
}

void
payments_account_render(struct resource_render *render, const void *document)
{
    const struct payments_account *account = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    json_member_text(json, "id", account->header.id);
    json_member_cstr(json, "object", "account");
    json_key(json, "business_profile");
    json_object_begin(json);
    text_or_null(json, "name", account->name);
    json_object_end(json);
    json_member_bool(json, "charges_enabled", true);
    json_member_bool(json, "details_submitted", true);
    json_member_null(json, "email");
    render_external_accounts(render, account);
    json_member_raw(json, "metadata", SPAN("{}"));
    json_member_bool(json, "payouts_enabled", account->pays_out);
    render_requirements(render, account);
    render_settings(json, account);
    json_member_cstr(json, "type", "standard");
    json_object_end(json);
}

void
payments_bank_account_render(struct resource_render *render, const void *document)
{
    const struct payments_bank_account *account = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    json_member_text(json, "id", account->header.id);
    json_member_cstr(json, "object", "bank_account");
    json_member_text(json, "account", account->account);
    text_or_null(json, "account_holder_name", account->holder_name);
    text_or_null(json, "account_holder_type", account->holder_type);
    text_or_null(json, "account_type", account->kind);
    json_member_raw(json, "available_payout_methods", SPAN("[\"standard\"]"));
    json_member_null(json, "bank_name");
    json_member_text(json, "country", account->country);
    json_member_text(json, "currency", account->currency);
    json_member_bool(json, "default_for_currency", account->default_of.size != 0);
    text_or_null(json, "fingerprint", account->fingerprint);
    json_member_text(json, "last4", resource_bank_last4(account->number));
    metadata(json, account->metadata);
    text_or_null(json, "routing_number", account->routing_number);
    json_member_cstr(json, "status", account->errored ? "errored" : "new"); /* never validated */
    json_object_end(json);
}

void
payments_deleted_bank_account_render(struct resource_render *render, const void *document)
{
    const struct payments_bank_account *account = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    json_member_text(json, "id", account->header.id);
    json_member_cstr(json, "object", "bank_account");
    text_or_null(json, "currency", account->currency);
    json_member_bool(json, "deleted", true);
    json_object_end(json);
}

void
payments_payout_render(struct resource_render *render, const void *document)
{
    const struct payments_payout *payout = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_payout_type, payout);
    json_member_i64(json, "amount", payout->amount);
    json_member_null(json, "application_fee");
    json_member_null(json, "application_fee_amount");
    json_member_i64(json, "arrival_date", payout->arrival_date);
    json_member_bool(json, "automatic", payout->automatic);
    resource_render_reference(
        render,
        "balance_transaction",
        &payments_balance_transaction_type,
        payout->balance_transaction);
    json_member_text(json, "currency", payout->currency);
    text_or_null(json, "description", payout->description);
    resource_render_reference(
        render, "destination", &payments_bank_account_type, payout->destination);
    resource_render_reference(
        render,
        "failure_balance_transaction",
        &payments_balance_transaction_type,
        payout->failure_balance_transaction);
    text_or_null(json, "failure_code", payout->failure_code);
    text_or_null(json, "failure_message", payout->failure_message);
    metadata(json, payout->metadata);
    json_member_cstr(json, "method", "standard");
    json_member_null(json, "original_payout");
    json_member_null(json, "payout_method");
    json_member_cstr(json, "reconciliation_status", "not_applicable");
    json_member_null(json, "reversed_by");
    json_member_cstr(json, "source_type", "card");
    text_or_null(json, "statement_descriptor", payout->statement_descriptor);
    json_member_text(json, "status", payout->status);
    json_member_null(json, "trace_id");
    json_member_cstr(json, "type", "bank_account");
    json_object_end(json);
}
