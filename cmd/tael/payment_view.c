#include "payment_view.h"

#include "form/form.h"

#include <stdio.h>

#define AMOUNT_SIZE 96

static const struct show_column pair_columns[] = {{.title = ""}, {.title = ""}};

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

static void
cell_amount(struct show_table *table, const struct json_value *object, const char *member)
{
    char text[AMOUNT_SIZE];
    struct buf amount;
    buf_init_fixed(&amount, text, sizeof(text));
    const struct json_value *value = client_member(object, member);
    if (value != NULL && value->kind == JSON_KIND_INTEGER) {
        text_amount_append(&amount, client_i64(object, member, 0), client_text(object, "currency"));
    }
    show_cell_span(table, SHOW_PLAIN, buf_span(&amount));
}

static void
cell_moment(struct show_table *table, const struct json_value *object)
{
    char text[AMOUNT_SIZE];
    struct buf moment;
    buf_init_fixed(&moment, text, sizeof(text));
    text_moment_append(&moment, client_i64(object, "created", 0));
    show_cell_span(table, SHOW_PLAIN, buf_span(&moment));
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
pair_text(struct show_table *table, const char *name, enum show_style style, struct span value)
{
    if (value.size > 0) {
        show_cell(table, SHOW_DIM, "%s", name);
        show_cell_span(table, style, value);
    }
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
    pair_text(table, "charge", SHOW_PLAIN, client_text(charge, "id"));
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
    show_table_begin(&table, pair_columns, 2);
    pair_text(&table, "payment", SHOW_BOLD, client_text(intent, "id"));
    pair_text(&table, "status", status_style(status), status);
    pair_amount(&table, "amount", intent, "amount");
    pair_amount(&table, "capturable", intent, "amount_capturable");
    pair_amount(&table, "received", intent, "amount_received");
    if (expanded(intent, "latest_charge") != NULL) {
        add_charge(&table, expanded(intent, "latest_charge"));
    }
    pair_text(
        &table,
        "customer's page",
        SHOW_BOLD,
        client_text(client_member(action, "redirect_to_url"), "url"));
    pair_text(&table, "error", SHOW_RED, client_text(error, "message"));
    pair_text(&table, "decline code", SHOW_RED, client_text(error, "decline_code"));
    pair_text(&table, "customer", SHOW_PLAIN, client_text(intent, "customer"));
    pair_text(&table, "description", SHOW_PLAIN, client_text(intent, "description"));
    show_cell(&table, SHOW_DIM, "created");
    cell_moment(&table, intent);
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
}

bool
payment_view_refund(const struct json_value *refund)
{
    struct show_table table;
    struct span status = client_text(refund, "status");
    show_table_begin(&table, pair_columns, 2);
    pair_text(&table, "refund", SHOW_BOLD, client_text(refund, "id"));
    pair_text(&table, "status", status_style(status), status);
    pair_amount(&table, "amount", refund, "amount");
    pair_text(&table, "payment", SHOW_PLAIN, client_text(refund, "payment_intent"));
    pair_text(&table, "charge", SHOW_PLAIN, client_text(refund, "charge"));
    pair_text(&table, "reason", SHOW_PLAIN, client_text(refund, "reason"));
    show_cell(&table, SHOW_DIM, "created");
    cell_moment(&table, refund);
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
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
        cell_moment(&table, intent);
        cell_amount(&table, intent, "amount");
        cell_amount(&table, intent, "amount_received");
        cell_amount(&table, charge, "amount_refunded");
        show_cell_span(&table, status_style(status), status);
        cell_card(&table, charge);
        show_cell_span(&table, SHOW_PLAIN, client_text(intent, "description"));
    }
    bool printed = show_table_print(&table);
    show_table_release(&table);
    return printed;
}
