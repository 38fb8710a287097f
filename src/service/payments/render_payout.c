/* How payouts and the accounts that they go to look outside. */
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

static void
render_settings(struct json_writer *json)
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
    json_key(json, "schedule");
    json_object_begin(json);
    json_member_i64(json, "delay_days", 0);
    json_member_cstr(json, "interval", "manual");
    json_object_end(json);
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
    render_settings(json);
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
    json_member_cstr(json, "status", "new"); /* nobody has validated it */
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
    json_member_bool(json, "automatic", false);
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
