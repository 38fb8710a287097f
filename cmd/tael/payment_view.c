#include "payment_view.h"

#include "object.h"

#include "form/form.h"

#include <stdio.h>

void
payment_view_expand(struct buf *form, const char *prefix)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%slatest_charge", prefix);
    form_append(form, "expand[]", span_from_cstr(name));
    (void)snprintf(name, sizeof(name), "%slatest_charge.balance_transaction", prefix);
    form_append(form, "expand[]", span_from_cstr(name));
}

static enum show_style
status_style(struct span status)
{
    if (span_equal_cstr(status, "succeeded")) {
        return SHOW_GREEN;
    }
    if (span_equal_cstr(status, "canceled") || span_equal_cstr(status, "failed")) {
        return SHOW_RED;
    }
    return SHOW_YELLOW;
}

/* An empty cell if there is no such amount. */
static void
cell_amount(struct show_table *table, const struct json_value *object, const char *member)
{
    const struct json_value *value = client_member(object, member);
    if (value != NULL && value->kind == JSON_KIND_INTEGER) {
        struct span currency = client_text(object, "currency");
        object_cell_amount(table, client_i64(object, member, 0), currency);
    } else {
        show_cell_span(table, SHOW_PLAIN, SPAN_EMPTY);
    }
}

/* "visa 4242" */
static void
cell_card(struct show_table *table, const struct json_value *charge)
{
    const struct json_value *details = client_member(charge, "payment_method_details");
    const struct json_value *card = client_member(details, "card");
    struct span brand = client_text(card, "brand");
    struct span last4 = client_text(card, "last4");
    show_cell(
        table,
        SHOW_PLAIN,
        "%.*s%s%.*s",
        SPAN_PRINTF(brand),
        last4.size > 0 ? " " : "",
        SPAN_PRINTF(last4));
}

static void
pair_amount(
    struct show_table *table, const char *name, const struct json_value *object, const char *member)
{
    if (client_i64(object, member, 0) != 0) {
        show_cell(table, SHOW_DIM, "%s", name);
        cell_amount(table, object, member);
    }
}

/* An expandable member: the object, or NULL if it is an id or null. */
static const struct json_value *
expanded(const struct json_value *object, const char *name)
{
    const struct json_value *value = client_member(object, name);
    return value != NULL && value->kind == JSON_KIND_OBJECT ? value : NULL;
}

static void
add_charge(struct show_table *table, const struct json_value *charge)
{
    const struct json_value *transaction = expanded(charge, "balance_transaction");
    show_pair(table, "charge", SHOW_PLAIN, client_text(charge, "id"));
    show_cell(table, SHOW_DIM, "card");
    cell_card(table, charge);
    pair_amount(table, "refunded", charge, "amount_refunded");
    pair_amount(table, "fee", transaction, "fee");
    pair_amount(table, "net", transaction, "net");
}

bool
payment_view_print(const struct json_value *intent)
{
    struct show_table table;
    struct span status = client_text(intent, "status");
    const struct json_value *error = client_member(intent, "last_payment_error");
    const struct json_value *action = client_member(intent, "next_action");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_pair(&table, "payment", SHOW_BOLD, client_text(intent, "id"));
    show_pair(&table, "status", status_style(status), status);
    pair_amount(&table, "amount", intent, "amount");
    pair_amount(&table, "capturable", intent, "amount_capturable");
    pair_amount(&table, "received", intent, "amount_received");
    if (expanded(intent, "latest_charge") != NULL) {
        add_charge(&table, expanded(intent, "latest_charge"));
    }
    show_pair(
        &table,
        "customer's page",
        SHOW_BOLD,
        client_text(client_member(action, "redirect_to_url"), "url"));
    show_pair(&table, "error", SHOW_RED, client_text(error, "message"));
    show_pair(&table, "decline code", SHOW_RED, client_text(error, "decline_code"));
    show_pair(&table, "customer", SHOW_PLAIN, client_text(intent, "customer"));
    show_pair(&table, "description", SHOW_PLAIN, client_text(intent, "description"));
    object_pair_created(&table, intent);
    return show_table_finish(&table);
}

bool
payment_view_refund(const struct json_value *refund)
{
    struct show_table table;
    struct span status = client_text(refund, "status");
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    show_pair(&table, "refund", SHOW_BOLD, client_text(refund, "id"));
    show_pair(&table, "status", status_style(status), status);
    pair_amount(&table, "amount", refund, "amount");
    show_pair(&table, "payment", SHOW_PLAIN, client_text(refund, "payment_intent"));
    show_pair(&table, "charge", SHOW_PLAIN, client_text(refund, "charge"));
    show_pair(&table, "reason", SHOW_PLAIN, client_text(refund, "reason"));
    object_pair_created(&table, refund);
    return show_table_finish(&table);
}

bool
payment_view_list(const struct json_value *data)
{
    static const struct show_column columns[] = {
        {.title = "PAYMENT"},
        {.title = "CREATED (UTC)"},
        {.title = "AMOUNT", .right = true},
        {.title = "RECEIVED", .right = true},
        {.title = "REFUNDED", .right = true},
        {.title = "STATUS"},
        {.title = "CARD"},
        {.title = "DESCRIPTION"},
    };
    struct show_table table;
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    const struct json_value *intent = data == NULL ? NULL : data->first_child;
    for (; intent != NULL; intent = intent->next) {
        const struct json_value *charge = expanded(intent, "latest_charge");
        struct span status = client_text(intent, "status");
        show_cell_span(&table, SHOW_PLAIN, client_text(intent, "id"));
        object_cell_created(&table, intent);
        cell_amount(&table, intent, "amount");
        cell_amount(&table, intent, "amount_received");
        cell_amount(&table, charge, "amount_refunded");
        show_cell_span(&table, status_style(status), status);
        cell_card(&table, charge);
        show_cell_span(&table, SHOW_PLAIN, client_text(intent, "description"));
    }
    return show_table_finish(&table);
}
