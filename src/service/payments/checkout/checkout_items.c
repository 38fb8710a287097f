/* What a session's payer buys: read from the request, kept as JSON with the session, listed. */
#include "checkout.h"

#include "base/assert.h"
#include "json/json.h"
#include "json/json_in.h"

#define MEMBERS_MAX 5 /* of a stored item */
#define VALUES_MAX  (PAYMENTS_CHECKOUT_ITEMS_MAX * (MEMBERS_MAX + 1) + 1)
#define TEXT_MAX    (2U << 20) /* what a request may hold, each byte of which may take six in JSON */
#define PREFIX      "li_"

/* ------------------------------------------------------------------------------ the request --- */

/* "line_items[2][price_data][currency]" */
static const char *
param_of(struct resource_op *op, uint32_t index, const char *rest)
{
    struct arena *arena = resource_op_arena(op);
    const char *param = arena_cstr(arena, arena_format(arena, "line_items[%u]%s", index, rest));
    ASSERT(param != NULL);
    return param;
}

/* What is not here at all, by the name that Stripe has for it. False: answered. */
static bool
has_no_price(struct resource_op *op, uint32_t index)
{
    static const struct {
        const char *name;
        const char *what;
    } absent[] = {
        {"[price]", "prices"},
        {"[price_data][product]", "products"},
        {"[price_data][recurring]", "subscriptions"},
    };

    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        const char *param = param_of(op, index, absent[i].name);
        if (resource_present(op, param)) {
            resource_invalid(
                op,
                "parameter_unknown",
                param,
                "There are no %s here. Give each line item its price_data, with currency, "
                "unit_amount and product_data[name].",
                absent[i].what);
            return false;
        }
    }
    const char *param = param_of(op, index, "[price_data]");
    if (!resource_present(op, param)) {
        resource_invalid(op, "parameter_missing", param, "Missing required param: %s.", param);
        return false;
    }
    return true;
}

static bool
refuse_total(struct resource_op *op, const struct currency *currency, bool too_small)
{
    char text[MONEY_TEXT_SIZE];
    struct money bound;
    err_t error = money_from_api(currency->api_minimum, currency, &bound);
    ASSERT(error == ERR_OK);
    money_format(bound, text);
    if (too_small) {
        resource_invalid(
            op,
            "amount_too_small",
            "line_items",
            "The Checkout Session's total must be at least %s.",
            text);
    } else {
        resource_invalid(
            op,
            "amount_too_large",
            "line_items",
            "The Checkout Session's total must be no more than %lld.",
            (long long)PAYMENTS_AMOUNT_MAX);
    }
    return false;
}

/* The currency of the first item is that of all. */
static bool
read_currency(struct resource_op *op, uint32_t index, struct payments_checkout *checkout)
{
    struct span code = SPAN_EMPTY;
    const char *param = param_of(op, index, "[price_data][currency]");
    (void)resource_text(op, param, &code);
    struct span known = span_from_cstr(currency_find(code)->api_code);
    if (checkout->currency.size == 0) {
        checkout->currency = known;
    }
    if (span_equal(checkout->currency, known)) {
        return true;
    }
    resource_invalid(
        op,
        NULL,
        param,
        "All line items have the same currency: %.*s is not %.*s.",
        SPAN_PRINTF(known),
        SPAN_PRINTF(checkout->currency));
    return false;
}

/* Adds what the item costs; false if answered. */
static bool
add_cost(
    struct resource_op *op,
    const struct payments_checkout_item *item,
    const char *param,
    struct payments_checkout *checkout)
{
    const struct currency *currency = currency_find(checkout->currency);
    int64_t cost;
    int64_t sum;
    if (!resource_coins_check(op, param, item->unit_amount, currency)) {
        return false;
    }
    if (__builtin_mul_overflow(item->unit_amount, item->quantity, &cost) ||
        __builtin_add_overflow(checkout->amount, cost, &sum) || sum > PAYMENTS_AMOUNT_MAX) {
        return refuse_total(op, currency, false);
    }
    checkout->amount = sum;
    return true;
}

static bool
take_item(
    struct resource_op *op,
    uint32_t index,
    struct payments_checkout *checkout,
    struct payments_checkout_item *ret_item)
{
    struct payments_checkout_item item = {.quantity = 1};
    u128 number;
    if (!has_no_price(op, index) || !read_currency(op, index, checkout)) {
        return false;
    }
    const char *amount = param_of(op, index, "[price_data][unit_amount]");
    (void)resource_integer(op, amount, &item.unit_amount);
    (void)resource_integer(op, param_of(op, index, "[quantity]"), &item.quantity);
    (void)resource_text(op, param_of(op, index, "[price_data][product_data][name]"), &item.name);
    (void)resource_text(
        op, param_of(op, index, "[price_data][product_data][description]"), &item.description);
    item.id = resource_new_id(op, PREFIX, &number);
    *ret_item = item;
    return add_cost(op, &item, amount, checkout);
}

static void
store_item(struct json_writer *json, const struct payments_checkout_item *item)
{
    json_object_begin(json);
    json_member_text(json, "id", item->id);
    json_member_text(json, "name", item->name);
    json_member_text_or_null(json, "description", item->description);
    json_member_i64(json, "unit_amount", item->unit_amount);
    json_member_i64(json, "quantity", item->quantity);
    json_object_end(json);
}

bool
payments_checkout_items_take(struct resource_op *op, struct payments_checkout *checkout)
{
    const struct form_node *list = resource_node(op, "line_items");
    struct buf text;
    struct json_writer json;
    if (list == NULL || list->kind != FORM_ARRAY || list->child_count == 0) {
        resource_invalid(
            op, "parameter_missing", "line_items", "Missing required param: line_items.");
        return false;
    }
    buf_init(&text, TEXT_MAX);
    json_begin(&json, &text);
    json_array_begin(&json);
    for (const struct form_node *node = list->first_child; node != NULL; node = node->next) {
        struct payments_checkout_item item;
        if (!take_item(op, node->index, checkout, &item)) {
            buf_release(&text);
            return false;
        }
        store_item(&json, &item);
    }
    json_array_end(&json);
    bool fits = !buf_failed(&text);
    checkout->line_items = fits ? arena_copy(resource_op_arena(op), buf_span(&text)) : SPAN_EMPTY;
    buf_release(&text);
    if (checkout->line_items.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    const struct currency *currency = currency_find(checkout->currency);
    return checkout->amount >= currency->api_minimum || refuse_total(op, currency, true);
}

/* --------------------------------------------------------------------------------- stored --- */

err_t
payments_checkout_items_read(
    struct arena *arena,
    const struct payments_checkout *checkout,
    struct payments_checkout_items *ret_items)
{
    struct json_value *root;
    struct json_problem problem;
    ret_items->count = 0;
    if (checkout->line_items.size == 0) {
        return ERR_OK; /* an empty document, which only shows its members */
    }
    TRY(json_read(checkout->line_items, arena, VALUES_MAX, &root, &problem));
    for (const struct json_value *value = root->first_child; value != NULL; value = value->next) {
        if (ret_items->count == PAYMENTS_CHECKOUT_ITEMS_MAX) {
            return ERR_CORRUPT;
        }
        struct payments_checkout_item *item = &ret_items->at[ret_items->count++];
        item->id = json_value_member_text(value, SPAN("id"));
        item->name = json_value_member_text(value, SPAN("name"));
        item->description = json_value_member_text(value, SPAN("description"));
        TRY(json_value_i64(json_value_member(value, SPAN("unit_amount")), &item->unit_amount));
        TRY(json_value_i64(json_value_member(value, SPAN("quantity")), &item->quantity));
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ shown --- */

static void
write_item(
    struct json_writer *json, const struct payments_checkout_item *item, struct span currency)
{
    int64_t cost = item->unit_amount * item->quantity; /* it was checked to fit */
    json_object_begin(json);
    json_member_text(json, "id", item->id);
    json_member_cstr(json, "object", "item");
    json_member_i64(json, "amount_discount", 0);
    json_member_i64(json, "amount_subtotal", cost);
    json_member_i64(json, "amount_tax", 0);
    json_member_i64(json, "amount_total", cost);
    json_member_text(json, "currency", currency);
    json_member_text(json, "description", item->name);
    json_member_null(json, "price");
    json_member_i64(json, "quantity", item->quantity);
    json_object_end(json);
}

void
payments_checkout_items_write(
    struct json_writer *json,
    const struct payments_checkout *checkout,
    const struct payments_checkout_items *items,
    uint32_t first,
    uint32_t count)
{
    uint32_t left = first < items->count ? items->count - first : 0;
    uint32_t shown = count < left ? count : left;
    struct buf url;
    char memory[128];
    buf_init_fixed(&url, memory, sizeof(memory));
    buf_append_cstr(&url, "/v1/checkout/sessions/");
    buf_append_span(&url, checkout->header.id);
    buf_append_cstr(&url, "/line_items");
    json_object_begin(json);
    json_member_cstr(json, "object", "list");
    json_key(json, "data");
    json_array_begin(json);
    for (uint32_t i = first; i < first + shown; i++) {
        write_item(json, &items->at[i], checkout->currency);
    }
    json_array_end(json);
    json_member_bool(json, "has_more", shown < left);
    json_member_text(json, "url", buf_span(&url));
    json_object_end(json);
}

/* The place of a cursor's item; false if answered. */
static bool
find_item(
    struct resource_op *op,
    const char *param,
    const struct payments_checkout_items *items,
    uint32_t *ret_index)
{
    struct span id = SPAN_EMPTY;
    (void)resource_text(op, param, &id);
    for (uint32_t i = 0; i < items->count; i++) {
        if (span_equal(items->at[i].id, id)) {
            *ret_index = i;
            return true;
        }
    }
    resource_missing(op, "item", param, id);
    return false;
}

/* They are in the order in which they were given, and cursors follow it. False: answered. */
static bool
choose_page(
    struct resource_op *op,
    const struct payments_checkout_items *items,
    uint32_t *ret_first,
    uint32_t *ret_count)
{
    int64_t limit = 10;
    uint32_t at = 0;
    (void)resource_integer(op, "limit", &limit);
    *ret_first = 0;
    *ret_count = (uint32_t)limit;
    if (resource_present(op, "starting_after")) {
        if (!find_item(op, "starting_after", items, &at)) {
            return false;
        }
        *ret_first = at + 1;
    } else if (resource_present(op, "ending_before")) {
        if (!find_item(op, "ending_before", items, &at)) {
            return false;
        }
        *ret_count = at < *ret_count ? at : *ret_count;
        *ret_first = at - *ret_count;
    }
    return true;
}

void
payments_checkout_item_list(struct resource_op *op)
{
    enum {
        BODY_MAX = 2 << 20
    };

    struct arena *arena = resource_op_arena(op);
    struct payments_checkout *checkout =
        resource_require(op, &payments_checkout_type, "session", resource_op_capture(op, 0));
    if (checkout == NULL) {
        return;
    }
    struct payments_checkout_items *items = ARENA_NEW(arena, struct payments_checkout_items);
    err_t error = items == NULL ? ERR_FULL : payments_checkout_items_read(arena, checkout, items);
    if (error != ERR_OK) {
        resource_internal(op, error, "line items");
        return;
    }
    uint32_t first;
    uint32_t count;
    if (!choose_page(op, items, &first, &count)) {
        return;
    }
    struct buf body;
    struct json_writer json;
    buf_init(&body, BODY_MAX);
    json_begin(&json, &body);
    payments_checkout_items_write(&json, checkout, items, first, count);
    resource_answer(op, 200, &body);
}
