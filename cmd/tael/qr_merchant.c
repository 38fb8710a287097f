/* What a code that a merchant shows says. */
#include "qr.h"

#include "show.h"
#include "text.h"

#include "base/assert.h"
#include "json/json.h"

#include <stdio.h>

#define AMOUNT_SIZE          64
#define OBJECT_ACCOUNTS      2
#define OBJECT_ACCOUNTS_LAST 51
#define OBJECT_ADDITIONAL    62
#define OBJECT_RFU           65

static int64_t
api_amount(const struct emvqr_code *code, int64_t amount)
{
    return money_to_api((struct money){.amount = amount, .currency = code->currency});
}

static const char *
initiation_name(enum emvqr_initiation initiation)
{
    switch (initiation) {
    case EMVQR_INITIATION_UNSAID:
        return NULL;
    case EMVQR_STATIC:
        return "static";
    case EMVQR_DYNAMIC:
        return "dynamic";
    }
    UNREACHABLE();
}

static const char *
unit_name(enum emvqr_length_unit unit)
{
    return unit == EMVQR_CHARACTERS ? "characters" : "bytes";
}

/* ------------------------------------------------------------------------------------ table */

static void
pair(struct show_table *table, const char *name, struct span value)
{
    if (value.size > 0) {
        show_cell(table, SHOW_DIM, "%s", name);
        show_cell_span(table, SHOW_PLAIN, value);
    }
}

static void
pair_amount(
    struct show_table *table, const char *name, const struct emvqr_code *code, int64_t amount)
{
    char text[AMOUNT_SIZE];
    struct buf out;
    buf_init_fixed(&out, text, sizeof(text));
    text_amount_append(&out, api_amount(code, amount), span_from_cstr(code->currency->code));
    pair(table, name, buf_span(&out));
}

static void
pair_tip(struct show_table *table, const struct emvqr_code *code)
{
    char text[AMOUNT_SIZE];
    switch (code->tip) {
    case EMVQR_TIP_NONE:
        return;
    case EMVQR_TIP_PROMPT:
        pair(table, "tip", SPAN("the payer is asked"));
        return;
    case EMVQR_TIP_FIXED:
        pair_amount(table, "tip", code, code->tip_amount);
        return;
    case EMVQR_TIP_PERCENTAGE:
        (void)snprintf(
            text,
            sizeof(text),
            "%u.%02u %%",
            code->tip_basis_points / 100U,
            code->tip_basis_points % 100U);
        pair(table, "tip", span_from_cstr(text));
        return;
    }
}

static void
pair_accounts(struct show_table *table, const struct emvqr_code *code)
{
    for (uint32_t i = 0; i < code->node_count; i++) {
        struct emvqr_account account;
        if (!emvqr_account_read(code, &code->nodes[i], &account)) {
            continue;
        }
        bool known = account.scheme != EMVQR_SCHEME_UNKNOWN;
        show_cell(table, SHOW_DIM, "account %02u", account.id);
        show_cell(
            table,
            SHOW_PLAIN,
            "%.*s%s%s",
            SPAN_PRINTF(account.identifier),
            known ? ": " : "",
            known ? emvqr_scheme_name(account.scheme) : "");
        for (uint32_t f = 0; f < account.field_count; f++) {
            char name[AMOUNT_SIZE];
            (void)snprintf(name, sizeof(name), "  %s", account.fields[f].name);
            pair(table, name, account.fields[f].value);
        }
    }
}

/* Whether a line above speaks of the object. */
static bool
is_told(const struct emvqr_code *code, const struct emvqr_node *node)
{
    const struct emvqr_node *root = node;
    const struct emvqr_node *inner = node; /* what it is in, or it itself, within the root */
    while (root->parent != EMVQR_NO_NODE) {
        inner = root;
        root = &code->nodes[root->parent];
    }
    struct emvqr_account account;
    if (emvqr_account_read(code, root, &account)) {
        return account.scheme != EMVQR_SCHEME_UNKNOWN || inner->id == 0;
    }
    if (root->id == OBJECT_ADDITIONAL) {
        return inner->id < EMVQR_ADDITIONAL_COUNT;
    }
    return root->id < OBJECT_ACCOUNTS || (root->id > OBJECT_ACCOUNTS_LAST && root->id < OBJECT_RFU);
}

/* The card schemes' accounts, what is in accounts of unknown schemes, templates of others. */
static void
pair_others(struct show_table *table, const struct emvqr_code *code)
{
    for (uint32_t i = 0; i < code->node_count; i++) {
        const struct emvqr_node *node = &code->nodes[i];
        if (node->child_count == 0 && !is_told(code, node)) {
            char path[EMVQR_PATH_SIZE];
            char name[AMOUNT_SIZE];
            emvqr_node_path(code, node, path);
            (void)snprintf(name, sizeof(name), "object %s", path);
            pair(table, name, node->value);
        }
    }
}

bool
qr_print_merchant(struct span text, const struct emvqr_code *code)
{
    (void)text;
    struct show_table table;
    const char *initiation = initiation_name(code->initiation);
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    pair(&table, "scheme", span_from_cstr(emvqr_scheme_name(emvqr_code_scheme(code))));
    pair(&table, "use", span_from_cstr(initiation));
    if (code->has_amount) {
        pair_amount(&table, "amount", code, code->amount);
    } else {
        show_cell(&table, SHOW_DIM, "amount");
        show_cell(&table, SHOW_PLAIN, "the payer enters it, in %s", code->currency->code);
    }
    pair_tip(&table, code);
    pair(&table, "merchant", code->name);
    pair(&table, "city", code->city);
    pair(&table, "postal code", code->postal_code);
    pair(&table, "country", code->country);
    pair(&table, "category", code->category);
    pair(&table, "language", code->language);
    pair(&table, "  merchant", code->language_name);
    pair(&table, "  city", code->language_city);
    for (int field = 1; field < EMVQR_ADDITIONAL_COUNT; field++) {
        pair(&table, emvqr_additional_name((enum emvqr_additional)field), code->additional[field]);
    }
    pair_accounts(&table, code);
    pair_others(&table, code);
    pair(&table, "lengths count", span_from_cstr(unit_name(code->length_unit)));
    bool good = show_table_print(&table);
    show_table_release(&table);
    return good;
}

/* ------------------------------------------------------------------------------------- JSON */

static void
write_tip(struct json_writer *json, const struct emvqr_code *code)
{
    json_key(json, "tip");
    if (code->tip == EMVQR_TIP_NONE) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    if (code->tip == EMVQR_TIP_PROMPT) {
        json_member_cstr(json, "type", "prompt");
    } else if (code->tip == EMVQR_TIP_FIXED) {
        json_member_cstr(json, "type", "fixed");
        json_member_i64(json, "amount", api_amount(code, code->tip_amount));
    } else {
        json_member_cstr(json, "type", "percentage");
        json_member_i64(json, "basis_points", code->tip_basis_points);
    }
    json_object_end(json);
}

static void
write_merchant(struct json_writer *json, const struct emvqr_code *code)
{
    json_key(json, "merchant");
    json_object_begin(json);
    json_member_text_or_null(json, "name", code->name);
    json_member_text_or_null(json, "city", code->city);
    json_member_text_or_null(json, "country", code->country);
    json_member_text_or_null(json, "postal_code", code->postal_code);
    json_member_text_or_null(json, "category", code->category);
    json_object_end(json);
    json_key(json, "language");
    if (code->language.size == 0) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    json_member_text(json, "code", code->language);
    json_member_text(json, "name", code->language_name);
    json_member_text_or_null(json, "city", code->language_city);
    json_object_end(json);
}

static void
write_additional(struct json_writer *json, const struct emvqr_code *code)
{
    json_key(json, "additional");
    json_object_begin(json);
    for (int field = 1; field < EMVQR_ADDITIONAL_COUNT; field++) {
        if (code->additional[field].size > 0) {
            json_member_text(
                json, emvqr_additional_name((enum emvqr_additional)field), code->additional[field]);
        }
    }
    json_object_end(json);
}

static void
write_accounts(struct json_writer *json, const struct emvqr_code *code)
{
    json_key(json, "accounts");
    json_array_begin(json);
    for (uint32_t i = 0; i < code->node_count; i++) {
        struct emvqr_account account;
        if (!emvqr_account_read(code, &code->nodes[i], &account)) {
            continue;
        }
        json_object_begin(json);
        json_member_i64(json, "id", account.id);
        json_member_text(json, "identifier", account.identifier);
        json_member_cstr(json, "scheme", emvqr_scheme_name(account.scheme));
        json_key(json, "fields");
        json_object_begin(json);
        for (uint32_t f = 0; f < account.field_count; f++) {
            json_member_text(json, account.fields[f].name, account.fields[f].value);
        }
        json_object_end(json);
        json_object_end(json);
    }
    json_array_end(json);
}

/* Every object that is no template, by its path. */
static void
write_objects(struct json_writer *json, const struct emvqr_code *code)
{
    json_key(json, "objects");
    json_object_begin(json);
    for (uint32_t i = 0; i < code->node_count; i++) {
        char path[EMVQR_PATH_SIZE];
        if (code->nodes[i].child_count == 0) {
            emvqr_node_path(code, &code->nodes[i], path);
            json_member_text(json, path, code->nodes[i].value);
        }
    }
    json_object_end(json);
}

static void
write_money(struct json_writer *json, const struct emvqr_code *code)
{
    json_member_cstr(json, "currency", code->currency->api_code);
    if (code->has_amount) {
        json_member_i64(json, "amount", api_amount(code, code->amount));
    } else {
        json_member_null(json, "amount");
    }
    write_tip(json, code);
}

bool
qr_print_merchant_json(struct span text, const struct emvqr_code *code)
{
    struct buf out;
    struct json_writer json;
    struct span reference = SPAN_EMPTY;
    (void)emvqr_tael_reference(code, &reference);
    buf_init(&out, QR_REPORT_SIZE);
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_cstr(&json, "kind", "merchant");
    json_member_text(&json, "code", text);
    json_member_cstr(&json, "scheme", emvqr_scheme_name(emvqr_code_scheme(code)));
    json_member_text_or_null(
        &json, "initiation", span_from_cstr(initiation_name(code->initiation)));
    json_member_text_or_null(&json, "reference", reference);
    write_money(&json, code);
    write_merchant(&json, code);
    write_additional(&json, code);
    write_accounts(&json, code);
    write_objects(&json, code);
    json_member_cstr(&json, "length_unit", unit_name(code->length_unit));
    json_object_end(&json);
    buf_append_byte(&out, '\n');
    bool good = !buf_failed(&out);
    if (good) {
        (void)fwrite(out.data, 1, out.size, stdout);
    }
    buf_release(&out);
    return good;
}
